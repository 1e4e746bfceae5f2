/* SPDX-License-Identifier: MIT
 *
 * Reading a model from an ONNX file.
 *
 *     1. nodes that the outputs need are marked, from the last to the first
 *     2. constants; inputs, whose axes are found from what reads them (onnx_inputs.c)
 *     3. nodes are translated in order, each by the function in its operator's table
 *     4. outputs; the model is built and its parameters are filled
 *
 * How the file calls its inputs and outputs, and in which order their axes stand there, is kept in
 * the note "onnx.ports" (docs/interchange.md).
 */
#include "onnx_file.h"
#include "onnx_inputs.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const lstm__onnx_operator *const tables[] = {
    lstm__onnx_shape_operators, lstm__onnx_constant_operators, lstm__onnx_cell_operators,
    lstm__onnx_layer_operators, lstm__onnx_window_operators,
};

/* ---- What is needed */

static lstm_status check_name(const lstm__onnx_graph *graph, int *giver, int name, size_t node)
{
    if (name == LSTM__ONNX_NONE)
        return LSTM_OK;
    if (giver[name])
        return lstm__fail(LSTM_ERROR_FORMAT, "value \"%.100s\" is given twice (node %zu)",
                          graph->names[name], node);
    giver[name] = 1;
    return LSTM_OK;
}

static void mark_node(lstm__onnx_import *import, size_t index)
{
    const lstm__onnx_node *node = &import->graph->nodes[index];
    for (int k = 0; k < node->output_count; k++)
        import->needed[index] = import->needed[index] || (node->outputs[k] != LSTM__ONNX_NONE &&
                                                          import->readers[node->outputs[k]] > 0);
    for (int k = 0; import->needed[index] && k < node->input_count; k++) {
        const int name = node->inputs[k];
        if (name == LSTM__ONNX_NONE)
            continue;
        import->single_readers[name] = import->readers[name] ? -1 : (int)index;
        import->readers[name]++;
    }
}

static lstm_status mark_needed(lstm__onnx_import *import)
{
    lstm__onnx_graph *graph = import->graph;
    int *giver = lstm__onnx_allocate(graph, graph->name_count + 1, sizeof *giver);
    if (!giver)
        return lstm__fail_memory(graph->name_count * sizeof *giver, "the nodes of the ONNX file");
    for (size_t k = 0; k < graph->tensor_count; k++)
        RETURN_IF_ERROR(check_name(graph, giver, graph->tensor_names[k], 0));
    for (size_t k = 0; k < graph->node_count; k++)
        for (int o = 0; o < graph->nodes[k].output_count; o++)
            RETURN_IF_ERROR(check_name(graph, giver, graph->nodes[k].outputs[o], k));
    for (size_t k = 0; k < graph->name_count; k++)
        import->single_readers[k] = -1;
    for (size_t k = 0; k < graph->output_count; k++)
        import->readers[graph->outputs[k].name]++;
    for (size_t k = graph->node_count; k-- > 0;)
        mark_node(import, k);
    return LSTM_OK;
}

static lstm_status start(lstm__onnx_import *import)
{
    lstm__onnx_graph *graph = import->graph;
    const size_t names = graph->name_count + 1;
    import->values = lstm__onnx_allocate(graph, names, sizeof *import->values);
    import->readers = lstm__onnx_allocate(graph, names, sizeof *import->readers);
    import->single_readers = lstm__onnx_allocate(graph, names, sizeof(int));
    import->needed = lstm__onnx_allocate(graph, graph->node_count + 1, sizeof(bool));
    import->done = lstm__onnx_allocate(graph, graph->node_count + 1, sizeof(bool));
    if (!import->values || !import->readers || !import->single_readers || !import->needed ||
        !import->done)
        return lstm__fail_memory(names * sizeof *import->values, "the values of the ONNX file");
    RETURN_IF_ERROR(mark_needed(import));
    for (size_t k = 0; k < graph->tensor_count; k++) {
        lstm__onnx_value *value = &import->values[graph->tensor_names[k]];
        *value = (lstm__onnx_value){.kind = LSTM__VALUE_CONSTANT,
                                    .rank = graph->tensors[k].rank,
                                    .elements = graph->tensors[k].elements};
        memcpy(value->shape, graph->tensors[k].shape, sizeof value->shape);
    }
    return LSTM_OK;
}

