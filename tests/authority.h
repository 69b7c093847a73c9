/* Certificates for tests and benchmarks, made with GnuTLS when they are needed. */
#ifndef TESTS_AUTHORITY_H
#define TESTS_AUTHORITY_H

#include "base/check.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

struct issued {
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t private_key;
	gnutls_datum_t certificate_pem, key_pem; /* texts with their NUL */
};

/*
 * A certificate of the authority, or an authority of its own where that is NULL. It is good for
 * localhost and 127.0.0.1, from yesterday to tomorrow.
 *
 * @purpose GNUTLS_KP_TLS_WWW_SERVER or _CLIENT
 */
static inline struct issued
authority_issue(const struct issued *authority, const char *name, const char *purpose,
		gnutls_pk_algorithm_t algorithm)
{
	static unsigned char serial = 0;
	static const unsigned char loopback[4] = {127, 0, 0, 1};
	struct issued out;
	unsigned bits =
	    algorithm == GNUTLS_PK_RSA ? 2048 : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
	CHECK(gnutls_x509_privkey_init(&out.private_key) == 0);
	CHECK(gnutls_x509_privkey_generate(out.private_key, algorithm, bits, 0) == 0);
	CHECK(gnutls_x509_crt_init(&out.certificate) == 0);
	gnutls_x509_crt_t crt = out.certificate;
	serial++;
	CHECK(gnutls_x509_crt_set_version(crt, 3) == 0);
	CHECK(gnutls_x509_crt_set_serial(crt, &serial, 1) == 0);
	CHECK(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
					    (unsigned)strlen(name)) == 0);
	CHECK(gnutls_x509_crt_set_activation_time(crt, time(NULL) - DAY_S) == 0);
	CHECK(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + DAY_S) == 0);
	CHECK(gnutls_x509_crt_set_key(crt, out.private_key) == 0);
	CHECK(gnutls_x509_crt_set_basic_constraints(crt, authority == NULL, -1) == 0);
	if (authority) {
		CHECK(gnutls_x509_crt_set_key_purpose_oid(crt, purpose, 0) == 0);
		CHECK(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "localhost", 9,
							   GNUTLS_FSAN_SET) == 0);
		CHECK(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, loopback,
							   sizeof(loopback),
							   GNUTLS_FSAN_APPEND) == 0);
	}
	CHECK(gnutls_x509_crt_sign2(crt, authority ? authority->certificate : crt,
				    authority ? authority->private_key : out.private_key,
				    GNUTLS_DIG_SHA256, 0) == 0);
	CHECK(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out.certificate_pem) == 0);
	CHECK(gnutls_x509_privkey_export2(out.private_key, GNUTLS_X509_FMT_PEM, &out.key_pem) == 0);
	return out;
}

static inline void
issued_fini(struct issued *issued)
{
	gnutls_x509_crt_deinit(issued->certificate);
	gnutls_x509_privkey_deinit(issued->private_key);
	gnutls_free(issued->certificate_pem.data);
	gnutls_free(issued->key_pem.data);
}

#endif
