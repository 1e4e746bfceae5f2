/* SPDX-License-Identifier: MIT
 * Adding layers: every return code of every add call, names, shapes, outputs, and that a failed
 * call leaves the model as it was.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <string.h>

static lstm_model *new_model(void)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    return model;
}

static lstm_layer *add_sequence(lstm_model *model, int64_t steps, int64_t features)
{
    lstm_layer *layer = NULL;
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .steps = steps, .features = features),
                                   &layer));
    return layer;
}

static lstm_layer *add_vector(lstm_model *model, int64_t features)
{
    lstm_layer *layer = NULL;
    assert_ok(lstm_model_add_input(
        model, OPTIONS(lstm_input, .vector = LSTM_YES, .features = features), &layer));
    return layer;
}

static void assert_shape(const lstm_layer *layer, int64_t steps, int64_t features)
{
    int64_t found_steps = -9;
    int64_t found_features = -9;
    assert_ok(lstm_layer_shape(layer, &found_steps, &found_features));
    assert_int_equal(found_steps, steps);
    assert_int_equal(found_features, features);
}

/* ---- Return codes */

static void test_input_rejects_sizes_out_of_range(void **state)
{
    lstm_model *m = new_model();
    (void)state;
    assert_status_text(lstm_model_add_input(m, OPTIONS(lstm_input, .features = 0), NULL),
                       LSTM_ERROR_ARGUMENT, "features");
    assert_status_text(lstm_model_add_input(m, OPTIONS(lstm_input, .features = -1), NULL),
                       LSTM_ERROR_ARGUMENT, "features");
    assert_status_text(
        lstm_model_add_input(m, OPTIONS(lstm_input, .features = 1, .steps = -1), NULL),
        LSTM_ERROR_ARGUMENT, "steps");
    assert_status_text(
        lstm_model_add_input(m, OPTIONS(lstm_input, .features = 1, .steps = 2, .vector = LSTM_YES),
                             NULL),
        LSTM_ERROR_ARGUMENT, "steps");
    assert_status(lstm_model_add_input(NULL, OPTIONS(lstm_input, .features = 1), NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_input(m, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm_model_layer_count(m), 0);
    lstm_model_destroy(m);
}

static void test_lstm_rejects_what_does_not_suit_it(void **state)
{
    lstm_model *m = new_model();
    lstm_layer *layer = (lstm_layer *)m;
    (void)state;
    assert_status_text(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3), NULL, &layer),
                       LSTM_ERROR_ARGUMENT, "nothing to read");
    assert_null(layer);
    lstm_layer *vector = add_vector(m, 3);
    lstm_layer *sequence = add_sequence(m, 4, 2);
    assert_status_text(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3), vector, NULL),
                       LSTM_ERROR_SHAPE, "sequence");
    assert_status_text(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 0), sequence, NULL),
                       LSTM_ERROR_ARGUMENT, "units");
    assert_status_text(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = -5), sequence, NULL),
                       LSTM_ERROR_ARGUMENT, "units");
    assert_status_text(
        lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = INT64_C(1) << 40), sequence, NULL),
        LSTM_ERROR_ARGUMENT, "units");
    assert_status_text(
        lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3, .initial_h = vector), sequence, NULL),
        LSTM_ERROR_ARGUMENT, "initial_c");
    assert_status_text(
        lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3, .initial_c = vector), sequence, NULL),
        LSTM_ERROR_ARGUMENT, "initial_h");
    assert_status_text(lstm_model_add_lstm(
                           m,
                           OPTIONS(lstm_lstm, .units = 4, .initial_h = vector, .initial_c = vector),
                           sequence, NULL),
                       LSTM_ERROR_SHAPE, "3 features");
    assert_status_text(lstm_model_add_lstm(m,
                                           OPTIONS(lstm_lstm, .units = 2, .initial_h = sequence,
                                                   .initial_c = sequence),
                                           sequence, NULL),
                       LSTM_ERROR_SHAPE, "initial h");
    assert_status_text(lstm_model_add_lstm(m,
                                           OPTIONS(lstm_lstm, .units = 3, .initial_state = vector),
                                           sequence, NULL),
                       LSTM_ERROR_ARGUMENT, "recurrent");
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3), sequence, &layer));
    assert_status_text(lstm_model_add_lstm(m,
                                           OPTIONS(lstm_lstm, .units = 4, .initial_state = layer),
                                           sequence, NULL),
                       LSTM_ERROR_SHAPE, "initial h");
    assert_status(lstm_model_add_lstm(m,
                                      OPTIONS(lstm_lstm, .units = 3, .initial_state = layer,
                                              .initial_h = vector, .initial_c = vector),
                                      sequence, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_lstm(NULL, OPTIONS(lstm_lstm, .units = 3), sequence, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_lstm(m, NULL, sequence, NULL), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm_model_layer_count(m), 3);
    lstm_model_destroy(m);
}

static void test_other_layers_reject_what_does_not_suit_them(void **state)
{
    lstm_model *m = new_model();
    (void)state;
    assert_status(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 3), NULL, NULL),
                  LSTM_ERROR_ARGUMENT);
    lstm_layer *sequence = add_sequence(m, 4, 6);
    lstm_layer *vector = add_vector(m, 6);
    lstm_layer *free_steps = add_sequence(m, 0, 6);
    const int64_t wrong_units[] = {0, -1, INT64_C(1) << 40, INT64_MAX, INT64_MIN};
    for (size_t k = 0; k < LENGTH(wrong_units); k++)
        assert_status_text(
            lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = wrong_units[k]), vector, NULL),
            LSTM_ERROR_ARGUMENT, "units");
    const float wrong_rates[] = {-0.1f, 1, 2, NAN, INFINITY};
    for (size_t k = 0; k < LENGTH(wrong_rates); k++)
        assert_status_text(
            lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = wrong_rates[k]), vector, NULL),
            LSTM_ERROR_ARGUMENT, "rate");
    assert_status_text(
        lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 0), vector, NULL),
        LSTM_ERROR_ARGUMENT, "count");
    assert_status_text(
        lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 2), sequence, NULL),
        LSTM_ERROR_SHAPE, "vector");
    assert_status(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = -1), sequence, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .features = -1), sequence, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 5), sequence, NULL),
                       LSTM_ERROR_SHAPE, "24");
    assert_status_text(
        lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 5, .features = 5), sequence, NULL),
        LSTM_ERROR_SHAPE, "24");
    assert_status(
        lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = INT64_MAX, .features = INT64_MAX),
                               sequence, NULL),
        LSTM_ERROR_SHAPE);
    assert_status_text(
        lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 2), free_steps, NULL),
        LSTM_ERROR_SHAPE, "free");
    assert_status_text(lstm_model_add_flatten(m, NULL, free_steps, NULL), LSTM_ERROR_SHAPE, "free");
    assert_status(lstm_model_add_flatten(m, OPTIONS(lstm_reshape, .steps = 2), sequence, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_dense(NULL, OPTIONS(lstm_dense, .units = 1), NULL, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_dropout(NULL, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_activation(NULL, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_repeat_vector(NULL, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_reshape(NULL, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_flatten(NULL, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm_model_layer_count(m), 3);
    lstm_model_destroy(m);
}

static void test_layers_of_another_model_are_rejected(void **state)
{
    lstm_model *mine = new_model();
    lstm_model *other = new_model();
    lstm_layer *own = add_sequence(mine, 3, 2);
    lstm_layer *foreign = add_sequence(other, 3, 2);
    lstm_layer *vector = add_vector(other, 2);
    lstm_layer *recurrent = NULL;
    (void)state;
    assert_ok(lstm_model_add_lstm(other, OPTIONS(lstm_lstm, .units = 2), foreign, &recurrent));
    assert_status_text(lstm_model_add_lstm(mine, OPTIONS(lstm_lstm, .units = 2), foreign, NULL),
                       LSTM_ERROR_ARGUMENT, "another model");
    assert_status_text(lstm_model_add_lstm(
                           mine,
                           OPTIONS(lstm_lstm, .units = 2, .initial_h = vector, .initial_c = vector),
                           own, NULL),
                       LSTM_ERROR_ARGUMENT, "another model");
    assert_status_text(
        lstm_model_add_lstm(mine, OPTIONS(lstm_lstm, .units = 2, .initial_state = recurrent), own,
                            NULL),
        LSTM_ERROR_ARGUMENT, "another model");
    assert_status(lstm_model_add_dense(mine, OPTIONS(lstm_dense, .units = 2), foreign, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_dropout(mine, NULL, foreign, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_activation(mine, NULL, foreign, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(
        lstm_model_add_repeat_vector(mine, OPTIONS(lstm_repeat_vector, .count = 2), vector, NULL),
        LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_reshape(mine, NULL, foreign, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_add_flatten(mine, NULL, foreign, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_outputs(mine, (const lstm_layer *[]){foreign}, 1),
                  LSTM_ERROR_ARGUMENT);
    lstm_model_destroy(other);
    lstm_model_destroy(mine);
}

static void test_everything_that_builds_is_refused_after_build(void **state)
{
    lstm_model *m = NULL;
    lstm_layer *layer = NULL;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 3, 2, 2, 1));
    assert_status(lstm_model_add_input(m, OPTIONS(lstm_input, .features = 1), &layer),
                  LSTM_ERROR_STATE);
    assert_null(layer);
    assert_status(
        lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 1), lstm_model_layer(m, 0), NULL),
        LSTM_ERROR_STATE);
    assert_status(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1), NULL, NULL),
                  LSTM_ERROR_STATE);
    assert_status(lstm_model_add_dropout(m, NULL, NULL, NULL), LSTM_ERROR_STATE);
    assert_status(lstm_model_add_activation(m, NULL, NULL, NULL), LSTM_ERROR_STATE);
    assert_status(
        lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 1), NULL, NULL),
        LSTM_ERROR_STATE);
    assert_status(lstm_model_add_reshape(m, NULL, NULL, NULL), LSTM_ERROR_STATE);
    assert_status(lstm_model_add_flatten(m, NULL, NULL, NULL), LSTM_ERROR_STATE);
    const lstm_layer *output = lstm_model_output(m, 0);
    assert_status(lstm_model_set_outputs(m, &output, 1), LSTM_ERROR_STATE);
    assert_status_text(lstm_model_build(m), LSTM_ERROR_STATE, "already built");
    assert_int_equal(lstm_model_is_built(m), LSTM_YES);
    lstm_model_destroy(m);
}

static void test_everything_that_needs_a_built_model_is_refused_before(void **state)
{
    lstm_model *m = new_model();
    lstm_session *session = NULL;
    lstm_optimizer *optimizer = NULL;
    lstm_history *history = NULL;
    lstm_parameter_info info = {.struct_size = sizeof info};
    size_t index = 0;
    size_t length = 0;
    float values[6] = {0};
    double number = 0;
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 1,
                            .x = values,
                            .x_count = 6,
                            .y = values,
                            .y_count = 2};
    (void)state;
    add_sequence(m, 3, 2);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 2), NULL, NULL));
    assert_int_equal(lstm_model_is_built(m), LSTM_NO);
    assert_status(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = 1)),
                  LSTM_ERROR_STATE);
    assert_status(lstm_optimizer_create(&optimizer, m, NULL), LSTM_ERROR_STATE);
    assert_status(lstm_model_parameter_info(m, 0, &info), LSTM_ERROR_STATE);
    assert_status(lstm_model_find_parameter(m, "lstm/kernel", &index), LSTM_ERROR_STATE);
    assert_status(lstm_model_get_parameter(m, 0, values, 1), LSTM_ERROR_STATE);
    assert_status(lstm_model_set_parameter(m, 0, values, 1), LSTM_ERROR_STATE);
    assert_status(lstm_model_to_json(m, NULL, 0, &length), LSTM_ERROR_STATE);
    assert_status(lstm_model_save(m, "unbuilt.lstm"), LSTM_ERROR_STATE);
    assert_status(lstm_fit(m, NULL, &data, &history), LSTM_ERROR_STATE);
    assert_status(lstm_evaluate(m, NULL, &data, &number, 1), LSTM_ERROR_STATE);
    assert_status(lstm_predict(m, &data, values, 2), LSTM_ERROR_STATE);
    assert_int_equal(lstm_model_parameter_count(m), 0);
    assert_int_equal(lstm_model_parameter_total(m), 0);
    assert_int_equal(lstm_model_output_count(m), 0);
    assert_null(lstm_model_output(m, 0));
    lstm_model_destroy(m);
}

