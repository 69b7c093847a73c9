"""The pull side: what every path answers, and that no client of it can hold up the others."""
import concurrent.futures
import contextlib
import gzip
import http.client
import os
import re
import signal
import socket

import pytest

from bridge import PATIENCE, Scrape, await_condition, await_equal

MAPPING = '''mappings:
- match: a.*
  name: a
  labels: {kind: $1}
'''
BROKEN = '''mappings:
- match: a.*
  name: a
  nmae: b
- match: b.*
  name: b
  ttl: soon
'''


PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'


def test_landing_page(bridge):
    response = bridge.request('GET', '/')
    assert response.status == 200
    assert response.headers.get_content_type() == 'text/html'
    assert 'href="/metrics"' in response.text
    assert bridge.request('HEAD', '/').body == b''


def test_metrics__headers(bridge):
    response = bridge.request('GET', '/metrics')
    assert response.status == 200
    assert response.headers['Content-Type'].startswith('text/plain; version=0.0.4; charset=utf-8')
    assert response.headers['Content-Encoding'] is None
    assert response.headers['Vary'] == 'Accept, Accept-Encoding'
    Scrape(response.text)


def test_metrics__open_files(bridge):
    with contextlib.closing(bridge.connect_web()) as connection:
        connection.request('GET', '/metrics')
        scrape = Scrape(connection.getresponse().read().decode())
        files = os.listdir('/proc/%d/fd' % bridge.process.pid)
    assert scrape.series['process_open_fds'] == len(files)


@pytest.mark.parametrize('accept', [
    '*/*',
    'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5',
    'application/openmetrics-text',
    'nonsense;;;q=x',
    '',
])
def test_metrics__text_for_everybody(bridge, accept):
    response = bridge.request('GET', '/metrics', {'Accept': accept})
    assert response.status == 200
    assert response.headers['Content-Type'].startswith('text/plain; version=0.0.4')


@pytest.mark.parametrize('accept_encoding', ['gzip', 'deflate, gzip;q=0.8', '*'])
def test_metrics__gzip(bridge, accept_encoding):
    bridge.send_udp('\n'.join('series.%d:1|c' % i for i in range(300)))
    bridge.await_lines(300)
    response = bridge.request('GET', '/metrics', {'Accept-Encoding': accept_encoding})
    assert response.headers['Content-Encoding'] == 'gzip'
    assert 'Accept-Encoding' in response.headers['Vary']
    assert len(Scrape(gzip.decompress(response.body).decode()).users()) == 300


@pytest.mark.parametrize('accept_encoding', ['identity', 'gzip;q=0', 'br'])
def test_metrics__no_gzip(bridge, accept_encoding):
    response = bridge.request('GET', '/metrics', {'Accept-Encoding': accept_encoding})
    assert response.headers['Content-Encoding'] is None
    Scrape(response.text)


@pytest.mark.parametrize('lines, kind, is_gzip', [
    (['Accept: application/json', 'Accept: ' + PROTOBUF], 'application/vnd.google.protobuf', False),
    (['Accept: text/plain;q=0.2', 'Accept: ' + PROTOBUF + ';q=0.3', 'Accept-Encoding: br', 'Accept-Encoding: gzip'],
     'application/vnd.google.protobuf', True),
    (['Accept: ' + PROTOBUF + ';q=0.2', 'Accept: text/plain;q=0.3', 'Accept-Encoding: gzip;q=0', 'Accept-Encoding: identity'],
     'text/plain', False),
    (['Accept:', 'Accept: ,', 'Accept: ' + PROTOBUF, 'Accept:', 'Accept-Encoding:', 'Accept-Encoding: gzip'],
     'application/vnd.google.protobuf', True),
    (['Accept: nonsense;;"'] * 700 + ['Accept-Encoding: x'] * 300, 'text/plain', False),
    (['Accept:'] * 1000 + ['Accept: ' + PROTOBUF], 'application/vnd.google.protobuf', False),
])
def test_metrics__wishes_in_several_lines(bridge, lines, kind, is_gzip):
    """They mean what one line with commas means (RFC 9110 section 5.3)."""
    with contextlib.closing(bridge.connect_web()) as connection:
        connection.putrequest('GET', '/metrics', skip_accept_encoding=True)
        for line in lines:
            name, _, value = line.partition(':')
            connection.putheader(name, value.strip())
        connection.endheaders()
        response = connection.getresponse()
        response.read()
    assert (response.status, response.headers.get_content_type()) == (200, kind)
    assert (response.headers['Content-Encoding'] == 'gzip') == is_gzip


