/* SPDX-License-Identifier: MIT
 * Checked size arithmetic. Every size that comes from a file or a caller goes through these.
 */
#ifndef LSTM_BASE_CHECKED_H
#define LSTM_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b or a + b; false, and *out = 0, if that overflows. */
static inline bool lstm__mul(size_t a, size_t b, size_t *out)
{
    if (__builtin_mul_overflow(a, b, out)) {
        *out = 0;
        return false;
    }
    return true;
}

static inline bool lstm__add(size_t a, size_t b, size_t *out)
{
    if (__builtin_add_overflow(a, b, out)) {
        *out = 0;
        return false;
    }
    return true;
}

/* *out = product of `count` non-negative dimensions; false if one is negative or the product overflows. */
static inline bool lstm__product(const int64_t *dimensions, size_t count, size_t *out)
{
    size_t product = 1;
    for (size_t k = 0; k < count; k++)
        if (dimensions[k] < 0 || !lstm__mul(product, (size_t)dimensions[k], &product))
            return *out = 0, false;
    *out = product;
    return true;
}

#endif
