/*
 * net/framer - bytes of one stream connection to payloads of whole lines. Pure: no sockets.
 *
 * The bulk is handed on from the read buffer as it is; only the unfinished rest of a line or frame
 * is copied, and its memory is given back when nothing is unfinished.
 */
#ifndef NET_FRAMER_H
#define NET_FRAMER_H

#include "base/buf.h"
#include "net/sink.h"

enum framer_mode {
	FRAMER_UNDECIDED, /* Unix stream before its fourth byte */
	FRAMER_LINES,
	FRAMER_FRAMES,
};

struct framer {
	enum framer_mode mode;
	bool skipping;   /* inside a line that is too long, until its '\n' */
	struct buf rest; /* unfinished line or frame; owned */
};

/** @mode FRAMER_LINES for TCP, FRAMER_UNDECIDED for Unix streams */
void framer_init(struct framer *framer, enum framer_mode mode);
void framer_fini(struct framer *framer);

/**
 * Takes the next bytes of a connection and hands every whole line or frame to the sink. A '\r'
 * before '\n' stays in the payload: whoever cuts lines drops it.
 *
 * @bytes borrowed; the sink is flushed before this returns
 * @return false when the connection must be closed (bad frame, counted)
 */
bool framer_take(struct framer *framer, enum net_transport transport, struct net_sink *sink,
		 const char *bytes, size_t len) MUST_CHECK;

/**
 * Ends a connection: an orderly end makes the rest a line (or a lost frame); after a reset the rest
 * is not trusted and counted as truncated.
 */
void framer_end(struct framer *framer, enum net_transport transport, struct net_sink *sink,
		bool orderly);

#endif
