/* SPDX-License-Identifier: MIT
 *
 * Files of torch.save from the inside. Fixtures: tests/fuzz/make_torch_corpus.py, written by the
 * real PyTorch; value k of n of a tensor is (k - n / 2) / 2. Pickles that do more than build tensors
 * are put together here, byte by byte.
 */
#include "model_file.h"
#include "model_json.h"
#include "profile_convert.h"
#include "torch_export.h"
#include "torch_layers.h"
#include "zip_archive.h"

#include "test_io_support.h"

#include <math.h>

static memory held;
static lstm_context *context;

static const char *kept(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/torch/%s", LSTM_TESTS_DIR, name);
    return path;
}

static float value_of(size_t k, size_t count)
{
    return ((float)k - (float)(count / 2)) / 2;
}

typedef struct opened {
    lstm__file file;
    lstm__torch_file tensors;
} opened;

static void open_kept(opened *o, const char *name)
{
    assert_works(lstm__file_open(&o->file, context, kept(name)));
    assert_works(lstm__torch_open(&o->tensors, &o->file));
}

static void close_opened(opened *o)
{
    lstm__torch_close(&o->tensors);
    lstm__file_close(&o->file);
}

static void check_tensor(const opened *o, const char *name, size_t count, const float *expected)
{
    float values[16];
    size_t k = 0;
    while (k < o->tensors.count && strcmp(o->tensors.tensors[k].name, name) != 0)
        k++;
    assert_true(k < o->tensors.count);
    const lstm__torch_tensor *const t = &o->tensors.tensors[k];
    assert_int_equal(t->count, count);
    lstm__torch_floats(t, values);
    for (size_t v = 0; v < count; v++)
        if (values[v] != expected[v])
            fail_msg("%s[%zu] is %g, expected %g", name, v, (double)values[v], (double)expected[v]);
}

static void test_every_kind_stride_and_offset_is_read(void **state)
{
    (void)state;
    opened o;
    float block[12];
    float transposed[12];
    open_kept(&o, "kinds.pt");
    for (size_t k = 0; k < 12; k++) {
        block[k] = value_of(k, 12);
        transposed[k] = value_of(k % 4 * 3 + k / 4, 12);
    }
    assert_int_equal(o.tensors.count, 13);
    check_tensor(&o, "shared", 12, block);
    check_tensor(&o, "transposed", 12, transposed);
    check_tensor(&o, "column", 4, (float[]){block[1], block[4], block[7], block[10]});
    check_tensor(&o, "part", 4, (float[]){block[4], block[5], block[7], block[8]});
    check_tensor(&o, "half", 3, (float[]){-0.5f, 0, 0.5f});
    check_tensor(&o, "bfloat", 3, (float[]){-0.5f, 0, 0.5f});
    check_tensor(&o, "double", 3, (float[]){-0.5f, 0, 0.5f});
    check_tensor(&o, "long", 3, (float[]){-3, 0, 7});
    check_tensor(&o, "byte", 2, (float[]){0, 255});
    check_tensor(&o, "bool", 2, (float[]){1, 0});
    check_tensor(&o, "scalar", 1, (float[]){1.5f});
    check_tensor(&o, "none", 0, NULL);
    check_tensor(&o, "expanded", 3, (float[]){2, 2, 2});
    close_opened(&o);
}

static void test_all_forms_of_one_state_dict_are_equal(void **state)
{
    static const char *const files[] = {"lstm.pt", "legacy.pt", "deflated.pt", "checkpoint.pt",
                                        "parameters.pt"};
    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        lstm_model *model = NULL;
        assert_works(lstm__model_load(&model, context, kept(files[k])));
        assert_int_equal(model->parameter_count, 4);
        assert_string_equal(model->parameters[0].name, "weight_ih_l0");
        for (size_t p = 0; p < 4; p++) {
            float values[4];
            lstm__parameter_read(&model->parameters[p], model->values, values);
            for (size_t v = 0; v < 4; v++)
                assert_true(values[v] == value_of(v, 4));
        }
        assert_string_equal(lstm__graph_note(model, "lstm.layout"), "time_first");
        lstm__graph_release(model);
    }
}

