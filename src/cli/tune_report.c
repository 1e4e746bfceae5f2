/* SPDX-License-Identifier: MIT
 *
 * What a search found: the table of its trials, and for each parameter a picture of the objective
 * over its values, ordered by how much of the ranks' variance it explains (tune_effects.c).
 *
 * Trials of different length are not comparable; a parameter's picture shows each trial after its
 * first rung, where all of a bracket have trained for the same number of epochs.
 */
#include "tune.h"

#include "messages.h"
#include "option_words.h"
#include "report_head.h"
#include "svg_plot.h"
#include "text_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 10  /* trials on the terminal */
#define GROUPS 4  /* of a parameter's values, for its share */
#define MEDIANS 8 /* points of the line */
#define LABELS 16

/* ---- Order */

typedef struct ranked {
    double planned, score; /* epochs that it was to train; 0 = it has no result */
    const trial *which;
} ranked;

static int better_first(const void *a, const void *b)
{
    const ranked *const x = a;
    const ranked *const y = b;
    if (x->planned != y->planned) {
        return x->planned > y->planned ? -1 : 1;
    }
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return x->which->number < y->which->number ? -1 : x->which->number > y->which->number;
}

/* Pointers to all trials, those that trained longest first, of those the best; NULL where there is
 * no memory. */
static const trial **sorted(const tune *t)
{
    const trial **list = calloc(t->count + 1, sizeof *list);
    ranked *order = calloc(t->count + 1, sizeof *order);
    if (list == NULL || order == NULL) {
        free(list);
        free(order);
        return NULL;
    }
    for (size_t i = 0; i < t->count; i++) {
        const trial *which = &t->trials[i];
        const double planned = which->error != NULL ? 0 : trial_value(which, -1, "planned");
        order[i] = (ranked){isnan(planned) ? 0 : planned, trial_score(t, which, -1), which};
    }
    qsort(order, t->count, sizeof *order, better_first);
    for (size_t i = 0; i < t->count; i++) {
        list[i] = order[i].which;
    }
    free(order);
    return list;
}

const trial *search_best(const tune *t)
{
    const trial **list = sorted(t);
    const trial *best = list != NULL && t->count > 0 && list[0]->error == NULL &&
                                isfinite(trial_score(t, list[0], -1))
                            ? list[0]
                            : NULL;
    free(list);
    return best;
}

/* ---- Table */

static char *values_text(const trial *which, char *text, size_t size)
{
    const char *name;
    json_t *value;
    size_t used = 0;
    text[0] = '\0';
    json_object_foreach(which->values, name, value)
    {
        char shown[64];
        if (json_is_string(value)) {
            snprintf(shown, sizeof shown, "%.60s", json_string_value(value));
        } else {
            value_text(value, shown, sizeof shown);
        }
        if (used < size) {
            used += (size_t)snprintf(text + used, size - used, "%s%s=%s", used == 0 ? "" : "  ",
                                     name, shown);
        }
    }
    return text;
}

static const char *number_or_dash(char *text, size_t size, double value)
{
    return isfinite(value) ? number_text(text, size, value, 5) : "-";
}

