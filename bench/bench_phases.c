/* SPDX-License-Identifier: MIT
 *
 * Where the time of one LSTM layer goes: what each kernel takes of a pass, and
 * at which fraction of the core's peak of multiply-adds it runs.
 *
 *     bench_phases [--shape B,T,I,H] [--level avx2|avx512|generic|neon]
 * [--rounds N] [--forward]
 *
 * The kernels of the library are called through a table; the linker gives the
 * library (linked in as objects, with --wrap) a table whose functions take the
 * time and call the real ones. One thread, and the time for which it held its
 * core. Every pass stands between two measurements of the peak, by whose mean
 * its times are scaled to the largest peak of the run; rounds whose two
 * measurements are more than 3 % apart are left out, and of the others the
 * median counts. Training: forward with the tape, then backward to dW, db and
 * dx, weights packed in every pass. A JSON object a line: one for each kernel
 * (`fraction` is 0 for those that multiply nothing), then one for the pass.
 */
#include "kernels.h"
#include "machine_peak.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double PEAK_SECONDS = 0.0006;
enum { MOST_ROUNDS = 999 };

enum {
    PACK_GATES,
    PACK_ACROSS,
    PACK_NARROW,
    STEP_FORWARD,
    STEP_BACKWARD,
    X_W,
    DX,
    DX_NARROW,
    DW,
    COPIES,
    PHASES
};
static const char *const names[PHASES + 1] = {"pack_gates",
                                              "pack_across",
                                              "pack_narrow",
                                              "step_forward",
                                              "step_backward",
                                              "multiply_gates",
                                              "multiply_across",
                                              "multiply_narrow",
                                              "outer_gates",
                                              "copy_rows",
                                              "pass"};

typedef struct shape {
    size_t batch, steps, input, hidden;
} shape;

static const shape shapes[] = {
    {64, 50, 256, 256},   {64, 25, 512, 512}, {64, 25, 1024, 1024},
    {128, 100, 128, 128}, {32, 50, 64, 128},  {20, 35, 650, 650},
};

/* ---- The table that takes the time. Programs have one thread, so plain
 * variables will do. */

static const lstm__kernels *kernels;
static lstm__kernels timed;
static double taken[PHASES];
static size_t calls[PHASES];

static double held(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void count(int phase, double since)
{
    taken[phase] += held() - since;
    calls[phase]++;
}

static void pack_gates(size_t units, size_t rows, const real *w, size_t ld, real *packed)
{
    const double start = held();
    kernels->pack_gates(units, rows, w, ld, packed);
    count(PACK_GATES, start);
}

static void pack_across(size_t units, size_t columns, const real *w, size_t ld, real *packed)
{
    const double start = held();
    kernels->pack_across(units, columns, w, ld, packed);
    count(PACK_ACROSS, start);
}

static void pack_narrow(size_t units, size_t columns, const real *w, size_t ld, real *packed)
{
    const double start = held();
    kernels->pack_narrow(units, columns, w, ld, packed);
    count(PACK_NARROW, start);
}

static void step_forward(const lstm__step_forward *step, size_t first, size_t last)
{
    const double start = held();
    kernels->step_forward(step, first, last);
    count(STEP_FORWARD, start);
}

static void step_backward(const lstm__step_backward *step, size_t first, size_t last)
{
    const double start = held();
    kernels->step_backward(step, first, last);
    count(STEP_BACKWARD, start);
}

static void multiply_gates(const lstm__multiplication *product, size_t units)
{
    const double start = held();
    kernels->multiply_gates(product, units);
    count(X_W, start);
}

static void multiply_across(const lstm__multiplication *product, size_t columns)
{
    const double start = held();
    kernels->multiply_across(product, columns);
    count(DX, start);
}

static void multiply_narrow(const lstm__multiplication *product, size_t columns)
{
    const double start = held();
    kernels->multiply_narrow(product, columns);
    count(DX_NARROW, start);
}

static void outer_gates(const lstm__outer *outer, size_t first, size_t last)
{
    const double start = held();
    kernels->outer_gates(outer, first, last);
    count(DW, start);
}

static void copy_rows(size_t rows, size_t columns, const real *x, size_t ld_x, real *y, size_t ld_y,
                      int accumulate)
{
    const double start = held();
    kernels->copy_rows(rows, columns, x, ld_x, y, ld_y, accumulate);
    count(COPIES, start);
}

/* What the linker calls instead of the library's function, and the name that it
 * gives that one. */
const lstm__kernels *__real_lstm__kernels_for(int32_t isa);
const lstm__kernels *__wrap_lstm__kernels_for(int32_t isa);

const lstm__kernels *__wrap_lstm__kernels_for(int32_t isa)
{
    kernels = __real_lstm__kernels_for(isa);
    timed = *kernels;
    timed.pack_gates = pack_gates;
    timed.pack_across = pack_across;
    timed.pack_narrow = pack_narrow;
    timed.step_forward = step_forward;
    timed.step_backward = step_backward;
    timed.multiply_gates = multiply_gates;
    timed.multiply_across = multiply_across;
    timed.multiply_narrow = multiply_narrow;
    timed.outer_gates = outer_gates;
    timed.copy_rows = copy_rows;
    return &timed;
}

/* ---- */

static void ok(lstm_status status, const char *what)
{
    if (status == LSTM_OK)
        return;
    fprintf(stderr, "bench_phases: %s: %s\n", what, lstm_last_error());
    exit(1);
}

/* Numbers in [-scale, scale), always the same. */
static float *numbers(size_t count, float scale)
{
    float *p = aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64);
    if (!p) {
        fprintf(stderr, "bench_phases: no memory for %zu numbers\n", count);
        exit(1);
    }
    uint32_t state = 12345;
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525u + 1013904223u;
        p[k] = scale * ((float)(state >> 8) * 0x1p-23f - 1);
    }
    return p;
}

