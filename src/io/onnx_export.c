/* SPDX-License-Identifier: MIT
 *
 * Writing ONNX. Values keep our shapes, (batch, steps, features) and (batch, features), under the
 * names of their layers; recurrent nodes have layout 0, steps first, between two Transposes, as ONNX
 * Runtime knows no other. The batch is a symbol everywhere, free steps are one too.
 *
 * A layer with stateful = YES becomes a node whose first states are inputs NAME.h0 and NAME.c0 (1,
 * batch, units) of the graph, and whose last ones are outputs NAME.hn and NAME.cn: what a program
 * that feeds a stream piece by piece needs. An input that only Embeddings read is one of int64
 * tokens. What ONNX has no operator for becomes several (onnx_export_scan.c, …_masks.c,
 * …_attention.c) or is refused by the layer's name; Dropout and noise, which act in training only,
 * are Identity.
 */
#include "onnx_export.h"
#include "file_writer.h"
#include "onnx_file.h"

#include <stdio.h>
#include <string.h>

/* ---- Names and nodes */

const char *lstm__onnx_value_name(const lstm_layer *layer, char name[LSTM__ONNX_NAME])
{
    static const char *const suffixes[LSTM__PORTS] = {"", ":h", ":c"};
    snprintf(name, LSTM__ONNX_NAME, "%s%s", layer->node->name, suffixes[layer->port]);
    return name;
}

const char *lstm__onnx_between(const lstm__node *node, const char *what, char name[LSTM__ONNX_NAME])
{
    snprintf(name, LSTM__ONNX_NAME, "%s:%s", node->name, what);
    return name;
}

void lstm__onnx_open(lstm__onnx_export *x, const lstm__node *node, const char *op,
                     const char *first, const char *second, const char *output)
{
    const char *inputs[] = {first, second, NULL};
    const char *outputs[] = {output, NULL};
    lstm__onnx_node_open(&x->w, op, node ? node->name : NULL, inputs, outputs);
}

void lstm__onnx_simple(lstm__onnx_export *x, const lstm__node *node, const char *op,
                       const char *first, const char *second, const char *output)
{
    lstm__onnx_open(x, node, op, first, second, output);
    lstm__onnx_node_close(&x->w);
}

void lstm__onnx_transpose(lstm__onnx_export *x, const lstm__node *node, const char *input,
                          const char *output, const int64_t *order, size_t count)
{
    lstm__onnx_open(x, node, "Transpose", input, NULL, output);
    lstm__onnx_node_ints(&x->w, "perm", order, count);
    lstm__onnx_node_close(&x->w);
}

const char *lstm__onnx_fresh(lstm__onnx_export *x, const lstm__node *node)
{
    char *name = x->names[x->made++ % LSTM__ONNX_KEPT];
    snprintf(name, LSTM__ONNX_NAME, "%s:%zu", node->name, x->made);
    return name;
}

const char *lstm__onnx_make(lstm__onnx_export *x, const lstm__node *node, const char *op,
                            const char *a, const char *b, const char *c)
{
    const char *name = lstm__onnx_fresh(x, node);
    const char *inputs[] = {a, b, b ? c : NULL, NULL};
    const char *outputs[] = {name, NULL};
    lstm__onnx_node_open(&x->w, op, NULL, inputs, outputs);
    lstm__onnx_node_close(&x->w);
    return name;
}

const char *lstm__onnx_integers(lstm__onnx_export *x, const int64_t *values, size_t count)
{
    return lstm__onnx_put_integers(&x->w, x->names[x->made++ % LSTM__ONNX_KEPT], 1, values, count);
}

const char *lstm__onnx_number(lstm__onnx_export *x, float value)
{
    return lstm__onnx_put_number(&x->w, x->names[x->made++ % LSTM__ONNX_KEPT], value);
}

const char *lstm__onnx_floats_of(lstm__onnx_export *x, const lstm__node *node, int rank,
                                 const int64_t *shape, const float *values)
{
    const char *name = lstm__onnx_fresh(x, node);
    size_t count = 1;
    for (int k = 0; k < rank; k++)
        count *= (size_t)shape[k];
    lstm__onnx_put_tensor(&x->w, name, LSTM__ONNX_FLOAT, rank, shape, values,
                          count * sizeof *values);
    return name;
}

