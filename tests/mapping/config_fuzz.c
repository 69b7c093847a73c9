/* Any bytes either make a rule set whose every value lies in its documented range, or errors. */
#include "mapping/config.h"

#include "base/check.h"
#include "base/utf8.h"
#include "model/labels.h"
#include "model/name.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_messages(const struct diag *diag)
{
	size_t errors = 0;
	for (size_t i = 0; i < diag->count; i++) {
		struct span text = span_text(diag->messages[i].text);
		CHECK(utf8_is_valid(text));
		CHECK(span_starts(text, SPAN("f:")));
		for (size_t j = 0; j < text.len; j++)
			CHECK((unsigned char)text.ptr[j] >= 0x20);
		errors += diag->messages[i].is_error;
	}
	CHECK(diag->count <= 2 * (DIAG_MAX + 1));
	CHECK(errors <= diag->errors);
	CHECK(diag->errors == 0 || errors > 0);
}

static void
check_place(struct diag_place place)
{
	CHECK(strcmp(place.file, "f") == 0);
	CHECK(place.line >= 1 && place.column >= 1);
}

static void
check_histogram(const struct histogram_options *options)
{
	CHECK(options->bucket_count <= BUCKETS_MAX);
	for (size_t i = 0; i < options->bucket_count; i++) {
		CHECK(isfinite(options->buckets[i]));
		CHECK(i == 0 || options->buckets[i] > options->buckets[i - 1]);
	}
	CHECK(options->native_bucket_factor == 0 ||
	      (options->native_bucket_factor > 1 && isfinite(options->native_bucket_factor)));
}

static void
check_summary(const struct summary_options *options)
{
	CHECK(options->quantile_count >= 1 && options->quantile_count <= QUANTILES_MAX);
	for (size_t i = 0; i < options->quantile_count; i++) {
		const struct quantile *quantile = &options->quantiles[i];
		CHECK(quantile->quantile >= 0 && quantile->quantile <= 1);
		CHECK(!signbit(quantile->quantile));
		CHECK(quantile->error >= 0 && quantile->error <= 1);
		CHECK(i == 0 || quantile->quantile > options->quantiles[i - 1].quantile);
	}
	CHECK(options->age_buckets >= 1 && options->age_buckets <= AGE_BUCKETS_MAX);
	CHECK(options->max_age_us / options->age_buckets >= 1000);
}

/* What starts at zero is seen to grow before it expires, and an exemplar has room behind its name.
 */
static void
check_totals(const struct total_options *totals, const char *exemplar_tag, int64_t ttl_us)
{
	CHECK(totals->zero_first_us >= 0 && totals->zero_first_us <= ZERO_FIRST_US_MAX);
	CHECK(!ttl_us || totals->zero_first_us <= ttl_us / 2);
	CHECK(totals->keeps_exemplars == (exemplar_tag != NULL));
	if (!exemplar_tag)
		return;
	struct span name = span_text(exemplar_tag);
	CHECK(name_is_legal(name) && !label_name_is_reserved(name));
	CHECK(name.len && name.len < EXEMPLAR_LENGTH_MAX);
}

static void
check_labels(const struct mapping_rule *rule)
{
	CHECK(rule->label_count <= RULE_LABELS_MAX);
	for (size_t i = 0; i < rule->label_count; i++) {
		struct span name = span_text(rule->labels[i].name);
		CHECK(name_is_legal(name) && !label_name_is_reserved(name));
		CHECK(utf8_is_valid(span_text(rule->labels[i].value)));
		for (size_t j = 0; j < i; j++)
			CHECK(!span_equal(name, span_text(rule->labels[j].name)));
		if (rule->action == ACTION_DROP || !(rule->kinds & KIND_BIT(EVENT_OBSERVER)))
			continue;
		CHECK(!span_equal(
		    name, rule->observer_type == METRIC_HISTOGRAM ? SPAN("le") : SPAN("quantile")));
	}
}

static void
check_rule(const struct mapping_rule *rule)
{
	CHECK(rule->match_type == MATCH_GLOB || rule->match_type == MATCH_REGEX);
	CHECK(rule->match_type == MATCH_REGEX || rule->match[0]);
	CHECK(rule->action == ACTION_MAP || rule->action == ACTION_DROP);
	CHECK(rule->action == ACTION_DROP || rule->name[0]);
	CHECK(rule->kinds && !(rule->kinds & ~KINDS_ALL));
	CHECK(rule->observer_type == METRIC_HISTOGRAM || rule->observer_type == METRIC_SUMMARY);
	CHECK(rule->signed_gauges <= SIGNED_GAUGES_ABSOLUTE);
	CHECK(!rule->help || rule->help[0]);
	CHECK(rule->ttl_us >= 0);
	CHECK(isfinite(rule->scale));
	bool has_totals = rule->kinds != KIND_BIT(EVENT_GAUGE);
	check_totals(&rule->totals, rule->exemplar_tag, has_totals ? rule->ttl_us : 0);
	check_labels(rule);
	check_histogram(&rule->histogram);
	check_summary(&rule->summary);
	check_place(rule->place);
	check_place(rule->match_place);
	check_place(rule->name_place);
}

static void
check_file_label_name(const char *text)
{
	struct span name = span_text(text);
	CHECK(name_is_legal(name) && !label_name_is_reserved(name));
	CHECK(!span_equal(name, SPAN("le")) && !span_equal(name, SPAN("quantile")));
}

static void
check_tag_name(const char *name)
{
	CHECK(name_is_legal(span_text(name)) && !label_name_is_reserved(span_text(name)));
}

static void
check_tags(const struct tag_rules *tags)
{
	CHECK(tags->name_count <= TAG_NAMES_MAX && tags->rename_count <= TAG_RENAMES_MAX);
	for (size_t i = 0; i < tags->name_count; i++) {
		check_tag_name(tags->names[i]);
		CHECK(i == 0 || strcmp(tags->names[i - 1], tags->names[i]) < 0);
	}
	for (size_t i = 0; i < tags->rename_count; i++) {
		check_tag_name(tags->renames[i].from);
		check_file_label_name(tags->renames[i].to);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(tags->renames[i].from, tags->renames[j].from) != 0);
	}
}

static void
check_labelling(const struct rule_set *set)
{
	CHECK(set->label_count <= FILE_LABELS_MAX && set->limit_count <= VALUE_LIMITS_MAX);
	for (size_t i = 0; i < set->label_count; i++) {
		check_file_label_name(set->labels[i].name);
		CHECK(set->labels[i].value[0] && utf8_is_valid(span_text(set->labels[i].value)));
	}
	for (size_t i = 0; i < set->limit_count; i++) {
		check_file_label_name(set->limits[i].label);
		CHECK(set->limits[i].max >= 1 && set->limits[i].max <= LABEL_VALUES_MAX);
	}
	check_tags(&set->tags);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag diag = DIAG_INIT;
	struct rule_set *set = mapping_config_parse("f", span_of((const char *)data, size), &diag);
	CHECK(!set == (diag.errors > 0));
	check_messages(&diag);
	if (set) {
		CHECK(set->ttl_us >= 0);
		check_totals(&set->totals, set->exemplar_tag, set->ttl_us);
		check_histogram(&set->histogram);
		check_summary(&set->summary);
		check_labelling(set);
		for (size_t i = 0; i < set->rule_count; i++)
			check_rule(&set->rules[i]);
	}
	rule_set_free(&set);
	diag_fini(&diag);
	return 0;
}
