/* SPDX-License-Identifier: MIT
 * lstm_arrow: record batches of Arrow's C data interface as a source of training data, or as arrays.
 *
 * Each input and target of the model is a slot: the columns that make it and the form they come in.
 * VALUES: a row's numbers side by side are the slot's, in its order; LISTS: a row is a list of steps,
 * and a step's numbers side by side are its features. What a row must have is checked for all rows
 * when the data is opened, so that reading cannot fail.
 *
 * Ownership: the structs are copied by value and the caller's `release` set to NULL, as the
 * specification has a consumer move them; before everything is checked nothing is moved, and `owned`
 * says which of the two is the case.
 */
#include "arrow_column.h"
#include "checked.h"
#include "losses.h"
#include "need.h"
#include "options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VALUES = 1, LISTS };

typedef struct slot {
    const char *what; /* "input" or "the target of output" */
    const char *name; /* of its layer: while the data is opened */
    lstm__arrow_type *columns;
    size_t count;
    int form;
    bool free;         /* any number of steps */
    bool says_lengths; /* the first input that is a sequence */
    bool target;
    size_t steps, features; /* of a vector: 1 step */
    float *copy;            /* of lstm_arrow_data, where the numbers cannot stay where they are */
} slot;

struct lstm_arrow {
    lstm_context *context;
    bool owned; /* schema and batches are released here */
    struct ArrowSchema schema;
    struct ArrowArray *batches;
    size_t batch_count;
    size_t *firsts; /* [batch_count + 1]: the first sample of each batch, then the number of all */
    slot *slots;    /* inputs, then targets */
    size_t input_count, slot_count;
    lstm__arrow_type length_column, weight_column, label_column; /* name NULL = none */
    bool nulls;                                                  /* become NaN */
    int32_t *lengths;                                            /* [samples], or NULL */
    lstm_source source;
    /* of lstm_arrow_data: arrays of the slots, their sizes, weights and labels */
    const float **pointers;
    size_t *sizes;
    float *weights;
    int32_t *labels;
};

/* ---- Reading */

