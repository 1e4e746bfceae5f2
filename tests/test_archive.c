/* SPDX-License-Identifier: MIT
 *
 * lstm_archive through its public functions: every return code, the three formats there and back,
 * damage at every byte, the hostile files of ../shared/golden/malformed, failing allocations, a
 * full disk.
 */
#include "test_io_support.h"

#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <jansson.h>

static const float values[6] = {1.5f, -2, 0, 3e-40f, 1e38f, -0.0f};

/* An archive with "a" (2, 3), "lstm/kernel:0" (1) and "none" (0). */
static lstm_archive *example(lstm_context *context)
{
    lstm_archive *archive = NULL;
    assert_works(lstm_archive_create(&archive, context));
    assert_works(lstm_archive_add(archive, "a", 2, (int64_t[]){2, 3}, values, 6));
    assert_works(lstm_archive_add(archive, "lstm/kernel:0", 0, NULL, values, 1));
    assert_works(lstm_archive_add(archive, "none", 1, (int64_t[]){0}, NULL, 0));
    return archive;
}

static void check_example(const lstm_archive *archive)
{
    lstm_array_info info = {.struct_size = sizeof info};
    assert_int_equal(lstm_archive_count(archive), 3);
    assert_works(lstm_archive_find(archive, "a", &info));
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.shape[0], 2);
    assert_int_equal(info.shape[1], 3);
    assert_int_equal(info.count, 6);
    assert_memory_equal(info.data, values, sizeof values);
    assert_works(lstm_archive_find(archive, "lstm/kernel:0", &info));
    assert_int_equal(info.rank, 0);
    assert_int_equal(info.count, 1);
    assert_true(info.data[0] == values[0]);
    assert_works(lstm_archive_find(archive, "none", &info));
    assert_int_equal(info.count, 0);
    assert_works(lstm_archive_get(archive, 0, &info));
    assert_string_equal(info.name, "a");
}

static void test_archives_return_as_they_were(void **state)
{
    (void)state;
    static const char *const paths[] = {"example.npz", "example.safetensors", "EXAMPLE.NPZ"};
    lstm_archive *const archive = example(NULL);
    for (size_t k = 0; k < 3; k++) {
        lstm_archive *again = NULL;
        assert_works(lstm_archive_save(archive, paths[k]));
        assert_works(lstm_archive_load(&again, NULL, paths[k]));
        check_example(again);
        assert_works(lstm_archive_add(again, "more", 0, NULL, values, 1));
        assert_fails(lstm_archive_add(again, "a", 0, NULL, values, 1), LSTM_ERROR_ARGUMENT,
                     "already has an array \"a\"");
        lstm_archive_destroy(again);
    }
    lstm_archive_destroy(archive);
}

static void test_a_npy_file_holds_one_array(void **state)
{
    (void)state;
    lstm_archive *archive = NULL;
    lstm_array_info info = {.struct_size = sizeof info};
    assert_works(lstm_archive_create(&archive, NULL));
    assert_fails(lstm_archive_save(archive, "one.npy"), LSTM_ERROR_SHAPE,
                 "holds exactly one array, the archive has 0");
    assert_works(lstm_archive_add(archive, "any name", 1, (int64_t[]){6}, values, 6));
    assert_works(lstm_archive_save(archive, "one.npy"));
    assert_works(lstm_archive_add(archive, "second", 1, (int64_t[]){6}, values, 6));
    assert_fails(lstm_archive_save(archive, "one.npy"), LSTM_ERROR_SHAPE,
                 "one.npy: a .npy file holds exactly one array");
    lstm_archive_destroy(archive);
    assert_works(lstm_archive_load(&archive, NULL, "one.npy"));
    assert_int_equal(lstm_archive_count(archive), 1);
    assert_works(lstm_archive_get(archive, 0, &info));
    assert_string_equal(info.name, "array");
    assert_memory_equal(info.data, values, sizeof values);
    lstm_archive_destroy(archive);
}

static void test_empty_archives_are_files_too(void **state)
{
    (void)state;
    static const char *const paths[] = {"empty.npz", "empty.safetensors"};
    lstm_archive *archive = NULL;
    lstm_array_info info = {.struct_size = sizeof info};
    assert_works(lstm_archive_create(&archive, NULL));
    for (size_t k = 0; k < 2; k++) {
        lstm_archive *again = NULL;
        assert_works(lstm_archive_save(archive, paths[k]));
        assert_works(lstm_archive_load(&again, NULL, paths[k]));
        assert_int_equal(lstm_archive_count(again), 0);
        assert_fails(lstm_archive_find(again, "a", &info), LSTM_ERROR_NOT_FOUND, "it has: none");
        lstm_archive_destroy(again);
    }
    lstm_archive_destroy(archive);
}

