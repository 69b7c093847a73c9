"""The real Gunicorn, with the pack made for it: what it says about requests that were made is what Prometheus gets."""
import http.client
import subprocess
import sys

import pytest

from bridge import CLIENT_ENVIRONMENT, PATIENCE, await_condition, await_equal, free_port, observed, series_name
from pack import find_packs

pytestmark = pytest.mark.packs

PACK = find_packs()['gunicorn']
APPLICATION = '''
def application(environment, start_response):
    if environment['PATH_INFO'] == '/fail':
        raise RuntimeError('as asked for')
    status = '200 OK' if environment['PATH_INFO'] == '/' else '404 Not Found'
    start_response(status, [('Content-Length', '0')])
    return []
'''
# What a clock decides: how long requests took, and how often the backlog was looked at.
CLOCKED = ('gunicorn_request_duration_seconds', 'gunicorn_backlog_connections')
BOUNDS = [float(bound) for bound in PACK.catalogue['gunicorn_request_duration_seconds'].bounds]


class Gunicorn:
    def __init__(self, directory, bridge, options):
        (directory / 'shop.py').write_text(APPLICATION)
        self.port = free_port()
        self._log = directory / 'gunicorn.log'
        with open(self._log, 'wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'gunicorn', '--bind=127.0.0.1:%d' % self.port, '--workers=2',
                 '--statsd-host=127.0.0.1:%d' % bridge.udp, '--enable-backlog-metric', *options, 'shop:application'],
                cwd=directory, env=CLIENT_ENVIRONMENT, stdout=log, stderr=log)

    def get(self, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE)
        try:
            connection.request('GET', path)
            return connection.getresponse().status
        finally:
            connection.close()

    def is_listening(self):
        assert self.process.poll() is None, self._log.read_text()
        return 'Listening at' in self._log.read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def start_gunicorn(tmp_path):
    started = []

    def start(bridge, *options):
        started.append(Gunicorn(tmp_path, bridge, options))
        await_condition(started[-1].is_listening, 'Gunicorn to listen')
        return started[-1]

    yield start
    for gunicorn in started:
        gunicorn.stop()


@pytest.mark.parametrize('options, labels', [
    (['--dogstatsd-tags=app:shop'], {'app': 'shop'}),
    (['--statsd-prefix=shop'], {'app': 'shop'}),
    (['--statsd-prefix=shop', '--dogstatsd-tags=region:eu'], {'app': 'shop', 'region': 'eu'}),
    ([], {}),
], ids=['tags', 'prefix', 'both', 'neither'])
def test_gunicorn(start_bridge, start_gunicorn, options, labels):
    bridge = start_bridge(PACK.flag)
    gunicorn = start_gunicorn(bridge, *options)
    assert [gunicorn.get(path) for path in ('/', '/', '/nowhere', '/fail')] == [200, 200, 404, 500]

    want = {series_name('gunicorn_workers', labels): 2}
    want[series_name('gunicorn_requests_total', labels)] = 4
    for status, times in ('200', 2), ('404', 1), ('500', 1):
        want[series_name('gunicorn_responses_total', {'status': status, **labels})] = times
    want[series_name('gunicorn_log_messages_total', {'level': 'exception', **labels})] = 1
    await_equal(lambda: {name: value for name, value in bridge.scrape().users().items()
                         if not name.startswith(CLOCKED)}, want)

    backlog = series_name('gunicorn_backlog_connections_count', labels)
    scrape = await_condition(lambda: bridge.scrape().users().get(backlog) and bridge.scrape(), 'the backlog')
    durations = {name for name in scrape.users() if name.startswith(CLOCKED[0])}
    assert durations == set(observed(CLOCKED[0], [], BOUNDS, labels))
    assert scrape.users()[series_name(CLOCKED[0] + '_count', labels)] == 4
    assert scrape.own('events_unmapped_total') == 0
    scrape.assert_books()


def test_gunicorn__prefix_with_dots(start_bridge, start_gunicorn):
    """It does not fit the pack, and that is seen."""
    bridge = start_bridge(PACK.flag)
    gunicorn = start_gunicorn(bridge, '--statsd-prefix=eu.shop')
    assert gunicorn.get('/') == 200
    scrape = await_condition(lambda: 'eu_shop_gunicorn_requests' in bridge.scrape().users() and bridge.scrape(), 'a request')
    assert scrape.own('events_unmapped_total') == scrape.own('samples_total')
    assert not set(scrape.types) & set(PACK.catalogue)