/* The batch in which a sample is. */
static size_t batch_of(const lstm_arrow *arrow, size_t sample)
{
    size_t low = 0;
    size_t high = arrow->batch_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (arrow->firsts[middle] <= sample)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* One sample of a slot; steps that a list does not have become zeros. */
static void read_slot(const lstm_arrow *arrow, const slot *s, const struct ArrowArray *batch,
                      size_t row, float *out)
{
    size_t at = 0;
    for (size_t k = 0; k < s->count; k++) {
        const lstm__arrow_type *type = &s->columns[k];
        const size_t items = lstm__arrow_items(type, batch, row);
        lstm__arrow_read(type, batch, row, arrow->nulls, out + at,
                         s->form == VALUES ? type->item : s->features);
        for (size_t t = items; s->form == LISTS && t < s->steps; t++)
            memset(out + t * s->features + at, 0, type->item * sizeof *out);
        at += s->form == VALUES ? items * type->item : type->item;
    }
}

/* The labels of a sample, -1 behind them. */
static void read_labels(const lstm_arrow *arrow, const struct ArrowArray *batch, size_t row,
                        int32_t *out)
{
    const size_t count = lstm__arrow_items(&arrow->label_column, batch, row);
    for (size_t k = 0; k < (size_t)arrow->source.label_steps; k++)
        out[k] = k < count ? (int32_t)lstm__arrow_number(&arrow->label_column, batch, row, k) : -1;
}

static lstm_status read_rows(void *user, const lstm_batch *wanted)
{
    const lstm_arrow *arrow = user;
    if (wanted->targets && arrow->slot_count == arrow->input_count)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the Arrow data was opened without targets");
    if (wanted->labels && !arrow->label_column.name)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the Arrow data was opened without labels");
    for (int64_t k = 0; k < wanted->count; k++) {
        const size_t sample = (size_t)wanted->samples[k];
        const size_t number = batch_of(arrow, sample);
        const struct ArrowArray *batch = &arrow->batches[number];
        const size_t row = sample - arrow->firsts[number];
        for (size_t i = 0; i < arrow->slot_count; i++) {
            const slot *s = &arrow->slots[i];
            float *const *arrays = s->target ? wanted->targets : wanted->inputs;
            const size_t place = s->target ? i - arrow->input_count : i;
            if (arrays)
                read_slot(arrow, s, batch, row, arrays[place] + (size_t)k * s->steps * s->features);
        }
        if (arrow->lengths)
            wanted->lengths[k] = arrow->lengths[sample];
        if (arrow->weight_column.name)
            wanted->sample_weights[k] = (float)lstm__arrow_number(&arrow->weight_column, batch, row,
                                                                  0);
        if (wanted->labels)
            read_labels(arrow, batch, row, wanted->labels + k * arrow->source.label_steps);
    }
    return LSTM_OK;
}

/* ---- Opening: the columns */

static lstm_status fail_slot(const slot *s, const char *found)
{
    char names[300] = "";
    char steps[32] = "";
    size_t used = 0;
    for (size_t k = 0; k < s->count && used < sizeof names; k++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%.60s\"", k ? ", " : "",
                                 s->columns[k].name);
    if (s->free)
        snprintf(steps, sizeof steps, "steps, ");
    else if (s->steps > 0)
        snprintf(steps, sizeof steps, "%zu, ", s->steps);
    return lstm__fail(LSTM_ERROR_SHAPE, "column(s) %s: %s; %s \"%s\" takes (%s%zu) in a row", names,
                      found, s->what, s->name, steps, s->features);
}

static bool varies(const slot *s)
{
    bool any = false;
    for (size_t k = 0; k < s->count; k++)
        any = any || s->columns[k].varies;
    return any;
}

/* Numbers of a row, of columns that always have as many. */
static lstm_status count_numbers(const slot *s, size_t *numbers)
{
    *numbers = 0;
    for (size_t k = 0; k < s->count; k++) {
        const lstm__arrow_type *type = &s->columns[k];
        size_t own = 0;
        if (!lstm__mul(type->item, type->levels > 0 ? type->sizes[0] : 1, &own) ||
            !lstm__add(*numbers, own, numbers))
            return fail_slot(s, "too many numbers");
    }
    return LSTM_OK;
}

/* Whether every column is a list, whose items together are the features of a step. */
static bool are_steps(const slot *s)
{
    size_t features = 0;
    for (size_t k = 0; k < s->count; k++)
        if (s->columns[k].levels == 0 || !lstm__add(features, s->columns[k].item, &features))
            return false;
    return features == s->features;
}

/* Decide on the form; a free slot whose lists are of a fixed size gets its steps. s->steps is 0 for a
 * vector. */
static lstm_status choose_form(slot *s)
{
    char found[96];
    size_t numbers = 0;
    const bool vector = s->steps == 0 && !s->free;
    if (!vector && are_steps(s)) {
        s->form = LISTS;
        for (size_t k = 0; k < s->count; k++) {
            const size_t size = s->columns[k].sizes[0];
            if (s->columns[k].varies)
                continue;
            if (s->free && s->steps == 0)
                s->steps = size;
            if (size == s->steps)
                continue;
            snprintf(found, sizeof found, "lists of %zu items", size);
            return fail_slot(s, found);
        }
        return LSTM_OK;
    }
    if (varies(s))
        return fail_slot(s, vector ? "lists of any length"
                                   : "lists of any length whose items are not the features");
    RETURN_IF_ERROR(count_numbers(s, &numbers));
    s->form = VALUES;
    if (s->free && numbers > 0 && numbers % s->features == 0)
        s->steps = numbers / s->features;
    size_t wanted = 0;
    if (!lstm__mul(vector ? 1 : s->steps, s->features, &wanted) || numbers != wanted) {
        snprintf(found, sizeof found, "%zu number(s) in a row", numbers);
        return fail_slot(s, found);
    }
    s->steps = vector ? 1 : s->steps;
    return LSTM_OK;
}

static lstm_status open_slot(const lstm_arrow *arrow, slot *s, const char *what,
                             const lstm_layer *layer, lstm__shape shape,
                             const lstm_arrow_columns *columns)
{
    *s = (slot){.what = what,
                .name = layer->node->name,
                .free = (shape.steps < 0),
                .steps = (shape.steps > 0) ? (size_t)shape.steps : 0,
                .features = (size_t)shape.features};
    if (columns->count == 0 || !columns->names)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s \"%s\" has no columns", what, s->name);
    s->columns = lstm__allocate_array(arrow->context, columns->count, sizeof *s->columns);
    if (!s->columns)
        return lstm__fail_memory(columns->count * sizeof *s->columns, "the columns of Arrow data");
    for (; s->count < columns->count; s->count++) {
        if (!columns->names[s->count])
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s \"%s\": the name of column %zu is NULL",
                              what, s->name, s->count);
        RETURN_IF_ERROR(
            lstm__arrow_type_read(&s->columns[s->count], &arrow->schema, columns->names[s->count]));
    }
    return choose_form(s);
}

