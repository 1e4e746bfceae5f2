/* SPDX-License-Identifier: MIT
 *
 * `lstm fit`: train a model on arrays.
 *
 * Everything that can be wrong is looked at before the first update: options, files, shapes, and
 * whether the output files can be written at all. Output files appear only when training has ended
 * as it should; when it is interrupted, the checkpoint is what stays.
 */
#include "arrays.h"
#include "command.h"
#include "dataset.h"
#include "files.h"
#include "fit_report.h"
#include "messages.h"
#include "network_file.h"
#include "progress.h"
#include "training_options.h"

#include <lstm/lstm.h>
#include <stdlib.h>
#include <string.h>

#define METRIC_LIMIT 16

typedef struct fit_job {
    const arguments *line;
    lstm_context *context;
    lstm_model *model;
    array_list x, y, val_x, val_y;
    dataset train, validation;
    array_list weights;
    float *class_weights;
    loss_choice loss;
    optimizer_choice optimizer;
    int32_t metrics[METRIC_LIMIT];
    lstm_fit_options options;
    lstm_history *history;
    progress show;
} fit_job;

static int read_optimizer(fit_job *job)
{
    const arguments *line = job->line;
    lstm_optimizer_options *o = &job->optimizer.options;
    int code = optimizer_parse(&job->optimizer, arguments_text(line, "optimizer"));
    if (code == EXIT_DONE && arguments_given(line, "schedule") > 0) {
        code = schedule_parse(&job->optimizer, arguments_text(line, "schedule"));
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (arguments_given(line, "ema") > 0) {
        o->use_ema = LSTM_YES;
        o->ema_momentum = arguments_real(line, "ema");
    }
    if (arguments_given(line, "accumulate") > 0) {
        o->accumulation_steps = (int32_t)arguments_integer(line, "accumulate");
    }
    if (arguments_given(line, "learning-rate")) {
        o->learning_rate = arguments_real(line, "learning-rate");
        o->learning_rate = o->learning_rate == 0 ? -1 : o->learning_rate;
    }
    if (arguments_given(line, "weight-decay")) {
        o->weight_decay = arguments_real(line, "weight-decay");
        o->weight_decay = o->weight_decay == 0 && o->optimizer == LSTM_OPTIMIZER_ADAMW
                              ? -1
                              : o->weight_decay;
    }
    const size_t clips = (arguments_given(line, "clip-norm") > 0) +
                         (arguments_given(line, "global-clip-norm") > 0) +
                         (arguments_given(line, "clip-value") > 0);
    if (clips > 1) {
        return message_error(
            EXIT_USE, "only one of --clip-norm, --global-clip-norm and --clip-value can be given");
    }
    if (clips == 1) { /* the command line's clipping replaces the one that --optimizer names */
        o->clip_norm = arguments_real(line, "clip-norm");
        o->global_clip_norm = arguments_real(line, "global-clip-norm");
        o->clip_value = arguments_real(line, "clip-value");
    }
    return EXIT_DONE;
}

/* --tbptt K1 or K1,K2 */
static int read_truncation(const arguments *line, lstm_fit_options *o)
{
    const char *text = arguments_text(line, "tbptt");
    parts numbers = {0};
    int code = EXIT_DONE;
    if (text == NULL) {
        return EXIT_DONE;
    }
    NEED(parts_split(&numbers, text, "--tbptt"));
    if (numbers.count > 2 || !parse_integer(numbers.items[0], &o->tbptt_k1) ||
        !parse_integer(numbers.items[numbers.count - 1], &o->tbptt_k2) || o->tbptt_k1 < 1 ||
        o->tbptt_k2 < o->tbptt_k1) {
        code = message_error(EXIT_USE, "--tbptt: \"%s\": expected K1 or K1,K2 with 1 <= K1 <= K2",
                             text);
    }
out:
    parts_release(&numbers);
    return code;
}

/* Options of the command line that need no file but their own. */
static int read_options(fit_job *job)
{
    const arguments *line = job->line;
    lstm_fit_options *o = &job->options;
    int code = EXIT_DONE;
    NEED(loss_parse(&job->loss, arguments_text(line, "loss")));
    NEED(read_optimizer(job));
    if (arguments_text(line, "metrics") != NULL) {
        NEED(metrics_parse(job->metrics, METRIC_LIMIT, &o->metric_count,
                           arguments_text(line, "metrics")));
        o->metrics = job->metrics;
    }
    o->epochs = (int32_t)arguments_integer(line, "epochs");
    o->batch_size = (int32_t)arguments_integer(line, "batch-size");
    o->shuffle = arguments_choice(line, "shuffle") == 0 ? LSTM_YES : LSTM_NO;
    o->early_stopping = (int32_t)arguments_integer(line, "early-stopping");
    o->max_steps = arguments_integer(line, "steps");
    o->validation_split = arguments_real(line, "validation-split");
    o->loss = &job->loss.options;
    o->optimizer_options = &job->optimizer.options;
    if (arguments_text(line, "class-weights") != NULL) {
        NEED(class_weights_parse(&job->class_weights, &o->class_weight_count,
                                 arguments_text(line, "class-weights")));
        o->class_weights = job->class_weights;
    }
    NEED(read_truncation(line, o));
    o->seed = arguments_seed(line);
    o->checkpoint = arguments_text(line, "checkpoint");
    o->resume = arguments_text(line, "resume");
    o->progress = progress_report;
    o->progress_user = &job->show;
    if (o->max_steps > 0 && arguments_given(line, "epochs") > 0) {
        return message_error(EXIT_USE, "--epochs and --steps exclude each other");
    }
    if ((arguments_given(line, "val-x") > 0) != (arguments_given(line, "val-y") > 0)) {
        return message_error(EXIT_USE, "--val-x and --val-y go together");
    }
    if (arguments_given(line, "val-x") > 0 && o->validation_split > 0) {
        return message_error(EXIT_USE, "--validation-split and --val-x exclude each other");
    }
out:
    return code;
}

/* Output files must differ and be writable: known before training, not after it. */
static int check_outputs(const fit_job *job)
{
    const char *output = arguments_text(job->line, "output");
    const char *others[] = {job->options.checkpoint, arguments_text(job->line, "report")};
    int code = model_check_output(output);
    for (size_t i = 0; i < 2 && code == EXIT_DONE; i++) {
        if (others[i] != NULL && strcmp(others[i], output) == 0) {
            return message_error(EXIT_USE, "%s: would be written twice", output);
        }
        code = others[i] == NULL ? EXIT_DONE : file_check_writable(others[i]);
    }
    return code;
}

static int load_data(fit_job *job)
{
    const arguments *line = job->line;
    const int target = loss_target(&job->loss);
    int code = EXIT_DONE;
    NEED(arrays_load(&job->x, job->context, line, "x"));
    NEED(arrays_load(&job->y, job->context, line, "y"));
    NEED(dataset_match(&job->train, job->model, &job->x, &job->y, target));
    NEED(dataset_weights(&job->train, &job->weights, job->context, line));
    NEED(dataset_masks(&job->train, job->context, line, ""));
    if (job->train.samples == 0) {
        code = message_error(EXIT_USE, "%s: holds no sample", job->x.items[0].label);
        goto out;
    }
    if (arguments_given(line, "val-x") > 0) {
        NEED(arrays_load(&job->val_x, job->context, line, "val-x"));
        NEED(arrays_load(&job->val_y, job->context, line, "val-y"));
        NEED(dataset_match(&job->validation, job->model, &job->val_x, &job->val_y, target));
        NEED(dataset_masks(&job->validation, job->context, line, "val-"));
        if (job->validation.samples == 0) {
            code = message_error(EXIT_USE, "%s: holds no sample", job->val_x.items[0].label);
            goto out;
        }
        job->options.validation = &job->validation.data;
    }
out:
    return code;
}

static int train(fit_job *job)
{
    progress_begin(&job->show, job->line, arguments_flag(job->line, "log-steps"));
    job->show.max_steps = job->options.max_steps;
    const lstm_status status = lstm_fit(job->model, &job->options, &job->train.data, &job->history);
    progress_end(&job->show);
    if (status == LSTM_ERROR_CANCELLED) {
        const char *checkpoint = job->options.checkpoint;
        char hint[1024] = "--checkpoint FILE would have kept the work";
        if (checkpoint != NULL) {
            snprintf(hint, sizeof hint, "the same command and --resume %s", checkpoint);
        }
        return progress_interrupted(&job->show, checkpoint, hint);
    }
    return status == LSTM_OK ? EXIT_DONE : message_status(status, NULL);
}

static void tell_end(const fit_job *job, const char *output)
{
    const lstm_history *h = job->history;
    if (job->options.early_stopping > 0 && job->options.max_steps == 0 && job->show.finished > 0 &&
        job->show.finished < job->options.epochs) {
        message_note("stopped after epoch %lld: no better %s for %d epochs; the weights are those "
                     "of the best one",
                     (long long)job->show.finished,
                     job->options.validation != NULL || job->options.validation_split > 0
                         ? "val_loss"
                         : "loss",
                     (int)job->options.early_stopping);
    }
    if (job->show.step == 0) {
        message_note("nothing was left to train: %zu epoch%s done before", lstm_history_epochs(h),
                     lstm_history_epochs(h) == 1 ? " was" : "s were");
    }
    message_note("wrote %s", output);
}

static int write_report(const fit_job *job, const char *path)
{
    const int64_t all = job->train.samples;
    const int64_t trained = (int64_t)((double)all *
                                      (1 - job->options.validation_split)); /* as lstm_fit counts */
    const int64_t epochs = (int64_t)lstm_history_epochs(job->history);
    const fit_report report = {
        .model_path = arguments_operand(job->line, 0),
        .output_path = arguments_text(job->line, "output"),
        .model = job->model,
        .history = job->history,
        .options = &job->options,
        .first_epoch = job->show.finished > epochs ? job->show.finished - epochs : 0,
        .samples = trained,
        .validation_samples = all - trained + job->validation.samples,
        .seconds = job->show.seconds,
        .steps = job->show.step};
    return fit_report_write(&report, path);
}

static int work(fit_job *job)
{
    const arguments *line = job->line;
    const char *output = arguments_text(line, "output");
    int code = EXIT_DONE;
    NEED(read_options(job));
    NEED(check_outputs(job));
    NEED(arguments_context(line, &job->context));
    NEED(model_load(&job->model, job->context, arguments_operand(line, 0), arguments_seed(line)));
    NEED(load_data(job));
    NEED(train(job));
    NEED(model_write(job->model, output));
    if (arguments_text(line, "report") != NULL) {
        NEED(write_report(job, arguments_text(line, "report")));
    }
    tell_end(job, output);
out:
    return code;
}

static int run_fit(const arguments *line)
{
    fit_job job = {.line = line, .options = {.struct_size = sizeof(lstm_fit_options)}};
    const int code = work(&job);
    lstm_history_destroy(job.history);
    dataset_release(&job.train);
    dataset_release(&job.validation);
    arrays_release(&job.x);
    arrays_release(&job.y);
    arrays_release(&job.val_x);
    arrays_release(&job.val_y);
    arrays_release(&job.weights);
    free(job.class_weights);
    lstm_model_destroy(job.model);
    lstm_context_destroy(job.context);
    return code;
}

static const char *const yes_no[] = {"yes", "no", NULL};

static const option_spec options[] = {
    {.name = "x",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .heading = "Data",
     .help = "input array, one for each input of the model, in its order"},
    {.name = "y",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = "target array, one for each output"},
    {.name = "validation-split",
     .kind = OPTION_REAL,
     .metavar = "V",
     .minimum = 0,
     .maximum = 1,
     .open_high = 1,
     .value = "0",
     .help = "part of the data, taken from its end, that is only for validation"},
    {.name = "val-x",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "input array for validation"},
    {.name = "val-y",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "target array for validation"},
    {.name = "lengths",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "steps of each sample, (samples,): the rest is padding"},
    {.name = "mask",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "which steps are there, (samples, steps) of 0 and 1"},
    {.name = "val-lengths",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "steps of each sample for validation, (samples,): the rest is padding"},
    {.name = "val-mask",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "which steps are there for validation, (samples, steps) of 0 and 1"},
    {.name = "sample-weights",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help =
         "how much each sample, (samples,), or each step, (samples, steps), counts in the loss"},
    {.name = "class-weights",
     .kind = OPTION_TEXT,
     .metavar = "A,B",
     .help = "how much each class counts in training"},
    {.name = "shuffle",
     .kind = OPTION_CHOICE,
     .metavar = "YES|NO",
     .choices = yes_no,
     .value = "yes",
     .help = "a new order of the samples in each epoch"},

    {.name = "epochs",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "1",
     .heading = "Training",
     .help = "passes over the data; with --resume the total, what was done before included"},
    {.name = "steps",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e15,
     .help = "instead of --epochs: updates, going round the data as often as needed"},
    {.name = "batch-size",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "32",
     .help = "samples an update"},
    {.name = "loss",
     .kind = OPTION_TEXT,
     .metavar = "LOSS",
     .value = "mse",
     .help = "mse, mae, mape, msle, huber, log_cosh, poisson, quantile, gaussian_nll, "
             "cosine_similarity; binary_crossentropy, categorical_crossentropy, "
             "sparse_categorical_crossentropy, binary_focal_crossentropy, "
             "categorical_focal_crossentropy, kl_divergence, hinge, squared_hinge, "
             "categorical_hinge; with settings: huber:delta=2, "
             "binary_crossentropy:from_logits=true, quantile:quantiles=0.1/0.5/0.9"},
    {.name = "optimizer",
     .kind = OPTION_TEXT,
     .metavar = "OPT",
     .value = "adam",
     .help = "sgd, rmsprop, adam, adamw, adagrad, adadelta, adamax, nadam, radam, lion or lbfgs; "
             "with settings: sgd:momentum=0.9,nesterov=true; or a JSON file with the option names "
             "of Keras or PyTorch"},
    {.name = "schedule",
     .kind = OPTION_TEXT,
     .metavar = "SCHED",
     .shown = "constant",
     .help = "how the learning rate changes: constant, step, exponential, cosine, cosine_restarts, "
             "one_cycle or plateau; with settings: cosine:steps=1000,warmup_steps=100"},
    {.name = "learning-rate",
     .kind = OPTION_REAL,
     .metavar = "R",
     .minimum = 0,
     .maximum = 1e6,
     .shown = "the optimizer's",
     .help = "size of a step"},
    {.name = "weight-decay",
     .kind = OPTION_REAL,
     .metavar = "W",
     .minimum = 0,
     .maximum = 1e6,
     .shown = "the optimizer's",
     .help = "pull of the weights to zero"},
    {.name = "tbptt",
     .kind = OPTION_TEXT,
     .metavar = "K1[,K2]",
     .help = "cut sequences: an update after every K1 steps, with gradients over K2 (default K1) "
             "steps back and states carried on"},
    {.name = "accumulate",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .help = "update after every N batches only"},
    {.name = "ema",
     .kind = OPTION_REAL,
     .metavar = "M",
     .minimum = 0,
     .maximum = 1,
     .open_low = 1,
     .open_high = 1,
     .help = "end with an average of the weights, which keeps M of itself at each update"},
    {.name = "clip-norm",
     .kind = OPTION_REAL,
     .metavar = "C",
     .minimum = 0,
     .maximum = 1e30,
     .open_low = 1,
     .help = "largest norm of each array's gradient"},
    {.name = "global-clip-norm",
     .kind = OPTION_REAL,
     .metavar = "C",
     .minimum = 0,
     .maximum = 1e30,
     .open_low = 1,
     .help = "largest norm of all gradients together"},
    {.name = "clip-value",
     .kind = OPTION_REAL,
     .metavar = "C",
     .minimum = 0,
     .maximum = 1e30,
     .open_low = 1,
     .help = "largest value in a gradient"},
    {.name = "early-stopping",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .help = "stop after N epochs without a better val_loss (or loss) and keep the best weights"},
    {.name = "metrics",
     .kind = OPTION_TEXT,
     .metavar = "A,B",
     .help = "also compute accuracy, mae, mse, rmse"},

    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "OUT",
     .required = 1,
     .is_file = 1,
     .heading = "Files",
     .help = "the trained model: .lstm or .safetensors; .json writes the description only"},
    {.name = "checkpoint",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "written after every epoch and when interrupted; holds all that is needed to go on"},
    {.name = "resume",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "go on from a checkpoint"},
    {.name = "report",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "an HTML page with the loss curves"},

    {.name = "log-format",
     .heading = "Progress",
     .kind = OPTION_CHOICE,
     .metavar = "FORMAT",
     .choices = log_format_choices,
     .value = "text",
     .help = "how progress is written; json: an object an epoch, to stdout"},
    {.name = "log-steps",
     .kind = OPTION_FLAG,
     .help = "a JSON line {\"step\":1,\"loss\":...} for each update, to stdout"},
    {.name = NULL}};

const command command_fit = {
    .name = "fit",
    .group = COMMAND_GROUP_MODELS,
    .summary = "train a model on arrays",
    .synopsis = "MODEL --x X.npy --y Y.npy -o OUT [options]",
    .help = "MODEL is a JSON description (its parameters come from the seed) or a saved model.\n"
            "Arrays are .npy, .npz or .csv. An input of (steps, features) takes (samples, steps,\n"
            "features), for one feature also (samples, steps). In a CSV file a row is a sample.\n"
            "The first Ctrl-C stops after the update under way, the second one at once.",
    .examples =
        "lstm fit model.json --x x.npy --y y.npy --epochs 20 --validation-split 0.2 -o model.lstm\n"
        "lstm fit model.json --x x.npy --y y.npy --epochs 50 --checkpoint run.ckpt -o model.lstm\n"
        "lstm fit model.json --x x.npy --y y.npy --epochs 99 --resume run.ckpt -o model.lstm",
    .options = options,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_fit,
};
