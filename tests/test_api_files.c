/* SPDX-License-Identifier: MIT
 * Model files: what is saved comes back to the bit; what cannot be read or written gives an error
 * and leaves the old file as it was.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "saved.lstm"

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

/* Files in the working folder, to find temporary files left behind. */
static size_t count_files(void)
{
    size_t count = 0;
    DIR *folder = opendir(".");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* ---- Round trip */

static void check_same_network(lstm_model *a, lstm_model *b)
{
    enum { N = 3 };
    static const size_t x_sizes[] = {N * EVERYTHING_STEPS * EVERYTHING_FEATURES,
                                     N * EVERYTHING_VECTOR};
    static const size_t y_sizes[] = {N * EVERYTHING_STEPS * 3, N * 4, N * 4};
    float *x[2], *ya[3], *yb[3];
    for (size_t k = 0; k < 2; k++)
        x[k] = new_numbers(x_sizes[k], k);
    for (size_t k = 0; k < 3; k++) {
        ya[k] = new_numbers(y_sizes[k], 1);
        yb[k] = new_numbers(y_sizes[k], 2);
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .inputs = (const float *const *)x,
                            .input_sizes = x_sizes,
                            .input_count = 2};
    assert_ok(lstm_predict_outputs(a, &data, ya, y_sizes, 3));
    assert_ok(lstm_predict_outputs(b, &data, yb, y_sizes, 3));
    for (size_t k = 0; k < 3; k++) {
        assert_memory_equal(ya[k], yb[k], y_sizes[k] * sizeof(float));
        free(ya[k]);
        free(yb[k]);
    }
    free(x[0]);
    free(x[1]);
}

static void test_a_saved_model_comes_back_to_the_bit(void **state)
{
    static const double offset[] = {1.0 / 3, -1e300, 5e-324};
    static const double scale[] = {0.1, 1e-300, -2};
    (void)state;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        lstm_model *m = NULL;
        lstm_model *loaded = NULL;
        double o[3], s[3];
        size_t columns = 0;
        assert_ok(build_everything(&m, NULL, profile, 23));
        assert_ok(lstm_model_set_metadata(m, "Größe", "日本語, \"quotes\", \\ and\nlines\t\x1b"));
        assert_ok(lstm_model_set_metadata(m, "empty", ""));
        assert_ok(lstm_model_set_scaler(m, LSTM_SCALER_INPUT, 3, offset, scale));
        assert_ok(lstm_model_set_scaler(m, LSTM_SCALER_TARGET, 1, offset, scale));
        assert_ok(lstm_model_save(m, FILE_NAME));
        assert_ok(lstm_model_load(&loaded, NULL, FILE_NAME));
        assert_true(same_parameters(m, loaded));
        assert_int_equal(lstm_model_profile(loaded), profile);
        check_same_network(m, loaded);
        assert_string_equal(lstm_model_metadata(loaded, "Größe"),
                            "日本語, \"quotes\", \\ and\nlines\t\x1b");
        assert_string_equal(lstm_model_metadata(loaded, "empty"), "");
        assert_null(lstm_model_metadata(loaded, "other"));
        assert_ok(lstm_model_get_scaler(loaded, LSTM_SCALER_INPUT, &columns, o, s, 3));
        assert_int_equal(columns, 3);
        assert_memory_equal(o, offset, sizeof o);
        assert_memory_equal(s, scale, sizeof s);
        assert_ok(lstm_model_get_scaler(loaded, LSTM_SCALER_TARGET, &columns, o, s, 3));
        assert_int_equal(columns, 1);
        /* Saved again it is the same file. */
        size_t size = 0;
        size_t size_again = 0;
        assert_ok(lstm_model_save(loaded, "again.lstm"));
        unsigned char *bytes = read_file(FILE_NAME, &size);
        unsigned char *again = read_file("again.lstm", &size_again);
        assert_int_equal(size, size_again);
        assert_memory_equal(bytes, again, size);
        free(bytes);
        free(again);
        lstm_model_destroy(m);
        lstm_model_destroy(loaded);
    }
    remove(FILE_NAME);
    remove("again.lstm");
}

