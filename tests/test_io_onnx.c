/* SPDX-License-Identifier: MIT
 *
 * ONNX files from the inside: memory that runs out anywhere, damage, external data that must stay in
 * its folder, what the note says of inputs and outputs, and messages. Files:
 * tests/fuzz/make_onnx_corpus.py, and small ones put together here.
 */
#include "graph.h"
#include "model_file.h"
#include "model_json.h"
#include "onnx_file.h"
#include "random.h"
#include "source_export.h"

#include "test_io_support.h"

#include <math.h>

static memory held;
static lstm_context *context;

static const char *const files[] = {"bidirectional.onnx", "zeros.onnx", "opset7.onnx",
                                    "layers.onnx",        "parts.onnx", "activations.onnx"};
/* C source has no activations with numbers */
enum { FILES = 6, IN_SOURCE = 5 };

static const char *kept(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/onnx/%s", LSTM_TESTS_DIR, name);
    return path;
}

static void test_memory_may_run_out_anywhere(void **state)
{
    (void)state;
    for (size_t k = 0; k < FILES; k++)
        for (long allowed = 0;; allowed++) {
            lstm_model *model = NULL;
            held.allowed = allowed;
            held.failed = false;
            const size_t before = held.blocks;
            const lstm_status status = lstm__model_load(&model, context, kept(files[k]));
            held.allowed = -1;
            if (!held.failed) {
                assert_int_equal(status, LSTM_OK);
                lstm__graph_release(model);
                assert_int_equal(held.blocks, before);
                break;
            }
            assert_int_equal(status, LSTM_ERROR_MEMORY);
            assert_null(model);
            assert_int_equal(held.blocks, before);
        }
}

/* Neither a file nor memory is left behind, whichever allocation fails. */
static void write_without_memory(const lstm_model *model, const char *path, bool source)
{
    for (long allowed = 0;; allowed++) {
        unlink(path);
        held.allowed = allowed;
        held.failed = false;
        const size_t before = held.blocks;
        const lstm_status status = source ? lstm__source_save(model, path, NULL, 8)
                                          : lstm__onnx_save(model, path);
        held.allowed = -1;
        assert_int_equal(held.blocks, before);
        assert_int_equal(status, held.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
        assert_int_equal(access(path, F_OK), held.failed ? -1 : 0);
        if (!held.failed)
            return;
    }
}

static void test_memory_may_run_out_while_a_model_is_written(void **state)
{
    (void)state;
    for (size_t k = 0; k < FILES; k++) {
        lstm_model *model = NULL;
        assert_works(lstm__model_load(&model, context, kept(files[k])));
        write_without_memory(model, "written.onnx", false);
        if (k < IN_SOURCE)
            write_without_memory(model, "written.c", true);
        lstm__graph_release(model);
    }
}

/* A loop with everything that may stand in it, masks, and both kinds of attention. */
static void test_memory_may_run_out_while_a_loop_is_written(void **state)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]}, "
        "{\"type\": \"Masking\", \"name\": \"m\"}, "
        "{\"type\": \"LSTM\", \"name\": \"a\", \"units\": 3, \"return_sequences\": true, "
        "\"proj_size\": 2, \"peepholes\": true, \"cell_clip\": 1, \"zoneout_h\": 0.5}, "
        "{\"type\": \"GRU\", \"name\": \"b\", \"units\": 2, \"return_sequences\": true, "
        "\"reset_after\": false, \"go_backwards\": true}, "
        "{\"type\": \"Attention\", \"name\": \"c\", \"inputs\": [\"a\", \"b\"], "
        "\"use_causal_mask\": true}, "
        "{\"type\": \"MultiHeadAttention\", \"inputs\": [\"c\", \"m\"], \"num_heads\": 2, "
        "\"key_dim\": 1}, {\"type\": \"LSTM\", \"units\": 2, \"layer_norm\": \"tf\"}, "
        "{\"type\": \"Dense\", \"units\": 1}]}";
    lstm_model *model = NULL;
    (void)state;
    assert_works(lstm__model_from_json(&model, context, text, strlen(text)));
    write_without_memory(model, "written.onnx", false);
    lstm__graph_release(model);
}

