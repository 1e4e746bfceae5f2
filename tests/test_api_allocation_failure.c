/* SPDX-License-Identifier: MIT
 * The n-th allocation fails, for every n until a scenario gets through without a failure. The call
 * it hits must answer LSTM_ERROR_MEMORY (or do without), must work when repeated on the same
 * handles, the results must be those of an undisturbed run, and nothing may be left.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One run of a scenario. */
typedef struct run {
    counting_allocator allocator;
    lstm_context *context;
    size_t failures; /* calls that answered LSTM_ERROR_MEMORY */
    double digest;   /* of the results */
} run;

static void check_failure(run *r, lstm_status status, const char *call, int line)
{
    if (status == LSTM_ERROR_MEMORY && atomic_load(&r->allocator.refused) > 0 && r->failures == 0) {
        r->failures++;
        return;
    }
    print_error("%s:%d: allocation %zu refused: %s gave %s: %s\n", __FILE__, line,
                atomic_load(&r->allocator.refuse), call, lstm_status_name(status),
                lstm_last_error());
    _fail(__FILE__, line);
}

/* Call, and once more if the allocation that failed was in it. */
#define TWICE(call)                                    \
    do {                                               \
        const lstm_status first_ = (call);             \
        if (first_ != LSTM_OK) {                       \
            check_failure(r, first_, #call, __LINE__); \
            assert_ok(call);                           \
        }                                              \
    } while (0)

static void add_values(run *r, const float *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        r->digest += (double)values[k] * (double)(k % 7 + 1);
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *here = opendir(".");
    assert_non_null(here);
    while (readdir(here))
        count++;
    closedir(here);
    return count;
}

typedef void scenario(run *r);

static void sweep(scenario *play, const char *name)
{
    double expected = 0;
    size_t failures = 0;
    const size_t files = count_files();
    for (size_t refuse = 0;; refuse++) { /* 0: undisturbed */
        run r = {.allocator = {.refuse = refuse}};
        lstm_context_options options = {.struct_size = sizeof options};
        counting_allocator_options(&r.allocator, &options);
        const lstm_status status = lstm_context_create(&r.context, &options);
        if (status != LSTM_OK) {
            check_failure(&r, status, "lstm_context_create", __LINE__);
            assert_null(r.context);
            assert_nothing_left(&r.allocator);
            assert_ok(lstm_context_create(&r.context, &options));
        }
        play(&r);
        lstm_context_destroy(r.context);
        assert_nothing_left(&r.allocator);
        assert_int_equal(count_files(), files);
        failures += r.failures;
        if (refuse == 0)
            expected = r.digest;
        if (r.digest != expected)
            fail_msg("%s: after allocation %zu failed the results are others (%.17g, %.17g)", name,
                     refuse, r.digest, expected);
        if (refuse > 0 && atomic_load(&r.allocator.refused) == 0) {
            print_message("%-16s %zu allocations, %zu of them failed a call\n", name, refuse - 1,
                          failures);
            assert_true(failures > 0);
            return;
        }
        assert_true(refuse < 100000);
    }
}

/* ---- Building */

static void build_calls(run *r)
{
    lstm_model *m = NULL;
    lstm_layer *sequence = NULL;
    lstm_layer *encoder = NULL;
    lstm_layer *head = NULL;
    lstm_layer *c = NULL;
    const double offset[2] = {1, 2};
    TWICE(lstm_model_create(&m, r->context, NULL));
    TWICE(lstm_model_add_input(m, OPTIONS(lstm_input, .steps = 4, .features = 2), &sequence));
    TWICE(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3, .return_sequences = LSTM_YES),
                              sequence, &encoder));
    TWICE(lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = 0.5f), encoder, NULL));
    TWICE(lstm_model_add_activation(m, NULL, NULL, NULL));
    TWICE(lstm_model_add_reshape(m, OPTIONS(lstm_reshape, .steps = 2), NULL, NULL));
    TWICE(lstm_model_add_flatten(m, NULL, NULL, NULL));
    TWICE(lstm_model_add_repeat_vector(m, OPTIONS(lstm_repeat_vector, .count = 2), NULL, NULL));
    TWICE(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 3, .initial_state = encoder), NULL,
                              NULL));
    for (int k = 0; k < 5; k++)
        TWICE(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 2), NULL, &head));
    assert_ok(lstm_layer_state(encoder, NULL, &c));
    TWICE(lstm_model_set_outputs(m, (const lstm_layer *[]){head, c}, 2));
    TWICE(lstm_model_build(m));
    for (int k = 0; k < 10; k++) {
        char key[8] = {'k', (char)('0' + k)};
        TWICE(lstm_model_set_metadata(m, key, "text"));
        TWICE(lstm_model_set_metadata(m, key, "another text"));
    }
    TWICE(lstm_model_set_scaler(m, LSTM_SCALER_INPUT, 2, offset, offset));
    TWICE(lstm_model_set_scaler(m, LSTM_SCALER_INPUT, 1, offset, offset));
    char text[8192];
    TWICE(lstm_model_to_json(m, text, sizeof text, NULL));
    assert_int_equal(lstm_model_layer_count(m), 13);
    assert_string_equal(lstm_model_metadata(m, "k9"), "another text");
    size_t count = 0;
    float *values = copy_parameters(m, &count);
    add_values(r, values, count);
    r->digest += (double)strlen(text);
    free(values);
    lstm_model_destroy(m);
}

