#!/bin/sh
# fuzz.sh TIME runs each fuzz test of the module for TIME (as `go test -fuzztime`
# takes it), one after the other, and stops at the first that finds something.
set -eu

time=$1
go list ./... | while read -r package; do
	tests=$(go test -list '^Fuzz' "$package" </dev/null)
	echo "$tests" | sed -n '/^Fuzz/p' | while read -r name; do
		echo "$package $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" </dev/null
	done
done
