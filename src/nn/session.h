/* SPDX-License-Identifier: MIT
 * A session: the plan of a model for a largest batch and number of steps, with every buffer in one
 * block.
 *
 *     block:  [ports][plans of the nodes][buffers of node 0][node 1] … [gradients of ports][parameter gradients]
 *
 * A call may use fewer samples and steps than planned; buffers are then used compactly with the
 * call's own batch.
 */
#ifndef LSTM_NN_SESSION_H
#define LSTM_NN_SESSION_H

#include "graph.h"

/* One port at run time. */
typedef struct lstm__port {
    lstm__view value;
    lstm__view gradient; /* data NULL: not wanted. Compact */
    /* [steps][batch]: row r of the tensor is row numbers[r] of `value`, and `gradient` has a row for
     * each of value's, see row_tables.h; NULL = value has the rows themselves */
    const uint32_t *numbers;
    bool written; /* the gradient holds something: add to it instead of overwriting */
    /* [steps][batch]: 0 = a step that is not there; NULL = every step is */
    const unsigned char *mask;
    /* the loss has already gone through the activation (softmax or sigmoid) of this layer */
    bool at_logits;
} lstm__port;

/* What a session keeps for an input layer. */
typedef struct lstm__input_plan {
    unsigned char *mask; /* [steps][batch] of the latest call */
} lstm__input_plan;

struct lstm_session {
    lstm_model *model;
    bool training;
    bool input_gradients; /* backward reaches the inputs */
    /* sequences come in pieces, one call a piece: recurrent layers carry their states, and fixed
     * numbers of steps are those of the whole, of which a call has `steps` */
    bool pieces;
    bool traces; /* recurrent layers keep their gates and states, see trace.h */
    /* carry the states behind so many steps of a call instead of those behind its last one; for
     * training only. SIZE_MAX = the last */
    size_t carry_after;
    bool recompute; /* training: recurrent layers may keep less than a whole tape */
    size_t max_batch, max_steps;
    size_t batch, steps; /* of the latest forward; steps of free inputs */
    uint64_t seed;       /* of dropout */
    uint64_t update;     /* number of the forward pass: part of dropout's stream */
    bool fixed_update;   /* the caller sets `update` (training), else each forward counts it up */
    int32_t layout;      /* of the latest data */
    bool forward_done, gradient_given, backward_done;
    /* the gradients are those of a loss: the model's penalties belong to it */
    bool penalised;
    bool tape_used; /* backward has overwritten the tape of the latest forward */
    /* [max_batch]: row b of the tensors of the latest forward is sample order[b] of the caller, where
     * `ordered`; else sample b */
    uint64_t *order;
    uint32_t *ends; /* [max_batch]: see batch_order.h */
    bool ordered;
    lstm__port *ports;
    void **plans;
    real *gradients; /* laid out like model->values */
    size_t bytes;
    size_t room; /* of the block, >= bytes */
    /* memory of CTC, a block of its own, see loss_ctc.h; NULL = none */
    struct lstm__labelling *labelling;
};

/* Which samples of which arrays a pass reads. */
struct lstm__batch {
    int32_t layout;
    size_t samples;              /* in the arrays */
    size_t steps;                /* of free inputs */
    const float *const *inputs;  /* in input order */
    const float *const *targets; /* in output order; NULL = none */
    const float *weights;        /* of samples, or of steps in the layout of targets; NULL = 1 */
    bool weights_per_step;
    const float *class_weights; /* NULL = 1 */
    /* Which steps are there: of the first sequence input, or (…_of, in input order, entries may be
     * NULL) of each. Lengths count from the first step; masks are [samples][steps] in the layout, 0
     * = not there. NULL = all steps are. */
    const int32_t *lengths;
    const unsigned char *mask;
    const int32_t *const *lengths_of;
    const unsigned char *const *masks_of;
    const uint64_t *order; /* samples of this pass; NULL = first, first + 1, … */
    size_t first, count;   /* into `order`, or into the arrays */
    /* CTC: [samples][label_steps]; a sample's labels end at its length, or without lengths at the
     * first negative number */
    const int32_t *labels;
    size_t label_steps;
    const int32_t *label_lengths;
    /* In a session of pieces: the steps of this pass, of which the first piece_skip do not count in
     * losses and metrics. piece_steps 0 = all steps */
    size_t piece_first, piece_steps, piece_skip;
};

