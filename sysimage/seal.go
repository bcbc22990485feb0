package sysimage

// This file gives a blob the checksum of another one.
//
// The loader takes the CRC-32C of the whole blob for the high half of each module's build id (jl_restore_system_image in src/staticdata.c). A
// package's cache names the modules of the image that it was made under by their build ids, and refers to the image's objects by their places.
// Where the places are those of the base, the build ids have to be those of the base too: then what was made under the base is right under the
// new image. Eight bytes that nothing reads, at the end of the blob, see to that.

import "hash/crc32"

// sealSize is the size of a seal: four zeros, then the bytes that decide about the checksum.
const sealSize = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is what the loader takes for a part of build ids.
func checksum(blob []byte) uint32 { return crc32.Checksum(blob, castagnoli) }

// seal appends a seal to blob with which it has a checksum.
func seal(blob []byte, wanted uint32) []byte {
	blob = append(blob, 0, 0, 0, 0)
	// Four bytes lead from any state of the register to any other: the way back from the wanted one is known without them.
	register := ^wanted
	for range 4 {
		var i uint32
		for castagnoli[i]>>24 != register>>24 {
			i++
		}
		register = (register^castagnoli[i])<<8 | i
	}
	return le.AppendUint32(blob, register^^checksum(blob))
}
