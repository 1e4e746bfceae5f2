/* SPDX-License-Identifier: MIT
 * An Embedding read by an LSTM alone: where a session hands on numbers of rows of the table in place of
 * the rows (row_tables.h), and the gradients that come back through it, against finite differences in
 * double.
 */
#include "gradient_direction.h"
#include "losses.h"
#include "row_tables.h"

#include <math.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct network {
    int64_t steps; /* 0 = as many as a call has */
    int64_t words; /* tokens come as a vector of so many */
    int64_t vocabulary, columns;
    int32_t mask_zero;
    lstm_lstm_options lstm;
    int between, shared, seen; /* a layer in between; another reader; an output itself */
    const lstm__layer_class *cell;
    int32_t profile;
} network;

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static lstm_model *describe(const network *n)
{
    lstm_model *model = NULL;
    const lstm_layer *at = NULL;
    const lstm_layer *outputs[3];
    lstm_layer *given = NULL;
    size_t count = 0;
    const lstm_input_options x = {.vector = n->words ? LSTM_YES : LSTM_NO,
                                  .steps = n->steps,
                                  .features = n->words ? n->words : 1};
    const lstm_embedding_options embedding = {
        .input_dim = n->vocabulary, .output_dim = n->columns, .mask_zero = n->mask_zero};
    const lstm_activation_options linear = {.activation = LSTM_ACTIVATION_LINEAR};
    const lstm_simple_rnn_options small = {.units = 2};
    const lstm_gru_options gru = {.units = 3};
    const lstm_dense_options dense = {.units = 2};
    ok(lstm__graph_create(&model, NULL, n->profile, 3));
    ok(lstm__graph_add(model, &lstm__class_input, &x, NULL, NULL, 0, &given));
    at = given;
    ok(lstm__graph_add(model, &lstm__class_embedding, &embedding, NULL, &at, 1, &given));
    at = given;
    if (n->seen)
        outputs[count++] = at;
    if (n->shared) {
        ok(lstm__graph_add(model, &lstm__class_simple_rnn, &small, NULL, &at, 1, &given));
        outputs[count++] = given;
    }
    if (n->between) {
        ok(lstm__graph_add(model, &lstm__class_activation, &linear, NULL, &at, 1, &given));
        at = given;
    }
    ok(lstm__graph_add(model, n->cell ? n->cell : &lstm__class_lstm,
                       n->cell ? (const void *)&gru : &n->lstm, NULL, &at, 1, &given));
    at = given;
    ok(lstm__graph_add(model, &lstm__class_dense, &dense, NULL, &at, 1, &given));
    outputs[count++] = given;
    ok(lstm__graph_set_outputs(model, outputs, count));
    return model;
}

/* The rows of the table that a session hands on. */
static size_t handed(const network *n, bool training, size_t batch, size_t steps)
{
    lstm_model *model = describe(n);
    lstm_session *session = NULL;
    ok(lstm__graph_build(model));
    ok(lstm__session_create(&session, model, training, false, batch, steps, 1));
    const size_t rows = lstm__session_table(session, &model->nodes[1]->ports[0]);
    lstm__session_destroy(session);
    lstm__graph_release(model);
    return rows;
}

static void test_a_small_table_is_handed_on_to_its_only_reader(void **state)
{
    (void)state;
    const network n = {
        .steps = 10, .vocabulary = 8, .columns = 40, .lstm = {.units = 4, .dropout = 0}};
    network other = n;
    assert_int_equal(handed(&n, true, 4, 0), 8);
    assert_int_equal(handed(&n, false, 4, 0), 8);
    other.steps = 0; /* free: as many as the session is for */
    assert_int_equal(handed(&other, true, 4, 4), 8);
    assert_int_equal(handed(&other, true, 3, 5), 0); /* more than half of 15 rows */
    assert_int_equal(handed(&other, false, 17, 0), 8);
    other = n;
    other.steps = 0;
    other.words = 10;
    assert_int_equal(handed(&other, true, 4, 0), 8);
    other = n;
    other.lstm.go_backwards = LSTM_YES;
    assert_int_equal(handed(&other, true, 4, 0), 8);
    other = n;
    other.columns = 20; /* 20 numbers of 32 rows make up for 16 of 40 */
    assert_int_equal(handed(&other, true, 4, 0), 8);
    other.columns = 19;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    other = n;
    other.between = 1;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    other = n;
    other.shared = 1;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    other = n;
    other.seen = 1;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    other = n;
    other.cell = &lstm__class_gru;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    other = n;
    other.lstm.peepholes = LSTM_YES;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    other = n;
    other.lstm.dropout = 0.1f;
    assert_int_equal(handed(&other, true, 4, 0), 0);
    assert_int_equal(handed(&other, false, 4, 0), 8);
}

