/* SPDX-License-Identifier: MIT
 * Small models and data for the tests of the public interface.
 */
#include "sample_models.h"
#include "api_checks.h"

#include <stdlib.h>

void fill_numbers(float *values, size_t count, uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + UINT64_C(0xD1B54A32D192ED03);
    for (size_t k = 0; k < count; k++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        values[k] = (float)(int32_t)(state >> 32) / 2147483648.0f;
    }
}

float *new_numbers(size_t count, uint64_t seed)
{
    float *values = malloc((count + 1) * sizeof *values);
    assert_non_null(values);
    fill_numbers(values, count, seed);
    return values;
}

#define STEP(call)             \
    do {                       \
        status = (call);       \
        if (status != LSTM_OK) \
            goto out;          \
    } while (0)

lstm_status build_tutorial(lstm_model **model, lstm_context *context, int64_t steps,
                           int64_t features, int64_t units, int64_t outputs)
{
    lstm_status status = LSTM_OK;
    STEP(lstm_model_create(model, context, OPTIONS(lstm_model, .seed = 7)));
    STEP(lstm_model_add_input(*model, OPTIONS(lstm_input, .steps = steps, .features = features),
                              NULL));
    STEP(lstm_model_add_lstm(*model, OPTIONS(lstm_lstm, .units = units), NULL, NULL));
    STEP(lstm_model_add_dense(*model, OPTIONS(lstm_dense, .units = outputs), NULL, NULL));
    STEP(lstm_model_build(*model));
    return LSTM_OK;
out:
    lstm_model_destroy(*model);
    *model = NULL;
    return status;
}

lstm_status build_stack(lstm_model **model, lstm_context *context)
{
    lstm_status status = LSTM_OK;
    STEP(lstm_model_create(model, context, OPTIONS(lstm_model, .seed = 11)));
    STEP(lstm_model_add_input(
        *model, OPTIONS(lstm_input, .steps = STACK_STEPS, .features = STACK_FEATURES), NULL));
    STEP(lstm_model_add_lstm(*model, OPTIONS(lstm_lstm, .units = 5, .return_sequences = LSTM_YES),
                             NULL, NULL));
    STEP(lstm_model_add_dropout(*model, OPTIONS(lstm_dropout, .rate = 0.3f), NULL, NULL));
    STEP(lstm_model_add_lstm(*model, OPTIONS(lstm_lstm, .units = 4, .go_backwards = LSTM_YES), NULL,
                             NULL));
    STEP(lstm_model_add_dense(*model, OPTIONS(lstm_dense, .units = STACK_OUTPUTS), NULL, NULL));
    STEP(lstm_model_build(*model));
    return LSTM_OK;
out:
    lstm_model_destroy(*model);
    *model = NULL;
    return status;
}

lstm_model *new_sample_stack(void)
{
    lstm_model *m = NULL;
    assert_ok(build_stack(&m, NULL));
    return m;
}

void start_stack_task(stack_task *t)
{
    fill_numbers(t->x, LENGTH(t->x), 5);
    for (size_t n = 0; n < STACK_SAMPLES; n++) {
        const float *x = t->x + n * STACK_STEPS * STACK_FEATURES;
        t->y[2 * n] = 0.5f * (x[0] + x[STACK_FEATURES]);
        t->y[2 * n + 1] = x[17] * 0.5f;
    }
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = STACK_SAMPLES,
                          .x = t->x,
                          .x_count = LENGTH(t->x),
                          .y = t->y,
                          .y_count = LENGTH(t->y)};
}

