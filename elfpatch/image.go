package elfpatch

// This file reads shared objects: the images that a new one builds on.
//
// What the dynamic loader uses is taken from where the loader takes it, the program headers and PT_DYNAMIC, since
// section headers may be stripped. Section headers only add what the loader ignores: debug information and .symtab.
// The file is foreign: every offset, address and count is checked against its size before it is used, so that a
// damaged file is an error and never a panic or a large allocation.
//
// ELF header (64 bytes; System V gABI chapter 4)
//
//	offset size field
//	     0    4 magic 7f 45 4c 46
//	     4    1 class: 2 is 64 bit
//	     5    1 data: 1 is little endian
//	    16    2 e_type: 3 is ET_DYN
//	    18    2 e_machine: 62 is x86-64
//	    32    8 e_phoff; 54: 2 e_phentsize (56); 56: 2 e_phnum
//	    40    8 e_shoff; 58: 2 e_shentsize (64); 60: 2 e_shnum; 62: 2 e_shstrndx
//
// Program header (56 bytes)
//
//	     0    4 p_type
//	     4    4 p_flags
//	     8    8 p_offset    bytes from the start of the file
//	    16    8 p_vaddr     virtual address
//	    32    8 p_filesz    bytes
//	    40    8 p_memsz     bytes
//	    48    8 p_align     bytes
//
// Section header (64 bytes)
//
//	     0    4 sh_name     bytes into the section name table
//	     4    4 sh_type
//	     8    8 sh_flags
//	    16    8 sh_addr     virtual address, 0 if not loaded
//	    24    8 sh_offset   bytes from the start of the file
//	    32    8 sh_size     bytes
//	    40    4 sh_link     section index
//	    44    4 sh_info
//	    48    8 sh_addralign
//	    56    8 sh_entsize
//
// Tables that the dynamic section leads to are in imagedynamic.go.

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Errors that a caller may want to tell apart. They come wrapped with the name of the file.
var (
	// ErrNotELF is returned for a file that is no ELF file at all.
	ErrNotELF = errors.New("not an ELF file")
	// ErrMachine is returned for an ELF file of another machine, word size or byte order than x86-64.
	ErrMachine = errors.New("not made for x86-64")
	// ErrNotShared is returned for an ELF file that is no shared object: an executable, a relocatable object, a core file.
	ErrNotShared = errors.New("not a shared object")
	// ErrNotObject is returned for an ELF file that is no relocatable object.
	ErrNotObject = errors.New("not a relocatable object")
	// ErrDamaged is returned for an ELF file whose contents contradict each other or its size.
	ErrDamaged = errors.New("damaged")
)

// An Image is a shared object, opened for reading. All of it may be used by several goroutines at once.
type Image struct {
	// Path as it was given to Open or Parse.
	Path string
	// Data is the whole file. It is valid until Close and must not be written to.
	Data []byte
	// Segments are the program headers, in file order.
	Segments []Segment
	// Sections are the section headers, in file order with the null section at 0. Empty if the file has none.
	Sections []SectionHeader

	dynamic dynamicInfo
	buildID []byte
	note    []byte
	moved   uint64
	unmap   func() error
}

// A Segment is a program header.
type Segment struct {
	Type, Flags uint32 // PT_LOAD …, PF_R|PF_W|PF_X
	Offset      uint64 // bytes from the start of the file
	Addr        uint64 // virtual address
	FileSize    uint64 // bytes in the file
	MemSize     uint64 // bytes in memory; what FileSize does not cover is zero
	Align       uint64
}

// A SectionHeader is a section header with its name resolved.
type SectionHeader struct {
	Name       string
	Type       uint32 // SHT_PROGBITS …
	Flags      uint64 // SHF_ALLOC|…
	Addr       uint64 // virtual address, 0 if not loaded
	Offset     uint64 // bytes from the start of the file
	Size       uint64 // bytes, in memory only for SHT_NOBITS
	Link, Info uint32
	Align      uint64
	EntrySize  uint64
}

// Open maps the shared object at path and parses it. Errors are those of Parse and of opening a file.
func Open(path string) (*Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the image cannot be opened: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("the image cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() < headerSize {
		return nil, notELF(path)
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be mapped into memory: %w", path, err)
	}
	image, err := Parse(path, data)
	if err != nil {
		syscall.Munmap(data)
		return nil, err
	}
	image.unmap = func() error { return syscall.Munmap(data) }
	return image, nil
}

// Close releases the file. Data, and every slice that a method returned, must not be used any more.
func (m *Image) Close() error {
	if m.unmap == nil {
		return nil
	}
	unmap := m.unmap
	m.unmap, m.Data = nil, nil
	if err := unmap(); err != nil {
		return fmt.Errorf("%s cannot be unmapped: %w", m.Path, err)
	}
	return nil
}

