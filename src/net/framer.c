#include "net/framer.h"

#include "base/check.h"
#include "net/stream.h"

#define PREFIX 4 /* bytes of a frame's length */

/* More than can be unfinished: a whole frame. */
#define REST_MAX (PREFIX + STREAM_FRAME_MAX)
_Static_assert(STREAM_LINE_MAX <= STREAM_FRAME_MAX, "an unfinished line must fit as well");

enum first_bytes { FIRST_FRAME, FIRST_TEXT, FIRST_NEITHER };

void
framer_init(struct framer *framer, enum framer_mode mode)
{
	*framer = (struct framer){.mode = mode};
	buf_init(&framer->rest, REST_MAX);
}

void
framer_fini(struct framer *framer)
{
	buf_fini(&framer->rest);
}

static void
keep(struct framer *framer, const char *bytes, size_t len)
{
	buf_add(&framer->rest, bytes, len);
	CHECK(!buf_failed(&framer->rest));
}

static void
hand_on_rest(struct framer *framer, struct net_sink *sink, enum net_transport transport,
	     size_t offset)
{
	sink->payload(sink->ctx, transport, framer->rest.ptr + offset, framer->rest.len - offset);
	sink->flush(sink->ctx);
	buf_fini(&framer->rest);
}

/* Hands on whole lines, [start, end), of which the last byte is a '\n'. */
static void
hand_on_lines(struct net_sink *sink, enum net_transport transport, const char *start,
	      const char *end)
{
	if (end > start)
		sink->payload(sink->ctx, transport, start, (size_t)(end - start) - 1);
}

/*
 * Finishes what the bytes before left open: a line that is too long, or one that is kept.
 *
 * @return where the next line starts; `end` when there is nothing more
 */
static const char *
finish_line(struct framer *framer, enum net_transport transport, struct net_sink *sink,
	    const char *bytes, const char *end)
{
	if (!framer->skipping && framer->rest.len == 0)
		return bytes;
	const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
	size_t len = (size_t)((newline ? newline : end) - bytes);
	if (framer->skipping) {
		framer->skipping = !newline;
	} else if (framer->rest.len + len > STREAM_LINE_MAX) {
		net_count(&sink->counters[transport].too_long_lines, 1);
		buf_fini(&framer->rest);
		framer->skipping = !newline;
	} else {
		keep(framer, bytes, len);
		if (newline)
			hand_on_rest(framer, sink, transport, 0);
	}
	return newline ? newline + 1 : end;
}

static void
take_lines(struct framer *framer, enum net_transport transport, struct net_sink *sink,
	   const char *bytes, size_t len)
{
	const char *end = bytes + len;
	const char *start = finish_line(framer, transport, sink, bytes, end);
	const char *at = start; /* [start, at) are whole lines that are not handed on yet */
	while (at < end) {
		/* The last '\n' that the line at `at` may have, so that most bytes are not read. */
		size_t window = (size_t)(end - at);
		if (window > STREAM_LINE_MAX + 1)
			window = STREAM_LINE_MAX + 1;
		const char *newline = memrchr(at, '\n', window);
		if (newline) {
			at = newline + 1;
			continue;
		}
		if (window <= STREAM_LINE_MAX)
			break;
		hand_on_lines(sink, transport, start, at);
		net_count(&sink->counters[transport].too_long_lines, 1);
		at += window;
		newline = memchr(at, '\n', (size_t)(end - at));
		framer->skipping = !newline;
		start = at = newline ? newline + 1 : end;
	}
	hand_on_lines(sink, transport, start, at);
	if (at < end)
		keep(framer, at, (size_t)(end - at));
}