/* ---- Nodes */

static lstm__onnx_translate find_operator(const char *op)
{
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const lstm__onnx_operator *o = tables[t]; o->op; o++)
            if (strcmp(o->op, op) == 0)
                return o->translate;
    return NULL;
}

static lstm_status translate_node(lstm__onnx_import *import, size_t index)
{
    const lstm__onnx_node *node = &import->graph->nodes[index];
    const lstm__onnx_translate translate = find_operator(node->op);
    const bool foreign = node->domain[0] && strcmp(node->domain, "ai.onnx") != 0;
    lstm_status status = LSTM_OK;
    import->node = node;
    if (foreign)
        status = lstm__fail(LSTM_ERROR_UNSUPPORTED, "an operator of the domain \"%.60s\"",
                            node->domain);
    else if (!translate)
        status = lstm__fail(LSTM_ERROR_UNSUPPORTED,
                            "this version does not know the operator (docs/interchange.md lists "
                            "those it knows)");
    for (int k = 0; status == LSTM_OK && k < node->input_count; k++) {
        const lstm__onnx_value *value = lstm__onnx_input(import, node, k);
        if (value && value->kind == LSTM__VALUE_NONE)
            status = lstm__fail(LSTM_ERROR_FORMAT,
                                "reads \"%.100s\", which no input and no node before it gives",
                                import->graph->names[node->inputs[k]]);
    }
    if (status == LSTM_OK)
        status = translate(import, node);
    if (status == LSTM_OK)
        return LSTM_OK;
    const char *output = node->output_count && node->outputs[0] != LSTM__ONNX_NONE
                             ? import->graph->names[node->outputs[0]]
                             : "";
    return lstm__prefix_error(status, "node %zu, %.60s \"%.100s\"", index, node->op,
                              node->name[0] ? node->name : output);
}

/* Constants first: a node may ask what a later constant says. */
static lstm_status translate_nodes(lstm__onnx_import *import, bool constants)
{
    for (size_t k = 0; k < import->graph->node_count; k++)
        if (import->needed[k] && !import->done[k] &&
            constants == (strcmp(import->graph->nodes[k].op, "Constant") == 0))
            RETURN_IF_ERROR(translate_node(import, k));
    return LSTM_OK;
}

/* ---- Outputs */

static lstm_status note_output(lstm__onnx_import *import, const lstm__onnx_value *value, int name,
                               size_t index, json_t *list)
{
    static const char letters[] = "?1BTPF??";
    char axes[LSTM__MOST_DIMENSIONS + 1] = "";
    char text[160];
    for (int k = 0; k < value->rank; k++) {
        axes[k] = letters[value->axis[k]];
        if (axes[k] == '?')
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "output \"%.100s\" has samples and steps in one axis: %s",
                              import->graph->names[name], lstm__onnx_describe(value, text));
    }
    json_t *entry = json_pack("{s:s, s:s, s:I, s:i, s:b}", "name", import->graph->names[name],
                              "axes", axes, "index", (json_int_t)index, "parts",
                              lstm__onnx_axis(value, LSTM__AXIS_PART) < 0 ? 1 : value->part_count,
                              "zero_at_length_0", value->is_state);
    return entry && json_array_append_new(list, entry) == 0
               ? LSTM_OK
               : lstm__fail(LSTM_ERROR_MEMORY, "no memory for the names of the outputs");
}

static lstm_status set_outputs(lstm__onnx_import *import, json_t *list)
{
    lstm_status status = LSTM_OK;
    lstm__onnx_graph *graph = import->graph;
    size_t count = 0;
    import->node = NULL;
    const lstm_layer **layers = lstm__onnx_allocate(graph, graph->output_count + 1, sizeof *layers);
    if (!layers)
        return lstm__fail_memory(graph->output_count * sizeof *layers, "the outputs");
    for (size_t k = 0; k < graph->output_count; k++) {
        const int name = graph->outputs[k].name;
        lstm__onnx_value *value = &import->values[name];
        const lstm__onnx_value axes = *value;
        size_t index = 0;
        if (value->kind == LSTM__VALUE_NONE)
            return lstm__fail(LSTM_ERROR_FORMAT, "output \"%.100s\" is given by no node",
                              graph->names[name]);
        status = lstm__onnx_join(import, value, &layers[count]);
        if (status != LSTM_OK)
            return lstm__prefix_error(status, "output \"%.100s\"", graph->names[name]);
        while (layers[index] != layers[count])
            index++;
        count += index == count;
        RETURN_IF_ERROR(note_output(import, &axes, name, index, list));
    }
    if (count == 0)
        return lstm__fail(LSTM_ERROR_FORMAT, "the graph has no outputs");
    return lstm__graph_set_outputs(import->model, layers, count);
}

