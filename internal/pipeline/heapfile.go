package pipeline

// This file is how the heap gets from the front worker to the link: in a file that has no name and lies in memory. The worker
// writes it through a descriptor that it is started with, and what chains it has its pages mapped, so that no byte is read
// again or comes to a disk.

import (
	"errors"
	"fmt"
	"os"

	"chainbuild/sysimage"

	"golang.org/x/sys/unix"
)

// A heapFile holds the heap of the front worker.
type heapFile struct {
	file   *os.File
	mapped []byte
	filled []byte // what fill was given
}

func newHeapFile() (*heapFile, error) {
	fd, err := unix.MemfdCreate("heap.blob", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("no memory for the heap: %w", err)
	}
	return &heapFile{file: os.NewFile(uintptr(fd), "heap.blob")}, nil
}

// fill says what the heap is, where the front worker has not written it.
func (h *heapFile) fill(blob []byte) { h.filled = blob }

// blob maps what was written, with room behind it for what sysimage.Base.Chain adds. It is valid until close.
func (h *heapFile) blob() ([]byte, error) {
	if h.filled != nil {
		return h.filled, nil
	}
	info, err := h.file.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size == 0 {
		return nil, errors.New("the front worker wrote no heap")
	}
	if err := h.file.Truncate(size + sysimage.BlobRoom); err != nil {
		return nil, err
	}
	h.mapped, err = unix.Mmap(int(h.file.Fd()), 0, int(size+sysimage.BlobRoom), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("the heap cannot be mapped: %w", err)
	}
	return h.mapped[:size], nil
}

// close gives the memory back.
func (h *heapFile) close() {
	if h.mapped != nil {
		unix.Munmap(h.mapped)
	}
	h.file.Close()
}
