"""Service discovery: what clients register, what Prometheus is told, and what survives."""
import contextlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import threading
import urllib.request

import pytest

from bridge import PATIENCE, Response, await_condition, await_equal, run_to_end
from promql import Prometheus

TOKEN = 'c29tZSB0b2tlbiB0aGF0IGlzIGdvb2Q'
OTHER_TOKEN = 'YW5vdGhlciB0b2tlbiB0aGF0IGlzIGdvb2Q'
OPEN = '--web.enable-target-api'


def element(*targets, **labels):
    return {'labels': labels, 'targets': list(targets)} if labels else {'targets': list(targets)}


def put(bridge, group, document, query='', headers=None):
    return bridge.request('PUT', '/api/v1/targets/%s%s' % (group, query), headers, json.dumps(document))


def delete(bridge, group, headers=None):
    return bridge.request('DELETE', '/api/v1/targets/' + group, headers)


def sd(bridge):
    response = bridge.request('GET', '/sd')
    assert response.status == 200
    assert response.headers['Content-Type'] == 'application/json'
    return json.loads(response.body)


def listed(bridge):
    """-> {name: what the list says of the group}"""
    response = bridge.request('GET', '/api/v1/targets')
    assert response.status == 200
    assert response.headers['Content-Type'] == 'application/json'
    groups = json.loads(response.body)['groups']
    assert [group['group'] for group in groups] == sorted(group['group'] for group in groups)
    return {group['group']: group for group in groups}


@pytest.fixture
def open_bridge(start_bridge):
    """A bridge on loopback whose targets anybody may change, without a file."""
    return start_bridge(OPEN)


# The registry.

def test_nothing_registered(bridge):
    assert sd(bridge) == []
    assert listed(bridge) == {}


def test_register_replace_delete(open_bridge):
    bridge = open_bridge
    circuit = [element('10.0.0.1:8000', '10.0.0.2:8000', circuit_id='c', session_id='s', worker_authority='w:1')]
    answer = put(bridge, 'circuit-c', circuit, '?ttl=30s&owner=coordinator')
    assert answer.status == 201
    assert answer.headers['Content-Type'] == 'application/json'
    told = json.loads(answer.body)
    assert (told['group'], told['owner'], told['targets'], told['ttl_seconds']) == ('circuit-c', 'coordinator', 2, 30)
    assert sd(bridge) == circuit
    assert put(bridge, 'a', [element('a:1'), element('a:2', x='y')]).status == 201
    assert sd(bridge) == [element('a:1'), element('a:2', x='y'), *circuit]

    replaced = put(bridge, 'circuit-c', [element('10.0.0.3:8000', circuit_id='c')])
    assert replaced.status == 200
    assert sd(bridge) == [element('a:1'), element('a:2', x='y'), element('10.0.0.3:8000', circuit_id='c')]
    one = bridge.request('GET', '/api/v1/targets/circuit-c')
    assert (one.status, json.loads(one.body)) == (200, listed(bridge)['circuit-c'])

    assert delete(bridge, 'a').status == 204
    assert delete(bridge, 'a').status == 404
    assert bridge.request('GET', '/api/v1/targets/a').status == 404
    assert put(bridge, 'circuit-c', []).status == 200
    assert sd(bridge) == []
    assert list(listed(bridge)) == ['circuit-c']
    scrape = bridge.scrape()
    assert scrape.own('sd_groups') == 1 and scrape.own('sd_targets') == 0
    assert scrape.own('sd_changes_total', operation='put') == 4
    assert scrape.own('sd_changes_total', operation='delete') == 1
    assert scrape.own('sd_refused_total', reason='unknown_group') == 1
    assert scrape.own_sum('sd_state_writes_total') == 0


def test_list_says_who_and_until_when(open_bridge):
    put(open_bridge, 'a', [element('a:1')], '?ttl=1h30m&owner=worker-1@host:10200')
    put(open_bridge, 'b', [element('b:1'), element('b:2', x='y')])
    groups = listed(open_bridge)
    assert groups['a']['owner'] == 'worker-1@host:10200'
    assert groups['a']['ttl_seconds'] == 5400
    assert groups['a']['registered'] < groups['a']['expires']
    # Who does not say is its address.
    assert groups['b']['owner'] == '127.0.0.1'
    assert 'expires' not in groups['b'] and 'ttl_seconds' not in groups['b']
    assert groups['b']['targets'] == 2
    assert groups['b']['document'] == [element('b:1'), element('b:2', x='y')]


