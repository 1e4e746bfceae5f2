/* SPDX-License-Identifier: MIT
 *
 * Files of torch.save.
 *
 *     ZIP (PyTorch 1.6 and later)   NAME/data.pkl, one pickle; NAME/data/KEY, the bytes of storage
 *                                   KEY; NAME/byteorder, "little" or "big" (before 2.1: little)
 *     legacy                        pickles: a magic number, 1001, a dictionary about the system,
 *                                   the object, the list of storage keys; then for each key its
 *                                   number of elements in 8 bytes and the elements
 *
 * In the object's pickle a storage is a persistent id ("storage", type, KEY, location, elements),
 * and a tensor is torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, …). Storages may
 * be shared and tensors strided. A tensor may not leave its storage, nor have more elements than
 * the file has bytes. The data of storages are looked up when the pickle has been read: references
 * are sorted by key, so that many of them cost no more than sorting.
 */
#include "torch_file.h"

#include "checked.h"
#include "pickle_reader.h"
#include "zip_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PICKLE = 32 << 20, MOST_UNPACKED = 64 << 20, KEY_SIZE = 64, MOST_PATH = 1024 };

/* The functions a pickle may name. */
enum { ORDERED_DICTIONARY, TENSOR, PARAMETER, SIZE, STORAGE_TYPE };
/* The objects it may build. */
enum { OBJECT_STORAGE = 1, OBJECT_TENSOR };

typedef struct storage {
    char key[KEY_SIZE];
    int32_t kind;
    size_t count; /* elements, all of them */
    size_t first; /* of a view of the storage; else 0 */
    size_t viewed;
    const unsigned char *bytes;
} storage;

typedef struct tensor {
    lstm__torch_tensor found;
    size_t storage;
    size_t offset;
} tensor;

typedef struct parts {
    lstm_context *context;
    const lstm__file *file;
    lstm__zip *zip;
    const lstm__zip_entry **entries; /* by name */
    char prefix[MOST_PATH];          /* "NAME/" */
    lstm__pickle pickle;
    void *pickle_owned;
    storage *storages;
    size_t storage_count, storage_capacity;
    tensor *tensors;
    size_t tensor_count, tensor_capacity;
    size_t *order; /* storages by key */
    void **owned;  /* storages that had to be unpacked */
    size_t owned_count, owned_capacity;
    uint64_t unpacked; /* bytes that deflated storages need */
    char *names;
    bool big_endian;
} parts;

/* ---- What pickles may build */

static const struct {
    const char *module, *name;
    int function;
    int32_t kind;
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICTIONARY, 0},
    {"torch._utils", "_rebuild_tensor_v2", TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", PARAMETER, 0},
    {"torch", "Size", SIZE, 0},
    {"torch", "FloatStorage", STORAGE_TYPE, LSTM__F32},
    {"torch", "DoubleStorage", STORAGE_TYPE, LSTM__F64},
    {"torch", "HalfStorage", STORAGE_TYPE, LSTM__F16},
    {"torch", "BFloat16Storage", STORAGE_TYPE, LSTM__BF16},
    {"torch", "LongStorage", STORAGE_TYPE, LSTM__I64},
    {"torch", "IntStorage", STORAGE_TYPE, LSTM__I32},
    {"torch", "ShortStorage", STORAGE_TYPE, LSTM__I16},
    {"torch", "CharStorage", STORAGE_TYPE, LSTM__I8},
    {"torch", "ByteStorage", STORAGE_TYPE, LSTM__U8},
    {"torch", "BoolStorage", STORAGE_TYPE, LSTM__BOOL},
};
enum { GLOBALS = sizeof globals / sizeof *globals };

static lstm_status find_global(void *user, lstm__pickle *pickle, const char *module,
                               const char *name, uint32_t *value)
{
    /* old files name the storages of a GPU */
    const char *plain = strcmp(module, "torch.cuda") == 0 ? "torch" : module;
    (void)user;
    for (int64_t k = 0; k < GLOBALS; k++)
        if (strcmp(globals[k].module, plain) == 0 && strcmp(globals[k].name, name) == 0)
            return lstm__pickle_add(
                pickle, (lstm__pickle_value){.kind = LSTM__PICKLE_GLOBAL, .as.integer = k}, value);
    return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                      "%s: offset %zu: the pickle asks for %s.%s: only tensors and containers are "
                      "built, nothing is run (save model.state_dict(), not the model)",
                      pickle->cursor.name, pickle->cursor.base + pickle->cursor.offset, module,
                      name);
}

