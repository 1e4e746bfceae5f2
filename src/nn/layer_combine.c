/* SPDX-License-Identifier: MIT
 * Layers of several inputs: Add, Subtract, Multiply, Average, Maximum element by element, and
 * Concatenate of the features. A step of the result is valid where it is in every input. Of equal
 * largest values the first one gets the gradient.
 */
#include "layer_ports.h"

#include <stddef.h>
#include <stdio.h>

typedef struct buffers {
    unsigned char *mask; /* the inputs' masks together */
} buffers;

static const lstm__option options[] = {
    LSTM__OPTIONS_END,
};

static const lstm__option concatenate_options[] = {
    LSTM__FIXED("axis", "-1"),
    LSTM__OPTIONS_END,
};

/* "(7 steps, 11 features)" */
static void describe(lstm__shape shape, char text[64])
{
    if (shape.steps == 0)
        snprintf(text, 64, "(%lld features)", (long long)shape.features);
    else if (shape.steps < 0)
        snprintf(text, 64, "(any number of steps, %lld features)", (long long)shape.features);
    else
        snprintf(text, 64, "(%lld steps, %lld features)", (long long)shape.steps,
                 (long long)shape.features);
}

static lstm_status mismatch(const lstm__node *node, int input)
{
    char first[64];
    char other[64];
    describe(lstm__input_shape(node, 0), first);
    describe(lstm__input_shape(node, input), other);
    return lstm__fail(LSTM_ERROR_SHAPE,
                      "layer \"%s\" has the shape %s, layer \"%s\" %s: they do not go together",
                      node->inputs[0]->node->name, first, node->inputs[input]->node->name, other);
}

static lstm_status define_elements(lstm__node *node)
{
    const lstm__shape shape = lstm__input_shape(node, 0);
    for (int k = 1; k < node->input_count; k++) {
        const lstm__shape other = lstm__input_shape(node, k);
        if (other.steps != shape.steps || other.features != shape.features)
            return mismatch(node, k);
    }
    node->port_count = 1;
    node->shapes[0] = shape;
    return LSTM_OK;
}

static lstm_status define_concatenate(lstm__node *node)
{
    lstm__shape shape = lstm__input_shape(node, 0);
    for (int k = 1; k < node->input_count; k++) {
        const lstm__shape other = lstm__input_shape(node, k);
        if (other.steps != shape.steps)
            return mismatch(node, k);
        if (__builtin_add_overflow(shape.features, other.features, &shape.features))
            return lstm__fail(LSTM_ERROR_SHAPE, "the features of all inputs are too many");
    }
    node->port_count = 1;
    node->shapes[0] = shape;
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    b->mask = lstm__carve(
        arena, node->shapes[0].steps == 0 ? 0 : lstm__session_max_rows(session, node->shapes[0]),
        1);
    lstm__plan_port(node, session, 0, arena);
}

static void join_masks(const lstm__node *node, lstm_session *session, const buffers *b)
{
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const unsigned char *mask = NULL;
    for (int k = 0; node->shapes[0].steps != 0 && k < node->input_count; k++) {
        const unsigned char *other = lstm__input_mask(node, session, k);
        if (!other || other == mask)
            continue;
        for (size_t r = 0; mask && r < rows; r++)
            b->mask[r] = mask[r] && other[r];
        mask = mask ? b->mask : other;
    }
    lstm__session_own(session, node, 0)->mask = mask;
}

/* ---- Element by element */

/* y = y (op) x for one row. */
static void combine(const lstm__layer_class *class, size_t columns, const real *x, real *y)
{
    if (class == &lstm__class_subtract)
        for (size_t c = 0; c < columns; c++)
            y[c] -= x[c];
    else if (class == &lstm__class_multiply)
        for (size_t c = 0; c < columns; c++)
            y[c] *= x[c];
    else if (class == &lstm__class_maximum)
        for (size_t c = 0; c < columns; c++)
            y[c] = x[c] > y[c] ? x[c] : y[c];
    else
        for (size_t c = 0; c < columns; c++)
            y[c] += x[c];
}

static void forward_elements(const lstm__node *node, lstm_session *session, void *memory)
{
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const size_t columns = (size_t)node->shapes[0].features;
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    for (int k = 0; k < node->input_count; k++) {
        const lstm__view x = lstm__input_value(node, session, k);
        if (k == 0)
            session->model->kernels->copy_rows(rows, columns, x.data, x.stride, y.data, y.stride,
                                               0);
        for (size_t r = 0; k > 0 && r < rows; r++)
            combine(node->class, columns, x.data + r * x.stride, y.data + r * y.stride);
    }
    if (node->class == &lstm__class_average)
        session->model->kernels->scale(rows * columns, 1 / (real)node->input_count, y.data);
    join_masks(node, session, memory);
}

