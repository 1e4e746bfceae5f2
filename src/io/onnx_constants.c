/* SPDX-License-Identifier: MIT
 *
 * Constants. What only moves elements (Transpose, Slice, Expand, Gather of one index …) is a view: a
 * start and a step for each axis. A constant that is one number everywhere (ConstantOfShape, zeros
 * for a first state) has elements with stride 0 and stays so under every view.
 *
 * A result may have at most MOST_RESULT elements, and all together take MOST_MADE bytes and some
 * times the file, also as the floats that layers are filled with: shapes in a file cannot ask for
 * more memory.
 */
#include "onnx_constants.h"
#include "checked.h"

#include <math.h>
#include <string.h>

enum { MOST_RESULT = 1 << 24, MOST_MADE = 128 << 20 };

void lstm__onnx_steps(const lstm__onnx_value *value, int64_t steps[LSTM__MOST_DIMENSIONS])
{
    int64_t step = 1;
    for (int k = value->rank; k-- > 0;) {
        steps[k] = step;
        if (__builtin_mul_overflow(step, value->shape[k], &step))
            step = 0; /* an empty array, or one that is the same everywhere */
    }
}

void lstm__onnx_rename(lstm__onnx_value *out, const lstm__onnx_value *source, int rank,
                       const int64_t *shape)
{
    const lstm__elements elements = source->elements;
    int64_t copy[LSTM__MOST_DIMENSIONS] = {0};
    memcpy(copy, shape, (size_t)rank * sizeof *copy);
    *out = (lstm__onnx_value){.kind = LSTM__VALUE_CONSTANT, .rank = rank, .elements = elements};
    memcpy(out->shape, copy, sizeof copy);
}

static lstm_status too_large(const lstm__onnx_import *import)
{
    return lstm__onnx_refuse(import->node, "a constant of more than %d elements is made",
                             (int)MOST_RESULT);
}

/* Count memory for constants that are made: together at most MOST_MADE and some times the file. */
lstm_status lstm__onnx_spend(lstm__onnx_import *import, size_t count, size_t size)
{
    const size_t most = MOST_MADE + 8 * (import->graph->file_size + import->graph->external_size);
    size_t bytes = 0;
    if (!lstm__mul(count, size, &bytes) || !lstm__add(import->made, bytes, &import->made) ||
        import->made > most)
        return lstm__onnx_refuse(import->node,
                                 "constants of more than %zu bytes are made in the graph", most);
    return LSTM_OK;
}

