package main

// This file is what a build of a project leaves to processes that nobody waits for, so that the next build is fast: the worker image of the image
// that a layer would be made on, and the merge of a layer that has become large. They are this program again, with the flags that say which image
// is meant, at the lowest priority.
//
// Where CI is set in the environment, as services that build and test set it, there is no next build on this machine, and nothing is begun.

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// continuousIntegration is the environment variable that services for continuous integration set.
const continuousIntegration = "CI"

// ofThisCall are flags of a build that say nothing about its image: what is done behind is done without them.
var ofThisCall = map[string]bool{
	"timings": true, "json": true, "quiet": true, "verbose": true, "explain": true, "verify-cache": true, "keep-scratch": true, "no-wait": true,
	"force": true, "full": true, "background": true, "log": true, "strict": true, "project": true, "julia": true, "watch": true, "poll": true,
	mergeFlag: true, prepareFlag: true,
}

// Hidden flags of what is done behind.
const (
	mergeFlag   = "merge"
	prepareFlag = "prepare"
)

// argumentsBehind are those of a build of the same image, with a flag that says what is to be done.
func argumentsBehind(cmd *cobra.Command, p *project.Project, what string) []string {
	arguments := []string{"build", "--project=" + p.Dir, "--julia=" + p.Julia.Executable, "--" + what}
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if ofThisCall[flag.Name] {
			return
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			arguments = append(arguments, "--"+flag.Name+"="+value)
		}
	})
	return arguments
}

// goOnBehind begins what would make the next build faster. That it cannot be begun is no error: the next build is slower.
func (b *projectBuildFlags) goOnBehind(cmd *cobra.Command, p *project.Project, result *project.BuildResult) {
	if os.Getenv(continuousIntegration) != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	switch {
	case result.Merge:
		pid, log, err := p.BuildBehind(self, func(log string) []string { return append(argumentsBehind(cmd, p, mergeFlag), "--log="+log) })
		if err == nil {
			b.say("process %d merges the layers of %s: %s says how it goes", pid, p.Name(), log)
		}
	case result.Prepare:
		behind := exec.Command(self, argumentsBehind(cmd, p, prepareFlag)...)
		behind.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if behind.Start() == nil {
			behind.Process.Release()
		}
	}
}

// beLast does what a command does at the lowest priority. A priority is a thread's, and goes on to the processes that it starts and to no other
// thread, so the command begins anew.
func beLast() error {
	priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil || priority == kernelPriority(lowest) {
		return err
	}
	runtime.LockOSThread()
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowest); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}

// lowest is the lowest priority, as nice counts.
const lowest = 19

// kernelPriority is how getpriority of the kernel tells a priority: from 40, the highest, down to 1.
func kernelPriority(nice int) int { return 20 - nice }

// prepareNext makes the worker image that the next layer will want. Nobody reads what goes wrong.
func (b *projectBuildFlags) prepareNext(cmd *cobra.Command, p *project.Project) error {
	if err := beLast(); err != nil {
		return err
	}
	err := p.Prepare(cmd.Context(), pipeline.Options{Jobs: b.options.Jobs, CacheDir: b.options.CacheDir, CacheSize: b.options.CacheSize})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the image was removed meanwhile
	}
	return err
}
