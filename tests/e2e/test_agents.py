"""The example programs of tests/agents, end to end: program -> bridge with the system's pack -> Prometheus.

Each sends its system's whole catalogue once, with known values, in either form. Here stands what must come of it:
exactly these series at the bridge, and the same by PromQL. A row of AGENTS is a system.
"""
import asyncio
import runpy
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from bridge import (CLIENT_ENVIRONMENT, LABEL, ROOT, await_condition, await_equal, differences, free_port, observed,
                    series_name)
from pack import BOUND_LABEL, PARTS, find_packs
from promql import Prometheus

pytestmark = pytest.mark.packs

FORMS = ['tags', 'plain']
PACKS = find_packs()
PROGRAMS = ROOT / 'tests' / 'agents'


class Expected:
    """The series that must come of a pack's catalogue. `clocked` are those whose value a clock decides."""

    def __init__(self, pack):
        self.pack, self.series, self.clocked = pack, {}, set()

    def value(self, name, value, **labels):
        self.series[series_name(name, labels)] = value

    def histogram(self, name, values, **labels):
        self.series.update(observed(name, values, map(float, self.pack.catalogue[name].bounds), labels))

    def summary(self, name, values, quantiles, **labels):
        for quantile, value in quantiles.items():
            self.value(name, value, quantile=quantile, **labels)
        self.value(name + '_sum', sum(values), **labels)
        self.value(name + '_count', len(values), **labels)

    def problems(self):
        """-> where it is not what the catalogue promises"""
        shown = {}
        for series in self.series:
            name, _, rest = series.partition('{')
            labels = dict(LABEL.findall(rest.rstrip('}')))
            metric = self.pack.family_of(name)
            if metric is None:
                yield 'the catalogue has no %s' % name
                continue
            bound = labels.pop(BOUND_LABEL.get(self.pack.catalogue[metric].type), None)
            shown.setdefault(metric, {}).setdefault(frozenset(labels), set()).add(bound)
        for metric, entry in self.pack.catalogue.items():
            bounds = {None, *entry.bounds, *(['+Inf'] if entry.type == 'histogram' else [])}
            if shown.get(metric) != {entry.labels: bounds}:
                yield '%s is shown with %s' % (metric, shown.get(metric))

    def differences(self, got):
        return differences({name: self.series[name] if name in self.clocked else value for name, value in got.items()},
                           self.series)

    def timed(self, name, times=1, **labels):
        """A histogram with durations of which only that they were measured is known."""
        series = observed(name, [0] * times, map(float, self.pack.catalogue[name].bounds), labels)
        self.series.update(series)
        known = (series_name(name + '_count', labels), series_name(name + '_bucket', {**labels, 'le': '+Inf'}))
        self.clocked.update(set(series) - set(known))

    def measured(self, name, **labels):
        """A metric of which only that it is there is known."""
        entry = self.pack.catalogue[name]
        if entry.type == 'summary':
            self.summary(name, [], dict.fromkeys(entry.bounds, 0), **labels)
        else:
            self.value(name, 0, **labels)
        self.clocked.update(series for series in self.series if self.pack.family_of(series.split('{')[0]) == name)


def python_agent(name, **environment):
    return [sys.executable, '-m', name], PROGRAMS, environment


def go_agent(name):
    return [ROOT / 'build' / 'agents' / name], PROGRAMS, {}


def agentcube(want):
    want.histogram('agentcube_sandbox_create_duration_seconds', [12], kind='AgentRuntime', status='success')
    want.histogram('agentcube_sandbox_create_duration_seconds', [45], kind='CodeInterpreter', status='failure')
    want.value('agentcube_sandbox_create_total', 1, kind='AgentRuntime', status='success')
    want.value('agentcube_sandbox_create_total', 1, kind='CodeInterpreter', status='failure')
    want.value('agentcube_sandbox_delete_total', 1, kind='AgentRuntime')
    want.value('agentcube_sandbox_rollback_total', 1)
    want.histogram('agentcube_gc_cycle_duration_seconds', [0.25, 2])
    want.value('agentcube_gc_sandboxes_reclaimed_total', 2, reason='expired')
    want.value('agentcube_gc_sandboxes_reclaimed_total', 1, reason='inactive')
    want.value('agentcube_gc_errors_total', 1)
    want.timed('agentcube_router_request_duration_seconds', times=4, kind='CodeInterpreter')
    want.timed('agentcube_router_request_duration_seconds', kind='AgentRuntime')
    for category in 'connection_refused', 'timeout', 'other':
        want.value('agentcube_router_proxy_errors_total', 1, category=category)
    want.value('agentcube_router_concurrent_requests', 1)
    want.value('agentcube_router_session_create_total', 1)