def test_unchanged_list_is_not_sent_again(open_bridge):
    put(open_bridge, 'a', [element('a:1')])
    for path in ('/sd', '/api/v1/targets'):
        first = open_bridge.request('GET', path)
        tag = first.headers['ETag']
        for known in (tag, 'W/"x", %s' % tag):
            again = open_bridge.request('GET', path, {'If-None-Match': known})
            assert (again.status, again.body, again.headers['ETag']) == (304, b'', tag)
        put(open_bridge, 'a', [element('a:2')])
        changed = open_bridge.request('GET', path, {'If-None-Match': tag})
        assert changed.status == 200 and b'a:2' in changed.body
        put(open_bridge, 'a', [element('a:1')])


def test_expiry_and_renewal(open_bridge):
    put(open_bridge, 'short', [element('a:1')], '?ttl=1s')
    put(open_bridge, 'renewed', [element('b:1')], '?ttl=1s')
    put(open_bridge, 'long', [element('c:1')], '?ttl=1h')
    put(open_bridge, 'forever', [element('d:1')])

    def is_over():
        assert put(open_bridge, 'renewed', [element('b:1')], '?ttl=1h').status == 200
        return 'short' not in listed(open_bridge)

    await_condition(is_over, 'the short one to expire')
    assert sorted(listed(open_bridge)) == ['forever', 'long', 'renewed']
    assert sd(open_bridge) == [element('d:1'), element('c:1'), element('b:1')]
    assert open_bridge.scrape().own('sd_expired_groups_total') == 1


@pytest.mark.parametrize('document, error', [
    ('', 'line 1, column 1: not JSON: it ends too early'),
    ('[{"targets":["a:1"]},', 'line 1, column 21: not JSON: it ends too early'),
    ('{"targets":["a:1"]}', 'expected an array of {"targets": [...], "labels": {...}}, got an object'),
    ('[{"targets":["a:1"]},{"targets":["a:1"],"labels":{"__x":"y"}}]', '[1].labels.__x: '),
    ('[{"targets":["a:1"],"labels":{"a":1}}]', '[0].labels.a: expected a string, got a number'),
    ('[{"targets":["a b"]}]', '[0].targets[0]: expected a text such as "host:port", got "a b"'),
    ('[{"target":["a:1"]}]', '[0].target: unknown key'),
    (b'[{"targets":["\xff"]}]', 'not JSON: invalid UTF-8'),
])
def test_bad_document_names_the_field(open_bridge, document, error):
    put(open_bridge, 'a', [element('before:1')])
    answer = open_bridge.request('PUT', '/api/v1/targets/a', body=document)
    assert answer.status == 400
    assert error in answer.text and answer.text.count('\n') == 1
    assert sd(open_bridge) == [element('before:1')]
    assert open_bridge.scrape().own('sd_refused_total', reason='bad_request') == 1


@pytest.mark.parametrize('path, error', [
    ('a?ttl=', 'query argument ttl: expected a duration from 1s to 366d, such as 30s, got ""'),
    ('a?ttl=30', 'query argument ttl: '),
    ('a?ttl=999ms', 'query argument ttl: '),
    ('a?ttl=367d', 'query argument ttl: '),
    ('a?ttl=-5s', 'query argument ttl: '),
    ('a?ttl=30s%00', 'query argument ttl: '),
    ('a?ttl=99999999999999999999s', 'query argument ttl: '),
    ('a?ttl=30s&ttl=30s', 'query argument ttl: given twice'),
    ('a?tll=30s', 'query argument "tll": unknown; there are ttl and owner'),
    ('a?', None),
    ('a?owner=', 'query argument owner: expected 1 to 200 letters, digits and any of ._:@~-, got ""'),
    ('a?owner=a%22b', 'query argument owner: '),
    ('a?owner=' + 'x' * 201, 'query argument owner: '),
    ('a?owner=' + 'x' * 200, None),
    ('', 'group: expected 1 to 200 letters, digits and any of ._:@~-, got ""'),
    ('a/b', 'group: '),
    ('a%2fb', 'group: '),
    ('a%0ab', r'group: expected 1 to 200 letters, digits and any of ._:@~-, got "a\x0ab"'),
    ('%ff', r'got "\xff"'),
    ('x' * 201, 'group: '),
    ('x' * 200, None),
])
def test_bad_name_or_argument(open_bridge, path, error):
    answer = open_bridge.request('PUT', '/api/v1/targets/' + path, body='[]')
    if error is None:
        assert answer.status == 201
        return
    assert answer.status == 400
    assert error in answer.text
    assert listed(open_bridge) == {}