static void test_a_row_of_modules_is_put_in_order(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    assert_works(lstm__model_load(&model, context, kept("row.pt")));
    static const char *const types[] = {
        "Input",         "Embedding",          "GRU",  "GRU", "Bidirectional", "GRU", "GRU",
        "Bidirectional", "LayerNormalization", "Dense"};
    assert_int_equal(model->node_count, 10);
    for (size_t k = 0; k < 10; k++)
        assert_string_equal(model->nodes[k]->class->type, types[k]);
    const size_t last = lstm__graph_find_parameter(model, "module.rnn.weight_hh_l1_reverse");
    assert_true(last < model->parameter_count);
    float values[3];
    lstm__parameter_read(&model->parameters[last], model->values, values);
    for (size_t k = 0; k < 3; k++)
        assert_true(values[k] == value_of(k, 3));
    lstm__graph_release(model);
}

/* ---- What is refused */

static void test_what_is_more_than_tensors_is_refused_by_name(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    assert_fails(lstm__model_load(&model, context, kept("asks.pt")), LSTM_ERROR_UNSUPPORTED,
                 "the pickle asks for __builtin__.eval: only tensors");
    assert_fails(lstm__model_load(&model, context, kept("pickle.pt")), LSTM_ERROR_UNSUPPORTED,
                 "the pickle asks for __builtin__.eval");
    assert_fails(lstm__model_load(&model, context, kept("module.pt")), LSTM_ERROR_UNSUPPORTED,
                 "torch.nn.modules.linear.Linear");
    assert_fails(lstm__model_load(&model, context, kept("tensor.pt")), LSTM_ERROR_FORMAT,
                 "holds a tensor: expected a state dict");
    assert_fails(lstm__model_load(&model, context, kept("kinds.pt")), LSTM_ERROR_UNSUPPORTED,
                 "tensor \"transposed\" [3, 4]: of no module");
    assert_null(model);
}

/* Run one pickle. */
static lstm_status run_pickle(const void *pickle, size_t size)
{
    lstm__torch_file tensors;
    char name[] = "p.pt";
    const lstm__file file = {.context = context,
                             .name = name,
                             .bytes = (unsigned char *)(uintptr_t)pickle,
                             .size = size};
    const lstm_status status = lstm__torch_open(&tensors, &file);
    if (status == LSTM_OK)
        lstm__torch_close(&tensors);
    return status;
}
#define RUN(text) run_pickle("\x80\x02" text, sizeof("\x80\x02" text) - 1)

static void test_instructions_that_build_objects_are_refused_by_name(void **state)
{
    (void)state;
    assert_fails(RUN("]\x81."), LSTM_ERROR_UNSUPPORTED, "offset 3: the pickle instruction NEWOBJ");
    assert_fails(RUN("(ios\nsystem\n."), LSTM_ERROR_UNSUPPORTED, "instruction INST is not allowed");
    assert_fails(RUN("(o."), LSTM_ERROR_UNSUPPORTED, "instruction OBJ");
    assert_fails(RUN("\x82\x01."), LSTM_ERROR_UNSUPPORTED, "instruction EXT1");
    assert_fails(RUN("Pid\n."), LSTM_ERROR_UNSUPPORTED, "instruction PERSID");
    assert_fails(RUN("\x92."), LSTM_ERROR_UNSUPPORTED, "instruction NEWOBJ_EX");
    assert_fails(RUN("\x8c\x02os\x8c\x06system\x93."), LSTM_ERROR_UNSUPPORTED, "os.system");
    assert_fails(RUN("cos\nsystem\n."), LSTM_ERROR_UNSUPPORTED, "asks for os.system");
    assert_fails(RUN("ctorch\nFloatStorage\n)R."), LSTM_ERROR_FORMAT, "calls a type of storages");
    assert_fails(RUN("K\x01)R."), LSTM_ERROR_FORMAT, "calls something that is no function");
    assert_fails(RUN("K\x01}b."), LSTM_ERROR_FORMAT, "no dictionary");
    assert_fails(RUN("K\x01Q."), LSTM_ERROR_FORMAT, "a persistent id that is no storage");
}

