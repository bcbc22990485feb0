#!/usr/bin/env bash
# deb.sh VERSION makes a Debian package in dist/ of what dist.sh has put there, by nfpm, a Go program of tools/release. The same
# sources give the same bytes. lintian, where it is installed, has to accept it.
#
# DEBFULLNAME and DEBEMAIL say who maintains it, as for Debian's own tools; without the latter it is the author of the last commit.
# DEB_HOMEPAGE is the project's address.
set -euo pipefail

version=${1:?say the version}
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
export LC_ALL=C TZ=UTC
umask 022
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# A version of Debian begins with a digit. That of a commit without a tag is before all releases.
case $version in
v[0-9]*) DEB_VERSION=${version#v} ;;
[0-9]*.*) DEB_VERSION=$version ;;
*) DEB_VERSION=0~$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d)+$version ;;
esac
# A part behind a hyphen would be a revision of Debian's. What a tag has there, as v0.2.0-rc1, is before v0.2.0; what git adds
# behind a tag, as v0.2.0-3-g9ff69fd, is after it.
if [[ $DEB_VERSION =~ ^(.*)-([0-9]+)-(g[0-9a-f]+.*)$ ]]; then
	DEB_VERSION=${BASH_REMATCH[1]//-/\~}+${BASH_REMATCH[2]}+${BASH_REMATCH[3]//-/+}
else
	DEB_VERSION=${DEB_VERSION/%-dirty/+dirty}
	DEB_VERSION=${DEB_VERSION//-/\~}
fi
export DEB_VERSION
export DEB_MAINTAINER="${DEBFULLNAME:-The chainbuild authors} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"
export DEB_HOMEPAGE=${DEB_HOMEPAGE:-}
export TREE=$PWD/dist/tree/chainbuild-$version-linux-amd64
export PACKED=$PWD/dist/deb

[ -x "$TREE/bin/chainbuild" ] || { echo "deb.sh: $TREE is not there: run make dist first" >&2; exit 1; }
rm -rf "$PACKED"
mkdir -p "$PACKED/man" "$PACKED/doc"
for page in "$TREE"/share/man/man1/*.1; do gzip -9n <"$page" >"$PACKED/man/${page##*/}.gz"; done
gzip -9n <CHANGELOG.md >"$PACKED/doc/CHANGELOG.md.gz"
gzip -9n <"$TREE/share/doc/chainbuild/LICENSES" >"$PACKED/doc/LICENSES.gz"
{
	printf 'chainbuild (%s) unstable; urgency=medium\n\n' "$DEB_VERSION"
	printf '  * CHANGELOG.md.gz says what has changed.\n\n'
	printf ' -- %s  %s\n' "$DEB_MAINTAINER" "$(date -u -d "@$SOURCE_DATE_EPOCH" -R)"
} | gzip -9n >"$PACKED/doc/changelog.gz"
{
	printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: chainbuild\n'
	printf 'Comment: The licences of the Go modules that the program is linked with are in\n /usr/share/doc/chainbuild/LICENSES.gz.\n\n'
	printf 'Files: *\nCopyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
	sed -e '1,/^Copyright/d' LICENSE | sed -e '1{/^$/d}' -e 's/^$/./' -e 's/^/ /'
} >"$PACKED/doc/copyright"
printf '# One program for each Linux, as Go makes them.\nchainbuild: statically-linked-binary [usr/bin/chainbuild]\n' >"$PACKED/overrides"

deb=dist/chainbuild_${DEB_VERSION}_amd64.deb
nfpm=$(go -C tools/release tool -n nfpm)
"$nfpm" package --config tools/release/nfpm.yaml --packager deb --target "$deb" >&2
if command -v lintian >/dev/null; then
	lintian --fail-on error,warning,info "$deb" >&2
else
	echo "deb.sh: lintian is not here, so the package was not checked" >&2
fi
(cd dist && sha256sum "${deb##*/}" >>SHA256SUMS)
echo "$deb"
