/* SPDX-License-Identifier: MIT
 *
 * lstm forecast --model M NEW.csv: the stored recipe on new rows. The file must have the columns
 * the model was trained on; the forecast follows its last row.
 */
#include "forecast.h"
#include "messages.h"
#include "network_file.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows that follow one another otherwise than in training make a different series. */
static void compare_spacing(const recipe *r, const series *data)
{
    char now[64];
    char then[64];
    (void)spacing_words(&data->spacing, now, sizeof now);
    (void)spacing_words(&r->spacing, then, sizeof then);
    const int numbers = r->spacing.kind == SPACING_NUMBERS && data->spacing.kind == SPACING_NUMBERS;
    if (numbers ? fabs(r->spacing.step - data->spacing.step) > 0.01 * r->spacing.step
                : strcmp(now, then) != 0) {
        message_warning("%s: rows are %s, but the model was trained on rows %s", data->path, now,
                        then);
    }
}

static int load_new(forecast_run *run, const forecast_memory *memory)
{
    const recipe *const r = &run->chosen.recipe;
    const forecast_settings *const settings = run->settings;
    const char *const *const features = (const char *const *)memory->names;
    const char *const date = settings->date != NULL ? settings->date
                             : memory->date != NULL ? memory->date
                                                    : "none";
    const series_request request = {.path = settings->data,
                                    .target = memory->target,
                                    .date = date,
                                    .features = features + 1,
                                    .feature_count = r->column_count - 1,
                                    .of_model = 1};
    int code = series_load(&run->series, run->context, &request);
    if (code != EXIT_DONE) {
        return code;
    }
    const series *const data = &run->series;
    const size_t needed = recipe_lead(r) + r->window;
    if (data->rows < needed) {
        return message_error(EXIT_USE,
                             "%s: %zu rows, but the model needs the latest %zu (window %zu%s)",
                             data->path, data->rows, needed, r->window,
                             needed > r->window ? " and what its transform looks back" : "");
    }
    if (r->cycle_count > 0 && data->times == NULL) {
        return message_error(EXIT_USE,
                             "%s: the model needs a time column like \"%s\" to know the season",
                             data->path, memory->date != NULL ? memory->date : "date");
    }
    for (size_t c = 0; c < r->column_count; c++) {
        for (size_t i = data->rows - needed; transform_is_log(r->inputs[c]) && i < data->rows;
             i++) {
            if (data->values[c][i] <= 0.0) {
                return message_error(
                    EXIT_USE,
                    "%s: line %zu, column \"%s\": %g has no logarithm, which this model's "
                    "transform (%s) needs",
                    data->path, series_line(data, i), data->names[c], data->values[c][i],
                    transform_names[r->inputs[c]]);
            }
        }
    }
    compare_spacing(r, data);
    return EXIT_DONE;
}

int forecast_apply(forecast_run *run)
{
    int code = EXIT_DONE;
    const forecast_settings *const settings = run->settings;
    forecast_memory memory = {0};
    attempt *const a = &run->chosen;
    run->spread_correlation = NAN;
    NEED(model_load(&a->model, run->context, settings->model, settings->seed));
    NEED(forecast_recall(run, &memory));
    if (settings->target != NULL && strcmp(settings->target, memory.target) != 0) {
        code = message_error(EXIT_USE, "%s forecasts \"%s\", not \"%s\" (--target)",
                             settings->model, memory.target, settings->target);
        goto out;
    }
    NEED(load_new(run, &memory));
    a->recipe.spacing = run->series.spacing.kind == a->recipe.spacing.kind ? run->series.spacing
                                                                           : a->recipe.spacing;
    a->matrix = transform_matrix(&a->recipe, &run->series);
    if (a->matrix == NULL) {
        code = message_error(EXIT_WORK, "no memory for %zu rows", run->series.rows);
        goto out;
    }
    NEED(forecast_look_ahead(run));
    run->trained_on = memory.data;
    if (memory.data != NULL && memory.span != NULL && !isnan(memory.ratio)) {
        (void)snprintf(run->verdict, sizeof run->verdict,
                       "Trained on %s (%s); in its test part the network's RMSE was %.4g, %.4f "
                       "times that of repeating the "
                       "last value.",
                       memory.data, memory.span, memory.scale_rmse, memory.ratio);
    }
    if (settings->report != NULL) {
        NEED(report_write_forecast(run, settings->report));
    }
    if (settings->output != NULL) {
        NEED(forecast_write_csv(run, settings->output));
    }
    forecast_print_ahead(run);
    if (run->verdict[0] != '\0') {
        printf("%s\n", run->verdict);
    }
out:
    forecast_memory_release(&memory);
    return code;
}
