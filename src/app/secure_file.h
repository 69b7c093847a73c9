/*
 * app/secure_file - a file of app/web_config in force: read at the start, and again when it or a
 * certificate that it names has changed.
 *
 * Whether something has changed is looked up once a second, so that a request costs no disk access.
 * What is not good at a later time is logged and counted, and what was in force stays; only its
 * certificate is exchanged all the same when that has changed, since it ends some day. Whether
 * there is TLS at all is decided at the start.
 *
 * A file may be read while somebody writes it. So what it does not say any more of passwords and
 * client certificates makes it no good at a later time; what it says in so many words does.
 */
#ifndef APP_SECURE_FILE_H
#define APP_SECURE_FILE_H

#include "app/web_config.h"
#include "base/clock.h"
#include "tls/context.h"

/* What tells a changed file from the one before; all 0 where there is none. */
struct file_stamp {
	uint64_t device, inode, bytes;
	int64_t changed_s, changed_ns; /* content, or who may read it */
};

/* The files that a configuration names, as they were before they were read. */
struct tls_stamps {
	struct file_stamp certificate, key, client_ca;
};

/* All fields are for reading. */
struct secure_file {
	const char *name; /* for logs and metrics: "web" or "statsd"; constant */
	const char *path; /* borrowed; "" = none, and nothing here does anything */
	enum web_config_use use;
	struct web_config config; /* in force */
	struct web_config found;  /* what the file says when that is not in force; else empty */
	struct tls_source *tls;   /* owned; NULL = no TLS */
	struct file_stamp stamp;
	struct tls_stamps in_force_stamps, found_stamps;
	bool is_outdated; /* there is another certificate for what is in force, but no good one */
	struct mono retry_at; /* when what is not good is tried again though nothing has changed */
	int64_t retry_us;     /* from the last attempt to that; 0 = none has failed */
	uint64_t reloads_ok, reloads_failed;
	bool is_good; /* the files as they are now are in force */
	void (*changed)(void *ctx);
	void *ctx;
};

/**
 * Reads the file for the first time.
 *
 * @file zeroed; name, path, use, and perhaps changed and ctx set: what is called after each reload
 * @return false when it is not good; the diag has why
 */
bool secure_file_open(struct secure_file *file, struct diag *diag) MUST_CHECK;

/** Reads it again. @return whether it is good and in force; else the diag has why */
bool secure_file_reload(struct secure_file *file, struct diag *diag);

/**
 * Reads it again if it has changed, and logs; once a second. What was not good is tried again, too,
 * now and then.
 */
void secure_file_poll(struct secure_file *file);

/** After the last connection was started; others may be open. */
void secure_file_fini(struct secure_file *file);

#endif
