// Package policy asks policies: WebAssembly modules that decide which statements a build takes, and what may leave for a shared cache.
//
// A policy is code that nobody need trust. It runs in a sandbox (github.com/tetratelabs/wazero) without files, network, environment or clock. All
// that it gets is the question, and all that it can do is to answer, within bounds of time, memory and size. What it answers is checked here.
// docs/policy.md describes the interface; its JSON is the types of package sdk.
//
// A policy is deterministic: whatever it could take for chance or time is the same in each run. So the same questions have the same answers.
package policy

// This file is a policy as builds use it: opening it, asking it.

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"chainbuild/objcache"
	"chainbuild/policy/sdk"

	"github.com/tetratelabs/wazero"
)

// Limits of a policy. Each of its functions that is called has the time anew.
type Limits struct {
	// Module is the size of its file in bytes.
	Module int64
	// Compile is how long the module may take to be compiled, Call how long it may take to answer.
	Compile, Call time.Duration
	// Pages of 64 KiB are its memory.
	Pages uint32
	// Answer is the size of an answer in bytes.
	Answer int
}

// DefaultLimits are those of builds.
var DefaultLimits = Limits{Module: 32 << 20, Compile: time.Minute, Call: 10 * time.Second, Pages: 64 << 20 / pageSize, Answer: 8 << 20}

const pageSize = 64 << 10

// A batch of statements has no more than these, so that no question is larger than what a policy has room for.
const (
	batchStatements = 1000
	batchBytes      = 2 << 20
)

// Options of a policy. The zero value is usable.
type Options struct {
	// Cache has the machine code of modules that were compiled before; nil: there is none.
	Cache *objcache.Cache
	// Limits are DefaultLimits where they are zero.
	Limits Limits
}

// An Error is a policy that cannot be used, or that has failed. Its text is one line.
type Error struct {
	// File is the policy's.
	File string
	// Err is what is wrong, with the way out.
	Err error
}

func (e *Error) Error() string {
	return fmt.Sprintf("the policy %s %s", e.File, oneLine(e.Err.Error()))
}
func (e *Error) Unwrap() error { return e.Err }

