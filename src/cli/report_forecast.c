/* SPDX-License-Identifier: MIT
 *
 * The HTML report of `lstm forecast`: one file, no script, plots inline, light and dark after the
 * reader's system, light on paper. Everything that comes from files or from the command line is
 * escaped.
 */
#define _POSIX_C_SOURCE 200809L
#include "report_forecast.h"
#include "command.h"
#include "messages.h"
#include "svg_plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char style[] =
    "*{box-sizing:border-box}\n"
    "html{background:var(--paper);color:var(--ink)}\n"
    "body{margin:0 auto;padding:2.5rem 1.2rem 4rem;max-width:1000px;\n"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 .2rem}\n"
    "h2{font-size:1.25rem;margin:2.6rem 0 .4rem;break-after:avoid}\n"
    "p{max-width:75ch;margin:.6em 0}\n"
    "p.sub{color:var(--soft);margin:0 0 1.2rem;max-width:none}\n"
    ".verdict{border-left:4px solid var(--c0);background:var(--tone1);padding:.9rem 1.1rem;\n"
    "max-width:none;font-size:1.06rem}\n"
    ".verdict.bad{border-color:var(--c1)}\n"
    ".verdict.good{border-color:var(--c2)}\n"
    ".facts{display:flex;flex-wrap:wrap;gap:.8rem 1.8rem;margin:1.2rem 0}\n"
    ".facts div{min-width:7rem}\n"
    ".facts b{display:block;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums}\n"
    ".facts span{color:var(--soft);font-size:.88rem}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.94rem}\n"
    "th,td{padding:.34rem .7rem;text-align:right;white-space:nowrap;\n"
    "border-bottom:1px solid var(--grid)}\n"
    "th{font-weight:600}\n"
    "th:first-child,td:first-child,td.text,th.text{text-align:left}\n"
    "td.text{color:var(--soft);white-space:normal;font-size:.9em;min-width:11rem}\n"
    "thead th{border-bottom:1px solid var(--soft)}\n"
    "tr.us td{font-weight:600;background:var(--tone1)}\n"
    "tr.us td.text{font-weight:400}\n"
    "td.best::after{content:' \\2713';color:var(--c2)}\n"
    ".pair{display:flex;flex-wrap:wrap;gap:0 1rem}\n"
    ".pair figure{flex:1 1 420px;min-width:0}\n"
    "dl{display:grid;grid-template-columns:minmax(9rem,max-content) 1fr;gap:.25rem 1.2rem;\n"
    "font-size:.94rem}\n"
    "dt{color:var(--soft)}\n"
    "dd{margin:0;overflow-wrap:anywhere}\n"
    "code{font:.92em ui-monospace,monospace;overflow-wrap:anywhere}\n"
    "@media print{\n"
    "body{padding:0;max-width:none;font-size:12px}\n"
    ".verdict{font-size:1em}\n"
    "h2{margin-top:1.6rem}\n"
    ".facts{gap:.4rem 1rem}\n"
    ".facts div{min-width:0}\n"
    ".facts b{font-size:1.2rem}\n"
    ".wide{overflow:visible}\n"
    "table{break-inside:avoid;font-size:.9em}\n"
    "th,td{padding:.2rem .45rem}\n"
    ".pair{flex-wrap:nowrap}\n"
    ".pair figure{flex:1 1 45%}\n"
    "}\n";

static void add_item(page *to, const char *name, const char *text)
{
    page_add(to, "<dt>");
    page_add_escaped(to, name);
    page_add(to, "</dt><dd>");
    page_add_escaped(to, text);
    page_add(to, "</dd>\n");
}

static void add_fact(page *to, double value, int digits, const char *suffix, const char *what)
{
    page_add(to, "<div><b>");
    page_add_number(to, value, digits);
    page_add(to, "%s</b><span>", suffix);
    page_add_escaped(to, what);
    page_add(to, "</span></div>\n");
}

static int verdict_tone(const method_table *table)
{
    const method *const best = baseline_best(table);
    const method *const last = baseline_find(table, METHOD_LAST);
    if (best == NULL || last == NULL) {
        return 0;
    }
    if (table->items[0].ratio >= 1.0 || (best->versus > 1.0 && best->p < 0.05)) {
        return -1;
    }
    return last->p < 0.05 ? 1 : 0;
}

