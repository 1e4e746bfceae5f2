/* SPDX-License-Identifier: MIT
 * Greedy decoding of CTC: best path (Graves et al. 2006, section 3.2), and the edit distance row by
 * row in the memory of one.
 */
#include "ctc_greedy.h"

#include <float.h>
#include <math.h>

static size_t largest(const real *x, size_t classes)
{
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
        if (x[c] > x[best])
            best = c;
    return best;
}

static double log_of(const lstm__ctc_call *call, const real *x, size_t classes, size_t class)
{
    double sum = 0;
    if (call->source == LSTM__CTC_LOG_PROBABILITIES)
        return (double)x[class];
    if (call->source == LSTM__CTC_SOFTMAX)
        return log(fmax((double)x[class], (double)FLT_MIN));
    for (size_t c = 0; c < classes; c++)
        sum += exp((double)x[c] - (double)x[class]);
    return -log(sum);
}

size_t lstm__ctc_greedy(const lstm__ctc_call *call, size_t classes, size_t b, int32_t *labels,
                        double *log_probability)
{
    const lstm__ctc_numbers *n = &call->numbers;
    const size_t sample = lstm__batch_sample(call->batch, b);
    const size_t length = call->lengths ? (size_t)call->lengths[sample] : call->steps;
    size_t count = 0;
    size_t last = call->blank;
    double sum = 0;
    for (size_t t = 0; t < length; t++) {
        const real *x = n->x + t * n->step_stride + b * n->sample_stride;
        if (call->mask && !call->mask[t * call->batch->count + b])
            continue;
        const size_t best = largest(x, classes);
        if (best != last && best != call->blank)
            labels[count++] = (int32_t)best;
        if (log_probability)
            sum += log_of(call, x, classes, best);
        last = best;
    }
    if (log_probability)
        *log_probability = sum;
    return count;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t lstm__label_distance(const int32_t *a, size_t a_count, const int32_t *b, size_t b_count,
                            size_t *row)
{
    for (size_t j = 0; j <= b_count; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_count; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_count; j++) {
            const size_t changed = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = least(changed, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_count];
}