/* A file begins with the length of its header, which may look like another format: 0x10580 = 80 05
 * 01 like a pickle, 0x7b20 = " {" like JSON. Whoever rewrites a file may pad its header with
 * spaces, which here makes it as long as wanted. */
static void test_every_length_of_the_header_is_recognised(void **state)
{
    static const size_t lengths[] = {0x10580, 0x7b20, 0x0a7b20, 0x7b7b, 0x8080, 0x10480};
    lstm_model *m = NULL;
    size_t size = 0;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 2, 1, 1, 1));
    assert_ok(lstm_model_save(m, FILE_NAME));
    unsigned char *bytes = read_file(FILE_NAME, &size);
    const size_t length = bytes[0] | (size_t)bytes[1] << 8;
    for (size_t k = 0; k < LENGTH(lengths); k++) {
        lstm_model *loaded = NULL;
        const size_t more = lengths[k] - length;
        assert_true(lengths[k] >= length);
        unsigned char *padded = malloc(size + more);
        memset(padded, ' ', size + more);
        memcpy(padded, bytes, 8 + length);
        memcpy(padded + 8 + length + more, bytes + 8 + length, size - 8 - length);
        for (size_t b = 0; b < 3; b++)
            padded[b] = (unsigned char)(lengths[k] >> (8 * b));
        write_file(FILE_NAME, padded, size + more);
        free(padded);
        assert_ok(lstm_model_load(&loaded, NULL, FILE_NAME));
        assert_true(same_parameters(m, loaded));
        lstm_model_destroy(loaded);
    }
    free(bytes);
    lstm_model_destroy(m);
    remove(FILE_NAME);
}

static void test_a_json_description_is_a_model_file_too(void **state)
{
    static const char text[] = " \n{\"layers\": [{\"type\": \"Input\", \"shape\": [4, 2]}, "
                               "{\"type\": \"LSTM\", \"units\": 3}]}\n";
    lstm_model *m = NULL;
    (void)state;
    write_file("model.json", text, sizeof text - 1);
    assert_ok(lstm_model_load(&m, NULL, "model.json"));
    assert_int_equal(lstm_model_parameter_total(m), 2 * 12 + 3 * 12 + 12);
    lstm_model_destroy(m);
    write_file("model.json", text, sizeof text - 4);
    assert_status_text(lstm_model_load(&m, NULL, "model.json"), LSTM_ERROR_FORMAT, "model.json");
    assert_null(m);
    remove("model.json");
}

/* ---- What cannot be read */

