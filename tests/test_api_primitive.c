/* SPDX-License-Identifier: MIT
 * One LSTM layer on the caller's arrays: against a plain scalar LSTM in double, against finite
 * differences, in pieces, and every return code.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdlib.h>
#include <string.h>

enum { I = 3, H = 5, B = 4, T = 6, ROWS = H + I };

typedef struct layer {
    float weights[ROWS * 4 * H], bias[4 * H], x[T * B * I], h0[B * H], c0[B * H];
    float y[T * B * H], hn[B * H], cn[B * H];
    float dy[T * B * H], dhn[B * H], dcn[B * H];
    float dx[T * B * I], dweights[ROWS * 4 * H], dbias[4 * H], dh0[B * H], dc0[B * H];
} layer;

static void fill_layer(layer *l)
{
    fill_numbers(l->weights, LENGTH(l->weights), 1);
    fill_numbers(l->bias, LENGTH(l->bias), 2);
    fill_numbers(l->x, LENGTH(l->x), 3);
    fill_numbers(l->h0, LENGTH(l->h0), 4);
    fill_numbers(l->c0, LENGTH(l->c0), 5);
    fill_numbers(l->dy, LENGTH(l->dy), 6);
    fill_numbers(l->dhn, LENGTH(l->dhn), 7);
    fill_numbers(l->dcn, LENGTH(l->dcn), 8);
}

static lstm_primitive_arrays arrays_of(layer *l)
{
    return (lstm_primitive_arrays){.struct_size = sizeof(lstm_primitive_arrays),
                                   .batch = B,
                                   .steps = T,
                                   .weights = l->weights,
                                   .bias = l->bias,
                                   .x = l->x,
                                   .h0 = l->h0,
                                   .c0 = l->c0,
                                   .y = l->y,
                                   .hn = l->hn,
                                   .cn = l->cn,
                                   .dy = l->dy,
                                   .dhn = l->dhn,
                                   .dcn = l->dcn,
                                   .dx = l->dx,
                                   .dweights = l->dweights,
                                   .dbias = l->dbias,
                                   .dh0 = l->dh0,
                                   .dc0 = l->dc0};
}

static lstm_primitive *new_primitive(int32_t training, int32_t route)
{
    lstm_primitive *p = NULL;
    assert_ok(
        lstm_primitive_create(&p, NULL,
                              OPTIONS(lstm_primitive, .training = training, .input_size = I,
                                      .hidden_size = H, .batch = B, .steps = T, .route = route)));
    assert_true(route == 0 || lstm_primitive_route(p) == route);
    return p;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* The equations of the header in double; returns sum(dy * y) + sum(dhn * hn) + sum(dcn * cn). */
static double reference(const layer *l, double *y, double *hn, double *cn)
{
    double loss = 0;
    for (size_t b = 0; b < B; b++) {
        double h[H], c[H];
        for (size_t k = 0; k < H; k++) {
            h[k] = (double)l->h0[b * H + k];
            c[k] = (double)l->c0[b * H + k];
        }
        for (size_t t = 0; t < T; t++) {
            double a[4 * H];
            for (size_t k = 0; k < 4 * H; k++) {
                a[k] = (double)l->bias[k];
                for (size_t r = 0; r < H; r++)
                    a[k] += h[r] * (double)l->weights[r * 4 * H + k];
                for (size_t r = 0; r < I; r++)
                    a[k] += (double)l->x[(t * B + b) * I + r] *
                            (double)l->weights[(H + r) * 4 * H + k];
            }
            for (size_t k = 0; k < H; k++) {
                c[k] = sigmoid(a[H + k]) * c[k] + sigmoid(a[k]) * tanh(a[2 * H + k]);
                h[k] = sigmoid(a[3 * H + k]) * tanh(c[k]);
                y[(t * B + b) * H + k] = h[k];
                loss += (double)l->dy[(t * B + b) * H + k] * h[k];
            }
        }
        for (size_t k = 0; k < H; k++) {
            hn[b * H + k] = h[k];
            cn[b * H + k] = c[k];
            loss += (double)l->dhn[b * H + k] * h[k] + (double)l->dcn[b * H + k] * c[k];
        }
    }
    return loss;
}

static void assert_like_reference(const char *what, const float *found, const double *expected,
                                  size_t count)
{
    float *rounded = malloc(count * sizeof *rounded);
    for (size_t k = 0; k < count; k++)
        rounded[k] = (float)expected[k];
    assert_close(what, found, rounded, count, 1e-6, 0);
    free(rounded);
}

