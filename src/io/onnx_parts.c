/* SPDX-License-Identifier: MIT
 *
 * Operators that take a part of an axis or put several together: Slice, Gather, Split, Concat.
 *
 * Of what layers give: one or some of the parts along an axis PART; the last step; features, by a
 * Dense layer of zeros and ones that does not learn; Concat of features or parts. Gather of rows of
 * a constant by tokens is an Embedding. Constants are cut in fact.
 */
#include "onnx_constants.h"
#include "onnx_shapes.h"

#include <string.h>

/* start, start + step, … count of them along one axis. */
typedef struct cut {
    int axis;
    int64_t start, step, count;
    bool drops; /* the axis goes away */
} cut;

static lstm_status cut_constant(lstm__onnx_import *import, const lstm__onnx_value *value,
                                lstm__onnx_value *out, const cut *c)
{
    const lstm__onnx_value from = *value;
    int64_t steps[LSTM__MOST_DIMENSIONS];
    int64_t shape[LSTM__MOST_DIMENSIONS];
    int rank = from.rank;
    lstm__onnx_steps(&from, steps);
    memcpy(shape, from.shape, sizeof shape);
    const int64_t start = c->count > 0 ? c->start * steps[c->axis] : 0;
    shape[c->axis] = c->count;
    steps[c->axis] *= c->step;
    if (c->drops) {
        for (int k = c->axis + 1; k < rank; k++) {
            shape[k - 1] = shape[k];
            steps[k - 1] = steps[k];
        }
        rank--;
    }
    return lstm__onnx_view(import, &from, out, rank, shape, start, steps);
}

static void resize(lstm__onnx_value *value, const cut *c)
{
    value->shape[c->axis] = c->count;
    for (int k = c->axis + 1; c->drops && k < value->rank; k++) {
        value->shape[k - 1] = value->shape[k];
        value->axis[k - 1] = value->axis[k];
    }
    value->rank -= c->drops;
}

static lstm_status take_parts(lstm__onnx_import *import, lstm__onnx_value *value, const cut *c)
{
    lstm__onnx_part parts[LSTM__ONNX_PARTS];
    for (int64_t k = 0; k < c->count; k++)
        parts[k] = value->parts[c->start + k * c->step];
    RETURN_IF_ERROR(lstm__onnx_set_parts(import, value, (int)c->count, parts));
    resize(value, c);
    return LSTM_OK;
}

/* The last step of a sequence, or the first one of a layer that has read it backwards. */
static lstm_status take_step(lstm__onnx_import *import, const lstm__onnx_node *node,
                             lstm__onnx_value *value, const cut *c)
{
    const lstm_global_pooling_options options = {.struct_size = sizeof options,
                                                 .ignore_mask = LSTM_YES};
    char text[160];
    lstm__onnx_part parts[LSTM__ONNX_PARTS];
    const bool last = c->start == value->shape[c->axis] - 1;
    if (c->count != 1 || (!last && c->start != 0))
        return lstm__onnx_refuse(
            node, "takes steps %lld to %lld of %s: expected the last one", (long long)c->start,
            (long long)(c->start + (c->count - 1) * c->step), lstm__onnx_describe(value, text));
    for (int k = 0; k < value->part_count; k++) {
        const lstm_layer *layer = value->parts[k].layer;
        lstm_layer *added = NULL;
        parts[k] = (lstm__onnx_part){layer, false};
        if (value->parts[k].turned && !last && !lstm__onnx_has_lengths(import)) {
            parts[k].layer = &layer->node->ports[1]; /* where it ended */
            continue;
        }
        lstm__onnx_value one = *value;
        one.part_count = 1;
        one.parts = &parts[k];
        parts[k].turned = value->parts[k].turned;
        if (!last)
            return lstm__onnx_refuse(node, "takes the first step of %s: expected the last one",
                                     lstm__onnx_describe(value, text));
        RETURN_IF_ERROR(lstm__onnx_join(import, &one, &layer));
        RETURN_IF_ERROR(
            lstm__onnx_add(import, &lstm__class_last_step, &options, &layer, 1, &added));
        parts[k] = (lstm__onnx_part){added, false};
    }
    RETURN_IF_ERROR(lstm__onnx_set_parts(import, value, value->part_count, parts));
    value->axis[c->axis] = LSTM__AXIS_ONE;
    resize(value, c);
    return LSTM_OK;
}

