#include "test.h"

#include "app/telemetry.h"

#include "app/exposition_check.h"
#include "app/pipeline.h"

#define OWN_METRICS_MIN 60

/* ---- A daemon's parts without sockets. ---- */

struct parts {
	struct telemetry_names names;
	struct pipeline pipeline;
	struct options options;
	struct stream_limit *limit;
	struct worker *worker;
	struct listeners listeners;
	struct http_stats http;
	struct secure_file web_file;
	struct control_counters control;
	struct target_api targets;
	struct remote_write *remote_write;
	struct telemetry_sources sources;
};

static void
parts_init_mapped(struct parts *parts, const char *prefix, bool process, const char *mapping)
{
	static char name[] = "statsbridge", no_process[] = "--no-web.process-metrics";
	static char url[] = "--remote-write.url=http://[::1]:1/";
	char *argv[] = {name, url, no_process, NULL};
	struct buf out = BUF_INIT;
	struct diag diag = DIAG_INIT;
	*parts = (struct parts){0};
	assert_int_equal(options_parse(process ? 2 : 3, argv, &parts->options, &out), OPTIONS_RUN);
	buf_fini(&out);
	clock_fake(0);
	telemetry_names_init(&parts->names, prefix, process);
	struct bridge_settings settings = pipeline_defaults();
	settings.prefix = prefix;
	settings.reserved = parts->names.names;
	settings.reserved_count = parts->names.count;
	assert_true(pipeline_init(&parts->pipeline, settings, mapping, &diag));
	diag_fini(&diag);
	parts->limit = stream_limit_new(10);
	parts->worker = worker_new(parts->pipeline.bridge, parts->limit, &parts->options, 0);
	parts->control = (struct control_counters){.reloads_ok = 1, .reloads_failed = 2};
	struct target_limits limits = {.changes = 1, .answer_us = 1};
	parts->targets.store = target_store_new(NULL, "", &limits, &diag);
	parts->remote_write = remote_write_new(NULL, &parts->options, &parts->sources,
					       parts->pipeline.bridge->registry);
	parts->web_file = (struct secure_file){.name = "web", .path = "web.yml", .reloads_failed = 1};
	parts->sources = (struct telemetry_sources){
	    .bridge = parts->pipeline.bridge,
	    .options = &parts->options,
	    .workers = &parts->worker,
	    .worker_count = 1,
	    .listeners = &parts->listeners,
	    .streams = parts->limit,
	    .http = &parts->http,
	    .secure_files = {&parts->web_file},
	    .control = &parts->control,
	    .targets = &parts->targets,
	    .remote_write = parts->remote_write,
	};
}

static void
parts_init(struct parts *parts, const char *prefix, bool process)
{
	parts_init_mapped(parts, prefix, process, NULL);
}

static void
parts_fini(struct parts *parts)
{
	remote_write_free(&parts->remote_write, 0);
	target_store_free(&parts->targets.store);
	worker_free(&parts->worker);
	stream_limit_free(&parts->limit);
	pipeline_fini(&parts->pipeline);
	telemetry_names_fini(&parts->names);
	options_fini(&parts->options);
}

/* A scrape as app/scrape makes it, checked. */
static struct buf
scrape(struct parts *parts)
{
	struct reader *all = telemetry_reader_new(
	    &parts->sources, registry_births(parts->sources.bridge->registry));
	struct exposition_writer *writer = exposition_writer_new(EXPOSITION_TEXT_0_0_4, false, &all);
	struct buf text = BUF_INIT;
	struct span where;
	buf_add_byte(&text, '\n');
	while (!exposition_writer_fill(writer, &text, text.len + 1))
		;
	exposition_writer_free(&writer);
	const char *fault = exposition_find_fault(span_from(buf_span(&text), 1), &where);
	if (fault)
		fail_msg("%s: %.*s", fault, SPAN_ARGS(where));
	return text;
}

static void
assert_shown(struct buf *text, const char *line)
{
	if (!strstr(buf_text(text), line))
		fail_msg("no%s in%s", line, buf_text(text));
}

