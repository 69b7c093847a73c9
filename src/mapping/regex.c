#include "mapping/regex.h"

#include "base/alloc.h"
#include "mapping/prefilter.h"
#include "mapping/re2.h"
#include "mapping/rule.h"

#include <stdatomic.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* How deep the interpreter may nest backtracking points, and what it may allocate for them. */
#define DEPTH_LIMIT REGEX_MATCH_LIMIT
#define HEAP_LIMIT_KIB 4096
/* Compiled code keeps its backtracking points on this stack. */
#define JIT_STACK_MIN (32u << 10)
#define JIT_STACK_MAX (1u << 20)
#define WORD_BITS 64

#define COMPILE_OPTIONS \
	(PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_BACKSLASH_C)

struct regex {
	uint32_t rule;
	pcre2_code *code;
	struct re2_pattern pattern; /* kept for its literals and group names */
	_Atomic uint64_t limit_hits;
};

struct regex_set {
	struct regex *regexes;
	size_t count, capacity;
	unsigned *kinds; /* of each regex */
	size_t kinds_capacity;
	struct prefilter *prefilter;
	uint64_t *takes[EVENT_KINDS]; /* bit n: regex n takes the kind */
	size_t words;                 /* of each takes[] */
	size_t groups_max;
	pcre2_compile_context *context;
};

struct regex_scratch {
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
	pcre2_match_data *data; /* room for `groups` */
	struct span *captures;  /* groups + 1 */
	size_t groups;
	uint64_t *words;
	size_t word_count;
};

struct regex_set *
regex_set_new(void)
{
	struct regex_set *set = xcalloc(1, sizeof(*set));
	set->prefilter = prefilter_new();
	set->context = pcre2_compile_context_create(NULL);
	CHECK(set->context);
	pcre2_set_newline(set->context, PCRE2_NEWLINE_LF);
	pcre2_set_parens_nest_limit(set->context, RE2_NESTING_MAX);
	return set;
}

void
regex_set_free(struct regex_set **set)
{
	struct regex_set *old = *set;
	*set = NULL;
	if (!old)
		return;
	for (size_t i = 0; i < old->count; i++) {
		pcre2_code_free(old->regexes[i].code);
		re2_pattern_fini(&old->regexes[i].pattern);
	}
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		free(old->takes[kind]);
	free(old->regexes);
	free(old->kinds);
	prefilter_free(&old->prefilter);
	pcre2_compile_context_free(old->context);
	free(old);
}

static pcre2_code *
compile(const struct regex_set *set, const struct re2_pattern *pattern, char *reason,
	size_t reason_size)
{
	int error;
	PCRE2_SIZE offset;
	struct span text = buf_span(&pattern->pcre);
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, COMPILE_OPTIONS, &error,
					 &offset, set->context);
	if (!code) {
		pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, reason_size);
		return NULL;
	}
	/* Without it (no memory for code, an odd CPU) the interpreter does the same work. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

static void
append(struct regex_set *set, struct re2_pattern pattern, pcre2_code *code, unsigned kinds,
       uint32_t rule)
{
	size_t number = set->count;
	set->regexes = xgrow(set->regexes, number, &set->capacity, sizeof(*set->regexes));
	set->kinds = xgrow(set->kinds, number, &set->kinds_capacity, sizeof(*set->kinds));
	set->kinds[number] = kinds;
	struct regex *regex = &set->regexes[set->count++];
	regex->rule = rule;
	regex->code = code;
	regex->pattern = pattern;
	atomic_init(&regex->limit_hits, 0);
	if (pattern.group_count > set->groups_max)
		set->groups_max = pattern.group_count;
}

bool
regex_set_add(struct regex_set *set, struct span pattern, unsigned kinds, uint32_t rule,
	      struct diag *diag, struct diag_place place, const char *key)
{
	struct re2_pattern translated;
	struct re2_error error;
	if (!re2_translate(pattern, &translated, &error)) {
		diag_error(diag, place, key, "byte %zu of the regex: %s", error.position + 1,
			   error.reason);
		re2_pattern_fini(&translated);
		return false;
	}
	char reason[256];
	pcre2_code *code = compile(set, &translated, reason, sizeof(reason));
	if (!code) {
		diag_error(diag, place, key, "the regex does not compile: %s", reason);
		re2_pattern_fini(&translated);
		return false;
	}
	append(set, translated, code, kinds, rule);
	return true;
}

void
regex_set_build(struct regex_set *set)
{
	set->words = (set->count + WORD_BITS - 1) / WORD_BITS;
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		set->takes[kind] = xcalloc(set->words, sizeof(*set->takes[kind]));
	for (size_t i = 0; i < set->count; i++) {
		const struct re2_pattern *pattern = &set->regexes[i].pattern;
		struct span literals[RE2_LITERALS_MAX];
		for (size_t k = 0; k < pattern->literal_count; k++)
			literals[k] = re2_literal_text(pattern, k);
		prefilter_add(set->prefilter, literals, pattern->literal_count,
			      pattern->starts_with_literal);
		for (int kind = 0; kind < EVENT_KINDS; kind++)
			if (set->kinds[i] & KIND_BIT(kind))
				set->takes[kind][i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
	}
	prefilter_build(set->prefilter);
}

size_t
regex_set_count(const struct regex_set *set)
{
	return set->count;
}

size_t
regex_set_groups(const struct regex_set *set, size_t regex, char *const **names)
{
	*names = set->regexes[regex].pattern.group_names;
	return set->regexes[regex].pattern.group_count;
}

uint64_t
regex_set_limit_hits(const struct regex_set *set, size_t regex, uint32_t *rule)
{
	*rule = set->regexes[regex].rule;
	return atomic_load_explicit(&set->regexes[regex].limit_hits, memory_order_relaxed);
}

struct regex_scratch *
regex_scratch_new(void)
{
	struct regex_scratch *scratch = xcalloc(1, sizeof(*scratch));
	scratch->context = pcre2_match_context_create(NULL);
	CHECK(scratch->context);
	pcre2_set_match_limit(scratch->context, REGEX_MATCH_LIMIT);
	pcre2_set_depth_limit(scratch->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(scratch->context, HEAP_LIMIT_KIB);
	/* NULL where there is no JIT. */
	scratch->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (scratch->stack)
		pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
	return scratch;
}

