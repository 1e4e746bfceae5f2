/* SPDX-License-Identifier: MIT
 * The training loop.
 *
 * Everything random is a function of (seed, epoch) or (seed, step), so the position is a few
 * numbers. An epoch's loss and metrics are means over its samples, as Keras reports them: each
 * batch counts with its number of samples, measured before its update.
 */
#include "training.h"
#include "batch_order.h"
#include "constants.h"
#include "epoch_order.h"
#include "lbfgs.h"
#include "random.h"
#include "weight_noise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- History */

lstm_status lstm__history_create(lstm_history **out, lstm_context *context)
{
    lstm_history *history = lstm__allocate_zeroed(context, sizeof *history);
    if (!history)
        return lstm__fail_memory(sizeof *history, "a history");
    history->context = lstm__context_acquire(context);
    *out = history;
    return LSTM_OK;
}

void lstm__history_destroy(lstm_history *history)
{
    if (!history)
        return;
    lstm_context *context = history->context;
    lstm__release(context, history->values);
    lstm__release(context, history);
    lstm__context_release(context);
}

lstm_status lstm__history_append(lstm_history *history, const double *values)
{
    RETURN_IF_ERROR(lstm__grow(history->context, (void **)&history->values, &history->capacity,
                               (history->epochs + 1) * history->columns, sizeof *history->values));
    memcpy(history->values + history->epochs * history->columns, values,
           history->columns * sizeof *values);
    history->epochs++;
    return LSTM_OK;
}

void lstm__training_name_columns(lstm__training *training)
{
    lstm_history *history = training->history;
    const size_t group = training->metric_count + 1;
    const size_t measured = training->validation.count > 0 ? 2 * group : group;
    history->columns = measured + (training->gradient_norms ? 1 : 0);
    snprintf(history->names[measured], sizeof history->names[measured], "gradient_norm");
    for (size_t k = 0; k < measured; k++) {
        const char *prefix = k < group ? "" : "val_";
        const size_t metric = k % group;
        const char *name = metric == 0 ? "loss"
                                       : lstm__constant_name(LSTM_NAMES_METRIC,
                                                             training->metrics[metric - 1]);
        snprintf(history->names[k], sizeof history->names[k], "%s%s", prefix, name);
    }
}

/* ---- One pass */

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void add_metrics(lstm_session *session, const lstm__loss *loss, const int32_t *metrics,
                        size_t count, const lstm__batch *batch, lstm__sums *sums,
                        lstm__class_counts *counts)
{
    for (size_t k = 0; k < count; k++)
        lstm__metric_add(session, metrics[k], loss, batch, &sums->metric[k],
                         &sums->metric_weight[k]);
    lstm__class_counts_add(counts, session, loss, batch);
}

lstm_status lstm__evaluate(lstm_session *session, const lstm__loss *loss, const int32_t *metrics,
                           size_t metric_count, const lstm__batch *data, size_t batch_size,
                           lstm__source *source, lstm__sums *sums, lstm__class_counts *counts)
{
    *sums = (lstm__sums){0};
    lstm__class_counts_clear(counts);
    if (source)
        source->sorts = source->trains = false;
    lstm__session_reset_states(session);
    for (size_t done = 0; done < data->count;) {
        double value = 0;
        const size_t left = data->count - done;
        lstm__batch batch = *data;
        batch.first = data->first + done;
        batch.count = left < batch_size ? left : batch_size;
        done += batch.count;
        if (source) {
            const size_t behind = left - batch.count;
            RETURN_IF_ERROR(lstm__source_read(source, NULL, batch.first, batch.count,
                                              behind < batch_size ? behind : batch_size, &batch));
        }
        lstm__session_order(session, &batch);
        lstm__session_forward(session, &batch);
        RETURN_IF_ERROR(lstm__loss_compute(session, loss, &batch, false, &value));
        sums->loss += value * (double)batch.count;
        sums->loss_weight += (double)batch.count;
        add_metrics(session, loss, metrics, metric_count, &batch, sums, counts);
    }
    return LSTM_OK;
}