def test_metrics__large_answer_is_whole(start_bridge):
    bridge = start_bridge()
    count = 20000
    with bridge.connect_tcp() as out:
        for i in range(count):
            out.sendall(b'wide:%d|c|#index:%d\n' % (i, i))
    scrape = bridge.await_lines(count)
    assert scrape.users() == {'wide{index="%d"}' % i: i for i in range(count)}
    packed = bridge.request('GET', '/metrics', {'Accept-Encoding': 'gzip'})
    assert Scrape(gzip.decompress(packed.body).decode()).users() == scrape.users()


@pytest.mark.parametrize('path', ['/metrics', '/-/healthy', '/-/ready', '/health'])
def test_head(bridge, path):
    response = bridge.request('HEAD', path)
    assert response.status == 200
    assert response.body == b''
    assert response.headers['Content-Type'] == bridge.request('GET', path).headers['Content-Type']


@pytest.mark.parametrize('path, word', [('/-/healthy', 'Healthy'), ('/-/ready', 'Ready'), ('/health', 'Healthy')])
def test_health(bridge, path, word):
    response = bridge.request('GET', path)
    assert response.status == 200
    assert word in response.text


@pytest.mark.parametrize('path', ['/nothing', '/metrics/', '/metricsx', '/-/', '/-/ready/'])
def test_unknown_path(bridge, path):
    assert bridge.request('GET', path).status == 404


@pytest.mark.parametrize('path, clean', [('//', '/'), ('/../etc/passwd', '/etc/passwd'), ('/./metrics', '/metrics'),
                                         ('/%2e%2e/metrics', '/metrics')])
def test_unclean_path(bridge, path, clean):
    response = bridge.request('GET', path)
    assert (response.status, response.headers['Location']) == (307, clean)


@pytest.mark.parametrize('path', ['/metrics', '/', '/-/healthy', '/-/ready'])
@pytest.mark.parametrize('method', ['DELETE', 'POST'])
def test_method_not_allowed(bridge, method, path):
    response = bridge.request(method, path, body='x')
    assert response.status == 405
    assert 'GET' in response.headers['Allow']


def test_telemetry_path(start_bridge):
    bridge = start_bridge('--web.telemetry-path=/other')
    assert bridge.request('GET', '/other').status == 200
    assert bridge.request('GET', '/metrics').status == 404
    assert 'href="/other"' in bridge.request('GET', '/').text


@pytest.mark.parametrize('path', ['/-/reload', '/-/quit'])
@pytest.mark.parametrize('method', ['GET', 'POST', 'PUT'])
def test_lifecycle__off(bridge, method, path):
    assert bridge.request(method, path).status == 404
    assert bridge.request('GET', '/-/ready').status == 200


@pytest.mark.parametrize('method', ['POST', 'PUT'])
def test_reload__success(start_bridge, method):
    bridge = start_bridge('--web.enable-lifecycle', mapping=MAPPING)
    response = bridge.request(method, '/-/reload')
    assert (response.status, response.text) == (200, 'Requesting reload')
    assert bridge.scrape().own('config_reloads_total', outcome='success') == 1


def test_reload__failure_says_why(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping=MAPPING)
    bridge.mapping.write_text(BROKEN)
    response = bridge.request('POST', '/-/reload')
    assert response.status == 500
    assert '%s:4:3' % bridge.mapping in response.text and 'nmae' in response.text
    assert '%s:7:' % bridge.mapping in response.text and 'ttl' in response.text
    assert bridge.scrape().own('config_reloads_total', outcome='failure') == 1


def test_reload__get_is_no_reload(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping=MAPPING)
    assert bridge.request('GET', '/-/reload').status in (200, 405)
    assert bridge.scrape().own_sum('config_reloads_total') == 0


