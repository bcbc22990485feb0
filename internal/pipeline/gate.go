package pipeline

// This file asks policies before something leaves for the remote cache: an object to be stored, bitcode that the server is to compile, the worker image.
//
// Partitions ask as they come. While a policy is asked about some, others gather, and are asked about together. What one policy withholds, the
// next ones are not asked about. If a policy fails, nothing leaves any more and the build fails.

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"sync"

	"chainbuild/elfpatch"
	"chainbuild/internal/settings"
	"chainbuild/llvmdriver"
	"chainbuild/objcache/remote"
	"chainbuild/policy/sdk"
)

// What policies are asked about at a time has at most so many names, in bytes, unless it is one upload.
const maxAsked = 2 << 20

// A gate asks policies about uploads. Its methods may be called by several goroutines at once. A nil *gate lets everything through.
type gate struct {
	policies []judge
	julia    string
	progress *progress

	mu      sync.Mutex // guards what follows
	waiting []*asked
	asking  bool  // somebody asks about those that wait
	failure error // of a policy
}

// A judge is a policy that is asked about uploads.
type judge struct {
	name    string
	uploads func(ctx context.Context, julia string, list []sdk.Upload) ([]sdk.UploadAnswer, error)
}

// An asked upload waits for its answer.
type asked struct {
	upload    sdk.Upload
	partition int
	answered  chan struct{} // closed when the policies have answered, or one has failed
	allowed   bool
	err       error
}

// openGate opens the gate to the remote cache, if there is one, and policies that have something to say about it.
func (p *plan) openGate(progress *progress) {
	if p.remote == nil {
		return
	}
	g := &gate{julia: p.julia.Version, progress: progress}
	for _, one := range p.policies {
		if one.Answers(sdk.AboutUploads) {
			g.policies = append(g.policies, judge{one.Name, one.Uploads})
		}
	}
	if g.policies != nil {
		p.gate = g
	}
}

// allows says whether something may leave. The error is that of a policy, or the cause of ctx's end.
func (g *gate) allows(ctx context.Context, upload sdk.Upload, partition int) (bool, error) {
	if g == nil {
		return true, nil
	}
	a := &asked{upload: upload, partition: partition, answered: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, a)
	mine := !g.asking
	g.asking = true
	g.mu.Unlock()
	if mine {
		g.ask(ctx)
	}
	select {
	case <-a.answered:
		return a.allowed, a.err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// failed is the error of a policy, nil if none has failed.
func (g *gate) failed() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failure
}

// ask asks about what waits until nothing does.
func (g *gate) ask(ctx context.Context) {
	for {
		g.mu.Lock()
		count, bytes := 0, 0
		for count < len(g.waiting) {
			for _, name := range g.waiting[count].upload.Names {
				bytes += len(name)
			}
			if count > 0 && bytes > maxAsked {
				break
			}
			count++
		}
		batch := slices.Clone(g.waiting[:count])
		g.waiting = slices.Delete(g.waiting, 0, count)
		g.asking = count > 0
		err := g.failure
		g.mu.Unlock()
		if count == 0 {
			return
		}
		if err == nil {
			if err = g.askAll(ctx, batch); err != nil {
				g.mu.Lock()
				g.failure = err
				g.mu.Unlock()
			}
		}
		for _, a := range batch {
			a.allowed, a.err = a.allowed && err == nil, err
			close(a.answered)
		}
	}
}

// askAll asks all policies about some uploads.
func (g *gate) askAll(ctx context.Context, batch []*asked) error {
	for _, a := range batch {
		a.allowed = true
	}
	for _, one := range g.policies {
		left := slices.DeleteFunc(slices.Clone(batch), func(a *asked) bool { return !a.allowed })
		if len(left) == 0 {
			return nil
		}
		uploads := make([]sdk.Upload, len(left))
		for i, a := range left {
			uploads[i] = a.upload
		}
		answers, err := one.uploads(ctx, g.julia, uploads)
		if err != nil {
			return err
		}
		for i, answer := range answers {
			if answer.Do == sdk.DoWithhold {
				left[i].allowed = false
				g.progress.withheld(left[i].partition, left[i].upload.Kind, one.name, answer.Reason)
			}
		}
	}
	return nil
}

// store has an object be stored at the remote cache, if the policies let it.
func (c *compiler) store(ctx context.Context, action *remote.Action, p llvmdriver.Partition, object []byte) error {
	if c.remote == nil || c.remote.Off() != nil || remote.Upload(c.options.Remote.Upload) == remote.UploadNo {
		return nil
	}
	if c.gate != nil {
		allowed, err := c.gate.allows(ctx, objectUpload(p, object), p.Number)
		if err != nil || !allowed {
			return err
		}
	}
	c.remote.Put(action, object)
	return nil
}

// mayLend says whether the server may have the bitcode of a partition, to compile it.
func (c *compiler) mayLend(ctx context.Context, p llvmdriver.Partition, bitcode []byte) (bool, error) {
	if c.gate == nil || !c.executes() {
		return true, nil
	}
	upload := sdk.Upload{Kind: sdk.UploadBitcode, Bytes: int64(len(bitcode)), Packages: packagesIn(bitcode), Names: p.Defined()}
	slices.Sort(upload.Names)
	upload.Names = slices.Compact(upload.Names)
	return c.gate.allows(ctx, upload, p.Number)
}

// executes says whether the server is to compile.
func (p *plan) executes() bool { return p.options.Remote.Exec == settings.ExecYes }

// objectUpload describes an object to policies: functions, symbols, and all strings of the debug information.
func objectUpload(p llvmdriver.Partition, data []byte) sdk.Upload {
	names := map[string]bool{}
	for _, name := range p.Defined() {
		names[name] = true
	}
	if object, err := elfpatch.ParseObject("object", data); err == nil {
		for _, s := range object.Symbols {
			names[s.Name] = true
		}
		object.RenameFiles(func(name string) string {
			names[name] = true
			return name
		})
	}
	delete(names, "")
	return sdk.Upload{Kind: sdk.UploadObject, Bytes: int64(len(data)), Packages: packagesIn(data), Names: slices.Sorted(maps.Keys(names))}
}

// packageFile finds the stable names of packages' folders (julia/worker/files.jl).
var packageFile = regexp.MustCompile(`@package/([^/\x00]+?)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// packagesIn are the packages whose source files an object, or bitcode, names.
func packagesIn(data []byte) []string {
	found := map[string]bool{}
	for _, match := range packageFile.FindAllSubmatch(data, -1) {
		found[string(match[1])] = true
	}
	names := slices.AppendSeq([]string{}, maps.Keys(found))
	slices.Sort(names)
	return names
}
