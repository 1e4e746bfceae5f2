/* SPDX-License-Identifier: MIT
 * Training through the public header: sample and class weights, rates, penalties and constraints of
 * layers, bad input, and resuming with everything on, bit for bit.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 12 };
enum { KERAS = LSTM_PROFILE_KERAS, TORCH = LSTM_PROFILE_TORCH };
#define CHECKPOINT "training.checkpoint"

/* ---- Weights */

typedef struct task {
    float x[20 * STACK_STEPS * STACK_FEATURES], classes[20];
    lstm_data data;
} task;

static void start_task(task *t)
{
    fill_numbers(t->x, sizeof t->x / sizeof *t->x, 5);
    for (int k = 0; k < 20; k++)
        t->classes[k] = t->x[k * STACK_STEPS * STACK_FEATURES] > 0.2f;
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = 20,
                          .x = t->x,
                          .x_count = sizeof t->x / sizeof *t->x,
                          .y = t->classes,
                          .y_count = 20};
}

static const lstm_loss_options sparse = {.struct_size = sizeof sparse,
                                         .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                         .from_logits = LSTM_YES};

static lstm_model *fitted(const lstm_data *data, const float *class_weights, size_t count)
{
    lstm_model *model = NULL;
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = 3,
                                      .batch_size = 6,
                                      .loss = &sparse,
                                      .class_weights = class_weights,
                                      .class_weight_count = count};
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_fit(model, &options, data, NULL));
    return model;
}

static void test_class_weights_equal_sample_weights_and_ones_equal_none(void **state)
{
    task t;
    float weights[20];
    const float class_weights[2] = {0.5f, 3};
    const float ones[2] = {1, 1};
    (void)state;
    start_task(&t);
    lstm_model *plain = fitted(&t.data, NULL, 0);
    lstm_model *neutral = fitted(&t.data, ones, 2);
    lstm_model *by_class = fitted(&t.data, class_weights, 2);
    for (int k = 0; k < 20; k++)
        weights[k] = class_weights[(int)t.classes[k]];
    t.data.sample_weights = weights;
    t.data.sample_weight_count = 20;
    lstm_model *by_sample = fitted(&t.data, NULL, 0);
    assert_true(same_parameters(plain, neutral));
    assert_true(same_parameters(by_class, by_sample));
    assert_false(same_parameters(plain, by_class));
    lstm_model_destroy(plain);
    lstm_model_destroy(neutral);
    lstm_model_destroy(by_class);
    lstm_model_destroy(by_sample);
}

static void test_rows_of_weight_zero_may_hold_anything(void **state)
{
    task t;
    float weights[20];
    double with[2];
    double without[2];
    const int32_t accuracy = LSTM_METRIC_ACCURACY;
    lstm_loss_options loss = sparse;
    loss.reduction = LSTM_REDUCTION_WEIGHTED_MEAN;
    const lstm_evaluate_options options = {
        .struct_size = sizeof options, .loss = &loss, .metrics = &accuracy, .metric_count = 1};
    lstm_model *model = NULL;
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    lstm_data part = t.data;
    part.samples = 13;
    part.x_count = 13 * STACK_STEPS * STACK_FEATURES;
    part.y_count = 13;
    assert_ok(lstm_evaluate(model, &options, &part, without, 2));
    for (int k = 0; k < 20; k++) {
        weights[k] = k < 13;
        t.classes[k] = k < 13 ? t.classes[k] : -1;
    }
    assert_status_text(lstm_evaluate(model, &options, &t.data, with, 2), LSTM_ERROR_ARGUMENT,
                       "class -1");
    t.data.sample_weights = weights;
    t.data.sample_weight_count = 20;
    assert_ok(lstm_evaluate(model, &options, &t.data, with, 2));
    assert_true(fabs(with[0] - without[0]) < 1e-6 && with[1] == without[1]);
    lstm_model_destroy(model);
}

static void test_bad_weights_are_refused(void **state)
{
    task t;
    float weights[20] = {0};
    const float two[2] = {1, -1};
    double value = 0;
    lstm_model *model = NULL;
    const lstm_evaluate_options options = {.struct_size = sizeof options, .loss = &sparse};
    lstm_fit_options fit = {
        .struct_size = sizeof fit, .loss = &sparse, .class_weights = two, .class_weight_count = 2};
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    t.data.sample_weight_count = 20;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT,
                       "sample_weights is NULL");
    t.data.sample_weights = weights;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT,
                       "all 20 sample weights are 0");
    weights[7] = -1;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT,
                       "sample weight 7 is -1");
    weights[7] = (float)NAN;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT,
                       "sample weight 7");
    t.data.sample_weight_count = 19;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_SHAPE,
                       "19 sample weights");
    t.data.sample_weight_count = 0;
    t.data.sample_weights = NULL;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "class weight 1 is -1");
    fit.class_weight_count = 1;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT, "class 1");
    lstm_model_destroy(model);
}

