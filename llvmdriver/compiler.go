package llvmdriver

// This file drives the workers that compile partitions.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	// Target is what it is compiled for; Variant is the place of that among several.
	Target  Target
	Variant int
}

// object is the file that it is compiled to.
func (p Partition) object() string {
	path := strings.TrimSuffix(p.Bitcode, ".bc")
	if p.Variant > 0 {
		path += "." + strconv.Itoa(p.Variant)
	}
	return path + ".o"
}

// A Compiler is a pool of worker processes. Its methods may be called by several goroutines at once.
type Compiler struct{ pool *parallel.Pool }

// Options say how partitions are compiled.
type Options struct {
	Julia *julia.Installation
	// Worker is the arguments that make a Julia a compile worker.
	Worker []string
	// Jobs is the number of workers.
	Jobs int
	// Ready is how many workers are started at once; the others are started when they are needed.
	Ready int
	// Slots are needed by workers that are busy; nil: none are.
	Slots parallel.Slots
	// Log gets what the workers print.
	Log io.Writer
}

// Start starts the workers. Close must be called.
func Start(ctx context.Context, o Options) (*Compiler, error) {
	pool, err := parallel.NewPool(ctx, parallel.PoolOptions{
		Workers: o.Jobs,
		Ready:   o.Ready,
		Output:  o.Log,
		Slots:   o.Slots,
		Command: func() *exec.Cmd {
			return o.Julia.Command(ctx, append([]string{"--history-file=no"}, o.Worker...)...)
		},
	})
	if err != nil {
		return nil, err
	}
	return &Compiler{pool}, nil
}

// Times are what compiling a partition took. Passes is 0 where the runtime runs them within code generation, as that of Julia 1.10 does.
type Times struct {
	Passes, Codegen time.Duration
}

// A Compiled partition is an object, and how it was made.
type Compiled struct {
	Data []byte
	Times
	// Elsewhere says that whoever the partition was lent to has made it.
	Elsewhere bool
}

// Compile turns the partition into an object. Started is told the place in the pool that does it, and again if that worker is lost and another one
// tries, with the reason. A partition that may be lent can be settled by who borrows it (Lend). The error names the partition.
func (c *Compiler) Compile(ctx context.Context, p Partition, mayLend bool, started func(worker int, lost error)) (o Compiled, err error) {
	object := p.object()
	task := parallel.Task{
		Name:   fmt.Sprintf("partition %d", p.Number),
		Line:   emitRequest(p.Bitcode, object, p.Target),
		Weight: p.Weight,
	}
	if mayLend {
		task.Lendable = p
	}
	var replyErr, lost error
	err = c.pool.Run(ctx, []parallel.Task{task}, func(u parallel.Update) {
		switch {
		case u.Elsewhere != nil:
			o = u.Elsewhere.(Compiled)
		case u.Reply != nil:
			o.Times, replyErr = readReply(u.Reply)
		case u.Lost != nil:
			lost = u.Lost
		default:
			started(u.Worker, lost)
		}
	})
	if err == nil && replyErr != nil {
		err = fmt.Errorf("%s: its worker's answer cannot be read: %w", task.Name, replyErr)
	}
	if err == nil && !o.Elsewhere {
		o.Data, err = os.ReadFile(object)
	}
	return o, err
}

// readReply reads what a compile worker answers.
func readReply(text []byte) (Times, error) {
	var reply struct {
		Passes  int64 `json:"passes_ns"`
		Codegen int64 `json:"codegen_ns"`
	}
	err := json.Unmarshal(text, &reply)
	return Times{time.Duration(reply.Passes), time.Duration(reply.Codegen)}, err
}

// emitRequest is what a compile worker is asked (julia/worker/compile/emit.jl).
func emitRequest(bitcode, object string, target Target) string {
	verb := "emit"
	if target.OneOfSeveral {
		verb = "variant"
	}
	return strings.Join([]string{verb, bitcode, object, strconv.Itoa(target.OptLevel), target.CPU, target.Features}, "\t")
}

// SetOwn says how many workers may be busy without a slot; at first none.
func (c *Compiler) SetOwn(workers int) { c.pool.SetOwn(workers) }

// SetReady says how many workers are to run before there are partitions, if they are more than was said before.
func (c *Compiler) SetReady(workers int) { c.pool.SetReady(workers) }

// SetLimit says how many workers may be busy at a time, 0 for none until it is called again; at first all may be.
func (c *Compiler) SetLimit(workers int) { c.pool.SetLimit(workers) }

// Close ends the workers once they have done what they are at.
func (c *Compiler) Close() { c.pool.Close() }

// PeakRSS is the largest resident set, in bytes, of any worker that is gone.
func (c *Compiler) PeakRSS() int64 { return c.pool.PeakRSS() }
