/* SPDX-License-Identifier: MIT
 * lstm_session and lstm_optimizer: argument checks around nn/session.c, nn/losses.c and
 * nn/optimizer.c.
 */
#include "cpu.h"
#include "data.h"
#include "loss_ctc.h"
#include "need.h"
#include "optimizer.h"
#include "options.h"

#include <math.h>

/* ---- Session */

lstm_status lstm_session_create(lstm_session **out, lstm_model *model,
                                const lstm_session_options *options)
{
    lstm_session_options own;
    NEED(out);
    *out = NULL;
    NEED(model);
    NEED_BUILT(model);
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_session_options"));
    NEED_ZERO(own.reserved);
    NEED_ZERO(own.reserved_2);
    RETURN_IF_ERROR(lstm__read_flag(&own.training, LSTM_NO, "training"));
    RETURN_IF_ERROR(lstm__read_flag(&own.traces, LSTM_NO, "traces"));
    RETURN_IF_ERROR(lstm__read_flag(&own.recompute, LSTM_NO, "recompute"));
    if (own.batch < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "batch is %lld: expected at least 1",
                          (long long)own.batch);
    if (own.steps < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "steps is %lld: expected 0 or more",
                          (long long)own.steps);
    for (size_t k = 0; own.steps == 0 && k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input && model->nodes[k]->shapes[0].steps < 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "steps is 0, but input \"%s\" takes any number of steps: give the "
                              "largest of a call",
                              model->nodes[k]->name);
    if (own.labels < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "labels is %lld: expected 0 or more",
                          (long long)own.labels);
    const bool training = own.training == LSTM_YES;
    const lstm__loss ctc = {.kind = LSTM_LOSS_CTC};
    if (own.labels > 0)
        RETURN_IF_ERROR(lstm__ctc_check_output(model, &ctc));
    RETURN_IF_ERROR(
        lstm__session_create_as(out, model,
                                &(lstm__session_wish){.training = training,
                                                      .input_gradients = training,
                                                      .traces = own.traces == LSTM_YES,
                                                      .recompute = own.recompute == LSTM_YES,
                                                      .batch = (size_t)own.batch,
                                                      .steps = (size_t)own.steps,
                                                      .seed = own.seed}));
    const lstm_status status = own.labels > 0 ? lstm__loss_prepare(*out, &ctc, (size_t)own.labels)
                                              : LSTM_OK;
    if (status != LSTM_OK) {
        lstm__session_destroy(*out);
        *out = NULL;
    }
    return status;
}

void lstm_session_destroy(lstm_session *session)
{
    lstm__session_destroy(session);
}

size_t lstm_session_memory_size(const lstm_session *session)
{
    return session ? session->bytes : 0;
}

static lstm_status check_plan(const lstm_session *session, const lstm__batch *batch)
{
    if (batch->count > session->max_batch)
        return lstm__fail(LSTM_ERROR_SHAPE, "%zu samples given, the session was planned for %zu",
                          batch->count, session->max_batch);
    if (batch->steps > session->max_steps)
        return lstm__fail(LSTM_ERROR_SHAPE, "%zu steps given, the session was planned for %zu",
                          batch->steps, session->max_steps);
    return LSTM_OK;
}

/* Carried states belong to as many samples as the call before had. */
static lstm_status check_carried(const lstm_session *session, size_t samples)
{
    for (size_t k = 0; k < session->model->node_count; k++) {
        const lstm__carried *carried = lstm__session_carried(session, session->model->nodes[k]);
        if (carried && carried->batch != 0 && carried->batch != samples)
            return lstm__fail(
                LSTM_ERROR_SHAPE,
                "layer \"%s\" carries the states of %zu samples, %zu given: give as many, or "
                "call lstm_session_reset_states first",
                session->model->nodes[k]->name, carried->batch, samples);
    }
    return LSTM_OK;
}

lstm_status lstm_session_reset_states(lstm_session *session)
{
    NEED(session);
    lstm__session_reset_states(session);
    return LSTM_OK;
}

/* The carried states of a layer. */
static lstm_status find_carried(const lstm_session *session, const lstm_layer *layer,
                                lstm__carried **carried)
{
    if (layer->node->model != session->model)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\" belongs to another model",
                          layer->node->name);
    *carried = lstm__session_carried(session, layer->node);
    if (!*carried)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "layer \"%s\" (%s) is not stateful: it carries no states",
                          layer->node->name, layer->node->class->type);
    return LSTM_OK;
}

lstm_status lstm_session_get_states(const lstm_session *session, const lstm_layer *layer, float *h,
                                    float *c, size_t count)
{
    lstm__carried *carried = NULL;
    NEED(session);
    NEED(layer);
    RETURN_IF_ERROR(find_carried(session, layer, &carried));
    if (carried->batch == 0)
        return lstm__fail(LSTM_ERROR_STATE,
                          "layer \"%s\" carries no states yet: run lstm_session_forward",
                          layer->node->name);
    if (count != carried->batch * carried->units)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "layer \"%s\": room for %zu values, its state has %zu (%zu samples of %zu units)",
            layer->node->name, count, carried->batch * carried->units, carried->batch,
            carried->units);
    const size_t cells = carried->c ? carried->batch * carried->cell_units : count;
    for (size_t k = 0; h && k < count; k++)
        h[k] = (float)carried->h[k];
    for (size_t k = 0; c && k < cells; k++)
        c[k] = carried->c ? (float)carried->c[k] : 0;
    return LSTM_OK;
}

