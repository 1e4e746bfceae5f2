/* SPDX-License-Identifier: MIT
 * What the calls that decode share.
 */
#ifndef LSTM_API_DECODE_H
#define LSTM_API_DECODE_H

#include "data.h"

/* Classes of a sampler's logits. */
size_t lstm__sampler_classes(const lstm_sampler *sampler);

#endif
