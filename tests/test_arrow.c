/* SPDX-License-Identifier: MIT
 * Training data by Arrow's C data interface, with arrays made by hand: every form and kind of column
 * gives the bits of plain arrays, and every offset is added. tests/arrow_pyarrow.py does the same with
 * the real pyarrow.
 */
#include "api_checks.h"
#include "arrow_samples.h"
#include "sample_models.h"

/* ---- Training */

/* Train a new model; steps 0 = a model of any number of steps. */
static lstm_model *train(int64_t steps, const lstm_source *source, const lstm_data *data)
{
    lstm_model *model = NULL;
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = 2,
                                      .batch_size = 4,
                                      .validation_split = 0.2,
                                      .source = source};
    assert_ok(build_tutorial(&model, NULL, steps, F, 3, 1));
    assert_ok(lstm_fit(model, &options, data, NULL));
    return model;
}

static void test_every_form_with_every_offset_gives_the_bits_of_arrays(void **state)
{
    static const char formats[] = "cCsSiIlLefg";
    float x[N * T * F];
    float y[N];
    float predicted[2][N];
    (void)state;
    fill_arrays(x, y);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = x,
                            .x_count = N * T * F,
                            .y = y,
                            .y_count = N};
    for (int k = 0; k < 8 * FORMS; k++) {
        const int64_t steps = k % 2 == 0 ? T : 0;
        const form w = {.form = k % FORMS,
                        .format = formats[k % 11],
                        .offset = k % 4 >= 2 ? 3 : 0,
                        .lists = k % 8 >= 4 ? 2 : 0,
                        .batch = k % 16 >= 8 ? 1 : 0};
        released counts = {0, 0, 0};
        struct ArrowSchema schema;
        struct ArrowArray batches[3];
        lstm_arrow *arrow = NULL;
        lstm_data own = {.struct_size = sizeof own};
        make_batch(&w, &schema, &batches[0], 0, 5, &counts);
        make_batch(&w, NULL, &batches[1], 5, 0, &counts); /* without rows */
        make_batch(&w, NULL, &batches[2], 5, N - 5, &counts);
        const lstm_arrow_options options = options_of(w.form);
        lstm_model *plain = train(steps, NULL, &data);
        assert_ok(lstm_arrow_open(&arrow, plain, &options, &schema, batches, 3));
        assert_null(schema.release);
        assert_null(batches[2].release);
        lstm_model *own_model = train(steps, lstm_arrow_source(arrow), NULL);
        assert_true(same_parameters(plain, own_model));
        assert_ok(lstm_arrow_data(arrow, &own));
        assert_int_equal(own.samples, N);
        assert_memory_equal(own.inputs[0], x, sizeof x);
        assert_memory_equal(own.targets[0], y, sizeof y);
        assert_ok(lstm_predict(plain, &own, predicted[0], N));
        assert_ok(lstm_predict(plain, &data, predicted[1], N));
        assert_memory_equal(predicted[0], predicted[1], sizeof predicted[0]);
        assert_int_equal(counts.arrays, 0);
        lstm_arrow_close(arrow);
        assert_int_equal(counts.arrays, 3);
        assert_int_equal(counts.schemas, 1);
        lstm_model_destroy(plain);
        lstm_model_destroy(own_model);
    }
}

static void test_bools_are_read_bit_by_bit(void **state)
{
    double values[N];
    released counts = {0, 0, 0};
    struct ArrowSchema schema;
    struct ArrowArray batch;
    lstm_arrow *arrow = NULL;
    lstm_model *model = NULL;
    lstm_data own = {.struct_size = sizeof own};
    (void)state;
    for (size_t n = 0; n < N; n++)
        values[n] = n % 3 == 0;
    const column columns[] = {numbers_column("x", 'b', values, N, 5)};
    batch_of(&schema, &batch, columns, 1, N - 2, 2, &counts);
    assert_ok(build_tutorial(&model, NULL, 1, 1, 2, 1));
    lstm_arrow_options options = options_of(FLAT);
    options.target_count = 0;
    assert_ok(lstm_arrow_open(&arrow, model, &options, &schema, &batch, 1));
    assert_ok(lstm_arrow_data(arrow, &own));
    assert_null(own.targets);
    for (size_t n = 0; n < N - 2; n++)
        assert_true(own.inputs[0][n] == (float)values[n + 2]);
    assert_status_text(
        lstm_fit(model, OPTIONS(lstm_fit, .source = lstm_arrow_source(arrow)), NULL, NULL),
        LSTM_ERROR_ARGUMENT, "opened without targets");
    lstm_arrow_close(arrow);
    lstm_model_destroy(model);
    assert_int_equal(counts.arrays, 1);
}

