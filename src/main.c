/*
 * statsbridge takes statsd and DogStatsD lines and lets Prometheus scrape them.
 *
 *	agents --UDP TCP unix--> net -> statsd -> mapping -> metrics <- exposition <- http <-- Prometheus
 *				 bytes  events    series     state      text
 *
 * The tree, in the order data takes. A folder includes only what the Makefile's USES_* lists allow.
 *
 *	base/		tools without a domain: spans, buffers, numbers, clocks, hashes, logs
 *	yaml/		YAML texts as trees whose nodes know their line and column
 *	model/		the words all stages share: kinds, labels, names, observer options
 *	net/		listeners and the relay: bytes in, payloads of whole lines out
 *	statsd/		the protocol: what a line says; pure
 *	mapping/	mapping files, globs, regexes, templates: which rule, which name, which labels
 *	metrics/	families, series and their values in per-thread shards; expiry; the reader
 *	exposition/	the text that Prometheus reads, negotiation, gzip
 *	push/		remote write: the same families and series, sent to a receiver
 *	targets/	what Prometheus is to scrape besides: documents, groups, the state file
 *	tls/		certificates and what connections do with them
 *	http/		the HTTP server
 *	app/		joins the stages:
 *	  options	  the command line
 *	  bridge	  what all threads share
 *	  ingest	  push: payload -> batch of lines -> known spellings -> series
 *	  sample	  push, the long way: a line that is not plain
 *	  resolve	  push, the slow path: what a new spelling means
 *	  apply		  what a value does to its series
 *	  shape, account  what is counted for it
 *	  unmapped	  the names that no rule matched
 *	  worker	  an ingest thread and its sockets
 *	  listeners	  opens the sockets
 *	  inherited, notify  systemd: sockets that it hands over, and what it wants to hear
 *	  web_config, secure_file  TLS, users and headers, read again when their files change
 *	  daemon, routes  the control thread: HTTP, signals, reload, expiry
 *	  scrape	  pull: a client takes a rendering
 *	  rendering	  reader -> writer -> gzip, for all scrapes that come together
 *	  target_api, target_store, token  what clients register, its file, and who may
 *	  remote_write	  reader -> messages -> the thread that sends them
 *	  telemetry	  the bridge's own metrics
 */
#include "app/daemon.h"
#include "app/options.h"
#include "base/alloc.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
	struct options options;
	struct buf out = BUF_INIT;
	int code = 1;
	switch (options_parse(argc, argv, &options, &out)) {
	case OPTIONS_EXIT:
		code = fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : 1;
		break;
	case OPTIONS_FAIL:
		fwrite(out.ptr, 1, out.len, stderr);
		break;
	case OPTIONS_RUN:
		alloc_init();
		log_init(options.log_level, options.log_format);
		code = daemon_run(&options);
		break;
	}
	options_fini(&options);
	buf_fini(&out);
	return code;
}
