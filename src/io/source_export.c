/* SPDX-License-Identifier: MIT
 *
 * Writing a model as one file of C99: weights, a small kernel and two functions, without heap and
 * without anything but <math.h>, <stddef.h> and <string.h>.
 *
 *     PREFIX_run    a whole sequence, from the layers' first states
 *     PREFIX_start, PREFIX_step   a stream, one step a call; where every layer can work step by step
 *
 * The caller gives the memory, a struct whose size a comment states. Buffers of values are shared: a
 * buffer is free again behind the last layer that reads it. Compiled with -DPREFIX_TEST the file is a
 * program that runs the model on a small input and compares the outputs with those that the library
 * gave when the file was written.
 */
#include "source_parts.h"
#include "element.h"
#include "random.h"
#include "session.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 1024, STANDARD_STEPS = 64, MOST_STEPS = 1 << 20, TEST_STEPS = 7, STREAM = 11 };
#define TEST_LIMIT "1e-5f"

/* ---- Text */

void lstm__source_print(lstm__source *s, const char *format, ...)
{
    char line[LINE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (s->status == LSTM_OK && (length < 0 || length >= LINE))
        s->status = lstm__fail(LSTM_ERROR_UNSUPPORTED, "a line of source that is too long");
    if (s->status == LSTM_OK)
        s->status = lstm__writer_write(s->writer, line, (size_t)length);
}

void lstm__source_text(lstm__source *s, const char *text)
{
    while (*text && s->status == LSTM_OK) {
        const size_t plain = strcspn(text, "@");
        s->status = lstm__writer_write(s->writer, text, plain);
        text += plain;
        if (*text == '@') {
            lstm__source_print(s, "%s_", s->prefix);
            text++;
        }
    }
}

/* A number as a float constant of C. */
static void number(float value, char text[32])
{
    snprintf(text, 28, "%.9g", (double)value);
    if (!strpbrk(text, ".e"))
        strcat(text, ".0");
    strcat(text, "f");
}

void lstm__source_floats(lstm__source *s, const char *name, const float *values, size_t count)
{
    lstm__source_print(s, "static const float %s_%s[%zu] = {", s->prefix, name, count);
    size_t width = 100;
    for (size_t k = 0; k < count && s->status == LSTM_OK; k++) {
        char text[32];
        if (!isfinite(values[k]))
            s->status = lstm__fail(LSTM_ERROR_NUMERIC, "%s: value %zu is not finite", name, k);
        number(values[k], text);
        const size_t length = strlen(text) + 2;
        if (width + length > 96) {
            lstm__source_print(s, "\n   ");
            width = 3;
        }
        lstm__source_print(s, " %s%s", text, k + 1 < count ? "," : "");
        width += length;
    }
    lstm__source_print(s, "};\n");
    s->flash += count;
}

/* ---- Names */

static bool is_identifier(const char *text)
{
    if (!isalpha((unsigned char)text[0]) && text[0] != '_')
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    return true;
}

static lstm_status set_prefix(lstm__source *s, const char *prefix, const char *path)
{
    if (prefix) {
        if (strlen(prefix) >= LSTM__SOURCE_PREFIX / 2 || !is_identifier(prefix))
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "prefix \"%.80s\": expected letters, digits and '_', not beginning "
                              "with a digit, at most %d",
                              prefix, LSTM__SOURCE_PREFIX / 2 - 1);
        snprintf(s->prefix, sizeof s->prefix, "%s", prefix);
    } else {
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        const size_t length = strcspn(name, ".");
        size_t used = 0;
        if (length == 0 || isdigit((unsigned char)name[0]))
            s->prefix[used++] = 'm';
        for (size_t k = 0; k < length && used < LSTM__SOURCE_PREFIX / 2 - 1; k++)
            s->prefix[used++] = (char)(isalnum((unsigned char)name[k]) ? name[k] : '_');
        s->prefix[used] = 0;
    }
    for (size_t k = 0; s->prefix[k]; k++)
        s->capital[k] = (char)toupper((unsigned char)s->prefix[k]);
    return LSTM_OK;
}

/* A layer's name for a comment. */
static void print_name(lstm__source *s, const lstm__node *node)
{
    char text[LSTM__NAME_SIZE];
    size_t k = 0;
    for (; node->name[k] && k + 1 < sizeof text; k++)
        text[k] = (char)(isalnum((unsigned char)node->name[k]) || node->name[k] == '-' ||
                                 node->name[k] == '.' || node->name[k] == '_'
                             ? node->name[k]
                             : ' ');
    text[k] = 0;
    lstm__source_print(s, "%s \"%s\"", node->class->type, text);
}

