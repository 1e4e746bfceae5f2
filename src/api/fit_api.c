/* SPDX-License-Identifier: MIT
 * lstm_fit, lstm_evaluate, lstm_predict, lstm_history: options and data are checked as a whole
 * before anything changes; the loop itself is nn/training.c, files are io/checkpoint_file.c.
 */
#include "batch_order.h"
#include "checkpoint_file.h"
#include "constants.h"
#include "cpu.h"
#include "data.h"
#include "need.h"
#include "options.h"
#include "training.h"

#include <math.h>
#include <string.h>

enum { PREDICT_BATCH = 64 };

/* ---- Fit */

typedef struct fit {
    lstm_fit_options options;
    lstm__data data;
    lstm__data validation;
    lstm__training training;
    lstm_optimizer *owned; /* created here */
    lstm__source *source, *validation_source;
} fit;

static lstm_status read_metrics(const lstm__loss *loss, const int32_t *metrics, int32_t count,
                                int32_t *own)
{
    if (count < 0 || count > LSTM__METRICS)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "metric_count is %d: expected 0 to %d", (int)count,
                          LSTM__METRICS);
    if (count > 0 && !metrics)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "metric_count is %d but metrics is NULL",
                          (int)count);
    for (int32_t k = 0; k < count; k++) {
        own[k] = metrics[k];
        if (!lstm__constant_name(LSTM_NAMES_METRIC, metrics[k]))
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "metric %d is %d: expected an LSTM_METRIC_* constant", (int)k,
                              (int)metrics[k]);
        RETURN_IF_ERROR(lstm__metric_check(metrics[k], loss));
    }
    return LSTM_OK;
}

static lstm_status read_batch_size(int32_t *size)
{
    if (*size == 0)
        *size = 32;
    if (*size < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "batch_size is %d: expected at least 1", (int)*size);
    return LSTM_OK;
}

static lstm_status read_fit_options(fit *f, const lstm_fit_options *options)
{
    lstm_fit_options *o = &f->options;
    lstm__training *training = &f->training;
    RETURN_IF_ERROR(lstm__read_options(o, sizeof *o, options, "lstm_fit_options"));
    NEED_ZERO(o->reserved);
    RETURN_IF_ERROR(lstm__read_flag(&o->shuffle, LSTM_YES, "shuffle"));
    NEED_ZERO(o->reserved_2);
    RETURN_IF_ERROR(lstm__read_flag(&o->gradient_norms, LSTM_NO, "gradient_norms"));
    RETURN_IF_ERROR(lstm__read_flag(&o->restore_best, LSTM_YES, "restore_best"));
    NEED_ZERO(o->reserved_3);
    RETURN_IF_ERROR(lstm__read_flag(&o->recompute, LSTM_NO, "recompute"));
    RETURN_IF_ERROR(read_batch_size(&o->batch_size));
    RETURN_IF_ERROR(lstm__loss_read(&training->loss, o->loss));
    RETURN_IF_ERROR(read_metrics(&training->loss, o->metrics, o->metric_count, training->metrics));
    if (o->epochs == 0)
        o->epochs = 1;
    if (o->epochs < 0 || o->initial_epoch < 0 || o->early_stopping < 0 || o->checkpoint_every < 0 ||
        o->max_steps < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "epochs %d, initial_epoch %d, early_stopping %d, checkpoint_every %d, "
                          "max_steps %lld: expected 0 or "
                          "more",
                          (int)o->epochs, (int)o->initial_epoch, (int)o->early_stopping,
                          (int)o->checkpoint_every, (long long)o->max_steps);
    if (!(o->validation_split >= 0 && o->validation_split < 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "validation_split is %g: expected 0 <= validation_split < 1",
                          o->validation_split);
    if (!(o->weight_noise >= 0) || !isfinite(o->weight_noise))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "weight_noise is %g: expected a finite number of at least 0",
                          o->weight_noise);
    if (!(o->checkpoint_seconds >= 0) || !isfinite(o->checkpoint_seconds))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "checkpoint_seconds is %g: expected a finite number of at least 0",
                          o->checkpoint_seconds);
    if (o->checkpoint && o->checkpoint_best && strcmp(o->checkpoint, o->checkpoint_best) == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "checkpoint and checkpoint_best are the same file, %s", o->checkpoint);
    if (!(o->min_delta >= 0) || !isfinite(o->min_delta))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "min_delta is %g: expected a finite number of at least 0", o->min_delta);
    if (o->validation && o->validation_split > 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "both validation and validation_split are set");
    if (o->optimizer && o->optimizer_options)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "both optimizer and optimizer_options are set");
    if (o->optimizer && o->optimizer->model != training->model)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the optimizer belongs to another model");
    training->metric_count = (size_t)o->metric_count;
    training->batch_size = (size_t)o->batch_size;
    training->epochs = o->epochs;
    training->max_steps = o->max_steps;
    training->shuffle = o->shuffle == LSTM_YES;
    training->restore_best = o->restore_best == LSTM_YES;
    training->recompute = o->recompute == LSTM_YES;
    training->patience = o->early_stopping;
    training->min_delta = o->min_delta;
    training->weight_noise = o->weight_noise;
    training->gradient_norms = o->gradient_norms == LSTM_YES;
    training->seed = o->seed;
    training->position.epoch = o->initial_epoch;
    training->progress = o->progress;
    training->progress_user = o->progress_user;
    return LSTM_OK;
}

