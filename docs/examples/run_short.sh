#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: run_short.sh PROGRAM SHARED DATA OPTIONS...
#
# Runs an example in its short setting. DATA is the folder it reads in SHARED/data (LSTM_SHARED counts before SHARED), or
# "-"; where it is absent the example is skipped (77).
set -eu
program=$1
folder=${LSTM_SHARED:-$2}/data/$3
data=$3
shift 3
if [ "$data" = - ]; then
    exec "$program" "$@"
fi
if [ ! -d "$folder" ]; then
    echo "skipped: ../shared is absent"
    exit 77
fi
exec "$program" "$@" "$folder"
