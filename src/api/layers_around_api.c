/* SPDX-License-Identifier: MIT
 * lstm_model_add_* for GRU and SimpleRNN and for the layers around the recurrent ones: read the
 * option struct, name the inputs, and let nn/graph.c add the node. The copies kept by a node hold
 * no pointer of the caller.
 */
#include "element.h"
#include "graph.h"
#include "need.h"
#include "options.h"

#include <string.h>

/* Add a node with `own`, whose name has been taken out of it. */
static lstm_status add(lstm_model *model, const lstm__layer_class *class, const void *own,
                       const char *name, const lstm_layer *const *inputs, size_t count,
                       lstm_layer **out)
{
    if (name && name[0] && !lstm__is_name(name, strlen(name)))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the layer's name is not UTF-8 text without control characters");
    if (count > LSTM__INPUTS)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%zu layers to read: expected at most %d", count,
                          LSTM__INPUTS);
    for (size_t k = 0; count > 1 && k < count; k++)
        if (!inputs[k])
            return lstm__fail(LSTM_ERROR_ARGUMENT, "layer %zu to read is NULL", k);
    return lstm__graph_add(model, class, own, name, inputs, (int)count, out);
}

/* Complete the options into `own`, or return; keep the name apart. */
#define READ(type)                                                         \
    type own;                                                              \
    if (out)                                                               \
        *out = NULL;                                                       \
    NEED(model);                                                           \
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, #type)); \
    const char *name = own.name;                                           \
    own.name = NULL

/* ---- Cells */

lstm_status lstm_model_add_gru(lstm_model *model, const lstm_gru_options *options,
                               const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_gru_options);
    const lstm_layer *inputs[2] = {input, own.initial_h};
    if (own.initial_h && !input && model->node_count > 0)
        inputs[0] = &model->nodes[model->node_count - 1]->ports[0];
    own.initial_h = NULL;
    return add(model, &lstm__class_gru, &own, name, inputs, inputs[1] ? 2 : 1, out);
}

lstm_status lstm_model_add_simple_rnn(lstm_model *model, const lstm_simple_rnn_options *options,
                                      const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_simple_rnn_options);
    const lstm_layer *inputs[2] = {input, own.initial_h};
    if (own.initial_h && !input && model->node_count > 0)
        inputs[0] = &model->nodes[model->node_count - 1]->ports[0];
    own.initial_h = NULL;
    return add(model, &lstm__class_simple_rnn, &own, name, inputs, inputs[1] ? 2 : 1, out);
}

/* ---- Several inputs */

static lstm_status combine(lstm_model *model, const lstm__layer_class *class,
                           const lstm_combine_options *options, const lstm_layer *const *inputs,
                           size_t count, lstm_layer **out)
{
    READ(lstm_combine_options);
    NEED_ZERO(own.reserved);
    NEED(inputs);
    return add(model, class, &own, name, inputs, count, out);
}

#define COMBINE(function, class)                                                          \
    lstm_status function(lstm_model *model, const lstm_combine_options *options,          \
                         const lstm_layer *const *inputs, size_t count, lstm_layer **out) \
    {                                                                                     \
        return combine(model, &class, options, inputs, count, out);                       \
    }
COMBINE(lstm_model_add_sum, lstm__class_add)
COMBINE(lstm_model_add_difference, lstm__class_subtract)
COMBINE(lstm_model_add_product, lstm__class_multiply)
COMBINE(lstm_model_add_average, lstm__class_average)
COMBINE(lstm_model_add_maximum, lstm__class_maximum)
COMBINE(lstm_model_add_concatenate, lstm__class_concatenate)

/* ---- One input */

