/* SPDX-License-Identifier: MIT
 *
 * `lstm fit`: train a model on arrays. Output files appear only when training has ended as it
 * should; when it is interrupted, the checkpoint is what stays.
 */
#include "command.h"
#include "fit_folds.h"
#include "fit_job.h"
#include "fit_report.h"
#include "messages.h"
#include "network_file.h"

#include <lstm/lstm.h>
#include <stdlib.h>

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

static int write_report(fit_job *job, const char *path)
{
    const int64_t all = job->main.set.samples;
    const int64_t trained = fit_job_trained(job);
    const int64_t epochs = (int64_t)lstm_history_epochs(job->history);
    int64_t *matrix = NULL;
    size_t classes = 0;
    int code = EXIT_DONE;
    NEED(fit_job_confusion(job, &matrix, &classes));
    const fit_report report = {
        .model_path = arguments_operand(job->line, 0),
        .output_path = arguments_text(job->line, "output"),
        .model = job->main.model,
        .history = job->history,
        .options = &job->options,
        .first_epoch = job->show.finished > epochs ? job->show.finished - epochs : 0,
        .samples = trained,
        .validation_samples = all - trained + job->validation.samples,
        .confusion = matrix,
        .classes = classes,
        .seconds = job->show.seconds,
        .steps = job->show.step};
    NEED(fit_report_write(&report, path));
out:
    free(matrix);
    return code;
}

static int run_fit(const arguments *line)
{
    const char *output = arguments_text(line, "output");
    fit_job job;
    int code = EXIT_DONE;
    job = (fit_job){0};
    NEED(folds_check(line));
    NEED(fit_job_prepare(&job, line));
    if (arguments_text(line, "find-rate") != NULL) {
        NEED(rate_find(&job, arguments_text(line, "find-rate")));
        goto out;
    }
    if (folds_wanted(line)) {
        NEED(folds_run(&job));
    }
    NEED(fit_job_train(&job));
    NEED(model_write(job.main.model, output));
    if (arguments_text(line, "report") != NULL) {
        NEED(write_report(&job, arguments_text(line, "report")));
    }
    tell_end(&job, output);
out:
    fit_job_release(&job);
    return code;
}

static const option_spec options[] = {
    {.name = "stream",
     .kind = OPTION_FLAG,
     .heading = "Memory",
     .help = "read the rows of a batch only, while training: arrays may be larger than memory; "
             ".npy files"},
    {.name = "folds",
     .kind = OPTION_INTEGER,
     .metavar = "K",
     .minimum = 2,
     .maximum = 10000,
     .heading = "Judging",
     .help =
         "first train on K parts of the data, each time judged on the rest; mean and deviation"},
    {.name = "walk-forward",
     .kind = OPTION_INTEGER,
     .metavar = "K",
     .minimum = 2,
     .maximum = 10000,
     .help = "the same for samples in the order of time: train on the past, judge on what follows"},
    {.name = "find-rate",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "instead of training: the loss over growing learning rates, as an HTML page"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "OUT",
     .is_file = 1,
     .heading = "Files",
     .help = "the trained model: .lstm or .safetensors; .json writes the description only"},
    {.name = "checkpoint",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "written after epochs and when interrupted; holds all that is needed to go on"},
    {.name = "checkpoint-every",
     .kind = OPTION_REAL,
     .metavar = "SECONDS",
     .minimum = 0,
     .maximum = 1e9,
     .value = "5",
     .help = "not after an epoch that ends sooner after the checkpoint before; 0: after every one"},
    {.name = "checkpoint-best",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "another checkpoint, written after each epoch whose val_loss (or loss) is the best"},
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
    OPTION_NETWORK,
    OPTION_BATCH_FIRST,
    OPTION_ACTIVATION,

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
    .shared = fit_shared_options,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_fit,
};