/* ---- Memory */

static int64_t rows_of(const lstm__source *s, lstm__shape shape)
{
    return shape.steps < 0 ? s->max_steps : shape.steps == 0 ? 1 : shape.steps;
}

/* Whether a node's first value needs a buffer of its own. */
static bool has_buffer(const lstm__node *node)
{
    return node->class != &lstm__class_input && node->class != &lstm__class_learned_vector &&
           lstm__source_origin(&node->ports[0]) == &node->ports[0] &&
           !(lstm__source_is_cell(node) && node->shapes[0].steps == 0);
}

/* The last node that reads a node's first value; the number of nodes where it is an output. */
static size_t last_reader(const lstm_model *model, const lstm__node *node)
{
    size_t last = node->index;
    for (size_t k = node->index + 1; k < model->node_count; k++)
        for (int i = 0; i < model->nodes[k]->input_count; i++)
            if (lstm__source_origin(model->nodes[k]->inputs[i]) == &node->ports[0])
                last = k;
    for (size_t k = 0; k < model->output_count; k++)
        if (lstm__source_origin(model->outputs[k]) == &node->ports[0])
            last = model->node_count;
    return last;
}

static lstm_status share_buffers(lstm__source *s)
{
    const lstm_model *model = s->model;
    size_t *busy = lstm__allocate_array(model->context, model->node_count, sizeof *busy);
    s->slots = lstm__allocate_array(model->context, model->node_count, sizeof *s->slots);
    s->sizes = lstm__allocate_array(model->context, model->node_count, sizeof *s->sizes);
    if (!busy || !s->slots || !s->sizes) {
        lstm__release(model->context, busy);
        return lstm__fail_memory(model->node_count * sizeof *busy, "the buffers of C source");
    }
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        s->slots[k] = 0;
        if (!has_buffer(node))
            continue;
        size_t slot = 0;
        while (slot < s->slot_count && busy[slot] >= k)
            slot++;
        if (slot == s->slot_count)
            s->sizes[s->slot_count++] = 0;
        const int64_t size = rows_of(s, node->shapes[0]) * node->shapes[0].features;
        s->sizes[slot] = size > s->sizes[slot] ? size : s->sizes[slot];
        busy[slot] = last_reader(model, node);
        s->slots[k] = slot + 1;
    }
    lstm__release(model->context, busy);
    return LSTM_OK;
}

static void put_memory(lstm__source *s)
{
    int64_t total = 0;
    int64_t scratch = 0;
    lstm__source_print(s, "typedef struct %s_memory {\n", s->prefix);
    for (size_t k = 0; k < s->slot_count; k++) {
        lstm__source_print(s, "    float b%zu[%" PRId64 "];\n", k, s->sizes[k]);
        total += s->sizes[k];
    }
    for (size_t k = 0; k < s->model->node_count; k++) {
        const lstm__node *node = s->model->nodes[k];
        if (node->class == &lstm__class_bidirectional && node->port_count > 1) {
            const int64_t size = rows_of(s, node->shapes[1]) * node->shapes[1].features;
            lstm__source_print(s, "    float o%zu[%" PRId64 "];\n", k, size);
            total += size;
        }
        total += lstm__source_attention_memory(s, node);
        if (!lstm__source_is_cell(node))
            continue;
        for (int port = 1; port < node->port_count; port++) {
            lstm__source_print(s, "    float %c%zu[%" PRId64 "];\n", port == 1 ? 'h' : 'c', k,
                               node->shapes[port].features);
            total += node->shapes[port].features;
        }
        scratch = lstm__source_scratch(node) > scratch ? lstm__source_scratch(node) : scratch;
    }
    if (scratch > 0 || total == 0)
        lstm__source_print(s, "    float a[%" PRId64 "];\n", scratch > 0 ? scratch : 1);
    lstm__source_print(s, "} %s_memory; /* RAM: %" PRId64 " bytes */\n\n", s->prefix,
                       4 * (total + (scratch > 0 || total == 0 ? (scratch > 0 ? scratch : 1) : 0)));
}

/* ---- Functions */

