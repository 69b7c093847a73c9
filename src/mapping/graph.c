/*
 * A breadth-first walk whose queue is never emptied: a node's place in it is its number.
 */
#include "mapping/graph.h"

#include "base/alloc.h"

#include <stdlib.h>

#define ROOT_NUMBER 0
/* The node is a kind's, above the automata of several sets. */
#define ABOVE_SETS SIZE_MAX

struct queued {
	enum event_kind kind;
	size_t set;
	uint32_t node; /* of the set's automaton */
};

struct outline {
	struct glob_edge *edges;
	size_t count;
	size_t *first; /* for each node: its first edge */
};

struct drawing {
	const struct compiled_set *sets;
	size_t set_count;
	struct outline *outlines; /* one a set */
	struct queued *queue;
	size_t count, capacity;
	FILE *out;
};

static void
init_outline(struct outline *outline, const struct glob_set *globs)
{
	outline->count = glob_set_edges(globs, &outline->edges);
	/* A tree: one node more than edges; and one entry more, so that each node's edges end. */
	outline->first = xcalloc(outline->count + 2, sizeof(*outline->first));
	size_t edge = 0;
	for (size_t node = 0; node <= outline->count + 1; node++) {
		while (edge < outline->count && outline->edges[edge].from < node)
			edge++;
		outline->first[node] = edge;
	}
}

static void
write_text(FILE *out, struct span text)
{
	fputc('"', out);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		if (byte == '"' || byte == '\\')
			fputc('\\', out);
		fputc(byte < ' ' ? ' ' : byte, out);
	}
	fputc('"', out);
}

/* @return the rule that ends at a queued node, or NULL */
static const struct mapping_rule *
find_rule(const struct drawing *drawing, const struct queued *queued)
{
	if (queued->set == ABOVE_SETS)
		return NULL;
	const struct compiled_set *set = &drawing->sets[queued->set];
	uint32_t rule = glob_set_rule_at(set->globs, queued->node, queued->kind);
	return rule == GLOB_NONE ? NULL : &set->set->rules[rule];
}

/* Queues and draws a node; @return its number */
static size_t
add_node(struct drawing *drawing, struct queued queued)
{
	drawing->queue =
	    xgrow(drawing->queue, drawing->count, &drawing->capacity, sizeof(*drawing->queue));
	size_t number = drawing->count++;
	drawing->queue[number] = queued;
	fprintf(drawing->out, "\t%zu", number);
	const struct mapping_rule *rule = find_rule(drawing, &queued);
	if (rule) {
		bool is_drop = rule->action == ACTION_DROP;
		fputs(" [shape=box, fillcolor=palegreen, label=", drawing->out);
		write_text(drawing->out, span_text(is_drop ? "(drop)" : rule->name));
		fputc(']', drawing->out);
	}
	fputs(";\n", drawing->out);
	return number;
}

static void
add_edge(struct drawing *drawing, size_t from, size_t to, struct span label)
{
	fprintf(drawing->out, "\t%zu -> %zu [label=", from, to);
	write_text(drawing->out, label);
	fputs("];\n", drawing->out);
}

static void
draw_kinds(struct drawing *drawing)
{
	fprintf(drawing->out, "\t%d [shape=point, fillcolor=black];\n", ROOT_NUMBER);
	drawing->queue =
	    xgrow(drawing->queue, drawing->count, &drawing->capacity, sizeof(*drawing->queue));
	drawing->queue[drawing->count++] = (struct queued){.set = ABOVE_SETS};
	size_t set = drawing->set_count > 1 ? ABOVE_SETS : 0;
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		struct queued queued = {.kind = (enum event_kind)kind, .set = set};
		size_t number = add_node(drawing, queued);
		fprintf(drawing->out, "\t%zu [fillcolor=lightblue];\n", number);
		add_edge(drawing, ROOT_NUMBER, number, span_text(event_kind_text(queued.kind)));
	}
}

static void
draw_sets(struct drawing *drawing, size_t number)
{
	enum event_kind kind = drawing->queue[number].kind;
	for (size_t i = 0; i < drawing->set_count; i++) {
		const struct compiled_set *set = &drawing->sets[i];
		if (!glob_set_leads(set->globs, 0, kind))
			continue;
		size_t child = add_node(drawing, (struct queued){.kind = kind, .set = i});
		add_edge(drawing, number, child, span_text(set->set->path));
	}
}

static void
draw_children(struct drawing *drawing, size_t number)
{
	struct queued parent = drawing->queue[number];
	const struct glob_set *globs = drawing->sets[parent.set].globs;
	const struct outline *outline = &drawing->outlines[parent.set];
	size_t end = outline->first[parent.node + 1];
	for (size_t i = outline->first[parent.node]; i < end; i++) {
		const struct glob_edge *edge = &outline->edges[i];
		if (!glob_set_leads(globs, edge->to, parent.kind))
			continue;
		struct queued child = {parent.kind, parent.set, edge->to};
		add_edge(drawing, number, add_node(drawing, child), edge->component);
	}
}

static void
draw(struct drawing *drawing)
{
	fputs("digraph globs {\n"
	      "\trankdir=LR;\n"
	      "\tnode [label=\"\", shape=circle, style=filled, fillcolor=white];\n",
	      drawing->out);
	draw_kinds(drawing);
	for (size_t i = ROOT_NUMBER + 1; i < drawing->count; i++) {
		if (drawing->queue[i].set == ABOVE_SETS)
			draw_sets(drawing, i);
		else
			draw_children(drawing, i);
	}
	fputs("}\n", drawing->out);
}

bool
graph_write(const struct compiled_set *sets, size_t count, FILE *out)
{
	struct drawing drawing = {.sets = sets, .set_count = count, .out = out};
	drawing.outlines = xcalloc(count, sizeof(*drawing.outlines));
	for (size_t i = 0; i < count; i++)
		init_outline(&drawing.outlines[i], sets[i].globs);
	draw(&drawing);
	for (size_t i = 0; i < count; i++) {
		free(drawing.outlines[i].edges);
		free(drawing.outlines[i].first);
	}
	free(drawing.outlines);
	free(drawing.queue);
	return fflush(out) == 0 && !ferror(out);
}
