/*
 * 10^k and 5^k have the same mantissa. Positive powers are products; negative ones come from
 * dividing 2^960 by 5 again and again: the floor of a floor is the floor of the whole quotient, and
 * after 342 divisions 165 bits are left, of which the first 128 are kept.
 */
#include "base/pow10.h"

#include <stddef.h>

#define LIMBS 31 /* of 32 bits; holds 2^960 and 5^324 */

struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

static void
multiply_by_5(uint32_t *limbs)
{
	uint64_t carry = 0;
	for (size_t i = 0; i < LIMBS; i++) {
		carry += (uint64_t)limbs[i] * 5;
		limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

static void
divide_by_5(uint32_t *limbs)
{
	uint64_t rest = 0;
	for (size_t i = LIMBS; i-- > 0;) {
		rest = rest << 32 | limbs[i];
		limbs[i] = (uint32_t)(rest / 5);
		rest %= 5;
	}
}

/* The 128 bits from the highest set one on. */
static struct pow10
leading_bits(const uint32_t *limbs)
{
	size_t top = LIMBS - 1;
	while (!limbs[top])
		top--;
	uint32_t word[5] = {0};
	for (size_t i = 0; i < 5 && i <= top; i++)
		word[i] = limbs[top - i];
	int shift = __builtin_clz(word[0]);
	unsigned __int128 bits = (unsigned __int128)word[0] << 96 |
				 (unsigned __int128)word[1] << 64 | (uint64_t)word[2] << 32 |
				 word[3];
	bits <<= shift;
	bits |= (uint64_t)word[4] << shift >> 32;
	return (struct pow10){(uint64_t)(bits >> 64), (uint64_t)bits};
}

__attribute__((constructor)) static void
fill_table(void)
{
	uint32_t power[LIMBS] = {1};
	for (int k = 0; k <= POW10_MAX; k++) {
		pow10_table[k - POW10_MIN] = leading_bits(power);
		multiply_by_5(power);
	}
	uint32_t quotient[LIMBS] = {[LIMBS - 1] = 1};
	for (int k = -1; k >= POW10_MIN; k--) {
		divide_by_5(quotient);
		pow10_table[k - POW10_MIN] = leading_bits(quotient);
	}
}
