/* SPDX-License-Identifier: MIT
 * Decoding against all paths, all label sequences and all token sequences of small problems, and
 * against TensorFlow's decoders: CTC greedy and prefix beam search, beam search over a step
 * function.
 */
#include "api_checks.h"
#include "counting_allocator.h"

#include <stdlib.h>

static uint32_t hash(uint64_t k)
{
    return (uint32_t)((k * 2654435761u) & 0xFFFFFFFFu) >> 16;
}

static void fill(float *x, size_t count, uint64_t first, float scale, float offset)
{
    for (size_t k = 0; k < count; k++)
        x[k] = (float)(hash(first + k) % 2048) / scale - offset;
}

/* ---- CTC: every label sequence of a small problem */

enum { T = 6, C = 3, MOST_SEQUENCES = 400 };

typedef struct sequence {
    int32_t labels[T];
    int32_t count;
    double probability;
} sequence;

typedef struct sequences {
    sequence items[MOST_SEQUENCES];
    size_t count;
} sequences;

static double log_probability(const float *row, size_t classes, size_t class)
{
    double sum = 0;
    for (size_t c = 0; c < classes; c++)
        sum += exp((double)row[c]);
    return (double)row[class] - log(sum);
}

static sequence *find(sequences *all, const int32_t *labels, int32_t count)
{
    for (size_t k = 0; k < all->count; k++)
        if (all->items[k].count == count &&
            memcmp(all->items[k].labels, labels, (size_t)count * sizeof *labels) == 0)
            return &all->items[k];
    assert_true(all->count < MOST_SEQUENCES);
    sequence *s = &all->items[all->count++];
    *s = (sequence){.count = count};
    memcpy(s->labels, labels, (size_t)count * sizeof *labels);
    return s;
}

static int by_probability(const void *a, const void *b)
{
    const double p = ((const sequence *)a)->probability;
    const double q = ((const sequence *)b)->probability;
    return (p < q) - (p > q);
}

/* Add up all C^T paths by what they collapse to. */
static void enumerate(sequences *all, const float *x, size_t blank)
{
    size_t paths = 1;
    all->count = 0;
    for (size_t t = 0; t < T; t++)
        paths *= C;
    for (size_t path = 0; path < paths; path++) {
        int32_t labels[T] = {0};
        int32_t count = 0;
        size_t rest = path;
        size_t last = blank;
        double log_p = 0;
        for (size_t t = 0; t < T; t++, rest /= C) {
            const size_t class = rest % C;
            log_p += log_probability(x + t * C, C, class);
            if (class != blank && class != last)
                labels[count++] = (int32_t) class;
            last = class;
        }
        find(all, labels, count)->probability += exp(log_p);
    }
    qsort(all->items, all->count, sizeof *all->items, by_probability);
}

static void assert_path(const sequence *expected, const int32_t *labels, int32_t count,
                        double score)
{
    if (count != expected->count ||
        memcmp(labels, expected->labels, (size_t)count * sizeof *labels) != 0 ||
        fabs(score - log(expected->probability)) > 1e-6)
        fail_msg("%d labels with %.9g, expected %d with %.9g", (int)count, score,
                 (int)expected->count, log(expected->probability));
    for (int32_t k = count; k < T; k++)
        assert_int_equal(labels[k], -1);
}

static void test_a_wide_beam_gives_the_exact_probabilities(void **state)
{
    static sequences all;
    enum { PATHS = 12 };
    (void)state;
    for (uint64_t number = 0; number < 20; number++) {
        float x[T * C];
        int32_t labels[PATHS * T];
        int32_t counts[PATHS];
        double scores[PATHS];
        const size_t blank = number % C;
        fill(x, LENGTH(x), 1000 * number + 1, 400, 2.5f);
        enumerate(&all, x, blank);
        const lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                               .batch = 1,
                                               .steps = T,
                                               .x = x,
                                               .labels = labels,
                                               .labels_count = LENGTH(labels),
                                               .label_lengths = counts,
                                               .scores = scores};
        assert_ok(lstm_ctc_beam_search(NULL,
                                       OPTIONS(lstm_ctc_decode, .classes = C,
                                               .blank = (int32_t)blank - (number > 9 ? C : 0),
                                               .beam_width = MOST_SEQUENCES, .top_paths = PATHS),
                                       &arrays));
        for (size_t k = 0; k < PATHS; k++)
            assert_path(&all.items[k], labels + k * T, counts[k], scores[k]);
    }
}

