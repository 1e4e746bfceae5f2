/* SPDX-License-Identifier: MIT
 *
 * The LSTM of Silero VAD (../shared/data/silero-vad), from its safetensors and from its ONNX file,
 * which hold the weights of different releases: set into an LSTM of the PyTorch profile, a stream of
 * steps is what the cell's equations give in double within 1e-5. The models are left as
 * silero_step_0.lstm and _1.lstm, which round_trip_onnx.py compares with ONNX Runtime.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { H = 128, STEPS = 6 };

static const struct {
    const char *file, *prefix;
} sources[] = {{"silero_vad_16k.safetensors", "lstm_cell"},
               {"silero_vad_16k_op15.onnx", "model.decoder.rnn"}};

static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};

static bool find_folder(char folder[1024])
{
    const char *shared = getenv("LSTM_SHARED");
    struct stat info;
    snprintf(folder, 1024, "%s/data/silero-vad", shared && shared[0] ? shared : LSTM_SHARED_DIR);
    if (stat(folder, &info) == 0)
        return true;
    print_message("skipped: ../shared is absent\n");
    return false;
}

static lstm_archive *load(const char *folder, const char *file)
{
    char path[1200];
    lstm_archive *archive = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_ok(lstm_archive_load(&archive, NULL, path));
    return archive;
}

static lstm_array_info array_of(const lstm_archive *archive, const char *prefix, int k)
{
    char name[64];
    lstm_array_info info = {.struct_size = sizeof info};
    snprintf(name, sizeof name, "%s.%s", prefix, names[k]);
    assert_ok(lstm_archive_find(archive, name, &info));
    assert_int_equal(info.shape[0], 4 * H);
    return info;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* One step of the cell in double: gates i, f, g, o. */
static void step(const lstm_archive *archive, const char *prefix, const float *x, double *h,
                 double *c)
{
    double sums[4 * H];
    const float *values[4];
    for (int k = 0; k < 4; k++)
        values[k] = array_of(archive, prefix, k).data;
    for (int row = 0; row < 4 * H; row++) {
        sums[row] = (double)values[2][row] + (double)values[3][row];
        for (int k = 0; k < H; k++)
            sums[row] += (double)values[0][row * H + k] * (double)x[k] +
                         (double)values[1][row * H + k] * h[k];
    }
    for (int k = 0; k < H; k++) {
        c[k] = sigmoid(sums[H + k]) * c[k] + sigmoid(sums[k]) * tanh(sums[2 * H + k]);
        h[k] = sigmoid(sums[3 * H + k]) * tanh(c[k]);
    }
}

static lstm_model *build(const lstm_archive *archive, const char *prefix)
{
    lstm_model *model = NULL;
    const lstm_model_options options = {.struct_size = sizeof options,
                                        .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input, .features = H, .name = "x"};
    const lstm_lstm_options lstm = {.struct_size = sizeof lstm,
                                    .units = H,
                                    .return_sequences = LSTM_YES,
                                    .stateful = LSTM_YES,
                                    .name = "lstm_cell"};
    assert_ok(lstm_model_create(&model, NULL, &options));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_lstm(model, &lstm, NULL, NULL));
    assert_ok(lstm_model_build(model));
    for (int k = 0; k < 4; k++) {
        char name[64];
        size_t index = 0;
        const lstm_array_info info = array_of(archive, prefix, k);
        snprintf(name, sizeof name, "lstm_cell.%s_l0", names[k]);
        assert_ok(lstm_model_find_parameter(model, name, &index));
        assert_ok(lstm_model_set_parameter(model, index, info.data, info.count));
    }
    return model;
}

static void check_source(const char *folder, int source)
{
    float x[STEPS * H];
    float y[STEPS * H];
    float expected[STEPS * H];
    double h[H] = {0};
    double c[H] = {0};
    char path[64];
    const char *prefix = sources[source].prefix;
    lstm_archive *archive = load(folder, sources[source].file);
    lstm_model *model = build(archive, prefix);
    lstm_session *session = NULL;
    const lstm_session_options options = {.struct_size = sizeof options, .batch = 1, .steps = 1};
    assert_ok(lstm_session_create(&session, model, &options));
    for (int t = 0; t < STEPS; t++) {
        for (int k = 0; k < H; k++)
            x[t * H + k] = (float)(sin(0.7 * k + 1.3 * t) * 1.5);
        step(archive, prefix, x + t * H, h, c);
        for (int k = 0; k < H; k++)
            expected[t * H + k] = (float)h[k];
        const lstm_data data = {
            .struct_size = sizeof data, .samples = 1, .x = x + t * H, .x_count = H};
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_output(session, 0, y + t * H, H));
    }
    assert_close(sources[source].file, y, expected, STEPS * H, 1e-5, 0);
    lstm_session_destroy(session);
    snprintf(path, sizeof path, "silero_step_%d.lstm", source);
    assert_ok(lstm_model_save(model, path));
    lstm_model_destroy(model);
    lstm_archive_destroy(archive);
}

static void test_a_stream_equals_the_equations(void **state)
{
    char folder[1024];
    (void)state;
    if (!find_folder(folder))
        skip();
    for (int source = 0; source < 2; source++)
        check_source(folder, source);
}

static void test_the_whole_graph_is_refused_by_name(void **state)
{
    char folder[1024];
    char path[1200];
    lstm_model *model = NULL;
    (void)state;
    if (!find_folder(folder))
        skip();
    snprintf(path, sizeof path, "%s/silero_vad_16k_op15.onnx", folder);
    assert_int_not_equal(lstm_model_load(&model, NULL, path), LSTM_OK);
    assert_null(model);
    assert_non_null(strstr(lstm_last_error(), "\"sr\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_equals_the_equations),
        cmocka_unit_test(test_the_whole_graph_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