static lstm_status fail_in(const lstm__pickle *pickle, const char *what)
{
    return lstm__fail_at(&pickle->cursor, "%s", what);
}

static bool read_count(const lstm__pickle_value *value, size_t *count)
{
    if (!value || value->kind != LSTM__PICKLE_INTEGER || value->as.integer < 0)
        return false;
    *count = (size_t)value->as.integer;
    return true;
}

/* A tuple of whole numbers from 0. */
static bool read_sizes(const lstm__pickle *pickle, const lstm__pickle_value *tuple, int64_t *sizes,
                       int32_t *rank)
{
    if (!tuple || (tuple->kind != LSTM__PICKLE_TUPLE && tuple->kind != LSTM__PICKLE_LIST) ||
        tuple->count > LSTM__MOST_DIMENSIONS)
        return false;
    *rank = (int32_t)tuple->count;
    for (size_t k = 0; k < tuple->count; k++) {
        size_t size = 0;
        if (!read_count(lstm__pickle_item(pickle, tuple, k), &size))
            return false;
        sizes[k] = (int64_t)size;
    }
    return true;
}

static lstm_status add_object(lstm__pickle *pickle, int class, size_t number, uint32_t *value)
{
    return lstm__pickle_add(pickle,
                            (lstm__pickle_value){.kind = LSTM__PICKLE_OBJECT,
                                                 .class = (uint8_t) class,
                                                 .as.integer = (int64_t)number},
                            value);
}

/* ("storage", type, key, location, elements), in legacy files with None or (key, first, elements)
 * of a view behind it. */
static lstm_status find_storage(void *user, lstm__pickle *pickle, uint32_t id, uint32_t *value)
{
    parts *p = user;
    const lstm__pickle_value *tuple = lstm__pickle_get(pickle, id);
    const lstm__pickle_value *type = lstm__pickle_item(pickle, tuple, 1);
    const lstm__pickle_value *key = lstm__pickle_item(pickle, tuple, 2);
    const lstm__pickle_value *view = lstm__pickle_item(pickle, tuple, 5);
    storage s = {.kind = 0};
    if (!lstm__pickle_is(lstm__pickle_item(pickle, tuple, 0), "storage") || !type ||
        type->kind != LSTM__PICKLE_GLOBAL || globals[type->as.integer].function != STORAGE_TYPE ||
        !key || key->kind != LSTM__PICKLE_TEXT || key->count == 0 || key->count >= KEY_SIZE ||
        memchr(key->as.text, 0, key->count) ||
        !read_count(lstm__pickle_item(pickle, tuple, 4), &s.count))
        return fail_in(pickle, "a persistent id that is no storage");
    memcpy(s.key, key->as.text, key->count);
    s.kind = globals[type->as.integer].kind;
    s.viewed = s.count;
    if (view && view->kind != LSTM__PICKLE_NONE &&
        (!read_count(lstm__pickle_item(pickle, view, 1), &s.first) ||
         !read_count(lstm__pickle_item(pickle, view, 2), &s.viewed) || s.first > s.count ||
         s.viewed > s.count - s.first))
        return fail_in(pickle, "a view outside its storage");
    RETURN_IF_ERROR(lstm__grow(p->context, (void **)&p->storages, &p->storage_capacity,
                               p->storage_count + 1, sizeof *p->storages));
    p->storages[p->storage_count] = s;
    return add_object(pickle, OBJECT_STORAGE, p->storage_count++, value);
}

/* Elements that the tensor reaches: from its offset to its last one. */
static bool stays_inside(const lstm__torch_tensor *t, size_t offset, size_t elements)
{
    size_t last = offset;
    if (t->count == 0)
        return true;
    for (int32_t k = 0; k < t->rank; k++) {
        size_t reach = 0;
        if (!lstm__mul((size_t)t->shape[k] - 1, (size_t)t->stride[k], &reach) ||
            !lstm__add(last, reach, &last))
            return false;
    }
    return last < elements;
}

