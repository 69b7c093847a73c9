"""What docker/ sets up around the bridge: Prometheus's configuration, alert rules and dashboards."""
import itertools
import json
import math
import os
import re
import subprocess
import sys

import pytest
import yaml

from bridge import CLIENT_ENVIRONMENT, PATIENCE, ROOT, Bridge, await_condition, await_equal, free_port, run_to_end
from certificates import Authority
from pack import MAPPINGS, find_packs, load_yaml
from promql import Prometheus

pytestmark = pytest.mark.packs

PROMETHEUS = ROOT / 'docker' / 'prometheus'
RULES = sorted((PROMETHEUS / 'rules').glob('*.yml'))
RULE_TESTS = ROOT / 'tests' / 'rules'
SYSTEMS = ('agentcube', 'agentos', 'appproxy', 'conduit', 'gui-agents', 'statsbridge')

METRIC = re.compile(r'[a-z_:][a-z0-9_:]+(?=[{\[ )]|$)')


def promtool(*arguments):
    # It collects its garbage less often than by default, which takes a third off its time.
    return subprocess.run(['promtool', *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, 'GOGC': '400'})


def name_of(path):
    return path.stem


def groups(path):
    return load_yaml(path)['groups']


def alerts(path):
    return [rule for group in groups(path) for rule in group['rules'] if 'alert' in rule]


def services():
    return load_yaml(ROOT / 'docker' / 'compose.yml')['services']


def bridge_flags(directory):
    """Those of the stack's bridge, with `directory` for its volume. Makes the token there, too."""
    (directory / 'token').write_text('0123456789abcdef')
    (directory / 'token').chmod(0o600)
    return [flag.replace('/etc/statsbridge/mappings', str(MAPPINGS)).replace('/var/lib/statsbridge', str(directory))
            for flag in services()['bridge']['command']]


def test_compose_loads_every_pack(tmp_path):
    flags = bridge_flags(tmp_path)
    assert [flag for flag in flags if 'mapping-config' in flag] == [pack.flag for pack in find_packs().values()]
    done = run_to_end('--check-config', *flags)
    assert done.returncode == 0 and 'level=warn' not in done.stderr, done.stderr


def test_compose_builds_each_image_once():
    """Services are built side by side, and two that make one image get into each other's way."""
    stack = services()

    def needs(name):
        direct = set(stack[name].get('depends_on', ()))
        return direct.union(*map(needs, direct))

    builders = [name for name in stack if 'build' in stack[name]]
    built = {stack[name]['image']: name for name in builders}
    assert len(built) == len(builders) == 3
    for name, service in stack.items():
        builder = built.get(service['image'])
        assert builder in (None, name) or builder in needs(name), '%s starts before its image is there' % name


def test_compose_confines_every_container():
    for name, service in services().items():
        assert service['read_only'] and service['cap_drop'] == ['ALL'], name
        assert service['security_opt'] == ['no-new-privileges:true'], name


def test_grafana_needs_no_click():
    """Its data source is the stack's Prometheus, and its dashboards are those of the repository."""
    stack = services()
    provisioning = ROOT / 'docker' / 'grafana' / 'provisioning'
    (source,) = load_yaml(provisioning / 'datasources' / 'prometheus.yml')['datasources']
    assert source['isDefault'] and source['type'] == 'prometheus'
    assert source['url'] in ['http://%s:9090' % name for name in stack]
    (provider,) = load_yaml(provisioning / 'dashboards' / 'statsbridge.yml')['providers']
    mounts = dict(volume.split(':')[:2] for volume in stack['grafana']['volumes'])
    assert mounts['./grafana/dashboards'] == provider['options']['path']
    assert mounts['./grafana/provisioning'] == '/etc/grafana/provisioning'
    environment = stack['grafana']['environment']
    assert environment['GF_AUTH_ANONYMOUS_ENABLED'] == environment['GF_AUTH_DISABLE_LOGIN_FORM'] == 'true'
    assert environment['GF_AUTH_BASIC_ENABLED'] == 'false'
    assert DASHBOARD_FOLDER.is_dir()


def test_configuration_passes_the_check():
    done = promtool('check', 'config', PROMETHEUS / 'prometheus.yml')
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'SUCCESS: %d rule files found' % len(RULES) in done.stdout


