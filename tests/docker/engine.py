"""A Docker engine of its own, with its data in a folder of its own, and base images made on the spot.

The engine makes no bridge and no firewall rule of its own, so nothing is left of it when it has stopped.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import yaml

from bridge import PATIENCE, ROOT, await_condition

DOCKER = ROOT / 'docker'
COMPOSE = DOCKER / 'compose.yml'
BASE = 'debian:bookworm-slim'

# Seconds that one step of a build may take on a busy machine.
BUILD_PATIENCE = 900

# Debian's tools, whatever others there are.
PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


# What `make docker-test` says of the image.
ABOUT = {name: os.environ.get(name, '') for name in ('REVISION', 'CREATED')}

# Bytes that the engine's data fits in: twice what it needs.
DATA_SIZE = 4 << 30


def services():
    return yaml.safe_load(COMPOSE.read_text())['services']


def builds(services):
    """-> {image: the `build` section that makes it}"""
    return {service['image']: service['build'] for service in services.values() if 'build' in service}


def base_images():
    """The images that the repository does not make: those the Dockerfiles and the compose file start from."""
    stages, found = set(), set()
    made = builds(services())
    for file in {DOCKER / build['context'] / build['dockerfile'] for build in made.values()}:
        for image, stage in re.findall(r'^FROM (\S+)(?: AS (\S+))?$', file.read_text(), re.MULTILINE):
            found.add(image)
            stages.add(stage)
    return found - stages | {service['image'] for service in services().values()} - made.keys()


def run(argv, timeout=BUILD_PATIENCE, **how):
    """-> what it said to stdout; fails with all that it said."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **how)
    assert done.returncode == 0, '%s ended with %d:\n%s%s' % (
        ' '.join(map(str, argv)), done.returncode, done.stdout.decode(errors='replace'), done.stderr.decode(errors='replace'))
    return done.stdout.decode()


def memory_available():
    """In bytes."""
    return int(re.search(r'^MemAvailable:\s+(\d+) kB$', pathlib.Path('/proc/meminfo').read_text(), re.MULTILINE)[1]) << 10


class Engine:
    def __init__(self, path=PATH):
        assert os.geteuid() == 0, 'the Docker engine needs root: run this as root or with sudo'
        # Its sockets live here, and a socket's path has at most 107 bytes.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='statsbridge-docker-'))
        if memory_available() >= 2 * DATA_SIZE:
            # Nothing of it is to last, and from a disk it would take minutes to remove.
            run(['mount', '-t', 'tmpfs', '-o', 'size=%d,mode=700' % DATA_SIZE, 'statsbridge-docker', self.directory])
        self.socket = self.directory / 'socket'
        self._log = self.directory / 'log'
        # No settings of whoever runs this.
        self.environment = {'PATH': path, 'DOCKER_HOST': 'unix://%s' % self.socket,
                            'DOCKER_CONFIG': str(self.directory / 'config'), 'DOCKER_BUILDKIT': '0',
                            'COMPOSE_DOCKER_CLI_BUILD': '0', 'HOME': str(self.directory)}
        with open(self._log, 'wb') as log:
            # It ends with the test, however that ends.
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'TERM', 'dockerd', '--data-root=%s' % (self.directory / 'data'),
                 '--exec-root=%s' % (self.directory / 'exec'), '--pidfile=%s' % (self.directory / 'pid'),
                 '--host=unix://%s' % self.socket, '--bridge=none', '--iptables=false', '--ip-forward=false'],
                env=self.environment, stdout=log, stderr=log, start_new_session=True)
        try:
            await_condition(self._is_ready, 'the Docker engine to be ready', 2 * PATIENCE)
        except BaseException:
            self.stop()
            raise

    def _is_ready(self):
        assert self.process.poll() is None, 'the Docker engine cannot start:\n' + self._log.read_text()
        return subprocess.run(['docker', 'version'], env=self.environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0

    def stop(self):
        """Ends every container and the engine, and removes all of its data."""
        if self.process.poll() is None:
            containers = self.docker('ps', '-aq').split()
            if containers:
                self.docker('rm', '-f', '-v', *containers)
            self.docker('network', 'prune', '-f')
            self.process.terminate()
            try:
                self.process.wait(2 * PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for mount in reversed(self._mounts()):
            subprocess.run(['umount', '-l', mount], check=True)
        shutil.rmtree(self.directory)

    def _mounts(self):
        mounts = [line.split()[1] for line in pathlib.Path('/proc/self/mounts').read_text().splitlines()]
        return [mount for mount in mounts if self.directory in (pathlib.Path(mount), *pathlib.Path(mount).parents)]

    def docker(self, *arguments, **how):
        return run(['docker', *arguments], env=self.environment, **how)

    def compose(self, *arguments, **settings):
        """docker-compose on the repository's file; `settings` are the variables that the file knows."""
        return run(['docker-compose', '--file', COMPOSE, *arguments],
                   env={**self.environment, **{name: str(value) for name, value in settings.items()}})

    def services(self):
        """Those of the compose file as docker-compose reads it."""
        return yaml.safe_load(self.compose('config', **ABOUT))['services']

    def build(self, image, build):
        """Builds an image as a `build` section of the compose file says."""
        context = DOCKER / build['context']
        arguments = ['--build-arg=%s=%s' % each for each in build.get('args', {}).items()]
        self.docker('build', '--network=host', '--tag', image, '--file', context / build['dockerfile'], *arguments, context)


def mirror():
    """Where this machine gets Debian's packages from."""
    targets = subprocess.check_output(
        ['apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages', 'Label: Debian'], text=True)
    assert targets, 'apt knows no source of Debian packages'
    return targets.split()[0]


def make_base(engine):
    """Debian as the base image has it, and the certificates that this machine trusts."""
    root = engine.directory / 'root'
    release = BASE.split(':')[1].removesuffix('-slim')
    run(['debootstrap', '--variant=minbase', release, root, mirror()], env=engine.environment)
    certificates = pathlib.Path('/usr/local/share/ca-certificates')
    if certificates.is_dir():
        shutil.copytree(certificates, root / 'usr/local/share/ca-certificates', dirs_exist_ok=True)
    run(['chroot', root, 'apt-get', 'clean'], env=engine.environment)
    # Also as there: who builds an image does not wait for the disk.
    (root / 'etc/dpkg/dpkg.cfg.d/docker-apt-speedup').write_text('force-unsafe-io\n')
    archive = engine.directory / 'root.tar'
    run(['tar', '-C', root, '-cf', archive, '.'])
    engine.docker('import', '--change', 'CMD ["bash"]', archive, BASE)
    archive.unlink()
    shutil.rmtree(root)


PROMETHEUS_DOCKERFILE = '''FROM %s
COPY prometheus promtool /bin/
RUN mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
''' % BASE


def make_prometheus(engine, image):
    """Debian's Prometheus, laid out as in the official image."""
    context = engine.directory / 'prometheus'
    context.mkdir()
    for tool in ('prometheus', 'promtool'):
        shutil.copy(shutil.which(tool), context)
    (context / 'Dockerfile').write_text(PROMETHEUS_DOCKERFILE)
    engine.docker('build', '--tag', image, context)
    shutil.rmtree(context)
