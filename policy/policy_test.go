package policy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"chainbuild/internal/policytest"
	"chainbuild/objcache"
	"chainbuild/policy/sdk"
)

// hasty are limits with which tests of what never ends take no time.
func hasty() Options {
	limits := DefaultLimits
	limits.Call = 200 * time.Millisecond
	return Options{Limits: limits}
}

func open(t *testing.T, path string, o Options) *Policy {
	t.Helper()
	p, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

var one = []sdk.Statement{{Source: "Tuple{typeof(Base.sum)}"}}

func ask(t *testing.T, p *Policy, list []sdk.Statement) ([]sdk.Answer, error) {
	t.Helper()
	return p.Statements(t.Context(), sdk.StatementBatch{Julia: "1.10.8"}, list)
}

// skipShort skips what compiles programs, which takes minutes under the race detector.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("programs are not compiled in short mode")
	}
}

// refused checks that an error is one line that begins with the policy's name and says what is wrong.
func refused(t *testing.T, err error, path, says string) {
	t.Helper()
	var policyError *Error
	if !errors.As(err, &policyError) || !strings.HasPrefix(err.Error(), "the policy "+path+" ") || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), says) {
		t.Errorf("the error does not say %q of %s in one line: %v", says, path, err)
	}
}

// A module that is no policy is refused when it is opened.
func TestOpenRefuses(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "p.wasm")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	module := func(m policytest.Module) string { return m.Write(t, "p.wasm") }
	whole := string(policytest.Module{}.Bytes())
	small := hasty()
	small.Limits.Module = 10
	for name, test := range map[string]struct {
		path string
		says string
		o    Options
	}{
		"absent":      {filepath.Join(t.TempDir(), "p.wasm"), "cannot be read (no such file or directory)", hasty()},
		"folder":      {t.TempDir(), "cannot be read (is a directory)", hasty()},
		"empty":       {write(""), "is no WebAssembly module", hasty()},
		"text":        {write("#!/bin/sh\nexit 0\n"), "is no WebAssembly module", hasty()},
		"cut":         {write(whole[:len(whole)/2]), "is no WebAssembly module", hasty()},
		"large":       {write(whole), "is larger than 10 bytes", small},
		"version":     {module(policytest.Module{Version: 2}), "has version 2 of the interface, and this chainbuild knows version 1", hasty()},
		"questions":   {module(policytest.Module{Questions: 64}), "answers the questions 0x40", hasty()},
		"only costs":  {module(policytest.Module{Questions: 4}), "answers the questions 0x4", hasty()},
		"program":     {module(policytest.Module{Program: true}), "build it with -buildmode=c-shared", hasty()},
		"imports":     {module(policytest.Module{Imports: "system"}), "needs the function system of env", hasty()},
		"memory":      {module(policytest.Module{Lacks: "memory"}), "does not export its memory", hasty()},
		"answer":      {module(policytest.Module{Lacks: "chainbuild_policy_answer"}), "does not export the function chainbuild_policy_answer", hasty()},
		"much memory": {module(policytest.Module{Memory: 2000}), "over limit", hasty()},
		"a table":     {module(policytest.Module{Tables: []uint32{1 << 30}}), "has a table of 1073741824 elements", hasty()},
		"tables":      {module(policytest.Module{Tables: make([]uint32, 100)}), "has 100 tables", hasty()},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Open(t.Context(), test.path, test.o)
			if err == nil {
				p.Close()
			}
			refused(t, err, test.path, test.says)
		})
	}
}

