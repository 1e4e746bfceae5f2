/* SPDX-License-Identifier: MIT
 * Back-propagation against finite differences, in double: layers and losses are compiled with
 * LSTM__DOUBLE, so the only error is that of the difference quotient. Every loss and penalty, and
 * graphs of several recurrent layers: states handed on, layers read twice, other shapes. Each element
 * by itself, for 1 to 5 steps and batches of 1, 3 and 5. (test_gradient_table.c has every layer and
 * option.)
 */
#include "gradient_problem.h"

static void encoder_decoder(lstm_model *model, int64_t steps)
{
    const lstm_layer *encoder = lstm(model, sequence(model, steps, 2),
                                     (lstm_lstm_options){.units = 3});
    const lstm_layer *inputs[3] = {sequence(model, 3, 2), &encoder->node->ports[1],
                                   &encoder->node->ports[2]};
    const lstm_lstm_options options = {.units = 3, .return_sequences = LSTM_YES};
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, NULL));
}
static void stack_with_repeat(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = lstm(model, sequence(model, steps, 2),
                               (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES});
    const lstm_layer *b = lstm(model, a, (lstm_lstm_options){.units = 4});
    const lstm_layer *c = add(model, &lstm__class_repeat_vector,
                              &(lstm_repeat_vector_options){.count = 3}, b);
    const lstm_layer *d = lstm(model, c,
                               (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
    dense(model, LSTM_ACTIVATION_SOFTMAX, 3, d);
}
static void read_twice(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps, 2);
    const lstm_layer *a = lstm(model, x,
                               (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES});
    lstm(model, a, (lstm_lstm_options){.units = 2});
    lstm(model, a, (lstm_lstm_options){.units = 2, .go_backwards = LSTM_YES});
    dense(model, LSTM_ACTIVATION_TANH, 2, a);
    dense(model, LSTM_ACTIVATION_SIGMOID, 2, &a->node->ports[1]);
}
static void shapes(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps, 6);
    const lstm_layer *r = add(model, &lstm__class_reshape,
                              &(lstm_reshape_options){.steps = 2 * steps, .features = 3}, x);
    const lstm_layer *a = lstm(model, r,
                               (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
    dense(model, LSTM_ACTIVATION_TANH, 3,
          add(model, &lstm__class_flatten, &(lstm_reshape_options){0}, a));
    add(model, &lstm__class_flatten, &(lstm_reshape_options){0}, a);
}

static void test_graphs_back_propagate_to_every_layer(void **state)
{
    static const struct {
        const char *name;
        recipe make;
    } cases[] = {{"encoder-decoder", encoder_decoder},
                 {"stack with repeat", stack_with_repeat},
                 {"a layer read twice", read_twice},
                 {"reshape and flatten", shapes}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        run(cases[k].name, cases[k].make, LSTM_PROFILE_KERAS, NULL);
        run(cases[k].name, cases[k].make, LSTM_PROFILE_TORCH, NULL);
    }
}

static int32_t chosen_activation;
static void dense_on_sequence(lstm_model *model, int64_t steps)
{
    dense(model, chosen_activation, 3,
          dense(model, LSTM_ACTIVATION_TANH, 4, sequence(model, steps, 2)));
}
static void activation_layer(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_LINEAR, 3, sequence(model, steps, 2));
    add(model, &lstm__class_activation, &(lstm_activation_options){.activation = chosen_activation},
        a);
}

/* Two readers of one layer, the second of which adds to the gradient. */
static lstm_activation_options numbers;
static void activation_with_numbers(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_LINEAR, 3, sequence(model, steps, 2));
    const lstm_layer *const inputs[2] = {add(model, &lstm__class_activation, &numbers, a), a};
    const lstm_combine_options options = {.struct_size = sizeof options};
    ok(lstm__graph_add(model, &lstm__class_multiply, &options, NULL, inputs, 2, NULL));
}