lstm_status lstm__onnx_select(lstm__onnx_import *import, lstm__onnx_value *value, int64_t first,
                              int64_t step, int64_t count)
{
    const lstm_layer *layer = NULL;
    lstm_layer *dense = NULL;
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    const int64_t width = layer->node->shapes[layer->port].features;
    const lstm_dense_options options = {
        .struct_size = sizeof options, .units = count, .use_bias = LSTM_NO};
    if (count > (1 << 12) || width > (1 << 12))
        return lstm__onnx_refuse(import->node, "takes %lld of %lld features: expected at most %d",
                                 (long long)count, (long long)width, 1 << 12);
    RETURN_IF_ERROR(lstm__onnx_spend(import, (size_t)(width * count), sizeof(float)));
    float *kernel = lstm__onnx_allocate(import->graph, (size_t)(width * count), sizeof *kernel);
    if (!kernel)
        return lstm__fail_memory((size_t)(width * count) * sizeof *kernel, "a selection");
    for (int64_t k = 0; k < count; k++)
        kernel[(first + k * step) * count + k] = 1;
    RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_dense, &options, &layer, 1, &dense));
    dense->node->rate = 0; /* not to be learned */
    RETURN_IF_ERROR(lstm__onnx_assign(import, dense, 0, kernel, (size_t)(width * count)));
    const lstm__onnx_part part = {dense, false};
    return lstm__onnx_set_parts(import, value, 1, &part);
}

/* All steps from the last to the first. */
static lstm_status turn_round(lstm__onnx_import *import, lstm__onnx_value *value)
{
    lstm__onnx_part parts[LSTM__ONNX_PARTS];
    memcpy(parts, value->parts, (size_t)value->part_count * sizeof *parts);
    for (int k = 0; k < value->part_count; k++)
        parts[k].turned = !parts[k].turned;
    return lstm__onnx_set_parts(import, value, value->part_count, parts);
}

static lstm_status take_features(lstm__onnx_import *import, lstm__onnx_value *value, const cut *c)
{
    int64_t before = 0;
    /* exactly one or some of the layers side by side */
    for (int first = 0; c->step == 1 && first < value->part_count; first++) {
        int64_t width = 0;
        for (int last = first; before == c->start && last < value->part_count; last++) {
            const lstm_layer *layer = value->parts[last].layer;
            width += layer->node->shapes[layer->port].features;
            if (width == c->count) {
                RETURN_IF_ERROR(
                    lstm__onnx_set_parts(import, value, last - first + 1, value->parts + first));
                resize(value, c);
                return LSTM_OK;
            }
        }
        const lstm_layer *layer = value->parts[first].layer;
        before += layer->node->shapes[layer->port].features;
    }
    RETURN_IF_ERROR(lstm__onnx_select(import, value, c->start, c->step, c->count));
    resize(value, c);
    return LSTM_OK;
}

static lstm_status apply(lstm__onnx_import *import, const lstm__onnx_node *node,
                         const lstm__onnx_value *value, lstm__onnx_value *out, const cut *c)
{
    char text[160];
    const lstm__onnx_value from = *value;
    if (lstm__onnx_is_constant(&from))
        return cut_constant(import, &from, out, c);
    *out = from;
    if (c->count == from.shape[c->axis] && c->step == 1 && !c->drops)
        return LSTM_OK;
    if (from.kind != LSTM__VALUE_LAYERS || c->count < 1)
        return lstm__onnx_refuse(node, "takes nothing, or a part of lengths");
    if (from.axis[c->axis] == LSTM__AXIS_PART)
        return take_parts(import, out, c);
    if (from.axis[c->axis] == LSTM__AXIS_STEP && c->step == -1 && !c->drops &&
        c->count == from.shape[c->axis])
        return turn_round(import, out);
    if (from.axis[c->axis] == LSTM__AXIS_STEP)
        return take_step(import, node, out, c);
    if (from.axis[c->axis] == LSTM__AXIS_FEATURE && lstm__onnx_axis(&from, LSTM__AXIS_PART) < 0 &&
        !(c->drops && from.shape[c->axis] != 1 && c->count != 1))
        return take_features(import, out, c);
    if (from.axis[c->axis] == LSTM__AXIS_ONE) {
        resize(out, c);
        return LSTM_OK;
    }
    return lstm__onnx_refuse(node, "takes %lld of axis %d of %s", (long long)c->count, c->axis,
                             lstm__onnx_describe(&from, text));
}