lstm_status lstm__onnx_view(lstm__onnx_import *import, const lstm__onnx_value *source,
                            lstm__onnx_value *out, int rank, const int64_t *shape, int64_t start,
                            const int64_t *steps)
{
    const lstm__elements from = source->elements;
    const size_t size = lstm__element_size(from.kind);
    int64_t index[LSTM__MOST_DIMENSIONS] = {0};
    size_t count = 0;
    if (!lstm__product(shape, (size_t)rank, &count))
        return too_large(import);
    if (from.stride == 0) {
        lstm__onnx_rename(out, source, rank, shape);
        out->elements.count = count;
        return LSTM_OK;
    }
    if (count > MOST_RESULT && count > from.count)
        return too_large(import);
    RETURN_IF_ERROR(lstm__onnx_spend(import, count, size));
    unsigned char *bytes = lstm__onnx_allocate(import->graph, count + 1, size);
    if (!bytes)
        return lstm__fail_memory(count * size, "a constant of the ONNX file");
    int64_t at = start;
    for (size_t k = 0; k < count; k++) {
        memcpy(bytes + k * size, from.bytes + (size_t)at * from.stride, size);
        for (int axis = rank; axis-- > 0;) {
            at += steps[axis];
            if (++index[axis] < shape[axis])
                break;
            at -= steps[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    lstm__onnx_rename(out, source, rank, shape);
    out->elements = (lstm__elements){
        .bytes = bytes, .kind = from.kind, .stride = size, .count = count};
    return LSTM_OK;
}

lstm_status lstm__onnx_set_integers(lstm__onnx_import *import, lstm__onnx_value *out, int rank,
                                    const int64_t *numbers, int64_t count)
{
    int64_t *copy = lstm__onnx_allocate(import->graph, (size_t)count + 1, sizeof *copy);
    if (!copy)
        return lstm__fail_memory((size_t)count * sizeof *copy, "a shape of the ONNX file");
    memcpy(copy, numbers, (size_t)count * sizeof *copy);
    *out = (lstm__onnx_value){.kind = LSTM__VALUE_CONSTANT,
                              .rank = rank,
                              .elements = {.bytes = (const unsigned char *)copy,
                                           .kind = LSTM__I64,
                                           .stride = sizeof *copy,
                                           .count = (size_t)count}};
    out->shape[0] = count;
    return LSTM_OK;
}

/* ---- Arithmetic */

lstm_status lstm__onnx_broadcast(const lstm__onnx_node *node, const lstm__onnx_value *a,
                                 const lstm__onnx_value *b, int *rank, int64_t *shape)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int k = 0; k < *rank; k++) {
        const int64_t one = k < *rank - a->rank ? 1 : a->shape[k - (*rank - a->rank)];
        const int64_t other = k < *rank - b->rank ? 1 : b->shape[k - (*rank - b->rank)];
        if (one != other && one != 1 && other != 1)
            return lstm__onnx_refuse(node, "sizes %lld and %lld do not go together", (long long)one,
                                     (long long)other);
        shape[k] = one == 1 ? other : one;
    }
    return LSTM_OK;
}

/* An operand stretched to the shape of the result. */
static lstm_status stretch(lstm__onnx_import *import, const lstm__onnx_value *source,
                           lstm__onnx_value *out, int rank, const int64_t *shape)
{
    int64_t steps[LSTM__MOST_DIMENSIONS];
    int64_t wide[LSTM__MOST_DIMENSIONS] = {0};
    lstm__onnx_steps(source, steps);
    for (int k = 0; k < source->rank; k++)
        wide[k + rank - source->rank] = source->shape[k] == 1 ? 0 : steps[k];
    return lstm__onnx_view(import, source, out, rank, shape, 0, wide);
}

static bool is_whole(const lstm__onnx_value *value)
{
    return value->elements.kind != LSTM__F16 && value->elements.kind != LSTM__BF16 &&
           value->elements.kind != LSTM__F32 && value->elements.kind != LSTM__F64;
}

static bool compute(const char *op, bool whole, double a, double b, double *result)
{
    if (strcmp(op, "Add") == 0)
        *result = a + b;
    else if (strcmp(op, "Sub") == 0)
        *result = a - b;
    else if (strcmp(op, "Mul") == 0)
        *result = a * b;
    else if (strcmp(op, "Div") == 0)
        *result = whole ? (b == 0 ? NAN : trunc(a / b)) : a / b;
    else if (strcmp(op, "Equal") == 0)
        *result = a == b;
    else if (strcmp(op, "Min") == 0)
        *result = a < b ? a : b;
    else if (strcmp(op, "Max") == 0)
        *result = a > b ? a : b;
    else
        return false;
    return true;
}

static lstm_status store(lstm__onnx_import *import, const lstm__onnx_node *node, bool whole,
                         double *numbers, size_t count, lstm__onnx_value *out)
{
    int64_t *integers = (int64_t *)(void *)numbers; /* in place: both have 8 bytes */
    for (size_t k = 0; whole && k < count; k++) {
        const double number = numbers[k];
        if (!(fabs(number) < 9e15))
            return lstm__onnx_refuse(node, "result %zu is %g: too large for a size", k, number);
        const int64_t integer = (int64_t)number;
        memcpy(&integers[k], &integer, sizeof integer);
    }
    (void)import;
    out->elements = (lstm__elements){.bytes = (const unsigned char *)numbers,
                                     .kind = whole ? LSTM__I64 : LSTM__F64,
                                     .stride = 8,
                                     .count = count};
    return LSTM_OK;
}

lstm_status lstm__onnx_fold(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *a = lstm__onnx_input(import, node, 0);
    const lstm__onnx_value *b = lstm__onnx_input(import, node, 1);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm__onnx_value wide[2];
    int64_t shape[LSTM__MOST_DIMENSIONS] = {0};
    int rank = 0;
    size_t count = 0;
    if (!out)
        return LSTM_OK;
    if (!lstm__onnx_is_constant(a) || !lstm__onnx_is_constant(b) || node->input_count != 2)
        return lstm__onnx_refuse(node, "expected two constants");
    const bool whole = is_whole(a) && is_whole(b);
    RETURN_IF_ERROR(lstm__onnx_broadcast(node, a, b, &rank, shape));
    if (!lstm__product(shape, (size_t)rank, &count) ||
        (count > MOST_RESULT && (a->elements.stride || b->elements.stride)))
        return too_large(import);
    if (a->elements.stride == 0 && b->elements.stride == 0)
        count = 1;
    RETURN_IF_ERROR(stretch(import, a, &wide[0], rank, shape));
    RETURN_IF_ERROR(stretch(import, b, &wide[1], rank, shape));
    double *numbers[2];
    RETURN_IF_ERROR(lstm__onnx_spend(import, count, 2 * sizeof(double)));
    for (int k = 0; k < 2; k++) {
        lstm__elements elements = wide[k].elements;
        elements.count = count;
        numbers[k] = lstm__onnx_allocate(import->graph, count + 1, sizeof(double));
        if (!numbers[k])
            return lstm__fail_memory(count * sizeof(double), "a constant of the ONNX file");
        lstm__read_doubles(&elements, numbers[k]);
    }
    for (size_t k = 0; k < count; k++)
        if (!compute(node->op, whole, numbers[0][k], numbers[1][k], &numbers[0][k]))
            return lstm__onnx_refuse(node, "not done on constants");
    const bool fill = a->elements.stride == 0 && b->elements.stride == 0;
    lstm__onnx_rename(out, &wide[0], rank, shape);
    const size_t total = out->elements.count;
    RETURN_IF_ERROR(
        store(import, node, whole || strcmp(node->op, "Equal") == 0, numbers[0], count, out));
    if (fill) {
        out->elements.count = total;
        out->elements.stride = 0;
    }
    return LSTM_OK;
}

/* ---- Operators */

static lstm_status set_tensor(const lstm__onnx_tensor *tensor, lstm__onnx_value *out)
{
    *out = (lstm__onnx_value){
        .kind = LSTM__VALUE_CONSTANT, .rank = tensor->rank, .elements = tensor->elements};
    memcpy(out->shape, tensor->shape, sizeof out->shape);
    return LSTM_OK;
}

static lstm_status set_floats(lstm__onnx_import *import, lstm__onnx_value *out, int rank,
                              const float *numbers, int64_t count)
{
    float *copy = lstm__onnx_allocate(import->graph, (size_t)count + 1, sizeof *copy);
    if (!copy)
        return lstm__fail_memory((size_t)count * sizeof *copy, "a constant of the ONNX file");
    memcpy(copy, numbers, (size_t)count * sizeof *copy);
    const int64_t shape[1] = {count};
    const lstm__onnx_value source = {.elements = {.bytes = (const unsigned char *)copy,
                                                  .kind = LSTM__F32,
                                                  .stride = sizeof *copy,
                                                  .count = (size_t)count}};
    lstm__onnx_rename(out, &source, rank, shape);
    return LSTM_OK;
}

static lstm_status constant(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm__onnx_tensor tensor;
    int64_t integers[64];
    float floats[64];
    bool found = false;
    int count = 0;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_tensor_attribute(import->graph, node, "value", &tensor, &found));
    if (found)
        return set_tensor(&tensor, out);
    if (lstm__onnx_has_attribute(node, "value_int")) {
        RETURN_IF_ERROR(lstm__onnx_int(node, "value_int", &integers[0]));
        return lstm__onnx_set_integers(import, out, 0, integers, 1);
    }
    if (lstm__onnx_has_attribute(node, "value_float")) {
        RETURN_IF_ERROR(lstm__onnx_float(node, "value_float", &floats[0]));
        return set_floats(import, out, 0, floats, 1);
    }
    if (lstm__onnx_has_attribute(node, "value_ints")) {
        RETURN_IF_ERROR(lstm__onnx_ints(node, "value_ints", integers, 64, &count));
        return lstm__onnx_set_integers(import, out, 1, integers, count);
    }
    if (lstm__onnx_has_attribute(node, "value_floats")) {
        RETURN_IF_ERROR(lstm__onnx_floats(node, "value_floats", floats, 64, &count));
        return set_floats(import, out, 1, floats, count);
    }
    return lstm__onnx_refuse(node, "has none of the attributes value, value_int, value_float, "
                                   "value_ints and value_floats");
}

