#include "harness.h"

#include "net/framer.h"
#include "net/stream.h"

/* Feeds a copy of exactly this size, so that reading too far is found. */
static bool
take(struct framer *framer, struct received *received, struct span bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes.ptr, bytes.len);
	/* The transport says only where to count. */
	bool lives = framer_take(framer, NET_UNIXSTREAM, &received->sink, copy, bytes.len);
	free(copy);
	return lives;
}

enum ending { ORDERLY, RESET, STAYS };

struct counts {
	uint64_t truncated, too_long_lines, bad_frames, packets;
};

static void
assert_counts(struct received *received, struct counts want)
{
	struct net_counters *counters = &received->sink.counters[NET_UNIXSTREAM];
	assert_int_equal(load(&counters->truncated), want.truncated);
	assert_int_equal(load(&counters->too_long_lines), want.too_long_lines);
	assert_int_equal(load(&counters->bad_frames), want.bad_frames);
	assert_int_equal(load(&counters->packets), want.packets);
}

struct row {
	const char *name;
	enum framer_mode mode;
	struct span bytes;
	enum ending ending;
	const char *text;  /* in one piece */
	const char *lines; /* in pieces of any size; NULL = frames, where pieces change nothing */
	struct counts counts;
	bool closes;
};

#define L FRAMER_LINES
#define U FRAMER_UNDECIDED

