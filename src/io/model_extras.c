/* SPDX-License-Identifier: MIT
 * Scalers as pairs of F64 tensors, offset and scale; notes as one JSON object of texts.
 */
#include "model_extras.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const scaler_names[2][2] = {{"scaler.input.offset", "scaler.input.scale"},
                                               {"scaler.target.offset", "scaler.target.scale"}};

lstm_status lstm__scalers_seal(lstm__seal *seal, const lstm_model *model)
{
    for (int k = 0; k < 2; k++) {
        const lstm__scaler *scaler = &model->scalers[k];
        const int64_t shape[1] = {(int64_t)scaler->columns};
        if (scaler->columns == 0)
            continue;
        RETURN_IF_ERROR(
            lstm__seal_tensor(seal, scaler_names[k][0], LSTM__F64, 1, shape, scaler->offset));
        RETURN_IF_ERROR(
            lstm__seal_tensor(seal, scaler_names[k][1], LSTM__F64, 1, shape, scaler->scale));
    }
    return LSTM_OK;
}

lstm_status lstm__scalers_load(lstm_model *model, const lstm__safetensors *file)
{
    lstm_status status = LSTM_OK;
    double *values = NULL;
    for (int k = 0; k < 2; k++) {
        const lstm__tensor *offset = lstm__safetensors_find(file, scaler_names[k][0]);
        const lstm__tensor *scale = NULL;
        if (!offset)
            continue;
        TRY(lstm__safetensors_need(file, scaler_names[k][1], &scale));
        lstm__release(model->context, values);
        values = offset->count <= SIZE_MAX / 2
                     ? lstm__allocate_array(model->context, 2 * offset->count, sizeof *values)
                     : NULL;
        if (!values) {
            status = lstm__fail_memory(offset->count, "a scaler");
            goto out;
        }
        TRY(lstm__tensor_doubles(offset, values, offset->count));
        TRY(lstm__tensor_doubles(scale, values + offset->count, offset->count));
        TRY(lstm__graph_set_scaler(model, LSTM_SCALER_INPUT + k, offset->count, values,
                                   values + offset->count));
    }
out:
    lstm__release(model->context, values);
    return status;
}

lstm_status lstm__notes_to_text(const lstm_model *model, char **text)
{
    json_t *notes = json_object();
    int failed = !notes;
    for (size_t k = 0; !failed && k < model->note_count; k++)
        failed = json_object_set_new(notes, model->notes[k].key,
                                     json_string(model->notes[k].text)) != 0;
    *text = failed ? NULL : json_dumps(notes, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(notes);
    return *text ? LSTM_OK
                 : lstm__fail(LSTM_ERROR_ARGUMENT,
                              "metadata is not valid UTF-8, or there is no memory for it");
}

lstm_status lstm__notes_load(lstm_model *model, const char *text, const char *path)
{
    lstm_status status = LSTM_OK;
    json_error_t error;
    const char *key = NULL;
    json_t *value = NULL;
    json_t *notes = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(notes))
        FAIL(LSTM_ERROR_FORMAT, "%s: its metadata notes are no JSON object", path);
    json_object_foreach(notes, key, value)
    {
        if (!json_is_string(value))
            FAIL(LSTM_ERROR_FORMAT, "%s: the metadata note \"%.100s\" is no text", path, key);
        TRY(lstm__graph_set_note(model, key, json_string_value(value)));
    }
out:
    json_decref(notes);
    return status;
}
