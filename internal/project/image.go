package project

// This file is the images of a project.
//
//	images/ID.so     the image
//	images/ID.jl     the statements that it was built from, a type expression a line
//	images/ID.json   what it was made of: Image. It is written last, so an image without it is not one
//
// ID is 16 digits of the key, a "-", and 8 digits of a hash of the statements and of the policies' answers; for a layer (layer.go) a "-" again,
// and 8 digits of a hash of the image below it.

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chainbuild/internal/choice"
	"chainbuild/internal/private"
	"chainbuild/objcache"
)

const (
	imageSuffix       = ".so"
	statementsSuffix  = ".jl"
	descriptionSuffix = ".json"
)

// An Image is an image of a project, and what it was made of.
type Image struct {
	// File is the absolute path of the image.
	File string `json:"-"`
	ID   string `json:"id"`
	// Key and Inputs say for what it is valid.
	Key    objcache.Key     `json:"key"`
	Inputs []objcache.Input `json:"inputs"`
	// Content is what is in it.
	Content
	// Below is the image that it lies on; nil for one in one piece.
	Below *Below `json:"below,omitempty"`
	// Built is when, Seconds how long that took, Bytes the file's size.
	Built   time.Time `json:"built"`
	Seconds float64   `json:"seconds"`
	Bytes   int64     `json:"bytes"`
	// ObjectBytes is the size of the objects that were linked into it, Compiling how long some of them took.
	ObjectBytes int64     `json:"object_bytes"`
	Compiling   Compiling `json:"compiling"`
	// PackageImages are the files whose native code the image uses.
	PackageImages []PackageImage `json:"package_images,omitempty"`
	// Statements is the number of statements that it was built from, Unresolved those that could not be used.
	Statements int      `json:"statements"`
	Unresolved []string `json:"unresolved"`
	// Answers is a hash of what policies have answered, see choice.Outcome. Dropped are statements that they, or the budget, have left out.
	Answers string           `json:"answers,omitempty"`
	Dropped []choice.Dropped `json:"dropped,omitempty"`
}

// imageID names the image for a key and the sorted sources of statements, or what else tells them apart.
func imageID(key objcache.Key, sources []string) string {
	sum := sha256.Sum256([]byte(strings.Join(sources, "\n")))
	return fmt.Sprintf("%.16s-%x", key, sum[:4])
}

// layerID names the layer on an image with what is the ID of an image in one piece of the same key and statements.
func layerID(id string, lower *Image) string {
	sum := sha256.Sum256(fmt.Append(nil, lower.ID, lower.Built.UnixNano()))
	return fmt.Sprintf("%s-%x", id, sum[:4])
}

// holds says whether the image has the key and the statements of an image in one piece with an ID.
func (im *Image) holds(id string) bool { return im.ID == id || strings.HasPrefix(im.ID, id+"-") }

// images lists the images, newest first.
func (p *Project) images() ([]*Image, error) {
	entries, err := os.ReadDir(p.path(imagesName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*Image
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), descriptionSuffix)
		if !ok {
			continue
		}
		im := &Image{}
		// A description that cannot be read belongs to an image that cannot be used; clean removes both.
		if readJSON(p.path(imagesName, entry.Name()), im) == nil && im.ID == id {
			im.File = p.path(imagesName, id+imageSuffix)
			all = append(all, im)
		}
	}
	slices.SortFunc(all, func(a, b *Image) int { return cmp.Or(b.Built.Compare(a.Built), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// isWhole says whether the image's file is there as it was built, and nobody else could have changed it.
func (im *Image) isWhole() error {
	info, err := os.Stat(im.File)
	switch {
	case err != nil:
		return err
	case !private.Is(info):
		return fmt.Errorf("the image %s is not used, as another user could have changed it: remove it, and build again", im.File)
	case info.Size() != im.Bytes:
		return fmt.Errorf("the image %s is not as it was built: remove it, and build again", im.File)
	}
	return im.hasPackageImages()
}

// valid returns the newest image with the project's key, nil if there is none; why says of one that cannot be used.
func (p *Project) valid(all []*Image) (im *Image, why error) {
	for _, im := range all {
		if im.Key != p.Key {
			continue
		}
		if err := im.canLoad(all); err != nil {
			why = errors.Join(why, err)
			continue
		}
		return im, why
	}
	return nil, why
}

// sources returns the statements that the image was built from.
func (im *Image) sources() (map[string]bool, error) {
	text, err := os.ReadFile(strings.TrimSuffix(im.File, imageSuffix) + statementsSuffix)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		known[strings.TrimSuffix(line, "\n")] = true
	}
	return known, nil
}

// inUse returns the IDs of the images that a process uses: those that a session names, and those that a process of this
// user, or of any for root, has mapped.
func (p *Project) inUse() (map[string]bool, error) {
	used := map[string]bool{}
	sessions, err := p.sessions()
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		if !s.over {
			used[s.image] = true
		}
	}
	folder, err := filepath.EvalSymlinks(p.path(imagesName))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return used, nil
		}
		return nil, err
	}
	maps, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return nil, err
	}
	for _, name := range maps {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended, or is another user's, who cannot read our images
		}
		for line := range strings.Lines(string(text)) {
			at := strings.Index(line, folder+"/")
			if at < 0 {
				continue
			}
			if id, _, ok := strings.Cut(line[at+len(folder)+1:], imageSuffix); ok {
				used[id] = true
			}
		}
	}
	return used, nil
}

// Unresolved returns the statements that the newest image could not use.
func (p *Project) Unresolved() (map[string]bool, error) {
	all, err := p.images()
	if err != nil {
		return nil, err
	}
	useless := map[string]bool{}
	if len(all) > 0 {
		for _, source := range all[0].Unresolved {
			useless[source] = true
		}
	}
	return useless, nil
}
