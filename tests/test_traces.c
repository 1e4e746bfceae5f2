/* SPDX-License-Identifier: MIT
 * Traces: gates and states of recurrent layers and weights of attention against PyTorch's cells
 * (traces_torch.py, 2e-6), and on masked, backward and time-first sequences against a loop in double
 * over the model's parameters (5e-6). The same without training, while training, and after backward.
 */
#include "api_checks.h"
#include "traces_torch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 2, STEPS = 4, FEATURES = 3, UNITS = 5, WIDE = 8 };

static void pattern(float *values, size_t count, size_t seed)
{
    for (size_t k = 0; k < count; k++)
        values[k] = ((float)(((k * 37 + seed * 101 + 11) * 29) % 127) - 63) / 64;
}

static lstm_model *from_json(const char *text)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        float *values = malloc(info.count * sizeof *values);
        pattern(values, info.count, k + 1);
        assert_ok(lstm_model_set_parameter(model, k, values, info.count));
        free(values);
    }
    return model;
}

/* A session that has run forward, and backward too where it trains. */
static lstm_session *run(lstm_model *model, int32_t training, const lstm_data *data)
{
    lstm_session *session = NULL;
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .training = training, .batch = BATCH,
                                          .steps = STEPS, .traces = LSTM_YES)));
    assert_ok(lstm_session_forward(session, data));
    if (training == LSTM_YES) {
        float y[512];
        int64_t steps = 0;
        int64_t features = 0;
        assert_ok(lstm_layer_shape(lstm_model_output(model, 0), &steps, &features));
        const size_t count = (size_t)(BATCH * (steps == 0 ? 1 : STEPS) * features);
        assert_true(count <= LENGTH(y));
        pattern(y, count, 3);
        assert_ok(lstm_session_set_output_gradient(session, 0, y, count));
        assert_ok(lstm_session_backward(session));
    }
    return session;
}

static void compare(const lstm_session *session, const char *layer_name, const lstm_model *model,
                    int32_t which, const float *expected, size_t count, double tolerance)
{
    lstm_layer *layer = NULL;
    double worst = 0;
    assert_ok(lstm_model_find_layer(model, layer_name, &layer));
    assert_int_equal(lstm_session_trace_count(session, layer, which), count);
    float *found = malloc(count * sizeof *found);
    assert_ok(lstm_session_trace(session, layer, which, found, count));
    for (size_t k = 0; k < count; k++)
        worst = fmax(worst, fabs((double)found[k] - (double)expected[k]));
    if (!(worst <= tolerance))
        fail_msg("%s, %s: off by %.2e", layer_name, lstm_constant_name(LSTM_NAMES_TRACE, which),
                 worst);
    free(found);
}

typedef struct expected_trace {
    int32_t which;
    const float *values;
} expected_trace;

static void check_cell(const char *type, const char *layer_name, const expected_trace *traces,
                       size_t count)
{
    char text[512];
    float x[BATCH * STEPS * FEATURES];
    const lstm_data data = {
        .struct_size = sizeof data, .samples = BATCH, .x = x, .x_count = LENGTH(x)};
    pattern(x, LENGTH(x), 50);
    for (int sequences = 0; sequences < 2; sequences++) {
        snprintf(text, sizeof text,
                 "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [null, "
                 "3]}, {\"type\": \"%s\", \"units\": 5, \"return_sequences\": %s}]}",
                 type, sequences ? "true" : "false");
        lstm_model *model = from_json(text);
        for (int32_t training = LSTM_YES; training <= LSTM_NO; training++) {
            lstm_session *session = run(model, training, &data);
            for (size_t k = 0; k < count; k++)
                compare(session, layer_name, model, traces[k].which, traces[k].values,
                        BATCH * STEPS * UNITS, 2e-6);
            lstm_session_destroy(session);
        }
        lstm_model_destroy(model);
    }
}

