/* Doubles drawn from a sequence that is the same in each run. */
#ifndef TESTS_METRICS_RANDOM_H
#define TESTS_METRICS_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* @return a double from 0 up to 1; `random` is where the sequence stands */
static inline double
random_double(uint64_t *random)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(*random >> 11) * 0x1p-53;
}

/* A finite double of any bits. */
static inline double
random_bits(uint64_t *random)
{
	double value;
	do {
		uint64_t bits = (uint64_t)(random_double(random) * 0x1p32) << 32;
		bits |= (uint64_t)(random_double(random) * 0x1p32);
		memcpy(&value, &bits, sizeof(value));
	} while (!isfinite(value));
	return value;
}

#endif
