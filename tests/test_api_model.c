/* SPDX-License-Identifier: MIT
 * A model's parameters in both profiles, their initial values, metadata and scalers, and the order
 * of destruction.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names and shapes */

typedef struct expected_parameter {
    const char *name;
    int32_t rank;
    int64_t rows, columns;
} expected_parameter;

static void check_parameters(const lstm_model *model, const expected_parameter *expected,
                             size_t count)
{
    size_t total = 0;
    assert_int_equal(lstm_model_parameter_count(model), count);
    for (size_t k = 0; k < count; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        size_t index = 999;
        const int64_t values = expected[k].rows * (expected[k].rank == 2 ? expected[k].columns : 1);
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_string_equal(info.name, expected[k].name);
        assert_int_equal(info.rank, expected[k].rank);
        assert_int_equal(info.shape[0], expected[k].rows);
        assert_int_equal(info.shape[1], expected[k].columns);
        assert_int_equal(info.shape[2], 0);
        assert_int_equal(info.shape[3], 0);
        assert_int_equal(info.count, values);
        assert_memory_equal(info.name, lstm_layer_name(info.layer),
                            strlen(lstm_layer_name(info.layer)));
        assert_ok(lstm_model_find_parameter(model, info.name, &index));
        assert_int_equal(index, k);
        total += (size_t)values;
    }
    assert_int_equal(lstm_model_parameter_total(model), total);
}

static lstm_model *two_layers(int32_t profile, int64_t features, int64_t units, int64_t outputs,
                              uint64_t seed)
{
    lstm_model *m = NULL;
    assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .profile = profile, .seed = seed)));
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .steps = 2, .features = features), NULL));
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = units), NULL, NULL));
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = outputs), NULL, NULL));
    assert_ok(lstm_model_build(m));
    return m;
}

static void test_keras_parameters_have_keras_names_and_shapes(void **state)
{
    static const expected_parameter expected[] = {{"lstm/kernel", 2, 3, 20},
                                                  {"lstm/recurrent_kernel", 2, 5, 20},
                                                  {"lstm/bias", 1, 20, 0},
                                                  {"dense/kernel", 2, 5, 2},
                                                  {"dense/bias", 1, 2, 0}};
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 3, 5, 2, 0);
    (void)state;
    assert_int_equal(lstm_model_profile(m), LSTM_PROFILE_KERAS);
    check_parameters(m, expected, LENGTH(expected));
    lstm_model_destroy(m);
}

static void test_torch_parameters_have_torch_names_and_shapes(void **state)
{
    static const expected_parameter expected[] = {
        {"lstm.weight_ih_l0", 2, 20, 3}, {"lstm.weight_hh_l0", 2, 20, 5},
        {"lstm.bias_ih_l0", 1, 20, 0},   {"lstm.bias_hh_l0", 1, 20, 0},
        {"dense.weight", 2, 2, 5},       {"dense.bias", 1, 2, 0}};
    lstm_model *m = two_layers(LSTM_PROFILE_TORCH, 3, 5, 2, 0);
    (void)state;
    assert_int_equal(lstm_model_profile(m), LSTM_PROFILE_TORCH);
    check_parameters(m, expected, LENGTH(expected));
    lstm_model_destroy(m);
}

static void test_layers_without_bias_have_none(void **state)
{
    (void)state;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        lstm_model *m = NULL;
        assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .profile = profile)));
        assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = 3), NULL));
        assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 5, .use_bias = LSTM_NO), NULL,
                                      NULL));
        assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2, .use_bias = LSTM_NO),
                                       NULL, NULL));
        assert_ok(lstm_model_build(m));
        assert_int_equal(lstm_model_parameter_count(m), 3);
        assert_int_equal(lstm_model_parameter_total(m), 3 * 20 + 5 * 20 + 5 * 2);
        lstm_model_destroy(m);
    }
}

/* ---- Reading and writing */

static void test_parameters_are_read_as_they_were_written(void **state)
{
    (void)state;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        lstm_model *m = two_layers(profile, 3, 5, 2, 0);
        for (size_t k = 0; k < lstm_model_parameter_count(m); k++) {
            lstm_parameter_info info = {.struct_size = sizeof info};
            assert_ok(lstm_model_parameter_info(m, k, &info));
            float *written = new_numbers(info.count, k);
            float *read = new_numbers(info.count, 99);
            assert_ok(lstm_model_set_parameter(m, k, written, info.count));
            assert_ok(lstm_model_get_parameter(m, k, read, info.count));
            assert_memory_equal(read, written, info.count * sizeof *read);
            free(written);
            free(read);
        }
        lstm_model_destroy(m);
    }
}

