"""The formats of a scrape, each read by a program that others wrote, as samples that can be compared.

A sample is (name, labels as sorted pairs); `le` and `quantile` are numbers there, which formats spell differently.
"""
import gzip
import pathlib
import re
import subprocess

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bridge import LABEL, SAMPLE, Scrape

TEXT = 'text/plain;version=0.0.4'
TEXT_1 = 'text/plain;version=1.0.0'
OPENMETRICS = 'application/openmetrics-text;version=1.0.0'
PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'

PROTO_FILE = pathlib.Path(__file__).with_name('metrics.proto')
ESCAPE = re.compile(r'\\([\\"n])')
# A field of protoc's output: a message begins, one ends, or a value.
PROTO_FIELD = re.compile(r'(\w+) \{|\}|(\w+): (?:"((?:[^"\\]|\\.)*)"|(\S+))')
PROTO_ESCAPE = re.compile(rb'\\([0-7]{3}|x[0-9a-f]{2}|.)')
PROTO_LETTERS = {b'n': b'\n', b'r': b'\r', b't': b'\t'}


class Samples:
    """`values` and `exemplars` by sample; `types` and `helps` by family; `created`, when a series was born in seconds since
    1970, and `natives`, the native histograms, by family and labels. An exemplar is (labels, value, time)."""

    def __init__(self):
        self.values, self.types, self.helps, self.created, self.natives, self.exemplars = {}, {}, {}, {}, {}, {}

    def add(self, name, labels, value, exemplar=None):
        labels = {key: float(text) if key in ('le', 'quantile') and name_has(name, key, self.types) else text
                  for key, text in labels.items()}
        sample = name, tuple(sorted(labels.items()))
        assert sample not in self.values, '%s is there twice' % (sample,)
        self.values[sample] = float(value)
        if exemplar:
            self.exemplars[sample] = exemplar


def name_has(name, label, types):
    """Whether `le` or `quantile` is the format's, not a client's."""
    if label == 'le':
        return name.endswith('_bucket') and types.get(name.removesuffix('_bucket')) == 'histogram'
    return types.get(name) == 'summary'


def fetch(bridge, accept, packed=False):
    """-> (content type, body)"""
    headers = {'Accept': accept, **({'Accept-Encoding': 'gzip'} if packed else {})}
    response = bridge.request('GET', '/metrics', headers)
    assert response.status == 200
    assert response.headers['Vary'] == 'Accept, Accept-Encoding'
    assert (response.headers['Content-Encoding'] == 'gzip') == packed
    return response.headers['Content-Type'], gzip.decompress(response.body) if packed else response.body


def read_text(body):
    scrape = Scrape(body.decode('utf-8'))
    out = Samples()
    out.types, out.helps = scrape.types, {name: unescape(text) for name, text in scrape.helps.items()}
    for line in scrape.text[:-1].split('\n'):
        if not line.startswith('#'):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            out.add(name, {key: unescape(text) for key, text in LABEL.findall(labels or '')}, value)
    return out


def unescape(text):
    return ESCAPE.sub(lambda match: '\n' if match[1] == 'n' else match[1], text)


def read_openmetrics(body):
    """With the reference parser, which is strict. Families of counters have no `_total` there."""
    out = Samples()
    for family in text_string_to_metric_families(body.decode('utf-8')):
        assert family.name not in out.types
        out.types[family.name], out.helps[family.name] = family.type, family.documentation
        for sample in family.samples:
            if family.type in ('counter', 'histogram', 'summary') and sample.name == family.name + '_created':
                name = family.name + ('_total' if family.type == 'counter' else '')
                out.created[name, tuple(sorted(sample.labels.items()))] = sample.value
            else:
                exemplar = sample.exemplar
                out.add(sample.name, sample.labels, sample.value,
                        exemplar and (exemplar.labels, exemplar.value, float(exemplar.timestamp)))
    return out


def split_messages(body):
    """A delimited stream -> its messages"""
    at = 0
    while at < len(body):
        length = shift = 0
        while True:
            byte = body[at]
            at += 1
            length |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                break
        assert at + length <= len(body)
        yield body[at:at + length]
        at += length


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes([*out, number])


def proto_text(text):
    """A string of protoc's output, unescaped."""
    def replace(match):
        code = match[1]
        if code[:1].isdigit():
            return bytes([int(code, 8)])
        return PROTO_LETTERS.get(code, code)
    return PROTO_ESCAPE.sub(replace, text.encode('utf-8')).decode('utf-8')


