#include "mapping/draft.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/excerpt.h"
#include "base/near.h"
#include "mapping/rule.h"
#include "model/name.h"
#include "yaml/scalar.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* Something worth one warning a file: where it was first, and how often more. */
struct draft_notice {
	const struct ynode *first;
	char *path; /* owned */
	const char *text;
	size_t more;
};

enum { NOTICE_TIMER, NOTICE_BARE_DURATION, NOTICE_FIRST_KEY };

struct word {
	struct span text;
	int value;
};

struct key;

/* A value that is not null, on its way into the setting of its key. */
struct reading {
	struct draft_reader *reader;
	const struct key *key;
	const struct draft_path *path; /* of the value */
	const struct ynode *value;
	struct draft *draft; /* what nested options land in */
};

/* @return false: not of the type */
typedef bool (*convert_fn)(const struct reading *in, struct draft_setting *out);

struct key {
	unsigned levels; /* enum draft_level: where it may stand */
	const char *name;
	const char *expected; /* as in "expected ..., got ..." */
	convert_fn convert;
	size_t offset;            /* of its setting in struct draft */
	const struct word *words; /* to_word(): what may stand there; a NULL span ends them */
	uint64_t max;             /* to_count() */
	enum draft_level nested;  /* to_nested(): of the keys in it */
	const char *modern;       /* legacy key: what to write today */
};

static void
add_path(struct buf *out, const struct draft_path *path)
{
	if (path->parent)
		add_path(out, path->parent);
	if (!path->key) {
		buf_printf(out, "[%zu]", path->index);
		return;
	}
	char text[EXCERPT_SIZE];
	if (out->len)
		buf_add_byte(out, '.');
	excerpt_quote(path->key->text, text);
	if (name_is_legal(path->key->text))
		buf_add(out, text + 1, strlen(text) - 2);
	else
		buf_add_text(out, text);
}

struct diag_place
draft_place(const struct draft_reader *reader, const struct ynode *node)
{
	return (struct diag_place){reader->file, node->line, node->column};
}

