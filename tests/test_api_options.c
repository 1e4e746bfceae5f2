/* SPDX-License-Identifier: MIT
 * Size-tagged structs of the public header, one table for all: shorter, longer, with a tail that
 * means something, with a size that cannot be; flags, constants and reserved members out of range.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 8192, TAIL = 64 };

/* What the calls need: a built model of one output, its data, a session that has run forward. */
typedef struct fixture {
    lstm_model *model;
    lstm_session *session;
    lstm_primitive *primitive;
    char csv[64];
    float x[2 * 3 * 2], y[2 * 2], out[2 * 2];
    float weights[(2 + 2) * 8], sequence[3 * 2 * 2];
} fixture;

static fixture f;

static const lstm_data *data(void)
{
    static lstm_data d;
    d = (lstm_data){.struct_size = sizeof d,
                    .samples = 2,
                    .x = f.x,
                    .x_count = LENGTH(f.x),
                    .y = f.y,
                    .y_count = LENGTH(f.y)};
    return &d;
}

static int start(void **state)
{
    (void)state;
    fill_numbers(f.x, LENGTH(f.x), 1);
    fill_numbers(f.y, LENGTH(f.y), 2);
    fill_numbers(f.weights, LENGTH(f.weights), 3);
    fill_numbers(f.sequence, LENGTH(f.sequence), 4);
    assert_ok(build_tutorial(&f.model, NULL, 3, 2, 3, 2));
    assert_ok(lstm_session_create(&f.session, f.model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = 2)));
    assert_ok(lstm_session_forward(f.session, data()));
    assert_ok(lstm_primitive_create(
        &f.primitive, NULL,
        OPTIONS(lstm_primitive, .input_size = 2, .hidden_size = 2, .batch = 2, .steps = 3)));
    snprintf(f.csv, sizeof f.csv, "options.csv");
    FILE *file = fopen(f.csv, "w");
    assert_non_null(file);
    fputs("a,b\n1,2\n3,4\n", file);
    assert_int_equal(fclose(file), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lstm_primitive_destroy(f.primitive);
    lstm_session_destroy(f.session);
    lstm_model_destroy(f.model);
    remove(f.csv);
    return 0;
}

/* ---- One call for each struct; whatever it creates is destroyed again */

static lstm_status call_context(const void *options)
{
    lstm_context *context = NULL;
    const lstm_status status = lstm_context_create(&context, options);
    assert_true((context != NULL) == (status == LSTM_OK));
    lstm_context_destroy(context);
    return status;
}

static lstm_status call_model(const void *options)
{
    lstm_model *model = NULL;
    const lstm_status status = lstm_model_create(&model, NULL, options);
    assert_true((model != NULL) == (status == LSTM_OK));
    lstm_model_destroy(model);
    return status;
}

/* Call `add` on a model that has a sequence (6, 2), or a vector of 6. */
typedef lstm_status add_call(lstm_model *model, const void *options, lstm_layer **out);
static lstm_status call_add(add_call *add, bool vector, const void *options)
{
    lstm_model *model = NULL;
    lstm_layer *layer = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    if (vector)
        assert_ok(lstm_model_add_input(
            model, OPTIONS(lstm_input, .vector = LSTM_YES, .features = 6), NULL));
    else
        assert_ok(
            lstm_model_add_input(model, OPTIONS(lstm_input, .steps = 6, .features = 2), NULL));
    const lstm_status status = add(model, options, &layer);
    assert_true((layer != NULL) == (status == LSTM_OK));
    assert_int_equal(lstm_model_layer_count(model), status == LSTM_OK ? 2 : 1);
    lstm_model_destroy(model);
    return status;
}

