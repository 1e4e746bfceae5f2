/* SPDX-License-Identifier: MIT
 *
 * ONNX' activations with their alpha and beta as ours with numbers of their own, and the options of
 * recurrent nodes: activations, clip, input_forget, peepholes.
 *
 * alpha and beta are consumed by the activations that have any, in order. Where a list ends too
 * early the operator's default is taken, but not of Affine, ScaledTanh and ThresholdedRelu, for
 * which ONNX Runtime takes 0 whatever ONNX says.
 */
#include "onnx_activations.h"
#include "onnx_cells.h"

#include <math.h>
#include <string.h>

typedef struct entry {
    const char *name;
    int32_t kind; /* of ours */
    bool has[2];  /* alpha, beta */
    bool needed;  /* there is no default of alpha, and of beta where it is 0 */
    float defaults[2];
    bool alone; /* an operator by itself too */
} entry;

static const entry entries[] = {
    {"Sigmoid", LSTM_ACTIVATION_SIGMOID, {false, false}, false, {0, 0}, true},
    {"Tanh", LSTM_ACTIVATION_TANH, {false, false}, false, {0, 0}, true},
    {"Relu", LSTM_ACTIVATION_RELU, {false, false}, false, {0, 0}, true},
    {"Softsign", LSTM_ACTIVATION_SOFTSIGN, {false, false}, false, {0, 0}, true},
    {"Softplus", LSTM_ACTIVATION_SOFTPLUS, {false, false}, false, {0, 0}, true},
    {"Elu", LSTM_ACTIVATION_ELU, {true, false}, false, {1, 0}, true},
    {"HardSigmoid", LSTM_ACTIVATION_HARD_SIGMOID, {true, true}, false, {0.2f, 0.5f}, true},
    {"LeakyRelu", LSTM_ACTIVATION_RELU, {true, false}, false, {0.01f, 0}, true},
    {"ThresholdedRelu", LSTM_ACTIVATION_RELU, {true, false}, true, {1, 0}, true},
    {"Affine", LSTM_ACTIVATION_LINEAR, {true, true}, true, {1, 0}, false},
    {"ScaledTanh", LSTM_ACTIVATION_TANH, {true, true}, true, {1, 1}, false},
    {"Exp", LSTM_ACTIVATION_EXPONENTIAL, {false, false}, false, {0, 0}, true},
};

static const entry *find(const char *name)
{
    for (size_t k = 0; k < sizeof entries / sizeof *entries; k++)
        if (strcmp(entries[k].name, name) == 0)
            return &entries[k];
    return NULL;
}

/* Our activation from an entry and its alpha and beta. */
static lstm_status convert(const lstm__onnx_node *node, const entry *e, const float numbers[2],
                           lstm__onnx_choice *choice)
{
    const bool falls = e->kind == LSTM_ACTIVATION_RELU || e->kind == LSTM_ACTIVATION_ELU;
    if (!isfinite(numbers[0]) || !isfinite(numbers[1]) || (falls && numbers[0] < 0))
        return lstm__onnx_refuse(node, "activation %s with alpha %g and beta %g: expected %s",
                                 e->name, (double)numbers[0], (double)numbers[1],
                                 falls ? "no negative number" : "finite numbers");
    *choice = (lstm__onnx_choice){e->kind, numbers[0], numbers[1]};
    if (strcmp(e->name, "ThresholdedRelu") == 0)
        *choice = (lstm__onnx_choice){e->kind, 0, numbers[0]};
    if (e->kind == LSTM_ACTIVATION_ELU && numbers[0] == 0)
        *choice = (lstm__onnx_choice){LSTM_ACTIVATION_RELU, 0, 0};
    if (e->kind == LSTM_ACTIVATION_HARD_SIGMOID && numbers[0] == 0.2f && numbers[1] == 0.5f)
        *choice = (lstm__onnx_choice){LSTM_ACTIVATION_HARD_SIGMOID_KERAS2, 0, 0};
    const bool flat = choice->alpha == 0 && (choice->kind == LSTM_ACTIVATION_LINEAR ||
                                             choice->kind == LSTM_ACTIVATION_HARD_SIGMOID ||
                                             (choice->kind == LSTM_ACTIVATION_TANH && e->has[0]));
    if (flat || (e->has[0] && e->kind == LSTM_ACTIVATION_TANH && choice->beta == 0))
        return lstm__onnx_refuse(node,
                                 "activation %s with alpha %g and beta %g is the same for "
                                 "every argument",
                                 e->name, (double)numbers[0], (double)numbers[1]);
    return LSTM_OK;
}

/* The activations of direction `wanted`; `count` of them a direction. */
static lstm_status read_choices(const lstm__onnx_node *node, int directions, int wanted, int count,
                                const char *const *defaults, lstm__onnx_choice *choices)
{
    enum { MOST = 8 };
    static const char *const words[] = {"activation_alpha", "activation_beta"};
    float lists[2][MOST];
    int counts[2] = {0, 0};
    int at[2] = {0, 0};
    for (int n = 0; n < 2; n++)
        RETURN_IF_ERROR(lstm__onnx_floats(node, words[n], lists[n], MOST, &counts[n]));
    for (int k = 0; k < directions * count; k++) {
        char name[64];
        bool found = false;
        float numbers[2];
        lstm__onnx_choice choice;
        RETURN_IF_ERROR(lstm__onnx_strings(node, "activations", k, name, &found));
        if (!found && k > 0 && lstm__onnx_has_attribute(node, "activations"))
            return lstm__onnx_refuse(node, "activations has %d entries: expected %d", k,
                                     directions * count);
        const entry *e = find(found ? name : defaults[k % count]);
        if (!e || strcmp(e->name, "Exp") == 0)
            return lstm__onnx_refuse(node, "activation \"%s\" is not in this version", name);
        for (int n = 0; n < 2; n++) {
            const bool given = e->has[n] && at[n] < counts[n];
            numbers[n] = given ? lists[n][at[n]++] : e->defaults[n];
            if (e->has[n] && !given && e->needed && e->defaults[n] != 0)
                return lstm__onnx_refuse(node,
                                         "activation %s without %s: ONNX Runtime takes 0 there",
                                         e->name, words[n]);
        }
        RETURN_IF_ERROR(convert(node, e, numbers, &choice));
        if (k / count == wanted)
            choices[k % count] = choice;
    }
    return LSTM_OK;
}

