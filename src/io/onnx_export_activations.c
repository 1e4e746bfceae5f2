/* SPDX-License-Identifier: MIT
 * Activations as ONNX says them: as operators, and as names with alpha and beta in the attributes
 * of recurrent nodes, where ONNX has more of them. Those that are no operator by themselves become a
 * few.
 */
#include "onnx_export.h"

bool lstm__onnx_formula_of(lstm__activation a, lstm__onnx_formula *formula)
{
    static const struct {
        int32_t kind;
        lstm__onnx_formula usual;
    } table[] = {
        {LSTM_ACTIVATION_LINEAR, {"Affine", false, true, 2, {1, 0}}},
        {LSTM_ACTIVATION_TANH, {"Tanh", true, true, 0, {0, 0}}},
        {LSTM_ACTIVATION_SIGMOID, {"Sigmoid", true, true, 0, {0, 0}}},
        {LSTM_ACTIVATION_RELU, {"Relu", true, true, 0, {0, 0}}},
        {LSTM_ACTIVATION_SOFTMAX, {"Softmax", true, false, 0, {0, 0}}},
        {LSTM_ACTIVATION_ELU, {"Elu", true, true, 1, {1, 0}}},
        {LSTM_ACTIVATION_SOFTPLUS, {"Softplus", true, true, 0, {0, 0}}},
        {LSTM_ACTIVATION_SOFTSIGN, {"Softsign", true, true, 0, {0, 0}}},
        {LSTM_ACTIVATION_EXPONENTIAL, {"Exp", true, false, 0, {0, 0}}},
        {LSTM_ACTIVATION_HARD_SIGMOID, {"HardSigmoid", true, true, 2, {1 / 6.0f, 0.5f}}},
        {LSTM_ACTIVATION_HARD_SIGMOID_KERAS2, {"HardSigmoid", true, true, 2, {0.2f, 0.5f}}},
    };
    size_t k = 0;
    while (k < sizeof table / sizeof *table && table[k].kind != a.kind)
        k++;
    if (k == sizeof table / sizeof *table)
        return false;
    *formula = table[k].usual;
    if (a.alpha == 0 && a.beta == 0)
        return true;
    formula->number[0] = (float)a.alpha;
    formula->number[1] = (float)a.beta;
    if (a.kind == LSTM_ACTIVATION_TANH)
        *formula = (lstm__onnx_formula){
            "ScaledTanh", false, true, 2, {(float)a.alpha, (float)a.beta}};
    if (a.kind == LSTM_ACTIVATION_RELU && a.beta == 0)
        *formula = (lstm__onnx_formula){"LeakyRelu", true, true, 1, {(float)a.alpha, 0}};
    else if (a.kind == LSTM_ACTIVATION_RELU)
        *formula = (lstm__onnx_formula){"ThresholdedRelu", true, true, 1, {(float)a.beta, 0}};
    if (a.kind == LSTM_ACTIVATION_RELU && a.alpha != 0 && a.beta != 0)
        *formula = (lstm__onnx_formula){"Where", false, false, 2, {(float)a.alpha, (float)a.beta}};
    return true;
}

/* a x + b */
static void affine(lstm__onnx_export *x, const lstm__node *node, const float number[2],
                   const char *input, const char *output)
{
    const char *a = lstm__onnx_number(x, number[0]);
    if (number[1] == 0) {
        lstm__onnx_simple(x, NULL, "Mul", input, a, output);
        return;
    }
    lstm__onnx_simple(x, NULL, "Add", lstm__onnx_make(x, node, "Mul", input, a, NULL),
                      lstm__onnx_number(x, number[1]), output);
}

static void scaled_tanh(lstm__onnx_export *x, const lstm__node *node, const float number[2],
                        const char *input, const char *output)
{
    const char *inner = lstm__onnx_make(x, node, "Mul", input, lstm__onnx_number(x, number[1]),
                                        NULL);
    lstm__onnx_simple(x, NULL, "Mul", lstm__onnx_make(x, node, "Tanh", inner, NULL, NULL),
                      lstm__onnx_number(x, number[0]), output);
}

/* x for x > b, else a (x - b) */
static void bent_relu(lstm__onnx_export *x, const lstm__node *node, const float number[2],
                      const char *input, const char *output)
{
    const char *b = lstm__onnx_number(x, number[1]);
    const char *left = lstm__onnx_make(x, node, "Mul",
                                       lstm__onnx_make(x, node, "Sub", input, b, NULL),
                                       lstm__onnx_number(x, number[0]), NULL);
    const char *inputs[] = {lstm__onnx_make(x, node, "Greater", input, b, NULL), input, left, NULL};
    const char *outputs[] = {output, NULL};
    lstm__onnx_node_open(&x->w, "Where", NULL, inputs, outputs);
    lstm__onnx_node_close(&x->w);
}

lstm_status lstm__onnx_activate(lstm__onnx_export *x, const lstm__node *node,
                                lstm__activation activation, const char *input, const char *output)
{
    static const char *const words[] = {"alpha", "beta"};
    lstm__onnx_formula formula;
    if (!lstm__onnx_formula_of(activation, &formula))
        return lstm__onnx_cannot(node, "its activation");
    if (activation.kind == LSTM_ACTIVATION_LINEAR && activation.alpha == 0) {
        lstm__onnx_simple(x, node, "Identity", input, NULL, output);
        return LSTM_OK;
    }
    if (activation.kind == LSTM_ACTIVATION_LINEAR) {
        affine(x, node, formula.number, input, output);
        return LSTM_OK;
    }
    if (!formula.alone) {
        (activation.kind == LSTM_ACTIVATION_TANH ? scaled_tanh : bent_relu)(x, node, formula.number,
                                                                            input, output);
        return LSTM_OK;
    }
    lstm__onnx_open(x, node, formula.op, input, NULL, output);
    if (activation.kind == LSTM_ACTIVATION_SOFTMAX)
        lstm__onnx_node_int(&x->w, "axis", -1);
    for (int n = 0; n < formula.numbers; n++)
        lstm__onnx_node_float(&x->w, words[n], formula.number[n]);
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}