static void test_build_refuses_incomplete_graphs_and_can_be_repeated(void **state)
{
    lstm_model *m = new_model();
    lstm_layer *first = NULL;
    lstm_layer *head = NULL;
    (void)state;
    assert_status(lstm_model_build(NULL), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_build(m), LSTM_ERROR_STATE, "no layers");
    first = add_sequence(m, 3, 2);
    assert_status_text(lstm_model_build(m), LSTM_ERROR_STATE, "input");
    lstm_layer *unread = add_sequence(m, 3, 2);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 2), first, NULL));
    assert_status_text(lstm_model_build(m), LSTM_ERROR_STATE, "input_1");
    assert_int_equal(lstm_model_is_built(m), LSTM_NO);
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1), unread, &head));
    assert_ok(lstm_model_set_outputs(m, (const lstm_layer *[]){head}, 1));
    assert_status_text(lstm_model_build(m), LSTM_ERROR_STATE, "lstm");
    assert_ok(lstm_model_set_outputs(m, (const lstm_layer *[]){lstm_model_layer(m, 2), head}, 2));
    assert_ok(lstm_model_build(m));
    assert_int_equal(lstm_model_output_count(m), 2);
    assert_ptr_equal(lstm_model_output(m, 1), head);
    lstm_model_destroy(m);
}

