#include "app/options.h"

#include "app/options_table.h"

/* A build from a checkout may define these. */
#ifndef STATSBRIDGE_BRANCH
#define STATSBRIDGE_BRANCH "none"
#endif
#ifndef STATSBRIDGE_REVISION
#define STATSBRIDGE_REVISION "none"
#endif

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* As the image's platform is spelled. */
#if defined(__x86_64__)
#define MACHINE "amd64"
#elif defined(__aarch64__)
#define MACHINE "arm64"
#elif defined(__i386__)
#define MACHINE "386"
#elif defined(__arm__)
#define MACHINE "arm"
#else
#define MACHINE "other"
#endif

/* Columns of a terminal that --help keeps to. */
#define WIDTH 80
#define INDENT 6

static const char *const group_titles[] = {
#define GROUP(id, title) title,
#define FLAG(...)
#define ACTION(...)
#include "app/options.def"
};

/* "a|b|c" as "a, b, c" */
static void
add_choices(const char *choices, struct buf *out)
{
	for (; *choices; choices++) {
		if (*choices == '|')
			buf_add_text(out, ", ");
		else
			buf_add_byte(out, *choices);
	}
}

void
option_describe_value(const struct flag *flag, struct buf *out)
{
	long long minimum = flag->minimum, maximum = flag->maximum;
	switch (flag->kind) {
	case FLAG_INT:
	case FLAG_UINT:
		if (maximum == INT64_MAX)
			buf_printf(out, "at least %lld %s", minimum, flag->unit);
		else
			buf_printf(out, "%lld to %lld %s", minimum, maximum, flag->unit);
		return;
	case FLAG_DURATION:
		if (maximum == INT64_MAX)
			buf_printf(out, "a duration such as 200ms, at least %lldns", minimum);
		else
			buf_printf(out, "a duration such as 200us, %lldns to %lldns", minimum,
				   maximum);
		return;
	case FLAG_CHOICE:
	case FLAG_CHOICE_ANY_CASE:
		buf_add_text(out, "one of ");
		add_choices(flag->unit, out);
		return;
	case FLAG_URL_PATH:
		buf_add_text(out,
			     "a path that starts with '/', has no blank and none of ?#%, and has "
			     "no other meaning (/-/..., /health, /api..., /sd)");
		return;
	case FLAG_NAME:
		buf_printf(out,
			   "%lld to %lld letters, digits and '_', not a digit first and not a '_' "
			   "last",
			   minimum, maximum);
		return;
	case FLAG_ADDRESSES:
		buf_add_text(out, "host:port, several with commas between them or by repeating the "
				  "flag, or nothing for none");
		return;
	case FLAG_WEB_ADDRESSES:
		buf_add_text(out, "host:port or unix:/path, several with commas between them or by "
				  "repeating the flag");
		return;
	case FLAG_PATHS:
		buf_add_text(out, "a path, several by repeating the flag, or nothing for none");
		return;
	case FLAG_TEXTS:
		buf_add_text(out, "several by repeating the flag");
		return;
	case FLAG_TEXT:
	case FLAG_MODE:
	case FLAG_BOOL:
	case FLAG_ACTION:
		return;
	}
}

/* What a flag means, with what it takes, in full sentences. */
static void
describe_flag(const struct flag *flag, struct buf *out)
{
	buf_add_text(out, flag->help);
	size_t len = out->len;
	buf_add_text(out, " Takes ");
	size_t start = out->len;
	option_describe_value(flag, out);
	if (out->len == start)
		out->len = len;
	else
		buf_add_byte(out, '.');
}

static const char *
shown_default(const struct flag *flag)
{
	return *flag->fallback ? flag->fallback : "none";
}

/* Adds a paragraph, broken between words. */
static void
add_wrapped(const char *text, size_t indent, struct buf *out)
{
	for (size_t column = 0; *text;) {
		size_t len = strcspn(text, " ");
		if (column && column + 1 + len > WIDTH) {
			buf_add_byte(out, '\n');
			column = 0;
		}
		if (column)
			column += (buf_add_byte(out, ' '), 1);
		for (; column < indent; column++)
			buf_add_byte(out, ' ');
		buf_add(out, text, len);
		column += len;
		text += len + (text[len] == ' ');
	}
	buf_add_byte(out, '\n');
}

/* "=BYTES", "=ADDRESS,...", "=lru|random" */
static void
add_placeholder(const struct flag *flag, struct buf *out)
{
	if (flag->kind == FLAG_BOOL || flag->kind == FLAG_ACTION)
		return;
	bool is_choice = flag->kind == FLAG_CHOICE || flag->kind == FLAG_CHOICE_ANY_CASE;
	buf_add_byte(out, '=');
	for (const char *unit = flag->unit; *unit; unit++)
		buf_add_byte(out, is_choice ? *unit : *unit - ('a' - 'A'));
	if (flag->kind == FLAG_ADDRESSES)
		buf_add_text(out, ",...");
}

