"""HTTP with basic_auth_users in --web.config.file."""
import base64
import concurrent.futures
import contextlib
import http.client
import os
import socket
import subprocess

import pytest

from bridge import PATIENCE, Bridge, await_condition, await_equal
from passwords import basic, hash_of

USER = 'prometheus'
GOOD = basic(USER, 'right')
# Sanitizers keep what is freed.
SANITIZED = 'build-' in os.environ.get('STATSBRIDGE', '')


class GuardedBridge(Bridge):
    credentials = GOOD

    def request(self, method, path, headers=None, body=None):
        return super().request(method, path, {**self.credentials, **(headers or {})}, body)


@pytest.fixture
def start_guarded(tmp_path):
    bridges = []

    def start(*flags, cost=4, users=None):
        file = tmp_path / 'web.yml'
        users = users or {USER: hash_of('right', cost)}
        file.write_text('basic_auth_users:\n' + ''.join('  %s: %s\n' % pair for pair in users.items()))
        directory = tmp_path / str(len(bridges))
        directory.mkdir()
        bridge = GuardedBridge(directory, ['--web.config.file=%s' % file, *flags])
        bridge.file = file
        bridges.append(bridge)
        bridge.await_ready()
        return bridge

    yield start
    for bridge in bridges:
        bridge.stop()


def plain(bridge, path='/metrics', headers=None, method='GET', body=None):
    return Bridge.request(bridge, method, path, headers, body)


def refused(bridge, reason):
    return bridge.scrape().own('http_auth_refused_total', reason=reason)


def test_right_and_wrong(start_guarded):
    bridge = start_guarded()
    assert plain(bridge, headers=GOOD).status == 200
    for headers in ({}, basic(USER, 'wrong'), basic('nobody', 'right'), basic(USER, ''), basic('', '')):
        response = plain(bridge, headers=headers)
        assert response.status == 401
        assert response.headers['WWW-Authenticate'].startswith('Basic realm=')
    assert refused(bridge, 'missing') == 1
    assert refused(bridge, 'wrong') == 4


@pytest.mark.parametrize('value', [
    'Basic', 'Basic ', 'Basic !!!!', 'Basic cHJvbWV0aGV1cw==', 'Bearer right', 'Basic cHJvbWV0aGV1czpyaWdodA',
    'Basic ' + base64.b64encode(b'prometheus:right\0x').decode(), 'Basic ' + 'QUFB' * 2000,
])
def test_unreadable(start_guarded, value):
    bridge = start_guarded()
    assert plain(bridge, headers={'Authorization': value}).status == 401
    assert refused(bridge, 'missing') == 1


def test_two_authorizations(start_guarded):
    """Not even when one of them, or each, is good: a proxy before this may have looked at the other one."""
    bridge = start_guarded()
    line = 'Authorization: %s\r\n'
    good, wrong = GOOD['Authorization'], basic(USER, 'wrong')['Authorization']
    for pair in ((good, good), (good, wrong), (wrong, good), (good, 'Bearer 0123456789abcdef')):
        with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as client:
            client.sendall(('GET /metrics HTTP/1.1\r\nHost: x\r\n%s%s\r\n' % tuple(line % each for each in pair)).encode())
            assert client.recv(65536).startswith(b'HTTP/1.1 400 ')


def test_nothing_is_told_to_strangers(start_guarded):
    """Neither what exists, nor what is too large, nor what may be sent."""
    bridge = start_guarded('--web.enable-lifecycle')
    for method, path in (('GET', '/'), ('GET', '/not-there'), ('POST', '/metrics'), ('GET', '//'), ('HEAD', '/-/healthy'),
                         ('POST', '/-/quit'), ('PUT', '/api/v1/targets/x')):
        assert plain(bridge, path, method=method).status == 401, path
        assert plain(bridge, path, basic('nobody', 'x'), method=method).status == 401, path
        plain(bridge, path, GOOD)
    assert bridge.is_running()


def test_wrong_password_in_a_large_request(start_guarded):
    bridge = start_guarded()
    assert plain(bridge, '/metrics', basic('nobody', 'x'), 'POST', b'x' * (1 << 19)).status == 401
    with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as client:
        head = 'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\nAuthorization: %s\r\n\r\n'
        client.sendall((head % basic('nobody', 'x')['Authorization']).encode())
        assert client.recv(65536).startswith(b'HTTP/1.1 401')


def test_byte_by_byte(start_guarded):
    bridge = start_guarded()
    with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in ('GET /-/healthy HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n' % GOOD['Authorization']).encode():
            client.sendall(bytes([byte]))
        assert client.recv(65536).startswith(b'HTTP/1.1 200')


def test_keep_alive(start_guarded):
    """Each request is asked again, whatever the one before had."""
    bridge = start_guarded()
    connection = http.client.HTTPConnection('127.0.0.1', bridge.web, timeout=PATIENCE)
    with contextlib.closing(connection):
        for headers, status in ((GOOD, 200), ({}, 401), (GOOD, 200), (basic(USER, 'wrong'), 401), (GOOD, 200)):
            connection.request('GET', '/-/healthy', headers=headers)
            response = connection.getresponse()
            response.read()
            assert response.status == status


