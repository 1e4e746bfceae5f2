/* SPDX-License-Identifier: MIT
 * Checkpoints. Text "lstm.checkpoint": a JSON object with the model's description, the optimizer's
 * settings and what must be the same to go on; tensors: the parameter block, moments and best
 * weights as they lie in memory, the history, and the position as integers and doubles. Everything
 * is checked before anything is changed.
 *
 * What later versions of the library added stands in tensors and keys of its own, written only when
 * it is in use: averages ("average"), accumulated gradients ("accumulated"), the optimizer's numbers
 * ("optimizer_state"), the sum of the epoch's gradient norms ("gradient_norm"), the memory of L-BFGS
 * ("lbfgs.*"), and inside an epoch the states that recurrent layers carry ("carried",
 * "carried_batches"). So a file without them is read as before, and a file with them is refused
 * where they are not wanted. Scalers ("scaler.*") and notes (key "notes") are there for who opens the
 * checkpoint as a model; going on does not look at them.
 */
#include "checkpoint_file.h"
#include "constants.h"
#include "lbfgs.h"
#include "model_extras.h"
#include "model_json.h"
#include "sealed_file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {"lstm.checkpoint", NULL};
static const char *const moment_names[LSTM__MOMENTS] = {"moment.0", "moment.1", "moment.2"};

enum {
    INTEGERS = 8,
    DOUBLES = 3 + 2 * LSTM__METRICS,
    STATE = sizeof(lstm__optimizer_state) / sizeof(double)
};

enum { LBFGS_NUMBERS = sizeof(lstm__lbfgs_numbers) / sizeof(double) };

/* ---- The text: what must agree */

