#include "targets/document.h"

#include "base/alloc.h"
#include "base/excerpt.h"
#include "model/name.h"

#include <jansson.h>
#include <stdlib.h>

/* What is known of the document while it is read. */
struct reading {
	struct buf *error;
	struct buf text;
	size_t element;
	size_t targets;
};

static const char *
type_text(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

static struct span
string_span(const json_t *json)
{
	return span_of(json_string_value(json), json_string_length(json));
}

/* A key of an object; those with a NUL byte were refused by the parser. */
static void
add_key(struct buf *error, struct span key)
{
	char shown[EXCERPT_SIZE];
	if (name_is_legal(key) && key.len < EXCERPT_SIZE)
		buf_printf(error, ".%.*s", SPAN_ARGS(key));
	else
		buf_printf(error, "[%s]", excerpt_quote(key, shown));
}

/* Begins an error about a part of the element; the caller adds what is wrong. @return false */
static bool
fail_element(struct reading *reading, const char *part, const char *wrong)
{
	buf_printf(reading->error, "[%zu]%s: %s", reading->element, part, wrong);
	return false;
}

static bool
fail_label(struct reading *reading, struct span name, const char *wrong)
{
	buf_printf(reading->error, "[%zu].labels", reading->element);
	add_key(reading->error, name);
	buf_printf(reading->error, ": %s", wrong);
	return false;
}

/* A label whose name or value has more than `most` bytes. */
static bool
fail_length(struct reading *reading, struct span name, int most)
{
	fail_label(reading, name, "longer than ");
	buf_printf(reading->error, "%d bytes", most);
	return false;
}

static bool
fail_target(struct reading *reading, size_t index, const char *wrong)
{
	buf_printf(reading->error,
		   "[%zu].targets[%zu]: expected a text such as \"host:port\", got %s",
		   reading->element, index, wrong);
	return false;
}

/*
 * Prometheus takes nearly anything for a target, since its relabelling rules may make an address of
 * it (a probe's target is often a URL). What can never be meant is refused.
 */
static bool
check_target(struct reading *reading, size_t index, const json_t *json)
{
	char shown[EXCERPT_SIZE];
	if (!json_is_string(json))
		return fail_target(reading, index, type_text(json));
	struct span target = string_span(json);
	if (!target.len)
		return fail_target(reading, index, "an empty one");
	if (target.len > TARGET_BYTES_MAX) {
		buf_printf(reading->error, "[%zu].targets[%zu]: longer than %d bytes",
			   reading->element, index, TARGET_BYTES_MAX);
		return false;
	}
	for (size_t i = 0; i < target.len; i++) {
		if ((unsigned char)target.ptr[i] <= ' ' || target.ptr[i] == 0x7f)
			return fail_target(reading, index, excerpt_quote(target, shown));
	}
	return true;
}

static bool
check_targets(struct reading *reading, const json_t *list)
{
	if (!list)
		return fail_element(reading, "", "\"targets\" is missing");
	if (!json_is_array(list)) {
		fail_element(reading, ".targets", "expected an array of strings, got ");
		buf_add_text(reading->error, type_text(list));
		return false;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!check_target(reading, i, json_array_get(list, i)))
			return false;
	}
	reading->targets += json_array_size(list);
	if (reading->targets <= DOCUMENT_TARGETS_MAX)
		return true;
	buf_printf(reading->error,
		   "[%zu].targets: more than %d targets in the document; spread them "
		   "over several groups",
		   reading->element, DOCUMENT_TARGETS_MAX);
	return false;
}

/* Of the names that Prometheus keeps for itself, those that tell it how to scrape or are there for
 * relabelling. The others would name the metric or the target anew. */
static bool
is_reserved_label(struct span name)
{
	static const struct span taken[] = {SPAN("__metrics_path__"), SPAN("__scheme__"),
					    SPAN("__scrape_interval__"),
					    SPAN("__scrape_timeout__")};
	if (!label_name_is_reserved(name) || span_starts(name, SPAN("__meta_")) ||
	    span_starts(name, SPAN("__param_")))
		return false;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (span_equal(name, taken[i]))
			return false;
	}
	return true;
}

static bool
check_label(struct reading *reading, struct span name, const json_t *value)
{
	if (!name_is_legal(name))
		return fail_label(reading, name,
				  "a label name consists of letters, digits and '_', and does not "
				  "start with a digit");
	if (name.len > LABEL_NAME_BYTES_MAX)
		return fail_length(reading, name, LABEL_NAME_BYTES_MAX);
	if (is_reserved_label(name))
		return fail_label(reading, name,
				  "Prometheus keeps names that start with \"__\" for itself; taken "
				  "are __meta_*, __param_*, __metrics_path__, __scheme__, "
				  "__scrape_interval__ and __scrape_timeout__");
	if (!json_is_string(value)) {
		fail_label(reading, name, "expected a string, got ");
		buf_add_text(reading->error, type_text(value));
		return false;
	}
	if (json_string_length(value) > LABEL_VALUE_BYTES_MAX)
		return fail_length(reading, name, LABEL_VALUE_BYTES_MAX);
	return true;
}

