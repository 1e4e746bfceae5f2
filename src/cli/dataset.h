/* SPDX-License-Identifier: MIT
 *
 * Arrays matched with the inputs and outputs of a model: shapes are checked here, where file names
 * are known, and the lstm_data of the library's calls is made.
 */
#ifndef LSTM_CLI_DATASET_H
#define LSTM_CLI_DATASET_H

#include "arrays.h"
#include "named_ports.h"
#include "states.h"
#include <lstm/lstm.h>

typedef struct dataset {
    lstm_data data; /* points into the arrays of the lists, which have to stay */
    const float **pointers;
    size_t *sizes;
    int32_t *lengths;       /* of --lengths, or NULL */
    uint8_t *mask;          /* of --mask, or NULL */
    int32_t *labels;        /* TARGET_LABELS, or NULL */
    int32_t *label_lengths; /* of --label-lengths, or NULL */
    float **copies;         /* of dataset_take: the arrays and the weights, NULL at the end */
    int64_t samples;
    int64_t steps; /* of inputs with a free number of steps; 0 if there are none */
} dataset;

/* What is expected of target arrays. */
#define TARGET_VALUES 1  /* the output's own shape */
#define TARGET_CLASSES 2 /* one class number a row */
#define TARGET_LABELS 3  /* (samples, most): class numbers, negative ones behind the last */
#define TARGET_GROUPS \
    16 /* + n: one value for each n features of the output (quantiles, means with variances) */

/* Match arrays with a model.
 *   x, y    [in] in the model's input / output order; y = NULL: no targets
 *   target  [in] TARGET_*
 * Shapes taken for an input or output of (steps, features): (samples, steps, features); for
 * features = 1 also (samples, steps); from CSV also (samples, steps * features). For a vector:
 * (samples, features); for one feature also (samples,). Class numbers: without the last axis, or
 * with a last axis of 1. NaN and infinite numbers are errors; without targets only a warning.
 * Returns 0, or EXIT_USE after printing which array does not fit and what would. */
int dataset_match(dataset *out, const lstm_model *model, const array_list *x, const array_list *y,
                  int target);
void dataset_release(dataset *set);

/* Read the array of --sample-weights, if it is given, into `list` (which has to stay) and add it to
 * the data: (samples,), or (samples, steps) for each step. Returns 0, or the exit code after
 * printing what does not fit. */
int dataset_weights(dataset *set, array_list *list, lstm_context *context, const arguments *line);

/* Read the arrays of --lengths, (samples,), --mask, (samples, steps), and where the targets are
 * labels --label-lengths, (samples,), if they are given, into the data. `prefix` is "" or "val-".
 * Returns 0, or the exit code after printing what does not fit. */
int dataset_masks(dataset *set, lstm_context *context, const arguments *line, const char *prefix);

/* Copy some samples of a set, in any order: arrays, weights, lengths, mask and labels. `out` owns the copies
 * and needs nothing of `all`. Returns 0, or EXIT_WORK after printing that there is no memory. */
int dataset_take(dataset *out, const dataset *all, const int64_t *samples, int64_t count);

/* What commands begin with: the context, the model of the command line, and its arrays. */
typedef struct loaded {
    lstm_context *context;
    lstm_model *model;
    array_list x, y, weights;
    named_ports ports; /* where --x NAME=FILE is used */
    dataset set;       /* points into the lists */
    states states;
    int time_first;  /* sequences in files are (steps, samples, features) */
    float **swapped; /* arrays in which these axes have changed places */
    size_t swapped_count;
} loaded;

/* Options of data that several commands have. */
#define OPTION_ARRAY(option_name, text)                                                         \
    {                                                                                           \
        .name = option_name, .kind = OPTION_LIST, .metavar = "FILE", .is_file = 1, .help = text \
    }
#define OPTION_LENGTHS \
    OPTION_ARRAY("lengths", "steps of each sample, (samples,): the rest is padding")
#define OPTION_MASK OPTION_ARRAY("mask", "which steps are there, (samples, steps) of 0 and 1")
#define OPTION_LABEL_LENGTHS                                                       \
    OPTION_ARRAY("label-lengths",                                                  \
                 "with --loss ctc: labels of each sample, (samples,); else up to " \
                 "the first negative one")

/* Options that loaded_model looks at, for the tables of commands. */
#define OPTION_NETWORK                                                                   \
    {                                                                                    \
        .name = "network", .kind = OPTION_TEXT, .metavar = "JSON", .is_file = 1,         \
        .help = "description of the network, if MODEL holds weights only (.weights.h5, " \
                ".pt, .safetensors)"                                                     \
    }
#define OPTION_BATCH_FIRST                                                               \
    {                                                                                    \
        .name = "batch-first", .kind = OPTION_FLAG,                                      \
        .help = "state dicts of PyTorch: sequences are (samples, steps, features), not " \
                "(steps, samples, features)"                                             \
    }
#define OPTION_ACTIVATION                                                                     \
    {                                                                                         \
        .name = "activation", .kind = OPTION_TEXT, .metavar = "NAME",                         \
        .help = "of nn.RNN, whose state dict does not say it: tanh (as if not given) or relu" \
    }
#define OPTION_STATE_IN                                                                 \
    {                                                                                   \
        .name = "state-in", .kind = OPTION_TEXT, .metavar = "FILE", .is_file = 1,       \
        .help = "initial states: h0 (layers, samples, units), and c0 of LSTM layers;  " \
                "both directions count"                                                 \
    }

/* Make the context and load the model that the first operand names. Both calls return 0, or the
 * exit code after printing the error; loaded_release in both cases. */
int loaded_model(loaded *out, const arguments *line);

/* Load --x, the targets of the option `y` (NULL = none), and what the command line says of weights,
 * lengths and masks, and match them with the model. `target` is TARGET_*. An array without samples
 * is an error where there are targets. */
int loaded_arrays(loaded *out, const arguments *line, const char *y, int target);
void loaded_release(loaded *out);

/* Where sequences in files are time first: turn those among arrays of the model's inputs (or
 * outputs) to batch first. Part of loaded_arrays. */
int loaded_turn(loaded *out, array_list *list, int inputs);

/* Turn (samples, steps, ...) into (steps, samples, ...), or back; `to` is another block. */
void swap_axes(const float *from, float *to, int64_t first, int64_t second, size_t inner);

/* Say how one sample of output `index` looks when the inputs have `steps` steps: rank 1 (features)
 * or 2. */
void dataset_output_shape(const lstm_model *model, size_t index, int64_t samples, int64_t steps,
                          int32_t *rank, int64_t shape[4]);

#endif
