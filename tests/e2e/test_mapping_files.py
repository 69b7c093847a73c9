"""Several mapping files: named by flags, found in directories, looked up in order, reloaded together."""
import re
import subprocess

import pytest

from bridge import await_equal, run_to_end

QUIET = ['--statsd.listen-udp=', '--statsd.listen-tcp=', '--web.listen-address=127.0.0.1:0']

RULES = 'mappings: [{match: "%s.*", name: %s, labels: {kind: $1}}]\n'


def config(path):
    return '--statsd.mapping-config=%s' % path


def reload(bridge, outcome):
    before = bridge.scrape().own('config_reloads_total', outcome=outcome)
    response = bridge.request('POST', '/-/reload')
    assert bridge.scrape().own('config_reloads_total', outcome=outcome) == before + 1
    return response


@pytest.fixture
def conf_d(tmp_path):
    """A directory whose two files both take names such as a.x; the first one decides."""
    path = tmp_path / 'conf.d'
    path.mkdir()
    (path / '20-second.yml').write_text('mappings: [{match: "*.*", name: second}]\n')
    (path / '10-first.yaml').write_text(RULES % ('a', 'first'))
    (path / 'README.md').write_text('no: [mapping')
    return path


def test_directory(start_bridge, conf_d):
    bridge = start_bridge(config(conf_d))
    bridge.send_udp('a.x:1|c\nb.x:1|c\nplain:1|c')
    bridge.await_users({'first{kind="x"}': 1, 'second': 1, 'plain': 1})
    scrape = bridge.scrape()
    assert scrape.own('loaded_mapping_files') == 2
    assert scrape.own('loaded_mappings') == 2
    assert scrape.own('events_unmapped_total') == 1


def test_directory_after_a_file(start_bridge, conf_d, tmp_path):
    own = tmp_path / 'own.yml'
    own.write_text('defaults: {observer_type: histogram, histogram_options: {buckets: [1]}}\n'
                   'mappings: [{match: "a.x", name: own}]\n')
    bridge = start_bridge(config(own), config(conf_d))
    bridge.send_udp('a.x:1|c\na.y:1|c\nplain:0.5|h\nb.x:0.5|h')
    bridge.await_users({
        'own': 1, 'first{kind="y"}': 1,
        'plain_bucket{le="1"}': 1, 'plain_bucket{le="+Inf"}': 1, 'plain_sum': 0.5, 'plain_count': 1,
        'second{quantile="0.5"}': 0.5, 'second{quantile="0.9"}': 0.5, 'second{quantile="0.99"}': 0.5,
        'second_sum': 0.5, 'second_count': 1,
    })


def test_reload_sees_what_changed_in_a_directory(start_bridge, conf_d):
    bridge = start_bridge(config(conf_d), '--web.enable-lifecycle')
    (conf_d / '05-new.yml').write_text(RULES % ('a', 'new'))
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'first{kind="x"}': 1})

    assert reload(bridge, 'success').status == 200
    assert bridge.scrape().own('loaded_mapping_files') == 3
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'first{kind="x"}': 1, 'new{kind="x"}': 1})

    (conf_d / '05-new.yml').unlink()
    (conf_d / '10-first.yaml').rename(conf_d / '30-last.yaml')
    assert reload(bridge, 'success').status == 200
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'first{kind="x"}': 1, 'new{kind="x"}': 1, 'second': 1})
    assert bridge.scrape().own('loaded_mapping_files') == 2


