"""What README's "Scaling out" says of several bridges behind one Prometheus: its questions get the answers there that one
bridge which heard all would give."""
import re

import pytest

from bridge import ROOT, await_equal
from promql import Prometheus

MAPPING = '''
mappings:
- match: order.time
  name: order_seconds
  observer_type: histogram
- match: wait.time
  name: wait_seconds
  observer_type: summary
'''
# With the labels that a bridge has in Kubernetes.
CONFIG = '''global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: parts
  static_configs:
  - {targets: ['127.0.0.1:%d'], labels: {pod: bridge-a, node: one}}
  - {targets: ['127.0.0.1:%d'], labels: {pod: bridge-b, node: two}}
- job_name: whole
  static_configs: [{targets: ['127.0.0.1:%d']}]
'''
# Of each bridge. No value is in both but that of the gauge which both set.
PARTS = [
    ['orders_total:%d|c|#shop:%s' % (n, shop) for n in range(5) for shop in 'ab']
    + ['order.time:%d|ms' % ms for ms in range(10, 400, 7)] + ['wait.time:%d|ms' % ms for ms in range(100)]
    + ['connections_open:7|g', 'queue_length:11|g'] + ['visitors:%d|s' % n for n in range(30)],
    ['orders_total:%d|c|#shop:%s' % (n, shop) for n in range(70, 75) for shop in 'bc']
    + ['order.time:%d|ms' % ms for ms in range(300, 9000, 31)] + ['wait.time:%d|ms' % ms for ms in range(900, 950)]
    + ['connections_open:+5|g', 'queue_length:9|g'] + ['visitors:%d|s' % n for n in range(20, 60)],
]


def read_questions():
    """-> the PromQL of README's table, with what was counted so far in the place of rates"""
    text = (ROOT / 'README.md').read_text()
    section = text[text.index('\n## Scaling out\n'):]
    rows = [line for line in section[:section.index('\n## ', 1)].splitlines() if line.startswith('| ')]
    questions = [re.search('`([^`]*)`[^`]*\\|$', row).group(1) for row in rows if '`' in row]
    return [re.sub(r'rate\((\w+)\[5m\]\)', r'\1', question) for question in questions]


QUESTIONS = read_questions()


@pytest.fixture
def flags():
    """Of Prometheus."""
    return []


@pytest.fixture
def prometheus(start_bridge, tmp_path, flags):
    """Two bridges with a part each, and one that hears all."""
    bridges = [start_bridge('--statsd.sets', mapping=MAPPING) for _ in range(3)]
    for lines, bridge in zip(PARTS + [PARTS[0] + PARTS[1]], bridges):
        bridge.send_tcp('\n'.join(lines) + '\n')
        bridge.await_lines(len(lines))
    ports = [str(bridge.web) for bridge in bridges]
    server = Prometheus(tmp_path, 0, re.sub('%d', lambda _: ports.pop(0), CONFIG), flags)
    await_equal(lambda: server.query('count(visitors)'), {(): 3})
    yield server
    server.stop()


def test_table_has_all_types():
    assert len(QUESTIONS) == 7


def ask(prometheus, question, job):
    """`question` of one job's series only."""
    return prometheus.query(re.sub(r'(?<=[( ])([a-z]+_[a-z_]+|visitors)(?=\))', r'\1{job="%s"}' % job, question))


@pytest.mark.parametrize('name', ['orders_total', 'order_seconds_bucket', 'wait_seconds_sum', 'connections_open'])
def test_parts_make_the_whole(prometheus, name):
    question, = (question for question in QUESTIONS if name in question)
    whole = ask(prometheus, question, 'whole')
    assert whole and whole == ask(prometheus, question, 'parts')


@pytest.mark.parametrize('flags', [['--enable-feature=native-histograms']])
def test_native_parts_make_the_whole(prometheus):
    question, = (question for question in QUESTIONS if 'order_seconds)' in question)
    (whole,), (parts,) = (ask(prometheus, question, job).values() for job in ('whole', 'parts'))
    assert whole == pytest.approx(parts) and 7 < whole < 9


def test_what_does_not_add_up(prometheus):
    queue, visitors = QUESTIONS[5:]
    assert ask(prometheus, queue, 'parts') == {(): 11}
    assert ask(prometheus, queue, 'whole') == {(): 9}
    assert ask(prometheus, visitors, 'parts') == {(): 40}
    assert ask(prometheus, visitors.replace('max', 'sum'), 'parts') == {(): 70}
    assert ask(prometheus, visitors, 'whole') == {(): 60}
