#include "app/token.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>

#define SCHEME SPAN("Bearer ")

/* Cuts the next line off that is not blank. @return false at the end */
static bool
next_token(struct span *rest, struct span *token)
{
	token->len = 0;
	while (!token->len && rest->len) {
		const char *end = span_find(*rest, '\n');
		size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
		*token = span_trim(span_first(*rest, len));
		*rest = span_from(*rest, len + (end ? 1 : 0));
	}
	return token->len > 0;
}

/* @return what is wrong with a token, or NULL */
static const char *
find_fault(struct span token)
{
	for (size_t i = 0; i < token.len; i++) {
		if (token.ptr[i] <= ' ' || token.ptr[i] >= 0x7f)
			return "a token may only hold visible ASCII characters";
	}
	return token.len < TOKEN_BYTES_MIN
		   ? "a token needs at least 16 characters; make one with: openssl rand -hex 32"
		   : NULL;
}

static bool
check_tokens(const char *path, struct span tokens, struct buf *error)
{
	struct span token;
	const char *fault = "there is no token in it; make one with: openssl rand -hex 32";
	while (next_token(&tokens, &token)) {
		fault = find_fault(token);
		if (fault)
			break;
	}
	if (fault)
		buf_printf(error, "%s: %s", path, fault);
	return !fault;
}

/* @tokens gets the file's content. @return whether it is good */
static bool
read_tokens(const char *path, struct buf *tokens, struct buf *error)
{
	int fault = file_read(path, O_NONBLOCK, TOKEN_FILE_BYTES_MAX, tokens);
	if (fault == EFBIG)
		buf_printf(error, "%s: larger than %d bytes", path, TOKEN_FILE_BYTES_MAX);
	else if (fault)
		buf_printf(error, "%s: cannot read: %s", path, strerror(fault));
	return !fault && check_tokens(path, buf_span(tokens), error);
}

/* Takes as long for any `given` of the same length. */
static bool
is_same(struct span token, struct span given)
{
	volatile unsigned char differences = token.len != given.len;
	for (size_t i = 0; i < given.len; i++)
		differences |= (unsigned char)(token.ptr[i % token.len] ^ given.ptr[i]);
	return !differences;
}

static bool
holds(struct span tokens, struct span given)
{
	struct span token;
	bool found = false;
	while (next_token(&tokens, &token))
		found |= is_same(token, given);
	return found;
}

bool
token_file_check(const char *path, struct buf *error)
{
	struct buf tokens = BUF_INIT;
	bool is_good = read_tokens(path, &tokens, error);
	buf_fini(&tokens);
	return is_good;
}

enum token_verdict
token_check(const char *path, struct span authorization, struct buf *error)
{
	struct buf tokens = BUF_INIT;
	enum token_verdict verdict = TOKEN_MISSING;
	bool is_bearer = authorization.len > SCHEME.len &&
			 span_equal_ignoring_case(span_first(authorization, SCHEME.len), SCHEME);
	if (!read_tokens(path, &tokens, error))
		verdict = TOKEN_NO_FILE;
	else if (is_bearer)
		verdict = holds(buf_span(&tokens), span_trim(span_from(authorization, SCHEME.len)))
			      ? TOKEN_GOOD
			      : TOKEN_WRONG;
	buf_fini(&tokens);
	return verdict;
}
