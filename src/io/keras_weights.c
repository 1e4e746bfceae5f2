/* SPDX-License-Identifier: MIT
 *
 * Weights in HDF5 files of Keras. Two forms:
 *
 *     by attribute path (Keras 3, and Keras 2.12 and later with the suffixes .keras and .weights.h5):
 *         layers/lstm_1/cell/vars/0    the layer's class in snake case, numbered in the order of
 *                                      the layers, whatever they are
 *                                      called; then the object that owns the variable; then the number of the variable.
 *                                      Keras 3 also notes the real name, in the attribute "name" of layers/lstm_1/vars
 *     legacy (every Keras, suffix .h5):
 *         model_weights/NAME           with the list "weight_names", paths of datasets in the
 *                                      layer's group; the group itself
 *                                      (or the root, without model_weights) lists its layers in
 *                                      "layer_names". Lists of more
 *                                      than 64 KiB are cut into layer_names0, layer_names1, …
 *
 * Layers are matched by name if every layer that has parameters finds its own, and else by order
 * (Keras' order, see keras_description.c), as Keras does it: the k-th LSTM takes the k-th group of
 * an LSTM, or, in the legacy form, the k-th layer with weights takes the k-th list that is not
 * empty. Inside a layer the order of variables is that of our parameters: kernel, recurrent kernel,
 * bias, gates i, f, c, o. Keras 1 kept an array of each gate: W, U and b of the gates i, c, f, o, or
 * z, r, h of a GRU. A Bidirectional of Keras is three layers of ours: its weights are those of the
 * forward layer, then those of the backward one.
 *
 * The state of optimizers, metrics and random seeds is not read; everything else must be used.
 */
#include "keras_weights.h"

#include "constants.h"
#include "fill_parameter.h"
#include "keras_description.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 1400, MOST_WEIGHTS = 24, MOST_SOURCES = 20000, MOST_PARTS = 64 };

typedef struct source {
    size_t object;    /* the group of a layer's weights */
    const char *name; /* of the layer, if the file says it */
} source;

typedef struct matching {
    lstm_context *context;
    lstm_model *model;
    const lstm__hdf5 *file;
    bool *used; /* for each object */
    /* laid out like the model's values; those themselves where a failure ends the model anyway */
    real *block;
    long *numbers;  /* for each node: the number of its source in the order of its class */
    size_t *order;  /* in which the layers are counted */
    size_t *owners; /* for each node: the node that is Keras' layer, see lstm__keras_owners */
    source *sources;
    size_t source_count;
    size_t source_capacity;
    lstm__hdf5_texts *texts; /* what names of sources lie in */
    size_t text_count;
    size_t text_capacity;
} matching;

/* ---- Names */

static bool is_below(const char *path, const char *group)
{
    const size_t length = strlen(group);
    return strncmp(path, group, length) == 0 && (path[length] == '/' || length == 0);
}

/* State that no layer of ours has. */
static bool is_other_state(const char *path)
{
    static const char *const groups[] = {"optimizer", "optimizer_weights", "metrics",
                                         "compile_metrics", NULL};
    for (size_t k = 0; groups[k]; k++)
        if (is_below(path, groups[k]))
            return true;
    return strstr(path, "/seed_generator/") != NULL;
}

size_t lstm__keras_most_values(const lstm__hdf5 *file)
{
    /* values that a parameter may take beyond its own in the model's block, and more */
    enum { GAP = 64 };
    size_t most = 0;
    for (size_t k = 0; k < lstm__hdf5_count(file); k++) {
        const lstm__hdf5_object *object = lstm__hdf5_get(file, k);
        if (object->is_dataset && !is_other_state(object->path))
            /* stored <= 1100 times the file's bytes, objects <= 200000 */
            most += object->stored + GAP;
    }
    return most;
}

static void describe_shape(char *text, size_t size, size_t rank, const int64_t *shape)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t k = 0; k < rank && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", k ? ", " : "",
                                 (long long)shape[k]);
}

/* ---- One parameter */

