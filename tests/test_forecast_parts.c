/* SPDX-License-Identifier: MIT
 *
 * The parts of `lstm forecast` that can be checked by themselves: the calendar, ticks, tests for
 * trend and season, transforms and their inverses, baselines, significance, the checksum, plots.
 * Oracles: published values, closed forms, and properties that must hold.
 */
#include "baseline.h"
#include "forecast.h"
#include "report_page.h"
#include "report_sha256.h"
#include "series_dates.h"
#include "series_trend.h"
#include "svg_plot.h"
#include "transform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400.0
#define PI 3.14159265358979323846

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance)) {
        fail_msg("found %.10g, expected %.10g within %g", found, expected, tolerance);
    }
}

/* Numbers of a generator of its own, about normal. */
static uint64_t state = 42;
static double noise(void)
{
    double sum = -6.0;
    for (int k = 0; k < 12; k++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(state >> 11) / 9007199254740992.0;
    }
    return sum;
}

static double at(int64_t year, int month, int day)
{
    return (double)calendar_to_days((calendar_date){year, month, day}) * DAY;
}

/* ---- Calendar */

static void test_calendar_counts_days_and_back(void **unused)
{
    (void)unused;
    assert_int_equal(calendar_to_days((calendar_date){1970, 1, 1}), 0);
    assert_int_equal(calendar_to_days((calendar_date){2000, 2, 29}), 11016);
    assert_int_equal(calendar_to_days((calendar_date){1582, 10, 15}), -141427);
    assert_int_equal(calendar_weekday(calendar_to_days((calendar_date){2026, 8, 18})),
                     1); /* a Tuesday */
    for (int64_t day = -800000; day < 800000; day += 37) {
        const calendar_date date = calendar_from_days(day);
        assert_int_equal(calendar_to_days(date), day);
        assert_in_range(date.day, 1, calendar_month_length(date.year, date.month));
    }
}

static void test_spacing_finds_days_workdays_months_and_month_ends(void **unused)
{
    (void)unused;
    double times[60];
    for (int i = 0; i < 60; i++) {
        times[i] = at(2021, 1, 1) + DAY * i;
    }
    spacing by = spacing_find(times, 60, 1);
    assert_int_equal(by.kind, SPACING_DAYS);
    assert_int_equal(by.gaps, 0);
    double time = at(2021, 1, 4); /* a Monday */
    for (int i = 0; i < 60; i++) {
        times[i] = time;
        time += calendar_weekday((int64_t)(time / DAY)) == 4 ? 3 * DAY : DAY;
    }
    by = spacing_find(times, 60, 1);
    assert_int_equal(by.kind, SPACING_WORKDAYS);
    near(spacing_next(&by, at(2021, 1, 8), 1), at(2021, 1, 11), 0); /* from Friday to Monday */
    for (int i = 0; i < 60; i++) {
        times[i] = at(2015 + i / 12, i % 12 + 1,
                      31 < calendar_month_length(2015 + i / 12, i % 12 + 1)
                          ? 31
                          : calendar_month_length(2015 + i / 12, i % 12 + 1));
    }
    by = spacing_find(times, 60, 1);
    assert_int_equal(by.kind, SPACING_MONTHS);
    assert_true(by.month_end);
    near(spacing_next(&by, at(2020, 1, 31), 1), at(2020, 2, 29), 0);
    near(spacing_next(&by, at(2020, 2, 29), 13), at(2021, 3, 31), 0);
    const spacing thirtieth = {.kind = SPACING_MONTHS, .amount = 1};
    near(spacing_next(&thirtieth, at(2021, 1, 30), 1), at(2021, 2, 28), 0);
    near(spacing_next(&thirtieth, at(2021, 1, 30), 2), at(2021, 3, 30), 0);
}

static void test_spacing_counts_gaps(void **unused)
{
    (void)unused;
    const double times[] = {at(2020, 1, 1), at(2020, 2, 1), at(2020, 3, 1),
                            at(2020, 5, 1), at(2020, 6, 1), at(2020, 7, 1)};
    const spacing by = spacing_find(times, 6, 1);
    assert_int_equal(by.kind, SPACING_MONTHS);
    assert_int_equal(by.amount, 1);
    assert_int_equal(by.gaps, 1);
    assert_int_equal(by.first_gap, 3);
}

