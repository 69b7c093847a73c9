"""Sends the metrics of AppProxy, and registers what Prometheus is to scrape: mappings/appproxy/README.md.

    cd tests/agents && python3 -m appproxy --form=tags --address=127.0.0.1:9125 --registry=http://127.0.0.1:9102

The bridge must be started with --web.enable-target-api. What is registered goes when it was not renewed for --ttl.
"""
import contextlib
import http.client
import http.server
import json
import pathlib
import socket
import threading
import urllib.parse
from typing import NamedTuple

import command
from metrics import connect

TIMEOUT = 5  # seconds


class Route(NamedTuple):
    """A container behind a Circuit. `address` is where it serves its metrics."""
    session_id: str
    address: str
    is_healthy: bool = True


class Circuit(NamedTuple):
    id: str
    worker_authority: str
    routes: tuple

    @property
    def service(self):
        """What Traefik calls it, but for the provider behind an @, which a DogStatsD tag cannot have."""
        return 'bai_service_' + self.id

    def labels(self, route):
        return {'circuit_id': self.id, 'session_id': route.session_id, 'worker_authority': self.worker_authority}


class Registry:
    """The bridge's registry of scrape targets, for one component. `kept` is what it has registered."""

    def __init__(self, url, component, updates, ttl='60s', token_file=None):
        self.url, self.component, self.updates = urllib.parse.urlsplit(url), component, updates
        self.ttl, self.token_file = ttl, token_file
        self.kept = {}

    def register(self, group, targets, operation='register'):
        """Puts `targets` in the place of what the group had, in one step. Each is (address, labels)."""
        self.kept[group] = targets
        document = [{'targets': [address], 'labels': labels} for address, labels in targets]
        query = urllib.parse.urlencode({'ttl': self.ttl, 'owner': self.component})
        return self.ask(operation, 'PUT', '%s?%s' % (group, query), json.dumps(document))

    def deregister(self, group):
        self.kept.pop(group, None)
        return self.ask('deregister', 'DELETE', group)

    def renew(self):
        """Again and again, well within the time to live. What nobody renews goes by itself."""
        for group, targets in list(self.kept.items()):
            self.register(group, targets, 'renew')

    def ask(self, operation, method, path, body=None):
        """-> whether the bridge did it. A bridge that is away must not stop traffic: renew() makes up for it."""
        connect_to = {'http': http.client.HTTPConnection, 'https': http.client.HTTPSConnection}[self.url.scheme]
        connection = connect_to(self.url.netloc, timeout=TIMEOUT)
        try:
            connection.request(method, '/api/v1/targets/' + path, body, self.headers())
            done = connection.getresponse().status in (200, 201, 204)
        except (OSError, http.client.HTTPException):
            done = False
        finally:
            connection.close()
        self.updates.add(component=self.component, operation=operation, result='success' if done else 'failure')
        return done

    def headers(self):
        """The token is read anew each time, so it may be exchanged."""
        if not self.token_file:
            return {}
        return {'Authorization': 'Bearer ' + pathlib.Path(self.token_file).read_text().split()[0]}


class AppProxy:
    """The catalogue."""

    def __init__(self, metrics):
        self.info = metrics.gauge('appproxy_circuit_info', 'circuit_id', 'worker_authority', 'service')
        self.active = metrics.gauge('appproxy_circuits_active', 'worker_authority')
        self.changes = metrics.counter('appproxy_circuit_changes_total', 'worker_authority', 'change')
        route = ('circuit_id', 'session_id', 'worker_authority')
        self.healthy = metrics.gauge('appproxy_route_healthy', *route)
        self.requests = metrics.counter('appproxy_route_requests_total', *route, 'code')
        self.duration = metrics.observer('appproxy_route_request_duration_seconds', *route)
        self.updates = metrics.counter('appproxy_target_updates_total', 'component', 'operation', 'result')


class Coordinator:
    """Knows the Circuits, and sees to it that their containers are scraped while they live."""

    def __init__(self, proxy, registry, address):
        self.proxy, self.registry, self.address = proxy, registry, address
        self.circuits = {}

    def start(self):
        self.registry.register('coordinator', [(self.address, {'component': 'coordinator'})])

    def create(self, circuit):
        self.proxy.active.up(worker_authority=circuit.worker_authority)
        self.tell(circuit, 'created', 'register')

    def update(self, circuit):
        """Its routes are others now, or others are healthy."""
        self.tell(circuit, 'updated', 'replace')

    def tell(self, circuit, change, operation):
        self.circuits[circuit.id] = circuit
        self.proxy.changes.add(worker_authority=circuit.worker_authority, change=change)
        targets = [(route.address, circuit.labels(route)) for route in circuit.routes if route.is_healthy]
        self.registry.register(self.group_of(circuit), targets, operation)
        self.report()

    def delete(self, circuit):
        del self.circuits[circuit.id]
        self.proxy.active.down(worker_authority=circuit.worker_authority)
        self.proxy.changes.add(worker_authority=circuit.worker_authority, change='deleted')
        self.registry.deregister(self.group_of(circuit))

    def report(self):
        """Again and again: the pack forgets a Circuit of which nothing is heard."""
        for circuit in self.circuits.values():
            self.proxy.info.set(1, circuit_id=circuit.id, worker_authority=circuit.worker_authority,
                                service=circuit.service)
            for route in circuit.routes:
                self.proxy.healthy.set(int(route.is_healthy), **circuit.labels(route))

    @staticmethod
    def group_of(circuit):
        return 'circuit.' + circuit.id


