package pipeline

// Two users build the same: their depots, projects and home folders lie in different places.

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/settings"
)

// Packages: one from a registry, one under development, and a single file without a project. The last throws in code of all three, some of it
// inlined, and some of it by a macro of another file.
const (
	shelvedSource = `module Shelved
include("deep/thrower.jl")
using Dates
monthly(x) = (day = Date(2000 + x, 2, 3); string(day, ' ', firstdayofmonth(day)))
end
`
	throwerSource = `@noinline thrower(x) = x > 0 ? error("no ", x) : x
between(x) = thrower(x) + 1
macro between(x)
    return :(y = between($(esc(x))); y * y)
end
`
	desktopSource = `module Desktop
using Shelved
@noinline function squared(x)
    return Shelved.@between x
end
here() = @__FILE__
end
`
	looseSource = `module Loose
using Desktop
@noinline run(x) = Desktop.squared(x) + 1
end
`
)

const placesScript = `using Loose, Desktop, Shelved
function frames()
    try
        Loose.run(1)
    catch
        for frame in stacktrace(catch_backtrace())
            println(frame.func, ' ', frame.file, ':', frame.line, frame.inlined ? " inlined" : "")
            frame.func === :run && break
        end
    end
end
frames()
frames()
println(Desktop.here(), ' ', Shelved.monthly(12))
`

// A place is where one user's files are.
type place struct {
	t                     *testing.T
	julia, dir, depotPath string
}

// newPlace writes packages and a project into dir. Tree is the hash by which the registered package lies in the depot.
func newPlace(t *testing.T, julia, dir, tree, depotPath string) place {
	const shelved, desktop = "6d3c8d52-2c0e-4f57-9f0e-6a3e0a8f1b11", "b2f0a0de-51f1-4f0b-8a41-95d4c1f7c0aa"
	p := place{t, julia, dir, depotPath}
	slug, err := exec.Command(julia, "--startup-file=no", "-e", fmt.Sprintf("print(Base.version_slug(Base.UUID(%q), Base.SHA1(%q)))", shelved, tree)).Output()
	if err != nil {
		t.Fatal(err)
	}
	project := "name = %q\nuuid = %q\nversion = \"1.0.0\"\n[deps]\n"
	registered := filepath.Join(dir, "depot/packages/Shelved", string(slug))
	const dates = "ade2ca70-3891-5945-98fb-dc099432e06a"
	write(t, filepath.Join(registered, "Project.toml"), fmt.Sprintf(project, "Shelved", shelved)+"Dates = \""+dates+"\"\n")
	write(t, filepath.Join(registered, "src/Shelved.jl"), shelvedSource)
	write(t, filepath.Join(registered, "src/deep/thrower.jl"), throwerSource)
	write(t, filepath.Join(dir, "work/Desktop/Project.toml"), fmt.Sprintf(project, "Desktop", desktop)+"Shelved = \""+shelved+"\"\n")
	write(t, filepath.Join(dir, "work/Desktop/src/Desktop.jl"), desktopSource)
	write(t, filepath.Join(dir, "loose/Loose.jl"), looseSource)
	write(t, filepath.Join(dir, "work/project/Project.toml"), "[deps]\nShelved = \""+shelved+"\"\nDesktop = \""+desktop+"\"\n")
	write(t, filepath.Join(dir, "work/project/Manifest.toml"), fmt.Sprintf("[[Dates]]\nuuid = %q\n[[Desktop]]\ndeps = [\"Shelved\"]\npath = \"../Desktop\"\nuuid = %q\nversion = \"1.0.0\"\n"+
		"[[Shelved]]\ndeps = [\"Dates\"]\ngit-tree-sha1 = %q\nuuid = %q\nversion = \"1.0.0\"\n", dates, desktop, tree, shelved))
	write(t, filepath.Join(dir, "trace.jl"), `precompile(Tuple{typeof(Loose.run), Int64})
precompile(Tuple{typeof(Desktop.here)})
precompile(Tuple{typeof(Shelved.monthly), Int64})
precompile(Tuple{typeof(Base.sort), Array{Float32, 2}})
`)
	write(t, filepath.Join(dir, "script.jl"), placesScript)
	return p
}

