/* SPDX-License-Identifier: MIT
 * Data that is read a batch at a time: buffers for one batch, or two where a thread reads the next
 * one ahead, and the checks that arrays get as a whole made on every batch.
 */
#ifndef LSTM_NN_SOURCE_H
#define LSTM_NN_SOURCE_H

#include "background.h"
#include "losses.h"

enum { LSTM__SOURCE_TEXT = 512 };

/* A batch that was read. */
typedef struct lstm__source_buffer {
    lstm__batch batch; /* its arrays are those below */
    size_t count;      /* samples asked for; 0 = nothing yet */
    int64_t *samples;
    uint64_t *rows; /* the order in which the batch is computed */
    float **inputs, **targets;
    uint32_t *ends; /* see batch_order.h */
    int32_t *lengths, *labels;
    float *weights;
    lstm_status status; /* of reading, with its text */
    char text[LSTM__SOURCE_TEXT];
} lstm__source_buffer;

typedef struct lstm__source {
    lstm_source own;
    const lstm_model *model;
    const lstm__loss *loss;
    const float *class_weights; /* of batches that are trained on; NULL = 1 */
    size_t class_weight_count;
    bool trains; /* what is read next is one: the same source may validate too */
    size_t largest, steps; /* samples of a batch; steps of free inputs */
    size_t input_count;
    bool sorts; /* a batch's rows stand in the order of falling lengths, as batch_order.h has it */
    const lstm__node *sequence; /* the first input that is one, or NULL */
    int32_t longest;            /* its steps; 0 without one */
    lstm__background *reader;   /* NULL = each batch is read when it is needed */
    lstm__source_buffer buffers[2];
    lstm__source_buffer *ahead; /* what the reader fills */
} lstm__source;

/* Check the caller's source and allocate for batches of up to `largest` samples. */
lstm_status lstm__source_open(lstm__source **out, const lstm_model *model, const lstm__loss *loss,
                              const lstm_source *own, size_t largest);
void lstm__source_close(lstm__source *source);

/* All samples as a batch without arrays: how many there are, and of how many steps. */
lstm__batch lstm__source_whole(const lstm__source *source);

/* Read the samples order[first] … (order NULL: first, first + 1, …) and check them; *batch points
 * into the source until the next call but one. The next `next_count` samples behind them are read
 * ahead. */
lstm_status lstm__source_read(lstm__source *source, const uint64_t *order, size_t first,
                              size_t count, size_t next_count, lstm__batch *batch);

#endif
