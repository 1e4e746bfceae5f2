/* SPDX-License-Identifier: MIT
 *
 * Cross-validation and the learning-rate range test; see fit_folds.h.
 *
 * Each fold begins from the model as the command line gives it (a description's parameters from the
 * seed) and is judged by the epoch whose weights it ends with: the best one with early stopping, else
 * the last.
 */
#include "fit_folds.h"

#include "messages.h"
#include "network_file.h"
#include "report_head.h"
#include "svg_plot.h"
#include "text_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_LIMIT 40
#define RATES 200

int folds_wanted(const arguments *line)
{
    return arguments_given(line, "folds") > 0 || arguments_given(line, "walk-forward") > 0;
}

int folds_check(const arguments *line)
{
    static const char *const with_folds[] = {"validation-split", "val-x", "resume", "find-rate",
                                             NULL};
    if (arguments_given(line, "folds") > 0 && arguments_given(line, "walk-forward") > 0) {
        return message_error(EXIT_USE, "--folds and --walk-forward exclude each other");
    }
    for (size_t k = 0; with_folds[k] != NULL && folds_wanted(line); k++) {
        if (arguments_given(line, with_folds[k]) > 0) {
            return message_error(EXIT_USE, "--%s does not go with --%s", with_folds[k],
                                 arguments_given(line, "folds") > 0 ? "folds" : "walk-forward");
        }
    }
    if (arguments_given(line, "output") == 0 && arguments_given(line, "find-rate") == 0) {
        return message_error(EXIT_USE, "fit needs -o OUT (see `lstm help fit`)");
    }
    return EXIT_DONE;
}

typedef struct folds {
    lstm_split_options split;
    size_t columns;
    char names[COLUMN_LIMIT][48];
    double *values; /* [folds][columns] */
    int64_t *train, *validation;
    int64_t train_count, validation_count;
} folds;

static int allocate(folds *f, const fit_job *job)
{
    const size_t samples = (size_t)job->main.set.samples;
    const int64_t forward = arguments_integer(job->line, "walk-forward");
    f->split = (lstm_split_options){
        .struct_size = sizeof f->split,
        .kind = forward > 0 ? LSTM_SPLIT_WALK_FORWARD : LSTM_SPLIT_FOLDS,
        .folds = (int32_t)(forward > 0 ? forward : arguments_integer(job->line, "folds")),
        .shuffle = forward == 0 && job->options.shuffle == LSTM_YES ? LSTM_YES : LSTM_NO,
        .seed = job->options.seed};
    f->values = calloc((size_t)f->split.folds * COLUMN_LIMIT, sizeof *f->values);
    f->train = calloc(samples + 1, sizeof *f->train);
    f->validation = calloc(samples + 1, sizeof *f->validation);
    return f->values == NULL || f->train == NULL || f->validation == NULL
               ? message_error(EXIT_WORK, "out of memory")
               : EXIT_DONE;
}

/* Keep the values of the epoch whose weights the fold ended with. */
static void keep(folds *f, int32_t fold, const lstm_history *h, int best)
{
    const size_t row = best ? lstm_history_best(h) : lstm_history_epochs(h) - 1;
    f->columns = 0;
    for (size_t c = 0; c < lstm_history_columns(h) && f->columns < COLUMN_LIMIT; c++) {
        if (strcmp(lstm_history_name(h, c), "gradient_norm") != 0) {
            snprintf(f->names[f->columns], sizeof f->names[0], "%s", lstm_history_name(h, c));
            f->values[(size_t)fold * COLUMN_LIMIT + f->columns++] = lstm_history_value(h, row, c);
        }
    }
}

static int run_fold(folds *f, const fit_job *job, int32_t fold)
{
    lstm_model *model = NULL;
    lstm_history *history = NULL;
    dataset train = {0};
    dataset validation = {0};
    progress show;
    lstm_fit_options options = job->options;
    lstm_status status = LSTM_OK;
    int code = EXIT_DONE;
    CHECK(lstm_split(&f->split, job->main.set.samples, fold, f->train, &f->train_count,
                     f->validation, &f->validation_count),
          NULL);
    NEED(dataset_take(&train, &job->main.set, f->train, f->train_count));
    NEED(dataset_take(&validation, &job->main.set, f->validation, f->validation_count));
    NEED(model_load(&model, job->main.context, arguments_operand(job->line, 0),
                    arguments_seed(job->line)));
    message_note("fold %d of %d: %lld samples to train, %lld to validate", (int)fold + 1,
                 (int)f->split.folds, (long long)f->train_count, (long long)f->validation_count);
    validation.data.sample_weights = NULL; /* as for --val-x: weights are for training */
    validation.data.sample_weight_count = 0;
    options.validation = &validation.data;
    options.checkpoint = NULL;
    progress_begin_quietly(&show);
    options.progress_user = &show;
    status = lstm_fit(model, &options, &train.data, &history);
    progress_end(&show);
    if (status == LSTM_ERROR_CANCELLED) {
        code = progress_interrupted(&show, NULL, NULL);
        goto out;
    }
    CHECK(status, NULL);
    keep(f, fold, history, options.early_stopping > 0);
out:
    lstm_history_destroy(history);
    dataset_release(&train);
    dataset_release(&validation);
    lstm_model_destroy(model);
    return code;
}