class Native:
    """A native histogram: `positive` and `negative` are {index: count} of the buckets that are not empty; `exemplars` a list."""

    def __init__(self, message):
        self.schema = int(message['schema'][0])
        self.zero_threshold = float(message['zero_threshold'][0])
        self.zero_count = int(message['zero_count'][0])
        self.positive, self.negative = native_side(message, 'positive'), native_side(message, 'negative')
        self.exemplars = [proto_exemplar([exemplar]) for exemplar in message.get('exemplars', [])]

    def count(self):
        return self.zero_count + sum(self.positive.values()) + sum(self.negative.values())


def native_side(message, side):
    deltas = [int(delta) for delta in message.get(side + '_delta', [])]
    out, index, count = {}, 0, 0
    for number, span in enumerate(message.get(side + '_span', [])):
        offset = int(span['offset'][0])
        assert offset >= 0 or number == 0
        index += offset
        for _ in range(int(span['length'][0])):
            count += deltas.pop(0)
            assert count >= 0
            if count:
                out[index] = count
            index += 1
    assert not deltas
    return out


def parse_proto(text):
    """protoc's output -> {field: list of values or messages}"""
    stack = [{}]
    for match in PROTO_FIELD.finditer(text):
        begun, field, string, word = match.groups()
        if begun:
            message = {}
            stack[-1].setdefault(begun, []).append(message)
            stack.append(message)
        elif field:
            stack[-1].setdefault(field, []).append(word if string is None else proto_text(string))
        else:
            stack.pop()
    assert len(stack) == 1
    return stack[0]


def read_protobuf(body):
    """With protoc. A field that metrics.proto does not know has a number for its name, and is not read over."""
    scrape = b''.join(b'\x0a' + varint(len(message)) + message for message in split_messages(body))
    done = subprocess.run(['protoc', '--decode=io.prometheus.client.Scrape', '-I%s' % PROTO_FILE.parent, PROTO_FILE.name],
                          input=scrape, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    out = Samples()
    for family in parse_proto(done.stdout.decode('utf-8')).get('family', []):
        (name,), (kind,), (out.helps[name],) = family['name'], family['type'], family['help']
        assert name not in out.types, '%s is there twice' % name
        out.types[name] = kind = kind.lower()
        for metric in family['metric']:
            assert set(metric) <= {'label', kind}, metric
            add_proto_metric(out, name, kind, proto_labels(metric), metric[kind][0])
    return out


def proto_seconds(timestamp):
    return int(timestamp['seconds'][0]) + int(timestamp['nanos'][0]) / 1e9


def proto_labels(message):
    return {label['name'][0]: label['value'][0] for label in message.get('label', [])}


def proto_exemplar(messages):
    """-> (labels, value, time) of the first one, or None"""
    for message in messages:
        return proto_labels(message), float(message['value'][0]), proto_seconds(message['timestamp'][0])
    return None


def add_proto_metric(out, name, kind, labels, value):
    for start in value.pop('start_timestamp', []):
        out.created[name, tuple(sorted(labels.items()))] = proto_seconds(start)
    if kind in ('counter', 'gauge'):
        exemplar = proto_exemplar(value.pop('exemplar', []))
        assert set(value) == {'value'}
        out.add(name, labels, value['value'][0], exemplar)
        return
    (count,), (total,) = value['sample_count'], value['sample_sum']
    out.add(name + '_count', labels, count)
    out.add(name + '_sum', labels, total)
    for quantile in value.get('quantile', []):
        out.add(name, {**labels, 'quantile': quantile['quantile'][0]}, quantile['value'][0])
    if kind == 'histogram':
        # The last bucket may be left out.
        buckets = {'inf': {'cumulative_count': [count]},
                   **{bucket['upper_bound'][0]: bucket for bucket in value.get('bucket', [])}}
        assert buckets['inf']['cumulative_count'] == [count]
        for bound, bucket in buckets.items():
            out.add(name + '_bucket', {**labels, 'le': bound}, bucket['cumulative_count'][0],
                    proto_exemplar(bucket.get('exemplar', [])))
        if 'schema' in value:
            out.natives[name, tuple(sorted(labels.items()))] = Native(value)
