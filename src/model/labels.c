#include "model/labels.h"

/* Where `name` is, or belongs. */
static size_t
position(const struct labels *labels, struct span name, bool *found)
{
	size_t low = 0, high = labels->count;
	*found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = span_compare(labels->item[middle].name, name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
labels_set(struct labels *labels, struct span name, struct span value)
{
	bool found = false;
	size_t at = labels->count;
	/* Often they come in order. */
	if (at && span_compare(labels->item[at - 1].name, name) >= 0)
		at = position(labels, name, &found);
	if (!found) {
		if (labels->count == LABELS_MAX)
			return false;
		memmove(&labels->item[at + 1], &labels->item[at],
			(labels->count - at) * sizeof(labels->item[0]));
		labels->count++;
	}
	labels->item[at] = (struct label){name, value};
	return true;
}

const struct label *
labels_find(const struct labels *labels, struct span name)
{
	bool found;
	size_t at = position(labels, name, &found);
	return found ? &labels->item[at] : NULL;
}

bool
labels_remove(struct labels *labels, struct span name)
{
	bool found;
	size_t at = position(labels, name, &found);
	if (!found)
		return false;
	labels->count--;
	memmove(&labels->item[at], &labels->item[at + 1],
		(labels->count - at) * sizeof(labels->item[0]));
	return true;
}
