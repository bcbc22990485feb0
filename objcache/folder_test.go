package objcache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDefaultDir(t *testing.T) {
	for _, test := range []struct {
		environment string
		depots      []string
		want        string
	}{
		{"", []string{"/d", "/e"}, "/d/chainbuild/cache"},
		{"", nil, ""},
		{"", []string{""}, ""},
		{"/somewhere", []string{"/d"}, "/somewhere"},
		{"/somewhere", nil, "/somewhere"},
		{"off", []string{"/d"}, ""},
	} {
		t.Setenv(Environment, test.environment)
		if got := DefaultDir(test.depots); got != test.want {
			t.Errorf("%s=%q, depots %q: %q, not %q", Environment, test.environment, test.depots, got, test.want)
		}
	}
}

func TestUnsafeFolder(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"anyone":   func(dir string) error { return os.Chmod(dir, 0o777) },
		"sticky":   func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) },
		"group":    func(dir string) error { return os.Chmod(dir, 0o770) },
		"stranger": func(dir string) error { return os.Chown(dir, 12345, -1) },
		"file":     func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			early, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := make(dir); errors.Is(err, os.ErrPermission) {
				t.Skip("only root can give a folder away")
			} else if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("the answer is %v", err)
			}
			// Who had opened it before does not make anything in it.
			var w warnings
			early.warn = w.add
			early.Put(testKey(1), []byte("x"))
			w.expect(t, 1)
			if list, _ := os.ReadDir(dir); len(list) != 0 {
				t.Errorf("there is %v in it", list)
			}
		})
	}
}

// A folder that others can only read was made so by its owner.
func TestReadableFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	c, err := Open(link, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Put(testKey(1), []byte("x"))
	expectData(t, c, testKey(1), []byte("x"))
}

func TestUmask(t *testing.T) {
	for _, umask := range []string{"000", "022", "077", "277"} {
		t.Run(umask, func(t *testing.T) {
			dir := t.TempDir()
			cache := filepath.Join(dir, "cache")
			if out, err := testProcess("umask", cache, umask).CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
			files := 0
			err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
				want := os.FileMode(0o600)
				if info.IsDir() {
					want = 0o700
				}
				switch path {
				case dir:
					return err
				case filepath.Join(cache, tagName):
					// Other bits than these are the user's own wish.
					want &= info.Mode().Perm()
				}
				if info.Mode().Perm() != want {
					t.Errorf("%s has the mode %v", path, info.Mode())
				}
				files++
				return err
			})
			// The folder, two entries in two subfolders, the tag, the ledger.
			if err != nil || files != 7 {
				t.Errorf("%d files: %v", files, err)
			}
			// They are of use under another umask.
			c, err := Open(cache, Options{})
			if err != nil {
				t.Fatal(err)
			}
			expectData(t, c, testKey(1), testData(testKey(1), 1000))
		})
	}
}

// A disk that is full when so many bytes were written to one file.
func TestDiskFull(t *testing.T) {
	for _, room := range []int{0, 10, 1000} {
		c, w := newCache(t, Options{})
		c.Put(testKey(1), []byte("early"))
		c.target = func(file *os.File) io.Writer { return &smallDisk{file, room} }
		large := testData(testKey(2), 100_000)
		c.Put(testKey(2), large)
		w.expect(t, 1)
		for _, warned := range w.list {
			if !errors.Is(warned, syscall.ENOSPC) || !strings.Contains(warned.Error(), c.dir) {
				t.Errorf("the warning is %v", warned)
			}
		}
		// No more is tried, nothing is left, and what is there is found.
		c.target = func(*os.File) io.Writer { t.Error("a full disk is written to again"); return nil }
		c.Put(testKey(3), []byte("late"))
		if _, err := c.Get(testKey(2)); !errors.Is(err, ErrMiss) {
			t.Errorf("half an entry: %v", err)
		}
		expectData(t, c, testKey(1), []byte("early"))
		if left := temporaryFiles(t, c); len(left) != 0 {
			t.Errorf("temporary files are left: %v", left)
		}
		w.expect(t, 1)
	}
}

type smallDisk struct {
	*os.File
	room int
}

func (d *smallDisk) Write(b []byte) (int, error) {
	n, err := d.File.Write(b[:min(len(b), d.room)])
	d.room -= n
	if err == nil && n < len(b) {
		err = &os.PathError{Op: "write", Path: d.Name(), Err: syscall.ENOSPC}
	}
	return n, err
}

// ReadFrom hides the file's, which would not come by Write.
func (d *smallDisk) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{d}, r)
}

// The same with a disk that the kernel says is full.
func TestRealDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		t.Skipf("SKIPPED: a small disk to fill cannot be mounted here (%v); that takes root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	var w warnings
	c, err := Open(filepath.Join(disk, "cache"), Options{Warn: w.add})
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for n := range 50 {
		c.Put(testKey(n), testData(testKey(n), 50_000))
	}
	for n := range 50 {
		data, err := c.Get(testKey(n))
		if err == nil && string(data) != string(testData(testKey(n), 50_000)) {
			t.Errorf("entry %d is wrong", n)
		}
		if err == nil {
			stored++
		}
	}
	if stored == 0 || stored == 50 {
		t.Errorf("%d of 50 entries were stored", stored)
	}
	w.expect(t, 1)
	if !errors.Is(w.list[0], syscall.ENOSPC) {
		t.Errorf("the warning is %v", w.list[0])
	}
	if left := temporaryFiles(t, c); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	c.Close()
	// Clearing it needs no space.
	if removed, err := c.Clear(t.Context()); err != nil || removed.Entries != stored {
		t.Errorf("%d of %d entries were removed: %v", removed.Entries, stored, err)
	}
}

// In a folder that cannot be written there are hits, and one warning for all that cannot be stored.
func TestReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Put(testKey(1), testData(testKey(1), 1000))
	cmd := testProcess("read only", dir)
	asOther(t, cmd, dir)
	var folders []string
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.IsDir() {
			folders = append(folders, path)
			err = os.Chmod(path, 0o500)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // so that it can be removed
		for _, path := range folders {
			os.Chmod(path, 0o700)
		}
	})
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "warning: ") != 1 || !strings.HasSuffix(string(out), "done\n") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}

// A cache that cannot be made is warned of once, too.
func TestReadOnlyParent(t *testing.T) {
	parent := t.TempDir()
	cmd := testProcess("put", filepath.Join(parent, "cache"))
	asOther(t, cmd, parent)
	if err := os.Chmod(parent, 0o555); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "warning: ") != 1 || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestClassify(t *testing.T) {
	key := testKey(1)
	for path, want := range map[string]fileKind{
		fmt.Sprintf("%v/%v.entry", key.String()[:2], key):  entryFile,
		fmt.Sprintf("00/%v.entry", key):                    foreignFile,
		fmt.Sprintf("%v/%v", key.String()[:2], key):        foreignFile,
		fmt.Sprintf("%v/%v.entry", key.String()[:2], "ab"): foreignFile,
		"00/put-123.temporary":                             temporaryFile,
		"00/put-123":                                       foreignFile,
		"README":                                           foreignFile,
	} {
		if got, _ := classify("/cache/" + path); got != want {
			t.Errorf("%s is of kind %d, not %d", path, got, want)
		}
	}
}
