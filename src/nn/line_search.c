/* SPDX-License-Identifier: MIT
 * Line search for the strong Wolfe conditions; see line_search.h.
 *
 * The first part walks outwards until two points bracket a good length (algorithm 3.5), the second
 * divides the bracket (3.6). Inside the bracket `low` is the better end. A trial close to an end
 * twice in a row, or outside, is moved a tenth of the bracket away from it.
 */
#include "line_search.h"

#include <math.h>
#include <stdbool.h>

#define DECREASE 1e-4
#define CURVATURE 0.9

enum { STEPS = 25 };

typedef struct bracket {
    lstm__line_point low, high;
    bool done; /* low satisfies both conditions */
} bracket;

/* The minimum of the cubic through two points and their slopes, kept in [least, most]; their middle
 * where there is none. (Nocedal and Wright, equation 3.59) */
static double cubic_minimum(const lstm__line_point *a, const lstm__line_point *b, double least,
                            double most)
{
    const lstm__line_point *left = a->t <= b->t ? a : b;
    const lstm__line_point *right = a->t <= b->t ? b : a;
    const double d1 = left->slope + right->slope - 3 * (left->f - right->f) / (left->t - right->t);
    const double square = d1 * d1 - left->slope * right->slope;
    if (!(square >= 0) || isinf(square))
        return (least + most) / 2;
    const double d2 = sqrt(square);
    const double t = right->t - (right->t - left->t) * (right->slope + d2 - d1) /
                                    (right->slope - left->slope + 2 * d2);
    return isnan(t) ? (least + most) / 2 : fmin(fmax(t, least), most);
}

/* A place that holds neither gradient. */
static int free_place(const lstm__line_point *a, const lstm__line_point *b)
{
    int place = 0;
    while (place == a->place || place == b->place)
        place++;
    return place;
}

static lstm_status try_length(lstm__line *line, double t, int place, lstm__line_point *out)
{
    *out = (lstm__line_point){.t = t, .place = place};
    line->evaluations++;
    return line->evaluate(line->user, t, place, &out->f, &out->slope);
}

static bool decreases(const lstm__line_point *start, const lstm__line_point *at)
{
    return at->f <= start->f + DECREASE * at->t * start->slope;
}

static bool is_flat(const lstm__line_point *start, const lstm__line_point *at)
{
    return fabs(at->slope) <= -CURVATURE * start->slope;
}

static void order(bracket *b, const lstm__line_point *first, const lstm__line_point *second)
{
    const bool first_is_low = first->f <= second->f;
    b->low = first_is_low ? *first : *second;
    b->high = first_is_low ? *second : *first;
}

/* Algorithm 3.5: returns the steps taken. */
static lstm_status find_bracket(lstm__line *line, const lstm__line_point *start, double t,
                                bracket *b, int *steps)
{
    lstm__line_point before = *start;
    lstm__line_point now;
    RETURN_IF_ERROR(try_length(line, t, 1, &now));
    for (*steps = 0; *steps < STEPS; ++*steps) {
        if (!decreases(start, &now) || (*steps > 1 && now.f >= before.f)) {
            order(b, &before, &now);
            return LSTM_OK;
        }
        if (is_flat(start, &now)) {
            *b = (bracket){now, now, true};
            return LSTM_OK;
        }
        if (now.slope >= 0) {
            order(b, &before, &now);
            return LSTM_OK;
        }
        const double next = cubic_minimum(&before, &now, now.t + 0.01 * (now.t - before.t),
                                          10 * now.t);
        const int place = free_place(&before, &now);
        before = now;
        RETURN_IF_ERROR(try_length(line, next, place, &now));
    }
    order(b, &before, &now);
    return LSTM_OK;
}

/* Where to divide the bracket. *near: the trial before was near an end; now whether this one is. */
static double divide(const bracket *b, bool *near)
{
    const double least = fmin(b->low.t, b->high.t);
    const double most = fmax(b->low.t, b->high.t);
    const double margin = 0.1 * (most - least);
    const double t = cubic_minimum(&b->low, &b->high, least, most);
    const bool at_end = t >= most || t <= least;
    if (fmin(most - t, t - least) >= margin) {
        *near = false;
        return t;
    }
    if (!*near && !at_end) {
        *near = true;
        return t;
    }
    *near = false;
    return fabs(t - most) < fabs(t - least) ? most - margin : least + margin;
}

lstm_status lstm__line_search(lstm__line *line, lstm__line_point start, double t,
                              lstm__line_point *found)
{
    bracket b = {start, start, false};
    int steps = 0;
    bool near = false;
    line->evaluations = 0;
    RETURN_IF_ERROR(find_bracket(line, &start, t, &b, &steps));
    while (!b.done && steps < STEPS &&
           fabs(b.high.t - b.low.t) * line->largest >= line->tolerance) {
        lstm__line_point now;
        const double next = divide(&b, &near);
        RETURN_IF_ERROR(try_length(line, next, free_place(&b.low, &b.high), &now));
        steps++;
        if (!decreases(&start, &now) || now.f >= b.low.f) {
            const lstm__line_point low = b.low;
            order(&b, &low, &now);
            continue;
        }
        b.done = is_flat(&start, &now);
        if (!b.done && now.slope * (b.high.t - b.low.t) >= 0)
            b.high = b.low;
        b.low = now;
    }
    *found = b.low;
    return LSTM_OK;
}
