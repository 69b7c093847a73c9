#include "base/alloc.h"

#include "base/check.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Blocks of this size come from the kernel and go back to it. */
#define LARGE_BLOCK (1 << 20)
/* Free memory at the end of the heap that is kept. */
#define HEAP_SLACK (1 << 20)

void
alloc_init(void)
{
	/* Free blocks join their neighbours at once, not a hundred thousand of them some time later. */
	mallopt(M_MXFAST, 0);
	/* The heap shrinks a little at a time, not by half of all there was. */
	mallopt(M_TRIM_THRESHOLD, HEAP_SLACK);
	/* Fixed: left alone it follows the largest block that was freed, and tables stay in the heap. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
}

static _Noreturn void
out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: %zu bytes wanted\n", size);
	abort();
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory(size);
	return p;
}

void *
xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory(count * size);
	return p;
}

void *
xreallocarray(void *old, size_t count, size_t size)
{
	void *p = reallocarray(old, count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory(count * size);
	return p;
}

void *
xaligned_calloc(size_t alignment, size_t count, size_t size)
{
	CHECK(size == 0 || count <= SIZE_MAX / 2 / size);
	size_t bytes = (count * size + alignment - 1) / alignment * alignment;
	void *p = aligned_alloc(alignment, bytes ? bytes : alignment);
	if (!p)
		out_of_memory(bytes);
	return memset(p, 0, bytes);
}

static void *
map_pages(size_t size)
{
	void *pages =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		out_of_memory(size);
	return pages;
}

void *
xpages_alloc(size_t size)
{
	void *pages = map_pages(size);
	/* Advice only: a kernel without huge pages refuses it, and nothing is lost. */
	if (size >= XPAGES_HUGE_FROM)
		(void)madvise(pages, size, MADV_HUGEPAGE);
	return pages;
}

void *
xpages_alloc_aligned(size_t size, size_t alignment)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t whole = (size + page - 1) / page * page;
	char *pages = map_pages(whole + alignment);
	size_t before = -(uintptr_t)pages & (alignment - 1);
	if (before)
		xpages_free(pages, before);
	xpages_free(pages + before + whole, alignment - before);
	return pages + before;
}

void
xpages_free(void *pages, size_t size)
{
	CHECK(munmap(pages, size) == 0);
}

char *
xmemdup0(const void *bytes, size_t len)
{
	char *p = xmalloc(len + 1);
	if (len)
		memcpy(p, bytes, len);
	p[len] = '\0';
	return p;
}

char *
xstrdup(const char *text)
{
	return xmemdup0(text, strlen(text));
}

void *
xgrow(void *items, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity ? *capacity * 2 : 8;
	return xreallocarray(items, *capacity, size);
}
