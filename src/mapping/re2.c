/*
 * One pass, left to right, with a stack of open groups. Each item read is written to the PCRE2 text
 * at once. On the way the reader collects the texts that every match contains: a run of literal
 * characters grows until something else comes between; what may be left out (an alternative, a
 * repetition from zero) is taken back by returning to a mark.
 */
#include "mapping/re2.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { FLAG_I = 1, FLAG_M = 2, FLAG_S = 4, FLAG_U = 8 };
static const char flag_letters[] = "imsU";

/* What a repetition would repeat. */
enum atom { ATOM_NONE, ATOM_LITERAL, ATOM_OTHER, ATOM_ASSERTION, ATOM_GROUP, ATOM_REPETITION };

/* Whether the literal run is where the name starts. */
enum start { START_OPEN, START_ANCHORED, START_DECIDED };

/* How far the collection of literals has come. */
struct mark {
	size_t literal_count;
	size_t run_start; /* the run being grown: literal_bytes from here on */
	size_t run_end;
	enum start start;
	bool starts_with_literal;
};

struct group {
	size_t position; /* of its '(' */
	unsigned flags;  /* outside */
	bool has_alternatives;
	unsigned repeats; /* outside, see `reader` */
	struct mark mark;
};

struct reader {
	struct span in;
	size_t at;
	struct re2_pattern *out;
	struct re2_error *error;
	struct group *groups; /* open ones, the innermost last */
	size_t depth, capacity;
	unsigned flags;
	enum atom atom;
	unsigned atom_repeats;  /* most copies nested counts make of the atom's parts */
	unsigned repeats;       /* the same of anything in the current group */
	struct mark group_mark; /* before the atom, if it is a group */
	size_t run_start;
	enum start start;
	bool has_alternatives; /* outside of all groups */
};

static bool
fail(struct reader *reader, size_t position, const char *reason)
{
	*reader->error = (struct re2_error){position, reason};
	return false;
}

static struct span
rest_of(const struct reader *reader)
{
	return span_from(reader->in, reader->at);
}

static bool
is_next(const struct reader *reader, char byte)
{
	return reader->at < reader->in.len && reader->in.ptr[reader->at] == byte;
}

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool
is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool
is_word(char byte)
{
	return is_letter(byte) || is_digit(byte) || byte == '_';
}

/* Literals */

static struct mark
mark_here(const struct reader *reader)
{
	return (struct mark){reader->out->literal_count, reader->run_start,
			     reader->out->literal_bytes.len, reader->start,
			     reader->out->starts_with_literal};
}

/* The run cannot grow any more: what comes next need not stand right behind it. */
static void
end_run(struct reader *reader)
{
	struct re2_pattern *out = reader->out;
	size_t len = out->literal_bytes.len - reader->run_start;
	if (reader->start != START_DECIDED) {
		out->starts_with_literal = reader->start == START_ANCHORED && len > 0;
		reader->start = START_DECIDED;
	}
	if (len > 0 && out->literal_count < RE2_LITERALS_MAX)
		out->literals[out->literal_count++] = (struct re2_literal){reader->run_start, len};
	reader->run_start = out->literal_bytes.len;
}

/* Forgets what was collected since the mark; anything may stand there. */
static void
return_to(struct reader *reader, struct mark mark)
{
	reader->out->literal_count = mark.literal_count;
	reader->out->literal_bytes.len = mark.run_end;
	reader->out->starts_with_literal = mark.starts_with_literal;
	reader->run_start = mark.run_start;
	reader->start = mark.start;
	end_run(reader);
}

/* PCRE2 text */

static void
emit_char(struct reader *reader, uint32_t code)
{
	struct buf *to = &reader->out->pcre;
	if (code < 0x80 && is_word((char)code))
		buf_add_byte(to, (char)code);
	else
		buf_printf(to, "\\x{%x}", (unsigned)code);
}

static bool
put_literal(struct reader *reader, uint32_t code)
{
	emit_char(reader, code);
	reader->atom_repeats = 1;
	if (code >= 0x80 || (reader->flags & FLAG_I && is_letter((char)code))) {
		end_run(reader);
		reader->atom = ATOM_OTHER;
		return true;
	}
	if (reader->start == START_OPEN)
		reader->start = START_DECIDED;
	buf_add_byte(&reader->out->literal_bytes, (char)code);
	reader->atom = ATOM_LITERAL;
	return true;
}

