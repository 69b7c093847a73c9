"""Every pack of mappings/ keeps what its README promises: see pack.py."""
import shutil

import pytest

from bridge import run_to_end, series_name
from pack import MAPPINGS, Pack, find_packs

pytestmark = pytest.mark.packs

PACKS = find_packs()
TABLES = [(pack, table) for pack in PACKS.values() for table in pack.tables]


def name_of(value):
    return value.name if hasattr(value, 'name') else None


@pytest.mark.parametrize('pack', PACKS.values(), ids=name_of)
def test_catalogue_rules_and_tables_agree(pack):
    assert pack.problems() == []


def test_packs_are_loaded_without_a_warning():
    """Each alone, and all of them in either order: no rule keeps another from ever matching."""
    flags = [pack.flag for pack in PACKS.values()]
    for chosen in [*([flag] for flag in flags), flags, flags[::-1]]:
        done = run_to_end('--check-config', *chosen)
        assert done.returncode == 0, done.stderr
        assert 'level=warn' not in done.stderr and 'level=error' not in done.stderr, done.stderr


@pytest.mark.parametrize('pack, table', TABLES, ids=name_of)
def test_table(start_bridge, pack, table):
    scrape = pack.replay(start_bridge(pack.flag, *table.options), table)
    assert pack.wrong_families(scrape) == []
    assert pack.lint(scrape) == sorted(table.findings)


@pytest.mark.parametrize('pack, table', TABLES, ids=name_of)
def test_table__beside_all_other_packs(start_bridge, pack, table):
    flags = [each.flag for each in PACKS.values()]
    for chosen in (flags, flags[::-1]):
        pack.replay(start_bridge(*dict.fromkeys([*chosen, *table.options])), table)


LIMITS = [(pack, label) for pack in PACKS.values() for label in pack.limits]


@pytest.mark.parametrize('pack, label', LIMITS, ids=lambda value: value if isinstance(value, str) else value.name)
def test_limit_of_a_label(start_bridge, pack, label):
    """As many values as the pack allows are series of their own; those beyond are added up in one."""
    limit = pack.limits[label]
    metric, entry = pick(pack, label)
    change = {'counter': '1|c', 'gauge': '+1|g'}[entry.type]
    labels = {name: 'x' for name in entry.labels}
    bridge = start_bridge(pack.flag)
    lines = [tagged_line(metric, {**labels, label: 'v%d' % i}, change) for i in range(limit + 3)]
    bridge.send_tcp('\n'.join(lines))
    scrape = bridge.await_lines(len(lines))
    want = {series_name(metric, {**labels, label: 'v%d' % i}): 1 for i in range(limit)}
    assert scrape.users() == {**want, series_name(metric, {**labels, label: 'other'}): 3}
    assert scrape.own_sum('label_values_replaced_total') == 3


def pick(pack, label):
    """A metric to count in: one that has the label, or, for a label besides those of the catalogue, any."""
    simple = [(metric, entry) for metric, entry in pack.catalogue.items() if entry.type in ('counter', 'gauge')]
    return next((pair for pair in simple if label in pair[1].labels), simple[0])


def tagged_line(metric, labels, change):
    return '%s:%s|#%s' % (metric, change, ','.join('%s:%s' % pair for pair in labels.items()))


@pytest.mark.parametrize('first, second', [('conduit', 'gui-agents'), ('gui-agents', 'conduit')])
def test_two_packs_with_one_prefix(start_bridge, first, second):
    """agent_ is the prefix of both. They share no name, and one bridge serves both, whichever is asked first."""
    packs = [PACKS[first], PACKS[second]]
    ours, theirs = ({name for name in pack.catalogue if name.startswith('agent_')} for pack in packs)
    assert ours and theirs and not ours & theirs
    tables = [table for pack in packs for table in pack.tables if table.name == 'table.txt']
    options = {option for table in tables for option in table.options}
    bridge = start_bridge(*(pack.flag for pack in packs), *options)
    for pack, table in zip(packs, tables):
        scrape = pack.replay(bridge, table)
    assert {name for name in scrape.types if name.startswith('agent_')} >= ours | theirs


