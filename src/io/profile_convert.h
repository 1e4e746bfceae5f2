/* SPDX-License-Identifier: MIT
 * A model under the conventions of the other profile: names, shapes and number of its parameters.
 */
#ifndef LSTM_IO_PROFILE_CONVERT_H
#define LSTM_IO_PROFILE_CONVERT_H

#include "graph.h"

/* Make a model of the profile that computes the same as a built one; of the same profile it is the
 * model itself, with one more reference. Metadata and scalers are not copied. UNSUPPORTED: a layer
 * that the other profile cannot say, by its name. */
lstm_status lstm__profile_convert(lstm_model **out, lstm_model *model, int32_t profile);

#endif
