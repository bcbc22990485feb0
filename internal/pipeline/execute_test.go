package pipeline

// Builds that a server compiles for, beside a worker of this machine that is slow to start. The server runs the commands in a folder with their input
// and with their environment alone (package remotetest).

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/settings"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"
	"chainbuild/objcache/remote/remotetest"
)

func TestExecute(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		r := newRebuilder(t, executable)
		// A compile worker on a worker image is told to serve; those that make the worker image are not slow.
		slow := r.path("slow")
		script := "#!/bin/sh\n" + r.environment() + fmt.Sprintf("case \"$*\" in *-J*'serve()'*) n=$(cat %[1]q 2>/dev/null || echo 0); while [ -e %[1]q ] && [ $n -gt 0 ]; do sleep 1; n=$((n-1)); done ;; esac\nexec %[2]q \"$@\"\n", slow, executable)
		if err := juliatest.WriteProgram(r.options.Julia, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		r.options.CPU, r.options.Jobs = "generic", 1
		in, err := julia.Find(t.Context(), executable)
		if err != nil {
			t.Fatal(err)
		}
		withJulia := map[string]string{"OSFamily": "linux", "ISA": "x86-64", "chainbuild-julia": juliaID(t, in)}
		book := `Shelf.describe(Shelf.Book("Ulysses", 730))`

		local := r.build(t, nil)
		objects := cached(t, r.path("cache"))
		workers, err := filepath.Glob(r.path("cache/workers/*.so"))
		if err != nil || len(workers) != 1 {
			t.Fatalf("the worker images are %q (%v)", workers, err)
		}
		total := local.Partitions.Total
		if total < 4 {
			t.Fatalf("%d partitions are too few", total)
		}

		// Instructions may take more or fewer bytes to reach other places.
		same := bytes.Equal
		if placesVary(t, executable) {
			same = func(a, b []byte) bool { return slices.Equal(meaning(t, a), meaning(t, b)) }
		}

		// On starts a server and builds with it, on a machine that has nothing but the worker image.
		on := func(t *testing.T, name string, server *remotetest.Server, change func(*Options)) *outcome {
			t.Helper()
			address := server.Start(t)
			folder := r.path(name)
			if err := os.MkdirAll(filepath.Join(folder, "workers"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(workers[0], filepath.Join(folder, "workers", filepath.Base(workers[0]))); err != nil {
				t.Fatal(err)
			}
			out := r.build(t, func(o *Options) {
				o.CacheDir, o.Output, o.Timings = folder, r.path(name+".so"), r.path(name+".json")
				o.Remote = settings.Remote{Cache: settings.RemoteURL("grpc://" + address), Wait: settings.Wait(20 * time.Second), Exec: settings.ExecYes}
				if change != nil {
					change(o)
				}
			})
			// Whoever has compiled it, it is the same.
			all := cached(t, folder)
			for key, object := range all {
				if want, ok := objects[key]; !ok || !same(object, want) {
					t.Errorf("the object %s is another than that of this machine's workers, if they have made it at all (%v)", key, ok)
				}
			}
			if len(all) < total*3/4 { // a few have the same code
				t.Errorf("%d objects are in the cache, of %d partitions", len(all), total)
			}
			return out
		}
		// Slowly has a worker of this machine take some seconds to start.
		slowly := func(t *testing.T, seconds int) {
			write(t, slow, fmt.Sprintln(seconds))
			t.Cleanup(func() { os.Remove(slow) })
		}
		// UntilRun has it start when the server has run all that it was given.
		untilRun := func(t *testing.T, e *remotetest.Executor) {
			slowly(t, 180)
			go func() {
				for idle := 0; idle < 20 && t.Context().Err() == nil; time.Sleep(100 * time.Millisecond) {
					if ran := e.Ran(); ran > 0 && ran == e.Executed() {
						idle++
					} else {
						idle = 0
					}
				}
				os.Remove(slow)
			}()
		}
		// Most have their object from the server: all but those that the slow worker begins with.
		executed := func(t *testing.T, out *outcome) {
			t.Helper()
			x := out.Remote.Execution
			if out.Partitions.Executed < total/2 || x.Executed != out.Partitions.Executed || x.Batches == 0 || x.Partitions < x.Executed {
				t.Errorf("of %d partitions %d were compiled remotely; %+v", total, out.Partitions.Executed, x)
			}
		}

		t.Run("property", func(t *testing.T) {
			server := &remotetest.Server{Zstd: true, Executor: &remotetest.Executor{Properties: withJulia, Environment: []string{"CHAINBUILD_JULIA=" + executable}}}
			untilRun(t, server.Executor)
			out := on(t, "property", server, nil)
			executed(t, out)
			if len(out.warnings) > 0 || out.Remote.Execution.Failed != 0 || out.Compiling.Codegen == 0 {
				t.Errorf("it warns %q; %+v, %+v", out.warnings, out.Remote.Execution, out.Compiling)
			}
			// All is stored under the actions of the partitions, for those who do not execute.
			if counts := out.Remote.Counts; counts.Stored < total || counts.Unstored != 0 {
				t.Errorf("stored are %+v", counts)
			}
			if timings, err := os.ReadFile(r.path("property.json")); err != nil || !bytes.Contains(timings, []byte("remote execution")) {
				t.Errorf("the timings have no batch (%v)", err)
			}
			r.prints(t, out.Image, book, "Ulysses, 730 pages")
		})

		t.Run("tree", func(t *testing.T) {
			// Its workers have properties that only who builds can know.
			server := &remotetest.Server{Zstd: true, Executor: &remotetest.Executor{Properties: map[string]string{"OSFamily": "linux", "Pool": "b"}}}
			untilRun(t, server.Executor)
			out := on(t, "tree", server, func(o *Options) {
				o.Remote.Julia, o.Remote.Properties = settings.JuliaTree, settings.RemoteProperties{"ISA": "", "Pool": "b"}
			})
			executed(t, out)
			if len(out.warnings) > 0 {
				t.Errorf("it warns %q", out.warnings)
			}
		})

		t.Run("outputs dropped", func(t *testing.T) {
			server := &remotetest.Server{Executor: &remotetest.Executor{
				Properties: withJulia, Environment: []string{"CHAINBUILD_JULIA=" + executable}, Fault: func(int) remotetest.Fault { return remotetest.Drop },
			}}
			untilRun(t, server.Executor)
			out := on(t, "dropped", server, nil)
			if x := out.Remote.Execution; x.Executed == 0 || x.Failed == 0 || !slices.ContainsFunc(out.warnings, func(text string) bool { return strings.Contains(text, "there is no object of partition") }) {
				t.Errorf("%+v, with the warnings %q", x, out.warnings)
			}
		})

		// What does not work at all costs a warning of each kind, and no partition. Other faults are those of the protocol (package remote).
		for _, test := range []struct {
			name     string
			executor *remotetest.Executor
			warnings []string
			off      string
		}{
			{
				name:     "hangs",
				executor: &remotetest.Executor{Properties: withJulia, Fault: func(int) remotetest.Fault { return remotetest.Hang }},
				warnings: []string{"has compiled nothing of what it was given"},
			},
			{
				name:     "has another Julia",
				executor: &remotetest.Executor{Properties: withJulia, Environment: []string{"CHAINBUILD_JULIA=" + r.path("other")}},
				warnings: []string{"this is another Julia", "nothing more is compiled by the server"},
				off:      "3 batches have failed in a row",
			},
			{name: "does not execute", warnings: []string{"it does not execute"}, off: "it does not execute"},
		} {
			t.Run(test.name, func(t *testing.T) {
				if test.name == "hangs" {
					slowly(t, int(lateWarning.Seconds())+2)
				}
				if test.name == "has another Julia" {
					untilRun(t, test.executor)
					// It says that its version is another, by what it runs before the worker.
					write(t, r.path("other"), fmt.Sprintf("#!/bin/sh\nsed -i 1s/.*/1.4.2/ julia.txt 2>/dev/null || { mv julia.txt was; sed 1s/.*/1.4.2/ was >julia.txt; }\nexec %q \"$@\"\n", executable))
					if err := os.Chmod(r.path("other"), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				out := on(t, test.name, &remotetest.Server{Executor: test.executor}, nil)
				x := out.Remote.Execution
				if x.Executed != 0 || out.Partitions.Executed != 0 || (x.Off == "") != (test.off == "") || !strings.Contains(x.Off, test.off) {
					t.Errorf("%+v", x)
				}
				if len(out.warnings) != len(test.warnings) {
					t.Errorf("it warns %q", out.warnings)
				}
				for i, text := range out.warnings {
					if i < len(test.warnings) && !strings.Contains(text, test.warnings[i]) {
						t.Errorf("it warns %q, and not %q", text, test.warnings[i])
					}
				}
			})
		}
	})
}

// juliaID is what the machines of a server are known by that have the Julia.
func juliaID(t *testing.T, in *julia.Installation) string {
	t.Helper()
	recipe, err := llvmdriver.NewRecipe(in, seriesOf(t, in).Sources(), llvmdriver.Target{CPU: "x86-64"})
	if err != nil {
		t.Fatal(err)
	}
	return recipe.JuliaID()
}

// cached are the objects in a cache, by the names of their entries.
func cached(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "??/*.entry"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the cache %s is empty (%v)", folder, err)
	}
	cache, err := objcache.Open(folder, objcache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	objects := map[string][]byte{}
	for _, file := range files {
		name := filepath.Base(file)
		digits, err := hex.DecodeString(strings.TrimSuffix(name, ".entry"))
		if err != nil {
			t.Fatal(err)
		}
		if objects[name], err = cache.Get(objcache.Key(digits)); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// meaning is what an object defines and refers to, and its constants. Where places in frames are others, code may refer to things in another order.
func meaning(t *testing.T, object []byte) (all []string) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		all = append(all, s.Name)
	}
	for _, section := range file.Sections {
		if !strings.HasPrefix(section.Name, ".rodata") && section.Name != ".rela.text" {
			continue
		}
		data, err := section.Data()
		if err != nil {
			t.Fatal(err)
		}
		if section.Type != elf.SHT_RELA {
			all = append(all, section.Name+string(data))
			continue
		}
		for r := range slices.Chunk(data, 24) { // offset, symbol and type, addend
			all = append(all, string(r[8:16]))
		}
	}
	slices.Sort(all)
	return all
}

// placesVary says whether the same bitcode may be compiled to objects with other places in frames, as Julia 1.12 does (docs/limits.md)
// without the patch gc-frame-order.
func placesVary(t *testing.T, executable string) bool {
	t.Helper()
	in, err := julia.Find(t.Context(), executable)
	if err != nil {
		t.Fatal(err)
	}
	return seriesOf(t, in).Name == "1.12" && !slices.Contains(in.Patches, "gc-frame-order")
}

func seriesOf(t *testing.T, in *julia.Installation) *julia.Series {
	t.Helper()
	series, err := in.Series()
	if err != nil {
		t.Fatal(err)
	}
	return series
}
