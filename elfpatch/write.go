package elfpatch

// This file writes the image: every byte once, in chunks that a few goroutines copy, relocate and write.
//
// Data of the caller that has no fixups is written from where it lies; the rest passes through a buffer. Only the
// offsets that layOut gave decide where things go, so the order in which chunks get done does not matter.

import (
	"debug/elf"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// chunkSize is about how many bytes are written at a time: enough to make the cost of a system call vanish, little enough
// for what was relocated to be in the cache still.
const chunkSize = 1 << 20

// A chunk is a range of the file. Its make function returns the bytes, in the buffer or elsewhere.
type chunk struct {
	offset uint64
	size   uint64
	make   func(buffer []byte) ([]byte, error)
}

func (l *linker) write(w io.WriterAt) error {
	chunks := l.chunks()
	workers := min(runtime.GOMAXPROCS(0), len(chunks))
	failed := make([]error, len(chunks))
	var next atomic.Int64
	var stop atomic.Bool
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			var buffer []byte
			for !stop.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(chunks) {
					return
				}
				c := &chunks[i]
				if uint64(cap(buffer)) < c.size {
					buffer = make([]byte, max(c.size, chunkSize))
				}
				data, err := c.make(buffer[:c.size])
				if err == nil {
					if _, err = w.WriteAt(data, int64(c.offset)); err != nil {
						err = fmt.Errorf("the image could not be written: %w", err)
					}
				}
				if err != nil {
					failed[i] = err
					stop.Store(true)
				}
			}
		})
	}
	group.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *linker) chunks() []chunk {
	var chunks []chunk
	plain := func(offset uint64, data []byte) { chunks = appendPlain(chunks, offset, data) }
	plain(0, l.fileHeader())
	plain(l.file.headersOffset, l.programHeaders())
	for _, r := range l.carried.ranges {
		plain(r.offset, r.data)
	}
	for _, o := range l.ordered {
		switch {
		case o.kind == uint32(elf.SHT_NOBITS):
		case o.data != nil:
			plain(o.offset, o.data)
		default:
			chunks = l.appendPieces(chunks, o)
		}
	}
	plain(l.file.sections, l.sectionHeaders())
	return chunks
}

// appendPlain cuts data that is written as it is.
func appendPlain(chunks []chunk, offset uint64, data []byte) []chunk {
	for start := 0; start < len(data); start += chunkSize {
		part := data[start:min(start+chunkSize, len(data))]
		chunks = append(chunks, chunk{offset + uint64(start), 0, func([]byte) ([]byte, error) { return part, nil }})
	}
	return chunks
}

// appendPieces cuts a section into chunks: some pieces of objects each, or a part of a section of the caller.
func (l *linker) appendPieces(chunks []chunk, o *output) []chunk {
	for i := 0; i < len(o.pieces); {
		p := o.pieces[i]
		switch {
		case p.table != nil:
			chunks = l.appendTable(chunks, p)
			i++
			continue
		case p.section == nil:
			chunks = appendPlain(chunks, o.offset+p.offset, p.data)
			i++
			continue
		}
		first := i
		fits := func(q *piece) bool { return q.section != nil && q.offset+q.size-p.offset <= chunkSize }
		for i++; i < len(o.pieces) && fits(o.pieces[i]); i++ {
		}
		pieces := o.pieces[first:i]
		last := pieces[len(pieces)-1]
		relocated := func(b []byte) ([]byte, error) { return b, l.copyPieces(b, pieces) }
		chunks = append(chunks, chunk{o.offset + p.offset, last.offset + last.size - p.offset, relocated})
	}
	return chunks
}

// copyPieces copies and relocates adjacent pieces. What alignment leaves between functions stops whoever runs into it.
func (l *linker) copyPieces(b []byte, pieces []*piece) error {
	const trap = 0xcc // int3
	start := pieces[0].offset
	var gap byte
	if pieces[0].out.flags&uint64(elf.SHF_EXECINSTR) != 0 {
		gap = trap
	}
	end := uint64(0)
	for _, p := range pieces {
		at := p.offset - start
		for i := end; i < at; i++ {
			b[i] = gap
		}
		end = at + p.size
		n := copy(b[at:end], p.data)
		clear(b[at+uint64(n) : end])
		if err := l.relocate(b[at:end], p); err != nil {
			return err
		}
	}
	return nil
}

// appendTable cuts a section of the caller at places where no fixup is cut.
func (l *linker) appendTable(chunks []chunk, p *piece) []chunk {
	number := slices.Index(l.tablePieces, p)
	fixups := l.fixups[number]
	for start := uint64(0); start < p.size; {
		end := min(start+chunkSize, p.size)
		within := fixups[:sort.Search(len(fixups), func(i int) bool { return fixups[i].offset >= end })]
		fixups = fixups[len(within):]
		if n := len(within); n > 0 && within[n-1].offset+4 > end {
			end = within[n-1].offset + 4
		}
		data, at := p.data[start:end], start
		c := chunk{p.out.offset + p.offset + start, 0, func([]byte) ([]byte, error) { return data, nil }}
		if len(within) > 0 {
			c.size = end - start
			c.make = func(b []byte) ([]byte, error) {
				copy(b, data)
				return b, l.fix(b, at, within, p)
			}
		}
		chunks = append(chunks, c)
		start = end
	}
	return chunks
}

// fix stores the distances of a range of a section that starts at start.
func (l *linker) fix(b []byte, start uint64, fixups []fixup, p *piece) error {
	for i := range fixups {
		f := &fixups[i]
		distance := int64(l.movedAddr(f.to) - l.movedAddr(f.from))
		if distance != int64(int32(distance)) {
			return fmt.Errorf("section %s: the distance at %#x does not fit 4 bytes: "+
				"link less code and data into one image", p.table.Name, f.offset)
		}
		le.PutUint32(b[f.offset-start:], uint32(int32(distance)))
	}
	return nil
}

func (l *linker) fileHeader() []byte {
	f := &l.file
	return appendFileHeader(nil, elf.ET_DYN, f.headersOffset, len(f.segments), f.sections, l.sectionCount(),
		f.sectionNames.index)
}

func (l *linker) programHeaders() []byte {
	var b []byte
	for i := range l.file.segments {
		b = l.file.segments[i].appendTo(b)
	}
	return b
}

func (l *linker) sectionHeaders() []byte {
	b := (&SectionHeader{}).appendTo(nil, 0)
	for _, sections := range [][]*output{l.carried.sections, l.ordered} {
		for _, o := range sections {
			h := SectionHeader{Type: o.kind, Flags: o.flags, Addr: o.addr, Offset: o.offset, Size: o.size,
				Info: o.info, Align: o.align, EntrySize: o.entrySize}
			if o.linked != nil {
				h.Link = uint32(o.linked.index)
			}
			b = h.appendTo(b, o.nameOffset)
		}
	}
	return b
}

// sectionCount counts the section headers, with the null section.
func (l *linker) sectionCount() int { return 1 + len(l.carried.sections) + len(l.ordered) }