// Parse reads a shared object that is in memory already. Name is used as its path and in messages. The image refers to
// data, which must not change. Errors wrap ErrNotELF, ErrMachine, ErrNotShared or ErrDamaged.
func Parse(name string, data []byte) (*Image, error) {
	header, err := parseHeader(name, data)
	if err != nil {
		return nil, err
	}
	if header.kind != elf.ET_DYN {
		return nil, fmt.Errorf("%s is %w: give an image that was linked with -shared, such as a .so file", name, ErrNotShared)
	}
	m := &Image{Path: name, Data: data}
	if m.Segments, err = header.segments(); err != nil {
		return nil, err
	}
	if m.Sections, err = header.sections(); err != nil {
		return nil, err
	}
	if err := m.parseDynamic(); err != nil {
		return nil, err
	}
	m.parseNotes()
	return m, nil
}

// Bytes returns size bytes at a virtual address. It is an error if the file does not hold all of them: outside of
// every loaded segment, or in the part of one that is zero and has no bytes in the file.
func (m *Image) Bytes(addr, size uint64) ([]byte, error) {
	for i := range m.Segments {
		s := &m.Segments[i]
		if s.Type != uint32(elf.PT_LOAD) || addr < s.Addr || addr-s.Addr > s.FileSize {
			continue
		}
		if offset := addr - s.Addr; size <= s.FileSize-offset {
			from := s.Offset + offset
			return m.Data[from : from+size : from+size], nil
		}
	}
	return nil, fmt.Errorf("%s has no %d bytes at address %#x: it is %w or not the image that was meant", m.Path, size, addr, ErrDamaged)
}

// EndAddr is the lowest virtual address above all loaded segments.
func (m *Image) EndAddr() uint64 {
	var end uint64
	for i := range m.Segments {
		if s := &m.Segments[i]; s.Type == uint32(elf.PT_LOAD) {
			end = max(end, s.Addr+s.MemSize)
		}
	}
	return end
}

// Section returns the contents of the first section called name and its virtual address, 0 if it is not loaded. A
// section without bytes in the file (SHT_NOBITS) counts as absent.
func (m *Image) Section(name string) (data []byte, addr uint64, ok bool) {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Name == name && s.Type != uint32(elf.SHT_NOBITS) {
			return m.SectionData(s), s.Addr, true
		}
	}
	return nil, 0, false
}

// SectionData returns the contents of one of the image's sections, nil if it has no bytes in the file.
func (m *Image) SectionData(s *SectionHeader) []byte {
	if s.Type == uint32(elf.SHT_NOBITS) || s.Type == uint32(elf.SHT_NULL) {
		return nil
	}
	return m.Data[s.Offset : s.Offset+s.Size : s.Offset+s.Size]
}

// Sizes in bytes of the structures of a 64 bit ELF file.
const (
	headerSize        = 64
	programHeaderSize = 56
	sectionHeaderSize = 64
	symbolSize        = 24
	relaSize          = 24
	dynSize           = 16
)

var le = binary.LittleEndian

func notELF(name string) error {
	return fmt.Errorf("%s is %w: give a shared object for x86-64 Linux", name, ErrNotELF)
}

// damaged says what is wrong with the file called name.
func damaged(name, format string, args ...any) error {
	return fmt.Errorf("%s is %w, %s: build or install it again", name, ErrDamaged, fmt.Sprintf(format, args...))
}

// A fileHeader is the checked ELF header of an image or of an object.
type fileHeader struct {
	name string
	data []byte
	kind elf.Type
}

func parseHeader(name string, data []byte) (*fileHeader, error) {
	if len(data) < 4 || string(data[:4]) != elf.ELFMAG {
		return nil, notELF(name)
	}
	if len(data) < headerSize {
		return nil, damaged(name, "its header is cut off after %d bytes", len(data))
	}
	machine := elf.Machine(le.Uint16(data[18:]))
	if elf.Class(data[4]) != elf.ELFCLASS64 || elf.Data(data[5]) != elf.ELFDATA2LSB || machine != elf.EM_X86_64 {
		return nil, fmt.Errorf("%s is %w (%s, %s, %s): give one for x86-64 Linux",
			name, ErrMachine, elf.Class(data[4]), elf.Data(data[5]), machine)
	}
	return &fileHeader{name, data, elf.Type(le.Uint16(data[16:]))}, nil
}

// table returns count entries of size bytes each at a file offset.
func (h *fileHeader) table(what string, offset, count, size uint64) ([]byte, error) {
	length := uint64(len(h.data))
	if offset > length || count > (length-offset)/size {
		return nil, damaged(h.name, "%d %s at offset %#x do not fit its %d bytes", count, what, offset, length)
	}
	return h.data[offset : offset+count*size : offset+count*size], nil
}