/* (storage, offset, shape, stride, requires_grad, hooks) */
static lstm_status build_tensor(parts *p, lstm__pickle *pickle, uint32_t arguments, uint32_t *value)
{
    const lstm__pickle_value *tuple = lstm__pickle_get(pickle, arguments);
    const lstm__pickle_value *from = lstm__pickle_item(pickle, tuple, 0);
    tensor t = {.found = {.name = NULL}};
    int32_t strides = 0;
    if (!from || from->kind != LSTM__PICKLE_OBJECT || from->class != OBJECT_STORAGE ||
        !read_count(lstm__pickle_item(pickle, tuple, 1), &t.offset) ||
        !read_sizes(pickle, lstm__pickle_item(pickle, tuple, 2), t.found.shape, &t.found.rank) ||
        !read_sizes(pickle, lstm__pickle_item(pickle, tuple, 3), t.found.stride, &strides) ||
        strides != t.found.rank)
        return fail_in(pickle, "a tensor without a storage, an offset, a shape of at most 8 "
                               "dimensions and as many strides");
    t.storage = (size_t)from->as.integer;
    const storage *s = &p->storages[t.storage];
    if (!lstm__product(t.found.shape, (size_t)t.found.rank, &t.found.count) ||
        t.found.count > p->file->size)
        return fail_in(pickle, "a tensor of more elements than the file has bytes");
    if (!stays_inside(&t.found, t.offset, s->viewed))
        return fail_in(pickle, "a tensor that leaves its storage");
    t.offset += s->first;
    t.found.kind = s->kind;
    RETURN_IF_ERROR(lstm__grow(p->context, (void **)&p->tensors, &p->tensor_capacity,
                               p->tensor_count + 1, sizeof *p->tensors));
    p->tensors[p->tensor_count] = t;
    return add_object(pickle, OBJECT_TENSOR, p->tensor_count++, value);
}

/* OrderedDict() or OrderedDict([(key, value), …]) */
static lstm_status build_dictionary(lstm__pickle *pickle, uint32_t arguments, uint32_t *value)
{
    const lstm__pickle_value *tuple = lstm__pickle_get(pickle, arguments);
    const uint32_t list = tuple->count > 0 ? tuple->as.items[0] : 0;
    const size_t pairs = tuple->count > 0 ? lstm__pickle_get(pickle, list)->count : 0;
    if (tuple->count > 0 && lstm__pickle_get(pickle, list)->kind != LSTM__PICKLE_LIST)
        return fail_in(pickle, "an OrderedDict of something that is no list of pairs");
    RETURN_IF_ERROR(
        lstm__pickle_add(pickle, (lstm__pickle_value){.kind = LSTM__PICKLE_DICTIONARY}, value));
    for (size_t k = 0; k < pairs; k++) {
        const uint32_t pair = lstm__pickle_get(pickle, list)->as.items[k];
        const lstm__pickle_value *two = lstm__pickle_get(pickle, pair);
        if ((two->kind != LSTM__PICKLE_TUPLE && two->kind != LSTM__PICKLE_LIST) || two->count != 2)
            return fail_in(pickle, "an OrderedDict of something that is no list of pairs");
        RETURN_IF_ERROR(lstm__pickle_append(pickle, *value, two->as.items[0]));
        RETURN_IF_ERROR(
            lstm__pickle_append(pickle, *value, lstm__pickle_get(pickle, pair)->as.items[1]));
    }
    return LSTM_OK;
}

static lstm_status call_global(void *user, lstm__pickle *pickle, uint32_t function,
                               uint32_t arguments, uint32_t *value)
{
    const lstm__pickle_value *first = lstm__pickle_item(pickle, lstm__pickle_get(pickle, arguments),
                                                        0);
    switch (globals[lstm__pickle_get(pickle, function)->as.integer].function) {
    case ORDERED_DICTIONARY:
        return build_dictionary(pickle, arguments, value);
    case TENSOR:
        return build_tensor(user, pickle, arguments, value);
    case PARAMETER: /* (tensor, requires_grad, hooks) */
        if (!first || first->kind != LSTM__PICKLE_OBJECT || first->class != OBJECT_TENSOR)
            return fail_in(pickle, "a parameter that is no tensor");
        *value = lstm__pickle_get(pickle, arguments)->as.items[0];
        return LSTM_OK;
    case SIZE: /* (tuple,) */
        if (!first || first->kind != LSTM__PICKLE_TUPLE)
            return fail_in(pickle, "a torch.Size that is no tuple");
        *value = lstm__pickle_get(pickle, arguments)->as.items[0];
        return LSTM_OK;
    default:
        return fail_in(pickle, "the pickle calls a type of storages");
    }
}

static const lstm__pickle_builder builder = {
    .global = find_global, .call = call_global, .persistent = find_storage};

