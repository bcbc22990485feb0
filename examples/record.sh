#!/bin/sh
# record.sh [FOLDER...] makes the traces of the examples again: for each folder
# with a workload.jl, trace.jl is what --trace-compile writes while the workload
# runs under Julia's own image. Without folders, all of them.
#
# The depot is a fresh one and the workload runs twice, the second time recorded:
# the trace then neither depends on what the user has installed nor lists what
# loading a package from source compiles.
set -eu

examples=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
julia=$("$examples/../tools/find-julia.sh" | tail -n 1)
julia=${julia%%:*}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
unset JULIA_LOAD_PATH JULIA_PROJECT
export JULIA_DEPOT_PATH="$scratch/depot"

cd "$examples"
[ $# -gt 0 ] || set -- $(dirname -- */workload.jl)
for folder in "$@"; do
	echo "recording $folder" >&2
	if [ -e "$folder/Project.toml" ]; then project=$folder; else project=$scratch; fi
	"$julia" --startup-file=no --project="$project" "$folder/workload.jl" >"$scratch/first"
	"$julia" --startup-file=no --project="$project" --trace-compile="$scratch/trace" "$folder/workload.jl" >"$scratch/second"
	if ! cmp -s "$scratch/first" "$scratch/second"; then
		diff "$scratch/first" "$scratch/second" >&2 || true
		echo "record: two runs of $folder/workload.jl differ (above); print only what is the same each time" >&2
		exit 1
	fi
	mv "$scratch/trace" "$folder/trace.jl"
	echo "recorded $(wc -l <"$folder/trace.jl") statements in $folder/trace.jl" >&2
done
