/* SPDX-License-Identifier: MIT
 * Attention (Luong et al. 2015) and AdditiveAttention (Bahdanau et al. 2015), as in Keras:
 *
 *     dot       score = u sum_d(q_d k_d)
 *     concat    score = w sum_d(tanh(u (q_d + k_d)))
 *     additive  score = sum_d(w_d tanh(q_d + k_d))
 *     weights = softmax over the keys    y = sum over the keys of weights * value
 * u is `scale` (1 without use_scale), w is concat_score_weight, w_d is additive attention's
 * `scale`. The hyperbolic tangents of all pairs are made anew in backward instead of being kept.
 */
#include "attention.h"
#include "constants.h"
#include "options.h"

#include <stddef.h>
#include <stdio.h>

typedef struct buffers {
    real *weights; /* [batch][queries][keys] */
    real *scores;  /* [queries][keys]: gradient at the scores of one sample */
    real *raw;     /* the same: scores without the scale */
    real *sums;    /* [3][D]: q + k of one pair, its tanh, and a gradient */
} buffers;

#define FIELD(member) offsetof(lstm_attention_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("use_scale", FLAG, FIELD(use_scale)),
    LSTM__OPTION_OF("score_mode", FIELD(score_mode), LSTM_NAMES_SCORE),
    LSTM__OPTION("use_causal_mask", FLAG, FIELD(causal)),
    LSTM__ALIAS("causal", FLAG, FIELD(causal)),
    LSTM__FIXED("dropout", NULL),
    LSTM__IGNORED("seed"),
    LSTM__OPTIONS_END,
};

static const lstm__option additive_options[] = {
    LSTM__OPTION("use_scale", FLAG, FIELD(use_scale)),
    LSTM__OPTION("use_causal_mask", FLAG, FIELD(causal)),
    LSTM__ALIAS("causal", FLAG, FIELD(causal)),
    LSTM__FIXED("dropout", NULL),
    LSTM__IGNORED("seed"),
    LSTM__OPTIONS_END,
};

static const lstm_attention_options *options_of(const lstm__node *node)
{
    return node->options;
}
static bool is_additive(const lstm__node *node)
{
    return node->class == &lstm__class_additive_attention;
}
static bool is_dot(const lstm__node *node)
{
    return !is_additive(node) && options_of(node)->score_mode == LSTM_SCORE_DOT;
}
static bool has_scale(const lstm__node *node)
{
    return options_of(node)->use_scale == LSTM_YES;
}
static size_t depth_of(const lstm__node *node)
{
    return (size_t)lstm__input_shape(node, LSTM__QUERY).features;
}

static lstm_status define(lstm__node *node)
{
    lstm_attention_options *own = node->options;
    const int key = lstm__attention_key(node);
    RETURN_IF_ERROR(
        lstm__read_flag(&own->use_scale, is_additive(node) ? LSTM_YES : LSTM_NO, "use_scale"));
    RETURN_IF_ERROR(lstm__read_flag(&own->causal, LSTM_NO, "causal"));
    if (is_additive(node) && own->score_mode != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "score_mode is %d: additive attention has none",
                          (int)own->score_mode);
    if (!is_additive(node))
        RETURN_IF_ERROR(
            lstm__read_constant(&own->score_mode, LSTM_SCORE_DOT, LSTM_NAMES_SCORE, "score_mode"));
    RETURN_IF_ERROR(lstm__attention_define(node));
    if (lstm__input_shape(node, LSTM__QUERY).features != lstm__input_shape(node, key).features)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "query (layer \"%s\") has %lld features, key (layer \"%s\") %lld: expected as many",
            node->inputs[LSTM__QUERY]->node->name,
            (long long)lstm__input_shape(node, LSTM__QUERY).features, node->inputs[key]->node->name,
            (long long)lstm__input_shape(node, key).features);
    node->shapes[0] = (lstm__shape){lstm__input_shape(node, LSTM__QUERY).steps,
                                    lstm__input_shape(node, LSTM__VALUE).features};
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    if (is_additive(node))
        return has_scale(node) ? lstm__declare_vector(node, "scale", "scale", depth_of(node),
                                                      LSTM_INITIALIZER_GLOROT_UNIFORM)
                               : LSTM_OK;
    if (has_scale(node))
        RETURN_IF_ERROR(lstm__declare_vector(node, "scale", "scale", 1, LSTM_INITIALIZER_ONES));
    return is_dot(node) ? LSTM_OK
                        : lstm__declare_vector(node, "concat_score_weight", "concat_score_weight",
                                               1, LSTM_INITIALIZER_ONES);
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t queries = lstm__session_max_steps(session, lstm__input_shape(node, LSTM__QUERY));
    const size_t keys = lstm__session_max_steps(session, lstm__input_shape(node, LSTM__VALUE));
    size_t rows = 0;
    if (!lstm__mul(session->max_batch, queries, &rows))
        arena->overflow = true;
    b->weights = lstm__carve_matrix(arena, rows, keys);
    b->scores = lstm__carve_matrix(arena, session->training ? queries : 0, keys);
    b->raw = lstm__carve_matrix(arena, session->training ? queries : 0, keys);
    b->sums = lstm__carve_matrix(arena, 3, depth_of(node));
    lstm__plan_port(node, session, 0, arena);
}

