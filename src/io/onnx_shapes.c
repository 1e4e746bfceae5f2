/* SPDX-License-Identifier: MIT
 *
 * Operators that move axes: Transpose, Squeeze, Unsqueeze, Identity, Cast, Dropout, Expand, Tile.
 * Of what layers give, only the axes are renamed; constants are moved in fact. (Parts of axes:
 * onnx_parts.c; Reshape: onnx_reshape.c.)
 */
#include "onnx_constants.h"
#include "onnx_shapes.h"

#include <string.h>

/* The axes of Squeeze, Unsqueeze or a Reduce: an attribute in old opsets, an input in new ones;
 * *count -1 = not given. */
lstm_status lstm__onnx_read_axes(lstm__onnx_import *import, const lstm__onnx_node *node, int input,
                                 int64_t axes[LSTM__MOST_DIMENSIONS], int *count)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, input);
    *count = -1;
    if (value)
        return lstm__onnx_read_integers(node, value, axes, LSTM__MOST_DIMENSIONS, count);
    if (lstm__onnx_has_attribute(node, "axes"))
        return lstm__onnx_ints(node, "axes", axes, LSTM__MOST_DIMENSIONS, count);
    return LSTM_OK;
}

static lstm_status same(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    if (out && value)
        *out = *value;
    for (int k = 1; k < node->output_count; k++)
        if (lstm__onnx_output(import, node, k))
            return lstm__onnx_refuse(node, "its output %d is used: only the first one is there", k);
    return value ? LSTM_OK : lstm__onnx_refuse(node, "has no input");
}

/* Dropout acts in training only. */
static lstm_status dropout(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *ratio = lstm__onnx_input(import, node, 1);
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm_dropout_options options = {.struct_size = sizeof options, .rate = 0.5f};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    float *read = NULL;
    if (!out || !lstm__onnx_is_layers(value) || node->output_count > 1)
        return same(import, node);
    RETURN_IF_ERROR(lstm__onnx_float(node, "ratio", &options.rate));
    if (lstm__onnx_is_constant(ratio) && lstm__onnx_count(ratio) == 1) {
        RETURN_IF_ERROR(lstm__onnx_read_floats(import, ratio, &read));
        options.rate = read[0];
    }
    if (!(options.rate > 0 && options.rate < 1) || value->part_count > 1)
        return same(import, node);
    const lstm__onnx_value copy = *value;
    RETURN_IF_ERROR(lstm__onnx_join(import, lstm__onnx_input(import, node, 0), &layer));
    RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_dropout, &options, &layer, 1, &added));
    return lstm__onnx_set_layer(import, out, &copy, added);
}

/* Cast: the kind of a number matters for constants only, where whole numbers may become floats. */
static lstm_status cast(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    int64_t to = 1;
    RETURN_IF_ERROR(same(import, node));
    RETURN_IF_ERROR(lstm__onnx_int(node, "to", &to));
    const bool floating = to == 1 || to == 10 || to == 11 || to == 16;
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    if (floating || lstm__onnx_is_constant(value) || value->whole ||
        value->kind == LSTM__VALUE_LENGTHS)
        return LSTM_OK;
    return lstm__onnx_refuse(node, "numbers are rounded to whole ones (data type %lld)",
                             (long long)to);
}

static lstm_status transpose(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t order[LSTM__MOST_DIMENSIONS];
    int count = 0;
    if (!out)
        return LSTM_OK;
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    RETURN_IF_ERROR(lstm__onnx_ints(node, "perm", order, LSTM__MOST_DIMENSIONS, &count));
    if (count == 0)
        for (count = 0; count < value->rank; count++)
            order[count] = value->rank - 1 - count;
    bool seen[LSTM__MOST_DIMENSIONS] = {false};
    for (int k = 0; k < count; k++)
        if (count != value->rank || order[k] < 0 || order[k] >= count || seen[order[k]])
            return lstm__onnx_refuse(node, "\"perm\" is no order of %d axes", value->rank);
        else
            seen[order[k]] = true;
    const lstm__onnx_value from = *value;
    int64_t steps[LSTM__MOST_DIMENSIONS];
    int64_t moved[LSTM__MOST_DIMENSIONS];
    int64_t shape[LSTM__MOST_DIMENSIONS];
    lstm__onnx_steps(&from, steps);
    for (int k = 0; k < count; k++) {
        moved[k] = steps[order[k]];
        shape[k] = from.shape[order[k]];
    }
    if (lstm__onnx_is_constant(value))
        return lstm__onnx_view(import, &from, out, count, shape, 0, moved);
    *out = from;
    for (int k = 0; k < count; k++) {
        out->shape[k] = from.shape[order[k]];
        out->axis[k] = from.axis[order[k]];
    }
    return LSTM_OK;
}

