"""Lines over TCP with --statsd.tls-config-file."""
import contextlib
import shutil
import socket
import ssl
import subprocess

import pytest

from bridge import PATIENCE, Bridge, await_condition, await_equal, run_to_end
from certificates import Authority

SERVER = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n'
CLIENTS = '  client_ca_file: authority.crt\n  client_auth_type: RequireAndVerifyClientCert\n'


@pytest.fixture
def secured(tmp_path):
    """-> (authority, start)"""
    authority, bridges = Authority(tmp_path), []
    authority.server = authority.issue('server')

    def start(*flags, config=SERVER):
        file = tmp_path / 'statsd.yml'
        file.write_text(config)
        directory = tmp_path / str(len(bridges))
        directory.mkdir()
        bridge = Bridge(directory, ['--statsd.tls-config-file=%s' % file, *flags])
        bridges.append(bridge)
        bridge.await_ready()
        return bridge

    yield authority, start
    for bridge in bridges:
        bridge.stop()


@contextlib.contextmanager
def connect(bridge, context):
    with bridge.connect_tcp() as raw, context.wrap_socket(raw, server_hostname='localhost') as out:
        yield out


def test_lines(secured):
    authority, start = secured
    bridge = start()
    context = authority.client()
    with connect(bridge, context) as client:
        client.sendall(b'a:1|c\nb:')
        client.sendall(b'2|c\nlast:1|c')
        client.unwrap()
    bridge.await_users({'a': 1, 'b': 2, 'last': 1})
    # The other transports are as ever.
    bridge.send_udp('u:1|c')
    bridge.send_unixstream('s:1|c\n')
    bridge.await_users({'a': 1, 'b': 2, 'last': 1, 'u': 1, 's': 1})
    scrape = bridge.scrape()
    assert scrape.own_sum('tcp_tls_failures_total') == 0
    assert scrape.own('tls_certificate_expiry_timestamp_seconds', file='statsd') > 1.7e9


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_many_lines(secured, version):
    authority, start = secured
    bridge = start()
    context = authority.client()
    context.maximum_version = version
    with connect(bridge, context) as client:
        for _ in range(20):
            client.sendall(b''.join(b'series_%d:1|c\n' % i for i in range(5000)))
        client.unwrap()
    scrape = bridge.await_lines(100000)
    assert scrape.users() == {'series_%d' % i: 20 for i in range(5000)}
    assert scrape.own('received_bytes_total', transport='tcp') == 20 * sum(len('series_%d:1|c\n' % i) for i in range(5000))


def test_end_without_end_of_tls(secured):
    """Whoever cuts the connection must not make a line of a half one."""
    authority, start = secured
    bridge = start()
    with connect(bridge, authority.client()) as client:
        client.sendall(b'whole:1|c\nhalf:1')
        await_equal(lambda: bridge.scrape().users(), {'whole': 1})
    await_equal(lambda: bridge.scrape().own('truncated_total', transport='tcp'), 1)
    assert bridge.scrape().users() == {'whole': 1}


def test_openssl(secured):
    authority, start = secured
    bridge = start()
    subprocess.run(['openssl', 's_client', '-quiet', '-no_ign_eof', '-connect', '127.0.0.1:%d' % bridge.tcp, '-CAfile',
                    authority.certificate, '-verify_return_error'], input=b'a:1|c\n', capture_output=True, timeout=PATIENCE,
                   check=True)
    bridge.await_users({'a': 1})


def test_certificates_of_clients(secured):
    authority, start = secured
    bridge = start(config=SERVER + CLIENTS)
    good = authority.issue('good', usage='clientAuth')
    with connect(bridge, authority.client(good)) as client:
        client.sendall(b'good:1|c\n')
        client.unwrap()
    # With TLS 1.3 a client learns of the refusal behind its own handshake only.
    with contextlib.suppress(ssl.SSLError, ConnectionError), connect(bridge, authority.client()) as client:
        client.sendall(b'bad:1|c\n')
        client.recv(1)
    await_equal(lambda: bridge.scrape().own_sum('tcp_tls_failures_total'), 1)
    assert bridge.scrape().users() == {'good': 1}