static const struct row rows[] = {
    {"lines", L, SPAN("a\nb\n"), ORDERLY, "[a\nb]", "a\nb\n"},
    {"one empty line", L, SPAN("\n"), ORDERLY, "[]", "\n"},
    {"empty lines", L, SPAN("\n\n\n"), ORDERLY, "[\n\n]", "\n\n\n"},
    {"nothing", L, SPAN(""), ORDERLY, "", ""},
    {"nothing, reset", L, SPAN(""), RESET, "", ""},
    {"K27 rest at an orderly end", L, SPAN("a:1|c\nb:2|c"), ORDERLY, "[a:1|c][b:2|c]",
     "a:1|c\nb:2|c\n"},
    {"K28 rest that is no line", L, SPAN("a:1|c\nb:2"), ORDERLY, "[a:1|c][b:2]", "a:1|c\nb:2\n"},
    {"K29 rest at a reset", L, SPAN("a:1|c\nb:12"), RESET, "[a:1|c]", "a:1|c\n", {.truncated = 1}},
    {"reset without a rest", L, SPAN("a:1|c\n"), RESET, "[a:1|c]", "a:1|c\n"},
    {"K30 CR stays for who cuts lines", L, SPAN("a:1|c\r\nb:1|c\r\n"), ORDERLY,
     "[a:1|c\r\nb:1|c\r]", "a:1|c\r\nb:1|c\r\n"},
    {"K31 no line ends at all", L, SPAN("a:1|cb:2|c"), ORDERLY, "[a:1|cb:2|c]", "a:1|cb:2|c\n"},
    {"no frames on TCP", L, SPAN("\5\1\1\1a:1|c\n"), ORDERLY, "[\5\1\1\1a:1|c]", "\5\1\1\1a:1|c\n"},

    {"K12 one frame", U, SPAN("\5\0\0\0a:1|c"), ORDERLY, "[a:1|c]", NULL, {.packets = 1}},
    {"K13 two frames",
     U,
     SPAN("\5\0\0\0a:1|c\5\0\0\0b:2|c"),
     ORDERLY,
     "[a:1|c][b:2|c]",
     NULL,
     {.packets = 2}},
    {"K15 frame of three lines",
     U,
     SPAN("\22\0\0\0a:1|c\nb:2|c\nc:3|c\n"),
     ORDERLY,
     "[a:1|c\nb:2|c\nc:3|c\n]",
     NULL,
     {.packets = 1}},
    {"K16 cut inside the first length", U, SPAN("\5\0"), ORDERLY, "", NULL, {.truncated = 1}},
    {"cut inside a later length",
     U,
     SPAN("\1\0\0\0a\5\0"),
     ORDERLY,
     "[a]",
     NULL,
     {.truncated = 1, .packets = 1}},
    {"cut behind a length", U, SPAN("\5\0\0\0"), ORDERLY, "", NULL, {.truncated = 1}},
    {"K17 cut inside the payload", U, SPAN("\20\0\0\0a:1|c"), ORDERLY, "", NULL, {.truncated = 1}},
    {"reset inside the payload", U, SPAN("\20\0\0\0a:1|c"), RESET, "", NULL, {.truncated = 1}},
    {"reset between frames", U, SPAN("\1\0\0\0a"), RESET, "[a]", NULL, {.packets = 1}},
    {"K18 empty frame",
     U,
     SPAN("\0\0\0\0\1\0\0\0a\0\0\0\0\1\0\0\0b"),
     ORDERLY,
     "[a][b]",
     NULL,
     {.packets = 2}},
    {"K19 largest length", U, SPAN("\xff\xff\xff\xff"), STAYS, "", NULL, {.bad_frames = 1}, true},
    {"K20 length over the limit",
     U,
     SPAN("\1\0\1\0aaaa"),
     STAYS,
     "",
     NULL,
     {.bad_frames = 1},
     true},
    {"later length over the limit",
     U,
     SPAN("\1\0\0\0a\1\0\1\0b"),
     STAYS,
     "[a]",
     NULL,
     {.bad_frames = 1, .packets = 1},
     true},
    {"text behind a frame",
     U,
     SPAN("\1\0\0\0aa:1|c\n"),
     STAYS,
     "[a]",
     NULL,
     {.bad_frames = 1, .packets = 1},
     true},
    {"K21 big endian", U, SPAN("\0\0\0\5a:1|c"), STAYS, "", NULL, {.bad_frames = 1}, true},
    {"NUL among text", U, SPAN("ab\0c"), STAYS, "", NULL, {.bad_frames = 1}, true},
    {"escape among text", U, SPAN("ab\033c"), STAYS, "", NULL, {.bad_frames = 1}, true},
    {"delete among text", U, SPAN("ab\177c"), STAYS, "", NULL, {.bad_frames = 1}, true},
    {"K22 text", U, SPAN("traefik.x:1.000000|c\n"), ORDERLY, "[traefik.x:1.000000|c]",
     "traefik.x:1.000000|c\n"},
    {"K23 text", U, SPAN("a:1|c\n"), ORDERLY, "[a:1|c]", "a:1|c\n"},
    {"K24 line ends first", U, SPAN("\n\n\n\na:1|c\n"), ORDERLY, "[\n\n\n\na:1|c]",
     "\n\n\n\na:1|c\n"},
    {"tab and CR first", U, SPAN("\t\r\n\na\n"), ORDERLY, "[\t\r\n\na]", "\t\r\n\na\n"},
    {"UTF-8 first", U, SPAN("\xc3\xa9\xc3\xa9:1|c\n"), ORDERLY, "[\xc3\xa9\xc3\xa9:1|c]",
     "\xc3\xa9\xc3\xa9:1|c\n"},
    {"four bytes of text", U, SPAN("a:1|"), ORDERLY, "[a:1|]", "a:1|\n"},
    {"K25 three bytes of text", U, SPAN("a:1"), ORDERLY, "[a:1]", "a:1\n"},
    {"one byte of text", U, SPAN("a"), ORDERLY, "[a]", "a\n"},
    {"lines in less than four bytes", U, SPAN("a\nb"), ORDERLY, "[a][b]", "a\nb\n"},
    {"one line end", U, SPAN("\n"), ORDERLY, "[]", "\n"},
    {"three bytes and a reset", U, SPAN("a\nb"), RESET, "", NULL, {.truncated = 1}},
    {"undecided and nothing", U, SPAN(""), ORDERLY, "", ""},
};

static void
check_row(const struct row *row, size_t piece)
{
	struct received received;
	struct framer framer;
	received_init(&received);
	framer_init(&framer, row->mode);
	bool lives = true;
	for (size_t at = 0; at < row->bytes.len && lives; at += piece) {
		size_t len = row->bytes.len - at < piece ? row->bytes.len - at : piece;
		lives = take(&framer, &received, span_of(row->bytes.ptr + at, len));
	}
	if (row->ending != STAYS)
		framer_end(&framer, NET_UNIXSTREAM, &received.sink, row->ending == ORDERLY);
	if (lives == row->closes)
		fail_msg("%s, pieces of %zu: must %s", row->name, piece,
			 row->closes ? "close" : "stay");
	bool in_one = piece >= row->bytes.len;
	struct span got = buf_span(in_one || !row->lines ? &received.text : &received.lines);
	if (!span_equal(got, span_text(in_one || !row->lines ? row->text : row->lines)))
		fail_msg("%s, pieces of %zu: got \"%.*s\"", row->name, piece, SPAN_ARGS(got));
	assert_counts(&received, row->counts);
	assert_null(framer.rest.ptr);
	framer_fini(&framer);
	received_fini(&received);
}

