/* SPDX-License-Identifier: MIT
 * The order in which an epoch's samples are trained on.
 */
#ifndef LSTM_NN_EPOCH_ORDER_H
#define LSTM_NN_EPOCH_ORDER_H

#include "training.h"

/* Write the order of training->position's epoch: as they stand, shuffled, or shuffled and put into
 * buckets. `order` has room for twice training->samples numbers, of which the second half is
 * scratch. A function of (seed, epoch) alone. */
void lstm__epoch_order(const lstm__training *training, uint64_t *order);

#endif
