/* SPDX-License-Identifier: MIT
 * Embedding: a row of a table for each token. Tokens are whole numbers in float arrays; the layer
 * reads an input layer, so that lstm__check_arrays can look at them before anything is computed and
 * forward need not fail.
 *
 * A vector input holds the T tokens of a sample in one row, a sequence input one token a row.
 *
 * Where a session hands on tables (row_tables.h) the output is the tokens, as numbers of the
 * embeddings' rows, and the gradient at it that at the embeddings.
 */
#include "constants.h"
#include "layer_ports.h"
#include "options.h"
#include "row_tables.h"

#include <stddef.h>
#include <string.h>

typedef struct buffers {
    uint32_t *tokens;    /* [steps][batch] */
    unsigned char *mask; /* the same, where token 0 is padding */
    bool table;          /* the output is the tokens as numbers of the embeddings' rows */
} buffers;

#define FIELD(member) offsetof(lstm_embedding_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("input_dim", COUNT, FIELD(input_dim)),
    LSTM__ALIAS("num_embeddings", COUNT, FIELD(input_dim)),
    LSTM__OPTION("output_dim", COUNT, FIELD(output_dim)),
    LSTM__ALIAS("embedding_dim", COUNT, FIELD(output_dim)),
    LSTM__OPTION("mask_zero", FLAG, FIELD(mask_zero)),
    LSTM__OPTION_OF("embeddings_initializer", FIELD(embeddings_initializer),
                    LSTM_NAMES_INITIALIZER),
    LSTM__FIXED("embeddings_regularizer", NULL),
    LSTM__FIXED("activity_regularizer", NULL),
    LSTM__FIXED("embeddings_constraint", NULL),
    LSTM__FIXED("quantization_config", NULL),
    LSTM__FIXED("lora_rank", NULL),
    LSTM__FIXED("sparse", NULL),
    LSTM__IGNORED("input_length"),
    LSTM__OPTIONS_END,
};

static const lstm_embedding_options *options_of(const lstm__node *node)
{
    return node->options;
}

static lstm_status define(lstm__node *node)
{
    lstm_embedding_options *own = node->options;
    const lstm__shape in = lstm__input_shape(node, 0);
    const int32_t standard = node->model->profile == LSTM_PROFILE_TORCH
                                 ? LSTM_INITIALIZER_RANDOM_NORMAL
                                 : LSTM_INITIALIZER_RANDOM_UNIFORM;
    if (own->input_dim < 1 || own->input_dim > INT32_MAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "input_dim is %lld: expected 1 to %d",
                          (long long)own->input_dim, INT32_MAX);
    if (own->output_dim < 1 || own->output_dim > INT32_MAX / 8)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "output_dim is %lld: expected 1 to %d",
                          (long long)own->output_dim, INT32_MAX / 8);
    RETURN_IF_ERROR(lstm__read_flag(&own->mask_zero, LSTM_NO, "mask_zero"));
    RETURN_IF_ERROR(lstm__read_constant(&own->embeddings_initializer, standard,
                                        LSTM_NAMES_INITIALIZER, "embeddings_initializer"));
    if (node->inputs[0]->node->class != &lstm__class_input)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "reads layer \"%s\" (%s): expected an input layer of tokens",
                          node->inputs[0]->node->name, node->inputs[0]->node->class->type);
    if (in.steps != 0 && in.features != 1)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "reads layer \"%s\" with %lld features a step: expected one token a step",
                          node->inputs[0]->node->name, (long long)in.features);
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){in.steps == 0 ? in.features : in.steps, own->output_dim};
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    const lstm_embedding_options *own = options_of(node);
    const size_t rows = (size_t)own->input_dim;
    const size_t columns = (size_t)own->output_dim;
    size_t count = 0;
    size_t offset = 0;
    if (!lstm__mul(rows, columns, &count))
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &offset));
    return lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "embeddings",
                                      .torch_name = "weight",
                                      .offset = offset,
                                      .rows = rows,
                                      .columns = columns,
                                      .rank = 2,
                                      .initializer = own->embeddings_initializer,
                                      .fan_in = rows,
                                      .fan_out = columns,
                                      .units = columns});
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t rows = lstm__session_max_rows(session, node->shapes[0]);
    b->tokens = lstm__carve(arena, rows, sizeof *b->tokens);
    b->mask = lstm__carve(arena, options_of(node)->mask_zero == LSTM_YES ? rows : 0, 1);
    b->table = lstm__session_table(session, &node->ports[0]) > 0;
    if (!b->table)
        lstm__plan_port(node, session, 0, arena);
}

