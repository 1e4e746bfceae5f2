/* SPDX-License-Identifier: MIT
 * MultiHeadAttention (Vaswani et al. 2017), as in Keras. For head n, with columns [n K, (n + 1) K)
 * of the projections:
 *
 *     q = query Wq + bq    k = key Wk + bk    v = value Wv + bv
 *     weights = softmax over the keys of (q k^T / sqrt(K))    o = weights v    y = o Wo + bo
 * A projection is one product for all heads, samples and steps; scores are one product for each
 * sample and head.
 *
 * bk adds q bk to all scores of a query alike, which softmax does not see: its gradient is 0, and is
 * written as that. What a sum over the keys leaves instead is rounding, which optimizers that divide
 * by the size of the gradient would take for a direction.
 */
#include "attention.h"
#include "constants.h"
#include "options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* query, key, value; then the last layer: the order of the parameters */
enum { KEY = 1, PROJECTIONS = 3, OUTPUT = 3 };

typedef struct buffers {
    real *projected[PROJECTIONS + 1]; /* q, k, v and o: [steps][batch][N K or N V] */
    real *gradients[PROJECTIONS + 1]; /* the same; training only */
    real *weights;                    /* [batch][N][queries][keys] */
    real *scores;                     /* [queries][keys]; training only */
} buffers;

#define FIELD(member) offsetof(lstm_multi_head_attention_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("num_heads", COUNT, FIELD(num_heads)),
    LSTM__OPTION("key_dim", COUNT, FIELD(key_dim)),
    LSTM__OPTION("value_dim", COUNT, FIELD(value_dim)),
    LSTM__OPTION("use_bias", FLAG, FIELD(use_bias)),
    LSTM__OPTION("use_causal_mask", FLAG, FIELD(causal)),
    LSTM__ALIAS("causal", FLAG, FIELD(causal)),
    LSTM__OPTION_OF("kernel_initializer", FIELD(kernel_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__FIXED("bias_initializer", "zeros"),
    LSTM__FIXED("dropout", NULL),
    LSTM__FIXED("use_gate", NULL),
    LSTM__FIXED("output_shape", NULL),
    LSTM__FIXED("attention_axes", "1"),
    LSTM__FIXED("sliding_window", NULL),
    LSTM__IGNORED("flash_attention"),
    LSTM__FIXED("kernel_regularizer", NULL),
    LSTM__FIXED("bias_regularizer", NULL),
    LSTM__FIXED("activity_regularizer", NULL),
    LSTM__FIXED("kernel_constraint", NULL),
    LSTM__FIXED("bias_constraint", NULL),
    LSTM__IGNORED("seed"),
    LSTM__IGNORED("query_shape"),
    LSTM__IGNORED("key_shape"),
    LSTM__IGNORED("value_shape"),
    LSTM__OPTIONS_END,
};

static const lstm_multi_head_attention_options *options_of(const lstm__node *node)
{
    return node->options;
}

static bool has_bias(const lstm__node *node)
{
    return options_of(node)->use_bias == LSTM_YES;
}

/* Which input a projection reads, and the columns of one head. */
static int input_of(const lstm__node *node, int projection)
{
    return projection == 0   ? LSTM__QUERY
           : projection == 1 ? lstm__attention_key(node)
                             : LSTM__VALUE;
}
static size_t head_of(const lstm__node *node, int projection)
{
    return (size_t)(projection < 2 ? options_of(node)->key_dim : options_of(node)->value_dim);
}
static size_t columns_of(const lstm__node *node, int projection)
{
    return (size_t)options_of(node)->num_heads * head_of(node, projection);
}

static lstm_status define(lstm__node *node)
{
    lstm_multi_head_attention_options *own = node->options;
    const int64_t most = INT16_MAX;
    own->value_dim = own->value_dim == 0 ? own->key_dim : own->value_dim;
    if (own->num_heads < 1 || own->key_dim < 1 || own->value_dim < 1 || own->num_heads > most ||
        own->key_dim > most || own->value_dim > most)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "num_heads %lld, key_dim %lld, value_dim %lld: expected 1 to %lld each",
                          (long long)own->num_heads, (long long)own->key_dim,
                          (long long)own->value_dim, (long long)most);
    RETURN_IF_ERROR(lstm__read_flag(&own->use_bias, LSTM_YES, "use_bias"));
    RETURN_IF_ERROR(lstm__read_flag(&own->causal, LSTM_NO, "causal"));
    RETURN_IF_ERROR(lstm__read_constant(&own->kernel_initializer, LSTM_INITIALIZER_GLOROT_UNIFORM,
                                        LSTM_NAMES_INITIALIZER, "kernel_initializer"));
    RETURN_IF_ERROR(lstm__attention_define(node));
    node->shapes[0] = lstm__input_shape(node, LSTM__QUERY);
    return LSTM_OK;
}

