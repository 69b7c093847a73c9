/*
 * Arguments come from a stack of sources: the command line at the bottom, one more for each @file
 * that is being read. They become tokens, tokens become flags with values, and each value is
 * checked and stored at once, so that the first wrong one is what gets reported.
 */
#include "app/options.h"

#include "app/options_table.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/near.h"
#include "base/utf8.h"
#include "model/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Longest value of a flag, in bytes: what Linux takes for a path. */
#define VALUE_MAX 4096
/* All @files of one command line together, in bytes, and how deep they may name each other. */
#define FILE_BYTES_MAX (1 << 20)
#define FILE_DEPTH_MAX 8
/* Bytes of an argument that an error shows. */
#define QUOTE_MAX 64

#define AT(field) offsetof(struct options, field), sizeof(((struct options *)NULL)->field)
#define NOWHERE FLAG_NOWHERE, 0
#define GROUP(id, title)
#define FLAG(name, kind, field, fallback, minimum, maximum, unit, group, help) \
	{name, FLAG_##kind, field, fallback, minimum, maximum, unit, GROUP_##group, help, 0},
#define ACTION(name, what, group, help) \
	{name, FLAG_ACTION, NOWHERE, "", 0, 0, "", GROUP_##group, help, ACTION_##what},

const struct flag option_flags[] = {
#include "app/options.def"
};

#define FLAG_COUNT (sizeof(option_flags) / sizeof(*option_flags))
const size_t option_flag_count = FLAG_COUNT;

struct source {
	char **arguments;
	size_t count, next;
};

struct parser {
	struct options *options;
	struct buf *out;
	const char *program;
	struct source sources[1 + FILE_DEPTH_MAX]; /* the last one is read from */
	size_t depth;                              /* sources in use */
	size_t file_bytes;                         /* read from @files so far */
	bool flags_ended;                          /* "--" was met */
	bool given[FLAG_COUNT];
};

struct token {
	enum { TOKEN_END, TOKEN_LONG, TOKEN_SHORT, TOKEN_TEXT } type;
	const char *text;  /* TOKEN_TEXT */
	struct span name;  /* of a flag, without dashes */
	const char *value; /* behind '=', or NULL */
};

/* Writes an error and yields OPTIONS_FAIL. The arguments are printf's. */
#define fail(parser, ...)                                                                       \
	(buf_printf((parser)->out, "%s: error: ", (parser)->program),                           \
	 buf_printf((parser)->out, __VA_ARGS__), buf_add_text((parser)->out, ", try --help\n"), \
	 OPTIONS_FAIL)

struct quoted {
	char text[QUOTE_MAX * 4 + sizeof("...")];
};

/* Makes an argument fit for one line of a terminal: escaped and cut. @return to->text */
static const char *
quote(struct span argument, struct quoted *to)
{
	size_t at = 0, len = 0;
	while (at < argument.len) {
		unsigned char byte = (unsigned char)argument.ptr[at];
		size_t step = utf8_length(span_from(argument, at));
		if (at + step > QUOTE_MAX)
			break;
		if (step > 1 || (byte >= ' ' && byte < 0x7f)) {
			memcpy(to->text + len, argument.ptr + at, step);
			len += step;
		} else {
			len += (size_t)sprintf(to->text + len, "\\x%02x", byte);
		}
		at += step;
	}
	strcpy(to->text + len, at < argument.len ? "..." : "");
	return to->text;
}

static const char *
quote_text(const char *argument, struct quoted *to)
{
	return quote(span_text(argument), to);
}

/* Gives `text` to the options, which free it in the end. */
static void
keep_text(struct options *options, char *text)
{
	options->texts = xgrow(options->texts, options->text_count, &options->text_capacity,
			       sizeof(*options->texts));
	options->texts[options->text_count++] = text;
}

static bool
is_argument_line(const char *line)
{
	return line[0] != '#' && line[strspn(line, " \t")] != '\0';
}

/* Cuts `content` into its lines, in place. @return a source whose arguments are to be freed */
static struct source
cut_lines(char *content)
{
	struct source source = {0};
	size_t capacity = 0;
	for (char *line = content, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		size_t len = strlen(line);
		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (!is_argument_line(line))
			continue;
		source.arguments = xgrow(source.arguments, source.count, &capacity, sizeof(char *));
		source.arguments[source.count++] = line;
	}
	return source;
}

/* Lets the lines of a file come before the remaining arguments. */
static enum options_outcome
open_source(struct parser *parser, const char *path)
{
	struct quoted shown;
	if (parser->depth > FILE_DEPTH_MAX)
		return fail(parser, "'@%s': argument files may be nested %d deep at most",
			    quote_text(path, &shown), FILE_DEPTH_MAX);
	struct buf content = BUF_INIT;
	int error = file_read(path, 0, FILE_BYTES_MAX - parser->file_bytes, &content);
	size_t len = content.len;
	char *text = xmemdup0(buf_span(&content).ptr, len);
	buf_fini(&content);
	keep_text(parser->options, text);
	if (error == EFBIG)
		return fail(parser, "'@%s': argument files may hold %d bytes at most in all",
			    quote_text(path, &shown), FILE_BYTES_MAX);
	if (error)
		return fail(parser, "cannot read '@%s': %s", quote_text(path, &shown),
			    strerror(error));
	if (strlen(text) != len)
		return fail(parser, "'@%s' holds a NUL byte", quote_text(path, &shown));
	parser->file_bytes += len;
	parser->sources[parser->depth++] = cut_lines(text);
	return OPTIONS_RUN;
}

static void
close_source(struct parser *parser)
{
	parser->depth--;
	/* The bottom one is main()'s. */
	if (parser->depth)
		free(parser->sources[parser->depth].arguments);
}

/*
 * @return the next argument, or NULL. A source that is used up stays until the argument after its
 * last one is wanted, so that a file which ends by naming itself meets the limit on depth.
 */
static const char *
next_argument(struct parser *parser)
{
	while (parser->depth) {
		struct source *source = &parser->sources[parser->depth - 1];
		if (source->next < source->count)
			return source->arguments[source->next++];
		close_source(parser);
	}
	return NULL;
}

static struct token
make_token(const char *argument)
{
	if (argument[0] != '-')
		return (struct token){.type = TOKEN_TEXT, .text = argument};
	if (argument[1] != '-') {
		struct span letters = span_text(argument + 1);
		size_t len = letters.len ? utf8_length(letters) : 0;
		return (struct token){.type = TOKEN_SHORT, .name = span_first(letters, len)};
	}
	const char *name = argument + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	return (struct token){
	    .type = TOKEN_LONG, .name = span_of(name, len), .value = equals ? equals + 1 : NULL};
}

static enum options_outcome
next_token(struct parser *parser, struct token *token)
{
	for (;;) {
		const char *argument = next_argument(parser);
		*token =
		    (struct token){.type = argument ? TOKEN_TEXT : TOKEN_END, .text = argument};
		if (!argument || parser->flags_ended)
			return OPTIONS_RUN;
		if (strcmp(argument, "--") == 0) {
			parser->flags_ended = true;
		} else if (argument[0] == '@') {
			enum options_outcome outcome = open_source(parser, argument + 1);
			if (outcome != OPTIONS_RUN)
				return outcome;
		} else {
			*token = make_token(argument);
			return OPTIONS_RUN;
		}
	}
}

const struct flag *
option_find_flag(struct span name)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (span_equal(name, span_text(option_flags[i].name)))
			return &option_flags[i];
	}
	return NULL;
}