lstm_status build_everything(lstm_model **out, lstm_context *context, int32_t profile,
                             uint64_t seed)
{
    lstm_status status = LSTM_OK;
    lstm_model *m = NULL;
    lstm_layer *sequence, *vector, *encoder, *squeezed, *decoder, *words, *folded, *h, *c, *tail,
        *tail_c;
    STEP(lstm_model_create(&m, context, OPTIONS(lstm_model, .profile = profile, .seed = seed)));
    STEP(lstm_model_add_input(m,
                              OPTIONS(lstm_input, .steps = EVERYTHING_STEPS,
                                      .features = EVERYTHING_FEATURES, .name = "sequence"),
                              &sequence));
    STEP(lstm_model_add_input(
        m, OPTIONS(lstm_input, .vector = LSTM_YES, .features = EVERYTHING_VECTOR), &vector));
    STEP(lstm_model_add_lstm(m,
                             OPTIONS(lstm_lstm, .units = 5, .return_sequences = LSTM_YES,
                                     .go_backwards = LSTM_YES, .name = "encoder"),
                             sequence, &encoder));
    STEP(lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = 0.25f, .seed = 3), NULL, NULL));
    STEP(lstm_model_add_activation(
        m, OPTIONS(lstm_activation, .activation = LSTM_ACTIVATION_SOFTSIGN), NULL, NULL));
    STEP(lstm_model_add_flatten(m, NULL, NULL, NULL));
    STEP(lstm_model_add_dense(
        m, OPTIONS(lstm_dense, .units = 4, .activation = LSTM_ACTIVATION_TANH), NULL, &squeezed));
    STEP(lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = EVERYTHING_STEPS),
                                      squeezed, NULL));
    STEP(lstm_model_add_lstm(
        m, OPTIONS(lstm_lstm, .units = 5, .return_sequences = LSTM_YES, .initial_state = encoder),
        NULL, &decoder));
    STEP(lstm_model_add_dense(
        m, OPTIONS(lstm_dense, .units = 3, .activation = LSTM_ACTIVATION_SIGMOID), decoder,
        &words));
    STEP(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 5, .features = EVERYTHING_STEPS),
                                decoder, &folded));
    STEP(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 4, .use_bias = LSTM_NO), vector, &h));
    STEP(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 4), vector, &c));
    STEP(lstm_model_add_lstm(m,
                             OPTIONS(lstm_lstm, .units = 4, .use_bias = LSTM_NO, .initial_h = h,
                                     .initial_c = c, .name = "tail"),
                             folded, &tail));
    STEP(lstm_layer_state(tail, NULL, &tail_c));
    STEP(
        lstm_model_set_outputs(m, (const lstm_layer *[]){words, tail, tail_c}, EVERYTHING_OUTPUTS));
    STEP(lstm_model_build(m));
    *out = m;
    return LSTM_OK;
out:
    lstm_model_destroy(m);
    *out = NULL;
    return status;
}

float *copy_parameters(const lstm_model *model, size_t *count)
{
    *count = lstm_model_parameter_total(model);
    float *values = malloc((*count + 1) * sizeof *values);
    float *next = values;
    assert_non_null(values);
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_ok(lstm_model_get_parameter(model, k, next, info.count));
        next += info.count;
    }
    return values;
}

int same_parameters(const lstm_model *a, const lstm_model *b)
{
    size_t count_a = 0;
    size_t count_b = 0;
    float *values_a = copy_parameters(a, &count_a);
    float *values_b = copy_parameters(b, &count_b);
    int same = count_a == count_b && memcmp(values_a, values_b, count_a * sizeof *values_a) == 0 &&
               lstm_model_parameter_count(a) == lstm_model_parameter_count(b);
    for (size_t k = 0; same && k < lstm_model_parameter_count(a); k++) {
        lstm_parameter_info info_a = {.struct_size = sizeof info_a};
        lstm_parameter_info info_b = {.struct_size = sizeof info_b};
        assert_ok(lstm_model_parameter_info(a, k, &info_a));
        assert_ok(lstm_model_parameter_info(b, k, &info_b));
        same = strcmp(info_a.name, info_b.name) == 0 &&
               memcmp(info_a.shape, info_b.shape, sizeof info_a.shape) == 0;
    }
    free(values_a);
    free(values_b);
    return same;
}
