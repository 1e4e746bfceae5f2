/* SPDX-License-Identifier: MIT
 *
 * What a forecasting model remembers: everything between a CSV file and the network's input, and
 * between the network's output and a forecast with its interval. JSON under the key "forecast" of
 * the model's metadata; the scalers are stored by the library (lstm_model_set_scaler).
 */
#define _POSIX_C_SOURCE 200809L
#include "forecast.h"
#include "messages.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "forecast"
#define FORMAT 1

static const char *const cycle_names[] = {"", "year", "week", "day", "rows", NULL};
static const char *const spacing_names[] = {"",     "rows",     "numbers", "seconds",
                                            "days", "workdays", "months",  NULL};

static int word_index(const char *const *words, const char *word)
{
    for (int i = 0; word != NULL && words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

/* ---- Writing */

static json_t *columns_json(const forecast_run *run)
{
    json_t *const list = json_array();
    for (size_t c = 0; c < run->chosen.recipe.column_count; c++) {
        (void)json_array_append_new(list, json_pack("{s:s, s:s}", "name", run->series.names[c],
                                                    "transform",
                                                    transform_names[run->chosen.recipe.inputs[c]]));
    }
    return list;
}

static json_t *cycles_json(const recipe *r)
{
    json_t *const list = json_array();
    for (size_t c = 0; c < r->cycle_count; c++) {
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:I}", "kind", cycle_names[r->cycles[c].kind],
                                              "rows", (json_int_t)r->cycles[c].rows));
    }
    return list;
}

static json_t *intervals_json(const forecast_run *run)
{
    json_t *const list = json_array();
    for (size_t h = 0; h < run->chosen.recipe.horizon; h++) {
        const interval *const band = &run->intervals[h];
        (void)json_array_append_new(
            list, json_pack("[f, f, f, f]", band->low95, band->low80, band->high80, band->high95));
    }
    return list;
}

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *recipe_json(const forecast_run *run)
{
    const recipe *const r = &run->chosen.recipe;
    const series *const data = &run->series;
    const spacing *const by = &r->spacing;
    char first[64];
    char last[64];
    char span[160];
    (void)snprintf(span, sizeof span, "%s to %s", series_time_text(data, 0, first, sizeof first),
                   series_time_text(data, data->rows - 1, last, sizeof last));
    json_t *const root = json_object();
    (void)json_object_set_new(root, "format", json_integer(FORMAT));
    (void)json_object_set_new(root, "target", json_string(data->names[0]));
    (void)json_object_set_new(root, "date",
                              data->date_name != NULL ? json_string(data->date_name) : json_null());
    (void)json_object_set_new(root, "date_is_calendar", json_boolean(data->is_date));
    (void)json_object_set_new(root, "columns", columns_json(run));
    (void)json_object_set_new(root, "transform", json_string(transform_names[r->target]));
    (void)json_object_set_new(root, "reason", json_string(run->chosen.choice.reason));
    (void)json_object_set_new(root, "window", json_integer((json_int_t)r->window));
    (void)json_object_set_new(root, "horizon", json_integer((json_int_t)r->horizon));
    (void)json_object_set_new(root, "season", json_integer((json_int_t)r->season));
    (void)json_object_set_new(root, "cycles", cycles_json(r));
    (void)json_object_set_new(root, "spacing",
                              json_pack("{s:s, s:f, s:I, s:b, s:b, s:b}", "kind",
                                        spacing_names[by->kind], "step", by->step, "amount",
                                        (json_int_t)by->amount, "month_end", by->month_end,
                                        "with_time", by->with_time, "years", by->years));
    (void)json_object_set_new(root, "residual_quantiles", intervals_json(run));
    (void)json_object_set_new(root, "interval_scaled", json_boolean(run->scaled));
    (void)json_object_set_new(root, "spread_floor", number_or_null(run->spread_floor));
    (void)json_object_set_new(root, "residuals", json_integer((json_int_t)run->residual_count));
    (void)json_object_set_new(
        root, "test",
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "rmse", number_or_null(run->table.items[0].rmse),
                  "mae", number_or_null(run->table.items[0].mae), "ratio_to_last_value",
                  number_or_null(run->table.items[0].ratio), "coverage_80",
                  number_or_null(run->coverage80), "coverage_95", number_or_null(run->coverage95)));
    (void)json_object_set_new(root, "data",
                              json_pack("{s:s, s:I, s:s, s:s}", "file", data->path, "rows",
                                        (json_int_t)data->rows, "span", span, "sha256",
                                        run->checksum));
    return root;
}

int forecast_remember(forecast_run *run)
{
    int code = EXIT_DONE;
    const recipe *const r = &run->chosen.recipe;
    json_t *const root = recipe_json(run);
    char *const text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    if (text == NULL) {
        return message_error(EXIT_USE, "%s: names or path are no UTF-8, or no memory",
                             run->series.path);
    }
    CHECK(lstm_model_set_metadata(run->chosen.model, KEY, text), "saving the recipe");
    CHECK(lstm_model_set_scaler(run->chosen.model, LSTM_SCALER_INPUT, recipe_features(r), r->offset,
                                r->scale),
          NULL);
    CHECK(lstm_model_set_scaler(run->chosen.model, LSTM_SCALER_TARGET, r->horizon, r->target_offset,
                                r->target_scale),
          NULL);
out:
    free(text);
    return code;
}

