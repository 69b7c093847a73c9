"""Real receivers of remote write, Prometheus and VictoriaMetrics, which go away and come back meanwhile."""
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from bridge import PATIENCE, PREFIX, await_condition, await_equal
from ports import free_port
from promql import PromApi, Prometheus

MAPPING = '''
mappings:
- match: latency
  name: latency_seconds
  observer_type: histogram
  histogram_options: {buckets: [0.1, 0.2]}
- match: size
  name: size
  observer_type: summary
  summary_options: {quantiles: [{quantile: 0.5, error: 0.01}]}
- match: short
  name: short
  ttl: 1s
'''

NATIVE_MAPPING = '''
mappings:
- {match: latency, name: latency_seconds, observer_type: histogram}
- {match: brief, name: brief_seconds, observer_type: histogram, ttl: 1s}
'''


class PrometheusReceiver:
    """What was answered with success is in its log of writes, so that it may be killed at any time."""

    signal = signal.SIGKILL

    features = ['--enable-feature=native-histograms,exemplar-storage']

    def __init__(self, directory, port=None):
        self._server = Prometheus(directory, 0, 'scrape_configs: []',
                                  ['--web.enable-remote-write-receiver', *self.features], port)
        self.process, self.api = self._server.process, self._server


class FlaglessReceiver(PrometheusReceiver):
    """It takes no native histograms."""

    features = []


class VictoriaReceiver:
    """It writes what it has taken to the disk only now and then, so it must be stopped in order."""

    signal = signal.SIGTERM

    def __init__(self, directory, port=None):
        self.api = PromApi(port or free_port())
        binary = shutil.which('victoria-metrics')
        assert binary, 'victoria-metrics is not installed'
        self._log = directory / 'victoria.log'
        with open(self._log, 'ab') as log:
            self.process = subprocess.Popen(
                [binary, '-httpListenAddr=127.0.0.1:%d' % self.api.port, '-storageDataPath=%s' % (directory / 'victoria'),
                 '-search.latencyOffset=0s', '-search.disableCache', '-memory.allowedBytes=67108864'],
                stdout=log, stderr=log)
        await_condition(self._has_started, 'VictoriaMetrics to be ready')

    def _has_started(self):
        assert self.process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen('http://127.0.0.1:%d/health' % self.api.port, timeout=PATIENCE) as answer:
                return answer.status == 200
        except OSError:
            return False


@pytest.fixture(params=[PrometheusReceiver, VictoriaReceiver], ids=['prometheus', 'victoria'])
def start_server(request, tmp_path):
    servers = []

    def start(port=None):
        servers.append(request.param(tmp_path, port))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait(PATIENCE)


def stored(api, name):
    """-> [(timestamp, value)] of the one series of a name; what was sent twice is there once"""
    rows = api.get('query', query=name + '[1h]')['result']
    assert len(rows) <= 1
    return sorted({(float(at), float(value)) for row in rows for at, value in row['values']})


def test_nothing_is_lost_or_wrong(start_bridge, start_server):
    server = start_server()
    bridge = start_bridge('--remote-write.url=http://127.0.0.1:%d/api/v1/write' % server.api.port,
                          '--remote-write.interval=200ms', '--remote-write.external-label=site=x', mapping=MAPPING)
    site = ('site', 'x')
    bridge.send_udp('jobs:7|c|#queue:a b\nroom:21.5|g\nlatency:150|ms\nsize:4|h')
    await_equal(lambda: server.api.query('jobs'), {(('queue', 'a b'), site): 7})
    await_equal(lambda: server.api.query('room'), {(site,): 21.5})
    await_equal(lambda: server.api.query('latency_seconds_bucket'),
                {(('le', le), site): count for le, count in (('0.1', 0), ('0.2', 1), ('+Inf', 1))})
    await_equal(lambda: server.api.query('size'), {(('quantile', '0.5'), site): 4})
    await_equal(lambda: server.api.query('size_count'), {(site,): 1})

    server.process.send_signal(server.signal)
    server.process.wait(PATIENCE)
    bridge.send_udp('jobs:3|c|#queue:a b')
    await_condition(lambda: bridge.scrape().own('remote_write_samples_retried_total') > 0)
    await_condition(lambda: bridge.scrape().own('remote_write_lag_seconds') > 1)
    server = start_server(server.api.port)
    await_equal(lambda: server.api.query('jobs'), {(('queue', 'a b'), site): 10})
    await_condition(lambda: bridge.scrape().own('remote_write_lag_seconds') < 1)
    scrape = bridge.scrape()
    assert scrape.own('remote_write_samples_failed_total') == scrape.own_sum('remote_write_samples_dropped_total') == 0
    bridge.send_udp('jobs:5|c|#queue:a b')
    bridge.await_lines(6)
    bridge.stop()
    await_equal(lambda: server.api.query('jobs'), {(('queue', 'a b'), site): 15})

    # A pass knows how many there were before it: none is missing, none came twice with another value.
    passes = stored(server.api, PREFIX + 'remote_write_passes_total')
    assert [value for _, value in passes] == list(range(len(passes)))
    jobs = stored(server.api, 'jobs')
    assert [value for _, value in jobs] == sorted(value for _, value in jobs)
    assert {value for _, value in jobs} == {7, 10, 15}
    assert [at for at, _ in jobs] == [at for at, _ in passes if at >= jobs[0][0]]