/* A few bytes changed at once, which the single bits of fuzz_onnx do not reach. */
static void test_damaged_files_are_refused_or_finite(void **state)
{
    enum { RUNS = 10000, SEED = 20 };
    size_t loaded = 0;
    (void)state;
    print_message("seed %d\n", SEED);
    for (size_t k = 0; k < FILES; k++) {
        size_t size = 0;
        unsigned char *const original = read_file(kept(files[k]), &size);
        unsigned char *const damaged = malloc(size);
        assert_non_null(damaged);
        for (uint64_t run = 0; run < RUNS / FILES; run++) {
            lstm_model *model = NULL;
            char name[] = "damaged.onnx";
            memcpy(damaged, original, size);
            for (uint64_t change = 0; change < 1 + run % 4; change++) {
                const uint64_t at = 8 * run + 2 * change;
                damaged[lstm__random_below(SEED, k, at, size)] = (unsigned char)lstm__random_below(
                    SEED, k, at + 1, 256);
            }
            const lstm__file file = {
                .context = context, .name = name, .bytes = damaged, .size = size};
            const size_t before = held.blocks;
            if (lstm__onnx_load(&model, context, &file) == LSTM_OK) {
                for (size_t v = 0; v < model->value_count; v++)
                    assert_true(isfinite(model->values[v]));
                lstm__graph_release(model);
                loaded++;
            } else {
                assert_null(model);
            }
            assert_int_equal(held.blocks, before);
        }
        free(damaged);
        free(original);
    }
    assert_true(loaded < RUNS / 2); /* changes of weights stay models */
}

/* ---- Files put together here */

typedef struct message {
    unsigned char bytes[8192];
    size_t size;
} message;

static void put_varint(message *m, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        m->bytes[m->size++] = (unsigned char)(value | 128);
    m->bytes[m->size++] = (unsigned char)value;
    assert_true(m->size < sizeof m->bytes - 16);
}

static void put_number(message *m, uint64_t field, uint64_t value)
{
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void put_bytes(message *m, uint64_t field, const void *source, size_t size)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, size);
    assert_true(size < sizeof m->bytes - m->size);
    memcpy(m->bytes + m->size, source, size);
    m->size += size;
}

