#include "app/secure_file.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct file_stamp
stamp_of(const char *path)
{
	struct stat info;
	if (!path || stat(path, &info) != 0)
		return (struct file_stamp){0};
	return (struct file_stamp){info.st_dev, info.st_ino, (uint64_t)info.st_size,
				   info.st_ctim.tv_sec, info.st_ctim.tv_nsec};
}

/* Watches the files that a configuration names. */
static void
watch(struct secure_file *file, const struct web_config *config)
{
	const char *paths[SECURE_FILE_PARTS] = {file->path, config->tls.certificate.path,
						config->tls.key.path, config->tls.client_ca.path};
	/* The first one was looked at before it was read. */
	for (size_t i = 1; i < SECURE_FILE_PARTS; i++) {
		free(file->watched[i]);
		file->watched[i] = paths[i] ? xstrdup(paths[i]) : NULL;
		file->stamps[i] = stamp_of(paths[i]);
	}
}

/*
 * Each file is looked at before it is read, so that a change in between is seen later.
 *
 * @context set when there is TLS
 * @return whether all is good
 */
static bool
load(struct secure_file *file, struct web_config *config, struct tls_context **context,
     struct diag *diag)
{
	*context = NULL;
	file->stamps[0] = stamp_of(file->path);
	if (!web_config_read(file->path, file->use, config, diag))
		return false;
	watch(file, config);
	if (!config->has_tls)
		return true;
	struct buf error = BUF_INIT;
	*context = tls_context_new(&config->tls, &error);
	if (!*context)
		diag_error(diag, (struct diag_place){.file = file->path}, "tls_server_config", "%s",
			   buf_text(&error));
	buf_fini(&error);
	return *context != NULL;
}

bool
secure_file_open(struct secure_file *file, struct diag *diag)
{
	struct tls_context *context;
	if (!*file->path)
		return true;
	file->is_good = load(file, &file->config, &context, diag);
	if (context)
		file->tls = tls_source_new(context);
	return file->is_good;
}

/* Whether the listeners speak TLS cannot change while they are open. */
static bool
check_same_kind(const struct secure_file *file, const struct web_config *config, struct diag *diag)
{
	if (config->has_tls == (file->tls != NULL))
		return true;
	diag_error(diag, (struct diag_place){.file = file->path}, "tls_server_config",
		   "can only be added or taken away by a restart");
	return false;
}

bool
secure_file_reload(struct secure_file *file, struct diag *diag)
{
	struct web_config config;
	struct tls_context *context;
	if (!*file->path)
		return true;
	bool is_good = load(file, &config, &context, diag) && check_same_kind(file, &config, diag);
	file->is_good = is_good;
	if (is_good) {
		struct web_config before = file->config;
		file->config = config;
		config = before;
		file->reloads_ok++;
		if (context)
			tls_source_exchange(file->tls, context);
		if (file->changed)
			file->changed(file->ctx);
		log_info("web configuration reloaded", LOG_TEXT("file", file->path));
	} else {
		tls_context_unref(&context);
		file->reloads_failed++;
		log_error("web configuration not reloaded; what was in force stays",
			  LOG_TEXT("file", file->path));
	}
	web_config_fini(&config);
	return is_good;
}

void
secure_file_poll(struct secure_file *file)
{
	bool is_same = true;
	if (!*file->path)
		return;
	for (size_t i = 0; i < SECURE_FILE_PARTS; i++) {
		struct file_stamp now = stamp_of(i ? file->watched[i] : file->path);
		is_same &= memcmp(&now, &file->stamps[i], sizeof(now)) == 0;
	}
	if (is_same)
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
	for (size_t i = 0; i < SECURE_FILE_PARTS; i++)
		free(file->watched[i]);
	web_config_fini(&file->config);
}
