package main

import (
	"slices"
	"testing"

	"chainbuild/policy/sdk"
)

func TestDecide(t *testing.T) {
	for source, want := range map[string][]string{
		"Tuple{typeof(Base.sum), Array{Float64, 1}}": {
			"Tuple{typeof(Base.sum), Array{Float64, 1}}", "Tuple{typeof(Base.sum), Array{Float32, 1}}", "Tuple{typeof(Base.sum), Array{Float16, 1}}"},
		"Tuple{typeof(Base.:(+)), Int64, Int64}":    {"Tuple{typeof(Base.:(+)), Int64, Int64}", "Tuple{typeof(Base.:(+)), Int32, Int32}"},
		"Tuple{typeof(Base.f), Float64, Float32}":   {"Tuple{typeof(Base.f), Float64, Float32}", "Tuple{typeof(Base.f), Float16, Float32}"},
		"Tuple{typeof(Base.f), UInt64, A.Float64}":  nil,
		`Tuple{typeof(Base.f), Base.Val{:Float64}}`: nil,
		`Tuple{typeof(Base.print), String}`:         nil,
	} {
		answer := decide(&sdk.Statement{Source: source, Package: "Base"})
		if !slices.Equal(answer.Statements, want) {
			t.Errorf("%s: %+v", source, answer)
		}
	}
	if answer := decide(&sdk.Statement{Source: "Tuple{typeof(A.f), Float64}", Package: "A"}); answer.Do != sdk.DoKeep {
		t.Errorf("of a package that is not about numbers: %+v", answer)
	}
}