static lstm_status open_slots(lstm_arrow *arrow, const lstm_model *model,
                              const lstm_arrow_options *o, const lstm__loss *loss)
{
    bool said = false;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        slot *s = &arrow->slots[arrow->slot_count];
        const lstm_arrow_columns *columns = &o->inputs[arrow->slot_count++];
        RETURN_IF_ERROR(open_slot(arrow, s, "input", &node->ports[0], node->shapes[0], columns));
        s->says_lengths = !said && node->shapes[0].steps != 0;
        said = said || s->says_lengths;
    }
    for (size_t k = 0; k < o->target_count; k++) {
        const lstm_layer *layer = model->outputs[k];
        slot *s = &arrow->slots[arrow->slot_count++];
        lstm__shape shape = layer->node->shapes[layer->port];
        shape.features = (int64_t)lstm__loss_target_features(loss, (size_t)shape.features);
        RETURN_IF_ERROR(open_slot(arrow, s, "the target of output", layer, shape, &o->targets[k]));
        s->target = true;
    }
    return LSTM_OK;
}

/* A column that is no slot. */
static lstm_status open_column(const lstm_arrow *arrow, lstm__arrow_type *type, const char *option,
                               const char *name, bool list, bool whole)
{
    if (!name)
        return LSTM_OK;
    lstm__arrow_type read;
    RETURN_IF_ERROR(lstm__arrow_type_read(&read, &arrow->schema, name));
    if (read.levels != (list ? 1 : 0) || (whole && !lstm__arrow_is_whole(&read)))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "column \"%s\": \"%s\" takes a column of %s%s",
                          name, option, list ? "lists of " : "", whole ? "integers" : "numbers");
    *type = read;
    return LSTM_OK;
}

/* ---- Opening: the rows */

/* Call `look` with every column. */
static lstm_status each_column(const lstm_arrow *arrow, const struct ArrowArray *batch,
                               size_t first,
                               lstm_status (*look)(const lstm_arrow *arrow,
                                                   const lstm__arrow_type *type, bool strict,
                                                   const struct ArrowArray *batch, size_t first))
{
    const lstm__arrow_type *others[] = {&arrow->length_column, &arrow->weight_column,
                                        &arrow->label_column};
    for (size_t k = 0; k < arrow->slot_count; k++)
        for (size_t i = 0; i < arrow->slots[k].count; i++)
            RETURN_IF_ERROR(look(arrow, &arrow->slots[k].columns[i], false, batch, first));
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (others[k]->name)
            RETURN_IF_ERROR(look(arrow, others[k], true, batch, first));
    return LSTM_OK;
}

static lstm_status check_column(const lstm_arrow *arrow, const lstm__arrow_type *type, bool strict,
                                const struct ArrowArray *batch, size_t first)
{
    size_t row = 0;
    RETURN_IF_ERROR(lstm__arrow_check(type, batch));
    if ((strict || !arrow->nulls) && lstm__arrow_find_null(type, batch, &row))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "column \"%s\": row %zu is null, or a part of it%s",
                          type->name, first + row,
                          strict ? "" : "; LSTM_NULLS_NAN would make it NaN");
    return LSTM_OK;
}