/* Whether every layer works step by step. */
static const char *why_not_stepwise(const lstm_model *model)
{
    size_t inputs = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        inputs += node->class == &lstm__class_input;
        if (node->class == &lstm__class_input && (node->shapes[0].steps == 0 || inputs > 1))
            return "an input is a vector, or there are several";
        if (node->class == &lstm__class_bidirectional || node->class == &lstm__class_reverse ||
            lstm__source_is_attention(node) || node->class == &lstm__class_conv1d ||
            node->class == &lstm__class_max_pooling ||
            node->class == &lstm__class_average_pooling ||
            node->class == &lstm__class_global_average_pooling ||
            node->class == &lstm__class_global_max_pooling ||
            node->class == &lstm__class_repeat_vector || node->class == &lstm__class_reshape ||
            node->class == &lstm__class_flatten)
            return "a layer looks at other steps than the present one";
        for (const lstm__option *o = node->class->options; o->key; o++)
            if (strcmp(o->key, "go_backwards") == 0 && o->kind == LSTM__OPTION_FLAG &&
                *(const int32_t *)(const void *)((const char *)node->options + o->offset) ==
                    LSTM_YES)
                return "a layer goes backwards";
        for (int i = 1; lstm__source_is_cell(node) && i < node->input_count; i++)
            if (node->inputs[i]->node->class != &lstm__class_learned_vector)
                return "a first state depends on other layers";
    }
    return NULL;
}

static bool has_free_steps(const lstm_model *model)
{
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input && model->nodes[k]->shapes[0].steps < 0)
            return true;
    return false;
}

static void put_arguments(lstm__source *s)
{
    size_t inputs = 0;
    for (size_t k = 0; k < s->model->node_count; k++)
        if (s->model->nodes[k]->class == &lstm__class_input)
            lstm__source_print(s, ",%s const float *x%zu", inputs ? "" : "\n   ", inputs), inputs++;
    for (size_t k = 0; k < s->model->output_count; k++)
        lstm__source_print(s, ",%s float *y%zu", k ? "" : "\n   ", k);
    lstm__source_print(s, ")");
}

static void put_body(lstm__source *s)
{
    for (size_t k = 0; k < s->model->node_count; k++) {
        const lstm__node *node = s->model->nodes[k];
        if (node->class == &lstm__class_input || node->class == &lstm__class_learned_vector)
            continue;
        lstm__source_print(s, "    /* ");
        print_name(s, node);
        lstm__source_print(s, " */\n");
        lstm__source_node(s, node);
    }
    for (size_t k = 0; k < s->model->output_count; k++) {
        char value[LSTM__SOURCE_VALUE];
        char steps[32];
        const lstm_layer *layer = s->model->outputs[k];
        const lstm__shape shape = layer->node->shapes[layer->port];
        lstm__source_print(s, "    memcpy(y%zu, %s, %s * (size_t)%" PRId64 " * sizeof *y%zu);\n", k,
                           lstm__source_value(s, layer, value), lstm__source_steps(s, shape, steps),
                           shape.features, k);
    }
}

static void put_run(lstm__source *s)
{
    const bool free_steps = has_free_steps(s->model);
    lstm__source_print(s, "/* A whole sequence%s. Returns 0%s. */\n",
                       free_steps ? " of 1 to MAX_STEPS steps" : "",
                       free_steps ? ", or -1 for another number of steps" : "");
    lstm__source_print(s, "int %s_run(%s_memory *m%s", s->prefix, s->prefix,
                       free_steps ? ", size_t steps" : "");
    put_arguments(s);
    lstm__source_print(s, "\n{\n    size_t i = 0;\n    (void)i;\n    (void)m;\n");
    if (free_steps)
        lstm__source_print(s, "    if (steps < 1 || steps > %s_MAX_STEPS)\n        return -1;\n",
                           s->capital);
    s->stepping = false;
    put_body(s);
    lstm__source_print(s, "    return 0;\n}\n\n");
}