@pytest.mark.parametrize('break_it, where', [
    (lambda d: (d / '20-second.yml').write_text('mappings:\n- {match: "c.*", nmae: c}\n'), '20-second.yml:2:18: '),
    (lambda d: (d / '99-new.yml').write_text('mappings: [\n'), '99-new.yml:'),
    (lambda d: (d / '99-new.yml').mkdir(), '99-new.yml: is no regular file'),
    (lambda d: (d / '99-new.yml').symlink_to('nowhere'), '99-new.yml: cannot open'),
    (lambda d: [file.unlink() for file in d.glob('*.y*ml')], ': no file in this directory ends in .yml or .yaml'),
    (lambda d: [(d / ('%d.yml' % i)).write_text('') for i in range(300)], ': more than 256 mapping files'),
], ids=['key', 'syntax', 'directory', 'dangling', 'none', 'many'])
def test_anything_wrong_keeps_all_old_rules(start_bridge, conf_d, break_it, where):
    bridge = start_bridge(config(conf_d), '--web.enable-lifecycle')
    (conf_d / '10-first.yaml').write_text(RULES % ('a', 'changed'))
    break_it(conf_d)
    response = reload(bridge, 'failure')
    assert response.status == 500
    assert where in response.text
    assert str(conf_d) in bridge.stderr()
    bridge.send_udp('a.x:1|c\nb.x:1|c')
    bridge.await_users({'first{kind="x"}': 1, 'second': 1})
    assert bridge.scrape().own('loaded_mapping_files') == 2


def test_check_config__errors_of_all_files_at_once(conf_d):
    (conf_d / '10-first.yaml').write_text('mappings:\n- {match: "(", match_type: regex, name: a}\n')
    (conf_d / '20-second.yml').write_text('mappings:\n- {match: "a..b", name: a}\n')
    done = run_to_end('--check-config', config(conf_d))
    assert done.returncode == 1
    assert '%s/10-first.yaml:2:11: ' % conf_d in done.stderr
    assert '%s/20-second.yml:2:11: ' % conf_d in done.stderr


def test_check_config__rules_that_an_earlier_file_hides(conf_d):
    (conf_d / '10-first.yaml').write_text("mappings:\n- {match: '^a\\.', match_type: regex, name: a}\n")
    (conf_d / '20-second.yml').write_text('mappings:\n- {match: "b.*", name: b}\n- {match: "a.*", name: a}\n')
    done = run_to_end('--check-config', config(conf_d))
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if 'never used' in line]
    assert len(warnings) == 1, done.stderr
    assert '%s/20-second.yml:3:11: ' % conf_d in warnings[0]
    assert '%s/10-first.yaml:2 comes first' % conf_d in warnings[0]


def test_check_config__a_file_given_twice_is_read_once(conf_d):
    done = run_to_end('--check-config', config(conf_d), config(conf_d / '10-first.yaml'))
    assert done.returncode == 0
    assert 'is read once' in done.stderr
    assert 'never used' not in done.stderr


def test_check_config__empty_directory(tmp_path):
    done = run_to_end(*QUIET, '--check-config', config(tmp_path))
    assert done.returncode == 1
    assert '%s: no file in this directory' % tmp_path in done.stderr


def test_dump_fsm__a_child_for_each_file(conf_d, tmp_path):
    dump = tmp_path / 'fsm.dot'
    done = run_to_end('--check-config', config(conf_d), '--debug.dump-fsm=%s' % dump)
    assert done.returncode == 0, done.stderr
    drawn = subprocess.run(['dot', '-Tplain', dump], capture_output=True, text=True, timeout=60)
    assert drawn.returncode == 0, drawn.stderr
    for name in ('10-first.yaml', '20-second.yml'):
        assert re.search(re.escape(str(conf_d / name)), drawn.stdout)


def test_many_files(start_bridge, tmp_path):
    for i in range(256):
        (tmp_path / ('%03d.yml' % i)).write_text(RULES % ('n%d' % i, 'family_%d' % i))
    bridge = start_bridge(config(tmp_path))
    bridge.send_udp('\n'.join('n%d.x:%d|c' % (i, i) for i in range(1, 256)))
    await_equal(lambda: bridge.scrape().users(), {'family_%d{kind="x"}' % i: i for i in range(1, 256)})
    assert bridge.scrape().own('loaded_mapping_files') == 256
