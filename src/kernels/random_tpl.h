/* SPDX-License-Identifier: MIT
 *
 * Factors drawn at random, for dropout and zoneout: the words of base/random.h (Philox4x32-10),
 * BLOCKS blocks side by side, so that the compiler makes vectors of them. The words, and so the bits
 * of what is drawn, are those of lstm__random_block at every level.
 */
#ifndef LSTM_KERNELS_RANDOM_TPL_H
#define LSTM_KERNELS_RANDOM_TPL_H

/* Blocks that are computed together. */
enum { BLOCKS = 16 };

/* words[k] of blocks [index, index + BLOCKS). */
static INLINE void random_blocks(const lstm__draw *d, uint64_t index, uint32_t words[4][BLOCKS])
{
    uint32_t key_0 = (uint32_t)d->seed;
    uint32_t key_1 = (uint32_t)(d->seed >> 32);
    uint32_t *const x0 = words[0];
    uint32_t *const x1 = words[1];
    uint32_t *const x2 = words[2];
    uint32_t *const x3 = words[3];
    for (size_t k = 0; k < BLOCKS; k++) {
        x0[k] = (uint32_t)(index + k);
        x1[k] = (uint32_t)((index + k) >> 32);
        x2[k] = (uint32_t)d->stream;
        x3[k] = (uint32_t)(d->stream >> 32);
    }
    for (int round = 0; round < 10; round++) {
        for (size_t k = 0; k < BLOCKS; k++) {
            const uint64_t product_0 = (uint64_t)0xD2511F53u * x0[k];
            const uint64_t product_1 = (uint64_t)0xCD9E8D57u * x2[k];
            x0[k] = (uint32_t)(product_1 >> 32) ^ x1[k] ^ key_0;
            x1[k] = (uint32_t)product_1;
            x2[k] = (uint32_t)(product_0 >> 32) ^ x3[k] ^ key_1;
            x3[k] = (uint32_t)product_0;
        }
        key_0 += 0x9E3779B9u;
        key_1 += 0xBB67AE85u;
    }
}

static void draw_factors(const lstm__draw *d, size_t count, real *to)
{
    /* words below it are drawn: at most 2^32 of them */
    const uint64_t limit = (uint64_t)ceil(d->rate * 4294967296.0);
    const uint32_t last = (uint32_t)(limit - 1);
    const real drawn = d->drawn;
    const real other = d->other;
    uint32_t words[4][BLOCKS];
    if (limit == 0) {
        for (size_t k = 0; k < count; k++)
            to[k] = other;
        return;
    }
    for (size_t first = 0; first < count; first += 4 * BLOCKS) {
        real factors[4 * BLOCKS];
        const size_t left = count - first;
        real *const here = left < 4 * BLOCKS ? factors : to + first;
        random_blocks(d, d->block + first / 4, words);
        for (size_t k = 0; k < BLOCKS; k++)
            for (size_t w = 0; w < 4; w++)
                here[4 * k + w] = words[w][k] <= last ? drawn : other;
        for (size_t k = 0; here == factors && k < left; k++)
            to[first + k] = factors[k];
    }
}

#endif
