package llvmdriver

// This file drives the workers that compile partitions.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"chainbuild/julia"
	"chainbuild/parallel"
)

// A Partition is a piece of the new code that is compiled by itself.
type Partition struct {
	// Number counts from 1.
	Number int
	// Label is what the hashes of its functions' identities begin with, in binary digits: it stays when others come and go.
	Label string
	// Bitcode is the file that holds its code, as LLVM's bitcode.
	Bitcode string
	// Names is the file that says what the names in its code mean.
	Names string
	// Functions are how many it has.
	Functions int
	// Weight is the number of LLVM instructions before optimisation.
	Weight int64
}

// A Compiler is a pool of worker processes. Its methods may be called by several goroutines at once.
type Compiler struct {
	pool   *parallel.Pool
	target Target
}

// Start starts jobs workers of the given Julia, whose sources are in the folder worker, now or, if lazy, when there is a first partition for each.
// Log gets what they print. Close must be called.
func Start(ctx context.Context, in *julia.Installation, worker string, jobs int, lazy bool, target Target, log io.Writer) (*Compiler, error) {
	pool, err := parallel.NewPool(ctx, parallel.PoolOptions{
		Workers: jobs,
		Lazy:    lazy,
		Output:  log,
		Command: func() *exec.Cmd {
			return in.Command(ctx, "--history-file=no", "-O1", filepath.Join(worker, "emit.jl"))
		},
	})
	if err != nil {
		return nil, err
	}
	return &Compiler{pool: pool, target: target}, nil
}

// Times are what compiling a partition took.
type Times struct {
	Passes, Codegen time.Duration
}

// Compile turns the partition into an object and returns that. Started is told the place in the pool that does it, and again if
// that worker is lost and another one tries, with the reason. The error names the partition.
func (c *Compiler) Compile(ctx context.Context, p Partition, started func(worker int, lost error)) (data []byte, times Times, err error) {
	object := strings.TrimSuffix(p.Bitcode, ".bc") + ".o"
	task := parallel.Task{
		Name:   fmt.Sprintf("partition %d", p.Number),
		Line:   strings.Join([]string{"emit", p.Bitcode, object, strconv.Itoa(c.target.OptLevel), c.target.CPU, c.target.Features}, "\t"),
		Weight: p.Weight,
	}
	var reply struct {
		Passes  int64 `json:"passes_ns"`
		Codegen int64 `json:"codegen_ns"`
	}
	var replyErr, lost error
	err = c.pool.Run(ctx, []parallel.Task{task}, func(u parallel.Update) {
		switch {
		case u.Reply != nil:
			replyErr = json.Unmarshal(u.Reply, &reply)
		case u.Lost != nil:
			lost = u.Lost
		default:
			started(u.Worker, lost)
		}
	})
	if err == nil && replyErr != nil {
		err = fmt.Errorf("%s: its worker's answer cannot be read: %w", task.Name, replyErr)
	}
	if err == nil {
		data, err = os.ReadFile(object)
	}
	return data, Times{time.Duration(reply.Passes), time.Duration(reply.Codegen)}, err
}

// Close ends the workers once they have done what they are at.
func (c *Compiler) Close() { c.pool.Close() }

// PeakRSS is the largest resident set, in bytes, of any worker that is gone.
func (c *Compiler) PeakRSS() int64 { return c.pool.PeakRSS() }
