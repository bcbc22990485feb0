#!/bin/sh
# test-tools.sh installs the programs that the tests use beside Go and Julia, where they are missing: a C and a C++ compiler
# with their headers (the race detector needs the former too), readelf and addr2line, and gdb. It asks the machine's own
# package sources.
set -eu

there() {
	for program in gcc g++ readelf addr2line gdb; do
		command -v $program >/dev/null || return 1
	done
	printf '#include <string>\n' | g++ -x c++ -fsyntax-only - 2>/dev/null
}

if there; then exit 0; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
	echo "test-tools.sh: gcc, g++, readelf, addr2line and gdb are not all here; install them (apt-get can, as root)" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install --yes --no-install-recommends g++ libc6-dev binutils gdb
there || { echo "test-tools.sh: a program is still missing after its package was installed" >&2; exit 1; }