def conduit(want):
    conduit_manager(want)
    conduit_gateway(want)
    conduit_agent(want)
    for component in 'manager', 'gateway', 'agent':
        for name in want.pack.catalogue:
            if name.startswith(('go_', 'process_')):
                want.measured(name, component=component)


def conduit_manager(want):
    for status in 'success', 'failure':
        want.value('manager_auth_requests_total', 1, status=status, method='password')
    want.histogram('manager_auth_duration_seconds', [0.08, 3], method='password')
    want.value('manager_token_validations_total', 2, status='valid')
    want.value('manager_token_validations_total', 1, status='expired')
    want.value('manager_active_tokens', 7)
    want.value('manager_servers_total', 40, customer_id='acme', datacenter='fra-1', status='active')
    want.value('manager_server_operations_total', 1, operation='create', status='success')
    want.histogram('manager_server_operation_duration_seconds', [0.12], operation='create')
    want.value('manager_gateways_total', 2, datacenter='fra-1', status='active')
    want.value('manager_gateway_registrations_total', 1, status='success')
    want.value('manager_db_connections', 0)
    for operation, status, seconds in ('select', 'success', 0.002), ('insert', 'failure', 0.6):
        want.value('manager_db_queries_total', 1, operation=operation, table='servers', status=status)
        want.histogram('manager_db_query_duration_seconds', [seconds], operation=operation, table='servers')
    conduit_server(want, 'manager', ('GET', '/health', '200', 0.001), ('BMCService', 'GetServer', 0.03))


def conduit_gateway(want):
    want.value('gateway_agents_total', 3, datacenter='fra-1', status='connected')
    want.value('gateway_agent_registrations_total', 1, datacenter='fra-1', status='success')
    want.value('gateway_agent_heartbeats_total', 1, agent_id='agent-7', status='success')
    want.value('gateway_agent_last_heartbeat_seconds', 0.5, agent_id='agent-7')
    for kind, lasted, took in ('sol', 1200, 0.2), ('vnc', 18000, 0.4):
        want.value('gateway_sessions_total', 0, type=kind, customer_id='acme')
        want.value('gateway_websocket_connections_total', 0, type=kind)
        for operation in 'create', 'close':
            want.value('gateway_session_operations_total', 1, operation=operation, type=kind, status='success')
        want.histogram('gateway_session_duration_seconds', [lasted], type=kind)
        want.histogram('gateway_session_creation_duration_seconds', [took], type=kind)
    for direction, size in ('outbound', 512), ('inbound', 2048):
        want.value('gateway_websocket_bytes_transmitted_total', size, type='sol', direction=direction)
        want.value('gateway_websocket_messages_total', 1, type='sol', direction=direction)
    want.value('gateway_websocket_errors_total', 1, type='vnc', error_type='closed_early')
    for operation, status, seconds in ('power_on', 'success', 1.5), ('power_off', 'failure', 31):
        want.value('gateway_bmc_operations_total', 1, operation=operation, status=status)
        want.histogram('gateway_bmc_operation_duration_seconds', [seconds], operation=operation)
    want.value('gateway_proxy_errors_total', 1, error_type='agent_unreachable')
    conduit_server(want, 'gateway', ('POST', '/sessions', '201', 0.02), ('GatewayService', 'CreateSession', 0.21))


