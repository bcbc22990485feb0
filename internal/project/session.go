package project

// This file is recording: the files that running Julias write their statements to.
//
// Julia appends a line to the file of --trace-compile for each method that it compiles, and flushes it. Each process has
// a file of its own, sessions/BOOT-PID-START-IMAGE.jl:
//
//	BOOT   first 8 digits of the machine's boot id (/proc/sys/kernel/random/boot_id)
//	PID    process
//	START  when it started, clock ticks since the boot (/proc/PID/stat, field 22), which tells it from a later one
//	IMAGE  ID of the image that it was started with, or none
//
// exec changes none of these, so whoever starts Julia makes the file under its own process, before it looks at an image
// for the last time: an image that a session names is in use until the process is gone.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"chainbuild/statements"
)

const (
	sessionSuffix = ".jl"
	noImage       = "none"
	// foreignAge is how long nothing was written to a session of another boot until that counts as over. It may be
	// another machine's that shares the depot, where processes cannot be looked at.
	foreignAge = 24 * time.Hour
)

// A session is the file of a process that is recorded.
type session struct {
	path  string
	image string // ID, or noImage
	over  bool
	wrote time.Time
}

// newSession makes the file for a process and returns its path.
func (p *Project) newSession(pid int, image string) (string, error) {
	if err := p.makeState(); err != nil {
		return "", err
	}
	start, err := startOf(pid)
	if err != nil {
		return "", fmt.Errorf("there is no process %d to record: %w", pid, err)
	}
	if image == "" {
		image = noImage
	}
	path := p.path(sessionsName, fmt.Sprintf("%s-%d-%d-%s%s", bootID(), pid, start, image, sessionSuffix))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("nothing can be recorded in %s (%w): see to it, or name another folder with %s", p.root, err, stateVariable)
	}
	return path, file.Close()
}

// sessions lists the sessions. What has another name is left alone.
func (p *Project) sessions() ([]session, error) {
	entries, err := os.ReadDir(p.path(sessionsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	boot := bootID()
	var all []session
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), sessionSuffix)
		parts := strings.SplitN(name, "-", 4)
		if !ok || len(parts) != 4 {
			continue
		}
		pid, err1 := strconv.Atoi(parts[1])
		start, err2 := strconv.ParseUint(parts[2], 10, 64)
		info, err3 := entry.Info()
		if errors.Join(err1, err2, err3) != nil {
			continue
		}
		s := session{path: p.path(sessionsName, entry.Name()), image: parts[3], wrote: info.ModTime()}
		if parts[0] != boot {
			s.over = time.Since(s.wrote) > foreignAge
		} else {
			now, err := startOf(pid)
			s.over = err != nil || now != start
		}
		all = append(all, s)
	}
	return all, nil
}

// startOf returns when a process started, in clock ticks since the boot.
func startOf(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the program's name in brackets, may hold anything; field 3 comes after the last bracket.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const start = 22 - 3
	if len(fields) <= start {
		return 0, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields)+2)
	}
	// A process that has ended and that its parent has not asked after is over.
	if state := fields[0][0]; state == 'Z' || state == 'X' {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(string(fields[start]), 10, 64)
}

// bootID tells boots and machines apart.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(text) < 8 {
		return "00000000"
	}
	return string(text[:8])
}

// readTrace reads a file of statements and returns the distinct ones; a last line without an end, which a killed Julia may
// leave, is dropped. Refused are the lines that hold something else.
func readTrace(name string, r io.Reader) (found []statements.Statement, refused []statements.Refusal, err error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	file, err := statements.Parse(name, bytes.NewReader(text))
	var bad *statements.RefusedError
	switch {
	case errors.As(err, &bad):
		return nil, bad.Refusals, nil
	case err != nil: // there is nothing
		return nil, nil, nil
	}
	return file.Statements, file.Refusals, nil
}

// readTraceFile is readTrace for a file.
func readTraceFile(path string) ([]statements.Statement, []statements.Refusal, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	return readTrace(filepath.Base(path), file)
}

// RecordProcess makes the file for a Julia that runs already, with an image, and returns its path.
func (p *Project) RecordProcess(pid int, image string) (string, error) {
	id := ""
	// Julia knows its image by a path without links.
	if own, err := filepath.EvalSymlinks(p.path(imagesName)); err == nil && filepath.Dir(image) == own {
		id = strings.TrimSuffix(filepath.Base(image), imageSuffix)
	}
	return p.newSession(pid, id)
}
