/*
 * app/web_config - the file of --web.config.file, in the format of the Prometheus exporters'
 * toolkit, and that of --statsd.tls-config-file, which has its tls_server_config alone.
 *
 * What the toolkit takes is taken, with these differences: a client_auth_type that verifies needs
 * an authority, a text and a file for the same exclude each other, settings of TLS need a
 * certificate, cipher_suites must name one that max_version has, passwords may cost 2^16 rounds at
 * most, rate_limit is refused, and http2 has no effect, since HTTP/2 is not spoken.
 */
#ifndef APP_WEB_CONFIG_H
#define APP_WEB_CONFIG_H

#include "base/check.h"
#include "base/diag.h"
#include "http/server.h"
#include "tls/settings.h"

/* What a file may hold. */
enum web_config_use { WEB_CONFIG_HTTP, WEB_CONFIG_TLS_ONLY };

#define WEB_CONFIG_BYTES_MAX (1 << 20)

struct web_config {
	bool has_tls;
	bool has_client_auth;        /* the file says it, be it NoClientCert */
	struct tls_settings tls;     /* relative paths made relative to the file's folder */
	struct http_header *headers; /* owned array of owned texts */
	size_t header_count;
	struct http_user *users; /* owned array of owned texts; NULL = the file does not say */
	size_t user_count;
};

/**
 * Reads a file, but not yet the certificates that it names.
 *
 * @path   borrowed for the life of the diag
 * @config filled in any case; freed with web_config_fini()
 * @return whether it is good; else the diag has the errors, with their places
 */
bool web_config_read(const char *path, enum web_config_use use, struct web_config *config,
		     struct diag *diag) MUST_CHECK;
/** The same, for a text. @path also says where relative paths begin */
bool web_config_parse(const char *path, struct span text, enum web_config_use use,
		      struct web_config *config, struct diag *diag) MUST_CHECK;
void web_config_fini(struct web_config *config);

#endif
