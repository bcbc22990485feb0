package scratch

// The processes that the tests kill are this test binary, started again with a mode in the environment.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const modeVariable = "SCRATCH_TEST_PROCESS"

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		work(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work makes what the mode says, says where it is, and waits for the end of its input.
func work(mode string) {
	check := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	switch mode {
	case "folder", "kept":
		f, err := MakeFolder("")
		check(err)
		check(os.MkdirAll(f.File("worker/more"), 0o700))
		check(os.WriteFile(f.File("worker/more/part-1.bc"), []byte("code"), 0o400))
		if mode == "kept" {
			check(f.Keep())
		}
		fmt.Println(f.Path)
	default: // a path
		f, err := CreateBeside(mode, 0o755)
		check(err)
		_, err = f.WriteString("half an image")
		check(err)
		fmt.Println(f.Name())
	}
	io.Copy(io.Discard, os.Stdin)
}

// A worker is a process that works.
type worker struct {
	cmd  *exec.Cmd
	made string // the path of what it made
}

func startWorker(t *testing.T, mode string) worker {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), modeVariable+"="+mode, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !filepath.IsAbs(line) {
		t.Fatalf("the process said %q (%v)", line, err)
	}
	return worker{cmd, strings.TrimSuffix(line, "\n")}
}

// kill ends the process in a way that it does not learn of.
func (w worker) kill(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.cmd.Wait()
	if _, err := os.Lstat(w.made); err != nil {
		t.Fatalf("the process left nothing: %v", err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func expect(t *testing.T, path string, want bool, what string) {
	t.Helper()
	if exists(path) != want {
		t.Errorf("%s, %s: it is there: %v, and should be: %v", what, path, !want, want)
	}
}

// temporary has the test and the processes that it starts use a folder of their own.
func temporary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func makeFolder(t *testing.T, kind string) *Folder {
	t.Helper()
	f, err := MakeFolder(kind)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolder(t *testing.T) {
	dir := temporary(t)
	f := makeFolder(t, "bench")
	info, err := os.Stat(f.Path)
	if err != nil || info.Mode().Perm() != 0o700 || filepath.Dir(f.Path) != dir || !strings.HasPrefix(filepath.Base(f.Path), "chainbuild-bench-") {
		t.Errorf("the folder is %s, %v (%v)", f.Path, info, err)
	}
	if err := os.MkdirAll(f.File("a/b"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.Remove()
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("there are left %q", left)
	}
	f = makeFolder(t, "")
	if err := f.Keep(); err != nil {
		t.Fatal(err)
	}
	makeFolder(t, "").Remove()
	if left := names(t, f.Path); !slices.Equal(left, []string{keptName}) {
		t.Errorf("in the folder that was kept are %q", left)
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "nowhere"))
	if _, err := MakeFolder(""); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "no scratch folder can be made: ") {
		t.Errorf("in a temporary folder that is not there: %v", err)
	}
}

func TestFoldersOfKilledProcesses(t *testing.T) {
	dir := temporary(t)
	killed, kept, living := startWorker(t, "folder"), startWorker(t, "kept"), startWorker(t, "folder")
	another := startWorker(t, "folder")

	// What is named alike and was not made here.
	unmarked := filepath.Join(dir, "chainbuild-"+ending())
	elsewhere := filepath.Join(dir, "chainbuild-00000000-00000000")
	notNamed := filepath.Join(dir, "chainbuild-e2e-123456")
	for _, path := range []string{unmarked, elsewhere, notNamed} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if path != unmarked {
			if err := os.WriteFile(filepath.Join(path, lockName), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	target := t.TempDir()
	if err := os.WriteFile(filepath.Join(target, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "chainbuild-"+ending())
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}

	killed.kill(t)
	kept.kill(t)
	another.kill(t)
	f := makeFolder(t, "bench") // of whatever kind
	defer f.Remove()
	expect(t, killed.made, false, "the folder of a process that was killed")
	expect(t, another.made, false, "the folder of another one")
	expect(t, kept.made+"/worker/more/part-1.bc", true, "a file in a folder that was to be kept")
	expect(t, living.made+"/worker/more/part-1.bc", true, "a file of a process that works")
	expect(t, unmarked, true, "a folder without a marker")
	expect(t, elsewhere, true, "a folder of another machine")
	expect(t, notNamed, true, "a folder with another name")
	expect(t, link, true, "a link")
	expect(t, filepath.Join(target, lockName), true, "what a link leads to")

	living.kill(t)
	makeFolder(t, "").Remove()
	expect(t, living.made, false, "the folder of a process that was killed later")
	expect(t, f.Path, true, "a folder of this process")
}

func TestFilesOfKilledProcesses(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "chained.so")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(image, "old")
	foreign := filepath.Join(dir, ".chained.so-123")
	elsewhere := filepath.Join(dir, ".chained.so.chainbuild-00000000-00000000")
	write(foreign, "another program's")
	write(elsewhere, "another machine's")
	killed, living := startWorker(t, image), startWorker(t, image)
	another := startWorker(t, filepath.Join(dir, "other.so"))
	killed.kill(t)
	another.kill(t)

	f, err := CreateBeside(image, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	expect(t, killed.made, false, "the file of a process that was killed")
	expect(t, another.made, false, "the file beside another image")
	expect(t, living.made, true, "the file of a process that works")
	expect(t, foreign, true, "another program's file")
	expect(t, elsewhere, true, "another machine's file")
	expect(t, f.Name(), true, "this file")
	if text, err := os.ReadFile(image); err != nil || string(text) != "old" {
		t.Errorf("the image is %q (%v)", text, err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "chained.so")
	for _, text := range []string{"first", "second"} {
		f, err := CreateBeside(image, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Rename(); err != nil {
			t.Fatal(err)
		}
		f.Discard()
		if got, err := os.ReadFile(image); err != nil || string(got) != text {
			t.Errorf("the image is %q (%v)", got, err)
		}
	}
	f, err := CreateBeside(image, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if left := names(t, dir); !slices.Equal(left, []string{"chained.so"}) {
		t.Errorf("in the folder are %q", left)
	}
	if info, err := os.Stat(image); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("the image's permissions are %v (%v)", info.Mode(), err)
	}
	var pathError *os.PathError
	if _, err := CreateBeside(filepath.Join(dir, "nowhere", "chained.so"), 0o755); !errors.As(err, &pathError) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	t.Chdir(dir)
	if f, err = CreateBeside("relative.so", 0o755); err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	if err := f.Rename(); err != nil || !exists(filepath.Join(dir, "relative.so")) {
		t.Errorf("a file that is named from the working folder: %v", err)
	}
}

// What belongs to another user stays, though it is marked and unlocked.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: only root can make what belongs to another user")
	}
	dir := temporary(t)
	folder, file := startWorker(t, "folder"), startWorker(t, filepath.Join(dir, "chained.so"))
	const nobody = 65534
	for _, w := range []worker{folder, file} {
		w.kill(t)
		if err := os.Chown(w.made, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	makeFolder(t, "").Remove()
	f, err := CreateBeside(filepath.Join(dir, "chained.so"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	expect(t, folder.made, true, "another user's folder")
	expect(t, file.made, true, "another user's file")
}

// Many make and remove at once: nobody loses what he has made.
func TestAtOnce(t *testing.T) {
	dir := temporary(t)
	image := filepath.Join(dir, "chained.so")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				f, err := MakeFolder("")
				if err != nil {
					t.Error(err)
					return
				}
				file, err := CreateBeside(image, 0o755)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(f.File("part-1.bc"), []byte("code"), 0o600); err != nil {
					t.Error(err)
				}
				if err := file.Rename(); err != nil {
					t.Error(err)
				}
				file.Discard()
				f.Remove()
			}
		})
	}
	all.Wait()
	if left := names(t, dir); !slices.Equal(left, []string{"chained.so"}) {
		t.Errorf("there are left %q", left)
	}
}