static lstm_status check_batches(lstm_arrow *arrow)
{
    arrow->firsts[0] = 0;
    for (size_t k = 0; k < arrow->batch_count; k++) {
        const struct ArrowArray *batch = &arrow->batches[k];
        RETURN_IF_ERROR(lstm__arrow_check_batch(&arrow->schema, batch, k));
        if (!lstm__add(arrow->firsts[k], (size_t)batch->length, &arrow->firsts[k + 1]) ||
            arrow->firsts[k + 1] > (size_t)INT64_MAX)
            return lstm__fail(LSTM_ERROR_FORMAT, "the record batches have too many rows");
        const lstm_status status = each_column(arrow, batch, arrow->firsts[k], check_column);
        if (status != LSTM_OK)
            return lstm__prefix_error(status, "record batch %zu", k);
    }
    arrow->source.samples = (int64_t)arrow->firsts[arrow->batch_count];
    return arrow->source.samples > 0
               ? LSTM_OK
               : lstm__fail(LSTM_ERROR_SHAPE, "the record batches have no rows");
}

/* The number of steps of a slot's row: its lists must agree. */
static lstm_status count_steps(const slot *s, const struct ArrowArray *batch, size_t row,
                               size_t sample, size_t *steps)
{
    *steps = s->steps;
    for (size_t k = 0; s->form == LISTS && k < s->count; k++) {
        const size_t items = lstm__arrow_items(&s->columns[k], batch, row);
        if (k > 0 && items != *steps)
            return lstm__fail(
                LSTM_ERROR_SHAPE,
                "row %zu: column \"%s\" has %zu items, \"%s\" has %zu: they are steps "
                "of one sequence",
                sample, s->columns[k].name, items, s->columns[0].name, *steps);
        *steps = items;
    }
    return LSTM_OK;
}

/* Free steps: those of the longest row. */
static lstm_status find_steps(lstm_arrow *arrow)
{
    for (size_t i = 0; i < arrow->input_count; i++) {
        slot *s = &arrow->slots[i];
        size_t most = s->steps;
        if (!s->free)
            continue;
        for (size_t k = 0; s->steps == 0 && k < arrow->batch_count; k++)
            for (size_t row = 0; row < (size_t)arrow->batches[k].length; row++) {
                size_t steps = 0;
                RETURN_IF_ERROR(
                    count_steps(s, &arrow->batches[k], row, arrow->firsts[k] + row, &steps));
                most = steps > most ? steps : most;
            }
        if (most == 0 || most > INT32_MAX)
            return fail_slot(s, most == 0 ? "no row has a step" : "too many steps");
        if (arrow->source.steps > 0 && (size_t)arrow->source.steps != most)
            return lstm__fail(
                LSTM_ERROR_SHAPE,
                "input \"%s\" has %zu steps, an input before it %lld: inputs with any "
                "number of steps share one",
                s->name, most, (long long)arrow->source.steps);
        arrow->source.steps = (int64_t)most;
        s->steps = most;
    }
    for (size_t i = arrow->input_count; i < arrow->slot_count; i++) {
        slot *s = &arrow->slots[i];
        if (s->free && s->steps > 0 && s->steps != (size_t)arrow->source.steps)
            return fail_slot(s, "another number of steps than the inputs");
        s->steps = s->free ? (size_t)arrow->source.steps : s->steps;
    }
    return LSTM_OK;
}

/* The length of a sample as its length column or the lists of the first sequence say it. */
static lstm_status find_length(const lstm_arrow *arrow, const slot *s,
                               const struct ArrowArray *batch, size_t row, size_t sample)
{
    double length = 0;
    if (arrow->length_column.name) {
        length = lstm__arrow_number(&arrow->length_column, batch, row, 0);
    } else {
        size_t steps = 0;
        RETURN_IF_ERROR(count_steps(s, batch, row, sample, &steps));
        length = (double)steps;
    }
    if (!(length >= 0 && length <= (double)s->steps))
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "column \"%s\": row %zu has %.0f steps: expected 0 to %zu of input \"%s\"",
            arrow->length_column.name ? arrow->length_column.name : s->columns[0].name, sample,
            length, s->steps, s->name);
    arrow->lengths[sample] = (int32_t)length;
    return LSTM_OK;
}

