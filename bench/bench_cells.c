/* SPDX-License-Identifier: MIT
 *
 * Speed of recurrent layers and of the LSTM's variants beside the plain LSTM, through the public
 * header alone.
 *
 *     bench_cells [--shape B,T,I,H] [--mode forward|training] [--cell NAME] [--samples N] [--threads N]
 *
 * What is left out is run through: three shapes, both modes, all cells. Each line is a JSON object.
 * A sample is one run of the plain LSTM and one of the cell, one after the other; `ratio` is the
 * median over samples of plain / cell, in time the threads held their cores for each multiply-add
 * that has to be done (those of padded steps have not): 1 = as fast as the plain cell, 0.5 = half.
 *
 * training  forward with the tape, then backward of a given dY to all gradients, weights packed anew
 */
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int64_t batch, steps, input, hidden;
} shape;

static const shape shapes[] = {{32, 50, 64, 128}, {64, 50, 256, 256}, {16, 50, 128, 128}};

/* What the padded batches leave out. */
enum { WHOLE, SORTED, UNSORTED, VALUES /* unsorted, told by a Masking layer alone */ };

typedef struct cell {
    const char *name, *type;
    const char *options; /* %d: half of the units */
    double gates;        /* products of H (H + I) a step */
    int padding;
} cell;

static const cell cells[] = {
    {"plain", "LSTM", "", 4, WHOLE},
    {"sorted lengths", "LSTM", "", 4, SORTED},
    {"unsorted lengths", "LSTM", "", 4, UNSORTED},
    {"unsorted, Masking", "LSTM", "", 4, VALUES},
    {"dropout", "LSTM", ", \"dropout\": 0.25", 4, WHOLE},
    {"dropconnect", "LSTM", ", \"recurrent_dropconnect\": 0.25", 4, WHOLE},
    {"projection", "LSTM", ", \"proj_size\": %d", 4, WHOLE},
    {"peepholes", "LSTM", ", \"peepholes\": true", 4, WHOLE},
    {"f = 1 - i", "LSTM", ", \"coupled_gates\": \"forget\"", 4, WHOLE},
    {"i = 1 - f", "LSTM", ", \"coupled_gates\": \"input\"", 4, WHOLE},
    {"clips", "LSTM", ", \"gate_clip\": 3, \"cell_clip\": 3", 4, WHOLE},
    {"zoneout", "LSTM", ", \"zoneout_h\": 0.1, \"zoneout_c\": 0.1", 4, WHOLE},
    {"layer norm ba", "LSTM", ", \"layer_norm\": \"ba\"", 4, WHOLE},
    {"layer norm tflite", "LSTM", ", \"layer_norm\": \"tflite\"", 4, WHOLE},
    {"layer norm tf", "LSTM", ", \"layer_norm\": \"tf\"", 4, WHOLE},
    {"recurrent dropout", "LSTM", ", \"recurrent_dropout\": 0.25", 4, WHOLE},
    {"LSTMP", "LSTM", ", \"proj_size\": %d, \"peepholes\": true, \"cell_clip\": 3", 4, WHOLE},
    {"GRU", "GRU", "", 3, WHOLE},
    {"GRU, reset before", "GRU", ", \"reset_after\": false", 3, WHOLE},
    {"SimpleRNN", "SimpleRNN", "", 1, WHOLE},
};

enum { CELLS = sizeof cells / sizeof cells[0], SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct layer {
    lstm_model *model;
    lstm_session *session;
    lstm_data data;
    float *dy;
    size_t outputs;
    int training;
    double work; /* multiply-adds */
} layer;

static void need(lstm_status status)
{
    if (status == LSTM_OK)
        return;
    fprintf(stderr, "bench_cells: %s\n", lstm_last_error());
    exit(1);
}

static float *numbers(size_t count, float scale)
{
    float *p = malloc((count + 1) * sizeof *p);
    uint32_t state = 12345;
    if (!p) {
        fprintf(stderr, "bench_cells: no memory for %zu numbers\n", count);
        exit(1);
    }
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525u + 1013904223u;
        p[k] = scale * ((float)(state >> 8) * 0x1p-23f - 1);
    }
    return p;
}