void lstm__onnx_turn(lstm__onnx_export *x, const lstm__node *node, const char *from, const char *to)
{
    const char *back = lstm__onnx_integers(x, (const int64_t[]){-1}, 1);
    const char *inputs[] = {from,
                            back,
                            lstm__onnx_integers(x, (const int64_t[]){INT64_MIN}, 1),
                            lstm__onnx_integers(x, (const int64_t[]){1}, 1),
                            back,
                            NULL};
    const char *outputs[] = {to, NULL};
    lstm__onnx_node_open(&x->w, "Slice", node ? node->name : NULL, inputs, outputs);
    lstm__onnx_node_close(&x->w);
}

const char *lstm__onnx_for_batch(lstm__onnx_export *x, const lstm__node *node, const char *row,
                                 int64_t width, const char *to)
{
    const char *inputs[] = {lstm__onnx_batch(x), lstm__onnx_integers(x, &width, 1), NULL};
    const char *sizes = lstm__onnx_fresh(x, node);
    const char *outputs[] = {sizes, NULL};
    lstm__onnx_node_open(&x->w, "Concat", NULL, inputs, outputs);
    lstm__onnx_node_int(&x->w, "axis", 0);
    lstm__onnx_node_close(&x->w);
    lstm__onnx_simple(x, node, "Expand", row, sizes, to);
    return to;
}

const char *lstm__onnx_floats_out(lstm__onnx_export *x, const lstm__node *node, const char *what,
                                  int rank, const int64_t *shape, const float *values,
                                  char name[LSTM__ONNX_NAME])
{
    size_t count = 1;
    for (int k = 0; k < rank; k++)
        count *= (size_t)shape[k];
    lstm__onnx_between(node, what, name);
    lstm__onnx_put_tensor(&x->w, name, LSTM__ONNX_FLOAT, rank, shape, values,
                          count * sizeof *values);
    return name;
}

lstm_status lstm__onnx_cannot(const lstm__node *node, const char *what)
{
    return lstm__fail(LSTM_ERROR_UNSUPPORTED, "layer \"%s\" (%s): ONNX cannot say %s", node->name,
                      node->class->type, what);
}

/* ---- Inputs and outputs */

static bool is_embedding(const lstm__node *node)
{
    return node->class == &lstm__class_embedding;
}

/* Whether an input holds tokens: Embeddings read it, and nothing else. */
static lstm_status reads_tokens(const lstm__onnx_export *x, const lstm__node *input, bool *tokens)
{
    int embeddings = 0;
    int others = 0;
    for (size_t k = 0; k < x->model->node_count; k++) {
        const lstm__node *node = x->model->nodes[k];
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i]->node == input) {
                embeddings += is_embedding(node);
                others += !is_embedding(node);
            }
    }
    *tokens = embeddings > 0;
    if (embeddings > 0 && others > 0)
        return lstm__onnx_cannot(input, "an input of tokens that other layers read as numbers");
    return LSTM_OK;
}

static lstm_status put_input(lstm__onnx_export *x, const lstm__node *node)
{
    static const char *const symbols[] = {"batch", "steps", "features"};
    const lstm__shape shape = node->shapes[0];
    bool tokens = false;
    RETURN_IF_ERROR(reads_tokens(x, node, &tokens));
    if (tokens) {
        const int64_t steps = shape.steps == 0 ? shape.features : shape.steps;
        const int64_t sizes[] = {0, steps > 0 ? steps : 0};
        lstm__onnx_put_port(&x->w, 11, node->name, LSTM__ONNX_INT64, 2, sizes, symbols);
        return LSTM_OK;
    }
    const int64_t sequence[] = {0, shape.steps > 0 ? shape.steps : 0, shape.features};
    const int64_t vector[] = {0, shape.features};
    lstm__onnx_put_port(&x->w, 11, node->name, LSTM__ONNX_FLOAT, shape.steps ? 3 : 2,
                        shape.steps ? sequence : vector, symbols);
    return LSTM_OK;
}

/* What an output of the graph is called: the value's name, but an input needs another one. */
static const char *output_name(const lstm_layer *layer, char name[LSTM__ONNX_NAME])
{
    return layer->node->class == &lstm__class_input
               ? lstm__onnx_between(layer->node, "output", name)
               : lstm__onnx_value_name(layer, name);
}

static void put_output(lstm__onnx_export *x, const lstm_layer *layer)
{
    static const char *const symbols[] = {"batch", "steps", "features"};
    char name[LSTM__ONNX_NAME];
    const lstm__shape shape = layer->node->shapes[layer->port];
    const int64_t sequence[] = {0, shape.steps > 0 ? shape.steps : 0, shape.features};
    const int64_t vector[] = {0, shape.features};
    output_name(layer, name);
    lstm__onnx_put_port(&x->w, 12, name, LSTM__ONNX_FLOAT, shape.steps ? 3 : 2,
                        shape.steps ? sequence : vector, symbols);
    if (layer->node->class == &lstm__class_input)
        lstm__onnx_simple(x, NULL, "Identity", layer->node->name, NULL, name);
}