/* ---- Names. ---- */

static bool
has_name(const struct telemetry_names *names, struct span name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (span_equal(names->names[i], name))
			return true;
	}
	return false;
}

static void
test_names__legal_and_unique(void **state)
{
	(void)state;
	static const char *const prefixes[] = {"statsbridge", "statsd_exporter", "x"};
	for (size_t p = 0; p < 3; p++) {
		struct telemetry_names names;
		telemetry_names_init(&names, prefixes[p], true);
		assert_true(names.count >= OWN_METRICS_MIN);
		for (size_t i = 0; i < names.count; i++) {
			struct telemetry_names others = {names.names, i};
			assert_true(name_is_legal(names.names[i]));
			if (has_name(&others, names.names[i]))
				fail_msg("%.*s twice", SPAN_ARGS(names.names[i]));
		}
		telemetry_names_fini(&names);
	}
}

static void
test_names__process_metrics_are_optional(void **state)
{
	(void)state;
	struct telemetry_names with, without;
	telemetry_names_init(&with, "statsbridge", true);
	telemetry_names_init(&without, "statsbridge", false);
	for (size_t i = 0; i < with.count; i++) {
		bool is_process = span_starts(with.names[i], SPAN("process_"));
		assert_int_equal(has_name(&without, with.names[i]), !is_process);
	}
	assert_true(without.count < with.count);
	telemetry_names_fini(&with);
	telemetry_names_fini(&without);
}

/* One gauge is called a total there. */
static void
test_names__of_statsd_exporter(void **state)
{
	(void)state;
	struct telemetry_names names;
	telemetry_names_init(&names, "statsd_exporter", true);
	assert_true(has_name(&names, SPAN("statsd_exporter_metrics_total")));
	assert_false(has_name(&names, SPAN("statsd_exporter_metrics")));
	assert_true(has_name(&names, SPAN("statsd_exporter_lines_total")));
	telemetry_names_fini(&names);
}

struct row {
	const char *name, *type, *help;
};

static const struct row rows[] = {
#define OWN(id, suffix, type, help) {"statsbridge_" suffix, #type, help},
#define NAMED(id, name, type, help) {name, #type, help},
#define PROCESS NAMED
#include "app/telemetry.def"
#undef OWN
#undef NAMED
#undef PROCESS
};

static void
test_table__every_metric_has_type_and_help(void **state)
{
	(void)state;
	struct telemetry_names names;
	size_t count = sizeof(rows) / sizeof(rows[0]);
	telemetry_names_init(&names, "statsbridge", true);
	assert_int_equal(count, names.count);
	for (size_t i = 0; i < count; i++) {
		bool is_counter = strcmp(rows[i].type, "COUNTER") == 0;
		bool is_total = span_ends(span_text(rows[i].name), SPAN("_total"));
		assert_true(is_counter || strcmp(rows[i].type, "GAUGE") == 0);
		if (is_counter != is_total)
			fail_msg("%s is a %s", rows[i].name, rows[i].type);
		if (strlen(rows[i].help) < 10 || rows[i].help[strlen(rows[i].help) - 1] != '.')
			fail_msg("%s has no help: %s", rows[i].name, rows[i].help);
		assert_true(has_name(&names, span_text(rows[i].name)));
	}
	telemetry_names_fini(&names);
}

/* ---- Reserved names. ---- */

