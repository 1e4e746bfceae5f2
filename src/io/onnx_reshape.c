/* SPDX-License-Identifier: MIT
 *
 * Reshape and Flatten. The axes before and after are walked together; the smallest groups of equal
 * size belong to each other. What a group of axes becomes:
 *
 *     one to one              the same axis
 *     PART, FEATURE           FEATURE: the directions side by side
 *     FEATURE                 PART, FEATURE: apart again
 *     BATCH, STEP             one axis of all rows, for a product with each of them; and back
 *     STEP, FEATURE           FEATURE: a Flatten layer
 *     FEATURE of a vector     STEP, FEATURE: a Reshape layer
 */
#include "checked.h"
#include "onnx_constants.h"
#include "onnx_shapes.h"

#include <string.h>

enum { MOST = LSTM__MOST_DIMENSIONS };

typedef struct walk {
    lstm__onnx_import *import;
    const lstm__onnx_node *node;
    lstm__onnx_value *out; /* what comes out; its layers are replaced on the way */
    lstm__onnx_value from;
    int64_t shape[MOST]; /* wanted */
    int rank;
} walk;

/* 0 = as before (unless allowzero), -1 = what is left. */
static lstm_status complete(walk *w, bool allow_zero)
{
    size_t total = 1;
    size_t known = 1;
    int open = -1;
    if (!lstm__product(w->from.shape, (size_t)w->from.rank, &total))
        return lstm__onnx_refuse(w->node, "its input is too large");
    for (int k = 0; k < w->rank; k++) {
        if (w->shape[k] == 0 && !allow_zero) {
            if (k >= w->from.rank)
                return lstm__onnx_refuse(w->node, "size %d is 0: the input has %d axes", k,
                                         w->from.rank);
            w->shape[k] = w->from.shape[k];
        }
        if (w->shape[k] == -1 && open < 0)
            open = k;
        else if (w->shape[k] < 0 || !lstm__mul(known, (size_t)w->shape[k], &known))
            return lstm__onnx_refuse(w->node, "size %d is %lld", k, (long long)w->shape[k]);
    }
    if (open >= 0 && (known == 0 || total % known != 0))
        return lstm__onnx_refuse(w->node, "%zu elements do not divide into rows of %zu", total,
                                 known);
    if (open >= 0) {
        w->shape[open] = (int64_t)(total / known);
        known = total;
    }
    if (known != total)
        return lstm__onnx_refuse(
            w->node,
            "%zu elements become %zu (a batch or a number of steps that is fixed in the "
            "file has to be free, or the same everywhere)",
            total, known);
    return LSTM_OK;
}

static void put(walk *w, int kind, int64_t size)
{
    w->out->axis[w->out->rank] = kind;
    w->out->shape[w->out->rank++] = size;
}

static lstm_status replace(walk *w, const lstm__layer_class *class, const void *options)
{
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    RETURN_IF_ERROR(lstm__onnx_join(w->import, &w->from, &layer));
    RETURN_IF_ERROR(lstm__onnx_add(w->import, class, options, &layer, 1, &added));
    const lstm__onnx_part part = {added, false};
    return lstm__onnx_set_parts(w->import, w->out, 1, &part);
}

/* Axes first to last - 1 of the input become one of `size`. */
static lstm_status merge(walk *w, int first, int last, int64_t size)
{
    const int *axis = w->from.axis + first;
    const lstm_reshape_options options = {.struct_size = sizeof options};
    char text[160];
    if (last - first == 2 && axis[0] == LSTM__AXIS_PART && axis[1] == LSTM__AXIS_FEATURE) {
        put(w, LSTM__AXIS_FEATURE, size);
        return LSTM_OK;
    }
    if (last - first == 2 && axis[0] == LSTM__AXIS_BATCH && axis[1] == LSTM__AXIS_STEP) {
        put(w, LSTM__AXIS_BATCH_STEP, size);
        return LSTM_OK;
    }
    if (last - first == 2 && axis[0] == LSTM__AXIS_STEP && axis[1] == LSTM__AXIS_BATCH) {
        put(w, LSTM__AXIS_STEP_BATCH, size);
        return LSTM_OK;
    }
    const bool joined = last - first == 3 && axis[0] == LSTM__AXIS_STEP &&
                        axis[1] == LSTM__AXIS_PART && axis[2] == LSTM__AXIS_FEATURE;
    const bool steps = last - first == 2 && axis[0] == LSTM__AXIS_STEP &&
                       axis[1] == LSTM__AXIS_FEATURE;
    const bool free_steps = w->from.shape[first] == LSTM__ONNX_PROBE_STEPS;
    if ((joined || steps) && !free_steps) {
        put(w, LSTM__AXIS_FEATURE, size);
        return replace(w, &lstm__class_flatten, &options);
    }
    return lstm__onnx_refuse(w->node, "puts axes %d to %d of %s together", first, last - 1,
                             lstm__onnx_describe(&w->from, text));
}

