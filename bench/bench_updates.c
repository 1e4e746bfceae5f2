/* SPDX-License-Identifier: MIT
 *
 * Updates of a model that is larger than the caches: bytes a second that go through each
 * optimizer's kernel, beside what copying reaches, taking turns.
 *
 *     bench_updates [LEVEL [MEGABYTES [SAMPLES]]]     defaults: the CPU's highest, 64 an array, 9
 *
 * One JSON object a line. Bytes are those that have to be read and written once: of Adam w, g, m,
 * v and w, m, v. Copying is memcpy, which counts read and written bytes too. Times are those for
 * which the thread held a core.
 */
#include "cpu.h"
#include "kernels.h"
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAYS = 4 };

typedef struct job {
    const lstm__kernels *kernels;
    size_t count;
    float *arrays[ARRAYS]; /* w, g, m, v */
} job;

static void copy(const job *j)
{
    memcpy(j->arrays[3], j->arrays[1], j->count * sizeof(float));
}

static void adam(const job *j)
{
    const lstm__adam_step step = {
        .rate = 1e-6f, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f, .root_scale = 1};
    j->kernels->adam(j->count, &step, j->arrays[0], j->arrays[1], j->arrays[2], j->arrays[3], NULL);
}

static void adamw(const job *j)
{
    const lstm__adam_step step = {.rate = 1e-6f,
                                  .beta_1 = 0.9f,
                                  .beta_2 = 0.999f,
                                  .epsilon = 1e-7f,
                                  .root_scale = 1,
                                  .decay = 1e-6f};
    j->kernels->adam(j->count, &step, j->arrays[0], j->arrays[1], j->arrays[2], j->arrays[3], NULL);
}

static void sgd(const job *j)
{
    const lstm__sgd_step step = {.rate = 1e-6f};
    j->kernels->sgd(j->count, &step, j->arrays[0], j->arrays[1], NULL);
}

static void momentum(const job *j)
{
    const lstm__sgd_step step = {.rate = 1e-6f, .momentum = 0.9f, .keras = 1};
    j->kernels->sgd(j->count, &step, j->arrays[0], j->arrays[1], j->arrays[2]);
}

static void rmsprop(const job *j)
{
    const lstm__rmsprop_step step = {.rate = 1e-6f, .rho = 0.9f, .epsilon = 1e-7f, .keras = 1};
    j->kernels->rmsprop(j->count, &step, j->arrays[0], j->arrays[1], j->arrays[3], NULL, NULL);
}

static const struct update {
    const char *name;
    void (*run)(const job *job);
    int touched; /* arrays read and arrays written */
} updates[] = {
    {"copy", copy, 2},       {"sgd", sgd, 3},   {"momentum", momentum, 5},
    {"rmsprop", rmsprop, 5}, {"adam", adam, 7}, {"adamw", adamw, 7},
};

enum { UPDATES = sizeof updates / sizeof updates[0] };

static void measure(const job *j, size_t samples)
{
    static double rates[UPDATES][MOST_SAMPLES];
    char cpu[128];
    machine_name(cpu, sizeof cpu);
    for (size_t s = 0; s < samples; s++)
        for (size_t u = 0; u < UPDATES; u++) {
            const double start = machine_busy_seconds();
            updates[u].run(j);
            rates[u][s] = 1e-9 * (double)(j->count * sizeof(float)) * updates[u].touched /
                          (machine_busy_seconds() - start);
        }
    const double copied = machine_median(rates[0], samples);
    for (size_t u = 0; u < UPDATES; u++) {
        const double rate = machine_median(rates[u], samples);
        printf("{\"update\": \"%s\", \"level\": \"%s\", \"cpu\": \"%s\", \"elements\": %zu, "
               "\"gigabytes_per_second\": %.4g, \"of_copy\": %.3g}\n",
               updates[u].name, j->kernels->name, cpu, j->count, rate, rate / copied);
    }
}

int main(int count, char **arguments)
{
    int32_t isa = lstm__cpu_level(0);
    const long megabytes = count > 2 ? strtol(arguments[2], NULL, 10) : 64;
    const long samples = count > 3 ? strtol(arguments[3], NULL, 10) : 9;
    for (int32_t k = LSTM_ISA_GENERIC; count > 1 && k <= LSTM_ISA_NEON; k++)
        if (strcmp(arguments[1], machine_level(k)) == 0 && lstm__cpu_supports(k))
            isa = k;
    if (count > 4 || megabytes < 1 || samples < 1 || samples > MOST_SAMPLES ||
        (count > 1 && strcmp(arguments[1], machine_level(isa)) != 0)) {
        fprintf(stderr, "usage: bench_updates [LEVEL [MEGABYTES [SAMPLES 1..%d]]]\n", MOST_SAMPLES);
        return 2;
    }
    job j = {.kernels = lstm__kernels_for(isa), .count = (size_t)megabytes << 18};
    for (int k = 0; k < ARRAYS; k++) {
        j.arrays[k] = aligned_alloc(64, j.count * sizeof(float));
        if (!j.arrays[k]) {
            fprintf(stderr, "bench_updates: no memory for %ld MB\n", megabytes);
            return 1;
        }
        for (size_t e = 0; e < j.count; e++)
            j.arrays[k][e] = (float)(e % 1009) / 1009;
    }
    const uint64_t mode = lstm__denormals_flush();
    measure(&j, (size_t)samples | 1);
    lstm__denormals_restore(mode);
    for (int k = 0; k < ARRAYS; k++)
        free(j.arrays[k]);
    return 0;
}
