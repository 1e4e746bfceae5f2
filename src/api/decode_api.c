/* SPDX-License-Identifier: MIT
 * lstm_ctc_greedy, lstm_ctc_beam_search, lstm_beam_search, lstm_sampler: argument checks and memory
 * around nn/ctc_greedy.c, ctc_beam.c, beam_search.c and sampler.c.
 */
#include "beam_search.h"
#include "ctc_beam.h"
#include "ctc_greedy.h"
#include "decode.h"
#include "need.h"
#include "options.h"
#include "sampler.h"
#include "shares.h"

#include <math.h>

/* ---- CTC */

typedef struct decoding {
    lstm_ctc_decode_options options;
    lstm_ctc_decode_arrays arrays;
    size_t blank, paths;
    lstm__batch batch;
    lstm__ctc_call call;
    lstm__ctc_search *searches; /* one a task */
    size_t tasks;
    int32_t *counts; /* [batch][paths] */
    double *scores;
} decoding;

static lstm_status read_decode_options(decoding *d, const lstm_ctc_decode_options *options,
                                       bool beam)
{
    lstm_ctc_decode_options *o = &d->options;
    RETURN_IF_ERROR(lstm__read_options(o, sizeof *o, options, "lstm_ctc_decode_options"));
    RETURN_IF_ERROR(lstm__read_flag(&o->from_logits, LSTM_YES, "from_logits"));
    RETURN_IF_ERROR(lstm__read_layout(&o->layout));
    o->beam_width = o->beam_width == 0 ? 16 : o->beam_width;
    o->top_paths = o->top_paths == 0 ? 1 : o->top_paths;
    if (o->classes < 1 || o->classes > INT32_MAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "classes is %lld: expected at least 1",
                          (long long)o->classes);
    if (o->blank >= o->classes || o->blank < -o->classes)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "blank is %d: expected 0 to %lld, or -%lld to -1 from the end",
                          (int)o->blank, (long long)o->classes - 1, (long long)o->classes);
    if (o->beam_width < 1 || o->beam_width > INT32_MAX || o->top_paths < 1 ||
        o->top_paths > o->beam_width)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "beam_width is %lld and top_paths %lld: expected at least 1, and no more "
                          "paths than the beam is wide",
                          (long long)o->beam_width, (long long)o->top_paths);
    if (!isfinite(o->label_bonus))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "label_bonus is %g: expected a finite number",
                          o->label_bonus);
    if ((o->bigrams || o->bigram_count > 0) &&
        (!o->bigrams || o->bigram_count != (size_t)(o->classes * o->classes)))
        return lstm__fail(LSTM_ERROR_SHAPE, "bigrams has %zu values: expected %lld by %lld",
                          o->bigrams ? o->bigram_count : 0, (long long)o->classes,
                          (long long)o->classes);
    d->blank = (size_t)(o->blank >= 0 ? o->blank : o->classes + o->blank);
    d->paths = beam ? (size_t)o->top_paths : 1;
    return LSTM_OK;
}

static lstm_status read_decode_arrays(decoding *d, const lstm_ctc_decode_arrays *arrays)
{
    lstm_ctc_decode_arrays *a = &d->arrays;
    RETURN_IF_ERROR(lstm__read_options(a, sizeof *a, arrays, "lstm_ctc_decode_arrays"));
    NEED_ZERO(a->reserved);
    const int64_t sizes[] = {a->batch, (int64_t)d->paths, a->steps};
    const size_t classes = (size_t)d->options.classes;
    size_t places = 0;
    if (a->batch < 0 || a->steps < 0 || !lstm__product(sizes, 3, &places))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "batch is %lld, steps %lld: expected 0 or more",
                          (long long)a->batch, (long long)a->steps);
    if (a->labels_count != places)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "room for %zu labels: expected %zu (%lld samples, %zu paths, %lld steps)",
                          a->labels_count, places, (long long)a->batch, d->paths,
                          (long long)a->steps);
    if (places > 0 && (!a->x || !a->labels))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is NULL", a->x ? "labels" : "x");
    for (int64_t b = 0; a->lengths && b < a->batch; b++)
        if (a->lengths[b] < 0 || a->lengths[b] > a->steps)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "the length of sample %lld is %d: expected 0 to %lld steps",
                              (long long)b, (int)a->lengths[b], (long long)a->steps);
    const bool time_first = d->options.layout == LSTM_LAYOUT_TIME_FIRST;
    d->batch = (lstm__batch){.samples = (size_t)a->batch, .count = (size_t)a->batch};
    d->call = (lstm__ctc_call){
        .numbers = {.x = a->x,
                    .step_stride = time_first ? (size_t)a->batch * classes : classes,
                    .sample_stride = time_first ? classes : (size_t)a->steps * classes},
        .batch = &d->batch,
        .steps = (size_t)a->steps,
        .lengths = a->lengths,
        .source = d->options.from_logits == LSTM_YES ? LSTM__CTC_LOGITS
                                                     : LSTM__CTC_LOG_PROBABILITIES,
        .blank = d->blank,
    };
    return LSTM_OK;
}