static void
test_take__rows_in_one_piece(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i], 1000);
}

static void
test_take__rows_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece < rows[i].bytes.len; piece++)
			check_row(&rows[i], piece);
}

/* K26, and rule 1: bytes are counted, never searched for NUL. */
static void
test_take__nul_inside(void **state)
{
	(void)state;
	struct received received;
	struct framer framer;
	received_init(&received);
	framer_init(&framer, FRAMER_UNDECIDED);
	assert_true(take(&framer, &received, SPAN("\3\0\0\0a\0b")));
	framer_fini(&framer);
	framer_init(&framer, FRAMER_LINES);
	assert_true(take(&framer, &received, SPAN("c\0d\n")));
	framer_fini(&framer);
	assert_int_equal(received.text.len, 10);
	assert_memory_equal(received.text.ptr, "[a\0b][c\0d]", 10);
	received_fini(&received);
}

/* Adds `count` times 'x', and `tail`. */
static void
add_line(struct buf *buf, size_t count, const char *tail)
{
	memset(buf_reserve(buf, count + 1), 'x', count);
	buf->len += count;
	buf_add_text(buf, tail);
}

static void
check_long_line(size_t len, const char *tail, size_t piece, enum ending ending, bool taken,
		const char *lines_after)
{
	struct received received;
	struct framer framer;
	struct buf line = BUF_INIT;
	add_line(&line, len, tail);
	received_init(&received);
	framer_init(&framer, FRAMER_LINES);
	for (size_t at = 0; at < line.len; at += piece) {
		size_t n = line.len - at < piece ? line.len - at : piece;
		assert_true(take(&framer, &received, span_of(line.ptr + at, n)));
		assert_true(framer.rest.size <= 2 * STREAM_LINE_MAX);
	}
	framer_end(&framer, NET_UNIXSTREAM, &received.sink, ending == ORDERLY);
	struct span got = buf_span(&received.lines);
	if (taken) {
		assert_true(got.len > len);
		assert_memory_equal(got.ptr, line.ptr, len);
		got = span_from(got, len + 1);
	}
	assert_span_equal(got, lines_after);
	assert_counts(&received, (struct counts){.too_long_lines = !taken});
	framer_fini(&framer);
	received_fini(&received);
	buf_fini(&line);
}

static void
test_take__longest_line(void **state)
{
	(void)state;
	static const size_t pieces[] = {1, 7, 4096, 65535, 65536, 65537, 1 << 20};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t piece = pieces[i];
		check_long_line(STREAM_LINE_MAX, "\na\n", piece, ORDERLY, true, "a\n");
		check_long_line(STREAM_LINE_MAX, "", piece, ORDERLY, true, "");
		check_long_line(STREAM_LINE_MAX + 1, "\na\n", piece, ORDERLY, false, "a\n");
		check_long_line(STREAM_LINE_MAX + 1, "\n\n", piece, ORDERLY, false, "\n");
		/* A skipped rest is nothing more, however the connection ends. */
		check_long_line(STREAM_LINE_MAX + 1, "", piece, ORDERLY, false, "");
		check_long_line(STREAM_LINE_MAX + 1, "", piece, RESET, false, "");
		check_long_line(300000, "\na\nb", piece, ORDERLY, false, "a\nb\n");
	}
}

static void
test_take__long_line_between_others(void **state)
{
	(void)state;
	struct received received;
	struct framer framer;
	received_init(&received);
	framer_init(&framer, FRAMER_LINES);
	struct buf bytes = BUF_INIT;
	for (int i = 0; i < 3; i++) {
		buf_add_text(&bytes, "a\nb\n");
		add_line(&bytes, STREAM_LINE_MAX + 1, "\n");
	}
	buf_add_text(&bytes, "c\nd");
	assert_true(take(&framer, &received, buf_span(&bytes)));
	assert_span_equal(buf_span(&received.text), "[a\nb][a\nb][a\nb][c]");
	assert_span_equal(buf_span(&framer.rest), "d");
	assert_counts(&received, (struct counts){.too_long_lines = 3});
	buf_fini(&bytes);
	framer_fini(&framer);
	received_fini(&received);
}