static void test_forward_follows_the_equations_on_both_routes(void **state)
{
    static layer l;
    double y[T * B * H], hn[B * H], cn[B * H];
    (void)state;
    fill_layer(&l);
    reference(&l, y, hn, cn);
    for (int32_t training = LSTM_YES; training <= LSTM_NO; training++)
        for (int32_t route = 0; route <= LSTM_ROUTE_SPLIT; route++) {
            lstm_primitive *p = new_primitive(training, route);
            lstm_primitive_arrays a = arrays_of(&l);
            memset(l.y, 0xff, sizeof l.y);
            assert_ok(lstm_primitive_forward(p, &a));
            assert_like_reference("y", l.y, y, T * B * H);
            assert_like_reference("hn", l.hn, hn, B * H);
            assert_like_reference("cn", l.cn, cn, B * H);
            lstm_primitive_destroy(p);
        }
}

/* Central differences of the double reference against one gradient array. */
static void check_gradient(layer *l, const char *what, float *values, const float *gradient,
                           size_t count)
{
    double y[T * B * H], hn[B * H], cn[B * H];
    const double largest = largest_size(gradient, count);
    for (size_t k = 0; k < count; k++) {
        const float kept = values[k];
        values[k] = kept + 0x1p-10f;
        const double up = reference(l, y, hn, cn);
        values[k] = kept - 0x1p-10f;
        const double down = reference(l, y, hn, cn);
        values[k] = kept;
        const double expected = (up - down) * 0x1p9;
        if (!(fabs((double)gradient[k] - expected) <= 1e-5 * fmax(largest, 1)))
            fail_msg("%s[%zu] is %g, expected %g", what, k, (double)gradient[k], expected);
    }
}

static void test_backward_agrees_with_finite_differences_on_both_routes(void **state)
{
    static layer l;
    (void)state;
    for (int32_t route = LSTM_ROUTE_CONCAT; route <= LSTM_ROUTE_SPLIT; route++) {
        lstm_primitive *p = new_primitive(LSTM_YES, route);
        fill_layer(&l);
        lstm_primitive_arrays a = arrays_of(&l);
        assert_ok(lstm_primitive_forward(p, &a));
        assert_ok(lstm_primitive_backward(p, &a));
        check_gradient(&l, "dweights", l.weights, l.dweights, LENGTH(l.weights));
        check_gradient(&l, "dbias", l.bias, l.dbias, LENGTH(l.bias));
        check_gradient(&l, "dx", l.x, l.dx, LENGTH(l.x));
        check_gradient(&l, "dh0", l.h0, l.dh0, LENGTH(l.h0));
        check_gradient(&l, "dc0", l.c0, l.dc0, LENGTH(l.c0));
        lstm_primitive_destroy(p);
    }
}

static void test_arrays_that_may_be_null_count_as_zero_or_are_left_out(void **state)
{
    static layer l, bare;
    (void)state;
    fill_layer(&l);
    memset(l.bias, 0, sizeof l.bias);
    memset(l.h0, 0, sizeof l.h0);
    memset(l.c0, 0, sizeof l.c0);
    memset(l.dhn, 0, sizeof l.dhn);
    memset(l.dcn, 0, sizeof l.dcn);
    fill_layer(&bare);
    for (int32_t route = LSTM_ROUTE_CONCAT; route <= LSTM_ROUTE_SPLIT; route++) {
        lstm_primitive *p = new_primitive(LSTM_YES, route);
        lstm_primitive_arrays a = arrays_of(&l);
        lstm_primitive_arrays b = {.struct_size = sizeof b,
                                   .batch = B,
                                   .steps = T,
                                   .weights = bare.weights,
                                   .x = bare.x,
                                   .hn = bare.hn,
                                   .dy = bare.dy,
                                   .dweights = bare.dweights};
        assert_ok(lstm_primitive_forward(p, &a));
        assert_ok(lstm_primitive_backward(p, &a));
        assert_ok(lstm_primitive_forward(p, &b));
        assert_ok(lstm_primitive_backward(p, &b));
        assert_close("hn", bare.hn, l.hn, B * H, 1e-6, 0);
        assert_close("dweights", bare.dweights, l.dweights, ROWS * 4 * H, 1e-5, 0);
        lstm_primitive_arrays nothing = {.struct_size = sizeof nothing,
                                         .batch = B,
                                         .steps = T,
                                         .weights = bare.weights,
                                         .x = bare.x};
        assert_ok(lstm_primitive_forward(p, &nothing));
        assert_ok(lstm_primitive_backward(p, &nothing));
        lstm_primitive_destroy(p);
    }
}

