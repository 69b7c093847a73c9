"""The push side over real sockets: where lines may come from, what ends a connection and what must not."""
import contextlib
import os
import random
import resource
import signal
import socket
import stat
import struct
import threading

import pytest

from bridge import PATIENCE, await_condition, await_equal, free_port, run_to_end

LONGEST_LINE = 65536
NO_PORTS = ('--statsd.listen-udp=', '--statsd.listen-tcp=')


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(('::1', 0))
            return True
    except OSError:
        return False


def frame(payload):
    return struct.pack('<I', len(payload)) + payload


def is_closed(peer):
    """Whether the other side has ended a connection that it never writes to."""
    peer.settimeout(0)
    try:
        return peer.recv(1) == b''
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_null_receiver_counts_packets_and_reads_no_line(start_bridge):
    bridge = start_bridge('--debug.null-receiver')
    bridge.send_udp('udp:1|c')
    bridge.send_tcp('tcp:1|c\n')
    bridge.send_unixgram('gram:1|c')
    bridge.send_unixstream(frame(b'frame:1|c'))

    def received():
        own = bridge.scrape().own
        return [own('received_bytes_total', transport=each) for each in ('udp', 'tcp', 'unixgram', 'unixstream')]

    await_equal(received, [7, 8, 8, 13])
    scrape = bridge.scrape()
    assert scrape.own('udp_packets_total') == 1
    assert scrape.own('unixgram_packets_total') == 1
    assert scrape.own('lines_total') == 0
    assert scrape.users() == {}


# Addresses.

@pytest.mark.parametrize('threads', [1, 4])
def test_every_transport(start_bridge, threads):
    bridge = start_bridge('--threads=%d' % threads)
    bridge.send_udp('udp:1|c')
    bridge.send_tcp('tcp:1|c\n')
    bridge.send_unixgram('gram:1|c')
    bridge.send_unixstream('text:1|c\n')
    bridge.send_unixstream(frame(b'frame:1|c'))
    scrape = bridge.await_lines(5)
    assert scrape.users() == {'udp': 1, 'tcp': 1, 'gram': 1, 'text': 1, 'frame': 1}
    assert scrape.own('udp_packets_total') == 1
    assert scrape.own('udp_packet_drops_total') == 0
    assert 1 <= scrape.own_sum('receive_wake_ups_total') <= 5
    assert scrape.own_sum('receive_delay_seconds') == 0
    assert scrape.own('unixgram_packets_total') == 1
    assert scrape.own('tcp_connections_total') == 1
    assert scrape.own('tcp_connection_errors_total') == 0


def test_empty_host_is_dual_stack(start_bridge):
    port = free_port()
    bridge = start_bridge('--statsd.listen-udp=:%d' % port, '--statsd.listen-tcp=:%d' % port, defaults=False)
    hosts = ['127.0.0.1', '::1'] if has_ipv6() else ['127.0.0.1']
    for host in hosts:
        bridge.send_udp('udp:1|c', host, port)
        bridge.send_tcp('tcp:1|c\n', host, port)
    bridge.await_users({'udp': len(hosts), 'tcp': len(hosts)})


def test_several_addresses(start_bridge, tmp_path):
    ports = [free_port() for _ in range(4)]
    paths = [tmp_path / name for name in 'abcd']
    bridge = start_bridge(
        '--statsd.listen-udp=127.0.0.1:%d' % ports[0], '--statsd.listen-udp=127.0.0.1:%d' % ports[1],
        '--statsd.listen-tcp=127.0.0.1:%d' % ports[2], '--statsd.listen-tcp=127.0.0.1:%d' % ports[3],
        '--statsd.listen-unixgram=%s' % paths[0], '--statsd.listen-unixgram=%s' % paths[1],
        '--statsd.listen-unixstream=%s' % paths[2], '--statsd.listen-unixstream=%s' % paths[3], defaults=False)
    for i, port in enumerate(ports[:2]):
        bridge.send_udp('udp%d:1|c' % i, port=port)
    for i, port in enumerate(ports[2:]):
        bridge.send_tcp('tcp%d:1|c' % i, port=port)
    for i in range(2):
        bridge.gram, bridge.stream = paths[i], paths[2 + i]
        bridge.send_unixgram('gram%d:1|c' % i)
        bridge.send_unixstream('stream%d:1|c' % i)
    bridge.await_users({name + str(i): 1 for name in ('udp', 'tcp', 'gram', 'stream') for i in range(2)})