/* @return the flag that a token names, or NULL. *negated: with "no-" before it */
static const struct flag *
match_flag(const struct token *token, bool *negated)
{
	*negated = false;
	if (token->type == TOKEN_SHORT)
		return span_equal(token->name, SPAN("h")) ? option_find_flag(SPAN("help")) : NULL;
	const struct flag *flag = option_find_flag(token->name);
	if (flag || !span_starts(token->name, SPAN("no-")))
		return flag;
	*negated = true;
	flag = option_find_flag(span_from(token->name, 3));
	return flag && (flag->kind == FLAG_BOOL || flag->kind == FLAG_ACTION) ? flag : NULL;
}

/* @return the flag that was probably meant by a name that is none, or NULL */
static const struct flag *
suggest_flag(struct span name)
{
	const struct flag *best = NULL;
	/* Three slips at most, and never most of the name. */
	size_t nearest = name.len / 3 < 3 ? name.len / 3 + 1 : 4;
	for (const struct flag *flag = option_flags; flag < option_flags + FLAG_COUNT; flag++) {
		struct span candidate = span_text(flag->name);
		if (flag->group == GROUP_HIDDEN)
			continue;
		/* "listen-udp" for "statsd.listen-udp" */
		bool lacks_topic = name.len && span_ends(candidate, name) &&
				   candidate.len > name.len &&
				   candidate.ptr[candidate.len - name.len - 1] == '.';
		size_t distance = lacks_topic ? 0 : near_distance(name, candidate);
		if (distance < nearest) {
			nearest = distance;
			best = flag;
		}
	}
	return best;
}