static json_t *list_metrics(const lstm__training *training)
{
    json_t *list = json_array();
    for (size_t k = 0; list && k < training->metric_count; k++)
        if (json_array_append_new(list, json_string(lstm__constant_name(
                                            LSTM_NAMES_METRIC, training->metrics[k]))) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *describe_training(const lstm__training *training)
{
    const lstm__loss *loss = &training->loss;
    return json_pack("{s:I, s:I, s:b, s:I, s:s, s:b, s:f, s:o, s:I}", "samples",
                     (json_int_t)training->samples, "batch size", (json_int_t)training->batch_size,
                     "shuffle", training->shuffle, "seed", (json_int_t)(training->seed & INT64_MAX),
                     "loss", lstm__constant_name(LSTM_NAMES_LOSS, loss->kind), "from_logits",
                     loss->from_logits, "huber_delta", loss->delta, "metrics",
                     list_metrics(training), "validation samples",
                     (json_int_t)training->validation.count);
}

/* What later versions added to losses: keys that are there only when they are in use. */
static int describe_loss_extras(json_t *run, const lstm__training *training)
{
    const lstm__loss *loss = &training->loss;
    const bool focal = loss->kind == LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY ||
                       loss->kind == LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY;
    int failed = 0;
    if (loss->reduction > LSTM_REDUCTION_MEAN)
        failed |= json_object_set_new(
            run, "reduction",
            json_string(lstm__constant_name(LSTM_NAMES_REDUCTION, loss->reduction)));
    if (loss->smoothing > 0)
        failed |= json_object_set_new(run, "label_smoothing", json_real(loss->smoothing));
    if (focal)
        failed |= json_object_set_new(
            run, "focal", json_pack("[f, f, b]", loss->gamma, loss->alpha, loss->balanced));
    if (training->weight_noise > 0)
        failed |= json_object_set_new(run, "weight noise", json_real(training->weight_noise));
    if (loss->kind == LSTM_LOSS_CTC)
        failed |= json_object_set_new(
            run, "ctc",
            json_pack("[i, b, b]", (int)loss->blank, loss->zero_infinity, loss->log_probabilities));
    if (training->data.weights)
        failed |= json_object_set_new(run, "sample weights", json_true());
    if (training->data.class_weights)
        failed |= json_object_set_new(run, "class weights", json_true());
    if (training->pieces.count > 0)
        failed |= json_object_set_new(run, "tbptt",
                                      json_pack("[I, I, I]", (json_int_t)training->pieces.k1,
                                                (json_int_t)training->pieces.k2,
                                                (json_int_t)training->pieces.steps));
    if (loss->kind != LSTM_LOSS_QUANTILE)
        return failed;
    json_t *list = json_array();
    for (size_t k = 0; k < loss->quantile_count; k++)
        failed |= json_array_append_new(list, json_real((double)loss->quantiles[k]));
    return failed | json_object_set_new(run, "quantiles", list);
}

/* The same for optimizers. */
static int describe_extras(json_t *text, const lstm_optimizer *optimizer)
{
    const lstm_optimizer_options *o = &optimizer->options;
    const int32_t schedule = optimizer->schedule.schedule;
    int failed = 0;
    if (o->accumulation_steps > 1)
        failed |= json_object_set_new(text, "accumulation", json_integer(o->accumulation_steps));
    if (o->gradient_noise > 0)
        failed |= json_object_set_new(text, "gradient noise",
                                      json_pack("[f, f, I]", o->gradient_noise,
                                                o->gradient_noise_decay,
                                                (json_int_t)(o->gradient_noise_seed & INT64_MAX)));
    if (o->use_ema == LSTM_YES)
        failed |= json_object_set_new(text, "averages", json_true());
    if (schedule != LSTM_SCHEDULE_CONSTANT)
        failed |= json_object_set_new(
            text, "schedule", json_string(lstm__constant_name(LSTM_NAMES_SCHEDULE, schedule)));
    if (optimizer->lbfgs)
        failed |= json_object_set_new(text, "history", json_integer(o->history_size));
    if (o->strong_wolfe == LSTM_YES)
        failed |= json_object_set_new(text, "line search", json_string("strong_wolfe"));
    return failed;
}

static json_t *describe(const lstm_model *model, const lstm_optimizer *optimizer,
                        const lstm__training *training)
{
    char *description = NULL;
    if (lstm__model_to_json(model, &description) != LSTM_OK)
        return NULL;
    const lstm_optimizer_options *o = &optimizer->options;
    json_t *text = json_pack("{s:s, s:s, s:s, s:b, s:b}", "model", description, "optimizer",
                             lstm__constant_name(LSTM_NAMES_OPTIMIZER, o->optimizer), "formula",
                             lstm__constant_name(LSTM_NAMES_PROFILE, o->profile), "amsgrad",
                             o->amsgrad == LSTM_YES, "centered", o->centered == LSTM_YES);
    lstm__release(model->context, description);
    if (!text || describe_extras(text, optimizer) != 0) {
        json_decref(text);
        return NULL;
    }
    if (training) {
        json_t *run = describe_training(training);
        if (run && describe_loss_extras(run, training) != 0) {
            json_decref(run);
            run = NULL;
        }
        if (!run || json_object_set_new(text, "training", run) != 0) {
            json_decref(text);
            return NULL;
        }
    }
    return text;
}

static lstm_status differs(const char *path, const char *what, const json_t *stored,
                           const json_t *own)
{
    char *a = json_dumps(stored, JSON_ENCODE_ANY | JSON_COMPACT);
    char *b = json_dumps(own, JSON_ENCODE_ANY | JSON_COMPACT);
    const lstm_status status = lstm__fail(
        LSTM_ERROR_FORMAT, "%s: the checkpoint was made with another %s: %.200s, here %.200s", path,
        what, a ? a : "nothing", b ? b : "nothing");
    free(a);
    free(b);
    return status;
}

static lstm_status compare_layers(const char *path, const char *stored_text, const char *own_text)
{
    lstm_status status = LSTM_OK;
    json_error_t error;
    json_t *stored = json_loads(stored_text, 0, &error);
    json_t *own = json_loads(own_text, 0, &error);
    const json_t *a = json_object_get(stored, "layers");
    const json_t *b = json_object_get(own, "layers");
    if (json_array_size(a) != json_array_size(b))
        FAIL(LSTM_ERROR_FORMAT, "%s: the checkpoint's model has %zu layers, this one %zu", path,
             json_array_size(a), json_array_size(b));
    for (size_t k = 0; k < json_array_size(a); k++)
        if (!json_equal(json_array_get(a, k), json_array_get(b, k)))
            TRY(differs(path, "layer", json_array_get(a, k), json_array_get(b, k)));
    if (!json_equal(json_object_get(stored, "outputs"), json_object_get(own, "outputs")))
        TRY(differs(path, "list of outputs", json_object_get(stored, "outputs"),
                    json_object_get(own, "outputs")));
out:
    json_decref(stored);
    json_decref(own);
    return status;
}

/* Compare key by key and name the first that differs. */
static lstm_status compare(const char *path, const json_t *stored, const json_t *own)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)own, key, value)
    {
        const json_t *other = json_object_get(stored, key);
        if (json_equal(other, value))
            continue;
        if (strcmp(key, "model") == 0 && json_is_string(other)) {
            RETURN_IF_ERROR(
                compare_layers(path, json_string_value(other), json_string_value(value)));
            continue; /* the seed of the initial weights may differ */
        }
        if (strcmp(key, "training") == 0 && json_is_object(other))
            RETURN_IF_ERROR(compare(path, other, value));
        else
            return differs(path, key, other, value);
    }
    json_object_foreach((json_t *)stored, key,
                        value) if (!json_object_get(own, key) && strcmp(key, "training") != 0 &&
                                   strcmp(key, "notes") != 0) return differs(path, key, value,
                                                                             NULL);
    return LSTM_OK;
}

