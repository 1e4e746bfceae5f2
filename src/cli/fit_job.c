/* SPDX-License-Identifier: MIT
 *
 * One training run after a command line; see fit_job.h.
 */
#include "fit_job.h"

#include "files.h"
#include "messages.h"
#include "network_file.h"

#include <stdlib.h>
#include <string.h>

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
        o->ema_momentum = arguments_real(line, "ema");
        o->use_ema = o->ema_momentum > 0 ? LSTM_YES : LSTM_NO;
    }
    if (arguments_given(line, "gradient-noise") > 0) {
        o->gradient_noise = arguments_real(line, "gradient-noise");
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
    o->gradient_norms = LSTM_YES;
    o->weight_noise = arguments_real(line, "weight-noise");
    o->validation_split = arguments_real(line, "validation-split");
    o->loss = &job->loss.options;
    o->optimizer_options = &job->optimizer.options;
    if (arguments_text(line, "class-weights") != NULL) {
        NEED(class_weights_parse(&job->class_weights, &o->class_weight_count,
                                 arguments_text(line, "class-weights")));
        o->class_weights = job->class_weights;
    }
    NEED(read_truncation(line, o));
    o->recompute = arguments_given(line, "recompute") > 0 ? LSTM_YES : LSTM_NO;
    o->seed = arguments_seed(line);
    o->checkpoint = arguments_text(line, "checkpoint");
    o->checkpoint_best = arguments_text(line, "checkpoint-best");
    o->checkpoint_seconds = arguments_real(line, "checkpoint-every");
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
    const char *const files[] = {arguments_text(job->line, "output"), job->options.checkpoint,
                                 job->options.checkpoint_best, arguments_text(job->line, "report"),
                                 arguments_text(job->line, "find-rate")};
    const size_t count = sizeof files / sizeof *files;
    int code = files[0] == NULL ? EXIT_DONE : model_check_output(files[0]);
    for (size_t i = 1; i < count && code == EXIT_DONE; i++) {
        for (size_t k = 0; files[i] != NULL && k < i; k++) {
            if (files[k] != NULL && strcmp(files[i], files[k]) == 0) {
                return message_error(EXIT_USE, "%s: would be written twice", files[i]);
            }
        }
        code = files[i] == NULL ? EXIT_DONE : file_check_writable(files[i]);
    }
    return code;
}

static int load_data(fit_job *job)
{
    const arguments *line = job->line;
    const int target = loss_target(&job->loss);
    int code = EXIT_DONE;
    if (arguments_flag(line, "stream")) {
        return stream_open(job);
    }
    NEED(loaded_arrays(&job->main, line, "y", target));
    if (arguments_given(line, "val-x") > 0) {
        NEED(arrays_load(&job->val_x, job->main.context, line, "val-x"));
        NEED(arrays_load(&job->val_y, job->main.context, line, "val-y"));
        NEED(loaded_turn(&job->main, &job->val_x, 1));
        NEED(loaded_turn(&job->main, &job->val_y, 0));
        NEED(dataset_match(&job->validation, job->main.model, &job->val_x, &job->val_y, target));
        NEED(dataset_masks(&job->validation, job->main.context, line, "val-"));
        if (job->validation.samples == 0) {
            code = message_error(EXIT_USE, "%s: holds no sample", job->val_x.items[0].label);
            goto out;
        }
        job->options.validation = &job->validation.data;
    }
out:
    return code;
}

int fit_job_train(fit_job *job)
{
    progress_begin(&job->show, job->line, arguments_flag(job->line, "log-steps"));
    job->show.max_steps = job->options.max_steps;
    const lstm_data *data = job->files == NULL ? &job->main.set.data : NULL;
    const lstm_status status = lstm_fit(job->main.model, &job->options, data, &job->history);
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

int fit_job_prepare(fit_job *job, const arguments *line)
{
    int code = EXIT_DONE;
    *job = (fit_job){.line = line, .options = {.struct_size = sizeof job->options}};
    NEED(read_options(job));
    NEED(arguments_flag(line, "stream") ? stream_check(line) : EXIT_DONE);
    NEED(check_outputs(job));
    NEED(loaded_model(&job->main, line));
    NEED(load_data(job));
out:
    return code;
}

int64_t fit_job_trained(const fit_job *job)
{
    return (int64_t)((double)job->main.set.samples * (1 - job->options.validation_split));
}

void fit_job_release(fit_job *job)
{
    lstm_history_destroy(job->history);
    lstm_files_close(job->files);
    lstm_files_close(job->validation_files);
    job->files = job->validation_files = NULL;
    dataset_release(&job->validation);
    arrays_release(&job->val_x);
    arrays_release(&job->val_y);
    loaded_release(&job->main);
    free(job->class_weights);
    job->history = NULL;
    job->class_weights = NULL;
}
