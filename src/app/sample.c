/*
 * The long way of a line: everything the protocol allows, sample by sample. A spelling that is known
 * is still only looked up; ingest.c takes the short way for what is plain. Of plain lines whose spelling
 * is new, several are worked out before the first one's series is looked for.
 */
#include "app/apply.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/number.h"
#include "base/utf8.h"
#include "statsd/event.h"

#include <math.h>

/* ---- Refusing: the one place for lines, the one place for samples. ---- */

/* @where byte offset of the fault in the line */
static void
refuse_line(struct ingest *ingest, struct span line, enum statsd_reason reason, size_t where)
{
	account_add(ingest->account, ACCOUNT_LINES_REFUSED + reason, 1);
	account_add(ingest->account, ACCOUNT_SAMPLE_ERRORS + reason, 1);
	log_debug("line refused", LOG_TEXT("reason", statsd_reason_text(reason)),
		  LOG_NUM("position", where), LOG_BYTES("line", line));
}

/* A sample whose value is no number, or not one its type can take. */
static void
refuse_value(struct ingest *ingest, const struct work *work, struct span value)
{
	account_add(ingest->account, ACCOUNT_SAMPLES, 1);
	account_add(ingest->account, ACCOUNT_SAMPLE_ERRORS + STATSD_MALFORMED_VALUE, 1);
	account_add(ingest->account, ACCOUNT_SAMPLES_DROPPED + DROP_MALFORMED_VALUE, 1);
	log_debug("sample refused", LOG_TEXT("reason", "malformed_value"),
		  LOG_NUM("position", value.ptr - work->line.ptr), LOG_BYTES("line", work->line));
}

/* Whether a counter says how a sample ended, not what it was. */
static bool
is_outcome(unsigned counter)
{
	return (counter >= ACCOUNT_SAMPLES_APPLIED && counter < ACCOUNT_SAMPLE_ERRORS) ||
	       (counter >= ACCOUNT_EVENTS && counter < ACCOUNT_EVENTS_UNMAPPED) ||
	       (counter >= ACCOUNT_EVENTS_ERROR && counter < ACCOUNT_CACHE_GETS) ||
	       counter >= ACCOUNT_CONFLICTS;
}

/* A negative amount for a counter: all that its shape counts, with another end. */
static void
refuse_negative(struct ingest *ingest, const struct work *work, const struct shape *shape)
{
	for (unsigned i = 0; i < shape->tally_count; i++) {
		const struct tally *tally = &shape->tallies[i];
		if (tally->unit != TALLY_LINE && !is_outcome(tally->counter))
			account_add(ingest->account, tally->counter, tally->times);
	}
	account_add(ingest->account, ACCOUNT_SAMPLES_DROPPED + DROP_ILLEGAL_NEGATIVE_COUNTER, 1);
	account_add(ingest->account, ACCOUNT_EVENTS_ERROR + DROP_ILLEGAL_NEGATIVE_COUNTER, 1);
	log_debug("sample refused", LOG_TEXT("reason", "illegal_negative_counter"),
		  LOG_BYTES("line", work->line));
}

/* ---- Applying values. ---- */

/* The name may be long: it is hashed once for all samples of a line. */
static const struct hash128 *
name_hash(struct work *work)
{
	if (!work->has_name_hash)
		work->name_hash = hash_bytes128(work->cut.name.ptr, work->cut.name.len);
	work->has_name_hash = true;
	return &work->name_hash;
}

static void
find_key(struct ingest *ingest, struct work *work)
{
	const struct span *suffix = &work->key_suffix;
	work->key_suffix = statsd_key_suffix(&work->cut, &ingest->bridge->settings.statsd,
					     ingest->key_suffix);
	work->is_whole = suffix->ptr == work->cut.suffix.ptr &&
			 suffix->ptr + suffix->len == work->line.ptr + work->line.len;
	if (work->line_key && work->is_first && work->is_whole)
		work->key = *work->line_key;
	else
		work->key = hash_pair128_from(*name_hash(work), suffix->ptr, suffix->len);
}

/* Finds the meaning of a sample's spelling where it is remembered. @return whether it is */
static bool
find_target(struct ingest *ingest, struct work *work)
{
	account_add(ingest->account, ACCOUNT_CACHE_GETS, 1);
	const struct raw_entry *entry = raw_cache_find(ingest->cache, work->key);
	if (UNLIKELY(!entry))
		return false;
	const struct shape *shape = shapes_get(ingest->bridge->shapes, entry->shape);
	struct cell *cell = ingest_cell_of(entry);
	bool fresh = ingest_is_fresh(ingest, entry, shape) &&
		     (!cell || cell_holds(cell, entry->incarnation));
	if (fresh && UNLIKELY(shape->op == SHAPE_UNBORN))
		fresh = !values_count(work, shape);
	if (!fresh)
		return false;
	account_add(ingest->account, ACCOUNT_CACHE_HITS, 1);
	work->target = (struct target){shape, entry->shape, cell};
	work->exemplar = SPAN("");
	return true;
}

