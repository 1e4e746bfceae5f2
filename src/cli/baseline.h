/* SPDX-License-Identifier: MIT
 *
 * What the network has to beat, and by how much it does: simple forecasts, their errors, and a test
 * whether a difference is more than chance.
 */
#ifndef LSTM_CLI_BASELINE_H
#define LSTM_CLI_BASELINE_H

#include "transform.h"
#include <lstm/lstm.h>
#include <stddef.h>

#define METHODS 8

typedef struct method {
    const char *name; /* "last value" */
    char detail[96];  /* "season of 12 rows", "24 lags"; "" = nothing to add */
    double *forecast; /* [origins][horizon], raw unit */
    double rmse, mae;
    double mase;   /* Hyndman and Koehler 2006; NaN if the training part never changes */
    double ratio;  /* of RMSE to that of the last value */
    double versus; /* of the network's RMSE to this one's */
    /* two-sided p of "the network is as good as this one" (Diebold-Mariano); NaN for the network */
    double p;
} method;

typedef struct method_table {
    method items[METHODS]; /* the network first, then the baselines */
    size_t count;
    size_t origins;
    size_t horizon;
    size_t season; /* of the MASE scale; 0 = 1 row */
    double mase_scale;
} method_table;

/* Append the baselines: last value, drift, seasonal naive, seasonal naive + drift (where there is a
 * season).
 *   train_rows  [in] drift is the mean change over these first rows
 * Returns LSTM_OK, LSTM_ERROR_MEMORY. */
lstm_status baseline_simple(method_table *table, const recipe *of, const double *y,
                            const size_t *origins, size_t count, size_t train_rows);

/* Append a linear autoregression on the network's own inputs and transform, fitted on the training
 * origins. Where these are few, it sees only the latest rows of the window. Returns LSTM_OK,
 * LSTM_ERROR_MEMORY, LSTM_ERROR_NUMERIC. */
lstm_status baseline_linear(method_table *table, const recipe *of, lstm_context *context,
                            const double *matrix, const double *y, const size_t *train,
                            size_t train_count, const size_t *origins, size_t count);

/* Fill in errors, ratios and p values. `stride` is the distance of neighbouring origins in rows. */
void baseline_judge(method_table *table, const double *y, const size_t *origins, size_t train_rows,
                    size_t stride);

void baseline_release(method_table *table);

/* Find a method by its name; NULL if it is not there. */
const method *baseline_find(const method_table *table, const char *name);

/* The best of the baselines. */
const method *baseline_best(const method_table *table);

/* Two-sided p of Student's t with `freedom` degrees. */
double student_p(double t, double freedom);

/* Diebold-Mariano test of equal squared error of two forecasts; two-sided p. */
double diebold_mariano(const double *a, const double *b, const double *y, const size_t *origins,
                       size_t count, size_t horizon, size_t stride);

/* One or two plain sentences that say whether the network is worth using. `what` names the target.
 */
void baseline_verdict(const method_table *table, const recipe *of, const char *what, char *text,
                      size_t size);

#define METHOD_NETWORK "LSTM network"
#define METHOD_LAST "last value"
#define METHOD_DRIFT "drift"
#define METHOD_SEASONAL "seasonal naive"
#define METHOD_SEASONAL_DRIFT "seasonal naive + drift"
#define METHOD_LINEAR "linear autoregression"

#endif
