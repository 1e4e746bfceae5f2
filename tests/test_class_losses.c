/* SPDX-License-Identifier: MIT
 * Cross-entropy of class numbers from logits, value and gradient, against its formula in double:
 *
 *     L = log sum exp(x) - x_c        dL/dx_f = exp(x_f) / sum exp(x) - [f = c]
 *
 * for rows of every width of vectors, logits far apart and equal, and classes that are all but
 * certain, whose losses are small differences.
 */
#include "api_checks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 70 };

/* Logits as they are: an input and a linear activation. */
static lstm_session *bare_session(lstm_model **model, size_t classes)
{
    lstm_session *session = NULL;
    assert_ok(lstm_model_create(model, NULL, NULL));
    assert_ok(lstm_model_add_input(
        *model, OPTIONS(lstm_input, .steps = 1, .features = (int64_t)classes), NULL));
    assert_ok(lstm_model_add_activation(
        *model, OPTIONS(lstm_activation, .activation = LSTM_ACTIVATION_LINEAR), NULL, NULL));
    assert_ok(lstm_model_build(*model));
    assert_ok(lstm_session_create(&session, *model,
                                  OPTIONS(lstm_session, .batch = 1, .training = LSTM_YES)));
    return session;
}

/* The loss of one row, and its gradient unless `dx` is NULL. */
static double loss_of(size_t classes, const float *x, size_t known, float *dx)
{
    lstm_model *model = NULL;
    lstm_session *session = bare_session(&model, classes);
    const float target = (float)known;
    double loss = 0;
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 1,
                            .x = x,
                            .x_count = classes,
                            .y = &target,
                            .y_count = 1};
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(
        lstm_session_loss(session,
                          OPTIONS(lstm_loss, .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                  .from_logits = LSTM_YES),
                          &data, &loss));
    if (dx) {
        assert_ok(lstm_session_backward(session));
        assert_ok(lstm_session_input_gradient(session, 0, dx, classes));
    }
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    return loss;
}

/* Relative errors of value and gradient: the rest, sum of the others' exponentials, is what both
 * are made of where a class is all but certain, so that it is summed by itself. */
static void check_row(size_t classes, const float *x, size_t known)
{
    float dx[MOST];
    size_t top = 0;
    double rest = 0;
    const double found = loss_of(classes, x, known, dx);
    for (size_t f = 1; f < classes; f++)
        top = x[f] > x[top] ? f : top;
    for (size_t f = 0; f < classes; f++)
        rest += f == top ? 0 : exp((double)x[f] - (double)x[top]);
    const double loss = (double)x[top] - (double)x[known] + log1p(rest);
    if (!(fabs(found - loss) <= 2e-6 * loss))
        fail_msg("%zu classes, class %zu: loss %.9g, expected %.9g", classes, known, found, loss);
    for (size_t f = 0; f < classes; f++) {
        const double p = exp((double)x[f] - (double)x[top]) / (1 + rest);
        const double d = f != known ? p : f == top ? -rest / (1 + rest) : p - 1;
        if (!(fabs((double)dx[f] - d) <= 2e-6 * fabs(d)))
            fail_msg("%zu classes, class %zu: gradient %zu is %.9g, expected %.9g", classes, known,
                     f, (double)dx[f], d);
    }
}

static void test_loss_and_gradient_of_every_width_are_those_of_the_formula(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (size_t classes = 1; classes <= MOST; classes++) {
        float x[MOST];
        for (size_t f = 0; f < classes; f++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            x[f] = (float)(seed >> 40) / (float)(1 << 24) * 8 - 4;
        }
        check_row(classes, x, classes / 2);
        check_row(classes, x, classes - 1);
    }
}

static void test_a_class_that_is_all_but_certain_keeps_its_digits(void **state)
{
    (void)state;
    for (float ahead = 0; ahead < 40; ahead += 0.5f) {
        float x[17];
        for (size_t f = 0; f < 17; f++)
            x[f] = -1000 + (float)f / 16;
        x[5] = -1000 + ahead;
        check_row(17, x, 5);
        check_row(17, x, 6);
    }
}

static void test_without_a_gradient_the_loss_is_the_same(void **state)
{
    lstm_model *model = NULL;
    (void)state;
    lstm_session_destroy(bare_session(&model, 5));
    for (float ahead = 0; ahead < 40; ahead += 2.5f) {
        const float x[5] = {0, 0.25f, ahead, -1, 0.5f};
        const float target = 2;
        double loss = 0;
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = 1,
                                .x = x,
                                .x_count = 5,
                                .y = &target,
                                .y_count = 1};
        const lstm_loss_options options = {.struct_size = sizeof options,
                                           .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                           .from_logits = LSTM_YES};
        assert_ok(lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &options), &data, &loss, 1));
        const double expected = loss_of(5, x, 2, NULL);
        if (!(fabs(loss - expected) <= 1e-6 * expected))
            fail_msg("%g ahead: %.9g, with a gradient %.9g", (double)ahead, loss, expected);
    }
    lstm_model_destroy(model);
}

static void test_logits_that_are_not_numbers_give_no_number(void **state)
{
    (void)state;
    for (size_t at = 0; at < 20; at++) {
        float x[20] = {0};
        float dx[20];
        x[at] = NAN;
        assert_true(isnan(loss_of(20, x, 3, dx)));
    }
    const float infinite[3] = {0, INFINITY, 0};
    assert_true(isnan(loss_of(3, infinite, 0, NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_and_gradient_of_every_width_are_those_of_the_formula),
        cmocka_unit_test(test_a_class_that_is_all_but_certain_keeps_its_digits),
        cmocka_unit_test(test_without_a_gradient_the_loss_is_the_same),
        cmocka_unit_test(test_logits_that_are_not_numbers_give_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
