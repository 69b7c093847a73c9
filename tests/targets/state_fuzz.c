/* Any bytes either make a set that is written and read as itself again, or one message. */
#include "targets/state.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_set(const struct target_set *set)
{
	struct diag diag = DIAG_INIT;
	struct buf once = BUF_INIT, twice = BUF_INIT;
	CHECK(set->count <= SET_GROUPS_MAX && set->targets <= SET_TARGETS_MAX);
	CHECK(set->bytes <= SET_BYTES_MAX);
	for (size_t i = 0; i < set->count; i++) {
		CHECK(i == 0 || strcmp(set->groups[i - 1]->name, set->groups[i]->name) < 0);
		CHECK(set->groups[i]->expires.us >= set->next_expiry.us);
	}
	target_state_format(set, &once);
	struct target_set *again = target_state_parse("f", buf_span(&once), &diag);
	CHECK(again && diag.count == 0);
	target_state_format(again, &twice);
	CHECK(span_equal(buf_span(&once), buf_span(&twice)));
	target_set_unref(&again);
	buf_fini(&once);
	buf_fini(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag diag = DIAG_INIT;
	clock_fake(INT64_C(1700000000000000));
	struct target_set *set = target_state_parse("f", span_of((const char *)data, size), &diag);
	CHECK(diag.count == (set ? 0 : 1));
	if (set)
		check_set(set);
	else
		CHECK(span_starts(span_text(diag.messages[0].text), SPAN("f:")) &&
		      utf8_is_valid(span_text(diag.messages[0].text)));
	target_set_unref(&set);
	diag_fini(&diag);
	return 0;
}
