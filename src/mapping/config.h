/*
 * mapping/config - reads a mapping file: YAML 1.1 through libyaml, strict, every error with its
 * place.
 */
#ifndef MAPPING_CONFIG_H
#define MAPPING_CONFIG_H

#include "base/span.h"
#include "mapping/rule.h"

/* A larger mapping file is refused. */
#define MAPPING_FILE_MAX (16u << 20) /* bytes */

/* A FIFO, terminal or other file that makes its reader wait must have ended by then. */
#define MAPPING_READ_SECONDS 5

/**
 * Reads and validates a mapping file.
 *
 * Collects every error, not just the first; warnings (legacy keys, with the modern spelling) too.
 * Everything that would fail later fails here, except what only the compiled rules show
 * (mapper_new()).
 *
 * Blocks for MAPPING_READ_SECONDS at most, unless the file system itself hangs. A pipe, such as
 * that of a shell's <(command), is read to its end; one that ends without a byte is an error, since
 * an empty mapping is hardly what its writer meant.
 *
 * @path file to read; also what messages name
 * @diag gets errors and warnings, in the order of their places in the file; its places borrow a
 *       copy of `path` that lives as long as the process
 * @return the rule set, owned by the caller, or NULL when there was any error
 */
struct rule_set *mapping_config_load(const char *path, struct diag *diag) MUST_CHECK;

/** The same from memory. @path is only a name for messages. */
struct rule_set *mapping_config_parse(const char *path, struct span text,
				      struct diag *diag) MUST_CHECK;

#endif
