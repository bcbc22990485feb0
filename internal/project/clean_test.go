package project

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What is known of projects whose folder is gone is forgotten when that is asked for, unless a process uses it.
func TestCleanGone(t *testing.T) {
	dir := isolate(t)
	p := open(t, dir, nil)
	addImage(t, p, time.Now(), "a")
	other := func(recorded bool) *Project {
		dir := t.TempDir()
		write(t, dir, "Project.toml", "")
		o := open(t, dir, nil)
		im := addImage(t, o, time.Now(), "a")
		if recorded {
			if _, err := o.newSession(os.Getpid(), im.ID); err != nil {
				t.Fatal(err)
			}
		}
		return o
	}
	there, gone, used, building := other(false), other(false), other(true), other(false)
	for _, o := range []*Project{gone, used, building} {
		if err := os.RemoveAll(o.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := building.startBuilding("log", false, nil); err != nil {
		t.Fatal(err)
	}
	if removals, err := p.Clean(CleanOptions{}); err != nil || len(removals) != 0 {
		t.Errorf("without being asked it removed %+v (%v)", removals, err)
	}
	want := map[string]string{gone.state: "", used.state: "in use", building.state: "being built"}
	for _, dryRun := range []bool{true, false} {
		removals, err := p.Clean(CleanOptions{Gone: true, DryRun: dryRun})
		if err != nil || len(removals) != len(want) {
			t.Fatalf("it removed %+v (%v)", removals, err)
		}
		for _, r := range removals {
			if kept, ok := want[r.Path]; !ok || r.Kept != kept || r.Bytes == 0 {
				t.Errorf("what became of %s is %+v", r.Path, r)
			}
		}
		for _, o := range []*Project{there, gone, used, building} {
			_, err := os.Stat(o.state)
			if stays := dryRun || o != gone; (err == nil) != stays {
				t.Errorf("after a dry run (%v) the state of %s: %v", dryRun, filepath.Base(o.Dir), err)
			}
		}
	}
}

// A build that runs is told from one whose process number another process has now.
func TestBuilding(t *testing.T) {
	p := open(t, isolate(t), nil)
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	if b := p.building(); b != nil {
		t.Errorf("nobody builds, and it is %+v", b)
	}
	if err := p.startBuilding("log", false, nil); err != nil {
		t.Fatal(err)
	}
	b := p.building()
	if b == nil || b.PID != os.Getpid() || b.Log != "log" || !p.isBuilder() {
		t.Fatalf("this process builds, and it is %+v", b)
	}
	b.Start++
	if err := writeJSON(p.path(builderName), b); err != nil {
		t.Fatal(err)
	}
	if b := p.building(); b != nil || p.isBuilder() {
		t.Errorf("a process that was another one's successor builds: %+v", b)
	}
}

// A Julia that runs already is recorded with the image that it has.
func TestRecordProcess(t *testing.T) {
	p := open(t, isolate(t), nil)
	im := addImage(t, p, time.Now(), "a")
	folder, err := filepath.EvalSymlinks(p.path(imagesName))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	t.Cleanup(func() { cmd.Process.Kill() })
	path, err := p.RecordProcess(cmd.Process.Pid, filepath.Join(folder, filepath.Base(im.File)))
	if err != nil || filepath.Dir(path) != p.path(sessionsName) {
		t.Fatalf("the file is %s (%v)", path, err)
	}
	if used, err := p.inUse(); err != nil || !used[im.ID] {
		t.Errorf("in use are %v (%v)", used, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.RecordProcess(cmd.Process.Pid, "/elsewhere/sys.so"); err != nil {
		t.Fatal(err)
	}
	if used, err := p.inUse(); err != nil || used[im.ID] {
		t.Errorf("with an image that is none of the project's, in use are %v (%v)", used, err)
	}
	if _, err := p.RecordProcess(1<<30, ""); err == nil {
		t.Error("a process that there is not is recorded")
	}
}
