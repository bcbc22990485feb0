// Package folders walks through folders of sources, which people put together with links.
package folders

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Walk is filepath.WalkDir, but that it goes into links: paths are below root as links have them, entries are what the links lead to. A folder that
// several paths lead to is entered once, so loops end. A link that leads nowhere is an entry of its own.
func Walk(root string, do fs.WalkDirFunc) error {
	err := walk(root, map[string]bool{}, do)
	if errors.Is(err, fs.SkipDir) || errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// walk walks from path; entered are folders by their paths without links.
func walk(path string, entered map[string]bool, do fs.WalkDirFunc) error {
	info, err := os.Stat(path)
	if err != nil {
		info, err = os.Lstat(path)
	}
	if err != nil {
		return do(path, nil, err)
	}
	entry := fs.FileInfoToDirEntry(info)
	if !info.IsDir() {
		return do(path, entry, nil)
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil && entered[real] {
		return nil
	}
	entered[real] = true
	var below []os.DirEntry
	if err = do(path, entry, err); err == nil {
		if below, err = os.ReadDir(path); err != nil {
			err = do(path, entry, err)
		}
	}
	for _, next := range below {
		if err == nil {
			err = walk(filepath.Join(path, next.Name()), entered, do)
		}
	}
	if errors.Is(err, fs.SkipDir) {
		return nil // the rest of this folder
	}
	return err
}
