package julia

// Tests with a real Julia.

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/depot"
	"chainbuild/internal/juliatest"
	"chainbuild/parallel"
)

func TestRealDescription(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, path string) {
		t.Setenv("JULIA_DEPOT_PATH", t.TempDir()+":")
		in, err := Find(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{in.Executable, in.BinDir, in.Image, in.LibJulia, in.LibLLVM, in.StdlibDir} {
			if _, err := os.Stat(file); err != nil || !filepath.IsAbs(file) {
				t.Errorf("it speaks of %q: %v", file, err)
			}
		}
		if in.WordSize != 64 || in.IncrementalOffset <= 0 || in.IncrementalSize != 1 || in.CPUName == "" {
			t.Errorf("the installation is %+v", in)
		}
		if known := depot.Known(); in.DepotPaths[0] != known[0] {
			t.Errorf("its first depot is %s, where %s was expected", in.DepotPaths[0], known[0])
		}
		again, err := Find(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if again.Image != in.Image || again.Version != in.Version {
			t.Errorf("what is remembered, %+v, is not what was said, %+v", again, in)
		}
	})
}

func TestRealStarts(t *testing.T) {
	in, err := Find(t.Context(), juliatest.Julia(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("JULIA_DEPOT_PATH", t.TempDir()+":")
	other := filepath.Join(t.TempDir(), "other.so")
	if err := os.Symlink(in.Image, other); err != nil {
		t.Fatal(err)
	}
	if !in.HasDefaultImage(other) {
		t.Error("a link to the default image is taken for another")
	}
	if err := in.Starts(t.Context(), other); err != nil {
		t.Errorf("its own image does not start: %v", err)
	}
	// libjulia is a shared object that is no image.
	if err := in.Starts(t.Context(), in.LibJulia); err == nil || !strings.Contains(err.Error(), "is not an image of this Julia") {
		t.Errorf("libjulia as an image: %v", err)
	}
}

func TestRealEvents(t *testing.T) {
	in, err := Find(t.Context(), juliatest.Julia(t))
	if err != nil {
		t.Fatal(err)
	}
	run := func(script string, handle func(Event) error) error {
		process, err := in.Start(t.Context(), "the worker", []string{"-e", script}, nil, handle)
		if err != nil {
			t.Fatal(err)
		}
		return process.Wait()
	}
	const send = `say(s) = ccall(:write, Cssize_t, (Cint, Cstring, Csize_t), 3, s*"\n", sizeof(s)+1); `
	var stage struct{ Name string }
	if err := run(send+`say("{\"event\":\"stage\",\"name\":\"load\"}")`, func(e Event) error {
		if e.Kind != "stage" {
			t.Errorf("the event is %q", e.Kind)
		}
		return e.Decode(&stage)
	}); err != nil || stage.Name != "load" {
		t.Errorf("the stage is %q, the error %v", stage.Name, err)
	}
	none := func(Event) error { return nil }
	var gaveUp *WorkerError
	if err := run(send+`say("{\"event\":\"error\",\"message\":\"no package Foo\"}"); ccall(:_exit, Cvoid, (Cint,), 1)`, none); !errors.As(err, &gaveUp) || err.Error() != "no package Foo" {
		t.Errorf("giving up is %v", err)
	}
	if err := run(send+`say("hello"); sleep(60)`, none); err == nil || !strings.Contains(err.Error(), `said "hello"`) {
		t.Errorf("a line that is no event is %v", err)
	}
	var death *parallel.DeathError
	if err := run(`println("about to fall"); ccall(:abort, Cvoid, ())`, none); !errors.As(err, &death) || !strings.Contains(err.Error(), "about to fall") {
		t.Errorf("a crash is %v", err)
	}
}

// A Julia says what its names of processors stand for, several of them and more than this machine has.
func TestRealTargets(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, path string) {
		in, err := Find(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		series, err := in.Series()
		if err != nil {
			t.Fatal(err)
		}
		list, err := in.Targets(t.Context(), "generic;skylake-avx512,clone_all")
		if !series.CompilesForProcess {
			if err == nil || !strings.Contains(err.Error(), "does not say what its option -C") {
				t.Errorf("it says %x (%v)", list, err)
			}
			return
		}
		if err != nil || !bytes.HasPrefix(list, []byte{2, 0, 0, 0}) || !bytes.Contains(list, []byte("\x0e\x00\x00\x00skylake-avx512")) {
			t.Errorf("it says %x (%v)", list, err)
		}
		if list, err := in.Targets(t.Context(), "generic;,clone_all"); err == nil || !strings.Contains(err.Error(), "empty CPU name") {
			t.Errorf("of nonsense it says %x (%v)", list, err)
		}
	})
}
