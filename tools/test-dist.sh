#!/usr/bin/env bash
# test-dist.sh makes what a release has in two copies of the sources, and wants the same bytes; then it installs the archive,
# uses what came there, and tries archives that are not to be installed.
set -euo pipefail

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
	echo "test-dist.sh: $*" >&2
	exit 1
}

# The copies lie in different places, and are made by people with different habits.
export SOURCE_DATE_EPOCH=1700000000 RELEASE_URL="file://$scratch/one/dist"
copy() {
	mkdir "$scratch/$1"
	git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$scratch/$1"
}
copy one
copy "another place"
(umask 077 && TZ=Asia/Kathmandu make -s -C "$scratch/one" dist VERSION=v1.2.3 >"$scratch/log" 2>&1) || fail "make dist fails: $(cat "$scratch/log")"
sleep 1
make -s -C "$scratch/another place" dist VERSION=v1.2.3 >"$scratch/log" 2>&1 || fail "make dist fails: $(cat "$scratch/log")"
diff "$scratch/one/dist/SHA256SUMS" "$scratch/another place/dist/SHA256SUMS" || fail "two builds of a release differ"
(cd "$scratch/one/dist" && sha256sum --quiet -c SHA256SUMS) || fail "the sums are not those of the files"

dist=$scratch/one/dist
archive=$dist/chainbuild-v1.2.3-linux-amd64.tar.gz
to="$scratch/a prefix"
expect() { # expect CODE PATTERN COMMAND…: a command that is refused, and changes nothing
	local code=0 wanted=$1 pattern=$2
	shift 2
	"$@" >"$scratch/said" 2>&1 || code=$?
	[ "$code" = "$wanted" ] && grep -q -e "$pattern" "$scratch/said" || fail "$* ends with $code and says: $(cat "$scratch/said")"
}

# What is no release is not installed.
cp "$archive" "$scratch/damaged.tar.gz"
printf x | dd of="$scratch/damaged.tar.gz" bs=1 seek=5000 conv=notrunc status=none
cp "$scratch/damaged.tar.gz" "$scratch/chainbuild-v1.2.3-linux-amd64.tar.gz"
cp "$dist/SHA256SUMS" "$scratch"
expect 1 'is not what was released' "$dist/install.sh" --prefix "$to" "$scratch/chainbuild-v1.2.3-linux-amd64.tar.gz"
expect 1 'does not list damaged' "$dist/install.sh" --prefix "$to" "$scratch/damaged.tar.gz"
rm "$scratch/SHA256SUMS"
expect 2 'to check .* with' "$dist/install.sh" --prefix "$to" "$scratch/damaged.tar.gz"
expect 1 'cannot be read' "$dist/install.sh" --prefix "$to" --sha256 0 "$scratch/none.tar.gz"
expect 2 'name the archive' tools/install.sh --prefix "$to"
expect 2 'no option --prefxi' "$dist/install.sh" --prefxi "$to"
expect 2 'has installed nothing' "$dist/install.sh" --prefix "$to" --uninstall
[ ! -e "$to" ] || fail "an archive that was refused leaves files: $(find "$to")"

# The installer of the release knows its archive, where it can be downloaded; any installer takes a file.
if command -v curl >/dev/null; then from=(); else from=("$archive"); fi
"$dist/install.sh" --prefix "$to" ${from[@]+"${from[@]}"} >"$scratch/said" || fail "install.sh fails"
grep -q 'not on PATH' "$scratch/said" || fail "install.sh does not say that the program is not on the path: $(cat "$scratch/said")"
[ "$("$to/bin/chainbuild" --version | cut -d ' ' -f 1,2)" = "chainbuild v1.2.3" ] || fail "the installed program has another version"
file_type=$(LC_ALL=C readelf -l "$to/bin/chainbuild" 2>/dev/null || true)
case $file_type in *INTERP*) fail "the program is not static" ;; esac
for file in share/man/man1/chainbuild-build.1 share/doc/chainbuild/LICENSE share/doc/chainbuild/LICENSES share/chainbuild/ChainBuild/src/ChainBuild.jl \
	share/bash-completion/completions/chainbuild share/zsh/site-functions/_chainbuild share/fish/vendor_completions.d/chainbuild.fish; do
	[ -s "$to/$file" ] || fail "the archive has no $file"
done
head -n 30 "$to/share/man/man1/chainbuild-build.1" | grep -q '^\.TH "CHAINBUILD' || fail "the manual page does not begin as one"
for module in github.com/spf13/cobra std; do
	grep -q "^==== $module " "$to/share/doc/chainbuild/LICENSES" || fail "the licence of $module is missing"
	grep -q "pkg:golang/$module@" "$dist/chainbuild-v1.2.3.sbom.json" || fail "$module is not in the bill of materials"
done

# Another release takes its place, without what it does not have; a program that runs stays as it is.
echo obsolete >"$to/share/chainbuild/obsolete"
echo share/chainbuild/obsolete >>"$to/share/chainbuild/installed"
ln "$to/bin/chainbuild" "$scratch/running"
tools/install.sh --prefix "$to" "$archive" >/dev/null || fail "install.sh does not install again"
[ ! -e "$to/share/chainbuild/obsolete" ] || fail "a file of the release before is still there"
[ ! "$to/bin/chainbuild" -ef "$scratch/running" ] || fail "the program was written over"
tools/install.sh --prefix "$to" --uninstall >/dev/null
left=$(find "$to" -type f)
[ -z "$left" ] || fail "install.sh --uninstall leaves $left"
echo "ok: make dist and install.sh"
