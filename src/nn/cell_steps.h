/* SPDX-License-Identifier: MIT
 * What the cells that run step by step share (GRU, SimpleRNN): options and states, the order of the
 * steps, the tape of h, and steps that a mask leaves out. A cell brings its gates: where its options
 * lie (`cell` of its class), one step forward, and its way back.
 *
 *     h     training or all outputs wanted: [T+1][B][U], block s before and block s+1 behind step
 *     s; else two blocks in turn
 *     gates [segment][B][G]: x W + bias of the steps of a segment, by their time; while training
 *     one segment is everything
 *     y     [T][B][U], where masked outputs are to be zeros: a copy of h made after the last step
 * Step s reads time s, or T - 1 - s backwards; outputs come in the order of the steps, as in Keras.
 * Ports: 0 = the layer's output, 1 = last h. Inputs: 0 = sequence, 1 = initial h where given.
 */
#ifndef LSTM_NN_CELL_STEPS_H
#define LSTM_NN_CELL_STEPS_H

#include "input_dropout.h"
#include "layer_ports.h"
#include "product.h"
#include "trace.h"

#include <stddef.h>

enum { LSTM__CELL_GATES = 3 /* most that a cell has */ };

/* Where the options that all cells have lie in a cell's option struct, and how many gates it has. */
struct lstm__cell_fields {
    size_t units, return_sequences, return_state, go_backwards, zero_output_for_mask, stateful,
        use_bias, kernel_initializer, recurrent_initializer, dropout, recurrent_dropout, seed;
    size_t gates;
};
#define LSTM__CELL_FIELDS(type, count)                                                         \
    {                                                                                          \
        offsetof(type, units), offsetof(type, return_sequences), offsetof(type, return_state), \
            offsetof(type, go_backwards), offsetof(type, zero_output_for_mask),                \
            offsetof(type, stateful), offsetof(type, use_bias),                                \
            offsetof(type, kernel_initializer), offsetof(type, recurrent_initializer),         \
            offsetof(type, dropout), offsetof(type, recurrent_dropout), offsetof(type, seed),  \
            count                                                                              \
    }

/* Rows of an option table that all cells have. */
#define LSTM__CELL_OPTIONS(type)                                                                \
    LSTM__OPTION("return_sequences", FLAG, offsetof(type, return_sequences)),                   \
        LSTM__OPTION("return_state", FLAG, offsetof(type, return_state)),                       \
        LSTM__OPTION("go_backwards", FLAG, offsetof(type, go_backwards)),                       \
        LSTM__OPTION("use_bias", FLAG, offsetof(type, use_bias)),                               \
        LSTM__ALIAS("bias", FLAG, offsetof(type, use_bias)),                                    \
        LSTM__OPTION_OF("kernel_initializer", offsetof(type, kernel_initializer),               \
                        LSTM_NAMES_INITIALIZER),                                                \
        LSTM__OPTION_OF("recurrent_initializer", offsetof(type, recurrent_initializer),         \
                        LSTM_NAMES_INITIALIZER),                                                \
        LSTM__RECURRENT_FIXED_OPTIONS, LSTM__RARE("dropout", RATE, offsetof(type, dropout), 0), \
        LSTM__RARE("recurrent_dropout", RATE, offsetof(type, recurrent_dropout), 0),            \
        LSTM__RARE("seed", SEED, offsetof(type, seed), 0),                                      \
        LSTM__OPTION("stateful", FLAG, offsetof(type, stateful)),                               \
        LSTM__OPTION("zero_output_for_mask", FLAG, offsetof(type, zero_output_for_mask))

/* The first member of what a session keeps for a cell. */
typedef struct lstm__cell_tape {
    size_t units, inputs, columns; /* H, I, and G: columns of the gates */
    bool sequences, reverse, training;
    bool zeros;          /* outputs of steps that are left out are zeros */
    size_t batch, steps; /* of the call */
    size_t segment;
    const unsigned char *mask; /* of the latest forward */
    real *h, *gates, *y;
    /* [batch][H], training: the gradient at h, and as it was before a step */
    real *carry, *kept;
    /* h, then the gates by their place; NULL = not kept */
    real *traces[LSTM__CELL_GATES + 1];
    lstm__input_dropout dropout;
    lstm__view x; /* of the latest forward: the input, or with dropout what is left of it */
    /* of recurrent dropout, NULL = none: a mask of h for each gate [gates][B][H], and [B][H] each:
     * h under a mask, and what comes back through it */
    real *factors, *masked, *part;
    float rates[2]; /* of dropout of the input, of h */
    uint64_t seed;
    lstm__carried carried; /* h only; of a stateful layer, or in a session of pieces */
    bool continues;        /* the latest forward began with what was carried */
} lstm__cell_tape;

