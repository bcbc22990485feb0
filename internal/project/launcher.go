package project

// This file puts a command on the path that is used like julia and starts the images of chainbuild.
//
// It is a shell script of one command. It takes the project that julia would take, unlike chainbuild run, so that who is
// used to julia finds nothing changed.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"chainbuild/internal/usage"

	"github.com/google/renameio/v2"
)

// launcherMark is the second line of a launcher: only files that have it are replaced.
const launcherMark = "# Starts Julia with the image that chainbuild keeps for the project. Made by `chainbuild launcher install`."

// A Launcher is a command that starts Julia by chainbuild.
type Launcher struct {
	// Path is the file of the command.
	Path string
	// Program is chainbuild, Julia the executable that it is to start.
	Program, Julia string
}

// DefaultLauncherDir is the folder that people's own programs are in.
func DefaultLauncherDir() (string, error) {
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "bin"), err
}

// Install writes the launcher. It replaces an older one and nothing else. Its errors are *usage.Error.
func (l Launcher) Install() error { return usage.Wrap(l.install()) }

func (l Launcher) install() error {
	if filepath.Base(l.Path) == "julia" {
		return errors.New("the launcher cannot be called julia, which chainbuild itself looks for on the path: choose another name with --name, and make `julia` an alias of it in your shell")
	}
	if err := l.checkOld(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
		return err
	}
	script := fmt.Sprintf("#!/bin/sh\n%s\nexec %s run --like-julia --julia=%s -- \"$@\"\n", launcherMark, shellQuote(l.Program), shellQuote(l.Julia))
	return renameio.WriteFile(l.Path, []byte(script), 0o755)
}

// Remove removes the launcher. Its errors are *usage.Error.
func (l Launcher) Remove() error {
	if err := l.checkOld(); err != nil {
		return usage.Wrap(err)
	}
	return usage.Wrap(os.Remove(l.Path))
}

// checkOld refuses a file that is no launcher.
func (l Launcher) checkOld() error {
	text, err := os.ReadFile(l.Path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), launcherMark) {
		return fmt.Errorf("%s is not a launcher of chainbuild's and is left alone: choose another name with --name", l.Path)
	}
	return nil
}

// shellQuote writes text as one word of a shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