/* d(product)/d(input k) without division, as an input may be 0. */
static real others(const lstm__node *node, lstm_session *session, int k, size_t row, size_t column)
{
    real product = 1;
    for (int other = 0; other < node->input_count; other++) {
        const lstm__view x = lstm__input_value(node, session, other);
        if (other != k)
            product *= x.data[row * x.stride + column];
    }
    return product;
}

/* Whether input k is the first of the largest. */
static bool is_largest(const lstm__node *node, lstm_session *session, int k, size_t row,
                       size_t column)
{
    const lstm__view own = lstm__input_value(node, session, k);
    const real value = own.data[row * own.stride + column];
    for (int other = 0; other < node->input_count; other++) {
        const lstm__view x = lstm__input_value(node, session, other);
        const real rival = x.data[row * x.stride + column];
        if (rival > value || (rival == value && other < k))
            return false;
    }
    return true;
}

static real factor(const lstm__node *node, lstm_session *session, int k, size_t row, size_t column)
{
    if (node->class == &lstm__class_multiply)
        return others(node, session, k, row, column);
    if (node->class == &lstm__class_maximum)
        return is_largest(node, session, k, row, column);
    if (node->class == &lstm__class_average)
        return 1 / (real)node->input_count;
    return k > 0 && node->class == &lstm__class_subtract ? -1 : 1;
}

static void backward_elements(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const size_t columns = (size_t)node->shapes[0].features;
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    for (int k = 0; k < node->input_count; k++) {
        bool add = false;
        const lstm__view dx = lstm__take_gradient(node, session, k, &add);
        if (!dx.data)
            continue;
        if (node->class == &lstm__class_add) {
            session->model->kernels->copy_rows(rows, columns, dy.data, dy.stride, dx.data,
                                               dx.stride, add);
            continue;
        }
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                const real part = dy.data[r * dy.stride + c] * factor(node, session, k, r, c);
                real *to = &dx.data[r * dx.stride + c];
                *to = add ? *to + part : part;
            }
    }
}

/* ---- Concatenate */

static void forward_concatenate(const lstm__node *node, lstm_session *session, void *memory)
{
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    size_t first = 0;
    for (int k = 0; k < node->input_count; k++) {
        const lstm__view x = lstm__input_value(node, session, k);
        const size_t columns = (size_t)lstm__input_shape(node, k).features;
        session->model->kernels->copy_rows(rows, columns, x.data, x.stride, y.data + first,
                                           y.stride, 0);
        first += columns;
    }
    join_masks(node, session, memory);
}

static void backward_concatenate(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    size_t first = 0;
    for (int k = 0; k < node->input_count; k++) {
        bool add = false;
        const size_t columns = (size_t)lstm__input_shape(node, k).features;
        const lstm__view dx = lstm__take_gradient(node, session, k, &add);
        if (dx.data)
            session->model->kernels->copy_rows(rows, columns, dy.data + first, dy.stride, dx.data,
                                               dx.stride, add);
        first += columns;
    }
}

#define COMBINATION(variable, type_name, stem, least, most) \
    const lstm__layer_class variable = {                    \
        .type = type_name,                                  \
        .name_stem = stem,                                  \
        .options_size = sizeof(lstm_combine_options),       \
        .options = options,                                 \
        .mask = LSTM__MASK_OWN,                             \
        .least_inputs = least,                              \
        .most_inputs = most,                                \
        .plan_size = sizeof(buffers),                       \
        .define = define_elements,                          \
        .plan = plan,                                       \
        .forward = forward_elements,                        \
        .backward = backward_elements,                      \
        .piecewise = lstm__always_piecewise,                \
    }

COMBINATION(lstm__class_add, "Add", "add", 2, LSTM__INPUTS);
COMBINATION(lstm__class_subtract, "Subtract", "subtract", 2, 2);
COMBINATION(lstm__class_multiply, "Multiply", "multiply", 2, LSTM__INPUTS);
COMBINATION(lstm__class_average, "Average", "average", 2, LSTM__INPUTS);
COMBINATION(lstm__class_maximum, "Maximum", "maximum", 2, LSTM__INPUTS);

const lstm__layer_class lstm__class_concatenate = {
    .type = "Concatenate",
    .name_stem = "concatenate",
    .options_size = sizeof(lstm_combine_options),
    .options = concatenate_options,
    .mask = LSTM__MASK_OWN,
    .least_inputs = 2,
    .most_inputs = LSTM__INPUTS,
    .plan_size = sizeof(buffers),
    .define = define_concatenate,
    .plan = plan,
    .forward = forward_concatenate,
    .backward = backward_concatenate,
    .piecewise = lstm__always_piecewise,
};