static inline size_t lstm__cell_time(const lstm__cell_tape *cell, size_t step)
{
    return cell->reverse ? cell->steps - 1 - step : step;
}

static inline real *lstm__cell_h(const lstm__cell_tape *cell, size_t block)
{
    const size_t place = cell->training || cell->sequences ? block : block % 2;
    return cell->h + place * cell->batch * cell->units;
}

/* Of a step inside the segment that begins with time `first`. */
static inline real *lstm__cell_gates(const lstm__cell_tape *cell, size_t first, size_t step)
{
    return cell->gates + (lstm__cell_time(cell, step) - first) * cell->batch * cell->columns;
}

/* ---- Definition */

/* Check the options that all cells have and fill in their defaults; set ports and shapes. */
lstm_status lstm__cell_define(lstm__node *node);

/* kernel (I, G) and recurrent_kernel (H, G) / one bias vector (G). */
lstm_status lstm__cell_declare(lstm__node *node);
lstm_status lstm__cell_declare_bias(lstm__node *node, const char *torch_name);

/* Members of a cell's class. */
size_t lstm__cell_carries(const lstm__node *node, bool pieces);
lstm__carried *lstm__cell_carried(const lstm__node *node, void *memory);
bool lstm__cell_piecewise(const lstm__node *node);
bool lstm__cell_returns_ports(const lstm__node *node);
double lstm__cell_flops(const lstm__node *node, int64_t steps);

/* ---- Running */

/* Fill in the tape of a session and carve its buffers. */
void lstm__cell_plan(const lstm__node *node, const lstm_session *session, lstm__cell_tape *cell,
                     lstm__arena *arena);

/* One step of a cell: `gates` [B][G] hold x W + bias on entry; h(step + 1) is to be set. */
typedef void lstm__cell_step(const lstm__node *node, lstm_session *session, void *memory,
                             size_t step, real *gates);

/* All steps forward; `bias` is that of x W, or NULL. `memory` begins with the tape. */
void lstm__cell_forward(const lstm__node *node, lstm_session *session, void *memory,
                        const real *bias, lstm__cell_step *step);

/* h(step) as a gate sees it. */
const real *lstm__cell_seen(const lstm__cell_tape *cell, size_t step, size_t gate);

/* to [B][columns] = (or +=) h(step) U for the first `gates` gates. */
void lstm__cell_recurrent(const lstm__node *node, const lstm__cell_tape *cell, size_t step,
                          size_t gates, bool add, real *to);

/* Copy h (place 0) or gate `place` - 1 of each step to its trace; a gate of a step that is left out
 * is `held`. */
void lstm__cell_trace(const lstm__cell_tape *cell, size_t place, real held);

/* ---- Back */

/* The gradient at the last h. */
void lstm__cell_back_start(const lstm__node *node, lstm_session *session,
                           const lstm__cell_tape *cell);

/* Add the gradient at the output of a step to the carried one. */
void lstm__cell_back_output(const lstm__node *node, lstm_session *session,
                            const lstm__cell_tape *cell, size_t step);

/* Rows that the mask leaves out: no gradient at `gates` [batch][columns], the carried one as it
 * was. */
void lstm__cell_back_hold(const lstm__cell_tape *cell, size_t step, real *gates, size_t columns);

/* What comes back to h through the mask of a gate, from `part`. */
void lstm__cell_back_mask(const lstm__cell_tape *cell, size_t gate);

/* The carried gradient += d U^T of gates [first, first + gates), whose gradients are d [B] (ld
 * apart). */
void lstm__cell_back_product(const lstm__node *node, const lstm__cell_tape *cell, size_t first,
                             size_t gates, const real *d, size_t ld);

/* dU of gates [first, first + gates) = sum over the steps of h(step)^T times their columns of a tape
 * by time; du is where all of it begins. */
void lstm__cell_back_recurrent(const lstm__cell_tape *cell, size_t first, size_t gates,
                               const real *tape, size_t ld, real *du);

/* From the finished gradients at the gates to those of kernel, first bias, input and first h. */
void lstm__cell_back_inputs(const lstm__node *node, lstm_session *session,
                            const lstm__cell_tape *cell, real *bias);

#endif
