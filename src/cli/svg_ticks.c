/* SPDX-License-Identifier: MIT
 *
 * Where the ticks of an axis stand and what they say.
 *
 * Numbers: steps of 1, 2, 2.5 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels",
 * Graphics Gems, 1990). Logarithmic: powers of ten, with 2 and 5 between them where there is room.
 * Dates: the first of a ladder from seconds to centuries that leaves few enough ticks; ticks sit on
 * calendar borders (midnights, firsts of months, Januaries), and the year stands below the first
 * tick and wherever it changes.
 */
#include "svg_plot.h"
#include "series_dates.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static double nice_step(double range, int wanted, int integer)
{
    const double raw = range / (wanted > 1 ? wanted : 1);
    const double power = pow(10.0, floor(log10(raw)));
    static const double factors[] = {1.0, 2.0, 2.5, 5.0, 10.0};
    double step = 10.0 * power;
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        if (factors[i] * power >= raw * 0.999) {
            step = factors[i] * power;
            break;
        }
    }
    if (integer) {
        step = step < 1.0 ? 1.0 : step;
        step = step == 2.5 ? 5.0 : step;
    }
    return step;
}

static size_t number_ticks(svg_tick *ticks, const svg_axis *axis, double low, double high,
                           int wanted)
{
    const double step = nice_step(high - low, wanted, axis->integer);
    int decimals = 0;
    for (double scaled = step; decimals < 9 && fabs(scaled - round(scaled)) > 1e-6 * scaled;
         scaled *= 10.0) {
        decimals++;
    }
    size_t count = 0;
    for (double k = ceil(low / step - 1e-9); k * step <= high + 1e-9 * step && count < SVG_TICKS;
         k += 1.0) {
        const double value = k == 0.0 ? 0.0 : k * step;
        svg_tick *const tick = &ticks[count++];
        tick->value = value;
        tick->second[0] = '\0';
        const double size = fabs(value);
        if (size >= 1e7 || (size > 0 && size < 1e-5)) {
            (void)snprintf(tick->label, sizeof tick->label, "%.3g", value);
        } else {
            (void)snprintf(tick->label, sizeof tick->label, "%s%.*f",
                           value < 0 ? "\xE2\x88\x92" : "", decimals, size);
        }
    }
    return count;
}

static size_t log_ticks(svg_tick *ticks, double low, double high, int wanted)
{
    static const double few[] = {1.0};
    static const double more[] = {1.0, 2.0, 5.0};
    const double decades = log10(high) - log10(low);
    const int dense = decades * 3.0 <= wanted + 3;
    const double *const factors = dense ? more : few;
    const size_t factor_count = dense ? 3 : 1;
    const double stride = dense ? 1.0 : fmax(1.0, ceil(decades / (wanted > 0 ? wanted : 1)));
    size_t count = 0;
    for (double power = floor(log10(low)); power <= ceil(log10(high)); power += stride) {
        for (size_t f = 0; f < factor_count && count < SVG_TICKS; f++) {
            const double value = factors[f] * pow(10.0, power);
            if (value < low * 0.999999 || value > high * 1.000001) {
                continue;
            }
            ticks[count].value = value;
            ticks[count].second[0] = '\0';
            (void)snprintf(ticks[count].label, sizeof ticks[count].label, "%g", value);
            count++;
        }
    }
    return count;
}

/* A rung of the ladder: a number of seconds, days or months. */
typedef struct rung {
    char unit; /* s, d, m */
    int amount;
} rung;

static double rung_seconds(rung step)
{
    return step.amount * (step.unit == 's'   ? 1.0
                          : step.unit == 'd' ? 86400.0
                                             : 86400.0 * 365.2425 / 12.0);
}

static rung date_step(double range, int wanted)
{
    static const rung ladder[] = {
        {'s', 1},    {'s', 5},    {'s', 15},   {'s', 30},    {'s', 60},    {'s', 300},
        {'s', 900},  {'s', 1800}, {'s', 3600}, {'s', 10800}, {'s', 21600}, {'s', 43200},
        {'d', 1},    {'d', 2},    {'d', 7},    {'d', 14},    {'m', 1},     {'m', 2},
        {'m', 3},    {'m', 6},    {'m', 12},   {'m', 24},    {'m', 60},    {'m', 120},
        {'m', 240},  {'m', 600},  {'m', 1200}, {'m', 2400},  {'m', 6000},  {'m', 12000},
        {'m', 24000}};
    const size_t rungs = sizeof ladder / sizeof ladder[0];
    size_t i = 0;
    while (i + 1 < rungs && range / rung_seconds(ladder[i]) > wanted) {
        i++;
    }
    return ladder[i];
}