lstm_status lstm_session_set_states(lstm_session *session, const lstm_layer *layer, const float *h,
                                    const float *c, size_t count)
{
    lstm__carried *carried = NULL;
    NEED(session);
    NEED(layer);
    NEED(h);
    RETURN_IF_ERROR(find_carried(session, layer, &carried));
    if (carried->c)
        NEED(c);
    if (count == 0 || count % carried->units != 0 || count / carried->units > session->max_batch)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "layer \"%s\": %zu values given: expected %zu for each of 1 to %zu samples",
            layer->node->name, count, carried->units, session->max_batch);
    carried->batch = count / carried->units;
    for (size_t k = 0; k < count; k++)
        carried->h[k] = (real)h[k];
    for (size_t k = 0; carried->c && k < carried->batch * carried->cell_units; k++)
        carried->c[k] = (real)c[k];
    return LSTM_OK;
}

lstm_status lstm_session_forward(lstm_session *session, const lstm_data *data)
{
    lstm__data read;
    NEED(session);
    RETURN_IF_ERROR(lstm__data_read(&read, session->model, data, NULL));
    RETURN_IF_ERROR(check_plan(session, &read.batch));
    RETURN_IF_ERROR(check_carried(session, read.batch.count));
    RETURN_IF_ERROR(lstm__context_check(session->model->context));
    const uint64_t mode = lstm__denormals_flush();
    lstm__session_order(session, &read.batch);
    lstm__session_forward(session, &read.batch);
    lstm__denormals_restore(mode);
    return LSTM_OK;
}

static lstm_status need_forward(const lstm_session *session)
{
    if (!session->forward_done)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the session has not run forward yet: call lstm_session_forward");
    return LSTM_OK;
}

static lstm_status need_training(const lstm_session *session)
{
    if (!session->training)
        return lstm__fail(LSTM_ERROR_STATE, "the session was not created with training = LSTM_YES");
    return LSTM_OK;
}

/* Compare a count with what a shape holds in the latest call. */
static lstm_status check_values(const lstm_session *session, const lstm_layer *layer, size_t count)
{
    const lstm__shape shape = layer->node->shapes[layer->port];
    const size_t expected = lstm__session_rows(session, shape) * (size_t)shape.features;
    if (count != expected)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "layer \"%s\": %zu values given, the latest call has %zu",
                          layer->node->name, count, expected);
    return LSTM_OK;
}

static lstm_status find_output(const lstm_session *session, size_t index, const lstm_layer **layer)
{
    if (index >= session->model->output_count)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "output %zu: the model has %zu", index,
                          session->model->output_count);
    *layer = session->model->outputs[index];
    return LSTM_OK;
}

lstm_status lstm_session_output(const lstm_session *session, size_t index, float *values,
                                size_t count)
{
    const lstm_layer *layer = NULL;
    NEED(session);
    NEED(values);
    RETURN_IF_ERROR(need_forward(session));
    RETURN_IF_ERROR(find_output(session, index, &layer));
    RETURN_IF_ERROR(check_values(session, layer, count));
    const size_t port = layer->node->port_first + (size_t)layer->port;
    lstm__session_export(session, layer->node->shapes[layer->port], session->ports[port].value,
                         session->layout, values);
    return LSTM_OK;
}

lstm_status lstm_session_loss(lstm_session *session, const lstm_loss_options *options,
                              const lstm_data *data, double *loss)
{
    lstm__loss own;
    lstm__data read;
    double value = 0;
    NEED(session);
    RETURN_IF_ERROR(need_forward(session));
    RETURN_IF_ERROR(lstm__loss_read(&own, options));
    RETURN_IF_ERROR(lstm__data_read(&read, session->model, data, &own));
    if (read.batch.count != session->batch || read.batch.steps != session->steps)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "data has %zu samples and %zu steps, the forward pass had %zu and %zu",
                          read.batch.count, read.batch.steps, session->batch, session->steps);
    if (session->ordered)
        read.batch.order = session->order;
    const uint64_t mode = lstm__denormals_flush();
    lstm__session_clear_gradients(session);
    const lstm_status status = lstm__loss_compute(session, &own, &read.batch, session->training,
                                                  &value);
    lstm__denormals_restore(mode);
    if (status == LSTM_OK && loss)
        *loss = value;
    return status;
}

lstm_status lstm_session_set_output_gradient(lstm_session *session, size_t index,
                                             const float *values, size_t count)
{
    const lstm_layer *layer = NULL;
    NEED(session);
    NEED(values);
    RETURN_IF_ERROR(need_forward(session));
    RETURN_IF_ERROR(need_training(session));
    RETURN_IF_ERROR(find_output(session, index, &layer));
    RETURN_IF_ERROR(check_values(session, layer, count));
    if (session->backward_done)
        lstm__session_clear_gradients(session);
    lstm__port *port = lstm__session_port(session, layer);
    lstm__session_import(session, layer->node->shapes[layer->port], port->gradient, session->layout,
                         values);
    port->written = true;
    port->at_logits = false;
    session->gradient_given = true;
    return LSTM_OK;
}

