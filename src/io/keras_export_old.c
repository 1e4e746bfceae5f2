/* SPDX-License-Identifier: MIT
 *
 * The .h5 of Keras 1 and 2, which Keras 3 opens as well:
 *
 *     /                   model_config (the description), keras_version, backend
 *     /model_weights      layer_names: the layers in Keras' order; keras_version, backend
 *     /model_weights/NAME weight_names: paths of the layer's arrays in this group, in their order
 *     /model_weights/NAME/NAME/lstm_cell/kernel:0   an array
 *
 * Keras reads arrays by the order of the two lists; names of arrays only have to be paths. The
 * version is the last Keras 2: which hard_sigmoid a file means follows from it.
 */
#include "keras_export_old.h"

#include "keras_description.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "2.15.0"
#define BACKEND "tensorflow"

enum { MOST_WEIGHTS = 32, PATH = 4 * LSTM__NAME_SIZE };

/* The arrays of one layer of Keras being named. */
typedef struct naming {
    char (*paths)[PATH];
    const lstm__parameter **parameters;
    size_t count;
} naming;

static const char *behind_slash(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* "lstm/lstm_cell/kernel:0", "bidirectional/forward_lstm/lstm_cell/bias:0": the names of ours, with
 * the cell of a recurrent layer, and that of the Bidirectional around it. */
static lstm_status name_arrays(naming *n, const lstm__node *owner, const lstm__node *node)
{
    const bool cell = node->class == &lstm__class_lstm || node->class == &lstm__class_gru ||
                      node->class == &lstm__class_simple_rnn;
    for (size_t k = 0; k < node->parameter_count; k++) {
        const lstm__parameter *p = &node->model->parameters[node->parameter_first + k];
        const size_t stem = strlen(node->name);
        if (n->count == MOST_WEIGHTS)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "layer \"%s\" has more than %d arrays",
                              owner->name, MOST_WEIGHTS);
        /* what stands behind the layer's name in the parameter's */
        const char *own = strncmp(p->name, node->name, stem) == 0 && p->name[stem] == '/'
                              ? p->name + stem + 1
                              : behind_slash(p->name);
        snprintf(n->paths[n->count], PATH, "%s/%s%s%s%s%s:0", owner->name,
                 owner == node ? "" : behind_slash(node->name), owner == node ? "" : "/",
                 cell ? node->class->name_stem : "", cell ? "_cell/" : "", own);
        n->parameters[n->count++] = p;
    }
    return LSTM_OK;
}

/* The groups of a path below a group, each made once: a layer's arrays stand one behind the other,
 * so a group is either one of the last path or new. */
typedef struct folders {
    char path[PATH];
    size_t ends[PATH]; /* where the names of the open groups end in `path` */
    size_t groups[PATH];
    size_t depth;
} folders;

static lstm_status open_folders(lstm__hdf5_writer *file, folders *f, size_t base, const char *path,
                                size_t *group, const char **name)
{
    size_t start = 0;
    size_t depth = 0;
    *group = base;
    for (const char *slash = NULL; (slash = strchr(path + start, '/')) != NULL;) {
        const size_t end = (size_t)(slash - path);
        if (depth < f->depth && f->ends[depth] == end && strncmp(f->path, path, end) == 0) {
            *group = f->groups[depth++];
        } else {
            char text[PATH];
            snprintf(text, sizeof text, "%.*s", (int)(end - start), path + start);
            RETURN_IF_ERROR(lstm__hdf5_add_group(file, *group, text, NULL, group));
            f->ends[depth] = end;
            f->groups[depth++] = *group;
            f->depth = depth;
        }
        start = end + 1;
    }
    f->depth = depth;
    snprintf(f->path, sizeof f->path, "%s", path);
    *name = path + start;
    return LSTM_OK;
}