static void test_files_of_other_systems_are_recognised_by_content(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *array;
        size_t count;
        float second, last;
    } files[] = {
        {"npy/f4.npy", "array", 6, -1, 1},
        {"npy/f8.npy", "array", 6, -1, 1},
        {"npy/big_f4.npy", "array", 6, -1, 1},
        {"npy/fortran.npy", "array", 24, -5.5f, 5.5f},
        {"npy/b1.npy", "array", 6, 1, 1},
        {"zip/stored.npz", "a", 6, -1, 1},
        {"zip/deflated.npz", "lstm/kernel", 4, -0.5f, 0.5f},
        {"zip/streamed.npz", "a", 6, -1, 1},
        {"safetensors/mixed.safetensors", "half", 3, 0, 0.5f},
        {"safetensors/all.safetensors", "u64", 3, 1, 2},
    };
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        char path[4096];
        lstm_archive *archive = NULL;
        lstm_array_info info = {.struct_size = sizeof info};
        snprintf(path, sizeof path, "%s/fuzz/corpus/%s", LSTM_TESTS_DIR, files[k].name);
        assert_works(lstm_archive_load(&archive, NULL, path));
        assert_works(lstm_archive_find(archive, files[k].array, &info));
        assert_int_equal(info.count, files[k].count);
        assert_true(info.data[1] == files[k].second);
        assert_true(info.data[info.count - 1] == files[k].last);
        lstm_archive_destroy(archive);
    }
}

static void test_arguments_are_checked(void **state)
{
    (void)state;
    lstm_archive *const archive = example(NULL);
    lstm_archive *other = archive;
    lstm_array_info info = {.struct_size = sizeof info};
    lstm_array_info unset = {.struct_size = 0};
    assert_fails(lstm_archive_create(NULL, NULL), LSTM_ERROR_ARGUMENT, "out is NULL");
    assert_fails(lstm_archive_load(NULL, NULL, "x"), LSTM_ERROR_ARGUMENT, "out is NULL");
    assert_fails(lstm_archive_load(&other, NULL, NULL), LSTM_ERROR_ARGUMENT, "path is NULL");
    assert_null(other);
    assert_fails(lstm_archive_load(&other, NULL, ""), LSTM_ERROR_ARGUMENT, "path is empty");
    assert_fails(lstm_archive_get(NULL, 0, &info), LSTM_ERROR_ARGUMENT, "archive is NULL");
    assert_fails(lstm_archive_get(archive, 0, NULL), LSTM_ERROR_ARGUMENT, "info is NULL");
    assert_fails(lstm_archive_get(archive, 3, &info), LSTM_ERROR_ARGUMENT,
                 "index is 3, the archive has 3 arrays");
    assert_fails(lstm_archive_get(archive, 0, &unset), LSTM_ERROR_ARGUMENT, "struct_size");
    assert_fails(lstm_archive_find(NULL, "a", &info), LSTM_ERROR_ARGUMENT, "archive is NULL");
    assert_fails(lstm_archive_find(archive, NULL, &info), LSTM_ERROR_ARGUMENT, "name is NULL");
    assert_fails(lstm_archive_find(archive, "a", NULL), LSTM_ERROR_ARGUMENT, "info is NULL");
    assert_fails(
        lstm_archive_find(archive, "nine", &info), LSTM_ERROR_NOT_FOUND,
        "the archive has no array \"nine\"; did you mean \"none\"? It has: a, lstm/kernel:0, none");
    assert_fails(lstm_archive_save(NULL, "x.npz"), LSTM_ERROR_ARGUMENT, "archive is NULL");
    assert_fails(lstm_archive_save(archive, NULL), LSTM_ERROR_ARGUMENT, "path is NULL");
    assert_fails(lstm_archive_save(archive, ""), LSTM_ERROR_ARGUMENT, "path is empty");
    assert_fails(lstm_archive_save(archive, "x.txt"), LSTM_ERROR_ARGUMENT,
                 "expected .npy, .npz or .safetensors");
    assert_fails(lstm_archive_save(archive, "absent/x.npz"), LSTM_ERROR_IO,
                 "No such file or directory");
    assert_int_equal(lstm_archive_count(NULL), 0);
    lstm_archive_destroy(NULL);
    lstm_archive_destroy(archive);
}

