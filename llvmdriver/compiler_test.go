package llvmdriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"chainbuild/julia"
)

func TestCompile(t *testing.T) {
	target, err := ParseTarget("haswell,-avx2", 3)
	if err != nil {
		t.Fatal(err)
	}
	c, out := startWorkers(t, 1, 1)
	var begun starts
	p := partition(t, 1, "code")
	p.Target = target
	o, err := c.Compile(t.Context(), p, false, begun.note)
	if err != nil || string(o.Data) != "3 haswell -avx2" || o.Times != (Times{3 * time.Millisecond, 4 * time.Millisecond}) {
		t.Errorf("the object is %q, made in %+v (%v)", o.Data, o.Times, err)
	}
	begun.expect(t, 0)
	if begun.lost[0] != nil {
		t.Errorf("it was begun because of %v", begun.lost[0])
	}
	c.Close()
	if !strings.Contains(out.String(), "arguments [--startup-file=no --history-file=no emit.jl]") {
		t.Errorf("the workers print %q", out)
	}
	if c.PeakRSS() < 1<<20 {
		t.Errorf("the workers had %d bytes", c.PeakRSS())
	}
}

// A worker that says that it cannot is believed; one that answers what it should not is not.
func TestCompileRefused(t *testing.T) {
	c, _ := startWorkers(t, 1, 1)
	for bitcode, says := range map[string]string{
		"refuse no such target": "partition 7 failed: no such target",
		"babble":                "partition 7: its worker's answer cannot be read: ",
	} {
		var begun starts
		_, err := c.Compile(t.Context(), partition(t, 7, bitcode), false, begun.note)
		if err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%q: %v, and not %q", bitcode, err, says)
		}
		begun.expect(t, 0)
	}
	if _, err := c.Compile(t.Context(), partition(t, 7, "forget"), false, func(int, error) {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without an object: %v", err)
	}
	if o, err := c.Compile(t.Context(), partition(t, 8, "code"), false, func(int, error) {}); err != nil || string(o.Data) != "0 native " {
		t.Errorf("the next partition's object is %q (%v)", o.Data, err)
	}
}

// A worker that dies is replaced once for a partition.
func TestCompileLost(t *testing.T) {
	c, _ := startWorkers(t, 1, 1)
	var begun starts
	if o, err := c.Compile(t.Context(), partition(t, 1, "once"), false, begun.note); err != nil || len(o.Data) == 0 {
		t.Errorf("the object is %q (%v)", o.Data, err)
	}
	begun.expect(t, 0, 0)
	if begun.lost[0] != nil || begun.lost[1] == nil || !strings.Contains(begun.lost[1].Error(), "signal 9") {
		t.Errorf("it was begun because of %v", begun.lost)
	}
	_, err := c.Compile(t.Context(), partition(t, 2, "die"), false, func(int, error) {})
	if err == nil || !strings.HasPrefix(err.Error(), "partition 2 failed 2 times: ") || !strings.Contains(err.Error(), "about to fall") {
		t.Errorf("a partition that no worker survives: %v", err)
	}
	if _, err := c.Compile(t.Context(), partition(t, 3, "code"), false, func(int, error) {}); err != nil {
		t.Errorf("the next partition: %v", err)
	}
}

// Many are compiled at once, and as many at a time as is said.
func TestCompileMany(t *testing.T) {
	c, _ := startWorkers(t, 3, 3)
	c.SetLimit(2)
	var wait sync.WaitGroup
	for n := range 12 {
		p := partition(t, n+1, fmt.Sprintf("code %d", n))
		wait.Go(func() {
			if _, err := c.Compile(t.Context(), p, false, func(worker int, _ error) {
				if worker < 0 || worker > 2 {
					t.Errorf("there is no worker %d", worker)
				}
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

// A worker that is started when it is needed is not there before, and not at all while one that runs is free.
func TestReady(t *testing.T) {
	for _, ready := range []int{0, 1} {
		c, out := startWorkers(t, 3, ready)
		if text := out.String(); ready == 0 && text != "" {
			t.Errorf("before there is anything to do the workers print %q", text)
		}
		for range 5 {
			if _, err := c.Compile(t.Context(), partition(t, 1, "code"), false, func(int, error) {}); err != nil {
				t.Error(err)
			}
		}
		c.Close()
		if n := strings.Count(out.String(), "arguments"); n != 1 {
			t.Errorf("with %d workers that are ready, %d were started for one partition at a time", ready, n)
		}
	}
}

func TestCompileStopped(t *testing.T) {
	c, _ := startWorkers(t, 1, 1)
	ctx, stop := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	p := partition(t, 1, "hang")
	go func() {
		for {
			if _, err := os.Stat(p.Bitcode + ".hangs"); err == nil {
				stop(enough)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := c.Compile(ctx, p, false, func(int, error) {}); !errors.Is(err, enough) {
		t.Errorf("a partition that was given up: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	if _, err := Start(t.Context(), Options{Julia: &julia.Installation{Executable: os.Args[0]}}); err == nil {
		t.Error("no workers were started")
	}
	if _, err := Start(t.Context(), Options{Julia: &julia.Installation{Executable: "/gone/julia"}, Jobs: 1, Ready: 1}); err == nil || !strings.Contains(err.Error(), "/gone/julia") {
		t.Errorf("a Julia that is not there: %v", err)
	}
}