static enum options_outcome
fail_unknown(struct parser *parser, const struct token *token)
{
	struct quoted shown;
	quote(token->name, &shown);
	if (token->type == TOKEN_SHORT)
		return fail(parser, "unknown short flag '-%s'", shown.text);
	const struct flag *meant = suggest_flag(token->name);
	return meant ? fail(parser, "unknown long flag '--%s' (did you mean '--%s'?)", shown.text,
			    meant->name)
		     : fail(parser, "unknown long flag '--%s'", shown.text);
}

static enum options_outcome
fail_value(struct parser *parser, const struct flag *flag, const char *text)
{
	struct quoted shown;
	struct buf wanted = BUF_INIT;
	option_describe_value(flag, &wanted);
	enum options_outcome outcome =
	    fail(parser, "flag '--%s': expected %s, got '%s'", flag->name, buf_text(&wanted),
		 quote_text(text, &shown));
	buf_fini(&wanted);
	return outcome;
}

static void *
field_of(struct options *options, const struct flag *flag)
{
	CHECK(flag->offset < sizeof(*options));
	return (char *)options + flag->offset;
}

static void
store_number(struct options *options, const struct flag *flag, int64_t number)
{
	if (flag->offset == FLAG_NOWHERE)
		return;
	if (flag->size == sizeof(bool)) {
		*(bool *)field_of(options, flag) = number != 0;
	} else if (flag->size == sizeof(int)) {
		int small = (int)number;
		memcpy(field_of(options, flag), &small, sizeof(small));
	} else {
		CHECK(flag->size == sizeof(number));
		memcpy(field_of(options, flag), &number, sizeof(number));
	}
}

static bool
parse_number(const struct flag *flag, const char *text, int64_t *number)
{
	uint64_t natural;
	switch (flag->kind) {
	case FLAG_INT:
		return option_parse_int(text, number);
	case FLAG_DURATION:
		return option_parse_duration(text, number);
	default:
		if (!option_parse_uint(text, &natural) || natural > INT64_MAX)
			return false;
		*number = (int64_t)natural;
		return true;
	}
}

static enum options_outcome
set_number(struct parser *parser, const struct flag *flag, const char *text)
{
	int64_t number;
	if (!parse_number(flag, text, &number) || number < flag->minimum || number > flag->maximum)
		return fail_value(parser, flag, text);
	store_number(parser->options, flag, number);
	return OPTIONS_RUN;
}

static enum options_outcome
set_choice(struct parser *parser, const struct flag *flag, const char *text)
{
	int choice = option_find_choice(flag->unit, text, flag->kind == FLAG_CHOICE_ANY_CASE);
	if (choice < 0)
		return fail_value(parser, flag, text);
	store_number(parser->options, flag, choice);
	return OPTIONS_RUN;
}

/* Paths as a client sends them, which the HTTP server does not answer itself. */
static bool
is_free_path(const char *path)
{
	static const char *const taken[] = {"/-/healthy", "/-/ready", "/-/reload", "/-/quit",
					    "/health",    "/sd",      "/api"};
	for (const char *byte = path; *byte; byte++) {
		if ((unsigned char)*byte <= ' ' || *byte == 0x7f || strchr("?#%", *byte))
			return false;
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		if (strcmp(path, taken[i]) == 0)
			return false;
	}
	return path[0] == '/' && strncmp(path, "/api/", 5) != 0;
}

