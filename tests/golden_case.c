/* SPDX-License-Identifier: MIT
 * Reading golden cases through the public header.
 */
#include "golden_case.h"
#include "closeness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void golden_assert_ok(lstm_status status, const char *call, const char *file, int line)
{
    if (status == LSTM_OK)
        return;
    print_error("%s:%d: %s gave %s: %s\n", file, line, call, lstm_status_name(status),
                lstm_last_error());
    _fail(file, line);
}

static const char *shared_folder(void)
{
    const char *folder = getenv("LSTM_SHARED");
    return folder && folder[0] ? folder : LSTM_SHARED_DIR;
}

bool golden_available(void)
{
    struct stat info;
    char path[1024];
    snprintf(path, sizeof path, "%s/golden", shared_folder());
    if (stat(path, &info) == 0)
        return true;
    print_message("skipped: ../shared is absent\n");
    return false;
}

void golden_open(golden_case *golden, const char *group, const char *name)
{
    char path[1100];
    json_error_t error;
    snprintf(golden->folder, sizeof golden->folder, "%s/golden/%s/%s", shared_folder(), group,
             name);
    snprintf(path, sizeof path, "%s/case.json", golden->folder);
    golden->json = json_load_file(path, 0, &error);
    if (!golden->json)
        fail_msg("%s: %s", path, error.text);
}

void golden_close(golden_case *golden)
{
    json_decref(golden->json);
}

float *golden_array(const golden_case *golden, const char *name, size_t *count)
{
    char path[1200];
    struct stat info;
    lstm_archive *archive = NULL;
    lstm_array_info array = {.struct_size = sizeof array};
    snprintf(path, sizeof path, "%s/%s.npy", golden->folder, name);
    if (stat(path, &info) != 0)
        return NULL;
    assert_ok(lstm_archive_load(&archive, NULL, path));
    assert_ok(lstm_archive_get(archive, 0, &array));
    float *values = malloc((array.count + 1) * sizeof *values);
    assert_non_null(values);
    memcpy(values, array.data, array.count * sizeof *values);
    *count = array.count;
    lstm_archive_destroy(archive);
    return values;
}

float *golden_array_number(const golden_case *golden, const char *stem, size_t digits,
                           size_t number, size_t *count)
{
    char name[64];
    snprintf(name, sizeof name, "%s%0*zu", stem, (int)digits, number);
    return golden_array(golden, name, count);
}

lstm_model *golden_model(const golden_case *golden)
{
    lstm_model *model = NULL;
    char *text = json_dumps(json_object_get(golden->json, "config"), 0);
    assert_non_null(text);
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    free(text);
    return model;
}

void golden_set_parameters(const golden_case *golden, lstm_model *model, const char *stem,
                           size_t digits)
{
    const size_t parameters = lstm_model_parameter_count(model);
    for (size_t k = 0; k < parameters; k++) {
        size_t count = 0;
        float *values = golden_array_number(golden, stem, digits, k, &count);
        assert_non_null(values);
        assert_ok(lstm_model_set_parameter(model, k, values, count));
        free(values);
    }
}
