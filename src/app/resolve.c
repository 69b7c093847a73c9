/*
 * The slow path: what a new spelling means. Runs once for each, and again after a reload or when a
 * name was freed.
 */
#include "app/ingest_private.h"

#include "base/utf8.h"
#include "metrics/label_text.h"
#include "model/name.h"

static bool
is_stale(void *ctx, const struct raw_entry *entry)
{
	const struct ingest *ingest = ctx;
	for (unsigned i = 0; i < SHAPE_VALIDITIES; i++)
		if (entry->generation == ingest->generations[i])
			return false;
	return true;
}

/* Whole events that a sample which is not applied would have been. */
static uint64_t
whole_events(const struct shape *shape)
{
	return shape->weight > 1 ? (uint64_t)shape->weight : 1;
}

static enum event_kind
kind_of(enum statsd_type type)
{
	switch (type) {
	case STATSD_TYPE_COUNTER:
		return EVENT_COUNTER;
	case STATSD_TYPE_GAUGE:
	case STATSD_TYPE_SET:
		return EVENT_GAUGE;
	default:
		return EVENT_OBSERVER;
	}
}

/* What the parser alone can say. @return whether there is an event to map */
static bool
shape_from_head(const struct statsd_head *head, struct shape *shape)
{
	memset(shape, 0, sizeof(*shape));
	shape->type = (uint8_t)head->type;
	shape->op = SHAPE_REFUSE_SAMPLES;
	shape->weight = shape->divisor = shape->scale = 1;
	shape_tally(shape, ACCOUNT_TAG_ERRORS, TALLY_LINE, head->name_tag_errors);
	if (head->refused) {
		shape->op = SHAPE_REFUSE_LINE;
		shape_tally(shape, ACCOUNT_LINES_REFUSED + head->refused, TALLY_LINE, 1);
		shape_tally(shape, ACCOUNT_SAMPLE_ERRORS + head->refused, TALLY_LINE, 1);
		return false;
	}
	shape_tally(shape, ACCOUNT_LINES_WITH_SAMPLES, TALLY_LINE, 1);
	shape_tally(shape, ACCOUNT_SAMPLES, TALLY_VALUE, 1);
	if (head->sample != STATSD_MALFORMED_COMPONENT) {
		shape_tally(shape, ACCOUNT_TAGS, TALLY_VALUE, head->has_labels);
		shape_tally(shape, ACCOUNT_TAG_ERRORS, TALLY_VALUE, head->tag_errors);
		shape_tally(shape, ACCOUNT_SAMPLE_ERRORS + STATSD_INVALID_SAMPLE_FACTOR,
			    TALLY_VALUE, head->sample_factor_errors);
		shape_tally(shape, ACCOUNT_SAMPLE_ERRORS + STATSD_MALFORMED_CONTAINER_ID,
			    TALLY_VALUE, head->container_id_errors);
	}
	if (!head->sample) {
		shape->kind = kind_of(head->type);
		return true;
	}
	shape_tally(shape, ACCOUNT_SAMPLE_ERRORS + head->sample, TALLY_VALUE, 1);
	shape_tally(shape,
		    ACCOUNT_SAMPLES_DROPPED + (head->sample == STATSD_ILLEGAL_EVENT
						   ? DROP_ILLEGAL_EVENT
						   : DROP_MALFORMED_COMPONENT),
		    TALLY_VALUE, 1);
	return false;
}

/* An event that some stage behind the parser refuses. */
static void
shape_drop(struct shape *shape, enum drop_reason reason)
{
	shape->op = SHAPE_REFUSE_SAMPLES;
	shape_tally(shape, ACCOUNT_SAMPLES_DROPPED + reason, TALLY_VALUE, 1);
	if (reason == DROP_EMPTY_METRIC_NAME || reason == DROP_SERIES_LIMIT)
		shape_tally(shape, ACCOUNT_EVENTS_ERROR + reason, TALLY_VALUE,
			    whole_events(shape));
}

