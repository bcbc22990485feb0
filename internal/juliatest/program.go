package juliatest

// This file writes the programs that tests run.

import (
	"os"
	"syscall"
)

// WriteProgram writes a program that can be run at once, whatever other tests start at that moment. A process that is forked while the file is open for
// writing has it open until it executes another program, and until then the system refuses to run the file ("text file busy"); so nothing is forked here.
func WriteProgram(path string, program []byte, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, program, mode)
}
