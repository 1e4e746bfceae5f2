/* SPDX-License-Identifier: MIT
 * lstm_checkpoint_*: checkpoints of manual loops.
 */
#include "checkpoint_file.h"
#include "need.h"

static lstm_status check(const char *path, const lstm_model *model, const lstm_optimizer *optimizer)
{
    NEED(path);
    NEED(model);
    NEED(optimizer);
    if (optimizer->model != model)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the optimizer belongs to another model");
    return LSTM_OK;
}

lstm_status lstm_checkpoint_save(const char *path, const lstm_model *model,
                                 const lstm_optimizer *optimizer, int64_t position)
{
    RETURN_IF_ERROR(check(path, model, optimizer));
    return lstm__checkpoint_save(path, model, optimizer, position);
}

lstm_status lstm_checkpoint_load(const char *path, lstm_model *model, lstm_optimizer *optimizer,
                                 int64_t *position)
{
    RETURN_IF_ERROR(check(path, model, optimizer));
    return lstm__checkpoint_load(path, model, optimizer, position);
}
