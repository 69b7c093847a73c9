/*
 * app/options_table - the rows of app/options.def as data, and what reads them. Shared by
 * app/options.c, which parses, app/options_help.c, which prints, app/options_value.c, which knows
 * how single values are written, and app/options_idle.c, which knows what needs what. app/target_api.c reads a duration of a client with it.
 */
#ifndef APP_OPTIONS_TABLE_H
#define APP_OPTIONS_TABLE_H

#include "base/buf.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_kind {
	FLAG_BOOL,     /* --x and --no-x; takes no value */
	FLAG_INT,      /* a floating-point number, cut to a whole one, as statsd_exporter does */
	FLAG_UINT,     /* an integer, also 0x, 0o, 0b, with '_' between digits */
	FLAG_DURATION, /* 1h30m; counted in nanoseconds */
	FLAG_CHOICE,   /* one of the words in unit */
	FLAG_CHOICE_ANY_CASE, /* the same, upper and lower case alike */
	FLAG_TEXT,            /* any text */
	FLAG_MODE,            /* permission bits; never refused, see struct options */
	FLAG_URL_PATH,        /* a path that the HTTP server has no other use for */
	FLAG_NAME,            /* the start of a metric name */
	FLAG_ADDRESSES,       /* a list; also several values with commas between them */
	FLAG_WEB_ADDRESSES,   /* the same, at least one, each perhaps "unix:/path" */
	FLAG_PATHS,           /* a list; one value each time, since paths may hold commas */
	FLAG_TEXTS,           /* a list; one value each time, of any kind */
	FLAG_ACTION,          /* prints and exits; takes no value */
};

enum flag_group {
#define GROUP(id, title) GROUP_##id,
#define FLAG(...)
#define ACTION(...)
#include "app/options.def"
#undef GROUP
#undef FLAG
#undef ACTION
	GROUP_HIDDEN, /* in no list */
};

enum flag_action {
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_MARKDOWN,
	ACTION_FLAG_NAMES,
	ACTION_SCRIPT_BASH,
	ACTION_SCRIPT_ZSH,
};

#define FLAG_NOWHERE SIZE_MAX

/* One row. */
struct flag {
	const char *name; /* without the dashes */
	enum flag_kind kind;
	size_t offset, size;  /* of the field in struct options; offset may be FLAG_NOWHERE */
	const char *fallback; /* the default, as text */
	int64_t minimum, maximum;
	const char *unit;
	enum flag_group group;
	const char *help;
	enum flag_action action; /* for FLAG_ACTION */
};

extern const struct flag option_flags[];
extern const size_t option_flag_count;

/** @return the flag of this name, without dashes, or NULL */
const struct flag *option_find_flag(struct span name);

struct options;

/** Notes a flag that was given if it has no effect. @options complete but for their idle_flags */
void options_note_idle(struct options *options, const struct flag *flag);

/* Values. Each takes a NUL-terminated text, and writes *out on success only. */

/** Go's floating-point syntax, cut towards zero: "1e3", "2.7". NaN and what int64_t cannot hold
 * fail. */
bool option_parse_int(const char *text, int64_t *out) MUST_CHECK;

/** Go's integer syntax: "0x10", "0o17", "017", "0b1", "1_000". No sign. */
bool option_parse_uint(const char *text, uint64_t *out) MUST_CHECK;

/**
 * Go's durations with d (24 h) and w (7 d) besides: "200ms", "1h30m", "1.5s", "0". No sign but '+'.
 *
 * @out nanoseconds
 */
bool option_parse_duration(const char *text, int64_t *out) MUST_CHECK;

/** @return the low 9 bits of an octal number of at most 31 bits, 0 for "", -1 for all else */
int option_parse_mode(const char *text) MUST_CHECK;

/** @return the position of `text` among the words of "a|b|c", or -1 */
int option_find_choice(const char *choices, const char *text, bool any_case) MUST_CHECK;

/* Output. */

/** Appends what a flag takes, such as "2 to 65507 bytes"; nothing where any text will do. */
void option_describe_value(const struct flag *flag, struct buf *out);

/** Appends what an action prints. @program the name to show */
void option_print(enum flag_action action, const char *program, struct buf *out);

#endif