/* A sample whose spelling is known to be refused; its shape knows why. */
static void
refuse_known(struct ingest *ingest, const struct work *work, const struct target *target)
{
	apply_count(ingest, target, 0, 1, 0);
	if (LIKELY(!log_enabled(LOG_LEVEL_DEBUG)))
		return;
	for (unsigned i = 0; i < target->shape->tally_count; i++) {
		unsigned reason = target->shape->tallies[i].counter - ACCOUNT_SAMPLES_DROPPED;
		if (reason < DROP_REASONS)
			log_debug("sample refused", LOG_TEXT("reason", drop_reason_text(reason)),
				  LOG_BYTES("line", work->line));
	}
}

/* Has a value that was applied be the exemplar of what it counts in. */
static void
put_exemplar(struct ingest *ingest, const struct work *work, double value,
	     struct histogram_place place)
{
	const struct target *target = &work->target;
	struct exemplar_view exemplar = {work->exemplar, value, clock_wall().us / 1000};
	shard_put_exemplar(ingest->shard, target->cell, target->shape->layout, place.bucket,
			   &exemplar);
}

/* One piece of a sample's values. @number whether it parsed */
static void
take_value(struct ingest *ingest, const struct work *work, const struct target *target,
	   bool number, double value, struct span text)
{
	const struct shape *shape = target->shape;
	if (UNLIKELY(!number || (!isfinite(value) && value_must_be_finite(shape->type)))) {
		refuse_value(ingest, work, text);
		return;
	}
	value = apply_convert(shape, value);
	if (UNLIKELY(apply_is_negative_count(shape, value)))
		refuse_negative(ingest, work, shape);
	else if (UNLIKELY(shape->op < SHAPE_COUNTER))
		refuse_known(ingest, work, target);
	else {
		struct histogram_place place = {0};
		if (shape->op == SHAPE_HISTOGRAM)
			place = histogram_place(shape->layout, value);
		apply_value(ingest, target, value, place, text.ptr[0] == '+' || text.ptr[0] == '-',
			    0);
		if (UNLIKELY(work->exemplar.len))
			put_exemplar(ingest, work, value, place);
	}
}

/* ---- Lines. ---- */

/* Tag errors in the name count even when the line is refused for its values. */
static void
refuse_values_line(struct ingest *ingest, const struct work *work, const struct shape *shape,
		   enum statsd_reason reason)
{
	for (unsigned i = 0; i < shape->tally_count; i++) {
		const struct tally *tally = &shape->tallies[i];
		if (tally->unit == TALLY_LINE && tally->counter == ACCOUNT_TAG_ERRORS)
			account_add(ingest->account, ACCOUNT_TAG_ERRORS, tally->times);
	}
	refuse_line(ingest, work->line, reason, (size_t)(work->cut.values.ptr - work->line.ptr));
}

/* Whether values that are not all numbers still make a line. @return false when it was refused */
static bool
check_odd_values(struct ingest *ingest, const struct work *work, const struct shape *shape)
{
	if (!utf8_is_valid(work->cut.values)) {
		refuse_line(ingest, work->line, STATSD_MALFORMED_LINE,
			    (size_t)(work->cut.values.ptr - work->line.ptr));
		return false;
	}
	if (shape->op == SHAPE_REFUSE_LINE || !work->cut.packed)
		return true;
	if (!values_pack_all_or_none(shape->type) && statsd_type_packs(shape->type))
		return true;
	refuse_values_line(ingest, work, shape, STATSD_INVALID_EXTENDED_AGGREGATE);
	return false;
}

static void
take_packed(struct ingest *ingest, const struct work *work, const struct target *target)
{
	if (!values_are_numbers(work->cut.values)) {
		if (!check_odd_values(ingest, work, target->shape))
			return;
	} else if (target->shape->op != SHAPE_REFUSE_LINE &&
		   !statsd_type_packs(target->shape->type)) {
		refuse_values_line(ingest, work, target->shape, STATSD_INVALID_EXTENDED_AGGREGATE);
		return;
	}
	apply_count(ingest, target, 1, 0, 0);
	if (target->shape->op == SHAPE_REFUSE_LINE)
		return;
	struct span values = work->cut.values, piece;
	while (statsd_next_value(&values, &piece)) {
		double value = 0;
		bool number = number_parse(piece, &value);
		take_value(ingest, work, target, number, value, piece);
	}
}

