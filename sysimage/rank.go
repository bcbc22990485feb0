package sysimage

// This file is a set of numbers that finds the last one before a place. It takes little more than a bit for each number that there may be.

import "math/bits"

// A rank is a set of small numbers that knows how many of them come before a number.
type rank struct {
	bits   []uint64
	before []uint32
	count  int
}

func newRank(n int) rank { return rank{bits: make([]uint64, n/64+1)} }

func (r *rank) set(i int) { r.bits[i/64] |= 1 << (i % 64) }

func (r *rank) has(i int) bool { return r.bits[i/64]>>(i%64)&1 != 0 }

// list returns the numbers, times unit and from start on, and makes find work.
func (r *rank) list(unit, start uint32) []uint32 {
	r.before = make([]uint32, len(r.bits))
	for i, word := range r.bits {
		r.before[i] = uint32(r.count)
		r.count += bits.OnesCount64(word)
	}
	all := make([]uint32, 0, r.count)
	for i, word := range r.bits {
		for ; word != 0; word &= word - 1 {
			all = append(all, start+unit*uint32(64*i+bits.TrailingZeros64(word)))
		}
	}
	return all
}

// find returns the place of the largest number that is not larger than i, -1 if there is none.
func (r *rank) find(i int) int {
	return int(r.before[i/64]) + bits.OnesCount64(r.bits[i/64]&(2<<(i%64)-1)) - 1
}