/* K32 */
static void
test_take__ten_megabytes_without_line_end(void **state)
{
	(void)state;
	struct received received;
	struct framer framer;
	struct buf piece = BUF_INIT;
	add_line(&piece, 100000, "");
	received_init(&received);
	framer_init(&framer, FRAMER_LINES);
	for (int i = 0; i < 100; i++) {
		assert_true(take(&framer, &received, buf_span(&piece)));
		assert_true(i == 0 || framer.rest.size == 0);
	}
	assert_int_equal(received.payloads, 0);
	assert_true(take(&framer, &received, SPAN("\na:1|c\n")));
	assert_span_equal(buf_span(&received.text), "[a:1|c]");
	assert_counts(&received, (struct counts){.too_long_lines = 1});
	framer_fini(&framer);
	received_fini(&received);
	buf_fini(&piece);
}

static void
check_frame_length(uint32_t length, bool first, size_t piece, bool taken)
{
	struct received received;
	struct framer framer;
	struct buf bytes = BUF_INIT;
	received_init(&received);
	framer_init(&framer, FRAMER_UNDECIDED);
	if (!first)
		buf_add(&bytes, "\1\0\0\0a", 5);
	for (int shift = 0; shift < 32; shift += 8)
		buf_add_byte(&bytes, (char)(length >> shift));
	add_line(&bytes, length, "");
	bool lives = true;
	for (size_t at = 0; at < bytes.len && lives; at += piece) {
		size_t n = bytes.len - at < piece ? bytes.len - at : piece;
		lives = take(&framer, &received, span_of(bytes.ptr + at, n));
	}
	assert_int_equal(lives, taken);
	assert_counts(&received, (struct counts){.bad_frames = !taken, .packets = taken + !first});
	assert_int_equal(received.lines.len, (taken ? length + 1 : 0) + (first ? 0 : 2));
	assert_null(framer.rest.ptr);
	buf_fini(&bytes);
	framer_fini(&framer);
	received_fini(&received);
}

/* K20: the limit itself is fine, also as the first length, though its third byte is not zero. */
static void
test_take__largest_frame(void **state)
{
	(void)state;
	static const size_t pieces[] = {1, 4, 4096, 1 << 20};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		for (int first = 0; first < 2; first++) {
			check_frame_length(STREAM_FRAME_MAX, first, pieces[i], true);
			check_frame_length(STREAM_FRAME_MAX - 1, first, pieces[i], true);
			check_frame_length(STREAM_FRAME_MAX + 1, first, pieces[i], false);
		}
	}
}

static void
test_take__memory_given_back(void **state)
{
	(void)state;
	struct received received;
	struct framer framer;
	received_init(&received);
	framer_init(&framer, FRAMER_LINES);
	assert_null(framer.rest.ptr);
	assert_true(take(&framer, &received, SPAN("a\nb")));
	assert_span_equal(buf_span(&framer.rest), "b");
	assert_true(take(&framer, &received, SPAN("\n")));
	assert_null(framer.rest.ptr);
	framer_fini(&framer);
	framer_init(&framer, FRAMER_UNDECIDED);
	assert_true(take(&framer, &received, SPAN("\2\0\0\0a")));
	assert_non_null(framer.rest.ptr);
	assert_true(take(&framer, &received, SPAN("b")));
	assert_null(framer.rest.ptr);
	framer_fini(&framer);
	received_fini(&received);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_take__rows_in_one_piece),
	    cmocka_unit_test(test_take__rows_in_pieces),
	    cmocka_unit_test(test_take__nul_inside),
	    cmocka_unit_test(test_take__longest_line),
	    cmocka_unit_test(test_take__long_line_between_others),
	    cmocka_unit_test(test_take__ten_megabytes_without_line_end),
	    cmocka_unit_test(test_take__largest_frame),
	    cmocka_unit_test(test_take__memory_given_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
