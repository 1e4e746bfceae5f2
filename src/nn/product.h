/* SPDX-License-Identifier: MIT
 * The matrix product of the layers' number type.
 */
#ifndef LSTM_NN_PRODUCT_H
#define LSTM_NN_PRODUCT_H

#include "blas.h"

#ifdef LSTM__DOUBLE
#define lstm__gemm lstm__dgemm
#else
#define lstm__gemm lstm__sgemm
#endif

#endif
