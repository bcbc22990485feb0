// Package private makes folders and files that are the user's alone, and tells whether others are.
//
// Chainbuild keeps code that runs: objects, images. Anybody who can write to the place where it is kept can run code as the
// user. So such places are refused, and what chainbuild makes is made for the user alone, whatever the umask.
//
// Only the place itself is looked at, not the folders above it. Somebody who may write to those could take the place away,
// but could not put another one there that belongs to the user.
package private

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

var (
	// ErrShared is the error of CheckFolder for a folder that another user could write to.
	ErrShared = errors.New("another user could put code into it")
	// ErrNoFolder is the error of CheckFolder for something else than a folder.
	ErrNoFolder = errors.New("it is not a folder")
)

// Is says whether only the user, or root, can write to the file. An access control list that lets others write shows in
// the group's bits.
func Is(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().Perm()&0o022 == 0 && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

// CheckFolder returns nil for a folder that only the user, or root, can write to, else ErrShared, ErrNoFolder or why the
// folder cannot be looked at (fs.ErrNotExist for one that is not there).
func CheckFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return ErrNoFolder
	case !Is(info):
		return ErrShared
	}
	return nil
}

// MakeFolder makes a folder that only the user can read and write, in a folder that there must be, and says whether it
// was this call that made it. One that there is stays as it is.
func MakeFolder(dir string) (made bool, err error) {
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, os.Chmod(dir, 0o700)
}
