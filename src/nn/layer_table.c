/* SPDX-License-Identifier: MIT
 * The layer classes in the order of their table.
 */
#include "layer.h"

#define ROW(name) &lstm__class_##name,
const lstm__layer_class *const lstm__layer_classes[] = {LSTM__LAYERS(ROW) NULL};
#undef ROW
