package remote

// This file describes folders of files as the protocol does: a Directory for each, with names and digests of what is in it.

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// A File is a file of a folder.
type File struct {
	// Data is all of it. It must not change.
	Data       []byte
	Executable bool
}

// A Folder is files and folders as a server stores them. It is read-only and may be used by several goroutines at once.
type Folder struct {
	root    digest
	blobs   []blob             // Directories and files
	folders map[string]*Folder // that were made before, each of which has its own blobs
	storing sync.Mutex         // so that it is stored once for all who need it at the same time
}

// NewFolder describes a folder: files by their paths, with slashes, and folders that were described before, by their names. A name stands for one of them
// alone. The data is hashed.
func NewFolder(files map[string]File, folders map[string]*Folder) *Folder {
	f := &Folder{folders: folders}
	directory := &repb.Directory{}
	below := map[string]map[string]File{}
	for name, file := range files {
		folder, rest, deeper := strings.Cut(name, "/")
		if deeper {
			if below[folder] == nil {
				below[folder] = map[string]File{}
			}
			below[folder][rest] = file
			continue
		}
		data := newBlob(file.Data)
		f.blobs = append(f.blobs, data)
		directory.Files = append(directory.Files, &repb.FileNode{Name: name, Digest: data.digest.message(), IsExecutable: file.Executable})
	}
	for name, files := range below {
		folder := NewFolder(files, nil)
		f.blobs = append(f.blobs, folder.blobs...)
		directory.Directories = append(directory.Directories, &repb.DirectoryNode{Name: name, Digest: folder.root.message()})
	}
	for name, folder := range folders {
		directory.Directories = append(directory.Directories, &repb.DirectoryNode{Name: name, Digest: folder.root.message()})
	}
	slices.SortFunc(directory.Files, func(a, b *repb.FileNode) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(directory.Directories, func(a, b *repb.DirectoryNode) int { return cmp.Compare(a.Name, b.Name) })
	root := messageBlob(directory)
	f.root, f.blobs = root.digest, append(f.blobs, root)
	return f
}

// plainFiles are files of which none is a program.
func plainFiles(contents map[string][]byte) map[string]File {
	files := map[string]File{}
	for name, data := range contents {
		files[name] = File{Data: data}
	}
	return files
}