static void put_step(lstm__source *s)
{
    if (!s->streams) {
        lstm__source_print(s, "/* There is no step function: %s. */\n\n", s->why_not);
        return;
    }
    s->stepping = true;
    lstm__source_print(s, "/* Begin a stream. */\nvoid %s_start(%s_memory *m)\n{\n    (void)m;\n",
                       s->prefix, s->prefix);
    for (size_t k = 0; k < s->model->node_count; k++) {
        const lstm__node *node = s->model->nodes[k];
        for (int port = 1; lstm__source_is_cell(node) && port < node->port_count; port++) {
            char from[LSTM__SOURCE_VALUE];
            const char letter = port == 1 ? 'h' : 'c';
            if (node->input_count > port)
                lstm__source_print(s, "    memcpy(m->%c%zu, %s, sizeof m->%c%zu);\n", letter, k,
                                   lstm__source_value(s, node->inputs[port], from), letter, k);
            else
                lstm__source_print(s, "    memset(m->%c%zu, 0, sizeof m->%c%zu);\n", letter, k,
                                   letter, k);
        }
    }
    lstm__source_print(s,
                       "}\n\n/* The next step of a stream: one row of features in, one out. */\n"
                       "void %s_step(%s_memory *m",
                       s->prefix, s->prefix);
    put_arguments(s);
    lstm__source_print(s, "\n{\n    size_t i = 0;\n    (void)i;\n    (void)m;\n");
    put_body(s);
    lstm__source_print(s, "}\n\n");
    s->stepping = false;
}

/* ---- The test */

typedef struct test {
    const lstm_model *model;
    float **inputs, **outputs;
    size_t input_count;
    int64_t steps;
    float *block;
} test;

static size_t values_of(const test *t, lstm__shape shape)
{
    const int64_t rows = shape.steps < 0 ? t->steps : shape.steps == 0 ? 1 : shape.steps;
    return (size_t)(rows * shape.features);
}

/* How many tokens the Embeddings that read an input know; 0 = none reads it. */
static int64_t tokens_of(const lstm_model *model, const lstm__node *input)
{
    int64_t least = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class != &lstm__class_embedding || node->inputs[0]->node != input)
            continue;
        const int64_t own = ((const lstm_embedding_options *)node->options)->input_dim;
        least = least == 0 || own < least ? own : least;
    }
    return least;
}

static lstm_status lay_out(test *t)
{
    lstm_context *context = t->model->context;
    size_t total = 0;
    for (size_t k = 0; k < t->model->node_count; k++)
        if (t->model->nodes[k]->class == &lstm__class_input) {
            t->input_count++;
            total += values_of(t, t->model->nodes[k]->shapes[0]);
        }
    for (size_t k = 0; k < t->model->output_count; k++)
        total += values_of(t, t->model->outputs[k]->node->shapes[t->model->outputs[k]->port]);
    t->inputs = lstm__allocate_array(context, t->input_count + 1, sizeof *t->inputs);
    t->outputs = lstm__allocate_array(context, t->model->output_count + 1, sizeof *t->outputs);
    t->block = lstm__allocate_array(context, total + 1, sizeof *t->block);
    if (!t->inputs || !t->outputs || !t->block)
        return lstm__fail_memory(total * sizeof(float), "the test of C source");
    float *next = t->block;
    for (size_t k = 0, input = 0; k < t->model->node_count; k++) {
        const lstm__node *node = t->model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        const int64_t tokens = tokens_of(t->model, node);
        const size_t count = values_of(t, node->shapes[0]);
        for (size_t v = 0; v < count; v++) {
            const double u = lstm__random_uniform(0, STREAM + k, v);
            next[v] = tokens ? (float)(int64_t)(u * (double)tokens) : (float)(2 * u - 1);
        }
        t->inputs[input++] = next;
        next += count;
    }
    for (size_t k = 0; k < t->model->output_count; k++) {
        const lstm_layer *layer = t->model->outputs[k];
        t->outputs[k] = next;
        next += values_of(t, layer->node->shapes[layer->port]);
    }
    return LSTM_OK;
}

static lstm_status run_test(test *t)
{
    lstm_session *session = NULL;
    RETURN_IF_ERROR(lay_out(t));
    const lstm__batch batch = {.layout = LSTM_LAYOUT_BATCH_FIRST,
                               .samples = 1,
                               .steps = (size_t)t->steps,
                               .inputs = (const float *const *)t->inputs,
                               .count = 1};
    RETURN_IF_ERROR(lstm__session_create(&session, (lstm_model *)(uintptr_t)t->model, false, false,
                                         1, (size_t)t->steps, 0));
    lstm__session_forward(session, &batch);
    for (size_t k = 0; k < t->model->output_count; k++) {
        const lstm_layer *layer = t->model->outputs[k];
        lstm__session_export(session, layer->node->shapes[layer->port],
                             lstm__session_port(session, layer)->value, LSTM_LAYOUT_BATCH_FIRST,
                             t->outputs[k]);
    }
    lstm__session_destroy(session);
    return LSTM_OK;
}