/* Lists of any length in other slots: an input must have all steps, as a source has lengths of the
 * first sequence only; a target all, or those of its sample. */
static lstm_status check_steps(const lstm_arrow *arrow, const slot *s,
                               const struct ArrowArray *batch, size_t row, size_t sample)
{
    size_t steps = 0;
    RETURN_IF_ERROR(count_steps(s, batch, row, sample, &steps));
    const size_t length = s->target && arrow->lengths ? (size_t)arrow->lengths[sample] : s->steps;
    if (steps == s->steps || (steps == length && steps < s->steps))
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_SHAPE, "column \"%s\": row %zu has %zu items: expected %zu steps",
                      s->columns[0].name, sample, steps, length);
}

static lstm_status check_labels(lstm_arrow *arrow, const struct ArrowArray *batch, size_t row,
                                size_t sample)
{
    const lstm__arrow_type *type = &arrow->label_column;
    const size_t count = lstm__arrow_items(type, batch, row);
    for (size_t k = 0; k < count; k++) {
        const double label = lstm__arrow_number(type, batch, row, k);
        if (label < INT32_MIN || label > INT32_MAX)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "column \"%s\": row %zu: label %zu is %.0f",
                              type->name, sample, k, label);
    }
    if (count > INT32_MAX)
        return lstm__fail(LSTM_ERROR_SHAPE, "column \"%s\": row %zu has %zu labels", type->name,
                          sample, count);
    if ((int64_t)count > arrow->source.label_steps)
        arrow->source.label_steps = (int64_t)count;
    return LSTM_OK;
}

static lstm_status check_rows(lstm_arrow *arrow)
{
    const slot *said = NULL;
    for (size_t i = 0; i < arrow->input_count; i++)
        if (arrow->slots[i].says_lengths)
            said = &arrow->slots[i];
    const bool lists = said && varies(said);
    if (arrow->length_column.name && (!said || lists))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "a column of lengths is named, but %s",
                          lists ? "the first sequence's lists have their own"
                                : "no input of the model is a sequence");
    if (lists || arrow->length_column.name) {
        arrow->lengths = lstm__allocate_array(arrow->context, (size_t)arrow->source.samples,
                                              sizeof *arrow->lengths);
        if (!arrow->lengths)
            return lstm__fail_memory((size_t)arrow->source.samples * sizeof *arrow->lengths,
                                     "the lengths of Arrow data");
        arrow->source.lengths = arrow->lengths;
    }
    for (size_t k = 0; k < arrow->batch_count; k++)
        for (size_t row = 0; row < (size_t)arrow->batches[k].length; row++) {
            const struct ArrowArray *batch = &arrow->batches[k];
            const size_t sample = arrow->firsts[k] + row;
            if (arrow->lengths)
                RETURN_IF_ERROR(find_length(arrow, said, batch, row, sample));
            for (size_t i = 0; i < arrow->slot_count; i++)
                if (varies(&arrow->slots[i]) && &arrow->slots[i] != said)
                    RETURN_IF_ERROR(check_steps(arrow, &arrow->slots[i], batch, row, sample));
            if (arrow->label_column.name)
                RETURN_IF_ERROR(check_labels(arrow, batch, row, sample));
        }
    return LSTM_OK;
}

/* ---- Opening */

