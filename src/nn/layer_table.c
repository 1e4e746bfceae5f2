/* SPDX-License-Identifier: MIT
 * The table of layer classes: a new layer is its own file and one row here.
 */
#include "layer.h"

const lstm__layer_class *const lstm__layer_classes[] = {
    &lstm__class_input,
    &lstm__class_lstm,
    &lstm__class_dense,
    &lstm__class_dropout,
    &lstm__class_activation,
    &lstm__class_repeat_vector,
    &lstm__class_reshape,
    &lstm__class_flatten,
    &lstm__class_masking,
    &lstm__class_learned_vector,
    &lstm__class_bidirectional,
    NULL,
};
