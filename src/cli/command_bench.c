/* SPDX-License-Identifier: MIT
 *
 * `lstm bench`: how fast one LSTM layer runs on this machine, forward and in training.
 *
 * A call of the layer over a whole sequence is repeated for a while; the median time counts. Work
 * is counted as 2 B T 4H (I + H) floating-point operations forward, three times that for training
 * (forward, gradient of the data, gradient of the weights), as everybody does; activations are not
 * counted.
 */
#include "command.h"
#include "messages.h"
#include "text_table.h"

#include <lstm/lstm.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPEAT_LIMIT 20000

typedef struct shape {
    int64_t batch, steps, features, units;
} shape;

/* The tutorial's network; one sequence at a time; training batches, medium and large. */
static const shape default_shapes[] = {{32, 28, 1, 32},
                                       {1, 100, 128, 128},
                                       {8, 100, 256, 256},
                                       {64, 50, 256, 256},
                                       {64, 25, 1024, 1024}};

typedef struct bench_arrays {
    float *weights, *bias, *x, *y, *dy, *dx, *dweights, *dbias;
} bench_arrays;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

/* `count` numbers in [-scale, scale) from a fixed sequence (xorshift, Marsaglia 2003). */
static float *numbers(size_t count, float scale)
{
    float *values = malloc((count + 1) * sizeof *values);
    uint32_t state = 2463534242u;
    for (size_t i = 0; values != NULL && i < count; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        values[i] = scale * ((float)(state >> 8) / 8388608.0f - 1.0f);
    }
    return values;
}

static void free_arrays(bench_arrays *a)
{
    float *all[] = {a->weights, a->bias, a->x, a->y, a->dy, a->dx, a->dweights, a->dbias};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]);
    }
}

static int make_arrays(bench_arrays *a, const shape *s)
{
    const size_t matrix = (size_t)((s->features + s->units) * 4 * s->units);
    const size_t input = (size_t)(s->steps * s->batch * s->features);
    const size_t output = (size_t)(s->steps * s->batch * s->units);
    const float scale = 1.0f / sqrtf((float)s->units);
    *a = (bench_arrays){numbers(matrix, scale), numbers((size_t)(4 * s->units), scale),
                        numbers(input, 1),      numbers(output, 0),
                        numbers(output, 1),     numbers(input, 0),
                        numbers(matrix, 0),     numbers((size_t)(4 * s->units), 0)};
    return a->weights && a->bias && a->x && a->y && a->dy && a->dx && a->dweights && a->dbias
               ? EXIT_DONE
               : message_error(
                     EXIT_WORK,
                     "out of memory for batch %lld, %lld steps, %lld features, %lld units",
                     (long long)s->batch, (long long)s->steps, (long long)s->features,
                     (long long)s->units);
}

/* Median seconds of a call, and the route that the library chose. */
static int measure(lstm_context *context, const shape *s, int training, double limit,
                   double *seconds, int32_t *route)
{
    bench_arrays a = {0};
    lstm_primitive *primitive = NULL;
    double *times = malloc(REPEAT_LIMIT * sizeof *times);
    int code = EXIT_DONE;
    NEED(make_arrays(&a, s));
    const lstm_primitive_options options = {.struct_size = sizeof options,
                                            .training = training ? LSTM_YES : LSTM_NO,
                                            .input_size = s->features,
                                            .hidden_size = s->units,
                                            .batch = s->batch,
                                            .steps = s->steps};
    CHECK(lstm_primitive_create(&primitive, context, &options), NULL);
    *route = lstm_primitive_route(primitive);
    const lstm_primitive_arrays arrays = {.struct_size = sizeof arrays,
                                          .batch = s->batch,
                                          .steps = s->steps,
                                          .weights = a.weights,
                                          .bias = a.bias,
                                          .x = a.x,
                                          .y = a.y,
                                          .dy = a.dy,
                                          .dx = a.dx,
                                          .dweights = a.dweights,
                                          .dbias = a.dbias};
    size_t count = 0;
    const double begin = now();
    for (int warm = 0;
         times != NULL && count < REPEAT_LIMIT && (count < 3 || now() - begin < limit);) {
        const double start = now();
        CHECK(lstm_primitive_forward(primitive, &arrays), NULL);
        if (training) {
            CHECK(lstm_primitive_backward(primitive, &arrays), NULL);
        }
        if (warm) {
            times[count++] = now() - start;
        }
        warm = 1; /* the first call touches memory for the first time */
    }
    if (count == 0) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    qsort(times, count, sizeof *times, compare);
    *seconds = times[count / 2];
out:
    free(times);
    lstm_primitive_destroy(primitive);
    free_arrays(&a);
    return code;
}

static double work_of(const shape *s, int training)
{
    return (training ? 3.0 : 1.0) * 8.0 * (double)s->batch * (double)s->steps * (double)s->units *
           (double)(s->features + s->units);
}

static void print_json(const shape *s, int training, double seconds, int32_t route,
                       const lstm_context *context)
{
    const char *isa = lstm_constant_name(LSTM_NAMES_ISA, lstm_context_isa(context));
    printf("{\"mode\":\"%s\",\"B\":%lld,\"T\":%lld,\"I\":%lld,\"H\":%lld,\"threads\":%d,\"route\":"
           "\"%s\","
           "\"level\":\"%s\",\"blas\":\"%s\",\"seconds\":%.9g,\"gflops\":%.6g}\n",
           training ? "training" : "forward", (long long)s->batch, (long long)s->steps,
           (long long)s->features, (long long)s->units, (int)lstm_context_threads(context),
           route == LSTM_ROUTE_CONCAT ? "concat" : "split", isa == NULL ? "unknown" : isa,
           lstm_context_blas(context), seconds, work_of(s, training) / seconds * 1e-9);
    fflush(stdout);
}