static lstm_status check_counts(const lstm_model *model, const lstm_arrow_options *o, bool labels)
{
    size_t inputs = 0;
    for (size_t k = 0; k < model->node_count; k++)
        inputs += model->nodes[k]->class == &lstm__class_input;
    if (o->input_count != inputs || !o->inputs)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "columns of %zu input(s): the model has %zu",
                          o->inputs ? o->input_count : 0, inputs);
    if (o->target_count > 0 && (o->target_count != model->output_count || !o->targets))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "columns of %zu target(s): the model has %zu",
                          o->targets ? o->target_count : 0, model->output_count);
    if (labels ? o->target_count > 0 : o->labels != NULL)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          labels ? "targets are named, but the loss is CTC: name labels"
                                 : "labels are named, but the loss is not CTC");
    return LSTM_OK;
}

static lstm_status fill(lstm_arrow *arrow, lstm_model *model, const lstm_arrow_options *o,
                        const lstm__loss *loss)
{
    RETURN_IF_ERROR(lstm__arrow_check_schema(&arrow->schema));
    RETURN_IF_ERROR(open_slots(arrow, model, o, loss));
    RETURN_IF_ERROR(open_column(arrow, &arrow->length_column, "lengths", o->lengths, false, true));
    RETURN_IF_ERROR(open_column(arrow, &arrow->weight_column, "weights", o->weights, false, false));
    RETURN_IF_ERROR(open_column(arrow, &arrow->label_column, "labels", o->labels, true, true));
    RETURN_IF_ERROR(check_batches(arrow));
    RETURN_IF_ERROR(find_steps(arrow));
    return check_rows(arrow);
}

/* Open copies of the structs, which are not yet moved. */
static lstm_status open_copies(lstm_arrow **out, lstm_model *model,
                               const lstm_arrow_options *options, const struct ArrowSchema *schema,
                               const struct ArrowArray *batches, size_t count)
{
    lstm_status status = LSTM_OK;
    lstm_arrow_options o;
    lstm__loss loss;
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_arrow_options"));
    if (o.nulls < 0 || o.nulls > LSTM_NULLS_NAN)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "nulls is %d: expected LSTM_NULLS_REFUSE or _NAN",
                          (int)o.nulls);
    RETURN_IF_ERROR(lstm__loss_read(&loss, o.loss));
    RETURN_IF_ERROR(lstm__loss_check_outputs(model, &loss));
    RETURN_IF_ERROR(check_counts(model, &o, lstm__loss_takes_labels(&loss)));
    lstm_arrow *arrow = lstm__allocate_zeroed(model->context, sizeof *arrow);
    if (!arrow)
        return lstm__fail_memory(sizeof *arrow, "Arrow data");
    arrow->context = lstm__context_acquire(model->context);
    arrow->schema = *schema;
    arrow->batch_count = count;
    arrow->input_count = o.input_count;
    arrow->nulls = o.nulls == LSTM_NULLS_NAN;
    arrow->source = (lstm_source){.struct_size = sizeof arrow->source,
                                  .prefetch = LSTM_YES,
                                  .read = read_rows,
                                  .user = arrow};
    const size_t slots = o.input_count + o.target_count;
    arrow->batches = lstm__allocate_array(arrow->context, count, sizeof *batches);
    arrow->firsts = count < SIZE_MAX
                        ? lstm__allocate_array(arrow->context, count + 1, sizeof *arrow->firsts)
                        : NULL;
    arrow->slots = lstm__allocate_zeroed(arrow->context, slots * sizeof *arrow->slots);
    arrow->pointers = lstm__allocate_zeroed(arrow->context, slots * sizeof *arrow->pointers);
    arrow->sizes = lstm__allocate_zeroed(arrow->context, slots * sizeof *arrow->sizes);
    if (!arrow->batches || !arrow->firsts || !arrow->slots || !arrow->pointers || !arrow->sizes)
        FAIL(LSTM_ERROR_MEMORY, "no memory for %zu record batches", count);
    memcpy(arrow->batches, batches, count * sizeof *batches);
    TRY(fill(arrow, model, &o, &loss));
    *out = arrow;
out:
    if (status != LSTM_OK)
        lstm_arrow_close(arrow);
    return status;
}

