/*
 * base/alloc - allocation that does not fail.
 *
 * Running out of memory ends the process with a message. Whatever a peer can choose (lines, labels,
 * connections, series) is capped before it gets here.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/**
 * Tells the C library to free memory in small steps and to give large blocks back at once. Call before
 * threads start: its ways otherwise hold all threads up for a tenth of a second after a million frees.
 */
void alloc_init(void);

/** @return `size` bytes, owned by the caller, freed with free(); never NULL */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));

/** @return `count * size` zeroed bytes; the product is checked for overflow */
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/** Like realloc for `count` objects of `size` bytes; consumes `old`, never returns NULL. */
void *xreallocarray(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/** @return `count * size` zeroed bytes aligned to `alignment`, a power of two; freed with free() */
void *xaligned_calloc(size_t alignment, size_t count, size_t size)
    __attribute__((malloc, returns_nonnull));

/* Below this many bytes huge pages would cost more memory than they save time. */
#define XPAGES_HUGE_FROM ((size_t)4 << 20)

/**
 * Takes zeroed pages straight from the kernel: untouched ones cost nothing, and areas of
 * XPAGES_HUGE_FROM use huge pages where there are any, for what is read all over the place.
 *
 * @size bytes, more than 0
 * @return owned by the caller, freed with xpages_free() and the same size
 */
void *xpages_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void xpages_free(void *pages, size_t size);
/** As xpages_alloc(), without huge pages. @alignment of the address, a power of two of whole pages */
void *xpages_alloc_aligned(size_t size, size_t alignment) __attribute__((malloc, returns_nonnull));

/** @return a copy of `len` bytes with a NUL behind them */
char *xmemdup0(const void *bytes, size_t len) __attribute__((malloc, returns_nonnull));

/** @return a copy of a NUL-terminated text */
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));

/**
 * Makes room for one more object in a growing array.
 *
 * @items    the array, may be NULL when *capacity is 0; consumed
 * @count    objects in use
 * @capacity objects allocated; updated
 * @size     bytes of one object
 * @return   the array, with capacity for at least count + 1
 */
void *xgrow(void *items, size_t count, size_t *capacity, size_t size);

#endif