def test_half_a_file_opens_no_door(secured, tmp_path):
    authority, start = secured
    bridge = start(config=SERVER + CLIENTS)

    def is_refused():
        """A client without a certificate, which hears so at the end of TLS at the latest."""
        try:
            with connect(bridge, authority.client()) as client:
                client.sendall(b'open:1|c\n')
                client.unwrap()
        except OSError:
            return True
        return False

    def is_in_force():
        return bridge.scrape().own('web_config_last_reload_successful', file='statsd') == 1

    assert is_refused()
    (tmp_path / 'statsd.yml').write_text(SERVER)
    await_condition(lambda: not is_refused() or not is_in_force(), 'the reload')
    assert is_refused()
    assert 'statsd.yml: tls_server_config.client_auth_type: ' in bridge.stderr() and 'NoClientCert' in bridge.stderr()
    (tmp_path / 'statsd.yml').write_text(SERVER + '  client_auth_type: NoClientCert\n')
    await_condition(lambda: not is_refused(), 'everybody to be let in')
    assert is_in_force()


def test_certificate_is_exchanged(secured):
    authority, start = secured
    bridge = start()
    context = authority.client()

    def serial():
        with connect(bridge, context) as client:
            return client.getpeercert()['serialNumber']

    before = serial()
    with connect(bridge, context) as kept:
        for new, old in zip(authority.issue('new'), authority.server):
            shutil.copy(new, old)
        await_condition(lambda: serial() != before, 'the new certificate')
        kept.sendall(b'kept:1|c\n')
        bridge.await_users({'kept': 1})


@pytest.mark.parametrize('sent', [
    b'plain:1|c\n',
    b'\x00' * 100,
    b'\xff' * 100000,
    b'\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff',
    b'\x16\x03\x01\xff\xff' + b'x' * 70000,
], ids=['plain', 'zeros', 'ones', 'bad-hello', 'too-long'])
def test_no_tls__closed_at_once(secured, sent):
    authority, start = secured
    bridge = start()
    with bridge.connect_tcp() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
            while client.recv(65536):
                pass
    await_equal(lambda: bridge.scrape().own_sum('tcp_tls_failures_total'), 1)
    assert bridge.scrape().users() == {}


def test_half_handshakes_disturb_nobody(secured):
    authority, start = secured
    bridge = start('--statsd.max-connections=20')
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.client().wrap_bio(incoming, outgoing, server_hostname='localhost')
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    with contextlib.ExitStack() as stack:
        for part in (b'', hello[:5], hello[:-1], hello) * 10:
            stack.enter_context(bridge.connect_tcp()).sendall(part)
        with connect(bridge, authority.client()) as client:
            client.sendall(b'a:1|c\n')
            client.unwrap()
        bridge.await_users({'a': 1})
    await_equal(lambda: bridge.scrape().own_sum('tcp_tls_failures_total'), 40)


def test_handshake_has_a_deadline(secured):
    authority, start = secured
    bridge = start()
    with bridge.connect_tcp() as client:
        client.settimeout(2 * PATIENCE)
        assert client.recv(1) == b''
    assert bridge.scrape().own_sum('tcp_tls_failures_total') == 1


def test_byte_by_byte(secured):
    authority, start = secured
    bridge = start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.client().wrap_bio(incoming, outgoing, server_hostname='localhost')
    with bridge.connect_tcp() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def flush():
            for byte in outgoing.read():
                raw.sendall(bytes([byte]))

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                flush()
                incoming.write(raw.recv(65536))
        tls.write(b'a:1|c\n')
        flush()
        bridge.await_users({'a': 1})


def test_garbage_behind_the_handshake(secured):
    authority, start = secured
    bridge = start()
    with bridge.connect_tcp() as raw:
        client = authority.client().wrap_socket(raw.dup(), server_hostname='localhost')
        client.sendall(b'a:1|c\nhalf:1|c')
        bridge.await_users({'a': 1})
        raw.sendall(b'\x17\x03\x03\x00\x20' + b'x' * 32)
        await_equal(lambda: bridge.scrape().own('tcp_connection_errors_total'), 1)
        client.close()
    assert bridge.scrape().users() == {'a': 1}


@pytest.mark.parametrize('config, error', [
    ('', 'needs tls_server_config'),
    (SERVER + 'basic_auth_users: {}\n', 'only --web.config.file takes this'),
    ('tls_server_config: {cert_file: none, key_file: server.key}', 'none'),
])
def test_start__refused(secured, tmp_path, config, error):
    file = tmp_path / 'statsd.yml'
    file.write_text(config)
    done = run_to_end('--web.listen-address=127.0.0.1:0', '--statsd.listen-udp=127.0.0.1:0', '--statsd.listen-tcp=',
                      '--statsd.tls-config-file=%s' % file)
    assert done.returncode == 1
    assert error in done.stderr
