/* SPDX-License-Identifier: MIT
 * L-BFGS with line search: the losses of PyTorch's trajectories, and resuming in between.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <math.h>

enum { N = 12, T = 5, F = 3, H = 4 };

static float x[N * T * F], y[N * 2];

/* nn.LSTM(3, 4) and nn.Linear(4, 2) on the last step, weights 0.4 sin(1 + k). */
static lstm_model *new_model(void)
{
    static const char text[] =
        "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [5, 3]},"
        " {\"type\": \"LSTM\", \"units\": 4, \"return_sequences\": false}, {\"type\": \"Dense\", "
        "\"units\": 2}]}";
    lstm_model *model = NULL;
    size_t k = 0;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        float values[128];
        assert_ok(lstm_model_parameter_info(model, p, &info));
        for (size_t j = 0; j < info.count; j++)
            values[j] = (float)(0.4 * sin(1.0 + (double)k++));
        assert_ok(lstm_model_set_parameter(model, p, values, info.count));
    }
    return model;
}

static lstm_data new_data(void)
{
    for (size_t k = 0; k < LENGTH(x); k++)
        x[k] = (float)sin(0.5 + 0.7 * (double)k);
    for (size_t k = 0; k < LENGTH(y); k++)
        y[k] = (float)cos(0.3 + 1.1 * (double)k);
    return (lstm_data){.struct_size = sizeof(lstm_data),
                       .samples = N,
                       .x = x,
                       .x_count = LENGTH(x),
                       .y = y,
                       .y_count = LENGTH(y)};
}

/* Written by PyTorch 2.13: torch.optim.LBFGS(lr, max_iter, history_size,
 * line_search_fn='strong_wolfe'); the loss before each step(closure), and after the last. In
 * double precision; as far as PyTorch's own path in single precision, and ours at every level, stay
 * within 1e-3 of it: then one decision of a line search falls otherwise. */
typedef struct trajectory {
    double rate;
    int32_t iterations, history, steps;
    double losses[8];
} trajectory;

static const trajectory of_torch[] = {
    {1, 5, 3, 3, {0.570992447, 0.149086846, 0.0842453622, 0.0528117479}},
    {8, 20, 100, 2, {0.570992447, 0.0524855573, 0.0209269033}},
    {0.05, 4, 100, 4, {0.570992447, 0.501499148, 0.452054659, 0.233039395, 0.132736795}},
};

static lstm_optimizer_options options_of(const trajectory *t)
{
    return (lstm_optimizer_options){.struct_size = sizeof(lstm_optimizer_options),
                                    .optimizer = LSTM_OPTIMIZER_LBFGS,
                                    .learning_rate = t->rate,
                                    .max_iterations = t->iterations,
                                    .history_size = t->history,
                                    .strong_wolfe = LSTM_YES};
}

static void test_losses_follow_those_of_pytorch(void **state)
{
    const lstm_data data = new_data();
    (void)state;
    for (size_t k = 0; k < LENGTH(of_torch); k++) {
        const trajectory *t = &of_torch[k];
        const lstm_optimizer_options options = options_of(t);
        lstm_history *history = NULL;
        double last = 0;
        lstm_model *model = new_model();
        assert_ok(lstm_fit(model,
                           OPTIONS(lstm_fit, .epochs = t->steps, .optimizer_options = &options,
                                   .shuffle = LSTM_NO),
                           &data, &history));
        assert_ok(lstm_evaluate(model, NULL, &data, &last, 1));
        for (int32_t s = 0; s <= t->steps; s++) {
            const double found = s < t->steps ? lstm_history_value(history, (size_t)s, 0) : last;
            if (!(fabs(found / t->losses[s] - 1) < 1e-3))
                fail_msg("case %zu, step %d: loss %.9g, PyTorch %.9g", k, (int)s, found,
                         t->losses[s]);
        }
        lstm_history_destroy(history);
        lstm_model_destroy(model);
    }
}

static void test_training_in_pieces_gives_the_same_bits(void **state)
{
    const lstm_data data = new_data();
    const lstm_optimizer_options options = options_of(&of_torch[0]);
    const lstm_optimizer_options other = {.struct_size = sizeof other,
                                          .optimizer = LSTM_OPTIMIZER_LBFGS,
                                          .max_iterations = 5,
                                          .history_size = 3};
    lstm_model *whole = new_model();
    lstm_model *pieces = new_model();
    (void)state;
    assert_ok(lstm_fit(whole, OPTIONS(lstm_fit, .epochs = 4, .optimizer_options = &options), &data,
                       NULL));
    assert_ok(lstm_fit(
        pieces,
        OPTIONS(lstm_fit, .epochs = 2, .optimizer_options = &options, .checkpoint = "wolfe.ckpt"),
        &data, NULL));
    assert_ok(lstm_fit(
        pieces,
        OPTIONS(lstm_fit, .epochs = 4, .optimizer_options = &options, .resume = "wolfe.ckpt"),
        &data, NULL));
    assert_true(same_parameters(whole, pieces));
    assert_status_text(lstm_fit(pieces,
                                OPTIONS(lstm_fit, .epochs = 4, .optimizer_options = &other,
                                        .resume = "wolfe.ckpt"),
                                &data, NULL),
                       LSTM_ERROR_FORMAT, "line search");
    lstm_model_destroy(whole);
    lstm_model_destroy(pieces);
}

static void test_a_single_step_cannot_search(void **state)
{
    const lstm_data data = new_data();
    const lstm_optimizer_options options = options_of(&of_torch[0]);
    const lstm_optimizer_options adam = {.struct_size = sizeof adam, .strong_wolfe = LSTM_YES};
    double loss = 0;
    lstm_session *session = NULL;
    lstm_optimizer *optimizer = NULL;
    lstm_model *model = new_model();
    (void)state;
    assert_ok(lstm_optimizer_create(&optimizer, model, &options));
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = N)));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_loss(session, NULL, &data, &loss));
    assert_ok(lstm_session_backward(session));
    assert_status_text(lstm_optimizer_step(optimizer, session), LSTM_ERROR_UNSUPPORTED,
                       "lstm_fit can");
    lstm_optimizer_destroy(optimizer);
    optimizer = NULL;
    assert_status_text(lstm_optimizer_create(&optimizer, model, &adam), LSTM_ERROR_ARGUMENT,
                       "belongs to L-BFGS");
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_follow_those_of_pytorch),
        cmocka_unit_test(test_training_in_pieces_gives_the_same_bits),
        cmocka_unit_test(test_a_single_step_cannot_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
