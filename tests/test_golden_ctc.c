/* SPDX-License-Identifier: MIT
 * CTC against the real PyTorch: ../shared/golden/torch_ctc, every case, reduction and setting of
 * zero_infinity; losses 1e-5 of their size, gradients 1e-4. Arrays of lstm_ctc and a session's loss
 * see the same numbers. The gradients of "long" (500 steps) were computed by PyTorch in float and
 * are off by 5e-4 themselves: in double PyTorch has -0.99676832 where the file says -0.99727088 and
 * we say -0.99676836; there 1e-3 is asked for here, and 1e-5 against PyTorch's doubles by
 * test_ctc.c.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"short", "repeats", "last_blank", "long", "infeasible"};
static const char *const reductions[] = {"none", "mean", "sum"};

typedef struct ctc_case {
    golden_case golden;
    int64_t steps, batch, classes, most;
    float *logits; /* time first */
    int32_t *labels, *label_lengths, *lengths;
    int32_t blank;
} ctc_case;

static int64_t dimension(const golden_case *golden, const char *array, size_t index)
{
    return json_integer_value(
        json_array_get(json_object_get(json_object_get(golden->json, "arrays"), array), index));
}

static int32_t *integers(const golden_case *golden, const char *name, size_t *count)
{
    float *values = golden_array(golden, name, count);
    int32_t *out = calloc(*count + 1, sizeof *out);
    for (size_t k = 0; k < *count; k++)
        out[k] = (int32_t)values[k];
    free(values);
    return out;
}

static ctc_case open_case(const char *name)
{
    ctc_case c = {.blank = 0};
    size_t count = 0;
    golden_open(&c.golden, "torch_ctc", name);
    c.steps = dimension(&c.golden, "logits", 0);
    c.batch = dimension(&c.golden, "logits", 1);
    c.classes = dimension(&c.golden, "logits", 2);
    c.blank = (int32_t)json_integer_value(json_object_get(c.golden.json, "blank"));
    c.logits = golden_array(&c.golden, "logits", &count);
    c.lengths = integers(&c.golden, "input_lengths", &count);
    c.label_lengths = integers(&c.golden, "target_lengths", &count);
    int32_t *joined = integers(&c.golden, "targets", &count);
    for (int64_t b = 0; b < c.batch; b++)
        c.most = c.label_lengths[b] > c.most ? c.label_lengths[b] : c.most;
    c.labels = calloc((size_t)(c.batch * c.most), sizeof *c.labels);
    for (int64_t b = 0, at = 0; b < c.batch; at += c.label_lengths[b++])
        memcpy(c.labels + b * c.most, joined + at, (size_t)c.label_lengths[b] * sizeof *joined);
    free(joined);
    return c;
}

static void close_case(ctc_case *c)
{
    golden_close(&c->golden);
    free(c->logits);
    free(c->labels);
    free(c->lengths);
    free(c->label_lengths);
}

static void assert_loss(const char *name, double found, double expected)
{
    if (isinf(expected) ? found != expected : !(fabs(found - expected) <= 1e-5 * fmax(1, expected)))
        fail_msg("%s: loss %.9g, expected %.9g", name, found, expected);
}

/* NaN where PyTorch has NaN, else within 1e-4 of the largest. */
static void assert_gradient(const char *name, float *found, float *expected, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (isnan(found[k]) != isnan(expected[k]))
            fail_msg("%s: value %zu is %g, expected %g", name, k, (double)found[k],
                     (double)expected[k]);
        found[k] = isnan(found[k]) ? 0 : found[k];
        expected[k] = isnan(expected[k]) ? 0 : expected[k];
    }
    assert_close(name, found, expected, count, 1e-7, strcmp(name, "long") == 0 ? 1e-3 : 1e-4);
}

