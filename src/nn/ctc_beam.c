/* SPDX-License-Identifier: MIT
 * Prefix beam search (Graves 2012, chapter 7.5; Hannun et al. 2014). A prefix holds the
 * probabilities of all paths that give it so far, apart for those that end in a blank and in its
 * last label; in a step it stays (a blank, or its last label again) or grows by a label:
 *
 *     stays    blank' = (blank + label) p(blank)            label' = label p(last)
 *     grows    label' = (blank + label) p(c) s(c), or blank p(c) s(c) where c is its last label
 *
 * s is what the caller's scores say of c behind the prefix. Paths of the same labels are added up
 * exactly: prefixes are nodes of a tree, a node is found again by its parent and label, and it is
 * the same prefix if and only if it is the same node. With a width that holds every prefix the
 * scores are the exact probabilities of label sequences, as CTC's loss computes them.
 *
 * Of equals the one looked at first is kept, so results do not depend on threads or levels beyond
 * rounding.
 */
#include "ctc_beam.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Memory */

void lstm__ctc_search_plan(lstm__ctc_search *s, lstm__arena *arena)
{
    size_t cells = 0;
    size_t nodes = 0;
    /* each step adds at most `width` nodes */
    if (!lstm__mul(s->steps, s->width, &nodes) || !lstm__add(nodes, 1, &nodes) ||
        nodes > INT32_MAX / 4 || !lstm__mul(s->width, s->classes, &cells)) {
        arena->overflow = true;
        return;
    }
    s->nodes = nodes;
    s->table_size = 4;
    while (s->table_size < 2 * nodes)
        s->table_size *= 2;
    s->parents = lstm__carve(arena, nodes, sizeof *s->parents);
    s->labels = lstm__carve(arena, nodes, sizeof *s->labels);
    s->places = lstm__carve(arena, nodes, sizeof *s->places);
    s->table = lstm__carve(arena, s->table_size, sizeof *s->table);
    s->alive = lstm__carve(arena, s->width, sizeof *s->alive);
    s->heap = lstm__carve(arena, s->width, sizeof *s->heap);
    s->logarithms = lstm__carve(arena, s->classes, sizeof *s->logarithms);
    s->merged = lstm__carve(arena, cells, 1);
    s->prefix = lstm__carve(arena, s->steps, sizeof *s->prefix);
}

/* ---- The tree */

static size_t hash(const lstm__ctc_search *s, int32_t parent, int32_t label)
{
    uint64_t h = ((uint64_t)(uint32_t)parent << 32 | (uint32_t)label) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    return (size_t)(h * 0xBF58476D1CE4E5B9u >> 20) & (s->table_size - 1);
}

/* The node of a parent and a label; made if it is new. */
static int32_t child_of(lstm__ctc_search *s, int32_t parent, int32_t label)
{
    size_t at = hash(s, parent, label);
    while (s->table[at] >= 0) {
        const int32_t node = s->table[at];
        if (s->parents[node] == parent && s->labels[node] == label)
            return node;
        at = (at + 1) & (s->table_size - 1);
    }
    const int32_t node = (int32_t)s->used++;
    s->table[at] = node;
    s->parents[node] = parent;
    s->labels[node] = label;
    s->places[node] = -1;
    return node;
}

/* Write a node's labels from its first on; answers their number. */
static size_t write_labels(const lstm__ctc_search *s, int32_t node, int32_t *to)
{
    size_t count = 0;
    for (int32_t at = node; at > 0; at = s->parents[at])
        count++;
    size_t left = count;
    for (int32_t at = node; at > 0; at = s->parents[at])
        to[--left] = s->labels[at];
    return count;
}

/* ---- The best so many candidates: a heap with the worst on top */

static bool is_worse(const lstm__ctc_candidate *a, const lstm__ctc_candidate *b)
{
    return a->total < b->total || (a->total == b->total && a->order > b->order);
}

static void sink(lstm__ctc_candidate *heap, size_t count, size_t at)
{
    const lstm__ctc_candidate own = heap[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &own))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = own;
}

