"""Mapping packs: what a folder of mappings/ promises, and whether it keeps it.

A pack is a folder with three things that must agree:

README.md       its section "## Catalogue" is a table | metric | type | labels | buckets |. Labels have commas between
                them; buckets (of a summary: quantiles) have blanks. It names every metric of the pack.
mapping.yml     the rules. Each says `match_metric_type` and `help`, and there are no `defaults`: a pack must not change
                what becomes of names that it does not know. `tags` may keep those of the catalogue, and others;
                `max_values` may limit these.
table*.txt      lines to send and the series that come of them.

A table is replayed against the real binary. It holds comments (`# text`), directives, and blocks:

    # options: FLAG...      flags to start the bridge with
    # with: PACK...         further packs to load
    # unmapped: N           at the end so many events had no rule; 0 where this is not given. So with
    # refused: N            lines refused as a whole,
    # dropped: N            samples dropped,
    # tag-errors: N         and tags dropped
    # linter: FINDING       promtool says this about the catalogue; for names that somebody else has chosen
    # forms: FORM...        the forms of lines that each metric comes in: tags, plain; both where this is not given

    > a.line:1|c
    > another.line:1|c
    series_that_changed{label="value"} 1

A block's lines are sent in one datagram. What follows them are lines of /metrics: they must be there just so, and no
other series may have changed. HELP and TYPE lines may be given, too.
"""
import functools
import re
import shlex
import subprocess
from typing import NamedTuple

import yaml

from bridge import LABEL, ROOT, SAMPLE

MAPPINGS = ROOT / 'mappings'

# With libyaml, where PyYAML was built with it: many times faster.
YAML_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)

TYPES = ('counter', 'gauge', 'histogram', 'summary')
FORMS = {'tags', 'plain'}
COUNTS = {
    'unmapped': 'events_unmapped_total',
    'refused': 'lines_refused_total',
    'dropped': 'samples_dropped_total',
    'tag-errors': 'tag_errors_total',
}
HEADER = ['metric', 'type', 'labels', 'buckets']
# What the series of one observation are called besides the family, and the label that tells them apart.
PARTS = {'histogram': ('_bucket', '_sum', '_count'), 'summary': ('', '_sum', '_count')}
BOUND_LABEL = {'histogram': 'le', 'summary': 'quantile'}
DIRECTIVE = re.compile(r'# ([a-z-]+): (.*)')


class Entry(NamedTuple):
    """A metric of a catalogue. `bounds` are buckets or quantiles, as text."""
    type: str
    labels: frozenset
    bounds: tuple


class Block(NamedTuple):
    number: int     # of its first line in the table
    lines: list     # to send
    expected: list  # lines of the exposition

    @property
    def forms(self):
        return {'tags' if '|#' in line else 'plain' for line in self.lines}


class Table:
    """A table file, taken apart."""

    def __init__(self, path):
        self.name = path.name
        self.options, self.forms, self.findings, self.blocks = [], FORMS, [], []
        self.counts = dict.fromkeys(COUNTS, 0)
        for number, line in enumerate(path.read_text(encoding='utf-8').split('\n'), 1):
            self._take(number, line)
        assert self.blocks, '%s has no blocks' % path

    def _take(self, number, line):
        directive = DIRECTIVE.fullmatch(line)
        if line.startswith('> '):
            if not self.blocks or self.blocks[-1].expected or number != self._next:
                self.blocks.append(Block(number, [], []))
            self.blocks[-1].lines.append(line[2:])
            self._next = number + 1
        elif line.startswith(('# HELP ', '# TYPE ')) or line and not line.startswith('#'):
            assert self.blocks, '%s:%d: a series before any line' % (self.name, number)
            self.blocks[-1].expected.append(line)
        elif directive:
            self._take_directive(number, *directive.groups())

    def _take_directive(self, number, key, value):
        if key in self.counts:
            self.counts[key] = int(value)
        elif key == 'options':
            self.options += shlex.split(value)
        elif key == 'with':
            self.options += [flag_of(MAPPINGS / name) for name in value.split()]
            assert all((MAPPINGS / name).is_dir() for name in value.split()), \
                '%s:%d: no such pack: %s' % (self.name, number, value)
        elif key == 'linter':
            self.findings.append(value)
        elif key == 'forms':
            self.forms = set(value.split())
            assert self.forms <= FORMS, '%s:%d: forms are %s' % (self.name, number, ', '.join(sorted(FORMS)))
        else:
            raise AssertionError('%s:%d: unknown directive "%s"' % (self.name, number, key))


def load_yaml(path):
    return yaml.load(path.read_text(encoding='utf-8'), YAML_LOADER)


def cells(row):
    return [cell.strip().strip('`') for cell in row.strip().strip('|').split('|')]