static void
test_reserved__own_names_are_conflicts(void **state)
{
	(void)state;
	static const char *const types[] = {"c", "g", "ms", "h"};
	struct parts parts;
	parts_init(&parts, "statsbridge", true);
	for (size_t i = 0; i < parts.names.count; i++) {
		for (size_t t = 0; t < 4; t++) {
			struct buf line = BUF_INIT;
			buf_printf(&line, "%.*s:1|%s", SPAN_ARGS(parts.names.names[i]), types[t]);
			pipeline_send(&parts.pipeline, 0, buf_span(&line));
			for (size_t c = 0; c < parts.names.names[i].len; c++)
				line.ptr[c] = line.ptr[c] == '_' ? '.' : line.ptr[c];
			pipeline_send(&parts.pipeline, 0, buf_span(&line));
			buf_fini(&line);
		}
	}
	struct account *account = pipeline_account(&parts.pipeline);
	assert_int_equal(account_get(account, ACCOUNT_SAMPLES_DROPPED + DROP_CONFLICT),
			 parts.names.count * 8);
	assert_int_equal(account_get(account, ACCOUNT_SAMPLES_APPLIED), 0);
	free(account);
	struct buf text = scrape(&parts);
	assert_shown(&text, "\nstatsbridge_events_conflict_total{"
			    "metric_name=\"statsbridge_lines_total\",type=\"observer\"} 4\n");
	buf_fini(&text);
	parts_fini(&parts);
}

static void
test_reserved__other_names_are_free(void **state)
{
	(void)state;
	struct parts parts;
	parts_init(&parts, "statsd_exporter", false);
	pipeline_send(&parts.pipeline, 0,
		      SPAN("statsbridge_lines_total:5|c\ngo_goroutines:7|g\n"
			   "process_open_fds:9|g\nstatsd_exporter_lines_total:1|c\n"
			   "promhttp_metric_handler_requests_total:3|c"));
	struct buf text = scrape(&parts);
	assert_shown(&text, "\nstatsbridge_lines_total 5\n");
	assert_shown(&text, "\ngo_goroutines 7\n");
	assert_shown(&text, "\nprocess_open_fds 9\n");
	assert_shown(&text, "\npromhttp_metric_handler_requests_total 3\n");
	assert_shown(&text, "\nstatsd_exporter_lines_total 5\n");
	assert_shown(&text, "\nstatsd_exporter_samples_dropped_total{reason=\"conflict\"} 1\n");
	assert_shown(&text, "# HELP go_goroutines Metric autogenerated by statsd_exporter.\n");
	assert_null(strstr(buf_text(&text), "# TYPE process_cpu_seconds_total"));
	buf_fini(&text);
	parts_fini(&parts);
}

/* ---- Values. ---- */

/* Only these have nothing to show here: no sockets, no relays, no rules, no certificates. */
static bool
may_be_absent(struct span name)
{
	return span_starts(name, SPAN("statsbridge_relay_")) ||
	       span_starts(name, SPAN("statsbridge_socket_")) ||
	       span_starts(name, SPAN("statsbridge_tls_certificate_")) ||
	       span_starts(name, SPAN("statsbridge_label_values")) ||
	       span_equal(name, SPAN("statsbridge_events_actions_total")) ||
	       span_equal(name, SPAN("statsbridge_mapping_match_limit_hits_total"));
}

static void
test_scrape__shows_every_own_metric(void **state)
{
	(void)state;
	struct parts parts;
	parts_init(&parts, "statsbridge", true);
	pipeline_send(&parts.pipeline, 0, SPAN("a:1|c\na:1|g\na:-1|c\na:x|c\nbad\na:1|c|?"));
	struct buf text = scrape(&parts);
	for (size_t i = 0; i < parts.names.count; i++) {
		struct buf type = BUF_INIT;
		buf_printf(&type, "\n# TYPE %.*s ", SPAN_ARGS(parts.names.names[i]));
		bool is_shown = strstr(buf_text(&text), buf_text(&type)) != NULL;
		if (is_shown == may_be_absent(parts.names.names[i]))
			fail_msg("%.*s", SPAN_ARGS(parts.names.names[i]));
		buf_fini(&type);
	}
	buf_fini(&text);
	parts_fini(&parts);
}

