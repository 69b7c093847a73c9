"""Metrics of a Python program that sends them to statsbridge. Made to be copied.

    metrics = connect('tags', '127.0.0.1:9125')   # DogStatsD tags, with the package datadog
    metrics = connect('plain', '127.0.0.1:9125')  # values in the name, with the package statsd
    metrics = Nowhere()                           # metrics are switched off; needs neither package

    requests = metrics.counter('a2a_requests_total', 'agent', 'operation', 'status')
    requests.add(agent='navi', operation='query', status='success')

The labels of a metric stand in the order of its pack's catalogue: the plain form sends their values in this order.
"""
import contextlib
import re
import threading


class Metric:
    """A metric with its labels. The subclasses say what can be done with it."""

    def __init__(self, sender, name, labels):
        self.sender, self.name, self.labels = sender, name, labels

    def pairs(self, given):
        """-> [(label, value)] in the order of the catalogue"""
        if set(given) != set(self.labels):
            raise TypeError('%s has the labels (%s), not (%s)' % (self.name, ', '.join(self.labels), ', '.join(given)))
        return [(label, str(given[label])) for label in self.labels]


class Counter(Metric):
    def add(self, amount=1, **labels):
        self.sender.count(self.name, self.pairs(labels), amount)


class Gauge(Metric):
    def set(self, value, **labels):
        self.sender.set(self.name, self.pairs(labels), value)

    def up(self, **labels):
        self.sender.move(self.name, self.pairs(labels), 1)

    def down(self, **labels):
        self.sender.move(self.name, self.pairs(labels), -1)


class Observer(Metric):
    """A histogram or a summary: the pack says which."""

    def observe(self, value, **labels):
        """Takes the value as Prometheus shall see it: seconds, bytes."""
        self.sender.observe(self.name, self.pairs(labels), value)

    def timed(self, **labels):
        """Times what stands inside of `with`, or the function below the decorator."""
        return self.sender.timed(self.name, self.pairs(labels))


class Sender:
    """What the senders share."""

    def counter(self, name, *labels):
        return Counter(self, name, labels)

    def gauge(self, name, *labels):
        return Gauge(self, name, labels)

    def observer(self, name, *labels):
        return Observer(self, name, labels)


class Tags(Sender):
    """name:value|type|#label:value,..."""

    def __init__(self, host, port):
        from datadog.dogstatsd import DogStatsd

        # Telemetry is metrics about the client; origin detection adds a label for the container.
        self.client = DogStatsd(host=host, port=port, disable_telemetry=True, origin_detection_enabled=False)
        self.levels, self.lock = {}, threading.Lock()

    @staticmethod
    def tags(pairs):
        return ['%s:%s' % pair for pair in pairs]

    def count(self, name, pairs, amount):
        self.client.increment(name, amount, tags=self.tags(pairs))

    def set(self, name, pairs, value):
        with self.lock:
            self.levels[(name, *pairs)] = value
            self.client.gauge(name, value, tags=self.tags(pairs))

    def move(self, name, pairs, by):
        """This client's gauges are values, not changes, so it is here that they are added up."""
        with self.lock:
            level = self.levels[(name, *pairs)] = self.levels.get((name, *pairs), 0) + by
            self.client.gauge(name, level, tags=self.tags(pairs))

    def observe(self, name, pairs, value):
        self.client.distribution(name, value, tags=self.tags(pairs))

    def timed(self, name, pairs):
        """Without use_ms this client would send seconds as if they were milliseconds."""
        return self.client.timed(name, tags=self.tags(pairs), use_ms=True)

    def close(self):
        self.client.flush()
        self.client.stop()
        self.client.close_socket()


class Plain(Sender):
    """name.value...:value|type"""

    UNFIT = re.compile(r'[^\w/@+-]')

    def __init__(self, host, port):
        from statsd import StatsClient

        self.client = StatsClient(host, port)

    @classmethod
    def path(cls, name, pairs):
        """What a name cannot carry becomes an underscore."""
        return '.'.join([name, *(cls.UNFIT.sub('_', value) for _, value in pairs)])

    def count(self, name, pairs, amount):
        self.client.incr(self.path(name, pairs), amount)

    def set(self, name, pairs, value):
        self.client.gauge(self.path(name, pairs), value)

    def move(self, name, pairs, by):
        self.client.gauge(self.path(name, pairs), by, delta=True)

    def observe(self, name, pairs, value):
        """This client has only timers; the bridge divides those by 1000."""
        self.client.timing(self.path(name, pairs), value * 1000)

    def timed(self, name, pairs):
        return self.client.timer(self.path(name, pairs))

    def close(self):
        self.client.close()


class Nowhere(Sender):
    """For metrics that are switched off: everything can be called, and nothing happens."""

    class Idle(contextlib.ContextDecorator, contextlib.nullcontext):
        pass

    def count(self, name, pairs, amount):
        pass

    set = move = observe = count

    def timed(self, name, pairs):
        return self.Idle()

    def close(self):
        pass


def connect(form, address):
    """Takes 'tags' or 'plain', and host:port."""
    host, _, port = address.rpartition(':')
    return {'tags': Tags, 'plain': Plain}[form](host.strip('[]'), int(port))