static void test_gates_and_states_are_those_of_the_cells_of_pytorch(void **state)
{
    static const expected_trace lstm[] = {
        {LSTM_TRACE_INPUT_GATE, lstm_i}, {LSTM_TRACE_FORGET_GATE, lstm_f},
        {LSTM_TRACE_CANDIDATE, lstm_g},  {LSTM_TRACE_OUTPUT_GATE, lstm_o},
        {LSTM_TRACE_CELL, lstm_c},       {LSTM_TRACE_OUTPUT, lstm_h}};
    static const expected_trace gru[] = {{LSTM_TRACE_RESET_GATE, gru_r},
                                         {LSTM_TRACE_UPDATE_GATE, gru_z},
                                         {LSTM_TRACE_CANDIDATE, gru_g},
                                         {LSTM_TRACE_OUTPUT, gru_h}};
    (void)state;
    check_cell("LSTM", "lstm", lstm, LENGTH(lstm));
    check_cell("GRU", "gru", gru, LENGTH(gru));
}

static void test_weights_of_attention_are_those_of_pytorch(void **state)
{
    static const struct {
        const char *type, *options, *name;
        int64_t features;
        size_t seed;
        const float *expected;
        size_t count;
    } cases[] = {{"MultiHeadAttention", ", \"num_heads\": 2, \"key_dim\": 4",
                  "multi_head_attention", WIDE, 51, attention_weights, LENGTH(attention_weights)},
                 {"Attention", "", "attention", FEATURES, 50, dot_weights, LENGTH(dot_weights)},
                 {"AdditiveAttention", ", \"use_scale\": false", "additive_attention", FEATURES, 50,
                  additive_weights, LENGTH(additive_weights)}};
    static const int32_t lengths[BATCH] = {4, 3};
    char text[512];
    float x[BATCH * STEPS * WIDE];
    (void)state;
    for (size_t k = 0; k < LENGTH(cases); k++) {
        const size_t count = (size_t)(BATCH * STEPS * cases[k].features);
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = BATCH,
                                .x = x,
                                .x_count = count,
                                .lengths = lengths,
                                .lengths_count = BATCH};
        pattern(x, count, cases[k].seed);
        snprintf(text, sizeof text,
                 "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null, %d]}, "
                 "{\"type\": \"%s\", \"inputs\": [\"x\", \"x\"]%s}]}",
                 (int)cases[k].features, cases[k].type, cases[k].options);
        lstm_model *model = from_json(text);
        float expected[BATCH * 2 * STEPS * STEPS];
        memcpy(expected, cases[k].expected, cases[k].count * sizeof *expected);
        const size_t each = cases[k].count / BATCH;
        for (size_t w = each; w < 2 * each; w++) /* a query that is not there sees nothing */
            if ((w - each) / STEPS % STEPS == 3)
                expected[w] = 0;
        for (int32_t training = LSTM_YES; training <= LSTM_NO; training++) {
            lstm_session *session = run(model, training, &data);
            compare(session, cases[k].name, model, LSTM_TRACE_ATTENTION, expected, cases[k].count,
                    2e-6);
            lstm_session_destroy(session);
        }
        lstm_model_destroy(model);
    }
}

/* ---- A loop of our own, for masks, directions and layouts */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Parameters of a layer under Keras' profile. */
typedef struct weights {
    float kernel[FEATURES * 4 * UNITS], recurrent[UNITS * 4 * UNITS], bias[2 * 4 * UNITS];
} weights;

static void read_weights(const lstm_model *model, weights *w)
{
    float *to[3] = {w->kernel, w->recurrent, w->bias};
    for (size_t k = 0; k < 3; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_ok(lstm_model_get_parameter(model, k, to[k], info.count));
    }
}

/* sum over k of x[k] W[k][column] */
static double dot(const double *x, size_t count, const float *w, size_t columns, size_t column)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k] * (double)w[k * columns + column];
    return sum;
}

