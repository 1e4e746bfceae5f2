/* SPDX-License-Identifier: MIT
 *
 * Speed of the kernels, level by level, beside what the machine can do: one JSON object a line.
 *
 *     bench_kernels [LEVEL ...]        generic, avx2, avx512, neon; all that the CPU supports if none is named
 *
 * First the machine's multiply-add peak and its read bandwidth for blocks that fit in the first,
 * second, third cache and in none. Then each kernel on arrays that stay in the second cache:
 * nanoseconds an element (of a cell kernel: a unit), median of SAMPLES.
 */
#include "cpu.h"
#include "kernels.h"
#include "machine_peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 15, ROWS = 16, UNITS = 256, COUNT = ROWS * UNITS };

static const double SAMPLE_SECONDS = 0.004;

/* Every kernel works on these; the cell kernels take gates, the others the first COUNT. */
typedef struct arrays {
    float gates[4 * COUNT], kept[4 * COUNT];
    float a[COUNT], b[COUNT], c[COUNT], d[COUNT], e[COUNT];
} arrays;

typedef void bench_function(const lstm__kernels *k, arrays *x);

/* A step without a product: what the mathematics of the cell takes. Backward overwrites what it
 * reads, so that is copied in first; see "copy" for what the copy takes. */
static void copy(const lstm__kernels *k, arrays *x)
{
    k->copy_rows(ROWS, 4 * UNITS, x->kept, 4 * UNITS, x->gates, 4 * UNITS, 0);
}

static void cell_forward(const lstm__kernels *k, arrays *x)
{
    const lstm__step_forward step = {
        .rows = ROWS,
        .units = UNITS,
        .a = x->a,
        .packed = x->kept,
        .start = x->kept,
        .ld_start = 4 * UNITS,
        .gates = x->gates,
        .ld_gates = 4 * UNITS,
        .c_previous = x->a,
        .c = x->b,
        .tanh_c = x->c,
        .ld_cell = UNITS,
        .h = x->d,
        .ld_h = UNITS,
    };
    k->step_forward(&step, 0, UNITS / k->lanes);
}

static void cell_backward(const lstm__kernels *k, arrays *x)
{
    copy(k, x);
    const lstm__step_backward step = {
        .rows = ROWS,
        .units = UNITS,
        .gates = x->gates,
        .ld_gates = 4 * UNITS,
        .c_previous = x->a,
        .tanh_c = x->b,
        .dc = x->e,
        .ld_cell = UNITS,
        .dy = x->c,
        .ld_dy = UNITS,
    };
    k->step_backward(&step, 0, lstm__panels(k->cross_vectors, UNITS / k->lanes));
}

static void tanh_forward(const lstm__kernels *k, arrays *x)
{
    k->activation_forward(LSTM_ACTIVATION_TANH, COUNT, x->a, x->b);
}

static void sigmoid_forward(const lstm__kernels *k, arrays *x)
{
    k->activation_forward(LSTM_ACTIVATION_SIGMOID, COUNT, x->a, x->b);
}

static void exponential_forward(const lstm__kernels *k, arrays *x)
{
    k->activation_forward(LSTM_ACTIVATION_EXPONENTIAL, COUNT, x->a, x->b);
}

static void softmax_forward(const lstm__kernels *k, arrays *x)
{
    k->softmax_forward(ROWS, UNITS, x->a, UNITS, x->b, UNITS);
}

static void column_sum(const lstm__kernels *k, arrays *x)
{
    k->column_sum(ROWS, UNITS, x->a, UNITS, x->b, 0);
}

static void sum_squares(const lstm__kernels *k, arrays *x)
{
    x->b[0] = (float)k->sum_squares(COUNT, x->a);
}

static void adam(const lstm__kernels *k, arrays *x)
{
    const lstm__adam_step step = {
        .rate = 1e-6f, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f, .root_scale = 1};
    k->adam(COUNT, &step, x->a, x->b, x->c, x->d, NULL);
}

static void adagrad(const lstm__kernels *k, arrays *x)
{
    const lstm__adagrad_step step = {.rate = 1e-6f, .epsilon = 1e-7f, .keras = 1};
    k->adagrad(COUNT, &step, x->a, x->b, x->c);
}

static void adadelta(const lstm__kernels *k, arrays *x)
{
    const lstm__adadelta_step step = {.rate = 1e-6f, .rho = 0.95f, .epsilon = 1e-7f};
    k->adadelta(COUNT, &step, x->a, x->b, x->c, x->d);
}

static void adamax(const lstm__kernels *k, arrays *x)
{
    const lstm__adamax_step step = {
        .rate = 1e-6f, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f};
    k->adamax(COUNT, &step, x->a, x->b, x->c, x->d);
}

static void lion(const lstm__kernels *k, arrays *x)
{
    const lstm__lion_step step = {.rate = 1e-6f, .beta_1 = 0.9f, .beta_2 = 0.99f};
    k->lion(COUNT, &step, x->a, x->b, x->c);
}