static lstm_status check_text(const lstm__safetensors *file, const lstm_model *model,
                              const lstm_optimizer *optimizer, const lstm__training *training)
{
    lstm_status status = LSTM_OK;
    json_error_t error;
    json_t *stored = json_loads(lstm__safetensors_metadata(file, texts[0]), JSON_REJECT_DUPLICATES,
                                &error);
    json_t *own = describe(model, optimizer, training);
    if (!own) {
        status = lstm__fail(LSTM_ERROR_MEMORY,
                            "no memory to compare the checkpoint with the model");
        goto out;
    }
    if (!json_is_object(stored))
        FAIL(LSTM_ERROR_FORMAT, "%s: the checkpoint's description is no JSON object",
             lstm__safetensors_path(file));
    TRY(compare(lstm__safetensors_path(file), stored, own));
out:
    json_decref(stored);
    json_decref(own);
    return status;
}

/* ---- Writing */

static lstm_status seal_block(lstm__seal *seal, const char *name, const real *values, size_t count)
{
    const int64_t shape[1] = {(int64_t)count};
    return values ? lstm__seal_tensor(seal, name, LSTM__F32, 1, shape, values) : LSTM_OK;
}

/* Whether an optimizer has numbers that a step changes. */
static bool has_state(const lstm_optimizer *optimizer)
{
    return optimizer->options.optimizer == LSTM_OPTIMIZER_NADAM ||
           optimizer->schedule.schedule == LSTM_SCHEDULE_PLATEAU;
}

static lstm_status seal_lbfgs(lstm__seal *seal, const lstm__lbfgs *l)
{
    const int64_t counts[2] = {LBFGS_NUMBERS, (int64_t)l->history};
    const int64_t shape[2] = {(int64_t)(LSTM__LBFGS_FIXED + 2 * l->history), (int64_t)l->count};
    RETURN_IF_ERROR(
        lstm__seal_tensor(seal, "lbfgs.numbers", LSTM__F64, 1, &counts[0], &l->numbers));
    RETURN_IF_ERROR(
        lstm__seal_tensor(seal, "lbfgs.products", LSTM__F64, 1, &counts[1], l->products));
    return lstm__seal_tensor(seal, "lbfgs.vectors", LSTM__F32, 2, shape, l->vectors);
}