static void test_cycle_phase_follows_the_calendar(void **unused)
{
    (void)unused;
    const spacing daily = {.kind = SPACING_DAYS, .amount = 1};
    const cycle year = {CYCLE_YEAR, 365};
    const cycle week = {CYCLE_WEEK, 7};
    near(cycle_phase(&year, &daily, at(2020, 1, 1)), 0.0, 1e-12);
    near(cycle_phase(&year, &daily, at(2020, 12, 31)), 365.0 / 366.0, 1e-12);
    near(cycle_phase(&week, &daily, at(2026, 8, 17)), 0.0, 1e-9); /* a Monday */
    const spacing years = {.kind = SPACING_NUMBERS, .step = 1.0 / 12.0, .years = 1};
    near(cycle_phase(&year, &years, 1991.25), 0.25, 1e-12);
}

/* ---- Ticks and plots */

static void test_ticks_are_nice_and_inside(void **unused)
{
    (void)unused;
    svg_tick ticks[SVG_TICKS];
    const double ranges[][2] = {{0, 1},    {-3.7, 12.2},    {1e-7, 9e-7},
                                {0, 1e12}, {99.98, 100.01}, {-5, -4.999}};
    const svg_axis axis = {0};
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        const size_t count = svg_ticks(ticks, &axis, ranges[r][0], ranges[r][1], 6);
        assert_in_range(count, 2, 12);
        for (size_t t = 0; t < count; t++) {
            assert_true(ticks[t].value >= ranges[r][0] - 1e-9 * fabs(ranges[r][0]));
            assert_true(ticks[t].value <= ranges[r][1] + 1e-9 * fabs(ranges[r][1]));
            assert_true(t == 0 || strcmp(ticks[t].label, ticks[t - 1].label) != 0);
        }
    }
    assert_int_equal(svg_ticks(ticks, &axis, 1.0, 1.0, 6), 0);
    assert_int_equal(svg_ticks(ticks, &axis, 0.0, INFINITY, 6), 0);
}

static void test_date_ticks_stand_on_borders_and_show_the_year_once(void **unused)
{
    (void)unused;
    svg_tick ticks[SVG_TICKS];
    const svg_axis axis = {.scale = SVG_DATE};
    size_t count = svg_ticks(ticks, &axis, at(2019, 11, 5), at(2020, 4, 5), 8);
    assert_int_equal(count, 5);
    assert_string_equal(ticks[0].label, "Dec");
    assert_string_equal(ticks[0].second, "2019");
    assert_string_equal(ticks[1].label, "Jan");
    assert_string_equal(ticks[1].second, "2020");
    assert_string_equal(ticks[2].second, "");
    count = svg_ticks(ticks, &axis, at(1958, 3, 1), at(2020, 4, 1), 8);
    assert_string_equal(ticks[0].label, "1960");
    count = svg_ticks(ticks, &axis, at(2020, 1, 1), at(2020, 1, 1) + 7200, 8);
    assert_string_equal(ticks[1].label, "00:15");
    assert_true(count >= 8);
}

static void test_a_long_line_is_thinned_but_keeps_its_peak(void **unused)
{
    (void)unused;
    const size_t count = 200000;
    double *const y = malloc(count * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < count; i++) {
        y[i] = sin((double)i * 0.01);
    }
    y[123456] = 40.0;
    svg_plot plot = {.title = "<long> & \"line\"", .y = {.fixed = 1, .low = -2, .high = 42}};
    svg_plot_add(&plot, (svg_curve){.shape = SVG_LINE, .y = y, .count = count, .label = "a<b"});
    page text = {0};
    svg_plot_write(&text, &plot);
    free(y);
    assert_false(text.failed);
    assert_in_range(text.length, 1000, 100000);
    assert_null(strstr(text.text, "<long>"));
    assert_non_null(strstr(text.text, "&lt;long&gt; &amp; &quot;line&quot;"));
    assert_non_null(strstr(text.text, "a&lt;b"));
    double top = 1e9; /* the smallest y of the path is the peak */
    const char *next = strstr(text.text, " d=\"M");
    next = strstr(strstr(text.text, "clip-path="), " d=\"") + 4;
    while (*next == 'M' || *next == 'L') {
        char *end = NULL;
        (void)strtod(next + 1, &end);
        top = fmin(top, strtod(end, &end));
        next = end;
    }
    near(top, 28.0 + (42.0 - 40.0) / 44.0 * (314.0 - 28.0), 1.0);
    page_release(&text);
}