static void test_added_arrays_are_checked(void **state)
{
    (void)state;
    lstm_archive *const archive = example(NULL);
    const int64_t two[] = {2};
    const int64_t negative[] = {-1, -2};
    const int64_t huge[] = {INT64_MAX, INT64_MAX};
    const int64_t nine[9] = {0};
    assert_fails(lstm_archive_add(NULL, "x", 1, two, values, 2), LSTM_ERROR_ARGUMENT,
                 "archive is NULL");
    assert_fails(lstm_archive_add(archive, NULL, 1, two, values, 2), LSTM_ERROR_ARGUMENT,
                 "name is NULL");
    assert_fails(lstm_archive_add(archive, "", 1, two, values, 2), LSTM_ERROR_ARGUMENT,
                 "name is empty");
    assert_fails(lstm_archive_add(archive, "x\n", 1, two, values, 2), LSTM_ERROR_ARGUMENT,
                 "control characters");
    assert_fails(lstm_archive_add(archive, "x", -1, two, values, 2), LSTM_ERROR_ARGUMENT,
                 "rank is -1");
    assert_fails(lstm_archive_add(archive, "x", 9, nine, values, 0), LSTM_ERROR_ARGUMENT,
                 "rank is 9");
    assert_fails(lstm_archive_add(archive, "x", 1, NULL, values, 2), LSTM_ERROR_ARGUMENT,
                 "shape is NULL");
    assert_fails(lstm_archive_add(archive, "x", 1, two, NULL, 2), LSTM_ERROR_ARGUMENT,
                 "data is NULL");
    assert_fails(lstm_archive_add(archive, "x", 1, two, values, 3), LSTM_ERROR_SHAPE,
                 "array \"x\": count is 3, the product of its shape is 2");
    assert_fails(lstm_archive_add(archive, "x", 2, negative, values, 2), LSTM_ERROR_SHAPE,
                 "is negative");
    assert_fails(lstm_archive_add(archive, "x", 2, huge, values, 1), LSTM_ERROR_SHAPE, "overflows");
    assert_fails(lstm_archive_add(archive, "a", 1, two, values, 2), LSTM_ERROR_ARGUMENT,
                 "already has an array \"a\"");
    check_example(archive);
    assert_works(lstm_archive_add(archive, "../up", 1, two, values, 2));
    assert_fails(lstm_archive_save(archive, "up.npz"), LSTM_ERROR_ARGUMENT,
                 "\"../up.npy\" cannot be the name");
    assert_int_equal(access("up.npz", F_OK), -1);
    assert_works(lstm_archive_save(archive, "up.safetensors"));
    lstm_archive_destroy(archive);
}

static void test_files_that_are_none_are_named(void **state)
{
    (void)state;
    lstm_archive *archive = NULL;
    char path[4096];
    assert_fails(lstm_archive_load(&archive, NULL, "absent.npz"), LSTM_ERROR_IO,
                 "absent.npz: cannot open: No such file");
    assert_fails(lstm_archive_load(&archive, NULL, "."), LSTM_ERROR_IO, "is a directory");
    write_text("text.npz", "hello, world");
    assert_fails(lstm_archive_load(&archive, NULL, "text.npz"), LSTM_ERROR_FORMAT,
                 "text.npz: is no .npy, .npz or");
    write_text("empty-file.npz", "");
    assert_fails(lstm_archive_load(&archive, NULL, "empty-file.npz"), LSTM_ERROR_FORMAT,
                 "the file is empty");
    snprintf(path, sizeof path, "%s/fuzz/corpus/npy/complex.npy", LSTM_TESTS_DIR);
    assert_fails(lstm_archive_load(&archive, NULL, path), LSTM_ERROR_UNSUPPORTED,
                 "elements of type '<c8'");
    snprintf(path, sizeof path, "%s/fuzz/corpus/zip/text.zip", LSTM_TESTS_DIR);
    assert_fails(lstm_archive_load(&archive, NULL, path), LSTM_ERROR_FORMAT,
                 "\"config.json\" is no .npy array");
    assert_null(archive);
}

/* Load a damaged file: any status is right that is no crash, as long as failure leaves no archive.
 */