static void test_a_sequence_may_be_run_in_pieces(void **state)
{
    static layer l;
    float whole[T * B * H], h[B * H], c[B * H], whole_c[B * H];
    (void)state;
    fill_layer(&l);
    for (int32_t route = LSTM_ROUTE_CONCAT; route <= LSTM_ROUTE_SPLIT; route++) {
        lstm_primitive *p = new_primitive(LSTM_NO, route);
        lstm_primitive_arrays a = arrays_of(&l);
        assert_ok(lstm_primitive_forward(p, &a));
        memcpy(whole, l.y, sizeof whole);
        memcpy(whole_c, l.cn, sizeof whole_c);
        memset(l.y, 0, sizeof l.y);
        memcpy(h, l.h0, sizeof h);
        memcpy(c, l.c0, sizeof c);
        for (size_t t = 0; t < T; t++) {
            lstm_primitive_arrays step = arrays_of(&l);
            step.steps = 1;
            step.x = l.x + t * B * I;
            step.y = l.y + t * B * H;
            step.h0 = h;
            step.c0 = c;
            step.hn = h; /* in place */
            step.cn = c;
            assert_ok(lstm_primitive_forward(p, &step));
        }
        assert_close("y in pieces", l.y, whole, T * B * H, 1e-6, 0);
        assert_close("c in pieces", c, whole_c, B * H, 1e-6, 0);
        lstm_primitive_destroy(p);
    }
}

static void test_primitive_equals_the_layer_of_a_model(void **state)
{
    static layer l;
    lstm_model *m = NULL;
    float out[T * B * H];
    (void)state;
    fill_layer(&l);
    assert_ok(lstm_model_create(&m, NULL, NULL));
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .steps = T, .features = I), NULL));
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = H, .return_sequences = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_build(m));
    assert_ok(lstm_model_set_parameter(m, 0, l.weights + H * 4 * H, I * 4 * H)); /* the x rows */
    assert_ok(lstm_model_set_parameter(m, 1, l.weights, H * 4 * H));
    assert_ok(lstm_model_set_parameter(m, 2, l.bias, 4 * H));
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = B,
                            .x = l.x,
                            .x_count = T * B * I};
    assert_ok(lstm_predict(m, &data, out, T * B * H));
    lstm_primitive *p = new_primitive(LSTM_NO, 0);
    lstm_primitive_arrays a = arrays_of(&l);
    a.h0 = a.c0 = NULL;
    assert_ok(lstm_primitive_forward(p, &a));
    assert_close("y", l.y, out, T * B * H, 1e-6, 0);
    lstm_primitive_destroy(p);
    lstm_model_destroy(m);
}

/* A long sequence whose spans are run again: the same bits from less memory. */
static void test_recomputation_gives_the_same_bits(void **state)
{
    enum { BATCH = 3, STEPS = 2001, INPUT = 2, HIDDEN = 21, ALL = BATCH * STEPS };
    (void)state;
    static float weights[(INPUT + HIDDEN) * 4 * HIDDEN], bias[4 * HIDDEN], x[ALL * INPUT];
    static float dy[ALL * HIDDEN], h0[BATCH * HIDDEN], c0[BATCH * HIDDEN];
    static struct {
        float y[ALL * HIDDEN], hn[BATCH * HIDDEN], cn[BATCH * HIDDEN], dx[ALL * INPUT];
        float dweights[(INPUT + HIDDEN) * 4 * HIDDEN], dbias[4 * HIDDEN];
        float dh0[BATCH * HIDDEN], dc0[BATCH * HIDDEN];
    } out[2];
    float *const given[] = {weights, bias, x, dy, h0, c0};
    const size_t sizes[] = {sizeof weights, sizeof bias, sizeof x, sizeof dy, sizeof h0, sizeof c0};
    for (size_t k = 0; k < 6; k++)
        fill_numbers(given[k], sizes[k] / sizeof(float), (uint32_t)k + 1);
    size_t bytes[2];
    for (int again = 0; again < 2; again++) {
        lstm_primitive *primitive = NULL;
        const lstm_primitive_options options = {.struct_size = sizeof options,
                                                .training = LSTM_YES,
                                                .input_size = INPUT,
                                                .hidden_size = HIDDEN,
                                                .batch = BATCH,
                                                .steps = STEPS,
                                                .recompute = again ? LSTM_YES : LSTM_NO};
        const lstm_primitive_arrays a = {.struct_size = sizeof a,
                                         .batch = BATCH,
                                         .steps = STEPS,
                                         .weights = weights,
                                         .bias = bias,
                                         .x = x,
                                         .h0 = h0,
                                         .c0 = c0,
                                         .y = out[again].y,
                                         .hn = out[again].hn,
                                         .cn = out[again].cn,
                                         .dy = dy,
                                         .dx = out[again].dx,
                                         .dweights = out[again].dweights,
                                         .dbias = out[again].dbias,
                                         .dh0 = out[again].dh0,
                                         .dc0 = out[again].dc0};
        assert_int_equal(lstm_primitive_create(&primitive, NULL, &options), LSTM_OK);
        bytes[again] = lstm_primitive_memory_size(primitive);
        assert_int_equal(lstm_primitive_forward(primitive, &a), LSTM_OK);
        assert_int_equal(lstm_primitive_backward(primitive, &a), LSTM_OK);
        lstm_primitive_destroy(primitive);
    }
    assert_memory_equal(&out[0], &out[1], sizeof out[0]);
    assert_true(bytes[1] < bytes[0] * 2 / 3);
}

