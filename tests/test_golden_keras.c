/* SPDX-License-Identifier: MIT
 * The network against the real Keras: outputs within 1e-5, gradients within 1e-4 of the largest,
 * for every case of ../shared/golden that this version's layers can express. Training is in
 * test_golden_keras_training.c.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

typedef struct arrays {
    float *values[MOST];
    size_t counts[MOST];
    size_t count;
} arrays;

static arrays load_numbered(const golden_case *golden, const char *stem)
{
    arrays a = {.count = 0};
    while (a.count < MOST &&
           (a.values[a.count] = golden_array_number(golden, stem, 1, a.count, &a.counts[a.count])))
        a.count++;
    return a;
}

static void free_arrays(arrays *a)
{
    for (size_t k = 0; k < a->count; k++)
        free(a->values[k]);
}

static void check_parameter_gradients(const golden_case *golden, const lstm_session *session,
                                      const lstm_model *model, double *worst)
{
    for (size_t k = 0, learned = 0; k < lstm_model_parameter_count(model); k++) {
        size_t count = 0;
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        if (info.trainable == LSTM_NO)
            continue; /* Keras has no gradient of moving statistics */
        float *expected = golden_array_number(golden, "gw", 2, learned++, &count);
        float *found = malloc((count + 1) * sizeof *found);
        assert_non_null(expected);
        assert_ok(lstm_session_parameter_gradient(session, k, found, count));
        /* A softmax does not change when a number is added to all scores: the gradient of a key's
         * bias is 0 but for rounding. */
        const bool zero = strstr(info.name, "/key/bias") != NULL;
        const double off = assert_close(info.name, found, expected, count, zero ? 1e-6 : 0,
                                        zero ? 0 : 1e-4);
        *worst = fmax(*worst, zero ? 0 : off / largest_size(expected, count));
        free(found);
        free(expected);
    }
}

/* Keras' gradient of BatchNormalization was taken in inference mode. */
static void fix_statistics(const golden_case *golden)
{
    size_t k = 0;
    json_t *layer = NULL;
    json_t *config = json_object_get(json_object_get(golden->json, "config"), "config");
    json_array_foreach(json_object_get(config, "layers"), k,
                       layer) if (strcmp(json_string_value(json_object_get(layer, "class_name")),
                                         "BatchNormalization") == 0)
        json_object_set_new(json_object_get(layer, "config"), "fixed_statistics", json_true());
}

static void run_forward_case(const char *name)
{
    golden_case golden;
    golden_open(&golden, "keras", name);
    fix_statistics(&golden);
    lstm_model *model = golden_model(&golden);
    lstm_session *session = NULL;
    double output_error = 0;
    double gradient_error = 0;
    golden_set_parameters(&golden, model, "w", 2);
    arrays x = load_numbered(&golden, "x");
    arrays y = load_numbered(&golden, "y");
    arrays r = load_numbered(&golden, "r");
    arrays gx = load_numbered(&golden, "gx");
    assert_int_equal(y.count, lstm_model_output_count(model));
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 4,
                            .inputs = (const float *const *)x.values,
                            .input_sizes = x.counts,
                            .input_count = x.count};
    const lstm_session_options options = {
        .struct_size = sizeof options, .training = LSTM_YES, .batch = 4};
    assert_ok(lstm_session_create(&session, model, &options));
    assert_ok(lstm_session_forward(session, &data));
    for (size_t k = 0; k < y.count; k++) {
        float *found = malloc((y.counts[k] + 1) * sizeof *found);
        assert_ok(lstm_session_output(session, k, found, y.counts[k]));
        output_error = fmax(output_error,
                            assert_close("output", found, y.values[k], y.counts[k], 1e-5, 0));
        free(found);
        assert_ok(lstm_session_set_output_gradient(session, k, r.values[k], r.counts[k]));
    }
    /* The inference plan must give the same. */
    float *outs[MOST];
    for (size_t k = 0; k < y.count; k++)
        outs[k] = malloc((y.counts[k] + 1) * sizeof **outs);
    assert_ok(lstm_predict_outputs(model, &data, outs, y.counts, y.count));
    for (size_t k = 0; k < y.count; k++) {
        assert_close("predicted output", outs[k], y.values[k], y.counts[k], 1e-5, 0);
        free(outs[k]);
    }
    assert_ok(lstm_session_backward(session));
    check_parameter_gradients(&golden, session, model, &gradient_error);
    for (size_t k = 0; k < gx.count; k++) {
        float *found = malloc((gx.counts[k] + 1) * sizeof *found);
        assert_ok(lstm_session_input_gradient(session, k, found, gx.counts[k]));
        assert_close("input gradient", found, gx.values[k], gx.counts[k], 0, 1e-4);
        free(found);
    }
    print_message("%-28s output %.1e, gradient %.1e relative\n", name, output_error,
                  gradient_error);
    free_arrays(&x);
    free_arrays(&y);
    free_arrays(&r);
    free_arrays(&gx);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    golden_close(&golden);
}

static void test_outputs_and_gradients_equal_those_of_keras(void **state)
{
    static const char *const names[] = {"lstm_last",
                                        "lstm_sequences",
                                        "lstm_backwards",
                                        "lstm_states",
                                        "lstm_no_bias",
                                        "tutorial",
                                        "stack2_dense_softmax",
                                        "encoder_decoder",
                                        "gru_reset_after",
                                        "gru_reset_before",
                                        "simple_rnn",
                                        "time_distributed_dense",
                                        "layernorm_between",
                                        "batchnorm_inference",
                                        "global_pool",
                                        "conv_pool_lstm",
                                        "attention_dot",
                                        "attention_additive",
                                        "attention_multihead",
                                        "embedding_mask_trail_last",
                                        "embedding_mask_trail_seq",
                                        "embedding_mask_holes_last",
                                        "embedding_mask_holes_seq",
                                        "embedding_mask_lead_last",
                                        "embedding_mask_lead_seq"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_forward_case(names[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_and_gradients_equal_those_of_keras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
