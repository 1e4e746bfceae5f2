/* SPDX-License-Identifier: MIT
 * Metrics of arrays and texts: confusion matrix and what follows from it, top-k accuracy, edit
 * distance, character and word error rates.
 */
#include "checked.h"
#include "context.h"
#include "ctc_greedy.h"
#include "need.h"

#include <stdbool.h>
#include <string.h>

/* ---- Classes */

lstm_status lstm_confusion_matrix(const int32_t *actual, const int32_t *predicted, size_t count,
                                  size_t classes, int64_t *matrix, size_t matrix_count)
{
    size_t places = 0;
    NEED(matrix);
    if (count > 0) {
        NEED(actual);
        NEED(predicted);
    }
    if (classes == 0 || !lstm__mul(classes, classes, &places) || matrix_count != places)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "room for %zu counts: expected %zu by %zu, at least 1 class",
                          matrix_count, classes, classes);
    for (size_t k = 0; k < count; k++) {
        const bool wrong = actual[k] < 0 || (size_t)actual[k] >= classes;
        if (wrong || predicted[k] < 0 || (size_t)predicted[k] >= classes)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s class %zu is %d: expected 0 to %zu",
                              wrong ? "actual" : "predicted", k,
                              (int)(wrong ? actual[k] : predicted[k]), classes - 1);
    }
    memset(matrix, 0, places * sizeof *matrix);
    for (size_t k = 0; k < count; k++)
        matrix[(size_t)actual[k] * classes + (size_t)predicted[k]]++;
    return LSTM_OK;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* Precision, recall, F1 from counts. */
static void set_scores(double right, double predicted, double actual, double *row)
{
    row[0] = ratio(right, predicted);
    row[1] = ratio(right, actual);
    row[2] = ratio(2 * right, predicted + actual);
}

lstm_status lstm_confusion_scores(const int64_t *matrix, size_t classes, double *scores,
                                  size_t score_count)
{
    NEED(matrix);
    NEED(scores);
    if (classes == 0 || classes > SIZE_MAX / 3 - 3 || score_count != 3 * (classes + 3))
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "room for %zu scores: expected %zu classes and 3 means, 3 each",
                          score_count, classes);
    double *micro = scores + 3 * classes;
    double *macro = micro + 3;
    double *weighted = macro + 3;
    double all = 0;
    double all_right = 0;
    double seen = 0;
    memset(micro, 0, 9 * sizeof *micro);
    for (size_t c = 0; c < classes; c++) {
        double predicted = 0;
        double actual = 0;
        const double right = (double)matrix[c * classes + c];
        for (size_t k = 0; k < classes; k++) {
            predicted += (double)matrix[k * classes + c];
            actual += (double)matrix[c * classes + k];
        }
        double *row = scores + 3 * c;
        set_scores(right, predicted, actual, row);
        for (int k = 0; k < 3; k++) {
            macro[k] += row[k];
            weighted[k] += row[k] * actual;
        }
        all += actual;
        all_right += right;
        seen += predicted > 0 || actual > 0;
    }
    set_scores(all_right, all, all, micro);
    for (int k = 0; k < 3; k++) {
        macro[k] = ratio(macro[k], seen);
        weighted[k] = ratio(weighted[k], all);
    }
    return LSTM_OK;
}

lstm_status lstm_top_k_accuracy(const float *scores, const int32_t *actual, size_t rows,
                                size_t classes, size_t k, double *accuracy)
{
    size_t hits = 0;
    NEED(accuracy);
    if (rows > 0) {
        NEED(scores);
        NEED(actual);
    }
    if (k < 1 || classes < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "k is %zu of %zu classes: expected at least 1", k,
                          classes);
    for (size_t row = 0; row < rows; row++) {
        const float *s = scores + row * classes;
        size_t above = 0;
        if (actual[row] < 0 || (size_t)actual[row] >= classes)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "actual class %zu is %d: expected 0 to %zu", row,
                              (int)actual[row], classes - 1);
        const size_t own = (size_t)actual[row];
        for (size_t c = 0; c < classes; c++)
            above += s[c] > s[own] || (s[c] == s[own] && c < own);
        hits += above < k;
    }
    *accuracy = rows > 0 ? (double)hits / (double)rows : 0;
    return LSTM_OK;
}

/* ---- Sequences */