static void test_floats_in_one_batch_are_not_copied(void **state)
{
    static const int forms[] = {NESTED, FLAT};
    (void)state;
    for (size_t k = 0; k < LENGTH(forms); k++) {
        const form w = {forms[k], 'f', 3, 2, 1};
        released counts = {0, 0, 0};
        struct ArrowSchema schema;
        struct ArrowArray batch;
        lstm_arrow *arrow = NULL;
        lstm_model *model = NULL;
        lstm_data own = {.struct_size = sizeof own};
        assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
        make_batch(&w, &schema, &batch, 0, N, &counts);
        const struct ArrowArray *leaf = batch.children[0]->children[0];
        leaf = leaf->n_children > 0 ? leaf->children[0] : leaf;
        const float *lies = (const float *)leaf->buffers[1] + 3 + (2 + 1) * T * F;
        const lstm_arrow_options options = options_of(w.form);
        assert_ok(lstm_arrow_open(&arrow, model, &options, &schema, &batch, 1));
        assert_ok(lstm_arrow_data(arrow, &own));
        assert_ptr_equal(own.inputs[0], lies);
        assert_int_equal(own.input_sizes[0], N * T * F);
        lstm_arrow_close(arrow);
        lstm_model_destroy(model);
    }
}

/* ---- Sequences of different lengths */

static void test_lists_of_any_length_are_sequences_of_these_lengths(void **state)
{
    float x[N * T * F];
    float y[N * T];
    float weights[N];
    int32_t lengths[N];
    (void)state;
    for (size_t n = 0; n < N; n++) {
        lengths[n] = own_lengths[n];
        weights[n] = 0.5f + (float)(n % 3);
        for (size_t t = 0; t < T; t++) {
            y[n * T + t] = (float)(t + n);
            for (size_t f = 0; f < F; f++)
                x[(n * T + t) * F + f] = (float)x_of(n, t, f);
        }
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = x,
                            .x_count = N * T * F,
                            .y = y,
                            .y_count = N * T,
                            .lengths = lengths,
                            .lengths_count = N,
                            .sample_weights = weights,
                            .sample_weight_count = N};
    for (int k = 0; k < 4; k++) {
        const int padded = k % 2;
        const int64_t steps = k < 2 ? 0 : T;
        released counts = {0, 0, 0};
        struct ArrowSchema schema;
        struct ArrowArray batch;
        lstm_arrow *arrow = NULL;
        lstm_data own = {.struct_size = sizeof own};
        lstm_model *models[3];
        lstm_fit_options fit = {
            .struct_size = sizeof fit, .epochs = 3, .batch_size = 4, .bucket_batches = 2};
        lstm_arrow_options options = options_of(FLAT);
        options.weights = "weight";
        options.lengths = padded ? "length" : NULL;
        make_lists(&schema, &batch, own_lengths, padded, &counts);
        for (int i = 0; i < 3; i++)
            models[i] = build_steps(steps);
        assert_ok(lstm_arrow_open(&arrow, models[0], &options, &schema, &batch, 1));
        assert_ok(lstm_arrow_data(arrow, &own));
        assert_memory_equal(own.lengths, lengths, sizeof lengths);
        assert_ok(lstm_fit(models[0], &fit, &data, NULL));
        assert_ok(lstm_fit(models[1], &fit, &own, NULL));
        fit.source = lstm_arrow_source(arrow);
        assert_ok(lstm_fit(models[2], &fit, NULL, NULL));
        assert_true(same_parameters(models[0], models[1]));
        assert_true(same_parameters(models[0], models[2]));
        lstm_arrow_close(arrow);
        for (int i = 0; i < 3; i++)
            lstm_model_destroy(models[i]);
        assert_int_equal(counts.arrays, 1);
    }
}

