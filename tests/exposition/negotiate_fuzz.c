/*
 * Whatever a header says: an answer exists; case and empty list elements change nothing; gzip is
 * only given to who named it or "*"; a clause that cannot win changes nothing.
 */
#include "base/buf.h"
#include "exposition/negotiate.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct media_offer offers[] = {
    {SPAN("text/plain"), SPAN("0.0.4"), {NULL, 0}, true},
    {SPAN("application/openmetrics-text"), SPAN("1.0.0"), {NULL, 0}, false},
    {SPAN("a/b"), {NULL, 0}, SPAN("p"), false},
};
#define OFFERS (sizeof(offers) / sizeof(offers[0]))

static size_t
choose(const struct buf *header)
{
	return exposition_negotiate_offer(buf_span(header), offers, OFFERS);
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
	size_t offer = exposition_negotiate_offer(header, offers, OFFERS);
	bool gzip = exposition_negotiate_gzip(header);
	CHECK(offer <= OFFERS);
	CHECK(exposition_negotiate_format(header) == EXPOSITION_TEXT_0_0_4);
	CHECK(!gzip || mentions(header, "gzip") || mentions(header, "*"));

	struct buf other = BUF_INIT;
	for (size_t i = 0; i < size; i++) {
		char byte = header.ptr[i];
		buf_add_byte(&other, byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte);
	}
	CHECK(choose(&other) == offer);
	CHECK(exposition_negotiate_gzip(buf_span(&other)) == gzip);

	buf_reset(&other);
	buf_add_text(&other, " ,\t, text/plain;q=0, a/b;q=2;proto=p, gzip;q=0 ,");
	buf_add_span(&other, header);
	CHECK(choose(&other) == offer);
	CHECK(!exposition_negotiate_gzip(buf_span(&other)) || gzip);

	buf_reset(&other);
	buf_add_text(&other, "a/b;proto=p, gzip,");
	buf_add_span(&other, header);
	CHECK(choose(&other) == 2); /* nothing outweighs a first clause of full weight */
	buf_fini(&other);
	return 0;
}