/* A score that depends on the whole prefix, a bigram model and a bonus: each sequence's probability
 * times what the three say of it. */
static double prefix_score(void *user, const int32_t *labels, size_t count, int32_t next)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += (double)labels[k] * (double)(k + 1);
    ++*(int *)user;
    return 0.1 * sin(sum + 3 * next);
}

static void test_scores_of_the_caller_count_as_they_should(void **state)
{
    static sequences all;
    enum { PATHS = 6 };
    float x[T * C];
    float bigrams[C * C];
    int32_t labels[PATHS * T];
    int32_t counts[PATHS];
    double scores[PATHS];
    int calls = 0;
    (void)state;
    fill(x, LENGTH(x), 77, 400, 2.5f);
    fill(bigrams, LENGTH(bigrams), 5, 1000, 1);
    enumerate(&all, x, 0);
    for (size_t k = 0; k < all.count; k++) {
        sequence *s = &all.items[k];
        for (int32_t j = 0; j < s->count; j++) {
            const int32_t last = j > 0 ? s->labels[j - 1] : 0;
            s->probability *= exp(0.3 + (double)bigrams[last * C + s->labels[j]] +
                                  prefix_score(&calls, s->labels, (size_t)j, s->labels[j]));
        }
    }
    qsort(all.items, all.count, sizeof *all.items, by_probability);
    calls = 0;
    const lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                           .batch = 1,
                                           .steps = T,
                                           .x = x,
                                           .labels = labels,
                                           .labels_count = LENGTH(labels),
                                           .label_lengths = counts,
                                           .scores = scores};
    assert_ok(lstm_ctc_beam_search(NULL,
                                   OPTIONS(lstm_ctc_decode, .classes = C, .beam_width = 300,
                                           .top_paths = PATHS, .label_bonus = 0.3,
                                           .bigrams = bigrams, .bigram_count = C * C,
                                           .score = prefix_score, .score_user = &calls),
                                   &arrays));
    assert_true(calls > 0);
    for (size_t k = 0; k < PATHS; k++)
        assert_path(&all.items[k], labels + k * T, counts[k], scores[k]);
}

/* tf.nn.ctc_beam_search_decoder and ctc_greedy_decoder of TensorFlow 2.21 (blank last) on logits
 * hash(k) % 2048 / 512 - 2, 20 steps, 2 samples of 20 and 17 steps, 4 classes. */
static void test_beams_and_greedy_agree_with_tensorflow(void **state)
{
    enum { STEPS = 20, CLASSES = 4, PATHS = 3 };
    static const struct {
        int64_t width;
        const char *labels;
        double score;
    } expected[2][2 * PATHS] = {{{3, "1201201201201", -7.823749},
                                 {3, "120201201201", -8.442733},
                                 {3, "120120120101", -8.663223},
                                 {3, "12012012012", -7.235093},
                                 {3, "2012012012", -7.615504},
                                 {3, "1201201201", -8.074567}},
                                {{30, "1201201201201", -6.003699},
                                 {30, "120120120201", -6.254614},
                                 {30, "120120121201", -6.313683},
                                 {30, "12012012012", -5.334044},
                                 {30, "1201202012", -5.815065},
                                 {30, "1201212012", -5.873531}}};
    static const int32_t lengths[] = {20, 17};
    float x[STEPS * 2 * CLASSES];
    int32_t labels[2 * PATHS * STEPS];
    int32_t counts[2 * PATHS];
    double scores[2 * PATHS];
    (void)state;
    fill(x, LENGTH(x), 0, 512, 2);
    lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                     .batch = 2,
                                     .steps = STEPS,
                                     .x = x,
                                     .lengths = lengths,
                                     .labels = labels,
                                     .labels_count = LENGTH(labels),
                                     .label_lengths = counts,
                                     .scores = scores};
    for (size_t k = 0; k < 2; k++) {
        assert_ok(
            lstm_ctc_beam_search(NULL,
                                 OPTIONS(lstm_ctc_decode, .classes = CLASSES, .blank = -1,
                                         .layout = LSTM_LAYOUT_TIME_FIRST,
                                         .beam_width = expected[k][0].width, .top_paths = PATHS),
                                 &arrays));
        for (size_t p = 0; p < 2 * PATHS; p++) {
            char text[STEPS + 1] = "";
            for (int32_t j = 0; j < counts[p]; j++)
                text[j] = (char)('0' + labels[p * STEPS + (size_t)j]);
            if (strcmp(text, expected[k][p].labels) != 0 ||
                fabs(scores[p] - expected[k][p].score) > 2e-5)
                fail_msg("width %d, path %zu: %s %.6f, TensorFlow has %s %.6f",
                         (int)expected[k][p].width, p, text, scores[p], expected[k][p].labels,
                         expected[k][p].score);
        }
    }
    arrays.labels_count = 2 * STEPS;
    assert_ok(lstm_ctc_greedy(
        NULL,
        OPTIONS(lstm_ctc_decode, .classes = CLASSES, .blank = -1, .layout = LSTM_LAYOUT_TIME_FIRST),
        &arrays));
    for (size_t b = 0; b < 2; b++) {
        char text[STEPS + 1] = "";
        for (int32_t j = 0; j < counts[b]; j++)
            text[j] = (char)('0' + labels[b * STEPS + (size_t)j]);
        assert_string_equal(text, b == 0 ? "1201201201201" : "12012012012");
    }
}