static void
take_single(struct ingest *ingest, const struct work *work, const struct target *target)
{
	if (UNLIKELY(!work->is_number) && !check_odd_values(ingest, work, target->shape))
		return;
	if (work->is_first)
		apply_count(ingest, target, 1, 0, 0);
	if (target->shape->op != SHAPE_REFUSE_LINE)
		take_value(ingest, work, target, work->is_number, work->value, work->cut.values);
}

/* A set's member is everything between the name and the type, whatever it holds. */
static void
take_member(struct ingest *ingest, const struct work *work, const struct target *target)
{
	struct span member = work->cut.values;
	if (!utf8_is_valid(member)) {
		refuse_line(ingest, work->line, STATSD_MALFORMED_LINE,
			    (size_t)(member.ptr - work->line.ptr));
		return;
	}
	if (work->is_first)
		apply_count(ingest, target, 1, 0, 0);
	if (target->shape->op == SHAPE_REFUSE_LINE)
		return;
	if (!member.len) {
		refuse_value(ingest, work, member);
		return;
	}
	if (target->shape->op != SHAPE_SET) {
		refuse_known(ingest, work, target);
		return;
	}
	cell_set_tick(target->cell, ingest->tick);
	set_add(ingest->shard, (struct set_cell *)target->cell, hash_bytes64(member.ptr, member.len));
	apply_count(ingest, target, 0, 1, 0);
}

/*
 * A further etsy sample of a line that has samples already: one without a type, as in "a:1|c:2", or
 * one whose sections would refuse a line.
 */
static void
refuse_further(struct ingest *ingest, const struct work *work)
{
	account_add(ingest->account, ACCOUNT_SAMPLES, 1);
	account_add(ingest->account, ACCOUNT_SAMPLE_ERRORS + STATSD_MALFORMED_COMPONENT, 1);
	account_add(ingest->account, ACCOUNT_SAMPLES_DROPPED + DROP_MALFORMED_COMPONENT, 1);
	log_debug("sample refused", LOG_TEXT("reason", "malformed_component"),
		  LOG_NUM("position", work->cut.values.ptr - work->line.ptr),
		  LOG_BYTES("line", work->line));
}

static void
read_value(struct work *work)
{
	work->value = 0;
	work->is_number = !work->cut.packed && number_parse(work->cut.values, &work->value);
}

/* A sample whose meaning has been found. @return as take_sample() */
static bool
take_values(struct ingest *ingest, const struct work *work)
{
	const struct target *target = &work->target;
	bool is_refused = target->shape->op == SHAPE_REFUSE_LINE;
	if (UNLIKELY(is_refused && !work->is_first)) {
		refuse_further(ingest, work);
		return true;
	}
	if (UNLIKELY(target->shape->type == STATSD_TYPE_SET &&
		     ingest->bridge->settings.statsd.sets))
		take_member(ingest, work, target);
	else if (UNLIKELY(work->cut.packed))
		take_packed(ingest, work, target);
	else
		take_single(ingest, work, target);
	return !is_refused;
}

/* @return false when the line has been refused as a whole, whatever else is in it */
static bool
take_sample(struct ingest *ingest, struct work *work)
{
	if (!work->cut.suffix.len) {
		refuse_further(ingest, work);
		return true;
	}
	read_value(work);
	if (work->is_first || !span_equal(work->suffix, work->cut.suffix) ||
	    work->target.shape->op == SHAPE_UNBORN) {
		find_key(ingest, work);
		if (!find_target(ingest, work))
			ingest_resolve(ingest, work);
		work->suffix = work->cut.suffix;
	}
	return take_values(ingest, work);
}

/* A line that cannot even be cut; what its name says is still counted. */
static void
refuse_uncut(struct ingest *ingest, struct work *work, enum statsd_reason reason, size_t where)
{
	if (reason == STATSD_NOT_ENOUGH_PARTS) {
		if (!utf8_is_valid(work->line)) {
			refuse_line(ingest, work->line, STATSD_MALFORMED_LINE, 0);
			return;
		}
		statsd_parse_head(work->line, &work->cut, &ingest->bridge->settings.statsd,
				  &ingest->head);
		account_add(ingest->account, ACCOUNT_TAG_ERRORS, ingest->head.name_tag_errors);
		if (ingest->head.refused) {
			reason = ingest->head.refused;
			where = ingest->head.where;
		}
	}
	refuse_line(ingest, work->line, reason, where);
}

