/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target without a fuzzer: on the files named on the command line, or else on every
 * file of its corpus as it is, cut off at every length, and with every single bit flipped (of files
 * of more than 4096 bytes, every seventh). Each input lies in a block of exactly its size.
 */
#include "replay.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t runs;

static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *const exact = malloc(size ? size : 1);
    if (!exact)
        exit(1);
    if (size > 0)
        memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    runs++;
}

static uint8_t *load(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *const bytes = malloc(*size ? *size : 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return bytes;
}

static void replay(const char *path, int damage)
{
    size_t size = 0;
    uint8_t *const bytes = load(path, &size);
    run(bytes, size);
    for (size_t cut = 0; damage && cut < size; cut++)
        run(bytes, cut);
    const size_t step = size > 4096 ? 7 : 1;
    for (size_t bit = 0; damage && bit < 8 * size; bit += step) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        run(bytes, size);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    size_t files = 0;
    for (int k = 1; k < argc; k++, files++)
        replay(argv[k], 0);
    if (argc == 1) {
        char folder[4096];
        snprintf(folder, sizeof folder, "%s/fuzz/corpus/%s", LSTM_TESTS_DIR, fuzz_corpus);
        DIR *const list = opendir(folder);
        if (!list) {
            perror(folder);
            return 1;
        }
        for (const struct dirent *entry = readdir(list); entry; entry = readdir(list))
            if (entry->d_name[0] != '.') {
                char path[sizeof folder + sizeof entry->d_name];
                snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
                replay(path, 1);
                files++;
            }
        closedir(list);
    }
    printf("%s: %zu inputs from %zu files\n", fuzz_corpus, runs, files);
    return files > 0 ? 0 : 1;
}