/* ---- Layers */

static void test_frozen_layers_stay_and_rates_scale_the_step(void **state)
{
    task t;
    lstm_layer *layer = NULL;
    const lstm_optimizer_options sgd = {
        .struct_size = sizeof sgd, .optimizer = LSTM_OPTIMIZER_SGD, .weight_decay = 0.1};
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .batch_size = 20,
                                      .loss = &sparse,
                                      .optimizer_options = &sgd};
    float before[16];
    float after[3][16];
    lstm_parameter_info info = {.struct_size = sizeof info};
    (void)state;
    start_task(&t);
    for (int k = 0; k < 3; k++) {
        lstm_model *model = NULL;
        assert_ok(build_stack(&model, NULL));
        assert_ok(lstm_model_find_layer(model, "dense", &layer));
        assert_true(lstm_layer_rate(layer) == 1);
        assert_ok(lstm_layer_set_rate(layer, k == 0 ? 0 : k == 1 ? 0.5 : 1));
        const size_t last = lstm_model_parameter_count(model) - 2; /* the kernel of Dense */
        assert_ok(lstm_model_parameter_info(model, last, &info));
        assert_true(info.layer == layer && info.count <= 16);
        assert_ok(lstm_model_get_parameter(model, last, before, info.count));
        assert_ok(lstm_fit(model, &options, &t.data, NULL));
        assert_ok(lstm_model_get_parameter(model, last, after[k], info.count));
        assert_status_text(lstm_layer_set_rate(layer, -1), LSTM_ERROR_ARGUMENT, "rate of layer");
        lstm_model_destroy(model);
    }
    for (size_t v = 0; v < info.count; v++) {
        assert_true(after[0][v] == before[v]);
        assert_true(fabsf((after[1][v] - before[v]) - 0.5f * (after[2][v] - before[v])) < 1e-6f);
        assert_true(after[2][v] != before[v]);
    }
}

static void test_constraints_hold_after_every_update(void **state)
{
    task t;
    lstm_layer *layer = NULL;
    lstm_model *model = NULL;
    const lstm_fit_options options = {.struct_size = sizeof options, .epochs = 3, .loss = &sparse};
    const lstm_regularizer_options max_norm = {
        .struct_size = sizeof max_norm, .constraint = LSTM_CONSTRAINT_MAX_NORM, .max_norm = 0.3};
    const lstm_regularizer_options non_negative = {.struct_size = sizeof non_negative,
                                                   .constraint = LSTM_CONSTRAINT_NON_NEGATIVE};
    const lstm_regularizer_options bad = {.struct_size = sizeof bad, .l1 = -1};
    float kernel[8];
    float bias[2];
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_model_find_layer(model, "dense", &layer));
    assert_ok(lstm_layer_set_regularizer(layer, "kernel", &max_norm));
    assert_ok(lstm_layer_set_regularizer(layer, "bias", &non_negative));
    assert_status_text(lstm_layer_set_regularizer(layer, "recurrent_kernel", &max_norm),
                       LSTM_ERROR_NOT_FOUND, "recurrent_kernel");
    assert_status_text(lstm_layer_set_regularizer(layer, "bias", &bad), LSTM_ERROR_ARGUMENT,
                       "l1 is -1");
    assert_ok(lstm_fit(model, &options, &t.data, NULL));
    const size_t count = lstm_model_parameter_count(model);
    assert_ok(lstm_model_get_parameter(model, count - 2, kernel, 8));
    assert_ok(lstm_model_get_parameter(model, count - 1, bias, 2));
    for (int c = 0; c < 2; c++) {
        double sum = 0;
        for (int r = 0; r < 4; r++)
            sum += (double)kernel[2 * r + c] * (double)kernel[2 * r + c];
        assert_true(sqrt(sum) <= 0.3000001 && sqrt(sum) > 0.29);
        assert_true(bias[c] >= 0);
    }
    lstm_model_destroy(model);
}

/* ---- Bad options */