static bool
is_name_start(const char *text)
{
	struct span name = span_text(text);
	return name_is_legal(name) && !span_ends(name, SPAN("_"));
}

static enum options_outcome
set_text(struct parser *parser, const struct flag *flag, const char *text)
{
	size_t len = strlen(text);
	bool is_good = len >= (size_t)flag->minimum && len <= (size_t)flag->maximum;
	if (flag->kind == FLAG_URL_PATH)
		is_good = is_good && is_free_path(text);
	if (flag->kind == FLAG_NAME)
		is_good = is_good && is_name_start(text);
	if (!is_good)
		return fail_value(parser, flag, text);
	*(const char **)field_of(parser->options, flag) = text;
	return OPTIONS_RUN;
}

static bool
is_list(const struct flag *flag)
{
	return flag->kind == FLAG_ADDRESSES || flag->kind == FLAG_WEB_ADDRESSES ||
	       flag->kind == FLAG_PATHS || flag->kind == FLAG_TEXTS;
}

static enum options_outcome
add_to_list(struct parser *parser, const struct flag *flag, const char *text)
{
	struct option_list *list = field_of(parser->options, flag);
	struct quoted shown;
	if (*text == '\0')
		return fail(parser, "flag '--%s': an empty %s among others", flag->name,
			    flag->unit);
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0)
			return fail(parser, "flag '--%s': '%s' is given twice", flag->name,
				    quote_text(text, &shown));
	}
	if (list->count >= (size_t)flag->maximum)
		return fail(parser, "flag '--%s': more than %d values", flag->name,
			    (int)flag->maximum);
	list->items[list->count++] = text;
	return OPTIONS_RUN;
}

static enum options_outcome
set_list(struct parser *parser, const struct flag *flag, const char *text)
{
	struct option_list *list = field_of(parser->options, flag);
	bool is_first = !list->items;
	if (is_first)
		list->items = xcalloc((size_t)flag->maximum, sizeof(*list->items));
	if (is_first && *text == '\0')
		return flag->minimum ? fail_value(parser, flag, text) : OPTIONS_RUN;
	if (!is_first && list->count == 0)
		return fail(parser, "flag '--%s': an empty %s among others", flag->name,
			    flag->unit);
	if (flag->kind == FLAG_PATHS || flag->kind == FLAG_TEXTS || !strchr(text, ','))
		return add_to_list(parser, flag, text);
	enum options_outcome outcome = OPTIONS_RUN;
	while (text && outcome == OPTIONS_RUN) {
		size_t len = strcspn(text, ",");
		char *piece = xmemdup0(text, len);
		keep_text(parser->options, piece);
		outcome = add_to_list(parser, flag, piece);
		text = text[len] ? text + len + 1 : NULL;
	}
	return outcome;
}

static enum options_outcome
set_value(struct parser *parser, const struct flag *flag, const char *text)
{
	if (strlen(text) > VALUE_MAX)
		return fail(parser, "flag '--%s': longer than %d bytes", flag->name, VALUE_MAX);
	switch (flag->kind) {
	case FLAG_BOOL:
		store_number(parser->options, flag, strcmp(text, "true") == 0);
		return OPTIONS_RUN;
	case FLAG_INT:
	case FLAG_UINT:
	case FLAG_DURATION:
		return set_number(parser, flag, text);
	case FLAG_CHOICE:
	case FLAG_CHOICE_ANY_CASE:
		return set_choice(parser, flag, text);
	case FLAG_TEXT:
	case FLAG_MODE:
	case FLAG_URL_PATH:
	case FLAG_NAME:
		return set_text(parser, flag, text);
	case FLAG_ADDRESSES:
	case FLAG_WEB_ADDRESSES:
	case FLAG_PATHS:
	case FLAG_TEXTS:
		return set_list(parser, flag, text);
	case FLAG_ACTION:
		break;
	}
	return OPTIONS_RUN;
}

/* @return in *value what belongs to a flag that takes a value: behind its '=', or the next argument
 */
