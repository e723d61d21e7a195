#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The law of the layers: base < store < py < view < { cmd, mount } < main. A file includes modules
# of its own layer or an earlier one; cmd and mount see of each other the one public header; each
# third-party header has one home; no file is over 600 lines (but tables of data, *_table.h), and none
# is a drawer for odds and ends.
# TAP: one check for each law, naming every breach.
set -u
cd "${srcdir:-$(dirname "$0")/..}" || exit 99
. tests/tap.sh

files=$(find src mount \( -name '*.c' -o -name '*.h' -o -name '*.py' \) -type f | LC_ALL=C sort)

# each_include PROGRAM: runs awk over every #include line: `home` is the layer of the file, `path`
# what it includes, `system` whether in angle brackets
each_include()
{
	# shellcheck disable=SC2086 # the list of files is words
	awk '
	function layer(file) {
		if (file == "src/main.c") return "main"
		sub(/^src\//, "", file)
		sub(/\/.*/, "", file)
		return file
	}
	BEGIN { split("base store py view cmd mount main", order, " ")
		for (i in order) rank[order[i]] = i + 0
		rank["mount"] = rank["cmd"] }
	/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
		home = layer(FILENAME)
		system_header = ($0 ~ /</)
		path = $0
		sub(/^[^<"]*[<"]/, "", path); sub(/[>"].*/, "", path)
		'"$1"'
	}' $files
}

report "a file includes only its own layer or an earlier one" "$(each_include '
	if (system_header) next
	there = path; sub(/\/.*/, "", there)
	if (!(there in rank) || path !~ /\//)
		print FILENAME ": \"" path "\" is not written as \"layer/module.h\""
	else if (rank[there] > rank[home])
		print FILENAME ": " home " may not include " path')"

report "cmd and mount see each other by one public header" "$(each_include '
	if (system_header) next
	if (home == "cmd" && path ~ /^mount\// && path != "mount/mount.h" ||
	    home == "mount" && path ~ /^cmd\// && path != "cmd/cmd.h")
		print FILENAME ": " home " may not include " path')"

report "each third-party header has one home" "$(each_include '
	if (path ~ /^openssl\// && FILENAME != "src/store/digest.c" ||
	    path ~ /^xxh(ash|3)\.h$/ && FILENAME != "src/store/checksum.c" ||
	    path ~ /^ini\.h$/ && FILENAME != "src/store/config.c" ||
	    path ~ /^z(ip|ipconf|lib|conf)\.h$/ && FILENAME !~ /^src\/py\/wheel[a-z_]*\.c$/ ||
	    path ~ /^curl\// && FILENAME != "src/cmd/download.c" ||
	    path ~ /^(fuse|cuse)/ && home != "mount")
		print FILENAME ": <" path "> does not belong here"')"

report "a .c includes its own header first" "$(each_include '
	if (system_header || FILENAME !~ /\.c$/ || FILENAME in seen) next
	seen[FILENAME] = 1
	own = FILENAME; sub(/^src\//, "", own); sub(/c$/, "h", own)
	file = own ~ /^mount\// ? own : "src/" own
	if (path != own && (getline line < file) >= 0)
		print FILENAME ": " path " is included before " own
	close(file)')"

# shellcheck disable=SC2086
report "no file is over 600 lines" "$(awk '
	FNR == 601 && FILENAME !~ /_table\.h$/ { print FILENAME " has more than 600 lines" }' $files)"

report "no file is a drawer for odds and ends" "$(printf '%s\n' "$files" |
	grep -E '/(utils?|helpers?|common|misc)\.')"

report "every file has one SPDX line" "$(for f in $files; do
	[ "$(grep -c 'SPDX-License-Identifier: MIT' "$f")" = 1 ] || echo "$f"
done)"

done_testing
