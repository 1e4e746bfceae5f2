/* SPDX-License-Identifier: MIT
 *
 * Operators along time: Conv, MaxPool and AveragePool with one spatial axis, GlobalAveragePool,
 * GlobalMaxPool, ReduceMean and ReduceMax. ONNX has (batch, features, steps) here, which is a
 * matter of the axes' names only; the kernel of a Conv (filters, features, K) becomes ours (K,
 * features, filters).
 */
#include "onnx_constants.h"
#include "onnx_shapes.h"

#include <string.h>

typedef struct window {
    int64_t kernel, stride, dilation, pads[2];
    int32_t padding; /* LSTM_PADDING_* */
    int64_t steps;   /* of the result */
} window;

static lstm_status one(const lstm__onnx_node *node, const char *name, int64_t *value)
{
    int count = 0;
    int64_t list[1] = {*value};
    RETURN_IF_ERROR(lstm__onnx_ints(node, name, list, 1, &count));
    *value = count ? list[0] : *value;
    return LSTM_OK;
}

static lstm_status find_padding(const lstm__onnx_import *import, const lstm__onnx_node *node,
                                int64_t steps, window *w)
{
    char automatic[64] = "NOTSET";
    int count = 0;
    int64_t reach = 0;
    RETURN_IF_ERROR(lstm__onnx_string(node, "auto_pad", automatic));
    RETURN_IF_ERROR(lstm__onnx_ints(node, "pads", w->pads, 2, &count));
    if (w->kernel < 1 || w->stride < 1 || w->dilation < 1 || w->pads[0] < 0 || w->pads[1] < 0 ||
        __builtin_mul_overflow(w->kernel - 1, w->dilation, &reach) || reach > INT32_MAX ||
        w->stride > INT32_MAX)
        return lstm__onnx_refuse(node, "kernel_shape, strides, dilations or pads out of range");
    const int64_t ceiling = (steps + w->stride - 1) / w->stride;
    int64_t around = (ceiling - 1) * w->stride + reach + 1 - steps;
    around = around < 0 ? 0 : around;
    const bool free_steps = steps == import->steps && steps == LSTM__ONNX_PROBE_STEPS;
    if (strcmp(automatic, "SAME_UPPER") == 0) {
        w->padding = LSTM_PADDING_SAME;
    } else if (strcmp(automatic, "NOTSET") != 0 && strcmp(automatic, "VALID") != 0) {
        return lstm__onnx_refuse(node, "auto_pad %s: expected NOTSET, VALID or SAME_UPPER",
                                 automatic);
    } else if (w->pads[0] == 0 && w->pads[1] == 0) {
        w->padding = LSTM_PADDING_VALID;
    } else if (w->pads[0] + w->pads[1] == around && w->pads[0] == around / 2 &&
               (!free_steps || w->stride == 1)) {
        w->padding = LSTM_PADDING_SAME;
    } else if (w->pads[0] == reach && w->pads[1] == 0 && w->stride == 1) {
        w->padding = LSTM_PADDING_CAUSAL;
    } else {
        return lstm__onnx_refuse(node,
                                 "pads %lld and %lld: expected none, or as many as keep the "
                                 "number of steps",
                                 (long long)w->pads[0], (long long)w->pads[1]);
    }
    w->steps = w->padding == LSTM_PADDING_VALID ? (steps - reach - 1) / w->stride + 1 : ceiling;
    if (w->steps < 1 || steps <= reach - (w->padding == LSTM_PADDING_VALID ? 0 : reach))
        return lstm__onnx_refuse(node, "a window of %lld steps over %lld", (long long)reach + 1,
                                 (long long)steps);
    return LSTM_OK;
}

/* (batch, features, steps). */
static lstm_status check_axes(const lstm__onnx_node *node, const lstm__onnx_value *value)
{
    char text[160];
    if (lstm__onnx_is_layers(value) && value->rank == 3 && value->axis[0] == LSTM__AXIS_BATCH &&
        value->axis[1] == LSTM__AXIS_FEATURE && value->axis[2] == LSTM__AXIS_STEP)
        return LSTM_OK;
    return lstm__onnx_refuse(node, "of %s: expected (batch, features, steps)",
                             value ? lstm__onnx_describe(value, text) : "nothing");
}

static lstm_status give(lstm__onnx_import *import, lstm__onnx_value *out,
                        const lstm__onnx_value *like, const lstm_layer *layer, int64_t steps)
{
    RETURN_IF_ERROR(lstm__onnx_set_layer(import, out, like, layer));
    out->shape[2] = steps;
    return LSTM_OK;
}

