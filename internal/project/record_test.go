package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chainbuild/statements"
)

const good = "precompile(Tuple{typeof(Base.sum), Array{Float16, 1}})\n"

func sourcesOf(found []statements.Statement) string {
	var sources []string
	for _, s := range found {
		sources = append(sources, s.Source)
	}
	return strings.Join(sources, "; ")
}

func TestReadTrace(t *testing.T) {
	const sum = "Tuple{typeof(Base.sum), Array{Float16, 1}}"
	tests := []struct {
		text, want string
		refused    int
	}{
		{"", "", 0},
		{good + good, sum, 0},
		{good + "precompile(Tuple{typeof(Base.prod)})", sum, 0}, // it may be torn, whatever it looks like
		{good + "precompile(Tuple{typeof(Base.pr", sum, 0},
		{"precompile(Tuple{typeof(Ba" + good, "", 1}, // torn by one process, continued by another
		{"function f()\n" + good + "end\n\n", sum, 2},
		{"precompile(Tuple{typeof(Base.sum),\n    Array{Float16, 1}})\n", sum, 0},
		{"\x00\xff\n" + good, sum, 1},
		{"# only a comment\n", "", 0},
	}
	for _, test := range tests {
		found, refused, err := readTrace("test", strings.NewReader(test.text))
		if err != nil || sourcesOf(found) != test.want || len(refused) != test.refused {
			t.Errorf("of %q was read %q, and %d refused (%v)", test.text, sourcesOf(found), len(refused), err)
		}
	}
}

