/* SPDX-License-Identifier: MIT
 * Numbers and dates in texts, independent of the locale.
 */
#ifndef LSTM_IO_CSV_VALUE_H
#define LSTM_IO_CSV_VALUE_H

#include "status.h"

#include <locale.h>
#include <stdbool.h>

/* How a text was understood. */
enum {
    LSTM__VALUE_GOOD = 1,
    LSTM__VALUE_OTHER, /* it does not have the form */
    /* a number beyond the range of double, or a written infinity / a date that does not exist */
    LSTM__VALUE_INFINITE
};
enum { LSTM__VALUE_IMPOSSIBLE = LSTM__VALUE_INFINITE };

/* Read a decimal number: sign, digits with a point, exponent; the nearest double. `c_locale` is a
 * locale "C". The text ends with a NUL at `length`. NaN is LSTM__VALUE_OTHER. */
int32_t lstm__read_number(const char *text, size_t length, locale_t c_locale, double *value);

/* Read a date: YYYY-MM-DD, YYYY/MM/DD or YYYY-MM; after a day, "T" or a blank and HH:MM, HH:MM:SS
 * or HH:MM:SS.fff; after a time, "Z", +HH:MM or -HH:MM. The value is seconds since 1970-01-01 00:00
 * UTC. */
int32_t lstm__read_date(const char *text, size_t length, double *value);

/* Whether a text stands for a value that is not there: empty, NA or NaN (any case). */
bool lstm__is_missing(const char *text, size_t length);

#endif