static void spread(const folds *f, size_t column, double *mean, double *sd)
{
    const size_t count = (size_t)f->split.folds;
    double squares = 0;
    *mean = 0;
    for (size_t k = 0; k < count; k++) {
        *mean += f->values[k * COLUMN_LIMIT + column] / (double)count;
    }
    for (size_t k = 0; k < count; k++) {
        const double d = f->values[k * COLUMN_LIMIT + column] - *mean;
        squares += d * d;
    }
    *sd = sqrt(squares / (double)(count - 1));
}

static void print_json(const folds *f)
{
    for (int32_t k = 0; k < f->split.folds; k++) {
        printf("{\"fold\":%d", (int)k + 1);
        for (size_t c = 0; c < f->columns; c++) {
            printf(",\"%s\":%.9g", f->names[c], f->values[(size_t)k * COLUMN_LIMIT + c]);
        }
        puts("}");
    }
    printf("{\"folds\":%d", (int)f->split.folds);
    for (size_t c = 0; c < f->columns; c++) {
        double mean = 0;
        double sd = 0;
        spread(f, c, &mean, &sd);
        printf(",\"%s\":%.9g,\"%s_sd\":%.9g", f->names[c], mean, f->names[c], sd);
    }
    puts("}");
}

static int print_table(const folds *f)
{
    const size_t folds_count = (size_t)f->split.folds;
    text_table *table = text_table_create(4, "<>>>");
    int code = EXIT_DONE;
    if (table == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    text_table_row(table, "", "fold", "value", "");
    text_table_rule(table);
    for (size_t c = 0; c < f->columns; c++) {
        double mean = 0;
        double sd = 0;
        char number[40], value[40], deviation[60];
        for (size_t k = 0; k < folds_count; k++) {
            snprintf(number, sizeof number, "%zu", k + 1);
            text_table_row(table, k == 0 ? f->names[c] : "", number,
                           number_text(value, sizeof value, f->values[k * COLUMN_LIMIT + c], 5),
                           "");
        }
        spread(f, c, &mean, &sd);
        snprintf(deviation, sizeof deviation, "%s %s", text_is_utf8() ? "±" : "+-",
                 number_text(number, sizeof number, sd, 2));
        text_table_row(table, "", "mean", number_text(value, sizeof value, mean, 5), deviation);
        text_table_rule(table);
    }
    code = text_table_print(table, stdout);
    text_table_destroy(table);
    return code;
}

int folds_run(fit_job *job)
{
    folds f = {0};
    int code = EXIT_DONE;
    NEED(allocate(&f, job));
    for (int32_t k = 0; k < f.split.folds; k++) {
        NEED(run_fold(&f, job, k));
    }
    if (arguments_choice(job->line, "log-format") == 1) {
        print_json(&f);
    } else {
        NEED(print_table(&f));
    }
    message_note("now on all %lld samples", (long long)job->main.set.samples);
out:
    free(f.values);
    free(f.train);
    free(f.validation);
    return code;
}

/* ---- The range test */

static int write_page(const fit_job *job, const char *path, const double *rates,
                      const double *losses, const lstm_rate_test_result *result)
{
    page to = {0};
    char title[512];
    double top = losses[0];
    double low = losses[0];
    for (int32_t k = 0; k < result->count; k++) {
        low = isfinite(losses[k]) ? fmin(low, losses[k]) : low;
    }
    top = fmax(top, low + 1.5 * (losses[0] - low)); /* what runs away may leave the picture */
    snprintf(title, sizeof title, "Learning rates for %s", arguments_operand(job->line, 0));
    report_begin(&to, title);
    svg_plot plot = {
        .title = "Loss while the rate grows",
        .note = "One batch a rate, smoothed. Good rates are where the curve falls, well "
                "before its lowest point.",
        .x = {.scale = SVG_LOG, .title = "learning rate"},
        .y = {.title = "loss",
              .fixed = 1,
              .low = low - 0.05 * (top - low) - (top > low ? 0 : 1),
              .high = top + 0.05 * (top - low) + (top > low ? 0 : 1)}};
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE,
                                    .colour = SVG_BLUE,
                                    .x = rates,
                                    .y = losses,
                                    .count = (size_t)result->count,
                                    .width = 2});
    if (result->steepest > 0) {
        svg_plot_mark(&plot, 0, result->steepest, "steepest");
    }
    svg_plot_mark(&plot, 0, result->lowest, "lowest");
    svg_plot_write(&to, &plot);
    report_end(&to);
    return page_write(&to, path);
}

int rate_find(fit_job *job, const char *path)
{
    double rates[RATES];
    double losses[RATES];
    lstm_rate_test_result result = {.struct_size = sizeof result};
    const lstm_rate_test_options options = {.struct_size = sizeof options,
                                            .batch_size = job->options.batch_size,
                                            .steps = RATES,
                                            .loss = job->options.loss,
                                            .optimizer_options = job->options.optimizer_options,
                                            .seed = job->options.seed};
    int code = EXIT_DONE;
    CHECK(lstm_rate_test(job->main.model, &options, &job->main.set.data, rates, losses, RATES,
                         &result),
          NULL);
    NEED(write_page(job, path, rates, losses, &result));
    printf("{\"steepest\":%.3g,\"lowest\":%.3g,\"rates\":%d}\n", result.steepest, result.lowest,
           (int)result.count);
    message_note(
        "the loss falls fastest at %.2g and is lowest at %.2g: try --learning-rate %.1g; "
        "wrote %s",
        result.steepest, result.lowest,
        result.steepest > 0 ? fmin(result.steepest, result.lowest / 3) : result.lowest / 10, path);
out:
    return code;
}
