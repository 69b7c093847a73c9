#include "mapping/files.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* One above the cap is kept, so that whoever looks sees that there were too many. */
static void
add_path(struct mapping_files *files, const char *path, const struct stat *status)
{
	if (files->count > MAPPING_FILES_MAX)
		return;
	files->items = xgrow(files->items, files->count, &files->capacity, sizeof(*files->items));
	files->items[files->count++] =
	    (struct mapping_file){xstrdup(path), status->st_dev, status->st_ino};
}

static const char *
find_same_file(const struct mapping_files *files, const struct stat *status)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct mapping_file *file = &files->items[i];
		if (file->device == status->st_dev && file->inode == status->st_ino)
			return file->path;
	}
	return NULL;
}

/* @status of the file */
static void
add_file(struct mapping_files *files, const char *path, const struct stat *status,
	 struct diag *diag)
{
	const char *same = find_same_file(files, status);
	if (same)
		diag_warn(diag, (struct diag_place){.file = path}, NULL,
			  "is the file \"%s\", which comes first; it is read once", same);
	else
		add_path(files, path, status);
}

static bool
is_mapping_name(const char *name)
{
	struct span span = span_text(name);
	return name[0] != '.' && (span_ends(span, SPAN(".yml")) || span_ends(span, SPAN(".yaml")));
}

static int
compare_paths(const void *left, const void *right)
{
	const struct mapping_file *a = left, *b = right;
	return strcmp(a->path, b->path);
}

/* The paths of the mapping files in a directory, sorted. @return 0 or an error number */
static int
read_directory(const char *path, struct mapping_files *found)
{
	DIR *directory = opendir(path);
	if (!directory)
		return errno;
	struct buf name = BUF_INIT;
	struct stat unknown = {0};
	const char *slash = span_ends(span_text(path), SPAN("/")) ? "" : "/";
	struct dirent *entry;
	while (errno = 0, (entry = readdir(directory))) {
		if (!is_mapping_name(entry->d_name))
			continue;
		buf_reset(&name);
		buf_printf(&name, "%s%s%s", path, slash, entry->d_name);
		add_path(found, buf_text(&name), &unknown);
	}
	int error = errno;
	buf_fini(&name);
	closedir(directory);
	if (found->count)
		qsort(found->items, found->count, sizeof(*found->items), compare_paths);
	return error;
}

static void
add_entry(struct mapping_files *files, const char *path, struct diag *diag)
{
	struct diag_place place = {.file = path};
	struct stat status;
	if (stat(path, &status) != 0)
		diag_error(diag, place, NULL, "cannot open: %s", strerror(errno));
	else if (!S_ISREG(status.st_mode))
		diag_error(
		    diag, place, NULL,
		    "is no regular file; give it another ending than .yml and .yaml, or take it "
		    "out of the directory");
	else
		add_file(files, path, &status, diag);
}

static void
add_directory(struct mapping_files *files, const char *path, struct diag *diag)
{
	struct diag_place place = {.file = path};
	struct mapping_files found = {0};
	int error = read_directory(path, &found);
	if (error)
		diag_error(diag, place, NULL, "cannot read the directory: %s", strerror(error));
	else if (!found.count)
		diag_error(
		    diag, place, NULL,
		    "no file in this directory ends in .yml or .yaml; put one there, which may "
		    "be empty");
	for (size_t i = 0; !error && i < found.count; i++)
		add_entry(files, found.items[i].path, diag);
	mapping_files_fini(&found);
}

bool
mapping_files_list(const char *const *given, size_t count, struct mapping_files *files,
		   struct diag *diag)
{
	*files = (struct mapping_files){0};
	size_t errors = diag->errors;
	for (size_t i = 0; i < count; i++) {
		struct stat status = {0};
		if (stat(given[i], &status) != 0)
			add_path(files, given[i], &status);
		else if (S_ISDIR(status.st_mode))
			add_directory(files, given[i], diag);
		else
			add_file(files, given[i], &status, diag);
	}
	if (files->count > MAPPING_FILES_MAX) {
		struct mapping_file *last = &files->items[--files->count];
		diag_error(diag, (struct diag_place){.file = last->path}, NULL,
			   "more than %d mapping files with this one; put several into one",
			   MAPPING_FILES_MAX);
		free(last->path);
	}
	return diag->errors == errors;
}

void
mapping_files_fini(struct mapping_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].path);
	free(files->items);
	*files = (struct mapping_files){0};
}
