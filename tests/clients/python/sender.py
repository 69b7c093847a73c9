"""Sends one fixed set of metrics with a Python client, for tests/e2e/test_clients.py.

    sender.py CLIENT TRANSPORT ADDRESS MODE

CLIENT     datadog or statsd
TRANSPORT  udp, tcp, unixgram or unixstream
ADDRESS    host:port, or the path of a socket
MODE       how the client batches; see the functions below

What is sent is spelled out beside what must come of it, in test_clients.py.
"""
import random
import sys


def always(*_):
    """Stands in for random(): every sampled call is sent, so that results can be stated exactly."""
    return 0.0


def split_address(address):
    host, _, port = address.rpartition(':')
    return host.strip('[]'), int(port)


def send_datadog(transport, address, mode):
    import datadog.dogstatsd.base as base

    base.random = always
    options = {
        'namespace': 'py',
        'constant_tags': ['env:test'],
        'disable_telemetry': True,
        'disable_buffering': mode not in ('buffered', 'aggregated'),
        'disable_aggregation': mode != 'aggregated',
        'origin_detection_enabled': mode == 'origin',
        'container_id': 'ci-4f2a' if mode == 'origin' else None,
        'cardinality': 'low' if mode == 'origin' else None,
        'socket_timeout': 5,
    }
    if transport == 'udp':
        options['host'], options['port'] = split_address(address)
    else:
        options['socket_path'] = {'unixgram': 'unixgram://', 'unixstream': 'unixstream://'}[transport] + address
    client = base.DogStatsd(**options)

    for _ in range(3):
        client.increment('requests', tags=['route:/home'])
    client.increment('requests', 5, tags=['route:/cart'])
    client.count('bytes', 1 << 40)
    client.decrement('refunds', 2)
    client.gauge('temperature', 21.5, tags=['room:größe:1'])
    client.gauge('temperature', 22.25, tags=['room:größe:1'])
    client.gauge('offset', -7)
    client.gauge('offset', -7)
    client.gauge_with_timestamp('queue', 12, 1700000000)
    client.count_with_timestamp('jobs', 4, 1700000000)
    client.timing('query', 320)
    client.timing('query', 80)
    client.histogram('payload', 512.5)
    client.distribution('latency', 0.25, tags=['zone:a,b'])
    for _ in range(4):
        client.increment('sampled', sample_rate=0.5)
    client.histogram('sampled_payload', 2, sample_rate=0.25)
    client.set('users', 1001)
    client.event('Deploy größe', 'first line\nsecond line', alert_type='info', tags=['team:core'])
    client.service_check('db.up', client.OK, tags=['db:main'], message='all well')
    client.flush()
    client.stop()
    client.close_socket()


def send_statsd(transport, address, mode):
    import statsd

    random.random = always
    if transport == 'unixstream':
        client = statsd.UnixSocketStatsClient(socket_path=address, prefix='py', timeout=5)
    else:
        host, port = split_address(address)
        make = statsd.StatsClient if transport == 'udp' else statsd.TCPStatsClient
        client = make(host, port, prefix='py', ipv6=':' in host)

    target = client.pipeline() if mode == 'pipeline' else client
    target.incr('requests')
    target.incr('requests', 9)
    target.decr('refunds', 2)
    target.gauge('temperature', 21.5)
    target.gauge('depth', 10)
    target.gauge('depth', 5, delta=True)
    target.gauge('depth', -3, delta=True)
    target.gauge('offset', -7)
    target.timing('query', 320)
    target.timing('query', 80.5)
    for _ in range(4):
        target.incr('sampled', rate=0.5)
    target.timing('sampled_query', 100, rate=0.25)
    target.set('users', 1001)
    if mode == 'pipeline':
        target.send()
    client.close()


if __name__ == '__main__':
    send = {'datadog': send_datadog, 'statsd': send_statsd}[sys.argv[1]]
    send(*sys.argv[2:5])
