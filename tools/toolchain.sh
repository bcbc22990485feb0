#!/bin/sh
# toolchain.sh puts Julia 1.5.3, as Debian 11 (bullseye) ships it, into the
# checkout's git-ignored folder .toolchain. Its last line of output is the path
# of the julia executable there; everything else goes to stderr.
#
#   .toolchain/julia-1.5.3-rN/         the unpacked packages; N is the recipe's number
#   .toolchain/julia-1.5.3-rN/julia    wrapper: sets the library path, runs usr/bin/julia
#   .toolchain/julia                   link to the wrapper
#
# Nothing outside .toolchain changes. apt resolves, downloads and verifies with
# a state of its own: its one package source is the machine's Debian mirror with
# the suite bullseye, signed by the machine's Debian keyring, and its database of
# installed packages lists only what the host provides. The machine's apt.conf.d
# (proxies, certificates) and auth.conf.d stay in force; its hooks do not run.
#
# The folder is complete when it has its name: packages are unpacked next to it,
# tried, and renamed. A second call finds it and needs no network.
set -eu

suite=bullseye
version=1.5.3
recipe=1 # raise it when a change below must reach existing checkouts

# Packages not to ask for: the host has the libraries, as a part of every Debian,
# and no file in use asks for debconf or libcurl, only packages do.
host_packages="libc6 libgcc-s1 libstdc++6 zlib1g liblzma5 libtinfo6 debconf libcurl3-gnutls"

say() {
	echo "toolchain: $*" >&2
}

fail() {
	say "$@"
	exit 1
}

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
dir=$top/.toolchain
name=julia-$version-r$recipe

finish_if_there() {
	if [ "$(readlink "$dir/julia" 2>/dev/null)" = "$name/julia" ] && [ -x "$dir/julia" ]; then
		echo "$dir/julia"
		exit 0
	fi
}

finish_if_there

# --- Can it work on this machine? ---

way_out="set CHAINBUILD_JULIA to a Julia $version of your own"

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}" || echo unknown)
architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)
[ "$distribution" = debian ] && [ "$architecture" = amd64 ] ||
	fail "this machine is $distribution on $architecture, and the packages need Debian on amd64; $way_out"

case $top in
*[:\;\"\$]*) fail "the checkout's path $top has one of : ; \" \$ in it, which a library path cannot carry; move the checkout" ;;
esac

for keyring in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp ''; do
	[ -r "$keyring" ] && break
done
[ -n "$keyring" ] || fail "Debian's keyring is not in /usr/share/keyrings; install debian-archive-keyring"

# apt reads the machine's sources itself, in both formats, and prints the address
# of each suite. Others publish under the same suite names, so an address that
# ends in /debian goes first.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get update --print-uris 2>/dev/null |
	sed -n "s|^'\(.*\)/dists/\([^/' ]*\)/InRelease'.*|\2 \1|p" |
	awk -v codename="$codename" '
		$1 == codename || $1 ~ /^(stable|testing|unstable|sid)$/ {
			if ($2 ~ /\/debian$/) { print $2; exit_early = 1; exit }
			if (other == "") other = $2
		}
		END { if (!exit_early && other != "") print other }')
[ -n "$mirror" ] || fail "no Debian mirror among this machine's package sources in /etc/apt; $way_out"

# --- One at a time, and nothing left behind ---

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
finish_if_there # made by whom this one waited for
rm -rf "$dir"/unpack.*
unpack=$(mktemp -d "$dir/unpack.XXXXXX")
apt=$(mktemp -d "${TMPDIR:-/tmp}/toolchain.XXXXXX")
trap 'rm -rf "$unpack" "$apt"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- Download ---

mkdir -p "$apt/lists/partial" "$apt/archives/partial"
echo "deb [arch=amd64 lang=none target=Packages signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
for package in $host_packages; do
	printf '%s\n' "Package: $package" 'Status: install ok installed' 'Architecture: amd64' 'Multi-Arch: same' \
		'Version: 99:0' 'Maintainer: the host' 'Description: the host provides it' ''
done >"$apt/status"
cat >"$apt/apt.conf" <<CONF
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::State::extended_states "$apt/extended_states";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "$apt";
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
CONF

run_apt() {
	if ! apt-get -q -c "$apt/apt.conf" "$@" >"$apt/log" 2>&1 9>&-; then
		sed 's/^/    /' "$apt/log" >&2
		fail "apt-get $1 failed on $mirror $suite (its messages are above); check the network and the mirror, or $way_out"
	fi
}

say "reading the index of $suite"
run_apt update
say "downloading Julia $version and its libraries (70 MB)"
run_apt install --download-only --yes "julia=$version*"

# --- Unpack, try, rename ---

# What Julia itself was linked with is private. The libraries of those libraries
# are the host's where it has them: an older copy on the library path would reach
# the programs that Julia starts (bullseye's libgpg-error breaks bookworm's gpg).
own=" julia julia-common libjulia1 $(dpkg-deb -f "$apt"/archives/libjulia1_*.deb Depends | sed 's/([^)]*)//g; s/,/ /g') "
chmod 755 "$unpack"
for deb in "$apt"/archives/*.deb; do
	package=$(dpkg-deb -f "$deb" Package)
	case $own in
	*" $package "*) ;;
	*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$package:amd64" 2>/dev/null)" = installed ] && continue ;;
	esac
	dpkg-deb -x "$deb" "$unpack"
	basename "$deb" .deb
done >"$unpack/packages"

# julia and libjulia find their own libraries and the system image by themselves.
# The path serves the libraries of those libraries, which carry no search path.
cat >"$unpack/julia" <<'WRAPPER'
#!/bin/sh
# Runs the Julia of this folder with its private libraries. Made by tools/toolchain.sh.
root=$(dirname -- "$(readlink -f -- "$0")")
libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
case $LD_LIBRARY_PATH: in
"$libraries":*) ;;
*) export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
esac
exec "$root/usr/bin/julia" "$@"
WRAPPER
chmod 755 "$unpack/julia"

found=$("$unpack/julia" --startup-file=no -e 'using LinearAlgebra, SparseArrays, LibGit2; print(VERSION)' 2>&1 </dev/null 9>&-) || true
[ "$found" = "$version" ] || fail "the unpacked Julia does not run here: ${found:-it ended without a word}"

rm -rf "${dir:?}/$name"
mv "$unpack" "$dir/$name"
ln -sfn "$name/julia" "$dir/julia.new"
mv -fT "$dir/julia.new" "$dir/julia"
say "Julia $version is in $dir/$name"
echo "$dir/julia"
