#include "app/account.h"

const char *
drop_reason_text(enum drop_reason reason)
{
	static const char *const text[DROP_REASONS] = {
	    [DROP_MALFORMED_COMPONENT] = "malformed_component",
	    [DROP_MALFORMED_VALUE] = "malformed_value",
	    [DROP_ILLEGAL_EVENT] = "illegal_event",
	    [DROP_ILLEGAL_NEGATIVE_COUNTER] = "illegal_negative_counter",
	    [DROP_EMPTY_METRIC_NAME] = "empty_metric_name",
	    [DROP_CONFLICT] = "conflict",
	    [DROP_SERIES_LIMIT] = "series_limit",
	    [DROP_ACTION] = "action_drop",
	};
	return text[reason];
}