/* Numbers and scores of all paths, which the caller may not want. */
static void give_results(const decoding *d)
{
    for (size_t k = 0; k < d->batch.count * d->paths; k++) {
        if (d->arrays.label_lengths)
            d->arrays.label_lengths[k] = d->counts[k];
        if (d->arrays.scores)
            d->arrays.scores[k] = d->scores[k];
    }
}

lstm_status lstm_ctc_greedy(lstm_context *context, const lstm_ctc_decode_options *options,
                            const lstm_ctc_decode_arrays *arrays)
{
    decoding d;
    (void)context; /* its work is too little to share */
    NEED(options);
    NEED(arrays);
    RETURN_IF_ERROR(read_decode_options(&d, options, false));
    RETURN_IF_ERROR(read_decode_arrays(&d, arrays));
    for (size_t b = 0; b < d.batch.count; b++) {
        int32_t *labels = d.arrays.labels + b * d.call.steps;
        double score = 0;
        const size_t count = lstm__ctc_greedy(&d.call, (size_t)d.options.classes, b, labels,
                                              d.arrays.scores ? &score : NULL);
        for (size_t k = count; k < d.call.steps; k++)
            labels[k] = -1;
        if (d.arrays.label_lengths)
            d.arrays.label_lengths[b] = (int32_t)count;
        if (d.arrays.scores)
            d.arrays.scores[b] = score;
    }
    return LSTM_OK;
}

static void search_task(void *argument, int32_t index)
{
    const decoding *d = argument;
    for (size_t b = (size_t)index; b < d->batch.count; b += d->tasks)
        lstm__ctc_search_run(&d->searches[index], &d->call, b,
                             d->arrays.labels + b * d->paths * d->call.steps,
                             d->counts + b * d->paths, d->scores + b * d->paths);
}

static void lay_out(decoding *d, lstm__arena *arena)
{
    const lstm_ctc_decode_options *o = &d->options;
    const lstm__ctc_search plan = {.classes = (size_t)o->classes,
                                   .blank = d->blank,
                                   .steps = d->call.steps,
                                   .width = (size_t)o->beam_width,
                                   .paths = d->paths,
                                   .bonus = o->label_bonus,
                                   .bigrams = o->bigrams,
                                   .score = o->score,
                                   .user = o->score_user};
    d->counts = lstm__carve(arena, d->batch.count * d->paths, sizeof *d->counts);
    d->scores = lstm__carve(arena, d->batch.count * d->paths, sizeof *d->scores);
    d->searches = lstm__carve(arena, d->tasks, sizeof *d->searches);
    for (size_t k = 0; k < d->tasks; k++) {
        lstm__ctc_search measured = plan;
        if (arena->base)
            d->searches[k] = plan;
        lstm__ctc_search_plan(arena->base ? &d->searches[k] : &measured, arena);
    }
}

