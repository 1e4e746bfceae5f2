/* SPDX-License-Identifier: MIT
 * Learning-rate schedules.
 *
 * Every schedule but the plateau is a function of the update's number, so there is nothing to store
 * and a resumed run goes on with the same rates. Sources: keras/src/optimizers/schedules and
 * ReduceLROnPlateau of Keras 3.15, lr_scheduler of PyTorch 2.13 (StepLR, ExponentialLR,
 * CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR, LinearLR, ReduceLROnPlateau), both in
 * closed form; Loshchilov and Hutter 2017 (restarts), Smith and Topin 2018 (one cycle).
 */
#include "schedule.h"
#include "constants.h"
#include "options.h"

#include <math.h>

#define PI 3.14159265358979323846

static double or_default(double value, double standard)
{
    return value == 0 ? standard : value < 0 ? 0 : value;
}

static lstm_status check(double value, bool good, const char *what, const char *expected)
{
    if (good && isfinite(value))
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_ARGUMENT, "schedule: %s is %g: expected %s", what, value,
                      expected);
}

static bool needs_steps(int32_t kind)
{
    return kind == LSTM_SCHEDULE_STEP || kind == LSTM_SCHEDULE_EXPONENTIAL ||
           kind == LSTM_SCHEDULE_COSINE || kind == LSTM_SCHEDULE_COSINE_RESTARTS ||
           kind == LSTM_SCHEDULE_ONE_CYCLE;
}

lstm_status lstm__schedule_read(lstm_schedule_options *out, const lstm_schedule_options *options,
                                int32_t profile)
{
    lstm_schedule_options s;
    RETURN_IF_ERROR(lstm__read_options(&s, sizeof s, options, "lstm_schedule_options"));
    RETURN_IF_ERROR(
        lstm__read_constant(&s.schedule, LSTM_SCHEDULE_CONSTANT, LSTM_NAMES_SCHEDULE, "schedule"));
    RETURN_IF_ERROR(lstm__read_flag(&s.linear, LSTM_NO, "linear"));
    RETURN_IF_ERROR(lstm__read_flag(&s.cycle_momentum, LSTM_NO, "cycle_momentum"));
    s.factor = s.factor == 0 && s.schedule != LSTM_SCHEDULE_EXPONENTIAL ? 0.1 : s.factor;
    s.t_mul = or_default(s.t_mul, profile == LSTM_PROFILE_KERAS ? 2 : 1);
    s.m_mul = or_default(s.m_mul, 1);
    s.pct_start = or_default(s.pct_start, 0.3);
    s.div_factor = or_default(s.div_factor, 25);
    s.final_div_factor = or_default(s.final_div_factor, 10000);
    s.base_momentum = or_default(s.base_momentum, 0.85);
    s.max_momentum = or_default(s.max_momentum, 0.95);
    s.patience = s.patience == 0 ? 10 : s.patience < 0 ? 0 : s.patience;
    s.min_delta = or_default(s.min_delta, 1e-4);
    if (needs_steps(s.schedule) && s.steps < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "schedule: steps is %lld: %s needs at least 1",
                          (long long)s.steps, lstm__constant_name(LSTM_NAMES_SCHEDULE, s.schedule));
    if (s.schedule == LSTM_SCHEDULE_EXPONENTIAL || s.schedule == LSTM_SCHEDULE_STEP)
        RETURN_IF_ERROR(check(s.factor, s.factor > 0, "factor", "a number above 0"));
    if (s.schedule == LSTM_SCHEDULE_PLATEAU)
        RETURN_IF_ERROR(check(s.factor, s.factor > 0 && s.factor < 1, "factor", "0 < factor < 1"));
    if (s.schedule == LSTM_SCHEDULE_CALLBACK && !s.rate)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "schedule: rate is NULL: a callback schedule needs it");
    if (s.schedule == LSTM_SCHEDULE_ONE_CYCLE)
        RETURN_IF_ERROR(check(s.warmup_steps > 0 ? 1 : 0, s.warmup_steps == 0, "warmup_steps",
                              "none: one_cycle begins low"));
    if (s.cycle_momentum == LSTM_YES && s.schedule != LSTM_SCHEDULE_ONE_CYCLE)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "schedule: cycle_momentum belongs to one_cycle");
    RETURN_IF_ERROR(check(s.alpha, s.alpha >= 0 && s.alpha <= 1, "alpha", "0 <= alpha <= 1"));
    RETURN_IF_ERROR(check(s.t_mul, s.t_mul >= 1, "t_mul", "at least 1"));
    RETURN_IF_ERROR(check(s.m_mul, s.m_mul > 0, "m_mul", "a number above 0"));
    RETURN_IF_ERROR(
        check(s.pct_start, s.pct_start > 0 && s.pct_start < 1, "pct_start", "0 < pct_start < 1"));
    RETURN_IF_ERROR(check(s.div_factor, s.div_factor > 0, "div_factor", "a number above 0"));
    RETURN_IF_ERROR(
        check(s.final_div_factor, s.final_div_factor > 0, "final_div_factor", "a number above 0"));
    RETURN_IF_ERROR(check(s.base_momentum, s.base_momentum < 1, "base_momentum", "less than 1"));
    RETURN_IF_ERROR(check(s.max_momentum, s.max_momentum < 1, "max_momentum", "less than 1"));
    RETURN_IF_ERROR(check(s.warmup_start, s.warmup_start >= 0, "warmup_start", "at least 0"));
    RETURN_IF_ERROR(
        check((double)s.warmup_steps, s.warmup_steps >= 0, "warmup_steps", "at least 0"));
    RETURN_IF_ERROR(check(s.cooldown, s.cooldown >= 0, "cooldown", "at least 0"));
    RETURN_IF_ERROR(check(s.min_delta, true, "min_delta", "a finite number"));
    RETURN_IF_ERROR(check(s.minimum, s.minimum >= 0, "minimum", "at least 0"));
    *out = s;
    return LSTM_OK;
}

