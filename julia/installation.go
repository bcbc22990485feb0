// Package julia knows a Julia installation, starts Julia processes, and carries the Julia code that they run.
package julia

// This file describes an installation. What is in it comes from the julia itself (describe.jl), asked once and then
// remembered (remembered.go), since the question costs as much as a small build.

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// An Installation is a Julia that can be run, and what it says about itself.
type Installation struct {
	// Executable is the absolute path of what is run: the julia program or a script that wraps it.
	Executable string `json:"executable"`
	// Version is Base.VERSION, such as "1.5.3".
	Version string `json:"version"`
	// BinDir is Sys.BINDIR, the folder of the program proper.
	BinDir string `json:"bindir"`
	// Image is the system image that it loads by default, links resolved.
	Image string `json:"image"`
	// LibJulia and LibLLVM are the files of the two libraries as a process of this Julia has them mapped. On Julia 1.9
	// and later LibJulia is libjulia-internal, where the code of the older libjulia went.
	LibJulia string `json:"libjulia"`
	LibLLVM  string `json:"libllvm"`
	// CPUName is Sys.CPU_NAME, LLVM's name of this machine's processor.
	CPUName string `json:"cpu_name"`
	// WordSize is Sys.WORD_SIZE, in bits.
	WordSize int `json:"word_size"`
	// IncrementalOffset and IncrementalSize are where jl_options has its field "incremental", in bytes.
	IncrementalOffset int `json:"incremental_offset"`
	IncrementalSize   int `json:"incremental_size"`
	// DepotPaths is DEPOT_PATH as the environment makes it.
	DepotPaths []string `json:"depot_paths"`
	// StdlibDir is the folder of the standard libraries' sources.
	StdlibDir string `json:"stdlib_dir"`
	// Patches are those of juliasrc-patches that it has, by name.
	Patches []string `json:"patches,omitempty"`
	// Environment is what its processes find in their environment besides what this process has, NAME=VALUE each.
	Environment []string `json:"-"`
}

// Words are the program and the arguments of a Command.
func (in *Installation) Words(args ...string) []string {
	return append([]string{in.Executable, "--startup-file=no"}, args...)
}

// Command makes a command that runs this Julia with the given arguments, without the user's startup file. It has a
// process group of its own, which is killed when ctx ends; the kernel kills the process if chainbuild itself is killed.
//
// The process gets one Julia thread whatever JULIA_NUM_THREADS says: no image may be written while others run.
func (in *Installation) Command(ctx context.Context, args ...string) *exec.Cmd {
	words := in.Words(args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = slices.Concat(os.Environ(), in.Environment, []string{"JULIA_NUM_THREADS=1"})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// HasDefaultImage says whether path is the image that this Julia loads by default.
func (in *Installation) HasDefaultImage(path string) bool {
	resolved, err := filepath.EvalSymlinks(path)
	return err == nil && resolved == in.Image
}