/* Lengths from T/4 to T, falling or mixed; returns their sum. */
static int64_t make_lengths(const shape *s, int padding, int32_t *lengths)
{
    int64_t sum = 0;
    for (int64_t b = 0; b < s->batch; b++) {
        const int64_t place = padding >= UNSORTED ? b * 7919 % s->batch : b;
        lengths[b] = (int32_t)(s->steps - place * (s->steps - s->steps / 4) / s->batch);
        sum += lengths[b];
    }
    return sum;
}

/* Zeros in place of lengths. */
static void pad_values(layer *l, const shape *s)
{
    float *x = (float *)(void *)l->data.x;
    for (int64_t t = 0; t < s->steps; t++)
        for (int64_t b = 0; b < s->batch; b++)
            if (t >= l->data.lengths[b])
                memset(x + (t * s->batch + b) * s->input, 0, (size_t)s->input * sizeof *x);
    free((void *)l->data.lengths);
    l->data.lengths = NULL;
    l->data.lengths_count = 0;
}

static layer make_layer(lstm_context *context, const cell *c, const shape *s, int training)
{
    char options[160];
    char text[512];
    layer l = {.training = training};
    const int half = (int)(s->hidden / 2);
    const int projected = strstr(c->options, "proj_size") != NULL;
    const int64_t width = projected ? half : s->hidden;
    int64_t steps = s->batch * s->steps;
    snprintf(options, sizeof options, "%s", c->options);
    if (projected) { /* the only option with a number of the shape */
        const char *number = strstr(c->options, "%d");
        snprintf(options, sizeof options, "%.*s%d%s", (int)(number - c->options), c->options, half,
                 number + 2);
    }
    snprintf(text, sizeof text,
             "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, %lld]}, %s{\"type\": \"%s\", "
             "\"units\": %lld, \"return_sequences\": true%s}]}",
             (long long)s->input, c->padding == VALUES ? "{\"type\": \"Masking\"}, " : "", c->type,
             (long long)s->hidden, options);
    need(lstm_model_from_json(&l.model, context, text, strlen(text)));
    const lstm_session_options plan = {.struct_size = sizeof plan,
                                       .training = training ? LSTM_YES : LSTM_NO,
                                       .batch = s->batch,
                                       .steps = s->steps};
    need(lstm_session_create(&l.session, l.model, &plan));
    l.outputs = (size_t)(steps * width);
    l.dy = numbers(l.outputs, 0.01f);
    l.data = (lstm_data){.struct_size = sizeof l.data,
                         .layout = LSTM_LAYOUT_TIME_FIRST,
                         .samples = s->batch,
                         .x_count = (size_t)(steps * s->input)};
    l.data.x = numbers(l.data.x_count, 1);
    if (c->padding != WHOLE) {
        int32_t *lengths = malloc((size_t)s->batch * sizeof *lengths);
        if (!lengths)
            exit(1);
        steps = make_lengths(s, c->padding, lengths);
        l.data.lengths = lengths;
        l.data.lengths_count = (size_t)s->batch;
    }
    if (c->padding == VALUES)
        pad_values(&l, s);
    l.work = (double)steps * (c->gates * (double)(s->hidden * (width + s->input)) +
                              (projected ? (double)(s->hidden * width) : 0));
    return l;
}

static void destroy_layer(layer *l)
{
    lstm_session_destroy(l->session);
    lstm_model_destroy(l->model);
    free((void *)l->data.x);
    free((void *)l->data.lengths);
    free(l->dy);
}

static void run(layer *l)
{
    need(lstm_session_forward(l->session, &l->data));
    if (!l->training)
        return;
    need(lstm_session_set_output_gradient(l->session, 0, l->dy, l->outputs));
    need(lstm_session_backward(l->session));
}

