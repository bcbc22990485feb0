package sysimage

// This file finds the shared objects that make up an image and tells their addresses apart.
//
// A thin image needs its base by a path, the only needed library of a system image that has a slash in its name. It is moved
// (elfpatch.Image.Move) as its note says, so that its virtual addresses start above those of its base: an address names its
// layer, and a difference of two addresses in a table of the file means the same whether the two are in one layer or not.

import (
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/elfpatch"
)

// Types and permissions of segments.
const (
	ptLoad    = uint32(elf.PT_LOAD)
	ptNote    = uint32(elf.PT_NOTE)
	pfExecute = uint32(elf.PF_X)
	pfWrite   = uint32(elf.PF_W)
)

// A Note is what chaining leaves in an image, as JSON in the image's own note section.
type Note struct {
	// Format is Base.Format.
	Format string `json:"format"`
	// Bases are the layers of the image that this one was chained to, in the order of Base.Layers.
	Bases []Identity `json:"bases"`
	// Packages are the package images whose code is used: those of the image and of its bases.
	Packages []PackageIdentity `json:"packages,omitempty"`
	// Moved is by how much the virtual addresses of the file are moved (elfpatch.Job.Moved).
	Moved uint64 `json:"moved,omitempty"`
	// Functions and Globals are how many entries at the ends of the tables came with this image.
	Functions int `json:"functions"`
	Globals   int `json:"globals"`
	// Constants are where the blob has constants among its objects, from and to which offset: those of the base, if the blob is an overlay of its.
	Constants [][2]uint32 `json:"constants,omitempty"`
	// Build is for those who drive the build.
	Build map[string]string `json:"build,omitempty"`
}

// An Identity tells builds of a layer apart.
type Identity struct {
	Path    string `json:"path"`
	BuildID string `json:"build_id,omitempty"` // hexadecimal, empty if the layer has none
	Heap    uint64 `json:"heap"`               // bytes of its blob
}

// OpenFile opens the image at path and the files that it is layered on. Close closes them.
//
// In addition to the errors of Open and elfpatch.Open it returns ErrOtherBase, wrapped.
func OpenFile(path string) (*Base, error) {
	var layers, packages []*elfpatch.Image
	b, err := func() (*Base, error) {
		for next := path; next != ""; {
			im, err := elfpatch.Open(next)
			if len(layers) > 0 && errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s is a thin image, and its base %s is not there: put that back, or build the image again", layers[len(layers)-1].Path, next)
			}
			if err != nil {
				return nil, err
			}
			err = moveAsNoted(im)
			if err == nil {
				err = joinLayer(layers, im)
			}
			if err != nil {
				im.Close()
				return nil, err
			}
			layers = append(layers, im)
			next = basePath(im)
		}
		var err error
		if packages, err = openNoted(layers[0]); err != nil {
			return nil, err
		}
		return open(layers, packages)
	}()
	if err != nil {
		closeAll(layers)
		closeAll(packages)
		return nil, err
	}
	return b, nil
}

// Close closes the layers and the package images.
func (b *Base) Close() error { return closeAll(b.libraries()) }

