"""Official clients over every transport they have: what they send is what Prometheus gets.

The programs that send are in tests/clients/. Each sends one fixed set of metrics; here stands what must come
of it, series by series, and what the bridge must have counted.
"""
import subprocess
import sys

import pytest

from bridge import CLIENT_ENVIRONMENT, ROOT, assert_series, await_condition, observed, series_name

CLIENTS = ROOT / 'tests' / 'clients'
BUILT = ROOT / 'build' / 'clients'

BOUNDS = [0.01, 0.1, 1, 10, 100]
MAPPING = 'defaults: {observer_type: histogram, histogram_options: {buckets: %s}}\n' % BOUNDS


def send(command, transport, bridge, mode, **environment):
    address = {
        'udp': '127.0.0.1:%d' % bridge.udp,
        'tcp': '127.0.0.1:%d' % bridge.tcp,
        'unixgram': str(bridge.gram),
        'unixstream': str(bridge.stream),
    }[transport]
    done = subprocess.run([*command, transport, address, mode], capture_output=True, text=True, timeout=60,
                          env={**CLIENT_ENVIRONMENT, **environment})
    assert done.returncode == 0 and not done.stderr, done.stderr


class Expected:
    """Series, each with the labels that all lines of a client carry."""

    def __init__(self, prefix, **labels):
        self.prefix, self.labels, self.series = prefix, labels, {}

    def value(self, name, value, **labels):
        self.series[series_name(self.prefix + name, {**self.labels, **labels})] = value

    def observer(self, name, values, weight=1, **labels):
        self.series.update(observed(self.prefix + name, values, BOUNDS, {**self.labels, **labels}, weight))


def assert_counted(scrape, samples, refused, events=0):
    """One negative counter, one set that is not served, and as many events as service checks."""
    scrape.assert_books()
    assert scrape.own('samples_total') == samples
    assert scrape.own_sum('samples_dropped_total') == refused == 2
    assert scrape.own('events_error_total', reason='illegal_negative_counter') == 1
    assert scrape.own('sample_errors_total', reason='illegal_event') == 1
    assert scrape.own_sum('sample_errors_total') == 1
    assert scrape.own('tag_errors_total') == 0
    assert scrape.own('lines_event_total') == events
    assert scrape.own('lines_check_total') == events
    assert scrape.own_sum('lines_refused_total') == 0


def labels_of(mode):
    return {'env': 'test', **({'container_id': 'ci-4f2a'} if mode == 'origin' else {})}


PYTHON_DATADOG = [sys.executable, CLIENTS / 'python' / 'sender.py', 'datadog']


def python_datadog(mode, signed_gauges='relative'):
    """-> (series, samples)"""
    aggregated = mode == 'aggregated'
    want = Expected('py_', **labels_of(mode))
    want.value('requests', 3, route='/home')
    want.value('requests', 5, route='/cart')
    want.value('bytes', 2 ** 40)
    want.value('temperature', 22.25, room='größe:1')
    # Sent twice; this client means absolute values, plain statsd means changes.
    want.value('offset', -7 if aggregated or signed_gauges == 'absolute' else -14)
    want.value('queue', 12)
    want.value('jobs', 4)
    want.observer('query', [0.32, 0.08])
    want.observer('payload', [512.5])
    want.observer('latency', [0.25], zone='a_b')
    want.value('sampled', 8)
    want.observer('sampled_payload', [2], weight=4)
    return want.series, 15 if aggregated else 22


@pytest.mark.parametrize('mode', ['plain', 'buffered', 'aggregated', 'origin'])
@pytest.mark.parametrize('transport', ['udp', 'unixgram', 'unixstream'])
def test_python_datadog(start_bridge, transport, mode):
    bridge = start_bridge(mapping=MAPPING)
    series, samples = python_datadog(mode)
    send(PYTHON_DATADOG, transport, bridge, mode)
    scrape = bridge.await_lines(samples + 2)
    assert_series(scrape, series)
    assert_counted(scrape, samples, refused=2, events=1)


def test_python_datadog__absolute_signed_gauges(start_bridge):
    bridge = start_bridge('--statsd.signed-gauges=absolute', mapping=MAPPING)
    series, samples = python_datadog('plain', 'absolute')
    send(PYTHON_DATADOG, 'udp', bridge, 'plain')
    assert_series(bridge.await_lines(samples + 2), series)


def test_python_datadog__container_id_label_off(start_bridge):
    bridge = start_bridge('--no-statsd.container-id-label', mapping=MAPPING)
    series, samples = python_datadog('plain')
    send(PYTHON_DATADOG, 'udp', bridge, 'origin')
    assert_series(bridge.await_lines(samples + 2), series)


@pytest.mark.parametrize('mode', ['plain', 'pipeline'])
@pytest.mark.parametrize('transport', ['udp', 'tcp', 'unixstream'])
def test_python_statsd(start_bridge, transport, mode):
    bridge = start_bridge(mapping=MAPPING)
    want = Expected('py_')
    want.value('requests', 10)
    want.value('temperature', 21.5)
    want.value('depth', 12)
    want.value('offset', -7)
    want.observer('query', [0.32, 0.0805])
    want.value('sampled', 8)
    want.observer('sampled_query', [0.1], weight=4)
    send([sys.executable, CLIENTS / 'python' / 'sender.py', 'statsd'], transport, bridge, mode)
    scrape = bridge.await_lines(17)
    assert_series(scrape, want.series)
    assert_counted(scrape, samples=17, refused=2)


