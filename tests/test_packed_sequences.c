/* SPDX-License-Identifier: MIT
 * A masked batch runs on its valid steps alone, packed: it gives each sample what its valid steps
 * give as a sequence of their own, without a mask. Outputs have the same bits; gradients, whose sums
 * run in another order, agree within 1e-5 of their largest. Outputs of masked steps are checked
 * against the rule. Bits do not depend on threads, on whether rows lie in place, or on what stands at
 * masked steps (NaN here).
 *
 * The sequences of their own run as batches of two equal samples, since one sample alone is summed in
 * another order, in a session of the same plan, on which the order depends too. Without a tape the
 * cell's formulas are others: within 1e-5.
 */
#include <lstm/lstm.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Kinds of masks: the longest first; the same mixed; the same at the end instead of the beginning; with
 * holes; with samples that have nothing. */
enum { FALLING, MIXED, LEADING, HOLES, NOTHING, KINDS };

typedef struct shape {
    size_t batch, steps, features, units;
    const char *options;
    bool backwards, zeros;
} shape;

static const shape shapes[] = {
    {33, 17, 5, 20, "", false, false},
    {33, 17, 1, 33, ", \"zero_output_for_mask\": true", false, true},
    {7, 41, 40, 72, ", \"go_backwards\": true", true, false},
    {7, 40, 40, 24, ", \"go_backwards\": true, \"zero_output_for_mask\": true", true, true},
    {9, 30, 6, 19, ", \"activation\": \"softsign\"", false, false},
    {3, 60, 30, 130, ", \"recurrent_activation\": \"hard_sigmoid\"", false, false},
};

typedef struct run {
    float *x, *dy; /* time first */
    uint8_t *mask;
    float *y, *dx;
    float *gradients[3];
} run;

static void check(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static float draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1;
}

static float *room(size_t count)
{
    float *p = calloc(count + 1, sizeof *p);
    assert_non_null(p);
    return p;
}

static bool is_valid(const shape *s, int kind, size_t b, size_t t)
{
    const size_t place = kind == FALLING ? b : b * 5 % s->batch;
    const size_t length = s->steps - place * (s->steps - 1) / s->batch;
    if (kind == NOTHING && b % 3 == 0)
        return false;
    if (kind == LEADING)
        return t >= s->steps - length;
    return t < length && (kind != HOLES || (t * 7 + b * 3) % 4 != 1);
}

static size_t parameter_size(const shape *s, int k)
{
    return 4 * s->units * (k == 0 ? s->features : k == 1 ? s->units : 1);
}

static void create(const shape *s, int threads, lstm_context **context, lstm_model **model)
{
    char text[400];
    const lstm_context_options wanted = {.struct_size = sizeof wanted, .threads = threads};
    snprintf(text, sizeof text,
             "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, %zu]}, {\"type\": \"LSTM\", "
             "\"units\": %zu, \"return_sequences\": true%s}]}",
             s->features, s->units, s->options);
    check(lstm_context_create(context, &wanted));
    check(lstm_model_from_json(model, *context, text, strlen(text)));
}

/* Two forwards of `batch` samples, so that what the first leaves behind is there; if `training`
 * backward. */
static void pass(lstm_model *model, const shape *s, size_t batch, size_t steps, bool training,
                 run *r)
{
    lstm_session *session = NULL;
    const lstm_session_options plan = {.struct_size = sizeof plan,
                                       .training = training ? LSTM_YES : LSTM_NO,
                                       .batch = (int64_t)s->batch,
                                       .steps = (int64_t)s->steps};
    const size_t outputs = batch * steps * s->units;
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = (int64_t)batch,
                            .x = r->x,
                            .x_count = batch * steps * s->features,
                            .mask = r->mask,
                            .mask_count = r->mask ? batch * steps : 0};
    check(lstm_session_create(&session, model, &plan));
    for (int again = 0; again < 2; again++)
        check(lstm_session_forward(session, &data));
    check(lstm_session_output(session, 0, r->y, outputs));
    if (training) {
        check(lstm_session_set_output_gradient(session, 0, r->dy, outputs));
        check(lstm_session_backward(session));
        check(lstm_session_input_gradient(session, 0, r->dx, data.x_count));
        for (int k = 0; k < 3; k++)
            check(lstm_session_parameter_gradient(session, (size_t)k, r->gradients[k],
                                                  parameter_size(s, k)));
    }
    lstm_session_destroy(session);
}

static run start(const shape *s, size_t batch, size_t steps)
{
    run r = {.x = room(batch * steps * s->features),
             .dy = room(batch * steps * s->units),
             .y = room(batch * steps * s->units),
             .dx = room(batch * steps * s->features)};
    for (int k = 0; k < 3; k++)
        r.gradients[k] = room(parameter_size(s, k));
    return r;
}

