"""The image, and the stack of docker/compose.yml, in a real Docker engine."""
import http.client
import json
import pathlib
import re
import socket
import subprocess
import tempfile

import pytest

from bridge import BINARY, PATIENCE, await_condition, await_equal, free_port
from engine import ABOUT, BASE, DOCKER, PATH, Engine, services
from pack import BOUND_LABEL, PARTS, find_packs
from promql import PromApi

IMAGE = 'statsbridge'
RULES = DOCKER / 'prometheus' / 'rules'
HARDENED = ('--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges:true', '--network=none')


@pytest.fixture
def start(engine, images):
    """Starts containers of the bridge's image: start(docker's options, the bridge's flags) -> its id"""
    started = []

    def start(options, flags=()):
        started.append(engine.docker('run', '--detach', *HARDENED, *options, IMAGE, *flags).strip())
        return started[-1]

    yield start
    if started:
        engine.docker('rm', '--force', *started)


def inspect(engine, kind, name):
    return json.loads(engine.docker('inspect', '--type', kind, name))[0]


def state(engine, container):
    return inspect(engine, 'container', container)['State']


def health(engine, container):
    return state(engine, container)['Health']['Status']


def test_engine_that_cannot_start_is_a_failure(tmp_path):
    (tmp_path / 'dockerd').write_text('#!/bin/sh\necho "no storage driver" >&2\nexit 1\n')
    (tmp_path / 'dockerd').chmod(0o755)
    before = set(pathlib.Path(tempfile.gettempdir()).glob('statsbridge-docker-*'))
    with pytest.raises(AssertionError, match=r'cannot start:\s+no storage driver'):
        Engine('%s:%s' % (tmp_path, PATH))
    assert set(pathlib.Path(tempfile.gettempdir()).glob('statsbridge-docker-*')) == before


def labels_of(engine, image):
    labels = inspect(engine, 'image', image)['Config']['Labels']
    return {name.removeprefix('org.opencontainers.image.'): value for name, value in labels.items()}


def test_image_says_what_it_is(engine, images):
    config = inspect(engine, 'image', IMAGE)['Config']
    version = subprocess.check_output([BINARY, '--version'], text=True).split()[2]
    labels = labels_of(engine, IMAGE)
    assert labels['title'] == 'statsbridge'
    assert labels['version'] == version
    assert labels['licenses'] == 'Apache-2.0'
    assert labels['description'] and labels['base.name']
    assert labels['revision'] == (ABOUT['REVISION'] or 'unknown')
    assert labels['created'] == (ABOUT['CREATED'] or '1970-01-01T00:00:00Z')
    assert sorted(config['ExposedPorts']) == ['9102/tcp', '9125/tcp', '9125/udp']
    assert config['User'] == '65534:65534'
    assert config['Entrypoint'] == ['/bin/statsbridge']


def test_image_without_arguments_says_that_it_does_not_know(engine, images):
    engine.build('statsbridge-of-unknown-source', {'context': '..', 'dockerfile': 'docker/Dockerfile'})
    labels = labels_of(engine, 'statsbridge-of-unknown-source')
    assert (labels['revision'], labels['created']) == ('unknown', '1970-01-01T00:00:00Z')


def test_image_holds_no_tools(engine, images):
    size = inspect(engine, 'image', IMAGE)['Size'] - inspect(engine, 'image', BASE)['Size']
    assert 0 < size < 24 << 20
    present = engine.docker('run', '--rm', *HARDENED, '--entrypoint=bash', IMAGE, '-c',
                            'for tool in gcc make curl bash; do command -v $tool; done; find / -name "*.deb" 2>/dev/null; :')
    assert [path.rsplit('/', 1)[1] for path in present.split()] == ['bash']


def test_hardened_container_is_healthy_and_ends_in_order(engine, start):
    container = start(['--health-interval=1s'], ['--statsd.mapping-config=/etc/statsbridge/mappings/example/mapping.yml'])
    await_equal(lambda: health(engine, container), 'healthy')
    assert engine.docker('exec', container, 'id', '-u').strip() == '65534'
    engine.docker('stop', container)
    assert state(engine, container)['ExitCode'] == 0


def test_container_whose_bridge_is_elsewhere_is_unhealthy(engine, start):
    container = start(['--health-interval=1s', '--health-retries=1', '--health-start-period=0s'],
                      ['--web.listen-address=127.0.0.1:9999'])
    await_equal(lambda: health(engine, container), 'unhealthy')


def test_health_check_follows_the_port(engine, start):
    container = start(['--health-interval=1s', '--env=WEB_PORT=9999'], ['--web.listen-address=127.0.0.1:9999'])
    await_equal(lambda: health(engine, container), 'healthy')


def test_container_with_a_wrong_flag_ends_with_1(engine, start):
    container = start([], ['--statsd.mapping-config=/etc/statsbridge/mappings/nobody/mapping.yml'])
    await_equal(lambda: state(engine, container)['Status'], 'exited')
    assert state(engine, container)['ExitCode'] == 1


