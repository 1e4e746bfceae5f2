/* SPDX-License-Identifier: MIT
 *
 * Access to n <= LANES elements, for kernels whose body is written once for whole vectors (n is the
 * constant LANES and the comparison disappears) and for the tail.
 */
#ifndef LSTM_KERNELS_ACCESS_TPL_H
#define LSTM_KERNELS_ACCESS_TPL_H

#define INLINE inline __attribute__((always_inline))
#define OUT_OF_LINE __attribute__((noinline))

static INLINE V get(const real *p, size_t n)
{
    return n == LANES ? vload(p) : vload_part(p, n);
}

static INLINE void put(real *p, V v, size_t n)
{
    if (n == LANES)
        vstore(p, v);
    else
        vstore_part(p, v, n);
}

/* Run `statement` for every vector of an array of `count` elements, k being its place and n its
 * length. */
#define FOR_EACH_VECTOR(count, statement)          \
    do {                                           \
        size_t k = 0;                              \
        for (; k + LANES <= (count); k += LANES) { \
            enum { n = LANES };                    \
            statement;                             \
        }                                          \
        if (k < (count)) {                         \
            const size_t n = (count)-k;            \
            statement;                             \
        }                                          \
    } while (0)

#endif
