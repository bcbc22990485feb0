package sysimage

// This file chains a real heap to the image of a real Julia 1.10 and runs the result. There is no code generation: the one
// new function is written in C, by Julia's calling convention for boxed arguments.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/juliatest"
)

// chainWorker runs in a process that was started from a base as one that generates an image. It defines a module with a
// function, plants the lists of base.index and what is new, and writes the heap. It prints the index of the base's wrapper
// of pwd().
const chainWorker = `
Base.reinit_stdio()
Sys.__init_build()
empty!(LOAD_PATH); empty!(DEPOT_PATH)
Core.eval(Main, :(module $(Symbol(ARGS[4]))
    @noinline answer(x) = Base.inferencebarrier(x)
    const text = "a new cell"
end))
let fresh = getglobal(Main, Symbol(ARGS[4])), image = ARGS[3], words = reinterpret(UInt32, read(ARGS[1]))
    data = ccall(:dlsym, Ptr{Cvoid}, (Ptr{Cvoid}, Cstring),
        ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), image, 6), "jl_system_image_data")
    object(offset) = unsafe_pointer_to_objref(data + offset)
    ncode, ndata, nmodules = words[3], words[4], words[5]
    code = Core.svec((object(words[6 + 3i]) for i in 0:ncode-1)...)
    values = Core.svec((object(words[5 + 3ncode + i]) for i in 1:ndata)...)
    modules = Core.svec((object(words[5 + 3ncode + ndata + i]) for i in 1:nmodules)...)
    k = findfirst(c -> c.def.def isa Method && c.def.specTypes === Tuple{typeof(pwd)}, collect(Any, code))
    ccall(:jl_safe_printf, Cvoid, (Cstring, Cint), "%d\n", reinterpret(Int32, words[4 + 3k]))
    precompile(fresh.answer, (Int,)) || error("not compiled")
    instance = first(methods(fresh.answer)).specializations
    instance isa Core.SimpleVector && (instance = instance[1])
    setfield!(current_task(), :storage,
        Core.svec(code, values, modules, Any[instance.cache], Core.svec(fresh.text, :a_symbol, 7, fresh)))
end
let out = ARGS[2], stream = Ref{Ptr{Cvoid}}(C_NULL)
    ccall(:jl_create_system_image, Cvoid,
        (Ptr{Cvoid}, Ptr{Cvoid}, UInt8, Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}), C_NULL, C_NULL, 0, stream, C_NULL, C_NULL, C_NULL)
    words = Ptr{Int64}(stream[])
    bytes, size = Ptr{UInt8}(unsafe_load(words, 1)), unsafe_load(words, 5)
    fd = ccall(:open, Cint, (Cstring, Cint, Cint), out, 0o1101, 0o644)
    while size > 0
        n = ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), fd, bytes, size)
        n > 0 || ccall(:_exit, Cvoid, (Cint,), 1)
        bytes += n; size -= n
    end
    ccall(:_exit, Cvoid, (Cint,), 0)
end
`

// newFunctionSource is the function answer. It calls the base's pwd directly and by a pointer, looks at all variables of the
// runtime, and returns the text, or else the symbol.
const newFunctionSource = `
#include <stddef.h>
#include <stdint.h>
#define HIDDEN __attribute__((visibility("hidden")))
extern HIDDEN void *jl_pgcstack_func_slot, *jl_pgcstack_key_slot, *jl_small_typeof[128];
extern HIDDEN size_t jl_tls_offset;
extern HIDDEN void *text, *symbol;
typedef void *function(void *, void **, uint32_t);
extern HIDDEN function pwd __asm__("base.INDEX");
extern HIDDEN function *pwd_cell __asm__("slot.base.INDEX");
void *answer(void *f, void **args, uint32_t n) {
	if (n != 1 || !pwd(0, 0, 0) || !pwd_cell(0, 0, 0) || !jl_pgcstack_func_slot) return symbol;
	for (int i = 1; i < 20; i++) if (jl_small_typeof[2 * i]) return text;
	return symbol;
}
`

