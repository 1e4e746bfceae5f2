/* SPDX-License-Identifier: MIT
 *
 * State dicts as torch.save writes them: a ZIP archive with archive/data.pkl, archive/byteorder,
 * archive/data/K for each parameter, and archive/version. The pickle is an OrderedDict of
 *
 *     NAME: torch._utils._rebuild_tensor_v2(("storage", torch.FloatStorage, "K", "cpu", elements), 0,
 *                                           shape, stride, False, OrderedDict())
 *
 * in protocol 2 and with nothing that torch.load(weights_only=True) would not take. One storage a
 * parameter; other formats go through an archive of arrays.
 */
#include "torch_export.h"

#include "activation.h"
#include "archive.h"
#include "names.h"
#include "profile_convert.h"
#include "zip_archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct pickle {
    lstm_context *context;
    unsigned char *bytes;
    size_t size, capacity;
} pickle;

static bool ends_with(const char *path, const char *suffix)
{
    const size_t length = strlen(path);
    const size_t own = strlen(suffix);
    return length >= own && lstm__compare_names(path + length - own, suffix) == 0;
}

bool lstm__is_torch_path(const char *path)
{
    return ends_with(path, ".pt") || ends_with(path, ".pth");
}

/* ---- Pickle */

static lstm_status put(pickle *p, const void *bytes, size_t size)
{
    RETURN_IF_ERROR(lstm__grow(p->context, (void **)&p->bytes, &p->capacity, p->size + size, 1));
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
    return LSTM_OK;
}

static lstm_status put_codes(pickle *p, const char *codes)
{
    return put(p, codes, strlen(codes));
}

static lstm_status put_number(pickle *p, size_t bytes, uint64_t number)
{
    unsigned char room[8];
    for (size_t k = 0; k < bytes; k++)
        room[k] = (unsigned char)(number >> 8 * k & 255);
    return put(p, room, bytes);
}

static lstm_status put_text(pickle *p, const char *text)
{
    RETURN_IF_ERROR(put_codes(p, "X"));
    RETURN_IF_ERROR(put_number(p, 4, strlen(text)));
    return put_codes(p, text);
}

static lstm_status put_integer(pickle *p, int64_t integer)
{
    if (integer <= INT32_MAX) {
        RETURN_IF_ERROR(put_codes(p, "J"));
        return put_number(p, 4, (uint64_t)integer);
    }
    RETURN_IF_ERROR(put(p, "\x8a\x08", 2));
    return put_number(p, 8, (uint64_t)integer);
}

static lstm_status put_tuple(pickle *p, const int64_t *items, int count)
{
    RETURN_IF_ERROR(put_codes(p, "("));
    for (int k = 0; k < count; k++)
        RETURN_IF_ERROR(put_integer(p, items[k]));
    return put_codes(p, "t");
}

static lstm_status put_tensor(pickle *p, const lstm__parameter *parameter, size_t number)
{
    char key[24];
    int64_t stride[4] = {1, 1, 1, 1};
    snprintf(key, sizeof key, "%zu", number);
    for (int k = parameter->rank - 1; k > 0; k--)
        stride[k - 1] = stride[k] * parameter->shape[k];
    RETURN_IF_ERROR(put_text(p, parameter->name));
    RETURN_IF_ERROR(put_codes(p, "ctorch._utils\n_rebuild_tensor_v2\n(("));
    RETURN_IF_ERROR(put_text(p, "storage"));
    RETURN_IF_ERROR(put_codes(p, "ctorch\nFloatStorage\n"));
    RETURN_IF_ERROR(put_text(p, key));
    RETURN_IF_ERROR(put_text(p, "cpu"));
    RETURN_IF_ERROR(put_integer(p, (int64_t)lstm__parameter_size(parameter)));
    RETURN_IF_ERROR(put_codes(p, "tQ"));
    RETURN_IF_ERROR(put_integer(p, 0));
    RETURN_IF_ERROR(put_tuple(p, parameter->shape, parameter->rank));
    RETURN_IF_ERROR(put_tuple(p, stride, parameter->rank));
    return put_codes(p, "\x89"
                        "ccollections\nOrderedDict\n)RtR");
}

static lstm_status put_state_dict(pickle *p, const lstm_model *model)
{
    RETURN_IF_ERROR(put_codes(p, "\x80\x02"
                                 "ccollections\nOrderedDict\n)R("));
    for (size_t k = 0; k < model->parameter_count; k++)
        RETURN_IF_ERROR(put_tensor(p, &model->parameters[k], k));
    return put_codes(p, "u.");
}

/* ---- Files */

static lstm_status add_text(lstm__zip_writer *zip, const char *name, const char *text)
{
    return lstm__zip_writer_add(zip, name, &(lstm__piece){text, strlen(text)}, 1);
}

static float *largest_parameter(const lstm_model *model)
{
    size_t largest = 1;
    for (size_t k = 0; k < model->parameter_count; k++)
        if (lstm__parameter_size(&model->parameters[k]) > largest)
            largest = lstm__parameter_size(&model->parameters[k]);
    return lstm__allocate_array(model->context, largest, sizeof(float));
}