static bool load_damaged(const char *path)
{
    lstm_archive *archive = NULL;
    const lstm_status status = lstm_archive_load(&archive, NULL, path);
    assert_int_equal(status == LSTM_OK, archive != NULL);
    assert_true(status == LSTM_OK || status == LSTM_ERROR_FORMAT ||
                status == LSTM_ERROR_UNSUPPORTED || status == LSTM_ERROR_MEMORY);
    lstm_archive_destroy(archive);
    return status == LSTM_OK;
}

static void test_damage_at_every_byte_is_survived(void **state)
{
    (void)state;
    static const char *const suffixes[] = {"npy", "npz", "safetensors"};
    const int damaged = memfd_create("damaged", MFD_CLOEXEC);
    char damaged_path[64];
    assert_true(damaged >= 0);
    snprintf(damaged_path, sizeof damaged_path, "/proc/self/fd/%d", damaged);
    for (size_t k = 0; k < 3; k++) {
        char path[64];
        size_t size = 0;
        lstm_archive *archive = NULL;
        assert_works(lstm_archive_create(&archive, NULL));
        assert_works(lstm_archive_add(archive, "a", 2, (int64_t[]){2, 3}, values, 6));
        snprintf(path, sizeof path, "damage.%s", suffixes[k]);
        assert_works(lstm_archive_save(archive, path));
        lstm_archive_destroy(archive);
        unsigned char *const content = read_file(path, &size);
        assert_int_equal(pwrite(damaged, content, size, 0), size);
        for (size_t cut = size; cut-- > 0;) {
            assert_int_equal(ftruncate(damaged, (off_t)cut), 0);
            if (load_damaged(damaged_path))
                fail_msg("%s cut to %zu of %zu bytes was taken", path, cut, size);
        }
        size_t taken = 0;
        for (size_t bit = 0; bit < 8 * size; bit++) {
            content[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_int_equal(pwrite(damaged, content, size, 0), size);
            taken += load_damaged(damaged_path);
            content[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        printf("%s: %zu of %zu flipped bits are not noticed\n", suffixes[k], taken, 8 * size);
        assert_int_equal(ftruncate(damaged, 0), 0);
        free(content);
    }
    close(damaged);
}

static void test_every_hostile_file_gives_an_error(void **state)
{
    (void)state;
    const char *const shared = shared_folder();
    if (!shared)
        skip();
    char path[4096];
    snprintf(path, sizeof path, "%s/golden/malformed/malformed.json", shared);
    json_t *const list = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(list);
    const char *name = NULL;
    json_t *entry = NULL;
    size_t tried = 0;
    json_object_foreach(list, name, entry)
    {
        const char *const suffix = strrchr(name, '.');
        if (strcmp(suffix, ".onnx") == 0 || strcmp(suffix, ".h5") == 0)
            continue;
        lstm_archive *archive = NULL;
        snprintf(path, sizeof path, "%s/golden/malformed/%s", shared, name);
        const lstm_status status = lstm_archive_load(&archive, NULL, path);
        tried++;
        /* well-formed arrays, which are wrong for a layer only */
        if (strcmp(name, "wrong_hidden.safetensors") == 0) {
            assert_int_equal(status, LSTM_OK);
            lstm_archive_destroy(archive);
            continue;
        }
        if (status != LSTM_ERROR_FORMAT && status != LSTM_ERROR_UNSUPPORTED)
            fail_msg("%s (%s): %s", name, json_string_value(json_object_get(entry, "why")),
                     lstm_status_name(status));
        assert_null(archive);
    }
    json_decref(list);
    assert_true(tried >= 20);
}

static lstm_status save_and_load(lstm_context *context, const char *path)
{
    lstm_archive *archive = NULL;
    lstm_archive *again = NULL;
    lstm_status status = lstm_archive_create(&archive, context);
    if (status == LSTM_OK)
        status = lstm_archive_add(archive, "a", 1, (int64_t[]){6}, values, 6);
    if (status == LSTM_OK)
        status = lstm_archive_save(archive, path);
    if (status == LSTM_OK)
        status = lstm_archive_load(&again, context, path);
    if (status == LSTM_OK) {
        status = lstm_archive_add(again, "b", 1, (int64_t[]){6}, values, 6);
        assert_int_equal(lstm_archive_count(again), status == LSTM_OK ? 2 : 1);
    }
    lstm_archive_destroy(archive);
    lstm_archive_destroy(again);
    return status;
}

/* Fail the n-th allocation for every n. */
static void sweep(const char *path)
{
    memory m;
    lstm_context *const context = counted_context(&m);
    const size_t blocks = m.blocks;
    lstm_status status = LSTM_ERROR_MEMORY;
    for (long n = 0; status != LSTM_OK; n++) {
        unlink(path);
        m.allowed = n;
        m.failed = false;
        status = save_and_load(context, path);
        if (status != (m.failed ? LSTM_ERROR_MEMORY : LSTM_OK))
            fail_msg("%s, allocation %ld: %s \"%s\"", path, n, lstm_status_name(status),
                     lstm_last_error());
        assert_int_equal(m.blocks, blocks);
        assert_true(n < 200);
    }
    lstm_context_destroy(context);
    assert_int_equal(m.blocks, 0);
}

static void test_every_failing_allocation_is_reported(void **state)
{
    (void)state;
    sweep("sweep.npy");
    sweep("sweep.npz");
    sweep("sweep.safetensors");
    /* Reading what needs conversion and inflating. */
    memory m;
    lstm_context *const context = counted_context(&m);
    char path[4096];
    snprintf(path, sizeof path, "%s/fuzz/corpus/zip/deflated.npz", LSTM_TESTS_DIR);
    lstm_status status = LSTM_ERROR_MEMORY;
    for (long n = 0; status != LSTM_OK; n++) {
        lstm_archive *archive = NULL;
        m.allowed = n;
        status = lstm_archive_load(&archive, context, path);
        assert_true(status == LSTM_OK || status == LSTM_ERROR_MEMORY);
        lstm_archive_destroy(archive);
        assert_true(n < 200);
    }
    lstm_context_destroy(context);
    assert_int_equal(m.blocks, 0);
}

static void test_floats_of_a_file_are_not_copied(void **state)
{
    (void)state;
    enum { COUNT = 1 << 18 };
    static const char *const paths[] = {"large.npy", "large.npz", "large.safetensors"};
    float *const data = calloc(COUNT, sizeof *data);
    lstm_archive *archive = NULL;
    assert_works(lstm_archive_create(&archive, NULL));
    assert_works(lstm_archive_add(archive, "a", 1, (int64_t[]){COUNT}, data, COUNT));
    free(data);
    for (size_t k = 0; k < 3; k++) {
        memory m;
        lstm_context *const context = counted_context(&m);
        lstm_archive *again = NULL;
        assert_works(lstm_archive_save(archive, paths[k]));
        assert_works(lstm_archive_load(&again, context, paths[k]));
        assert_true(m.peak < COUNT * sizeof(float) + 65536);
        lstm_context_destroy(context); /* the archive keeps what it needs */
        lstm_archive_destroy(again);
        assert_int_equal(m.blocks, 0);
    }
    lstm_archive_destroy(archive);
}

/* In a child: save more than the allowed file size over old files. */
static int save_beyond_limit(const lstm_archive *archive, const char *path)
{
    const struct rlimit limit = {.rlim_cur = 60, .rlim_max = 60};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    return lstm_archive_save(archive, path) == LSTM_ERROR_IO &&
                   strstr(lstm_last_error(), "File too large")
               ? 0
               : 3;
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    static const char *const paths[] = {"full.npy", "full.npz", "full.safetensors"};
    lstm_archive *archive = NULL;
    assert_works(lstm_archive_create(&archive, NULL));
    assert_works(lstm_archive_add(archive, "a", 1, (int64_t[]){6}, values, 6));
    for (size_t k = 0; k < 3; k++) {
        write_text(paths[k], "old");
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0)
            _exit(save_beyond_limit(archive, paths[k]));
        int result = -1;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_int_equal(WEXITSTATUS(result), 0);
        assert_true(file_holds(paths[k], "old"));
    }
    lstm_archive_destroy(archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archives_return_as_they_were),
        cmocka_unit_test(test_a_npy_file_holds_one_array),
        cmocka_unit_test(test_empty_archives_are_files_too),
        cmocka_unit_test(test_files_of_other_systems_are_recognised_by_content),
        cmocka_unit_test(test_arguments_are_checked),
        cmocka_unit_test(test_added_arrays_are_checked),
        cmocka_unit_test(test_files_that_are_none_are_named),
        cmocka_unit_test(test_damage_at_every_byte_is_survived),
        cmocka_unit_test(test_every_hostile_file_gives_an_error),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
        cmocka_unit_test(test_floats_of_a_file_are_not_copied),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
