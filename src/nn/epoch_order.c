/* SPDX-License-Identifier: MIT
 * Orders of an epoch. Buckets (as tf.data's bucket_by_sequence_length and fairseq's batching by
 * size mean them): samples are shuffled, groups of some batches are sorted by length, so that the
 * samples of a batch are of nearly equal lengths, and the batches of a group change places at
 * random. A last batch that is smaller than the others stays last.
 */
#include "epoch_order.h"
#include "batch_order.h"
#include "random.h"

#include <string.h>

enum { STREAM_SHUFFLE = 3, STREAM_BUCKET = 9 };

static const int32_t *lengths_of(const lstm__training *training)
{
    return training->source ? training->source->own.lengths : training->data.lengths;
}

/* Let the `count` full batches that begin at `order` change places. */
static void mix_batches(const lstm__training *training, uint64_t *order, size_t count, size_t group,
                        uint64_t *scratch)
{
    const size_t size = training->batch_size;
    const uint64_t number = (uint64_t)training->position.epoch << 32 | (uint64_t)group;
    uint64_t *const places = scratch + count * size;
    memcpy(scratch, order, count * size * sizeof *order);
    lstm__random_permutation(training->seed, lstm__random_stream(STREAM_BUCKET, number), places,
                             count);
    for (size_t k = 0; k < count; k++)
        memcpy(order + k * size, scratch + places[k] * size, size * sizeof *order);
}

static void sort_by_length(const int32_t *lengths, size_t count, uint64_t *order, uint32_t *ends)
{
    for (size_t k = 0; lengths && k < count; k++)
        ends[k] = (uint32_t)lengths[order[k]];
    if (lengths)
        lstm__sort_falling(count, order, ends);
}

void lstm__epoch_order(const lstm__training *training, uint64_t *order)
{
    const size_t samples = training->samples;
    if (!training->shuffle) {
        for (size_t k = 0; k < samples; k++)
            order[k] = k;
        return;
    }
    const uint64_t epoch = (uint64_t)training->position.epoch;
    lstm__random_permutation(training->seed, lstm__random_stream(STREAM_SHUFFLE, epoch), order,
                             samples);
    const size_t batches = samples / training->batch_size; /* full ones */
    for (size_t done = 0, group = 0; training->bucket_batches > 0 && done < batches; group++) {
        const size_t left = batches - done;
        const size_t count = left < training->bucket_batches ? left : training->bucket_batches;
        uint64_t *const first = order + done * training->batch_size;
        sort_by_length(lengths_of(training), count * training->batch_size, first,
                       (uint32_t *)(void *)(order + samples));
        mix_batches(training, first, count, group, order + samples);
        done += count;
    }
}
