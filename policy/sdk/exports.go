//go:build wasip1

package sdk

// This file is the functions that chainbuild calls, see docs/policy.md.

import "unsafe"

// buffer is what chainbuild writes a question to, and answered what it reads the answer from. They are held here until the next call.
var buffer, answered []byte

//go:wasmexport chainbuild_policy_version
func exportVersion() uint32 { return Version }

//go:wasmexport chainbuild_policy_questions
func exportQuestions() uint32 { return uint32(questions()) }

//go:wasmexport chainbuild_policy_buffer
func exportBuffer(size uint32) unsafe.Pointer {
	buffer, answered = make([]byte, size), nil
	return unsafe.Pointer(unsafe.SliceData(buffer))
}

// The answer's place is in the upper half of the result, its size in the lower.
//
//go:wasmexport chainbuild_policy_answer
func exportAnswer(question, at, size uint32) uint64 {
	answered = answer(Question(question), buffer[:size])
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(answered))))<<32 | uint64(len(answered))
}
