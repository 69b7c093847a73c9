/* Clients that meet in tables with too few slots for all. */
#ifndef NEIGHBOUR_H
#define NEIGHBOUR_H

#include "base/address_group.h"

/**
 * @slots how many the table has in each row
 * @return another client, with the slot of this one in one row and in no other
 */
static inline struct address_group
neighbour_of(struct address_group client, size_t row, unsigned slots)
{
	struct address_slots mine = address_group_slots(client);
	struct address_group other = client;
	for (bool is_found = false; !is_found;) {
		other.id++;
		struct address_slots theirs = address_group_slots(other);
		is_found = true;
		for (size_t i = 0; i < ADDRESS_ROWS; i++) {
			bool meet = mine.in_row[i] % slots == theirs.in_row[i] % slots;
			is_found &= meet == (i == row);
		}
	}
	return other;
}

#endif