static lstm_status seal_common(lstm__seal *seal, const lstm_model *model,
                               const lstm_optimizer *optimizer, const lstm__training *training)
{
    char *notes = NULL;
    RETURN_IF_ERROR(lstm__notes_to_text(model, &notes));
    json_t *description = describe(model, optimizer, training);
    if (description && model->note_count > 0 &&
        json_object_set_new(description, "notes", json_string(notes)) != 0) {
        json_decref(description);
        description = NULL;
    }
    free(notes);
    char *text = description ? json_dumps(description, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(description);
    if (!text)
        return lstm__fail(LSTM_ERROR_MEMORY, "no memory for the checkpoint's description");
    const lstm_status status = lstm__seal_text(seal, texts[0], text);
    free(text);
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(lstm__scalers_seal(seal, model));
    RETURN_IF_ERROR(seal_block(seal, "values", model->values, model->value_count));
    for (int k = 0; k < LSTM__MOMENTS; k++)
        RETURN_IF_ERROR(
            seal_block(seal, moment_names[k], optimizer->moments[k], model->value_count));
    RETURN_IF_ERROR(seal_block(seal, "average", optimizer->average, model->value_count));
    RETURN_IF_ERROR(seal_block(seal, "accumulated", optimizer->accumulated, model->value_count));
    if (has_state(optimizer)) {
        const int64_t shape[1] = {STATE};
        RETURN_IF_ERROR(
            lstm__seal_tensor(seal, "optimizer_state", LSTM__F64, 1, shape, &optimizer->state));
    }
    return optimizer->lbfgs ? seal_lbfgs(seal, optimizer->lbfgs) : LSTM_OK;
}

static lstm_status seal_states(lstm__seal *seal, const lstm__training *training)
{
    const lstm__states *states = &training->states;
    const int64_t counts[2] = {(int64_t)states->nodes, (int64_t)states->values};
    if (states->nodes == 0 || training->position.batch == 0)
        return LSTM_OK;
    RETURN_IF_ERROR(
        lstm__seal_tensor(seal, "carried_batches", LSTM__I64, 1, &counts[0], states->batches));
    return lstm__seal_tensor(seal, "carried", LSTM__F32, 1, &counts[1], states->numbers);
}

static void pack_position(const lstm__training *training, int64_t *integers, double *doubles)
{
    const lstm__position *p = &training->position;
    const int64_t numbers[INTEGERS] = {p->epoch,
                                       p->batch,
                                       p->step,
                                       p->best_epoch,
                                       p->waiting,
                                       p->stopped,
                                       training->optimizer->steps,
                                       (int64_t)training->history->best};
    memcpy(integers, numbers, sizeof numbers);
    doubles[0] = p->best;
    doubles[1] = p->sums.loss;
    doubles[2] = p->sums.loss_weight;
    memcpy(doubles + 3, p->sums.metric, sizeof p->sums.metric);
    memcpy(doubles + 3 + LSTM__METRICS, p->sums.metric_weight, sizeof p->sums.metric_weight);
}

lstm_status lstm__checkpoint_write(const char *path, const lstm__training *training)
{
    lstm_status status = LSTM_OK;
    lstm__seal seal = {NULL, 0};
    int64_t integers[INTEGERS];
    double doubles[DOUBLES];
    const lstm_history *history = training->history;
    const double rate = training->optimizer->options.learning_rate;
    const int64_t sizes[4] = {INTEGERS, DOUBLES, 1, 0};
    const int64_t table[2] = {(int64_t)history->epochs, (int64_t)history->columns};
    const int64_t pair = 2;
    const double norms[2] = {training->position.sums.norm, training->position.sums.norms};
    pack_position(training, integers, doubles);
    TRY(lstm__seal_start(&seal, training->model->context, "checkpoint"));
    TRY(seal_common(&seal, training->model, training->optimizer, training));
    TRY(seal_block(&seal, "best", training->best_values, training->model->value_count));
    TRY(seal_states(&seal, training));
    if (training->counts.classes > 0)
        TRY(lstm__seal_tensor(&seal, "class_counts", LSTM__F64, 1,
                              &(int64_t){3 * (int64_t)training->counts.classes},
                              training->counts.values));
    TRY(lstm__seal_tensor(&seal, "integers", LSTM__I64, 1, &sizes[0], integers));
    TRY(lstm__seal_tensor(&seal, "doubles", LSTM__F64, 1, &sizes[1], doubles));
    TRY(lstm__seal_tensor(&seal, "learning_rate", LSTM__F64, 1, &sizes[2], &rate));
    if (training->gradient_norms)
        TRY(lstm__seal_tensor(&seal, "gradient_norm", LSTM__F64, 1, &pair, norms));
    if (history->epochs > 0)
        TRY(lstm__seal_tensor(&seal, "history", LSTM__F64, 2, table, history->values));
    TRY(lstm__seal_write(&seal, path));
out:
    lstm__seal_destroy(&seal);
    return status;
}

lstm_status lstm__checkpoint_save(const char *path, const lstm_model *model,
                                  const lstm_optimizer *optimizer, int64_t position)
{
    lstm_status status = LSTM_OK;
    lstm__seal seal = {NULL, 0};
    const int64_t shapes[2] = {2, 1};
    const int64_t integers[2] = {position, optimizer->steps};
    TRY(lstm__seal_start(&seal, model->context, "checkpoint"));
    TRY(seal_common(&seal, model, optimizer, NULL));
    TRY(lstm__seal_tensor(&seal, "integers", LSTM__I64, 1, &shapes[0], integers));
    TRY(lstm__seal_tensor(&seal, "learning_rate", LSTM__F64, 1, &shapes[1],
                          &optimizer->options.learning_rate));
    TRY(lstm__seal_write(&seal, path));
out:
    lstm__seal_destroy(&seal);
    return status;
}

/* ---- Reading */

/* A tensor that must be there, or the file is not what it says. */
static lstm_status need_tensor(const lstm__safetensors *file, const char *name,
                               const lstm__tensor **t)
{
    *t = lstm__safetensors_find(file, name);
    return *t ? LSTM_OK
              : lstm__fail(LSTM_ERROR_FORMAT, "%s: there is no \"%s\" in the checkpoint",
                           lstm__safetensors_path(file), name);
}

/* Signed integers as they were written; lstm__tensor_integers reads only those that are not
 * negative. */
static lstm_status read_integers(const lstm__safetensors *file, int64_t *values, size_t count)
{
    const lstm__tensor *t = NULL;
    RETURN_IF_ERROR(need_tensor(file, "integers", &t));
    if (t->kind != LSTM__I64 || t->count != count)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the position has %zu numbers: expected %zu: a checkpoint of %s",
                          lstm__safetensors_path(file), t->count, count,
                          t->count == 2 ? "a manual loop" : "another kind of run");
    memcpy(values, t->bytes, count * sizeof *values);
    return LSTM_OK;
}

