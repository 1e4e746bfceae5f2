/* SPDX-License-Identifier: MIT
 *
 * lstm forecast: the command and its options (forecast.h says what the other files do).
 */
#include "forecast.h"
#include "command.h"
#include "files.h"
#include "messages.h"
#include "network_file.h"
#include "report_sha256.h"
#include <stdio.h>
#include <string.h>

static const char *const losses[] = {"mse", "huber", "mae", NULL};
static const int32_t loss_constants[] = {LSTM_LOSS_MSE, LSTM_LOSS_HUBER, LSTM_LOSS_MAE};

/* "none" is the name that other tools use for "level". */
static const char *const transform_words[] = {
    "auto", "level", "diff", "log-return", "window-last", "seasonal", "log-seasonal", "none", NULL};

static const option_spec options[] = {
    {.name = "target", .kind = OPTION_TEXT, .metavar = "COLUMN", .help = "the column to forecast"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "the model (.lstm); with --model: the forecast (.csv)"},
    {.name = "model",
     .kind = OPTION_TEXT,
     .metavar = "MODEL",
     .is_file = 1,
     .help = "forecast with a saved model"},
    {.name = "report",
     .kind = OPTION_TEXT,
     .metavar = "FILE.html",
     .is_file = 1,
     .help = "write an HTML report with plots"},
    {.name = "date",
     .kind = OPTION_TEXT,
     .metavar = "COLUMN",
     .shown = "found by itself",
     .help = "the time column; none = rows as they are"},
    {.name = "features",
     .kind = OPTION_TEXT,
     .metavar = "a,b,…",
     .shown = "what validates best",
     .help = "further columns to learn from; all, none = target alone"},
    {.name = "horizon",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 10000,
     .value = "1",
     .help = "steps to forecast"},
    {.name = "window",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 100000,
     .value = "32",
     .help = "rows the network sees"},
    {.name = "season",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 2,
     .maximum = 1000000,
     .shown = "found by itself",
     .help = "length of the season in rows"},
    {.name = "transform",
     .kind = OPTION_CHOICE,
     .metavar = "KIND",
     .choices = transform_words,
     .value = "auto",
     .help = "what the network sees and forecasts"},
    {.name = "units",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 8192,
     .value = "32",
     .help = "units of the LSTM layer"},
    {.name = "networks",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = NETWORKS,
     .value = "5",
     .help = "networks to train from different seeds; their mean is the forecast"},
    {.name = "epochs",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1000000,
     .value = "100",
     .help = "most passes over the training part"},
    {.name = "patience",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1000000,
     .value = "10",
     .help = "stop after so many epochs without a better validation"},
    {.name = "batch-size",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1000000,
     .value = "32",
     .help = "windows an update"},
    {.name = "learning-rate",
     .kind = OPTION_REAL,
     .metavar = "R",
     .minimum = 0,
     .maximum = 10,
     .open_low = 1,
     .value = "0.003",
     .help = "of Adam"},
    {.name = "loss",
     .kind = OPTION_CHOICE,
     .metavar = "LOSS",
     .choices = losses,
     .value = "mse",
     .help = "what training makes small"},
    {.name = "validation",
     .kind = OPTION_REAL,
     .metavar = "PART",
     .minimum = 0,
     .maximum = 0.45,
     .open_low = 1,
     .value = "0.15",
     .help = "part of the rows for early stopping and intervals"},
    {.name = "test",
     .kind = OPTION_REAL,
     .metavar = "PART",
     .minimum = 0,
     .maximum = 0.45,
     .open_low = 1,
     .value = "0.15",
     .help = "part of the rows for the errors, the latest ones"},
    OPTION_LOG_FORMAT,
    {.name = NULL}};

static int transform_word(const arguments *given)
{
    const int index = arguments_choice(given, "transform");
    return index == 7 ? TRANSFORM_LEVEL : index;
}

static int read_features(forecast_settings *out, const arguments *given)
{
    const char *const text = arguments_text(given, "features");
    out->choose_features = text == NULL;
    out->all_features = text != NULL && strcmp(text, "all") == 0;
    if (text == NULL || out->all_features || strcmp(text, "none") == 0) {
        return EXIT_DONE;
    }
    return parts_split(&out->features, text, "--features");
}

