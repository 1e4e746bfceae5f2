/* SPDX-License-Identifier: MIT
 * Counter-based random numbers, Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", 2011). A number depends only on (seed, stream, index), never on who asks or in which
 * order, so results do not depend on threads and nothing has to be saved to resume.
 */
#ifndef LSTM_BASE_RANDOM_H
#define LSTM_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The four 32-bit words of block `index`. */
void lstm__random_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);

/* Combine two numbers into a stream number (layer and update, epoch and purpose). */
uint64_t lstm__random_stream(uint64_t a, uint64_t b);

/* Uniform in [0, 1) with 53 bits; standard normal (Box and Muller); uniform integer in [0, bound),
 * bound > 0. */
double lstm__random_uniform(uint64_t seed, uint64_t stream, uint64_t index);
double lstm__random_normal(uint64_t seed, uint64_t stream, uint64_t index);
uint64_t lstm__random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t bound);

/* Put a permutation of 0 .. count-1 into order (Fisher and Yates). */
void lstm__random_permutation(uint64_t seed, uint64_t stream, uint64_t *order, size_t count);

#endif
