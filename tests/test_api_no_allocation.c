/* SPDX-License-Identifier: MIT
 * After creation no call of a session, an optimizer's step or a primitive allocates: the context's
 * allocator counts its calls and refuses everything from then on. It also fills memory with NaN, so
 * a result that depends on memory nobody wrote shows as NaN.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdlib.h>

static const lstm_optimizer_options optimizers[] = {
    {.struct_size = sizeof(lstm_optimizer_options), .optimizer = LSTM_OPTIMIZER_SGD},
    {.struct_size = sizeof(lstm_optimizer_options),
     .optimizer = LSTM_OPTIMIZER_SGD,
     .momentum = 0.9,
     .nesterov = LSTM_YES,
     .global_clip_norm = 1},
    {.struct_size = sizeof(lstm_optimizer_options),
     .optimizer = LSTM_OPTIMIZER_RMSPROP,
     .centered = LSTM_YES,
     .momentum = 0.5,
     .clip_norm = 0.5},
    {.struct_size = sizeof(lstm_optimizer_options),
     .optimizer = LSTM_OPTIMIZER_ADAM,
     .amsgrad = LSTM_YES,
     .clip_value = 1},
    {.struct_size = sizeof(lstm_optimizer_options), .optimizer = LSTM_OPTIMIZER_ADAMW},
};

enum { MOST = 4, BATCH = 6, STEPS = 9 };

typedef struct arrays {
    float *values[MOST];
    size_t sizes[MOST];
    size_t count;
} arrays;

static void free_arrays(arrays *a)
{
    for (size_t k = 0; k < a->count; k++)
        free(a->values[k]);
}

/* Numbers for each input (or output) of the model, for `samples` samples of `steps` free steps. */
static arrays numbers_for(const lstm_model *model, bool inputs, size_t samples, size_t steps)
{
    arrays a = {.count = inputs ? lstm_model_input_count(model) : lstm_model_output_count(model)};
    for (size_t k = 0; k < a.count; k++) {
        int64_t own = 0;
        int64_t features = 0;
        assert_ok(lstm_layer_shape(
            inputs ? lstm_model_input(model, k) : lstm_model_output(model, k), &own, &features));
        a.sizes[k] = samples * (own == 0 ? 1 : own < 0 ? steps : (size_t)own) * (size_t)features;
        a.values[k] = new_numbers(a.sizes[k], k + samples);
    }
    return a;
}

static void assert_finite(const float *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!isfinite(values[k]))
            fail_msg("value %zu of %zu is %g: memory was read before it was written", k, count,
                     (double)values[k]);
}

/* Everything a session can do, at one number of samples and steps. */
static void use_session(lstm_session *session, const lstm_model *model, lstm_optimizer *optimizer,
                        size_t samples, size_t steps, int32_t layout, int32_t loss)
{
    arrays x = numbers_for(model, true, samples, steps);
    arrays y = numbers_for(model, false, samples, steps);
    arrays out = numbers_for(model, false, samples, steps);
    const lstm_loss_options loss_options = {.struct_size = sizeof loss_options, .loss = loss};
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = layout,
                            .samples = (int64_t)samples,
                            .inputs = (const float *const *)x.values,
                            .input_sizes = x.sizes,
                            .input_count = x.count,
                            .targets = (const float *const *)y.values,
                            .target_sizes = y.sizes,
                            .target_count = y.count};
    assert_ok(lstm_session_forward(session, &data));
    for (size_t k = 0; k < out.count; k++) {
        assert_ok(lstm_session_output(session, k, out.values[k], out.sizes[k]));
        assert_finite(out.values[k], out.sizes[k]);
    }
    double value = 0;
    assert_ok(lstm_session_loss(session, &loss_options, &data, &value));
    assert_true(isfinite(value));
    if (optimizer) {
        assert_ok(lstm_session_set_output_gradient(session, 0, y.values[0], y.sizes[0]));
        assert_ok(lstm_session_backward(session));
        for (size_t k = 0; k < x.count; k++) {
            assert_ok(lstm_session_input_gradient(session, k, x.values[k], x.sizes[k]));
            assert_finite(x.values[k], x.sizes[k]);
        }
        for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
            lstm_parameter_info info = {.struct_size = sizeof info};
            assert_ok(lstm_model_parameter_info(model, k, &info));
            float *gradient = malloc(info.count * sizeof *gradient);
            assert_ok(lstm_session_parameter_gradient(session, k, gradient, info.count));
            assert_finite(gradient, info.count);
            free(gradient);
        }
        assert_ok(lstm_optimizer_step(optimizer, session));
    }
    free_arrays(&x);
    free_arrays(&y);
    free_arrays(&out);
}

static void check_session(lstm_model *model, counting_allocator *allocator, int32_t training,
                          size_t optimizer_number)
{
    static const struct {
        size_t samples, steps;
    } calls[] = {{BATCH, STEPS}, {1, 1}, {BATCH, 2}, {3, STEPS}, {BATCH, STEPS}};
    lstm_session *session = NULL;
    lstm_optimizer *optimizer = NULL;
    assert_ok(lstm_session_create(
        &session, model,
        OPTIONS(lstm_session, .training = training, .batch = BATCH, .steps = STEPS)));
    if (training == LSTM_YES)
        assert_ok(lstm_optimizer_create(&optimizer, model, &optimizers[optimizer_number]));
    const size_t before = atomic_load(&allocator->calls);
    for (size_t k = 0; k < LENGTH(calls); k++)
        for (int32_t layout = LSTM_LAYOUT_BATCH_FIRST; layout <= LSTM_LAYOUT_TIME_FIRST; layout++)
            for (int32_t loss = LSTM_LOSS_MSE; loss <= LSTM_LOSS_HUBER; loss++) {
                allocator->refuse = atomic_load(&allocator->calls) + 1;
                use_session(session, model, optimizer, calls[k].samples, calls[k].steps, layout,
                            loss);
            }
    allocator->refuse = 0;
    assert_int_equal(atomic_load(&allocator->calls), before);
    lstm_optimizer_destroy(optimizer);
    lstm_session_destroy(session);
}

