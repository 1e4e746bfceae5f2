/* SPDX-License-Identifier: MIT
 *
 * The page of `lstm fit --report`; see fit_report.h. Columns of the history that belong together
 * ("mae" and "val_mae") share a plot. A loss that falls over more than a decade is drawn on a
 * logarithmic axis.
 */
#include "fit_report.h"

#include "confusion_page.h"
#include "messages.h"
#include "report_head.h"
#include "svg_plot.h"
#include "text_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One column of the history as an array, x from 1. NULL where there is no memory. */
static double *column_values(const lstm_history *history, size_t column)
{
    const size_t epochs = lstm_history_epochs(history);
    double *values = malloc((epochs + 1) * sizeof *values);
    for (size_t e = 0; values != NULL && e < epochs; e++) {
        values[e] = lstm_history_value(history, e, column);
    }
    return values;
}

static size_t find_column(const lstm_history *history, const char *prefix, const char *name)
{
    char wanted[160];
    snprintf(wanted, sizeof wanted, "%s%s", prefix, name);
    size_t column = 0;
    while (column < lstm_history_columns(history) &&
           strcmp(lstm_history_name(history, column), wanted) != 0) {
        column++;
    }
    return column;
}

static int spans_a_decade(const double *values, size_t count, int before)
{
    double low = INFINITY;
    double high = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            low = fmin(low, values[i]);
            high = fmax(high, values[i]);
        }
    }
    return before && low > 0 && high > 10 * low;
}

static const char *note_of(const char *name)
{
    return strcmp(name, "loss") == 0
               ? "Mean over each epoch, measured while the weights were changing."
           : strcmp(name, "gradient_norm") == 0
               ? "Length of the gradient of all parameters, before clipping: mean over each epoch."
               : NULL;
}

/* The validation loss minus the training loss: what over-fitting looks like. */
static void add_gap(page *to, const fit_report *r)
{
    const lstm_history *h = r->history;
    const size_t epochs = lstm_history_epochs(h);
    const size_t validation = find_column(h, "val_", "loss");
    double *x = calloc(epochs + 1, sizeof *x);
    double *gap = calloc(epochs + 1, sizeof *gap);
    if (x == NULL || gap == NULL) {
        to->failed = 1;
    } else if (validation < lstm_history_columns(h)) {
        for (size_t e = 0; e < epochs; e++) {
            x[e] = (double)r->first_epoch + (double)e + 1;
            gap[e] = lstm_history_value(h, e, validation) - lstm_history_value(h, e, 0);
        }
        svg_plot plot = {.title = "val_loss - loss",
                         .note = "The gap: it grows while the network learns the training data by "
                                 "heart. Below 0, noise and the epoch's mean make the training "
                                 "loss look worse than it is.",
                         .height = 220,
                         .x = {.title = "epoch", .integer = 1}};
        svg_plot_add(&plot, (svg_curve){.shape = epochs > 1 ? SVG_LINE : SVG_POINTS,
                                        .colour = SVG_PURPLE,
                                        .x = x,
                                        .y = gap,
                                        .count = epochs});
        svg_plot_mark(&plot, 1, 0, NULL);
        svg_plot_write(to, &plot);
    }
    free(x);
    free(gap);
}

