/* SPDX-License-Identifier: MIT
 * Prefix beam search of CTC outputs.
 */
#ifndef LSTM_NN_CTC_BEAM_H
#define LSTM_NN_CTC_BEAM_H

#include "arena.h"
#include "ctc.h"

/* A prefix that is alive: logarithms of the paths that end in a blank / in its last label. */
typedef struct lstm__ctc_prefix {
    int32_t node;
    double blank, label, total;
} lstm__ctc_prefix;

/* A prefix of the next step: one of this step's (class -1), or one of them with a class behind it.
 */
typedef struct lstm__ctc_candidate {
    double total, blank, label;
    size_t order; /* in which it was looked at: decides between equals */
    int32_t from, class;
} lstm__ctc_candidate;

typedef struct lstm__ctc_search {
    size_t classes, blank, steps, width, paths;
    double bonus;         /* for each label */
    const float *bigrams; /* [classes][classes] or NULL */
    double (*score)(void *user, const int32_t *labels, size_t count, int32_t next);
    void *user;
    /* memory of one sample's search */
    size_t nodes, table_size;
    int32_t *parents, *labels; /* [nodes]: the tree of all prefixes that were ever alive */
    int32_t *places;           /* [nodes]: of a node in alive, -1 = not alive */
    int32_t *table;            /* [table_size]: nodes by parent and label, -1 = free */
    size_t used;
    lstm__ctc_prefix *alive; /* [width], best first */
    size_t alive_count;
    lstm__ctc_candidate *heap; /* [width], the worst on top */
    size_t heap_count, offered;
    double *logarithms;    /* [classes] of a step */
    unsigned char *merged; /* [width][classes]: extensions that are alive already */
    int32_t *prefix;       /* [steps] */
} lstm__ctc_search;

/* Measure, or lay out, the memory. */
void lstm__ctc_search_plan(lstm__ctc_search *search, lstm__arena *arena);

/* Search sample b of a call. labels [paths][steps], -1 behind the last; counts and scores [paths],
 * best first. A path that does not exist has no labels and a score of -infinity. */
void lstm__ctc_search_run(lstm__ctc_search *search, const lstm__ctc_call *call, size_t b,
                          int32_t *labels, int32_t *counts, double *scores);

#endif
