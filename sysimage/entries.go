package sysimage

// This file has C find functions of which there are variants (Base.@ccallable). Dlsym knows one function of a name, so that is a jump through a slot,
// which the loader fills with the variant that it chooses, as it does with slots of the base's functions.

import (
	"maps"
	"slices"

	"chainbuild/elfpatch"
)

// An entry is a new function that C finds by one name or several.
type entry struct {
	names    []string
	function int // in chaining.functions
}

const (
	// entrySection has the slots, 8 bytes each in the order of the functions, from symbol entrySlots on.
	entrySection = ".data.entries"
	entrySlots   = "entry.slots"
)

// hasVariants says that new functions have several.
func (c *chaining) hasVariants() bool {
	return c.index.Variants != nil && len(c.index.Variants.Targets) > 1
}

// findEntries lists the entries where functions have variants. Those that are no functions of code instances become functions of the image.
func (c *chaining) findEntries() {
	if !c.hasVariants() {
		return
	}
	numbers := map[string]int{}
	for i, f := range c.functions {
		numbers[f.symbol] = i
	}
	byFunction := map[int][]string{}
	for _, name := range slices.Sorted(maps.Keys(c.index.Entries)) {
		symbol := c.index.Entries[name]
		i, ok := numbers[symbol]
		if !ok {
			i = len(c.functions)
			numbers[symbol] = i
			c.functions = append(c.functions, newFunction{symbol: symbol})
		}
		byFunction[i] = append(byFunction[i], name)
	}
	for _, i := range slices.Sorted(maps.Keys(byFunction)) {
		c.entries = append(c.entries, entry{byFunction[i], i})
	}
}

// entrySlot is the slot of an entry.
func entrySlot(i int) elfpatch.Address {
	return elfpatch.Address{Symbol: entrySlots, Offset: 8 * uint64(i)}
}

// addEntries has C find the entries' jumps in place of the functions.
func (c *chaining) addEntries(m *Merged) error {
	if len(c.entries) == 0 {
		return nil
	}
	t := &table{section: elfpatch.Section{Name: entrySection, Align: 8, Writable: true}}
	a := new(elfpatch.Asm)
	m.Exports = map[string]string{}
	for i, e := range c.entries {
		t.pointer(elfpatch.Address{Symbol: c.functions[e.function].symbol})
		jump := "entry." + c.functions[e.function].symbol
		a.Begin(jump)
		a.GoMem(elfpatch.AtSymbol(entrySlots, int32(8*i)))
		a.End()
		for _, name := range e.names {
			m.Exports[name] = jump
		}
	}
	t.section.Symbols = []elfpatch.Symbol{{Name: entrySlots, Size: uint64(len(t.section.Data))}}
	m.Sections = append(m.Sections, t.section)
	object, err := a.Object("the functions for C")
	m.objects = append(m.objects, object)
	return err
}
