#include "app/secure_file.h"

#include "base/log.h"

#include <string.h>
#include <sys/stat.h>

/*
 * Not each change shows: a file server may keep it back, or it was not the file that was wrong, as
 * when there are no descriptors. So what is not good is tried again, after times that double.
 */
#define RETRY_US (5 * 1000000)
#define RETRY_US_MAX (64 * RETRY_US)

static struct file_stamp
stamp_of(const char *path)
{
	struct stat info;
	if (!path || stat(path, &info) != 0)
		return (struct file_stamp){0};
	return (struct file_stamp){info.st_dev, info.st_ino, (uint64_t)info.st_size,
				   info.st_ctim.tv_sec, info.st_ctim.tv_nsec};
}

static struct tls_stamps
tls_stamps_of(const struct tls_settings *tls)
{
	return (struct tls_stamps){stamp_of(tls->certificate.path), stamp_of(tls->key.path),
				   stamp_of(tls->client_ca.path)};
}

static bool
is_same(const struct tls_stamps *a, const struct tls_stamps *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Reads the file itself. Each file is looked at before it is read, so that a change in between is
 * seen later. */
static bool
read_file(struct secure_file *file, struct diag *diag)
{
	web_config_fini(&file->found);
	file->stamp = stamp_of(file->path);
	bool is_good = web_config_read(file->path, file->use, &file->found, diag);
	file->found_stamps = tls_stamps_of(&file->found.tls);
	return is_good;
}

/* @wrong NULL = none of the three. @return its key */
static const char *
key_of(const struct tls_settings *tls, const struct tls_pem *wrong)
{
	if (!wrong)
		return "tls_server_config";
	if (wrong == &tls->certificate)
		return wrong->path ? "tls_server_config.cert_file" : "tls_server_config.cert";
	if (wrong == &tls->key)
		return wrong->path ? "tls_server_config.key_file" : "tls_server_config.key";
	return wrong->path ? "tls_server_config.client_ca_file" : "tls_server_config.client_ca";
}

/* Reads what the file names. @context set when there is TLS; else NULL. @diag NULL = not told */
static bool
read_certificates(const struct secure_file *file, const struct web_config *config,
		  struct tls_context **context, struct diag *diag)
{
	struct buf error = BUF_INIT;
	const struct tls_pem *wrong = NULL;
	*context = config->has_tls ? tls_context_new(&config->tls, &error, &wrong) : NULL;
	struct diag_place at = {.file = file->path};
	/* What is in force stood there in a file that may be another one by now. */
	if (wrong && config == &file->found) {
		at.line = wrong->line;
		at.column = wrong->column;
	}
	if (error.len && diag)
		diag_error(diag, at, key_of(&config->tls, wrong), "%s", buf_text(&error));
	buf_fini(&error);
	return *context || !config->has_tls;
}

/* What was found is what is in force. @return what was before; its owner is the caller */
static struct web_config
adopt(struct secure_file *file)
{
	struct web_config before = file->config;
	file->config = file->found;
	file->in_force_stamps = file->found_stamps;
	file->is_outdated = false;
	file->found = (struct web_config){0};
	file->found_stamps = (struct tls_stamps){0};
	return before;
}

bool
secure_file_open(struct secure_file *file, struct diag *diag)
{
	struct tls_context *context;
	if (!*file->path)
		return true;
	file->is_good =
	    read_file(file, diag) && read_certificates(file, &file->found, &context, diag);
	if (!file->is_good)
		return false;
	adopt(file); /* nothing was before */
	if (context)
		file->tls = tls_source_new(context);
	return true;
}

/* Whether the listeners speak TLS cannot change while they are open. */
static bool
check_same_kind(const struct secure_file *file, struct diag *diag)
{
	if (file->found.has_tls == (file->tls != NULL))
		return true;
	diag_error(diag, (struct diag_place){.file = file->path}, "tls_server_config",
		   "can only be added or taken away by a restart");
	return false;
}

/* Each lock in force must be in the file, too, or said to be gone: half of a file does neither. */
static bool
check_locks(const struct secure_file *file, struct diag *diag)
{
	const struct web_config *now = &file->config, *next = &file->found;
	struct diag_place whole = {.file = file->path};
	size_t errors = diag->errors;
	if (now->user_count && !next->users)
		diag_error(diag, whole, "basic_auth_users",
			   "has gone, and passwords stay; \"basic_auth_users: {}\" or a restart "
			   "takes them away");
	if (now->tls.client_auth >= TLS_CLIENT_REQUIRE_ANY && !next->has_client_auth)
		diag_error(diag, whole, "tls_server_config.client_auth_type",
			   "has gone, and what is demanded of clients stays; \"client_auth_type: "
			   "NoClientCert\" or a restart takes it away");
	/* Nothing else can have names. */
	if (now->tls.san_count && !next->tls.san_count &&
	    tls_demands_certificate(next->tls.client_auth))
		diag_error(diag, whole, "tls_server_config.client_allowed_sans",
			   "has gone, and the names stay; only a restart takes them away");
	return diag->errors == errors;
}

/* Another certificate for what is in force, if there is one, while the file itself is not good. */
static void
renew_certificate(struct secure_file *file, struct diag *diag)
{
	struct tls_context *context;
	struct tls_stamps now = tls_stamps_of(&file->config.tls);
	file->is_outdated |= !is_same(&now, &file->in_force_stamps);
	file->in_force_stamps = now;
	if (!file->is_outdated || !read_certificates(file, &file->config, &context, diag))
		return;
	file->is_outdated = false;
	tls_source_exchange(file->tls, context);
	log_info("certificate of the web configuration in force exchanged",
		 LOG_TEXT("file", file->path));
}

static void
put_in_force(struct secure_file *file, struct tls_context *context)
{
	struct web_config before = adopt(file);
	file->reloads_ok++;
	file->retry_us = 0;
	if (context)
		tls_source_exchange(file->tls, context);
	if (file->changed)
		file->changed(file->ctx);
	web_config_fini(&before);
	log_info("web configuration reloaded", LOG_TEXT("file", file->path));
}

static void
reject(struct secure_file *file)
{
	file->reloads_failed++;
	if (!file->retry_us)
		file->retry_us = RETRY_US;
	else if (file->retry_us < RETRY_US_MAX)
		file->retry_us *= 2;
	file->retry_at.us = clock_mono().us + file->retry_us;
	log_error("web configuration not reloaded; what was in force stays",
		  LOG_TEXT("file", file->path));
}

bool
secure_file_reload(struct secure_file *file, struct diag *diag)
{
	struct tls_context *context;
	if (!*file->path)
		return true;
	bool is_usable =
	    read_file(file, diag) && check_same_kind(file, diag) && check_locks(file, diag);
	file->is_good = is_usable && read_certificates(file, &file->found, &context, diag);
	if (file->is_good) {
		put_in_force(file, context);
	} else {
		/* Which certificates the file would have is told already, if it would. */
		renew_certificate(file, is_usable ? NULL : diag);
		reject(file);
	}
	return file->is_good;
}

static bool
has_changed(const struct secure_file *file)
{
	struct file_stamp own = stamp_of(file->path);
	struct tls_stamps in_force = tls_stamps_of(&file->config.tls);
	struct tls_stamps found = tls_stamps_of(&file->found.tls);
	return memcmp(&own, &file->stamp, sizeof(own)) != 0 ||
	       !is_same(&in_force, &file->in_force_stamps) || !is_same(&found, &file->found_stamps);
}

void
secure_file_poll(struct secure_file *file)
{
	if (!*file->path)
		return;
	if (has_changed(file))
		file->retry_us = 0;
	else if (file->is_good || clock_mono().us < file->retry_at.us)
		return;
	struct diag diag = DIAG_INIT;
	secure_file_reload(file, &diag);
	diag_log("web configuration", &diag);
	diag_fini(&diag);
}

void
secure_file_fini(struct secure_file *file)
{
	tls_source_free(&file->tls);
	web_config_fini(&file->config);
	web_config_fini(&file->found);
}