def test_limit_of_wrong_passwords(start_guarded):
    bridge = start_guarded()
    statuses = [plain(bridge, headers=basic(USER, 'wrong %d' % i)).status for i in range(40)]
    assert statuses[:10] == [401] * 10
    assert 429 in statuses
    # Who has shown the right one before is let in all the same.
    assert plain(bridge, headers=GOOD).status == 200
    assert refused(bridge, 'limited') == statuses.count(429)


def from_another_address(bridge, headers):
    connection = http.client.HTTPConnection('127.0.0.1', bridge.web, timeout=PATIENCE, source_address=('127.0.0.2', 0))
    with contextlib.closing(connection):
        connection.request('GET', '/-/healthy', headers=headers)
        return connection.getresponse().status


def test_right_ones_at_once(start_guarded):
    """More than may be wrong, and none of them is known when they come."""
    users = {USER: hash_of('right'), **{'user %d' % i: hash_of('right', 8) for i in range(8)}}
    bridge = start_guarded(users=users)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(lambda i: plain(bridge, '/-/healthy', basic('user %d' % (i % 8), 'right')).status, range(64)))
    assert statuses == [200] * 64
    assert refused(bridge, 'limited') == 0


def test_reload_keeps_what_was_right(start_guarded):
    """Who is limited by then would not be let in again."""
    bridge = start_guarded()
    kept = {USER: hash_of('right'), 'other': hash_of('right')}
    await_condition(lambda: plain(bridge, headers=basic(USER, 'wrong')).status == 429, 'the limit')
    bridge.file.write_text('basic_auth_users:\n' + ''.join('  %s: %s\n' % pair for pair in kept.items()))
    await_equal(lambda: from_another_address(bridge, basic('other', 'right')), 200)
    await_condition(lambda: plain(bridge, headers=basic(USER, 'wrong')).status == 429, 'the limit')
    assert plain(bridge, headers=GOOD).status == 200
    assert refused(bridge, 'limited') >= 2


def test_flood_disturbs_nobody(start_guarded):
    bridge = start_guarded(cost=8)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        flood = [pool.submit(plain, bridge, '/metrics', basic('nobody %d' % i, 'x')) for i in range(200)]
        for _ in range(10):
            bridge.send_udp('a:1|c')
            assert plain(bridge, headers=GOOD).status == 200
        statuses = {each.result().status for each in flood}
    assert statuses <= {401, 429, 503}
    bridge.await_users({'a': 10})


def test_client_leaves_before_its_password_is_checked(start_guarded):
    bridge = start_guarded(cost=8)
    for i in range(5):
        with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as client:
            client.sendall(('GET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n'
                            % basic('nobody', str(i))['Authorization']).encode())
    await_equal(lambda: bridge.scrape().own('http_connections_open'), 1)


@pytest.mark.parametrize('leave', [socket.socket.close, lambda client: client.shutdown(socket.SHUT_WR)],
                         ids=['gone', 'half gone'])
def test_change_of_client_that_leaves_during_its_check(start_guarded, leave):
    """It is not carried out."""
    bridge = start_guarded('--web.enable-target-api', users={USER: hash_of('right', 4), 'dear': hash_of('right', 12)})

    def ended():
        """Whether it may yet hear so, is for libmicrohttpd to say."""
        scrape = bridge.scrape()
        return scrape.own('http_responses_total', code='5xx') + scrape.own('http_requests_incomplete_total')

    before = ended()
    with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as client:
        client.sendall(('PUT /api/v1/targets/a HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 2\r\n\r\n[]'
                        % basic('dear', 'right')['Authorization']).encode())
        leave(client)
        await_equal(ended, before + 1)
    assert bridge.scrape().own('sd_changes_total', operation='put') == 0
    # Who stays is heard.
    assert plain(bridge, '/api/v1/targets/a', basic('dear', 'right'), 'PUT', b'[]').status == 201


STRANGERS = 250
BODY = 1 << 20


@pytest.mark.parametrize('headers', [{}, basic('nobody', 'x'), {'Authorization': 'Bearer wrong-wrong-wrong'}],
                         ids=['nothing', 'password', 'token'])
