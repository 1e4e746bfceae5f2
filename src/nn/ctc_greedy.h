/* SPDX-License-Identifier: MIT
 * The most likely class of each step, repeats joined and blanks taken out; and how far two label
 * sequences are apart.
 */
#ifndef LSTM_NN_CTC_GREEDY_H
#define LSTM_NN_CTC_GREEDY_H

#include "ctc.h"

/* Decode sample b of a call into `labels` (call->steps places); answers their number. With
 * `log_probability` the logarithm of the path's probability, as far as the numbers say: of logits
 * and softmax it is normalised. Nothing of the call's labels is looked at. */
size_t lstm__ctc_greedy(const lstm__ctc_call *call, size_t classes, size_t b, int32_t *labels,
                        double *log_probability);

/* Insertions, deletions and substitutions that make a into b (Levenshtein 1966). `row` has b_count
 * + 1 places. */
size_t lstm__label_distance(const int32_t *a, size_t a_count, const int32_t *b, size_t b_count,
                            size_t *row);

#endif
