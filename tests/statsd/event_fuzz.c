/*
 * Any bytes as an event and as a service check: what is understood, written out again, is the line.
 */
#include "statsd/event.h"

#include "base/buf.h"
#include "base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
header_len(struct span line)
{
	return (size_t)(span_find(line, ':') - line.ptr) + 1;
}

static void
check_event(struct span line)
{
	struct statsd_event event;
	size_t where = SIZE_MAX;
	enum statsd_reason reason = statsd_parse_event(line, &event, &where);
	if (reason) {
		CHECK(reason == STATSD_MALFORMED_EVENT && where <= line.len);
		return;
	}
	struct span body = span_from(line, header_len(line));
	CHECK(event.title.ptr == body.ptr && event.title.len);
	CHECK(event.title.ptr[event.title.len] == '|');
	CHECK(event.text.ptr == event.title.ptr + event.title.len + 1);
	CHECK(event.sections.ptr == event.text.ptr + event.text.len);
	CHECK(event.sections.ptr + event.sections.len == line.ptr + line.len);
	CHECK(!event.sections.len || event.sections.ptr[0] == '|');

	/* An event with true lengths is taken as sent. */
	struct buf again = BUF_INIT;
	buf_printf(&again, "_e{%zu,%zu}:", event.title.len, event.text.len);
	buf_add_span(&again, body);
	struct statsd_event second;
	CHECK(statsd_parse_event(buf_span(&again), &second, &where) == STATSD_OK);
	CHECK(second.repair == STATSD_EVENT_AS_SENT);
	CHECK(span_equal(second.title, event.title) && span_equal(second.text, event.text));
	CHECK(span_equal(second.sections, event.sections));
	buf_fini(&again);
}

static void
check_check(struct span line)
{
	struct statsd_check check;
	size_t where = SIZE_MAX;
	enum statsd_reason reason = statsd_parse_check(line, &check, &where);
	if (reason) {
		CHECK(reason == STATSD_MALFORMED_SERVICE_CHECK && where <= line.len);
		return;
	}
	CHECK(check.name.len && !span_find(check.name, '|') && check.status <= 3);
	CHECK(!check.sections.len || check.sections.ptr[0] == '|');
	struct buf again = BUF_INIT;
	buf_add_text(&again, "_sc|");
	buf_add_span(&again, check.name);
	buf_printf(&again, "|%u", check.status);
	buf_add_span(&again, check.sections);
	CHECK(span_equal(buf_span(&again), line));
	buf_fini(&again);
}

static void
check_with_prefix(const char *prefix, struct span rest, void (*check)(struct span line))
{
	struct buf line = BUF_INIT;
	buf_add_text(&line, prefix);
	buf_add_span(&line, rest);
	check(buf_span(&line));
	buf_fini(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_of((const char *)data, size);
	if (statsd_classify(line) == STATSD_LINE_EVENT)
		check_event(line);
	else if (statsd_classify(line) == STATSD_LINE_CHECK)
		check_check(line);
	check_with_prefix("_e{", line, check_event);
	check_with_prefix("_sc|", line, check_check);
	return 0;
}
