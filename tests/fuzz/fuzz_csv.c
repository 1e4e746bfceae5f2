/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: CSV files, read from a file in memory with a combination of the options. Values that
 * are kept are finite where missing ones are not allowed, and lines rise.
 */
#include "replay.h"

#include "csv_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const char fuzz_corpus[] = "csv";

static void check(const lstm_table *table, bool allow_missing)
{
    for (size_t k = 0; k < table->column_count; k++) {
        const lstm__column *const column = &table->columns[k];
        if (column->first || (column->kind != LSTM_COLUMN_TEXT) != (column->values != NULL))
            abort();
        for (size_t row = 0; column->values && row < table->rows; row++)
            if (isinf(column->values[row]) || (!allow_missing && isnan(column->values[row])))
                abort();
    }
    for (size_t k = 1; k < table->mark_count; k++)
        if (table->marks[k].row <= table->marks[k - 1].row ||
            table->marks[k].line <= table->marks[k - 1].line)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const int file = memfd_create("fuzz.csv", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    /* one of the four combinations; the replay's cuts reach them all */
    const unsigned choice = size & 3;
    const lstm_table_options options = {.struct_size = sizeof options,
                                        .no_header = choice & 1 ? LSTM_YES : LSTM_NO,
                                        .allow_missing = choice & 2 ? LSTM_YES : LSTM_NO};
    lstm_table *table = NULL;
    if (lstm__table_load(&table, NULL, path, &options) == LSTM_OK) {
        check(table, choice & 2);
        lstm__table_destroy(table);
    } else if (table) {
        abort();
    }
    close(file);
    return 0;
}