void
draft_report(struct draft_reader *reader, const struct draft_path *path, const struct ynode *at,
	     const char *format, ...)
{
	char reason[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	struct buf name = BUF_INIT;
	add_path(&name, path);
	diag_error(reader->diag, draft_place(reader, at), buf_text(&name), "%s", reason);
	buf_fini(&name);
}

static void
note(struct draft_reader *reader, size_t index, const struct draft_path *path,
     const struct ynode *at, const char *text)
{
	struct draft_notice *notice = &reader->notices[index];
	if (notice->first) {
		notice->more++;
		return;
	}
	struct buf name = BUF_INIT;
	add_path(&name, path);
	*notice =
	    (struct draft_notice){.first = at, .path = xstrdup(buf_text(&name)), .text = text};
	buf_fini(&name);
}

/* Converters, one per type of value. */

static bool
is_plain_scalar(const struct ynode *value)
{
	return value->type == YNODE_SCALAR && value->is_plain;
}

static bool
to_text(const struct reading *in, struct draft_setting *out)
{
	(void)out;
	return in->value->type == YNODE_SCALAR;
}

static bool
to_flag(const struct reading *in, struct draft_setting *out)
{
	return is_plain_scalar(in->value) && scalar_parse_flag(in->value->text, &out->flag);
}

static bool
to_number(const struct reading *in, struct draft_setting *out)
{
	return is_plain_scalar(in->value) && scalar_parse_number(in->value->text, &out->number);
}

static bool
to_count(const struct reading *in, struct draft_setting *out)
{
	return is_plain_scalar(in->value) &&
	       scalar_parse_count(in->value->text, in->key->max, &out->count);
}

static bool
to_duration(const struct reading *in, struct draft_setting *out)
{
	const struct ynode *value = in->value;
	if (value->type != YNODE_SCALAR)
		return false;
	if (scalar_parse_duration(value->text, &out->duration_ns))
		return true;
	if (!value->is_plain || !scalar_parse_nanoseconds(value->text, &out->duration_ns))
		return false;
	if (out->duration_ns)
		note(in->reader, NOTICE_BARE_DURATION, in->path, value,
		     "a bare number is nanoseconds; write a unit, such as \"10s\"");
	return true;
}

static bool
to_word(const struct reading *in, struct draft_setting *out)
{
	if (in->value->type != YNODE_SCALAR)
		return false;
	for (const struct word *word = in->key->words; word->text.ptr; word++) {
		if (span_equal(word->text, in->value->text)) {
			out->word = word->value;
			return true;
		}
	}
	return false;
}

static bool
to_kind(const struct reading *in, struct draft_setting *out)
{
	if (in->value->type != YNODE_SCALAR || !span_equal(in->value->text, SPAN("timer")))
		return to_word(in, out);
	note(in->reader, NOTICE_TIMER, in->path, in->value,
	     "old spelling; write \"match_metric_type: observer\"");
	out->word = EVENT_OBSERVER;
	return true;
}

static bool
to_list(const struct reading *in, struct draft_setting *out)
{
	(void)out;
	return in->value->type == YNODE_LIST;
}

static bool
to_map(const struct reading *in, struct draft_setting *out)
{
	(void)out;
	return in->value->type == YNODE_MAP;
}

/* A map with keys of its own. */
static bool
to_nested(const struct reading *in, struct draft_setting *out)
{
	if (!to_map(in, out))
		return false;
	draft_read_map(in->reader, in->key->nested, in->path, in->value, in->draft);
	return true;
}

static const struct word observer_words[] = {
    {SPAN("histogram"), METRIC_HISTOGRAM},
    {SPAN("summary"), METRIC_SUMMARY},
    {SPAN(""), METRIC_SUMMARY},
    {{NULL, 0}, 0},
};
static const struct word match_words[] = {
    {SPAN("glob"), MATCH_GLOB},
    {SPAN("regex"), MATCH_REGEX},
    {SPAN(""), MATCH_GLOB},
    {{NULL, 0}, 0},
};
static const struct word action_words[] = {
    {SPAN("map"), ACTION_MAP},
    {SPAN("drop"), ACTION_DROP},
    {SPAN(""), ACTION_MAP},
    {{NULL, 0}, 0},
};
static const struct word kind_words[] = {
    {SPAN("counter"), EVENT_COUNTER},
    {SPAN("gauge"), EVENT_GAUGE},
    {SPAN("observer"), EVENT_OBSERVER},
    {{NULL, 0}, 0},
};
static const struct word signed_words[] = {
    {SPAN("relative"), SIGNED_GAUGES_RELATIVE},
    {SPAN("absolute"), SIGNED_GAUGES_ABSOLUTE},
    {{NULL, 0}, 0},
};

#define TEXT "a text", to_text
#define FLAG "true or false", to_flag
#define NUMBER "a number", to_number
#define DURATION "a duration such as 10s or 1h30m", to_duration
#define COUNT(max_text) "a whole number from 0 to " max_text, to_count
#define OBSERVER "histogram or summary", to_word
#define LIST(of) "a list of " of, to_list
#define MAP(of) "a mapping of " of, to_map
#define AT(member) offsetof(struct draft, member)

/* Every key there is. Legacy rows share the setting of their modern spelling. */
static const struct key keys[] = {
    {IN_FILE, "defaults", MAP("defaults"), AT(defaults)},
    {IN_FILE, "mappings", LIST("rules"), AT(mappings)},
    {IN_FILE, "tags", "a mapping of keep, drop and rename", to_nested, AT(tags), .nested = IN_TAGS},
    {IN_FILE, "max_values", MAP("label names to numbers"), AT(max_values)},

    {IN_RULE, "match", TEXT, AT(match)},
    {IN_RULE | IN_DEFAULTS, "match_type", "glob or regex", to_word, AT(match_type), match_words},
    {IN_RULE, "match_metric_type", "counter, gauge or observer", to_kind, AT(match_metric_type),
     kind_words},
    {IN_RULE, "name", TEXT, AT(name)},
    {IN_RULE | IN_FILE, "labels", MAP("label names to texts"), AT(labels)},
    {IN_RULE, "honor_labels", FLAG, AT(honor_labels)},
    {IN_RULE, "help", TEXT, AT(help)},
    {IN_RULE, "action", "map or drop", to_word, AT(action), action_words},
    {IN_RULE | IN_DEFAULTS, "observer_type", OBSERVER, AT(observer_type), observer_words},
    {IN_RULE | IN_DEFAULTS, "ttl", DURATION, AT(ttl)},
    {IN_RULE | IN_DEFAULTS, "zero_first", DURATION, AT(zero_first)},
    {IN_RULE | IN_DEFAULTS, "exemplar_tag", TEXT, AT(exemplar_tag)},
    {IN_RULE, "scale", NUMBER, AT(scale)},
    {IN_RULE, "signed_gauges", "relative or absolute", to_word, AT(signed_gauges), signed_words},
    {IN_RULE | IN_DEFAULTS, "histogram_options", "a mapping of options", to_nested,
     AT(histogram_options), .nested = IN_HISTOGRAM},
    {IN_RULE | IN_DEFAULTS, "summary_options", "a mapping of options", to_nested,
     AT(summary_options), .nested = IN_SUMMARY},
    {IN_DEFAULTS, "glob_disable_ordering", FLAG, AT(glob_disable_ordering)},

    {IN_HISTOGRAM, "buckets", LIST("numbers"), AT(buckets)},
    {IN_HISTOGRAM, "native_histogram_bucket_factor", NUMBER, AT(native_bucket_factor)},
    {IN_HISTOGRAM, "native_histogram_max_buckets", COUNT("4294967295"), AT(native_max_buckets),
     .max = UINT32_MAX},

    {IN_SUMMARY, "quantiles", LIST("quantiles"), AT(quantiles)},
    {IN_SUMMARY, "max_age", DURATION, AT(max_age)},
    {IN_SUMMARY, "age_buckets", COUNT("1000"), AT(age_buckets), .max = AGE_BUCKETS_MAX},
    {IN_SUMMARY, "buf_cap", COUNT("4294967295"), AT(buf_cap), .max = UINT32_MAX},

    {IN_QUANTILE, "quantile", NUMBER, AT(quantile)},
    {IN_QUANTILE, "error", NUMBER, AT(error)},

    {IN_TAGS, "keep", LIST("tag names"), AT(keep)},
    {IN_TAGS, "drop", LIST("tag names"), AT(drop)},
    {IN_TAGS, "rename", MAP("tag names to label names"), AT(rename)},

    {IN_RULE | IN_DEFAULTS, "timer_type", OBSERVER, AT(observer_type), observer_words,
     .modern = "observer_type"},
    {IN_RULE | IN_DEFAULTS, "buckets", LIST("numbers"), AT(buckets),
     .modern = "histogram_options: {buckets: [...]}"},
    {IN_RULE | IN_DEFAULTS, "quantiles", LIST("quantiles"), AT(quantiles),
     .modern = "summary_options: {quantiles: [...]}"},
    {IN_RULE | IN_DEFAULTS | IN_SUMMARY, "max_summary_age", DURATION, AT(max_age),
     .modern = "summary_options: {max_age: ...}"},
    {IN_RULE | IN_DEFAULTS | IN_SUMMARY, "summary_age_buckets", COUNT("1000"), AT(age_buckets),
     .max = AGE_BUCKETS_MAX, .modern = "summary_options: {age_buckets: ...}"},
    {IN_RULE | IN_DEFAULTS | IN_SUMMARY, "stream_buffer_size", COUNT("4294967295"), AT(buf_cap),
     .max = UINT32_MAX, .modern = "summary_options: {buf_cap: ...}"},
};

_Static_assert(AGE_BUCKETS_MAX == 1000, "the table of keys names this number");

static const char *
level_text(unsigned levels)
{
	if (levels & IN_RULE)
		return "a rule";
	if (levels & IN_DEFAULTS)
		return "defaults";
	if (levels & IN_HISTOGRAM)
		return "histogram_options";
	if (levels & IN_SUMMARY)
		return "summary_options";
	if (levels & IN_TAGS)
		return "tags";
	return levels & IN_FILE ? "the top level" : "an item of quantiles";
}

static const struct key *
find_key(unsigned level, struct span name)
{
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if ((keys[i].levels & level) && span_equal(span_text(keys[i].name), name))
			return &keys[i];
	return NULL;
}

/* The key of `level` that `name` most looks like, or NULL. */
static const struct key *
find_near_miss(unsigned level, struct span name)
{
	const struct key *best = NULL;
	size_t best_distance = name.len / 3 + 1;
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		if (!(keys[i].levels & level) || keys[i].modern)
			continue;
		size_t distance = near_distance(name, span_text(keys[i].name));
		if (distance < best_distance) {
			best_distance = distance;
			best = &keys[i];
		}
	}
	return best;
}