def conduit_agent(want):
    want.value('agent_discovery_cycles_total', 1, status='success')
    want.value('agent_discovery_cycles_total', 1, status='failure')
    want.histogram('agent_discovery_duration_seconds', [4, 61])
    want.value('agent_servers_discovered', 12, bmc_type='redfish')
    want.value('agent_discovery_errors_total', 1, error_type='network')
    want.value('agent_gateway_registrations_total', 1, status='success')
    want.histogram('agent_gateway_registration_duration_seconds', [0.04])
    want.value('agent_heartbeats_sent_total', 1, status='success')
    want.value('agent_gateway_connection_status', 1)
    for bmc_type, operation, status, seconds in ('redfish', 'power_on', 'success', 0.8), ('ipmi', 'power_off', 'failure', 30):
        want.value('agent_bmc_operations_total', 1, bmc_type=bmc_type, operation=operation, status=status)
        want.histogram('agent_bmc_operation_duration_seconds', [seconds], bmc_type=bmc_type, operation=operation)
    want.value('agent_bmc_connection_errors_total', 1, bmc_type='ipmi', error_type='timeout')
    want.value('agent_sol_sessions_total', 0, server_id='srv-42')
    want.value('agent_sol_bytes_total', 2048, direction='inbound')
    want.value('agent_sol_bytes_total', 512, direction='outbound')
    want.value('agent_sol_reconnections_total', 1, server_id='srv-42', status='success')
    want.value('agent_sol_errors_total', 1, error_type='read')
    want.value('agent_vnc_sessions_total', 0, server_id='srv-42')
    want.value('agent_vnc_bytes_total', 65536, direction='inbound')
    want.value('agent_vnc_connection_errors_total', 1, error_type='refused')
    conduit_server(want, 'agent', ('GET', '/health', '200', 0.001), ('AgentService', 'ListServers', 0.006))


def conduit_server(want, component, request, call):
    method, endpoint, code, seconds = request
    want.value(component + '_http_requests_total', 1, method=method, endpoint=endpoint, status_code=code)
    want.histogram(component + '_http_request_duration_seconds', [seconds], method=method, endpoint=endpoint)
    service, method, seconds = call
    want.value(component + '_rpc_calls_total', 1, service=service, method=method, status='success')
    want.histogram(component + '_rpc_call_duration_seconds', [seconds], service=service, method=method)


def agentos(want):
    want.value('agentos_info', 1, version='v0-2-0', protocols='a2a-0-3-0', service='agentos')
    want.histogram('a2a_request_duration_seconds', [0.25], agent='navi', operation='query', status='success')
    want.histogram('a2a_request_duration_seconds', [1.5], agent='navi', operation='run', status='error')
    want.value('a2a_requests_total', 1, agent='navi', operation='query', status='success')
    want.value('a2a_requests_total', 1, agent='navi', operation='run', status='error')
    want.value('a2a_active_tasks', 1, agent='navi')
    want.histogram('a2a_response_size_bytes', [1024], agent='navi')
    want.value('cache_operations_total', 1, operation='get', result='hit')
    want.value('cache_operations_total', 1, operation='get', result='miss')
    want.histogram('cache_latency_seconds', [0.002, 0.03], operation='get')
    for result, times in ('allowed', 1), ('denied', 3):
        want.value('rate_limit_hits_total', times, endpoint='/agents/approval/runs', workspace_id='ws-1', result=result)
    want.value('ccr_requests_total', 1, provider='claude', task_type='code', status='success')
    want.histogram('ccr_latency_seconds', [0.5], provider='claude')
    want.value('ccr_tokens_total', 1500, provider='claude', direction='input')
    want.value('ccr_tokens_total', 400, provider='claude', direction='output')


def gui_agents(want):
    for status, times in ('pending', 1), ('running', 1), ('completed', 2), ('failed', 1):
        want.value('agent_tasks_created_total', times, status=status)
    want.value('agent_tasks_active', 1)
    want.histogram('agent_task_execution_duration_seconds', [42])
    want.histogram('agent_task_queue_wait_duration_seconds', [0.75])
    want.value('agent_task_utilization', 0.25)
    for method, times in ('QueryTaskStatus', 2), ('CancelTask', 1), ('GetAgentInfo', 1):
        want.value('agent_grpc_requests_total', times, method=method)
    want.histogram('agent_grpc_request_duration_seconds', [0.02, 0.3], method='QueryTaskStatus')
    want.histogram('agent_grpc_request_duration_seconds', [0.004], method='CancelTask')
    want.timed('agent_grpc_request_duration_seconds', method='GetAgentInfo')
    want.value('agent_grpc_errors_total', 1, method='CancelTask', status_code='NOT_FOUND')
    want.value('agent_grpc_stream_connections', 1, method='GetTaskStream')
    for kind, tokens in ('input', 1500), ('output', 500), ('total', 2000):
        want.value('agent_tokens_consumed_total', tokens, type=kind)
    want.value('agent_execution_cost_total', 0.25, currency='USD')
    want.value('agent_sandbox_created_total', 1, sandbox_type='Linux')
    want.value('agent_proxy_steps_total', 12)
    want.histogram('agent_task_steps', [12])
    want.value('agent_memory_usage_bytes', 268435456)
    want.value('agent_temp_files_count', 4)
    want.value('agent_stream_manager_tasks', 2)
    want.value('agent_task_success_rate', 0.75)
    want.summary('agent_task_latency_seconds', [1.5, 2.5, 40], {'0.5': 2.5, '0.95': 40, '0.99': 40})
    want.measured('agent_service_uptime_seconds')
    want.value('agent_config_updates_total', 1, config_type='global')


