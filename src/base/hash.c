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
static struct {
	unsigned char first[SECRET_LEN], second[SECRET_LEN];
} secrets = {"statsbridge: a fixed key for tests, one that has bits set "
	     "in most places; hash_init() replaces all of it. 0123456789 "
	     "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ #@|:",
	     "The second key is for the second of two texts: if both had the same, "
	     "what stands in the one could trade places with what stands in the other. "
	     "zyxwvutsrqponmlkjihgfedcba 9876543210 !$%&()"};

void
hash_init(void)
{
	size_t have = 0;
	while (have < sizeof(secrets)) {
		ssize_t n = getrandom((char *)&secrets + have, sizeof(secrets) - have, 0);
		CHECK(n > 0 || errno == EINTR);
		if (n > 0)
			have += (size_t)n;
	}
}

struct hash128
hash_bytes128(const void *bytes, size_t len)
{
	XXH128_hash_t h = XXH3_128bits_withSecret(bytes, len, secrets.first, SECRET_LEN);
	return (struct hash128){h.low64, h.high64};
}

/* All in one piece: calls between the cases of a length cost as much as a case. */
__attribute__((flatten)) struct hash128
hash_pair128(const void *first, size_t first_len, const void *second, size_t second_len)
{
	XXH128_hash_t a = XXH3_128bits_withSecret(first, first_len, secrets.first, SECRET_LEN);
	XXH128_hash_t b = XXH3_128bits_withSecret(second, second_len, secrets.second, SECRET_LEN);
	return (struct hash128){a.low64 + b.low64, a.high64 + b.high64};
}

struct hash128
hash_pair128_from(struct hash128 first, const void *second, size_t second_len)
{
	XXH128_hash_t b = XXH3_128bits_withSecret(second, second_len, secrets.second, SECRET_LEN);
	return (struct hash128){first.low + b.low64, first.high + b.high64};
}

uint64_t
hash_bytes64(const void *bytes, size_t len)
{
	return XXH3_64bits_withSecret(bytes, len, secrets.first, SECRET_LEN);
}
