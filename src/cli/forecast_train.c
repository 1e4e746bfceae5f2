/* SPDX-License-Identifier: MIT
 *
 * Split, scale and train (forecast.h).
 *
 * The rows are split in the order of time: training, validation, test. An origin belongs to the
 * part in which all its targets lie; its window may reach back into the part before, as it would in
 * use. Transform, scaler, drift and linear baseline see the training part only; early stopping, the
 * choice of columns and the intervals see the validation part; the test part is looked at once, at
 * the end.
 *
 * Each network is LSTM(units) -> Dense(horizon) whose last layer starts at zero, so that it begins
 * as the transform's own forecast. If no epoch improves on that, the untrained network is kept:
 * training must not make things worse. Several networks from different seeds are trained and merged
 * into one that gives their mean (Hansen and Salamon, "Neural network ensembles", 1990): on small
 * data a single one depends more on its seed than on its settings.
 */
#define _POSIX_C_SOURCE 200809L
#include "forecast.h"
#include "messages.h"
#include "progress.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART_LIMIT 20000 /* origins used of a part: more cost minutes and change nothing */
#define CHUNK 512

void attempt_release(attempt *of)
{
    recipe_release(&of->recipe);
    free(of->train.origins);
    free(of->validation.origins);
    free(of->test.origins);
    free(of->matrix);
    free(of->validation_forecast);
    for (size_t k = 0; k < of->member_count; k++) {
        lstm_history_destroy(of->members[k].history);
    }
    lstm_model_destroy(of->model);
    memset(of, 0, sizeof *of);
}

/* ---- Split */

static int fill_part(forecast_part *part, const recipe *of, size_t first_row, size_t end_row)
{
    part->first_row = first_row;
    part->end_row = end_row;
    const size_t earliest = recipe_lead(of) + of->window - 1;
    size_t first = first_row > 0 ? first_row - 1 : 0;
    first = first < earliest ? earliest : first;
    const size_t count = end_row > first + of->horizon ? end_row - of->horizon - first : 0;
    part->stride = count > PART_LIMIT ? (count + PART_LIMIT - 1) / PART_LIMIT : 1;
    part->count = (count + part->stride - 1) / part->stride;
    part->origins = malloc((part->count + 1) * sizeof *part->origins);
    if (part->origins == NULL) {
        return message_error(EXIT_WORK, "no memory for %zu windows", part->count);
    }
    for (size_t n = 0; n < part->count; n++) {
        part->origins[n] = first + n * part->stride;
    }
    return EXIT_DONE;
}

typedef struct split {
    size_t train_end, validation_end;
} split;

static split split_rows(const forecast_settings *settings, size_t rows)
{
    split at;
    at.train_end = (size_t)llround((double)rows * (1.0 - settings->validation - settings->test));
    at.validation_end = (size_t)llround((double)rows * (1.0 - settings->test));
    return at;
}

#define TRAIN_SAMPLES 8 /* the least that is worth a training */

/* The smallest number of rows that leaves something in every part. */
static size_t rows_needed(const forecast_settings *settings, const recipe *of)
{
    const double train = (double)(recipe_lead(of) + of->window + of->horizon + TRAIN_SAMPLES - 1);
    const double horizon = (double)of->horizon + 1.0;
    double rows = train / (1.0 - settings->validation - settings->test);
    rows = fmax(rows, horizon / settings->validation);
    rows = fmax(rows, horizon / settings->test);
    return (size_t)ceil(rows + 1.0);
}

static int too_few(const forecast_settings *settings, const series *data, const recipe *of)
{
    return message_error(
        EXIT_USE,
        "%s: %zu row%s, but window %zu and horizon %zu need at least %zu (%.0f %% of them for "
        "validation, %.0f %% for the test); give more rows or a smaller --window or --horizon",
        data->path, data->rows, data->rows == 1 ? "" : "s", of->window, of->horizon,
        rows_needed(settings, of), 100.0 * settings->validation, 100.0 * settings->test);
}

