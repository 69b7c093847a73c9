"""What the bridge sends to receivers of Prometheus's remote write: good ones, bad ones and real ones."""
import re
import subprocess
import time

import pytest

from bridge import PREFIX, await_condition, await_equal, observed, run_to_end
from certificates import Authority
from ports import free_port
from receiver import V1, V2, Answer, Receiver, send_for_ever, stay_silent

OFTEN = '--remote-write.interval=200ms'
MAPPING = '''
mappings:
- match: latency
  name: latency_seconds
  observer_type: histogram
  histogram_options: {buckets: [0.1, 0.2]}
- match: size
  name: size
  observer_type: summary
  summary_options: {quantiles: [{quantile: 0.5, error: 0.01}]}
- match: short.*
  name: short_$1
  ttl: 1s
'''


@pytest.fixture
def start_receiver():
    receivers = []

    def start(*arguments, **settings):
        receivers.append(Receiver(*arguments, **settings))
        return receivers[-1]

    yield start
    for receiver in receivers:
        receiver.stop()


def clients(newest):
    return {name: value for name, value in newest.items()
            if not name.startswith((PREFIX, 'process_', 'statsd_metric_mapper_cache_'))}


def assert_accounts(scrape):
    """Every sample that was written is sent, failed, dropped or in the queue."""
    own = {name: scrape.own('remote_write_' + name)
           for name in ('samples_total', 'samples_sent_total', 'samples_failed_total', 'queue_samples')}
    dropped = scrape.own_sum('remote_write_samples_dropped_total')
    assert own['samples_total'] == own['samples_sent_total'] + own['samples_failed_total'] + dropped + own['queue_samples']


@pytest.mark.parametrize('protocol, version', [('1.0', V1), ('2.0', V2), ('auto', V2)])
def test_everything_arrives(start_bridge, start_receiver, protocol, version):
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=' + protocol,
                          '--remote-write.external-label=site=b', '--remote-write.external-label=queue=none',
                          '--remote-write.header=X-Scope-OrgID: ab', mapping=MAPPING)
    bridge.send_udp('jobs:7|c|#queue:a\nroom:21.5|g|#Zone:1,text:"x\\y"\nlatency:150|ms\nsize:4|h')
    bridge.await_lines(4)
    expected = {'jobs{queue="a",site="b"}': 7, 'room{Zone="1",queue="none",site="b",text=""x\\y""}': 21.5,
                'size{quantile="0.5",queue="none",site="b"}': 4, 'size_sum{queue="none",site="b"}': 4,
                'size_count{queue="none",site="b"}': 1,
                **observed('latency_seconds', [0.15], [0.1, 0.2], {'queue': 'none', 'site': 'b'})}
    await_equal(lambda: clients(receiver.newest()), expected)
    assert receiver.newest()[PREFIX + 'samples_total{queue="none",site="b"}'] == 4
    requests = list(receiver.requests)
    assert {request.version for request in requests} == {version}
    assert {request.headers['X-Scope-OrgID'] for request in requests} == {'ab'}
    assert all(request.headers['User-Agent'].startswith('statsbridge/') for request in requests)
    assert all(request.path == '/api/v1/write' for request in requests)
    if version == V1:
        metadata = {name: kind for request in requests for name, (kind, _) in request.metadata.items()}
    else:
        metadata = {re.sub(r'\{.*', '', sample.name): sample.metadata[0] for sample in receiver.taken()}
    starts = {sample.start for sample in receiver.taken() if sample.name.startswith('jobs')}
    assert len(starts) == 1 and (starts == {0}) == (version == V1)
    assert all(sample.start <= sample.at for sample in receiver.taken())
    assert metadata[PREFIX + 'samples_total'] == 1 and metadata[PREFIX + 'series'] == 2
    await_condition(lambda: bridge.scrape().own('remote_write_samples_sent_total') > 0)
    scrape = bridge.scrape()
    assert_accounts(scrape)
    assert scrape.own('remote_write_samples_failed_total') == 0
    assert scrape.own('remote_write_lag_seconds') < 30
    assert scrape.own('remote_write_last_success_timestamp_seconds') > 1e9