def test_a_series_that_ends_is_gone_at_once(start_bridge, start_server):
    """Not only after the five minutes of silence that end a series otherwise."""
    server = start_server()
    bridge = start_bridge('--remote-write.url=http://127.0.0.1:%d/api/v1/write' % server.api.port,
                          '--remote-write.interval=200ms', mapping=MAPPING)
    bridge.send_udp('short:1|c\nlong:1|c')
    await_equal(lambda: server.api.query('long'), {(): 1})
    await_condition(lambda: stored(server.api, 'short'))
    await_equal(lambda: server.api.query('short'), {})
    bridge.send_udp('short:5|c')
    await_equal(lambda: server.api.query('short'), {(): 5})
    assert bridge.scrape().own('remote_write_samples_failed_total') == 0


def test_a_receiver_without_2_0_is_noticed(start_bridge, start_server):
    """Both servers take such a request, and store nothing of it; what it had is sent again."""
    server = start_server()
    bridge = start_bridge('--remote-write.url=http://127.0.0.1:%d/api/v1/write' % server.api.port,
                          '--remote-write.interval=200ms', '--remote-write.protocol=auto')
    bridge.send_udp('jobs:7|c')
    await_equal(lambda: server.api.query('jobs'), {(): 7})
    scrape = bridge.scrape()
    assert scrape.own('remote_write_samples_retried_total') > 0
    assert scrape.own('remote_write_samples_failed_total') == scrape.own_sum('remote_write_samples_dropped_total') == 0
    passes = stored(server.api, PREFIX + 'remote_write_passes_total')
    assert [value for _, value in passes] == list(range(len(passes)))


@pytest.mark.parametrize('start_server', [PrometheusReceiver], indirect=True, ids=['prometheus'])
def test_native_histograms(start_bridge, start_server):
    """They stand beside the classic ones, and end with them."""
    server = start_server()
    bridge = start_bridge('--remote-write.url=http://127.0.0.1:%d/api/v1/write' % server.api.port,
                          '--remote-write.interval=200ms', '--remote-write.native-histograms', mapping=NATIVE_MAPPING)
    for milliseconds in range(1, 101):
        bridge.send_udp('latency:%d|ms\nbrief:%d|ms' % (milliseconds, milliseconds))
    await_equal(lambda: server.api.query('histogram_count(latency_seconds)'), {(): 100})
    assert server.api.query('histogram_sum(latency_seconds)') == {(): pytest.approx(5.05)}
    (median,) = server.api.query('histogram_quantile(0.5, latency_seconds)').values()
    assert median == pytest.approx(0.05, rel=0.06)
    assert server.api.query('latency_seconds_count') == {(): 100}
    await_equal(lambda: server.api.query('count({__name__=~"brief_seconds.*"})'), {})
    scrape = bridge.scrape()
    assert scrape.own('remote_write_samples_failed_total') == scrape.own('remote_write_samples_retried_total') == 0


@pytest.mark.parametrize('start_server', [FlaglessReceiver], indirect=True, ids=['prometheus'])
def test_native_histograms_that_are_disabled(start_bridge, start_server):
    """They are given up, and nothing else is."""
    server = start_server()
    flags = ['--remote-write.url=http://127.0.0.1:%d/api/v1/write' % server.api.port, '--remote-write.interval=200ms',
             '--remote-write.native-histograms']
    bridge = start_bridge(*flags, mapping=NATIVE_MAPPING)
    bridge.send_udp('jobs:7|c\nlatency:5|ms\nbrief:5|ms')
    await_equal(lambda: server.api.query('jobs'), {(): 7})
    await_equal(lambda: server.api.query('latency_seconds_count'), {(): 1})
    bridge.send_udp('jobs:1|c\nlatency:5|ms')
    await_equal(lambda: server.api.query('jobs'), {(): 8})
    await_equal(lambda: server.api.query('count({__name__=~"brief_seconds.*"})'), {})
    scrape = bridge.scrape()
    # One of each histogram, if both were in the one pass that had any.
    assert scrape.own('remote_write_samples_failed_total') in (1, 2)
    assert scrape.own_sum('remote_write_samples_dropped_total') == 0
    await_condition(lambda: bridge.scrape().own('remote_write_lag_seconds') < 1)
    errors = [line for line in bridge.stderr().splitlines() if 'takes no native histograms' in line]
    assert len(errors) == 1
    assert '--enable-feature=native-histograms' in errors[0] and '--remote-write.native-histograms' in errors[0]
    passes = stored(server.api, PREFIX + 'remote_write_passes_total')
    assert [value for _, value in passes] == list(range(len(passes)))


@pytest.mark.parametrize('start_server', [PrometheusReceiver], indirect=True, ids=['prometheus'])
def test_exemplars(start_bridge, start_server):
    server = start_server()
    bridge = start_bridge('--remote-write.url=http://127.0.0.1:%d/api/v1/write' % server.api.port,
                          '--remote-write.interval=200ms', mapping='defaults: {exemplar_tag: trace_id}')
    started = time.time()

    def stored_exemplars():
        rows = server.api.get('query_exemplars', query='jobs', start=started - 60, end=time.time() + 60)
        return [(exemplar['labels'], float(exemplar['value'])) for row in rows for exemplar in row['exemplars']]

    bridge.send_udp('jobs:2|c|#trace_id:a')
    await_equal(stored_exemplars, [({'trace_id': 'a'}, 2)])
    bridge.send_udp('jobs:3|c|#trace_id:b')
    await_equal(stored_exemplars, [({'trace_id': 'a'}, 2), ({'trace_id': 'b'}, 3)])
    assert server.api.query('jobs') == {(): 5}
    assert bridge.scrape().own('remote_write_samples_failed_total') == 0
