/* SPDX-License-Identifier: MIT
 * Back-propagation against finite differences, in double, for the cells and layers around the LSTM:
 * every option of each, masks from an Embedding, layers that are read twice, and several inputs
 * that are one layer.
 */
#include "gradient_problem.h"

typedef struct named_recipe {
    const char *name;
    recipe make;
} named_recipe;

static void run_all(const named_recipe *cases, size_t count, bool torch)
{
    for (size_t k = 0; k < count; k++) {
        run(cases[k].name, cases[k].make, LSTM_PROFILE_KERAS, NULL);
        if (torch)
            run(cases[k].name, cases[k].make, LSTM_PROFILE_TORCH, NULL);
    }
}
#define RUN_ALL(cases, torch) run_all(cases, sizeof(cases) / sizeof *(cases), torch)

/* A masked sequence of `features` features: tokens from 0 to 3, about a quarter of them padding. */
static const lstm_layer *masked(lstm_model *model, int64_t steps, int64_t features)
{
    const lstm_embedding_options options = {
        .input_dim = 4, .output_dim = features, .mask_zero = LSTM_YES};
    return add(model, &lstm__class_embedding, &options, sequence(model, steps, 1));
}

/* ---- Cells */

static const lstm_layer *gru(lstm_model *model, const lstm_layer *input, lstm_gru_options options)
{
    return add(model, &lstm__class_gru, &options, input);
}

static void gru_last(lstm_model *model, int64_t steps)
{
    gru(model, sequence(model, steps, 3), (lstm_gru_options){.units = 5});
}
static void gru_sequences(lstm_model *model, int64_t steps)
{
    gru(model, sequence(model, steps, 3),
        (lstm_gru_options){.units = 4, .return_sequences = LSTM_YES, .return_state = LSTM_YES});
}
static void gru_backwards(lstm_model *model, int64_t steps)
{
    gru(model, sequence(model, steps, 3),
        (lstm_gru_options){.units = 2, .return_sequences = LSTM_YES, .go_backwards = LSTM_YES});
}
static void gru_no_bias(lstm_model *model, int64_t steps)
{
    gru(model, sequence(model, steps, 3), (lstm_gru_options){.units = 3, .use_bias = LSTM_NO});
}
static void gru_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    gru(model, x, (lstm_gru_options){.units = 3, .return_sequences = LSTM_YES});
    gru(model, x, (lstm_gru_options){.units = 2, .go_backwards = LSTM_YES});
}
static void gru_from_state(lstm_model *model, int64_t steps)
{
    const lstm_layer *first = gru(model, sequence(model, steps, 2), (lstm_gru_options){.units = 3});
    const lstm_layer *inputs[2] = {sequence(model, steps, 2), &first->node->ports[1]};
    const lstm_gru_options options = {.units = 3, .return_sequences = LSTM_YES};
    add_many(model, &lstm__class_gru, &options, inputs, 2);
}
static void gru_reset_before(lstm_model *model, int64_t steps)
{
    gru(model, sequence(model, steps, 3),
        (lstm_gru_options){.units = 5, .return_sequences = LSTM_YES, .reset_after = LSTM_NO});
}
static void gru_reset_before_backwards(lstm_model *model, int64_t steps)
{
    gru(model, sequence(model, steps, 3),
        (lstm_gru_options){
            .units = 2, .reset_after = LSTM_NO, .go_backwards = LSTM_YES, .use_bias = LSTM_NO});
}
static void gru_reset_before_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    gru(model, x,
        (lstm_gru_options){.units = 3, .return_sequences = LSTM_YES, .reset_after = LSTM_NO});
    gru(model, x, (lstm_gru_options){.units = 2, .go_backwards = LSTM_YES, .reset_after = LSTM_NO});
}

