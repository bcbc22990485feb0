package objcache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestGetPut(t *testing.T) {
	c, w := newCache(t, Options{})
	key, data := testKey(1), testData(testKey(1), 50_000)
	_, err := c.Get(key)
	var miss *MissError
	if !errors.Is(err, ErrMiss) || !errors.As(err, &miss) || miss.Key != key || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was never stored: %v", err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("looking something up makes the folder")
	}
	c.Put(key, data)
	expectData(t, c, key, data)
	if _, err := c.Get(testKey(2)); !errors.Is(err, ErrMiss) {
		t.Errorf("another key: %v", err)
	}
	c.Put(key, []byte("new"))
	expectData(t, c, key, []byte("new"))
	again, err := Open(c.Dir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	expectData(t, again, key, []byte("new"))
	w.expect(t, 0)
}

// flip changes a byte of a file; offsets below 0 count from its end.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[(at+len(content))%len(content)] ^= 0x10
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNoCache(t *testing.T) {
	c, err := Open("", Options{})
	if c != nil || err != nil {
		t.Fatalf("no folder gives %v, %v", c, err)
	}
	c.Put(testKey(1), []byte("x"))
	if _, err := c.Get(testKey(1)); !errors.Is(err, ErrMiss) {
		t.Error(err)
	}
	c.Close()
	ctx := t.Context()
	_, trimErr := c.Trim(ctx)
	_, statsErr := c.Stats(ctx)
	_, verifyErr := c.Verify(ctx)
	_, clearErr := c.Clear(ctx)
	if err := errors.Join(trimErr, statsErr, verifyErr, clearErr); err != nil || c.Dir() != "" {
		t.Errorf("%q: %v", c.Dir(), err)
	}
}

// Whatever has the name of an entry and is not it is dropped, told of once, and replaced by the next Put.
func TestDamagedEntries(t *testing.T) {
	key := testKey(1)
	data := testData(key, 50_000)
	for name, damage := range map[string]func(t *testing.T, path string) error{
		"first byte": func(t *testing.T, path string) error { flip(t, path, 0); return nil },
		"header":     func(t *testing.T, path string) error { flip(t, path, 50); return nil },
		"payload":    func(t *testing.T, path string) error { flip(t, path, 5_000); return nil },
		"last byte":  func(t *testing.T, path string) error { flip(t, path, -1); return nil },
		"empty":      func(t *testing.T, path string) error { return os.Truncate(path, 0) },
		"truncated":  func(t *testing.T, path string) error { return os.Truncate(path, 5_000) },
		"with a hole": func(t *testing.T, path string) error {
			return errors.Join(os.Truncate(path, 100), os.Truncate(path, 20_000))
		},
		"huge": func(t *testing.T, path string) error { return os.Truncate(path, 1<<40) },
		"foreign": func(t *testing.T, path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("x"), 1000), 0o600)
		},
		"other key": func(t *testing.T, path string) error {
			return os.WriteFile(path, encodeEntry(testKey(2), data), 0o600)
		},
		"link": func(t *testing.T, path string) error {
			return errors.Join(os.Rename(path, path+".moved"), os.Symlink(path+".moved", path))
		},
		"link to itself": func(t *testing.T, path string) error { return errors.Join(os.Remove(path), os.Symlink(path, path)) },
		"pipe": func(t *testing.T, path string) error {
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
		},
		"folder":      func(t *testing.T, path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"of any user": func(t *testing.T, path string) error { return os.Chmod(path, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			c, w := newCache(t, Options{})
			c.Put(key, data)
			if err := damage(t, c.entryFile(key)); err != nil {
				t.Skip(err) // files cannot be that large here
			}
			var damaged *DamageError
			for range 3 {
				if _, err := c.Get(key); !errors.Is(err, ErrMiss) {
					t.Fatalf("the answer is %v", err)
				}
			}
			w.expect(t, 1)
			if !errors.As(w.list[0], &damaged) || damaged.File != c.entryFile(key) || damaged.Kept != nil {
				t.Errorf("the warning is %v", w.list[0])
			}
			if _, err := os.Lstat(c.entryFile(key)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the entry is still there: %v", err)
			}
			c.Put(key, data)
			expectData(t, c, key, data)
			w.expect(t, 1)
		})
	}
}

