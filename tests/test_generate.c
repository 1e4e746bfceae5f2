/* SPDX-License-Identifier: MIT
 * Sampling from logits, and networks as writers: lstm_sampler, lstm_session_sample,
 * lstm_session_search. What a session finds is compared with what the same parameters give on whole
 * sequences.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdlib.h>

/* ---- Sampler */

enum { C = 7 };
static const float logits[C] = {1.5f, -0.5f, 2.0f, 0.25f, 2.0f, -INFINITY, 0.0f};

/* Draw often; answers how far frequencies are from `expected`, in standard deviations. */
static double worst_frequency(const lstm_sampler_options *options, const double *expected)
{
    enum { DRAWS = 40000 };
    lstm_sampler *sampler = NULL;
    int counts[C] = {0};
    double worst = 0;
    assert_ok(lstm_sampler_create(&sampler, NULL, options));
    for (int k = 0; k < DRAWS; k++) {
        int32_t token = -1;
        assert_ok(lstm_sampler_draw(sampler, logits, C, &token));
        assert_true(token >= 0 && token < C);
        counts[token]++;
    }
    assert_int_equal(lstm_sampler_position(sampler), DRAWS);
    lstm_sampler_destroy(sampler);
    for (int c = 0; c < C; c++) {
        const double deviation = sqrt(DRAWS * expected[c] * (1 - expected[c]));
        const double off = fabs(counts[c] - DRAWS * expected[c]);
        if (expected[c] == 0 && counts[c] > 0)
            fail_msg("token %d was drawn %d times", c, counts[c]);
        worst = fmax(worst, expected[c] > 0 && expected[c] < 1 ? off / deviation : off);
    }
    return worst;
}

/* Probabilities of the tokens in `kept`, at a temperature. */
static void probabilities(const int *kept, double temperature, double *p)
{
    double sum = 0;
    for (int c = 0; c < C; c++) {
        p[c] = kept[c] ? exp((double)logits[c] / temperature) : 0;
        sum += p[c];
    }
    for (int c = 0; c < C; c++)
        p[c] /= sum;
}

/* By hand, at temperature 1: p = .2024 .0274 .3336 .0580 .3336 0 .0451, in order 2, 4, 0, 3,
 * 6, 1. Seeds are fixed, so four standard deviations never fail by chance. */
static void test_frequencies_are_the_probabilities_of_what_is_kept(void **state)
{
    static const struct {
        int64_t top_k;
        double top_p, temperature;
        int kept[C];
    } cases[] = {
        {0, 0, 0, {1, 1, 1, 1, 1, 1, 1}},     {0, 0, 0.5, {1, 1, 1, 1, 1, 1, 1}},
        {0, 0, 3, {1, 1, 1, 1, 1, 1, 1}},     {3, 0, 0, {1, 0, 1, 0, 1, 0, 0}},
        {1, 0, 0, {0, 0, 1, 0, 0, 0, 0}},     {100, 0, 0, {1, 1, 1, 1, 1, 1, 1}},
        {0, 0.3, 0, {0, 0, 1, 0, 0, 0, 0}},   {0, 0.5, 0, {0, 0, 1, 0, 1, 0, 0}},
        {0, 0.7, 0, {1, 0, 1, 0, 1, 0, 0}},   {4, 0.8, 0, {1, 0, 1, 0, 1, 0, 0}},
        {3, 0.7, 0, {0, 0, 1, 0, 1, 0, 0}},   {0, 1e-9, 0, {0, 0, 1, 0, 0, 0, 0}},
        {0, 0.5, 100, {1, 0, 1, 0, 1, 0, 0}},
    };
    (void)state;
    for (size_t k = 0; k < LENGTH(cases); k++) {
        double p[C];
        const double temperature = cases[k].temperature > 0 ? cases[k].temperature : 1;
        const lstm_sampler_options options = {.struct_size = sizeof options,
                                              .classes = C,
                                              .top_k = cases[k].top_k,
                                              .top_p = cases[k].top_p,
                                              .temperature = cases[k].temperature,
                                              .seed = 12 + k};
        probabilities(cases[k].kept, temperature, p);
        const double worst = worst_frequency(&options, p);
        if (worst > 4)
            fail_msg("case %zu: %.1f standard deviations off", k, worst);
    }
}