/* One character of some class. */
static bool
put_other(struct reader *reader, const char *pcre)
{
	buf_add_text(&reader->out->pcre, pcre);
	end_run(reader);
	reader->atom = ATOM_OTHER;
	reader->atom_repeats = 1;
	return true;
}

/* Repetition */

struct repetition {
	unsigned min, max; /* max 0 = no end; counts above RE2_REPEAT_MAX stand for all of them */
	bool has_count;
	size_t len; /* bytes, with the '?' of a lazy one */
};

/* A count without leading zeros. @return bytes, 0 if there is none */
static size_t
scan_count(struct span text, unsigned *count)
{
	size_t len = 0;
	*count = 0;
	while (len < text.len && is_digit(text.ptr[len])) {
		if (*count <= RE2_REPEAT_MAX)
			*count = *count * 10 + (unsigned)(text.ptr[len] - '0');
		len++;
	}
	return len > 1 && text.ptr[0] == '0' ? 0 : len;
}

/* "{n}", "{n,}" or "{n,m}". @return bytes, 0 if it is just text */
static size_t
scan_braces(struct span text, struct repetition *out)
{
	size_t at = 1;
	size_t len = scan_count(span_from(text, at), &out->min);
	at += len;
	if (!len || at == text.len)
		return 0;
	out->max = out->min;
	bool has_end = true;
	if (text.ptr[at] == ',') {
		at++;
		len = scan_count(span_from(text, at), &out->max);
		at += len;
		has_end = len > 0;
	}
	if (at == text.len || text.ptr[at] != '}')
		return 0;
	if (has_end && out->max < out->min)
		out->min = RE2_REPEAT_MAX + 1;
	out->has_count = true;
	return at + 1;
}

/* Reads a repetition at the start of `text`. @return false if there is none */
static bool
scan_repetition(struct span text, struct repetition *out)
{
	*out = (struct repetition){0};
	if (!text.len)
		return false;
	switch (text.ptr[0]) {
	case '*':
	case '+':
	case '?':
		out->min = text.ptr[0] == '+';
		out->len = 1;
		break;
	case '{':
		out->len = scan_braces(text, out);
		break;
	}
	if (out->len && out->len < text.len && text.ptr[out->len] == '?')
		out->len++;
	return out->len > 0;
}

static const char *
refuse_repetition(const struct reader *reader)
{
	switch (reader->atom) {
	case ATOM_NONE:
		return "nothing to repeat";
	case ATOM_REPETITION:
		return is_next(reader, '+') ? "possessive repetition is not supported"
					    : "repetition of a repetition";
	default:
		return NULL;
	}
}

static void
note_repetition(struct reader *reader, const struct repetition *found)
{
	if (reader->atom == ATOM_ASSERTION) {
		if (reader->start == START_ANCHORED)
			reader->start = START_DECIDED;
	} else if (found->min > 0) {
		end_run(reader);
	} else if (reader->atom == ATOM_LITERAL) {
		reader->out->literal_bytes.len--;
		end_run(reader);
	} else if (reader->atom == ATOM_GROUP) {
		return_to(reader, reader->group_mark);
	}
	reader->atom = ATOM_REPETITION;
}

static bool
read_repetition(struct reader *reader, const struct repetition *found)
{
	const char *reason = refuse_repetition(reader);
	if (reason)
		return fail(reader, reader->at, reason);
	if (found->has_count) {
		if (found->min > RE2_REPEAT_MAX || found->max > RE2_REPEAT_MAX)
			return fail(reader, reader->at, "invalid repetition count");
		unsigned count = found->max > found->min ? found->max : found->min;
		if (count > 0)
			reader->atom_repeats *= count;
		if (reader->atom_repeats > RE2_REPEAT_MAX)
			return fail(reader, reader->at,
				    "nested repetition counts multiply to more than 1000");
		if (reader->atom_repeats > reader->repeats)
			reader->repeats = reader->atom_repeats;
	}
	buf_add(&reader->out->pcre, reader->in.ptr + reader->at, found->len);
	reader->at += found->len;
	note_repetition(reader, found);
	return true;
}