static void duration(char *text, size_t size, double seconds)
{
    if (seconds < 1e-3) {
        snprintf(text, size, "%.1f us", seconds * 1e6);
    } else if (seconds < 1) {
        snprintf(text, size, "%.2f ms", seconds * 1e3);
    } else {
        snprintf(text, size, "%.2f s", seconds);
    }
}

static int bench_shape(lstm_context *context, const shape *s, double limit, int json,
                       text_table *table)
{
    double seconds[2] = {0, 0};
    int32_t route[2] = {0, 0};
    for (int training = 0; training < 2; training++) {
        const int code = measure(context, s, training, limit, &seconds[training], &route[training]);
        if (code != EXIT_DONE) {
            return code;
        }
        if (json) {
            print_json(s, training, seconds[training], route[training], context);
        }
    }
    char cells[8][32];
    snprintf(cells[0], sizeof cells[0], "%lld", (long long)s->batch);
    snprintf(cells[1], sizeof cells[1], "%lld", (long long)s->steps);
    snprintf(cells[2], sizeof cells[2], "%lld", (long long)s->features);
    snprintf(cells[3], sizeof cells[3], "%lld", (long long)s->units);
    for (int training = 0; training < 2; training++) {
        duration(cells[4 + 2 * training], sizeof cells[0], seconds[training]);
        snprintf(cells[5 + 2 * training], sizeof cells[0], "%.1f",
                 work_of(s, training) / seconds[training] * 1e-9);
    }
    text_table_row(table, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6],
                   cells[7]);
    return EXIT_DONE;
}

/* "B,T,I,H" */
static int read_shape(shape *s, const char *text)
{
    parts sizes = {0};
    int64_t values[4] = {0, 0, 0, 0};
    int good = 1;
    const int code = parts_split(&sizes, text, "--shape");
    if (code != EXIT_DONE) {
        return code;
    }
    for (size_t i = 0; i < 4; i++) {
        good = good && sizes.count == 4 && parse_integer(sizes.items[i], &values[i]) &&
               values[i] >= 1 && values[i] <= 1000000;
    }
    parts_release(&sizes);
    *s = (shape){values[0], values[1], values[2], values[3]};
    const double total = (double)s->batch * (double)s->steps *
                             (double)(s->features + 4 * s->units) +
                         (double)s->units * (double)(s->features + s->units) * 4;
    if (!good || total > 1e10) {
        return message_error(
            EXIT_USE,
            "--shape takes batch,steps,features,units (1 to 1000000 each, at most 1e10 numbers "
            "in all), not \"%s\"",
            text);
    }
    return EXIT_DONE;
}

static int run_bench(const arguments *line)
{
    const int json = arguments_choice(line, "format") == 1;
    const size_t given = arguments_given(line, "shape");
    const size_t count = given > 0 ? given : sizeof default_shapes / sizeof default_shapes[0];
    lstm_context *context = NULL;
    shape *shapes = calloc(count, sizeof *shapes);
    text_table *table = text_table_create(8, ">>>>>>>>");
    int code = EXIT_DONE;
    if (shapes == NULL || table == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        if (given == 0) {
            shapes[i] = default_shapes[i];
        } else {
            NEED(read_shape(&shapes[i], arguments_item(line, "shape", i)));
        }
    }
    NEED(arguments_context(line, &context));
    text_table_row(table, "batch", "steps", "features", "units", "forward", "GFLOP/s", "training",
                   "GFLOP/s");
    text_table_rule(table);
    for (size_t i = 0; i < count; i++) {
        NEED(bench_shape(context, &shapes[i], arguments_real(line, "seconds"), json, table));
    }
    if (!json) {
        const char *isa = lstm_constant_name(LSTM_NAMES_ISA, lstm_context_isa(context));
        printf("One LSTM layer, %s kernels, BLAS %s, %d thread%s; median time of a call over the "
               "whole sequence\n\n",
               isa == NULL ? "unknown" : isa, lstm_context_blas(context),
               (int)lstm_context_threads(context), lstm_context_threads(context) == 1 ? "" : "s");
        code = text_table_print(table, stdout);
    }
out:
    text_table_destroy(table);
    free(shapes);
    lstm_context_destroy(context);
    return code;
}

static const char *const formats[] = {"table", "json", NULL};

static const option_spec options_of_bench[] = {
    {.name = "shape",
     .kind = OPTION_LIST,
     .metavar = "B,T,I,H",
     .help = "batch, steps, features, units to measure instead of the usual ones"},
    {.name = "seconds",
     .kind = OPTION_REAL,
     .metavar = "S",
     .minimum = 0,
     .maximum = 3600,
     .open_low = 1,
     .value = "0.5",
     .help = "how long to repeat each measurement"},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .metavar = "FORMAT",
     .choices = formats,
     .value = "table",
     .help = "a table, or one JSON object a measurement"},
    {.name = NULL}};

const command command_bench = {
    .name = "bench",
    .group = COMMAND_GROUP_OTHER,
    .summary = "how fast an LSTM layer runs on this machine",
    .synopsis = "[--shape B,T,I,H]... [--threads N]",
    .examples = "lstm bench --threads 1\nlstm bench --shape 16,50,300,300 --format json",
    .options = options_of_bench,
    .operand_min = 0,
    .operand_max = 0,
    .run = run_bench,
};
