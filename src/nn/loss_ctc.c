/* SPDX-License-Identifier: MIT
 * CTC as the loss of a model with one output, a sequence of numbers for each class. The steps that
 * count are those of the output's mask. A softmax layer at the output is gone through, as by the
 * cross-entropies.
 *
 * How the losses of the samples become one number is lstm__loss.reduction; mean_per_label, PyTorch's
 * mean, first divides each by the number of its labels.
 */
#include "loss_ctc.h"
#include "ctc_greedy.h"

#include <math.h>
#include <string.h>

bool lstm__loss_takes_labels(const lstm__loss *loss)
{
    return loss->kind == LSTM_LOSS_CTC;
}

static size_t classes_of(const lstm_model *model)
{
    const lstm_layer *layer = model->outputs[0];
    return (size_t)layer->node->shapes[layer->port].features;
}

size_t lstm__ctc_blank(const lstm__loss *loss, size_t classes)
{
    return loss->blank >= 0 ? (size_t)loss->blank : classes - (size_t) - (int64_t)loss->blank;
}

lstm_status lstm__ctc_check_output(const lstm_model *model, const lstm__loss *loss)
{
    const lstm_layer *layer = model->outputs[0];
    const int64_t classes = (int64_t)classes_of(model);
    if (model->output_count != 1)
        return lstm__fail(LSTM_ERROR_SHAPE, "CTC needs a model with one output, this one has %zu",
                          model->output_count);
    if (layer->node->shapes[layer->port].steps == 0)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "output \"%s\" is a vector: CTC needs a sequence (return_sequences)",
                          layer->node->name);
    if (loss->blank >= classes || loss->blank < -classes)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "ctc_blank is %d: expected 0 to %lld, or -%lld to -1 from the end",
                          (int)loss->blank, (long long)classes - 1, (long long)classes);
    return LSTM_OK;
}

static double weight_of(const lstm__batch *batch, size_t b)
{
    return batch->weights ? (double)batch->weights[lstm__batch_sample(batch, b)] : 1;
}

lstm_status lstm__ctc_check_batch(const lstm_model *model, const lstm__loss *loss,
                                  const lstm__batch *batch)
{
    const size_t classes = classes_of(model);
    if (batch->weights && batch->weights_per_step)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "a weight for each step is given, but CTC weighs whole samples: give %zu",
                          batch->samples);
    lstm__batch one = *batch;
    one.order = NULL;
    one.count = 1;
    for (size_t b = 0; b < batch->count; b++) {
        one.first = lstm__batch_sample(batch, b);
        if (weight_of(batch, b) > 0)
            RETURN_IF_ERROR(lstm__ctc_check_labels(&one, classes, lstm__ctc_blank(loss, classes)));
    }
    return LSTM_OK;
}

/* ---- Memory */

size_t lstm__loss_longest(const lstm__loss *loss, const lstm__batch *batch)
{
    size_t longest = 0;
    if (!lstm__loss_takes_labels(loss))
        return 0;
    for (size_t b = 0; b < batch->count; b++) {
        const size_t sample = lstm__batch_sample(batch, b);
        const size_t count = weight_of(batch, b) > 0 ? lstm__ctc_label_count(batch, sample) : 0;
        longest = count > longest ? count : longest;
    }
    return longest;
}

static struct lstm__labelling *lay_out(struct lstm__labelling *plan, lstm__arena *arena)
{
    struct lstm__labelling *l = lstm__carve(arena, 1, sizeof *l);
    if (l)
        *l = *plan;
    else
        l = plan;
    l->decoded = lstm__carve(arena, l->ctc.steps, sizeof *l->decoded);
    l->distances = lstm__carve(arena, l->longest + 1, sizeof *l->distances);
    lstm__ctc_plan(&l->ctc, arena);
    return l;
}

