package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chainbuild/internal/juliatest"
	"chainbuild/julia"
	"chainbuild/objcache"
)

// open opens a project with a Julia that is a few files. Change changes what the Julia is.
func open(t *testing.T, dir string, change func(*julia.Installation)) *Project {
	t.Helper()
	program := fakeJulia(t, change)
	p, err := Open(t.Context(), Options{Julia: program, Project: dir})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fakeJulia makes a script that describes itself as a Julia 1.5.3.
func fakeJulia(t *testing.T, change func(*julia.Installation)) string {
	t.Helper()
	dir := t.TempDir()
	fake, err := juliatest.NewFake(dir)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		in := julia.Installation{Version: fake.Version, CPUName: fake.CPUName, Image: fake.Image, LibJulia: fake.LibJulia}
		change(&in)
		fake.Version, fake.CPUName, fake.Image, fake.LibJulia = in.Version, in.CPUName, in.Image, in.LibJulia
	}
	program, err := fake.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// isolate gives the test a depot of its own and a project.
func isolate(t *testing.T) (dir string) {
	t.Helper()
	t.Setenv("JULIA_DEPOT_PATH", t.TempDir())
	t.Setenv("JULIA_PROJECT", "")
	t.Setenv(stateVariable, "")
	dir = t.TempDir()
	write(t, dir, "Project.toml", projectText, "Manifest.toml", fmt.Sprintf(entries, ""))
	return dir
}

// addImage puts a small file into the project as an image with its key.
func addImage(t *testing.T, p *Project, built time.Time, sources ...string) *Image {
	t.Helper()
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	id := imageID(p.Key, sources)
	im := &Image{ID: id, Key: p.Key, Inputs: p.inputs, Content: *p.Content, Built: built, Bytes: 5, Statements: len(sources), File: p.path(imagesName, id+imageSuffix)}
	for suffix, content := range map[string]string{imageSuffix: "image", statementsSuffix: strings.Join(sources, "\n") + "\n"} {
		if err := os.WriteFile(p.path(imagesName, id+suffix), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeJSON(p.path(imagesName, id+descriptionSuffix), im); err != nil {
		t.Fatal(err)
	}
	return im
}

// The key is content: it is another exactly when something has changed that the image holds or depends on, and the words
// for it say what.
func TestKey(t *testing.T) {
	dir := isolate(t)
	before := open(t, dir, nil)
	im := addImage(t, before, time.Now())
	replace := func(name, old, new string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%s has no %q (%v)", name, old, err)
		}
		write(t, dir, name, strings.ReplaceAll(string(text), old, new))
	}
	anew := func() {
		write(t, dir, "Project.toml", projectText, "Manifest.toml", fmt.Sprintf(entries, ""))
		os.Remove(filepath.Join(dir, settingsFile))
	}
	// The image of another Julia in the same place.
	otherBase := filepath.Join(t.TempDir(), "other.so")
	write(t, filepath.Dir(otherBase), "other.so", "another image")

	tests := []struct {
		name   string
		change func()
		julia  func(*julia.Installation)
		says   string // "" for no difference
	}{
		{"nothing", func() {}, nil, ""},
		{"a comment", func() { replace("Project.toml", "[deps]", "# mine\n[deps]") }, nil, ""},
		{"the version of a package under development", func() { replace("Manifest.toml", "0.1.0", "0.2.0") }, nil, ""},
		{"a package that nobody needs", func() { replace("Manifest.toml", "5.0.0", "5.1.0") }, nil, ""},
		{"a package", func() { replace("Manifest.toml", "1.0.0", "1.1.0") }, nil, "A 1.0.0 → 1.1.0"},
		{"what one needs", func() { replace("Manifest.toml", "2.0.0", "2.0.1") }, nil, "B 2.0.0 → 2.0.1"},
		{"a tree", func() { replace("Manifest.toml", `"aa"`, `"ab"`) }, nil, "A has another source"},
		{"a dependency more", func() {
			replace("Project.toml", "[deps]", "[deps]\nUnneeded = \"00000000-0000-0000-0000-000000000012\"")
		}, nil, "Unneeded 5.0.0 is new"},
		{"a dependency less", func() { replace("Manifest.toml", `["B", "S"]`, `["B"]`) }, nil, "S is not wanted any more"},
		{"a setting", func() { write(t, dir, settingsFile, "[chainbuild]\nlayout = \"standalone\"\n") }, nil, "layout thin → standalone"},
		{"package images", func() { write(t, dir, settingsFile, "[chainbuild]\npackage_images = \"use\"\n") }, nil, "code of package images none → use"},
		{"a target", func() { write(t, dir, settingsFile, "[chainbuild]\ncpu_target = \"generic\"\n") }, nil, "cpu target native → generic"},
		{"a setting that is not about the content", func() { write(t, dir, settingsFile, "[chainbuild]\nkeep = 7\n") }, nil, ""},
		{"preferences", func() { write(t, dir, settingsFile, "[A]\nbackend = \"x\"\n") }, nil, "preferences of A"},
		{"preferences of what is left out", func() { write(t, dir, settingsFile, "[D]\nbackend = \"x\"\n") }, nil, ""},
		{"the processor", func() {}, func(in *julia.Installation) { in.CPUName = "znver3" }, "processor haswell → znver3"},
		{"the base image", func() {}, func(in *julia.Installation) { in.Image = otherBase }, "the base image is another"},
	}
	for _, test := range tests {
		anew()
		test.change()
		now := open(t, dir, func(in *julia.Installation) {
			in.Image, in.LibJulia = before.Julia.Image, before.Julia.LibJulia
			if test.julia != nil {
				test.julia(in)
			}
		})
		said := strings.Join(differences(im, now), "; ")
		if (now.Key == before.Key) != (test.says == "") || !strings.Contains(said, test.says) || test.says == "" && said != "" {
			t.Errorf("%s: the key is the same: %v, and what is said is %q, not %q", test.name, now.Key == before.Key, said, test.says)
		}
	}
}

// An edit is seen wherever the source lies, and a loop of links ends.
func TestSourceDigestFollowsLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, dir, "Project.toml", "name = \"A\"\n")
	write(t, elsewhere, "source/A.jl", "module A end")
	write(t, elsewhere, "shared.jl", "f() = 1")
	write(t, elsewhere, "more/deep.jl", "g() = 1")
	for link, target := range map[string]string{
		filepath.Join(dir, "src"):                 filepath.Join(elsewhere, "source"),
		filepath.Join(elsewhere, "source/more"):   filepath.Join(elsewhere, "more"),
		filepath.Join(elsewhere, "source/f.jl"):   filepath.Join(elsewhere, "shared.jl"),
		filepath.Join(elsewhere, "source/loop"):   filepath.Join(elsewhere, "source"),
		filepath.Join(elsewhere, "source/.#f.jl"): "nobody@nowhere",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	last := ""
	for _, change := range []string{"", "source/A.jl", "shared.jl", "more/deep.jl"} {
		if change != "" {
			write(t, elsewhere, change, "# edited")
		}
		digest, err := sourceDigest(dir)
		if err != nil || digest == last {
			t.Errorf("after an edit of %q the source is %s, and was %s (%v)", change, digest, last, err)
		}
		last = digest
	}
}

// Two builds of Julia do not share an image, nor does the same Julia in another place have another.
func TestTwoJulias(t *testing.T) {
	dir := isolate(t)
	one := open(t, dir, nil)
	same := open(t, dir, nil)
	if one.state != same.state {
		t.Errorf("one build of Julia in two places has the states %s and %s", one.state, same.state)
	}
	other := open(t, dir, func(in *julia.Installation) {
		in.Version = "1.5.4"
		write(t, filepath.Dir(in.LibJulia), "libjulia.so.1.5", "another build")
	})
	if one.state == other.state {
		t.Errorf("two builds of Julia share the state %s", one.state)
	}
	addImage(t, one, time.Now())
	status, err := other.Status()
	if err != nil || status.State != None || !strings.Contains(status.Reasons[0], "only for Julia 1.5.3") {
		t.Errorf("the status is %+v (%v)", status, err)
	}
}

func TestStatus(t *testing.T) {
	dir := isolate(t)
	p := open(t, dir, nil)
	status := func() *Status {
		t.Helper()
		s, err := p.Status()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := status(); s.State != None || s.Usable || s.Image != nil {
		t.Errorf("a project of which nothing is known: %+v", s)
	}
	const old, recent, unfit = "Tuple{typeof(A.f), Int64}", "Tuple{typeof(Base.sum), Array{Float16, 1}}", "Tuple{typeof(D.f), Int64}"
	im := addImage(t, p, time.Now(), old)
	err := p.Change(func(r Record) error {
		for _, source := range []string{old, recent, unfit} {
			r[source] = &Recorded{Source: source, Count: 1, First: "2020-01-01", Last: "2020-01-01"}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := status(); s.State != Current || !s.Usable || s.Image.ID != im.ID || s.Recorded != 3 || s.Fit != 2 || s.New != 1 || s.Image.InUse {
		t.Errorf("a current image: %+v", s)
	}
	p.Settings.StaleAfter = 1
	if s := status(); s.State != Stale || !s.Usable || !strings.Contains(s.Reasons[0], "statements recorded since it was built: 1") {
		t.Errorf("an image that more was recorded after: %+v", s)
	}
	p.Settings.StaleAfter = 0
	// Damage, and a file that others can write to.
	for name, change := range map[string]func() error{
		"as it was built":       func() error { return os.Truncate(im.File, 3) },
		"could have changed it": func() error { return errors.Join(os.Truncate(im.File, 5), os.Chmod(im.File, 0o666)) },
		"no such file":          func() error { return os.Remove(im.File) },
	} {
		addImage(t, p, time.Now(), old)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if s := status(); s.State != Stale || s.Usable || !strings.Contains(strings.Join(s.Reasons, " "), name) {
			t.Errorf("an image that is not usable (%s): %+v", name, s)
		}
		if got, notice := p.usable(nil); got != nil || !strings.Contains(notice, name) {
			t.Errorf("run would use %v and say %q, not %q", got, notice, name)
		}
	}
}

func TestClean(t *testing.T) {
	dir := isolate(t)
	p := open(t, dir, nil)
	now := time.Now()
	newest := addImage(t, p, now, "a")
	second := addImage(t, p, now.Add(-time.Hour), "b")
	third := addImage(t, p, now.Add(-2*time.Hour), "c")
	key := p.Key
	p.Key = objcache.NewHash("other").Key()
	stale := addImage(t, p, now, "d")
	p.Key = key
	// The third is in use by a session of this process.
	if _, err := p.newSession(os.Getpid(), third.ID); err != nil {
		t.Fatal(err)
	}
	left := p.path(imagesName, ".0123-abc.so-77")
	fresh := p.path(imagesName, ".0123-abc.so-78")
	write(t, "/", left, "", fresh, "")
	if err := os.Chtimes(left, now, now.Add(-2*leftoverAge)); err != nil {
		t.Fatal(err)
	}
	removals, err := p.Clean(CleanOptions{Keep: 1, DryRun: true})
	if err != nil || len(removals) != 4 {
		t.Fatalf("a dry run returns %+v (%v)", removals, err)
	}
	again, err := p.Clean(CleanOptions{Keep: 1})
	if err != nil || fmt.Sprint(again) != fmt.Sprint(removals) {
		t.Errorf("a dry run says %v, and then %v were removed (%v)", removals, again, err)
	}
	for path, want := range map[string]bool{newest.File: true, second.File: false, third.File: true, stale.File: false, left: false, fresh: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, wanted: %v", filepath.Base(path), err == nil, want)
		}
	}
}

// A file that is mapped is in use, without any session.
func TestMappedImageIsInUse(t *testing.T) {
	p := open(t, isolate(t), nil)
	im := addImage(t, p, time.Now(), "a")
	file, err := os.Open(im.File)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	memory, err := syscall.Mmap(int(file.Fd()), 0, 5, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if used, err := p.inUse(); err != nil || !used[im.ID] {
		t.Errorf("in use are %v (%v)", used, err)
	}
	if err := syscall.Munmap(memory); err != nil {
		t.Fatal(err)
	}
	if used, err := p.inUse(); err != nil || used[im.ID] {
		t.Errorf("after it was unmapped in use are %v (%v)", used, err)
	}
}

func TestLoaded(t *testing.T) {
	dir := isolate(t)
	p := open(t, dir, nil)
	im := addImage(t, p, time.Now(), "a")
	link := filepath.Join(t.TempDir(), "link.so")
	if err := os.Symlink(im.File, link); err != nil {
		t.Fatal(err)
	}
	if line, err := p.Loaded(link); err != nil || line != "" {
		t.Errorf("of a valid image is said %q (%v)", line, err)
	}
	write(t, dir, "Manifest.toml", strings.Replace(fmt.Sprintf(entries, ""), "1.0.0", "1.1.0", 1))
	now := open(t, dir, func(in *julia.Installation) { *in = *p.Julia })
	if line, err := now.Loaded(link); err != nil || line != "the image that this Julia runs with is stale (A 1.0.0 → 1.1.0)" {
		t.Errorf("of a stale image is said %q (%v)", line, err)
	}
	if line, err := now.Loaded(p.Julia.Image); err != nil || line != "" {
		t.Errorf("of Julia's own image is said %q (%v)", line, err)
	}
}

func TestDigest(t *testing.T) {
	memory, dir := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "file")
	write(t, dir, "file", "content")
	first, err := digest(memory, path)
	if err != nil || !strings.HasPrefix(first, "sha256 ") {
		t.Fatalf("the digest is %q (%v)", first, err)
	}
	if again, _ := digest(memory, path); again != first {
		t.Errorf("the second time it is %q", again)
	}
	// The same size and time of change: the status' time tells.
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	statusTime := func(info os.FileInfo) syscall.Timespec { return info.Sys().(*syscall.Stat_t).Ctim }
	for now := before; statusTime(now) == statusTime(before); { // until the clock of the file system has moved on
		write(t, dir, "file", "CONTENT")
		os.Chtimes(path, before.ModTime(), before.ModTime())
		if now, err = os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
	if other, _ := digest(memory, path); other == first {
		t.Error("other content of the same size and time has the same digest")
	}
	if _, err := digest(filepath.Join(memory, "absent"), path); err != nil {
		t.Errorf("without a place to remember in: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := digest(memory, self); err != nil {
		t.Errorf("of a program: %v", err)
	}
}