/* @key as for sample_take_line() */
static void
begin_line(struct work *work, struct span line, const struct hash128 *key)
{
	work->line = line;
	work->line_key = key;
	work->is_first = true;
	work->has_name_hash = false;
}

static void
take_metric(struct ingest *ingest, struct span line, const struct hash128 *key)
{
	struct work work;
	size_t where = 0;
	begin_line(&work, line, key);
	ingest->line.has_head = false;
	enum statsd_reason reason = statsd_cut(line, &work.cut, &where);
	if (UNLIKELY(reason != STATSD_OK)) {
		refuse_uncut(ingest, &work, reason, where);
		return;
	}
	if (UNLIKELY(work.cut.more.ptr != NULL) && !utf8_is_valid(line)) {
		refuse_line(ingest, line, STATSD_MALFORMED_LINE, 0);
		return;
	}
	bool goes_on = take_sample(ingest, &work);
	work.is_first = false;
	while (UNLIKELY(goes_on && statsd_cut_next(&work.cut)))
		take_sample(ingest, &work);
}

/* Events and service checks are recognised and counted; they are not metrics. */
static void
take_event_or_check(struct ingest *ingest, struct span line, enum statsd_line_class class)
{
	size_t where = 0;
	struct statsd_event event = {0};
	struct statsd_check check;
	enum statsd_reason reason = class == STATSD_LINE_EVENT
					? statsd_parse_event(line, &event, &where)
					: statsd_parse_check(line, &check, &where);
	if (reason != STATSD_OK) {
		refuse_line(ingest, line, reason, where);
		return;
	}
	account_add(ingest->account, ACCOUNT_EVENT_REPAIRS, event.repair != STATSD_EVENT_AS_SENT);
	account_add(ingest->account,
		    class == STATSD_LINE_EVENT ? ACCOUNT_LINES_EVENT : ACCOUNT_LINES_CHECK, 1);
}

void
sample_take_line(struct ingest *ingest, struct span line, const struct hash128 *key)
{
	enum statsd_line_class class = statsd_classify(line);
	if (LIKELY(class == STATSD_LINE_METRIC))
		take_metric(ingest, line, key);
	else
		take_event_or_check(ingest, line, class);
}

/* ---- Lines of a batch. ---- */

/* @return false when the line has more in it than can be told ahead */
static bool
foresee(struct ingest *ingest, const struct pending_line *line, struct foreseen *foreseen)
{
	struct work *work = &foreseen->work;
	size_t where;
	begin_line(work, line->line, &line->key);
	if (statsd_cut(work->line, &work->cut, &where) != STATSD_OK)
		return false;
	find_key(ingest, work);
	if (!work->is_whole)
		return false;
	read_value(work);
	ingest_foresee(ingest, work, &ingest->foreseen_text, &foreseen->meaning);
	return true;
}

/* Those that have a shape are known, or were refused the short way for their values alone. */
static void
foresee_lines(struct ingest *ingest, unsigned from, unsigned to)
{
	bool is_possible = !mapper_limits_values(ingest->mapper);
	buf_reset(&ingest->foreseen_text);
	ingest->foreseen_from = from;
	ingest->foreseen_count = to - from;
	for (unsigned i = from; i < to; i++) {
		const struct pending_line *line = &ingest->pending[i];
		struct foreseen *foreseen = &ingest->foreseen[i - from];
		foreseen->is_foreseen = is_possible && line->is_plain && !line->target.shape &&
					ingest->foreseen_text.len < FORESEEN_TEXT_MAX &&
					foresee(ingest, line, foreseen);
	}
}

void
sample_take_pending(struct ingest *ingest, unsigned number, unsigned count)
{
	const struct pending_line *line = &ingest->pending[number];
	if (!line->is_plain) {
		sample_take_line(ingest, line->line, NULL);
		return;
	}
	if (number - ingest->foreseen_from >= ingest->foreseen_count) {
		unsigned left = count - number;
		foresee_lines(ingest, number,
			      number + (left < FORESEEN_LINES ? left : FORESEEN_LINES));
	}
	struct foreseen *foreseen = &ingest->foreseen[number - ingest->foreseen_from];
	if (!foreseen->is_foreseen) {
		sample_take_line(ingest, line->line, &line->key);
		return;
	}
	/* A line before it may have had the same spelling. */
	if (!find_target(ingest, &foreseen->work))
		ingest_resolve_foreseen(ingest, &foreseen->work, &ingest->foreseen_text,
					&foreseen->meaning);
	take_values(ingest, &foreseen->work);
}
