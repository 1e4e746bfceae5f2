/* SPDX-License-Identifier: MIT
 *
 * What the axes of an ONNX graph's inputs are is not in the file: (7, 4, 6) may be steps, samples,
 * features or samples, steps, features. It follows from what reads an input, perhaps behind a
 * Transpose, an activation or a product: a recurrent node says what its X, its lengths and its
 * first states are, a Conv has the steps last. Inputs about which nobody says anything are samples,
 * steps, features; samples, features; or, of whole numbers, samples, steps. A number of features
 * that is a symbol in the file is that of the weights that it meets first.
 */
#include "onnx_inputs.h"
#include "onnx_activations.h"
#include "onnx_shapes.h"

#include <stdio.h>
#include <string.h>

enum { MOST = LSTM__MOST_DIMENSIONS, DEPTH = 64, LENGTHS = 99 };

/* Who reads a value: consumers[first[v]] to consumers[first[v + 1] - 1] are nodes. */
typedef struct search {
    lstm__onnx_import *import;
    int *first, *consumers;
    bool *seen;
} search;

static lstm_status list_consumers(search *s)
{
    lstm__onnx_graph *graph = s->import->graph;
    size_t total = 0;
    s->first = lstm__onnx_allocate(graph, graph->name_count + 2, sizeof(int));
    s->seen = lstm__onnx_allocate(graph, graph->name_count + 1, sizeof(bool));
    for (size_t k = 0; k < graph->node_count; k++)
        total += (size_t)graph->nodes[k].input_count;
    s->consumers = lstm__onnx_allocate(graph, total + 1, sizeof(int));
    int *next = lstm__onnx_allocate(graph, graph->name_count + 1, sizeof(int));
    if (!s->first || !s->seen || !s->consumers || !next)
        return lstm__fail_memory(total * sizeof(int), "the nodes of the ONNX file");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t k = 0; k < graph->node_count; k++)
            for (int i = 0; s->import->needed[k] && i < graph->nodes[k].input_count; i++) {
                const int name = graph->nodes[k].inputs[i];
                if (name == LSTM__ONNX_NONE)
                    continue;
                if (pass == 0)
                    s->first[name + 1]++;
                else
                    s->consumers[s->first[name] + next[name]++] = (int)k;
            }
        for (size_t k = 0; pass == 0 && k < graph->name_count; k++)
            s->first[k + 1] += s->first[k];
    }
    return LSTM_OK;
}

static bool is_any(const char *op, const char *const *list)
{
    while (*list && strcmp(*list, op) != 0)
        list++;
    return *list != NULL;
}

static void set(int *axes, int a, int b, int c)
{
    axes[0] = a;
    axes[1] = b;
    axes[2] = c;
}

/* What a recurrent node says of its input `slot`. */
static bool cell_says(const lstm__onnx_node *node, int slot, int rank, int *axes)
{
    int64_t layout = 0;
    if (lstm__onnx_int(node, "layout", &layout) != LSTM_OK)
        return false;
    if (slot == 4 && rank == 1) {
        axes[0] = LENGTHS;
        return true;
    }
    if (rank != 3 || (slot != 0 && slot != 5 && slot != 6))
        return false;
    const int outer = slot == 0 ? LSTM__AXIS_STEP : LSTM__AXIS_PART;
    if (layout == 0)
        set(axes, outer, LSTM__AXIS_BATCH, LSTM__AXIS_FEATURE);
    else
        set(axes, LSTM__AXIS_BATCH, outer, LSTM__AXIS_FEATURE);
    return true;
}

static bool says(search *s, int name, int rank, int depth, int *axes);

