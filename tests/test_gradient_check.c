/* SPDX-License-Identifier: MIT
 * The public gradient check: it passes on sound models with every kind of layer, names the
 * parameter whose gradient is wrong, and leaves the model as it was.
 */
#include "gradient_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { SAMPLES = 4, STEPS = 5, FEATURES = 3, UNITS = 6, CLASSES = 3 };

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static void wrong_backward(const lstm__node *node, lstm_session *session, void *plan)
{
    lstm__class_dense.backward(node, session, plan);
    session->gradients[node->model->parameters[node->parameter_first + 1].offset + 2] += (real)0.5;
}

static lstm_model *make_model(const lstm__layer_class *last)
{
    lstm_model *model = NULL;
    const lstm_layer *input = NULL;
    const lstm_input_options x = {.steps = STEPS, .features = FEATURES};
    const lstm_dropout_options dropout = {.rate = 0.3f};
    const lstm_gru_options gru = {.units = UNITS, .return_sequences = LSTM_YES};
    const lstm_batch_normalization_options norm = {.epsilon = 0.1f};
    const lstm_lstm_options lstm = {.units = UNITS};
    const lstm_dense_options dense = {.units = CLASSES, .activation = LSTM_ACTIVATION_SOFTMAX};
    ok(lstm__graph_create(&model, NULL, LSTM_PROFILE_KERAS, 3));
    ok(lstm__graph_add(model, &lstm__class_input, &x, NULL, NULL, 0, NULL));
    ok(lstm__graph_add(model, &lstm__class_gru, &gru, NULL, &input, 1, NULL));
    ok(lstm__graph_add(model, &lstm__class_batch_normalization, &norm, NULL, &input, 1, NULL));
    ok(lstm__graph_add(model, &lstm__class_dropout, &dropout, NULL, &input, 1, NULL));
    ok(lstm__graph_add(model, &lstm__class_lstm, &lstm, NULL, &input, 1, NULL));
    ok(lstm__graph_add(model, last, &dense, "answer", &input, 1, NULL));
    ok(lstm__graph_build(model));
    return model;
}

static lstm_status check(lstm_model *model, double *errors, real *kept, real *gradients)
{
    static float x[SAMPLES * STEPS * FEATURES];
    static const float y[SAMPLES] = {0, 2, 1, 2};
    const float *const inputs[1] = {x};
    const float *const targets[1] = {y};
    const lstm__loss loss = {.kind = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY};
    const lstm__batch batch = {.layout = LSTM_LAYOUT_BATCH_FIRST,
                               .samples = SAMPLES,
                               .count = SAMPLES,
                               .inputs = inputs,
                               .targets = targets};
    lstm_session *session = NULL;
    for (size_t k = 0; k < SAMPLES * STEPS * FEATURES; k++)
        x[k] = (float)(k * 7 % 11) / 5 - 1;
    ok(lstm__session_create(&session, model, true, false, SAMPLES, 0, 1));
    session->fixed_update = true;
    const lstm__gradient_check job = {.session = session,
                                      .loss = &loss,
                                      .batch = &batch,
                                      .step = 0.02,
                                      .tolerance = 0.01,
                                      .directions = 3,
                                      .kept = kept,
                                      .gradients = gradients};
    const lstm_status status = lstm__check_model_gradients(&job, errors);
    lstm__session_destroy(session);
    return status;
}

static void test_a_sound_model_passes_and_stays_as_it_was(void **state)
{
    static real before[4096];
    static real kept[4096];
    static real gradients[4096];
    double errors[32];
    double largest = 0;
    (void)state;
    lstm_model *model = make_model(&lstm__class_dense);
    memcpy(before, model->values, model->value_count * sizeof *before);
    ok(check(model, errors, kept, gradients));
    assert_memory_equal(before, model->values, model->value_count * sizeof *before);
    for (size_t k = 0; k < model->parameter_count; k++)
        largest = errors[k] > largest ? errors[k] : largest;
    print_message("largest error %.1e of %zu parameters\n", largest, model->parameter_count);
    assert_true(largest > 0 && largest < 5e-3);
    lstm__graph_release(model);
}

static void test_the_parameter_with_a_wrong_gradient_is_named(void **state)
{
    static real kept[4096];
    static real gradients[4096];
    double errors[32];
    (void)state;
    lstm__layer_class wrong = lstm__class_dense;
    wrong.backward = wrong_backward;
    lstm_model *model = make_model(&wrong);
    assert_int_equal(check(model, errors, kept, gradients), LSTM_ERROR_NUMERIC);
    assert_non_null(strstr(lstm_last_error(), "\"answer/bias\""));
    for (size_t k = 0; k < model->parameter_count; k++)
        assert_int_equal(errors[k] > 0.01, strcmp(model->parameters[k].name, "answer/bias") == 0);
    lstm__graph_release(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sound_model_passes_and_stays_as_it_was),
        cmocka_unit_test(test_the_parameter_with_a_wrong_gradient_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