def appproxy(want):
    route = {'circuit_id': '5f0c2a', 'session_id': 'a81b', 'worker_authority': 'worker-1'}
    for circuit_id in '5f0c2a', '77aa01':
        want.value('appproxy_circuit_info', 1, circuit_id=circuit_id, worker_authority='worker-1',
                   service='bai_service_' + circuit_id)
    want.value('appproxy_circuits_active', 1, worker_authority='worker-1')
    for change, times in ('created', 2), ('updated', 1), ('deleted', 1):
        want.value('appproxy_circuit_changes_total', times, worker_authority='worker-1', change=change)
    want.value('appproxy_route_healthy', 1, **route)
    want.value('appproxy_route_healthy', 1, **{**route, 'session_id': 'b92d'})
    want.value('appproxy_route_healthy', 1, **{**route, 'circuit_id': '77aa01', 'session_id': 'c03e'})
    want.value('appproxy_route_requests_total', 2, code='200', **route)
    want.value('appproxy_route_requests_total', 1, code='502', **route)
    want.histogram('appproxy_route_request_duration_seconds', [0.04, 0.3, 7], **route)
    for component, operation, times in [('coordinator', 'register', 3), ('coordinator', 'replace', 1),
                                        ('coordinator', 'deregister', 1), ('worker', 'register', 2)]:
        want.value('appproxy_target_updates_total', times, component=component, operation=operation, result='success')


class Agent(NamedTuple):
    """A system. `program` is command, working directory and environment; `expect` fills in an Expected; `moved` are the
    gauges that go up and down, and `rising` series that only go up. `flags` are what the bridge needs besides the pack, and `options` is what the program
    needs to know of the bridge besides --address."""
    system: str
    program: tuple
    expect: callable
    moved: tuple = ()
    flags: tuple = ()
    options: callable = lambda bridge: ()
    rising: tuple = ()

    @property
    def pack(self):
        return PACKS[self.system]

    def expected(self):
        want = Expected(self.pack)
        self.expect(want)
        return want

    def start(self, bridge, form, *options, **environment):
        command, directory, own_environment = self.program
        return subprocess.Popen([*command, '--form=' + form, '--address=127.0.0.1:%d' % bridge.udp,
                                 *self.options(bridge), *options],
                                cwd=directory, env={**CLIENT_ENVIRONMENT, **own_environment, **environment},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, bridge, form, **environment):
        program = self.start(bridge, form, **environment)
        output, _ = program.communicate(timeout=60)
        assert program.returncode == 0 and not output, output


AGENTS = [
    Agent('agentcube', go_agent('agentcube'), agentcube, ('agentcube_router_concurrent_requests',)),
    Agent('agentos', python_agent('agentos'), agentos, ('a2a_active_tasks',)),
    Agent('appproxy', python_agent('appproxy'), appproxy, ('appproxy_circuits_active',), ('--web.enable-target-api',),
          lambda bridge: ['--registry=http://127.0.0.1:%d' % bridge.web]),
    Agent('conduit', go_agent('conduit'), conduit,
          ('gateway_sessions_total', 'manager_db_connections', 'agent_sol_sessions_total'), ('--no-web.process-metrics',)),
    Agent('gui-agents', python_agent('gui-agents', ENABLE_PROMETHEUS='true'), gui_agents,
          ('agent_grpc_stream_connections',), rising=('agent_service_uptime_seconds',)),
]

each_agent = pytest.mark.parametrize('agent', AGENTS, ids=lambda agent: agent.system)
each_form = pytest.mark.parametrize('form', FORMS)


