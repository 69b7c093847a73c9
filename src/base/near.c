#include "base/near.h"

#include <stdint.h>

size_t
near_distance(struct span a, struct span b)
{
	size_t rows[3][NEAR_LEN_MAX + 1];
	size_t *above2 = rows[0], *above = rows[1], *row = rows[2];
	if (a.len > NEAR_LEN_MAX || b.len > NEAR_LEN_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
			best = best < above[j] + 1 ? best : above[j] + 1;
			best = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
			bool is_swap = i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
				       a.ptr[i - 2] == b.ptr[j - 1];
			if (is_swap && above2[j - 2] + 1 < best)
				best = above2[j - 2] + 1;
			row[j] = best;
		}
		size_t *spare = above2;
		above2 = above;
		above = row;
		row = spare;
	}
	return above[b.len];
}
