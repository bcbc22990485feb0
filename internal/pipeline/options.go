// Package pipeline makes a chained system image: it runs the stages of a build in their order and reports on them.
package pipeline

// This file is the contract with whoever wants an image built: what goes in, what comes out, what happens meanwhile.

import (
	"time"

	"chainbuild/internal/choice"
	"chainbuild/internal/settings"
	"chainbuild/objcache/remote"
)

// Options say what to build. The zero value of every field but Statements and Output is usable.
type Options struct {
	// Julia is the julia executable; empty: found as julia.Find describes.
	Julia string
	// Base is the image to chain to; empty: the one that Julia loads by default.
	Base string
	// Output is the image to write. It is replaced in one step once the new image was verified.
	Output string
	// Project is the project that packages are looked up in, as julia's --project takes it; empty: Julia's own choice.
	Project string
	// Environment is what Julia's processes find in their environment besides what this process has, NAME=VALUE each.
	Environment []string
	// Statements are files of precompile statements, at least one.
	Statements []string
	// InBase are sources of statements (statements.Statement) that the base has the code of. Nothing is done for those among the statements, but
	// that they are counted.
	InBase map[string]bool
	// Policies are files of policies (package policy), in the order in which they are asked: about the statements, and about what leaves for the remote
	// cache. Budget is what the code of the statements may cost; its zero value: what it likes.
	Policies []string
	Budget   settings.Budget
	// Versions are those of packages, as far as they are known: policies are told.
	Versions map[string]string
	// Choice says that the policies and the budget have chosen the statements already, and what came out; nil: they have not.
	Choice *choice.Outcome
	// Packages are loaded into the image besides those that the statements name.
	Packages []string
	// Interactive are packages that are loaded for interactive sessions. Of their code the image has, even with EmitAll, what statements name and
	// the prompt needs, and what that calls.
	Interactive []string
	// Precompiles says that sessions with the image will precompile packages: it has the code for that.
	Precompiles bool
	// Edited says that packages which are loaded have likely changed since their caches were made. These are made while the front worker starts then.
	Edited bool
	// Target says what the image is like. Its zero value has the optimisation level 0; settings.DefaultTarget has Julia's.
	settings.Target
	// Jobs is the number of processes that compile at the same time; 0: the number of processors.
	Jobs int
	// MaxMemory is what all processes of the build together should take at most; 0: what the machine's control groups allow.
	MaxMemory settings.Size
	// Strict makes a statement that cannot be resolved an error.
	Strict bool
	// CacheDir is the folder of the object cache; empty: as objcache.DefaultDir says for the Julia's depots; objcache.Off: none.
	CacheDir string
	// CacheSize is the size that the cache is trimmed to; 0: its default.
	CacheSize settings.Size
	// WorkerImages is the folder of the worker images of the base; empty: it is in the cache, and without a cache there are none.
	WorkerImages string
	// SpareWorkerImage says that a worker image is used if there is one, and not made: for a base that few images will be made on.
	SpareWorkerImage bool
	// Remote says which remote cache is asked for what the cache lacks, and told what was compiled.
	Remote settings.Remote
	// Explain says for each partition whether its object was in the cache, and if not, what has changed since the last build.
	Explain bool
	// VerifyCache compiles also what is in the cache, and fails if the outcome is another.
	VerifyCache bool
	// FullHeap leaves it to Julia to serialise the heap, the base's part included. Nothing of the base that is not needed any more stays then,
	// and the base's objects have other places, so caches of packages that were made under the base are not right under the image.
	FullHeap bool
	// VerifyHeap lets Julia serialise the heap too, and fails if it holds something else.
	VerifyHeap bool
	// KeepScratch leaves the folder of intermediate files in place and says where it is.
	KeepScratch bool
	// Timings is a file for a Chrome trace of the build, written also for a build that fails; empty: none.
	Timings string
	// Report is told how the build goes on; nil: nobody.
	Report Reporter

	// sources is told which files and folders, besides those named here, the image is made from; nil: nobody.
	sources func(path string)
}