void lstm__metric_values(const lstm__sums *sums, const lstm__class_counts *counts,
                         const int32_t *metrics, size_t count, double *values)
{
    values[0] = sums->loss_weight > 0 ? sums->loss / sums->loss_weight : 0;
    for (size_t k = 0; k < count; k++)
        values[k + 1] = lstm__metric_is_macro(metrics[k])
                            ? lstm__class_counts_value(counts, metrics[k])
                            : lstm__metric_value(metrics[k], sums->metric[k],
                                                 sums->metric_weight[k]);
}

/* ---- The loop */

typedef struct loop {
    lstm__training *training;
    lstm_session *session;    /* training */
    lstm_session *evaluation; /* validation; NULL = none */
    uint64_t *order;
    uint32_t *ends; /* see batch_order.h: of a batch */
    real *weights;  /* with weight noise: the weights without it; NULL = no noise */
    size_t batches; /* in an epoch, or pieces of batches */
    lstm__states
        before;         /* L-BFGS: what was carried into the batch, which it runs again and again */
    bool keeps_rows;    /* sample k of a batch goes on in sample k of the next */
    lstm__batch taken;  /* the source's latest batch, whose pieces may be still to come */
    size_t taken_first; /* where it begins in the order; SIZE_MAX = none yet */
    double started;
    double saved; /* when the last checkpoint was written; below 0 = not in this run */
} loop;

static bool report(const loop *l, int32_t event, double loss, const double *values, bool improved)
{
    const lstm__training *training = l->training;
    const lstm_history *history = training->history;
    const char *names[LSTM__COLUMNS];
    if (!training->progress)
        return false;
    for (size_t k = 0; k < history->columns; k++)
        names[k] = history->names[k];
    const bool epoch = event == LSTM_PROGRESS_EPOCH;
    const lstm_progress progress = {
        .struct_size = sizeof progress,
        .event = event,
        .epoch = training->position.epoch + (epoch ? 0 : 1),
        .epochs = training->epochs,
        .batch = epoch ? (int64_t)l->batches : training->position.batch,
        .batches = (int64_t)l->batches,
        .step = training->position.step,
        .loss = loss,
        .seconds = seconds_now() - l->started,
        .value_count = epoch ? history->columns : 0,
        .names = names,
        .values = values,
        .improved = improved ? LSTM_YES : LSTM_NO,
        .learning_rate = lstm__optimizer_rate(training->optimizer),
    };
    return training->progress(training->progress_user, &progress) != 0;
}

/* Write the last state. Inside an epoch what is carried belongs to the position. */
static lstm_status save_checkpoint(loop *l)
{
    lstm__training *training = l->training;
    if (!training->checkpoint)
        return LSTM_OK;
    if (training->states.nodes > 0 && training->position.batch > 0)
        lstm__states_save(&training->states, l->session);
    RETURN_IF_ERROR(training->write_checkpoint(training->checkpoint, training));
    l->saved = seconds_now();
    return LSTM_OK;
}

/* What is written at the end of an epoch: the best state if it is one, and the last one if it is due.
 * The first is: so a run that is killed soon has a checkpoint, and a disk that is full is found out
 * early. */
static lstm_status save_epoch(loop *l, bool improved)
{
    const lstm__training *training = l->training;
    if (improved && training->checkpoint_best)
        RETURN_IF_ERROR(training->write_checkpoint(training->checkpoint_best, training));
    if (training->position.epoch % training->checkpoint_every != 0)
        return LSTM_OK;
    const bool due = l->saved < 0 || !(seconds_now() - l->saved < training->checkpoint_seconds);
    return due ? save_checkpoint(l) : LSTM_OK;
}

/* Loss and gradients of a batch at the parameters as they are. */
typedef struct again {
    const lstm__training *training;
    lstm_session *session;
    const lstm__batch *batch;
    const lstm__states *before;
} again;

