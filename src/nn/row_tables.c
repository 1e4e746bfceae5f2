/* SPDX-License-Identifier: MIT
 * Where a session hands on numbers of the rows of a table: from a layer that gives them to its only
 * reader, if that takes them and the table is small. The numbers of the rule are measured,
 * docs/design/embedding-as-a-table.md.
 */
#include "row_tables.h"

/* What a table saves are products of `features` numbers, what it costs is moving rows of gates about, as
 * much as this many features are worth.
 *
 * Without training it pays in a session whose calls have few rows too: that runs step by step, for
 * long, and makes a row when it first meets it. */
enum { NARROW = 16, FEW_ROWS = 16, MOST_TABLE = 1024 };

static bool is_worth_it(const lstm_session *session, size_t table, size_t features, size_t rows)
{
    if (!session->training && rows <= FEW_ROWS && table <= MOST_TABLE)
        return features >= NARROW;
    return table <= rows / 2 &&
           (double)features * (double)(rows - table) >= (double)NARROW * (double)rows;
}

/* The node that reads a port of one reader, where this is its first input; NULL = the model's output, or
 * another input. */
static const lstm__node *reader_of(const lstm_layer *layer)
{
    const lstm_model *model = layer->node->model;
    for (size_t k = layer->node->index + 1; k < model->node_count; k++)
        if (model->nodes[k]->input_count > 0 && model->nodes[k]->inputs[0] == layer)
            return model->nodes[k];
    return NULL;
}

size_t lstm__session_table(const lstm_session *session, const lstm_layer *layer)
{
    const lstm__node *node = layer->node;
    const size_t table = node->class->table && layer->port == 0 ? node->class->table(node) : 0;
    const size_t rows = lstm__session_max_rows(session, node->shapes[layer->port]);
    if (table == 0 || node->readers[layer->port] != 1 ||
        !is_worth_it(session, table, (size_t)node->shapes[0].features, rows))
        return 0;
    const lstm__node *reader = reader_of(layer);
    return reader && reader->class->takes_table && reader->class->takes_table(reader, session)
               ? table
               : 0;
}