static void add_top(page *to, const forecast_run *run)
{
    const series *const data = &run->series;
    char first[64];
    char last[64];
    char words[64];
    page_add(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" "
                 "content=\"width=device-width,initial-scale=1\">\n<title>Forecast of ");
    page_add_escaped(to, data->names[0]);
    page_add(to, "</title>\n<style>\n");
    svg_plot_style(to);
    page_add(to, "%s</style></head><body>\n<h1>Forecast of ", style);
    page_add_escaped(to, data->names[0]);
    page_add(to, "</h1>\n<p class=\"sub\">");
    page_add_escaped(to, data->path);
    page_add(to, ": %zu rows, ", data->rows);
    page_add_escaped(to, series_time_text(data, 0, first, sizeof first));
    page_add(to, " to ");
    page_add_escaped(to, series_time_text(data, data->rows - 1, last, sizeof last));
    page_add(to, ", %s</p>\n", spacing_words(&data->spacing, words, sizeof words));
    if (run->verdict[0] != '\0') {
        static const char *const tones[] = {"verdict bad", "verdict", "verdict good"};
        page_add(to, "<p class=\"%s\">", tones[verdict_tone(&run->table) + 1]);
        page_add_escaped(to, run->verdict);
        page_add(to, "</p>\n");
    }
    if (run->table.count > 0) {
        const method *const network = &run->table.items[0];
        page_add(to, "<div class=\"facts\">\n");
        add_fact(to, network->rmse, 4, "", "RMSE in the test part");
        page_add(to, "<div><b>%.4f</b><span>ratio to the last value</span></div>\n",
                 network->ratio);
        add_fact(to, network->mase, 3, "", "MASE");
        add_fact(to, 100.0 * run->coverage80, 3, " %", "in the 80 % interval");
        add_fact(to, 100.0 * run->coverage95, 3, " %", "in the 95 % interval");
        page_add(to, "</div>\n");
    }
}

static void add_number_cell(page *to, double value, const char *class, const char *format)
{
    char text[40];
    page_add(to, "<td%s%s%s>", class != NULL ? " class=\"" : "", class != NULL ? class : "",
             class != NULL ? "\"" : "");
    if (format == NULL) {
        page_add_number(to, value, 4);
    } else if (isnan(value)) {
        page_add(to, "\xE2\x80\x93");
    } else {
        (void)snprintf(text, sizeof text, format, value);
        page_add(to, "%s", text);
    }
    page_add(to, "</td>");
}

static void add_errors(page *to, const forecast_run *run)
{
    const method_table *const table = &run->table;
    double best = INFINITY;
    for (size_t i = 0; i < table->count; i++) {
        best = fmin(best, table->items[i].rmse);
    }
    page_add(to,
             "<h2>Errors in the test part</h2>\n<p>%zu forecasts of %zu %s each, every method on "
             "the same points, in the "
             "units of <em>",
             table->origins, table->horizon, table->horizon == 1 ? "step" : "steps");
    page_add_escaped(to, run->series.names[0]);
    page_add(
        to,
        "</em>. MASE is the mean absolute error over the training part's %s error (%.4g). "
        "<em>p</em> is the "
        "Diebold\xE2\x80\x93Mariano test of the network against the method: above 0.05 the "
        "difference can be "
        "chance.</p>\n<div "
        "class=\"wide\"><table><thead><tr><th>method</th><th>RMSE</th><th>MAE</th><th>MASE</th>"
        "<th>to last value</th><th>p</th><th class=\"text\"></th></tr></thead><tbody>\n",
        table->season > 0 ? "seasonal naive" : "one-step naive", table->mase_scale);
    for (size_t i = 0; i < table->count; i++) {
        const method *const m = &table->items[i];
        page_add(to, "<tr%s><td>%s</td>", i == 0 ? " class=\"us\"" : "", m->name);
        add_number_cell(to, m->rmse, m->rmse == best ? "best" : NULL, NULL);
        add_number_cell(to, m->mae, NULL, NULL);
        add_number_cell(to, m->mase, NULL, "%.3f");
        add_number_cell(to, m->ratio, NULL, "%.4f");
        if (m->p < 0.001) {
            page_add(to, "<td>&lt; 0.001</td>");
        } else {
            add_number_cell(to, m->p, NULL, "%.3f");
        }
        page_add(to, "<td class=\"text\">%s</td></tr>\n", m->detail);
    }
    page_add(to, "</tbody></table></div>\n");
}

