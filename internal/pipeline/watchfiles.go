package pipeline

// This file notices that files have changed: that their content is another, not that they were touched.
//
// The kernel's events (inotify) only say when to look. They are asked for of folders, since editors replace files. Where there are none,
// because the file system is another machine's or the kernel's limit on them is reached, a clock says when to look.

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"chainbuild/internal/folders"

	"github.com/cespare/xxhash/v2"
	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

const (
	defaultSettle = 200 * time.Millisecond
	defaultPoll   = 2 * time.Second
	// maxSettle is how often a change may put off a build that others have started to wait for.
	maxSettle = 25
)

// How long after a write another one may leave the same time of modification: on the coarsest of file systems, which keep whole seconds, and on
// all others, whose times are those of the kernel's last tick.
const (
	coarseGrain = 2 * time.Second
	fineGrain   = 10 * time.Millisecond
)

// A watchedFiles is a set of files and folders and what was in them. Its methods may be called by several goroutines at once.
type watchedFiles struct {
	options WatchOptions
	except  map[string]bool // outputs, which may lie in a folder that is watched

	mu      sync.Mutex
	files   map[string]watchedFile
	trees   map[string]bool
	folders map[string]bool   // that events were asked for
	notify  *fsnotify.Watcher // nil: there are no events at all
	blind   bool              // some folder gives no events
	began   time.Time         // of the build
}

// A watchedFile is a file as it was when the last build began, and when it was last looked at.
type watchedFile struct{ built, now fileState }

func (f watchedFile) hasChanged() bool { return !f.now.sameContent(f.built) }

// A fileState is what a file was when it was last looked at; the zero value: not there.
type fileState struct {
	there    bool
	size     int64
	modified time.Time
	looked   time.Time
	sum      uint64
}

func (s fileState) sameContent(other fileState) bool {
	return s.there == other.there && s.sum == other.sum
}

// watchFiles returns an empty set. Files named in except do not count as a part of a folder.
func watchFiles(w WatchOptions, except ...string) *watchedFiles {
	if w.Settle == 0 {
		w.Settle = defaultSettle
	}
	f := &watchedFiles{options: w, except: map[string]bool{}, files: map[string]watchedFile{}, trees: map[string]bool{}, folders: map[string]bool{}}
	for _, path := range except {
		if path, err := filepath.Abs(path); err == nil {
			f.except[path] = true
		}
	}
	if w.Poll == 0 {
		f.notify, _ = fsnotify.NewWatcher() // without it the clock has to do
	}
	f.blind = f.notify == nil
	return f
}

func (f *watchedFiles) close() {
	if f.notify != nil {
		f.notify.Close()
	}
}

// begin says that a build begins, of what the files were when they were last looked at.
func (f *watchedFiles) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = time.Now()
	for path, file := range f.files {
		f.files[path] = watchedFile{built: file.now, now: file.now}
	}
}

// add adds a file, which need not be there, or a folder with all that is in it.
func (f *watchedFiles) add(path string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if !f.trees[path] {
			f.trees[path] = true
			f.walk(path, f.addFile)
		}
		return
	}
	f.addFile(path)
}

func (f *watchedFiles) addFile(path string) {
	if _, known := f.files[path]; known {
		return
	}
	now := lookAt(path, fileState{})
	file := watchedFile{built: now, now: now}
	if now.there && !f.began.IsZero() && now.modified.Add(now.grain()).After(f.began) {
		file.built = fileState{} // the build that runs may have read what it was before
	}
	f.files[path] = file
	f.ask(filepath.Dir(path))
	if real, err := filepath.EvalSymlinks(path); err == nil {
		f.ask(filepath.Dir(real))
	}
}

// walk calls do for the files in a folder, and asks for events of the folders in it.
func (f *watchedFiles) walk(root string, do func(path string)) {
	folders.Walk(root, func(path string, entry fs.DirEntry, err error) error {
		name := filepath.Base(path)
		scrap := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") // hidden ones, editors' copies
		switch {
		case err != nil:
			return nil // it is gone
		case entry.IsDir() && scrap && path != root:
			return fs.SkipDir
		case entry.IsDir():
			f.ask(path)
		case !scrap && !f.except[path]:
			do(path)
		}
		return nil
	})
}

// ask asks for a folder's events; while it is not there, for those of the folder that it would be made in.
func (f *watchedFiles) ask(folder string) {
	if f.folders[folder] || f.notify == nil {
		return
	}
	err := f.notify.Add(folder)
	if errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder) {
		f.ask(filepath.Dir(folder))
		return
	}
	f.folders[folder] = true
	if err != nil || isRemote(folder) {
		f.blind = true
	}
}