/* The sum of the logarithms of the best class of each step. */
static void test_greedy_gives_the_best_path_and_its_probability(void **state)
{
    float x[T * C];
    int32_t labels[T];
    int32_t count = 0;
    double score = 0;
    double expected = 0;
    (void)state;
    fill(x, LENGTH(x), 4242, 300, 3);
    for (size_t t = 0; t < T; t++) {
        double best = -INFINITY;
        for (size_t c = 0; c < C; c++)
            best = fmax(best, log_probability(x + t * C, C, c));
        expected += best;
    }
    assert_ok(
        lstm_ctc_greedy(NULL, OPTIONS(lstm_ctc_decode, .classes = C),
                        &((lstm_ctc_decode_arrays){.struct_size = sizeof(lstm_ctc_decode_arrays),
                                                   .batch = 1,
                                                   .steps = T,
                                                   .x = x,
                                                   .labels = labels,
                                                   .labels_count = T,
                                                   .label_lengths = &count,
                                                   .scores = &score})));
    assert_true(fabs(score - expected) < 1e-6);
}

static void test_a_search_without_steps_or_numbers_is_defined(void **state)
{
    static const float x[] = {NAN, NAN, -INFINITY, 0, -1, -2};
    int32_t labels[2 * 2];
    int32_t counts[2] = {7, 7};
    double scores[2];
    const int32_t none = 0;
    (void)state;
    lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                     .batch = 1,
                                     .steps = 2,
                                     .x = x,
                                     .lengths = &none,
                                     .labels = labels,
                                     .labels_count = 4,
                                     .label_lengths = counts,
                                     .scores = scores};
    const lstm_ctc_decode_options options = {
        .struct_size = sizeof options, .classes = 3, .beam_width = 4, .top_paths = 2};
    assert_ok(lstm_ctc_beam_search(NULL, &options, &arrays));
    assert_true(counts[0] == 0 && scores[0] == 0);
    assert_true(counts[1] == 0 && isinf(scores[1]) && scores[1] < 0);
    arrays.lengths = NULL; /* the first step leaves nothing alive */
    assert_ok(lstm_ctc_beam_search(NULL, &options, &arrays));
    assert_true(counts[0] == 0 && isinf(scores[0]));
    arrays.labels_count = 3;
    assert_status(lstm_ctc_beam_search(NULL, &options, &arrays), LSTM_ERROR_SHAPE);
    arrays.labels_count = 4;
    static const lstm_ctc_decode_options wrong[] = {
        {.struct_size = sizeof options, .classes = 0},
        {.struct_size = sizeof options, .classes = 3, .blank = 3},
        {.struct_size = sizeof options, .classes = 3, .blank = -4},
        {.struct_size = sizeof options, .classes = 3, .beam_width = 1, .top_paths = 2},
        {.struct_size = sizeof options, .classes = 3, .beam_width = -1},
        {.struct_size = sizeof options, .classes = 3, .label_bonus = NAN},
        {.struct_size = sizeof options, .classes = 3, .layout = 3},
    };
    for (size_t k = 0; k < LENGTH(wrong); k++)
        assert_status(lstm_ctc_beam_search(NULL, &wrong[k], &arrays), LSTM_ERROR_ARGUMENT);
    assert_status(
        lstm_ctc_beam_search(
            NULL, OPTIONS(lstm_ctc_decode, .classes = 3, .bigrams = x, .bigram_count = 6), &arrays),
        LSTM_ERROR_SHAPE);
    const int32_t far = 3;
    arrays.lengths = &far;
    assert_status(lstm_ctc_beam_search(NULL, &options, &arrays), LSTM_ERROR_ARGUMENT);
}