@pytest.mark.parametrize('query, error', [
    ('?', None),
    ('?ttl=30s', 'query argument "ttl": unknown; DELETE takes none'),
    ('?cascade', 'query argument "cascade": unknown; DELETE takes none'),
    ('?a=1&b=2', 'query argument "a": unknown; DELETE takes none'),
])
def test_bad_argument_of_delete(open_bridge, query, error):
    put(open_bridge, 'a', [element('a:1')])
    answer = delete(open_bridge, 'a' + query)
    if error is None:
        assert answer.status == 204
        return
    assert (answer.status, answer.text) == (400, error + '\n')
    assert list(listed(open_bridge)) == ['a']
    assert open_bridge.scrape().own('sd_refused_total', reason='bad_request') == 1


def test_document_too_large(open_bridge):
    most = 1 << 20
    blank = ' ' * (most - 2)
    assert open_bridge.request('PUT', '/api/v1/targets/a', body='[]' + blank).status == 201
    large = open_bridge.request('PUT', '/api/v1/targets/a', body='[] ' + blank)
    assert (large.status, large.text) == (413, '413 request body too large: more than 1048576 bytes\n')
    many = put(open_bridge, 'a', [element(*['a:1'] * 10001)])
    assert many.status == 400 and 'more than 10000 targets' in many.text


def test_registry_full(open_bridge):
    """The limits in all: groups are too many for a test, targets are not."""
    document = [element(*['h:%d' % i for i in range(10000)])]
    for i in range(10):
        assert put(open_bridge, 'g%d' % i, document).status == 201
    answer = put(open_bridge, 'more', [element('a:1')])
    assert answer.status == 413
    assert answer.text == 'there may be 100000 targets in all; delete groups, or let them expire with ?ttl=\n'
    assert put(open_bridge, 'g0', [element('a:1')]).status == 200
    assert put(open_bridge, 'more', [element('a:1')]).status == 201
    targets = [target for entry in sd(open_bridge) for target in entry['targets']]
    assert len(targets) == 90002
    scrape = open_bridge.scrape()
    assert scrape.own('sd_targets') == 90002
    assert scrape.own('sd_refused_total', reason='limit') == 1


def test_slow_reader_sees_one_state(open_bridge):
    """A list that is being sent does not change, whatever becomes of its groups meanwhile."""
    document = [element(*['host-with-a-long-name-%d:9100' % i for i in range(10000)])]
    for i in range(10):
        assert put(open_bridge, 'g%d' % i, document).status == 201
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(PATIENCE)
    peer.connect(('127.0.0.1', open_bridge.web))
    connection = http.client.HTTPConnection('127.0.0.1', open_bridge.web)
    connection.sock = peer
    with contextlib.closing(connection):
        connection.request('GET', '/sd')
        response = connection.getresponse()
        begun = response.read(100)
        for i in range(10):
            assert delete(open_bridge, 'g%d' % i).status == 204
        assert sd(open_bridge) == []
        assert json.loads(begun + response.read()) == document * 10


@pytest.mark.parametrize('method, path', [('POST', '/sd'), ('PUT', '/sd'), ('PUT', '/api/v1/targets'),
                                          ('DELETE', '/api/v1/targets'), ('POST', '/api/v1/targets/a')])
def test_method_not_allowed(open_bridge, method, path):
    answer = open_bridge.request(method, path, body='[]')
    assert answer.status == 405
    assert 'GET' in answer.headers['Allow']


