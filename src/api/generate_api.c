/* SPDX-License-Identifier: MIT
 * lstm_session_search, lstm_session_sample: a network with stateful layers as the one that predicts
 * the next token. Each call feeds one step; the states of the hypotheses are put in the order in
 * which these go on.
 */
#include "constants.h"
#include "cpu.h"
#include "decode.h"
#include "need.h"
#include "options.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A session as a step function. */
typedef struct network {
    lstm_session *session;
    const lstm_layer *input, *output;
    size_t classes, features;
    bool one_hot;
    bool softmax; /* the output's probabilities are taken back to logarithms */
    float *x;     /* [most][features] */
    real *states; /* [most][units of the largest layer]: room to put them in order */
} network;

static size_t largest_state(const lstm_session *session)
{
    size_t most = 0;
    for (size_t k = 0; k < session->model->node_count; k++) {
        const lstm__carried *carried = lstm__session_carried(session, session->model->nodes[k]);
        if (carried && carried->units > most)
            most = carried->units;
    }
    return most;
}

static lstm_status check_network(network *n, lstm_session *session, size_t classes)
{
    const lstm_model *model = session->model;
    if (lstm_model_input_count(model) != 1 || model->output_count != 1)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "the model has %zu inputs and %zu outputs: expected one of each",
                          lstm_model_input_count(model), model->output_count);
    n->session = session;
    n->input = lstm_model_input(model, 0);
    n->output = model->outputs[0];
    const lstm__shape in = n->input->node->shapes[0];
    const lstm__shape out = n->output->node->shapes[n->output->port];
    n->classes = (size_t)out.features;
    n->features = (size_t)in.features;
    n->one_hot = in.features != 1;
    n->softmax = lstm__loss_activation(n->output) == LSTM_ACTIVATION_SOFTMAX;
    if (classes != 0 && classes != n->classes)
        return lstm__fail(LSTM_ERROR_SHAPE, "%zu classes, but output \"%s\" has %zu features",
                          classes, n->output->node->name, n->classes);
    if (in.steps == 0 || in.steps > 1 || out.steps > 1)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "input \"%s\" must be a sequence of one or of any number of steps: tokens "
            "are given one by one",
            n->input->node->name);
    if (n->one_hot && n->features != n->classes)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "input \"%s\" has %zu features: expected 1 (token numbers) or %zu "
                          "(one-hot rows)",
                          n->input->node->name, n->features, n->classes);
    if (largest_state(session) == 0)
        return lstm__fail(LSTM_ERROR_STATE, "the model has no stateful layer: it would forget each "
                                            "token at the next one");
    return LSTM_OK;
}

static lstm_status allocate(network *n, size_t most)
{
    lstm_context *context = n->session->model->context;
    size_t x = 0;
    size_t states = 0;
    if (!lstm__mul(most, n->features, &x) || !lstm__mul(most, largest_state(n->session), &states))
        return lstm__fail_memory(SIZE_MAX, "decoding");
    n->x = lstm__allocate_array(context, x, sizeof *n->x);
    n->states = lstm__allocate_array(context, states, sizeof *n->states);
    return n->x && n->states ? LSTM_OK
                             : lstm__fail_memory(x * sizeof *n->x, "the tokens of a search");
}

static void release(network *n)
{
    lstm_context *context = n->session->model->context;
    lstm__release(context, n->x);
    lstm__release(context, n->states);
}

static void reorder(const network *n, real *values, size_t units, size_t count, const int32_t *from)
{
    for (size_t k = 0; k < count; k++)
        memcpy(n->states + k * units, values + (size_t)from[k] * units, units * sizeof *values);
    memcpy(values, n->states, count * units * sizeof *values);
}

