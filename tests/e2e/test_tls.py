"""HTTP with --web.config.file: TLS, headers, and what happens when files change or clients misbehave."""
import contextlib
import http.client
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from bridge import PATIENCE, Bridge, Response, Scrape, await_condition, await_equal, run_to_end
from certificates import Authority
from passwords import basic, hash_of
from promql import Prometheus
from test_targets import OPEN, check_change_of_client_that_leaves

QUIET = ('--web.listen-address=127.0.0.1:0', '--statsd.listen-udp=127.0.0.1:0', '--statsd.listen-tcp=')
SERVER = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n'


class SecureBridge(Bridge):
    context = None
    credentials = {}

    def connect_web(self, context=None):
        return http.client.HTTPSConnection('localhost', self.web, timeout=PATIENCE, context=context or self.context)

    def request(self, method, path, headers=None, body=None, context=None):
        with contextlib.closing(self.connect_web(context)) as connection:
            connection.request(method, path, body=body, headers={**self.credentials, **(headers or {})})
            return Response(connection.getresponse())


class Secured:
    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority(directory)
        self.server = self.authority.issue('server')
        self.file = directory / 'web.yml'
        self.bridges = []

    def start(self, config=SERVER, *flags, client=None, credentials={}):
        self.file.write_text(config)
        directory = self.directory / str(len(self.bridges))
        directory.mkdir()
        bridge = SecureBridge(directory, ['--web.config.file=%s' % self.file, *flags])
        bridge.context, bridge.credentials = self.authority.client(client), credentials
        self.bridges.append(bridge)
        bridge.await_ready()
        return bridge


@pytest.fixture
def secured(tmp_path):
    out = Secured(tmp_path)
    yield out
    for bridge in out.bridges:
        bridge.stop()


def connect(bridge):
    return socket.create_connection(('127.0.0.1', bridge.web), PATIENCE)


def read_to_end(client):
    """-> what came before the end, or the reset"""
    got = b''
    with contextlib.suppress(ConnectionResetError):
        while True:
            more = client.recv(65536)
            if not more:
                break
            got += more
    return got


def serial(bridge, context):
    with connect(bridge) as raw, context.wrap_socket(raw, server_hostname='localhost') as client:
        return client.getpeercert()['serialNumber']


def is_in_force(bridge):
    """Whether the files as they are now are."""
    return bridge.scrape().own('web_config_last_reload_successful', file='web') == 1


def await_failure(bridge):
    await_condition(lambda: not is_in_force(bridge), 'a failed reload')


# What is served.


def test_scrape(secured):
    bridge = secured.start()
    bridge.send_udp('a:1|c')
    bridge.await_users({'a': 1})
    scrape = bridge.scrape()
    assert scrape.own('web_config_last_reload_successful', file='web') == 1
    assert scrape.own('tls_certificate_expiry_timestamp_seconds', file='web') > 1.7e9


def test_large_answers_keep_alive_and_gzip(secured):
    bridge = secured.start()
    bridge.send_tcp(''.join('series_%d:1|c\n' % i for i in range(20000)))
    bridge.await_lines(20000)
    connection = http.client.HTTPSConnection('localhost', bridge.web, timeout=PATIENCE, context=bridge.context)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request('GET', '/metrics')
            assert len(Scrape(connection.getresponse().read().decode()).users()) == 20000
            connection.request('GET', '/metrics', headers={'Accept-Encoding': 'gzip'})
            assert len(connection.getresponse().read()) > 10000


def test_client_leaves_while_its_change_waits(secured, tmp_path):
    folder = tmp_path / 'folder'
    folder.mkdir()
    bridge = secured.start(SERVER, OPEN, '--sd.state-file=%s' % (folder / 'state'))
    check_change_of_client_that_leaves(bridge, folder)