static void gru_other_activations(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    gru(model, x,
        (lstm_gru_options){.units = 3,
                           .return_sequences = LSTM_YES,
                           .activation = LSTM_ACTIVATION_SOFTSIGN,
                           .recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID});
    gru(model, x,
        (lstm_gru_options){.units = 2,
                           .activation = LSTM_ACTIVATION_RELU,
                           .recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID_KERAS2});
    gru(model, x,
        (lstm_gru_options){.units = 2,
                           .activation = LSTM_ACTIVATION_TANH,
                           .activation_alpha = 1.4f,
                           .activation_beta = 0.7f,
                           .recurrent_activation = LSTM_ACTIVATION_LINEAR,
                           .recurrent_activation_alpha = 0.4f,
                           .recurrent_activation_beta = 0.3f});
}
static void gru_reset_before_other_activations(lstm_model *model, int64_t steps)
{
    gru(model, masked(model, steps, 2),
        (lstm_gru_options){.units = 3,
                           .reset_after = LSTM_NO,
                           .return_sequences = LSTM_YES,
                           .activation = LSTM_ACTIVATION_ELU,
                           .activation_alpha = 0.5f,
                           .recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID,
                           .recurrent_activation_alpha = 0.25f,
                           .recurrent_activation_beta = 0.4f});
}
static void gru_dropout(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    gru(model, x,
        (lstm_gru_options){.units = 3,
                           .return_sequences = LSTM_YES,
                           .dropout = 0.25f,
                           .recurrent_dropout = 0.5f,
                           .seed = 3});
    gru(model, x,
        (lstm_gru_options){.units = 2, .go_backwards = LSTM_YES, .recurrent_dropout = 0.25f});
}
static void gru_reset_before_dropout(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    gru(model, x,
        (lstm_gru_options){.units = 3,
                           .reset_after = LSTM_NO,
                           .return_sequences = LSTM_YES,
                           .dropout = 0.25f,
                           .recurrent_dropout = 0.5f,
                           .seed = 3});
    gru(model, x,
        (lstm_gru_options){.units = 2,
                           .reset_after = LSTM_NO,
                           .go_backwards = LSTM_YES,
                           .recurrent_dropout = 0.25f});
}

static const lstm_layer *rnn(lstm_model *model, const lstm_layer *input,
                             lstm_simple_rnn_options options)
{
    return add(model, &lstm__class_simple_rnn, &options, input);
}

static void rnn_last(lstm_model *model, int64_t steps)
{
    rnn(model, sequence(model, steps, 3), (lstm_simple_rnn_options){.units = 5});
}
static void rnn_sequences(lstm_model *model, int64_t steps)
{
    rnn(model, sequence(model, steps, 3),
        (lstm_simple_rnn_options){.units = 4,
                                  .return_sequences = LSTM_YES,
                                  .return_state = LSTM_YES,
                                  .activation = LSTM_ACTIVATION_SOFTSIGN});
}
static void rnn_backwards(lstm_model *model, int64_t steps)
{
    rnn(model, sequence(model, steps, 3),
        (lstm_simple_rnn_options){.units = 2,
                                  .return_sequences = LSTM_YES,
                                  .go_backwards = LSTM_YES,
                                  .use_bias = LSTM_NO,
                                  .activation = LSTM_ACTIVATION_SIGMOID});
}
static void rnn_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    const lstm_layer *a = rnn(model, x,
                              (lstm_simple_rnn_options){.units = 3, .return_sequences = LSTM_YES});
    rnn(model, a, (lstm_simple_rnn_options){.units = 2, .go_backwards = LSTM_YES});
}
static void rnn_dropout(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    rnn(model, x,
        (lstm_simple_rnn_options){.units = 3,
                                  .return_sequences = LSTM_YES,
                                  .dropout = 0.25f,
                                  .recurrent_dropout = 0.5f,
                                  .seed = 3});
    rnn(model, x,
        (lstm_simple_rnn_options){
            .units = 2, .go_backwards = LSTM_YES, .recurrent_dropout = 0.25f});
}
static void rnn_from_state(lstm_model *model, int64_t steps)
{
    const lstm_layer *inputs[2] = {sequence(model, steps, 2), vector(model, 3)};
    const lstm_simple_rnn_options options = {
        .units = 3, .activation = LSTM_ACTIVATION_ELU, .activation_alpha = 1.5f};
    add_many(model, &lstm__class_simple_rnn, &options, inputs, 2);
}

static void test_cells_back_propagate_through_every_option(void **state)
{
    static const named_recipe cases[] = {{"GRU", gru_last},
                                         {"GRU, sequences", gru_sequences},
                                         {"GRU, backwards", gru_backwards},
                                         {"GRU, no bias", gru_no_bias},
                                         {"GRU, masked", gru_masked},
                                         {"GRU from a state", gru_from_state},
                                         {"GRU, other activations", gru_other_activations},
                                         {"GRU, dropout", gru_dropout},
                                         {"SimpleRNN, dropout", rnn_dropout},
                                         {"SimpleRNN", rnn_last},
                                         {"SimpleRNN, sequences", rnn_sequences},
                                         {"SimpleRNN, backwards", rnn_backwards},
                                         {"SimpleRNN, masked", rnn_masked},
                                         {"SimpleRNN from a state", rnn_from_state}};
    static const named_recipe keras_only[] = {
        {"GRU, reset before", gru_reset_before},
        {"GRU, reset before, backwards", gru_reset_before_backwards},
        {"GRU, reset before, masked", gru_reset_before_masked},
        {"GRU, reset before, dropout", gru_reset_before_dropout},
        {"GRU, reset before, other activations", gru_reset_before_other_activations}};
    (void)state;
    RUN_ALL(cases, true);
    RUN_ALL(keras_only, false);
}

