#!/bin/sh
# SPDX-License-Identifier: MIT
#
# round_trip_packages.sh FOLDER: with LSTM_ROUND_TRIP_INSTALL=1 a Python environment in FOLDER with what the round trips need
# (round_trip_packages.txt: Keras on JAX, PyTorch, ONNX Runtime, pyarrow), for round_trip_python.sh. Once: a file in the folder
# says what is in it. Ends with 77 (skipped) and the reason where it is not asked for, or python3, venv, pip or the packages are
# not to be had within ten minutes.
set -eu
folder=$1
list=$(dirname "$0")/round_trip_packages.txt
done=$folder/installed

skip()
{
    echo "skipped: $1"
    exit 77
}

[ "${LSTM_ROUND_TRIP_INSTALL:-}" = 1 ] || skip "LSTM_ROUND_TRIP_INSTALL is not 1: nothing is installed"
if [ -f "$done" ] && cmp -s "$list" "$done"; then
    echo "already there: $folder"
    exit 0
fi
command -v python3 >/dev/null 2>&1 || skip "there is no python3"
command -v timeout >/dev/null 2>&1 || skip "there is no timeout (coreutils)"
rm -rf "$folder"
python3 -m venv "$folder" >"$folder.log" 2>&1 || skip "python3 -m venv failed: $(tail -n 1 "$folder.log")"
started=$(date +%s)
if ! timeout 600 "$folder/bin/python3" -m pip install --quiet --no-input --disable-pip-version-check \
    --requirement "$list" >"$folder.log" 2>&1; then
    reason=$(grep -v '^WARNING' "$folder.log" | tail -n 1)
    rm -rf "$folder"
    skip "pip could not install round_trip_packages.txt within ten minutes: $reason"
fi
cp "$list" "$done"
echo "installed in $(($(date +%s) - started)) s: $folder"