static int read_settings(forecast_settings *out, const arguments *given)
{
    *out = (forecast_settings){.data = arguments_operand(given, 0),
                               .target = arguments_text(given, "target"),
                               .date = arguments_text(given, "date"),
                               .output = arguments_text(given, "output"),
                               .report = arguments_text(given, "report"),
                               .model = arguments_text(given, "model"),
                               .loss_name = arguments_text(given, "loss"),
                               .horizon = (size_t)arguments_integer(given, "horizon"),
                               .window = (size_t)arguments_integer(given, "window"),
                               .season = (size_t)arguments_integer(given, "season"),
                               .asked = (transform)transform_word(given),
                               .loss = loss_constants[arguments_choice(given, "loss")],
                               .epochs = (int32_t)arguments_integer(given, "epochs"),
                               .patience = (int32_t)arguments_integer(given, "patience"),
                               .batch_size = (int32_t)arguments_integer(given, "batch-size"),
                               .networks = (int32_t)arguments_integer(given, "networks"),
                               .units = arguments_integer(given, "units"),
                               .learning_rate = arguments_real(given, "learning-rate"),
                               .validation = arguments_real(given, "validation"),
                               .test = arguments_real(given, "test"),
                               .seed = arguments_seed(given)};
    return read_features(out, given);
}

/* Options that only make sense when a network is trained. */
static int check_apply(const forecast_settings *settings, const arguments *given)
{
    static const char *const training[] = {"features",  "horizon",       "window",     "season",
                                           "transform", "units",         "networks",   "epochs",
                                           "patience",  "loss",          "batch-size", "validation",
                                           "test",      "learning-rate", NULL};
    for (size_t i = 0; training[i] != NULL; i++) {
        if (arguments_given(given, training[i]) > 0) {
            return message_error(
                EXIT_USE, "--%s belongs to training; with --model it is the model's", training[i]);
        }
    }
    if (settings->output != NULL && !file_has_suffix(settings->output, ".csv")) {
        return message_error(EXIT_USE, "-o %s: with --model the forecast is written as .csv",
                             settings->output);
    }
    return settings->output != NULL ? file_check_writable(settings->output) : EXIT_DONE;
}

static int check_train(const forecast_settings *settings)
{
    if (settings->target == NULL) {
        return message_error(
            EXIT_USE,
            "which column is to be forecast? Give --target COLUMN (or --model MODEL to use a "
            "saved model)");
    }
    if (settings->output == NULL) {
        return message_error(EXIT_USE, "where is the model to go? Give -o MODEL.lstm");
    }
    return model_check_output(settings->output);
}

static int train(forecast_run *run)
{
    int code = EXIT_DONE;
    const forecast_settings *const settings = run->settings;
    NEED(forecast_train(run));
    NEED(forecast_judge(run));
    NEED(forecast_look_ahead(run));
    NEED(file_sha256(settings->data, run->checksum));
    NEED(forecast_remember(run));
    NEED(model_write(run->chosen.model, settings->output));
    if (settings->report != NULL) {
        NEED(report_write_forecast(run, settings->report));
    }
    forecast_print_table(run);
    forecast_print_ahead(run);
    message_note("model: %s", settings->output);
    if (settings->report != NULL) {
        message_note("report: %s", settings->report);
    }
out:
    return code;
}

static int run_forecast(const arguments *given)
{
    int code = EXIT_DONE;
    forecast_settings settings = {0};
    forecast_run run = {.settings = &settings, .arguments = given};
    NEED(read_settings(&settings, given));
    if (settings.report != NULL) {
        NEED(file_check_writable(settings.report));
    }
    NEED(settings.model != NULL ? check_apply(&settings, given) : check_train(&settings));
    NEED(arguments_context(given, &run.context));
    if (settings.model != NULL) {
        NEED(file_sha256(settings.data, run.checksum));
        NEED(forecast_apply(&run));
    } else {
        NEED(train(&run));
    }
out:
    forecast_release(&run);
    parts_release(&settings.features);
    lstm_context_destroy(run.context);
    return code;
}

const command command_forecast = {
    .name = "forecast",
    .group = COMMAND_GROUP_APPLICATIONS,
    .summary = "learn a time series from a CSV file, judge the forecasts, look ahead",
    .synopsis = "DATA.csv --target COLUMN -o MODEL.lstm [options]\n--model MODEL.lstm NEW.csv [-o "
                "FORECAST.csv]",
    .help = "The rows are split in the order of time: training, validation, test. Whether the\n"
            "network learns levels, changes, log-returns or seasonal changes is decided by\n"
            "tests on the training part and told. The test errors stand beside those of\n"
            "repeating the last value, drift, the last season and a linear autoregression,\n"
            "and it is said plainly when the network does not beat them.\n"
            "\n"
            "The file: a header line, one row a time, oldest first; columns of numbers and\n"
            "usually one of ISO dates (2020-04-20, 2020-04-20 13:00). Text columns are not\n"
            "used. Without --features the target alone and all columns are both tried, and\n"
            "the better in validation is kept.",
    .examples = "lstm forecast dax.csv --target DAX -o dax.lstm --report dax.html\n"
                "lstm forecast co2.csv --target CO2 --horizon 12 -o co2.lstm --report co2.html\n"
                "lstm forecast --model dax.lstm new.csv -o forecast.csv",
    .options = options,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_forecast};
