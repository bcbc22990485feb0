package project

// This file identifies large files by their content, quickly.
//
// Linkers put a build id into what they make, a hash of the content; chainbuild's images have one, and so have the
// libraries and images of Julia that distributions build. A file without one is hashed, which takes as long as reading
// it, and the hash is remembered in digests.json for as long as the file's size, times and inode stay what they were.

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
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
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if id := buildID(file); id != nil {
		return fmt.Sprintf("build id %x", id), nil
	}
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

// buildID returns the descriptor of an ELF file's NT_GNU_BUILD_ID, nil if it has none. The layout of a note: u32 length
// of the name, u32 length of the descriptor, u32 type, the name, the descriptor, both padded to 4 bytes.
func buildID(file io.ReaderAt) []byte {
	const noteGNUBuildID = 3
	object, err := elf.NewFile(file)
	if err != nil {
		return nil
	}
	for _, section := range object.Sections {
		if section.Type != elf.SHT_NOTE || section.Size > 1<<12 {
			continue
		}
		note, err := section.Data()
		if err != nil || len(note) < 16 || binary.LittleEndian.Uint32(note[8:]) != noteGNUBuildID || !bytes.Equal(note[12:16], []byte("GNU\x00")) {
			continue
		}
		if n := binary.LittleEndian.Uint32(note[4:]); n > 0 && uint64(n) <= uint64(len(note)-16) {
			return note[16 : 16+n]
		}
	}
	return nil
}
