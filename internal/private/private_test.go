package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestCheckFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	if err := CheckFolder(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	defer syscall.Umask(syscall.Umask(0))
	if made, err := MakeFolder(dir); !made || err != nil {
		t.Fatalf("MakeFolder returned %v, %v", made, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has the mode %v (%v)", info.Mode(), err)
	}
	if err := CheckFolder(dir); err != nil {
		t.Errorf("a folder of the user's own: %v", err)
	}
	if made, err := MakeFolder(dir); made || err != nil {
		t.Errorf("MakeFolder of a folder that there is returned %v, %v", made, err)
	}
	for _, mode := range []fs.FileMode{0o720, 0o702, 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := CheckFolder(dir); !errors.Is(err, ErrShared) {
			t.Errorf("a folder of mode %o: %v", mode, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckFolder(file); !errors.Is(err, ErrNoFolder) {
		t.Errorf("a file: %v", err)
	}
}

func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: only root can give a folder away")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: this file system has no owners: %v", err)
	}
	if err := CheckFolder(dir); !errors.Is(err, ErrShared) {
		t.Errorf("a folder of another user's: %v", err)
	}
}