func FuzzReadTrace(f *testing.F) {
	f.Add(good + "x")
	f.Add("precompile(Tuple{\n" + good)
	// A real trace: whole lines, its last one torn, and a process's line within another one's.
	trace, err := os.ReadFile("../../statements/testdata/trace-1.5.txt")
	if err != nil {
		f.Fatal(err)
	}
	text := string(trace[:4000])
	f.Add(text[:strings.LastIndex(text, "\n")+1])
	f.Add(text)
	f.Add(text[:2000] + good + text[2000:])
	f.Fuzz(func(t *testing.T, text string) {
		found, _, err := readTrace("test", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		// What is read can be written to the record and read from there.
		for _, s := range found {
			if strings.ContainsAny(s.Source, "\t\n") {
				t.Errorf("%q does not fit into a line", s.Source)
			}
		}
	})
}

func TestIsHopeless(t *testing.T) {
	for source, want := range map[string]bool{
		"Tuple{typeof(Main.f), Int64}":                                    true,
		"Tuple{typeof(Base.map), Main.var\"#1#2\", Array{Int64, 1}}":      true,
		"Tuple{typeof(getfield(Main, Symbol(\"##1\")))}":                  true,
		"Tuple{typeof(anonymous.f)}":                                      true,
		"Tuple{typeof(__anon__.f)}":                                       true,
		"Tuple{typeof(Base.f), #<intrinsic #3>}":                          true,
		"Tuple{typeof(Domain.f), Int64}":                                  false,
		"Tuple{typeof(ÄMain.f), Int64}":                                   false,
		"Tuple{typeof(Plots.Main.f), Int64}":                              false,
		"Tuple{typeof(Base.f), Main}":                                     false,
		"Tuple{typeof(DataFrames.var\"#5#6\"), DataFrames.DataFrame}":     false,
		"Tuple{typeof(Base.Threads.threading_run), Base.Main_not_really}": false,
	} {
		if got := isHopeless(source); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}

// session writes a session of a process that is over, or of this one.
func writeSession(t *testing.T, p *Project, over bool, text string) string {
	t.Helper()
	pid := os.Getpid()
	var cmd *exec.Cmd
	if over {
		cmd = exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid = cmd.Process.Pid
	}
	path, err := p.newSession(pid, "")
	if err != nil {
		t.Fatal(err)
	}
	if over {
		cmd.Process.Kill()
		cmd.Wait()
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRecordMerges(t *testing.T) {
	p := open(t, isolate(t), nil)
	if record, live, err := p.Record(); err != nil || len(record) != 0 || live != 0 {
		t.Fatalf("of nothing the record is %v, %d (%v)", record, live, err)
	}
	over := writeSession(t, p, true, good+good+"precompile(Tuple{typeof(Main.f)})\nprecompile(Tuple{typeof(A.f)})\n")
	writeSession(t, p, true, good+"precompile(Tuple{typeof(Ba")
	live := writeSession(t, p, false, good)
	for range 2 { // the live session is not merged, and not counted twice
		record, running, err := p.Record()
		if err != nil || len(record) != 2 || running != 1 {
			t.Fatalf("the record is %v, with %d sessions running (%v)", record, running, err)
		}
		today := time.Now().UTC().Format(time.DateOnly)
		if s := record["Tuple{typeof(Base.sum), Array{Float16, 1}}"]; s.Count != 3 || s.First != today || s.Last != today {
			t.Errorf("the statement is %+v", s)
		}
		if s := record["Tuple{typeof(A.f)}"]; s.Count != 1 || s.Modules[0] != "A" {
			t.Errorf("the statement is %+v", s)
		}
	}
	if _, err := os.Stat(over); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the session that is over was not removed: %v", err)
	}
	if _, err := os.Stat(live); err != nil {
		t.Errorf("the session that runs was removed: %v", err)
	}
	if info, err := os.Stat(p.path(recordName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record has the mode %v (%v)", info.Mode(), err)
	}
}

// What sessions recorded and cannot be read is counted, and kept for people.
func TestUnreadLines(t *testing.T) {
	p := open(t, isolate(t), nil)
	writeSession(t, p, true, good+"precompile(Tuple{typeof(Ba"+good+"precompile(Tuple{x -> x})\n")
	for range 2 {
		if _, _, err := p.Record(); err != nil {
			t.Fatal(err)
		}
		s, err := p.Status()
		if err != nil || s.Unread != 2 || s.UnreadFile != p.path(unreadName) {
			t.Fatalf("%d lines unread in %q (%v)", s.Unread, s.UnreadFile, err)
		}
	}
	text, err := os.ReadFile(p.path(unreadName))
	if err != nil || !strings.Contains(string(text), "there is '-' among the parameters of a type\t\"precompile(Tuple{x -> x})\"\n") {
		t.Errorf("the unread lines are %q (%v)", text, err)
	}
}

// A session of another boot is over when nothing was written to it for long.
func TestForeignSession(t *testing.T) {
	p := open(t, isolate(t), nil)
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	path := p.path(sessionsName, "ffffffff-1-1-none.jl")
	write(t, "/", path, good)
	if _, live, err := p.Record(); err != nil || live != 1 {
		t.Errorf("a session of another machine: %d run (%v)", live, err)
	}
	long := time.Now().Add(-2 * foreignAge)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	record, live, err := p.Record()
	if err != nil || live != 0 || len(record) != 1 {
		t.Errorf("after a long time: %d run, recorded is %v (%v)", live, record, err)
	}
	for _, s := range record {
		if s.Last != long.UTC().Format(time.DateOnly) {
			t.Errorf("it was last seen %s", s.Last)
		}
	}
}

func TestRecordConcurrently(t *testing.T) {
	p := open(t, isolate(t), nil)
	const sessions = 20
	for n := range sessions {
		writeSession(t, p, true, fmt.Sprintf("precompile(Tuple{typeof(A.f), Val{%d}})\n", n)+good)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, _, err := p.Record(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	record, _, err := p.Record()
	if err != nil || len(record) != sessions+1 || record["Tuple{typeof(Base.sum), Array{Float16, 1}}"].Count != sessions {
		t.Errorf("the record has %d statements (%v)", len(record), err)
	}
}

func TestRecordRefusesDamage(t *testing.T) {
	p := open(t, isolate(t), nil)
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"chainbuild statements 2\n":       "not a record of this chainbuild",
		recordHead + "1\t2020-01-01\tx\n": "statements.tsv:2 is damaged",
		recordHead + "0\ta\tb\tTuple{}\n": "statements.tsv:2 is damaged",
		recordHead + "1\ta\tb\tc\n\x00":   "statements.tsv:3 is damaged",
	} {
		write(t, "/", p.path(recordName), text)
		if _, _, err := p.Record(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestImportFile(t *testing.T) {
	p := open(t, isolate(t), nil)
	path := filepath.Join(t.TempDir(), "file.jl")
	write(t, "/", path, "begin\n"+good+"precompile(Tuple{typeof(Main.f)})\nend") // without an end of the last line
	done, err := p.ImportFile(path)
	if err != nil || done != (Import{New: 1, Hopeless: 1, Refused: 2}) {
		t.Errorf("the import is %+v (%v)", done, err)
	}
	if done, err = p.ImportFile(path); err != nil || done != (Import{Known: 1, Hopeless: 1, Refused: 2}) {
		t.Errorf("the second import is %+v (%v)", done, err)
	}
}

// State that others can write to is refused, and what is made is private whatever the umask.
func TestTrust(t *testing.T) {
	p := open(t, isolate(t), nil)
	addImage(t, p, time.Now(), "a")
	writeSession(t, p, true, good)
	if _, _, err := p.Record(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(p.root, func(path string, entry fs.DirEntry, err error) error {
		if info, err := entry.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v (%v)", path, info.Mode(), err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{p.root, p.state, p.path(imagesName), p.path(sessionsName)} {
		if err := os.Chmod(dir, 0o770); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Status(); err == nil || !strings.Contains(err.Error(), dir+" is not used") {
			t.Errorf("status with %s open to others: %v", dir, err)
		}
		l := p.Launch(nil, true, "")
		if l.Image != "" || l.Session != "" || !strings.Contains(l.Notice, "make it yours alone") || strings.Contains(l.Notice, "\n") {
			t.Errorf("run with %s open to others is %+v", dir, l)
		}
		if err := p.makeState(); err == nil {
			t.Errorf("build with %s open to others was not refused", dir)
		}
		os.Chmod(dir, 0o700)
	}
}