/* One step; traces[which][u]. `after`: reset of a GRU. */
static void step_lstm(const weights *w, const double *x, double *h, double *c,
                      double traces[][UNITS])
{
    double before[UNITS];
    memcpy(before, h, sizeof before);
    for (size_t u = 0; u < UNITS; u++) {
        double a[4];
        for (size_t g = 0; g < 4; g++)
            a[g] = dot(x, FEATURES, w->kernel, 4 * UNITS, g * UNITS + u) +
                   dot(before, UNITS, w->recurrent, 4 * UNITS, g * UNITS + u) +
                   (double)w->bias[g * UNITS + u];
        traces[LSTM_TRACE_INPUT_GATE][u] = sigmoid(a[0]);
        traces[LSTM_TRACE_FORGET_GATE][u] = sigmoid(a[1]);
        traces[LSTM_TRACE_CANDIDATE][u] = tanh(a[2]);
        traces[LSTM_TRACE_OUTPUT_GATE][u] = sigmoid(a[3]);
        c[u] = sigmoid(a[1]) * c[u] + sigmoid(a[0]) * tanh(a[2]);
        h[u] = sigmoid(a[3]) * tanh(c[u]);
    }
}

static void step_gru(const weights *w, const double *x, double *h, bool after,
                     double traces[][UNITS])
{
    double before[UNITS];
    double reset[UNITS];
    memcpy(before, h, sizeof before);
    for (size_t gate = 0; gate < 2; gate++)
        for (size_t u = 0; u < UNITS; u++) {
            const size_t column = gate * UNITS + u;
            const double a = dot(x, FEATURES, w->kernel, 3 * UNITS, column) +
                             dot(before, UNITS, w->recurrent, 3 * UNITS, column) +
                             (double)w->bias[column] +
                             (after ? (double)w->bias[3 * UNITS + column] : 0);
            traces[gate == 0 ? LSTM_TRACE_UPDATE_GATE : LSTM_TRACE_RESET_GATE][u] = sigmoid(a);
        }
    for (size_t u = 0; u < UNITS; u++)
        reset[u] = traces[LSTM_TRACE_RESET_GATE][u] * before[u];
    for (size_t u = 0; u < UNITS; u++) {
        const size_t column = 2 * UNITS + u;
        const double r = traces[LSTM_TRACE_RESET_GATE][u];
        const double z = traces[LSTM_TRACE_UPDATE_GATE][u];
        const double from_h = after ? r * (dot(before, UNITS, w->recurrent, 3 * UNITS, column) +
                                           (double)w->bias[3 * UNITS + column])
                                    : dot(reset, UNITS, w->recurrent, 3 * UNITS, column);
        const double g = tanh(dot(x, FEATURES, w->kernel, 3 * UNITS, column) +
                              (double)w->bias[column] + from_h);
        traces[LSTM_TRACE_CANDIDATE][u] = g;
        h[u] = z * before[u] + (1 - z) * g;
    }
}

static void step_rnn(const weights *w, const double *x, double *h)
{
    double before[UNITS];
    memcpy(before, h, sizeof before);
    for (size_t u = 0; u < UNITS; u++)
        h[u] = tanh(dot(x, FEATURES, w->kernel, UNITS, u) +
                    dot(before, UNITS, w->recurrent, UNITS, u) + (double)w->bias[u]);
}

enum { LSTM_CELL, GRU_AFTER, GRU_BEFORE, RNN_CELL, CELLS };
enum { KINDS = LSTM_TRACE_UPDATE_GATE + 1 };
static const char *const names[CELLS] = {"lstm", "gru", "gru", "simple_rnn"};
static const char *const layers[CELLS] = {"\"LSTM\", \"units\": 5", "\"GRU\", \"units\": 5",
                                          "\"GRU\", \"units\": 5, \"reset_after\": false",
                                          "\"SimpleRNN\", \"units\": 5"};
static const uint8_t mask[BATCH * STEPS] = {0, 1, 0, 1, 1, 1, 1, 0};

