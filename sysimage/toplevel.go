package sysimage

// This file tells which package a module belongs to.

// TopLevel returns the outermost module around a module, not counting Main, which Base is inside of. Both are indices into Modules.
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