class Worker:
    """Has a Traefik beside it, which leads requests to the containers."""

    def __init__(self, proxy, registry, authority, address, traefik=None):
        """`traefik` is where Traefik serves its metrics, or None when it is off."""
        self.proxy, self.registry, self.authority = proxy, registry, authority
        self.address, self.traefik = address, traefik

    def start(self):
        self.register('worker', self.address)
        if self.traefik:
            self.register('traefik', self.traefik)

    def register(self, component, address):
        labels = {'component': component, 'worker_authority': self.authority}
        self.registry.register('%s.%s' % (component, self.authority), [(address, labels)])

    def lead(self, circuit, route, code, seconds):
        self.proxy.requests.add(code=code, **circuit.labels(route))
        self.proxy.duration.observe(seconds, **circuit.labels(route))


class Traefik:
    """What the Traefik beside a Worker sends by itself, with its section metrics.datadog; here, of its metrics a few.

    It knows services, not Circuits, and its lines are those of its own client whatever form this program sends.
    """

    def __init__(self, address):
        host, _, port = address.rpartition(':')
        self.address, self.socket = (host.strip('[]'), int(port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def lead(self, circuit, route, code, seconds):
        """A request; one that the container could not answer is tried again."""
        service = {'service': circuit.service + '@etcd'}
        request = {'code': code, 'method': 'GET', 'protocol': 'http'}
        self.send('service.request.total', 1, 'c', **request, **service)
        self.send('service.retries.total', int(code >= '500'), 'c', **service)
        self.send('service.server.up', 1, 'g', **service, url='http://' + route.address)
        self.send('entrypoint.request.total', 1, 'c', **request, entrypoint='web')
        self.send('entrypoint.request.duration', seconds, 'h', **request, entrypoint='web')
        self.send('open.connections', 1, 'g', entrypoint='web', protocol='http')

    def send(self, name, value, kind, **tags):
        line = 'traefik.%s:%f|%s|#%s' % (name, value, kind, ','.join('%s:%s' % tag for tag in tags.items()))
        # Its traffic does not suffer from a bridge that is away.
        with contextlib.suppress(OSError):
            self.socket.sendto(line.encode(), self.address)


class Example:
    """A Coordinator and a Worker with a Circuit that stays and one that comes and goes."""

    def __init__(self, metrics, arguments):
        def at(address):
            return arguments.serve or address

        self.proxy = AppProxy(metrics)
        registries = [Registry(arguments.registry, component, self.proxy.updates, arguments.ttl, arguments.token_file)
                      for component in ('coordinator', 'worker')]
        self.coordinator = Coordinator(self.proxy, registries[0], at('10.0.0.1:10200'))
        self.worker = Worker(self.proxy, registries[1], 'worker-1', at('10.0.0.2:10201'),
                             traefik=at('10.0.0.2:8082'))
        self.chat = Circuit('5f0c2a', 'worker-1', (Route('a81b', at('10.0.0.7:8001')),
                                                   Route('b92d', at('10.0.0.8:8001'), is_healthy=False)))
        self.traefik = arguments.traefik and Traefik(arguments.traefik)
        self.nightly = Circuit('77aa01', 'worker-1', (Route('c03e', at('10.0.0.9:8001')),))
        self.has_started = False

    def work(self):
        if self.has_started:
            self.coordinator.registry.renew()
            self.worker.registry.renew()
            self.coordinator.report()
        else:
            self.coordinator.start()
            self.worker.start()
            self.coordinator.create(self.chat)
        self.has_started = True
        self.coordinator.update(self.chat._replace(routes=tuple(
            route._replace(is_healthy=True) for route in self.chat.routes)))
        self.coordinator.create(self.nightly)
        for code, seconds in ('200', 0.04), ('200', 0.3), ('502', 7):
            self.worker.lead(self.chat, self.chat.routes[0], code, seconds)
            if self.traefik:
                self.traefik.lead(self.chat, self.chat.routes[0], code, seconds)
        self.coordinator.delete(self.nightly)


class Page(http.server.BaseHTTPRequestHandler):
    """Stands for all that is scraped."""

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(b'appproxy_example_requests_total 1\n')

    def log_message(self, *_):
        pass


def serve(address):
    server = http.server.ThreadingHTTPServer(('', int(address.rpartition(':')[2])), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == '__main__':
    arguments = command.parse(__doc__, registry=('http://127.0.0.1:9102', "the bridge's address for HTTP"),
                              ttl=('60s', 'how long what is registered stays without being renewed'),
                              token_file=(None, 'file with the bearer token for the registry'),
                              traefik=(None, 'host:port to which a Traefik sends as well (UDP)'),
                              serve=(None, 'host:port to serve a page of metrics at, and to register for everything'))
    if arguments.serve:
        serve(arguments.serve)
    metrics = connect(arguments.form, arguments.address)
    command.run(Example(metrics, arguments).work, arguments, metrics)