def test_curl(secured):
    bridge = secured.start()
    done = subprocess.run(['curl', '-sS', '--cacert', secured.authority.certificate, 'https://localhost:%d/-/healthy' % bridge.web],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == 'Statsd Exporter is Healthy.\n', done.stderr


def test_alpn(secured):
    bridge = secured.start()
    bridge.context.set_alpn_protocols(['h2', 'http/1.1'])
    with connect(bridge) as raw, bridge.context.wrap_socket(raw, server_hostname='localhost') as client:
        assert client.selected_alpn_protocol() == 'http/1.1'


def test_headers(secured):
    bridge = secured.start(SERVER + 'http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\n'
                           '    Strict-Transport-Security: max-age=31536000\n')
    for path in ('/metrics', '/', '/not-there'):
        headers = bridge.request('GET', path).headers
        assert headers['X-Frame-Options'] == 'deny'
        assert headers['Strict-Transport-Security'] == 'max-age=31536000'


@pytest.mark.parametrize('settings, version, cipher', [
    ('', 'TLSv1.3', None),
    ('  max_version: TLS12\n', 'TLSv1.2', None),
    ('  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n', 'TLSv1.2',
     'ECDHE-ECDSA-CHACHA20-POLY1305'),
    ('  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]\n', 'TLSv1.3', None),
    ('  cipher_suites: [TLS_AES_256_GCM_SHA384]\n', 'TLSv1.3', None),
    ('  min_version: TLS13\n  cipher_suites: [TLS_AES_256_GCM_SHA384]\n  curve_preferences: [CurveP384]\n', 'TLSv1.3',
     'TLS_AES_256_GCM_SHA384'),
])
def test_versions_and_ciphers(secured, settings, version, cipher):
    bridge = secured.start(SERVER + settings)
    with connect(bridge) as raw, bridge.context.wrap_socket(raw, server_hostname='localhost') as client:
        assert client.version() == version
        assert cipher in (None, client.cipher()[0])


@pytest.mark.parametrize('settings', [
    '  min_version: TLS13\n',
    '  cipher_suites: [TLS_AES_256_GCM_SHA384]\n',
    '  cipher_suites: [TLS_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n',
])
def test_version_too_old(secured, settings):
    """A suite of TLS 1.3 opens nothing in an older version."""
    bridge = secured.start(SERVER + settings)
    old = secured.authority.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers('ECDHE-ECDSA-AES256-GCM-SHA384')
    with connect(bridge) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(raw, server_hostname='localhost')
    await_equal(lambda: bridge.scrape().own_sum('http_tls_failures_total'), 1)


# Certificates of clients.

REQUIRED = SERVER + '  client_ca_file: authority.crt\n  client_auth_type: RequireAndVerifyClientCert\n'


def is_let_in(bridge, context):
    try:
        return bridge.request('GET', '/-/healthy', context=context).status == 200
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return False


def test_client_certificate__required(secured, tmp_path):
    good = secured.authority.issue('good', usage='clientAuth')
    (tmp_path / 'other').mkdir()
    stranger = Authority(tmp_path / 'other').issue('stranger', usage='clientAuth')
    server_only = secured.authority.issue('server-only', usage='serverAuth')
    bridge = secured.start(REQUIRED, client=good)
    assert is_let_in(bridge, secured.authority.client(good))
    assert not is_let_in(bridge, secured.authority.client())
    assert not is_let_in(bridge, secured.authority.client(stranger))
    assert not is_let_in(bridge, secured.authority.client(server_only))
    await_equal(lambda: bridge.scrape().own_sum('http_tls_failures_total'), 3)


@pytest.mark.parametrize('names, allowed', [
    ('DNS:prometheus.example', True),
    ('DNS:other.example,IP:10.1.2.3', True),
    ('IP:fd00:0:0:0:0:0:0:1', True),
    ('URI:spiffe://example/prometheus', True),
    ('DNS:evil-prometheus.example', False),
    ('IP:10.1.2.4', False),
])
def test_client_certificate__allowed_names(secured, names, allowed):
    client = secured.authority.issue('client', names=names, usage='clientAuth')
    fine = secured.authority.issue('fine', names='DNS:fine.example', usage='clientAuth')
    bridge = secured.start(REQUIRED + '  client_allowed_sans: [prometheus.example, 10.1.2.3, "fd00::1", '
                           '"spiffe://example/prometheus", fine.example]\n', client=fine)
    assert is_let_in(bridge, secured.authority.client(client)) == allowed


@pytest.mark.parametrize('kind, without, stranger', [
    ('NoClientCert', True, True),
    ('RequestClientCert', True, True),
    ('RequireAnyClientCert', False, True),
    ('RequireClientCert', False, True),
    ('VerifyClientCertIfGiven', True, False),
])
def test_client_certificate__other_demands(secured, tmp_path, kind, without, stranger):
    (tmp_path / 'other').mkdir()
    own = secured.authority.issue('own', usage='clientAuth')
    other = Authority(tmp_path / 'other').issue('stranger', usage='clientAuth')
    ca = '' if kind == 'NoClientCert' else '  client_ca_file: authority.crt\n'
    bridge = secured.start(SERVER + ca + '  client_auth_type: %s\n' % kind, client=own)
    assert is_let_in(bridge, secured.authority.client()) == without
    assert is_let_in(bridge, secured.authority.client(other)) == stranger


# Files that change.

HEADERS = 'http_server_config: {headers: {X-Content-Type-Options: nosniff}}\n'


def test_certificate_is_exchanged(secured):
    bridge = secured.start()
    before = serial(bridge, bridge.context)
    with connect(bridge) as raw, bridge.context.wrap_socket(raw, server_hostname='localhost') as kept:
        for new, old in zip(secured.authority.issue('new'), secured.server):
            shutil.copy(new, old)
        await_condition(lambda: serial(bridge, bridge.context) != before, 'the new certificate')
        # A connection of before goes on.
        kept.sendall(b'GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n')
        assert kept.recv(65536).startswith(b'HTTP/1.1 200')
    scrape = bridge.scrape()
    assert scrape.own('web_config_last_reload_successful', file='web') == 1
    assert scrape.own('web_config_reloads_total', file='web', outcome='success') >= 1


def test_permissions_are_put_right(secured):
    """Who brings a new key may write it first, and only then let the bridge read it."""
    bridge = secured.start()
    secured.server[1].chmod(0o640)
    await_condition(lambda: bridge.scrape().own('web_config_reloads_total', file='web', outcome='success') >= 1)


def test_bad_certificate_keeps_the_old_one(secured):
    bridge = secured.start()
    before = serial(bridge, bridge.context)
    content = secured.server[0].read_text()
    secured.server[0].write_text('nonsense')
    await_failure(bridge)
    assert bridge.scrape().own('web_config_reloads_total', file='web', outcome='failure') >= 1
    assert serial(bridge, bridge.context) == before
    assert 'server.crt' in bridge.stderr()
    secured.server[0].write_text(content)
    await_condition(lambda: is_in_force(bridge))


@pytest.mark.parametrize('broken', [
    'tls_server_config: [',
    SERVER + '  cert_fiel: x\n',
    '',
    SERVER.replace('server.', 'later.'),
    SERVER.replace('server.key', 'authority.key'),
    None,
], ids=['no-yaml', 'unknown-key', 'no-tls', 'missing', 'unfitting', 'removed'])
def test_certificate_is_exchanged_while_the_file_is_wrong(secured, broken):
    """What is in force has files of its own, and they end some day, whatever else stands on the disk."""
    bridge = secured.start()
    before = serial(bridge, bridge.context)
    if broken is None:
        secured.file.unlink()
    else:
        secured.file.write_text(broken)
    await_failure(bridge)
    assert serial(bridge, bridge.context) == before
    for new, old in zip(secured.authority.issue('new'), secured.server):
        os.replace(new, old)
    await_condition(lambda: serial(bridge, bridge.context) != before, 'the new certificate')
    assert not is_in_force(bridge)
    secured.file.write_text(SERVER + HEADERS)
    await_condition(lambda: is_in_force(bridge), 'the repaired file')
    assert bridge.request('GET', '/').headers['X-Content-Type-Options'] == 'nosniff'


def test_both_are_wrong__both_are_named(secured):
    bridge = secured.start()
    before = serial(bridge, bridge.context)
    secured.file.write_text(SERVER + '  cert_fiel: x\n')
    await_failure(bridge)
    secured.server[0].write_text('nonsense')
    await_condition(lambda: 'server.crt' in bridge.stderr(), 'word of the certificate')
    assert 'cert_fiel' in bridge.stderr()
    assert serial(bridge, bridge.context) == before
    certificate, key = secured.authority.issue('new')
    failures = bridge.scrape().own('web_config_reloads_total', file='web', outcome='failure')
    os.replace(certificate, secured.server[0])
    # Between the two nothing fits.
    await_condition(lambda: bridge.scrape().own('web_config_reloads_total', file='web', outcome='failure') > failures)
    assert serial(bridge, bridge.context) == before
    os.replace(key, secured.server[1])
    await_condition(lambda: serial(bridge, bridge.context) != before, 'the new certificate')


def test_certificate_appears_later(secured):
    bridge = secured.start()
    before = serial(bridge, bridge.context)
    secured.file.write_text(SERVER.replace('server.', 'later.'))
    await_failure(bridge)
    assert 'later.crt' in bridge.stderr()
    assert serial(bridge, bridge.context) == before
    secured.authority.issue('later')
    await_condition(lambda: is_in_force(bridge), 'the new certificate')
    assert serial(bridge, bridge.context) != before


def test_file_is_replaced_by_another(secured):
    bridge = secured.start()
    other = secured.directory / 'other.yml'
    other.write_text(SERVER + HEADERS)
    os.replace(other, secured.file)
    await_equal(lambda: bridge.request('GET', '/').headers['X-Content-Type-Options'], 'nosniff')


def test_volume_is_exchanged_as_kubernetes_does(secured):
    """All files are links into a folder that is itself a link, which is replaced by another."""
    volume = secured.directory / 'volume'

    def bring(version, config, pair):
        (volume / version).mkdir(parents=True)
        (volume / version / 'web.yml').write_text(config)
        for path, name in zip(pair, ('server.crt', 'server.key')):
            shutil.copy(path, volume / version / name)
        (volume / 'next').symlink_to(version)
        os.replace(volume / 'next', volume / '..data')

    bring('..1', SERVER, secured.server)
    for name in ('web.yml', 'server.crt', 'server.key'):
        (volume / name).symlink_to('..data/' + name)
    secured.file = volume / 'web.yml'
    bridge = secured.start()
    first = serial(bridge, bridge.context)
    bring('..2', SERVER + HEADERS, secured.authority.issue('second'))
    await_equal(lambda: bridge.request('GET', '/').headers['X-Content-Type-Options'], 'nosniff')
    second = serial(bridge, bridge.context)
    assert second != first
    bring('..3', 'nonsense', secured.authority.issue('third'))
    await_condition(lambda: serial(bridge, bridge.context) != second, 'the third certificate')
    assert not is_in_force(bridge)


def test_file_that_could_not_be_read_is_tried_again(secured):
    """There is nothing to see in the file itself when what kept it from being read is over."""
    bridge = secured.start()
    limits = resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    secured.file.write_text(SERVER + HEADERS)
    await_condition(lambda: 'cannot read' in bridge.stderr(), 'the failure')
    resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE, limits)
    await_condition(lambda: is_in_force(bridge), 'another attempt')
    assert bridge.request('GET', '/').headers['X-Content-Type-Options'] == 'nosniff'


