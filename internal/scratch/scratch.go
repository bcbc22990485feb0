// Package scratch makes folders and files that are needed only while a process works, and removes those of processes that are gone.
//
// A process holds a lock (flock) on what it has made. The kernel gives the lock back however the process ends. So what nobody has locked
// was left behind by a process that was killed, and the next one that makes something here removes it. Only that is removed which this
// package has marked, on this machine and for this user.
package scratch

// This file has what folders and files have in common: their names and locks. A name ends in
//
//	chainbuild-KIND-MACHINE-RANDOM    a folder; without a kind, chainbuild-MACHINE-RANDOM
//	.chainbuild-MACHINE-RANDOM        a file
//
// MACHINE is 8 digits of a hash of the machine's name, since locks on some network file systems are not seen by other machines;
// RANDOM is 8 digits.

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// machine is what tells this machine from others in names.
var machine = sync.OnceValue(func() string {
	name, _ := os.Hostname() // all machines that do not know their name count as one
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("%x", sum[:4])
})

// ending is what the names of this package end in.
func ending() string { return fmt.Sprintf("%s-%08x", machine(), rand.Uint32()) }

// Names that this package gives on this machine.
var (
	folderName = namePattern(`chainbuild-([a-z0-9-]+-)?`)
	fileName   = namePattern(`\..+\.chainbuild-`)
)

func namePattern(beginning string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^" + beginning + machine() + "-[0-9a-f]{8}$") })
}

// lock takes the lock of a file if nobody has it.
func lock(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// isOurs says whether a file or folder is this user's.
func isOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// isStill says whether a file that was opened is still the one of that name.
func isStill(file *os.File, stat func(name string) (fs.FileInfo, error), name string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := stat(name)
	return err == nil && os.SameFile(opened, named)
}
