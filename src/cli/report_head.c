/* SPDX-License-Identifier: MIT
 *
 * Beginning and end of a page; see report_head.h.
 */
#include "report_head.h"

#include "confusion_page.h"
#include "svg_plot.h"

static const char page_style[] =
    "body{max-width:62rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 "
    "system-ui,sans-serif;color:var(--ink);"
    "background:var(--paper)}h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.2rem;margin-top:2."
    "2rem}"
    "p.soft{color:var(--soft)}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .9rem .25rem 0;text-align:left;border-bottom:1px solid "
    "var(--grid);vertical-align:top}"
    "td.n,th.n{text-align:right;white-space:nowrap}th{font-weight:600}code{font-family:ui-"
    "monospace,monospace;font-"
    "size:.92em}\n";

void report_begin(page *to, const char *title)
{
    page_add(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width\"><title>");
    page_add_escaped(to, title);
    page_add(to, "</title>\n<style>%s", page_style);
    page_add(to, "%s", confusion_style);
    svg_plot_style(to);
    page_add(to, "</style></head>\n<body><h1>");
    page_add_escaped(to, title);
    page_add(to, "</h1>\n");
}

void report_end(page *to)
{
    page_add(to, "</body></html>\n");
}

void report_row(page *to, const char *name, const char *value)
{
    page_add(to, "<tr><th scope=\"row\">");
    page_add_escaped(to, name);
    page_add(to, "</th><td>");
    page_add_escaped(to, value);
    page_add(to, "</td></tr>\n");
}