static int split_parts(attempt *of, const forecast_settings *settings, const series *data)
{
    const recipe *const r = &of->recipe;
    const split at = split_rows(settings, data->rows);
    if (data->rows < rows_needed(settings, r)) {
        return too_few(settings, data, r);
    }
    int code = fill_part(&of->train, r, 0, at.train_end);
    code = code != EXIT_DONE ? code
                             : fill_part(&of->validation, r, at.train_end, at.validation_end);
    code = code != EXIT_DONE ? code : fill_part(&of->test, r, at.validation_end, data->rows);
    if (code == EXIT_DONE && of->train.stride > 1) {
        message_note("%s: training on every %zu. window (%zu of them)", data->path,
                     of->train.stride, of->train.count);
    }
    return code;
}

/* ---- Arrays */

typedef struct samples {
    float *x, *y;
    lstm_data data;
} samples;

static void samples_release(samples *of)
{
    free(of->x);
    free(of->y);
    of->x = NULL;
    of->y = NULL;
}

static int fill_samples(samples *out, const attempt *of, const double *y, const forecast_part *part)
{
    const recipe *const r = &of->recipe;
    const size_t width = r->window * recipe_features(r);
    out->x = malloc((part->count * width + 1) * sizeof *out->x);
    out->y = malloc((part->count * r->horizon + 1) * sizeof *out->y);
    double *const z = malloc(r->horizon * sizeof *z);
    if (out->x == NULL || out->y == NULL || z == NULL) {
        free(z);
        samples_release(out);
        return message_error(EXIT_WORK, "no memory for %zu windows of %zu rows and %zu features",
                             part->count, r->window, recipe_features(r));
    }
    transform_windows(r, of->matrix, part->origins, part->count, out->x);
    for (size_t n = 0; n < part->count; n++) {
        transform_target(r, y, part->origins[n], z);
        for (size_t h = 0; h < r->horizon; h++) {
            out->y[n * r->horizon + h] = (float)z[h];
        }
    }
    free(z);
    out->data = (lstm_data){.struct_size = sizeof(lstm_data),
                            .samples = (int64_t)part->count,
                            .x = out->x,
                            .x_count = part->count * width,
                            .y = out->y,
                            .y_count = part->count * r->horizon};
    return EXIT_DONE;
}

int forecast_predict(const attempt *with, const double *y, const size_t *origins, size_t count,
                     double *out)
{
    const recipe *const r = &with->recipe;
    const size_t width = r->window * recipe_features(r);
    int code = EXIT_DONE;
    float *const x = malloc(CHUNK * width * sizeof *x);
    float *const z = malloc(CHUNK * r->horizon * sizeof *z);
    double *const scaled = malloc(r->horizon * sizeof *scaled);
    if (x == NULL || z == NULL || scaled == NULL) {
        code = message_error(EXIT_WORK, "no memory for forecasting");
        goto out;
    }
    for (size_t from = 0; from < count; from += CHUNK) {
        const size_t now = count - from < CHUNK ? count - from : CHUNK;
        transform_windows(r, with->matrix, origins + from, now, x);
        const lstm_data data = {
            .struct_size = sizeof data, .samples = (int64_t)now, .x = x, .x_count = now * width};
        CHECK(lstm_predict(with->model, &data, z, now * r->horizon), "forecasting");
        for (size_t n = 0; n < now; n++) {
            for (size_t h = 0; h < r->horizon; h++) {
                scaled[h] = (double)z[n * r->horizon + h];
            }
            transform_invert(r, y, origins[from + n], scaled, out + (from + n) * r->horizon);
        }
    }
out:
    free(x);
    free(z);
    free(scaled);
    return code;
}

/* ---- The network */

static int build_model(lstm_model **out, const recipe *r, lstm_context *context, int64_t units,
                       uint64_t seed)
{
    int code = EXIT_DONE;
    const lstm_model_options options = {.struct_size = sizeof options, .seed = seed};
    const lstm_input_options input = {.struct_size = sizeof input,
                                      .steps = (int64_t)r->window,
                                      .features = (int64_t)recipe_features(r)};
    const lstm_lstm_options recurrent = {.struct_size = sizeof recurrent, .units = units};
    const lstm_dense_options dense = {.struct_size = sizeof dense,
                                      .units = (int64_t)r->horizon,
                                      .kernel_initializer = LSTM_INITIALIZER_ZEROS};
    CHECK(lstm_model_create(out, context, &options), NULL);
    CHECK(lstm_model_add_input(*out, &input, NULL), NULL);
    CHECK(lstm_model_add_lstm(*out, &recurrent, NULL, NULL), NULL);
    CHECK(lstm_model_add_dense(*out, &dense, NULL, NULL), NULL);
    CHECK(lstm_model_build(*out), NULL);
out:
    return code;
}

