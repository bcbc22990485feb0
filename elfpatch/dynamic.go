package elfpatch

// This file writes what the dynamic loader reads: symbols, their hash table and versions, relocations and PT_DYNAMIC.
//
// Sizes must be known before addresses can be given, so it is used in two passes:
//
//	var d dynamic
//	d.addNeeded("libbase.so")                          // pass 1: everything that has a size
//	f := d.define("answer", elf.STT_FUNC, 16)
//	m := d.importSym("memcpy", "GLIBC_2.14", "libc.so.6")
//	d.reserveRelas(1)
//	d.reserveTag(elf.DT_INIT_ARRAY)
//	for _, s := range d.layout() { s.addr = … }        // sizes are final; the caller decides on addresses
//	d.setValue(f, addr, sectionIndex)                  // pass 2: everything that is an address
//	d.setTag(elf.DT_INIT_ARRAY, addr)
//	d.rela(gotAddr, elf.R_X86_64_GLOB_DAT, m, 0)
//	err := d.finish()                                  // fills data of each section that layout returned
//
// The loader gets its relocations in the order that is quickest for it: RELATIVE first and counted by DT_RELACOUNT,
// then those with a symbol, all of one symbol together as it remembers the last one looked up, IRELATIVE last since
// their resolvers may use what the others have written.
