/*
 * targets/document - what a client registers: a document in the format of Prometheus's HTTP service
 * discovery, a JSON array of {"targets": ["host:port", ...], "labels": {"name": "value", ...}}.
 *
 * Checked strictly, element by element: Prometheus refuses the whole list for one bad element, and
 * the elements of all clients end up in one list. Pure: no I/O.
 */
#ifndef TARGETS_DOCUMENT_H
#define TARGETS_DOCUMENT_H

#include "base/buf.h"

/* What a document may hold. */
#define DOCUMENT_BYTES_MAX ((size_t)1 << 20)
#define DOCUMENT_TARGETS_MAX 10000 /* in all; there may be as many elements */
#define TARGET_BYTES_MAX 512
#define TARGET_LABELS_MAX 64 /* of an element */
#define LABEL_NAME_BYTES_MAX 256
#define LABEL_VALUE_BYTES_MAX 4096

struct json_t;

struct document {
	/* The elements in one spelling, with ',' between them and without the brackets: no blanks,
	 * keys and label names sorted, labels left out where there are none. */
	char *text; /* owned */
	size_t len; /* bytes; 0 = no elements */
	unsigned targets;
};

/**
 * Reads a document.
 *
 * @json  borrowed
 * @out   written on success; freed with document_fini()
 * @error gets, on failure, one line that names the field: "[3].labels.__x: ..."
 * @return whether it is a good one
 */
bool document_parse(struct span json, struct document *out, struct buf *error) MUST_CHECK;

/** The same of JSON that was read as a part of something larger. */
bool document_read(const struct json_t *json, struct document *out, struct buf *error) MUST_CHECK;

void document_fini(struct document *document);

/**
 * Parses JSON strictly: UTF-8, no key twice, nothing behind the value.
 *
 * @line, @column where it is wrong, from 1; written on failure
 * @error gets, on failure, what is wrong, without the place
 * @return owned by the caller, freed with json_decref(), or NULL
 */
struct json_t *json_parse(struct span text, unsigned *line, unsigned *column,
			  struct buf *error) MUST_CHECK;

#endif
