package llvmdriver

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"chainbuild/julia"
)

// A partition that is lent gets the object of whoever borrows it; one that may not be lent is left to the worker.
func TestLend(t *testing.T) {
	c, _ := startWorkers(t, 1, 1)
	began, made := make(chan int, 3), make(chan Compiled, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	compile := func(number int, weight int64, mayLend bool) {
		p := partition(t, number, "hang")
		p.Weight = weight
		go func() {
			o, err := c.Compile(ctx, p, mayLend, func(int, error) { began <- number })
			if err == nil {
				made <- o
			}
		}()
	}
	compile(1, 1, true)
	<-began // by the only worker
	compile(2, 9, false)
	compile(3, 1, true)
	loans := c.Lend(t.Context(), 100, 0)
	if len(loans) != 1 || loans[0].Partition.Number != 3 {
		t.Fatalf("%d were lent: %+v", len(loans), loans[0].Partition)
	}
	times := Times{time.Millisecond, time.Second}
	if !loans[0].Settle([]byte("object"), times) {
		t.Error("the partition is settled already")
	}
	if o := <-made; string(o.Data) != "object" || o.Times != times || !o.Elsewhere {
		t.Errorf("of a loan comes %+v", o)
	}
	<-loans[0].Settled()
	loans[0].Return()
}

// A batch is as a machine elsewhere needs it, and nothing of this machine is in it.
func TestBatch(t *testing.T) {
	t.Setenv("JULIA_LLVM_ARGS", "-unroll-count=2")
	series, err := (&julia.Installation{Version: "1.10.8"}).Series()
	if err != nil {
		t.Fatal(err)
	}
	r := &Recipe{
		inputs: [][2]string{{juliaVersion, "1.10.8"}, {libJulia, "01ab"}, {libLLVM, "23cd"}, {llvmArguments, "-unroll-count=2"}}, hasBuildIDs: true,
		sources: series.Sources(), target: Target{CPU: "haswell", OptLevel: 2}, options: []string{"-C", "haswell"},
	}
	b := r.Batch([]Partition{{Target: r.target}, {Target: r.target}}, [][]byte{[]byte("one"), []byte("two")})
	if command := strings.Join(b.Arguments, " "); command != "--startup-file=no --history-file=no -C haswell -L check_julia.jl worker/compile/emit.jl" {
		t.Errorf("the arguments are %s", command)
	}
	if request := string(b.Files[b.Request]); request != "emit\t1.bc\t1.o\t2\thaswell\t\nemit\t2.bc\t2.o\t2\thaswell\t\n" || !slices.Equal(b.Objects, []string{"1.o", "2.o"}) {
		t.Errorf("the request is %q, the objects are %q", request, b.Objects)
	}
	if string(b.Files["1.bc"]) != "one" || string(b.Files["2.bc"]) != "two" || b.Files["worker/compile/emit.jl"] == nil || b.Files["worker/front.jl"] != nil {
		t.Error("the files are others")
	}
	if text := string(b.Files["julia.txt"]); text != "1.10.8\n01ab\n23cd\n" || len(b.Files["check_julia.jl"]) == 0 {
		t.Errorf("the Julia that is wanted is %q", text)
	}
	if len(b.Environment) != 2 || b.Environment["JULIA_LLVM_ARGS"] != "-unroll-count=2" {
		t.Errorf("the environment is %v", b.Environment)
	}
	answers := "{\"passes_ns\":1,\"codegen_ns\":2}\n{\"error\":\"no\"}\nand more\n"
	if times := b.Times([]byte(answers)); !slices.Equal(times, []Times{{1, 2}, {}}) {
		t.Errorf("the times are %v", times)
	}
	if r.JuliaID() != "01ab" {
		t.Errorf("the Julia is known by %q", r.JuliaID())
	}
}

func TestElsewhere(t *testing.T) {
	for _, test := range []struct {
		recipe Recipe
		says   string
	}{
		{Recipe{target: Target{CPU: "haswell"}, hasBuildIDs: true}, ""},
		{Recipe{target: Target{CPU: "native"}, hasBuildIDs: true}, "--cpu-target"},
		{Recipe{target: Target{CPU: "haswell"}}, "has no build id"},
	} {
		err := test.recipe.Elsewhere()
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test.recipe, err)
		}
	}
}