static const struct {
    const char *name;
    bench_function *run;
} benches[] = {
    {"copy", copy},
    {"cell_forward", cell_forward},
    {"cell_backward", cell_backward},
    {"tanh", tanh_forward},
    {"sigmoid", sigmoid_forward},
    {"exponential", exponential_forward},
    {"softmax", softmax_forward},
    {"column_sum", column_sum},
    {"sum_squares", sum_squares},
    {"adam", adam},
    {"adagrad", adagrad},
    {"adadelta", adadelta},
    {"adamax", adamax},
    {"lion", lion},
};

/* Numbers in [0, 1), always the same. */
static void fill(float *p, size_t count, uint32_t seed)
{
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        p[k] = (float)(seed >> 8) * 0x1p-24f;
    }
}

static void fill_arrays(arrays *x)
{
    fill(x->kept, 4 * COUNT, 1);
    fill(x->gates, 4 * COUNT, 2);
    fill(x->a, COUNT, 4);
    fill(x->b, COUNT, 5);
    fill(x->c, COUNT, 6);
    fill(x->d, COUNT, 7);
    fill(x->e, COUNT, 8);
}

static double time_runs(bench_function *run, const lstm__kernels *k, arrays *x, size_t repeats)
{
    const double start = machine_seconds();
    for (size_t r = 0; r < repeats; r++)
        run(k, x);
    return machine_seconds() - start;
}

static void measure(size_t bench, const lstm__kernels *k, arrays *x, const char *cpu)
{
    fill_arrays(x);
    size_t repeats = 1;
    for (double last = 0; last < SAMPLE_SECONDS / 2;
         last = time_runs(benches[bench].run, k, x, repeats))
        repeats *= 2;
    double seconds[SAMPLES];
    for (size_t s = 0; s < SAMPLES; s++)
        seconds[s] = time_runs(benches[bench].run, k, x, repeats) / (double)repeats;
    printf("{\"kernel\": \"%s\", \"level\": \"%s\", \"cpu\": \"%s\", \"elements\": %d, "
           "\"ns_per_element\": %.4g}\n",
           benches[bench].name, k->name, cpu, COUNT,
           1e9 * machine_median(seconds, SAMPLES) / COUNT);
}

static void measure_machine(int32_t isa, const char *cpu)
{
    static const size_t sizes[] = {16 << 10, 256 << 10, 4 << 20, 256 << 20};
    double values[SAMPLES];
    for (size_t s = 0; s < SAMPLES; s++)
        values[s] = machine_peak(isa, 1, 0.004);
    printf("{\"machine\": \"peak\", \"level\": \"%s\", \"cpu\": \"%s\", \"gflops\": %.4g}\n",
           machine_level(isa), cpu, machine_median(values, SAMPLES));
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        for (size_t s = 0; s < 3; s++)
            values[s] = machine_read_bandwidth(isa, sizes[k], 0.02);
        printf("{\"machine\": \"read\", \"level\": \"%s\", \"cpu\": \"%s\", \"bytes\": %zu, "
               "\"gigabytes_per_second\": %.4g}\n",
               machine_level(isa), cpu, sizes[k], machine_median(values, 3));
    }
}

static int wanted(int32_t isa, int count, char **arguments)
{
    for (int k = 1; k < count; k++)
        if (strcmp(arguments[k], machine_level(isa)) == 0)
            return 1;
    return count == 1;
}

int main(int count, char **arguments)
{
    for (int k = 1; k < count; k++) {
        int known = 0;
        for (int32_t isa = LSTM_ISA_GENERIC; isa <= LSTM_ISA_NEON; isa++)
            known |= strcmp(arguments[k], machine_level(isa)) == 0 && lstm__cpu_supports(isa);
        if (!known) {
            fprintf(stderr,
                    "bench_kernels: \"%s\" is no level of this CPU\n"
                    "usage: bench_kernels [generic] [avx2] [avx512] [neon]\n",
                    arguments[k]);
            return 2;
        }
    }
    arrays *const x = malloc(sizeof *x);
    if (!x) {
        fprintf(stderr, "bench_kernels: no memory for %zu bytes\n", sizeof *x);
        return 1;
    }
    char cpu[128];
    machine_name(cpu, sizeof cpu);
    for (int32_t isa = LSTM_ISA_GENERIC; isa <= LSTM_ISA_NEON; isa++) {
        if (!lstm__cpu_supports(isa) || !wanted(isa, count, arguments))
            continue;
        measure_machine(isa, cpu);
        const uint64_t mode = lstm__denormals_flush();
        for (size_t bench = 0; bench < sizeof benches / sizeof benches[0]; bench++)
            measure(bench, lstm__kernels_for(isa), x, cpu);
        lstm__denormals_restore(mode);
    }
    free(x);
    return 0;
}