static void test_draws_depend_on_seed_and_position_alone(void **state)
{
    lstm_sampler *a = NULL;
    lstm_sampler *b = NULL;
    int32_t first[50];
    int32_t token = -1;
    int differ = 0;
    (void)state;
    const lstm_sampler_options options = {
        .struct_size = sizeof options, .classes = C, .seed = 5, .top_k = 5};
    assert_ok(lstm_sampler_create(&a, NULL, &options));
    for (int k = 0; k < 50; k++)
        assert_ok(lstm_sampler_draw(a, logits, C, &first[k]));
    assert_ok(lstm_sampler_create(&b, NULL, &options));
    assert_ok(lstm_sampler_set_position(b, 20));
    for (int k = 20; k < 50; k++) {
        assert_ok(lstm_sampler_draw(b, logits, C, &token));
        assert_int_equal(token, first[k]);
    }
    lstm_sampler_destroy(b);
    assert_ok(
        lstm_sampler_create(&b, NULL, OPTIONS(lstm_sampler, .classes = C, .seed = 6, .top_k = 5)));
    for (int k = 0; k < 50; k++) {
        assert_ok(lstm_sampler_draw(b, logits, C, &token));
        differ += token != first[k];
    }
    assert_true(differ > 5);
    lstm_sampler_destroy(a);
    lstm_sampler_destroy(b);
}

static void test_extremes_of_a_sampler_are_defined(void **state)
{
    static const float nothing[3] = {-INFINITY, NAN, -INFINITY};
    static const float infinite[3] = {1e30f, INFINITY, 0};
    static const float huge[3] = {1e30f, -1e30f, 0};
    lstm_sampler *sampler = NULL;
    int32_t token = -1;
    (void)state;
    assert_ok(lstm_sampler_create(&sampler, NULL,
                                  OPTIONS(lstm_sampler, .classes = 3, .temperature = -1)));
    assert_ok(lstm_sampler_draw(sampler, huge, 3, &token));
    assert_int_equal(token, 0);
    assert_status_text(lstm_sampler_draw(sampler, nothing, 3, &token), LSTM_ERROR_NUMERIC,
                       "none of the 3 logits");
    assert_status(lstm_sampler_draw(sampler, huge, 2, &token), LSTM_ERROR_SHAPE);
    lstm_sampler_destroy(sampler);
    assert_ok(lstm_sampler_create(&sampler, NULL, OPTIONS(lstm_sampler, .classes = 3)));
    for (int k = 0; k < 20; k++) {
        assert_ok(lstm_sampler_draw(sampler, huge, 3, &token));
        assert_int_equal(token, 0);
        assert_ok(lstm_sampler_draw(sampler, infinite, 3, &token));
        assert_int_equal(token, 1);
    }
    lstm_sampler_destroy(sampler);
    static const lstm_sampler_options wrong[] = {
        {.struct_size = sizeof *wrong},
        {.struct_size = sizeof *wrong, .classes = 3, .top_k = -1},
        {.struct_size = sizeof *wrong, .classes = 3, .top_p = 1.5},
        {.struct_size = sizeof *wrong, .classes = 3, .top_p = -0.5},
        {.struct_size = sizeof *wrong, .classes = 3, .temperature = INFINITY},
        {.struct_size = sizeof *wrong, .classes = 3, .reserved = 1},
    };
    for (size_t k = 0; k < LENGTH(wrong); k++)
        assert_status(lstm_sampler_create(&sampler, NULL, &wrong[k]), LSTM_ERROR_ARGUMENT);
    assert_null(sampler);
}