static void test_damaged_stacks_are_errors(void **state)
{
    (void)state;
    assert_fails(RUN("."), LSTM_ERROR_FORMAT, "empty stack");
    assert_fails(RUN("K\x01K\x02."), LSTM_ERROR_FORMAT, "values left on its stack");
    assert_fails(RUN("t."), LSTM_ERROR_FORMAT, "never opened");
    assert_fails(RUN("\x87."), LSTM_ERROR_FORMAT, "empty stack");
    assert_fails(RUN("(\x85."), LSTM_ERROR_FORMAT, "ties a mark");
    assert_fails(RUN("(K\x01"
                     "e."),
                 LSTM_ERROR_FORMAT, "no list");
    assert_fails(RUN("}(K\x01u."), LSTM_ERROR_FORMAT, "key without a value");
    assert_fails(RUN("K\x01K\x02s."), LSTM_ERROR_FORMAT, "empty stack");
    assert_fails(RUN("]a."), LSTM_ERROR_FORMAT, "empty stack");
    assert_fails(RUN("h\x05."), LSTM_ERROR_FORMAT, "recalls value 5");
    assert_fails(RUN("q\x05."), LSTM_ERROR_FORMAT, "keeps a value of an empty stack");
    assert_fails(RUN("Nr\xff\xff\xff\x7f."), LSTM_ERROR_FORMAT, "as number 2147483647");
    assert_fails(RUN("X\xff\xff\xff\x7f"
                     "a."),
                 LSTM_ERROR_FORMAT, "bytes expected");
    assert_fails(RUN("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), LSTM_ERROR_FORMAT, "a text of");
    assert_fails(RUN("\xff."), LSTM_ERROR_FORMAT, "byte 0xff is no pickle instruction");
    assert_fails(RUN("]q\x00h\x00"
                     "a."),
                 LSTM_ERROR_FORMAT, "not of torch.save"); /* in itself */
    assert_fails(RUN("}."), LSTM_ERROR_FORMAT, "not of torch.save");
}

/* The pickle of a legacy file whose only tensor is FloatStorage "0" of `elements` through the text
 * `rest`: offset, shape, stride. */
static lstm_status run_tensor(const char *elements, const char *rest, size_t rest_size)
{
    static const char head[] = "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                               "\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s."
                               "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n"
                               "((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
                               "0X\x03\0\0\0cpuJ";
    static const char tail[] = "\x89Nt"
                               "Rs.\x80\x02]X\x01\0\0\0"
                               "0a.\x02\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\x40";
    bytes b = {.size = 0};
    add_bytes(&b, head, sizeof head - 1);
    add_bytes(&b, elements, 4);
    add_text(&b, "NtQ");
    add_bytes(&b, rest, rest_size);
    add_bytes(&b, tail, sizeof tail - 1);
    return run_pickle(b.data, b.size);
}
#define TENSOR(elements, rest) run_tensor(elements, rest, sizeof(rest) - 1)

static void test_tensors_may_not_leave_their_storage(void **state)
{
    (void)state;
    assert_works(TENSOR("\x02\0\0\0", "K\0K\x02\x85K\x01\x85"));
    assert_works(TENSOR("\x02\0\0\0", "K\x01K\x02\x85K\0\x85")); /* the last one twice */
    assert_fails(TENSOR("\x02\0\0\0", "K\x01K\x02\x85K\x01\x85"), LSTM_ERROR_FORMAT,
                 "a tensor that leaves its storage");
    assert_fails(TENSOR("\x02\0\0\0", "K\0K\x02\x85K\x02\x85"), LSTM_ERROR_FORMAT,
                 "a tensor that leaves its storage");
    assert_fails(TENSOR("\x02\0\0\0", "K\0K\x02\x85J\xff\xff\xff\xff\x85"), LSTM_ERROR_FORMAT,
                 "a tensor without a storage");
    assert_fails(TENSOR("\x02\0\0\0", "K\0K\x02\x85)"), LSTM_ERROR_FORMAT, "as many strides");
    assert_fails(TENSOR("\x02\0\0\0", "K\0J\xff\xff\xff\x7f\x85K\0\x85"), LSTM_ERROR_FORMAT,
                 "more elements than the file has bytes");
    assert_fails(TENSOR("\x02\0\0\0", "K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\0\x85"),
                 LSTM_ERROR_FORMAT, "more elements than the file has bytes");
    assert_fails(TENSOR("\x02\0\0\0", "K\0K\x02\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"),
                 LSTM_ERROR_FORMAT, "leaves its storage");
    assert_fails(TENSOR("\x03\0\0\0", "K\0K\x02\x85K\x01\x85"), LSTM_ERROR_FORMAT,
                 "another size than its tensors say");
}

/* ---- Into models */

static lstm_model *model_of(const char *module, int hidden)
{
    char json[300];
    lstm_model *model = NULL;
    snprintf(json, sizeof json,
             "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, "
             "{\"type\": \"LSTM\", \"name\": \"%s\", \"hidden_size\": %d}]}",
             module, hidden);
    assert_works(lstm__model_from_json(&model, context, json, strlen(json)));
    return model;
}

static void test_weights_go_into_models_whatever_their_prefix(void **state)
{
    (void)state;
    lstm_model *model = model_of("encoder.rnn", 1);
    assert_works(lstm__model_load_weights(model, kept("lstm.pt")));
    for (size_t p = 0; p < 4; p++) {
        float values[4];
        lstm__parameter_read(&model->parameters[p], model->values, values);
        for (size_t v = 0; v < 4; v++)
            assert_true(values[v] == value_of(v, 4));
    }
    lstm__graph_release(model);
}

static void test_what_does_not_fit_is_named_and_changes_nothing(void **state)
{
    (void)state;
    lstm_model *model = model_of("rnn", 2);
    const real before = model->values[0];
    assert_fails(lstm__model_load_weights(model, kept("lstm.pt")), LSTM_ERROR_SHAPE,
                 "tensor \"weight_ih_l0\": shape [4, 1], expected [8, 1] (layer \"rnn\")");
    assert_fails(lstm__model_load_weights(model, kept("row.pt")), LSTM_ERROR_SHAPE,
                 "expected [8, 1]");
    assert_fails(lstm__model_load_weights(model, kept("kinds.pt")), LSTM_ERROR_NOT_FOUND,
                 "no tensor \"rnn.weight_ih_l0\" [8, 1] for layer \"rnn\"");
    assert_true(model->values[0] == before);
    lstm__graph_release(model);
    const char *const json = "{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, {\"type\": "
                             "\"LSTM\", \"units\": 1}]}";
    assert_works(lstm__model_from_json(&model, context, json, strlen(json)));
    assert_fails(lstm__model_load_weights(model, kept("lstm.pt")), LSTM_ERROR_UNSUPPORTED,
                 "for a model of the profile keras");
    lstm__graph_release(model);
}

/* ---- Writing */

static lstm_model *described(const char *json)
{
    lstm_model *model = NULL;
    assert_works(lstm__model_from_json(&model, context, json, strlen(json)));
    return model;
}

/* Every layer whose parameters differ between the profiles. */
static const char everything[] =
    "{\"seed\": 5, \"layers\": [{\"type\": \"Input\", \"shape\": [6, 3]},"
    "{\"type\": \"Conv1D\", \"filters\": 4, \"kernel_size\": 2},"
    "{\"type\": \"BatchNormalization\", \"momentum\": 0.75},"
    "{\"type\": \"GRU\", \"units\": 3, \"return_sequences\": true},"
    "{\"type\": \"Bidirectional\", \"layer\": {\"type\": \"LSTM\", \"units\": 2, "
    "\"return_sequences\": true}}, {\"type\": \"SimpleRNN\", \"units\": 2}, "
    "{\"type\": \"Dense\", \"units\": 2}]}";

static void test_profiles_convert_there_and_back_to_the_bit(void **state)
{
    (void)state;
    lstm_model *model = described(everything);
    lstm_model *torch = NULL;
    lstm_model *back = NULL;
    for (size_t k = 0; k < model->parameter_count; k++) /* biases and statistics too */
        for (size_t v = 0; v < lstm__parameter_size(&model->parameters[k]); v++)
            model->values[model->parameters[k].offset + v] = (real)(k + 1) + (real)v / 64;
    assert_works(lstm__profile_convert(&torch, model, LSTM_PROFILE_TORCH));
    assert_works(lstm__profile_convert(&back, torch, LSTM_PROFILE_KERAS));
    assert_int_equal(torch->profile, LSTM_PROFILE_TORCH);
    const size_t gru = lstm__graph_find_parameter(torch, "gru.bias_hh_l0");
    assert_true(gru < torch->parameter_count);
    const size_t bias = lstm__graph_find_parameter(model, "gru/bias");
    const real *const rzn = torch->values + torch->parameters[gru].offset;
    const real *const zrh = model->values + model->parameters[bias].offset + 9; /* row of h */
    for (size_t k = 0; k < 9; k++) /* gates r, z, n of z, r, h */
        assert_true(rzn[k] == zrh[k < 3 ? k + 3 : k < 6 ? k - 3 : k]);
    assert_int_equal(back->value_count, model->value_count);
    assert_memory_equal(back->values, model->values, model->value_count * sizeof *model->values);
    const float momentum =
        ((const lstm_batch_normalization_options *)torch->nodes[2]->options)->momentum;
    assert_true(momentum == 0.25f);
    lstm__graph_release(back);
    lstm__graph_release(torch);
    lstm__graph_release(model);
}

static void test_written_state_dicts_are_read_again(void **state)
{
    static const char *const paths[] = {"written.pt", "written.safetensors"};
    (void)state;
    lstm_model *model = described(everything);
    lstm_model *torch = NULL;
    lstm_model *read = NULL;
    assert_works(lstm__profile_convert(&torch, model, LSTM_PROFILE_TORCH));
    assert_works(lstm__profile_convert(&read, model, LSTM_PROFILE_TORCH));
    for (size_t k = 0; k < 2; k++) {
        memset(read->values, 0, read->value_count * sizeof *read->values);
        assert_works(lstm__parameters_save(model, paths[k], LSTM_PROFILE_TORCH));
        assert_works(lstm__model_load_weights(read, paths[k]));
        assert_memory_equal(read->values, torch->values, read->value_count * sizeof *read->values);
    }
    memset(model->values, 0, model->value_count * sizeof *model->values);
    assert_works(lstm__parameters_save(torch, "written.safetensors", LSTM_PROFILE_KERAS));
    assert_works(lstm__model_load_weights(model, "written.safetensors"));
    lstm__graph_release(read);
    assert_works(lstm__profile_convert(&read, model, LSTM_PROFILE_TORCH));
    assert_memory_equal(read->values, torch->values, read->value_count * sizeof *read->values);
    lstm_model *const part = described(
        "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", "
        "\"shape\": [6, 3]}, {\"type\": \"Conv1D\", \"filters\": 4, "
        "\"kernel_size\": 2}]}");
    assert_fails(lstm__model_load_weights(part, "written.pt"), LSTM_ERROR_FORMAT,
                 "tensor \"batch_normalization.weight\" [4] belongs to no layer");
    lstm__graph_release(part);
    assert_fails(lstm__parameters_save(model, "x.pt", LSTM_PROFILE_KERAS), LSTM_ERROR_ARGUMENT,
                 "expected the profile torch");
    assert_fails(lstm__parameters_save(model, "x.onnx", LSTM_PROFILE_TORCH), LSTM_ERROR_ARGUMENT,
                 "x.onnx: expected a name that ends with .pt");
    lstm__graph_release(read);
    lstm__graph_release(torch);
    lstm__graph_release(model);
    model = described("{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, {\"type\": "
                      "\"GRU\", \"name\": \"g\", \"units\": 1, \"reset_after\": false}]}");
    assert_fails(lstm__parameters_save(model, "x.pt", LSTM_PROFILE_TORCH), LSTM_ERROR_UNSUPPORTED,
                 "\"g\"");
    assert_int_equal(access("x.pt", F_OK), -1);
    lstm__graph_release(model);
}

/* A state dict of the same names and shapes would be another function in PyTorch. */
static void test_what_modules_of_pytorch_cannot_do_is_not_written(void **state)
{
    static const char *const layers[][2] = {
        {"\"LSTM\", \"units\": 2, \"activation\": \"relu\"", "its activation"},
        {"\"LSTM\", \"units\": 2, \"recurrent_activation\": \"hard_sigmoid\"",
         "its recurrent_activation"},
        {"\"GRU\", \"units\": 2, \"activation\": \"relu\"", "its activation"},
        {"\"SimpleRNN\", \"units\": 2, \"activation\": \"sigmoid\"", "its activation"},
        {"\"GRU\", \"units\": 2, \"go_backwards\": true", "its go_backwards"},
        {"\"LSTM\", \"units\": 2, \"peepholes\": true", "its peepholes"},
        {"\"LSTM\", \"units\": 2, \"gate_clip\": 1", "its gate_clip"},
        {"\"LSTM\", \"units\": 2, \"coupled_gates\": \"input\"", "its coupled_gates"},
        {"\"LSTM\", \"units\": 2, \"layer_norm\": \"ba\"", "its layer_norm"},
        {"\"Bidirectional\", \"layer\": {\"type\": \"LSTM\", \"units\": 2, "
         "\"activation\": \"relu\"}",
         "its activation"}};
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char text[300];
        snprintf(text, sizeof text,
                 "{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, {\"type\": %s}]}",
                 layers[k][0]);
        lstm_model *const model = described(text);
        assert_fails(lstm__parameters_save(model, "x.pt", LSTM_PROFILE_TORCH),
                     LSTM_ERROR_UNSUPPORTED, layers[k][1]);
        assert_works(lstm__parameters_save(model, "x.npz", LSTM_PROFILE_TORCH));
        lstm__graph_release(model);
    }
    lstm_model *const both = described("{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, "
                                       "{\"type\": \"Bidirectional\", \"layer\": {\"type\": "
                                       "\"SimpleRNN\", \"units\": 2, \"activation\": \"relu\"}}]}");
    assert_works(lstm__parameters_save(both, "x.pt", LSTM_PROFILE_TORCH));
    lstm__graph_release(both);
    remove("x.pt");
}

static void test_memory_may_run_out_while_a_state_dict_is_written(void **state)
{
    (void)state;
    lstm_model *model = described(everything);
    remove("memory.pt");
    for (long allowed = 0;; allowed++) {
        held.allowed = allowed;
        held.failed = false;
        const size_t before = held.blocks;
        const lstm_status status = lstm__parameters_save(model, "memory.pt", LSTM_PROFILE_TORCH);
        held.allowed = -1;
        assert_int_equal(held.blocks, before);
        assert_int_equal(status, held.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
        assert_int_equal(access("memory.pt", F_OK), held.failed ? -1 : 0);
        if (!held.failed)
            break;
    }
    lstm__graph_release(model);
}

/* ---- Damage */

static void test_memory_may_run_out_anywhere(void **state)
{
    static const char *const files[] = {"lstm.pt", "legacy.pt", "deflated.pt", "row.pt"};
    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++)
        for (long allowed = 0;; allowed++) {
            lstm_model *model = NULL;
            held.allowed = allowed;
            held.failed = false;
            const size_t before = held.blocks;
            const lstm_status status = lstm__model_load(&model, context, kept(files[k]));
            held.allowed = -1;
            if (!held.failed) {
                assert_works(status);
                lstm__graph_release(model);
                assert_int_equal(held.blocks, before);
                break;
            }
            assert_int_equal(status, LSTM_ERROR_MEMORY);
            assert_null(model);
            assert_int_equal(held.blocks, before);
        }
}

/* A file cut anywhere, and the bytes behind the ZIP directory apart, is never taken for whole. */
static void test_cut_files_are_errors(void **state)
{
    static const char *const files[] = {"lstm.pt", "legacy.pt", "deflated.pt"};
    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        size_t size = 0;
        unsigned char *const whole = read_file(kept(files[k]), &size);
        for (size_t cut = 1; cut < size; cut++) {
            lstm_model *model = NULL;
            write_file("cut.pt", whole, cut);
            if (lstm__model_load(&model, context, "cut.pt") == LSTM_OK)
                fail_msg("%s cut to %zu of %zu bytes is read", files[k], cut, size);
        }
        free(whole);
    }
}

