// Package llvmdriver compiles partitions of new code: it says what a partition is and drives Julia processes that turn its
// bitcode into an object with Julia's own optimisation pipeline.
package llvmdriver

// This file reads the processor that code is compiled for.

import (
	"fmt"
	"strings"

	"chainbuild/julia"
)

// A Target is what code is compiled for.
type Target struct {
	// CPU is LLVM's name of a processor, or "native" for that of this machine.
	CPU string
	// Features are LLVM's names of features with a + or - before each, separated by commas.
	Features string
	// Option is both as julia's -C takes them.
	Option string
	// OptLevel is the optimisation level, 0 to 3, as julia's -O counts it.
	OptLevel int
}

// canonicalOption is Option with a sign before each feature: the same text for the same processor. It keeps the name that was given, as Julia compiles for
// "generic" otherwise than for the processor of LLVM's that stands for it.
func (t Target) canonicalOption() string {
	name, features, _ := strings.Cut(t.Option, ",")
	return strings.Join(append([]string{name}, signed(features)...), ",")
}

// signed are features, separated by commas, each with a + before it that has no sign. What is empty is left out.
func signed(features string) (list []string) {
	for feature := range strings.SplitSeq(features, ",") {
		if feature == "" {
			continue
		}
		if !strings.HasPrefix(feature, "+") && !strings.HasPrefix(feature, "-") {
			feature = "+" + feature
		}
		list = append(list, feature)
	}
	return list
}

// ProcessOptions are what a julia of the series that compiles for target is started with. Where code is generated for the process, these are part of what
// determines an object, with a worker image and without: the processor there, and elsewhere also the optimisation level that the process starts with.
func ProcessOptions(series *julia.Series, target Target) []string {
	if series.CompilesForProcess {
		return []string{"-C", target.canonicalOption()}
	}
	return []string{"-O1"}
}

// ParseTarget reads a processor as julia's -C takes it: a name, and features to add or remove, such as "haswell,-avx2".
// Only one target can be given: the image keeps the base's variants for others, but new code has a single one.
func ParseTarget(text string, optLevel int) (Target, error) {
	if text == "" {
		text = "native"
	}
	if strings.Contains(text, ";") {
		return Target{}, fmt.Errorf("%q names several targets: new code is compiled for one, give that", text)
	}
	cpu, features, _ := strings.Cut(text, ",")
	target := Target{CPU: cpu, Option: text, OptLevel: optLevel}
	if cpu == "" || strings.ContainsAny(text, " \t\n") {
		return Target{}, fmt.Errorf("%q is no target: give a processor such as native, generic or haswell, and features such as +fma after commas", text)
	}
	list := signed(features)
	for _, feature := range list {
		name := strings.TrimLeft(feature, "+-")
		if name == "clone_all" || name == "opt_size" || name == "min_size" || strings.HasPrefix(name, "base(") {
			return Target{}, fmt.Errorf("%q: %s is about images with several targets: new code is compiled for one", text, name)
		}
	}
	if cpu == "generic" {
		// Julia compiles for x86-64 with cmpxchg16b at the least.
		target.CPU = "x86-64"
		list = append([]string{"+cx16"}, list...)
	}
	target.Features = strings.Join(list, ",")
	return target, nil
}