// remoteFileSystems are those that others change, unseen by this machine's kernel.
var remoteFileSystems = []int64{
	unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC, unix.V9FS_MAGIC,
	unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CODA_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, unix.NCP_SUPER_MAGIC,
	0x786f4256, // VirtualBox's shared folders
	0x0bd00bd0, // Lustre
}

func isRemote(folder string) bool {
	var system unix.Statfs_t
	return unix.Statfs(folder, &system) == nil && slices.Contains(remoteFileSystems, int64(system.Type))
}

// grain is the unit that the file's time of modification is kept in.
func (s fileState) grain() time.Duration {
	if s.modified.Nanosecond() == 0 {
		return coarseGrain
	}
	return fineGrain
}

// lookAt returns a file's state, given what it was before.
func lookAt(path string, before fileState) fileState {
	now := time.Now()
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return fileState{}
	}
	if before.there && before.size == info.Size() && before.modified.Equal(info.ModTime()) && before.looked.Sub(before.modified) > coarseGrain {
		return before
	}
	file, err := os.Open(path)
	if err != nil {
		return fileState{}
	}
	defer file.Close()
	sum := xxhash.New()
	if _, err := io.Copy(sum, file); err != nil {
		return fileState{}
	}
	return fileState{there: true, size: info.Size(), modified: info.ModTime(), looked: now, sum: sum.Sum64()}
}

// look looks at the files. It returns those whose content is not what it was when the last build began, in alphabetical order, and whether that of
// any is not what it was at the last look.
func (f *watchedFiles) look() (changed []string, moved bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for root := range f.trees {
		f.walk(root, func(path string) {
			if _, known := f.files[path]; !known {
				f.files[path] = watchedFile{}
			}
		})
	}
	for path, file := range f.files {
		before := file.now
		file.now = lookAt(path, before)
		if !file.now.there {
			f.ask(filepath.Dir(path)) // its folder may have come, or come again
		}
		f.files[path] = file
		moved = moved || !file.now.sameContent(before)
		if file.hasChanged() {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed, moved
}

// count says how many files there are, and whether a clock is needed to see them change.
func (f *watchedFiles) count() (files int, polled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		if file.now.there {
			files++
		}
	}
	return files, f.blind
}

// next returns the files that have changed since the last build began, once they change no more. If it has to wait for a change, it says so first,
// with the number of files, and whether a clock is needed to see them change.
func (f *watchedFiles) next(ctx context.Context, waiting func(files int, polled bool)) ([]string, error) {
	changed, _ := f.look()
	for said := false; ; {
		if len(changed) == 0 {
			if !said {
				waiting(f.count())
				said = true
			}
			if err := f.wait(ctx); err != nil {
				return nil, err
			}
		}
		var err error
		if changed, err = f.settle(ctx); err != nil || len(changed) > 0 {
			return changed, err
		}
	}
}

// wait waits until files have changed.
func (f *watchedFiles) wait(ctx context.Context) error {
	var events chan fsnotify.Event
	var failures chan error
	if f.notify != nil {
		events, failures = f.notify.Events, f.notify.Errors
	}
	var clock <-chan time.Time
	if _, polled := f.count(); polled {
		interval := f.options.Poll
		if interval == 0 {
			interval = defaultPoll
		}
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		clock = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case event := <-events:
			if event.Op == fsnotify.Chmod {
				continue
			}
			// Many come at once, most of them about other files.
			if err := f.pause(ctx); err != nil {
				return err
			}
		case <-failures: // some events are lost
		case <-clock:
		}
		if changed, _ := f.look(); len(changed) > 0 {
			return nil
		}
	}
}

// settle waits until nothing changes any more, and returns all that has changed: nothing, if it has all changed back. A file that is written anew is
// empty for a moment.
func (f *watchedFiles) settle(ctx context.Context) (changed []string, err error) {
	for range maxSettle {
		if err := f.pause(ctx); err != nil {
			return nil, err
		}
		var moved bool
		if changed, moved = f.look(); !moved {
			break
		}
	}
	return changed, nil
}

// pause waits for as long as changes need to settle, and forgets the events of that time.
func (f *watchedFiles) pause(ctx context.Context) error {
	over := time.After(f.options.Settle)
	var events chan fsnotify.Event
	if f.notify != nil {
		events = f.notify.Events
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-events:
		case <-over:
			return nil
		}
	}
}