static void test_numbers_are_written_for_people(void **unused)
{
    (void)unused;
    char text[64];
    assert_string_equal(number_text(text, sizeof text, 1234.5678, 4), "1235");
    assert_string_equal(number_text(text, sizeof text, -0.00123456, 4), "-0.001235");
    assert_string_equal(number_text(text, sizeof text, 0.0, 4), "0");
    assert_string_equal(number_text(text, sizeof text, NAN, 4), "-");
}

/* ---- Tests of a series */

static void test_white_noise_is_stationary_and_a_random_walk_is_not(void **unused)
{
    (void)unused;
    double flat[600];
    double walk[600];
    int wrong = 0;
    for (int round = 0; round < 20; round++) {
        double sum = 0.0;
        for (int i = 0; i < 600; i++) {
            flat[i] = noise();
            sum += noise();
            walk[i] = sum;
        }
        trend_result result;
        assert_int_equal(trend_test(&result, NULL, flat, 600), LSTM_OK);
        wrong += !result.stationary;
        assert_int_equal(trend_test(&result, NULL, walk, 600), LSTM_OK);
        wrong += result.stationary;
    }
    assert_in_range(wrong, 0, 3); /* each test errs in 1 to 5 of 100 */
}

static void test_dickey_fuller_equals_the_regression_written_out(void **unused)
{
    (void)unused;
    /* dy = a + g y(t-1) + e without lags, by hand: t of g in a simple regression. White noise keeps
     * BIC at 0 lags. */
    double y[80];
    for (int i = 0; i < 80; i++) {
        y[i] = noise();
    }
    trend_result result;
    assert_int_equal(trend_test(&result, NULL, y, 80), LSTM_OK);
    if (result.adf_lags != 0) {
        skip();
    }
    const int most = (int)floor(12.0 *
                                pow(0.8, 0.25)); /* the rows that every number of lags can use */
    double n = 0, sx = 0, sd = 0, sxx = 0, sxd = 0, sdd = 0;
    for (int i = most; i + 1 < 80; i++) {
        const double d = y[i + 1] - y[i];
        n += 1;
        sx += y[i];
        sd += d;
        sxx += y[i] * y[i];
        sxd += y[i] * d;
        sdd += d * d;
    }
    const double xx = sxx - sx * sx / n;
    const double g = (sxd - sx * sd / n) / xx;
    const double rss = sdd - sd * sd / n - g * g * xx;
    near(result.adf, g / sqrt(rss / (n - 2) / xx), 1e-8);
    near(result.adf_critical, -2.90, 0.02); /* MacKinnon's tables give -2.90 for 68 observations */
}

static void test_season_is_found_with_its_length(void **unused)
{
    (void)unused;
    double y[240];
    for (int i = 0; i < 240; i++) {
        y[i] = 0.05 * i + 4.0 * sin(2.0 * PI * i / 12.0) + 0.5 * noise();
    }
    double strength = 0.0;
    assert_int_equal(season_strength(&strength, NULL, y, 240, 12), LSTM_OK);
    assert_true(strength > 0.9);
    assert_int_equal(season_strength(&strength, NULL, y, 240, 7), LSTM_OK);
    assert_true(strength < SEASON_THRESHOLD);
    cycle cycles[CYCLES];
    double strengths[CYCLES];
    size_t count = 0;
    const spacing rows = {.kind = SPACING_ROWS};
    assert_int_equal(season_find(cycles, strengths, &count, NULL, y, 240, &rows), LSTM_OK);
    assert_int_equal(count, 1);
    assert_int_equal(cycles[0].rows, 12);
}

static void test_spread_slope_tells_proportional_from_constant_changes(void **unused)
{
    (void)unused;
    double growth[1000];
    double level[1000];
    for (int i = 0; i < 1000; i++) {
        growth[i] = exp(0.003 * i) * (1.0 + 0.02 * noise());
        level[i] = 100.0 + 0.1 * i + noise();
    }
    double slope = 0.0;
    double range = 0.0;
    assert_true(spread_slope(growth, 1000, &slope, &range));
    near(slope, 1.0, 0.15);
    assert_true(range > 10.0);
    assert_true(spread_slope(level, 1000, &slope, &range));
    near(slope, 0.0, 0.4);
}

