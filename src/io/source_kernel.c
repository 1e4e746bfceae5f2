/* SPDX-License-Identifier: MIT
 *
 * The kernel of exported C source: C99, no heap, plain loops that any compiler for a small machine
 * understands. '@' is the prefix. Only the functions that a model needs are written.
 */
#include "source_parts.h"

static const char dense[] = "/* y = b + x W for each row; W [inputs][outputs], b may be NULL. */\n"
                            "static void @dense(size_t rows, const float *x, size_t inputs, const "
                            "float *w, const float *b,\n"
                            "                   size_t outputs, float *y)\n"
                            "{\n"
                            "    size_t r, i, k;\n"
                            "    for (r = 0; r < rows; r++, x += inputs, y += outputs) {\n"
                            "        for (k = 0; k < outputs; k++)\n"
                            "            y[k] = b ? b[k] : 0;\n"
                            "        for (i = 0; i < inputs; i++) {\n"
                            "            const float *row = w + i * outputs;\n"
                            "            const float value = x[i];\n"
                            "            for (k = 0; k < outputs; k++)\n"
                            "                y[k] += value * row[k];\n"
                            "        }\n"
                            "    }\n"
                            "}\n\n";

static const char accumulate[] =
    "/* y += x W. */\n"
    "static void @accumulate(const float *x, size_t inputs, const float *w, size_t stride,\n"
    "                        size_t outputs, float *y)\n"
    "{\n"
    "    size_t i, k;\n"
    "    for (i = 0; i < inputs; i++, w += stride)\n"
    "        for (k = 0; k < outputs; k++)\n"
    "            y[k] += x[i] * w[k];\n"
    "}\n\n";

static const char apply[] = "static void @apply(size_t count, float (*f)(float), float *y)\n"
                            "{\n"
                            "    size_t k;\n"
                            "    for (k = 0; k < count; k++)\n"
                            "        y[k] = f(y[k]);\n"
                            "}\n\n";

static const char softmax[] = "static void @softmax(size_t rows, size_t columns, float *y)\n"
                              "{\n"
                              "    size_t r, k;\n"
                              "    for (r = 0; r < rows; r++, y += columns) {\n"
                              "        float largest = y[0], sum = 0;\n"
                              "        for (k = 1; k < columns; k++)\n"
                              "            if (y[k] > largest)\n"
                              "                largest = y[k];\n"
                              "        for (k = 0; k < columns; k++)\n"
                              "            sum += y[k] = expf(y[k] - largest);\n"
                              "        for (k = 0; k < columns; k++)\n"
                              "            y[k] /= sum;\n"
                              "    }\n"
                              "}\n\n";

static const char embed[] =
    "/* Rows of a table; a number that is no token gives zeros. */\n"
    "static void @embed(size_t rows, const float *x, const float *table, size_t tokens,\n"
    "                   size_t columns, float *y)\n"
    "{\n"
    "    size_t r;\n"
    "    for (r = 0; r < rows; r++, y += columns) {\n"
    "        memset(y, 0, columns * sizeof *y);\n"
    "        if (x[r] >= 0 && x[r] < (float)tokens)\n"
    "            memcpy(y, table + (size_t)x[r] * columns, columns * sizeof *y);\n"
    "    }\n"
    "}\n\n";

static const char norm[] =
    "/* Each row with mean 0 and variance 1, times gamma, plus beta (either may be NULL). */\n"
    "static void @norm(size_t rows, size_t columns, float epsilon, const float *gamma,\n"
    "                  const float *beta, const float *x, float *y)\n"
    "{\n"
    "    size_t r, k;\n"
    "    for (r = 0; r < rows; r++, x += columns, y += columns) {\n"
    "        float mean = 0, variance = 0, scale;\n"
    "        for (k = 0; k < columns; k++)\n"
    "            mean += x[k];\n"
    "        mean /= (float)columns;\n"
    "        for (k = 0; k < columns; k++)\n"
    "            variance += (x[k] - mean) * (x[k] - mean);\n"
    "        scale = 1 / sqrtf(variance / (float)columns + epsilon);\n"
    "        for (k = 0; k < columns; k++)\n"
    "            y[k] = (x[k] - mean) * scale * (gamma ? gamma[k] : 1) + (beta ? beta[k] : 0);\n"
    "    }\n"
    "}\n\n";

