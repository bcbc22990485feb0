package sysimage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"chainbuild/elfpatch"
)

// The driver gives links a table and a list of functions, as the runtime of a series has it, and says where the cells lead.
const linksDriver = `
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
static char code[16];
static void *cells[5];
#if DISTANCES
static const int32_t offsets[] = {0, 1, 2, 3, 4, 5}, variants[] = {11, 13};
static const uint32_t indices[] = {1, 0x80000003u};
static struct { const char *base; uint32_t n; const int32_t *offsets; uint32_t nclones; const int32_t *clones; const uint32_t *indices; }
	list = {code, 6, offsets, 2, variants, indices};
#else
static void *pointers[] = {code, code + 1, code + 2, code + 3, code + 4, code + 5}, *variants[] = {code + 11, code + 13};
static const uint32_t indices[] = {1, 0x80000003u};
static struct { uint32_t n; void **pointers; uint32_t nclones; void **clones; const uint32_t *indices; } list = {6, pointers, 2, variants, indices};
#endif
static struct { void *cell; uint64_t function; } table[] = {{&cells[0], 0}, {&cells[1], 1}, {&cells[2], 1}, {&cells[3], 4}, {0, 0}};
int main(int argc, char **argv) {
	void *image = dlopen(argv[1], RTLD_NOW);
	if (!image) { puts(dlerror()); return 1; }
	void *row = table;
	((void (*)(void *, void *))dlsym(image, "fill"))(&row, &list);
	for (int i = 0; i < 5; i++) printf("%d ", cells[i] ? (int)((char *)cells[i] - code) : -1);
	return 0;
}
`

func TestLinks(t *testing.T) {
	for _, form := range []functionList{addressList, distanceList} {
		folder := t.TempDir()
		a := new(elfpatch.Asm)
		a.Begin("fill.links")
		a.Enter(8, elfpatch.RBX, elfpatch.RBP)
		a.Move(elfpatch.RBX, elfpatch.RDI)
		a.Move(elfpatch.RBP, elfpatch.RSI)
		form.assembleLinks(a, elfpatch.RBX, elfpatch.RBP)
		a.Leave()
		a.Return()
		a.End()
		object, err := a.Object("links")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "links.so")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = elfpatch.Write(f, &elfpatch.Job{Objects: []*elfpatch.Object{object}, Exports: map[string]string{"fill": "fill.links"}})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		driver := gcc(t, folder, "driver", linksDriver, fmt.Sprintf("-DDISTANCES=%d", map[bool]int{true: 1}[form.distances]), "-ldl")
		// Function 1 has a variant, and function 4 has none; function 3, which no cell leads to, has one.
		const want = "0 11 11 4 -1 "
		if out, err := exec.Command(driver, path).CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("distances: %v: %v, cells lead to %q instead of %q", form.distances, err, out, want)
		}
	}
}