def test_headers_are_exchanged_on_signal(secured):
    bridge = secured.start()
    secured.file.write_text(SERVER + HEADERS)
    bridge.signal(signal.SIGHUP)
    await_equal(lambda: bridge.request('GET', '/-/healthy').headers['X-Content-Type-Options'], 'nosniff')


def test_tls_cannot_be_taken_away(secured):
    bridge = secured.start()
    secured.file.write_text('')
    await_failure(bridge)
    assert 'only be added or taken away by a restart' in bridge.stderr()


NAMES = '  client_allowed_sans: [localhost]\n'
ANY = SERVER + '  client_auth_type: RequireAnyClientCert\n'
IF_GIVEN = SERVER + '  client_ca_file: authority.crt\n  client_auth_type: VerifyClientCertIfGiven\n'
USERS = 'basic_auth_users: {a: %s}\n' % hash_of('right', 4)


@pytest.mark.parametrize('before, left, key', [
    (REQUIRED, SERVER, 'tls_server_config.client_auth_type'),
    (REQUIRED, SERVER + '  client_auth_type:\n', 'tls_server_config.client_auth_type'),
    (REQUIRED, SERVER + '  client_ca_file: authority.crt\n', 'tls_server_config'),
    (ANY, SERVER, 'tls_server_config.client_auth_type'),
    (IF_GIVEN, SERVER, 'tls_server_config.client_auth_type'),
    (REQUIRED + NAMES, REQUIRED, 'tls_server_config.client_allowed_sans'),
    (REQUIRED + NAMES, REQUIRED + '  client_allowed_sans:\n', 'tls_server_config.client_allowed_sans'),
    (SERVER + USERS, SERVER, 'basic_auth_users'),
], ids=['required', 'null', 'authority', 'any', 'if-given', 'names', 'names-null', 'users'])
def test_half_a_file_opens_no_door(secured, tmp_path, before, left, key):
    (tmp_path / 'other').mkdir()
    good = secured.authority.issue('good', usage='clientAuth')
    strangers = [secured.authority.client(), secured.authority.client(Authority(tmp_path / 'other').issue('x', usage='clientAuth')),
                 secured.authority.client(secured.authority.issue('y', names='DNS:other', usage='clientAuth'))]
    bridge = secured.start(before, client=good, credentials=basic('a', 'right') if USERS in before else {})

    def doors():
        bridge.credentials, kept = {}, bridge.credentials
        found = [is_let_in(bridge, each) for each in strangers]
        bridge.credentials = kept
        return found

    closed = doors()
    secured.file.write_text(left)
    await_condition(lambda: doors() != closed or not is_in_force(bridge), 'the reload')
    assert doors() == closed
    assert '%s:' % secured.file in bridge.stderr() and ' %s: ' % key in bridge.stderr()
    secured.file.write_text(before)
    await_condition(lambda: is_in_force(bridge), 'the whole file')


