/* SPDX-License-Identifier: MIT
 * Scalers against scikit-learn 1.9.1's numbers, windows, and .npy files as a source: the bits of
 * arrays, every shape that does not fit, cut files.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_scalers_are_those_of_scikit_learn(void **state)
{
    /* StandardScaler, MinMaxScaler, RobustScaler of these two columns */
    static const double x[] = {1, 10, 2, -4, 7, 0.5, -3, 8, 4, 8, 11, 8};
    static const double offsets[3][2] = {{3.6666666666666665, 5.083333333333333}, {-3, -4}, {3, 8}};
    static const double scales[3][2] = {
        {4.459696053419884, 5.0531893119318445}, {14, 14}, {5, 5.625}};
    double offset[2], scale[2];
    (void)state;
    for (int32_t rule = LSTM_SCALING_STANDARD; rule <= LSTM_SCALING_ROBUST; rule++) {
        assert_ok(lstm_scaler_fit_as(rule, x, 6, 2, offset, scale));
        for (int c = 0; c < 2; c++) {
            assert_true(fabs(offset[c] - offsets[rule - 1][c]) < 1e-12);
            assert_true(fabs(scale[c] - scales[rule - 1][c]) < 1e-12);
        }
    }
    const double constant[] = {5, 5, 5};
    for (int32_t rule = LSTM_SCALING_STANDARD; rule <= LSTM_SCALING_ROBUST; rule++) {
        assert_ok(lstm_scaler_fit_as(rule, constant, 3, 1, offset, scale));
        assert_true(offset[0] == 5 && scale[0] == 1);
    }
    assert_status_text(lstm_scaler_fit_as(4, x, 6, 2, offset, scale), LSTM_ERROR_ARGUMENT,
                       "scaling is 4");
    const double bad[] = {1, NAN};
    assert_status_text(lstm_scaler_fit_as(LSTM_SCALING_ROBUST, bad, 2, 1, offset, scale),
                       LSTM_ERROR_NUMERIC, "row 1");
}

static void test_windows_read_and_predict_the_rows_they_should(void **state)
{
    float series[11 * 2], x[3 * 4 * 2], y[3 * 2 * 1];
    const size_t target = 1;
    const lstm_window_options options = {.struct_size = sizeof options,
                                         .window = 4,
                                         .horizon = 2,
                                         .gap = 1,
                                         .stride = 2,
                                         .targets = &target,
                                         .target_count = 1};
    (void)state;
    for (int k = 0; k < 22; k++)
        series[k] = (float)k;
    assert_int_equal(lstm_window_count(&options, 11), 3);
    assert_int_equal(lstm_window_count(&options, 6), 0);
    assert_int_equal(lstm_window_count(&options, 7), 1);
    assert_ok(lstm_window_make(&options, series, 11, 2, x, LENGTH(x), y, LENGTH(y)));
    for (int n = 0; n < 3; n++) {
        for (int k = 0; k < 8; k++)
            assert_true(x[n * 8 + k] == (float)(n * 4 + k));
        for (int row = 0; row < 2; row++)
            assert_true(y[n * 2 + row] == (float)((n * 2 + 5 + row) * 2 + 1));
    }
    assert_status_text(lstm_window_make(&options, series, 11, 2, x, 7, NULL, 0), LSTM_ERROR_SHAPE,
                       "x has 7 values: expected 24 (3 windows of 4 rows of 2 columns)");
    lstm_window_options bad = options;
    bad.window = 0;
    assert_int_equal(lstm_window_count(&bad, 11), -1);
    bad = options;
    const size_t outside = 2;
    bad.targets = &outside;
    assert_status_text(lstm_window_make(&bad, series, 11, 2, x, LENGTH(x), y, LENGTH(y)),
                       LSTM_ERROR_ARGUMENT, "column 2: there are 2");
}

/* ---- Files */

enum { SAMPLES = 21, STEPS = 6, FEATURES = 3 };