static double half_cosine(double part)
{
    return 0.5 * (1 + cos(PI * part));
}

/* Cycle number and the part of it that is done, cycles of steps, steps t_mul, steps t_mul^2, … */
static double cycle_part(const lstm_schedule_options *s, double t, double *cycle)
{
    double part = t / (double)s->steps;
    if (s->t_mul == 1) {
        *cycle = floor(part);
        return part - *cycle;
    }
    *cycle = floor(log(1 - part * (1 - s->t_mul)) / log(s->t_mul));
    part -= (1 - pow(s->t_mul, *cycle)) / (1 - s->t_mul);
    part /= pow(s->t_mul, *cycle);
    return fmin(fmax(part, 0), 1);
}

/* One-cycle: where update t stands, as a way from `low` (0) to `high` (1) in the first phase, back
 * in the second. */
static double cycle_place(const lstm_schedule_options *s, double t, bool *falling)
{
    const double top = s->pct_start * (double)s->steps - 1;
    const double end = (double)s->steps - 1;
    *falling = t > top;
    const double first = *falling ? top : 0;
    const double length = (*falling ? end : top) - first;
    const double part = length > 0 ? fmin((t - first) / length, 1) : 1;
    return s->linear == LSTM_YES ? part : 1 - half_cosine(part);
}

static double one_cycle_rate(const lstm_schedule_options *s, double base, double t)
{
    bool falling = false;
    const double place = cycle_place(s, t, &falling);
    const double first = base / s->div_factor;
    const double last = first / s->final_div_factor;
    return falling ? base + (last - base) * place : first + (base - first) * place;
}

double lstm__schedule_momentum(const lstm_schedule_options *s, double momentum, int64_t t)
{
    bool falling = false;
    if (s->cycle_momentum != LSTM_YES)
        return momentum;
    const double place = cycle_place(s, (double)t, &falling);
    const double way = (s->base_momentum - s->max_momentum) * place;
    return falling ? s->base_momentum - way : s->max_momentum + way;
}

double lstm__schedule_rate(const lstm_schedule_options *s, const lstm__plateau *plateau,
                           double base, int64_t update)
{
    double t = (double)update;
    double cycle = 0;
    if (update < s->warmup_steps)
        return s->warmup_start + (base - s->warmup_start) * t / (double)s->warmup_steps;
    t -= (double)s->warmup_steps;
    switch (s->schedule) {
    case LSTM_SCHEDULE_STEP:
        return base * pow(s->factor, floor(t / (double)s->steps));
    case LSTM_SCHEDULE_EXPONENTIAL:
        return base * pow(s->factor, t / (double)s->steps);
    case LSTM_SCHEDULE_COSINE:
        return base * ((1 - s->alpha) * half_cosine(fmin(t / (double)s->steps, 1)) + s->alpha);
    case LSTM_SCHEDULE_COSINE_RESTARTS: {
        const double part = cycle_part(s, t, &cycle);
        return base * ((1 - s->alpha) * half_cosine(part) * pow(s->m_mul, cycle) + s->alpha);
    }
    case LSTM_SCHEDULE_ONE_CYCLE:
        return one_cycle_rate(s, base, t);
    case LSTM_SCHEDULE_PLATEAU:
        return plateau->reduced < 1 ? fmax(base * plateau->reduced, fmin(s->minimum, base)) : base;
    case LSTM_SCHEDULE_CALLBACK:
        return s->rate(s->rate_user, update, base);
    default:
        return base;
    }
}

/* Keras counts an epoch of cooldown before it looks, PyTorch after; Keras reduces at `patience` bad
 * epochs, PyTorch when there are more. */
void lstm__schedule_watch(const lstm_schedule_options *s, lstm__plateau *p, int32_t profile,
                          double base, double loss)
{
    if (s->schedule != LSTM_SCHEDULE_PLATEAU)
        return;
    const bool keras = profile == LSTM_PROFILE_KERAS;
    const bool better = p->seen == 0 ||
                        loss < (keras ? p->best - s->min_delta : p->best * (1 - s->min_delta));
    if (keras && p->cooldown > 0) {
        p->cooldown--;
        p->waiting = 0;
    }
    if (better) {
        p->best = loss;
        p->seen = 1;
        p->waiting = 0;
    } else if (!keras || p->cooldown == 0) {
        p->waiting++;
    }
    if (!keras && p->cooldown > 0) {
        p->cooldown--;
        p->waiting = 0;
    }
    if (better || (keras ? p->cooldown > 0 || p->waiting < s->patience : p->waiting <= s->patience))
        return;
    const double rate = lstm__schedule_rate(s, p, base, s->warmup_steps);
    if (rate <= s->minimum && keras)
        return;
    if (!keras && rate - fmax(rate * s->factor, s->minimum) <= 1e-8) {
        p->cooldown = s->cooldown;
        p->waiting = 0;
        return;
    }
    p->reduced *= s->factor;
    p->cooldown = s->cooldown;
    p->waiting = 0;
}