static void add_ahead_table(page *to, const forecast_run *run)
{
    const forecast_ahead *const ahead = &run->ahead;
    const int folded = ahead->count > 14;
    if (folded) {
        page_add(to, "<details><summary>The %zu values</summary>\n", ahead->count);
    }
    page_add(to, "<div class=\"wide\"><table><thead><tr><th>");
    page_add_escaped(to, run->series.date_name != NULL ? run->series.date_name : "row");
    page_add(to, "</th><th>forecast</th><th>80 %% interval</th><th>95 %% "
                 "interval</th></tr></thead><tbody>\n");
    char time[64];
    const int decimals = forecast_decimals(ahead);
    for (size_t h = 0; h < ahead->count; h++) {
        page_add(to, "<tr><td>");
        page_add_escaped(to,
                         spacing_time(&run->series.spacing, ahead->times[h], time, sizeof time));
        page_add(to, "</td><td>");
        page_add_fixed(to, ahead->value[h], decimals);
        page_add(to, "</td><td>");
        page_add_fixed(to, ahead->low80[h], decimals);
        page_add(to, " to ");
        page_add_fixed(to, ahead->high80[h], decimals);
        page_add(to, "</td><td>");
        page_add_fixed(to, ahead->low95[h], decimals);
        page_add(to, " to ");
        page_add_fixed(to, ahead->high95[h], decimals);
        page_add(to, "</td></tr>\n");
    }
    page_add(to, "</tbody></table></div>\n%s", folded ? "</details>\n" : "");
}

static void add_recipe(page *to, const forecast_run *run)
{
    const attempt *const a = &run->chosen;
    const recipe *const r = &a->recipe;
    char text[900];
    size_t used = 0;
    page_add(to, "<h2>How it was made</h2>\n<dl>\n");
    add_item(to, "transform", transform_names[r->target]);
    if (a->choice.reason[0] != '\0') {
        add_item(to, "why", a->choice.reason);
    }
    text[0] = '\0';
    for (size_t c = 0; c < r->column_count && used < sizeof text; c++) {
        const int more = snprintf(text + used, sizeof text - used, "%s%s (%s)", c > 0 ? ", " : "",
                                  run->series.names[c], transform_names[r->inputs[c]]);
        used += more > 0 ? (size_t)more : 0;
    }
    add_item(to, "columns", text);
    if (run->columns_reason[0] != '\0') {
        add_item(to, "why", run->columns_reason);
    }
    for (size_t c = 0; c < r->cycle_count; c++) {
        char words[64];
        (void)snprintf(text, sizeof text, "%s, as sine and cosine",
                       cycle_words(&r->cycles[c], words, sizeof words));
        add_item(to, "place in the", text);
    }
    if (r->season > 0) {
        (void)snprintf(text, sizeof text, "%zu rows", r->season);
        add_item(to, "season", text);
    }
    (void)snprintf(text, sizeof text, "%zu rows; forecasts %zu %s at once", r->window, r->horizon,
                   r->horizon == 1 ? "step" : "steps");
    add_item(to, "window", text);
    if (a->member_count > 0) {
        const forecast_settings *const s = run->settings;
        (void)snprintf(
            text, sizeof text,
            "the mean of %zu networks, each an LSTM of %lld units and a dense layer, merged into "
            "one of %zu parameters",
            a->member_count, (long long)s->units, lstm_model_parameter_total(a->model));
        add_item(to, "network", text);
        used = (size_t)snprintf(
            text, sizeof text,
            "Adam, learning rate %g, batch %d, gradient norm at most 1, loss %s, "
            "at most %d epochs, stopped after "
            "%d without improvement; best epochs ",
            s->learning_rate, s->batch_size, s->loss_name, s->epochs, s->patience);
        for (size_t k = 0; k < a->member_count && used < sizeof text; k++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%zu of %zu",
                                     k > 0 ? ", " : "", a->members[k].best_epoch,
                                     lstm_history_epochs(a->members[k].history));
        }
        if (used < sizeof text) {
            (void)snprintf(text + used, sizeof text - used, "; %.1f s", run->seconds);
        }
        add_item(to, "training", text);
        (void)snprintf(text, sizeof text,
                       "%zu windows for training, %zu for validation, %zu for the test",
                       a->train.count, a->validation.count, a->test.count);
        add_item(to, "samples", text);
    }
    if (!isnan(run->spread_correlation)) {
        (void)snprintf(
            text, sizeof text,
            "quantiles of %zu validation errors a step, %s (correlation of the size of changes "
            "with the window before them: %.2f)",
            run->residual_count,
            run->scaled ? "scaled by the spread of the latest window" : "of constant width",
            run->spread_correlation);
        add_item(to, "intervals", text);
    }
    if (run->series.ignored[0] != '\0') {
        add_item(to, "not used", run->series.ignored);
    }
    page_add(to, "</dl>\n");
}