static void
test_scrape__values(void **state)
{
	(void)state;
	struct parts parts;
	parts_init(&parts, "statsbridge", true);
	pipeline_send(&parts.pipeline, 0,
		      SPAN("a:1|c\na:2|c\na:1|g\nb:-1|c\nbad\n\nt:1:2:x|ms|@0.5|#k:v,bad\n"
			   "_e{1,1}:a|b\n_sc|n|0\n_e{1,1}:\xc3\xa9|b\ng:1|g|#q:1\ng:1|g|#q:2"));
	struct buf text = scrape(&parts);
	static const char *const want[] = {
	    "lines_total 12",
	    "lines_empty_total 1",
	    "lines_refused_total{reason=\"malformed_line\"} 1",
	    "lines_event_total 2",
	    "lines_check_total 1",
	    "lines_with_samples_total 7",
	    "event_repairs_total 1",
	    "samples_total 9",
	    "samples_applied_total 6",
	    "samples_dropped_total{reason=\"conflict\"} 1",
	    "samples_dropped_total{reason=\"illegal_negative_counter\"} 1",
	    "samples_dropped_total{reason=\"malformed_value\"} 1",
	    "sample_errors_total{reason=\"malformed_line\"} 1",
	    "sample_errors_total{reason=\"malformed_value\"} 1",
	    "tags_total 4",
	    "tag_errors_total 2",
	    "events_total{type=\"counter\"} 2",
	    "events_total{type=\"gauge\"} 2",
	    "events_total{type=\"observer\"} 4",
	    "events_unmapped_total 10",
	    "events_error_total{reason=\"illegal_negative_counter\"} 1",
	    "events_conflict_total{metric_name=\"a\",type=\"gauge\"} 1",
	    "event_queue_flushed_total 0",
	    "metrics{type=\"counter\"} 1",
	    "metrics{type=\"gauge\"} 1",
	    "metrics{type=\"summary\"} 1",
	    "series{type=\"counter\"} 1",
	    "series{type=\"gauge\"} 2",
	    "series{type=\"histogram\"} 0",
	    "series{type=\"summary\"} 1",
	    "families 3",
	    "series_limit 10000",
	    "ingest_threads 1",
	    "loaded_mappings 0",
	    "config_reloads_total{outcome=\"failure\"} 2",
	    "config_reloads_total{outcome=\"success\"} 1",
	    "listeners_up 1",
	};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct buf line = BUF_INIT;
		buf_printf(&line, "\nstatsbridge_%s\n", want[i]);
		assert_shown(&text, buf_text(&line));
		buf_fini(&line);
	}
	buf_fini(&text);
	parts_fini(&parts);
}

/* A client's metric may be called what the rest of the conflicts is counted as. */
static void
test_scrape__conflict_of_a_metric_named_other(void **state)
{
	(void)state;
	struct parts parts;
	parts_init(&parts, "statsbridge", true);
	pipeline_send(&parts.pipeline, 0, SPAN("other:1|g\nother:1|c"));
	struct buf line = BUF_INIT;
	for (unsigned i = 0; i < CONFLICT_NAMES_MAX + 10; i++) {
		buf_reset(&line);
		buf_printf(&line, "n%u:1|g\nn%u:1|c", i, i);
		pipeline_send(&parts.pipeline, 0, buf_span(&line));
	}
	buf_fini(&line);
	struct buf text = scrape(&parts);
	assert_shown(&text, "\nstatsbridge_events_conflict_total{"
			    "metric_name=\"other\",type=\"counter\"} 11\n");
	buf_fini(&text);
	parts_fini(&parts);
}

/* Rules for several types share a match. */
static void
test_scrape__match_limit_hits_of_rules_with_one_match(void **state)
{
	(void)state;
	static const char name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
	struct parts parts;
	parts_init_mapped(
	    &parts, "statsbridge", true,
	    "mappings:\n"
	    "- {match: '^(a+)+$', match_type: regex, match_metric_type: counter, name: x}\n"
	    "- {match: '^(a+)+$', match_type: regex, match_metric_type: gauge, name: y}\n"
	    "- {match: '^((a+)+)$', match_type: regex, match_metric_type: gauge, name: y}\n");
	struct buf line = BUF_INIT;
	buf_printf(&line, "%s:1|c\n%s:1|g", name, name);
	pipeline_send(&parts.pipeline, 0, buf_span(&line));
	buf_fini(&line);
	struct buf text = scrape(&parts);
	assert_shown(&text, "\nstatsbridge_mapping_match_limit_hits_total{match=\"^(a+)+$\"} 2\n");
	assert_shown(&text,
		     "\nstatsbridge_mapping_match_limit_hits_total{match=\"^((a+)+)$\"} 1\n");
	buf_fini(&text);
	parts_fini(&parts);
}

