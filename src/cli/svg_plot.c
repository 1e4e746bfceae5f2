/* SPDX-License-Identifier: MIT
 *
 * Plots as inline SVG (svg_plot.h).
 *
 * Layout, in units of the view box: the title and note stand above the <svg> as text of the page,
 * then the legend as a row of its own above the frame (so it never covers data), the frame, ticks
 * and axis titles. The legend wraps.
 */
#include "svg_plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct frame {
    double left, top, right, bottom; /* of the plot's frame */
    double x_low, x_high, y_low, y_high;
    int x_log, y_log;
    double width, height; /* of the view box */
} frame;

void svg_plot_add(svg_plot *plot, svg_curve curve)
{
    if (plot->curve_count < SVG_CURVES && curve.count > 0) {
        plot->curves[plot->curve_count++] = curve;
    }
}

void svg_plot_span(svg_plot *plot, double low, double high, int tone, const char *label)
{
    if (plot->span_count < SVG_SPANS) {
        plot->spans[plot->span_count++] = (svg_span){low, high, label, tone};
    }
}

void svg_plot_mark(svg_plot *plot, int horizontal, double value, const char *label)
{
    if (plot->mark_count < SVG_MARKS) {
        plot->marks[plot->mark_count++] = (svg_mark){horizontal, value, label};
    }
}

static double curve_x(const svg_curve *curve, size_t i)
{
    return curve->x != NULL ? curve->x[i] : (double)i;
}

static void widen(double *low, double *high, double value)
{
    if (isfinite(value)) {
        *low = value < *low ? value : *low;
        *high = value > *high ? value : *high;
    }
}

static void find_range(const svg_plot *plot, int vertical, double *low, double *high)
{
    const svg_axis *const axis = vertical ? &plot->y : &plot->x;
    *low = INFINITY;
    *high = -INFINITY;
    if (axis->fixed) {
        *low = axis->low;
        *high = axis->high;
        return;
    }
    for (size_t c = 0; c < plot->curve_count; c++) {
        const svg_curve *const curve = &plot->curves[c];
        for (size_t i = 0; i < curve->count; i++) {
            if (!vertical) {
                const double half = curve->shape == SVG_BARS ? curve->bar / 2 : 0.0;
                widen(low, high, curve_x(curve, i) - half);
                widen(low, high, curve_x(curve, i) + half);
                continue;
            }
            widen(low, high, curve->y[i]);
            if (curve->shape == SVG_AREA && curve->y2 != NULL) {
                widen(low, high, curve->y2[i]);
            }
        }
        if (vertical && curve->shape == SVG_BARS) {
            widen(low, high, 0.0);
        }
    }
    if (axis->from_zero) {
        widen(low, high, 0.0);
    }
    if (!(*low <= *high)) {
        *low = 0.0;
        *high = 1.0;
    }
    if (*low == *high) {
        const double pad = *low != 0.0 ? fabs(*low) * 0.05 : 1.0;
        *low -= axis->scale == SVG_LOG ? 0.0 : pad;
        *high += pad;
    }
    for (size_t c = 0; c < plot->curve_count && !vertical && axis->scale != SVG_LOG; c++) {
        if (plot->curves[c].shape == SVG_POINTS) { /* points at the edge are drawn whole */
            *high += (*high - *low) * 0.008;
            break;
        }
    }
    if (vertical && axis->scale == SVG_LOG && *low > 0.0) {
        const double pad = pow(*high / *low, 0.05);
        *low /= pad;
        *high *= pad;
    } else if (vertical) {
        const double pad = (*high - *low) * 0.05;
        *low -= axis->from_zero && *low == 0.0 ? 0.0 : pad;
        *high += pad;
    }
}

static double place_x(const frame *f, double value)
{
    const double part = f->x_log ? log(value / f->x_low) / log(f->x_high / f->x_low)
                                 : (value - f->x_low) / (f->x_high - f->x_low);
    return f->left + part * (f->right - f->left);
}

