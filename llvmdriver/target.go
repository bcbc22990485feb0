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
	// OneOfSeveral says that code is compiled for several targets by processes that are made for the first of them, whose Option this is. CPU and
	// Features are then all that code may use.
	OneOfSeveral bool
}

// dependsOnMachine says that another machine's processor may be another target.
func (t Target) dependsOnMachine() bool {
	name, _, _ := strings.Cut(t.Option, ",")
	return t.CPU == native || name == native
}

const native = "native"

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

// OfBase stands for the base's own targets.
const OfBase = "base"

// ParseTargets reads what new code is to be compiled for: processors as julia's -C takes them, separated by semicolons, or OfBase, for which the result
// is empty. What -C says about which functions are cloned is taken and left out: all of them are, for each target.
func ParseTargets(text string, optLevel int) ([]Target, error) {
	if text == OfBase {
		return nil, nil
	}
	parts := strings.Split(text, ";")
	if len(parts) == 1 {
		target, err := ParseTarget(text, optLevel)
		return []Target{target}, err
	}
	var list []Target
	for i, part := range parts {
		name, features, _ := strings.Cut(part, ",")
		kept := []string{name}
		for _, feature := range signed(features) {
			switch about, number := strings.TrimLeft(feature, "+-"), 0; {
			case about == "clone_all":
			case strings.HasPrefix(about, "base("):
				if _, err := fmt.Sscanf(about, "base(%d)", &number); err != nil || number < 0 || number >= i {
					return nil, fmt.Errorf("%q: %s does not name one of the targets before it, which count from 0", text, about)
				}
			default:
				kept = append(kept, feature)
			}
		}
		target, err := ParseTarget(strings.Join(kept, ","), optLevel)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return nil, fmt.Errorf("%q has a target without a name: separate targets by one semicolon each", text)
		}
		list = append(list, target)
	}
	return list, nil
}

// TargetsOption is several targets as julia's -C takes them.
func TargetsOption(targets []Target) string {
	var list []string
	for i, t := range targets {
		option := t.canonicalOption()
		if i > 0 {
			option += ",clone_all"
		}
		list = append(list, option)
	}
	return strings.Join(list, ";")
}

// ParseTarget reads a processor as julia's -C takes it: a name, and features to add or remove, such as "haswell,-avx2".
func ParseTarget(text string, optLevel int) (Target, error) {
	if text == "" {
		text = native
	}
	cpu, features, _ := strings.Cut(text, ",")
	target := Target{CPU: cpu, Option: text, OptLevel: optLevel}
	if cpu == "" || cpu == OfBase || strings.ContainsAny(text, "; \t\n") {
		return Target{}, fmt.Errorf("%q is no target: give a processor such as native, generic or haswell, and features such as +fma after commas", text)
	}
	list := signed(features)
	for _, feature := range list {
		switch name := strings.TrimLeft(feature, "+-"); {
		case name == "clone_all", strings.HasPrefix(name, "base("):
			return Target{}, fmt.Errorf("%q: %s is about several targets: leave it out, or give several, separated by semicolons", text, name)
		case name == "opt_size", name == "min_size":
			return Target{}, fmt.Errorf("%q: %s is not supported: leave it out, or choose a level with --optimize", text, name)
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