static lstm_primitive_arrays make_arrays(shape s, bool training)
{
    const size_t rows = s.batch * s.steps;
    const size_t weights = (s.input + s.hidden) * 4 * s.hidden;
    lstm_primitive_arrays a = {
        .struct_size = sizeof a,
        .batch = (int64_t)s.batch,
        .steps = (int64_t)s.steps,
        .weights = numbers(weights, 1.0f / (float)(1 + s.hidden / 8)),
        .bias = numbers(4 * s.hidden, 1),
        .x = numbers(rows * s.input, 1),
        .y = numbers(rows * s.hidden, 1),
    };
    if (training) {
        a.dy = numbers(rows * s.hidden, 1);
        a.dx = numbers(rows * s.input, 1);
        a.dweights = numbers(weights, 1);
        a.dbias = numbers(4 * s.hidden, 1);
    }
    return a;
}

static void free_arrays(lstm_primitive_arrays *a)
{
    const void *const all[] = {a->weights, a->bias, a->x,        a->y,
                               a->dy,      a->dx,   a->dweights, a->dbias};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        free((void *)(uintptr_t)all[k]);
}

/* Multiply-adds of a phase in one pass, as FLOPs. */
static double flops_of(int phase, shape s, bool concat, bool training)
{
    const double h = 8.0 * (double)(s.hidden * s.hidden * s.batch * s.steps);
    const double x = 8.0 * (double)(s.hidden * s.input * s.batch * s.steps);
    switch (phase) {
    case STEP_FORWARD:
        return concat ? h + x : h;
    case STEP_BACKWARD:
        return h * (double)(s.steps - 1) / (double)s.steps;
    case X_W:
    case DX:
    case DX_NARROW:
        return x;
    case DW:
        return h + x;
    case PHASES:
        return (h + x) * (training ? 3 : 1);
    default:
        return 0;
    }
}

/* Times of one phase in each round that counts, and the peak around it. */
typedef struct rounds {
    size_t count;
    double seconds[PHASES + 1][MOST_ROUNDS];
    double peak[MOST_ROUNDS];
} rounds;

