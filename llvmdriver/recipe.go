package llvmdriver

// This file makes the keys under which objects are kept.
//
// An object may be used again if it was made of the same input in the same way. Its input is the bitcode of a partition, in
// canonical form: all names that differ between builds are positions, and what they mean is told to the link anew
// (names.go). The way is the rest of the key. Left out is what cannot change an object's bytes: where files lie, who builds, the
// number of workers, the base image, whose functions the bitcode only declares.

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"chainbuild/julia"
	"chainbuild/objcache"
)

// A Recipe is all that determines an object but its bitcode.
type Recipe struct {
	inputs  [][2]string // names and values
	sources *julia.Sources
	target  Target
	options []string // of the julia that compiles
	// hasBuildIDs says that the libraries are known by their build ids.
	hasBuildIDs bool
}

// NewRecipe describes how workers of the given Julia that run the given sources compile for target.
func NewRecipe(in *julia.Installation, sources *julia.Sources, target Target) (*Recipe, error) {
	series, err := in.Series()
	if err != nil {
		return nil, err
	}
	r := &Recipe{sources: sources, target: target, hasBuildIDs: true, options: ProcessOptions(series, target)}
	add := func(name, value string) { r.inputs = append(r.inputs, [2]string{name, value}) }
	// Passes of Julia's own and of LLVM come from these two; the version alone does not tell builds apart.
	for _, library := range [][2]string{{libJulia, in.LibJulia}, {libLLVM, in.LibLLVM}} {
		id, err := julia.LibraryID(library[1])
		if err != nil {
			return nil, err
		}
		add(library[0], id)
		r.hasBuildIDs = r.hasBuildIDs && !strings.HasPrefix(id, julia.ContentID)
	}
	add(juliaVersion, in.Version)
	add("compile worker", sources.Compiling())
	add("optimisation level", fmt.Sprint(target.OptLevel))
	add("processor", target.CPU)
	if target.dependsOnMachine() {
		add(thisProcessor, hostProcessor())
	}
	add("features", target.Features)
	if target.OneOfSeveral {
		// Of a few helpers that the runtime adds to each object, it compiles one variant.
		add("processor of the process", target.canonicalOption())
	}
	// The compile workers inherit it, and hand it to LLVM (jl_init_llvm in src/codegen.cpp).
	if args := os.Getenv(llvmArguments); args != "" {
		add(llvmArguments, args)
	}
	return r, nil
}

// llvmArguments is the environment variable with LLVM's own switches.
const llvmArguments = "JULIA_LLVM_ARGS"

// What a process finds in its folder that makes objects as caches and machines elsewhere know it.
const (
	workerFolder = "worker/"
	workerFile   = "compile/emit.jl"
	requestFile  = "request.txt"
)

// workerOptions are options of a Julia that makes objects as caches and machines elsewhere know it.
var workerOptions = []string{"--startup-file=no", "--history-file=no"}

// Computation describes how the object of a partition is made, for caches that want to know: as a process that reads one request. The key is that of
// Hash.
func (r *Recipe) Computation(key objcache.Key, bitcode []byte) *objcache.Computation {
	const code, object = "code.bc", "code.o"
	c := &objcache.Computation{
		Key: key,
		// The worker reads its standard input, and answers on descriptor 3.
		Arguments: slices.Concat([]string{"sh", "-c", `exec "$0" "$@" <` + requestFile + " 3>&1", "julia"}, workerOptions, r.options,
			[]string{workerFolder + workerFile}),
		Environment: r.environment(),
		Files:       r.workerFiles(),
		Output:      object,
		Platform:    map[string]string{"OSFamily": "linux", "ISA": "x86-64"},
	}
	c.Files[code], c.Files[requestFile] = bitcode, []byte(emitRequest(code, object, r.target)+"\n")
	for _, input := range r.inputs {
		switch input[0] {
		case libJulia, libLLVM, juliaVersion, thisProcessor:
			c.Platform[input[0]] = input[1]
		}
	}
	return c
}

// environment is what the process finds in its environment, by name.
func (r *Recipe) environment() map[string]string {
	variables := map[string]string{"JULIA_NUM_THREADS": "1"}
	if args := r.value(llvmArguments); args != "" {
		variables[llvmArguments] = args
	}
	return variables
}

// workerFiles are the worker's sources, by their paths.
func (r *Recipe) workerFiles() map[string][]byte {
	files := map[string][]byte{}
	for name, text := range r.sources.CompilingFiles() {
		files[workerFolder+name] = text
	}
	return files
}

// value is that of an input; empty if there is none.
func (r *Recipe) value(name string) string {
	for _, input := range r.inputs {
		if input[0] == name {
			return input[1]
		}
	}
	return ""
}

// Names of inputs that say what a machine must have.
const (
	libJulia      = "libjulia"
	libLLVM       = "libLLVM"
	juliaVersion  = "Julia"
	thisProcessor = "this machine's processor"
)

// Hash makes the key of the object of a partition whose bitcode is given.
func (r *Recipe) Hash(bitcode []byte) *objcache.Hash {
	h := objcache.NewHash("partition")
	h.Add("code", bitcode)
	for _, input := range r.inputs {
		h.AddString(input[0], input[1])
	}
	return h
}

var processorLines = regexp.MustCompile(`(?m)^(vendor_id|cpu family|model|stepping|flags)\s*:\s*(.*)$`)

// hostProcessor is what LLVM goes by when it looks at the processor that it runs on.
func hostProcessor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), "\n\n")
	var parts []string
	for _, match := range processorLines.FindAllStringSubmatch(first, -1) {
		parts = append(parts, match[1]+" "+match[2])
	}
	return strings.Join(parts, "; ")
}
