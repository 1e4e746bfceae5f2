/* SPDX-License-Identifier: MIT
 * Truncated back-propagation through time (Williams and Peng 1990, BPTT(h; h')): a sequence in
 * pieces, one pass and one update a piece, and the states that are carried from pass to pass.
 *
 * Piece p brings the steps from p k1 on, k1 of them (the last piece what is left), and its losses
 * are those of these steps. The pass reads them and, so that gradients reach k2 steps back, the k2 -
 * k1 steps before them once more (fewer at the beginning of a sequence), from the states that stood
 * there in the pass before.
 */
#ifndef LSTM_NN_PIECES_H
#define LSTM_NN_PIECES_H

#include "session.h"

typedef struct lstm__pieces {
    size_t k1, k2;
    size_t steps; /* of the sequences */
    size_t count; /* of pieces; 0 = the sequences are not cut */
} lstm__pieces;

/* Check that a model's sequences can be cut, and how many pieces there are. `steps` are those of
 * free inputs. */
lstm_status lstm__pieces_read(lstm__pieces *pieces, const lstm_model *model, int64_t k1, int64_t k2,
                              size_t steps);

/* The steps that the pass of piece `number` reads; returns after how many of them the next pass
 * begins: SIZE_MAX behind the last piece. */
size_t lstm__pieces_take(const lstm__pieces *pieces, size_t number, lstm__batch *batch);

/* Steps of the longest pass. */
size_t lstm__pieces_longest(const lstm__pieces *pieces);

/* ---- What a session carries, as two arrays */

typedef struct lstm__states {
    size_t nodes;     /* that carry states */
    size_t values;    /* h, then c of each of them, for the session's largest batch */
    int64_t *batches; /* samples of each node's states, 0 = none yet */
    real *numbers;
} lstm__states;

/* Both arrays zero; nodes 0 and no arrays where nothing is carried. */
lstm_status lstm__states_create(lstm__states *states, const lstm_model *model, size_t batch,
                                bool pieces);
void lstm__states_destroy(lstm__states *states, lstm_context *context);
void lstm__states_save(lstm__states *states, const lstm_session *session);
void lstm__states_restore(const lstm__states *states, lstm_session *session);

#endif