/* PCRE2 repeats no bare assertion. */
static bool
put_assertion(struct reader *reader, const char *pcre, size_t len)
{
	struct repetition ahead;
	reader->at += len;
	bool is_repeated = scan_repetition(rest_of(reader), &ahead);
	buf_printf(&reader->out->pcre, is_repeated ? "(?:%s)" : "%s", pcre);
	reader->atom = ATOM_ASSERTION;
	reader->atom_repeats = 1;
	return true;
}

static bool
put_start(struct reader *reader, const char *pcre, size_t len)
{
	if (reader->start == START_OPEN)
		reader->start = START_ANCHORED;
	return put_assertion(reader, pcre, len);
}

/* Groups */

static bool
push_group(struct reader *reader, size_t position)
{
	if (reader->depth == RE2_NESTING_MAX)
		return fail(reader, position, "groups are nested too deeply");
	reader->groups =
	    xgrow(reader->groups, reader->depth, &reader->capacity, sizeof(*reader->groups));
	reader->groups[reader->depth++] = (struct group){.position = position,
							 .flags = reader->flags,
							 .repeats = reader->repeats,
							 .mark = mark_here(reader)};
	reader->atom = ATOM_NONE;
	reader->repeats = 1;
	return true;
}

/* @name consumed; NULL for a group without one */
static bool
push_capture(struct reader *reader, size_t position, char *name)
{
	struct re2_pattern *out = reader->out;
	size_t number = ++out->group_count;
	out->group_names =
	    xgrow(out->group_names, number, &out->group_capacity, sizeof(*out->group_names));
	out->group_names[number] = name;
	buf_add_byte(&out->pcre, '(');
	return push_group(reader, position);
}

/* The name of a group up to '>'; reader->at is at its first character. */
static bool
read_named_group(struct reader *reader, size_t position)
{
	struct span rest = rest_of(reader);
	size_t len = 0;
	while (len < rest.len && is_word(rest.ptr[len]))
		len++;
	if (len == 0 || len == rest.len || rest.ptr[len] != '>')
		return fail(reader, position, "invalid group name");
	for (size_t i = 1; i <= reader->out->group_count; i++) {
		const char *other = reader->out->group_names[i];
		if (other && span_equal(span_text(other), span_first(rest, len)))
			return fail(reader, position, "two groups have the same name");
	}
	reader->at += len + 1;
	return push_capture(reader, position, xmemdup0(rest.ptr, len));
}

static void
emit_flags(struct reader *reader, unsigned on, unsigned off)
{
	struct buf *to = &reader->out->pcre;
	buf_add_text(to, "(?");
	for (int i = 0; flag_letters[i]; i++)
		if (on >> i & 1)
			buf_add_byte(to, flag_letters[i]);
	if (off)
		buf_add_byte(to, '-');
	for (int i = 0; flag_letters[i]; i++)
		if (off >> i & 1)
			buf_add_byte(to, flag_letters[i]);
}

static bool
finish_flags(struct reader *reader, size_t position, unsigned on, unsigned off)
{
	emit_flags(reader, on, off);
	unsigned flags = (reader->flags | on) & ~off;
	if (is_next(reader, ':')) {
		buf_add_byte(&reader->out->pcre, ':');
		reader->at++;
		if (!push_group(reader, position))
			return false;
	} else {
		buf_add_byte(&reader->out->pcre, ')');
		reader->at++;
		reader->atom = ATOM_NONE;
	}
	reader->flags = flags;
	return true;
}

/* "i", "-s", "i-s" and so on up to ')' or ':'; reader->at is behind "(?". */
static bool
read_flags(struct reader *reader, size_t position)
{
	unsigned on = 0, off = 0;
	bool is_off = false, is_empty = true;
	for (; reader->at < reader->in.len; reader->at++) {
		char byte = reader->in.ptr[reader->at];
		if ((byte == ')' || byte == ':') && !(is_off && is_empty))
			return finish_flags(reader, position, on & ~off, off);
		const char *letter = byte ? strchr(flag_letters, byte) : NULL;
		if (letter) {
			*(is_off ? &off : &on) |= 1u << (letter - flag_letters);
			is_empty = false;
		} else if (byte == '-' && !is_off) {
			is_off = true;
			is_empty = true;
		} else {
			break;
		}
	}
	return fail(reader, position, "unknown or incomplete group flags");
}

