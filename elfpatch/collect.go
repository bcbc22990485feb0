package elfpatch

// This file decides which sections of the objects get into the image, and into which section of it.
//
// Sections whose names begin alike are put together: a compiler that gives each function a section of its own calls
// them .text.name. Within an output they stand in the order of the objects, then of their sections.

import (
	"debug/elf"
	"fmt"
	"strings"
)

// A piece is a range of an output that is copied from one input.
type piece struct {
	object  *Object
	number  int            // of the object in Job.Objects, -1 if it is not from an object
	section *ObjectSection // if it is from an object
	table   *Section       // if it is from Job.Sections
	guard   bool           // it is from the guard of a thin image
	data    []byte         // bytes; shorter than size for zeros
	owned   bool           // data may be written to
	size    uint64
	align   uint64
	out     *output
	offset  uint64 // in out
}

func (p *piece) addr() uint64 { return p.out.addr + p.offset }

// gathered are the outputs that take all sections whose name begins with theirs and a dot. The longest match wins.
var gathered = []string{
	".text", ".rodata", ".data.rel.ro", ".data", ".bss", ".init_array", ".fini_array", ".lrodata", ".ldata", ".lbss",
}

func outputName(name string) string {
	for _, prefix := range gathered {
		if name == prefix || strings.HasPrefix(name, prefix) && name[len(prefix)] == '.' {
			return prefix
		}
	}
	return name
}

const (
	maxAlign = 0x1000 // loaders give segments the alignment of a page, older ones no more

	sectionExclude    = 0x80000000 // SHF_EXCLUDE
	sectionUnwindType = 0x70000001 // SHT_X86_64_UNWIND
)

func (l *linker) collectSections() error {
	for _, o := range l.job.Objects {
		if err := l.collectObject(o); err != nil {
			return err
		}
	}
	for i := range l.job.Sections {
		s := &l.job.Sections[i]
		flags := uint64(elf.SHF_ALLOC)
		if s.Writable {
			flags |= uint64(elf.SHF_WRITE)
		}
		p := &piece{number: -1, table: s, data: s.Data, size: uint64(len(s.Data)), align: max(s.Align, 1)}
		if err := checkAlign(p.align, s.Name, "the job"); err != nil {
			return err
		}
		if err := l.place(p, s.Name, uint32(elf.SHT_PROGBITS), flags); err != nil {
			return err
		}
		l.tablePieces = append(l.tablePieces, p)
	}
	return nil
}

// collectObject places the sections of one more object.
func (l *linker) collectObject(o *Object) error {
	dropped := make([]bool, len(o.Sections))
	for _, g := range o.Groups {
		if !g.Comdat {
			continue
		}
		for _, i := range g.Members {
			dropped[i] = dropped[i] || l.comdats[g.Signature]
		}
		l.comdats[g.Signature] = true
	}
	number := len(l.objects)
	pieces := make([]*piece, len(o.Sections))
	l.objects, l.pieces = append(l.objects, o), append(l.pieces, pieces)
	for i := range o.Sections {
		s := &o.Sections[i]
		if dropped[i] || !wanted(s) {
			continue
		}
		if err := linkable(o, s); err != nil {
			return err
		}
		pieces[i] = &piece{object: o, number: number, section: s, data: s.Data, size: s.Size, align: max(s.Align, 1)}
		if s.Name == ".eh_frame" {
			continue // placed by collectFrames
		}
		if err := l.place(pieces[i], outputName(s.Name), s.Type, s.Flags); err != nil {
			return err
		}
	}
	return nil
}

// wanted says whether a section of an object goes into the image: what is loaded, and debug information.
func wanted(s *ObjectSection) bool {
	switch elf.SectionType(s.Type) {
	case elf.SHT_NULL, elf.SHT_SYMTAB, elf.SHT_STRTAB, elf.SHT_RELA, elf.SHT_REL, elf.SHT_GROUP, elf.SHT_SYMTAB_SHNDX:
		return false
	}
	if s.Flags&sectionExclude != 0 || strings.HasPrefix(s.Name, ".note.") {
		return false // notes describe the object: its compiler, the processor features that it marks
	}
	return s.Flags&uint64(elf.SHF_ALLOC) != 0 || strings.HasPrefix(s.Name, ".debug_")
}

func linkable(o *Object, s *ObjectSection) error {
	switch {
	case s.Flags&uint64(elf.SHF_TLS) != 0:
		return fmt.Errorf("%s has thread-local data in section %s, which cannot be linked: "+
			"keep it in an object that a system linker links", o.Name, s.Name)
	case s.Flags&uint64(elf.SHF_COMPRESSED) != 0:
		return fmt.Errorf("%s has a compressed section %s, which cannot be linked: compile without -gz", o.Name, s.Name)
	case s.Name == ".ctors" || s.Name == ".dtors":
		return fmt.Errorf("%s has constructors in section %s, which no loader runs any more: "+
			"compile it for .init_array", o.Name, s.Name)
	}
	switch elf.SectionType(s.Type) {
	case elf.SHT_PROGBITS, elf.SHT_NOBITS, elf.SHT_INIT_ARRAY, elf.SHT_FINI_ARRAY, sectionUnwindType:
	default:
		return fmt.Errorf("%s has a section %s of type %s, which cannot be linked: "+
			"compile it as position independent C or LLVM code",
			o.Name, s.Name, elf.SectionType(s.Type))
	}
	return checkAlign(s.Align, s.Name, o.Name)
}

func checkAlign(align uint64, section, input string) error {
	if align&(align-1) != 0 || align > maxAlign {
		return fmt.Errorf("section %s of %s asks for an alignment of %d bytes: a power of two up to %d can be had",
			section, input, align, maxAlign)
	}
	return nil
}

// madeByLinker are the sections that consist of what the linker makes.
var madeByLinker = map[string]bool{
	".got": true, ".plt": true, ".data.slots": true, ".eh_frame": true, ".eh_frame_hdr": true,
	".gnu.hash": true, ".dynsym": true, ".dynstr": true, ".gnu.version": true, ".gnu.version_r": true,
	".rela.dyn": true, ".dynamic": true, ".symtab": true, ".strtab": true, ".shstrtab": true,
	".note.gnu.build-id": true, ".note." + noteOwner: true, debugFieldsSection: true,
}

// place appends a piece to an output.
func (l *linker) place(p *piece, name string, kind uint32, flags uint64) error {
	const kept = uint64(elf.SHF_WRITE | elf.SHF_ALLOC | elf.SHF_EXECINSTR)
	if madeByLinker[name] {
		return fmt.Errorf("%s has a section %s, whose name is taken by what the linker makes: rename it",
			p.inputName(), name)
	}
	out := l.output(name, kind, flags&kept)
	if len(out.pieces) > 0 && (out.flags^flags)&uint64(elf.SHF_ALLOC) != 0 {
		return fmt.Errorf("section %s of %s is loaded in one input and not in another: rename one of them",
			name, p.inputName())
	}
	out.flags |= flags & kept
	if out.kind == uint32(elf.SHT_NOBITS) && kind != out.kind {
		out.kind = kind
	}
	p.out = out
	out.pieces = append(out.pieces, p)
	return nil
}

// output returns the section called name, made if there is none yet.
func (l *linker) output(name string, kind uint32, flags uint64) *output {
	out := l.outputs[name]
	if out == nil {
		out = &output{name: name, kind: kind, flags: flags, align: 1}
		l.outputs[name] = out
		l.ordered = append(l.ordered, out)
	}
	return out
}

func (p *piece) inputName() string {
	if p.object != nil {
		return p.object.Name
	}
	return "the job"
}