/* All parameters one after the other, out of the model or back into it. */
static int copy_parameters(lstm_model *model, float *values, int restore)
{
    int code = EXIT_DONE;
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        CHECK(lstm_model_parameter_info(model, p, &info), NULL);
        if (restore) {
            CHECK(lstm_model_set_parameter(model, p, values, info.count), NULL);
        } else {
            CHECK(lstm_model_get_parameter(model, p, values, info.count), NULL);
        }
        values += info.count;
    }
out:
    return code;
}

static double column_at(const lstm_history *history, const char *name, size_t epoch)
{
    for (size_t c = 0; c < lstm_history_columns(history); c++) {
        if (strcmp(lstm_history_name(history, c), name) == 0) {
            return lstm_history_value(history, epoch, c);
        }
    }
    return NAN;
}

/* Train one network; keep the weights of before where no epoch validates better. */
static int fit_model(lstm_model *model, member *of, attempt *whole, const forecast_run *run,
                     uint64_t seed, const lstm_data *train, const lstm_data *validation)
{
    int code = EXIT_DONE;
    const forecast_settings *const settings = run->settings;
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = settings->loss};
    const lstm_optimizer_options adam = {.struct_size = sizeof adam,
                                         .learning_rate = settings->learning_rate,
                                         .global_clip_norm = 1.0};
    const lstm_evaluate_options evaluate = {
        .struct_size = sizeof evaluate, .batch_size = CHUNK, .loss = &loss};
    float *const before = malloc((lstm_model_parameter_total(model) + 1) * sizeof *before);
    if (before == NULL) {
        return message_error(EXIT_WORK, "no memory for the network's parameters");
    }
    NEED(copy_parameters(model, before, 0));
    CHECK(lstm_evaluate(model, &evaluate, validation, &whole->untrained_loss, 1), "validation");
    CHECK(lstm_evaluate(model, &evaluate, train, &whole->untrained_train, 1), "validation");
    progress show;
    progress_begin(&show, run->arguments, 0);
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = settings->epochs,
                                      .batch_size = settings->batch_size,
                                      .early_stopping = settings->patience,
                                      .validation = validation,
                                      .loss = &loss,
                                      .optimizer_options = &adam,
                                      .seed = seed,
                                      .progress = progress_report,
                                      .progress_user = &show};
    const lstm_status status = lstm_fit(model, &options, train, &of->history);
    progress_end(&show);
    if (status == LSTM_ERROR_CANCELLED) {
        code = progress_interrupted(&show, NULL, NULL);
        goto out;
    }
    CHECK(status, "training");
    of->best_epoch = lstm_history_best(of->history) + 1;
    of->best_loss = column_at(of->history, "val_loss", of->best_epoch - 1);
    if (!(of->best_loss < whole->untrained_loss)) {
        of->best_epoch = 0;
        of->best_loss = whole->untrained_loss;
        NEED(copy_parameters(model, before, 1));
    }
out:
    free(before);
    return code;
}

/* Train the networks and merge them. */
static int fit_networks(attempt *of, const forecast_run *run, const lstm_data *train,
                        const lstm_data *validation)
{
    int code = EXIT_DONE;
    const forecast_settings *const settings = run->settings;
    const size_t networks = (size_t)settings->networks;
    lstm_model *models[NETWORKS] = {NULL};
    for (size_t k = 0; k < networks; k++) {
        /* Seeds far apart, so that --seed 1 shares no network with --seed 2. */
        const uint64_t seed = settings->seed * 1000003u + k;
        NEED(build_model(&models[k], &of->recipe, run->context, settings->units, seed));
        of->member_count = k + 1;
        NEED(fit_model(models[k], &of->members[k], of, run, seed, train, validation));
    }
    NEED(forecast_merge(&of->model, run->context, models, networks));
out:
    for (size_t k = 0; k < networks; k++) {
        lstm_model_destroy(models[k]);
    }
    return code;
}

