/* SPDX-License-Identifier: MIT
 * The table of layer classes: a new layer is its own file layer_<name>.c and one row here. A row `name`
 * stands for the class lstm__class_<name>.
 */
#ifndef LSTM_NN_LAYER_TABLE_H
#define LSTM_NN_LAYER_TABLE_H

/* clang-format off */
#define LSTM__LAYERS(ROW) \
    ROW(input) \
    ROW(lstm) \
    ROW(dense) \
    ROW(dropout) \
    ROW(activation) \
    ROW(repeat_vector) \
    ROW(reshape) \
    ROW(flatten) \
    ROW(gru) \
    ROW(simple_rnn) \
    ROW(add) \
    ROW(subtract) \
    ROW(multiply) \
    ROW(average) \
    ROW(maximum) \
    ROW(concatenate) \
    ROW(layer_normalization) \
    ROW(batch_normalization) \
    ROW(embedding) \
    ROW(global_average_pooling) \
    ROW(global_max_pooling) \
    ROW(last_step) \
    ROW(max_pooling) \
    ROW(average_pooling) \
    ROW(conv1d) \
    ROW(attention) \
    ROW(additive_attention) \
    ROW(multi_head_attention) \
    ROW(spatial_dropout) \
    ROW(gaussian_noise) \
    ROW(gaussian_dropout) \
    ROW(alpha_dropout) \
    ROW(masking) \
    ROW(learned_vector) \
    ROW(bidirectional) \
    ROW(reverse)
/* clang-format on */

#endif
