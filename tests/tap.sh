# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# The Test Anything Protocol for the checks in shell, which source it: report() prints a line for each, done_testing()
# the plan.
n=0
failed=0

# report NAME BREACHES: a check, "ok" where there is no breach
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

# skip NAME WHY
skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

done_testing()
{
	echo "1..$n"
	exit $failed
}
