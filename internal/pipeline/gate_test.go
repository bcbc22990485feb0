package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chainbuild/internal/policytest"
	"chainbuild/internal/settings"
	"chainbuild/llvmdriver"
	"chainbuild/policy"
	"chainbuild/policy/sdk"
)

// newGate is a gate with policies that always give an answer about one upload.
func newGate(t *testing.T, answers ...string) (*gate, *progress) {
	t.Helper()
	progress := newProgress(nil)
	g := &gate{progress: progress}
	for i, answer := range answers {
		path := policytest.Module{Questions: 2, Answer: `{"answers":[` + answer + `]}`}.Write(t, fmt.Sprintf("p%d.wasm", i))
		p, err := policy.Open(t.Context(), path, policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		g.policies = append(g.policies, judge{p.Name, p.Uploads})
	}
	return g, progress
}

const allow, withhold = `{"do":"allow"}`, `{"do":"withhold","reason":"secret"}`

// What one policy withholds does not leave, whatever the others say.
func TestGate(t *testing.T) {
	for _, test := range []struct {
		answers []string
		allowed bool
	}{{[]string{allow}, true}, {[]string{allow, allow}, true}, {[]string{allow, withhold}, false}, {[]string{withhold, "nonsense that is not asked for"}, false}} {
		g, progress := newGate(t, test.answers...)
		allowed, err := g.allows(t.Context(), sdk.Upload{Kind: sdk.UploadObject}, 1)
		withheld := progress.outcome(nil).withheld
		if err != nil || allowed != test.allowed || withheld > 0 == allowed {
			t.Errorf("%q: it may leave: %v, %v; %d were withheld", test.answers, allowed, err, withheld)
		}
	}
	if allowed, err := (*gate)(nil).allows(t.Context(), sdk.Upload{}, 1); err != nil || !allowed {
		t.Errorf("without policies: %v, %v", allowed, err)
	}
}

// After a policy has failed nothing leaves any more.
func TestGateFails(t *testing.T) {
	g, _ := newGate(t, allow+","+allow)
	for range 2 {
		allowed, err := g.allows(t.Context(), sdk.Upload{}, 1)
		if allowed || err == nil || !strings.Contains(err.Error(), "gave 2 answers about 1 uploads") || g.failed() != err {
			t.Errorf("it may leave: %v, %v", allowed, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	g, _ = newGate(t, allow)
	if allowed, err := g.allows(ctx, sdk.Upload{}, 1); allowed || err != stopped {
		t.Errorf("when the build is stopped: %v, %v", allowed, err)
	}
}

// Those who ask at the same time are answered each for his own.
func TestGateAtOnce(t *testing.T) {
	calls := 0 // without a lock, since nobody may ask a policy while another does
	g := &gate{progress: newProgress(nil)}
	g.policies = []judge{{"p.wasm", func(_ context.Context, _ string, list []sdk.Upload) ([]sdk.UploadAnswer, error) {
		calls++
		for others := 0; calls == 1 && others < 100-len(list); time.Sleep(time.Millisecond) {
			g.mu.Lock()
			others = len(g.waiting)
			g.mu.Unlock()
		}
		answers := make([]sdk.UploadAnswer, len(list))
		for i, upload := range list {
			if answers[i] = sdk.Allow(); len(upload.Packages) > 0 {
				answers[i] = sdk.Withhold("secret")
			}
		}
		return answers, nil
	}}}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			secret := i%3 == 0
			upload := sdk.Upload{Kind: sdk.UploadObject, Names: []string{"sum"}}
			if secret {
				upload.Packages = []string{"SecretSauce"}
			}
			if allowed, err := g.allows(t.Context(), upload, i+1); err != nil || allowed == secret {
				t.Errorf("upload %d may leave: %v, %v", i, allowed, err)
			}
		})
	}
	all.Wait()
	if calls != 2 {
		t.Errorf("the policy was asked %d times about 100 uploads", calls)
	}
}

// Bitcode is asked about only where a server would get it.
func TestMayLend(t *testing.T) {
	g, _ := newGate(t, withhold)
	c := &compiler{run: &run{plan: &plan{gate: g}}}
	if allowed, err := c.mayLend(t.Context(), llvmdriver.Partition{}, nil); err != nil || !allowed {
		t.Errorf("where no server executes, it may be lent: %v, %v", allowed, err)
	}
	c.options.Remote.Exec = settings.ExecYes
	if allowed, err := c.mayLend(t.Context(), llvmdriver.Partition{}, nil); err != nil || allowed {
		t.Errorf("where one does, it may be lent: %v, %v", allowed, err)
	}
}

func TestPackagesIn(t *testing.T) {
	const id = "-7876af07-990d-54b4-ab0e-23690620f79a"
	data := []byte("x\x00@package/Example" + id + "/src/a.jl@package/Sauce" + id + "@package/Example" + id + "/src/b.jl@package/none/")
	if names := packagesIn(data); len(names) != 2 || names[0] != "Example" || names[1] != "Sauce" {
		t.Errorf("the packages are %q", names)
	}
}
