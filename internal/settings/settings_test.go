package settings

import (
	"encoding"
	"fmt"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// A setting takes its values, writes what it took, and refuses others with what it takes.
func TestText(t *testing.T) {
	type text interface {
		encoding.TextUnmarshaler
		encoding.TextMarshaler
	}
	for _, test := range []struct {
		of     func() text
		values []string
		others map[string]string // and what is said of them
	}{
		{func() text { return new(CPU) }, []string{"native", "generic", "haswell", "haswell,-avx2,+fma", "base", "generic;haswell,clone_all"},
			map[string]string{"generic;": "without a name", "a b": "is no target", ",x": "is no target"}},
		{func() text { return new(OptLevel) }, []string{"0", "1", "2", "3"},
			map[string]string{"4": "no optimisation level 4: use 0 to 3", "-1": "no optimisation level -1", "fast": "use 0 to 3", "": "use 0 to 3"}},
		{func() text { return new(elfpatch.Layout) }, []string{"thin", "standalone"},
			map[string]string{"fat": "use thin or standalone", "": "use thin or standalone", "Thin": "use thin or standalone"}},
		{func() text { return new(Emit) }, []string{"all", "traced"},
			map[string]string{"some": "use all or traced", "": "use all or traced"}},
		{func() text { return new(Size) }, []string{"96 kB", "7.9 MB", "131 MB"},
			map[string]string{"0": "give a size above 0", "1TB": `"1TB" is no size: write it as 500MB`}},
	} {
		for _, value := range test.values {
			setting := test.of()
			if err := setting.UnmarshalText([]byte(value)); err != nil {
				t.Errorf("a %T does not take %q: %v", setting, value, err)
				continue
			}
			got, err := setting.MarshalText()
			if err != nil || string(got) != value {
				t.Errorf("a %T of %q is written as %q (%v)", setting, value, got, err)
			}
		}
		for value, says := range test.others {
			setting := test.of()
			if err := setting.UnmarshalText([]byte(value)); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("a %T of %q: %v, and not %q", setting, value, err, says)
			}
		}
	}
	var cpu CPU
	if err := cpu.UnmarshalText(nil); err != nil || cpu != NativeCPU {
		t.Errorf("no processor is %q (%v)", cpu, err)
	}
}

func TestDependsOnMachine(t *testing.T) {
	for cpu, want := range map[CPU]bool{"native": true, "native,-avx2": true, "generic;native": true, "generic;haswell": false, "base": false, "haswell": false} {
		if cpu.DependsOnMachine() != want {
			t.Errorf("%q: %v", cpu, !want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, fits := range []Target{{}, DefaultTarget(), {Emit: EmitTraced, Layout: elfpatch.Standalone, OptLevel: 3}} {
		if err := fits.Check(); err != nil {
			t.Errorf("%+v is refused: %v", fits, err)
		}
	}
	for says, target := range map[string]Target{
		`--emit does not take "some": use all or traced`: {Emit: "some"}, "no layout number 7": {Layout: 7}, "no layout number -1": {Layout: -1}, "no optimisation level 4": {OptLevel: 4},
	} {
		if err := target.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, and not %q", target, err, says)
		}
	}
}

// What is compared, remembered and sent to others is text that must not change by itself.
func TestDefaultTarget(t *testing.T) {
	if got := fmt.Sprint(DefaultTarget()); got != "{native 2 thin all auto}" {
		t.Errorf("the default target is %s", got)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "123": 123, "5B": 5, "1kB": 1000, "500MB": 500_000_000, "10GiB": 10 << 30, "1.5 GiB": 3 << 29, "2KiB": 2048, "3MiB": 3 << 20, "4GB": 4_000_000_000,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, not %d: %v", text, got, want, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "-1MB", "1M", "1mb", "x", "1e400", "NaN", "Inf", "1TB", "9999999999GiB", "1MB MB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
}