static void test_threads_give_the_same_paths(void **state)
{
    enum { BATCH = 5, STEPS = 60, CLASSES = 12, PATHS = 4 };
    float *x = malloc(sizeof *x * BATCH * STEPS * CLASSES);
    int32_t *labels[2];
    double scores[2][BATCH * PATHS];
    (void)state;
    fill(x, BATCH * STEPS * CLASSES, 31, 512, 2);
    for (int k = 0; k < 2; k++) {
        lstm_context *context = NULL;
        labels[k] = malloc(sizeof *labels[k] * BATCH * PATHS * STEPS);
        assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .threads = 1 + 2 * k)));
        const lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                               .batch = BATCH,
                                               .steps = STEPS,
                                               .x = x,
                                               .labels = labels[k],
                                               .labels_count = BATCH * PATHS * STEPS,
                                               .scores = scores[k]};
        assert_ok(lstm_ctc_beam_search(
            context, OPTIONS(lstm_ctc_decode, .classes = CLASSES, .top_paths = PATHS), &arrays));
        lstm_context_destroy(context);
    }
    assert_memory_equal(labels[0], labels[1], sizeof *labels[0] * BATCH * PATHS * STEPS);
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    free(labels[0]);
    free(labels[1]);
    free(x);
}

/* ---- Beam search over a step function: a language of four tokens, 3 ends */

enum { TOKENS = 4, END = 3, LONGEST = 4 };

/* Logits of the next token by the last two: the state of a hypothesis is the token before its last
 * one. */
typedef struct language {
    int32_t before[64];
    float rows[TOKENS * TOKENS * TOKENS];
    int calls;
    lstm_status answer;
} language;

static lstm_status say(void *user, int64_t step, size_t count, const int32_t *tokens,
                       const int32_t *from, float *logits)
{
    language *l = user;
    int32_t next[64];
    l->calls++;
    for (size_t k = 0; k < count; k++) {
        const int32_t before = step == 0 ? 0 : l->before[from[k]];
        next[k] = tokens[k];
        memcpy(logits + k * TOKENS, l->rows + (before * TOKENS + tokens[k]) * TOKENS,
               TOKENS * sizeof *logits);
    }
    memcpy(l->before, next, count * sizeof *next);
    return l->answer;
}

static double penalty_of(int32_t penalty, double alpha, size_t length)
{
    return penalty == LSTM_LENGTH_GNMT      ? pow((5 + (double)length) / 6, alpha)
           : penalty == LSTM_LENGTH_AVERAGE ? pow((double)length, alpha)
                                            : 1;
}

/* The best score of all sequences: those that end, and those of full length. */
static void best_sequence(const language *l, int32_t penalty, double alpha, int32_t *tokens,
                          size_t length, double sum, double *best, int32_t *best_tokens)
{
    const int32_t before = length < 2 ? 0 : tokens[length - 2];
    const int32_t last = length < 1 ? 0 : tokens[length - 1];
    const float *row = l->rows + ((length == 1 ? 0 : before) * TOKENS + last) * TOKENS;
    if (length > 0 && (last == END || length == LONGEST)) {
        const double score = sum / penalty_of(penalty, alpha, length);
        if (score > *best) {
            *best = score;
            for (size_t k = 0; k < LONGEST; k++)
                best_tokens[k] = k < length ? tokens[k] : -1;
        }
        return;
    }
    for (int32_t token = 0; token < TOKENS; token++) {
        tokens[length] = token;
        best_sequence(l, penalty, alpha, tokens, length + 1,
                      sum + log_probability(row, TOKENS, (size_t)token), best, best_tokens);
    }
}

