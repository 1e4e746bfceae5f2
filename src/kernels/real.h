/* SPDX-License-Identifier: MIT
 * `real` is float. The gradient checks of the tests compile kernels and layers a second time with
 * LSTM__DOUBLE, where it is double.
 */
#ifndef LSTM_KERNELS_REAL_H
#define LSTM_KERNELS_REAL_H

#ifdef LSTM__DOUBLE
typedef double real;
#else
typedef float real;
#endif

#endif