lstm_status lstm_ctc_beam_search(lstm_context *context, const lstm_ctc_decode_options *options,
                                 const lstm_ctc_decode_arrays *arrays)
{
    lstm_status status = LSTM_OK;
    decoding d;
    NEED(options);
    NEED(arrays);
    RETURN_IF_ERROR(read_decode_options(&d, options, true));
    RETURN_IF_ERROR(read_decode_arrays(&d, arrays));
    lstm_context *held = lstm__context_acquire(context);
    TRY(lstm__context_check(held));
    /* a candidate costs about what a hundred multiply-adds do */
    const size_t work = d.batch.count * d.call.steps * (size_t)d.options.classes *
                        (size_t)d.options.beam_width * 100;
    d.tasks = d.options.score ? 1 : lstm__shares(held, d.batch.count, work, LSTM__TASK_WORK);
    lstm__arena arena = {NULL, 0, false};
    lay_out(&d, &arena);
    unsigned char *block = arena.overflow ? NULL : lstm__allocate(held, arena.used);
    if (!block) {
        status = lstm__fail_memory(arena.overflow ? SIZE_MAX : arena.used, "a beam search");
        goto out;
    }
    arena = (lstm__arena){block, 0, false};
    lay_out(&d, &arena);
    lstm__parallel(held, (int32_t)d.tasks, search_task, &d);
    give_results(&d);
    lstm__release(held, block);
out:
    lstm__context_release(held);
    return status;
}

/* ---- The next token */

static lstm_status read_beam_options(lstm__beam_search *search, const lstm_beam_options *options)
{
    lstm_beam_options o;
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_beam_options"));
    NEED_ZERO(o.reserved);
    RETURN_IF_ERROR(lstm__read_flag(&o.from_logits, LSTM_YES, "from_logits"));
    o.length_penalty = o.length_penalty == 0 ? LSTM_LENGTH_GNMT : o.length_penalty;
    o.beam_width = o.beam_width == 0 ? 4 : o.beam_width;
    o.top_paths = o.top_paths == 0 ? 1 : o.top_paths;
    o.alpha = o.alpha != 0 ? o.alpha : o.length_penalty == LSTM_LENGTH_GNMT ? 0.6 : 1;
    if (o.length_penalty < LSTM_LENGTH_NONE || o.length_penalty > LSTM_LENGTH_AVERAGE)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "length_penalty is %d: expected an LSTM_LENGTH_* constant",
                          (int)o.length_penalty);
    if (o.classes < 1 || o.max_steps < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "classes is %lld, max_steps %lld: expected at least 1",
                          (long long)o.classes, (long long)o.max_steps);
    if (o.beam_width < 1 || o.top_paths < 1 || o.top_paths > o.beam_width)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "beam_width is %lld and top_paths %lld: expected at least 1, and no more "
                          "paths than the beam is wide",
                          (long long)o.beam_width, (long long)o.top_paths);
    if (o.end_token >= o.classes)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "end_token is %d: expected at most %lld",
                          (int)o.end_token, (long long)o.classes - 1);
    if (!isfinite(o.alpha))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "alpha is %g: expected a finite number", o.alpha);
    *search = (lstm__beam_search){.classes = (size_t)o.classes,
                                  .width = (size_t)o.beam_width,
                                  .paths = (size_t)o.top_paths,
                                  .steps = (size_t)o.max_steps,
                                  .start = o.start_token,
                                  .end = o.end_token < 0 ? -1 : o.end_token,
                                  .penalty = o.length_penalty,
                                  .alpha = o.alpha,
                                  .log_probabilities = o.from_logits == LSTM_NO};
    return LSTM_OK;
}

static void give_paths(const lstm__beam_search *s, int32_t *tokens, int32_t *lengths,
                       double *scores)
{
    for (size_t k = 0; k < s->paths; k++) {
        const bool there = k < s->finished_count;
        lengths[k] = there ? s->lengths[k] : 0;
        for (size_t t = 0; t < s->steps; t++)
            tokens[k * s->steps + t] = t < (size_t)lengths[k] ? s->finished[k * s->steps + t] : -1;
        if (scores)
            scores[k] = there ? s->scores[k] : -INFINITY;
    }
}