@pytest.mark.parametrize('protocol', ['1.0', '2.0'])
def test_twins_are_left_out(start_bridge, start_receiver, protocol):
    """Prometheus refuses all of a request for a second sample of a series at one time."""
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=' + protocol,
                          '--remote-write.external-label=site=b', mapping=MAPPING)
    bridge.send_udp('jobs:1|c\njobs:5|c|#site:b\njobs:7|c|#site:a\nlatency:150|ms|#site:b')
    bridge.await_lines(4)
    expected = {'jobs{site="b"}': 1, 'jobs{site="a"}': 7, **observed('latency_seconds', [0.15], [0.1, 0.2], {'site': 'b'})}
    await_equal(lambda: clients(receiver.newest()), expected)
    taken = [(sample.name, sample.at) for sample in receiver.taken()]
    assert len(set(taken)) == len(taken)
    await_condition(lambda: bridge.scrape().own('remote_write_samples_dropped_total', reason='twin') > 0)
    assert_accounts(bridge.scrape())


@pytest.mark.parametrize('protocol', ['1.0', '2.0'])
def test_native_histograms_are_accounted_for(start_bridge, start_receiver, protocol):
    """A receiver of 2.0 counts them apart."""
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=' + protocol,
                          '--remote-write.native-histograms', mapping=MAPPING)
    bridge.send_udp('latency:150|ms')
    await_condition(lambda: any(request.histograms == 1 for request in receiver.requests))
    await_condition(lambda: bridge.scrape().own('remote_write_samples_sent_total') > 0)
    assert bridge.scrape().own('remote_write_samples_failed_total') == 0
    assert_accounts(bridge.scrape())


@pytest.mark.parametrize('status', [500, 422])
@pytest.mark.parametrize('protocol, version', [('1.0', V1), ('2.0', V2), ('auto', V2)])
def test_native_histograms_that_a_receiver_denies(start_bridge, start_receiver, protocol, version, status):
    """While it was away, many were queued; all else of these requests arrives, in order, and is not failed."""
    receiver = start_receiver(lambda request: stage(request))

    def stage(request):
        if is_down:
            return Answer(503)
        return Answer(status, body=b'native histograms are disabled\n') if request.histograms else Answer()

    is_down = True
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=' + protocol,
                          '--remote-write.native-histograms', mapping=MAPPING)
    bridge.send_udp('jobs:7|c\nlatency:150|ms')
    bridge.await_lines(2)
    passes = bridge.scrape().own('remote_write_passes_total')
    await_condition(lambda: bridge.scrape().own('remote_write_passes_total') > passes + 3)
    is_down = False
    await_condition(lambda: receiver.newest().get('jobs') == 7 and 'latency_seconds_count' in receiver.newest())
    await_condition(lambda: bridge.scrape().own('remote_write_queue_samples') == 0)
    failed = bridge.scrape().own('remote_write_samples_failed_total')
    assert failed > 2
    before = len(receiver.requests)
    await_condition(lambda: len(receiver.requests) > before + 3)
    scrape = bridge.scrape()
    assert_accounts(scrape)
    assert scrape.own('remote_write_samples_failed_total') == failed
    assert scrape.own_sum('remote_write_samples_dropped_total') == 0
    assert bridge.stderr().count('takes no native histograms') == 1
    bridge.stop()
    denied = [request for request in receiver.requests if request.status == status]
    assert 1 <= len(denied) <= 4 and {request.version for request in receiver.requests} == {version}
    at = [sample.at for sample in receiver.taken() if sample.name == 'latency_seconds_count']
    assert at == sorted(set(at)) and len(at) > failed
    passes = [sample.value for sample in receiver.taken() if sample.name == PREFIX + 'remote_write_passes_total']
    assert passes == list(range(len(passes)))


def test_request_of_native_histograms_only_that_a_receiver_denies(start_bridge, start_receiver):
    """Nothing is left of it. A label so long that a message ends behind the classic series; its native one comes last."""
    def answer(request):
        if is_down:
            return Answer(503)
        return Answer(500, body=b'native histograms are disabled') if request.histograms else Answer()

    is_down = True
    receiver = start_receiver(answer)
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.native-histograms',
                          mapping=MAPPING.replace('latency', 'zzz'))
    bridge.send_tcp('zzz:150|ms|#a:%s\n' % ('x' * 56000))
    bridge.await_lines(1)
    passes = bridge.scrape().own('remote_write_passes_total')
    await_condition(lambda: bridge.scrape().own('remote_write_passes_total') > passes + 3)
    is_down = False
    await_condition(lambda: any('zzz_seconds_count' in name for name in receiver.newest()))
    await_condition(lambda: bridge.scrape().own('remote_write_queue_samples') == 0)
    assert any(request.histograms and not request.samples for request in receiver.requests)
    assert all(request.histograms or request.samples or request.metadata for request in receiver.requests)
    assert bridge.scrape().own('remote_write_samples_failed_total') > 2
    assert_accounts(bridge.scrape())


