/* SPDX-License-Identifier: MIT
 *
 * Confusion matrices as text; see confusion.h. Up to 20 classes are shown cell by cell, a dot for
 * 0, the right ones in brackets; of more only the scores, one class a line.
 */
#include "confusion.h"

#include "messages.h"
#include "text_table.h"

#include <inttypes.h>
#include <lstm/lstm.h>
#include <stdlib.h>

enum { MATRIX_LIMIT = 20 };

static void print_cells(const int64_t *matrix, size_t classes, FILE *stream)
{
    int64_t most = (int64_t)classes;
    for (size_t k = 0; k < classes * classes; k++) {
        most = matrix[k] > most ? matrix[k] : most;
    }
    const int width = snprintf(NULL, 0, "%" PRId64, most) + 2;
    fprintf(stream, "actual \\ predicted\n%6s", "");
    for (size_t c = 0; c < classes; c++) {
        fprintf(stream, " %*zu ", width - 1, c);
    }
    fputc('\n', stream);
    for (size_t r = 0; r < classes; r++) {
        fprintf(stream, "%5zu:", r);
        for (size_t c = 0; c < classes; c++) {
            char cell[32];
            const int64_t count = matrix[r * classes + c];
            snprintf(cell, sizeof cell,
                     r == c       ? "[%" PRId64 "]"
                     : count == 0 ? "."
                                  : "%" PRId64,
                     count);
            fprintf(stream, r == c ? " %*s" : " %*s ", r == c ? width : width - 1, cell);
        }
        fputc('\n', stream);
    }
    fputc('\n', stream);
}

/* The class that the rows of class r are most often taken for; r if there is none. */
static size_t worst_of(const int64_t *matrix, size_t classes, size_t r)
{
    size_t worst = r;
    int64_t most = 0;
    for (size_t c = 0; c < classes; c++) {
        if (c != r && matrix[r * classes + c] > most) {
            most = matrix[r * classes + c];
            worst = c;
        }
    }
    return worst;
}

static void add_row(text_table *table, const char *name, const double *scores, int64_t actual,
                    const char *worst)
{
    char numbers[3][16];
    char count[24];
    for (int k = 0; k < 3; k++) {
        snprintf(numbers[k], sizeof numbers[k], "%.3f", scores[k]);
    }
    snprintf(count, sizeof count, "%" PRId64, actual);
    text_table_row(table, name, count, numbers[0], numbers[1], numbers[2], worst);
}

int confusion_print(const int64_t *matrix, size_t classes, FILE *stream)
{
    static const char *const means[] = {"micro", "macro", "weighted"};
    const size_t count = 3 * (classes + 3);
    double *scores = calloc(count, sizeof *scores);
    text_table *table = text_table_create(6, "<>>>><");
    int64_t all = 0;
    int code = EXIT_DONE;
    if (scores == NULL || table == NULL) {
        code = message_error(EXIT_WORK, "out of memory for the confusion matrix");
        goto out;
    }
    if (classes <= MATRIX_LIMIT) {
        print_cells(matrix, classes, stream);
    }
    CHECK(lstm_confusion_scores(matrix, classes, scores, count), NULL);
    text_table_row(table, "class", "rows", "precision", "recall", "f1", "most often taken for");
    for (size_t r = 0; r < classes; r++) {
        char name[32];
        char worst[64] = "";
        int64_t actual = 0;
        for (size_t c = 0; c < classes; c++) {
            actual += matrix[r * classes + c];
        }
        const size_t other = worst_of(matrix, classes, r);
        if (other != r) {
            snprintf(worst, sizeof worst, "%zu (%" PRId64 " times)", other,
                     matrix[r * classes + other]);
        }
        snprintf(name, sizeof name, "%zu", r);
        add_row(table, name, scores + 3 * r, actual, worst);
        all += actual;
    }
    text_table_rule(table);
    for (size_t k = 0; k < 3; k++) {
        add_row(table, means[k], scores + 3 * (classes + k), all, "");
    }
    code = text_table_print(table, stream);
out:
    text_table_destroy(table);
    free(scores);
    return code;
}

void confusion_print_json(const int64_t *matrix, size_t classes, FILE *stream)
{
    for (size_t r = 0; r < classes; r++) {
        fputs(r == 0 ? "[[" : ",[", stream);
        for (size_t c = 0; c < classes; c++) {
            fprintf(stream, c == 0 ? "%" PRId64 : ",%" PRId64, matrix[r * classes + c]);
        }
        fputc(']', stream);
    }
    fputc(']', stream);
}
