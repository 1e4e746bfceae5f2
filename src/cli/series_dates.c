/* SPDX-License-Identifier: MIT
 *
 * Calendar arithmetic and the spacing of rows (series_dates.h).
 *
 * Days are counted by shifting the year to begin in March, so that the leap day is its last one:
 * the algorithm of H. Hinnant, "chrono-compatible low-level date algorithms" (2013).
 */
#include "series_dates.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400.0

int64_t calendar_to_days(calendar_date date)
{
    const int64_t year = date.year - (date.month <= 2);
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 +
                                date.day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
                               day_of_year;
    return era * 146097 + day_of_era - 719468;
}

calendar_date calendar_from_days(int64_t days)
{
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era -
                                (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted = (5 * day_of_year + 2) / 153;
    calendar_date date;
    date.day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    date.month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    date.year = year_of_era + era * 400 + (date.month <= 2);
    return date;
}

int calendar_month_length(int64_t year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : lengths[month - 1];
}

int calendar_weekday(int64_t days)
{
    return (int)(((days + 3) % 7 + 7) % 7);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median difference, of at most the first 4096 rows: enough to know the spacing of any file. */
static double median_step(const double *times, size_t count)
{
    double steps[4096];
    const size_t used = count - 1 < 4096 ? count - 1 : 4096;
    for (size_t i = 0; i < used; i++) {
        steps[i] = times[i + 1] - times[i];
    }
    qsort(steps, used, sizeof steps[0], compare);
    return steps[used / 2];
}

static calendar_date date_of(double time)
{
    return calendar_from_days((int64_t)floor(time / DAY));
}

static int64_t month_number(double time)
{
    const calendar_date date = date_of(time);
    return date.year * 12 + date.month - 1;
}

/* 1 if every row stands on the same day of its month (2: on the last one). */
static int monthly(const double *times, size_t count)
{
    const int day = date_of(times[0]).day;
    int same = 1;
    int last = 1;
    for (size_t i = 0; i < count && (same || last); i++) {
        const calendar_date date = date_of(times[i]);
        same = same && date.day == day && fmod(times[i] - times[0], DAY) == 0.0;
        last = last && date.day == calendar_month_length(date.year, date.month);
    }
    return same ? 1 : last ? 2 : 0;
}

static int any_weekend(const double *times, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calendar_weekday((int64_t)floor(times[i] / DAY)) >= 5) {
            return 1;
        }
    }
    return 0;
}

static void count_gaps(spacing *out, const double *times, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const double expected = spacing_next(out, times[i - 1], 1);
        const double slack = 0.5 * fabs(expected - times[i - 1]);
        if (times[i] > expected + slack) {
            out->gaps++;
            out->first_gap = out->first_gap == 0 ? i : out->first_gap;
        }
    }
}

spacing spacing_find(const double *times, size_t count, int dates)
{
    spacing out = {.kind = SPACING_NUMBERS};
    out.step = median_step(times, count);
    if (!dates) {
        out.years = times[0] >= 1000.0 && times[count - 1] <= 2500.0 && out.step < 0.999;
        count_gaps(&out, times, count);
        return out;
    }
    for (size_t i = 0; i < count && !out.with_time; i++) {
        out.with_time = fmod(times[i], DAY) != 0.0;
    }
    const int by_month = out.step >= 27.9 * DAY ? monthly(times, count) : 0;
    if (by_month) {
        const double months = out.step / (DAY * 365.2425 / 12.0);
        out.kind = SPACING_MONTHS;
        out.month_end = by_month == 2;
        out.amount = months < 1.5 ? 1 : (int64_t)llround(months);
    } else if (out.step >= DAY && fmod(out.step, DAY) == 0.0) {
        out.amount = (int64_t)(out.step / DAY);
        out.kind = out.amount == 1 && count >= 10 && !any_weekend(times, count) ? SPACING_WORKDAYS
                                                                                : SPACING_DAYS;
    } else {
        out.kind = SPACING_SECONDS;
        out.amount = (int64_t)fmax(1.0, round(out.step));
    }
    count_gaps(&out, times, count);
    return out;
}

static double next_month(const spacing *by, double time, int64_t steps)
{
    const double clock = time - floor(time / DAY) * DAY;
    const int64_t month = month_number(time) + steps * by->amount;
    const int64_t year = month >= 0 ? month / 12 : (month - 11) / 12;
    calendar_date date = {year, (int)(month - year * 12) + 1, date_of(time).day};
    const int length = calendar_month_length(date.year, date.month);
    date.day = by->month_end || date.day > length ? length : date.day;
    return (double)calendar_to_days(date) * DAY + clock;
}

double spacing_next(const spacing *by, double time, int64_t steps)
{
    switch (by->kind) {
    case SPACING_NUMBERS:
        return time + by->step * (double)steps;
    case SPACING_SECONDS:
        return time + (double)(by->amount * steps);
    case SPACING_DAYS:
        return time + DAY * (double)(by->amount * steps);
    case SPACING_MONTHS:
        return next_month(by, time, steps);
    case SPACING_WORKDAYS:
        for (int64_t k = 0; k < steps; k++) {
            do {
                time += DAY;
            } while (calendar_weekday((int64_t)floor(time / DAY)) >= 5);
        }
        return time;
    case SPACING_ROWS:
    default:
        return time + (double)steps;
    }
}

