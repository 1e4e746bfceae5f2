/* SPDX-License-Identifier: MIT
 *
 * LSTM, GRU and SimpleRNN as statements of exported C source. The plain LSTM has a function of its
 * own; one with variants has another, which reads what it is from a struct @cell of constants, so
 * that every combination of options is served by one text.
 */
#include "layer_lstm_variants.h"
#include "source_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How sums of gates are normalised, in the text of @variant. */
enum { NORM_NONE, NORM_EACH_GATE, NORM_APART };

static bool is_varied(const lstm__node *node)
{
    const lstm_lstm_options *own = node->options;
    return node->class == &lstm__class_lstm &&
           (own->proj_size > 0 || own->peepholes == LSTM_YES || own->gate_clip > 0 ||
            own->cell_clip > 0 || own->zoneout_h > 0 || own->zoneout_c > 0 ||
            own->layer_norm != LSTM_LAYER_NORM_NONE || own->coupled_gates != LSTM_COUPLING_NONE);
}

/* Numbers of biases: PyTorch has two that are added. */
static size_t bias_count(const lstm__node *node)
{
    const size_t most = node->model->profile == LSTM_PROFILE_TORCH ? 2 : 1;
    if (node->class == &lstm__class_lstm)
        return ((const lstm_lstm_options *)node->options)->use_bias == LSTM_YES ? most : 0;
    return node->parameter_count - 2;
}

int64_t lstm__source_scratch(const lstm__node *node)
{
    const int64_t units = node->shapes[1].features;
    if (is_varied(node))
        return 10 * ((const lstm_lstm_options *)node->options)->units + units;
    return node->class == &lstm__class_lstm  ? 4 * units
           : node->class == &lstm__class_gru ? 6 * units
                                             : units;
}

lstm_status lstm__source_need_cell(lstm__source *s, const lstm__node *node)
{
    s->parts[LSTM__SOURCE_DENSE] = s->parts[LSTM__SOURCE_ACCUMULATE] = true;
    if (node->class == &lstm__class_lstm) {
        const lstm_lstm_options *own = node->options;
        s->parts[is_varied(node) ? LSTM__SOURCE_VARIANT : LSTM__SOURCE_LSTM] = true;
        RETURN_IF_ERROR(lstm__source_need_activation(s, node, own->activation, true));
        return lstm__source_need_activation(s, node, own->recurrent_activation, true);
    }
    if (node->class == &lstm__class_gru) {
        const lstm_gru_options *own = node->options;
        s->parts[LSTM__SOURCE_GRU] = true;
        RETURN_IF_ERROR(lstm__source_need_activation(s, node, own->activation, true));
        return lstm__source_need_activation(s, node, own->recurrent_activation, true);
    }
    s->parts[LSTM__SOURCE_RNN] = true;
    return lstm__source_need_activation(
        s, node, ((const lstm_simple_rnn_options *)node->options)->activation, true);
}

/* ---- Constants */

/* The sum of the biases of an LSTM or SimpleRNN. */
static lstm_status put_bias(lstm__source *s, const lstm__node *node)
{
    char name[64];
    const lstm__parameter *p = lstm__source_parameter(node, 2);
    const size_t count = lstm__parameter_size(p);
    float *sum = lstm__allocate_array(node->model->context, count, sizeof *sum);
    if (!sum)
        return lstm__fail_memory(count * sizeof *sum, "a bias");
    memcpy(sum, node->model->values + p->offset, count * sizeof *sum);
    for (size_t k = 0; bias_count(node) > 1 && k < count; k++)
        sum[k] += node->model->values[lstm__source_parameter(node, 3)->offset + k];
    snprintf(name, sizeof name, "bias%zu", node->index);
    lstm__source_floats(s, name, sum, count);
    lstm__release(node->model->context, sum);
    return LSTM_OK;
}

static void put_values(lstm__source *s, const lstm__node *node, const char *what,
                       const real *values, size_t count)
{
    char name[64];
    snprintf(name, sizeof name, "%s%zu", what, node->index);
    if (values)
        lstm__source_floats(s, name, values, count);
}