static lstm_status check_shape(const matching *m, const lstm__hdf5_object *object,
                               const char *parameter, size_t rank, const int64_t *shape)
{
    char found[200];
    char expected[64];
    bool same = (size_t)object->rank == rank;
    for (size_t k = 0; same && k < rank; k++)
        same = object->shape[k] == shape[k];
    if (same)
        return LSTM_OK;
    describe_shape(found, sizeof found, object->rank < 0 ? 0 : (size_t)object->rank, object->shape);
    describe_shape(expected, sizeof expected, rank, shape);
    return lstm__fail(LSTM_ERROR_SHAPE, "%s: tensor \"%.300s\": shape [%s], expected [%s] (%.100s)",
                      lstm__hdf5_name(m->file), object->path, found, expected, parameter);
}

static size_t index_of(const matching *m, const lstm__hdf5_object *object)
{
    return (size_t)(object - lstm__hdf5_get(m->file, 0));
}

static lstm_status read_tensor(matching *m, const lstm__hdf5_object *object, const char *parameter,
                               size_t rank, const int64_t *shape, float *values, size_t count)
{
    RETURN_IF_ERROR(check_shape(m, object, parameter, rank, shape));
    if (m->used[index_of(m, object)])
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: tensor \"%.300s\" is wanted twice, the second time for %.100s",
                          lstm__hdf5_name(m->file), object->path, parameter);
    m->used[index_of(m, object)] = true;
    RETURN_IF_ERROR(lstm__hdf5_floats(m->file, object, values, count));
    const size_t bad = lstm__first_not_finite(values, count);
    if (bad < count)
        return lstm__fail(LSTM_ERROR_NUMERIC, "%s: tensor \"%.300s\": value %zu is not finite",
                          lstm__hdf5_name(m->file), object->path, bad);
    return LSTM_OK;
}

static lstm_status fill_parameter(matching *m, const lstm__parameter *p,
                                  const lstm__hdf5_object *object)
{
    const size_t count = lstm__parameter_size(p);
    /* the factor of Attention is a number, no vector, in Keras */
    const size_t rank = p->node->class == &lstm__class_attention && object->rank == 0
                            ? 0
                            : (size_t)p->rank;
    /* Keras' shapes are those in which values lie */
    return read_tensor(m, object, p->name, rank, p->shape, m->block + p->offset, count);
}

/* The arrays of Keras 1: of the gates i, c, f, o, or z, r, h, each W [inputs][units], U
 * [units][units], b [units]. */
static lstm_status fill_old_gates(matching *m, const lstm__node *node,
                                  const lstm__hdf5_object *const *objects, size_t gates)
{
    /* where a gate of the file is in our order */
    static const size_t block_of_gate[2][4] = {{0, 1, 2, 0}, {0, 2, 1, 3}};
    lstm_status status = LSTM_OK;
    const lstm__parameter *all = &m->model->parameters[node->parameter_first];
    const size_t most = all[0].rows > all[1].rows ? all[0].rows : all[1].rows;
    float *part = lstm__allocate_array(m->context, most * (all[0].columns / gates), sizeof *part);
    if (!part)
        return lstm__fail_memory(most * sizeof *part, "the weights of a gate");
    for (size_t k = 0; k < 3; k++) {
        const lstm__parameter *p = &all[k];
        const size_t units = p->columns / gates;
        const size_t count = p->rows * units;
        const int64_t shape[2] = {p->rank == 1 ? (int64_t)units : (int64_t)p->rows, (int64_t)units};
        for (size_t gate = 0; gate < gates; gate++) {
            TRY(read_tensor(m, objects[3 * gate + k], p->name, (size_t)p->rank, shape, part,
                            count));
            real *to = m->block + p->offset + block_of_gate[gates == 4][gate] * units;
            for (size_t r = 0; r < p->rows; r++)
                memcpy(to + r * p->columns, part + r * units, units * sizeof *to);
        }
    }
out:
    lstm__release(m->context, part);
    return status;
}

/* Gates of a layer that Keras 1 stored one by one; 0 = another layer. */
static size_t old_gates(const matching *m, const lstm__node *node)
{
    const size_t gates = node->class == &lstm__class_lstm  ? 4
                         : node->class == &lstm__class_gru ? 3
                                                           : 0;
    /* with a bias, and not the two of a GRU that resets after the product */
    return gates > 0 && node->parameter_count == 3 &&
                   m->model->parameters[node->parameter_first + 2].rank == 1
               ? gates
               : 0;
}

