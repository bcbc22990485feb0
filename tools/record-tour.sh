#!/bin/sh
# record-tour.sh runs the commands of docs/tour.md in a fresh home and prints them with what they say, as docs/tour.txt
# has it: `make build && tools/record-tour.sh > docs/tour.txt`. Takes about a minute. Only the folders' names and the
# builds' progress are shortened; times are this machine's.
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
julia=$("$top/tools/find-julia.sh" | tail -n 1)
julia=${julia%%:*}
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

unset JULIA_LOAD_PATH JULIA_PROJECT JULIA_DEPOT_PATH CHAINBUILD_CACHE CHAINBUILD_STATE XDG_CACHE_HOME
mkdir -p "$home/bin" "$home/orbits"
ln -s "$top/bin/chainbuild" "$home/bin/chainbuild"
printf '#!/bin/sh\nexec "%s" --startup-file=no "$@"\n' "$julia" >"$home/bin/julia"
chmod +x "$home/bin/julia"
HOME=$home PATH=$home/bin:$PATH CHAINBUILD_JULIA=$home/bin/julia
export HOME PATH CHAINBUILD_JULIA

cp -R "$top/examples/Orbits" "$home/Orbits"
cp "$top/examples/Orbits/workload.jl" "$home/orbits/workload.jl"
cat >"$home/orbits/Project.toml" <<'END'
[deps]
Dates = "ade2ca70-3891-5945-98fb-dc099432e06a"
Orbits = "897679c1-94db-4707-9c12-c5cefc887092"
END
cat >"$home/orbits/Manifest.toml" <<'END'
[[Dates]]
deps = ["Printf"]
uuid = "ade2ca70-3891-5945-98fb-dc099432e06a"

[[Libdl]]
uuid = "8f399da3-3557-5675-b5ff-fb832c97cbdb"

[[LinearAlgebra]]
deps = ["Libdl"]
uuid = "37e2e46d-f89d-539d-b4ee-838fcccc9c8e"

[[Orbits]]
deps = ["Dates", "LinearAlgebra", "Printf"]
path = "../Orbits"
uuid = "897679c1-94db-4707-9c12-c5cefc887092"
version = "0.1.0"

[[Printf]]
deps = ["Unicode"]
uuid = "de0858da-6303-5e67-8744-51eddeeeb8d7"

[[Unicode]]
uuid = "4ec0a83e-493e-50e2-b9ac-8f72acf5a8f5"
END
cd "$home/orbits"

# show prints a command and what it says, its exit code if that is not 0, and the time if the command begins with time.
show() {
	printf '$ %s\n' "$1"
	case $1 in
	"time "*)
		began=$(date +%s%N)
		run "${1#time }"
		echo "        $((($(date +%s%N) - began) / 10000000))" | sed 's/\([0-9]*\)\([0-9][0-9]\)$/\1.\2 s/; s/ \./ 0./'
		;;
	*) run "$1" ;;
	esac
	echo
}

run() {
	code=0
	sh -c "$1" >"$home/said" 2>&1 </dev/null || code=$?
	sed -e "s|$home|~|g" -e '/^ *[0-9.]* s  \(inspect\|workers\|prepare\|start\|load\|infer\|collect\|emit\|split\|heap\|write\|compile\|chain\|link\|verify\|[0-9]* of\)/d' "$home/said"
	if [ $code -ne 0 ]; then echo "(exit code $code)"; fi
}

# A package's first load also writes its cache, which is not chainbuild's doing.
julia --project=. -e 'using Orbits' >/dev/null 2>&1

show 'chainbuild status'
show 'time chainbuild run -- workload.jl | sed -n 1,2p'
show 'chainbuild statements list --package Dates | cut -c -100 | head -n 4'
show "printf '[chainbuild]\\npackages = [\"Orbits\"]\\n' > LocalPreferences.toml"
show 'chainbuild status --check'
show 'time chainbuild build'
show 'time chainbuild run -- workload.jl | sed -n 1,2p'
show 'chainbuild status --check'
show 'echo "# a change" >> ../Orbits/src/Orbits.jl'
show 'chainbuild status --check'
show 'time chainbuild run -- workload.jl | sed -n 1,2p'
show 'time chainbuild build'
show 'chainbuild clean --dry-run'
show 'chainbuild launcher install'