int search_print(const tune *t, const search *s)
{
    text_table *table = text_table_create(6, ">>>>><");
    const trial **list = sorted(t);
    int code = EXIT_DONE;
    (void)s;
    if (table == NULL || list == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    text_table_row(table, "trial", "epochs", "loss", t->objective, "seconds", "values");
    text_table_rule(table);
    for (size_t i = 0; i < t->count && i < SHOWN; i++) {
        char number[24], epochs[24], loss[40], value[40], seconds[40], values[512];
        snprintf(number, sizeof number, "%lld", (long long)list[i]->number);
        snprintf(epochs, sizeof epochs, "%.0f", fmax(trial_value(list[i], -1, "epochs"), 0));
        number_or_dash(loss, sizeof loss, trial_value(list[i], -1, "loss"));
        snprintf(seconds, sizeof seconds, "%.1f", fmax(trial_value(list[i], -1, "seconds"), 0));
        text_table_row(
            table, number, epochs,
            number_or_dash(loss, sizeof loss, trial_value(list[i], -1, "loss")),
            list[i]->error != NULL
                ? "failed"
                : number_or_dash(value, sizeof value, trial_value(list[i], -1, t->objective)),
            seconds, values_text(list[i], values, sizeof values));
    }
    code = text_table_print(table, stdout);
out:
    text_table_destroy(table);
    free(list);
    return code;
}

/* ---- Page */

static void add_table(page *to, const tune *t, const trial *const *list)
{
    page_add(to, "<h2>Trials</h2>\n<table><tr><th class=\"n\">trial</th><th "
                 "class=\"n\">epochs</th><th class=\"n\">loss</th><th class=\"n\">");
    page_add_escaped(to, t->objective);
    page_add(to, "</th><th class=\"n\">seconds</th><th>values</th></tr>\n");
    for (size_t i = 0; i < t->count; i++) {
        char values[1024];
        page_add(to, "<tr><td class=\"n\">%lld</td><td class=\"n\">%.0f</td><td class=\"n\">",
                 (long long)list[i]->number, fmax(trial_value(list[i], -1, "epochs"), 0));
        page_add_number(to, trial_value(list[i], -1, "loss"), 5);
        page_add(to, "</td><td class=\"n\">");
        if (list[i]->error != NULL) {
            page_add(to, "failed");
        } else {
            page_add_number(to, trial_value(list[i], -1, t->objective), 5);
        }
        page_add(to, "</td><td class=\"n\">");
        page_add_fixed(to, trial_value(list[i], -1, "seconds"), 1);
        page_add(to, "</td><td>");
        page_add_escaped(to, values_text(list[i], values, sizeof values));
        if (list[i]->error != NULL) {
            page_add(to, "<br>");
            page_add_escaped(to, list[i]->error);
        }
        page_add(to, "</td></tr>\n");
    }
    page_add(to, "</table>\n");
}

/* One parameter's values and the objective after the first rung. */
typedef struct effect {
    const space_parameter *parameter;
    double *x, *y;
    size_t count;
    double share;
} effect;

static int larger_first(const void *a, const void *b)
{
    const effect *const x = a;
    const effect *const y = b;
    const double p = isnan(x->share) ? -1 : x->share;
    const double q = isnan(y->share) ? -1 : y->share;
    return p > q ? -1 : p < q;
}

static int find_effects(const tune *t, const search *s, effect *effects)
{
    for (size_t k = 0; k < s->space.count; k++) {
        effect *e = &effects[k];
        e->parameter = &s->space.items[k];
        e->x = calloc(t->count + 1, sizeof *e->x);
        e->y = calloc(t->count + 1, sizeof *e->y);
        if (e->x == NULL || e->y == NULL) {
            return 0;
        }
        for (size_t i = 0; i < t->count; i++) {
            const double y = trial_value(&t->trials[i], 0, t->objective);
            if (isfinite(y)) {
                e->x[e->count] = space_position(
                    e->parameter, json_object_get(t->trials[i].values, e->parameter->name));
                e->y[e->count++] = y;
            }
        }
        e->share = effect_share(e->x, e->y, e->count, GROUPS);
    }
    qsort(effects, s->space.count, sizeof *effects, larger_first);
    return 1;
}

static int wants_log(const effect *e)
{
    double low = INFINITY;
    double high = 0;
    for (size_t i = 0; i < e->count; i++) {
        low = fmin(low, e->y[i]);
        high = fmax(high, e->y[i]);
    }
    return low > 0 && high > 10 * low;
}

static void add_picture(page *to, const tune *t, const effect *e)
{
    const space_parameter *p = e->parameter;
    double places[MEDIANS];
    double medians[MEDIANS];
    char texts[LABELS][32];
    const char *labels[LABELS];
    char title[256];
    const size_t lines = effect_medians(e->x, e->y, e->count, places, medians, MEDIANS);
    if (isnan(e->share)) {
        snprintf(title, sizeof title, "%s (too few trials to judge)", p->name);
    } else {
        snprintf(title, sizeof title, "%s: explains %.0f %%", p->name, 100 * e->share);
    }
    svg_plot plot = {.title = title,
                     .width = 470,
                     .height = 270,
                     .x = {.integer = p->kind == SPACE_INT || p->kind == SPACE_LOG_INT},
                     .y = {.title = t->objective, .scale = wants_log(e) ? SVG_LOG : SVG_NUMBER}};
    if (p->kind == SPACE_LOG_UNIFORM || p->kind == SPACE_LOG_INT) {
        plot.x.scale = SVG_LOG;
    }
    if (p->kind == SPACE_CHOICE) {
        const size_t count = json_array_size(p->choices);
        for (size_t k = 0; k < count && k < LABELS; k++) {
            const json_t *choice = json_array_get(p->choices, k);
            if (json_is_string(choice)) {
                snprintf(texts[k], sizeof texts[k], "%.30s", json_string_value(choice));
            } else {
                char shown[64];
                snprintf(texts[k], sizeof texts[k], "%.30s",
                         value_text(choice, shown, sizeof shown));
            }
            labels[k] = texts[k];
        }
        plot.x = (svg_axis){.fixed = 1,
                            .low = -0.5,
                            .high = (double)count - 0.5,
                            .labels = labels,
                            .label_count = count < LABELS ? count : LABELS};
    } else {
        plot.x.fixed = 1;
        plot.x.low = p->low;
        plot.x.high = p->high;
    }
    svg_plot_add(&plot, (svg_curve){.shape = p->kind == SPACE_CHOICE ? SVG_POINTS : SVG_LINE,
                                    .colour = SVG_VERMILION,
                                    .x = places,
                                    .y = medians,
                                    .count = lines,
                                    .width = p->kind == SPACE_CHOICE ? 6 : 2,
                                    .faint = p->kind == SPACE_CHOICE,
                                    .label = "median"});
    svg_plot_add(&plot, (svg_curve){.shape = SVG_POINTS,
                                    .colour = SVG_BLUE,
                                    .x = e->x,
                                    .y = e->y,
                                    .count = e->count,
                                    .label = "a trial"});
    svg_plot_write(to, &plot);
}

static void add_effects(page *to, const tune *t, const search *s)
{
    effect *effects = calloc(s->space.count + 1, sizeof *effects);
    if (effects == NULL || !find_effects(t, s, effects)) {
        to->failed = 1;
    }
    page_add(to,
             "<h2>What mattered</h2>\n<p class=\"soft\">Each point is a trial after %s%s. The "
             "percentage is the share of the variance of the trials' ranks that this parameter "
             "explains by itself%s; what two parameters only do together is in none of them.</p>\n"
             "<div style=\"display:grid;gap:0 "
             "1.5rem;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr))\">\n",
             s->plan.brackets[0].rungs > 1 ? "its first rung" : "its last epoch",
             s->plan.count > 1 ? " (which is longer in later brackets)" : "",
             t->count < 30 ? ", uncertain with so few trials" : "");
    for (size_t k = 0; effects != NULL && !to->failed && k < s->space.count; k++) {
        add_picture(to, t, &effects[k]);
    }
    page_add(to, "</div>\n");
    for (size_t k = 0; effects != NULL && k < s->space.count; k++) {
        free(effects[k].x);
        free(effects[k].y);
    }
    free(effects);
}

/* The words of the best trial, quoted for a shell where they need it. */
static void add_command(page *to, const tune *t, const trial *best)
{
    word_list words = {0};
    if (trial_words(t, best, t->epochs, &words) != EXIT_DONE) {
        to->failed = 1;
        words_release(&words);
        return;
    }
    page_add(to, "<p>The best trial by hand:</p>\n<p><code>lstm");
    for (size_t i = 0; i < words.count; i++) {
        if (strncmp(words.words[i], "--checkpoint", 12) == 0 ||
            strncmp(words.words[i], "--threads", 9) == 0 ||
            strcmp(words.words[i], "--quiet") == 0) {
            continue; /* of the trial as a process, not of what it trains */
        }
        const int quoted = strpbrk(words.words[i], " ;:&|<>()$`\\\"'*?[]{}!#~") != NULL;
        page_add(to, quoted ? " &#39;" : " ");
        page_add_escaped(to, words.words[i]);
        page_add(to, quoted ? "&#39;" : "");
    }
    page_add(to, "</code></p>\n");
    words_release(&words);
}

int search_report(const tune *t, const search *s, const char *path)
{
    page to = {0};
    char title[512];
    char text[256];
    const trial **list = sorted(t);
    const trial *best = search_best(t);
    if (list == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    snprintf(title, sizeof title, "Search for %s", arguments_operand(t->line, 0));
    report_begin(&to, title);
    page_add(&to, "<table>\n");
    snprintf(text, sizeof text, "%s, %zu trials, up to %lld epochs", s->method, t->count,
             (long long)t->epochs);
    report_row(&to, "Search", text);
    for (size_t k = 0; k < s->plan.count; k++) {
        const bracket *b = &s->plan.brackets[k];
        size_t used = (size_t)snprintf(text, sizeof text, "%zu trials; after epoch", b->count);
        for (int r = 0; r < b->rungs && used < sizeof text; r++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s %lld", r == 0 ? "" : ",",
                                     (long long)b->epochs[r]);
        }
        if (s->plan.count > 1 || b->rungs > 1) {
            report_row(&to, "Bracket", text);
        }
    }
    snprintf(text, sizeof text, "the %s %s", t->maximise ? "largest" : "smallest", t->objective);
    report_row(&to, "Sought", text);
    page_add(&to, "</table>\n");
    add_effects(&to, t, s);
    if (best != NULL) {
        add_command(&to, t, best);
    }
    add_table(&to, t, list);
    report_end(&to);
    free(list);
    return page_write(&to, path);
}
