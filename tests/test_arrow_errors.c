/* SPDX-License-Identifier: MIT
 * What is wrong with Arrow data: nulls and formats that are not read are named, arrays that are none are
 * found out, and what was moved is released exactly once on every path.
 */
#include "api_checks.h"
#include "arrow_samples.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Nulls */

static void test_a_null_is_refused_by_row_and_column_or_becomes_nan(void **state)
{
    /* where: 0 the batch's row, 1 the column's list, 2 the inner list, 3 a number */
    (void)state;
    for (int k = 0; k < 16; k++) {
        const form w = {k / 4 % 2 ? ANY : NESTED, 'g', k / 4 >= 2 ? 3 : 0, k / 4 >= 2 ? 2 : 0,
                        k / 4 >= 2 ? 1 : 0};
        const int where = k % 4;
        released counts = {0, 0, 0};
        struct ArrowSchema schema;
        struct ArrowArray batches[2];
        lstm_arrow *arrow = NULL;
        lstm_model *model = NULL;
        lstm_data own = {.struct_size = sizeof own};
        lstm_arrow_options options = options_of(w.form);
        options.target_count = 0;
        assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
        make_batch(&w, &schema, &batches[0], 0, 5, &counts);
        make_batch(&w, NULL, &batches[1], 5, N - 5, &counts);
        /* row 7: row 2 of the second batch */
        struct ArrowArray *lists = batches[1].children[0];
        const size_t row = w.batch + 2;                          /* in the column */
        const size_t list = w.form == ANY ? row : row + w.lists; /* of items, in the child */
        const size_t item = list * T + 1;
        if (where == 0)
            make_null(&batches[1], 2);
        else if (where == 1)
            make_null(lists, row);
        else if (where == 2)
            make_null(lists->children[0], item);
        else
            make_null(lists->children[0]->children[0], item * F + 1);
        assert_status_text(lstm_arrow_open(&arrow, model, &options, &schema, batches, 2),
                           LSTM_ERROR_ARGUMENT, "column \"x\": row 7 is null");
        assert_null(arrow);
        assert_non_null(schema.release);
        assert_non_null(batches[0].release);
        options.nulls = LSTM_NULLS_NAN;
        assert_ok(lstm_arrow_open(&arrow, model, &options, &schema, batches, 2));
        assert_ok(lstm_arrow_data(arrow, &own));
        for (size_t n = 0; n < N; n++)
            for (size_t i = 0; i < T * F; i++) {
                const bool none = w.form == ANY && where <= 1 && n == 7; /* no items: zeros */
                const bool null = n == 7 && !none &&
                                  (where <= 1 || (where == 2 && i / F == 1) ||
                                   (where == 3 && i == F + 1));
                const float found = own.inputs[0][n * T * F + i];
                if (null != !!isnan(found) ||
                    (!null && found != (none ? 0 : (float)x_of(n, i / F, i % F))))
                    fail_msg("case %d, row %zu, number %zu: %g", k, n, i, (double)found);
            }
        if (w.form == ANY)
            assert_int_equal(own.lengths[7], where <= 1 ? 0 : T);
        lstm_arrow_close(arrow);
        lstm_model_destroy(model);
        assert_int_equal(counts.arrays, 2);
        assert_int_equal(counts.schemas, 1);
    }
}

static void test_nulls_of_rows_that_are_not_read_do_not_count(void **state)
{
    const form w = {NESTED, 'f', 3, 2, 1};
    released counts = {0, 0, 0};
    struct ArrowSchema schema;
    struct ArrowArray batch;
    lstm_arrow *arrow = NULL;
    lstm_model *model = NULL;
    const lstm_arrow_options options = options_of(NESTED);
    (void)state;
    assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
    make_batch(&w, &schema, &batch, 0, N, &counts);
    struct ArrowArray *lists = batch.children[0];
    make_null(lists, 0); /* in front of the batch's first row */
    make_null(lists->children[0], (2 + 1) * T - 1);
    make_null(lists->children[0]->children[0], (2 + 1) * T * F - 1);
    make_null(batch.children[1], 0);
    assert_ok(lstm_arrow_open(&arrow, model, &options, &schema, &batch, 1));
    lstm_arrow_close(arrow);
    lstm_model_destroy(model);
}

/* ---- What is refused */

