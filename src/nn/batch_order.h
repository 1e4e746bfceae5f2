/* SPDX-License-Identifier: MIT
 * The order in which the samples of a batch are taken. Recurrent layers skip samples that are finished,
 * and best where these stand together: so the longest come first. Where a sample ends is told by its
 * length, by a mask, or by the values themselves, which a layer behind the input reads as padding
 * (Masking, Embedding with mask_zero; `padding` of their classes).
 */
#ifndef LSTM_NN_BATCH_ORDER_H
#define LSTM_NN_BATCH_ORDER_H

#include "session.h"

/* Put the samples of a pass, order[first] to order[first + count - 1], in the order of falling ends:
 * those of the first input sequence that does not have all steps in all samples. Without such an
 * input nothing is changed, and the answer is false. `ends` has room for `count` numbers. */
bool lstm__batch_sort(const lstm_model *model, const lstm__batch *batch, uint64_t *order,
                      uint32_t *ends);

/* Put `count` samples in the order of falling ends, which are moved along. What is equal and in order
 * stays where it is. */
void lstm__sort_falling(size_t count, uint64_t *order, uint32_t *ends);

#endif