def test_every_system_has_rules_and_tests():
    assert sorted(path.stem for path in RULES) == sorted(SYSTEMS)
    assert sorted(path.stem for path in RULE_TESTS.iterdir()) == sorted(SYSTEMS)


def test_alert_names_are_unique():
    names = [rule['alert'] for path in RULES for rule in alerts(path)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_rules_fire_and_stay_silent(path):
    done = promtool('test', 'rules', RULE_TESTS / path.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_alert_says_how_bad_it_is_and_what_to_do(path):
    for rule in alerts(path):
        assert rule['labels']['severity'] in ('critical', 'warning', 'info'), rule['alert']
        for key in ('summary', 'description'):
            assert rule['annotations'][key].endswith('.'), rule['alert']


def test_gui_agents_have_what_their_document_promises():
    path = PROMETHEUS / 'rules' / 'gui-agents.yml'
    assert len(alerts(path)) == 15
    assert len(groups(path)) == 6
    assert {rule['labels']['severity'] for rule in alerts(path)} == {'critical', 'warning', 'info'}


# Each alert fires in some case of its test file, and stays silent in another that has the same metrics.

def promtool_cases(path):
    return load_yaml(RULE_TESTS / path.name)['tests']


def labels_of(series):
    return dict(re.findall(r'(\w+)="([^"]*)"', series))


def cases(path):
    """-> [(the labels of each alert that fires, the names of the metrics that there are)] of a test file"""
    for case in promtool_cases(path):
        firing = [labels_of(sample['labels']) for test in case['promql_expr_test'] for sample in test['exp_samples']]
        yield firing, {series['series'].split('{')[0] for series in case['input_series']}


def metrics_of(path, expression):
    """The names of client metrics in an expression, also behind recording rules."""
    records = {}
    for group in groups(path):
        for rule in group['rules']:
            if 'record' in rule:
                records.setdefault(rule['record'], []).append(rule['expr'])
    names = set(METRIC.findall(expression))
    for record in names & set(records):
        for behind in records[record]:
            names |= set(METRIC.findall(behind))
    return names


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_alert_has_a_firing_and_a_silent_case(path):
    for rule in alerts(path):
        name = rule['alert']
        fires = [(firing, metrics) for firing, metrics in cases(path) if name in [each['alertname'] for each in firing]]
        assert fires, 'no case of tests/rules/%s lets %s fire' % (path.name, name)
        needed = metrics_of(path, rule['expr']) & set.intersection(*(metrics for _, metrics in fires))
        assert needed or 'absent' in rule['expr'], name
        assert [1 for firing, metrics in cases(path) if name not in [each['alertname'] for each in firing] and needed <= metrics], \
            'no case of tests/rules/%s has %s and keeps %s silent' % (path.name, ', '.join(sorted(needed)), name)
        labels = set.intersection(*(set(each) for firing, _ in fires for each in firing if each['alertname'] == name))
        used = set(re.findall(r'\$labels\.(\w+)', ' '.join(rule['annotations'].values())))
        assert used <= labels, '%s speaks of labels that it has not' % name


# Where an alert adds up, one group of series that is fine neither hides another nor fires with it.

LABEL_LISTS = re.compile(r'\bby \(([^)]*)\)')


def group_of(series, by):
    return tuple(labels_of(series).get(label, '') for label in by)


def groups_in(case, metrics, by):
    """-> the values of the labels `by` that the metrics have in a case"""
    return {group_of(each['series'], by) for each in case['input_series'] if each['series'].split('{')[0] in metrics}


def groups_that_fire(case, alert, by):
    return {group_of(sample['labels'], by) for test in case['promql_expr_test'] for sample in test['exp_samples']
            if labels_of(sample['labels'])['alertname'] == alert}


def has_a_silent_group(case, alert, metrics, by):
    firing = groups_that_fire(case, alert, by)
    return firing and groups_in(case, metrics, by) - firing


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_alert_that_adds_up_tells_groups_apart(path):
    for rule in alerts(path):
        by = sorted({label for labels in LABEL_LISTS.findall(rule['expr']) for label in labels.split(', ')} - {'le'})
        metrics = metrics_of(path, rule['expr'])
        assert not by or any(has_a_silent_group(case, rule['alert'], metrics, by) for case in promtool_cases(path)), \
            'no case of tests/rules/%s lets %s fire for one %s beside another' % (path.name, rule['alert'], ', '.join(by))


# That the test files can fail: with alerts that fire always, or never.

@pytest.mark.parametrize('path', RULES, ids=name_of)
@pytest.mark.parametrize('expression', ['vector(1)', 'vector(1) > 2'])
def test_changed_rules_are_found(tmp_path, path, expression):
    for folder in ('tests/rules', 'docker/prometheus/rules'):
        (tmp_path / folder).mkdir(parents=True)
    # Every second minute is enough for rules that are always alike: all questions are asked at such.
    test = (RULE_TESTS / path.name).read_text()
    assert 'evaluation_interval: 1m\n' in test
    (tmp_path / 'tests' / 'rules' / path.name).write_text(test.replace('evaluation_interval: 1m\n', 'evaluation_interval: 2m\n'))
    document = load_yaml(path)
    for rule in (rule for group in document['groups'] for rule in group['rules'] if 'alert' in rule):
        rule.update({'expr': expression, 'annotations': {}})
        rule.pop('for', None)
    (tmp_path / 'docker' / 'prometheus' / 'rules' / path.name).write_text(yaml.safe_dump(document))
    done = promtool('test', 'rules', tmp_path / 'tests' / 'rules' / path.name)
    assert done.returncode == 1 and 'FAILED' in done.stdout + done.stderr



# Dashboards: what they look like.

DASHBOARD_FOLDER = ROOT / 'docker' / 'grafana' / 'dashboards'
DASHBOARDS = sorted(DASHBOARD_FOLDER.glob('*.json'))
PANELS = ('stat', 'gauge', 'timeseries', 'table')
UNITS = ('none', 'short', 'percentunit', 's', 'bytes', 'Bps', 'reqps', 'ops', 'cps', 'pps')
SOURCE = {'type': 'prometheus', 'uid': '${datasource}'}
# What the document of AgentOS asks for.
AGENTOS = {
    'Overview': ['stat A2A Requests (5m)', 'stat A2A p95 Latency', 'stat A2A Error Rate', 'stat Active Tasks',
                 'stat CCR Tokens (1h)', 'stat Rate Limit Denials'],
    'A2A Request Metrics': ['timeseries Request Rate by Agent', 'timeseries Request Duration Percentiles',
                            'timeseries Active Tasks by Agent', 'timeseries Success vs Error Rate'],
    'CCR Provider Metrics': ['timeseries Request Rate by Provider', 'timeseries Token Usage by Provider',
                             'timeseries Request Latency by Provider', 'timeseries Requests by Task Type'],
    'Rate Limiting & Cache': ['timeseries Rate Limit Decisions', 'timeseries Cache Hit/Miss Rate',
                              'gauge Cache Hit Ratio', 'timeseries Cache Latency by Operation'],
}


def load(path):
    return json.loads(path.read_text())


def panels(dashboard):
    """Without the headers of rows."""
    return [panel for panel in dashboard['panels'] if panel['type'] != 'row']


def expressions(dashboard):
    return [target['expr'] for panel in panels(dashboard) for target in panel['targets']]


def faults(name, dashboard):
    """-> what Grafana would stumble over, or show wrongly"""
    found = [] if dashboard['uid'] == name else ['uid is not "%s"' % name]
    if dashboard['schemaVersion'] < 36 or '__inputs' in dashboard or 'id' in dashboard:
        found.append('not to be imported by Grafana 10')
    source, *others = dashboard['templating']['list']
    if [source[key] for key in ('name', 'type', 'query')] != ['datasource', 'datasource', 'prometheus']:
        found.append('the first variable is not the data source')
    if any(variable.get('datasource') != SOURCE for variable in others):
        found.append('a variable has a data source of its own')
    ids = [panel['id'] for panel in dashboard['panels']]
    if len(ids) != len(set(ids)):
        found.append('ids are not unique')
    known = {variable['name'] for variable in dashboard['templating']['list']} | {'__rate_interval'}
    for panel in panels(dashboard):
        found += ['%s: %s' % (panel['title'], fault) for fault in faults_of_panel(panel, known)]
    taken = {}
    for panel in dashboard['panels']:
        at = panel['gridPos']
        cells = itertools.product(range(at['x'], at['x'] + at['w']), range(at['y'], at['y'] + at['h']))
        over = {taken.setdefault(cell, panel['id']) for cell in cells} - {panel['id']}
        if over or at['x'] + at['w'] > 24:
            found.append('%s: overlaps, or leaves the grid' % panel['title'])
    return found


def faults_of_panel(panel, known):
    if panel['type'] not in PANELS:
        yield 'unknown type'
    if panel['datasource'] != SOURCE:
        yield 'has a data source of its own'
    if panel['fieldConfig']['defaults']['unit'] not in UNITS:
        yield 'unknown unit'
    names = [target['refId'] for target in panel['targets']]
    if not names or len(names) != len(set(names)):
        yield 'targets are not told apart'
    for target in panel['targets']:
        if set(re.findall(r'\$\{?(\w+)', target['expr'])) - known:
            yield 'unknown variable'
        if re.search(r'rate\([^$]*?\[\d', target['expr']) and panel['type'] == 'timeseries':
            yield 'a fixed window over time'


def test_every_system_has_a_dashboard():
    names = {path.stem for path in DASHBOARDS}
    assert names == {*SYSTEMS, 'conduit-manager', 'conduit-gateway', 'conduit-agent'} - {'conduit'}


@pytest.mark.parametrize('path', DASHBOARDS, ids=name_of)
def test_dashboard_has_no_fault(path):
    assert faults(path.stem, load(path)) == []


def test_dashboard_of_agentos_has_what_its_document_promises():
    found = {}
    for panel in load(DASHBOARD_FOLDER / 'agentos.json')['panels']:
        if panel['type'] == 'row':
            section = found.setdefault(panel['title'], [])
        else:
            section.append('%s %s' % (panel['type'], panel['title']))
    assert found == AGENTOS


def change(dashboard, what):
    first = panels(dashboard)[0]
    what(dashboard, first, first['targets'][0])


@pytest.mark.parametrize('what, fault', [
    (lambda dashboard, panel, target: dashboard.update(uid='other'), 'uid is not'),
    (lambda dashboard, panel, target: dashboard.update(schemaVersion=16), 'not to be imported'),
    (lambda dashboard, panel, target: dashboard['templating']['list'].reverse(), 'the first variable'),
    (lambda dashboard, panel, target: dashboard['templating']['list'][1].pop('datasource'), 'a variable has'),
    (lambda dashboard, panel, target: panel.update(id=1), 'ids are not unique'),
    (lambda dashboard, panel, target: panel.update(type='graph'), 'unknown type'),
    (lambda dashboard, panel, target: panel.update(datasource={'type': 'prometheus', 'uid': 'mine'}), 'of its own'),
    (lambda dashboard, panel, target: panel['gridPos'].update(w=5), 'overlaps'),
    (lambda dashboard, panel, target: panel['gridPos'].update(y=500, x=22), 'leaves the grid'),
    (lambda dashboard, panel, target: panel['fieldConfig']['defaults'].update(unit='hours'), 'unknown unit'),
    (lambda dashboard, panel, target: panel['targets'].append(target), 'not told apart'),
    (lambda dashboard, panel, target: target.update(expr='x{a="$nobody"}'), 'unknown variable'),
])
def test_fault_is_found(what, fault):
    dashboard = load(DASHBOARD_FOLDER / 'agentos.json')
    change(dashboard, what)
    assert any(fault in each for each in faults('agentos', dashboard))


# Dashboards and rules: what they ask is there once every pack's tables have been sent.

# What queries ask for and the tables do not have.
LINES = '''
this line is refused
a2a_requests_total:1|c|#agent:navi,operation:query,status:error
ccr_requests_total:1|c|#provider:claude,task_type:code,status:error
appproxy_route_requests_total:1|c|#circuit_id:5f0c2a,session_id:a81b,worker_authority:worker-1,code:502
appproxy_target_updates_total:1|c|#component:worker,operation:register,result:failure
traefik.service.request.total:1|c|#code:200,method:GET,protocol:http,service:bai_service_5f0c2a@etcd
manager_auth_requests_total:1|c|#status:failure,method:password
manager_db_queries_total:1|c|#operation:select,table:servers,status:error
agent_bmc_operations_total:1|c|#bmc_type:redfish,operation:power,status:failure
'''
# What each component of Conduit sends alike.
CONDUIT = '''
{0}_http_requests_total:1|c|#method:GET,endpoint:/,status_code:503
{0}_rpc_calls_total:1|c|#service:Power,method:On,status:error
go_goroutines:12|g|#component:{0}
go_threads:7|g|#component:{0}
go_gc_duration_seconds:0.001|h|#component:{0}
go_memstats_alloc_bytes:1000000|g|#component:{0}
go_memstats_heap_inuse_bytes:2000000|g|#component:{0}
process_cpu_seconds_total:0.5|c|#component:{0}
process_resident_memory_bytes:9000000|g|#component:{0}
process_open_fds:9|g|#component:{0}
process_start_time_seconds:1700000000|g|#component:{0}
'''
WORDS = {'or', 'and', 'unless', 'offset', 'bool'}
SELECTOR = re.compile(r'(?<![\w"$.])([a-z_:][a-z0-9_:]*)\b(?!\s*\()(\{[^}]*\})?')
GROUPING = re.compile(r'\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)')


def filled_in(expression):
    """An expression of a dashboard with its variables filled in."""
    return re.sub(r'\$\w+', '.*', expression.replace('$__rate_interval', '1m'))


def selectors(expression):
    """The series that an expression asks for; what recording rules make is left out."""
    found = {name + (matchers or '') for name, matchers in SELECTOR.findall(GROUPING.sub('', expression)) if name not in WORDS}
    return {selector for selector in found if ':' not in selector.split('{')[0]}


def quick_config():
    """The stack's own configuration, with the bridge on a port of this machine, and in a hurry."""
    config = load_yaml(PROMETHEUS / 'prometheus.yml')
    config['global'] = {key: '1s' for key in config['global']}
    config['rule_files'] = [str(PROMETHEUS / pattern) for pattern in config['rule_files']]
    text = yaml.safe_dump(config)
    assert text.count('bridge:9102') == 2
    return re.sub('refresh_interval: .*', 'refresh_interval: 1s', text.replace('bridge:9102', '127.0.0.1:%d'))


def register(bridge, port):
    """What AppProxy would: its own page, and a container's. Here both are on one port. One change is refused."""
    labels = [{'component': 'coordinator'},
              {'circuit_id': '5f0c2a', 'session_id': 'a81b', 'worker_authority': 'worker-1'}]
    for name, each in zip(('coordinator', 'circuit.5f0c2a'), labels):
        document = json.dumps([{'targets': ['127.0.0.1:%d' % port], 'labels': each}])
        assert bridge.request('PUT', '/api/v1/targets/' + name, body=document).status == 201
    assert bridge.request('PUT', '/api/v1/targets/circuit.5f0c2a', body='[{}]').status == 400


# Tests run in several processes; these in one, so that they share the stack.
one_stack = pytest.mark.xdist_group('stack')


@pytest.fixture(scope='module')
def stack(tmp_path_factory):
    """-> a Prometheus that has scraped, twice, a bridge that was sent everything, twice"""
    packs = find_packs().values()
    directory = tmp_path_factory.mktemp('stack')
    lines = [line for pack in packs for table in pack.tables for block in table.blocks for line in block.lines]
    lines += LINES.strip().split('\n')
    for component in ('manager', 'gateway', 'agent'):
        lines += CONDUIT.format(component).strip().split('\n')
    lines.append('everything_sent:1|c')
    Authority(directory).issue('server')
    tls = directory / 'statsd.yml'
    tls.write_text('tls_server_config: {cert_file: server.crt, key_file: server.key}\n')
    bridge = Bridge(directory, ['--no-web.process-metrics', '--web.enable-target-api', *(pack.flag for pack in packs),
                                '--sd.state-file=%s' % (directory / 'targets'),
                                '--statsd.tls-config-file=%s' % tls,
                                '--remote-write.url=http://127.0.0.1:%d/' % free_port()])
    prometheus = None
    try:
        bridge.await_ready()
        prometheus = Prometheus(directory, bridge.web, quick_config())
        register(bridge, prometheus.port)
        for turn in range(1, 3):
            # One connection: what the tables send in the wrong type must come in its turn.
            bridge.send_unixstream('\n'.join(lines) + '\n')
            await_condition(lambda: prometheus.query('everything_sent') == {(): turn}, 'a scrape of everything')
        await_condition(lambda: len(prometheus.query('up{job="targets"} == 1')) == 2, 'a scrape of what is registered')
        yield prometheus
    finally:
        if prometheus:
            prometheus.stop()
        bridge.stop()


@one_stack
def test_every_rule_can_be_evaluated(stack):
    def rules():
        return [rule for group in stack.get('rules')['groups'] for rule in group['rules']]

    await_condition(lambda: all(rule['health'] == 'ok' for rule in rules()), 'every rule to be evaluated')
    assert len(rules()) == sum(len(group['rules']) for path in RULES for group in groups(path))


def without_data(prometheus, dashboard):
    """-> the queries of a dashboard that show nothing"""
    return [expression for expression in expressions(dashboard)
            if all(map(math.isnan, prometheus.query(filled_in(expression)).values()))]


@one_stack
@pytest.mark.parametrize('path', DASHBOARDS, ids=name_of)
def test_every_query_returns_data(stack, path):
    dashboard = load(path)
    assert without_data(stack, dashboard) == []
    for variable in dashboard['templating']['list'][1:]:
        metric, label = re.fullmatch(r'label_values\((\w+), (\w+)\)', variable['query']['query']).groups()
        assert stack.get('label/%s/values' % label, **{'match[]': metric}), variable['name']


@one_stack
@pytest.mark.parametrize('path', DASHBOARDS + RULES, ids=lambda path: path.name)
def test_every_selector_finds_series(stack, path):
    """Also one whose absence the query would not show."""
    asked = map(filled_in, expressions(load(path))) if path.suffix == '.json' else \
        [rule['expr'] for group in groups(path) for rule in group['rules']]
    wanted = set().union(*map(selectors, asked))
    absent = sorted(selector for selector in wanted if not stack.query('count(%s)' % selector))
    assert wanted and not absent, 'not there:\n' + '\n'.join(absent)


def test_bridge_alone_shows_zeros(start_bridge, tmp_path):
    """What has never been is 0, not an empty panel. Without a mapping file there is no limit of label values to show."""
    bridge = start_bridge()
    prometheus = Prometheus(tmp_path, bridge.web, quick_config())
    dashboard = load(DASHBOARD_FOLDER / 'statsbridge.json')

    def empty_panels():
        bridge.send_udp('lines:1|c')
        silent = without_data(prometheus, dashboard)
        return [panel['title'] for panel in panels(dashboard) if all(target['expr'] in silent for target in panel['targets'])]

    try:
        await_equal(empty_panels, ['Label Values against max_values'])
    finally:
        prometheus.stop()


# Panels that divide one series by another, where the one has never been.

@pytest.mark.parametrize('dashboard, title, there, value', [
    ('agentos', 'Cache Hit Ratio', 'cache_operations_total{operation="get",result="miss"}', 0),
    ('agentos', 'A2A Error Rate', 'a2a_requests_total{agent="navi",operation="run",status="success"}', 0),
    ('agentcube', 'Creation Failures', 'agentcube_sandbox_create_total{kind="AgentRuntime",status="success"}', 0),
    ('agentcube', 'Proxy Errors', 'agentcube_router_request_duration_seconds_count{kind="AgentRuntime"}', 0),
    ('appproxy', 'Server Errors', 'appproxy_route_requests_total{circuit_id="a",session_id="1",worker_authority="w",code="200"}', 0),
    ('conduit-manager', 'HTTP Success', 'manager_http_requests_total{method="GET",endpoint="/",status_code="200"}', 1),
    ('conduit-manager', 'RPC Success', 'manager_rpc_calls_total{service="s",method="m",status="success"}', 1),
    ('conduit-gateway', 'HTTP Success', 'gateway_http_requests_total{method="GET",endpoint="/",status_code="200"}', 1),
    ('conduit-gateway', 'RPC Success', 'gateway_rpc_calls_total{service="s",method="m",status="success"}', 1),
    ('conduit-agent', 'HTTP Success', 'agent_http_requests_total{method="GET",endpoint="/",status_code="200"}', 1),
    ('conduit-agent', 'RPC Success', 'agent_rpc_calls_total{service="s",method="m",status="success"}', 1),
    ('statsbridge', 'Lines Refused', 'statsbridge_lines_total{instance="a"}', 0),
    ('statsbridge', 'Samples Dropped', 'statsbridge_samples_total{instance="a"}', 0),
])
def test_quotient_is_shown_without_one_of_its_parts(tmp_path, dashboard, title, there, value):
    (panel,) = [panel for panel in panels(load(DASHBOARD_FOLDER / (dashboard + '.json'))) if panel['title'] == title]
    (target,) = panel['targets']
    test = {'expr': filled_in(target['expr']), 'eval_time': '5m', 'exp_samples': [{'labels': '{}', 'value': value}]}
    case = {'interval': '1m', 'input_series': [{'series': there, 'values': '0+1x9'}], 'promql_expr_test': [test]}
    (tmp_path / 'test.yml').write_text(yaml.safe_dump({'tests': [case]}))
    done = promtool('test', 'rules', tmp_path / 'test.yml')
    assert done.returncode == 0, done.stdout + done.stderr


# Dashboards and the example programs: whoever starts the stack of docker/ sees something in every panel. Nothing is
# refused, dropped or in conflict there.

AGENT_IMAGES = {'statsbridge-agents-go': lambda name: [ROOT / 'build' / 'agents' / name],
                'statsbridge-agents-python': lambda name: [sys.executable, '-m', name]}


def start_programs(bridge):
    """Starts those of the compose file, as it does, but for addresses and paths. -> the processes"""
    here = {'http://bridge:9102': 'http://127.0.0.1:%d' % bridge.web, 'bridge:9125': '127.0.0.1:%d' % bridge.udp,
            'appproxy:8000': '127.0.0.1:%d' % free_port(), '/var/lib/statsbridge': str(bridge.directory)}
    started = []
    for service in services().values():
        if service['image'] in AGENT_IMAGES:
            name, *options = service['command']
            for there, address in here.items():
                options = [option.replace(there, address) for option in options]
            started.append(subprocess.Popen([*AGENT_IMAGES[service['image']](name), *options], cwd=ROOT / 'tests' / 'agents',
                                            env={**CLIENT_ENVIRONMENT, **service.get('environment', {})}))
    return started


# They run in one process, so that they share the programs.
one_example = pytest.mark.xdist_group('example')


@pytest.fixture(scope='module')
def example(tmp_path_factory):
    """-> a Prometheus that scrapes a bridge to which the example programs send"""
    directory = tmp_path_factory.mktemp('example')
    bridge = Bridge(directory, bridge_flags(directory))
    programs, prometheus = [], None
    try:
        bridge.await_ready()
        programs = start_programs(bridge)
        prometheus = Prometheus(directory, bridge.web, quick_config())
        yield prometheus
    finally:
        for program in programs:
            program.terminate()
        ended = [program.wait(PATIENCE) for program in programs]
        if prometheus:
            prometheus.stop()
        bridge.stop()
    assert ended == [0] * 5


@one_example
@pytest.mark.parametrize('path', DASHBOARDS, ids=name_of)
def test_example_programs_fill_every_panel(example, path):
    await_equal(lambda: without_data(example, load(path)), [])


@one_example
@pytest.mark.parametrize('system, alert', [('conduit', 'ConduitComponentDown'), ('gui-agents', 'GuiAgentsDown')])
def test_example_programs_do_not_look_dead(example, system, alert):
    (rule,) = [rule for rule in alerts(PROMETHEUS / 'rules' / (system + '.yml')) if rule['alert'] == alert]
    (metric,) = {name.split('{')[0] for name in selectors(rule['expr'])}
    await_condition(lambda: example.query(metric), 'a scrape of what tells that they live')
    await_equal(lambda: example.query(rule['expr']), {})