lstm_status lstm__loss_prepare(lstm_session *session, const lstm__loss *loss, size_t labels)
{
    const lstm_model *model = session->model;
    const lstm_layer *layer = model->outputs[0];
    if (!lstm__loss_takes_labels(loss))
        return LSTM_OK;
    const size_t steps = lstm__session_max_steps(session, layer->node->shapes[layer->port]);
    struct lstm__labelling plan = {.longest = labels,
                                   .ctc = {.context = model->context,
                                           .kernels = model->kernels,
                                           .batch = session->max_batch,
                                           .steps = steps,
                                           .classes = classes_of(model),
                                           .labels = labels < steps ? labels : steps,
                                           .gradients = session->training}};
    const struct lstm__labelling kept = plan;
    lstm__arena arena = {NULL, 0, labels == SIZE_MAX};
    lay_out(&plan, &arena);
    unsigned char *block = arena.overflow ? NULL : lstm__allocate(model->context, arena.used);
    if (!block)
        return lstm__fail_memory(arena.overflow ? SIZE_MAX : arena.used, "CTC");
    lstm__release(model->context, session->labelling);
    session->bytes += arena.used;
    arena = (lstm__arena){block, 0, false};
    plan = kept;
    session->labelling = lay_out(&plan, &arena);
    return LSTM_OK;
}

/* ---- The loss */

/* By what each sample's loss is multiplied, in ctc->scales. */
static void set_scales(const lstm__ctc *ctc, const lstm__loss *loss, const lstm__batch *batch)
{
    double divisor = loss->reduction == LSTM_REDUCTION_SUM             ? 1
                     : loss->reduction == LSTM_REDUCTION_WEIGHTED_MEAN ? 0
                                                                       : (double)batch->count;
    for (size_t b = 0; loss->reduction == LSTM_REDUCTION_WEIGHTED_MEAN && b < batch->count; b++)
        divisor += weight_of(batch, b);
    for (size_t b = 0; b < batch->count; b++) {
        const double weight = weight_of(batch, b);
        const size_t labels = weight > 0
                                  ? lstm__ctc_label_count(batch, lstm__batch_sample(batch, b))
                                  : 0;
        const bool divide = loss->reduction == LSTM_REDUCTION_MEAN_PER_LABEL && labels > 1;
        ctc->scales[b] = weight > 0 ? weight / divisor / (divide ? (double)labels : 1) : 0;
    }
}

static lstm_status check_plan(const lstm_session *session, const lstm__loss *loss,
                              const lstm__batch *batch)
{
    const size_t longest = lstm__loss_longest(loss, batch);
    if (!session->labelling)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the session was planned without labels: create it with "
                          "lstm_session_options.labels = %zu or more for CTC",
                          longest);
    if (longest > session->labelling->longest)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "a sample has %zu labels, the session was planned for %zu "
                          "(lstm_session_options.labels)",
                          longest, session->labelling->longest);
    return LSTM_OK;
}

static lstm__ctc_call call_of(lstm_session *session, const lstm__loss *loss,
                              const lstm__batch *batch)
{
    const lstm_layer *layer = session->model->outputs[0];
    const lstm__port *port = lstm__session_port(session, layer);
    const lstm__shape shape = layer->node->shapes[layer->port];
    const size_t classes = (size_t)shape.features;
    const bool through = !loss->log_probabilities && !loss->from_logits &&
                         lstm__loss_activation(layer) == LSTM_ACTIVATION_SOFTMAX;
    return (lstm__ctc_call){
        .numbers = {.x = port->value.data,
                    .step_stride = batch->count * port->value.stride,
                    .sample_stride = port->value.stride,
                    .d_step_stride = batch->count * classes,
                    .d_sample_stride = classes},
        .batch = batch,
        .steps = lstm__session_steps(session, shape),
        .mask = port->mask,
        .source = loss->log_probabilities ? LSTM__CTC_LOG_PROBABILITIES
                  : through               ? LSTM__CTC_SOFTMAX
                                          : LSTM__CTC_LOGITS,
        .blank = lstm__ctc_blank(loss, classes),
        .zero_infinity = loss->zero_infinity,
    };
}

lstm_status lstm__ctc_loss(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch,
                           bool gradient, double *value)
{
    RETURN_IF_ERROR(check_plan(session, loss, batch));
    const lstm__ctc *ctc = &session->labelling->ctc;
    lstm__port *port = lstm__session_port(session, session->model->outputs[0]);
    lstm__ctc_call call = call_of(session, loss, batch);
    set_scales(ctc, loss, batch);
    call.numbers.d = gradient ? port->gradient.data : NULL;
    lstm__ctc_run(ctc, &call);
    for (size_t b = 0; b < batch->count; b++)
        if (ctc->scales[b] > 0)
            *value += ctc->scales[b] * ctc->losses[b];
    if (call.numbers.d) {
        port->written = true;
        port->at_logits = call.source == LSTM__CTC_SOFTMAX;
    }
    return LSTM_OK;
}

