/* SPDX-License-Identifier: MIT
 *
 * Options of recurrent nodes: activations with their alpha and beta, clip, input_forget, peepholes.
 *
 * alpha and beta are consumed by the activations that have any, in order. A HardSigmoid,
 * clip(alpha a + beta, 0, 1), is ours, clip(a'/6 + 1/2, 0, 1), of a' = 6 alpha a + 6 beta - 3: the
 * weights of its gates are multiplied by 6 alpha and their bias is shifted.
 */
#include "onnx_activations.h"
#include "onnx_cells.h"

#include <math.h>
#include <string.h>

typedef struct entry {
    const char *name;
    int32_t activation;
    bool has_alpha, has_beta;
    float alpha, beta; /* defaults, and what our activation has */
} entry;

static const entry entries[] = {
    {"Sigmoid", LSTM_ACTIVATION_SIGMOID, false, false, 0, 0},
    {"Tanh", LSTM_ACTIVATION_TANH, false, false, 0, 0},
    {"Relu", LSTM_ACTIVATION_RELU, false, false, 0, 0},
    {"Softsign", LSTM_ACTIVATION_SOFTSIGN, false, false, 0, 0},
    {"Softplus", LSTM_ACTIVATION_SOFTPLUS, false, false, 0, 0},
    {"Elu", LSTM_ACTIVATION_ELU, true, false, 1, 0},
    {"Affine", LSTM_ACTIVATION_LINEAR, true, true, 1, 0},
    {"HardSigmoid", LSTM_ACTIVATION_HARD_SIGMOID, true, true, 0.2f, 0.5f},
    {NULL, 0, false, false, 0, 0},
};

/* f, g and h of one direction. */
typedef struct choice {
    int32_t activation;
    float alpha, beta;
} choice;

static const entry *find(const char *name)
{
    const entry *e = entries;
    while (e->name && strcmp(e->name, name) != 0)
        e++;
    return e->name ? e : NULL;
}

/* The activations of direction `wanted`; `count` of them a direction. */
static lstm_status read_choices(const lstm__onnx_node *node, int directions, int wanted, int count,
                                const char *const *defaults, choice *choices)
{
    enum { MOST = 8 };
    float alpha[MOST];
    float beta[MOST];
    int alphas = 0;
    int betas = 0;
    int alpha_at = 0;
    int beta_at = 0;
    RETURN_IF_ERROR(lstm__onnx_floats(node, "activation_alpha", alpha, MOST, &alphas));
    RETURN_IF_ERROR(lstm__onnx_floats(node, "activation_beta", beta, MOST, &betas));
    for (int k = 0; k < directions * count; k++) {
        char name[64];
        bool found = false;
        RETURN_IF_ERROR(lstm__onnx_strings(node, "activations", k, name, &found));
        if (!found && k > 0 && lstm__onnx_has_attribute(node, "activations"))
            return lstm__onnx_refuse(node, "activations has %d entries: expected %d", k,
                                     directions * count);
        const entry *e = find(found ? name : defaults[k % count]);
        if (!e)
            return lstm__onnx_refuse(node, "activation \"%s\" is not in this version", name);
        choice one = {e->activation, e->alpha, e->beta};
        if (e->has_alpha && alpha_at < alphas)
            one.alpha = alpha[alpha_at++];
        if (e->has_beta && beta_at < betas)
            one.beta = beta[beta_at++];
        if (k / count == wanted)
            choices[k % count] = one;
        if (e->activation == LSTM_ACTIVATION_ELU && one.alpha != 1)
            return lstm__onnx_refuse(node, "activation Elu with alpha %g: expected 1",
                                     (double)one.alpha);
    }
    return LSTM_OK;
}

/* Scale and shift the sums of our gate `gate` so that its activation has our alpha and beta. */
static lstm_status fit(lstm__onnx_cell *c, const choice *one, int gate)
{
    c->scale[gate] = 1;
    c->shift[gate] = 0;
    if (one->activation == LSTM_ACTIVATION_HARD_SIGMOID) {
        c->scale[gate] = 6 * one->alpha;
        c->shift[gate] = 6 * one->beta - 3;
    }
    if (one->activation == LSTM_ACTIVATION_LINEAR) {
        c->scale[gate] = one->alpha;
        c->shift[gate] = one->beta;
    }
    if (c->clip > 0 && (c->scale[gate] != 1 || c->shift[gate] != 0))
        return lstm__onnx_refuse(c->node,
                                 "clip together with an activation that has alpha or beta");
    return LSTM_OK;
}

static lstm_status lstm_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    static const char *const defaults[] = {"Sigmoid", "Tanh", "Tanh"};
    choice f[3];
    RETURN_IF_ERROR(read_choices(c->node, c->directions, direction, 3, defaults, f));
    for (int gate = 0; gate < 4; gate++)
        RETURN_IF_ERROR(fit(c, &f[gate == 2], gate));
    if (f[1].activation != f[2].activation ||
        (f[2].activation == LSTM_ACTIVATION_LINEAR && (f[2].alpha != 1 || f[2].beta != 0)) ||
        (f[2].activation == LSTM_ACTIVATION_HARD_SIGMOID))
        return lstm__onnx_refuse(c->node, "activations g and h are not the same: this version has "
                                          "one for both");
    c->options.lstm = (lstm_lstm_options){
        .struct_size = sizeof(lstm_lstm_options),
        .units = c->units,
        .return_sequences = LSTM_YES,
        .zero_output_for_mask = LSTM_YES,
        .go_backwards = backwards ? LSTM_YES : LSTM_NO,
        .use_bias = c->has_bias ? LSTM_YES : LSTM_NO,
        .activation = f[1].activation,
        .recurrent_activation = f[0].activation,
        .coupled_gates = c->coupled ? LSTM_COUPLING_FORGET : LSTM_COUPLING_NONE,
        .gate_clip = c->clip,
        .peepholes = lstm__onnx_input(c->import, c->node, 7) ? LSTM_YES : LSTM_NO};
    return LSTM_OK;
}

