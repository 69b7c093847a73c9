#include "push/symbols.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/protobuf.h"
#include "push/fields.h"

#include <stdlib.h>

struct key {
	const struct symbols *symbols;
	struct span text;
};

static void
add_text(struct symbols *symbols, struct span text)
{
	protobuf_add_bytes(&symbols->fields, REQUEST2_SYMBOLS, text);
	symbols->items =
	    xgrow(symbols->items, symbols->count, &symbols->capacity, sizeof(*symbols->items));
	symbols->items[symbols->count++] =
	    (struct symbol){symbols->fields.len - text.len, text.len};
}

void
symbols_init(struct symbols *symbols)
{
	*symbols = (struct symbols){.fields = BUF_INIT, .index = INDEX_INIT};
	add_text(symbols, SPAN(""));
}

void
symbols_fini(struct symbols *symbols)
{
	buf_fini(&symbols->fields);
	free(symbols->items);
	index_fini(&symbols->index);
}

void
symbols_reset(struct symbols *symbols)
{
	buf_reset(&symbols->fields);
	symbols->count = 0;
	index_fini(&symbols->index);
	add_text(symbols, SPAN(""));
}

static bool
is_equal(const void *item, const void *wanted)
{
	const struct key *key = wanted;
	const struct symbol *symbol = &key->symbols->items[(uintptr_t)item];
	return span_equal(span_of(key->symbols->fields.ptr + symbol->at, symbol->len), key->text);
}

uint32_t
symbols_add(struct symbols *symbols, struct span text)
{
	if (!text.len)
		return 0;
	struct key key = {symbols, text};
	uint64_t hash = hash_bytes64(text.ptr, text.len);
	uintptr_t number = (uintptr_t)index_find(&symbols->index, hash, is_equal, &key);
	if (number)
		return (uint32_t)number;
	number = symbols->count;
	add_text(symbols, text);
	index_add(&symbols->index, hash, (void *)number);
	return (uint32_t)number;
}
