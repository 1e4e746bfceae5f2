/* SPDX-License-Identifier: MIT
 *
 * Table and picture of an ablation.
 *
 * The picture has one row a variant: a blue point for the loss on the training data, a red one for
 * that on the validation data, and the gap between them as a bar; each seed is a small point behind
 * them. It stands in the page and, the same, in picture.svg beside it.
 */
#include "tune.h"

#include "messages.h"
#include "report_head.h"
#include "svg_plot.h"
#include "text_table.h"

#include <math.h>
#include <string.h>

/* Mean and spread, "0.0123 ± 0.0004". */
static const char *with_spread(char *text, size_t size, double mean, double sd)
{
    char a[40], b[40];
    if (isfinite(sd)) {
        snprintf(text, size, "%s %s %s", number_text(a, sizeof a, mean, 4),
                 text_is_utf8() ? "±" : "+-", number_text(b, sizeof b, sd, 2));
    } else {
        snprintf(text, size, "%s", number_text(a, sizeof a, mean, 4));
    }
    return text;
}

/* Variant 0 is all of them, 1 none; a variant without one is judged by what is lost against all, one
 * alone by what is won against none. */
static double bought(const variant *variants, size_t which, size_t regularisers)
{
    if (which < 2) {
        return which == 0 ? variants[1].validation - variants[0].validation : NAN;
    }
    return which < regularisers + 2 ? variants[which].validation - variants[0].validation
                                    : variants[1].validation - variants[which].validation;
}

