#include "yaml/ynode.h"

#include "base/alloc.h"
#include "base/excerpt.h"
#include "base/utf8.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#define CHUNK_SIZE 65536u
#define CORE_TAG "tag:yaml.org,2002:"

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

struct ydocument {
	const struct ynode *root;
	struct chunk *chunks;
};

struct anchor {
	struct span name;
	struct ynode *node;
};

/* A list or map whose end has not come yet. */
struct frame {
	struct ynode *node;
	size_t first; /* of its children in builder.children */
};

struct builder {
	const char *path;
	struct span text;
	struct diag *diag;
	struct ydocument *document;
	yaml_parser_t parser;
	void *anchors;                 /* tsearch tree of struct anchor */
	size_t expanded;               /* nodes so far, those behind aliases and merges included */
	const struct ynode **children; /* of all open frames; maps take turns of key and value */
	size_t child_count, child_capacity;
	struct frame frames[YNODE_DEPTH_MAX];
	size_t depth;
};

static void *
take_memory(struct ydocument *document, size_t size)
{
	struct chunk *chunk = document->chunks;
	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
		chunk = xmalloc(sizeof(*chunk) + room);
		*chunk = (struct chunk){.next = document->chunks, .size = room};
		document->chunks = chunk;
	}
	void *memory = chunk->bytes + chunk->used;
	chunk->used += size;
	return memory;
}

