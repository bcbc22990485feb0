package pipeline

// This file reads the heap from the front worker's memory.

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"chainbuild/sysimage"

	"golang.org/x/sys/unix"
)

// An answer is a pipe to the front worker, which waits for a byte of it.
type answer struct{ read, write *os.File }

func newAnswer() (*answer, error) {
	read, write, err := os.Pipe()
	return &answer{read, write}, err
}

func (a *answer) close() {
	a.read.Close()
	a.write.Close()
}

// A processMemory reads the memory of a process.
type processMemory int

func (pid processMemory) ReadAt(p []byte, address int64) (int, error) {
	n, err := unix.ProcessVMReadv(int(pid), []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}, []unix.RemoteIovec{{Base: uintptr(address), Len: len(p)}}, 0)
	if err == nil && n < len(p) {
		err = fmt.Errorf("%d of %d bytes", n, len(p))
	}
	return n, err
}

// takeHeap writes the heap of the front worker, which stands still.
func (f *front) takeHeap(e *frontEvent) error {
	for f.process.Load() == nil {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	live := sysimage.Live{
		Memory: processMemory(f.process.Load().PID()),
		Blob:   e.Type - f.base.DataTypeOffset(), Task: e.Task, Storage: e.Storage, World: e.World, Symbols: e.Symbols,
	}
	if p := os.Getenv("OVERLAY_PROFILE"); p != "" {
		file, _ := os.Create(p)
		runtime.SetCPUProfileRate(1000)
		pprof.StartCPUProfile(file)
		defer pprof.StopCPUProfile()
	}
	blob, stats, err := f.base.Overlay(live)
	fmt.Fprintf(os.Stderr, "OVERLAY %v %+v %v\n", time.Since(began), stats, err)
	if dump := os.Getenv("OVERLAY_DUMP"); dump != "" && err == nil {
		os.WriteFile(dump, blob, 0o600)
		f.answer.write.Write([]byte("0"))
		return nil
	}
	if err != nil {
		f.answer.write.Write([]byte("0"))
		return nil
	}
	if _, err := f.heap.file.Write(blob); err != nil {
		return err
	}
	f.overlay = true
	f.answer.write.Write([]byte("1"))
	return nil
}