static lstm_status evaluate_again(void *user, double *loss)
{
    const again *a = user;
    if (a->before->nodes > 0)
        lstm__states_restore(a->before, a->session);
    lstm__session_forward(a->session, a->batch);
    RETURN_IF_ERROR(lstm__loss_compute(a->session, &a->training->loss, a->batch, true, loss));
    lstm__session_backward(a->session);
    return isfinite(*loss) ? LSTM_OK : lstm__fail(LSTM_ERROR_NUMERIC, "the loss is not finite");
}

/* Name the first number of the inputs, among the steps that are there, that is not finite: whatever
 * follows from it cannot be. */
static lstm_status check_inputs(lstm_session *session, const lstm__batch *batch, bool drawn)
{
    const lstm_model *model = session->model;
    for (size_t n = 0; n < model->node_count; n++) {
        const lstm__node *node = model->nodes[n];
        if (strcmp(node->class->type, "Input") != 0)
            continue;
        const lstm__port *port = lstm__session_own(session, node, 0);
        const size_t features = (size_t)node->shapes[0].features;
        const size_t rows = lstm__session_rows(session, node->shapes[0]);
        for (size_t k = 0; k < rows * features; k++) {
            const size_t row = k / features;
            const size_t b = row % session->batch;
            const real value = port->value.data[row * port->value.stride + k % features];
            if (!isfinite(value))
                return lstm__fail(
                    LSTM_ERROR_NUMERIC, "input \"%s\"%s, sample %zu, step %zu, feature %zu, is %g",
                    node->name, drawn ? " of the batch" : "",
                    session->ordered ? (size_t)session->order[b] : lstm__batch_sample(batch, b),
                    batch->piece_first + row / session->batch, k % features, (double)value);
        }
    }
    return LSTM_OK;
}

/* The step: L-BFGS computes the batch again as often as it needs. */
static lstm_status step(loop *l, const lstm__batch *batch, double loss)
{
    lstm_optimizer *optimizer = l->training->optimizer;
    again a = {l->training, l->session, batch, &l->before};
    if (!isfinite(loss)) {
        RETURN_IF_ERROR(lstm__loss_explain(l->session, &l->training->loss, batch));
        RETURN_IF_ERROR(check_inputs(l->session, batch, l->training->source != NULL));
        RETURN_IF_ERROR(lstm__check_gradients(l->session));
        return lstm__fail(LSTM_ERROR_NUMERIC, "the loss is not finite");
    }
    if (optimizer->lbfgs)
        return lstm__lbfgs_step(optimizer, l->session, loss, evaluate_again, &a);
    const lstm_status status = lstm__optimizer_step(optimizer, l->session);
    if (status == LSTM_ERROR_NUMERIC) /* units can saturate where the gradient does not */
        RETURN_IF_ERROR(check_inputs(l->session, batch, l->training->source != NULL));
    return status;
}

size_t lstm__training_largest_batch(const lstm__training *training)
{
    return training->samples < training->batch_size ? training->samples : training->batch_size;
}

size_t lstm__training_batches(const lstm__training *training)
{
    const size_t batches = (training->samples + training->batch_size - 1) / training->batch_size;
    return training->pieces.count > 0 ? batches * training->pieces.count : batches;
}

/* The whole batch that begins at `first` of the epoch's order. */
static lstm_status take_batch(loop *l, size_t first, lstm__batch *batch)
{
    const lstm__training *training = l->training;
    const size_t size = training->batch_size, left = training->samples - first;
    const size_t count = left < size ? left : size;
    if (!training->source) {
        *batch = training->data;
        batch->order = l->order;
        batch->first = first;
        batch->count = count;
        if (!l->keeps_rows)
            lstm__batch_sort(l->session->model, batch, l->order, l->ends);
        return LSTM_OK;
    }
    if (l->taken_first != first) {
        const size_t behind = left - count;
        l->taken_first = SIZE_MAX;
        training->source->sorts = !l->keeps_rows;
        training->source->trains = true;
        RETURN_IF_ERROR(lstm__source_read(training->source, l->order, first, count,
                                          behind < size ? behind : size, &l->taken));
        l->taken_first = first;
    }
    *batch = l->taken;
    return LSTM_OK;
}