/* ---- Storages */

static int by_key(const void *a, const void *b, void *storages)
{
    return strcmp(((const storage *)storages)[*(const size_t *)a].key,
                  ((const storage *)storages)[*(const size_t *)b].key);
}

/* qsort_r is not in C11: merge sort, which also keeps equal keys in their order. */
static void sort(size_t *items, size_t *room, size_t count, void *user,
                 int (*compare)(const void *, const void *, void *))
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            const size_t middle = low + width < count ? low + width : count;
            const size_t high = low + 2 * width < count ? low + 2 * width : count;
            size_t a = low;
            size_t b = middle;
            for (size_t k = low; k < high; k++)
                room[k] = a < middle && (b >= high || compare(&items[a], &items[b], user) <= 0)
                              ? items[a++]
                              : items[b++];
        }
        memcpy(items, room, count * sizeof *items);
    }
}

/* References to storages by key; those to one storage must agree. */
static lstm_status sort_storages(parts *p)
{
    p->order = lstm__allocate_array(p->context, p->storage_count, sizeof *p->order);
    size_t *room = lstm__allocate_array(p->context, p->storage_count, sizeof *room);
    if (!p->order || !room) {
        lstm__release(p->context, room);
        return lstm__fail_memory(p->storage_count * sizeof *room, "the storages of a file");
    }
    for (size_t k = 0; k < p->storage_count; k++)
        p->order[k] = k;
    sort(p->order, room, p->storage_count, p->storages, by_key);
    lstm__release(p->context, room);
    for (size_t k = 1; k < p->storage_count; k++) {
        const storage *a = &p->storages[p->order[k - 1]];
        const storage *b = &p->storages[p->order[k]];
        if (strcmp(a->key, b->key) == 0 && (a->kind != b->kind || a->count != b->count))
            return lstm__fail(LSTM_ERROR_FORMAT,
                              "%s: storage %s is %zu elements of %s in one place and %zu of %s in "
                              "another",
                              p->file->name, a->key, a->count, lstm__element_name(a->kind),
                              b->count, lstm__element_name(b->kind));
    }
    return LSTM_OK;
}

/* Give all references to the storage of order[*first] its bytes; *first becomes the next one. */
static lstm_status place_storage(parts *p, size_t *first, const unsigned char *bytes, uint64_t size)
{
    const storage *s = &p->storages[p->order[*first]];
    size_t needed = 0;
    if (!lstm__mul(s->count, lstm__element_size(s->kind), &needed) || needed != size)
        return lstm__fail(
            LSTM_ERROR_FORMAT, "%s: storage %s has %llu bytes: expected %zu elements of %s",
            p->file->name, s->key, (unsigned long long)size, s->count, lstm__element_name(s->kind));
    size_t k = *first;
    for (; k < p->storage_count && strcmp(p->storages[p->order[k]].key, s->key) == 0; k++)
        p->storages[p->order[k]].bytes = bytes;
    *first = k;
    return LSTM_OK;
}

static lstm_status no_storage(const parts *p, const char *key)
{
    return lstm__fail(LSTM_ERROR_FORMAT, "%s: storage %s is not in the file", p->file->name, key);
}

/* ---- ZIP */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const lstm__zip_entry *const *)a)->name,
                  (*(const lstm__zip_entry *const *)b)->name);
}

static const lstm__zip_entry *find_entry(const parts *p, const char *name)
{
    char path[MOST_PATH + KEY_SIZE + 8];
    lstm__zip_entry wanted = {.name = path};
    const lstm__zip_entry *pointer = &wanted;
    snprintf(path, sizeof path, "%s%s", p->prefix, name);
    const void *found = bsearch(&pointer, p->entries, lstm__zip_count(p->zip), sizeof pointer,
                                by_name);
    return found ? *(const lstm__zip_entry *const *)found : NULL;
}

/* NAME/data.pkl, with nothing but the name of a folder before it; NULL if there is none. */
static const lstm__zip_entry *main_entry(const lstm__zip *zip)
{
    static const char suffix[] = "/data.pkl";
    for (size_t k = 0; k < lstm__zip_count(zip); k++) {
        const lstm__zip_entry *entry = lstm__zip_get(zip, k);
        const char *slash = strchr(entry->name, '/');
        if (slash && strcmp(slash, suffix) == 0 && slash - entry->name < MOST_PATH - 2)
            return entry;
    }
    return NULL;
}

