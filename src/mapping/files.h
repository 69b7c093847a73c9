/*
 * mapping/files - which mapping files there are: the paths that were given, and what is in those
 * that are directories.
 */
#ifndef MAPPING_FILES_H
#define MAPPING_FILES_H

#include "base/diag.h"

#include <sys/types.h>

/* More mapping files together are refused. */
#define MAPPING_FILES_MAX 256

struct mapping_file {
	char *path; /* owned */
	/* Which file it is, whatever its name; 0 where there is none. */
	dev_t device;
	ino_t inode;
};

struct mapping_files {
	struct mapping_file *items; /* in the order of lookups; owned */
	size_t count, capacity;
};

/**
 * Lists the mapping files, each once.
 *
 * A directory stands for the files in it whose names end in .yml or .yaml and do not start with a
 * dot, in the order of their names' bytes. Directories in it are not looked into. A file that is
 * met again, under whatever name, is warned about and left out: as a second rule set it could
 * decide nothing.
 *
 * Whether a path that was given can be read is left to mapping_config_load(), so that it may also
 * be a pipe.
 *
 * @given paths; borrowed
 * @files written in any case, also when there were errors; ended with mapping_files_fini()
 * @return false when there was any error
 */
bool mapping_files_list(const char *const *given, size_t count, struct mapping_files *files,
			struct diag *diag) MUST_CHECK;

void mapping_files_fini(struct mapping_files *files);

#endif
