package objcache

// What the tests share. Their other processes are this test binary, started again with a mode in the environment.

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const modeVariable = "OBJCACHE_TEST_PROCESS"

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		process(mode, os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testProcess is this binary in another process.
func testProcess(mode string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), modeVariable+"="+mode, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// process does one thing to the cache whose folder is the first argument. What it prints is the result; what is wrong
// ends it with an error. Warnings are printed as lines "warning: …".
func process(mode string, args []string) {
	c, err := Open(args[0], Options{Warn: func(err error) { fmt.Println("warning:", err) }})
	check(err)
	switch mode {
	case "churn": // SEED [aloud]: use 40 entries at random, and print a dot for each use
		seed, err := strconv.ParseUint(args[1], 10, 64)
		check(err)
		churn(c, rand.New(rand.NewPCG(seed, 0)), len(args) > 2)
	case "put":
		c.Put(testKey(1), testData(testKey(1), 1000))
	case "put half": // a large entry, of which only a half gets written
		c.target = func(file *os.File) io.Writer { return stuckDisk{file} }
		c.Put(testKey(1), testData(testKey(2), 4_000_000))
	case "umask": // UMASK
		umask, err := strconv.ParseInt(args[1], 8, 0)
		check(err)
		syscall.Umask(int(umask))
		c.Put(testKey(1), testData(testKey(1), 1000))
		c.Put(testKey(2), testData(testKey(2), 100_000))
		_, err = c.Get(testKey(1))
		check(err)
		c.Close()
	case "read only": // an entry is there; it cannot be written
		_, err := c.Get(testKey(1))
		check(err)
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() { c.Put(testKey(i), testData(testKey(i), 1000)) })
		}
		wait.Wait()
		c.Close()
		fmt.Println("done")
	}
}

// A stuckDisk never ends a write.
type stuckDisk struct{ *os.File }

func (d stuckDisk) Write(b []byte) (int, error) {
	d.File.Write(b[:len(b)/2])
	time.Sleep(time.Hour)
	return 0, nil
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// churn uses entries at random for a while and checks whatever it gets.
func churn(c *Cache, random *rand.Rand, aloud bool) {
	const keys, uses = 40, 600
	for range uses {
		key := testKey(random.IntN(keys))
		want := testData(key, 5_000+int(key[0])*500)
		data, err := c.Get(key)
		switch {
		case err == nil && !bytes.Equal(data, want):
			check(fmt.Errorf("the data of %v are other data", key))
		case err != nil || random.IntN(4) == 0:
			c.Put(key, want)
		}
		if aloud {
			fmt.Print(".")
		}
	}
	c.Close()
}

func testKey(n int) Key { return sha256.Sum256(strconv.AppendInt(nil, int64(n), 10)) }

// testData are bytes that a key alone determines and that compress, like code does, to a part of their size.
func testData(key Key, size int) []byte {
	random := rand.New(rand.NewChaCha8(key))
	data := make([]byte, 0, size+16)
	for len(data) < size {
		data = append(data, 0x48, 0x8b, byte(random.Uint32()), byte(random.Uint32()), 0, 0, 0, 0)
	}
	return data[:size]
}

// warnings are what a cache warned of.
type warnings struct {
	mu   sync.Mutex
	list []error
}

func (w *warnings) add(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, err)
}

func (w *warnings) expect(t *testing.T, n int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) != n {
		t.Errorf("%d warnings and not %d: %v", len(w.list), n, w.list)
	}
}

// newCache opens a cache whose folder is not there yet.
func newCache(t *testing.T, o Options) (*Cache, *warnings) {
	t.Helper()
	w := &warnings{}
	o.Warn = w.add
	c, err := Open(filepath.Join(t.TempDir(), "cache"), o)
	if err != nil {
		t.Fatal(err)
	}
	return c, w
}

func expectData(t *testing.T, c *Cache, key Key, want []byte) {
	t.Helper()
	data, err := c.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Fatalf("%d bytes came back as %d other ones", len(want), len(data))
	}
}

// setUsed sets when an entry was last used.
func setUsed(t *testing.T, c *Cache, key Key, used time.Time) {
	t.Helper()
	if err := os.Chtimes(c.entryFile(key), used, used); err != nil {
		t.Fatal(err)
	}
}

// temporaryFiles returns the temporary files in a cache.
func temporaryFiles(t *testing.T, c *Cache) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.dir, "*", temporaryPrefix+"*"+temporarySuffix))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// asOther has a command run by a user without rights, if this one is root: root's rights have no limits to test. The
// folder must be one of t.TempDir.
func asOther(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	// Neither the test binary's folder nor t.TempDir is open to others, nor is the folder that a binary with coverage writes to.
	own := t.TempDir()
	binary, coverage := filepath.Join(own, "test"), filepath.Join(own, "coverage")
	err := errors.Join(copyFile(binary, os.Args[0]), os.Mkdir(coverage, 0o700), os.Chown(coverage, nobody, nobody))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = binary
	cmd.Env = append(cmd.Env, "GOCOVERDIR="+coverage)
	for _, path := range []string{binary, dir} {
		for up := filepath.Dir(path); strings.HasPrefix(up, os.TempDir()+"/"); up = filepath.Dir(up) {
			if err := os.Chmod(up, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err == nil {
			err = os.Lchown(path, nobody, nobody)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