static lstm_status save_torch(const lstm_model *model, const char *path, float *values)
{
    static const uint16_t one = 1;
    lstm_status status = LSTM_OK;
    pickle p = {.context = model->context};
    lstm__zip_writer *zip = NULL;
    TRY(put_state_dict(&p, model));
    TRY(lstm__zip_writer_open(&zip, model->context, path));
    TRY(lstm__zip_writer_add(zip, "archive/data.pkl", &(lstm__piece){p.bytes, p.size}, 1));
    TRY(add_text(zip, "archive/byteorder", *(const unsigned char *)&one ? "little" : "big"));
    for (size_t k = 0; k < model->parameter_count; k++) {
        char name[48];
        const lstm__parameter *parameter = &model->parameters[k];
        snprintf(name, sizeof name, "archive/data/%zu", k);
        lstm__parameter_read(parameter, model->values, values);
        TRY(lstm__zip_writer_add(
            zip, name, &(lstm__piece){values, lstm__parameter_size(parameter) * sizeof *values},
            1));
    }
    TRY(add_text(zip, "archive/version", "3\n"));
    status = lstm__zip_writer_close(&zip);
out:
    lstm__zip_writer_abort(zip);
    lstm__release(model->context, p.bytes);
    return status;
}

static lstm_status save_arrays(const lstm_model *model, const char *path, float *values)
{
    lstm_status status = LSTM_OK;
    lstm_archive *archive = NULL;
    TRY(lstm__archive_create(&archive, model->context));
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *p = &model->parameters[k];
        lstm__parameter_read(p, model->values, values);
        TRY(lstm__archive_add(archive, p->name, p->rank, p->shape, values,
                              lstm__parameter_size(p)));
    }
    TRY(lstm__archive_save(archive, path));
out:
    lstm__archive_destroy(archive);
    return status;
}

/* Whether a Bidirectional reads a layer. */
static bool is_half(const lstm_model *model, const lstm__node *node)
{
    for (size_t k = 0; k < model->node_count; k++)
        for (int32_t i = 0; i < model->nodes[k]->input_count; i++)
            if (strcmp(model->nodes[k]->class->type, "Bidirectional") == 0 &&
                model->nodes[k]->inputs[i]->node == node)
                return true;
    return false;
}

/* The value of an option that names a constant; 0 if the layer has none of this key. */
static int32_t constant_of(const lstm__node *node, const char *key)
{
    for (const lstm__option *option = node->class->options; option && option->key; option++)
        if (strcmp(option->key, key) == 0)
            return *(const int32_t *)(const void *)((const unsigned char *)node->options +
                                                    option->offset);
    return 0;
}

/* What a recurrent layer has that PyTorch's module of its kind cannot do; NULL = nothing. */
static const char *beyond_module(const lstm_model *model, const lstm__node *node)
{
    static const char *const variants[] = {"coupled_gates", "proj_clip", "peepholes", "gate_clip",
                                           "cell_clip",     "zoneout_h", "zoneout_c", "layer_norm"};
    const int32_t activation = constant_of(node, "activation");
    const int32_t gates = constant_of(node, "recurrent_activation");
    const bool simple = strcmp(node->class->type, "SimpleRNN") == 0;
    for (const lstm__option *option = node->class->options; option->key; option++)
        for (size_t k = 0; option->rare && k < sizeof variants / sizeof *variants; k++)
            if (strcmp(option->key, variants[k]) == 0 && lstm__option_is_on(option, node->options))
                return variants[k];
    if (activation != LSTM_ACTIVATION_TANH && !(simple && activation == LSTM_ACTIVATION_RELU))
        return "activation";
    if (!simple && gates != LSTM_ACTIVATION_SIGMOID)
        return "recurrent_activation";
    if (constant_of(node, "go_backwards") == LSTM_YES && !is_half(model, node))
        return "go_backwards";
    return NULL;
}

/* A state dict says nothing of what a module computes, so what PyTorch's do not is refused. */
static lstm_status check_module(const lstm_model *model, const lstm__node *node, const char *path)
{
    static const char *const recurrent[] = {"LSTM", "GRU", "SimpleRNN"};
    if (lstm__is_shaped(node))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: layer \"%s\" has an output_activation, or activations with numbers "
                          "of their own, which no module of PyTorch has",
                          path, node->name);
    for (size_t k = 0; k < sizeof recurrent / sizeof *recurrent; k++) {
        const char *beyond = strcmp(node->class->type, recurrent[k]) == 0
                                 ? beyond_module(model, node)
                                 : NULL;
        if (beyond)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "%s: layer \"%s\" (%s): PyTorch's module cannot do its %s", path,
                              node->name, recurrent[k], beyond);
    }
    return LSTM_OK;
}

lstm_status lstm__parameters_save(lstm_model *model, const char *path, int32_t profile)
{
    lstm_status status = LSTM_OK;
    lstm_model *named = NULL;
    float *values = NULL;
    const bool torch = lstm__is_torch_path(path);
    if (torch && profile != LSTM_PROFILE_TORCH)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "%s: a state dict of PyTorch has PyTorch's names: expected the profile "
                          "torch",
                          path);
    if (!torch && !ends_with(path, ".safetensors") && !ends_with(path, ".npz"))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "%s: expected a name that ends with .pt, .pth, .safetensors or .npz",
                          path);
    for (size_t k = 0; torch && k < model->node_count; k++)
        RETURN_IF_ERROR(check_module(model, model->nodes[k], path));
    TRY(lstm__profile_convert(&named, model, profile));
    values = largest_parameter(named);
    if (!values) {
        status = lstm__fail_memory(named->value_count * sizeof *values, "a parameter");
        goto out;
    }
    status = torch ? save_torch(named, path, values) : save_arrays(named, path, values);
out:
    lstm__release(model->context, values);
    lstm__graph_release(named);
    return status;
}
