/* SPDX-License-Identifier: MIT
 *
 * Reading whole files, the bounds of a cursor, and atomic writing: what fails leaves the old file
 * and nothing else.
 */
#include "test_io_support.h"

#include "file_reader.h"
#include "file_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static lstm_context *standard;
static int before; /* temporary files that a killed run of this test left */

/* The number of temporary files of a writer in the current folder. */
static int leftovers(void)
{
    int count = -before;
    DIR *const folder = opendir(".");
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        const size_t length = strlen(entry->d_name);
        count += entry->d_name[0] == '.' && length > 4 &&
                 strcmp(entry->d_name + length - 4, ".tmp") == 0;
    }
    closedir(folder);
    return count;
}

/* Whether the file system of the current folder has files without a name. */
static bool has_nameless_files(void)
{
    const int descriptor = open(".", O_TMPFILE | O_WRONLY, 0600);
    close(descriptor);
    return descriptor >= 0;
}

static lstm_status write_whole(lstm_context *context, const char *path, const void *content,
                               size_t size)
{
    lstm_status status = LSTM_OK;
    lstm__writer *writer = NULL;
    TRY(lstm__writer_open(&writer, context, path));
    TRY(lstm__writer_write(writer, content, size));
    TRY(lstm__writer_close(&writer));
out:
    lstm__writer_abort(writer);
    return status;
}

/* ---- Reading ---- */

static void test_a_file_is_read_whole(void **state)
{
    (void)state;
    lstm__file file;
    write_file("whole.bin", "\x01\x02\x00\xff", 4);
    assert_works(lstm__file_open(&file, standard, "whole.bin"));
    assert_int_equal(file.size, 4);
    assert_memory_equal(file.bytes, "\x01\x02\x00\xff", 4);
    assert_string_equal(file.name, "whole.bin");
    lstm__file_close(&file);
    lstm__file_close(&file);
}

static void test_a_large_file_is_mapped(void **state)
{
    (void)state;
    enum { SIZE = (16 << 20) + 5 };
    lstm__file file;
    unsigned char *const content = malloc(SIZE);
    assert_non_null(content);
    for (size_t k = 0; k < SIZE; k++)
        content[k] = (unsigned char)(k * 2654435761u >> 11);
    assert_works(write_whole(standard, "large.bin", content, SIZE));
    assert_works(lstm__file_open(&file, standard, "large.bin"));
    assert_true(file.mapped);
    assert_int_equal(file.size, SIZE);
    assert_memory_equal(file.bytes, content, SIZE);
    assert_int_equal((uintptr_t)file.bytes % 64, 0);
    lstm__file_drop(&file);
    assert_null(file.bytes);
    assert_string_equal(file.name, "large.bin");
    lstm__file_close(&file);
    unlink("large.bin");
    free(content);
}

static void test_what_is_no_readable_file_is_named(void **state)
{
    (void)state;
    lstm__file file;
    assert_fails(lstm__file_open(&file, standard, "absent.bin"), LSTM_ERROR_IO,
                 "absent.bin: cannot open: No such file or directory");
    assert_fails(lstm__file_open(&file, standard, "."), LSTM_ERROR_IO,
                 ".: is a directory; expected a regular file");
    write_file("empty.bin", "", 0);
    assert_fails(lstm__file_open(&file, standard, "empty.bin"), LSTM_ERROR_FORMAT,
                 "empty.bin: the file is empty");
    unlink("pipe");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_fails(lstm__file_open(&file, standard, "pipe"), LSTM_ERROR_IO, "pipe: is a pipe (FIFO)");
    assert_fails(lstm__file_open(&file, standard, "/dev/zero"), LSTM_ERROR_IO,
                 "/dev/zero: is a device");
    assert_fails(lstm__file_open(&file, standard, "empty.bin/x"), LSTM_ERROR_IO, "Not a directory");
    write_file("secret.bin", "x", 1);
    assert_int_equal(chmod("secret.bin", 0), 0);
    if (geteuid() != 0)
        assert_fails(lstm__file_open(&file, standard, "secret.bin"), LSTM_ERROR_IO,
                     "Permission denied");
    assert_null(file.bytes);
    assert_int_equal(chmod("secret.bin", 0600), 0);
}

