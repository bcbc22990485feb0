package julia

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
)

// A Julia runs from the files that it is said to need, in another folder and with nothing in its environment, and maps none of those from where they were.
func TestPortable(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		in, err := Find(t.Context(), executable)
		if err != nil {
			t.Fatal(err)
		}
		p, err := in.Portable(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		for name, file := range p.Files {
			copyFile(t, file, filepath.Join(folder, name))
		}
		if err := os.Chmod(filepath.Join(folder, p.Program), 0o755); err != nil {
			t.Fatal(err)
		}
		var libraries []string
		for _, name := range p.Libraries {
			libraries = append(libraries, filepath.Join(folder, name))
		}
		cmd := exec.Command(filepath.Join(folder, p.Program), "--startup-file=no", "-e", `println(VERSION); foreach(println, eachline("/proc/self/maps"))`)
		cmd.Env = []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, ":")}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		version, maps, _ := strings.Cut(string(out), "\n")
		if err != nil || version != in.Version {
			t.Fatalf("in another folder it says %s (%v)", out, err)
		}
		known := map[string]bool{}
		for name := range p.Files {
			known[filepath.Base(name)] = true
		}
		mapped := 0
		for line := range strings.Lines(maps) {
			_, file, _ := strings.Cut(strings.TrimSpace(line), "/")
			switch {
			case strings.HasPrefix("/"+file, folder+"/"):
				mapped++
			case known[filepath.Base(file)]:
				t.Errorf("it has mapped /%s", file)
			}
		}
		if mapped == 0 {
			t.Errorf("it has mapped nothing of its folder: %s", maps)
		}
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