def read_catalogue(text):
    """-> {metric: Entry} of a README"""
    _, found, section = text.partition('\n## Catalogue\n')
    assert found, 'no section "## Catalogue"'
    rows = [cells(line) for line in section.split('\n## ')[0].split('\n') if line.startswith('|')]
    assert rows and rows[0] == HEADER, 'the catalogue is not | %s |' % ' | '.join(HEADER)
    catalogue = {}
    for row in rows[2:]:
        assert len(row) == len(HEADER), 'not a row of four cells: %s' % row
        metric, kind, labels, bounds = row
        assert kind in TYPES, '%s has type "%s"' % (metric, kind)
        assert metric not in catalogue, '%s comes twice' % metric
        assert bool(bounds) == (kind in PARTS), '%s is a %s with buckets "%s"' % (metric, kind, bounds)
        labels = [label.strip() for label in labels.split(',')] if labels else []
        catalogue[metric] = Entry(kind, frozenset(labels), tuple(bounds.split()))
    assert catalogue, 'the catalogue is empty'
    return catalogue


def split_sample(line):
    """A line of the exposition -> (name, labels)"""
    match = SAMPLE.fullmatch(line)
    assert match, 'not a sample line: %r' % line
    return match[1], dict(LABEL.findall(match[2] or ''))


def may_match_any_name(rule):
    """Whether a rule has no word of its own, or a regex may begin anywhere."""
    literal = re.sub(r'\\.|\[.*?\]|\(.*?\)', '', rule['match'])
    anywhere = rule.get('match_type') == 'regex' and not rule['match'].startswith('^')
    return anywhere or not re.search(r'\w{2}', literal)


def flag_of(folder):
    return '--statsd.mapping-config=%s' % (folder / 'mapping.yml')