static lstm_status read_class_weights(fit *f)
{
    const lstm_fit_options *o = &f->options;
    const lstm__training *training = &f->training;
    if (!o->class_weights && o->class_weight_count == 0)
        return LSTM_OK;
    if (!o->class_weights || o->class_weight_count == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "class_weight_count is %zu and class_weights is %s",
                          o->class_weight_count, o->class_weights ? "set" : "NULL");
    for (size_t k = 0; k < o->class_weight_count; k++)
        if (!(o->class_weights[k] >= 0) || isinf(o->class_weights[k]))
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "class weight %zu is %g: expected a finite number of at least 0", k,
                              (double)o->class_weights[k]);
    if (f->source) {
        f->source->class_weights = o->class_weights;
        f->source->class_weight_count = o->class_weight_count;
        return LSTM_OK;
    }
    lstm__batch trained = training->data;
    trained.count = training->samples;
    RETURN_IF_ERROR(lstm__loss_check_class_weights(training->model, &training->loss, &trained,
                                                   o->class_weight_count));
    f->training.data.class_weights = o->class_weights;
    return LSTM_OK;
}

/* A source instead of arrays: `read` says how many samples and steps there are. */
static lstm_status open_source(const lstm_model *model, const lstm__loss *loss,
                               const lstm_source *own, size_t batch_size, lstm__source **source,
                               lstm__data *read)
{
    RETURN_IF_ERROR(lstm__source_open(source, model, loss, own, batch_size));
    read->batch = lstm__source_whole(*source);
    return LSTM_OK;
}

static lstm_status read_validation(fit *f)
{
    const lstm_fit_options *o = &f->options;
    lstm__training *training = &f->training;
    const size_t samples = training->samples;
    if (o->validation && o->validation_source)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "both validation and validation_source are set");
    if (o->validation_source && o->validation_split > 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "both validation_source and validation_split are set");
    if (o->validation || o->validation_source) {
        const lstm_status status =
            o->validation
                ? lstm__data_read(&f->validation, training->model, o->validation, &training->loss)
                : open_source(training->model, &training->loss, o->validation_source,
                              training->batch_size, &f->validation_source, &f->validation);
        if (status != LSTM_OK)
            return lstm__prefix_error(status, "validation data");
        if (f->validation.batch.samples == 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "the validation data has no samples");
        training->validation = f->validation.batch;
        training->validation_source = f->validation_source;
    } else if (o->validation_split > 0) {
        /* Keras: the first int(n * (1 - split)) samples train. */
        training->samples = (size_t)((double)samples * (1 - o->validation_split));
        if (training->samples == 0 || training->samples == samples)
            return lstm__fail(
                LSTM_ERROR_ARGUMENT,
                "validation_split %g of %zu samples leaves %zu to train on and %zu to "
                "validate on: both need at least one",
                o->validation_split, samples, training->samples, samples - training->samples);
        training->validation = f->data.batch;
        training->validation.first = training->samples;
        training->validation.count = samples - training->samples;
        training->validation_source = f->source;
    }
    return LSTM_OK;
}

static lstm_status read_buckets(fit *f)
{
    lstm__training *training = &f->training;
    const int64_t batches = f->options.bucket_batches;
    if (batches == 0)
        return LSTM_OK;
    if (batches < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "bucket_batches is %lld: expected 0 or more",
                          (long long)batches);
    if (!training->shuffle)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "bucket_batches is set, but shuffle is LSTM_NO");
    if (!(f->source ? f->source->own.lengths : training->data.lengths))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "bucket_batches is set, but no lengths are: set %s",
                          f->source ? "source.lengths" : "data's lengths");
    training->bucket_batches = (uint64_t)batches < training->samples ? (size_t)batches
                                                                     : training->samples;
    return LSTM_OK;
}

