/* SPDX-License-Identifier: MIT
 *
 * What a series is like: does it have a trend or unit root, a season, and do its changes grow with
 * its level? Each answer rests on a published test or measure, applied to the training part only.
 */
#ifndef LSTM_CLI_SERIES_TREND_H
#define LSTM_CLI_SERIES_TREND_H

#include "series_dates.h"
#include <lstm/lstm.h>
#include <stddef.h>

typedef struct trend_result {
    double adf;          /* augmented Dickey-Fuller t statistic, with a constant */
    double adf_critical; /* 5 %: below it, a unit root is rejected */
    size_t adf_lags;
    double kpss;          /* level-stationarity statistic */
    double kpss_critical; /* 1 %: above it, stationarity is rejected */
    size_t kpss_lags;
    size_t rows;    /* that the tests saw */
    int stationary; /* a unit root is rejected and stationarity is not */
} trend_result;

/* Test y (at least 12 values). Returns LSTM_OK, LSTM_ERROR_MEMORY. */
lstm_status trend_test(trend_result *out, lstm_context *context, const double *y, size_t count);

/* Replace y by what is left of it after a regression on a constant and one pair of harmonics of
 * each cycle.
 *   times  [in] times of the rows, NULL = row numbers from 1
 * Returns LSTM_OK, LSTM_ERROR_MEMORY. */
lstm_status trend_remove_cycles(lstm_context *context, double *y, size_t count, const double *times,
                                const spacing *by, const cycle *cycles, size_t cycle_count);

/* Seasonal strength of y at a period, in [0, 1]: 1 - var(remainder) / var(detrended), after a
 * centred moving average of one period. 0 if there are fewer than two periods. Returns LSTM_OK,
 * LSTM_ERROR_MEMORY. */
lstm_status season_strength(double *strength, lstm_context *context, const double *y, size_t count,
                            size_t period);

#define SEASON_THRESHOLD 0.64

/* The seasons that y has (strength above the threshold), strongest first.
 *   strengths  [out] as many as cycles
 * Returns LSTM_OK, LSTM_ERROR_MEMORY. */
lstm_status season_find(cycle cycles[CYCLES], double strengths[CYCLES], size_t *cycle_count,
                        lstm_context *context, const double *y, size_t count, const spacing *by);

/* How changes grow with the level: the slope of log(standard deviation of changes) against
 * log(mean), block by block. 0 = not at all, 1 = in proportion. `range` is the highest block mean
 * over the lowest. y must be > 0. Returns 1, or 0 if there are too few values. */
int spread_slope(const double *y, size_t count, double *slope, double *range);

/* Autocorrelation of y at lags 1 to `lags`. */
void autocorrelation(const double *y, size_t count, size_t lags, double *r);

#endif