/* What Perl and PCRE2 have behind '(' and RE2 has not; longer texts first. */
static const struct refusal {
	const char *start, *reason;
} refused_groups[] = {
    {"*", "verbs are not supported"},
    {"?<=", "look-behind is not supported"},
    {"?<!", "look-behind is not supported"},
    {"?<*", "look-behind is not supported"},
    {"?=", "look-ahead is not supported"},
    {"?!", "look-ahead is not supported"},
    {"?*", "look-ahead is not supported"},
    {"?>", "atomic groups are not supported"},
    {"?|", "branch reset groups are not supported"},
    {"?(", "conditionals are not supported"},
    {"?#", "comments are not supported"},
    {"?C", "callouts are not supported"},
    {"?P=", "back-references are not supported"},
    {"?P>", "recursion is not supported"},
    {"?R", "recursion is not supported"},
    {"?&", "recursion is not supported"},
    {"?+", "recursion is not supported"},
    {"?'", "group names are written (?P<name>...)"},
};

static const char *
refuse_group(struct span text)
{
	for (size_t i = 0; i < sizeof(refused_groups) / sizeof(refused_groups[0]); i++)
		if (span_starts(text, span_text(refused_groups[i].start)))
			return refused_groups[i].reason;
	size_t digit = span_starts(text, SPAN("?-")) ? 2 : 1;
	if (span_starts(text, SPAN("?")) && digit < text.len && is_digit(text.ptr[digit]))
		return "recursion is not supported";
	return NULL;
}

static bool
open_group(struct reader *reader)
{
	size_t position = reader->at++;
	struct span rest = rest_of(reader);
	const char *reason = refuse_group(rest);
	if (reason)
		return fail(reader, position, reason);
	if (span_starts(rest, SPAN("?P<")) || span_starts(rest, SPAN("?<"))) {
		reader->at += rest.ptr[1] == 'P' ? 3 : 2;
		return read_named_group(reader, position);
	}
	if (span_starts(rest, SPAN("?"))) {
		reader->at++;
		return read_flags(reader, position);
	}
	return push_capture(reader, position, NULL);
}

static bool
close_group(struct reader *reader)
{
	if (reader->depth == 0)
		return fail(reader, reader->at, "this ) closes no group");
	const struct group *group = &reader->groups[--reader->depth];
	if (group->has_alternatives)
		return_to(reader, group->mark);
	reader->group_mark = group->mark;
	reader->flags = group->flags;
	reader->atom = ATOM_GROUP;
	reader->atom_repeats = reader->repeats;
	if (group->repeats > reader->repeats)
		reader->repeats = group->repeats;
	buf_add_byte(&reader->out->pcre, ')');
	reader->at++;
	return true;
}

static bool
read_alternative(struct reader *reader)
{
	if (reader->depth)
		reader->groups[reader->depth - 1].has_alternatives = true;
	else
		reader->has_alternatives = true;
	reader->atom = ATOM_NONE;
	buf_add_byte(&reader->out->pcre, '|');
	reader->at++;
	return true;
}

/* Characters and their escapes */

/* The code point at reader->at, which is moved behind it; the pattern is valid UTF-8. */
static uint32_t
read_code_point(struct reader *reader)
{
	struct span rest = rest_of(reader);
	size_t len = utf8_length(rest);
	unsigned char lead = (unsigned char)rest.ptr[0];
	uint32_t code = len == 1 ? lead : lead & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)rest.ptr[i] & 0x3f);
	reader->at += len;
	return code;
}

/* @return the value of a digit of `base`, or -1 */
static int
digit_value(char byte, int base)
{
	int value = -1;
	if (is_digit(byte))
		value = byte - '0';
	else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
		value = (byte | 0x20) - 'a' + 10;
	return value < base ? value : -1;
}

/* Up to `most` digits; @return how many there are */
static size_t
read_digits(struct reader *reader, int base, size_t most, uint32_t *code)
{
	size_t len = 0;
	*code = 0;
	while (len < most && reader->at < reader->in.len) {
		int value = digit_value(reader->in.ptr[reader->at], base);
		if (value < 0)
			break;
		if (*code <= 0x10ffff)
			*code = *code * (uint32_t)base + (uint32_t)value;
		reader->at++;
		len++;
	}
	return len;
}