static void
set_conversion(const struct statsd_head *head, const struct mapping_rule *rule, struct shape *shape)
{
	if (shape->kind == EVENT_OBSERVER) {
		shape->weight = 1 / head->rate;
		shape->divisor = head->type == STATSD_TYPE_MILLISECONDS ? 1000 : 1;
	} else if (shape->kind == EVENT_COUNTER) {
		shape->rate_count = (uint8_t)head->rate_count;
		memcpy(shape->rates, head->rates, head->rate_count * sizeof(head->rates[0]));
	}
	shape->scale = rule && rule->has_scale ? rule->scale : 1;
}

/* A label of the mapping, unless a tag of its name is in `tags` and wins. */
static void
merge_label(struct labels *labels, const struct mapping_match *match, struct label label)
{
	bool tags_win = match->rule && match->rule->honor_labels;
	if (!tags_win || !labels_find(labels, label.name))
		CHECK(labels_set(labels, label.name, label.value));
}

static bool
has_label(const struct mapping_match *match, struct span name)
{
	for (size_t i = 0; i < match->label_count; i++)
		if (span_equal(match->labels[i].name, name))
			return true;
	return false;
}

/* Tags, the rule's labels and its file's as one set, in head->labels. */
static void
merge_labels(struct statsd_head *head, const struct mapping_match *match)
{
	const struct rule_set *set = match->set;
	for (size_t i = 0; i < match->label_count; i++)
		merge_label(&head->labels, match, match->labels[i]);
	for (size_t i = 0; i < set->label_count; i++) {
		struct label label = {span_text(set->labels[i].name),
				      span_text(set->labels[i].value)};
		if (!has_label(match, label.name))
			merge_label(&head->labels, match, label);
	}
}

/* ---- Limits of label values. ---- */

/* What became of the limited labels of an event; bits by number in the rule set. */
struct limited {
	uint32_t taken;    /* has a place, which was taken once more */
	uint32_t replaced; /* has the value "other" now */
};
_Static_assert(VALUE_LIMITS_MAX <= 32, "a bit for each");

static struct limited
limit_values(struct ingest *ingest, const struct rule_set *set)
{
	struct limited limited = {0, 0};
	struct labels *labels = &ingest->head.labels;
	for (size_t i = 0; i < set->limit_count; i++) {
		const struct label *label = labels_find(labels, span_text(set->limits[i].label));
		if (!label)
			continue;
		if (value_limits_take(ingest->bridge->limits, set->scope, i, set->limits[i].max,
				      label->value)) {
			limited.taken |= UINT32_C(1) << i;
			continue;
		}
		limited.replaced |= UINT32_C(1) << i;
		CHECK(labels_set(labels, label->name, VALUE_OTHER));
	}
	return limited;
}

static void
give_places_back(struct ingest *ingest, const struct rule_set *set, uint32_t taken)
{
	for (; taken; taken &= taken - 1) {
		size_t i = (size_t)__builtin_ctz(taken);
		const struct label *label =
		    labels_find(&ingest->head.labels, span_text(set->limits[i].label));
		value_limits_give_back(ingest->bridge->limits, set->scope, i, label->value);
	}
}

static void
tally_replaced(const struct ingest *ingest, const struct rule_set *set, uint32_t replaced,
	       struct shape *shape)
{
	if (replaced)
		shape->validity = VALID_UNTIL_PLACE;
	for (; replaced; replaced &= replaced - 1) {
		size_t i = (size_t)__builtin_ctz(replaced);
		size_t number = value_limits_number(ingest->bridge->limits, set->scope, i);
		number = number < LIMITED_LABELS_MAX ? number : LIMITED_LABELS_MAX;
		shape_tally(shape, ACCOUNT_REPLACED_VALUES + (unsigned)number, TALLY_VALUE, 1);
	}
}

/* ---- From an event to its series. ---- */

/* A tag that the family's type keeps for itself is dropped, the sample lives. @return whether there is one */
static bool
drop_reserved_tag(struct statsd_head *head, enum metric_type type)
{
	return (type == METRIC_HISTOGRAM && labels_remove(&head->labels, SPAN("le"))) ||
	       (type == METRIC_SUMMARY && labels_remove(&head->labels, SPAN("quantile")));
}

