/* SPDX-License-Identifier: MIT
 * The LSTM's variants against other implementations: ONNX Runtime (peepholes, clip, input_forget,
 * activations), TensorFlow's LSTMCell (peepholes, cell clip, projection with clip), TensorFlow
 * Addons' normalised cell, Keras 2 and 3 (GRU with other activations), and published equations.
 * Outputs within 1e-5, gradients within 1e-4 of the largest.
 */
#include "closeness.h"
#include "golden_case.h"
#include "lstm_variants_keras2.h"
#include "lstm_variants_keras3.h"
#include "lstm_variants_onnx.h"
#include "lstm_variants_published.h"
#include "lstm_variants_tf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lstm_model *build(const reference *c)
{
    char text[1024];
    lstm_model *model = NULL;
    snprintf(text, sizeof text,
             "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null, %d]},"
             "{\"type\": \"Input\", \"name\": \"h\", \"shape\": [%d]}%s,"
             "{\"type\": \"%s\", \"inputs\": [\"x\", \"h\"%s], \"units\": %d, "
             "\"return_sequences\": true, %s}]}",
             (int)I, c->width,
             c->c0 ? ", {\"type\": \"Input\", \"name\": \"c\", \"shape\": [5]}" : "", c->type,
             c->c0 ? ", \"c\"" : "", (int)H, c->options);
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    const float *values = c->parameters;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_ok(lstm_model_set_parameter(model, k, values, info.count));
        values += info.count;
    }
    return model;
}

static double check_gradients(const reference *c, const lstm_model *model, lstm_session *session)
{
    float found[T * B * I + 4 * H * (I + H)];
    const float *expected = c->gradients;
    assert_ok(lstm_session_set_output_gradient(session, 0, c->r, (size_t)(T * B * c->width)));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_session_input_gradient(session, 0, found, T * B * I));
    double worst = assert_close("dx", found, c->dx, T * B * I, 0, 1e-4) /
                   largest_size(c->dx, T * B * I);
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_ok(lstm_session_parameter_gradient(session, k, found, info.count));
        worst = fmax(worst, assert_close(info.name, found, expected, info.count, 0, 1e-4) /
                                largest_size(expected, info.count));
        expected += info.count;
    }
    return worst;
}

static void run(const reference *c)
{
    lstm_session *session = NULL;
    float found[T * B * H];
    lstm_model *model = build(c);
    const size_t count = (size_t)(T * B * c->width);
    const float *inputs[3] = {c->x, c->h0, c->c0};
    const size_t sizes[3] = {T * B * I, (size_t)(B * c->width), B * H};
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = B,
                            .inputs = inputs,
                            .input_sizes = sizes,
                            .input_count = c->c0 ? 3 : 2};
    for (int training = 0; training < 2; training++) {
        if (training && !c->gradients && strstr(c->options, "zoneout"))
            continue; /* random there */
        const lstm_session_options options = {.struct_size = sizeof options,
                                              .training = training ? LSTM_YES : LSTM_NO,
                                              .batch = B,
                                              .steps = T};
        assert_ok(lstm_session_create(&session, model, &options));
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_output(session, 0, found, count));
        const double output = assert_close(c->name, found, c->y, count, 1e-5, 0);
        if (training && c->gradients)
            print_message("%-20s output %.1e, gradient %.1e relative\n", c->name, output,
                          check_gradients(c, model, session));
        else if (!c->gradients)
            print_message("%-20s output %.1e\n", c->name, output);
        lstm_session_destroy(session);
    }
    lstm_model_destroy(model);
}

static void test_peepholes_clip_and_coupling_equal_those_of_onnx_runtime(void **state)
{
    (void)state;
    run(&onnx_peepholes);
    run(&onnx_input_forget);
    run(&onnx_clip);
    run(&onnx_all);
    run(&onnx_affine);
    run(&onnx_numbers);
    run(&onnx_threshold);
}

static void test_projected_and_clipped_cells_equal_those_of_tensorflow(void **state)
{
    (void)state;
    run(&tf_cell_clip);
    run(&tf_lstmp);
}

static void test_each_normalised_cell_equals_its_publication(void **state)
{
    (void)state;
    run(&tfa_layer_norm);
    run(&ba_layer_norm);
    run(&tflite_layer_norm);
    run(&tf_layer_norm);
    run(&tf_layer_norm_peepholes);
}

static void test_gru_with_other_activations_equals_keras(void **state)
{
    (void)state;
    run(&keras2_gru_after);
    run(&keras2_gru_before);
    run(&keras3_gru_after);
    run(&keras3_gru_before);
}

static void test_other_published_cells_are_met(void **state)
{
    (void)state;
    run(&tflite_cifg);
    run(&zoneout_inference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peepholes_clip_and_coupling_equal_those_of_onnx_runtime),
        cmocka_unit_test(test_projected_and_clipped_cells_equal_those_of_tensorflow),
        cmocka_unit_test(test_each_normalised_cell_equals_its_publication),
        cmocka_unit_test(test_gru_with_other_activations_equals_keras),
        cmocka_unit_test(test_other_published_cells_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