/* ---- Several inputs */

static const lstm__layer_class *chosen;

static void combine_three(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps, 3);
    const lstm_layer *inputs[3] = {dense(model, LSTM_ACTIVATION_TANH, 3, x), x,
                                   dense(model, LSTM_ACTIVATION_TANH, 3, x)};
    add_many(model, chosen, &(lstm_combine_options){0}, inputs,
             chosen == &lstm__class_subtract ? 2 : 3);
}
static void combine_itself(lstm_model *model, int64_t steps)
{
    (void)steps;
    const lstm_layer *x = vector(model, 4);
    const lstm_layer *inputs[2] = {x, x};
    add_many(model, chosen, &(lstm_combine_options){0}, inputs, 2);
}
static void concatenate_unequal(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps, 3);
    const lstm_layer *inputs[3] = {dense(model, LSTM_ACTIVATION_TANH, 2, x), x,
                                   dense(model, LSTM_ACTIVATION_TANH, 5, x)};
    dense(model, LSTM_ACTIVATION_TANH, 2,
          add_many(model, &lstm__class_concatenate, &(lstm_combine_options){0}, inputs, 3));
}

static void test_layers_of_several_inputs_back_propagate(void **state)
{
    static const lstm__layer_class *const classes[] = {&lstm__class_add, &lstm__class_subtract,
                                                       &lstm__class_multiply, &lstm__class_average,
                                                       &lstm__class_maximum};
    (void)state;
    for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
        chosen = classes[k];
        run(chosen->type, combine_three, LSTM_PROFILE_KERAS, NULL);
        run(chosen->type, combine_itself, LSTM_PROFILE_KERAS, NULL);
    }
    run("Concatenate", concatenate_unequal, LSTM_PROFILE_KERAS, NULL);
}

/* ---- Normalisation */

static void layer_norm(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 5, sequence(model, steps, 3));
    add(model, &lstm__class_layer_normalization, &(lstm_layer_normalization_options){0}, a);
    add(model, &lstm__class_layer_normalization,
        &(lstm_layer_normalization_options){.center = LSTM_NO, .scale = LSTM_NO, .epsilon = 0.1f},
        a);
    add(model, &lstm__class_layer_normalization,
        &(lstm_layer_normalization_options){.center = LSTM_NO}, a);
}
static void layer_norm_vector(lstm_model *model, int64_t steps)
{
    (void)steps;
    add(model, &lstm__class_layer_normalization,
        &(lstm_layer_normalization_options){.scale = LSTM_NO}, vector(model, 4));
}
static void batch_norm(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 3));
    dense(model, LSTM_ACTIVATION_TANH, 2,
          add(model, &lstm__class_batch_normalization,
              &(lstm_batch_normalization_options){.epsilon = 0.05f}, a));
}
static void batch_norm_plain(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 3));
    dense(model, LSTM_ACTIVATION_TANH, 2,
          add(model, &lstm__class_batch_normalization,
              &(lstm_batch_normalization_options){
                  .center = LSTM_NO, .scale = LSTM_NO, .epsilon = 0.05f},
              a));
}
static void batch_norm_fixed(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 3));
    add(model, &lstm__class_batch_normalization,
        &(lstm_batch_normalization_options){.fixed_statistics = LSTM_YES, .epsilon = 0.5f}, a);
}
static void batch_norm_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, masked(model, steps, 3));
    add(model, &lstm__class_batch_normalization,
        &(lstm_batch_normalization_options){.epsilon = 0.1f}, a);
}

static void test_normalisation_back_propagates(void **state)
{
    static const named_recipe cases[] = {{"LayerNormalization", layer_norm},
                                         {"LayerNormalization of a vector", layer_norm_vector},
                                         {"BatchNormalization", batch_norm},
                                         {"BatchNormalization without factors", batch_norm_plain},
                                         {"BatchNormalization, fixed", batch_norm_fixed},
                                         {"BatchNormalization, masked", batch_norm_masked}};
    (void)state;
    RUN_ALL(cases, true);
}

