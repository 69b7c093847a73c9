#include "base/hash.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* XXH3 wants at least XXH3_SECRET_SIZE_MIN (136) bytes; 192 is its own default size. */
#define SECRET_LEN 192
_Static_assert(SECRET_LEN >= XXH3_SECRET_SIZE_MIN, "secret too short for XXH3");

/* Not zero: XXH3 multiplies with the secret. Overwritten by hash_init(). */
static unsigned char secret[SECRET_LEN] = "statsbridge: a fixed key for tests, one that has bits set "
					  "in most places; hash_init() replaces all of it. 0123456789 "
					  "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ #@|:";

void
hash_init(void)
{
	size_t have = 0;
	while (have < sizeof(secret)) {
		ssize_t n = getrandom(secret + have, sizeof(secret) - have, 0);
		CHECK(n > 0 || errno == EINTR);
		if (n > 0)
			have += (size_t)n;
	}
}

struct hash128
hash_bytes128(const void *bytes, size_t len)
{
	XXH128_hash_t h = XXH3_128bits_withSecret(bytes, len, secret, sizeof(secret));
	return (struct hash128){h.low64, h.high64};
}

uint64_t
hash_bytes64(const void *bytes, size_t len)
{
	return XXH3_64bits_withSecret(bytes, len, secret, sizeof(secret));
}