/* Which samples train and which validate. */
static lstm_status read_fit_data(fit *f, const lstm_data *data)
{
    lstm__training *training = &f->training;
    const lstm_fit_options *o = &f->options;
    if (data && o->source)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "both data and source are set");
    RETURN_IF_ERROR(o->source ? open_source(training->model, &training->loss, o->source,
                                            training->batch_size, &f->source, &f->data)
                              : lstm__data_read(&f->data, training->model, data, &training->loss));
    if (f->data.batch.samples == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "data has no samples: training needs at least one");
    training->data = f->data.batch;
    training->source = f->source;
    training->samples = f->data.batch.samples;
    if (lstm__loss_takes_labels(&training->loss) && o->tbptt_k1 > 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "tbptt_k1 is set, but CTC needs whole sequences");
    RETURN_IF_ERROR(lstm__pieces_read(&training->pieces, training->model, o->tbptt_k1, o->tbptt_k2,
                                      f->data.batch.steps));
    RETURN_IF_ERROR(read_validation(f));
    RETURN_IF_ERROR(read_buckets(f));
    lstm__batch trained = training->data;
    trained.count = training->samples;
    if (!f->source)
        RETURN_IF_ERROR(lstm__loss_check_alignment(training->model, &training->loss, &trained));
    return read_class_weights(f);
}

/* What has to exist before the loop: optimizer, history, best weights, and the state of a
 * checkpoint. */
static lstm_status prepare(fit *f)
{
    lstm__training *training = &f->training;
    lstm_model *model = training->model;
    const lstm_fit_options *o = &f->options;
    training->optimizer = o->optimizer;
    if (!training->optimizer) {
        RETURN_IF_ERROR(lstm__optimizer_create(&f->owned, model, o->optimizer_options));
        training->optimizer = f->owned;
    }
    if (o->weight_noise > 0 && training->optimizer->lbfgs)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "weight_noise is not for L-BFGS, which computes a "
                                               "batch again and again at the same weights");
    RETURN_IF_ERROR(lstm__history_create(&training->history, model->context));
    lstm__training_name_columns(training);
    const size_t classes = lstm__class_counts_needed(model, &training->loss, training->metrics,
                                                     training->metric_count);
    RETURN_IF_ERROR(lstm__class_counts_create(&training->counts, model, &training->loss, classes));
    RETURN_IF_ERROR(
        lstm__class_counts_create(&training->validation_counts, model, &training->loss, classes));
    training->position.step = training->optimizer->steps;
    if (o->early_stopping > 0) {
        training->best_values = lstm__allocate_array(model->context, model->value_count,
                                                     sizeof(real));
        if (!training->best_values)
            return lstm__fail_memory(model->value_count * sizeof(real), "the best weights");
        memcpy(training->best_values, model->values, model->value_count * sizeof(real));
    }
    RETURN_IF_ERROR(lstm__states_create(&training->states, model,
                                        lstm__training_largest_batch(training),
                                        training->pieces.count > 0));
    if (o->resume)
        RETURN_IF_ERROR(lstm__checkpoint_read(o->resume, training));
    training->write_checkpoint = lstm__checkpoint_write;
    training->checkpoint = o->checkpoint;
    training->checkpoint_best = o->checkpoint_best;
    training->checkpoint_every = o->checkpoint_every > 0 ? o->checkpoint_every : 1;
    training->checkpoint_seconds = o->checkpoint_seconds;
    return LSTM_OK;
}

lstm_status lstm_fit(lstm_model *model, const lstm_fit_options *options, const lstm_data *data,
                     lstm_history **history)
{
    lstm_status status = LSTM_OK;
    fit f = {.training = {.model = model}};
    bool ran = false;
    if (history)
        *history = NULL;
    NEED(model);
    NEED_BUILT(model);
    TRY(lstm__context_check(model->context));
    TRY(read_fit_options(&f, options));
    TRY(read_fit_data(&f, data));
    TRY(prepare(&f));
    const uint64_t mode = lstm__denormals_flush();
    ran = true;
    status = lstm__training_run(&f.training);
    lstm__denormals_restore(mode);
out:
    if (history && f.training.history &&
        (status == LSTM_OK || (ran && f.training.history->epochs > 0))) {
        *history = f.training.history;
        f.training.history = NULL;
    }
    lstm__history_destroy(f.training.history);
    lstm__release(model->context, f.training.best_values);
    lstm__class_counts_release(&f.training.counts, model);
    lstm__class_counts_release(&f.training.validation_counts, model);
    lstm__states_destroy(&f.training.states, model->context);
    lstm__optimizer_destroy(f.owned);
    lstm__source_close(f.source);
    lstm__source_close(f.validation_source);
    return status;
}