# That the checks above can fail: a copy of a pack with one thing changed.

MODEL = 'agentcube'
ERRORS = '> agentcube_router_proxy_errors_total'
ROW = '| `agentcube_gc_errors_total` | counter | | |\n'


def changed(tmp_path, file, old, new):
    """A copy of the model pack with one text of a file changed, wherever it stands."""
    folder = tmp_path / 'pack'
    shutil.copytree(MAPPINGS / MODEL, folder)
    path = folder / file
    text = path.read_text(encoding='utf-8')
    assert old in text
    path.write_text(text.replace(old, new), encoding='utf-8')
    return Pack(folder)


@pytest.mark.parametrize('file, old, new, problem', [
    ('README.md', ROW, '', 'which the catalogue does not name'),
    ('README.md', ROW, ROW + ROW.replace('errors', 'mistakes'), 'no rule makes agentcube_gc_mistakes_total'),
    ('README.md', ROW, ROW.replace('counter', 'gauge'), 'match_metric_type is not "gauge"'),
    ('README.md', '| kind, status | |', '| kind | |', 'rules give agentcube_sandbox_create_total the labels kind, status'),
    ('README.md', '| kind, status | |', '| kind, status, zone | |', 'no table shows one series of agentcube_sandbox_create_total'),
    ('README.md', '| reason |', '| cause |', 'rules give agentcube_gc_sandboxes_reclaimed_total the labels reason'),
    ('README.md', '1 2.5 5 10 20', '1 2.5 5 11 20', 'buckets or quantiles are not 1 2.5 5 11 20'),
    ('mapping.yml', '20, 30, 60', '20, 30, 61', 'buckets or quantiles are not 1 2.5 5 10 20 30 60 120'),
    ('mapping.yml', 'observer_type: histogram', 'observer_type: summary', 'observer_type is not "histogram"'),
    ('mapping.yml', '  match_metric_type: gauge\n', '', 'match_metric_type is not "gauge"'),
    ('mapping.yml', 'help: "Sandboxes deleted."', 'help: ""', 'no help'),
    ('mapping.yml', '.*.*"\n', '.*.*"\n  help: "Another."\n', 'two help texts'),
    ('mapping.yml', 'mappings:\n', 'defaults: {ttl: 1h}\nmappings:\n', 'mapping.yml has the key "defaults"'),
    ('mapping.yml', 'mappings:\n', 'tags: {keep: [kind, status, reason]}\nmappings:\n', 'tags of the catalogue are not kept'),
    ('mapping.yml', 'mappings:\n', 'tags: {drop: [kind]}\nmappings:\n', 'tags of the catalogue are not kept'),
    ('mapping.yml', 'mappings:\n', 'max_values: {king: 5}\nmappings:\n', 'max_values has labels that there are not'),
    ('mapping.yml', '- match: "agentcube_gc_errors_total"', '- match: "*"', 'rule "*": it may match any name'),
    ('mapping.yml', '- match: "agentcube_gc_errors_total"', '- match: ".*"\n  match_type: regex',
     'rule ".*": it may match any name'),
    ('mapping.yml', '- match: "agentcube_gc_errors_total"', '- match: "^(\\\\w+)$"\n  match_type: regex', 'it may match any name'),
    ('mapping.yml', '- match: "agentcube_gc_errors_total"', '- match: "gc_errors"\n  match_type: regex', 'it may match any name'),
    ('table.txt', ERRORS + '.connection_refused:6|c\n', '', 'no table shows one series of agentcube_router_proxy_errors'),
    ('table.txt', ERRORS + ':3|c|#category:connection_refused\n', '', 'no table shows one series of agentcube_router_proxy'),
    ('table.txt', 'le="120"} 2\n', 'le="121"} 2\n', 'one series of agentcube_sandbox_create_duration_seconds'),
    ('table.txt', 'agentcube_router_session_create_total', 'another_total', 'agentcube_router_session_create_total'),
])
def test_problem_is_found(tmp_path, file, old, new, problem):
    problems = changed(tmp_path, file, old, new).problems()
    assert any(problem in each for each in problems), problems


