/* SPDX-License-Identifier: MIT
 *
 * The confusion matrix of a training run for its report: of the validation data where there are any,
 * else of the training data, by the weights that the run ends with.
 */
#include "fit_job.h"

#include "messages.h"

#include <stdlib.h>
#include <string.h>

enum { MATRIX_LIMIT = 1000 }; /* a matrix of 8 MB */

/* Losses whose targets are classes. */
static int has_classes(int32_t loss)
{
    static const int32_t losses[] = {LSTM_LOSS_BINARY_CROSSENTROPY,
                                     LSTM_LOSS_CATEGORICAL_CROSSENTROPY,
                                     LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                     LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY,
                                     LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY,
                                     LSTM_LOSS_HINGE,
                                     LSTM_LOSS_SQUARED_HINGE,
                                     LSTM_LOSS_CATEGORICAL_HINGE};
    int found = 0;
    for (size_t k = 0; k < sizeof losses / sizeof losses[0]; k++) {
        found |= losses[k] == loss;
    }
    return found;
}

/* Whether the rows of several features of a binary loss are classes each: then there is no matrix. */
static int has_matrix(const fit_job *job, int64_t features)
{
    const int32_t loss = job->loss.options.loss;
    const int binary = loss == LSTM_LOSS_BINARY_CROSSENTROPY ||
                       loss == LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY || loss == LSTM_LOSS_HINGE ||
                       loss == LSTM_LOSS_SQUARED_HINGE;
    return has_classes(loss) && (features == 1 || !binary) && features <= MATRIX_LIMIT;
}

/* The samples of a source from `first` on, as a source. */
typedef struct tail {
    const lstm_source *of;
    int64_t first;
    int64_t *numbers;
} tail;

static lstm_status read_tail(void *user, const lstm_batch *batch)
{
    const tail *t = user;
    lstm_batch moved = *batch;
    for (int64_t k = 0; k < batch->count; k++) {
        t->numbers[k] = batch->samples[k] + t->first;
    }
    moved.samples = t->numbers;
    return t->of->read(t->of->user, &moved);
}

/* Evaluate the last part of what was trained on: what --validation-split left out; all of it where
 * nothing was. */
static int evaluate_tail(fit_job *job, lstm_evaluate_options *options, double *loss)
{
    const int64_t all = job->main.set.samples;
    const int64_t trained = fit_job_trained(job);
    const int64_t first = trained < all ? trained : 0;
    dataset part = {0};
    int code = EXIT_DONE;
    int64_t *numbers = calloc((size_t)(job->files == NULL ? all - first : options->batch_size) + 1,
                              sizeof *numbers);
    if (numbers == NULL) {
        return message_error(EXIT_WORK, "out of memory for the confusion matrix");
    }
    if (job->files != NULL) {
        tail t = {lstm_files_source(job->files), first, numbers};
        lstm_source source = *t.of;
        source.samples = all - first;
        source.lengths = NULL;
        source.read = read_tail;
        source.user = &t;
        options->source = &source;
        CHECK(lstm_evaluate(job->main.model, options, NULL, loss, 1), NULL);
        goto out;
    }
    for (int64_t k = first; k < all; k++) {
        numbers[k - first] = k;
    }
    if (first > 0) {
        NEED(dataset_take(&part, &job->main.set, numbers, all - first));
    }
    CHECK(lstm_evaluate(job->main.model, options, first > 0 ? &part.data : &job->main.set.data,
                        loss, 1),
          NULL);
out:
    dataset_release(&part);
    free(numbers);
    return code;
}

int fit_job_confusion(fit_job *job, int64_t **matrix, size_t *classes)
{
    lstm_evaluate_options options = {.struct_size = sizeof options,
                                     .batch_size = job->options.batch_size,
                                     .loss = &job->loss.options};
    int64_t steps = 0;
    int64_t features = 0;
    double loss = 0;
    int code = EXIT_DONE;
    *matrix = NULL;
    lstm_layer_shape(lstm_model_output(job->main.model, 0), &steps, &features);
    if (!has_matrix(job, features)) {
        return EXIT_DONE;
    }
    *classes = features == 1 ? 2 : (size_t)features;
    options.confusion_count = *classes * *classes;
    options.confusion = *matrix = calloc(options.confusion_count, sizeof **matrix);
    if (*matrix == NULL) {
        return message_error(EXIT_WORK, "out of memory for the confusion matrix");
    }
    if (job->validation_files != NULL) {
        options.source = lstm_files_source(job->validation_files);
        CHECK(lstm_evaluate(job->main.model, &options, NULL, &loss, 1), NULL);
    } else if (job->validation.samples > 0) {
        CHECK(lstm_evaluate(job->main.model, &options, &job->validation.data, &loss, 1), NULL);
    } else {
        NEED(evaluate_tail(job, &options, &loss));
    }
out:
    return code;
}
