#include "targets/state.h"

#include "base/alloc.h"
#include "base/excerpt.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define VERSION 1
/* Dates up to the year 5138, so that sums of them fit. */
#define DATE_MS_MAX INT64_C(100000000000000)

void
target_state_format(const struct target_set *set, struct buf *out)
{
	buf_printf(out, "{\"statsbridge_targets\":%d,\"groups\":%zu}\n", VERSION, set->count);
	for (size_t i = 0; i < set->count; i++) {
		const struct target_group *group = set->groups[i];
		buf_printf(out, "{\"group\":\"%s\",\"owner\":\"%s\",\"registered_ms\":%" PRId64,
			   group->name, group->owner, group->registered.us / 1000);
		if (group->ttl_us)
			buf_printf(out, ",\"ttl_ms\":%" PRId64 ",\"expires_ms\":%" PRId64,
				   group->ttl_us / 1000, group->expires_at.us / 1000);
		buf_add_text(out, ",\"document\":[");
		buf_add(out, group->document.text, group->document.len);
		buf_add_text(out, "]}\n");
	}
}

/* What is known of the file while it is read. */
struct loading {
	struct span rest;
	struct diag_place place; /* of the line that is read */
	struct diag *diag;
	struct target_set *set;
	json_int_t promised; /* groups */
};

#define WAY_OUT "; mend the file, or move it away to start without groups"

/* @return false */
static bool
fail(struct loading *loading, const char *key, const char *wrong)
{
	diag_error(loading->diag, loading->place, key, "%s" WAY_OUT, wrong);
	return false;
}

/* Cuts the next line off. @return its JSON object, or NULL with a message */
static json_t *
next_object(struct loading *loading)
{
	struct span line = loading->rest;
	const char *end = span_find(line, '\n');
	struct buf wrong = BUF_INIT;
	unsigned line_in_line;
	loading->place.line++;
	loading->place.column = 1;
	if (end)
		line = span_first(line, (size_t)(end - line.ptr));
	loading->rest = span_from(loading->rest, line.len + (end ? 1 : 0));
	json_t *json = json_parse(line, &line_in_line, &loading->place.column, &wrong);
	if (!json) {
		fail(loading, NULL, buf_text(&wrong));
	} else if (!json_is_object(json)) {
		fail(loading, NULL, "expected a JSON object");
		json_decref(json);
		json = NULL;
	}
	buf_fini(&wrong);
	return json;
}

/* @return whether the object has a whole number of this range under `key` */
static bool
read_number(struct loading *loading, const json_t *object, const char *key, json_int_t least,
	    json_int_t most, json_int_t *out)
{
	const json_t *json = json_object_get(object, key);
	*out = json_integer_value(json);
	if (json_is_integer(json) && *out >= least && *out <= most)
		return true;
	diag_error(loading->diag, loading->place, key,
		   "expected a whole number from %" JSON_INTEGER_FORMAT
		   " to %" JSON_INTEGER_FORMAT WAY_OUT,
		   least, most);
	return false;
}

static bool
read_name(struct loading *loading, const json_t *object, const char *key, struct span *out)
{
	const json_t *json = json_object_get(object, key);
	if (json_is_string(json)) {
		*out = span_of(json_string_value(json), json_string_length(json));
		if (group_name_is_legal(*out))
			return true;
	}
	return fail(loading, key, "expected " GROUP_NAME_WANTED);
}

static bool
has_only(struct loading *loading, json_t *object, const char *const *keys)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		size_t i = 0;
		char shown[EXCERPT_SIZE];
		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return fail(loading, excerpt_quote(span_text(key), shown), "unknown key");
	}
	return true;
}

static bool
read_header(struct loading *loading)
{
	static const char *const keys[] = {"statsbridge_targets", "groups", NULL};
	json_int_t version;
	json_t *object = next_object(loading);
	bool is_good =
	    object && read_number(loading, object, keys[0], VERSION, VERSION, &version) &&
	    read_number(loading, object, keys[1], 0, SET_GROUPS_MAX, &loading->promised) &&
	    has_only(loading, object, keys);
	json_decref(object);
	return is_good;
}

struct dates {
	json_int_t registered_ms, ttl_ms, expires_ms;
};

static bool
read_dates(struct loading *loading, const json_t *object, struct dates *dates)
{
	*dates = (struct dates){0};
	if (!read_number(loading, object, "registered_ms", 0, DATE_MS_MAX, &dates->registered_ms))
		return false;
	if (!json_object_get(object, "ttl_ms") && !json_object_get(object, "expires_ms"))
		return true;
	return read_number(loading, object, "ttl_ms", GROUP_TTL_US_MIN / 1000,
			   GROUP_TTL_US_MAX / 1000, &dates->ttl_ms) &&
	       read_number(loading, object, "expires_ms", 0, DATE_MS_MAX, &dates->expires_ms);
}