static void end_test(test *t)
{
    lstm__release(t->model->context, t->inputs);
    lstm__release(t->model->context, t->outputs);
    lstm__release(t->model->context, t->block);
}

static const char test_compare[] =
    "static float @found[%zu], @worst;\n\n"
    "static void @compare(const float *expected, size_t count)\n"
    "{\n"
    "    size_t k;\n"
    "    for (k = 0; k < count; k++) {\n"
    "        const float size = fabsf(expected[k]);\n"
    "        const float error = fabsf(@found[k] - expected[k]) / (size > 1 ? size : 1);\n"
    "        if (!(error <= @worst))\n"
    "            @worst = error;\n"
    "    }\n"
    "}\n\n";

/* One call of the whole function for each output, so that one array is enough to compare. */
static void put_test_main(lstm__source *s, const test *t, size_t largest)
{
    const bool free_steps = has_free_steps(s->model);
    lstm__source_print(s,
                       "int main(void)\n{\n    static %s_memory m;\n    static float other[%zu];\n"
                       "    (void)other;\n",
                       s->prefix, largest);
    for (size_t k = 0; k < s->model->output_count; k++) {
        const lstm_layer *layer = s->model->outputs[k];
        lstm__source_print(s, "    if (%s_run(&m", s->prefix);
        if (free_steps)
            lstm__source_print(s, ", %" PRId64, t->steps);
        for (size_t i = 0; i < t->input_count; i++)
            lstm__source_print(s, ", %s_test_x%zu", s->prefix, i);
        for (size_t o = 0; o < s->model->output_count; o++)
            lstm__source_text(s, o == k ? ", @found" : ", other");
        lstm__source_print(s, ") != 0)\n        return 1;\n");
        lstm__source_print(s, "    %s_compare(%s_test_y%zu, %zu);\n", s->prefix, s->prefix, k,
                           values_of(t, layer->node->shapes[layer->port]));
    }
}

static void put_test_stream(lstm__source *s, const test *t)
{
    const lstm_layer *layer = s->model->outputs[0];
    const lstm__shape shape = layer->node->shapes[layer->port];
    const int64_t steps = (int64_t)(values_of(t, s->model->nodes[0]->shapes[0]) /
                                    (size_t)s->model->nodes[0]->shapes[0].features);
    if (!s->streams || s->model->nodes[0]->class != &lstm__class_input)
        return;
    lstm__source_print(s,
                       "    %s_start(&m);\n    {\n        size_t t;\n"
                       "        for (t = 0; t < %" PRId64 "; t++) {\n"
                       "            %s_step(&m, %s_test_x0 + t * %" PRId64,
                       s->prefix, steps, s->prefix, s->prefix,
                       s->model->nodes[0]->shapes[0].features);
    for (size_t o = 0; o < s->model->output_count; o++)
        lstm__source_print(s, ", %s%s", o ? "" : s->prefix, o ? "other" : "_found");
    lstm__source_print(s, ");\n            if (%d || t == %" PRId64 ")\n", shape.steps != 0,
                       steps - 1);
    lstm__source_print(
        s, "                %s_compare(%s_test_y0 + %s * %" PRId64 ", %" PRId64 ");\n", s->prefix,
        s->prefix, shape.steps != 0 ? "t" : "0", shape.features, shape.features);
    lstm__source_print(s, "        }\n    }\n");
}

static lstm_status put_test(lstm__source *s)
{
    lstm_status status = LSTM_OK;
    test t = {.model = s->model, .steps = s->max_steps < TEST_STEPS ? s->max_steps : TEST_STEPS};
    size_t largest = 1;
    char name[64];
    char text[sizeof test_compare + 32];
    TRY(run_test(&t));
    lstm__source_print(s, "#ifdef %s_TEST\n#include <stdio.h>\n\n", s->capital);
    const size_t flash = s->flash;
    for (size_t k = 0, input = 0; k < s->model->node_count; k++)
        if (s->model->nodes[k]->class == &lstm__class_input) {
            snprintf(name, sizeof name, "test_x%zu", input);
            lstm__source_floats(s, name, t.inputs[input++],
                                values_of(&t, s->model->nodes[k]->shapes[0]));
        }
    for (size_t k = 0; k < s->model->output_count; k++) {
        const lstm_layer *layer = s->model->outputs[k];
        const size_t count = values_of(&t, layer->node->shapes[layer->port]);
        snprintf(name, sizeof name, "test_y%zu", k);
        lstm__source_floats(s, name, t.outputs[k], count);
        largest = count > largest ? count : largest;
    }
    s->flash = flash;
    snprintf(text, sizeof text, test_compare, largest);
    lstm__source_text(s, text);
    put_test_main(s, &t, largest);
    put_test_stream(s, &t);
    lstm__source_print(s,
                       "    %s(\"%s: largest error %%g\\n\", (double)%s_worst);\n"
                       "    return %s_worst <= " TEST_LIMIT " ? 0 : 1;\n}\n#endif\n",
                       "printf", s->prefix, s->prefix, s->prefix);
    TRY(s->status);
out:
    end_test(&t);
    return status;
}

