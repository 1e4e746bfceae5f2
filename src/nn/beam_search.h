/* SPDX-License-Identifier: MIT
 * Beam search over a network that predicts the next token.
 */
#ifndef LSTM_NN_BEAM_SEARCH_H
#define LSTM_NN_BEAM_SEARCH_H

#include "arena.h"
#include "context.h"

#include <stdbool.h>

/* A way to go on: hypothesis `from` with `token` behind it. */
typedef struct lstm__beam_move {
    double sum; /* of logarithms */
    int32_t from, token;
} lstm__beam_move;

typedef struct lstm__beam_search {
    /* options, read and completed */
    size_t classes, width, paths, steps;
    int32_t start, end; /* end -1 = there is none */
    int32_t penalty;    /* LSTM_LENGTH_* */
    double alpha;
    bool log_probabilities;
    lstm_beam_step step;
    void *user;
    /* memory */
    float *numbers;  /* [width][classes] */
    double *sums;    /* [width]: of the living */
    int32_t *tokens; /* [2][width][steps]: of the living, before and after a move */
    int32_t *last, *from;
    lstm__beam_move *moves; /* [2 width + 1], best first */
    double *scores;         /* [width]: of the finished, best first */
    double *finished_sums;
    int32_t *finished; /* [width][steps] */
    int32_t *lengths;  /* [width] */
    size_t living, finished_count;
} lstm__beam_search;

void lstm__beam_search_plan(lstm__beam_search *search, lstm__arena *arena);

/* What a sum of logarithms is divided by for `length` tokens. */
double lstm__length_penalty(int32_t penalty, double alpha, size_t length);

/* Run; the results stand in finished, lengths and scores. Fails only where `step` does. */
lstm_status lstm__beam_search_run(lstm__beam_search *search);

#endif
