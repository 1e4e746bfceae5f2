/* SPDX-License-Identifier: MIT
 * TimeDistributed: our layers treat the steps of a sequence alike by themselves, so the wrapped
 * layer takes the wrapper's place. Its description is {"type": …, options} (ours) or {"class_name":
 * …, "config": {options}} (Keras').
 */
#include "wrapper_json.h"
#include "description_text.h"

#include <string.h>

bool lstm__is_time_distributed(const json_t *layer)
{
    const char *type = json_string_value(json_object_get(layer, "type"));
    return type && strcmp(type, "TimeDistributed") == 0;
}

/* Of the wrapper only these keys and what carries nothing. */
static lstm_status check_keys(const json_t *layer)
{
    static const char *const known[] = {
        "type",         "name", "inputs", "layer", "dtype", "trainable", "batch_input_shape",
        "build_config", NULL};
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)layer, key, value)
    {
        size_t k = 0;
        while (known[k] && strcmp(known[k], key) != 0)
            k++;
        if (!known[k])
            return lstm__fail(LSTM_ERROR_NOT_FOUND, "unknown option \"%s\"", key);
    }
    return LSTM_OK;
}

lstm_status lstm__unwrap_layer(const json_t *layer, json_t **out)
{
    const json_t *inner = json_object_get(layer, "layer");
    const json_t *config = json_object_get(inner, "config");
    json_t *type = json_object_get(inner, config ? "class_name" : "type");
    RETURN_IF_ERROR(check_keys(layer));
    if (!json_is_object(inner) || !json_is_string(type))
        return lstm__fail(LSTM_ERROR_FORMAT, "\"layer\" is not the description of a layer");
    if (lstm__is_time_distributed(inner) || strcmp(json_string_value(type), "TimeDistributed") == 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "a TimeDistributed inside a TimeDistributed");
    json_t *merged = json_copy((json_t *)(config ? config : inner));
    static const char *const from_wrapper[] = {"name", "inputs", "batch_input_shape"};
    int failed = !merged || json_object_set(merged, "type", type) != 0;
    if (!failed)
        json_object_del(merged, "name");
    for (size_t k = 0; !failed && k < sizeof from_wrapper / sizeof *from_wrapper; k++)
        if (json_object_get(layer, from_wrapper[k]))
            failed = json_object_set(merged, from_wrapper[k],
                                     json_object_get(layer, from_wrapper[k])) != 0;
    if (failed) {
        json_decref(merged);
        return lstm__fail_description();
    }
    *out = merged;
    return LSTM_OK;
}
