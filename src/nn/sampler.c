/* SPDX-License-Identifier: MIT
 * Sampling: exp((x - max) / temperature), of the k most likely tokens (Fan et al. 2018), of these
 * the fewest whose probabilities add up to p (nucleus, Holtzman et al. 2020). A heap gives them in
 * falling order, so that only as many are sorted as are kept; of equals the lower token is first.
 *
 * Draw n is a function of the seed and n (random.h).
 */
#include "sampler.h"
#include "random.h"

#include <math.h>
#include <stdbool.h>

enum { STREAM_SAMPLE = 8 };

static bool comes_first(const lstm__sampler *s, uint32_t a, uint32_t b)
{
    return s->weights[a] > s->weights[b] || (s->weights[a] == s->weights[b] && a < b);
}

static void sink(lstm__sampler *s, size_t count, size_t at)
{
    const uint32_t own = s->order[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && comes_first(s, s->order[child + 1], s->order[child]))
            child++;
        if (!comes_first(s, s->order[child], own))
            break;
        s->order[at] = s->order[child];
        at = child;
    }
    s->order[at] = own;
}

/* Weights relative to the largest; answers the largest's number, or -1. */
static int32_t weigh(lstm__sampler *s, const float *logits)
{
    int32_t best = -1;
    for (size_t c = 0; c < s->classes; c++)
        if (logits[c] > -INFINITY && (best < 0 || logits[c] > logits[best]))
            best = (int32_t)c;
    for (size_t c = 0; best >= 0 && s->temperature > 0 && c < s->classes; c++) {
        const double gap = (double)logits[c] - (double)logits[best];
        /* infinity is as likely as itself, everything else impossible beside it */
        s->weights[c] = logits[c] == logits[best] ? 1 : gap < 0 ? exp(gap / s->temperature) : 0;
    }
    return best;
}

/* Move the kept tokens to the end of the order, the most likely last; answers where they begin. */
static size_t select_tokens(lstm__sampler *s)
{
    double all = 0;
    double sum = 0;
    size_t left = s->classes;
    const size_t least = s->top_k > 0 && s->top_k < left ? left - s->top_k : 0;
    for (size_t c = 0; c < s->classes; c++) {
        s->order[c] = (uint32_t)c;
        all += s->weights[c];
    }
    for (size_t at = left / 2; at-- > 0;)
        sink(s, left, at);
    /* nucleus of the k: their sum is only known once they are selected, unless they are all */
    for (; left > least; left--) {
        const uint32_t first = s->order[0];
        if (least == 0 && left < s->classes && sum >= s->top_p * all)
            return left;
        sum += s->weights[first];
        s->order[0] = s->order[left - 1];
        sink(s, left - 1, 0);
        s->order[left - 1] = first;
    }
    double kept = 0;
    size_t begin = s->classes;
    while (begin > left && (begin == s->classes || kept < s->top_p * sum))
        kept += s->weights[s->order[--begin]];
    return begin;
}

int32_t lstm__sampler_draw(lstm__sampler *s, const float *logits)
{
    const double u = lstm__random_uniform(s->seed, STREAM_SAMPLE, s->position);
    const int32_t best = weigh(s, logits);
    s->position++;
    if (best < 0 || s->temperature == 0)
        return best;
    const bool limited = s->top_k > 0 || s->top_p < 1;
    const size_t begin = limited ? select_tokens(s) : 0;
    double sum = 0;
    for (size_t k = begin; k < s->classes; k++)
        sum += s->weights[limited ? s->order[k] : k];
    double left = u * sum;
    int32_t token = best;
    for (size_t k = begin; k < s->classes && left >= 0; k++) {
        const size_t c = limited ? s->order[k] : k;
        if (s->weights[c] > 0)
            token = (int32_t)c;
        left -= s->weights[c];
    }
    return token;
}