static lstm_status put_arrays(lstm__hdf5_writer *file, size_t layer, const naming *n, float *values)
{
    folders open = {.depth = 0};
    const char *names[MOST_WEIGHTS] = {0};
    for (size_t k = 0; k < n->count; k++) {
        const lstm__parameter *p = n->parameters[k];
        const char *name = NULL;
        size_t group = 0;
        names[k] = n->paths[k];
        RETURN_IF_ERROR(open_folders(file, &open, layer, n->paths[k], &group, &name));
        lstm__parameter_read(p, p->node->model->values, values);
        /* the factor of Attention is a number, no vector, in Keras */
        const int rank = p->node->class == &lstm__class_attention ? 0 : p->rank;
        RETURN_IF_ERROR(lstm__hdf5_add_array(file, group, name, rank, p->shape, values));
    }
    return lstm__hdf5_add_texts(file, layer, "weight_names", names, n->count);
}

static lstm_status put_layer(lstm__hdf5_writer *file, size_t weights, const lstm__node *node,
                             naming *n, float *values)
{
    size_t group = 0;
    n->count = 0;
    for (int k = 0; node->class == &lstm__class_bidirectional && k < 2; k++)
        RETURN_IF_ERROR(name_arrays(n, node, node->inputs[k]->node));
    if (node->class != &lstm__class_bidirectional)
        RETURN_IF_ERROR(name_arrays(n, node, node));
    if (strchr(node->name, '/'))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "layer \"%s\": a name with '/' cannot be a group's in .h5", node->name);
    RETURN_IF_ERROR(lstm__hdf5_add_group(file, weights, node->name, NULL, &group));
    return put_arrays(file, group, n, values);
}

static lstm_status put_weights(lstm__hdf5_writer *file, const lstm_model *model,
                               const size_t *order)
{
    lstm_status status = LSTM_OK;
    size_t weights = 0;
    size_t largest = 1;
    size_t count = 0;
    lstm_context *context = model->context;
    size_t *owners = lstm__allocate_array(context, model->node_count, sizeof *owners);
    const char **names = lstm__allocate_array(context, model->node_count, sizeof *names);
    const lstm__parameter *parameters[MOST_WEIGHTS];
    naming n = {.parameters = parameters};
    for (size_t k = 0; k < model->parameter_count; k++)
        if (lstm__parameter_size(&model->parameters[k]) > largest)
            largest = lstm__parameter_size(&model->parameters[k]);
    float *values = lstm__allocate_array(context, largest, sizeof *values);
    n.paths = lstm__allocate_array(context, MOST_WEIGHTS, sizeof *n.paths);
    if (!owners || !names || !values || !n.paths) {
        status = lstm__fail_memory(largest * sizeof *values, "the weights of the file");
        goto out;
    }
    lstm__keras_owners(model, owners);
    TRY(lstm__hdf5_add_group(file, 0, "model_weights", NULL, &weights));
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[order[k]];
        if (owners[node->index] != node->index)
            continue;
        names[count++] = node->name;
        TRY(put_layer(file, weights, node, &n, values));
    }
    TRY(lstm__hdf5_add_text(file, weights, "backend", BACKEND));
    TRY(lstm__hdf5_add_text(file, weights, "keras_version", VERSION));
    TRY(lstm__hdf5_add_texts(file, weights, "layer_names", names, count));
out:
    lstm__release(context, owners);
    lstm__release(context, names);
    lstm__release(context, values);
    lstm__release(context, n.paths);
    return status;
}

lstm_status lstm__keras_put_old(lstm__hdf5_writer *file, const lstm_model *model,
                                const size_t *order)
{
    lstm_status status = LSTM_OK;
    json_t *root = NULL;
    char *text = NULL;
    TRY(lstm__keras_describe(model, order, true, &root));
    text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (!text)
        FAIL(LSTM_ERROR_MEMORY, "no memory for the model's description");
    TRY(lstm__hdf5_add_text(file, 0, "backend", BACKEND));
    TRY(lstm__hdf5_add_text(file, 0, "keras_version", VERSION));
    TRY(lstm__hdf5_add_text(file, 0, "model_config", text));
    status = put_weights(file, model, order);
out:
    free(text);
    json_decref(root);
    return status;
}