static lstm_status read_doubles(const lstm__safetensors *file, const char *name, double *values,
                                size_t count)
{
    const lstm__tensor *t = NULL;
    RETURN_IF_ERROR(need_tensor(file, name, &t));
    return lstm__tensor_doubles(t, values, count);
}

static lstm_status need_block(const lstm__safetensors *file, const char *name, size_t count,
                              const lstm__tensor **t)
{
    RETURN_IF_ERROR(need_tensor(file, name, t));
    if ((*t)->count != count || (*t)->kind != LSTM__F32)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: \"%s\" has %zu values: expected %zu",
                          lstm__safetensors_path(file), name, (*t)->count, count);
    return LSTM_OK;
}

/* Blocks in the file that belong to a model and its optimizer. */
typedef struct blocks {
    const lstm__tensor *values;
    const lstm__tensor *moments[LSTM__MOMENTS];
    /* NULL = not kept */
    const lstm__tensor *average, *accumulated, *lbfgs_vectors, *lbfgs_products;
    lstm__lbfgs_numbers lbfgs;
    lstm__optimizer_state state;
} blocks;

/* L-BFGS: sizes must be those of this optimizer, and the count of pairs within them. */
static lstm_status find_lbfgs(const lstm__safetensors *file, const lstm__lbfgs *l, blocks *found)
{
    double numbers[LBFGS_NUMBERS];
    RETURN_IF_ERROR(need_block(file, "lbfgs.vectors",
                               (LSTM__LBFGS_FIXED + 2 * l->history) * l->count,
                               &found->lbfgs_vectors));
    RETURN_IF_ERROR(lstm__safetensors_need(file, "lbfgs.products", &found->lbfgs_products));
    RETURN_IF_ERROR(read_doubles(file, "lbfgs.numbers", numbers, LBFGS_NUMBERS));
    memcpy(&found->lbfgs, numbers, sizeof found->lbfgs);
    const double stored = found->lbfgs.stored;
    if (found->lbfgs_products->kind != LSTM__F64 || found->lbfgs_products->count != l->history ||
        !(stored >= 0 && stored <= (double)l->history && stored == floor(stored)))
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: the memory of L-BFGS is not one of %zu pairs",
                          lstm__safetensors_path(file), l->history);
    return LSTM_OK;
}

