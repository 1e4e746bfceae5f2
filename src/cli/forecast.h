/* SPDX-License-Identifier: MIT
 *
 * The parts of `lstm forecast` and what they hand to one another.
 *
 *   forecast.c          the command and its options
 *   forecast_train.c    split, scale, train, choose the columns
 *   forecast_merge.c    several trained networks as one
 *   forecast_judge.c    test errors, baselines, intervals, the forecast itself
 *   forecast_recipe.c   what the model file remembers (JSON in the model's metadata)
 *   forecast_print.c    the tables on the terminal, the CSV file
 *   forecast_apply.c    --model M NEW.csv
 *   report_forecast.c   the HTML report
 */
#ifndef LSTM_CLI_FORECAST_H
#define LSTM_CLI_FORECAST_H

#include "arguments.h"
#include "baseline.h"
#include "series.h"
#include "transform.h"
#include <lstm/lstm.h>
#include <stddef.h>
#include <stdint.h>

typedef struct forecast_settings {
    const char *data; /* CSV file */
    const char *target;
    const char *date;
    const char *output; /* model file; --model: CSV file or NULL */
    const char *report; /* NULL = none */
    const char *model;  /* --model */
    const char *loss_name;
    parts features;
    /* no --features: the target alone or every column, whichever validates better */
    int choose_features;
    int all_features; /* --features all */
    size_t horizon, window, season;
    transform asked;
    int32_t loss, epochs, patience, batch_size, networks;
    int64_t units;
    double learning_rate, validation, test;
    uint64_t seed;
} forecast_settings;

/* Some of the origins (last known rows) of a part: every `stride`-th whose targets all lie in rows
 * [first_row, end_row). */
typedef struct forecast_part {
    size_t *origins;
    size_t count;
    size_t stride;
    size_t first_row, end_row;
} forecast_part;

#define NETWORKS 16

/* One of the networks that are trained alike but for their seeds. */
typedef struct member {
    lstm_history *history;
    double best_loss;  /* of validation */
    size_t best_epoch; /* whose weights are kept; 0 = untrained, since no epoch was better */
} member;

/* Networks trained on some of the columns, merged into one model. */
typedef struct attempt {
    recipe recipe;
    transform_choice choice;
    forecast_part train, validation, test;
    double *matrix;
    lstm_model *model;
    member members[NETWORKS];
    size_t member_count;         /* 0 = a saved model */
    double *validation_forecast; /* [validation.count][horizon], raw unit */
    double validation_rmse;      /* raw unit */
    double untrained_loss; /* validation loss before training: the base and its mean change alone */
    double untrained_train; /* the same of the training part */
} attempt;

typedef struct forecast_ahead {
    size_t count;
    double *times;
    double *value;
    double *low80, *high80, *low95, *high95;
    double *memory;
} forecast_ahead;

/* Quantiles of the validation residuals at one step: forecast + low .. forecast + high (logs: times
 * exp). In units of the recent spread of the series, where the run's intervals are scaled. */
typedef struct interval {
    double low95, low80, high80, high95;
} interval;

/* Everything that is known at the end; the report and the tables read it. */
typedef struct forecast_run {
    const forecast_settings *settings;
    const arguments *arguments;
    lstm_context *context;
    series series;
    attempt chosen;
    char columns_reason[400]; /* why these columns; "" = nothing to say */
    method_table table;
    interval *intervals; /* [horizon] */
    int scaled;          /* intervals breathe with the recent changes of the series */
    double spread_floor; /* smallest spread that counts */
    /* of the size of changes with the spread before them, in training; NaN = unknown */
    double spread_correlation;
    double coverage80, coverage95; /* of the test points; NaN = unknown */
    size_t residual_count;         /* validation residuals behind each interval */
    forecast_ahead ahead;
    char verdict[900];
    char checksum[65];
    double seconds;         /* of training */
    const char *trained_on; /* --model: the file the model was trained on */
    char *saved;            /* --model: the text of the recipe */
} forecast_run;

void forecast_release(forecast_run *run);

/* Load the data, split, train, choose. */
int forecast_train(forecast_run *run);

/* Forecast from some origins in raw units: out [count][horizon]. */
int forecast_predict(const attempt *with, const double *y, const size_t *origins, size_t count,
                     double *out);
void attempt_release(attempt *of);

/* Merge networks LSTM(units) -> Dense(outputs) of equal shape into one, LSTM(count * units) ->
 * Dense(outputs), whose output is the mean of theirs. */
int forecast_merge(lstm_model **out, lstm_context *context, lstm_model *const *models,
                   size_t count);

/* Errors beside the baselines, intervals, coverage, verdict. */
int forecast_judge(forecast_run *run);

/* The steps that follow the last row. */
int forecast_look_ahead(forecast_run *run);

/* Put recipe, scalers and intervals into the model / get them back (names belong to the run's
 * `saved` or the series). */
int forecast_remember(forecast_run *run);

typedef struct forecast_memory {
    char *target;
    char *date; /* NULL = none */
    char *names[SERIES_COLUMNS];
    int is_date;
    char *data;        /* file it was trained on */
    char *span;        /* "2012-01-01 to 2015-12-31" */
    double scale_rmse; /* test RMSE of the network when it was trained; NaN = unknown */
    double ratio;
} forecast_memory;

int forecast_recall(forecast_run *run, forecast_memory *memory);
void forecast_memory_release(forecast_memory *memory);

/* Use a saved model. */
int forecast_apply(forecast_run *run);

/* Decimals that show a thousandth of the narrowest interval. */
int forecast_decimals(const forecast_ahead *ahead);

void forecast_print_table(const forecast_run *run);
void forecast_print_ahead(const forecast_run *run);
int forecast_write_csv(const forecast_run *run, const char *path);

int report_write_forecast(const forecast_run *run, const char *path);

#endif
