/*
 * Two steps per rule: draft_read_map() fills a draft from the table of keys, checking types; then
 * the draft is resolved against the defaults and checked for meaning. Nothing stops at the first
 * error.
 */
#include "mapping/config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/excerpt.h"
#include "mapping/draft.h"
#include "mapping/labelling.h"
#include "mapping/regex.h"
#include "model/labels.h"
#include "model/name.h"
#include "yaml/scalar.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* A window slot shorter than this would only turn, never hold a value. */
#define SLOT_US_MIN 1000

struct reader {
	struct draft_reader input;
	struct rule_set *set;           /* growing */
	struct summary_options builtin; /* its numbers; the quantiles are the rule set's */
	struct draft defaults;
	size_t rule_capacity;
};

static char *
copy_setting(const struct draft_setting *setting)
{
	if (!setting->value)
		return xstrdup("");
	return xmemdup0(setting->value->text.ptr, setting->value->text.len);
}

static int64_t
microseconds(int64_t ns)
{
	return ns / 1000 + (ns % 1000 > 0);
}

/* The map that holds a setting: the options it stands in, else the rule or the defaults. */
static struct draft_path
map_path(const struct draft_path *rule, const struct draft_setting *setting)
{
	return setting->options ? (struct draft_path){rule, setting->options, 0} : *rule;
}

static void
report_setting(struct reader *reader, const struct draft_path *rule,
	       const struct draft_setting *setting, const char *reason)
{
	struct draft_path map = map_path(rule, setting);
	struct draft_path path = {&map, setting->key, 0};
	draft_report(&reader->input, &path, setting->value, "%s", reason);
}

static bool
read_bucket(struct reader *reader, const struct draft_path *path, const struct ynode *item,
	    double *bucket)
{
	if (item->type != YNODE_SCALAR || !item->is_plain ||
	    !scalar_parse_number(item->text, bucket)) {
		draft_report_type(&reader->input, path, item, "a number");
		return false;
	}
	if (isnan(*bucket) || *bucket == -INFINITY) {
		draft_report(&reader->input, path, item,
			     "a bucket is a finite number, or +Inf at the end");
		return false;
	}
	return true;
}

/* Buckets ascend; +Inf may end them and is left out, since every histogram has it. */
static void
read_buckets(struct reader *reader, const struct draft_path *path, const struct ynode *list,
	     struct histogram_options *out)
{
	size_t count = list->list.count;
	if (count > BUCKETS_MAX) {
		draft_report(&reader->input, path, list, "%zu buckets, %u at most", count,
			     BUCKETS_MAX);
		return;
	}
	double *buckets = xcalloc(count, sizeof(*buckets));
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		struct draft_path item = {path, NULL, i};
		if (!read_bucket(reader, &item, list->list.items[i], &buckets[used]))
			continue;
		if (used && buckets[used] <= buckets[used - 1])
			draft_report(&reader->input, &item, list->list.items[i],
				     "buckets must ascend: this one is not above the one before");
		else
			used++;
	}
	if (used && buckets[used - 1] == INFINITY)
		used--;
	out->buckets = buckets;
	out->bucket_count = used;
}

/* @out the defaults; what the draft gives replaces it */
static void
resolve_histogram(struct reader *reader, const struct draft_path *path, const struct draft *draft,
		  struct histogram_options *out)
{
	const struct draft_setting *factor = &draft->native_bucket_factor;
	if (draft->buckets.value && draft->buckets.value->list.count) {
		struct draft_path map = map_path(path, &draft->buckets);
		struct draft_path inner = {&map, draft->buckets.key, 0};
		read_buckets(reader, &inner, draft->buckets.value, out);
	}
	if (factor->value && factor->number != 0) {
		if (!isfinite(factor->number))
			report_setting(reader, path, factor, "must be finite");
		else
			out->native_bucket_factor = factor->number > 1 ? factor->number : 0;
	}
	if (draft->native_max_buckets.count)
		out->native_max_buckets = (uint32_t)draft->native_max_buckets.count;
}