static void put_text(message *m, uint64_t field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

static void put_message(message *m, uint64_t field, const message *part)
{
    put_bytes(m, field, part->bytes, part->size);
}

static void put_port(message *graph, uint64_t field, const char *name, size_t rank,
                     const uint64_t *sizes)
{
    message port = {.size = 0};
    message type = {.size = 0};
    message tensor = {.size = 0};
    message shape = {.size = 0};
    for (size_t k = 0; k < rank; k++) {
        message dimension = {.size = 0};
        if (sizes[k])
            put_number(&dimension, 1, sizes[k]);
        else
            put_text(&dimension, 2, k == 0 ? "first" : "second");
        put_message(&shape, 1, &dimension);
    }
    put_number(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&port, 1, name);
    put_message(&port, 2, &type);
    put_message(graph, field, &port);
}

/* A matrix [1][2][2] for RNN, in the model or beside it. */
static void put_matrix(message *graph, const char *name, const char *location, const char *offset)
{
    static const float values[4] = {0.5f, 0.25f, -0.5f, 1};
    message tensor = {.size = 0};
    put_number(&tensor, 1, 1);
    put_number(&tensor, 1, 2);
    put_number(&tensor, 1, 2);
    put_number(&tensor, 2, 1);
    put_text(&tensor, 8, name);
    if (location) {
        const char *const entries[][2] = {{"location", location}, {"offset", offset}};
        for (size_t k = 0; k < 2; k++) {
            message entry = {.size = 0};
            put_text(&entry, 1, entries[k][0]);
            put_text(&entry, 2, entries[k][1]);
            put_message(&tensor, 13, &entry);
        }
        put_number(&tensor, 14, 1);
    } else {
        put_bytes(&tensor, 9, values, sizeof values);
    }
    put_message(graph, 5, &tensor);
}

static void put_node(message *graph, const char *op, const char *const *inputs, const char *output,
                     const message *attributes, size_t count)
{
    message node = {.size = 0};
    for (; *inputs; inputs++)
        put_text(&node, 1, *inputs);
    put_text(&node, 2, output);
    put_text(&node, 3, "the node");
    put_text(&node, 4, op);
    for (size_t k = 0; k < count; k++)
        put_message(&node, 5, &attributes[k]);
    put_message(graph, 1, &node);
}

/* Opset 14; `graph` has everything but inputs and outputs. */
static void write_graph(const char *path, message *graph, uint64_t features)
{
    message model = {.size = 0};
    message opset = {.size = 0};
    put_text(graph, 2, "graph");
    put_port(graph, 11, "x", 3, (const uint64_t[]){0, 0, features});
    put_port(graph, 12, "y", 4, (const uint64_t[]){0, 1, 0, 2});
    put_number(&opset, 2, 14);
    put_number(&model, 1, 8);
    put_message(&model, 7, graph);
    put_message(&model, 8, &opset);
    write_file(path, model.bytes, model.size);
}

static const char *const cell_inputs[] = {"x", "W", "R", NULL};

/* x -> op (W, R) -> y */
static void write_cell(const char *path, const char *op, const message *attributes, size_t count,
                       const char *location, const char *offset)
{
    message graph = {.size = 0};
    put_node(&graph, op, cell_inputs, "y", attributes, count);
    put_matrix(&graph, "W", location, offset);
    put_matrix(&graph, "R", NULL, NULL);
    write_graph(path, &graph, 2);
}

/* The same with one attribute, which is the number 1. */
static void write_model(const char *path, const char *op, const char *attribute,
                        const char *location, const char *offset)
{
    message a = {.size = 0};
    if (attribute) {
        put_text(&a, 1, attribute);
        put_number(&a, 3, 1);
    }
    write_cell(path, op, &a, attribute != NULL, location, offset);
}

static void expect_refusal(const char *path, lstm_status expected, const char *text)
{
    lstm_model *model = NULL;
    const lstm_status status = lstm__model_load(&model, context, path);
    if (status != expected || !strstr(lstm_last_error(), text))
        fail_msg("%s: %s: %s; expected %s and \"%s\"", path, lstm_status_name(status),
                 lstm_last_error(), lstm_status_name(expected), text);
    assert_null(model);
}

static void test_external_data_stays_in_the_folder(void **state)
{
    static const float values[6] = {9, 9, 1, 2, 3, 4};
    (void)state;
    lstm_model *model = NULL;
    write_file("weights.bin", values, sizeof values);
    write_model("outside.onnx", "RNN", NULL, "weights.bin", "8");
    assert_works(lstm__model_load(&model, context, "outside.onnx"));
    /* kernel (I, H) of rows W (H, I) */
    const size_t kernel = lstm__graph_find_parameter(model, "the node/kernel");
    assert_true(kernel < model->parameter_count);
    float found[4];
    lstm__parameter_read(&model->parameters[kernel], model->values, found);
    assert_true(found[0] == 1 && found[1] == 3 && found[2] == 2 && found[3] == 4);
    lstm__graph_release(model);
    write_model("outside.onnx", "RNN", NULL, "weights.bin", "12");
    expect_refusal("outside.onnx", LSTM_ERROR_FORMAT, "from offset 12 on");
    write_model("outside.onnx", "RNN", NULL, "missing.bin", "0");
    expect_refusal("outside.onnx", LSTM_ERROR_IO, "missing.bin");
    static const char *const places[] = {
        "../weights.bin", "/etc/passwd", "..", ".", "a/b", "a\\b", ""};
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        write_model("outside.onnx", "RNN", NULL, places[k], "0");
        expect_refusal("outside.onnx", LSTM_ERROR_UNSUPPORTED, "in the model's own folder");
    }
    unlink("link.bin");
    assert_int_equal(symlink("weights.bin", "link.bin"), 0);
    write_model("outside.onnx", "RNN", NULL, "link.bin", "0");
    expect_refusal("outside.onnx", LSTM_ERROR_IO, "link.bin");
    write_model("outside.onnx", "RNN", NULL, "weights.bin", "99999999999999999999999");
    expect_refusal("outside.onnx", LSTM_ERROR_FORMAT, "offset");
}

