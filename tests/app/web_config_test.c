#include "test.h"

#include "app/web_config.h"

#define HASH "$2y$10$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO"
#define PATH "/etc/bridge/web.yml"

static const char *
first_error(const struct diag *diag)
{
	for (size_t i = 0; i < diag->count; i++)
		if (diag->messages[i].is_error)
			return diag->messages[i].text;
	return "none";
}

static void
test_parse__everything(void **state)
{
	(void)state;
	static const char text[] =
	    "tls_server_config:\n"
	    "  cert_file: tls/crt.pem\n"
	    "  key_file: /secret/key.pem\n"
	    "  client_ca_file: ca.pem\n"
	    "  client_auth_type: RequireAndVerifyClientCert\n"
	    "  client_allowed_sans: [a.example, 10.0.0.1]\n"
	    "  min_version: TLS13\n"
	    "  max_version: TLS13\n"
	    "  cipher_suites: [TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, "
	    "TLS_AES_256_GCM_SHA384]\n"
	    "  curve_preferences: [X25519]\n"
	    "  prefer_server_cipher_suites: false\n"
	    "basic_auth_users: {a: " HASH ", b: " HASH "}\n"
	    "http_server_config:\n"
	    "  http2: true\n"
	    "  headers:\n"
	    "    X-Frame-Options: deny\n"
	    "    X-XSS-Protection: ''\n"
	    "    Content-Security-Policy: default-src 'self'\n";
	struct web_config config;
	struct diag diag = DIAG_INIT;
	if (!web_config_parse(PATH, span_text(text), WEB_CONFIG_HTTP, &config, &diag))
		fail_msg("%s", first_error(&diag));
	assert_true(config.has_tls);
	assert_string_equal(config.tls.certificate.path, "/etc/bridge/tls/crt.pem");
	assert_string_equal(config.tls.key.path, "/secret/key.pem");
	assert_string_equal(config.tls.client_ca.path, "/etc/bridge/ca.pem");
	assert_int_equal(config.tls.client_auth, TLS_CLIENT_REQUIRE_AND_VERIFY);
	assert_true(config.has_client_auth);
	assert_int_equal(config.tls.san_count, 2);
	assert_string_equal(config.tls.allowed_sans[1], "10.0.0.1");
	assert_int_equal(config.header_count, 2);
	assert_string_equal(config.headers[1].name, "Content-Security-Policy");
	assert_int_equal(config.user_count, 2);
	assert_string_equal(config.users[1].name, "b");
	assert_string_equal(config.users[1].hash, HASH);
	assert_int_equal(config.tls.suites.count, 2);
	assert_int_equal(config.tls.suites.items[0],
			 tls_name_find(TLS_SUITES, SPAN("TLS_AES_256_GCM_SHA384")));
	struct buf priorities = BUF_INIT;
	tls_settings_add_priorities(&config.tls, &priorities);
	assert_string_equal(buf_text(&priorities),
			    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA"
			    ":-GROUP-ALL:+GROUP-X25519");
	assert_false(tls_settings_add_older_priorities(&config.tls, &priorities));
	buf_fini(&priorities);
	web_config_fini(&config);
	diag_fini(&diag);
}

static void
test_parse__nothing(void **state)
{
	(void)state;
	static const char *const texts[] = {"",
					    "# nothing\n",
					    "{}",
					    "tls_server_config:\n",
					    "tls_server_config: {}\nhttp_server_config: {}\n",
					    "basic_auth_users:\n"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct web_config config;
		struct diag diag = DIAG_INIT;
		assert_true(
		    web_config_parse(PATH, span_text(texts[i]), WEB_CONFIG_HTTP, &config, &diag));
		assert_false(config.has_tls);
		assert_false(config.has_client_auth);
		assert_null(config.users);
		assert_int_equal(config.header_count, 0);
		web_config_fini(&config);
		diag_fini(&diag);
	}
}

#define TLS "tls_server_config:\n  cert_file: c\n  key_file: k\n"

