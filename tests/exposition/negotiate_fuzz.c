/*
 * Whatever a header says: an answer exists; case and empty list elements change nothing; gzip is
 * only given to who named it or "*"; a clause that cannot win changes nothing.
 */
#include "base/buf.h"
#include "exposition/negotiate.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROTO "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"

/* The content type stands for format and escaping. */
static const char *
choose(const struct buf *header)
{
	return exposition_content_type(exposition_negotiate(buf_span(header), true));
}

static bool
mentions(struct span header, const char *word)
{
	struct buf copy = BUF_INIT;
	buf_add_span(&copy, header);
	for (size_t i = 0; i < copy.len; i++) {
		if (!copy.ptr[i])
			copy.ptr[i] = ' ';
	}
	bool found = strcasestr(buf_text(&copy), word) != NULL;
	buf_fini(&copy);
	return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span header = span_of((const char *)data, size);
	struct exposition_choice choice = exposition_negotiate(header, true);
	const char *type = exposition_content_type(choice);
	bool gzip = exposition_negotiate_gzip(header);
	CHECK(type);
	CHECK(choice.format == EXPOSITION_TEXT_0_0_4 || mentions(header, "version") ||
	      mentions(header, "MetricFamily") || mentions(header, "openmetrics"));
	CHECK(exposition_negotiate(header, false).format < EXPOSITION_OPENMETRICS_0_0_1);
	CHECK(!gzip || mentions(header, "gzip") || mentions(header, "*"));

	struct buf other = BUF_INIT;
	for (size_t i = 0; i < size; i++) {
		char byte = header.ptr[i];
		buf_add_byte(&other, byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte);
	}
	CHECK(choose(&other) == type);
	CHECK(exposition_negotiate_gzip(buf_span(&other)) == gzip);

	buf_reset(&other);
	buf_add_text(&other, " ,\t, text/plain;q=0, " PROTO ";q=2;encoding=delimited, gzip;q=0 ,");
	buf_add_span(&other, header);
	CHECK(choose(&other) == type);
	CHECK(!exposition_negotiate_gzip(buf_span(&other)) || gzip);

	buf_reset(&other);
	buf_add_text(&other, PROTO ";encoding=delimited, gzip,");
	buf_add_span(&other, header);
	/* Nothing outweighs a first clause of full weight. */
	CHECK(exposition_negotiate(buf_span(&other), true).format == EXPOSITION_PROTOBUF);
	buf_fini(&other);
	return 0;
}