static bool
check_unit_range(struct reader *reader, const struct draft_path *path,
		 const struct draft_setting *setting)
{
	if (setting->number >= 0 && setting->number <= 1)
		return true;
	report_setting(reader, path, setting, "must be from 0 to 1");
	return false;
}

static bool
read_quantile(struct reader *reader, const struct draft_path *path, const struct ynode *item,
	      struct quantile *out)
{
	if (item->type != YNODE_MAP) {
		draft_report_type(&reader->input, path, item, "a mapping of quantile and error");
		return false;
	}
	struct draft draft = {0};
	size_t errors = reader->input.diag->errors;
	draft_read_map(&reader->input, IN_QUANTILE, path, item, &draft);
	if (reader->input.diag->errors > errors)
		return false;
	if (!draft.quantile.value) {
		draft_report(&reader->input, path, item, "quantile is missing");
		return false;
	}
	/* Adding 0 makes 0 of -0, which would print as another quantile. */
	*out = (struct quantile){draft.quantile.number + 0.0, draft.error.number};
	return check_unit_range(reader, path, &draft.quantile) &&
	       check_unit_range(reader, path, &draft.error);
}

/* Puts a quantile in its place; one listed twice keeps the last error. */
static void
insert_quantile(struct summary_options *out, struct quantile quantile)
{
	size_t at = 0;
	while (at < out->quantile_count && out->quantiles[at].quantile < quantile.quantile)
		at++;
	if (at == out->quantile_count || out->quantiles[at].quantile != quantile.quantile) {
		memmove(out->quantiles + at + 1, out->quantiles + at,
			(out->quantile_count - at) * sizeof(*out->quantiles));
		out->quantile_count++;
	}
	out->quantiles[at] = quantile;
}

static void
read_quantiles(struct reader *reader, const struct draft_path *path, const struct ynode *list,
	       struct summary_options *out)
{
	size_t count = list->list.count;
	if (count > QUANTILES_MAX) {
		draft_report(&reader->input, path, list, "%zu quantiles, %u at most", count,
			     QUANTILES_MAX);
		return;
	}
	out->quantiles = xcalloc(count, sizeof(*out->quantiles));
	out->quantile_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct draft_path item = {path, NULL, i};
		struct quantile quantile;
		if (read_quantile(reader, &item, list->list.items[i], &quantile))
			insert_quantile(out, quantile);
	}
}

/* @out the defaults; what the draft gives replaces it */
static void
resolve_summary(struct reader *reader, const struct draft_path *path, const struct draft *draft,
		struct summary_options *out)
{
	const struct draft_setting *age = &draft->max_age, *slots = &draft->age_buckets;
	if (draft->quantiles.value && draft->quantiles.value->list.count) {
		struct draft_path map = map_path(path, &draft->quantiles);
		struct draft_path inner = {&map, draft->quantiles.key, 0};
		read_quantiles(reader, &inner, draft->quantiles.value, out);
	}
	if (age->duration_ns < 0) {
		report_setting(reader, path, age, "must not be negative");
		return;
	}
	if (age->duration_ns)
		out->max_age_us = microseconds(age->duration_ns);
	if (slots->count)
		out->age_buckets = (uint32_t)slots->count;
	if (draft->buf_cap.count)
		out->buf_cap = (uint32_t)draft->buf_cap.count;
	if ((age->value || slots->value) && out->max_age_us / out->age_buckets < SLOT_US_MIN)
		report_setting(reader, path, age->value ? age : slots,
			       "max_age divided by age_buckets is below 1ms");
}

static int64_t
resolve_ttl(struct reader *reader, const struct draft_path *path, const struct draft *draft,
	    int64_t inherited_us)
{
	if (draft->ttl.duration_ns < 0)
		report_setting(reader, path, &draft->ttl, "must not be negative");
	return draft->ttl.duration_ns > 0 ? microseconds(draft->ttl.duration_ns) : inherited_us;
}

