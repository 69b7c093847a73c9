/*
 * base/check - assertions that stay on in release builds, and attributes for contracts.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* The caller must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* printf-style checking: FMT and ARGS are 1-based argument positions. */
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/*
 * In the place of `inline` for functions that do nothing but prefetch: GCC takes them for functions
 * without effect and leaves their calls out, unless they are in line early.
 */
#define PREFETCHING inline __attribute__((always_inline))

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/**
 * Ends the process with the place and the text of a broken assumption. For our own bugs only:
 * nothing a peer or an operator can write may lead here.
 */
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (UNLIKELY(!(cond)))                                                             \
			check_failed(__FILE__, __LINE__, #cond);                                   \
	} while (0)

/** Prints "FILE:LINE: check failed: TEXT" on stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *text);

#endif