/* Behind a Transpose, Squeeze or Unsqueeze. */
static bool behind_move(search *s, const lstm__onnx_node *node, int rank, int depth, int *axes)
{
    int64_t list[MOST];
    int inner[MOST] = {0};
    int count = 0;
    bool fresh[MOST] = {false};
    if (strcmp(node->op, "Transpose") == 0) {
        if (lstm__onnx_ints(node, "perm", list, MOST, &count) != LSTM_OK || count != rank ||
            !says(s, node->outputs[0], rank, depth, inner))
            return false;
        for (int k = 0; k < rank; k++)
            if (list[k] < 0 || list[k] >= rank)
                return false;
            else
                axes[list[k]] = inner[k];
        return true;
    }
    if (lstm__onnx_read_axes(s->import, node, 1, list, &count) != LSTM_OK || count < 0)
        return false;
    const bool removes = strcmp(node->op, "Squeeze") == 0;
    const int other = removes ? rank - count : rank + count;
    if (other < 1 || other > MOST || !says(s, node->outputs[0], other, depth, inner))
        return false;
    for (int k = 0; k < count; k++) {
        const int64_t axis = list[k] < 0 ? list[k] + (removes ? rank : other) : list[k];
        if (axis < 0 || axis >= MOST)
            return false;
        fresh[axis] = true;
    }
    for (int k = 0, from = 0, to = 0; k < (removes ? rank : other); k++) {
        if (removes)
            axes[k] = fresh[k] ? LSTM__AXIS_ONE : inner[from++];
        else if (!fresh[k])
            axes[to++] = inner[k];
    }
    return true;
}

static bool node_says(search *s, const lstm__onnx_node *node, int slot, int rank, int depth,
                      int *axes)
{
    static const char *const cells[] = {"LSTM", "GRU", "RNN", NULL};
    static const char *const windows[] = {"Conv",
                                          "MaxPool",
                                          "AveragePool",
                                          "GlobalMaxPool",
                                          "GlobalAveragePool",
                                          "BatchNormalization",
                                          NULL};
    static const char *const moves[] = {"Transpose", "Squeeze", "Unsqueeze", NULL};
    static const char *const plain[] = {
        "Identity", "Cast",  "Dropout", "CastLike", "Add",     "Sub",
        "Mul",      "Div",   "Sum",     "Max",      "Mean",    "Slice",
        "Concat",   "Split", "MatMul",  "Gemm",     "Softmax", "LayerNormalization",
        NULL};
    int inner[MOST] = {0};
    if (node->domain[0] || node->output_count < 1 || node->outputs[0] == LSTM__ONNX_NONE)
        return false;
    if (is_any(node->op, cells))
        return cell_says(node, slot, rank, axes);
    if (is_any(node->op, windows)) {
        if (slot == 0 && rank == 3)
            set(axes, LSTM__AXIS_BATCH, LSTM__AXIS_FEATURE, LSTM__AXIS_STEP);
        return slot == 0 && rank == 3;
    }
    if (is_any(node->op, moves))
        return slot == 0 && behind_move(s, node, rank, depth, axes);
    if (is_any(node->op, plain) || lstm__onnx_is_activation(node->op))
        for (int o = 0; o < node->output_count; o++)
            if (node->outputs[o] != LSTM__ONNX_NONE && says(s, node->outputs[o], rank, depth, axes))
                return true;
    if (strcmp(node->op, "Gather") == 0 && slot == 1 && rank < MOST &&
        says(s, node->outputs[0], rank + 1, depth, inner)) {
        memcpy(axes, inner, (size_t)rank * sizeof *axes);
        return true;
    }
    return false;
}

/* What the readers of a value say about its axes. */
static bool says(search *s, int name, int rank, int depth, int *axes)
{
    if (depth == 0 || s->seen[name])
        return false;
    s->seen[name] = true;
    for (int c = s->first[name]; c < s->first[name + 1]; c++) {
        const lstm__onnx_node *node = &s->import->graph->nodes[s->consumers[c]];
        for (int slot = 0; slot < node->input_count; slot++)
            if (node->inputs[slot] == name && node_says(s, node, slot, rank, depth - 1, axes))
                return true;
    }
    return false;
}

/* ---- Sizes */

