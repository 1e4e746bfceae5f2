/* SPDX-License-Identifier: MIT
 *
 * Keras' own files.
 *
 *     .keras   ZIP: metadata.json ("keras_version"), config.json (the description), model.weights.h5
 *     .h5      HDF5: attributes model_config (the description) and keras_version of the root; weights in model_weights
 *     .weights.h5   HDF5: weights alone
 *
 * The weights are opened first, so that the description cannot ask for more parameters than the
 * file holds. The description goes through keras_json.c, the weights through keras_weights.c.
 * compile_config, training_config and the optimizer's state are not read.
 */
#include "keras_file.h"

#include "keras_json.h"
#include "keras_weights.h"
#include "model_json.h"
#include "zip_archive.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char weights_name[] = "model.weights.h5";

enum {
    MOST_DESCRIPTION = 16 << 20,
    MOST_METADATA = 1 << 20,
    LIKELY_RATIO = 16,
    MOST_ANYWAY = 64 << 20
};

/* What is taken out of a file; everything may be NULL. */
typedef struct parts {
    lstm_context *context;
    lstm__zip *zip;
    char *name; /* "model.keras: model.weights.h5" */
    lstm__hdf5 *weights;
    void *owned; /* what an unpacked HDF5 file lies in */
    const char *description;
    size_t length;
    void *description_owned;
    lstm__hdf5_texts texts; /* of an HDF5 file: its description */
    int version;            /* major, of Keras; 0 = unknown */
} parts;

static void end(parts *p)
{
    lstm__hdf5_release_texts(&p->texts);
    lstm__hdf5_close(p->weights);
    lstm__zip_close(p->zip);
    lstm__release(p->context, p->name);
    lstm__release(p->context, p->owned);
    lstm__release(p->context, p->description_owned);
}

/* ---- .keras */

static lstm_status read_metadata(parts *p)
{
    const lstm__zip_entry *entry = lstm__zip_find(p->zip, "metadata.json");
    const unsigned char *bytes = NULL;
    void *owned = NULL;
    if (!entry)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__zip_content(p->zip, entry, MOST_METADATA, &bytes, &owned));
    json_t *root = json_loadb((const char *)bytes, (size_t)entry->size, JSON_REJECT_DUPLICATES,
                              NULL);
    p->version = lstm__keras_version(json_string_value(json_object_get(root, "keras_version")));
    json_decref(root);
    lstm__release(p->context, owned);
    return LSTM_OK;
}

/* Weights hardly shrink when they are deflated: an entry that is announced much larger than it is
 * stored is not unpacked. */
static uint64_t most_weights(const lstm__zip_entry *entry)
{
    return entry->packed_size > (UINT64_MAX - MOST_ANYWAY) / LIKELY_RATIO
               ? UINT64_MAX
               : entry->packed_size * LIKELY_RATIO + MOST_ANYWAY;
}

static lstm_status open_weights(parts *p, const lstm__file *file)
{
    const lstm__zip_entry *entry = lstm__zip_find(p->zip, weights_name);
    const unsigned char *bytes = NULL;
    if (!entry)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: the archive has no %s", file->name, weights_name);
    const size_t size = strlen(file->name) + sizeof weights_name + 2;
    p->name = lstm__allocate(p->context, size);
    if (!p->name)
        return lstm__fail_memory(size, "a name");
    snprintf(p->name, size, "%s: %s", file->name, weights_name);
    RETURN_IF_ERROR(lstm__zip_content(p->zip, entry, most_weights(entry), &bytes, &p->owned));
    const lstm__cursor whole = lstm__memory_cursor(p->name, bytes, (size_t)entry->size);
    return lstm__hdf5_open(&p->weights, p->context, &whole, true);
}

static lstm_status open_archive(parts *p, const lstm__file *file, bool with_description)
{
    const unsigned char *bytes = NULL;
    RETURN_IF_ERROR(lstm__zip_open(&p->zip, p->context, file));
    const lstm__zip_entry *entry = lstm__zip_find(p->zip, "config.json");
    if (!entry)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: a ZIP archive without config.json or data.pkl, so no model of Keras or PyTorch",
            file->name);
    if (with_description) {
        RETURN_IF_ERROR(
            lstm__zip_content(p->zip, entry, MOST_DESCRIPTION, &bytes, &p->description_owned));
        p->description = (const char *)bytes;
        p->length = (size_t)entry->size;
        RETURN_IF_ERROR(read_metadata(p));
    }
    return open_weights(p, file);
}

/* ---- .h5 */

/* Keras 1 wrote no version at first. */
static lstm_status read_version(parts *p)
{
    static const char *const groups[] = {"", "model_weights"};
    p->version = 1;
    for (size_t k = 0; k < 2; k++) {
        lstm__hdf5_texts texts = {0};
        const lstm__hdf5_object *group = lstm__hdf5_find(p->weights, groups[k]);
        if (!group)
            continue;
        RETURN_IF_ERROR(lstm__hdf5_read_texts(p->weights, group, "keras_version", &texts));
        const int version = texts.count == 1 ? lstm__keras_version(texts.items[0]) : 0;
        const bool found = texts.found;
        lstm__hdf5_release_texts(&texts);
        if (found) {
            p->version = version;
            break;
        }
    }
    return LSTM_OK;
}

static lstm_status open_hdf5(parts *p, const lstm__file *file, bool with_description)
{
    const lstm__cursor whole = lstm__file_cursor(file);
    RETURN_IF_ERROR(lstm__hdf5_open(&p->weights, p->context, &whole, true));
    if (!with_description)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__hdf5_read_texts(p->weights, lstm__hdf5_get(p->weights, 0), "model_config",
                                          &p->texts));
    if (p->texts.count != 1)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: an HDF5 file without a description (no attribute \"model_config\"), "
                          "as Keras writes it for "
                          "weights alone: load a description first, then these weights into it "
                          "(lstm_model_load_weights)",
                          file->name);
    p->description = p->texts.items[0];
    p->length = strlen(p->description);
    if (p->length > MOST_DESCRIPTION)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: a description of %zu bytes; expected at most %d", file->name,
                          p->length, (int)MOST_DESCRIPTION);
    return read_version(p);
}

/* ---- Both */

static lstm_status open_parts(parts *p, lstm_context *context, const lstm__file *file,
                              bool with_description)
{
    *p = (parts){.context = context};
    return lstm__is_zip(file->bytes, file->size) ? open_archive(p, file, with_description)
                                                 : open_hdf5(p, file, with_description);
}

lstm_status lstm__keras_load(lstm_model **out, lstm_context *context, const lstm__file *file)
{
    lstm_status status = LSTM_OK;
    lstm_model *model = NULL;
    parts p;
    TRY(open_parts(&p, context, file, true));
    status = lstm__model_from_json_of_file(&model, context, p.description, p.length,
                                           lstm__keras_most_values(p.weights), p.version);
    if (status != LSTM_OK) {
        lstm__prefix_error(status, "%s: %s", file->name, p.zip ? "config.json" : "model_config");
        goto out;
    }
    TRY(lstm__keras_read_weights(model, p.weights, true));
    *out = model;
    model = NULL;
out:
    lstm__graph_release(model);
    end(&p);
    return status;
}

lstm_status lstm__keras_load_weights(lstm_model *model, const lstm__file *file)
{
    lstm_status status = LSTM_OK;
    parts p;
    TRY(open_parts(&p, model->context, file, false));
    TRY(lstm__keras_read_weights(model, p.weights, false));
out:
    end(&p);
    return status;
}