/* Within the table whatever comes: who wants an error calls lstm__check_arrays first. */
static uint32_t token_of(real value, size_t count)
{
    return value >= 0 && value < (real)count ? (uint32_t)value : 0;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm_embedding_options *own = options_of(node);
    const size_t columns = (size_t)own->output_dim;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const bool vector = lstm__input_shape(node, 0).steps == 0;
    real *table = node->model->values + lstm__parameter_offset(node, 0);
    const unsigned char *given = vector ? NULL : lstm__input_mask(node, session, 0);
    const lstm__view x = lstm__input_value(node, session, 0);
    lstm__port *port = lstm__session_own(session, node, 0);
    for (size_t r = 0; r < rows; r++) {
        const real value = vector ? x.data[r % session->batch * x.stride + r / session->batch]
                                  : x.data[r * x.stride];
        const uint32_t token = token_of(value, (size_t)own->input_dim);
        b->tokens[r] = token;
        if (own->mask_zero == LSTM_YES)
            b->mask[r] = token != 0 && !(given && !given[r]);
        if (!b->table)
            memcpy(port->value.data + r * columns, table + token * columns, columns * sizeof(real));
    }
    if (b->table) {
        port->value = (lstm__view){table, columns};
        port->numbers = b->tokens;
    }
    port->mask = own->mask_zero == LSTM_YES ? b->mask : given;
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t columns = (size_t)options_of(node)->output_dim;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    real *table = lstm__gradients_of(node, session, 0);
    const size_t count = (size_t)options_of(node)->input_dim * columns;
    if (b->table) {
        memcpy(table, dy.data, count * sizeof *table);
        return;
    }
    memset(table, 0, count * sizeof *table);
    for (size_t r = 0; r < rows; r++)
        session->model->kernels->copy_rows(1, columns, dy.data + r * dy.stride, columns,
                                           table + b->tokens[r] * columns, columns, 1);
}

/* ---- Checking the arrays of a call */

/* Number of the array that belongs to an input layer. */
static size_t input_number(const lstm__node *input)
{
    size_t number = 0;
    for (size_t k = 0; k < input->index; k++)
        number += input->model->nodes[k]->class == &lstm__class_input;
    return number;
}

static lstm_status check(const lstm__node *node, const lstm__batch *batch)
{
    const lstm__node *input = node->inputs[0]->node;
    const float *values = batch->inputs[input_number(input)];
    const size_t steps = node->shapes[0].steps < 0 ? batch->steps : (size_t)node->shapes[0].steps;
    const int64_t count = options_of(node)->input_dim;
    const bool time_first = batch->layout == LSTM_LAYOUT_TIME_FIRST && input->shapes[0].steps != 0;
    const lstm__padding padded = lstm__batch_padding(batch, input, input_number(input));
    for (size_t k = 0; k < batch->samples * steps; k++) {
        const float value = values[k];
        const size_t sample = time_first ? k % batch->samples : k / steps;
        const size_t step = time_first ? k / batch->samples : k % steps;
        if ((padded.lengths && step >= (size_t)padded.lengths[sample]) ||
            (padded.mask && !padded.mask[k]))
            continue; /* padding is not looked at */
        if (value >= 0 && (double)value < (double)count && value == (float)(int64_t)value)
            continue;
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "input \"%s\", sample %zu, step %zu: token %g: layer \"%s\" takes whole "
                          "numbers from 0 to %lld",
                          input->name, sample, step, (double)value, node->name,
                          (long long)count - 1);
    }
    return LSTM_OK;
}

/* Tokens that come as a vector are one array, not a sequence. */
static bool piecewise(const lstm__node *node)
{
    return lstm__input_shape(node, 0).steps != 0;
}

static bool padding(const lstm__node *node, const float *step)
{
    return options_of(node)->mask_zero == LSTM_YES && *step == 0;
}

static size_t table(const lstm__node *node)
{
    return (size_t)options_of(node)->input_dim;
}

const lstm__layer_class lstm__class_embedding = {
    .type = "Embedding",
    .name_stem = "embedding",
    .options_size = sizeof(lstm_embedding_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .plan_size = sizeof(buffers),
    .define = define,
    .declare = declare,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .check = check,
    .padding = padding,
    .piecewise = piecewise,
    .table = table,
};