int ablation_print(const variant *variants, size_t count, size_t regularisers)
{
    text_table *table = text_table_create(6, "<>>>>>");
    int code = EXIT_DONE;
    if (table == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    text_table_row(table, "variant", "training loss", "validation loss", "gap", "it buys", "seeds");
    text_table_rule(table);
    for (size_t v = 0; v < count; v++) {
        const variant *x = &variants[v];
        char train[96], validation[96], gap[40], buys[40], seeds[24];
        snprintf(seeds, sizeof seeds, "%zu", x->seeds);
        text_table_row(table, x->name, with_spread(train, sizeof train, x->train, x->train_sd),
                       with_spread(validation, sizeof validation, x->validation, x->validation_sd),
                       number_text(gap, sizeof gap, x->validation - x->train, 4),
                       number_text(buys, sizeof buys, bought(variants, v, regularisers), 3), seeds);
        if (v + 1 < count && (v == 1 || v == regularisers + 1)) {
            text_table_rule(table);
        }
    }
    code = text_table_print(table, stdout);
    text_table_destroy(table);
    return code;
}

/* ---- Picture */

enum { ROW = 26, TOP = 46, WIDTH = 960, RIGHT = 940 };

typedef struct scale {
    double low, high;
    int left; /* of the points; names stand before it */
} scale;

static double place(const scale *s, double value)
{
    return s->left + (value - s->low) / (s->high - s->low) * (RIGHT - s->left);
}

static scale find_scale(const variant *variants, size_t count)
{
    scale s = {INFINITY, -INFINITY, 0};
    int longest = 0;
    for (size_t v = 0; v < count; v++) {
        const int columns = text_width(variants[v].name);
        longest = columns > longest ? columns : longest;
        for (size_t k = 0; k < variants[v].seeds; k++) {
            s.low = fmin(s.low, fmin(variants[v].train_seeds[k], variants[v].validation_seeds[k]));
            s.high = fmax(s.high,
                          fmax(variants[v].train_seeds[k], variants[v].validation_seeds[k]));
        }
    }
    if (!(s.low < s.high)) {
        s.low = isfinite(s.low) ? s.low - 1 : 0;
        s.high = s.low + 2;
    }
    const double pad = 0.04 * (s.high - s.low);
    s.low = s.low >= 0 && s.low < pad ? 0 : s.low - pad;
    s.high += pad;
    s.left = longest > 75 ? 560 : 35 + 7 * longest;
    return s;
}

static void add_axis(page *to, const scale *s, size_t count)
{
    svg_tick ticks[SVG_TICKS];
    const svg_axis axis = {0};
    const size_t found = svg_ticks(ticks, &axis, s->low, s->high, 6);
    const double bottom = TOP + (double)count * ROW;
    for (size_t k = 0; k < found; k++) {
        const double x = place(s, ticks[k].value);
        page_add(to,
                 "<path class=\"grid\" d=\"M%.1f %dV%.1f\"/><text text-anchor=\"middle\" "
                 "x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                 x, TOP - 6, bottom + 4, x, bottom + 20, ticks[k].label);
    }
    page_add(to,
             "<circle class=\"f0\" cx=\"%d\" cy=\"14\" r=\"5\"/><text x=\"%d\" y=\"18\">loss on "
             "the training data</text>\n",
             s->left + 6, s->left + 18);
    page_add(to,
             "<circle class=\"f1\" cx=\"%d\" cy=\"14\" r=\"5\"/><text x=\"%d\" y=\"18\">on the "
             "validation data</text>\n",
             s->left + 206, s->left + 218);
}

static void add_points(page *to, const scale *s, const double *values, size_t count, int colour,
                       double y)
{
    page_add(to, "<g class=\"f%d\" style=\"opacity:.35\">", colour);
    for (size_t k = 0; k < count; k++) {
        page_add(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>", place(s, values[k]), y);
    }
    page_add(to, "</g>\n");
}

static void add_rows(page *to, const scale *s, const variant *variants, size_t count,
                     size_t regularisers)
{
    for (size_t v = 0; v < count; v++) {
        const variant *x = &variants[v];
        const double y = TOP + ((double)v + 0.5) * ROW;
        if (v == 2 || v == regularisers + 2) {
            page_add(to, "<path class=\"axis\" d=\"M0 %.1fH%d\"/>", y - 0.5 * ROW, RIGHT);
        }
        page_add(to, "<text text-anchor=\"end\" x=\"%d\" y=\"%.1f\">", s->left - 14, y + 4);
        page_add_escaped(to, x->name);
        page_add(to, "</text>\n");
        if (x->seeds == 0) {
            page_add(to, "<text class=\"soft\" x=\"%d\" y=\"%.1f\">failed</text>\n", s->left,
                     y + 4);
            continue;
        }
        page_add(to,
                 "<path class=\"s6\" style=\"stroke-width:6;opacity:.3\" d=\"M%.1f %.1fH%.1f\"/>\n",
                 place(s, x->train), y, place(s, x->validation));
        add_points(to, s, x->train_seeds, x->seeds, 0, y);
        add_points(to, s, x->validation_seeds, x->seeds, 1, y);
        page_add(to,
                 "<circle class=\"f0\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/><circle class=\"f1\" "
                 "cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>\n",
                 place(s, x->train), y, place(s, x->validation), y);
    }
}

static void add_picture(page *to, const variant *variants, size_t count, size_t regularisers,
                        int alone)
{
    const scale s = find_scale(variants, count);
    const double height = TOP + (double)count * ROW + 30;
    page_add(to,
             "<svg%s viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"Training and validation "
             "loss of each variant\">\n",
             alone ? " xmlns=\"http://www.w3.org/2000/svg\"" : "", WIDTH, height);
    if (alone) {
        page_add(to, "<style>");
        svg_plot_style(to);
        page_add(to, "</style><rect width=\"%d\" height=\"%.0f\" class=\"paper\"/>\n", WIDTH,
                 height);
    }
    add_axis(to, &s, count);
    add_rows(to, &s, variants, count, regularisers);
    page_add(to, "</svg>\n");
}

/* ---- Page */

static void add_number_cell(page *to, double value, int digits)
{
    page_add(to, "<td class=\"n\">");
    page_add_number(to, value, digits);
    page_add(to, "</td>");
}

static void add_table(page *to, const variant *variants, size_t count, size_t regularisers)
{
    page_add(to, "<table><tr><th>variant</th><th class=\"n\">training loss</th><th "
                 "class=\"n\">±</th><th class=\"n\">validation loss</th><th class=\"n\">±</th><th "
                 "class=\"n\">gap</th><th class=\"n\">it buys</th><th "
                 "class=\"n\">seeds</th></tr>\n");
    for (size_t v = 0; v < count; v++) {
        const variant *x = &variants[v];
        page_add(to, "<tr><td>");
        page_add_escaped(to, x->name);
        page_add(to, "</td>");
        add_number_cell(to, x->train, 4);
        add_number_cell(to, x->train_sd, 2);
        add_number_cell(to, x->validation, 4);
        add_number_cell(to, x->validation_sd, 2);
        add_number_cell(to, x->validation - x->train, 4);
        add_number_cell(to, bought(variants, v, regularisers), 3);
        page_add(to, "<td class=\"n\">%zu</td></tr>\n", x->seeds);
    }
    page_add(to, "</table>\n");
}

int ablation_report(const tune *t, const variant *variants, size_t count, size_t regularisers)
{
    page to = {0};
    page picture = {0};
    char title[512];
    char path[4096];
    snprintf(title, sizeof title, "What regularises %s", arguments_operand(t->line, 0));
    report_begin(&to, title);
    page_add(&to,
             "<p class=\"soft\">Mean over the seeds; ± is the standard deviation between them. "
             "Both losses are those of the weights in the bare network: noise off, without "
             "penalties, without label smoothing. “It buys” is how much lower the "
             "validation loss is: of all against none, of all against all but this one, of "
             "this one alone against none.</p>\n<figure>\n");
    add_picture(&to, variants, count, regularisers, 0);
    page_add(&to, "</figure>\n");
    add_table(&to, variants, count, regularisers);
    report_end(&to);
    add_picture(&picture, variants, count, regularisers, 1);
    snprintf(path, sizeof path, "%s/picture.svg", t->folder);
    int code = page_write(&picture, path);
    snprintf(path, sizeof path, "%s/report.html", t->folder);
    const int second = page_write(&to, path);
    code = code == EXIT_DONE ? second : code;
    if (code == EXIT_DONE) {
        message_note("wrote %s and picture.svg beside it", path);
    }
    return code;
}