static void offer(lstm__ctc_search *s, lstm__ctc_candidate candidate)
{
    candidate.order = s->offered++;
    if (!(candidate.total > -INFINITY))
        return;
    if (s->heap_count == s->width) {
        if (is_worse(&s->heap[0], &candidate)) {
            s->heap[0] = candidate;
            sink(s->heap, s->heap_count, 0);
        }
        return;
    }
    size_t at = s->heap_count++;
    for (; at > 0 && is_worse(&candidate, &s->heap[(at - 1) / 2]); at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = candidate;
}

/* ---- A step */

static double log_add(double a, double b)
{
    const double most = a > b ? a : b;
    return most > -INFINITY ? most + log1p(exp((a > b ? b : a) - most)) : most;
}

/* Logarithms of the probabilities of a step; what is no number counts as impossible. */
static void read_step(lstm__ctc_search *s, const lstm__ctc_call *call, size_t t, size_t b)
{
    const real *x = call->numbers.x + t * call->numbers.step_stride +
                    b * call->numbers.sample_stride;
    double most = -INFINITY;
    double sum = 0;
    for (size_t c = 0; c < s->classes; c++) {
        s->logarithms[c] = isnan(x[c]) ? -INFINITY : (double)x[c];
        most = fmax(most, s->logarithms[c]);
    }
    if (call->source == LSTM__CTC_LOG_PROBABILITIES || isinf(most))
        return;
    for (size_t c = 0; c < s->classes; c++)
        sum += exp(s->logarithms[c] - most);
    for (size_t c = 0; c < s->classes; c++)
        s->logarithms[c] -= most + log(sum);
}

/* What the caller's scores say of class c behind a prefix, whose labels are in s->prefix if there
 * is a function that asks for them. */
static double extra(const lstm__ctc_search *s, int32_t node, size_t prefix_count, size_t c)
{
    double value = s->bonus;
    if (s->bigrams) {
        const size_t last = node > 0 ? (size_t)s->labels[node] : s->blank;
        value += (double)s->bigrams[last * s->classes + c];
    }
    return s->score ? value + s->score(s->user, s->prefix, prefix_count, (int32_t)c) : value;
}

static double grown(const lstm__ctc_search *s, const lstm__ctc_prefix *p, size_t prefix_count,
                    size_t c)
{
    const bool again = p->node > 0 && s->labels[p->node] == (int32_t)c;
    const double from = again ? p->blank : p->total;
    return from > -INFINITY ? from + s->logarithms[c] + extra(s, p->node, prefix_count, c)
                            : -INFINITY;
}

/* Prefixes that stay; those that also are another's extension take its paths along. */
static void offer_staying(lstm__ctc_search *s)
{
    memset(s->merged, 0, s->alive_count * s->classes);
    for (size_t k = 0; k < s->alive_count; k++) {
        const lstm__ctc_prefix *p = &s->alive[k];
        lstm__ctc_candidate candidate = {.from = (int32_t)k, .class = -1, .label = -INFINITY};
        candidate.blank = p->total + s->logarithms[s->blank];
        if (p->node > 0) {
            const size_t last = (size_t)s->labels[p->node];
            const int32_t parent = s->places[s->parents[p->node]];
            candidate.label = p->label + s->logarithms[last];
            if (parent >= 0) {
                const lstm__ctc_prefix *shorter = &s->alive[parent];
                const size_t count = s->score ? write_labels(s, shorter->node, s->prefix) : 0;
                candidate.label = log_add(candidate.label, grown(s, shorter, count, last));
                s->merged[(size_t)parent * s->classes + last] = 1;
            }
        }
        candidate.total = log_add(candidate.blank, candidate.label);
        offer(s, candidate);
    }
}

static void offer_growing(lstm__ctc_search *s)
{
    for (size_t k = 0; k < s->alive_count; k++) {
        const lstm__ctc_prefix *p = &s->alive[k];
        const size_t count = s->score ? write_labels(s, p->node, s->prefix) : 0;
        for (size_t c = 0; c < s->classes; c++) {
            if (c == s->blank || s->merged[k * s->classes + c])
                continue;
            const double label = grown(s, p, count, c);
            offer(s, (lstm__ctc_candidate){.total = label,
                                           .blank = -INFINITY,
                                           .label = label,
                                           .from = (int32_t)k,
                                           .class = (int32_t)c});
        }
    }
}

/* The heap becomes the living prefixes, best first. */
static void take_best(lstm__ctc_search *s)
{
    for (size_t end = s->heap_count; end > 1; end--) {
        const lstm__ctc_candidate worst = s->heap[0];
        s->heap[0] = s->heap[end - 1];
        sink(s->heap, end - 1, 0);
        s->heap[end - 1] = worst;
    }
    for (size_t k = 0; k < s->alive_count; k++)
        s->places[s->alive[k].node] = -1;
    /* all nodes are looked up before a prefix is overwritten: `order` has done its work */
    for (size_t k = 0; k < s->heap_count; k++) {
        const lstm__ctc_candidate *c = &s->heap[k];
        const int32_t node = s->alive[c->from].node;
        s->heap[k].order = (size_t)(c->class < 0 ? node : child_of(s, node, c->class));
    }
    s->alive_count = s->heap_count;
    for (size_t k = 0; k < s->heap_count; k++) {
        const lstm__ctc_candidate *c = &s->heap[k];
        s->alive[k] = (lstm__ctc_prefix){
            .node = (int32_t)c->order, .blank = c->blank, .label = c->label, .total = c->total};
        s->places[c->order] = (int32_t)k;
    }
}

static void start(lstm__ctc_search *s)
{
    memset(s->table, 0xFF, s->table_size * sizeof *s->table);
    s->parents[0] = -1;
    s->labels[0] = -1;
    s->places[0] = 0;
    s->used = 1;
    s->alive_count = 1;
    s->alive[0] = (lstm__ctc_prefix){.node = 0, .blank = 0, .label = -INFINITY, .total = 0};
}

void lstm__ctc_search_run(lstm__ctc_search *s, const lstm__ctc_call *call, size_t b,
                          int32_t *labels, int32_t *counts, double *scores)
{
    const size_t sample = lstm__batch_sample(call->batch, b);
    const size_t length = call->lengths ? (size_t)call->lengths[sample] : call->steps;
    start(s);
    for (size_t t = 0; t < length; t++) {
        read_step(s, call, t, b);
        s->heap_count = 0;
        s->offered = 0;
        offer_staying(s);
        offer_growing(s);
        take_best(s);
    }
    for (size_t k = 0; k < s->paths; k++) {
        const bool there = k < s->alive_count;
        int32_t *own = labels + k * call->steps;
        const size_t count = there ? write_labels(s, s->alive[k].node, own) : 0;
        for (size_t j = count; j < call->steps; j++)
            own[j] = -1;
        counts[k] = (int32_t)count;
        scores[k] = there ? s->alive[k].total : -INFINITY;
    }
}
