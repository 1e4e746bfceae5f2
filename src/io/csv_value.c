/* SPDX-License-Identifier: MIT
 *
 * Numbers and dates of CSV fields.
 *
 * Numbers: the form is checked here, so that strtod_l never sees what it accepts beyond decimal
 * numbers (hexadecimal, "inf", "nan(...)"). Short numbers are converted by Clinger's fast path (W.
 * D. Clinger, "How to read floating point numbers accurately", PLDI 1990): a mantissa up to 2^53
 * and a power of ten up to 10^22 are both exact doubles, so their product or quotient is rounded
 * once, hence correctly. It needs arithmetic in double itself (FLT_EVAL_METHOD 0). All others go to
 * strtod_l with a "C" locale.
 *
 * Dates: the proleptic Gregorian calendar. The day number is counted in years that begin in March,
 * so that the leap day is the last of its year: 365 y + y/4 - y/100 + y/400 days before it, (153 m
 * + 2) / 5 days before its month m.
 */
#include "csv_value.h"

#include "names.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_FAST_DIGITS = 19, MOST_FAST_POWER = 22, MOST_EXPONENT = 100000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What the digits of a number say: mantissa * 10^power; exact only where `digits` <=
 * MOST_FAST_DIGITS. */
typedef struct decimal {
    bool negative;
    uint64_t mantissa;
    int digits; /* significant digits in the mantissa */
    long power;
} decimal;

static const char *scan_digits(const char *p, decimal *d, bool fraction)
{
    for (; is_digit(*p); p++) {
        const unsigned digit = (unsigned)(*p - '0');
        if (d->digits < MOST_FAST_DIGITS) {
            d->mantissa = d->mantissa * 10 + digit;
            d->digits += d->mantissa > 0;
            d->power -= fraction;
        } else {
            d->digits = MOST_FAST_DIGITS + 1;
        }
    }
    return p;
}

/* Take a number apart; NULL if the text is none. */
static const char *scan(const char *p, decimal *d)
{
    *d = (decimal){.negative = *p == '-'};
    if (*p == '-' || *p == '+')
        p++;
    const char *const whole = p;
    p = scan_digits(p, d, false);
    ptrdiff_t digits = p - whole;
    if (*p == '.') {
        const char *const fraction = ++p;
        p = scan_digits(p, d, true);
        digits += p - fraction;
    }
    if (digits == 0)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p++;
        const bool negative = *p == '-';
        if (*p == '-' || *p == '+')
            p++;
        if (!is_digit(*p))
            return NULL;
        long exponent = 0;
        for (; is_digit(*p); p++)
            if (exponent < MOST_EXPONENT)
                exponent = exponent * 10 + (*p - '0');
        d->power += negative ? -exponent : exponent;
    }
    return p;
}

static bool is_infinity(const char *text)
{
    if (*text == '-' || *text == '+')
        text++;
    return lstm__compare_names(text, "inf") == 0 || lstm__compare_names(text, "infinity") == 0;
}

