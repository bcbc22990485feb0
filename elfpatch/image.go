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
// Symbol (24 bytes, in objects too)
//
//	     0    4 st_name     bytes into the string table
//	     4    1 st_info     binding<<4 | type
//	     5    1 st_other    visibility in the low 2 bits
//	     6    2 st_shndx    section index, 0 is undefined
//	     8    8 st_value
//	    16    8 st_size
//
// Relocation with addend (24 bytes, in objects too)
//
//	     0    8 r_offset
//	     8    4 type
//	    12    4 symbol index
//	    16    8 addend

import "errors"

// Errors that a caller may want to tell apart. They come wrapped with the name of the file.
var (
	// ErrNotELF is returned for a file that is no ELF file at all.
	ErrNotELF = errors.New("not an ELF file")
	// ErrMachine is returned for an ELF file of another machine, word size or byte order than x86-64.
	ErrMachine = errors.New("not made for x86-64")
	// ErrNotShared is returned for an ELF file that is no shared object: an executable, a relocatable object, a core file.
	ErrNotShared = errors.New("not a shared object")
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

// A DynSymbol is an entry of the dynamic symbol table.
type DynSymbol struct {
	Name        string
	Value, Size uint64
	Info, Other uint8  // as in the file: binding and type, visibility
	Shndx       uint16 // 0 if undefined
	// Version is such as "GLIBC_2.2.5", or "" if the symbol has none. VersionLib is the library that an undefined
	// symbol's version is expected in, such as "libc.so.6".
	Version, VersionLib string
}

// A Rela is a relocation with addend, of an image or of an object's section.
type Rela struct {
	// Offset is a virtual address in an image, and counts from the start of its section in an object.
	Offset uint64
	// Type is such as R_X86_64_RELATIVE. Sym is an index into Image.DynSymbols or Object.Symbols.
	Type, Sym uint32
	Addend    int64
}

// An FDE is an entry of the sorted search table of .eh_frame_hdr.
type FDE struct {
	PC   uint64 // virtual address of the first instruction that it describes
	Addr uint64 // virtual address of the frame description entry in .eh_frame
}