def test_slow_bodies_hold_up_nobody(open_bridge):
    """Half a document, in one piece and in chunks: others register meanwhile, and the whole one counts later."""
    head = b'PUT /api/v1/targets/slow%d HTTP/1.1\r\nHost: x\r\n'
    with contextlib.ExitStack() as peers:
        lengths, chunks, gone = [peers.enter_context(socket.create_connection(('127.0.0.1', open_bridge.web), PATIENCE))
                                 for _ in range(3)]
        lengths.sendall(head % 1 + b'Content-Length: 21\r\n\r\n[{"targets":')
        chunks.sendall(head % 2 + b'Transfer-Encoding: chunked\r\n\r\nc\r\n[{"targets":\r\n')
        gone.sendall(head % 3 + b'Content-Length: 22\r\n\r\n[{"targets":["a:1"]}]')
        assert put(open_bridge, 'quick', [element('q:1')]).status == 201
        assert sd(open_bridge) == [element('q:1')]
        lengths.sendall(b'["a:1"]}]')
        chunks.sendall(b'9\r\n["a:2"]}]\r\n0\r\n\r\n')
        gone.shutdown(socket.SHUT_WR)
        assert lengths.recv(12) == b'HTTP/1.1 201'
        assert chunks.recv(12) == b'HTTP/1.1 201'
        assert gone.recv(12) == b''
    assert sd(open_bridge) == [element('q:1'), element('a:1'), element('a:2')]


# Who may.

def test_off_by_default(bridge):
    for answer in (put(bridge, 'a', [element('a:1')]), delete(bridge, 'a')):
        assert answer.status == 403
        assert '--web.enable-target-api' in answer.text
    assert sd(bridge) == []
    assert bridge.scrape().own('sd_refused_total', reason='off') == 2


def bearer(token):
    return {'Authorization': 'Bearer ' + token}


def test_token(start_bridge, tmp_path):
    tokens = tmp_path / 'tokens'
    tokens.write_text(TOKEN + '\n')
    bridge = start_bridge(OPEN, '--sd.token-file=%s' % tokens)
    missing = put(bridge, 'a', [])
    assert (missing.status, missing.headers['WWW-Authenticate']) == (401, 'Bearer realm="statsbridge"')
    for headers in (bearer(OTHER_TOKEN), bearer(TOKEN[:-1]), bearer(TOKEN + 'x')):
        for wrong in (put(bridge, 'a', [], headers=headers), delete(bridge, 'a', headers)):
            assert wrong.status == 401
            assert wrong.headers['WWW-Authenticate'] == 'Bearer realm="statsbridge", error="invalid_token"'
    assert put(bridge, 'a', [], headers={'Authorization': 'Basic ' + TOKEN}).status == 401
    assert put(bridge, 'a', [element('a:1')], headers=bearer(TOKEN)).status == 201
    # Reading is as open as /metrics.
    assert sd(bridge) == [element('a:1')]
    assert list(listed(bridge)) == ['a']

    # Both, then the other one only: no restart.
    tokens.write_text('%s\n%s\n' % (TOKEN, OTHER_TOKEN))
    for token in (TOKEN, OTHER_TOKEN):
        assert put(bridge, 'a', [], headers=bearer(token)).status == 200
    tokens.write_text(OTHER_TOKEN)
    assert put(bridge, 'a', [], headers=bearer(TOKEN)).status == 401
    assert delete(bridge, 'a', bearer(OTHER_TOKEN)).status == 204

    # Without a good file nobody may.
    for spoil in (lambda: tokens.write_text(''), tokens.unlink):
        spoil()
        assert put(bridge, 'a', [], headers=bearer(OTHER_TOKEN)).status == 503
    assert str(tokens) in bridge.stderr()
    assert TOKEN not in bridge.stderr() and OTHER_TOKEN not in bridge.stderr()
    assert bridge.scrape().own('sd_refused_total', reason='unauthorized') == 9


QUIET = ('--statsd.listen-udp=127.0.0.1:0', '--statsd.listen-tcp=')


@pytest.mark.parametrize('check', [['--check-config'], []])
@pytest.mark.parametrize('address', [':0', '0.0.0.0:0', '[::]:0'])
def test_token_needed_beyond_loopback(address, check):
    done = run_to_end(*QUIET, *check, OPEN, '--web.listen-address=%s' % address)
    assert done.returncode == 1
    assert '--web.enable-target-api' in done.stderr and '--sd.token-file' in done.stderr


