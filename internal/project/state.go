package project

// This file is the folder in which chainbuild keeps what it knows of a project.
//
//	<first depot>/chainbuild/projects/   or the folder that CHAINBUILD_STATE names; in the user's cache without a depot
//	  digests.json                 contents of files that have no build id, see digest.go
//	  NAME-HASH/                   one per project and Julia build
//	    project.json               which project and which Julia, for people and for clean
//	    statements.tsv             what was recorded, see record.go
//	    unread.tsv                 what was recorded and is no statement: day, reason, beginning of the line
//	    statements.lock            held while statements.tsv is replaced
//	    sessions/                  what is being recorded, see session.go
//	    images/ID.so               images, and ID.json, ID.jl about them, see image.go
//	    environment/               the project that builds look packages up in, see lookup.go
//	    build.lock                 held by the build that runs
//	    build.json                 which that is
//	    failure.json               the last build, if it failed
//	    logs/TIME.log              what builds said
//
// Folders and files are the user's alone: images are code. Folders that another user could write to are refused.

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chainbuild/internal/depot"
	"chainbuild/internal/private"
	"chainbuild/julia"

	"github.com/google/renameio/v2"
)

// stateVariable is the environment variable with the folder of all projects' state.
const stateVariable = "CHAINBUILD_STATE"

const (
	projectFileName = "project.json"
	recordName      = "statements.tsv"
	recordLockName  = "statements.lock"
	unreadName      = "unread.tsv"
	sessionsName    = "sessions"
	imagesName      = "images"
	environmentName = "environment"
	buildLockName   = "build.lock"
	builderName     = "build.json"
	failureName     = "failure.json"
	logsName        = "logs"
)

// owner is the content of project.json.
type owner struct {
	// Project is the absolute folder of the project.
	Project string `json:"project"`
	// Julia is the version, Build what identifies the build.
	Julia string    `json:"julia"`
	Build string    `json:"build"`
	Made  time.Time `json:"made"`
}

// StateRoot returns the folder of all projects' state.
func StateRoot(in *julia.Installation) (string, error) {
	if dir := os.Getenv(stateVariable); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := depot.Folder(in.DepotPaths, "projects"); dir != "" {
		return dir, nil
	}
	dir, err := depot.UserFolder("projects")
	if err != nil {
		return "", fmt.Errorf("there is no folder to keep state in, as %s has no depot: set JULIA_DEPOT_PATH, or name a folder with %s", in.Executable, stateVariable)
	}
	return dir, nil
}

// stateName is the name of a project's folder: one that people recognise, and a hash that tells projects of one name,
// and builds of Julia, apart.
func stateName(dir, juliaBuild string) string {
	sum := sha256.Sum256([]byte(dir + "\x00" + juliaBuild))
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '.' || r == '-':
			return r
		}
		return '_'
	}, strings.TrimLeft(filepath.Base(dir), ".-"))
	return fmt.Sprintf("%.40s-%x", name, sum[:6])
}

// errNoState is the error of checkState for a project of which nothing is known yet.
var errNoState = errors.New("nothing is known of the project yet")

// checkState returns nil where the project's state can be trusted, errNoState where there is none.
func (p *Project) checkState() error {
	for _, dir := range []string{p.root, p.state, p.path(imagesName), p.path(sessionsName)} {
		switch err := private.CheckFolder(dir); {
		case errors.Is(err, fs.ErrNotExist):
			return errNoState
		case errors.Is(err, private.ErrShared):
			return fmt.Errorf("the folder %s is not used, as another user could put an image into it: make it yours alone (chown, chmod go-w), or name another with %s", dir, stateVariable)
		case err != nil:
			return fmt.Errorf("the folder %s cannot be used (%w): see to it, or name another with %s", dir, err, stateVariable)
		}
	}
	return nil
}

// makeState makes the project's folder where there is none, and checks it.
func (p *Project) makeState() error {
	if err := p.checkState(); !errors.Is(err, errNoState) {
		return err
	}
	err := os.MkdirAll(filepath.Dir(p.root), 0o755)
	for _, dir := range []string{p.root, p.state, p.path(imagesName), p.path(sessionsName), p.path(logsName)} {
		if err == nil {
			_, err = private.MakeFolder(dir)
		}
	}
	if err == nil {
		err = writeJSON(p.path(projectFileName), owner{p.Dir, p.Julia.Version, p.juliaBuild, time.Now().UTC().Truncate(time.Second)})
	}
	if err != nil {
		return fmt.Errorf("the project's state cannot be kept in %s (%w): see to it, or name another folder with %s", p.root, err, stateVariable)
	}
	return p.checkState()
}

// path is a path in the project's folder.
func (p *Project) path(names ...string) string {
	return filepath.Join(append([]string{p.state}, names...)...)
}

// writeJSON replaces a file in one step.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, append(text, '\n'), 0o600)
}

// readJSON reads a file that writeJSON wrote.
func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is damaged (%w): remove it", path, err)
	}
	return nil
}
