/* SPDX-License-Identifier: MIT
 * Connectionist temporal classification: the loss of unsegmented label sequences, and its gradient.
 */
#ifndef LSTM_NN_CTC_H
#define LSTM_NN_CTC_H

#include "arena.h"
#include "session.h"

/* What the numbers are: before softmax / logarithms of probabilities, taken as they are /
 * probabilities of a softmax layer, whose input gets the gradient. */
enum { LSTM__CTC_LOGITS = 1, LSTM__CTC_LOG_PROBABILITIES, LSTM__CTC_SOFTMAX };

/* What one task works in. */
typedef struct lstm__ctc_scratch {
    real *alpha;     /* [steps + 1][row], or 2 rows without gradients */
    real *row;       /* beta times emission */
    real *both;      /* alpha times beta */
    real *emissions; /* [labels] */
    real *skip;      /* [labels + 1] */
    real *most;      /* [steps]: largest logit of each step */
    real *classes;   /* [classes]: logarithms, of a softmax */
    size_t *steps;   /* the steps that are there */
} lstm__ctc_scratch;

/* A plan for calls of up to so many samples, steps and labels. */
typedef struct lstm__ctc {
    lstm_context *context;
    const lstm__kernels *kernels;
    size_t batch, steps, classes;
    size_t labels; /* of a sample that has an alignment: no more than steps */
    bool gradients;
    size_t tasks; /* with a scratch each */
    lstm__ctc_scratch *scratch;
    double *losses; /* [batch]: of the latest call */
    double *scales; /* [batch]: by which gradients are multiplied; set by the caller */
} lstm__ctc;

/* Numbers of step t, sample b begin at x + t * step_stride + b * sample_stride, and in the same
 * way for d. */
typedef struct lstm__ctc_numbers {
    const real *x;
    size_t step_stride, sample_stride;
    real *d; /* NULL = not wanted */
    size_t d_step_stride, d_sample_stride;
} lstm__ctc_numbers;

typedef struct lstm__ctc_call {
    lstm__ctc_numbers numbers;
    const lstm__batch *batch; /* samples and labels */
    size_t steps;
    const int32_t *lengths;    /* of each sample of the arrays; NULL = all steps */
    const unsigned char *mask; /* [steps][count]; NULL = all steps */
    int32_t source;            /* LSTM__CTC_LOGITS … */
    size_t blank;
    bool zero_infinity;
} lstm__ctc_call;

/* Measure, or lay out, everything that a plan needs. */
void lstm__ctc_plan(lstm__ctc *ctc, lstm__arena *arena);

/* Labels of a sample of the arrays. */
size_t lstm__ctc_label_count(const lstm__batch *batch, size_t sample);

/* Fewest steps that labels need: one each, and a blank between two that are equal. */
size_t lstm__ctc_steps_needed(const int32_t *labels, size_t count);

/* Check labels: 0 to classes - 1, not the blank, no more of them than the array has places. Names
 * sample, position and value. */
lstm_status lstm__ctc_check_labels(const lstm__batch *batch, size_t classes, size_t blank);

/* Fill ctc->losses and, where wanted, the gradients. A sample without an alignment has an infinite
 * loss and a gradient of NaN, or with zero_infinity 0 both. */
void lstm__ctc_run(const lstm__ctc *ctc, const lstm__ctc_call *call);

#endif
