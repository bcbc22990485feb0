package pipeline_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/settings"
)

// ofLanes is an image of functions of the package Lanes, each with the types of its arguments.
func ofLanes(name string, cpu settings.CPU, base image, functions ...string) image {
	return built(name, func(executable string) (o pipeline.Options, err error) {
		path := filepath.Join(home(executable), name+".jl")
		o = pipeline.Options{Target: settings.DefaultTarget(), Strict: true, Statements: []string{path}}
		o.CPU = cpu
		if base.path != nil {
			if o.Base, err = base.path(executable); err != nil {
				return o, err
			}
		}
		var statements strings.Builder
		for _, f := range functions {
			fmt.Fprintf(&statements, "Tuple{typeof(Lanes.%s}\n", f)
		}
		return o, os.WriteFile(path, []byte(statements.String()), 0o644)
	})
}

// Of new code there is a variant for each target, and that for the processor runs, which julia's -C chooses here; an image on top of it has variants for
// the same targets.
func TestSeveralTargets(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		const vectors = "NTuple{8, VecElement{Float32}}"
		lanes := ofLanes("lanes.so", "generic;haswell,clone_all", stock, "scaled!), Vector{Float64}, Float64, Vector{Float64}", "fused)",
			"doubled), "+vectors, "failing), Vector{Float64}")
		above := ofLanes("above-lanes.so", settings.BaseCPU, lanes, "all_of), Vector{Float64}, "+vectors)
		if version, err := output(exec.Command(executable, "--version")); err != nil || strings.HasPrefix(version, "julia version 1.5.") {
			const says = "--cpu-target generic;haswell,clone_all is several targets, and on Julia 1.5 new code is compiled for one: give that"
			if _, err := lanes.path(executable); err == nil || err.Error() != says {
				t.Errorf("the build says %v", err)
			}
			return
		}
		const rest = "[3.0, 6.0, 9.0, 12.0, 15.0] true Float32[2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0]\n" +
			"[1.5, 3.0, 4.5, 6.0, 7.5]\nfailing Lanes.jl:19\n"
		script := filepath.Join(scripts, "lanes.jl")
		for _, i := range []image{lanes, above} {
			same(t, i.String()+" for generic", "scaled! does without vfmadd\nfused false, for C 0\n"+rest, on(t, executable, i).julia("-C", "generic", script, "scaled!"))
			if !cpuHas(t, "avx2", "bmi2", "fma") {
				t.Log("SKIPPED, NOT TESTED: this machine is no Haswell")
				continue
			}
			same(t, i.String()+" for haswell", "scaled! uses vfmadd\nfused true, for C 1\n"+rest, on(t, executable, i).julia("-C", "haswell", script, "scaled!"))
		}
		left := filepath.Join(t.TempDir(), "left")
		on(t, executable, above).julia("--trace-compile="+left, script)
		for _, statement := range lines(t, left) {
			// Of what C calls, Julia 1.10 compiles the method once more, whatever the image has.
			if strings.Contains(statement, "Lanes.") && !strings.Contains(statement, "lanes_fused") {
				t.Errorf("compiled again: %s", statement)
			}
		}
	})
}

// What cannot be said of several targets is refused before any work.
func TestSeveralTargetsRefused(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		if version, err := output(exec.Command(executable, "--version")); err != nil || strings.HasPrefix(version, "julia version 1.5.") {
			t.Skip("new code is compiled for one target")
		}
		lanes := ofLanes("typo.so", "generic;hasswell,clone_all", stock, "fused)")
		if _, err := lanes.path(executable); err == nil || !strings.Contains(err.Error(), "Julia does not know a processor hasswell; `julia -C help` lists those that it knows") {
			t.Errorf("the build says %v", err)
		}
	})
}