static void test_files_that_cannot_be_opened_give_the_systems_reason(void **state)
{
    lstm_model *m = (lstm_model *)&m;
    (void)state;
    assert_status_text(lstm_model_load(&m, NULL, "there is no such file"), LSTM_ERROR_IO,
                       "No such file");
    assert_null(m);
    assert_status_text(lstm_model_load(&m, NULL, "."), LSTM_ERROR_IO, "directory");
    assert_status(lstm_model_load(&m, NULL, ""), LSTM_ERROR_IO);
    assert_status(lstm_model_load(&m, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_load(NULL, NULL, FILE_NAME), LSTM_ERROR_ARGUMENT);
    if (geteuid() != 0) {
        write_file("locked", "x", 1);
        assert_int_equal(chmod("locked", 0), 0);
        assert_status_text(lstm_model_load(&m, NULL, "locked"), LSTM_ERROR_IO, "ermission");
        remove("locked");
    } else {
        print_message("an unreadable file is not tried: root may read everything\n");
    }
}

static void test_files_of_other_formats_are_called_by_their_names(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        lstm_status status;
        const char *words;
    } files[] = {{"PK\3\4\24\0\0\0\10\0", 10, LSTM_ERROR_FORMAT, "ZIP"},
                 {"\211HDF\r\n\032\n\0\0\0\0", 12, LSTM_ERROR_FORMAT, FILE_NAME},
                 {"\223NUMPY\1\0v\0{'descr'", 18, LSTM_ERROR_UNSUPPORTED, "NumPy"},
                 {"\200\2}q\0.", 6, LSTM_ERROR_FORMAT, "pickle"},
                 {"", 0, LSTM_ERROR_FORMAT, FILE_NAME},
                 {"\0\0\0\0\0\0\0\0", 8, LSTM_ERROR_FORMAT, FILE_NAME},
                 {"   \n", 4, LSTM_ERROR_FORMAT, FILE_NAME},
                 {"date,price\n2020-01-01,3\n", 24, LSTM_ERROR_FORMAT, FILE_NAME},
                 {"{}", 2, LSTM_ERROR_FORMAT, FILE_NAME}};
    (void)state;
    for (size_t k = 0; k < LENGTH(files); k++) {
        lstm_model *m = (lstm_model *)&m;
        write_file(FILE_NAME, files[k].bytes, files[k].size);
        assert_status_text(lstm_model_load(&m, NULL, FILE_NAME), files[k].status, files[k].words);
        assert_null(m);
        print_message("%s\n", lstm_last_error());
    }
    remove(FILE_NAME);
}

/* ---- What cannot be written */

static void test_places_that_cannot_be_written_are_errors(void **state)
{
    lstm_model *m = NULL;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 3, 1, 2, 1));
    const size_t files = count_files();
    assert_status_text(lstm_model_save(m, "no/such/folder/model.lstm"), LSTM_ERROR_IO,
                       "no/such/folder");
    assert_status(lstm_model_save(m, "."), LSTM_ERROR_IO);
    assert_status(lstm_model_save(m, ""), LSTM_ERROR_IO);
    assert_status_text(lstm_model_save(m, "/dev/full"), LSTM_ERROR_IO, "No space left");
    assert_status(lstm_model_save(m, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_save(NULL, FILE_NAME), LSTM_ERROR_ARGUMENT);
    assert_int_equal(count_files(), files);
    lstm_model_destroy(m);
}

/* A file size limit stands for the full disk: every limit up to the file's size fails, and the old
 * file stays. */
static void test_a_full_disk_leaves_the_old_file_and_no_other(void **state)
{
    lstm_model *m = NULL;
    lstm_model *old = NULL;
    lstm_model *loaded = NULL;
    lstm_optimizer *optimizer = NULL;
    struct rlimit before, low;
    size_t size = 0;
    size_t new_size = 0;
    (void)state;
    assert_ok(build_tutorial(&old, NULL, 3, 1, 2, 1));
    assert_ok(build_tutorial(&m, NULL, 3, 2, 20, 3));
    assert_ok(lstm_optimizer_create(&optimizer, m, NULL));
    assert_ok(lstm_model_save(m, FILE_NAME));
    free(read_file(FILE_NAME, &new_size));
    assert_ok(lstm_model_save(old, FILE_NAME));
    unsigned char *bytes = read_file(FILE_NAME, &size);
    const size_t files = count_files();
    fflush(stdout);
    fflush(stderr);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    lstm_status statuses[2][16];
    for (size_t k = 0; k < 16; k++) {
        low.rlim_cur = (rlim_t)(k * (new_size - 1) / 15);
        if (setrlimit(RLIMIT_FSIZE, &low) != 0)
            break;
        statuses[0][k] = lstm_model_save(m, FILE_NAME);
        statuses[1][k] = lstm_checkpoint_save(FILE_NAME, m, optimizer, 1);
        setrlimit(RLIMIT_FSIZE, &before);
    }
    signal(SIGXFSZ, handler);
    for (size_t k = 0; k < 16; k++) {
        assert_int_equal(statuses[0][k], LSTM_ERROR_IO);
        assert_int_equal(statuses[1][k], LSTM_ERROR_IO);
    }
    size_t size_after = 0;
    unsigned char *after = read_file(FILE_NAME, &size_after);
    assert_int_equal(size_after, size);
    assert_memory_equal(after, bytes, size);
    assert_int_equal(count_files(), files);
    assert_ok(lstm_model_load(&loaded, NULL, FILE_NAME));
    assert_true(same_parameters(old, loaded));
    free(bytes);
    free(after);
    lstm_optimizer_destroy(optimizer);
    lstm_model_destroy(m);
    lstm_model_destroy(old);
    lstm_model_destroy(loaded);
    remove(FILE_NAME);
}