/* A series that ends first would not be seen to grow: it is shown at zero, and as long with what it has
 * at least. */
static void
check_zero_first(struct reader *reader, const struct draft_path *path, const struct draft *draft,
		 const struct total_options *totals, int64_t ttl_us)
{
	if (!ttl_us || totals->zero_first_us <= ttl_us / 2)
		return;
	if (draft->zero_first.value)
		report_setting(reader, path, &draft->zero_first, "must be at most half of ttl");
	else if (draft->ttl.value)
		report_setting(reader, path, &draft->ttl, "must be at least twice zero_first");
}

static void
resolve_totals(struct reader *reader, const struct draft_path *path, const struct draft *draft,
	       const struct total_options *inherited, struct total_options *out)
{
	const struct draft_setting *zero_first = &draft->zero_first;
	*out = *inherited;
	if (!zero_first->value)
		return;
	out->zero_first_us = microseconds(zero_first->duration_ns);
	if (zero_first->duration_ns < 0)
		report_setting(reader, path, zero_first, "must not be negative");
	else if (out->zero_first_us > ZERO_FIRST_US_MAX)
		report_setting(reader, path, zero_first, "must be 1h at most");
}

/* @return the name, owned, or NULL; an empty text takes that of the defaults away */
static char *
resolve_exemplar_tag(struct reader *reader, const struct draft_path *path,
		     const struct draft *draft, const char *inherited)
{
	const struct draft_setting *tag = &draft->exemplar_tag;
	if (!tag->value)
		return inherited ? xstrdup(inherited) : NULL;
	if (!tag->value->text.len)
		return NULL;
	const char *fault = labelling_find_fault(tag->value->text);
	if (!fault && tag->value->text.len >= EXEMPLAR_LENGTH_MAX)
		fault = "longer than an exemplar may be";
	if (fault)
		report_setting(reader, path, tag, fault);
	return copy_setting(tag);
}

static bool
is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What is wrong with a name template, and at which byte; NULL when nothing is. */
static const char *
find_name_fault(struct span name, size_t *at)
{
	for (*at = 0; *at < name.len;) {
		char c = name.ptr[*at];
		if (*at == 0 && is_digit(c))
			return "a name must not start with a digit";
		if (is_word_byte(c)) {
			++*at;
			continue;
		}
		size_t end = *at + 1;
		end += c == '$' && end < name.len && name.ptr[end] == '{';
		size_t digits = end;
		while (end < name.len && is_digit(name.ptr[end]))
			end++;
		if (c != '$' || end == digits)
			return "a name is letters, digits, '_' and references such as $1 or ${1}";
		end += end < name.len && name.ptr[end] == '}';
		*at = end;
	}
	return NULL;
}

/* What is wrong with a glob, and at which byte; NULL when nothing is. */
static const char *
find_glob_fault(struct span glob, size_t *at)
{
	*at = 0;
	if (glob.len && is_digit(glob.ptr[0]))
		return "a glob must not start with a digit";
	for (size_t start = 0; start <= glob.len; start = *at + 1) {
		for (*at = start; *at < glob.len && glob.ptr[*at] != '.'; ++*at) {
			char c = glob.ptr[*at];
			if (c == '*' &&
			    (*at > start || (*at + 1 < glob.len && glob.ptr[*at + 1] != '.')))
				return "in a glob a '*' stands alone between dots";
			if (c == '-' && *at == start)
				return "a component of a glob must not start with '-'";
			if (c != '*' && c != '-' && !is_word_byte(c))
				return "a component of a glob is '*', or letters, digits, '_' and "
				       "'-'";
		}
		if (*at == start)
			return "a component of a glob must not be empty";
	}
	return NULL;
}