@pytest.mark.parametrize('check', [['--check-config'], []])
@pytest.mark.parametrize('content, word', [('', 'no token'), ('short', '16 characters'), (None, 'No such file')])
def test_bad_token_file(tmp_path, content, word, check):
    tokens = tmp_path / 'tokens'
    if content is not None:
        tokens.write_text(content)
    done = run_to_end(*QUIET, *check, OPEN, '--web.listen-address=127.0.0.1:0', '--sd.token-file=%s' % tokens)
    assert done.returncode == 1
    assert str(tokens) in done.stderr and word in done.stderr


def test_beyond_loopback_with_token(start_bridge, tmp_path):
    tokens = tmp_path / 'tokens'
    tokens.write_text(TOKEN)
    flags = (OPEN, '--sd.token-file=%s' % tokens)
    assert run_to_end(*flags, '--check-config').returncode == 0
    start_bridge(*flags)


# What survives.

def restartable(start_bridge, tmp_path):
    """-> a function that starts a bridge with always the same state file"""
    return lambda *flags: start_bridge(OPEN, '--sd.state-file=%s' % (tmp_path / 'state'), *flags)


def test_restart(start_bridge, tmp_path):
    start = restartable(start_bridge, tmp_path)
    first = start()
    put(first, 'a', [element('a:1', x='\u00fc"\\')], '?ttl=1h&owner=o')
    put(first, 'b', [element('b:1')])
    put(first, 'c', [element('c:1')])
    delete(first, 'c')
    before, served = listed(first), sd(first)
    first.stop()
    second = start()
    assert (listed(second), sd(second)) == (before, served)
    second.stop()
    # Also without anybody who may change it.
    third = start_bridge('--sd.state-file=%s' % (tmp_path / 'state'))
    assert (listed(third), sd(third)) == (before, served)


def test_time_goes_on_across_a_restart(start_bridge, tmp_path):
    start = restartable(start_bridge, tmp_path)
    first = start()
    put(first, 'short', [element('a:1')], '?ttl=1s')
    put(first, 'long', [element('b:1')], '?ttl=1h')
    expires = listed(first)['long']['expires']
    first.signal(signal.SIGKILL)
    first.await_exit(-signal.SIGKILL)
    second = start()
    await_equal(lambda: sorted(listed(second)), ['long'])
    assert listed(second)['long']['expires'] == expires
    assert sd(second) == [element('b:1')]


