#include "mapping/glob.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "mapping/hash_index.h"
#include "mapping/rule.h"

#include <stdlib.h>

#define ROOT 0
/* A child that is not there: nothing leads back to the root. */
#define NO_NODE ROOT
/* The component of a name that no glob spells out. */
#define NO_WORD HASH_INDEX_NONE
/* The last bit of `lengths` stands for this many components and more. */
#define LENGTH_BIT_MAX 63

/* What a node means for one kind of event. */
struct node_view {
	uint64_t lengths; /* bit n: some glob ends n components further on */
	uint32_t best;    /* lowest glob behind this node */
	uint32_t here;    /* lowest glob that ends here, GLOB_NONE if none does */
};

struct node {
	uint32_t star; /* child behind '*' */
	struct node_view views[EVENT_KINDS];
};

/* A literal transition; `edges` finds it by from and word. */
struct edge {
	uint32_t from, word, to;
};

struct glob {
	uint32_t rule;
	uint32_t star_first, star_count; /* its part of `stars` */
};

struct glob_set {
	bool is_ordered;
	struct node *nodes;
	size_t node_count, node_capacity;
	struct edge *edges;
	size_t edge_count, edge_capacity;
	struct hash_index edge_index;
	struct span *words; /* distinct literal components, borrowed from the patterns */
	size_t word_count, word_capacity;
	struct hash_index word_index;
	struct glob *globs; /* as added: the number is the rank */
	size_t glob_count, glob_capacity;
	uint32_t *stars; /* positions of '*' components, glob after glob */
	size_t star_count, star_capacity;
	size_t depth; /* components of the longest glob */
};

/* Component i of the name, and what is left to try between components i and i + 1. */
struct glob_step {
	struct span component;
	uint32_t word;
	uint32_t later; /* a child still to be visited, or NO_NODE */
};

static uint32_t
add_node(struct glob_set *set)
{
	set->nodes = xgrow(set->nodes, set->node_count, &set->node_capacity, sizeof(*set->nodes));
	CHECK(set->node_count < GLOB_NONE);
	struct node *node = &set->nodes[set->node_count];
	*node = (struct node){.star = NO_NODE};
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		node->views[kind] = (struct node_view){.best = GLOB_NONE, .here = GLOB_NONE};
	return (uint32_t)set->node_count++;
}

struct glob_set *
glob_set_new(bool is_ordered)
{
	struct glob_set *set = xcalloc(1, sizeof(*set));
	set->is_ordered = is_ordered;
	hash_index_init(&set->edge_index);
	hash_index_init(&set->word_index);
	add_node(set);
	return set;
}

void
glob_set_free(struct glob_set **set)
{
	struct glob_set *old = *set;
	*set = NULL;
	if (!old)
		return;
	hash_index_fini(&old->edge_index);
	hash_index_fini(&old->word_index);
	free(old->nodes);
	free(old->edges);
	free(old->words);
	free(old->globs);
	free(old->stars);
	free(old);
}

static uint32_t
find_word(const struct glob_set *set, struct span text, uint64_t hash)
{
	size_t step = 0;
	for (;;) {
		uint32_t word = hash_index_next(&set->word_index, hash, &step);
		if (word == NO_WORD || span_equal(set->words[word], text))
			return word;
	}
}

static uint32_t
get_word(struct glob_set *set, struct span text)
{
	uint64_t hash = hash_bytes64(text.ptr, text.len);
	uint32_t word = find_word(set, text, hash);
	if (word != NO_WORD)
		return word;
	set->words = xgrow(set->words, set->word_count, &set->word_capacity, sizeof(*set->words));
	word = (uint32_t)set->word_count++;
	set->words[word] = text;
	hash_index_add(&set->word_index, hash, word);
	return word;
}

/* The hash is as good as the pair: equal hashes mean equal pairs. */
static inline uint64_t
edge_hash(uint32_t from, uint32_t word)
{
	return hash_index_mix((uint64_t)from << 32 | word);
}

static uint32_t
find_child(const struct glob_set *set, uint32_t from, uint32_t word)
{
	size_t step = 0;
	uint32_t edge = hash_index_next(&set->edge_index, edge_hash(from, word), &step);
	return edge == HASH_INDEX_NONE ? NO_NODE : set->edges[edge].to;
}

static bool
is_star(struct span component)
{
	return component.len == 1 && component.ptr[0] == '*';
}

static uint32_t
get_star_child(struct glob_set *set, uint32_t from)
{
	if (set->nodes[from].star == NO_NODE) {
		uint32_t child = add_node(set);
		set->nodes[from].star = child;
	}
	return set->nodes[from].star;
}

