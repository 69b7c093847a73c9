"""What stops the bridge at start says so: exit 1 and a line that names it. And what only prints, prints."""
import ctypes
import os
import re
import socket
import struct
import subprocess

import pytest

from bridge import BINARY, EXAMPLE, PATIENCE, await_condition, free_port, run_to_end

QUIET = ('--web.listen-address=127.0.0.1:0', '--statsd.listen-udp=127.0.0.1:0', '--statsd.listen-tcp=')


def assert_refused(done, *names):
    """Exit 1, nothing on stdout, and one line on stderr that holds every one of `names`."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ''
    assert [line for line in done.stderr.splitlines() if all(name in line for name in names)], done.stderr


@pytest.mark.parametrize('flags, name', [
    (['--no-such-flag'], 'no-such-flag'),
    (['--web.listen'], 'web.listen'),
    (['-x'], '-x'),
    (['--no-statsd.cache-size'], 'statsd.cache-size'),
    (['positional'], 'positional'),
    (['--check-config=true'], 'true'),
    (['--web.listen-address'], 'web.listen-address'),
    (['--web.telemetry-path=/a', '--web.telemetry-path=/b'], 'web.telemetry-path'),
    (['--check-config', '--no-check-config'], 'check-config'),
    (['--statsd.cache-size', '-5'], 'statsd.cache-size'),
    (['--statsd.cache-size=-5'], 'statsd.cache-size'),
    (['--statsd.cache-size=many'], 'statsd.cache-size'),
    (['--statsd.cache-type=fifo'], 'statsd.cache-type'),
    (['--statsd.read-buffer=x'], 'statsd.read-buffer'),
    (['--statsd.event-queue-size=-1'], 'statsd.event-queue-size'),
    (['--statsd.event-flush-threshold=-1'], 'statsd.event-flush-threshold'),
    (['--statsd.event-flush-interval=0'], 'statsd.event-flush-interval'),
    (['--statsd.event-flush-interval=5'], 'statsd.event-flush-interval'),
    (['--statsd.udp-packet-queue-size=-1'], 'statsd.udp-packet-queue-size'),
    (['--statsd.relay.packet-length=0'], 'statsd.relay.packet-length'),
    (['--statsd.signed-gauges=sometimes'], 'statsd.signed-gauges'),
    (['--web.telemetry-path='], 'web.telemetry-path'),
    (['--web.telemetry-path=metrics'], 'web.telemetry-path'),
    (['--web.telemetry-path=/a b'], 'web.telemetry-path'),
    (['--web.telemetry-path=/-/ready'], 'web.telemetry-path'),
    (['--web.self-metrics-prefix=1x'], 'web.self-metrics-prefix'),
    (['--log.level=loud'], 'log.level'),
    (['--log.format=JSON'], 'log.format'),
    (['--threads=-1'], 'threads'),
    (['--threads=100000'], 'threads'),
    (['@/no/such/file'], '/no/such/file'),
])
def test_bad_flag(flags, name):
    done = run_to_end(*flags)
    assert_refused(done, name)
    assert re.fullmatch(r'statsbridge: error: .*, try --help\n', done.stderr)


@pytest.mark.parametrize('flag', ['--web.listen-address', '--statsd.listen-udp', '--statsd.listen-tcp'])
@pytest.mark.parametrize('address', ['127.0.0.1', '127.0.0.1:99999', '127.0.0.1:http', '[::1:9125', '::1:9125',
                                     'no.such.host.invalid:9125'])
def test_bad_address(flag, address):
    others = [other for other in QUIET if not other.startswith(flag)]
    assert_refused(run_to_end(*others, '%s=%s' % (flag, address)), 'flag=' + flag, address, 'expected="host:port')


def test_relay_that_cannot_be_resolved():
    assert_refused(run_to_end(*QUIET, '--statsd.relay.address=no.such.host.invalid:9125'),
                   'flag=--statsd.relay.address', 'no.such.host.invalid:9125', 'expected=host:port')


def test_no_such_scanner():
    assert_refused(run_to_end(*QUIET, '--debug.scanner=abacus'), 'abacus')


def test_nothing_to_listen_on():
    assert_refused(run_to_end('--web.listen-address=127.0.0.1:0', '--statsd.listen-udp=', '--statsd.listen-tcp='))


@pytest.mark.parametrize('kind, flag', [
    (socket.SOCK_DGRAM, '--statsd.listen-udp'),
    (socket.SOCK_STREAM, '--statsd.listen-tcp'),
    (socket.SOCK_STREAM, '--web.listen-address'),
])
def test_port_in_use(kind, flag):
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(('127.0.0.1', 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        address = '127.0.0.1:%d' % other.getsockname()[1]
        others = [quiet for quiet in QUIET if not quiet.startswith(flag)]
        done = run_to_end(*others, '%s=%s' % (flag, address))
        assert_refused(done, address, 'Address already in use')
        assert_refused(done, 'flag=' + flag, address, 'expected="an address of this machine that is free')


@pytest.mark.parametrize('flag', ['--statsd.listen-unixgram', '--statsd.listen-unixstream'])
@pytest.mark.parametrize('path', ['/no/such/directory/socket', '/tmp/' + 'x' * 200])
def test_bad_socket_path(flag, path):
    assert_refused(run_to_end(*QUIET, '%s=%s' % (flag, path)), 'flag=' + flag, path, 'expected=')


@pytest.mark.parametrize('flags', [['--check-config'], []])
def test_mapping_file_missing(flags):
    assert_refused(run_to_end(*QUIET, *flags, '--statsd.mapping-config=/no/such/mapping.yml'),
                   '/no/such/mapping.yml')


@pytest.mark.parametrize('flags', [['--check-config'], []])
def test_mapping_file_broken__every_error_with_its_place(tmp_path, flags):
    path = tmp_path / 'mapping.yml'
    path.write_text('mappings:\n- match: a.*\n  nmae: a\n- match: b..c\n  name: b\n')
    done = run_to_end(*QUIET, *flags, '--statsd.mapping-config=%s' % path)
    assert_refused(done, '%s:3:3' % path, 'nmae', 'name')
    assert_refused(done, '%s:4:10' % path)


@pytest.mark.parametrize('flags', [['--check-config'], []])
def test_mapping_file_broken__regex(tmp_path, flags):
    path = tmp_path / 'mapping.yml'
    path.write_text('mappings:\n- {match_type: regex, name: a, match: a}\n- match: (\n  match_type: regex\n  name: c\n')
    assert_refused(run_to_end(*QUIET, *flags, '--statsd.mapping-config=%s' % path), '%s:3:10' % path)


def test_check_config__good_file_opens_no_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(('127.0.0.1', 0))
        taken = '127.0.0.1:%d' % other.getsockname()[1]
        done = run_to_end('--check-config', '--statsd.listen-udp=%s' % taken,
                          '--statsd.mapping-config=%s' % EXAMPLE)
    assert done.returncode == 0, done.stderr


def test_check_config__without_file():
    assert run_to_end('--check-config').returncode == 0


def test_flag_without_effect_is_no_error():
    done = run_to_end('--check-config', '--remote-write.interval=5s', '--statsd.max-connections=9', '--statsd.listen-tcp=')
    assert done.returncode == 0
    warnings = [re.search('level=WARN .* flag=(\\S+) needs=(.+)$', line).groups() for line in done.stderr.splitlines()]
    assert warnings == [('--statsd.max-connections', '"--statsd.listen-tcp or --statsd.listen-unixstream"'),
                        ('--remote-write.interval', '--remote-write.url')]


def test_dump_fsm(tmp_path):
    mapping, dump = tmp_path / 'mapping.yml', tmp_path / 'fsm.dot'
    mapping.write_text('mappings:\n- match: web.*.time\n  name: web\n- match: "odd-name.x"\n  name: odd\n'
                       '  match_metric_type: gauge\n')
    done = run_to_end('--check-config', '--statsd.mapping-config=%s' % mapping, '--debug.dump-fsm=%s' % dump)
    assert done.returncode == 0, done.stderr
    drawn = subprocess.run(['dot', '-Tplain', dump], capture_output=True, text=True, timeout=60)
    assert drawn.returncode == 0, drawn.stderr
    for word in ('counter', 'gauge', 'observer', 'web', 'odd-name', '*'):
        assert re.search(r'(?<![\w-])%s(?![\w-])' % re.escape(word), drawn.stdout), '%s in %s' % (word, drawn.stdout)


def test_dump_fsm__no_glob(tmp_path):
    mapping, dump = tmp_path / 'mapping.yml', tmp_path / 'fsm.dot'
    mapping.write_text('mappings:\n- {match: "a.*b", match_type: regex, name: a}\n')
    done = run_to_end('--check-config', '--statsd.mapping-config=%s' % mapping, '--debug.dump-fsm=%s' % dump)
    assert done.returncode == 0, done.stderr
    assert subprocess.run(['dot', '-Tplain', dump], capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize('flags, text', [
    (['--help'], '--statsd.listen-udp'),
    (['-h'], '--statsd.listen-udp'),
    (['--version'], 'statsbridge, version '),
    (['--version', '--bogus'], 'statsbridge, version '),
    (['--no-version'], 'statsbridge, version '),
])
def test_prints_and_exits(flags, text):
    done = run_to_end(*flags)
    assert (done.returncode, done.stderr) == (0, '')
    assert text in done.stdout


def test_first_failing_flag_wins():
    assert_refused(run_to_end('--bogus', '--version'), 'bogus')


def test_control_thread_stands_behind_those_that_receive(start_bridge):
    bridge = start_bridge('--threads=3')
    pid = bridge.process.pid
    threads = {int(name): os.getpriority(os.PRIO_PROCESS, int(name)) for name in os.listdir('/proc/%d/task' % pid)}
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert threads.pop(pid) == min(own + 10, 19)
    assert len(threads) >= 3  # a sanitizer may have one more
    assert set(threads.values()) == {own}


SCHED_ATTRIBUTES = struct.Struct('=IIQiIQQQ')  # size, policy, flags, niceness, priority, runtime, deadline, period


def turn_ns(thread):
    """How long a thread wants to run at a time. Kernels before 6.12 do not ask, and say 0."""
    room = ctypes.create_string_buffer(SCHED_ATTRIBUTES.size)
    call = {'x86_64': 315, 'aarch64': 275}[os.uname().machine]
    assert ctypes.CDLL(None, use_errno=True).syscall(call, thread, room, len(room), 0) == 0, ctypes.get_errno()
    return SCHED_ATTRIBUTES.unpack(room.raw)[5]


def test_those_that_receive_ask_for_short_turns(start_bridge):
    bridge = start_bridge('--threads=3')
    pid = bridge.process.pid
    own = turn_ns(0)
    assert own != 100000
    wanted = 100000 if own else 0

    def others():
        turns = {int(name): turn_ns(int(name)) for name in os.listdir('/proc/%d/task' % pid)}
        assert turns.pop(pid) == own
        return list(turns.values())

    assert await_condition(lambda: others().count(wanted) >= 3)


def test_arguments_from_file(tmp_path):
    arguments = tmp_path / 'arguments'
    arguments.write_text('# comment\n\n--check-config\n--statsd.mapping-config=%s\n' % EXAMPLE)
    assert run_to_end('@%s' % arguments).returncode == 0


def test_started_as_statsd_exporter(tmp_path):
    """Under its predecessor's name it speaks with its predecessor's metric names."""
    link = tmp_path / 'statsd_exporter'
    os.symlink(BINARY, link)
    port = free_port()
    process = subprocess.Popen([link, '--web.listen-address=127.0.0.1:%d' % port, *QUIET[1:]],
                               stderr=subprocess.PIPE, text=True)
    try:
        body = await_condition(lambda: fetch(port))
        assert '\nstatsd_exporter_lines_total 0\n' in body
        assert 'statsbridge_' not in body
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0, process.stderr.read()
        process.stderr.close()


def fetch(port):
    import urllib.request
    try:
        with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % port, timeout=PATIENCE) as answer:
            return answer.read().decode()
    except OSError:
        return None


@pytest.mark.parametrize('flags', [
    ['--statsd.event-queue-size=0x10', '--statsd.event-flush-threshold=1e3', '--statsd.event-flush-interval=1h30m'],
    ['--statsd.udp-packet-queue-size=1', '--statsd.cache-size=0', '--statsd.cache-type=random'],
    ['--log.level=DEBUG', '--log.format=json'],
    ['--statsd.read-buffer=1e6', '--no-web.process-metrics'],
])
def test_accepted_flags(start_bridge, flags):
    bridge = start_bridge(*flags)
    bridge.send_udp('a:1|c')
    bridge.await_users({'a': 1})


def test_no_process_metrics_frees_the_names(start_bridge):
    bridge = start_bridge('--no-web.process-metrics')
    bridge.send_udp('process.open.fds:5|g')
    bridge.await_lines(1)
    assert bridge.scrape().series['process_open_fds'] == 5


def test_own_names_are_reserved(bridge):
    bridge.send_udp('process.open.fds:5|g\nstatsbridge_lines_total:5|c\ngo.goroutines:1|g')
    scrape = bridge.await_lines(3)
    assert scrape.users() == {'go_goroutines': 1}
    assert scrape.own_sum('events_conflict_total') == 2