/* Rows of the constant weights that node `node` multiplies its input `slot` with; 0 = it does not. */
static int64_t rows_of_weights(search *s, const lstm__onnx_node *node, int slot)
{
    const bool is_matrix = strcmp(node->op, "MatMul") == 0 || strcmp(node->op, "Gemm") == 0;
    int64_t turned = 0;
    if (!is_matrix && strcmp(node->op, "LSTM") != 0 && strcmp(node->op, "GRU") != 0 &&
        strcmp(node->op, "RNN") != 0)
        return 0;
    const lstm__onnx_value *weights = lstm__onnx_input(s->import, node, slot < 5 ? 1 : 2);
    if ((slot != 0 && (is_matrix || slot < 5 || slot > 6)) || !lstm__onnx_is_constant(weights) ||
        weights->rank != (is_matrix ? 2 : 3))
        return 0;
    if (!is_matrix)
        return weights->shape[2];
    return lstm__onnx_int(node, "transB", &turned) == LSTM_OK ? weights->shape[turned != 0] : 0;
}

/* The number of features of a value whose size is a symbol, from weights that it meets; 0 = it meets
 * none. */
static int64_t features_of(search *s, int name, int depth)
{
    static const char *const same[] = {"Transpose", "Squeeze", "Unsqueeze", "Identity",
                                       "Cast",      "Dropout", NULL};
    int64_t found = 0;
    if (depth == 0 || s->seen[name])
        return 0;
    s->seen[name] = true;
    for (int c = s->first[name]; found == 0 && c < s->first[name + 1]; c++) {
        const lstm__onnx_node *node = &s->import->graph->nodes[s->consumers[c]];
        for (int slot = 0; found == 0 && slot < node->input_count; slot++)
            if (node->inputs[slot] == name)
                found = rows_of_weights(s, node, slot);
        if (found == 0 && node->output_count > 0 && node->outputs[0] != LSTM__ONNX_NONE &&
            (is_any(node->op, same) || lstm__onnx_is_activation(node->op)))
            found = features_of(s, node->outputs[0], depth - 1);
    }
    return found;
}

/* ---- Layers */

static bool is_whole(int32_t type)
{
    return (type >= 2 && type <= 7) || type == 12 || type == 13;
}

/* The axes of an input. */
static lstm_status find_axes(search *s, const lstm__onnx_port *port, int *axes)
{
    static const int defaults[3][3] = {
        {LSTM__AXIS_BATCH, 0, 0},
        {LSTM__AXIS_BATCH, LSTM__AXIS_FEATURE, 0},
        {LSTM__AXIS_BATCH, LSTM__AXIS_STEP, LSTM__AXIS_FEATURE},
    };
    const char *name = s->import->graph->names[port->name];
    if (!port->has_shape || port->rank < 1 || port->rank > 4)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "input \"%.100s\" has %d axes, or no shape: expected 1 to 4", name,
                          port->rank);
    const bool number = port->type == 1 || port->type == 10 || port->type == 11 ||
                        port->type == 16 || is_whole(port->type);
    if (!number)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "input \"%.100s\" is of data type %d: expected "
                          "numbers",
                          name, (int)port->type);
    memset(s->seen, 0, s->import->graph->name_count * sizeof *s->seen);
    if (says(s, port->name, port->rank, DEPTH, axes))
        return LSTM_OK;
    if (port->rank > 3)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "input \"%.100s\": what its %d axes are cannot be told from the graph",
                          name, port->rank);
    memcpy(axes, defaults[port->rank - 1], 3 * sizeof *axes);
    if (port->rank == 2 && is_whole(port->type))
        axes[1] = LSTM__AXIS_STEP;
    return LSTM_OK;
}

static lstm_status note_input(const char *name, const char *axes, size_t first, int parts,
                              bool lengths, json_t *list)
{
    json_t *entry = lengths ? json_pack("{s:s, s:b}", "name", name, "lengths", 1)
                            : json_pack("{s:s, s:s, s:I, s:i}", "name", name, "axes", axes, "index",
                                        (json_int_t)first, "parts", parts);
    return entry && json_array_append_new(list, entry) == 0
               ? LSTM_OK
               : lstm__fail(LSTM_ERROR_MEMORY, "no memory for the names of the inputs");
}

static lstm_status add_parts(lstm__onnx_import *import, const char *name,
                             const lstm_input_options *options, int count, lstm__onnx_part *parts)
{
    for (int k = 0; k < count; k++) {
        char own[LSTM__NAME_SIZE];
        lstm_layer *layer = NULL;
        snprintf(own, sizeof own, count > 1 ? "%.100s/%d" : "%.100s", name, k);
        RETURN_IF_ERROR(
            lstm__graph_add(import->model, &lstm__class_input, options, own, NULL, 0, &layer));
        parts[k] = (lstm__onnx_part){layer, false};
    }
    return LSTM_OK;
}

