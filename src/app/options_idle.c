/*
 * Flags that are of no use without another one. That is no error: who swaps statsd_exporter for
 * this program keeps a command line that it took.
 */
#include "app/options.h"
#include "app/options_table.h"
#include "base/alloc.h"

#include <stdlib.h>

static const struct need {
	const char *flag;      /* one that ends in '.' is all that start so */
	const char *any_of[2]; /* "flag=start" is a value that starts so */
} needs[] = {
    {"statsd.tls-config-file", {"statsd.listen-tcp"}},
    {"statsd.unixsocket-mode", {"statsd.listen-unixgram", "statsd.listen-unixstream"}},
    {"statsd.read-buffer", {"statsd.listen-udp", "statsd.listen-unixgram"}},
    {"statsd.max-connections", {"statsd.listen-tcp", "statsd.listen-unixstream"}},
    {"statsd.max-wake-up-delay", {"statsd.listen-udp", "statsd.listen-unixgram"}},
    {"debug.dump-fsm", {"statsd.mapping-config"}},
    {"statsd.relay.packet-length", {"statsd.relay.address"}},
    {"web.unixsocket-mode", {"web.listen-address=unix:"}},
    {"web.openmetrics-created", {"web.openmetrics"}},
    {"sd.token-file", {"web.enable-target-api"}},
    {"remote-write.", {"remote-write.url"}},
};

static const struct need *
find_need(const struct flag *flag)
{
	struct span name = span_text(flag->name);
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
		struct span row = span_text(needs[i].flag);
		if (span_ends(row, SPAN(".")) ? span_starts(name, row) : span_equal(name, row))
			return &needs[i];
	}
	return NULL;
}

static bool
has_value(const struct option_list *list, const char *start)
{
	for (size_t i = 0; i < list->count; i++) {
		if (span_starts(span_text(list->items[i]), span_text(start)))
			return true;
	}
	return false;
}

/* @return whether a flag's value asks for anything. @start of one value, of lists */
static bool
is_on(const struct options *options, const struct flag *flag, const char *start)
{
	const void *field = (const char *)options + flag->offset;
	switch (flag->kind) {
	case FLAG_BOOL:
		return *(const bool *)field;
	case FLAG_TEXT:
		return **(const char *const *)field != '\0';
	case FLAG_ADDRESSES:
	case FLAG_WEB_ADDRESSES:
	case FLAG_PATHS:
	case FLAG_TEXTS:
		return has_value(field, start);
	default:
		return true;
	}
}

static bool
is_met(const struct options *options, const char *need)
{
	size_t len = strcspn(need, "=");
	const struct flag *flag = option_find_flag(span_of(need, len));
	CHECK(flag);
	/* Sockets that systemd hands over stand for listeners of any kind. */
	bool may_be_handed_over =
	    flag->kind == FLAG_WEB_ADDRESSES || flag->group == GROUP_LISTENERS;
	return (may_be_handed_over && getenv("LISTEN_FDS")) ||
	       is_on(options, flag, need[len] ? need + len + 1 : "");
}

void
options_note_idle(struct options *options, const struct flag *flag)
{
	const struct need *need = find_need(flag);
	if (!need || !is_on(options, flag, "") || is_met(options, need->any_of[0]) ||
	    (need->any_of[1] && is_met(options, need->any_of[1])))
		return;
	options->idle_flags = xgrow(options->idle_flags, options->idle_flag_count,
				    &options->idle_flag_capacity, sizeof(struct idle_flag));
	options->idle_flags[options->idle_flag_count++] =
	    (struct idle_flag){flag->name, need->any_of};
}
