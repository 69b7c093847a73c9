import pytest

pytest.register_assert_rewrite('bridge', 'pack', 'promql', 'test_targets')

from bridge import Bridge  # noqa: E402  (only after its asserts can be rewritten)


@pytest.fixture
def start_bridge(tmp_path):
    """Starts bridges; at the end of the test each must stop on SIGTERM with exit 0 and nothing to report."""
    bridges = []

    def start(*flags, **settings):
        directory = tmp_path / str(len(bridges))
        directory.mkdir()
        bridge = Bridge(directory, flags, **settings)
        bridge.await_ready()
        bridges.append(bridge)
        return bridge

    yield start
    failures = []
    for bridge in bridges:
        try:
            bridge.stop()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, '\n'.join(failures)


@pytest.fixture
def bridge(start_bridge):
    """A bridge with default settings on loopback."""
    return start_bridge()