static void test_options_that_do_not_go_together_are_refused(void **state)
{
    static const lstm_schedule_options no_steps = {.struct_size = sizeof no_steps,
                                                   .schedule = LSTM_SCHEDULE_COSINE};
    static const lstm_schedule_options no_factor = {
        .struct_size = sizeof no_factor, .schedule = LSTM_SCHEDULE_EXPONENTIAL, .steps = 3};
    static const lstm_schedule_options cycle = {.struct_size = sizeof cycle,
                                                .schedule = LSTM_SCHEDULE_ONE_CYCLE,
                                                .steps = 9,
                                                .cycle_momentum = LSTM_YES};
    static const struct {
        lstm_optimizer_options options;
        const char *text;
    } wrong[] = {
        {{.optimizer = LSTM_OPTIMIZER_LBFGS, .clip_norm = 1}, "L-BFGS takes no clipping"},
        {{.optimizer = LSTM_OPTIMIZER_LBFGS, .accumulation_steps = 2}, "L-BFGS takes no clipping"},
        {{.accumulation_steps = -1}, "accumulation_steps is -1"},
        {{.use_ema = LSTM_YES, .ema_momentum = 1}, "ema_momentum is 1"},
        {{.ema_overwrite_frequency = 2}, "use_ema is not"},
        {{.rate_decay = 0.1}, "rate_decay belongs"},
        {{.schedule = &no_steps}, "steps is 0"},
        {{.schedule = &no_factor}, "factor is 0"},
        {{.optimizer = LSTM_OPTIMIZER_ADADELTA, .schedule = &cycle}, "cycle_momentum needs"}};
    const float low[1] = {0};
    const struct {
        lstm_loss_options loss;
        const char *text;
    } losses[] = {
        {{.label_smoothing = 0.1f}, "label_smoothing belongs"},
        {{.loss = LSTM_LOSS_QUANTILE, .quantiles = low, .quantile_count = 1}, "quantile 0 is 0"},
        {{.quantiles = low, .quantile_count = 1}, "quantiles are set"},
        {{.loss = LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, .focal_alpha = 1}, "focal_alpha"},
        {{.reduction = 9}, "reduction is 9"}};
    lstm_model *model = NULL;
    lstm_optimizer *optimizer = NULL;
    task t;
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        lstm_optimizer_options options = wrong[k].options;
        options.struct_size = sizeof options;
        assert_status_text(lstm_optimizer_create(&optimizer, model, &options), LSTM_ERROR_ARGUMENT,
                           wrong[k].text);
        assert_null(optimizer);
    }
    for (size_t k = 0; k < sizeof losses / sizeof *losses; k++) {
        lstm_loss_options loss = losses[k].loss;
        loss.struct_size = sizeof loss;
        const lstm_fit_options options = {.struct_size = sizeof options, .loss = &loss};
        assert_status_text(lstm_fit(model, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                           losses[k].text);
    }
    lstm_model_destroy(model);
}

/* ---- Resuming */

static lstm_model *new_stack(void)
{
    lstm_layer *layer = NULL;
    lstm_model *model = NULL;
    const lstm_regularizer_options l2 = {.struct_size = sizeof l2,
                                         .l1 = 0.001,
                                         .l2 = 0.01,
                                         .constraint = LSTM_CONSTRAINT_MAX_NORM,
                                         .max_norm = 1};
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_model_find_layer(model, "lstm", &layer));
    assert_ok(lstm_layer_set_regularizer(layer, "kernel", &l2));
    assert_ok(lstm_layer_set_rate(layer, 0.5));
    return model;
}

static int32_t stop_at(void *user, const lstm_progress *progress)
{
    const int64_t step = *(const int64_t *)user;
    return progress->event == LSTM_PROGRESS_BATCH && progress->step == step;
}

/* 36 epochs at once, and in pieces that end in the middle of an epoch and of an accumulation, with
 * a new model each time. */
