/*
 * base/poison - tells AddressSanitizer which bytes nobody may touch, in memory that does not come from
 * malloc(). Without the sanitizer it costs nothing.
 */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static inline void
poison(const void *bytes, size_t size)
{
#ifdef __SANITIZE_ADDRESS__
	ASAN_POISON_MEMORY_REGION(bytes, size);
#else
	(void)bytes, (void)size;
#endif
}

static inline void
unpoison(const void *bytes, size_t size)
{
#ifdef __SANITIZE_ADDRESS__
	ASAN_UNPOISON_MEMORY_REGION(bytes, size);
#else
	(void)bytes, (void)size;
#endif
}

#endif