static lstm_status build_number(size_t number, lstm_model **model, lstm_context *context)
{
    switch (number) {
    case 0:
        return build_tutorial(model, context, 0, 3, 5, 2);
    case 1:
        return build_stack(model, context);
    case 2:
        return build_everything(model, context, LSTM_PROFILE_KERAS, 1);
    case 3:
        return build_everything(model, context, LSTM_PROFILE_TORCH, 1);
    default:
        return build_tutorial(model, context, 28, 1, 33, 10);
    }
}

static void test_sessions_and_optimizers_allocate_nothing_after_creation(void **state)
{
    (void)state;
    for (size_t number = 0; number < 5; number++) {
        counting_allocator allocator = {0};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_model *model = NULL;
        assert_ok(build_number(number, &model, context));
        check_session(model, &allocator, LSTM_NO, 0);
        for (size_t k = 0; k < LENGTH(optimizers); k++)
            check_session(model, &allocator, LSTM_YES, k);
        lstm_model_destroy(model);
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
    }
}

static void test_session_memory_size_is_what_it_takes(void **state)
{
    counting_allocator allocator = {0};
    lstm_context *context = counting_allocator_context(&allocator);
    lstm_model *model = NULL;
    lstm_session *small = NULL;
    lstm_session *large = NULL;
    (void)state;
    assert_ok(build_stack(&model, context));
    assert_ok(lstm_session_create(&small, model, OPTIONS(lstm_session, .batch = 3)));
    allocator.largest = 0;
    const size_t calls = allocator.calls;
    assert_ok(lstm_session_create(&large, model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = 300)));
    assert_int_equal(allocator.calls, calls + 1); /* one block */
    assert_int_equal(lstm_session_memory_size(large), allocator.largest);
    assert_true(lstm_session_memory_size(large) > 20 * lstm_session_memory_size(small));
    lstm_session_destroy(small);
    lstm_session_destroy(large);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

static void test_primitives_allocate_nothing_after_creation(void **state)
{
    enum { I = 5, H = 7 };
    static const struct {
        int64_t batch, steps;
    } calls[] = {{BATCH, STEPS}, {1, 1}, {2, STEPS}, {BATCH, 1}, {BATCH, STEPS}};
    (void)state;
    for (int32_t route = 0; route <= LSTM_ROUTE_SPLIT; route++) {
        counting_allocator allocator = {0};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_primitive *p = NULL;
        float *weights = new_numbers((H + I) * 4 * H, 1);
        float *x = new_numbers(STEPS * BATCH * I, 2);
        float *states = new_numbers(STEPS * BATCH * H, 3);
        float *to = new_numbers((H + I) * 4 * H + 4 * STEPS * BATCH * (H + I), 4);
        float *y = to + (H + I) * 4 * H;
        float *dx = y + STEPS * BATCH * H;
        float *hn = dx + STEPS * BATCH * I;
        assert_ok(lstm_primitive_create(&p, context,
                                        OPTIONS(lstm_primitive, .training = LSTM_YES,
                                                .input_size = I, .hidden_size = H, .batch = BATCH,
                                                .steps = STEPS, .route = route)));
        assert_int_equal(lstm_primitive_memory_size(p), allocator.largest);
        const size_t before = allocator.calls;
        for (size_t k = 0; k < LENGTH(calls); k++)
            for (int all = 0; all < 2; all++) {
                lstm_primitive_arrays a = {.struct_size = sizeof a,
                                           .batch = calls[k].batch,
                                           .steps = calls[k].steps,
                                           .weights = weights,
                                           .x = x};
                if (all)
                    a = (lstm_primitive_arrays){.struct_size = sizeof a,
                                                .batch = calls[k].batch,
                                                .steps = calls[k].steps,
                                                .weights = weights,
                                                .bias = weights,
                                                .x = x,
                                                .h0 = states,
                                                .c0 = states,
                                                .y = y,
                                                .hn = hn,
                                                .cn = hn + BATCH * H,
                                                .dy = states,
                                                .dhn = states,
                                                .dcn = states,
                                                .dx = dx,
                                                .dweights = to,
                                                .dbias = hn,
                                                .dh0 = hn + 4 * H,
                                                .dc0 = hn + 4 * H + BATCH * H};
                assert_ok(lstm_primitive_forward(p, &a));
                assert_ok(lstm_primitive_backward(p, &a));
            }
        assert_finite(to, (H + I) * 4 * H + 4 * STEPS * BATCH * (H + I));
        assert_int_equal(allocator.calls, before);
        lstm_primitive_destroy(p);
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
        free(weights);
        free(x);
        free(states);
        free(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_and_optimizers_allocate_nothing_after_creation),
        cmocka_unit_test(test_session_memory_size_is_what_it_takes),
        cmocka_unit_test(test_primitives_allocate_nothing_after_creation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