/* Before anything else sees the tags: it is none to the rest. */
static void
take_exemplar_tag(struct statsd_head *head, struct meaning *meaning)
{
	const char *name = meaning->rule ? meaning->rule->exemplar_tag : meaning->set->exemplar_tag;
	const struct label *tag = name ? labels_find(&head->labels, span_text(name)) : NULL;
	meaning->had_exemplar_tag = tag != NULL;
	if (!tag)
		return;
	meaning->exemplar = (struct label){span_text(name), tag->value};
	labels_remove(&head->labels, span_text(name));
}

static uint8_t
op_of(const struct ingest *ingest, const struct series_request *request,
      const struct mapping_rule *rule)
{
	switch (request->type) {
	case METRIC_COUNTER:
		return SHAPE_COUNTER;
	case METRIC_HISTOGRAM:
		return SHAPE_HISTOGRAM;
	case METRIC_SUMMARY:
		return SHAPE_SUMMARY;
	default:
		break;
	}
	if (request->is_set)
		return SHAPE_SET;
	enum signed_gauges wanted = rule ? rule->signed_gauges : SIGNED_GAUGES_DEFAULT;
	bool absolute = wanted == SIGNED_GAUGES_DEFAULT
			    ? ingest->bridge->settings.signed_gauges_absolute
			    : wanted == SIGNED_GAUGES_ABSOLUTE;
	return absolute ? SHAPE_GAUGE_SET : SHAPE_GAUGE_RELATIVE;
}

/* All but the name and what registry_prepare() fills in; written in place, for it is large. */
static void
fill_request(const struct ingest *ingest, const struct shape *shape, struct meaning *meaning)
{
	const struct mapping_rule *rule = meaning->rule;
	const struct rule_set *defaults = meaning->set;
	static const enum metric_type types[] = {
	    [EVENT_COUNTER] = METRIC_COUNTER, [EVENT_GAUGE] = METRIC_GAUGE};
	enum metric_type observer = rule ? rule->observer_type : defaults->observer_type;
	struct series_request *request = &meaning->request;
	request->type = shape->kind == EVENT_OBSERVER ? observer : types[shape->kind];
	request->is_set = shape->type == STATSD_TYPE_SET;
	request->totals = rule ? rule->totals : defaults->totals;
	request->histogram = rule ? &rule->histogram : &defaults->histogram;
	request->summary = rule ? &rule->summary : &defaults->summary;
	request->ttl_us = rule ? rule->ttl_us : defaults->ttl_us;
	request->help = span_text(rule && rule->help && *rule->help
				      ? rule->help
				      : ingest->bridge->default_help);
	request->scope = (uint16_t)defaults->scope;
	request->rules = ingest->rules_seen;
	request->tick = ingest->tick;
}

/* Finds the series of an event; the one place where a series is born. */
static void
find_series(struct ingest *ingest, const struct buf *text, struct limited limited,
	    const struct shape *shape, struct meaning *meaning)
{
	struct series_ref *ref = &meaning->ref;
	meaning->request.name.ptr = text->ptr + meaning->name_at;
	meaning->request.labels.ptr = text->ptr + meaning->labels_at;
	meaning->verdict = registry_find_or_create(ingest->bridge->registry, ingest->thread,
						   &meaning->request, ref);
	if (meaning->verdict != REGISTRY_OK || ref->scope_before == meaning->set->scope)
		give_places_back(ingest, meaning->set, limited.taken);
	if (meaning->verdict == REGISTRY_CONFLICT)
		meaning->conflict = bridge_conflict_counter(ingest->bridge, shape->kind,
							    meaning->request.name);
	meaning->replaced = limited.replaced;
	meaning->is_found = true;
}

