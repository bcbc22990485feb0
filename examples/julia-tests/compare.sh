#!/bin/sh
# compare.sh [--quick] IMAGE [NAME...] runs Julia's own tests under Julia's image
# and under IMAGE, one after the other, and fails when any gives another result.
# NAME is as runtests.jl takes it; without names, those of the file `tests`, with
# --quick those that are marked so.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
pick='$1 !~ /^#/ && NF { print $1 }'
if [ "${1:-}" = --quick ]; then
	pick='$1 !~ /^#/ && $2 == "quick" { print $1 }'
	shift
fi
if [ $# -eq 0 ]; then
	echo "compare: name the image: compare.sh [--quick] IMAGE [NAME...]" >&2
	exit 2
fi
if [ ! -r "$1" ]; then
	echo "compare: the image $1 cannot be read" >&2
	exit 2
fi
image=$(readlink -f -- "$1")
shift
[ $# -gt 0 ] || set -- $(awk "$pick" "$here/tests")

julia=$("$here/../../tools/find-julia.sh" | tail -n 1)
julia=${julia%%:*}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
unset JULIA_LOAD_PATH JULIA_PROJECT
# Nothing of the user's, but the caches of the standard libraries that Julia brings along.
bundled=$("$julia" --startup-file=no -e 'print(abspath(Sys.BINDIR, "..", "share", "julia"))')
export JULIA_DEPOT_PATH="$scratch/depot:$bundled"

run() { # output file, test, options of julia
	output=$1 name=$2 status=0
	shift 2
	"$julia" --startup-file=no "$@" "$here/runtests.jl" "$name" >"$output" 2>"$scratch/errors" </dev/null || status=$?
	if [ $status -ne 0 ]; then
		echo "$name: ended with status $status: $(grep -m 1 '^ERROR' "$scratch/errors" || tail -n 1 "$scratch/errors")" >>"$output"
	fi
}

differ=0
for name in "$@"; do
	run "$scratch/base" "$name"
	if [ $status -ne 0 ]; then
		echo "compare: under Julia's own image $(cat "$scratch/base")" >&2
		exit 2
	fi
	run "$scratch/image" "$name" -J "$image"
	if cmp -s "$scratch/base" "$scratch/image"; then
		sed '1s/^/same    /; 2,$s/^/        /' "$scratch/image"
	else
		differ=$((differ + 1))
		echo "differs $name: < under Julia's image, > under $image"
		diff "$scratch/base" "$scratch/image" | sed 's/^/        /' || true
	fi
done
echo "$# tests, $differ with another result"
[ $differ -eq 0 ]