/* The batch, or the piece of one, that comes next. *part is how much it is of a batch. */
static lstm_status next_batch(loop *l, lstm__batch *batch, double *part)
{
    const lstm__training *training = l->training;
    const lstm__pieces *pieces = &training->pieces;
    const size_t count = pieces->count > 0 ? pieces->count : 1;
    const size_t number = (size_t)training->position.batch;
    *part = 1;
    if (number % count == 0)
        l->taken_first = SIZE_MAX;
    RETURN_IF_ERROR(take_batch(l, number / count * training->batch_size, batch));
    if (pieces->count == 0)
        return LSTM_OK;
    if (number % count == 0)
        lstm__session_reset_pieces(l->session);
    l->session->carry_after = lstm__pieces_take(pieces, number % count, batch);
    if (pieces->steps > 0)
        *part = (double)(batch->piece_steps - batch->piece_skip) / (double)pieces->steps;
    return LSTM_OK;
}

/* Whether nothing of a piece counts: towards the end of a batch all its sequences may have ended. */
static bool is_padding(lstm_session *session, const lstm__batch *batch)
{
    const lstm_model *model = session->model;
    for (size_t k = 0; batch->piece_steps > 0 && k < model->output_count; k++) {
        const unsigned char *mask = lstm__session_port(session, model->outputs[k])->mask;
        const size_t skipped = batch->piece_skip * batch->count;
        if (!mask || memchr(mask + skipped, 1, batch->piece_steps * batch->count - skipped))
            return false;
    }
    return batch->piece_steps > 0;
}

/* Loss, gradients, and what the epoch's sums become with this batch. *counts: whether anything of it
 * does. */
static lstm_status compute_batch(loop *l, const lstm__batch *batch, double part, double *loss,
                                 lstm__sums *sums, bool *counts)
{
    lstm__training *training = l->training;
    const lstm_model *model = training->model;
    lstm__session_forward(l->session, batch);
    *counts = batch->piece_first == 0 || !is_padding(l->session, batch);
    if (!*counts)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__loss_compute(l->session, &training->loss, batch, true, loss));
    add_metrics(l->session, &training->loss, training->metrics, training->metric_count, batch, sums,
                &training->counts);
    lstm__session_backward(l->session);
    sums->loss += *loss * (double)batch->count * part;
    sums->loss_weight += (double)batch->count * part;
    if (training->gradient_norms) {
        sums->norm += sqrt(
            model->kernels->sum_squares(model->learned_count, l->session->gradients));
        sums->norms++;
    }
    return LSTM_OK;
}

/* The same at the weights with noise on them, where that is wanted. */
static lstm_status compute_noisy(loop *l, const lstm__batch *batch, double part, double *loss,
                                 lstm__sums *sums, bool *counts)
{
    const lstm__training *training = l->training;
    if (!l->weights)
        return compute_batch(l, batch, part, loss, sums, counts);
    lstm__weight_noise_add(training->model, l->weights, training->weight_noise, training->seed,
                           training->position.step);
    const lstm_status status = compute_batch(l, batch, part, loss, sums, counts);
    lstm__weight_noise_remove(training->model, l->weights);
    return status;
}