static void
add_flag_help(const struct flag *flag, struct buf *out)
{
	struct buf text = BUF_INIT;
	buf_printf(out, "  --%s%s", flag->kind == FLAG_BOOL ? "[no-]" : "", flag->name);
	add_placeholder(flag, out);
	if (flag->kind != FLAG_ACTION)
		buf_printf(out, "  (default: %s)", shown_default(flag));
	buf_add_byte(out, '\n');
	describe_flag(flag, &text);
	add_wrapped(buf_text(&text), INDENT, out);
	buf_fini(&text);
}

void
options_help(const char *program, struct buf *out)
{
	buf_printf(out, "usage: %s [<flags>]\n\n", program);
	add_wrapped(
	    "Receives statsd and DogStatsD lines and lets Prometheus scrape them as metrics.", 0,
	    out);
	buf_add_byte(out, '\n');
	add_wrapped(
	    "A value is written --flag=value or --flag value. An argument @file stands for the "
	    "lines of that file, one argument each.",
	    0, out);
	for (enum flag_group group = 0; group < GROUP_HIDDEN; group++) {
		buf_printf(out, "\n%s:\n", group_titles[group]);
		for (size_t i = 0; i < option_flag_count; i++) {
			if (option_flags[i].group == group)
				add_flag_help(&option_flags[i], out);
		}
	}
}

/* In a cell of a table '|' would end the cell. */
static void
add_cell(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (strchr("|*_<", *text))
			buf_add_byte(out, '\\');
		buf_add_byte(out, *text);
	}
}

static void
add_flag_row(const struct flag *flag, struct buf *out)
{
	struct buf text = BUF_INIT;
	describe_flag(flag, &text);
	buf_printf(out, "| `--%s` | ", flag->name);
	if (*flag->fallback)
		buf_printf(out, "`%s`", flag->fallback);
	else if (flag->kind != FLAG_ACTION)
		buf_add_text(out, "none");
	buf_add_text(out, " | ");
	add_cell(buf_text(&text), out);
	if (flag->kind == FLAG_BOOL && strcmp(flag->fallback, "true") == 0)
		buf_printf(out, " `--no-%s` turns it off.", flag->name);
	buf_add_text(out, " |\n");
	buf_fini(&text);
}

/* The README's list. */
static void
print_markdown(struct buf *out)
{
	for (enum flag_group group = 0; group < GROUP_HIDDEN; group++) {
		buf_printf(out, "%s**%s**\n\n| Flag | Default | Meaning |\n|---|---|---|\n",
			   group ? "\n" : "", group_titles[group]);
		for (size_t i = 0; i < option_flag_count; i++) {
			if (option_flags[i].group == group)
				add_flag_row(&option_flags[i], out);
		}
	}
}

static void
print_flag_names(struct buf *out)
{
	for (size_t i = 0; i < option_flag_count; i++) {
		const struct flag *flag = &option_flags[i];
		if (flag->group == GROUP_HIDDEN)
			continue;
		buf_printf(out, "--%s\n", flag->name);
		if (flag->kind == FLAG_BOOL)
			buf_printf(out, "--no-%s\n", flag->name);
	}
}

static void
print_script_bash(const char *program, struct buf *out)
{
	buf_printf(out,
		   "_statsbridge_complete() {\n"
		   "\tCOMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" --completion-bash)\" -- "
		   "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
		   "}\n"
		   "complete -o default -F _statsbridge_complete %s\n",
		   program);
}

static void
print_script_zsh(const char *program, struct buf *out)
{
	buf_printf(out,
		   "#compdef %s\n"
		   "_statsbridge_complete() {\n"
		   "\tcompadd -- $(\"${words[1]}\" --completion-bash)\n"
		   "}\n"
		   "compdef _statsbridge_complete %s\n",
		   program, program);
}

/*
 * The six lines of statsd_exporter. Who built it and when is left out, so that the same source
 * always gives the same program.
 */
static void
print_version(struct buf *out)
{
	buf_printf(out,
		   "statsbridge, version %s (branch: %s, revision: %s)\n"
		   "  build user:       none\n"
		   "  build date:       none\n"
		   "  compiler:         %s\n"
		   "  platform:         linux/%s\n"
		   "  tags:             none\n",
		   STATSBRIDGE_VERSION, STATSBRIDGE_BRANCH, STATSBRIDGE_REVISION, COMPILER,
		   MACHINE);
}

void
option_print(enum flag_action action, const char *program, struct buf *out)
{
	switch (action) {
	case ACTION_HELP:
		options_help(program, out);
		return;
	case ACTION_VERSION:
		print_version(out);
		return;
	case ACTION_MARKDOWN:
		print_markdown(out);
		return;
	case ACTION_FLAG_NAMES:
		print_flag_names(out);
		return;
	case ACTION_SCRIPT_BASH:
		print_script_bash(program, out);
		return;
	case ACTION_SCRIPT_ZSH:
		print_script_zsh(program, out);
		return;
	}
}
