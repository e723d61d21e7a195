#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages have no error or warning, and each that one refers to is one of ours or a known one.
# TAP.
set -u
cd "${srcdir:-$(dirname "$0")/..}" || exit 99

others="fstab.5 fusermount3.1 mount.8 systemd.mount.5 umount.8"
n=0
failed=0

# report NAME BREACHES
report()
{
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		failed=1
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

for page in docs/man/*; do
	if command -v mandoc >/dev/null; then
		report "mandoc -T lint $page" "$(mandoc -T lint -W warning "$page" 2>&1)"
	else
		n=$((n + 1))
		echo "ok $n - mandoc -T lint $page # SKIP no mandoc"
	fi
	report "$page refers to manuals that there are" "$(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1.\2/p' "$page" |
		while read -r name; do
			[ -e "docs/man/$name" ] && continue
			case " $others " in *" $name "*) ;; *) echo "$name" ;; esac
		done)"
done

echo "1..$n"
exit $failed