static uint32_t
get_child(struct glob_set *set, uint32_t from, struct span component)
{
	if (is_star(component))
		return get_star_child(set, from);
	uint32_t word = get_word(set, component);
	uint32_t child = find_child(set, from, word);
	if (child != NO_NODE)
		return child;
	child = add_node(set);
	set->edges = xgrow(set->edges, set->edge_count, &set->edge_capacity, sizeof(*set->edges));
	set->edges[set->edge_count] = (struct edge){from, word, child};
	hash_index_add(&set->edge_index, edge_hash(from, word), (uint32_t)set->edge_count);
	set->edge_count++;
	return child;
}

/* Takes the first component off `rest`; rest->ptr is NULL behind the last. */
static inline struct span
next_component(struct span *rest)
{
	const char *dot = span_find(*rest, '.');
	struct span component = *rest;
	if (dot) {
		component.len = (size_t)(dot - rest->ptr);
		*rest = span_from(*rest, component.len + 1);
	} else {
		*rest = (struct span){NULL, 0};
	}
	return component;
}

static size_t
count_components(struct span text)
{
	size_t count = 1;
	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == '.';
	return count;
}

size_t
glob_star_count(struct span pattern)
{
	size_t count = 0;
	struct span rest = pattern;
	do
		count += is_star(next_component(&rest));
	while (rest.ptr);
	return count;
}

static inline uint64_t
length_bit(size_t components)
{
	return UINT64_C(1) << (components < LENGTH_BIT_MAX ? components : LENGTH_BIT_MAX);
}

/* Notes that globs behind a node end `left` components further on. */
static void
mark_node(struct node *node, unsigned kinds, size_t left, uint32_t glob)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		struct node_view *view = &node->views[kind];
		if (!(kinds & KIND_BIT(kind)))
			continue;
		view->lengths |= length_bit(left);
		if (view->best == GLOB_NONE)
			view->best = glob;
		if (left == 0 && view->here == GLOB_NONE)
			view->here = glob;
	}
}

void
glob_set_add(struct glob_set *set, struct span pattern, unsigned kinds, uint32_t rule)
{
	set->globs = xgrow(set->globs, set->glob_count, &set->glob_capacity, sizeof(*set->globs));
	uint32_t number = (uint32_t)set->glob_count++;
	struct glob *glob = &set->globs[number];
	*glob = (struct glob){.rule = rule, .star_first = (uint32_t)set->star_count};
	size_t count = count_components(pattern);
	if (count > set->depth)
		set->depth = count;
	uint32_t node = ROOT;
	struct span rest = pattern;
	mark_node(&set->nodes[node], kinds, count, number);
	for (size_t i = 0; i < count; i++) {
		struct span component = next_component(&rest);
		if (is_star(component)) {
			set->stars = xgrow(set->stars, set->star_count, &set->star_capacity,
					   sizeof(*set->stars));
			set->stars[set->star_count++] = (uint32_t)i;
			glob->star_count++;
		}
		node = get_child(set, node, component);
		mark_node(&set->nodes[node], kinds, count - i - 1, number);
	}
}

void
glob_scratch_init(struct glob_scratch *scratch)
{
	*scratch = (struct glob_scratch){0};
}

void
glob_scratch_fini(struct glob_scratch *scratch)
{
	free(scratch->steps);
	free(scratch->captures);
	*scratch = (struct glob_scratch){0};
}

static void
grow_scratch(struct glob_scratch *scratch, size_t depth)
{
	scratch->steps = xreallocarray(scratch->steps, depth, sizeof(*scratch->steps));
	scratch->captures = xreallocarray(scratch->captures, depth + 1, sizeof(*scratch->captures));
	scratch->capacity = depth;
}

/* Splits a name into steps; 0 when it has more components than any glob. */
static size_t
split_name(const struct glob_set *set, struct span name, struct glob_step *steps)
{
	size_t count = 0;
	struct span rest = name;
	do {
		if (count == set->depth)
			return 0;
		steps[count++] = (struct glob_step){.component = next_component(&rest)};
	} while (rest.ptr);
	for (size_t i = 0; i < count; i++) {
		struct span text = steps[i].component;
		steps[i].word = find_word(set, text, hash_bytes64(text.ptr, text.len));
	}
	return count;
}

/* One lookup under way. */
struct walk {
	const struct glob_set *set;
	struct glob_step *steps;
	size_t count; /* of steps */
	enum event_kind kind;
	uint32_t found; /* best glob so far */
};

/* Whether a glob better than what was found can end `left` components behind `node`. */
static inline bool
is_hopeful(const struct walk *walk, uint32_t node, size_t left)
{
	if (node == NO_NODE)
		return false;
	const struct node_view *view = &walk->set->nodes[node].views[walk->kind];
	return view->lengths & length_bit(left) && view->best < walk->found;
}

