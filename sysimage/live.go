package sysimage

// This file reads the memory of a process that generates an image: the heap of the image that it was started from, as its loader has
// left it and its code has changed it since, and what the process has allocated.

import (
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// pageSize is what is read at once of memory outside of the image: what Julia's collector allocates at once.
const pageSize = 1 << 14

// A liveMemory is the memory of a process, of which the image's part has been read.
type liveMemory struct {
	from io.ReaderAt
	// image is the memory from the address start on.
	image []byte
	start uint64
	pages map[uint64][]byte
	// page is the page that was asked for last, at the address last.
	last uint64
	page []byte
	// err is the first error; what could not be read is zero.
	err error
}

// readLive reads the objects and constants of the image that a process is on and whose blob it has at the address blob. They are read to room, if that
// is large enough.
func readLive(form *heapForm, from io.ReaderAt, blob uint64, room []byte) (*liveMemory, error) {
	m := &liveMemory{from: from, start: blob, pages: map[uint64][]byte{}}
	word := make([]byte, form.width)
	end := 0
	for _, align := range []int{1, form.constantsAlign} {
		if _, err := from.ReadAt(word, int64(blob)+int64(end)); err != nil {
			return nil, fmt.Errorf("the memory of the process cannot be read: %w", err)
		}
		size := form.number(word)
		if size > 1<<32 {
			return nil, fmt.Errorf("%w: the process has no heap at 0x%x", ErrDamaged, blob)
		}
		end = alignInt(end+form.width, align) + int(size)
	}
	if cap(room) < end {
		room = make([]byte, end)
	}
	m.image = room[:end]
	if _, err := inParts(end, func(start, end int) (int, error) {
		return from.ReadAt(m.image[start:end], int64(blob)+int64(start))
	}); err != nil {
		return nil, fmt.Errorf("the memory of the process cannot be read: %w", err)
	}
	return m, nil
}

// inParts calls do for equal parts of size bytes side by side, one for each processor, and returns the results in the order of the parts. They begin at
// words of a bitset.
func inParts[T any](size int, do func(start, end int) (T, error)) ([]T, error) {
	var group errgroup.Group
	each := alignInt(size/runtime.GOMAXPROCS(0)+1, 512)
	results := make([]T, (size+each-1)/each)
	for part := range results {
		group.Go(func() (err error) {
			results[part], err = do(part*each, min((part+1)*each, size))
			return err
		})
	}
	return results, group.Wait()
}

// view is the same memory for another goroutine.
func (m *liveMemory) view() *liveMemory {
	return &liveMemory{from: m.from, image: m.image, start: m.start, pages: map[uint64][]byte{}}
}

// bytes returns n bytes at an address. They are valid until the next call, and not to be written to.
func (m *liveMemory) bytes(address uint64, n int) []byte {
	if at := address - m.start; at < uint64(len(m.image)) && n <= len(m.image)-int(at) {
		return m.image[at : int(at)+n]
	}
	if at := address % pageSize; int(at)+n <= pageSize {
		return m.pageOf(address - at)[at : int(at)+n]
	}
	out := make([]byte, n)
	for done := 0; done < n; {
		at := (address + uint64(done)) % pageSize
		done += copy(out[done:], m.pageOf(address + uint64(done) - at)[at:])
	}
	return out
}

// pageOf returns the page at an address. What of it is not mapped is zero, unless that is all.
func (m *liveMemory) pageOf(address uint64) []byte {
	if address == m.last && m.page != nil {
		return m.page
	}
	page, ok := m.pages[address]
	if !ok {
		page = make([]byte, pageSize)
		if _, err := m.from.ReadAt(page, int64(address)); err != nil {
			readable := false
			for at := 0; at < pageSize; at += 4096 {
				if _, err := m.from.ReadAt(page[at:at+4096], int64(address)+int64(at)); err == nil {
					readable = true
				}
			}
			if !readable && m.err == nil {
				m.err = fmt.Errorf("the memory of the process at 0x%x cannot be read: %w", address, err)
			}
		}
		m.pages[address] = page
	}
	m.last, m.page = address, page
	return page
}

func (m *liveMemory) u64(address uint64) uint64 { return le.Uint64(m.bytes(address, 8)) }
func (m *liveMemory) u32(address uint64) uint32 { return le.Uint32(m.bytes(address, 4)) }

// text reads a string that a zero byte ends.
func (m *liveMemory) text(address uint64) string {
	var out []byte
	for m.err == nil && len(out) < 1<<20 {
		for _, b := range m.bytes(address+uint64(len(out)), int(min(64, pageSize-(address+uint64(len(out)))%pageSize))) {
			if b == 0 {
				return string(out)
			}
			out = append(out, b)
		}
	}
	return string(out)
}

// A symbolTable gives symbols their numbers in a blob.
type symbolTable struct {
	byName    map[string]uint64
	byAddress map[uint64]uint64
	// added are symbols that the base lacks, as a blob has them.
	added []byte
}

func newSymbolTable(h *heap) symbolTable {
	t := symbolTable{byName: make(map[string]uint64, len(h.names)), byAddress: map[uint64]uint64{}}
	for i, name := range h.names {
		t.byName[string(name)] = uint64(i)
	}
	return t
}

// number returns the number of a symbol, which is added if it is new.
func (t *symbolTable) number(address uint64, name string) uint64 {
	n, ok := t.byAddress[address]
	if ok {
		return n
	}
	if n, ok = t.byName[name]; !ok {
		n = uint64(len(t.byName))
		t.byName[name] = n
		t.added = le.AppendUint32(t.added, uint32(len(name)))
		t.added = append(append(t.added, name...), 0)
	}
	t.byAddress[address] = n
	return n
}

// isSymbol says that there is a symbol at an address.
func (o *overlay) isSymbol(address uint64) bool {
	t := o.typeOf(address)
	return t != nil && t.kind == kindSymbol
}

// symbolName is the name of the symbol at an address: two other symbols and a hash come before it (jl_sym_t in src/julia.h).
func (o *overlay) symbolName(address uint64) string { return o.memory.text(address + 24) }