static void finish(run *r)
{
    free(r->x);
    free(r->dy);
    free(r->y);
    free(r->dx);
    free(r->mask);
    for (int k = 0; k < 3; k++)
        free(r->gradients[k]);
}

static run masked_batch(const shape *s, int kind)
{
    run r = start(s, s->batch, s->steps);
    uint32_t state = 20261124;
    r.mask = calloc(s->batch * s->steps, 1);
    assert_non_null(r.mask);
    for (size_t row = 0; row < s->batch * s->steps; row++) {
        r.mask[row] = is_valid(s, kind, row % s->batch, row / s->batch);
        for (size_t f = 0; f < s->features; f++) {
            const float value = draw(&state);
            r.x[row * s->features + f] = r.mask[row] ? value : NAN;
        }
        for (size_t u = 0; u < s->units; u++)
            r.dy[row * s->units + u] = draw(&state);
    }
    return r;
}

static void near(const char *what, const float *found, const float *expected, size_t count)
{
    float most = 0;
    for (size_t k = 0; k < count; k++)
        most = fabsf(expected[k]) > most ? fabsf(expected[k]) : most;
    for (size_t k = 0; k < count; k++)
        if (!(fabsf(found[k] - expected[k]) <= 1e-5f * most))
            fail_msg("%s, value %zu is %.9g: expected %.9g", what, k, (double)found[k],
                     (double)expected[k]);
}

/* The valid steps of sample b of `all` as sample 0 of a sequence without a mask; 0 = there are none. */
static size_t take_valid(const shape *s, const run *all, size_t b, run *one)
{
    size_t steps = 0;
    *one = start(s, 2, s->steps);
    for (size_t t = 0; t < s->steps; t++) {
        const size_t row = t * s->batch + b;
        if (!all->mask[row])
            continue;
        for (size_t copy = 0; copy < 2; copy++)
            memcpy(one->x + (2 * steps + copy) * s->features, all->x + row * s->features,
                   s->features * sizeof(float));
        steps++;
    }
    /* outputs in their own order; what arrives at a held one belongs to the step before */
    size_t seen = 0;
    for (size_t t = 0; t < s->steps; t++) {
        const size_t row = t * s->batch + b;
        const size_t source = s->backwards ? (s->steps - 1 - t) * s->batch + b : row;
        seen += all->mask[source];
        if (all->mask[source] || (seen > 0 && !s->zeros))
            for (size_t u = 0; u < s->units; u++)
                one->dy[2 * (seen - 1) * s->units + u] += all->dy[row * s->units + u];
    }
    return steps;
}

/* Outputs and dx of sample b beside those of its valid steps. */
static void compare_sample(const shape *s, const run *all, size_t b, const run *one)
{
    const size_t width = s->units * sizeof(float);
    float *nothing = room(s->units + s->features);
    size_t seen = 0;
    for (size_t t = 0; t < s->steps; t++) {
        const size_t row = t * s->batch + b;
        const bool valid = all->mask[s->backwards ? (s->steps - 1 - t) * s->batch + b : row];
        seen += valid;
        const bool zeros = seen == 0 || (!valid && s->zeros);
        assert_memory_equal(all->y + row * s->units,
                            zeros ? nothing : one->y + 2 * (seen - 1) * s->units, width);
    }
    seen = 0;
    for (size_t t = 0; t < s->steps; t++) {
        const size_t row = t * s->batch + b;
        const float *expected = all->mask[row] ? one->dx + 2 * seen++ * s->features : nothing;
        near("dx", all->dx + row * s->features, expected, s->features);
    }
    free(nothing);
}

static void check_kind(const shape *s, int kind)
{
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    run all = masked_batch(s, kind);
    run sums = start(s, 1, 1);
    create(s, 1, &context, &model);
    pass(model, s, s->batch, s->steps, true, &all);
    for (size_t b = 0; b < s->batch; b++) {
        run one;
        const size_t steps = take_valid(s, &all, b, &one);
        if (steps > 0)
            pass(model, s, 2, steps, true, &one);
        compare_sample(s, &all, b, &one);
        for (int k = 0; k < 3; k++)
            for (size_t v = 0; v < parameter_size(s, k); v++)
                sums.gradients[k][v] += one.gradients[k][v];
        finish(&one);
    }
    for (int k = 0; k < 3; k++)
        near("a parameter's gradient", all.gradients[k], sums.gradients[k], parameter_size(s, k));
    finish(&sums);
    finish(&all);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
}

static void test_a_masked_sample_is_the_sequence_of_its_valid_steps(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        for (int kind = 0; kind < KINDS; kind++) {
            print_message("shape %zu, kind %d\n", k, kind);
            check_kind(&shapes[k], kind);
        }
}