static void test_set_outputs_rejects_bad_lists(void **state)
{
    lstm_model *m = new_model();
    lstm_layer *layer = add_vector(m, 2);
    const lstm_layer *twice[] = {layer, layer};
    const lstm_layer *none[] = {NULL};
    (void)state;
    assert_status(lstm_model_set_outputs(NULL, twice, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_outputs(m, NULL, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_outputs(m, twice, 0), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_outputs(m, none, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_outputs(m, twice, 2), LSTM_ERROR_ARGUMENT);
    lstm_model_destroy(m);
}

/* ---- Sizes that overflow or that no machine has */

static counting_allocator allocator;

static lstm_model *new_counted_model(void)
{
    lstm_model *model = NULL;
    lstm_context *context = counting_allocator_context(&allocator);
    assert_ok(lstm_model_create(&model, context, NULL));
    lstm_context_destroy(context);
    return model;
}

static void test_parameters_that_overflow_are_memory_errors_of_build(void **state)
{
    static const int64_t features[] = {INT64_C(1) << 62, INT64_MAX, INT64_C(1) << 48,
                                       INT64_C(1) << 60};
    (void)state;
    for (size_t k = 0; k < LENGTH(features); k++) {
        lstm_model *m = new_counted_model();
        lstm_layer *input = add_sequence(m, 2, features[k]);
        assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 1000), input, NULL));
        assert_status(lstm_model_build(m), LSTM_ERROR_MEMORY);
        assert_int_equal(lstm_model_is_built(m), LSTM_NO);
        assert_status(lstm_model_build(m),
                      LSTM_ERROR_MEMORY); /* and again: nothing was left half done */
        lstm_model_destroy(m);
        m = new_counted_model();
        add_vector(m, features[k]);
        assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1000), NULL, NULL));
        assert_status(lstm_model_build(m), LSTM_ERROR_MEMORY);
        lstm_model_destroy(m);
    }
    assert_nothing_left(&allocator);
}