lstm_status lstm_arrow_open(lstm_arrow **out, lstm_model *model, const lstm_arrow_options *options,
                            struct ArrowSchema *schema, struct ArrowArray *batches, size_t count)
{
    NEED(out);
    *out = NULL;
    NEED(model);
    NEED_BUILT(model);
    NEED(options);
    NEED(schema);
    NEED(batches);
    if (count == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "no record batches are given");
    RETURN_IF_ERROR(open_copies(out, model, options, schema, batches, count));
    (*out)->owned = true;
    schema->release = NULL;
    for (size_t k = 0; k < count; k++)
        batches[k].release = NULL;
    return LSTM_OK;
}

/* ---- Streams */

static lstm_status fail_stream(struct ArrowArrayStream *stream, const char *call, int code)
{
    const char *why = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    return lstm__fail(LSTM_ERROR_IO, "the Arrow stream's %s answers %d: %.300s", call, code,
                      why ? why : strerror(code));
}

/* All batches that are left. */
static lstm_status read_stream(lstm_context *context, struct ArrowArrayStream *stream,
                               struct ArrowArray **batches, size_t *count)
{
    size_t capacity = 0;
    for (;;) {
        RETURN_IF_ERROR(
            lstm__grow(context, (void **)batches, &capacity, *count + 1, sizeof **batches));
        struct ArrowArray *next = &(*batches)[*count];
        *next = (struct ArrowArray){0};
        const int code = stream->get_next(stream, next);
        if (code != 0)
            return fail_stream(stream, "get_next", code);
        if (!next->release)
            return LSTM_OK;
        (*count)++;
    }
}

lstm_status lstm_arrow_open_stream(lstm_arrow **out, lstm_model *model,
                                   const lstm_arrow_options *options,
                                   struct ArrowArrayStream *stream)
{
    lstm_status status = LSTM_OK;
    struct ArrowSchema schema = {0};
    struct ArrowArray *batches = NULL;
    size_t count = 0;
    NEED(stream);
    if (!stream->release)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the Arrow stream has been released");
    if (!out || !model || !options || !model->built) {
        stream->release(stream);
        NEED(out);
        *out = NULL;
        NEED(model);
        NEED_BUILT(model);
        NEED(options);
    }
    *out = NULL;
    const int code = stream->get_schema(stream, &schema);
    if (code != 0) {
        status = fail_stream(stream, "get_schema", code);
        schema.release = NULL;
        goto out;
    }
    TRY(read_stream(model->context, stream, &batches, &count));
    if (count == 0)
        FAIL(LSTM_ERROR_SHAPE, "the Arrow stream has no record batches");
    TRY(open_copies(out, model, options, &schema, batches, count));
    (*out)->owned = true;
out:
    for (size_t k = 0; status != LSTM_OK && k < count; k++)
        batches[k].release(&batches[k]);
    if (status != LSTM_OK && schema.release)
        schema.release(&schema);
    lstm__release(model->context, batches);
    if (stream->release)
        stream->release(stream);
    return status;
}

/* ---- Life */

void lstm_arrow_close(lstm_arrow *arrow)
{
    if (!arrow)
        return;
    lstm_context *context = arrow->context;
    for (size_t k = 0; arrow->owned && k < arrow->batch_count; k++)
        arrow->batches[k].release(&arrow->batches[k]);
    if (arrow->owned)
        arrow->schema.release(&arrow->schema);
    for (size_t k = 0; arrow->slots && k < arrow->slot_count; k++) {
        lstm__release(context, arrow->slots[k].columns);
        lstm__release(context, arrow->slots[k].copy);
    }
    lstm__release(context, arrow->batches);
    lstm__release(context, arrow->firsts);
    lstm__release(context, arrow->slots);
    lstm__release(context, arrow->pointers);
    lstm__release(context, arrow->sizes);
    lstm__release(context, arrow->lengths);
    lstm__release(context, arrow->weights);
    lstm__release(context, arrow->labels);
    lstm__release(context, arrow);
    lstm__context_release(context);
}

const lstm_source *lstm_arrow_source(const lstm_arrow *arrow)
{
    return arrow ? &arrow->source : NULL;
}