@pytest.mark.parametrize('before', [REQUIRED, REQUIRED + NAMES, ANY, IF_GIVEN], ids=['required', 'names', 'any', 'if-given'])
def test_client_certificates_are_no_longer_asked_for(secured, before):
    bridge = secured.start(before, client=secured.authority.issue('good', usage='clientAuth'))
    secured.file.write_text(SERVER + '  client_auth_type: NoClientCert\n')
    foreign = ssl.create_default_context(cafile=str(secured.authority.certificate))
    await_condition(lambda: is_let_in(bridge, foreign), 'everybody to be let in')
    await_condition(lambda: is_in_force(bridge), 'the file')


# A real Prometheus.

# An interval that a busy machine does not exceed.
SCRAPES = 'global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n'
JOB = """- job_name: %s
  scheme: https
  tls_config: {%s}
  static_configs: [{targets: ['127.0.0.1:%%d']}]
"""
PASSWORD = "  basic_auth: {username: prometheus, password: '%s'}\n"


@pytest.fixture
def start_prometheus(tmp_path):
    """Starts a Prometheus with these jobs, where %d is the port of the bridge."""
    started = []

    def start(bridge, *jobs):
        started.append(Prometheus(tmp_path, bridge.web, SCRAPES + ''.join(jobs)))
        return started[-1]

    yield start
    for prometheus in started:
        prometheus.stop()


