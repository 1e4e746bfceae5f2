/* SPDX-License-Identifier: MIT
 *
 * The plots of the forecasting report (report_forecast.h).
 *
 * Forecasts of several steps are shown against truth at one step ahead each: the last one, which is
 * the hardest; the error at every step has a plot of its own.
 */
#include "report_forecast.h"
#include "svg_plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static svg_axis time_axis(const series *of)
{
    svg_axis axis = {.scale = of->is_date && of->times != NULL ? SVG_DATE : SVG_NUMBER};
    axis.title = of->times != NULL ? (of->is_date ? NULL : of->date_name) : "row";
    return axis;
}

/* Times of all rows, and after them those of `more` rows that follow. NULL (and a failed page)
 * without memory. */
static double *all_times(page *to, const series *of, size_t more)
{
    double *const times = malloc((of->rows + more) * sizeof *times);
    if (times == NULL) {
        to->failed = 1;
        return NULL;
    }
    for (size_t i = 0; i < of->rows; i++) {
        times[i] = series_time(of, i);
    }
    for (size_t k = 0; k < more; k++) {
        times[of->rows + k] = spacing_next(&of->spacing, times[of->rows - 1], (int64_t)k + 1);
    }
    return times;
}

void plot_data(page *to, const forecast_run *run)
{
    const series *const data = &run->series;
    double *const times = all_times(to, data, 0);
    if (times == NULL) {
        return;
    }
    svg_plot plot = {.title = "The data and its split",
                     .x = time_axis(data),
                     .y = {.title = data->names[0]},
                     .height = 320};
    const attempt *const a = &run->chosen;
    if (a->test.count > 0) {
        plot.note = "The network learns from the training part; the validation part decides when "
                    "to stop and how wide the "
                    "intervals are; the test part is used once, for the errors.";
        svg_plot_span(&plot, times[0], times[a->train.end_row - 1], 0, "training");
        svg_plot_span(&plot, times[a->validation.first_row], times[a->validation.end_row - 1], 1,
                      "validation");
        svg_plot_span(&plot, times[a->test.first_row], times[data->rows - 1], 2, "test");
    } else {
        plot.title = "The data";
    }
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_BLUE,
                                    .x = times,
                                    .y = data->values[0],
                                    .count = data->rows,
                                    .width = data->rows > 1000 ? 1.0 : 1.5});
    svg_plot_write(to, &plot);
    free(times);
}

/* The fan: intervals that begin at the last known point. */
static void add_fan(svg_plot *plot, double *room, const forecast_ahead *ahead, double now,
                    double last)
{
    const size_t n = ahead->count + 1;
    const double *const sources[] = {ahead->times,  ahead->value, ahead->low80,
                                     ahead->high80, ahead->low95, ahead->high95};
    for (size_t k = 0; k < 6; k++) {
        room[k * n] = k == 0 ? now : last;
        memcpy(room + k * n + 1, sources[k], ahead->count * sizeof(double));
    }
    svg_plot_add(plot, (svg_curve){.shape = SVG_AREA,
                                   .colour = SVG_VERMILION,
                                   .x = room,
                                   .y = room + 4 * n,
                                   .y2 = room + 5 * n,
                                   .count = n,
                                   .faint = 1,
                                   .label = "95 % interval"});
    svg_plot_add(plot, (svg_curve){.shape = SVG_AREA,
                                   .colour = SVG_VERMILION,
                                   .x = room,
                                   .y = room + 2 * n,
                                   .y2 = room + 3 * n,
                                   .count = n,
                                   .label = "80 % interval"});
    svg_plot_add(plot, (svg_curve){.shape = SVG_LINE,
                                   .colour = SVG_VERMILION,
                                   .x = room,
                                   .y = room + n,
                                   .count = n,
                                   .width = 2.2,
                                   .label = "forecast"});
}