/* ---- As arrays */

static lstm_status allocate_values(const lstm_arrow *arrow, void *array, size_t each, size_t size)
{
    size_t count = 0;
    void *memory = NULL;
    if (lstm__mul((size_t)arrow->source.samples, each, &count))
        memory = lstm__allocate_array(arrow->context, count > 0 ? count : 1, size);
    if (!memory)
        return lstm__fail_memory(count * size, "arrays of Arrow data");
    memcpy(array, &memory, sizeof memory);
    return LSTM_OK;
}

/* The array of a slot: where it lies, or a copy. */
static lstm_status take_slot(lstm_arrow *arrow, size_t index)
{
    slot *s = &arrow->slots[index];
    const size_t size = s->steps * s->features;
    if (arrow->pointers[index])
        return LSTM_OK;
    if (arrow->batch_count == 1 && s->count == 1)
        arrow->pointers[index] = lstm__arrow_floats(&s->columns[0], &arrow->batches[0]);
    arrow->sizes[index] = (size_t)arrow->source.samples * size;
    if (arrow->pointers[index])
        return LSTM_OK;
    RETURN_IF_ERROR(allocate_values(arrow, &s->copy, size, sizeof *s->copy));
    for (size_t k = 0; k < arrow->batch_count; k++)
        for (size_t row = 0; row < (size_t)arrow->batches[k].length; row++)
            read_slot(arrow, s, &arrow->batches[k], row, s->copy + (arrow->firsts[k] + row) * size);
    arrow->pointers[index] = s->copy;
    return LSTM_OK;
}

static lstm_status take_others(lstm_arrow *arrow)
{
    const size_t most = (size_t)arrow->source.label_steps;
    const bool weights = arrow->weight_column.name && !arrow->weights;
    const bool labels = arrow->label_column.name && !arrow->labels;
    if (weights)
        RETURN_IF_ERROR(allocate_values(arrow, &arrow->weights, 1, sizeof *arrow->weights));
    if (labels)
        RETURN_IF_ERROR(allocate_values(arrow, &arrow->labels, most, sizeof *arrow->labels));
    for (size_t k = 0; (weights || labels) && k < arrow->batch_count; k++)
        for (size_t row = 0; row < (size_t)arrow->batches[k].length; row++) {
            const struct ArrowArray *batch = &arrow->batches[k];
            const size_t sample = arrow->firsts[k] + row;
            if (weights)
                arrow->weights[sample] = (float)lstm__arrow_number(&arrow->weight_column, batch,
                                                                   row, 0);
            if (labels)
                read_labels(arrow, batch, row, arrow->labels + sample * most);
        }
    return LSTM_OK;
}

lstm_status lstm_arrow_data(lstm_arrow *arrow, lstm_data *data)
{
    NEED(arrow);
    NEED(data);
    for (size_t k = 0; k < arrow->slot_count; k++)
        RETURN_IF_ERROR(take_slot(arrow, k));
    RETURN_IF_ERROR(take_others(arrow));
    const size_t samples = (size_t)arrow->source.samples;
    const size_t targets = arrow->slot_count - arrow->input_count;
    const lstm_data own = {
        .struct_size = sizeof own,
        .layout = LSTM_LAYOUT_BATCH_FIRST,
        .samples = arrow->source.samples,
        .inputs = arrow->pointers,
        .input_sizes = arrow->sizes,
        .input_count = arrow->input_count,
        .targets = targets > 0 ? arrow->pointers + arrow->input_count : NULL,
        .target_sizes = targets > 0 ? arrow->sizes + arrow->input_count : NULL,
        .target_count = targets,
        .sample_weights = arrow->weights,
        .sample_weight_count = arrow->weights ? samples : 0,
        .lengths = arrow->lengths,
        .lengths_count = arrow->lengths ? samples : 0,
        .labels = arrow->labels,
        .labels_count = arrow->labels ? samples * (size_t)arrow->source.label_steps : 0,
    };
    return lstm__write_info(data, &own, sizeof own, "lstm_data");
}
