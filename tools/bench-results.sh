#!/bin/sh
# bench-results.sh PACKAGES [SNIPPETS] measures again what bench/results holds of a version of Julia (CHAINBUILD_JULIA), with
# the packages in the folder PACKAGES (a subfolder of sources for each), and replaces the samples, tables and charts there.
# SNIPPETS is the folder tasks of the community's Julia-TTFX-Snippets; without it, snippets are not measured. It all takes
# about an hour of a machine that should do nothing else meanwhile, and half an hour more for snippets: the files say how busy
# it was. A PackageCompiler in the default environment is measured too, and takes as long again as the stock builds. `make
# build` comes first.
set -eu

packages=$(CDPATH='' cd -- "$1" && pwd -P)
snippets=${2:+$(CDPATH='' cd -- "$2" && pwd -P)}
cd "$(dirname -- "$0")/.."
CHAINBUILD_JULIA=$(tools/find-julia.sh | tail -n 1)
PATH=$PWD/bin:$PATH
export CHAINBUILD_JULIA PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# The commands are part of the results, and should say the same on each machine.
ln -s "$packages" "$scratch/packages"
version=$("${CHAINBUILD_JULIA%%:*}" --startup-file=no -e 'print(VERSION.major, ".", VERSION.minor)')
results=$PWD/bench/results/julia-$version
cd "$scratch"

# A workload that fails is said in the tables, which are made all the same.
chainbuild bench --packages packages Added Method DataFrames OhMyREPL stdlib -o stock || failed=1
chainbuild bench --packages packages --comparators none \
	Orbits 'Pkg status' 'REPL completion' CSV JSON StaticArrays CairoMakie GLMakie JuMP OrdinaryDiffEq Plots -o chained || failed=1
chainbuild bench growth -o growth || failed=1
if [ -n "$snippets" ]; then
	ln -s "$snippets" snippets
	chainbuild bench --packages packages --snippets snippets --comparators 'package images' -o tasks || failed=1
fi

# keep FOLDER SAMPLES... puts the samples together, and keeps what cannot be made of them.
keep() {
	folder=$1
	shift
	chainbuild bench report "$@" -o "made/$folder"
	mkdir -p "$results/$folder"
	cp "made/$folder/samples.jsonl" "made/$folder/tables.md" "$results/$folder"
}
# show FOLDER CHART keeps a chart that is shown in the documentation.
show() { cp "made/$1/$2" "$results/$1"; }
keep workloads stock chained
show workloads first-use.svg
keep growth growth
show growth growth-time.svg
show growth change-time.svg
[ -z "$snippets" ] || keep snippets tasks
exit "${failed:-0}"
