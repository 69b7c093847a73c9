/*
 * Lines: the mode ('u' = unordered), then globs, each behind one character that says which kinds it
 * takes, and last the name. The automaton must find what trying one glob after the other finds.
 */
#include "base/check.h"
#include "mapping/brute_glob.h"
#include "mapping/glob.h"
#include "mapping/rule.h"

#define GLOBS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span
next_line(struct span *rest)
{
	const char *end = span_find(*rest, '\n');
	struct span line = end ? span_first(*rest, (size_t)(end - rest->ptr)) : *rest;
	*rest = end ? span_from(*rest, line.len + 1) : span_from(*rest, rest->len);
	return line;
}

static void
check_name(const struct glob_set *set, struct glob_scratch *scratch, const struct brute_glob *globs,
	   size_t count, bool is_ordered, struct span name)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		struct glob_match match = {.rule = BRUTE_NONE};
		bool is_found = glob_set_find(set, scratch, (enum event_kind)kind, name, &match);
		uint32_t want = brute_find(globs, count, is_ordered, (unsigned)kind, name);
		CHECK(match.rule == want);
		CHECK(is_found == (want != BRUTE_NONE));
		if (is_found)
			CHECK(match.capture_count == glob_star_count(globs[want].pattern));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct span rest = {(const char *)data, size};
	struct span mode = next_line(&rest);
	bool is_ordered = !span_starts(mode, SPAN("u"));
	struct brute_glob globs[GLOBS_MAX] = {0};
	size_t count = 0;
	struct span name = next_line(&rest);
	struct glob_set *set = glob_set_new(is_ordered);
	for (; rest.len && count < GLOBS_MAX; name = next_line(&rest)) {
		if (!name.len)
			continue;
		unsigned kinds = (unsigned char)name.ptr[0] & KINDS_ALL;
		globs[count] = (struct brute_glob){span_from(name, 1), kinds ? kinds : KINDS_ALL};
		glob_set_add(set, globs[count].pattern, globs[count].kinds, (uint32_t)count);
		count++;
	}
	struct glob_scratch scratch;
	glob_scratch_init(&scratch);
	check_name(set, &scratch, globs, count, is_ordered, name);
	for (size_t i = 0; i < count; i++)
		check_name(set, &scratch, globs, count, is_ordered, globs[i].pattern);
	glob_scratch_fini(&scratch);
	glob_set_free(&set);
	return 0;
}
