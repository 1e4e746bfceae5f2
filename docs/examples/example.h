/* SPDX-License-Identifier: MIT
 * What the examples share, so that each can be read on one page: stop at the first error with the
 * library's message, options with defaults, options of the program (--short, --seed N, --epochs N,
 * a data folder), random numbers.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <lstm/lstm.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Stop with the library's message unless a call succeeds. */
#define DO(call)                                                          \
    do {                                                                  \
        if ((call) != LSTM_OK) {                                          \
            fprintf(stderr, "%s\n    in %s\n", lstm_last_error(), #call); \
            exit(1);                                                      \
        }                                                                 \
    } while (0)

/* Options of a call: OPTIONS(lstm_dense, .units = 9) */
#define OPTIONS(type, ...) (&(type##_options){.struct_size = sizeof(type##_options), __VA_ARGS__})

/* The program's arguments. */
typedef struct arguments {
    int brief;          /* --short: a small setting that only shows that everything works */
    int64_t epochs;     /* --epochs N, 0 = the example's own */
    uint64_t seed;      /* --seed N */
    const char *folder; /* where the data is; NULL = not given */
    const char *task;   /* --task NAME, where an example has several */
} arguments;

static inline arguments read_arguments(int argc, char **argv)
{
    arguments a = {.seed = 1};
    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "--short") == 0)
            a.brief = 1;
        else if (strcmp(argv[k], "--epochs") == 0 && k + 1 < argc)
            a.epochs = strtol(argv[++k], NULL, 10);
        else if (strcmp(argv[k], "--seed") == 0 && k + 1 < argc)
            a.seed = strtoul(argv[++k], NULL, 10);
        else if (strcmp(argv[k], "--task") == 0 && k + 1 < argc)
            a.task = argv[++k];
        else if (argv[k][0] != '-' && a.folder == NULL)
            a.folder = argv[k];
        else {
            fprintf(stderr, "%s: unexpected argument \"%s\"\n", argv[0], argv[k]);
            exit(2);
        }
    }
    return a;
}

/* Open a data file for reading, or stop: 77 says "skipped" to ctest where the folder is absent. */
static inline FILE *open_data(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be opened; give the folder of the data as an argument\n", path);
        exit(2);
    }
    return file;
}

static inline void *zeros(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

/* Random numbers (SplitMix64, Steele et al. 2014): the next whole number below `limit`, and a number
 * in [0, 1). */
static inline uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline int random_below(uint64_t *state, int limit)
{
    return (int)(random_bits(state) % (uint64_t)limit);
}
static inline double random_unit(uint64_t *state)
{
    return (double)(random_bits(state) >> 11) * 0x1p-53;
}

/* Seconds since an arbitrary moment. */
static inline double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A progress callback for lstm_fit: a line of numbers an epoch. */
static inline int32_t print_epoch(void *user, const lstm_progress *progress)
{
    (void)user;
    if (progress->event == LSTM_PROGRESS_EPOCH) {
        printf("epoch %lld/%lld", (long long)progress->epoch, (long long)progress->epochs);
        for (size_t k = 0; k < progress->value_count; k++)
            printf("  %s %.4f", progress->names[k], progress->values[k]);
        printf("  %.1f s\n", progress->seconds);
        fflush(stdout);
    }
    return 0;
}

#endif