/* ---- Embedding, pooling, convolution */

static void embedding_of_vector(lstm_model *model, int64_t steps)
{
    const lstm_layer *e = add(model, &lstm__class_embedding,
                              &(lstm_embedding_options){.input_dim = 6, .output_dim = 3},
                              vector(model, steps));
    dense(model, LSTM_ACTIVATION_TANH, 2, e);
}
static void global_pools(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 3));
    add(model, &lstm__class_global_average_pooling, &(lstm_global_pooling_options){0}, a);
    add(model, &lstm__class_global_max_pooling, &(lstm_global_pooling_options){0}, a);
    add(model, &lstm__class_last_step, &(lstm_global_pooling_options){0}, a);
}
static void global_pools_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *inputs[2] = {dense(model, LSTM_ACTIVATION_TANH, 3, masked(model, steps, 3)),
                                   sequence(model, steps, 3)};
    const lstm_layer *a = add_many(model, &lstm__class_add, &(lstm_combine_options){0}, inputs, 2);
    add(model, &lstm__class_global_average_pooling, &(lstm_global_pooling_options){0}, a);
    add(model, &lstm__class_global_max_pooling, &(lstm_global_pooling_options){0}, a);
    add(model, &lstm__class_last_step, &(lstm_global_pooling_options){0}, a);
}
static void pools(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps + 1, 3));
    for (int32_t padding = LSTM_PADDING_VALID; padding <= LSTM_PADDING_SAME; padding++) {
        add(model, &lstm__class_max_pooling, &(lstm_pooling_options){.padding = padding}, a);
        add(model, &lstm__class_average_pooling, &(lstm_pooling_options){.padding = padding}, a);
    }
}
static void overlapping_pools(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 3));
    const lstm_pooling_options options = {
        .pool_size = 3, .strides = 1, .padding = LSTM_PADDING_SAME};
    add(model, &lstm__class_max_pooling, &options, a);
    add(model, &lstm__class_average_pooling, &options, a);
}
static void conv(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps + 2, 2);
    const lstm_conv1d_options options = {
        .filters = 3, .kernel_size = 3, .activation = LSTM_ACTIVATION_TANH};
    add(model, &lstm__class_conv1d, &options, x);
}
static void conv_same(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = dense(model, LSTM_ACTIVATION_TANH, 2, sequence(model, steps, 2));
    const lstm_conv1d_options even = {.filters = 3, .kernel_size = 4, .padding = LSTM_PADDING_SAME};
    const lstm_conv1d_options strided = {.filters = 2,
                                         .kernel_size = 3,
                                         .strides = 2,
                                         .padding = LSTM_PADDING_SAME,
                                         .use_bias = LSTM_NO};
    add(model, &lstm__class_conv1d, &even, x);
    add(model, &lstm__class_conv1d, &strided, x);
}
static void conv_causal(lstm_model *model, int64_t steps)
{
    const lstm_conv1d_options options = {
        .filters = 3, .kernel_size = 3, .dilation_rate = 2, .padding = LSTM_PADDING_CAUSAL};
    add(model, &lstm__class_conv1d, &options, sequence(model, steps, 2));
}

static void conv_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    const lstm_conv1d_options options = {
        .filters = 2, .kernel_size = 3, .padding = LSTM_PADDING_SAME};
    const lstm_layer *a = add(model, &lstm__class_conv1d, &options, x);
    add(model, &lstm__class_conv1d, &options, a);
    const lstm_conv1d_options blind = {
        .filters = 2, .kernel_size = 2, .padding = LSTM_PADDING_CAUSAL, .ignore_mask = LSTM_YES};
    add(model, &lstm__class_global_average_pooling,
        &(lstm_global_pooling_options){.ignore_mask = LSTM_YES},
        add(model, &lstm__class_conv1d, &blind, x));
}

static void test_embedding_pooling_and_convolution_back_propagate(void **state)
{
    static const named_recipe cases[] = {{"Embedding of a vector", embedding_of_vector},
                                         {"global pooling", global_pools},
                                         {"masked global pooling", global_pools_masked},
                                         {"pooling", pools},
                                         {"overlapping pooling", overlapping_pools},
                                         {"Conv1D", conv},
                                         {"Conv1D, same", conv_same},
                                         {"Conv1D, masked", conv_masked},
                                         {"Conv1D, causal and dilated", conv_causal}};
    (void)state;
    RUN_ALL(cases, true);
}

