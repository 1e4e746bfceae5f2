/* SPDX-License-Identifier: MIT
 *
 * The table of one level. A kernels_*.c includes its vocabulary (and functions_tpl.h for floats)
 * and then this file, with
 *     LEVEL_TABLE   the table's name
 *     LEVEL_ISA     LSTM_ISA_*
 *     LEVEL_NAME    "avx2"
 */
#include "kernel_tables.h"

#include <math.h>
#include <stddef.h>

#include "access_tpl.h"

#include "activation_tpl.h"
#include "ctc_tpl.h"
#include "optimizer_tpl.h"
#include "rows_tpl.h"

#include "tiles_tpl.h"

#include "packing_tpl.h"
#include "products_tpl.h"
#include "steps_tpl.h"

#include "cell_tpl.h"
#include "shaped_tpl.h"

#include "gru_tpl.h"
#include "variants_tpl.h"

#include "random_tpl.h"

const lstm__kernels LEVEL_TABLE = {
    .isa = LEVEL_ISA,
    .name = LEVEL_NAME,
    .lanes = LANES,
    .cross_vectors = CROSS_VECTORS,
    .pack_gates = pack_gates,
    .pack_bias = pack_bias,
    .pack_across = pack_across,
    .pack_narrow = pack_narrow,
    .step_forward = step_forward,
    .step_backward = step_backward,
    .cell_forward = cell_forward,
    .cell_backward = cell_backward,
    .multiply_gates = multiply_gates,
    .multiply_across = multiply_across,
    .multiply_narrow = multiply_narrow,
    .outer_gates = outer_gates,
    .activation_forward = activation_forward,
    .activation_backward = activation_backward,
    .softmax_forward = softmax_forward,
    .softmax_backward = softmax_backward,
    .gru_after_forward = gru_after_forward,
    .gru_before_reset = gru_before_reset,
    .gru_before_forward = gru_before_forward,
    .gru_backward = gru_backward,
    .gru_before_backward = gru_before_backward,
    .fill_rows = fill_rows,
    .column_sum = column_sum,
    .copy_rows = copy_rows,
    .sum_squares = sum_squares,
    .scale = scale,
    .clip = clip,
    .adam = adam,
    .sgd = sgd,
    .rmsprop = rmsprop,
    .adagrad = adagrad,
    .adadelta = adadelta,
    .adamax = adamax,
    .lion = lion,
    .ctc_normalise = ctc_normalise,
    .ctc_forward = ctc_forward,
    .ctc_backward = ctc_backward,
    .ctc_occupancy = ctc_occupancy,
    .average = average,
    .add_scaled = add_scaled,
    .variant_forward = variant_forward,
    .variant_backward = variant_backward,
    .gate_norm_forward = gate_norm_forward,
    .gate_norm_backward = gate_norm_backward,
    .hold_forward = hold_forward,
    .hold_backward = hold_backward,
    .pack_columns = pack_columns,
    .draw_factors = draw_factors,
    .shaped_forward = shaped_forward,
    .shaped_backward = shaped_backward,
};
