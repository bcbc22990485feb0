package project

// This file removes what is not needed any more. Images that a process uses are never removed, nor is anything of a
// project that is being built.

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CleanOptions say what to remove. The zero value removes nothing that can be used.
type CleanOptions struct {
	// Keep is how many images that can be used are kept, the newest ones, besides those that these lie on. 0: all.
	Keep int
	// Gone removes also what is known of other projects whose folder is gone.
	Gone bool
	// DryRun only says what would be removed.
	DryRun bool
}

// A Removal is something that was removed, or that was to be and is kept.
type Removal struct {
	// Path is of a file or a folder, and Bytes what is in it.
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Why says why it is not needed.
	Why string `json:"why"`
	// Kept says why it was not removed all the same; "" if it was.
	Kept string `json:"kept,omitempty"`
}

// Clean removes images that cannot be used any more, or are too many, and what killed builds have left behind.
func (p *Project) Clean(o CleanOptions) ([]Removal, error) {
	var removals []Removal
	if err := p.checkState(); err == nil {
		if removals, err = p.cleanImages(o); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, errNoState) {
		return nil, err
	}
	if o.Gone {
		gone, err := p.cleanGone(o)
		removals = append(removals, gone...)
		return removals, err
	}
	return removals, nil
}

func (p *Project) cleanImages(o CleanOptions) ([]Removal, error) {
	all, err := p.images()
	if err != nil {
		return nil, err
	}
	used, err := p.inUse()
	if err != nil {
		return nil, err
	}
	// What is not wanted and why, and what has to stay all the same since something that stays lies on it. A build that has begun lies on its base.
	unwanted, known := map[string]string{}, map[string]bool{}
	needed, busy := map[string]bool{}, map[string]bool{}
	kept, foundationKept := 0, false
	// The image of what is not under development is kept for the next edit.
	stable, err := p.stable()
	if err != nil {
		return nil, err
	}
	for _, im := range all {
		known[im.ID] = true
		switch {
		case stable != nil && im.Key == stable.Key && im.canLoad(all) == nil && !foundationKept:
			foundationKept = true
		case im.Key != p.Key:
			unwanted[im.ID] = shortReasons(differences(im, p))
		case errors.Is(im.canLoad(all), errPackageImages):
			unwanted[im.ID] = "a package image that it needs was made again"
		case im.canLoad(all) != nil:
			unwanted[im.ID] = "damaged"
		case o.Keep > 0 && kept >= o.Keep:
			unwanted[im.ID] = "there are newer ones"
		default:
			kept++
		}
		lower := im.lower(all)
		switch {
		case lower == nil:
		case unwanted[im.ID] == "":
			needed[lower.ID] = true
		case used[im.ID]:
			busy[lower.ID] = true
		}
	}
	building := p.building()
	if building != nil {
		busy[building.Base] = true
	}
	var removals []Removal
	for _, im := range all {
		why := unwanted[im.ID]
		if why == "" || needed[im.ID] {
			continue
		}
		r := Removal{Path: im.File, Bytes: im.Bytes + sizeOf(p.path(workersName, im.ID)), Why: why}
		if used[im.ID] || busy[im.ID] {
			r.Kept = "in use"
		} else if !o.DryRun {
			if err := p.removeImage(im.ID); err != nil {
				return removals, err
			}
		}
		removals = append(removals, r)
	}
	if building != nil && !p.isBuilder() {
		return removals, nil // whose unfinished files are not left behind
	}
	leftovers, err := p.leftovers(known, used)
	if err != nil {
		return removals, err
	}
	for _, r := range leftovers {
		if !o.DryRun {
			if err := os.RemoveAll(r.Path); err != nil {
				return removals, err
			}
		}
		removals = append(removals, r)
	}
	return removals, nil
}

// isBuilder says whether this process is the one that builds.
func (p *Project) isBuilder() bool {
	b := p.building()
	return b != nil && b.PID == os.Getpid()
}

// removeImage removes the description first: what is left of an image after that is not one. Its worker image goes with it.
func (p *Project) removeImage(id string) error {
	for _, suffix := range []string{descriptionSuffix, imageSuffix, statementsSuffix} {
		if err := os.Remove(p.path(imagesName, id+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.RemoveAll(p.path(workersName, id))
}

// leftoverAge is the age from which a file in the images' folder that belongs to no image was left behind: a build that
// has begun, but not noted that it has, is younger.
const leftoverAge = time.Hour

// leftBehind is why such a file is removed.
const leftBehind = "left behind"

// leftovers lists files of images that were not finished, or not removed as a whole, and worker images of images that are gone.
func (p *Project) leftovers(known, used map[string]bool) ([]Removal, error) {
	entries, err := os.ReadDir(p.path(imagesName))
	if err != nil {
		return nil, err
	}
	var left []Removal
	for _, entry := range entries {
		name := strings.TrimPrefix(entry.Name(), ".")
		id, _, _ := strings.Cut(name, ".")
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || known[id] || used[id] || time.Since(info.ModTime()) < leftoverAge {
			continue
		}
		left = append(left, Removal{Path: p.path(imagesName, entry.Name()), Bytes: info.Size(), Why: leftBehind})
	}
	folders, err := os.ReadDir(p.path(workersName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, folder := range folders {
		if path := p.path(workersName, folder.Name()); !known[folder.Name()] {
			left = append(left, Removal{Path: path, Bytes: sizeOf(path), Why: leftBehind})
		}
	}
	return left, nil
}

// cleanGone removes the state of projects whose folder is gone.
func (p *Project) cleanGone(o CleanOptions) ([]Removal, error) {
	files, err := filepath.Glob(filepath.Join(p.root, "*", projectFileName))
	if err != nil {
		return nil, err
	}
	var removals []Removal
	for _, file := range files {
		var of owner
		state := filepath.Dir(file)
		if state == p.state || readJSON(file, &of) != nil || !filepath.IsAbs(of.Project) {
			continue
		}
		if _, err := os.Stat(of.Project); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		other := &Project{Julia: p.Julia, root: p.root, state: state}
		used, err := other.inUse()
		if err != nil {
			return removals, err
		}
		delete(used, noImage)
		r := Removal{Path: state, Bytes: sizeOf(state), Why: "there is no " + of.Project + " any more"}
		switch {
		case len(used) > 0:
			r.Kept = "in use"
		case other.building() != nil:
			r.Kept = "being built"
		case !o.DryRun:
			if err := os.RemoveAll(state); err != nil {
				return removals, err
			}
		}
		removals = append(removals, r)
	}
	return removals, nil
}
