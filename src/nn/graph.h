/* SPDX-License-Identifier: MIT
 * The model: nodes in the order added (which is a topological order, since a layer can only read
 * what exists), the block of parameter values, metadata and scalers. Reference counted: sessions
 * and optimizers keep it alive.
 */
#ifndef LSTM_NN_GRAPH_H
#define LSTM_NN_GRAPH_H

#include "context.h"
#include "layer.h"

#include <stdatomic.h>

typedef struct lstm__note {
    char *key;
    char *text;
} lstm__note;

typedef struct lstm__scaler {
    size_t columns; /* 0 = none */
    double *offset; /* one allocation, `scale` behind it */
    double *scale;
} lstm__scaler;

struct lstm_model {
    atomic_size_t references;
    lstm_context *context;
    const lstm__kernels *kernels;
    int32_t profile;
    uint64_t seed;
    bool built;

    lstm__node **nodes;
    size_t node_count, node_capacity;
    const lstm_layer **outputs;
    size_t output_count, output_capacity;
    bool outputs_chosen; /* by lstm_model_set_outputs */
    size_t port_count;

    lstm__parameter *parameters;
    size_t parameter_count, parameter_capacity;
    /* all parameters, each array from a multiple of 16 elements on, gaps zero */
    real *values;
    size_t value_count; /* with gaps */
    /* The first learned_count values are what optimizers change. Behind them lie statistics
     * (BatchNormalization's moving mean and variance), for which backward leaves in the gradients
     * what the next optimizer step takes off. */
    size_t learned_count;
    size_t statistic_count; /* reserved while building */
    /* from 1 on, counted up by each change of values: what sessions derive from them is then stale
     */
    uint64_t version;
    bool loading;       /* the values come from a file: build leaves them 0 … */
    size_t most_values; /* … and refuses more than this, which is more than the file can hold */

    lstm__note *notes;
    size_t note_count, note_capacity;
    lstm__scaler scalers[2]; /* LSTM_SCALER_* - 1 */

    /* The block of a session that has ended, for the next one; NULL = none. See
     * lstm__session_retire. */
    _Atomic(lstm_session *) spare;
};

lstm_status lstm__graph_create(lstm_model **out, lstm_context *context, int32_t profile,
                               uint64_t seed);
void lstm__graph_acquire(lstm_model *model);
void lstm__graph_release(lstm_model *model);

/* Add a node of `class` with a copy of `options` (class->options_size bytes). `name` NULL =
 * automatic. */
lstm_status lstm__graph_add(lstm_model *model, const lstm__layer_class *class, const void *options,
                            const char *name, const lstm_layer *const *inputs, int input_count,
                            lstm_layer **out);

/* Let the layers look at the arrays of a call (token numbers) before it runs. */
lstm_status lstm__check_arrays(const lstm_model *model, const lstm__batch *batch);

/* Take the last node away again; nothing may read it. */
void lstm__graph_remove_last(lstm_model *model);

/* Keras' automatic name for the next layer of a class: dense, dense_1, … `name` has LSTM__NAME_SIZE
 * bytes. */
void lstm__graph_automatic_name(const lstm_model *model, const char *stem, char *name);

/* The layer with a name, or NULL. */
lstm_layer *lstm__graph_find(const lstm_model *model, const char *name);

lstm_status lstm__graph_set_outputs(lstm_model *model, const lstm_layer *const *layers,
                                    size_t count);
lstm_status lstm__graph_build(lstm_model *model);

/* For declare(): reserve rows x columns values at the end of the block; *index is the parameter's
 * number. */
typedef struct lstm__parameter_spec {
    const char *keras_name; /* "kernel" -> NAME/kernel */
    /* "weight_ih_l0" -> NAME.weight_ih_l0; NULL = not there in this profile */
    const char *torch_name;
    size_t offset; /* into the model's values */
    size_t rows, columns;
    int rank;
    int64_t keras_shape[4], torch_shape[4]; /* of rank 3 and more; else from rows and columns */
    bool torch_transposed;
    bool statistic;
    int32_t initializer;
    size_t fan_in, fan_out, units;
    size_t one_first, one_count;
} lstm__parameter_spec;
lstm_status lstm__graph_add_parameter(lstm__node *node, const lstm__parameter_spec *spec);

/* Reserve `count` values at the next multiple of 16; *offset is where they begin. Overflow is
 * LSTM_ERROR_MEMORY. */
lstm_status lstm__graph_reserve(lstm_model *model, size_t count, size_t *offset);

/* The same among the statistics; building moves the parameter's offset behind the learned values.
 */
lstm_status lstm__graph_reserve_statistic(lstm_model *model, size_t count, size_t *offset);

/* Fill the parameters from the seed. */
lstm_status lstm__graph_initialize(lstm_model *model);
lstm_status lstm__initialize(lstm_context *context, const lstm__parameter *parameter, uint64_t seed,
                             uint64_t stream, real *values);

/* Number of values of a parameter; copy it out of / into a block laid out like model->values, in
 * the users' shape. */
static inline size_t lstm__parameter_size(const lstm__parameter *parameter)
{
    return parameter->rows * parameter->columns;
}
void lstm__parameter_read(const lstm__parameter *parameter, const real *block, real *values);
void lstm__parameter_write(const lstm__parameter *parameter, real *block, const real *values);

/* To be called after each change of the values. */
static inline void lstm__graph_changed(lstm_model *model)
{
    model->version++;
}

/* Index of a parameter by name; parameter_count if absent. */
size_t lstm__graph_find_parameter(const lstm_model *model, const char *name);

lstm_status lstm__graph_set_note(lstm_model *model, const char *key, const char *text);
const char *lstm__graph_note(const lstm_model *model, const char *key);
lstm_status lstm__graph_set_scaler(lstm_model *model, int32_t which, size_t columns,
                                   const double *offset, const double *scale);

/* Whether a layer gives out its states as well: every port is an output of the model where the layer
 * is one. */
bool lstm__returns_state(const lstm__node *node);

#endif