/* The nodes of ours whose parameters are the weights of Keras' layer, in their order. */
static size_t parts_of(const lstm__node *node, const lstm__node *parts[2])
{
    const bool both = node->class == &lstm__class_bidirectional;
    parts[0] = both ? node->inputs[0]->node : node;
    parts[1] = both ? node->inputs[1]->node : NULL;
    return both ? 2 : 1;
}

/* How many weights a layer of Keras has; 0 for what is a part of another one. */
static size_t weight_count(const matching *m, const lstm__node *node)
{
    const lstm__node *parts[2];
    size_t count = 0;
    if (m->owners[node->index] != node->index)
        return 0;
    for (size_t k = parts_of(node, parts); k-- > 0;)
        count += parts[k]->parameter_count;
    return count;
}

static lstm_status fill_layer(matching *m, const lstm__node *node,
                              const lstm__hdf5_object *const *objects, size_t count,
                              const char *group)
{
    const lstm__node *parts[2];
    const size_t part_count = parts_of(node, parts);
    size_t old = 0;
    for (size_t k = 0; k < part_count; k++)
        old += 3 * old_gates(m, parts[k]);
    if (count != weight_count(m, node) && count != old)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: \"%.300s\" holds %zu weights; layer \"%s\" (%s) has %zu",
                          lstm__hdf5_name(m->file), group, count, node->name, node->class->type,
                          weight_count(m, node));
    for (size_t part = 0; part < part_count; part++) {
        const lstm__node *own = parts[part];
        if (count == old) {
            RETURN_IF_ERROR(fill_old_gates(m, own, objects, old_gates(m, own)));
            objects += 3 * old_gates(m, own);
            continue;
        }
        for (size_t k = 0; k < own->parameter_count; k++)
            RETURN_IF_ERROR(
                fill_parameter(m, &m->model->parameters[own->parameter_first + k], *objects++));
    }
    return LSTM_OK;
}

/* ---- Sources */

static lstm_status add_source(matching *m, size_t object, const char *name)
{
    RETURN_IF_ERROR(lstm__grow(m->context, (void **)&m->sources, &m->source_capacity,
                               m->source_count + 1, sizeof *m->sources));
    m->sources[m->source_count++] = (source){object, name};
    return LSTM_OK;
}

/* Keep the texts of an attribute, in which names of sources lie. */
static lstm_status keep_texts(matching *m, const lstm__hdf5_object *object, const char *attribute,
                              lstm__hdf5_texts *texts)
{
    RETURN_IF_ERROR(lstm__grow(m->context, (void **)&m->texts, &m->text_capacity, m->text_count + 1,
                               sizeof *m->texts));
    RETURN_IF_ERROR(lstm__hdf5_read_texts(m->file, object, attribute, texts));
    m->texts[m->text_count++] = *texts;
    return LSTM_OK;
}

/* Whether every layer with parameters finds a source of its own by its name; m->sources[k].name may
 * be NULL. */
static bool names_fit(const matching *m)
{
    for (size_t k = 0; k < m->model->node_count; k++) {
        const lstm__node *node = m->model->nodes[k];
        const size_t count = weight_count(m, node);
        size_t found = 0;
        for (size_t s = 0; count > 0 && s < m->source_count; s++)
            found += m->sources[s].name && strcmp(m->sources[s].name, node->name) == 0;
        if (count > 0 && found != 1)
            return false;
    }
    return true;
}

static lstm_status no_weights(const matching *m, const lstm__node *node)
{
    const lstm__node *parts[2];
    parts_of(node, parts);
    const lstm__parameter *first = &m->model->parameters[parts[0]->parameter_first];
    char text[64];
    describe_shape(text, sizeof text, (size_t)first->rank, first->shape);
    return lstm__fail(LSTM_ERROR_FORMAT,
                      "%s: no weights for layer \"%s\" (%s): expected %zu, the first %.100s [%s]",
                      lstm__hdf5_name(m->file), node->name, node->class->type,
                      weight_count(m, node), first->name, text);
}

