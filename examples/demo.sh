#!/bin/sh
# demo.sh builds an image for each example and runs the example's workload under
# Julia's own image and under the chained one: the same output, sooner. The images
# stay in bin/. `make demo` builds chainbuild first.
#
# The depot is a fresh one: nothing comes from a cache, and nothing stays in the
# user's.
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$top"
julia=$(tools/find-julia.sh | tail -n 1)
julia=${julia%%:*}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
unset JULIA_LOAD_PATH JULIA_PROJECT
export JULIA_DEPOT_PATH="$scratch/depot"

milliseconds() { # output file, options of julia; prints the wall-clock time
	output=$1
	shift
	began=$(date +%s%N)
	"$julia" --startup-file=no "$@" >"$output" </dev/null
	echo $((($(date +%s%N) - began) / 1000000))
}

: >"$scratch/table"
for example in Orbits stdlib; do
	image=bin/$example.so
	workload=examples/$example/workload.jl
	if [ -e "examples/$example/Project.toml" ]; then project=examples/$example; else project=$scratch; fi
	echo "chaining $example" >&2
	bin/chainbuild --julia "$julia" --project "$project" --statements "examples/$example/trace.jl" -o "$image"
	# Once unmeasured: a package's first load also writes its cache.
	milliseconds "$scratch/before" --project="$project" "$workload" >/dev/null
	before=$(milliseconds "$scratch/before" --project="$project" "$workload")
	after=$(milliseconds "$scratch/after" -J "$image" --project="$project" "$workload")
	if ! cmp -s "$scratch/before" "$scratch/after"; then
		diff "$scratch/before" "$scratch/after" >&2 || true
		echo "demo: $workload prints something else under $image (above, > is the chained image)" >&2
		exit 1
	fi
	awk -v name="$example" -v before="$before" -v after="$after" -v lines="$(wc -l <"$scratch/after")" 'BEGIN {
		printf "%-10s %10.2f s %11.2f s %10.1f %% %15d lines\n", name, before / 1000, after / 1000, 100 * after / before, lines
	}' >>"$scratch/table"
done

echo
echo "Start of Julia to the end of the workload:"
printf '%-10s %12s %13s %12s %21s\n' example 'own image' 'chained' 'of before' 'same output'
cat "$scratch/table"
