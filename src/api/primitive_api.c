/* SPDX-License-Identifier: MIT
 * lstm_primitive: one LSTM on the caller's arrays, a shell around nn/recurrence.c. One block holds
 * the handle, its plan and the packed copies of the weights.
 */
#include "cpu.h"
#include "need.h"
#include "options.h"
#include "recurrence.h"

struct lstm_primitive {
    lstm__recurrence recurrence;
    size_t bytes;
    size_t batch, steps; /* of the forward whose tape is there; 0 = none */
    bool packed;         /* the weights of a forward are there */
};

/* Whether sizes stay within what the products can address. */
static lstm_status check_sizes(const lstm_primitive_options *o)
{
    if (o->input_size < 1 || o->hidden_size < 1 || o->batch < 1 || o->steps < 1)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "input_size %lld, hidden_size %lld, batch %lld, steps %lld: expected at least 1 each",
            (long long)o->input_size, (long long)o->hidden_size, (long long)o->batch,
            (long long)o->steps);
    if (o->hidden_size > INT32_MAX / 8 || o->input_size > INT32_MAX / 8)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "input_size %lld, hidden_size %lld: expected at most %d",
                          (long long)o->input_size, (long long)o->hidden_size, INT32_MAX / 8);
    if (o->route < 0 || o->route > LSTM_ROUTE_SPLIT)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "route is %d: expected an LSTM_ROUTE_* constant or 0", (int)o->route);
    return LSTM_OK;
}

lstm_status lstm_primitive_create(lstm_primitive **out, lstm_context *context,
                                  const lstm_primitive_options *options)
{
    lstm_primitive_options own;
    NEED(out);
    *out = NULL;
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_primitive_options"));
    NEED_ZERO(own.reserved);
    NEED_ZERO(own.reserved_2);
    RETURN_IF_ERROR(lstm__read_flag(&own.training, LSTM_NO, "training"));
    RETURN_IF_ERROR(lstm__read_flag(&own.recompute, LSTM_NO, "recompute"));
    RETURN_IF_ERROR(check_sizes(&own));
    lstm_context *held = lstm__context_acquire(context);
    lstm__recurrence plan = {
        .context = held,
        .kernels = lstm__kernels_for(lstm__context_isa(held)),
        .input = (size_t)own.input_size,
        .hidden = (size_t)own.hidden_size,
        .max_batch = (size_t)own.batch,
        .max_steps = (size_t)own.steps,
        .training = own.training == LSTM_YES,
        .input_gradient = own.training == LSTM_YES,
        .recompute = own.training == LSTM_YES && own.recompute == LSTM_YES,
        .route = own.route,
    };
    if (plan.route == 0)
        plan.route = lstm__recurrence_route(plan.max_batch, plan.max_steps, plan.input, plan.hidden,
                                            plan.training);
    lstm__arena arena = {NULL, 0, false};
    lstm__carve(&arena, 1, sizeof(lstm_primitive));
    lstm__recurrence_plan(&plan, &arena);
    unsigned char *block = arena.overflow ? NULL : lstm__allocate(held, arena.used);
    if (!block) {
        lstm__context_release(held);
        return lstm__fail_memory(arena.overflow ? SIZE_MAX : arena.used, "an LSTM primitive");
    }
    const size_t bytes = arena.used;
    arena = (lstm__arena){block, 0, false};
    lstm_primitive *primitive = lstm__carve(&arena, 1, sizeof *primitive);
    *primitive = (lstm_primitive){.recurrence = plan, .bytes = bytes};
    lstm__recurrence_plan(&primitive->recurrence, &arena);
    *out = primitive;
    return LSTM_OK;
}

void lstm_primitive_destroy(lstm_primitive *primitive)
{
    if (!primitive)
        return;
    lstm_context *context = primitive->recurrence.context;
    lstm__release(context, primitive);
    lstm__context_release(context);
}

size_t lstm_primitive_memory_size(const lstm_primitive *primitive)
{
    return primitive ? primitive->bytes : 0;
}

int32_t lstm_primitive_route(const lstm_primitive *primitive)
{
    return primitive ? primitive->recurrence.route : 0;
}

/* The caller's arrays, which backward may write and forward only reads, as tensors. */
static lstm__view view(const float *data, size_t stride)
{
    return (lstm__view){(float *)(uintptr_t)data, stride};
}

