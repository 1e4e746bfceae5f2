/* SPDX-License-Identifier: MIT
 * The order in which the samples of a batch are taken: falling ends, whatever tells where a sample
 * ends; and what comes out does not depend on it, to the bit.
 */
#include "batch_order.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BATCH = 6, STEPS = 5, UNITS = 4 };

static const int32_t lengths[BATCH] = {3, 0, 5, 1, 4, 3};
static const uint64_t falling[BATCH] = {2, 4, 0, 5, 3, 1};

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static const lstm_layer *add(lstm_model *model, const lstm__layer_class *class, const void *options,
                             const lstm_layer *input)
{
    lstm_layer *out = NULL;
    ok(lstm__graph_add(model, class, options, NULL, &input, class == &lstm__class_input ? 0 : 1,
                       &out));
    return out;
}

/* How the ends are told. */
enum { BY_LENGTHS, BY_MASK, BY_MASKING, BY_TOKENS, BY_WORDS, BY_SECOND_INPUT, BY_NOTHING, WAYS };

static lstm_model *make(int way)
{
    lstm_model *model = NULL;
    const lstm_input_options sequence = {.features = way == BY_TOKENS ? 1 : 2, .steps = STEPS};
    const lstm_input_options words = {.vector = LSTM_YES, .features = STEPS};
    const lstm_masking_options masking = {.mask_value = 9};
    const lstm_embedding_options embedding = {
        .input_dim = 4, .output_dim = 3, .mask_zero = LSTM_YES};
    const lstm_lstm_options lstm = {.units = UNITS, .return_sequences = LSTM_YES};
    ok(lstm__graph_create(&model, NULL, LSTM_PROFILE_KERAS, 5));
    const lstm_layer *x = add(model, &lstm__class_input, way == BY_WORDS ? &words : &sequence,
                              NULL);
    if (way == BY_SECOND_INPUT) {
        add(model, &lstm__class_lstm, &lstm, x);
        x = add(model, &lstm__class_input, &sequence, NULL);
    }
    if (way == BY_MASKING)
        x = add(model, &lstm__class_masking, &masking, x);
    if (way == BY_TOKENS || way == BY_WORDS)
        x = add(model, &lstm__class_embedding, &embedding, x);
    add(model, &lstm__class_lstm, &lstm, x);
    ok(lstm__graph_build(model));
    return model;
}

/* Values of [BATCH][STEPS][features]; steps behind a sample's end are `padding`, and so is one in the
 * middle. */
static void fill(float *x, size_t features, float padding)
{
    for (size_t k = 0; k < BATCH * STEPS * features; k++) {
        const size_t sample = k / features / STEPS;
        const size_t step = k / features % STEPS;
        const bool there = step < (size_t)lengths[sample] && !(sample == 2 && step == 1);
        x[k] = there ? (float)(1 + (k * 7 + sample) % 3) : padding;
    }
}

static void check(int way, int32_t layout)
{
    static const size_t features[WAYS] = {2, 2, 2, 1, 1, 2, 2};
    float x[2][BATCH * STEPS * 2], first[BATCH * STEPS * UNITS], second[BATCH * STEPS * UNITS];
    float turned[BATCH * STEPS * 2];
    unsigned char mask[BATCH * STEPS];
    const bool time_first = layout == LSTM_LAYOUT_TIME_FIRST && way != BY_WORDS;
    const float *inputs[2] = {time_first ? turned : x[0], time_first ? turned : x[0]};
    const int32_t *lengths_of[2] = {NULL, lengths};
    const unsigned char *masks_of[2] = {NULL, NULL};
    lstm_session *session = NULL;
    lstm_model *model = make(way);
    fill(x[0], features[way], way == BY_MASKING ? 9 : 0);
    for (size_t b = 0; b < BATCH; b++)
        for (size_t t = 0; t < STEPS; t++) {
            const size_t row = time_first ? t * BATCH + b : b * STEPS + t;
            mask[row] = t < (size_t)lengths[b] && t != 1;
            memcpy(turned + (t * BATCH + b) * features[way], x[0] + (b * STEPS + t) * features[way],
                   features[way] * sizeof(float));
        }
    lstm__batch batch = {.layout = layout,
                         .samples = BATCH,
                         .count = BATCH,
                         .inputs = inputs,
                         .lengths = way == BY_LENGTHS ? lengths : NULL,
                         .mask = way == BY_MASK ? mask : NULL,
                         .lengths_of = way == BY_SECOND_INPUT ? lengths_of : NULL,
                         .masks_of = way == BY_SECOND_INPUT ? masks_of : NULL};
    ok(lstm__session_create(&session, model, false, false, BATCH, 0, 1));
    const lstm_layer *last = model->outputs[model->output_count - 1];
    const lstm__shape shape = last->node->shapes[0];
    lstm__session_forward(session, &batch);
    lstm__session_export(session, shape, lstm__session_port(session, last)->value,
                         LSTM_LAYOUT_BATCH_FIRST, first);
    lstm__session_order(session, &batch);
    assert_int_equal(session->ordered, way != BY_NOTHING);
    for (size_t k = 0; k < BATCH && session->ordered; k++)
        assert_int_equal(session->order[k], falling[k]);
    lstm__session_forward(session, &batch);
    lstm__session_export(session, shape, lstm__session_port(session, last)->value,
                         LSTM_LAYOUT_BATCH_FIRST, second);
    assert_memory_equal(first, second, sizeof first);
    lstm__session_destroy(session);
    lstm__graph_release(model);
}

static void test_samples_stand_in_the_order_of_their_ends(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        check(way, LSTM_LAYOUT_BATCH_FIRST);
        check(way, LSTM_LAYOUT_TIME_FIRST);
    }
}

static void test_equal_ends_keep_their_places(void **state)
{
    uint64_t order[BATCH] = {3, 1, 4, 0, 5, 2};
    uint32_t ends[BATCH] = {2, 2, 2, 2, 2, 2};
    (void)state;
    lstm__sort_falling(BATCH, order, ends);
    assert_memory_equal(order, ((uint64_t[]){3, 1, 4, 0, 5, 2}), sizeof order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_stand_in_the_order_of_their_ends),
        cmocka_unit_test(test_equal_ends_keep_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