@pytest.mark.parametrize('file, old, new, failure', [
    ('mapping.yml', 'name: "agentcube_gc_errors_total"', 'name: "agentcube_gc_failures_total"',
     'missing: agentcube_gc_errors_total 5'),
    ('mapping.yml', 'kind: "$1", status: "$2"', 'kind: "$2", status: "$1"', 'missing: agentcube_sandbox_create_duration'),
    ('mapping.yml', '60, 120]', '60]', 'missing: .*le="120"'),
    ('table.txt', 'agentcube_sandbox_rollback_total 11', 'agentcube_sandbox_rollback_total 12', 'not in the table: .* 11'),
    ('table.txt', 'agentcube_sandbox_delete_total_v1_2 1\n', '', 'not in the table: agentcube_sandbox_delete_total_v1_2 1'),
    ('table.txt', 'agentcube_gc_error_total 1\nagentcube_gc_errors_total 6', 'agentcube_gc_errors_total 6\nagentcube_gc_error_total 1',
     'not in the order of /metrics'),
    ('table.txt', '# unmapped: 9', '# unmapped: 0', "'unmapped': 9"),
    ('table.txt', '# dropped: 4\n', '', "'dropped': 4"),
    ('table.txt', '# dropped: 4\n', '# dropped: 4\n# refused: 1\n', "'refused': 0"),
])
def test_failure_of_a_table(start_bridge, tmp_path, file, old, new, failure):
    pack = changed(tmp_path, file, old, new)
    with pytest.raises(AssertionError, match=failure):
        pack.replay(start_bridge(pack.flag), pack.tables[0])


@pytest.mark.parametrize('file, old, new, failure', [
    ('table.txt', '# unmapped: 9', '# unmapped 9', 'other counts'),
    ('table.txt', '# unmapped: 9', '# unmaped: 9', 'unknown directive "unmaped"'),
    ('table.txt', '# unmapped: 9', '# forms: dots', 'forms are plain, tags'),
    ('table.txt', '# unmapped: 9', '# with: agentcubes', 'no such pack: agentcubes'),
    ('README.md', '## Catalogue', '## Metrics', 'no section'),
    ('README.md', '| buckets |', '| bounds |', 'the catalogue is not'),
    ('README.md', '| counter | kind |', '| counter |', 'not a row of four cells'),
    ('README.md', '| counter | kind |', '| number | kind |', 'has type "number"'),
    ('README.md', ROW, ROW + ROW, 'comes twice'),
    ('README.md', ROW, ROW.replace('| |\n', '| 1 2 |\n'), 'is a counter with buckets "1 2"'),
])
def test_text_that_is_no_pack(start_bridge, tmp_path, file, old, new, failure):
    with pytest.raises(AssertionError, match=failure):
        pack = changed(tmp_path, file, old, new)
        pack.replay(start_bridge(pack.flag), pack.tables[0])


def test_wrong_type_is_found(start_bridge, tmp_path):
    pack = changed(tmp_path, 'mapping.yml', 'help: "Sandboxes deleted."', 'help: "Sandboxes lost."')
    original, table = PACKS[MODEL], pack.tables[0]
    scrape = pack.replay(start_bridge(pack.flag), table)
    assert original.wrong_families(scrape) == ['agentcube_sandbox_delete_total']


def test_finding_of_the_linter(start_bridge, tmp_path):
    folder = tmp_path / 'pack'
    shutil.copytree(MAPPINGS / MODEL, folder)
    for path in folder.iterdir():
        path.write_text(path.read_text(encoding='utf-8').replace('concurrent_requests', 'requests_total'), encoding='utf-8')
    pack = Pack(folder)
    assert pack.problems() == []
    scrape = pack.replay(start_bridge(pack.flag), pack.tables[0])
    assert pack.lint(scrape) == [
        'agentcube_router_requests_total non-counter metrics should not have "_total" suffix']
