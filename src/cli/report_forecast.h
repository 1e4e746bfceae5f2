/* SPDX-License-Identifier: MIT
 *
 * The plots of the forecasting report (report_forecast.c puts them into the page). Each writes one
 * or more figures; where memory is short the page is marked as failed.
 */
#ifndef LSTM_CLI_REPORT_FORECAST_H
#define LSTM_CLI_REPORT_FORECAST_H

#include "forecast.h"
#include "report_page.h"

void plot_data(page *to, const forecast_run *run); /* the series and its split */
void plot_ahead(page *to,
                const forecast_run *run); /* the latest rows and the forecast with its intervals */
void plot_truth(page *to,
                const forecast_run *run); /* test part: all of it, and its end with the baselines */
void plot_steps(page *to, const forecast_run *run);     /* error by step ahead, for horizons > 1 */
void plot_loss(page *to, const forecast_run *run);      /* loss by epoch */
void plot_residuals(page *to, const forecast_run *run); /* over time, histogram, autocorrelation */

#endif
