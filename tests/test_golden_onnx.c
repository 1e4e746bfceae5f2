/* SPDX-License-Identifier: MIT
 *
 * ONNX models of ../shared/golden, with the outputs of ONNX Runtime: single operators with every
 * attribute and both exporters of PyTorch. Each is run by the program, which takes and gives arrays
 * in the file's own names and shapes, and must agree within 1e-5.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const cases[] = {"gru",
                                    "gru_linear_before_reset",
                                    "lstm",
                                    "lstm_activations",
                                    "lstm_activations2",
                                    "lstm_bidirectional",
                                    "lstm_bidirectional_lengths",
                                    "lstm_clip",
                                    "lstm_init",
                                    "lstm_input_forget",
                                    "lstm_length_zero",
                                    "lstm_lengths",
                                    "lstm_opset7",
                                    "lstm_peepholes",
                                    "lstm_reverse",
                                    "rnn",
                                    "torch_export_classic",
                                    "torch_export_dynamo"};

static const char *inputs_of(const golden_case *golden, char *text, size_t size)
{
    const char *key = NULL;
    json_t *value = NULL;
    size_t used = 0;
    json_object_foreach(json_object_get(golden->json, "arrays"), key, value)
    {
        if (strncmp(key, "in_", 3) == 0)
            used += (size_t)snprintf(text + used, size - used, " --x '%s=%s/%s.npy'", key + 3,
                                     golden->folder, key);
        assert_true(used < size);
    }
    return text;
}

static void check_output(const golden_case *golden, const lstm_archive *outputs, const char *key)
{
    lstm_array_info info = {.struct_size = sizeof info};
    size_t count = 0;
    float *expected = golden_array(golden, key, &count);
    const json_t *shape = json_object_get(json_object_get(golden->json, "arrays"), key);
    assert_non_null(expected);
    if (lstm_archive_count(outputs) == 1)
        assert_ok(lstm_archive_get(outputs, 0, &info));
    else
        assert_ok(lstm_archive_find(outputs, key + 4, &info));
    assert_int_equal(info.rank, json_array_size(shape));
    for (int k = 0; k < info.rank; k++)
        assert_int_equal(info.shape[k], json_integer_value(json_array_get(shape, (size_t)k)));
    assert_int_equal(info.count, count);
    assert_close(key, info.data, expected, count, 1e-5, 0);
    free(expected);
}

static void test_models_give_what_onnx_runtime_gives(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        golden_case golden;
        char inputs[4096];
        char command[8192];
        const char *key = NULL;
        json_t *value = NULL;
        lstm_archive *outputs = NULL;
        golden_open(&golden, "onnx", cases[k]);
        print_message("%s\n", cases[k]);
        snprintf(command, sizeof command,
                 LSTM_PROGRAM " predict --quiet '%s/model.onnx'%s -o golden_onnx.npz",
                 golden.folder, inputs_of(&golden, inputs, sizeof inputs));
        assert_int_equal(system(command), 0);
        assert_ok(lstm_archive_load(&outputs, NULL, "golden_onnx.npz"));
        json_object_foreach(json_object_get(golden.json, "arrays"), key, value)
        {
            if (strncmp(key, "out_", 4) == 0)
                check_output(&golden, outputs, key);
        }
        lstm_archive_destroy(outputs);
        golden_close(&golden);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_give_what_onnx_runtime_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