/* Expected traces [kind][sample][step][unit]. */
static void loop(int cell, const weights *w, const float *x, bool backwards,
                 float expected[KINDS][BATCH][STEPS][UNITS])
{
    for (size_t b = 0; b < BATCH; b++) {
        double h[UNITS] = {0};
        double c[UNITS] = {0};
        for (size_t k = 0; k < STEPS; k++) {
            const size_t t = backwards ? STEPS - 1 - k : k;
            double row[FEATURES];
            double traces[KINDS][UNITS] = {{0}};
            for (size_t f = 0; f < FEATURES; f++)
                row[f] = (double)x[(b * STEPS + t) * FEATURES + f];
            for (size_t u = 0; u < UNITS; u++) /* what holds the states */
                traces[LSTM_TRACE_FORGET_GATE][u] = traces[LSTM_TRACE_UPDATE_GATE][u] = 1;
            if (mask[b * STEPS + t] && cell == LSTM_CELL)
                step_lstm(w, row, h, c, traces);
            else if (mask[b * STEPS + t] && cell == RNN_CELL)
                step_rnn(w, row, h);
            else if (mask[b * STEPS + t])
                step_gru(w, row, h, cell == GRU_AFTER, traces);
            memcpy(traces[LSTM_TRACE_CELL], c, sizeof c);
            memcpy(traces[LSTM_TRACE_OUTPUT], h, sizeof h);
            for (size_t kind = 1; kind < KINDS; kind++)
                for (size_t u = 0; u < UNITS; u++)
                    expected[kind][b][t][u] = (float)traces[kind][u];
        }
    }
}

static bool has(int cell, int32_t kind)
{
    if (cell == LSTM_CELL)
        return kind <= LSTM_TRACE_OUTPUT;
    if (cell == RNN_CELL)
        return kind == LSTM_TRACE_OUTPUT;
    return kind >= LSTM_TRACE_OUTPUT || kind == LSTM_TRACE_CANDIDATE;
}

static void turn(const void *from, void *to, size_t bytes)
{
    for (size_t b = 0; b < BATCH; b++)
        for (size_t t = 0; t < STEPS; t++)
            memcpy((char *)to + (t * BATCH + b) * bytes,
                   (const char *)from + (b * STEPS + t) * bytes, bytes);
}

static void check_loop(int cell, bool backwards, bool time_first, int32_t training)
{
    char text[512];
    static float expected[KINDS][BATCH][STEPS][UNITS];
    float x[2][BATCH * STEPS * FEATURES];
    uint8_t own_mask[2][BATCH * STEPS];
    weights w;
    pattern(x[0], LENGTH(x[0]), 50);
    turn(x[0], x[1], FEATURES * sizeof(float));
    memcpy(own_mask[0], mask, sizeof mask);
    turn(mask, own_mask[1], 1);
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = time_first ? LSTM_LAYOUT_TIME_FIRST : LSTM_LAYOUT_BATCH_FIRST,
                            .samples = BATCH,
                            .x = x[time_first],
                            .x_count = LENGTH(x[0]),
                            .mask = own_mask[time_first],
                            .mask_count = BATCH * STEPS};
    snprintf(text, sizeof text,
             "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]}, {\"type\": %s, "
             "\"return_sequences\": true, \"go_backwards\": %s}]}",
             layers[cell], backwards ? "true" : "false");
    lstm_model *model = from_json(text);
    lstm_session *session = run(model, training, &data);
    read_weights(model, &w);
    loop(cell, &w, x[0], backwards, expected);
    lstm_layer *layer = NULL;
    assert_ok(lstm_model_find_layer(model, names[cell], &layer));
    for (int32_t kind = 1; kind < KINDS; kind++) {
        float turned[BATCH * STEPS * UNITS];
        if (!has(cell, kind)) {
            assert_int_equal(lstm_session_trace_count(session, layer, kind), 0);
            assert_status_text(lstm_session_trace(session, layer, kind, turned, LENGTH(turned)),
                               LSTM_ERROR_ARGUMENT, "has no trace \"");
            continue;
        }
        turn(expected[kind], turned, UNITS * sizeof(float));
        compare(session, names[cell], model, kind, time_first ? turned : &expected[kind][0][0][0],
                LENGTH(turned), 5e-6);
    }
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_traces_of_masked_sequences_in_both_directions_and_layouts(void **state)
{
    (void)state;
    for (int cell = 0; cell < CELLS; cell++)
        for (int backwards = 0; backwards < 2; backwards++)
            for (int time_first = 0; time_first < 2; time_first++)
                for (int32_t training = LSTM_YES; training <= LSTM_NO; training++)
                    check_loop(cell, backwards, time_first, training);
}

/* ---- Outputs, errors */

