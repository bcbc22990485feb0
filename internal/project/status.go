package project

// This file says how a project's image stands.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chainbuild/objcache"
)

// The states that a project's image may be in.
const (
	// Current: there is an image that can be used.
	Current = "current"
	// Stale: there is none that can be used, but one for what the project was; or so much was recorded since that the
	// one that there is should be built again.
	Stale = "stale"
	// None: there is no image.
	None = "none"
)

// A Status is what is known of a project.
type Status struct {
	Project string       `json:"project"`
	Dir     string       `json:"folder"`
	Julia   string       `json:"julia"`
	Program string       `json:"julia_executable"`
	Key     objcache.Key `json:"key"`
	// State is Current, Stale or None, and Reasons say why it is not Current.
	State   string   `json:"state"`
	Reasons []string `json:"reasons"`
	// Usable says whether Image is one that Julia is started with. Image is the newest that can be used, else the newest.
	Usable bool         `json:"usable"`
	Image  *ImageStatus `json:"image"`
	// Content is what an image built now would hold.
	Content *Content `json:"content"`
	// Recorded statements; Fit are those that name nothing but what is to be in the image, New those of them that
	// Image was not built from.
	Recorded int `json:"recorded"`
	Fit      int `json:"fit"`
	New      int `json:"new"`
	// Unread is the number of lines that sessions recorded and that are no statements; UnreadFile lists them.
	Unread     int    `json:"unread"`
	UnreadFile string `json:"unread_file,omitempty"`
	// Recording is the number of sessions that run and are recorded.
	Recording int `json:"recording"`
	// Building is the build that runs.
	Building *Builder `json:"building"`
	// Failure is the last build, if it failed.
	Failure *Failure `json:"failure"`
	// State folder, and how much is in it, in bytes.
	Folder string `json:"state_folder"`
	Bytes  int64  `json:"state_bytes"`
	Images int    `json:"images"`
}

// An ImageStatus is an image, with its file.
type ImageStatus struct {
	File string `json:"file"`
	*Image
	InUse bool `json:"in_use"`
}

