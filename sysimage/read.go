package sysimage

// This file makes a Base of an image's tables and heap.

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// read fills a Base whose Layers and layout are set. It returns ErrUnknownFormat with the reason if the image is of another
// layout.
func (b *Base) read() error {
	// The names of the tables tell most other versions apart before anything is read that they have in another form.
	var err error
	if b.tables, err = b.layout.tables(b); err != nil {
		return err
	}
	data, err := blobOf(b)
	if err != nil {
		return err
	}
	if b.heap, err = parseHeap(b.layout, data); err != nil {
		return err
	}
	for _, step := range []func() error{b.readModules, b.readGlobals, b.readCode} {
		if err := step(); err != nil {
			return err
		}
	}
	b.Blob = b.heap.sizes()
	b.collectData()
	return nil
}

// addTargets notes which targets have code of their own for all functions.
func (b *Base) addTargets(list []clones) {
	for i, c := range list {
		b.Targets[i].Complete, b.Targets[i].Fallback = c.complete, c.fallback
	}
}

func (b *Base) readModules() error {
	for _, offset := range b.heap.modules {
		name, ok := b.heap.symbolAt(offset)
		if !ok {
			return fmt.Errorf("%w: the module at offset %d of the heap has no name", ErrDamaged, offset)
		}
		parent, ok := b.heap.object(offset+moduleParent, 0)
		index, found := slices.BinarySearch(b.heap.modules, parent)
		if !ok || !found {
			return fmt.Errorf("%w: module %s of the heap has a parent that is no module", ErrDamaged, name)
		}
		bindings, ok := b.heap.form.bindings(b.heap, offset)
		if !ok {
			return fmt.Errorf("%w: module %s of the heap has no bindings", ErrDamaged, name)
		}
		b.Modules = append(b.Modules, Module{offset, name, index, bindings})
	}
	return nil
}

// readGlobals reads gvar_record.
func (b *Base) readGlobals() error {
	n, cells := b.heap.cellRecords(), len(b.tables.cells())
	if n > cells || n < cells && !b.layout.form.sparse {
		return fmt.Errorf("%w: the heap fills %d cells of native code, of which there are %d", ErrDamaged, n, cells)
	}
	b.Globals = make([]Global, cells)
	for i := range n {
		g, err := b.heap.global(b.heap.cellRecord(i), b.Modules)
		if err != nil {
			return fmt.Errorf("cell %d of native code: %w", i, err)
		}
		b.Globals[i] = g
	}
	return nil
}

// global says what an entry of gvar_record fills a cell with. Modules are those of the heap.
func (h *heap) global(code uint64, modules []Module) (Global, error) {
	if code == 0 && h.form.sparse {
		return Global{}, nil
	}
	switch kind, n := h.split(code); kind {
	case refData, refConst:
		offset, ok := h.place(code)
		switch {
		case ok && kind == refData && h.isBinding(offset):
			return h.boundGlobal(offset, code, modules)
		case ok:
			return Global{Kind: GlobalData, Offset: offset, Code: code}, nil
		}
	case refSymbol:
		if n < uint64(len(h.names)) {
			return Global{Kind: GlobalSymbol, Name: string(h.names[n]), Code: code}, nil
		}
	case refTag:
		if n <= h.max.tag {
			return Global{Kind: GlobalTag, Code: code}, nil
		}
	}
	return Global{}, fmt.Errorf("%w: %#x is no reference", ErrDamaged, code)
}

// boundGlobal finds the module that the binding at offset is written behind.
func (h *heap) boundGlobal(offset uint32, code uint64, modules []Module) (Global, error) {
	i := sort.Search(len(modules), func(i int) bool { return modules[i].Offset > offset }) - 1
	if i >= 0 {
		place := int64(offset) - int64(bindingAt(modules[i].Offset, 0))
		if place >= 0 && place%bindingSize == 0 && place/bindingSize < int64(modules[i].Bindings) {
			if name, ok := h.symbolAt(offset); ok {
				return Global{Kind: GlobalBinding, Offset: offset, Module: i, Name: name, Code: code}, nil
			}
		}
	}
	return Global{}, fmt.Errorf("%w: the binding at offset %d of the heap belongs to no module", ErrDamaged, offset)
}

// collectData fills data.
func (b *Base) collectData() {
	for _, g := range b.Globals {
		if g.Kind == GlobalData {
			b.data = append(b.data, g.Offset)
		}
	}
	slices.Sort(b.data)
	b.data = slices.Compact(b.data)
}

// readCode reads fptr_record.
func (b *Base) readCode() error {
	h := b.heap
	if n := h.functionRecords(); n > len(b.Functions) {
		return fmt.Errorf("%w: the heap names %d functions, of which there are %d", ErrDamaged, n, len(b.Functions))
	}
	var code []CodeInstance
	for i, entry := range h.numbers(h.functions) {
		offset, wrapper, ok := h.functionRecord(entry)
		if !ok {
			continue
		}
		if offset > uint64(h.objects.size) || !h.isCode(uint32(offset)) {
			return fmt.Errorf("%w: the record of function %d leads to no code instance", ErrDamaged, i)
		}
		c := CodeInstance{Offset: uint32(offset), Invoke: -1, Spec: int32(i)}
		if wrapper {
			c.Invoke, c.Spec = c.Spec, -1
		}
		code = append(code, c)
	}
	var err error
	b.Code, err = mergeCode(code)
	return err
}

// mergeCode sorts code instances of which wrapper and body are elements of their own, and makes one of the two.
func mergeCode(code []CodeInstance) ([]CodeInstance, error) {
	slices.SortStableFunc(code, func(a, b CodeInstance) int { return cmp.Compare(a.Offset, b.Offset) })
	merged := code[:0]
	for _, c := range code {
		if n := len(merged); n > 0 && merged[n-1].Offset == c.Offset {
			last := &merged[n-1]
			if c.Invoke >= 0 && last.Invoke >= 0 || c.Spec >= 0 && last.Spec >= 0 {
				return nil, fmt.Errorf("%w: functions %d and %d belong to the same part of a code instance", ErrDamaged,
					max(last.Invoke, last.Spec), max(c.Invoke, c.Spec))
			}
			last.Invoke, last.Spec = max(last.Invoke, c.Invoke), max(last.Spec, c.Spec)
			continue
		}
		merged = append(merged, c)
	}
	return merged, nil
}
