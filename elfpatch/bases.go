package elfpatch

// This file looks at the libraries that an image builds on, and finds the names by which the loader can reach them.
//
// A thin image refers to functions of its bases that no symbol names. It does so by a relocation against some symbol
// that the base does export, with the distance from it as the addend. Which symbol is chosen must not leave the loader
// a choice: it takes the first definition it finds in the image, then Bases[0], then Bases[1] and so on, so neither the
// image nor a nearer base may define that name. Linkers define a few names in many libraries, which are never taken.

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// A base is one of Job.Bases.
type base struct {
	image  *Image
	number int
	// reach is the exported symbol that relocations into the base name; further ones that nothing else defines serve to
	// tell builds of the base apart.
	reach   DynSymbol
	further []DynSymbol
	handle  dynHandle // of reach, if the image refers to it
	// attached says that it is one of Job.Attached, which are never reached by names.
	attached bool
}

// AnchorPrefix begins the name of the symbol that each image defines for images that build on it, at its lowest
// address. The rest is a hash of what the image was made from, so the name is unique. Where the base was replaced by
// another build, the symbol is missing, and all that anybody gets to read is the loader's "undefined symbol" and this
// name: so the name says what to do.
const AnchorPrefix = "base_was_replaced_build_this_image_again_"

// maxAddr is where the addresses of processes end.
const maxAddr = 1 << 47

// everyLibraryHas are names that linkers and start files put into any library.
var everyLibraryHas = map[string]bool{
	"_init": true, "_fini": true, "_edata": true, "_end": true, "__bss_start": true, "_start": true, "main": true,
}

// headersOnly says whether a segment holds nothing but the ELF header and the program headers: it is part of the file's
// format and not of the program. Thin images written here have one at address 0 of their files.
func headersOnly(m *Image, s Segment) bool {
	return s.Addr == m.moved && s.Offset == 0 && s.MemSize <= headerSize+uint64(len(m.Segments))*programHeaderSize
}

// loaded returns the segments of an image that hold its program.
func loaded(m *Image) []Segment {
	var segments []Segment
	for _, s := range m.Segments {
		if s.Type == uint32(elf.PT_LOAD) && s.MemSize > 0 && !headersOnly(m, s) {
			segments = append(segments, s)
		}
	}
	return segments
}

func (l *linker) prepareBases() error {
	if l.job.Layout == Standalone && len(l.job.Bases) == 0 {
		return fmt.Errorf("a standalone image needs a base to copy: give one, or write a thin image")
	}
	exported := map[string]bool{}
	for i := range l.job.Sections {
		for _, s := range l.job.Sections[i].Symbols {
			if s.Export {
				exported[s.Name] = true
			}
		}
	}
	for name := range l.job.Exports {
		exported[name] = true
	}
	if err := l.checkRedirection(exported); err != nil {
		return err
	}
	type span struct {
		from, to uint64
		image    *Image
	}
	var spans []span
	taken := exported
	for number, m := range l.job.libraries() {
		b := &base{image: m, number: number, attached: number >= len(l.job.Bases)}
		l.bases = append(l.bases, b)
		if m.EndAddr() > maxAddr {
			return damaged(m.Path, "it reaches up to address %#x", m.EndAddr())
		}
		for _, s := range loaded(m) {
			spans = append(spans, span{s.Addr &^ (pageSize - 1), s.Addr + s.MemSize, m})
		}
		var unique []DynSymbol
		for _, s := range m.DynSymbols() {
			if reachable(s) && (b.attached || !taken[s.Name]) {
				unique = append(unique, s)
			}
		}
		slices.SortFunc(unique, func(a, b DynSymbol) int { return strings.Compare(a.Name, b.Name) })
		isAnchor := func(s DynSymbol) bool { return strings.HasPrefix(s.Name, AnchorPrefix) }
		if i := slices.IndexFunc(unique, isAnchor); i > 0 {
			unique[0], unique[i] = unique[i], unique[0]
		}
		if len(unique) > 0 {
			b.reach, b.further = unique[0], unique[1:]
		}
		for _, s := range m.DynSymbols() {
			if s.Shndx != 0 && !b.attached {
				taken[s.Name] = true
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
	for i := 1; i < len(spans); i++ {
		if a, b := spans[i-1], spans[i]; a.to > b.from {
			return fmt.Errorf("%s and %s both use address %#x, so no image can build on both: "+
				"the upper one must be an image that was built on the lower one",
				a.image.Path, b.image.Path, b.from)
		}
	}
	return nil
}

// reachable says whether a relocation against a symbol gives the address of that very symbol.
func reachable(s DynSymbol) bool {
	if s.Shndx == 0 || s.Shndx >= uint16(elf.SHN_LORESERVE) || s.Name == "" || everyLibraryHas[s.Name] {
		return false
	}
	bind, kind := elf.ST_BIND(s.Info), elf.ST_TYPE(s.Info)
	return (bind == elf.STB_GLOBAL || bind == elf.STB_WEAK) && elf.ST_VISIBILITY(s.Other) == elf.STV_DEFAULT &&
		(kind == elf.STT_FUNC || kind == elf.STT_OBJECT || kind == elf.STT_NOTYPE)
}

// checkRedirection refuses exports by which a base would lose its way: a base that is itself thin reaches its own base by
// a name, and the loader looks that name up in the new image first.
func (l *linker) checkRedirection(exported map[string]bool) error {
	for i, m := range l.job.Bases {
		for _, s := range m.DynSymbols() {
			if s.Shndx != 0 || !exported[s.Name] {
				continue
			}
			for _, lower := range l.job.Bases[i+1:] {
				if _, ok := lower.Lookup(s.Name); ok {
					return fmt.Errorf("the image cannot export %s, since %s uses that name to reach into %s: "+
						"build on %s instead, or export another name",
						s.Name, m.Path, lower.Path, lower.Path)
				}
			}
		}
	}
	return nil
}

// checkReach says that relocations may lead into a base.
func (l *linker) checkReach(b *base) error {
	if b.reach.Name == "" {
		return fmt.Errorf("%s exports no symbol of its own that could lead the loader into it: use a standalone image",
			b.image.Path)
	}
	return nil
}

func (l *linker) baseOf(m *Image) (*base, error) {
	for _, b := range l.bases {
		if b.image == m {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%s is referred to but is not one of the bases of the job: add it to Bases", m.Path)
}
