/* SPDX-License-Identifier: MIT
 *
 * Speed of one LSTM layer, through the public header alone.
 *
 *     bench_layer [--mode forward|training|step] [--shape B,T,I,H] [--route auto|concat|split] [--threads N]
 *                 [--blas-threads N] [--samples N] [--level generic|avx2|avx512|neon]
 *
 * What is left out is run through: all modes, the grid, all routes. Each combination prints one
 * JSON object on a line.
 *
 *     forward   T steps without a tape, every output written
 *     training  forward with the tape, then backward of a given dY to dW, db and dX; no optimizer
 *     step      T calls of one step each, carrying h and c: the streaming use
 *
 * Weights are packed in each pass of training, since there they change, and otherwise once.
 *
 * `seconds` is the median over samples of the time for all T steps; a sample repeats the work until
 * it lasts SAMPLE_SECONDS. The machine's peak of multiply-adds is measured before every sample, on
 * as many threads. FLOPs are 8 H (I + H) B T forward and three times that in training; gates are
 * not counted. `busy` is the share of the time for which our threads held their cores: below 1 the
 * machine was shared and the line is too slow. `cpu_seconds` is the time for which they held them,
 * of all threads together.
 *
 * For one sample and one thread, forward and step also say what reading W once a step allows: a block
 * of the same size is read between the samples, at `read_gigabytes_per_second` (so from the cache
 * that holds it), and `bound_fraction` is the time that this takes, or the multiply-adds at the peak
 * where these take longer, over ours. Forward reads the h rows; x times its rows is one product, at
 * the peak.
 */
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double SAMPLE_SECONDS = 0.02;
static const double PEAK_SECONDS = 0.002;

enum { FORWARD, TRAINING, STEP, MODE_COUNT };
static const char *const mode_names[MODE_COUNT] = {"forward", "training", "step"};

enum { ROUTE_COUNT = 3 }; /* auto, then LSTM_ROUTE_* */
static const char *const route_names[ROUTE_COUNT] = {"auto", "concat", "split"};

typedef struct shape {
    int64_t batch, steps, input, hidden;
} shape;

static const shape grid[] = {
    {1, 100, 64, 64},     {1, 100, 128, 128},   {1, 50, 512, 512},  {1, 30, 1024, 1024},
    {4, 100, 128, 128},   {8, 100, 256, 256},   {20, 20, 200, 200}, {20, 35, 650, 650},
    {32, 28, 1, 32},      {32, 50, 64, 128},    {64, 50, 256, 256}, {64, 25, 512, 512},
    {64, 25, 1024, 1024}, {128, 100, 128, 128}, {256, 120, 7, 32},
};

enum { GRID_COUNT = sizeof grid / sizeof grid[0] };

/* What to run; -1 = all. */
typedef struct request {
    int mode, route;
    int has_shape;
    shape shape;
    int32_t threads, blas_threads, level;
    size_t samples;
} request;

/* One layer with everything it reads and writes. */
typedef struct layer {
    lstm_primitive *primitive;
    shape shape;
    int mode;
    float *block;
    float *state[2][2]; /* step mode: h and c, before and after, changing places */
    lstm_primitive_arrays arrays;
} layer;

static void stop(const char *what)
{
    fprintf(stderr, "bench_layer: %s: %s\n", what, lstm_last_error());
    exit(1);
}

/* Numbers in [-scale, scale), always the same. */
static void fill(float *p, size_t count, float scale)
{
    uint32_t state = 12345;
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525u + 1013904223u;
        p[k] = scale * ((float)(state >> 8) * 0x1p-23f - 1);
    }
}