/* Whole builders, whose own cleaning up is tried at every call. */
static void build_models(run *r)
{
    lstm_model *m = NULL;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        TWICE(build_everything(&m, r->context, profile, 1));
        size_t count = 0;
        float *values = copy_parameters(m, &count);
        add_values(r, values, count);
        free(values);
        lstm_model_destroy(m);
    }
}

/* ---- Training */

enum { N = 12, X = N * STACK_STEPS * STACK_FEATURES, Y = N * STACK_OUTPUTS };

static float x[X], y[Y];
static const lstm_data data = {
    .struct_size = sizeof data, .samples = N, .x = x, .x_count = X, .y = y, .y_count = Y};
static const int32_t metrics[] = {LSTM_METRIC_MAE};

static lstm_model *new_stack(run *r)
{
    lstm_model *m = NULL;
    TWICE(build_stack(&m, r->context));
    return m;
}

static void add_history(run *r, const lstm_history *history)
{
    for (size_t e = 0; e < lstm_history_epochs(history); e++)
        for (size_t c = 0; c < lstm_history_columns(history); c++)
            r->digest += lstm_history_value(history, e, c);
}

/* A run that fails half way has trained: it is repeated with a new model. A failed run's history
 * holds whole epochs. */
static void fit_once(run *r, const lstm_fit_options *options)
{
    lstm_model *m = new_stack(r);
    lstm_history *history = NULL;
    lstm_status status = lstm_fit(m, options, &data, &history);
    if (status != LSTM_OK) {
        check_failure(r, status, "lstm_fit", __LINE__);
        assert_true(!history || lstm_history_epochs(history) > 0);
        lstm_history_destroy(history);
        float out[Y];
        assert_ok(lstm_predict(m, &data, out, Y)); /* the model is still one */
        lstm_model_destroy(m);
        m = new_stack(r);
        assert_ok(lstm_fit(m, options, &data, &history));
    }
    size_t count = 0;
    float *values = copy_parameters(m, &count);
    add_values(r, values, count);
    add_history(r, history);
    free(values);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
}

static void fit(run *r)
{
    const lstm_optimizer_options adam = {.struct_size = sizeof adam, .amsgrad = LSTM_YES};
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 3,
                                .batch_size = 5,
                                .validation_split = 0.25,
                                .early_stopping = 5,
                                .metrics = metrics,
                                .metric_count = 1,
                                .checkpoint = "sweep.checkpoint",
                                .optimizer_options = &adam};
    fit_once(r, &options);
    options.epochs = 4;
    options.resume = options.checkpoint;
    options.checkpoint = NULL;
    fit_once(r, &options);
    remove("sweep.checkpoint");
}

