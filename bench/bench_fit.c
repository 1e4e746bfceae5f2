/* SPDX-License-Identifier: MIT
 *
 * Speed from end to end, through the public header alone: whole models in lstm_fit, and one
 * prediction.
 *
 *     bench_fit [--model NAME] [--threads N] [--samples N] [--level generic|avx2|avx512|neon]
 *
 *     tutorial   28 steps of 1 feature, LSTM 32, Dense 10; 2048 samples, batches of 32, Adam: one epoch
 *     language   20 steps of 200 features, LSTM 200 twice, softmax over 1000 classes a step;
 *                batches of 20, Adam: an epoch of 20
 *     weather    120 steps of 7 features, LSTM 32, Dense 1; 2048 samples, batches of 256, Adam: one epoch
 *
 * Each prints one JSON object on a line: median seconds of an epoch, and of the prediction of one
 * sample by a session that is there already (`predict_seconds`), as a program that answers requests
 * has it; and of both the seconds for which the process held a core (`…_cpu_seconds`).
 */
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct example {
    const char *name;
    int64_t steps, features, units, layers, outputs;
    int64_t samples;
    int32_t batch;
    int32_t classes; /* softmax at each step instead of a vector of numbers at the end */
} example;

static const example examples[] = {
    {"tutorial", 28, 1, 32, 1, 10, 2048, 32, 0},
    {"language", 20, 200, 200, 2, 1000, 400, 20, 1},
    {"weather", 120, 7, 32, 1, 1, 2048, 256, 0},
};

enum { EXAMPLES = sizeof examples / sizeof examples[0], PREDICTIONS = 200 };

static void ok(lstm_status status, const char *what)
{
    if (status == LSTM_OK)
        return;
    fprintf(stderr, "bench_fit: %s: %s\n", what, lstm_last_error());
    exit(1);
}

static lstm_model *build(lstm_context *context, const example *e)
{
    lstm_model *model = NULL;
    ok(lstm_model_create(&model, context, NULL), "model");
    ok(lstm_model_add_input(model,
                            &(lstm_input_options){.struct_size = sizeof(lstm_input_options),
                                                  .steps = e->steps,
                                                  .features = e->features},
                            NULL),
       "input");
    for (int64_t k = 0; k < e->layers; k++)
        ok(lstm_model_add_lstm(
               model,
               &(lstm_lstm_options){.struct_size = sizeof(lstm_lstm_options),
                                    .units = e->units,
                                    .return_sequences = e->classes || k + 1 < e->layers ? LSTM_YES
                                                                                        : LSTM_NO},
               NULL, NULL),
           "lstm");
    ok(lstm_model_add_dense(
           model,
           &(lstm_dense_options){.struct_size = sizeof(lstm_dense_options),
                                 .units = e->outputs,
                                 .activation = e->classes ? LSTM_ACTIVATION_SOFTMAX : 0},
           NULL, NULL),
       "dense");
    ok(lstm_model_build(model), "build");
    return model;
}

/* Numbers in [-1, 1), or class numbers, always the same. */
static float *make_numbers(size_t count, int64_t classes)
{
    float *p = malloc(count * sizeof *p);
    uint32_t state = 12345;
    if (!p) {
        fprintf(stderr, "bench_fit: no memory for %zu numbers\n", count);
        exit(1);
    }
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525u + 1013904223u;
        p[k] = classes ? (float)((state >> 8) % (uint32_t)classes)
                       : (float)(state >> 8) * 0x1p-23f - 1;
    }
    return p;
}

typedef struct seconds {
    double wall, busy;
} seconds;

static seconds now(void)
{
    return (seconds){machine_seconds(), machine_busy_seconds()};
}

static seconds since(seconds start, int parts)
{
    const seconds end = now();
    return (seconds){(end.wall - start.wall) / parts, (end.busy - start.busy) / parts};
}

static seconds time_predictions(lstm_model *model, const example *e, const float *x, float *out,
                                size_t out_count)
{
    lstm_session *session = NULL;
    ok(lstm_session_create(
           &session, model,
           &(lstm_session_options){.struct_size = sizeof(lstm_session_options), .batch = 1}),
       "session");
    const lstm_data one = {.struct_size = sizeof one,
                           .samples = 1,
                           .x = x,
                           .x_count = (size_t)(e->steps * e->features)};
    ok(lstm_session_forward(session, &one), "forward");
    const seconds start = now();
    for (int k = 0; k < PREDICTIONS; k++) {
        ok(lstm_session_forward(session, &one), "forward");
        ok(lstm_session_output(session, 0, out, out_count), "output");
    }
    const seconds one_each = since(start, PREDICTIONS);
    lstm_session_destroy(session);
    return one_each;
}