static void test_lists_of_labels_are_read_for_ctc(void **state)
{
    static const int counts_of_labels[N] = {2, 1, 0, 2, 1, 1, 2, 0, 1, 2, 1};
    int32_t labels[N * 2];
    double all[N * 2];
    size_t count = 0;
    float x[N * T * F];
    float y[N];
    lstm_model *models[3];
    released counts = {0, 0, 0};
    struct ArrowSchema schema;
    struct ArrowArray batch;
    lstm_arrow *arrow = NULL;
    lstm_data own = {.struct_size = sizeof own};
    column columns[3];
    const form w = {NESTED, 'f', 0, 0, 0};
    (void)state;
    fill_arrays(x, y);
    for (size_t n = 0; n < N; n++)
        for (size_t k = 0; k < 2; k++) {
            labels[n * 2 + k] = k < (size_t)counts_of_labels[n] ? (int32_t)(1 + (n + k) % 2) : -1;
            if (labels[n * 2 + k] > 0)
                all[count++] = labels[n * 2 + k];
        }
    x_columns(&w, columns, 0, N);
    columns[1] = any_lists("spoken", 0, numbers_column("item", 'C', all, count, 1),
                           counts_of_labels, N, 0);
    batch_of(&schema, &batch, columns, 2, N, 0, &counts);
    const lstm_loss_options ctc = {.struct_size = sizeof ctc, .loss = LSTM_LOSS_CTC};
    for (int i = 0; i < 3; i++) {
        models[i] = NULL;
        assert_ok(lstm_model_create(&models[i], NULL, NULL));
        assert_ok(lstm_model_add_input(models[i], OPTIONS(lstm_input, .features = F), NULL));
        assert_ok(lstm_model_add_lstm(
            models[i], OPTIONS(lstm_lstm, .units = 3, .return_sequences = LSTM_YES), NULL, NULL));
        assert_ok(lstm_model_add_dense(models[i], OPTIONS(lstm_dense, .units = 3), NULL, NULL));
        assert_ok(lstm_model_build(models[i]));
    }
    const lstm_arrow_options options = {.struct_size = sizeof options,
                                        .inputs = &columns_of_form[NESTED],
                                        .input_count = 1,
                                        .labels = "spoken",
                                        .loss = &ctc};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = x,
                            .x_count = N * T * F,
                            .labels = labels,
                            .labels_count = N * 2};
    lstm_fit_options fit = {.struct_size = sizeof fit, .batch_size = 4, .loss = &ctc};
    assert_ok(lstm_arrow_open(&arrow, models[0], &options, &schema, &batch, 1));
    assert_ok(lstm_arrow_data(arrow, &own));
    assert_memory_equal(own.labels, labels, sizeof labels);
    assert_ok(lstm_fit(models[0], &fit, &data, NULL));
    assert_ok(lstm_fit(models[1], &fit, &own, NULL));
    fit.source = lstm_arrow_source(arrow);
    assert_ok(lstm_fit(models[2], &fit, NULL, NULL));
    assert_true(same_parameters(models[0], models[1]));
    assert_true(same_parameters(models[0], models[2]));
    lstm_arrow_close(arrow);
    for (int i = 0; i < 3; i++)
        lstm_model_destroy(models[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_with_every_offset_gives_the_bits_of_arrays),
        cmocka_unit_test(test_bools_are_read_bit_by_bit),
        cmocka_unit_test(test_floats_in_one_batch_are_not_copied),
        cmocka_unit_test(test_lists_of_any_length_are_sequences_of_these_lengths),
        cmocka_unit_test(test_lists_of_labels_are_read_for_ctc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
