/* SPDX-License-Identifier: MIT
 * Back-propagation against finite differences, in double, for the variants of the LSTM: each alone
 * and many together, with sequences, states, masks with holes, both directions and both profiles;
 * what is random is the same at every point of a difference.
 */
#include "gradient_problem.h"

#include <stdio.h>

typedef struct variant {
    const char *name;
    lstm_lstm_options options;
} variant;

static const variant variants[] = {
    {"projection", {.proj_size = 2}},
    {"projection with clip", {.proj_size = 3, .proj_clip = 0.05f}},
    {"projection, other activations",
     {.proj_size = 2,
      .activation = LSTM_ACTIVATION_SOFTSIGN,
      .recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID}},
    {"peepholes", {.peepholes = LSTM_YES}},
    {"f = 1 - i", {.coupled_gates = LSTM_COUPLING_FORGET}},
    {"i = 1 - f", {.coupled_gates = LSTM_COUPLING_INPUT}},
    {"gate clip", {.gate_clip = 0.3f}},
    {"cell clip", {.cell_clip = 0.1f}},
    {"a third activation", {.output_activation = LSTM_ACTIVATION_SIGMOID}},
    {"activations with numbers",
     {.activation = LSTM_ACTIVATION_RELU,
      .activation_alpha = 0.25f,
      .recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID,
      .recurrent_activation_alpha = 0.3f,
      .recurrent_activation_beta = 0.6f,
      .output_activation = LSTM_ACTIVATION_LINEAR,
      .output_activation_alpha = 0.9f,
      .output_activation_beta = 0.1f}},
    {"falling gates under a clip",
     {.activation = LSTM_ACTIVATION_ELU,
      .activation_alpha = 0.5f,
      .recurrent_activation = LSTM_ACTIVATION_LINEAR,
      .recurrent_activation_alpha = -0.3f,
      .recurrent_activation_beta = 0.5f,
      .output_activation = LSTM_ACTIVATION_TANH,
      .output_activation_alpha = -1.5f,
      .output_activation_beta = 0.7f,
      .gate_clip = 0.4f}},
    {"zoneout of h", {.zoneout_h = 0.4f, .seed = 3}},
    {"zoneout of c", {.zoneout_c = 0.4f, .seed = 4}},
    {"layer norm of Ba et al.", {.layer_norm = LSTM_LAYER_NORM_BA, .layer_norm_epsilon = 0.1f}},
    {"layer norm of fastrnns",
     {.layer_norm = LSTM_LAYER_NORM_FASTRNNS, .layer_norm_epsilon = 0.1f}},
    {"layer norm of TFLite", {.layer_norm = LSTM_LAYER_NORM_TFLITE, .layer_norm_epsilon = 0.1f}},
    {"layer norm of TF", {.layer_norm = LSTM_LAYER_NORM_TF, .layer_norm_epsilon = 0.1f}},
    {"dropout", {.dropout = 0.4f, .seed = 5}},
    {"recurrent dropout", {.recurrent_dropout = 0.4f}},
    {"recurrent dropconnect", {.recurrent_dropconnect = 0.4f, .seed = 7}},
    {"LSTMP of Sak et al.",
     {.proj_size = 3, .peepholes = LSTM_YES, .cell_clip = 0.2f, .proj_clip = 0.2f}},
    {"all but normalisation",
     {.proj_size = 2,
      .peepholes = LSTM_YES,
      .coupled_gates = LSTM_COUPLING_FORGET,
      .gate_clip = 0.5f,
      .cell_clip = 0.3f,
      .zoneout_h = 0.3f,
      .zoneout_c = 0.2f,
      .dropout = 0.2f,
      .recurrent_dropout = 0.3f,
      .recurrent_dropconnect = 0.3f,
      .output_activation = LSTM_ACTIVATION_SOFTSIGN,
      .recurrent_activation = LSTM_ACTIVATION_TANH,
      .recurrent_activation_alpha = 0.8f,
      .recurrent_activation_beta = 1.2f,
      .seed = 9}},
    {"normalisation and others",
     {.proj_size = 2,
      .output_activation = LSTM_ACTIVATION_ELU,
      .output_activation_alpha = 0.6f,
      .layer_norm = LSTM_LAYER_NORM_BA,
      .layer_norm_epsilon = 0.1f,
      .coupled_gates = LSTM_COUPLING_INPUT,
      .cell_clip = 0.4f,
      .zoneout_h = 0.3f,
      .zoneout_c = 0.2f,
      .dropout = 0.2f,
      .recurrent_dropconnect = 0.3f,
      .seed = 9}},
    {"carried normalisation and others",
     {.layer_norm = LSTM_LAYER_NORM_TF,
      .layer_norm_epsilon = 0.1f,
      .gate_clip = 0.9f,
      .zoneout_h = 0.3f,
      .zoneout_c = 0.2f,
      .use_bias = LSTM_NO,
      .seed = 9}},
};

