#include "app/apply.h"

#include "base/number.h"
#include "base/utf8.h"

#include <math.h>

bool
value_must_be_finite(enum statsd_type type)
{
	return type == STATSD_TYPE_COUNTER || (type != STATSD_TYPE_GAUGE && statsd_type_packs(type));
}

bool
values_are_numbers(struct span values)
{
	struct span piece;
	double value;
	while (statsd_next_value(&values, &piece)) {
		if (!number_parse(piece, &value))
			return false;
	}
	return true;
}

bool
values_pack_all_or_none(enum statsd_type type)
{
	return type == STATSD_TYPE_COUNTER || type == STATSD_TYPE_GAUGE;
}

static bool
number_counts(const struct shape *shape, double value)
{
	if (!isfinite(value) && value_must_be_finite(shape->type))
		return false;
	return shape->type != STATSD_TYPE_COUNTER || apply_convert(shape, value) >= 0;
}

bool
values_count(const struct work *work, const struct shape *shape)
{
	struct span values = work->cut.values, piece;
	if (shape->type == STATSD_TYPE_SET)
		return values.len && utf8_is_valid(values);
	if (!work->cut.packed)
		return work->is_number && number_counts(shape, work->value);
	if (!values_are_numbers(values) &&
	    (!utf8_is_valid(values) || values_pack_all_or_none(shape->type)))
		return false;
	while (statsd_next_value(&values, &piece)) {
		double value;
		if (number_parse(piece, &value) && number_counts(shape, value))
			return true;
	}
	return false;
}
