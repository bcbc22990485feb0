package pipeline

// This file refuses to begin where the room will run out before the end. What a build writes:
//
//	the image            the base's heap again, new code and its tables; a standalone one has the rest of the base besides
//	the scratch folder   new code as bitcode and as objects, and lists: 18 MB for 2,780 new functions of the standard library,
//	                     6.5 kB for each. --keep-scratch copies the heap there
//	memory               the heap as the front worker serialises it, see heapfile.go

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"syscall"

	"chainbuild/elfpatch"
	"chainbuild/internal/words"
	"chainbuild/sysimage"
)

// codeRoom is what new code is expected to need, in bytes, in the image and in the scratch folder. Much code may need more; the check is there to
// tell before the work, not to be exact.
const codeRoom = 32 << 20

// freeSpace returns the bytes that a file in dir may still take, and a number that tells file systems apart. It is a
// variable for the tests: a disk that is full is hard to come by.
var freeSpace = func(dir string) (free, device uint64, err error) {
	var system syscall.Statfs_t
	if err := syscall.Statfs(dir, &system); err != nil {
		return 0, 0, err
	}
	var folder syscall.Stat_t
	if err := syscall.Stat(dir, &folder); err != nil {
		return 0, 0, err
	}
	return system.Bavail * uint64(system.Bsize), folder.Dev, nil
}

// freeMemory returns the bytes of memory and swap that processes may still take, as the kernel estimates it. It too is a variable for the tests.
var freeMemory = func() (free uint64, err error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseMemory(text)
}

// parseMemory reads the content of /proc/meminfo.
func parseMemory(text []byte) (free uint64, err error) {
	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var name string
		var kilobytes uint64
		fmt.Sscan(lines.Text(), &name, &kilobytes)
		if name == "MemAvailable:" || name == "SwapFree:" {
			free += kilobytes << 10
			found++
		}
	}
	if found != 2 {
		return 0, fmt.Errorf("/proc/meminfo does not say how much memory is available")
	}
	return free, nil
}

// checkRoom refuses to begin without the room for an image in outputDir, intermediate files in scratchDir and the heap in memory.
func checkRoom(base *sysimage.Base, o *Options, outputDir, scratchDir string) error {
	heap := uint64(base.Blob.Total) // the new one is about as large
	image := heap + codeRoom
	if o.Layout == elfpatch.Standalone {
		for _, layer := range base.Layers {
			image += uint64(len(layer.Data))
		}
		image -= heap
	}
	scratch := uint64(codeRoom)
	if o.KeepScratch {
		scratch += heap
	}
	taken := map[uint64]uint64{} // by device
	for _, need := range []struct {
		what, dir string
		bytes     uint64
		wayOut    string
	}{
		{"the image", outputDir, image, "make room, or name another place with -o"},
		{"intermediate files", scratchDir, scratch, "make room, or set TMPDIR to another folder"},
	} {
		free, device, err := freeSpace(need.dir)
		if err != nil {
			return refuse("the room in %s cannot be told: %w", need.dir, err)
		}
		taken[device] += need.bytes
		if taken[device] > free {
			return refuse("there is not enough room for %s in %s: about %s are needed and %s are free: %s", need.what, need.dir,
				words.Bytes(int64(taken[device])), words.Bytes(int64(free)), need.wayOut)
		}
	}
	// Where the kernel does not tell, the build finds out.
	if free, err := freeMemory(); err == nil && heap > free {
		return refuse("there is not enough memory for the new heap: about %s are needed and %s are free: end other programs, or add swap space",
			words.Bytes(int64(heap)), words.Bytes(int64(free)))
	}
	return nil
}
