package pipeline

// Builds of two machines with one remote cache: each has a cache folder and an output of its own.

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/policytest"
	"chainbuild/internal/settings"
	"chainbuild/objcache/remote"
	"chainbuild/objcache/remote/remotetest"
	"chainbuild/sysimage"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

func TestRemote(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, julia string) {
		r := newRebuilder(t, julia)
		server := &remotetest.Server{Zstd: true}
		target := server.Start(t)
		proxy, address := remotetest.StartProxy(t, target)
		on := func(machine, address string) func(*Options) {
			return func(o *Options) {
				o.CacheDir, o.Output = r.path(machine), r.path(machine+".so")
				if address != "" {
					o.Remote = settings.Remote{Cache: settings.RemoteURL("grpc://" + address), Wait: settings.Wait(20 * time.Second)}
				}
			}
		}
		// WithWorkers is the same for a machine that has the first one's worker image.
		withWorkers := func(machine, address string) func(*Options) {
			return func(o *Options) {
				on(machine, address)(o)
				o.WorkerImages = r.path("one/workers")
			}
		}
		book := `Shelf.describe(Shelf.Book("Ulysses", 730))`

		// Partitions with the same code, also in the worker image, share an object: a few are found by the build that stores them.
		first := r.build(t, on("one", target))
		total := first.Partitions.Total
		most := total * 3 / 4
		if c := first.Remote; first.Partitions.Misses < most || c == nil || c.Stored < first.Partitions.Misses || c.Unstored != 0 || len(first.warnings) != 0 {
			t.Fatalf("the first build has %+v of the remote cache, %+v of partitions, the warnings %q", c, first.Partitions, first.warnings)
		}

		t.Run("second machine", func(t *testing.T) {
			second := r.build(t, on("two", target))
			second.allHits(t)
			if second.Partitions.RemoteHits < most || len(second.warnings) != 0 {
				t.Errorf("%d of %d came from the remote cache, with the warnings %q", second.Partitions.RemoteHits, total, second.warnings)
			}
			if !slices.ContainsFunc(second.notes, func(note string) bool { return strings.HasSuffix(note, ": hit in the remote cache") }) {
				t.Errorf("the explanations are %q", second.notes)
			}
			r.prints(t, second.Image, book, "Ulysses, 730 pages")
			// Its workers start from the first machine's image: two that are made are never the same, as each says where it was made.
			if made, got := workerImageOf(t, r.path("one")), workerImageOf(t, r.path("two")); !bytes.Equal(made, got) {
				t.Error("the second machine has made a worker image of its own")
			}
		})

		t.Run("worker image of no use", func(t *testing.T) {
			// Plan is that of a machine, with the worker image as the remote cache knows it.
			plan := func(machine string) (p *plan, action *remote.Action) {
				o := r.options
				on(machine, target)(&o)
				p, err := newPlan(t.Context(), o, newProgress(nil))
				if err != nil {
					t.Fatal(err)
				}
				key, err := p.workerImageKey()
				if err != nil {
					t.Fatal(err)
				}
				if action, err = p.workerImageAction(key); err != nil {
					t.Fatal(err)
				}
				return p, action
			}
			p, action := plan("two")
			p.remote.Put(action, []byte("no image"))
			p.close(t.Context(), newProgress(nil))

			out := r.build(t, on("six", target))
			out.allHits(t)
			if len(out.warnings) != 1 || !strings.Contains(out.warnings[0], "another one is made") {
				t.Errorf("the warnings are %q", out.warnings)
			}
			// It takes the place of the other.
			p, action = plan("seven")
			defer p.close(t.Context(), newProgress(nil))
			path := r.path("seven.image")
			if err := p.fetchWorkerImage(t.Context(), path, action, newProgress(nil)); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, workerImageOf(t, r.path("six"))) {
				t.Errorf("the next machine gets another one (%v)", err)
			}
		})

		t.Run("policy", func(t *testing.T) {
			server := &remotetest.Server{}
			address := server.Start(t)
			with := func(machine, policy string) func(*Options) {
				return func(o *Options) {
					withWorkers(machine, address)(o)
					o.Policies = []string{policy}
				}
			}
			out := r.build(t, with("eight", policytest.Build(t, "./testdata/policy", "p.wasm")))
			if c := out.Remote; c.Withheld == 0 || c.Stored == 0 || c.Stored+c.Withheld != out.Partitions.Misses || len(out.warnings) != 0 {
				t.Errorf("the remote cache has %+v of %d objects, with the warnings %q", c, out.Partitions.Misses, out.warnings)
			}
			server.Change(func(_ *repb.ActionResult, blobs map[string][]byte) {
				for _, blob := range blobs {
					if bytes.Contains(blob, []byte("@package/Shelf")) {
						t.Error("something of Shelf is at the server")
					}
				}
			})
			if image, err := sysimage.OpenFile(out.Image); err != nil || !strings.HasPrefix(image.Note.Build["policies"], "p.wasm ") {
				t.Errorf("the image's note does not name the policy (%v)", err)
			}
			_, err := r.try(t, with("nine", policytest.Module{Questions: 2, Answer: `{"answers":[]}`}.Write(t, "q.wasm")))
			if err == nil || !strings.Contains(err.Error(), "q.wasm gave 0 answers about") {
				t.Errorf("a policy that fails gives %v", err)
			}
			if _, err := os.Stat(r.path("nine.so")); err == nil {
				t.Error("there is an image all the same")
			}
		})

		t.Run("local first", func(t *testing.T) {
			asked := server.Calls("GetActionResult")
			again := r.build(t, on("two", target))
			again.allHits(t)
			if server.Calls("GetActionResult") != asked || again.Partitions.RemoteHits != 0 {
				t.Error("the remote cache was asked for what the local one has")
			}
		})

		t.Run("verify", func(t *testing.T) {
			verified := r.build(t, func(o *Options) {
				on("three", target)(o)
				o.VerifyCache = true
			})
			if p := verified.Partitions; p.RemoteHits < most || p.Misses != 0 || verified.compiled != total {
				t.Errorf("%d were remote hits and %d compiled of %d partitions", p.RemoteHits, verified.compiled, total)
			}
		})

		t.Run("hangs", func(t *testing.T) {
			proxy.Hangs.Store(true)
			out := r.build(t, withWorkers("four", address))
			if p := out.Partitions; p.RemoteHits != 0 || len(out.warnings) != 1 || !strings.Contains(out.warnings[0], "is not used any more") || out.Remote.Off == "" {
				t.Errorf("%d were hits, with the warnings %q", p.RemoteHits, out.warnings)
			}
			r.prints(t, out.Image, book, "Ulysses, 730 pages")
		})

		t.Run("wrong bytes", func(t *testing.T) {
			server.Spoil = func(data []byte) []byte {
				if len(data) > 0 {
					data[0] ^= 1
				}
				return data
			}
			defer func() { server.Spoil = nil }()
			out := r.build(t, withWorkers("five", target))
			if p := out.Partitions; p.RemoteHits != 0 || len(out.warnings) != 1 || !strings.Contains(out.warnings[0], "not what they should be") {
				t.Errorf("%d were hits, with the warnings %q", p.RemoteHits, out.warnings)
			}
			r.prints(t, out.Image, book, "Ulysses, 730 pages")
		})
	})
}

// workerImageOf is the worker image in a cache's folder.
func workerImageOf(t *testing.T, folder string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "workers/*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the worker images are %q (%v)", files, err)
	}
	image, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// What the remote cache is told wrongly is refused before any work.
func TestRemoteRefused(t *testing.T) {
	p := &plan{options: Options{Remote: settings.Remote{Cache: "grpc://127.0.0.1:1", Sign: "nothing"}}}
	if err := p.openRemote(newProgress(nil)); err == nil || !strings.Contains(err.Error(), "the key for the remote cache cannot be read") {
		t.Errorf("a key that is not there gives %v", err)
	}
	p.closeRemote(context.Background(), newProgress(nil))
}
