/* SPDX-License-Identifier: MIT
 * lstm_gradient_check: argument checks and memory around nn/gradient_check.c.
 */
#include "gradient_check.h"
#include "cpu.h"
#include "data.h"
#include "need.h"
#include "options.h"

#include <math.h>

static lstm_status read_options(lstm_gradient_check_options *own,
                                const lstm_gradient_check_options *options)
{
    RETURN_IF_ERROR(lstm__read_options(own, sizeof *own, options, "lstm_gradient_check_options"));
    own->directions = own->directions == 0 ? 3 : own->directions;
    own->step = own->step == 0 ? 0.02 : own->step;
    own->tolerance = own->tolerance == 0 ? 0.01 : own->tolerance;
    if (own->directions < 1 || own->directions > 1000)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "directions is %d: expected 1 to 1000",
                          (int)own->directions);
    if (!(own->step > 0) || !isfinite(own->step) || !(own->tolerance > 0))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "step is %g, tolerance %g: expected both above 0",
                          own->step, own->tolerance);
    return LSTM_OK;
}

lstm_status lstm_gradient_check(lstm_model *model, const lstm_loss_options *loss,
                                const lstm_data *data, const lstm_gradient_check_options *options,
                                double *errors, size_t count)
{
    lstm_status status = LSTM_OK;
    lstm_gradient_check_options own;
    lstm__loss own_loss;
    lstm__data read;
    lstm__gradient_check check = {.session = NULL};
    double *found = NULL;
    NEED(model);
    NEED_BUILT(model);
    RETURN_IF_ERROR(read_options(&own, options));
    RETURN_IF_ERROR(lstm__loss_read(&own_loss, loss));
    RETURN_IF_ERROR(lstm__data_read(&read, model, data, &own_loss));
    if (read.batch.count == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "data has no samples");
    if (errors && count != model->parameter_count)
        return lstm__fail(LSTM_ERROR_SHAPE, "room for %zu errors, the model has %zu parameters",
                          count, model->parameter_count);
    TRY(lstm__session_create(&check.session, model, true, false, read.batch.count, read.batch.steps,
                             0));
    check.session->fixed_update = true;
    TRY(lstm__loss_prepare(check.session, &own_loss, lstm__loss_longest(&own_loss, &read.batch)));
    check.kept = lstm__allocate_array(model->context, model->value_count, sizeof(real));
    check.gradients = lstm__allocate_array(model->context, model->value_count, sizeof(real));
    found = lstm__allocate_array(model->context, model->parameter_count, sizeof *found);
    if (!check.kept || !check.gradients || !found) {
        status = lstm__fail_memory(model->value_count * sizeof(real), "a gradient check");
        goto out;
    }
    check.loss = &own_loss;
    check.batch = &read.batch;
    check.step = own.step;
    check.tolerance = own.tolerance;
    check.directions = own.directions;
    check.seed = own.seed;
    const uint64_t mode = lstm__denormals_flush();
    status = lstm__check_model_gradients(&check, found);
    lstm__denormals_restore(mode);
    for (size_t k = 0; errors && (status == LSTM_OK || status == LSTM_ERROR_NUMERIC) && k < count;
         k++)
        errors[k] = found[k];
out:
    lstm__release(model->context, found);
    lstm__release(model->context, check.gradients);
    lstm__release(model->context, check.kept);
    lstm__session_destroy(check.session);
    return status;
}