static void resume_case(const char *name, const lstm_optimizer_options *optimizer)
{
    static const int64_t stops[] = {31, 52, 97};
    const float class_weights[2] = {0.5f, 2};
    task t;
    start_task(&t);
    lstm_loss_options loss = sparse;
    loss.label_smoothing = 0.1f;
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 36,
                                .batch_size = 3,
                                .loss = &loss,
                                .seed = 3,
                                .validation_split = 0.2,
                                .early_stopping = 100,
                                .restore_best = LSTM_NO,
                                .optimizer_options = optimizer,
                                .class_weights = class_weights,
                                .class_weight_count = 2};
    lstm_model *whole = new_stack();
    assert_ok(lstm_fit(whole, &options, &t.data, NULL));
    options.checkpoint = CHECKPOINT;
    options.progress = stop_at;
    for (size_t k = 0; k < 4; k++) {
        lstm_model *part = new_stack();
        int64_t stop = k < 3 ? stops[k] : -1;
        options.progress_user = &stop;
        options.resume = k > 0 ? CHECKPOINT : NULL;
        const lstm_status status = lstm_fit(part, &options, &t.data, NULL);
        if (status != (k < 3 ? LSTM_ERROR_CANCELLED : LSTM_OK))
            fail_msg("%s, part %zu: %s", name, k, lstm_last_error());
        if (k == 3 && !same_parameters(whole, part))
            fail_msg("%s: the pieces do not give the whole", name);
        lstm_model_destroy(part);
    }
    lstm_model_destroy(whole);
    remove(CHECKPOINT);
}

static void test_pieces_give_the_bits_of_the_whole_with_everything_on(void **state)
{
    static const lstm_schedule_options plateau = {.struct_size = sizeof plateau,
                                                  .schedule = LSTM_SCHEDULE_PLATEAU,
                                                  .patience = 1,
                                                  .factor = 0.7};
    static const lstm_schedule_options cycle = {.struct_size = sizeof cycle,
                                                .schedule = LSTM_SCHEDULE_ONE_CYCLE,
                                                .steps = 200,
                                                .cycle_momentum = LSTM_YES};
    static const struct {
        const char *name;
        lstm_optimizer_options options;
    } runs[] = {
        {"nadam, averages, accumulation, plateau",
         {.optimizer = LSTM_OPTIMIZER_NADAM,
          .learning_rate = 0.01,
          .use_ema = LSTM_YES,
          .ema_momentum = 0.8,
          .accumulation_steps = 4,
          .schedule = &plateau,
          .global_clip_norm = 0.5,
          .weight_decay = 0.01}},
        {"the same with PyTorch's formulas",
         {.optimizer = LSTM_OPTIMIZER_NADAM,
          .profile = TORCH,
          .use_ema = LSTM_YES,
          .accumulation_steps = 4,
          .schedule = &plateau}},
        {"averages put back",
         {.optimizer = LSTM_OPTIMIZER_ADAM, .use_ema = LSTM_YES, .ema_overwrite_frequency = 5}},
        {"one cycle", {.optimizer = LSTM_OPTIMIZER_SGD, .schedule = &cycle}},
        {"adagrad", {.optimizer = LSTM_OPTIMIZER_ADAGRAD}},
        {"adadelta", {.optimizer = LSTM_OPTIMIZER_ADADELTA, .learning_rate = 1}},
        {"adamax", {.optimizer = LSTM_OPTIMIZER_ADAMAX}},
        {"radam", {.optimizer = LSTM_OPTIMIZER_RADAM}},
        {"lion", {.optimizer = LSTM_OPTIMIZER_LION}},
        {"lbfgs",
         {.optimizer = LSTM_OPTIMIZER_LBFGS,
          .learning_rate = 0.01,
          .history_size = 5,
          .max_iterations = 3}}};
    (void)state;
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++) {
        lstm_optimizer_options options = runs[k].options;
        options.struct_size = sizeof options;
        resume_case(runs[k].name, &options);
    }
}

/* What came later is in the file only when it is used: a plain run writes what the first version
 * wrote. */
static void test_a_plain_checkpoint_has_the_form_of_the_first_version(void **state)
{
    static const char *const names[] = {"values",  "moment.0",      "moment.1", "integers",
                                        "doubles", "learning_rate", "history"};
    task t;
    lstm_archive *archive = NULL;
    lstm_model *model = NULL;
    const lstm_fit_options options = {
        .struct_size = sizeof options, .loss = &sparse, .checkpoint = CHECKPOINT};
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_fit(model, &options, &t.data, NULL));
    assert_ok(lstm_archive_load(&archive, NULL, CHECKPOINT));
    assert_int_equal(lstm_archive_count(archive), sizeof names / sizeof *names);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lstm_array_info info = {.struct_size = sizeof info};
        assert_ok(lstm_archive_find(archive, names[k], &info));
    }
    lstm_archive_destroy(archive);
    lstm_model_destroy(model);
    remove(CHECKPOINT);
}

