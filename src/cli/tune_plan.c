/* SPDX-License-Identifier: MIT
 *
 * Who trains how long.
 *
 * Random search (Bergstra and Bengio 2012): one rung. Successive halving (Jamieson and Talwalkar
 * 2016): after each rung the best 1/eta go on, eta times as long. Hyperband (Li et al. 2018): one
 * halving after another, each with fewer trials and a longer first rung, for the case that the
 * first epochs say little about the last. With R epochs and s_max = floor(log_eta(R / least)),
 * bracket s = s_max … 0 has ceil((s_max + 1) eta^s / (s + 1)) trials and begins with R eta^-s
 * epochs.
 *
 * A rung is complete before the next one begins, so that who goes on does not depend on which
 * process was faster.
 */
#include "tune.h"

#include <math.h>
#include <stdlib.h>

/* Rungs from `epochs` downwards by factors of eta, `steps` of them below it. */
static void make_rungs(bracket *b, int steps, int64_t epochs, double eta)
{
    b->rungs = 0;
    for (int k = steps; k >= 0 && b->rungs < PLAN_RUNGS; k--) {
        const int64_t total = k == 0 ? epochs : (int64_t)llround((double)epochs * pow(eta, -k));
        const int64_t before = b->rungs == 0 ? 0 : b->epochs[b->rungs - 1];
        if (total > before) {
            b->epochs[b->rungs++] = total;
        }
    }
}

/* The largest k with base^k <= x, safe against rounding. */
static int whole_log(double x, double base)
{
    int k = 0;
    while (k < PLAN_RUNGS - 1 && pow(base, k + 1) <= x * (1 + 1e-9)) {
        k++;
    }
    return k;
}

void plan_make(search_plan *plan, int method, size_t trials, int64_t epochs, int64_t least,
               double eta)
{
    *plan = (search_plan){.eta = eta};
    const int64_t first = least < 1 ? 1 : least > epochs ? epochs : least;
    const int deepest = whole_log((double)epochs / (double)first, eta);
    if (method != METHOD_HYPERBAND) {
        bracket *b = &plan->brackets[plan->count++];
        const int wanted = whole_log((double)trials, eta);
        b->count = trials;
        make_rungs(b,
                   method == METHOD_RANDOM ? 0
                   : wanted < deepest      ? wanted
                                           : deepest,
                   epochs, eta);
        plan->trials = trials;
        return;
    }
    for (int s = deepest; s >= 0 && plan->count < PLAN_BRACKETS; s--) {
        bracket *b = &plan->brackets[plan->count++];
        b->first = plan->trials;
        b->count = (size_t)ceil((double)(deepest + 1) * pow(eta, s) / (double)(s + 1) - 1e-9);
        make_rungs(b, s, epochs, eta);
        plan->trials += b->count;
    }
}

typedef struct ranked {
    double score;
    size_t index;
} ranked;

static int better_first(const void *a, const void *b)
{
    const ranked *const x = a;
    const ranked *const y = b;
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static int has_run(const trial *which, size_t rung)
{
    return which->error != NULL || json_array_size(which->results) > rung;
}

/* The first trial of a bracket that can run, or -1. `members` has room for all its trials. */
static ptrdiff_t next_of(const tune *t, const search_plan *plan, const bracket *b, ranked *members,
                         int64_t *epochs)
{
    size_t alive = b->count;
    for (size_t i = 0; i < alive; i++) {
        members[i] = (ranked){0, b->first + i};
    }
    for (int rung = 0; rung < b->rungs; rung++) {
        int complete = 1;
        for (size_t i = 0; i < alive; i++) {
            const trial *const member = &t->trials[members[i].index];
            if (has_run(member, (size_t)rung)) {
                continue;
            }
            complete = 0;
            if (!member->running) {
                *epochs = b->epochs[rung];
                return (ptrdiff_t)members[i].index;
            }
        }
        if (!complete) {
            return -1;
        }
        for (size_t i = 0; i < alive; i++) {
            const trial *const member = &t->trials[members[i].index];
            members[i].score = member->error != NULL ? INFINITY : trial_score(t, member, rung);
        }
        qsort(members, alive, sizeof *members, better_first);
        alive = (size_t)((double)alive / plan->eta);
        alive = alive < 1 ? 1 : alive;
    }
    return -1;
}

ptrdiff_t plan_next(const tune *t, const search_plan *plan, int64_t *epochs)
{
    ranked *members = calloc(plan->trials + 1, sizeof *members);
    ptrdiff_t found = -1;
    for (size_t k = 0; members != NULL && k < plan->count && found < 0; k++) {
        found = next_of(t, plan, &plan->brackets[k], members, epochs);
    }
    free(members);
    return found;
}
