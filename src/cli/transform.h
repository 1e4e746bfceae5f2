/* SPDX-License-Identifier: MIT
 *
 * From raw values to what the network sees, and back: the recipe of a forecast.
 *
 * Write v for y, or for log y where a transform says log. The network's output number h, for an
 * origin t (the last row that is known), is z = v(t+h) - base(t,h), scaled; so the forecast is v =
 * base + z:
 *
 *   transform     the target column as input              base(t,h)
 *   level         v                                       0
 *   diff          v(t) - v(t-1)                           v(t)
 *   log-return    the same of logs                        v(t)
 *   window-last   v less its last value in the window     v(t)
 *   seasonal      changes of v(t) - v(t-m)                v(t+h-km) + k (v(t) - v(t-m)), k = ceil(h/m)
 *   log-seasonal  the same of logs                        the same
 *
 * The base of all but `level` is a forecast of its own (repeat the last value; repeat the last
 * season with its yearly change), and the network learns what is left of it. Its last layer starts
 * at zero, so training begins at that forecast.
 */
#ifndef LSTM_CLI_TRANSFORM_H
#define LSTM_CLI_TRANSFORM_H

#include "series.h"
#include "series_trend.h"
#include <lstm/lstm.h>
#include <stddef.h>

typedef enum transform {
    TRANSFORM_AUTO = 0,
    TRANSFORM_LEVEL,
    TRANSFORM_DIFF,
    TRANSFORM_LOG_RETURN,
    TRANSFORM_WINDOW_LAST,
    TRANSFORM_SEASONAL,
    TRANSFORM_LOG_SEASONAL
} transform;

/* The names as a NULL-ended list, in the order of the constants ("auto" first). */
extern const char *const transform_names[];

int transform_is_log(transform kind);
int transform_is_seasonal(transform kind);

typedef struct recipe {
    transform target;                 /* of the target: gives base and inverse */
    transform inputs[SERIES_COLUMNS]; /* of each column as an input; inputs[0] == target */
    size_t column_count;
    size_t window;
    size_t horizon;
    size_t season;        /* rows; 0 = none */
    cycle cycles[CYCLES]; /* each adds a sine and a cosine to the inputs */
    size_t cycle_count;
    spacing spacing;                      /* of the rows, for cycle_phase */
    double *offset, *scale;               /* [recipe_features] */
    double *target_offset, *target_scale; /* [horizon] */
} recipe;

size_t recipe_features(const recipe *of);

/* Rows at the beginning of a series that have no transformed value yet. */
size_t recipe_lead(const recipe *of);
void recipe_release(recipe *of);

/* Why a transform was chosen, for the user and the report. */
typedef struct transform_choice {
    int tested; /* trend holds results */
    trend_result trend;
    int spread_known;
    double spread;            /* slope of spread against level */
    double range;             /* of the level */
    double strengths[CYCLES]; /* of the recipe's seasons, before any was dropped */
    cycle seasons[CYCLES];
    size_t season_count;
    char reason[640];
} transform_choice;

/* Choose the transforms of a recipe that has column_count, window, horizon and spacing set, from
 * the first `rows` rows (the training part).
 *   asked    [in] TRANSFORM_AUTO or the user's choice
 *   season   [in] the user's season in rows, 0 = find it
 * Returns 0, or the exit code after printing the error (a log that is asked for does not exist: names
 * line and value). */
int transform_choose(recipe *of, transform_choice *choice, lstm_context *context,
                     const series *data, size_t rows, transform asked, size_t season);

/* ---- Arrays */

/* The transformed columns, [rows][features], NaN in the lead. NULL if there is no memory; free()
 * it. */
double *transform_matrix(const recipe *of, const series *data);

/* Fill x [count][window][features] with the scaled windows that end at the origins. */
void transform_windows(const recipe *of, const double *matrix, const size_t *origins, size_t count,
                       float *x);

/* Fit the scaler of the inputs and of the target on the training origins. Returns LSTM_OK,
 * LSTM_ERROR_MEMORY. */
lstm_status transform_fit_scalers(recipe *of, const double *matrix, const double *y,
                                  const size_t *origins, size_t count);

/* How much v changed from row to row in the window that ends at the origin: root mean square, in
 * the transform's terms. */
double transform_spread(const recipe *of, const double *matrix, size_t origin);

/* z(t,h) for h = 1..horizon, scaled. */
void transform_target(const recipe *of, const double *y, size_t origin, double *z);

/* Scaled z back to the raw unit: out[h-1] for h = 1..horizon. */
void transform_invert(const recipe *of, const double *y, size_t origin, const double *z,
                      double *out);

/* Forecast `value` moved by a residual of v: value + residual, or value * exp(residual). And the
 * residual itself. */
double transform_shift(const recipe *of, double value, double residual);
double transform_residual(const recipe *of, double truth, double value);

/* base(t,h) in v. */
double transform_base(transform kind, size_t season, const double *y, size_t origin, size_t h);

#endif
