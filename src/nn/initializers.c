/* SPDX-License-Identifier: MIT
 * Initial parameter values. Each parameter draws from its own random stream, so adding a layer
 * behind it changes nothing.
 *
 *   glorot_uniform  U(-l, l), l = sqrt(6 / (fan_in + fan_out))           Glorot and Bengio 2010
 *   orthogonal      Q of the QR of a normal matrix times sign(diag R)     Saxe et al. 2013; Mezzadri 2007 for the signs
 *   random_uniform  U(-0.05, 0.05), Keras' default for embeddings;  random_normal  N(0, 1), PyTorch's
 *   torch_uniform   U(-k, k), k = 1 / sqrt(units)                         PyTorch's recurrent layers and nn.Linear
 */
#include "blas.h"
#include "graph.h"
#include "random.h"

#include <math.h>

enum { STREAM_INITIAL = 1 };

static void uniform(real *values, size_t count, double limit, uint64_t seed, uint64_t stream)
{
    for (size_t k = 0; k < count; k++)
        values[k] = (real)((2 * lstm__random_uniform(seed, stream, k) - 1) * limit);
}

/* The taller orientation is factorised: its columns become orthonormal; then it is turned back. */
static lstm_status orthogonal(lstm_context *context, real *values, size_t rows, size_t columns,
                              uint64_t seed, uint64_t stream)
{
    lstm_status status = LSTM_OK;
    const size_t tall = rows > columns ? rows : columns;
    const size_t narrow = rows > columns ? columns : rows;
    double *matrix = lstm__allocate_array(context, tall * narrow, sizeof *matrix);
    if (!matrix)
        return lstm__fail_memory(tall * narrow * sizeof *matrix, "the orthogonal initialiser");
    for (size_t k = 0; k < tall * narrow; k++)
        matrix[k] = lstm__random_normal(seed, stream, k);
    TRY(lstm__orthonormalize(context, tall, narrow, matrix));
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            values[r * columns + c] = (real)(rows > columns ? matrix[r * narrow + c]
                                                            : matrix[c * narrow + r]);
out:
    lstm__release(context, matrix);
    return status;
}

lstm_status lstm__initialize(lstm_context *context, const lstm__parameter *parameter, uint64_t seed,
                             uint64_t stream, real *values)
{
    const size_t count = lstm__parameter_size(parameter);
    switch (parameter->initializer) {
    case LSTM_INITIALIZER_GLOROT_UNIFORM:
        uniform(values, count, sqrt(6.0 / (double)(parameter->fan_in + parameter->fan_out)), seed,
                stream);
        break;
    case LSTM_INITIALIZER_ORTHOGONAL:
        RETURN_IF_ERROR(
            orthogonal(context, values, parameter->rows, parameter->columns, seed, stream));
        break;
    case LSTM_INITIALIZER_TORCH_UNIFORM:
        uniform(values, count, 1 / sqrt((double)parameter->units), seed, stream);
        break;
    case LSTM_INITIALIZER_RANDOM_UNIFORM:
        uniform(values, count, 0.05, seed, stream);
        break;
    case LSTM_INITIALIZER_RANDOM_NORMAL:
        for (size_t k = 0; k < count; k++)
            values[k] = (real)lstm__random_normal(seed, stream, k);
        break;
    default:
        for (size_t k = 0; k < count; k++)
            values[k] = parameter->initializer == LSTM_INITIALIZER_ONES;
        break;
    }
    for (size_t k = 0; k < parameter->one_count; k++)
        values[parameter->one_first + k] += 1;
    return LSTM_OK;
}

lstm_status lstm__graph_initialize(lstm_model *model)
{
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        RETURN_IF_ERROR(lstm__initialize(model->context, parameter, model->seed,
                                         lstm__random_stream(STREAM_INITIAL, k),
                                         model->values + parameter->offset));
    }
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class->initialize)
            model->nodes[k]->class->initialize(model->nodes[k]);
    lstm__graph_changed(model);
    return LSTM_OK;
}
