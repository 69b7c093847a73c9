/*
 * However a stream is cut into reads, the same lines and frames come out of it, and they are those
 * that a plain reading of the rules finds.
 *
 * Input: one byte of settings, one byte with the number of read sizes, these sizes (two bytes
 * each), then the stream. In the stream, 0xfe N stands for N * 512 times 'x', so that limits are
 * reached.
 */
#include "base/buf.h"
#include "base/check.h"
#include "net/framer.h"
#include "net/stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAM_BYTES_MAX (5 * STREAM_LINE_MAX)

/* What came out: lines with a '\n' behind each, or frames with their lengths before each. */
struct output {
	struct net_sink sink;
	bool is_frames;
	struct buf bytes;
	uint64_t truncated, too_long_lines, bad_frames, packets;
};

struct settings {
	bool is_tcp;
	bool is_orderly;
	size_t size_count;
	const uint8_t *sizes;
};

static void
add_frame(struct output *output, const char *bytes, size_t len)
{
	buf_add(&output->bytes, &len, sizeof(len));
	buf_add(&output->bytes, bytes, len);
}

static void
add_lines(struct output *output, const char *bytes, size_t len)
{
	buf_add(&output->bytes, bytes, len);
	buf_add_byte(&output->bytes, '\n');
}

static void
receive_payload(void *ctx, enum net_transport transport, const char *bytes, size_t len)
{
	struct output *output = ctx;
	CHECK(transport == NET_TCP);
	if (output->is_frames)
		add_frame(output, bytes, len);
	else
		add_lines(output, bytes, len);
}

static void
receive_flush(void *ctx)
{
	(void)ctx;
}

static size_t
next_size(const struct settings *settings, size_t index)
{
	if (settings->size_count == 0)
		return SIZE_MAX;
	const uint8_t *size = settings->sizes + 2 * (index % settings->size_count);
	/* Up to 256 KiB a read, and often very few bytes. */
	size_t len = size[1] < 128 ? size[0] : (size_t)size[0] << 10 | size[1];
	return len ? len : 1;
}

static void
run(struct output *output, const struct settings *settings, struct span stream)
{
	struct framer framer;
	framer_init(&framer, settings->is_tcp ? FRAMER_LINES : FRAMER_UNDECIDED);
	bool lives = true;
	for (size_t i = 0, at = 0; at < stream.len && lives; i++) {
		size_t len = next_size(settings, i);
		if (len > stream.len - at)
			len = stream.len - at;
		char *piece = malloc(len);
		CHECK(piece);
		memcpy(piece, stream.ptr + at, len);
		lives = framer_take(&framer, NET_TCP, &output->sink, piece, len);
		free(piece);
		at += len;
	}
	framer_end(&framer, NET_TCP, &output->sink, lives && settings->is_orderly);
	CHECK(!framer.rest.ptr);
	framer_fini(&framer);
	struct net_counters *counters = &output->sink.counters[NET_TCP];
	output->truncated = counters->truncated;
	output->too_long_lines = counters->too_long_lines;
	output->bad_frames = counters->bad_frames;
	output->packets = counters->packets;
}

static uint32_t
length_at(const char *bytes)
{
	uint32_t length = 0;
	for (int i = 3; i >= 0; i--)
		length = length << 8 | (unsigned char)bytes[i];
	return length;
}

static bool
looks_like_text(struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char byte = (unsigned char)bytes.ptr[i];
		if ((byte < 0x20 && !strchr("\t\r\n", byte)) || byte == 0 || byte == 0x7f ||
		    byte == 0xff)
			return false;
	}
	return true;
}

static void
expect_lines(struct output *output, struct span stream, bool is_orderly)
{
	while (stream.len > 0) {
		const char *newline = span_find(stream, '\n');
		size_t len = newline ? (size_t)(newline - stream.ptr) : stream.len;
		if (len > STREAM_LINE_MAX)
			output->too_long_lines++;
		else if (newline || is_orderly)
			add_lines(output, stream.ptr, len);
		else
			output->truncated++;
		stream = span_from(stream, newline ? len + 1 : len);
	}
}

static void
expect_frames(struct output *output, struct span stream)
{
	while (stream.len > 0) {
		uint32_t length = stream.len >= 4 ? length_at(stream.ptr) : 0;
		if (length > STREAM_FRAME_MAX) {
			output->bad_frames++;
			return;
		}
		if (stream.len < 4 || stream.len - 4 < length) {
			output->truncated++;
			return;
		}
		if (length > 0) {
			output->packets++;
			add_frame(output, stream.ptr + 4, length);
		}
		stream = span_from(stream, 4 + length);
	}
}

/* The rules, read plainly. */
static void
expect(struct output *output, const struct settings *settings, struct span stream)
{
	if (settings->is_tcp)
		expect_lines(output, stream, settings->is_orderly);
	else if (output->is_frames)
		expect_frames(output, stream);
	else if (!looks_like_text(span_first(stream, stream.len < 4 ? stream.len : 4)))
		*(stream.len < 4 ? &output->truncated : &output->bad_frames) += 1;
	else if (stream.len < 4 && !settings->is_orderly)
		output->truncated += stream.len > 0;
	else
		expect_lines(output, stream, settings->is_orderly);
}

static void
output_init(struct output *output, const struct settings *settings, struct span stream)
{
	memset(output, 0, sizeof(*output));
	output->sink.payload = receive_payload;
	output->sink.flush = receive_flush;
	output->sink.ctx = output;
	output->bytes = BUF_INIT;
	output->is_frames =
	    !settings->is_tcp && stream.len >= 4 && length_at(stream.ptr) <= STREAM_FRAME_MAX;
}

static void
check_same(const struct output *a, const struct output *b)
{
	CHECK(span_equal(buf_span(&a->bytes), buf_span(&b->bytes)));
	CHECK(a->truncated == b->truncated);
	CHECK(a->too_long_lines == b->too_long_lines);
	CHECK(a->bad_frames == b->bad_frames);
	CHECK(a->packets == b->packets);
}

static void
expand(struct buf *stream, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] != 0xfe || i + 1 == size) {
			buf_add_byte(stream, (char)data[i]);
			continue;
		}
		size_t len = (size_t)data[++i] * 512;
		char *to = buf_reserve(stream, len);
		if (!to)
			return;
		memset(to, 'x', len);
		stream->len += len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size - 2 < (size_t)(data[1] % 16) * 2)
		return 0;
	struct settings cut = {
	    .is_tcp = data[0] & 1,
	    .is_orderly = data[0] & 2,
	    .size_count = data[1] % 16,
	    .sizes = data + 2,
	};
	struct settings whole = cut;
	whole.size_count = 0;
	struct buf stream;
	buf_init(&stream, STREAM_BYTES_MAX);
	expand(&stream, data + 2 + 2 * cut.size_count, size - 2 - 2 * cut.size_count);

	struct output expected, in_one, in_pieces;
	output_init(&expected, &cut, buf_span(&stream));
	output_init(&in_one, &cut, buf_span(&stream));
	output_init(&in_pieces, &cut, buf_span(&stream));
	expect(&expected, &cut, buf_span(&stream));
	run(&in_one, &whole, buf_span(&stream));
	run(&in_pieces, &cut, buf_span(&stream));
	check_same(&in_one, &expected);
	check_same(&in_pieces, &expected);

	buf_fini(&expected.bytes);
	buf_fini(&in_one.bytes);
	buf_fini(&in_pieces.bytes);
	buf_fini(&stream);
	return 0;
}