static void write_npy(const char *path, const char *descr, const char *shape, const void *values,
                      size_t bytes)
{
    char header[128];
    const int text = snprintf(
        header + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    memset(header + 10 + text, ' ', (size_t)(117 - text));
    memcpy(header, "\x93NUMPY\1\0\x76\0", 10);
    header[127] = '\n';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, 128, file), 128);
    assert_int_equal(fwrite(values, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static const char *const x_path[] = {"x.npy"}, *const y_path[] = {"y.npy"};

static void test_files_give_the_bits_of_arrays(void **state)
{
    float x[SAMPLES * STEPS * FEATURES], y[SAMPLES * 2];
    double wide[SAMPLES * 2];
    int32_t lengths[SAMPLES];
    lstm_model *models[2];
    lstm_files *files;
    (void)state;
    fill_numbers(x, LENGTH(x), 3);
    fill_numbers(y, LENGTH(y), 4);
    for (size_t k = 0; k < LENGTH(y); k++)
        wide[k] = (double)y[k];
    for (int k = 0; k < SAMPLES; k++)
        lengths[k] = 1 + k % STEPS;
    write_npy("x.npy", "<f4", "(21, 6, 3)", x, sizeof x);
    write_npy("y.npy", "<f8", "(21, 2)", wide, sizeof wide);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = LENGTH(x),
                            .y = y,
                            .y_count = LENGTH(y),
                            .lengths = lengths,
                            .lengths_count = SAMPLES};
    for (int k = 0; k < 2; k++)
        assert_ok(build_tutorial(&models[k], NULL, 0, FEATURES, 5, 2));
    const lstm_files_options open = {.struct_size = sizeof open,
                                     .inputs = x_path,
                                     .input_count = 1,
                                     .targets = y_path,
                                     .target_count = 1,
                                     .lengths = lengths,
                                     .lengths_count = SAMPLES};
    assert_ok(lstm_files_open(&files, models[1], &open));
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 3,
                                .batch_size = 4,
                                .bucket_batches = 3,
                                .validation_split = 0.2};
    assert_ok(lstm_fit(models[0], &options, &data, NULL));
    options.source = lstm_files_source(files);
    assert_int_equal(options.source->samples, SAMPLES);
    assert_int_equal(options.source->steps, STEPS);
    assert_ok(lstm_fit(models[1], &options, NULL, NULL));
    assert_true(same_parameters(models[0], models[1]));
    write_npy("x.npy", "<f4", "(21, 6, 3)", x, 100); /* cut while it is open */
    assert_status_text(lstm_fit(models[1], &options, NULL, NULL), LSTM_ERROR_IO,
                       "it was longer when opened");
    lstm_files_close(files);
    for (int k = 0; k < 2; k++)
        lstm_model_destroy(models[k]);
}

static void test_files_that_do_not_fit_are_named(void **state)
{
    static const struct {
        const char *x_shape, *y_shape, *text;
        size_t x_count, y_count;
        lstm_status status;
    } cases[] = {
        {"(4, 6, 2)", "(4, 2)", "x.npy: shape (4, 6, 2), input \"input\" takes (samples, 6, 3)", 48,
         8, LSTM_ERROR_SHAPE},
        {"(4, 6, 3)", "(4, 3)", "y.npy: shape (4, 3), the target of output \"dense\"", 72, 12,
         LSTM_ERROR_SHAPE},
        {"(4, 6, 3)", "(5, 2)", "y.npy has 5 samples, x.npy has 4", 72, 10, LSTM_ERROR_SHAPE},
        {"(0, 6, 3)", "(0, 2)", "x.npy has no samples", 0, 0, LSTM_ERROR_SHAPE},
        {"(4, 6, 3)", "(4, 2)", "is cut off", 71, 8, LSTM_ERROR_FORMAT},
        {"()", "(4, 2)", "a single number", 1, 8, LSTM_ERROR_FORMAT},
    };
    static const float zeros[128];
    lstm_model *model;
    lstm_files *files;
    (void)state;
    assert_ok(build_tutorial(&model, NULL, 6, FEATURES, 5, 2));
    lstm_files_options open = {.struct_size = sizeof open,
                               .inputs = x_path,
                               .input_count = 1,
                               .targets = y_path,
                               .target_count = 1};
    for (size_t k = 0; k < LENGTH(cases); k++) {
        write_npy("x.npy", "<f4", cases[k].x_shape, zeros, cases[k].x_count * sizeof(float));
        write_npy("y.npy", "<f4", cases[k].y_shape, zeros, cases[k].y_count * sizeof(float));
        assert_status_text(lstm_files_open(&files, model, &open), cases[k].status, cases[k].text);
        assert_null(files);
    }
    const int32_t lengths[2] = {1, 2};
    write_npy("x.npy", "<f4", "(4, 6, 3)", zeros, 72 * sizeof(float));
    open.lengths = lengths;
    open.lengths_count = 2;
    assert_status_text(lstm_files_open(&files, model, &open), LSTM_ERROR_SHAPE, "2 lengths given");
    open.target_count = 0;
    assert_status_text(lstm_files_open(&files, model, &open), LSTM_ERROR_ARGUMENT,
                       "0 target file(s)");
    open.target_count = 1;
    open.inputs = (const char *const[]){"absent.npy"};
    assert_status_text(lstm_files_open(&files, model, &open), LSTM_ERROR_IO, "absent.npy");
    assert_null(lstm_files_source(NULL));
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalers_are_those_of_scikit_learn),
        cmocka_unit_test(test_windows_read_and_predict_the_rows_they_should),
        cmocka_unit_test(test_files_give_the_bits_of_arrays),
        cmocka_unit_test(test_files_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
