/*
 * statsd/line - what one statsd or DogStatsD line says.
 *
 * Pure: no I/O, no clock, no allocation. Results point into the line or into the result itself.
 *
 * A line is read in two steps, because almost every line repeats the spelling of an earlier one and
 * differs in its values only:
 *
 *	name  values  suffix
 *	a.b : 1:2.5 | ms|@0.1|#k:v
 *
 * statsd_cut() finds these parts; name and statsd_key_suffix() are the bytes by which their meaning
 * can be remembered; statsd_parse_head() works that meaning out. Values are numbers, read
 * with statsd_next_value() and number_parse().
 *
 * Grammar: etsy statsd, DogStatsD protocol 1.0 to 1.6, and the Librato, InfluxDB and SignalFX ways to
 * put tags into the name.
 */
#ifndef STATSD_LINE_H
#define STATSD_LINE_H

#include "base/span.h"
#include "model/labels.h"

#include <stdint.h>

/* Longest line, without its line end; longer ones are refused by net. */
#define STATSD_LINE_MAX 65536
/* Longest metric name with the tags in it, bytes; a longer one refuses the line. */
#define STATSD_NAME_MAX 4096

/* Why a line or a sample was refused or faulted. */
enum statsd_reason {
	STATSD_OK,
	/* The whole line. */
	STATSD_MALFORMED_LINE,		       /* no ':', nothing before it, or invalid UTF-8 */
	STATSD_NAME_TOO_LONG,		       /* more than STATSD_NAME_MAX bytes before the ':' */
	STATSD_MIXED_TAGGING_STYLES,	       /* tags in the name and "|#" in the rest */
	STATSD_TOO_MANY_TAGS,		       /* more than TAGS_MAX */
	STATSD_NOT_ENOUGH_PARTS,	       /* no '|' behind the ':' */
	STATSD_INVALID_EXTENDED_AGGREGATE,     /* packed values of a type that is not packed */
	STATSD_MALFORMED_EVENT,		       /* "_e{" and no event */
	STATSD_MALFORMED_SERVICE_CHECK,	       /* "_sc|" and no service check */
	/* One sample. */
	STATSD_MALFORMED_COMPONENT, /* no type, or an empty section */
	STATSD_MALFORMED_VALUE,	    /* the value is no number, or not one its type can take */
	STATSD_ILLEGAL_EVENT,	    /* unknown type */
	/* Counted; the sample lives. */
	STATSD_INVALID_SAMPLE_FACTOR,  /* "@" without a usable number, or an unknown section */
	STATSD_MALFORMED_CONTAINER_ID, /* "c:" with nothing behind it */
	STATSD_REASONS
};

/** @return the word used as label value, such as "malformed_line" */
const char *statsd_reason_text(enum statsd_reason reason);

struct statsd_options {
	bool dogstatsd_tags, influxdb_tags, librato_tags, signalfx_tags; /* the four switches */
	bool container_id_label; /* "|c:x" becomes the label container_id */
	bool sets;		 /* "|s" is a sample, not an illegal event */
};

enum statsd_line_class {
	STATSD_LINE_EMPTY,
	STATSD_LINE_METRIC,
	STATSD_LINE_EVENT, /* starts with "_e{" */
	STATSD_LINE_CHECK, /* starts with "_sc|" */
};

/** Tells what a line is from its first bytes. */
enum statsd_line_class statsd_classify(struct span line);

/* A metric line, or the next etsy sample of one, cut into its parts; all borrow from the line. */
struct statsd_cut {
	struct span name;   /* before the line's first ':' */
	struct span values; /* up to the '|', may hold ':' when packed */
	struct span suffix; /* from that '|' (included) to the end of the sample; empty = no '|' */
	struct span more;   /* behind the ':' that starts the next etsy sample; ptr NULL = none */
	bool packed;	    /* values holds ':' */
	bool dogstatsd;	    /* "|#" somewhere behind the name: one sample, whatever ':' follow */
};

/**
 * Cuts a metric line into its first sample.
 *
 * @line borrowed; not empty; without line end
 * @cut  written in any case; on refusal `name` is right when there was a ':'
 * @where byte offset of the fault, on refusal
 * @return STATSD_OK, STATSD_MALFORMED_LINE (no ':' or empty name), STATSD_NAME_TOO_LONG or
 *         STATSD_NOT_ENOUGH_PARTS. UTF-8 is not checked here.
 */
enum statsd_reason statsd_cut(struct span line, struct statsd_cut *cut, size_t *where);

/**
 * Goes on to the next etsy sample of a line ("a:1|c:2|ms"): cut->more becomes values, suffix, more.
 *
 * @return false when there is none. A sample without '|' has an empty suffix and is refused as
 *         STATSD_MALFORMED_COMPONENT.
 */