/* h0, c0 in; hn, cn out; of others than an LSTM h alone. */
static void put_states(lstm__onnx_export *x, const lstm__node *node, uint32_t field)
{
    static const char *const symbols[] = {"one", "batch", "units"};
    static const char *const forms[2][2] = {{"%s.h0", "%s.c0"}, {"%s.hn", "%s.cn"}};
    for (int k = 0; k < node->port_count - 1; k++) {
        const int64_t sizes[] = {1, 0, node->shapes[k + 1].features};
        char name[LSTM__ONNX_NAME];
        snprintf(name, sizeof name, forms[field == 12][k], node->name);
        lstm__onnx_put_port(&x->w, field, name, LSTM__ONNX_FLOAT, 3, sizes, symbols);
    }
}

const char *lstm__onnx_batch(lstm__onnx_export *x)
{
    char zero[32];
    char one[32];
    const lstm__node *input = NULL;
    for (size_t k = 0; k < x->model->node_count && !input; k++)
        if (x->model->nodes[k]->class == &lstm__class_input)
            input = x->model->nodes[k];
    if (x->has_batch || !input)
        return "batch:size";
    x->has_batch = true;
    lstm__onnx_put_integers(&x->w, zero, 1, (const int64_t[]){0}, 1);
    lstm__onnx_put_integers(&x->w, one, 1, (const int64_t[]){1}, 1);
    const char *inputs[] = {"batch:shape", zero, one, NULL};
    const char *outputs[] = {"batch:size", NULL};
    lstm__onnx_simple(x, NULL, "Shape", input->name, NULL, "batch:shape");
    lstm__onnx_node_open(&x->w, "Slice", NULL, inputs, outputs);
    lstm__onnx_node_close(&x->w);
    return "batch:size";
}

/* ---- The file */

static lstm_status put_graph(lstm__onnx_export *x)
{
    const lstm_model *model = x->model;
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input)
            RETURN_IF_ERROR(put_input(x, model->nodes[k]));
    for (size_t k = 0; k < model->node_count; k++)
        if (lstm__onnx_is_stateful(model->nodes[k]))
            put_states(x, model->nodes[k], 11);
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class != &lstm__class_input)
            RETURN_IF_ERROR(lstm__onnx_is_cell(node) ? lstm__onnx_export_cell(x, node)
                                                     : lstm__onnx_export_layer(x, node));
    }
    for (size_t k = 0; k < model->output_count; k++)
        put_output(x, model->outputs[k]);
    for (size_t k = 0; k < model->node_count; k++)
        if (lstm__onnx_is_stateful(model->nodes[k]))
            put_states(x, model->nodes[k], 12);
    lstm__put_text(&x->w.graph, 2, "liblstm");
    return lstm__message_check(&x->w.graph);
}

lstm_status lstm__onnx_save(const lstm_model *model, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__onnx_export x = {.model = model};
    lstm__message whole = {.context = model->context};
    lstm__message opset = {.context = model->context};
    lstm__writer *writer = NULL;
    lstm__onnx_writer_start(&x.w, model->context);
    TRY(lstm__onnx_find_masks(&x));
    TRY(put_graph(&x));
    lstm__put_number(&whole, 1, LSTM__ONNX_IR);
    lstm__put_text(&whole, 2, "liblstm");
    lstm__put_text(&whole, 3, lstm_version_string());
    lstm__put_message(&whole, 7, &x.w.graph);
    lstm__put_text(&opset, 1, "");
    lstm__put_number(&opset, 2, LSTM__ONNX_OPSET);
    lstm__put_message(&whole, 8, &opset);
    TRY(lstm__message_check(&whole));
    if (whole.size > INT32_MAX)
        FAIL(LSTM_ERROR_UNSUPPORTED,
             "an ONNX file of %zu bytes: a message of protocol buffers may have at most 2 GiB",
             whole.size);
    TRY(lstm__writer_open(&writer, model->context, path));
    TRY(lstm__writer_write(writer, whole.bytes, whole.size));
    TRY(lstm__writer_close(&writer));
out:
    lstm__writer_abort(writer);
    lstm__release(model->context, (void *)(uintptr_t)x.masks);
    lstm__message_end(&whole);
    lstm__message_end(&opset);
    lstm__onnx_writer_end(&x.w);
    return status;
}