static void
report_fault(struct reader *reader, const struct draft_path *parent,
	     const struct draft_setting *setting, const char *fault, size_t at)
{
	char text[EXCERPT_SIZE];
	struct draft_path path = {parent, setting->key, 0};
	draft_report(&reader->input, &path, setting->value, "%s; see byte %zu of %s", fault, at + 1,
		     excerpt_quote(setting->value->text, text));
}

/* @return false where the type is unknown, since the file has a wrong word for it */
static bool
resolve_match_type(const struct reader *reader, const struct draft *draft,
		   struct mapping_rule *rule)
{
	const struct draft_setting *setting =
	    draft->match_type.key ? &draft->match_type : &reader->defaults.match_type;
	rule->match_type = setting->value ? (enum match_type)setting->word : MATCH_GLOB;
	return setting->value || !setting->key;
}

/* A setting that a rule must have; a wrong type was reported before. */
static bool
check_given(struct reader *reader, const struct draft_path *path, const struct ynode *node,
	    const struct draft_setting *setting, const char *name)
{
	if (!setting->key)
		draft_report(&reader->input, path, node, "%s is missing", name);
	return setting->value;
}

static void
resolve_match(struct reader *reader, const struct draft_path *path, const struct ynode *node,
	      const struct draft *draft, struct mapping_rule *rule)
{
	const struct draft_setting *match = &draft->match;
	rule->match = copy_setting(match);
	rule->place = draft_place(&reader->input, match->key ? match->key : node);
	rule->match_place = draft_place(&reader->input, match->value ? match->value : node);
	rule->kinds = draft->match_metric_type.value
			  ? KIND_BIT((unsigned)draft->match_metric_type.word)
			  : KINDS_ALL;
	if (!resolve_match_type(reader, draft, rule) || rule->match_type == MATCH_REGEX ||
	    !check_given(reader, path, node, match, "match"))
		return;
	size_t at;
	const char *fault = find_glob_fault(match->value->text, &at);
	if (fault)
		report_fault(reader, path, match, fault, at);
}

static void
resolve_name(struct reader *reader, const struct draft_path *path, const struct ynode *node,
	     const struct draft *draft, struct mapping_rule *rule)
{
	const struct draft_setting *name = &draft->name;
	rule->name = copy_setting(name);
	rule->name_place = draft_place(&reader->input, name->value ? name->value : node);
	if (rule->action == ACTION_DROP && !rule->name[0])
		return;
	if (!check_given(reader, path, node, name, "name"))
		return;
	size_t at = 0;
	const char *fault =
	    rule->name[0] ? find_name_fault(name->value->text, &at) : "a name must not be empty";
	if (fault)
		report_fault(reader, path, name, fault, at);
}

/* Why a rule cannot set this label, or NULL. @ctx the rule */
static const char *
find_label_fault(const void *ctx, struct span name)
{
	const struct mapping_rule *rule = ctx;
	const char *fault = labelling_find_fault(name);
	if (fault || rule->action == ACTION_DROP || !(rule->kinds & KIND_BIT(EVENT_OBSERVER)))
		return fault;
	if (rule->observer_type == METRIC_HISTOGRAM && span_equal(name, SPAN("le")))
		return "histograms keep the label \"le\" for themselves";
	if (rule->observer_type == METRIC_SUMMARY && span_equal(name, SPAN("quantile")))
		return "summaries keep the label \"quantile\" for themselves";
	return NULL;
}

static void
resolve_labels(struct reader *reader, const struct draft_path *parent, const struct draft *draft,
	       struct mapping_rule *rule)
{
	struct draft_path path = {parent, draft->labels.key, 0};
	if (draft->labels.value)
		labelling_read_labels(&reader->input, &path, draft->labels.value, RULE_LABELS_MAX,
				      find_label_fault, rule, &rule->labels, &rule->label_count);
}

