package elfpatch

// This file identifies an image by a hash of what it is made from. The hash becomes the build-id, and a part of the name of
// the image's anchor, so that images which differ in anything are never taken for each other. It is a hash of the inputs
// and not of the file, because the file contains it, and because it can then be computed while the link goes on.

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"runtime"
	"sync"
)

// hashPart is how many bytes are hashed as one: large inputs are hashed in parts by several goroutines.
const hashPart = 4 << 20

// jobIdentity hashes everything that decides how the file will look. Bases count by build-id if they have one.
func jobIdentity(job *Job) [sha256.Size]byte {
	var blobs [][]byte
	for _, m := range job.libraries() {
		if id := m.BuildID(); id != nil {
			blobs = append(blobs, id)
		} else {
			blobs = append(blobs, m.Data)
		}
	}
	for _, o := range job.Objects {
		for i := range o.Sections {
			if wanted(&o.Sections[i]) {
				blobs = append(blobs, o.Sections[i].Data)
			}
		}
	}
	for i := range job.Sections {
		blobs = append(blobs, job.Sections[i].Data)
	}
	digests := digestAll(blobs)

	h := &describer{Hash: sha256.New(), number: map[*Image]uint64{nil: 0}}
	h.numbers(uint64(job.Layout), uint64(len(job.Bases)), uint64(len(job.Objects)), uint64(len(job.Sections)),
		uint64(len(job.Slots)))
	h.numbers(uint64(len(job.Attached)))
	for i, m := range job.libraries() {
		h.number[m] = uint64(i + 1)
		h.text(m.Path)
	}
	for _, d := range digests {
		h.Write(d[:])
	}
	for _, o := range job.Objects {
		h.object(o)
	}
	for i := range job.Sections {
		h.section(&job.Sections[i])
	}
	for i := range job.Slots {
		s := &job.Slots[i]
		h.text(s.Name)
		h.address(s.Target)
		h.flag(s.Fixed)
	}
	h.numbers(uint64(len(job.Exports)))
	for _, name := range sortedKeys(job.Exports) {
		h.text(name)
		h.text(job.Exports[name])
	}
	for _, name := range sortedKeys(job.Aliases) {
		h.text(name)
		h.address(job.Aliases[name])
	}
	for _, ranges := range [][]Fingerprint{job.Drop, job.Check} {
		h.numbers(uint64(len(ranges)))
		for _, r := range ranges {
			h.numbers(h.number[r.Base], r.Addr, r.Size)
		}
	}
	h.numbers(uint64(len(job.Redirects)))
	for _, r := range job.Redirects {
		h.numbers(h.number[r.Base])
		h.text(r.Symbol)
		h.text(r.To)
	}
	h.text(string(job.Note))
	return [sha256.Size]byte(h.Sum(nil))
}

// digestAll hashes each blob; a long one as the sequence of the hashes of its parts.
func digestAll(blobs [][]byte) [][sha256.Size]byte {
	var digests [][sha256.Size]byte
	var parts [][]byte
	for _, b := range blobs {
		for len(b) > hashPart {
			parts, b = append(parts, b[:hashPart]), b[hashPart:]
		}
		parts = append(parts, b)
	}
	digests = make([][sha256.Size]byte, len(parts))
	todo := make(chan int, len(parts))
	for i := range parts {
		todo <- i
	}
	close(todo)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range todo {
				digests[i] = sha256.Sum256(parts[i])
			}
		})
	}
	group.Wait()
	return digests
}

// A describer writes values to a hash so that different ones never give the same bytes.
type describer struct {
	hash.Hash
	number  map[*Image]uint64 // of a base, 0 for the new image
	scratch []byte
}

func (h *describer) numbers(values ...uint64) {
	h.scratch = h.scratch[:0]
	for _, v := range values {
		h.scratch = binary.LittleEndian.AppendUint64(h.scratch, v)
	}
	h.Write(h.scratch)
}

func (h *describer) text(s string) {
	h.numbers(uint64(len(s)))
	h.scratch = append(h.scratch[:0], s...)
	h.Write(h.scratch)
}

func (h *describer) flag(b bool) {
	if b {
		h.numbers(1)
	} else {
		h.numbers(0)
	}
}

func (h *describer) address(a Address) {
	h.numbers(h.number[a.Base], a.Offset)
	h.text(a.Symbol)
}

func (h *describer) object(o *Object) {
	h.numbers(uint64(len(o.Sections)), uint64(len(o.Symbols)), uint64(len(o.Groups)))
	for i := range o.Sections {
		s := &o.Sections[i]
		h.text(s.Name)
		h.numbers(uint64(s.Type), s.Flags, s.Align, s.Size, uint64(len(s.Data)), uint64(len(s.Relas)))
		for j := range s.Relas {
			r := &s.Relas[j]
			h.numbers(r.Offset, uint64(r.Type)<<32|uint64(r.Sym), uint64(r.Addend))
		}
	}
	for i := range o.Symbols {
		s := &o.Symbols[i]
		h.text(s.Name)
		h.numbers(uint64(s.Section), s.Value, s.Size, uint64(s.Bind)<<16|uint64(s.Type)<<8|uint64(s.Visibility))
	}
	for _, g := range o.Groups {
		h.text(g.Signature)
		h.flag(g.Comdat)
		for _, m := range g.Members {
			h.numbers(uint64(m))
		}
	}
}

func (h *describer) section(s *Section) {
	h.text(s.Name)
	h.numbers(s.Align, uint64(len(s.Data)), uint64(len(s.Symbols)), uint64(len(s.Fixups)))
	h.flag(s.Writable)
	for _, y := range s.Symbols {
		h.text(y.Name)
		h.numbers(y.Offset, y.Size)
		h.flag(y.Export)
	}
	for i := range s.Fixups {
		f := &s.Fixups[i]
		h.numbers(f.Offset, uint64(f.Kind))
		h.address(f.Target)
		h.address(f.Anchor)
	}
}
