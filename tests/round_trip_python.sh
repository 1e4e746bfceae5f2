#!/bin/sh
# SPDX-License-Identifier: MIT
#
# round_trip_python.sh FOLDER SCRIPT [ARGUMENT ...]: run a script by the Python of round_trip_packages.sh's environment if that is
# complete, else by $LSTM_PYTHON (python3). The script ends with 77 where a package is missing.
set -eu
folder=$1
shift
if [ -f "$folder/installed" ]; then
    exec "$folder/bin/python3" "$@"
fi
python=${LSTM_PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || {
    echo "skipped: there is no $python"
    exit 77
}
exec "$python" "$@"