static void test_a_wide_beam_finds_the_best_sequence_of_all(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 12; number++)
        for (int32_t penalty = LSTM_LENGTH_NONE; penalty <= LSTM_LENGTH_AVERAGE; penalty++)
            for (int a = 0; a < 3; a++) {
                static const double alphas[] = {0.6, 1, -0.5};
                language l = {.answer = LSTM_OK};
                int32_t scratch[LONGEST];
                int32_t expected[LONGEST] = {0};
                int32_t tokens[2 * LONGEST];
                int32_t lengths[2];
                double scores[2];
                double best = -INFINITY;
                fill(l.rows, LENGTH(l.rows), 900 * number, 300, 3);
                best_sequence(&l, penalty, alphas[a], scratch, 0, 0, &best, expected);
                assert_ok(
                    lstm_beam_search(NULL,
                                     OPTIONS(lstm_beam, .classes = TOKENS, .beam_width = 64,
                                             .top_paths = 2, .max_steps = LONGEST, .end_token = END,
                                             .length_penalty = penalty, .alpha = alphas[a]),
                                     say, &l, tokens, LENGTH(tokens), lengths, scores));
                if (fabs(scores[0] - best) > 1e-9 || memcmp(tokens, expected, sizeof expected) != 0)
                    fail_msg("language %d, penalty %d, alpha %g: %.9g, the best has %.9g",
                             (int)number, (int)penalty, alphas[a], scores[0], best);
                assert_true(scores[1] <= scores[0]);
            }
}

/* A beam of one is greedy; the search stops as soon as nothing can become better. */
static void test_a_beam_of_one_takes_the_best_token_each_time(void **state)
{
    language l = {.answer = LSTM_OK};
    int32_t tokens[10];
    int32_t length = 0;
    double score = 0;
    double sum = 0;
    int32_t before = 0;
    int32_t last = 0;
    (void)state;
    fill(l.rows, LENGTH(l.rows), 8, 300, 3);
    assert_ok(
        lstm_beam_search(NULL,
                         OPTIONS(lstm_beam, .classes = TOKENS, .beam_width = 1, .max_steps = 10,
                                 .end_token = -1, .length_penalty = LSTM_LENGTH_NONE),
                         say, &l, tokens, 10, &length, &score));
    assert_int_equal(length, 10);
    for (int k = 0; k < 10; k++) {
        const float *row = l.rows + (before * TOKENS + last) * TOKENS;
        int32_t best = 0;
        for (int32_t c = 1; c < TOKENS; c++)
            best = row[c] > row[best] ? c : best;
        sum += log_probability(row, TOKENS, (size_t)best);
        assert_int_equal(tokens[k], best);
        before = last;
        last = best;
    }
    assert_true(fabs(sum - score) < 1e-9);
    /* a token that is nearly certain to end: no more than a step or two is asked for */
    for (size_t k = 0; k < LENGTH(l.rows); k++)
        l.rows[k] = k % TOKENS == END ? 20 : 0;
    l.calls = 0;
    assert_ok(lstm_beam_search(
        NULL,
        OPTIONS(lstm_beam, .classes = TOKENS, .beam_width = 1, .max_steps = 10, .end_token = END),
        say, &l, tokens, 10, &length, NULL));
    assert_int_equal(length, 1);
    assert_int_equal(tokens[0], END);
    assert_int_equal(tokens[1], -1);
    assert_true(l.calls <= 2);
}

/* 3 ends with probability 0.5; 0 has 0.4, and 3 is sure behind it: with a large alpha the longer one
 * is better, log 0.4 / (7/6)^3 against log 0.5. A beam of one must not be full with what has ended.
 */
static void test_what_has_ended_takes_no_place_in_the_beam(void **state)
{
    language l = {.answer = LSTM_OK};
    int32_t tokens[LONGEST];
    int32_t length = 0;
    double score = 0;
    (void)state;
    for (size_t k = 0; k < LENGTH(l.rows); k++)
        l.rows[k] = k % TOKENS == END ? 0 : -40;
    const float first[TOKENS] = {logf(0.4f), logf(0.05f), logf(0.05f), logf(0.5f)};
    memcpy(l.rows + TOKENS, first, sizeof first); /* behind 0, 1: the start token is 1 */
    assert_ok(lstm_beam_search(NULL,
                               OPTIONS(lstm_beam, .classes = TOKENS, .beam_width = 1,
                                       .max_steps = LONGEST, .start_token = 1, .end_token = END,
                                       .alpha = 3),
                               say, &l, tokens, LONGEST, &length, &score));
    assert_int_equal(length, 2);
    assert_int_equal(tokens[0], 0);
    assert_int_equal(tokens[1], END);
    assert_true(fabs(score - log(0.4) / pow(7.0 / 6, 3)) < 1e-6);
}