/* As a template leaves it that had nothing to put there: the same as no such key. */
static void
test_parse__empty_client_auth(void **state)
{
	(void)state;
	struct web_config config;
	struct diag diag = DIAG_INIT;
	assert_true(web_config_parse(PATH, SPAN(TLS "  client_auth_type: \"\"\n"), WEB_CONFIG_HTTP,
				     &config, &diag));
	assert_false(config.has_client_auth);
	assert_int_equal(config.tls.client_auth, TLS_CLIENT_NONE);
	web_config_fini(&config);
	diag_fini(&diag);
}

/* Nobody and nothing, in so many words. */
static void
test_parse__said(void **state)
{
	(void)state;
	static const char text[] = TLS "  client_auth_type: NoClientCert\nbasic_auth_users: {}\n";
	struct web_config config;
	struct diag diag = DIAG_INIT;
	assert_true(web_config_parse(PATH, span_text(text), WEB_CONFIG_HTTP, &config, &diag));
	assert_true(config.has_client_auth);
	assert_int_equal(config.tls.client_auth, TLS_CLIENT_NONE);
	assert_non_null(config.users);
	assert_int_equal(config.user_count, 0);
	web_config_fini(&config);
	diag_fini(&diag);
}

#define NEEDS_CERTIFICATES                                                    \
	"tls_server_config.client_allowed_sans: needs a client_auth_type of " \
	"RequireAnyClientCert or RequireAndVerifyClientCert"