// enter makes the environment that of the user.
func (p place) enter() {
	p.t.Setenv("HOME", filepath.Join(p.dir, "home"))
	p.t.Setenv("JULIA_DEPOT_PATH", p.depotPath)
	p.t.Setenv("JULIA_LOAD_PATH", "@:"+filepath.Join(p.dir, "loose")+":@stdlib")
	p.t.Setenv("JULIA_PROJECT", filepath.Join(p.dir, "work/project"))
}

// build builds an image with the cache that both share.
func (p place) build(cache string, change func(*Options)) *outcome {
	p.t.Helper()
	p.enter()
	out := &outcome{}
	o := Options{
		Julia: p.julia, Project: filepath.Join(p.dir, "work/project"), Statements: []string{filepath.Join(p.dir, "trace.jl")}, Output: filepath.Join(p.dir, "image.so"),
		Target: settings.DefaultTarget(), Jobs: 2, CacheDir: cache, Explain: true, Report: out,
	}
	if change != nil {
		change(&o)
	}
	var err error
	out.Result, err = Run(p.t.Context(), o)
	if err != nil {
		p.t.Fatal(err)
	}
	if out.Statements.Unresolved > 0 {
		p.t.Fatalf("not resolved are %v", out.Unresolved)
	}
	return out
}

// runs checks that a process on the image tells of frames in the code of the image as one without does: with the paths that there are here.
func (p place) runs() {
	p.t.Helper()
	p.enter()
	script := filepath.Join(p.dir, "script.jl")
	output := func(arguments ...string) string {
		var stderr bytes.Buffer
		cmd := exec.Command(p.julia, append(append([]string{"--startup-file=no"}, arguments...), script)...)
		cmd.Stderr = &stderr
		text, err := cmd.Output()
		if err != nil {
			p.t.Fatalf("%v: %s", err, stderr.Bytes())
		}
		return string(text)
	}
	image := filepath.Join(p.dir, "image.so")
	want, got := output(), output("-J", image)
	if got != want {
		p.t.Errorf("on the image it prints\n%s\nand without it\n%s", got, want)
	}
	for _, place := range []string{"/src/deep/thrower.jl:1\n", "/src/deep/thrower.jl:2 inlined\n", "/work/Desktop/src/Desktop.jl:4", "/loose/Loose.jl:3\n"} {
		if !strings.Contains(want, place) || !strings.Contains(want, " "+p.dir+"/") {
			p.t.Errorf("there is no %s%s in\n%s", p.dir, place, want)
		}
	}
	left := filepath.Join(p.t.TempDir(), "left")
	output("--trace-compile="+left, "-J", image)
	for _, name := range []string{"squared", "typeof(Loose.run)", "monthly"} {
		if text, err := os.ReadFile(left); err != nil || bytes.Contains(text, []byte(name)) {
			p.t.Errorf("%s was compiled once more (%v):\n%s", name, err, text)
		}
	}
	data, err := os.ReadFile(image)
	if err != nil || bytes.Contains(data, []byte("@package/")) {
		p.t.Errorf("names of packages' folders are left in the image (%v)", err)
	}
}

// What one user has compiled, another one whose files lie elsewhere need not: not from another version of a package that has the same code,
// nor with standard libraries whose caches came with Julia. Backtraces have each user's own paths.
func TestPlaces(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, julia string) {
		dir := t.TempDir()
		cache := filepath.Join(dir, "cache")
		here := filepath.Join(dir, "here")
		one := newPlace(t, julia, here, strings.Repeat("12", 20), filepath.Join(here, "depot"))
		there := filepath.Join(dir, "quite/another/place")
		two := newPlace(t, julia, there, strings.Repeat("34", 20), filepath.Join(there, "depot")+":")

		if p := one.build(cache, nil).Partitions; p.Hits != 0 {
			t.Fatalf("the first build's partitions are %+v", p)
		}
		one.runs()
		two.build(cache, nil).allHits(t)
		two.runs()
		// What is compiled there is what was compiled here, byte for byte. On Julia 1.12 that does not hold in one place either (docs/limits.md).
		if strings.Contains(t.Name(), "/1.12.") {
			return
		}
		if p := two.build(cache, func(o *Options) { o.VerifyCache = true }).Partitions; p.Hits != p.Total {
			t.Errorf("the partitions of the second place are %+v", p)
		}
	})
}