static void add_plot(page *to, const fit_report *r, size_t column)
{
    const lstm_history *h = r->history;
    const char *name = lstm_history_name(h, column);
    const size_t epochs = lstm_history_epochs(h);
    const size_t validation = find_column(h, "val_", name);
    const int validated = validation < lstm_history_columns(h);
    double *x = malloc((epochs + 1) * sizeof *x);
    double *training_values = column_values(h, column);
    double *validation_values = validated ? column_values(h, validation) : NULL;
    if (x == NULL || training_values == NULL || (validated && validation_values == NULL)) {
        to->failed = 1;
        goto out;
    }
    for (size_t e = 0; e < epochs; e++) {
        x[e] = (double)r->first_epoch + (double)e + 1;
    }
    int logarithmic = spans_a_decade(training_values, epochs, strcmp(name, "accuracy") != 0);
    if (validated && logarithmic) { /* a logarithmic axis needs every value above 0 */
        for (size_t e = 0; e < epochs; e++) {
            logarithmic = logarithmic && validation_values[e] > 0;
        }
    }
    svg_plot plot = {.title = name,
                     .note = note_of(name),
                     .x = {.title = "epoch", .integer = 1},
                     .y = {.scale = logarithmic ? SVG_LOG : SVG_NUMBER}};
    const svg_shape shape = epochs > 1 ? SVG_LINE : SVG_POINTS;
    svg_plot_add(&plot, (svg_curve){.shape = shape,
                                    .colour = SVG_BLUE,
                                    .x = x,
                                    .y = training_values,
                                    .count = epochs,
                                    .label = "training"});
    if (validated) {
        svg_plot_add(&plot, (svg_curve){.shape = shape,
                                        .colour = SVG_VERMILION,
                                        .x = x,
                                        .y = validation_values,
                                        .count = epochs,
                                        .label = "validation"});
    }
    if (strcmp(name, "loss") == 0 && epochs > 1) {
        svg_plot_mark(&plot, 0, x[lstm_history_best(h)], validated ? "best val_loss" : "best loss");
    }
    svg_plot_write(to, &plot);
out:
    free(x);
    free(training_values);
    free(validation_values);
}

static void add_values(page *to, const fit_report *r)
{
    const lstm_history *h = r->history;
    const size_t epochs = lstm_history_epochs(h);
    const size_t best = lstm_history_best(h);
    page_add(to,
             "<table><tr><th></th><th class=\"n\">first epoch (%lld)</th><th class=\"n\">best "
             "epoch (%lld)</th>"
             "<th class=\"n\">last epoch (%lld)</th></tr>\n",
             (long long)r->first_epoch + 1, (long long)r->first_epoch + (long long)best + 1,
             (long long)r->first_epoch + (long long)epochs);
    for (size_t c = 0; c < lstm_history_columns(h); c++) {
        page_add(to, "<tr><th scope=\"row\">");
        page_add_escaped(to, lstm_history_name(h, c));
        page_add(to, "</th>");
        const size_t at[] = {0, best, epochs - 1};
        for (size_t k = 0; k < 3; k++) {
            page_add(to, "<td class=\"n\">");
            page_add_number(to, lstm_history_value(h, at[k], c), 5);
            page_add(to, "</td>");
        }
        page_add(to, "</tr>\n");
    }
    page_add(to, "</table>\n");
}

static const char *or_unknown(const char *text)
{
    return text == NULL ? "unknown" : text;
}

