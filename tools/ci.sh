#!/bin/bash
# ci.sh is what action.yml runs: `ci.sh key` prints the key under which the image and its objects are cached, `ci.sh
# build` builds the image, or finds that it is there. Both print lines NAME=VALUE for GITHUB_OUTPUT on standard output.
# chainbuild is on the path; what is asked for is in the environment:
#
#   PROJECT      the project's folder
#   JULIA        the julia executable, or nothing
#   STATEMENTS   files of precompile statements, one a line
#   FLAGS        flags for chainbuild build, one a line
set -euo pipefail

flags=("--project=$PROJECT")
if [ -n "${JULIA:-}" ]; then flags+=("--julia=$JULIA"); fi
# A restored image is to stand without the depot of the machine that built it.
settings=(--package-images=ignore)
others=()
while IFS= read -r flag; do
	case $flag in
	"") ;;
	--package=* | --exclude=* | --interactive | --interactive=* | --cpu-target=* | --layout=* | --optimize=* | --emit=* | \
		--package-images=* | --development | --development=* | --policy=* | --budget=*) settings+=("$flag") ;;
	*) others+=("$flag") ;;
	esac
done <<<"${FLAGS:-}"
files=()
while IFS= read -r file; do
	if [ -n "$file" ]; then files+=("$file"); fi
done <<<"${STATEMENTS:-}"

case ${1:-} in
key)
	# The image's key is made of packages, Julia and settings; what it is built from comes on top.
	image=$(chainbuild status --key "${flags[@]}" "${settings[@]}")
	statements=$(cat ${files[@]+"${files[@]}"} /dev/null | sha256sum)
	echo "key=$image-${statements:0:16}"
	;;
build)
	if [ ${#files[@]} -gt 0 ]; then chainbuild statements import "${flags[@]}" "${files[@]}" >&2; fi
	chainbuild build "${flags[@]}" "${settings[@]}" ${others[@]+"${others[@]}"}
	image=$(chainbuild status --image "${flags[@]}" "${settings[@]}")
	echo "image=$image"
	;;
*)
	echo "ci.sh: say key or build" >&2
	exit 2
	;;
esac