// A Result describes an image that was built.
type Result struct {
	// Image is the absolute path of the image, Base that of the image that it is chained to.
	Image string `json:"image"`
	Base  string `json:"base"`
	// WorkerImage says that the workers were started from a worker image.
	WorkerImage bool `json:"worker_image"`
	// Seconds is the time from the call of Run to the image having its name.
	Seconds float64 `json:"seconds"`
	// Bytes is the size of the image's file.
	Bytes int64 `json:"bytes"`
	// PeakRSS is the largest resident set, in bytes, that any one process of the build had.
	PeakRSS    int64           `json:"peak_rss_bytes"`
	Statements StatementCounts `json:"statements"`
	// Policies says what policies and the budget have done; nil: there were none.
	Policies   *PolicyCounts   `json:"policies,omitempty"`
	Functions  FunctionCounts  `json:"functions"`
	Partitions PartitionCounts `json:"partitions"`
	Compiling  CompileTimes    `json:"compiling"`
	// Heap says how the heap was written.
	Heap HeapCounts `json:"heap"`
	// PackageImages are the package images whose native code is used, by path. A thin image needs them as they are.
	PackageImages []string `json:"package_images,omitempty"`
	// Remote says what the remote cache was good for; nil without one.
	Remote *RemoteCounts `json:"remote,omitempty"`
	// Stages are the stages of the build in the order in which they started. They may overlap.
	Stages []Stage `json:"stages"`
	// Unresolved are the statements that could not be used, in the order of the files.
	Unresolved []Unresolved `json:"-"`

	execution *ExecutionCounts // which Remote gets in the end
	loaded    int              // packages
	withheld  int              // uploads
}

// StatementCounts count distinct statements.
type StatementCounts struct {
	Total      int `json:"total"`
	Resolved   int `json:"resolved"`
	Unresolved int `json:"unresolved"`
	// InBase are those of the resolved ones that the base has the code of, see Options.
	InBase int `json:"in_base,omitempty"`
}

// FunctionCounts count native functions of an image.
type FunctionCounts struct {
	// New were compiled, or taken from a cache, for this image; Base are the base's own.
	New  int `json:"new"`
	Base int `json:"base"`
	// Invalidated are functions of the base that what was loaded has ended the validity of; those of them that are not Revived, whose
	// code is right as it is, are compiled again.
	Invalidated int `json:"invalidated,omitempty"`
	Revived     int `json:"revived,omitempty"`
}

// HeapCounts say what a heap is made of.
type HeapCounts struct {
	// Overlay says that the base's objects have the places that they have in the base; if not, Reason may say why.
	Overlay bool   `json:"overlay"`
	Reason  string `json:"reason,omitempty"`
	// Words of the base's objects have changed; Objects are new, and have so many Bytes.
	Words   int   `json:"changed_words,omitempty"`
	Objects int   `json:"new_objects,omitempty"`
	Bytes   int64 `json:"new_bytes,omitempty"`
}

// PartitionCounts count the partitions of the new code.
type PartitionCounts struct {
	// Hits came from a cache, the remote one too, Misses were compiled.
	Total  int `json:"total"`
	Hits   int `json:"hits"`
	Misses int `json:"misses"`
	// RemoteHits are those of the hits that came from the remote cache.
	RemoteHits int `json:"remote_hits,omitempty"`
	// Executed are those of the misses that the remote cache's server has compiled.
	Executed int `json:"executed,omitempty"`
	// HitBytes and MissBytes are the sizes of their objects.
	HitBytes  int64 `json:"hit_bytes"`
	MissBytes int64 `json:"miss_bytes"`
}

// RemoteCounts count objects that a remote cache had, and that it was sent.
type RemoteCounts struct {
	URL string `json:"url"`
	remote.Counts
	// Withheld is what policies have not let leave.
	Withheld int `json:"withheld,omitempty"`
	// Off is why the server was given up before the end; empty: it was not.
	Off string `json:"off,omitempty"`
	// Execution says what it has compiled; nil: it was not to.
	Execution *ExecutionCounts `json:"execution,omitempty"`
}

// ExecutionCounts count what a server was given to compile.
type ExecutionCounts struct {
	// Batches were given to it; of those Failed came to nothing, or not to all of their objects.
	Batches int `json:"batches"`
	Failed  int `json:"failed"`
	// Partitions were in the batches, each counted as often as it was given. Executed have their object from there, Late were compiled here before it
	// came, the others were given back.
	Partitions int `json:"partitions"`
	Executed   int `json:"executed"`
	Late       int `json:"late"`
	// Off is why it was not given any more; empty: it was given all that there was.
	Off string `json:"off,omitempty"`
}

// CompileTimes are sums over the partitions that were compiled, by all workers together, in seconds.
type CompileTimes struct {
	// Passes is 0 where Julia does not tell their time from that of code generation.
	Passes  float64 `json:"passes_seconds"`
	Codegen float64 `json:"codegen_seconds"`
	// Bytes is the size of the objects that they are the times of.
	Bytes int64 `json:"-"`
}

// A Stage is one step of a build and the time it took.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// An Unresolved is a statement that the build went on without.
type Unresolved struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Statement string `json:"statement"`
	// Reason is a short phrase, the same for all statements that fail for the same cause.
	Reason string `json:"reason"`
}

// A Reporter is told how a build goes on. Run calls it from one goroutine at a time and waits for it, so Report must be quick.
type Reporter interface {
	Report(Event)
}