static void test_keeping_traces_changes_no_output(void **state)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
        "{\"type\": \"LSTM\", \"units\": 5, \"return_sequences\": true},"
        "{\"type\": \"Bidirectional\", \"layer\": {\"type\": \"GRU\", \"units\": 4, "
        "\"return_sequences\": true}}, {\"type\": \"SimpleRNN\", \"units\": 3}]}";
    float x[BATCH * STEPS * FEATURES];
    float y[2][BATCH * 3];
    (void)state;
    pattern(x, LENGTH(x), 50);
    const lstm_data data = {
        .struct_size = sizeof data, .samples = BATCH, .x = x, .x_count = LENGTH(x)};
    lstm_model *model = from_json(text);
    for (int32_t k = 0; k < 2; k++) {
        lstm_session *session = NULL;
        assert_ok(lstm_session_create(&session, model,
                                      OPTIONS(lstm_session, .batch = BATCH, .steps = STEPS,
                                              .traces = k == 0 ? LSTM_NO : LSTM_YES)));
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_output(session, 0, y[k], LENGTH(y[k])));
        lstm_session_destroy(session);
    }
    for (size_t k = 0; k < LENGTH(y[0]); k++)
        assert_true(fabsf(y[0][k] - y[1][k]) < 2e-6f);
    lstm_model_destroy(model);
}

static void test_what_has_no_trace_is_refused_in_words(void **state)
{
    static const char text[] = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
                               "{\"type\": \"LSTM\", \"units\": 5}]}";
    float x[BATCH * STEPS * FEATURES];
    float values[BATCH * STEPS * UNITS];
    (void)state;
    pattern(x, LENGTH(x), 50);
    const lstm_data data = {
        .struct_size = sizeof data, .samples = BATCH, .x = x, .x_count = LENGTH(x)};
    lstm_model *model = from_json(text);
    lstm_model *other = from_json(text);
    lstm_session *session = NULL;
    lstm_layer *layer = NULL;
    lstm_layer *strange = NULL;
    assert_ok(lstm_model_find_layer(model, "lstm", &layer));
    assert_ok(lstm_model_find_layer(other, "lstm", &strange));
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .batch = BATCH, .steps = STEPS)));
#define TRACE(of, which, count) lstm_session_trace(session, of, which, values, count)
    assert_status_text(TRACE(layer, LSTM_TRACE_OUTPUT, LENGTH(values)), LSTM_ERROR_STATE,
                       "has not run forward yet");
    assert_ok(lstm_session_forward(session, &data));
    assert_status_text(TRACE(layer, LSTM_TRACE_OUTPUT, LENGTH(values)), LSTM_ERROR_ARGUMENT,
                       "keeps no traces");
    assert_int_equal(lstm_session_trace_count(session, layer, LSTM_TRACE_OUTPUT), 0);
    lstm_session_destroy(session);
    session = run(model, LSTM_NO, &data);
    assert_ok(TRACE(layer, LSTM_TRACE_OUTPUT, LENGTH(values)));
    assert_status_text(TRACE(layer, LSTM_TRACE_OUTPUT, 3), LSTM_ERROR_SHAPE,
                       "room for 3 values, the trace \"output\" has 40");
    assert_status_text(TRACE(layer, LSTM_TRACE_UPDATE_GATE, 3), LSTM_ERROR_ARGUMENT,
                       "layer \"lstm\" (LSTM) has no trace \"update gate\"");
    assert_status_text(TRACE(layer, 77, 3), LSTM_ERROR_ARGUMENT, "which is 77");
    assert_status_text(TRACE(strange, LSTM_TRACE_OUTPUT, 3), LSTM_ERROR_ARGUMENT, "another model");
    assert_status_text(TRACE(lstm_model_input(model, 0), LSTM_TRACE_OUTPUT, 3), LSTM_ERROR_ARGUMENT,
                       "(Input) has no trace");
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    lstm_model_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gates_and_states_are_those_of_the_cells_of_pytorch),
        cmocka_unit_test(test_weights_of_attention_are_those_of_pytorch),
        cmocka_unit_test(test_traces_of_masked_sequences_in_both_directions_and_layouts),
        cmocka_unit_test(test_keeping_traces_changes_no_output),
        cmocka_unit_test(test_what_has_no_trace_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