EXEMPLARS = '''
defaults: {exemplar_tag: trace_id, observer_type: histogram, histogram_options: {buckets: [1]}}
'''


@pytest.mark.parametrize('protocol', ['1.0', '2.0'])
def test_exemplars(start_bridge, start_receiver, protocol):
    """They are no samples, and go with what they belong to, once."""
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=' + protocol,
                          '--remote-write.native-histograms', mapping=EXEMPLARS)

    def told():
        return [(exemplar.name, exemplar.labels['trace_id'], exemplar.value)
                for request in list(receiver.requests) for exemplar in request.exemplars]

    started = time.time()
    bridge.send_udp('jobs:2|c|#trace_id:a"\\,k:v\nlate:500|ms|#trace_id:b\nlate:9|d|#trace_id:c\nroom:1|g|#trace_id:d')
    expected = {('jobs{k="v"}', 'a"\\', 2), ('late_bucket{le="1"}', 'b', 0.5), ('late_bucket{le="+Inf"}', 'c', 9),
                ('late', 'b', 0.5), ('late', 'c', 9)}
    await_equal(lambda: set(told()), expected)
    before = len(receiver.requests)
    await_condition(lambda: len(receiver.requests) > before + 5)
    # One may come while a pass is under way, which is told of in the next one, too.
    assert len(told()) <= 2 * len(expected)
    bridge.send_udp('jobs:3|c|#trace_id:e,k:v')
    await_equal(lambda: set(told()), expected | {('jobs{k="v"}', 'e', 3)})
    bridge.stop()
    assert 0 < len([1 for name, labels, _ in told() if labels == 'e']) <= 2
    assert all(started - 0.001 <= exemplar.at / 1e3 <= time.time()
               for request in receiver.requests for exemplar in request.exemplars)
    own = receiver.newest()
    assert own[PREFIX + 'remote_write_samples_failed_total'] == 0


def test_one_timestamp_in_a_pass(start_bridge, start_receiver):
    """Also when a pass takes many requests: series are sent once, and time goes on."""
    receiver = start_receiver()
    # Seldom enough for the receiver to keep up: what the end leaves in the queue is lost.
    bridge = start_bridge('--remote-write.url=' + receiver.url, '--remote-write.interval=1s')
    with bridge.connect_tcp() as out:
        out.sendall(b''.join(b'many:%d|g|#i:%d\n' % (i, i) for i in range(5000)))
    bridge.await_lines(5000)
    expected = {'many{i="%d"}' % i: i for i in range(5000)}
    await_equal(lambda: clients(receiver.newest()), expected)
    bridge.stop()
    assert max(len(request.samples) for request in receiver.requests) == 2000
    last = {}
    for sample in receiver.taken():
        assert last.get(sample.name, 0) < sample.at, sample.name
        last[sample.name] = sample.at
    assert len({sample.at for sample in receiver.taken() if sample.name == 'many{i="5"}'}) > 1
    assert {last[name] for name in expected} == {max(last.values())}


def test_the_end_sends_what_came_last(start_bridge, start_receiver):
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, '--remote-write.interval=1h')
    bridge.send_udp('jobs:7|c')
    bridge.await_lines(1)
    bridge.stop()
    assert clients(receiver.newest()) == {'jobs': 7}


def test_the_end_does_not_wait_for_its_turn(start_bridge, start_receiver):
    """The receiver asked for a long wait; when the bridge ends, it is asked once more."""
    receiver = start_receiver(lambda request: Answer(503, {'Retry-After': '200'}) if is_down else Answer())
    is_down = True
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN)
    bridge.send_udp('jobs:7|c')
    bridge.await_lines(1)
    await_condition(lambda: bridge.scrape().own('remote_write_samples_retried_total') > 0)
    is_down = False
    bridge.stop()
    assert receiver.newest()['jobs'] == 7