static uint32_t
frame_length(const char *prefix)
{
	const unsigned char *bytes = (const unsigned char *)prefix;
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

static bool
refuse_frame(struct framer *framer, enum net_transport transport, struct net_sink *sink)
{
	net_count(&sink->counters[transport].bad_frames, 1);
	buf_fini(&framer->rest);
	return false;
}

/*
 * Adds to the frame that is kept, up to its end.
 *
 * @return bytes used, at least one; SIZE_MAX when the frame is refused
 */
static size_t
continue_frame(struct framer *framer, enum net_transport transport, struct net_sink *sink,
	       const char *bytes, size_t len)
{
	size_t whole = PREFIX;
	if (framer->rest.len >= PREFIX)
		whole += frame_length(framer->rest.ptr);
	size_t used = whole - framer->rest.len < len ? whole - framer->rest.len : len;
	keep(framer, bytes, used);
	if (framer->rest.len == PREFIX) {
		uint32_t length = frame_length(framer->rest.ptr);
		if (length > STREAM_FRAME_MAX)
			return SIZE_MAX;
		if (length == 0)
			buf_fini(&framer->rest);
	} else if (whole > PREFIX && framer->rest.len == whole) {
		net_count(&sink->counters[transport].packets, 1);
		hand_on_rest(framer, sink, transport, PREFIX);
	}
	return used;
}

static bool
take_frames(struct framer *framer, enum net_transport transport, struct net_sink *sink,
	    const char *bytes, size_t len)
{
	while (len > 0) {
		size_t used;
		uint32_t length = len >= PREFIX ? frame_length(bytes) : 0;
		if (framer->rest.len == 0 && length > 0 && len - PREFIX >= length &&
		    length <= STREAM_FRAME_MAX) {
			used = PREFIX + length;
			net_count(&sink->counters[transport].packets, 1);
			sink->payload(sink->ctx, transport, bytes + PREFIX, length);
		} else {
			used = continue_frame(framer, transport, sink, bytes, len);
			if (used == SIZE_MAX)
				return refuse_frame(framer, transport, sink);
		}
		bytes += used;
		len -= used;
	}
	return true;
}

/* 0xff never occurs in UTF-8, and four of them are more likely a length. */
static bool
is_text(struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char byte = (unsigned char)bytes.ptr[i];
		bool is_blank = byte == '\t' || byte == '\r' || byte == '\n';
		if (!is_blank && (byte < ' ' || byte == 0x7f || byte == 0xff))
			return false;
	}
	return true;
}

static enum first_bytes
tell_first_bytes(const char bytes[PREFIX])
{
	if (frame_length(bytes) <= STREAM_FRAME_MAX)
		return FIRST_FRAME;
	return is_text(span_of(bytes, PREFIX)) ? FIRST_TEXT : FIRST_NEITHER;
}

/* Makes lines of what is kept of an undecided connection, which may hold line ends. */
static void
turn_to_lines(struct framer *framer, enum net_transport transport, struct net_sink *sink)
{
	char first[PREFIX];
	size_t len = framer->rest.len;
	if (len > 0)
		memcpy(first, framer->rest.ptr, len);
	buf_fini(&framer->rest);
	framer->mode = FRAMER_LINES;
	take_lines(framer, transport, sink, first, len);
	sink->flush(sink->ctx);
}

/* @return false when the first bytes are neither a frame nor text */
static bool
decide(struct framer *framer, enum net_transport transport, struct net_sink *sink,
       const char *bytes)
{
	char first[PREFIX];
	size_t kept = framer->rest.len;
	if (kept > 0)
		memcpy(first, framer->rest.ptr, kept);
	memcpy(first + kept, bytes, PREFIX - kept);
	switch (tell_first_bytes(first)) {
	case FIRST_FRAME:
		framer->mode = FRAMER_FRAMES;
		return true;
	case FIRST_TEXT:
		turn_to_lines(framer, transport, sink);
		return true;
	case FIRST_NEITHER:
		break;
	}
	return refuse_frame(framer, transport, sink);
}

bool
framer_take(struct framer *framer, enum net_transport transport, struct net_sink *sink,
	    const char *bytes, size_t len)
{
	if (framer->mode == FRAMER_UNDECIDED) {
		if (framer->rest.len + len < PREFIX) {
			keep(framer, bytes, len);
			return true;
		}
		if (!decide(framer, transport, sink, bytes))
			return false;
	}
	bool lives = true;
	if (framer->mode == FRAMER_FRAMES)
		lives = take_frames(framer, transport, sink, bytes, len);
	else
		take_lines(framer, transport, sink, bytes, len);
	sink->flush(sink->ctx);
	return lives;
}

void
framer_end(struct framer *framer, enum net_transport transport, struct net_sink *sink, bool orderly)
{
	if (framer->mode == FRAMER_UNDECIDED && orderly && is_text(buf_span(&framer->rest)))
		turn_to_lines(framer, transport, sink);
	if (framer->rest.len == 0)
		return;
	if (framer->mode == FRAMER_LINES && orderly) {
		hand_on_rest(framer, sink, transport, 0);
		return;
	}
	net_count(&sink->counters[transport].truncated, 1);
	buf_fini(&framer->rest);
}
