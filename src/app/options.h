/*
 * app/options - the command line: one table, src/app/options.def, from which parsing, --help and the
 * README's flag list are made.
 *
 * Syntax is statsd_exporter's (the kingpin library): --flag=value or --flag value; booleans as --flag
 * and --no-flag; a flag given twice is an error unless it is a list; @file takes arguments from a
 * file; no abbreviations, no positional arguments.
 */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"

#include <stdint.h>

/* Values of a flag that may be repeated; none of them is empty. */
struct option_list {
	const char **items; /* owned array of texts that live as long as struct options */
	size_t count;
};

/* A flag that was given and has no effect. */
struct idle_flag {
	const char *name; /* without dashes; static, as the next ones */
	const char *const *needs; /* two, either of which would give it one; or one and NULL */
};

struct options {
	/* Listeners: an empty list where that kind is off, as "--statsd.listen-udp=" makes it. */
	struct option_list listen_udp, listen_tcp, listen_unixgram, listen_unixstream;
	int unixsocket_mode; /* permission bits; -1 = what the umask gives */
	int64_t read_buffer; /* bytes asked for; 0 = as much as is sensible */
	uint64_t max_connections;
	int64_t max_wake_up_delay_ns; /* 0 = datagrams never wait for others */
	const char *statsd_tls_config_file; /* path, "" = none */
	bool null_receiver;	      /* receive and discard */

	/* Lines. */
	bool parse_dogstatsd_tags, parse_influxdb_tags, parse_librato_tags, parse_signalfx_tags;
	bool container_id_label;
	bool signed_gauges_absolute;
	bool sets;

	/* Mapping. */
	struct option_list mapping_config;
	const char *dump_fsm; /* path, "" = none */
	bool check_config;

	/* State. */
	uint64_t threads; /* 0 = from the CPUs */
	const char *scanner; /* as scan_select() takes it */
	uint64_t max_series;
	uint64_t cache_size; /* 0 = the mapper cache metrics are absent, as statsd_exporter has it */

	/* Relay. */
	struct option_list relay_address;
	uint64_t relay_packet_length;

	/* Web. */
	struct option_list listen_web; /* never empty; see address_unix_path() */
	int web_unixsocket_mode;       /* as unixsocket_mode */
	bool web_systemd_socket;
	const char *web_config_file; /* path, "" = none */
	const char *web_telemetry_path;
	bool web_enable_lifecycle;
	bool web_process_metrics;
	bool web_openmetrics, web_openmetrics_created;
	const char *web_self_metrics_prefix; /* without the final '_' */

	/* Service discovery. */
	bool web_enable_target_api;
	const char *sd_token_file, *sd_state_file; /* paths, "" = none */

	/* Remote write. */
	const char *remote_url; /* "" = off */
	struct option_list remote_external_labels; /* "name=value" */
	int64_t remote_interval_ns, remote_timeout_ns;
	uint64_t remote_protocol; /* enum push_protocol_choice */
	uint64_t remote_queue_bytes;
	bool remote_native_histograms;
	struct option_list remote_headers; /* "Name: value" */
	const char *remote_username;	   /* "" = none */
	const char *remote_bearer_token_file, *remote_password_file; /* "" = none */
	const char *remote_ca_file, *remote_cert_file, *remote_key_file;

	/* Logging. */
	enum log_level log_level;
	enum log_format log_format;

	bool queue_flags_given; /* a flag of machinery that does not exist here: worth one log line */
	/* As given; unparsable ones warn and leave the umask's. */
	const char *unixsocket_mode_text, *web_unixsocket_mode_text;

	struct idle_flag *idle_flags; /* owned; each worth a warning */
	size_t idle_flag_count, idle_flag_capacity;

	char **texts; /* owned: arguments read from @files */
	size_t text_count, text_capacity;
};

enum options_outcome {
	OPTIONS_RUN,  /* go on with *options */
	OPTIONS_EXIT, /* --help or --version: `out` goes to stdout, exit 0 */
	OPTIONS_FAIL, /* `out` goes to stderr, exit 1: "<program>: error: <text>, try --help" */
};

/**
 * Reads the command line. The first failing or acting flag wins, from left to right.
 *
 * @argv  borrowed for the life of *options
 * @out   gets the text for OPTIONS_EXIT and OPTIONS_FAIL
 */
enum options_outcome options_parse(int argc, char **argv, struct options *options,
				   struct buf *out) MUST_CHECK;

/** Frees what options_parse() allocated; after any outcome, and more than once. */
void options_fini(struct options *options);

/** Appends the usage text, grouped by topic. @program the name to show */
void options_help(const char *program, struct buf *out);

#endif