static void rename_format(struct ArrowSchema *schema, const char *format)
{
    char *own = malloc(strlen(format) + 1);
    assert_non_null(own);
    memcpy(own, format, strlen(format) + 1);
    free((char *)(uintptr_t)schema->format);
    schema->format = own;
}

static void test_every_format_that_is_not_read_is_named(void **state)
{
    static const char *const formats[][2] = {{"n", "(null)"},
                                             {"u", "(utf8)"},
                                             {"U", "(large_utf8)"},
                                             {"vu", "(utf8_view)"},
                                             {"z", "(binary)"},
                                             {"Z", "(large_binary)"},
                                             {"vz", "(binary_view)"},
                                             {"w:4", "(fixed_size_binary)"},
                                             {"d:19,10", "(decimal)"},
                                             {"tdD", "(date32)"},
                                             {"tdm", "(date64)"},
                                             {"tts", "(time32[s])"},
                                             {"ttm", "(time32[ms])"},
                                             {"ttu", "(time64[us])"},
                                             {"ttn", "(time64[ns])"},
                                             {"tss:", "(timestamp[s])"},
                                             {"tsm:UTC", "(timestamp[ms])"},
                                             {"tsu:", "(timestamp[us])"},
                                             {"tsn:", "(timestamp[ns])"},
                                             {"tDs", "(duration)"},
                                             {"tiM", "(interval)"},
                                             {"+s", "(struct)"},
                                             {"+m", "(map)"},
                                             {"+ud:0,1", "(union)"},
                                             {"+r", "(run_end_encoded)"},
                                             {"+vl", "(list_view)"},
                                             {"+vL", "(large_list_view)"},
                                             {"+w:0", "(fixed_size_list)"},
                                             {"+w:x", "(fixed_size_list)"},
                                             {"?", "(unknown)"},
                                             {"", "(unknown)"},
                                             {"ff", "(unknown)"}};
    const form w = {FLAT, 'f', 0, 0, 0};
    released counts = {0, 0, 0};
    struct ArrowSchema schema;
    struct ArrowArray batch;
    lstm_arrow *arrow = NULL;
    lstm_model *model = NULL;
    const lstm_arrow_options options = options_of(FLAT);
    (void)state;
    assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
    make_batch(&w, &schema, &batch, 0, N, &counts);
    for (size_t k = 0; k < LENGTH(formats); k++) {
        rename_format(schema.children[0], formats[k][0]);
        assert_status_text(lstm_arrow_open(&arrow, model, &options, &schema, &batch, 1),
                           LSTM_ERROR_UNSUPPORTED, formats[k][1]);
        assert_text_contains(lstm_last_error(), "column \"x\"");
    }
    rename_format(schema.children[0], "+w:8");
    struct ArrowSchema dictionary = {.format = "u"};
    schema.children[0]->children[0]->dictionary = &dictionary;
    assert_status_text(lstm_arrow_open(&arrow, model, &options, &schema, &batch, 1),
                       LSTM_ERROR_UNSUPPORTED, "dictionary-encoded");
    schema.children[0]->children[0]->dictionary = NULL;
    schema.release(&schema);
    batch.release(&batch);
    lstm_model_destroy(model);
}

typedef struct damage {
    struct ArrowSchema *schema;
    struct ArrowArray *batch;
    lstm_arrow_options *options;
} damage;

static void test_what_does_not_fit_is_refused_and_stays_the_callers(void **state)
{
    const lstm_arrow_columns none = {NULL, 0};
    const lstm_arrow_columns absent = {(const char *const[]){"price"}, 1};
    const lstm_arrow_columns two = {(const char *const[]){"x", "y"}, 2};
    const lstm_arrow_columns unnamed = {(const char *const[]){NULL}, 1};
    const form w = {FLAT, 'f', 0, 0, 0};
    released counts = {0, 0, 0};
    struct ArrowSchema schema;
    struct ArrowArray batch;
    lstm_arrow *arrow = NULL;
    lstm_model *model = NULL;
    lstm_arrow_options o = options_of(FLAT);
    (void)state;
    assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
    make_batch(&w, &schema, &batch, 0, N, &counts);
    struct ArrowArray *lists = batch.children[0];
    struct ArrowArray *leaf = lists->children[0];
#define REFUSED(change, restore, code, text)                                                    \
    do {                                                                                        \
        change;                                                                                 \
        assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), code, text); \
        assert_null(arrow);                                                                     \
        restore;                                                                                \
    } while (0)