static void test_a_sampler_allocates_when_created_only(void **state)
{
    counting_allocator allocator = {0};
    lstm_sampler *sampler = NULL;
    int32_t token = 0;
    (void)state;
    lstm_context *context = counting_allocator_context(&allocator);
    allocator.refuse = allocator.calls + 1;
    assert_status(lstm_sampler_create(&sampler, context, OPTIONS(lstm_sampler, .classes = C)),
                  LSTM_ERROR_MEMORY);
    allocator.refuse = 0;
    assert_ok(
        lstm_sampler_create(&sampler, context, OPTIONS(lstm_sampler, .classes = C, .top_p = 0.9)));
    const size_t calls = allocator.calls;
    assert_ok(lstm_sampler_draw(sampler, logits, C, &token));
    assert_int_equal(allocator.calls, calls);
    lstm_sampler_destroy(sampler);
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

/* ---- Networks */

enum { VOCABULARY = 5, WIDTH = 30, LONGEST = 3, END = 4 };

/* Two LSTM layers on tokens or one-hot rows; stateful, or the same on whole sequences. */
static lstm_model *writer(bool stateful, bool one_hot, int32_t activation)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .seed = 3)));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = one_hot ? VOCABULARY : 1),
                                   NULL));
    if (!one_hot)
        assert_ok(lstm_model_add_embedding(
            model, OPTIONS(lstm_embedding, .input_dim = VOCABULARY, .output_dim = 4), NULL, NULL));
    for (int k = 0; k < 2; k++)
        assert_ok(
            lstm_model_add_lstm(model,
                                OPTIONS(lstm_lstm, .units = 6 + k, .return_sequences = LSTM_YES,
                                        .stateful = stateful ? LSTM_YES : LSTM_NO),
                                NULL, NULL));
    assert_ok(lstm_model_add_dense(
        model, OPTIONS(lstm_dense, .units = VOCABULARY, .activation = activation), NULL, NULL));
    assert_ok(lstm_model_build(model));
    /* far from uniform */
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        float *values = new_numbers(info.count, k);
        for (size_t v = 0; v < info.count; v++)
            values[v] *= 2;
        assert_ok(lstm_model_set_parameter(model, k, values, info.count));
        free(values);
    }
    return model;
}

/* log p(tokens | start) by the network on the whole sequence. */
static double whole_sequence(lstm_model *model, bool one_hot, int32_t start, const int32_t *tokens,
                             size_t count, bool softmax)
{
    float x[(LONGEST + 1) * VOCABULARY] = {0};
    float out[(LONGEST + 1) * VOCABULARY];
    double sum = 0;
    const size_t features = one_hot ? VOCABULARY : 1;
    for (size_t t = 0; t < count; t++) {
        const int32_t token = t == 0 ? start : tokens[t - 1];
        x[t * features + (one_hot ? (size_t)token : 0)] = one_hot ? 1 : (float)token;
    }
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = x, .x_count = count * features};
    assert_ok(lstm_predict(model, &data, out, count * VOCABULARY));
    for (size_t t = 0; t < count; t++) {
        double total = 0;
        const float *row = out + t * VOCABULARY;
        for (size_t c = 0; c < VOCABULARY; c++)
            total += softmax ? (double)row[c] : exp((double)row[c]);
        sum += softmax ? log((double)row[tokens[t]] / total) : (double)row[tokens[t]] - log(total);
    }
    return sum;
}

static double best_of_all(lstm_model *model, bool one_hot, bool softmax, int32_t start,
                          int32_t *tokens, size_t length)
{
    double best = -INFINITY;
    if (length > 0 && (tokens[length - 1] == END || length == LONGEST))
        return whole_sequence(model, one_hot, start, tokens, length, softmax) /
               pow((5 + (double)length) / 6, 0.6);
    for (int32_t token = 0; token < VOCABULARY; token++) {
        tokens[length] = token;
        best = fmax(best, best_of_all(model, one_hot, softmax, start, tokens, length + 1));
    }
    return best;
}