func closeAll(layers []*elfpatch.Image) error {
	var first error
	for _, im := range layers {
		if err := im.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// basePath returns the file that im is layered on, "" if it stands alone.
func basePath(im *elfpatch.Image) string {
	for _, needed := range im.Needed() {
		if strings.Contains(needed, "/") {
			return strings.ReplaceAll(needed, "$ORIGIN", filepath.Dir(im.Path))
		}
	}
	return ""
}

// moveAsNoted moves a thin image to the addresses that its tables count from.
func moveAsNoted(im *elfpatch.Image) error {
	note, err := readNote(im)
	if err != nil || note == nil {
		return err
	}
	return move(im, im, note.Moved)
}

// move moves im by what the note of the image noted says.
func move(im, noted *elfpatch.Image, by uint64) error {
	const end = 1 << 47 // of the addresses of a process
	if by%(1<<12) != 0 || by > end {
		return fmt.Errorf("%s: %w: its note moves %s by %#x; build it again", noted.Path, ErrDamaged, im.Path, by)
	}
	im.Move(by)
	return nil
}

// joinLayer checks that im is what the layers above it were built on.
func joinLayer(above []*elfpatch.Image, im *elfpatch.Image) error {
	for i, upper := range above {
		// It would reach into the addresses of the image on top of it, which lie above those of the base that was there.
		if im.EndAddr() > startAddr(upper) {
			return otherBase(im, upper)
		}
		note, err := readNote(upper)
		if err != nil {
			return err
		}
		depth := len(above) - 1 - i
		if note == nil || depth >= len(note.Bases) {
			continue
		}
		is, was := identify(im), note.Bases[depth]
		if is.BuildID != was.BuildID || is.Heap != was.Heap {
			return otherBase(im, upper)
		}
	}
	return nil
}

func otherBase(im, upper *elfpatch.Image) error {
	return fmt.Errorf("%s: %w after %s was built on it; build that one again, or put the old base back", im.Path, ErrOtherBase, upper.Path)
}

// identify describes a layer; what it lacks stays empty.
func identify(im *elfpatch.Image) Identity {
	id := Identity{Path: im.Path, BuildID: hex.EncodeToString(im.BuildID())}
	if sym, ok := im.Lookup("jl_system_image_size"); ok {
		if size, err := im.Bytes(sym.Value, 8); err == nil {
			id.Heap = le.Uint64(size)
		}
	}
	return id
}

// Is says that an image is the one that an identity was taken of.
func (b *Base) Is(id Identity) bool {
	is := identify(b.Layers[0])
	return is.BuildID == id.BuildID && is.Heap == id.Heap
}

// readNote reads what chaining left in im, nil if nothing.
func readNote(im *elfpatch.Image) (*Note, error) {
	text := im.Note()
	if text == nil {
		return nil, nil
	}
	note := new(Note)
	if err := json.Unmarshal(text, note); err != nil {
		return nil, fmt.Errorf("%s: %w: its chainbuild note is not readable (%v); build it again", im.Path, ErrDamaged, err)
	}
	return note, nil
}

// IsOverlay says whether the image at path has the objects of its base where the base has them, and its checksum, so that caches of packages that
// were made under the base are right under it too. It is false for a file that is none.
func IsOverlay(path string) bool {
	im, err := elfpatch.Open(path)
	if err != nil {
		return false
	}
	defer im.Close()
	note, err := readNote(im)
	return err == nil && note != nil && len(note.Constants) > 0
}

// startAddr returns the lowest virtual address of im, a thin image, that means anything to a table.
func startAddr(im *elfpatch.Image) uint64 {
	start := ^uint64(0)
	for _, s := range im.Segments {
		if s.Type == ptLoad && s.Addr != 0 {
			start = min(start, s.Addr)
		}
	}
	return start
}

// Locate returns the layer or package image that holds the virtual address addr, which must lie in a loaded segment.
func (b *Base) Locate(addr uint64) (elfpatch.Address, bool) {
	// The lowest layer is asked first: the page of the ELF header is there in all layers.
	for _, im := range slices.Backward(b.libraries()) {
		for _, s := range im.Segments {
			if s.Type == ptLoad && addr-s.Addr < s.MemSize {
				return elfpatch.Address{Base: im, Offset: addr}, true
			}
		}
	}
	return elfpatch.Address{}, false
}

// lookup finds a symbol as the dynamic loader does for dlsym: in the first layer that defines it.
func (b *Base) lookup(name string) (*elfpatch.Image, elfpatch.DynSymbol, error) {
	for _, im := range b.Layers {
		if sym, ok := im.Lookup(name); ok {
			return im, sym, nil
		}
	}
	return nil, elfpatch.DynSymbol{}, fmt.Errorf("%w: it defines no %s", ErrUnknownFormat, name)
}

// symbol finds where an exported symbol is.
func (b *Base) symbol(name string) (elfpatch.Address, error) {
	layer, sym, err := b.lookup(name)
	return elfpatch.Address{Base: layer, Offset: sym.Value}, err
}

// blobOf returns the blob of the image that b's layers make up.
func blobOf(b *Base) ([]byte, error) {
	sizeLayer, sizeSym, err := b.lookup("jl_system_image_size")
	if err != nil {
		return nil, err
	}
	layer, sym, err := b.lookup("jl_system_image_data")
	if err != nil {
		return nil, err
	}
	field, err := sizeLayer.Bytes(sizeSym.Value, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: the size of its heap is not in the file", ErrDamaged)
	}
	data, err := layer.Bytes(sym.Value, le.Uint64(field))
	if err != nil {
		return nil, fmt.Errorf("%w: its heap reaches beyond its segment", ErrDamaged)
	}
	return data, nil
}

// isCell says that 8 bytes at addr can be written to, and that their distance to origin counts in units of 8 bytes.
func (b *Base) isCell(addr, origin uint64) bool {
	return (addr-origin)%8 == 0 && b.inSegment(addr, 8, pfWrite)
}

// inSegment says that size bytes at addr lie in a segment with the given permission.
func (b *Base) inSegment(addr, size uint64, permission uint32) bool {
	for _, im := range slices.Backward(b.libraries()) {
		for _, s := range im.Segments {
			if s.Type == ptLoad && s.Flags&permission != 0 && addr-s.Addr < s.MemSize && s.MemSize-(addr-s.Addr) >= size {
				return true
			}
		}
	}
	return false
}

// exported lists what the layers export under names that begin with a prefix.
func (b *Base) exported(prefix string) (list []elfpatch.Address) {
	for _, im := range b.Layers {
		for _, s := range im.DynSymbols() {
			if s.Shndx != 0 && strings.HasPrefix(s.Name, prefix) {
				list = append(list, elfpatch.Address{Base: im, Offset: s.Value})
			}
		}
	}
	return list
}

// libraries are all files that hold parts of the image.
func (b *Base) libraries() []*elfpatch.Image { return slices.Concat(b.Packages, b.Layers) }