int32_t lstm__read_number(const char *text, size_t length, locale_t c_locale, double *value)
{
    static const double powers[MOST_FAST_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    decimal d;
    const char *const end = scan(text, &d);
    if (!end || end != text + length)
        return is_infinity(text) ? LSTM__VALUE_INFINITE : LSTM__VALUE_OTHER;
    if (FLT_EVAL_METHOD == 0 && d.digits <= MOST_FAST_DIGITS && d.mantissa <= (uint64_t)1 << 53 &&
        d.power >= -MOST_FAST_POWER && d.power <= MOST_FAST_POWER) {
        const double mantissa = (double)d.mantissa;
        const double magnitude = d.power < 0 ? mantissa / powers[-d.power]
                                             : mantissa * powers[d.power];
        *value = d.negative ? -magnitude : magnitude;
        return LSTM__VALUE_GOOD;
    }
    *value = strtod_l(text, NULL, c_locale);
    return isinf(*value) ? LSTM__VALUE_INFINITE : LSTM__VALUE_GOOD;
}

/* ---- Dates ---- */

/* Read exactly `count` digits. */
static bool take_digits(const char **p, int count, int *number)
{
    *number = 0;
    for (int k = 0; k < count; k++, (*p)++) {
        if (!is_digit(**p))
            return false;
        *number = *number * 10 + (**p - '0');
    }
    return true;
}

static bool take(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to a day of a year from 0. */
static int64_t day_number(int year, int month, int day)
{
    const int64_t y = month > 2 ? year : (int64_t)year - 1;
    const int64_t era_year = y + 400; /* never negative, and 400 years are a whole number of days */
    const int64_t m = (month + 9) % 12;
    const int64_t from_march = 365 * era_year + era_year / 4 - era_year / 100 + era_year / 400 +
                               (153 * m + 2) / 5;
    return from_march + day - 1 - 146097 - 719468;
}

/* Read a time of day and its offset from UTC: LSTM__VALUE_*. */
static int32_t take_time(const char **p, double *seconds)
{
    int hour = 0;
    int minute = 0;
    int second = 0;
    double fraction = 0;
    if (!take_digits(p, 2, &hour) || !take(p, ':') || !take_digits(p, 2, &minute))
        return LSTM__VALUE_OTHER;
    if (take(p, ':')) {
        if (!take_digits(p, 2, &second))
            return LSTM__VALUE_OTHER;
        if (take(p, '.')) {
            double weight = 0.1;
            if (!is_digit(**p))
                return LSTM__VALUE_OTHER;
            for (; is_digit(**p); (*p)++, weight /= 10)
                fraction += weight * (**p - '0');
        }
    }
    int offset_hour = 0;
    int offset_minute = 0;
    const char sign = **p;
    if (sign == '+' || sign == '-') {
        (*p)++;
        if (!take_digits(p, 2, &offset_hour) || !take(p, ':') || !take_digits(p, 2, &offset_minute))
            return LSTM__VALUE_OTHER;
    } else {
        take(p, 'Z');
    }
    if (hour > 23 || minute > 59 || second > 59 || offset_hour > 23 || offset_minute > 59)
        return LSTM__VALUE_IMPOSSIBLE;
    const int offset = (offset_hour * 60 + offset_minute) * (sign == '-' ? -60 : 60);
    *seconds = hour * 3600 + minute * 60 + second - offset + fraction;
    return LSTM__VALUE_GOOD;
}

int32_t lstm__read_date(const char *text, size_t length, double *value)
{
    const char *p = text;
    int year = 0;
    int month = 0;
    int day = 1;
    double seconds = 0;
    int32_t answer = LSTM__VALUE_GOOD;
    if (!take_digits(&p, 4, &year) || (*p != '-' && *p != '/'))
        return LSTM__VALUE_OTHER;
    const char separator = *p++;
    if (!take_digits(&p, 2, &month))
        return LSTM__VALUE_OTHER;
    if (take(&p, separator)) {
        if (!take_digits(&p, 2, &day))
            return LSTM__VALUE_OTHER;
        if (take(&p, 'T') || take(&p, ' '))
            answer = take_time(&p, &seconds);
    } else if (separator == '/') {
        return LSTM__VALUE_OTHER;
    }
    if (answer == LSTM__VALUE_OTHER || p != text + length)
        return LSTM__VALUE_OTHER;
    if (answer != LSTM__VALUE_GOOD || month < 1 || month > 12 || day < 1 ||
        day > days_in(year, month))
        return LSTM__VALUE_IMPOSSIBLE;
    *value = (double)day_number(year, month, day) * 86400 + seconds;
    return LSTM__VALUE_GOOD;
}

bool lstm__is_missing(const char *text, size_t length)
{
    return length == 0 || (length <= 3 && (lstm__compare_names(text, "na") == 0 ||
                                           lstm__compare_names(text, "nan") == 0));
}
