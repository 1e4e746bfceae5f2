/* SPDX-License-Identifier: MIT
 * Splitting samples for cross-validation. K folds: fold k of n samples validates on the k-th of K
 * stretches, the first n mod K of which are one longer, of the samples in their order or shuffled.
 * Walking forward: fold k validates on a stretch of floor(n / (K + 1)) samples near the end and
 * trains on all before it. Both are scikit-learn's KFold and TimeSeriesSplit, number for number
 * (without shuffling).
 */
#include "context.h"
#include "need.h"
#include "options.h"
#include "random.h"
#include "status.h"

#include <lstm/lstm.h>
#include <stdlib.h>

enum { STREAM_SPLIT = 24 };

static lstm_status read_split(lstm_split_options *o, const lstm_split_options *options,
                              int64_t samples, int32_t fold)
{
    RETURN_IF_ERROR(lstm__read_options(o, sizeof *o, options, "lstm_split_options"));
    NEED_ZERO(o->reserved);
    RETURN_IF_ERROR(lstm__read_flag(&o->shuffle, LSTM_NO, "shuffle"));
    o->kind = o->kind == 0 ? LSTM_SPLIT_FOLDS : o->kind;
    o->folds = o->folds == 0 ? 5 : o->folds;
    if (o->kind != LSTM_SPLIT_FOLDS && o->kind != LSTM_SPLIT_WALK_FORWARD)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "kind is %d: expected LSTM_SPLIT_FOLDS or LSTM_SPLIT_WALK_FORWARD",
                          (int)o->kind);
    const bool forward = o->kind == LSTM_SPLIT_WALK_FORWARD;
    if (o->folds < 2 || samples < o->folds + (forward ? 1 : 0))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "%d folds of %lld samples: expected at least 2 folds, and a sample for "
                          "each%s",
                          (int)o->folds, (long long)samples, forward ? " and one before them" : "");
    if (fold < 0 || fold >= o->folds)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "fold is %d: expected 0 to %d", (int)fold,
                          (int)o->folds - 1);
    if (o->gap < 0 || (o->gap > 0 && !forward) || (forward && o->shuffle == LSTM_YES))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "gap is %lld and shuffle is %s: a gap, from 0 on, belongs to walking "
                          "forward, shuffling to folds",
                          (long long)o->gap, o->shuffle == LSTM_YES ? "on" : "off");
    const int64_t before = samples - (o->folds - fold) * (samples / (o->folds + 1));
    if (forward && o->gap >= before)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "a gap of %lld leaves nothing of the %lld samples before fold %d",
                          (long long)o->gap, (long long)before, (int)fold);
    return LSTM_OK;
}

/* Samples first .. first + count - 1 of the order (NULL = as they are). */
static void copy_samples(const uint64_t *order, int64_t first, int64_t count, int64_t *to)
{
    for (int64_t k = 0; k < count; k++)
        to[k] = order ? (int64_t)order[first + k] : first + k;
}

lstm_status lstm_split(const lstm_split_options *options, int64_t samples, int32_t fold,
                       int64_t *train, int64_t *train_count, int64_t *validation,
                       int64_t *validation_count)
{
    lstm_split_options o;
    uint64_t *order = NULL;
    lstm_context *context = lstm__context_acquire(NULL);
    NEED(train);
    NEED(train_count);
    NEED(validation);
    NEED(validation_count);
    RETURN_IF_ERROR(read_split(&o, options, samples, fold));
    if (o.kind == LSTM_SPLIT_WALK_FORWARD) {
        const int64_t size = samples / (o.folds + 1);
        const int64_t first = samples - (o.folds - fold) * size;
        *train_count = first - o.gap;
        *validation_count = size;
        copy_samples(NULL, 0, *train_count, train);
        copy_samples(NULL, first, size, validation);
        return LSTM_OK;
    }
    const int64_t least = samples / o.folds;
    const int64_t longer = samples % o.folds;
    const int64_t first = fold * least + (fold < longer ? fold : longer);
    const int64_t size = least + (fold < longer ? 1 : 0);
    if (o.shuffle == LSTM_YES) {
        order = lstm__allocate_array(context, (size_t)samples, sizeof *order);
        if (!order)
            return lstm__fail_memory((size_t)samples * sizeof *order, "the order of the samples");
        lstm__random_permutation(o.seed, STREAM_SPLIT, order, (size_t)samples);
    }
    *train_count = samples - size;
    *validation_count = size;
    copy_samples(order, 0, first, train);
    copy_samples(order, first + size, samples - first - size, train + first);
    copy_samples(order, first, size, validation);
    lstm__release(context, order);
    return LSTM_OK;
}
