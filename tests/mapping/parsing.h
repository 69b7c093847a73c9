/* Mapping files as text, and what is said of them. */
#ifndef TESTS_MAPPING_PARSING_H
#define TESTS_MAPPING_PARSING_H

#include "test.h"

#include "base/buf.h"
#include "mapping/config.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static inline void
render_messages(struct buf *out, const struct diag *diag)
{
	for (size_t i = 0; i < diag->count; i++)
		buf_printf(out, "%s%s%s", i ? "\n" : "",
			   diag->messages[i].is_error ? "" : "warning: ", diag->messages[i].text);
}

/* Parses `text` and compares all messages; @return the rule set, NULL where there were errors */
static inline struct rule_set *
check_parse(struct span text, const char *want)
{
	struct diag diag = DIAG_INIT;
	struct buf out = BUF_INIT;
	struct rule_set *set = mapping_config_parse("f", text, &diag);
	render_messages(&out, &diag);
	if (strcmp(buf_text(&out), want) != 0)
		fail_msg("for \"%.300s\"\ngot:\n%s\nwant:\n%s", text.ptr, buf_text(&out), want);
	assert_int_equal(!set, diag.errors > 0);
	buf_fini(&out);
	diag_fini(&diag);
	return set;
}

static inline struct rule_set *
parse_valid(const char *text)
{
	return check_parse(span_text(text), "");
}

struct example {
	struct span text;
	const char *want;
};

static inline void
check_all(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rule_set *set = check_parse(examples[i].text, examples[i].want);
		rule_set_free(&set);
		assert_null(set);
	}
}

#define CHECK_ALL(examples) check_all(examples, COUNT_OF(examples))

#endif