static void copy_lbfgs(const blocks *found, lstm__lbfgs *l)
{
    l->numbers = found->lbfgs;
    memcpy(l->products, found->lbfgs_products->bytes, l->history * sizeof(double));
    memcpy(l->vectors, found->lbfgs_vectors->bytes,
           (LSTM__LBFGS_FIXED + 2 * l->history) * l->count * sizeof(float));
}

static lstm_status find_blocks(const lstm__safetensors *file, const lstm_model *model,
                               const lstm_optimizer *optimizer, blocks *found)
{
    *found = (blocks){.state = optimizer->state};
    RETURN_IF_ERROR(need_block(file, "values", model->value_count, &found->values));
    for (int k = 0; k < LSTM__MOMENTS; k++) {
        const bool stored = lstm__safetensors_find(file, moment_names[k]) != NULL;
        if (stored != (optimizer->moments[k] != NULL))
            return lstm__fail(
                LSTM_ERROR_FORMAT,
                "%s: %s optimizer keeps a moment that %s does not (momentum, amsgrad or "
                "centered differ)",
                lstm__safetensors_path(file), stored ? "the checkpoint's" : "this",
                stored ? "this one" : "the checkpoint's");
        if (stored)
            RETURN_IF_ERROR(
                need_block(file, moment_names[k], model->value_count, &found->moments[k]));
    }
    if (optimizer->average)
        RETURN_IF_ERROR(need_block(file, "average", model->value_count, &found->average));
    if (optimizer->accumulated)
        RETURN_IF_ERROR(need_block(file, "accumulated", model->value_count, &found->accumulated));
    if (has_state(optimizer)) {
        double state[STATE];
        RETURN_IF_ERROR(read_doubles(file, "optimizer_state", state, STATE));
        memcpy(&found->state, state, sizeof found->state);
    }
    return optimizer->lbfgs ? find_lbfgs(file, optimizer->lbfgs, found) : LSTM_OK;
}

static void copy_blocks(const blocks *found, lstm_model *model, lstm_optimizer *optimizer)
{
    memcpy(model->values, found->values->bytes, model->value_count * sizeof(float));
    lstm__graph_changed(model);
    for (int k = 0; k < LSTM__MOMENTS; k++)
        if (found->moments[k])
            memcpy(optimizer->moments[k], found->moments[k]->bytes,
                   model->value_count * sizeof(float));
    if (found->average)
        memcpy(optimizer->average, found->average->bytes, model->value_count * sizeof(float));
    if (found->accumulated)
        memcpy(optimizer->accumulated, found->accumulated->bytes,
               model->value_count * sizeof(float));
    if (optimizer->lbfgs)
        copy_lbfgs(found, optimizer->lbfgs);
    optimizer->state = found->state;
}

static lstm_status open_checked(lstm__safetensors **file, const char *path, const lstm_model *model,
                                const lstm_optimizer *optimizer, const lstm__training *training)
{
    RETURN_IF_ERROR(lstm__safetensors_open(file, model->context, path));
    RETURN_IF_ERROR(lstm__seal_check(*file, "checkpoint", texts));
    return check_text(*file, model, optimizer, training);
}

/* A checkpoint goes on with its own learning rate, which a run may have changed since it began. */
static void take_rate(const char *path, lstm_optimizer *optimizer, double rate)
{
    const double own = optimizer->options.learning_rate;
    if (rate != own)
        lstm__log(optimizer->model->context,
                  "%s: goes on with the checkpoint's learning rate, %g; %g is not used", path, rate,
                  own);
    optimizer->options.learning_rate = rate;
}