lstm_status lstm_edit_distance(lstm_context *context, const int32_t *a, size_t a_count,
                               const int32_t *b, size_t b_count, size_t *distance)
{
    size_t places = 0;
    NEED(distance);
    if (a_count > 0)
        NEED(a);
    if (b_count > 0)
        NEED(b);
    lstm_context *held = lstm__context_acquire(context);
    size_t *row = lstm__add(b_count, 1, &places) ? lstm__allocate_array(held, places, sizeof *row)
                                                 : NULL;
    if (row)
        *distance = lstm__label_distance(a, a_count, b, b_count, row);
    lstm__release(held, row);
    lstm__context_release(held);
    return row ? LSTM_OK : lstm__fail_memory(places * sizeof *row, "an edit distance");
}

/* The code point at *text, which moves on; a byte that begins none counts as one itself. */
static int32_t code_point(const unsigned char **text)
{
    const unsigned char *t = *text;
    const int more = t[0] >= 0xF0 && t[0] < 0xF8   ? 3
                     : t[0] >= 0xE0 && t[0] < 0xF0 ? 2
                     : t[0] >= 0xC0 && t[0] < 0xE0 ? 1
                                                   : 0;
    int32_t value = more == 3 ? t[0] & 7 : more == 2 ? t[0] & 15 : more == 1 ? t[0] & 31 : t[0];
    for (int k = 1; k <= more; k++) {
        if ((t[k] & 0xC0) != 0x80) {
            *text = t + 1;
            return 0x110000 + t[0];
        }
        value = value << 6 | (t[k] & 63);
    }
    *text = t + 1 + more;
    return more == 0 && t[0] >= 0x80 ? 0x110000 + t[0] : value;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

typedef struct word {
    const unsigned char *text;
    size_t length;
    int32_t number;
} word;

/* Words of both texts by number: equal words have equal numbers. */
typedef struct words {
    word *table; /* [size], open addressing; text NULL = free */
    size_t size;
    int32_t count;
} words;

static int32_t number_of(words *w, const unsigned char *text, size_t length)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t k = 0; k < length; k++)
        h = (h ^ text[k]) * 1099511628211u;
    size_t at = (size_t)h & (w->size - 1);
    while (w->table[at].text) {
        if (w->table[at].length == length && memcmp(w->table[at].text, text, length) == 0)
            return w->table[at].number;
        at = (at + 1) & (w->size - 1);
    }
    w->table[at] = (word){text, length, w->count};
    return w->count++;
}

/* The units of a text; answers their number. */
static size_t split(const char *text, int32_t unit, words *w, int32_t *units)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t count = 0;
    while (*at) {
        if (unit == LSTM_UNIT_CHARACTER) {
            units[count++] = code_point(&at);
            continue;
        }
        while (is_space(*at))
            at++;
        const unsigned char *begin = at;
        while (*at && !is_space(*at))
            at++;
        if (at > begin)
            units[count++] = number_of(w, begin, (size_t)(at - begin));
    }
    return count;
}

lstm_status lstm_text_errors(lstm_context *context, const char *reference, const char *text,
                             int32_t unit, size_t *errors, size_t *units)
{
    NEED(reference);
    NEED(text);
    NEED(errors);
    NEED(units);
    if (unit != LSTM_UNIT_CHARACTER && unit != LSTM_UNIT_WORD)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "unit is %d: expected an LSTM_UNIT_* constant",
                          (int)unit);
    const size_t room[2] = {strlen(reference), strlen(text)};
    words w = {.size = 4};
    while (unit == LSTM_UNIT_WORD && w.size < room[0] + room[1] + 2)
        w.size *= 2;
    lstm_context *held = lstm__context_acquire(context);
    int32_t *a = lstm__allocate_array(held, room[0] + 1, sizeof *a);
    int32_t *b = lstm__allocate_array(held, room[1] + 1, sizeof *b);
    size_t *row = lstm__allocate_array(held, room[1] + 1, sizeof *row);
    w.table = lstm__allocate_array(held, w.size, sizeof *w.table);
    const bool good = a && b && row && w.table;
    if (good) {
        memset(w.table, 0, w.size * sizeof *w.table);
        *units = split(reference, unit, &w, a);
        const size_t count = split(text, unit, &w, b);
        *errors = lstm__label_distance(a, *units, b, count, row);
    }
    lstm__release(held, w.table);
    lstm__release(held, row);
    lstm__release(held, b);
    lstm__release(held, a);
    lstm__context_release(held);
    return good ? LSTM_OK : lstm__fail_memory(room[0] + room[1], "the units of two texts");
}
