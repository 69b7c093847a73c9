/*
 * yaml/ynode - a YAML text as a small tree in which every node knows its line and column.
 *
 * YAML 1.1, first document only, anchors, aliases and "<<" merges. An alias shares the node it
 * names, so that a text of many aliases costs time and memory by its bytes, never by what it
 * expands to; what it expands to is counted and capped. The only place that knows libyaml.
 */
#ifndef YAML_YNODE_H
#define YAML_YNODE_H

#include "base/check.h"
#include "base/diag.h"
#include "base/excerpt.h"
#include "base/span.h"

#include <stdint.h>

/* Nodes after expansion of aliases and merges: rules of 40 nodes each, a hundred thousand of them.
 */
#define YNODE_COUNT_MAX 4000000u
/* Levels of lists and maps after expansion; a mapping file needs six. */
#define YNODE_DEPTH_MAX 64u

enum ynode_type {
	YNODE_NULL, /* nothing, "~" or "null", not quoted */
	YNODE_SCALAR,
	YNODE_LIST,
	YNODE_MAP,
};

struct ynode_pair;

struct ynode {
	uint8_t type;          /* enum ynode_type */
	bool is_plain;         /* scalar: not quoted, so it may be a number or a boolean */
	uint16_t height;       /* levels of lists and maps, this one included */
	uint32_t weight;       /* nodes below and including this one, after expansion */
	uint32_t line, column; /* from 1; a column counts code points */
	union {
		struct span text; /* null, scalar: source text, valid UTF-8 without NUL bytes */
		struct {
			const struct ynode *const *items;
			size_t count;
		} list;
		struct {
			/* Keys are scalars, each once; merged pairs stand behind the own ones. */
			const struct ynode_pair *pairs;
			size_t count;
		} map;
	};
};

struct ynode_pair {
	const struct ynode *key, *value;
};

/* Room for what ynode_describe() writes. */
#define YNODE_DESCRIPTION_SIZE (EXCERPT_SIZE + 16)

/** Says what a node is, for "expected ..., got ...": "a list", "nothing", a text. @return out */
const char *ynode_describe(const struct ynode *node, char out[YNODE_DESCRIPTION_SIZE]);

/* Owns all nodes and texts of a tree. */
struct ydocument;

/**
 * Parses the first document of a YAML text.
 *
 * Duplicate keys are errors, yet the tree is complete: the first one counts. A merge is shallow:
 * own keys win, then the earlier source. A byte order mark is skipped; further documents are a
 * warning.
 *
 * @path borrowed by the diag's places
 * @text borrowed during the call
 * @return the document, owned by the caller, or NULL with an error when the text is not YAML, not
 *         UTF-8, has a tag beyond the YAML 1.1 core, or meets a cap
 */
struct ydocument *ydocument_parse(const char *path, struct span text, struct diag *diag) MUST_CHECK;

/** @return the tree, which lives as long as the document; NULL when the text has no content */
const struct ynode *ydocument_root(const struct ydocument *document);

/** Frees the document with its tree and nulls the pointer. */
void ydocument_free(struct ydocument **document);

#endif
