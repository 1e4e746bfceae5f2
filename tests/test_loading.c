/* SPDX-License-Identifier: MIT
 * What loading leaves for the first prediction: the block of the self-test's session is that of the
 * next session, once; a loaded model predicts the bits of the saved one with it and without.
 */
#include "api_checks.h"
#include "counting_allocator.h"

#include <stdio.h>

enum { STEPS = 4, FEATURES = 64, OUTPUTS = 3, SAMPLES = 2, LARGE = 4 << 20 };

static lstm_model *saved_model(lstm_context *context, const char *path)
{
    static const char json[] = "{\"seed\": 2, \"layers\": [{\"type\": \"Input\", \"shape\": [4, "
                               "64]}, {\"type\": \"LSTM\", "
                               "\"units\": 512}, {\"type\": \"Dense\", \"units\": 3}]}";
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, context, json, sizeof json - 1));
    assert_ok(lstm_model_save(model, path));
    return model;
}

static void predict(lstm_model *model, int64_t samples, float *out)
{
    static float x[64 * STEPS * FEATURES];
    for (size_t k = 0; k < LENGTH(x); k++)
        x[k] = (float)((int)(k * 7919 % 61) - 30) / 16;
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = samples,
                            .x = x,
                            .x_count = (size_t)samples * STEPS * FEATURES};
    assert_ok(lstm_predict(model, &data, out, (size_t)samples * OUTPUTS));
}

/* The largest block that is allocated for a session. */
static size_t block_of_session(counting_allocator *allocator, lstm_model *model, int64_t batch)
{
    lstm_session *session = NULL;
    const lstm_session_options options = {
        .struct_size = sizeof options, .batch = batch, .training = LSTM_NO};
    atomic_store(&allocator->largest, 0);
    assert_ok(lstm_session_create(&session, model, &options));
    lstm_session_destroy(session);
    return atomic_load(&allocator->largest);
}

static void test_the_first_session_takes_the_block_of_the_self_test(void **state)
{
    counting_allocator allocator = {0};
    lstm_context *context = counting_allocator_context(&allocator);
    lstm_model *model = saved_model(context, "loading.lstm");
    lstm_model *loaded = NULL;
    (void)state;
    lstm_model_destroy(model);
    assert_ok(lstm_model_load(&loaded, context, "loading.lstm"));
    assert_true(block_of_session(&allocator, loaded, SAMPLES) < LARGE / 4);
    assert_true(block_of_session(&allocator, loaded, SAMPLES) >= LARGE); /* it is taken once */
    lstm_model_destroy(loaded);
    /* one that is too small is given back, one that nobody takes goes with the model */
    assert_ok(lstm_model_load(&loaded, context, "loading.lstm"));
    assert_true(block_of_session(&allocator, loaded, 4096) >= LARGE);
    lstm_model_destroy(loaded);
    assert_ok(lstm_model_load(&loaded, context, "loading.lstm"));
    lstm_model_destroy(loaded);
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

static void test_predictions_are_those_of_the_saved_model(void **state)
{
    float expected[64 * OUTPUTS];
    float found[64 * OUTPUTS];
    lstm_model *model = saved_model(NULL, "loading.lstm");
    lstm_model *loaded = NULL;
    (void)state;
    for (int64_t samples = 1; samples <= 64; samples *= 8) {
        predict(model, samples, expected);
        assert_ok(lstm_model_load(&loaded, NULL, "loading.lstm"));
        for (int again = 0; again < 2; again++) {
            predict(loaded, samples, found);
            assert_memory_equal(found, expected, (size_t)samples * OUTPUTS * sizeof *found);
        }
        lstm_model_destroy(loaded);
    }
    lstm_model_destroy(model);
    remove("loading.lstm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_session_takes_the_block_of_the_self_test),
        cmocka_unit_test(test_predictions_are_those_of_the_saved_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