/* A kernel of three axes, the first or the last of which is the layer's, the two others the heads'.
 */
static lstm_status declare_kernel(lstm__node *node, const char *keras_name, const char *torch_name,
                                  const size_t axes[3], bool output)
{
    const size_t rows = output ? axes[0] * axes[1] : axes[0];
    const size_t columns = output ? axes[2] : axes[1] * axes[2];
    const int64_t a = (int64_t)axes[0];
    const int64_t b = (int64_t)axes[1];
    const int64_t c = (int64_t)axes[2];
    size_t count = 0;
    size_t offset = 0;
    if (!lstm__mul(rows, columns, &count))
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &offset));
    return lstm__graph_add_parameter(
        node,
        &(lstm__parameter_spec){.keras_name = keras_name,
                                .torch_name = torch_name,
                                .offset = offset,
                                .rows = rows,
                                .columns = columns,
                                .rank = 3,
                                .keras_shape = {a, b, c},
                                .torch_transposed = true,
                                .torch_shape = {output ? c : b, output ? a : c, output ? b : a},
                                .initializer = options_of(node)->kernel_initializer,
                                .fan_in = axes[0] * axes[1],
                                .fan_out = axes[0] * axes[2],
                                .units = rows});
}

static lstm_status declare(lstm__node *node)
{
    static const char *const names[PROJECTIONS][4] = {
        {"query/kernel", "query.weight", "query/bias", "query.bias"},
        {"key/kernel", "key.weight", "key/bias", "key.bias"},
        {"value/kernel", "value.weight", "value/bias", "value.bias"}};
    const size_t heads = (size_t)options_of(node)->num_heads;
    const size_t features = (size_t)node->shapes[0].features;
    size_t offset = 0;
    for (int p = 0; p < PROJECTIONS; p++) {
        const size_t axes[3] = {(size_t)lstm__input_shape(node, input_of(node, p)).features, heads,
                                head_of(node, p)};
        RETURN_IF_ERROR(declare_kernel(node, names[p][0], names[p][1], axes, false));
        if (!has_bias(node))
            continue;
        RETURN_IF_ERROR(lstm__graph_reserve(node->model, columns_of(node, p), &offset));
        RETURN_IF_ERROR(lstm__graph_add_parameter(
            node, &(lstm__parameter_spec){.keras_name = names[p][2],
                                          .torch_name = names[p][3],
                                          .offset = offset,
                                          .rows = heads,
                                          .columns = head_of(node, p),
                                          .rank = 2,
                                          .initializer = LSTM_INITIALIZER_ZEROS}));
    }
    const size_t axes[3] = {heads, head_of(node, 2), features};
    RETURN_IF_ERROR(
        declare_kernel(node, "attention_output/kernel", "attention_output.weight", axes, true));
    return has_bias(node)
               ? lstm__declare_vector(node, "attention_output/bias", "attention_output.bias",
                                      features, LSTM_INITIALIZER_ZEROS)
               : LSTM_OK;
}

/* Numbers of the parameters of a projection (or OUTPUT). */
static size_t kernel_number(const lstm__node *node, int projection)
{
    return (size_t)projection * (has_bias(node) ? 2 : 1);
}
static const real *bias_of(const lstm__node *node, int projection)
{
    return has_bias(node) ? lstm__values_of(node, kernel_number(node, projection) + 1) : NULL;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t queries = lstm__session_max_steps(session, lstm__input_shape(node, LSTM__QUERY));
    const size_t keys = lstm__session_max_steps(session, lstm__input_shape(node, LSTM__VALUE));
    size_t rows = 0;
    if (!lstm__mul(session->max_batch, (size_t)options_of(node)->num_heads, &rows) ||
        !lstm__mul(rows, queries, &rows))
        arena->overflow = true;
    b->weights = lstm__carve_matrix(arena, rows, keys);
    for (int p = 0; p <= OUTPUT; p++) {
        const int input = p == OUTPUT ? LSTM__QUERY : input_of(node, p);
        const size_t steps_rows = lstm__session_max_rows(session, lstm__input_shape(node, input));
        const size_t columns = columns_of(node, p == OUTPUT ? 2 : p);
        b->projected[p] = lstm__carve_matrix(arena, steps_rows, columns);
        b->gradients[p] = lstm__carve_matrix(arena, session->training ? steps_rows : 0, columns);
    }
    b->scores = lstm__carve_matrix(arena, session->training ? queries : 0, keys);
    lstm__plan_port(node, session, 0, arena);
}