static lstm_status lstm_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    static const char *const defaults[] = {"Sigmoid", "Tanh", "Tanh"};
    lstm__onnx_choice f[3];
    RETURN_IF_ERROR(read_choices(c->node, c->directions, direction, 3, defaults, f));
    c->options.lstm = (lstm_lstm_options){
        .struct_size = sizeof(lstm_lstm_options),
        .units = c->units,
        .return_sequences = LSTM_YES,
        .zero_output_for_mask = LSTM_YES,
        .go_backwards = backwards ? LSTM_YES : LSTM_NO,
        .use_bias = c->b ? LSTM_YES : LSTM_NO,
        .activation = f[1].kind,
        .activation_alpha = f[1].alpha,
        .activation_beta = f[1].beta,
        .recurrent_activation = f[0].kind,
        .recurrent_activation_alpha = f[0].alpha,
        .recurrent_activation_beta = f[0].beta,
        .output_activation = f[2].kind,
        .output_activation_alpha = f[2].alpha,
        .output_activation_beta = f[2].beta,
        .coupled_gates = c->coupled ? LSTM_COUPLING_FORGET : LSTM_COUPLING_NONE,
        .gate_clip = c->clip,
        .peepholes = lstm__onnx_input(c->import, c->node, 7) ? LSTM_YES : LSTM_NO};
    return LSTM_OK;
}

static lstm_status gru_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    static const char *const defaults[] = {"Sigmoid", "Tanh"};
    lstm__onnx_choice f[2];
    RETURN_IF_ERROR(read_choices(c->node, c->directions, direction, 2, defaults, f));
    if (c->clip > 0)
        return lstm__onnx_refuse(c->node, "clip is %g: expected none", (double)c->clip);
    c->options.gru = (lstm_gru_options){.struct_size = sizeof(lstm_gru_options),
                                        .units = c->units,
                                        .return_sequences = LSTM_YES,
                                        .zero_output_for_mask = LSTM_YES,
                                        .reset_after = c->reset_after ? LSTM_YES : LSTM_NO,
                                        .go_backwards = backwards ? LSTM_YES : LSTM_NO,
                                        .use_bias = c->b ? LSTM_YES : LSTM_NO,
                                        .activation = f[1].kind,
                                        .activation_alpha = f[1].alpha,
                                        .activation_beta = f[1].beta,
                                        .recurrent_activation = f[0].kind,
                                        .recurrent_activation_alpha = f[0].alpha,
                                        .recurrent_activation_beta = f[0].beta};
    return LSTM_OK;
}

static lstm_status rnn_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    static const char *const defaults[] = {"Tanh"};
    lstm__onnx_choice f;
    RETURN_IF_ERROR(read_choices(c->node, c->directions, direction, 1, defaults, &f));
    if (c->clip > 0)
        return lstm__onnx_refuse(c->node, "clip is %g: expected none", (double)c->clip);
    c->options.rnn = (lstm_simple_rnn_options){.struct_size = sizeof(lstm_simple_rnn_options),
                                               .units = c->units,
                                               .return_sequences = LSTM_YES,
                                               .zero_output_for_mask = LSTM_YES,
                                               .activation = f.kind,
                                               .activation_alpha = f.alpha,
                                               .activation_beta = f.beta,
                                               .go_backwards = backwards ? LSTM_YES : LSTM_NO,
                                               .use_bias = c->b ? LSTM_YES : LSTM_NO};
    return LSTM_OK;
}

lstm_status lstm__onnx_cell_options(lstm__onnx_cell *c, int direction, bool backwards)
{
    if (c->class == &lstm__class_gru)
        return gru_options(c, direction, backwards);
    return (c->class == &lstm__class_lstm ? lstm_options : rnn_options)(c, direction, backwards);
}

/* P (D, 3 H), rows i, o, f; ours are i, f, o. */
lstm_status lstm__onnx_cell_extra(lstm__onnx_cell *c, int direction, const lstm_layer *layer)
{
    static const int order[] = {0, 2, 1};
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
        memcpy(own + k * units, values + (size_t)order[k] * units, units * sizeof *own);
    return lstm__onnx_assign(c->import, layer, c->b ? 3 : 2, own, 3 * units);
}

/* ---- Activations on their own */

bool lstm__onnx_is_activation(const char *op)
{
    const entry *e = find(op);
    return e && e->alone;
}

lstm_status lstm__onnx_read_activation(const lstm__onnx_node *node, lstm__onnx_choice *choice)
{
    static const char *const words[] = {"alpha", "beta"};
    const entry *e = find(node->op);
    float numbers[2] = {e->defaults[0], e->defaults[1]};
    for (int n = 0; n < 2; n++)
        if (e->has[n])
            RETURN_IF_ERROR(lstm__onnx_float(node, words[n], &numbers[n]));
    return convert(node, e, numbers, choice);
}
