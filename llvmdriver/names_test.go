package llvmdriver

import (
	"debug/elf"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlainName(t *testing.T) {
	for emitted, want := range map[string]string{
		"julia_sum_1234":                    "sum",
		"japi1_setindexNOT._77":             "setindex!",
		"julia_YY.repeatYY.64YY.YY.kw_2062": "#repeat#64##kw",
		"julia_authenticate_ssh_17u18":      "authenticate_ssh",
		"jlplt_git_merge_35239_got":         "jlplt_git_merge",
		"ccall_dgeqrt_64_12":                "ccall_dgeqrt_64",
		"julia_LPR.SUM.RPR._5":              "(+)",
		"julia_a3B.b_5":                     "a;b",
		"tojlinvoke12":                      "tojlinvoke",
		"plain":                             "plain",
	} {
		if got := plainName(emitted); got != want {
			t.Errorf("%s is %q, and should be %q", emitted, got, want)
		}
	}
}

// writeNames is a partition with a map.
func writeNames(t *testing.T, text string) Partition {
	t.Helper()
	path := filepath.Join(t.TempDir(), "part-1.map")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Partition{Number: 1, Names: path}
}

func TestReadNames(t *testing.T) {
	p := writeNames(t, "d1\tjulia_sum_1234\nx2\tjulia_a\tb_5\nb3\tbase.17\n")
	names, err := readNames(p.Names)
	if want := map[string]string{"d1": "julia_sum_1234", "x2": "julia_a\tb_5", "b3": "base.17"}; err != nil || !maps.Equal(names, want) {
		t.Errorf("the names are %v (%v), not %v", names, err, want)
	}
	if names, err := readNames(writeNames(t, "").Names); err != nil || len(names) != 0 {
		t.Errorf("of an empty map the names are %v (%v)", names, err)
	}
	broken := writeNames(t, "d1\tjulia_sum_1234\nd2\n")
	if _, err := readNames(broken.Names); err == nil || err.Error() != broken.Names+`: "d2\n" is no line of a map of names` {
		t.Errorf("of a line without a tab it is said: %v", err)
	}
}

func TestDefined(t *testing.T) {
	p := writeNames(t, "d1\tjfptr_sum_1233\nd2\tjulia_sum_1234\nx1\tjulia_prod_5\nd3\tjapi1_setindexNOT._77\ng1\tjl_global_3\n")
	if got := p.Defined(); !slices.Equal(got, []string{"sum", "setindex!"}) {
		t.Errorf("it defines %q", got)
	}
	if got := (Partition{Names: "gone"}).Defined(); got != nil {
		t.Errorf("without a map it defines %q", got)
	}
}

// Names that the whole build knows take the place of the partition's own, but for those that are nobody else's business.
func TestObject(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no gcc")
	}
	path := filepath.Join(t.TempDir(), "part-1.o")
	cmd := exec.Command(gcc, "-c", "-O1", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fcf-protection=none", "-o", path, "-x", "c", "-")
	cmd.Stdin = strings.NewReader(`
extern long x1(long), unknown(long);
extern long g1;
static __attribute__((noinline)) long p1(long x) { return x * g1; }
long d1(long x) { return x1(p1(x)) + unknown(x); }
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := writeNames(t, "d1\tjulia_sum_1234\nx1\tbase.17\ng1\tjl_global_3\np1\tsomebody's\n")
	object, err := p.Object(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range object.Symbols {
		if s.Name != "" && elf.SymType(s.Type) != elf.STT_FILE {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	if want := []string{"base.17", "jl_global_3", "julia_sum_1234", "p1", "unknown"}; !slices.Equal(names, want) {
		t.Errorf("the object's names are %q, not %q", names, want)
	}
	if _, err := p.Object(data[:100], nil); err == nil || !strings.Contains(err.Error(), "partition 1") {
		t.Errorf("of a damaged object it is said: %v", err)
	}
	p.Names = filepath.Join(t.TempDir(), "gone.map")
	if _, err := p.Object(data, nil); err == nil {
		t.Error("an object without a map has names")
	}
}
