package pipeline

// This file is how the heap comes from the front worker where the base's objects stay in their places (sysimage.Base.Overlay): the worker says where
// in its memory things are, and waits while its memory is read. It is answered with a byte: that it may leave, or that it has to serialise its heap.

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"chainbuild/sysimage"

	"golang.org/x/sys/unix"
)

// A handover is the pipe with the answer to the front worker, and what has come of it.
type handover struct {
	read, write *os.File
	// taken says that the heap was read; else the worker serialises it. If both are asked for, compared is what was read.
	taken    bool
	compared []byte
}

// The answers.
const (
	answerTaken     = "1"
	answerSerialise = "0"
)

func newHandover() (*handover, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe to the front worker: %w", err)
	}
	return &handover{read: read, write: write}, nil
}

func (h *handover) close() {
	h.read.Close()
	h.write.Close()
}

// handsOver says whether the front worker is to hand its heap over.
func (r *run) handsOver() bool { return r.base.HasOverlays() && !r.options.FullHeap }

// takeHeap writes the heap of the front worker, which waits, to heap. What cannot be written so is left to the worker.
func (f *front) takeHeap(e *frontEvent) error {
	buf, err := f.heap.room(f.base.BlobSize() + sysimage.OverlayRoom)
	if err != nil {
		return err
	}
	blob, stats, err := f.base.Overlay(buf, sysimage.Live{
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
			f.handover.compared = slices.Clone(blob)
		}
		if err := f.heap.empty(); err != nil {
			return err
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
