/* SPDX-License-Identifier: MIT
 * The options of an LSTM's variants, and the parameters that they bring: projection, peepholes,
 * scales and shifts of normalisations, in this order behind the biases.
 */
#include "layer_lstm_variants.h"
#include "activation.h"
#include "constants.h"
#include "options.h"

#include <math.h>

/* ---- Options */

static lstm_status check_rate(float rate, const char *what)
{
    if (rate >= 0 && rate < 1)
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected 0 <= rate < 1", what, (double)rate);
}

static lstm_status check_clip(float clip, const char *what)
{
    if (clip >= 0 && isfinite(clip))
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected a positive number, or 0 for no clip",
                      what, (double)clip);
}

static lstm_status check_rates(const lstm_lstm_options *o)
{
    RETURN_IF_ERROR(check_rate(o->dropout, "dropout"));
    RETURN_IF_ERROR(check_rate(o->recurrent_dropout, "recurrent_dropout"));
    RETURN_IF_ERROR(check_rate(o->recurrent_dropconnect, "recurrent_dropconnect"));
    const struct {
        float rate;
        const char *what;
    } holds[] = {{o->zoneout_h, "zoneout_h"}, {o->zoneout_c, "zoneout_c"}};
    for (size_t k = 0; k < 2; k++)
        if (!(holds[k].rate >= 0 && holds[k].rate <= 1))
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected 0 to 1", holds[k].what,
                              (double)holds[k].rate);
    return LSTM_OK;
}

/* Which variants exclude each other. */
static lstm_status check_together(const lstm_lstm_options *o)
{
    const bool normalised = o->layer_norm != LSTM_LAYER_NORM_NONE;
    if (normalised && o->layer_norm != LSTM_LAYER_NORM_TF && o->peepholes == LSTM_YES)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "peepholes together with layer_norm \"%s\": only \"tf\" has both "
                          "(TensorFlow's LayerNormLSTMCell)",
                          lstm__constant_name(LSTM_NAMES_LAYER_NORM, o->layer_norm));
    if (o->proj_clip > 0 && o->proj_size == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "proj_clip is %g but there is no projection: set proj_size too",
                          (double)o->proj_clip);
    return LSTM_OK;
}

/* The numbers of the activations, and the third one: 0 where it is that of g. */
static lstm_status check_activations(lstm_lstm_options *o)
{
    RETURN_IF_ERROR(
        lstm__read_numbers(o->activation, &o->activation_alpha, &o->activation_beta, "activation"));
    RETURN_IF_ERROR(lstm__read_numbers(o->recurrent_activation, &o->recurrent_activation_alpha,
                                       &o->recurrent_activation_beta, "recurrent_activation"));
    if (o->output_activation == 0) {
        if (o->output_activation_alpha == 0 && o->output_activation_beta == 0)
            return LSTM_OK;
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "output_activation_alpha is %g and output_activation_beta %g, but there "
                          "is no output_activation: set that too",
                          (double)o->output_activation_alpha, (double)o->output_activation_beta);
    }
    RETURN_IF_ERROR(
        lstm__read_constant(&o->output_activation, 0, LSTM_NAMES_ACTIVATION, "output_activation"));
    if (o->output_activation == LSTM_ACTIVATION_SOFTMAX)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "softmax inside an LSTM (output_activation): "
                                                  "expected an activation of single values");
    RETURN_IF_ERROR(lstm__read_numbers(o->output_activation, &o->output_activation_alpha,
                                       &o->output_activation_beta, "output_activation"));
    if (o->output_activation == o->activation &&
        o->output_activation_alpha == o->activation_alpha &&
        o->output_activation_beta == o->activation_beta) {
        o->output_activation = 0;
        o->output_activation_alpha = o->output_activation_beta = 0;
    }
    return LSTM_OK;
}

lstm_status lstm__variant_define(lstm_lstm_options *o)
{
    if (o->reserved != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_lstm_options: reserved is %d: expected 0",
                          (int)o->reserved);
    RETURN_IF_ERROR(check_activations(o));
    RETURN_IF_ERROR(lstm__read_constant(&o->coupled_gates, LSTM_COUPLING_NONE, LSTM_NAMES_COUPLING,
                                        "coupled_gates"));
    RETURN_IF_ERROR(lstm__read_flag(&o->peepholes, LSTM_NO, "peepholes"));
    RETURN_IF_ERROR(lstm__read_constant(&o->layer_norm, LSTM_LAYER_NORM_NONE, LSTM_NAMES_LAYER_NORM,
                                        "layer_norm"));
    if (o->proj_size < 0 || (o->proj_size > 0 && o->proj_size >= o->units))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "proj_size is %lld: expected 1 to %lld, fewer than the %lld units, or 0 "
                          "for no projection",
                          (long long)o->proj_size, (long long)o->units - 1, (long long)o->units);
    RETURN_IF_ERROR(check_clip(o->proj_clip, "proj_clip"));
    RETURN_IF_ERROR(check_clip(o->gate_clip, "gate_clip"));
    RETURN_IF_ERROR(check_clip(o->cell_clip, "cell_clip"));
    RETURN_IF_ERROR(check_rates(o));
    if (!isfinite(o->layer_norm_epsilon))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer_norm_epsilon is %g: expected a finite number",
                          (double)o->layer_norm_epsilon);
    if (o->layer_norm_epsilon == 0 && o->layer_norm != LSTM_LAYER_NORM_NONE)
        o->layer_norm_epsilon = 1e-5f;
    return check_together(o);
}