static const char affine[] =
    "static void @affine(size_t rows, size_t columns, const float *scale, const float *shift,\n"
    "                    const float *x, float *y)\n"
    "{\n"
    "    size_t r, k;\n"
    "    for (r = 0; r < rows; r++, x += columns, y += columns)\n"
    "        for (k = 0; k < columns; k++)\n"
    "            y[k] = x[k] * scale[k] + shift[k];\n"
    "}\n\n";

static const char place[] =
    "/* Rows into the columns of wider rows. */\n"
    "static void @place(size_t rows, size_t columns, const float *x, float *y, size_t stride)\n"
    "{\n"
    "    size_t r;\n"
    "    for (r = 0; r < rows; r++, x += columns, y += stride)\n"
    "        memcpy(y, x, columns * sizeof *y);\n"
    "}\n\n";

static const char turn[] =
    "/* The same with the last row first; what: 0 put, 1 add, 2 multiply. */\n"
    "static void @turn(size_t rows, size_t columns, const float *x, float *y, size_t stride,\n"
    "                  int what)\n"
    "{\n"
    "    size_t r, k;\n"
    "    for (r = 0; r < rows; r++, y += stride)\n"
    "        for (k = 0; k < columns; k++) {\n"
    "            const float value = x[(rows - 1 - r) * columns + k];\n"
    "            y[k] = what == 0 ? value : what == 1 ? y[k] + value : y[k] * value;\n"
    "        }\n"
    "}\n\n";

static const char conv[] =
    "/* y(t) = b + sum over k of x(t stride + k dilation - before) W(k); tap and feature are the\n"
    "   distances between rows of w of neighbouring k and neighbouring inputs. */\n"
    "static void @conv(size_t steps, const float *x, size_t inputs, const float *w, const float "
    "*b,\n"
    "                  size_t filters, size_t kernel, size_t tap, size_t feature, size_t stride,\n"
    "                  size_t dilation, size_t before, size_t results, float *y)\n"
    "{\n"
    "    size_t t, k, i, f;\n"
    "    for (t = 0; t < results; t++, y += filters) {\n"
    "        for (f = 0; f < filters; f++)\n"
    "            y[f] = b ? b[f] : 0;\n"
    "        for (k = 0; k < kernel; k++) {\n"
    "            const size_t at = t * stride + k * dilation;\n"
    "            if (at < before || at - before >= steps)\n"
    "                continue;\n"
    "            for (i = 0; i < inputs; i++) {\n"
    "                const float value = x[(at - before) * inputs + i];\n"
    "                const float *row = w + (k * tap + i * feature) * filters;\n"
    "                for (f = 0; f < filters; f++)\n"
    "                    y[f] += value * row[f];\n"
    "            }\n"
    "        }\n"
    "    }\n"
    "}\n\n";

static const char pool[] =
    "/* Largest or mean of the steps of each window that are there. */\n"
    "static void @pool(size_t steps, size_t columns, const float *x, size_t size, size_t stride,\n"
    "                  size_t before, size_t results, int largest, float *y)\n"
    "{\n"
    "    size_t t, k, i;\n"
    "    for (t = 0; t < results; t++, y += columns)\n"
    "        for (i = 0; i < columns; i++) {\n"
    "            float sum = 0, best = 0;\n"
    "            size_t count = 0;\n"
    "            for (k = 0; k < size; k++) {\n"
    "                const size_t at = t * stride + k;\n"
    "                if (at < before || at - before >= steps)\n"
    "                    continue;\n"
    "                if (count == 0 || x[(at - before) * columns + i] > best)\n"
    "                    best = x[(at - before) * columns + i];\n"
    "                sum += x[(at - before) * columns + i];\n"
    "                count++;\n"
    "            }\n"
    "            y[i] = largest ? best : sum / (float)count;\n"
    "        }\n"
    "}\n\n";