/* ---- Evaluate */

static lstm_status check_confusion(const lstm_evaluate_options *o, const lstm_model *model,
                                   const lstm__loss *loss)
{
    const size_t size = lstm__confusion_size(model, loss);
    if (!o->confusion && o->confusion_count == 0)
        return LSTM_OK;
    if (size == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "a confusion matrix needs an output of classes, or of one feature: the "
                          "loss is %s",
                          lstm__constant_name(LSTM_NAMES_LOSS, loss->kind));
    if (!o->confusion || o->confusion_count != size * size)
        return lstm__fail(LSTM_ERROR_SHAPE, "room for %zu counts: expected %zu by %zu",
                          o->confusion ? o->confusion_count : 0, size, size);
    return LSTM_OK;
}

lstm_status lstm_evaluate(lstm_model *model, const lstm_evaluate_options *options,
                          const lstm_data *data, double *values, size_t count)
{
    lstm_status status = LSTM_OK;
    lstm_evaluate_options own;
    lstm__source *source = NULL;
    lstm_session *session = NULL;
    lstm__loss loss;
    lstm__data read;
    lstm__sums sums;
    lstm__class_counts counts = {0};
    int32_t metrics[LSTM__METRICS];
    NEED(model);
    NEED(values);
    NEED_BUILT(model);
    RETURN_IF_ERROR(lstm__context_check(model->context));
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_evaluate_options"));
    NEED_ZERO(own.reserved);
    RETURN_IF_ERROR(read_batch_size(&own.batch_size));
    RETURN_IF_ERROR(lstm__loss_read(&loss, own.loss));
    RETURN_IF_ERROR(read_metrics(&loss, own.metrics, own.metric_count, metrics));
    RETURN_IF_ERROR(check_confusion(&own, model, &loss));
    if (count != (size_t)own.metric_count + 1)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "room for %zu values: expected %d (the loss and each metric)", count,
                          (int)own.metric_count + 1);
    if (data && own.source)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "both data and source are set");
    TRY(own.source ? open_source(model, &loss, own.source, (size_t)own.batch_size, &source, &read)
                   : lstm__data_read(&read, model, data, &loss));
    const size_t batch = read.batch.count < (size_t)own.batch_size ? read.batch.count
                                                                   : (size_t)own.batch_size;
    TRY(lstm__class_counts_create(
        &counts, model, &loss,
        lstm__class_counts_needed(model, &loss, metrics, (size_t)own.metric_count)));
    counts.matrix = own.confusion;
    counts.matrix_size = lstm__confusion_size(model, &loss);
    TRY(lstm__session_create(&session, model, false, false, batch > 0 ? batch : 1, read.batch.steps,
                             0));
    TRY(lstm__loss_prepare(session, &loss,
                           source ? (size_t)source->own.label_steps
                                  : lstm__loss_longest(&loss, &read.batch)));
    const uint64_t mode = lstm__denormals_flush();
    status = lstm__evaluate(session, &loss, metrics, (size_t)own.metric_count, &read.batch, batch,
                            source, &sums, &counts);
    lstm__denormals_restore(mode);
    if (status == LSTM_OK)
        lstm__metric_values(&sums, &counts, metrics, (size_t)own.metric_count, values);
out:
    lstm__class_counts_release(&counts, model);
    lstm__source_close(source);
    lstm__session_destroy(session);
    return status;
}

/* ---- Predict */

/* Copy the session's output of a batch to the places of its samples in the caller's array. */
static void export_part(const lstm_session *session, const lstm_layer *layer,
                        const lstm__batch *batch, float *values)
{
    const lstm__shape shape = layer->node->shapes[layer->port];
    const lstm__view value = session->ports[layer->node->port_first + (size_t)layer->port].value;
    const size_t features = (size_t)shape.features;
    const size_t steps = shape.steps == 0 ? 1 : lstm__session_steps(session, shape);
    const bool time_first = batch->layout == LSTM_LAYOUT_TIME_FIRST;
    for (size_t t = 0; t < steps; t++)
        for (size_t b = 0; b < batch->count; b++) {
            const size_t sample = lstm__batch_sample(batch, b);
            const size_t row = time_first ? t * batch->samples + sample : sample * steps + t;
            for (size_t k = 0; k < features; k++)
                values[row * features + k] =
                    (float)value.data[(t * batch->count + b) * value.stride + k];
        }
}

