/* SPDX-License-Identifier: MIT
 * One layer read by many others: gradients of all readers must add up, whichever of them runs
 * first. Checked against finite differences with every layer type as a reader, in every rotation of
 * the order in which they are added.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdlib.h>

enum { B = 2, T = 4, F = 2, H = 3, READERS = 8, MOST = B * T * H };

typedef struct network {
    lstm_model *model;
    float x[B * T * F];
    float *weights[READERS]; /* of each output in the loss */
    size_t sizes[READERS];
} network;

/* Reader `kind` of the sequence `trunk` (T, H) or of its last state h. */
static lstm_layer *add_reader(lstm_model *m, int kind, const lstm_layer *trunk, const lstm_layer *h)
{
    lstm_layer *out = NULL;
    switch (kind) {
    case 0:
        assert_ok(lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = 0.4f), trunk, &out));
        break;
    case 1:
        assert_ok(lstm_model_add_activation(
            m, OPTIONS(lstm_activation, .activation = LSTM_ACTIVATION_TANH), trunk, &out));
        break;
    case 2:
        assert_ok(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 2), trunk, &out));
        break;
    case 3:
        assert_ok(lstm_model_add_flatten(m, NULL, trunk, &out));
        break;
    case 4:
        assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2), trunk, &out));
        break;
    case 5:
        assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = H, .initial_state = trunk),
                                      trunk, &out));
        break;
    case 6:
        assert_ok(
            lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 2), h, &out));
        break;
    default:
        assert_ok(lstm_model_add_activation(
            m, OPTIONS(lstm_activation, .activation = LSTM_ACTIVATION_SOFTMAX), h, &out));
        break;
    }
    return out;
}

static void network_start(network *n, int rotation)
{
    lstm_layer *trunk = NULL;
    lstm_layer *h = NULL;
    assert_ok(lstm_model_create(&n->model, NULL, OPTIONS(lstm_model, .seed = 6)));
    assert_ok(lstm_model_add_input(n->model, OPTIONS(lstm_input, .steps = T, .features = F), NULL));
    assert_ok(lstm_model_add_lstm(
        n->model, OPTIONS(lstm_lstm, .units = H, .return_sequences = LSTM_YES), NULL, &trunk));
    assert_ok(lstm_layer_state(trunk, &h, NULL));
    for (int k = 0; k < READERS; k++)
        add_reader(n->model, (k + rotation) % READERS, trunk, h);
    assert_ok(lstm_model_build(n->model));
    assert_int_equal(lstm_model_output_count(n->model), READERS);
    fill_numbers(n->x, LENGTH(n->x), 1);
    for (size_t k = 0; k < READERS; k++) {
        int64_t steps = 0;
        int64_t features = 0;
        assert_ok(lstm_layer_shape(lstm_model_output(n->model, k), &steps, &features));
        n->sizes[k] = B * (size_t)(steps ? steps : 1) * (size_t)features;
        n->weights[k] = new_numbers(n->sizes[k], 10 + k);
    }
}

static void network_end(network *n)
{
    for (size_t k = 0; k < READERS; k++)
        free(n->weights[k]);
    lstm_model_destroy(n->model);
}

/* A new session each time, so that dropout draws the same mask. */
static lstm_session *run_forward(const network *n, double *loss)
{
    const lstm_data data = {
        .struct_size = sizeof data, .samples = B, .x = n->x, .x_count = LENGTH(n->x)};
    lstm_session *session = NULL;
    *loss = 0;
    assert_ok(lstm_session_create(&session, n->model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = B)));
    assert_ok(lstm_session_forward(session, &data));
    for (size_t k = 0; k < READERS; k++) {
        float values[MOST];
        assert_ok(lstm_session_output(session, k, values, n->sizes[k]));
        for (size_t v = 0; v < n->sizes[k]; v++)
            *loss += (double)n->weights[k][v] * (double)values[v];
    }
    return session;
}

static void check_input_gradient(network *n, const float *gradient)
{
    const float step = 0.01f;
    for (size_t k = 0; k < LENGTH(n->x); k++) {
        const float kept = n->x[k];
        double up = 0;
        double down = 0;
        n->x[k] = kept + step;
        lstm_session_destroy(run_forward(n, &up));
        n->x[k] = kept - step;
        lstm_session_destroy(run_forward(n, &down));
        n->x[k] = kept;
        const double expected = (up - down) / (2 * (double)step);
        if (!(fabs((double)gradient[k] - expected) <= 2e-3))
            fail_msg("input %zu: gradient %g, finite difference %g", k, (double)gradient[k],
                     expected);
    }
}

static void test_gradients_of_all_readers_add_up_in_any_order(void **state)
{
    (void)state;
    for (int rotation = 0; rotation < READERS; rotation++) {
        network n;
        double loss = 0;
        float gradient[B * T * F];
        network_start(&n, rotation);
        lstm_session *session = run_forward(&n, &loss);
        for (size_t k = 0; k < READERS; k++)
            assert_ok(lstm_session_set_output_gradient(session, k, n.weights[k], n.sizes[k]));
        assert_ok(lstm_session_backward(session));
        assert_ok(lstm_session_input_gradient(session, 0, gradient, LENGTH(gradient)));
        check_input_gradient(&n, gradient);
        lstm_session_destroy(session);
        network_end(&n);
    }
}

static float *parameter_gradients(const network *n, const lstm_session *session)
{
    float *all = malloc((lstm_model_parameter_total(n->model) + 1) * sizeof *all);
    float *next = all;
    for (size_t k = 0; k < lstm_model_parameter_count(n->model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(n->model, k, &info));
        assert_ok(lstm_session_parameter_gradient(session, k, next, info.count));
        next += info.count;
    }
    return all;
}

/* The gradients of one backward pass leave nothing in the next one, where other outputs have
 * gradients. */
static void test_gradients_replace_those_of_the_pass_before(void **state)
{
    network n;
    double loss = 0;
    (void)state;
    network_start(&n, 0);
    const lstm_data data = {
        .struct_size = sizeof data, .samples = B, .x = n.x, .x_count = LENGTH(n.x)};
    const size_t total = lstm_model_parameter_total(n.model);
    for (size_t only = 1; only < READERS; only++) { /* 0 is the dropout, whose mask differs */
        lstm_session *fresh = run_forward(&n, &loss);
        lstm_session *used = run_forward(&n, &loss);
        for (size_t k = 0; k < READERS; k++)
            assert_ok(lstm_session_set_output_gradient(used, k, n.weights[k], n.sizes[k]));
        assert_ok(lstm_session_backward(used));
        assert_ok(lstm_session_forward(used, &data));
        assert_ok(lstm_session_set_output_gradient(fresh, only, n.weights[only], n.sizes[only]));
        assert_ok(lstm_session_set_output_gradient(used, only, n.weights[only], n.sizes[only]));
        assert_ok(lstm_session_backward(fresh));
        assert_ok(lstm_session_backward(used));
        float *expected = parameter_gradients(&n, fresh);
        float *found = parameter_gradients(&n, used);
        assert_memory_equal(found, expected, total * sizeof *found);
        free(expected);
        free(found);
        lstm_session_destroy(fresh);
        lstm_session_destroy(used);
    }
    network_end(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_all_readers_add_up_in_any_order),
        cmocka_unit_test(test_gradients_replace_those_of_the_pass_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
