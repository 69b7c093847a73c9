#include "mapping/template.h"

#include "base/alloc.h"
#include "mapping/regex.h"

#include <stdlib.h>

/* No capture has this number. */
#define NO_CAPTURE SIZE_MAX
/* Numbers above it are larger than any capture count; keeps arithmetic from overflowing. */
#define NUMBER_MAX 100000000

static void
add_part(struct template *template, enum template_part_type type, struct span text, size_t capture)
{
	if (type == TEMPLATE_LITERAL && text.len == 0)
		return;
	template->parts =
	    xgrow(template->parts, template->count, &template->capacity, sizeof(*template->parts));
	template->parts[template->count++] = (struct template_part){type, text, capture};
	template->references += type != TEMPLATE_LITERAL;
}

static void
add_reference(struct template *template, struct span text, size_t capture)
{
	bool is_dead = capture == NO_CAPTURE;
	add_part(template, is_dead ? TEMPLATE_DEAD : TEMPLATE_CAPTURE, text, capture);
}

/* @return the number that `text` spells in decimal digits, or NO_CAPTURE */
static size_t
parse_number(struct span text)
{
	size_t number = 0;
	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];
		if (byte < '0' || byte > '9' || number >= NUMBER_MAX)
			return NO_CAPTURE;
		number = number * 10 + (size_t)(byte - '0');
	}
	return text.len ? number : NO_CAPTURE;
}

static bool
is_glob_run(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '_' || byte == '$';
}

/* @return bytes of the glob reference that `text` starts with, 0 if its '$' is just text */
static size_t
scan_glob_reference(struct span text, struct span *run)
{
	size_t start = 1 + (text.len > 1 && text.ptr[1] == '{');
	size_t end = start;
	while (end < text.len && is_glob_run(text.ptr[end]))
		end++;
	*run = span_of(text.ptr + start, end - start);
	if (end == start)
		return 0;
	return end + (end < text.len && text.ptr[end] == '}');
}

bool
template_parse_glob(struct span text, size_t star_count, struct template *out)
{
	*out = (struct template){0};
	size_t literal = 0, at = 0;
	while (at < text.len) {
		struct span run;
		size_t len = 0;
		if (text.ptr[at] == '$')
			len = scan_glob_reference(span_from(text, at), &run);
		if (!len) {
			at++;
			continue;
		}
		size_t number = parse_number(run);
		if (number < 1 || number > star_count)
			number = NO_CAPTURE;
		add_part(out, TEMPLATE_LITERAL, span_of(text.ptr + literal, at - literal), 0);
		add_reference(out, span_of(text.ptr + at, len), number);
		literal = at += len;
	}
	add_part(out, TEMPLATE_LITERAL, span_from(text, literal), 0);
	return out->references <= TEMPLATE_REFERENCES_MAX;
}

static size_t
word_length(struct span text)
{
	size_t len = 0;
	while (len < text.len && text.ptr[len] != '$' && is_glob_run(text.ptr[len]))
		len++;
	if (len < text.len && (unsigned char)text.ptr[len] >= 0x80)
		return regex_word_length(text);
	return len;
}

/* @return bytes of the regex reference that `text` starts with, 0 if its '$' is just text */
static size_t
scan_regex_reference(struct span text, struct span *name)
{
	bool has_brace = text.len > 1 && text.ptr[1] == '{';
	struct span rest = span_from(text, has_brace ? 2 : 1);
	*name = span_first(rest, word_length(rest));
	if (name->len == 0)
		return 0;
	if (!has_brace)
		return 1 + name->len;
	bool is_closed = name->len < rest.len && rest.ptr[name->len] == '}';
	return is_closed ? 3 + name->len : 0;
}

static size_t
find_group(struct span name, size_t group_count, char *const *names)
{
	bool has_zero = name.len > 1 && name.ptr[0] == '0';
	size_t number = has_zero ? NO_CAPTURE : parse_number(name);
	if (number != NO_CAPTURE)
		return number <= group_count ? number : NO_CAPTURE;
	for (size_t i = 1; i <= group_count; i++)
		if (names[i] && span_equal(span_text(names[i]), name))
			return i;
	return NO_CAPTURE;
}

bool
template_parse_regex(struct span text, size_t group_count, char *const *names, struct template *out)
{
	*out = (struct template){0};
	size_t literal = 0, at = 0;
	while (at < text.len) {
		struct span name = {0}, rest = span_from(text, at);
		size_t len = rest.ptr[0] == '$' ? scan_regex_reference(rest, &name) : 0;
		if (len) {
			add_part(out, TEMPLATE_LITERAL, span_of(text.ptr + literal, at - literal),
				 0);
			add_reference(out, span_first(rest, len),
				      find_group(name, group_count, names));
			literal = at += len;
		} else if (span_starts(rest, SPAN("$$"))) {
			/* The first '$' is rendered with what stands before it, the second skipped.
			 */
			add_part(out, TEMPLATE_LITERAL,
				 span_of(text.ptr + literal, at + 1 - literal), 0);
			literal = at += 2;
		} else {
			at++;
		}
	}
	add_part(out, TEMPLATE_LITERAL, span_from(text, literal), 0);
	return out->references <= TEMPLATE_REFERENCES_MAX;
}

void
template_fini(struct template *template)
{
	free(template->parts);
	*template = (struct template){0};
}

bool
template_is_always_empty(const struct template *template)
{
	for (size_t i = 0; i < template->count; i++)
		if (template->parts[i].type != TEMPLATE_DEAD)
			return false;
	return true;
}

void
template_render(const struct template *template, const struct span *captures, struct buf *out)
{
	for (size_t i = 0; i < template->count; i++) {
		const struct template_part *part = &template->parts[i];
		if (part->type == TEMPLATE_LITERAL)
			buf_add_span(out, part->text);
		else if (part->type == TEMPLATE_CAPTURE)
			buf_add_span(out, captures[part->capture]);
	}
}