static void test_sessions_that_overflow_are_memory_errors(void **state)
{
    lstm_model *m = new_counted_model();
    lstm_session *session = NULL;
    (void)state;
    add_sequence(m, 0, 3);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 5, .return_sequences = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = 0.5f), NULL, NULL));
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 5), NULL, NULL));
    assert_ok(lstm_model_build(m));
    static const int64_t large[] = {INT64_C(1) << 62, INT64_MAX, INT64_C(1) << 58,
                                    INT64_C(1) << 50};
    for (size_t k = 0; k < LENGTH(large); k++)
        for (int32_t training = LSTM_YES; training <= LSTM_NO; training++) {
            assert_status(lstm_session_create(&session, m,
                                              OPTIONS(lstm_session, .training = training,
                                                      .batch = large[k], .steps = 1)),
                          LSTM_ERROR_MEMORY);
            assert_null(session);
            assert_status(lstm_session_create(&session, m,
                                              OPTIONS(lstm_session, .training = training,
                                                      .batch = 1, .steps = large[k])),
                          LSTM_ERROR_MEMORY);
            assert_status(lstm_session_create(&session, m,
                                              OPTIONS(lstm_session, .training = training,
                                                      .batch = large[k], .steps = large[k])),
                          LSTM_ERROR_MEMORY);
        }
    lstm_model_destroy(m);
    m = new_counted_model();
    add_sequence(m, INT64_C(1) << 62, 1);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 5), NULL, NULL));
    assert_ok(lstm_model_build(m));
    assert_status(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = 1)),
                  LSTM_ERROR_MEMORY);
    lstm_model_destroy(m);
    m = new_counted_model();
    add_vector(m, 3);
    assert_ok(lstm_model_add_repeat_vector(
        m, OPTIONS(lstm_repeat_vector, .count = INT64_C(1) << 62), NULL, NULL));
    assert_ok(lstm_model_build(m));
    assert_status(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = 4)),
                  LSTM_ERROR_MEMORY);
    lstm_model_destroy(m);
    assert_nothing_left(&allocator);
}

