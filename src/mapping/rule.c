#include "mapping/rule.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* The built-in defaults are those of statsd_exporter and the Prometheus client libraries. */
static const double default_buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
static const struct quantile default_quantiles[] = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void *
copy_array(const void *items, size_t count, size_t size)
{
	void *copy = xcalloc(count, size);
	memcpy(copy, items, count * size);
	return copy;
}

struct rule_set *
rule_set_new_default(void)
{
	struct rule_set *set = xcalloc(1, sizeof(*set));
	set->path = xstrdup("");
	set->observer_type = METRIC_SUMMARY;
	set->histogram = (struct histogram_options){
	    .bucket_count = COUNT_OF(default_buckets),
	    .buckets = copy_array(default_buckets, COUNT_OF(default_buckets), sizeof(double)),
	    .native_bucket_factor = 1.1,
	    .native_max_buckets = 256,
	};
	set->summary = (struct summary_options){
	    .quantile_count = COUNT_OF(default_quantiles),
	    .quantiles =
		copy_array(default_quantiles, COUNT_OF(default_quantiles), sizeof(struct quantile)),
	    .max_age_us = INT64_C(600) * 1000000,
	    .age_buckets = 5,
	    .buf_cap = 500,
	};
	return set;
}

static void
free_labels(struct rule_label *labels, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(labels[i].name);
		free(labels[i].value);
	}
	free(labels);
}

static void
fini_rule(struct mapping_rule *rule, const struct rule_set *set)
{
	free(rule->match);
	free(rule->name);
	free(rule->help);
	free(rule->exemplar_tag);
	free_labels(rule->labels, rule->label_count);
	if (rule->histogram.buckets != set->histogram.buckets)
		free(rule->histogram.buckets);
	if (rule->summary.quantiles != set->summary.quantiles)
		free(rule->summary.quantiles);
}

void
rule_set_free(struct rule_set **set)
{
	struct rule_set *old = *set;
	if (!old)
		return;
	for (size_t i = 0; i < old->rule_count; i++)
		fini_rule(&old->rules[i], old);
	free(old->rules);
	free_labels(old->labels, old->label_count);
	tag_rules_fini(&old->tags);
	for (size_t i = 0; i < old->limit_count; i++)
		free(old->limits[i].label);
	free(old->limits);
	free(old->histogram.buckets);
	free(old->summary.quantiles);
	free(old->exemplar_tag);
	free(old->path);
	free(old);
	*set = NULL;
}
