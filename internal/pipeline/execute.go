package pipeline

// This file has the remote cache's server compile partitions, beside the workers of this machine.
//
// Partitions that no cache has wait for a worker. What waits is lent to the server in batches, so that it starts a Julia once for many. The workers go
// on as if there were no server: they take what is not lent first, and what is lent when nothing else is left. So a server that is slow or hangs costs
// nothing but the partitions that a worker could have begun in another order; and whoever is first with an object has the other one stop.
//
// A batch is an action of its own (llvmdriver/lend.go). Its objects are checked and then go the way of all others: into the local cache, and to the
// remote one under the action of each partition, if results are stored there at all.
//
// What the server cannot do is compiled here. It is warned of once for each kind of failure, and after some failures in a row the server gets no more.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"chainbuild/elfpatch"
	"chainbuild/internal/settings"
	"chainbuild/internal/words"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/objcache/remote"

	"golang.org/x/sys/unix"
)

const (
	// batchWeight is the most that a batch weighs, in LLVM instructions, unless it is one partition: two or three seconds of compiling, where the start of a
	// Julia takes one.
	batchWeight = 60_000
	// batchMoment is how long a batch waits for further partitions.
	batchMoment = 200 * time.Millisecond
	// batchesAtOnce is how many batches the server has at a time.
	batchesAtOnce = 32
	// batchTimeout is how long a batch may run, not counting how long it waits for a machine.
	batchTimeout = 10 * time.Minute
	// mostFailures is how many batches fail in a row before the server gets no more.
	mostFailures = 3
	// lateWarning is how long a server has to have had a batch to be warned of that it did none.
	lateWarning = 10 * time.Second
)

// An executor gives partitions to the server.
type executor struct {
	*compiler
	julia *elsewhereJulia

	mu       sync.Mutex // guards what follows
	warned   map[string]bool
	failures int  // in a row
	ended    bool // a batch has come back, with whatever
	first    time.Time
	off      bool
}

// An elsewhereJulia is how a machine elsewhere gets the Julia.
type elsewhereJulia struct {
	// script starts the program with the arguments that the script has.
	script   string
	folders  map[string]*remote.Folder
	platform map[string]string
	mapped   map[string][]byte // files that are mapped to memory, by their paths
}

// startExecuting begins to give partitions to the server, in the background. The returned function ends that.
func (c *compiler) startExecuting(ctx context.Context) (end func()) {
	if c.remote == nil {
		return func() {}
	}
	c.progress.set(func(r *Result) { r.execution = &ExecutionCounts{} })
	ctx, cancel := context.WithCancel(ctx)
	e := &executor{compiler: c, warned: map[string]bool{}, julia: &elsewhereJulia{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.execute(ctx)
	}()
	return func() {
		cancel()
		<-done
		if !e.ended && !e.first.IsZero() && time.Since(e.first) > lateWarning && !e.off {
			e.warn("late", fmt.Sprintf("the server of the remote cache %s has compiled nothing of what it was given, the first of it %s ago: see to its workers, or leave out --remote-exec",
				c.remote.URL(), words.Seconds(time.Since(e.first))))
		}
	}
}

// execute gives partitions to the server until ctx ends.
func (e *executor) execute(ctx context.Context) {
	defer e.julia.close()
	if err := e.prepare(ctx); err != nil {
		if ctx.Err() == nil {
			e.stop(err)
		}
		return
	}
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, batchesAtOnce)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if e.isOff() {
			return
		}
		loans := e.pool.Lend(ctx, batchWeight, batchMoment)
		if loans == nil {
			return
		}
		all.Go(func() {
			e.batch(ctx, loans)
			<-slots
		})
	}
}

// prepare finds out whether the server and other machines can compile what is wanted, and makes ready how they get the Julia.
func (e *executor) prepare(ctx context.Context) error {
	if err := e.recipes[0].Elsewhere(); err != nil {
		return err
	}
	if err := e.remote.Executes(ctx); err != nil {
		return err
	}
	e.julia.platform = map[string]string{"OSFamily": "linux", "ISA": "x86-64"}
	if e.options.Remote.Julia == settings.JuliaTree {
		if err := e.julia.take(ctx, e.compiler.julia); err != nil {
			return err
		}
	} else {
		e.julia.script = `exec "${CHAINBUILD_JULIA:-julia}" "$@"`
		e.julia.platform["chainbuild-julia"] = e.recipes[0].JuliaID()
	}
	e.julia.platform = e.options.Remote.Properties.On(e.julia.platform)
	return nil
}

// take has the Julia go along, as the folder julia.
func (j *elsewhereJulia) take(ctx context.Context, in *julia.Installation) error {
	portable, err := in.Portable(ctx)
	if err != nil {
		return err
	}
	files := map[string]remote.File{}
	j.mapped = map[string][]byte{}
	for name, path := range portable.Files {
		if j.mapped[path] == nil {
			if j.mapped[path], err = mapFile(path); err != nil {
				return err
			}
		}
		files[name] = remote.File{Data: j.mapped[path], Executable: name == portable.Program}
	}
	// Some Julias have their libraries searched where the system has its own.
	var libraries []string
	for _, folder := range portable.Libraries {
		libraries = append(libraries, "$PWD/julia/"+folder)
	}
	j.script = fmt.Sprintf(`LD_LIBRARY_PATH="%s" exec "$PWD/julia/%s" "$@"`, strings.Join(libraries, ":"), portable.Program)
	j.folders = map[string]*remote.Folder{"julia": remote.NewFolder(files, nil)}
	return nil
}