def test_the_first_increment_is_seen(start_bridge, start_receiver):
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, mapping='defaults: {zero_first: 1s}\n')

    def values(name):
        return [sample.value for sample in receiver.taken() if sample.name == name]

    bridge.send_udp('jobs:7|c')
    await_condition(lambda: 7 in values('jobs'))
    assert values('jobs')[0] == 0 and set(values('jobs')) == {0, 7}


def test_the_end_sends_what_is_at_zero_yet(start_bridge, start_receiver):
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, mapping='defaults: {zero_first: 1h}\n')
    bridge.send_udp('jobs:7|c')
    await_equal(lambda: clients(receiver.newest()), {'jobs': 0})
    bridge.stop()
    assert clients(receiver.newest()) == {'jobs': 7}


def test_a_series_that_ends_is_told_of(start_bridge, start_receiver):
    receiver = start_receiver()
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, mapping=MAPPING)
    bridge.send_udp('short.a:1|c\nlong:1|c')
    await_equal(lambda: clients(receiver.newest()), {'short_a': None, 'long': 1})
    bridge.send_udp('short.a:5|c')
    await_condition(lambda: [sample.value for sample in receiver.taken() if sample.name == 'short_a'][-1] == 5)
    bridge.stop()
    values = [(sample.at, sample.value) for sample in receiver.taken() if sample.name == 'short_a']
    assert len({at for at, _ in values}) == len(values)
    assert 1 <= [value for _, value in sorted(values)].count(None) <= 2


@pytest.mark.parametrize('failure', [Answer(500, body=b'later'), Answer(429, {'Retry-After': '1'}), Answer(503),
                                     Answer(behave=lambda handler: None, status=0),
                                     Answer(behave=lambda handler: handler.wfile.write(b'what?\r\n\r\n'), status=0),
                                     Answer(behave=lambda handler: handler.wfile.write(b'HTTP/1.1 200 OK\r\nX-Pro'), status=0)])
def test_what_fails_for_now_is_sent_again(start_bridge, start_receiver, failure):
    receiver = start_receiver(lambda request: failure if len(receiver.requests) < 3 else Answer())
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN)
    bridge.send_udp('jobs:7|c')
    bridge.await_lines(1)
    await_condition(lambda: receiver.newest().get('jobs') == 7)
    bridge.stop()
    first = [sorted((sample.name, sample.at) for sample in request.samples) for request in receiver.requests]
    assert [request.status for request in receiver.requests][:4] == [failure.status] * 3 + [204]
    assert first[0] == first[1] == first[2] == first[3]
    assert 'remote write works again' in bridge.stderr()


def test_a_success_between_failures(start_bridge, start_receiver):
    """The waits do not grow then: fifteen of them would be minutes."""
    receiver = start_receiver(lambda request: Answer(503 if len(receiver.requests) % 2 else 204))
    start_bridge('--remote-write.url=' + receiver.url, OFTEN)
    await_condition(lambda: len(receiver.requests) > 30)


def test_a_wait_for_ever(start_bridge, start_receiver):
    """It is as long as a wait may be, and no shorter."""
    receiver = start_receiver(lambda request: Answer(503, {'Retry-After': str(2**63 - 1)}))
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN)
    await_condition(lambda: bridge.scrape().own('remote_write_samples_retried_total') > 0)
    passes = bridge.scrape().own('remote_write_passes_total')
    await_condition(lambda: bridge.scrape().own('remote_write_passes_total') > passes + 12)
    assert len(receiver.requests) == 1


def test_a_wait_that_was_asked_for_is_kept(start_bridge, start_receiver):
    """Also when requests that were under way meanwhile are taken."""
    receiver = start_receiver(lambda request: stage(request))
    together = []
    is_over = False

    def stage(request):
        if is_over or not any(sample.name.startswith('many') for sample in request.samples):
            return Answer()
        together.append(request)
        if request is together[0]:
            await_condition(lambda: len(together) == 4)
            return Answer(503, {'Retry-After': '200'})
        await_condition(lambda: bridge.scrape().own('remote_write_samples_retried_total') > 0)
        return Answer()

    # Long enough for one pass to have all of them.
    bridge = start_bridge('--remote-write.url=' + receiver.url, '--remote-write.interval=5s')
    with bridge.connect_tcp() as out:
        out.sendall(b''.join(b'many:%d|g|#i:%d\n' % (i, i) for i in range(10000)))
    await_condition(lambda: any(request.is_taken for request in together))
    passes = bridge.scrape().own('remote_write_passes_total')
    await_condition(lambda: bridge.scrape().own('remote_write_passes_total') > passes + 1)
    is_over = True
    assert len(together) == 4


