package sysimage

// This file tells what an image consists of, in terms of Julia's packages.

import (
	"cmp"
	"slices"
)

// A Package is a top-level module and what belongs to it and to the modules inside of it.
type Package struct {
	Name string
	// Modules counts it and the modules inside of it.
	Modules int
	// Code counts code instances that have native code, Functions their functions: wrappers and bodies.
	Code, Functions int
	// Bytes is the size of those functions for all targets. Padding and helpers without an entry of their own in the
	// function table count towards the function before them.
	Bytes int64
}

// Packages lists the top-level modules of the image, largest code first.
func (b *Base) Packages() ([]Package, error) {
	modules, err := b.codeModules()
	if err != nil {
		return nil, err
	}
	sizes, err := b.functionSizes()
	if err != nil {
		return nil, err
	}
	packages := make([]Package, len(b.Modules))
	for i, m := range b.Modules {
		packages[i].Name = m.Name
		packages[b.TopLevel(i)].Modules++
	}
	for i, c := range b.Code {
		p := &packages[b.TopLevel(modules[i])]
		p.Code++
		for _, f := range []int32{c.Invoke, c.Spec} {
			if f >= 0 {
				p.Functions++
				p.Bytes += sizes[f]
			}
		}
	}
	packages = slices.DeleteFunc(packages, func(p Package) bool { return p.Modules == 0 })
	slices.SortFunc(packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return packages, nil
}

// TopLevel returns the outermost module around a module, not counting Main, which Base is inside of.
func (b *Base) TopLevel(module int) int {
	// Parents of a damaged heap may go round in circles.
	for range b.Modules {
		parent := b.Modules[module].Parent
		if parent == module || b.Modules[parent].Name == "Main" {
			break
		}
		module = parent
	}
	return module
}

// functionSizes returns the bytes of all variants of each function, from where the next code starts.
func (b *Base) functionSizes() ([]int64, error) {
	var starts []uint64
	for _, f := range b.Functions {
		starts = append(starts, f.Variants...)
	}
	for _, im := range b.Layers {
		frames, err := im.EHFrameHdr()
		if err != nil {
			return nil, err
		}
		for _, f := range frames {
			starts = append(starts, f.PC)
		}
		for _, s := range im.Segments {
			if s.Type == ptLoad && s.Flags&pfExecute != 0 {
				starts = append(starts, s.Addr+s.FileSize)
			}
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	sizes := make([]int64, len(b.Functions))
	for i, f := range b.Functions {
		for j, start := range f.Variants {
			if slices.Contains(f.Variants[:j], start) {
				continue
			}
			if next, _ := slices.BinarySearch(starts, start+1); next < len(starts) {
				sizes[i] += int64(starts[next] - start)
			}
		}
	}
	return sizes, nil
}