static const char global[] =
    "/* Largest or mean of all steps. */\n"
    "static void @global(size_t steps, size_t columns, const float *x, int largest, float *y)\n"
    "{\n"
    "    size_t t, k;\n"
    "    for (k = 0; k < columns; k++) {\n"
    "        float sum = 0, best = x[k];\n"
    "        for (t = 0; t < steps; t++) {\n"
    "            const float value = x[t * columns + k];\n"
    "            sum += value;\n"
    "            if (value > best)\n"
    "                best = value;\n"
    "        }\n"
    "        y[k] = largest ? best : sum / (float)steps;\n"
    "    }\n"
    "}\n\n";

static const char *const parts[LSTM__SOURCE_PARTS] = {
    [LSTM__SOURCE_DENSE] = dense,
    [LSTM__SOURCE_ACCUMULATE] = accumulate,
    [LSTM__SOURCE_APPLY] = apply,
    [LSTM__SOURCE_SOFTMAX] = softmax,
    [LSTM__SOURCE_LSTM] = lstm__source_text_lstm,
    [LSTM__SOURCE_VARIANT] = lstm__source_text_variant,
    [LSTM__SOURCE_GRU] = lstm__source_text_gru,
    [LSTM__SOURCE_RNN] = lstm__source_text_rnn,
    [LSTM__SOURCE_ATTEND] = lstm__source_text_attend,
    [LSTM__SOURCE_EMBED] = embed,
    [LSTM__SOURCE_NORM] = norm,
    [LSTM__SOURCE_AFFINE] = affine,
    [LSTM__SOURCE_PLACE] = place,
    [LSTM__SOURCE_TURN] = turn,
    [LSTM__SOURCE_CONV] = conv,
    [LSTM__SOURCE_POOL] = pool,
    [LSTM__SOURCE_GLOBAL] = global};

/* One function a activation, called @NAME as in lstm__source_activation. */
static const struct {
    int32_t activation;
    const char *text;
} activations[] = {
    {LSTM_ACTIVATION_LINEAR, "static float @act_linear(float x)\n{\n    return x;\n}\n\n"},
    {LSTM_ACTIVATION_TANH, "static float @act_tanh(float x)\n{\n    return tanhf(x);\n}\n\n"},
    {LSTM_ACTIVATION_SIGMOID,
     "static float @act_sigmoid(float x)\n{\n    return 1 / (1 + expf(-x));\n}\n\n"},
    {LSTM_ACTIVATION_RELU, "static float @act_relu(float x)\n{\n    return x > 0 ? x : 0;\n}\n\n"},
    {LSTM_ACTIVATION_ELU,
     "static float @act_elu(float x)\n{\n    return x > 0 ? x : expm1f(x);\n}\n\n"},
    {LSTM_ACTIVATION_SOFTPLUS,
     "static float @act_softplus(float x)\n{\n    return (x > 0 ? x : 0) + "
     "log1pf(expf(x > 0 ? -x : x));\n}\n\n"},
    {LSTM_ACTIVATION_SOFTSIGN,
     "static float @act_softsign(float x)\n{\n    return x / (1 + fabsf(x));\n}\n\n"},
    {LSTM_ACTIVATION_EXPONENTIAL,
     "static float @act_exponential(float x)\n{\n    return expf(x);\n}\n\n"},
    {LSTM_ACTIVATION_HARD_SIGMOID,
     "static float @act_hard_sigmoid(float x)\n{\n    const float y = "
     "x / 6 + 0.5f;\n    return y < 0 ? 0 : y > 1 ? 1 : y;\n}\n\n"},
    {LSTM_ACTIVATION_HARD_SIGMOID_KERAS2,
     "static float @act_hard_sigmoid_keras2(float x)\n{\n    const float y = 0.2f * x + 0.5f;\n    "
     "return y < 0 ? 0 : y > 1 ? 1 : y;\n}\n\n"},
};

bool lstm__source_knows(int32_t activation)
{
    for (size_t k = 0; k < sizeof activations / sizeof activations[0]; k++)
        if (activations[k].activation == activation)
            return true;
    return false;
}

void lstm__source_kernel(lstm__source *s)
{
    for (size_t k = 0; k < sizeof activations / sizeof activations[0]; k++)
        if (s->activations[activations[k].activation])
            lstm__source_text(s, activations[k].text);
    for (size_t k = 0; k < LSTM__SOURCE_PARTS; k++)
        if (s->parts[k])
            lstm__source_text(s, parts[k]);
}
