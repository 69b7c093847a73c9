/*
 * Random lines of all kinds, good and bad, drawn so that spellings repeat. Deterministic: a seed
 * gives the same lines everywhere.
 */
#ifndef TESTS_APP_TRAFFIC_H
#define TESTS_APP_TRAFFIC_H

#include "base/buf.h"

#include <stdint.h>

struct traffic {
	uint64_t state; /* the seed, not 0 */
	/* Only lines whose sums do not depend on order and split: a name has one type and no value
	 * is rounded. */
	bool is_exact;
};

#define PICK(traffic, list) ((list)[traffic_below((traffic), sizeof(list) / sizeof((list)[0]))])

static inline uint64_t
traffic_below(struct traffic *traffic, uint64_t limit)
{
	traffic->state ^= traffic->state << 13;
	traffic->state ^= traffic->state >> 7;
	traffic->state ^= traffic->state << 17;
	return (traffic->state >> 11) % limit;
}

static inline bool
traffic_one_in(struct traffic *traffic, uint64_t n)
{
	return traffic_below(traffic, n) == 0;
}

static inline void
traffic_add_value(struct traffic *traffic, struct buf *out)
{
	static const char *const values[] = {"1",    "2.5",      "-3",    "+4",    "0",   "1e3",
					     "-0",   "1e308",    "1e308", "x",     "",    "nan",
					     "inf",  "-inf",     "1e400", "0x1p3", "1_0", "320",
					     "\xff", "\xc3\xa9", " 1",    "1 ",    "7",   "0.25"};
	static const char *const exact[] = {"1000", "500", "2000", "250", "0", "x", "", "-500"};
	buf_add_text(out, traffic->is_exact ? PICK(traffic, exact) : PICK(traffic, values));
}

static inline void
traffic_add_values(struct traffic *traffic, struct buf *out)
{
	traffic_add_value(traffic, out);
	while (traffic_one_in(traffic, 5)) {
		buf_add_byte(out, ':');
		traffic_add_value(traffic, out);
	}
}

static inline void
traffic_add_sections(struct traffic *traffic, struct buf *out)
{
	static const char *const sections[] = {
	    "@0.5",    "@0.3",  "@0",       "@-1",         "@x",          "@2",   "@0.000001",
	    "#k:v",    "#l:w",  "#le:1",    "#quantile:2", "#bad",        "#,",   "#__x:1",
	    "c:abc",   "c:",    "e:foo",    "T123",        "card:x",      "?",    "",
	    "#k:\xff", "T\xff", "#k:v,k:w", "#k:a\"b\\c",  "#k:\xc3\xa9", "@nan", "#"};
	static const char *const exact[] = {"@0.5", "@0.25", "#k:v", "#l:w", "#k:v,l:w",
					    "#bad", "c:abc", "T123", "?",    "e:foo"};
	while (traffic_one_in(traffic, 2)) {
		buf_add_byte(out, '|');
		buf_add_text(out,
			     traffic->is_exact ? PICK(traffic, exact) : PICK(traffic, sections));
	}
}

static inline void
traffic_add_metric(struct traffic *traffic, struct buf *out)
{
	static const char *const names[] = {
	    "a",       "b.c",      "web.home", "web.cart", "drop.me",  "t.x",
	    "t.y",     "h.1",      "s.1",      "scale.c",  "ttl.a",    "ttl.b",
	    "e",       "a,k=v",    "a[k=v]",   "a#k=v",    "a,k",      "t_sum",
	    "t_count", "t_bucket", "h",        "h_count",  "\xc3\xa9", "x\xff",
	    "9-a--b",  "_e",       "taken",    "honor.x",  "a,le=1",   "t.x,quantile=1",
	    "",        "many.1",   "many.2",   "many.3",   "many.4",   "many.5"};
	static const char *const types[] = {"c", "g",  "ms", "h", "d", "c",
					    "g", "ms", "s",  "x", "",  "C"};
	static const char *const exact_names[] = {"c.1", "c.2,k=v", "ms.1", "h.1", "s.1", "d.1"};
	static const char *const exact_types[] = {"c", "c", "ms", "h", "h", "d"};
	size_t which = traffic_below(traffic, 6);
	buf_add_text(out, traffic->is_exact ? exact_names[which] : PICK(traffic, names));
	do {
		buf_add_byte(out, ':');
		traffic_add_values(traffic, out);
		if (!traffic->is_exact && traffic_one_in(traffic, 30))
			break;
		buf_add_byte(out, '|');
		buf_add_text(out, traffic->is_exact ? exact_types[which] : PICK(traffic, types));
		traffic_add_sections(traffic, out);
	} while (traffic_one_in(traffic, 6));
}

/** Appends one line, without its end. */
static inline void
traffic_add_line(struct traffic *traffic, struct buf *out)
{
	static const char *const others[] = {
	    "", "_e{1,1}:a|b", "_e{1,9}:a|b", "_sc|n|0", "_sc|n|9", "a", ":", "a:1", "|", "a:b:c"};
	size_t start = out->len;
	if (traffic_one_in(traffic, 12))
		buf_add_text(out, PICK(traffic, others));
	else
		traffic_add_metric(traffic, out);
	if (!traffic->is_exact && out->len > start && traffic_one_in(traffic, 15)) {
		size_t at = start + traffic_below(traffic, out->len - start);
		char byte = (char)traffic_below(traffic, 256);
		out->ptr[at] = byte == '\n' ? ' ' : byte;
	}
	if (traffic_one_in(traffic, 20))
		buf_add_byte(out, '\r');
}

#endif
