package elfpatch

// This file puts the guard, the constructor that guard.go describes, among the objects of a thin image.

import (
	"fmt"
	"strconv"
)

func (l *linker) addGuard() error {
	if l.job.Layout == Standalone {
		return l.checkRedirects()
	}
	spec, names, err := l.guardSpec()
	if err != nil || len(spec.libraries)+len(spec.attached)+len(spec.redirects) == 0 {
		return err
	}
	o, err := guard(spec)
	if err != nil {
		return err
	}
	if err := l.collectObject(o); err != nil {
		return err
	}
	number := len(l.objects) - 1
	for _, p := range l.pieces[number] {
		if p != nil {
			p.guard = true
		}
	}
	// The guard's names are its own: no object can mean the same by them.
	globals := l.globals
	l.globals = names
	defer func() { l.globals = globals }()
	if err := l.defineSymbols(number); err != nil {
		return err
	}
	if err := l.bindSymbols(number, names); err != nil {
		return err
	}
	return l.scanObject(number)
}

// guardSpec says what the guard has to see to, and what the names mean that it leaves undefined.
func (l *linker) guardSpec() (guardSpec, map[string]*symbol, error) {
	spec := guardSpec{moved: l.moved}
	used := make([]bool, len(l.bases))
	for i := range l.pointers {
		if b := l.pointers[i].to.base; b != nil {
			used[b.number] = true
		}
	}
	for i := range l.runs {
		for _, b := range []*base{l.runs[i].to, l.runs[i].from} {
			if b != nil && b.attached {
				return spec, nil, fmt.Errorf("a distance of section %s leads into %s, which only pointers can: use one", l.runs[i].piece.table.Name, b.image.Path)
			}
			if b != nil {
				used[b.number] = true
			}
		}
	}
	redirects, err := l.redirectedImports()
	if err != nil {
		return spec, nil, err
	}
	for _, r := range redirects {
		if r.base != nil {
			used[r.base.number] = true
		}
	}
	checks := make([][]guardCheck, len(l.bases))
	for _, c := range l.job.Check {
		b, err := l.baseOf(c.Base)
		if err != nil {
			return spec, nil, err
		}
		data, err := c.Base.Bytes(c.Addr, c.Size)
		if err != nil {
			return spec, nil, err
		}
		for _, r := range c.Base.Relocs() {
			if r.Offset+8 > c.Addr && r.Offset < c.Addr+c.Size {
				return spec, nil, fmt.Errorf("the range to check at %#x of %s is changed by the loader at %#x: "+
					"choose one of code or constants",
					c.Addr, c.Base.Path, r.Offset)
			}
		}
		used[b.number] = true
		checks[b.number] = append(checks[b.number], guardCheck{addr: c.Addr, data: data})
	}

	names := map[string]*symbol{ImageStart: {name: ImageStart, kind: symbolOutput, out: &output{}}}
	index := make([]int, len(l.bases))
	for number, b := range l.bases {
		if !used[number] || b.attached {
			continue
		}
		if err := l.checkReach(b); err != nil {
			return spec, nil, err
		}
		index[number] = len(spec.libraries)
		library := guardLibrary{path: b.image.Path, checks: checks[number]}
		for _, pin := range b.pins() {
			library.pins = append(library.pins, guardPin{symbol: pin.Name, addr: pin.Value})
			names[pin.Name] = &symbol{name: pin.Name, kind: symbolImport}
		}
		spec.libraries = append(spec.libraries, library)
	}
	if spec.attached, err = l.attached(checks, names); err != nil {
		return spec, nil, err
	}
	place := func(b *base) int {
		if b == nil {
			return guardImage
		}
		return index[b.number]
	}
	tables := map[*piece]string{}
	for i := range l.runs {
		r := &l.runs[i]
		if tables[r.piece] == "" {
			name := "table." + strconv.Itoa(len(tables))
			tables[r.piece] = name
			names[name] = &symbol{name: name, kind: symbolPiece, piece: r.piece}
		}
		spec.runs = append(spec.runs, guardRun{symbol: tables[r.piece], offset: r.offset, count: r.count,
			target: place(r.to), anchor: place(r.from)})
	}
	for i, r := range redirects {
		pointer, to := "import."+strconv.Itoa(i), "redirect."+strconv.Itoa(i)
		names[pointer], names[to] = r.pointer, r.to
		spec.redirects = append(spec.redirects, guardRedirect{pointer, to, r.readOnly})
	}
	return spec, names, nil
}

// pins are exported symbols whose distances tell whether a library is the one that was meant, the first being the one
// that relocations name. The lowest and the highest are among them, so that what lies between can be read without harm.
func (b *base) pins() []DynSymbol {
	pins := []DynSymbol{b.reach}
	if len(b.further) == 0 {
		return pins
	}
	low, high := b.further[0], b.further[0]
	for _, s := range b.further {
		if s.Value < low.Value {
			low = s
		}
		if s.Value > high.Value {
			high = s
		}
	}
	pins = append(pins, low)
	if high.Name != low.Name {
		pins = append(pins, high)
	}
	return pins
}
