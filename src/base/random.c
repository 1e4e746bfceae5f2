/* SPDX-License-Identifier: MIT
 *
 * Philox4x32-10: ten rounds of multiply, swap and key addition on a 128-bit counter with a 64-bit
 * key (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The
 * test compares it with the authors' known answers.
 *
 *     key      seed, low word first
 *     counter  { index low, index high, stream low, stream high }
 *
 * Uniform and normal numbers use one block each, so a number can be asked for alone.
 */
#include "random.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925286766559;

void lstm__random_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4])
{
    uint32_t key_0 = (uint32_t)seed;
    uint32_t key_1 = (uint32_t)(seed >> 32);
    uint32_t x0 = (uint32_t)index;
    uint32_t x1 = (uint32_t)(index >> 32);
    uint32_t x2 = (uint32_t)stream;
    uint32_t x3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t product_0 = (uint64_t)0xD2511F53u * x0;
        const uint64_t product_1 = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(product_1 >> 32) ^ x1 ^ key_0;
        x1 = (uint32_t)product_1;
        x2 = (uint32_t)(product_0 >> 32) ^ x3 ^ key_1;
        x3 = (uint32_t)product_0;
        key_0 += 0x9E3779B9u; /* golden ratio */
        key_1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection, each output bit of which
 * depends on every input bit. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t lstm__random_stream(uint64_t a, uint64_t b)
{
    return mix(mix(a + 0x9E3779B97F4A7C15u) + b + 0x9E3779B97F4A7C15u);
}

static uint64_t word_64(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

double lstm__random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t words[4];
    lstm__random_block(seed, stream, index, words);
    return (double)(word_64(words[0], words[1]) >> 11) * 0x1p-53;
}

double lstm__random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t words[4];
    lstm__random_block(seed, stream, index, words);
    /* (0, 1]: the logarithm is finite */
    const double u = (double)((word_64(words[0], words[1]) >> 11) + 1) * 0x1p-53;
    const double v = (double)(word_64(words[2], words[3]) >> 11) * 0x1p-53;
    return sqrt(-2.0 * log(u)) * cos(TWO_PI * v);
}

uint64_t lstm__random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t bound)
{
    /* 2^64 modulo bound: the numbers from here on divide evenly */
    const uint64_t first = (0 - bound) % bound;
    for (uint64_t attempt = 0;; attempt++) {
        uint32_t words[4];
        lstm__random_block(seed, attempt == 0 ? stream : lstm__random_stream(stream, attempt),
                           index, words);
        const uint64_t x = word_64(words[0], words[1]);
        if (x >= first)
            return x % bound;
        const uint64_t y = word_64(words[2], words[3]);
        if (y >= first)
            return y % bound;
    }
}

void lstm__random_permutation(uint64_t seed, uint64_t stream, uint64_t *order, size_t count)
{
    for (size_t k = 0; k < count; k++)
        order[k] = k;
    for (size_t k = count; k > 1; k--) {
        const size_t other = (size_t)lstm__random_below(seed, stream, k - 1, k);
        const uint64_t moved = order[k - 1];
        order[k - 1] = order[other];
        order[other] = moved;
    }
}