@pytest.fixture
def start_with(start_bridge):
    """Starts a bridge with an agent's pack."""
    return lambda agent: start_bridge(agent.pack.flag, *agent.flags)


def assert_nothing_lost(bridge):
    scrape = bridge.scrape()
    scrape.assert_books()
    for name in 'events_unmapped_total', 'samples_dropped_total', 'lines_refused_total', 'tag_errors_total':
        assert scrape.own_sum(name) == 0, name


@each_agent
@each_form
def test_catalogue(start_with, tmp_path, agent, form):
    want = agent.expected()
    assert list(want.problems()) == []
    bridge = start_with(agent)
    agent.run(bridge, form)
    await_equal(lambda: want.differences(bridge.scrape().users()), [])
    assert_nothing_lost(bridge)

    prometheus = Prometheus(tmp_path, bridge.web)
    try:
        await_equal(lambda: want.differences(by_promql(prometheus, agent.pack)), [])
        kinds = {name: entries[0]['type'] for name, entries in prometheus.get('metadata').items()}
    finally:
        prometheus.stop()
    assert {name: kinds.get(name) for name in agent.pack.catalogue} == \
        {name: entry.type for name, entry in agent.pack.catalogue.items()}


def by_promql(prometheus, pack):
    """-> all series of a catalogue, asked for by name"""
    return {series_name(name + part, dict(labels)): value
            for name, entry in pack.catalogue.items() for part in PARTS.get(entry.type, ('',))
            for labels, value in prometheus.query(name + part).items()}


@each_agent
def test_forms_reach_the_same_series(start_with, agent):
    """Counters and histograms show both, and there is no series that only one form makes."""
    want = agent.expected()
    bridge = start_with(agent)
    for form in FORMS:
        agent.run(bridge, form)
    grows = {name for name in want.series if adds_up(agent.pack, name) and name not in want.clocked}
    assert grows
    await_equal(lambda: {name: value for name, value in bridge.scrape().users().items() if name in grows},
                {name: 2 * want.series[name] for name in grows})
    assert set(bridge.scrape().users()) == set(want.series)
    assert_nothing_lost(bridge)


def adds_up(pack, series):
    name = series.partition('{')[0]
    metric = pack.family_of(name)
    return pack.catalogue[metric].type == 'counter' or name in (metric + '_bucket', metric + '_count')


@each_form
@pytest.mark.parametrize('first, second', [('conduit', 'gui-agents'), ('gui-agents', 'conduit')])
def test_two_systems_with_one_prefix(start_bridge, first, second, form):
    """agent_ is the prefix of both. At one bridge with both packs each makes its own series, in either order."""
    agents = [by_system(first), by_system(second)]
    bridge = start_bridge(*(agent.pack.flag for agent in agents), *(flag for agent in agents for flag in agent.flags))
    for agent in agents:
        agent.run(bridge, form)
    one, other = (agent.expected() for agent in agents)
    assert not one.series.keys() & other.series.keys()

    def differ():
        got = bridge.scrape().users()
        return [*one.differences({name: value for name, value in got.items() if name not in other.series}),
                *other.differences({name: value for name, value in got.items() if name not in one.series})]

    await_equal(differ, [])
    assert_nothing_lost(bridge)


@each_agent
@each_form
def test_without_its_pack(start_bridge, agent, form):
    """It is the pack that makes the catalogue: without it the same lines are counted as unmapped."""
    bridge = start_bridge(*agent.flags)
    agent.run(bridge, form)
    scrape = await_condition(lambda: is_at_rest(bridge, len(agent.pack.catalogue)), 'the lines')
    assert scrape.own('events_unmapped_total') == scrape.own('samples_total')
    assert agent.expected().differences(scrape.users())


def is_at_rest(bridge, least):
    scrape = bridge.scrape()
    return scrape.own('samples_total') >= least and scrape.own('samples_total') == scrape.own('samples_applied_total') \
        and scrape