/* ---- Attention */

static lstm_attention_options attention_options;

static void attention(lstm_model *model, int64_t steps)
{
    const lstm_layer *inputs[3] = {sequence(model, 3, 3), sequence(model, steps, 2),
                                   sequence(model, steps, 3)};
    add_many(model, chosen, &attention_options, inputs, 3);
}
static void self_attention(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 2));
    const lstm_layer *inputs[2] = {x, x};
    add_many(model, chosen, &attention_options, inputs, 2);
}
static void masked_attention(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 3);
    const lstm_layer *from_outside[2] = {sequence(model, 2, 3), x};
    const lstm_layer *from_inside[2] = {x, sequence(model, 2, 3)};
    add_many(model, chosen, &attention_options, from_outside, 2);
    add_many(model, chosen, &attention_options, from_inside, 2);
}

static void test_attention_back_propagates(void **state)
{
    static const named_recipe cases[] = {{"attention", attention},
                                         {"self-attention", self_attention},
                                         {"masked attention", masked_attention}};
    (void)state;
    for (int kind = 0; kind < 6; kind++)
        for (int causal = LSTM_YES; causal <= LSTM_NO; causal++) {
            chosen = kind < 4 ? &lstm__class_attention : &lstm__class_additive_attention;
            attention_options = (lstm_attention_options){.use_scale = kind % 2 ? LSTM_YES : LSTM_NO,
                                                         .causal = causal};
            if (kind < 4)
                attention_options.score_mode = kind < 2 ? LSTM_SCORE_DOT : LSTM_SCORE_CONCAT;
            RUN_ALL(cases, false);
        }
}

static const lstm_multi_head_attention_options heads = {.num_heads = 2, .key_dim = 3};

static void multi_head(lstm_model *model, int64_t steps)
{
    const lstm_layer *inputs[3] = {sequence(model, 2, 3), sequence(model, steps, 2),
                                   sequence(model, steps, 4)};
    const lstm_multi_head_attention_options unequal = {
        .num_heads = 2, .key_dim = 2, .value_dim = 3, .use_bias = LSTM_NO};
    add_many(model, &lstm__class_multi_head_attention, &unequal, inputs, 3);
}
static void multi_head_self(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = dense(model, LSTM_ACTIVATION_TANH, 3, sequence(model, steps, 2));
    const lstm_layer *inputs[2] = {x, x};
    lstm_multi_head_attention_options causal = heads;
    causal.causal = LSTM_YES;
    add_many(model, &lstm__class_multi_head_attention, &causal, inputs, 2);
}
static void multi_head_masked(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = masked(model, steps, 2);
    const lstm_layer *inputs[2] = {x, x};
    add_many(model, &lstm__class_multi_head_attention, &heads, inputs, 2);
}

static void test_multi_head_attention_back_propagates(void **state)
{
    static const named_recipe cases[] = {{"MultiHeadAttention", multi_head},
                                         {"MultiHeadAttention, causal, of itself", multi_head_self},
                                         {"MultiHeadAttention, masked", multi_head_masked}};
    (void)state;
    RUN_ALL(cases, true);
}

/* ---- Noise */

static void noise(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = dense(model, LSTM_ACTIVATION_TANH, 4, sequence(model, steps, 3));
    add(model, &lstm__class_spatial_dropout, &(lstm_dropout_options){.rate = 0.4f, .seed = 3}, x);
    const lstm_layer *y = add(model, &lstm__class_gaussian_noise,
                              &(lstm_gaussian_noise_options){.stddev = 0.3f}, x);
    const lstm_layer *z = add(model, &lstm__class_gaussian_dropout,
                              &(lstm_dropout_options){.rate = 0.3f, .seed = 3}, y);
    add(model, &lstm__class_alpha_dropout, &(lstm_dropout_options){.rate = 0.3f, .seed = 3}, z);
    dense(model, LSTM_ACTIVATION_TANH, 2, z);
}

static void test_noise_back_propagates(void **state)
{
    (void)state;
    run("noise", noise, LSTM_PROFILE_KERAS, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_back_propagate_through_every_option),
        cmocka_unit_test(test_layers_of_several_inputs_back_propagate),
        cmocka_unit_test(test_normalisation_back_propagates),
        cmocka_unit_test(test_embedding_pooling_and_convolution_back_propagate),
        cmocka_unit_test(test_attention_back_propagates),
        cmocka_unit_test(test_multi_head_attention_back_propagates),
        cmocka_unit_test(test_noise_back_propagates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
