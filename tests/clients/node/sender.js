// Sends one fixed set of metrics with hot-shots, for tests/e2e/test_clients.py.
//
//     node sender.js TRANSPORT ADDRESS MODE
//
// TRANSPORT  udp, tcp, unixgram or unixstream
// ADDRESS    host:port, or the path of a socket
// MODE       plain, buffered, aggregated or origin
//
// What is sent is spelled out beside what must come of it, in test_clients.py.
'use strict';

const net = require('net');
const StatsD = require('hot-shots');

const [transport, address, mode] = process.argv.slice(2);

// Every sampled call is sent, so that results can be stated exactly.
Math.random = () => 0;

function fail(error) {
	console.error(error);
	process.exit(1);
}

function transportOptions(stream) {
	if (transport === 'unixgram')
		return { protocol: 'uds', path: address };
	if (transport === 'unixstream')
		return { protocol: 'stream', stream };
	const colon = address.lastIndexOf(':');
	return {
		protocol: transport,
		host: address.slice(0, colon).replace(/[[\]]/g, ''),
		port: Number(address.slice(colon + 1)),
	};
}

function send(stream) {
	const client = new StatsD({
		...transportOptions(stream),
		prefix: 'js',
		globalTags: { env: 'test' },
		maxBufferSize: mode === 'buffered' ? 1400 : 0,
		aggregation: mode === 'aggregated',
		datadog: mode === 'origin',
		containerID: mode === 'origin' ? 'ci-4f2a' : undefined,
		cardinality: mode === 'origin' ? 'low' : undefined,
		includeDatadogTelemetry: false,
		errorHandler: fail,
	});

	for (let i = 0; i < 3; i++)
		client.increment('requests', { route: '/home' });
	client.increment('requests', 5, { route: '/cart' });
	client.increment('bytes', 2 ** 40);
	client.decrement('refunds', 2);
	client.gauge('temperature', 21.5, { room: 'lab' });
	client.gauge('temperature', 22.25, { room: 'lab' });
	client.gauge('depth', 10);
	client.gaugeDelta('depth', 5);
	client.gaugeDelta('depth', -3);
	client.gauge('queue', 12, { timestamp: 1700000000 });
	client.timing('query', 320);
	client.timing('query', 80);
	client.histogram('payload', 512.5);
	client.distribution('latency', 0.25, { zone: 'a' });
	for (let i = 0; i < 4; i++)
		client.increment('sampled', 1, 0.5);
	client.histogram('sampled_payload', 2, 0.25);
	client.set('users', 1001);
	client.event('Deploy', 'first line\nsecond line', { alert_type: 'info' }, ['team:core']);
	client.check('db.up', client.CHECKS.OK, { message: 'all well' }, ['db:main']);
	client.close((error) => {
		if (error)
			fail(error);
		if (stream)
			stream.end();
	});
}

if (transport === 'unixstream') {
	const stream = net.connect(address, () => send(stream));
	stream.on('error', fail);
} else {
	send();
}
