"""What docker/ sets up around the bridge: Prometheus's configuration and alert rules."""
import re
import shutil
import subprocess

import pytest
import yaml

from bridge import ROOT

pytestmark = pytest.mark.packs

PROMETHEUS = ROOT / 'docker' / 'prometheus'
RULES = sorted((PROMETHEUS / 'rules').glob('*.yml'))
RULE_TESTS = ROOT / 'tests' / 'rules'
SYSTEMS = ('agentcube', 'agentos', 'appproxy', 'conduit', 'gui-agents', 'statsbridge')

METRIC = re.compile(r'[a-z_:][a-z0-9_:]+(?=[{\[ )]|$)')


def promtool(*arguments):
    return subprocess.run(['promtool', *map(str, arguments)], capture_output=True, text=True, timeout=60)


def name_of(path):
    return path.stem


def groups(path):
    return yaml.safe_load(path.read_text())['groups']


def alerts(path):
    return [rule for group in groups(path) for rule in group['rules'] if 'alert' in rule]


def test_configuration_passes_the_check():
    done = promtool('check', 'config', PROMETHEUS / 'prometheus.yml')
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'SUCCESS: %d rule files found' % len(RULES) in done.stdout


def test_every_system_has_rules_and_tests():
    assert sorted(path.stem for path in RULES) == sorted(SYSTEMS)
    assert sorted(path.stem for path in RULE_TESTS.iterdir()) == sorted(SYSTEMS)


def test_alert_names_are_unique():
    names = [rule['alert'] for path in RULES for rule in alerts(path)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_rules_fire_and_stay_silent(path):
    done = promtool('test', 'rules', RULE_TESTS / path.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_alert_says_how_bad_it_is_and_what_to_do(path):
    for rule in alerts(path):
        assert rule['labels']['severity'] in ('critical', 'warning', 'info'), rule['alert']
        for key in ('summary', 'description'):
            assert rule['annotations'][key].endswith('.'), rule['alert']


def test_gui_agents_have_what_their_document_promises():
    path = PROMETHEUS / 'rules' / 'gui-agents.yml'
    assert len(alerts(path)) == 15
    assert len(groups(path)) == 6
    assert {rule['labels']['severity'] for rule in alerts(path)} == {'critical', 'warning', 'info'}


# Each alert fires in some case of its test file, and stays silent in another that has the same metrics.

def cases(path):
    """-> [(the labels of each alert that fires, the names of the metrics that there are)] of a test file"""
    for case in yaml.safe_load((RULE_TESTS / path.name).read_text())['tests']:
        firing = [dict(re.findall(r'(\w+)="([^"]*)"', sample['labels']))
                  for test in case['promql_expr_test'] for sample in test['exp_samples']]
        yield firing, {series['series'].split('{')[0] for series in case['input_series']}


def metrics_of(path, expression):
    """The names of client metrics in an expression, also behind recording rules."""
    records = {}
    for group in groups(path):
        for rule in group['rules']:
            if 'record' in rule:
                records.setdefault(rule['record'], []).append(rule['expr'])
    names = set(METRIC.findall(expression))
    for record in names & set(records):
        for behind in records[record]:
            names |= set(METRIC.findall(behind))
    return names


@pytest.mark.parametrize('path', RULES, ids=name_of)
def test_alert_has_a_firing_and_a_silent_case(path):
    for rule in alerts(path):
        name = rule['alert']
        fires = [(firing, metrics) for firing, metrics in cases(path) if name in [each['alertname'] for each in firing]]
        assert fires, 'no case of tests/rules/%s lets %s fire' % (path.name, name)
        needed = metrics_of(path, rule['expr']) & set.intersection(*(metrics for _, metrics in fires))
        assert needed or 'absent' in rule['expr'], name
        assert [1 for firing, metrics in cases(path) if name not in [each['alertname'] for each in firing] and needed <= metrics], \
            'no case of tests/rules/%s has %s and keeps %s silent' % (path.name, ', '.join(sorted(needed)), name)
        labels = set.intersection(*(set(each) for firing, _ in fires for each in firing if each['alertname'] == name))
        used = set(re.findall(r'\$labels\.(\w+)', ' '.join(rule['annotations'].values())))
        assert used <= labels, '%s speaks of labels that it has not' % name


# That the test files can fail: with alerts that fire always, or never.

@pytest.mark.parametrize('path', RULES, ids=name_of)
@pytest.mark.parametrize('expression', ['vector(1)', 'vector(1) > 2'])
def test_changed_rules_are_found(tmp_path, path, expression):
    for folder in ('tests/rules', 'docker/prometheus/rules'):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(RULE_TESTS / path.name, tmp_path / 'tests' / 'rules')
    document = yaml.safe_load(path.read_text())
    for rule in (rule for group in document['groups'] for rule in group['rules'] if 'alert' in rule):
        rule.update({'expr': expression, 'annotations': {}})
        rule.pop('for', None)
    (tmp_path / 'docker' / 'prometheus' / 'rules' / path.name).write_text(yaml.safe_dump(document))
    done = promtool('test', 'rules', tmp_path / 'tests' / 'rules' / path.name)
    assert done.returncode == 1 and 'FAILED' in done.stdout + done.stderr