/* "\xHH" or "\x{H...}"; reader->at is behind the 'x'. */
static bool
read_hex(struct reader *reader, size_t position, uint32_t *code)
{
	bool is_valid;
	if (is_next(reader, '{')) {
		reader->at++;
		is_valid = read_digits(reader, 16, SIZE_MAX, code) > 0 && is_next(reader, '}') &&
			   *code <= 0x10ffff;
		reader->at++;
	} else {
		is_valid = read_digits(reader, 16, 2, code) == 2;
	}
	return is_valid || fail(reader, position, "invalid \\x escape");
}

static bool
read_octal(struct reader *reader, size_t position, uint32_t *code)
{
	char first = reader->in.ptr[reader->at];
	if (first != '0' && (reader->at + 1 == reader->in.len ||
			     digit_value(reader->in.ptr[reader->at + 1], 8) < 0))
		return fail(reader, position, "back-references are not supported");
	read_digits(reader, 8, 3, code);
	return true;
}

/* Escapes that RE2 lacks and other engines have. */
static const char *
refuse_escape(char byte)
{
	switch (byte) {
	case '8':
	case '9':
	case 'k':
		return "back-references are not supported";
	case 'g':
		return "back-references and recursion are not supported";
	case 'Z':
		return "\\Z is not supported; write \\z or $";
	case 'G':
	case 'K':
	case 'R':
	case 'X':
	case 'C':
		return "\\G, \\K, \\R, \\X and \\C are not supported";
	default:
		return "unknown escape";
	}
}

/* An escape that stands for one character; reader->at is behind the backslash. */
static bool
read_escaped_char(struct reader *reader, size_t position, uint32_t *code)
{
	static const char letters[] = "afnrtv", codes[] = "\a\f\n\r\t\v";
	char byte = reader->in.ptr[reader->at];
	const char *letter = byte ? strchr(letters, byte) : NULL;
	if (letter) {
		*code = (uint32_t)codes[letter - letters];
		reader->at++;
		return true;
	}
	if (byte >= '0' && byte <= '7')
		return read_octal(reader, position, code);
	if (byte == 'x') {
		reader->at++;
		return read_hex(reader, position, code);
	}
	bool is_itself = (unsigned char)byte < 0x80 && !is_letter(byte) && !is_digit(byte);
	if (!is_itself)
		return fail(reader, position, refuse_escape(byte));
	*code = (uint32_t)byte;
	reader->at++;
	return true;
}

/* General categories, as first letter and the second letters it goes with. */
static const char *const categories[] = {"Ccfos",    "Llmotu", "Mcen", "Ndlo",
					 "Pcdefios", "Sckmo",  "Zlps"};

static bool
is_category(struct span name)
{
	if (name.len == 0 || name.len > 2)
		return false;
	for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++)
		if (categories[i][0] == name.ptr[0])
			return name.len == 1 ||
			       (name.ptr[1] && strchr(categories[i] + 1, name.ptr[1]));
	return false;
}

static bool
is_cased_category(struct span name)
{
	return span_equal(name, SPAN("Lu")) || span_equal(name, SPAN("Ll")) ||
	       span_equal(name, SPAN("Lt"));
}

static bool
emit_property(struct reader *reader, size_t position, bool is_negated, struct span name)
{
	struct buf *to = &reader->out->pcre;
	bool is_script = name.len > 2 && !span_equal(name, SPAN("Any"));
	for (size_t i = 0; i < name.len; i++)
		if (!is_letter(name.ptr[i]) && name.ptr[i] != '_')
			is_script = false;
	if (!is_script && !is_category(name) && !span_equal(name, SPAN("Any")))
		return fail(reader, position, "unknown Unicode property");
	if (is_cased_category(name) && reader->flags & FLAG_I)
		name = SPAN("L&");
	buf_add_text(to, is_negated ? "\\P{" : "\\p{");
	buf_add_text(to, is_script ? "sc:" : "");
	buf_add_span(to, name);
	buf_add_byte(to, '}');
	return true;
}

