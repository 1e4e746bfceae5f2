/* SPDX-License-Identifier: MIT
 * The order of the samples of a batch.
 */
#include "batch_order.h"

/* An input sequence of the arrays of a pass. */
typedef struct sequence {
    const lstm__node *node; /* the input layer */
    size_t steps, features;
    const float *values;
    const int32_t *lengths;    /* NULL = all steps */
    const unsigned char *mask; /* NULL = all are there */
    /* the layer behind it to which values may be padding, or NULL */
    const lstm__node *reader;
} sequence;

/* A row of an array [samples][steps], or time first. */
static size_t row_of(const lstm__batch *batch, const sequence *s, size_t sample, size_t step)
{
    const bool time_first = batch->layout == LSTM_LAYOUT_TIME_FIRST &&
                            s->node->shapes[0].steps != 0;
    return time_first ? step * batch->samples + sample : sample * s->steps + step;
}

/* Steps of a sample up to the last one that is there. */
static size_t end_of(const lstm__batch *batch, const sequence *s, size_t sample)
{
    size_t end = s->lengths ? (size_t)s->lengths[sample] : s->steps;
    while (s->mask && end > 0 && !s->mask[row_of(batch, s, sample, end - 1)])
        end--;
    while (s->reader && end > 0 &&
           s->reader->class->padding(s->reader,
                                     s->values + row_of(batch, s, sample, end - 1) * s->features))
        end--;
    return end;
}

static const lstm__node *reader_of(const lstm_model *model, const lstm__node *input)
{
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class->padding && model->nodes[k]->inputs[0]->node == input)
            return model->nodes[k];
    return NULL;
}

/* Words of a vector are the steps of the Embedding that reads it. */
static sequence sequence_of(const lstm_model *model, const lstm__node *node, size_t number,
                            const lstm__batch *batch)
{
    const lstm__shape shape = node->shapes[0];
    const lstm__padding padding = lstm__batch_padding(batch, node, number);
    const bool words = shape.steps == 0;
    return (sequence){.node = node,
                      .steps = words ? (size_t)shape.features : lstm__batch_steps(batch, shape),
                      .features = words ? 1 : (size_t)shape.features,
                      .values = batch->inputs ? batch->inputs[number] : NULL,
                      .lengths = padding.lengths,
                      .mask = padding.mask,
                      .reader = batch->inputs ? reader_of(model, node) : NULL};
}

/* Whether a sequence has gaps at its end; then `ends` are set. */
static bool has_ends(const lstm__batch *batch, const sequence *s, const uint64_t *own,
                     uint32_t *ends)
{
    bool whole = true;
    if (!s->lengths && !s->mask && !s->reader)
        return false;
    for (size_t k = 0; k < batch->count; k++) {
        ends[k] = (uint32_t)end_of(batch, s, (size_t)own[k]);
        whole = whole && ends[k] == s->steps;
    }
    return !whole;
}

/* Shell's sort. */
void lstm__sort_falling(size_t count, uint64_t *order, uint32_t *ends)
{
    bool falling = true;
    for (size_t k = 1; k < count; k++)
        falling = falling && ends[k - 1] >= ends[k];
    if (falling)
        return;
    for (size_t gap = count / 2; gap > 0; gap /= 2)
        for (size_t k = gap; k < count; k++) {
            const uint64_t sample = order[k];
            const uint32_t end = ends[k];
            size_t at = k;
            for (; at >= gap && ends[at - gap] < end; at -= gap) {
                order[at] = order[at - gap];
                ends[at] = ends[at - gap];
            }
            order[at] = sample;
            ends[at] = end;
        }
}

bool lstm__batch_sort(const lstm_model *model, const lstm__batch *batch, uint64_t *order,
                      uint32_t *ends)
{
    size_t number = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        if (model->nodes[k]->class != &lstm__class_input)
            continue;
        const sequence s = sequence_of(model, model->nodes[k], number++, batch);
        if (has_ends(batch, &s, order + batch->first, ends)) {
            lstm__sort_falling(batch->count, order + batch->first, ends);
            return true;
        }
    }
    return false;
}