lstm_status lstm__torch_is_zip(const lstm__file *file, bool *is_torch)
{
    lstm__zip *zip = NULL;
    *is_torch = false;
    if (!lstm__is_zip(file->bytes, file->size))
        return LSTM_OK;
    const lstm_status status = lstm__zip_open(&zip, file->context, file);
    if (status != LSTM_OK)
        return status == LSTM_ERROR_MEMORY ? status : LSTM_OK;
    *is_torch = main_entry(zip) != NULL;
    lstm__zip_close(zip);
    return LSTM_OK;
}

static lstm_status read_byte_order(parts *p)
{
    const lstm__zip_entry *entry = find_entry(p, "byteorder");
    const unsigned char *bytes = NULL;
    void *owned = NULL;
    if (!entry)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__zip_content(p->zip, entry, 64, &bytes, &owned));
    p->big_endian = entry->size == 3 && memcmp(bytes, "big", 3) == 0;
    const bool little = entry->size == 6 && memcmp(bytes, "little", 6) == 0;
    lstm__release(p->context, owned);
    return p->big_endian || little
               ? LSTM_OK
               : lstm__fail(LSTM_ERROR_FORMAT, "%s: the byte order is neither little nor big",
                            p->file->name);
}

static lstm_status read_zip_storages(parts *p)
{
    RETURN_IF_ERROR(sort_storages(p));
    for (size_t k = 0; k < p->storage_count;) {
        char name[KEY_SIZE + 8];
        const char *key = p->storages[p->order[k]].key;
        const unsigned char *bytes = NULL;
        void *owned = NULL;
        snprintf(name, sizeof name, "data/%s", key);
        const lstm__zip_entry *entry = find_entry(p, name);
        if (!entry)
            return no_storage(p, key);
        RETURN_IF_ERROR(lstm__grow(p->context, (void **)&p->owned, &p->owned_capacity,
                                   p->owned_count + 1, sizeof *p->owned));
        /* PyTorch does not deflate; parameters hardly shrink anyway */
        p->unpacked += entry->stored ? 0 : entry->size;
        if (p->unpacked > MOST_UNPACKED && p->unpacked / 16 > p->file->size)
            return lstm__fail(LSTM_ERROR_FORMAT,
                              "%s: storages that unpack to %llu bytes and more, out of a file of "
                              "%zu",
                              p->file->name, (unsigned long long)p->unpacked, p->file->size);
        RETURN_IF_ERROR(lstm__zip_content(p->zip, entry, UINT64_MAX, &bytes, &owned));
        if (owned)
            p->owned[p->owned_count++] = owned;
        RETURN_IF_ERROR(place_storage(p, &k, bytes, entry->size));
    }
    return LSTM_OK;
}

static lstm_status read_zip(parts *p, uint32_t *object)
{
    const unsigned char *bytes = NULL;
    RETURN_IF_ERROR(lstm__zip_open(&p->zip, p->context, p->file));
    const lstm__zip_entry *main = main_entry(p->zip);
    const size_t count = lstm__zip_count(p->zip);
    p->entries = lstm__allocate_array(p->context, count, sizeof *p->entries);
    if (!p->entries)
        return lstm__fail_memory(count * sizeof *p->entries, "the entries of an archive");
    for (size_t k = 0; k < count; k++)
        p->entries[k] = lstm__zip_get(p->zip, k);
    qsort(p->entries, count, sizeof *p->entries, by_name);
    if (!main)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: the archive has no data.pkl", p->file->name);
    snprintf(p->prefix, sizeof p->prefix, "%.*s", (int)(strchr(main->name, '/') - main->name + 1),
             main->name);
    if (find_entry(p, "constants.pkl"))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: a TorchScript program: save its state_dict() with torch.save",
                          p->file->name);
    RETURN_IF_ERROR(lstm__zip_content(p->zip, main, MOST_PICKLE, &bytes, &p->pickle_owned));
    p->pickle.cursor = lstm__memory_cursor(p->file->name, bytes, (size_t)main->size);
    RETURN_IF_ERROR(lstm__pickle_run(&p->pickle, object));
    RETURN_IF_ERROR(read_byte_order(p));
    return read_zip_storages(p);
}

/* ---- Legacy */

bool lstm__is_pickle(const unsigned char *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5;
}

static bool is_magic(const lstm__pickle_value *value)
{
    static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                          0x20, 0x6a, 0xa8, 0x50, 0x19};
    return value->kind == LSTM__PICKLE_LONG && value->count == sizeof magic &&
           memcmp(value->as.text, magic, sizeof magic) == 0;
}