static layer make_layer(lstm_context *context, int mode, shape s, int32_t route)
{
    layer l = {.shape = s, .mode = mode};
    const lstm_primitive_options options = {
        .struct_size = sizeof options,
        .training = mode == TRAINING ? LSTM_YES : LSTM_NO,
        .input_size = s.input,
        .hidden_size = s.hidden,
        .batch = s.batch,
        .steps = mode == STEP ? 1 : s.steps,
        .route = route,
    };
    if (lstm_primitive_create(&l.primitive, context, &options) != LSTM_OK)
        stop("create");
    const size_t weights = (size_t)((s.input + s.hidden) * 4 * s.hidden);
    const size_t bias = (size_t)(4 * s.hidden);
    const size_t x = (size_t)(s.steps * s.batch * s.input);
    const size_t y = (size_t)(s.steps * s.batch * s.hidden);
    const size_t h = (size_t)(s.batch * s.hidden);
    const size_t sizes[] = {weights, bias, x, y, h, h, h, h, y, x, weights, bias};
    enum { PARTS = sizeof sizes / sizeof sizes[0] };
    /* floats in a cache line; each part begins on one, off the powers of two */
    const size_t line = 16;
    size_t total = 0;
    for (size_t k = 0; k < PARTS; k++)
        total += (sizes[k] / line + 2) * line;
    l.block = aligned_alloc(64, total * sizeof(float));
    if (!l.block) {
        fprintf(stderr, "bench_layer: no memory for %zu bytes\n", total * sizeof(float));
        exit(1);
    }
    fill(l.block, total, 1);
    float *part[PARTS];
    float *next = l.block;
    for (size_t k = 0; k < PARTS; k++) {
        part[k] = next;
        next += (sizes[k] / line + 2) * line;
    }
    fill(part[0], weights, 1.0f / (float)(1 + s.hidden / 8));
    for (int k = 0; k < 4; k++) {
        l.state[k / 2][k % 2] = part[4 + k];
        memset(part[4 + k], 0, h * sizeof(float));
    }
    l.arrays = (lstm_primitive_arrays){
        .struct_size = sizeof l.arrays,
        .batch = s.batch,
        .steps = options.steps,
        .weights = part[0],
        .bias = part[1],
        .x = part[2],
        .y = part[3],
    };
    if (mode == TRAINING) {
        l.arrays.dy = part[8];
        l.arrays.dx = part[9];
        l.arrays.dweights = part[10];
        l.arrays.dbias = part[11];
    }
    return l;
}

static void destroy_layer(layer *l)
{
    lstm_primitive_destroy(l->primitive);
    free(l->block);
}

static void run_steps(layer *l)
{
    lstm_primitive_arrays a = l->arrays;
    for (int64_t t = 0; t < l->shape.steps; t++) {
        a.x = l->arrays.x + t * l->shape.batch * l->shape.input;
        a.y = l->arrays.y + t * l->shape.batch * l->shape.hidden;
        a.h0 = l->state[t % 2][0];
        a.c0 = l->state[t % 2][1];
        a.hn = l->state[1 - t % 2][0];
        a.cn = l->state[1 - t % 2][1];
        if (lstm_primitive_forward(l->primitive, &a) != LSTM_OK)
            stop("forward");
    }
}

static void run(layer *l)
{
    if (l->mode == STEP) {
        run_steps(l);
        return;
    }
    if (lstm_primitive_forward(l->primitive, &l->arrays) != LSTM_OK)
        stop("forward");
    if (l->mode == TRAINING && lstm_primitive_backward(l->primitive, &l->arrays) != LSTM_OK)
        stop("backward");
}

static double time_runs(layer *l, size_t repeats)
{
    const double start = machine_seconds();
    for (size_t k = 0; k < repeats; k++)
        run(l);
    return machine_seconds() - start;
}