static void test_generation_has_a_table_of_larger_vocabularies(void **state)
{
    (void)state;
    network n = {.steps = 0, .vocabulary = 1000, .columns = 16, .lstm = {.units = 4}};
    assert_int_equal(handed(&n, false, 1, 1), 1000);
    assert_int_equal(handed(&n, false, 16, 1), 1000);
    assert_int_equal(handed(&n, true, 16, 1), 0);
    assert_int_equal(handed(&n, false, 17, 1), 0);
    n.columns = 15;
    assert_int_equal(handed(&n, false, 1, 1), 0);
    n.columns = 16;
    n.vocabulary = 50000;
    assert_int_equal(handed(&n, false, 1, 1), 0);
}

static void test_gradients_through_a_table_are_right(void **state)
{
    static const lstm_lstm_options cells[] = {
        {.units = 1},
        {.units = 3, .return_sequences = LSTM_YES},
        {.units = 4, .return_sequences = LSTM_YES, .go_backwards = LSTM_YES},
        {.units = 4, .zero_output_for_mask = LSTM_YES, .return_sequences = LSTM_YES},
        {.units = 4, .stateful = LSTM_YES},
        {.units = 3, .activation = LSTM_ACTIVATION_SOFTSIGN, .return_sequences = LSTM_YES},
        {.units = 3, .use_bias = LSTM_NO},
        {.units = 3, .recurrent_dropconnect = 0.3f, .seed = 4},
    };
    static const int64_t vocabularies[] = {1, 2, 7, 10};
    static const int64_t columns[] = {28, 33};
    size_t done = 0;
    (void)state;
    for (size_t cell = 0; cell < sizeof cells / sizeof *cells; cell++)
        for (size_t v = 0; v < 4; v++)
            for (size_t c = 0; c < 2; c++)
                for (int padding = 0; padding < PADDINGS; padding++) {
                    network n = {.steps = 6,
                                 .vocabulary = vocabularies[v],
                                 .columns = columns[c],
                                 .mask_zero = (v + c) % 2 ? LSTM_YES : LSTM_NO,
                                 .lstm = cells[cell],
                                 .profile = done % 3 ? LSTM_PROFILE_KERAS : LSTM_PROFILE_TORCH};
                    const gradient_case how = {.padding = padding, .batch = 4};
                    assert_int_equal(handed(&n, true, how.batch, 0), n.vocabulary);
                    const char *wrong = check_direction(describe(&n), &how);
                    if (*wrong)
                        fail_msg("cell %zu, %lld tokens, %lld columns, padding %d: %s", cell,
                                 (long long)n.vocabulary, (long long)n.columns, padding, wrong);
                    done++;
                }
    print_message("%zu cases\n", done);
}

/* What stands in the row of a token that no valid step has is in no product: here that of 0, which
 * steps that are not there have. */
static void test_a_row_that_is_not_read_may_hold_anything(void **state)
{
    enum { BATCH = 3, STEPS = 6, ROWS = BATCH * STEPS, COLUMNS = 24, UNUSED = 0 };
    static const float tokens[ROWS] = {2, 1, 3, 3, 4, 2, 1, 1, 4, UNUSED, 2, 2, 3, 4, 1, 2, 2, 3};
    static const float targets[BATCH * 2] = {1, -1, 0, 2, 1, 1};
    static const unsigned char mask[ROWS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    const float *const x[1] = {tokens};
    const float *const y[1] = {targets};
    const network n = {.steps = STEPS, .vocabulary = 5, .columns = COLUMNS, .lstm = {.units = 4}};
    const lstm__loss loss = {.kind = LSTM_LOSS_MSE};
    const lstm__batch batch = {.layout = LSTM_LAYOUT_BATCH_FIRST,
                               .samples = BATCH,
                               .count = BATCH,
                               .inputs = x,
                               .targets = y,
                               .mask = mask};
    lstm_session *session = NULL;
    double value = 0;
    (void)state;
    lstm_model *model = describe(&n);
    ok(lstm__graph_build(model));
    real *embeddings = model->values + model->parameters[0].offset;
    for (size_t c = 0; c < COLUMNS; c++)
        embeddings[UNUSED * COLUMNS + c] = (real)NAN;
    lstm__graph_changed(model);
    ok(lstm__session_create(&session, model, true, false, BATCH, 0, 1));
    assert_int_equal(lstm__session_table(session, &model->nodes[1]->ports[0]), n.vocabulary);
    lstm__session_forward(session, &batch);
    ok(lstm__loss_compute(session, &loss, &batch, true, &value));
    lstm__session_backward(session);
    assert_true(isfinite(value) && value > 0);
    for (size_t k = 0; k < model->value_count; k++)
        assert_true(isfinite((double)session->gradients[k]));
    for (size_t c = 0; c < COLUMNS; c++)
        assert_true(session->gradients[model->parameters[0].offset + UNUSED * COLUMNS + c] == 0);
    lstm__session_destroy(session);
    lstm__graph_release(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_table_is_handed_on_to_its_only_reader),
        cmocka_unit_test(test_generation_has_a_table_of_larger_vocabularies),
        cmocka_unit_test(test_a_row_that_is_not_read_may_hold_anything),
        cmocka_unit_test(test_gradients_through_a_table_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
