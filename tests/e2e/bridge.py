"""Runs the real binary on free loopback ports, and reads what it exposes.

The binary is named by the environment variable STATSBRIDGE, default build/statsbridge.
"""
import contextlib
import http.client
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import books
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get('STATSBRIDGE', ROOT / 'build' / 'statsbridge')).resolve()
EXAMPLE = ROOT / 'mappings' / 'example' / 'mapping.yml'
PREFIX = 'statsbridge_'
# Flags that stand for a port that is always the same, unless they are given.
FIXED_PORTS = ('--statsd.listen-udp', '--statsd.listen-tcp')

# Seconds until an awaited condition counts as missed. Generous, for sanitizers on busy machines: a
# test that passes never waits that long.
PATIENCE = 120

# For programs with a statsd client: what it says there must not change what they send.
CLIENT_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(('DD_', 'DATADOG_'))}

REPORT = re.compile(r'(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:|: check failed:')
# What the series of a family are called besides its name.
SUFFIXES = {'histogram': ('_bucket', '_sum', '_count'), 'summary': ('', '_sum', '_count')}
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*(?:\\.[^"\\]*)*)"(?:,|$)')


def pause(since):
    """Between two looks at what is awaited: adds a tenth to a long wait, and leaves the machine to the other tests."""
    time.sleep(min(max((time.monotonic() - since) / 10, 0.01), 0.2))


def await_condition(probe, what='', patience=PATIENCE):
    """Calls `probe` until it returns something true, and returns that."""
    start = time.monotonic()
    while True:
        last = probe()
        if last:
            return last
        assert time.monotonic() < start + patience, 'in vain waited for %s; last seen: %r' % (what or probe, last)
        pause(start)


def await_equal(read, expected, patience=PATIENCE):
    """Waits until `read` returns `expected`; fails with a comparison of what it returned last."""
    start = time.monotonic()
    while True:
        last = read()
        if last == expected or time.monotonic() >= start + patience:
            assert last == expected
            return
        pause(start)


def series_name(name, labels):
    """How a Scrape spells a series: labels sorted by name, no braces without any."""
    inner = ','.join('%s="%s"' % pair for pair in sorted(labels.items()))
    return '%s{%s}' % (name, inner) if inner else name


class Scrape:
    """A text exposition, taken apart and checked for what every Prometheus insists on. `process_metrics` says whether
    the bridge shows its own."""

    def __init__(self, text, process_metrics=True):
        self.process_metrics = process_metrics
        assert text.endswith('\n'), 'the exposition does not end with a line feed'
        self.text = text
        self.series = {}
        self.types = {}
        self.helps = {}
        family, names = None, ()
        for line in text[:-1].split('\n'):
            if line.startswith('# HELP '):
                _, _, family, self.helps[family] = line.split(' ', 3)
                assert family not in self.types, 'family %s comes twice' % family
            elif line.startswith('# TYPE '):
                _, _, name, kind = line.split(' ', 3)
                assert name == family, 'TYPE of %s follows HELP of %s' % (name, family)
                self.types[name] = kind
                names = [name + suffix for suffix in SUFFIXES.get(kind, ('',))]
            else:
                self._add_sample(line, family, names)
        assert list(self.types) == sorted(self.types), 'families are not sorted'

    def _add_sample(self, line, family, names):
        match = SAMPLE.fullmatch(line)
        assert match, 'not a sample line: %r' % line
        name, labels, value = match.groups()
        assert name in names, '%s stands under family %s' % (name, family)
        series = series_name(name, dict(LABEL.findall(labels))) if labels else name
        assert series not in self.series, 'series %s comes twice' % series
        self.series[series] = float(value)

    def users(self):
        """The series that clients made."""
        return {name: value for name, value in self.series.items() if not self.is_own(name)}

    def is_own(self, name):
        """Whether a name or line is one of the bridge's own."""
        own_process = ('process_',) if self.process_metrics else ()
        return name.startswith((PREFIX, 'statsd_metric_mapper_cache_', *own_process))

    def own(self, suffix, **labels):
        """An own metric; 0 when it is not there (yet)."""
        return self.series.get(series_name(PREFIX + suffix, labels), 0)

    def own_sum(self, suffix):
        """An own metric, added up over its labels."""
        name = PREFIX + suffix
        return sum(value for series, value in self.series.items() if series.split('{')[0] == name)

    def lines(self):
        """Lines received that were not empty."""
        return self.own('lines_total') - self.own('lines_empty_total')

    def unaccounted(self):
        """-> (lines, samples) not accounted for"""
        return books.unaccounted(self.series, PREFIX)

    def assert_books(self):
        """Every line and every sample is accounted for, each once."""
        assert self.unaccounted() == (0, 0), \
            {name: value for name, value in self.series.items() if name.startswith((PREFIX + 'lines_', PREFIX + 'samples_'))}


def observed(name, values, bounds, labels=(), weight=1):
    """The series of a histogram that has seen `values`, each `weight` times."""
    labels = dict(labels)
    out = {}
    for bound in [*bounds, float('inf')]:
        text = '+Inf' if bound == float('inf') else '%g' % bound
        inside = sum(weight for value in values if value <= bound)
        out[series_name(name + '_bucket', {**labels, 'le': text})] = inside
    out[series_name(name + '_sum', labels)] = sum(value * weight for value in values)
    out[series_name(name + '_count', labels)] = len(values) * weight
    return out


def differences(got, expected):
    """-> what is missing, too much or of another value, up to the rounding that adding in another order brings"""
    return ['%s: want %s, got %s' % (name, expected.get(name), got.get(name))
            for name in sorted({*expected, *got}) if not _is_same(expected.get(name), got.get(name))]


def assert_series(scrape, expected):
    """The clients' series are exactly these."""
    wrong = differences(scrape.users(), expected)
    assert not wrong, '\n'.join(wrong)


def _is_same(a, b):
    return a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12)


def assert_no_report(stderr):
    """Fails when a sanitizer or an always-on assertion has spoken."""
    assert not REPORT.search(stderr), stderr


def run_to_end(*flags, timeout=PATIENCE):
    """Runs the binary with exactly these flags until it ends by itself."""
    done = subprocess.run([BINARY, *flags], capture_output=True, text=True, timeout=timeout)
    assert_no_report(done.stderr)
    return done


class Response:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode('utf-8')


class Bridge:
    """One running bridge. `web`, `udp` and `tcp` are ports; `gram` and `stream` are socket paths."""

    def __init__(self, directory, flags=(), mapping=None, defaults=True, preexec_fn=None, web=None, command=(),
                 **settings):
        """With `defaults` it listens on every transport on loopback; without, `flags` say all but the web port.

        `web` is that port, for a bridge that takes the place of another. `command` is what starts the binary, and
        `settings` are more for subprocess.Popen.
        """
        self.directory = directory
        self.process_metrics = '--no-web.process-metrics' not in flags
        self.web, self.udp, self.tcp = web or free_port(), free_port(), free_port()
        self.gram, self.stream = directory / 'gram', directory / 'stream'
        argv = [*command, BINARY, '--web.listen-address=127.0.0.1:%d' % self.web]
        if defaults:
            argv += ['--statsd.listen-udp=127.0.0.1:%d' % self.udp, '--statsd.listen-tcp=127.0.0.1:%d' % self.tcp,
                     '--statsd.listen-unixgram=%s' % self.gram, '--statsd.listen-unixstream=%s' % self.stream]
        else:
            assert all(any(flag.startswith(each + '=') for flag in flags) for each in FIXED_PORTS), \
                'other tests run beside this one: the default port must not be used'
        self.mapping = directory / 'mapping.yml'
        if mapping is not None:
            self.mapping.write_text(mapping, encoding='utf-8')
            argv.append('--statsd.mapping-config=%s' % self.mapping)
        self._stderr = directory / 'stderr'
        with open(directory / 'stdout', 'wb') as out, open(self._stderr, 'wb') as err:
            self.process = subprocess.Popen([*argv, *flags], stdout=out, stderr=err, preexec_fn=preexec_fn,
                                            **settings)
        self._ended = False

    # Life.

    def stderr(self):
        return self._stderr.read_text(encoding='utf-8', errors='replace')

    def is_running(self):
        return self.process.poll() is None

    def await_ready(self):
        def is_ready():
            assert self.is_running(), 'ended with %s at start:\n%s' % (self.process.returncode, self.stderr())
            try:
                return self.request('GET', '/-/ready').status == 200
            except OSError:
                return False

        try:
            await_condition(is_ready, 'the bridge to be ready')
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise

    def await_exit(self, code=0):
        """Waits until it has ended by itself, or after a signal that the test sent."""
        self._ended = True
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError('did not end:\n' + self.stderr()) from None
        assert self.process.returncode == code, 'ended with %d:\n%s' % (self.process.returncode, self.stderr())
        assert_no_report(self.stderr())

    def stop(self):
        """SIGTERM, unless the test has already seen it end; it must have lived until now."""
        if self._ended:
            return
        assert self.is_running(), 'ended early with %d:\n%s' % (self.process.returncode, self.stderr())
        self.signal(signal.SIGTERM)
        self.await_exit()

    def signal(self, number):
        self.process.send_signal(number)

    # Pull side.

    def connect_web(self):
        return http.client.HTTPConnection('127.0.0.1', self.web, timeout=PATIENCE)

    def request(self, method, path, headers=None, body=None):
        with contextlib.closing(self.connect_web()) as connection:
            connection.request(method, path, body=body, headers=headers or {})
            return Response(connection.getresponse())

    def resident_bytes(self):
        """Of memory that is no file's."""
        status = pathlib.Path('/proc/%d/status' % self.process.pid).read_text()
        return int(re.search(r'^RssAnon:\s+(\d+) kB$', status, re.MULTILINE)[1]) * 1024

    def scrape(self):
        response = self.request('GET', '/metrics')
        assert response.status == 200, response.text
        return Scrape(response.text, self.process_metrics)

    def await_lines(self, count):
        """Waits until `count` lines that were not empty have been dealt with since the start; no more must have."""
        def arrived():
            scrape = self.scrape()
            return scrape.lines(), *scrape.unaccounted()

        await_equal(arrived, (count, 0, 0))
        scrape = self.scrape()
        assert scrape.lines() == count
        scrape.assert_books()
        return scrape

    def await_users(self, expected):
        """Waits until the clients' series are exactly `expected`."""
        await_equal(lambda: self.scrape().users(), expected)

    # Push side.

    def send_udp(self, data, host='127.0.0.1', port=None):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as out:
            out.sendto(_bytes(data), (host, port or self.udp))

    def send_unixgram(self, data):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(_bytes(data), str(self.gram))

    def connect_tcp(self, host='127.0.0.1', port=None):
        return socket.create_connection((host, port or self.tcp), PATIENCE)

    def connect_unixstream(self):
        out = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        out.settimeout(PATIENCE)
        out.connect(str(self.stream))
        return out

    def send_tcp(self, data, host='127.0.0.1', port=None):
        with self.connect_tcp(host, port) as out:
            out.sendall(_bytes(data))

    def send_unixstream(self, data):
        with self.connect_unixstream() as out:
            out.sendall(_bytes(data))


def _bytes(data):
    return data.encode('utf-8') if isinstance(data, str) else data