// A policy that fails, hangs, eats memory or answers nonsense is an error, at the latest when the time is over.
func TestHostileModules(t *testing.T) {
	keep := `{"answers":[{"do":"keep"}]}`
	for name, test := range map[string]struct {
		module policytest.Module
		says   string
	}{
		"hangs":            {policytest.Module{Body: policytest.Hangs}, "did not answer in 200ms when it is asked, and was stopped"},
		"traps":            {policytest.Module{Body: policytest.Traps}, "unreachable"},
		"recurses":         {policytest.Module{Body: policytest.Recurses}, "stack overflow"},
		"eats memory":      {policytest.Module{Body: policytest.EatsMemory}, "unreachable"},
		"eats tables":      {policytest.Module{Body: policytest.EatsTables, Tables: []uint32{1}}, "unreachable"},
		"large answer":     {policytest.Module{Body: policytest.Returns(0, 1<<30)}, "gave an answer of 1073741824 bytes, more than 8388608"},
		"nowhere":          {policytest.Module{Body: policytest.Returns(0xfffffff0, 100)}, "which its memory does not have"},
		"nothing":          {policytest.Module{}, "is not what it should be (EOF)"},
		"no JSON":          {policytest.Module{Answer: "keep"}, "is not what it should be"},
		"two":              {policytest.Module{Answer: keep + keep}, "there is more behind it"},
		"unknown field":    {policytest.Module{Answer: `{"answers":[{"do":"keep","if":"x"}]}`}, `unknown field "if"`},
		"too few":          {policytest.Module{Answer: `{"answers":[]}`}, "gave 0 answers about 1 statements"},
		"too many":         {policytest.Module{Answer: `{"answers":[{"do":"keep"},{"do":"keep"}]}`}, "gave 2 answers about 1 statements"},
		"unknown word":     {policytest.Module{Answer: `{"answers":[{"do":"kepe"}]}`}, `answered "kepe" about the statement Tuple{typeof(Base.sum)}`},
		"no reason":        {policytest.Module{Answer: `{"answers":[{"do":"drop"}]}`}, "gave no reason"},
		"no line":          {policytest.Module{Answer: `{"answers":[{"do":"drop","reason":"a\nb"}]}`}, "a reason that is no line"},
		"long reason":      {policytest.Module{Answer: `{"answers":[{"do":"drop","reason":"` + strings.Repeat("x", 300) + `"}]}`}, "a reason that is no line"},
		"replaces nothing": {policytest.Module{Answer: `{"answers":[{"do":"replace"}]}`}, "has nothing to put in the place"},
		"keeps and adds":   {policytest.Module{Answer: `{"answers":[{"do":"keep","statements":["x"]}]}`}, "does not replace"},
		"negative":         {policytest.Module{Answer: `{"answers":[{"do":"keep","weight":-1}]}`}, "gave the weight -1"},
		"infinite":         {policytest.Module{Answer: `{"answers":[{"do":"keep","weight":1e999}]}`}, "is not what it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			path := test.module.Write(t, "p.wasm")
			options := hasty()
			if name != "hangs" {
				options.Limits.Call = time.Minute // a busy machine with the race detector takes seconds to overflow a stack
			}
			began := time.Now()
			_, err := ask(t, open(t, path, options), one)
			refused(t, err, path, test.says)
			if took := time.Since(began); name == "hangs" && took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// What a module may take of this process is bounded: it cannot have more than its limit whatever it asks for.
func TestMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, body := range [][]byte{policytest.EatsMemory, policytest.EatsTables} {
		path := policytest.Module{Body: body, Tables: []uint32{1}}.Write(t, "p.wasm")
		if _, err := ask(t, open(t, path, Options{}), one); err == nil {
			t.Error("it got all that it wanted")
		}
	}
	runtime.ReadMemStats(&after)
	// A table or a memory that grows is copied, so this is several times the limits. Without them it would be many gigabytes.
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<30 {
		t.Errorf("the two have allocated %d MB", took>>20)
	}
}

// A module whose tables are bounded answers as before.
func TestTablesAreBounded(t *testing.T) {
	path := policytest.Module{Answer: `{"answers":[{"do":"keep"}]}`, Tables: []uint32{3, 4}}.Write(t, "p.wasm")
	if answers, err := ask(t, open(t, path, Options{}), one); err != nil || answers[0].Do != sdk.DoKeep {
		t.Errorf("it answers %v, %v", answers, err)
	}
	code := policytest.Module{Tables: []uint32{3}}.Bytes()
	bounded, err := boundTables(code)
	if err != nil || len(bounded) != len(code)+3 {
		t.Errorf("a module of %d bytes has %d with bounds (%v)", len(code), len(bounded), err)
	}
}

// Go programs get nothing but the question, and the same answer in each run.
func TestHostileProgram(t *testing.T) {
	skipShort(t)
	path := policytest.Build(t, "./testdata/hostile", "hostile.wasm")
	cacheDir := filepath.Join(t.TempDir(), "cache")
	cache, err := objcache.Open(cacheDir, objcache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	options := hasty()
	options.Cache = cache
	options.Limits.Call = 5 * time.Second
	began := time.Now()
	p := open(t, path, options)
	first := time.Since(began)
	asked := func(p *Policy, what string, count int) ([]sdk.Answer, error) {
		list := make([]sdk.Statement, count)
		for i := range list {
			list[i] = sdk.Statement{Source: fmt.Sprintf("Tuple{typeof(Base.f), %d}", i), Function: what}
		}
		return ask(t, p, list)
	}

	saw, err := asked(p, "look", 1)
	if err != nil || saw[0].Do != sdk.DoDrop || !strings.HasPrefix(saw[0].Reason, `saw "" at 2022-01-01, `) {
		t.Errorf("it saw something: %+v, %v", saw, err)
	}
	for what, says := range map[string]string{
		"panic": "failed when it is asked (panic: it is): mend it",
		"exit":  "failed when it is asked (exit status 7): mend it",
		"eat":   "needs more memory than the 64 MB that a policy has: mend it",
	} {
		_, err := asked(p, what, 1)
		refused(t, err, path, says)
	}

	// It is asked in batches, keeps what it knows from one to the next, and forgets it at the end.
	for range 2 {
		answers, err := asked(p, "count", 2*batchStatements+1)
		if err != nil || len(answers) != 2*batchStatements+1 {
			t.Fatalf("there are %d answers (%v)", len(answers), err)
		}
		if reason := answers[len(answers)-1].Reason; reason != fmt.Sprint(len(answers)) {
			t.Errorf("the last of %d statements has number %s", len(answers), reason)
		}
	}

	// Its code is in the cache: the second time it is not compiled, and says the same.
	cache.Close()
	stats, err := cache.Stats(t.Context())
	if err != nil || stats.Entries != 1 || stats.Foreign != 0 {
		t.Errorf("the cache has %+v (%v)", stats, err)
	}
	began = time.Now()
	again := open(t, path, options)
	second := time.Since(began)
	t.Logf("opening it took %v, and %v the second time; its code has %d bytes in the cache", first, second, stats.Bytes)
	if second > first/2 {
		t.Errorf("opening it took %v, and %v the second time", first, second)
	}
	if answers, err := asked(again, "look", 1); err != nil || answers[0].Reason != saw[0].Reason {
		t.Errorf("it says %+v, %v, and said %+v", answers, err, saw)
	}
}

// When the build is stopped, so is the policy.
func TestCancelled(t *testing.T) {
	path := policytest.Module{Body: policytest.Hangs}.Write(t, "p.wasm")
	p := open(t, path, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	time.AfterFunc(100*time.Millisecond, func() { cancel(stopped) })
	if _, err := p.Statements(ctx, sdk.StatementBatch{}, one); err != stopped {
		t.Errorf("the error is %v", err)
	}
}

// Uploads are asked about in one call, and answers are as strict.
func TestUploads(t *testing.T) {
	two := []sdk.Upload{{Kind: sdk.UploadObject}, {Kind: sdk.UploadBitcode}}
	good := policytest.Module{Questions: 2, Answer: `{"answers":[{"do":"allow"},{"do":"withhold","reason":"secret"}]}`}.Write(t, "p.wasm")
	p := open(t, good, hasty())
	answers, err := p.Uploads(t.Context(), "1.10.8", two)
	if err != nil || answers[0] != sdk.Allow() || answers[1] != sdk.Withhold("secret") || p.Answers(sdk.AboutStatements) || !p.Answers(sdk.AboutUploads) {
		t.Errorf("it answers %v, %v", answers, err)
	}
	for answer, says := range map[string]string{
		`{"answers":[{"do":"allow"}]}`:                      "gave 1 answers about 2 uploads",
		`{"answers":[{"do":"allow"},{"do":"keep"}]}`:        `answered "keep"`,
		`{"answers":[{"do":"allow"},{"do":"withhold"}]}`:    "no reason",
		`{"answers":[{"do":"allow"},{"do":"allow"}],"x":1}`: "unknown field",
	} {
		path := policytest.Module{Questions: 2, Answer: answer}.Write(t, "p.wasm")
		_, err := open(t, path, hasty()).Uploads(t.Context(), "1.10.8", two)
		refused(t, err, path, says)
	}
}

func FuzzBoundTables(f *testing.F) {
	f.Add(policytest.Module{Tables: []uint32{3, 4}}.Bytes())
	f.Add(policytest.Module{}.Bytes())
	f.Fuzz(func(t *testing.T, code []byte) {
		bounded, err := boundTables(code)
		if err != nil {
			return
		}
		again, err := boundTables(bounded)
		if err != nil || len(again) != len(bounded) {
			t.Errorf("what is bounded is not any more the second time: %v", err)
		}
	})
}