/* y = x W + b */
static void project(const lstm__node *node, const lstm__kernels *kernels, int projection,
                    size_t rows, size_t inputs, size_t columns, lstm__view x, real *y)
{
    const real *bias = bias_of(node, projection);
    if (bias)
        kernels->fill_rows(rows, columns, bias, y, columns);
    lstm__gemm(0, 0, rows, columns, inputs, x.data, x.stride,
               lstm__values_of(node, kernel_number(node, projection)), columns, bias != NULL, y,
               columns);
}

/* The steps of sample s and head n of a projection's buffer. */
static lstm__view head(const lstm__node *node, real *const buffer[], int projection, size_t batch,
                       size_t s, size_t n)
{
    const int sized = projection == OUTPUT ? 2 : projection;
    const lstm__view all = {buffer[projection], columns_of(node, sized)};
    return lstm__sample(all, batch, s, n * head_of(node, sized));
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm__kernels *kernels = session->model->kernels;
    const lstm__attention_call call = lstm__attention_start(node, session,
                                                            options_of(node)->causal == LSTM_YES);
    const size_t heads = (size_t)options_of(node)->num_heads;
    const real shrink = (real)(1 / sqrt((double)options_of(node)->key_dim));
    for (int p = 0; p < PROJECTIONS; p++) {
        const lstm__shape in = lstm__input_shape(node, input_of(node, p));
        project(node, kernels, p, lstm__session_rows(session, in), (size_t)in.features,
                columns_of(node, p), lstm__input_value(node, session, input_of(node, p)),
                b->projected[p]);
    }
    for (size_t k = 0; k < call.batch * heads; k++) {
        real *weights = b->weights + k * call.queries * call.keys;
        const lstm__view q = head(node, b->projected, 0, call.batch, k / heads, k % heads);
        const lstm__view key = head(node, b->projected, 1, call.batch, k / heads, k % heads);
        const lstm__view v = head(node, b->projected, 2, call.batch, k / heads, k % heads);
        const lstm__view o = head(node, b->projected, OUTPUT, call.batch, k / heads, k % heads);
        lstm__gemm(0, 1, call.queries, call.keys, head_of(node, 0), q.data, q.stride, key.data,
                   key.stride, 0, weights, call.keys);
        kernels->scale(call.queries * call.keys, shrink, weights);
        lstm__attention_softmax(&call, k / heads, weights);
        lstm__gemm(0, 0, call.queries, head_of(node, 2), call.keys, weights, call.keys, v.data,
                   v.stride, 0, o.data, o.stride);
    }
    const lstm__view o = {b->projected[OUTPUT], columns_of(node, 2)};
    project(node, kernels, OUTPUT, lstm__session_rows(session, node->shapes[0]), o.stride,
            (size_t)node->shapes[0].features, o, lstm__session_own(session, node, 0)->value.data);
}

/* From the gradient at y = x W + b to those of W, b and (data not NULL) x. */
static void back_project(const lstm__node *node, lstm_session *session, int projection, size_t rows,
                         size_t inputs, size_t columns, lstm__view x, const real *dy, lstm__view dx,
                         bool add)
{
    const size_t kernel = kernel_number(node, projection);
    lstm__gemm(1, 0, inputs, columns, rows, x.data, x.stride, dy, columns, 0,
               lstm__gradients_of(node, session, kernel), columns);
    if (has_bias(node) && projection == KEY)
        memset(lstm__gradients_of(node, session, kernel + 1), 0, columns * sizeof(real));
    else if (has_bias(node))
        session->model->kernels->column_sum(rows, columns, dy, columns,
                                            lstm__gradients_of(node, session, kernel + 1), 0);
    if (dx.data)
        lstm__gemm(0, 1, rows, inputs, columns, dy, columns, lstm__values_of(node, kernel), columns,
                   add, dx.data, dx.stride);
}

