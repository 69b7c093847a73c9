/*
 * The first byte is the number of captures, the rest a template. Parsed either way, its parts must
 * cover the text without gap or overlap, and only existing captures may be referred to.
 */
#include "base/check.h"
#include "mapping/template.h"

#include <stdint.h>

#define CAPTURES_MAX 15

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_run(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '_' || byte == '$';
}

/* In a regex template "$$" is rendered as its first '$'; the second belongs to no part. */
static void
check_parts(const struct template *template, struct span text, size_t captures, bool is_regex)
{
	const char *at = text.ptr;
	for (size_t i = 0; i < template->count; i++) {
		const struct template_part *part = &template->parts[i];
		bool is_after_dollar =
		    is_regex && i > 0 && at[-1] == '$' && part->text.ptr == at + 1;
		CHECK(part->text.ptr == at || (is_after_dollar && *at == '$'));
		CHECK(part->text.len > 0);
		at = part->text.ptr + part->text.len;
		if (part->type == TEMPLATE_LITERAL)
			continue;
		CHECK(part->text.len > 1 && part->text.ptr[0] == '$');
		if (part->type == TEMPLATE_CAPTURE)
			CHECK(part->capture <= captures && (is_regex || part->capture > 0));
	}
	const char *end = text.ptr + text.len;
	CHECK(at == end || (is_regex && at + 1 == end && at[-1] == '$' && *at == '$'));
}

/* What is left as text in a glob's template is no reference. */
static void
check_glob_literals(const struct template *template, struct span text)
{
	for (size_t i = 0; i < template->count; i++) {
		struct span literal = template->parts[i].text;
		if (template->parts[i].type != TEMPLATE_LITERAL)
			continue;
		for (size_t k = 0; k < literal.len; k++) {
			const char *next = literal.ptr + k + 1;
			if (literal.ptr[k] == '$' && next < text.ptr + text.len)
				CHECK(!is_run(*next));
		}
	}
}

static void
check_rendering(const struct template *template, const struct span *captures)
{
	struct buf got = BUF_INIT;
	template_render(template, captures, &got);
	size_t len = 0;
	for (size_t i = 0; i < template->count; i++) {
		const struct template_part *part = &template->parts[i];
		if (part->type == TEMPLATE_DEAD)
			continue;
		struct span want =
		    part->type == TEMPLATE_LITERAL ? part->text : captures[part->capture];
		CHECK(got.len - len >= want.len);
		CHECK(span_equal(span_of(buf_span(&got).ptr + len, want.len), want));
		len += want.len;
	}
	CHECK(len == got.len);
	CHECK(!template_is_always_empty(template) || len == 0);
	buf_fini(&got);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	static char name[] = "name";
	char *names[CAPTURES_MAX + 1] = {NULL, NULL, name};
	struct span captures[CAPTURES_MAX + 1];
	for (size_t i = 0; i <= CAPTURES_MAX; i++)
		captures[i] = span_of("$1%s$1%s$1%s$1%s", i + 1);
	size_t count = data[0] % (CAPTURES_MAX + 1);
	struct span text = {(const char *)data + 1, size - 1};
	struct template template;
	bool fits = template_parse_glob(text, count, &template);
	CHECK(fits == (template.references <= TEMPLATE_REFERENCES_MAX));
	check_parts(&template, text, count, false);
	check_glob_literals(&template, text);
	check_rendering(&template, captures);
	template_fini(&template);
	fits = template_parse_regex(text, count, names, &template);
	CHECK(fits == (template.references <= TEMPLATE_REFERENCES_MAX));
	check_parts(&template, text, count, true);
	check_rendering(&template, captures);
	template_fini(&template);
	return 0;
}
