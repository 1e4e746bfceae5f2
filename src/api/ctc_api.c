/* SPDX-License-Identifier: MIT
 * lstm_ctc: CTC on the caller's arrays, a shell around nn/ctc.c. One block holds the handle and its
 * plan.
 */
#include "constants.h"
#include "cpu.h"
#include "ctc.h"
#include "data.h"
#include "need.h"
#include "options.h"

struct lstm_ctc {
    lstm_ctc_options options;
    size_t blank;
    size_t longest; /* labels of a sample, whether they fit into the steps or not */
    lstm__ctc plan;
};

static lstm_status read_options(lstm_ctc_options *own, const lstm_ctc_options *options)
{
    RETURN_IF_ERROR(lstm__read_options(own, sizeof *own, options, "lstm_ctc_options"));
    RETURN_IF_ERROR(lstm__read_flag(&own->from_logits, LSTM_YES, "from_logits"));
    RETURN_IF_ERROR(lstm__read_flag(&own->zero_infinity, LSTM_NO, "zero_infinity"));
    RETURN_IF_ERROR(lstm__read_flag(&own->no_gradient, LSTM_NO, "no_gradient"));
    RETURN_IF_ERROR(lstm__read_constant(&own->reduction, LSTM_REDUCTION_MEAN, LSTM_NAMES_REDUCTION,
                                        "reduction"));
    if (own->reduction == LSTM_REDUCTION_WEIGHTED_MEAN)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "reduction is weighted_mean: there are no weights here; expected mean, "
                          "sum or mean_per_label");
    if (own->classes < 1 || own->classes > INT32_MAX || own->batch < 1 || own->steps < 1 ||
        own->labels < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "classes %lld, batch %lld, steps %lld, labels %lld: expected at least 1, "
                          "1, 1 and 0",
                          (long long)own->classes, (long long)own->batch, (long long)own->steps,
                          (long long)own->labels);
    if (own->blank >= own->classes || own->blank < -own->classes)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "blank is %d: expected 0 to %lld, or -%lld to -1 from the end",
                          (int)own->blank, (long long)own->classes - 1, (long long)own->classes);
    return LSTM_OK;
}

lstm_status lstm_ctc_create(lstm_ctc **out, lstm_context *context, const lstm_ctc_options *options)
{
    lstm_ctc_options own;
    NEED(out);
    *out = NULL;
    NEED(options);
    RETURN_IF_ERROR(read_options(&own, options));
    lstm_context *held = lstm__context_acquire(context);
    const int64_t fitting = own.labels < own.steps ? own.labels : own.steps;
    const lstm__ctc plan = {.context = held,
                            .kernels = lstm__kernels_for(lstm__context_isa(held)),
                            .batch = (size_t)own.batch,
                            .steps = (size_t)own.steps,
                            .classes = (size_t)own.classes,
                            .labels = (size_t)fitting,
                            .gradients = own.no_gradient == LSTM_NO};
    lstm__ctc measured = plan;
    lstm__arena arena = {NULL, 0, false};
    lstm__carve(&arena, 1, sizeof(lstm_ctc));
    lstm__ctc_plan(&measured, &arena);
    unsigned char *block = arena.overflow ? NULL : lstm__allocate(held, arena.used);
    if (!block) {
        lstm__context_release(held);
        return lstm__fail_memory(arena.overflow ? SIZE_MAX : arena.used, "CTC");
    }
    arena = (lstm__arena){block, 0, false};
    lstm_ctc *ctc = lstm__carve(&arena, 1, sizeof *ctc);
    *ctc = (lstm_ctc){
        .options = own,
        .blank = (size_t)(own.blank >= 0 ? own.blank : own.classes + own.blank),
        .longest = (size_t)own.labels,
        .plan = plan,
    };
    lstm__ctc_plan(&ctc->plan, &arena);
    *out = ctc;
    return LSTM_OK;
}

void lstm_ctc_destroy(lstm_ctc *ctc)
{
    if (!ctc)
        return;
    lstm_context *context = ctc->plan.context;
    lstm__release(context, ctc);
    lstm__context_release(context);
}