lstm_status lstm_model_add_layer_normalization(lstm_model *model,
                                               const lstm_layer_normalization_options *options,
                                               const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_layer_normalization_options);
    return add(model, &lstm__class_layer_normalization, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_batch_normalization(lstm_model *model,
                                               const lstm_batch_normalization_options *options,
                                               const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_batch_normalization_options);
    return add(model, &lstm__class_batch_normalization, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_embedding(lstm_model *model, const lstm_embedding_options *options,
                                     const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_embedding_options);
    NEED_ZERO(own.reserved);
    return add(model, &lstm__class_embedding, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_reverse(lstm_model *model, const lstm_combine_options *options,
                                   const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_combine_options);
    NEED_ZERO(own.reserved);
    return add(model, &lstm__class_reverse, &own, name, &input, 1, out);
}

static lstm_status add_global(lstm_model *model, const lstm__layer_class *class,
                              const lstm_global_pooling_options *options, const lstm_layer *input,
                              lstm_layer **out)
{
    READ(lstm_global_pooling_options);
    return add(model, class, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_global_average_pooling(lstm_model *model,
                                                  const lstm_global_pooling_options *options,
                                                  const lstm_layer *input, lstm_layer **out)
{
    return add_global(model, &lstm__class_global_average_pooling, options, input, out);
}

lstm_status lstm_model_add_global_max_pooling(lstm_model *model,
                                              const lstm_global_pooling_options *options,
                                              const lstm_layer *input, lstm_layer **out)
{
    return add_global(model, &lstm__class_global_max_pooling, options, input, out);
}

lstm_status lstm_model_add_last_step(lstm_model *model, const lstm_global_pooling_options *options,
                                     const lstm_layer *input, lstm_layer **out)
{
    return add_global(model, &lstm__class_last_step, options, input, out);
}

lstm_status lstm_model_add_max_pooling(lstm_model *model, const lstm_pooling_options *options,
                                       const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_pooling_options);
    return add(model, &lstm__class_max_pooling, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_average_pooling(lstm_model *model, const lstm_pooling_options *options,
                                           const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_pooling_options);
    return add(model, &lstm__class_average_pooling, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_conv1d(lstm_model *model, const lstm_conv1d_options *options,
                                  const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_conv1d_options);
    return add(model, &lstm__class_conv1d, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_spatial_dropout(lstm_model *model, const lstm_dropout_options *options,
                                           const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_dropout_options);
    return add(model, &lstm__class_spatial_dropout, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_gaussian_noise(lstm_model *model,
                                          const lstm_gaussian_noise_options *options,
                                          const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_gaussian_noise_options);
    return add(model, &lstm__class_gaussian_noise, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_gaussian_dropout(lstm_model *model, const lstm_dropout_options *options,
                                            const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_dropout_options);
    return add(model, &lstm__class_gaussian_dropout, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_alpha_dropout(lstm_model *model, const lstm_dropout_options *options,
                                         const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_dropout_options);
    return add(model, &lstm__class_alpha_dropout, &own, name, &input, 1, out);
}

/* ---- Attention */

lstm_status lstm_model_add_attention(lstm_model *model, const lstm_attention_options *options,
                                     const lstm_layer *const *inputs, size_t count,
                                     lstm_layer **out)
{
    READ(lstm_attention_options);
    NEED(inputs);
    return add(model, &lstm__class_attention, &own, name, inputs, count, out);
}

lstm_status lstm_model_add_additive_attention(lstm_model *model,
                                              const lstm_attention_options *options,
                                              const lstm_layer *const *inputs, size_t count,
                                              lstm_layer **out)
{
    READ(lstm_attention_options);
    NEED(inputs);
    return add(model, &lstm__class_additive_attention, &own, name, inputs, count, out);
}

lstm_status lstm_model_add_multi_head_attention(lstm_model *model,
                                                const lstm_multi_head_attention_options *options,
                                                const lstm_layer *const *inputs, size_t count,
                                                lstm_layer **out)
{
    READ(lstm_multi_head_attention_options);
    NEED(inputs);
    return add(model, &lstm__class_multi_head_attention, &own, name, inputs, count, out);
}