/* ---- Slice */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The rules of Slice: negative counts from the end, beyond the end is the end. */
static lstm_status cut_of(const lstm__onnx_node *node, int64_t size, int64_t start, int64_t end,
                          int64_t step, cut *c)
{
    if (step == 0 || step < -size - 1 || step > size + 1)
        step = step < 0 ? -size - 1 : step > 0 ? size + 1 : 0;
    if (step == 0)
        return lstm__onnx_refuse(node, "a step of 0");
    start = start < 0 ? (start < -size ? -1 : start + size) : start;
    end = end < 0 ? (end < -size ? -1 : end + size) : end;
    if (step > 0) {
        start = clamp(start, 0, size);
        end = clamp(end, 0, size);
    } else {
        start = clamp(start, 0, size - 1);
        end = clamp(end, -1, size - 1);
    }
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t stride = step > 0 ? step : -step;
    c->start = start;
    c->step = step;
    c->count = span > 0 ? (span + stride - 1) / stride : 0;
    return LSTM_OK;
}

lstm_status lstm__onnx_slice(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    enum { MOST = LSTM__MOST_DIMENSIONS };
    static const char *const attributes[] = {"starts", "ends", "axes"};
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t lists[4][MOST]; /* starts, ends, axes, steps */
    int counts[4] = {0};
    if (!out)
        return LSTM_OK;
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    for (int k = 0; k < 4; k++) {
        if (import->graph->opset >= 10 && lstm__onnx_input(import, node, k + 1))
            RETURN_IF_ERROR(lstm__onnx_read_integers(node, lstm__onnx_input(import, node, k + 1),
                                                     lists[k], MOST, &counts[k]));
        else if (import->graph->opset < 10 && k < 3)
            RETURN_IF_ERROR(lstm__onnx_ints(node, attributes[k], lists[k], MOST, &counts[k]));
    }
    if (counts[0] != counts[1] || (counts[2] && counts[2] != counts[0]) ||
        (counts[3] && counts[3] != counts[0]))
        return lstm__onnx_refuse(node, "%d starts, %d ends, %d axes, %d steps", counts[0],
                                 counts[1], counts[2], counts[3]);
    lstm__onnx_value work = *value;
    for (int k = 0; k < counts[0]; k++) {
        cut c = {0};
        RETURN_IF_ERROR(
            lstm__onnx_normalize_axis(node, counts[2] ? lists[2][k] : k, value->rank, &c.axis));
        RETURN_IF_ERROR(cut_of(node, work.shape[c.axis], lists[0][k], lists[1][k],
                               counts[3] ? lists[3][k] : 1, &c));
        const lstm__onnx_value before = work;
        RETURN_IF_ERROR(apply(import, node, &before, &work, &c));
    }
    *out = work;
    return LSTM_OK;
}

/* ---- Gather */

/* Rows of a table by tokens. */
static lstm_status embed(lstm__onnx_import *import, const lstm__onnx_node *node,
                         const lstm__onnx_value *table, lstm__onnx_value *tokens,
                         lstm__onnx_value *out)
{
    const lstm_embedding_options options = {
        .struct_size = sizeof options, .input_dim = table->shape[0], .output_dim = table->shape[1]};
    const lstm_layer *layer = NULL;
    lstm_layer *embedding = NULL;
    float *values = NULL;
    char text[160];
    const lstm__onnx_value from = *tokens;
    if (table->rank != 2 || from.kind != LSTM__VALUE_LAYERS || !from.whole ||
        from.rank >= LSTM__MOST_DIMENSIONS || lstm__onnx_axis(&from, LSTM__AXIS_FEATURE) >= 0)
        return lstm__onnx_refuse(node,
                                 "of a table of %d axes by %s: expected 2 axes, and whole "
                                 "numbers (batch, steps)",
                                 table->rank, lstm__onnx_describe(&from, text));
    RETURN_IF_ERROR(lstm__onnx_read_floats(import, table, &values));
    RETURN_IF_ERROR(lstm__onnx_join(import, tokens, &layer));
    RETURN_IF_ERROR(
        lstm__onnx_add(import, &lstm__class_embedding, &options, &layer, 1, &embedding));
    RETURN_IF_ERROR(lstm__onnx_assign(import, embedding, 0, values, lstm__onnx_count(table)));
    *out = from;
    out->whole = false;
    out->axis[out->rank] = LSTM__AXIS_FEATURE;
    out->shape[out->rank++] = table->shape[1];
    const lstm__onnx_part part = {embedding, false};
    return lstm__onnx_set_parts(import, out, 1, &part);
}