static const char *seconds_words(int64_t seconds, char *text, size_t size)
{
    if (seconds % 3600 == 0) {
        (void)snprintf(text, size, seconds == 3600 ? "hourly" : "every %lld hours",
                       (long long)(seconds / 3600));
    } else if (seconds % 60 == 0) {
        (void)snprintf(text, size, seconds == 60 ? "every minute" : "every %lld minutes",
                       (long long)(seconds / 60));
    } else {
        (void)snprintf(text, size, seconds == 1 ? "every second" : "every %lld seconds",
                       (long long)seconds);
    }
    return text;
}

const char *spacing_words(const spacing *by, char *text, size_t size)
{
    const long long amount = (long long)by->amount;
    switch (by->kind) {
    case SPACING_NUMBERS:
        (void)snprintf(text, size, "in steps of %.6g", by->step);
        break;
    case SPACING_SECONDS:
        return seconds_words(by->amount, text, size);
    case SPACING_WORKDAYS:
        (void)snprintf(text, size, "daily, Monday to Friday");
        break;
    case SPACING_DAYS:
        (void)snprintf(text, size,
                       amount == 1   ? "daily"
                       : amount == 7 ? "weekly"
                                     : "every %lld days",
                       amount);
        break;
    case SPACING_MONTHS:
        (void)snprintf(text, size,
                       amount == 1    ? "monthly"
                       : amount == 3  ? "quarterly"
                       : amount == 12 ? "yearly"
                                      : "every %lld months",
                       amount);
        break;
    case SPACING_ROWS:
    default:
        (void)snprintf(text, size, "row by row, without dates");
        break;
    }
    return text;
}

const char *spacing_time(const spacing *by, double time, char *text, size_t size)
{
    if (by->kind == SPACING_ROWS) {
        (void)snprintf(text, size, "row %.0f", time);
    } else if (by->kind == SPACING_NUMBERS) {
        const int whole = by->step == floor(by->step) && time == floor(time);
        (void)snprintf(text, size, whole ? "%.0f" : "%.8g", time);
    } else {
        const int64_t day = (int64_t)floor(time / DAY);
        const calendar_date date = calendar_from_days(day);
        const int second = (int)(time - (double)day * DAY);
        int used = snprintf(text, size, "%04lld-%02d-%02d", (long long)date.year, date.month,
                            date.day);
        if (by->with_time && used > 0 && (size_t)used < size) {
            used += snprintf(text + used, size - (size_t)used, " %02d:%02d", second / 3600,
                             second / 60 % 60);
            if (second % 60 != 0 && (size_t)used < size) {
                (void)snprintf(text + used, size - (size_t)used, ":%02d", second % 60);
            }
        }
    }
    return text;
}

static void add_cycle(cycle *cycles, size_t *count, cycle_kind kind, double rows)
{
    if (rows >= 1.999 && *count < CYCLES) {
        cycles[*count] = (cycle){kind, (size_t)llround(rows)};
        ++*count;
    }
}

size_t spacing_cycles(const spacing *by, cycle cycles[CYCLES])
{
    size_t count = 0;
    const double amount = (double)by->amount;
    switch (by->kind) {
    case SPACING_MONTHS:
        add_cycle(cycles, &count, CYCLE_YEAR, 12.0 / amount);
        break;
    case SPACING_WORKDAYS:
        add_cycle(cycles, &count, CYCLE_WEEK, 5.0);
        break;
    case SPACING_DAYS:
        add_cycle(cycles, &count, CYCLE_WEEK, by->amount == 1 ? 7.0 : 0.0);
        add_cycle(cycles, &count, CYCLE_YEAR, 365.2425 / amount);
        break;
    case SPACING_SECONDS:
        add_cycle(cycles, &count, CYCLE_DAY, DAY / amount);
        add_cycle(cycles, &count, CYCLE_WEEK, 7.0 * DAY / amount);
        add_cycle(cycles, &count, CYCLE_YEAR, 365.2425 * DAY / amount);
        break;
    case SPACING_NUMBERS:
        if (by->years) {
            add_cycle(cycles, &count, CYCLE_YEAR, 1.0 / by->step);
        }
        break;
    case SPACING_ROWS:
    default:
        break;
    }
    return count;
}

double cycle_phase(const cycle *period, const spacing *by, double time)
{
    double phase = 0.0;
    if (period->kind == CYCLE_ROWS) {
        const double step = by->kind == SPACING_NUMBERS ? by->step : 1.0;
        phase = time / (step * (double)period->rows);
    } else if (by->kind == SPACING_NUMBERS) {
        phase = time;
    } else if (period->kind == CYCLE_DAY) {
        phase = time / DAY;
    } else if (period->kind == CYCLE_WEEK) {
        phase = (time / DAY + 3.0) / 7.0;
    } else {
        const calendar_date date = date_of(time);
        const double first = (double)calendar_to_days((calendar_date){date.year, 1, 1});
        const double next = (double)calendar_to_days((calendar_date){date.year + 1, 1, 1});
        phase = (time / DAY - first) / (next - first);
    }
    return phase - floor(phase);
}

const char *cycle_words(const cycle *period, char *text, size_t size)
{
    static const char *const names[] = {"", "year", "week", "day"};
    if (period->kind == CYCLE_ROWS) {
        (void)snprintf(text, size, "%zu rows", period->rows);
    } else {
        (void)snprintf(text, size, "%s", names[period->kind]);
    }
    return text;
}