static void test_create_rejects_bad_options(void **state)
{
    lstm_primitive *p = (lstm_primitive *)&p;
    (void)state;
#define TRY_CREATE(status, ...)                                                                   \
    assert_status(lstm_primitive_create(&p, NULL, OPTIONS(lstm_primitive, __VA_ARGS__)), status); \
    assert_null(p)
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .hidden_size = H, .batch = B, .steps = T);
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .input_size = I, .batch = B, .steps = T);
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .input_size = I, .hidden_size = H, .steps = T);
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .input_size = I, .hidden_size = H, .batch = B);
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .input_size = -I, .hidden_size = H, .batch = B, .steps = T);
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .input_size = I, .hidden_size = INT64_C(1) << 40, .batch = B,
               .steps = T);
    TRY_CREATE(LSTM_ERROR_ARGUMENT, .input_size = I, .hidden_size = H, .batch = B, .steps = T,
               .route = 3);
    TRY_CREATE(LSTM_ERROR_MEMORY, .input_size = I, .hidden_size = H, .batch = INT64_C(1) << 62,
               .steps = T);
    TRY_CREATE(LSTM_ERROR_MEMORY, .input_size = I, .hidden_size = H, .batch = B,
               .steps = INT64_C(1) << 62, .training = LSTM_YES);
    TRY_CREATE(LSTM_ERROR_MEMORY, .input_size = I, .hidden_size = H, .batch = INT64_MAX,
               .steps = INT64_MAX, .training = LSTM_YES);
    assert_status(lstm_primitive_create(NULL, NULL,
                                        OPTIONS(lstm_primitive, .input_size = 1, .hidden_size = 1,
                                                .batch = 1, .steps = 1)),
                  LSTM_ERROR_ARGUMENT);
}

static void test_calls_are_checked(void **state)
{
    static layer l;
    lstm_primitive *p = new_primitive(LSTM_YES, 0);
    lstm_primitive *reader = new_primitive(LSTM_NO, 0);
    (void)state;
    fill_layer(&l);
    lstm_primitive_arrays a = arrays_of(&l);
    lstm_primitive_arrays wrong = a;
    assert_status(lstm_primitive_forward(NULL, &a), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_primitive_backward(NULL, &a), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_primitive_forward(p, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_primitive_backward(p, &a), LSTM_ERROR_STATE); /* no forward */
    wrong.weights = NULL;
    assert_status(lstm_primitive_forward(p, &wrong), LSTM_ERROR_ARGUMENT);
    wrong = a;
    wrong.x = NULL;
    assert_status(lstm_primitive_forward(p, &wrong), LSTM_ERROR_ARGUMENT);
    const int64_t sizes[] = {0, -1, B + 1, INT64_C(1) << 62, INT64_MIN};
    for (size_t k = 0; k < LENGTH(sizes); k++) {
        wrong = a;
        wrong.batch = sizes[k];
        assert_status(lstm_primitive_forward(p, &wrong), LSTM_ERROR_SHAPE);
        wrong = a;
        wrong.steps = sizes[k] == B + 1 ? T + 1 : sizes[k];
        assert_status(lstm_primitive_forward(p, &wrong), LSTM_ERROR_SHAPE);
    }
    assert_ok(lstm_primitive_forward(p, &a));
    wrong = a;
    wrong.batch = B - 1;
    assert_status(lstm_primitive_backward(p, &wrong), LSTM_ERROR_SHAPE);
    wrong = a;
    wrong.steps = T - 1;
    assert_status(lstm_primitive_backward(p, &wrong), LSTM_ERROR_SHAPE);
    assert_ok(lstm_primitive_backward(p, &a)); /* the failures left the tape alone */
    assert_status_text(lstm_primitive_backward(p, &a), LSTM_ERROR_STATE, "tape");
    assert_ok(lstm_primitive_forward(reader, &a));
    assert_status_text(lstm_primitive_backward(reader, &a), LSTM_ERROR_STATE, "training");
    lstm_primitive_destroy(p);
    lstm_primitive_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_follows_the_equations_on_both_routes),
        cmocka_unit_test(test_backward_agrees_with_finite_differences_on_both_routes),
        cmocka_unit_test(test_arrays_that_may_be_null_count_as_zero_or_are_left_out),
        cmocka_unit_test(test_a_sequence_may_be_run_in_pieces),
        cmocka_unit_test(test_primitive_equals_the_layer_of_a_model),
        cmocka_unit_test(test_recomputation_gives_the_same_bits),
        cmocka_unit_test(test_create_rejects_bad_options),
        cmocka_unit_test(test_calls_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
