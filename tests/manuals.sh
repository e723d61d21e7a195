#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages have no error or warning, and each that one refers to is one of ours or a known one.
# TAP.
set -u
cd "${srcdir:-$(dirname "$0")/..}" || exit 99
. tests/tap.sh

others="fstab.5 fusermount3.1 mount.8 systemd.mount.5 umount.8"

for page in docs/man/*; do
	if command -v mandoc >/dev/null; then
		report "mandoc -T lint $page" "$(mandoc -T lint -W warning "$page" 2>&1)"
	else
		skip "mandoc -T lint $page" "no mandoc"
	fi
	report "$page refers to manuals that there are" "$(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1.\2/p' "$page" |
		while read -r name; do
			[ -e "docs/man/$name" ] && continue
			case " $others " in *" $name "*) ;; *) echo "$name" ;; esac
		done)"
done

done_testing
