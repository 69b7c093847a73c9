#include "tls/secret.h"

#include "base/check.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

struct secret_key
secret_key_new(void)
{
	struct secret_key key;
	CHECK(gnutls_rnd(GNUTLS_RND_KEY, key.bytes, sizeof(key.bytes)) == 0);
	return key;
}

struct secret_digest
secret_digest(const struct secret_key *key, const struct span *parts, size_t count)
{
	struct secret_digest digest;
	gnutls_hmac_hd_t hmac;
	CHECK(gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, key->bytes, sizeof(key->bytes)) == 0);
	for (size_t i = 0; i < count; i++) {
		CHECK(gnutls_hmac(hmac, &parts[i].len, sizeof(parts[i].len)) == 0);
		CHECK(!parts[i].len || gnutls_hmac(hmac, parts[i].ptr, parts[i].len) == 0);
	}
	gnutls_hmac_deinit(hmac, digest.bytes);
	return digest;
}

void
secret_wipe(void *bytes, size_t len)
{
	if (len)
		gnutls_memset(bytes, 0, len);
}