/* Seconds that one sample takes at least. */
static double bound_of(int mode, shape s, double gigabytes_per_second, double peak)
{
    const double steps = (double)s.steps;
    const double h_rows = 8.0 * (double)(s.hidden * s.hidden); /* FLOPs; twice as many bytes */
    const double x_rows = 8.0 * (double)(s.hidden * s.input);
    const double in_steps = mode == STEP ? h_rows + x_rows : h_rows;
    const double reading = 2e-9 * in_steps / gigabytes_per_second;
    const double computing = 1e-9 * in_steps / peak;
    return steps * ((reading > computing ? reading : computing) +
                    (mode == STEP ? 0 : 1e-9 * x_rows / peak));
}

static void measure(lstm_context *context, const request *q, int mode, shape s, int route,
                    const char *cpu)
{
    layer l = make_layer(context, mode, s, route);
    const int32_t isa = lstm_context_isa(context);
    size_t repeats = 1;
    time_runs(&l, 1); /* touch everything */
    if (mode != TRAINING)
        l.arrays.weights = l.arrays.bias = NULL; /* as before */
    for (double last = time_runs(&l, 1); last < SAMPLE_SECONDS / 2; last = time_runs(&l, repeats))
        repeats = last < SAMPLE_SECONDS / 16 ? repeats * 8 : repeats * 2;
    double seconds[MOST_SAMPLES];
    double peaks[MOST_SAMPLES];
    double busy[MOST_SAMPLES];
    double cpu_seconds[MOST_SAMPLES];
    double bounds[MOST_SAMPLES];
    double reads[MOST_SAMPLES] = {0};
    const int bounded = s.batch == 1 && q->threads == 1 && mode != TRAINING;
    const int64_t read_rows = mode == STEP ? s.hidden + s.input : s.hidden;
    for (size_t k = 0; k < q->samples; k++) {
        peaks[k] = machine_peak(isa, q->threads, PEAK_SECONDS);
        const double start = machine_busy_seconds();
        const double lasted = time_runs(&l, repeats);
        const double worked = machine_busy_seconds() - start;
        busy[k] = worked / (lasted * (double)q->threads);
        cpu_seconds[k] = worked / (double)repeats;
        seconds[k] = lasted / (double)repeats;
        if (bounded) {
            reads[k] = machine_read_bandwidth(isa, (size_t)(16 * s.hidden * read_rows),
                                              5 * PEAK_SECONDS);
            bounds[k] = bound_of(mode, s, reads[k], peaks[k]) / cpu_seconds[k];
        }
    }
    const double median = machine_median(seconds, q->samples);
    const double peak = machine_median(peaks, q->samples);
    const double flops = 8.0 * (double)(s.hidden * (s.input + s.hidden)) *
                         (double)(s.batch * s.steps) * (mode == TRAINING ? 3 : 1);
    const double gflops = 1e-9 * flops / median;
    printf(
        "{\"mode\": \"%s\", \"B\": %lld, \"T\": %lld, \"I\": %lld, \"H\": %lld, \"threads\": %d, "
        "\"route\": \"%s\", \"route_used\": \"%s\", \"level\": \"%s\", \"blas\": \"%s\", "
        "\"blas_threads\": %d, "
        "\"cpu\": \"%s\", \"samples\": %zu, \"seconds\": %.6g, \"cpu_seconds\": %.6g, "
        "\"step_seconds\": %.6g, \"gflops\": %.4g, \"peak_gflops\": %.4g, \"peak_fraction\": %.4g, "
        "\"busy\": %.2f, \"memory\": %zu",
        mode_names[mode], (long long)s.batch, (long long)s.steps, (long long)s.input,
        (long long)s.hidden, (int)q->threads, route_names[route],
        route_names[lstm_primitive_route(l.primitive)], machine_level(isa),
        lstm_context_blas(context), (int)q->blas_threads, cpu, q->samples, median,
        machine_median(cpu_seconds, q->samples), median / (double)s.steps, gflops, peak,
        gflops / peak, machine_median(busy, q->samples), lstm_primitive_memory_size(l.primitive));
    if (bounded)
        printf(", \"read_gigabytes_per_second\": %.4g, \"bound_fraction\": %.3g",
               machine_median(reads, q->samples), machine_median(bounds, q->samples));
    printf("}\n");
    fflush(stdout);
    destroy_layer(&l);
}