@each_agent
@each_form
def test_loop(start_with, agent, form):
    """Rounds go on until SIGTERM, which ends the program properly; what goes up comes down."""
    bridge = start_with(agent)
    program = agent.start(bridge, form, '--loop', '--every=0.01')
    counter = next(name for name, value in agent.expected().series.items() if adds_up(agent.pack, name) and value == 1)
    try:
        scrape = await_condition(lambda: has_reached(bridge.scrape(), counter, 5, agent.moved), 'the fifth round')
        for series in agent.rising:
            before = bridge.scrape().users()[series]
            await_condition(lambda: bridge.scrape().users()[series] > before, series + ' to rise')
    finally:
        program.terminate()
    output, _ = program.communicate(timeout=60)
    assert program.returncode == 0 and not output, output
    levels = {name: value for name, value in scrape.users().items() if name.split('{')[0] in agent.moved}
    assert levels and all(0 <= value <= 2 for value in levels.values()), levels


def has_reached(scrape, series, value, families):
    """The families are looked for as well: a client may send its gauges after its counters."""
    return scrape.users().get(series, 0) >= value and scrape.types.keys() >= set(families) and scrape


@each_agent
@each_form
def test_nobody_listens(agent, form):
    """A program must not suffer from a bridge that is away."""
    class Nobody:
        udp, web = free_port(), free_port()

    agent.run(Nobody, form)


# What the programs are made of.

@pytest.fixture
def agents_modules(monkeypatch):
    """-> the module tests/agents/metrics.py"""
    monkeypatch.syspath_prepend(PROGRAMS)
    import metrics
    return metrics


def load(system):
    """-> what a Python program defines"""
    return runpy.run_path(str(PROGRAMS / system / '__main__.py'))


# Where each client looks up the time.
CLOCKS = {'tags': 'datadog.dogstatsd.context.monotonic', 'plain': 'statsd.client.timer.time_now'}


@each_form
def test_timed__unit(start_with, monkeypatch, agents_modules, form):
    """The clients' own timers: a quarter of a second is a quarter of a second."""
    agent = by_system('gui-agents')
    bridge = start_with(agent)
    metrics = agents_modules.connect(form, '127.0.0.1:%d' % bridge.udp)
    monkeypatch.setattr(CLOCKS[form], iter([100, 100.25, 200, 202]).__next__)
    service = load('gui-agents')['GuiAgents'](metrics)
    assert service.serve('GetAgentInfo', lambda: 'info') == 'info'
    with pytest.raises(ConnectionError):
        service.serve('CancelTask', lambda: (_ for _ in ()).throw(ConnectionError()))
    metrics.close()

    want = Expected(agent.pack)
    for method, seconds in ('GetAgentInfo', 0.25), ('CancelTask', 2):
        want.value('agent_grpc_requests_total', 1, method=method)
        want.histogram('agent_grpc_request_duration_seconds', [seconds], method=method)
    want.value('agent_grpc_errors_total', 1, method='CancelTask', status_code='UNKNOWN')
    await_equal(lambda: want.differences(bridge.scrape().users()), [])


def test_timed__wrong_unit(start_with, monkeypatch):
    """The trap that the READMEs of the packs warn of: seconds, sent as if they were milliseconds."""
    from datadog.dogstatsd import DogStatsd

    agent = by_system('gui-agents')
    bridge = start_with(agent)
    client = DogStatsd(host='127.0.0.1', port=bridge.udp, disable_telemetry=True, origin_detection_enabled=False)
    monkeypatch.setattr(CLOCKS['tags'], iter([100, 100.25]).__next__)
    with client.timed('agent_task_latency_seconds'):
        pass
    client.close_socket()
    await_equal(lambda: bridge.scrape().users().get('agent_task_latency_seconds_sum'), 0.00025)


@each_form
def test_request_timer(start_with, agents_modules, form):
    """With and without await, success and error; a metric without the label `status` gets none."""
    agent = by_system('agentos')
    bridge = start_with(agent)
    metrics = agents_modules.connect(form, '127.0.0.1:%d' % bridge.udp)
    module = load('agentos')
    timer, takes, service = module['RequestTimer'], module['takes'], module['AgentOS'](metrics)

    async def work():
        async with timer(service.duration, takes(0.5), agent='navi', operation='query'):
            await asyncio.sleep(0)
        with pytest.raises(KeyError):
            async with timer(service.duration, takes(2), agent='navi', operation='query'):
                raise KeyError
        async with timer(service.ccr_latency, takes(1), provider='claude'):
            await asyncio.sleep(0)

    asyncio.run(work())
    with timer(service.duration, takes(3), agent='navi', operation='query'):
        pass
    metrics.close()

    want = Expected(agent.pack)
    labels = {'agent': 'navi', 'operation': 'query'}
    want.histogram('a2a_request_duration_seconds', [0.5, 3], status='success', **labels)
    want.histogram('a2a_request_duration_seconds', [2], status='error', **labels)
    want.histogram('ccr_latency_seconds', [1], provider='claude')
    await_equal(lambda: want.differences(bridge.scrape().users()), [])