static void add_settings(page *to, const fit_report *r)
{
    const lstm_fit_options *o = r->options;
    char text[256];
    char count[40];
    page_add(to, "<h2>Settings</h2>\n<table>\n");
    report_row(to, "Model", r->model_path);
    report_row(to, "Written to", r->output_path);
    report_row(to, "Parameters",
               text_count(count, sizeof count, (double)lstm_model_parameter_total(r->model)));
    if (r->validation_samples > 0) {
        snprintf(text, sizeof text, "%lld to train, %lld to validate", (long long)r->samples,
                 (long long)r->validation_samples);
    } else {
        snprintf(text, sizeof text, "%lld, without validation", (long long)r->samples);
    }
    report_row(to, "Samples", text);
    report_row(to, "Loss", or_unknown(lstm_constant_name(LSTM_NAMES_LOSS, o->loss->loss)));
    const int32_t optimizer = o->optimizer_options->optimizer;
    report_row(to, "Optimizer",
               or_unknown(lstm_constant_name(LSTM_NAMES_OPTIMIZER,
                                             optimizer == 0 ? LSTM_OPTIMIZER_ADAM : optimizer)));
    const double rate = o->optimizer_options->learning_rate;
    if (rate == 0) {
        snprintf(text, sizeof text, "the optimizer's default");
    } else {
        snprintf(text, sizeof text, "%g", rate < 0 ? 0 : rate);
    }
    report_row(to, "Learning rate", text);
    if (o->optimizer_options->schedule != NULL) {
        report_row(to, "Schedule",
                   or_unknown(lstm_constant_name(LSTM_NAMES_SCHEDULE,
                                                 o->optimizer_options->schedule->schedule)));
    }
    if (o->optimizer_options->use_ema == LSTM_YES) {
        report_row(to, "Averages", "the weights are averages over the updates");
    }
    if (o->optimizer_options->accumulation_steps > 1) {
        snprintf(text, sizeof text, "an update after every %d batches",
                 (int)o->optimizer_options->accumulation_steps);
        report_row(to, "Accumulation", text);
    }
    snprintf(text, sizeof text, "%d%s", (int)o->batch_size,
             o->shuffle == LSTM_NO ? ", in order" : ", shuffled");
    report_row(to, "Batch", text);
    if (o->early_stopping > 0) {
        snprintf(text, sizeof text, "after %d epochs without progress, best weights kept",
                 (int)o->early_stopping);
        report_row(to, "Early stopping", text);
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)o->seed);
    report_row(to, "Seed", text);
    snprintf(text, sizeof text, "%lld updates in all; %.1f s in this run", (long long)r->steps,
             r->seconds);
    report_row(to, "Work", text);
    snprintf(text, sizeof text, "liblstm %s", lstm_version_string());
    report_row(to, "Made by", text);
    page_add(to, "</table>\n");
}

static void add_layers(page *to, const lstm_model *model)
{
    page_add(to, "<h2>Network</h2>\n<table><tr><th>Layer</th><th>Type</th><th>Output of a "
                 "sample</th></tr>\n");
    for (size_t i = 0; i < lstm_model_layer_count(model); i++) {
        const lstm_layer *layer = lstm_model_layer(model, i);
        int64_t steps = 0;
        int64_t features = 0;
        lstm_layer_shape(layer, &steps, &features);
        page_add(to, "<tr><td>");
        page_add_escaped(to, lstm_layer_name(layer));
        page_add(to, "</td><td>%s</td><td>", lstm_layer_type(layer));
        if (steps < 0) {
            page_add(to, "any number of steps of %lld", (long long)features);
        } else if (steps > 0) {
            page_add(to, "%lld steps of %lld", (long long)steps, (long long)features);
        } else {
            page_add(to, "%lld", (long long)features);
        }
        page_add(to, "</td></tr>\n");
    }
    page_add(to, "</table>\n");
}

int fit_report_write(const fit_report *r, const char *path)
{
    const lstm_history *h = r->history;
    page to = {0};
    char title[512];
    snprintf(title, sizeof title, "Training of %s", r->output_path);
    report_begin(&to, title);
    if (lstm_history_epochs(h) == 0) {
        page_add(&to, "<p>No epoch was finished in this run, so there is no curve to show.</p>\n");
    } else {
        page_add(&to, "<h2>How it went</h2>\n");
        add_values(&to, r);
        for (size_t c = 0; c < lstm_history_columns(h); c++) {
            if (strncmp(lstm_history_name(h, c), "val_", 4) != 0) {
                add_plot(&to, r, c);
            }
            if (c == 0) {
                add_gap(&to, r);
            }
        }
    }
    if (r->confusion != NULL) {
        page_add(&to,
                 "<h2>What is taken for what</h2>\n<p class=\"soft\">The trained model on the %lld "
                 "%s samples. A row is an actual class, a column a predicted one; colours are "
                 "parts of the row, blue where it is right.</p>\n",
                 (long long)(r->validation_samples > 0 ? r->validation_samples : r->samples),
                 r->validation_samples > 0 ? "validation" : "training");
        confusion_add(&to, r->confusion, r->classes);
    }
    add_settings(&to, r);
    add_layers(&to, r->model);
    report_end(&to);
    return page_write(&to, path);
}
