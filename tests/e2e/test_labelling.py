"""Labels of all metrics, tags that are kept, dropped and renamed, and limits of label values."""
import pytest

from bridge import PREFIX, await_condition, await_equal, run_to_end, series_name

MAPPING = '''
labels: {env: prod}
tags:
  drop: [pod]
  rename: {dc: region}
max_values: {user: 3}
defaults: {observer_type: histogram, histogram_options: {buckets: [0.1, 1]}}
mappings:
- {match: "shop.*.requests", name: shop_requests_total, labels: {part: $1}}
- {match: "shop.*.time", name: shop_seconds, labels: {part: $1}}
'''


def limited(scrape, suffix, path, label):
    return scrape.series.get(series_name(PREFIX + suffix, {'file': str(path), 'label': label}), 0)


def by_user(scrape, name):
    """What a family's series show, by their label user."""
    return {series.split('user="')[1].split('"')[0]: value for series, value in scrape.users().items()
            if series.startswith(name + '{')}


def test_labels_and_tags(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    for pod in range(20):
        bridge.send_udp('shop.cart.requests:1|c|#pod:p%d,dc:ams\nplain:1|c|#pod:p%d' % (pod, pod))
    bridge.await_users({
        'shop_requests_total{env="prod",part="cart",region="ams"}': 20,
        'plain{env="prod"}': 20,
    })
    bridge.scrape().assert_books()


def test_limit_keeps_sums_and_histograms_whole(start_bridge):
    bridge = start_bridge(mapping=MAPPING)
    with bridge.connect_tcp() as out:
        for i in range(3000):
            out.sendall(b'shop.a.requests:2|c|#user:u%d\nshop.a.time:%d|ms|#user:u%d\n'
                        % (i % 100, 50 if i % 2 else 500, i % 100))
    scrape = bridge.await_lines(6000)
    counts = by_user(scrape, 'shop_requests_total')
    assert counts == {'u0': 60, 'u1': 60, 'u2': 60, 'other': 97 * 60}
    series = scrape.users()
    labels = 'env="prod",%spart="a",user="other"'
    assert series['shop_seconds_bucket{%s}' % labels % 'le="0.1",'] == 49 * 30
    assert series['shop_seconds_bucket{%s}' % labels % 'le="1",'] == 97 * 30
    assert series['shop_seconds_count{%s}' % labels % ''] == 97 * 30
    assert limited(scrape, 'label_values', bridge.mapping, 'user') == 3
    assert limited(scrape, 'label_values_replaced_total', bridge.mapping, 'user') == 2 * 97 * 30


def test_limit_is_one_for_all_threads(start_bridge):
    """Many sockets, so that many threads: each of them meets all values."""
    bridge = start_bridge('--threads=4', mapping='max_values: {user: 10}\n')
    for _ in range(40):
        bridge.send_udp('\n'.join('c:1|c|#user:u%d' % i for i in range(50)))
    scrape = bridge.await_lines(2000)
    counts = by_user(scrape, 'c')
    assert len(counts) == 11
    assert sum(counts.values()) == 2000
    assert counts['other'] == 1600
    assert limited(scrape, 'label_values', bridge.mapping, 'user') == 10


def test_place_is_free_again_after_expiry(start_bridge):
    bridge = start_bridge(mapping='defaults: {ttl: 1s}\nmax_values: {user: 1}\n')
    bridge.send_udp('c:1|c|#user:ann\nc:1|c|#user:bob')
    bridge.await_users({'c{user="ann"}': 1, 'c{user="other"}': 1})
    await_condition(lambda: not bridge.scrape().users(), 'both to expire')
    bridge.send_udp('c:1|c|#user:bob')
    bridge.await_users({'c{user="bob"}': 1})


def test_reload_changes_labels_tags_and_limits(start_bridge):
    bridge = start_bridge('--web.enable-lifecycle', mapping='max_values: {user: 1}\n')
    bridge.send_udp('c:1|c|#user:ann\nc:1|c|#user:bob')
    bridge.await_users({'c{user="ann"}': 1, 'c{user="other"}': 1})

    bridge.mapping.write_text('max_values: {user: 2}\nlabels: {v: "2"}\n')
    assert bridge.request('POST', '/-/reload').status == 200
    bridge.send_udp('c:1|c|#user:bob\nc:1|c|#user:ann\nc:1|c|#user:cid')
    bridge.await_users({'c{user="ann"}': 1, 'c{user="other"}': 1, 'c{user="ann",v="2"}': 1, 'c{user="bob",v="2"}': 1,
                        'c{user="other",v="2"}': 1})

    bridge.mapping.write_text('tags: {keep: []}\n')
    assert bridge.request('POST', '/-/reload').status == 200
    bridge.send_udp('d:1|c|#user:bob\nd:1|c|#user:ann')
    await_equal(lambda: {name: value for name, value in bridge.scrape().users().items() if name[0] == 'd'}, {'d': 2})
    bridge.scrape().assert_books()


@pytest.mark.parametrize('text, where', [
    ('labels: {le: x}\n', ':1:10: labels.le: histograms keep'),
    ('tags:\n  keep: [a]\n  drop: [b]\n', ':3:3: tags.drop: keep drops all other tags already'),
    ('tags: {rename: {a: b-c}}\n', ':1:20: tags.rename.a: a label name is'),
    ('max_values: {user: 0}\n', ':1:20: max_values.user: expected a whole number from 1 to 100000, got "0"'),
    ('max_valeus: {user: 1}\n', ':1:1: max_valeus: unknown key; did you mean "max_values"?'),
])
def test_nonsense_is_refused_with_its_place(tmp_path, text, where):
    path = tmp_path / 'mapping.yml'
    path.write_text(text)
    done = run_to_end('--check-config', '--statsd.mapping-config=%s' % path)
    assert done.returncode == 1
    assert str(path) + where.replace('"', '\\"') in done.stderr
