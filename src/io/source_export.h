/* SPDX-License-Identifier: MIT
 * A model on its way to C source.
 */
#ifndef LSTM_IO_SOURCE_EXPORT_H
#define LSTM_IO_SOURCE_EXPORT_H

#include "file_writer.h"
#include "graph.h"

enum { LSTM__SOURCE_PREFIX = 64, LSTM__SOURCE_VALUE = 96 };

/* Parts of the kernel that a file needs. */
enum {
    LSTM__SOURCE_DENSE,
    LSTM__SOURCE_ACCUMULATE,
    LSTM__SOURCE_APPLY,
    LSTM__SOURCE_SOFTMAX,
    LSTM__SOURCE_LSTM,
    LSTM__SOURCE_VARIANT,
    LSTM__SOURCE_GRU,
    LSTM__SOURCE_RNN,
    LSTM__SOURCE_ATTEND,
    LSTM__SOURCE_EMBED,
    LSTM__SOURCE_NORM,
    LSTM__SOURCE_AFFINE,
    LSTM__SOURCE_PLACE,
    LSTM__SOURCE_TURN,
    LSTM__SOURCE_CONV,
    LSTM__SOURCE_POOL,
    LSTM__SOURCE_GLOBAL,
    LSTM__SOURCE_PARTS
};

typedef struct lstm__source {
    const lstm_model *model;
    lstm__writer *writer;
    lstm_status status;                /* of writing: the first failure */
    char prefix[LSTM__SOURCE_PREFIX];  /* model */
    char capital[LSTM__SOURCE_PREFIX]; /* MODEL */
    int64_t max_steps;
    bool parts[LSTM__SOURCE_PARTS];
    bool activations[16]; /* by LSTM_ACTIVATION_* */
    size_t *slots;        /* of each node's own buffer: number of the slot + 1; 0 = none */
    int64_t *sizes;       /* floats in each slot */
    size_t slot_count;
    size_t flash; /* floats in constants */
    bool streams; /* there is a step function */
    const char *why_not;
    bool stepping; /* the body of the step function is being written */
} lstm__source;

/* Write text; '@' stands for the prefix in lstm__source_text. */
void lstm__source_print(lstm__source *s, const char *format, ...) LSTM__PRINTF(2, 3);
void lstm__source_text(lstm__source *s, const char *text);

/* An array of constants, @NAME. */
void lstm__source_floats(lstm__source *s, const char *name, const float *values, size_t count);

/* Which parts and activations a node needs; UNSUPPORTED names a layer that cannot be written. */
lstm_status lstm__source_need(lstm__source *s, const lstm__node *node);

/* Whether the kernel has this activation of single values. */
bool lstm__source_knows(int32_t activation);

/* The functions of the kernel that are needed. */
void lstm__source_kernel(lstm__source *s);

/* The constants of a node / the statements that run it. */
lstm_status lstm__source_constants(lstm__source *s, const lstm__node *node);
void lstm__source_node(lstm__source *s, const lstm__node *node);

/* The layer whose value a value is: behind layers that change nothing. */
const lstm_layer *lstm__source_origin(const lstm_layer *layer);

/* How a value is called in the file. */
const char *lstm__source_value(const lstm__source *s, const lstm_layer *layer,
                               char text[LSTM__SOURCE_VALUE]);

/* Steps of a shape: a number, or "steps". */
const char *lstm__source_steps(const lstm__source *s, lstm__shape shape, char text[32]);

bool lstm__source_is_cell(const lstm__node *node);

/* Write a model as C source. prefix NULL = from the path; max_steps 0 = 64. */
lstm_status lstm__source_save(const lstm_model *model, const char *path, const char *prefix,
                              int64_t max_steps);

#endif
