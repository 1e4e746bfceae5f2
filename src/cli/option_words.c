/* SPDX-License-Identifier: MIT
 *
 * Words with settings; see option_words.h.
 */
#include "option_words.h"

#include "arguments.h"
#include "messages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* true, false, yes, no, null, a number, else text */
static json_t *value_from_text(const char *text)
{
    double number;
    int64_t whole;
    if (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0) {
        return json_true();
    }
    if (strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0) {
        return json_false();
    }
    if (strcasecmp(text, "null") == 0 || strcasecmp(text, "none") == 0) {
        return json_null();
    }
    if (parse_integer(text, &whole)) {
        return json_integer((json_int_t)whole);
    }
    return parse_real(text, &number) ? json_real(number) : json_string(text);
}

/* {"name": name, key: value, …} */
int object_from_text(json_t **out, const char *text, const char *what)
{
    *out = json_object();
    if (*out == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    const size_t length = strcspn(text, ":");
    json_object_set_new(*out, "name", json_stringn(text, length));
    if (text[length] == '\0') {
        return EXIT_DONE;
    }
    parts keys = {0};
    int code = parts_split(&keys, text + length + 1, what);
    for (size_t i = 0; i < keys.count && code == EXIT_DONE; i++) {
        char *equals = strchr(keys.items[i], '=');
        if (equals == NULL || equals == keys.items[i]) {
            code = message_error(EXIT_USE, "%s: \"%s\": expected key=value", what, keys.items[i]);
            break;
        }
        *equals = '\0';
        if (json_object_get(*out, keys.items[i]) != NULL) {
            code = message_error(EXIT_USE, "%s: \"%s\" is given twice", what, keys.items[i]);
        } else if (json_object_set_new(*out, keys.items[i], value_from_text(equals + 1)) != 0) {
            code = message_error(EXIT_USE, "%s: \"%s\" is no UTF-8 text", what, keys.items[i]);
        }
    }
    parts_release(&keys);
    if (code != EXIT_DONE) {
        json_decref(*out);
        *out = NULL;
    }
    return code;
}

const char *value_text(const json_t *value, char *text, size_t size)
{
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    snprintf(text, size, "%.60s", dump == NULL ? "?" : dump);
    free(dump);
    return text;
}

int wrong_value(const char *what, const char *name, const char *key, const char *expected,
                const json_t *value)
{
    char shown[64];
    return message_error(EXIT_USE, "%s: %s: \"%s\" takes %s, not %s", what, name, key, expected,
                         value_text(value, shown, sizeof shown));
}

int unknown_word(const char *what, const char *name, const char *key, const char *const *names)
{
    const char *near = nearest_word(key, names);
    return near == NULL ? message_error(EXIT_USE, "%s: %s has no option \"%s\"", what, name, key)
                        : message_error(EXIT_USE, "%s: %s has no option \"%s\"; did you mean %s?",
                                        what, name, key, near);
}