class Pack:
    """A folder of mappings/."""

    def __init__(self, folder):
        self.name = folder.name
        self.mapping = folder / 'mapping.yml'
        self.catalogue = read_catalogue((folder / 'README.md').read_text(encoding='utf-8'))
        self.rules = load_yaml(self.mapping)
        self.tables = [Table(path) for path in sorted(folder.glob('table*.txt'))]

    @property
    def flag(self):
        return flag_of(self.mapping.parent)

    def family_of(self, name):
        """The metric of the catalogue that a series of this name belongs to, or None."""
        for metric, entry in self.catalogue.items():
            if name in [metric + part for part in PARTS.get(entry.type, ('',))]:
                return metric
        return None

    # What the files say about each other.

    def problems(self):
        """-> what does not agree, as a list of sentences"""
        return [*self._problems_of_rules(), *self._problems_of_tables()]

    def _problems_of_rules(self):
        yield from self._problems_of_policy()
        helps, named = {}, {}
        for rule in self.rules['mappings']:
            metric = rule.get('name')
            if metric not in self.catalogue:
                yield 'rule "%s" makes "%s", which the catalogue does not name' % (rule['match'], metric)
                continue
            named.setdefault(metric, set()).update(rule.get('labels', {}))
            yield from ('rule "%s": %s' % (rule['match'], what)
                        for what in self._problems_of_rule(rule, self.catalogue[metric]))
            if helps.setdefault(metric, rule.get('help')) != rule.get('help'):
                yield '%s has two help texts' % metric
        for metric, entry in self.catalogue.items():
            if metric not in named:
                yield 'no rule makes %s' % metric
            elif not named[metric] <= entry.labels:
                yield 'rules give %s the labels %s' % (metric, ', '.join(sorted(named[metric])))

    def _problems_of_policy(self):
        """What the file says besides rules."""
        others = set(self.rules) - {'mappings', 'tags', 'max_values'}
        if others:
            yield 'mapping.yml has the key "%s"' % '", "'.join(sorted(others))
        labels = {label for entry in self.catalogue.values() for label in entry.labels}
        tags = self.rules.get('tags', {})
        keep = set(tags.get('keep', labels))
        if not tags.keys() <= {'keep', 'drop'} or not labels <= keep - set(tags.get('drop', ())):
            yield 'tags of the catalogue are not kept'
        elif not self.limits.keys() <= keep:
            yield 'max_values has labels that there are not'

    @property
    def limits(self):
        """-> {label: how many values it may have}"""
        return self.rules.get('max_values', {})

    @staticmethod
    def _problems_of_rule(rule, entry):
        if not rule.get('help'):
            yield 'no help'
        if may_match_any_name(rule):
            yield 'it may match any name'
        kind = 'observer' if entry.type in PARTS else entry.type
        if rule.get('match_metric_type') != kind:
            yield 'match_metric_type is not "%s"' % kind
        if kind != 'observer':
            return
        if rule.get('observer_type') != entry.type:
            yield 'observer_type is not "%s"' % entry.type
        if entry.type == 'histogram':
            bounds = rule.get('histogram_options', {}).get('buckets', [])
        else:
            bounds = [row['quantile'] for row in rule.get('summary_options', {}).get('quantiles', [])]
        if list(map(float, bounds)) != list(map(float, entry.bounds)):
            yield 'buckets or quantiles are not %s' % ' '.join(entry.bounds)

    def _problems_of_tables(self):
        """Every metric with all its labels in every form, and one series of it in all of them."""
        if not self.tables:
            yield 'no table'
            return
        forms = set.intersection(*(table.forms for table in self.tables))
        shown = {form: {} for form in FORMS}
        for block in (block for table in self.tables for block in table.blocks):
            for metric, groups in self._complete(block).items():
                if len(block.forms) == 1 or len(groups) == 1:
                    for form in block.forms:
                        shown[form].setdefault(metric, set()).update(groups)
        for metric, entry in self.catalogue.items():
            of_forms = [shown[form].get(metric, set()) for form in sorted(FORMS if not entry.labels else forms)]
            if not entry.labels:
                of_forms = [set.union(*of_forms)]
            if not set.intersection(*of_forms):
                yield 'no table shows one series of %s in each form: %s' % (metric, ', '.join(sorted(forms)))

    def _complete(self, block):
        """-> {metric: {labels}} of the series that a block shows as the catalogue promises them"""
        seen = {}
        for line in block.expected:
            if line.startswith('#'):
                continue
            name, labels = split_sample(line)
            metric = self.family_of(name)
            if metric:
                bound = labels.pop(BOUND_LABEL.get(self.catalogue[metric].type), None)
                seen.setdefault(metric, {}).setdefault(tuple(sorted(labels.items())), []).append(bound)
        complete = {}
        for metric, groups in seen.items():
            entry = self.catalogue[metric]
            bounds = {'histogram': [*entry.bounds, '+Inf', None, None], 'summary': [*entry.bounds, None, None]}
            for labels, shown in groups.items():
                if frozenset(key for key, _ in labels) == entry.labels and shown == bounds.get(entry.type, [None]):
                    complete.setdefault(metric, set()).add(labels)
        return complete

    # What the bridge makes of it.

    def replay(self, bridge, table):
        """Sends a table to a bridge with this pack. The bridge may have more packs, and may have seen other tables."""
        base = bridge.scrape()
        before, lines = clients_lines(base), base.lines()
        for block in table.blocks:
            lines += len(block.lines)
            bridge.send_udp('\n'.join(block.lines))
            scrape = bridge.await_lines(lines)
            now = clients_lines(scrape)
            self._compare(table, block, before, now, scrape.text.split('\n'))
            before = now
        counts = {key: scrape.own_sum(name) - base.own_sum(name) for key, name in COUNTS.items()}
        assert counts == table.counts, '%s: other counts than the table says: %s' % (table.name, counts)
        return scrape

    @staticmethod
    def _compare(table, block, before, now, text):
        where = '%s:%d: ' % (table.name, block.number)
        missing = [line for line in block.expected if line not in text]
        known = set(before)
        surplus = [line for line in now if line not in known and line not in block.expected]
        assert not missing and not surplus, '%safter %s\n%s' % (where, ' and '.join(block.lines), '\n'.join(
            ['missing: ' + line for line in missing] + ['not in the table: ' + line for line in surplus]))
        shown = [line for line in text if line in block.expected]
        assert shown == block.expected, '%snot in the order of /metrics' % where

    def wrong_families(self, scrape):
        """-> families that clients made and that have another type or help than the pack says"""
        helps = {rule['name']: rule['help'] for rule in self.rules['mappings']}
        return [metric for metric in self._clients_families(scrape)
                if (scrape.types[metric], scrape.helps[metric]) != (self.catalogue[metric].type, helps[metric])]

    def lint(self, scrape):
        """-> what promtool says about the families of the catalogue"""
        families = {text.split(' ', 3)[2]: text
                    for text in re.split(r'(?=^# HELP )', scrape.text, flags=re.MULTILINE) if text}
        ours = ''.join(families[metric] for metric in self._clients_families(scrape))
        done = subprocess.run(['promtool', 'check', 'metrics'], input=ours, capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 3), done.stderr
        return sorted(done.stderr.splitlines())

    def _clients_families(self, scrape):
        """Those of the catalogue."""
        return [metric for metric in scrape.types if metric in self.catalogue and not scrape.is_own(metric)]


def clients_lines(scrape):
    """The sample lines of an exposition that clients made."""
    return [line for line in scrape.text.split('\n')[:-1] if not line.startswith('#') and not scrape.is_own(line)]


@functools.cache
def find_packs():
    """All packs, by name, not to be changed. The example is none: it shows the language, not a system."""
    return {folder.name: Pack(folder) for folder in sorted(MAPPINGS.iterdir())
            if folder.is_dir() and folder.name != 'example'}