/* ---- Reading. Files may be damaged or edited: everything is checked before it is used. */

static int damaged(const char *path, const char *what)
{
    return message_error(EXIT_USE, "%s: the forecasting recipe in this model is damaged: %s", path,
                         what);
}

static char *copy_text(const json_t *value)
{
    const char *const text = json_string_value(value);
    return text != NULL ? strdup(text) : NULL;
}

static double real_at(const json_t *object, const char *key)
{
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static size_t count_at(const json_t *object, const char *key, size_t most)
{
    const json_t *const value = json_object_get(object, key);
    const json_int_t number = json_integer_value(value);
    return json_is_integer(value) && number >= 0 && (uint64_t)number <= most ? (size_t)number
                                                                             : (size_t)-1;
}

static const char *read_columns(recipe *r, forecast_memory *memory, const json_t *root)
{
    const json_t *const list = json_object_get(root, "columns");
    r->column_count = json_array_size(list);
    if (r->column_count < 1 || r->column_count > SERIES_COLUMNS) {
        return "\"columns\"";
    }
    for (size_t c = 0; c < r->column_count; c++) {
        const json_t *const item = json_array_get(list, c);
        const int kind = word_index(transform_names,
                                    json_string_value(json_object_get(item, "transform")));
        memory->names[c] = copy_text(json_object_get(item, "name"));
        if (memory->names[c] == NULL || kind < TRANSFORM_LEVEL ||
            (c > 0 && transform_is_seasonal((transform)kind))) {
            return "\"columns\"";
        }
        r->inputs[c] = (transform)kind;
    }
    r->target = r->inputs[0];
    return NULL;
}

static const char *read_cycles(recipe *r, const json_t *root)
{
    const json_t *const list = json_object_get(root, "cycles");
    r->cycle_count = json_array_size(list);
    if (r->cycle_count > CYCLES) {
        return "\"cycles\"";
    }
    for (size_t c = 0; c < r->cycle_count; c++) {
        const json_t *const item = json_array_get(list, c);
        const int kind = word_index(cycle_names, json_string_value(json_object_get(item, "kind")));
        const size_t rows = count_at(item, "rows", 1000000000);
        if (kind < CYCLE_YEAR || rows == (size_t)-1 || rows < 2) {
            return "\"cycles\"";
        }
        r->cycles[c] = (cycle){(cycle_kind)kind, rows};
    }
    return NULL;
}

static const char *read_spacing(recipe *r, const json_t *root)
{
    const json_t *const item = json_object_get(root, "spacing");
    const int kind = word_index(spacing_names, json_string_value(json_object_get(item, "kind")));
    const size_t amount = count_at(item, "amount", 1000000000);
    const double step = real_at(item, "step");
    if (kind < SPACING_ROWS || amount == (size_t)-1 || !isfinite(step)) {
        return "\"spacing\"";
    }
    r->spacing = (spacing){.kind = (spacing_kind)kind,
                           .step = step,
                           .amount = (int64_t)amount,
                           .month_end = json_is_true(json_object_get(item, "month_end")),
                           .with_time = json_is_true(json_object_get(item, "with_time")),
                           .years = json_is_true(json_object_get(item, "years"))};
    return NULL;
}

static const char *read_intervals(forecast_run *run, const json_t *root)
{
    const json_t *const list = json_object_get(root, "residual_quantiles");
    const size_t horizon = run->chosen.recipe.horizon;
    const size_t residuals = count_at(root, "residuals", (size_t)-2);
    if (json_array_size(list) != horizon || residuals == (size_t)-1) {
        return "\"residual_quantiles\"";
    }
    run->residual_count = residuals;
    run->scaled = json_is_true(json_object_get(root, "interval_scaled"));
    run->spread_floor = real_at(root, "spread_floor");
    if (run->scaled && !(run->spread_floor > 0.0)) {
        return "\"spread_floor\"";
    }
    run->intervals = malloc(horizon * sizeof *run->intervals);
    for (size_t h = 0; h < horizon && run->intervals != NULL; h++) {
        const json_t *const item = json_array_get(list, h);
        double q[4];
        for (size_t k = 0; k < 4; k++) {
            const json_t *const value = json_array_get(item, k);
            if (!json_is_number(value)) {
                return "\"residual_quantiles\"";
            }
            q[k] = json_number_value(value);
        }
        run->intervals[h] = (interval){q[0], q[1], q[2], q[3]};
    }
    return run->intervals == NULL ? "no memory" : NULL;
}

static const char *read_all(forecast_run *run, forecast_memory *memory, const json_t *root)
{
    recipe *const r = &run->chosen.recipe;
    const char *wrong = read_columns(r, memory, root);
    wrong = wrong != NULL ? wrong : read_cycles(r, root);
    wrong = wrong != NULL ? wrong : read_spacing(r, root);
    if (wrong != NULL) {
        return wrong;
    }
    r->window = count_at(root, "window", 1000000);
    r->horizon = count_at(root, "horizon", 1000000);
    r->season = count_at(root, "season", 1000000000);
    if (r->window == (size_t)-1 || r->window < 1) {
        return "\"window\"";
    }
    if (r->horizon == (size_t)-1 || r->horizon < 1) {
        return "\"horizon\"";
    }
    if (r->season == (size_t)-1 || (transform_is_seasonal(r->target) && r->season < 2)) {
        return "\"season\"";
    }
    memory->target = copy_text(json_object_get(root, "target"));
    memory->date = copy_text(json_object_get(root, "date"));
    memory->is_date = json_is_true(json_object_get(root, "date_is_calendar"));
    memory->data = copy_text(json_object_get(json_object_get(root, "data"), "file"));
    memory->span = copy_text(json_object_get(json_object_get(root, "data"), "span"));
    const json_t *const test = json_object_get(root, "test");
    const char *const reason = json_string_value(json_object_get(root, "reason"));
    (void)snprintf(run->chosen.choice.reason, sizeof run->chosen.choice.reason, "%s",
                   reason != NULL ? reason : "");
    memory->scale_rmse = real_at(test, "rmse");
    memory->ratio = real_at(test, "ratio_to_last_value");
    run->coverage80 = real_at(test, "coverage_80");
    run->coverage95 = real_at(test, "coverage_95");
    if (memory->target == NULL || strcmp(memory->target, memory->names[0]) != 0) {
        return "\"target\"";
    }
    return read_intervals(run, root);
}

/* Get the scalers and compare all sizes with the network's. */
static int read_scalers(forecast_run *run)
{
    int code = EXIT_DONE;
    const char *const path = run->settings->model;
    const lstm_model *const model = run->chosen.model;
    recipe *const r = &run->chosen.recipe;
    const size_t features = recipe_features(r);
    int64_t steps = 0;
    int64_t inputs = 0;
    int64_t outputs = 0;
    if (lstm_model_input_count(model) != 1 || lstm_model_output_count(model) != 1) {
        return damaged(path, "the network has several inputs or outputs");
    }
    CHECK(lstm_layer_shape(lstm_model_input(model, 0), &steps, &inputs), path);
    CHECK(lstm_layer_shape(lstm_model_output(model, 0), NULL, &outputs), path);
    if ((size_t)steps != r->window || (size_t)inputs != features || (size_t)outputs != r->horizon) {
        return damaged(path, "window, columns or horizon are not the network's");
    }
    r->offset = calloc(features, sizeof(double));
    r->scale = calloc(features, sizeof(double));
    r->target_offset = calloc(r->horizon, sizeof(double));
    r->target_scale = calloc(r->horizon, sizeof(double));
    if (r->offset == NULL || r->scale == NULL || r->target_offset == NULL ||
        r->target_scale == NULL) {
        return message_error(EXIT_WORK, "no memory for the scalers");
    }
    size_t columns = 0;
    CHECK(lstm_model_get_scaler(model, LSTM_SCALER_INPUT, &columns, NULL, NULL, 0), path);
    if (columns != features) {
        return damaged(path, "the scaler of the inputs does not fit");
    }
    CHECK(lstm_model_get_scaler(model, LSTM_SCALER_INPUT, &columns, r->offset, r->scale, features),
          path);
    CHECK(lstm_model_get_scaler(model, LSTM_SCALER_TARGET, &columns, NULL, NULL, 0), path);
    if (columns != r->horizon) {
        return damaged(path, "the scaler of the target does not fit");
    }
    CHECK(lstm_model_get_scaler(model, LSTM_SCALER_TARGET, &columns, r->target_offset,
                                r->target_scale, r->horizon),
          path);
out:
    return code;
}

int forecast_recall(forecast_run *run, forecast_memory *memory)
{
    memset(memory, 0, sizeof *memory);
    const char *const path = run->settings->model;
    const char *const text = lstm_model_metadata(run->chosen.model, KEY);
    if (text == NULL) {
        return message_error(
            EXIT_USE,
            "%s: this model holds no forecasting recipe; models made by \"lstm forecast … -o\" do",
            path);
    }
    run->saved = strdup(text);
    json_error_t error;
    json_t *const root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return damaged(path, error.text);
    }
    const char *wrong = NULL;
    if (json_integer_value(json_object_get(root, "format")) > FORMAT) {
        json_decref(root);
        return message_error(
            EXIT_USE, "%s: the forecasting recipe was written by a newer version of lstm", path);
    }
    wrong = read_all(run, memory, root);
    json_decref(root);
    return wrong != NULL ? damaged(path, wrong) : read_scalers(run);
}

void forecast_memory_release(forecast_memory *memory)
{
    free(memory->target);
    free(memory->date);
    free(memory->data);
    free(memory->span);
    for (size_t c = 0; c < SERIES_COLUMNS; c++) {
        free(memory->names[c]);
    }
    memset(memory, 0, sizeof *memory);
}