@pytest.mark.parametrize('method', ['POST', 'PUT'])
def test_quit(start_bridge, method):
    bridge = start_bridge('--web.enable-lifecycle')
    response = bridge.request(method, '/-/quit')
    assert (response.status, response.text) == (200, 'Requesting termination... Goodbye!')
    bridge.await_exit(0)
    assert not bridge.gram.exists() and not bridge.stream.exists()


def test_keep_alive_and_pipelining(bridge):
    with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as peer:
        peer.sendall(b'GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n' * 2 +
                     b'GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        answer = b''.join(iter(lambda: peer.recv(65536), b''))
    assert answer.count(b'HTTP/1.1 200') == 3


INCOMPLETE = 'http_requests_incomplete_total', {}
CLIENT_ERROR, SERVER_ERROR = [('http_responses_total', {'code': code}) for code in ('4xx', '5xx')]
# What nothing but a broken or hostile client makes move.
FAULTS = INCOMPLETE, CLIENT_ERROR, SERVER_ERROR, ('http_request_deadlines_total', {})


@pytest.mark.parametrize('request_bytes, status, counter', [
    pytest.param(b'\r\nGET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 200, None, id='empty line before'),
    pytest.param(b'nonsense\r\n\r\n', None, INCOMPLETE, id='nonsense'),
    pytest.param(b'GET /metrics HTTP/9.9\r\n\r\n', 505, INCOMPLETE, id='version'),
    pytest.param(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, INCOMPLETE, id='HTTP/2'),
    pytest.param(b'GET /metrics HTTP/1.1\r\n\r\n', 400, CLIENT_ERROR, id='no host'),
    pytest.param(b'GET ' + b'/' * 100000 + b' HTTP/1.1\r\n\r\n', 414, INCOMPLETE, id='long target'),
    pytest.param(b'GET / HTTP/1.1\r\nX: ' + b'y' * 1000000 + b'\r\n\r\n', 431, INCOMPLETE, id='long header'),
    pytest.param(b'GET / HTTP/1.1\r\nHost: x\r\n' + b'X: y\r\n' * 20000 + b'\r\n', 431, CLIENT_ERROR, id='many headers'),
    pytest.param(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\nx', 405, CLIENT_ERROR, id='great length'),
    pytest.param(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ' + b'9' * 30 + b'\r\n\r\n', 413, CLIENT_ERROR, id='no such length'),
    pytest.param(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400, CLIENT_ERROR, id='negative length'),
    pytest.param(b'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400, CLIENT_ERROR, id='no chunk'),
    pytest.param(b'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n', 501, SERVER_ERROR, id='coding'),
    pytest.param(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400,
                 CLIENT_ERROR, id='two lengths'),
    pytest.param(bytes(range(256)) * 40, 400, INCOMPLETE, id='every byte'),
])
def test_hostile_request(bridge, request_bytes, status, counter):
    """It is answered or closed without waiting for more, and counted once."""
    before = bridge.scrape()
    answer = b''
    with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(request_bytes)
        with contextlib.suppress(ConnectionError):
            while part := peer.recv(65536):
                answer += part
    assert answer.startswith(b'HTTP/1.1 %d ' % status) if status else not answer

    def moved():
        after = bridge.scrape()
        return [after.own(name, **labels) - before.own(name, **labels) for name, labels in FAULTS]

    await_equal(moved, [int(each == counter) for each in FAULTS])


def test_slow_clients_hold_up_nobody(bridge):
    """Half a request, and an answer that is never read: scrapes and samples go on."""
    bridge.send_udp('before:1|c')
    bridge.await_lines(1)
    half = [socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) for _ in range(20)]
    for peer in half:
        peer.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\nX-')
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.connect(('127.0.0.1', bridge.web))
    deaf.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * 200)
    bridge.send_udp('during:1|c')
    assert bridge.await_lines(2).users() == {'before': 1, 'during': 1}
    for peer in [*half, deaf]:
        peer.close()


def test_one_address_cannot_take_all_connections(bridge):
    """More connections than one address may have: those over the limit end, and freed places work."""
    peers = []
    for _ in range(300):
        try:
            peers.append(socket.create_connection(('127.0.0.1', bridge.web), PATIENCE))
        except OSError:
            break
    for peer in peers:
        peer.close()

    def answers():
        try:
            return bridge.request('GET', '/-/ready').status == 200
        except OSError:
            return False

    await_condition(answers, 'an answer after the crowd has left')


WIDE = 5000


def make_wide(bridge):
    """Makes an answer of more than a megabyte, which the sockets of begun_scrape() do not hold."""
    with bridge.connect_tcp() as out:
        out.sendall(b''.join(b'wide:1|c|#index:%d,padding:%s\n' % (i, b'x' * 200) for i in range(WIDE)))
    bridge.await_lines(WIDE)


@contextlib.contextmanager
def begun_scrape(bridge):
    """A scrape whose client has asked and reads nothing yet."""
    connection = http.client.HTTPConnection('127.0.0.1', bridge.web)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    # The other side's buffer grows with the segments, to 4 MB with those of loopback.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    connection.sock.settimeout(PATIENCE)
    connection.sock.connect(('127.0.0.1', bridge.web))
    with contextlib.closing(connection):
        connection.request('GET', '/metrics')
        yield connection


def test_scrapes_share_a_rendering(start_bridge):
    """Who asks while another scrape is being rendered gets the same bytes."""
    bridge = start_bridge()
    make_wide(bridge)

    def share():
        # On a busy machine the second may come too late.
        before = bridge.scrape().own('scrapes_shared_total')
        with begun_scrape(bridge) as first, begun_scrape(bridge) as second:
            answers = [client.getresponse().read() for client in (first, second)]
        for answer in answers:
            assert len(Scrape(answer.decode()).users()) == WIDE
        scrape = bridge.scrape()
        assert scrape.own('scrapes_aborted_total') == 0
        shared = scrape.own('scrapes_shared_total') - before
        assert (shared == 1) == (answers[0] == answers[1])
        return shared

    await_condition(share, 'two scrapes that share')


def test_scrapes_share__one_goes_away(start_bridge):
    """Whoever goes away in the middle of a rendering leaves it whole for the other."""
    bridge = start_bridge()
    make_wide(bridge)
    with begun_scrape(bridge) as second:
        with begun_scrape(bridge) as first:
            first.getresponse().read(1000)
        assert len(Scrape(second.getresponse().read().decode()).users()) == WIDE
    await_condition(lambda: bridge.scrape().own('scrapes_aborted_total') == 1, 'the one that went away')


FLOOD = 20000


def test_scrapes_during_a_flood_of_births(start_bridge):
    """A scrape shows every series that was there when it came, however many more are being born."""
    bridge = start_bridge()
    flood = ['flood:1|c|#n:%05d%s\n' % (i * 7919 % FLOOD, 'v' * 500) for i in range(FLOOD)]
    counted = 0

    def scrape():
        nonlocal counted
        text = bridge.request('GET', '/metrics').text
        shown = re.findall(r'^flood\{n="(\d+)', text, re.MULTILINE)
        assert shown == sorted(set(shown))
        assert len(shown) >= counted
        counted = float(re.search(r'^statsbridge_lines_total (\S+)$', text, re.MULTILINE)[1])
        return len(shown) == FLOOD

    with concurrent.futures.ThreadPoolExecutor() as pool:
        sending = pool.submit(bridge.send_tcp, ''.join(flood))
        await_condition(scrape, 'all series')
        sending.result()


def test_scrape_during_sigterm(start_bridge):
    """A scrape that is under way when SIGTERM comes is finished."""
    bridge = start_bridge()
    make_wide(bridge)
    with begun_scrape(bridge) as client:
        response = client.getresponse()
        answer = response.read(1000)
        bridge.signal(signal.SIGTERM)
        answer += response.read()
    bridge.await_exit(0)
    assert len(Scrape(answer.decode()).users()) == WIDE


def ask_at_once(bridge, requests, addresses=1):
    """Sends each request on a connection of its own while the bridge stands still. -> the connections"""
    bridge.signal(signal.SIGSTOP)
    connections = []
    for i, request in enumerate(requests):
        source = '127.0.0.%d' % (1 + i % addresses), 0
        connections.append(socket.create_connection(('127.0.0.1', bridge.web), PATIENCE, source))
        connections[-1].sendall(request)
    bridge.signal(signal.SIGCONT)
    return connections


def read_answer(connection):
    with connection, connection.makefile('rb') as answer:
        head, _, body = answer.read().partition(b'\r\n\r\n')
    return head, body


def test_crowd_of_scrapers(bridge):
    """A rendering is due again only after a while, so all but the first wait for one, and get it whole."""
    bridge.send_udp('before:1|c')
    bridge.await_lines(1)
    bridge.send_udp('asked:1|c')
    bridge.await_lines(2)
    shared = bridge.scrape().own('scrapes_shared_total')
    get = b'GET /metrics HTTP/1.0\r\n\r\n'
    connections = ask_at_once(bridge, [get] * 30 + [b'HEAD /metrics HTTP/1.0\r\n\r\n'])
    head, body = read_answer(connections.pop())
    assert head.startswith(b'HTTP/1.1 200') and not body
    for connection in connections:
        _, body = read_answer(connection)
        scrape = Scrape(body.decode())
        assert scrape.series['asked'] == 1
    assert bridge.scrape().own('scrapes_shared_total') > shared


def test_crowd_of_scrapers__too_many(start_bridge):
    """More than may wait: each gets a whole answer, or hears that it does not."""
    bridge = start_bridge()
    series = 500
    with bridge.connect_tcp() as out:
        out.sendall(b''.join(b'wide:1|c|#index:%d,padding:%s\n' % (i, b'x' * 200) for i in range(series)))
    bridge.await_lines(series)
    get = b'GET /metrics HTTP/1.0\r\n\r\n'
    outcomes = set()
    # All are read at once: a request has a deadline, also for who is slow to read.
    with concurrent.futures.ThreadPoolExecutor(240) as pool:
        answers = list(pool.map(read_answer, ask_at_once(bridge, [get] * 240, addresses=4)))
    for head, body in answers:
        status = head.split()[1]
        if status == b'200':
            assert body.count(b'\nwide{') == series
        else:
            assert status == b'503' and b'Retry-After: 1' in head
        outcomes.add(status)
    assert b'200' in outcomes
    assert len(bridge.scrape().users()) == series


@pytest.fixture
def silent_crowd(bridge):
    """More connections than those that get much memory; they say nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(33):
            stack.enter_context(socket.create_connection(('127.0.0.1', bridge.web), PATIENCE))
        yield


@pytest.mark.usefixtures('silent_crowd')
@pytest.mark.parametrize('size, lines, status', [
    (28000, 1, 200), (6000, 250, 200), (60000, 1, 431), (28000, 500, 431), (70000, 1, 431),
])
def test_silent_crowd__headers(bridge, size, lines, status):
    headers = {'X-%d' % i: 'x' * (size // lines) for i in range(lines)}
    assert bridge.request('GET', '/-/ready', headers).status == status


@pytest.mark.usefixtures('silent_crowd')
def test_silent_crowd__large_answer(bridge):
    make_wide(bridge)
    scrape = bridge.scrape()
    assert len(scrape.users()) == WIDE
    assert scrape.own('http_requests_incomplete_total') == 0


def test_crowd_leaves(bridge):
    """What waited for its turn, and does not any more, is forgotten."""
    bridge.scrape()
    for connection in ask_at_once(bridge, [b'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'] * 30):
        connection.close()
    await_condition(lambda: bridge.scrape().own('http_connections_open') == 1, 'the others to be gone')


@pytest.mark.parametrize('addresses', [1, 10])
def test_crowd_has_left(start_bridge, addresses):
    """Many more than may be open, who asked and went before anybody looked, take nothing from one who waits."""
    bridge = start_bridge()
    make_wide(bridge)
    bridge.signal(signal.SIGSTOP)
    for i in range(600):
        source = '127.0.0.%d' % (1 + i % addresses), 0
        with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE, source) as one:
            one.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
    with socket.create_connection(('127.0.0.1', bridge.web), PATIENCE) as waits:
        waits.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        bridge.signal(signal.SIGCONT)
        head, body = read_answer(waits)
    assert head.startswith(b'HTTP/1.1 200')
    assert len(Scrape(body.decode()).users()) == WIDE