// newCodeRun prints what an image has: answers of new functions, cells that the loader made, and a backtrace of code in the
// base and in the interpreter.
const newCodeRun = `
for m in names(Main; all=true)
    startswith(string(m), "Fresh") && println(getglobal(Main, m).answer(3))
end
trace = try foreach(error, ["wanted"]) catch; stacktrace(catch_backtrace(), true) end
for frame in trace[1:4]
    println(frame.func, " ", frame.from_c, " ", frame.linfo isa Core.MethodInstance)
end
`

func TestChainRealJulia(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, julia string) {
		run := func(args ...string) string {
			t.Helper()
			out, err := exec.Command(julia, append([]string{"--startup-file=no"}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return string(out)
		}
		if version := run("-e", "print(VERSION)"); !strings.HasPrefix(version, "1.10.") {
			t.Skipf("SKIPPED, NOT TESTED: this is Julia %s, and the test is for 1.10", version)
		}
		b := openTest(t, imageOf(t, julia))
		want := strings.Repeat("a new cell\n", 2) + run("-e", newCodeRun)
		dir := t.TempDir()
		first := map[elfpatch.Layout]*Base{}
		for _, layout := range []elfpatch.Layout{elfpatch.Thin, elfpatch.Standalone} {
			first[layout] = chainReal(t, julia, b, dir, fmt.Sprint("Fresh", layout), layout)
		}
		for _, below := range first {
			for _, layout := range []elfpatch.Layout{elfpatch.Thin, elfpatch.Standalone} {
				name := fmt.Sprintf("FreshOn%s%d", strings.TrimSuffix(filepath.Base(below.Layers[0].Path), ".so"), layout)
				top := chainReal(t, julia, below, dir, name, layout)
				if got := run("-J", top.Layers[0].Path, "-e", newCodeRun); got != want {
					t.Errorf("%s gives\n%swant\n%s", name, got, want)
				}
			}
		}
	})
}

// chainReal makes an image on b.
func chainReal(t *testing.T, julia string, b *Base, dir, name string, layout elfpatch.Layout) *Base {
	t.Helper()
	top := b.Layers[0]
	data, ok1 := top.Lookup("jl_system_image_data")
	size, ok2 := top.Lookup("jl_system_image_size")
	offset, err := exec.Command(julia, "--startup-file=no", "-e",
		"print(fieldoffset(Base.JLOptions, findfirst(==(:incremental), fieldnames(Base.JLOptions))))").Output()
	if err != nil || !ok1 || !ok2 {
		t.Fatal(err, ok1, ok2)
	}
	clear, err := strconv.ParseInt(string(offset), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	file := func(ending string) string { return filepath.Join(dir, name+ending) }
	shim, err := os.Create(file(".shim.so"))
	if err != nil {
		t.Fatal(err)
	}
	defer shim.Close()
	if err := elfpatch.WriteShim(shim, elfpatch.Shim{Needed: top.Path, Symbol: "jl_system_image_data", Anchor: "jl_system_image_size",
		Delta: int64(data.Value - size.Value), Clear: "jl_options", ClearOffset: clear, ClearSize: 1}); err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, file(".index"), b.Index())
	writeTestFile(t, file(".jl"), []byte(chainWorker))
	out, err := exec.Command(julia, "--startup-file=no", "--pkgimages=no", "--output-o", file(".o"), "--output-incremental=yes",
		"-J", file(".shim.so"), file(".jl"), file(".index"), file(".blob"), file(".shim.so"), name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pwd := strings.TrimSpace(string(out))
	index, err := ParseIndex("index.txt", []byte("fvar\tanswer\ncode\t-1\t0\nused\t"+pwd+"\ngvar\ttext\ngvar\tsymbol\ngvar\tseven\ngvar\tmodule\n"))
	if err != nil {
		t.Fatal(err)
	}
	blob, err := os.ReadFile(file(".blob"))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := b.Chain(blob, index)
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(gcc(t, dir, name+".o", strings.ReplaceAll(newFunctionSource, "INDEX", pwd), "-c", "-fPIC", "-O1"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := elfpatch.ParseObject(name+".o", code)
	if err != nil {
		t.Fatal(err)
	}
	job, err := merged.Job(layout, []*elfpatch.Object{object})
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.Create(file(".so"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if _, err := elfpatch.Write(image, job); err != nil {
		t.Fatal(err)
	}
	made := openTest(t, file(".so"))
	if err := made.Check(); err != nil {
		t.Error(err)
	}
	return made
}