def test_bodies_of_strangers_are_not_kept(start_guarded, tmp_path, headers):
    """However many send as much as is allowed: all but the last byte is there, and nothing of it stays."""
    (tmp_path / 'tokens').write_text('0123456789abcdef\n')
    bridge = start_guarded('--web.enable-target-api', '--sd.token-file=%s' % (tmp_path / 'tokens'))
    bridge.scrape()
    before = bridge.resident_bytes()
    head = 'PUT /api/v1/targets/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n' % (
        BODY, ''.join('%s: %s\r\n' % pair for pair in headers.items()))
    with contextlib.ExitStack() as stack:
        strangers = []
        for i in range(STRANGERS):
            source = '127.0.0.%d' % (2 + i % 5), 0
            strangers.append(stack.enter_context(socket.create_connection(('127.0.0.1', bridge.web), PATIENCE, source)))
            strangers[-1].sendall(head.encode() + b'x' * (BODY - 1))
        scrape = bridge.scrape()
        assert scrape.own('http_connections_open') == STRANGERS + 1
        assert scrape.own('http_request_body_bytes') == 0
        if not SANITIZED:
            assert bridge.resident_bytes() - before < 16 << 20
        good = {'Authorization': 'Bearer 0123456789abcdef'}
        assert plain(bridge, '/api/v1/targets/b', good, 'PUT', b'[{"targets": ["a:1"]}]').status == 201
        for stranger in strangers:
            stranger.sendall(b'x')
            assert stranger.recv(12) in (b'HTTP/1.1 401', b'HTTP/1.1 429', b'HTTP/1.1 503')
    assert list(bridge.request('GET', '/sd').text.split('"')).count('a:1') == 1


def test_bodies_of_clients_have_a_limit_together(start_bridge):
    """Who comes when there is no more room hears it, and has room later."""
    bridge = start_bridge('--web.enable-target-api')
    head = b'PUT /api/v1/targets/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % BODY
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(('127.0.0.1', bridge.web), PATIENCE)) for _ in range(8)]
        for client in clients:
            client.sendall(head + b' ' * (BODY - 1))
        await_equal(lambda: bridge.scrape().own('http_request_bodies_refused_total'), 4)
        assert bridge.scrape().own('http_request_body_bytes') == 4 * BODY
        answers = []
        for client in clients:
            client.sendall(b' ')
            answers.append(client.recv(12))
        assert sorted(answers) == [b'HTTP/1.1 400'] * 4 + [b'HTTP/1.1 503'] * 4
    assert plain(bridge, '/api/v1/targets/a', {}, 'PUT', b'[]' + b' ' * (BODY - 2)).status == 201
    assert bridge.scrape().own('http_request_body_bytes') == 0


def test_end_with_passwords_under_way(start_guarded):
    bridge = start_guarded(cost=10)
    clients = [socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) for _ in range(5)]
    for i, client in enumerate(clients):
        client.sendall(('GET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n' % basic('x', str(i))['Authorization']).encode())
    bridge.stop()
    for client in clients:
        client.close()


def test_users_change(start_guarded):
    bridge = start_guarded()
    bridge.file.write_text('basic_auth_users: {other: %s}\n' % hash_of('right', 5))
    bridge.credentials = basic('other', 'right')
    await_condition(lambda: plain(bridge, headers=GOOD).status in (401, 429), 'the old user to be gone')
    await_condition(lambda: bridge.request('GET', '/-/healthy').status == 200, 'the new user to be let in')
    bridge.file.write_text('basic_auth_users: {}\n')
    await_condition(lambda: plain(bridge, '/-/healthy').status == 200, 'everybody to be let in')
    assert bridge.scrape().own('web_config_last_reload_successful', file='web') == 1


@pytest.mark.parametrize('left', ['', '# nothing yet\n', 'basic_auth_users:\n', 'http_server_config: {http2: false}\n'],
                         ids=['emptied', 'comment', 'half', 'without'])
def test_users_are_not_lost_with_the_file(start_guarded, left):
    """It may be read while somebody writes it."""
    bridge = start_guarded()
    bridge.file.write_text(left)

    def is_read_again():
        return plain(bridge).status == 200 or bridge.scrape().own('web_config_last_reload_successful', file='web') == 0

    await_condition(is_read_again, 'the reload')
    assert plain(bridge).status == 401
    assert '%s: basic_auth_users: ' % bridge.file in bridge.stderr() and 'basic_auth_users: {}' in bridge.stderr()
    # A restart means what stands there.
    bridge.stop()
    again = Bridge(bridge.directory, ['--web.config.file=%s' % bridge.file])
    again.await_ready()
    assert plain(again).status == 200
    again.stop()


def test_tokens_of_targets_go_on(start_guarded, tmp_path):
    """A request has one Authorization header: with a token it needs no password where tokens are asked for."""
    tokens = tmp_path / 'tokens'
    tokens.write_text('0123456789abcdef\n')
    bridge = start_guarded('--web.enable-target-api', '--sd.token-file=%s' % tokens)
    bearer = {'Authorization': 'Bearer 0123456789abcdef'}
    body = b'[{"targets": ["a:1"]}]'
    assert plain(bridge, '/api/v1/targets/a', bearer, 'PUT', body).status in (200, 201, 204)
    assert plain(bridge, '/api/v1/targets/a', {'Authorization': 'Bearer wrong-wrong-wrong'}, 'PUT', body).status == 401
    assert plain(bridge, '/api/v1/targets/a', bearer).status == 401
    assert plain(bridge, '/metrics', bearer).status == 401
    assert plain(bridge, '/sd', GOOD).status == 200


def test_curl(start_guarded):
    bridge = start_guarded()
    done = subprocess.run(['curl', '-sS', '-u', '%s:right' % USER, 'http://127.0.0.1:%d/-/healthy' % bridge.web],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == 'Statsd Exporter is Healthy.\n', done.stderr