// oneLine is what a policy may have said, as a line of an error.
func oneLine(text string) string {
	const most = 400
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// A Policy is an open policy. Its methods may be called by one goroutine at a time.
type Policy struct {
	// File is what errors call it, Name its last element.
	File, Name string
	// Hash is the SHA-256 of the file, in hexadecimal digits.
	Hash string
	// Questions are those that it answers.
	Questions sdk.Question

	limits   Limits
	code     wazero.CompilationCache // nil: none
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// Open reads a policy, compiles it and asks what it is. Close must be called. The error is the cause of ctx's end, else an *Error.
func Open(ctx context.Context, path string, o Options) (*Policy, error) {
	p := &Policy{File: path, Name: filepath.Base(path), limits: o.Limits}
	if p.limits == (Limits{}) {
		p.limits = DefaultLimits
	}
	err := p.open(ctx, o.Cache)
	if err != nil {
		p.Close()
		return nil, p.wrap(ctx, err)
	}
	return p, nil
}

// OpenAll opens policies, in the order in which they are to be asked. Of one that cannot be opened the error is that of Open, and none is open.
func OpenAll(ctx context.Context, paths []string, o Options) (list []*Policy, err error) {
	for _, path := range paths {
		p, err := Open(ctx, path, o)
		if err != nil {
			CloseAll(list)
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// CloseAll closes policies.
func CloseAll(list []*Policy) {
	for _, p := range list {
		p.Close()
	}
}

func (p *Policy) open(ctx context.Context, cache *objcache.Cache) error {
	code, err := p.read()
	if err != nil {
		return err
	}
	p.Hash = fmt.Sprintf("%x", sha256.Sum256(code))
	if code, err = boundTables(code); err != nil {
		return err
	}
	if err := p.compile(ctx, code, cache); err != nil {
		return err
	}
	if err := p.checkExports(); err != nil {
		return err
	}
	session, err := p.start(ctx)
	if err != nil {
		return err
	}
	defer session.close()
	version, err := session.call(ctx, exportVersion)
	if err != nil {
		return err
	}
	if version != sdk.Version {
		return fmt.Errorf("has version %d of the interface, and this chainbuild knows version %d: build the policy for that", uint32(version), sdk.Version)
	}
	questions, err := session.call(ctx, exportQuestions)
	if err != nil {
		return err
	}
	p.Questions = sdk.Question(questions)
	const known = sdk.AboutStatements | sdk.AboutUploads | sdk.WithCosts
	if p.Questions&^known != 0 || p.Questions&(sdk.AboutStatements|sdk.AboutUploads) == 0 {
		return fmt.Errorf("says that it answers the questions %#x, of which chainbuild asks none or not all: have %s return %d for statements, %d for uploads, or %d for both",
			uint32(p.Questions), exportQuestions, sdk.AboutStatements, sdk.AboutUploads, sdk.AboutStatements|sdk.AboutUploads)
	}
	return nil
}

// read reads the policy's file.
func (p *Policy) read() ([]byte, error) {
	file, err := os.Open(p.File)
	if err != nil {
		return nil, fmt.Errorf("cannot be read (%w): name the file of a WebAssembly module", errors.Unwrap(err))
	}
	defer file.Close()
	code, err := io.ReadAll(io.LimitReader(file, p.limits.Module+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read (%w): name the file of a WebAssembly module", errors.Unwrap(err))
	case int64(len(code)) > p.limits.Module:
		return nil, fmt.Errorf("is larger than %d bytes: build it without debug information", p.limits.Module)
	}
	return code, nil
}

// Close frees what the policy has.
func (p *Policy) Close() {
	if p.runtime != nil {
		p.runtime.Close(context.Background())
	}
	if p.code != nil {
		p.code.Close(context.Background())
	}
}

// wrap makes an error one of the policy, unless ctx has ended.
func (p *Policy) wrap(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &Error{p.File, err}
}

// Answers says whether the policy answers a question.
func (p *Policy) Answers(question sdk.Question) bool { return p.Questions&question != 0 }

// Statements asks about statements, in batches. Of head, the versions and the newest day are taken. The answers are checked, but for whether what they
// put in a statement's place are statements. The error is as that of Open.
func (p *Policy) Statements(ctx context.Context, head sdk.StatementBatch, list []sdk.Statement) ([]sdk.Answer, error) {
	if len(list) == 0 {
		return nil, nil
	}
	session, err := p.start(ctx)
	if err != nil {
		return nil, p.wrap(ctx, err)
	}
	defer session.close()
	head.Version, head.First, head.Total = sdk.Version, 0, len(list)
	answers := make([]sdk.Answer, 0, len(list))
	for len(answers) < len(list) {
		head.First = len(answers)
		head.Statements = nextBatch(list[len(answers):])
		var given sdk.StatementAnswers
		err := session.ask(ctx, sdk.AboutStatements, &head, &given)
		if err == nil {
			err = checkAnswers(head.Statements, given.Answers)
		}
		if err != nil {
			return nil, p.wrap(ctx, err)
		}
		answers = append(answers, given.Answers...)
	}
	return answers, nil
}

// nextBatch is the first of the statements that make a batch.
func nextBatch(list []sdk.Statement) []sdk.Statement {
	bytes := 0
	for i, s := range list {
		bytes += len(s.Source)
		if i == batchStatements || i > 0 && bytes > batchBytes {
			return list[:i]
		}
	}
	return list
}

// wayOutOfNonsense ends errors about answers that mean nothing.
const wayOutOfNonsense = "mend it, docs/policy.md says what it has to answer"

func checkAnswers(list []sdk.Statement, answers []sdk.Answer) error {
	if len(answers) != len(list) {
		return fmt.Errorf("gave %d answers about %d statements: %s", len(answers), len(list), wayOutOfNonsense)
	}
	for i, a := range answers {
		wrong := ""
		switch {
		case a.Do != sdk.DoKeep && a.Do != sdk.DoDrop && a.Do != sdk.DoReplace:
			wrong = fmt.Sprintf("answered %q", a.Do)
		case a.Do == sdk.DoDrop && strings.TrimSpace(a.Reason) == "":
			wrong = "gave no reason to drop"
		case a.Do == sdk.DoReplace && len(a.Statements) == 0:
			wrong = "has nothing to put in the place of"
		case a.Do != sdk.DoReplace && len(a.Statements) > 0:
			wrong = "has something to put in the place of, but does not replace,"
		case a.Weight != nil && !(*a.Weight >= 0 && *a.Weight <= math.MaxFloat64):
			wrong = fmt.Sprintf("gave the weight %v to", *a.Weight)
		}
		if err := checkReason(a.Reason); wrong == "" && err != nil {
			wrong = err.Error()
		}
		if wrong != "" {
			return fmt.Errorf("%s about the statement %s: %s", wrong, excerpt(list[i].Source), wayOutOfNonsense)
		}
	}
	return nil
}

// maxReason is the length of a reason in bytes.
const maxReason = 200

// checkReason refuses reasons that would spoil a report.
func checkReason(reason string) error {
	if len(reason) > maxReason || strings.ContainsFunc(reason, unicode.IsControl) {
		return fmt.Errorf("gave a reason that is no line of up to %d bytes", maxReason)
	}
	return nil
}

func excerpt(source string) string {
	if len(source) > 80 {
		return strings.ToValidUTF8(source[:80], "") + "…"
	}
	return source
}

// Uploads asks what may leave, in one call. The error is as that of Open.
func (p *Policy) Uploads(ctx context.Context, julia string, list []sdk.Upload) ([]sdk.UploadAnswer, error) {
	session, err := p.start(ctx)
	if err != nil {
		return nil, p.wrap(ctx, err)
	}
	defer session.close()
	var given sdk.UploadAnswers
	err = session.ask(ctx, sdk.AboutUploads, &sdk.UploadBatch{Version: sdk.Version, Julia: julia, Uploads: list}, &given)
	if err == nil {
		err = checkUploadAnswers(list, given.Answers)
	}
	if err != nil {
		return nil, p.wrap(ctx, err)
	}
	return given.Answers, nil
}

func checkUploadAnswers(list []sdk.Upload, answers []sdk.UploadAnswer) error {
	if len(answers) != len(list) {
		return fmt.Errorf("gave %d answers about %d uploads: %s", len(answers), len(list), wayOutOfNonsense)
	}
	for _, a := range answers {
		switch {
		case a.Do != sdk.DoAllow && a.Do != sdk.DoWithhold:
			return fmt.Errorf("answered %q about an upload: %s", a.Do, wayOutOfNonsense)
		case a.Do == sdk.DoWithhold && strings.TrimSpace(a.Reason) == "":
			return fmt.Errorf("gave no reason to withhold an upload: %s", wayOutOfNonsense)
		}
		if err := checkReason(a.Reason); err != nil {
			return fmt.Errorf("%w about an upload: %s", err, wayOutOfNonsense)
		}
	}
	return nil
}

// decodeAnswer reads JSON, and nothing but what the interface has.
func decodeAnswer(text []byte, into any) error {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.More() {
		err = errors.New("there is more behind it")
	}
	if err != nil {
		return fmt.Errorf("gave an answer that is not what it should be (%w): %s", err, wayOutOfNonsense)
	}
	return nil
}