static const variant *chosen;

static lstm_lstm_options with(int64_t units)
{
    lstm_lstm_options options = chosen->options;
    options.units = units;
    return options;
}

/* Peepholes and shifts begin as zeros and scales as ones: numbers that differ tell more. The model
 * is not yet built when a recipe runs, so what is there is set by the initialisers alone; a Dense
 * layer in front makes the inputs large enough for every clip to act. */
static const lstm_layer *large(lstm_model *model, const lstm_layer *x, int64_t features)
{
    return dense(model, LSTM_ACTIVATION_LINEAR, features, x);
}

static void sequences(lstm_model *model, int64_t steps)
{
    lstm_lstm_options options = with(5);
    options.return_sequences = LSTM_YES;
    options.return_state = LSTM_YES;
    lstm(model, large(model, sequence(model, steps, 3), 3), options);
}

static void backwards_last(lstm_model *model, int64_t steps)
{
    lstm_lstm_options options = with(4);
    options.go_backwards = LSTM_YES;
    lstm(model, sequence(model, steps, 7), options);
}

static void masked_both_ways(lstm_model *model, int64_t steps)
{
    const lstm_embedding_options embedding = {
        .input_dim = 4, .output_dim = 3, .mask_zero = LSTM_YES};
    const lstm_layer *x = add(model, &lstm__class_embedding, &embedding, sequence(model, steps, 1));
    lstm_lstm_options first = with(4);
    first.return_sequences = LSTM_YES;
    first.zero_output_for_mask = LSTM_NO;
    lstm_lstm_options second = with(4);
    second.go_backwards = LSTM_YES;
    second.zero_output_for_mask = LSTM_YES;
    second.return_sequences = LSTM_YES;
    lstm(model, lstm(model, x, first), second);
}

/* Leading masked steps: what arrives at their outputs, which are zeros, does not reach h. */
static void masked_from_states(lstm_model *model, int64_t steps)
{
    const lstm_embedding_options embedding = {
        .input_dim = 4, .output_dim = 2, .mask_zero = LSTM_YES};
    lstm_lstm_options options = with(4);
    options.return_sequences = LSTM_YES;
    options.zero_output_for_mask = LSTM_NO;
    const lstm_layer *inputs[3] = {
        add(model, &lstm__class_embedding, &embedding, sequence(model, steps, 1)),
        vector(model, options.proj_size > 0 ? options.proj_size : 4), vector(model, 4)};
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, NULL));
}

static void from_states(lstm_model *model, int64_t steps)
{
    lstm_lstm_options options = with(4);
    const lstm_layer *encoder = lstm(model, sequence(model, steps, 2), options);
    const lstm_layer *inputs[3] = {sequence(model, 3, 2), &encoder->node->ports[1],
                                   &encoder->node->ports[2]};
    options.return_sequences = LSTM_YES;
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, NULL));
}

/* For lengths from `least` to 5. Profiles take turns, and each variant has both. */
static void run_all(recipe make, const char *what, size_t first, int64_t least)
{
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        char name[96];
        chosen = &variants[k];
        snprintf(name, sizeof name, "%s, %s", chosen->name, what);
        run_from(least, name, make, (k + first) % 2 ? LSTM_PROFILE_KERAS : LSTM_PROFILE_TORCH,
                 NULL);
    }
}

static void test_variants_back_propagate_through_sequences_and_states(void **state)
{
    (void)state;
    run_all(sequences, "sequences", 0, 1);
}

static void test_variants_back_propagate_backwards_to_wide_inputs(void **state)
{
    (void)state;
    run_all(backwards_last, "backwards", 1, 5);
}

static void test_variants_back_propagate_past_masked_steps(void **state)
{
    (void)state;
    run_all(masked_both_ways, "masked", 2, 3);
}

static void test_variants_back_propagate_to_initial_states(void **state)
{
    (void)state;
    run_all(from_states, "from states", 3, 5);
    run_all(masked_from_states, "masked from states", 2, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants_back_propagate_through_sequences_and_states),
        cmocka_unit_test(test_variants_back_propagate_backwards_to_wide_inputs),
        cmocka_unit_test(test_variants_back_propagate_past_masked_steps),
        cmocka_unit_test(test_variants_back_propagate_to_initial_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
