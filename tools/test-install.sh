#!/usr/bin/env bash
# test-install.sh installs into a scratch folder, uses what came there, and removes it again.
set -euo pipefail

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
	echo "test-install.sh: $*" >&2
	exit 1
}

# The folder's name has a space in it. Everyone can read what is installed, whatever the umask is.
to="$scratch/a root"
(umask 077 && make -s install DESTDIR="$to" PREFIX=/opt/chainbuild)
# Manual pages are as many as there are commands.
installed=$(cd "$to/opt/chainbuild" && find . -type f ! -name 'chainbuild-*.1' -printf '%m %P\n' | sort -k 2)
expected='755 bin/chainbuild
644 share/bash-completion/completions/chainbuild
644 share/chainbuild/ChainBuild/Project.toml
644 share/chainbuild/ChainBuild/src/ChainBuild.jl
644 share/chainbuild/ChainBuild/src/install.jl
644 share/chainbuild/ChainBuild/src/trace.jl
644 share/doc/chainbuild/LICENSE
644 share/fish/vendor_completions.d/chainbuild.fish
644 share/man/man1/chainbuild.1
644 share/zsh/site-functions/_chainbuild'
[ "$installed" = "$expected" ] || fail "these files were installed:
$installed
and these were wanted:
$expected"
closed=$(find "$to/opt" -type d ! -perm 755)
[ -z "$closed" ] || fail "not everyone can open $closed"

cd "$to/opt/chainbuild"
version=$(bin/chainbuild --version)
[[ $version == *chainbuild* ]] || fail "the installed program says of its version: $version"
# bash has the completion when it has read the file; the others' shells may not be here, but begin as they want it.
bash -c 'set -e; _get_comp_words_by_ref() { :; }; . share/bash-completion/completions/chainbuild; complete -p chainbuild' >/dev/null ||
	fail "bash does not complete chainbuild with the installed file"
[ "$(head -n 1 share/zsh/site-functions/_chainbuild)" = "#compdef chainbuild" ] || fail "zsh does not take the installed file for a completion"
grep -q '^complete .*-c chainbuild' share/fish/vendor_completions.d/chainbuild.fish || fail "fish does not take the installed file for a completion"

for command in build run status; do [ -s share/man/man1/chainbuild-$command.1 ] || fail "$command has no manual page"; done

cd "$OLDPWD"
make -s uninstall DESTDIR="$to" PREFIX=/opt/chainbuild
left=$(find "$to" -type f)
[ -z "$left" ] || fail "make uninstall leaves $left"
echo "ok: make install and make uninstall"