static double time_run(layer *l)
{
    const double start = machine_busy_seconds();
    run(l);
    return machine_busy_seconds() - start;
}

static void measure(lstm_context *context, const cell *c, const shape *s, int training,
                    size_t samples)
{
    layer plain = make_layer(context, &cells[0], s, training);
    layer own = make_layer(context, c, s, training);
    double ratios[MOST_SAMPLES];
    double seconds[MOST_SAMPLES];
    run(&plain);
    run(&own);
    for (size_t k = 0; k < samples; k++) {
        const double before = time_run(&plain);
        seconds[k] = time_run(&own);
        ratios[k] = (before / plain.work) / (seconds[k] / own.work);
    }
    const double median = machine_median(seconds, samples);
    printf(
        "{\"cell\": \"%s\", \"mode\": \"%s\", \"B\": %lld, \"T\": %lld, \"I\": %lld, \"H\": %lld, "
        "\"cpu_seconds\": %.6g, \"gflops\": %.4g, \"ratio\": %.3f}\n",
        c->name, training ? "training" : "forward", (long long)s->batch, (long long)s->steps,
        (long long)s->input, (long long)s->hidden, median,
        2e-9 * own.work * (training ? 3 : 1) / median, machine_median(ratios, samples));
    fflush(stdout);
    destroy_layer(&plain);
    destroy_layer(&own);
}

static const char usage[] = "usage: bench_cells [--shape B,T,I,H] [--mode forward|training] "
                            "[--cell NAME] [--samples N] [--threads N]\n";

static void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static shape read_shape(const char *text)
{
    long long b = 0, t = 0, i = 0, h = 0;
    char rest = 0;
    if (sscanf(text, "%lld,%lld,%lld,%lld%c", &b, &t, &i, &h, &rest) != 4 || b < 1 || t < 4 ||
        i < 1 || h < 2 || b > 1 << 20 || t > 1 << 20 || i > 1 << 16 || h > 1 << 16)
        refuse();
    return (shape){b, t, i, h};
}

static const cell *read_cell(const char *name)
{
    for (size_t k = 0; k < CELLS; k++)
        if (strcmp(cells[k].name, name) == 0)
            return &cells[k];
    refuse();
    return NULL;
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        {"shape", required_argument, NULL, 's'},   {"mode", required_argument, NULL, 'm'},
        {"cell", required_argument, NULL, 'c'},    {"samples", required_argument, NULL, 'n'},
        {"threads", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
    shape own = {0, 0, 0, 0};
    const cell *only = NULL;
    int mode = -1;
    long samples = 9;
    long threads = 1;
    lstm_context *context = NULL;
    for (int c; (c = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (c == 's')
            own = read_shape(optarg);
        else if (c == 'c')
            only = read_cell(optarg);
        else if (c == 'm' && strcmp(optarg, "forward") == 0)
            mode = 0;
        else if (c == 'm' && strcmp(optarg, "training") == 0)
            mode = 1;
        else if (c == 'n')
            samples = strtol(optarg, NULL, 10);
        else if (c == 't')
            threads = strtol(optarg, NULL, 10);
        else
            refuse();
    }
    if (samples < 1 || samples > MOST_SAMPLES || threads < 1 || threads > 256 || optind < count)
        refuse();
    const lstm_context_options wanted = {.struct_size = sizeof wanted, .threads = (int32_t)threads};
    need(lstm_context_create(&context, &wanted));
    for (size_t s = 0; s < (own.batch ? 1 : SHAPES); s++)
        for (int m = 0; m < 2; m++)
            for (size_t k = 0; k < CELLS; k++)
                if ((mode < 0 || m == mode) && (!only || only == &cells[k]))
                    measure(context, &cells[k], own.batch ? &own : &shapes[s], m, (size_t)samples);
    lstm_context_destroy(context);
    return 0;
}