/* Run all samples in batches, the longest first: samples of about the same length then stand
 * together. `order` and `ends` have room for all of them. */
static void predict_batches(lstm_session *session, const lstm__batch *data, size_t size,
                            uint64_t *order, uint32_t *ends, float *const *outs)
{
    lstm__batch batch = *data;
    for (size_t k = 0; k < data->count; k++)
        order[k] = k;
    lstm__batch_sort(session->model, &batch, order, ends);
    batch.order = order;
    for (batch.first = 0; batch.first < data->count; batch.first += size) {
        batch.count = data->count - batch.first < size ? data->count - batch.first : size;
        lstm__session_reset_states(session);
        lstm__session_forward(session, &batch);
        for (size_t k = 0; k < session->model->output_count; k++)
            export_part(session, session->model->outputs[k], &batch, outs[k]);
    }
}

lstm_status lstm_predict_outputs(lstm_model *model, const lstm_data *data, float *const *outs,
                                 const size_t *counts, size_t output_count)
{
    lstm__data read;
    lstm_session *session = NULL;
    NEED(model);
    NEED(outs);
    NEED(counts);
    NEED_BUILT(model);
    RETURN_IF_ERROR(lstm__context_check(model->context));
    RETURN_IF_ERROR(lstm__data_read(&read, model, data, NULL));
    if (output_count != model->output_count)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%zu output array(s) given, the model has %zu output(s)", output_count,
                          model->output_count);
    for (size_t k = 0; k < output_count; k++) {
        const lstm_layer *layer = model->outputs[k];
        const size_t each = lstm__data_sample_size(layer->node->shapes[layer->port],
                                                   read.batch.steps);
        if (counts[k] != read.batch.count * each)
            return lstm__fail(
                LSTM_ERROR_SHAPE,
                "output \"%s\": room for %zu values: expected %zu (%zu samples of %zu)",
                layer->node->name, counts[k], read.batch.count * each, read.batch.count, each);
        if (!outs[k] && counts[k] > 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "the array of output \"%s\" is NULL",
                              layer->node->name);
    }
    lstm_status status = LSTM_OK;
    const size_t total = read.batch.count;
    const size_t size = total < PREDICT_BATCH ? total : PREDICT_BATCH;
    uint64_t *order = lstm__allocate_array(model->context, total > 0 ? total : 1, sizeof *order);
    uint32_t *ends = lstm__allocate_array(model->context, total > 0 ? total : 1, sizeof *ends);
    if (!order || !ends) {
        status = lstm__fail_memory(total * sizeof *order, "the order of the samples");
        goto out;
    }
    TRY(lstm__session_create(&session, model, false, false, size > 0 ? size : 1, read.batch.steps,
                             0));
    const uint64_t mode = lstm__denormals_flush();
    predict_batches(session, &read.batch, size, order, ends, outs);
    lstm__denormals_restore(mode);
out:
    lstm__session_destroy(session);
    lstm__release(model->context, order);
    lstm__release(model->context, ends);
    return status;
}

lstm_status lstm_predict(lstm_model *model, const lstm_data *data, float *out, size_t count)
{
    NEED(model);
    NEED_BUILT(model);
    if (model->output_count != 1)
        return lstm__fail(LSTM_ERROR_STATE, "the model has %zu outputs: use lstm_predict_outputs",
                          model->output_count);
    return lstm_predict_outputs(model, data, &out, &count, 1);
}

/* ---- History */

void lstm_history_destroy(lstm_history *history)
{
    lstm__history_destroy(history);
}

size_t lstm_history_epochs(const lstm_history *history)
{
    return history ? history->epochs : 0;
}

size_t lstm_history_columns(const lstm_history *history)
{
    return history ? history->columns : 0;
}

const char *lstm_history_name(const lstm_history *history, size_t column)
{
    return history && column < history->columns ? history->names[column] : NULL;
}

double lstm_history_value(const lstm_history *history, size_t epoch, size_t column)
{
    if (!history || epoch >= history->epochs || column >= history->columns)
        return (double)NAN;
    return history->values[epoch * history->columns + column];
}

size_t lstm_history_best(const lstm_history *history)
{
    return history ? history->best : 0;
}
