#!/usr/bin/env bash
# fuzz.sh INPUTS runs each fuzz test of the module on INPUTS inputs, one test after the other, and prints for each how many
# it ran and how many of them reached new code. It stops at the first test that finds something, or that ran fewer inputs.
#
# Inputs are counted, and not seconds: at the end of a time, Go's fuzzer now and then takes its own deadline for a failure.
# Interesting inputs are not made smaller (-fuzzminimizetime 1x): what a test does in its goroutines differs from run to
# run, and then the fuzzer does nothing else for a minute. A failing input is kept in testdata/fuzz as it was found.
set -euo pipefail

inputs=${1:?say how many inputs each test gets}
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

tests=$(grep -r --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]+' . | sort)
while IFS=: read -r file name; do
	package=$(dirname "$file")
	name=${name#func }
	began=$SECONDS
	if ! go test -run '^$' -fuzz "^$name\$" -fuzztime "${inputs}x" -fuzzminimizetime 1x "$package" >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		echo "fuzz.sh: $name in $package failed: what go test printed is above" >&2
		exit 1
	fi
	# The last line of progress reads: fuzz: elapsed: 3s, execs: 20000 (6666/sec), new interesting: 90 (total: 95)
	progress=$(sed -nE 's/^fuzz: .*execs: ([0-9]+) .*new interesting: ([0-9]+) .*/\1 \2/p' "$log" | tail -n 1)
	ran=${progress% *}
	new=${progress#* }
	if [ "${ran:-0}" -lt "$inputs" ]; then
		cat "$log" >&2
		echo "fuzz.sh: $name in $package ran ${ran:-no} inputs, and not $inputs" >&2
		exit 1
	fi
	printf '%-18s %-20s %9d inputs, %4d of them reached new code, %3d s\n' "$package" "$name" "$ran" "$new" $((SECONDS - began))
done <<<"$tests"