/* ---- The file */

/* The numbers in all parameters. */
static size_t constants_of(const lstm_model *model)
{
    size_t total = 0;
    for (size_t k = 0; k < model->parameter_count; k++)
        total += lstm__parameter_size(&model->parameters[k]);
    return total;
}

static void put_head(lstm__source *s)
{
    lstm__source_print(s,
                       "/* Written by liblstm %s from a model of these layers:\n"
                       "   (C99; needs nothing but the C library; no heap; a single sample)\n",
                       lstm_version_string());
    for (size_t k = 0; k < s->model->node_count; k++) {
        lstm__source_print(s, "       ");
        print_name(s, s->model->nodes[k]);
        lstm__source_print(s, "\n");
    }
    lstm__source_print(
        s,
        "   Arrays are [steps][features], or [features] for a vector. Tokens are floats.\n"
        "   Flash: %zu bytes of constants. RAM: sizeof(%s_memory), given by the caller.\n"
        "   -D%s_TEST makes a program of it that checks itself. */\n"
        "#include <math.h>\n#include <stddef.h>\n#include <string.h>\n\n",
        4 * constants_of(s->model), s->prefix, s->capital);
    if (has_free_steps(s->model))
        lstm__source_print(s, "#define %s_MAX_STEPS %" PRId64 "\n\n", s->capital, s->max_steps);
}

/* So that a file compiled with -Wmissing-prototypes is quiet, and as the place to copy from. */
static void put_prototypes(lstm__source *s)
{
    lstm__source_print(s,
                       "/* To be declared where they are called:%s */\nint %s_run(%s_memory *m%s",
                       has_free_steps(s->model) ? " steps are those of this sequence." : "",
                       s->prefix, s->prefix, has_free_steps(s->model) ? ", size_t steps" : "");
    put_arguments(s);
    lstm__source_print(s, ";\n");
    if (s->streams) {
        lstm__source_print(s, "void %s_start(%s_memory *m);\nvoid %s_step(%s_memory *m", s->prefix,
                           s->prefix, s->prefix, s->prefix);
        put_arguments(s);
        lstm__source_print(s, ";\n");
    }
    lstm__source_print(s, "\n");
}

static lstm_status prepare(lstm__source *s)
{
    for (size_t k = 0; k < s->model->node_count; k++)
        RETURN_IF_ERROR(lstm__source_need(s, s->model->nodes[k]));
    s->why_not = why_not_stepwise(s->model);
    s->streams = s->why_not == NULL;
    return share_buffers(s);
}

lstm_status lstm__source_save(const lstm_model *model, const char *path, const char *prefix,
                              int64_t max_steps)
{
    lstm_status status = LSTM_OK;
    lstm__source s = {.model = model, .max_steps = max_steps ? max_steps : STANDARD_STEPS};
    if (s.max_steps < 1 || s.max_steps > MOST_STEPS)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "max_steps is %lld: expected 1 to %d",
                          (long long)max_steps, (int)MOST_STEPS);
    RETURN_IF_ERROR(set_prefix(&s, prefix, path));
    TRY(prepare(&s));
    TRY(lstm__writer_open(&s.writer, model->context, path));
    put_head(&s);
    for (size_t k = 0; k < model->node_count; k++)
        TRY(lstm__source_constants(&s, model->nodes[k]));
    lstm__source_print(&s, "\n");
    lstm__source_kernel(&s);
    put_memory(&s);
    put_prototypes(&s);
    put_run(&s);
    put_step(&s);
    TRY(put_test(&s));
    TRY(s.status);
    TRY(lstm__writer_close(&s.writer));
out:
    lstm__writer_abort(s.writer);
    lstm__release(model->context, s.slots);
    lstm__release(model->context, s.sizes);
    return status;
}
