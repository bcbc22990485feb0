#!/bin/sh
# record.sh [NAME...] makes trace.jl.gz again: what --trace-compile writes while
# Julia's own tests run under Julia's own image, each statement once, without
# those that name modules of the tests (no other process could resolve them).
# Without names, the tests of `traced`.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
[ $# -gt 0 ] || set -- $(sed '/^#/d' "$here/traced")

julia=$("$here/../../tools/find-julia.sh" | tail -n 1)
julia=${julia%%:*}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
unset JULIA_LOAD_PATH JULIA_PROJECT
export JULIA_DEPOT_PATH="$scratch/depot"

for name in "$@"; do
	# A test that fails, or even ends its process, still leaves its statements.
	"$julia" --startup-file=no --trace-compile="$scratch/one" "$here/runtests.jl" "$name" </dev/null >&2 ||
		echo "record: $name ended early" >&2
	cat "$scratch/one" >>"$scratch/all"
done
# The process may end in the middle of a line: only whole statements are kept.
# In the order of their first appearance, so that two recordings can be compared.
grep '^precompile(Tuple{.*})$' "$scratch/all" | grep -v 'Main\.' | awk '!seen[$0]++' >"$scratch/trace"
gzip -9n <"$scratch/trace" >"$here/trace.jl.gz"
echo "recorded $(wc -l <"$scratch/trace") statements in $here/trace.jl.gz" >&2
