/* SPDX-License-Identifier: MIT
 * The options of an LSTM's variants, and the parameters that they bring.
 */
#ifndef LSTM_NN_LAYER_LSTM_VARIANTS_H
#define LSTM_NN_LAYER_LSTM_VARIANTS_H

#include "layer_ports.h"
#include "stepwise.h"

/* Rows of the LSTM's option table. */
#define LSTM__VARIANT(member) offsetof(lstm_lstm_options, member)
#define LSTM__VARIANT_OPTIONS                                                               \
    LSTM__RARE("coupled_gates", NAMED, LSTM__VARIANT(coupled_gates), LSTM_NAMES_COUPLING),  \
        LSTM__RARE("proj_size", SIZE, LSTM__VARIANT(proj_size), 0),                         \
        LSTM__RARE("proj_clip", RATE, LSTM__VARIANT(proj_clip), 0),                         \
        LSTM__RARE("peepholes", FLAG, LSTM__VARIANT(peepholes), 0),                         \
        LSTM__RARE("gate_clip", RATE, LSTM__VARIANT(gate_clip), 0),                         \
        LSTM__RARE("cell_clip", RATE, LSTM__VARIANT(cell_clip), 0),                         \
        LSTM__RARE("zoneout_h", RATE, LSTM__VARIANT(zoneout_h), 0),                         \
        LSTM__RARE("zoneout_c", RATE, LSTM__VARIANT(zoneout_c), 0),                         \
        LSTM__RARE("layer_norm", NAMED, LSTM__VARIANT(layer_norm), LSTM_NAMES_LAYER_NORM),  \
        LSTM__RARE("layer_norm_epsilon", RATE, LSTM__VARIANT(layer_norm_epsilon), 0),       \
        LSTM__RARE("dropout", RATE, LSTM__VARIANT(dropout), 0),                             \
        LSTM__RARE("recurrent_dropout", RATE, LSTM__VARIANT(recurrent_dropout), 0),         \
        LSTM__RARE("recurrent_dropconnect", RATE, LSTM__VARIANT(recurrent_dropconnect), 0), \
        LSTM__RARE("seed", SEED, LSTM__VARIANT(seed), 0),                                   \
        LSTM__NUMBERS("activation", lstm_lstm_options, activation),                         \
        LSTM__NUMBERS("recurrent_activation", lstm_lstm_options, recurrent_activation),     \
        LSTM__RARE("output_activation", NAMED, LSTM__VARIANT(output_activation),            \
                   LSTM_NAMES_ACTIVATION),                                                  \
        LSTM__NUMBERS("output_activation", lstm_lstm_options, output_activation)

/* Check the options and fill in defaults. */
lstm_status lstm__variant_define(lstm_lstm_options *options);

/* Numbers of h. */
static inline size_t lstm__variant_width(const lstm_lstm_options *options)
{
    return (size_t)(options->proj_size > 0 ? options->proj_size : options->units);
}

/* The parameters behind kernel, recurrent_kernel and the biases. */
lstm_status lstm__variant_declare(lstm__node *node);

/* Where the parameters of an LSTM lie in a block laid out like the model's values. */
lstm__variant_values lstm__variant_values_of(const lstm__node *node, real *block);

#endif