/* ---- Transforms and baselines */

static void test_transforms_invert_and_look_only_back(void **unused)
{
    (void)unused;
    enum { ROWS = 120, H = 5 };
    double y[ROWS];
    for (int i = 0; i < ROWS; i++) {
        y[i] = 50.0 + 0.2 * i + 3.0 * sin(i * 0.5) + noise();
    }
    series data = {.rows = ROWS, .column_count = 1, .spacing = {.kind = SPACING_ROWS}};
    data.values[0] = y;
    for (int kind = TRANSFORM_LEVEL; kind <= TRANSFORM_LOG_SEASONAL; kind++) {
        recipe r = {
            .target = (transform)kind, .column_count = 1, .window = 8, .horizon = H, .season = 3};
        r.inputs[0] = r.target;
        double *const matrix = transform_matrix(&r, &data);
        assert_non_null(matrix);
        size_t origins[60];
        for (size_t n = 0; n < 60; n++) {
            origins[n] = recipe_lead(&r) + r.window - 1 + n;
        }
        assert_int_equal(transform_fit_scalers(&r, matrix, y, origins, 60), LSTM_OK);
        double z[H];
        double back[H];
        transform_target(&r, y, 100, z);
        transform_invert(&r, y, 100, z, back);
        for (int h = 0; h < H; h++) {
            near(back[h], y[101 + h], 1e-9);
        }
        float before[8];
        float after[8];
        transform_windows(&r, matrix, &(size_t){100}, 1, before);
        double held[H];
        for (int h = 0; h < H; h++) {
            held[h] = y[101 + h];
            y[101 + h] = 1e6;
        }
        double *const changed = transform_matrix(&r, &data);
        assert_non_null(changed);
        transform_windows(&r, changed, &(size_t){100}, 1, after);
        transform_invert(&r, y, 100, z, back);
        for (int h = 0; h < H; h++) {
            near(back[h], held[h], 1e-9); /* the base did not see the future either */
            y[101 + h] = held[h];
        }
        if (kind == TRANSFORM_WINDOW_LAST) {
            near((double)before[7], -r.offset[0] / r.scale[0], 1e-6); /* the last row less itself */
        }
        for (int k = 0; k < 8; k++) {
            assert_true(isfinite(before[k]));
            assert_true(before[k] == after[k]);
        }
        free(matrix);
        free(changed);
        recipe_release(&r);
    }
}

static void test_scalers_see_training_origins_only(void **unused)
{
    (void)unused;
    double y[200];
    for (int i = 0; i < 200; i++) {
        y[i] = i < 100 ? noise() : 1000.0 + noise();
    }
    series data = {.rows = 200, .column_count = 1, .spacing = {.kind = SPACING_ROWS}};
    data.values[0] = y;
    recipe r = {.target = TRANSFORM_LEVEL, .column_count = 1, .window = 4, .horizon = 1};
    r.inputs[0] = TRANSFORM_LEVEL;
    double *const matrix = transform_matrix(&r, &data);
    size_t origins[90];
    for (size_t n = 0; n < 90; n++) {
        origins[n] = 5 + n;
    }
    assert_int_equal(transform_fit_scalers(&r, matrix, y, origins, 90), LSTM_OK);
    assert_true(fabs(r.offset[0]) < 0.5);
    assert_true(r.scale[0] < 2.0);
    assert_true(fabs(r.target_offset[0]) < 0.5);
    free(matrix);
    recipe_release(&r);
}

