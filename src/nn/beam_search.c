/* SPDX-License-Identifier: MIT
 * Beam search (Graves 2012; Sutskever et al. 2014). All living hypotheses are equally long, so a
 * step compares sums of logarithms; those that end are compared by their sum divided by the penalty
 * of their length (Wu et al. 2016, equation 14: ((5 + n) / 6)^alpha; or n^alpha).
 *
 * The search stops when no living hypothesis can become better than the worst of `width` finished
 * ones: sums only fall, and the penalty is largest at the longest length. What lives at the last
 * step is finished there.
 *
 * Of equals the one of the better hypothesis, then the lower token is kept.
 */
#include "beam_search.h"

#include <math.h>
#include <string.h>

void lstm__beam_search_plan(lstm__beam_search *s, lstm__arena *arena)
{
    size_t cells = 0;
    size_t places = 0;
    if (!lstm__mul(s->width, s->classes, &cells) || !lstm__mul(s->width, s->steps, &places) ||
        s->width > INT32_MAX / 4 || s->classes > INT32_MAX || places > SIZE_MAX / 16)
        arena->overflow = true;
    s->numbers = lstm__carve(arena, cells, sizeof *s->numbers);
    s->sums = lstm__carve(arena, s->width, sizeof *s->sums);
    s->tokens = lstm__carve(arena, 2 * places, sizeof *s->tokens);
    s->last = lstm__carve(arena, s->width, sizeof *s->last);
    s->from = lstm__carve(arena, s->width, sizeof *s->from);
    s->moves = lstm__carve(arena, 2 * s->width + 1, sizeof *s->moves);
    s->scores = lstm__carve(arena, s->width, sizeof *s->scores);
    s->finished_sums = lstm__carve(arena, s->width, sizeof *s->finished_sums);
    s->finished = lstm__carve(arena, places, sizeof *s->finished);
    s->lengths = lstm__carve(arena, s->width, sizeof *s->lengths);
}

double lstm__length_penalty(int32_t penalty, double alpha, size_t length)
{
    const double n = (double)length;
    if (penalty == LSTM_LENGTH_GNMT)
        return pow((5 + n) / 6, alpha);
    return penalty == LSTM_LENGTH_AVERAGE ? pow(n > 0 ? n : 1, alpha) : 1;
}

/* Turn a row of numbers into what is subtracted from each to give logarithms. */
static double normaliser(const lstm__beam_search *s, const float *row)
{
    double most = -INFINITY;
    double sum = 0;
    if (s->log_probabilities)
        return 0;
    for (size_t c = 0; c < s->classes; c++)
        most = (double)row[c] > most ? (double)row[c] : most;
    if (isinf(most))
        return 0;
    for (size_t c = 0; c < s->classes; c++)
        sum += isnan(row[c]) ? 0 : exp((double)row[c] - most);
    return most + log(sum);
}

/* The best 2 width moves of all hypotheses: enough to fill the beam when `width` of them end. */
static size_t best_moves(lstm__beam_search *s)
{
    const size_t most = 2 * s->width;
    size_t count = 0;
    for (size_t k = 0; k < s->living; k++) {
        const float *row = s->numbers + k * s->classes;
        const double subtract = normaliser(s, row);
        for (size_t c = 0; c < s->classes; c++) {
            const double sum = s->sums[k] + (double)row[c] - subtract;
            if (!(sum > -INFINITY) || (count == most && sum <= s->moves[count - 1].sum))
                continue;
            size_t at = count < most ? count++ : most - 1;
            for (; at > 0 && s->moves[at - 1].sum < sum; at--)
                s->moves[at] = s->moves[at - 1];
            s->moves[at] = (lstm__beam_move){sum, (int32_t)k, (int32_t)c};
        }
    }
    return count;
}

/* Put a hypothesis among the finished, if it is good enough. */
static void finish(lstm__beam_search *s, const int32_t *tokens, size_t count, int32_t last,
                   double sum)
{
    const size_t length = count + (last >= 0);
    const double score = sum / lstm__length_penalty(s->penalty, s->alpha, length);
    size_t at = s->finished_count;
    if (at == s->width && score <= s->scores[at - 1])
        return;
    at = at < s->width ? s->finished_count++ : s->width - 1;
    for (; at > 0 && s->scores[at - 1] < score; at--) {
        s->scores[at] = s->scores[at - 1];
        s->finished_sums[at] = s->finished_sums[at - 1];
        s->lengths[at] = s->lengths[at - 1];
        memcpy(s->finished + at * s->steps, s->finished + (at - 1) * s->steps,
               s->steps * sizeof *tokens);
    }
    s->scores[at] = score;
    s->finished_sums[at] = sum;
    s->lengths[at] = (int32_t)length;
    memcpy(s->finished + at * s->steps, tokens, count * sizeof *tokens);
    if (last >= 0)
        s->finished[at * s->steps + count] = last;
}

/* Make the moves: `count` tokens stand in each hypothesis so far. */
static void move(lstm__beam_search *s, size_t moves, size_t count, const int32_t *before,
                 int32_t *after)
{
    s->living = 0;
    for (size_t k = 0; k < moves && s->living < s->width; k++) {
        const lstm__beam_move *m = &s->moves[k];
        const int32_t *own = before + (size_t)m->from * s->steps;
        if (m->token == s->end) {
            finish(s, own, count, m->token, m->sum);
            continue;
        }
        int32_t *to = after + s->living * s->steps;
        memcpy(to, own, count * sizeof *to);
        to[count] = m->token;
        s->last[s->living] = m->token;
        s->from[s->living] = m->from;
        s->sums[s->living] = m->sum;
        s->living++;
    }
}

/* Whether a living hypothesis can still become one of the finished. */
static bool can_improve(const lstm__beam_search *s)
{
    if (s->living == 0)
        return false;
    if (s->finished_count < s->width)
        return true;
    /* a sum below 0 is best divided by the largest penalty, one above 0 by the smallest */
    const double far = lstm__length_penalty(s->penalty, s->alpha, s->steps);
    const double near = lstm__length_penalty(s->penalty, s->alpha, 1);
    const double divisor = (s->sums[0] < 0) == (far > near) ? far : near;
    return s->log_probabilities || s->sums[0] / divisor > s->scores[s->width - 1];
}

lstm_status lstm__beam_search_run(lstm__beam_search *s)
{
    int32_t *before = s->tokens;
    int32_t *after = s->tokens + s->width * s->steps;
    s->living = 1;
    s->finished_count = 0;
    s->sums[0] = 0;
    s->last[0] = s->start;
    s->from[0] = 0;
    size_t count = 0;
    for (; count < s->steps && can_improve(s); count++) {
        RETURN_IF_ERROR(s->step(s->user, (int64_t)count, s->living, s->last, s->from, s->numbers));
        const size_t moves = best_moves(s);
        /* sums are overwritten in order of the moves, which hold their own */
        move(s, moves, count, before, after);
        int32_t *swap = before;
        before = after;
        after = swap;
    }
    for (size_t k = 0; count == s->steps && k < s->living; k++)
        finish(s, before + k * s->steps, count, -1, s->sums[k]);
    return LSTM_OK;
}