static void add_versions(page *to, const forecast_run *run)
{
    char text[512];
    char when[64];
    const forecast_settings *const s = run->settings;
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &utc) == 0) {
        when[0] = '\0';
    }
    page_add(to, "<h2>Versions and data</h2>\n<dl>\n");
    const char *const isa = lstm_constant_name(LSTM_NAMES_ISA, lstm_context_isa(run->context));
    (void)snprintf(text, sizeof text, "liblstm %s, %s kernels, BLAS %s, %d %s",
                   lstm_version_string(), isa != NULL ? isa : "unknown",
                   lstm_context_blas(run->context), lstm_context_threads(run->context),
                   lstm_context_threads(run->context) == 1 ? "thread" : "threads");
    add_item(to, "library", text);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)s->seed);
    add_item(to, "seed", text);
    add_item(to, "data", run->series.path);
    if (run->checksum[0] != '\0') {
        (void)snprintf(text, sizeof text, "%s", run->checksum);
        page_add(to, "<dt>sha256</dt><dd><code>%s</code></dd>\n", text);
    }
    if (run->trained_on != NULL) {
        add_item(to, "trained on", run->trained_on);
    }
    add_item(to, "model", s->model != NULL ? s->model : s->output);
    add_item(to, "written", when);
    page_add(to, "</dl>\n");
}

/* A word as the shell takes it. */
static void add_shell_word(page *to, const char *word)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+@%";
    if (word[0] != '\0' && word[strspn(word, safe)] == '\0') {
        page_add_escaped(to, word);
        return;
    }
    page_add(to, "&#39;");
    for (const char *c = word; *c != '\0'; c++) {
        const char one[2] = {*c, '\0'};
        page_add_escaped(to, *c == '\'' ? "'\\''" : one);
    }
    page_add(to, "&#39;");
}

/* The command that repeats this run: the data and every option that was given. */
static void add_command(page *to, const forecast_run *run)
{
    const arguments *const given = run->arguments;
    page_add(to, "<h2>Again</h2>\n<p><code>lstm forecast ");
    add_shell_word(to, run->settings->data);
    for (const option_spec *option = command_forecast.options; option->name != NULL; option++) {
        if (arguments_given(given, option->name) == 0) {
            continue;
        }
        page_add(to, " --%s", option->name);
        if (option->kind == OPTION_INTEGER) {
            page_add(to, " %lld", (long long)arguments_integer(given, option->name));
        } else if (option->kind == OPTION_REAL) {
            page_add(to, " %.15g", arguments_real(given, option->name));
        } else if (option->kind != OPTION_FLAG) {
            page_add(to, " ");
            add_shell_word(to, arguments_text(given, option->name));
        }
    }
    if (arguments_given(given, "seed") > 0) {
        page_add(to, " --seed %llu", (unsigned long long)arguments_seed(given));
    }
    page_add(to, "</code></p>\n");
}

int report_write_forecast(const forecast_run *run, const char *path)
{
    page text = {0};
    add_top(&text, run);
    page_add(&text, "<h2>What comes next</h2>\n");
    plot_ahead(&text, run);
    add_ahead_table(&text, run);
    if (run->table.count > 0) {
        add_errors(&text, run);
        plot_truth(&text, run);
        plot_steps(&text, run);
    }
    page_add(&text, "<h2>The data</h2>\n");
    plot_data(&text, run);
    if (run->chosen.member_count > 0) {
        page_add(&text, "<h2>Training</h2>\n");
        plot_loss(&text, run);
        page_add(&text, "<h2>What the forecasts miss</h2>\n");
        plot_residuals(&text, run);
    }
    add_recipe(&text, run);
    add_versions(&text, run);
    add_command(&text, run);
    page_add(&text, "</body></html>\n");
    return page_write(&text, path);
}
