/* SPDX-License-Identifier: MIT
 * CTC (Graves, Fernandez, Gomez, Schmidhuber 2006): the probability of a label sequence is the sum
 * over all ways of writing it into the steps, with blanks between and labels repeated.
 *
 *     alpha(t, s)  paths that are at place s in step t, emissions 0 … t
 *     beta(t, s)   paths from place s in step t to the end, emissions t+1 …
 *     loss = -log sum over the two last places of alpha(T-1, s)
 *     d loss / d logit(t, k) = p(t, k) - (sum over places of class k of alpha beta) / (sum over all)
 *
 * Everything is in log space (kernels/ctc_tpl.h), relative to the largest value of each row, with
 * what was subtracted added up in double. The sum over all places at a step is the probability
 * itself; dividing by the one of the same step instead of the loss' keeps rounding out of the
 * gradient: each of its rows sums to 0 whatever the length of the sequence.
 *
 * The log of a softmax is never formed: places see x - max, and the product of the softmax' sums is
 * kept in double and turned into a logarithm when it is about to overflow.
 */
#include "ctc.h"
#include "shares.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Plan */

static size_t row_size(size_t labels)
{
    return 2 * labels + 3;
}

static void plan_scratch(const lstm__ctc *ctc, lstm__ctc_scratch *s, lstm__arena *arena)
{
    size_t bytes = 0;
    size_t steps = 0;
    size_t row = 0;
    if (!lstm__mul(ctc->labels, 2, &row) || !lstm__add(row, 3, &row) ||
        !lstm__add(ctc->steps, 2, &steps) || !lstm__mul(row, sizeof(real), &bytes))
        arena->overflow = true;
    s->alpha = lstm__carve(arena, ctc->gradients ? steps : 2, bytes);
    s->row = lstm__carve(arena, 1, bytes);
    s->both = lstm__carve(arena, 1, bytes);
    s->emissions = lstm__carve(arena, row, sizeof(real));
    s->skip = lstm__carve(arena, row, sizeof(real));
    s->most = lstm__carve(arena, steps, sizeof(real));
    s->classes = lstm__carve(arena, ctc->classes, sizeof(real));
    s->steps = lstm__carve(arena, steps, sizeof *s->steps);
}

void lstm__ctc_plan(lstm__ctc *ctc, lstm__arena *arena)
{
    const size_t threads = (size_t)lstm_context_threads(ctc->context);
    ctc->tasks = ctc->batch < threads ? ctc->batch : threads;
    ctc->tasks = ctc->tasks > 0 ? ctc->tasks : 1;
    ctc->scratch = lstm__carve(arena, ctc->tasks, sizeof *ctc->scratch);
    ctc->losses = lstm__carve(arena, ctc->batch, sizeof *ctc->losses);
    ctc->scales = lstm__carve(arena, ctc->batch, sizeof *ctc->scales);
    for (size_t k = 0; k < ctc->tasks; k++) {
        lstm__ctc_scratch measured;
        plan_scratch(ctc, arena->base ? &ctc->scratch[k] : &measured, arena);
    }
}

/* ---- Labels */

static const int32_t *labels_of(const lstm__batch *batch, size_t sample)
{
    return batch->labels + sample * batch->label_steps;
}

size_t lstm__ctc_label_count(const lstm__batch *batch, size_t sample)
{
    const int32_t *labels = labels_of(batch, sample);
    size_t count = 0;
    if (batch->label_lengths)
        return (size_t)batch->label_lengths[sample];
    while (count < batch->label_steps && labels[count] >= 0)
        count++;
    return count;
}

size_t lstm__ctc_steps_needed(const int32_t *labels, size_t count)
{
    size_t steps = count;
    for (size_t k = 1; k < count; k++)
        steps += labels[k] == labels[k - 1];
    return steps;
}

static lstm_status check_sample(const lstm__batch *batch, size_t sample, size_t classes,
                                size_t blank)
{
    const int32_t *labels = labels_of(batch, sample);
    if (batch->label_lengths && (batch->label_lengths[sample] < 0 ||
                                 (size_t)batch->label_lengths[sample] > batch->label_steps))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "label length of sample %zu is %d: expected 0 to %zu, the places a "
                          "sample has in labels",
                          sample, (int)batch->label_lengths[sample], batch->label_steps);
    const size_t count = lstm__ctc_label_count(batch, sample);
    for (size_t k = 0; k < count; k++) {
        if (labels[k] < 0 || (size_t)labels[k] >= classes)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "label of sample %zu, position %zu is %d: expected 0 to %zu", sample,
                              k, (int)labels[k], classes - 1);
        if ((size_t)labels[k] == blank)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "label of sample %zu, position %zu is %d, which is the blank: labels "
                              "must not contain it (ctc_blank chooses another class)",
                              sample, k, (int)labels[k]);
    }
    for (size_t k = count; !batch->label_lengths && k < batch->label_steps; k++)
        if (labels[k] >= 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "label of sample %zu, position %zu is %d, behind the padding that "
                              "begins at position %zu: give label_lengths, or negative numbers up "
                              "to the end",
                              sample, k, (int)labels[k], count);
    return LSTM_OK;
}

