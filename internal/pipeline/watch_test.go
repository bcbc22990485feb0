package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"chainbuild/internal/usage"
)

// A fakeBuilder stands in for Run under Watch. A test waits for each build to begin and says how it ends.
type fakeBuilder struct {
	t       *testing.T
	began   chan Options
	end     chan error
	events  chan Event
	ended   chan error // of Watch
	cancel  context.CancelCauseFunc
	running bool
}

var errPressed = errors.New("Ctrl-C")

// startWatch starts a Watch in a folder with a statements file, trace.jl.
func startWatch(t *testing.T, w WatchOptions) (*fakeBuilder, string) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "trace.jl", "precompile(Tuple{typeof(sin), Float64})\n")
	f := &fakeBuilder{t: t, began: make(chan Options), end: make(chan error), events: make(chan Event, 100), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancelCause(t.Context())
	f.cancel = cancel
	if w.Settle == 0 {
		w.Settle = 20 * time.Millisecond
	}
	o := Options{Statements: []string{"trace.jl"}, Output: "out.so", Report: f}
	go func() { f.ended <- watch(ctx, o, w, f.run) }()
	return f, dir
}

func (f *fakeBuilder) Report(e Event) { f.events <- e }

func (f *fakeBuilder) run(ctx context.Context, o Options) (*Result, error) {
	if f.running {
		f.t.Error("two builds run at once")
	}
	f.running = true
	defer func() { f.running = false }()
	select {
	case f.began <- o:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case err := <-f.end:
		return &Result{}, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begins waits for a build to begin.
func (f *fakeBuilder) begins() Options {
	f.t.Helper()
	select {
	case o := <-f.began:
		return o
	case <-time.After(10 * time.Second):
		f.t.Fatal("no build has begun")
		return Options{}
	}
}

// rests checks that no build begins for a while.
func (f *fakeBuilder) rests() {
	f.t.Helper()
	select {
	case <-f.began:
		f.t.Fatal("a build has begun, though nothing has changed")
	case <-time.After(200 * time.Millisecond):
	}
}

// says waits for the next event, which must be of want's type.
func says[E Event](f *fakeBuilder) E {
	f.t.Helper()
	select {
	case e := <-f.events:
		if e, ok := e.(E); ok {
			return e
		}
		f.t.Fatalf("the event is %#v, and should be a %T", e, *new(E))
	case <-time.After(10 * time.Second):
		f.t.Fatalf("no event, and there should be a %T", *new(E))
	}
	return *new(E)
}

// stops ends the Watch.
func (f *fakeBuilder) stops() {
	f.t.Helper()
	f.cancel(errPressed)
	select {
	case err := <-f.ended:
		if err != errPressed {
			f.t.Errorf("it ended with %v, and not with the cause of the end", err)
		}
	case <-time.After(10 * time.Second):
		f.t.Fatal("it does not end")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *fakeBuilder) changes(want ...string) {
	f.t.Helper()
	if got := says[Changed](f).Paths; !reflect.DeepEqual(got, want) {
		f.t.Errorf("what has changed is %q, and should be %q", got, want)
	}
}

func TestWatch(t *testing.T) {
	t.Run("events", func(t *testing.T) { testWatch(t, WatchOptions{}) })
	t.Run("clock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { testWatch(t, WatchOptions{Poll: 10 * time.Millisecond}) })
	})
}

func testWatch(t *testing.T, options WatchOptions) {
	f, dir := startWatch(t, options)
	o := f.begins()
	write(t, "Pkg/src/Pkg.jl", "module Pkg end")
	write(t, "Pkg/src/parts/one.jl", "1")
	o.sources(filepath.Join(dir, "Pkg/src"))
	o.sources(filepath.Join(dir, "Pkg/Manifest.toml"))
	f.end <- nil
	// The sources were written after the build had begun: it may have read something else.
	f.changes("Pkg/src/Pkg.jl", "Pkg/src/parts/one.jl")
	f.begins()
	f.end <- nil
	if got := says[Watching](f); got.Files != 3 || got.Polled != (options.Poll > 0) {
		t.Errorf("watched are %+v", got)
	}

	change := func(path, text string) {
		t.Helper()
		write(t, path, text)
		f.changes(path)
		if o := f.begins(); o.Edited != (path != "trace.jl") {
			t.Errorf("after a change of %s the packages are taken for edited: %v", path, o.Edited)
		}
		f.end <- nil
		says[Watching](f)
	}
	change("trace.jl", "precompile(Tuple{typeof(cos), Float64})\n")
	change("Pkg/src/parts/one.jl", "2")
	change("Pkg/src/parts/one.jl", "3")
	change("Pkg/src/more/two.jl", "new")
	change("Pkg/src/more/two.jl", "newer")
	change("Pkg/Manifest.toml", "[[Dates]]")

	// An editor's way to save, which leaves its own files behind.
	write(t, "Pkg/src/.Pkg.jl.swp", "")
	write(t, "Pkg/src/Pkg.jl~", "module Pkg end")
	write(t, "Pkg/src/.new", "module Pkg; end")
	if err := os.Rename("Pkg/src/.new", "Pkg/src/Pkg.jl"); err != nil {
		t.Fatal(err)
	}
	f.changes("Pkg/src/Pkg.jl")
	f.begins()
	f.end <- nil
	says[Watching](f)

	if err := os.Remove("Pkg/src/parts/one.jl"); err != nil {
		t.Fatal(err)
	}
	f.changes("Pkg/src/parts/one.jl")
	f.begins()
	f.end <- nil
	says[Watching](f)

	// What changes nothing: another file, another time, the same content again, the image.
	write(t, "notes.txt", "remember")
	write(t, "trace.jl", "precompile(Tuple{typeof(cos), Float64})\n")
	write(t, "out.so", "image")
	if err := os.Chtimes("Pkg/src/Pkg.jl", time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	f.rests()
	f.stops()
}

// Sources are watched where links lead.
func TestWatchFollowsLinks(t *testing.T) {
	f, dir := startWatch(t, WatchOptions{})
	write(t, "elsewhere/Pkg.jl", "module Pkg end")
	write(t, "more/parts/one.jl", "1")
	for link, target := range map[string]string{"src": "elsewhere", "elsewhere/parts": "../more/parts"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	f.begins().sources(filepath.Join(dir, "src"))
	f.end <- nil
	f.changes("src/Pkg.jl", "src/parts/one.jl") // written while the build ran
	f.begins()
	f.end <- nil
	if got := says[Watching](f); got.Files != 3 {
		t.Errorf("watched are %+v", got)
	}
	for file, seen := range map[string]string{"elsewhere/Pkg.jl": "src/Pkg.jl", "more/parts/one.jl": "src/parts/one.jl"} {
		write(t, file, "changed")
		f.changes(seen)
		f.begins()
		f.end <- nil
		says[Watching](f)
	}
	f.stops()
}

// A change while a build runs lets it end, and the next one begin at once.
func TestWatchChangeDuringBuild(t *testing.T) {
	f, _ := startWatch(t, WatchOptions{})
	f.begins()
	write(t, "trace.jl", "precompile(Tuple{typeof(cos), Float64})\n")
	f.rests()
	f.end <- nil
	f.changes("trace.jl")
	f.begins()
	f.end <- nil
	says[Watching](f)
	f.rests()
	f.stops()
}

// Several changes in quick succession are one.
func TestWatchSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := startWatch(t, WatchOptions{Settle: 150 * time.Millisecond, Poll: 10 * time.Millisecond})
		f.begins().sources(filepath.Join(dir, "src"))
		f.end <- nil
		says[Watching](f)
		for _, text := range []string{"1", "2", "3"} {
			write(t, "trace.jl", text)
			time.Sleep(50 * time.Millisecond)
			write(t, "src", text) // a file by the name that a folder was expected to have
		}
		f.changes("src", "trace.jl")
		f.begins()
		f.end <- nil
		says[Watching](f)

		// What is as it was when it settles has not changed.
		write(t, "trace.jl", "")
		time.Sleep(50 * time.Millisecond)
		write(t, "trace.jl", "3")
		f.rests()
		f.stops()
	})
}

// A source that is written as the build begins may have been read before or after: it counts as changed, whatever the grain of times.
func TestWatchedAsTheBuildBegins(t *testing.T) {
	for _, test := range []struct {
		modified, began time.Time
		changed         bool
	}{
		{time.Unix(1000, 1), time.Unix(1000, 0), true},
		{time.Unix(1000, 1), time.Unix(1000, 5_000_000), true},
		{time.Unix(1000, 1), time.Unix(1000, 500_000_000), false},
		{time.Unix(1000, 0), time.Unix(1000, 500_000_000), true},
		{time.Unix(1000, 0), time.Unix(1003, 0), false},
	} {
		path := filepath.Join(t.TempDir(), "source.jl")
		write(t, path, "1")
		if err := os.Chtimes(path, test.modified, test.modified); err != nil {
			t.Fatal(err)
		}
		files := watchFiles(WatchOptions{Poll: time.Hour})
		files.began = test.began
		files.add(path)
		if changed, _ := files.look(); (len(changed) > 0) != test.changed {
			t.Errorf("written %v before the build began, the changes are %q", test.began.Sub(test.modified), changed)
		}
		files.begin()
		if changed, _ := files.look(); len(changed) > 0 {
			t.Errorf("after the next build began, the changes are %q", changed)
		}
	}
}

// A build that fails is told of, and the next change starts another one.
func TestWatchFailure(t *testing.T) {
	f, _ := startWatch(t, WatchOptions{})
	f.begins()
	f.end <- errors.New("a worker was lost")
	if got, want := says[Warning](f).Text, "the build failed and the image stays as it was: a worker was lost"; got != want {
		t.Errorf("the warning is %q, and should be %q", got, want)
	}
	says[Watching](f)
	write(t, "trace.jl", "what is this")
	says[Changed](f)
	f.begins()
	f.end <- usage.Wrap(errors.New("trace.jl:1: no statement"))
	says[Warning](f)
	says[Watching](f)
	write(t, "trace.jl", "precompile(Tuple{typeof(cos), Float64})\n")
	says[Changed](f)
	f.begins()
	f.stops() // in the middle of a build
}

// A first build that is refused was asked for wrongly: there is nothing to wait for.
func TestWatchRefused(t *testing.T) {
	f, _ := startWatch(t, WatchOptions{})
	f.begins()
	refused := usage.Wrap(errors.New("no such base"))
	f.end <- refused
	if err := <-f.ended; err != refused {
		t.Errorf("it ended with %v", err)
	}
}
