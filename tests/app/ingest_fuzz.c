/*
 * Any bytes as payloads: every line and sample stays accounted for, a scrape stays well formed, and
 * known spellings count as new ones do.
 *
 * The first byte chooses the options. The rest is cut at each byte 0x1e: a second passes, and the
 * next payload goes to the next thread.
 */
#include "app/exposition_check.h"
#include "app/pipeline.h"

#include <jansson.h>

#define PAYLOAD_END '\x1e'
#define THREADS 2

enum {
	OPTION_NO_MAPPING = 1,
	OPTION_ABSOLUTE = 2,
	OPTION_NO_CONTAINER = 4,
	OPTION_FEW = 8,
	OPTION_SETS = 16
};

static const char mapping[] =
    "defaults:\n"
    "  ttl: 4s\n"
    "  observer_type: histogram\n"
    "  histogram_options: {buckets: [0.1, 1, 5]}\n"
    "labels: {file: one}\n"
    "tags: {drop: [host], rename: {dc: region, le: bound}}\n"
    "max_values: {k: 1, n: 2}\n"
    "mappings:\n"
    "- {match: 'w.*', name: 'web', labels: {page: '$1', k: rule}}\n"
    "- {match: 'o.*', name: '$1', labels: {k: rule}, honor_labels: true}\n"
    "- {match: 'd.*', action: drop}\n"
    "- {match: 't.*', name: 'traced_$1', exemplar_tag: k, zero_first: 1s}\n"
    "- {match: 'u.*', name: 'u_${1}_total', exemplar_tag: abcdefghijklmnopqrstuvwxyz}\n"
    "- {match: 'v.*', name: 'v_${1}_total', exemplar_tag: k, match_metric_type: counter}\n"
    "- {match: 'v.*', name: 'v_$1', exemplar_tag: k}\n"
    "- {match: 's.*', name: s, observer_type: summary, labels: {n: '$1'}}\n"
    "- {match: 'x.*', name: 'scaled_$1', scale: -2}\n"
    "- {match: '^e(.*)$', match_type: regex, name: '$1', labels: {e: '$1$1'}}\n";

static struct pipeline
new_pipeline(unsigned options)
{
	static const struct span reserved = {"statsbridge_lines_total", 23};
	struct pipeline p;
	struct diag diag = DIAG_INIT;
	struct bridge_settings settings = pipeline_defaults();
	settings.threads = THREADS;
	settings.max_series = options & OPTION_FEW ? 3 : 200;
	settings.signed_gauges_absolute = options & OPTION_ABSOLUTE;
	settings.statsd.container_id_label = !(options & OPTION_NO_CONTAINER);
	settings.statsd.sets = options & OPTION_SETS;
	settings.reserved = &reserved;
	settings.reserved_count = 1;
	clock_fake(0);
	CHECK(pipeline_init(&p, settings, options & OPTION_NO_MAPPING ? NULL : mapping, &diag));
	diag_fini(&diag);
	return p;
}

/* The list of unmapped names is JSON, and holds all that was counted. */
static void
check_unmapped(struct span text, uint64_t events)
{
	json_t *root = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, NULL);
	CHECK(root);
	json_t *names = json_object_get(root, "names"), *name;
	json_t *left_out = json_object_get(json_object_get(root, "left_out"), "events");
	uint64_t sum = (uint64_t)json_integer_value(left_out);
	size_t i;
	json_array_foreach(names, i, name) sum +=
	    (uint64_t)json_integer_value(json_object_get(name, "count"));
	CHECK(sum == events);
	json_decref(root);
}

typedef const char *find_fault_fn(struct span text, struct span *where);

/* Appends what a scrape shows in a format, which `find_fault` reads. */
static void
see_as(struct pipeline *p, enum exposition_format format, find_fault_fn *find_fault,
       struct buf *text)
{
	size_t start = text->len;
	struct span where = SPAN("");
	pipeline_expose_as(p, format, text);
	const char *fault = find_fault(span_from(buf_span(text), start), &where);
	if (fault)
		fprintf(stderr, "%s: %.*s\n", fault, SPAN_ARGS(where));
	CHECK(!fault);
}

/* @return a text of everything there is to see: scrapes, counters, unmapped names */
static struct buf
see(struct pipeline *p)
{
	struct buf text = BUF_INIT;
	see_as(p, EXPOSITION_TEXT_0_0_4, exposition_find_fault, &text);
	see_as(p, EXPOSITION_OPENMETRICS_1_0_0, openmetrics_find_fault, &text);
	pipeline_expose_as(p, EXPOSITION_PROTOBUF, &text);
	struct account *account = pipeline_account(p);
	CHECK(account_is_balanced(account));
	account_format(account, &text);
	size_t start = text.len;
	bridge_write_unmapped(p->bridge, &text);
	check_unmapped(span_from(buf_span(&text), start),
		       account_get(account, ACCOUNT_EVENTS_UNMAPPED));
	free(account);
	return text;
}

static struct buf
replay(struct span input, unsigned options, bool as_new)
{
	struct pipeline p = new_pipeline(options);
	for (unsigned turn = 0;; turn++) {
		const char *end = span_find(input, PAYLOAD_END);
		size_t len = end ? (size_t)(end - input.ptr) : input.len;
		if (as_new)
			atomic_fetch_add(&p.bridge->rules, 1);
		pipeline_send(&p, turn % THREADS, span_first(input, len));
		if (!end)
			break;
		input = span_from(input, len + 1);
		clock_fake((int64_t)(turn + 1) * 1000000);
		pipeline_tick(&p);
	}
	struct buf seen = see(&p);
	pipeline_fini(&p);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > STATSD_LINE_MAX)
		return 0;
	struct span input = span_of((const char *)data + 1, size - 1);
	struct buf known = replay(input, data[0], false);
	struct buf new = replay(input, data[0], true);
	if (!span_equal(buf_span(&known), buf_span(&new)))
		fprintf(stderr, "known:\n%s\nnew:\n%s\n", buf_text(&known), buf_text(&new));
	CHECK(span_equal(buf_span(&known), buf_span(&new)));
	buf_fini(&known);
	buf_fini(&new);
	return 0;
}