/* What values of a series do, or why there is none. */
static void
shape_series(const struct ingest *ingest, const struct meaning *meaning, struct shape *shape)
{
	switch (meaning->verdict) {
	case REGISTRY_OK:
		break;
	case REGISTRY_CONFLICT:
		shape->validity = VALID_UNTIL_FREED;
		shape_drop(shape, DROP_CONFLICT);
		shape_tally(shape, meaning->conflict, TALLY_VALUE, whole_events(shape));
		return;
	case REGISTRY_LIMIT:
		shape->validity = VALID_UNTIL_FREED;
		shape_drop(shape, DROP_SERIES_LIMIT);
		return;
	}
	shape->op = op_of(ingest, &meaning->request, meaning->rule);
	shape->layout = meaning->ref.layout;
	shape_tally(shape, ACCOUNT_SAMPLES_APPLIED, TALLY_VALUE, 1);
	shape_tally(shape, ACCOUNT_EVENTS + shape->kind, TALLY_EVENT, 1);
	tally_replaced(ingest, meaning->set, meaning->replaced, shape);
}

/* Events that no rule matched: of all names together, and of this one. */
static void
tally_unmapped(const struct meaning *meaning, struct shape *shape, enum tally_unit unit,
	       uint64_t times)
{
	shape_tally(shape, ACCOUNT_EVENTS_UNMAPPED, unit, times);
	if (meaning->unmapped != UNMAPPED_UNCOUNTED)
		shape_tally(shape, ACCOUNT_UNMAPPED_NAMES + meaning->unmapped, unit, times);
}

/* Events that were mapped or not, applied or not. */
static void
tally_event(const struct meaning *meaning, struct shape *shape)
{
	bool applied = shape->op >= SHAPE_COUNTER;
	enum tally_unit unit = applied ? TALLY_EVENT : TALLY_VALUE;
	uint64_t times = applied ? 1 : whole_events(shape);
	if (meaning->rule)
		shape_tally(shape, ACCOUNT_EVENTS_MAPPED, unit, times);
	else
		tally_unmapped(meaning, shape, unit, times);
}

/* Appends the escaped name. A template may have made it longer than any line. @return its bytes */
static size_t
add_name(struct buf *text, struct span raw)
{
	size_t len = name_escape(raw, buf_reserve(text, raw.len + 1));
	text->len += len;
	return len;
}

/* From a parsed head to its family and labels: the one place where a rule is chosen. */
static void
map_event(struct ingest *ingest, const struct work *work, struct buf *text,
	  struct meaning *meaning)
{
	struct statsd_head *head = &ingest->head;
	struct mapping_match match;
	mapper_find(ingest->mapper, ingest->scratch, work->shape.kind, head->name, &match);
	meaning->rule = match.rule;
	meaning->set = match.set;
	take_exemplar_tag(head, meaning);
	meaning->end = MEANS_DROP;
	if (match.rule && match.rule->action == ACTION_DROP)
		return;
	if (!match.rule)
		meaning->unmapped = unmapped_note(ingest->bridge->unmapped, ingest->rules_seen,
						  work->shape.kind, head->name, work->line);
	meaning->name_at = text->len;
	size_t name_len = add_name(text, match.rule ? match.name : head->name);
	meaning->end = name_len ? MEANS_SERIES : MEANS_NO_NAME;
	if (!name_len)
		return;
	fill_request(ingest, &work->shape, meaning);
	meaning->request.name.len = name_len;
	tag_rules_apply(&match.set->tags, &head->labels);
	meaning->had_reserved_tag = drop_reserved_tag(head, meaning->request.type);
	merge_labels(head, &match);
}

/*
 * What of an event its rates and values change. A series is born by what it counts: when no value of the
 * sample in hand does, it is not looked for.
 */
static void
shape_event(const struct statsd_head *head, struct work *work, struct meaning *meaning)
{
	struct shape *shape = &work->shape;
	set_conversion(head, meaning->rule, shape);
	switch (meaning->end) {
	case MEANS_NOTHING:
		break;
	case MEANS_DROP:
		shape_drop(shape, DROP_ACTION);
		shape_tally(shape, ACCOUNT_EVENTS_DROPPED, TALLY_VALUE, whole_events(shape));
		break;
	case MEANS_NO_NAME:
		shape_drop(shape, DROP_EMPTY_METRIC_NAME);
		if (!meaning->rule)
			tally_unmapped(meaning, shape, TALLY_VALUE, whole_events(shape));
		break;
	case MEANS_UNBORN:
	case MEANS_SERIES:
		shape_tally(shape, ACCOUNT_TAG_ERRORS, TALLY_VALUE, meaning->had_reserved_tag);
		meaning->end = values_count(work, shape) ? MEANS_SERIES : MEANS_UNBORN;
		break;
	}
}