static void test_a_network_finds_its_best_sequence(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        const bool one_hot = form == 1;
        const bool softmax = form == 2;
        const int32_t activation = softmax ? LSTM_ACTIVATION_SOFTMAX : LSTM_ACTIVATION_LINEAR;
        lstm_model *model = writer(true, one_hot, activation);
        lstm_model *whole = writer(false, one_hot, activation);
        lstm_session *session = NULL;
        int32_t tokens[WIDTH * LONGEST];
        int32_t scratch[LONGEST];
        int32_t lengths[WIDTH];
        double scores[WIDTH];
        assert_ok(lstm_session_create(&session, model,
                                      OPTIONS(lstm_session, .batch = WIDTH, .steps = 1)));
        for (int32_t start = 0; start < 2; start++) {
            assert_ok(lstm_session_reset_states(session));
            assert_ok(lstm_session_search(session,
                                          OPTIONS(lstm_beam, .beam_width = WIDTH,
                                                  .top_paths = WIDTH, .max_steps = LONGEST,
                                                  .start_token = start, .end_token = END),
                                          tokens, LENGTH(tokens), lengths, scores));
            const double best = best_of_all(whole, one_hot, softmax, start, scratch, 0);
            assert_true(fabs(scores[0] - best) < 1e-5);
            for (int k = 0; k < WIDTH; k++)
                assert_true(fabs(whole_sequence(whole, one_hot, start, tokens + k * LONGEST,
                                                (size_t)lengths[k], softmax) /
                                     pow((5 + (double)lengths[k]) / 6, 0.6) -
                                 scores[k]) < 1e-5);
        }
        lstm_session_destroy(session);
        lstm_model_destroy(model);
        lstm_model_destroy(whole);
    }
}

