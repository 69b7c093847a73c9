"""Reload: new rules from the next sample on; a bad file changes nothing; what lives goes on living."""
import signal

import pytest

from bridge import await_condition, await_equal

BEFORE = 'mappings: [{match: "a.*", name: before, labels: {kind: $1}}]\n'
AFTER = '''
mappings:
- {match: "a.*", name: after, labels: {kind: $1}}
- {match: "b.*", name: b}
'''


def by_signal(bridge):
    bridge.signal(signal.SIGHUP)


def by_post(bridge):
    bridge.request('POST', '/-/reload')


def by_put(bridge):
    bridge.request('PUT', '/-/reload')


def reloads(bridge, outcome):
    return bridge.scrape().own('config_reloads_total', outcome=outcome)


@pytest.fixture(params=[by_signal, by_post, by_put])
def reload(request):
    return request.param


def test_new_rules(start_bridge, reload):
    bridge = start_bridge('--web.enable-lifecycle', mapping=BEFORE)
    assert bridge.scrape().own_sum('config_reloads_total') == 0
    assert bridge.scrape().own('loaded_mappings') == 1
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'before{kind="x"}': 1})

    bridge.mapping.write_text(AFTER)
    reload(bridge)
    await_equal(lambda: reloads(bridge, 'success'), 1)
    assert bridge.scrape().own('loaded_mappings') == 2
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'before{kind="x"}': 1, 'after{kind="x"}': 1})
    bridge.scrape().assert_books()


@pytest.mark.parametrize('text', ['mappings: [{match: "a.*"}]', 'mappings: [', 'unknown: 1', '- a', '\tx: y'])
def test_bad_file_keeps_old_rules(start_bridge, reload, text):
    bridge = start_bridge('--web.enable-lifecycle', mapping=BEFORE)
    bridge.mapping.write_text(text)
    reload(bridge)
    await_equal(lambda: reloads(bridge, 'failure'), 1)
    assert reloads(bridge, 'success') == 0
    assert bridge.scrape().own('loaded_mappings') == 1
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'before{kind="x"}': 1})
    assert str(bridge.mapping) in bridge.stderr()


def test_file_gone_keeps_old_rules(start_bridge, reload):
    bridge = start_bridge('--web.enable-lifecycle', mapping=BEFORE)
    bridge.mapping.unlink()
    reload(bridge)
    await_equal(lambda: reloads(bridge, 'failure'), 1)
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'before{kind="x"}': 1})


def test_empty_file_takes_all_rules_away(start_bridge, reload):
    bridge = start_bridge('--web.enable-lifecycle', mapping=BEFORE)
    bridge.mapping.write_text('')
    reload(bridge)
    await_equal(lambda: reloads(bridge, 'success'), 1)
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'a_x': 1})
    assert bridge.scrape().own('loaded_mappings') == 0


def test_without_file(start_bridge, reload):
    bridge = start_bridge('--web.enable-lifecycle')
    reload(bridge)
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'a_x': 1})


def test_good_after_bad(start_bridge, reload):
    bridge = start_bridge('--web.enable-lifecycle', mapping=BEFORE)
    bridge.mapping.write_text('nonsense')
    reload(bridge)
    await_equal(lambda: reloads(bridge, 'failure'), 1)
    bridge.mapping.write_text(AFTER)
    reload(bridge)
    await_equal(lambda: reloads(bridge, 'success'), 1)
    bridge.send_udp('a.x:1|c')
    bridge.await_users({'after{kind="x"}': 1})


def test_ttl_reaches_live_series_at_their_next_sample(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping=BEFORE)
    bridge.send_udp('a.touched:1|c\na.untouched:1|c')
    bridge.await_lines(2)

    bridge.mapping.write_text(BEFORE.replace('name: before', 'name: before, ttl: 1s'))
    by_post(bridge)
    bridge.send_udp('a.touched:1|c')
    bridge.await_lines(3)
    bridge.await_users({'before{kind="untouched"}': 1})

    # It comes back from zero, and its name is free for another type once the last series has gone.
    bridge.send_udp('a.touched:5|c\na.untouched:1|c')
    bridge.await_lines(5)
    await_condition(lambda: not bridge.scrape().users(), 'both to expire')
    bridge.send_udp('before:3|g')
    bridge.await_users({'before': 3})


def test_ttl_taken_away(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping='defaults: {ttl: 2s}\n')
    bridge.send_udp('kept:1|g\nexpired:1|g')
    bridge.await_lines(2)
    bridge.mapping.write_text('')
    by_post(bridge)
    bridge.send_udp('kept:2|g')
    bridge.await_users({'kept': 2})
    bridge.scrape().assert_books()


def test_help_and_buckets(start_bridge):
    """Help follows a reload; the buckets of a series that lives stay as they are."""
    rule = 'mappings: [{match: t, name: t, help: "%s", observer_type: histogram, histogram_options: {buckets: [%s]}}]\n'
    bridge = start_bridge('--web.enable-lifecycle', mapping=rule % ('old help', '1, 2'))
    bridge.send_udp('t:1|h')
    bridge.await_lines(1)
    bridge.mapping.write_text(rule % ('new help', '5'))
    by_post(bridge)
    bridge.send_udp('t:1|h\nt:1|h|#fresh:yes')
    scrape = bridge.await_lines(3)
    assert scrape.helps['t'] == 'new help'
    assert scrape.series['t_bucket{le="2"}'] == 2
    assert scrape.series['t_bucket{fresh="yes",le="5"}'] == 1