lstm_status lstm__onnx_gather(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *indices = lstm__onnx_input(import, node, 1);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t axis = 0;
    int64_t index[64];
    int count = 0;
    cut c = {0};
    if (!out)
        return LSTM_OK;
    if (!value || !indices)
        return lstm__onnx_refuse(node, "needs two inputs");
    RETURN_IF_ERROR(lstm__onnx_int(node, "axis", &axis));
    RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, axis, value->rank, &c.axis));
    if (!lstm__onnx_is_constant(indices)) {
        if (!lstm__onnx_is_constant(value) || c.axis != 0)
            return lstm__onnx_refuse(node, "takes by an index that depends on the inputs");
        return embed(import, node, value, indices, out);
    }
    RETURN_IF_ERROR(lstm__onnx_read_integers(node, indices, index, 64, &count));
    const int64_t size = value->shape[c.axis];
    for (int k = 0; k < count; k++) {
        index[k] += index[k] < 0 ? size : 0;
        if (index[k] < 0 || index[k] >= size)
            return lstm__onnx_refuse(node, "index %lld of an axis of %lld", (long long)index[k],
                                     (long long)size);
    }
    c.start = count ? index[0] : 0;
    c.step = count > 1 ? index[1] - index[0] : 1;
    c.count = count;
    c.drops = indices->rank == 0;
    for (int k = 1; k < count; k++)
        if (index[k] - index[k - 1] != c.step || c.step == 0)
            return lstm__onnx_refuse(node, "indices that are not evenly spaced");
    if (indices->rank > 1)
        return lstm__onnx_refuse(node, "indices with %d axes: expected at most one", indices->rank);
    return apply(import, node, value, out, &c);
}

/* ---- Split */

lstm_status lstm__onnx_split(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    int64_t sizes[LSTM__ONNX_PORTS];
    int64_t axis = 0;
    int count = 0;
    cut c = {.step = 1};
    if (!value)
        return lstm__onnx_refuse(node, "has no input");
    RETURN_IF_ERROR(lstm__onnx_int(node, "axis", &axis));
    RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, axis, value->rank, &c.axis));
    const int64_t size = value->shape[c.axis];
    if (lstm__onnx_input(import, node, 1))
        RETURN_IF_ERROR(lstm__onnx_read_integers(node, lstm__onnx_input(import, node, 1), sizes,
                                                 LSTM__ONNX_PORTS, &count));
    else
        RETURN_IF_ERROR(lstm__onnx_ints(node, "split", sizes, LSTM__ONNX_PORTS, &count));
    if (count == 0) {
        const int64_t each = (size + node->output_count - 1) / node->output_count;
        for (; count < node->output_count; count++)
            sizes[count] = clamp(size - count * each, 0, each);
    }
    int64_t sum = 0;
    for (int k = 0; k < count; k++) {
        if (sizes[k] < 0 || sizes[k] > size - sum)
            return lstm__onnx_refuse(node, "sizes that are not those of the axis");
        sum += sizes[k];
    }
    if (sum != size || count != node->output_count)
        return lstm__onnx_refuse(node, "%d pieces of %lld in all: expected %d of %lld", count,
                                 (long long)sum, node->output_count, (long long)size);
    const lstm__onnx_value from = *value;
    for (int k = 0; k < count; k++) {
        lstm__onnx_value *out = lstm__onnx_output(import, node, k);
        c.count = sizes[k];
        if (out)
            RETURN_IF_ERROR(apply(import, node, &from, out, &c));
        c.start += sizes[k];
    }
    return LSTM_OK;
}

/* ---- Concat */