void plot_ahead(page *to, const forecast_run *run)
{
    const series *const data = &run->series;
    const size_t horizon = run->ahead.count;
    size_t shown = 5 * horizon > 60 ? 5 * horizon : 60;
    shown = shown > data->rows ? data->rows : shown;
    double *const times = all_times(to, data, 0);
    double *const room = malloc(6 * (horizon + 1) * sizeof *room);
    if (times == NULL || room == NULL) {
        to->failed = 1;
        free(times);
        free(room);
        return;
    }
    const size_t from = data->rows - shown;
    svg_plot plot = {
        .title = horizon == 1 ? "The next step" : "The steps ahead",
        .note =
            run->scaled
                ? "Intervals are quantiles of the errors in the validation part, step by step, in "
                  "proportion to how much the series changed in the latest window."
                : "Intervals are quantiles of the errors in the validation part, step by step; "
                  "they "
                  "need not be centred on the forecast.",
        .x = time_axis(data),
        .y = {.title = data->names[0]}};
    add_fan(&plot, room, &run->ahead, times[data->rows - 1], data->values[0][data->rows - 1]);
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_BLUE,
                                    .x = times + from,
                                    .y = data->values[0] + from,
                                    .count = shown,
                                    .width = 1.8,
                                    .label = data->names[0]});
    if (horizon <= 40) {
        svg_plot_add(&plot, (svg_curve){.shape = SVG_POINTS,
                                        .colour = SVG_VERMILION,
                                        .x = run->ahead.times,
                                        .y = run->ahead.value,
                                        .count = horizon});
    }
    svg_plot_write(to, &plot);
    free(times);
    free(room);
}

/* ---- Test part */

/* Values of a method at its last step, at each origin's target row: times x, forecasts y. */
static void at_last_step(const forecast_run *run, const method *m, double *x, double *y)
{
    const forecast_part *const test = &run->chosen.test;
    const size_t horizon = run->table.horizon;
    for (size_t n = 0; n < test->count; n++) {
        if (x != NULL) {
            x[n] = series_time(&run->series, test->origins[n] + horizon);
        }
        y[n] = m != NULL ? m->forecast[n * horizon + horizon - 1]
                         : run->series.values[0][test->origins[n] + horizon];
    }
}

static const svg_colour method_colours[METHODS] = {
    SVG_VERMILION, SVG_GREY, SVG_PURPLE, SVG_SKY, SVG_ORANGE, SVG_GREEN, SVG_PURPLE, SVG_PURPLE};

static svg_colour colour_of(const method *m)
{
    static const char *const names[] = {METHOD_NETWORK,  METHOD_LAST,           METHOD_DRIFT,
                                        METHOD_SEASONAL, METHOD_SEASONAL_DRIFT, METHOD_LINEAR};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(m->name, names[i]) == 0) {
            return method_colours[i];
        }
    }
    return SVG_GREY;
}

static void zoom(page *to, const forecast_run *run, const double *x, double *const *lines)
{
    const method_table *const table = &run->table;
    const size_t count = run->chosen.test.count;
    const size_t third = count / 3 < 100 ? count / 3 : 100;
    const size_t shown = third > 40 ? third : count < 40 ? count : 40;
    const method *const best = baseline_best(table);
    const size_t from = count - shown;
    char note[200];
    (void)snprintf(
        note, sizeof note,
        "The latest %zu test points, each forecast %zu %s before, with the simple methods.", shown,
        table->horizon, table->horizon == 1 ? "step" : "steps");
    svg_plot plot = {.title = "The end of the test part",
                     .note = note,
                     .x = time_axis(&run->series),
                     .y = {.title = run->series.names[0]},
                     .height = 380};
    for (size_t i = table->count; i-- > 1;) {
        const method *const m = &table->items[i];
        /* Drift is too near to the last value to be told apart; far worse methods would only hide
         * the good ones. */
        if (strcmp(m->name, METHOD_DRIFT) != 0 && m->rmse <= 1.5 * best->rmse) {
            svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                            .colour = colour_of(m),
                                            .x = x + from,
                                            .y = lines[i] + from,
                                            .count = shown,
                                            .label = m->name,
                                            .width = 1.3,
                                            .dashed = strcmp(m->name, METHOD_LAST) == 0});
        }
    }
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_BLUE,
                                    .x = x + from,
                                    .y = lines[table->count] + from,
                                    .count = shown,
                                    .label = "truth",
                                    .width = 2.0});
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_VERMILION,
                                    .x = x + from,
                                    .y = lines[0] + from,
                                    .count = shown,
                                    .label = METHOD_NETWORK,
                                    .width = 2.0});
    svg_plot_write(to, &plot);
}

