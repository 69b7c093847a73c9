/*
 * tls/secret - digests that only who has the key can make.
 */
#ifndef TLS_SECRET_H
#define TLS_SECRET_H

#include "base/span.h"

struct secret_key {
	unsigned char bytes[32];
};

struct secret_digest {
	unsigned char bytes[32];
};

/** @return a key that nobody can guess */
struct secret_key secret_key_new(void);

/** HMAC-SHA256 over the parts, each with its length. */
struct secret_digest secret_digest(const struct secret_key *key, const struct span *parts,
				   size_t count);

/** Overwrites memory that held something secret. */
void secret_wipe(void *bytes, size_t len);

#endif
