#!/bin/sh
# install.sh puts a release of chainbuild into ~/.local, or into another prefix, after it has checked the archive's sum. A
# release that was there before is replaced.
#
#   install.sh                              the release that this install.sh belongs to
#   install.sh ARCHIVE                      an archive: a file, or a URL
#   install.sh --prefix FOLDER [ARCHIVE]    into another place than ~/.local
#   install.sh --sha256 SUM ARCHIVE         checks it against this sum, and not against the file SHA256SUMS beside the archive
#   install.sh --uninstall                  removes what was installed
set -eu

# The archive's URL and sum. A release has them; see dist.sh.
release=''
sum=''

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

refuse() {
	echo "install.sh: $*" >&2
	exit 2
}

prefix=${HOME:+$HOME/.local}
uninstall=
archive=
while [ $# -gt 0 ]; do
	case $1 in
	--prefix | --sha256)
		[ $# -gt 1 ] || refuse "$1 wants a value"
		if [ "$1" = --prefix ]; then prefix=$2; else given_sum=$2; fi
		shift
		;;
	--prefix=*) prefix=${1#*=} ;;
	--sha256=*) given_sum=${1#*=} ;;
	--uninstall) uninstall=yes ;;
	-h | --help)
		sed -n '/^set -eu/q; s/^# \{0,1\}//; 2,$p' "$0"
		exit 0
		;;
	-*) refuse "there is no option $1: see install.sh --help" ;;
	*)
		[ -z "$archive" ] || refuse "one archive is enough: $archive or $1"
		archive=$1
		;;
	esac
	shift
done
[ -n "$prefix" ] || refuse "there is no home folder: say where to install, with --prefix FOLDER"
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac

# The list of what was installed, relative to the prefix.
list=$prefix/share/chainbuild/installed

if [ -n "$uninstall" ]; then
	[ -f "$list" ] || refuse "install.sh has installed nothing in $prefix"
	while IFS= read -r file; do rm -f "$prefix/$file"; done <"$list"
	rm -f "$list"
	find "$prefix/share/chainbuild" "$prefix/share/doc/chainbuild" -depth -type d -exec rmdir {} + 2>/dev/null || true
	echo "removed chainbuild from $prefix"
	exit 0
fi

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || refuse "chainbuild runs on Linux on x86-64, and this is $(uname -s) on $(uname -m)"
if [ -z "$archive" ]; then
	[ -n "$release" ] || refuse "name the archive to install: install.sh chainbuild-VERSION-linux-amd64.tar.gz"
	archive=$release
	given_sum=${given_sum:-$sum}
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# get URL-OR-FILE TO
get() {
	case $1 in
	*://*)
		if command -v curl >/dev/null; then
			curl -fsSL -o "$2" "$1" || fail "$1 cannot be downloaded: try again, or download it by hand and name the file"
		elif command -v wget >/dev/null; then
			wget -q -O "$2" "$1" || fail "$1 cannot be downloaded: try again, or download it by hand and name the file"
		else
			fail "there is neither curl nor wget: download $1 by hand and name the file"
		fi
		;;
	*) cp "$1" "$2" || fail "$1 cannot be read" ;;
	esac
}

get "$archive" "$work/archive"
if [ -z "${given_sum:-}" ]; then
	case $archive in */*) beside=${archive%/*}/SHA256SUMS ;; *) beside=SHA256SUMS ;; esac
	case $archive in
	*://*) ;;
	*) [ -f "$beside" ] || refuse "there is no $beside to check $archive with: put it there, or give the sum with --sha256" ;;
	esac
	get "$beside" "$work/sums"
	given_sum=$(awk -v name="${archive##*/}" '$2 == name || $2 == "*" name { print $1 }' "$work/sums")
	[ -n "$given_sum" ] || fail "$beside does not list ${archive##*/}: take both from one release"
fi
found=$(sha256sum "$work/archive")
found=${found%% *}
[ "$found" = "$given_sum" ] || fail "$archive is not what was released: its sum is $found and not $given_sum. Nothing was installed; download it again"

mkdir "$work/tree"
tar -xzf "$work/archive" -C "$work/tree" --strip-components=1 --no-same-owner || fail "$archive cannot be unpacked"
[ -x "$work/tree/bin/chainbuild" ] || fail "$archive is no release of chainbuild: it has no bin/chainbuild"
"$work/tree/bin/chainbuild" --version >/dev/null || fail "the program in $archive does not run on this machine"

# Each file gets its name when it is whole, so that a chainbuild that runs goes on with the old one.
(cd "$work/tree" && find . -type f | sed 's|^\./||' | sort) >"$work/files"
while IFS= read -r file; do
	mkdir -p "$prefix/$(dirname "$file")"
	cp -p "$work/tree/$file" "$prefix/$file.new$$" && mv -f "$prefix/$file.new$$" "$prefix/$file" || fail "$prefix/$file cannot be written"
done <"$work/files"
if [ -f "$list" ]; then
	# What the release that was there before has had, and this one has not.
	while IFS= read -r file; do
		grep -qxF -e "$file" "$work/files" || rm -f "$prefix/$file"
	done <"$list"
fi
cp "$work/files" "$list"

echo "installed $("$prefix/bin/chainbuild" --version) in $prefix"
case :$PATH: in
*":$prefix/bin:"*) ;;
*) echo "$prefix/bin is not on PATH: add this line to your shell's start-up file:"
	echo "  export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
echo "\`chainbuild doctor\` says whether this machine has all that it needs. The package for Julia is $prefix/share/chainbuild/ChainBuild"