bool statsd_cut_next(struct statsd_cut *cut);

/**
 * Takes the next of the packed values.
 *
 * @values the rest; ptr becomes NULL behind the last
 * @piece  the value's text, maybe empty
 * @return false when there is none left
 */
bool statsd_next_value(struct span *values, struct span *piece);

/**
 * Gives the bytes of a suffix that stand for its meaning: two samples with the same name and the same of
 * these have the same head. Sections that never change the meaning ("|T", "|e:", "|card:", and "|c:"
 * when it makes no label) are left out.
 *
 * @cut its suffix is not empty
 * @out at least cut->suffix.len bytes
 * @return the suffix itself when all of it has meaning, else what was written to `out`
 */
struct span statsd_key_suffix(const struct statsd_cut *cut, const struct statsd_options *options,
			      char *out);

/**
 * @return whether a line that ends with this suffix, behind one value that is not packed, is cut as one
 *         sample with just this suffix
 */
bool statsd_suffix_is_whole(struct span suffix);

enum statsd_type {
	STATSD_TYPE_COUNTER,	  /* c */
	STATSD_TYPE_GAUGE,	  /* g */
	STATSD_TYPE_MILLISECONDS, /* ms */
	STATSD_TYPE_HISTOGRAM,	  /* h */
	STATSD_TYPE_DISTRIBUTION, /* d */
	STATSD_TYPE_SET,	  /* s */
	STATSD_TYPE_UNKNOWN,
};

/* Rates kept apart, since dividing one by one is what gives round results; more are multiplied. */
#define STATSD_RATES_MAX 4

/* The meaning of name and suffix. What is counted "a sample" is counted for each good value. */
struct statsd_head {
	enum statsd_reason refused; /* a reason that refuses the whole line, or STATSD_OK */
	enum statsd_reason sample;  /* STATSD_OK, or the reason that refuses each sample */
	size_t where;		    /* byte offset of the fault in `line`, when one of them is set */
	struct span name;	    /* raw metric name without tags; may be empty */
	struct labels labels;	    /* names escaped (in `line` or `scratch`), values raw, borrowed */
	bool name_has_labels;	    /* good tags in the name */
	bool has_labels;	    /* the sample counts in tags_total */
	enum statsd_type type;
	uint32_t name_tag_errors;	/* bad tags in the name: once a line */
	uint32_t tag_errors;		/* bad tags in sections: each sample */
	uint32_t sample_factor_errors;	/* each sample */
	uint32_t container_id_errors;	/* each sample */
	/* Counters: divide by each; in (0, 1], at least 1e-6; useless rates are left out. */
	double rates[STATSD_RATES_MAX];
	size_t rate_count;
	double rate; /* observers: the last usable rate, else 1 */
	/* Room for escaped names: a leading digit grows a name by one byte. */
	char scratch[STATSD_LINE_MAX + TAGS_MAX];
	size_t scratch_len;
};

/**
 * Works out the meaning of a sample's name and suffix.
 *
 * Checks the UTF-8 of name and suffix (the values' is the caller's concern: a value that parses as a
 * number is ASCII). With an empty suffix only the tags in the name are read, so that their errors can
 * be counted; head->sample is STATSD_MALFORMED_COMPONENT then, and head->refused, when it is the
 * line's first sample, STATSD_NOT_ENOUGH_PARTS. Such a sample's value is not looked at; every other
 * head->sample comes after a bad value, as in statsd_exporter. Whether packed values suit the type is
 * the caller's concern too.
 *
 * Refusals are looked for in this order: what statsd_cut() refuses in the name, UTF-8, tags in the
 * name, mixed styles, the missing '|', tags in sections. name_tag_errors found before stay counted.
 *
 * @line borrowed, the whole line, for offsets; at most STATSD_LINE_MAX bytes
 * @cut  from statsd_cut() or statsd_cut_next()
 * @head written in any case; borrows from `line`
 */
void statsd_parse_head(struct span line, const struct statsd_cut *cut,
		       const struct statsd_options *options, struct statsd_head *head);

/**
 * Works out the meaning of a further sample's suffix: what the name says stays as it is, and `labels` as
 * the caller has left them. Costs no look at the name, which may be as long as hundreds of suffixes.
 *
 * @cut  from statsd_cut_next(), its suffix is not empty
 * @head of an earlier sample of the line, not refused, whose suffix had no labels: none has that others
 *	 follow
 * @return false when the suffix may have labels or refuse the line; `head` is worth nothing then
 */
bool statsd_parse_further(struct span line, const struct statsd_cut *cut,
			  const struct statsd_options *options, struct statsd_head *head) MUST_CHECK;

/** @return whether values of this type may be packed ("a:1:2|c"); sets never are */
bool statsd_type_packs(enum statsd_type type);

#endif
