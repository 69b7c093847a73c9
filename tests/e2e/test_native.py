"""Native histograms: in the protobuf format, and what a real Prometheus makes of them."""
import math
import random

import pytest

from bridge import await_equal
from formats import PROTOBUF, fetch, read_protobuf
from promql import Prometheus

MAPPING = '''
defaults: {observer_type: histogram}
mappings:
- {match: coarse, name: coarse, histogram_options: {native_histogram_bucket_factor: 2}}
- {match: few, name: few, histogram_options: {native_histogram_max_buckets: 10}}
- {match: classic, name: classic, histogram_options: {native_histogram_bucket_factor: 1}}
'''
RULE = 'mappings: [{match: t, name: t, observer_type: histogram, histogram_options: {native_histogram_bucket_factor: %s}}]\n'
ZERO_THRESHOLD = 2 ** -128


def observe(bridge, name, values, sent):
    """`sent` lines before -> lines in all"""
    for at in range(0, len(values), 20):
        bridge.send_udp('\n'.join('%s:%r|h' % (name, value) for value in values[at:at + 20]))
    bridge.await_lines(sent + len(values))
    return sent + len(values)


def natives(bridge):
    return read_protobuf(fetch(bridge, PROTOBUF)[1]).natives


def index(value, schema):
    """Of the bucket that a value is in, by logarithm: for values that are not close to a bound."""
    return math.ceil(math.log2(abs(value)) * 2 ** schema)


def expected_buckets(values, schema):
    out = {}
    for value in values:
        out[index(value, schema)] = out.get(index(value, schema), 0) + 1
    return out


def test_default_resolution(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    draw = random.Random(1)
    values = [draw.lognormvariate(0, 2) for _ in range(300)]
    observe(bridge, 'x', values + [-value for value in values[:100]] + [0], 0)
    native = natives(bridge)['x', ()]
    assert (native.schema, native.zero_threshold, native.zero_count) == (3, ZERO_THRESHOLD, 1)
    assert native.positive == expected_buckets(values, 3)
    assert native.negative == expected_buckets(values[:100], 3)


def test_options_of_rules(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    draw = random.Random(2)
    values = [draw.uniform(0.001, 1000) for _ in range(200)]
    sent = observe(bridge, 'coarse', values, 0)
    sent = observe(bridge, 'classic', values, sent)
    observe(bridge, 'few', values, sent)
    seen = natives(bridge)
    assert seen.keys() == {('coarse', ()), ('few', ())}
    assert (seen['coarse', ()].schema, seen['coarse', ()].positive) == (0, expected_buckets(values, 0))
    few = seen['few', ()]
    assert few.schema < 3 and len(few.positive) <= 10 < len(expected_buckets(values, few.schema + 1))
    assert few.positive == expected_buckets(values, few.schema)


def test_extreme_values(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    tiny = [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-39]
    draw = random.Random(3)
    wide = [draw.choice((1, -1)) * 2 ** draw.uniform(-120, 1023) for _ in range(2000)]
    observe(bridge, 'x', tiny + wide + [1.7e308, -1.7e308], 0)
    native = natives(bridge)['x', ()]
    assert native.zero_count == len(tiny)
    assert native.count() == len(tiny) + len(wide) + 2
    assert len(native.positive) + len(native.negative) <= 256
    assert native.schema < 0


def test_factor_of_a_series_is_that_of_its_birth(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping=RULE % 1.1)
    bridge.send_udp('t:3|h')
    bridge.await_lines(1)
    bridge.mapping.write_text(RULE % 2)
    assert bridge.request('POST', '/-/reload').status == 200
    bridge.send_udp('t:3|h\nt:3|h|#fresh:yes')
    bridge.await_lines(3)
    seen = natives(bridge)
    assert (seen['t', ()].schema, seen['t', ()].count()) == (3, 2)
    assert (seen['t', (('fresh', 'yes'),)].schema, seen['t', (('fresh', 'yes'),)].count()) == (0, 1)


@pytest.fixture
def scrape(start_bridge, tmp_path):
    """-> (bridge, a Prometheus that takes native histograms)"""
    bridge = start_bridge(mapping=MAPPING)
    prometheus = Prometheus(tmp_path, bridge.web, flags=['--enable-feature=native-histograms'])
    yield bridge, prometheus
    prometheus.stop()


@pytest.mark.parametrize(('name', 'growth'), [('durations', 2 ** (1 / 8)), ('coarse', 2)])
def test_quantiles(scrape, name, growth):
    bridge, prometheus = scrape
    draw = random.Random(4)
    values = sorted(draw.lognormvariate(-3, 1.5) for _ in range(1000))
    observe(bridge, name, values, 0)
    await_equal(lambda: prometheus.query('histogram_count(%s)' % name), {(): len(values)})
    assert prometheus.query('histogram_sum(%s)' % name) == {(): pytest.approx(sum(values))}
    for quantile in (0.01, 0.25, 0.5, 0.9, 0.99, 1):
        exact = values[math.ceil(quantile * len(values)) - 1]
        (seen,) = prometheus.query('histogram_quantile(%r, %s)' % (quantile, name)).values()
        assert exact / growth <= seen <= exact * growth


def test_resolution_falls_under_way(scrape):
    """No scrape loses an observation, nor is one taken for a restart."""
    bridge, prometheus = scrape
    values = [1.5 ** exponent for exponent in range(60)]
    sent = 0
    for at in range(0, 60, 6):
        sent = observe(bridge, 'few', values[at:at + 6], sent)
        await_equal(lambda: prometheus.query('histogram_count(few)'), {(): sent})
    assert natives(bridge)['few', ()].schema < 0
    assert prometheus.query('resets(few[1h])') in ({}, {(): 0})
    (median,) = prometheus.query('histogram_quantile(0.5, few)').values()
    assert values[29] / 2 ** 16 <= median <= values[29] * 2 ** 16


def test_classic_buckets_beside(start_bridge, tmp_path):
    bridge = start_bridge(mapping=MAPPING)
    observe(bridge, 'x', [0.2, 0.7, 3], 0)
    samples = read_protobuf(fetch(bridge, PROTOBUF)[1])
    assert samples.natives['x', ()].count() == 3
    assert samples.values['x_bucket', (('le', 1.0),)] == 2
    assert bridge.scrape().series['x_bucket{le="1"}'] == 2
    prometheus = Prometheus(tmp_path, bridge.web)
    try:
        await_equal(lambda: prometheus.query('x_bucket{le="1"}'), {(('le', '1'),): 2})
    finally:
        prometheus.stop()