def ups(prometheus):
    return {job: prometheus.query('up{job="%s"}' % job).get(()) for job in ('good', 'bad')}


def await_scrapes(prometheus, count):
    """Waits for more scrapes of the good job, each of which went well, as all before did."""
    def scrapes():
        return prometheus.query('count_over_time(up{job="good"}[1h])').get((), 0)

    seen = scrapes()
    await_condition(lambda: scrapes() >= seen + count, 'scrapes')
    assert prometheus.query('min_over_time(up{job="good"}[1h])') == {(): 1}


def authority_of(path):
    return 'ca_file: %s' % path


def test_prometheus__password(secured, start_prometheus):
    guarded = SERVER + 'basic_auth_users: {prometheus: %s}\n' % hash_of('right')
    bridge = secured.start(guarded, credentials=basic('prometheus', 'right'))
    trusting = authority_of(secured.authority.certificate)
    prometheus = start_prometheus(bridge, JOB % ('good', trusting) + PASSWORD % 'right', JOB % ('bad', trusting) + PASSWORD % 'wrong')
    bridge.send_udp('a:7|c')
    await_equal(lambda: ups(prometheus), {'good': 1, 'bad': 0})
    await_equal(lambda: prometheus.query('a'), {(): 7})
    await_condition(lambda: bridge.scrape().own('http_auth_refused_total', reason='wrong') > 0)
    assert bridge.scrape().own_sum('http_tls_failures_total') == 0