static const source *by_name(const matching *m, const lstm__node *node)
{
    size_t s = 0;
    while (strcmp(m->sources[s].name ? m->sources[s].name : "", node->name) != 0)
        s++;
    return &m->sources[s];
}

/* ---- By attribute path */

/* Where variables of a layer may be owned, in the order of the layer's weights. */
static const char *const owners[] = {"",
                                     "cell/",
                                     "forward_layer/cell/",
                                     "backward_layer/cell/",
                                     "layer/",
                                     "query_dense/",
                                     "key_dense/",
                                     "value_dense/",
                                     "output_dense/",
                                     NULL};

/* Call for each weight in order: fills `objects` up to `most`, returns how many there are. */
static size_t weights_below(const matching *m, const char *group, const lstm__hdf5_object **objects,
                            size_t most)
{
    size_t count = 0;
    for (size_t o = 0; owners[o]; o++)
        for (size_t number = 0; count < most; number++) {
            char path[TEXT];
            snprintf(path, sizeof path, "%s/%svars/%zu", group, owners[o], number);
            const lstm__hdf5_object *object = lstm__hdf5_find(m->file, path);
            if (!object || !object->is_dataset)
                break;
            objects[count++] = object;
        }
    return count;
}

/* The number in "lstm_2" after the stem "lstm": 2, or 0 for "lstm"; -1 if it is another name. */
static long number_behind(const char *name, const char *stem)
{
    const size_t length = strlen(stem);
    if (strncmp(name, stem, length) != 0)
        return -1;
    if (!name[length])
        return 0;
    const char *digits = name + length + 1;
    const size_t count = strspn(digits, "0123456789");
    return name[length] == '_' && count > 0 && count <= 6 && !digits[count]
               ? strtol(digits, NULL, 10)
               : -1;
}

/* The source with the lowest number behind the stem that is larger than *above, which becomes that
 * number. */
static const source *next_of(const matching *m, const char *stem, long *above)
{
    long lowest = LONG_MAX;
    const source *best = NULL;
    for (size_t s = 0; s < m->source_count; s++) {
        const long number = number_behind(lstm__hdf5_get(m->file, m->sources[s].object)->name,
                                          stem);
        if (number > *above && number < lowest) {
            lowest = number;
            best = &m->sources[s];
        }
    }
    *above = lowest;
    return best;
}

static lstm_status collect_paths(matching *m, const lstm__hdf5_object *layers)
{
    const size_t parent = index_of(m, layers);
    for (size_t k = 0; k < lstm__hdf5_count(m->file); k++) {
        const lstm__hdf5_object *object = lstm__hdf5_get(m->file, k);
        const lstm__hdf5_object *first = NULL;
        lstm__hdf5_texts texts = {0};
        char path[TEXT];
        if (object->parent != parent || object->is_dataset || k == parent ||
            weights_below(m, object->path, &first, 1) == 0)
            continue;
        if (m->source_count == MOST_SOURCES)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: weights of more than %d layers",
                              lstm__hdf5_name(m->file), MOST_SOURCES);
        snprintf(path, sizeof path, "%s/vars", object->path);
        const lstm__hdf5_object *vars = lstm__hdf5_find(m->file, path);
        if (vars)
            RETURN_IF_ERROR(keep_texts(m, vars, "name", &texts));
        RETURN_IF_ERROR(add_source(m, k, texts.count == 1 ? texts.items[0] : NULL));
    }
    return LSTM_OK;
}

/* What Keras calls the groups of a layer's class. */
static const char *stem_of(const lstm__node *node)
{
    return node->wrapped ? "time_distributed" : node->class->name_stem;
}

/* The number that the last layer of the class of node order[place] took, -1 if it is the first. */
static long last_number(const matching *m, size_t place)
{
    const char *stem = stem_of(m->model->nodes[m->order[place]]);
    while (place-- > 0) {
        const lstm__node *node = m->model->nodes[m->order[place]];
        if (weight_count(m, node) > 0 && strcmp(stem_of(node), stem) == 0)
            return m->numbers[node->index];
    }
    return -1;
}

