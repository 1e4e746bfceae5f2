/* SPDX-License-Identifier: MIT
 *
 * CTC beside the output layer whose numbers it reads, through the public header alone.
 *
 *     bench_ctc [--shape B,T,H,C,L] [--samples N]
 *
 * B samples, T steps, H features that a Dense layer turns into C classes, L labels a sample (random,
 * neighbours differ). Without a shape: the grid. One thread. Each line is a JSON object: medians over
 * the samples, in which both take turns, in seconds for which the thread held its core; `ratio` is
 * CTC / Dense, and the goal 2 at most.
 *
 * ctc    losses and the gradient at the logits
 * dense  forward, and backward of a given gradient to weights and bias (its input is the model's, so
 *        no gradient goes further: a layer inside a network has half as much again to do)
 */
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct shape {
    int64_t batch, steps, features, classes, labels;
} shape;

static const shape shapes[] = {{16, 120, 192, 11, 5},   {16, 200, 256, 29, 40},
                               {32, 100, 256, 80, 30},  {8, 1000, 512, 29, 120},
                               {16, 250, 512, 500, 60}, {16, 100, 256, 80, 70}};

#define DO(call)                                        \
    do {                                                \
        if ((call) != LSTM_OK) {                        \
            fprintf(stderr, "%s\n", lstm_last_error()); \
            exit(1);                                    \
        }                                               \
    } while (0)
#define OPTIONS(type, ...) (&(type##_options){.struct_size = sizeof(type##_options), __VA_ARGS__})

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static float *numbers(size_t count)
{
    float *values = malloc(count * sizeof *values);
    if (!values)
        exit(1);
    for (size_t k = 0; k < count; k++)
        values[k] = (float)rand() / (float)RAND_MAX - 0.5f;
    return values;
}

typedef struct work {
    lstm_session *session;
    lstm_ctc *ctc;
    lstm_data data;
    lstm_ctc_arrays arrays;
    float *gradient;
    size_t outputs;
} work;

static void run_dense(const work *w)
{
    DO(lstm_session_forward(w->session, &w->data));
    DO(lstm_session_set_output_gradient(w->session, 0, w->gradient, w->outputs));
    DO(lstm_session_backward(w->session));
}

static void run_ctc(const work *w)
{
    double loss = 0;
    DO(lstm_ctc_loss(w->ctc, &w->arrays, &loss));
}

/* Seconds of one call, over as many as take a millisecond. */
static double time_of(void (*run)(const work *w), const work *w)
{
    int calls = 0;
    const double start = cpu_now();
    double end = start;
    for (; end - start < 1e-3; end = cpu_now(), calls++)
        run(w);
    return (end - start) / calls;
}

static void measure(shape s, int samples)
{
    static double ctc[MOST_SAMPLES], dense[MOST_SAMPLES], ratios[MOST_SAMPLES];
    lstm_context *context;
    lstm_model *model;
    const size_t rows = (size_t)(s.batch * s.steps);
    work w = {.outputs = rows * (size_t)s.classes};
    float *x = numbers(rows * (size_t)s.features);
    float *logits = numbers(w.outputs);
    int32_t *labels = malloc((size_t)(s.batch * s.labels) * sizeof *labels);
    w.gradient = numbers(w.outputs);
    if (!labels)
        exit(1);
    for (int64_t k = 0; k < s.batch * s.labels; k++)
        labels[k] = 1 + (int32_t)((k * 7 + rand() % 3) % (s.classes - 1));
    DO(lstm_context_create(&context, OPTIONS(lstm_context, .threads = 1)));
    DO(lstm_model_create(&model, context, NULL));
    DO(lstm_model_add_input(model, OPTIONS(lstm_input, .steps = s.steps, .features = s.features),
                            NULL));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = s.classes), NULL, NULL));
    DO(lstm_model_build(model));
    DO(lstm_session_create(&w.session, model,
                           OPTIONS(lstm_session, .training = LSTM_YES, .batch = s.batch)));
    DO(lstm_ctc_create(&w.ctc, context,
                       OPTIONS(lstm_ctc, .classes = s.classes, .batch = s.batch, .steps = s.steps,
                               .labels = s.labels, .zero_infinity = LSTM_YES)));
    w.data = (lstm_data){.struct_size = sizeof w.data,
                         .samples = s.batch,
                         .x = x,
                         .x_count = rows * (size_t)s.features};
    w.arrays = (lstm_ctc_arrays){.struct_size = sizeof w.arrays,
                                 .batch = s.batch,
                                 .steps = s.steps,
                                 .x = logits,
                                 .labels = labels,
                                 .label_steps = s.labels,
                                 .gradient = w.gradient};
    run_dense(&w);
    run_ctc(&w);
    for (int k = 0; k < samples; k++) {
        dense[k] = time_of(run_dense, &w);
        ctc[k] = time_of(run_ctc, &w);
        ratios[k] = ctc[k] / dense[k];
    }
    printf(
        "{\"B\": %d, \"T\": %d, \"H\": %d, \"C\": %d, \"L\": %d, \"samples\": %d, \"ctc\": %.4g, "
        "\"dense\": %.4g, \"ratio\": %.2f}\n",
        (int)s.batch, (int)s.steps, (int)s.features, (int)s.classes, (int)s.labels, samples,
        machine_median(ctc, samples), machine_median(dense, samples),
        machine_median(ratios, samples));
    fflush(stdout);
    lstm_ctc_destroy(w.ctc);
    lstm_session_destroy(w.session);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    free(x);
    free(logits);
    free(labels);
    free(w.gradient);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"shape", required_argument, NULL, 's'},
                                          {"samples", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
    shape one = {0};
    int samples = 15;
    for (int letter; (letter = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        long long n[5];
        if (letter == 's' &&
            sscanf(optarg, "%lld,%lld,%lld,%lld,%lld", &n[0], &n[1], &n[2], &n[3], &n[4]) == 5 &&
            n[0] > 0 && n[1] > 0 && n[2] > 0 && n[3] > 1 && n[4] > 0) {
            one = (shape){n[0], n[1], n[2], n[3], n[4]};
        } else if (letter == 'n' && atoi(optarg) > 0 && atoi(optarg) <= MOST_SAMPLES) {
            samples = atoi(optarg);
        } else {
            fprintf(stderr, "usage: bench_ctc [--shape B,T,H,C,L] [--samples N]\n");
            return 2;
        }
    }
    for (size_t k = 0; one.batch == 0 && k < sizeof shapes / sizeof *shapes; k++)
        measure(shapes[k], samples);
    if (one.batch > 0)
        measure(one, samples);
    return 0;
}
