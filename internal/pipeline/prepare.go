package pipeline

// This file writes what the workers read.

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"chainbuild/elfpatch"
	"chainbuild/statements"
)

// prepare writes the workers' sources, the index of the base, the shim and the request.
func (r *run) prepare() error {
	folder := r.source("")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := r.sources.Write(folder); err != nil {
		return err
	}
	if err := os.WriteFile(r.file("base.index"), r.base.Index(), 0o600); err != nil {
		return err
	}
	if !r.series.KeepsBaseCode {
		if err := r.writeShim(); err != nil {
			return err
		}
	}
	return r.writeRequest()
}

// writeShim writes the image that the front worker starts from: it stands in for the base and turns the process into one that
// generates an image, without the base's native code being refused. The loader of Julia (jl_load_sysimg_so in src/staticdata.c) looks up
// jl_system_image_data after it has decided about native code and before code generation is set up.
func (r *run) writeShim() error {
	top, err := elfpatch.Open(r.liveImage())
	if err != nil {
		return r.ofLiveImage(err)
	}
	defer top.Close()
	data, ok := top.Lookup("jl_system_image_data")
	if !ok {
		return r.ofLiveImage(fmt.Errorf("%s defines no jl_system_image_data", top.Path))
	}
	anchor, ok := top.Lookup("jl_system_image_size")
	if !ok {
		return r.ofLiveImage(fmt.Errorf("%s defines no jl_system_image_size", top.Path))
	}
	f, err := os.OpenFile(r.file("shim.so"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	err = elfpatch.WriteShim(f, elfpatch.Shim{
		Needed: top.Path, Symbol: "jl_system_image_data", Anchor: "jl_system_image_size", Delta: int64(data.Value - anchor.Value),
		Clear: "jl_options", ClearOffset: int64(r.julia.IncrementalOffset), ClearSize: r.julia.IncrementalSize,
	})
	return errors.Join(err, f.Close())
}

// writeRequest writes the front worker's request and its statements.
func (r *run) writeRequest() error {
	var request bytes.Buffer
	add := func(key, value string) { fmt.Fprintf(&request, "%s\t%s\n", key, value) }
	add("scratch", r.scratch.Path)
	add("index", r.file("base.index"))
	add("image", r.liveImage())
	add("statements", r.file("statements.txt"))
	add("emit", string(r.inputs.emit))
	if r.base.Note != nil {
		add("chained", "yes")
	}
	if r.makesWorkerImage {
		add("self", "yes")
	}
	if r.handsOver() {
		add("handover", "yes")
	}
	if r.options.VerifyHeap {
		add("verify", "yes")
	}
	if r.memory.frontHeap > 0 {
		add("limited", "yes")
	}
	if r.usesPackageImages() {
		add("images", "use")
	}
	for _, word := range r.julia.Words(r.cacheMaker()...) {
		add("caches", word)
	}
	if len(r.edited()) > 0 {
		add("caching", "yes")
	}
	if r.options.sources != nil {
		add("sources", "yes")
	}
	if r.options.Project != "" {
		add("project", "yes")
	}
	for _, name := range r.options.Packages {
		add("package", name)
	}
	for _, name := range r.options.Interactive {
		add("interactive", name)
	}
	if sessions := r.sessions(); sessions != "" {
		path := r.file("sessions.txt")
		if err := writeSessions(path, sessions); err != nil {
			return err
		}
		add("sessions", path)
	}
	for _, name := range r.inputs.listed {
		add("recorded", name)
	}
	for _, name := range r.inputs.modules {
		add("module", name)
	}
	sources := make([]string, len(r.inputs.statements))
	for i, s := range r.inputs.statements {
		sources[i] = s.Source
	}
	return errors.Join(
		os.WriteFile(r.file("request.txt"), request.Bytes(), 0o600),
		writeStatements(r.file("statements.txt"), sources))
}

// sessions are the statements of what sessions with the image will do besides what was recorded.
func (r *run) sessions() (text string) {
	if len(r.options.Interactive) > 0 {
		text += r.series.Prompt
	}
	if r.options.Precompiles {
		text += r.series.Precompiling
	}
	return text
}

// writeSessions writes such statements, of which nobody is told whether they can be used.
func writeSessions(path, text string) error {
	file, err := statements.Parse("what sessions do", strings.NewReader(text))
	if err != nil {
		return err
	}
	var sources []string
	for _, s := range file.Statements {
		sources = append(sources, s.Source)
	}
	return writeStatements(path, sources)
}

// writeStatements writes statements, each on a line behind its number and a tab. Inference depends on what was inferred before, so the order in
// which they are given must not decide about the code: they are sorted.
func writeStatements(path string, sources []string) error {
	order := make([]int, len(sources))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(sources[i], sources[j]) })
	var list bytes.Buffer
	for _, i := range order {
		fmt.Fprintf(&list, "%d\t%s\n", i, sources[i])
	}
	return os.WriteFile(path, list.Bytes(), 0o600)
}
