#!/bin/sh
# find-julia.sh prints the Julia that the Makefile's targets use: CHAINBUILD_JULIA
# as it stands (it may list several, separated by colons), else a `julia` on the
# path of a version that chainbuild builds for, else the toolchain's, which it
# sets up first where it is missing.
set -eu

if [ -n "${CHAINBUILD_JULIA:-}" ]; then
	echo "$CHAINBUILD_JULIA"
	exit 0
fi
if julia=$(command -v julia); then
	case $("$julia" --version 2>/dev/null) in
	"julia version 1.5."*)
		echo "$julia"
		exit 0
		;;
	esac
fi
exec "$(dirname -- "$0")/toolchain.sh"