/* "\pN", "\p{Name}", "\p{^Name}"; reader->at is at the 'p' or 'P'. */
static bool
read_property(struct reader *reader, size_t position)
{
	bool is_negated = is_next(reader, 'P');
	reader->at++;
	struct span rest = rest_of(reader);
	struct span name = span_first(rest, rest.len > 0);
	if (is_next(reader, '{')) {
		const char *end = span_find(rest, '}');
		if (!end)
			return fail(reader, position, "missing } of a Unicode property");
		reader->at++;
		if (is_next(reader, '^')) {
			is_negated = !is_negated;
			reader->at++;
		}
		const char *start = reader->in.ptr + reader->at;
		name = span_of(start, (size_t)(end - start));
		reader->at++;
	}
	reader->at += name.len;
	return emit_property(reader, position, is_negated, name);
}

/* \Q...\E, or to the end of the pattern; reader->at is behind the 'Q'. */
static bool
read_quoted(struct reader *reader)
{
	while (reader->at < reader->in.len) {
		if (span_starts(rest_of(reader), SPAN("\\E"))) {
			reader->at += 2;
			break;
		}
		put_literal(reader, read_code_point(reader));
	}
	return true;
}

static bool
read_escape(struct reader *reader)
{
	size_t position = reader->at++;
	if (reader->at == reader->in.len)
		return fail(reader, position, "the pattern ends in a backslash");
	char byte = reader->in.ptr[reader->at];
	const char text[] = {'\\', byte, '\0'};
	switch (byte) {
	case 'd':
	case 'D':
	case 'w':
	case 'W':
		reader->at++;
		return put_other(reader, text);
	case 's':
	case 'S':
		reader->at++;
		return put_other(reader,
				 byte == 's' ? "[\\t\\n\\f\\r\\x{20}]" : "[^\\t\\n\\f\\r\\x{20}]");
	case 'b':
	case 'B':
	case 'z':
		return put_assertion(reader, text, 1);
	case 'A':
		return put_start(reader, text, 1);
	case 'p':
	case 'P':
		return read_property(reader, position) && put_other(reader, "");
	case 'Q':
		reader->at++;
		return read_quoted(reader);
	}
	uint32_t code;
	return read_escaped_char(reader, position, &code) && put_literal(reader, code);
}

/* Classes */

static const char *const posix_classes[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
					    "digit", "graph", "lower", "print", "punct",
					    "space", "upper", "word",  "xdigit"};

/* "[:name:]" or "[:^name:]"; not a class at all without its ":]". */
static bool
read_posix_class(struct reader *reader, bool *is_found)
{
	struct span rest = rest_of(reader);
	const char *end = rest.len > 2 ? memmem(rest.ptr + 2, rest.len - 2, ":]", 2) : NULL;
	*is_found = end != NULL;
	if (!end)
		return true;
	struct span name = span_of(rest.ptr + 2, (size_t)(end - rest.ptr) - 2);
	struct span whole = span_first(rest, name.len + 4);
	if (span_starts(name, SPAN("^")))
		name = span_from(name, 1);
	for (size_t i = 0; i < sizeof(posix_classes) / sizeof(posix_classes[0]); i++) {
		if (!span_equal(name, span_text(posix_classes[i])))
			continue;
		buf_add_span(&reader->out->pcre, whole);
		reader->at += whole.len;
		return true;
	}
	return fail(reader, reader->at, "unknown character class");
}

/* An escape in a class that stands for more than one character. */
static bool
read_class_escape(struct reader *reader, bool *is_found)
{
	struct buf *to = &reader->out->pcre;
	size_t position = reader->at;
	char byte = position + 1 < reader->in.len ? reader->in.ptr[position + 1] : '\0';
	const char text[] = {'\\', byte, '\0'};
	*is_found = true;
	switch (byte) {
	case 'd':
	case 'D':
	case 'w':
	case 'W':
		buf_add_text(to, text);
		break;
	case 's':
		buf_add_text(to, "\\t\\n\\f\\r\\x{20}");
		break;
	case 'S':
		buf_add_text(to, "\\S\\x{b}");
		break;
	case 'p':
	case 'P':
		reader->at++;
		return read_property(reader, position);
	default:
		*is_found = false;
		return true;
	}
	reader->at += 2;
	return true;
}