void plot_truth(page *to, const forecast_run *run)
{
    const method_table *const table = &run->table;
    const size_t count = run->chosen.test.count;
    double *lines[METHODS + 1];
    double *const room = malloc((METHODS + 2) * count * sizeof *room);
    if (room == NULL) {
        to->failed = 1;
        return;
    }
    double *const x = room;
    for (size_t i = 0; i <= table->count; i++) { /* the last one is the truth */
        lines[i] = room + (i + 1) * count;
        at_last_step(run, i < table->count ? &table->items[i] : NULL, x, lines[i]);
    }
    char note[200];
    (void)snprintf(note, sizeof note,
                   "Each value was forecast %zu %s before, from rows that were known by then.",
                   table->horizon, table->horizon == 1 ? "step" : "steps");
    svg_plot plot = {.title = "Forecast against truth, the whole test part",
                     .note = note,
                     .x = time_axis(&run->series),
                     .y = {.title = run->series.names[0]}};
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_BLUE,
                                    .x = x,
                                    .y = lines[table->count],
                                    .count = count,
                                    .label = "truth",
                                    .width = 1.6});
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_VERMILION,
                                    .x = x,
                                    .y = lines[0],
                                    .count = count,
                                    .label = METHOD_NETWORK,
                                    .width = 1.2});
    svg_plot_write(to, &plot);
    zoom(to, run, x, lines);
    free(room);
}

void plot_steps(page *to, const forecast_run *run)
{
    const method_table *const table = &run->table;
    const forecast_part *const test = &run->chosen.test;
    const size_t horizon = table->horizon;
    if (horizon < 2) {
        return;
    }
    double *const room = calloc((METHODS + 1) * horizon, sizeof *room);
    if (room == NULL) {
        to->failed = 1;
        return;
    }
    svg_plot plot = {.title = "Error by step ahead",
                     .x = {.title = "steps ahead", .integer = 1},
                     .y = {.title = "RMSE", .from_zero = 1},
                     .height = 320};
    for (size_t h = 0; h < horizon; h++) {
        room[METHODS * horizon + h] = (double)h + 1.0;
    }
    for (size_t i = table->count; i-- > 0;) {
        const method *const m = &table->items[i];
        double *const line = room + i * horizon;
        for (size_t h = 0; h < horizon; h++) {
            for (size_t n = 0; n < test->count; n++) {
                const double error = run->series.values[0][test->origins[n] + h + 1] -
                                     m->forecast[n * horizon + h];
                line[h] += error * error / (double)test->count;
            }
            line[h] = sqrt(line[h]);
        }
        svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                        .colour = colour_of(m),
                                        .x = room + METHODS * horizon,
                                        .y = line,
                                        .count = horizon,
                                        .label = m->name,
                                        .width = i == 0 ? 2.4 : 1.4,
                                        .dashed = strcmp(m->name, METHOD_LAST) == 0 ||
                                                  strcmp(m->name, METHOD_DRIFT) == 0});
    }
    svg_plot_write(to, &plot);
    free(room);
}

/* ---- Training */

static size_t find_column(const lstm_history *history, const char *name)
{
    size_t c = 0;
    while (c < lstm_history_columns(history) && strcmp(lstm_history_name(history, c), name) != 0) {
        c++;
    }
    return c;
}

