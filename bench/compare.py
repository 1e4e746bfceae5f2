#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what two builds' bench programs printed.

    compare.py BEFORE.json AFTER.json [--worse PERCENT]

Lines are matched by everything that says what was run. Speed is GFLOP/s, or the inverse of a time; the last line is the
geometric mean. With --worse the program ends with 1 if a line became slower by more than that.
"""
import argparse
import json
import math
import sys

NAMES = ("mode", "B", "T", "I", "H", "threads", "route", "level", "kernel", "machine", "bytes", "model", "batch")
SPEEDS = (("gflops", 1), ("ns_per_element", -1), ("epoch_seconds", -1), ("gigabytes_per_second", 1))


def read(path):
    lines = {}
    with open(path, encoding="utf-8") as file:
        for text in file:
            if not text.startswith("{"):
                continue
            line = json.loads(text)
            name = " ".join(str(line[key]) for key in NAMES if key in line)
            for key, sign in SPEEDS:
                if key in line:
                    lines[name] = (line[key], sign)
                    break
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--worse", type=float, default=None)
    arguments = parser.parse_args()
    before, after = read(arguments.before), read(arguments.after)
    ratios = []
    for name, (value, sign) in before.items():
        if name not in after:
            continue
        ratio = (after[name][0] / value) ** sign
        ratios.append(ratio)
        print(f"{name:60} {value:10.4g} {after[name][0]:10.4g}   x {ratio:.2f}")
    if not ratios:
        sys.exit("compare.py: the two files have no line in common")
    print(f"{'geometric mean of ' + str(len(ratios)):82}   x {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")
    if arguments.worse is not None and min(ratios) < 1 - arguments.worse / 100:
        sys.exit(1)


if __name__ == "__main__":
    main()