static bool
read_class_char(struct reader *reader, size_t class_position, uint32_t *code)
{
	size_t position = reader->at;
	if (position == reader->in.len)
		return fail(reader, class_position, "missing ] of this class");
	if (!is_next(reader, '\\')) {
		*code = read_code_point(reader);
		return true;
	}
	reader->at++;
	if (reader->at == reader->in.len)
		return fail(reader, position, "the pattern ends in a backslash");
	return read_escaped_char(reader, position, code);
}

/* A character or a range. */
static bool
read_class_range(struct reader *reader, size_t class_position)
{
	size_t position = reader->at;
	uint32_t low, high;
	if (!read_class_char(reader, class_position, &low))
		return false;
	emit_char(reader, low);
	struct span rest = rest_of(reader);
	if (rest.len < 2 || rest.ptr[0] != '-' || rest.ptr[1] == ']')
		return true;
	reader->at++;
	if (!read_class_char(reader, class_position, &high))
		return false;
	if (high < low)
		return fail(reader, position, "a range in a class runs backwards");
	buf_add_byte(&reader->out->pcre, '-');
	emit_char(reader, high);
	return true;
}

static bool
read_class(struct reader *reader)
{
	size_t position = reader->at++;
	buf_add_byte(&reader->out->pcre, '[');
	if (is_next(reader, '^')) {
		buf_add_byte(&reader->out->pcre, '^');
		reader->at++;
	}
	for (bool is_first = true; is_first || !is_next(reader, ']'); is_first = false) {
		bool is_found = false;
		if (span_starts(rest_of(reader), SPAN("[:")) &&
		    !read_posix_class(reader, &is_found))
			return false;
		if (!is_found && is_next(reader, '\\') && !read_class_escape(reader, &is_found))
			return false;
		if (!is_found && !read_class_range(reader, position))
			return false;
	}
	reader->at++;
	return put_other(reader, "]");
}

static bool
read_item(struct reader *reader)
{
	struct repetition repetition;
	if (scan_repetition(rest_of(reader), &repetition))
		return read_repetition(reader, &repetition);
	switch (reader->in.ptr[reader->at]) {
	case '(':
		return open_group(reader);
	case ')':
		return close_group(reader);
	case '|':
		return read_alternative(reader);
	case '[':
		return read_class(reader);
	case '\\':
		return read_escape(reader);
	case '.':
		reader->at++;
		return put_other(reader, ".");
	case '$':
		return put_assertion(reader, "$", 1);
	case '^':
		return reader->flags & FLAG_M ? put_assertion(reader, "^", 1)
					      : put_start(reader, "^", 1);
	default:
		return put_literal(reader, read_code_point(reader));
	}
}

static bool
read_all(struct reader *reader)
{
	while (reader->at < reader->in.len)
		if (!read_item(reader))
			return false;
	if (reader->depth)
		return fail(reader, reader->groups[reader->depth - 1].position,
			    "missing ) of this group");
	end_run(reader);
	if (reader->has_alternatives) {
		reader->out->literal_count = 0;
		reader->out->starts_with_literal = false;
	}
	return true;
}

static size_t
first_invalid_byte(struct span text)
{
	size_t at = 0;
	while (at < text.len) {
		size_t len = utf8_length(span_from(text, at));
		if (!utf8_is_valid(span_of(text.ptr + at, len)))
			break;
		at += len;
	}
	return at;
}

bool
re2_translate(struct span pattern, struct re2_pattern *out, struct re2_error *error)
{
	struct reader reader = {.in = pattern, .out = out, .error = error, .repeats = 1};
	*out = (struct re2_pattern){.pcre = BUF_INIT, .literal_bytes = BUF_INIT};
	out->group_names = xgrow(NULL, 0, &out->group_capacity, sizeof(*out->group_names));
	out->group_names[0] = NULL;
	if (!utf8_is_valid(pattern))
		return fail(&reader, first_invalid_byte(pattern), "invalid UTF-8");
	bool is_valid = read_all(&reader);
	free(reader.groups);
	return is_valid;
}

void
re2_pattern_fini(struct re2_pattern *pattern)
{
	for (size_t i = 1; i <= pattern->group_count; i++)
		free(pattern->group_names[i]);
	free(pattern->group_names);
	buf_fini(&pattern->pcre);
	buf_fini(&pattern->literal_bytes);
	*pattern = (struct re2_pattern){0};
}