/* Rules: statsd_exporter's resolution of observer options, its odd case included. */
static void
resolve_observer(struct reader *reader, const struct draft_path *path, const struct draft *draft,
		 struct mapping_rule *rule)
{
	bool is_named = draft->observer_type.value || reader->defaults.observer_type.value;
	bool is_histogram = rule->observer_type == METRIC_HISTOGRAM;
	const struct draft_setting *stray =
	    is_histogram ? &draft->summary_options : &draft->histogram_options;
	if (is_named && stray->value) {
		struct draft_path inner = {path, stray->key, 0};
		draft_report(&reader->input, &inner, stray->key,
			     "does not go with observer_type %s",
			     metric_type_text(rule->observer_type));
	}
	rule->histogram = reader->set->histogram;
	resolve_histogram(reader, path, draft, &rule->histogram);
	rule->summary = reader->set->summary;
	/* With no observer type named, such options take only quantiles from defaults. */
	if (!is_named && draft->summary_options.value) {
		rule->summary.max_age_us = reader->builtin.max_age_us;
		rule->summary.age_buckets = reader->builtin.age_buckets;
		rule->summary.buf_cap = reader->builtin.buf_cap;
	}
	resolve_summary(reader, path, draft, &rule->summary);
}

static void
resolve_scale(struct reader *reader, const struct draft_path *path, const struct draft *draft,
	      struct mapping_rule *rule)
{
	rule->has_scale = draft->scale.value != NULL;
	rule->scale = rule->has_scale ? draft->scale.number : 1;
	if (!isfinite(rule->scale))
		report_setting(reader, path, &draft->scale, "must be finite");
}

static void
read_rule(struct reader *reader, const struct draft_path *path, const struct ynode *node)
{
	if (node->type != YNODE_MAP) {
		draft_report_type(&reader->input, path, node, "a rule, which is a mapping");
		return;
	}
	struct draft draft = {0};
	draft_read_map(&reader->input, IN_RULE, path, node, &draft);
	struct rule_set *set = reader->set;
	set->rules =
	    xgrow(set->rules, set->rule_count, &reader->rule_capacity, sizeof(*set->rules));
	struct mapping_rule *rule = &set->rules[set->rule_count++];
	*rule = (struct mapping_rule){
	    .index = path->index,
	    .honor_labels = draft.honor_labels.flag,
	    .action = (enum rule_action)draft.action.word,
	    .observer_type = draft.observer_type.value ? (enum metric_type)draft.observer_type.word
						       : set->observer_type,
	    .signed_gauges = (enum signed_gauges)draft.signed_gauges.word,
	};
	if (draft.help.value && draft.help.value->text.len)
		rule->help = copy_setting(&draft.help);
	resolve_match(reader, path, node, &draft, rule);
	resolve_name(reader, path, node, &draft, rule);
	resolve_labels(reader, path, &draft, rule);
	rule->ttl_us = resolve_ttl(reader, path, &draft, set->ttl_us);
	resolve_totals(reader, path, &draft, &set->totals, &rule->totals);
	rule->exemplar_tag = resolve_exemplar_tag(reader, path, &draft, set->exemplar_tag);
	rule->totals.keeps_exemplars = rule->exemplar_tag != NULL;
	if (rule->kinds != KIND_BIT(EVENT_GAUGE))
		check_zero_first(reader, path, &draft, &rule->totals, rule->ttl_us);
	resolve_scale(reader, path, &draft, rule);
	resolve_observer(reader, path, &draft, rule);
}

static void
read_defaults(struct reader *reader, const struct draft_setting *defaults)
{
	if (!defaults->value)
		return;
	struct draft_path path = {NULL, defaults->key, 0};
	struct draft *draft = &reader->defaults;
	struct rule_set *set = reader->set;
	draft_read_map(&reader->input, IN_DEFAULTS, &path, defaults->value, draft);
	set->glob_disable_ordering = draft->glob_disable_ordering.flag;
	if (draft->observer_type.value)
		set->observer_type = (enum metric_type)draft->observer_type.word;
	set->ttl_us = resolve_ttl(reader, &path, draft, 0);
	resolve_totals(reader, &path, draft, &set->totals, &set->totals);
	check_zero_first(reader, &path, draft, &set->totals, set->ttl_us);
	set->exemplar_tag = resolve_exemplar_tag(reader, &path, draft, NULL);
	set->totals.keeps_exemplars = set->exemplar_tag != NULL;
	double *buckets = set->histogram.buckets;
	struct quantile *quantiles = set->summary.quantiles;
	resolve_histogram(reader, &path, draft, &set->histogram);
	resolve_summary(reader, &path, draft, &set->summary);
	if (set->histogram.buckets != buckets)
		free(buckets);
	if (set->summary.quantiles != quantiles)
		free(quantiles);
}