/* The curves of one network: times from 0, where validation stands before training. */
static void add_losses(svg_plot *plot, const attempt *a, size_t k, double *room, size_t most)
{
    const lstm_history *const history = a->members[k].history;
    const size_t epochs = lstm_history_epochs(history);
    const size_t training = find_column(history, "loss");
    const size_t validation = find_column(history, "val_loss");
    double *const loss = room + (2 * k + 1) * most;
    double *const val = loss + most;
    for (size_t e = 0; e <= epochs; e++) {
        loss[e] = e == 0 ? 1.0 : lstm_history_value(history, e - 1, training) / a->untrained_train;
        val[e] = e == 0 ? 1.0 : lstm_history_value(history, e - 1, validation) / a->untrained_loss;
    }
    const int faint = a->member_count > 1;
    const double width = faint ? 1.5 : 2.0;
    svg_plot_add(plot, (svg_curve){.shape = SVG_LINE,
                                   .colour = SVG_BLUE,
                                   .x = room,
                                   .y = loss,
                                   .count = epochs + 1,
                                   .label = k == 0 ? "training" : NULL,
                                   .width = width,
                                   .faint = faint});
    svg_plot_add(plot, (svg_curve){.shape = SVG_LINE,
                                   .colour = SVG_VERMILION,
                                   .x = room,
                                   .y = val,
                                   .count = epochs + 1,
                                   .label = k == 0 ? "validation" : NULL,
                                   .width = width,
                                   .faint = faint});
}

void plot_loss(page *to, const forecast_run *run)
{
    const attempt *const a = &run->chosen;
    size_t most = 1;
    for (size_t k = 0; k < a->member_count; k++) {
        const size_t epochs = lstm_history_epochs(a->members[k].history) + 1;
        most = epochs > most ? epochs : most;
    }
    const size_t shown = a->member_count < 7 ? a->member_count : 7;
    double *const room = malloc(((2 * shown + 1) * most + 2 * NETWORKS) * sizeof *room);
    if (room == NULL) {
        to->failed = 1;
        return;
    }
    for (size_t e = 0; e < most; e++) {
        room[e] = (double)e;
    }
    double *const best_epoch = room + (2 * shown + 1) * most;
    double *const best_loss = best_epoch + NETWORKS;
    svg_plot plot = {.title = "Loss while training",
                     .x = {.title = "epoch", .integer = 1},
                     .y = {.title = "loss, untrained = 1"},
                     .height = 300};
    char note[300];
    (void)snprintf(
        note, sizeof note,
        "%s 1 is the loss of the untrained network (epoch 0), which gives its transform's own "
        "forecast.",
        a->member_count > 1
            ? "One pair of lines a network; the dots are the epochs whose weights are kept."
            : "The dot is the epoch whose weights are kept.");
    plot.note = note;
    for (size_t k = 0; k < shown; k++) {
        add_losses(&plot, a, k, room, most);
        best_epoch[k] = (double)a->members[k].best_epoch;
        best_loss[k] = a->members[k].best_loss / a->untrained_loss;
    }
    double lowest = 1.0;
    for (size_t k = 0; k < shown; k++) {
        lowest = fmin(lowest, best_loss[k]);
    }
    plot.y.scale = lowest > 0.0 && lowest < 0.5
                       ? SVG_LOG
                       : SVG_NUMBER; /* a steep fall would flatten the rest */
    svg_plot_add(&plot, (svg_curve){.shape = SVG_POINTS,
                                    .colour = SVG_VERMILION,
                                    .x = best_epoch,
                                    .y = best_loss,
                                    .count = shown,
                                    .width = 4.0,
                                    .label = "best epoch"});
    svg_plot_write(to, &plot);
    free(room);
}

/* ---- Residuals */