def test_abstract_sockets(start_bridge):
    name = 'statsbridge-test-%d' % os.getpid()
    bridge = start_bridge('--statsd.listen-unixgram=@%s-gram' % name, '--statsd.listen-unixstream=@%s-stream' % name,
                          *NO_PORTS, defaults=False)
    bridge.gram, bridge.stream = '\0%s-gram' % name, '\0%s-stream' % name
    bridge.send_unixgram('gram:1|c')
    bridge.send_unixstream('stream:1|c')
    bridge.await_users({'gram': 1, 'stream': 1})


@pytest.mark.parametrize('which', ['--statsd.listen-udp=127.0.0.1:{0.udp}', '--statsd.listen-tcp=127.0.0.1:{0.tcp}',
                                   '--web.listen-address=127.0.0.1:{0.web}'])
@pytest.mark.parametrize('threads', [1, 4])
def test_second_bridge_on_the_port(start_bridge, which, threads):
    """Even though several sockets of one bridge share a port, a second bridge must not take a part of its packets."""
    bridge = start_bridge('--threads=%d' % threads)
    flag = which.format(bridge)
    quiet = [other for other in ('--web.listen-address=127.0.0.1:0', '--statsd.listen-udp=127.0.0.1:0',
                                 '--statsd.listen-tcp=') if other.split('=')[0] != flag.split('=')[0]]
    done = run_to_end(*quiet, flag, '--threads=%d' % threads)
    assert done.returncode == 1
    assert flag.split('=')[1] in done.stderr
    bridge.send_udp('a:1|c')
    bridge.await_users({'a': 1})


# Unix sockets.

UNIX = pytest.mark.parametrize('flag, kind', [('--statsd.listen-unixgram', socket.SOCK_DGRAM),
                                              ('--statsd.listen-unixstream', socket.SOCK_STREAM)])
QUIET = ('--web.listen-address=127.0.0.1:0', *NO_PORTS)


@UNIX
def test_stale_unix_socket_is_replaced(start_bridge, tmp_path, flag, kind):
    path = tmp_path / 's'
    with socket.socket(socket.AF_UNIX, kind) as dead:
        dead.bind(str(path))
    bridge = start_bridge('%s=%s' % (flag, path), *NO_PORTS, defaults=False)
    with socket.socket(socket.AF_UNIX, kind) as peer:
        peer.connect(str(path))
        peer.send(b'a:1|c')
    bridge.await_users({'a': 1})
    bridge.stop()
    assert not path.exists()


@UNIX
def test_live_unix_socket_is_refused(tmp_path, flag, kind):
    path = tmp_path / 's'
    with socket.socket(socket.AF_UNIX, kind) as live:
        live.bind(str(path))
        if kind == socket.SOCK_STREAM:
            live.listen()
        done = run_to_end(*QUIET, '%s=%s' % (flag, path))
        assert done.returncode == 1 and str(path) in done.stderr
        assert stat.S_ISSOCK(path.stat().st_mode)


@UNIX
def test_regular_file_is_refused(tmp_path, flag, kind):
    path = tmp_path / 's'
    path.write_text('precious')
    done = run_to_end(*QUIET, '%s=%s' % (flag, path))
    assert done.returncode == 1 and str(path) in done.stderr
    assert path.read_text() == 'precious'


@pytest.mark.parametrize('mode, bits', [('755', 0o755), ('777', 0o777), ('1660', 0o660), ('', 0)])
def test_unix_socket_mode(start_bridge, mode, bits):
    bridge = start_bridge('--statsd.unixsocket-mode=' + mode)
    assert stat.S_IMODE(bridge.gram.stat().st_mode) == bits
    assert stat.S_IMODE(bridge.stream.stat().st_mode) == bits


# Datagrams.

@pytest.mark.parametrize('send', ['send_udp', 'send_unixgram'])
def test_datagram__lines(bridge, send):
    getattr(bridge, send)('a:1|c\n\nb:1|c\r\nc:1|c|#k:v\r')
    getattr(bridge, send)('')
    getattr(bridge, send)('\n\n')
    await_equal(lambda: bridge.scrape().own('lines_total'), 4 + 1 + 3)
    scrape = bridge.await_lines(3)
    assert scrape.users() == {'a': 1, 'b': 1, 'c{k="v"}': 1}
    assert scrape.own('lines_empty_total') == 5