static lstm_status lstm_constants(lstm__source *s, const lstm__node *node)
{
    const lstm_lstm_options *own = node->options;
    const size_t units = (size_t)own->units;
    const lstm__variant_values v = lstm__variant_values_of(node, node->model->values);
    const size_t rows = lstm__variant_width(own) + lstm__source_parameter(node, 0)->rows;
    put_values(s, node, "kernel", v.weights, rows * 4 * units); /* the rows of h, then those of x */
    if (bias_count(node) > 0)
        RETURN_IF_ERROR(put_bias(s, node));
    put_values(s, node, "projection", v.projection, units * lstm__variant_width(own));
    put_values(s, node, "peephole", v.peephole, LSTM__LOOKS * units);
    put_values(s, node, "gamma_h", v.gamma[0], 4 * units);
    put_values(s, node, "gamma_x", v.gamma[1], 4 * units);
    put_values(s, node, "gamma_c", v.cell_gamma, units);
    put_values(s, node, "beta_c", v.cell_beta, units);
    return LSTM_OK;
}

lstm_status lstm__source_cell_constants(lstm__source *s, const lstm__node *node)
{
    if (node->class == &lstm__class_lstm)
        return lstm_constants(s, node);
    lstm__source_put(s, node, "kernel", 0);
    lstm__source_put(s, node, "recurrent", 1);
    if (node->class == &lstm__class_gru) {
        if (node->parameter_count > 2)
            lstm__source_put(s, node, "bias", 2);
        if (node->parameter_count > 3)
            lstm__source_put(s, node, "bias_h", 3);
        return LSTM_OK;
    }
    return bias_count(node) > 0 ? put_bias(s, node) : LSTM_OK;
}

/* ---- Statements */

/* First states: zeros, or what other layers give. In a stream they are set by the start. */
static void start_cell(lstm__source *s, const lstm__node *node)
{
    char from[LSTM__SOURCE_VALUE];
    for (int k = 1; k < (node->class == &lstm__class_lstm ? 3 : 2); k++) {
        const char letter = k == 1 ? 'h' : 'c';
        if (node->input_count > k)
            lstm__source_print(s, "    memcpy(m->%c%zu, %s, sizeof m->%c%zu);\n", letter,
                               node->index, lstm__source_value(s, node->inputs[k], from), letter,
                               node->index);
        else
            lstm__source_print(s, "    memset(m->%c%zu, 0, sizeof m->%c%zu);\n", letter,
                               node->index, letter, node->index);
    }
}

static void run_lstm(lstm__source *s, const lstm__node *node, const char *x, const char *y,
                     const char *steps)
{
    const lstm_lstm_options *own = node->options;
    char kernel[LSTM__SOURCE_VALUE];
    char bias[LSTM__SOURCE_VALUE];
    lstm__source_print(s,
                       "    %s_lstm(%s, %s, %" PRId64 ", %s,\n        %s, %" PRId64
                       ", %s_act_%s, %s_act_%s,\n        %d, m->h%zu, m->c%zu, m->a, %s);\n",
                       s->prefix, steps, x, lstm__source_input(node, 0).features,
                       lstm__source_constant(s, node, "kernel", true, kernel),
                       lstm__source_constant(s, node, "bias", bias_count(node) > 0, bias),
                       own->units, s->prefix, lstm__source_activation(own->activation), s->prefix,
                       lstm__source_activation(own->recurrent_activation),
                       own->go_backwards == LSTM_YES, node->index, node->index, y);
}

static double number(float value)
{
    return value > 0 ? (double)value : 0;
}

/* The description of the cell, then the call. */
static void run_variant(lstm__source *s, const lstm__node *node, const char *x, const char *y,
                        const char *steps)
{
    const lstm_lstm_options *own = node->options;
    const lstm__variant_values v = lstm__variant_values_of(node, node->model->values);
    const struct {
        const char *member, *constant;
        bool there;
    } arrays[] = {{"w", "kernel", true},
                  {"b", "bias", bias_count(node) > 0},
                  {"projection", "projection", v.projection != NULL},
                  {"peephole", "peephole", v.peephole != NULL},
                  {"gamma_h", "gamma_h", v.gamma[0] != NULL},
                  {"gamma_x", "gamma_x", v.gamma[1] != NULL},
                  {"gamma_c", "gamma_c", v.cell_gamma != NULL},
                  {"beta_c", "beta_c", v.cell_beta != NULL}};
    const int norm = v.gamma[1] ? NORM_APART : v.gamma[0] ? NORM_EACH_GATE : NORM_NONE;
    const bool carried = own->layer_norm == LSTM_LAYER_NORM_TF ||
                         own->layer_norm == LSTM_LAYER_NORM_FASTRNNS;
    lstm__source_print(s, "    {\n        static const %s_cell o = {%" PRId64 ", %zu,\n", s->prefix,
                       own->units, lstm__variant_width(own));
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
        char text[LSTM__SOURCE_VALUE];
        lstm__source_print(
            s, "            %s, /* %s */\n",
            lstm__source_constant(s, node, arrays[k].constant, arrays[k].there, text),
            arrays[k].member);
    }
    lstm__source_print(s,
                       "            %.9ef, %.9ef, %.9ef, /* limits of the projection, sums, c */\n"
                       "            %.9ef, %.9ef, %.9ef, /* zoneout of h and c, epsilon */\n"
                       "            %d, %d, %d, /* normalisation, carried, coupling */\n"
                       "            %s_act_%s, %s_act_%s};\n",
                       number(own->proj_clip), number(own->gate_clip), number(own->cell_clip),
                       number(own->zoneout_h), number(own->zoneout_c),
                       number(own->layer_norm_epsilon), norm, carried,
                       own->coupled_gates == LSTM_COUPLING_FORGET  ? 1
                       : own->coupled_gates == LSTM_COUPLING_INPUT ? 2
                                                                   : 0,
                       s->prefix, lstm__source_activation(own->activation), s->prefix,
                       lstm__source_activation(own->recurrent_activation));
    lstm__source_print(
        s, "        %s_variant(&o, %s, %s, %" PRId64 ", %d, m->h%zu, m->c%zu, m->a, %s);\n    }\n",
        s->prefix, steps, x, lstm__source_input(node, 0).features, own->go_backwards == LSTM_YES,
        node->index, node->index, y);
}