@pytest.mark.parametrize('threads', [1, 2])
def test_kill_loses_nothing_acknowledged(start_bridge, tmp_path, threads):
    """Clients register and delete as fast as they can; the bridge is killed in the middle, several times."""
    start = restartable(start_bridge, tmp_path)
    clients, rounds, kills = 4, 40, 5
    expected = {}

    def change(bridge, client, number, reached):
        """Leaves in `reached` what was acknowledged, and what may or may not have happened behind it."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            for i in range(10 ** 6):
                name, target = 'c%d-%d' % (client, i % 5), 'k%d-%d:1' % (number, i)
                reached['unsure'] = (name, None if i % 7 == 6 else target)
                answer = delete(bridge, name) if i % 7 == 6 else put(bridge, name, [element(target)])
                if answer.status not in (200, 201, 204, 404):
                    reached['refused'] = answer.text
                    return
                reached['sure'][name] = None if i % 7 == 6 else target
                reached['count'] += 1

    for number in range(kills):
        bridge = start('--threads=%d' % threads)
        all_reached = [{'sure': {}, 'unsure': None, 'count': 0} for _ in range(clients)]
        workers = [threading.Thread(target=change, args=(bridge, client, number, reached))
                   for client, reached in enumerate(all_reached)]
        for worker in workers:
            worker.start()
        await_condition(lambda: sum(reached['count'] for reached in all_reached) >= rounds, 'changes')
        bridge.signal(signal.SIGKILL)
        bridge.await_exit(-signal.SIGKILL)
        for worker in workers:
            worker.join()
        assert not any('refused' in reached for reached in all_reached), all_reached

        after = start()
        got = {name: group['document'][0]['targets'][0] for name, group in listed(after).items()}
        for reached in all_reached:
            expected.update(reached['sure'])
        unsure = dict(reached['unsure'] for reached in all_reached)
        for name in {*expected, *got}:
            assert got.get(name) in (expected.get(name), unsure.get(name, expected.get(name))), name
        expected = got
        after.stop()


def test_state_file_is_only_the_owners(start_bridge, tmp_path):
    start = restartable(start_bridge, tmp_path)
    put(start(), 'a', [])
    state = tmp_path / 'state'
    assert state.stat().st_mode & 0o777 == 0o600
    assert state.read_text().startswith('{"statsbridge_targets":1,"groups":1}\n')
    assert not (tmp_path / 'state.new').exists()


@pytest.mark.parametrize('check', [['--check-config'], []])
@pytest.mark.parametrize('content, place', [
    ('', ':1:1: '),
    ('{"statsbridge_targets":1,"groups":1}\n', ':1:1: groups: the file has 0 groups, not 1'),
    ('{"statsbridge_targets":1,"groups":1}\n{"group":"a","owner":"o","registered_ms":1,"docum', ':2:49: '),
    ('{"statsbridge_targets":7,"groups":0}\n', ':1:1: statsbridge_targets: '),
])
def test_damaged_state_file(tmp_path, content, place, check):
    """It is an error that says where and what to do; the file stays as it was."""
    state = tmp_path / 'state'
    state.write_text(content)
    done = run_to_end(*QUIET, *check, '--web.listen-address=127.0.0.1:0', '--sd.state-file=%s' % state)
    assert done.returncode == 1
    assert str(state) + place in done.stderr
    assert 'mend the file, or move it away to start without groups' in done.stderr
    assert state.read_text() == content


def test_state_file_in_use(start_bridge, tmp_path):
    start = restartable(start_bridge, tmp_path)
    start()
    done = run_to_end(*QUIET, '--web.listen-address=127.0.0.1:0', '--sd.state-file=%s' % (tmp_path / 'state'))
    assert done.returncode == 1
    assert 'in use by another process' in done.stderr


def test_state_folder_missing(tmp_path):
    done = run_to_end(*QUIET, '--web.listen-address=127.0.0.1:0', '--sd.state-file=%s/none/state' % tmp_path)
    assert done.returncode == 1
    assert 'the folder must exist and be writable' in done.stderr


def test_disk_that_fails(start_bridge, folder, tmp_path):
    """What cannot be written is refused, and nothing changes; once it can be, it goes on."""
    bridge = start_bridge(OPEN, '--sd.state-file=%s' % (folder / 'state'))
    assert put(bridge, 'a', [element('a:1')]).status == 201
    moved = folder.rename(tmp_path / 'moved')
    for answer in (put(bridge, 'a', [element('a:2')]), put(bridge, 'b', []), delete(bridge, 'a')):
        assert answer.status == 503
        assert 'nothing was changed: --sd.state-file cannot be written: No such file' in answer.text
    assert sd(bridge) == [element('a:1')]
    assert 'scrape targets not written' in bridge.stderr()
    moved.rename(folder)
    assert put(bridge, 'a', [element('a:2')]).status == 200
    assert sd(bridge) == [element('a:2')]
    scrape = bridge.scrape()
    assert scrape.own('sd_state_writes_total', outcome='failure') == 3
    assert scrape.own('sd_state_writes_total', outcome='success') == 2
    assert scrape.own('sd_refused_total', reason='not_written') == 3


@contextlib.contextmanager
def halted(folder):
    """The disk does not answer before the block ends; what is being written then fails."""
    # Opening a FIFO for writing waits until somebody reads from it, and a FIFO cannot reach the disk.
    slow = folder / 'state.new'
    os.mkfifo(slow)
    yield
    with open(slow, 'rb') as reader:
        assert reader.readline().startswith(b'{"statsbridge_targets":1,')
        reader.read()


@contextlib.contextmanager
def being_put(bridge, group):
    """A client that registers a group without elements; its request has arrived."""
    with contextlib.closing(bridge.connect_web()) as client:
        client.request('PUT', '/api/v1/targets/' + group, '[]')
        # What is answered after it came later.
        sd(bridge)
        yield client


def answer_to(client):
    return Response(client.getresponse())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'folder'
    folder.mkdir()
    return folder


@pytest.mark.parametrize('threads', [1, 2])
def test_slow_disk_holds_up_nobody(start_bridge, folder, threads):
    """While the file cannot be finished, lines and scrapes go on."""
    bridge = start_bridge(OPEN, '--threads=%d' % threads, '--sd.state-file=%s' % (folder / 'state'))
    with contextlib.ExitStack() as stack:
        with halted(folder):
            client = stack.enter_context(being_put(bridge, 'a'))
            bridge.send_udp('during:1|c')
            bridge.await_users({'during': 1})
            assert listed(bridge) == {}
        assert answer_to(client).status == 503
    assert put(bridge, 'a', []).status == 201


def test_changes_at_a_halted_disk(start_bridge, folder):
    """A few wait, and hear within seconds what is known; one more is refused at once; scrapes go on."""
    bridge = start_bridge(OPEN, '--sd.state-file=%s' % (folder / 'state'))
    with contextlib.ExitStack() as stack:
        with halted(folder):
            clients = [stack.enter_context(being_put(bridge, 'g%d' % i)) for i in range(32)]
            refused = put(bridge, 'more', [])
            assert (refused.status, refused.headers['Retry-After']) == (503, '1')
            assert refused.text == 'nothing was changed: as many changes as may wait for the disk wait already\n'
            assert bridge.scrape().own('sd_refused_total', reason='busy') == 1
            first, *others = [answer_to(client) for client in clients]
            assert {(answer.status, answer.headers['Retry-After']) for answer in [first, *others]} == {(503, '1')}
            assert first.text.startswith('not known to be written: ')
            assert {answer.text for answer in others} == \
                {'nothing was changed: the disk is still busy with earlier changes\n'}
            scrape = bridge.scrape()
            assert scrape.own('sd_refused_total', reason='busy') == 32
            assert scrape.own('sd_refused_total', reason='undecided') == 1
    assert put(bridge, 'after', []).status == 201
    assert list(listed(bridge)) == ['after']


def check_change_of_client_that_leaves(bridge, folder):
    """It is not written any more. `folder` holds the state file."""
    def abandoned():
        return bridge.scrape().own('sd_refused_total', reason='abandoned')

    with contextlib.ExitStack() as stack:
        with halted(folder):
            first = stack.enter_context(being_put(bridge, 'a'))
            with being_put(bridge, 'gone'):
                pass
            await_equal(abandoned, 1)
        assert answer_to(first).status == 503
    assert put(bridge, 'after', []).status == 201
    assert list(listed(bridge)) == ['after']


def test_client_leaves_while_its_change_waits(start_bridge, folder):
    check_change_of_client_that_leaves(start_bridge(OPEN, '--sd.state-file=%s' % (folder / 'state')), folder)


def test_disk_that_has_come_to_a_halt_does_not_keep_the_bridge(start_bridge, folder):
    bridge = start_bridge(OPEN, '--sd.state-file=%s' % (folder / 'state'))
    assert put(bridge, 'a', [element('a:1')]).status == 201
    os.mkfifo(folder / 'state.new')
    with being_put(bridge, 'b') as client:
        bridge.signal(signal.SIGTERM)
        bridge.await_exit(0)
        assert answer_to(client).text.startswith('not known to be written: ')
    assert 'still being written' in bridge.stderr()
    (folder / 'state.new').unlink()
    second = start_bridge('--sd.state-file=%s' % (folder / 'state'))
    assert sd(second) == [element('a:1')]


# Prometheus.

PROMETHEUS = '''global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: discovered
  http_sd_configs: [{url: 'http://127.0.0.1:%d/sd', refresh_interval: 1s}]
'''


class Container(http.server.ThreadingHTTPServer):
    """Something to scrape: one counter, and the paths that were asked for."""

    def __init__(self, served):
        super().__init__(('127.0.0.1', 0), ContainerHandler)
        self.address = '127.0.0.1:%d' % self.server_port
        self.served = served
        self.paths = set()


class ContainerHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.add(self.path)
        body = b'# TYPE requests_total counter\nrequests_total %d\n' % self.server.served
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def containers():
    """Three of them, which have served 1, 2 and 3 requests."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Container(served)) for served in (1, 2, 3)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield servers