def test_udp__largest_datagram(bridge):
    line = b'a:1|c\n'
    payload = (line * (65507 // len(line)))[:-1]
    bridge.send_udp(payload)
    bridge.await_lines(payload.count(b'\n') + 1)


def test_unixgram__over_long_datagram_loses_only_the_line_that_is_cut(bridge):
    payload = b'a:1|c\nb:1|c\n' + b'c:1|c|#k:' + b'v' * 70000
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        out.sendto(payload, str(bridge.gram))
    bridge.send_unixgram('d:1|c')
    bridge.await_users({'a': 1, 'b': 1, 'd': 1})
    bridge.scrape().assert_books()


# Streams.

def test_tcp__lines(bridge):
    bridge.send_tcp('a:1|c\r\n\nb:1|c\nlast:1|c')
    scrape = bridge.await_lines(3)
    assert scrape.users() == {'a': 1, 'b': 1, 'last': 1}
    assert scrape.own('lines_total') == 4


def test_tcp__a_byte_at_a_time(bridge):
    with bridge.connect_tcp() as out:
        out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b'slow:1|c\r\nslow:2|c\n':
            out.send(bytes([byte]))
    bridge.await_users({'slow': 3})


@pytest.mark.parametrize('connect', ['connect_tcp', 'connect_unixstream'])
def test_stream__long_lines(bridge, connect):
    """The longest line is taken; a longer one is counted and skipped, and the connection lives on."""
    head = b'long:1|c|#k:'
    with getattr(bridge, connect)() as out:
        out.sendall(b'a:1|c\n' + head + b'x' * (LONGEST_LINE - len(head)) + b'\n')
        out.sendall(head + b'x' * (LONGEST_LINE + 1 - len(head)) + b'\n')
        out.sendall(b'y' * 1000000 + b'\nb:1|c\n')
        scrape = bridge.await_lines(3)
        assert not is_closed(out)
    assert scrape.users() == {'a': 1, 'b': 1, 'long{k="%s"}' % ('x' * (LONGEST_LINE - len(head))): 1}
    assert scrape.own_sum('tcp_too_long_lines_total') + scrape.own_sum('unixstream_too_long_lines_total') == 2


def test_tcp__several_that_never_pause(start_bridge):
    """More than one turn of the loop can take: some are put off, and none is read outside of its turn."""
    bridge = start_bridge('--threads=1')
    lines = b''.join(b'busy.%d:1|c\n' % (i % 50) for i in range(20000))
    threads = [threading.Thread(target=send_repeatedly, args=(bridge, lines, 10)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bridge.await_users({'busy_%d' % i: 24000 for i in range(50)})


def send_repeatedly(bridge, text, times):
    with bridge.connect_tcp() as out:
        for _ in range(times):
            out.sendall(text)


def test_tcp__reset(bridge):
    """A reset after whole lines: they count, the unfinished rest does not, nobody else notices."""
    with bridge.connect_tcp() as other:
        with bridge.connect_tcp() as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            out.sendall(b'a:1|c\n')
            bridge.await_lines(1)
            out.sendall(b'b:1')
        other.sendall(b'c:1|c\n')
        bridge.await_users({'a': 1, 'c': 1})
    bridge.scrape().assert_books()


def test_unixstream__frames_however_cut(bridge):
    stream = frame(b'a:1|c\nb:2|c') + frame(b'') + frame(b'c:3|c\n') + frame(b'd:4|c')
    for size in (1, 3, len(stream)):
        with bridge.connect_unixstream() as out:
            for start in range(0, len(stream), size):
                out.sendall(stream[start:start + size])
    bridge.await_users({'a': 3, 'b': 6, 'c': 9, 'd': 12})


def test_unixstream__largest_frame(bridge):
    line = b'a:1|c\n'
    payload = (line * (65536 // len(line)))[:-1]
    bridge.send_unixstream(frame(payload) + frame(b'b:1|c'))
    bridge.await_users({'a': payload.count(b'\n') + 1, 'b': 1})


@pytest.mark.parametrize('rubbish', [
    frame(b'x' * 65537)[:100],
    b'\x00\x00\x00\xff',
    b'\x10\x01ab',
])
def test_unixstream__neither_frame_nor_text_is_hung_up(bridge, rubbish):
    with bridge.connect_unixstream() as out:
        out.sendall(rubbish)
        await_condition(lambda: is_closed(out), 'the connection to be closed')
    bridge.send_unixstream('a:1|c')
    bridge.await_users({'a': 1})


def test_unixstream__frame_cut_by_the_end(bridge):
    bridge.send_unixstream(frame(b'a:1|c') + frame(b'b:1|c')[:-2])
    bridge.send_unixstream('c:1|c')
    bridge.await_users({'a': 1, 'c': 1})
    bridge.scrape().assert_books()


# Limits.

@pytest.mark.parametrize('threads', [1, 2])
def test_connection_limit__the_idle_one_goes(start_bridge, threads):
    limit = 8
    bridge = start_bridge('--statsd.max-connections=%d' % limit, '--threads=%d' % threads)
    with contextlib.ExitStack() as open_peers:
        idle, *busy = [open_peers.enter_context(bridge.connect_tcp()) for _ in range(limit)]
        await_equal(lambda: bridge.scrape().own('tcp_connections_total'), limit)
        for peer in busy:
            peer.sendall(b'busy:1|c\n')
        bridge.await_lines(len(busy))
        assert not is_closed(idle)

        late = open_peers.enter_context(bridge.connect_tcp())
        late.sendall(b'late:1|c\n')
        bridge.await_users({'busy': len(busy), 'late': 1})
        await_condition(lambda: is_closed(idle), 'the idle connection to be closed')
        for peer in busy:
            peer.sendall(b'busy:1|c\n')
        bridge.await_users({'busy': 2 * len(busy), 'late': 1})
        assert not any(is_closed(peer) for peer in [*busy, late])


def test_many_connections_come_and_go(start_bridge):
    bridge = start_bridge('--statsd.max-connections=16')
    for _ in range(20):
        with contextlib.ExitStack() as open_peers:
            for _ in range(10):
                for connect in bridge.connect_tcp, bridge.connect_unixstream:
                    peer = open_peers.enter_context(connect())
                    # It may be closed to make room as long as it has sent nothing.
                    with contextlib.suppress(ConnectionError):
                        peer.sendall(b'a:1|c\n')
    # Those closed to make room may lose what was still unread; the last ones may not.
    bridge.send_tcp('done:1|c\n')
    await_condition(lambda: bridge.scrape().users().get('done'))
    bridge.scrape().assert_books()


def test_out_of_descriptors(start_bridge):
    """Without a descriptor left for a new connection the rest goes on, and comes back to it later."""
    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    bridge = start_bridge('--statsd.max-connections=1000', '--threads=2', preexec_fn=few_descriptors)
    peers = []
    for _ in range(150):
        peers.append(bridge.connect_tcp())
        peers[-1].sendall(b'crowd:1|c\n')
    bridge.send_udp('udp:1|c')
    for peer in peers:
        peer.close()
    # One that is closed to make room a moment before its line comes loses it; that is rare.
    await_condition(lambda: scrape_or_nothing(bridge).get('crowd', 0) >= 145, 'the crowd to be counted')
    bridge.send_tcp('after:1|c')
    await_condition(lambda: bridge.scrape().users().get('after'), 'the last one to be counted')
    await_equal(lambda: bridge.scrape().own('tcp_connections_total'), 151)
    scrape = bridge.scrape()
    assert scrape.users().keys() == {'crowd', 'udp', 'after'}
    assert 145 <= scrape.users()['crowd'] <= 150 and scrape.users()['udp'] == 1
    scrape.assert_books()


def scrape_or_nothing(bridge):
    assert bridge.is_running(), bridge.stderr()
    try:
        return bridge.scrape().users()
    except OSError:
        return {}


# Relay, stop, and noise.

def test_relay(start_bridge):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
        target.bind(('127.0.0.1', 0))
        target.settimeout(PATIENCE)
        bridge = start_bridge('--statsd.relay.address=127.0.0.1:%d' % target.getsockname()[1],
                              '--statsd.relay.packet-length=20', '--threads=1')
        bridge.send_udp('aaaaa:1|c\nbbbbb:1|c\nc:1|c\n\nnonsense\n' + 'x' * 20 + ':1|c')
        assert target.recv(100) == b'aaaaa:1|c\nbbbbb:1|c\n'
        assert target.recv(100) == b'c:1|c\nnonsense\n'
    label = 'target="127.0.0.1:'

    def read_counts():
        series = bridge.scrape().series
        return {name.split('{')[0]: value for name, value in series.items() if label in name}

    # A datagram is counted once it has been sent.
    await_equal(lambda: read_counts()['statsbridge_relay_packets_total'], 2)
    counts = read_counts()
    assert counts['statsbridge_relay_lines_relayed_total'] == 4
    assert counts['statsbridge_relay_long_lines_total'] == 1


@pytest.mark.parametrize('threads', [1, 2])
def test_sigterm_takes_what_the_sockets_hold(start_bridge, threads):
    """All that was sent before SIGTERM is processed, here seen by what is relayed, and the files are gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        target.bind(('127.0.0.1', 0))
        bridge = start_bridge('--statsd.relay.address=127.0.0.1:%d' % target.getsockname()[1],
                              '--threads=%d' % threads)
        sent = []

        def lines(transport):
            sent.extend('%s.%d:1|c' % (transport, i) for i in range(100))
            return '\n'.join(sent[-100:]) + '\n'

        with bridge.connect_tcp() as tcp, bridge.connect_unixstream() as stream:
            tcp.sendall(b'first:1|c\n')
            stream.sendall(b'first:1|c\n')
            bridge.await_lines(2)
            sent += ['first:1|c'] * 2
            bridge.signal(signal.SIGSTOP)
            bridge.send_udp(lines('udp'))
            bridge.send_unixgram(lines('gram'))
            tcp.sendall(lines('tcp').encode())
            stream.sendall(lines('stream').encode())
            bridge.signal(signal.SIGTERM)
            bridge.signal(signal.SIGCONT)
            bridge.await_exit(0)

        target.setblocking(False)
        relayed = []
        with contextlib.suppress(BlockingIOError):
            while True:
                relayed += target.recv(65536).decode().splitlines()
    assert sorted(relayed) == sorted(sent)
    assert not bridge.gram.exists() and not bridge.stream.exists()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_stop_is_clean(start_bridge, number):
    bridge = start_bridge()
    with bridge.connect_tcp() as out:
        out.sendall(b'a:1|c\n')
        bridge.await_lines(1)
        bridge.signal(number)
        bridge.await_exit(0)
    assert not bridge.gram.exists() and not bridge.stream.exists()


def test_restart_on_the_same_addresses(start_bridge):
    """Connections that are still winding down do not keep the port from the next bridge."""
    first = start_bridge()
    with first.connect_tcp() as out:
        out.sendall(b'a:1|c\n')
        first.await_lines(1)
        first.stop()
        second = start_bridge('--statsd.listen-udp=127.0.0.1:%d' % first.udp,
                              '--statsd.listen-tcp=127.0.0.1:%d' % first.tcp, defaults=False)
    first.web = second.web
    first.send_tcp('b:1|c\n')
    second.await_users({'b': 1})


def test_noise(bridge):
    """Bytes that mean nothing, and lines with a byte changed: the books hold and every scrape is legal."""
    draw = random.Random(1)
    lines = [b'a.b:1|c', b'c:+1|g', b'd:1:2:3|ms|@0.1', b'e[k=v]:1|h|#x:y', b'f#k=v:1|d', b'g,k=v:1|c',
             b'h:1|c|#\xc3\xa9:\xc3\xbc|c:ci|e:x|T1', b'_e{1,2}:a|bc|t:info', b'_sc|n|0|m:x', b'quantile:1|ms|#quantile:1',
             b'le:1|ms|#le:1', b'i:nan|g', b'i:inf|c', b']x[:1|c', b'#a=b:1|c', b'x:1|c|#__name__:y']
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp, stream = bridge.connect_tcp(), bridge.connect_unixstream()
    with udp, tcp, stream:
        stream.sendall(b'text')
        for _ in range(300):
            payload = bytearray(b'\n'.join(draw.choices(lines, k=5)))
            for _ in range(draw.randrange(4)):
                payload[draw.randrange(len(payload))] = draw.randrange(256)
            udp.sendto(payload, ('127.0.0.1', bridge.udp))
            udp.sendto(draw.randbytes(draw.randrange(200)), ('127.0.0.1', bridge.udp))
            tcp.sendall(payload + b'\n')
            stream.sendall(payload + b'\n')
            bridge.send_unixgram(bytes(payload))
        udp.sendto(b'done:1|c', ('127.0.0.1', bridge.udp))
        tcp.sendall(b'\ndone:1|c\n')
        stream.sendall(b'\ndone:1|c\n')
        bridge.send_unixgram('done:1|c')
        await_condition(lambda: bridge.scrape().users().get('done') == 4, 'the last lines')
    bridge.scrape().assert_books()