static double place_y(const frame *f, double value)
{
    const double part = f->y_log ? log(value / f->y_low) / log(f->y_high / f->y_low)
                                 : (value - f->y_low) / (f->y_high - f->y_low);
    return f->bottom - part * (f->bottom - f->top);
}

static int drawable(const frame *f, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!f->x_log || x > 0.0) && (!f->y_log || y > 0.0) &&
           x >= f->x_low - 1e-9 * fabs(f->x_low) && x <= f->x_high + 1e-9 * fabs(f->x_high);
}

/* ---- Lines */

typedef struct pen {
    page *to;
    int down;
} pen;

static void draw_to(pen *pen_in_hand, double x, double y)
{
    page_add(pen_in_hand->to, "%s%.1f %.1f", pen_in_hand->down ? "L" : "M", x, y);
    pen_in_hand->down = 1;
}

/* Draw points i..j-1, which all fall in one pixel column: first, lowest, highest, last, in their
 * order. */
static void draw_column(pen *pen_in_hand, const frame *f, const svg_curve *curve, size_t i,
                        size_t j)
{
    size_t picks[4] = {i, i, i, j - 1};
    for (size_t k = i; k < j; k++) {
        picks[1] = curve->y[k] < curve->y[picks[1]] ? k : picks[1];
        picks[2] = curve->y[k] > curve->y[picks[2]] ? k : picks[2];
    }
    if (picks[1] > picks[2]) {
        const size_t swap = picks[1];
        picks[1] = picks[2];
        picks[2] = swap;
    }
    for (size_t k = 0; k < 4; k++) {
        if (k == 0 || picks[k] != picks[k - 1]) {
            draw_to(pen_in_hand, place_x(f, curve_x(curve, picks[k])),
                    place_y(f, curve->y[picks[k]]));
        }
    }
}

static void draw_line(page *to, const frame *f, const svg_curve *curve)
{
    page_add(to, "<path class=\"s%d%s%s\" style=\"stroke-width:%.2g\" d=\"", (int)curve->colour,
             curve->dashed ? " dash" : "", curve->faint ? " faint" : "",
             curve->width > 0 ? curve->width : 1.5);
    pen line = {to, 0};
    const int thin = (double)curve->count > 2.0 * (f->right - f->left);
    size_t i = 0;
    while (i < curve->count) {
        if (!drawable(f, curve_x(curve, i), curve->y[i])) {
            line.down = 0;
            i++;
            continue;
        }
        size_t j = i + 1;
        if (thin) {
            const double column = floor(place_x(f, curve_x(curve, i)));
            while (j < curve->count && drawable(f, curve_x(curve, j), curve->y[j]) &&
                   floor(place_x(f, curve_x(curve, j))) == column) {
                j++;
            }
        }
        draw_column(&line, f, curve, i, j);
        i = j;
    }
    page_add(to, "\"/>\n");
}

/* An area may have many points as well: at most one pair a pixel, taken at even places. */
static void draw_area(page *to, const frame *f, const svg_curve *curve)
{
    const double pixels = f->right - f->left;
    const size_t stride = (double)curve->count > 2.0 * pixels
                              ? (size_t)((double)curve->count / pixels)
                              : 1;
    page_add(to, "<path class=\"f%d %s\" d=\"", (int)curve->colour,
             curve->faint ? "area faint" : "area");
    pen line = {to, 0};
    for (size_t i = 0; i < curve->count; i += stride) {
        if (drawable(f, curve_x(curve, i), curve->y[i])) {
            draw_to(&line, place_x(f, curve_x(curve, i)), place_y(f, curve->y[i]));
        }
    }
    const size_t last = (curve->count - 1) / stride * stride;
    for (size_t k = 0; k <= last; k += stride) {
        const size_t i = last - k;
        if (drawable(f, curve_x(curve, i), curve->y2[i])) {
            draw_to(&line, place_x(f, curve_x(curve, i)), place_y(f, curve->y2[i]));
        }
    }
    page_add(to, "Z\"/>\n");
}