static void plot_histogram(page *to, const forecast_run *run, const double *residuals, size_t count)
{
    double low = INFINITY;
    double high = -INFINITY;
    double squares = 0.0;
    for (size_t n = 0; n < count; n++) {
        low = fmin(low, residuals[n]);
        high = fmax(high, residuals[n]);
        squares += residuals[n] * residuals[n] / (double)count;
    }
    const double reach = 5.0 *
                         sqrt(squares); /* a single far error would squeeze all bars into one */
    low = fmax(low, -reach);
    high = fmin(high, reach);
    enum { BINS = 48 };
    double centres[BINS];
    double counts[BINS];
    const size_t bins = count < 60 ? 12 : count < 300 ? 24 : BINS;
    if (!(high > low)) {
        return;
    }
    svg_histogram(residuals, count, low, high, bins, centres, counts);
    char axis[160];
    (void)snprintf(axis, sizeof axis, "truth less forecast (%s)", run->series.names[0]);
    svg_plot plot = {.title = "How the errors are spread",
                     .x = {.title = axis},
                     .y = {.title = "test points", .from_zero = 1},
                     .width = 470,
                     .height = 300};
    svg_plot_add(&plot, (svg_curve){.shape = SVG_BARS,
                                    .colour = SVG_VERMILION,
                                    .x = centres,
                                    .y = counts,
                                    .count = bins,
                                    .bar = (high - low) / (double)bins});
    svg_plot_mark(&plot, 0, 0.0, NULL);
    svg_plot_write(to, &plot);
}

static void plot_autocorrelation(page *to, const forecast_run *run, const double *residuals,
                                 size_t count)
{
    enum { LAGS = 40 };
    double lags[LAGS];
    double r[LAGS];
    const size_t shown = count / 4 < LAGS ? count / 4 : LAGS;
    if (shown < 2) {
        return;
    }
    autocorrelation(residuals, count, shown, r);
    for (size_t k = 0; k < shown; k++) {
        lags[k] = (double)k + 1.0;
    }
    const double bound = 1.96 / sqrt((double)count);
    svg_plot plot = {
        .title = "Autocorrelation of the errors",
        .x = {.title = run->chosen.test.stride > 1 ? "lag (test points)" : "lag (rows)",
              .integer = 1},
        .y = {.title = "correlation", .from_zero = 1},
        .width = 470,
        .height = 300};
    svg_plot_add(
        &plot,
        (svg_curve){
            .shape = SVG_BARS, .colour = SVG_BLUE, .x = lags, .y = r, .count = shown, .bar = 0.7});
    const double edge[2] = {bound, bound};
    const double other[2] = {-bound, -bound};
    const double ends[2] = {0.3, (double)shown + 0.7};
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_GREY,
                                    .x = ends,
                                    .y = edge,
                                    .count = 2,
                                    .dashed = 1,
                                    .label = "95 % bounds of chance"});
    svg_plot_add(
        &plot,
        (svg_curve){
            .shape = SVG_LINE, .colour = SVG_GREY, .x = ends, .y = other, .count = 2, .dashed = 1});
    svg_plot_write(to, &plot);
}

void plot_residuals(page *to, const forecast_run *run)
{
    const size_t count = run->chosen.test.count;
    const size_t horizon = run->table.horizon;
    double *const room = malloc(2 * count * sizeof *room);
    if (room == NULL) {
        to->failed = 1;
        return;
    }
    double *const residuals = room + count;
    for (size_t n = 0; n < count; n++) {
        const size_t row = run->chosen.test.origins[n] + 1;
        room[n] = series_time(&run->series, row);
        residuals[n] = run->series.values[0][row] - run->table.items[0].forecast[n * horizon];
    }
    svg_plot plot = {.title = horizon == 1 ? "Errors over time"
                                           : "Errors over time, one step ahead",
                     .x = time_axis(&run->series),
                     .y = {.title = "truth less forecast"},
                     .height = 260};
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_VERMILION,
                                    .x = room,
                                    .y = residuals,
                                    .count = count,
                                    .width = 1.0});
    svg_plot_mark(&plot, 1, 0.0, NULL);
    svg_plot_write(to, &plot);
    page_add(to, "<div class=\"pair\">\n");
    plot_histogram(to, run, residuals, count);
    plot_autocorrelation(to, run, residuals, count);
    page_add(to, "</div>\n");
    free(room);
}
