package julia

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLibraryID(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("JULIA_DEPOT_PATH", filepath.Join(dir, "depot"))
	when := time.Date(2026, 1, 31, 14, 5, 0, 0, time.UTC)
	library := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		when = when.Add(time.Hour)
		return path
	}
	id := func(path string) string {
		t.Helper()
		id, err := LibraryID(path)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	path := library("library.so", "library")
	// printf library | sha256sum
	if got := id(path); got != "sha256:b718f1354f7247312eca086d9a024afe5fa717ddea5adeddd6f12bcf945b2e8c" {
		t.Errorf("the id is %q", got)
	}
	if copied := library("copy.so", "library"); id(copied) != id(path) {
		t.Error("a copy has another id")
	}
	before := id(path)
	if library("library.so", "another"); id(path) == before {
		t.Error("another library has the same id")
	}
	// What has not been written is not read again.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	before = id(path)
	library("library.so", "changed")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if id(path) != before {
		t.Error("the id is not remembered")
	}
	if _, err := LibraryID(filepath.Join(dir, "gone.so")); err == nil {
		t.Error("a library that is not there has an id")
	}

	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no gcc")
	}
	cmd := exec.Command(gcc, "-shared", "-o", path, "-x", "c", "-", "-Wl,--build-id=0x0123456789abcdef")
	cmd.Stdin = strings.NewReader("int x;")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := id(path); got != hex.EncodeToString([]byte{1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}) {
		t.Errorf("the id is %q", got)
	}
}