/* ---- Parameters */

static bool normalises_apart(const lstm_lstm_options *o)
{
    return o->layer_norm == LSTM_LAYER_NORM_BA || o->layer_norm == LSTM_LAYER_NORM_FASTRNNS;
}

static lstm_status declare_projection(lstm__node *node, const lstm_lstm_options *o)
{
    const size_t units = (size_t)o->units;
    const size_t width = (size_t)o->proj_size;
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, units * width, &offset));
    return lstm__graph_add_parameter(node,
                                     &(lstm__parameter_spec){.keras_name = "projection_kernel",
                                                             .torch_name = "weight_hr_l0",
                                                             .offset = offset,
                                                             .rows = units,
                                                             .columns = width,
                                                             .rank = 2,
                                                             .torch_transposed = true,
                                                             .initializer = o->kernel_initializer,
                                                             .fan_in = units,
                                                             .fan_out = width,
                                                             .units = units});
}

static lstm_status declare_peepholes(lstm__node *node, const lstm_lstm_options *o)
{
    const size_t units = (size_t)o->units;
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, LSTM__LOOKS * units, &offset));
    return lstm__graph_add_parameter(node,
                                     &(lstm__parameter_spec){.keras_name = "peephole_kernel",
                                                             .torch_name = "weight_ch_l0",
                                                             .offset = offset,
                                                             .rows = LSTM__LOOKS,
                                                             .columns = units,
                                                             .rank = 2,
                                                             .initializer = LSTM_INITIALIZER_ZEROS,
                                                             .fan_in = units,
                                                             .fan_out = units,
                                                             .units = units});
}

lstm_status lstm__variant_declare(lstm__node *node)
{
    const lstm_lstm_options *o = node->options;
    const size_t units = (size_t)o->units;
    if (o->proj_size > 0)
        RETURN_IF_ERROR(declare_projection(node, o));
    if (o->peepholes == LSTM_YES)
        RETURN_IF_ERROR(declare_peepholes(node, o));
    if (o->layer_norm == LSTM_LAYER_NORM_NONE)
        return LSTM_OK;
    if (normalises_apart(o)) {
        RETURN_IF_ERROR(lstm__declare_vector(node, "kernel_gamma", "weight_ih_gamma_l0", 4 * units,
                                             LSTM_INITIALIZER_ONES));
        RETURN_IF_ERROR(lstm__declare_vector(node, "recurrent_gamma", "weight_hh_gamma_l0",
                                             4 * units, LSTM_INITIALIZER_ONES));
    } else {
        RETURN_IF_ERROR(lstm__declare_vector(node, "gate_gamma", "gate_gamma_l0", 4 * units,
                                             LSTM_INITIALIZER_ONES));
    }
    if (o->layer_norm == LSTM_LAYER_NORM_TFLITE)
        return LSTM_OK;
    RETURN_IF_ERROR(
        lstm__declare_vector(node, "cell_gamma", "cell_gamma_l0", units, LSTM_INITIALIZER_ONES));
    return lstm__declare_vector(node, "cell_beta", "cell_beta_l0", units, LSTM_INITIALIZER_ZEROS);
}

lstm__variant_values lstm__variant_values_of(const lstm__node *node, real *block)
{
    const lstm_lstm_options *o = node->options;
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    size_t next = 1;
    lstm__variant_values v = {.weights = block + lstm__parameter_offset(node, next++)};
    for (int k = 0; o->use_bias == LSTM_YES && k < (torch ? 2 : 1); k++)
        v.bias[k] = block + lstm__parameter_offset(node, next++);
    if (o->proj_size > 0)
        v.projection = block + lstm__parameter_offset(node, next++);
    if (o->peepholes == LSTM_YES)
        v.peephole = block + lstm__parameter_offset(node, next++);
    if (o->layer_norm == LSTM_LAYER_NORM_NONE)
        return v;
    if (normalises_apart(o))
        v.gamma[1] = block + lstm__parameter_offset(node, next++);
    v.gamma[0] = block + lstm__parameter_offset(node, next++);
    if (o->layer_norm == LSTM_LAYER_NORM_TFLITE)
        return v;
    v.cell_gamma = block + lstm__parameter_offset(node, next++);
    v.cell_beta = block + lstm__parameter_offset(node, next);
    return v;
}