#define WITH(place, value, code, text)                           \
    do {                                                         \
        const int64_t kept_ = (place);                           \
        REFUSED((place) = (value), (place) = kept_, code, text); \
    } while (0)
    REFUSED(o.inputs = &none, o.inputs = &columns_of_form[FLAT], LSTM_ERROR_ARGUMENT,
            "has no columns");
    REFUSED(o.inputs = &unnamed, o.inputs = &columns_of_form[FLAT], LSTM_ERROR_ARGUMENT,
            "column 0 is NULL");
    REFUSED(o.inputs = &absent, o.inputs = &columns_of_form[FLAT], LSTM_ERROR_NOT_FOUND,
            "no column \"price\" in the record batch: \"x\", \"y\"");
    REFUSED(o.inputs = &two, o.inputs = &columns_of_form[FLAT], LSTM_ERROR_SHAPE,
            "\"x\", \"y\": 9 number(s) in a row; input \"input\" takes (4, 2)");
    REFUSED(o.input_count = 2, o.input_count = 1, LSTM_ERROR_ARGUMENT, "the model has 1");
    REFUSED(o.target_count = 2, o.target_count = 1, LSTM_ERROR_ARGUMENT, "the model has 1");
    REFUSED(o.labels = "y", o.labels = NULL, LSTM_ERROR_ARGUMENT, "not CTC");
    REFUSED(o.lengths = "x", o.lengths = NULL, LSTM_ERROR_UNSUPPORTED, "column of integers");
    REFUSED(o.lengths = "y", o.lengths = NULL, LSTM_ERROR_UNSUPPORTED, "column of integers");
    REFUSED(o.weights = "x", o.weights = NULL, LSTM_ERROR_UNSUPPORTED, "column of numbers");
    REFUSED(o.nulls = 3, o.nulls = 0, LSTM_ERROR_ARGUMENT, "nulls is 3");
    WITH(batch.length, -1, LSTM_ERROR_FORMAT, "record batch 0 has");
    WITH(batch.n_children, 1, LSTM_ERROR_FORMAT, "1 columns");
    WITH(batch.length, 0, LSTM_ERROR_SHAPE, "no rows");
    WITH(batch.length, N + 1, LSTM_ERROR_FORMAT, "fewer elements");
    WITH(batch.offset, 1, LSTM_ERROR_FORMAT, "fewer elements");
    WITH(lists->offset, 1, LSTM_ERROR_FORMAT, "fewer elements");
    WITH(lists->offset, -1, LSTM_ERROR_FORMAT, "out of range");
    WITH(lists->n_buffers, 2, LSTM_ERROR_FORMAT, "number of buffers 2");
    WITH(lists->n_children, 0, LSTM_ERROR_FORMAT, "number of children 0");
    WITH(leaf->length, N * T * F - 1, LSTM_ERROR_FORMAT, "column \"x\" is no Arrow array");
    REFUSED(const void *kept = leaf->buffers[1];
            leaf->buffers[1] = NULL, leaf->buffers[1] = kept, LSTM_ERROR_FORMAT, "NULL at level 1");
    REFUSED(void (*kept)(struct ArrowArray *) = batch.release;
            batch.release = NULL, batch.release = kept, LSTM_ERROR_ARGUMENT,
            "record batch 0 has been released");
    REFUSED(void (*kept)(struct ArrowSchema *) = schema.release;
            schema.release = NULL, schema.release = kept, LSTM_ERROR_ARGUMENT,
            "schema has been released");
    REFUSED(const char *kept = schema.format; schema.format = "f", schema.format = kept,
                                              LSTM_ERROR_FORMAT, "expected a record batch");
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 0), LSTM_ERROR_ARGUMENT,
                       "no record batches");
    assert_status(lstm_arrow_open(&arrow, model, NULL, &schema, &batch, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_arrow_open(NULL, model, &o, &schema, &batch, 1), LSTM_ERROR_ARGUMENT);
    assert_int_equal(counts.arrays + counts.schemas, 0);
    assert_ok(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1)); /* and it is as it was */
    lstm_arrow_close(arrow);
    assert_int_equal(counts.arrays, 1);
    assert_int_equal(counts.schemas, 1);
    assert_null(lstm_arrow_source(NULL));
    lstm_arrow_close(NULL);
    lstm_model_destroy(model);
}

