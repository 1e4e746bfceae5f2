/* SPDX-License-Identifier: MIT
 * Files cut at every byte and with every bit turned: always an error, never a crash; newer files;
 * the hostile files of ../shared/golden/malformed.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "damaged.lstm"

static void write_file(const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(FILE_NAME, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static unsigned char *read_file(size_t *size)
{
    FILE *file = fopen(FILE_NAME, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

/* A model of one unit, its optimizer, and a run with its data: the smallest files. */
typedef struct subject {
    lstm_model *model;
    lstm_optimizer *optimizer;
    float x[6], y[3];
    lstm_data data;
} subject;

static void subject_start(subject *s)
{
    assert_ok(build_tutorial(&s->model, NULL, 2, 1, 1, 1));
    assert_ok(lstm_optimizer_create(&s->optimizer, s->model,
                                    OPTIONS(lstm_optimizer, .optimizer = LSTM_OPTIMIZER_SGD)));
    fill_numbers(s->x, 6, 1);
    fill_numbers(s->y, 3, 2);
    s->data = (lstm_data){.struct_size = sizeof s->data,
                          .samples = 3,
                          .x = s->x,
                          .x_count = 6,
                          .y = s->y,
                          .y_count = 3};
}

static void subject_end(subject *s)
{
    lstm_optimizer_destroy(s->optimizer);
    lstm_model_destroy(s->model);
    remove(FILE_NAME);
}

typedef lstm_status load_call(subject *s);

static lstm_status load_model(subject *s)
{
    lstm_model *m = s->model;
    const lstm_status status = lstm_model_load(&m, NULL, FILE_NAME);
    assert_true((m != NULL) == (status == LSTM_OK));
    lstm_model_destroy(m);
    return status;
}

static lstm_status load_checkpoint(subject *s)
{
    return lstm_checkpoint_load(FILE_NAME, s->model, s->optimizer, NULL);
}

static lstm_status load_run(subject *s)
{
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = 1,
                                      .resume = FILE_NAME,
                                      .optimizer = s->optimizer,
                                      .early_stopping = 2};
    return lstm_fit(s->model, &options, &s->data, NULL);
}

/* Every prefix, then every single bit turned. A refused file must leave the model as it was. */
static void check_damage(subject *s, load_call *load, const char *what)
{
    size_t size = 0;
    size_t count = 0;
    size_t kinds[12] = {0};
    unsigned char *bytes = read_file(&size);
    assert_ok(load(s));
    float *before = copy_parameters(s->model, &count);
    const int file = open(FILE_NAME, O_RDWR);
    assert_true(file >= 0);
    for (size_t cut = size; cut-- > 0;) {
        assert_int_equal(ftruncate(file, (off_t)cut), 0);
        if (load(s) == LSTM_OK)
            fail_msg("%s cut to %zu of %zu bytes was accepted", what, cut, size);
    }
    assert_int_equal(pwrite(file, bytes, size, 0), size);
    for (size_t place = 0; place < size; place++)
        for (int bit = 0; bit < 8; bit++) {
            const unsigned char turned = (unsigned char)(bytes[place] ^ (1 << bit));
            assert_int_equal(pwrite(file, &turned, 1, (off_t)place), 1);
            const lstm_status status = load(s);
            if (status == LSTM_OK)
                fail_msg("%s with bit %d of byte %zu turned (now %#x) was accepted", what, bit,
                         place, turned);
            kinds[-status / 10]++;
            assert_int_equal(pwrite(file, &bytes[place], 1, (off_t)place), 1);
        }
    assert_int_equal(close(file), 0);
    float *after = copy_parameters(s->model, &count);
    assert_memory_equal(before, after, count * sizeof *before);
    print_message("%s: %zu bytes, %zu bits:", what, size, 8 * size);
    for (int k = 0; k < 12; k++)
        if (kinds[k])
            print_message(" %zu %s", kinds[k], lstm_status_name(-10 * k));
    print_message("\n");
    assert_ok(load(s));
    free(before);
    free(after);
    free(bytes);
}

static void test_every_cut_and_every_turned_bit_of_a_model_file_is_an_error(void **state)
{
    subject s;
    const double offset = 1;
    const double scale = 2;
    (void)state;
    subject_start(&s);
    assert_ok(lstm_model_set_metadata(s.model, "note", "ä\n\x1b"));
    assert_ok(lstm_model_set_scaler(s.model, LSTM_SCALER_TARGET, 1, &offset, &scale));
    assert_ok(lstm_model_save(s.model, FILE_NAME));
    check_damage(&s, load_model, "model");
    subject_end(&s);
}