/* The same network under both profiles: torch's matrices are Keras' transposed, its biases add up.
 */
static void test_profiles_describe_one_network(void **state)
{
    enum { I = 3, H = 5, O = 2, N = 4 };
    lstm_model *keras = two_layers(LSTM_PROFILE_KERAS, I, H, O, 5);
    lstm_model *torch = two_layers(LSTM_PROFILE_TORCH, I, H, O, 6);
    static const size_t torch_index[] = {0, 1, 2, 4, 5};
    float a[N * O], b[N * O];
    float *x = new_numbers(N * 2 * I, 3);
    const lstm_data data = {.struct_size = sizeof data, .samples = N, .x = x, .x_count = N * 2 * I};
    (void)state;
    for (size_t k = 0; k < 5; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(keras, k, &info));
        float values[200], turned[200];
        assert_ok(lstm_model_get_parameter(keras, k, values, info.count));
        const size_t rows = info.rank == 2 ? (size_t)info.shape[0] : 1;
        const size_t columns = info.count / rows;
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                turned[c * rows + r] = values[r * columns + c];
        assert_ok(lstm_model_set_parameter(torch, torch_index[k], turned, info.count));
    }
    float zeros[4 * H] = {0};
    assert_ok(lstm_model_set_parameter(torch, 3, zeros, 4 * H));
    assert_ok(lstm_predict(keras, &data, a, N * O));
    assert_ok(lstm_predict(torch, &data, b, N * O));
    assert_memory_equal(a, b, sizeof a);
    free(x);
    lstm_model_destroy(keras);
    lstm_model_destroy(torch);
}

static void test_parameter_calls_reject_bad_arguments(void **state)
{
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 3, 5, 2, 0);
    lstm_parameter_info info = {.struct_size = sizeof info};
    float values[200];
    float before[60];
    size_t index = 77;
    (void)state;
    fill_numbers(values, LENGTH(values), 1);
    assert_ok(lstm_model_get_parameter(m, 0, before, 60));
    assert_status(lstm_model_parameter_info(NULL, 0, &info), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_parameter_info(m, 0, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_parameter_info(m, 5, &info), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_find_parameter(NULL, "lstm/kernel", &index), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_find_parameter(m, NULL, &index), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_find_parameter(m, "lstm/kernel", NULL), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_find_parameter(m, "lstm/kernle", &index), LSTM_ERROR_NOT_FOUND,
                       "\"lstm/kernel\"");
    assert_int_equal(index, 77);
    assert_status(lstm_model_get_parameter(NULL, 0, values, 60), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_get_parameter(m, 0, NULL, 60), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_get_parameter(m, 5, values, 60), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_get_parameter(m, 0, values, 61), LSTM_ERROR_SHAPE, "60");
    assert_status(lstm_model_set_parameter(NULL, 0, values, 60), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_parameter(m, 0, NULL, 60), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_parameter(m, SIZE_MAX, values, 60), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_set_parameter(m, 0, values, 59), LSTM_ERROR_SHAPE, "59");
    const float broken[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < LENGTH(broken); k++) {
        values[59] = broken[k];
        assert_status_text(lstm_model_set_parameter(m, 0, values, 60), LSTM_ERROR_NUMERIC,
                           "value 59");
    }
    float after[60];
    assert_ok(lstm_model_get_parameter(m, 0, after, 60));
    assert_memory_equal(before, after, sizeof before);
    lstm_model_destroy(m);
}

/* ---- Initial values */

static float *parameter_values(const lstm_model *m, const char *name, size_t *count)
{
    lstm_parameter_info info = {.struct_size = sizeof info};
    size_t index = 0;
    assert_ok(lstm_model_find_parameter(m, name, &index));
    assert_ok(lstm_model_parameter_info(m, index, &info));
    float *values = malloc(info.count * sizeof *values);
    assert_ok(lstm_model_get_parameter(m, index, values, info.count));
    *count = info.count;
    return values;
}