/* u, and w as a vector (`step` 1) or one number (`step` 0). */
typedef struct factors {
    real scale;
    const real *weight;
    size_t step;
} factors;

static factors factors_of(const lstm__node *node)
{
    static const real one = 1;
    if (is_additive(node))
        return (factors){1, has_scale(node) ? lstm__values_of(node, 0) : &one, has_scale(node)};
    return (factors){has_scale(node) ? lstm__values_of(node, 0)[0] : 1,
                     is_dot(node) ? &one : lstm__values_of(node, has_scale(node)), 0};
}

/* sums[0] = q + k, sums[1] = tanh(u (q + k)) */
static void pair(const lstm__attention_call *call, size_t depth, real scale, const real *q,
                 const real *k, real *sums)
{
    for (size_t d = 0; d < depth; d++) {
        sums[d] = q[d] + k[d];
        sums[depth + d] = scale * sums[d];
    }
    call->kernels->activation_forward(LSTM_ACTIVATION_TANH, depth, sums + depth, sums + depth);
}

static void score_sample(const lstm__node *node, const lstm__attention_call *call, const buffers *b,
                         lstm__view q, lstm__view k, real *scores)
{
    const size_t depth = depth_of(node);
    const factors f = factors_of(node);
    if (is_dot(node)) {
        lstm__gemm(0, 1, call->queries, call->keys, depth, q.data, q.stride, k.data, k.stride, 0,
                   scores, call->keys);
        if (has_scale(node))
            call->kernels->scale(call->queries * call->keys, f.scale, scores);
        return;
    }
    for (size_t t = 0; t < call->queries; t++)
        for (size_t s = 0; s < call->keys; s++) {
            real sum = 0;
            pair(call, depth, f.scale, q.data + t * q.stride, k.data + s * k.stride, b->sums);
            for (size_t d = 0; d < depth; d++)
                sum += f.weight[d * f.step] * b->sums[depth + d];
            scores[t * call->keys + s] = sum;
        }
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm__attention_call call = lstm__attention_start(node, session,
                                                            options_of(node)->causal == LSTM_YES);
    const lstm__view query = lstm__input_value(node, session, LSTM__QUERY);
    const lstm__view value = lstm__input_value(node, session, LSTM__VALUE);
    const lstm__view key = lstm__input_value(node, session, lstm__attention_key(node));
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    for (size_t s = 0; s < call.batch; s++) {
        real *weights = b->weights + s * call.queries * call.keys;
        const lstm__view v = lstm__sample(value, call.batch, s, 0);
        const lstm__view to = lstm__sample(y, call.batch, s, 0);
        score_sample(node, &call, b, lstm__sample(query, call.batch, s, 0),
                     lstm__sample(key, call.batch, s, 0), weights);
        lstm__attention_softmax(&call, s, weights);
        lstm__gemm(0, 0, call.queries, (size_t)node->shapes[0].features, call.keys, weights,
                   call.keys, v.data, v.stride, 0, to.data, to.stride);
    }
}

/* ---- Back */

typedef struct sample_gradients {
    lstm__view q, k, dq, dk; /* data NULL: not wanted */
    bool add_q, add_k;
    real *dscale, *dweight; /* NULL: there is none */
} sample_gradients;

static void back_dot(const lstm__node *node, const lstm__attention_call *call, const buffers *b,
                     const sample_gradients *g)
{
    const size_t depth = depth_of(node);
    const size_t pairs = call->queries * call->keys;
    if (has_scale(node)) {
        double sum = 0;
        lstm__gemm(0, 1, call->queries, call->keys, depth, g->q.data, g->q.stride, g->k.data,
                   g->k.stride, 0, b->raw, call->keys);
        for (size_t k = 0; k < pairs; k++)
            sum += (double)b->raw[k] * (double)b->scores[k];
        *g->dscale += (real)sum;
        call->kernels->scale(pairs, factors_of(node).scale, b->scores);
    }
    if (g->dq.data)
        lstm__gemm(0, 0, call->queries, depth, call->keys, b->scores, call->keys, g->k.data,
                   g->k.stride, g->add_q, g->dq.data, g->dq.stride);
    if (g->dk.data)
        lstm__gemm(1, 0, call->keys, depth, call->queries, b->scores, call->keys, g->q.data,
                   g->q.stride, g->add_k, g->dk.data, g->dk.stride);
}

/* One pair of query and key with the gradient `slope` at its score. */
static void back_pair(const lstm__node *node, const buffers *b, const factors *f, real slope,
                      const sample_gradients *g, real *dq, real *dk)
{
    const size_t depth = depth_of(node);
    real *inner = b->sums + 2 * depth;
    for (size_t d = 0; d < depth; d++) {
        const real h = b->sums[depth + d];
        inner[d] = slope * f->weight[d * f->step] * (1 - h * h);
        if (g->dweight)
            g->dweight[d * f->step] += slope * h;
        if (g->dscale)
            *g->dscale += inner[d] * b->sums[d];
    }
    for (size_t d = 0; dq && d < depth; d++)
        dq[d] += f->scale * inner[d];
    for (size_t d = 0; dk && d < depth; d++)
        dk[d] += f->scale * inner[d];
}

