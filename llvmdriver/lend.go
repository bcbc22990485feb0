package llvmdriver

// This file lends partitions to somebody who compiles them elsewhere, and describes to a machine elsewhere what is to be done for them.

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chainbuild/parallel"
)

// A Loan is a partition that is compiled elsewhere. Its methods may be called by several goroutines at once.
type Loan struct {
	// Partition is what is compiled.
	Partition Partition
	loan      *parallel.Loan
}

// Lend lends partitions that wait, the heaviest first, of no more weight than that together, but at least one. It waits until there is one that no worker
// is free for, and then for no more than the moment for others. It returns nil when ctx has ended or the compiler is closed.
func (c *Compiler) Lend(ctx context.Context, weight int64, moment time.Duration) []*Loan {
	var loans []*Loan
	for _, loan := range c.pool.Lend(ctx, weight, moment) {
		loans = append(loans, &Loan{loan.Task().Lendable.(Partition), loan})
	}
	return loans
}

// Settle hands in the object. It does nothing if a worker was faster, and then returns false.
func (l *Loan) Settle(data []byte, times Times) bool {
	return l.loan.Settle(Compiled{Data: data, Times: times, Elsewhere: true})
}

// Settled is closed when there is an object, whoever has made it, or when none is wanted any more.
func (l *Loan) Settled() <-chan struct{} { return l.loan.Settled() }

// Return gives the partition back.
func (l *Loan) Return() { l.loan.Return() }

// A Batch is what a machine elsewhere does to compile partitions: it runs a Julia with some arguments, in a folder with some files, and that writes others.
type Batch struct {
	// Arguments are those of the Julia. It reads the file Request on its standard input, and answers on descriptor 3.
	Arguments []string
	Request   string
	// Environment is what it finds in its environment besides what each process has, by name.
	Environment map[string]string
	// Files are the contents of the files in the folder, by their paths relative to it, with slashes.
	Files map[string][]byte
	// Objects are the files that it writes, one for each partition, in their order.
	Objects []string
}

// Batch describes how the partitions with this bitcode are compiled by one process.
func (r *Recipe) Batch(partitions []Partition, bitcode [][]byte) *Batch {
	b := &Batch{
		Arguments: slices.Concat(workerOptions, r.options, []string{"-L", checkFile, workerFolder + workerFile}), Request: requestFile,
		Environment: r.environment(), Files: r.workerFiles(),
	}
	var requests strings.Builder
	for i, code := range bitcode {
		from, to := fmt.Sprintf("%d.bc", i+1), fmt.Sprintf("%d.o", i+1)
		b.Files[from] = code
		b.Objects = append(b.Objects, to)
		requests.WriteString(emitRequest(from, to, partitions[i].Target) + "\n")
	}
	b.Files[requestFile] = []byte(requests.String())
	b.Files[checkFile] = []byte(checkScript)
	b.Files["julia.txt"] = fmt.Appendf(nil, "%s\n%s\n%s\n", r.value(juliaVersion), r.value(libJulia), r.value(libLLVM))
	return b
}

// checkScript has a Julia stop that is not the one whose objects are wanted.
//
//go:embed check_julia.jl
var checkScript string

const checkFile = "check_julia.jl"

// Times reads the answers of the Julia that compiled the batch: what each partition took; zero where it did not say.
func (b *Batch) Times(answers []byte) []Times {
	times := make([]Times, len(b.Objects))
	i := 0
	for line := range bytes.Lines(answers) {
		if i < len(times) {
			times[i], _ = readReply(line)
			i++
		}
	}
	return times
}

// JuliaID tells the build of Julia that makes the objects from all others: the build id of its libjulia, in hexadecimal digits.
func (r *Recipe) JuliaID() string { return r.value(libJulia) }

// Elsewhere says why objects cannot be made on another machine; nil: they can.
func (r *Recipe) Elsewhere() error {
	switch {
	case r.target.dependsOnMachine():
		return errors.New("code is compiled for the processor of this machine, which others may not have: give one that all machines have with --cpu-target")
	case !r.hasBuildIDs:
		return errors.New("libjulia or libLLVM has no build id to know it by: take a Julia whose libraries have one, as --build-id of the linker makes it")
	}
	return nil
}
