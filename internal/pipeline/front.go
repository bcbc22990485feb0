package pipeline

// This file runs the front worker (julia/worker/front.jl): it tells it what to do and follows its events.

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/sysimage"
)

// writeRequest writes the front worker's request and its statements.
func (b *builder) writeRequest() error {
	var request, list bytes.Buffer
	add := func(key, value string) { fmt.Fprintf(&request, "%s\t%s\n", key, value) }
	add("scratch", b.scratch.Path)
	add("index", b.file("base.index"))
	add("image", b.liveImage())
	add("statements", b.file("statements.txt"))
	add("emit", string(b.inputs.emit))
	if b.self {
		add("self", "yes")
	}
	if b.o.sources != nil {
		add("sources", "yes")
	}
	for _, name := range b.o.Packages {
		add("package", name)
	}
	for _, name := range b.inputs.modules {
		add("module", name)
	}
	// Inference depends on what was inferred before, so the order in which statements are written must not decide about the code.
	order := make([]int, len(b.inputs.statements))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return strings.Compare(b.inputs.statements[i].Source, b.inputs.statements[j].Source)
	})
	for _, i := range order {
		fmt.Fprintf(&list, "%d\t%s\n", i, b.inputs.statements[i].Source)
	}
	return errors.Join(
		os.WriteFile(b.file("request.txt"), request.Bytes(), 0o600),
		os.WriteFile(b.file("statements.txt"), list.Bytes(), 0o600))
}

// A frontEvent is what the front worker says. The fields that are set follow from the event's kind.
type frontEvent struct {
	Name string `json:"name"` // stage: what begins, "" for the end of the last

	Package string `json:"package"` // loading: what is loaded next

	Path string `json:"path"` // source: a file or folder that the image is made from

	Line   int    `json:"line"` // unresolved: position in the list of statements
	Reason string `json:"reason"`

	Functions int `json:"functions"` // emitted: new functions; partition: those in it

	Number int    `json:"number"` // partition: counts from 1
	Of     int    `json:"of"`
	Weight int64  `json:"weight"`
	Label  string `json:"label"`
}

// runFront runs the front worker. Partitions go to the compiler as they come, the heap to heap. It returns what the heap is chained with.
func (b *builder) runFront(ctx context.Context, compiler *compiler, heap *heapFile) (*sysimage.Index, error) {
	args := []string{"--output-o", b.file("unused.o"), "--output-incremental=yes", "-J", b.file("shim.so")}
	args = append(args, b.series.FrontOptions...)
	if b.o.Project != "" {
		args = append(args, "--project="+b.o.Project)
	}
	args = append(args, b.frontArgs()...)

	stage, loading := "start", ""
	b.beginStage(stage)
	next := func(name string, err error) {
		if stage != "" {
			b.endStage(stage, err)
		}
		if stage = name; stage != "" {
			b.beginStage(stage)
		}
	}
	handle := func(event julia.Event) error {
		var e frontEvent
		if err := event.Decode(&e); err != nil {
			return err
		}
		switch event.Kind {
		case "stage":
			b.frontBegan = true
			if e.Name == "collect" {
				if err := b.countStatements(); err != nil {
					return err
				}
			}
			next(e.Name, nil)
		case "loading":
			loading = e.Package
		case "unresolved":
			if e.Line >= 0 && e.Line < len(b.inputs.statements) {
				b.unresolved(e.Line, e.Reason)
			}
		case "source":
			b.o.sources(e.Path)
		case "emitted":
			b.result.Functions.New = e.Functions
		case "partition":
			name := b.file(fmt.Sprintf("part-%d", e.Number))
			compiler.add(llvmdriver.Partition{Number: e.Number, Label: e.Label, Bitcode: name + ".bc", Names: name + ".map", Functions: e.Functions, Weight: e.Weight}, e.Of)
		}
		return nil
	}
	log, err := os.Create(b.file("front.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	process, err := b.julia.Start(ctx, "the front worker", args, log, handle, heap.file)
	if err != nil {
		return nil, err
	}
	err = process.Wait()
	b.sawPeak(process.PeakRSS())
	var gaveUp *julia.WorkerError
	switch {
	case stage != "load" || err == nil:
	case errors.As(err, &gaveUp):
		// Before it has loaded the packages it has done no work, and all that it complains of is what it was given.
		err = usage.Wrap(err)
	case loading != "" && ctx.Err() == nil:
		err = fmt.Errorf("package %s ends the process that loads it: %w", loading, err)
	}
	next("", err)
	if err != nil {
		return nil, err
	}
	compiler.noMore()
	index, err := sysimage.ReadIndex(b.file("index.txt"))
	if err != nil {
		return nil, err
	}
	index.KeepRoots = b.self
	b.result.Functions.Base = len(b.base.Functions)
	return index, nil
}

// countStatements sums up what became of the statements when all were inferred. A strict build ends here if one was not used.
func (b *builder) countStatements() error {
	unresolved := b.result.Unresolved
	slices.SortFunc(unresolved, func(x, y Unresolved) int {
		return cmp.Or(
			cmp.Compare(slices.Index(b.o.Statements, x.File), slices.Index(b.o.Statements, y.File)),
			cmp.Compare(x.Line, y.Line))
	})
	total := len(b.inputs.statements)
	b.result.Statements = StatementCounts{Total: total, Resolved: total - len(unresolved), Unresolved: len(unresolved)}
	if b.o.Strict && len(unresolved) > 0 {
		first := unresolved[0]
		return fmt.Errorf("%d of %d statements cannot be resolved, the first at %s:%d (%s): mend them, or build without --strict",
			len(unresolved), total, first.File, first.Line, first.Reason)
	}
	return nil
}

// unresolved notes a statement that the build goes on without.
func (b *builder) unresolved(position int, reason string) {
	s := b.inputs.statements[position]
	u := Unresolved{File: s.File, Line: s.Line, Statement: s.Source, Reason: reason}
	b.result.Unresolved = append(b.result.Unresolved, u)
	b.report(UnresolvedStatement{At: time.Now(), Unresolved: u})
}