lstm_status lstm_session_backward(lstm_session *session)
{
    NEED(session);
    RETURN_IF_ERROR(need_training(session));
    RETURN_IF_ERROR(need_forward(session));
    if (session->tape_used)
        return lstm__fail(LSTM_ERROR_STATE,
                          "backward uses up the tape: run lstm_session_forward again first");
    if (!session->gradient_given)
        return lstm__fail(LSTM_ERROR_STATE, "no gradient at the outputs: call lstm_session_loss or "
                                            "lstm_session_set_output_gradient");
    const uint64_t mode = lstm__denormals_flush();
    lstm__session_backward(session);
    lstm__denormals_restore(mode);
    return LSTM_OK;
}

static lstm_status need_backward(const lstm_session *session)
{
    RETURN_IF_ERROR(need_training(session));
    if (!session->backward_done)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the session has no gradients yet: call lstm_session_backward");
    return LSTM_OK;
}

lstm_status lstm_session_parameter_gradient(const lstm_session *session, size_t index,
                                            float *values, size_t count)
{
    NEED(session);
    NEED(values);
    RETURN_IF_ERROR(need_backward(session));
    const lstm_model *model = session->model;
    if (index >= model->parameter_count)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "parameter %zu: the model has %zu", index,
                          model->parameter_count);
    const lstm__parameter *parameter = &model->parameters[index];
    if (count != lstm__parameter_size(parameter))
        return lstm__fail(LSTM_ERROR_SHAPE, "parameter \"%s\": room for %zu values, it has %zu",
                          parameter->name, count, lstm__parameter_size(parameter));
    lstm__parameter_read(parameter, session->gradients, values);
    return LSTM_OK;
}

lstm_status lstm_session_input_gradient(const lstm_session *session, size_t index, float *values,
                                        size_t count)
{
    NEED(session);
    NEED(values);
    RETURN_IF_ERROR(need_backward(session));
    const lstm_layer *layer = lstm_model_input(session->model, index);
    if (!layer)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "input %zu: the model has %zu", index,
                          lstm_model_input_count(session->model));
    RETURN_IF_ERROR(check_values(session, layer, count));
    const lstm__port *port = &session->ports[layer->node->port_first];
    const lstm__view none = {NULL, 0};
    lstm__session_export(session, layer->node->shapes[0], port->written ? port->gradient : none,
                         session->layout, values);
    return LSTM_OK;
}

/* ---- Optimizer */

lstm_status lstm_optimizer_create(lstm_optimizer **out, lstm_model *model,
                                  const lstm_optimizer_options *options)
{
    NEED(out);
    *out = NULL;
    NEED(model);
    NEED_BUILT(model);
    return lstm__optimizer_create(out, model, options);
}

void lstm_optimizer_destroy(lstm_optimizer *optimizer)
{
    lstm__optimizer_destroy(optimizer);
}

int64_t lstm_optimizer_steps(const lstm_optimizer *optimizer)
{
    return optimizer ? optimizer->steps : 0;
}

double lstm_optimizer_learning_rate(const lstm_optimizer *optimizer)
{
    return optimizer ? lstm__optimizer_rate(optimizer) : 0;
}

lstm_status lstm_optimizer_set_learning_rate(lstm_optimizer *optimizer, double rate)
{
    NEED(optimizer);
    if (!(rate >= 0) || !isfinite(rate))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "learning rate is %g: expected a finite number of at least 0", rate);
    optimizer->options.learning_rate = rate;
    return LSTM_OK;
}

lstm_status lstm_optimizer_watch(lstm_optimizer *optimizer, double loss)
{
    NEED(optimizer);
    if (isnan(loss))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the watched loss is NaN");
    lstm__schedule_watch(&optimizer->schedule, &optimizer->state.plateau,
                         optimizer->options.profile, optimizer->options.learning_rate, loss);
    return LSTM_OK;
}

lstm_status lstm_optimizer_use_average(lstm_optimizer *optimizer)
{
    NEED(optimizer);
    if (!optimizer->average)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the optimizer keeps no averages: create it with use_ema = LSTM_YES");
    if (optimizer->steps == 0)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the optimizer has not made a step yet: there are no averages");
    lstm__optimizer_use_average(optimizer);
    return LSTM_OK;
}

lstm_status lstm_optimizer_step(lstm_optimizer *optimizer, lstm_session *session)
{
    NEED(optimizer);
    NEED(session);
    if (session->model != optimizer->model)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the session and the optimizer belong to different models");
    RETURN_IF_ERROR(need_backward(session));
    const uint64_t mode = lstm__denormals_flush();
    const lstm_status status = lstm__optimizer_step(optimizer, session);
    lstm__denormals_restore(mode);
    return status;
}