static void predict_and_evaluate(run *r)
{
    lstm_model *m = new_stack(r);
    float out[Y];
    double values[2];
    TWICE(lstm_predict(m, &data, out, Y));
    TWICE(lstm_evaluate(m, OPTIONS(lstm_evaluate, .metrics = metrics, .metric_count = 1), &data,
                        values, 2));
    add_values(r, out, Y);
    r->digest += values[0] + values[1];
    lstm_model_destroy(m);
}

static void manual_loop(run *r)
{
    lstm_model *m = new_stack(r);
    lstm_session *session = NULL;
    lstm_optimizer *optimizer = NULL;
    TWICE(
        lstm_session_create(&session, m, OPTIONS(lstm_session, .training = LSTM_YES, .batch = N)));
    TWICE(lstm_optimizer_create(&optimizer, m, OPTIONS(lstm_optimizer, .amsgrad = LSTM_YES)));
    for (int k = 0; k < 3; k++) {
        TWICE(lstm_session_forward(session, &data));
        TWICE(lstm_session_loss(session, NULL, &data, NULL));
        TWICE(lstm_session_backward(session));
        TWICE(lstm_optimizer_step(optimizer, session));
        TWICE(lstm_checkpoint_save("sweep.checkpoint", m, optimizer, k));
        TWICE(lstm_checkpoint_load("sweep.checkpoint", m, optimizer, NULL));
    }
    size_t count = 0;
    float *values = copy_parameters(m, &count);
    add_values(r, values, count);
    free(values);
    lstm_model_destroy(m);
    lstm_session_destroy(session);
    lstm_optimizer_destroy(optimizer);
    remove("sweep.checkpoint");
}

/* ---- Files */

static void save_and_load(run *r)
{
    lstm_model *m = new_stack(r);
    lstm_model *loaded = NULL;
    lstm_model *described = NULL;
    const double one = 1;
    char text[8192];
    size_t length = 0;
    TWICE(lstm_model_set_metadata(m, "note", "text"));
    TWICE(lstm_model_set_scaler(m, LSTM_SCALER_TARGET, 1, &one, &one));
    TWICE(lstm_model_save(m, "sweep.lstm"));
    TWICE(lstm_model_load(&loaded, r->context, "sweep.lstm"));
    assert_true(same_parameters(m, loaded));
    assert_string_equal(lstm_model_metadata(loaded, "note"), "text");
    TWICE(lstm_model_to_json(m, text, sizeof text, &length));
    TWICE(lstm_model_from_json(&described, r->context, text, length));
    assert_true(same_parameters(m, described));
    lstm_model_destroy(m);
    lstm_model_destroy(loaded);
    lstm_model_destroy(described);
    remove("sweep.lstm");
}

static void archives(run *r)
{
    static const char *const paths[] = {"sweep.npz", "sweep.safetensors", "sweep.npy"};
    const int64_t shape[2] = {3, 4};
    for (size_t k = 0; k < LENGTH(paths); k++) {
        lstm_archive *archive = NULL;
        lstm_archive *loaded = NULL;
        const size_t arrays = k == 2 ? 1 : 11;
        TWICE(lstm_archive_create(&archive, r->context));
        for (size_t a = 0; a < arrays; a++) {
            char name[32];
            snprintf(name, sizeof name, "array%zu", a);
            TWICE(lstm_archive_add(archive, name, 2, shape, x, 12));
        }
        TWICE(lstm_archive_save(archive, paths[k]));
        TWICE(lstm_archive_load(&loaded, r->context, paths[k]));
        assert_int_equal(lstm_archive_count(loaded), arrays);
        for (size_t a = 0; a < arrays; a++) {
            lstm_array_info info = {.struct_size = sizeof info};
            assert_ok(lstm_archive_get(loaded, a, &info));
            add_values(r, info.data, info.count);
        }
        lstm_archive_destroy(archive);
        lstm_archive_destroy(loaded);
        remove(paths[k]);
    }
}

