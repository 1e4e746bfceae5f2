/* SPDX-License-Identifier: MIT
 * Layers of the caller's own: adding one, and registering a type so that descriptions and files
 * can name it.
 */
#include "custom.h"
#include "element.h"
#include "need.h"

#include <string.h>

lstm_status lstm_context_register_layer(lstm_context *context, const lstm_custom_layer *layer)
{
    lstm_custom_layer own;
    NEED(context);
    NEED(layer);
    RETURN_IF_ERROR(lstm__custom_read(&own, layer));
    return lstm__context_add_layer(context, &own);
}

lstm_status lstm_model_add_custom(lstm_model *model, const lstm_custom_layer *layer,
                                  const char *name, const lstm_layer *const *inputs, size_t count,
                                  lstm_layer **out)
{
    static const lstm_layer *const last[1] = {NULL};
    lstm_custom_layer own;
    if (out)
        *out = NULL;
    NEED(model);
    NEED(layer);
    RETURN_IF_ERROR(lstm__custom_read(&own, layer));
    if (name && name[0] && !lstm__is_name(name, strlen(name)))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the layer's name is not UTF-8 text without control characters");
    if (count > LSTM__INPUTS || (count > 0 && !inputs))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%zu layers to read%s: expected at most %d", count,
                          inputs ? "" : ", but inputs is NULL", LSTM__INPUTS);
    for (size_t k = 0; k < count; k++)
        if (!inputs[k])
            return lstm__fail(LSTM_ERROR_ARGUMENT, "layer %zu to read is NULL", k);
    return lstm__custom_add(model, &own, name, count > 0 ? inputs : last,
                            count > 0 ? (int)count : 1, out);
}