/* Uniform in (-limit, limit): bounds, mean near 0, variance near limit^2 / 3, both ends reached. */
static void check_uniform(const lstm_model *m, const char *name, double limit)
{
    size_t count = 0;
    float *values = parameter_values(m, name, &count);
    double sum = 0;
    double squares = 0;
    double largest = 0;
    for (size_t k = 0; k < count; k++) {
        sum += (double)values[k];
        squares += (double)values[k] * (double)values[k];
        largest = fmax(largest, fabs((double)values[k]));
    }
    const double n = (double)count;
    const double deviation = limit / sqrt(3.0);
    if (!(largest <= limit * 1.000001 && largest > limit * (1 - 20 / n) &&
          fabs(sum / n) < 5 * deviation / sqrt(n) &&
          fabs(squares / n / (deviation * deviation) - 1) < 5 / sqrt(n)))
        fail_msg("%s: %zu values, limit %g: largest %g, mean %g, variance %g", name, count, limit,
                 largest, sum / n, squares / n);
    free(values);
}

static void test_keras_kernels_are_glorot_uniform(void **state)
{
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 40, 50, 60, 1234);
    (void)state;
    check_uniform(m, "lstm/kernel", sqrt(6.0 / (40 + 200)));
    check_uniform(m, "dense/kernel", sqrt(6.0 / (50 + 60)));
    lstm_model_destroy(m);
}

static void test_recurrent_kernel_is_orthogonal(void **state)
{
    enum { H = 32 };
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 4, H, 2, 99);
    size_t count = 0;
    float *q = parameter_values(m, "lstm/recurrent_kernel", &count);
    (void)state;
    assert_int_equal(count, H * 4 * H);
    for (size_t a = 0; a < H; a++)
        for (size_t b = 0; b < H; b++) {
            double dot = 0;
            for (size_t k = 0; k < 4 * H; k++)
                dot += (double)q[a * 4 * H + k] * (double)q[b * 4 * H + k];
            if (fabs(dot - (a == b)) > 1e-5)
                fail_msg("row %zu times row %zu is %g", a, b, dot);
        }
    free(q);
    lstm_model_destroy(m);
}

static void test_biases_are_zero_but_for_the_forget_gate(void **state)
{
    enum { H = 6 };
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 4, H, 2, 99);
    size_t count = 0;
    float *bias = parameter_values(m, "lstm/bias", &count);
    (void)state;
    for (size_t k = 0; k < count; k++)
        assert_true(bias[k] == (k >= H && k < 2 * H ? 1.0f : 0.0f));
    free(bias);
    bias = parameter_values(m, "dense/bias", &count);
    for (size_t k = 0; k < count; k++)
        assert_true(bias[k] == 0);
    free(bias);
    lstm_model_destroy(m);
}

static void test_torch_parameters_are_uniform_within_their_bounds(void **state)
{
    lstm_model *m = two_layers(LSTM_PROFILE_TORCH, 40, 100, 60, 77);
    (void)state;
    check_uniform(m, "lstm.weight_ih_l0", 0.1);
    check_uniform(m, "lstm.weight_hh_l0", 0.1);
    check_uniform(m, "lstm.bias_ih_l0", 0.1);
    check_uniform(m, "lstm.bias_hh_l0", 0.1);
    check_uniform(m, "dense.weight", 0.1);
    lstm_model_destroy(m);
}

static void test_initialisers_can_be_chosen_and_forget_bias_switched(void **state)
{
    lstm_model *m = NULL;
    size_t count = 0;
    (void)state;
    assert_ok(lstm_model_create(&m, NULL, NULL));
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = 3), NULL));
    assert_ok(lstm_model_add_lstm(
        m,
        OPTIONS(lstm_lstm, .units = 4, .kernel_initializer = LSTM_INITIALIZER_ONES,
                .recurrent_initializer = LSTM_INITIALIZER_ZEROS, .unit_forget_bias = LSTM_NO),
        NULL, NULL));
    assert_ok(lstm_model_add_dense(
        m, OPTIONS(lstm_dense, .units = 2, .kernel_initializer = LSTM_INITIALIZER_ORTHOGONAL), NULL,
        NULL));
    assert_ok(lstm_model_build(m));
    float *ones = parameter_values(m, "lstm/kernel", &count);
    for (size_t k = 0; k < count; k++)
        assert_true(ones[k] == 1);
    float *zeros = parameter_values(m, "lstm/recurrent_kernel", &count);
    for (size_t k = 0; k < count; k++)
        assert_true(zeros[k] == 0);
    float *bias = parameter_values(m, "lstm/bias", &count);
    for (size_t k = 0; k < count; k++)
        assert_true(bias[k] == 0);
    float *q = parameter_values(m, "dense/kernel",
                                &count); /* (4, 2): its columns are orthonormal */
    for (size_t a = 0; a < 2; a++)
        for (size_t b = 0; b < 2; b++) {
            double dot = 0;
            for (size_t k = 0; k < 4; k++)
                dot += (double)q[k * 2 + a] * (double)q[k * 2 + b];
            assert_true(fabs(dot - (a == b)) < 1e-6);
        }
    free(ones);
    free(zeros);
    free(bias);
    free(q);
    lstm_model_destroy(m);
}