@pytest.fixture
def watch(tmp_path):
    """-> a function that starts a Prometheus which asks a bridge what to scrape"""
    with contextlib.ExitStack() as stack:
        def start(bridge):
            prometheus = Prometheus(tmp_path, bridge.web, config=PROMETHEUS)
            stack.callback(prometheus.stop)
            return prometheus

        yield start


def scraped(prometheus):
    """-> {address: labels} of the targets that Prometheus scrapes, and that are well"""
    targets = prometheus.get('targets', state='active')['activeTargets']
    return {target['labels'].pop('instance'): {k: v for k, v in target['labels'].items() if k != 'job'}
            for target in targets if target['health'] == 'up'}


CIRCUIT = {'circuit_id': 'c-1', 'session_id': 's-1', 'worker_authority': 'worker-1:10200'}
CIRCUIT_KEY = tuple(sorted(CIRCUIT.items()))


def test_prometheus_discovers_follows_and_forgets(open_bridge, containers, watch):
    a, b, c = containers
    prometheus = watch(open_bridge)
    put(open_bridge, 'circuit-1', [element(a.address, **CIRCUIT)])
    await_equal(lambda: scraped(prometheus), {a.address: CIRCUIT})
    await_equal(lambda: prometheus.query('requests_total'), {CIRCUIT_KEY: 1})

    # A replacement, beside which another group comes and stays.
    put(open_bridge, 'circuit-1', [element(b.address, **CIRCUIT)])
    put(open_bridge, 'another', [element(c.address, circuit_id='c-2', __metrics_path__='/own/metrics')])
    await_equal(lambda: scraped(prometheus), {b.address: CIRCUIT, c.address: {'circuit_id': 'c-2'}})
    await_equal(lambda: prometheus.query('requests_total'), {CIRCUIT_KEY: 2, (('circuit_id', 'c-2'),): 3})
    assert c.paths == {'/own/metrics'} and b.paths == {'/metrics'}

    assert delete(open_bridge, 'circuit-1').status == 204
    await_equal(lambda: scraped(prometheus), {c.address: {'circuit_id': 'c-2'}})
    await_equal(lambda: prometheus.query('requests_total'), {(('circuit_id', 'c-2'),): 3})


