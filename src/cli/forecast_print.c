/* SPDX-License-Identifier: MIT
 *
 * The tables of `lstm forecast` on stdout, and the forecast as CSV.
 */
#define _POSIX_C_SOURCE 200809L
#include "files.h"
#include "forecast.h"
#include "messages.h"
#include "report_page.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Print a text, wrapped where stdout is a terminal. */
static void print_wrapped(const char *text)
{
    const int columns = message_columns(stdout);
    size_t width = columns > 20 ? (size_t)(columns < 100 ? columns : 100) - 1 : (size_t)-1;
    while (strlen(text) > width) {
        size_t cut = width;
        while (cut > 0 && text[cut] != ' ') {
            cut--;
        }
        if (cut == 0) {
            break;
        }
        printf("%.*s\n", (int)cut, text);
        text += cut + 1;
    }
    printf("%s\n", text);
}

static void print_row(const method *m, int is_network)
{
    char rmse[32];
    char mae[32];
    char mase[32];
    char ratio[32];
    char p[32] = "";
    (void)number_text(rmse, sizeof rmse, m->rmse, 4);
    (void)number_text(mae, sizeof mae, m->mae, 4);
    (void)snprintf(mase, sizeof mase, isnan(m->mase) ? "-" : "%.3f", m->mase);
    (void)snprintf(ratio, sizeof ratio, isnan(m->ratio) ? "-" : "%.4f", m->ratio);
    if (!is_network) {
        (void)snprintf(p, sizeof p, isnan(m->p) ? "-" : m->p < 0.001 ? "<0.001" : "%.3f", m->p);
    }
    printf("%s  %-24s %10s %10s %8s %10s %8s%s%s%s\n",
           is_network ? message_paint(stdout, PAINT_BOLD) : "", m->name, rmse, mae, mase, ratio, p,
           m->detail[0] != '\0' ? "  " : "", m->detail,
           is_network ? message_paint(stdout, PAINT_NONE) : "");
}

void forecast_print_table(const forecast_run *run)
{
    const method_table *const table = &run->table;
    const series *const data = &run->series;
    const forecast_part *const test = &run->chosen.test;
    char first[64];
    char last[64];
    printf("Errors of %s in the test part (%s to %s, %zu forecasts of %zu %s):\n\n", data->names[0],
           series_time_text(data, test->first_row, first, sizeof first),
           series_time_text(data, test->end_row - 1, last, sizeof last), table->origins,
           table->horizon, table->horizon == 1 ? "step" : "steps");
    printf("  %-24s %10s %10s %8s %10s %8s\n", "method", "RMSE", "MAE", "MASE", "to last", "p");
    for (size_t i = 0; i < table->count; i++) {
        print_row(&table->items[i], i == 0);
    }
    printf("\n  to last: RMSE over that of repeating the last value. p: Diebold-Mariano test of "
           "the network against\n"
           "  the method. MASE: MAE over the training part's %s error (%.4g).\n\n",
           table->season > 0 ? "seasonal naive" : "one-step naive", table->mase_scale);
    printf("%s", message_paint(stdout, PAINT_BOLD));
    print_wrapped(run->verdict);
    printf("%s", message_paint(stdout, PAINT_NONE));
    printf("The intervals held %.0f %% (of 80 %%) and %.0f %% (of 95 %%) of the test values.\n\n",
           100.0 * run->coverage80, 100.0 * run->coverage95);
}

int forecast_decimals(const forecast_ahead *ahead)
{
    double width = INFINITY;
    for (size_t h = 0; h < ahead->count; h++) {
        width = fmin(width, ahead->high95[h] - ahead->low95[h]);
    }
    if (!(width > 0.0) || !isfinite(width)) {
        return 4;
    }
    return (int)fmin(fmax(ceil(2.5 - log10(width)), 0.0), 12.0);
}

void forecast_print_ahead(const forecast_run *run)
{
    const forecast_ahead *const ahead = &run->ahead;
    const int decimals = forecast_decimals(ahead);
    char time[64];
    printf("Forecast of %s:\n\n  %-20s %12s %27s %27s\n", run->series.names[0],
           run->series.date_name != NULL ? run->series.date_name : "row", "forecast",
           "80 % interval", "95 % interval");
    for (size_t h = 0; h < ahead->count; h++) {
        printf("  %-20s %12.*f %12.*f to %11.*f %12.*f to %11.*f\n",
               spacing_time(&run->series.spacing, ahead->times[h], time, sizeof time), decimals,
               ahead->value[h], decimals, ahead->low80[h], decimals, ahead->high80[h], decimals,
               ahead->low95[h], decimals, ahead->high95[h]);
    }
    printf("\n");
    if (run->residual_count < 40) {
        printf("Only %zu validation errors stand behind the intervals: take the 95 %% one as a "
               "rough guess.\n\n",
               run->residual_count);
    }
}

/* A name as a CSV field. */
static void add_field(page *to, const char *name)
{
    if (strpbrk(name, ",\"\n\r") == NULL) {
        page_add(to, "%s", name);
        return;
    }
    page_add(to, "\"");
    for (const char *c = name; *c != '\0'; c++) {
        page_add(to, *c == '"' ? "\"\"" : "%c", *c);
    }
    page_add(to, "\"");
}

int forecast_write_csv(const forecast_run *run, const char *path)
{
    const forecast_ahead *const ahead = &run->ahead;
    page text = {0};
    char time[64];
    add_field(&text, run->series.date_name != NULL ? run->series.date_name : "row");
    page_add(&text, ",");
    add_field(&text, run->series.names[0]);
    page_add(&text, ",low_80,high_80,low_95,high_95\n");
    for (size_t h = 0; h < ahead->count; h++) {
        if (run->series.spacing.kind == SPACING_ROWS) {
            page_add(&text, "%.0f", ahead->times[h]);
        } else {
            page_add(&text, "%s",
                     spacing_time(&run->series.spacing, ahead->times[h], time, sizeof time));
        }
        page_add(&text, ",%.9g,%.9g,%.9g,%.9g,%.9g\n", ahead->value[h], ahead->low80[h],
                 ahead->high80[h], ahead->low95[h], ahead->high95[h]);
    }
    const int code = text.failed ? message_error(EXIT_WORK, "%s: no memory", path)
                                 : file_write(path, text.text, text.length);
    page_release(&text);
    return code;
}