// An Event is one of Planned, StageStarted, StageEnded, Loading, Inferred, Emitted, Linked, RemoteAnswered, BatchEnded, PartitionStarted, PartitionEnded,
// Chosen, Withheld, UnresolvedStatement, Note, Warning, Watching, Changed, Finished. At is when it happened.
type Event interface{ event() }

type (
	// Planned says what will be built, once that is known.
	Planned struct {
		At time.Time
		// Statements and Packages are how many there are to infer, and how many are named to be loaded.
		Statements, Packages int
		// Expected is how long stages should take, in seconds.
		Expected map[string]float64
	}
	// StageStarted says that a stage began. Stages may overlap; no two of the same name run at once.
	StageStarted struct {
		At   time.Time
		Name string
	}
	// StageEnded says that a stage is over. Err is nil if it succeeded.
	StageEnded struct {
		At   time.Time
		Name string
		Took time.Duration
		Err  error
	}
	// Loading says which package is loaded next.
	Loading struct {
		At      time.Time
		Package string
	}
	// Inferred says how many of the statements that were planned are done.
	Inferred struct {
		At   time.Time
		Done int
	}
	// Emitted says how many new functions there are to compile.
	Emitted struct {
		At        time.Time
		Functions int
	}
	// Linked says how many bytes of the image are written.
	Linked struct {
		At    time.Time
		Bytes int64
	}
	// RemoteAnswered says that the remote cache was asked for the object of a partition, and has answered or was not waited for any longer.
	RemoteAnswered struct {
		At        time.Time
		Partition int
		// Hit says that it had the object.
		Hit  bool
		Took time.Duration
	}
	// BatchEnded says that the remote cache's server has compiled some partitions, or has not.
	BatchEnded struct {
		At time.Time
		// Partitions were given to it; of these Executed have their object from there.
		Partitions, Executed int
		Took                 time.Duration
		// Err is what went wrong with it; nil also where a worker of this machine was faster with all partitions.
		Err error
	}
	// PartitionStarted says that a worker process took up a partition.
	PartitionStarted struct {
		At time.Time
		// Partition counts from 1.
		Partition int
		// Worker is the place in the pool, from 0, that compiles it.
		Worker int
		// Functions is what is in the partition.
		Functions int
	}
	// PartitionEnded says that a partition has an object, or that it failed.
	PartitionEnded struct {
		At        time.Time
		Partition int
		// Hit says that the object came from a cache: there was no PartitionStarted.
		Hit bool
		// Remote says that this was the remote one.
		Remote bool
		// Executed says that the remote cache's server compiled it. A worker process may have begun it too.
		Executed bool
		Err      error
		// Done of Total partitions have an object, this one included.
		Done, Total int
		// Passes and Codegen are what compiling took, see CompileTimes; 0 for a hit.
		Passes, Codegen time.Duration
	}
	// Chosen says which of the statements policies and the budget have left.
	Chosen struct {
		At time.Time
		*choice.Outcome
	}
	// Withheld says that a policy has not let something leave for the remote cache.
	Withheld struct {
		At time.Time
		// Kind is one of package sdk, Partition the number of the partition, 0 if it is of none.
		Kind      string
		Partition int
		// By is the policy, Reason why.
		By, Reason string
	}
	// UnresolvedStatement is a statement that the build goes on without.
	UnresolvedStatement struct {
		At time.Time
		Unresolved
	}
	// Note is something that was asked for.
	Note struct {
		At   time.Time
		Text string
	}
	// Warning is something that probably was not meant.
	Warning struct {
		At   time.Time
		Text string
	}
	// Watching says that a Watch waits for one of its files to change. Polled says that it has to look at them now and then.
	Watching struct {
		At     time.Time
		Files  int
		Polled bool
	}
	// Changed says that a Watch builds again, since files have changed. Paths are relative to the working folder where they lie in it.
	Changed struct {
		At    time.Time
		Paths []string
	}
	// Finished is the last event of a build: exactly one of Result and Err is set.
	Finished struct {
		At     time.Time
		Result *Result
		Err    error
	}
)

func (Planned) event()             {}
func (StageStarted) event()        {}
func (StageEnded) event()          {}
func (Loading) event()             {}
func (Inferred) event()            {}
func (Emitted) event()             {}
func (Linked) event()              {}
func (RemoteAnswered) event()      {}
func (BatchEnded) event()          {}
func (PartitionStarted) event()    {}
func (PartitionEnded) event()      {}
func (Chosen) event()              {}
func (Withheld) event()            {}
func (UnresolvedStatement) event() {}
func (Note) event()                {}
func (Warning) event()             {}
func (Watching) event()            {}
func (Changed) event()             {}
func (Finished) event()            {}