static inline size_t lstm__batch_sample(const lstm__batch *batch, size_t k)
{
    return batch->order ? (size_t)batch->order[batch->first + k] : batch->first + k;
}

/* Steps that a sequence of a shape has in the arrays, whatever piece of it a pass reads; 1 for a
 * vector. */
size_t lstm__batch_steps(const lstm__batch *batch, lstm__shape shape);

/* What tells which steps of an input layer are there; `number` in input order. Both NULL for a vector. */
typedef struct lstm__padding {
    const int32_t *lengths;
    const unsigned char *mask;
} lstm__padding;
lstm__padding lstm__batch_padding(const lstm__batch *batch, const lstm__node *input, size_t number);

/* Let the passes of a session take the samples of a batch of the caller's in the order that pays
 * (batch_order.h). A session that carries states keeps them where they are. */
void lstm__session_order(lstm_session *session, lstm__batch *batch);

/* Whether a node carries states from pass to pass. */
bool lstm__session_carries(const lstm_session *session);

/* The caller's sample that a row of the latest forward is. */
static inline size_t lstm__session_sample(const lstm_session *session, size_t row)
{
    return session->ordered ? (size_t)session->order[row] : row;
}

lstm_status lstm__session_create(lstm_session **out, lstm_model *model, bool training,
                                 bool input_gradients, size_t batch, size_t steps, uint64_t seed);

/* The same with everything that a session can be asked for. */
typedef struct lstm__session_wish {
    bool training, input_gradients, pieces, traces, recompute;
    /* it will be retired: room for a somewhat larger one, which takes no memory yet */
    bool retires;
    size_t batch, steps;
    uint64_t seed;
} lstm__session_wish;
lstm_status lstm__session_create_as(lstm_session **out, lstm_model *model,
                                    const lstm__session_wish *wish);
void lstm__session_destroy(lstm_session *session);

/* The same, but a large block stays with the model until its next session is created, which takes
 * it if it is large enough: the system need not clear as much fresh memory once more. For the
 * session of a self-test, behind which the first prediction's comes. */
void lstm__session_retire(lstm_session *session);

/* Steps of a shape in the latest call (0 for a vector) / its rows = batch * max(steps, 1) / the
 * largest rows planned. */
size_t lstm__session_steps(const lstm_session *session, lstm__shape shape);
size_t lstm__session_rows(const lstm_session *session, lstm__shape shape);
size_t lstm__session_max_rows(const lstm_session *session, lstm__shape shape);
size_t lstm__session_max_steps(const lstm_session *session, lstm__shape shape);

/* The run-time port behind a handle, and a node's own. */
static inline lstm__port *lstm__session_port(lstm_session *session, const lstm_layer *layer)
{
    return &session->ports[layer->node->port_first + (size_t)layer->port];
}
static inline lstm__port *lstm__session_own(lstm_session *session, const lstm__node *node, int port)
{
    return &session->ports[node->port_first + (size_t)port];
}

/* Which row of a port's value and gradient is row r of the tensor. */
static inline size_t lstm__port_row(const lstm__port *port, size_t r)
{
    return port->numbers ? port->numbers[r] : r;
}

/* Load inputs and run all nodes / run backward from the output gradients. */
void lstm__session_forward(lstm_session *session, const lstm__batch *batch);
void lstm__session_backward(lstm_session *session);

/* Let every layer that carries states begin anew / only those that carry them because the session
 * runs pieces. */
void lstm__session_reset_states(lstm_session *session);
void lstm__session_reset_pieces(lstm_session *session);

/* What a node carries from call to call, NULL = nothing. */
lstm__carried *lstm__session_carried(const lstm_session *session, const lstm__node *node);

/* Forget the output gradients (before a loss or a caller sets them). */
void lstm__session_clear_gradients(lstm_session *session);

/* Copy a compact or strided tensor of a shape to the caller's layout, and back. */
void lstm__session_export(const lstm_session *session, lstm__shape shape, lstm__view tensor,
                          int32_t layout, float *values);
void lstm__session_import(const lstm_session *session, lstm__shape shape, lstm__view tensor,
                          int32_t layout, const float *values);

#endif