lstm_status lstm__checkpoint_load(const char *path, lstm_model *model, lstm_optimizer *optimizer,
                                  int64_t *position)
{
    lstm_status status = LSTM_OK;
    lstm__safetensors *file = NULL;
    blocks found;
    int64_t integers[2];
    double rate = 0;
    TRY(open_checked(&file, path, model, optimizer, NULL));
    TRY(find_blocks(file, model, optimizer, &found));
    TRY(read_integers(file, integers, 2));
    TRY(read_doubles(file, "learning_rate", &rate, 1));
    copy_blocks(&found, model, optimizer);
    optimizer->steps = integers[1];
    take_rate(path, optimizer, rate);
    if (position)
        *position = integers[0];
out:
    lstm__safetensors_close(file);
    return status;
}

static lstm_status read_history(const lstm__safetensors *file, lstm_history *history)
{
    lstm_status status = LSTM_OK;
    const lstm__tensor *t = lstm__safetensors_find(file, "history");
    if (!t)
        return LSTM_OK;
    if (t->rank != 2 || (size_t)t->shape[1] != history->columns)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: the checkpoint's history has other columns",
                          lstm__safetensors_path(file));
    double *values = lstm__allocate_array(history->context, t->count, sizeof *values);
    if (!values)
        return lstm__fail_memory(t->count * sizeof *values, "the history");
    TRY(lstm__tensor_doubles(t, values, t->count));
    for (int64_t row = 0; row < t->shape[0]; row++)
        TRY(lstm__history_append(history, values + (size_t)row * history->columns));
out:
    lstm__release(history->context, values);
    return status;
}

/* A checksum is no lock: numbers that index arrays are checked. */
static lstm_status check_position(const lstm__safetensors *file, const lstm__training *training,
                                  const int64_t *integers)
{
    const int64_t batches = (int64_t)lstm__training_batches(training);
    bool valid = integers[1] <= batches && integers[3] <= integers[0] && integers[5] <= 1;
    for (int k = 0; k < INTEGERS; k++)
        valid = valid && integers[k] >= 0;
    if (!valid)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the position (epoch %lld, batch %lld, step %lld) cannot be",
                          lstm__safetensors_path(file), (long long)integers[0],
                          (long long)integers[1], (long long)integers[2]);
    return LSTM_OK;
}

/* The carried states of a position inside an epoch; *carried NULL = there are none. */
static lstm_status find_states(const lstm__safetensors *file, const lstm__training *training,
                               const int64_t *integers, const lstm__tensor **batches,
                               const lstm__tensor **carried)
{
    const lstm__states *states = &training->states;
    const int64_t most = (int64_t)lstm__training_largest_batch(training);
    *batches = *carried = NULL;
    if (states->nodes == 0 || integers[1] == 0)
        return LSTM_OK;
    RETURN_IF_ERROR(need_tensor(file, "carried_batches", batches));
    RETURN_IF_ERROR(need_block(file, "carried", states->values, carried));
    bool valid = (*batches)->kind == LSTM__I64 && (*batches)->count == states->nodes;
    for (size_t k = 0; valid && k < states->nodes; k++) {
        int64_t batch = 0;
        memcpy(&batch, (const unsigned char *)(*batches)->bytes + k * sizeof batch, sizeof batch);
        valid = batch >= 0 && batch <= most;
    }
    return valid ? LSTM_OK
                 : lstm__fail(LSTM_ERROR_FORMAT,
                              "%s: \"carried_batches\" is not one number from 0 to %lld for each "
                              "of %zu layers",
                              lstm__safetensors_path(file), (long long)most, states->nodes);
}

static void unpack_position(lstm__training *training, const int64_t *integers,
                            const double *doubles)
{
    lstm__position *p = &training->position;
    *p = (lstm__position){.epoch = integers[0],
                          .batch = integers[1],
                          .step = integers[2],
                          .best_epoch = integers[3],
                          .waiting = integers[4],
                          .stopped = integers[5],
                          .best = doubles[0]};
    training->optimizer->steps = integers[6];
    training->history->best = (size_t)integers[7];
    p->sums.loss = doubles[1];
    p->sums.loss_weight = doubles[2];
    memcpy(p->sums.metric, doubles + 3, sizeof p->sums.metric);
    memcpy(p->sums.metric_weight, doubles + 3 + LSTM__METRICS, sizeof p->sums.metric_weight);
}