static void
report_unknown_key(struct draft_reader *reader, enum draft_level level,
		   const struct draft_path *path, const struct ynode *key)
{
	const struct key *elsewhere = find_key(~0u, key->text);
	const struct key *near = find_near_miss(level, key->text);
	if (elsewhere)
		draft_report(reader, path, key, "unknown key in %s; it belongs in %s",
			     level_text(level), level_text(elsewhere->levels));
	else if (near)
		draft_report(reader, path, key, "unknown key; did you mean \"%s\"?", near->name);
	else
		draft_report(reader, path, key, "unknown key");
}

void
draft_report_type(struct draft_reader *reader, const struct draft_path *path,
		  const struct ynode *at, const char *expected)
{
	char got[YNODE_DESCRIPTION_SIZE];
	draft_report(reader, path, at, "expected %s, got %s", expected, ynode_describe(at, got));
}

static void
read_pair(struct draft_reader *reader, enum draft_level level, const struct draft_path *path,
	  const struct ynode_pair *pair, struct draft *draft)
{
	const struct key *key = find_key(level, pair->key->text);
	if (!key) {
		report_unknown_key(reader, level, path, pair->key);
		return;
	}
	if (pair->value->type == YNODE_NULL)
		return;
	if (key->modern)
		note(reader, NOTICE_FIRST_KEY + (size_t)(key - keys), path, pair->key, key->modern);
	bool is_nested = level == IN_HISTOGRAM || level == IN_SUMMARY;
	struct draft_setting read = {.key = pair->key,
				     .value = pair->value,
				     .options = is_nested ? path->parent->key : NULL,
				     .is_legacy = key->modern != NULL};
	struct reading in = {reader, key, path, pair->value, draft};
	if (!key->convert(&in, &read)) {
		draft_report_type(reader, path, pair->value, key->expected);
		read = (struct draft_setting){.key = pair->key, .is_legacy = read.is_legacy};
	}
	struct draft_setting *setting =
	    (struct draft_setting *)(void *)((char *)draft + key->offset);
	if (!setting->key || setting->is_legacy)
		*setting = read;
}

