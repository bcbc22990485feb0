package main

// This file runs a Julia that chainbuild stays with, since recording may crash it.

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"chainbuild/internal/project"
)

// crashes are the signals that a crashed Julia dies of.
var crashes = []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGABRT}

// attend runs the Julia of the launch as a child that dies with this process, passes signals on to it, and says what may help if
// it crashes. It returns the exit code: Julia's own, or 128 and the number of the signal that Julia died of, as shells have it.
func attend(launch *project.Launch, stderr *os.File) (code int, err error) {
	cmd := &exec.Cmd{Path: launch.Executable, Args: launch.Arguments, Env: launch.Environment,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
	received := make(chan os.Signal, 16)
	signal.Notify(received, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer close(received)
	defer signal.Stop(received)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	terminal := hasTerminal()
	go func() {
		for sig := range received {
			// What is typed at the terminal reaches Julia without our help.
			if terminal && (sig == syscall.SIGINT || sig == syscall.SIGQUIT) {
				continue
			}
			cmd.Process.Signal(sig)
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		return status.ExitStatus(), nil
	}
	if slices.Contains(crashes, status.Signal()) {
		printNotice(stderr, "Julia crashed while its compilations were recorded, which the recording itself can cause in this version of Julia:"+
			" `chainbuild run --no-record` runs without it")
	}
	return 128 + int(status.Signal()), nil
}

// hasTerminal says that the process can be reached from a terminal.
func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err == nil {
		terminal.Close()
	}
	return err == nil
}