static double rmse_of(const double *y, const forecast_part *part, const double *forecast,
                      size_t horizon)
{
    double sum = 0.0;
    for (size_t n = 0; n < part->count; n++) {
        for (size_t h = 1; h <= horizon; h++) {
            const double error = y[part->origins[n] + h] - forecast[n * horizon + h - 1];
            sum += error * error;
        }
    }
    return sqrt(sum / (double)(part->count * horizon));
}

static void tell_transform(const attempt *of)
{
    char season[64];
    for (size_t c = 0; c < of->choice.season_count; c++) {
        if (!isnan(of->choice.strengths[c])) {
            message_note("season: %s (%zu rows), strength %.2f",
                         cycle_words(&of->choice.seasons[c], season, sizeof season),
                         of->choice.seasons[c].rows, of->choice.strengths[c]);
        }
    }
    message_note("transform: %s (%s)", transform_names[of->recipe.target], of->choice.reason);
}

/* Train on the target and the first `columns` - 1 further columns. */
static int make_attempt(attempt *of, const forecast_run *run, size_t columns, size_t train_rows,
                        int tell)
{
    int code = EXIT_DONE;
    const forecast_settings *const settings = run->settings;
    const series *const data = &run->series;
    const double *const y = data->values[0];
    recipe *const r = &of->recipe;
    samples train = {0};
    samples validation = {0};
    r->column_count = columns;
    r->window = settings->window;
    r->horizon = settings->horizon;
    r->spacing = data->spacing;
    NEED(transform_choose(r, &of->choice, run->context, data, train_rows, settings->asked,
                          settings->season));
    NEED(split_parts(of, settings, data));
    if (tell) {
        tell_transform(of);
    }
    of->matrix = transform_matrix(r, data);
    if (of->matrix == NULL) {
        code = message_error(EXIT_WORK, "no memory for %zu rows of %zu features", data->rows,
                             recipe_features(r));
        goto out;
    }
    CHECK(transform_fit_scalers(r, of->matrix, y, of->train.origins, of->train.count), "scaling");
    NEED(fill_samples(&train, of, y, &of->train));
    NEED(fill_samples(&validation, of, y, &of->validation));
    NEED(fit_networks(of, run, &train.data, &validation.data));
    of->validation_forecast = malloc(of->validation.count * r->horizon * sizeof(double));
    if (of->validation_forecast == NULL) {
        code = message_error(EXIT_WORK, "no memory for the validation forecasts");
        goto out;
    }
    NEED(forecast_predict(of, y, of->validation.origins, of->validation.count,
                          of->validation_forecast));
    of->validation_rmse = rmse_of(y, &of->validation, of->validation_forecast, r->horizon);
out:
    samples_release(&train);
    samples_release(&validation);
    return code;
}

/* ---- Columns */

static int constant_until(const double *values, size_t rows)
{
    for (size_t i = 1; i < rows; i++) {
        if (values[i] != values[0]) {
            return 0;
        }
    }
    return 1;
}

/* Drop features that never change in the training part: nothing can be learned from them, and no
 * scale exists. */
static int drop_constant(series *data, size_t train_rows)
{
    if (constant_until(data->values[0], train_rows)) {
        return message_error(
            EXIT_USE,
            "%s: column \"%s\" has the same value (%g) in the whole training part (%zu rows): "
            "there is nothing to learn",
            data->path, data->names[0], data->values[0][0], train_rows);
    }
    size_t kept = 1;
    for (size_t c = 1; c < data->column_count; c++) {
        if (constant_until(data->values[c], train_rows)) {
            message_note("column \"%s\" is left out: it never changes in the training part",
                         data->names[c]);
            continue;
        }
        data->names[kept] = data->names[c];
        data->values[kept++] = data->values[c];
    }
    data->column_count = kept;
    return EXIT_DONE;
}