static lstm_status fill_by_path(matching *m, const lstm__hdf5_object *layers)
{
    RETURN_IF_ERROR(collect_paths(m, layers));
    const bool named = names_fit(m);
    m->numbers = lstm__allocate_array(m->context, m->model->node_count, sizeof *m->numbers);
    if (!m->numbers)
        return lstm__fail_memory(m->model->node_count * sizeof *m->numbers, "the layers of a file");
    for (size_t k = 0; k < m->model->node_count; k++) {
        const lstm__node *node = m->model->nodes[m->order[k]];
        const lstm__hdf5_object *objects[MOST_WEIGHTS];
        if (weight_count(m, node) == 0)
            continue;
        long *const number = &m->numbers[node->index];
        *number = last_number(m, k);
        const source *from = named ? by_name(m, node) : next_of(m, stem_of(node), number);
        if (!from)
            return no_weights(m, node);
        const char *group = lstm__hdf5_get(m->file, from->object)->path;
        const size_t count = weights_below(m, group, objects, MOST_WEIGHTS);
        RETURN_IF_ERROR(fill_layer(m, node, objects, count, group));
    }
    return LSTM_OK;
}

/* ---- Legacy */

/* Call `use` for every text of a list that may be cut into LIST0, LIST1, … */
typedef lstm_status (*use_text)(matching *m, const lstm__hdf5_object *group, const char *text,
                                void *user);
static lstm_status each_text(matching *m, const lstm__hdf5_object *group, const char *list,
                             use_text use, void *user)
{
    for (int part = -1; part < MOST_PARTS; part++) {
        char name[64];
        lstm__hdf5_texts texts = {0};
        snprintf(name, sizeof name, part < 0 ? "%s" : "%s%d", list, part);
        RETURN_IF_ERROR(keep_texts(m, group, name, &texts));
        for (size_t k = 0; k < texts.count; k++)
            RETURN_IF_ERROR(use(m, group, texts.items[k], user));
        if ((part < 0 && texts.found) || (part >= 0 && !texts.found))
            break;
    }
    return LSTM_OK;
}

typedef struct weights {
    const lstm__hdf5_object *objects[MOST_WEIGHTS];
    size_t count;
} weights;

static lstm_status find_member(const matching *m, const lstm__hdf5_object *group, const char *name,
                               bool is_dataset, const lstm__hdf5_object **found)
{
    char path[TEXT];
    snprintf(path, sizeof path, "%s%s%s", group->path, group->path[0] ? "/" : "", name);
    *found = lstm__hdf5_find(m->file, path);
    if (!*found || (*found)->is_dataset != is_dataset)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: \"/%.300s\" is listed but is no %s of the file",
                          lstm__hdf5_name(m->file), path, is_dataset ? "dataset" : "group");
    return LSTM_OK;
}

static lstm_status take_weight(matching *m, const lstm__hdf5_object *group, const char *name,
                               void *user)
{
    weights *w = user;
    if (w->count == MOST_WEIGHTS)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: \"/%.300s\" lists more than %d weights: no layer of this version has so "
            "many",
            lstm__hdf5_name(m->file), group->path, (int)MOST_WEIGHTS);
    return find_member(m, group, name, true, &w->objects[w->count++]);
}

static lstm_status take_layer(matching *m, const lstm__hdf5_object *group, const char *name,
                              void *user)
{
    const lstm__hdf5_object *layer = NULL;
    weights w = {.count = 0};
    (void)user;
    RETURN_IF_ERROR(find_member(m, group, name, false, &layer));
    RETURN_IF_ERROR(each_text(m, layer, "weight_names", take_weight, &w));
    if (m->source_count == MOST_SOURCES)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: weights of more than %d layers",
                          lstm__hdf5_name(m->file), MOST_SOURCES);
    return w.count == 0 ? LSTM_OK : add_source(m, index_of(m, layer), name);
}

