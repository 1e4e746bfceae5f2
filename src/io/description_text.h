/* SPDX-License-Identifier: MIT
 * What readers of descriptions in JSON have in common.
 */
#ifndef LSTM_IO_DESCRIPTION_TEXT_H
#define LSTM_IO_DESCRIPTION_TEXT_H

#include "status.h"

#include <jansson.h>

/* The text of a key; "" where it has none. */
static inline const char *lstm__text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static inline lstm_status lstm__fail_description(void)
{
    return lstm__fail(LSTM_ERROR_MEMORY, "no memory for the model's description");
}

#endif
