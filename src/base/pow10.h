/*
 * base/pow10 - the powers of ten with 128 significant bits, for base/number only.
 *
 * Filled by exact integer arithmetic before main() starts, read-only afterwards.
 */
#ifndef BASE_POW10_H
#define BASE_POW10_H

#include <stdint.h>

/* The parser's needs: 64-bit digits times 10^-343 round to zero. */
#define POW10_MIN (-342)
/* The formatter's needs: the smallest subnormal is scaled by 10^324. */
#define POW10_MAX 324
/* From 10^0 to here all bits fit, since 5^55 < 2^128; elsewhere the mantissa is cut off. */
#define POW10_EXACT_MAX 55

/* The mantissa: 2^127 <= high:low < 2^128, so 10^k is (high:low) * 2^(pow10_log2(k) - 127). */
struct pow10 {
	uint64_t high, low;
};

extern struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

/** @k POW10_MIN to POW10_MAX. @return the mantissa of 10^k, rounded down */
static inline struct pow10
pow10_get(int k)
{
	return pow10_table[k - POW10_MIN];
}

/** @k POW10_MIN to POW10_MAX. @return floor(log2(10^k)); 1741647 is log2(10) in units of 2^-19 */
static inline int
pow10_log2(int k)
{
	return (k * 1741647) >> 19;
}

#endif