static lstm_status add_input(lstm_model *model, const void *options, lstm_layer **out)
{
    return lstm_model_add_input(model, options, out);
}
static lstm_status call_input(const void *options)
{
    return call_add(add_input, false, options);
}
#define ADD(layer, vector)                                                                   \
    static lstm_status add_##layer(lstm_model *model, const void *options, lstm_layer **out) \
    {                                                                                        \
        return lstm_model_add_##layer(model, options, NULL, out);                            \
    }                                                                                        \
    static lstm_status call_##layer(const void *options)                                     \
    {                                                                                        \
        return call_add(add_##layer, vector, options);                                       \
    }
ADD(lstm, false)
ADD(dense, false)
ADD(dropout, false)
ADD(activation, false)
ADD(repeat_vector, true)
ADD(reshape, false)
ADD(flatten, false)

static lstm_status call_data(const void *options)
{
    return lstm_predict(f.model, options, f.out, LENGTH(f.out));
}

static lstm_status call_loss(const void *options)
{
    static const float classes[2] = {0, 1};
    double value = 0;
    lstm_data targets = *data();
    int32_t loss = 0;
    if (options)
        memcpy(&loss, (const unsigned char *)options + offsetof(lstm_loss_options, loss),
               sizeof loss);
    if (loss == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY) {
        targets.y = classes;
        targets.y_count = LENGTH(classes);
    }
    const lstm_status status = lstm_session_loss(f.session, options, &targets, &value);
    /* of a log of negative predictions; one feature is no mean with a variance, a vector no sequence */
    assert_true(status != LSTM_OK || isfinite(value) || loss == LSTM_LOSS_POISSON);
    if (loss == LSTM_LOSS_CUSTOM && status == LSTM_ERROR_ARGUMENT)
        return LSTM_OK; /* it needs a function */
    const bool other_output = loss == LSTM_LOSS_GAUSSIAN_NLL || loss == LSTM_LOSS_CTC;
    return other_output && status == LSTM_ERROR_SHAPE ? LSTM_OK : status;
}

static lstm_status call_schedule(const void *options)
{
    lstm_optimizer *optimizer = NULL;
    const lstm_optimizer_options with = {.struct_size = sizeof with, .schedule = options};
    const lstm_status status = lstm_optimizer_create(&optimizer, f.model, &with);
    lstm_optimizer_destroy(optimizer);
    return status;
}

static lstm_status call_regularizer(const void *options)
{
    lstm_layer *layer = lstm_model_layer(f.model, 1);
    const lstm_status status = lstm_layer_set_regularizer(layer, "kernel", options);
    assert_ok(lstm_layer_set_regularizer(layer, "kernel", NULL));
    return status;
}

static lstm_status call_optimizer(const void *options)
{
    lstm_optimizer *optimizer = NULL;
    const lstm_status status = lstm_optimizer_create(&optimizer, f.model, options);
    assert_true((optimizer != NULL) == (status == LSTM_OK));
    lstm_optimizer_destroy(optimizer);
    return status;
}

static lstm_status call_fit(const void *options)
{
    lstm_history *history = NULL;
    const lstm_status status = lstm_fit(f.model, options, data(), &history);
    assert_true((history != NULL) == (status == LSTM_OK));
    lstm_history_destroy(history);
    return status;
}

static lstm_status call_evaluate(const void *options)
{
    double value = 0;
    return lstm_evaluate(f.model, options, data(), &value, 1);
}

static lstm_status call_session(const void *options)
{
    lstm_session *session = NULL;
    const lstm_status status = lstm_session_create(&session, f.model, options);
    assert_true((session != NULL) == (status == LSTM_OK));
    lstm_session_destroy(session);
    return status;
}

static lstm_status call_primitive(const void *options)
{
    lstm_primitive *primitive = NULL;
    const lstm_status status = lstm_primitive_create(&primitive, NULL, options);
    assert_true((primitive != NULL) == (status == LSTM_OK));
    lstm_primitive_destroy(primitive);
    return status;
}

static lstm_status call_arrays(const void *options)
{
    return lstm_primitive_forward(f.primitive, options);
}

static lstm_status call_ctc(const void *options)
{
    lstm_ctc *ctc = NULL;
    const lstm_status status = lstm_ctc_create(&ctc, NULL, options);
    assert_true((ctc != NULL) == (status == LSTM_OK));
    lstm_ctc_destroy(ctc);
    return status;
}

static const lstm_ctc_options valid_ctc = {
    .struct_size = sizeof valid_ctc, .classes = 2, .batch = 2, .steps = 3, .no_gradient = LSTM_YES};
static lstm_ctc_arrays valid_ctc_arrays;

static lstm_status call_ctc_arrays(const void *options)
{
    lstm_ctc *ctc = NULL;
    double loss = 0;
    assert_ok(lstm_ctc_create(&ctc, NULL, &valid_ctc));
    const lstm_status status = lstm_ctc_loss(ctc, options, &loss);
    lstm_ctc_destroy(ctc);
    return status;
}

static const lstm_ctc_decode_options valid_decode = {.struct_size = sizeof valid_decode,
                                                     .classes = 2};
static lstm_ctc_decode_arrays valid_decode_arrays;
static int32_t decoded[6];

static lstm_status call_decode(const void *options)
{
    return lstm_ctc_beam_search(NULL, options, &valid_decode_arrays);
}

static lstm_status call_decode_arrays(const void *options)
{
    return lstm_ctc_greedy(NULL, &valid_decode, options);
}

static lstm_status no_preference(void *user, int64_t step, size_t count, const int32_t *tokens,
                                 const int32_t *from, float *logits)
{
    (void)user;
    (void)step;
    (void)tokens;
    (void)from;
    memset(logits, 0, count * 2 * sizeof *logits);
    return LSTM_OK;
}

static const lstm_beam_options valid_beam = {
    .struct_size = sizeof valid_beam, .classes = 2, .max_steps = 3, .end_token = 1};

static lstm_status call_beam(const void *options)
{
    int32_t tokens[3];
    int32_t length = 0;
    return lstm_beam_search(NULL, options, no_preference, NULL, tokens, 3, &length, NULL);
}

static const lstm_sampler_options valid_sampler = {.struct_size = sizeof valid_sampler,
                                                   .classes = 2};

static lstm_status call_sampler(const void *options)
{
    lstm_sampler *sampler = NULL;
    const lstm_status status = lstm_sampler_create(&sampler, NULL, options);
    assert_true((sampler != NULL) == (status == LSTM_OK));
    lstm_sampler_destroy(sampler);
    return status;
}

static lstm_status call_table(const void *options)
{
    lstm_table *table = NULL;
    const lstm_status status = lstm_table_load_csv(&table, NULL, f.csv, options);
    assert_true((table != NULL) == (status == LSTM_OK));
    lstm_table_destroy(table);
    return status;
}

/* ---- The table */

#define MOST 12
typedef struct member {
    const char *name;
    size_t offset;
    int32_t most; /* of a constant; 2 for a flag; 0 for a reserved member */
} member;
#define MEMBER(object, member, most)            \
    {                                           \
#member, offsetof(object, member), most \
    }
#define FLAG(object, member) MEMBER(object, member, 2)
#define RESERVED(object, member) MEMBER(object, member, 0)

typedef struct option_struct {
    const char *name;
    size_t size;
    lstm_status (*call)(const void *options);
    const void *valid; /* `size` bytes that succeed */
    bool null_is_fine;
    member members[MOST];
} option_struct;

static const lstm_context_options valid_context = {.struct_size = sizeof valid_context};
static const lstm_model_options valid_model = {.struct_size = sizeof valid_model};
static const lstm_input_options valid_input = {.struct_size = sizeof valid_input, .features = 2};
static const lstm_lstm_options valid_lstm = {.struct_size = sizeof valid_lstm, .units = 2};
static const lstm_dense_options valid_dense = {.struct_size = sizeof valid_dense, .units = 2};
static const lstm_dropout_options valid_dropout = {.struct_size = sizeof valid_dropout,
                                                   .rate = 0.5f};
static const lstm_activation_options valid_activation = {.struct_size = sizeof valid_activation};
static const lstm_repeat_vector_options valid_repeat = {.struct_size = sizeof valid_repeat,
                                                        .count = 2};
static const lstm_reshape_options valid_reshape = {
    .struct_size = sizeof valid_reshape, .steps = 3, .features = 4};
static const lstm_reshape_options valid_flatten = {.struct_size = sizeof valid_flatten};
static const lstm_loss_options valid_loss = {.struct_size = sizeof valid_loss};
static double steady(void *user, int64_t t, double rate)
{
    (void)user;
    (void)t;
    return rate;
}
static const lstm_schedule_options valid_schedule = {
    .struct_size = sizeof valid_schedule, .steps = 5, .factor = 0.5, .rate = steady};
static const lstm_regularizer_options valid_regularizer = {.struct_size = sizeof valid_regularizer};
static const lstm_optimizer_options valid_optimizer = {.struct_size = sizeof valid_optimizer};
static const lstm_fit_options valid_fit = {.struct_size = sizeof valid_fit};
static const lstm_evaluate_options valid_evaluate = {.struct_size = sizeof valid_evaluate};
static const lstm_session_options valid_session = {.struct_size = sizeof valid_session, .batch = 2};
static const lstm_primitive_options valid_primitive = {.struct_size = sizeof valid_primitive,
                                                       .input_size = 2,
                                                       .hidden_size = 3,
                                                       .batch = 1,
                                                       .steps = 1};
static const lstm_table_options valid_table = {.struct_size = sizeof valid_table};
static lstm_data valid_data; /* pointers, set by the first test */
static lstm_primitive_arrays valid_arrays;

static const option_struct structs[] = {
    {"lstm_context_options",
     sizeof valid_context,
     call_context,
     &valid_context,
     true,
     {MEMBER(lstm_context_options, max_isa, LSTM_ISA_NEON)}},
    {"lstm_model_options",
     sizeof valid_model,
     call_model,
     &valid_model,
     true,
     {MEMBER(lstm_model_options, profile, 2)}},
    {"lstm_input_options",
     sizeof valid_input,
     call_input,
     &valid_input,
     false,
     {FLAG(lstm_input_options, vector)}},
    {"lstm_lstm_options",
     sizeof valid_lstm,
     call_lstm,
     &valid_lstm,
     false,
     {FLAG(lstm_lstm_options, return_sequences), FLAG(lstm_lstm_options, go_backwards),
      FLAG(lstm_lstm_options, use_bias), FLAG(lstm_lstm_options, unit_forget_bias),
      FLAG(lstm_lstm_options, return_state), MEMBER(lstm_lstm_options, kernel_initializer, 7),
      MEMBER(lstm_lstm_options, recurrent_initializer, 7),
      MEMBER(lstm_lstm_options, coupled_gates, 3), FLAG(lstm_lstm_options, peepholes),
      MEMBER(lstm_lstm_options, layer_norm, 5), RESERVED(lstm_lstm_options, reserved)}},
    {"lstm_dense_options",
     sizeof valid_dense,
     call_dense,
     &valid_dense,
     false,
     {MEMBER(lstm_dense_options, activation, 11), FLAG(lstm_dense_options, use_bias),
      MEMBER(lstm_dense_options, kernel_initializer, 7)}},
    {"lstm_dropout_options", sizeof valid_dropout, call_dropout, &valid_dropout, true, {{0}}},
    {"lstm_activation_options",
     sizeof valid_activation,
     call_activation,
     &valid_activation,
     true,
     {MEMBER(lstm_activation_options, activation, 11)}},
    {"lstm_repeat_vector_options",
     sizeof valid_repeat,
     call_repeat_vector,
     &valid_repeat,
     false,
     {RESERVED(lstm_repeat_vector_options, reserved)}},
    {"lstm_reshape_options",
     sizeof valid_reshape,
     call_reshape,
     &valid_reshape,
     true,
     {RESERVED(lstm_reshape_options, reserved)}},
    {"lstm_reshape_options",
     sizeof valid_flatten,
     call_flatten,
     &valid_flatten,
     true,
     {RESERVED(lstm_reshape_options, reserved)}},
    {"lstm_data", sizeof valid_data, call_data, &valid_data, false, {MEMBER(lstm_data, layout, 2)}},
    {"lstm_loss_options",
     sizeof valid_loss,
     call_loss,
     &valid_loss,
     true,
     {MEMBER(lstm_loss_options, loss, 21), FLAG(lstm_loss_options, from_logits),
      FLAG(lstm_loss_options, focal_balanced), MEMBER(lstm_loss_options, reduction, 3)}},
    {"lstm_schedule_options",
     sizeof valid_schedule,
     call_schedule,
     &valid_schedule,
     true,
     {MEMBER(lstm_schedule_options, schedule, 8), FLAG(lstm_schedule_options, linear)}},
    {"lstm_regularizer_options",
     sizeof valid_regularizer,
     call_regularizer,
     &valid_regularizer,
     true,
     {MEMBER(lstm_regularizer_options, constraint, 4)}},
    {"lstm_optimizer_options",
     sizeof valid_optimizer,
     call_optimizer,
     &valid_optimizer,
     true,
     {MEMBER(lstm_optimizer_options, optimizer, 11), FLAG(lstm_optimizer_options, use_ema),
      FLAG(lstm_optimizer_options, decoupled_decay), RESERVED(lstm_optimizer_options, reserved_2),
      RESERVED(lstm_optimizer_options, reserved), MEMBER(lstm_optimizer_options, profile, 2),
      FLAG(lstm_optimizer_options, centered), FLAG(lstm_optimizer_options, amsgrad)}},
    {"lstm_fit_options",
     sizeof valid_fit,
     call_fit,
     &valid_fit,
     true,
     {FLAG(lstm_fit_options, shuffle), FLAG(lstm_fit_options, restore_best),
      RESERVED(lstm_fit_options, reserved), FLAG(lstm_fit_options, gradient_norms),
      FLAG(lstm_fit_options, recompute), RESERVED(lstm_fit_options, reserved_3),
      RESERVED(lstm_fit_options, reserved_2)}},
    {"lstm_evaluate_options",
     sizeof valid_evaluate,
     call_evaluate,
     &valid_evaluate,
     true,
     {RESERVED(lstm_evaluate_options, reserved)}},
    {"lstm_session_options",
     sizeof valid_session,
     call_session,
     &valid_session,
     false,
     {FLAG(lstm_session_options, training), FLAG(lstm_session_options, traces),
      FLAG(lstm_session_options, recompute), RESERVED(lstm_session_options, reserved_2),
      RESERVED(lstm_session_options, reserved)}},
    {"lstm_primitive_options",
     sizeof valid_primitive,
     call_primitive,
     &valid_primitive,
     false,
     {FLAG(lstm_primitive_options, training), MEMBER(lstm_primitive_options, route, 2),
      RESERVED(lstm_primitive_options, reserved), FLAG(lstm_primitive_options, recompute),
      RESERVED(lstm_primitive_options, reserved_2)}},
    {"lstm_ctc_options",
     sizeof valid_ctc,
     call_ctc,
     &valid_ctc,
     false,
     {FLAG(lstm_ctc_options, from_logits), FLAG(lstm_ctc_options, zero_infinity),
      FLAG(lstm_ctc_options, no_gradient)}},
    {"lstm_ctc_arrays",
     sizeof valid_ctc_arrays,
     call_ctc_arrays,
     &valid_ctc_arrays,
     false,
     {MEMBER(lstm_ctc_arrays, layout, 2)}},
    {"lstm_ctc_decode_options",
     sizeof valid_decode,
     call_decode,
     &valid_decode,
     false,
     {FLAG(lstm_ctc_decode_options, from_logits), MEMBER(lstm_ctc_decode_options, layout, 2)}},
    {"lstm_ctc_decode_arrays",
     sizeof valid_decode_arrays,
     call_decode_arrays,
     &valid_decode_arrays,
     false,
     {RESERVED(lstm_ctc_decode_arrays, reserved)}},
    {"lstm_beam_options",
     sizeof valid_beam,
     call_beam,
     &valid_beam,
     false,
     {FLAG(lstm_beam_options, from_logits), MEMBER(lstm_beam_options, length_penalty, 3),
      RESERVED(lstm_beam_options, reserved)}},
    {"lstm_sampler_options",
     sizeof valid_sampler,
     call_sampler,
     &valid_sampler,
     false,
     {RESERVED(lstm_sampler_options, reserved)}},
    {"lstm_primitive_arrays",
     sizeof valid_arrays,
     call_arrays,
     &valid_arrays,
     false,
     {RESERVED(lstm_primitive_arrays, reserved)}},
    {"lstm_table_options",
     sizeof valid_table,
     call_table,
     &valid_table,
     true,
     {FLAG(lstm_table_options, no_header), FLAG(lstm_table_options, allow_missing),
      RESERVED(lstm_table_options, reserved)}},
};

static void fill_valid(void)
{
    valid_data = *data();
    valid_decode_arrays = (lstm_ctc_decode_arrays){.struct_size = sizeof valid_decode_arrays,
                                                   .batch = 2,
                                                   .steps = 3,
                                                   .x = f.x,
                                                   .labels = decoded,
                                                   .labels_count = LENGTH(decoded)};
    valid_ctc_arrays = (lstm_ctc_arrays){
        .struct_size = sizeof valid_ctc_arrays, .batch = 2, .steps = 3, .x = f.x};
    valid_arrays = (lstm_primitive_arrays){.struct_size = sizeof valid_arrays,
                                           .batch = 2,
                                           .steps = 3,
                                           .weights = f.weights,
                                           .x = f.sequence};
}

/* A copy of a valid struct with room behind it that holds `rest`. */
static unsigned char *copy_of(const option_struct *s, unsigned char rest)
{
    unsigned char *bytes = malloc(ROOM);
    assert_non_null(bytes);
    memset(bytes, rest, ROOM);
    memcpy(bytes, s->valid, s->size);
    return bytes;
}

static void set_size(unsigned char *bytes, uint32_t size)
{
    memcpy(bytes, &size, sizeof size);
}

static void test_structs_of_the_right_size_and_null_are_accepted(void **state)
{
    (void)state;
    fill_valid();
    for (size_t k = 0; k < LENGTH(structs); k++) {
        assert_status(structs[k].call(structs[k].valid), LSTM_OK);
        assert_status(structs[k].call(NULL),
                      structs[k].null_is_fine ? LSTM_OK : LSTM_ERROR_ARGUMENT);
    }
}

static void test_longer_structs_are_accepted_as_long_as_their_tail_is_zero(void **state)
{
    (void)state;
    fill_valid();
    for (size_t k = 0; k < LENGTH(structs); k++) {
        const option_struct *s = &structs[k];
        unsigned char *bytes = copy_of(s, 0);
        print_message("%s\n", s->name);
        for (size_t extra = 1; extra <= TAIL; extra++) {
            set_size(bytes, (uint32_t)(s->size + extra));
            assert_status(s->call(bytes), LSTM_OK);
        }
        for (size_t place = 0; place < TAIL; place += 21) {
            bytes[s->size + place] = 1;
            assert_status_text(s->call(bytes), LSTM_ERROR_UNSUPPORTED, s->name);
            set_size(bytes,
                     (uint32_t)(s->size + place)); /* the byte is outside of the struct now */
            assert_status(s->call(bytes), LSTM_OK);
            set_size(bytes, (uint32_t)(s->size + TAIL));
            bytes[s->size + place] = 0;
        }
        free(bytes);
    }
}

static void test_struct_sizes_that_cannot_be_are_rejected(void **state)
{
    (void)state;
    fill_valid();
    for (size_t k = 0; k < LENGTH(structs); k++) {
        unsigned char *bytes = copy_of(&structs[k], 0);
        for (uint32_t size = 0; size <= 3; size++) {
            set_size(bytes, size);
            assert_status_text(structs[k].call(bytes), LSTM_ERROR_ARGUMENT, "struct_size");
        }
        set_size(bytes, UINT32_MAX);
        assert_status_text(structs[k].call(bytes), LSTM_ERROR_ARGUMENT, "struct_size");
        free(bytes);
    }
}

/* Cut at each member (pointers and sizes have 8 bytes): what lies behind the cut, here nonsense,
 * must count as zero. */
static void test_shorter_structs_are_completed_with_zeros(void **state)
{
    (void)state;
    fill_valid();
    for (size_t k = 0; k < LENGTH(structs); k++) {
        const option_struct *s = &structs[k];
        for (size_t size = sizeof(uint32_t); size < s->size; size += size % 8 ? 4 : 8) {
            unsigned char *cut = copy_of(s, 0xEE);
            unsigned char *zero = copy_of(s, 0);
            memset(cut + size, 0xEE, s->size - size);
            memset(zero + size, 0, s->size - size);
            set_size(cut, (uint32_t)size);
            const lstm_status expected = s->call(zero);
            const lstm_status found = s->call(cut);
            if (found != expected)
                print_error("%s cut to %zu bytes\n", s->name, size);
            assert_status(found, expected);
            free(cut);
            free(zero);
        }
    }
}

static lstm_status with_member(const option_struct *s, const member *m, int32_t value)
{
    unsigned char *bytes = copy_of(s, 0);
    memcpy(bytes + m->offset, &value, sizeof value);
    const lstm_status status = s->call(bytes);
    free(bytes);
    return status;
}

static void test_flags_constants_and_reserved_members_out_of_range_are_rejected(void **state)
{
    (void)state;
    fill_valid();
    for (size_t k = 0; k < LENGTH(structs); k++) {
        const option_struct *s = &structs[k];
        for (const member *m = s->members; m->name; m++) {
            const int32_t wrong[] = {-1, m->most + 1, m->most + 1000, INT32_MIN, INT32_MAX};
            for (int32_t value = 0; value <= m->most; value++) {
                if (with_member(s, m, value) != LSTM_OK)
                    print_error("%s.%s = %d\n", s->name, m->name, (int)value);
                assert_ok(with_member(s, m, value));
            }
            for (size_t w = 0; w < LENGTH(wrong); w++) {
                if (with_member(s, m, wrong[w]) != LSTM_ERROR_ARGUMENT)
                    print_error("%s.%s = %d\n", s->name, m->name, (int)wrong[w]);
                assert_status_text(with_member(s, m, wrong[w]), LSTM_ERROR_ARGUMENT, m->name);
            }
        }
    }
}

/* ---- Numbers out of range that have no table of constants */

static void test_context_options_out_of_range_are_rejected(void **state)
{
    (void)state;
    assert_status_text(call_context(OPTIONS(lstm_context, .threads = -2)), LSTM_ERROR_ARGUMENT,
                       "threads");
    assert_status_text(call_context(OPTIONS(lstm_context, .threads = 257)), LSTM_ERROR_ARGUMENT,
                       "threads");
    assert_status_text(call_context(OPTIONS(lstm_context, .blas_threads = -1)), LSTM_ERROR_ARGUMENT,
                       "blas_threads");
    assert_status(lstm_context_create(NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_create(NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
}

static void test_optimizer_numbers_out_of_range_are_rejected(void **state)
{
    static const struct {
        size_t offset;
        double wrong;
        const char *text;
    } numbers[] = {
        {offsetof(lstm_optimizer_options, learning_rate), INFINITY, "learning_rate"},
        {offsetof(lstm_optimizer_options, learning_rate), NAN, "learning_rate"},
        {offsetof(lstm_optimizer_options, momentum), 1, "momentum"},
        {offsetof(lstm_optimizer_options, momentum), NAN, "momentum"},
        {offsetof(lstm_optimizer_options, dampening), 0.5, "dampening"},
        {offsetof(lstm_optimizer_options, rho), 1, "rho"},
        {offsetof(lstm_optimizer_options, beta_1), 1, "beta_1"},
        {offsetof(lstm_optimizer_options, beta_2), 1.5, "beta_2"},
        {offsetof(lstm_optimizer_options, epsilon), INFINITY, "epsilon"},
        {offsetof(lstm_optimizer_options, weight_decay), NAN, "weight_decay"},
        {offsetof(lstm_optimizer_options, clip_norm), -1, "clip_norm"},
        {offsetof(lstm_optimizer_options, gradient_noise), -1, "gradient_noise"},
        {offsetof(lstm_optimizer_options, gradient_noise_decay), NAN, "gradient_noise_decay"},
        {offsetof(lstm_optimizer_options, global_clip_norm), -1, "global_clip_norm"},
        {offsetof(lstm_optimizer_options, clip_value), NAN, "clip_value"},
    };
    (void)state;
    for (size_t k = 0; k < LENGTH(numbers); k++) {
        lstm_optimizer_options options = {.struct_size = sizeof options};
        memcpy((unsigned char *)&options + numbers[k].offset, &numbers[k].wrong, sizeof(double));
        assert_status_text(call_optimizer(&options), LSTM_ERROR_ARGUMENT, numbers[k].text);
    }
    assert_status(call_optimizer(OPTIONS(lstm_optimizer, .clip_norm = 1, .clip_value = 1)),
                  LSTM_ERROR_ARGUMENT);
    assert_status_text(call_optimizer(OPTIONS(lstm_optimizer, .nesterov = LSTM_YES)),
                       LSTM_ERROR_ARGUMENT, "nesterov");
    assert_status(call_optimizer(OPTIONS(lstm_optimizer, .optimizer = LSTM_OPTIMIZER_SGD,
                                         .nesterov = 3, .momentum = 0.9)),
                  LSTM_ERROR_ARGUMENT);
    assert_ok(call_optimizer(
        OPTIONS(lstm_optimizer, .learning_rate = -1, .beta_1 = -1, .beta_2 = -1, .epsilon = -1)));
}

static void test_loss_and_fit_numbers_out_of_range_are_rejected(void **state)
{
    static const int32_t metrics[20] = {LSTM_METRIC_MAE, 500};
    (void)state;
    assert_status_text(call_loss(OPTIONS(lstm_loss, .huber_delta = -1)), LSTM_ERROR_ARGUMENT,
                       "huber_delta");
    assert_status_text(call_loss(OPTIONS(lstm_loss, .huber_delta = NAN)), LSTM_ERROR_ARGUMENT,
                       "huber_delta");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .epochs = -1)), LSTM_ERROR_ARGUMENT, "epochs");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .batch_size = -1)), LSTM_ERROR_ARGUMENT,
                       "batch_size");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .initial_epoch = -1)), LSTM_ERROR_ARGUMENT,
                       "initial_epoch");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .early_stopping = -1)), LSTM_ERROR_ARGUMENT,
                       "early_stopping");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .checkpoint_every = -1)), LSTM_ERROR_ARGUMENT,
                       "checkpoint_every");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .max_steps = -1)), LSTM_ERROR_ARGUMENT,
                       "max_steps");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .validation_split = 1)), LSTM_ERROR_ARGUMENT,
                       "validation_split");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .validation_split = -0.1)), LSTM_ERROR_ARGUMENT,
                       "validation_split");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .validation_split = NAN)), LSTM_ERROR_ARGUMENT,
                       "validation_split");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .min_delta = -1)), LSTM_ERROR_ARGUMENT,
                       "min_delta");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .min_delta = INFINITY)), LSTM_ERROR_ARGUMENT,
                       "min_delta");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .metric_count = 17, .metrics = metrics)),
                       LSTM_ERROR_ARGUMENT, "metric_count");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .metric_count = -1)), LSTM_ERROR_ARGUMENT,
                       "metric_count");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .metric_count = 1)), LSTM_ERROR_ARGUMENT,
                       "metrics");
    assert_status_text(call_fit(OPTIONS(lstm_fit, .metric_count = 2, .metrics = metrics)),
                       LSTM_ERROR_ARGUMENT, "metric 1");
    assert_status(call_fit(OPTIONS(lstm_fit, .validation = data(), .validation_split = 0.5)),
                  LSTM_ERROR_ARGUMENT);
    assert_status_text(call_evaluate(OPTIONS(lstm_evaluate, .batch_size = -1)), LSTM_ERROR_ARGUMENT,
                       "batch_size");
    assert_status_text(
        call_evaluate(OPTIONS(lstm_evaluate, .metric_count = 17, .metrics = metrics)),
        LSTM_ERROR_ARGUMENT, "metric_count");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structs_of_the_right_size_and_null_are_accepted),
        cmocka_unit_test(test_longer_structs_are_accepted_as_long_as_their_tail_is_zero),
        cmocka_unit_test(test_struct_sizes_that_cannot_be_are_rejected),
        cmocka_unit_test(test_shorter_structs_are_completed_with_zeros),
        cmocka_unit_test(test_flags_constants_and_reserved_members_out_of_range_are_rejected),
        cmocka_unit_test(test_context_options_out_of_range_are_rejected),
        cmocka_unit_test(test_optimizer_numbers_out_of_range_are_rejected),
        cmocka_unit_test(test_loss_and_fit_numbers_out_of_range_are_rejected),
    };
    return cmocka_run_group_tests(tests, start, end);
}