@pytest.mark.parametrize('status', [400, 404, 302])
def test_what_is_refused_is_not_sent_again(start_bridge, start_receiver, status):
    elsewhere = start_receiver()
    receiver = start_receiver(lambda request: Answer(status, {'Location': elsewhere.url}, b'out of order sample'))
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN)
    await_condition(lambda: len(receiver.requests) > 3)
    scrape = bridge.scrape()
    assert_accounts(scrape)
    assert scrape.own('remote_write_samples_failed_total') > 0
    assert scrape.own('remote_write_samples_sent_total') == scrape.own('remote_write_samples_retried_total') == 0
    bridge.stop()
    stamps = [min(sample.at for sample in request.samples) for request in receiver.requests]
    assert len(set(stamps)) == len(stamps)
    assert not elsewhere.requests
    assert 'out of order sample' in bridge.stderr()


def test_a_full_queue_drops_the_oldest(start_bridge, start_receiver):
    """Its limit is the least there may be; ids make series that no compression makes small."""
    receiver = start_receiver(lambda request: Answer(503) if is_down else Answer())
    is_down = True
    bridge = start_bridge('--remote-write.url=' + receiver.url, '--remote-write.interval=100ms',
                          '--remote-write.queue-bytes=4194304')
    with bridge.connect_tcp() as out:
        for i in range(5000):
            out.sendall(b'many:1|g|#i:%032x\n' % (pow(3, i + 1, 2 ** 127 - 1)))
    bridge.await_lines(5000)
    dropped = await_condition(lambda: bridge.scrape().own('remote_write_samples_dropped_total', reason='queue_full'))
    is_down = False
    await_condition(lambda: bridge.scrape().own('remote_write_samples_sent_total') > 10000)
    scrape = bridge.scrape()
    assert scrape.own('remote_write_queue_bytes') <= 4194304
    assert_accounts(scrape)
    bridge.stop()
    counted = scrape.own('remote_write_samples_dropped_total', reason='queue_full')
    assert counted >= dropped
    stamps = [sample.at for sample in receiver.taken() if sample.name.startswith(PREFIX + 'samples_total')]
    assert stamps == sorted(set(stamps))


# What a proxy says before the answer is not the receiver's.
EARLY_WRITTEN = (b'HTTP/1.1 103 Early Hints\r\nX-Prometheus-Remote-Write-Samples-Written: 9\r\n\r\n'
                 b'HTTP/1.1 204 No Content\r\n\r\n')
OLD_ANSWERS = [Answer(415), Answer(400), Answer(204, written=False),
               Answer(204, written=False, behave=lambda handler: handler.wfile.write(EARLY_WRITTEN))]


def assert_nothing_is_missing(bridge, receiver):
    """Each pass knows how many there were before it."""
    scrape = bridge.scrape()
    assert_accounts(scrape)
    assert scrape.own_sum('remote_write_samples_dropped_total') == scrape.own('remote_write_samples_failed_total') == 0
    bridge.stop()
    passes = [sample.value for sample in receiver.taken() if sample.name == PREFIX + 'remote_write_passes_total']
    assert passes == list(range(len(passes)))


@pytest.mark.parametrize('old', OLD_ANSWERS)
def test_falls_back(start_bridge, start_receiver, old):
    """To 1.0, for good as tests go; and the pass in which that turned out is sent so, too."""
    receiver = start_receiver(lambda request: old if request.version == V2 else Answer())
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=auto')
    bridge.send_udp('jobs:7|c')
    await_condition(lambda: receiver.newest().get('jobs') == 7)
    assert_nothing_is_missing(bridge, receiver)
    versions = [request.version for request in receiver.requests]
    assert versions == sorted(versions, reverse=True) and 1 <= versions.count(V2) <= 4
    metadata = {name for request in receiver.requests if request.version == V1 for name in request.metadata}
    assert PREFIX + 'samples_total' in metadata


