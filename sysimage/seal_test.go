package sysimage

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func TestSeal(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		base, blob := make([]byte, random.IntN(100)), make([]byte, random.IntN(100))
		for _, b := range [][]byte{base, blob} {
			for i := range b {
				b[i] = byte(random.Uint32())
			}
		}
		sealed := seal(blob, checksum(base))
		if len(sealed) != len(blob)+sealSize {
			t.Fatalf("the seal of %d bytes has %d", len(blob), len(sealed)-len(blob))
		}
		if got, want := crc32.Checksum(sealed, castagnoli), crc32.Checksum(base, castagnoli); got != want {
			t.Fatalf("the checksum is %08x, that of the base %08x", got, want)
		}
	}
}