static void back_head(const lstm__node *node, const lstm__attention_call *call, const buffers *b,
                      size_t s, size_t n)
{
    const size_t heads = (size_t)options_of(node)->num_heads;
    const real shrink = (real)(1 / sqrt((double)options_of(node)->key_dim));
    const real *weights = b->weights + (s * heads + n) * call->queries * call->keys;
    lstm__view value[PROJECTIONS];
    lstm__view gradient[PROJECTIONS + 1];
    for (int p = 0; p <= OUTPUT; p++) {
        gradient[p] = head(node, b->gradients, p, call->batch, s, n);
        if (p < PROJECTIONS)
            value[p] = head(node, b->projected, p, call->batch, s, n);
    }
    const lstm__view d = gradient[OUTPUT];
    const size_t deep = head_of(node, 0);
    const size_t wide = head_of(node, 2);
    lstm__gemm(0, 1, call->queries, call->keys, wide, d.data, d.stride, value[2].data,
               value[2].stride, 0, b->scores, call->keys);
    lstm__gemm(1, 0, call->keys, wide, call->queries, weights, call->keys, d.data, d.stride, 0,
               gradient[2].data, gradient[2].stride);
    call->kernels->softmax_backward(call->queries, call->keys, weights, call->keys, b->scores,
                                    call->keys, b->scores, call->keys, 0);
    call->kernels->scale(call->queries * call->keys, shrink, b->scores);
    lstm__gemm(0, 0, call->queries, deep, call->keys, b->scores, call->keys, value[1].data,
               value[1].stride, 0, gradient[0].data, gradient[0].stride);
    lstm__gemm(1, 0, call->keys, deep, call->queries, b->scores, call->keys, value[0].data,
               value[0].stride, 0, gradient[1].data, gradient[1].stride);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm__attention_call call = lstm__attention_start(node, session,
                                                            options_of(node)->causal == LSTM_YES);
    const size_t heads = (size_t)options_of(node)->num_heads;
    const lstm__view o = {b->projected[OUTPUT], columns_of(node, 2)};
    const lstm__view d_o = {b->gradients[OUTPUT], columns_of(node, 2)};
    back_project(node, session, OUTPUT, lstm__session_rows(session, node->shapes[0]), o.stride,
                 (size_t)node->shapes[0].features, o,
                 lstm__session_own(session, node, 0)->gradient.data, d_o, false);
    for (size_t k = 0; k < call.batch * heads; k++)
        back_head(node, &call, b, k / heads, k % heads);
    for (int p = 0; p < PROJECTIONS; p++) {
        const int input = input_of(node, p);
        const lstm__shape in = lstm__input_shape(node, input);
        bool add = false;
        const lstm__view dx = lstm__take_gradient(node, session, input, &add);
        back_project(node, session, p, lstm__session_rows(session, in), (size_t)in.features,
                     columns_of(node, p), lstm__input_value(node, session, input), b->gradients[p],
                     dx, add);
    }
}

static double flops(const lstm__node *node, int64_t steps)
{
    double sum = 0;
    const int64_t queries = node->shapes[0].steps > 0 ? node->shapes[0].steps : steps;
    const int64_t keys = lstm__input_shape(node, LSTM__VALUE).steps > 0
                             ? lstm__input_shape(node, LSTM__VALUE).steps
                             : steps;
    for (int p = 0; p < PROJECTIONS; p++)
        sum += 2 * (double)(p == 0 ? queries : keys) *
               (double)lstm__input_shape(node, input_of(node, p)).features *
               (double)columns_of(node, p);
    sum += 2 * (double)queries * (double)keys * (double)(columns_of(node, 0) + columns_of(node, 2));
    return sum +
           2 * (double)queries * (double)columns_of(node, 2) * (double)node->shapes[0].features;
}

static bool trace(const lstm__node *node, const lstm_session *session, const void *memory,
                  int32_t which, lstm__trace *found)
{
    return lstm__attention_trace(node, session, which, ((const buffers *)memory)->weights,
                                 (size_t)options_of(node)->num_heads, found);
}

const lstm__layer_class lstm__class_multi_head_attention = {
    .type = "MultiHeadAttention",
    .name_stem = "multi_head_attention",
    .options_size = sizeof(lstm_multi_head_attention_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .least_inputs = 2,
    .most_inputs = 3,
    .plan_size = sizeof(buffers),
    .define = define,
    .declare = declare,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .trace = trace,
    .flops = flops,
};