static lstm_status gru_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    static const char *const defaults[] = {"Sigmoid", "Tanh"};
    choice f[2];
    RETURN_IF_ERROR(read_choices(c->node, c->directions, direction, 2, defaults, f));
    if (f[0].activation != LSTM_ACTIVATION_SIGMOID || f[1].activation != LSTM_ACTIVATION_TANH)
        return lstm__onnx_refuse(c->node, "activations of a GRU: expected Sigmoid and Tanh");
    if (c->clip > 0)
        return lstm__onnx_refuse(c->node, "clip is %g: expected none", (double)c->clip);
    c->options.gru = (lstm_gru_options){.struct_size = sizeof(lstm_gru_options),
                                        .units = c->units,
                                        .return_sequences = LSTM_YES,
                                        .zero_output_for_mask = LSTM_YES,
                                        .reset_after = c->reset_after ? LSTM_YES : LSTM_NO,
                                        .go_backwards = backwards ? LSTM_YES : LSTM_NO,
                                        .use_bias = c->has_bias ? LSTM_YES : LSTM_NO};
    return LSTM_OK;
}

static lstm_status rnn_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    static const char *const defaults[] = {"Tanh"};
    choice f;
    RETURN_IF_ERROR(read_choices(c->node, c->directions, direction, 1, defaults, &f));
    RETURN_IF_ERROR(fit(c, &f, 0));
    if (c->clip > 0)
        return lstm__onnx_refuse(c->node, "clip is %g: expected none", (double)c->clip);
    c->options.rnn = (lstm_simple_rnn_options){.struct_size = sizeof(lstm_simple_rnn_options),
                                               .units = c->units,
                                               .return_sequences = LSTM_YES,
                                               .zero_output_for_mask = LSTM_YES,
                                               .activation = f.activation,
                                               .go_backwards = backwards ? LSTM_YES : LSTM_NO,
                                               .use_bias = c->has_bias ? LSTM_YES : LSTM_NO};
    return LSTM_OK;
}

lstm_status lstm__onnx_cell_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    c->has_bias = c->b != NULL;
    if (c->class == &lstm__class_gru)
        return gru_options(c, direction, backwards);
    const bool is_lstm = c->class == &lstm__class_lstm;
    RETURN_IF_ERROR((is_lstm ? lstm_options : rnn_options)(c, direction, backwards));
    /* a shift needs a bias to go into */
    for (int gate = 0; !c->has_bias && gate < c->gates; gate++)
        if (c->shift[gate] != 0) {
            c->has_bias = true;
            *(is_lstm ? &c->options.lstm.use_bias : &c->options.rnn.use_bias) = LSTM_YES;
        }
    return LSTM_OK;
}

/* P (D, 3 H), rows i, o, f; ours are i, f, o. */
lstm_status lstm__onnx_cell_extra(lstm__onnx_cell *c, int direction, const lstm_layer *layer)
{
    static const int order[] = {0, 2, 1};
    static const int gates[] = {0, 1, 3}; /* of i, f, o among i, f, c, o */
    const lstm__onnx_value *p = lstm__onnx_input(c->import, c->node, 7);
    const size_t units = (size_t)c->units;
    float *values = NULL;
    if (!p || c->class != &lstm__class_lstm)
        return LSTM_OK;
    if (!lstm__onnx_is_constant(p) || p->rank != 2 || p->shape[0] != c->directions ||
        p->shape[1] != 3 * c->units)
        return lstm__onnx_refuse(c->node, "P is no constant (%d, %lld)", c->directions,
                                 (long long)(3 * c->units));
    RETURN_IF_ERROR(lstm__onnx_read_floats(c->import, p, &values));
    float *own = lstm__onnx_allocate(c->import->graph, 3 * units, sizeof *own);
    if (!own)
        return lstm__fail_memory(3 * units * sizeof *own, "peepholes");
    values += 3 * units * (size_t)direction;
    for (size_t k = 0; k < 3; k++)
        for (size_t u = 0; u < units; u++)
            own[k * units + u] = values[(size_t)order[k] * units + u] * c->scale[gates[k]];
    return lstm__onnx_assign(c->import, layer, c->has_bias ? 3 : 2, own, 3 * units);
}

/* ---- Activations on their own */

bool lstm__onnx_activation(const char *op, int32_t *activation)
{
    static const struct {
        const char *op;
        int32_t activation;
    } alone[] = {{"Sigmoid", LSTM_ACTIVATION_SIGMOID},   {"Tanh", LSTM_ACTIVATION_TANH},
                 {"Relu", LSTM_ACTIVATION_RELU},         {"Softsign", LSTM_ACTIVATION_SOFTSIGN},
                 {"Softplus", LSTM_ACTIVATION_SOFTPLUS}, {"Exp", LSTM_ACTIVATION_EXPONENTIAL},
                 {"Elu", LSTM_ACTIVATION_ELU},           {"HardSigmoid", 0}};
    for (size_t k = 0; k < sizeof alone / sizeof alone[0]; k++)
        if (strcmp(op, alone[k].op) == 0) {
            *activation = alone[k].activation;
            return true;
        }
    return false;
}
