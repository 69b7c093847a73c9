#include "test.h"

#include "exposition/gzip.h"

#include <stdlib.h>
#include <zlib.h>

/* Unpacks one whole gzip member. @return the bytes, owned by the caller */
static struct buf
unpack(struct span packed)
{
	struct buf out = BUF_INIT;
	Bytef *copy = malloc(packed.len ? packed.len : 1);
	memcpy(copy, packed.ptr, packed.len);
	z_stream stream = {.next_in = copy, .avail_in = (uInt)packed.len};
	assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
	int result = Z_OK;
	while (result == Z_OK) {
		stream.next_out = (Bytef *)buf_reserve(&out, 65536);
		stream.avail_out = 65536;
		result = inflate(&stream, Z_NO_FLUSH);
		out.len += 65536 - stream.avail_out;
	}
	assert_int_equal(result, Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	inflateEnd(&stream);
	free(copy);
	return out;
}

/* Packs `in` in pieces of `piece` bytes, unpacks and compares. @return the packed size */
static size_t
assert_survives(struct span in, size_t piece, bool ends_empty)
{
	struct gzip *gzip = gzip_new();
	struct buf packed = BUF_INIT;
	struct span rest = in;
	while (rest.len > piece || (ends_empty && rest.len)) {
		size_t len = rest.len < piece ? rest.len : piece;
		gzip_add(gzip, span_first(rest, len), false, &packed);
		rest = span_from(rest, len);
	}
	gzip_add(gzip, rest, true, &packed);
	gzip_free(&gzip);
	assert_null(gzip);
	assert_false(buf_failed(&packed));
	struct buf unpacked = unpack(buf_span(&packed));
	assert_true(span_equal(buf_span(&unpacked), in));
	size_t len = packed.len;
	buf_fini(&packed);
	buf_fini(&unpacked);
	return len;
}

#define BIG 500000

/* A body such as scrapes are. */
static struct buf
sample_body(void)
{
	struct buf body = BUF_INIT;
	for (unsigned i = 0; body.len < BIG; i++)
		buf_printf(&body, "requests_total{path=\"/item/%u\",code=\"200\"} %u\n", i, i * i);
	return body;
}

static void
test_add__pieces_of_any_size(void **state)
{
	(void)state;
	static const size_t pieces[] = {1000, 4096, 65536, 100001, 10000000};
	struct buf body = sample_body();
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		assert_true(assert_survives(buf_span(&body), pieces[i], false) < body.len / 4);
		assert_survives(buf_span(&body), pieces[i], true);
	}
	assert_survives(span_first(buf_span(&body), 3000), 1, true);
	buf_fini(&body);
}

static void
test_add__what_does_not_compress(void **state)
{
	(void)state;
	char *noise = malloc(BIG);
	uint64_t x = 1;
	for (size_t i = 0; i < BIG; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		noise[i] = (char)(x >> 56);
	}
	assert_true(assert_survives(span_of(noise, BIG), 70000, false) < BIG + BIG / 50);
	assert_survives(span_of(noise, BIG), BIG, true);
	free(noise);
}

static void
test_add__little_or_nothing(void **state)
{
	(void)state;
	assert_true(assert_survives(SPAN(""), 1, false) < 64);
	assert_true(assert_survives(SPAN("a"), 1, false) < 64);
	assert_true(assert_survives(SPAN("a"), 1, true) < 64);
	struct gzip *gzip = gzip_new();
	struct buf packed = BUF_INIT;
	for (int i = 0; i < 10; i++)
		gzip_add(gzip, SPAN(""), false, &packed);
	gzip_add(gzip, SPAN(""), true, &packed);
	struct buf unpacked = unpack(buf_span(&packed));
	assert_int_equal(unpacked.len, 0);
	gzip_free(&gzip);
	gzip_free(&gzip);
	buf_fini(&packed);
	buf_fini(&unpacked);
}

static void
test_add__appends(void **state)
{
	(void)state;
	struct gzip *gzip = gzip_new();
	struct buf out = BUF_INIT;
	buf_add_text(&out, "before");
	gzip_add(gzip, SPAN("text"), true, &out);
	gzip_free(&gzip);
	assert_true(span_starts(buf_span(&out), SPAN("before\x1f\x8b\x08")));
	struct buf unpacked = unpack(span_from(buf_span(&out), strlen("before")));
	assert_span_equal(buf_span(&unpacked), "text");
	buf_fini(&out);
	buf_fini(&unpacked);
}

static void
test_add__output_with_a_cap(void **state)
{
	(void)state;
	struct buf body = sample_body();
	struct gzip *gzip = gzip_new();
	struct buf out;
	buf_init(&out, GZIP_STEP + 10);
	gzip_add(gzip, buf_span(&body), true, &out);
	assert_true(buf_failed(&out));
	gzip_free(&gzip);
	buf_fini(&out);
	buf_fini(&body);
}

static void
test_free__in_the_middle(void **state)
{
	(void)state;
	struct gzip *gzip = gzip_new();
	struct buf out = BUF_INIT;
	gzip_add(gzip, SPAN("text"), false, &out);
	gzip_free(&gzip);
	buf_fini(&out);
}

static void
test_library__is_named(void **state)
{
	(void)state;
#ifdef GZIP_USE_ZLIB
	assert_string_equal(gzip_library(), "zlib");
#else
	assert_true(strcmp(gzip_library(), "isa-l") == 0 || strcmp(gzip_library(), "zlib") == 0);
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add__pieces_of_any_size),
	    cmocka_unit_test(test_add__what_does_not_compress),
	    cmocka_unit_test(test_add__little_or_nothing),
	    cmocka_unit_test(test_add__appends),
	    cmocka_unit_test(test_add__output_with_a_cap),
	    cmocka_unit_test(test_free__in_the_middle),
	    cmocka_unit_test(test_library__is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