static lstm_status read_legacy_storages(parts *p, uint32_t keys)
{
    lstm__pickle *const pickle = &p->pickle;
    const lstm__pickle_value *list = lstm__pickle_get(pickle, keys);
    if (list->kind != LSTM__PICKLE_LIST)
        return fail_in(pickle, "no list of storages behind the object");
    RETURN_IF_ERROR(sort_storages(p));
    for (size_t k = 0; k < list->count; k++) {
        const lstm__pickle_value *key = lstm__pickle_item(pickle, list, k);
        uint64_t elements = 0;
        size_t low = 0;
        size_t high = p->storage_count;
        char text[KEY_SIZE] = "";
        if (key->kind == LSTM__PICKLE_TEXT && key->count < KEY_SIZE)
            memcpy(text, key->as.text, key->count);
        while (low < high) { /* the first that is not before the key */
            const size_t middle = low + (high - low) / 2;
            if (strcmp(p->storages[p->order[middle]].key, text) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == p->storage_count || strcmp(p->storages[p->order[low]].key, text) != 0)
            return fail_in(pickle, "a storage in the list that no tensor has");
        const storage *s = &p->storages[p->order[low]];
        RETURN_IF_ERROR(lstm__get_uint(&pickle->cursor, 8, &elements));
        if (elements != s->count)
            return fail_in(pickle, "a storage of another size than its tensors say");
        const unsigned char *bytes = NULL;
        size_t size = 0;
        if (!lstm__mul(s->count, lstm__element_size(s->kind), &size))
            size = SIZE_MAX;
        RETURN_IF_ERROR(lstm__get_bytes(&pickle->cursor, size, &bytes));
        RETURN_IF_ERROR(place_storage(p, &low, bytes, size));
    }
    for (size_t k = 0; k < p->storage_count; k++)
        if (!p->storages[k].bytes)
            return no_storage(p, p->storages[k].key);
    return lstm__remaining(&pickle->cursor) == 0
               ? LSTM_OK
               : fail_in(pickle, "the file goes on behind its last storage");
}

static lstm_status check_system(const parts *p, uint32_t number)
{
    const lstm__pickle_value *system = lstm__pickle_get(&p->pickle, number);
    for (size_t k = 0; system->kind == LSTM__PICKLE_DICTIONARY && k + 1 < system->count; k += 2) {
        const lstm__pickle_value *value = lstm__pickle_get(&p->pickle, system->as.items[k + 1]);
        if (lstm__pickle_is(lstm__pickle_get(&p->pickle, system->as.items[k]), "little_endian") &&
            value->kind == LSTM__PICKLE_BOOL && value->as.integer)
            return LSTM_OK;
    }
    return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                      "%s: a legacy file that does not say that it is little-endian",
                      p->file->name);
}

static lstm_status read_legacy(parts *p, uint32_t *object)
{
    uint32_t number = 0;
    p->pickle.cursor = lstm__file_cursor(p->file);
    RETURN_IF_ERROR(lstm__pickle_run(&p->pickle, &number));
    if (!is_magic(lstm__pickle_get(&p->pickle, number)))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: a pickle, but not of torch.save: expected a state dict",
                          p->file->name);
    RETURN_IF_ERROR(lstm__pickle_run(&p->pickle, &number));
    if (lstm__pickle_get(&p->pickle, number)->as.integer != 1001 ||
        lstm__pickle_get(&p->pickle, number)->kind != LSTM__PICKLE_INTEGER)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: a legacy file of PyTorch of another version than 1001",
                          p->file->name);
    RETURN_IF_ERROR(lstm__pickle_run(&p->pickle, &number));
    RETURN_IF_ERROR(check_system(p, number));
    RETURN_IF_ERROR(lstm__pickle_run(&p->pickle, object));
    RETURN_IF_ERROR(lstm__pickle_run(&p->pickle, &number));
    return read_legacy_storages(p, number);
}

/* ---- The state dict */

static bool is_tensor(const lstm__pickle_value *value)
{
    return value->kind == LSTM__PICKLE_OBJECT && value->class == OBJECT_TENSOR;
}

static size_t count_tensors(const parts *p, const lstm__pickle_value *dictionary)
{
    size_t count = 0;
    for (size_t k = 1; dictionary->kind == LSTM__PICKLE_DICTIONARY && k < dictionary->count; k += 2)
        count += is_tensor(lstm__pickle_get(&p->pickle, dictionary->as.items[k]));
    return count;
}

