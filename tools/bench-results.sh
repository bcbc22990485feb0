#!/bin/sh
# bench-results.sh PACKAGES measures again what bench/results holds of a version of Julia (CHAINBUILD_JULIA), with the
# packages in the folder PACKAGES (a subfolder of sources for each), and replaces the samples, tables and charts there. It
# takes about an hour of a machine that should do nothing else meanwhile: the files say how busy it was. `make build` comes
# first.
set -eu

packages=$(CDPATH='' cd -- "$1" && pwd -P)
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

# keep FOLDER CHART SAMPLES... puts the samples together, and keeps what cannot be made of them or is shown in the documentation.
keep() {
	folder=$1 chart=$2
	shift 2
	chainbuild bench report "$@" -o "made/$folder"
	mkdir -p "$results/$folder"
	cp "made/$folder/samples.jsonl" "made/$folder/tables.md" "made/$folder/$chart" "$results/$folder"
}
keep workloads first-use.svg stock chained
keep growth growth-time.svg growth
exit "${failed:-0}"