static void test_messages_name_operator_node_and_attribute(void **state)
{
    (void)state;
    write_model("named.onnx", "NonMaxSuppression", NULL, NULL, NULL);
    expect_refusal("named.onnx", LSTM_ERROR_UNSUPPORTED, "NonMaxSuppression \"the node\"");
    write_model("named.onnx", "RNN", "colour", NULL, NULL);
    expect_refusal("named.onnx", LSTM_ERROR_UNSUPPORTED, "\"colour\"");
    write_model("named.onnx", "LSTM", NULL, NULL, NULL);
    expect_refusal("named.onnx", LSTM_ERROR_SHAPE, "W has shape ( 1,  2,  2): expected (1, 8, 2)");
}

/* An attribute of texts, or of floats. */
static message texts(const char *name, const char *text)
{
    message a = {.size = 0};
    put_text(&a, 1, name);
    put_text(&a, 9, text);
    put_number(&a, 20, 8);
    return a;
}
static message floats(const char *name, size_t count, const float *values)
{
    message a = {.size = 0};
    put_text(&a, 1, name);
    put_bytes(&a, 7, values, count * sizeof *values);
    put_number(&a, 20, 6);
    return a;
}

static void test_activations_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t counts[2];
        float alpha, beta;
        const char *text;
    } cases[] = {
        {"Swish", {0, 0}, 0, 0, "\"Swish\" is not in this version"},
        {"Exp", {0, 0}, 0, 0, "\"Exp\" is not in this version"},
        {"Affine", {0, 0}, 0, 0, "Affine without activation_alpha: ONNX Runtime takes 0"},
        {"ThresholdedRelu", {0, 0}, 0, 0, "ThresholdedRelu without activation_alpha"},
        {"ScaledTanh", {1, 0}, 0.5f, 0, "ScaledTanh without activation_beta"},
        {"Affine", {1, 1}, 0, 1, "is the same for every argument"},
        {"ScaledTanh", {1, 1}, 1, 0, "is the same for every argument"},
        {"HardSigmoid", {1, 1}, 0, 0.5f, "is the same for every argument"},
        {"LeakyRelu", {1, 0}, -0.5f, 0, "alpha -0.5 and beta 0: expected no negative number"},
        {"Elu", {1, 0}, -1, 0, "expected no negative number"},
        {"ThresholdedRelu", {1, 0}, -1, 0, "expected no negative number"},
        {"Affine", {1, 1}, INFINITY, 0, "expected finite numbers"},
        {"HardSigmoid", {1, 1}, 1, NAN, "expected finite numbers"},
        {"Elu", {9, 0}, 1, 0, "more than 8 entries"},
        {"Elu", {0, 9}, 1, 0, "more than 8 entries"},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float numbers[2][9];
        for (size_t n = 0; n < 9; n++) {
            numbers[0][n] = cases[k].alpha;
            numbers[1][n] = cases[k].beta;
        }
        const message attributes[] = {texts("activations", cases[k].name),
                                      floats("activation_alpha", cases[k].counts[0], numbers[0]),
                                      floats("activation_beta", cases[k].counts[1], numbers[1])};
        write_cell("refused.onnx", "RNN", attributes, 3, NULL, NULL);
        expect_refusal("refused.onnx",
                       cases[k].counts[0] > 8 || cases[k].counts[1] > 8 ? LSTM_ERROR_FORMAT
                                                                        : LSTM_ERROR_UNSUPPORTED,
                       cases[k].text);
    }
    const message wrong[] = {floats("activations", 1, (const float[]){1})};
    write_cell("refused.onnx", "RNN", wrong, 1, NULL, NULL);
    expect_refusal("refused.onnx", LSTM_ERROR_FORMAT, "activations");
}