static void test_baselines_are_what_their_names_say(void **unused)
{
    (void)unused;
    double y[40];
    for (int i = 0; i < 40; i++) {
        y[i] = 3.0 * i + (i % 4) * 10.0; /* trend and a season of 4 */
    }
    const recipe r = {
        .target = TRANSFORM_DIFF, .column_count = 1, .window = 4, .horizon = 6, .season = 4};
    const size_t origins[] = {30, 31};
    method_table table = {0};
    assert_int_equal(baseline_simple(&table, &r, y, origins, 2, 21), LSTM_OK);
    const method *const last = baseline_find(&table, METHOD_LAST);
    const method *const drift = baseline_find(&table, METHOD_DRIFT);
    const method *const moved = baseline_find(&table, METHOD_SEASONAL_DRIFT);
    near(last->forecast[5], y[30], 0);
    near(drift->forecast[2], y[30] + 3 * (y[20] - y[0]) / 20.0, 1e-12);
    for (int h = 0; h < 6; h++) {
        near(moved->forecast[h], y[31 + h], 1e-9); /* exact for a linear trend and a fixed season */
        near(moved->forecast[6 + h], y[32 + h], 1e-9);
    }
    baseline_judge(&table, y, origins, 21, 1);
    near(last->ratio, 1.0, 0);
    near(table.mase_scale, 12.0, 1e-12); /* y(t) - y(t-4) = 12 */
    near(moved->mase, 0.0, 1e-9);
    assert_ptr_equal(baseline_best(&(method_table){.count = 0}), NULL);
    baseline_release(&table);
}

static void test_linear_autoregression_finds_a_linear_law(void **unused)
{
    (void)unused;
    double y[400];
    y[0] = 1.0;
    y[1] = 0.5;
    for (int i = 2; i < 400; i++) {
        y[i] = 1.6 * y[i - 1] - 0.8 * y[i - 2] + 0.3 + (i < 300 ? 0.2 * noise() : 0.0);
    }
    series data = {.rows = 400, .column_count = 1, .spacing = {.kind = SPACING_ROWS}};
    data.values[0] = y;
    recipe r = {.target = TRANSFORM_LEVEL, .column_count = 1, .window = 2, .horizon = 1};
    r.inputs[0] = TRANSFORM_LEVEL;
    double *const matrix = transform_matrix(&r, &data);
    size_t train[280];
    for (size_t n = 0; n < 280; n++) {
        train[n] = 5 + n;
    }
    assert_int_equal(transform_fit_scalers(&r, matrix, y, train, 280), LSTM_OK);
    method_table table = {0};
    const size_t origins[] = {305, 310};
    assert_int_equal(baseline_linear(&table, &r, NULL, matrix, y, train, 280, origins, 2), LSTM_OK);
    near(table.items[0].forecast[0], y[306], 0.15);
    near(table.items[0].forecast[1], y[311], 0.15);
    baseline_release(&table);
    free(matrix);
    recipe_release(&r);
}

static lstm_model *small_network(uint64_t seed)
{
    lstm_model *model = NULL;
    const lstm_model_options options = {.struct_size = sizeof options, .seed = seed};
    const lstm_input_options input = {.struct_size = sizeof input, .steps = 6, .features = 2};
    const lstm_lstm_options recurrent = {.struct_size = sizeof recurrent, .units = 5};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = 3};
    assert_int_equal(lstm_model_create(&model, NULL, &options), LSTM_OK);
    assert_int_equal(lstm_model_add_input(model, &input, NULL), LSTM_OK);
    assert_int_equal(lstm_model_add_lstm(model, &recurrent, NULL, NULL), LSTM_OK);
    assert_int_equal(lstm_model_add_dense(model, &dense, NULL, NULL), LSTM_OK);
    assert_int_equal(lstm_model_build(model), LSTM_OK);
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) { /* biases that are not 0 */
        float values[300];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_int_equal(lstm_model_parameter_info(model, p, &info), LSTM_OK);
        assert_true(info.count <= 300);
        for (size_t i = 0; i < info.count; i++) {
            values[i] = (float)(0.4 * noise());
        }
        assert_int_equal(lstm_model_set_parameter(model, p, values, info.count), LSTM_OK);
    }
    return model;
}

static void test_merged_networks_give_the_mean_of_their_outputs(void **unused)
{
    (void)unused;
    enum { K = 3, N = 7 };
    lstm_model *models[K];
    float x[N * 6 * 2];
    double mean[N * 3] = {0.0};
    float out[N * 3];
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
        x[i] = (float)noise();
    }
    const lstm_data data = {.struct_size = sizeof data, .samples = N, .x = x, .x_count = N * 6 * 2};
    for (size_t k = 0; k < K; k++) {
        models[k] = small_network(k);
        assert_int_equal(lstm_predict(models[k], &data, out, N * 3), LSTM_OK);
        for (size_t i = 0; i < N * 3; i++) {
            mean[i] += (double)out[i] / K;
        }
    }
    lstm_model *merged = NULL;
    assert_int_equal(forecast_merge(&merged, NULL, models, K), 0);
    assert_int_equal(lstm_predict(merged, &data, out, N * 3), LSTM_OK);
    for (size_t i = 0; i < N * 3; i++) {
        near((double)out[i], mean[i], 2e-6);
    }
    for (size_t k = 0; k < K; k++) {
        lstm_model_destroy(models[k]);
    }
    lstm_model_destroy(merged);
}

