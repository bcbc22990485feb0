package scratch

// This file is files that lie beside the one whose place they are to take: a rename works only within a file system. For a file NAME,
//
//	.NAME.chainbuild-MACHINE-RANDOM
//
// locked by its process until it has its name.

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A File is open for reading and writing.
type File struct {
	*os.File
	target string
}

// CreateBeside makes a file that can be renamed to path, after those in the same folder whose process is gone were removed. Its
// permissions are as os.OpenFile makes them from perm. Discard must be called. The error is an *fs.PathError.
func CreateBeside(path string, perm os.FileMode) (*File, error) {
	dir, name := filepath.Split(path)
	removeFiles(filepath.Clean(dir))
	for {
		path := filepath.Join(dir, "."+name+".chainbuild-"+ending())
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// Before it is locked, another process may take it for one that was left behind. Where there are no locks, nobody does.
		if err := lock(file); err == unix.EWOULDBLOCK || err == nil && !isStill(file, os.Lstat, path) {
			file.Close()
			os.Remove(path)
			continue
		}
		return &File{file, filepath.Join(dir, name)}, nil
	}
}

// WriteFile writes a file that others see as it was, or as a whole. It does not wait for the disk: after the machine has failed, the file may be empty.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	file, err := CreateBeside(path, perm)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Flush(); err != nil {
		return err
	}
	return file.Rename()
}

// Flush returns the error that closing the file would: network file systems tell no earlier that they could not write. The file stays open.
func (f *File) Flush() error {
	second, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.Close(second)
	}
	return os.NewSyscallError("close", err)
}

// WriteBack begins to write the file to the disk. Where it takes the place of another file, some file systems have Rename wait until that has begun
// (auto_da_alloc of ext4): half a second for an image.
func (f *File) WriteBack() { unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) }

// Rename has the file take its place.
func (f *File) Rename() error { return os.Rename(f.Name(), f.target) }

// Discard closes the file, and removes it unless it has taken its place.
func (f *File) Discard() {
	if isStill(f.File, os.Lstat, f.Name()) {
		os.Remove(f.Name())
	}
	f.Close()
}

// removeFiles removes what CreateBeside has made in dir for processes that are gone. What cannot be removed stays.
func removeFiles(dir string) {
	entries, _ := os.ReadDir(dir) // what can be read of it
	for _, entry := range entries {
		if entry.Type().IsRegular() && fileName().MatchString(entry.Name()) {
			removeLeftFile(filepath.Join(dir, entry.Name()))
		}
	}
}

func removeLeftFile(path string) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || !isOurs(info) {
		return
	}
	if lock(file) == nil && isStill(file, os.Lstat, path) {
		os.Remove(path)
	}
}
