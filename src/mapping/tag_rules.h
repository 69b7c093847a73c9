/*
 * mapping/tag_rules - which tags of a client become labels, and under which names.
 */
#ifndef MAPPING_TAG_RULES_H
#define MAPPING_TAG_RULES_H

#include "model/labels.h"

#define TAG_NAMES_MAX 1000
#define TAG_RENAMES_MAX 64

struct tag_rename {
	char *from; /* owned */
	char *to;   /* legal, not reserved; owned */
};

/* Tags are named as labels are: escaped. */
struct tag_rules {
	bool keeps;   /* the named tags are kept and all others dropped, or the other way round */
	char **names; /* ascending, each once; owned */
	size_t name_count;
	struct tag_rename *renames; /* no `from` twice; owned */
	size_t rename_count;
};

/**
 * Drops and renames tags. All renamings happen at once, so that names can be swapped; a renamed tag
 * replaces one that already has the name, and of several that get one name the first in `renames`
 * wins.
 */
void tag_rules_apply(const struct tag_rules *rules, struct labels *labels);

void tag_rules_fini(struct tag_rules *rules);

#endif