static void test_numbers_are_read_in_both_orders(void **state)
{
    (void)state;
    static const unsigned char source[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x88};
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    lstm__cursor c = lstm__memory_cursor("numbers", source, sizeof source);
    assert_works(lstm__get_u8(&c, &u8));
    assert_int_equal(u8, 1);
    assert_works(lstm__seek(&c, 0));
    assert_works(lstm__get_u16(&c, &u16));
    assert_int_equal(u16, 0x0201);
    assert_works(lstm__get_u16_be(&c, &u16));
    assert_int_equal(u16, 0x0304);
    assert_works(lstm__get_u32(&c, &u32));
    assert_int_equal(u32, 0x88070605);
    assert_works(lstm__seek(&c, 4));
    assert_works(lstm__get_u32_be(&c, &u32));
    assert_int_equal(u32, 0x05060788);
    assert_works(lstm__seek(&c, 0));
    assert_works(lstm__get_u64(&c, &u64));
    assert_true(u64 == 0x8807060504030201u);
    assert_works(lstm__seek(&c, 0));
    assert_works(lstm__get_u64_be(&c, &u64));
    assert_true(u64 == 0x0102030405060788u);
    assert_works(lstm__seek(&c, 1));
    assert_works(lstm__get_uint(&c, 3, &u64));
    assert_true(u64 == 0x040302);
    assert_fails(lstm__get_uint(&c, 0, &u64), LSTM_ERROR_FORMAT,
                 "numbers: offset 4: a number of 0 bytes");
    assert_fails(lstm__get_uint(&c, 9, &u64), LSTM_ERROR_FORMAT, "a number of 9 bytes");
}

static void test_a_cursor_never_leaves_its_bytes(void **state)
{
    (void)state;
    unsigned char source[6] = {0};
    lstm__cursor whole = lstm__memory_cursor("short", source, sizeof source);
    lstm__cursor part;
    uint32_t u32 = 7;
    const unsigned char *run = NULL;
    assert_works(lstm__skip(&whole, 2));
    assert_works(lstm__get_part(&whole, 3, &part));
    assert_int_equal(lstm__remaining(&whole), 1);
    assert_fails(lstm__get_u32(&part, &u32), LSTM_ERROR_FORMAT,
                 "short: offset 2: 4 bytes expected, 3 are left");
    assert_int_equal(u32, 7);
    assert_int_equal(part.offset, 0);
    assert_fails(lstm__get_bytes(&whole, UINT64_MAX, &run), LSTM_ERROR_FORMAT,
                 "short: offset 5: 18446744073709551615");
    assert_fails(lstm__skip(&whole, 2), LSTM_ERROR_FORMAT, "2 bytes expected, 1 are left");
    assert_fails(lstm__seek(&part, 4), LSTM_ERROR_FORMAT, "beyond the end at 5");
    assert_works(lstm__seek(&part, 3));
    assert_works(lstm__get_bytes(&part, 0, &run));
    assert_fails(lstm__get_part(&part, 1, &part), LSTM_ERROR_FORMAT, "short: offset 5");
}

/* ---- Writing ---- */

static void test_a_file_appears_when_it_is_closed(void **state)
{
    (void)state;
    unlink("new.bin");
    lstm__writer *writer = NULL;
    assert_works(lstm__writer_open(&writer, standard, "new.bin"));
    assert_works(lstm__writer_write(writer, "abc", 3));
    assert_works(lstm__writer_pad(writer, 2));
    assert_int_equal(lstm__writer_position(writer), 5);
    assert_int_equal(access("new.bin", F_OK), -1);
    assert_int_equal(leftovers(), has_nameless_files() ? 0 : 1);
    assert_works(lstm__writer_close(&writer));
    assert_null(writer);
    size_t size = 0;
    unsigned char *const content = read_file("new.bin", &size);
    assert_int_equal(size, 5);
    assert_memory_equal(content, "abc\0\0", 5);
    free(content);
    assert_int_equal(leftovers(), 0);
}