@each_form
def test_values_that_the_form_cannot_carry(start_with, agents_modules, form):
    agent = by_system('agentos')
    bridge = start_with(agent)
    metrics = agents_modules.connect(form, '127.0.0.1:%d' % bridge.udp)
    metrics.counter('ccr_tokens_total', 'provider', 'direction').add(provider='a.b:c,d|e f', direction='input')
    metrics.close()
    provider = {'tags': 'a.b:c_d_e_f', 'plain': 'a_b_c_d_e_f'}[form]
    await_equal(lambda: bridge.scrape().users(),
                {series_name('ccr_tokens_total', {'provider': provider, 'direction': 'input'}): 1})
    assert_nothing_lost(bridge)


def test_labels_of_another_metric(agents_modules):
    counter = agents_modules.Nowhere().counter('ccr_tokens_total', 'provider', 'direction')
    for labels in ({}, {'provider': 'claude'}, {'provider': 'claude', 'direction': 'input', 'agent': 'navi'}):
        with pytest.raises(TypeError, match='ccr_tokens_total has the labels'):
            counter.add(**labels)
    counter.add(provider='claude', direction='input')


@pytest.mark.parametrize('value', ['false', '', 'on', '0'])
def test_gui_agents__switched_off(start_with, value):
    """Nothing is sent, and no client is needed: without site packages there is none."""
    agent = by_system('gui-agents')
    bridge = start_with(agent)
    command, directory, environment = agent.program
    bare = agent._replace(program=([command[0], '-S', *command[1:]], directory, environment))
    bare.run(bridge, 'tags', ENABLE_PROMETHEUS=value)
    with pytest.raises(AssertionError, match="No module named 'datadog'"):
        bare.run(bridge, 'tags', ENABLE_PROMETHEUS='true')
    bridge.send_udp('last:1|c')
    bridge.await_users({'last': 1})


def test_conduit__runtime(start_with):
    """What the program says of itself is of this moment, for each component."""
    agent = by_system('conduit')
    bridge = start_with(agent)
    agent.run(bridge, 'plain')
    want = agent.expected()
    await_equal(lambda: want.differences(bridge.scrape().users()), [])
    series = bridge.scrape().users()
    for component in 'manager', 'gateway', 'agent':
        def value(name, **labels):
            return series[series_name(name, {'component': component, **labels})]

        assert 1 <= value('go_goroutines') < 100 and 1 <= value('go_threads') < 100
        assert 0 < value('go_memstats_alloc_bytes') <= value('go_memstats_heap_inuse_bytes')
        assert value('go_memstats_heap_inuse_bytes') < value('process_resident_memory_bytes') < 1e9
        assert 3 < value('process_open_fds') < 100
        assert abs(value('process_start_time_seconds') - time.time()) < 3600
        assert value('process_cpu_seconds_total') < 60
        assert value('go_gc_duration_seconds_count') >= 1
        assert 0 < value('go_gc_duration_seconds', quantile='0') <= value('go_gc_duration_seconds', quantile='1') < 10


def test_go_packages():
    """The tests of what the programs in Go are made of."""
    done = subprocess.run(['sh', '-c', 'go vet ./agents/... && go test ./agents/...'], cwd=ROOT / 'tests',
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('system', ['agentos', 'agentcube'])
@pytest.mark.parametrize('address', ['', '127.0.0.1', '127.0.0.1:', ':9125', '127.0.0.1:statsd'])
def test_address_that_is_none(system, address):
    command, directory, environment = by_system(system).program
    done = subprocess.run([*command, '--address=' + address], cwd=directory, env={**CLIENT_ENVIRONMENT, **environment},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and 'expected host:port, got "%s"' % address in done.stderr


def by_system(name):
    return next(agent for agent in AGENTS if agent.system == name)