func (h *fileHeader) segments() ([]Segment, error) {
	count := uint64(le.Uint16(h.data[56:]))
	if size := le.Uint16(h.data[54:]); count > 0 && size != programHeaderSize {
		return nil, damaged(h.name, "its program headers have %d bytes instead of %d", size, programHeaderSize)
	}
	table, err := h.table("program headers", le.Uint64(h.data[32:]), count, programHeaderSize)
	if err != nil {
		return nil, err
	}
	segments := make([]Segment, 0, count)
	for ; len(table) > 0; table = table[programHeaderSize:] {
		s := Segment{
			Type: le.Uint32(table), Flags: le.Uint32(table[4:]),
			Offset: le.Uint64(table[8:]), Addr: le.Uint64(table[16:]),
			FileSize: le.Uint64(table[32:]), MemSize: le.Uint64(table[40:]), Align: le.Uint64(table[48:]),
		}
		if _, err := h.table("bytes of a segment", s.Offset, s.FileSize, 1); err != nil {
			return nil, err
		}
		if s.Type == uint32(elf.PT_LOAD) && (s.MemSize < s.FileSize || s.Addr+s.MemSize < s.Addr) {
			return nil, damaged(h.name, "a segment at address %#x has the size %#x", s.Addr, s.MemSize)
		}
		segments = append(segments, s)
	}
	return segments, nil
}

func (h *fileHeader) sections() ([]SectionHeader, error) {
	offset := le.Uint64(h.data[40:])
	if offset == 0 {
		return nil, nil
	}
	if size := le.Uint16(h.data[58:]); size != sectionHeaderSize {
		return nil, damaged(h.name, "its section headers have %d bytes instead of %d", size, sectionHeaderSize)
	}
	first, err := h.table("section headers", offset, 1, sectionHeaderSize)
	if err != nil {
		return nil, err
	}
	// Numbers that do not fit the ELF header are in the null section.
	count, names := uint64(le.Uint16(h.data[60:])), uint64(le.Uint16(h.data[62:]))
	if count == 0 {
		count = le.Uint64(first[32:])
	}
	if names == uint64(elf.SHN_XINDEX) {
		names = uint64(le.Uint32(first[40:]))
	}
	table, err := h.table("section headers", offset, count, sectionHeaderSize)
	if err != nil {
		return nil, err
	}
	sections := make([]SectionHeader, 0, count)
	for t := table; len(t) > 0; t = t[sectionHeaderSize:] {
		s := SectionHeader{
			Type: le.Uint32(t[4:]), Flags: le.Uint64(t[8:]),
			Addr: le.Uint64(t[16:]), Offset: le.Uint64(t[24:]), Size: le.Uint64(t[32:]),
			Link: le.Uint32(t[40:]), Info: le.Uint32(t[44:]),
			Align: le.Uint64(t[48:]), EntrySize: le.Uint64(t[56:]),
		}
		if s.Type != uint32(elf.SHT_NOBITS) && s.Type != uint32(elf.SHT_NULL) {
			if _, err := h.table("bytes of a section", s.Offset, s.Size, 1); err != nil {
				return nil, err
			}
		}
		sections = append(sections, s)
	}
	if names >= count {
		return nil, damaged(h.name, "its section names are in section %d of %d", names, count)
	}
	var nameTable stringTable
	if s := &sections[names]; s.Type == uint32(elf.SHT_STRTAB) {
		nameTable = stringTable(h.data[s.Offset : s.Offset+s.Size])
	}
	for i := range sections {
		name, ok := nameTable.at(le.Uint32(table[i*sectionHeaderSize:]))
		if !ok && names != 0 {
			return nil, damaged(h.name, "the name of section %d lies outside of its string table", i)
		}
		sections[i].Name = name
	}
	return sections, nil
}

// A stringTable holds zero-terminated strings. It is copied out of the file once; the strings share its memory, so that
// names outlive the file and a table in which all names overlap costs no more than another.
type stringTable string

// maxName is the length in bytes beyond which a name is taken for damage: it bounds the time spent on looking for the
// end of each of many names in a table without zeros.
const maxName = 1 << 16

// at returns the string at an offset in bytes.
func (t stringTable) at(offset uint32) (string, bool) {
	if uint64(offset) >= uint64(len(t)) {
		return "", false
	}
	rest := string(t[offset:])
	end := strings.IndexByte(rest[:min(len(rest), maxName)], 0)
	if end < 0 {
		return "", false
	}
	return rest[:end], true
}