static void test_a_step_that_fails_ends_the_search_and_bad_options_are_refused(void **state)
{
    language l = {.answer = LSTM_ERROR_CANCELLED};
    int32_t tokens[LONGEST];
    int32_t length = 0;
    (void)state;
    assert_int_equal(lstm_beam_search(NULL,
                                      OPTIONS(lstm_beam, .classes = TOKENS, .max_steps = LONGEST),
                                      say, &l, tokens, LONGEST, &length, NULL),
                     LSTM_ERROR_CANCELLED);
    l.answer = LSTM_OK;
    static const lstm_beam_options wrong[] = {
        {.struct_size = sizeof *wrong, .max_steps = LONGEST},
        {.struct_size = sizeof *wrong, .classes = TOKENS},
        {.struct_size = sizeof *wrong, .classes = TOKENS, .max_steps = LONGEST, .end_token = 4},
        {.struct_size = sizeof *wrong, .classes = TOKENS, .max_steps = LONGEST, .top_paths = 5},
        {.struct_size = sizeof *wrong, .classes = TOKENS, .max_steps = LONGEST, .beam_width = -1},
        {.struct_size = sizeof *wrong,
         .classes = TOKENS,
         .max_steps = LONGEST,
         .length_penalty = 4},
        {.struct_size = sizeof *wrong, .classes = TOKENS, .max_steps = LONGEST, .alpha = NAN},
        {.struct_size = sizeof *wrong, .classes = TOKENS, .max_steps = LONGEST, .from_logits = 3},
    };
    for (size_t k = 0; k < LENGTH(wrong); k++)
        assert_status(lstm_beam_search(NULL, &wrong[k], say, &l, tokens, LONGEST, &length, NULL),
                      LSTM_ERROR_ARGUMENT);
    assert_status(lstm_beam_search(NULL,
                                   OPTIONS(lstm_beam, .classes = TOKENS, .max_steps = LONGEST), say,
                                   &l, tokens, LONGEST - 1, &length, NULL),
                  LSTM_ERROR_SHAPE);
    assert_status(lstm_beam_search(NULL,
                                   OPTIONS(lstm_beam, .classes = INT32_MAX,
                                           .max_steps = INT64_MAX / 64, .beam_width = 1 << 20),
                                   say, &l, tokens, INT64_MAX / 64, &length, NULL),
                  LSTM_ERROR_MEMORY);
}

static void test_a_failed_allocation_leaves_nothing_behind(void **state)
{
    counting_allocator allocator = {0};
    float x[T * C];
    int32_t labels[T];
    (void)state;
    fill(x, LENGTH(x), 3, 400, 2.5f);
    lstm_context *context = counting_allocator_context(&allocator);
    const lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                           .batch = 1,
                                           .steps = T,
                                           .x = x,
                                           .labels = labels,
                                           .labels_count = T};
    allocator.refuse = allocator.calls + 1;
    assert_status(lstm_ctc_beam_search(context, OPTIONS(lstm_ctc_decode, .classes = C), &arrays),
                  LSTM_ERROR_MEMORY);
    allocator.refuse = 0;
    assert_ok(lstm_ctc_beam_search(context, OPTIONS(lstm_ctc_decode, .classes = C), &arrays));
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wide_beam_gives_the_exact_probabilities),
        cmocka_unit_test(test_scores_of_the_caller_count_as_they_should),
        cmocka_unit_test(test_beams_and_greedy_agree_with_tensorflow),
        cmocka_unit_test(test_greedy_gives_the_best_path_and_its_probability),
        cmocka_unit_test(test_a_search_without_steps_or_numbers_is_defined),
        cmocka_unit_test(test_threads_give_the_same_paths),
        cmocka_unit_test(test_a_wide_beam_finds_the_best_sequence_of_all),
        cmocka_unit_test(test_a_beam_of_one_takes_the_best_token_each_time),
        cmocka_unit_test(test_what_has_ended_takes_no_place_in_the_beam),
        cmocka_unit_test(test_a_step_that_fails_ends_the_search_and_bad_options_are_refused),
        cmocka_unit_test(test_a_failed_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