static struct span
copy_text(struct ydocument *document, const char *text, size_t len)
{
	char *copy = take_memory(document, len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return span_of(copy, len);
}

static struct diag_place
place_of_mark(const struct builder *builder, const yaml_mark_t *mark)
{
	return (struct diag_place){builder->path, (unsigned)mark->line + 1,
				   (unsigned)mark->column + 1};
}

/* The place of the byte at `offset`, for faults that libyaml finds before it counts lines. */
static struct diag_place
place_of_offset(const struct builder *builder, size_t offset)
{
	struct diag_place place = {builder->path, 1, 1};
	for (size_t i = 0; i < offset && i < builder->text.len;) {
		if (builder->text.ptr[i] == '\n') {
			place.line++;
			place.column = 0;
		}
		place.column++;
		i += utf8_length(span_from(builder->text, i));
	}
	return place;
}

static bool
mark_is_at_tab(const struct builder *builder, const yaml_mark_t *mark)
{
	size_t offset = 0;
	for (size_t i = 0; i < mark->index && offset < builder->text.len; i++)
		offset += utf8_length(span_from(builder->text, offset));
	return offset < builder->text.len && builder->text.ptr[offset] == '\t';
}

static void
report_parser_error(const struct builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;
	if (parser->error == YAML_READER_ERROR) {
		diag_error(builder->diag, place_of_offset(builder, parser->problem_offset), NULL,
			   "%s (U+%04X)", parser->problem, (unsigned)parser->problem_value);
		return;
	}
	struct diag_place place = place_of_mark(builder, &parser->problem_mark);
	if (parser->error == YAML_MEMORY_ERROR)
		diag_error(builder->diag, place, NULL, "out of memory");
	else if (parser->error == YAML_SCANNER_ERROR &&
		 mark_is_at_tab(builder, &parser->problem_mark))
		diag_error(builder->diag, place, NULL, "a tab cannot indent; use spaces");
	else if (parser->context && parser->context_mark.line < parser->problem_mark.line)
		diag_error(builder->diag, place, NULL, "%s %s that starts in line %zu",
			   parser->problem, parser->context, parser->context_mark.line + 1);
	else
		diag_error(builder->diag, place, NULL, "%s%s%s", parser->problem,
			   parser->context ? " " : "", parser->context ? parser->context : "");
}

static bool
count_nodes(struct builder *builder, const yaml_event_t *event, size_t nodes)
{
	builder->expanded += nodes;
	if (builder->expanded <= YNODE_COUNT_MAX)
		return true;
	diag_error(builder->diag, place_of_mark(builder, &event->start_mark), NULL,
		   "more than %u nodes after expanding aliases", YNODE_COUNT_MAX);
	return false;
}

static bool
is_core_tag(const char *tag, const char *word)
{
	return strncmp(tag, CORE_TAG, sizeof(CORE_TAG) - 1) == 0 &&
	       strcmp(tag + sizeof(CORE_TAG) - 1, word) == 0;
}

static bool
check_tag(const struct builder *builder, const yaml_event_t *event, const char *tag, bool is_known)
{
	if (!tag || strcmp(tag, "!") == 0 || is_known)
		return true;
	char text[EXCERPT_SIZE];
	diag_error(builder->diag, place_of_mark(builder, &event->start_mark), NULL,
		   "unknown tag %s", excerpt_quote(span_text(tag), text));
	return false;
}

static bool
is_null_word(struct span text)
{
	return text.len == 0 || span_equal(text, SPAN("~")) || span_equal(text, SPAN("null")) ||
	       span_equal(text, SPAN("Null")) || span_equal(text, SPAN("NULL"));
}

static struct ynode *
new_node(struct builder *builder, const yaml_event_t *event, enum ynode_type type)
{
	if (!count_nodes(builder, event, 1))
		return NULL;
	struct ynode *node = take_memory(builder->document, sizeof(*node));
	*node = (struct ynode){.type = (uint8_t)type,
			       .line = (uint32_t)event->start_mark.line + 1,
			       .column = (uint32_t)event->start_mark.column + 1};
	return node;
}

static bool
is_plain_scalar(const yaml_event_t *event)
{
	const char *tag = (const char *)event->data.scalar.tag;
	if (!tag)
		return event->data.scalar.plain_implicit;
	return strcmp(tag, "!") != 0 && !is_core_tag(tag, "str");
}

static struct ynode *
new_scalar(struct builder *builder, const yaml_event_t *event)
{
	static const char *const tags[] = {"str", "int", "float", "bool", "null", "merge"};
	const char *tag = (const char *)event->data.scalar.tag;
	bool is_known = false;
	for (size_t i = 0; tag && i < sizeof(tags) / sizeof(*tags); i++)
		is_known |= is_core_tag(tag, tags[i]);
	if (!check_tag(builder, event, tag, is_known))
		return NULL;
	struct span text = {(const char *)event->data.scalar.value, event->data.scalar.length};
	if (span_find(text, '\0')) {
		diag_error(builder->diag, place_of_mark(builder, &event->start_mark), NULL,
			   "a text must not hold a NUL byte");
		return NULL;
	}
	bool is_plain = is_plain_scalar(event);
	bool is_null = is_plain && is_null_word(text);
	struct ynode *node = new_node(builder, event, is_null ? YNODE_NULL : YNODE_SCALAR);
	if (!node)
		return NULL;
	node->is_plain = is_plain;
	node->text = copy_text(builder->document, text.ptr, text.len);
	node->weight = 1;
	return node;
}

static int
compare_anchors(const void *a, const void *b)
{
	return span_compare(((const struct anchor *)a)->name, ((const struct anchor *)b)->name);
}

static void
keep_anchor(struct builder *builder, const yaml_char_t *name, struct ynode *node)
{
	if (!name)
		return;
	struct anchor wanted = {.name = span_text((const char *)name)};
	struct anchor *const *found = tfind(&wanted, &builder->anchors, compare_anchors);
	if (found) {
		(*found)->node = node;
		return;
	}
	struct anchor *anchor = take_memory(builder->document, sizeof(*anchor));
	anchor->name = copy_text(builder->document, wanted.name.ptr, wanted.name.len);
	anchor->node = node;
	if (!tsearch(anchor, &builder->anchors, compare_anchors))
		abort();
}

static struct ynode *
resolve_alias(struct builder *builder, const yaml_event_t *event)
{
	struct anchor wanted = {.name = span_text((const char *)event->data.alias.anchor)};
	struct anchor *const *found = tfind(&wanted, &builder->anchors, compare_anchors);
	char text[EXCERPT_SIZE];
	struct diag_place place = place_of_mark(builder, &event->start_mark);
	if (!found) {
		diag_error(builder->diag, place, NULL, "no anchor %s before this alias",
			   excerpt_quote(wanted.name, text));
		return NULL;
	}
	struct ynode *node = (*found)->node;
	if (!node->weight) {
		diag_error(builder->diag, place, NULL, "alias %s lies inside its own anchor",
			   excerpt_quote(wanted.name, text));
		return NULL;
	}
	if (builder->depth + node->height > YNODE_DEPTH_MAX) {
		diag_error(builder->diag, place, NULL, "nested deeper than %u levels",
			   YNODE_DEPTH_MAX);
		return NULL;
	}
	return count_nodes(builder, event, node->weight) ? node : NULL;
}

/* Puts a complete node where it belongs: into the innermost open frame, or at the root. */
static bool
place_node(struct builder *builder, const struct ynode *node)
{
	if (!builder->depth) {
		builder->document->root = node;
		return true;
	}
	struct frame *frame = &builder->frames[builder->depth - 1];
	bool is_key =
	    frame->node->type == YNODE_MAP && (builder->child_count - frame->first) % 2 == 0;
	if (is_key && node->type >= YNODE_LIST) {
		diag_error(builder->diag,
			   (struct diag_place){builder->path, node->line, node->column}, NULL,
			   "a key must be a text");
		return false;
	}
	if (frame->node->height <= node->height)
		frame->node->height = node->height + 1;
	builder->children = xgrow(builder->children, builder->child_count, &builder->child_capacity,
				  sizeof(*builder->children));
	builder->children[builder->child_count++] = node;
	return true;
}

static bool
open_frame(struct builder *builder, const yaml_event_t *event, enum ynode_type type)
{
	bool is_map = type == YNODE_MAP;
	const yaml_char_t *anchor =
	    is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const char *tag =
	    (const char *)(is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
	if (!check_tag(builder, event, tag, tag && is_core_tag(tag, is_map ? "map" : "seq")))
		return false;
	if (builder->depth == YNODE_DEPTH_MAX) {
		diag_error(builder->diag, place_of_mark(builder, &event->start_mark), NULL,
			   "nested deeper than %u levels", YNODE_DEPTH_MAX);
		return false;
	}
	struct ynode *node = new_node(builder, event, type);
	if (!node)
		return false;
	node->height = 1;
	keep_anchor(builder, anchor, node);
	builder->frames[builder->depth++] = (struct frame){node, builder->child_count};
	return true;
}

static void
close_list(struct builder *builder, struct ynode *node, const struct ynode *const *children,
	   size_t count)
{
	const struct ynode **items = take_memory(builder->document, count * sizeof(*items));
	uint32_t weight = 1;
	for (size_t i = 0; i < count; i++) {
		items[i] = children[i];
		weight += children[i]->weight;
	}
	node->list.items = items;
	node->list.count = count;
	node->weight = weight;
}

/* A pair on its way into a map. */
struct candidate {
	struct ynode_pair pair;
	size_t order; /* the lower one wins */
	bool is_own;  /* not from a merge */
};

struct candidates {
	struct candidate *items;
	size_t count, capacity;
};

static void
add_candidate(struct candidates *all, struct ynode_pair pair, bool is_own)
{
	all->items = xgrow(all->items, all->count, &all->capacity, sizeof(*all->items));
	all->items[all->count] = (struct candidate){pair, all->count, is_own};
	all->count++;
}

static int
compare_by_key(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = span_compare(x->pair.key->text, y->pair.key->text);
	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int
compare_by_order(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return (x->order > y->order) - (x->order < y->order);
}

/* Leaves each key once, in order; two own pairs of the same key are an error. */
static void
drop_repeated_keys(struct builder *builder, struct candidates *all)
{
	if (all->count < 2)
		return;
	qsort(all->items, all->count, sizeof(*all->items), compare_by_key);
	size_t kept = 1;
	char text[EXCERPT_SIZE];
	for (size_t i = 1; i < all->count; i++) {
		const struct ynode *key = all->items[i].pair.key;
		const struct ynode *first = all->items[kept - 1].pair.key;
		if (!span_equal(key->text, first->text)) {
			all->items[kept++] = all->items[i];
			continue;
		}
		if (all->items[i].is_own)
			diag_error(builder->diag,
				   (struct diag_place){builder->path, key->line, key->column}, NULL,
				   "duplicate key %s, first in line %u",
				   excerpt_quote(key->text, text), first->line);
	}
	all->count = kept;
	qsort(all->items, all->count, sizeof(*all->items), compare_by_order);
}

static bool
is_merge_key(const struct ynode *key)
{
	return key->is_plain && span_equal(key->text, SPAN("<<"));
}

static bool
add_merged_map(struct builder *builder, const yaml_event_t *event, struct candidates *all,
	       const struct ynode *source)
{
	if (source->type != YNODE_MAP) {
		diag_error(builder->diag,
			   (struct diag_place){builder->path, source->line, source->column}, NULL,
			   "<< takes a mapping or a list of mappings");
		return false;
	}
	if (!count_nodes(builder, event, source->weight))
		return false;
	for (size_t i = 0; i < source->map.count; i++)
		add_candidate(all, source->map.pairs[i], false);
	return true;
}

static bool
add_merge(struct builder *builder, const yaml_event_t *event, struct candidates *all,
	  const struct ynode *value)
{
	if (value->type != YNODE_LIST)
		return add_merged_map(builder, event, all, value);
	for (size_t i = 0; i < value->list.count; i++)
		if (!add_merged_map(builder, event, all, value->list.items[i]))
			return false;
	return true;
}

static bool
collect_pairs(struct builder *builder, const yaml_event_t *event,
	      const struct ynode *const *children, size_t count, struct candidates *all)
{
	for (size_t i = 0; i < count; i += 2)
		if (!is_merge_key(children[i]))
			add_candidate(all, (struct ynode_pair){children[i], children[i + 1]}, true);
	for (size_t i = 0; i < count; i += 2)
		if (is_merge_key(children[i]) && !add_merge(builder, event, all, children[i + 1]))
			return false;
	return true;
}

static bool
close_map(struct builder *builder, const yaml_event_t *event, struct ynode *node,
	  const struct ynode *const *children, size_t count)
{
	struct candidates all = {0};
	if (!collect_pairs(builder, event, children, count, &all)) {
		free(all.items);
		return false;
	}
	drop_repeated_keys(builder, &all);
	struct ynode_pair *pairs = take_memory(builder->document, all.count * sizeof(*pairs));
	uint32_t weight = 1;
	for (size_t i = 0; i < all.count; i++) {
		pairs[i] = all.items[i].pair;
		weight += pairs[i].key->weight + pairs[i].value->weight;
	}
	node->map.pairs = pairs;
	node->map.count = all.count;
	node->weight = weight;
	free(all.items);
	return true;
}

static bool
close_frame(struct builder *builder, const yaml_event_t *event)
{
	struct frame frame = builder->frames[--builder->depth];
	/* Without a child there may be no array yet to point into. */
	static const struct ynode *const no_children[1];
	size_t count = builder->child_count - frame.first;
	const struct ynode *const *children = count ? builder->children + frame.first : no_children;
	builder->child_count = frame.first;
	if (frame.node->type == YNODE_LIST)
		close_list(builder, frame.node, children, count);
	else if (!close_map(builder, event, frame.node, children, count))
		return false;
	return place_node(builder, frame.node);
}

static bool
handle_event(struct builder *builder, const yaml_event_t *event)
{
	struct ynode *node;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		node = new_scalar(builder, event);
		if (!node)
			return false;
		keep_anchor(builder, event->data.scalar.anchor, node);
		return place_node(builder, node);
	case YAML_ALIAS_EVENT:
		node = resolve_alias(builder, event);
		return node && place_node(builder, node);
	case YAML_SEQUENCE_START_EVENT:
		return open_frame(builder, event, YNODE_LIST);
	case YAML_MAPPING_START_EVENT:
		return open_frame(builder, event, YNODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_frame(builder, event);
	default:
		return true;
	}
}

/* What follows the first document is not read; text that is no document of its own is a fault. */
static bool
check_rest(struct builder *builder, bool first_ended_by_itself)
{
	yaml_event_t event;
	if (!yaml_parser_parse(&builder->parser, &event)) {
		if (first_ended_by_itself) {
			report_parser_error(builder);
			return false;
		}
		diag_warn(builder->diag, place_of_mark(builder, &builder->parser.problem_mark),
			  NULL, "only the first document is read");
		return true;
	}
	if (event.type != YAML_STREAM_END_EVENT)
		diag_warn(builder->diag, place_of_mark(builder, &event.start_mark), NULL,
			  "only the first document is read");
	yaml_event_delete(&event);
	return true;
}

static bool
build_tree(struct builder *builder)
{
	for (;;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&builder->parser, &event)) {
			report_parser_error(builder);
			return false;
		}
		yaml_event_type_t type = event.type;
		bool is_implicit =
		    type == YAML_DOCUMENT_END_EVENT && event.data.document_end.implicit;
		bool is_handled = handle_event(builder, &event);
		yaml_event_delete(&event);
		if (!is_handled)
			return false;
		if (type == YAML_STREAM_END_EVENT)
			return true;
		if (type == YAML_DOCUMENT_END_EVENT)
			return check_rest(builder, is_implicit);
	}
}

static bool
check_utf8(const struct builder *builder)
{
	struct span text = builder->text;
	if (utf8_is_valid(text))
		return true;
	size_t offset = 0;
	for (;;) {
		size_t len = utf8_length(span_from(text, offset));
		if (!utf8_is_valid(span_of(text.ptr + offset, len)))
			break;
		offset += len;
	}
	diag_error(builder->diag, place_of_offset(builder, offset), NULL,
		   "invalid UTF-8 (byte 0x%02X)", (unsigned char)text.ptr[offset]);
	return false;
}

static void
keep_arena_anchor(void *anchor)
{
	(void)anchor; /* the document owns it */
}

struct ydocument *
ydocument_parse(const char *path, struct span text, struct diag *diag)
{
	if (!text.ptr)
		text = SPAN("");
	if (span_starts(text, SPAN("\xef\xbb\xbf")))
		text = span_from(text, 3);
	struct builder builder = {.path = path, .text = text, .diag = diag};
	if (!check_utf8(&builder))
		return NULL;
	if (!yaml_parser_initialize(&builder.parser)) {
		diag_error(diag, (struct diag_place){.file = path}, NULL, "out of memory");
		return NULL;
	}
	yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text.ptr, text.len);
	builder.document = xcalloc(1, sizeof(*builder.document));
	if (!build_tree(&builder))
		ydocument_free(&builder.document);
	yaml_parser_delete(&builder.parser);
	tdestroy(builder.anchors, keep_arena_anchor);
	free(builder.children);
	return builder.document;
}

const struct ynode *
ydocument_root(const struct ydocument *document)
{
	return document->root;
}

const char *
ynode_describe(const struct ynode *node, char out[YNODE_DESCRIPTION_SIZE])
{
	char text[EXCERPT_SIZE];
	switch ((enum ynode_type)node->type) {
	case YNODE_NULL:
		return strcpy(out, "nothing");
	case YNODE_LIST:
		return strcpy(out, "a list");
	case YNODE_MAP:
		return strcpy(out, "a mapping");
	case YNODE_SCALAR:
		break;
	}
	snprintf(out, YNODE_DESCRIPTION_SIZE, "%s%s", node->is_plain ? "" : "the text ",
		 excerpt_quote(node->text, text));
	return out;
}

void
ydocument_free(struct ydocument **document)
{
	if (!*document)
		return;
	for (struct chunk *chunk = (*document)->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(*document);
	*document = NULL;
}