lstm_status lstm_beam_search(lstm_context *context, const lstm_beam_options *options,
                             lstm_beam_step step, void *user, int32_t *tokens, size_t count,
                             int32_t *lengths, double *scores)
{
    lstm_status status = LSTM_OK;
    lstm__beam_search search;
    NEED(options);
    NEED(step);
    NEED(tokens);
    NEED(lengths);
    RETURN_IF_ERROR(read_beam_options(&search, options));
    search.step = step;
    search.user = user;
    size_t expected = 0;
    if (!lstm__mul(search.paths, search.steps, &expected) || count != expected)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "room for %zu tokens: expected %zu paths of %zu tokens each", count,
                          search.paths, search.steps);
    lstm__arena arena = {NULL, 0, false};
    lstm__beam_search measured = search;
    lstm__beam_search_plan(&measured, &arena);
    lstm_context *held = lstm__context_acquire(context);
    unsigned char *block = arena.overflow ? NULL : lstm__allocate(held, arena.used);
    if (!block) {
        status = lstm__fail_memory(arena.overflow ? SIZE_MAX : arena.used, "a beam search");
        goto out;
    }
    arena = (lstm__arena){block, 0, false};
    lstm__beam_search_plan(&search, &arena);
    TRY(lstm__beam_search_run(&search));
    give_paths(&search, tokens, lengths, scores);
out:
    lstm__release(held, block);
    lstm__context_release(held);
    return status;
}

/* ---- Sampling */

struct lstm_sampler {
    lstm_context *context;
    lstm__sampler plan;
};

lstm_status lstm_sampler_create(lstm_sampler **out, lstm_context *context,
                                const lstm_sampler_options *options)
{
    lstm_sampler_options o;
    NEED(out);
    *out = NULL;
    NEED(options);
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_sampler_options"));
    NEED_ZERO(o.reserved);
    o.temperature = o.temperature == 0 ? 1 : o.temperature < 0 ? 0 : o.temperature;
    o.top_p = o.top_p == 0 ? 1 : o.top_p;
    if (o.classes < 1 || o.classes > INT32_MAX || o.top_k < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "classes is %lld, top_k %lld: expected at least 1 and 0",
                          (long long)o.classes, (long long)o.top_k);
    if (!(o.top_p > 0 && o.top_p <= 1) || !isfinite(o.temperature))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "temperature is %g, top_p %g: expected a finite number, and 0 < p <= 1",
                          o.temperature, o.top_p);
    lstm_context *held = lstm__context_acquire(context);
    lstm_sampler *sampler = NULL;
    lstm__arena arena = {NULL, 0, false};
    for (int pass = 0; pass < 2; pass++) {
        lstm_sampler *own = lstm__carve(&arena, 1, sizeof *own);
        lstm__sampler plan = {.classes = (size_t)o.classes,
                              .temperature = o.temperature,
                              .top_k = (size_t)o.top_k,
                              .top_p = o.top_p,
                              .seed = o.seed};
        plan.weights = lstm__carve(&arena, plan.classes, sizeof *plan.weights);
        plan.order = lstm__carve(&arena, plan.classes, sizeof *plan.order);
        if (own) {
            *own = (lstm_sampler){held, plan};
            *out = own;
            return LSTM_OK;
        }
        sampler = arena.overflow ? NULL : lstm__allocate(held, arena.used);
        if (!sampler)
            break;
        arena = (lstm__arena){(unsigned char *)sampler, 0, false};
    }
    lstm__context_release(held);
    return lstm__fail_memory(arena.overflow ? SIZE_MAX : arena.used, "a sampler");
}

void lstm_sampler_destroy(lstm_sampler *sampler)
{
    if (!sampler)
        return;
    lstm_context *context = sampler->context;
    lstm__release(context, sampler);
    lstm__context_release(context);
}

lstm_status lstm_sampler_draw(lstm_sampler *sampler, const float *logits, size_t count,
                              int32_t *token)
{
    NEED(sampler);
    NEED(logits);
    NEED(token);
    if (count != sampler->plan.classes)
        return lstm__fail(LSTM_ERROR_SHAPE, "%zu logits given, the sampler has %zu classes", count,
                          sampler->plan.classes);
    const int32_t drawn = lstm__sampler_draw(&sampler->plan, logits);
    if (drawn < 0)
        return lstm__fail(LSTM_ERROR_NUMERIC, "none of the %zu logits is a number above -infinity",
                          count);
    *token = drawn;
    return LSTM_OK;
}

uint64_t lstm_sampler_position(const lstm_sampler *sampler)
{
    return sampler ? sampler->plan.position : 0;
}

lstm_status lstm_sampler_set_position(lstm_sampler *sampler, uint64_t position)
{
    NEED(sampler);
    sampler->plan.position = position;
    return LSTM_OK;
}

size_t lstm__sampler_classes(const lstm_sampler *sampler)
{
    return sampler->plan.classes;
}