static void date_label(svg_tick *tick, rung step, calendar_date date, int64_t second_of_day,
                       int *last_year)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    tick->second[0] = '\0';
    if (step.unit == 'm' && step.amount >= 12) {
        (void)snprintf(tick->label, sizeof tick->label, "%lld", (long long)date.year);
        return;
    }
    if (step.unit == 'm') {
        (void)snprintf(tick->label, sizeof tick->label, "%s", months[date.month - 1]);
    } else if (step.unit == 'd' || second_of_day == 0) {
        (void)snprintf(tick->label, sizeof tick->label, "%d %s", date.day, months[date.month - 1]);
    } else {
        const int hour = (int)(second_of_day / 3600);
        const int minute = (int)(second_of_day / 60 % 60);
        if (step.amount < 60) {
            (void)snprintf(tick->label, sizeof tick->label, "%02d:%02d:%02d", hour, minute,
                           (int)(second_of_day % 60));
        } else {
            (void)snprintf(tick->label, sizeof tick->label, "%02d:%02d", hour, minute);
        }
    }
    if ((int)date.year != *last_year) {
        (void)snprintf(tick->second, sizeof tick->second, "%d", (int)date.year);
        *last_year = (int)date.year;
    }
}

static size_t date_ticks(svg_tick *ticks, double low, double high, int wanted)
{
    const rung step = date_step(high - low, wanted);
    int last_year = -1000000;
    size_t count = 0;
    if (step.unit == 'm') {
        const calendar_date first = calendar_from_days((int64_t)floor(low / 86400.0));
        int64_t month = first.year * 12 + first.month - 1;
        month -= ((month % step.amount) + step.amount) % step.amount;
        for (; count < SVG_TICKS; month += step.amount) {
            const calendar_date date = {month / 12, (int)(month % 12) + 1, 1};
            const double value = (double)calendar_to_days(date) * 86400.0;
            if (value > high) {
                break;
            }
            if (value >= low) {
                ticks[count].value = value;
                date_label(&ticks[count++], step, date, 0, &last_year);
            }
        }
        return count;
    }
    const double stride = rung_seconds(step);
    /* Weeks begin on Mondays: 1970-01-05 was one. */
    const double origin = step.unit == 'd' && step.amount % 7 == 0 ? 4.0 * 86400.0 : 0.0;
    for (double value = origin + ceil((low - origin) / stride) * stride;
         value <= high && count < SVG_TICKS; value += stride) {
        const int64_t day = (int64_t)floor(value / 86400.0);
        ticks[count].value = value;
        date_label(&ticks[count++], step, calendar_from_days(day),
                   (int64_t)(value - (double)day * 86400.0), &last_year);
    }
    return count;
}

static size_t label_ticks(svg_tick *ticks, const svg_axis *axis)
{
    size_t count = 0;
    for (size_t k = 0; k < axis->label_count && count < SVG_TICKS; k++) {
        svg_tick *const tick = &ticks[count++];
        tick->value = (double)k;
        tick->second[0] = '\0';
        (void)snprintf(tick->label, sizeof tick->label, "%.31s", axis->labels[k]);
    }
    return count;
}

size_t svg_ticks(svg_tick *ticks, const svg_axis *axis, double low, double high, int wanted)
{
    if (axis->labels != NULL) {
        return label_ticks(ticks, axis);
    }
    if (!(high > low) || !isfinite(low) || !isfinite(high)) {
        return 0;
    }
    if (axis->scale == SVG_DATE) {
        return date_ticks(ticks, low, high, wanted);
    }
    if (axis->scale == SVG_LOG && low > 0.0 && log10(high / low) > 0.9) {
        return log_ticks(ticks, low, high, wanted);
    }
    return number_ticks(ticks, axis, low, high, wanted);
}

void svg_histogram(const double *values, size_t count, double low, double high, size_t bins,
                   double *centres, double *counts)
{
    const double width = (high - low) / (double)bins;
    for (size_t b = 0; b < bins; b++) {
        centres[b] = low + ((double)b + 0.5) * width;
        counts[b] = 0.0;
    }
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && values[i] >= low && values[i] <= high) {
            const size_t bin = (size_t)((values[i] - low) / width);
            counts[bin < bins ? bin : bins - 1] += 1.0;
        }
    }
}
