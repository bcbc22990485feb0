// Package sdk is for writing policies in Go. A policy is a WebAssembly module that decides which statements a build of chainbuild takes, and
// what may leave for a shared cache. docs/policy.md has the interface, which policies in other languages use without this package.
//
// A policy is a program with an empty main. It sets its functions when it is initialised:
//
//	func init() {
//		sdk.Statements(sdk.Each(func(s *sdk.Statement) sdk.Answer {
//			if s.Package == "Test" {
//				return sdk.Drop("tests are not part of an image")
//			}
//			return sdk.Keep()
//		}))
//	}
//
//	func main() {}
//
// It is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o policy.wasm
//
// The functions that decide are ordinary Go, so tests of them run anywhere.
package sdk

// This file is what chainbuild asks and what a policy answers, version 1. Both are JSON.

// Version is the version of the interface.
const Version = 1

// A Question is what a policy can be asked. As a set of bits, questions are what it answers and what it wants to know.
type Question uint32

const (
	// AboutStatements asks which statements a build takes: a StatementBatch, and StatementAnswers.
	AboutStatements Question = 1 << iota
	// AboutUploads asks what may leave for a shared cache: an UploadBatch, and UploadAnswers.
	AboutUploads
	// WithCosts is no question: it says that the policy looks at Statement.Seconds and Bytes. Finding them out takes seconds, after each build anew.
	WithCosts
)

// A StatementBatch is some of the statements that a build is to have.
type StatementBatch struct {
	// Version is that of the interface.
	Version int `json:"version"`
	// Julia is the version of Julia, as 1.10.8.
	Julia string `json:"julia"`
	// First is how many statements were in batches before, Total how many there are in all. What a policy keeps in variables stays from
	// one batch to the next.
	First int `json:"first"`
	Total int `json:"total"`
	// Newest is the last day on which any statement was seen, YYYY-MM-DD; empty: not known. Policies have no clock.
	Newest string `json:"newest,omitempty"`
	// Statements are in the order of the files, those of projects by name.
	Statements []Statement `json:"statements"`
}

// A Statement is a method's signature, and what is known of it.
type Statement struct {
	// Source is its type, Tuple{typeof(Base.sum), Array{Float64, 1}}.
	Source string `json:"statement"`
	// Function is the name of what is called, without its module, and Module the module, with dots, that it is named with. Both are empty for
	// what has no name.
	Function string `json:"function"`
	Module   string `json:"module"`
	// Package is what it counts for: the first package that it names; Main, if it names that and no package; else Base.
	Package string `json:"package"`
	// Version is that of the package; empty: not known, or it has none.
	Version string `json:"version,omitempty"`
	// Packages are all packages that it names, Modules all modules with Core, Base and Main, in the order of the text.
	Packages []string `json:"packages"`
	Modules  []string `json:"modules"`
	// Count is in how many sessions it was compiled, FirstSeen and LastSeen are the days of the first and the last of them, YYYY-MM-DD. Statements of
	// files have none of these.
	Count     int    `json:"count,omitempty"`
	FirstSeen string `json:"first_seen,omitempty"`
	LastSeen  string `json:"last_seen,omitempty"`
	// AddedBy is the policy that has added it; empty: it was recorded.
	AddedBy string `json:"added_by,omitempty"`
	// Seconds and Bytes estimate, from earlier builds, how long its code takes a processor to compile, and how much machine code that is, with debug
	// information. They are 0 where no earlier build tells, and if the policy does not want costs.
	Seconds float64 `json:"seconds,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
}

// StatementAnswers answer a StatementBatch.
type StatementAnswers struct {
	// Answers are one for each statement, in their order.
	Answers []Answer `json:"answers"`
}

// What an Answer does with a statement.
const (
	DoKeep    = "keep"
	DoDrop    = "drop"
	DoReplace = "replace"
)

// An Answer says what becomes of a statement.
type Answer struct {
	// Do is DoKeep, DoDrop or DoReplace.
	Do string `json:"do"`
	// Reason is why, in a few words without a line's end. What is dropped needs one.
	Reason string `json:"reason,omitempty"`
	// Statements take the place of one that is replaced. If it is to stay, it is among them.
	Statements []string `json:"statements,omitempty"`
	// Weight is how much the statement, or those in its place, are worth, from 0 on. It counts in builds with a budget. Nil: as much as another policy has
	// said, else the number of sessions.
	Weight *float64 `json:"weight,omitempty"`
}

// Keep keeps a statement.
func Keep() Answer { return Answer{Do: DoKeep} }

// Drop leaves it out.
func Drop(reason string) Answer { return Answer{Do: DoDrop, Reason: reason} }

// Replace takes others instead, of which it may be one.
func Replace(sources ...string) Answer { return Answer{Do: DoReplace, Statements: sources} }

// Weighing is the same answer with a weight.
func (a Answer) Weighing(weight float64) Answer {
	a.Weight = &weight
	return a
}

// Each asks a function about each statement by itself.
func Each(decide func(*Statement) Answer) func(*StatementBatch) []Answer {
	return func(batch *StatementBatch) []Answer {
		answers := make([]Answer, len(batch.Statements))
		for i := range batch.Statements {
			answers[i] = decide(&batch.Statements[i])
		}
		return answers
	}
}

// An UploadBatch is some of what is about to leave this machine for a shared cache. Which uploads come together is not fixed, and each batch
// finds the policy's variables as they were at first.
type UploadBatch struct {
	Version int      `json:"version"`
	Julia   string   `json:"julia"`
	Uploads []Upload `json:"uploads"`
}

// Kinds of Upload.
const (
	// UploadObject is machine code of some functions, with debug information.
	UploadObject = "object"
	// UploadBitcode is what that is compiled from, which leaves if a server executes. Its Names are functions only, though the code has
	// further ones.
	UploadBitcode = "bitcode"
	// UploadWorkers is the image of chainbuild's own workers. It holds nothing of packages.
	UploadWorkers = "workers"
)

// An Upload may leave or not.
type Upload struct {
	// Kind is one of those above.
	Kind string `json:"kind"`
	// Bytes is its size.
	Bytes int64 `json:"bytes"`
	// Packages are those with source files that it names.
	Packages []string `json:"packages"`
	// Names are what it names, as far as that can be read without Julia: functions, symbols, types and files in debug information.
	Names []string `json:"names"`
}

// UploadAnswers answer an UploadBatch.
type UploadAnswers struct {
	// Answers are one for each upload, in their order.
	Answers []UploadAnswer `json:"answers"`
}

// What an UploadAnswer does.
const (
	DoAllow    = "allow"
	DoWithhold = "withhold"
)

// An UploadAnswer says whether something may leave.
type UploadAnswer struct {
	// Do is DoAllow or DoWithhold. What is withheld needs a Reason.
	Do     string `json:"do"`
	Reason string `json:"reason,omitempty"`
}

// Allow lets something leave.
func Allow() UploadAnswer { return UploadAnswer{Do: DoAllow} }

// Withhold keeps it on this machine.
func Withhold(reason string) UploadAnswer { return UploadAnswer{Do: DoWithhold, Reason: reason} }
