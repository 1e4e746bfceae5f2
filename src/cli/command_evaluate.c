/* SPDX-License-Identifier: MIT
 *
 * `lstm evaluate`: loss and metrics of a model on arrays, as one JSON object on stdout.
 */
#include "command.h"
#include "confusion.h"
#include "dataset.h"
#include "messages.h"
#include "training_options.h"

#include <lstm/lstm.h>
#include <math.h>
#include <stdlib.h>

#define METRIC_LIMIT 16

static void print_value(const char *name, double value)
{
    if (isfinite(value)) {
        printf(",\"%s\":%.9g", name, value);
    } else {
        printf(",\"%s\":null", name);
    }
}

/* Room for the confusion matrix of the first output; the library says whether it has one. */
static int add_confusion(lstm_evaluate_options *options, const lstm_model *model, size_t *classes)
{
    int64_t steps = 0;
    int64_t features = 0;
    lstm_layer_shape(lstm_model_output(model, 0), &steps, &features);
    *classes = features == 1 ? 2 : (size_t)features;
    options->confusion_count = *classes * *classes;
    options->confusion = calloc(options->confusion_count, sizeof *options->confusion);
    return options->confusion != NULL
               ? EXIT_DONE
               : message_error(EXIT_WORK, "out of memory for the confusion matrix of %zu classes",
                               *classes);
}

static int run_evaluate(const arguments *line)
{
    loaded main = {0};
    loss_choice loss;
    int32_t metrics[METRIC_LIMIT];
    lstm_evaluate_options options = {
        .struct_size = sizeof options, .loss = &loss.options, .metrics = metrics};
    double values[1 + METRIC_LIMIT];
    size_t classes = 0;
    int code = EXIT_DONE;
    NEED(loss_parse(&loss, arguments_text(line, "loss")));
    if (arguments_text(line, "metrics") != NULL) {
        NEED(metrics_parse(metrics, METRIC_LIMIT, &options.metric_count,
                           arguments_text(line, "metrics")));
    }
    options.batch_size = (int32_t)arguments_integer(line, "batch-size");
    NEED(loaded_model(&main, line));
    NEED(loaded_arrays(&main, line, "y", loss_target(&loss)));
    if (arguments_flag(line, "confusion")) {
        NEED(add_confusion(&options, main.model, &classes));
    }
    CHECK(lstm_evaluate(main.model, &options, &main.set.data, values,
                        (size_t)options.metric_count + 1),
          NULL);
    printf("{\"samples\":%lld", (long long)main.set.samples);
    print_value("loss", values[0]);
    for (int32_t i = 0; i < options.metric_count; i++) {
        print_value(lstm_constant_name(LSTM_NAMES_METRIC, metrics[i]), values[1 + i]);
    }
    if (options.confusion != NULL) {
        fputs(",\"confusion\":", stdout);
        confusion_print_json(options.confusion, classes, stdout);
    }
    puts("}");
    if (options.confusion != NULL && !message_is_quiet()) {
        fflush(stdout);
        NEED(confusion_print(options.confusion, classes, stderr));
    }
    if (!isfinite(values[0])) {
        code = message_error(EXIT_WORK, "the loss is not finite");
    }
out:
    free(options.confusion);
    loaded_release(&main);
    return code;
}

static const option_spec options_of_evaluate[] = {
    {.name = "x",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = "input array, one for each input of the model, in its order"},
    {.name = "y",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = "target array, one for each output"},
    OPTION_LENGTHS,
    OPTION_MASK,
    OPTION_LABEL_LENGTHS,
    {.name = "loss",
     .kind = OPTION_TEXT,
     .metavar = "LOSS",
     .value = "mse",
     .help = "as for `lstm fit`"},
    {.name = "sample-weights",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "how much each sample, or each step, counts"},
    {.name = "metrics",
     .kind = OPTION_TEXT,
     .metavar = "A,B",
     .help =
         "also compute accuracy, mae, mse, rmse, precision, recall, f1 (of one class each, then "
         "their mean; precision_micro and so on from all together), top_5_accuracy, perplexity, "
         "bits_per_character; with --loss ctc label_error_rate"},
    {.name = "confusion",
     .kind = OPTION_FLAG,
     .help = "count which class is taken for which: into the object, and as a table to stderr"},
    {.name = "batch-size",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "32",
     .help = "samples at a time; changes memory and speed only"},
    OPTION_NETWORK,
    OPTION_BATCH_FIRST,
    OPTION_ACTIVATION,
    {.name = NULL}};

const command command_evaluate = {
    .name = "evaluate",
    .group = COMMAND_GROUP_MODELS,
    .summary = "loss and metrics of a model, as one JSON object",
    .synopsis = "MODEL --x X.npy --y Y.npy [options]",
    .examples = "lstm evaluate model.lstm --x x.npy --y y.npy --loss mse --metrics mae,rmse",
    .options = options_of_evaluate,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_evaluate,
};
