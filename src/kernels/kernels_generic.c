/* SPDX-License-Identifier: MIT
 *
 * The generic level: any architecture.
 */
#include "vec_generic.h"

#include "functions_tpl.h"

#define GATE_ROWS 6 /* tiles for 16 registers */
#define CROSS_ROWS 6
#define CROSS_VECTORS 2
#define LEVEL_TABLE lstm__kernels_generic
#define LEVEL_ISA LSTM_ISA_GENERIC
#define LEVEL_NAME "generic"
#include "level_tpl.h"