static lstm_status conv(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    const lstm__onnx_value *weights = lstm__onnx_input(import, node, 1);
    const lstm__onnx_value *row = lstm__onnx_input(import, node, 2);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    window w = {.stride = 1, .dilation = 1};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    float *values = NULL;
    float *bias = NULL;
    int64_t group = 1;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(check_axes(node, value));
    RETURN_IF_ERROR(lstm__onnx_int(node, "group", &group));
    if (group != 1 || !lstm__onnx_is_constant(weights) || weights->rank != 3 ||
        weights->shape[1] != value->shape[1])
        return lstm__onnx_refuse(node,
                                 "group %lld, or weights that are no constant (filters, %lld, "
                                 "K)",
                                 (long long)group, (long long)value->shape[1]);
    const int64_t filters = weights->shape[0];
    const int64_t features = weights->shape[1];
    w.kernel = weights->shape[2];
    RETURN_IF_ERROR(one(node, "strides", &w.stride));
    RETURN_IF_ERROR(one(node, "dilations", &w.dilation));
    RETURN_IF_ERROR(find_padding(import, node, value->shape[2], &w));
    if (row && (!lstm__onnx_is_constant(row) || lstm__onnx_count(row) != (size_t)filters))
        return lstm__onnx_refuse(node, "a bias that is no constant of %lld numbers",
                                 (long long)filters);
    RETURN_IF_ERROR(lstm__onnx_read_floats(import, weights, &values));
    if (row)
        RETURN_IF_ERROR(lstm__onnx_read_floats(import, row, &bias));
    const size_t count = lstm__onnx_count(weights);
    float *kernel = lstm__onnx_allocate(import->graph, count, sizeof *kernel);
    if (!kernel)
        return lstm__fail_memory(count * sizeof *kernel, "a kernel");
    for (int64_t f = 0; f < filters; f++)
        for (int64_t i = 0; i < features; i++)
            for (int64_t k = 0; k < w.kernel; k++)
                kernel[(k * features + i) * filters + f] =
                    values[(f * features + i) * w.kernel + k];
    const lstm_conv1d_options options = {.struct_size = sizeof options,
                                         .padding = w.padding,
                                         .filters = filters,
                                         .kernel_size = w.kernel,
                                         .strides = w.stride,
                                         .dilation_rate = w.dilation,
                                         .use_bias = bias ? LSTM_YES : LSTM_NO,
                                         .ignore_mask = LSTM_YES};
    const lstm__onnx_value like = *value;
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_conv1d, &options, &layer, 1, &added));
    RETURN_IF_ERROR(lstm__onnx_assign(import, added, 0, kernel, count));
    if (bias)
        RETURN_IF_ERROR(lstm__onnx_assign(import, added, 1, bias, (size_t)filters));
    return give(import, out, &like, added, w.steps);
}

static lstm_status pool(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    const bool largest = node->op[0] == 'M';
    window w = {.stride = 1, .dilation = 1};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    int64_t ceil_mode = 0;
    int64_t count_pad = 0;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(check_axes(node, value));
    RETURN_IF_ERROR(one(node, "kernel_shape", &w.kernel));
    RETURN_IF_ERROR(one(node, "strides", &w.stride));
    RETURN_IF_ERROR(one(node, "dilations", &w.dilation));
    RETURN_IF_ERROR(lstm__onnx_int(node, "ceil_mode", &ceil_mode));
    RETURN_IF_ERROR(lstm__onnx_int(node, "count_include_pad", &count_pad));
    RETURN_IF_ERROR(find_padding(import, node, value->shape[2], &w));
    if (ceil_mode || w.dilation != 1 || lstm__onnx_output(import, node, 1) ||
        (w.padding != LSTM_PADDING_VALID &&
         (w.padding != LSTM_PADDING_SAME || (count_pad && !largest))))
        return lstm__onnx_refuse(node, "ceil_mode, dilations, count_include_pad or pads that this "
                                       "version lacks");
    const lstm_pooling_options options = {.struct_size = sizeof options,
                                          .padding = w.padding,
                                          .pool_size = w.kernel,
                                          .strides = w.stride};
    const lstm__onnx_value like = *value;
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    RETURN_IF_ERROR(
        lstm__onnx_add(import, largest ? &lstm__class_max_pooling : &lstm__class_average_pooling,
                       &options, &layer, 1, &added));
    return give(import, out, &like, added, w.steps);
}

/* The mean or largest of all steps; `place` is the axis of steps. */
static lstm_status over_steps(lstm__onnx_import *import, lstm__onnx_value *value, bool largest,
                              int place, bool keep, lstm__onnx_value *out)
{
    const lstm_global_pooling_options options = {.struct_size = sizeof options,
                                                 .ignore_mask = LSTM_YES};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    const lstm__onnx_value like = *value;
    RETURN_IF_ERROR(lstm__onnx_add(
        import, largest ? &lstm__class_global_max_pooling : &lstm__class_global_average_pooling,
        &options, &layer, 1, &added));
    RETURN_IF_ERROR(lstm__onnx_set_layer(import, out, &like, added));
    out->axis[place] = LSTM__AXIS_ONE;
    out->shape[place] = 1;
    for (int k = place + 1; !keep && k < out->rank; k++) {
        out->axis[k - 1] = out->axis[k];
        out->shape[k - 1] = out->shape[k];
    }
    out->rank -= !keep;
    return LSTM_OK;
}

static lstm_status global_pool(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(check_axes(node, value));
    return over_steps(import, value, strcmp(node->op, "GlobalMaxPool") == 0, 2, true, out);
}

static lstm_status reduce(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t axes[LSTM__MOST_DIMENSIONS];
    int64_t keep = 1;
    int count = 0;
    int axis = 0;
    char text[160];
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_int(node, "keepdims", &keep));
    RETURN_IF_ERROR(lstm__onnx_read_axes(import, node, 1, axes, &count));
    if (!lstm__onnx_is_layers(value) || count != 1)
        return lstm__onnx_refuse(node, "over %d axes, or of a constant: expected the steps", count);
    RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, axes[0], value->rank, &axis));
    if (value->axis[axis] != LSTM__AXIS_STEP || lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0)
        return lstm__onnx_refuse(node, "over axis %d of %s: expected the steps", axis,
                                 lstm__onnx_describe(value, text));
    return over_steps(import, value, strcmp(node->op, "ReduceMax") == 0, axis, keep != 0, out);
}

const lstm__onnx_operator lstm__onnx_window_operators[] = {
    {"Conv", conv},
    {"MaxPool", pool},
    {"AveragePool", pool},
    {"GlobalAveragePool", global_pool},
    {"GlobalMaxPool", global_pool},
    {"ReduceMean", reduce},
    {"ReduceMax", reduce},
    {NULL, NULL},
};