def test_prometheus__client_certificate(secured, start_prometheus):
    client = secured.authority.issue('client', names='DNS:prometheus.example', usage='clientAuth')
    bridge = secured.start(REQUIRED + '  client_allowed_sans: [prometheus.example]\n', client=client)
    trusting = authority_of(secured.authority.certificate)
    prometheus = start_prometheus(bridge, JOB % ('good', trusting + ', cert_file: %s, key_file: %s' % client), JOB % ('bad', trusting))
    bridge.send_udp('a:7|c')
    await_equal(lambda: ups(prometheus), {'good': 1, 'bad': 0})
    await_equal(lambda: prometheus.query('a'), {(): 7})
    await_condition(lambda: bridge.scrape().own_sum('http_tls_failures_total') > 0)


def test_prometheus__certificate_is_exchanged(secured, start_prometheus, tmp_path):
    """Also that of the authority: first both are trusted, and in the end only the new one."""
    bridge = secured.start()
    (tmp_path / 'next').mkdir()
    after, trusted = Authority(tmp_path / 'next'), tmp_path / 'trusted.crt'
    shutil.copy(secured.authority.certificate, trusted)
    prometheus = start_prometheus(bridge, JOB % ('good', authority_of(trusted)))
    await_scrapes(prometheus, 1)
    trusted.write_text(secured.authority.certificate.read_text() + after.certificate.read_text())
    await_scrapes(prometheus, 1)
    for new, old in zip(after.issue('server'), secured.server):
        os.replace(new, old)
    bridge.context = after.client()
    await_condition(lambda: is_let_in(bridge, bridge.context), 'the new certificate')
    # Prometheus connects again, since what it trusts has changed.
    connections = bridge.scrape().own('http_connections_total')
    shutil.copy(after.certificate, trusted)
    await_scrapes(prometheus, 2)
    assert bridge.scrape().own('http_connections_total') > connections + 1
    assert not is_let_in(bridge, secured.authority.client())


# Clients that misbehave.

HELLO = bytes.fromhex('160301')


@pytest.mark.parametrize('sent', [
    b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n',
    b'\x00' * 100,
    b'\xff' * 100000,
    HELLO + b'\x00\x05\x01\x00\x00\x01\xff',
    HELLO + b'\xff\xff' + b'x' * 70000,
], ids=['http', 'zeros', 'ones', 'bad-hello', 'too-long'])
def test_no_tls__closed_at_once(secured, sent):
    bridge = secured.start()
    with connect(bridge) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
        assert b'HTTP' not in read_to_end(client)
    await_equal(lambda: bridge.scrape().own_sum('http_tls_failures_total'), 1)