static lstm_status concat_constants(lstm__onnx_import *import, const lstm__onnx_node *node,
                                    int axis, lstm__onnx_value *out)
{
    const lstm__onnx_value *first = lstm__onnx_input(import, node, 0);
    const int32_t kind = first->elements.kind;
    const size_t size = lstm__element_size(kind);
    lstm__onnx_value result = *first;
    size_t outer = 1;
    size_t total = 0;
    result.shape[axis] = 0;
    for (int k = 0; k < axis; k++)
        outer *= (size_t)first->shape[k];
    for (int k = 0; k < node->input_count; k++) {
        const lstm__onnx_value *value = lstm__onnx_input(import, node, k);
        for (int d = 0; d < first->rank; d++)
            if (value->rank != first->rank || value->elements.kind != kind ||
                (d != axis && value->shape[d] != first->shape[d]))
                return lstm__onnx_refuse(node, "constants that do not go together");
        if (value->elements.stride == 0 && value->elements.count > 65536)
            return lstm__onnx_refuse(node, "constants of a free size");
        total += value->elements.count;
        result.shape[axis] += value->shape[axis];
    }
    RETURN_IF_ERROR(lstm__onnx_spend(import, total, size));
    unsigned char *bytes = lstm__onnx_allocate(import->graph, total + 1, size);
    if (!bytes)
        return lstm__fail_memory(total * size, "a constant of the ONNX file");
    size_t done = 0;
    for (size_t row = 0; row < outer; row++)
        for (int k = 0; k < node->input_count; k++) {
            const lstm__elements *e = &lstm__onnx_input(import, node, k)->elements;
            const size_t width = e->count / (outer ? outer : 1);
            for (size_t at = 0; at < width; at++)
                memcpy(bytes + size * done++, e->bytes + (row * width + at) * e->stride, size);
        }
    result.elements = (lstm__elements){
        .bytes = bytes, .kind = kind, .stride = size, .count = total};
    *out = result;
    return LSTM_OK;
}

void lstm__onnx_name_feature(lstm__onnx_value *value, int place)
{
    if (value->kind == LSTM__VALUE_LAYERS && lstm__onnx_axis(value, LSTM__AXIS_FEATURE) < 0 &&
        value->axis[place] == LSTM__AXIS_ONE)
        value->axis[place] = LSTM__AXIS_FEATURE;
}

static bool fits(const lstm__onnx_value *a, const lstm__onnx_value *b, int axis)
{
    for (int k = 0; k < a->rank; k++)
        if (a->rank != b->rank || (a->axis[k] != b->axis[k] && k != axis) ||
            (k != axis && a->shape[k] != b->shape[k]))
            return false;
    return a->kind == LSTM__VALUE_LAYERS && b->kind == LSTM__VALUE_LAYERS;
}

lstm_status lstm__onnx_concat(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm__onnx_part parts[LSTM__ONNX_PARTS];
    int count = 0;
    int64_t given = 0;
    int axis = 0;
    char text[160];
    if (!out)
        return LSTM_OK;
    for (int k = 0; k < node->input_count; k++)
        if (!lstm__onnx_input(import, node, k))
            return lstm__onnx_refuse(node, "input %d is left out", k);
    lstm__onnx_value *first = lstm__onnx_input(import, node, 0);
    if (!first)
        return lstm__onnx_refuse(node, "has no inputs");
    RETURN_IF_ERROR(lstm__onnx_int(node, "axis", &given));
    RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, given, first->rank, &axis));
    if (lstm__onnx_all_constant(import, node))
        return concat_constants(import, node, axis, out);
    lstm__onnx_name_feature(first, axis);
    lstm__onnx_value result = *first;
    result.shape[axis] = 0;
    for (int k = 0; k < node->input_count; k++) {
        lstm__onnx_value *value = lstm__onnx_input(import, node, k);
        lstm__onnx_name_feature(value, axis);
        const int kind = value->axis[axis];
        if (!fits(first, value, axis) ||
            (kind != LSTM__AXIS_FEATURE && kind != LSTM__AXIS_PART && kind != LSTM__AXIS_ONE) ||
            (kind == LSTM__AXIS_FEATURE && lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0) ||
            (kind == LSTM__AXIS_ONE && value->part_count != 1))
            return lstm__onnx_refuse(node, "puts axis %d of %s together", axis,
                                     lstm__onnx_describe(value, text));
        if (count + value->part_count > LSTM__ONNX_PARTS)
            return lstm__onnx_refuse(node, "more than %d layers side by side",
                                     (int)LSTM__ONNX_PARTS);
        memcpy(parts + count, value->parts, (size_t)value->part_count * sizeof *parts);
        count += value->part_count;
        result.shape[axis] += value->shape[axis];
    }
    if (result.axis[axis] == LSTM__AXIS_ONE)
        result.axis[axis] = LSTM__AXIS_PART;
    *out = result;
    return lstm__onnx_set_parts(import, out, count, parts);
}
