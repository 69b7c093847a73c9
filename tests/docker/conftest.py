import concurrent.futures
import pathlib
import signal

import pytest

pytest.register_assert_rewrite('bridge', 'promql', 'engine')

from engine import BASE, Engine, base_images, builds, make_base, make_prometheus, services  # noqa: E402


def pytest_configure():
    """Being terminated ends the test like an interrupt, so that it cleans up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope='session')
def engine():
    engine = Engine()
    yield engine
    engine.stop()
    links = [path.name for path in pathlib.Path('/sys/class/net').iterdir()]
    assert not engine.directory.exists()
    assert not [link for link in links if link.startswith(('br-', 'veth'))], links


@pytest.fixture(scope='session')
def images(engine):
    """Makes the base images, and of them every image that the compose file builds."""
    official = base_images()
    prometheus = services()['prometheus']['image']
    assert official == {BASE, prometheus, services()['grafana']['image']}, 'a base image that the test cannot make'
    make_base(engine)
    make_prometheus(engine, prometheus)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for built in [pool.submit(engine.build, *each) for each in builds(engine.services()).items()]:
            built.result()