def test_half_handshakes_disturb_nobody(secured):
    bridge = secured.start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = secured.authority.client().wrap_bio(incoming, outgoing, server_hostname='localhost')
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    with contextlib.ExitStack() as stack:
        # Silent ones, ones that stop inside the first message, and ones that stop behind it.
        for part in (b'', hello[:5], hello[:-1], hello) * 10:
            stack.enter_context(connect(bridge)).sendall(part)
        for _ in range(5):
            assert bridge.request('GET', '/-/healthy').status == 200
    await_equal(lambda: bridge.scrape().own_sum('http_tls_failures_total'), 40)


def test_byte_by_byte(secured):
    bridge = secured.start()
    with connect(bridge) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = bridge.context.wrap_bio(incoming, outgoing, server_hostname='localhost')

        def flush():
            for byte in outgoing.read():
                raw.sendall(bytes([byte]))

        def run(act):
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    flush()
                    incoming.write(raw.recv(65536))

        run(tls.do_handshake)
        for byte in b'GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n':
            tls.write(bytes([byte]))
        flush()
        assert run(lambda: tls.read(65536)).startswith(b'HTTP/1.1 200')


def test_headers_too_large(secured):
    bridge = secured.start()
    with connect(bridge) as raw, bridge.context.wrap_socket(raw, server_hostname='localhost') as client:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            client.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nX: ' + b'x' * (1 << 20))
            assert client.recv(100) == b''
    assert bridge.request('GET', '/-/healthy').status == 200


# Wrong from the start.


@pytest.mark.parametrize('config, error', [
    ('tls_server_config: {cert_file: none.crt, key_file: server.key}',
     ':1:32: tls_server_config.cert_file: {}/none.crt: No such file or directory'),
    (SERVER.replace('server.key', 'none.key'), ':3:13: tls_server_config.key_file: {}/none.key: No such file or directory'),
    (SERVER.replace('server.key', 'encrypted.key'),
     ':3:13: tls_server_config.key_file: {}/server.crt with the key in {}/encrypted.key: the key must have no passphrase'),
    (SERVER.replace('server.key', 'old.key'),
     ':3:13: tls_server_config.key_file: {}/server.crt with the key in {}/old.key: the key must have no passphrase'),
    ('tls_server_config: {cert_file: server.crt, key_file: authority.key}',
     ':1:32: tls_server_config.cert_file: {}/server.crt with the key in {}/authority.key: '),
    ('tls_server_config: {cert_file: server.key, key_file: server.key}',
     ':1:32: tls_server_config.cert_file: {}/server.key: no certificate in it'),
    (SERVER.replace('server.key', 'server.crt'),
     ':3:13: tls_server_config.key_file: {}/server.crt with the key in {}/server.crt: no key in it'),
    ('tls_server_config: {cert: x, key_file: server.key}', ':1:27: tls_server_config.cert: the text given: no certificate in it'),
    (SERVER + '  client_ca_file: none.crt\n  client_auth_type: RequireAndVerifyClientCert\n',
     ':4:19: tls_server_config.client_ca_file: {}/none.crt: No such file or directory'),
    (SERVER + '  client_ca_file: web.yml\n  client_auth_type: RequireAndVerifyClientCert\n',
     ':4:19: tls_server_config.client_ca_file: {}/web.yml: '),
    (SERVER + '  cert_fiel: x\n', 'did you mean \\"cert_file\\"'),
])
@pytest.mark.parametrize('check', [(), ('--check-config',)])
def test_start__refused(secured, config, error, check):
    secured.file.write_text(config)
    secured.authority.encrypt(secured.server[1], secured.directory / 'encrypted.key')
    secured.authority.encrypt(secured.server[1], secured.directory / 'old.key', is_old=True)
    done = run_to_end(*QUIET, *check, '--web.config.file=%s' % secured.file)
    assert done.returncode == 1
    assert error.replace('{}', str(secured.directory)) in done.stderr
    assert 'web.yml' in done.stderr


def test_promtool_takes_the_same_file(secured):
    secured.file.write_text(REQUIRED)
    done = subprocess.run(['promtool', 'check', 'web-config', secured.file], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert run_to_end(*QUIET, '--check-config', '--web.config.file=%s' % secured.file).returncode == 0