static void test_activations_become_ours_with_their_numbers(void **state)
{
    lstm_model *model = NULL;
    const lstm_lstm_options *first = NULL;
    const lstm_lstm_options *second = NULL;
    (void)state;
    assert_works(lstm__model_load(&model, context, kept("activations.onnx")));
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_lstm)
            *(first ? &second : &first) = model->nodes[k]->options;
    assert_true(first && second);
    assert_int_equal(first->recurrent_activation, LSTM_ACTIVATION_HARD_SIGMOID);
    assert_true(first->recurrent_activation_alpha == 0.25f &&
                first->recurrent_activation_beta == 0.375f);
    assert_int_equal(first->activation, LSTM_ACTIVATION_RELU);
    assert_true(first->activation_alpha == 0.5f && first->activation_beta == 0);
    assert_int_equal(first->output_activation, LSTM_ACTIVATION_TANH);
    assert_true(first->output_activation_alpha == 1.5f && first->output_activation_beta == 0.75f);
    assert_int_equal(second->recurrent_activation, LSTM_ACTIVATION_LINEAR);
    assert_true(second->recurrent_activation_alpha == 0.25f &&
                second->recurrent_activation_beta == 0.5f);
    assert_int_equal(second->activation, LSTM_ACTIVATION_ELU);
    assert_true(second->activation_alpha == 0.75f);
    assert_int_equal(second->output_activation, LSTM_ACTIVATION_RELU);
    assert_true(second->output_activation_alpha == 0 && second->output_activation_beta == 0.125f);
    lstm__graph_release(model);
}

/* Every parameter of a cell, none of them 0, comes back from a file to the bit. */
static void test_parameters_of_a_cell_are_written_and_read_again(void **state)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]}, {\"type\": \"LSTM\", "
        "\"name\": \"l\", \"units\": 3, \"peepholes\": true}]}";
    static const char *const names[] = {"l/kernel", "l/recurrent_kernel", "l/bias",
                                        "l/peephole_kernel"};
    lstm_model *models[2] = {NULL, NULL};
    (void)state;
    assert_works(lstm__model_from_json(&models[0], context, text, strlen(text)));
    for (size_t k = 0; k < models[0]->value_count; k++)
        models[0]->values[k] = (float)(k + 1) / 64;
    lstm__graph_changed(models[0]);
    assert_works(lstm__onnx_save(models[0], "cell.onnx"));
    assert_works(lstm__model_load(&models[1], context, "cell.onnx"));
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        float values[2][64] = {{0}, {0}};
        for (size_t m = 0; m < 2; m++) {
            const size_t at = lstm__graph_find_parameter(models[m], names[k]);
            assert_true(at < models[m]->parameter_count);
            assert_true(lstm__parameter_size(&models[m]->parameters[at]) <= 64);
            lstm__parameter_read(&models[m]->parameters[at], models[m]->values, values[m]);
        }
        assert_memory_equal(values[0], values[1], sizeof values[0]);
    }
    lstm__graph_release(models[0]);
    lstm__graph_release(models[1]);
}

static void test_features_that_are_a_symbol_are_those_of_the_weights(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        lstm_model *model = NULL;
        message graph = {.size = 0};
        put_node(&graph, behind ? "Tanh" : "Identity", (const char *const[]){"x", NULL}, "t", NULL,
                 0);
        put_node(&graph, "RNN", (const char *const[]){"t", "W", "R", NULL}, "y", NULL, 0);
        put_matrix(&graph, "W", NULL, NULL);
        put_matrix(&graph, "R", NULL, NULL);
        write_graph("symbol.onnx", &graph, 0);
        assert_works(lstm__model_load(&model, context, "symbol.onnx"));
        assert_int_equal(model->nodes[0]->shapes[0].features, 2);
        lstm__graph_release(model);
    }
    message graph = {.size = 0};
    put_node(&graph, "Tanh", (const char *const[]){"x", NULL}, "y", NULL, 0);
    write_graph("symbol.onnx", &graph, 0);
    expect_refusal("symbol.onnx", LSTM_ERROR_UNSUPPORTED, "(features) is free: expected a number");
}