@pytest.mark.parametrize('old', [Answer(415), Answer(204, written=False)])
def test_one_old_answer_of_many(start_bridge, start_receiver, old):
    """A receiver that has spoken 2.0 goes on being sent it; what was not understood is sent in 1.0."""
    receiver = start_receiver(lambda request: old if request.version == V2 and len(receiver.requests) % 3 == 1 else Answer())
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=auto')
    await_condition(lambda: sum(request.is_taken for request in receiver.requests) > 15)
    assert_nothing_is_missing(bridge, receiver)
    versions = [request.version for request in receiver.requests if request.is_taken]
    refused = [request.version for request in receiver.requests if not request.is_taken]
    assert set(refused) == {V2} and len(refused) > 4
    # One that was answered at the very end may have had no second try.
    assert len(refused) - 1 <= versions.count(V1) <= len(refused)


@pytest.mark.parametrize('old', OLD_ANSWERS[::2])
def test_a_receiver_that_grows_old(start_bridge, start_receiver, old):
    """While it was away, much was queued in 2.0; an older one takes its place."""
    receiver = start_receiver(lambda request: stage(request))

    def stage(request):
        if is_down:
            return Answer(503)
        return old if is_old and request.version == V2 else Answer()

    is_down = is_old = False
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=auto')
    await_condition(lambda: any(request.is_taken for request in receiver.requests))
    is_down = is_old = True
    await_condition(lambda: bridge.scrape().own('remote_write_samples_retried_total') > 0)
    passes = bridge.scrape().own('remote_write_passes_total')
    await_condition(lambda: bridge.scrape().own('remote_write_passes_total') > passes + 12)
    bridge.send_udp('jobs:7|c')
    is_down = False
    await_condition(lambda: receiver.newest().get('jobs') == 7)
    assert_nothing_is_missing(bridge, receiver)
    assert [request.version for request in receiver.requests if request.is_taken][-1] == V1
    assert sum(request.version == V2 and not request.is_taken and request.status != 503
               for request in receiver.requests) in range(10, 15)


def test_samples_that_a_receiver_of_2_0_did_not_write(start_bridge, start_receiver):
    receiver = start_receiver(lambda request: Answer(
        204, {'x-prometheus-remote-write-samples-written': '3',
              'x-prometheus-remote-write-exemplars-written': '1000'}, written=3))
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=2.0')
    await_condition(lambda: bridge.scrape().own('remote_write_samples_sent_total') >= 6)
    scrape = bridge.scrape()
    assert scrape.own('remote_write_samples_failed_total') > scrape.own('remote_write_samples_sent_total')
    assert_accounts(scrape)
    assert 'the receiver did not write all samples' in bridge.stderr()


def test_1_0_that_was_chosen(start_bridge, start_receiver):
    """It stays, also where answers say what was written, a sign of 2.0."""
    receiver = start_receiver(lambda request: Answer(204, {'X-Prometheus-Remote-Write-Samples-Written': '3'}))
    start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.protocol=1.0')
    await_condition(lambda: len(receiver.requests) > 5)
    assert {request.version for request in receiver.requests} == {V1}


ENDLESS = b'HTTP/1.1 %s\r\nContent-Type: text/plain\r\n\r\n'


@pytest.mark.parametrize('behave, is_taken, timeout', [
    (stay_silent, False, '1s'),
    (send_for_ever(b'x', b'HTTP/1.1 ', pause=0.05), False, '1s'),
    (send_for_ever(b'X-Filler: %s\r\n' % (b'y' * 4000), b'HTTP/1.1 500 No\r\n'), False, '5m'),
    (send_for_ever(b'HTTP/1.1 100 Continue\r\n\r\n'), False, '5m'),
    (send_for_ever(b'z' * 65536, ENDLESS % b'500 No'), False, '5m'),
    (send_for_ever(b'z' * 65536, ENDLESS % b'200 OK'), True, '5m'),
    (send_for_ever(b'z', ENDLESS % b'200 OK', pause=0.05), True, '1s'),
], ids=['silent', 'slow head', 'endless head', 'endless 100', 'endless body', 'endless body of 200', 'slow body of 200'])
def test_hostile_receivers(start_bridge, start_receiver, behave, is_taken, timeout):
    """The timeout holds, or much comes and is not waited for; memory is bounded, and all else goes on. The status that
    came decides."""
    receiver = start_receiver(lambda request: Answer(behave=behave, status=0))
    bridge = start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.timeout=' + timeout)
    bridge.send_udp('jobs:7|c')
    before = bridge.await_lines(1)
    counter = 'remote_write_samples_' + ('sent_total' if is_taken else 'retried_total')
    await_condition(lambda: bridge.scrape().own(counter) > 0)
    await_condition(lambda: len(receiver.requests) > 2)
    scrape = bridge.scrape()
    assert_accounts(scrape)
    assert scrape.own('remote_write_samples_sent_total') == 0 or is_taken
    grown = scrape.series['process_resident_memory_bytes'] - before.series['process_resident_memory_bytes']
    # Sanitizers keep what was freed for a while; a receiver that fills memory would fill more.
    assert grown < 400 << 20