static void run_gru(lstm__source *s, const lstm__node *node, const char *x, const char *y,
                    const char *steps)
{
    const lstm_gru_options *own = node->options;
    char kernel[LSTM__SOURCE_VALUE];
    char recurrent[LSTM__SOURCE_VALUE];
    char bias[LSTM__SOURCE_VALUE];
    char second[LSTM__SOURCE_VALUE + 32];
    const bool after = own->reset_after == LSTM_YES;
    const bool torch = s->model->profile == LSTM_PROFILE_TORCH;
    lstm__source_constant(s, node, "bias_h", node->parameter_count > 3, second);
    if (after && node->parameter_count == 3) /* both in one array */
        snprintf(second, sizeof second, "%s_bias%zu + %" PRId64, s->prefix, node->index,
                 3 * own->units);
    lstm__source_print(s,
                       "    %s_gru(%s, %s, %" PRId64 ", %s,\n        %s, %s, %s, %" PRId64
                       ", %d, %d,\n        %s_act_%s, %s_act_%s, %d, m->h%zu, m->a, %s);\n",
                       s->prefix, steps, x, lstm__source_input(node, 0).features,
                       lstm__source_constant(s, node, "kernel", true, kernel),
                       lstm__source_constant(s, node, "recurrent", true, recurrent),
                       lstm__source_constant(s, node, "bias", node->parameter_count > 2, bias),
                       second, own->units, after, torch, s->prefix,
                       lstm__source_activation(own->activation), s->prefix,
                       lstm__source_activation(own->recurrent_activation),
                       own->go_backwards == LSTM_YES, node->index, y);
}

static void run_rnn(lstm__source *s, const lstm__node *node, const char *x, const char *y,
                    const char *steps)
{
    const lstm_simple_rnn_options *own = node->options;
    char kernel[LSTM__SOURCE_VALUE];
    char recurrent[LSTM__SOURCE_VALUE];
    char bias[LSTM__SOURCE_VALUE];
    lstm__source_print(s,
                       "    %s_rnn(%s, %s, %" PRId64 ", %s,\n        %s, %s, %" PRId64
                       ", %s_act_%s, %d, m->h%zu, m->a, %s);\n",
                       s->prefix, steps, x, lstm__source_input(node, 0).features,
                       lstm__source_constant(s, node, "kernel", true, kernel),
                       lstm__source_constant(s, node, "recurrent", true, recurrent),
                       lstm__source_constant(s, node, "bias", bias_count(node) > 0, bias),
                       own->units, s->prefix, lstm__source_activation(own->activation),
                       own->go_backwards == LSTM_YES, node->index, y);
}

void lstm__source_cell(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    char steps[32];
    const char *count = lstm__source_steps(s, lstm__source_input(node, 0), steps);
    if (node->shapes[0].steps == 0) /* the last output alone, which is in h */
        y = "NULL";
    if (!s->stepping)
        start_cell(s, node);
    if (is_varied(node))
        run_variant(s, node, x, y, count);
    else if (node->class == &lstm__class_lstm)
        run_lstm(s, node, x, y, count);
    else if (node->class == &lstm__class_gru)
        run_gru(s, node, x, y, count);
    else
        run_rnn(s, node, x, y, count);
}