lstm_status lstm__ctc_check_labels(const lstm__batch *batch, size_t classes, size_t blank)
{
    for (size_t b = 0; b < batch->count; b++)
        RETURN_IF_ERROR(check_sample(batch, lstm__batch_sample(batch, b), classes, blank));
    return LSTM_OK;
}

/* ---- One sample */

typedef struct sample {
    const lstm__ctc *ctc;
    const lstm__ctc_call *call;
    lstm__ctc_scratch *scratch;
    const int32_t *labels;
    size_t b, label_count, step_count;
    double scale;
} sample;

static const real *numbers_at(const sample *s, size_t t)
{
    const lstm__ctc_numbers *n = &s->call->numbers;
    return n->x + t * n->step_stride + s->b * n->sample_stride;
}

static real *gradient_at(const sample *s, size_t t)
{
    const lstm__ctc_numbers *n = &s->call->numbers;
    return n->d ? n->d + t * n->d_step_stride + s->b * n->d_sample_stride : NULL;
}

/* The steps that are there; gradients of the others are 0. */
static size_t list_steps(const sample *s)
{
    const lstm__ctc_call *call = s->call;
    const size_t number = lstm__batch_sample(call->batch, s->b);
    const size_t length = call->lengths ? (size_t)call->lengths[number] : call->steps;
    size_t count = 0;
    for (size_t t = 0; t < call->steps; t++)
        if (t < length && (!call->mask || call->mask[t * call->batch->count + s->b]))
            s->scratch->steps[count++] = t;
        else if (call->numbers.d)
            memset(gradient_at(s, t), 0, s->ctc->classes * sizeof(real));
    return count;
}

static void fill_gradient(const sample *s, real value)
{
    for (size_t k = 0; s->call->numbers.d && k < s->step_count; k++) {
        real *d = gradient_at(s, s->scratch->steps[k]);
        for (size_t c = 0; c < s->ctc->classes; c++)
            d[c] = value;
    }
}

static bool has_nan(const real *x, size_t count)
{
    bool found = false;
    for (size_t k = 0; k < count; k++)
        found = found || isnan(x[k]);
    return found;
}

/* Prepare a step: largest logit, softmax' sum (answered), and the softmax times scale in the
 * gradient. The sum is NaN where a number is. */
static double normalise(const sample *s, size_t k)
{
    const size_t classes = s->ctc->classes;
    const size_t t = s->scratch->steps[k];
    const real *x = numbers_at(s, t);
    real *d = gradient_at(s, t);
    s->scratch->most[k] = 0;
    if (s->call->source == LSTM__CTC_LOGITS) {
        const real sum = s->ctc->kernels->ctc_normalise(classes, x, d, &s->scratch->most[k]);
        if (d)
            s->ctc->kernels->scale(classes, (real)(s->scale / (double)sum), d);
        return (double)sum;
    }
    for (size_t c = 0; d && c < classes; c++)
        d[c] = s->call->source == LSTM__CTC_SOFTMAX ? (real)(s->scale * (double)x[c]) : 0;
    return has_nan(x, classes) ? (double)NAN : 1;
}

/* Logarithms of the numbers of the labels that count at a step, in scratch->emissions; answers the
 * blank's. */
static real gather(const sample *s, const lstm__ctc_step *step, size_t k)
{
    const real *x = numbers_at(s, s->scratch->steps[k]);
    const real most = s->scratch->most[k];
    const real low = (real)LSTM__CTC_LOW;
    real *to = s->scratch->emissions;
    if (s->call->source == LSTM__CTC_SOFTMAX) {
        real *logarithms = s->scratch->classes;
        for (size_t c = 0; c < s->ctc->classes; c++)
            logarithms[c] = (real)log(fmax((double)x[c], (double)FLT_MIN));
        x = logarithms;
    }
    for (size_t j = step->first; j <= step->last && j < s->label_count; j++) {
        const real z = x[s->labels[j]] - most;
        to[j] = z > low ? z : low;
    }
    const real blank = x[s->call->blank] - most;
    return blank > low ? blank : low;
}

/* The row before the first step of alpha, or behind the last one of beta: everything in one place.
 */
static void start_row(real *row, size_t labels, size_t place)
{
    for (size_t k = 0; k < row_size(labels); k++)
        row[k] = (real)LSTM__CTC_LOW;
    row[place] = 0;
}

static double log_add(double a, double b)
{
    return fmax(a, b) + log1p(exp(-fabs(a - b)));
}

/* The places that count at step k: see ctc_tpl.h. */
static void choose_places(const sample *s, lstm__ctc_step *step, size_t k)
{
    const size_t left = s->step_count - k;
    step->first = s->label_count > left ? s->label_count - left : 0;
    step->last = k < s->label_count ? k : s->label_count;
}

