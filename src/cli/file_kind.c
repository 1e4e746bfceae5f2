/* SPDX-License-Identifier: MIT
 *
 * What a model file is; see file_kind.h. Only for what is printed: the library decides by itself how
 * a file is read, and has read it before this is asked.
 */
#include "file_kind.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HEAD = 1 << 16, ZIP_NAME = 30, ZIP_NAME_LENGTH = 26, SAFETENSORS = 8 };

static int starts_with(const unsigned char *head, size_t size, const char *text, size_t length)
{
    return size >= length && memcmp(head, text, length) == 0;
}

static int contains(const unsigned char *head, size_t size, const char *text)
{
    const size_t length = strlen(text);
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(head + i, text, length) == 0) {
            return 1;
        }
    }
    return 0;
}

/* By the name of the first entry. */
static const char *zip_kind(const unsigned char *head, size_t size)
{
    if (size < ZIP_NAME) {
        return "ZIP archive";
    }
    const size_t length = head[ZIP_NAME_LENGTH] + 256u * head[ZIP_NAME_LENGTH + 1];
    const size_t there = length < size - ZIP_NAME ? length : size - ZIP_NAME;
    return contains(head + ZIP_NAME, there, "/") ? "state dict of PyTorch" : "archive of Keras";
}

static const char *kind_of(const unsigned char *head, size_t size)
{
    static const unsigned char zeros[4];
    size_t first = 0;
    if (starts_with(head, size, "\211HDF\r\n\032\n", 8)) {
        return "HDF5 file of Keras";
    }
    if (starts_with(head, size, "PK\3\4", 4)) {
        return zip_kind(head, size);
    }
    if (size > SAFETENSORS && memcmp(head + 4, zeros, 4) == 0 && head[SAFETENSORS] == '{') {
        return contains(head, size, "\"lstm.format\":\"checkpoint\"") ? "checkpoint of liblstm"
               : contains(head, size, "\"lstm.format\"")              ? "model of liblstm"
                                                                      : "safetensors";
    }
    if (size > 1 && head[0] == 0x80 && head[1] <= 5) {
        return "state dict of PyTorch";
    }
    while (first < size && strchr(" \t\r\n", head[first]) != NULL && head[first] != '\0') {
        first++;
    }
    if (first < size && head[first] == '{') {
        return contains(head, size, "\"class_name\"") ? "description by Keras" : "description";
    }
    return "ONNX graph";
}

const char *file_kind(const char *path, double *bytes)
{
    static unsigned char head[HEAD];
    struct stat info;
    FILE *file = fopen(path, "rb");
    *bytes = 0;
    if (file == NULL) {
        return "file";
    }
    const size_t size = fread(head, 1, sizeof head, file);
    if (fstat(fileno(file), &info) == 0) {
        *bytes = (double)info.st_size;
    }
    fclose(file);
    return kind_of(head, size);
}
