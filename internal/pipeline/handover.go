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
	// taken says that the heap was read; else the worker serialises it.
	taken bool
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
	answer := answerSerialise
	if err == nil {
		answer = answerTaken
		f.handover.taken = true
		f.heap.fill(blob)
	} else if !errors.Is(err, sysimage.ErrNoOverlay) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	f.progress.set(func(r *Result) {
		r.Heap = HeapCounts{Overlay: err == nil, Words: stats.Words, Objects: stats.Objects, Bytes: stats.Bytes}
		if err != nil {
			r.Heap.Reason = err.Error()
		}
	})
	_, err = f.handover.write.WriteString(answer)
	return err
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