void lstm__ctc_metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss,
                          const lstm__batch *batch, double *sum, double *weight)
{
    const struct lstm__labelling *l = session->labelling;
    const lstm__ctc_call call = call_of(session, loss, batch);
    for (size_t b = 0; b < batch->count; b++) {
        const size_t sample = lstm__batch_sample(batch, b);
        if (weight_of(batch, b) == 0)
            continue;
        const size_t count = lstm__ctc_label_count(batch, sample);
        const size_t found = lstm__ctc_greedy(&call, l->ctc.classes, b, l->decoded, NULL);
        const size_t distance = lstm__label_distance(
            l->decoded, found, batch->labels + sample * batch->label_steps, count, l->distances);
        *sum += metric == LSTM_METRIC_ACCURACY ? distance == 0 : (double)distance;
        *weight += metric == LSTM_METRIC_ACCURACY ? 1 : (double)count;
    }
}

/* ---- Labels that do not fit */

static lstm_status fail_alignment(lstm_status status, const lstm__batch *batch, size_t sample,
                                  size_t steps)
{
    const int32_t *labels = batch->labels + sample * batch->label_steps;
    const size_t count = lstm__ctc_label_count(batch, sample);
    const size_t needed = lstm__ctc_steps_needed(labels, count);
    size_t first = count; /* the first label there is no step for */
    while (first > 0 && lstm__ctc_steps_needed(labels, first) > steps)
        first--;
    return lstm__fail(status,
                      "labels of sample %zu: %zu labels, %zu of them equal to the one before, need "
                      "%zu steps, the output has %zu: there is no alignment from position %zu "
                      "(label %d) on; ctc_zero_infinity leaves such samples out",
                      sample, count, needed - count, needed, steps, first,
                      first < count ? (int)labels[first] : 0);
}

lstm_status lstm__loss_check_alignment(const lstm_model *model, const lstm__loss *loss,
                                       const lstm__batch *batch)
{
    if (!lstm__loss_takes_labels(loss) || loss->zero_infinity)
        return LSTM_OK;
    const lstm_layer *layer = model->outputs[0];
    const int64_t own = layer->node->shapes[layer->port].steps;
    const size_t steps = own < 0 ? batch->steps : (size_t)own;
    for (size_t b = 0; b < batch->count; b++) {
        const size_t sample = lstm__batch_sample(batch, b);
        if (weight_of(batch, b) > 0 &&
            lstm__ctc_steps_needed(batch->labels + sample * batch->label_steps,
                                   lstm__ctc_label_count(batch, sample)) > steps)
            return fail_alignment(LSTM_ERROR_ARGUMENT, batch, sample, steps);
    }
    return LSTM_OK;
}

lstm_status lstm__loss_explain(const lstm_session *session, const lstm__loss *loss,
                               const lstm__batch *batch)
{
    if (!lstm__loss_takes_labels(loss))
        return LSTM_OK;
    const lstm__ctc *ctc = &session->labelling->ctc;
    const lstm_layer *layer = session->model->outputs[0];
    const size_t steps = lstm__session_steps(session, layer->node->shapes[layer->port]);
    const unsigned char *mask = session->ports[layer->node->port_first + (size_t)layer->port].mask;
    for (size_t b = 0; b < batch->count; b++) {
        const size_t sample = lstm__batch_sample(batch, b);
        size_t valid = 0;
        for (size_t t = 0; t < steps; t++)
            valid += !mask || mask[t * batch->count + b];
        if (ctc->scales[b] > 0 && isinf(ctc->losses[b]) &&
            lstm__ctc_steps_needed(batch->labels + sample * batch->label_steps,
                                   lstm__ctc_label_count(batch, sample)) > valid)
            return fail_alignment(LSTM_ERROR_NUMERIC, batch, sample, valid);
    }
    return LSTM_OK;
}
