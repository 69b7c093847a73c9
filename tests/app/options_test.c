#include "test.h"

#include "app/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGS_MAX 8
#define KIB64 (64 * 1024)

/* A directory for @files, and the working directory while the tests run. */
static char directory[] = "/tmp/options_test.XXXXXX";

struct run {
	enum options_outcome outcome;
	struct options options;
	struct buf out;
};

static struct run
run_as(const char *program, const char *const *arguments)
{
	char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t)program};
	int argc = 1;
	for (; argc <= ARGS_MAX && arguments[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
	struct run run = {.out = BUF_INIT};
	run.outcome = options_parse(argc, argv, &run.options, &run.out);
	return run;
}

static struct run
run(const char *const *arguments)
{
	return run_as("/usr/bin/statsbridge", arguments);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void
run_fini(struct run *run)
{
	options_fini(&run->options);
	buf_fini(&run->out);
}

static void
write_file(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void
write_lines(const char *name, const char *lines)
{
	write_file(name, lines, strlen(lines));
}

/* What must be refused, and how. */
struct refusal {
	const char *arguments[ARGS_MAX];
	const char *error;
};

static void
check_refusals(const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct run got = run(cases[i].arguments);
		char want[1024];
		snprintf(want, sizeof(want), "statsbridge: error: %s, try --help\n",
			 cases[i].error);
		if (got.outcome != OPTIONS_FAIL || strcmp(buf_text(&got.out), want) != 0)
			fail_msg("case %zu (%s): outcome %d\n got %s want %s", i,
				 cases[i].arguments[0] ? cases[i].arguments[0] : "", got.outcome,
				 buf_text(&got.out), want);
		run_fini(&got);
	}
}

#define CHECK_REFUSALS(cases) check_refusals(cases, sizeof(cases) / sizeof(*(cases)))

/* What must be taken. Fields are compared as whole numbers of their size. */
struct acceptance {
	const char *arguments[ARGS_MAX];
	size_t offset, size;
	int64_t want;
};

#define FIELD(x) offsetof(struct options, x), sizeof(((struct options *)NULL)->x)

static void
check_acceptances(const struct acceptance *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct run got = run(cases[i].arguments);
		const char *first = cases[i].arguments[0] ? cases[i].arguments[0] : "";
		if (got.outcome != OPTIONS_RUN)
			fail_msg("case %zu (%s): %s", i, first, buf_text(&got.out));
		int64_t value = 0;
		memcpy(&value, (const char *)&got.options + cases[i].offset, cases[i].size);
		if (cases[i].size == sizeof(int))
			value = (int)value;
		if (value != cases[i].want)
			fail_msg("case %zu (%s): got %lld, want %lld", i, first, (long long)value,
				 (long long)cases[i].want);
		assert_int_equal(got.out.len, 0);
		run_fini(&got);
	}
}

#define CHECK_ACCEPTANCES(cases) check_acceptances(cases, sizeof(cases) / sizeof(*(cases)))

/* A list as one text, '|' between the values. */
static void
check_list(const struct option_list *list, const char *want)
{
	struct buf text = BUF_INIT;
	for (size_t i = 0; i < list->count; i++)
		buf_printf(&text, "%s%s", i ? "|" : "", list->items[i]);
	assert_string_equal(buf_text(&text), want);
	buf_fini(&text);
}

static void
test_parse__defaults(void **state)
{
	(void)state;
	struct run got = run((const char *const[]){NULL});
	const struct options *o = &got.options;
	assert_int_equal(got.outcome, OPTIONS_RUN);
	check_list(&o->listen_udp, ":9125");
	check_list(&o->listen_tcp, ":9125");
	check_list(&o->listen_unixgram, "");
	check_list(&o->listen_unixstream, "");
	check_list(&o->mapping_config, "");
	check_list(&o->relay_address, "");
	assert_int_equal(o->unixsocket_mode, 0755);
	assert_string_equal(o->unixsocket_mode_text, "755");
	assert_string_equal(o->dump_fsm, "");
	assert_string_equal(o->scanner, "auto");
	assert_string_equal(o->sd_token_file, "");
	assert_string_equal(o->sd_state_file, "");
	check_list(&o->remote_external_labels, "");
	check_list(&o->remote_headers, "");
	assert_string_equal(o->remote_url, "");
	assert_string_equal(o->remote_username, "");
	assert_string_equal(o->remote_bearer_token_file, "");
	assert_string_equal(o->remote_password_file, "");
	assert_string_equal(o->remote_ca_file, "");
	assert_string_equal(o->listen_web.items[0], ":9102");
	assert_string_equal(o->web_telemetry_path, "/metrics");
	assert_string_equal(o->web_self_metrics_prefix, "statsbridge");
	assert_false(o->queue_flags_given);
	run_fini(&got);

	static const struct acceptance numbers[] = {
	    {{NULL}, FIELD(read_buffer), 0},
	    {{NULL}, FIELD(max_connections), 1024},
	    {{NULL}, FIELD(max_wake_up_delay_ns), 1000000},
	    {{NULL}, FIELD(null_receiver), false},
	    {{NULL}, FIELD(parse_dogstatsd_tags), true},
	    {{NULL}, FIELD(parse_influxdb_tags), true},
	    {{NULL}, FIELD(parse_librato_tags), true},
	    {{NULL}, FIELD(parse_signalfx_tags), true},
	    {{NULL}, FIELD(container_id_label), true},
	    {{NULL}, FIELD(signed_gauges_absolute), false},
	    {{NULL}, FIELD(sets), false},
	    {{NULL}, FIELD(check_config), false},
	    {{NULL}, FIELD(threads), 0},
	    {{NULL}, FIELD(max_series), 2000000},
	    {{NULL}, FIELD(cache_size), 1000},
	    {{NULL}, FIELD(relay_packet_length), 1400},
	    {{NULL}, FIELD(web_enable_lifecycle), false},
	    {{NULL}, FIELD(web_process_metrics), true},
	    {{NULL}, FIELD(web_openmetrics), false},
	    {{NULL}, FIELD(web_openmetrics_created), false},
	    {{NULL}, FIELD(web_enable_target_api), false},
	    {{NULL}, FIELD(remote_interval_ns), 15000000000},
	    {{NULL}, FIELD(remote_timeout_ns), 30000000000},
	    {{NULL}, FIELD(remote_protocol), 0},
	    {{NULL}, FIELD(remote_native_histograms), false},
	    {{NULL}, FIELD(remote_queue_bytes), 64 << 20},
	    {{NULL}, FIELD(log_level), LOG_LEVEL_INFO},
	    {{NULL}, FIELD(log_format), LOG_FORMAT_LOGFMT},
	};
	CHECK_ACCEPTANCES(numbers);
}

static void
test_parse__booleans(void **state)
{
	(void)state;
	static const struct acceptance taken[] = {
	    {{"--no-statsd.parse-dogstatsd-tags"}, FIELD(parse_dogstatsd_tags), false},
	    {{"--statsd.parse-dogstatsd-tags"}, FIELD(parse_dogstatsd_tags), true},
	    {{"--no-statsd.parse-influxdb-tags"}, FIELD(parse_influxdb_tags), false},
	    {{"--no-statsd.parse-librato-tags"}, FIELD(parse_librato_tags), false},
	    {{"--no-statsd.parse-signalfx-tags"}, FIELD(parse_signalfx_tags), false},
	    {{"--no-statsd.parse-signalfx-tags"}, FIELD(parse_librato_tags), true},
	    {{"--no-statsd.container-id-label"}, FIELD(container_id_label), false},
	    {{"--statsd.sets"}, FIELD(sets), true},
	    {{"--no-statsd.sets"}, FIELD(sets), false},
	    {{"--check-config"}, FIELD(check_config), true},
	    {{"--no-check-config"}, FIELD(check_config), false},
	    {{"--debug.null-receiver"}, FIELD(null_receiver), true},
	    {{"--no-debug.null-receiver"}, FIELD(null_receiver), false},
	    {{"--web.enable-lifecycle"}, FIELD(web_enable_lifecycle), true},
	    {{"--web.enable-target-api"}, FIELD(web_enable_target_api), true},
	    {{"--no-web.process-metrics"}, FIELD(web_process_metrics), false},
	    {{"--web.openmetrics"}, FIELD(web_openmetrics), true},
	    {{"--web.openmetrics"}, FIELD(web_openmetrics_created), false},
	    {{"--web.openmetrics-created"}, FIELD(web_openmetrics_created), true},
	};
	CHECK_ACCEPTANCES(taken);
	static const struct refusal refused[] = {
	    {{"--check-config=true"}, "unexpected true"},
	    {{"--check-config", "true"}, "unexpected true"},
	    {{"--check-config="}, "unexpected "},
	    {{"--no-check-config=false"}, "unexpected false"},
	    {{"--check-config", "--check-config"}, "flag 'check-config' cannot be repeated"},
	    {{"--statsd.sets", "--no-statsd.sets"}, "flag 'statsd.sets' cannot be repeated"},
	    {{"--no-statsd.cache-size"},
	     "unknown long flag '--no-statsd.cache-size' (did you mean "
	     "'--statsd.cache-size'?)"},
	    {{"--no-log.level=info"},
	     "unknown long flag '--no-log.level' (did you mean '--log.level'?)"},
	    {{"--no-no-statsd.sets"}, "unknown long flag '--no-no-statsd.sets'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__syntax(void **state)
{
	(void)state;
	static const struct acceptance taken[] = {
	    {{"--threads=3"}, FIELD(threads), 3},
	    {{"--threads", "3"}, FIELD(threads), 3},
	    {{"--threads", "--", "3"}, FIELD(threads), 3},
	    {{"--threads=3", "--"}, FIELD(threads), 3},
	};
	CHECK_ACCEPTANCES(taken);
	static const struct refusal refused[] = {
	    {{"foo"}, "unexpected foo"},
	    {{""}, "unexpected "},
	    {{"--", "--threads=3"}, "unexpected --threads=3"},
	    {{"--", "@none"}, "unexpected @none"},
	    {{"--", "--"}, "unexpected --"},
	    {{"--threads"}, "expected argument for flag '--threads'"},
	    {{"--threads", "--statsd.sets"}, "expected argument for flag '--threads'"},
	    {{"--threads", "-5"}, "expected argument for flag '--threads'"},
	    {{"--threads", "-"}, "expected argument for flag '--threads'"},
	    {{"--threads", "--"}, "expected argument for flag '--threads'"},
	    {{"--threads", "1", "2"}, "unexpected 2"},
	    {{"--threads=1", "--threads=1"}, "flag 'threads' cannot be repeated"},
	    {{"--log.level=info", "--log.level", "info"}, "flag 'log.level' cannot be repeated"},
	    {{"-x"}, "unknown short flag '-x'"},
	    {{"-xh"}, "unknown short flag '-x'"},
	    {{"-"}, "unknown short flag '-'"},
	    {{"-\xc3\xa4h"}, "unknown short flag '-\xc3\xa4'"},
	    {{"-\xff"}, "unknown short flag '-\\xff'"},
	    {{"--=1"}, "unknown long flag '--'"},
	    {{"---threads=1"}, "unknown long flag '---threads' (did you mean '--threads'?)"},
	    {{"--Threads=1"}, "unknown long flag '--Threads' (did you mean '--threads'?)"},
	    {{"--thread=1"}, "unknown long flag '--thread' (did you mean '--threads'?)"},
	    {{"--statsd.lisen-udp=:1"},
	     "unknown long flag '--statsd.lisen-udp' (did you mean '--statsd.listen-udp'?)"},
	    {{"--listen-udp=:1"},
	     "unknown long flag '--listen-udp' (did you mean '--statsd.listen-udp'?)"},
	    {{"--help-mark"}, "unknown long flag '--help-mark'"},
	    {{"--foo"}, "unknown long flag '--foo'"},
	    {{"--web.systemd-sockets"}, "unknown long flag '--web.systemd-sockets' (did you mean '--web.systemd-socket'?)"},
	    {{"--statsd.add-suffix"}, "unknown long flag '--statsd.add-suffix'"},
	    {{"--bogus\n\x1b[31m"}, "unknown long flag '--bogus\\x0a\\x1b[31m'"},
	    {{"a\nb"}, "unexpected a\\x0ab"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__first_failing_or_acting_flag_wins(void **state)
{
	(void)state;
	static const struct {
		const char *arguments[ARGS_MAX];
		const char *starts; /* NULL: fails */
	} cases[] = {
	    {{"--help"}, "usage: statsbridge "},
	    {{"-h"}, "usage: statsbridge "},
	    {{"-hx"}, "usage: statsbridge "},
	    {{"--no-help"}, "usage: statsbridge "},
	    {{"--help=x"}, "usage: statsbridge "},
	    {{"--help-long"}, "usage: statsbridge "},
	    {{"--help-man"}, "usage: statsbridge "},
	    {{"--version"}, "statsbridge, version "},
	    {{"--no-version"}, "statsbridge, version "},
	    {{"--version", "--bogus"}, "statsbridge, version "},
	    {{"--version", "--help"}, "statsbridge, version "},
	    {{"--help", "--version"}, "usage: "},
	    {{"--threads=3", "--version"}, "statsbridge, version "},
	    {{"--completion-bash", "--stat"}, "--statsd.listen-udp\n"},
	    {{"--completion-script-bash"}, "_statsbridge_complete()"},
	    {{"--completion-script-zsh"}, "#compdef statsbridge\n"},
	    {{"--help-markdown"}, "**Listeners**\n"},
	    {{"--bogus", "--version"}, NULL},
	    {{"--threads=x", "--version"}, NULL},
	    {{"--threads", "--version"}, NULL},
	    {{"foo", "--help"}, NULL},
	    {{"--", "--help"}, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct run got = run(cases[i].arguments);
		const char *starts = cases[i].starts;
		assert_int_equal(got.outcome, starts ? OPTIONS_EXIT : OPTIONS_FAIL);
		if (starts && !span_starts(buf_span(&got.out), span_text(starts)))
			fail_msg("case %zu: \"%s\"", i, buf_text(&got.out));
		run_fini(&got);
	}
}

static void
test_parse__int(void **state)
{
	(void)state;
	static const struct acceptance taken[] = {
	    {{"--statsd.read-buffer=0"}, FIELD(read_buffer), 0},
	    {{"--statsd.read-buffer=1e3"}, FIELD(read_buffer), 1000},
	    {{"--statsd.read-buffer", "2.7"}, FIELD(read_buffer), 2},
	    {{"--statsd.read-buffer=0x10p0"}, FIELD(read_buffer), 16},
	    {{"--statsd.read-buffer=+8388608"}, FIELD(read_buffer), 8388608},
	    {{"--statsd.read-buffer=-0"}, FIELD(read_buffer), 0},
	    {{"--statsd.read-buffer=-0.9"}, FIELD(read_buffer), 0},
	    {{"--statsd.read-buffer=010"}, FIELD(read_buffer), 10},
	    {{"--statsd.read-buffer=2147483647"}, FIELD(read_buffer), INT32_MAX},
	    {{"--statsd.read-buffer=2147483647.9"}, FIELD(read_buffer), INT32_MAX},
	    {{"--statsd.cache-size=0"}, FIELD(cache_size), 0},
	    {{"--statsd.cache-size=5e4"}, FIELD(cache_size), 50000},
	    {{"--statsd.cache-size=4503599627370496"}, FIELD(cache_size), 4503599627370496},
	};
	CHECK_ACCEPTANCES(taken);
	static const char *const bad[] = {
	    "",   " ",      "x",    "1x",    " 1",   "1 ",  "NaN", "nan",        "Inf",  "-Inf",
	    "-1", "-1e300", "1e19", "1e400", "1e30", "--1", "1\n", "2147483648", "0x10", "1,000"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char argument[64];
		snprintf(argument, sizeof(argument), "--statsd.read-buffer=%s", bad[i]);
		struct run got = RUN(argument);
		if (got.outcome != OPTIONS_FAIL)
			fail_msg("taken: '%s'", argument);
		run_fini(&got);
	}
	static const struct refusal refused[] = {
	    {{"--statsd.read-buffer=-1"},
	     "flag '--statsd.read-buffer': expected 0 to 2147483647 bytes, got '-1'"},
	    {{"--statsd.cache-size=-5"},
	     "flag '--statsd.cache-size': expected at least 0 entries, got '-5'"},
	    {{"--statsd.cache-size=9223372036854775808"},
	     "flag '--statsd.cache-size': expected at least 0 entries, got '9223372036854775808'"},
	    {{"--statsd.event-flush-threshold=-1"},
	     "flag '--statsd.event-flush-threshold': expected at least 0 events, got '-1'"},
	    {{"--statsd.udp-packet-queue-size=-1"},
	     "flag '--statsd.udp-packet-queue-size': expected at least 0 datagrams, got '-1'"},
	    {{"--statsd.udp-packet-queue-size=NaN"},
	     "flag '--statsd.udp-packet-queue-size': expected at least 0 datagrams, got 'NaN'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__uint(void **state)
{
	(void)state;
	static const struct acceptance taken[] = {
	    {{"--statsd.relay.packet-length=2"}, FIELD(relay_packet_length), 2},
	    {{"--statsd.relay.packet-length=65507"}, FIELD(relay_packet_length), 65507},
	    {{"--statsd.relay.packet-length=0x10"}, FIELD(relay_packet_length), 16},
	    {{"--statsd.relay.packet-length=0XfF"}, FIELD(relay_packet_length), 255},
	    {{"--statsd.relay.packet-length=0x_f_f"}, FIELD(relay_packet_length), 255},
	    {{"--statsd.relay.packet-length=0o17"}, FIELD(relay_packet_length), 15},
	    {{"--statsd.relay.packet-length=0O17"}, FIELD(relay_packet_length), 15},
	    {{"--statsd.relay.packet-length=017"}, FIELD(relay_packet_length), 15},
	    {{"--statsd.relay.packet-length=0_17"}, FIELD(relay_packet_length), 15},
	    {{"--statsd.relay.packet-length=0b11"}, FIELD(relay_packet_length), 3},
	    {{"--statsd.relay.packet-length=1_000"}, FIELD(relay_packet_length), 1000},
	    {{"--threads=0"}, FIELD(threads), 0},
	    {{"--threads=00"}, FIELD(threads), 0},
	    {{"--threads=256"}, FIELD(threads), 256},
	    {{"--statsd.max-connections=1"}, FIELD(max_connections), 1},
	    {{"--statsd.max-connections=1000000"}, FIELD(max_connections), 1000000},
	    {{"--max-series=1"}, FIELD(max_series), 1},
	    {{"--max-series=1_000_000_000"}, FIELD(max_series), 1000000000},
	    {{"--statsd.event-queue-size=0"}, FIELD(queue_flags_given), true},
	    {{"--statsd.event-queue-size=9223372036854775807"}, FIELD(queue_flags_given), true},
	};
	CHECK_ACCEPTANCES(taken);
	static const char *const bad[] = {"",
					  "+2",
					  "-2",
					  "2.0",
					  "1e3",
					  "08",
					  "0x",
					  "0b",
					  "0o",
					  "0_",
					  "_1",
					  "1_",
					  "1__0",
					  "0x_",
					  "0xg",
					  "0b2",
					  "0o8",
					  " 2",
					  "2 ",
					  "2\n",
					  "NaN",
					  "1,0",
					  "0",
					  "1",
					  "0x0x1",
					  "65508",
					  "18446744073709551616",
					  "18446744073709551618",
					  "36893488147419103232"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char argument[96];
		snprintf(argument, sizeof(argument), "--statsd.relay.packet-length=%s", bad[i]);
		struct run got = RUN(argument);
		if (got.outcome != OPTIONS_FAIL)
			fail_msg("taken: '%s'", argument);
		run_fini(&got);
	}
	static const struct refusal refused[] = {
	    {{"--statsd.relay.packet-length=0"},
	     "flag '--statsd.relay.packet-length': expected 2 to 65507 bytes, got '0'"},
	    {{"--threads=257"}, "flag '--threads': expected 0 to 256 threads, got '257'"},
	    {{"--statsd.max-connections=0"},
	     "flag '--statsd.max-connections': expected 1 to 1000000 connections, got '0'"},
	    {{"--statsd.max-connections=1000001"},
	     "flag '--statsd.max-connections': expected 1 to 1000000 connections, got '1000001'"},
	    {{"--max-series=0"}, "flag '--max-series': expected 1 to 1000000000 series, got '0'"},
	    {{"--max-series=1000000001"},
	     "flag '--max-series': expected 1 to 1000000000 series, got '1000000001'"},
	    {{"--statsd.event-queue-size=-1"},
	     "flag '--statsd.event-queue-size': expected at least 0 batches, got '-1'"},
	    {{"--statsd.event-queue-size=9223372036854775808"},
	     "flag '--statsd.event-queue-size': expected at least 0 batches, got "
	     "'9223372036854775808'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__duration_with_a_maximum(void **state)
{
	(void)state;
	static const struct acceptance taken[] = {
	    {{"--statsd.max-wake-up-delay=0"}, FIELD(max_wake_up_delay_ns), 0},
	    {{"--statsd.max-wake-up-delay=0s"}, FIELD(max_wake_up_delay_ns), 0},
	    {{"--statsd.max-wake-up-delay=250us"}, FIELD(max_wake_up_delay_ns), 250000},
	    {{"--statsd.max-wake-up-delay=10ms"}, FIELD(max_wake_up_delay_ns), 10000000},
	};
	CHECK_ACCEPTANCES(taken);
	static const struct refusal refused[] = {
	    {{"--statsd.max-wake-up-delay=10000001ns"},
	     "flag '--statsd.max-wake-up-delay': expected a duration such as 200us, 0ns to "
	     "10000000ns, got '10000001ns'"},
	    {{"--statsd.max-wake-up-delay=-1ms"},
	     "flag '--statsd.max-wake-up-delay': expected a duration such as 200us, 0ns to "
	     "10000000ns, got '-1ms'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__duration(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool taken;
	} cases[] = {
	    {"200ms", true},
	    {"1ns", true},
	    {"1us", true},
	    {"1\xc2\xb5s", true},
	    {"1\xce\xbcs", true},
	    {"1h30m", true},
	    {"30m1h", true},
	    {"1.5s", true},
	    {".5s", true},
	    {"1.s", true},
	    {"+1s", true},
	    {"1d", true},
	    {"2w3d", true},
	    {"0s1ns", true},
	    {"106751d", true},
	    {"9223372036854775807ns", true},
	    {"0.0000000010000000000000000000000000001s", true},
	    {"0", false},
	    {"0s", false},
	    {"0.5ns", false},
	    {"-1s", false},
	    {"", false},
	    {"+", false},
	    {"1", false},
	    {"200", false},
	    {"ms", false},
	    {".s", false},
	    {"1.2.3s", false},
	    {"1s2", false},
	    {"1 s", false},
	    {"1S", false},
	    {"1y", false},
	    {"1s\n", false},
	    {"1e3s", false},
	    {"106752d", false},
	    {"9223372036854775808ns", false},
	    {"9223372036854775807ns1ns", false},
	    {"99999999999999999999w", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char argument[96];
		snprintf(argument, sizeof(argument), "--statsd.event-flush-interval=%s",
			 cases[i].text);
		struct run got = RUN(argument);
		if ((got.outcome == OPTIONS_RUN) != cases[i].taken)
			fail_msg("'%s': outcome %d", cases[i].text, got.outcome);
		assert_true(got.outcome != OPTIONS_RUN || got.options.queue_flags_given);
		run_fini(&got);
	}
	static const struct refusal refused[] = {
	    {{"--statsd.event-flush-interval=0"},
	     "flag '--statsd.event-flush-interval': expected a duration such as 200ms, at least "
	     "1ns, got '0'"},
	    {{"--statsd.event-flush-interval=-1s"},
	     "flag '--statsd.event-flush-interval': expected a duration such as 200ms, at least "
	     "1ns, got '-1s'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__choices(void **state)
{
	(void)state;
	static const struct acceptance taken[] = {
	    {{"--log.level=debug"}, FIELD(log_level), LOG_LEVEL_DEBUG},
	    {{"--log.level=INFO"}, FIELD(log_level), LOG_LEVEL_INFO},
	    {{"--log.level", "Warn"}, FIELD(log_level), LOG_LEVEL_WARN},
	    {{"--log.level=eRRoR"}, FIELD(log_level), LOG_LEVEL_ERROR},
	    {{"--log.format=logfmt"}, FIELD(log_format), LOG_FORMAT_LOGFMT},
	    {{"--log.format=json"}, FIELD(log_format), LOG_FORMAT_JSON},
	    {{"--statsd.signed-gauges=relative"}, FIELD(signed_gauges_absolute), false},
	    {{"--statsd.signed-gauges=absolute"}, FIELD(signed_gauges_absolute), true},
	    {{"--statsd.cache-type=lru"}, FIELD(queue_flags_given), true},
	    {{"--statsd.cache-type=random"}, FIELD(queue_flags_given), true},
	};
	CHECK_ACCEPTANCES(taken);
	static const struct refusal refused[] = {
	    {{"--log.level=warning"},
	     "flag '--log.level': expected one of debug, info, warn, error, got 'warning'"},
	    {{"--log.level="},
	     "flag '--log.level': expected one of debug, info, warn, error, got ''"},
	    {{"--log.level=inf"},
	     "flag '--log.level': expected one of debug, info, warn, error, got 'inf'"},
	    {{"--log.level=debug|info"},
	     "flag '--log.level': expected one of debug, info, warn, error, got 'debug|info'"},
	    {{"--log.format=JSON"},
	     "flag '--log.format': expected one of logfmt, json, got 'JSON'"},
	    {{"--statsd.signed-gauges=delta"},
	     "flag '--statsd.signed-gauges': expected one of relative, absolute, got 'delta'"},
	    {{"--statsd.cache-type=LRU"},
	     "flag '--statsd.cache-type': expected one of lru, random, got 'LRU'"},
	    {{"--statsd.cache-type=\n"},
	     "flag '--statsd.cache-type': expected one of lru, random, got '\\x0a'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__queue_flags_given(void **state)
{
	(void)state;
	static const struct acceptance cases[] = {
	    {{"--statsd.event-queue-size=1"}, FIELD(queue_flags_given), true},
	    {{"--statsd.event-flush-threshold=0"}, FIELD(queue_flags_given), true},
	    {{"--statsd.event-flush-interval=1s"}, FIELD(queue_flags_given), true},
	    {{"--statsd.udp-packet-queue-size=0"}, FIELD(queue_flags_given), true},
	    {{"--statsd.cache-size=1000"}, FIELD(queue_flags_given), true},
	    {{"--statsd.read-buffer=1"}, FIELD(queue_flags_given), false},
	    {{"--threads=1"}, FIELD(queue_flags_given), false},
	};
	CHECK_ACCEPTANCES(cases);
}

static void
test_parse__lists(void **state)
{
	(void)state;
	struct run got = RUN("--statsd.listen-udp=:1", "--statsd.listen-udp", "[::1]:2,a:3",
			     "--statsd.listen-tcp=", "--statsd.listen-unixgram=/tmp/a,b",
			     "--statsd.listen-unixgram=@x", "--statsd.relay.address=r:1,s:2",
			     "--statsd.mapping-config=a.yml");
	assert_int_equal(got.outcome, OPTIONS_RUN);
	check_list(&got.options.listen_udp, ":1|[::1]:2|a:3");
	check_list(&got.options.listen_tcp, "");
	check_list(&got.options.listen_unixgram, "/tmp/a,b|@x");
	check_list(&got.options.listen_unixstream, "");
	check_list(&got.options.relay_address, "r:1|s:2");
	check_list(&got.options.mapping_config, "a.yml");
	run_fini(&got);

	got = RUN("--statsd.mapping-config=a,b", "--statsd.mapping-config=c",
		  "--statsd.listen-unixstream=/s", "--statsd.relay.address=",
		  "--remote-write.external-label=a=1,b", "--remote-write.external-label=c=");
	assert_int_equal(got.outcome, OPTIONS_RUN);
	check_list(&got.options.mapping_config, "a,b|c");
	check_list(&got.options.listen_unixstream, "/s");
	check_list(&got.options.remote_external_labels, "a=1,b|c=");
	check_list(&got.options.relay_address, "");
	check_list(&got.options.listen_udp, ":9125");
	run_fini(&got);

	static const struct refusal refused[] = {
	    {{"--statsd.listen-udp=", "--statsd.listen-udp=:1"},
	     "flag '--statsd.listen-udp': an empty address among others"},
	    {{"--statsd.listen-udp=:1", "--statsd.listen-udp="},
	     "flag '--statsd.listen-udp': an empty address among others"},
	    {{"--statsd.listen-udp=:1,"},
	     "flag '--statsd.listen-udp': an empty address among others"},
	    {{"--statsd.listen-udp=,"},
	     "flag '--statsd.listen-udp': an empty address among others"},
	    {{"--statsd.listen-unixgram=", "--statsd.listen-unixgram="},
	     "flag '--statsd.listen-unixgram': an empty path among others"},
	    {{"--statsd.listen-tcp=:1,:1"}, "flag '--statsd.listen-tcp': ':1' is given twice"},
	    {{"--statsd.listen-udp", "--threads=1"},
	     "expected argument for flag '--statsd.listen-udp'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__list_length(void **state)
{
	(void)state;
	struct buf argument = BUF_INIT;
	buf_add_text(&argument, "--statsd.listen-udp=:1");
	for (int i = 2; i <= 64; i++)
		buf_printf(&argument, ",:%d", i);
	struct run got = RUN(buf_text(&argument));
	assert_int_equal(got.outcome, OPTIONS_RUN);
	assert_int_equal(got.options.listen_udp.count, 64);
	run_fini(&got);

	buf_add_text(&argument, ",:65");
	const struct refusal refused[] = {
	    {{buf_text(&argument)}, "flag '--statsd.listen-udp': more than 64 values"}};
	CHECK_REFUSALS(refused);
	buf_fini(&argument);
}

static void
test_parse__at_least_one_listener(void **state)
{
	(void)state;
	static const char none[] = "at least one of --statsd.listen-udp, --statsd.listen-tcp, "
				   "--statsd.listen-unixgram and "
				   "--statsd.listen-unixstream must be enabled";
	const struct refusal refused[] = {
	    {{"--statsd.listen-udp=", "--statsd.listen-tcp="}, none},
	    {{"--statsd.listen-udp=", "--statsd.listen-tcp", "", "--no-check-config"}, none},
	};
	CHECK_REFUSALS(refused);
	static const struct acceptance taken[] = {
	    {{"--statsd.listen-udp="}, FIELD(check_config), false},
	    {{"--statsd.listen-tcp="}, FIELD(check_config), false},
	    {{"--statsd.listen-udp=", "--statsd.listen-tcp=", "--check-config"},
	     FIELD(check_config),
	     true},
	    {{"--statsd.listen-udp=", "--statsd.listen-tcp=", "--statsd.listen-unixgram=a"},
	     FIELD(check_config),
	     false},
	    {{"--statsd.listen-udp=", "--statsd.listen-tcp=", "--statsd.listen-unixstream=a"},
	     FIELD(check_config),
	     false},
	};
	CHECK_ACCEPTANCES(taken);
}

static void
test_parse__unixsocket_mode(void **state)
{
	(void)state;
	static const struct acceptance cases[] = {
	    {{"--statsd.unixsocket-mode=600"}, FIELD(unixsocket_mode), 0600},
	    {{"--statsd.unixsocket-mode="}, FIELD(unixsocket_mode), 0},
	    {{"--statsd.unixsocket-mode", ""}, FIELD(unixsocket_mode), 0},
	    {{"--statsd.unixsocket-mode=0"}, FIELD(unixsocket_mode), 0},
	    {{"--statsd.unixsocket-mode=0777"}, FIELD(unixsocket_mode), 0777},
	    {{"--statsd.unixsocket-mode=1777"}, FIELD(unixsocket_mode), 0777},
	    {{"--statsd.unixsocket-mode=17777777777"}, FIELD(unixsocket_mode), 0777},
	    {{"--statsd.unixsocket-mode=20000000000"}, FIELD(unixsocket_mode), -1},
	    {{"--statsd.unixsocket-mode=7777777777777777777777777"}, FIELD(unixsocket_mode), -1},
	    {{"--statsd.unixsocket-mode=788"}, FIELD(unixsocket_mode), -1},
	    {{"--statsd.unixsocket-mode=0o755"}, FIELD(unixsocket_mode), -1},
	    {{"--statsd.unixsocket-mode=-755"}, FIELD(unixsocket_mode), -1},
	    {{"--statsd.unixsocket-mode=u+rwx"}, FIELD(unixsocket_mode), -1},
	    {{"--statsd.unixsocket-mode=755\n"}, FIELD(unixsocket_mode), -1},
	};
	CHECK_ACCEPTANCES(cases);
	struct run got = RUN("--statsd.unixsocket-mode=u+rwx");
	assert_string_equal(got.options.unixsocket_mode_text, "u+rwx");
	run_fini(&got);
}

static void
test_parse__web(void **state)
{
	(void)state;
	static const char *const good[] = {"/",     "/m",       "/metrics/", "/a/b",
					   "/apis", "/healthy", "/-/x",      "/m\xc3\xa9"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct run got = RUN("--web.telemetry-path", good[i], "--web.listen-address=h:1");
		assert_int_equal(got.outcome, OPTIONS_RUN);
		assert_string_equal(got.options.web_telemetry_path, good[i]);
		assert_string_equal(got.options.listen_web.items[0], "h:1");
		run_fini(&got);
	}
	struct run several = RUN("--web.listen-address=:1,[::1]:2", "--web.unixsocket-mode=600",
				 "--web.listen-address=unix:/run/x", "--web.systemd-socket");
	assert_int_equal(several.outcome, OPTIONS_RUN);
	assert_int_equal(several.options.listen_web.count, 3);
	assert_string_equal(several.options.listen_web.items[1], "[::1]:2");
	assert_string_equal(several.options.listen_web.items[2], "unix:/run/x");
	assert_int_equal(several.options.web_unixsocket_mode, 0600);
	assert_true(several.options.web_systemd_socket);
	run_fini(&several);
	static const char *const bad[] = {
	    "",          "metrics", "/a b",    "/a\tb", "/a\n",  "/-/healthy", "/-/ready",
	    "/-/reload", "/-/quit", "/health", "/api",  "/api/", "/api/v1",    "/sd",
	    "/a?b",      "/a#b",    "/a%20b",  " /a",   "/\x7f"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct run got = RUN("--web.telemetry-path", bad[i]);
		if (got.outcome != OPTIONS_FAIL)
			fail_msg("taken: '%s'", bad[i]);
		run_fini(&got);
	}
	static const struct refusal refused[] = {
	    {{"--web.telemetry-path=m%"},
	     "flag '--web.telemetry-path': expected a path that starts with '/', has no blank and "
	     "none of ?#%, and has no other meaning (/-/..., /health, /api..., /sd), got 'm%'"},
	    {{"--web.listen-address="},
	     "flag '--web.listen-address': expected host:port or unix:/path, several with commas "
	     "between them or by repeating the flag, got ''"},
	    {{"--web.listen-address=:1", "--web.listen-address=:1"},
	     "flag '--web.listen-address': ':1' is given twice"},
	    {{"--web.systemd-socket=x"}, "unexpected x"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__self_metrics_prefix(void **state)
{
	(void)state;
	static const struct {
		const char *program, *argument, *want; /* want NULL: refused */
	} cases[] = {
	    {"statsbridge", "--statsd.sets", "statsbridge"},
	    {"/bin/statsd_exporter", "--statsd.sets", "statsd_exporter"},
	    {"statsd_exporter", "--statsd.sets", "statsd_exporter"},
	    {"statsd_exporter/other", "--statsd.sets", "statsbridge"},
	    {"my_statsd_exporter", "--statsd.sets", "statsbridge"},
	    {"statsd_exporter", "--web.self-metrics-prefix=statsbridge", "statsbridge"},
	    {"x", "--web.self-metrics-prefix=statsd_exporter", "statsd_exporter"},
	    {"x", "--web.self-metrics-prefix=_a9", "_a9"},
	    {"x",
	     "--web.self-metrics-prefix="
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
	    {"x",
	     "--web.self-metrics-prefix="
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbc",
	     NULL},
	    {"x", "--web.self-metrics-prefix=", NULL},
	    {"x", "--web.self-metrics-prefix=9a", NULL},
	    {"x", "--web.self-metrics-prefix=a-b", NULL},
	    {"x", "--web.self-metrics-prefix=a:b", NULL},
	    {"x", "--web.self-metrics-prefix=a_", NULL},
	    {"x", "--web.self-metrics-prefix=a\n", NULL},
	    {"x", "--web.self-metrics-prefix=\xc3\xa9", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct run got =
		    run_as(cases[i].program, (const char *const[]){cases[i].argument, NULL});
		assert_int_equal(got.outcome, cases[i].want ? OPTIONS_RUN : OPTIONS_FAIL);
		if (cases[i].want)
			assert_string_equal(got.options.web_self_metrics_prefix, cases[i].want);
		run_fini(&got);
	}
}

static void
test_parse__program_name(void **state)
{
	(void)state;
	struct run got = run_as("/opt/a/statsd_exporter", (const char *const[]){"x", NULL});
	assert_string_equal(buf_text(&got.out),
			    "statsd_exporter: error: unexpected x, try --help\n");
	run_fini(&got);

	char *no_arguments[] = {NULL};
	got = (struct run){.out = BUF_INIT};
	got.outcome = options_parse(0, no_arguments, &got.options, &got.out);
	assert_int_equal(got.outcome, OPTIONS_RUN);
	run_fini(&got);
}

static void
test_parse__long_arguments(void **state)
{
	(void)state;
	static const char *const starts[] = {"",
					     "-",
					     "--",
					     "@",
					     "--no-",
					     "--threads=",
					     "--statsd.cache-size=",
					     "--statsd.event-flush-interval=",
					     "--log.level=",
					     "--statsd.unixsocket-mode=",
					     "--statsd.listen-udp=",
					     "--statsd.mapping-config=",
					     "--debug.dump-fsm=",
					     "--web.telemetry-path=/",
					     "--check-config="};
	static const char fill[] = {'1', 'a', ',', '\n', '\xff', '=', '@'};
	char *argument = malloc(KIB64 + 64);
	assert_non_null(argument);
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts) * sizeof(fill); i++) {
		const char *start = starts[i / sizeof(fill)];
		size_t len = strlen(start);
		memcpy(argument, start, len);
		memset(argument + len, fill[i % sizeof(fill)], KIB64);
		argument[len + KIB64] = '\0';
		struct run got = RUN(argument);
		assert_int_equal(got.outcome, OPTIONS_FAIL);
		/* The error stays one short line whatever was given. */
		assert_true(got.out.len < 600);
		assert_ptr_equal(span_find(buf_span(&got.out), '\n'),
				 got.out.ptr + got.out.len - 1);
		run_fini(&got);
	}
	free(argument);
}

static void
test_parse__value_length(void **state)
{
	(void)state;
	char argument[64 + 4098] = "--debug.dump-fsm=";
	size_t start = strlen(argument);
	memset(argument + start, 'a', 4096);
	struct run got = RUN(argument);
	assert_int_equal(got.outcome, OPTIONS_RUN);
	assert_int_equal(strlen(got.options.dump_fsm), 4096);
	run_fini(&got);

	argument[start + 4096] = 'a';
	const struct refusal refused[] = {
	    {{argument}, "flag '--debug.dump-fsm': longer than 4096 bytes"}};
	CHECK_REFUSALS(refused);
}

static void
test_parse__argument_file(void **state)
{
	(void)state;
	write_lines("plain", "# a comment\n\n  \t\n--threads=5\r\n--log.level\nwarn\n"
			     "--statsd.listen-udp=:1,:2");
	write_lines("value", "absolute\n");
	write_lines("nested", "@plain\n--statsd.sets\n");
	write_lines("ends", "--\n");
	write_lines("at", "--statsd.listen-unixgram=@abstract\n");
	write_lines("empty", "");
	write_lines("blank", "--debug.dump-fsm= a b \n");

	struct run got =
	    RUN("@nested", "@empty", "--statsd.signed-gauges", "@value", "@at", "@blank");
	assert_int_equal(got.outcome, OPTIONS_RUN);
	assert_int_equal(got.options.threads, 5);
	assert_int_equal(got.options.log_level, LOG_LEVEL_WARN);
	assert_true(got.options.sets);
	assert_true(got.options.signed_gauges_absolute);
	check_list(&got.options.listen_udp, ":1|:2");
	check_list(&got.options.listen_unixgram, "@abstract");
	assert_string_equal(got.options.dump_fsm, " a b ");
	run_fini(&got);

	static const struct refusal refused[] = {
	    {{"@plain", "--threads=5"}, "flag 'threads' cannot be repeated"},
	    {{"@ends", "--threads=5"}, "unexpected --threads=5"},
	    {{"@value"}, "unexpected absolute"},
	    {{"@missing"}, "cannot read '@missing': No such file or directory"},
	    {{"@"}, "cannot read '@': No such file or directory"},
	    {{"@a\nb"}, "cannot read '@a\\x0ab': No such file or directory"},
	    {{"@."}, "cannot read '@.': Is a directory"},
	    {{"--threads", "@missing"}, "cannot read '@missing': No such file or directory"},
	    {{"--threads", "@empty"}, "expected argument for flag '--threads'"},
	};
	CHECK_REFUSALS(refused);
}

static void
test_parse__hostile_argument_files(void **state)
{
	(void)state;
	enum { MIB = 1 << 20 };
	char *bytes = malloc(MIB + 1);
	assert_non_null(bytes);
	memset(bytes, '\n', MIB + 1);
	write_file("full", bytes, MIB);
	write_file("huge", bytes, MIB + 1);
	for (size_t i = 0; i + 6 <= MIB; i += 6)
		memcpy(bytes + i, "@half\n", 6);
	write_file("wide", bytes, 600000);
	memset(bytes, '#', MIB);
	write_file("half", bytes, MIB / 2);
	free(bytes);
	write_file("nul", "--threads=1\0\n", 13);
	write_lines("itself", "@itself\n");
	write_lines("itself-first", "@itself-first\n--statsd.sets\n");
	write_lines("ping", "@pong");
	write_lines("pong", "@ping");
	write_lines("d8", "--statsd.sets\n");
	for (int i = 7; i >= 0; i--) {
		char name[16], lines[16];
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(lines, sizeof(lines), "@d%d\n", i + 1);
		write_lines(name, lines);
	}

	static const struct refusal refused[] = {
	    {{"@huge"}, "'@huge': argument files may hold 1048576 bytes at most in all"},
	    {{"@/dev/zero"}, "'@/dev/zero': argument files may hold 1048576 bytes at most in all"},
	    {{"@wide"}, "'@half': argument files may hold 1048576 bytes at most in all"},
	    {{"@half", "@half", "@d1"},
	     "'@d1': argument files may hold 1048576 bytes at most in all"},
	    {{"@nul"}, "'@nul' holds a NUL byte"},
	    {{"@itself"}, "'@itself': argument files may be nested 8 deep at most"},
	    {{"@itself-first"}, "'@itself-first': argument files may be nested 8 deep at most"},
	    {{"@ping"}, "'@ping': argument files may be nested 8 deep at most"},
	    {{"@d0"}, "'@d8': argument files may be nested 8 deep at most"},
	};
	CHECK_REFUSALS(refused);
	static const struct acceptance taken[] = {
	    {{"@full"}, FIELD(sets), false},
	    {{"@d1"}, FIELD(sets), true},
	};
	CHECK_ACCEPTANCES(taken);
}

/* Flags without effect, "flag: what it needs|or this" a line. */
static void
check_idle(const char *const *arguments, const char *want)
{
	struct run got = run(arguments);
	struct buf have = BUF_INIT;
	assert_int_equal(got.outcome, OPTIONS_RUN);
	for (size_t i = 0; i < got.options.idle_flag_count; i++) {
		const struct idle_flag *idle = &got.options.idle_flags[i];
		buf_printf(&have, "%s: %s|%s\n", idle->name, idle->needs[0],
			   idle->needs[1] ? idle->needs[1] : "");
	}
	if (strcmp(buf_text(&have), want) != 0)
		fail_msg("%s: got\n%swant\n%s", arguments[0], buf_text(&have), want);
	buf_fini(&have);
	run_fini(&got);
}

#define CHECK_IDLE(want, ...) check_idle((const char *const[]){__VA_ARGS__, NULL}, want)

static void
test_parse__idle_flags(void **state)
{
	(void)state;
	CHECK_IDLE("web.openmetrics-created: web.openmetrics|\n", "--web.openmetrics-created");
	CHECK_IDLE("web.openmetrics-created: web.openmetrics|\n", "--web.openmetrics-created",
		   "--no-web.openmetrics");
	CHECK_IDLE("", "--web.openmetrics-created", "--web.openmetrics");
	CHECK_IDLE("", "--no-web.openmetrics-created");
	CHECK_IDLE("remote-write.interval: remote-write.url|\n"
		   "remote-write.header: remote-write.url|\n",
		   "--remote-write.header=A: b",
		   "--remote-write.url=", "--remote-write.interval=15s",
		   "--remote-write.ca-file=", "--no-remote-write.native-histograms");
	CHECK_IDLE("", "--remote-write.interval=1s", "--remote-write.url=http://x");
	CHECK_IDLE("statsd.tls-config-file: statsd.listen-tcp|\n",
		   "--statsd.listen-tcp=", "--statsd.tls-config-file=a");
	CHECK_IDLE("", "--statsd.tls-config-file=a");
	CHECK_IDLE("", "--statsd.listen-tcp=", "--statsd.tls-config-file=");
	CHECK_IDLE("statsd.max-connections: statsd.listen-tcp|statsd.listen-unixstream\n",
		   "--statsd.max-connections=1024", "--statsd.listen-tcp=");
	CHECK_IDLE("", "--statsd.max-connections=1",
		   "--statsd.listen-tcp=", "--statsd.listen-unixstream=@a");
	CHECK_IDLE("statsd.unixsocket-mode: statsd.listen-unixgram|statsd.listen-unixstream\n"
		   "statsd.relay.packet-length: statsd.relay.address|\n"
		   "web.unixsocket-mode: web.listen-address=unix:|\n",
		   "--web.unixsocket-mode=700", "--statsd.unixsocket-mode=700",
		   "--statsd.relay.packet-length=9", "--web.listen-address=:1");
	CHECK_IDLE("", "--web.unixsocket-mode=700", "--web.listen-address=:1,unix:/a",
		   "--statsd.unixsocket-mode=700", "--statsd.listen-unixgram=/b");
	CHECK_IDLE("statsd.read-buffer: statsd.listen-udp|statsd.listen-unixgram\n"
		   "statsd.max-wake-up-delay: statsd.listen-udp|statsd.listen-unixgram\n"
		   "debug.dump-fsm: statsd.mapping-config|\n"
		   "sd.token-file: web.enable-target-api|\n",
		   "--statsd.listen-udp=", "--statsd.read-buffer=1",
		   "--statsd.max-wake-up-delay=1ms", "--debug.dump-fsm=a", "--sd.token-file=b");
}

/* What systemd hands over may be listeners of any kind. */
static void
test_parse__idle_flags_beside_systemd(void **state)
{
	(void)state;
	setenv("LISTEN_FDS", "1", true);
	CHECK_IDLE("web.openmetrics-created: web.openmetrics|\n",
		   "--statsd.listen-tcp=", "--statsd.tls-config-file=a",
		   "--web.openmetrics-created");
	unsetenv("LISTEN_FDS");
}

/* The rows as they are written, read for what must be true of each of them. */
static const struct {
	const char *name, *help;
	bool is_hidden;
} rows[] = {
#define GROUP(id, title)
#define FLAG(name, kind, field, fallback, minimum, maximum, unit, group, help) {name, help, false},
#define ACTION(name, what, group, help) {name, help, sizeof(help) == 1},
#include "app/options.def"
};

static void
test_help__every_flag_within_80_columns(void **state)
{
	(void)state;
	struct run got = RUN("--help");
	const char *text = buf_text(&got.out);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char plain[64], boolean[64];
		snprintf(plain, sizeof(plain), "\n  --%s", rows[i].name);
		snprintf(boolean, sizeof(boolean), "\n  --[no-]%s ", rows[i].name);
		bool is_shown = strstr(text, plain) || strstr(text, boolean);
		if (is_shown == rows[i].is_hidden)
			fail_msg("%s: shown %d", rows[i].name, is_shown);
	}
	assert_non_null(strstr(text, "--statsd.relay.packet-length=BYTES  (default: 1400)\n"));
	assert_non_null(strstr(text, "--log.level=debug|info|warn|error  (default: info)\n"));
	assert_non_null(strstr(text, "--[no-]web.process-metrics  (default: true)\n"));
	run_fini(&got);

	struct buf out = BUF_INIT;
	options_help("prog", &out);
	assert_true(span_starts(buf_span(&out), SPAN("usage: prog [<flags>]\n")));
	buf_fini(&out);
}

static void
test_completion__lists_what_can_be_given(void **state)
{
	(void)state;
	struct run got = RUN("--completion-bash");
	const char *line = buf_text(&got.out);
	size_t count = 0;
	for (; *line; count++) {
		char argument[64];
		size_t len = strcspn(line, "\n");
		snprintf(argument, sizeof(argument), "%.*s", (int)len, line);
		struct run alone = RUN(argument);
		assert_null(strstr(buf_text(&alone.out), "unknown"));
		run_fini(&alone);
		line += len + 1;
	}
	assert_true(count > 40);
	run_fini(&got);
}

static void
test_markdown__one_row_for_each_flag(void **state)
{
	(void)state;
	struct run got = RUN("--help-markdown");
	const char *text = buf_text(&got.out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char row[64];
		snprintf(row, sizeof(row), "\n| `--%s` | ", rows[i].name);
		assert_int_equal(strstr(text, row) == NULL, rows[i].is_hidden);
	}
	/* The defaults that no field shows. */
	assert_non_null(strstr(text, "| `--statsd.event-queue-size` | `10000` | "));
	assert_non_null(strstr(text, "| `--statsd.event-flush-threshold` | `1000` | "));
	assert_non_null(strstr(text, "| `--statsd.event-flush-interval` | `200ms` | "));
	assert_non_null(strstr(text, "| `--statsd.udp-packet-queue-size` | `10000` | "));
	assert_non_null(strstr(text, "| `--statsd.cache-type` | `lru` | "));
	/* A bar inside a cell would end it. */
	assert_non_null(strstr(text, "name:1\\|c\\|#key:value."));
	run_fini(&got);
}

static void
test_version__six_lines(void **state)
{
	(void)state;
	static const char *const starts[] = {
	    "statsbridge, version ", "  build user: ", "  build date: ",
	    "  compiler: ",          "  platform: ",   "  tags: "};
	struct run got = RUN("--version");
	const char *line = buf_text(&got.out);
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		assert_true(span_starts(span_text(line), span_text(starts[i])));
		line = strchr(line, '\n') + 1;
	}
	assert_string_equal(line, "");
	assert_non_null(strstr(buf_text(&got.out), " (branch: "));
	assert_non_null(strstr(buf_text(&got.out), ", revision: "));
	run_fini(&got);
}

static int
enter_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int
remove_directory(void **state)
{
	(void)state;
	static const char *const files[] = {
	    "plain", "value", "nested", "ends",   "at",           "empty", "blank", "full", "huge",
	    "wide",  "half",  "nul",    "itself", "itself-first", "ping",  "pong",  "d0",   "d1",
	    "d2",    "d3",    "d4",     "d5",     "d6",           "d7",    "d8"};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlink(files[i]);
	return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__defaults),
	    cmocka_unit_test(test_parse__booleans),
	    cmocka_unit_test(test_parse__syntax),
	    cmocka_unit_test(test_parse__first_failing_or_acting_flag_wins),
	    cmocka_unit_test(test_parse__int),
	    cmocka_unit_test(test_parse__uint),
	    cmocka_unit_test(test_parse__duration),
	    cmocka_unit_test(test_parse__duration_with_a_maximum),
	    cmocka_unit_test(test_parse__choices),
	    cmocka_unit_test(test_parse__queue_flags_given),
	    cmocka_unit_test(test_parse__lists),
	    cmocka_unit_test(test_parse__list_length),
	    cmocka_unit_test(test_parse__at_least_one_listener),
	    cmocka_unit_test(test_parse__unixsocket_mode),
	    cmocka_unit_test(test_parse__web),
	    cmocka_unit_test(test_parse__self_metrics_prefix),
	    cmocka_unit_test(test_parse__program_name),
	    cmocka_unit_test(test_parse__long_arguments),
	    cmocka_unit_test(test_parse__value_length),
	    cmocka_unit_test(test_parse__argument_file),
	    cmocka_unit_test(test_parse__hostile_argument_files),
	    cmocka_unit_test(test_parse__idle_flags),
	    cmocka_unit_test(test_parse__idle_flags_beside_systemd),
	    cmocka_unit_test(test_help__every_flag_within_80_columns),
	    cmocka_unit_test(test_completion__lists_what_can_be_given),
	    cmocka_unit_test(test_markdown__one_row_for_each_flag),
	    cmocka_unit_test(test_version__six_lines),
	};
	return cmocka_run_group_tests(tests, enter_directory, remove_directory);
}