static lstm_status fill_by_list(matching *m, const lstm__hdf5_object *group)
{
    size_t next = 0;
    RETURN_IF_ERROR(each_text(m, group, "layer_names", take_layer, NULL));
    const bool named = names_fit(m);
    for (size_t k = 0; k < m->model->node_count; k++) {
        const lstm__node *node = m->model->nodes[m->order[k]];
        weights w = {.count = 0};
        if (weight_count(m, node) == 0)
            continue;
        if (!named && next == m->source_count)
            return no_weights(m, node);
        const source *from = named ? by_name(m, node) : &m->sources[next++];
        const lstm__hdf5_object *layer = lstm__hdf5_get(m->file, from->object);
        RETURN_IF_ERROR(each_text(m, layer, "weight_names", take_weight, &w));
        RETURN_IF_ERROR(fill_layer(m, node, w.objects, w.count, layer->path));
    }
    return LSTM_OK;
}

/* ---- All */

static lstm_status check_unused(const matching *m)
{
    size_t others = 0;
    for (size_t k = 0; k < lstm__hdf5_count(m->file); k++) {
        const lstm__hdf5_object *object = lstm__hdf5_get(m->file, k);
        char shape[200];
        if (!object->is_dataset || m->used[k])
            continue;
        if (is_other_state(object->path)) {
            others++;
            continue;
        }
        describe_shape(shape, sizeof shape, object->rank < 0 ? 0 : (size_t)object->rank,
                       object->shape);
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: tensor \"%.300s\" [%s] belongs to no layer of the model",
                          lstm__hdf5_name(m->file), object->path, shape);
    }
    if (others > 0)
        lstm__log(m->context,
                  "%s: %zu arrays of the optimizer, metrics and random seeds are not read",
                  lstm__hdf5_name(m->file), others);
    return LSTM_OK;
}

static void end(matching *m)
{
    for (size_t k = 0; k < m->text_count; k++)
        lstm__hdf5_release_texts(&m->texts[k]);
    lstm__release(m->context, m->texts);
    lstm__release(m->context, m->sources);
    lstm__release(m->context, m->numbers);
    lstm__release(m->context, m->order);
    lstm__release(m->context, m->owners);
    lstm__release(m->context, m->used);
    if (m->block != m->model->values)
        lstm__release(m->context, m->block);
}

lstm_status lstm__keras_read_weights(lstm_model *model, const lstm__hdf5 *file,
                                     bool own_description)
{
    lstm_status status = LSTM_OK;
    const lstm__hdf5_object *root = lstm__hdf5_get(file, 0);
    const lstm__hdf5_object *layers = lstm__hdf5_find(file, "layers");
    const lstm__hdf5_object *legacy = lstm__hdf5_find(file, "model_weights");
    matching m = {.context = model->context, .model = model, .file = file};
    layers = layers ? layers : lstm__hdf5_find(file, "_layer_checkpoint_dependencies");
    if (model->profile != LSTM_PROFILE_KERAS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: weights of Keras for a model of the profile %s: expected one of the "
                          "profile keras",
                          lstm__hdf5_name(file),
                          lstm__constant_name(LSTM_NAMES_PROFILE, model->profile));
    m.used = lstm__allocate_zeroed(m.context, lstm__hdf5_count(file) * sizeof *m.used);
    m.block = own_description
                  ? model->values
                  : lstm__allocate_zeroed(m.context, model->value_count * sizeof *m.block);
    m.order = lstm__allocate_array(m.context, model->node_count, sizeof *m.order);
    m.owners = lstm__allocate_array(m.context, model->node_count, sizeof *m.owners);
    if (!m.used || !m.block || !m.order || !m.owners) {
        status = lstm__fail_memory(model->value_count * sizeof *m.block, "the parameters");
        goto out;
    }
    lstm__keras_owners(model, m.owners);
    for (size_t k = 0; k < model->node_count; k++)
        m.order[k] = k;
    if (!own_description)
        TRY(lstm__keras_order(model, m.order));
    if (layers && !layers->is_dataset)
        TRY(fill_by_path(&m, layers));
    else
        TRY(fill_by_list(&m, legacy && !legacy->is_dataset ? legacy : root));
    TRY(check_unused(&m));
    if (!own_description)
        memcpy(model->values, m.block, model->value_count * sizeof *m.block);
    lstm__graph_changed(model);
out:
    end(&m);
    return status;
}