static void back_pairs(const lstm__node *node, const lstm__attention_call *call, const buffers *b,
                       const sample_gradients *g)
{
    const factors f = factors_of(node);
    for (size_t t = 0; t < call->queries; t++)
        for (size_t s = 0; s < call->keys; s++) {
            pair(call, depth_of(node), f.scale, g->q.data + t * g->q.stride,
                 g->k.data + s * g->k.stride, b->sums);
            back_pair(node, b, &f, b->scores[t * call->keys + s], g,
                      g->dq.data ? g->dq.data + t * g->dq.stride : NULL,
                      g->dk.data ? g->dk.data + s * g->dk.stride : NULL);
        }
}

static void parameter_gradients(const lstm__node *node, lstm_session *session, sample_gradients *g)
{
    const bool vector = is_additive(node);
    if (has_scale(node)) {
        real *first = lstm__gradients_of(node, session, 0);
        session->model->kernels->fill_rows(1, vector ? depth_of(node) : 1, NULL, first, 0);
        *(vector ? &g->dweight : &g->dscale) = first;
    }
    if (!vector && !is_dot(node)) {
        g->dweight = lstm__gradients_of(node, session, has_scale(node));
        *g->dweight = 0;
    }
}

/* The gradient at an input, cleared where pairs are added to it one by one. */
static lstm__view take(const lstm__node *node, lstm_session *session, int input, bool clear,
                       bool *add)
{
    const lstm__view to = lstm__take_gradient(node, session, input, add);
    const lstm__shape shape = lstm__input_shape(node, input);
    if (to.data && clear && !*add)
        session->model->kernels->fill_rows(lstm__session_rows(session, shape),
                                           (size_t)shape.features, NULL, to.data, to.stride);
    return to;
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const int key_input = lstm__attention_key(node);
    const lstm__attention_call call = lstm__attention_start(node, session,
                                                            options_of(node)->causal == LSTM_YES);
    const size_t batch = call.batch;
    const size_t columns = (size_t)node->shapes[0].features;
    const lstm__view query = lstm__input_value(node, session, LSTM__QUERY);
    const lstm__view value = lstm__input_value(node, session, LSTM__VALUE);
    const lstm__view key = lstm__input_value(node, session, key_input);
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    sample_gradients g = {.dscale = NULL};
    bool add_v = false;
    parameter_gradients(node, session, &g);
    /* In this order, as inputs may be the same layer: whoever comes later adds. */
    const lstm__view dv = take(node, session, LSTM__VALUE, false, &add_v);
    const lstm__view dq = take(node, session, LSTM__QUERY, !is_dot(node), &g.add_q);
    const lstm__view dk = take(node, session, key_input, !is_dot(node), &g.add_k);
    for (size_t s = 0; s < batch; s++) {
        const real *weights = b->weights + s * call.queries * call.keys;
        const lstm__view d = lstm__sample(dy, batch, s, 0);
        const lstm__view v = lstm__sample(value, batch, s, 0);
        const lstm__view to = lstm__sample(dv, batch, s, 0);
        lstm__gemm(0, 1, call.queries, call.keys, columns, d.data, d.stride, v.data, v.stride, 0,
                   b->scores, call.keys);
        if (to.data)
            lstm__gemm(1, 0, call.keys, columns, call.queries, weights, call.keys, d.data, d.stride,
                       add_v, to.data, to.stride);
        call.kernels->softmax_backward(call.queries, call.keys, weights, call.keys, b->scores,
                                       call.keys, b->scores, call.keys, 0);
        g.q = lstm__sample(query, batch, s, 0);
        g.k = lstm__sample(key, batch, s, 0);
        g.dq = lstm__sample(dq, batch, s, 0);
        g.dk = lstm__sample(dk, batch, s, 0);
        if (is_dot(node))
            back_dot(node, &call, b, &g);
        else
            back_pairs(node, &call, b, &g);
    }
}

static bool trace(const lstm__node *node, const lstm_session *session, const void *memory,
                  int32_t which, lstm__trace *found)
{
    return lstm__attention_trace(node, session, which, ((const buffers *)memory)->weights, 1,
                                 found);
}

#define ATTENTION(variable, type_name, stem, table)     \
    const lstm__layer_class variable = {                \
        .type = type_name,                              \
        .name_stem = stem,                              \
        .options_size = sizeof(lstm_attention_options), \
        .options = table,                               \
        .mask = LSTM__MASK_OWN,                         \
        .least_inputs = 2,                              \
        .most_inputs = 3,                               \
        .plan_size = sizeof(buffers),                   \
        .define = define,                               \
        .declare = declare,                             \
        .plan = plan,                                   \
        .forward = forward,                             \
        .backward = backward,                           \
        .trace = trace,                                 \
    }

ATTENTION(lstm__class_attention, "Attention", "attention", options);
ATTENTION(lstm__class_additive_attention, "AdditiveAttention", "additive_attention",
          additive_options);
