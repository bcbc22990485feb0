package pipeline

import (
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/choice"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"
	"chainbuild/statements"
)

// made is the object of a partition with some functions, under a key of its code and an optimisation level.
func made(t *testing.T, label, code, level string, functions ...string) object {
	t.Helper()
	names := filepath.Join(t.TempDir(), "part.map")
	text := "g0\tjl_global_12\n"
	for _, name := range functions {
		text += "d0\tjulia_" + name + "_34\n" + "d1\tjfptr_" + name + "_35\n"
	}
	write(t, names, text)
	h := objcache.NewHash("object")
	h.Add("code", []byte(code))
	h.AddString("optimisation level", level)
	return object{partition: llvmdriver.Partition{Number: 1, Label: label, Names: names}, inputs: h.Inputs(), data: make([]byte, 1000)}
}

func TestExplain(t *testing.T) {
	output := filepath.Join(t.TempDir(), "chained.so")
	cache, err := objcache.Open(filepath.Join(t.TempDir(), "cache"), objcache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{inputs: &inputs{output: output}, cache: cache}
	for _, name := range []string{"f", "g"} {
		p.inputs.add(choice.Candidate{Statement: statements.Statement{Source: "Tuple{typeof(A." + name + ")}", Modules: []string{"A"}}})
	}
	before := []object{made(t, "01", "a", "2", "sum", "prod", "prod"), made(t, "1", "b", "2", "sin")}
	if last := p.readRecord(); last != nil {
		t.Errorf("before the first build there is the record %+v", last)
	}
	p.writeRecord(before, map[string]float64{"infer": 2.5}, &Result{
		Compiling: CompileTimes{Passes: 1, Codegen: 2, Bytes: 300_000}, Unresolved: []Unresolved{{Statement: "Tuple{typeof(A.g)}"}},
	})
	last := p.readRecord()
	if last == nil {
		t.Fatal("there is no record")
	}
	if last.Stages["infer"] != 2.5 {
		t.Errorf("the record has the stages %v", last.Stages)
	}
	if len(last.Statements) != 1 || last.Statements["A"] != 1 {
		t.Errorf("the record counts the statements %v", last.Statements)
	}
	if last.PerByte != 1e-5 || last.ObjectBytes != 2000 {
		t.Errorf("the record has %d bytes of objects, %v seconds for each", last.ObjectBytes, last.PerByte)
	}
	hit := made(t, "1", "b", "2", "sin")
	hit.hit = true
	for _, test := range []struct {
		last   *record
		object object
		says   string
	}{
		{nil, before[0], "partition 1 (01, 1 kB): miss: this image was not built before"},
		{last, hit, "partition 1 (1, 1 kB): hit"},
		{last, made(t, "", "c", "2", "cos"), "partition 1 (all, 1 kB): miss: a new partition: cos"},
		{last, before[0], "miss: nothing has changed, but the cache has lost it"},
		{last, made(t, "01", "c", "2", "sum", "prod", "prod"), "miss: code changed in one of prod, sum"},
		{last, made(t, "01", "c", "2", "sum", "prod", "exp"), "miss: + exp; - prod"},
		{last, made(t, "1", "b", "3", "sin"), `miss: optimisation level was "2" and is "3"`},
		{last, made(t, "1", "c", "3", "tan"), `miss: + tan; - sin; optimisation level was "2" and is "3"`},
		{last, made(t, "0", "c", "2", "a", "b", "c", "d", "e", "f", "g", "h"), "a new partition: a, b, c, d, e, f, and 2 more"},
	} {
		lines := explain(test.last, []object{test.object})
		if len(lines) != 2 || !strings.HasSuffix(lines[0], test.says) {
			t.Errorf("it is explained with %q, and not %q", lines, test.says)
		}
	}
	lines := explain(last, []object{hit, before[0], before[0]})
	if got, want := lines[len(lines)-1], "from the cache: 1 of 3 partitions, 33.3 % of 3 kB"; got != want {
		t.Errorf("the sum is %q, and not %q", got, want)
	}
	if lines := explain(nil, nil); len(lines) != 1 || lines[0] != "from the cache: 0 of 0 partitions, 0.0 % of 0 kB" {
		t.Errorf("of nothing is said %q", lines)
	}
}
