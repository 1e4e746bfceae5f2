#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Make a folder with what programs for aarch64 link and load: the C library, OpenBLAS, LAPACKE, Jansson, zlib and
# CMocka, as Debian packages them for arm64. For the toolchain file cmake/aarch64.cmake.
#
#   sh cmake/aarch64_root.sh FOLDER
#
# The packages come from the places this machine's apt knows and are unpacked, not installed: apt works on lists of its
# own inside FOLDER, so the machine's packages and architectures stay as they are, and nobody has to be root.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: sh cmake/aarch64_root.sh FOLDER" >&2
    exit 2
fi
packages="libc6-dev libopenblas-pthread-dev liblapacke-dev libjansson-dev zlib1g-dev libcmocka-dev"
mkdir -p "$1"
root=$(cd "$1" && pwd)
work=$root/.packages
if [ -e "$root/.complete" ]; then
    exit 0
fi
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
: >"$work/status"

apt_arm64()
{
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
        -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o Debug::NoLocking=true "$@"
}

apt_arm64 update
# The folder has no packages yet: what these need comes along.
# shellcheck disable=SC2086
apt_arm64 -y --no-install-recommends --download-only install $packages
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
done

# Links from / on would lead to this machine's files.
find "$root" -type l -lname '/*' | while read -r link; do
    ln -sfr "$root$(readlink "$link")" "$link"
done

# What the installed packages' alternatives would give.
library=$root/usr/lib/aarch64-linux-gnu
for name in libblas.so libblas.so.3 liblapack.so liblapack.so.3 libopenblas.so libopenblas.so.0; do
    ln -sf "openblas-pthread/$name" "$library/$name"
done
ln -sf openblas-pthread "$root/usr/include/aarch64-linux-gnu/openblas"
rm -rf "$work"
: >"$root/.complete"
