package policy

// This file runs a policy: it compiles the module, and calls its functions.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"chainbuild/objcache"
	"chainbuild/policy/sdk"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// What a policy exports, besides its memory.
const (
	exportVersion   = "chainbuild_policy_version"
	exportQuestions = "chainbuild_policy_questions"
	exportBuffer    = "chainbuild_policy_buffer"
	exportAnswer    = "chainbuild_policy_answer"

	exportMemory = "memory"
	// exportInitialize is called first, if it is there; one that has exportStart instead is a program and no library.
	exportInitialize = "_initialize"
	exportStart      = "_start"
)

var exports = []struct {
	name               string
	parameters, result []api.ValueType
}{
	{exportVersion, nil, i32(1)},
	{exportQuestions, nil, i32(1)},
	{exportBuffer, i32(1), i32(1)},
	{exportAnswer, i32(3), []api.ValueType{api.ValueTypeI64}},
}

func i32(count int) []api.ValueType { return bytes.Repeat([]api.ValueType{api.ValueTypeI32}, count) }

// compile makes machine code of the module.
func (p *Policy) compile(ctx context.Context, code []byte, cache *objcache.Cache) error {
	compiled := newCodeCache(code, cache)
	defer compiled.close()
	p.code = compiled.wazero
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(p.limits.Pages).WithCloseOnContextDone(true)
	if compiled.wazero != nil {
		config = config.WithCompilationCache(compiled.wazero)
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return err
	}
	// The compiler does not look at the context. Of a module that takes too long it goes on until the process ends.
	done := make(chan error, 1)
	go func() {
		var err error
		p.compiled, err = p.runtime.CompileModule(ctx, code)
		done <- err
	}()
	late := time.NewTimer(p.limits.Compile)
	defer late.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("is no WebAssembly module that can be used (%w): build it as docs/policy.md says", err)
		}
	case <-late.C:
		p.runtime, p.code = nil, nil // in use
		return fmt.Errorf("is not compiled after %v: make it smaller", p.limits.Compile)
	case <-ctx.Done():
		p.runtime, p.code = nil, nil
		return context.Cause(ctx)
	}
	compiled.keep()
	return nil
}

// checkExports refuses a module that is not a policy.
func (p *Policy) checkExports() error {
	has := p.compiled.ExportedFunctions()
	for _, f := range p.compiled.ImportedFunctions() {
		if module, name, _ := f.Import(); module != wasi_snapshot_preview1.ModuleName {
			return fmt.Errorf("needs the function %s of %s, which a policy does not get: build it as docs/policy.md says", name, module)
		}
	}
	if has[exportStart] != nil && has[exportInitialize] == nil {
		return errors.New("is a program and no library: build it with -buildmode=c-shared, as docs/policy.md says")
	}
	for _, e := range exports {
		f := has[e.name]
		if f == nil {
			return fmt.Errorf("does not export the function %s: build it as docs/policy.md says", e.name)
		}
		if !bytes.Equal(f.ParamTypes(), e.parameters) || !bytes.Equal(f.ResultTypes(), e.result) {
			return fmt.Errorf("exports the function %s with other types than docs/policy.md says", e.name)
		}
	}
	if p.compiled.ExportedMemories()[exportMemory] == nil {
		return fmt.Errorf("does not export its memory as %s: build it as docs/policy.md says", exportMemory)
	}
	return nil
}

// A session is a module that runs, with memory of its own.
type session struct {
	policy *Policy
	module api.Module
	said   sayings
	clock  clock
}

// start starts the module anew.
func (p *Policy) start(ctx context.Context) (*session, error) {
	s := &session{policy: p}
	// Of all else, the module gets what wazero gives to one by default: nothing, and chance that is the same each time.
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions(exportInitialize).WithStderr(&s.said)
	config = config.WithNanotime(s.clock.nanotime, 1).WithWalltime(s.clock.walltime, 1).WithNanosleep(s.clock.sleep)
	limited, cancel := context.WithTimeout(ctx, p.limits.Call)
	defer cancel()
	module, err := p.runtime.InstantiateModule(limited, p.compiled, config)
	if err != nil {
		return nil, s.explain(limited, "is started", err)
	}
	s.module = module
	return s, nil
}

func (s *session) close() { s.module.Close(context.Background()) }

// call calls one of the exports.
func (s *session) call(ctx context.Context, name string, parameters ...uint64) (uint64, error) {
	limited, cancel := context.WithTimeout(ctx, s.policy.limits.Call)
	defer cancel()
	results, err := s.module.ExportedFunction(name).Call(limited, parameters...)
	if err != nil {
		return 0, s.explain(limited, "is asked", err)
	}
	return results[0], nil
}

// ask asks a question, and reads the answer.
func (s *session) ask(ctx context.Context, question sdk.Question, batch, answers any) error {
	text, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	at, err := s.call(ctx, exportBuffer, uint64(len(text)))
	if err != nil {
		return err
	}
	memory := s.module.Memory()
	if !memory.Write(uint32(at), text) {
		return fmt.Errorf("has no room for a question of %d bytes: have %s return a place for as many", len(text), exportBuffer)
	}
	place, err := s.call(ctx, exportAnswer, uint64(question), uint64(uint32(at)), uint64(len(text)))
	if err != nil {
		return err
	}
	size := uint32(place)
	if int64(size) > int64(s.policy.limits.Answer) {
		return fmt.Errorf("gave an answer of %d bytes, more than %d: have it say less", size, s.policy.limits.Answer)
	}
	answer, ok := memory.Read(uint32(place>>32), size)
	if !ok {
		return fmt.Errorf("says that its answer is at %d bytes from %#x, which its memory does not have: %s", size, place>>32, wayOutOfNonsense)
	}
	return decodeAnswer(answer, answers)
}

// explain says why the module has ended.
func (s *session) explain(ctx context.Context, when string, err error) error {
	limits := &s.policy.limits
	var exit *sys.ExitError
	isExit := errors.As(err, &exit)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("did not answer in %v when it %s, and was stopped: mend it, or ask for less at a time", limits.Call, when)
	case strings.Contains(s.said.first(), "out of memory"), strings.HasPrefix(s.said.first(), "memory allocation of"): // Go, Rust
		return fmt.Errorf("needs more memory than the %d MB that a policy has: mend it", limits.Pages*(pageSize>>10)>>10)
	}
	reason, _, _ := strings.Cut(err.Error(), "\n") // behind it is where in the module
	if isExit {
		reason = fmt.Sprintf("exit status %d", exit.ExitCode())
	}
	return fmt.Errorf("failed when it %s (%s): mend it", when, cmp.Or(s.said.first(), reason))
}

// A clock only goes when it is looked at, and when somebody sleeps, so it is the same in each run. It has nanoseconds since the start.
type clock struct{ now int64 }

// startOfClock is in seconds since 1970: 2022-01-01.
const startOfClock = 1640995200

func (c *clock) nanotime() int64 {
	c.now++
	return c.now
}

func (c *clock) walltime() (seconds int64, nanoseconds int32) {
	now := c.nanotime()
	return startOfClock + now/1e9, int32(now % 1e9)
}

// sleep takes no time.
func (c *clock) sleep(nanoseconds int64) { c.now += max(nanoseconds, 0) }

// sayings are the beginning of what a module says on its standard error.
type sayings struct{ bytes.Buffer }

const maxSaid = 4 << 10

func (s *sayings) Write(text []byte) (int, error) {
	s.Buffer.Write(text[:min(len(text), maxSaid-s.Len())])
	return len(text), nil
}

// first is the first line that says something.
func (s *sayings) first() string {
	for line := range strings.Lines(s.String()) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