/* ---- Squeeze and Unsqueeze */

/* Take axis `k` away. */
static lstm_status drop_axis(lstm__onnx_import *import, const lstm__onnx_node *node,
                             lstm__onnx_value *value, int k)
{
    char text[160];
    if (value->shape[k] != 1)
        return lstm__onnx_refuse(node, "takes axis %d away, whose size is not 1: %s", k,
                                 lstm__onnx_describe(value, text));
    if (value->kind == LSTM__VALUE_LAYERS && value->axis[k] == LSTM__AXIS_STEP) {
        const lstm_global_pooling_options options = {.struct_size = sizeof options,
                                                     .ignore_mask = LSTM_YES};
        const lstm_layer *layer = NULL;
        lstm_layer *last = NULL;
        RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
        RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_last_step, &options, &layer, 1, &last));
        const lstm__onnx_part part = {last, false};
        RETURN_IF_ERROR(lstm__onnx_set_parts(import, value, 1, &part));
    }
    for (int later = k + 1; later < value->rank; later++) {
        value->shape[later - 1] = value->shape[later];
        value->axis[later - 1] = value->axis[later];
    }
    value->rank--;
    return LSTM_OK;
}

static lstm_status squeeze(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t axes[LSTM__MOST_DIMENSIONS];
    bool drop[LSTM__MOST_DIMENSIONS] = {false};
    int count = 0;
    if (!out)
        return LSTM_OK;
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    RETURN_IF_ERROR(lstm__onnx_read_axes(import, node, 1, axes, &count));
    for (int k = 0; k < count; k++) {
        int axis = 0;
        RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, axes[k], value->rank, &axis));
        drop[axis] = true;
    }
    for (int k = 0; count < 0 && k < value->rank; k++)
        drop[k] = value->shape[k] == 1;
    *out = *value;
    for (int k = out->rank; k-- > 0;)
        if (drop[k])
            RETURN_IF_ERROR(drop_axis(import, node, out, k));
    return LSTM_OK;
}

static lstm_status unsqueeze(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t axes[LSTM__MOST_DIMENSIONS];
    bool fresh[LSTM__MOST_DIMENSIONS] = {false};
    int count = 0;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_read_axes(import, node, 1, axes, &count));
    if (!value || count < 0 || value->rank + count > LSTM__MOST_DIMENSIONS)
        return lstm__onnx_refuse(node, "has no axes, or more than %d in its result",
                                 (int)LSTM__MOST_DIMENSIONS);
    const lstm__onnx_value from = *value;
    const int rank = from.rank + count;
    for (int k = 0; k < count; k++) {
        int axis = 0;
        RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, axes[k], rank, &axis));
        if (fresh[axis])
            return lstm__onnx_refuse(node, "names axis %d twice", axis);
        fresh[axis] = true;
    }
    *out = from;
    out->rank = rank;
    for (int k = 0, old = 0; k < rank; k++) {
        out->shape[k] = fresh[k] ? 1 : from.shape[old];
        out->axis[k] = fresh[k] ? LSTM__AXIS_ONE : from.axis[old];
        old += !fresh[k];
    }
    return LSTM_OK;
}

/* ---- Expand and Tile */

