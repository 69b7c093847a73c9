"""Several addresses for HTTP, and what a service manager gives and wants to hear."""
import contextlib
import http.client
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from bridge import BINARY, PATIENCE, Response, run_to_end
from ports import free_port

# Puts the sockets where sd_listen_fds(3) wants them, says so, and becomes the program.
HAND_OVER = '''
import os, sys
fds, names, argv = eval(sys.argv[1]), sys.argv[2], sys.argv[3:]
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execv(argv[0], argv)
'''


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self.path))


def get(connection, path='/metrics'):
    with contextlib.closing(connection):
        connection.request('GET', path)
        return Response(connection.getresponse())


def hand_over(sockets, names):
    """-> settings for Bridge and Popen"""
    fds = [each.fileno() for each in sockets]
    return {'command': (sys.executable, '-c', HAND_OVER, repr(fds), ':'.join(names)), 'pass_fds': fds}


def listening(kind=socket.SOCK_STREAM):
    out = socket.socket(socket.AF_INET, kind)
    out.bind(('127.0.0.1', 0))
    if kind == socket.SOCK_STREAM:
        out.listen()
    return out


def port_of(bound):
    return bound.getsockname()[1]


# Several addresses.


def test_listen__ports_and_unix_sockets(start_bridge, tmp_path):
    second, path = free_port(), tmp_path / 'web'
    bridge = start_bridge('--web.listen-address=127.0.0.1:%d,unix:%s' % (second, path), '--web.unixsocket-mode=620')
    assert bridge.request('GET', '/metrics').status == 200
    assert get(http.client.HTTPConnection('127.0.0.1', second, timeout=PATIENCE)).status == 200
    assert get(UnixConnection(path)).status == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o620
    bridge.stop()
    assert not path.exists()


def test_listen__unix_socket_keeps_alive_and_refuses(start_bridge, tmp_path):
    path = tmp_path / 'web'
    start_bridge('--web.listen-address=unix:%s' % path)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        for _ in range(3):
            client.sendall(b'GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n')
            assert client.recv(65536).startswith(b'HTTP/1.1 200')
        client.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n')
        assert client.recv(65536).startswith(b'HTTP/1.1 400')


def test_listen__one_of_them_is_taken(tmp_path):
    with contextlib.closing(listening()) as taken:
        path = tmp_path / 'web'
        done = run_to_end('--web.listen-address=unix:%s' % path, '--statsd.listen-udp=127.0.0.1:0', '--statsd.listen-tcp=',
                          '--web.listen-address=127.0.0.1:%d' % port_of(taken))
        assert done.returncode == 1
        assert '127.0.0.1:%d' % port_of(taken) in done.stderr
        assert not path.exists()


@pytest.mark.parametrize('address', ['unix:', 'unix:' + '/x' * 200, 'unixx:/a', 'nonsense'])
def test_listen__check_config(address):
    done = run_to_end('--check-config', '--web.listen-address=:1', '--web.listen-address=' + address)
    assert done.returncode == 1
    assert 'bad listen address" flag=--web.listen-address address=%s ' % address in done.stderr


# Sockets that are handed over.


def test_activation__every_kind(start_bridge, tmp_path):
    web, udp, tcp = listening(), listening(socket.SOCK_DGRAM), listening()
    gram, stream = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
    gram.bind(str(tmp_path / 'g'))
    stream.bind(str(tmp_path / 's'))
    stream.listen()
    # What is sent before the start is taken.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as early:
        early.sendto(b'early:1|c', udp.getsockname())
    # The ports of the command line are taken by the sockets of systemd, so nothing else can bind them.
    bridge = start_bridge('--web.systemd-socket', '--statsd.listen-udp=127.0.0.1:%d' % port_of(udp),
                          '--statsd.listen-tcp=127.0.0.1:%d' % port_of(tcp), defaults=False, web=port_of(web),
                          **hand_over([web, udp, tcp, gram, stream], ['metrics', 'a', 'statsd-tcp', '', 'statsd']))
    bridge.udp, bridge.tcp, bridge.gram, bridge.stream = port_of(udp), port_of(tcp), tmp_path / 'g', tmp_path / 's'
    bridge.send_udp('udp:1|c')
    bridge.send_tcp('tcp:1|c\n')
    bridge.send_unixgram('gram:1|c')
    bridge.send_unixstream('stream:1|c\n')
    bridge.await_users({name: 1 for name in ('early', 'udp', 'tcp', 'gram', 'stream')})
    bridge.stop()
    # They are systemd's, and so are the files.
    assert (tmp_path / 'g').exists() and (tmp_path / 's').exists()
    for each in (web, udp, tcp, gram, stream):
        each.close()


def test_activation__for_another_process(start_bridge):
    start_bridge(env={**os.environ, 'LISTEN_FDS': '1', 'LISTEN_PID': '1', 'LISTEN_FDNAMES': 'x'})


@pytest.mark.parametrize('make, flags, error', [
    (lambda: [], ['--web.systemd-socket'], 'no socket for HTTP'),
    (lambda: [listening(socket.SOCK_DGRAM)], ['--web.systemd-socket'], 'no socket for HTTP'),
    (lambda: [listening()], [], 'not named statsd'),
    (lambda: [open('/dev/null')], [], 'not a socket'),
    (lambda: [socket.socket()], [], 'does not listen'),
    (lambda: [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)], [], 'neither a datagram nor a stream'),
])
def test_activation__of_no_use(make, flags, error):
    given = make()
    settings = hand_over(given, ['x'] * len(given))
    done = subprocess.run([*settings['command'], BINARY, '--web.listen-address=127.0.0.1:0',
                           '--statsd.listen-udp=127.0.0.1:0', '--statsd.listen-tcp=', *flags],
                          pass_fds=settings['pass_fds'], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert error in done.stderr
    for each in given:
        each.close()


# What a service manager hears.


@contextlib.contextmanager
def manager(directory, **more):
    """-> (socket, environment)"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.bind(str(directory / 'notify'))
        out.settimeout(PATIENCE)
        yield out, {**os.environ, 'NOTIFY_SOCKET': str(directory / 'notify'), **more}


def hear(out):
    return dict(line.split('=', 1) for line in out.recv(4096).decode().splitlines())


def test_notify__ready_reload_stop(start_bridge, tmp_path):
    with manager(tmp_path) as (out, env):
        bridge = start_bridge(env=env, mapping='mappings:\n- match: a.*\n  name: a\n')
        assert hear(out) == {'READY': '1', 'STATUS': 'Serving metrics, with 1 mapping rules'}
        bridge.signal(signal.SIGHUP)
        assert set(hear(out)) == {'RELOADING', 'MONOTONIC_USEC'}
        assert hear(out)['READY'] == '1'
        bridge.mapping.write_text('mappings: nonsense\n')
        bridge.signal(signal.SIGHUP)
        assert int(hear(out)['MONOTONIC_USEC']) > 0
        assert 'are wrong' in hear(out)['STATUS']
        bridge.stop()
        assert hear(out)['STOPPING'] == '1'


def test_notify__watchdog(start_bridge, tmp_path):
    with manager(tmp_path, WATCHDOG_USEC='20000') as (out, env):
        start_bridge(env=env)
        assert hear(out)['READY'] == '1'
        for _ in range(3):
            assert hear(out) == {'WATCHDOG': '1'}


def test_notify__nobody_listens(start_bridge, tmp_path):
    start_bridge(env={**os.environ, 'NOTIFY_SOCKET': str(tmp_path / 'nobody')})