/* ---- Significance */

static void test_student_p_equals_tables(void **unused)
{
    (void)unused;
    near(student_p(2.228138852, 10), 0.05, 1e-8);
    near(student_p(12.70620474, 1), 0.05, 1e-8);
    near(student_p(1.959963985, 1e9), 0.05, 1e-6);
    near(student_p(-3.169272673, 10), 0.01, 1e-8);
    near(student_p(0.0, 5), 1.0, 1e-12);
}

static void test_diebold_mariano_keeps_its_level_and_sees_differences(void **unused)
{
    (void)unused;
    enum { N = 400 };
    double y[N + 1];
    double a[N];
    double b[N];
    size_t origins[N];
    int rejected = 0;
    for (int round = 0; round < 200; round++) {
        for (size_t n = 0; n < N; n++) {
            origins[n] = n;
            y[n + 1] = 0.0;
            a[n] = noise();
            b[n] = noise();
        }
        rejected += diebold_mariano(a, b, y, origins, N, 1, 1) < 0.05;
    }
    assert_in_range(rejected, 1, 26); /* 10 expected; 26 is five standard deviations */
    for (size_t n = 0; n < N; n++) {
        b[n] = 1.5 * noise();
    }
    assert_true(diebold_mariano(a, b, y, origins, N, 1, 1) < 0.001);
    near(diebold_mariano(a, a, y, origins, N, 1, 1), 1.0, 0);
    assert_true(isnan(diebold_mariano(a, b, y, origins, 11, 12, 1)));
}

static void test_sha256_equals_the_published_digests(void **unused)
{
    (void)unused;
    char text[65];
    FILE *file = fopen("sha.txt", "wb");
    assert_non_null(file);
    assert_int_equal(fputs("abc", file) >= 0, 1);
    (void)fclose(file);
    assert_int_equal(file_sha256("sha.txt", text), 0);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    file = fopen("sha.txt", "wb");
    assert_non_null(file);
    for (int i = 0; i < 1000000; i++) {
        (void)fputc('a', file);
    }
    (void)fclose(file);
    assert_int_equal(file_sha256("sha.txt", text), 0);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    (void)remove("sha.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar_counts_days_and_back),
        cmocka_unit_test(test_spacing_finds_days_workdays_months_and_month_ends),
        cmocka_unit_test(test_spacing_counts_gaps),
        cmocka_unit_test(test_cycle_phase_follows_the_calendar),
        cmocka_unit_test(test_ticks_are_nice_and_inside),
        cmocka_unit_test(test_date_ticks_stand_on_borders_and_show_the_year_once),
        cmocka_unit_test(test_a_long_line_is_thinned_but_keeps_its_peak),
        cmocka_unit_test(test_numbers_are_written_for_people),
        cmocka_unit_test(test_white_noise_is_stationary_and_a_random_walk_is_not),
        cmocka_unit_test(test_dickey_fuller_equals_the_regression_written_out),
        cmocka_unit_test(test_season_is_found_with_its_length),
        cmocka_unit_test(test_spread_slope_tells_proportional_from_constant_changes),
        cmocka_unit_test(test_transforms_invert_and_look_only_back),
        cmocka_unit_test(test_scalers_see_training_origins_only),
        cmocka_unit_test(test_baselines_are_what_their_names_say),
        cmocka_unit_test(test_linear_autoregression_finds_a_linear_law),
        cmocka_unit_test(test_merged_networks_give_the_mean_of_their_outputs),
        cmocka_unit_test(test_student_p_equals_tables),
        cmocka_unit_test(test_diebold_mariano_keeps_its_level_and_sees_differences),
        cmocka_unit_test(test_sha256_equals_the_published_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