static lstm_status read_call(lstm_primitive *primitive, const lstm_primitive_arrays *arrays,
                             lstm_primitive_arrays *own, lstm__recurrence_call *call)
{
    const lstm__recurrence *r = &primitive->recurrence;
    RETURN_IF_ERROR(lstm__read_options(own, sizeof *own, arrays, "lstm_primitive_arrays"));
    NEED_ZERO(own->reserved);
    RETURN_IF_ERROR(lstm__context_check(r->context));
    if (!own->x)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "x is NULL");
    if (!own->weights && !primitive->packed)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "weights is NULL: the first forward must have them");
    if (!own->weights && own->bias)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "weights is NULL but bias is not: give both, or neither to keep both");
    if (own->batch < 1 || (size_t)own->batch > r->max_batch || own->steps < 1 ||
        (size_t)own->steps > r->max_steps)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "batch %lld, steps %lld: expected 1 to %zu and 1 to %zu",
                          (long long)own->batch, (long long)own->steps, r->max_batch, r->max_steps);
    *call = (lstm__recurrence_call){
        .batch = (size_t)own->batch,
        .steps = (size_t)own->steps,
        .x = view(own->x, r->input),
        .h0 = view(own->h0, r->hidden),
        .c0 = view(own->c0, r->hidden),
        .y = view(own->y, r->hidden),
    };
    return LSTM_OK;
}

/* Backward uses what its forward packed. */
static void pack(lstm_primitive *primitive, const lstm_primitive_arrays *arrays)
{
    const lstm__recurrence *r = &primitive->recurrence;
    lstm__recurrence_pack_forward(r, arrays->weights, arrays->bias, NULL);
    if (r->training)
        lstm__recurrence_pack_backward(r, arrays->weights);
    primitive->packed = true;
}

lstm_status lstm_primitive_forward(lstm_primitive *primitive, const lstm_primitive_arrays *arrays)
{
    lstm_primitive_arrays own;
    lstm__recurrence_call call;
    NEED(primitive);
    RETURN_IF_ERROR(read_call(primitive, arrays, &own, &call));
    const lstm__recurrence *r = &primitive->recurrence;
    const uint64_t mode = lstm__denormals_flush();
    if (own.weights)
        pack(primitive, &own);
    lstm__recurrence_forward(r, &call);
    const lstm__view h = lstm__recurrence_h(r, &call);
    const lstm__view c = lstm__recurrence_c(r, &call);
    if (own.hn)
        r->kernels->copy_rows(call.batch, r->hidden, h.data, h.stride, own.hn, r->hidden, 0);
    if (own.cn)
        r->kernels->copy_rows(call.batch, r->hidden, c.data, c.stride, own.cn, r->hidden, 0);
    lstm__denormals_restore(mode);
    primitive->batch = r->training ? call.batch : 0;
    primitive->steps = r->training ? call.steps : 0;
    return LSTM_OK;
}

lstm_status lstm_primitive_backward(lstm_primitive *primitive, const lstm_primitive_arrays *arrays)
{
    lstm_primitive_arrays own;
    lstm__recurrence_call call;
    NEED(primitive);
    const lstm__recurrence *r = &primitive->recurrence;
    if (!r->training)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the primitive was not created with training = LSTM_YES");
    if (primitive->steps == 0)
        return lstm__fail(LSTM_ERROR_STATE,
                          "there is no tape: run lstm_primitive_forward before each backward");
    RETURN_IF_ERROR(read_call(primitive, arrays, &own, &call));
    if (call.batch != primitive->batch || call.steps != primitive->steps)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "batch %zu, steps %zu: the forward pass had %zu and %zu", call.batch,
                          call.steps, primitive->batch, primitive->steps);
    call.dy = view(own.dy, r->hidden);
    call.dhn[0] = view(own.dhn, r->hidden);
    call.dcn = view(own.dcn, r->hidden);
    call.dx = view(own.dx, r->input);
    call.dh0 = view(own.dh0, r->hidden);
    call.dc0 = view(own.dc0, r->hidden);
    call.dweights = own.dweights;
    call.dbias = own.dbias;
    const uint64_t mode = lstm__denormals_flush();
    lstm__recurrence_backward(r, &call);
    lstm__denormals_restore(mode);
    primitive->batch = primitive->steps = 0;
    return LSTM_OK;
}
