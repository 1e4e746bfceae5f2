/* SPDX-License-Identifier: MIT
 *
 * Calendar arithmetic on the proleptic Gregorian calendar, and the spacing of a series: how its
 * rows follow one another and so which dates come next.
 */
#ifndef LSTM_CLI_SERIES_DATES_H
#define LSTM_CLI_SERIES_DATES_H

#include <stddef.h>
#include <stdint.h>

typedef struct calendar_date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
} calendar_date;

/* Days since 1970-01-01 and back. */
int64_t calendar_to_days(calendar_date date);
calendar_date calendar_from_days(int64_t days);
int calendar_month_length(int64_t year, int month);
int calendar_weekday(int64_t days); /* 0 = Monday */

typedef enum spacing_kind {
    SPACING_ROWS = 1, /* no time axis: rows are counted */
    SPACING_NUMBERS,  /* a column of increasing numbers */
    SPACING_SECONDS,
    SPACING_DAYS,
    SPACING_WORKDAYS, /* Monday to Friday */
    SPACING_MONTHS
} spacing_kind;

typedef struct spacing {
    spacing_kind kind;
    double step;      /* of SPACING_NUMBERS: the median difference */
    int64_t amount;   /* seconds, days or months from one row to the next */
    int month_end;    /* SPACING_MONTHS: every date is the last of its month */
    int with_time;    /* dates are shown with hours and minutes */
    int years;        /* SPACING_NUMBERS: the numbers are decimal years (1991.5) */
    size_t gaps;      /* places where at least one row is missing */
    size_t first_gap; /* the row after the first of them */
} spacing;

/* Find the spacing of increasing times.
 *   times  [in] seconds since 1970-01-01 if `dates`, else any numbers; count >= 2 */
spacing spacing_find(const double *times, size_t count, int dates);

/* Return the time `steps` rows after `time` (the row number for SPACING_ROWS). */
double spacing_next(const spacing *by, double time, int64_t steps);

/* Describe the spacing in words ("daily, Monday to Friday"). */
const char *spacing_words(const spacing *by, char *text, size_t size);

/* Write a time as the user's file does: 2020-04-20, 2016-07-01 05:00, 1991.496. Returns text. */
const char *spacing_time(const spacing *by, double time, char *text, size_t size);

/* ---- Cycles: the periods that a calendar suggests */

typedef enum cycle_kind { CYCLE_YEAR = 1, CYCLE_WEEK, CYCLE_DAY, CYCLE_ROWS } cycle_kind;

typedef struct cycle {
    cycle_kind kind;
    size_t rows; /* its length in rows, rounded */
} cycle;

#define CYCLES 4

/* List the cycles that rows of this spacing may have; returns their number. */
size_t spacing_cycles(const spacing *by, cycle cycles[CYCLES]);

/* Return where in the cycle a time stands, in [0, 1). */
double cycle_phase(const cycle *period, const spacing *by, double time);

/* Name it: "year", "week", "day", "12 rows". */
const char *cycle_words(const cycle *period, char *text, size_t size);

#endif
