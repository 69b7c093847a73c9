/* Any text is taken or refused with a reason, never half: what is taken is what GnuTLS and http can
 * use. */
#include "app/web_config.h"

#include "base/alloc.h"
#include "http/password.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_taken(const struct web_config *config)
{
	for (size_t i = 0; i < config->header_count; i++)
		CHECK(*config->headers[i].value && !strpbrk(config->headers[i].value, "\r\n"));
	for (size_t i = 0; i < config->user_count; i++) {
		int cost = password_hash_cost(span_text(config->users[i].hash));
		CHECK(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
		CHECK(!strchr(config->users[i].name, ':'));
	}
	if (!config->has_tls)
		return;
	CHECK(config->tls.certificate.path || config->tls.certificate.text);
	CHECK(config->tls.key.path || config->tls.key.text);
	CHECK(config->tls.min_version <= config->tls.max_version);
	struct buf priorities = BUF_INIT;
	tls_settings_add_priorities(&config->tls, &priorities);
	CHECK(!buf_failed(&priorities));
	buf_fini(&priorities);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first byte says what the file is for. */
	if (size == 0)
		return 0;
	struct web_config config;
	struct diag diag = DIAG_INIT;
	struct span text = span_of((const char *)data + 1, size - 1);
	enum web_config_use use = data[0] & 1 ? WEB_CONFIG_TLS_ONLY : WEB_CONFIG_HTTP;
	if (web_config_parse("dir/file.yml", text, use, &config, &diag))
		check_taken(&config);
	else
		CHECK(diag.errors > 0);
	web_config_fini(&config);
	diag_fini(&diag);
	return 0;
}