/* 10,000 flipped bits: whatever is read has the values of the file or, in legacy files, which have
 * no checksums, at most values that differ where the bit was. */
static void test_flipped_bits_are_errors_or_harmless(void **state)
{
    static const char *const files[] = {"lstm.pt", "deflated.pt", "legacy.pt", "row.pt"};
    (void)state;
    uint64_t seed = 12345;
    size_t taken = 0;
    for (size_t round = 0; round < 10000; round++) {
        static unsigned char *whole;
        static size_t size;
        if (round % 2500 == 0) {
            free(whole);
            whole = read_file(kept(files[round / 2500]), &size);
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const size_t bit = (size_t)(seed >> 20) % (8 * size);
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
        char name[] = "flipped.pt";
        const lstm__file file = {.context = context, .name = name, .bytes = whole, .size = size};
        lstm__torch_file tensors;
        bool is_zip = false;
        assert_works(lstm__torch_is_zip(&file, &is_zip));
        if ((is_zip || lstm__is_pickle(whole, size)) &&
            lstm__torch_open(&tensors, &file) == LSTM_OK) {
            taken++;
            lstm_model *model = NULL;
            if (lstm__torch_model(&model, context, &tensors) == LSTM_OK) {
                if (round < 5000) /* checksums: nothing but names of entries and the like differ */
                    for (size_t p = 0; p < model->parameter_count; p++) {
                        float values[4];
                        lstm__parameter_read(&model->parameters[p], model->values, values);
                        for (size_t v = 0; v < 4; v++)
                            assert_true(values[v] == value_of(v, 4));
                    }
                lstm__graph_release(model);
            }
            lstm__torch_close(&tensors);
        }
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (round == 9999)
            free(whole);
    }
    print_message("%zu of 10000 flipped bits leave a file that can be read\n", taken);
}

/* A pickle of many small tuples, as dear as instructions can be. */
static void test_hostile_pickles_are_cheap(void **state)
{
    (void)state;
    const size_t size = 4 << 20;
    unsigned char *const pickle = malloc(size);
    assert_non_null(pickle);
    memcpy(pickle, "\x80\x02N", 3);
    for (size_t k = 3; k + 1 < size; k++)
        pickle[k] = 0x85;
    pickle[size - 1] = '.';
    held.peak = held.now;
    assert_fails(run_pickle(pickle, size), LSTM_ERROR_UNSUPPORTED, "more than 1000000 values");
    assert_true(held.peak - held.now < 200u << 20);
    memset(pickle + 2, '(', size - 3);
    assert_fails(run_pickle(pickle, size), LSTM_ERROR_UNSUPPORTED, "a stack of more than");
    free(pickle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_stride_and_offset_is_read),
        cmocka_unit_test(test_all_forms_of_one_state_dict_are_equal),
        cmocka_unit_test(test_a_row_of_modules_is_put_in_order),
        cmocka_unit_test(test_what_is_more_than_tensors_is_refused_by_name),
        cmocka_unit_test(test_instructions_that_build_objects_are_refused_by_name),
        cmocka_unit_test(test_damaged_stacks_are_errors),
        cmocka_unit_test(test_tensors_may_not_leave_their_storage),
        cmocka_unit_test(test_weights_go_into_models_whatever_their_prefix),
        cmocka_unit_test(test_what_does_not_fit_is_named_and_changes_nothing),
        cmocka_unit_test(test_profiles_convert_there_and_back_to_the_bit),
        cmocka_unit_test(test_written_state_dicts_are_read_again),
        cmocka_unit_test(test_what_modules_of_pytorch_cannot_do_is_not_written),
        cmocka_unit_test(test_memory_may_run_out_while_a_state_dict_is_written),
        cmocka_unit_test(test_memory_may_run_out_anywhere),
        cmocka_unit_test(test_cut_files_are_errors),
        cmocka_unit_test(test_flipped_bits_are_errors_or_harmless),
        cmocka_unit_test(test_hostile_pickles_are_cheap),
    };
    context = counted_context(&held);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lstm_context_destroy(context);
    return failed;
}