def test_only_flags_say_where_samples_go(start_bridge, start_receiver, monkeypatch):
    receiver, proxy = start_receiver(), start_receiver()
    monkeypatch.setenv('http_proxy', proxy.url)
    monkeypatch.setenv('no_proxy', '')
    start_bridge('--remote-write.url=' + receiver.url, OFTEN)
    await_condition(lambda: receiver.requests or proxy.requests)
    assert not proxy.requests


def test_nobody_there(start_bridge):
    """The log has libcurl's own words, which say where nobody is."""
    port = free_port()
    bridge = start_bridge('--remote-write.url=http://127.0.0.1:%d/' % port, OFTEN)
    await_condition(lambda: bridge.scrape().own('remote_write_samples_retried_total') > 0)
    assert_accounts(bridge.scrape())
    assert 'port %d' % port in bridge.stderr()


def test_secrets(start_bridge, start_receiver, tmp_path):
    receiver = start_receiver()
    secret = tmp_path / 'secret'
    secret.write_text('first\n')
    start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.bearer-token-file=%s' % secret)
    await_condition(lambda: receiver.requests)
    assert receiver.requests[0].headers['Authorization'] == 'Bearer first'
    secret.write_text('second')
    await_condition(lambda: receiver.requests[-1].headers['Authorization'] == 'Bearer second')

    receiver = start_receiver()
    start_bridge('--remote-write.url=' + receiver.url, OFTEN, '--remote-write.username=me',
                 '--remote-write.password-file=%s' % secret)
    await_condition(lambda: receiver.requests)
    assert receiver.requests[0].headers['Authorization'] == 'Basic bWU6c2Vjb25k'


@pytest.mark.parametrize('flags, reason', [
    (['--remote-write.url=ftp://x/'], 'http or https'),
    (['--remote-write.url=nothing'], 'http or https'),
    (['--remote-write.url=http://me:you@x/'], 'without user'),
    (['--remote-write.external-label=x'], 'name=value'),
    (['--remote-write.external-label=a-b=1'], 'name that is not made of'),
    (['--remote-write.external-label=__name__=1'], 'keeps for itself'),
    (['--remote-write.external-label=a=1', '--remote-write.external-label=a=2'], 'given before'),
    (['--remote-write.header=X'], 'Name: value'),
    (['--remote-write.header=Content-encoding: gzip'], 'sets itself'),
    (['--remote-write.header=Authorization: Bearer x'], 'bearer-token-file'),
    (['--remote-write.bearer-token-file=/nowhere'], 'No such file'),
    (['--remote-write.password-file=/etc/hostname'], 'username'),
    (['--remote-write.ca-file=/nowhere'], 'No such file'),
    (['--remote-write.cert-file=/etc/hostname'], 'key-file'),
    (['--remote-write.key-file=/etc/hostname'], 'cert-file'),
    (['--remote-write.cert-file=/etc/hostname', '--remote-write.key-file=/nowhere'], 'No such file'),
])
def test_flags_that_cannot_be_meant(flags, reason):
    done = run_to_end('--check-config', *flags)
    assert done.returncode == 1 and reason in done.stderr, done.stderr


@pytest.fixture(scope='module')
def certificate_files(tmp_path_factory):
    """-> a folder with a.crt, a.key and b.key, a.key with a passphrase in both ways there are, and files that are none of it"""
    folder = tmp_path_factory.mktemp('certificates')
    authority = Authority(folder)
    for name in 'ab':
        authority.issue(name, usage='clientAuth')
    secret = ['-passout', 'pass:hush', '-in', folder / 'a.key', '-out']
    for command in (['pkcs8', '-topk8', *secret, folder / 'locked.key'], ['ec', '-aes256', *secret, folder / 'locked_ec.key']):
        subprocess.run(['openssl', *command], check=True, capture_output=True, timeout=60)
    (folder / 'text').write_text('hello\n')
    (folder / 'empty').write_text('')
    return folder