static enum options_outcome
take_value(struct parser *parser, const struct flag *flag, const struct token *token,
	   const char **value)
{
	*value = token->value;
	if (*value)
		return OPTIONS_RUN;
	struct token next;
	enum options_outcome outcome = next_token(parser, &next);
	if (outcome == OPTIONS_RUN && next.type != TOKEN_TEXT)
		return fail(parser, "expected argument for flag '--%s'", flag->name);
	*value = next.text;
	return outcome;
}

static enum options_outcome
parse_flag(struct parser *parser, const struct token *token)
{
	bool negated;
	struct quoted shown;
	const struct flag *flag = match_flag(token, &negated);
	if (!flag)
		return fail_unknown(parser, token);
	if (flag->kind == FLAG_ACTION) {
		option_print(flag->action, parser->program, parser->out);
		return OPTIONS_EXIT;
	}
	bool *given = &parser->given[flag - option_flags];
	if (*given && !is_list(flag))
		return fail(parser, "flag '%s' cannot be repeated", flag->name);
	*given = true;
	if (flag->kind == FLAG_BOOL) {
		if (token->value)
			return fail(parser, "unexpected %s", quote_text(token->value, &shown));
		return set_value(parser, flag, negated ? "false" : "true");
	}
	const char *value;
	enum options_outcome outcome = take_value(parser, flag, token, &value);
	return outcome == OPTIONS_RUN ? set_value(parser, flag, value) : outcome;
}

static enum options_outcome
parse_arguments(struct parser *parser)
{
	for (;;) {
		struct token token;
		struct quoted shown;
		enum options_outcome outcome = next_token(parser, &token);
		if (outcome != OPTIONS_RUN || token.type == TOKEN_END)
			return outcome;
		if (token.type == TOKEN_TEXT)
			return fail(parser, "unexpected %s", quote_text(token.text, &shown));
		outcome = parse_flag(parser, &token);
		if (outcome != OPTIONS_RUN)
			return outcome;
	}
}

/* Fills in what was not given, and what follows from several flags together. */
static enum options_outcome
complete_options(struct parser *parser)
{
	struct options *options = parser->options;
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		const struct flag *flag = &option_flags[i];
		const char *fallback = flag->fallback;
		if (flag->kind == FLAG_NAME && strcmp(parser->program, "statsd_exporter") == 0)
			fallback = parser->program;
		if (parser->given[i])
			options->queue_flags_given |= flag->group == GROUP_INERT;
		else
			CHECK(set_value(parser, flag, fallback) == OPTIONS_RUN);
	}
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (parser->given[i])
			options_note_idle(options, &option_flags[i]);
	}
	options->unixsocket_mode = option_parse_mode(options->unixsocket_mode_text);
	options->web_unixsocket_mode = option_parse_mode(options->web_unixsocket_mode_text);
	bool listens = options->listen_udp.count || options->listen_tcp.count ||
		       options->listen_unixgram.count || options->listen_unixstream.count;
	if (!listens && !options->check_config)
		return fail(parser, "at least one of --statsd.listen-udp, --statsd.listen-tcp, "
				    "--statsd.listen-unixgram and --statsd.listen-unixstream "
				    "must be enabled");
	return OPTIONS_RUN;
}

static const char *
program_name(int argc, char **argv)
{
	if (argc < 1)
		return "statsbridge";
	const char *slash = strrchr(argv[0], '/');
	return slash ? slash + 1 : argv[0];
}

enum options_outcome
options_parse(int argc, char **argv, struct options *options, struct buf *out)
{
	*options = (struct options){0};
	struct parser parser = {.options = options,
				.out = out,
				.program = program_name(argc, argv),
				.sources = {{argv + 1, argc > 0 ? (size_t)argc - 1 : 0, 0}},
				.depth = 1};
	enum options_outcome outcome = parse_arguments(&parser);
	while (parser.depth)
		close_source(&parser);
	if (outcome == OPTIONS_RUN)
		outcome = complete_options(&parser);
	if (outcome != OPTIONS_RUN)
		options_fini(options);
	return outcome;
}

void
options_fini(struct options *options)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		const struct flag *flag = &option_flags[i];
		if (is_list(flag))
			free(((struct option_list *)field_of(options, flag))->items);
	}
	for (size_t i = 0; i < options->text_count; i++)
		free(options->texts[i]);
	free(options->texts);
	free(options->idle_flags);
	*options = (struct options){0};
}
