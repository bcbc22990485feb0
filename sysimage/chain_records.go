package sysimage

// This file learns which functions new code instances have and what goes into new cells.
//
// Julia 1.5: the runtime's serialiser has written records of what is new into the heap, from the handle of emitted code. Records
// of functions of the base are among them.
//
// Julia 1.10: the runtime's serialiser gets no handle, so its heap has no records. The process plants two more lists:
//
//	4 code instances of package images, in the order of the lines "held" of index.txt, then new ones, in that of the lines "code"
//	5 contents of cells: of those of package images, then of new ones, in the order of the lines "gvar"; the words are what gvar_record wants

import "fmt"

// heapRecords are told by the heap's own records.
type heapRecords struct{}

func (heapRecords) planted() int { return 3 }

// functions sorts the new heap's records into those of new functions, which are kept, and those of functions of the base.
func (heapRecords) functions(c *chaining) (list []newFunction, err error) {
	records := c.heap.numbers(c.heap.functions)
	if len(records) > len(c.index.Functions) {
		return nil, fmt.Errorf("%w: the new heap names %d functions, %s %d", ErrDamaged, len(records), c.index.Name, len(c.index.Functions))
	}
	for i, f := range c.index.Functions {
		if f.Symbol == "" {
			if f.Base >= len(c.base.Functions) {
				return nil, fmt.Errorf("%w: %s names function %d of the base, which has %d", ErrDamaged, c.index.Name, f.Base, len(c.base.Functions))
			}
			continue
		}
		record := uint64(0)
		if i < len(records) {
			record = records[i]
		}
		if offset, _, ok := c.heap.functionRecord(record); ok && !c.heap.isCode(uint32(offset)) {
			return nil, fmt.Errorf("%w: the record of new function %s leads to no code instance", ErrDamaged, f.Symbol)
		}
		list = append(list, newFunction{f.Symbol, record})
	}
	return list, nil
}

func (heapRecords) cells(c *chaining, records []byte) ([]byte, error) {
	n := c.heap.cellRecords()
	if n > len(c.index.Globals) {
		return nil, fmt.Errorf("%w: the new heap fills %d cells, %s names %d", ErrDamaged, n, c.index.Name, len(c.index.Globals))
	}
	records = append(records, c.heap.globals.of(c.heap.data)...)
	return append(records, make([]byte, c.heap.form.width*(len(c.index.Globals)-n))...), nil
}

// plantedRecords are told by planted lists.
type plantedRecords struct{}

func (plantedRecords) planted() int { return 5 }

func (plantedRecords) functions(c *chaining) (list []newFunction, err error) {
	fresh, ok := c.objects(c.lists[0], c.heap.isCode)
	if !ok {
		return nil, fmt.Errorf("%w: the new heap's list of new code instances has one that is none", ErrDamaged)
	}
	if err := c.holdCode(fresh[:len(c.index.Held)]); err != nil {
		return nil, err
	}
	fresh = fresh[len(c.index.Held):]
	// numbers are places in list by place in Index.Functions, -1 for functions of the base.
	numbers := make([]int, len(c.index.Functions))
	for i, f := range c.index.Functions {
		numbers[i] = -1
		if f.Symbol != "" {
			numbers[i] = len(list)
			list = append(list, newFunction{symbol: f.Symbol})
		}
	}
	set := func(function int, offset uint32, wrapper bool) error {
		if function >= len(numbers) || numbers[function] < 0 {
			return fmt.Errorf("%w: %s gives a code instance function %d, which is not a new one", ErrDamaged, c.index.Name, function)
		}
		f := &list[numbers[function]]
		if f.record != 0 {
			return fmt.Errorf("%w: %s gives function %s to two code instances", ErrDamaged, c.index.Name, f.symbol)
		}
		f.record = c.heap.makeFunctionRecord(offset, wrapper)
		return nil
	}
	for i, code := range c.index.Code {
		offset := fresh[i]
		if code.Invoke < 0 {
			convention, ok := c.base.layout.code.conventions[code.Invoke]
			if !ok {
				return nil, fmt.Errorf("%w: %s gives new code instance %d calling convention %d", ErrDamaged, c.index.Name, i, code.Invoke)
			}
			if c.heap.word(offset+c.heap.code.invoke) != 0 {
				return nil, fmt.Errorf("%w: new code instance %d of the new heap can be called already", ErrDamaged, i)
			}
			c.setInvoke(offset, c.heap.join(refFunction, convention))
		} else if err := set(code.Invoke, offset, true); err != nil {
			return nil, err
		}
		if code.Spec >= 0 {
			if err := set(code.Spec, offset, false); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func (plantedRecords) cells(c *chaining, records []byte) ([]byte, error) {
	for i, code := range c.lists[1][c.index.Packages.cellCount():] {
		if _, err := c.heap.global(code, nil); err != nil {
			return nil, fmt.Errorf("the new heap has nothing for cell %s: %w", c.index.Globals[i], err)
		}
		records = c.heap.form.appendNumber(records, code)
	}
	return records, nil
}