static bool
read_document(struct loading *loading, const json_t *json, struct document *document)
{
	struct buf wrong = BUF_INIT;
	if (!json)
		return fail(loading, "document", "is missing");
	bool is_good = document_read(json, document, &wrong);
	if (!is_good)
		fail(loading, "document", buf_text(&wrong));
	buf_fini(&wrong);
	return is_good;
}

/* Puts a group into the set, unless its time is over. */
static bool
add_group(struct loading *loading, struct target_group *group, const struct dates *dates)
{
	group->registered = (struct wall){dates->registered_ms * 1000};
	if (group->ttl_us) {
		int64_t left_us = dates->expires_ms * 1000 - clock_wall().us;
		if (left_us <= 0)
			return true;
		if (left_us < group->ttl_us) {
			group->expires_at = (struct wall){dates->expires_ms * 1000};
			group->expires = (struct mono){clock_mono().us + left_us};
		}
	}
	if (target_set_find(loading->set, span_text(group->name)))
		return fail(loading, "group", "is in the file twice");
	if (target_set_put(loading->set, group) != SET_ADDED)
		return fail(loading, NULL,
			    "more groups, targets or bytes than can have been written");
	return true;
}

static bool
read_group(struct loading *loading)
{
	static const char *const keys[] = {
	    "group", "owner", "registered_ms", "ttl_ms", "expires_ms", "document", NULL};
	struct span name, owner;
	struct dates dates;
	struct document document;
	json_t *object = next_object(loading);
	bool is_good = object && has_only(loading, object, keys) &&
		       read_name(loading, object, "group", &name) &&
		       read_name(loading, object, "owner", &owner) &&
		       read_dates(loading, object, &dates) &&
		       read_document(loading, json_object_get(object, "document"), &document);
	if (is_good) {
		struct target_group *group =
		    target_group_new(name, owner, dates.ttl_ms * 1000, &document);
		is_good = add_group(loading, group, &dates);
		target_group_unref(&group);
	}
	json_decref(object);
	return is_good;
}

static bool
read_groups(struct loading *loading)
{
	json_int_t found = 0;
	for (; loading->rest.len; found++) {
		if (!read_group(loading))
			return false;
	}
	if (found == loading->promised)
		return true;
	loading->place.line = loading->place.column = 1;
	diag_error(loading->diag, loading->place, "groups",
		   "the file has %" JSON_INTEGER_FORMAT
		   " groups, not %" JSON_INTEGER_FORMAT WAY_OUT,
		   found, loading->promised);
	return false;
}

struct target_set *
target_state_parse(const char *path, struct span text, struct diag *diag)
{
	struct loading loading = {
	    .rest = text,
	    .place = {.file = path},
	    .diag = diag,
	    .set = target_set_new(),
	};
	if (!read_header(&loading) || !read_groups(&loading))
		target_set_unref(&loading.set);
	return loading.set;
}

struct target_set *
target_state_load(const char *path, struct diag *diag)
{
	struct diag_place place = {.file = path};
	struct buf text = BUF_INIT;
	struct target_set *set = NULL;
	int error = file_read(path, O_NONBLOCK, STATE_BYTES_MAX, &text);
	if (error == ENOENT)
		set = target_set_new();
	else if (error == EFBIG)
		diag_error(diag, place, NULL, "larger than %zu bytes" WAY_OUT, STATE_BYTES_MAX);
	else if (error)
		diag_error(diag, place, NULL, "cannot read: %s", strerror(error));
	else
		set = target_state_parse(path, buf_span(&text), diag);
	buf_fini(&text);
	return set;
}

int
target_state_lock(const char *path, struct diag *diag)
{
	struct diag_place place = {.file = path};
	struct buf lock = BUF_INIT;
	buf_printf(&lock, "%s.lock", path);
	int fd = open(buf_text(&lock), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		diag_error(diag, place, NULL,
			   "cannot make %s beside it: %s; the folder must exist and be writable",
			   buf_text(&lock), strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		diag_error(diag, place, NULL,
			   errno == EWOULDBLOCK
			       ? "in use by another process; each needs a file of its own"
			       : "cannot be locked");
		close(fd);
		fd = -1;
	}
	buf_fini(&lock);
	return fd;
}