static void test_every_activation_back_propagates(void **state)
{
    static const lstm_activation_options cases[] = {
        {.activation = LSTM_ACTIVATION_LINEAR, .alpha = -0.5f, .beta = 1},
        {.activation = LSTM_ACTIVATION_TANH, .alpha = 1.5f, .beta = -0.5f},
        {.activation = LSTM_ACTIVATION_RELU, .alpha = 0.25f},
        {.activation = LSTM_ACTIVATION_ELU, .alpha = 2},
        {.activation = LSTM_ACTIVATION_HARD_SIGMOID, .alpha = 0.5f, .beta = 0.25f}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        numbers = cases[k];
        run("Activation with numbers", activation_with_numbers, LSTM_PROFILE_KERAS, NULL);
    }
    for (chosen_activation = LSTM_ACTIVATION_LINEAR;
         chosen_activation <= LSTM_ACTIVATION_HARD_SIGMOID; chosen_activation++) {
        run("Dense", dense_on_sequence, LSTM_PROFILE_KERAS, NULL);
        run("Activation", activation_layer, LSTM_PROFILE_KERAS, NULL);
    }
}

static void test_every_loss_back_propagates(void **state)
{
    (void)state;
    for (int32_t kind = LSTM_LOSS_MSE; kind <= LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY; kind++)
        for (int logits = 0; logits < 2; logits++) {
            const lstm__loss loss = {.kind = kind, .from_logits = logits, .delta = 0.4};
            const bool binary = kind == LSTM_LOSS_BINARY_CROSSENTROPY;
            if (logits && kind < LSTM_LOSS_BINARY_CROSSENTROPY)
                continue;
            chosen_activation = logits || kind < LSTM_LOSS_BINARY_CROSSENTROPY
                                    ? LSTM_ACTIVATION_LINEAR
                                : binary ? LSTM_ACTIVATION_SIGMOID
                                         : LSTM_ACTIVATION_SOFTMAX;
            run("loss behind Dense", dense_on_sequence, LSTM_PROFILE_KERAS, &loss);
            run("loss behind Activation", activation_layer, LSTM_PROFILE_KERAS, &loss);
            if (!logits && kind >= LSTM_LOSS_BINARY_CROSSENTROPY) {
                chosen_activation = binary ? LSTM_ACTIVATION_HARD_SIGMOID
                                           : LSTM_ACTIVATION_SOFTPLUS;
                run("loss on bare probabilities", dense_on_sequence, LSTM_PROFILE_KERAS, &loss);
            }
        }
}

static void four_units(lstm_model *model, int64_t steps)
{
    dense(model, chosen_activation, 4,
          dense(model, LSTM_ACTIVATION_TANH, 4, sequence(model, steps, 2)));
}

static void test_every_later_loss_back_propagates(void **state)
{
    static const struct {
        const char *name;
        int32_t kind, activation;
        bool logits;
    } cases[] = {
        {"mape", LSTM_LOSS_MAPE, LSTM_ACTIVATION_LINEAR, false},
        {"msle", LSTM_LOSS_MSLE, LSTM_ACTIVATION_SOFTPLUS, false},
        {"log_cosh", LSTM_LOSS_LOG_COSH, LSTM_ACTIVATION_LINEAR, false},
        {"binary focal", LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_SIGMOID, false},
        {"binary focal from logits", LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_LINEAR,
         true},
        {"categorical focal", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_SOFTMAX,
         false},
        {"categorical focal on bare values", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY,
         LSTM_ACTIVATION_SOFTPLUS, false},
        {"categorical focal from logits", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY,
         LSTM_ACTIVATION_LINEAR, true},
        {"kl_divergence", LSTM_LOSS_KL_DIVERGENCE, LSTM_ACTIVATION_SOFTMAX, false},
        {"poisson", LSTM_LOSS_POISSON, LSTM_ACTIVATION_SOFTPLUS, false},
        {"cosine", LSTM_LOSS_COSINE_SIMILARITY, LSTM_ACTIVATION_LINEAR, false},
        {"hinge", LSTM_LOSS_HINGE, LSTM_ACTIVATION_LINEAR, false},
        {"squared hinge", LSTM_LOSS_SQUARED_HINGE, LSTM_ACTIVATION_LINEAR, false},
        {"categorical hinge", LSTM_LOSS_CATEGORICAL_HINGE, LSTM_ACTIVATION_LINEAR, false},
        {"quantile", LSTM_LOSS_QUANTILE, LSTM_ACTIVATION_LINEAR, false},
        {"gaussian", LSTM_LOSS_GAUSSIAN_NLL, LSTM_ACTIVATION_LINEAR, false}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int32_t reduction = 0; reduction <= LSTM_REDUCTION_WEIGHTED_MEAN; reduction++) {
            const lstm__loss loss = {.kind = cases[k].kind,
                                     .from_logits = cases[k].logits,
                                     .delta = 1,
                                     .gamma = 2.5,
                                     .alpha = 0.3,
                                     .balanced = reduction == LSTM_REDUCTION_SUM,
                                     .reduction = reduction,
                                     .quantile_count = 2,
                                     .quantiles = {0.125f, 0.75f}};
            chosen_activation = cases[k].activation;
            run(cases[k].name, four_units, LSTM_PROFILE_KERAS, &loss);
        }
}