static lstm_status read_arrays(const lstm_ctc *ctc, const lstm_ctc_arrays *arrays,
                               lstm_ctc_arrays *own, lstm__batch *batch)
{
    const lstm__ctc *plan = &ctc->plan;
    RETURN_IF_ERROR(lstm__read_options(own, sizeof *own, arrays, "lstm_ctc_arrays"));
    RETURN_IF_ERROR(lstm__context_check(plan->context));
    RETURN_IF_ERROR(lstm__read_layout(&own->layout));
    if (own->batch < 0 || (size_t)own->batch > plan->batch || own->steps < 0 ||
        (size_t)own->steps > plan->steps)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "batch %lld, steps %lld: the plan is for up to %zu and %zu",
                          (long long)own->batch, (long long)own->steps, plan->batch, plan->steps);
    if (own->label_steps < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "label_steps is %lld: expected 0 or more",
                          (long long)own->label_steps);
    if ((!own->x && own->batch > 0 && own->steps > 0) ||
        (!own->labels && own->batch > 0 && own->label_steps > 0))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is NULL", own->x ? "labels" : "x");
    if (own->gradient && !plan->gradients)
        return lstm__fail(LSTM_ERROR_STATE,
                          "a gradient is wanted, but no_gradient was set when this was created");
    *batch = (lstm__batch){.samples = (size_t)own->batch,
                           .count = (size_t)own->batch,
                           .labels = own->labels,
                           .label_steps = (size_t)own->label_steps,
                           .label_lengths = own->label_lengths};
    for (int64_t b = 0; own->lengths && b < own->batch; b++)
        if (own->lengths[b] < 0 || own->lengths[b] > own->steps)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "the length of sample %lld is %d: expected 0 to %lld steps",
                              (long long)b, (int)own->lengths[b], (long long)own->steps);
    return lstm__ctc_check_labels(batch, plan->classes, ctc->blank);
}

/* What each loss counts in the reduced one. */
static lstm_status set_scales(const lstm_ctc *ctc, const lstm__batch *batch)
{
    const int32_t reduction = ctc->options.reduction;
    for (size_t b = 0; b < batch->count; b++) {
        const size_t count = lstm__ctc_label_count(batch, b);
        if (count > ctc->longest)
            return lstm__fail(LSTM_ERROR_SHAPE, "sample %zu has %zu labels, the plan is for %zu", b,
                              count, ctc->longest);
        ctc->plan.scales[b] = reduction == LSTM_REDUCTION_SUM ? 1 : 1 / (double)batch->count;
        if (reduction == LSTM_REDUCTION_MEAN_PER_LABEL && count > 1)
            ctc->plan.scales[b] /= (double)count;
    }
    return LSTM_OK;
}

lstm_status lstm_ctc_loss(lstm_ctc *ctc, const lstm_ctc_arrays *arrays, double *loss)
{
    lstm_ctc_arrays own;
    lstm__batch batch;
    double total = 0;
    NEED(ctc);
    NEED(arrays);
    RETURN_IF_ERROR(read_arrays(ctc, arrays, &own, &batch));
    RETURN_IF_ERROR(set_scales(ctc, &batch));
    const size_t classes = ctc->plan.classes;
    const bool time_first = own.layout == LSTM_LAYOUT_TIME_FIRST;
    const size_t step = time_first ? batch.count * classes : classes;
    const size_t sample = time_first ? classes : (size_t)own.steps * classes;
    const lstm__ctc_call call = {
        .numbers = {.x = own.x,
                    .step_stride = step,
                    .sample_stride = sample,
                    .d = own.gradient,
                    .d_step_stride = step,
                    .d_sample_stride = sample},
        .batch = &batch,
        .steps = (size_t)own.steps,
        .lengths = own.lengths,
        .source = ctc->options.from_logits == LSTM_YES ? LSTM__CTC_LOGITS
                                                       : LSTM__CTC_LOG_PROBABILITIES,
        .blank = ctc->blank,
        .zero_infinity = ctc->options.zero_infinity == LSTM_YES,
    };
    const uint64_t mode = lstm__denormals_flush();
    lstm__ctc_run(&ctc->plan, &call);
    lstm__denormals_restore(mode);
    for (size_t b = 0; b < batch.count; b++) {
        total += ctc->plan.scales[b] * ctc->plan.losses[b];
        if (own.losses)
            own.losses[b] = ctc->plan.losses[b];
    }
    if (loss)
        *loss = total;
    return LSTM_OK;
}