static void
read_file(struct reader *reader, const struct ynode *root)
{
	if (!root || root->type == YNODE_NULL)
		return;
	if (root->type != YNODE_MAP) {
		diag_error(reader->input.diag, draft_place(&reader->input, root), NULL,
			   "expected a mapping with the keys defaults and mappings, got a %s",
			   root->type == YNODE_LIST ? "list" : "text");
		return;
	}
	struct draft draft = {0};
	draft_read_map(&reader->input, IN_FILE, NULL, root, &draft);
	read_defaults(reader, &draft.defaults);
	labelling_read_file(&reader->input, &draft, reader->set);
	if (!draft.mappings.value)
		return;
	struct draft_path path = {NULL, draft.mappings.key, 0};
	for (size_t i = 0; i < draft.mappings.value->list.count; i++) {
		struct draft_path item = {&path, NULL, i};
		read_rule(reader, &item, draft.mappings.value->list.items[i]);
	}
}

struct interned_path {
	struct interned_path *next;
	char *text;
};

/* One copy per path for the life of the process, so that places never dangle. */
static const char *
intern_path(const char *path)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static struct interned_path *all;
	pthread_mutex_lock(&mutex);
	struct interned_path *entry = all;
	while (entry && strcmp(entry->text, path) != 0)
		entry = entry->next;
	if (!entry) {
		entry = xmalloc(sizeof(*entry));
		*entry = (struct interned_path){all, xstrdup(path)};
		all = entry;
	}
	pthread_mutex_unlock(&mutex);
	return entry->text;
}

/*
 * The mapper compiles regexes, and only those of a rule set without errors. For a file that has
 * other errors they are tried here, so that all of them are told at once.
 */
static void
report_bad_regexes(const struct rule_set *set, struct diag *diag)
{
	struct regex_set *tried = regex_set_new();
	for (size_t i = 0; i < set->rule_count; i++) {
		const struct mapping_rule *rule = &set->rules[i];
		if (rule->match_type != MATCH_REGEX || !rule->match)
			continue;
		char key[48];
		snprintf(key, sizeof(key), "mappings[%zu].match", rule->index);
		bool ok = regex_set_add(tried, span_text(rule->match), rule->kinds, (uint32_t)i,
					diag, rule->match_place, key);
		(void)ok; /* told in `diag` */
	}
	regex_set_free(&tried);
}

struct placed_message {
	unsigned long line, column;
	size_t order; /* in which it was told */
	struct diag_message message;
};

/* @text ":line:column: ..." of a message, or ": ..." of one about the file, which stands last */
static void
read_place(const char *text, struct placed_message *out)
{
	out->line = ULONG_MAX;
	if (!is_digit(text[1]))
		return;
	char *end;
	out->line = strtoul(text + 1, &end, 10);
	out->column = strtoul(end + 1, NULL, 10);
}