static void test_lengths_that_cannot_be_are_named(void **state)
{
    int lengths[N];
    released counts = {0, 0, 0};
    struct ArrowSchema schema;
    struct ArrowArray batch;
    lstm_arrow *arrow = NULL;
    lstm_model *model = build_steps(3);
    lstm_arrow_options o = options_of(FLAT);
    (void)state;
    memcpy(lengths, own_lengths, sizeof lengths);
    make_lists(&schema, &batch, lengths, 0, &counts);
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_ARGUMENT,
                       "column \"x\": row 0 has 4 steps: expected 0 to 3");
    o.lengths = "length";
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_ARGUMENT,
                       "lists have their own");
    o.lengths = NULL;
    lstm_model_destroy(model);
    model = build_steps(0);
    int32_t *offsets = (int32_t *)(uintptr_t)batch.children[0]->buffers[1];
    const int32_t kept = offsets[3];
    offsets[3] = -7;
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_FORMAT,
                       "offsets that fall in row 2");
    offsets[3] = kept - 1; /* row 2 has 2 steps, its target 3 */
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_SHAPE,
                       "column \"y\": row 2 has 3 items: expected 2 steps");
    offsets[3] = kept;
    offsets[N] += 1;
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_FORMAT,
                       "fewer elements");
    schema.release(&schema);
    batch.release(&batch);
    make_lists(&schema, &batch, lengths, 1, &counts);
    lstm_model_destroy(model);
    model = build_steps(T);
    o.lengths = "length";
    ((int16_t *)(uintptr_t)batch.children[2]->buffers[1])[6] = T + 1;
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_ARGUMENT,
                       "column \"length\": row 6 has 5 steps");
    make_null(batch.children[2], 4);
    o.nulls = LSTM_NULLS_NAN;
    assert_status_text(lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1), LSTM_ERROR_ARGUMENT,
                       "column \"length\": row 4 is null");
    schema.release(&schema);
    batch.release(&batch);
    lstm_model_destroy(model);
}

/* ---- Streams */

typedef struct stream {
    int at;
    int fail_at; /* the call that fails: 0 = get_schema, then each get_next; -1 = none */
    int batches;
    released counts;
} stream;

static int give_schema(struct ArrowArrayStream *of, struct ArrowSchema *out)
{
    stream *s = of->private_data;
    const form w = {NESTED, 'f', 0, 0, 0};
    struct ArrowArray unused;
    released none = {0, 0, 0};
    if (s->fail_at == 0)
        return EIO;
    make_batch(&w, out, &unused, 0, 1, &none);
    out->private_data = &s->counts;
    unused.private_data = NULL;
    unused.release(&unused);
    return 0;
}

static int give_next(struct ArrowArrayStream *of, struct ArrowArray *out)
{
    stream *s = of->private_data;
    const form w = {NESTED, 'f', 0, 0, 0};
    if (++s->at == s->fail_at)
        return EINVAL;
    if (s->at > s->batches) {
        out->release = NULL;
        return 0;
    }
    make_batch(&w, NULL, out, 0, N, &s->counts);
    return 0;
}

static const char *give_error(struct ArrowArrayStream *of)
{
    (void)of;
    return "the wire was cut";
}

static void release_stream(struct ArrowArrayStream *of)
{
    ((stream *)of->private_data)->counts.streams++;
    of->release = NULL;
}

static struct ArrowArrayStream open_stream(stream *s, int batches, int fail_at)
{
    *s = (stream){.fail_at = fail_at, .batches = batches};
    return (struct ArrowArrayStream){give_schema, give_next, give_error, release_stream, s};
}

