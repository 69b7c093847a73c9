/* What every unit test includes: cmocka with the headers it wants before it. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"

/* A span against a literal text, with both shown on failure. */
#define assert_span_equal(got, want)                                                    \
	do {                                                                            \
		struct span span_ = (got);                                              \
		const char *text_ = (want);                                             \
		if (!span_equal(span_, span_text(text_)))                               \
			fail_msg("got \"%.*s\", want \"%s\"", SPAN_ARGS(span_), text_); \
	} while (0)

#endif