static void one_round(lstm_primitive *primitive, lstm_primitive_arrays *a, int32_t isa,
                      bool training, rounds *r)
{
    memset(taken, 0, sizeof taken);
    memset(calls, 0, sizeof calls);
    const double before = machine_peak(isa, 1, PEAK_SECONDS);
    const double start = held();
    ok(lstm_primitive_forward(primitive, a), "forward");
    if (training)
        ok(lstm_primitive_backward(primitive, a), "backward");
    const double all = held() - start;
    const double after = machine_peak(isa, 1, PEAK_SECONDS);
    if (before > 1.03 * after || after > 1.03 * before)
        return;
    for (int phase = 0; phase < PHASES; phase++)
        r->seconds[phase][r->count] = taken[phase];
    r->seconds[PHASES][r->count] = all;
    r->peak[r->count++] = (before + after) / 2;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(lstm_context *context, shape s, size_t wanted, bool training)
{
    static rounds r;
    const int32_t isa = lstm_context_isa(context);
    const lstm_primitive_options options = {
        .struct_size = sizeof options,
        .training = training ? LSTM_YES : LSTM_NO,
        .input_size = (int64_t)s.input,
        .hidden_size = (int64_t)s.hidden,
        .batch = (int64_t)s.batch,
        .steps = (int64_t)s.steps,
    };
    lstm_primitive *primitive = NULL;
    ok(lstm_primitive_create(&primitive, context, &options), "create");
    lstm_primitive_arrays a = make_arrays(s, training);
    const float *weights = a.weights;
    const float *bias = a.bias;
    one_round(primitive, &a, isa, training, &r); /* touch everything */
    if (!training)
        a.weights = a.bias = NULL; /* as before */
    r.count = 0;
    for (size_t k = 0; k < 4 * wanted && r.count < wanted; k++)
        one_round(primitive, &a, isa, training, &r);
    double peak = 0;
    for (size_t k = 0; k < r.count; k++)
        peak = r.peak[k] > peak ? r.peak[k] : peak;
    const bool concat = lstm_primitive_route(primitive) == LSTM_ROUTE_CONCAT;
    for (int phase = 0; phase <= PHASES && r.count > 0; phase++) {
        if (phase < PHASES && calls[phase] == 0)
            continue;
        for (size_t k = 0; k < r.count; k++)
            r.seconds[phase][k] *= r.peak[k] / peak;
        qsort(r.seconds[phase], r.count, sizeof(double), ascending);
        const double seconds = r.seconds[phase][r.count / 2];
        printf("{\"mode\": \"%s\", \"B\": %zu, \"T\": %zu, \"I\": %zu, \"H\": %zu, "
               "\"level\": \"%s\", "
               "\"route\": \"%s\", \"phase\": \"%s\", \"calls\": %zu, \"rounds\": "
               "%zu, \"peak_gflops\": %.4g, "
               "\"seconds\": %.5g, \"fraction\": %.3f}\n",
               training ? "training" : "forward", s.batch, s.steps, s.input, s.hidden,
               machine_level(isa), concat ? "concat" : "split", names[phase],
               phase < PHASES ? calls[phase] : 1, r.count, peak, seconds,
               1e-9 * flops_of(phase, s, concat, training) / (seconds * peak));
    }
    fflush(stdout);
    a.weights = weights;
    a.bias = bias;
    free_arrays(&a);
    lstm_primitive_destroy(primitive);
}

static void refuse(const char *what)
{
    fprintf(stderr,
            "bench_phases: \"%s\" is not understood\n"
            "usage: bench_phases [--shape B,T,I,H] [--level "
            "generic|avx2|avx512|neon] [--rounds N] "
            "[--forward]\n",
            what);
    exit(2);
}

static shape read_shape(const char *text)
{
    shape s;
    char rest = 0;
    if (sscanf(text, "%zu,%zu,%zu,%zu%c", &s.batch, &s.steps, &s.input, &s.hidden, &rest) != 4 ||
        s.batch < 1 || s.steps < 1 || s.input < 1 || s.hidden < 1 || s.batch > 1 << 20 ||
        s.steps > 1 << 20 || s.input > 1 << 16 || s.hidden > 1 << 16)
        refuse(text);
    return s;
}

int main(int count_of, char **arguments)
{
    static const struct option options[] = {
        {"shape", required_argument, NULL, 's'},
        {"level", required_argument, NULL, 'l'},
        {"rounds", required_argument, NULL, 'r'},
        {"forward", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    static const char *const levels[] = {"", "generic", "avx2", "avx512", "neon"};
    lstm_context_options o = {.struct_size = sizeof o, .threads = 1, .blas_threads = 1};
    size_t wanted = 15;
    bool training = true;
    shape one = {0};
    for (int c; (c = getopt_long(count_of, arguments, "", options, NULL)) != -1;) {
        if (c == 's') {
            one = read_shape(optarg);
        } else if (c == 'l') {
            for (o.max_isa = 4; o.max_isa > 0 && strcmp(optarg, levels[o.max_isa]) != 0;)
                o.max_isa--;
            if (o.max_isa == 0)
                refuse(optarg);
        } else if (c == 'r') {
            wanted = (size_t)strtoul(optarg, NULL, 10);
            if (wanted < 1 || wanted > MOST_ROUNDS)
                refuse(optarg);
        } else if (c == 'f') {
            training = false;
        } else {
            refuse(arguments[optind - 1]);
        }
    }
    if (optind < count_of)
        refuse(arguments[optind]);
    lstm_context *context = NULL;
    ok(lstm_context_create(&context, &o), "context");
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        if (one.batch == 0)
            measure(context, shapes[k], wanted, training);
    if (one.batch > 0)
        measure(context, one, wanted, training);
    lstm_context_destroy(context);
    return 0;
}
