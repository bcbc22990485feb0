#!/usr/bin/env bash
# dist.sh VERSION makes in dist/ what a release has. The same sources give the same bytes, wherever the checkout lies.
#
#   chainbuild-VERSION-linux-amd64.tar.gz   what `make install` installs, and the licences of what the program is linked with
#   chainbuild-VERSION.sbom.json            its bill of materials (CycloneDX)
#   install.sh                              puts the archive into a prefix
#   SHA256SUMS                              their sums
#
# With RELEASE_URL, the folder of a server where these files will be, install.sh knows its archive and the sum of it.
# The dates of all files are that of SOURCE_DATE_EPOCH, else that of the last commit. The tree that was packed stays in dist/tree.
set -euo pipefail

version=${1:?say the version}
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
export LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
umask 022

rm -rf dist
name=chainbuild-$version
tree=$PWD/dist/tree/$name-linux-amd64
make -s install VERSION="$version" DESTDIR="$tree" PREFIX=

# Who gives away a program has to give the licences of its parts with it.
licences() {
	echo "Chainbuild has the licence in the file LICENSE. The program is linked with Go's standard library and the modules below. Their licences:"
	local path version dir file
	while read -r path version dir; do
		for file in "$dir"/LICEN[CS]E* "$dir"/COPYING* "$dir"/NOTICE* "$dir"/PATENTS*; do
			if [ -f "$file" ]; then
				printf '\n==== %s %s: %s ====\n\n' "$path" "$version" "${file##*/}"
				cat "$file"
			fi
		done
	done < <(
		echo "std $(go env GOVERSION) $(go env GOROOT)"
		go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/chainbuild | sort -u
	)
}
doc=$tree/share/doc/chainbuild
licences >"$doc/LICENSES"
install -m 644 CHANGELOG.md "$doc"

go run -C tools/release ./sbom "$tree/bin/chainbuild" "$version" >"dist/$name.sbom.json"
archive=$name-linux-amd64.tar.gz
tar -C dist/tree --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$name-linux-amd64" |
	gzip -9n >"dist/$archive"

sum=$(cd dist && sha256sum "$archive")
sed -e "s|^release=.*|release='${RELEASE_URL:+$RELEASE_URL/$archive}'|" -e "s|^sum=.*|sum='${RELEASE_URL:+${sum%% *}}'|" tools/install.sh >dist/install.sh
chmod 755 dist/install.sh
(cd dist && sha256sum "$archive" "$name.sbom.json" install.sh >SHA256SUMS)
echo "dist/$archive"