static bool
check_labels(struct reading *reading, json_t *labels)
{
	const char *key;
	size_t key_len;
	json_t *value;
	if (!json_is_object(labels)) {
		fail_element(reading, ".labels", "expected an object of strings, got ");
		buf_add_text(reading->error, type_text(labels));
		return false;
	}
	if (json_object_size(labels) > TARGET_LABELS_MAX) {
		buf_printf(reading->error, "[%zu].labels: more than %d labels", reading->element,
			   TARGET_LABELS_MAX);
		return false;
	}
	json_object_keylen_foreach(labels, key, key_len, value)
	{
		if (!check_label(reading, span_of(key, key_len), value))
			return false;
	}
	return true;
}

static bool
check_keys(struct reading *reading, json_t *element)
{
	const char *key;
	size_t key_len;
	json_t *value;
	json_object_keylen_foreach(element, key, key_len, value)
	{
		struct span name = span_of(key, key_len);
		if (span_equal(name, SPAN("targets")) || span_equal(name, SPAN("labels")))
			continue;
		buf_printf(reading->error, "[%zu]", reading->element);
		add_key(reading->error, name);
		buf_add_text(reading->error,
			     ": unknown key; an element has \"targets\" and \"labels\"");
		return false;
	}
	return true;
}

static int
append(const char *bytes, size_t len, void *ctx)
{
	buf_add(ctx, bytes, len);
	return 0;
}

/* Clients written in Go send null for a map that was never made. */
static bool
has_labels(const json_t *labels)
{
	return labels && !json_is_null(labels) &&
	       !(json_is_object(labels) && json_object_size(labels) == 0);
}

static bool
read_element(struct reading *reading, json_t *element)
{
	if (!json_is_object(element)) {
		fail_element(reading, "", "expected an object with \"targets\", got ");
		buf_add_text(reading->error, type_text(element));
		return false;
	}
	json_t *targets = json_object_get(element, "targets");
	json_t *labels = json_object_get(element, "labels");
	if (!check_keys(reading, element) || !check_targets(reading, targets) ||
	    (has_labels(labels) && !check_labels(reading, labels)))
		return false;
	if (reading->element)
		buf_add_byte(&reading->text, ',');
	json_t *shown = json_object();
	CHECK(json_object_set(shown, "targets", targets) == 0);
	if (has_labels(labels))
		CHECK(json_object_set(shown, "labels", labels) == 0);
	CHECK(json_dump_callback(shown, append, &reading->text, JSON_COMPACT | JSON_SORT_KEYS) ==
	      0);
	json_decref(shown);
	return true;
}

bool
document_read(const json_t *json, struct document *out, struct buf *error)
{
	struct reading reading = {.error = error, .text = BUF_INIT};
	if (!json_is_array(json)) {
		buf_printf(error,
			   "expected an array of {\"targets\": [...], \"labels\": {...}}, "
			   "got %s",
			   type_text(json));
		return false;
	}
	size_t count = json_array_size(json);
	if (count > DOCUMENT_TARGETS_MAX) {
		buf_printf(error, "more than %d elements", DOCUMENT_TARGETS_MAX);
		return false;
	}
	bool is_good = true;
	for (; is_good && reading.element < count; reading.element++)
		is_good = read_element(&reading, json_array_get(json, reading.element));
	if (is_good) {
		out->text = xmemdup0(buf_span(&reading.text).ptr, reading.text.len);
		out->len = reading.text.len;
		out->targets = (unsigned)reading.targets;
	}
	buf_fini(&reading.text);
	return is_good;
}

static const char *
fault_text(enum json_error_code code)
{
	switch (code) {
	case json_error_premature_end_of_input:
		return "it ends too early";
	case json_error_end_of_input_expected:
		return "something follows its end";
	case json_error_invalid_utf8:
		return "invalid UTF-8";
	case json_error_stack_overflow:
		return "nested too deep";
	case json_error_numeric_overflow:
		return "a number is too large";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL character";
	case json_error_duplicate_key:
		return "a key is there twice";
	default:
		return "invalid syntax";
	}
}

json_t *
json_parse(struct span text, unsigned *line, unsigned *column, struct buf *error)
{
	json_error_t fault;
	json_t *json =
	    json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
	if (json)
		return json;
	*line = fault.line > 0 ? (unsigned)fault.line : 1;
	*column = fault.column > 0 ? (unsigned)fault.column : 1;
	buf_printf(error, "not JSON: %s", fault_text(json_error_code(&fault)));
	return NULL;
}

bool
document_parse(struct span text, struct document *out, struct buf *error)
{
	unsigned line, column;
	struct buf wrong = BUF_INIT;
	if (text.len > DOCUMENT_BYTES_MAX) {
		buf_printf(error, "longer than %zu bytes", DOCUMENT_BYTES_MAX);
		return false;
	}
	json_t *json = json_parse(text, &line, &column, &wrong);
	if (!json)
		buf_printf(error, "line %u, column %u: %s", line, column, buf_text(&wrong));
	bool is_good = json && document_read(json, out, error);
	json_decref(json);
	buf_fini(&wrong);
	return is_good;
}

void
document_fini(struct document *document)
{
	free(document->text);
	*document = (struct document){0};
}
