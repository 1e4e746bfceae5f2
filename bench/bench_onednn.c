/* SPDX-License-Identifier: MIT
 *
 * The forward pass of one LSTM layer in oneDNN 2 (Debian: libdnnl-dev), for peers.py.
 *
 *     OMP_NUM_THREADS=1 bench_onednn B,T,I,H
 *
 * As ours in bench_layer: weights in the layout of oneDNN's choice, made once; every output written.
 * One JSON object: seconds of one pass by the clock and for which the process held a core, of a run
 * of at least 20 ms.
 */
#include "machine_peak.h"

#include <dnnl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORIES = 8 };

typedef struct layer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[MEMORIES];
    int count;
} layer;

static void ok(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "bench_onednn: %s: status %d\n", what, (int)status);
    exit(1);
}

static dnnl_memory_desc_t describe(int dimensions, const dnnl_dim_t *sizes, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t description;
    ok(dnnl_memory_desc_init_by_tag(&description, dimensions, sizes, dnnl_f32, tag), "description");
    return description;
}

/* Memory with numbers in [-0.1, 0.1). */
static dnnl_memory_t make(const layer *l, const dnnl_memory_desc_t *description)
{
    dnnl_memory_t memory;
    void *data = NULL;
    uint32_t state = 1;
    ok(dnnl_memory_create(&memory, description, l->engine, DNNL_MEMORY_ALLOCATE), "memory");
    ok(dnnl_memory_get_data_handle(memory, &data), "memory");
    const size_t count = dnnl_memory_desc_get_size(description) / sizeof(float);
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525u + 1013904223u;
        ((float *)data)[k] = 0.1f * ((float)(state >> 8) * 0x1p-23f - 1);
    }
    return memory;
}

static void give(layer *l, int name, dnnl_memory_t memory)
{
    l->arguments[l->count++] = (dnnl_exec_arg_t){name, memory};
}

/* Weights in the layout that the primitive asks for. */
static dnnl_memory_t make_weights(const layer *l, const_dnnl_primitive_desc_t primitive, int name,
                                  const dnnl_memory_desc_t *plain)
{
    const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(primitive,
                                                                    dnnl_query_exec_arg_md, name);
    const dnnl_memory_t from = make(l, plain);
    const dnnl_memory_t to = make(l, wanted);
    dnnl_primitive_desc_t description;
    dnnl_primitive_t reorder;
    ok(dnnl_reorder_primitive_desc_create(&description, plain, l->engine, wanted, l->engine, NULL),
       "reorder");
    ok(dnnl_primitive_create(&reorder, description), "reorder");
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    ok(dnnl_primitive_execute(reorder, l->stream, 2, arguments), "reorder");
    ok(dnnl_stream_wait(l->stream), "reorder");
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(from);
    return to;
}

static layer make_layer(dnnl_dim_t batch, dnnl_dim_t steps, dnnl_dim_t inputs, dnnl_dim_t hidden)
{
    const dnnl_dim_t x[] = {steps, batch, inputs}, y[] = {steps, batch, hidden};
    const dnnl_dim_t kernel[] = {1, 1, inputs, 4, hidden}, recurrent[] = {1, 1, hidden, 4, hidden};
    const dnnl_dim_t bias[] = {1, 1, 4, hidden};
    const dnnl_memory_desc_t none = {0};
    const dnnl_memory_desc_t x_is = describe(3, x, dnnl_tnc);
    const dnnl_memory_desc_t y_is = describe(3, y, dnnl_tnc);
    const dnnl_memory_desc_t kernel_any = describe(5, kernel, dnnl_format_tag_any);
    const dnnl_memory_desc_t recurrent_any = describe(5, recurrent, dnnl_format_tag_any);
    const dnnl_memory_desc_t kernel_plain = describe(5, kernel, dnnl_ldigo);
    const dnnl_memory_desc_t recurrent_plain = describe(5, recurrent, dnnl_ldigo);
    const dnnl_memory_desc_t bias_is = describe(4, bias, dnnl_ldgo);
    dnnl_rnn_desc_t operation;
    dnnl_primitive_desc_t description;
    layer l = {0};
    ok(dnnl_engine_create(&l.engine, dnnl_cpu, 0), "engine");
    ok(dnnl_stream_create(&l.stream, l.engine, dnnl_stream_default_flags), "stream");
    ok(dnnl_lstm_forward_desc_init(&operation, dnnl_forward_inference,
                                   dnnl_unidirectional_left2right, &x_is, &none, &none, &kernel_any,
                                   &recurrent_any, &bias_is, &y_is, &none, &none, 0),
       "LSTM");
    ok(dnnl_primitive_desc_create(&description, &operation, NULL, l.engine, NULL), "LSTM");
    ok(dnnl_primitive_create(&l.primitive, description), "LSTM");
    give(&l, DNNL_ARG_SRC_LAYER, make(&l, &x_is));
    give(&l, DNNL_ARG_WEIGHTS_LAYER,
         make_weights(&l, description, DNNL_ARG_WEIGHTS_LAYER, &kernel_plain));
    give(&l, DNNL_ARG_WEIGHTS_ITER,
         make_weights(&l, description, DNNL_ARG_WEIGHTS_ITER, &recurrent_plain));
    give(&l, DNNL_ARG_BIAS, make(&l, &bias_is));
    give(&l, DNNL_ARG_DST_LAYER, make(&l, &y_is));
    dnnl_primitive_desc_destroy(description);
    return l;
}

static void destroy_layer(layer *l)
{
    for (int k = 0; k < l->count; k++)
        dnnl_memory_destroy(l->arguments[k].memory);
    dnnl_primitive_destroy(l->primitive);
    dnnl_stream_destroy(l->stream);
    dnnl_engine_destroy(l->engine);
}

static void run(const layer *l, size_t repeats)
{
    for (size_t k = 0; k < repeats; k++) {
        ok(dnnl_primitive_execute(l->primitive, l->stream, l->count, l->arguments), "LSTM");
        ok(dnnl_stream_wait(l->stream), "LSTM");
    }
}

int main(int count, char **arguments)
{
    long batch = 0, steps = 0, inputs = 0, hidden = 0;
    if (count != 2 ||
        sscanf(arguments[1], "%ld,%ld,%ld,%ld", &batch, &steps, &inputs, &hidden) != 4 ||
        batch < 1 || steps < 1 || inputs < 1 || hidden < 1) {
        fputs("usage: bench_onednn B,T,I,H\n", stderr);
        return 2;
    }
    layer l = make_layer(batch, steps, inputs, hidden);
    size_t repeats = 1;
    run(&l, 1);
    for (double seconds = 0; seconds < 0.02;) {
        const double start = machine_seconds();
        run(&l, repeats);
        seconds = machine_seconds() - start;
        repeats = seconds < 0.02 ? 2 * repeats : repeats;
    }
    const double start = machine_seconds();
    const double busy = machine_busy_seconds();
    run(&l, repeats);
    const double held = machine_busy_seconds() - busy;
    const double seconds = machine_seconds() - start;
    const dnnl_version_t *version = dnnl_version();
    printf("{\"version\": \"%d.%d.%d\", \"seconds\": %.6g, \"cpu_seconds\": %.6g}\n",
           version->major, version->minor, version->patch, seconds / (double)repeats,
           held / (double)repeats);
    destroy_layer(&l);
    return 0;
}