/* ---- Names */

static void test_automatic_names_are_those_of_keras(void **state)
{
    lstm_model *m = new_model();
    static const char *const names[] = {"input",      "lstm",          "lstm_1", "dropout",
                                        "activation", "flatten",       "dense",  "dense_2",
                                        "dense_3",    "repeat_vector", "reshape"};
    (void)state;
    add_sequence(m, 4, 2);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 2, .return_sequences = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 2, .return_sequences = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_add_dropout(m, NULL, NULL, NULL));
    assert_ok(lstm_model_add_activation(m, NULL, NULL, NULL));
    assert_ok(lstm_model_add_flatten(m, NULL, NULL, NULL));
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2), NULL, NULL));
    assert_ok(
        lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2, .name = "dense_2"), NULL, NULL));
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2), NULL, NULL));
    assert_ok(lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 3), NULL, NULL));
    assert_ok(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 2), NULL, NULL));
    assert_int_equal(lstm_model_layer_count(m), LENGTH(names));
    for (size_t k = 0; k < LENGTH(names); k++) {
        lstm_layer *found = NULL;
        assert_string_equal(lstm_layer_name(lstm_model_layer(m, k)), names[k]);
        assert_ok(lstm_model_find_layer(m, names[k], &found));
        assert_ptr_equal(found, lstm_model_layer(m, k));
    }
    assert_null(lstm_model_layer(m, LENGTH(names)));
    lstm_model_destroy(m);
}

static void test_names_are_unique_and_of_bounded_length(void **state)
{
    lstm_model *m = new_model();
    char name[200];
    lstm_layer *found = (lstm_layer *)m;
    (void)state;
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = 1, .name = "prices"), NULL));
    assert_status_text(
        lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1, .name = "prices"), NULL, NULL),
        LSTM_ERROR_ARGUMENT, "prices");
    memset(name, 'n', sizeof name);
    name[128] = 0;
    assert_status_text(
        lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1, .name = name), NULL, NULL),
        LSTM_ERROR_ARGUMENT, "128");
    name[127] = 0;
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1, .name = name), NULL, NULL));
    assert_status(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1, .name = ""), NULL, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(
        lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1, .name = "\xff"), NULL, NULL),
        LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_find_layer(m, "price", &found), LSTM_ERROR_NOT_FOUND, "prices");
    assert_null(found);
    assert_status(lstm_model_find_layer(m, NULL, &found), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_find_layer(m, "prices", NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_find_layer(NULL, "prices", &found), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm_model_layer_count(m), 2);
    lstm_model_destroy(m);
}

/* ---- Shapes */