// Status finds out how the project's image stands.
func (p *Project) Status() (*Status, error) {
	s := &Status{
		Project: p.Name(), Dir: p.Dir, Julia: p.Julia.Version, Program: p.Julia.Executable, Key: p.Key,
		State: None, Reasons: []string{}, Content: p.Content, Folder: p.state,
	}
	err := p.checkState()
	if errors.Is(err, errNoState) {
		s.Reasons = append(s.Reasons, p.noImageReason())
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	record, live, err := p.Record()
	if err != nil {
		return nil, err
	}
	fitting := p.fitting(record)
	s.Recorded, s.Fit, s.New, s.Recording = len(record), len(fitting), len(fitting), live
	if s.Unread = p.unread(); s.Unread > 0 {
		s.UnreadFile = p.path(unreadName)
	}
	s.Building = p.building()
	if failure := (Failure{}); readJSON(p.path(failureName), &failure) == nil {
		s.Failure = &failure
	}
	s.Bytes = sizeOf(p.state)
	all, err := p.images()
	if err != nil {
		return nil, err
	}
	s.Images = len(all)
	im, why := p.valid(all)
	s.Usable = im != nil
	if why != nil {
		s.Reasons = append(s.Reasons, why.Error())
	}
	switch {
	case im != nil:
		s.State = Current
	case len(all) > 0:
		im = all[0]
		s.State = Stale
		s.Reasons = append(s.Reasons, differences(im, p)...)
	default:
		s.Reasons = append(s.Reasons, p.noImageReason())
		return s, nil
	}
	used, err := p.inUse()
	if err != nil {
		return nil, err
	}
	s.Image = &ImageStatus{im.File, im, used[im.ID]}
	known, err := im.sources()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.New = 0
	left := map[string]bool{}
	for _, d := range im.Dropped {
		left[d.Source] = true
	}
	for _, source := range fitting {
		if !known[source] && !left[source] {
			s.New++
		}
	}
	if most := int(p.Settings.StaleAfter); most > 0 && s.New >= most {
		s.State = Stale
		s.Reasons = append(s.Reasons, fmt.Sprintf("statements recorded since it was built: %d", s.New))
	}
	return s, nil
}

// noImageReason says of a project without an image whether another Julia has one.
func (p *Project) noImageReason() string {
	others, _ := filepath.Glob(filepath.Join(p.root, "*", projectFileName))
	var versions []string
	for _, name := range others {
		var of owner
		if filepath.Dir(name) == p.state || readJSON(name, &of) != nil || of.Project != p.Dir {
			continue
		}
		if images, _ := filepath.Glob(filepath.Join(filepath.Dir(name), imagesName, "*"+descriptionSuffix)); len(images) > 0 {
			versions = append(versions, of.Julia)
		}
	}
	if len(versions) == 0 {
		return "none was built yet"
	}
	slices.Sort(versions)
	return fmt.Sprintf("none was built for this Julia %s, only for Julia %s", p.Julia.Version, strings.Join(slices.Compact(versions), ", "))
}

// fitting returns the sources, sorted, of the statements that an image built now could use: those that name only
// packages that are in it, and Julia's own.
func (p *Project) fitting(record Record) []string {
	in := map[string]bool{}
	for _, pkg := range p.Content.Packages {
		in[pkg.Name] = true
	}
	for _, out := range p.Content.Out {
		in[out.Name] = false
	}
	var sources []string
	for _, s := range record.Sorted() {
		fits := true
		for _, module := range s.Modules {
			known, decided := in[module]
			if !decided {
				known = isStdlib(p.Julia.StdlibDir, module)
				in[module] = known
			}
			fits = fits && known
		}
		if fits {
			sources = append(sources, s.Source)
		}
	}
	return sources
}

// Loaded returns one line about an image of this project that Julia was started with: why it should not be any more; ""
// for one that can be used, and for an image that is none of this project's.
func (p *Project) Loaded(file string) (string, error) {
	resolved, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", err
	}
	all, err := p.images()
	if err != nil {
		return "", err
	}
	for _, im := range all {
		own, err := filepath.EvalSymlinks(im.File)
		if err != nil || own != resolved || im.Key == p.Key {
			continue
		}
		return fmt.Sprintf("the image that this Julia runs with is stale (%s)", shortReasons(differences(im, p))), nil
	}
	return "", nil
}

// shortReasons is reasons for one line.
func shortReasons(reasons []string) string {
	const most = 2
	switch n := len(reasons); {
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(reasons[:most], ", "), n-most)
	}
	return strings.Join(reasons, ", ")
}

// sizeOf returns the bytes of all files below a folder.
func sizeOf(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// A Builder is a process that builds the project's image.
type Builder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	// Log is the file with what it says.
	Log string `json:"log"`
	// Start tells the process from a later one of its number, see session.go.
	Start uint64 `json:"start"`
	// Yields says that it ends when there is another build to do. Base is the ID of the image that it makes a layer on, "" for none.
	Yields bool   `json:"yields,omitempty"`
	Base   string `json:"base,omitempty"`
}

// building returns the build that runs, nil if there is none.
func (p *Project) building() *Builder {
	var b Builder
	if readJSON(p.path(builderName), &b) != nil {
		return nil
	}
	if start, err := startOf(b.PID); err != nil || start != b.Start {
		return nil
	}
	return &b
}

func (b *Builder) String() string {
	return fmt.Sprintf("process %d builds this project's image since %s", b.PID, b.Since.Local().Format("15:04:05"))
}

// startBuilding notes that this process builds, on lower unless that is nil; the build lock must be held.
func (p *Project) startBuilding(log string, yields bool, lower *foundation) error {
	start, err := startOf(os.Getpid())
	if err != nil {
		return err
	}
	b := Builder{PID: os.Getpid(), Since: time.Now(), Log: log, Start: start, Yields: yields}
	if lower != nil {
		b.Base = lower.ID
	}
	return writeJSON(p.path(builderName), b)
}
