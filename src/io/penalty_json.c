/* SPDX-License-Identifier: MIT
 * Regularisers, constraints and rates in descriptions:
 *
 *     "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}    or "l1", "l2", "L1L2" …
 *     "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2.0, "axis": 0}}
 *     "trainable": false          the rate 0
 *     "learning_rate_factor": 0.1
 *
 * as Keras writes them, also for "recurrent" and "bias"; of the output ("activity") a regulariser
 * alone. A name alone stands for Keras' defaults: l1 and l2 of 0.01.
 */
#include "penalty_json.h"
#include "constants.h"
#include "graph.h"
#include "names.h"
#include "penalties.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const parts[LSTM__PENALTIES] = {"kernel", "recurrent", "bias", "activity"};

/* LSTM__PENALTY_* whose key begins and ends so; -1 for none. */
static int part_of(const char *key, const char *ending)
{
    for (int k = 0; k < LSTM__PENALTIES; k++) {
        const size_t length = strlen(parts[k]);
        if (strncmp(key, parts[k], length) == 0 && strcmp(key + length, ending) == 0)
            return k;
    }
    return -1;
}

bool lstm__penalty_key(const lstm__layer_class *class, const char *key)
{
    const int regularizer = part_of(key, "_regularizer");
    const int part = regularizer >= 0 ? regularizer : part_of(key, "_constraint");
    if (part >= 0 && (regularizer >= 0 || part != LSTM__PENALTY_ACTIVITY))
        return lstm__penalty_suits(class, part);
    return strcmp(key, "trainable") == 0 ||
           (class->declare && strcmp(key, "learning_rate_factor") == 0);
}

static lstm_status wrong(lstm_status code, const char *key, const json_t *value,
                         const char *expected)
{
    char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const lstm_status status = lstm__fail(code, "\"%s\" is %.120s: expected %s", key,
                                          found ? found : "?", expected);
    free(found);
    return status;
}

/* A number of a config; `standard` where it is absent. */
static lstm_status read_number(const char *key, const json_t *config, const char *name,
                               double standard, double *number)
{
    const json_t *value = json_object_get(config, name);
    *number = value ? json_number_value(value) : standard;
    if ((value && !json_is_number(value)) || !(*number >= 0) || !isfinite(*number))
        return wrong(LSTM_ERROR_FORMAT, key, config, "finite numbers of at least 0");
    return LSTM_OK;
}

static lstm_status read_regularizer(const char *key, const json_t *value, lstm__penalty *penalty)
{
    const char *name = json_is_string(value)
                           ? json_string_value(value)
                           : json_string_value(json_object_get(value, "class_name"));
    const json_t *config = json_object_get(value, "config");
    penalty->l1 = penalty->l2 = 0;
    if (json_is_null(value))
        return LSTM_OK;
    const bool l1 = name && lstm__compare_names(name, "L1") == 0;
    const bool l2 = name && lstm__compare_names(name, "L2") == 0;
    const bool both = name && (lstm__compare_names(name, "L1L2") == 0 ||
                               lstm__compare_names(name, "l1_l2") == 0);
    if (!l1 && !l2 && !both)
        return wrong(LSTM_ERROR_UNSUPPORTED, key, value, "L1, L2 or L1L2");
    if (l1 || both)
        RETURN_IF_ERROR(read_number(key, config, "l1", l1 ? 0.01 : 0, &penalty->l1));
    if (l2 || both)
        RETURN_IF_ERROR(read_number(key, config, "l2", l2 ? 0.01 : 0, &penalty->l2));
    return LSTM_OK;
}