static lstm_status add_input(search *s, const lstm__onnx_port *port, size_t number, size_t *inputs,
                             json_t *list)
{
    static const char letters[] = "?1BTPF??";
    lstm__onnx_import *import = s->import;
    lstm__onnx_value *value = &import->values[port->name];
    const char *name = import->graph->names[port->name];
    lstm_input_options options = {.struct_size = sizeof options, .vector = LSTM_YES, .features = 1};
    lstm__onnx_part parts[LSTM__ONNX_PARTS];
    char letter[MOST + 1] = "";
    int count = 1;
    *value = (lstm__onnx_value){.rank = port->rank, .whole = is_whole(port->type)};
    RETURN_IF_ERROR(find_axes(s, port, value->axis));
    if (value->axis[0] == LENGTHS) {
        value->kind = LSTM__VALUE_LENGTHS;
        value->input = number;
        value->shape[0] = import->batch;
        return note_input(name, "", 0, 0, true, list);
    }
    for (int k = 0; k < port->rank; k++) {
        const int kind = value->axis[k];
        int64_t size = port->shape[k];
        if (size == 0 && kind == LSTM__AXIS_FEATURE) {
            memset(s->seen, 0, import->graph->name_count * sizeof *s->seen);
            size = features_of(s, port->name, DEPTH);
        }
        value->shape[k] = size                       ? size
                          : kind == LSTM__AXIS_BATCH ? LSTM__ONNX_PROBE_BATCH
                                                     : LSTM__ONNX_PROBE_STEPS;
        letter[k] = letters[kind];
        if (kind == LSTM__AXIS_STEP) {
            options.steps = size;
            options.vector = LSTM_NO;
        }
        if (size == 0 && (kind == LSTM__AXIS_FEATURE || kind == LSTM__AXIS_PART))
            return lstm__fail(
                LSTM_ERROR_UNSUPPORTED,
                "input \"%.100s\": the size of axis %d (%s) is free: expected a number", name, k,
                kind == LSTM__AXIS_PART ? "directions" : "features");
        if (kind == LSTM__AXIS_FEATURE)
            options.features = size;
        if (kind == LSTM__AXIS_PART)
            count = size > LSTM__ONNX_PARTS ? LSTM__ONNX_PARTS + 1 : (int)size;
        if (kind == LSTM__AXIS_ONE && size == 0)
            value->shape[k] = 1;
    }
    if (count > LSTM__ONNX_PARTS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "input \"%.100s\": more than %d directions", name,
                          (int)LSTM__ONNX_PARTS);
    RETURN_IF_ERROR(add_parts(import, name, &options, count, parts));
    RETURN_IF_ERROR(note_input(name, letter, *inputs, count, false, list));
    *inputs += (size_t)count;
    return lstm__onnx_set_parts(import, value, count, parts);
}

lstm_status lstm__onnx_add_inputs(lstm__onnx_import *import, json_t *list)
{
    const lstm__onnx_graph *graph = import->graph;
    search s = {.import = import};
    size_t inputs = 0;
    import->batch = LSTM__ONNX_PROBE_BATCH;
    import->steps = LSTM__ONNX_PROBE_STEPS;
    RETURN_IF_ERROR(list_consumers(&s));
    for (size_t k = 0; k < graph->input_count; k++) {
        const int name = graph->inputs[k].name;
        if (import->values[name].kind == LSTM__VALUE_CONSTANT) /* an initializer's default */
            continue;
        if (import->values[name].kind != LSTM__VALUE_NONE)
            return lstm__fail(LSTM_ERROR_FORMAT, "input \"%.100s\" is there twice",
                              graph->names[name]);
        if (import->readers[name] > 0)
            RETURN_IF_ERROR(add_input(&s, &graph->inputs[k], k, &inputs, list));
    }
    if (inputs == 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "no output depends on an input of the graph");
    return LSTM_OK;
}