static void test_every_cut_and_every_turned_bit_of_a_checkpoint_is_an_error(void **state)
{
    subject s;
    (void)state;
    subject_start(&s);
    assert_ok(lstm_checkpoint_save(FILE_NAME, s.model, s.optimizer, 5));
    check_damage(&s, load_checkpoint, "checkpoint");
    subject_end(&s);
}

static void test_every_cut_and_every_turned_bit_of_a_runs_checkpoint_is_an_error(void **state)
{
    subject s;
    (void)state;
    subject_start(&s);
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = 1,
                                      .checkpoint = FILE_NAME,
                                      .optimizer = s.optimizer,
                                      .early_stopping = 2};
    assert_ok(lstm_fit(s.model, &options, &s.data, NULL));
    check_damage(&s, load_run, "run");
    subject_end(&s);
}

static void test_files_of_a_newer_version_are_unsupported_not_damaged(void **state)
{
    static const char key[] = "\"lstm.format_version\":\"1\"";
    subject s;
    size_t size = 0;
    (void)state;
    subject_start(&s);
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 0)
            assert_ok(lstm_model_save(s.model, FILE_NAME));
        else
            assert_ok(lstm_checkpoint_save(FILE_NAME, s.model, s.optimizer, 5));
        unsigned char *bytes = read_file(&size);
        size_t place = 0;
        while (place + sizeof key < size && memcmp(bytes + place, key, sizeof key - 1) != 0)
            place++;
        assert_true(place + sizeof key < size);
        bytes[place + sizeof key - 3] = '2';
        write_file(bytes, size);
        assert_status_text(kind == 0 ? load_model(&s) : load_checkpoint(&s), LSTM_ERROR_UNSUPPORTED,
                           "version 2");
        print_message("%s\n", lstm_last_error());
        free(bytes);
    }
    subject_end(&s);
}

/* ---- ../shared/golden/malformed */

static const char *malformed_folder(void)
{
    static char path[1024];
    const char *shared = getenv("LSTM_SHARED");
    snprintf(path, sizeof path, "%s/golden/malformed",
             shared && shared[0] ? shared : LSTM_SHARED_DIR);
    return path;
}

static void test_hostile_files_are_refused_by_every_reader(void **state)
{
    size_t tried = 0;
    DIR *folder = opendir(malformed_folder());
    (void)state;
    if (!folder) {
        print_message("skipped: ../shared is absent\n");
        skip();
    }
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char path[1400];
        lstm_model *m = (lstm_model *)&m;
        lstm_archive *archive = (lstm_archive *)&archive;
        lstm_table *table = (lstm_table *)&table;
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "malformed.json") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", malformed_folder(), entry->d_name);
        assert_true(lstm_model_load(&m, NULL, path) != LSTM_OK);
        assert_null(m);
        print_message("%s\n", lstm_last_error());
        const lstm_status status = lstm_archive_load(&archive, NULL, path);
        assert_true((archive != NULL) == (status == LSTM_OK));
        print_message("    archive: %s %s\n", lstm_status_name(status),
                      status == LSTM_OK ? "" : lstm_last_error());
        double sum = 0; /* whatever was accepted lies in memory */
        for (size_t k = 0; k < lstm_archive_count(archive); k++) {
            lstm_array_info info = {.struct_size = sizeof info};
            assert_ok(lstm_archive_get(archive, k, &info));
            for (size_t v = 0; v < info.count; v++)
                sum += (double)info.data[v];
        }
        assert_true(sum == sum || isnan(sum));
        lstm_archive_destroy(archive);
        if (lstm_table_load_csv(&table, NULL, path, NULL) == LSTM_OK)
            lstm_table_destroy(table);
        tried++;
    }
    closedir(folder);
    print_message("%zu files\n", tried);
    assert_true(tried > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_and_every_turned_bit_of_a_model_file_is_an_error),
        cmocka_unit_test(test_every_cut_and_every_turned_bit_of_a_checkpoint_is_an_error),
        cmocka_unit_test(test_every_cut_and_every_turned_bit_of_a_runs_checkpoint_is_an_error),
        cmocka_unit_test(test_files_of_a_newer_version_are_unsupported_not_damaged),
        cmocka_unit_test(test_hostile_files_are_refused_by_every_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
