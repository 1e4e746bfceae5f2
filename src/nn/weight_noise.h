/* SPDX-License-Identifier: MIT
 * Noise on weights and on gradients, while training.
 *
 * Weight noise (Graves 2013, section 3; An 1996): loss and gradients of a batch are computed at the
 * weights plus normal numbers with a fixed standard deviation; the update then moves the weights
 * themselves. Gradient noise (Neelakantan et al. 2015): each gradient gets a normal number with the
 * variance eta / (1 + t)^gamma, t the number of updates done.
 *
 * Both are functions of (seed, update, place in the parameter block). Frozen layers and statistics
 * get none.
 */
#ifndef LSTM_NN_WEIGHT_NOISE_H
#define LSTM_NN_WEIGHT_NOISE_H

#include "session.h"

/* Add noise to the model's weights; `saved` (as large as its values) keeps them. */
void lstm__weight_noise_add(lstm_model *model, real *saved, double stddev, uint64_t seed,
                            int64_t update);

/* Put the weights back. */
void lstm__weight_noise_remove(lstm_model *model, const real *saved);

/* Add noise to a session's gradients. */
void lstm__gradient_noise_add(lstm_session *session, double eta, double gamma, uint64_t seed,
                              int64_t update);

#endif