// A damaged entry that cannot be removed is told of once all the same.
func TestDamagedEntryStays(t *testing.T) {
	c, w := newCache(t, Options{})
	path := c.entryFile(testKey(1))
	if err := os.MkdirAll(filepath.Join(path, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Get(testKey(1)); !errors.Is(err, ErrMiss) {
			t.Fatal(err)
		}
	}
	w.expect(t, 1)
	var damaged *DamageError
	if !errors.As(w.list[0], &damaged) || damaged.Kept == nil || !strings.Contains(w.list[0].Error(), "could not be removed") {
		t.Errorf("the warning is %v", w.list[0])
	}
}

// What cannot be read may be good: it stays, and one warning is enough for all.
func TestUnreadable(t *testing.T) {
	c, w := newCache(t, Options{})
	for n := range 3 {
		c.Put(testKey(n), []byte("x"))
		var err error = c.miss(testKey(n), syscall.EIO)
		if !errors.Is(err, ErrMiss) || !errors.Is(err, syscall.EIO) {
			t.Errorf("the answer is %v", err)
		}
		expectData(t, c, testKey(n), []byte("x"))
	}
	w.expect(t, 1)
}

// Removed on another machine of a network file system while it is read here: that is nobody's trouble.
func TestStale(t *testing.T) {
	c, w := newCache(t, Options{})
	c.Put(testKey(1), []byte("x"))
	var err error = c.miss(testKey(1), &fs.PathError{Op: "read", Path: "x", Err: syscall.ESTALE})
	if !errors.Is(err, ErrMiss) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the answer is %v", err)
	}
	w.expect(t, 0)
}

func TestTouch(t *testing.T) {
	c, _ := newCache(t, Options{})
	key := testKey(1)
	c.Put(key, []byte("x"))
	now := time.Now().Truncate(time.Second)
	c.now = func() time.Time { return now }
	for _, test := range []struct {
		used    time.Duration
		touched bool
	}{
		{0, false}, {-59 * time.Minute, false}, {-time.Hour, true}, {-1000 * time.Hour, true}, {59 * time.Minute, false}, {24 * time.Hour, true},
	} {
		setUsed(t, c, key, now.Add(test.used))
		expectData(t, c, key, []byte("x"))
		info, err := os.Stat(c.entryFile(key))
		if err != nil {
			t.Fatal(err)
		}
		want := now.Add(test.used)
		if test.touched {
			want = now
		}
		if !info.ModTime().Equal(want) {
			t.Errorf("last used %v ago, after a hit it is %v", -test.used, now.Sub(info.ModTime()))
		}
	}
}

func TestGoroutines(t *testing.T) {
	c, w := newCache(t, Options{})
	var wait sync.WaitGroup
	errs := make(chan error, 8)
	for g := range 8 {
		wait.Go(func() {
			for i := range 100 {
				key := testKey((g + i) % 10)
				want := testData(key, 20_000)
				if data, err := c.Get(key); err != nil {
					c.Put(key, want)
				} else if !bytes.Equal(data, want) {
					errs <- fmt.Errorf("the data of %v are other data", key)
					return
				}
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	w.expect(t, 0)
}

func BenchmarkGet(b *testing.B) {
	c, data := benchmarkCache(b)
	const gets = 200
	for n := range gets {
		c.Put(testKey(n), data)
	}
	get := func(n int) {
		if _, err := c.Get(testKey(n)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("200 of 50 kB", func(b *testing.B) {
		for b.Loop() {
			for n := range gets {
				get(n)
			}
		}
	})
	b.Run("200 of 50 kB at once", func(b *testing.B) {
		for b.Loop() {
			var wait sync.WaitGroup
			for g := range 4 {
				wait.Go(func() {
					for n := g; n < gets; n += 4 {
						get(n)
					}
				})
			}
			wait.Wait()
		}
	})
}

func BenchmarkPut(b *testing.B) {
	c, data := benchmarkCache(b)
	b.SetBytes(int64(len(data)))
	for n := 0; b.Loop(); n++ {
		c.Put(testKey(n), data)
	}
}

// benchmarkCache returns a cache and 50 kB of machine code: this test binary's.
func benchmarkCache(b *testing.B) (*Cache, []byte) {
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		b.Fatal(err)
	}
	c, err := Open(filepath.Join(b.TempDir(), "cache"), Options{Warn: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	const start, size = 500_000, 50_000
	return c, binary[start : start+size]
}
