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
    &lstm__class_gru,
    &lstm__class_simple_rnn,
    &lstm__class_add,
    &lstm__class_subtract,
    &lstm__class_multiply,
    &lstm__class_average,
    &lstm__class_maximum,
    &lstm__class_concatenate,
    &lstm__class_layer_normalization,
    &lstm__class_batch_normalization,
    &lstm__class_embedding,
    &lstm__class_global_average_pooling,
    &lstm__class_global_max_pooling,
    &lstm__class_last_step,
    &lstm__class_max_pooling,
    &lstm__class_average_pooling,
    &lstm__class_conv1d,
    &lstm__class_attention,
    &lstm__class_additive_attention,
    &lstm__class_multi_head_attention,
    &lstm__class_spatial_dropout,
    &lstm__class_gaussian_noise,
    NULL,
};