static void tell_choice(forecast_run *run, const attempt *alone, const attempt *all, int all_better)
{
    const char *const name = run->series.names[0];
    char alone_text[32];
    char all_text[32];
    (void)snprintf(alone_text, sizeof alone_text, "%.4g", alone->validation_rmse);
    (void)snprintf(all_text, sizeof all_text, "%.4g", all->validation_rmse);
    (void)snprintf(run->columns_reason, sizeof run->columns_reason,
                   "%s: RMSE in the validation part %s from %s alone, %s from all %zu columns",
                   all_better ? "all columns" : "the target alone", alone_text, name, all_text,
                   run->series.column_count);
}

static int load(forecast_run *run, size_t *train_rows)
{
    const forecast_settings *const settings = run->settings;
    const series_request request = {.path = settings->data,
                                    .target = settings->target,
                                    .date = settings->date,
                                    .features = (const char *const *)settings->features.items,
                                    .feature_count = settings->features.count,
                                    .all = settings->choose_features || settings->all_features};
    int code = series_load(&run->series, run->context, &request);
    if (code != EXIT_DONE) {
        return code;
    }
    char words[64];
    char first[64];
    char last[64];
    const series *const data = &run->series;
    message_note("%s: %zu rows, %s to %s, %s", data->path, data->rows,
                 series_time_text(data, 0, first, sizeof first),
                 series_time_text(data, data->rows - 1, last, sizeof last),
                 spacing_words(&data->spacing, words, sizeof words));
    if (data->ignored[0] != '\0') {
        message_note("not used: %s", data->ignored);
    }
    if (data->spacing.gaps > 0 && data->spacing.kind != SPACING_WORKDAYS) {
        message_note("%zu places where rows are missing, the first before line %zu; they are "
                     "treated as neighbours",
                     data->spacing.gaps, series_line(data, data->spacing.first_gap));
    }
    *train_rows = split_rows(settings, data->rows).train_end;
    if (data->rows < settings->window + settings->horizon + 2 || *train_rows < 2) {
        const recipe plain = {
            .window = settings->window, .horizon = settings->horizon, .column_count = 1};
        return too_few(settings, data, &plain);
    }
    return drop_constant(&run->series, *train_rows);
}

static void tell_untrained(const attempt *of)
{
    size_t untrained = 0;
    for (size_t k = 0; k < of->member_count; k++) {
        untrained += of->members[k].best_epoch == 0;
    }
    if (untrained > 0) {
        message_note(
            "%zu of %zu networks found nothing that helps in validation and %s: untrained, %s "
            "gives %s",
            untrained, of->member_count, untrained == 1 ? "stays as it was" : "stay as they were",
            untrained == 1 ? "it" : "each",
            transform_is_seasonal(of->recipe.target) ? "the last season with its change"
            : of->recipe.target == TRANSFORM_LEVEL   ? "the mean"
                                                     : "the last value with the mean change");
    }
}

int forecast_train(forecast_run *run)
{
    size_t train_rows = 0;
    int code = load(run, &train_rows);
    if (code != EXIT_DONE) {
        return code;
    }
    struct timespec begin;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    const size_t columns = run->series.column_count;
    const int compare = run->settings->choose_features && columns > 1;
    attempt other = {0};
    if (compare) {
        message_note("training twice: from %s alone, and from all %zu columns",
                     run->series.names[0], columns);
    }
    code = make_attempt(&run->chosen, run, compare ? 1 : columns, train_rows, 1);
    if (code == EXIT_DONE && compare) {
        code = make_attempt(&other, run, columns, train_rows, 0);
    }
    if (code == EXIT_DONE && compare) {
        const int better = other.validation_rmse < run->chosen.validation_rmse;
        tell_choice(run, &run->chosen, &other, better);
        message_note("columns: %s", run->columns_reason);
        if (better) {
            const attempt swap = run->chosen;
            run->chosen = other;
            other = swap;
        }
    }
    attempt_release(&other);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    run->seconds = (double)(end.tv_sec - begin.tv_sec) +
                   1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    if (code == EXIT_DONE) {
        tell_untrained(&run->chosen);
    }
    return code;
}