/* Shows `suffix{file="<the mapping file>",label="label"} value`. */
static void
assert_label_shown(struct parts *parts, struct buf *text, const char *suffix, const char *label,
		   unsigned value)
{
	struct buf line = BUF_INIT;
	buf_printf(&line, "\nstatsbridge_%s{file=\"%s\",label=\"%s\"} %u\n", suffix,
		   parts->pipeline.mapping->paths[0], label, value);
	assert_shown(text, buf_text(&line));
	buf_fini(&line);
}

static void
test_scrape__limited_labels(void **state)
{
	(void)state;
	struct parts parts;
	parts_init_mapped(&parts, "statsbridge", true, "max_values: {user: 1, page: 5}\n");
	pipeline_send(&parts.pipeline, 0,
		      SPAN("a:1|c|#user:ann,page:1\na:1|c|#user:bob,page:2\na:1|c|#user:cid"));
	struct buf text = scrape(&parts);
	assert_label_shown(&parts, &text, "label_values", "user", 1);
	assert_label_shown(&parts, &text, "label_values", "page", 2);
	assert_label_shown(&parts, &text, "label_values_replaced_total", "user", 2);
	assert_label_shown(&parts, &text, "label_values_replaced_total", "page", 0);
	buf_fini(&text);
	parts_fini(&parts);
}

/* Files come and go with reloads; what they limit is counted apart only so often. */
static void
test_scrape__more_limited_labels_than_are_counted_apart(void **state)
{
	(void)state;
	struct parts parts;
	struct diag diag = DIAG_INIT;
	parts_init_mapped(&parts, "statsbridge", true, "max_values: {user: 1}\n");
	struct bridge *bridge = parts.pipeline.bridge;
	for (unsigned i = 0; i < LIMITED_LABELS_MAX; i++) {
		char path[16];
		snprintf(path, sizeof(path), "gone-%u", i);
		struct span label = SPAN("user");
		assert_true(value_limits_scope(bridge->limits, span_text(path), &label, 1) > 0);
	}
	pipeline_write_mapping(&parts.pipeline, 0, SPAN("max_values: {user: 1, page: 1}\n"));
	assert_true(bridge_reload(bridge, &diag));
	pipeline_send(&parts.pipeline, 0,
		      SPAN("a:1|c|#user:ann,page:1\na:1|c|#user:bob,page:2\na:1|c|#page:3"));
	struct buf text = scrape(&parts);
	assert_label_shown(&parts, &text, "label_values", "page", 1);
	assert_label_shown(&parts, &text, "label_values_replaced_total", "user", 1);
	assert_shown(&text, "\nstatsbridge_label_values_replaced_total{file=\"other\","
			    "label=\"other\"} 2\n");
	buf_fini(&text);
	diag_fini(&diag);
	parts_fini(&parts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names__legal_and_unique),
	    cmocka_unit_test(test_names__process_metrics_are_optional),
	    cmocka_unit_test(test_names__of_statsd_exporter),
	    cmocka_unit_test(test_table__every_metric_has_type_and_help),
	    cmocka_unit_test(test_reserved__own_names_are_conflicts),
	    cmocka_unit_test(test_reserved__other_names_are_free),
	    cmocka_unit_test(test_scrape__shows_every_own_metric),
	    cmocka_unit_test(test_scrape__values),
	    cmocka_unit_test(test_scrape__conflict_of_a_metric_named_other),
	    cmocka_unit_test(test_scrape__match_limit_hits_of_rules_with_one_match),
	    cmocka_unit_test(test_scrape__limited_labels),
	    cmocka_unit_test(test_scrape__more_limited_labels_than_are_counted_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