def test_other_name_gives_other_own_metrics(engine, start):
    read = ['bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/9102 && '
            'printf "GET /metrics HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n" >&3 && cat <&3']
    for entry, prefix, other in (('/bin/statsd_exporter', 'statsd_exporter_', 'statsbridge_'),
                                 ('/bin/statsbridge', 'statsbridge_', 'statsd_exporter_')):
        container = start(['--entrypoint=' + entry, '--health-interval=1s'])
        await_equal(lambda: health(engine, container), 'healthy')
        names = re.findall(r'^# TYPE (\S+)', engine.docker('exec', container, *read), re.MULTILINE)
        assert prefix + 'lines_total' in names
        assert not [name for name in names if name.startswith(other)]


@pytest.fixture(scope='module')
def stack(engine, images):
    """The stack without Grafana, whose image cannot be made of Debian packages. -> its ports by variable"""
    ports = {name: free_port() for name in ('STATSD_PORT', 'BRIDGE_PORT', 'PROMETHEUS_PORT', 'GRAFANA_PORT')}
    engine.compose('up', '--detach', '--no-build', *(name for name in services() if name != 'grafana'), **ports)
    yield ports
    engine.compose('down', '--volumes', '--timeout=2', **ports)


@pytest.fixture(scope='module')
def prometheus(stack):
    api = PromApi(stack['PROMETHEUS_PORT'])
    await_condition(api.is_ready, 'Prometheus to be ready')
    return api


def test_stack_scrapes_what_is_sent_from_outside(stack, prometheus):
    await_condition(lambda: prometheus.query('up{job="statsbridge"}') == {(): 1}, 'a scrape')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b'sent.from.outside:1|c', ('127.0.0.1', stack['STATSD_PORT']))
    await_condition(lambda: prometheus.query('sent_from_outside') == {(): 1}, 'the sample')


def test_stack_has_the_rules_of_the_repository(prometheus):
    rules = prometheus.get('rules')['groups']
    assert {group['file'].rsplit('/', 1)[1] for group in rules} == {path.name for path in RULES.glob('*.yml')}
    await_condition(lambda: all(rule['health'] == 'ok' for group in prometheus.get('rules')['groups']
                                for rule in group['rules']), 'every rule to be evaluated')


def missing(prometheus, packs):
    """Entries of the catalogues that Prometheus does not have with exactly their labels and buckets."""
    found = []
    for pack in packs:
        for name, entry in pack.catalogue.items():
            part = name + PARTS.get(entry.type, ('',))[0]
            bound = {BOUND_LABEL[entry.type]} if entry.type in PARTS else set()
            series = [dict(labels) for labels in prometheus.query('%s{job="statsbridge"}' % part)]
            bounds = {each[label] for each in series for label in bound if label in each}
            if {frozenset(each) for each in series} != {entry.labels | bound} or \
                    not {*entry.bounds, *(['+Inf'] if entry.type == 'histogram' else [])} == bounds:
                found.append(name)
    return found


def test_stack_scrapes_what_is_registered(prometheus):
    """By Coordinator and Worker, with their token, at the bridge: see tests/agents/appproxy."""
    def circuits():
        return {dict(labels).get('circuit_id') for labels in prometheus.query('up{job="targets"} == 1')}

    await_condition(lambda: circuits() >= {None, '5f0c2a'}, 'a scrape of what is registered')


def test_stack_takes_no_target_without_the_token(stack):
    connection = http.client.HTTPConnection('127.0.0.1', stack['BRIDGE_PORT'], timeout=PATIENCE)
    connection.request('PUT', '/api/v1/targets/mine', body='[{"targets": ["127.0.0.1:1"]}]')
    answer = connection.getresponse()
    assert answer.status == 401, answer.read()
    connection.close()


def test_stack_shows_every_catalogue_at_once(prometheus):
    packs = find_packs()
    systems = [packs[name] for name in services() if name in packs]
    assert len(systems) == 5
    await_equal(lambda: missing(prometheus, systems), [], 2 * PATIENCE)
    # Nobody here sends what Envoy does.
    assert missing(prometheus, [packs['envoy']]) == list(packs['envoy'].catalogue)


def test_stack_runs_hardened(engine, stack):
    containers = [inspect(engine, 'container', each) for each in engine.compose('ps', '--quiet', **stack).split()]
    assert len(containers) == len(services()) - 1
    for found in containers:
        state = found['State']
        if 'token' in found['Name']:
            assert state['Status'] == 'exited' and state['ExitCode'] == 0, state
        else:
            assert state['Status'] == 'running' and found['RestartCount'] == 0, found['Name']
        assert found['Config']['User'] not in ('', '0', 'root'), found['Name']
        host = found['HostConfig']
        assert host['ReadonlyRootfs'] and host['CapDrop'] == ['ALL'], found['Name']
        assert host['SecurityOpt'] == ['no-new-privileges:true'], found['Name']