// close ends the use of its files.
func (j *elsewhereJulia) close() {
	for _, data := range j.mapped {
		unix.Munmap(data)
	}
}

// mapFile maps a file to memory: it is read when it is hashed, and again if it is sent.
func mapFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be mapped: %w", path, err)
	}
	return data, nil
}

// batch has the server compile partitions, and gives back what it does not.
func (e *executor) batch(ctx context.Context, loans []*llvmdriver.Loan) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for _, loan := range loans {
			select {
			case <-loan.Settled():
			case <-ctx.Done():
				return
			}
		}
		cancel() // nobody wants it any more
	}()
	began := time.Now()
	e.begin(began)
	e.progress.batchBegan(len(loans))
	executed, late := 0, 0
	err := e.compile(ctx, loans, func(loan *llvmdriver.Loan, data []byte, times llvmdriver.Times) {
		if loan.Settle(data, times) {
			executed++
		}
	})
	stopped := ctx.Err() != nil
	for _, loan := range loans {
		select {
		case <-loan.Settled():
			late++
		default:
			loan.Return()
		}
	}
	late -= executed
	if stopped {
		err = nil // nobody waited for it
	} else {
		e.end(err)
	}
	e.progress.batchEnded(began, len(loans), executed, late, err)
}

// A batchError is a batch that the server has run in vain, at least in part: the fault may be the Julia's.
type batchError struct{ says string }

func (b *batchError) Error() string { return b.says }

// compile has the server compile partitions, and calls made with each object.
func (e *executor) compile(ctx context.Context, loans []*llvmdriver.Loan, made func(loan *llvmdriver.Loan, data []byte, times llvmdriver.Times)) error {
	partitions, bitcode := make([]llvmdriver.Partition, len(loans)), make([][]byte, len(loans))
	for i, loan := range loans {
		var err error
		partitions[i] = loan.Partition
		if bitcode[i], err = os.ReadFile(loan.Partition.Bitcode); err != nil {
			return err
		}
	}
	b := e.recipes[0].Batch(partitions, bitcode)
	files := map[string]remote.File{}
	for name, data := range b.Files {
		files[name] = remote.File{Data: data}
	}
	environment := maps.Clone(b.Environment)
	environment["PATH"] = "/usr/local/bin:/usr/bin:/bin" // not all servers give commands one
	result, err := e.remote.Execute(ctx, &remote.Command{
		Arguments:   slices.Concat([]string{"/bin/sh", "-c", e.julia.script + " <" + b.Request + " 3>&1", "sh"}, b.Arguments),
		Environment: environment,
		Input:       remote.NewFolder(files, e.julia.folders),
		Outputs:     b.Objects,
		Platform:    e.julia.platform,
		Timeout:     batchTimeout,
	})
	switch {
	case err != nil:
		return err
	case result.ExitCode != 0:
		return &batchError{fmt.Sprintf("the compile worker exited with status %d there: %s", result.ExitCode, result.LastLine())}
	}
	times := b.Times(result.Stdout)
	for i, loan := range loans {
		data, ok := result.Outputs[b.Objects[i]]
		if !ok {
			err = &batchError{fmt.Sprintf("there is no object of partition %d", loan.Partition.Number)}
			continue
		}
		if _, bad := elfpatch.ParseObject(b.Objects[i], data); bad != nil {
			err = &batchError{fmt.Sprintf("what should be the object of partition %d is none (%v)", loan.Partition.Number, bad)}
			continue
		}
		made(loan, data, times[i])
	}
	return err
}

// begin and end note that the server was given a batch, and what has become of it.
func (e *executor) begin(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.first.IsZero() {
		e.first = at
	}
}

func (e *executor) end(err error) {
	e.mu.Lock()
	e.ended = true
	if err == nil {
		e.failures = 0
		e.mu.Unlock()
		return
	}
	e.failures++
	over := e.failures >= mostFailures
	e.mu.Unlock()
	kind := "server"
	if errors.As(err, new(*batchError)) {
		kind = "batch"
	}
	e.warn(kind, fmt.Sprintf("partitions are compiled here that the server of the remote cache %s was given with the properties %s, as %v", e.remote.URL(), propertiesText(e.julia.platform), err))
	if over {
		e.stop(fmt.Errorf("%d batches have failed in a row: %w", mostFailures, err))
	}
}

// stop has the server get no more. Of a remote cache that was given up it is warned already.
func (e *executor) stop(reason error) {
	e.mu.Lock()
	was := e.off
	e.off = true
	e.mu.Unlock()
	if was {
		return
	}
	e.progress.set(func(r *Result) { r.execution.Off = reason.Error() })
	if e.remote.Off() == nil {
		e.warn("off", fmt.Sprintf("nothing more is compiled by the server of the remote cache %s, as %v: see to it, or leave out --remote-exec", e.remote.URL(), reason))
	}
}

func (e *executor) isOff() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.off
}

// warn warns once of each kind.
func (e *executor) warn(kind, text string) {
	e.mu.Lock()
	was := e.warned[kind]
	e.warned[kind] = true
	e.mu.Unlock()
	if !was {
		e.progress.warn(text)
	}
}

// propertiesText is properties as an error has them.
func propertiesText(properties map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		all = append(all, name+"="+properties[name])
	}
	return strings.Join(all, " ")
}