lstm_status lstm__checkpoint_read(const char *path, lstm__training *training)
{
    lstm_status status = LSTM_OK;
    lstm__safetensors *file = NULL;
    const lstm__tensor *best = NULL;
    const lstm__tensor *batches = NULL;
    const lstm__tensor *carried = NULL;
    blocks found;
    int64_t integers[INTEGERS];
    double doubles[DOUBLES];
    double norms[2] = {0, 0};
    double rate = 0;
    lstm_model *model = training->model;
    TRY(open_checked(&file, path, model, training->optimizer, training));
    TRY(find_blocks(file, model, training->optimizer, &found));
    TRY(read_integers(file, integers, INTEGERS));
    TRY(check_position(file, training, integers));
    TRY(find_states(file, training, integers, &batches, &carried));
    TRY(read_doubles(file, "doubles", doubles, DOUBLES));
    TRY(read_doubles(file, "learning_rate", &rate, 1));
    if (training->gradient_norms && lstm__safetensors_find(file, "gradient_norm"))
        TRY(read_doubles(file, "gradient_norm", norms, 2));
    if (training->best_values && lstm__safetensors_find(file, "best"))
        TRY(need_block(file, "best", model->value_count, &best));
    if (training->counts.classes > 0)
        TRY(read_doubles(file, "class_counts", training->counts.values,
                         3 * training->counts.classes));
    TRY(read_history(file, training->history));
    copy_blocks(&found, model, training->optimizer);
    if (training->best_values)
        memcpy(training->best_values, best ? best->bytes : found.values->bytes,
               model->value_count * sizeof(float));
    if (carried) {
        memcpy(training->states.batches, batches->bytes, training->states.nodes * sizeof(int64_t));
        memcpy(training->states.numbers, carried->bytes, training->states.values * sizeof(float));
    }
    unpack_position(training, integers, doubles);
    training->position.sums.norm = norms[0];
    training->position.sums.norms = norms[1];
    take_rate(path, training->optimizer, rate);
out:
    lstm__safetensors_close(file);
    return status;
}

/* ---- As a model */

static lstm_status fill_values(lstm_model *model, const lstm__safetensors *file)
{
    const lstm__tensor *t = NULL;
    RETURN_IF_ERROR(need_block(file, "values", model->value_count, &t));
    memcpy(model->values, t->bytes, model->value_count * sizeof(float));
    lstm__graph_changed(model);
    for (size_t k = 0; k < model->value_count; k++)
        if (!isfinite(model->values[k]))
            return lstm__fail(LSTM_ERROR_NUMERIC, "%s: value %zu of \"values\" is not finite",
                              lstm__safetensors_path(file), k);
    return LSTM_OK;
}

lstm_status lstm__checkpoint_model(lstm_model **out, lstm_context *context,
                                   const lstm__safetensors *file, size_t most_values)
{
    lstm_status status = LSTM_OK;
    lstm_model *model = NULL;
    json_t *text = NULL;
    json_error_t error;
    const char *path = lstm__safetensors_path(file);
    TRY(lstm__seal_check(file, "checkpoint", texts));
    text = json_loads(lstm__safetensors_metadata(file, texts[0]), JSON_REJECT_DUPLICATES, &error);
    const char *description = json_string_value(json_object_get(text, "model"));
    const char *notes = json_string_value(json_object_get(text, "notes"));
    if (!description)
        FAIL(LSTM_ERROR_FORMAT, "%s: there is no model in the checkpoint's description", path);
    status = lstm__model_from_json_of_file(&model, context, description, strlen(description),
                                           most_values, 0);
    if (status != LSTM_OK) {
        lstm__prefix_error(status, "%s", path);
        goto out;
    }
    TRY(fill_values(model, file));
    TRY(lstm__scalers_load(model, file));
    if (notes)
        TRY(lstm__notes_load(model, notes, path));
    *out = model;
    model = NULL;
out:
    json_decref(text);
    lstm__graph_release(model);
    return status;
}
