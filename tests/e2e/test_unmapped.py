"""GET /api/v1/unmapped: which names no rule matched."""
import json

import pytest

from bridge import await_equal

MAPPING = '''
mappings:
- {match: "web.*", name: web, labels: {page: $1}}
- {match: "half", match_metric_type: counter, name: half}
'''


def unmapped(bridge):
    response = bridge.request('GET', '/api/v1/unmapped')
    assert response.status == 200
    assert response.headers['Content-Type'] == 'application/json'
    return json.loads(response.text)


def counts(bridge):
    return {(entry['name'], entry['type']): entry['count'] for entry in unmapped(bridge)['names']}


def entry(name, kind, count, example):
    return {'name': name, 'type': kind, 'count': count, 'example': example, 'example_is_cut': False}


def test_names(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    assert unmapped(bridge) == {'names': [], 'left_out': {'names': 0, 'events': 0}}
    bridge.send_udp('web.home:1|c\nhalf:1|c\na.b:1|c|#k:v\nhalf:1|g\nhalf:2|g\na.b:320|ms\nnot a line')
    bridge.await_lines(7)
    assert unmapped(bridge) == {
        'names': [entry('half', 'gauge', 2, 'half:1|g'), entry('a.b', 'counter', 1, 'a.b:1|c|#k:v'),
                  entry('a.b', 'observer', 1, 'a.b:320|ms')],
        'left_out': {'names': 0, 'events': 0},
    }


def test_hostile_names_are_json(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    names = ['"', '\\', 'a\tb', '\x01', '\x7f', '\x85', 'é', '\U0001f600', '</script>', ' ', '{"x"}', 'x' * 4096]
    for name in names:
        bridge.send_unixgram(name + ':1|c')
    bridge.send_unixgram(b'bytes:\xff|c')
    bridge.await_lines(len(names) + 1)
    assert counts(bridge) == {(name, 'counter'): 1 for name in names}
    long = [entry for entry in unmapped(bridge)['names'] if entry['example_is_cut']]
    assert [entry['example'] for entry in long] == ['x' * 512]


def test_all_threads_and_transports(start_bridge):
    bridge = start_bridge('--threads=3', mapping=MAPPING)
    for _ in range(50):
        bridge.send_udp('u:1|c\nt:1|ms|@0.5')
        bridge.send_tcp('u:1|c\n')
        bridge.send_unixgram('u:1|c\nweb.x:1|c')
    scrape = bridge.await_lines(250)
    assert counts(bridge) == {('u', 'counter'): 150, ('t', 'observer'): 100}
    assert scrape.own('events_unmapped_total') == 250


def test_more_names_than_are_listed(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    with bridge.connect_tcp() as out:
        for round in range(2):
            for i in range(1400):
                out.sendall(b'n%d:1|c\n' % i)
    scrape = bridge.await_lines(2800)
    answer = unmapped(bridge)
    assert len(answer['names']) == 1000
    assert answer['left_out'] == {'names': 400, 'events': 800}
    assert sum(entry['count'] for entry in answer['names']) + 800 == scrape.own('events_unmapped_total')


def test_reload_begins_anew(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping=MAPPING)
    bridge.send_udp('a:1|c\nb:1|c')
    bridge.await_lines(2)
    assert counts(bridge) == {('a', 'counter'): 1, ('b', 'counter'): 1}

    bridge.mapping.write_text(MAPPING + '- {match: "a", name: mapped}\n')
    assert bridge.request('POST', '/-/reload').status == 200
    assert counts(bridge) == {}
    bridge.send_udp('a:1|c\nb:1|c')
    await_equal(lambda: counts(bridge), {('b', 'counter'): 1})

    # A reload that fails changes nothing.
    bridge.mapping.write_text('mappings: [')
    assert bridge.request('POST', '/-/reload').status == 500
    bridge.send_udp('b:1|c')
    await_equal(lambda: counts(bridge), {('b', 'counter'): 2})
    bridge.scrape().assert_books()


def test_many_reloads_under_traffic(start_bridge):
    """Lists of former rules never show through, however fast reloads come."""
    bridge = start_bridge('--web.enable-lifecycle', mapping=MAPPING)
    with bridge.connect_tcp() as out:
        for turn in range(30):
            bridge.mapping.write_text(MAPPING + '- {match: "n%d", name: mapped}\n' % (turn % 2))
            assert bridge.request('POST', '/-/reload').status == 200
            out.sendall(b'n0:1|c\nn1:1|c\n')
            await_equal(lambda: counts(bridge), {('n%d' % (1 - turn % 2), 'counter'): 1})
    bridge.scrape().assert_books()


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE'])
def test_other_methods(bridge, method):
    response = bridge.request(method, '/api/v1/unmapped', body='x')
    assert response.status == 405
    assert response.headers['Allow'] == 'GET, HEAD'


@pytest.mark.parametrize('path', ['/api', '/api/', '/api/v1', '/api/v1/unmapped/', '/api/v1/unmappedx'])
def test_other_paths(bridge, path):
    assert bridge.request('GET', path).status == 404


def test_head(bridge):
    response = bridge.request('HEAD', '/api/v1/unmapped')
    assert response.status == 200
    assert response.body == b''