/* ---- Parameters */

static lstm_status fill(lstm__onnx_import *import)
{
    lstm_model *model = import->model;
    for (size_t k = 0; k < import->assignment_count; k++) {
        const lstm__onnx_assignment *a = &import->assignments[k];
        if (a->parameter >= a->node->parameter_count)
            return lstm__fail(LSTM_ERROR_SHAPE, "layer \"%s\" has %zu parameters", a->node->name,
                              a->node->parameter_count);
        const lstm__parameter *p = &model->parameters[a->node->parameter_first + a->parameter];
        if (lstm__parameter_size(p) != a->count)
            return lstm__fail(LSTM_ERROR_SHAPE, "parameter \"%s\": %zu values: expected %zu",
                              p->name, a->count, lstm__parameter_size(p));
        for (size_t v = 0; v < a->count; v++)
            if (!isfinite(a->values[v]))
                return lstm__fail(LSTM_ERROR_NUMERIC, "parameter \"%s\": value %zu is not finite",
                                  p->name, v);
        lstm__parameter_write(p, model->values, a->values);
    }
    lstm__graph_changed(model);
    return LSTM_OK;
}

static lstm_status set_note(lstm_model *model, const json_t *ports)
{
    char *text = json_dumps(ports, JSON_COMPACT);
    const lstm_status status = text ? lstm__graph_set_note(model, "onnx.ports", text)
                                    : lstm__fail(LSTM_ERROR_MEMORY,
                                                 "no memory for the names of inputs and outputs");
    free(text);
    return status;
}

static lstm_status convert(lstm__onnx_import *import, json_t *ports)
{
    RETURN_IF_ERROR(start(import));
    RETURN_IF_ERROR(translate_nodes(import, true));
    RETURN_IF_ERROR(lstm__onnx_add_inputs(import, json_object_get(ports, "inputs")));
    RETURN_IF_ERROR(translate_nodes(import, false));
    RETURN_IF_ERROR(set_outputs(import, json_object_get(ports, "outputs")));
    const lstm_status status = lstm__graph_build(import->model);
    if (status != LSTM_OK)
        return status == LSTM_ERROR_STATE ? lstm__prefix_error(LSTM_ERROR_FORMAT, "the graph")
                                          : status;
    RETURN_IF_ERROR(fill(import));
    return set_note(import->model, ports);
}

lstm_status lstm__onnx_load(lstm_model **out, lstm_context *context, const lstm__file *file)
{
    lstm_status status = LSTM_OK;
    lstm__onnx_graph graph = {0};
    lstm__onnx_import import = {.graph = &graph, .lengths = LSTM__ONNX_NONE};
    json_t *ports = json_pack("{s:[], s:[]}", "inputs", "outputs");
    status = ports ? lstm__onnx_read(&graph, file) : lstm__fail(LSTM_ERROR_MEMORY, "no memory");
    if (status == LSTM_OK)
        status = lstm__graph_create(&import.model, context, LSTM_PROFILE_KERAS, 0);
    if (status == LSTM_OK) {
        import.model->loading = true;
        /* every value comes from the file; gaps and constants of a layer come on top */
        import.model->most_values = graph.file_size + graph.external_size + (1 << 20);
        status = convert(&import, ports);
    }
    if (status != LSTM_OK)
        lstm__prefix_error(status, "%s", file->name);
    if (status == LSTM_OK) {
        *out = import.model;
        import.model = NULL;
    }
    if (import.assignments)
        lstm__release(graph.context, import.assignments);
    lstm__graph_release(import.model);
    lstm__onnx_end(&graph);
    json_decref(ports);
    return status;
}
