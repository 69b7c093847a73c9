"""A real Prometheus scrapes the bridge, and PromQL gives the answers that the traffic calls for."""
import re
import signal
import subprocess
import time

import pytest

from bridge import PREFIX, ROOT, await_condition, await_equal
from certificates import Authority
from formats import PROTOBUF, fetch, split_messages
from ports import free_port
from promql import CONFIG, PATIENT_CONFIG, Prometheus

# Where there were a native histogram, a Prometheus that takes them would show that and no buckets.
MAPPING = '''
mappings:
- match: http.*.time
  name: http_time_seconds
  labels: {method: $1}
  observer_type: histogram
  histogram_options: {buckets: [0.1, 0.2, 1], native_histogram_bucket_factor: 1}
- match: query.time
  name: query_time_seconds
  observer_type: summary
  summary_options: {quantiles: [{quantile: 0.5, error: 0.01}, {quantile: 0.9, error: 0.01}]}
- match: traced.*
  name: traced_$1
  exemplar_tag: trace_id
  observer_type: histogram
  histogram_options: {buckets: [0.1, 1]}
- match: born.*
  name: born_$1
  zero_first: 3s
  observer_type: histogram
  histogram_options: {buckets: [0.1, 1], native_histogram_bucket_factor: 1}
- {match: native.time, name: native_time_seconds, zero_first: 3s, observer_type: histogram}
'''


# What makes a Prometheus ask for a format first, or the bridge give it: flags of both. How the format says that a bucket
# ends at 1, and what it calls a counter whose name does not end in "_total".
FORMATS = {
    'text': ([], [], '1', 'counter'),
    'openmetrics': (['--web.openmetrics'], [], '1.0', 'unknown'),
    'protobuf': ([], ['--enable-feature=native-histograms'], '1.0', 'counter'),
}


@pytest.fixture
def scrape(start_bridge, tmp_path):
    """Starts a bridge and a Prometheus that scrapes it as `config` says -> (bridge, Prometheus)"""
    started = []

    def start(bridge_flags=(), prometheus_flags=(), config=CONFIG):
        bridge = start_bridge(*bridge_flags, mapping=MAPPING)
        started.append(Prometheus(tmp_path, bridge.web, config, prometheus_flags))
        return bridge, started[-1]

    yield start
    for prometheus in started:
        prometheus.stop()


@pytest.mark.parametrize('name', FORMATS)
def test_answers(scrape, name):
    bridge_flags, prometheus_flags, bound, counter = FORMATS[name]
    bridge, prometheus = scrape(bridge_flags, prometheus_flags)
    await_equal(lambda: prometheus.query('up'), {(): 1})

    bridge.send_udp('jobs:7|c|#queue:a\njobs:2|c|#queue:b\nroom.temperature:21.5|g')
    for milliseconds in (50, 150, 150, 300):
        bridge.send_udp('http.get.time:%d|ms' % milliseconds)
    for milliseconds in range(1, 101):
        bridge.send_udp('query.time:%d|ms' % milliseconds)
    bridge.await_lines(107)

    await_equal(lambda: prometheus.query('jobs'), {(('queue', 'a'),): 7, (('queue', 'b'),): 2})
    await_equal(lambda: prometheus.query('room_temperature'), {(): 21.5})
    # Four values: the median lies halfway through the two of bucket (0.1, 0.2].
    await_equal(lambda: prometheus.query('histogram_quantile(0.5, http_time_seconds_bucket)'),
                {(('method', 'get'),): pytest.approx(0.15)})
    await_equal(lambda: prometheus.query('http_time_seconds_sum / http_time_seconds_count'),
                {(('method', 'get'),): pytest.approx(0.1625)})
    # This tells that the format is the one that is meant, too.
    await_equal(lambda: prometheus.query('http_time_seconds_bucket'),
                {(('le', le), ('method', 'get')): count for le, count in (('0.1', 1), ('0.2', 3), (bound, 4), ('+Inf', 4))})
    await_equal(lambda: prometheus.query('query_time_seconds'),
                {(('quantile', '0.5'),): pytest.approx(0.05), (('quantile', '0.9'),): pytest.approx(0.09)})
    await_equal(lambda: prometheus.query(PREFIX + 'samples_total'), {(): 107})
    await_equal(lambda: prometheus.query(PREFIX + 'loaded_mappings'), {(): 5})
    await_equal(lambda: prometheus.query('count(%sbuild_info)' % PREFIX), {(): 1})

    kinds = {name: entries[0]['type'] for name, entries in prometheus.get('metadata').items()}
    assert kinds['jobs'] == counter
    assert kinds['room_temperature'] == 'gauge'
    assert kinds['http_time_seconds'] == 'histogram'
    assert kinds['query_time_seconds'] == 'summary'