/* One update on the batch that comes next. */
static lstm_status run_batch(loop *l, double *loss)
{
    lstm__training *training = l->training;
    lstm__position *position = &training->position;
    lstm__batch batch;
    double part;
    RETURN_IF_ERROR(next_batch(l, &batch, &part));
    if (l->before.nodes > 0)
        lstm__states_save(&l->before, l->session);
    l->session->update = (uint64_t)position->step;
    lstm__sums sums = position->sums;
    bool counts = false;
    RETURN_IF_ERROR(compute_noisy(l, &batch, part, loss, &sums, &counts));
    if (!counts) {
        position->batch++;
        return LSTM_OK;
    }
    const lstm_status status = step(l, &batch, *loss);
    if (status != LSTM_OK)
        return lstm__prefix_error(status, "epoch %lld, batch %lld: loss %g",
                                  (long long)position->epoch + 1, (long long)position->batch + 1,
                                  *loss);
    position->sums = sums;
    position->batch++;
    position->step++;
    return LSTM_OK;
}

/* Compare with the best so far; keep its weights. Returns whether this epoch is better. */
static bool watch(lstm__training *training, double value)
{
    lstm__position *position = &training->position;
    const bool better = position->best_epoch == 0 ||
                        value < position->best - training->min_delta
                        /* only validation data can give NaN */
                        || (isnan(position->best) && !isnan(value));
    if (better) {
        position->best = value;
        position->best_epoch = position->epoch;
        position->waiting = 0;
        if (training->best_values)
            memcpy(training->best_values, training->model->values,
                   training->model->value_count * sizeof(real));
    } else if (++position->waiting >= training->patience && training->patience > 0) {
        position->stopped = 1;
    }
    /* Rows of the history end with this epoch; training may have begun at a later epoch than the
     * first. */
    const int64_t row = (int64_t)training->history->epochs - 1 -
                        (position->epoch - position->best_epoch);
    training->history->best = row > 0 ? (size_t)row : 0;
    return better;
}

/* Validation, history, early stopping, report and checkpoint at the end of an epoch. */
static lstm_status end_epoch(loop *l, bool *cancel)
{
    lstm__training *training = l->training;
    lstm__position *position = &training->position;
    double values[LSTM__COLUMNS] = {0};
    const size_t group = training->metric_count + 1;
    lstm__metric_values(&position->sums, &training->counts, training->metrics,
                        training->metric_count, values);
    if (l->evaluation) {
        lstm__sums sums;
        RETURN_IF_ERROR(lstm__evaluate(l->evaluation, &training->loss, training->metrics,
                                       training->metric_count, &training->validation,
                                       training->batch_size, training->validation_source, &sums,
                                       &training->validation_counts));
        lstm__metric_values(&sums, &training->validation_counts, training->metrics,
                            training->metric_count, values + group);
    }
    if (training->gradient_norms)
        values[training->history->columns - 1] = position->sums.norms > 0
                                                     ? position->sums.norm / position->sums.norms
                                                     : 0;
    RETURN_IF_ERROR(lstm__history_append(training->history, values));
    position->epoch++;
    position->batch = 0;
    position->sums = (lstm__sums){0};
    lstm__class_counts_clear(&training->counts);
    const double watched = values[l->evaluation ? group : 0];
    const bool improved = watch(training, watched);
    lstm__schedule_watch(&training->optimizer->schedule, &training->optimizer->state.plateau,
                         training->optimizer->options.profile,
                         training->optimizer->options.learning_rate, watched);
    *cancel = report(l, LSTM_PROGRESS_EPOCH, values[0], values, improved);
    return save_epoch(l, improved);
}

static bool finished(const lstm__training *training)
{
    const lstm__position *position = &training->position;
    if (training->max_steps > 0)
        return position->step >= training->max_steps || position->stopped;
    return position->epoch >= training->epochs || position->stopped;
}

