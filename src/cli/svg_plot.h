/* SPDX-License-Identifier: MIT
 *
 * Plots as inline SVG, written into a page (report_page.h). One plot is one struct: axes, curves in
 * drawing order, shaded spans and marked places. Colours are classes that the page's style sheet
 * fills for light and dark (svg_plot_style); they follow Okabe and Ito's palette, which stays
 * readable for colour-blind people.
 *
 *     svg_plot plot = {.title = "Loss", .height = 320, .x = {.title = "epoch", .integer = 1}};
 *     svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE, .x = epochs, .y = loss, .count = n, .label = "training"});
 *     svg_plot_write(page, &plot);
 *
 * A line with more points than two a pixel is thinned: of each pixel column the first, lowest,
 * highest and last point stay, so that no peak is lost and the file stays small. NaN interrupts a
 * line.
 */
#ifndef LSTM_CLI_SVG_PLOT_H
#define LSTM_CLI_SVG_PLOT_H

#include "report_page.h"
#include <stddef.h>

#define SVG_CURVES 16
#define SVG_SPANS 4
#define SVG_MARKS 4

typedef enum svg_shape {
    SVG_LINE = 1,
    SVG_AREA, /* between y and y2 */
    SVG_POINTS,
    SVG_BARS /* from 0 to y, at x, `bar` wide (units of x) */
} svg_shape;

/* Colours: the meaning is the same in every plot of a report. */
typedef enum svg_colour {
    SVG_BLUE = 0,  /* the data, the truth */
    SVG_VERMILION, /* the network */
    SVG_GREEN,
    SVG_ORANGE,
    SVG_SKY,
    SVG_PURPLE,
    SVG_GREY
} svg_colour;

typedef struct svg_curve {
    svg_shape shape;
    svg_colour colour;
    const double *x; /* NULL = 0, 1, 2, … */
    const double *y;
    const double *y2;
    size_t count;
    const char *label; /* in the legend; NULL = not there */
    double bar;
    double width; /* of a line; 0 = 1.5 */
    int dashed;
    int faint; /* areas and lines that stand behind others */
} svg_curve;

typedef enum svg_scale {
    SVG_NUMBER = 0,
    SVG_LOG, /* base 10; all values > 0 */
    SVG_DATE /* seconds since 1970-01-01, UTC */
} svg_scale;

typedef struct svg_axis {
    svg_scale scale;
    const char *title;
    int integer;   /* ticks at whole numbers only */
    int fixed;     /* low and high are given; else they are found from the curves */
    int from_zero; /* include 0 */
    double low;
    double high;
    /* names at 0, 1, 2, … instead of numbers; NULL = numbers. Then low and high are given */
    const char *const *labels;
    size_t label_count;
} svg_axis;

typedef struct svg_span {
    double low; /* along x */
    double high;
    const char *label;
    int tone; /* 0, 1, 2: none, light, stronger */
} svg_span;

typedef struct svg_mark {
    int horizontal; /* a line at y = value; else at x = value */
    double value;
    const char *label;
} svg_mark;

typedef struct svg_plot {
    const char *title;
    const char *note; /* below the title, smaller; may be NULL */
    double width;     /* 0 = 960 */
    double height;    /* 0 = 340 */
    svg_axis x, y;
    svg_curve curves[SVG_CURVES];
    size_t curve_count;
    svg_span spans[SVG_SPANS];
    size_t span_count;
    svg_mark marks[SVG_MARKS];
    size_t mark_count;
} svg_plot;

/* Add a curve (ignored beyond SVG_CURVES, or without points), a span, a mark. */
void svg_plot_add(svg_plot *plot, svg_curve curve);
void svg_plot_span(svg_plot *plot, double low, double high, int tone, const char *label);
void svg_plot_mark(svg_plot *plot, int horizontal, double value, const char *label);

/* Write the plot as a <figure>. */
void svg_plot_write(page *to, const svg_plot *plot);

/* Write the rules of the style sheet that plots need (inside <style>). */
void svg_plot_style(page *to);

/* ---- Ticks, for axes and for tests (svg_ticks.c) */

typedef struct svg_tick {
    double value;
    char label[32];
    char second[16]; /* second line: the year, where it changes; "" else */
} svg_tick;

#define SVG_TICKS 32

/* Find at most `wanted` + 2 ticks for [low, high]; returns their number. */
size_t svg_ticks(svg_tick *ticks, const svg_axis *axis, double low, double high, int wanted);

/* Count values into `bins` equal bins from low to high: centres and counts. */
void svg_histogram(const double *values, size_t count, double low, double high, size_t bins,
                   double *centres, double *counts);

#endif