static void tables(run *r)
{
    lstm_table *table = NULL;
    size_t column = 0;
    FILE *file = fopen("sweep.csv", "w");
    assert_non_null(file);
    fputs("date,price,place\n", file);
    for (int k = 0; k < 300; k++)
        fprintf(file, "20%02d-01-%02d,%d.5,\"a place\"\n", k / 28, k % 28 + 1, k);
    assert_int_equal(fclose(file), 0);
    TWICE(lstm_table_load_csv(&table, r->context, "sweep.csv", NULL));
    assert_int_equal(lstm_table_rows(table), 300);
    assert_ok(lstm_table_find_column(table, "price", &column));
    r->digest += lstm_table_column_values(table, column)[299];
    lstm_table_destroy(table);
    remove("sweep.csv");
}

static void primitive_and_least_squares(run *r)
{
    lstm_primitive *p = NULL;
    const double a[] = {1, 0, 1, 1, 1, 2};
    const double b[] = {1, 3, 5};
    double c[2];
    float hn[3];
    TWICE(lstm_primitive_create(
        &p, r->context,
        OPTIONS(lstm_primitive, .input_size = 2, .hidden_size = 3, .batch = 1, .steps = 4)));
    const lstm_primitive_arrays arrays = {
        .struct_size = sizeof arrays, .batch = 1, .steps = 4, .weights = x, .x = x, .hn = hn};
    TWICE(lstm_primitive_forward(p, &arrays));
    add_values(r, hn, 3);
    lstm_primitive_destroy(p);
    TWICE(lstm_least_squares(r->context, a, 3, 2, b, 1, c));
    r->digest += c[0] + c[1];
}

/* ---- A context with threads of its own */

static void test_contexts_with_threads_survive_failed_allocations(void **state)
{
    (void)state;
    for (size_t refuse = 1;; refuse++) {
        counting_allocator allocator = {.refuse = refuse};
        lstm_context *context = NULL;
        lstm_context_options options = {.struct_size = sizeof options, .threads = 3};
        counting_allocator_options(&allocator, &options);
        const lstm_status status = lstm_context_create(&context, &options);
        const size_t refused = atomic_load(&allocator.refused);
        if (refused > 0)
            assert_int_equal(status, LSTM_ERROR_MEMORY);
        else
            assert_ok(status);
        assert_true((context != NULL) == (status == LSTM_OK));
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
        if (refused == 0)
            break;
    }
}

#define SWEEP(play)                                             \
    static void test_failed_allocations_in_##play(void **state) \
    {                                                           \
        (void)state;                                            \
        fill_numbers(x, X, 1);                                  \
        fill_numbers(y, Y, 2);                                  \
        sweep(play, #play);                                     \
    }
SWEEP(build_calls)
SWEEP(build_models)
SWEEP(fit)
SWEEP(predict_and_evaluate)
SWEEP(manual_loop)
SWEEP(save_and_load)
SWEEP(archives)
SWEEP(tables)
SWEEP(primitive_and_least_squares)

/* ---- Hundreds of files are written and brought to the disk: in memory where there is such a folder. */

static char folder[] = "/dev/shm/lstm-sweep-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0)
        folder[0] = 0;
    return 0;
}

static int leave_folder(void **state)
{
    (void)state;
    return folder[0] && (chdir("/") != 0 || rmdir(folder) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_allocations_in_build_calls),
        cmocka_unit_test(test_failed_allocations_in_build_models),
        cmocka_unit_test(test_failed_allocations_in_fit),
        cmocka_unit_test(test_failed_allocations_in_predict_and_evaluate),
        cmocka_unit_test(test_failed_allocations_in_manual_loop),
        cmocka_unit_test(test_failed_allocations_in_save_and_load),
        cmocka_unit_test(test_failed_allocations_in_archives),
        cmocka_unit_test(test_failed_allocations_in_tables),
        cmocka_unit_test(test_failed_allocations_in_primitive_and_least_squares),
        cmocka_unit_test(test_contexts_with_threads_survive_failed_allocations),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
