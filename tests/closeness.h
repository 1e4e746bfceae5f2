/* SPDX-License-Identifier: MIT
 * The one comparison of arrays in the tests: fails with the worst index, both values and the limit.
 */
#ifndef LSTM_TESTS_CLOSENESS_H
#define LSTM_TESTS_CLOSENESS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Largest |a - b| and where; NaN counts as infinitely far. */
static inline double worst_difference(const float *a, const float *b, size_t count, size_t *where)
{
    double worst = 0;
    *where = 0;
    for (size_t k = 0; k < count; k++) {
        const double difference = fabs((double)a[k] - (double)b[k]);
        if (!(difference <= worst)) {
            worst = isnan(difference) ? INFINITY : difference;
            *where = k;
        }
    }
    return worst;
}

static inline double largest_size(const float *a, size_t count)
{
    double largest = 0;
    for (size_t k = 0; k < count; k++)
        largest = fmax(largest, fabs((double)a[k]));
    return largest;
}

/* Every |found - expected| <= absolute + relative * max |expected|. Returns the worst difference.
 */
static inline double check_close_(const char *what, const float *found, const float *expected,
                                  size_t count, double absolute, double relative, const char *file,
                                  int line)
{
    size_t where = 0;
    const double worst = worst_difference(found, expected, count, &where);
    const double limit = absolute + relative * largest_size(expected, count);
    if (!(worst <= limit)) {
        print_error(
            "%s:%d: %s: index %zu of %zu: found %.9g, expected %.9g: off by %.3g, limit %.3g\n",
            file, line, what, where, count, (double)found[where], (double)expected[where], worst,
            limit);
        _fail(file, line);
    }
    return worst;
}
#define assert_close(what, found, expected, count, absolute, relative) \
    check_close_(what, found, expected, count, absolute, relative, __FILE__, __LINE__)

#endif