/* Axis `at` of the input becomes `count` axes of the sizes at `shape`. */
static lstm_status divide(walk *w, int at, const int64_t *shape, int count)
{
    const int kind = w->from.axis[at];
    char text[160];
    if (count == 2 && kind == LSTM__AXIS_BATCH_STEP) {
        put(w, LSTM__AXIS_BATCH, shape[0]);
        put(w, LSTM__AXIS_STEP, shape[1]);
        return LSTM_OK;
    }
    if (count == 2 && kind == LSTM__AXIS_STEP_BATCH) {
        put(w, LSTM__AXIS_STEP, shape[0]);
        put(w, LSTM__AXIS_BATCH, shape[1]);
        return LSTM_OK;
    }
    if (count == 2 && kind == LSTM__AXIS_FEATURE && shape[0] == w->from.part_count &&
        w->from.part_count > 1) {
        put(w, LSTM__AXIS_PART, shape[0]);
        put(w, LSTM__AXIS_FEATURE, shape[1]);
        return LSTM_OK;
    }
    if (count == 2 && kind == LSTM__AXIS_FEATURE &&
        lstm__onnx_axis(&w->from, LSTM__AXIS_STEP) < 0) {
        const lstm_reshape_options options = {
            .struct_size = sizeof options, .steps = shape[0], .features = shape[1]};
        put(w, LSTM__AXIS_STEP, shape[0]);
        put(w, LSTM__AXIS_FEATURE, shape[1]);
        return replace(w, &lstm__class_reshape, &options);
    }
    return lstm__onnx_refuse(w->node, "takes axis %d of %s apart", at,
                             lstm__onnx_describe(&w->from, text));
}

/* An axis of size 1 that goes away. */
static lstm_status drop(walk *w, int at)
{
    const lstm_global_pooling_options options = {.struct_size = sizeof options,
                                                 .ignore_mask = LSTM_YES};
    if (w->from.axis[at] == LSTM__AXIS_STEP)
        return replace(w, &lstm__class_last_step, &options);
    /* one feature of each direction: the directions are the features */
    if (w->from.axis[at] == LSTM__AXIS_FEATURE && at > 0 &&
        w->from.axis[at - 1] == LSTM__AXIS_PART && w->out->rank > 0 &&
        w->out->axis[w->out->rank - 1] == LSTM__AXIS_PART)
        w->out->axis[w->out->rank - 1] = LSTM__AXIS_FEATURE;
    return LSTM_OK;
}

static lstm_status step(walk *w, int *i, int *j)
{
    const lstm__onnx_value *from = &w->from;
    const bool one_before = *i < from->rank && from->shape[*i] == 1;
    const bool one_after = *j < w->rank && w->shape[*j] == 1;
    if (one_before && !one_after)
        return drop(w, (*i)++);
    if (one_after && !one_before) {
        put(w, LSTM__AXIS_ONE, 1);
        (*j)++;
        return LSTM_OK;
    }
    const int first = *i;
    const int target = *j;
    int64_t before = from->shape[(*i)++];
    int64_t after = w->shape[(*j)++];
    while (before != after) {
        if (before < after ? *i == from->rank : *j == w->rank)
            return lstm__onnx_refuse(w->node, "sizes do not go together");
        if (before < after ? __builtin_mul_overflow(before, from->shape[(*i)++], &before)
                           : __builtin_mul_overflow(after, w->shape[(*j)++], &after))
            return lstm__onnx_refuse(w->node, "sizes that are too large");
    }
    if (*i - first == 1 && *j - target == 1) {
        put(w, from->axis[first], before);
        return LSTM_OK;
    }
    if (*j - target == 1)
        return merge(w, first, *i, before);
    if (*i - first == 1)
        return divide(w, first, w->shape + target, *j - target);
    return lstm__onnx_refuse(w->node, "axes %d to %d are put together and taken apart", first,
                             *i - 1);
}

static lstm_status run(walk *w)
{
    int i = 0;
    int j = 0;
    w->from = *w->out;
    if (w->from.kind == LSTM__VALUE_CONSTANT) {
        const lstm__onnx_value source = w->from;
        lstm__onnx_rename(w->out, &source, w->rank, w->shape);
        return LSTM_OK;
    }
    if (w->from.kind != LSTM__VALUE_LAYERS)
        return lstm__onnx_refuse(w->node, "reads no numbers");
    w->out->rank = 0;
    while (i < w->from.rank || j < w->rank) {
        if (w->out->rank >= MOST)
            return lstm__onnx_refuse(w->node, "more than %d axes", (int)MOST);
        if ((i == w->from.rank && w->shape[j] != 1) || (j == w->rank && w->from.shape[i] != 1))
            return lstm__onnx_refuse(w->node, "sizes do not go together");
        RETURN_IF_ERROR(step(w, &i, &j));
    }
    return LSTM_OK;
}

lstm_status lstm__onnx_reshape(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    walk w = {.import = import, .node = node, .out = lstm__onnx_output(import, node, 0)};
    int64_t allow_zero = 0;
    if (!w.out)
        return LSTM_OK;
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    RETURN_IF_ERROR(lstm__onnx_int(node, "allowzero", &allow_zero));
    RETURN_IF_ERROR(
        lstm__onnx_read_integers(node, lstm__onnx_input(import, node, 1), w.shape, MOST, &w.rank));
    w.from = *value;
    *w.out = *value;
    RETURN_IF_ERROR(complete(&w, allow_zero != 0));
    return run(&w);
}

/* Flatten: two axes. */
lstm_status lstm__onnx_flatten(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    walk w = {.import = import, .node = node, .out = lstm__onnx_output(import, node, 0), .rank = 2};
    int64_t axis = 1;
    if (!w.out)
        return LSTM_OK;
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    RETURN_IF_ERROR(lstm__onnx_int(node, "axis", &axis));
    axis = axis < 0 ? axis + value->rank : axis;
    if (axis < 0 || axis > value->rank)
        return lstm__onnx_refuse(node, "axis %lld of %d", (long long)axis, value->rank);
    w.from = *value;
    *w.out = *value;
    w.shape[0] = w.shape[1] = 1;
    for (int k = 0; k < value->rank; k++)
        if (__builtin_mul_overflow(w.shape[k >= axis], value->shape[k], &w.shape[k >= axis]))
            return lstm__onnx_refuse(node, "sizes that are too large");
    return run(&w);
}