static void check_arrays(const ctc_case *c, const char *name, size_t reduction, bool zero)
{
    static const int32_t ours[] = {LSTM_REDUCTION_SUM, LSTM_REDUCTION_MEAN_PER_LABEL,
                                   LSTM_REDUCTION_SUM};
    const size_t count = (size_t)(c->steps * c->batch * c->classes);
    const lstm_ctc_options options = {.struct_size = sizeof options,
                                      .blank = c->blank,
                                      .classes = c->classes,
                                      .batch = c->batch,
                                      .steps = c->steps,
                                      .labels = c->most,
                                      .reduction = ours[reduction],
                                      .zero_infinity = zero ? LSTM_YES : LSTM_NO};
    double losses[8];
    double loss = 0;
    float *gradient = malloc(count * sizeof *gradient);
    const lstm_ctc_arrays arrays = {.struct_size = sizeof arrays,
                                    .layout = LSTM_LAYOUT_TIME_FIRST,
                                    .batch = c->batch,
                                    .steps = c->steps,
                                    .x = c->logits,
                                    .lengths = c->lengths,
                                    .labels = c->labels,
                                    .label_steps = c->most,
                                    .label_lengths = c->label_lengths,
                                    .losses = losses,
                                    .gradient = gradient};
    lstm_ctc *ctc = NULL;
    char array[64];
    size_t expected_count = 0;
    assert_ok(lstm_ctc_create(&ctc, NULL, &options));
    assert_ok(lstm_ctc_loss(ctc, &arrays, &loss));
    snprintf(array, sizeof array, "loss_%s_%s", reductions[reduction], zero ? "zero_inf" : "inf");
    float *expected = golden_array(&c->golden, array, &expected_count);
    for (size_t b = 0; b < expected_count; b++)
        assert_loss(name, reduction == 0 ? losses[b] : loss, (double)expected[b]);
    free(expected);
    snprintf(array, sizeof array, "grad_%s_%s", reductions[reduction], zero ? "zero_inf" : "inf");
    expected = golden_array(&c->golden, array, &expected_count);
    assert_int_equal(expected_count, count);
    assert_gradient(name, gradient, expected, count);
    free(expected);
    free(gradient);
    lstm_ctc_destroy(ctc);
}

static void test_ctc_of_arrays_is_that_of_torch(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ctc_case c = open_case(names[k]);
        for (size_t reduction = 0; reduction < 3; reduction++)
            for (int zero = 0; zero < 2; zero++)
                check_arrays(&c, names[k], reduction, zero);
        close_case(&c);
    }
}

/* A model whose output is its input, so that the gradient at the logits is that of the input. */
static void check_session(const ctc_case *c, const char *name)
{
    const size_t count = (size_t)(c->steps * c->batch * c->classes);
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    double loss = 0;
    const lstm_input_options input = {.struct_size = sizeof input, .features = c->classes};
    const lstm_session_options plan = {.struct_size = sizeof plan,
                                       .training = LSTM_YES,
                                       .batch = c->batch,
                                       .steps = c->steps,
                                       .labels = c->most};
    const lstm_loss_options options = {.struct_size = sizeof options,
                                       .loss = LSTM_LOSS_CTC,
                                       .ctc_blank = c->blank == c->classes - 1 ? -1 : c->blank,
                                       .ctc_zero_infinity = LSTM_YES,
                                       .reduction = LSTM_REDUCTION_MEAN_PER_LABEL};
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = c->batch,
                            .x = c->logits,
                            .x_count = count,
                            .lengths = c->lengths,
                            .lengths_count = (size_t)c->batch,
                            .labels = c->labels,
                            .labels_count = (size_t)(c->batch * c->most),
                            .label_lengths = c->label_lengths,
                            .label_lengths_count = (size_t)c->batch};
    float *gradient = malloc(count * sizeof *gradient);
    size_t expected_count = 0;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_activation(model, NULL, NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_session_create(&session, model, &plan));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_loss(session, &options, &data, &loss));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_session_input_gradient(session, 0, gradient, count));
    float *expected = golden_array(&c->golden, "loss_mean_zero_inf", &expected_count);
    assert_loss(name, loss, (double)expected[0]);
    free(expected);
    expected = golden_array(&c->golden, "grad_mean_zero_inf", &expected_count);
    assert_gradient(name, gradient, expected, count);
    free(expected);
    free(gradient);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_ctc_of_sessions_is_that_of_torch(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ctc_case c = open_case(names[k]);
        check_session(&c, names[k]);
        close_case(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ctc_of_arrays_is_that_of_torch),
        cmocka_unit_test(test_ctc_of_sessions_is_that_of_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