static void test_a_stream_is_read_and_everything_released_once(void **state)
{
    lstm_model *model = NULL;
    lstm_arrow *arrow = NULL;
    lstm_arrow_options o = options_of(NESTED);
    stream s;
    struct ArrowArrayStream of;
    (void)state;
    assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
    of = open_stream(&s, 3, -1);
    assert_ok(lstm_arrow_open_stream(&arrow, model, &o, &of));
    assert_int_equal(lstm_arrow_source(arrow)->samples, 3 * N);
    assert_int_equal(s.counts.streams, 1);
    assert_int_equal(s.counts.arrays, 0);
    assert_null(of.release);
    assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .source = lstm_arrow_source(arrow)), NULL, NULL));
    lstm_arrow_close(arrow);
    assert_int_equal(s.counts.arrays, 3);
    assert_int_equal(s.counts.schemas, 1);
    assert_status_text(lstm_arrow_open_stream(&arrow, model, &o, &of), LSTM_ERROR_ARGUMENT,
                       "stream has been released");
    const struct {
        int batches, fail_at, schemas, arrays;
        lstm_status status;
        const char *text;
    } cases[] = {{3, 0, 0, 0, LSTM_ERROR_IO, "get_schema answers 5: the wire was cut"},
                 {3, 1, 1, 0, LSTM_ERROR_IO, "get_next answers 22: the wire was cut"},
                 {3, 3, 1, 2, LSTM_ERROR_IO, "get_next answers 22"},
                 {0, -1, 1, 0, LSTM_ERROR_SHAPE, "no record batches"}};
    for (size_t k = 0; k < LENGTH(cases); k++) {
        of = open_stream(&s, cases[k].batches, cases[k].fail_at);
        assert_status_text(lstm_arrow_open_stream(&arrow, model, &o, &of), cases[k].status,
                           cases[k].text);
        assert_null(arrow);
        assert_int_equal(s.counts.schemas, cases[k].schemas);
        assert_int_equal(s.counts.arrays, cases[k].arrays);
        assert_int_equal(s.counts.streams, 1);
    }
    o.inputs = &columns_of_form[WIDE]; /* refused after the stream was read */
    of = open_stream(&s, 2, -1);
    assert_status(lstm_arrow_open_stream(&arrow, model, &o, &of), LSTM_ERROR_NOT_FOUND);
    assert_int_equal(s.counts.schemas * 100 + s.counts.arrays * 10 + s.counts.streams, 121);
    of = open_stream(&s, 2, -1); /* refused before */
    assert_status(lstm_arrow_open_stream(&arrow, NULL, &o, &of), LSTM_ERROR_ARGUMENT);
    assert_int_equal(s.counts.schemas * 100 + s.counts.arrays * 10 + s.counts.streams, 1);
    lstm_model_destroy(model);
}

static void test_every_refused_allocation_releases_everything_once(void **state)
{
    (void)state;
    for (size_t refuse = 1;; refuse++) {
        counting_allocator allocator = {.refuse = refuse};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_model *model = NULL;
        lstm_arrow *arrow = NULL;
        lstm_arrow *second = NULL;
        released counts = {0, 0, 0};
        struct ArrowSchema schema;
        struct ArrowArray batch;
        stream s;
        struct ArrowArrayStream of = open_stream(&s, 6, -1);
        lstm_data data = {.struct_size = sizeof data};
        lstm_arrow_options o = options_of(FLAT);
        o.weights = "weight";
        const lstm_arrow_options of_stream = options_of(NESTED);
        make_lists(&schema, &batch, own_lengths, 0, &counts);
        lstm_status status = context ? build_tutorial(&model, context, 0, F, 2, 1)
                                     : LSTM_ERROR_MEMORY;
        const lstm_arrow_columns target = {(const char *const[]){"weight"}, 1};
        o.targets = &target;
        if (status == LSTM_OK)
            status = lstm_arrow_open(&arrow, model, &o, &schema, &batch, 1);
        if (status == LSTM_OK)
            status = lstm_arrow_data(arrow, &data);
        if (status == LSTM_OK)
            status = lstm_arrow_open_stream(&second, model, &of_stream, &of);
        lstm_arrow_close(arrow);
        lstm_arrow_close(second);
        lstm_model_destroy(model);
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
        if (!arrow) {
            assert_non_null(schema.release);
            schema.release(&schema);
            batch.release(&batch);
        }
        assert_int_equal(counts.schemas, 1);
        assert_int_equal(counts.arrays, 1);
        assert_int_equal(s.counts.arrays, s.at > 6 ? 6 : s.at > 0 ? s.at : 0);
        if (status == LSTM_OK && atomic_load(&allocator.refused) == 0)
            break;
        assert_int_equal(status, LSTM_ERROR_MEMORY);
        assert_true(refuse < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_null_is_refused_by_row_and_column_or_becomes_nan),
        cmocka_unit_test(test_nulls_of_rows_that_are_not_read_do_not_count),
        cmocka_unit_test(test_every_format_that_is_not_read_is_named),
        cmocka_unit_test(test_what_does_not_fit_is_refused_and_stays_the_callers),
        cmocka_unit_test(test_lengths_that_cannot_be_are_named),
        cmocka_unit_test(test_a_stream_is_read_and_everything_released_once),
        cmocka_unit_test(test_every_refused_allocation_releases_everything_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
