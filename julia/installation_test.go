package julia

import (
	"slices"
	"testing"
)

// A Julia's process has the environment of this one, what is asked for in its place, and one thread.
func TestCommandEnvironment(t *testing.T) {
	t.Setenv("JULIA_LOAD_PATH", "/elsewhere")
	t.Setenv("JULIA_NUM_THREADS", "8")
	t.Setenv("JULIA_DEPOT_PATH", "/depot")
	in := &Installation{Executable: "/bin/julia", Environment: []string{"JULIA_LOAD_PATH=@:@stdlib"}}
	environment := in.Command(t.Context(), "-e", "1").Environ()
	for _, want := range []string{"JULIA_LOAD_PATH=@:@stdlib", "JULIA_NUM_THREADS=1", "JULIA_DEPOT_PATH=/depot"} {
		if !slices.Contains(environment, want) {
			t.Errorf("%s is not in the environment", want)
		}
	}
	if slices.Contains(environment, "JULIA_LOAD_PATH=/elsewhere") {
		t.Error("there is a second JULIA_LOAD_PATH")
	}
}