static void measure(lstm_context *context, const example *e, size_t samples, const char *cpu)
{
    lstm_model *model = build(context, e);
    const size_t outputs = (size_t)((e->classes ? e->steps : 1) * e->outputs);
    const size_t targets = (size_t)(e->classes ? e->steps : e->outputs);
    const size_t count = (size_t)e->samples;
    float *x = make_numbers(count * (size_t)(e->steps * e->features), 0);
    float *y = make_numbers(count * targets, e->classes ? e->outputs : 0);
    float *out = make_numbers(outputs, 0);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = e->samples,
                            .x = x,
                            .x_count = count * (size_t)(e->steps * e->features),
                            .y = y,
                            .y_count = count * targets};
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = e->classes ? LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY
                                                       : LSTM_LOSS_MSE};
    const lstm_fit_options fit = {
        .struct_size = sizeof fit, .epochs = 1, .batch_size = e->batch, .loss = &loss};
    double epochs[2][MOST_SAMPLES];
    double predictions[2][MOST_SAMPLES];
    ok(lstm_fit(model, &fit, &data, NULL), "fit");
    for (size_t k = 0; k < samples; k++) {
        const seconds start = now();
        ok(lstm_fit(model, &fit, &data, NULL), "fit");
        const seconds epoch = since(start, 1);
        const seconds prediction = time_predictions(model, e, x, out, outputs);
        epochs[0][k] = epoch.wall;
        epochs[1][k] = epoch.busy;
        predictions[0][k] = prediction.wall;
        predictions[1][k] = prediction.busy;
    }
    const double epoch = machine_median(epochs[0], samples);
    printf(
        "{\"model\": \"%s\", \"samples\": %lld, \"batch\": %d, \"threads\": %d, \"level\": "
        "\"%s\", \"blas\": \"%s\", "
        "\"cpu\": \"%s\", \"epoch_seconds\": %.6g, \"update_seconds\": %.6g, "
        "\"predict_seconds\": %.6g, \"epoch_cpu_seconds\": %.6g, \"predict_cpu_seconds\": %.6g}\n",
        e->name, (long long)e->samples, (int)e->batch, (int)lstm_context_threads(context),
        machine_level(lstm_context_isa(context)), lstm_context_blas(context), cpu, epoch,
        epoch * (double)e->batch / (double)e->samples, machine_median(predictions[0], samples),
        machine_median(epochs[1], samples), machine_median(predictions[1], samples));
    fflush(stdout);
    free(x);
    free(y);
    free(out);
    lstm_model_destroy(model);
}

static const char usage[] =
    "usage: bench_fit [--model tutorial|language|weather] [--threads N] [--samples N]\n"
    "                 [--level generic|avx2|avx512|neon]\n";

static void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static long number(const char *text, long low, long high)
{
    char *end = NULL;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        refuse();
    return value;
}

int main(int argument_count, char **arguments)
{
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"threads", required_argument, NULL, 't'},
        {"samples", required_argument, NULL, 'n'},
        {"level", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    static const char *const levels[] = {"", "generic", "avx2", "avx512", "neon"};
    const char *model = NULL;
    size_t samples = 7;
    lstm_context_options o = {.struct_size = sizeof o, .threads = 1, .blas_threads = 1};
    for (int c; (c = getopt_long(argument_count, arguments, "", options, NULL)) != -1;) {
        if (c == 'm')
            model = optarg;
        else if (c == 't')
            o.threads = (int32_t)number(optarg, 1, 256);
        else if (c == 'n')
            samples = (size_t)number(optarg, 1, MOST_SAMPLES) | 1;
        else if (c == 'l')
            for (int32_t k = 1; k < 5; k++)
                o.max_isa = strcmp(levels[k], optarg) == 0 ? k : o.max_isa;
        else
            refuse();
    }
    lstm_context *context = NULL;
    ok(lstm_context_create(&context, &o), "context");
    char cpu[128];
    int found = 0;
    machine_name(cpu, sizeof cpu);
    for (size_t k = 0; k < EXAMPLES; k++)
        if (!model || strcmp(model, examples[k].name) == 0) {
            measure(context, &examples[k], samples, cpu);
            found = 1;
        }
    lstm_context_destroy(context);
    if (!found)
        refuse();
    return 0;
}
