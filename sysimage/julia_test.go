package sysimage

// This file compares what the package reads of a Julia's own image with what a running Julia made of that image.

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
)

// probe writes what the process has in memory, as 8 byte numbers that count from jl_system_image_data: per code instance of
// base.index the places of its wrapper and of its body, which are words of it; per cell, of which it is given places, what
// it points to; then the full names of the modules as text, one per line.
const probe = `
index, cells, out, word = ARGS
word = parse(Int, word)
handle = ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), unsafe_string(Base.JLOptions().image_file), 6)
data = ccall(:dlsym, Ptr{UInt8}, (Ptr{Cvoid}, Cstring), handle, "jl_system_image_data")
words = reinterpret(UInt32, read(index))
ncode, ndata, nmodules = Int.(words[3:5])
open(out, "w") do io
    for i in 1:ncode
        code = Ptr{UInt64}(data + words[3 + 3i])
        write(io, unsafe_load(code, word) - UInt64(data), unsafe_load(code, word + 1) - UInt64(data))
    end
    for offset in reinterpret(Int64, read(cells))
        write(io, unsafe_load(Ptr{UInt64}(data + offset)) - UInt64(data))
    end
    for i in 1:nmodules
        object = unsafe_pointer_to_objref(Ptr{Cvoid}(data + words[5 + 3ncode + ndata + i]))
        println(io, object isa Module ? nameof(object) : typeof(object))
    end
end
`

// imageOf asks a Julia for its image.
func imageOf(t testing.TB, julia string) string {
	t.Helper()
	image, err := exec.Command(julia, "--startup-file=no", "-e", "print(unsafe_string(Base.JLOptions().image_file))").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(image)
}

func TestAgainstJulia(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, julia string) {
		b := openTest(t, imageOf(t, julia))
		if err := b.Check("Unwanted"); err != nil {
			t.Error(err)
		}
		dir := t.TempDir()
		index, cells, out := filepath.Join(dir, "index"), filepath.Join(dir, "cells"), filepath.Join(dir, "out")
		writeTestFile(t, index, b.Index())
		_, data, err := b.lookup("jl_system_image_data")
		if err != nil {
			t.Fatal(err)
		}
		addrs, invoke := b.tables.cells(), int(b.layout.code.invoke)
		var places []byte
		for _, addr := range addrs {
			places = le.AppendUint64(places, addr-data.Value)
		}
		writeTestFile(t, cells, places)
		command := exec.Command(julia, "--startup-file=no", "-e", probe, index, cells, out, strconv.Itoa(invoke/8+1))
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		memory, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		number := func() uint64 {
			n := le.Uint64(memory)
			memory = memory[8:]
			return n
		}
		// The loader has chosen one target: the only one that explains all places.
		possible := make([]bool, len(b.Targets))
		for i := range possible {
			possible[i] = true
		}
		for _, c := range b.Code {
			for _, f := range []int32{c.Invoke, c.Spec} {
				place := number()
				if f < 0 {
					continue
				}
				explained := false
				for target, addr := range b.Functions[f].Variants {
					same := addr-data.Value == place
					possible[target] = possible[target] && same
					explained = explained || same
				}
				if !explained {
					t.Fatalf("function %d is at %#x in memory, none of %#x", f, place, b.Functions[f].Variants)
				}
			}
		}
		chosen := 0
		for _, p := range possible {
			if p {
				chosen++
			}
		}
		if chosen == 0 {
			t.Error("no target explains which code the loader has chosen")
		}
		kinds := map[GlobalKind]int{}
		for i, g := range b.Globals {
			at := number()
			kinds[g.Kind]++
			inBlob := at < uint64(b.Blob.Total)
			if isObject := g.Kind == GlobalData || g.Kind == GlobalBinding; isObject != inBlob || isObject && at != uint64(g.Offset) {
				t.Errorf("cell %d, kind %d, leads to %#x of the heap in memory, %#x in the file", i, g.Kind, at, g.Offset)
			}
		}
		if kinds[GlobalData] == 0 || kinds[GlobalSymbol] == 0 || kinds[GlobalTag] == 0 || b.Format == "1.5" && kinds[GlobalBinding] == 0 {
			t.Errorf("cells by kind: %v", kinds)
		}
		var names []string
		for _, mod := range b.Modules {
			names = append(names, mod.Name)
		}
		if got := strings.TrimSpace(string(memory)); got != strings.Join(names, "\n") {
			t.Errorf("modules in memory:\n%s\nin the file:\n%s", got, strings.Join(names, "\n"))
		}
	})
}

func BenchmarkOpenCheck(b *testing.B) {
	image := imageOf(b, juliatest.Julia(b))
	for b.Loop() {
		base, err := OpenFile(image)
		if err != nil {
			b.Fatal(err)
		}
		if err := base.Check(); err != nil {
			b.Fatal(err)
		}
		base.Close()
	}
}