/* int64 numbers as a constant of the graph. */
static void put_shape(message *graph, const char *name, size_t rank, const int64_t *sizes)
{
    message tensor = {.size = 0};
    put_number(&tensor, 1, rank);
    put_number(&tensor, 2, 7);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, sizes, rank * sizeof *sizes);
    put_message(graph, 5, &tensor);
}

/* A file of a few hundred bytes whose weights are one number everywhere, or are made by Expand. */
static void test_shapes_in_a_file_cannot_ask_for_memory(void **state)
{
    enum { UNITS = 1 << 20, FEATURES = 1 << 10 };
    (void)state;
    for (int expands = 0; expands < 2; expands++) {
        const char *const shape[] = {"shape", NULL};
        const char *const both[] = {"R", "shape", NULL};
        message graph = {.size = 0};
        put_shape(
            &graph, "shape", 3,
            (const int64_t[]){expands ? 1 << 24 : 1, expands ? 2 : UNITS, expands ? 2 : FEATURES});
        put_matrix(&graph, "R", NULL, NULL);
        put_node(&graph, expands ? "Expand" : "ConstantOfShape", expands ? both : shape, "W", NULL,
                 0);
        put_shape(&graph, "square", 3, (const int64_t[]){1, UNITS, UNITS});
        put_node(&graph, "ConstantOfShape", (const char *const[]){"square", NULL}, "U", NULL, 0);
        put_node(&graph, "RNN", (const char *const[]){"x", "W", "U", NULL}, "y", NULL, 0);
        write_graph("large.onnx", &graph, FEATURES);
        const size_t before = held.now;
        held.peak = before;
        expect_refusal("large.onnx", LSTM_ERROR_UNSUPPORTED,
                       expands ? "elements is made" : "bytes are made");
        assert_true(held.peak - before < 1 << 20);
        assert_int_equal(held.now, before);
    }
}

static void test_the_note_tells_names_and_axes(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    assert_works(lstm__model_load(&model, context, kept("bidirectional.onnx")));
    const char *note = lstm__graph_note(model, "onnx.ports");
    assert_non_null(note);
    assert_non_null(strstr(note, "\"name\":\"h0\",\"axes\":\"PBF\",\"index\":1,\"parts\":2"));
    assert_non_null(strstr(note, "\"name\":\"n\",\"lengths\":true"));
    assert_non_null(strstr(note, "\"name\":\"y\",\"axes\":\"TBF\""));
    assert_int_equal(model->output_count, 3);
    lstm__graph_release(model);
}

static int start(void **state)
{
    (void)state;
    context = counted_context(&held);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lstm_context_destroy(context);
    assert_int_equal(held.blocks, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_may_run_out_anywhere),
        cmocka_unit_test(test_memory_may_run_out_while_a_model_is_written),
        cmocka_unit_test(test_memory_may_run_out_while_a_loop_is_written),
        cmocka_unit_test(test_damaged_files_are_refused_or_finite),
        cmocka_unit_test(test_external_data_stays_in_the_folder),
        cmocka_unit_test(test_messages_name_operator_node_and_attribute),
        cmocka_unit_test(test_activations_that_cannot_be_are_refused),
        cmocka_unit_test(test_activations_become_ours_with_their_numbers),
        cmocka_unit_test(test_parameters_of_a_cell_are_written_and_read_again),
        cmocka_unit_test(test_features_that_are_a_symbol_are_those_of_the_weights),
        cmocka_unit_test(test_shapes_in_a_file_cannot_ask_for_memory),
        cmocka_unit_test(test_the_note_tells_names_and_axes),
    };
    return cmocka_run_group_tests(tests, start, end);
}