static lstm_status read_constraint(const char *key, const json_t *value, lstm__penalty *penalty)
{
    const char *name = json_is_string(value)
                           ? json_string_value(value)
                           : json_string_value(json_object_get(value, "class_name"));
    const json_t *config = json_object_get(value, "config");
    const json_t *axis = json_object_get(config, "axis");
    penalty->constraint = 0;
    if (json_is_null(value))
        return LSTM_OK;
    if (!name || lstm__constant_find(LSTM_NAMES_CONSTRAINT, name, &penalty->constraint) != LSTM_OK)
        return wrong(LSTM_ERROR_UNSUPPORTED, key, value, "MaxNorm, UnitNorm or NonNeg");
    if (axis && (!json_is_integer(axis) || json_integer_value(axis) != 0))
        return wrong(LSTM_ERROR_UNSUPPORTED, key, value, "the axis 0");
    RETURN_IF_ERROR(read_number(key, config, "max_value", 2, &penalty->max_norm));
    return penalty->max_norm > 0 ? LSTM_OK
                                 : wrong(LSTM_ERROR_FORMAT, key, value, "a max_value above 0");
}

static lstm_status read_rate(lstm__node *node, const char *key, const json_t *value)
{
    if (strcmp(key, "trainable") == 0) {
        if (!json_is_boolean(value))
            return wrong(LSTM_ERROR_FORMAT, key, value, "true or false");
        node->rate = json_is_false(value) ? 0 : node->rate;
        return LSTM_OK;
    }
    node->rate = json_number_value(value);
    if (!json_is_number(value) || !(node->rate >= 0) || !isfinite(node->rate))
        return wrong(LSTM_ERROR_FORMAT, key, value, "a finite number of at least 0");
    return LSTM_OK;
}

lstm_status lstm__penalty_from_json(lstm__node *node, const json_t *layer)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)layer, key, value)
    {
        const int regularizer = part_of(key, "_regularizer");
        const int constraint = part_of(key, "_constraint");
        if (!lstm__penalty_key(node->class, key))
            continue;
        if (regularizer == LSTM__PENALTY_ACTIVITY && !json_is_null(value) &&
            lstm__returns_state(node))
            return wrong(LSTM_ERROR_UNSUPPORTED, key, value,
                         "null: Keras would penalise the returned states too");
        if (regularizer >= 0)
            RETURN_IF_ERROR(read_regularizer(key, value, &node->penalties[regularizer]));
        else if (constraint >= 0)
            RETURN_IF_ERROR(read_constraint(key, value, &node->penalties[constraint]));
        else
            RETURN_IF_ERROR(read_rate(node, key, value));
    }
    return LSTM_OK;
}

static json_t *constraint_object(const lstm__penalty *p)
{
    if (p->constraint == LSTM_CONSTRAINT_MAX_NORM)
        return json_pack("{s:s, s:{s:f, s:i}}", "class_name", "MaxNorm", "config", "max_value",
                         p->max_norm, "axis", 0);
    if (p->constraint == LSTM_CONSTRAINT_UNIT_NORM)
        return json_pack("{s:s, s:{s:i}}", "class_name", "UnitNorm", "config", "axis", 0);
    return json_pack("{s:s, s:{}}", "class_name", "NonNeg", "config");
}

int lstm__penalty_to_json(const lstm__node *node, json_t *layer)
{
    char key[40];
    int failed = 0;
    for (int k = 0; k < LSTM__PENALTIES; k++) {
        const lstm__penalty *p = &node->penalties[k];
        if (p->l1 > 0 || p->l2 > 0) {
            snprintf(key, sizeof key, "%s_regularizer", parts[k]);
            failed |= json_object_set_new(layer, key,
                                          json_pack("{s:s, s:{s:f, s:f}}", "class_name", "L1L2",
                                                    "config", "l1", p->l1, "l2", p->l2)) != 0;
        }
        if (p->constraint > LSTM_CONSTRAINT_NONE) {
            snprintf(key, sizeof key, "%s_constraint", parts[k]);
            failed |= json_object_set_new(layer, key, constraint_object(p)) != 0;
        }
    }
    if (node->rate == 0)
        failed |= json_object_set_new(layer, "trainable", json_false()) != 0;
    else if (node->rate != 1)
        failed |= json_object_set_new(layer, "learning_rate_factor", json_real(node->rate)) != 0;
    return failed;
}