/* A vector that is repeated along a new axis becomes a sequence. */
static lstm_status repeat(lstm__onnx_import *import, const lstm__onnx_node *node,
                          lstm__onnx_value *value, int axis, int64_t count)
{
    const lstm_repeat_vector_options options = {.struct_size = sizeof options, .count = count};
    const lstm_layer *layer = NULL;
    lstm_layer *repeated = NULL;
    char text[160];
    if (value->axis[axis] != LSTM__AXIS_ONE || lstm__onnx_axis(value, LSTM__AXIS_STEP) >= 0 ||
        count == import->steps || lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0)
        return lstm__onnx_refuse(node, "repeats axis %d of %s %lld times", axis,
                                 lstm__onnx_describe(value, text), (long long)count);
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    RETURN_IF_ERROR(
        lstm__onnx_add(import, &lstm__class_repeat_vector, &options, &layer, 1, &repeated));
    const lstm__onnx_part part = {repeated, false};
    RETURN_IF_ERROR(lstm__onnx_set_parts(import, value, 1, &part));
    value->axis[axis] = LSTM__AXIS_STEP;
    value->shape[axis] = count;
    return LSTM_OK;
}

static lstm_status expand_constant(lstm__onnx_import *import, const lstm__onnx_value *value,
                                   lstm__onnx_value *out, int rank, const int64_t *shape)
{
    int64_t steps[LSTM__MOST_DIMENSIONS];
    int64_t wide[LSTM__MOST_DIMENSIONS] = {0};
    lstm__onnx_steps(value, steps);
    for (int k = 0; k < value->rank; k++)
        wide[k + rank - value->rank] = value->shape[k] == 1 ? 0 : steps[k];
    return lstm__onnx_view(import, value, out, rank, shape, 0, wide);
}

static lstm_status expand(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm__onnx_value wanted = {.kind = LSTM__VALUE_CONSTANT};
    int64_t shape[LSTM__MOST_DIMENSIONS];
    int rank = 0;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_read_integers(node, lstm__onnx_input(import, node, 1), wanted.shape,
                                             LSTM__MOST_DIMENSIONS, &wanted.rank));
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    const lstm__onnx_value from = *value;
    RETURN_IF_ERROR(lstm__onnx_broadcast(node, &from, &wanted, &rank, shape));
    if (lstm__onnx_is_constant(&from))
        return expand_constant(import, &from, out, rank, shape);
    if (rank != from.rank)
        return lstm__onnx_refuse(node, "gives %d axes of %d", rank, from.rank);
    *out = from;
    for (int k = 0; k < rank; k++)
        if (shape[k] != from.shape[k])
            RETURN_IF_ERROR(repeat(import, node, out, k, shape[k]));
    return LSTM_OK;
}

static lstm_status tile(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t times[LSTM__MOST_DIMENSIONS];
    int64_t shape[LSTM__MOST_DIMENSIONS];
    int count = 0;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_read_integers(node, lstm__onnx_input(import, node, 1), times,
                                             LSTM__MOST_DIMENSIONS, &count));
    if (!value || count != value->rank)
        return lstm__onnx_refuse(node, "repeats %d axes of %d", count, value ? value->rank : 0);
    const lstm__onnx_value from = *value;
    for (int k = 0; k < count; k++) {
        if (times[k] != 1 && from.shape[k] != 1)
            return lstm__onnx_refuse(node, "repeats axis %d, whose size is not 1", k);
        shape[k] = from.shape[k] == 1 ? times[k] : from.shape[k];
        if (shape[k] < 0)
            return lstm__onnx_refuse(node, "repeats axis %d %lld times", k, (long long)times[k]);
    }
    if (lstm__onnx_is_constant(&from))
        return expand_constant(import, &from, out, count, shape);
    *out = from;
    for (int k = 0; k < count; k++)
        if (shape[k] != from.shape[k])
            RETURN_IF_ERROR(repeat(import, node, out, k, shape[k]));
    return LSTM_OK;
}

const lstm__onnx_operator lstm__onnx_shape_operators[] = {
    {"Identity", same},
    {"Cast", cast},
    {"Dropout", dropout},
    {"Transpose", transpose},
    {"Squeeze", squeeze},
    {"Unsqueeze", unsqueeze},
    {"Expand", expand},
    {"Tile", tile},
    {"CastLike", same},
    {"Reshape", lstm__onnx_reshape},
    {"Flatten", lstm__onnx_flatten},
    {"Slice", lstm__onnx_slice},
    {"Gather", lstm__onnx_gather},
    {"Concat", lstm__onnx_concat},
    {"Split", lstm__onnx_split},
    {NULL, NULL},
};