def test_prometheus_forgets_what_expires(open_bridge, containers, watch):
    a, b, _ = containers
    prometheus = watch(open_bridge)
    put(open_bridge, 'stays', [element(b.address, **CIRCUIT)])

    def is_discovered():
        assert put(open_bridge, 'goes', [element(a.address, **CIRCUIT)], '?ttl=2s').status in (200, 201)
        return a.address in scraped(prometheus)

    await_condition(is_discovered, 'the target to be scraped while it is renewed')
    await_equal(lambda: scraped(prometheus), {b.address: CIRCUIT})
    await_equal(lambda: prometheus.query('requests_total'), {CIRCUIT_KEY: 2})
    assert list(listed(open_bridge)) == ['stays']


def test_prometheus_across_a_restart(start_bridge, tmp_path, containers, watch):
    a, b, c = containers
    flags = (OPEN, '--sd.state-file=%s' % (tmp_path / 'state'))
    first = start_bridge(*flags)
    prometheus = watch(first)
    put(first, 'a', [element(a.address, **CIRCUIT)])
    put(first, 'b', [element(b.address, **CIRCUIT)])
    await_equal(lambda: sorted(scraped(prometheus)), sorted([a.address, b.address]))
    first.signal(signal.SIGKILL)
    first.await_exit(-signal.SIGKILL)

    second = start_bridge(*flags, web=first.web)
    assert sd(second) == [element(a.address, **CIRCUIT), element(b.address, **CIRCUIT)]
    delete(second, 'a')
    put(second, 'c', [element(c.address, **CIRCUIT)])
    await_equal(lambda: sorted(scraped(prometheus)), sorted([b.address, c.address]))


def test_prometheus_keeps_its_list_while_the_bridge_is_away(start_bridge, containers, watch):
    """Without a state file nothing survives, and Prometheus is told so once the bridge is back."""
    a, _, _ = containers
    first = start_bridge(OPEN)
    prometheus = watch(first)
    put(first, 'a', [element(a.address, **CIRCUIT)])
    await_equal(lambda: scraped(prometheus), {a.address: CIRCUIT})
    first.stop()

    def failures():
        with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % prometheus.port, timeout=PATIENCE) as answer:
            return float(re.search(r'^prometheus_sd_http_failures_total (\S+)$', answer.read().decode(), re.M).group(1))

    before = failures()
    await_condition(lambda: failures() > before + 1, 'Prometheus to have missed the bridge')
    assert scraped(prometheus) == {a.address: CIRCUIT}
    start_bridge(OPEN, web=first.web)
    await_equal(lambda: scraped(prometheus), {})