static void test_saving_over_an_old_file_replaces_it(void **state)
{
    lstm_model *first = NULL;
    lstm_model *second = NULL;
    lstm_model *loaded = NULL;
    (void)state;
    assert_ok(build_tutorial(&first, NULL, 3, 1, 9, 4));
    assert_ok(build_tutorial(&second, NULL, 3, 1, 2, 1));
    const size_t files = count_files();
    assert_ok(lstm_model_save(first, FILE_NAME));
    assert_ok(lstm_model_save(second, FILE_NAME));
    assert_int_equal(count_files(), files + 1);
    assert_ok(lstm_model_load(&loaded, NULL, FILE_NAME));
    assert_true(same_parameters(second, loaded));
    lstm_model_destroy(first);
    lstm_model_destroy(second);
    lstm_model_destroy(loaded);
    remove(FILE_NAME);
}

/* ---- A failed training run keeps its last checkpoint */

static int32_t make_room_small(void *user, const lstm_progress *progress)
{
    if (progress->event == LSTM_PROGRESS_EPOCH && progress->epoch == 2)
        setrlimit(RLIMIT_FSIZE, user);
    return 0;
}

static void test_a_full_disk_in_training_keeps_the_last_checkpoint(void **state)
{
    float x[8 * STACK_STEPS * STACK_FEATURES], y[8 * STACK_OUTPUTS];
    lstm_model *m = NULL;
    lstm_history *history = NULL;
    struct rlimit before, low;
    (void)state;
    fill_numbers(x, LENGTH(x), 1);
    fill_numbers(y, LENGTH(y), 2);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 8,
                            .x = x,
                            .x_count = LENGTH(x),
                            .y = y,
                            .y_count = LENGTH(y)};
    assert_ok(build_stack(&m, NULL));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100;
    fflush(stdout);
    fflush(stderr);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 5,
                                .checkpoint = "training.checkpoint",
                                .progress = make_room_small,
                                .progress_user = &low};
    const lstm_status status = lstm_fit(m, &options, &data, &history);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, LSTM_ERROR_IO);
    assert_int_equal(lstm_history_epochs(history), 2);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
    assert_ok(build_stack(&m, NULL));
    options.resume = options.checkpoint; /* that of the first epoch */
    options.progress = NULL;
    assert_ok(lstm_fit(m, &options, &data, &history));
    assert_int_equal(lstm_history_epochs(history), 5);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
    remove("training.checkpoint");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_saved_model_comes_back_to_the_bit),
        cmocka_unit_test(test_every_length_of_the_header_is_recognised),
        cmocka_unit_test(test_a_json_description_is_a_model_file_too),
        cmocka_unit_test(test_files_that_cannot_be_opened_give_the_systems_reason),
        cmocka_unit_test(test_files_of_other_formats_are_called_by_their_names),
        cmocka_unit_test(test_places_that_cannot_be_written_are_errors),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file_and_no_other),
        cmocka_unit_test(test_saving_over_an_old_file_replaces_it),
        cmocka_unit_test(test_a_full_disk_in_training_keeps_the_last_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
