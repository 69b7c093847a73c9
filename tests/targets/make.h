/* Makes groups for tests. */
#ifndef TESTS_TARGETS_MAKE_H
#define TESTS_TARGETS_MAKE_H

#include "test.h"

#include "targets/set.h"

#include <stdio.h>

/* @targets with a blank behind each but the last; none = no elements. @return one reference */
static inline struct target_group *
make_group(const char *name, const char *owner, int64_t ttl_us, const char *targets)
{
	struct document document;
	struct buf json = BUF_INIT, error = BUF_INIT;
	buf_add_text(&json, *targets ? "[{\"targets\":[\"" : "[");
	for (const char *at = targets; *at; at++) {
		if (*at != ' ')
			buf_add_byte(&json, *at);
		else if (at[1])
			buf_add_text(&json, "\",\"");
	}
	buf_add_text(&json, *targets ? "\"]}]" : "]");
	if (!document_parse(buf_span(&json), &document, &error))
		fail_msg("%s", buf_text(&error));
	buf_fini(&json);
	buf_fini(&error);
	return target_group_new(span_text(name), span_text(owner), ttl_us, &document);
}

static inline enum set_outcome
put(struct target_set *set, const char *name, const char *owner, int64_t ttl_us,
    const char *targets)
{
	struct target_group *group = make_group(name, owner, ttl_us, targets);
	enum set_outcome outcome = target_set_put(set, group);
	target_group_unref(&group);
	return outcome;
}

#endif