static void draw_points(page *to, const frame *f, const svg_curve *curve)
{
    const size_t limit = 2000;
    const size_t stride = curve->count > limit ? (curve->count + limit - 1) / limit : 1;
    const double radius = curve->width > 0 ? curve->width : curve->count > 300 ? 1.4 : 3.0;
    page_add(to, "<g class=\"f%d%s\">", (int)curve->colour, curve->faint ? " faint" : "");
    for (size_t i = 0; i < curve->count; i += stride) {
        if (drawable(f, curve_x(curve, i), curve->y[i])) {
            page_add(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.2g\"/>",
                     place_x(f, curve_x(curve, i)), place_y(f, curve->y[i]), radius);
        }
    }
    page_add(to, "</g>\n");
}

static void draw_bars(page *to, const frame *f, const svg_curve *curve)
{
    page_add(to, "<g class=\"f%d%s\">", (int)curve->colour, curve->faint ? " faint" : "");
    const double base = f->y_log ? f->y_low : fmin(fmax(0.0, f->y_low), f->y_high);
    for (size_t i = 0; i < curve->count; i++) {
        const double x = curve_x(curve, i);
        if (!isfinite(x) || !isfinite(curve->y[i])) {
            continue;
        }
        const double from = place_x(f, x - curve->bar / 2);
        const double until = place_x(f, x + curve->bar / 2);
        const double a = place_y(f, curve->y[i]);
        const double b = place_y(f, base);
        page_add(to, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>", from,
                 fmin(a, b), fmax(until - from - 0.6, 0.6), fabs(a - b));
    }
    page_add(to, "</g>\n");
}

/* ---- Frame, ticks, legend */

/* Width of a text in the 12-pixel font, near enough to place legend entries and labels; as wide as
 * in the widest of the usual fonts. */
static double text_width(const char *text)
{
    double width = 0.0;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if ((*c & 0xC0) != 0x80) {
            width += strchr("iljtfr.,:;'|()[] ", *c) != NULL ? 4.0
                     : *c >= 'A' && *c <= 'Z'                ? 8.6
                     : *c >= '0' && *c <= '9'                ? 7.7
                                                             : 6.9;
        }
    }
    return width;
}

static void legend_sample(page *to, const svg_curve *curve, double x, double y)
{
    if (curve->shape == SVG_LINE) {
        page_add(to, "<path class=\"s%d%s%s\" style=\"stroke-width:%.2g\" d=\"M%.1f %.1fh22\"/>",
                 (int)curve->colour, curve->dashed ? " dash" : "", curve->faint ? " faint" : "",
                 curve->width > 0 ? curve->width : 2.0, x, y);
    } else if (curve->shape == SVG_POINTS) {
        page_add(to, "<circle class=\"f%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", (int)curve->colour,
                 x + 11, y);
    } else {
        page_add(to, "<rect class=\"f%d%s%s\" x=\"%.1f\" y=\"%.1f\" width=\"22\" height=\"10\"/>",
                 (int)curve->colour, curve->shape == SVG_AREA ? " area" : "",
                 curve->faint ? " faint" : "", x, y - 5);
    }
}

/* Write the legend, or only measure it (to = NULL). Returns the rows it takes. */
static int draw_legend(page *to, const svg_plot *plot, double left, double right)
{
    double x = left;
    int rows = 0;
    for (size_t c = 0; c < plot->curve_count; c++) {
        const svg_curve *const curve = &plot->curves[c];
        if (curve->label == NULL) {
            continue;
        }
        const double width = 28.0 + text_width(curve->label) + 18.0;
        if (rows == 0 || x + width > right) {
            x = left;
            rows++;
        }
        if (to != NULL) {
            const double y = 12.0 + 20.0 * (rows - 1);
            legend_sample(to, curve, x, y);
            page_add(to, "<text x=\"%.1f\" y=\"%.1f\">", x + 28, y + 4);
            page_add_escaped(to, curve->label);
            page_add(to, "</text>\n");
        }
        x += width;
    }
    return rows;
}

