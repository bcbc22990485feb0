package sysimage

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"chainbuild/elfpatch"
)

func TestPageRanges(t *testing.T) {
	const mega = 1 << 20
	for _, test := range []struct {
		objects   int
		constants [][2]uint32
		want      [][2]uint64
	}{
		{0, nil, nil},
		{4*mega - 1, nil, nil},
		{4 * mega, nil, [][2]uint64{{0, 4 * mega}}},
		{9*mega + 5000, nil, [][2]uint64{{0, 9*mega + 4096}}},
		{20 * mega, [][2]uint32{{5*mega + 1, 6*mega + 1}, {7 * mega, 8 * mega}}, [][2]uint64{{0, 5 * mega}, {8 * mega, 12 * mega}}},
		{20 * mega, [][2]uint32{{5 * mega, 6*mega + 1}}, [][2]uint64{{0, 5 * mega}, {6*mega + 4096, 14*mega - 4096}}},
	} {
		if got := pageRanges(test.objects, test.constants); !reflect.DeepEqual(got, test.want) {
			t.Errorf("of %d bytes, without %v: %v, not %v", test.objects, test.constants, got, test.want)
		}
	}
}

// The driver loads an image and says how much of its blob is memory of no file, after it has looked at what is there, and how much such memory the
// process has in large pieces. With a second argument the
// process may have that many bytes more of addresses when the image is loaded.
const pagesDriver = `
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
int main(int argc, char **argv) {
	if (argc > 2) {
		unsigned long pages;
		FILE *f = fopen("/proc/self/statm", "r");
		if (fscanf(f, "%lu", &pages) != 1) return 1;
		fclose(f);
		struct rlimit most = {4096 * pages + atol(argv[2]), RLIM_INFINITY};
		setrlimit(RLIMIT_AS, &most);
	}
	void *image = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
	if (!image) { puts(dlerror()); return 1; }
	uint64_t *blob = dlsym(image, "jl_system_image_data"), words = *(uint64_t *)dlsym(image, "jl_system_image_size") / 8;
	for (uint64_t i = 0; i < words; i++)
		if (blob[i] != i) { printf("word %lu is %lu\n", i, blob[i]); return 1; }
	blob[0] = blob[words - 1] = 1; // the memory can be written to
	unsigned long start, end, inode, copied = 0, large = 0;
	char line[4096], may[8];
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%lx-%lx %7s %*x %*x:%*x %lu", &start, &end, may, &inode) == 4 && !inode) {
			unsigned long low = start > (uintptr_t)blob ? start : (uintptr_t)blob, high = end < (uintptr_t)(blob + words) ? end : (uintptr_t)(blob + words);
			if (high > low) copied += high - low;
			if (end - start >= 2 << 20) large += end - start;
		}
	printf("%lu of %lu %s", copied, large, dlsym(image, "chainbuild_pages_2") ? "above" : "alone");
	return 0;
}
`

// An image has its objects in memory of their own, unless there is no room for it, or another image lies on it: then that one has.
func TestPages(t *testing.T) {
	const size, constants = 16 << 20, 3 << 20
	blob := make([]byte, size+4096)
	for i := range len(blob) / 8 {
		le.PutUint64(blob[8*i:], uint64(i))
	}
	ranges := pageRanges(size, [][2]uint32{{constants, constants + 4096}, {size / 2, size/2 + 8192}})
	folder := t.TempDir()
	link := func(name string, number int, bases ...*elfpatch.Image) *elfpatch.Image {
		pages := elfpatch.Section{Name: pagesSection, Align: 8, Symbols: []elfpatch.Symbol{
			{Name: fmt.Sprint(pagesPrefix, number), Export: true}, {Name: pagesRanges, Size: uint64(16 * len(ranges))}}}
		for _, r := range ranges {
			pages.Data, _ = binary.Append(pages.Data, le, r)
		}
		a := new(elfpatch.Asm)
		assemblePages(a, len(ranges), fmt.Sprint(pagesPrefix, number+1))
		object, err := a.Object("pages")
		if err != nil {
			t.Fatal(err)
		}
		sizes := &table{section: elfpatch.Section{Name: tableSection, Align: 8}}
		sizes.blobSize(uint64(len(blob)))
		path := filepath.Join(folder, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = elfpatch.Write(f, &elfpatch.Job{Bases: bases, Objects: []*elfpatch.Object{object}, Sections: []elfpatch.Section{pages, sizes.section, blobSection(blob)}})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		im, err := elfpatch.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { im.Close() })
		return im
	}
	alone := link("alone.so", 1)
	above := link("above.so", 2, alone)
	driver := gcc(t, folder, "driver", pagesDriver, "-ldl")
	copied := uint64(0)
	for _, r := range ranges {
		copied += r[1]
	}
	if len(ranges) != 2 {
		t.Fatalf("the ranges are %v", ranges)
	}
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{[]string{alone.Path}, fmt.Sprintf("%d of %[1]d alone", copied)},
		{[]string{above.Path}, fmt.Sprintf("%d of %[1]d above", copied)},
		{[]string{alone.Path, fmt.Sprint(size + size/3)}, "0 of 0 alone"},
	} {
		out, err := exec.Command(driver, test.arguments...).CombinedOutput()
		if err != nil || string(out) != test.want {
			t.Errorf("%q: %v, it says %q and not %q", test.arguments, err, out, test.want)
		}
	}
}