/* A search goes on from the states that the session carries. */
static void test_a_search_starts_from_the_states_of_the_session(void **state)
{
    static const int32_t prompt[] = {2, 1};
    lstm_model *model = writer(true, false, LSTM_ACTIVATION_LINEAR);
    lstm_session *session = NULL;
    lstm_sampler *sampler = NULL;
    int32_t sampled[LONGEST];
    int32_t tokens[LONGEST];
    int32_t token = 0;
    int32_t length = 0;
    size_t count = 0;
    (void)state;
    assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = 4, .steps = 1)));
    assert_ok(lstm_sampler_create(&sampler, NULL,
                                  OPTIONS(lstm_sampler, .classes = VOCABULARY, .temperature = -1)));
    assert_ok(lstm_session_sample(session, sampler, prompt, 2, -1, sampled, LONGEST, &count));
    assert_int_equal(count, LONGEST);
    /* the prompt's first token in the states, its second one as the start token */
    assert_ok(lstm_session_reset_states(session));
    assert_ok(lstm_session_sample(session, sampler, prompt, 1, -1, &token, 1, &count));
    assert_ok(lstm_session_search(session,
                                  OPTIONS(lstm_beam, .beam_width = 1, .max_steps = LONGEST,
                                          .start_token = prompt[1], .end_token = -1),
                                  tokens, LONGEST, &length, NULL));
    assert_memory_equal(tokens, sampled, sizeof sampled);
    lstm_sampler_destroy(sampler);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_writing_in_two_pieces_is_writing_in_one(void **state)
{
    static const int32_t prompt[] = {0, 3, 1};
    lstm_model *model = writer(true, true, LSTM_ACTIVATION_SOFTMAX);
    lstm_session *session = NULL;
    int32_t whole[12];
    int32_t pieces[12];
    size_t length = 0;
    (void)state;
    assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = 1, .steps = 1)));
    for (int k = 0; k < 2; k++) {
        lstm_sampler *sampler = NULL;
        assert_ok(lstm_sampler_create(&sampler, NULL,
                                      OPTIONS(lstm_sampler, .classes = VOCABULARY, .seed = 8)));
        assert_ok(lstm_session_reset_states(session));
        if (k == 0) {
            assert_ok(lstm_session_sample(session, sampler, prompt, 3, -1, whole, 12, &length));
            assert_int_equal(length, 12);
        } else {
            assert_ok(lstm_session_sample(session, sampler, prompt, 3, -1, pieces, 5, &length));
            assert_ok(
                lstm_session_sample(session, sampler, pieces + 4, 1, -1, pieces + 5, 7, &length));
        }
        lstm_sampler_destroy(sampler);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_an_end_token_ends_what_is_written(void **state)
{
    static const int32_t prompt[] = {0};
    lstm_model *model = writer(true, false, LSTM_ACTIVATION_LINEAR);
    lstm_session *session = NULL;
    lstm_sampler *sampler = NULL;
    int32_t tokens[200];
    size_t length = 0;
    (void)state;
    assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = 1, .steps = 1)));
    assert_ok(lstm_sampler_create(&sampler, NULL,
                                  OPTIONS(lstm_sampler, .classes = VOCABULARY, .temperature = 5)));
    assert_ok(lstm_session_sample(session, sampler, prompt, 1, 2, tokens, 200, &length));
    assert_true(length < 200);
    assert_int_equal(tokens[length - 1], 2);
    for (size_t k = 0; k < length - 1; k++)
        assert_true(tokens[k] >= 0 && tokens[k] != 2);
    for (size_t k = length; k < 200; k++)
        assert_int_equal(tokens[k], -1);
    lstm_sampler_destroy(sampler);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_networks_that_cannot_write_are_refused(void **state)
{
    static const int32_t bad[] = {VOCABULARY};
    lstm_session *session = NULL;
    lstm_sampler *sampler = NULL;
    int32_t tokens[LONGEST];
    int32_t length = 0;
    size_t count = 0;
    (void)state;
    const lstm_beam_options options = {.struct_size = sizeof options, .max_steps = LONGEST};
    lstm_model *model = writer(false, false, LSTM_ACTIVATION_LINEAR);
    assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = 4, .steps = 1)));
    assert_status_text(lstm_session_search(session, &options, tokens, LONGEST, &length, NULL),
                       LSTM_ERROR_STATE, "no stateful layer");
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    model = writer(true, false, LSTM_ACTIVATION_LINEAR);
    assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = 3, .steps = 1)));
    assert_status_text(lstm_session_search(session, &options, tokens, LONGEST, &length, NULL),
                       LSTM_ERROR_SHAPE, "beam_width is 4");
    assert_ok(lstm_sampler_create(&sampler, NULL, OPTIONS(lstm_sampler, .classes = 9)));
    assert_status(lstm_session_sample(session, sampler, bad, 1, -1, tokens, 1, &count),
                  LSTM_ERROR_SHAPE);
    lstm_sampler_destroy(sampler);
    assert_ok(lstm_sampler_create(&sampler, NULL, OPTIONS(lstm_sampler, .classes = VOCABULARY)));
    assert_status(lstm_session_sample(session, sampler, bad, 1, -1, tokens, 1, &count),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_sample(session, sampler, bad, 0, -1, tokens, 1, &count),
                  LSTM_ERROR_ARGUMENT);
    lstm_sampler_destroy(sampler);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequencies_are_the_probabilities_of_what_is_kept),
        cmocka_unit_test(test_draws_depend_on_seed_and_position_alone),
        cmocka_unit_test(test_extremes_of_a_sampler_are_defined),
        cmocka_unit_test(test_a_sampler_allocates_when_created_only),
        cmocka_unit_test(test_a_network_finds_its_best_sequence),
        cmocka_unit_test(test_a_search_starts_from_the_states_of_the_session),
        cmocka_unit_test(test_writing_in_two_pieces_is_writing_in_one),
        cmocka_unit_test(test_an_end_token_ends_what_is_written),
        cmocka_unit_test(test_networks_that_cannot_write_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