static void test_smoothed_and_weighted_entropies_back_propagate(void **state)
{
    (void)state;
    for (int32_t kind = LSTM_LOSS_BINARY_CROSSENTROPY;
         kind <= LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY; kind++)
        for (int32_t reduction = LSTM_REDUCTION_MEAN; reduction <= LSTM_REDUCTION_WEIGHTED_MEAN;
             reduction++)
            /* from logits, through the activation, on bare probabilities */
            for (int form = 0; form < 3; form++) {
                const lstm__loss loss = {.kind = kind,
                                         .from_logits = form == 0,
                                         .smoothing = 0.2,
                                         .reduction = reduction,
                                         .quantile_count = 1};
                const bool binary = kind == LSTM_LOSS_BINARY_CROSSENTROPY;
                chosen_activation =
                    form == 0 ? LSTM_ACTIVATION_LINEAR
                    : form == 1
                        ? (binary ? LSTM_ACTIVATION_SIGMOID : LSTM_ACTIVATION_SOFTMAX)
                        : (binary ? LSTM_ACTIVATION_HARD_SIGMOID : LSTM_ACTIVATION_SOFTPLUS);
                run("smoothed entropy", four_units, LSTM_PROFILE_KERAS, &loss);
            }
}

static void test_ctc_back_propagates(void **state)
{
    (void)state;
    for (int32_t reduction = LSTM_REDUCTION_MEAN; reduction <= LSTM_REDUCTION_MEAN_PER_LABEL;
         reduction++)
        /* from logits, through softmax, logarithms of probabilities */
        for (int form = 0; form < 3; form++) {
            const lstm__loss loss = {.kind = LSTM_LOSS_CTC,
                                     .log_probabilities = form == 2,
                                     .reduction = reduction,
                                     .blank = -1,
                                     .zero_infinity = true};
            chosen_activation = form == 1 ? LSTM_ACTIVATION_SOFTMAX : LSTM_ACTIVATION_LINEAR;
            run("ctc", four_units, LSTM_PROFILE_KERAS, &loss);
        }
}

static void penalised(lstm_model *model, int64_t steps)
{
    lstm_layer *a = NULL;
    const lstm_lstm_options options = {.units = 3, .return_sequences = LSTM_YES};
    const lstm_layer *x = sequence(model, steps, 2);
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, &x, 1, &a));
    a->node->penalties[LSTM__PENALTY_KERNEL] = (lstm__penalty){.l2 = 0.1};
    a->node->penalties[LSTM__PENALTY_RECURRENT] = (lstm__penalty){.l1 = 0.05, .l2 = 0.02};
    a->node->penalties[LSTM__PENALTY_BIAS] = (lstm__penalty){.l2 = 0.3};
    dense(model, LSTM_ACTIVATION_LINEAR, 3, a);
}

static void test_penalties_belong_to_the_loss_and_its_gradient(void **state)
{
    const lstm__loss loss = {.kind = LSTM_LOSS_MSE, .quantile_count = 1};
    (void)state;
    run("penalties", penalised, LSTM_PROFILE_KERAS, &loss);
    run("penalties", penalised, LSTM_PROFILE_TORCH, &loss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ctc_back_propagates),
        cmocka_unit_test(test_every_later_loss_back_propagates),
        cmocka_unit_test(test_smoothed_and_weighted_entropies_back_propagate),
        cmocka_unit_test(test_penalties_belong_to_the_loss_and_its_gradient),
        cmocka_unit_test(test_graphs_back_propagate_to_every_layer),
        cmocka_unit_test(test_every_activation_back_propagates),
        cmocka_unit_test(test_every_loss_back_propagates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
