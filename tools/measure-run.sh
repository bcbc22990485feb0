#!/bin/bash
# measure-run.sh measures what `chainbuild run` costs on top of the Julia that it starts: in the folder of a project with a
# current image, `tools/measure-run.sh [ROUNDS]`. Each round starts `chainbuild run -- -e 0` and `julia -J IMAGE -e 0`
# once, in changing order, and the differences are what counts: whatever else the machine does meets both. Prints the
# medians in milliseconds, and the quartiles of the difference, of the time and of the processor time, which says more
# on a machine that is busy.
set -euo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
chainbuild=$top/bin/chainbuild
julia=$("$top/tools/find-julia.sh" | tail -n 1)
julia=${julia%%:*}
export CHAINBUILD_JULIA=$julia
if ! image=$("$chainbuild" status --image); then
	echo "measure-run.sh: run chainbuild build first" >&2
	exit 2
fi

# measured runs a command and prints its time and its processor time, in milliseconds.
measured() {
	{ time "$@" </dev/null >/dev/null 2>&1; } 2>&1 | awk '{ print 1000 * $1, 1000 * ($2 + $3) }'
}
TIMEFORMAT='%3R %3U %3S'

with() { measured "$chainbuild" run -- --startup-file=no -e 0; }
without() { measured "$julia" -J "$image" --project=@. --startup-file=no -e 0; }

with >/dev/null
for round in $(seq "${1:-30}"); do
	if ((round % 2)); then a=$(with) b=$(without); else b=$(without) a=$(with); fi
	echo "$a $b"
done | awk '
	function sorted(from, n,    i, j, t) {
		for (i = 2; i <= n; i++) { t = from[i]; for (j = i - 1; j > 0 && from[j] > t; j--) from[j + 1] = from[j]; from[j + 1] = t }
	}
	function quantile(of, n, q) { return of[int(q * (n - 1) + 0.5) + 1] }
	function report(name, a, b, d, n) {
		sorted(a, n); sorted(b, n); sorted(d, n)
		printf "%s: chainbuild run %.0f ms, julia -J IMAGE %.0f ms, difference %.1f ms (quartiles %.1f and %.1f), %d rounds\n",
			name, quantile(a, n, .5), quantile(b, n, .5), quantile(d, n, .5), quantile(d, n, .25), quantile(d, n, .75), n
	}
	{ n++; a[n] = $1; b[n] = $3; d[n] = $1 - $3; pa[n] = $2; pb[n] = $4; pd[n] = $2 - $4 }
	END { report("time", a, b, d, n); report("processor time", pa, pb, pd, n) }'
