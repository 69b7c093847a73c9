"""A receiver of remote write that answers as a test tells it to, and what it was sent, decoded.

Decoding knows nothing of the bridge: it follows the specifications of snappy, Protocol Buffers and remote write.
"""
import http.server
import math
import ssl
import struct
import threading
import time

STALE = 0x7ff0000000000002
V1, V2 = '0.1.0', '2.0.0'
CONTENT_TYPES = {V1: 'application/x-protobuf', V2: 'application/x-protobuf;proto=io.prometheus.write.v2.Request'}


def unsnap(data):
    """Undoes snappy's block format."""
    length, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(data[at:at + extra], 'little')
                at += extra
            out += data[at:at + size + 1]
            at += size + 1
            continue
        if tag & 3 == 1:
            size, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            size, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + width], 'little')
            at += width
        # What is copied may begin with what the copy itself adds.
        piece = out[-offset:][:size]
        out += (piece * (size // len(piece) + 1))[:size]
    assert len(out) == length
    return bytes(out)


def varint(data, at):
    """-> (value, where the next byte is)"""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """-> (number, value) of each field of a message"""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            assert key & 7 == 2
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
            assert len(value) == length
        yield key >> 3, value


def spell(labels):
    """-> a series as a Scrape spells it"""
    inner = ','.join('%s="%s"' % pair for pair in labels if pair[0] != '__name__')
    return dict(labels)['__name__'] + ('{%s}' % inner if inner else '')


class Sample:
    """`name` as a Scrape spells a series, `value` None for a marker of its end, `at` and `start` (0: not told) in milliseconds."""

    def __init__(self, labels, sample, metadata=None):
        assert labels == sorted(labels) and len({name for name, _ in labels}) == len(labels)
        assert all(value for _, value in labels)
        self.name = spell(labels)
        parts = dict(fields(sample))
        self.at, self.start = parts[2], parts.get(3, 0)
        bits, = struct.unpack('<Q', parts[1])
        self.value, = struct.unpack('<d', parts[1])
        if bits == STALE:
            self.value = None
        elif math.isnan(self.value):
            assert bits == 0x7ff8000000000001
        self.metadata = metadata


class Exemplar:
    """`name` is that of the series it belongs to, `at` in milliseconds."""

    def __init__(self, series, labels, parts):
        self.name, self.labels, self.at = spell(series), dict(labels), parts[3]
        self.value, = struct.unpack('<d', parts[2])


class Message:
    """`samples`, `exemplars`, `metadata` of families in 1.0 as {family: (type, help)}, and how many native `histograms`."""

    def __init__(self):
        self.samples, self.exemplars, self.metadata, self.histograms = [], [], {}, 0

    def add_series(self, labels, samples, histograms, exemplars, metadata=None):
        """`exemplars` are (labels, parts); `metadata` is that of a series in 2.0"""
        self.histograms += len(histograms)
        self.samples += [Sample(labels, sample, metadata) for sample in samples]
        self.exemplars += [Exemplar(labels, *exemplar) for exemplar in exemplars]
        assert len(samples) + len(histograms) == 1


def decode_1(message):
    decoded = Message()

    def label(data):
        parts = dict(fields(data))
        return parts[1].decode(), parts[2].decode()

    for number, value in fields(message):
        if number == 3:
            entry = dict(fields(value))
            decoded.metadata[entry[2].decode()] = (entry[1], entry[4].decode())
            continue
        assert number == 1
        parts = list(fields(value))
        labels, samples, exemplars, histograms = ([part for key, part in parts if key == number] for number in (1, 2, 3, 4))
        decoded.add_series([label(part) for part in labels], samples, histograms,
                           [([label(part) for key, part in fields(exemplar) if key == 1], dict(fields(exemplar)))
                            for exemplar in exemplars])
    return decoded


def decode_2(message):
    decoded = Message()
    symbols = [value.decode() for number, value in fields(message) if number == 4]
    assert symbols[0] == '' and len(set(symbols)) == len(symbols)

    def labels(data):
        references, at = [], 0
        while at < len(data):
            reference, at = varint(data, at)
            references.append(symbols[reference])
        return list(zip(references[::2], references[1::2]))

    for number, value in fields(message):
        if number == 4:
            continue
        assert number == 5
        parts = list(fields(value))
        samples, histograms, exemplars = ([part for key, part in parts if key == number] for number in (2, 3, 4))
        metadata = dict(fields(dict(parts)[5]))
        decoded.add_series(labels(dict(parts)[1]), samples, histograms,
                           [(labels(dict(fields(exemplar))[1]), dict(fields(exemplar))) for exemplar in exemplars],
                           (metadata[1], symbols[metadata.get(3, 0)]))
    return decoded


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers = path, headers
        self.version = headers['X-Prometheus-Remote-Write-Version']
        assert headers['Content-Encoding'] == 'snappy'
        assert headers['Content-Type'] == CONTENT_TYPES[self.version]
        message = (decode_1 if self.version == V1 else decode_2)(unsnap(body))
        self.samples, self.exemplars, self.metadata = message.samples, message.exemplars, message.metadata
        self.histograms = message.histograms
        self.status = None
        self.is_taken = False


class Answer:
    """What to say: a status, headers, a body; or `behave`, which gets the handler and says it itself.

    `written` None says how many samples were written just as a receiver of the request's version does; False says
    nothing of them, as one that knows 1.0 only: it takes what is 2.0 for a request without samples.
    """

    def __init__(self, status=204, headers=(), body=b'', written=None, behave=None):
        self.status, self.headers, self.body, self.behave = status, dict(headers), body, behave
        self.written = written


class Receiver:
    """`answer` maps a Request to an Answer; `requests` are all that came, with the status they got, and whether it was taken."""

    def __init__(self, answer=lambda request: Answer(), certificate=None, clients=None):
        """`certificate` is a file with a key, too; `clients` one that those of clients are checked against."""
        self.answer = answer
        self.requests = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                request = Request(self.path, self.headers, self.rfile.read(int(self.headers['Content-Length'])))
                receiver.respond(self, request)

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            if clients:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(clients)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = 'http://127.0.0.1:%d/api/v1/write' % self.port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def respond(self, handler, request):
        answer = self.answer(request)
        request.status = answer.status
        request.is_taken = answer.status == 204 and not (request.version == V2 and answer.written is False)
        self.requests.append(request)
        if answer.behave:
            handler.close_connection = True
            answer.behave(handler)
            return
        handler.send_response(answer.status)
        headers = dict(answer.headers)
        if request.version == V2 and answer.status == 204 and answer.written is None:
            headers['X-Prometheus-Remote-Write-Samples-Written'] = str(len(request.samples))
            headers['X-Prometheus-Remote-Write-Histograms-Written'] = str(request.histograms)
            headers['X-Prometheus-Remote-Write-Exemplars-Written'] = str(len(request.exemplars))
        for name, value in headers.items():
            handler.send_header(name, value)
        if answer.status != 204:
            handler.send_header('Content-Length', str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def taken(self):
        """Samples of the requests that were taken."""
        return [sample for request in list(self.requests) if request.is_taken for sample in request.samples]

    def newest(self):
        """-> {name: value} of the newest sample of each series that was taken"""
        newest = {}
        for sample in self.taken():
            if sample.name not in newest or newest[sample.name].at <= sample.at:
                newest[sample.name] = sample
        return {name: sample.value for name, sample in newest.items()}

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def stay_silent(handler):
    """Until the other side has had enough."""
    handler.connection.settimeout(60)
    try:
        while handler.connection.recv(4096):
            pass
    except OSError:
        pass


def send_for_ever(piece, head=b'', pause=0):
    """-> what says `head`, and then `piece` again and again, until the other side has had enough"""
    def behave(handler):
        try:
            handler.connection.sendall(head)
            while True:
                handler.connection.sendall(piece)
                time.sleep(pause)
        except OSError:
            pass
    return behave