static void draw_spans(page *to, const svg_plot *plot, const frame *f)
{
    for (size_t s = 0; s < plot->span_count; s++) {
        const svg_span *const span = &plot->spans[s];
        const double from = place_x(f, fmax(span->low, f->x_low));
        const double until = place_x(f, fmin(span->high, f->x_high));
        if (until <= from) {
            continue;
        }
        if (span->tone > 0) {
            page_add(
                to,
                "<rect class=\"tone%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                span->tone, from, f->top, until - from, f->bottom - f->top);
        }
        if (span->label != NULL && text_width(span->label) < until - from) {
            page_add(to, "<text class=\"soft\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">",
                     (from + until) / 2, f->top - 6);
            page_add_escaped(to, span->label);
            page_add(to, "</text>\n");
        }
    }
}

static void draw_y_ticks(page *to, const frame *f, const svg_tick *ticks, size_t count)
{
    for (size_t t = 0; t < count; t++) {
        const double y = place_y(f, ticks[t].value);
        page_add(to,
                 "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text text-anchor=\"end\" x=\"%.1f\" "
                 "y=\"%.1f\">",
                 f->left, y, f->right, f->left - 7, y + 4);
        page_add_escaped(to, ticks[t].label);
        page_add(to, "</text>\n");
    }
}

static void draw_x_ticks(page *to, const frame *f, const svg_axis *axis)
{
    svg_tick ticks[SVG_TICKS];
    const size_t count = svg_ticks(ticks, axis, f->x_low, f->x_high,
                                   (int)((f->right - f->left) / 80.0));
    double free_from = -1e9;
    for (size_t t = 0; t < count; t++) {
        const double x = place_x(f, ticks[t].value);
        const double half = text_width(ticks[t].label) / 2;
        const double middle = fmin(x,
                                   f->width - half - 1.0); /* a label at the edge is moved inside */
        page_add(to, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, f->top, f->bottom + 4);
        if (middle - half < free_from) {
            continue;
        }
        free_from = middle + half + 6;
        page_add(to, "<text text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">", middle, f->bottom + 18);
        page_add_escaped(to, ticks[t].label);
        page_add(to, "</text>\n");
        if (ticks[t].second[0] != '\0') {
            page_add(
                to, "<text class=\"soft\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                x, f->bottom + 32, ticks[t].second);
        }
    }
}

static void draw_titles(page *to, const svg_plot *plot, const frame *f)
{
    if (plot->x.title != NULL) {
        page_add(to, "<text class=\"soft\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", f->right,
                 f->height - 5);
        page_add_escaped(to, plot->x.title);
        page_add(to, "</text>\n");
    }
    if (plot->y.title != NULL) {
        const double middle = (f->top + f->bottom) / 2;
        page_add(to,
                 "<text class=\"soft\" text-anchor=\"middle\" transform=\"translate(14 %.1f) "
                 "rotate(-90)\">",
                 middle);
        page_add_escaped(to, plot->y.title);
        page_add(to, "</text>\n");
    }
}

static void draw_marks(page *to, const svg_plot *plot, const frame *f)
{
    for (size_t m = 0; m < plot->mark_count; m++) {
        const svg_mark *const mark = &plot->marks[m];
        if (mark->horizontal) {
            if (mark->value < f->y_low || mark->value > f->y_high) {
                continue;
            }
            const double y = place_y(f, mark->value);
            page_add(to, "<path class=\"mark\" d=\"M%.1f %.1fH%.1f\"/>", f->left, y, f->right);
            if (mark->label != NULL) {
                page_add(to, "<text class=\"halo\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">",
                         f->right - 4, y - 5);
                page_add_escaped(to, mark->label);
                page_add(to, "</text>\n");
            }
            continue;
        }
        if (mark->value < f->x_low || mark->value > f->x_high) {
            continue;
        }
        const double x = place_x(f, mark->value);
        page_add(to, "<path class=\"mark\" d=\"M%.1f %.1fV%.1f\"/>", x, f->top, f->bottom);
        if (mark->label != NULL) {
            const int flip = x + text_width(mark->label) + 8 > f->right;
            page_add(to, "<text class=\"halo\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">",
                     flip ? "end" : "start", flip ? x - 5 : x + 5, f->top + 14);
            page_add_escaped(to, mark->label);
            page_add(to, "</text>\n");
        }
    }
}

static void draw_curves(page *to, const svg_plot *plot, const frame *f, int id)
{
    page_add(to,
             "<clipPath id=\"clip%d\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
             "height=\"%.1f\"/></clipPath>\n",
             id, f->left, f->top, f->right - f->left, f->bottom - f->top);
    page_add(to, "<g clip-path=\"url(#clip%d)\">\n", id);
    for (size_t c = 0; c < plot->curve_count; c++) {
        const svg_curve *const curve = &plot->curves[c];
        switch (curve->shape) {
        case SVG_AREA:
            draw_area(to, f, curve);
            break;
        case SVG_POINTS:
            draw_points(to, f, curve);
            break;
        case SVG_BARS:
            draw_bars(to, f, curve);
            break;
        case SVG_LINE:
        default:
            draw_line(to, f, curve);
            break;
        }
    }
    page_add(to, "</g>\n");
}

static frame lay_out(const svg_plot *plot, svg_tick *y_ticks, size_t *y_count)
{
    frame f = {.width = plot->width > 0 ? plot->width : 960.0,
               .height = plot->height > 0 ? plot->height : 340.0};
    find_range(plot, 0, &f.x_low, &f.x_high);
    find_range(plot, 1, &f.y_low, &f.y_high);
    f.x_log = plot->x.scale == SVG_LOG && f.x_low > 0.0;
    f.y_log = plot->y.scale == SVG_LOG && f.y_low > 0.0;
    f.right = f.width - 12.0;
    int labels = 0;
    for (size_t s = 0; s < plot->span_count; s++) {
        labels = labels || plot->spans[s].label != NULL;
    }
    const int rows = draw_legend(NULL, plot, 50.0, f.right);
    f.top = 8.0 + 20.0 * rows + (labels ? 16.0 : 0.0);
    f.bottom = f.height - (plot->x.scale == SVG_DATE ? 38.0 : 26.0) -
               (plot->x.title != NULL ? 14.0 : 0.0);
    *y_count = svg_ticks(y_ticks, &plot->y, f.y_low, f.y_high, (int)((f.bottom - f.top) / 45.0));
    double widest = 20.0;
    for (size_t t = 0; t < *y_count; t++) {
        widest = fmax(widest, text_width(y_ticks[t].label));
    }
    f.left = widest + 12.0 + (plot->y.title != NULL ? 20.0 : 0.0);
    return f;
}

void svg_plot_write(page *to, const svg_plot *plot)
{
    svg_tick y_ticks[SVG_TICKS];
    size_t y_count = 0;
    const frame f = lay_out(plot, y_ticks, &y_count);
    const int id = (int)(to->length & 0x3fffffff); /* the place in the page is unique */
    page_add(to, "<figure>\n<figcaption><b>");
    page_add_escaped(to, plot->title);
    page_add(to, "</b>");
    if (plot->note != NULL) {
        page_add(to, "<span>");
        page_add_escaped(to, plot->note);
        page_add(to, "</span>");
    }
    page_add(to, "</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
             f.width, f.height);
    page_add_escaped(to, plot->title);
    page_add(to, "\">\n");
    (void)draw_legend(to, plot, f.left, f.right);
    draw_spans(to, plot, &f);
    draw_y_ticks(to, &f, y_ticks, y_count);
    draw_x_ticks(to, &f, &plot->x);
    draw_curves(to, plot, &f, id);
    draw_marks(to, plot, &f);
    page_add(to, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", f.left, f.top, f.bottom,
             f.right);
    draw_titles(to, plot, &f);
    page_add(to, "</svg>\n</figure>\n");
}

/* The colours of a page: their names as CSS variables, for light and for dark. */
typedef struct tint {
    const char *name, *light, *dark;
} tint;
static const tint tints[] = {
    {"paper", "#fff", "#15181c"},    {"ink", "#1d2126", "#e6e8eb"},
    {"soft", "#5c6470", "#a0a8b3"},  {"grid", "#e7e9ec", "#2a2f36"},
    {"tone1", "#f3f5f8", "#1c2026"}, {"tone2", "#e9edf3", "#252b33"},
    {"c0", "#0072b2", "#5db2ec"},    {"c1", "#d55e00", "#ff8b4d"},
    {"c2", "#009e73", "#3ecfa0"},    {"c3", "#e69f00", "#f3b83f"},
    {"c4", "#56b4e9", "#8fd0f7"},    {"c5", "#b5558f", "#e08fc0"},
    {"c6", "#8a8f98", "#8d949e"},
};
enum { TINTS = sizeof tints / sizeof tints[0], FIRST_CURVE = 6 };

/* SELECTOR{PROPERTY: the colour; REST}, for light in plain words first: viewers that do not know
 * CSS variables (librsvg, and what is built on it) take that one and pass over the second. */
static void add_rule(page *to, const char *selector, const char *property, const char *name,
                     const char *rest)
{
    size_t k = 0;
    while (strcmp(tints[k].name, name) != 0) {
        k++;
    }
    page_add(to, "%s{%s:%s;%s:var(--%s)%s}\n", selector, property, tints[k].light, property, name,
             rest);
}

static void add_tints(page *to, int dark)
{
    for (size_t k = 0; k < TINTS; k++) {
        page_add(to, "%s--%s:%s", k > 0 ? ";" : "", tints[k].name,
                 dark ? tints[k].dark : tints[k].light);
    }
}

void svg_plot_style(page *to)
{
    for (size_t k = FIRST_CURVE; k < TINTS; k++) {
        char selector[16];
        snprintf(selector, sizeof selector, ".s%zu", k - FIRST_CURVE);
        add_rule(to, selector, "stroke", tints[k].name, ";fill:none;stroke-linejoin:round");
        selector[1] = 'f';
        add_rule(to, selector, "fill", tints[k].name, "");
    }
    page_add(to, ".dash{stroke-dasharray:5 4}.area{opacity:.28}.area.faint{opacity:.16}"
                 "path.faint:not(.area){opacity:.55}\n");
    add_rule(to, ".grid", "stroke", "grid", ";fill:none;stroke-width:1");
    add_rule(to, ".axis", "stroke", "soft", ";fill:none;stroke-width:1");
    add_rule(to, ".mark", "stroke", "soft", ";stroke-dasharray:2 3;fill:none");
    add_rule(to, ".soft", "fill", "soft", "");
    add_rule(to, ".paper", "fill", "paper", "");
    add_rule(to, ".tone1", "fill", "tone1", "");
    add_rule(to, ".tone2", "fill", "tone2", "");
    add_rule(to, ".halo", "stroke", "paper",
             ";paint-order:stroke;stroke-width:4px;stroke-linejoin:round");
    page_add(to, "svg{width:100%%;height:auto;display:block;font:12px system-ui,sans-serif}\n");
    add_rule(to, "svg text", "fill", "ink", "");
    add_rule(to, "svg text.soft", "fill", "soft", "");
    page_add(to, "figure{margin:1.2em 0;break-inside:avoid}figcaption b{display:block}\n");
    add_rule(to, "figcaption span", "color", "soft",
             ";display:block;font-size:.9em;max-width:none");
    page_add(to, ":root{color-scheme:light dark;");
    add_tints(to, 0);
    page_add(to, "}\n@media (prefers-color-scheme:dark){:root{");
    add_tints(to, 1);
    page_add(to, "}}\n@media print{:root{color-scheme:light;");
    add_tints(to, 0);
    page_add(to, "}}\n");
}