void
draft_read_map(struct draft_reader *reader, enum draft_level level, const struct draft_path *path,
	       const struct ynode *map, struct draft *draft)
{
	for (size_t i = 0; i < map->map.count; i++) {
		struct draft_path inner = {path, map->map.pairs[i].key, 0};
		read_pair(reader, level, &inner, &map->map.pairs[i], draft);
	}
}

void
draft_reader_init(struct draft_reader *reader, const char *file, struct diag *diag)
{
	*reader = (struct draft_reader){
	    .file = file,
	    .diag = diag,
	    .notices = xcalloc(NOTICE_FIRST_KEY + COUNT_OF(keys), sizeof(*reader->notices)),
	};
}

void
draft_reader_fini(struct draft_reader *reader)
{
	for (size_t i = 0; i < NOTICE_FIRST_KEY + COUNT_OF(keys); i++) {
		struct draft_notice *notice = &reader->notices[i];
		if (!notice->first)
			continue;
		char more[64] = "";
		if (notice->more)
			snprintf(more, sizeof(more), " (and %zu more)", notice->more);
		bool is_key = i >= NOTICE_FIRST_KEY;
		diag_warn(reader->diag, draft_place(reader, notice->first), notice->path,
			  "%s%s%s%s", is_key ? "old spelling; write \"" : "", notice->text,
			  is_key ? "\"" : "", more);
		free(notice->path);
	}
	free(reader->notices);
	reader->notices = NULL;
}