static void test_shapes_and_types_follow_the_documentation(void **state)
{
    lstm_model *m = new_model();
    lstm_layer *layer = NULL;
    lstm_layer *h = NULL;
    lstm_layer *c = NULL;
    (void)state;
    lstm_layer *free_steps = add_sequence(m, 0, 3);
    lstm_layer *fixed = add_sequence(m, 4, 6);
    assert_shape(free_steps, -1, 3);
    assert_shape(fixed, 4, 6);
    assert_string_equal(lstm_layer_type(fixed), "Input");
    assert_shape(add_vector(m, 5), 0, 5);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 7), free_steps, &layer));
    assert_shape(layer, 0, 7);
    assert_string_equal(lstm_layer_type(layer), "LSTM");
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 7, .return_sequences = LSTM_YES),
                                  free_steps, &layer));
    assert_shape(layer, -1, 7);
    assert_ok(lstm_layer_state(layer, &h, &c));
    assert_shape(h, 0, 7);
    assert_shape(c, 0, 7);
    assert_ptr_not_equal(h, c);
    assert_string_equal(lstm_layer_name(h), lstm_layer_name(layer));
    assert_ok(lstm_layer_state(layer, NULL, NULL));
    assert_status(lstm_layer_state(NULL, &h, &c), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_layer_state(fixed, &h, &c), LSTM_ERROR_ARGUMENT);
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2), layer, &layer));
    assert_shape(layer, -1, 2);
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2), h, &layer));
    assert_shape(layer, 0, 2);
    assert_ok(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 8), fixed, &layer));
    assert_shape(layer, 8, 3);
    assert_ok(lstm_model_add_reshape(m, NULL, fixed, &layer));
    assert_shape(layer, 0, 24);
    assert_ok(lstm_model_add_flatten(m, NULL, fixed, &layer));
    assert_shape(layer, 0, 24);
    assert_ok(
        lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 9), layer, &layer));
    assert_shape(layer, 9, 24);
    assert_ok(lstm_layer_shape(layer, NULL, NULL));
    assert_status(lstm_layer_shape(NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    lstm_model_destroy(m);
}

static void test_outputs_without_a_choice_are_the_layers_nobody_reads(void **state)
{
    lstm_model *m = new_model();
    lstm_layer *stem = NULL;
    lstm_layer *left = NULL;
    lstm_layer *right = NULL;
    (void)state;
    lstm_layer *input = add_sequence(m, 3, 2);
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 4), input, &stem));
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 1), stem, &left));
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 2, .return_state = LSTM_YES),
                                  input, &right));
    assert_ok(lstm_model_build(m));
    assert_int_equal(lstm_model_input_count(m), 1);
    assert_ptr_equal(lstm_model_input(m, 0), input);
    assert_null(lstm_model_input(m, 1));
    assert_int_equal(lstm_model_output_count(m), 4);
    lstm_layer *h = NULL;
    lstm_layer *c = NULL;
    assert_ok(lstm_layer_state(right, &h, &c));
    assert_ptr_equal(lstm_model_output(m, 0), left);
    assert_ptr_equal(lstm_model_output(m, 1), right);
    assert_ptr_equal(lstm_model_output(m, 2), h);
    assert_ptr_equal(lstm_model_output(m, 3), c);
    assert_null(lstm_model_output(m, 4));
    lstm_model_destroy(m);
}

static void test_flops_count_multiplications_and_additions(void **state)
{
    lstm_model *m = NULL;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 28, 1, 32, 10));
    const double recurrent = 2.0 * 28 * (32 + 1) * 4 * 32;
    const double dense = 2.0 * 32 * 10;
    assert_true(lstm_model_flops(m, lstm_model_layer(m, 1), 28) == recurrent);
    assert_true(lstm_model_flops(m, lstm_model_layer(m, 2), 28) == dense);
    assert_true(lstm_model_flops(m, NULL, 28) == recurrent + dense);
    assert_true(lstm_model_flops(m, lstm_model_layer(m, 0), 28) == 0);
    lstm_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_rejects_sizes_out_of_range),
        cmocka_unit_test(test_lstm_rejects_what_does_not_suit_it),
        cmocka_unit_test(test_other_layers_reject_what_does_not_suit_them),
        cmocka_unit_test(test_layers_of_another_model_are_rejected),
        cmocka_unit_test(test_everything_that_builds_is_refused_after_build),
        cmocka_unit_test(test_everything_that_needs_a_built_model_is_refused_before),
        cmocka_unit_test(test_build_refuses_incomplete_graphs_and_can_be_repeated),
        cmocka_unit_test(test_set_outputs_rejects_bad_lists),
        cmocka_unit_test(test_parameters_that_overflow_are_memory_errors_of_build),
        cmocka_unit_test(test_sessions_that_overflow_are_memory_errors),
        cmocka_unit_test(test_automatic_names_are_those_of_keras),
        cmocka_unit_test(test_names_are_unique_and_of_bounded_length),
        cmocka_unit_test(test_shapes_and_types_follow_the_documentation),
        cmocka_unit_test(test_outputs_without_a_choice_are_the_layers_nobody_reads),
        cmocka_unit_test(test_flops_count_multiplications_and_additions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