static void test_equal_seeds_give_equal_bits_and_other_seeds_others(void **state)
{
    lstm_model *a = NULL;
    lstm_model *b = NULL;
    lstm_model *c = NULL;
    (void)state;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        assert_ok(build_everything(&a, NULL, profile, 1));
        assert_ok(build_everything(&b, NULL, profile, 1));
        assert_ok(build_everything(&c, NULL, profile, UINT64_C(1) << 63));
        assert_true(same_parameters(a, b));
        assert_false(same_parameters(a, c));
        lstm_model_destroy(a);
        lstm_model_destroy(b);
        lstm_model_destroy(c);
    }
}

/* ---- Metadata and scalers */

static void test_metadata_is_kept_replaced_and_removed(void **state)
{
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 1, 1, 1, 0);
    char key[200];
    (void)state;
    assert_null(lstm_model_metadata(m, "unit"));
    assert_ok(lstm_model_set_metadata(m, "unit", "EUR"));
    assert_ok(lstm_model_set_metadata(m, "Größe", "Wörter\nund 数字"));
    assert_string_equal(lstm_model_metadata(m, "unit"), "EUR");
    assert_ok(lstm_model_set_metadata(m, "unit", ""));
    assert_string_equal(lstm_model_metadata(m, "unit"), "");
    assert_string_equal(lstm_model_metadata(m, "Größe"), "Wörter\nund 数字");
    assert_ok(lstm_model_set_metadata(m, "unit", NULL));
    assert_null(lstm_model_metadata(m, "unit"));
    assert_ok(lstm_model_set_metadata(m, "never there", NULL));
    for (int k = 0; k < 40; k++) {
        snprintf(key, sizeof key, "key %d", k);
        assert_ok(lstm_model_set_metadata(m, key, key));
    }
    for (int k = 0; k < 40; k++) {
        snprintf(key, sizeof key, "key %d", k);
        assert_string_equal(lstm_model_metadata(m, key), key);
    }
    assert_status(lstm_model_set_metadata(NULL, "a", "b"), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_metadata(m, NULL, "b"), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_metadata(m, "", "b"), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_metadata(m, "\xc3", "b"), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_metadata(m, "latin1",
                                          "Gr\xf6\xdf"
                                          "e"),
                  LSTM_ERROR_ARGUMENT);
    assert_null(lstm_model_metadata(m, "latin1"));
    memset(key, 'k', sizeof key);
    key[128] = 0;
    assert_status(lstm_model_set_metadata(m, key, "b"), LSTM_ERROR_ARGUMENT);
    key[127] = 0;
    assert_ok(lstm_model_set_metadata(m, key, "b"));
    assert_string_equal(lstm_model_metadata(m, key), "b");
    assert_null(lstm_model_metadata(m, NULL));
    lstm_model_destroy(m);
}

