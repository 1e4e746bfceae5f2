/* SPDX-License-Identifier: MIT
 *
 * A confusion matrix as a table of a page; see confusion_page.h.
 *
 * The colour of a cell says what part of its row (the actual class) it is, so that classes of
 * different size can be compared; the diagonal is blue, what is off it vermilion, as right and wrong.
 * Colours lie over the paper with an opacity, so that light and dark pages need no colours of their
 * own and the ink stays readable. The number in a cell is a count.
 */
#include "confusion_page.h"

#include <inttypes.h>
#include <lstm/lstm.h>
#include <stdlib.h>

enum { CELL_LIMIT = 30, SCORE_LIMIT = 200 };

const char confusion_style[] =
    "table.confusion{border-collapse:separate;border-spacing:2px;margin:.8rem 0}"
    "table.confusion td,table.confusion th{border:0;padding:.2rem .5rem;text-align:right;"
    "min-width:1.6rem}"
    "table.confusion th{font-weight:400;color:var(--soft)}"
    "table.confusion td.zero{color:var(--soft)}\n";

static int64_t row_sum(const int64_t *matrix, size_t classes, size_t row)
{
    int64_t sum = 0;
    for (size_t c = 0; c < classes; c++) {
        sum += matrix[row * classes + c];
    }
    return sum;
}

static void add_cells(page *to, const int64_t *matrix, size_t classes)
{
    page_add(to, "<table class=\"confusion\"><tr><th>actual \\ predicted</th>");
    for (size_t c = 0; c < classes; c++) {
        page_add(to, "<th scope=\"col\">%zu</th>", c);
    }
    page_add(to, "</tr>\n");
    for (size_t r = 0; r < classes; r++) {
        const int64_t all = row_sum(matrix, classes, r);
        page_add(to, "<tr><th scope=\"row\">%zu</th>", r);
        for (size_t c = 0; c < classes; c++) {
            const int64_t count = matrix[r * classes + c];
            const double part = all > 0 ? (double)count / (double)all : 0;
            if (count == 0) {
                page_add(to, "<td class=\"zero\">·</td>");
                continue;
            }
            page_add(to,
                     "<td style=\"background:rgba(%s,%.2f)\" title=\"%zu taken for %zu: %.1f %%\">"
                     "%" PRId64 "</td>",
                     r == c ? "0,114,178" : "213,94,0", 0.08 + 0.47 * part, r, c, 100 * part,
                     count);
        }
        page_add(to, "</tr>\n");
    }
    page_add(to, "</table>\n");
}

static void add_scores(page *to, const char *name, int64_t rows, const double *scores)
{
    page_add(to, "<tr><th scope=\"row\">%s</th><td class=\"n\">%" PRId64 "</td>", name, rows);
    for (int k = 0; k < 3; k++) {
        page_add(to, "<td class=\"n\">");
        page_add_fixed(to, scores[k], 3);
        page_add(to, "</td>");
    }
}

/* The class that rows of class r are most often taken for; r where there is none. */
static size_t worst_of(const int64_t *matrix, size_t classes, size_t r)
{
    size_t worst = r;
    for (size_t c = 0; c < classes; c++) {
        if (c != r && matrix[r * classes + c] > (worst == r ? 0 : matrix[r * classes + worst])) {
            worst = c;
        }
    }
    return worst;
}

void confusion_add(page *to, const int64_t *matrix, size_t classes)
{
    static const char *const means[] = {"micro mean", "macro mean", "weighted mean"};
    const size_t count = 3 * (classes + 3);
    double *scores = calloc(count, sizeof *scores);
    int64_t all = 0;
    size_t shown = 0;
    if (scores == NULL || lstm_confusion_scores(matrix, classes, scores, count) != LSTM_OK) {
        to->failed = 1;
        free(scores);
        return;
    }
    if (classes <= CELL_LIMIT) {
        add_cells(to, matrix, classes);
    }
    page_add(to, "<table><tr><th>class</th><th class=\"n\">rows</th><th "
                 "class=\"n\">precision</th><th class=\"n\">recall</th><th class=\"n\">F1</th>"
                 "<th>most often taken for</th></tr>\n");
    for (size_t r = 0; r < classes; r++) {
        char name[32];
        const int64_t rows = row_sum(matrix, classes, r);
        all += rows;
        if (rows == 0 || ++shown > SCORE_LIMIT) {
            continue;
        }
        snprintf(name, sizeof name, "%zu", r);
        add_scores(to, name, rows, scores + 3 * r);
        const size_t worst = worst_of(matrix, classes, r);
        page_add(to, "<td>");
        if (worst != r) {
            page_add(to, "%zu (%" PRId64 " times)", worst, matrix[r * classes + worst]);
        }
        page_add(to, "</td></tr>\n");
    }
    for (size_t k = 0; k < 3; k++) {
        add_scores(to, means[k], all, scores + 3 * (classes + k));
        page_add(to, "<td></td></tr>\n");
    }
    page_add(to, "</table>\n");
    if (shown > SCORE_LIMIT) {
        page_add(to, "<p class=\"soft\">The first %d classes of %zu.</p>\n", (int)SCORE_LIMIT,
                 shown);
    }
    free(scores);
}