def go_datadog(mode, sampled, sampled_payload, signed_gauges='relative'):
    """-> (series, samples without the sampled ones)"""
    aggregated = mode in ('aggregated', 'extended')
    want = Expected('go_', **labels_of(mode))
    want.value('requests', 3, route='/home')
    want.value('requests', 5, route='/cart')
    want.value('bytes', 2 ** 40)
    want.value('temperature', 22.25, room='größe:1')
    want.value('offset', -7 if aggregated or signed_gauges == 'absolute' else -14)
    want.value('queue', 12)
    want.value('jobs', 4)
    want.observer('query', [0.32, 0.08])
    want.observer('payload', [512.5])
    want.observer('latency', [0.25], zone='a')
    # This client draws its own lots, except for counters that it adds up itself.
    want.value('sampled', 64 if aggregated else 2 * sampled)
    want.observer('sampled_payload', [2] * sampled_payload, weight=2)
    return want.series, 13 if aggregated else 17


def await_go_datadog(bridge, mode):
    """-> (scrape with all lines, sampled counters sent, sampled histograms sent)"""
    labels = labels_of(mode)

    def drawn(scrape, name):
        """How many of the sampled calls were sent, by what has arrived."""
        return int(scrape.series.get(series_name(name, labels), 0) / 2)

    def all_arrived():
        scrape = bridge.scrape()
        sampled, sampled_payload = drawn(scrape, 'go_sampled'), drawn(scrape, 'go_sampled_payload_count')
        _, samples = go_datadog(mode, 0, 0)
        lines = samples + 2 + (sampled if counters_are_lines(mode) else 1)
        if mode == 'extended':
            lines += -1 + 1  # two timers share a line; so do all sampled histograms
        else:
            lines += sampled_payload
        is_settled = scrape.lines() == lines and scrape.unaccounted() == (0, 0)
        return is_settled and (scrape, sampled, sampled_payload)

    return await_condition(all_arrived, 'all lines')


def counters_are_lines(mode):
    """Whether every counter call is a line of its own."""
    return mode not in ('aggregated', 'extended')


@pytest.mark.parametrize('mode', ['plain', 'buffered', 'aggregated', 'extended', 'origin'])
@pytest.mark.parametrize('transport', ['udp', 'unixgram', 'unixstream'])
def test_go_datadog(start_bridge, transport, mode):
    bridge = start_bridge(mapping=MAPPING)
    send([BUILT / 'sender', 'datadog'], transport, bridge, mode)
    scrape, sampled, sampled_payload = await_go_datadog(bridge, mode)
    assert 0 < sampled <= 64 and 0 < sampled_payload <= 64
    series, samples = go_datadog(mode, sampled, sampled_payload)
    assert_series(scrape, series)
    assert_counted(scrape, samples + (sampled if counters_are_lines(mode) else 1) + sampled_payload, refused=2, events=1)


def test_go_datadog__absolute_signed_gauges(start_bridge):
    bridge = start_bridge('--statsd.signed-gauges=absolute', mapping=MAPPING)
    send([BUILT / 'sender', 'datadog'], 'unixgram', bridge, 'plain')
    scrape, sampled, sampled_payload = await_go_datadog(bridge, 'plain')
    series, _ = go_datadog('plain', sampled, sampled_payload, 'absolute')
    assert_series(scrape, series)


@pytest.mark.parametrize('mode', ['plain', 'buffered', 'infix'])
def test_go_cactus(start_bridge, mode):
    bridge = start_bridge(mapping=MAPPING)
    want = Expected('go_')
    want.value('requests', 3, route='/home')
    want.value('requests', 5, route='/cart', env='test')
    want.value('depth', 12)
    want.value('temperature', 21.25)
    want.observer('query', [0.32, 0.0805])
    want.value('sampled', 8)
    want.observer('sampled_query', [0.1], weight=4)
    want.observer('raw', [0.5])
    send([BUILT / 'sender', 'cactus'], 'udp', bridge, mode)
    scrape = bridge.await_lines(17)
    assert_series(scrape, want.series)
    assert_counted(scrape, samples=17, refused=2)


@pytest.mark.parametrize('mode', ['plain', 'buffered', 'aggregated', 'origin'])
@pytest.mark.parametrize('transport', ['udp', 'tcp', 'unixgram', 'unixstream'])
def test_node_hot_shots(start_bridge, transport, mode):
    bridge = start_bridge(mapping=MAPPING)
    samples = 19 if mode == 'aggregated' else 22
    want = Expected('js_', **labels_of(mode))
    want.value('requests', 3, route='/home')
    want.value('requests', 5, route='/cart')
    want.value('bytes', 2 ** 40)
    want.value('temperature', 22.25, room='lab')
    want.value('depth', 12)
    want.value('queue', 12)
    want.observer('query', [0.32, 0.08])
    want.observer('payload', [512.5])
    want.observer('latency', [0.25], zone='a')
    want.value('sampled', 8)
    want.observer('sampled_payload', [2], weight=4)
    send(['node', CLIENTS / 'node' / 'sender.js'], transport, bridge, mode,
         NODE_PATH=str(BUILT / 'node' / 'node_modules'))
    scrape = bridge.await_lines(samples + 2)
    assert_series(scrape, want.series)
    assert_counted(scrape, samples, refused=2, events=1)