@pytest.mark.parametrize('files, flag, reason', [
    ({'ca': 'text'}, 'ca', 'text: no certificate in it'),
    ({'ca': 'empty'}, 'ca', 'empty: no certificate in it'),
    ({'ca': 'a.key'}, 'ca', 'a.key: no certificate in it'),
    ({'ca': '.'}, 'ca', 'directory'),
    ({'cert': 'text', 'key': 'a.key'}, 'cert', 'text: no certificate in it'),
    ({'cert': 'empty', 'key': 'a.key'}, 'cert', 'empty: no certificate in it'),
    ({'cert': 'nowhere', 'key': 'a.key'}, 'cert', 'nowhere: No such file'),
    ({'cert': 'a.crt', 'key': 'b.key'}, 'cert', 'a.crt with the key in '),
    ({'cert': 'a.crt', 'key': 'text'}, 'key', 'text: no key in it'),
    ({'cert': 'text', 'key': 'text'}, 'key', 'text: no key in it'),
    ({'cert': 'a.crt', 'key': 'empty'}, 'key', 'empty: no key in it'),
    ({'cert': 'a.crt', 'key': 'a.crt'}, 'key', 'a.crt: no key in it'),
    ({'cert': 'a.crt', 'key': 'locked.key'}, 'key', 'locked.key: the key must have no passphrase'),
    ({'cert': 'a.crt', 'key': 'locked_ec.key'}, 'key', 'locked_ec.key: the key must have no passphrase'),
    ({'ca': 'authority.crt', 'cert': 'a.crt', 'key': 'a.key'}, None, ''),
])
def test_certificates_that_cannot_be_used(certificate_files, files, flag, reason):
    """The start says which flag and file it is, since nothing at run time does."""
    done = run_to_end('--check-config', *('--remote-write.%s-file=%s' % (name, certificate_files / file)
                                          for name, file in files.items()))
    assert done.returncode == (1 if flag else 0), done.stderr
    if flag:
        assert '--remote-write.%s-file: ' % flag in done.stderr and reason in done.stderr, done.stderr


@pytest.mark.parametrize('header', ['Authorization: Bearer hush', 'X-Key hush', 'Bearer hush: x', 'hush'])
def test_what_a_header_says_is_not_logged(header):
    done = run_to_end('--check-config', '--remote-write.header=' + header)
    assert done.returncode == 1 and '--remote-write.header' in done.stderr and 'hush' not in done.stderr, done.stderr


@pytest.fixture
def certificate(tmp_path):
    """-> path of a file with a key and a certificate for localhost that is its own authority"""
    path = tmp_path / 'certificate.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', path, '-out', tmp_path / 'public.pem', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost'], check=True, capture_output=True, timeout=60)
    with open(path, 'a', encoding='ascii') as both:
        both.write((tmp_path / 'public.pem').read_text())
    return path


def test_tls(start_bridge, start_receiver, certificate):
    receiver = start_receiver(certificate=certificate)
    url = '--remote-write.url=https://localhost:%d/' % receiver.port
    stranger = start_bridge(url, OFTEN)
    bridge = start_bridge(url, OFTEN, '--remote-write.ca-file=%s' % certificate)
    bridge.send_udp('jobs:7|c')
    await_condition(lambda: receiver.newest().get('jobs') == 7)
    await_condition(lambda: stranger.scrape().own('remote_write_samples_retried_total') > 0)
    assert stranger.scrape().own('remote_write_samples_sent_total') == 0
    assert 'certificate' in stranger.stderr()


def test_a_receiver_that_asks_for_a_certificate(start_bridge, start_receiver, certificate):
    receiver = start_receiver(certificate=certificate, clients=certificate)
    flags = ['--remote-write.url=https://localhost:%d/' % receiver.port, OFTEN, '--remote-write.ca-file=%s' % certificate]
    stranger = start_bridge(*flags)
    bridge = start_bridge(*flags, '--remote-write.cert-file=%s' % certificate, '--remote-write.key-file=%s' % certificate)
    bridge.send_udp('jobs:7|c')
    await_condition(lambda: receiver.newest().get('jobs') == 7)
    await_condition(lambda: stranger.scrape().own('remote_write_samples_retried_total') > 0)
    assert stranger.scrape().own('remote_write_samples_sent_total') == 0
