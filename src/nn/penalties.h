/* SPDX-License-Identifier: MIT
 * L1 and L2 penalties and constraints of single parameters.
 */
#ifndef LSTM_NN_PENALTIES_H
#define LSTM_NN_PENALTIES_H

#include "session.h"

/* LSTM__PENALTY_* of a parameter's name ("kernel", "recurrent_kernel", "bias"); -1 if it is none of
 * them. */
int lstm__penalty_find(const char *name);

/* Check options and fill in defaults. */
lstm_status lstm__penalty_read(lstm__penalty *penalty, const lstm_regularizer_options *options);

/* Whether a layer class has this parameter. */
bool lstm__penalty_suits(const lstm__layer_class *class, int penalty);

/* The sum of all penalties of a model. */
double lstm__penalty_value(const lstm_model *model);

/* Add their gradients to the session's parameter gradients. */
void lstm__penalty_gradients(lstm_session *session);

/* Penalties of what layers give out (Keras' activity_regularizer): of port 0, divided by the samples
 * of the batch, without the steps that a mask leaves out. */
double lstm__activity_value(lstm_session *session);

/* Add its gradient to that of the node's output, before the node's backward. */
void lstm__activity_gradient(lstm_session *session, const lstm__node *node);

/* Put the parameters where their constraints want them. Frozen layers stay as they are. */
void lstm__penalty_constrain(lstm_model *model);

#endif