/* @return whether there is an event to map */
static bool
read_head(struct ingest *ingest, struct work *work)
{
	statsd_parse_head(work->line, &work->cut, &ingest->bridge->settings.statsd, &ingest->head);
	return shape_from_head(&ingest->head, &work->shape);
}

static void
work_out(struct ingest *ingest, struct work *work, struct buf *text, struct meaning *meaning)
{
	meaning->had_reserved_tag = meaning->had_exemplar_tag = meaning->is_found = false;
	map_event(ingest, work, text, meaning);
	shape_event(&ingest->head, work, meaning);
}

/* The labels are as they will be from here on. */
static void
prepare_request(struct ingest *ingest, struct buf *text, struct meaning *meaning)
{
	meaning->labels_at = text->len;
	meaning->request.name.ptr = text->ptr + meaning->name_at;
	registry_prepare(ingest->bridge->registry, &ingest->head.labels, text, &meaning->request);
}

/*
 * The id of a shape, without the lock that all threads share where possible: new spellings come in
 * crowds that act alike.
 */
static uint32_t
intern_shape(struct ingest *ingest, const struct shape *shape)
{
	const struct shapes *shapes = ingest->bridge->shapes;
	/* The last tally is for the event's name, where no rule matched. */
	unsigned tally = shape->tallies[shape->tally_count - 1].counter;
	size_t layout = (uintptr_t)shape->layout / sizeof(*shape->layout);
	uint32_t *recent =
	    &ingest->recent_shapes[(shape->op + shape->type * 5u + layout + tally * 11u) %
				   RECENT_SHAPES];
	if (*recent && memcmp(shapes_get(shapes, *recent), shape, sizeof(*shape)) == 0)
		return *recent;
	return *recent = shapes_intern(ingest->bridge->shapes, shape, ingest->rules_seen);
}

/* Whether a look at the ends of a line tells the key in hand, whatever the line's value is. */
static bool
is_plain(const struct work *work)
{
	/* Of several values nobody looks for a further sample behind them. */
	if (work->is_whole && !work->cut.packed)
		return true;
	return statsd_suffix_is_whole(work->key_suffix);
}

/* @return the labels of a sample's exemplar, empty where its series keeps none */
static struct span
exemplar_of(struct ingest *ingest, const struct meaning *meaning, const struct shape *shape)
{
	bool is_kept = (shape->op == SHAPE_COUNTER || shape->op == SHAPE_HISTOGRAM) &&
		       shape->layout->totals.keeps_exemplars;
	if (!meaning->had_exemplar_tag || !is_kept)
		return SPAN("");
	const struct label *label = &meaning->exemplar;
	if (label->name.len + utf8_count(label->value) > EXEMPLAR_LENGTH_MAX) {
		account_add(ingest->account, ACCOUNT_EXEMPLARS_TOO_LONG, 1);
		return SPAN("");
	}
	/* Prometheus takes NUL bytes in the labels of series, but refuses an OpenMetrics scrape with
	 * one in an exemplar's. */
	if (span_find(label->value, '\0')) {
		account_add(ingest->account, ACCOUNT_EXEMPLARS_NUL, 1);
		return SPAN("");
	}
	buf_reset(&ingest->exemplar_text);
	label_text_add(label, &ingest->exemplar_text);
	return buf_span(&ingest->exemplar_text);
}

