/*
 * mapping/draft - what a mapping file says, key by key, before anything is resolved.
 *
 * One table in draft.c knows every key: where it may stand, its type, its legacy spellings. Reading
 * checks types and unknown keys; what values mean together is mapping/config's. Private to
 * mapping/config.
 */
#ifndef MAPPING_DRAFT_H
#define MAPPING_DRAFT_H

#include "yaml/ynode.h"

/* Where a reader is, innermost first: prints as "mappings[3].labels.job". */
struct draft_path {
	const struct draft_path *parent; /* borrowed; NULL at the outermost key */
	const struct ynode *key;         /* NULL: an item of a list */
	size_t index;
};

/* One key as the file gives it. */
struct draft_setting {
	const struct ynode *key;     /* NULL = not given, or given as null */
	const struct ynode *value;   /* NULL also where the type was wrong, which was reported */
	const struct ynode *options; /* key of the options it stands in, NULL outside of options */
	bool is_legacy;
	/* By the key's type; zero when not given. Texts, lists and maps are read from `value`. */
	union {
		bool flag;
		double number;
		uint64_t count;
		int64_t duration_ns;
		int word; /* of the enum that the key's words stand for */
	};
};

/* What one map gives, whatever its level; options nested in a rule land in the rule's draft. */
struct draft {
	struct draft_setting defaults, mappings;
	struct draft_setting match, match_type, match_metric_type, name, labels, honor_labels;
	struct draft_setting help, action, observer_type, ttl, zero_first, exemplar_tag, scale,
	    signed_gauges;
	struct draft_setting glob_disable_ordering;
	struct draft_setting histogram_options, buckets, native_bucket_factor, native_max_buckets;
	struct draft_setting summary_options, quantiles, max_age, age_buckets, buf_cap;
	struct draft_setting quantile, error;
	struct draft_setting tags, keep, drop, rename, max_values;
};

/* Bits of where a key may stand. */
enum draft_level {
	IN_FILE = 1,
	IN_DEFAULTS = 2,
	IN_RULE = 4,
	IN_HISTOGRAM = 8,
	IN_SUMMARY = 16,
	IN_QUANTILE = 32,
	IN_TAGS = 64,
};

struct draft_notice;

struct draft_reader {
	const char *file;  /* borrowed; what messages name */
	struct diag *diag; /* borrowed */
	struct draft_notice *notices;
};

void draft_reader_init(struct draft_reader *reader, const char *file, struct diag *diag);

/**
 * Gives the warnings that were held back and frees. Warnings come once a spelling, with the first
 * place and how many more there are, so that they never crowd out errors.
 */
void draft_reader_fini(struct draft_reader *reader);

/**
 * Reads a map. Errors go to the diag, all of them. A legacy key yields to its modern spelling,
 * wherever either stands.
 *
 * @path  of the map; NULL for the file
 * @map   of type YNODE_MAP; must outlive the draft and the reader
 * @draft zeroed before the first read
 */
void draft_read_map(struct draft_reader *reader, enum draft_level level,
		    const struct draft_path *path, const struct ynode *map, struct draft *draft);

/** Errors about a node: one in words, one about its type ("expected ..., got ..."). */
void draft_report(struct draft_reader *reader, const struct draft_path *path,
		  const struct ynode *at, const char *format, ...) PRINTF_LIKE(4, 5);
void draft_report_type(struct draft_reader *reader, const struct draft_path *path,
		       const struct ynode *at, const char *expected);

/** @return where a node stands, to print or to keep */
struct diag_place draft_place(const struct draft_reader *reader, const struct ynode *node);

#endif
