package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/sysimage"
)

// usable are options that nothing speaks against, with files in a folder of their own.
func usable(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace.jl")
	if err := os.WriteFile(trace, []byte("precompile(Tuple{typeof(sin), Float64})\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return Options{Statements: []string{trace}, Output: filepath.Join(dir, "chained.so"), Target: settings.DefaultTarget()}
}

func TestCheckOptionsAccepts(t *testing.T) {
	o := usable(t)
	dir := filepath.Dir(o.Output)
	for _, change := range []func(*Options){
		func(o *Options) {},
		func(o *Options) { o.Emit = settings.EmitTraced },
		func(o *Options) { o.Layout = elfpatch.Standalone },
		func(o *Options) { o.Jobs = 64 },
		func(o *Options) { o.Packages = []string{"Dates", "Ünïcode"} },
		func(o *Options) { o.Project = "@." },
		func(o *Options) { o.Project = dir },
		func(o *Options) { o.Timings = filepath.Join(dir, "timings.json") },
		func(o *Options) { o.Timings, o.Output = filepath.Join(dir, "timings.json"), o.Statements[0]+".so" },
	} {
		accepted := o
		change(&accepted)
		if err := checkOptions(&accepted); err != nil {
			t.Errorf("%+v was refused: %v", accepted, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("the check left %v", left)
	}
}

func TestCheckOptionsRefuses(t *testing.T) {
	o := usable(t)
	dir := filepath.Dir(o.Output)
	socket := filepath.Join(dir, "null")
	if err := os.Symlink("/dev/null", socket); err != nil {
		t.Fatal(err)
	}
	same := filepath.Join(dir, "same.so")
	if err := os.Link(o.Statements[0], same); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*Options)
		says   string
	}{
		{"emit", func(o *Options) { o.Emit = "some" }, `--emit does not take "some": use all or traced`},
		{"layout", func(o *Options) { o.Layout = 7 }, "no layout number 7"},
		{"jobs", func(o *Options) { o.Jobs = -1 }, "-1 jobs cannot run"},
		{"level", func(o *Options) { o.OptLevel = 4 }, "no optimisation level 4"},
		{"no statements", func(o *Options) { o.Statements = nil }, "no statements were given"},
		{"statements missing", func(o *Options) { o.Statements = append(o.Statements, dir+"/other.jl") }, "open " + dir + "/other.jl: no such file"},
		{"statements folder", func(o *Options) { o.Statements = []string{dir} }, "is a folder"},
		{"package", func(o *Options) { o.Packages = []string{"Dates; exit()"} }, "is no package"},
		{"project", func(o *Options) { o.Project = dir + "/project" }, "the project cannot be used"},
		{"no output", func(o *Options) { o.Output = "" }, "no output was named"},
		{"output folder missing", func(o *Options) { o.Output = dir + "/out/chained.so" }, "there is no folder " + dir + "/out"},
		{"output unwritable", func(o *Options) { o.Output = "/proc/chained.so" }, "the image cannot be written: "},
		{"output below a file", func(o *Options) { o.Output = o.Statements[0] + "/chained.so" }, "the image cannot be written: "},
		{"output is a folder", func(o *Options) { o.Output = dir }, "is a folder, name a file"},
		{"output is a device", func(o *Options) { o.Output = socket }, "not a regular file"},
		{"output is the statements", func(o *Options) { o.Output = same }, "would replace the statements"},
		{"timings are the statements", func(o *Options) { o.Timings = same }, "would replace the statements"},
		{"timings unwritable", func(o *Options) { o.Timings = dir + "/out/t.json" }, "the timings cannot be written"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			changed := o
			test.change(&changed)
			err := checkOptions(&changed)
			var refused *usage.Error
			if !errors.As(err, &refused) {
				t.Fatalf("checkOptions returned %v, not a *usage.Error", err)
			}
			if !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the refusal %q does not say %q in one line", err, test.says)
			}
		})
	}
}

// fakeBase is a base of one layer, as far as checkBase looks at it, and a Julia that loads it by default.
func fakeBase(t *testing.T) (*sysimage.Base, *julia.Installation) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sys.so")
	if err := os.WriteFile(path, []byte("image"), 0o644); err != nil {
		t.Fatal(err)
	}
	base := &sysimage.Base{
		Format: "1.5",
		Layers: []*elfpatch.Image{{Path: path, Data: make([]byte, 180e6)}},
		Blob:   sysimage.BlobSizes{Total: 120e6},
	}
	return base, &julia.Installation{Executable: "/opt/julia", Version: "1.5.3", WordSize: 64, Image: path}
}

func TestCheckBase(t *testing.T) {
	output := filepath.Join(t.TempDir(), "chained.so")
	check := func(base *sysimage.Base, in *julia.Installation) error {
		return checkBase(t.Context(), base, in, &Options{}, output)
	}
	base, in := fakeBase(t)
	if err := check(base, in); err != nil {
		t.Errorf("the default image was refused: %v", err)
	}
	refused := func(err error, says string) {
		t.Helper()
		var refused *usage.Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v is no refusal that says %q", err, says)
		}
	}
	for _, version := range []string{"1.6.0", "1.50.0"} {
		other := *in
		other.Version = version
		refused(check(base, &other), "is an image of Julia 1.5 and /opt/julia is Julia "+version)
	}
	other := *in
	other.WordSize = 32
	refused(check(base, &other), "32 bits")
	if err := os.Link(base.Layers[0].Path, output); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no hard links in the temporary folder: %v", err)
	}
	refused(check(base, in), "would replace the base")
}