void
regex_scratch_free(struct regex_scratch **scratch)
{
	struct regex_scratch *old = *scratch;
	*scratch = NULL;
	if (!old)
		return;
	pcre2_match_data_free(old->data);
	pcre2_match_context_free(old->context);
	pcre2_jit_stack_free(old->stack);
	free(old->captures);
	free(old->words);
	free(old);
}

static void
fit_scratch(struct regex_scratch *scratch, const struct regex_set *set)
{
	if (!scratch->data || scratch->groups < set->groups_max) {
		pcre2_match_data_free(scratch->data);
		scratch->data = pcre2_match_data_create((uint32_t)set->groups_max + 1, NULL);
		CHECK(scratch->data);
		scratch->captures = xreallocarray(scratch->captures, set->groups_max + 1,
						  sizeof(*scratch->captures));
		scratch->groups = set->groups_max;
	}
	size_t words = prefilter_words(set->prefilter);
	if (scratch->word_count < words) {
		scratch->words = xreallocarray(scratch->words, words, sizeof(*scratch->words));
		scratch->word_count = words;
	}
}

static void
write_match(const struct regex *regex, struct regex_scratch *scratch, struct span name,
	    struct regex_match *out)
{
	const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(scratch->data);
	size_t groups = regex->pattern.group_count;
	for (size_t i = 0; i <= groups; i++) {
		PCRE2_SIZE start = offsets[2 * i], end = offsets[2 * i + 1];
		scratch->captures[i] = start == PCRE2_UNSET
					   ? (struct span){NULL, 0}
					   : span_of(name.ptr + start, end - start);
	}
	*out = (struct regex_match){regex->rule, groups, scratch->captures};
}

static bool
run(struct regex *regex, struct regex_scratch *scratch, struct span name)
{
	int groups = pcre2_match(regex->code, (PCRE2_SPTR)name.ptr, name.len, 0, PCRE2_NO_UTF_CHECK,
				 scratch->data, scratch->context);
	if (groups < 0 && groups != PCRE2_ERROR_NOMATCH)
		atomic_fetch_add_explicit(&regex->limit_hits, 1, memory_order_relaxed);
	return groups >= 0;
}

bool
regex_set_find(const struct regex_set *set, struct regex_scratch *scratch, enum event_kind kind,
	       struct span name, struct regex_match *out)
{
	if (set->count == 0)
		return false;
	fit_scratch(scratch, set);
	prefilter_find(set->prefilter, name, scratch->words);
	for (size_t word = 0; word < set->words; word++) {
		uint64_t left = scratch->words[word] & set->takes[kind][word];
		for (; left; left &= left - 1) {
			size_t number = word * WORD_BITS + (size_t)__builtin_ctzll(left);
			struct regex *regex = &set->regexes[number];
			if (!run(regex, scratch, name))
				continue;
			write_match(regex, scratch, name, out);
			return true;
		}
	}
	return false;
}

/* Letters and digits as Unicode has them are PCRE2's knowledge; used only while rules are loaded.
 */
size_t
regex_word_length(struct span text)
{
	int error;
	PCRE2_SIZE offset;
	static const char word[] = "\\A[\\p{L}\\p{Nd}_]+";
	pcre2_code *code =
	    pcre2_compile((PCRE2_SPTR)word, sizeof(word) - 1, PCRE2_UTF, &error, &offset, NULL);
	CHECK(code);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	CHECK(data);
	int found = pcre2_match(code, (PCRE2_SPTR)text.ptr, text.len, 0, 0, data, NULL);
	size_t len = found >= 0 ? pcre2_get_ovector_pointer(data)[1] : 0;
	pcre2_match_data_free(data);
	pcre2_code_free(code);
	return len;
}
