package elfpatch

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// manyFunctions is an object of the given number of functions of 1,000 bytes each, with what a compiler puts beside
// them: 12 relocations per function, frames, and a debug section with 20 relocations per function.
func manyFunctions(prefix string, count int) *Object {
	const size, calls, debugFields = 1000, 12, 20
	symbols := []ObjectSymbol{{}, {Section: 1, Type: uint8(elf.STT_SECTION)}, {Section: 3, Type: uint8(elf.STT_SECTION)}}
	first := uint32(len(symbols))
	for i := range count {
		symbols = append(symbols, ObjectSymbol{Name: fmt.Sprint(prefix, i), Section: 1, Value: uint64(i) * size, Size: size,
			Bind: uint8(elf.STB_GLOBAL), Type: uint8(elf.STT_FUNC), Visibility: uint8(elf.STV_HIDDEN)})
	}
	imported := uint32(len(symbols))
	symbols = append(symbols, ObjectSymbol{Name: "imported", Bind: uint8(elf.STB_GLOBAL)})
	text := ObjectSection{Name: ".text", Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Align: 16, Data: make([]byte, count*size)}
	frames := ObjectSection{Name: ".eh_frame", Type: sectionUnwindType, Flags: uint64(elf.SHF_ALLOC), Align: 8, Data: append([]byte{}, stubFrames[:24]...)}
	debug := ObjectSection{Name: ".debug_info", Type: uint32(elf.SHT_PROGBITS), Align: 1, Data: make([]byte, count*debugFields*8)}
	for i := range count {
		at := uint64(i * size)
		for j := range uint64(calls) {
			r := Rela{Offset: at + j*16, Type: uint32(elf.R_X86_64_PLT32), Sym: first + uint32(i*7+int(j))%uint32(count), Addend: -4}
			if j == 0 {
				r.Sym, r.Type = imported, uint32(elf.R_X86_64_GOTPCREL)
			}
			text.Relas = append(text.Relas, r)
		}
		start := uint64(len(frames.Data))
		frames.Data = append(frames.Data, stubFrames[24:]...)
		le.PutUint32(frames.Data[start+4:], uint32(start+4))
		frames.Relas = append(frames.Relas, Rela{Offset: start + 8, Type: uint32(elf.R_X86_64_PC32), Sym: 1, Addend: int64(at)})
		for j := range uint64(debugFields) {
			at := (uint64(i)*debugFields + j) * 8
			debug.Relas = append(debug.Relas, Rela{Offset: at, Type: uint32(elf.R_X86_64_32), Sym: 2, Addend: int64(at)})
		}
	}
	sections := []ObjectSection{{}, text, frames, debug}
	for i := range sections {
		sections[i].Size = uint64(len(sections[i].Data))
	}
	return &Object{Name: prefix + ".o", Sections: sections, Symbols: symbols}
}

// BenchmarkWrite links what a large build has: 30 MB of objects and 130 MB of data with 100,000 fixups.
func BenchmarkWrite(b *testing.B) {
	job := &Job{}
	for i := range 16 {
		job.Objects = append(job.Objects, manyFunctions(fmt.Sprintf("part%d_", i), 1500))
	}
	heap := Section{Name: ".data.heap", Align: 64, Writable: true, Data: make([]byte, 130<<20)}
	for i := range heap.Data {
		heap.Data[i] = byte(i * i >> 7)
	}
	table := Section{Name: ".data.table", Align: 8, Writable: true, Data: make([]byte, 4*100_000)}
	for i := range 100_000 {
		table.Fixups = append(table.Fixups, Fixup{Offset: 4 * uint64(i), Kind: Diff32,
			Target: Address{Symbol: fmt.Sprintf("part%d_%d", i%16, i/16%1500)}, Anchor: Address{Symbol: "part0_0"}})
	}
	job.Sections = []Section{table, heap}
	b.ReportAllocs()
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "image.so"))
		if err != nil {
			b.Fatal(err)
		}
		r, err := Write(f, job)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(r.Bytes)
		f.Close()
		os.Remove(f.Name())
	}
}