def test_large_families_in_protobuf(scrape):
    """A family that is too large for one message comes as several, which Prometheus adds up."""
    bridge, prometheus = scrape(*FORMATS['protobuf'][:2], config=PATIENT_CONFIG)
    count = 5000
    value = 'some_value' * 8
    bridge.send_tcp('\n'.join('large:%d|c|#number:%d,%s' % (i, i, ','.join('label_%d:%s' % (n, value) for n in range(4)))
                              for i in range(count)) + '\n')
    bridge.await_lines(count)
    _, body = fetch(bridge, PROTOBUF)
    messages = [message for message in split_messages(body) if b'large' in message[:10]]
    assert len(messages) > 1 and max(map(len, messages)) < 2 << 20
    await_equal(lambda: prometheus.query('count(large)'), {(): count})
    assert prometheus.query('sum(large)') == {(): sum(range(count))}


def test_rate(scrape):
    bridge, prometheus = scrape()

    def scrapes():
        """How often Prometheus has seen the counter."""
        return prometheus.query('count_over_time(ticks[1h])').get((), 0)

    for seen in range(6):
        bridge.send_udp('ticks:10|c')
        bridge.await_lines(seen + 1)
        await_condition(lambda: scrapes() > seen, 'a scrape')

    await_equal(lambda: prometheus.query('ticks'), {(): 60})
    samples = [(float(at), float(value)) for at, value in prometheus.get('query', query='ticks[1h]')['result'][0]['values']]
    assert [value for _, value in samples] == sorted(value for _, value in samples)
    (first, least), (last, most) = samples[0], samples[-1]
    assert (least, most) == (10, 60)
    # Over exactly the time that was sampled nothing is extrapolated but the millisecond that makes it inclusive.
    window = 'ticks[%dms]' % round((last - first) * 1000 + 1)
    (increase,) = prometheus.query('increase(%s)' % window, time=last).values()
    (rate,) = prometheus.query('rate(%s)' % window, time=last).values()
    assert increase == pytest.approx(50, rel=0.01)
    assert rate == pytest.approx(50 / (last - first), rel=0.01)
    assert prometheus.query('resets(ticks[1h])') == {(): 0}


@pytest.mark.parametrize('name', FORMATS)
def test_the_first_increment_is_seen(scrape, name):
    bridge_flags, prometheus_flags, bound, _ = FORMATS[name]
    bridge, prometheus = scrape(bridge_flags, prometheus_flags)
    await_equal(lambda: prometheus.query('up'), {(): 1})
    bridge.send_udp('\n'.join(['born.count:7|c', 'late:7|c'] + ['born.time:500|ms'] * 4))
    bridge.await_lines(6)
    grown = {'born_count': 7, 'born_time_count': 4, 'born_time_sum': 2, 'born_time_bucket{le="%s"}' % bound: 4,
             'born_time_bucket{le="+Inf"}': 4}
    for series, amount in grown.items():
        await_equal(lambda: list(prometheus.query(series).values()), [amount])
        (samples,) = prometheus.get('query', query=series + '[1h]')['result']
        values = [float(value) for _, value in samples['values']]
        assert set(values) == {0, amount} and values[-1] - values[0] == amount
        # Before the first sample it was 0, too; behind the last one of the window nothing is assumed.
        (increase,) = prometheus.query('increase(%s[1h])' % series, time=samples['values'][-1][0]).values()
        assert increase == pytest.approx(amount, rel=0.1)
    # Without the option it is lost.
    assert prometheus.query('increase(late[1h])') == {(): 0}


@pytest.mark.parametrize('name', ['openmetrics', 'protobuf'])
def test_exemplars(scrape, name):
    bridge_flags, prometheus_flags, bound, _ = FORMATS[name]
    feature = ','.join(['exemplar-storage', *(flag.removeprefix('--enable-feature=') for flag in prometheus_flags)])
    bridge, prometheus = scrape(bridge_flags, ['--enable-feature=' + feature])
    await_equal(lambda: prometheus.query('up'), {(): 1})
    bridge.send_udp('traced.hits_total:1|c|#trace_id:a\ntraced.hits_total:4|c|#trace_id:b"\\\ntraced.time:500|ms|#trace_id:c')

    def exemplars(series):
        now = time.time()
        found = prometheus.get('query_exemplars', query=series, start=now - 600, end=now + 60)
        return [(one['seriesLabels'].get('le'), exemplar['labels'], float(exemplar['value']))
                for one in found for exemplar in one['exemplars']]

    # In OpenMetrics Prometheus 2 takes the escapes in an exemplar's labels for themselves.
    trace = r'b\"\\' if name == 'openmetrics' else 'b"\\'
    await_equal(lambda: exemplars('traced_hits_total'), [(None, {'trace_id': trace}, 4)])
    # A Prometheus that takes native histograms has but those.
    series, le = ('traced_time', None) if name == 'protobuf' else ('traced_time_bucket', bound)
    await_equal(lambda: exemplars(series), [(le, {'trace_id': 'c'}, 0.5)])
    assert prometheus.query('traced_hits_total') == {(): 5}


