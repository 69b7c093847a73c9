"""Ports for servers under test.

A server binds its port a moment after the test has chosen it. Nothing may take the port in between: not the
kernel for a client's socket, not another test, not another run of the tests on the same machine.
"""
import errno
import random
import socket

# Below the range from which Linux picks ports by itself, see net.ipv4.ip_local_port_range.
FIRST, END, BLOCK = 10000, 32700, 50

_claims = []


def _claim_blocks():
    """The first ports of blocks that belong to this process alone, until it ends."""
    starts = list(range(FIRST, END, BLOCK))
    random.shuffle(starts)
    for start in starts:
        # An abstract name: the kernel gives it to one process, and takes it back when that ends.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind('\0statsbridge-tests-ports-%d' % start)
        except OSError as error:
            claim.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        _claims.append(claim)
        yield start


def _is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        # As servers do: what lingers of a connection that has ended keeps nobody out.
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind(('', port))
            tcp.listen()
            udp.bind(('', port))
        except OSError:
            return False
    return True


_ports = (port for start in _claim_blocks() for port in range(start, start + BLOCK) if _is_free(port))


def free_port():
    """A port that is free for UDP and TCP and is given to nobody else. Fork before, not after, the first call."""
    port = next(_ports, None)
    assert port, 'every port is in use'
    return port