/* The child to visit now, with the other one kept for later. */
static inline uint32_t
step_down(const struct walk *walk, uint32_t node, size_t depth)
{
	const struct glob_set *set = walk->set;
	struct glob_step *step = &walk->steps[depth];
	size_t left = walk->count - depth - 1;
	uint32_t first = step->word == NO_WORD ? NO_NODE : find_child(set, node, step->word);
	uint32_t second = set->nodes[node].star;
	if (!is_hopeful(walk, first, left))
		first = NO_NODE;
	if (!is_hopeful(walk, second, left))
		second = NO_NODE;
	bool is_swapped = first == NO_NODE || (set->is_ordered && second != NO_NODE &&
					       set->nodes[second].views[walk->kind].best <
						   set->nodes[first].views[walk->kind].best);
	step->later = is_swapped ? first : second;
	return is_swapped ? second : first;
}

/* Goes back to the latest place with a child still worth a visit; NO_NODE when there is none. */
static inline uint32_t
step_back(const struct walk *walk, size_t *depth)
{
	while (*depth > 0) {
		struct glob_step *step = &walk->steps[--*depth];
		uint32_t later = step->later;
		step->later = NO_NODE;
		if (is_hopeful(walk, later, walk->count - *depth - 1)) {
			++*depth;
			return later;
		}
	}
	return NO_NODE;
}

static void
search(struct walk *walk)
{
	uint32_t node = ROOT;
	size_t depth = 0;
	for (;;) {
		uint32_t next = NO_NODE;
		if (depth < walk->count) {
			next = step_down(walk, node, depth);
			depth++;
		} else {
			uint32_t here = walk->set->nodes[node].views[walk->kind].here;
			if (here < walk->found)
				walk->found = here;
			if (!walk->set->is_ordered)
				return;
		}
		if (next == NO_NODE)
			next = step_back(walk, &depth);
		if (next == NO_NODE)
			return;
		node = next;
	}
}

static void
write_match(const struct glob_set *set, const struct glob_scratch *scratch, uint32_t found,
	    struct span name, struct glob_match *out)
{
	const struct glob *glob = &set->globs[found];
	scratch->captures[0] = name;
	for (size_t i = 0; i < glob->star_count; i++)
		scratch->captures[i + 1] =
		    scratch->steps[set->stars[glob->star_first + i]].component;
	*out = (struct glob_match){glob->rule, glob->star_count, scratch->captures};
}

bool
glob_set_find(const struct glob_set *set, struct glob_scratch *scratch, enum event_kind kind,
	      struct span name, struct glob_match *out)
{
	if (set->nodes[ROOT].views[kind].best == GLOB_NONE)
		return false;
	if (scratch->capacity < set->depth)
		grow_scratch(scratch, set->depth);
	struct walk walk = {.set = set, .steps = scratch->steps, .kind = kind, .found = GLOB_NONE};
	walk.count = split_name(set, name, scratch->steps);
	if (walk.count == 0)
		return false;
	search(&walk);
	if (walk.found == GLOB_NONE)
		return false;
	write_match(set, scratch, walk.found, name, out);
	return true;
}

static int
compare_edges(const void *a, const void *b)
{
	const struct glob_edge *left = a, *right = b;
	if (left->from != right->from)
		return left->from < right->from ? -1 : 1;
	return left->to < right->to ? -1 : left->to > right->to;
}

size_t
glob_set_edges(const struct glob_set *set, struct glob_edge **edges)
{
	size_t count = 0;
	*edges = xcalloc(set->node_count, sizeof(**edges));
	for (size_t i = 0; i < set->edge_count; i++) {
		const struct edge *edge = &set->edges[i];
		(*edges)[count++] =
		    (struct glob_edge){edge->from, edge->to, set->words[edge->word]};
	}
	for (size_t i = 0; i < set->node_count; i++) {
		if (set->nodes[i].star != NO_NODE)
			(*edges)[count++] =
			    (struct glob_edge){(uint32_t)i, set->nodes[i].star, SPAN("*")};
	}
	qsort(*edges, count, sizeof(**edges), compare_edges);
	return count;
}

bool
glob_set_leads(const struct glob_set *set, uint32_t node, enum event_kind kind)
{
	return set->nodes[node].views[kind].best != GLOB_NONE;
}

uint32_t
glob_set_rule_at(const struct glob_set *set, uint32_t node, enum event_kind kind)
{
	uint32_t here = set->nodes[node].views[kind].here;
	return here == GLOB_NONE ? GLOB_NONE : set->globs[here].rule;
}
