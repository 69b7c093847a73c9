"""What AppProxy's Coordinator and Worker register at the bridge is what Prometheus scrapes.

The classes are those of tests/agents/appproxy, at work with a real bridge, a real Prometheus, and servers that stand
for Traefik and the containers.
"""
import http.server
import json
import runpy
import subprocess
import sys
import threading

import pytest

from bridge import (CLIENT_ENVIRONMENT, PATIENCE, ROOT, await_condition, await_equal, free_port, observed,
                    series_name)
from pack import find_packs
from promql import Prometheus

pytestmark = pytest.mark.packs

PROGRAMS = ROOT / 'tests' / 'agents'
PACKS = find_packs()
CONFIG = '''global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: appproxy
  http_sd_configs: [{url: 'http://127.0.0.1:%d/sd', refresh_interval: 1s}]
'''
TOKEN = 'a-token-of-enough-letters'


@pytest.fixture
def appproxy(monkeypatch):
    """-> what the program defines"""
    monkeypatch.syspath_prepend(PROGRAMS)
    return runpy.run_path(str(PROGRAMS / 'appproxy' / '__main__.py'))


@pytest.fixture
def serve_page(appproxy):
    """Starts servers of the program's page of metrics. -> host:port"""
    servers = []

    def serve():
        servers.append(http.server.ThreadingHTTPServer(('127.0.0.1', 0), appproxy['Page']))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return '127.0.0.1:%d' % servers[-1].server_address[1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class Site:
    """A Coordinator and a Worker that know a bridge."""

    def __init__(self, module, bridge, traefik=None, address='127.0.0.1:9', worker='worker:1', **options):
        metrics = module['connect']('tags', '127.0.0.1:%d' % bridge.udp)
        self.proxy = module['AppProxy'](metrics)
        self.registries = {
            component: module['Registry']('http://127.0.0.1:%d' % bridge.web, component, self.proxy.updates, **options)
            for component in ('coordinator', 'worker')}
        self.coordinator = module['Coordinator'](self.proxy, self.registries['coordinator'], address)
        self.worker = module['Worker'](self.proxy, self.registries['worker'], 'worker-1', worker, traefik)


def discovered(bridge):
    """-> {address: labels} of what Prometheus is told"""
    response = bridge.request('GET', '/sd')
    assert response.status == 200 and response.headers['Content-Type'] == 'application/json'
    return {address: group.get('labels', {}) for group in json.loads(response.text) for address in group['targets']}


def groups(bridge):
    return {group['group']: group for group in json.loads(bridge.request('GET', '/api/v1/targets').text)['groups']}


def updates(bridge):
    return {name.partition('{')[2].rstrip('}'): value for name, value in bridge.scrape().users().items()
            if name.startswith('appproxy_target_updates_total')}


def labels(session_id, circuit_id='5f0c2a'):
    return {'circuit_id': circuit_id, 'session_id': session_id, 'worker_authority': 'worker-1'}


def scraped(**labels):
    """A series of a target with these labels, as PromApi.query() shows it."""
    return tuple(sorted(labels.items()))


def test_operations(start_bridge, appproxy):
    """What each event of the life of a Circuit makes of the list."""
    bridge = start_bridge(PACKS['appproxy'].flag, '--web.enable-target-api')
    site = Site(appproxy, bridge, traefik='traefik:8082', address='coordinator:10200')
    Route, Circuit = appproxy['Route'], appproxy['Circuit']
    want = {}

    site.coordinator.start()
    want['coordinator:10200'] = {'component': 'coordinator'}
    assert discovered(bridge) == want

    site.worker.start()
    want['worker:1'] = {'component': 'worker', 'worker_authority': 'worker-1'}
    want['traefik:8082'] = {'component': 'traefik', 'worker_authority': 'worker-1'}
    assert discovered(bridge) == want

    circuit = Circuit('5f0c2a', 'worker-1', (Route('a', 'one:1'), Route('b', 'two:1'), Route('c', 'ill:1', False)))
    site.coordinator.create(circuit)
    assert discovered(bridge) == {**want, 'one:1': labels('a'), 'two:1': labels('b')}

    circuit = circuit._replace(routes=(Route('b', 'two:1'), Route('c', 'ill:1'), Route('d', 'four:1')))
    site.coordinator.update(circuit)
    assert discovered(bridge) == {**want, 'two:1': labels('b'), 'ill:1': labels('c'), 'four:1': labels('d')}

    circuit = circuit._replace(routes=())
    site.coordinator.update(circuit)
    assert discovered(bridge) == want and 'circuit.5f0c2a' in groups(bridge)

    site.coordinator.delete(circuit)
    assert discovered(bridge) == want and 'circuit.5f0c2a' not in groups(bridge)

    assert {name: (group['owner'], group['ttl_seconds']) for name, group in groups(bridge).items()} == {
        'coordinator': ('coordinator', 60), 'worker.worker-1': ('worker', 60), 'traefik.worker-1': ('worker', 60)}
    await_equal(lambda: updates(bridge), {
        'component="coordinator",operation="deregister",result="success"': 1,
        'component="coordinator",operation="register",result="success"': 2,
        'component="coordinator",operation="replace",result="success"': 2,
        'component="worker",operation="register",result="success"': 2,
    })


def test_worker_without_traefik(start_bridge, appproxy):
    bridge = start_bridge('--web.enable-target-api')
    Site(appproxy, bridge).worker.start()
    assert discovered(bridge) == {'worker:1': {'component': 'worker', 'worker_authority': 'worker-1'}}


def test_prometheus_follows(start_bridge, tmp_path, appproxy, serve_page):
    """A Circuit is scraped while it lives, with its three labels, beside Coordinator, Worker and Traefik."""
    bridge = start_bridge('--web.enable-target-api')
    site = Site(appproxy, bridge, traefik=serve_page(), address=serve_page(), worker=serve_page())
    prometheus = Prometheus(tmp_path, bridge.web, CONFIG)
    try:
        follow(site, prometheus, appproxy, serve_page)
    finally:
        prometheus.stop()


def follow(site, prometheus, appproxy, serve_page):
    Route, Circuit = appproxy['Route'], appproxy['Circuit']

    def await_scraped(*more):
        await_equal(lambda: prometheus.query('appproxy_example_requests_total'), dict.fromkeys([*always, *more], 1))

    site.coordinator.start()
    site.worker.start()
    always = [scraped(component='coordinator'), scraped(component='worker', worker_authority='worker-1'),
              scraped(component='traefik', worker_authority='worker-1')]
    await_scraped()

    circuit = Circuit('5f0c2a', 'worker-1', (Route('a', serve_page()), Route('b', serve_page(), False)))
    site.coordinator.create(circuit)
    await_scraped(scraped(**labels('a')))

    site.coordinator.update(circuit._replace(routes=(circuit.routes[1]._replace(is_healthy=True),)))
    await_scraped(scraped(**labels('b')))

    site.coordinator.delete(circuit)
    await_scraped()


def test_program_serves_what_it_registers(start_bridge, tmp_path):
    """As in the stack of docker/: with --serve there is something to scrape."""
    bridge = start_bridge('--web.enable-target-api')
    program = subprocess.Popen(
        [sys.executable, '-m', 'appproxy', '--loop', '--every=0.1', '--address=127.0.0.1:%d' % bridge.udp,
         '--registry=http://127.0.0.1:%d' % bridge.web, '--serve=127.0.0.1:%d' % free_port()],
        cwd=PROGRAMS, env=CLIENT_ENVIRONMENT)
    try:
        prometheus = Prometheus(tmp_path, bridge.web, CONFIG)
        try:
            await_condition(lambda: prometheus.query('up').items() >= dict.fromkeys(
                [scraped(component='coordinator'), scraped(component='worker', worker_authority='worker-1'),
                 scraped(component='traefik', worker_authority='worker-1'), scraped(**labels('a81b')), scraped(**labels('b92d'))], 1).items(), 'what the program serves')
        finally:
            prometheus.stop()
    finally:
        program.terminate()
        assert program.wait(PATIENCE) == 0


def test_owner_dies_without_a_word(start_bridge, appproxy):
    """Who renews stays; who does not goes by itself."""
    bridge = start_bridge('--web.enable-target-api')
    alive, dead = (Site(appproxy, bridge, address='%s:1' % name, ttl='1s') for name in ('alive', 'dead'))
    dead.worker.traefik = 'traefik:1'
    dead.worker.start()
    alive.coordinator.start()

    def is_gone():
        alive.registries['coordinator'].renew()
        return set(discovered(bridge)) == {'alive:1'}

    await_condition(is_gone, 'the dead one to go')
    await_equal(lambda: discovered(bridge), {})


def test_registry_survives_a_restart(start_bridge, tmp_path, appproxy):
    state = '--sd.state-file=%s' % (tmp_path / 'targets')
    first = start_bridge('--web.enable-target-api', state)
    Site(appproxy, first, address='coordinator:1').coordinator.start()
    want = discovered(first)
    assert want
    first.stop()
    assert discovered(start_bridge('--web.enable-target-api', state)) == want


@pytest.mark.parametrize('written, works', [
    (TOKEN, True), (TOKEN + '\n', True), ('another' + TOKEN, False), (None, False),
], ids=['right', 'with a line feed', 'wrong', 'none'])
def test_token(start_bridge, tmp_path, appproxy, written, works):
    (tmp_path / 'of-bridge').write_text(TOKEN + '\n')
    bridge = start_bridge(PACKS['appproxy'].flag, '--web.enable-target-api',
                          '--sd.token-file=%s' % (tmp_path / 'of-bridge'))
    token_file = None
    if written:
        token_file = tmp_path / 'of-client'
        token_file.write_text(written)
    site = Site(appproxy, bridge, address='coordinator:1', token_file=token_file)
    site.coordinator.start()
    assert discovered(bridge) == ({'coordinator:1': {'component': 'coordinator'}} if works else {})
    outcome = 'success' if works else 'failure'
    await_equal(lambda: updates(bridge), {'component="coordinator",operation="register",result="%s"' % outcome: 1})


def test_bridge_that_is_away_or_refuses(start_bridge, appproxy):
    """It is counted, and made up for by the next renewal."""
    bridge = start_bridge(PACKS['appproxy'].flag, '--web.enable-target-api')
    refusing = start_bridge()
    site = Site(appproxy, bridge, address='coordinator:1')
    registry, good = site.registries['coordinator'], site.registries['coordinator'].url
    for port in free_port(), refusing.web:
        registry.url = good._replace(netloc='127.0.0.1:%d' % port)
        site.coordinator.start()
        assert not registry.deregister('nobody')
    registry.url = good
    assert discovered(bridge) == {}
    registry.renew()
    assert discovered(bridge) == {'coordinator:1': {'component': 'coordinator'}}
    await_equal(lambda: updates(bridge), {
        'component="coordinator",operation="register",result="failure"': 2,
        'component="coordinator",operation="deregister",result="failure"': 2,
        'component="coordinator",operation="renew",result="success"': 1,
    })


def test_traefik_sends_beside_the_worker(start_bridge, appproxy):
    """Under the names and with the labels of its pack's catalogue, and of a service that belongs to the Circuit."""
    pack = PACKS['traefik']
    bridge = start_bridge(pack.flag)
    traefik = appproxy['Traefik']('127.0.0.1:%d' % bridge.udp)
    route = appproxy['Route']('a', 'one:1')
    circuit = appproxy['Circuit']('5f0c2a', 'worker-1', (route,))
    for code, seconds in ('200', 0.04), ('502', 7):
        traefik.lead(circuit, route, code, seconds)

    service, request = {'service': 'bai_service_5f0c2a@etcd'}, {'method': 'GET', 'protocol': 'http'}
    want = {series_name('traefik_service_retries_total', service): 1,
            series_name('traefik_service_server_up', {**service, 'url': 'http://one:1'}): 1,
            series_name('traefik_open_connections', {'entrypoint': 'web', 'protocol': 'http'}): 1}
    for code, seconds in ('200', 0.04), ('502', 7):
        entry = {**request, 'code': code, 'entrypoint': 'web'}
        want[series_name('traefik_service_requests_total', {**request, **service, 'code': code})] = 1
        want[series_name('traefik_entrypoint_requests_total', entry)] = 1
        want.update(observed('traefik_entrypoint_request_duration_seconds', [seconds],
                             map(float, pack.catalogue['traefik_entrypoint_request_duration_seconds'].bounds), entry))
    await_equal(lambda: bridge.scrape().users(), want)
    assert bridge.scrape().own('events_unmapped_total') == 0


def test_traefik_is_joined_with_circuits(start_bridge, tmp_path, appproxy):
    """The query of the pack's README: Traefik's own series get the labels of the Circuit."""
    bridge = start_bridge(PACKS['appproxy'].flag, PACKS['traefik'].flag, '--web.enable-target-api')
    site = Site(appproxy, bridge)
    Route, Circuit = appproxy['Route'], appproxy['Circuit']
    circuit = Circuit('5f0c2a', 'worker-1', (Route('a', 'one:1'), Route('b', 'two:1')))
    site.coordinator.create(circuit)
    for service, count in (circuit.service + '@etcd', 7), ('other@file', 5):
        bridge.send_udp('traefik.service.request.total:%d|c|#service:%s,code:200,method:GET,protocol:http'
                        % (count, service))
    prometheus = Prometheus(tmp_path, bridge.web)
    try:
        await_equal(lambda: prometheus.query(
            'traefik_service_requests_total * on (service) group_left (circuit_id, worker_authority)'
            ' label_join(label_replace(appproxy_circuit_info, "provider", "etcd", "", ""),'
            ' "service", "@", "service", "provider")'),
            {scraped(circuit_id='5f0c2a', worker_authority='worker-1', service=circuit.service + '@etcd', code='200',
                     method='GET', protocol='http'): 7})
        await_equal(lambda: prometheus.query(
            'appproxy_circuit_info * on (circuit_id) group_right (service) appproxy_route_healthy'),
            {scraped(service=circuit.service, **labels(session_id)): 1 for session_id in 'ab'})
    finally:
        prometheus.stop()
