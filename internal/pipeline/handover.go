package pipeline

// This file is how the heap comes from the front worker where the base's objects stay in their places (sysimage.Base.Overlay): the worker says where
// in its memory things are, and waits while its memory is read. It is answered with a byte: that it may leave, or that it has to serialise its heap.

import (
	"errors"
	"fmt"
	"os"

	"chainbuild/sysimage"

	"golang.org/x/sys/unix"
)

// A handover is the pipe with the answer to the front worker, and what has come of it.
type handover struct {
	read, write *os.File
	// underlay is the base, ready for the overlay, once ready is closed; nil if the heap is not handed over.
	underlay *sysimage.Underlay
	err      error
	ready    chan struct{}
	rooms    [][]byte
	// taken says that the heap was read; else the worker serialises it. If both are asked for, compared is what was read.
	taken    bool
	compared []byte
}

// The answers.
const (
	answerTaken     = "1"
	answerSerialise = "0"
)

// newHandover makes the pipe. It begins to prepare the base, which takes as long as the front worker needs to start.
func (r *run) newHandover() (*handover, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe to the front worker: %w", err)
	}
	h := &handover{read: read, write: write, ready: make(chan struct{})}
	if !r.handsOver() {
		close(h.ready)
		return h, nil
	}
	go func() {
		defer close(h.ready)
		h.underlay, h.err = r.base.Underlay(h.room)
	}()
	return h, nil
}

// spareRoom is how many bytes more than the base's blob an overlay may need, and does not touch in most cases.
const spareRoom = 512 << 20

// room is memory of large pages, where there are any: with small ones, the first touch of each costs more than what is done with it.
func (h *handover) room(size int64) ([]byte, error) {
	room, err := unix.Mmap(-1, 0, int(size+spareRoom), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("no memory for the heap: %w", err)
	}
	h.rooms = append(h.rooms, room)
	// Where a kernel cannot do this, it is slower.
	unix.Madvise(room, unix.MADV_HUGEPAGE)
	return room[:size], nil
}

// close gives all back, the memory with the heap too.
func (h *handover) close() {
	<-h.ready
	h.read.Close()
	h.write.Close()
	for _, room := range h.rooms {
		unix.Munmap(room)
	}
}

// handsOver says whether the front worker is to hand its heap over.
func (r *run) handsOver() bool { return r.base.HasOverlays() && !r.options.FullHeap }

// takeHeap writes the heap of the front worker, which waits, to heap. What cannot be written so is left to the worker.
func (f *front) takeHeap(e *frontEvent) error {
	<-f.handover.ready
	if f.handover.err != nil {
		return f.handover.err
	}
	blob, stats, err := f.handover.underlay.Overlay(sysimage.Live{
		Memory: processMemory(e.PID), Any: e.Any, Task: e.Task, Storage: e.Storage, World: e.World, Symbols: e.Symbols,
	})
	if err != nil && !errors.Is(err, sysimage.ErrNoOverlay) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	f.handover.taken = err == nil
	f.progress.set(func(r *Result) {
		r.Heap = HeapCounts{Overlay: err == nil, Words: stats.Words, Objects: stats.Objects, Bytes: stats.Bytes}
		if err != nil {
			r.Heap.Reason = err.Error()
		}
	})
	answer := answerTaken
	if f.handover.taken && !f.options.VerifyHeap {
		f.heap.fill(blob)
	} else {
		answer = answerSerialise
		if f.handover.taken {
			f.handover.compared = blob
		}
	}
	_, err = f.handover.write.WriteString(answer)
	return err
}

// verifyHeap compares the heap that was read, if it was, with the one that Julia has serialised, and puts it in its place.
func (f *front) verifyHeap() error {
	if f.handover.compared == nil {
		return nil
	}
	serialised, err := f.heap.blob()
	if err != nil {
		return err
	}
	if err := f.base.SameHeaps(f.handover.compared, serialised); err != nil {
		return fmt.Errorf("%w; report this", err)
	}
	f.heap.fill(f.handover.compared)
	return nil
}

// A processMemory reads the memory of the process with that id, at addresses as offsets.
type processMemory int

func (pid processMemory) ReadAt(p []byte, address int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	n, err := unix.ProcessVMReadv(int(pid), local, []unix.RemoteIovec{{Base: uintptr(address), Len: len(p)}}, 0)
	if err == nil && n < len(p) {
		err = fmt.Errorf("of %d bytes at 0x%x there are %d", len(p), address, n)
	}
	return n, err
}