/* ---- Memory: every refused allocation is an error that leaves nothing behind, and steps ask for none */

static lstm_status train_and_resume(lstm_context *context, const task *t,
                                    const lstm_optimizer_options *optimizer)
{
    lstm_model *model = NULL;
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 1,
                                .batch_size = 6,
                                .loss = &sparse,
                                .optimizer_options = optimizer,
                                .checkpoint = CHECKPOINT};
    lstm_status status = build_stack(&model, context);
    if (status == LSTM_OK)
        status = lstm_fit(model, &options, &t->data, NULL);
    options.epochs = 2;
    options.resume = CHECKPOINT;
    if (status == LSTM_OK)
        status = lstm_fit(model, &options, &t->data, NULL);
    lstm_model_destroy(model);
    return status;
}

static void test_every_refused_allocation_is_an_error_that_leaves_nothing(void **state)
{
    static const lstm_optimizer_options runs[] = {{.struct_size = sizeof runs[0],
                                                   .optimizer = LSTM_OPTIMIZER_NADAM,
                                                   .use_ema = LSTM_YES,
                                                   .accumulation_steps = 2},
                                                  {.struct_size = sizeof runs[0],
                                                   .optimizer = LSTM_OPTIMIZER_LBFGS,
                                                   .history_size = 3,
                                                   .max_iterations = 2}};
    task t;
    (void)state;
    start_task(&t);
    for (size_t k = 0; k < LENGTH(runs); k++)
        for (size_t refuse = 1;; refuse++) {
            counting_allocator allocator = {.refuse = refuse};
            lstm_context *context = counting_allocator_context(&allocator);
            const lstm_status status = context ? train_and_resume(context, &t, &runs[k])
                                               : LSTM_ERROR_MEMORY;
            lstm_context_destroy(context);
            assert_nothing_left(&allocator);
            if (status == LSTM_OK && atomic_load(&allocator.refused) == 0)
                break;
            if (status != LSTM_OK)
                assert_int_equal(status, LSTM_ERROR_MEMORY);
            assert_true(refuse < 10000);
        }
    remove(CHECKPOINT);
}

static void test_steps_ask_for_no_memory(void **state)
{
    (void)state;
    for (int32_t kind = LSTM_OPTIMIZER_SGD; kind <= LSTM_OPTIMIZER_LBFGS; kind++) {
        counting_allocator allocator = {.refuse = 0};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_model *model = NULL;
        lstm_session *session = NULL;
        lstm_optimizer *optimizer = NULL;
        task t;
        start_task(&t);
        const lstm_optimizer_options options = {
            .struct_size = sizeof options,
            .optimizer = kind,
            .use_ema = LSTM_YES,
            .accumulation_steps = kind == LSTM_OPTIMIZER_LBFGS ? 1 : 2};
        assert_ok(build_stack(&model, context));
        assert_ok(lstm_session_create(&session, model,
                                      OPTIONS(lstm_session, .training = LSTM_YES, .batch = 20)));
        assert_ok(lstm_optimizer_create(&optimizer, model, &options));
        const size_t before = atomic_load(&allocator.calls);
        for (int step = 0; step < 5; step++) {
            assert_ok(lstm_session_forward(session, &t.data));
            assert_ok(lstm_session_loss(session, &sparse, &t.data, NULL));
            assert_ok(lstm_session_backward(session));
            assert_ok(lstm_optimizer_step(optimizer, session));
        }
        assert_ok(lstm_optimizer_use_average(optimizer));
        assert_int_equal(atomic_load(&allocator.calls), before);
        lstm_optimizer_destroy(optimizer);
        lstm_session_destroy(session);
        lstm_model_destroy(model);
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_weights_equal_sample_weights_and_ones_equal_none),
        cmocka_unit_test(test_rows_of_weight_zero_may_hold_anything),
        cmocka_unit_test(test_bad_weights_are_refused),
        cmocka_unit_test(test_frozen_layers_stay_and_rates_scale_the_step),
        cmocka_unit_test(test_constraints_hold_after_every_update),
        cmocka_unit_test(test_options_that_do_not_go_together_are_refused),
        cmocka_unit_test(test_pieces_give_the_bits_of_the_whole_with_everything_on),
        cmocka_unit_test(test_a_plain_checkpoint_has_the_form_of_the_first_version),
        cmocka_unit_test(test_every_refused_allocation_is_an_error_that_leaves_nothing),
        cmocka_unit_test(test_steps_ask_for_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