static void same_bits(const shape *s, const run *found, const run *expected)
{
    const size_t bytes = s->batch * s->steps * sizeof(float);
    assert_memory_equal(found->y, expected->y, bytes * s->units);
    assert_memory_equal(found->dx, expected->dx, bytes * s->features);
    for (int k = 0; k < 3; k++)
        assert_memory_equal(found->gradients[k], expected->gradients[k],
                            parameter_size(s, k) * sizeof(float));
}

static void test_bits_of_masked_batches_do_not_depend_on_threads_or_tapes(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        for (int kind = 0; kind < KINDS; kind++) {
            const shape *s = &shapes[k];
            const size_t rows = s->batch * s->steps;
            run first = masked_batch(s, kind);
            run plain = masked_batch(s, kind); /* without a tape */
            for (int threads = 1; threads <= 3; threads++) {
                lstm_context *context = NULL;
                lstm_model *model = NULL;
                run other = masked_batch(s, kind);
                create(s, threads, &context, &model);
                pass(model, s, s->batch, s->steps, true, threads == 1 ? &first : &other);
                if (threads > 1)
                    same_bits(s, &other, &first);
                pass(model, s, s->batch, s->steps, false, threads == 1 ? &plain : &other);
                if (threads > 1)
                    assert_memory_equal(other.y, plain.y, rows * s->units * sizeof(float));
                finish(&other);
                lstm_model_destroy(model);
                lstm_context_destroy(context);
            }
            near("an output without a tape", plain.y, first.y, rows * s->units);
            finish(&plain);
            finish(&first);
        }
}

/* Two layers begin with the same states; a sample without any step gives zeros (Keras' rule), and hands
 * nothing back to them. */
static void test_gradients_at_shared_initial_states_add_up(void **state)
{
    enum { SAMPLES = 4, STEPS = 3, FEATURES = 2, UNITS = 3, STATES = SAMPLES * UNITS };
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null, 2]},"
        "{\"type\": \"Input\", \"name\": \"h\", \"shape\": [3]},"
        "{\"type\": \"Input\", \"name\": \"c\", \"shape\": [3]},"
        "{\"type\": \"LSTM\", \"name\": \"a\", \"units\": 3, \"inputs\": [\"x\", \"h\", \"c\"]},"
        "{\"type\": \"LSTM\", \"name\": \"b\", \"units\": 3, \"inputs\": [\"x\", \"h\", \"c\"]}],"
        "\"outputs\": [\"a\", \"b\"]}";
    static const int32_t lengths[SAMPLES] = {2, 0, 3, 1};
    float x[SAMPLES * STEPS * FEATURES];
    float states[2][STATES];
    float dy[STATES];
    float y[STATES];
    float found[3][2][STATES]; /* of output a, of b, of both: at h and c */
    const float none[STATES] = {0};
    const float *const inputs[3] = {x, states[0], states[1]};
    const size_t sizes[3] = {SAMPLES * STEPS * FEATURES, STATES, STATES};
    uint32_t random = 7;
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    (void)state;
    for (size_t k = 0; k < sizeof x / sizeof *x; k++)
        x[k] = draw(&random);
    for (size_t k = 0; k < STATES; k++) {
        states[0][k] = draw(&random);
        states[1][k] = draw(&random);
        dy[k] = draw(&random);
    }
    const lstm_session_options plan = {
        .struct_size = sizeof plan, .training = LSTM_YES, .batch = SAMPLES, .steps = STEPS};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .inputs = inputs,
                            .input_sizes = sizes,
                            .input_count = 3,
                            .lengths = lengths,
                            .lengths_count = SAMPLES};
    check(lstm_model_from_json(&model, NULL, text, strlen(text)));
    check(lstm_session_create(&session, model, &plan));
    for (size_t which = 0; which < 3; which++) {
        check(lstm_session_forward(session, &data));
        for (size_t output = 0; output < 2; output++) {
            check(lstm_session_output(session, output, y, STATES));
            for (size_t k = 0; k < STATES; k++)
                assert_true((y[k] == 0) == (lengths[k / UNITS] == 0));
            check(lstm_session_set_output_gradient(
                session, output, which == output || which == 2 ? dy : none, STATES));
        }
        check(lstm_session_backward(session));
        for (size_t input = 0; input < 2; input++)
            check(lstm_session_input_gradient(session, 1 + input, found[which][input], STATES));
    }
    for (size_t input = 0; input < 2; input++)
        for (size_t k = 0; k < STATES; k++) {
            const float a = found[0][input][k];
            const float b = found[1][input][k];
            assert_true((a == 0) == (lengths[k / UNITS] == 0));
            assert_true((b == 0) == (lengths[k / UNITS] == 0));
            assert_true(fabsf(found[2][input][k] - a - b) <= 1e-6f);
        }
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_masked_sample_is_the_sequence_of_its_valid_steps),
        cmocka_unit_test(test_bits_of_masked_batches_do_not_depend_on_threads_or_tapes),
        cmocka_unit_test(test_gradients_at_shared_initial_states_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
