// Package examples carries the example packages and workloads, for programs that run them away from the checkout.
package examples

import "embed"

// Files has the sources of the examples, under the names that they have in this folder.
//
//go:embed Orbits/Project.toml Orbits/src Orbits/workload.jl stdlib/workload.jl julia-tests/runtests.jl julia-tests/tests
var Files embed.FS
