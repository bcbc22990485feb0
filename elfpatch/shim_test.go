package elfpatch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeShim(t testing.TB, path string, s Shim) {
	t.Helper()
	var b bytes.Buffer
	if err := WriteShim(&b, s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o777); err != nil {
		t.Fatal(err)
	}
}

const shimBase = `
char before[64];
char anchor[16];
char table[32] = "the table of the base";
int other(void) { return 7; }
`

// The host looks its variable up before, asks the shim for what the shim defines and for what only the base does, and
// tells what it got.
const shimHost = `
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
unsigned char variable[24];
int main(int argc, char **argv) {
	memset(variable, 0xff, sizeof variable);
	void *shim = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!shim) { puts(dlerror()); return 2; }
	printf("%d ", variable[8]);
	char *table = dlsym(shim, "table");
	int (*other)(void) = (int (*)(void))dlsym(shim, "other");
	printf("%s, %d,", table, other());
	for (int i = 0; i < 24; i++) if (!variable[i]) printf(" %d", i);
	return 0;
}
`

func TestShimStandsInForItsBase(t *testing.T) {
	folder := t.TempDir()
	base := compile(t, folder, "base.so", shimBase, "-shared", "-fPIC")
	host := compile(t, folder, "host", shimHost, "-rdynamic", "-ldl")
	m, err := Open(base)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	table, _ := m.Lookup("table")
	for _, test := range []struct {
		name, needed, runpath, anchor string
		offset                        int64
		size                          int
	}{
		{"a byte", base, "", "anchor", 8, 1},
		{"two bytes", base, "", "anchor", 8, 2},
		{"four bytes", base, "", "before", 0, 4},
		{"eight bytes", base, "", "other", 16, 8},
		{"found by runpath", "base.so", folder, "anchor", 8, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			shim := filepath.Join(t.TempDir(), "shim.so")
			anchor, ok := m.Lookup(test.anchor)
			if !ok {
				t.Fatalf("the base has no %s", test.anchor)
			}
			writeShim(t, shim, Shim{Needed: test.needed, Runpath: test.runpath, Symbol: "table", Anchor: test.anchor,
				Delta: int64(table.Value - anchor.Value), Clear: "variable", ClearOffset: test.offset, ClearSize: test.size})
			readelfAccepts(t, shim)
			want := "255 the table of the base, 7,"
			for i := range test.size {
				want += fmt.Sprintf(" %d", int(test.offset)+i)
			}
			if got := run(t, host, shim); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestShimReadsBack(t *testing.T) {
	long := "/" + strings.Repeat("folder/", 1000) + "base.so" // more than a page
	for _, delta := range []int64{0, 1, -1, 1 << 20, 1 << 40, -1 << 40} {
		var b bytes.Buffer
		s := Shim{Needed: long, Symbol: "table", Anchor: "anchor", Delta: delta, Clear: "flag", ClearSize: 1}
		if err := WriteShim(&b, s); err != nil {
			t.Fatal(err)
		}
		m, err := Parse("shim.so", b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Needed()) != 1 || m.Needed()[0] != long {
			t.Errorf("needed: %q", m.Needed())
		}
		symbol, ok := m.Lookup("table")
		code, err := m.Bytes(symbol.Value, symbol.Size)
		if !ok || symbol.Info&15 != 10 || err != nil {
			t.Fatalf("table is %+v (%v)", symbol, err)
		}
		if lines := disassemble(t, code); lines[len(lines)-1] != "ret" {
			t.Errorf("the code is %q", lines)
		}
	}
}

func TestShimRefuses(t *testing.T) {
	good := Shim{Needed: "base.so", Symbol: "table", Anchor: "anchor", Clear: "flag", ClearSize: 1}
	for want, change := range map[string]func(s *Shim){
		"names no library":              func(s *Shim) { s.Needed = "" },
		"names no symbol":               func(s *Shim) { s.Symbol = "" },
		"names no anchor":               func(s *Shim) { s.Anchor = "" },
		"names no variable to clear":    func(s *Shim) { s.Clear = "" },
		"a store of 3 bytes":            func(s *Shim) { s.ClearSize = 3 },
		"cannot clear flag at offset 4": func(s *Shim) { s.ClearOffset = 4 << 30 },
	} {
		s := good
		change(&s)
		var b bytes.Buffer
		if err := WriteShim(&b, s); err == nil || !strings.Contains(err.Error(), want) || b.Len() != 0 {
			t.Errorf("got error %v and %d bytes, want %q", err, b.Len(), want)
		}
	}
	if err := WriteShim(fullDisk{}, good); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "base.so") {
		t.Errorf("got error %v, want one of the disk", err)
	}
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