static void test_a_killed_process_leaves_nothing(void **state)
{
    (void)state;
    if (!has_nameless_files()) {
        print_message("skipped: the file system of the build folder has no files without a name\n");
        skip();
    }
    write_text("killed.bin", "old");
    const pid_t child = fork();
    if (child == 0) {
        lstm__writer *writer = NULL;
        static const char content[1 << 17];
        if (lstm__writer_open(&writer, standard, "killed.bin") == LSTM_OK &&
            lstm__writer_write(writer, content, sizeof content) == LSTM_OK)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(leftovers(), 0);
    assert_true(file_holds("killed.bin", "old"));
}

static void test_a_temporary_name_from_the_start_does_as_well(void **state)
{
    (void)state;
    lstm__writer *writer = NULL;
    write_text("named.bin", "old");
    assert_works(lstm__writer_open_named(&writer, standard, "named.bin"));
    assert_works(lstm__writer_write(writer, "new", 3));
    assert_int_equal(leftovers(), 1);
    assert_true(file_holds("named.bin", "old"));
    assert_works(lstm__writer_close(&writer));
    assert_int_equal(leftovers(), 0);
    assert_true(file_holds("named.bin", "new"));
    assert_works(lstm__writer_open_named(&writer, standard, "named.bin"));
    lstm__writer_abort(writer);
    assert_int_equal(leftovers(), 0);
    assert_true(file_holds("named.bin", "new"));
}

static void test_parts_of_every_size_arrive_in_order(void **state)
{
    (void)state;
    enum { TOTAL = 1 << 20 };
    unsigned char *const content = malloc(TOTAL);
    assert_non_null(content);
    for (size_t k = 0; k < TOTAL; k++)
        content[k] = (unsigned char)(k * 2654435761u >> 13);
    lstm__writer *writer = NULL;
    assert_works(lstm__writer_open(&writer, standard, "parts.bin"));
    size_t done = 0;
    for (size_t part = 1; done < TOTAL; part = part * 3 % 200003) {
        const size_t size = part < TOTAL - done ? part : TOTAL - done;
        assert_works(lstm__writer_write(writer, content + done, size));
        done += size;
        assert_int_equal(lstm__writer_position(writer), done);
    }
    assert_works(lstm__writer_close(&writer));
    size_t size = 0;
    unsigned char *const again = read_file("parts.bin", &size);
    assert_int_equal(size, TOTAL);
    assert_memory_equal(again, content, TOTAL);
    free(again);
    free(content);
}

static void test_giving_up_leaves_the_old_file(void **state)
{
    (void)state;
    write_text("kept.bin", "old");
    lstm__writer *writer = NULL;
    assert_works(lstm__writer_open(&writer, standard, "kept.bin"));
    assert_works(lstm__writer_write(writer, "new", 3));
    lstm__writer_abort(writer);
    lstm__writer_abort(NULL);
    assert_true(file_holds("kept.bin", "old"));
    assert_int_equal(leftovers(), 0);
}

static void test_modes_follow_the_old_file_or_the_umask(void **state)
{
    (void)state;
    struct stat information;
    write_text("mode.bin", "old");
    assert_int_equal(chmod("mode.bin", 0640), 0);
    assert_works(write_whole(standard, "mode.bin", "new", 3));
    assert_int_equal(stat("mode.bin", &information), 0);
    assert_int_equal(information.st_mode & 07777, 0640);
    unlink("mode.bin");
    const mode_t mask = umask(027);
    assert_works(write_whole(standard, "mode.bin", "new", 3));
    umask(mask);
    assert_int_equal(stat("mode.bin", &information), 0);
    assert_int_equal(information.st_mode & 07777, 0640);
}

static void test_symbolic_links_stay_links(void **state)
{
    (void)state;
    struct stat information;
    mkdir("folder", 0777);
    unlink("link");
    unlink("folder/second");
    unlink("folder/target");
    assert_int_equal(symlink("folder/second", "link"), 0);
    assert_int_equal(symlink("target", "folder/second"), 0);
    assert_works(write_whole(standard, "link", "dangling", 8)); /* the target does not exist yet */
    assert_true(file_holds("folder/target", "dangling"));
    assert_works(write_whole(standard, "link", "again", 5));
    assert_true(file_holds("folder/target", "again"));
    assert_int_equal(lstat("link", &information), 0);
    assert_true(S_ISLNK(information.st_mode));
    assert_int_equal(lstat("folder/second", &information), 0);
    assert_true(S_ISLNK(information.st_mode));
    unlink("round");
    assert_int_equal(symlink("round", "round"), 0);
    assert_fails(write_whole(standard, "round", "x", 1), LSTM_ERROR_IO,
                 "Too many levels of symbolic links");
}

static void test_places_that_cannot_be_written_are_named(void **state)
{
    (void)state;
    assert_fails(
        write_whole(standard, "absent/new.bin", "x", 1), LSTM_ERROR_IO,
        "absent/new.bin: cannot create a temporary file beside it: No such file or directory");
    assert_fails(write_whole(standard, ".", "x", 1), LSTM_ERROR_IO,
                 ".: cannot write: Is a directory");
    assert_fails(write_whole(standard, "absent/", "x", 1), LSTM_ERROR_IO,
                 "absent/: is the name of a folder");
    assert_fails(write_whole(standard, "kept.bin/x", "x", 1), LSTM_ERROR_IO, "Not a directory");
    if (geteuid() != 0) {
        unlink("locked.bin");
        write_text("locked.bin", "old");
        assert_int_equal(chmod("locked.bin", 0444), 0);
        assert_fails(write_whole(standard, "locked.bin", "x", 1), LSTM_ERROR_IO,
                     "Permission denied");
        assert_true(file_holds("locked.bin", "old"));
    }
}

static void test_devices_and_pipes_are_written_directly(void **state)
{
    (void)state;
    assert_works(write_whole(standard, "/dev/null", "x", 1));
    assert_fails(write_whole(standard, "/dev/full", "x", 1), LSTM_ERROR_IO,
                 "/dev/full: cannot write: No space left");
    int ends[2];
    char path[64];
    char got[4] = "";
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    assert_works(write_whole(standard, path, "abc", 3));
    assert_int_equal(read(ends[0], got, 3), 3);
    assert_string_equal(got, "abc");
    close(ends[0]);
    close(ends[1]);
    write_text("output.txt", "first ");
    const int file = open("output.txt", O_WRONLY | O_APPEND);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert_works(write_whole(standard, path, "second", 6));
    close(file);
    assert_true(file_holds("output.txt", "first second"));
}

/* In a child: write more than the allowed file size over an old file. */
static int write_beyond_limit(void)
{
    enum { SIZE = 1 << 18 };
    static char content[SIZE];
    const struct rlimit limit = {.rlim_cur = 100000, .rlim_max = 100000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    if (write_whole(standard, "full.bin", content, SIZE) != LSTM_ERROR_IO)
        return 3;
    return strstr(lstm_last_error(), "full.bin: cannot write: File too large") ? 0 : 4;
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    write_text("full.bin", "old");
    const pid_t child = fork();
    if (child == 0)
        _exit(write_beyond_limit());
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(WEXITSTATUS(result), 0);
    assert_true(file_holds("full.bin", "old"));
    assert_int_equal(leftovers(), 0);
}

static void test_every_failing_allocation_is_reported(void **state)
{
    (void)state;
    memory m;
    lstm_context *const context = counted_context(&m);
    const size_t blocks = m.blocks;
    lstm_status status = LSTM_ERROR_MEMORY;
    unlink("sweep-link");
    assert_int_equal(symlink("sweep.bin", "sweep-link"), 0);
    for (long n = 0; status != LSTM_OK; n++) {
        lstm__file file;
        write_text("sweep.bin", "old");
        m.allowed = n;
        m.failed = false;
        status = write_whole(context, "sweep-link", "new", 3);
        if (status == LSTM_OK)
            status = lstm__file_open(&file, context, "sweep-link");
        else
            assert_true(file_holds("sweep.bin", "old"));
        if (status == LSTM_OK)
            lstm__file_close(&file);
        assert_int_equal(status, m.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
        assert_int_equal(m.blocks, blocks);
        assert_int_equal(leftovers(), 0);
        assert_true(n < 100);
    }
    m.allowed = -1;
    lstm_context_destroy(context);
    assert_int_equal(m.blocks, 0);
}

int main(void)
{
    standard = lstm__context_acquire(NULL);
    before = leftovers();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_read_whole),
        cmocka_unit_test(test_a_large_file_is_mapped),
        cmocka_unit_test(test_what_is_no_readable_file_is_named),
        cmocka_unit_test(test_numbers_are_read_in_both_orders),
        cmocka_unit_test(test_a_cursor_never_leaves_its_bytes),
        cmocka_unit_test(test_a_file_appears_when_it_is_closed),
        cmocka_unit_test(test_a_killed_process_leaves_nothing),
        cmocka_unit_test(test_a_temporary_name_from_the_start_does_as_well),
        cmocka_unit_test(test_parts_of_every_size_arrive_in_order),
        cmocka_unit_test(test_giving_up_leaves_the_old_file),
        cmocka_unit_test(test_modes_follow_the_old_file_or_the_umask),
        cmocka_unit_test(test_symbolic_links_stay_links),
        cmocka_unit_test(test_places_that_cannot_be_written_are_named),
        cmocka_unit_test(test_devices_and_pipes_are_written_directly),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