/* Give `count` tokens to the hypotheses `from` and read the output into logits. */
static lstm_status feed(const network *n, size_t count, const int32_t *tokens, const int32_t *from,
                        float *logits)
{
    lstm_session *session = n->session;
    for (size_t k = 0; k < session->model->node_count; k++) {
        lstm__carried *carried = lstm__session_carried(session, session->model->nodes[k]);
        if (!carried || carried->batch == 0)
            continue;
        reorder(n, carried->h, carried->units, count, from);
        if (carried->c)
            reorder(n, carried->c, carried->units, count, from);
        carried->batch = count;
    }
    memset(n->x, 0, count * n->features * sizeof *n->x);
    for (size_t k = 0; k < count; k++) {
        if (tokens[k] < 0 || (n->one_hot && (size_t)tokens[k] >= n->classes))
            return lstm__fail(LSTM_ERROR_ARGUMENT, "token %d: expected 0 to %zu", (int)tokens[k],
                              n->classes - 1);
        n->x[k * n->features + (n->one_hot ? (size_t)tokens[k] : 0)] = n->one_hot
                                                                           ? 1
                                                                           : (float)tokens[k];
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = (int64_t)count,
                            .x = n->x,
                            .x_count = count * n->features};
    RETURN_IF_ERROR(lstm_session_forward(session, &data));
    RETURN_IF_ERROR(lstm_session_output(session, 0, logits, count * n->classes));
    for (size_t k = 0; n->softmax && k < count * n->classes; k++)
        logits[k] = (float)log(fmax((double)logits[k], (double)FLT_MIN));
    return LSTM_OK;
}

/* ---- Search */

static lstm_status step(void *user, int64_t number, size_t count, const int32_t *tokens,
                        const int32_t *from, float *logits)
{
    (void)number;
    return feed(user, count, tokens, from, logits);
}

lstm_status lstm_session_search(lstm_session *session, const lstm_beam_options *options,
                                int32_t *tokens, size_t count, int32_t *lengths, double *scores)
{
    lstm_status status = LSTM_OK;
    lstm_beam_options own;
    network n = {0};
    NEED(session);
    NEED(options);
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_beam_options"));
    RETURN_IF_ERROR(check_network(&n, session, own.classes > 0 ? (size_t)own.classes : 0));
    own.struct_size = sizeof own;
    own.classes = (int64_t)n.classes;
    const int64_t width = own.beam_width == 0 ? 4 : own.beam_width;
    if (width > 0 && (size_t)width > session->max_batch)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "beam_width is %lld, the session was planned for %zu samples",
                          (long long)width, session->max_batch);
    for (size_t k = 0; k < session->model->node_count; k++) {
        const lstm__carried *carried = lstm__session_carried(session, session->model->nodes[k]);
        if (carried && carried->batch > 1)
            return lstm__fail(LSTM_ERROR_SHAPE,
                              "layer \"%s\" carries the states of %zu samples: a search starts "
                              "from one (lstm_session_set_states or lstm_session_reset_states)",
                              session->model->nodes[k]->name, carried->batch);
    }
    TRY(allocate(&n, session->max_batch));
    status = lstm_beam_search(session->model->context, &own, step, &n, tokens, count, lengths,
                              scores);
out:
    release(&n);
    return status;
}

/* ---- Sampling */

lstm_status lstm_session_sample(lstm_session *session, lstm_sampler *sampler, const int32_t *prompt,
                                size_t prompt_count, int32_t end_token, int32_t *tokens,
                                size_t count, size_t *length)
{
    static const int32_t first = 0;
    lstm_status status = LSTM_OK;
    network n = {0};
    float *logits = NULL;
    size_t drawn = 0;
    NEED(session);
    NEED(sampler);
    NEED(prompt);
    NEED(length);
    if (count > 0)
        NEED(tokens);
    if (prompt_count < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the prompt is empty: expected at least one token");
    RETURN_IF_ERROR(check_network(&n, session, lstm__sampler_classes(sampler)));
    TRY(allocate(&n, session->max_batch));
    logits = lstm__allocate_array(session->model->context, n.classes, sizeof *logits);
    if (!logits) {
        status = lstm__fail_memory(n.classes * sizeof *logits, "the logits of a token");
        goto out;
    }
    for (size_t k = 0; k < prompt_count; k++)
        TRY(feed(&n, 1, &prompt[k], &first, logits));
    while (drawn < count) {
        TRY(lstm_sampler_draw(sampler, logits, n.classes, &tokens[drawn]));
        drawn++;
        if (tokens[drawn - 1] == end_token || drawn == count)
            break;
        TRY(feed(&n, 1, &tokens[drawn - 1], &first, logits));
    }
    for (size_t k = drawn; k < count; k++)
        tokens[k] = -1;
    *length = drawn;
out:
    lstm__release(session->model->context, logits);
    release(&n);
    return status;
}