static int
compare_messages(const void *left, const void *right)
{
	const struct placed_message *a = left, *b = right;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* Puts the messages from `first` on, all of them about `file`, in the order of the file. */
static void
sort_messages(struct diag *diag, size_t first, const char *file)
{
	size_t count = diag->count - first;
	struct placed_message *placed = xcalloc(count, sizeof(*placed));
	for (size_t i = 0; i < count; i++) {
		placed[i].order = i;
		placed[i].message = diag->messages[first + i];
		read_place(placed[i].message.text + strlen(file), &placed[i]);
	}
	qsort(placed, count, sizeof(*placed), compare_messages);
	for (size_t i = 0; i < count; i++)
		diag->messages[first + i] = placed[i].message;
	free(placed);
}

static struct rule_set *
parse(const char *file, struct span text, struct diag *diag)
{
	size_t errors = diag->errors;
	if (text.len > MAPPING_FILE_MAX) {
		diag_error(diag, (struct diag_place){.file = file}, NULL, "larger than %u bytes",
			   MAPPING_FILE_MAX);
		return NULL;
	}
	struct ydocument *document = ydocument_parse(file, text, diag);
	if (!document)
		return NULL;
	struct reader reader = {.set = rule_set_new_default()};
	draft_reader_init(&reader.input, file, diag);
	free(reader.set->path);
	reader.set->path = xstrdup(file);
	reader.builtin = reader.set->summary;
	read_file(&reader, ydocument_root(document));
	draft_reader_fini(&reader.input);
	ydocument_free(&document);
	if (diag->errors > errors) {
		report_bad_regexes(reader.set, diag);
		rule_set_free(&reader.set);
	}
	return reader.set;
}

struct rule_set *
mapping_config_parse(const char *path, struct span text, struct diag *diag)
{
	const char *file = intern_path(path);
	size_t first = diag->count;
	struct rule_set *set = parse(file, text, diag);
	sort_messages(diag, first, file);
	return set;
}

/* Waits until there may be more to read. @return what went wrong, or NULL */
static const char *
await_input(int fd, struct mono deadline, bool is_empty)
{
	int64_t left_us = deadline.us - clock_mono().us;
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int ready = left_us > 0 ? poll(&wait, 1, (int)(left_us / 1000 + 1)) : 0;
	if (ready < 0)
		return errno == EINTR ? NULL : strerror(errno);
	if (!ready)
		return "timed out";
	if (is_empty && wait.revents == POLLHUP)
		return "ended without a byte";
	return NULL;
}

/*
 * Reads until the end or beyond the cap, where `out` fails. A pipe that no writer has opened yet
 * reads as if at its end, so before the first byte that is no end but something to wait for.
 *
 * @return what went wrong, or NULL
 */
static const char *
read_all(int fd, bool is_pipe, struct buf *out)
{
	struct mono deadline = {clock_mono().us + MAPPING_READ_SECONDS * INT64_C(1000000)};
	for (;;) {
		char *room = buf_reserve(out, 65536);
		if (!room)
			return NULL;
		ssize_t n = read(fd, room, 65536);
		if (n > 0) {
			out->len += (size_t)n;
			continue;
		}
		if (n == 0 && (!is_pipe || out->len))
			return NULL;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return strerror(errno);
		const char *fault = await_input(fd, deadline, out->len == 0);
		if (fault)
			return fault;
	}
}

struct rule_set *
mapping_config_load(const char *path, struct diag *diag)
{
	struct diag_place place = {.file = intern_path(path)};
	/* Not to wait for a FIFO's writer, nor to make a terminal the controlling one. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		diag_error(diag, place, NULL, "cannot open: %s", strerror(errno));
		return NULL;
	}
	struct buf text;
	buf_init(&text, MAPPING_FILE_MAX + 65536);
	struct stat status;
	const char *fault = fstat(fd, &status) < 0 ? strerror(errno)
						   : read_all(fd, S_ISFIFO(status.st_mode), &text);
	close(fd);
	struct rule_set *set = NULL;
	if (fault)
		diag_error(diag, place, NULL, "cannot read: %s", fault);
	else if (buf_failed(&text))
		diag_error(diag, place, NULL, "larger than %u bytes", MAPPING_FILE_MAX);
	else
		set = mapping_config_parse(path, buf_span(&text), diag);
	buf_fini(&text);
	return set;
}