@pytest.mark.parametrize('name', FORMATS)
def test_nul_bytes(scrape, name):
    """Wherever a client can have one, the scrape is taken all the same."""
    bridge_flags, prometheus_flags, _, _ = FORMATS[name]
    bridge, prometheus = scrape(bridge_flags, prometheus_flags)
    bridge.send_tcp('in\0name:1|g|#k\0ey:1\n' 'in_value:2|g|#k:a\0b,l:\0,m:\\\0"\n' 'traced.hits_total:3|c|#trace_id:a\0b\n')
    # All lines need not be in the first scrape that has one.
    await_equal(lambda: prometheus.query('in_name'), {(('k_ey', '1'),): 1})
    await_equal(lambda: prometheus.query('in_value'), {(('k', 'a\0b'), ('l', '\0'), ('m', '\\\0"')): 2})
    await_equal(lambda: prometheus.query('traced_hits_total'), {(): 3})


def test_the_first_increment_of_a_native_histogram_is_seen(scrape):
    _, prometheus_flags, _, _ = FORMATS['protobuf']
    bridge, prometheus = scrape(prometheus_flags=prometheus_flags)
    await_equal(lambda: prometheus.query('up'), {(): 1})
    bridge.send_udp('native.time:500|ms\nnative.time:1000|ms')
    await_equal(lambda: prometheus.query('histogram_count(native_time_seconds)'), {(): 2})
    (samples,) = prometheus.get('query', query='native_time_seconds[1h]')['result']
    times, counts = zip(*[(at, float(histogram['count'])) for at, histogram in samples['histograms']])
    assert counts[0] == 0 and set(counts) == {0, 2}
    window = 'native_time_seconds[%dms]' % round((times[-1] - times[0]) * 1000 + 1)
    assert prometheus.query('histogram_count(increase(%s))' % window, time=times[-1]) == {(): pytest.approx(2, rel=0.1)}


# Makes the metrics appear that are only there once something has happened.
EVERYTHING = r'''
max_values: {k: 1}
mappings:
- {match: mapped.*, name: mapped_$1}
- {match: '^(a+)+$', match_type: regex, name: slow}
'''
LINES = ['c:1|c', 'c:1|g', 'c:-1|c', 'g:1|g', 't:1|ms', 'bad', '_e{1,1}:a|b', '_sc|x|0', 'mapped.x:1|c', 'k:1|c|#k:1', 'k:1|c|#k:2',
         'c:1|c|#k', 'a' * 60 + 'x:1|c', 'c:x|c']


def own_names():
    """All that the bridge may expose of itself, as its table has them."""
    rows = re.findall(r'^(OWN|NAMED|PROCESS)\(\w+, "(\w+)"', (ROOT / 'src/app/telemetry.def').read_text(), re.MULTILINE)
    return {(PREFIX if kind == 'OWN' else '') + name for kind, name in rows}


def test_own_metrics_pass_the_linter(start_bridge, tmp_path):
    Authority(tmp_path).issue('server')
    tls = tmp_path / 'statsd.yml'
    tls.write_text('tls_server_config: {cert_file: server.crt, key_file: server.key}\n')
    bridge = start_bridge('--statsd.tls-config-file=%s' % tls, '--statsd.relay.address=127.0.0.1:%d' % free_port(),
                          '--remote-write.url=http://127.0.0.1:%d/' % free_port(), mapping=EVERYTHING)
    bridge.signal(signal.SIGHUP)
    await_condition(lambda: bridge.scrape().own_sum('config_reloads_total'), 'the reload')
    bridge.send_udp('\n'.join(LINES))
    bridge.await_lines(len(LINES))

    def own():
        scrape = bridge.scrape()
        return {name for name in scrape.types if scrape.is_own(name)}

    await_equal(lambda: own_names() - own(), set())
    families = re.split(r'^(?=# HELP )', bridge.scrape().text, flags=re.MULTILINE)[1:]
    text = ''.join(family for family in families if family.split(' ', 3)[2] in own_names())
    done = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, '')
