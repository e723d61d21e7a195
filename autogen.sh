#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure from configure.ac and Makefile.am.
set -eu
cd "$(dirname "$0")"
for tool in autoconf automake aclocal pkg-config; do
	if ! command -v "$tool" >/dev/null; then
		echo "autogen.sh: $tool is missing: apt install autoconf automake pkg-config" >&2
		exit 1
	fi
done
mkdir -p build-aux
autoreconf --install
