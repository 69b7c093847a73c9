#include "push/negotiation.h"

void
push_negotiation_init(struct push_negotiation *negotiation, enum push_protocol_choice choice)
{
	*negotiation = (struct push_negotiation){
	    .old_until_us = choice == PUSH_CHOICE_1 ? INT64_MAX : INT64_MIN,
	    .no_native_until_us = INT64_MIN};
}

enum push_protocol
push_negotiation_protocol(const struct push_negotiation *negotiation, int64_t now_us)
{
	return now_us < negotiation->old_until_us ? PUSH_PROTOCOL_1 : PUSH_PROTOCOL_2;
}

bool
push_negotiation_hit(struct push_negotiation *negotiation)
{
	bool is_news = !negotiation->is_confirmed;
	negotiation->is_confirmed = true;
	negotiation->misses = 0;
	negotiation->old_until_us = INT64_MIN;
	return is_news;
}

bool
push_negotiation_miss(struct push_negotiation *negotiation, int64_t now_us)
{
	/* Requests that were under way together miss together. */
	if (push_negotiation_protocol(negotiation, now_us) == PUSH_PROTOCOL_1)
		return false;
	if (negotiation->is_confirmed && ++negotiation->misses < PUSH_MISSES_MOST)
		return false;
	negotiation->is_confirmed = false;
	negotiation->old_until_us = now_us + PUSH_TRY_AGAIN_US;
	return true;
}

bool
push_negotiation_takes_native(const struct push_negotiation *negotiation, int64_t now_us)
{
	return now_us >= negotiation->no_native_until_us;
}

bool
push_negotiation_deny_native(struct push_negotiation *negotiation, int64_t now_us)
{
	/* Requests that were under way together are answered alike. */
	if (!push_negotiation_takes_native(negotiation, now_us))
		return false;
	negotiation->no_native_until_us = now_us + PUSH_NATIVE_AGAIN_US;
	return true;
}