static void test_scalers_are_kept_replaced_and_removed(void **state)
{
    lstm_model *m = two_layers(LSTM_PROFILE_KERAS, 1, 1, 1, 0);
    const double offset[] = {1.5, -2.25e300};
    const double scale[] = {0.1, -3};
    const double bad_scale[] = {1, 0};
    const double bad_offset[] = {NAN, 0};
    double o[3] = {0};
    double s[3] = {0};
    size_t columns = 77;
    (void)state;
    assert_ok(lstm_model_get_scaler(m, LSTM_SCALER_INPUT, &columns, NULL, NULL, 0));
    assert_int_equal(columns, 0);
    assert_ok(lstm_model_set_scaler(m, LSTM_SCALER_INPUT, 2, offset, scale));
    assert_ok(lstm_model_set_scaler(m, LSTM_SCALER_TARGET, 1, offset, scale));
    assert_ok(lstm_model_get_scaler(m, LSTM_SCALER_INPUT, &columns, o, s, 3));
    assert_int_equal(columns, 2);
    assert_memory_equal(o, offset, sizeof offset);
    assert_memory_equal(s, scale, sizeof scale);
    assert_status(lstm_model_get_scaler(m, LSTM_SCALER_INPUT, &columns, o, s, 1), LSTM_ERROR_SHAPE);
    assert_status(lstm_model_get_scaler(m, 0, &columns, NULL, NULL, 0), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_get_scaler(m, 3, &columns, NULL, NULL, 0), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_get_scaler(NULL, 1, &columns, NULL, NULL, 0), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_get_scaler(m, 1, NULL, NULL, NULL, 0), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_scaler(NULL, 1, 2, offset, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_scaler(m, 0, 2, offset, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_scaler(m, 1, 2, NULL, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_set_scaler(m, 1, 2, offset, NULL), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_model_set_scaler(m, 1, 2, offset, bad_scale), LSTM_ERROR_NUMERIC,
                       "column 1");
    assert_status_text(lstm_model_set_scaler(m, 1, 2, bad_offset, scale), LSTM_ERROR_NUMERIC,
                       "column 0");
    assert_ok(lstm_model_get_scaler(m, LSTM_SCALER_INPUT, &columns, o, s, 2));
    assert_memory_equal(o, offset, sizeof offset); /* the failures changed nothing */
    assert_ok(lstm_model_set_scaler(m, LSTM_SCALER_INPUT, 0, NULL, NULL));
    assert_ok(lstm_model_get_scaler(m, LSTM_SCALER_INPUT, &columns, NULL, NULL, 0));
    assert_int_equal(columns, 0);
    assert_ok(lstm_model_get_scaler(m, LSTM_SCALER_TARGET, &columns, NULL, NULL, 0));
    assert_int_equal(columns, 1);
    lstm_model_destroy(m);
}

static void test_scaler_functions_standardise_and_return(void **state)
{
    const double x[] = {1, 10, 5, 2, 20, 5,
                        3, 30, 5, 4, 40, 5}; /* 4 rows of 3; the last column is constant */
    const double bad[] = {1, 2, 3, NAN};
    double offset[3], scale[3], back[12];
    float y[12];
    (void)state;
    assert_ok(lstm_scaler_fit(x, 4, 3, offset, scale));
    assert_true(offset[0] == 2.5 && offset[1] == 25 && offset[2] == 5);
    assert_true(fabs(scale[0] - sqrt(1.25)) < 1e-15 && fabs(scale[1] - sqrt(125.0)) < 1e-13 &&
                scale[2] == 1);
    assert_ok(lstm_scaler_apply(x, 4, 3, offset, scale, y));
    assert_true(fabs((double)y[0] + 1.5 / sqrt(1.25)) < 1e-6 && y[2] == 0);
    assert_ok(lstm_scaler_invert(y, 4, 3, offset, scale, back));
    for (size_t k = 0; k < 12; k++)
        assert_true(fabs(back[k] - x[k]) < 1e-5);
    assert_status_text(lstm_scaler_fit(bad, 2, 2, offset, scale), LSTM_ERROR_NUMERIC,
                       "row 1, column 1");
    assert_status(lstm_scaler_fit(x, 0, 3, offset, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_fit(x, 4, 0, offset, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_fit(NULL, 4, 3, offset, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_fit(x, 4, 3, NULL, scale), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_fit(x, 4, 3, offset, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_apply(x, 4, 3, offset, scale, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_apply(NULL, 4, 3, offset, scale, y), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_invert(y, 4, 3, NULL, scale, back), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_scaler_invert(y, 4, 3, offset, NULL, back), LSTM_ERROR_ARGUMENT);
}

static void test_least_squares_finds_the_line_and_rejects_nonsense(void **state)
{
    const double x[] = {1, 0, 1, 1, 1, 2, 1, 3}; /* 4 rows of (1, t) */
    const double y[] = {2, 5, 8, 11};
    const double bad[] = {2, 5, INFINITY, 11};
    double c[2] = {0};
    (void)state;
    assert_ok(lstm_least_squares(NULL, x, 4, 2, y, 1, c));
    assert_true(fabs(c[0] - 2) < 1e-12 && fabs(c[1] - 3) < 1e-12);
    const double twins[] = {1, 1, 2, 2, 3, 3};
    const double z[] = {2, 4, 6};
    assert_ok(lstm_least_squares(NULL, twins, 3, 2, z, 1,
                                 c)); /* dependent columns: the smallest solution */
    assert_true(fabs(c[0] - 1) < 1e-12 && fabs(c[1] - 1) < 1e-12);
    assert_status(lstm_least_squares(NULL, x, 4, 2, bad, 1, c), LSTM_ERROR_NUMERIC);
    assert_status(lstm_least_squares(NULL, x, 1, 2, y, 1, c), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_least_squares(NULL, x, 4, 0, y, 1, c), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_least_squares(NULL, x, 4, 2, y, 0, c), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_least_squares(NULL, NULL, 4, 2, y, 1, c), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_least_squares(NULL, x, 4, 2, NULL, 1, c), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_least_squares(NULL, x, 4, 2, y, 1, NULL), LSTM_ERROR_ARGUMENT);
}

/* ---- Order of destruction */

/* Each of the 24 orders of context, model, session, optimizer; those left are used after each
 * destruction. */
static void test_handles_may_be_destroyed_in_any_order(void **state)
{
    (void)state;
    for (int order = 0; order < 24; order++) {
        counting_allocator allocator = {0};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_model *model = NULL;
        lstm_session *session = NULL;
        lstm_optimizer *optimizer = NULL;
        int left[4] = {0, 1, 2, 3};
        float x[STACK_STEPS * STACK_FEATURES], y[STACK_OUTPUTS];
        fill_numbers(x, LENGTH(x), 1);
        fill_numbers(y, LENGTH(y), 2);
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = 1,
                                .x = x,
                                .x_count = LENGTH(x),
                                .y = y,
                                .y_count = LENGTH(y)};
        assert_ok(build_stack(&model, context));
        assert_ok(lstm_session_create(&session, model,
                                      OPTIONS(lstm_session, .training = LSTM_YES, .batch = 1)));
        assert_ok(lstm_optimizer_create(&optimizer, model, NULL));
        for (int k = 0, rest = order; k < 4; k++) {
            const int pick = rest % (4 - k);
            rest /= 4 - k;
            switch (left[pick]) {
            case 0:
                lstm_context_destroy(context);
                break;
            case 1:
                lstm_model_destroy(model);
                break;
            case 2:
                lstm_session_destroy(session);
                session = NULL;
                break;
            default:
                lstm_optimizer_destroy(optimizer);
                optimizer = NULL;
                break;
            }
            left[pick] = left[3 - k];
            if (session) {
                assert_ok(lstm_session_forward(session, &data));
                assert_ok(lstm_session_loss(session, NULL, &data, NULL));
                assert_ok(lstm_session_backward(session));
                if (optimizer)
                    assert_ok(lstm_optimizer_step(optimizer, session));
            }
        }
        assert_nothing_left(&allocator);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keras_parameters_have_keras_names_and_shapes),
        cmocka_unit_test(test_torch_parameters_have_torch_names_and_shapes),
        cmocka_unit_test(test_layers_without_bias_have_none),
        cmocka_unit_test(test_parameters_are_read_as_they_were_written),
        cmocka_unit_test(test_profiles_describe_one_network),
        cmocka_unit_test(test_parameter_calls_reject_bad_arguments),
        cmocka_unit_test(test_keras_kernels_are_glorot_uniform),
        cmocka_unit_test(test_recurrent_kernel_is_orthogonal),
        cmocka_unit_test(test_biases_are_zero_but_for_the_forget_gate),
        cmocka_unit_test(test_torch_parameters_are_uniform_within_their_bounds),
        cmocka_unit_test(test_initialisers_can_be_chosen_and_forget_bias_switched),
        cmocka_unit_test(test_equal_seeds_give_equal_bits_and_other_seeds_others),
        cmocka_unit_test(test_metadata_is_kept_replaced_and_removed),
        cmocka_unit_test(test_scalers_are_kept_replaced_and_removed),
        cmocka_unit_test(test_scaler_functions_standardise_and_return),
        cmocka_unit_test(test_least_squares_finds_the_line_and_rejects_nonsense),
        cmocka_unit_test(test_handles_may_be_destroyed_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
