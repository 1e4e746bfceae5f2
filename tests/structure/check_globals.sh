#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: check_globals.sh ARCHIVE OBJDUMP
#
# No object of the library has writable data, but for the error text, which each thread has its own of (.tbss, .tdata).
# Constants with addresses in them (.data.rel.ro) are written by the loader only and count as constant. Every name that
# one object offers to others begins with lstm_, so that the archive can be linked into any program.
set -eu
"$2" -t "$1" >symbols.txt
awk '/file format/ { sub(/:.*/, ""); object = $0; objects++ }
     {
        # address, 7 columns of flags, section, size, name
        for (k = 2; k <= NF; k++)
            if ($k ~ /^(\.data|\.bss|\*COM\*)/ && $k !~ /^\.data\.rel\.ro/) {
                if ($(k + 2) != "" && $(k + 2) != $k && $(k + 1) !~ /^0+$/) {
                    print object ": " $(k + 2) " is writable (" $k ", 0x" $(k + 1) " bytes)"
                    found++
                }
                break
            }
     }
     /\.(tbss|tdata)/ && $NF !~ /^\.t/ { print object ": thread-local " $NF; locals++ }
     $2 == "g" && $0 !~ /\*UND\*/ && $NF !~ /^lstm_/ {
        print object ": the name " $NF " does not begin with lstm_"
        foreign++
     }
     END {
        if (!objects) { print "no objects in the archive"; exit 1 }
        print objects " objects, " locals + 0 " thread-local variables, " found + 0 " writable globals"
        exit found + foreign > 0
     }' symbols.txt