static lstm_status constant_of_shape(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    static const float zero;
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm__onnx_tensor tensor;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    int rank = 0;
    bool found = false;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_read_integers(node, lstm__onnx_input(import, node, 0), shape,
                                             LSTM__MOST_DIMENSIONS, &rank));
    RETURN_IF_ERROR(lstm__onnx_tensor_attribute(import->graph, node, "value", &tensor, &found));
    size_t count = 0;
    if (!lstm__product(shape, (size_t)rank, &count))
        return lstm__onnx_refuse(node, "a shape that is negative or too large");
    if (found && tensor.elements.count != 1)
        return lstm__onnx_refuse(node, "\"value\" has %zu elements: expected one",
                                 tensor.elements.count);
    const lstm__onnx_value source = {
        .elements = {.bytes = found ? tensor.elements.bytes : (const unsigned char *)&zero,
                     .kind = found ? tensor.elements.kind : LSTM__F32,
                     .stride = 0,
                     .count = count}};
    lstm__onnx_rename(out, &source, rank, shape);
    return LSTM_OK;
}

static lstm_status shape_of(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t start = 0;
    if (!out)
        return LSTM_OK;
    if (!value || value->kind == LSTM__VALUE_NONE)
        return lstm__onnx_refuse(node, "the shape of nothing");
    int64_t end = value->rank;
    RETURN_IF_ERROR(lstm__onnx_int(node, "start", &start));
    RETURN_IF_ERROR(lstm__onnx_int(node, "end", &end));
    start = start < 0 ? start + value->rank : start;
    end = end < 0 ? end + value->rank : end;
    start = start < 0 ? 0 : start;
    end = end > value->rank ? value->rank : end;
    return lstm__onnx_set_integers(import, out, 1, value->shape + start,
                                   end > start ? end - start : 0);
}

static lstm_status where(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    int64_t condition[64];
    int64_t numbers[2][64];
    int count = 0;
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    const lstm__onnx_value *first = lstm__onnx_input(import, node, 0);
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_read_integers(node, first, condition, 64, &count));
    for (int k = 0; k < 2; k++) {
        int own = 0;
        RETURN_IF_ERROR(lstm__onnx_read_integers(node, lstm__onnx_input(import, node, k + 1),
                                                 numbers[k], 64, &own));
        for (int place = 1; own == 1 && place < count; place++)
            numbers[k][place] = numbers[k][0];
        if (own != count && own != 1)
            return lstm__onnx_refuse(node, "choices of %d numbers for %d conditions", own, count);
    }
    for (int k = 0; k < count; k++)
        numbers[0][k] = numbers[condition[k] ? 0 : 1][k];
    return lstm__onnx_set_integers(import, out, first->rank > 1 ? 1 : first->rank, numbers[0],
                                   count);
}

const lstm__onnx_operator lstm__onnx_constant_operators[] = {
    {"Constant", constant}, {"ConstantOfShape", constant_of_shape},
    {"Shape", shape_of},    {"Equal", lstm__onnx_fold},
    {"Where", where},       {NULL, NULL},
};
