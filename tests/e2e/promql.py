"""A real Prometheus server with storage of its own, and questions to it."""
import json
import shutil
import subprocess
import urllib.parse
import urllib.request

from bridge import PATIENCE, await_condition, free_port

CONFIG = '''global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: bridge
  static_configs: [{targets: ['127.0.0.1:%d']}]
'''
# For answers that take a while with sanitizers on a busy machine.
PATIENT_CONFIG = CONFIG.replace('1s', '10s')


class PromApi:
    """Questions to the Prometheus on a port of this machine."""

    def __init__(self, port):
        self.port = port

    def is_ready(self):
        try:
            with urllib.request.urlopen('http://127.0.0.1:%d/-/ready' % self.port, timeout=PATIENCE) as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path, **query):
        url = 'http://127.0.0.1:%d/api/v1/%s?%s' % (self.port, path, urllib.parse.urlencode(query))
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)['data']

    def query(self, expression, **when):
        """-> {labels as sorted tuple of pairs, without instance, job and name: value}"""
        out = {}
        for row in self.get('query', query=expression, **when)['result']:
            labels = {k: v for k, v in row['metric'].items() if k not in ('instance', 'job', '__name__')}
            out[tuple(sorted(labels.items()))] = float(row['value'][1])
        return out


class Prometheus(PromApi):
    def __init__(self, directory, target_port, config=CONFIG, flags=(), port=None):
        """`config` has a %d wherever the port of what is scraped belongs. `port` is that of a server whose place it takes."""
        super().__init__(port or free_port())
        self._log = directory / 'prometheus.log'
        path = directory / 'prometheus.yml'
        path.write_text(config.replace('%d', str(target_port)))
        binary = shutil.which('prometheus')
        assert binary, 'prometheus is not installed'
        with open(self._log, 'ab') as log:
            self.process = subprocess.Popen(
                [binary, '--config.file=%s' % path, '--storage.tsdb.path=%s' % (directory / 'tsdb'),
                 '--web.listen-address=127.0.0.1:%d' % self.port, *flags], stdout=log, stderr=log)
        try:
            await_condition(self._has_started, 'Prometheus to be ready')
        except AssertionError:
            self.stop()
            raise

    def _has_started(self):
        assert self.process.poll() is None, self._log.read_text()
        return self.is_ready()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