static void
test_parse__errors(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum web_config_use use;
		const char *error;
	} rows[] = {
	    {"tls_sever_config: {}", 0,
	     PATH ":1:1: unknown key \"tls_sever_config\"; did you mean \"tls_server_config\"?"},
	    {"rate_limit: {interval: 1s, burst: 20}", 0,
	     PATH ":1:13: rate_limit: not taken: connections and wrong passwords have limits for "
		  "each address, and scrapes that come together share their work"},
	    {TLS "  min_verion: TLS12\n", 0,
	     PATH ":4:3: tls_server_config: unknown key \"min_verion\"; did you mean "
		  "\"min_version\"?"},
	    {TLS "  min_version: TLS14\n", 0,
	     PATH ":4:16: tls_server_config.min_version: unknown name \"TLS14\"; did you mean "
		  "\"TLS10\"?"},
	    {TLS "  min_version: x\n", 0,
	     PATH ":4:16: tls_server_config.min_version: unknown name \"x\"; one of TLS10, TLS11, "
		  "TLS12, TLS13"},
	    {TLS "  min_version: TLS13\n  max_version: TLS12\n", 0,
	     PATH ":1:1: tls_server_config: min_version is above max_version"},
	    {TLS "  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", 0,
	     PATH ":1:1: tls_server_config: cipher_suites has names of TLS 1.3 only, which is "
		  "above max_version"},
	    {TLS "  cipher_suites: [TLS_AES_128_GCM_SHA265]\n", 0,
	     PATH
	     ":4:19: tls_server_config.cipher_suites: unknown name \"TLS_AES_128_GCM_SHA265\"; "
	     "did you mean \"TLS_AES_128_GCM_SHA256\"?"},
	    {TLS "  cipher_suites: TLS_AES_128_GCM_SHA256\n", 0,
	     PATH ":4:18: tls_server_config.cipher_suites: expected a list of names, got "
		  "\"TLS_AES_128_GCM_SHA256\""},
	    {TLS "  client_ca_file: x\n", 0,
	     PATH ":1:1: tls_server_config: client_ca_file has no effect without a "
		  "client_auth_type"},
	    {TLS "  client_auth_type: VerifyClientCertIfGiven\n", 0,
	     PATH ":4:21: tls_server_config.client_auth_type: needs client_ca_file"},
	    {TLS "  client_allowed_sans: [x]\n", 0, PATH ":4:24: " NEEDS_CERTIFICATES},
	    {TLS "  client_allowed_sans: []\n", 0, PATH ":4:24: " NEEDS_CERTIFICATES},
	    {TLS "  client_allowed_sans: [x]\n  client_auth_type: RequestClientCert\n", 0,
	     PATH ":4:24: " NEEDS_CERTIFICATES},
	    {TLS "  client_allowed_sans: [x]\n  client_auth_type: VerifyClientCertIfGiven\n"
		 "  client_ca_file: x\n",
	     0, PATH ":4:24: " NEEDS_CERTIFICATES},
	    {TLS "  client_allowed_sans: []\n  client_auth_type: RequireAnyClientCert\n", 0,
	     PATH ":4:24: tls_server_config.client_allowed_sans: lets nobody in when it is empty"},
	    {TLS "  cert: x\n", 0,
	     PATH ":1:1: tls_server_config: cert and cert_file exclude each other"},
	    {TLS "  prefer_server_cipher_suites: 'true'\n", 0,
	     PATH
	     ":4:32: tls_server_config.prefer_server_cipher_suites: expected true or false, got "
	     "the text \"true\""},
	    {"tls_server_config:\n  key_file: k\n", 0,
	     PATH ":1:1: tls_server_config: needs cert_file"},
	    {"tls_server_config: [a]\n", 0,
	     PATH ":1:20: tls_server_config: expected a mapping, got a list"},
	    {"http_server_config: {headers: {Server: x}}", 0,
	     PATH ":1:32: http_server_config.headers: unknown key \"Server\""},
	    {"http_server_config: {headers: {X-Frame-Options: no}}", 0,
	     PATH
	     ":1:49: http_server_config.headers.X-Frame-Options: expected deny or sameorigin, got "
	     "\"no\""},
	    {"http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}", 0,
	     PATH
	     ":1:50: http_server_config.headers.X-XSS-Protection: expected a text of at most 4096 "
	     "printable characters, got the text \"a\\x0ab\""},
	    {"basic_auth_users: {a: plain}", 0,
	     PATH ":1:23: basic_auth_users.\"a\": expected a bcrypt hash such as $2y$10$..., as "
		  "htpasswd "
		  "-nBC 10 '' makes it"},
	    {"basic_auth_users: {a: $2y$31$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO}",
	     0,
	     PATH ":1:23: basic_auth_users.\"a\": the cost of a hash must be 4 to 16; more takes "
		  "seconds "
		  "for each password"},
	    {"basic_auth_users: {'a:b': " HASH "}", 0,
	     PATH ":1:27: basic_auth_users.\"a:b\": a user's name has 1 to 256 bytes and no colon"},
	    {"basic_auth_users: [a]", 0,
	     PATH
	     ":1:19: basic_auth_users: expected a mapping of names to bcrypt hashes, got a list"},
	    {"- a", 0, PATH ":1:1: expected a mapping"},
	    {TLS "http_server_config: {}", WEB_CONFIG_TLS_ONLY,
	     PATH ":4:1: http_server_config: only --web.config.file takes this"},
	    {"", WEB_CONFIG_TLS_ONLY, PATH ": needs tls_server_config"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct web_config config;
		struct diag diag = DIAG_INIT;
		assert_false(
		    web_config_parse(PATH, span_text(rows[i].text), rows[i].use, &config, &diag));
		assert_string_equal(first_error(&diag), rows[i].error);
		web_config_fini(&config);
		diag_fini(&diag);
	}
}

static void
test_read__no_file(void **state)
{
	(void)state;
	struct web_config config;
	struct diag diag = DIAG_INIT;
	assert_false(web_config_read("/does/not/exist", WEB_CONFIG_HTTP, &config, &diag));
	assert_string_equal(first_error(&diag),
			    "/does/not/exist: cannot read: No such file or directory");
	web_config_fini(&config);
	diag_fini(&diag);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__everything),
	    cmocka_unit_test(test_parse__nothing),
	    cmocka_unit_test(test_parse__empty_client_auth),
	    cmocka_unit_test(test_parse__said),
	    cmocka_unit_test(test_parse__errors),
	    cmocka_unit_test(test_read__no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
