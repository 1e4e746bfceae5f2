/* SPDX-License-Identifier: MIT
 * Drawing a token from logits.
 */
#ifndef LSTM_NN_SAMPLER_H
#define LSTM_NN_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

typedef struct lstm__sampler {
    size_t classes;
    double temperature; /* 0 = the largest */
    size_t top_k;       /* 0 = all */
    double top_p;       /* 1 = all */
    uint64_t seed, position;
    double *weights; /* [classes] */
    uint32_t *order; /* [classes] */
} lstm__sampler;

/* The next token; -1 if no logit is a number above -infinity. */
int32_t lstm__sampler_draw(lstm__sampler *sampler, const float *logits);

#endif