/* Alpha of all steps; answers the loss. */
static double run_forward(const sample *s)
{
    const lstm__ctc_scratch *scratch = s->scratch;
    const size_t labels = s->label_count;
    const size_t row = row_size(labels);
    lstm__ctc_step step = {
        .labels = labels, .emissions = scratch->emissions, .skip = scratch->skip};
    double subtracted = 0;
    double log_sums = 0;
    double product = 1;
    real *from = scratch->alpha;
    start_row(from, labels, 0);
    for (size_t k = 0; k < s->step_count; k++) {
        real *to = s->ctc->gradients ? from + row : scratch->alpha + ((k + 1) % 2) * row;
        product *= normalise(s, k);
        if (!(product < 1e250)) {
            log_sums += log(product);
            product = 1;
        }
        choose_places(s, &step, k);
        step.blank = gather(s, &step, k);
        subtracted += (double)step.offset;
        step.offset = s->ctc->kernels->ctc_forward(&step, from, to);
        from = to;
    }
    const double last = labels > 0 ? log_add((double)from[labels], (double)from[2 * labels + 1])
                                   : (double)from[0];
    log_sums += log(product);
    if (isnan(log_sums))
        return log_sums;
    return last < 0.5 * LSTM__CTC_LOW ? INFINITY : log_sums - (last + subtracted);
}

/* Subtract the occupancies from what normalise() has put into the gradient. */
static void run_backward(const sample *s)
{
    const lstm__ctc_scratch *scratch = s->scratch;
    const size_t labels = s->label_count;
    const size_t row = row_size(labels);
    lstm__ctc_step step = {
        .labels = labels, .emissions = scratch->emissions, .skip = scratch->skip};
    start_row(scratch->row, labels, labels);
    for (size_t k = s->step_count; k-- > 0;) {
        real largest = 0;
        real blank = 0;
        real *d = gradient_at(s, scratch->steps[k]);
        choose_places(s, &step, k);
        step.blank = gather(s, &step, k);
        step.offset = s->ctc->kernels->ctc_backward(&step, scratch->alpha + (k + 1) * row,
                                                    scratch->row, scratch->both, &largest);
        const real sum = s->ctc->kernels->ctc_occupancy(&step, largest, scratch->both, &blank);
        const real factor = (real)(s->scale / (double)sum);
        const real *occupied = scratch->both + labels + 2;
        d[s->call->blank] -= factor * blank;
        for (size_t j = step.first; j <= step.last && j < labels; j++)
            d[s->labels[j]] -= factor * occupied[j];
    }
}

static double run_sample(sample *s)
{
    const lstm__ctc_call *call = s->call;
    const size_t number = lstm__batch_sample(call->batch, s->b);
    real *skip = s->scratch->skip;
    double loss = INFINITY;
    s->scale = s->ctc->scales[s->b];
    s->step_count = list_steps(s);
    if (s->scale == 0) {
        fill_gradient(s, 0);
        return 0;
    }
    s->labels = labels_of(call->batch, number);
    s->label_count = lstm__ctc_label_count(call->batch, number);
    if (lstm__ctc_steps_needed(s->labels, s->label_count) <= s->step_count) {
        skip[0] = skip[s->label_count] = (real)LSTM__CTC_LOW;
        for (size_t j = 1; j < s->label_count; j++)
            skip[j] = s->labels[j] == s->labels[j - 1] ? (real)LSTM__CTC_LOW : 0;
        loss = run_forward(s);
    }
    if (isinf(loss) && call->zero_infinity) {
        fill_gradient(s, 0);
        return 0;
    }
    if (!isfinite(loss))
        fill_gradient(s, (real)NAN);
    else if (call->numbers.d)
        run_backward(s);
    return loss;
}

/* ---- The batch */

typedef struct run {
    const lstm__ctc *ctc;
    const lstm__ctc_call *call;
    size_t tasks;
} run;

/* Samples in turn, as neighbours are often of a similar length. */
static void run_task(void *argument, int32_t index)
{
    const run *r = argument;
    for (size_t b = (size_t)index; b < r->call->batch->count; b += r->tasks) {
        sample s = {.ctc = r->ctc, .call = r->call, .scratch = &r->ctc->scratch[index], .b = b};
        r->ctc->losses[b] = run_sample(&s);
    }
}

void lstm__ctc_run(const lstm__ctc *ctc, const lstm__ctc_call *call)
{
    const size_t count = call->batch->count;
    const size_t work = count * call->steps * (10 * ctc->classes + 60 * row_size(ctc->labels));
    run r = {.ctc = ctc, .call = call};
    r.tasks = lstm__shares(ctc->context, count < ctc->tasks ? count : ctc->tasks, work,
                           LSTM__TASK_WORK);
    lstm__parallel(ctc->context, (int32_t)r.tasks, run_task, &r);
}
