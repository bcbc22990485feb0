package project

// This file identifies large files by their content, quickly.
//
// Linkers put a build id into what they make, a hash of the content; chainbuild's images have one, and so have the
// libraries and images of Julia that distributions build. A file without one is hashed, which takes as long as reading
// it, and the hash is remembered in digests.json for as long as the file's size, times and inode stay what they were.
//
// Others ask less of a file, and so look at less of it: whether an answer about a Julia still holds (fileStamp in package
// julia: size and time, since a memory may move to another machine with the files), which build of a library compiled
// (LibraryID in package julia), whether a source is as it was a moment ago (fileState in package pipeline).

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"chainbuild/internal/buildid"
)

const digestsName = "digests.json"

// A remembered digest, and the file as it was when it was taken.
type remembered struct {
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // st_mtim, nanoseconds since 1970
	Status  int64  `json:"status"`  // st_ctim, nanoseconds since 1970
	Inode   uint64 `json:"inode"`
	SHA256  string `json:"sha256"`
}

// digest returns text that is the same for files of the same content. Memory is the folder to remember in; that nothing
// can be remembered there is no error.
func digest(memory, path string) (string, error) {
	if id, err := buildid.Of(path); err != nil || id != nil {
		return fmt.Sprintf("build id %x", id), err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
		return "", err
	}
	now := remembered{Size: stat.Size, Changed: stat.Mtim.Nano(), Status: stat.Ctim.Nano(), Inode: stat.Ino}
	known := map[string]remembered{}
	memoryFile := filepath.Join(memory, digestsName)
	readJSON(memoryFile, &known)
	then := known[path]
	if sum := then.SHA256; sum != "" {
		now.SHA256 = sum
		if now == then {
			return "sha256 " + sum, nil
		}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	now.SHA256 = fmt.Sprintf("%x", hash.Sum(nil))
	known[path] = now
	writeJSON(memoryFile, known)
	return "sha256 " + now.SHA256, nil
}
