/*
 * app/apply - what a value does to its series, and where it is counted: the innermost part of the push
 * path, in line for both ways that lead to it (ingest.c, sample.c).
 */
#ifndef APP_APPLY_H
#define APP_APPLY_H

#include "app/ingest_private.h"

/** @return the value as the series takes it: milliseconds to seconds, sampling, the rule's scale */
static inline double
apply_convert(const struct shape *shape, double value)
{
	/* Dividing by 1 and multiplying with 1 cost less than asking whether to. */
	value /= shape->divisor;
	for (unsigned i = 0; i < shape->rate_count; i++)
		value = value_clamp(value / shape->rates[i]);
	value *= shape->scale;
	return shape->kind == EVENT_GAUGE ? value : value_clamp(value);
}

/** @return whether a converted value is a negative amount for a counter, and would be looked at */
static inline bool
apply_is_negative_count(const struct shape *shape, double value)
{
	/* What a rule or the parser refuses is refused before the sign matters. */
	bool is_looked_at =
	    shape->op != SHAPE_REFUSE_SAMPLES || shape->validity == VALID_UNTIL_FREED;
	return value < 0 && shape->type == STATSD_TYPE_COUNTER && is_looked_at;
}

/** Counts lines, values and events beyond one a value, as what their shape says they are. */
static inline void
apply_count(struct ingest *ingest, const struct target *target, uint64_t lines, uint64_t values,
	    uint64_t extra_events)
{
	if (LIKELY(target->shape_id))
		shape_hit(&ingest->hits[target->shape_id], lines, values, extra_events);
	else
		shape_account(target->shape, ingest->account, lines, values, values + extra_events);
}

/** @return whole observations that a value of a sampled observer stands for */
static inline uint64_t
apply_weight(const struct shape *shape, double *carry)
{
	return LIKELY(shape->weight <= 1) ? 1 : observation_count(carry, shape->weight);
}

/**
 * Applies a converted value to its series and counts it.
 *
 * @place     of the value, for histograms
 * @is_signed whether the number was sent with a sign
 * @lines     1 when the line is counted with it, else 0
 */
static inline void
apply_value(struct ingest *ingest, const struct target *target, double value,
	    struct histogram_place place, bool is_signed, unsigned lines)
{
	const struct shape *shape = target->shape;
	struct cell *cell = target->cell;
	uint64_t count = 1;
	cell_set_tick(cell, ingest->tick);
	switch ((enum shape_op)shape->op) {
	case SHAPE_COUNTER:
		counter_add((struct counter_cell *)cell, value);
		break;
	case SHAPE_HISTOGRAM: {
		struct histogram_cell *histogram = (struct histogram_cell *)cell;
		count = apply_weight(shape, &histogram->carry);
		histogram_observe(ingest->shard, histogram, shape->layout, place, value, count);
		break;
	}
	case SHAPE_SUMMARY: {
		struct summary_cell *summary = (struct summary_cell *)cell;
		count = apply_weight(shape, &summary->carry);
		summary_observe(ingest->shard, summary, shape->layout, value, count,
				ingest->now_us);
		break;
	}
	case SHAPE_GAUGE_RELATIVE:
		if (is_signed) {
			gauge_add((struct gauge_cell *)cell, value);
			break;
		}
		/* fall through */
	default:
		gauge_set((struct gauge_cell *)cell, value);
		break;
	}
	apply_count(ingest, target, lines, 1, count - 1);
}

#endif
