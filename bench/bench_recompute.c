/* SPDX-License-Identifier: MIT
 *
 * What recomputation costs and saves: one LSTM layer that returns its last output, forward and
 * backward, with the whole tape and with spans of it, taking turns.
 *
 *     bench_recompute [--shape B,T,I,H] [--samples N]
 *
 * One JSON object a line: the session's bytes and the median seconds for which the process held a
 * core, of both ways. Without --shape sequences of 100 to 10,000 steps.
 */
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    long batch, steps, input, hidden;
} shape;

static const shape shapes[] = {
    {32, 100, 8, 64},   {32, 1000, 8, 64},    {32, 10000, 8, 64},   {1, 1000, 64, 64},
    {1, 10000, 64, 64}, {64, 1000, 256, 256}, {16, 1000, 512, 512}, {8, 1000, 128, 128},
};

static void ok(lstm_status status, const char *what)
{
    if (status == LSTM_OK)
        return;
    fprintf(stderr, "bench_recompute: %s: %s\n", what, lstm_last_error());
    exit(1);
}

static lstm_model *build(shape s)
{
    lstm_model *model = NULL;
    const lstm_input_options input = {
        .struct_size = sizeof input, .steps = s.steps, .features = s.input};
    const lstm_lstm_options lstm = {.struct_size = sizeof lstm, .units = s.hidden};
    ok(lstm_model_create(&model, NULL, NULL), "model");
    ok(lstm_model_add_input(model, &input, NULL), "input");
    ok(lstm_model_add_lstm(model, &lstm, NULL, NULL), "lstm");
    ok(lstm_model_build(model), "build");
    return model;
}

/* Seconds of one forward and backward. */
static double pass(lstm_session *session, const lstm_data *data, const float *dy, size_t count)
{
    const double start = machine_busy_seconds();
    ok(lstm_session_forward(session, data), "forward");
    ok(lstm_session_set_output_gradient(session, 0, dy, count), "gradient");
    ok(lstm_session_backward(session), "backward");
    return machine_busy_seconds() - start;
}

static void measure(shape s, size_t samples)
{
    lstm_model *model = build(s);
    lstm_session *sessions[2];
    double times[2][MOST_SAMPLES];
    const size_t x_count = (size_t)(s.batch * s.steps * s.input);
    const size_t y_count = (size_t)(s.batch * s.hidden);
    float *x = malloc((x_count + y_count) * sizeof *x);
    if (!x) {
        fprintf(stderr, "bench_recompute: out of memory\n");
        exit(1);
    }
    for (size_t k = 0; k < x_count + y_count; k++)
        x[k] = (float)(k * 7919 % 1000) / 500 - 1;
    const lstm_data data = {
        .struct_size = sizeof data, .samples = s.batch, .x = x, .x_count = x_count};
    for (int k = 0; k < 2; k++) {
        const lstm_session_options options = {.struct_size = sizeof options,
                                              .training = LSTM_YES,
                                              .batch = s.batch,
                                              .recompute = k ? LSTM_YES : LSTM_NO};
        ok(lstm_session_create(&sessions[k], model, &options), "session");
        pass(sessions[k], &data, x + x_count, y_count);
    }
    for (size_t n = 0; n < samples; n++)
        for (int k = 0; k < 2; k++)
            times[k][n] = pass(sessions[k], &data, x + x_count, y_count);
    printf("{\"bench\": \"recompute\", \"B\": %ld, \"T\": %ld, \"I\": %ld, \"H\": %ld, "
           "\"bytes\": %zu, \"bytes_recompute\": %zu, \"seconds\": %.6g, "
           "\"seconds_recompute\": %.6g}\n",
           s.batch, s.steps, s.input, s.hidden, lstm_session_memory_size(sessions[0]),
           lstm_session_memory_size(sessions[1]), machine_median(times[0], samples),
           machine_median(times[1], samples));
    fflush(stdout);
    lstm_session_destroy(sessions[0]);
    lstm_session_destroy(sessions[1]);
    lstm_model_destroy(model);
    free(x);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"shape", required_argument, NULL, 's'}, {"samples", required_argument, NULL, 'n'}, {0}};
    shape one = {0};
    long samples = 7;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (c == 's' &&
            sscanf(optarg, "%ld,%ld,%ld,%ld", &one.batch, &one.steps, &one.input, &one.hidden) == 4)
            continue;
        if (c == 'n' && (samples = strtol(optarg, NULL, 10)) > 0 && samples <= MOST_SAMPLES)
            continue;
        fprintf(stderr, "usage: bench_recompute [--shape B,T,I,H] [--samples 1..%d]\n",
                MOST_SAMPLES);
        return 2;
    }
    if (one.batch)
        measure(one, (size_t)samples);
    for (size_t k = 0; !one.batch && k < sizeof shapes / sizeof shapes[0]; k++)
        measure(shapes[k], (size_t)samples);
    return 0;
}