static lstm_status run_epochs(loop *l)
{
    lstm__training *training = l->training;
    while (!finished(training)) {
        lstm__epoch_order(training, l->order);
        if (training->position.batch > 0 && training->states.nodes > 0)
            lstm__states_restore(&training->states, l->session);
        else
            lstm__session_reset_states(l->session);
        bool cancel = false;
        while (training->position.batch < (int64_t)l->batches && !cancel) {
            double loss = 0;
            if (training->max_steps > 0 && training->position.step >= training->max_steps)
                return LSTM_OK;
            const int64_t before = training->position.step;
            RETURN_IF_ERROR(run_batch(l, &loss));
            if (training->position.step > before)
                cancel = report(l, LSTM_PROGRESS_BATCH, loss, NULL, false);
        }
        if (!cancel)
            RETURN_IF_ERROR(end_epoch(l, &cancel));
        if (cancel && !finished(training)) {
            RETURN_IF_ERROR(save_checkpoint(l));
            return lstm__fail(
                LSTM_ERROR_CANCELLED, "training was cancelled in epoch %lld after %lld updates",
                (long long)training->position.epoch + 1, (long long)training->position.step);
        }
    }
    return LSTM_OK;
}

static size_t longest_labels(const lstm__training *training, const lstm__source *source,
                             const lstm__batch *data)
{
    return source ? (size_t)source->own.label_steps : lstm__loss_longest(&training->loss, data);
}

lstm_status lstm__training_run(lstm__training *training)
{
    lstm_status status = LSTM_OK;
    lstm_model *model = training->model;
    loop l = {.training = training, .started = seconds_now(), .saved = -1};
    l.batches = lstm__training_batches(training);
    l.taken_first = SIZE_MAX;
    const size_t room = training->bucket_batches > 0 ? 2 * training->samples : training->samples;
    const lstm__session_wish wish = {.training = true,
                                     .pieces = training->pieces.count > 0,
                                     .recompute = training->recompute,
                                     .batch = lstm__training_largest_batch(training),
                                     .steps = training->pieces.count > 0
                                                  ? lstm__pieces_longest(&training->pieces)
                                                  : training->data.steps,
                                     .seed = training->seed};
    TRY(lstm__session_create_as(&l.session, model, &wish));
    if (training->optimizer->lbfgs)
        TRY(lstm__states_create(&l.before, model, wish.batch, wish.pieces));
    for (size_t k = 0; k < model->node_count; k++)
        l.keeps_rows = l.keeps_rows ||
                       (model->nodes[k]->class->carries &&
                        model->nodes[k]->class->carries(model->nodes[k], false) > 0);
    l.session->fixed_update = true;
    TRY(lstm__loss_prepare(l.session, &training->loss,
                           longest_labels(training, training->source, &training->data)));
    if (training->validation.count > 0) {
        TRY(lstm__session_create(&l.evaluation, model, false, false,
                                 training->validation.count < training->batch_size
                                     ? training->validation.count
                                     : training->batch_size,
                                 training->validation.steps, 0));
        TRY(lstm__loss_prepare(
            l.evaluation, &training->loss,
            longest_labels(training, training->validation_source, &training->validation)));
    }
    l.order = lstm__allocate_array(model->context, room, sizeof *l.order);
    l.ends = lstm__allocate_array(model->context, wish.batch > 0 ? wish.batch : 1, sizeof *l.ends);
    if (!l.order || !l.ends) {
        status = lstm__fail_memory(room * sizeof *l.order, "the order of the samples");
        goto out;
    }
    if (training->weight_noise > 0) {
        l.weights = lstm__allocate_array(model->context, model->value_count, sizeof(real));
        if (!l.weights) {
            status = lstm__fail_memory(model->value_count * sizeof(real),
                                       "the weights without noise");
            goto out;
        }
    }
    TRY(run_epochs(&l));
    TRY(save_checkpoint(&l));
    if (training->best_values && training->restore_best && training->position.best_epoch > 0) {
        memcpy(model->values, training->best_values, model->value_count * sizeof(real));
        lstm__graph_changed(model);
    } else {
        lstm__optimizer_use_average(training->optimizer);
    }
out:
    lstm__states_destroy(&l.before, model->context);
    lstm__release(model->context, l.order);
    lstm__release(model->context, l.ends);
    lstm__release(model->context, l.weights);
    lstm__session_destroy(l.evaluation);
    lstm__session_destroy(l.session);
    return status;
}
