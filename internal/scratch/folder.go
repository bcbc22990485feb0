package scratch

// This file is scratch folders, which lie in the temporary folder. A marker in each says what may become of it:
//
//	lock    locked by its process; without the lock the folder is removed
//	kept    somebody asked to keep it; it is never removed
//
// A folder without a marker is none of this package's. One comes into being if a process is killed between the two system calls that make
// the folder and its marker; it is empty.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	lockName = "lock"
	keptName = "kept"
)

// A Folder is a scratch folder of this process.
type Folder struct {
	// Path is absolute.
	Path string
	lock *os.File // nil where the file system has no locks
}

// MakeFolder makes a folder for this user alone in the temporary folder, after those of processes that are gone were removed. Kind is a word that
// tells people what it is for; it may be empty. Remove or Keep must be called.
func MakeFolder(kind string) (*Folder, error) {
	dir, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("no scratch folder can be made: %w", err)
	}
	removeFolders(dir)
	if kind != "" {
		kind += "-"
	}
	for {
		f := &Folder{Path: filepath.Join(dir, "chainbuild-"+kind+ending())}
		err := os.Mkdir(f.Path, 0o700)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err == nil {
			err = f.mark()
		}
		if err != nil {
			os.RemoveAll(f.Path)
			return nil, fmt.Errorf("no scratch folder can be made: %w", err)
		}
		return f, nil
	}
}

// mark makes the marker. It gets its name when it is locked, so nobody sees it without its lock while this process lives.
func (f *Folder) mark() error {
	unlocked := f.File(lockName + ".new")
	file, err := os.OpenFile(unlocked, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if lock(file) != nil {
		// There are no locks here. What has no marker stays if this process is killed.
		return errors.Join(file.Close(), os.Remove(unlocked))
	}
	f.lock = file
	return os.Rename(unlocked, f.File(lockName))
}

// File is the path of a file in the folder.
func (f *Folder) File(name string) string { return filepath.Join(f.Path, name) }

// Keep has the folder outlive this process.
func (f *Folder) Keep() error {
	if f.lock == nil {
		return os.WriteFile(f.File(keptName), nil, 0o600)
	}
	return errors.Join(os.Rename(f.File(lockName), f.File(keptName)), f.lock.Close())
}

// Remove removes the folder.
func (f *Folder) Remove() {
	if root, err := os.OpenRoot(f.Path); err == nil {
		removeFolder(root, f.Path)
		root.Close()
	}
	if f.lock != nil {
		f.lock.Close()
	}
}

// removeFolder removes a folder, its marker last: one that is killed here leaves a folder that can still be told.
func removeFolder(root *os.Root, path string) {
	if here, err := root.Open("."); err == nil {
		names, _ := here.Readdirnames(-1)
		here.Close()
		for _, name := range slices.DeleteFunc(names, func(name string) bool { return name == lockName }) {
			root.RemoveAll(name)
		}
	}
	os.RemoveAll(path)
}

// removeFolders removes the scratch folders in dir whose process is gone. What cannot be removed stays: it is no reason to fail.
func removeFolders(dir string) {
	entries, _ := os.ReadDir(dir) // what can be read of it
	for _, entry := range entries {
		if entry.IsDir() && folderName().MatchString(entry.Name()) {
			removeLeftFolder(filepath.Join(dir, entry.Name()))
		}
	}
}

func removeLeftFolder(path string) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil || !isOurs(info) {
		return
	}
	marker, err := root.OpenFile(lockName, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer marker.Close()
	// Another process may have removed the folder since its marker was opened.
	if lock(marker) == nil && isStill(marker, root.Lstat, lockName) {
		removeFolder(root, path)
	}
}