/* The dictionary with the tensors: the object itself, or a usual member of a checkpoint. */
static lstm_status find_state_dict(const parts *p, uint32_t *object)
{
    static const char *const members[] = {
        "state_dict", "model_state_dict", "model_state", "model", "net", "module"};
    const lstm__pickle_value *top = lstm__pickle_get(&p->pickle, *object);
    if (count_tensors(p, top) > 0)
        return LSTM_OK;
    for (size_t m = 0; m < sizeof members / sizeof *members; m++)
        for (size_t k = 0; top->kind == LSTM__PICKLE_DICTIONARY && k + 1 < top->count; k += 2) {
            const uint32_t value = top->as.items[k + 1];
            if (!lstm__pickle_is(lstm__pickle_get(&p->pickle, top->as.items[k]), members[m]) ||
                count_tensors(p, lstm__pickle_get(&p->pickle, value)) == 0)
                continue;
            lstm__log(p->context, "%s: a checkpoint: \"%s\" is read, the rest is not",
                      p->file->name, members[m]);
            *object = value;
            return LSTM_OK;
        }
    static const char *const kinds[] = {"None",       "a bool",   "a number",
                                        "a number",   "a number", "a text",
                                        "a tuple",    "a list",   "a dictionary without tensors",
                                        "a function", "a tensor"};
    return lstm__fail(LSTM_ERROR_FORMAT,
                      "%s: holds %s: expected a state dict, names with their tensors",
                      p->file->name, kinds[top->kind]);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two tensors may not share a name. */
static lstm_status check_names(const lstm__torch_file *file)
{
    lstm_status status = LSTM_OK;
    const char **names = lstm__allocate_array(file->context, file->count, sizeof *names);
    if (!names)
        return lstm__fail_memory(file->count * sizeof *names, "names of tensors");
    for (size_t k = 0; k < file->count; k++)
        names[k] = file->tensors[k].name;
    qsort(names, file->count, sizeof *names, by_text);
    for (size_t k = 1; k < file->count; k++)
        if (strcmp(names[k - 1], names[k]) == 0)
            FAIL(LSTM_ERROR_FORMAT, "%s: two tensors are called \"%.200s\"", file->name, names[k]);
out:
    lstm__release(file->context, names);
    return status;
}

static lstm_status list_tensors(lstm__torch_file *out, parts *p, uint32_t object)
{
    const lstm__pickle_value *dictionary = lstm__pickle_get(&p->pickle, object);
    const size_t count = count_tensors(p, dictionary);
    size_t bytes = 0;
    size_t others = 0;
    for (size_t k = 0; k < dictionary->count; k += 2)
        bytes += (size_t)lstm__pickle_get(&p->pickle, dictionary->as.items[k])->count + 1;
    out->tensors = lstm__allocate_array(p->context, count, sizeof *out->tensors);
    p->names = lstm__allocate(p->context, bytes);
    if (!out->tensors || !p->names)
        return lstm__fail_memory(count * sizeof *out->tensors, "the tensors of a file");
    char *next = p->names;
    for (size_t k = 0; k + 1 < dictionary->count; k += 2) {
        const lstm__pickle_value *key = lstm__pickle_get(&p->pickle, dictionary->as.items[k]);
        const lstm__pickle_value *value = lstm__pickle_get(&p->pickle, dictionary->as.items[k + 1]);
        if (!is_tensor(value)) {
            others++;
            continue;
        }
        if (key->kind != LSTM__PICKLE_TEXT || key->count == 0 ||
            !lstm__is_name((const char *)key->as.text, key->count))
            return lstm__fail(LSTM_ERROR_FORMAT, "%s: a tensor without a proper name",
                              p->file->name);
        const tensor *t = &p->tensors[value->as.integer];
        lstm__torch_tensor *to = &out->tensors[out->count++];
        *to = t->found;
        to->name = next;
        to->big_endian = p->big_endian;
        to->bytes = p->storages[t->storage].bytes;
        if (to->count > 0)
            to->bytes += t->offset * lstm__element_size(to->kind);
        memcpy(next, key->as.text, key->count);
        next[key->count] = 0;
        next += key->count + 1;
    }
    if (others > 0)
        lstm__log(p->context, "%s: %zu entries of the state dict are no tensors and are not read",
                  p->file->name, others);
    return check_names(out);
}

/* ---- All */

lstm_status lstm__torch_open(lstm__torch_file *out, const lstm__file *file)
{
    lstm_status status = LSTM_OK;
    uint32_t object = 0;
    *out = (lstm__torch_file){.context = file->context, .name = file->name, .ordered = true};
    parts *p = lstm__allocate_zeroed(file->context, sizeof *p);
    if (!p)
        return lstm__fail_memory(sizeof *p, "a file of PyTorch");
    out->parts = p;
    p->context = file->context;
    p->file = file;
    p->pickle = (lstm__pickle){.context = file->context, .builder = &builder, .user = p};
    TRY(lstm__is_zip(file->bytes, file->size) ? read_zip(p, &object) : read_legacy(p, &object));
    TRY(find_state_dict(p, &object));
    TRY(list_tensors(out, p, object));
    return LSTM_OK;
out:
    lstm__torch_close(out);
    return status;
}

lstm_status lstm__torch_open_safetensors(lstm__torch_file *out, const lstm__safetensors *tensors)
{
    const size_t count = lstm__safetensors_count(tensors);
    *out = (lstm__torch_file){.name = lstm__safetensors_path(tensors)};
    out->context = lstm__safetensors_context(tensors);
    out->tensors = lstm__allocate_array(out->context, count, sizeof *out->tensors);
    if (!out->tensors)
        return lstm__fail_memory(count * sizeof *out->tensors, "the tensors of a file");
    out->count = count;
    for (size_t k = 0; k < count; k++) {
        const lstm__tensor *t = lstm__safetensors_get(tensors, k);
        lstm__torch_tensor *to = &out->tensors[k];
        *to = (lstm__torch_tensor){.name = t->name,
                                   .kind = t->kind,
                                   .rank = t->rank,
                                   .count = t->count,
                                   .bytes = t->bytes};
        int64_t stride = 1;
        for (int32_t d = t->rank; d-- > 0;) {
            to->shape[d] = t->shape[d];
            to->stride[d] = stride;
            stride *= t->shape[d] > 0 ? t->shape[d] : 1;
        }
    }
    return LSTM_OK;
}

void lstm__torch_close(lstm__torch_file *file)
{
    parts *p = file->parts;
    lstm__release(file->context, file->tensors);
    file->tensors = NULL;
    file->parts = NULL;
    if (!p)
        return;
    for (size_t k = 0; k < p->owned_count; k++)
        lstm__release(p->context, p->owned[k]);
    lstm__pickle_end(&p->pickle);
    lstm__release(p->context, p->owned);
    lstm__release(p->context, p->entries);
    lstm__release(p->context, p->storages);
    lstm__release(p->context, p->tensors);
    lstm__release(p->context, p->order);
    lstm__release(p->context, p->names);
    lstm__release(p->context, p->pickle_owned);
    lstm__zip_close(p->zip);
    lstm__release(p->context, p);
}

lstm__elements lstm__torch_elements(const lstm__torch_tensor *t)
{
    int64_t stride = 1;
    for (int32_t d = t->rank; d-- > 0; stride *= t->shape[d])
        if (t->stride[d] != stride && t->shape[d] > 1)
            return (lstm__elements){0};
    return (lstm__elements){.bytes = t->bytes,
                            .kind = t->kind,
                            .big_endian = t->big_endian,
                            .stride = lstm__element_size(t->kind),
                            .count = t->count};
}

void lstm__torch_floats(const lstm__torch_tensor *t, float *values)
{
    const size_t size = lstm__element_size(t->kind);
    const int32_t last = t->rank - 1;
    const size_t row = t->rank == 0 ? 1 : (size_t)t->shape[last];
    int64_t index[LSTM__MOST_DIMENSIONS] = {0};
    lstm__elements elements = {.kind = t->kind,
                               .big_endian = t->big_endian,
                               .stride = t->rank == 0 ? size : (size_t)t->stride[last] * size,
                               .count = row};
    for (size_t done = 0; done < t->count; done += row) {
        size_t place = 0;
        for (int32_t d = 0; d < last; d++)
            place += (size_t)(index[d] * t->stride[d]);
        elements.bytes = t->bytes + place * size;
        lstm__read_floats(&elements, values + done);
        for (int32_t d = last - 1; d >= 0 && ++index[d] == t->shape[d]; d--)
            index[d] = 0;
    }
}