/* Ends the way of a spelling, and remembers where it led. */
static void
settle(struct ingest *ingest, struct work *work, const struct meaning *meaning)
{
	struct shape *shape = &work->shape;
	struct target *target = &work->target;
	const struct series_ref *ref = &meaning->ref;
	*target = (struct target){.shape = shape};
	if (meaning->end == MEANS_UNBORN)
		shape->op = SHAPE_UNBORN;
	else if (meaning->end == MEANS_SERIES)
		shape_series(ingest, meaning, shape);
	if (meaning->end == MEANS_UNBORN || meaning->end == MEANS_SERIES)
		tally_event(meaning, shape);
	/*
	 * Whatever it holds: the control thread may just have taken the series away. It has our tick,
	 * which lets it live on once this thread has passed a quiescent point.
	 */
	if (shape->op >= SHAPE_COUNTER)
		target->cell =
		    shard_peek(ingest_shard_of(ingest, shape), shape->layout->pool, ref->id);
	CHECK((uintptr_t)target->cell >> 48 == 0);
	work->exemplar = exemplar_of(ingest, meaning, shape);
	target->shape_id = intern_shape(ingest, shape);
	/* Such a spelling hardly comes again, and would push out those that do. */
	if (meaning->had_exemplar_tag)
		return;
	if (!target->shape_id) {
		account_add(ingest->account, ACCOUNT_NOT_REMEMBERED, 1);
		return;
	}
	struct raw_entry entry = {
	    .key = work->key,
	    .cell = (uintptr_t)target->cell,
	    .incarnation = target->cell ? ref->incarnation : 0,
	    .shape = target->shape_id,
	    .is_plain = is_plain(work),
	    .generation = ingest->generations[shape->validity],
	};
	raw_cache_put(ingest->cache, &entry, is_stale, ingest);
}

static const struct meaning nothing = {.end = MEANS_NOTHING};

/*
 * The meaning of a further sample that has its type in common with an earlier one of its line, and so all
 * but its rates and values.
 *
 * @return NULL when it has to be worked out
 */
static const struct meaning *
recall(struct ingest *ingest, struct work *work)
{
	struct line_memory *line = &ingest->line;
	struct statsd_head *head = &ingest->head;
	if (!line->has_head || !statsd_parse_further(work->line, &work->cut,
						     &ingest->bridge->settings.statsd, head))
		return NULL;
	if (!shape_from_head(head, &work->shape))
		return &nothing;
	if (!(line->types & 1u << head->type))
		return NULL;
	struct meaning *meaning = &line->meanings[head->type];
	shape_event(head, work, meaning);
	return meaning->end == MEANS_SERIES && !meaning->is_found ? NULL : meaning;
}

static const struct meaning *
find_meaning(struct ingest *ingest, struct work *work)
{
	struct line_memory *line = &ingest->line;
	if (!line->has_head)
		line->types = 0;
	bool is_event = read_head(ingest, work);
	line->has_head = work->cut.more.ptr && !ingest->head.refused;
	if (!is_event)
		return &nothing;
	struct meaning *meaning = &line->meanings[ingest->head.type];
	line->types |= 1u << ingest->head.type;
	buf_reset(&ingest->text);
	work_out(ingest, work, &ingest->text, meaning);
	if (meaning->end == MEANS_SERIES) {
		struct limited limited = limit_values(ingest, meaning->set);
		prepare_request(ingest, &ingest->text, meaning);
		find_series(ingest, &ingest->text, limited, &work->shape, meaning);
	}
	return meaning;
}

void
ingest_resolve(struct ingest *ingest, struct work *work)
{
	const struct meaning *meaning = recall(ingest, work);
	settle(ingest, work, meaning ? meaning : find_meaning(ingest, work));
}

void
ingest_foresee(struct ingest *ingest, struct work *work, struct buf *text, struct meaning *meaning)
{
	meaning->end = MEANS_NOTHING;
	if (!read_head(ingest, work))
		return;
	work_out(ingest, work, text, meaning);
	if (meaning->end == MEANS_SERIES)
		prepare_request(ingest, text, meaning);
}

void
ingest_resolve_foreseen(struct ingest *ingest, struct work *work, const struct buf *text,
			struct meaning *meaning)
{
	if (meaning->end == MEANS_SERIES)
		find_series(ingest, text, (struct limited){0, 0}, &work->shape, meaning);
	settle(ingest, work, meaning);
}
