/* Every name must be one that GnuTLS takes. */
#include "test.h"

#include "tls/settings.h"

#include <gnutls/gnutls.h>

static void
assert_text_taken(struct buf *text)
{
	gnutls_priority_t priorities;
	if (gnutls_priority_init(&priorities, buf_text(text), NULL) != 0)
		fail_msg("GnuTLS does not take %s", buf_text(text));
	gnutls_priority_deinit(priorities);
}

static void
assert_taken(const struct tls_settings *settings)
{
	struct buf text = BUF_INIT, older = BUF_INIT;
	tls_settings_add_priorities(settings, &text);
	assert_text_taken(&text);
	bool has_older = tls_settings_add_older_priorities(settings, &older);
	if (!settings->suites.count)
		assert_false(has_older);
	if (has_older)
		assert_text_taken(&older);
	buf_fini(&text);
	buf_fini(&older);
}

static void
test_priorities__each_name(void **state)
{
	(void)state;
	struct tls_settings settings = tls_settings_new();
	assert_taken(&settings);
	for (size_t i = 0; tls_name(TLS_SUITES, i); i++) {
		settings.suites = (struct tls_choices){{(unsigned char)i}, 1};
		assert_taken(&settings);
		/* Those of TLS 1.3 have no key exchange in their names. */
		bool is_older = strstr(tls_name(TLS_SUITES, i), "_WITH_") != NULL;
		assert_string_equal(tls_name(TLS_VERSIONS, tls_lowest_version(&settings)),
				    is_older ? "TLS12" : "TLS13");
	}
	settings = tls_settings_new();
	for (size_t i = 0; tls_name(TLS_CURVES, i); i++) {
		settings.curves = (struct tls_choices){{(unsigned char)i}, 1};
		assert_taken(&settings);
	}
	settings = tls_settings_new();
	for (unsigned low = 0; tls_name(TLS_VERSIONS, low); low++) {
		for (unsigned high = low; tls_name(TLS_VERSIONS, high); high++) {
			settings.min_version = low;
			settings.max_version = high;
			assert_taken(&settings);
		}
	}
}

/* Of a list, names of TLS 1.3 allow nothing in an older one. */
static void
test_priorities__suites_of_other_versions(void **state)
{
	(void)state;
	struct tls_settings settings = tls_settings_new();
	struct buf text = BUF_INIT;
	int newer = tls_name_find(TLS_SUITES, SPAN("TLS_AES_256_GCM_SHA384"));
	int older = tls_name_find(TLS_SUITES, SPAN("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"));
	assert_true(newer >= 0 && older >= 0);
	settings.suites = (struct tls_choices){{(unsigned char)newer}, 1};
	assert_false(tls_settings_add_older_priorities(&settings, &text));
	tls_settings_add_priorities(&settings, &text);
	assert_non_null(strstr(buf_text(&text), "TLS1.3"));
	assert_null(strstr(buf_text(&text), "TLS1.2"));
	buf_reset(&text);
	settings.suites = (struct tls_choices){{(unsigned char)newer, (unsigned char)older}, 2};
	assert_true(tls_settings_add_older_priorities(&settings, &text));
	assert_non_null(strstr(buf_text(&text), "AES-128-CBC"));
	assert_null(strstr(buf_text(&text), "AES-256-GCM"));
	assert_null(strstr(buf_text(&text), "ECDSA"));
	settings.min_version = 3;
	assert_false(tls_settings_add_older_priorities(&settings, &text));
	assert_int_equal(tls_lowest_version(&settings), 3);
	buf_fini(&text);
}

/* Those of finite fields are dear, and a client may choose the dearest. */
static void
test_priorities__curves_only(void **state)
{
	(void)state;
	struct tls_settings settings = tls_settings_new();
	struct buf text = BUF_INIT;
	gnutls_priority_t priorities;
	const unsigned *groups;
	tls_settings_add_priorities(&settings, &text);
	assert_int_equal(gnutls_priority_init(&priorities, buf_text(&text), NULL), 0);
	int count = gnutls_priority_group_list(priorities, &groups);
	assert_true(count > 0);
	for (int i = 0; i < count; i++)
		if (strstr(gnutls_group_get_name(groups[i]), "FFDHE"))
			fail_msg("%s", gnutls_group_get_name(groups[i]));
	gnutls_priority_deinit(priorities);
	buf_fini(&text);
}

static void
test_name_find(void **state)
{
	(void)state;
	for (unsigned list = 0; list < TLS_NAME_LISTS; list++) {
		for (size_t i = 0; tls_name(list, i); i++) {
			assert_int_equal(tls_name_find(list, span_text(tls_name(list, i))), i);
			assert_true(i < TLS_CHOICES_MAX);
		}
		assert_int_equal(tls_name_find(list, SPAN("nonsense")), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_priorities__each_name),
	    cmocka_unit_test(test_priorities__suites_of_other_versions),
	    cmocka_unit_test(test_priorities__curves_only),
	    cmocka_unit_test(test_name_find),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