static const char usage[] = "usage: bench_layer [--mode forward|training|step] [--shape B,T,I,H] "
                            "[--route auto|concat|split]\n"
                            "                   [--threads N] [--blas-threads N] [--samples N] "
                            "[--level generic|avx2|avx512|neon]\n";

static void refuse(const char *option, const char *text)
{
    fprintf(stderr, "bench_layer: --%s: \"%s\" is not understood\n%s", option, text, usage);
    exit(2);
}

static int find(const char *option, const char *text, const char *const *names, int count)
{
    for (int k = 0; k < count; k++)
        if (strcmp(text, names[k]) == 0)
            return k;
    refuse(option, text);
    return -1;
}

static int32_t number(const char *option, const char *text, long low, long high)
{
    char *end = NULL;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        refuse(option, text);
    return (int32_t)value;
}

static shape read_shape(const char *text)
{
    long long b = 0, t = 0, i = 0, h = 0;
    char rest = 0;
    if (sscanf(text, "%lld,%lld,%lld,%lld%c", &b, &t, &i, &h, &rest) != 4 || b < 1 || t < 1 ||
        i < 1 || h < 1 || b > 1 << 20 || t > 1 << 20 || i > 1 << 16 || h > 1 << 16)
        refuse("shape", text);
    return (shape){b, t, i, h};
}

static request read_arguments(int count, char **arguments)
{
    static const struct option options[] = {
        {"mode", required_argument, NULL, 'm'},
        {"shape", required_argument, NULL, 's'},
        {"route", required_argument, NULL, 'r'},
        {"threads", required_argument, NULL, 't'},
        {"blas-threads", required_argument, NULL, 'b'},
        {"samples", required_argument, NULL, 'n'},
        {"level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const char *const levels[] = {"", "generic", "avx2", "avx512", "neon"};
    request q = {.mode = -1, .route = -1, .threads = 1, .blas_threads = 1, .samples = 9};
    for (int c; (c = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        switch (c) {
        case 'm':
            q.mode = find("mode", optarg, mode_names, MODE_COUNT);
            break;
        case 'r':
            q.route = find("route", optarg, route_names, ROUTE_COUNT);
            break;
        case 's':
            q.shape = read_shape(optarg), q.has_shape = 1;
            break;
        case 't':
            q.threads = number("threads", optarg, 1, 256);
            break;
        case 'b':
            q.blas_threads = number("blas-threads", optarg, 1, 256);
            break;
        case 'n':
            q.samples = (size_t)number("samples", optarg, 1, MOST_SAMPLES) | 1;
            break;
        case 'l':
            q.level = find("level", optarg, levels, 5);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < count) {
        fprintf(stderr, "bench_layer: unexpected \"%s\"\n%s", arguments[optind], usage);
        exit(2);
    }
    return q;
}

int main(int count, char **arguments)
{
    const request q = read_arguments(count, arguments);
    const lstm_context_options options = {.struct_size = sizeof options,
                                          .threads = q.threads,
                                          .max_isa = q.level,
                                          .blas_threads = q.blas_threads};
    lstm_context *context = NULL;
    if (lstm_context_create(&context, &options) != LSTM_OK)
        stop("context");
    char cpu[128];
    machine_name(cpu, sizeof cpu);
    for (int mode = 0; mode < MODE_COUNT; mode++)
        for (size_t k = 0; k < (q.has_shape ? 1 : GRID_COUNT); k++)
            for (int route = 0; route < ROUTE_COUNT; route++)
                if ((q.mode < 0 || q.mode == mode) && (q.route < 0 || q.route == route))
                    measure(context, &q, mode, q.has_shape ? q.shape : grid[k], route, cpu);
    lstm_context_destroy(context);
    return 0;
}
