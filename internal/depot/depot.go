// Package depot says where chainbuild keeps what it makes and what it finds out: in the folder chainbuild of the first of
// Julia's depots, where packages and their caches are too.
//
//	chainbuild/cache        compiled objects, see package objcache
//	chainbuild/projects     what is known of projects, and their images, see package project
//	chainbuild/*.json       what is known of Julias, see package julia
package depot

import (
	"os"
	"path/filepath"
	"strings"
)

// folderName is chainbuild's folder in a depot.
const folderName = "chainbuild"

// Folder returns the path below chainbuild's folder in the first of the depots, which are Julia's DEPOT_PATH; "" without one.
func Folder(depots []string, names ...string) string {
	if len(depots) == 0 || depots[0] == "" {
		return ""
	}
	return filepath.Join(append([]string{depots[0], folderName}, names...)...)
}

// UserFolder returns the path below chainbuild's folder in the user's folder for caches, for where no depot can be used. The
// error says that the user has none.
func UserFolder(names ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(append([]string{cache, folderName}, names...)...), nil
}

// Known returns the first of Julia's depots as Base.init_depot_path (base/initdefs.jl) finds it, without asking a julia;
// none if it is not known.
func Known() []string {
	first, _, _ := strings.Cut(os.Getenv("JULIA_DEPOT_PATH"), ":")
	home, err := os.UserHomeDir()
	switch {
	case strings.HasPrefix(first, "/"):
		return []string{first}
	case err != nil:
		return nil
	case first == "~" || strings.HasPrefix(first, "~/"):
		return []string{filepath.Join(home, first[1:])}
	case first == "":
		return []string{filepath.Join(home, ".julia")}
	default:
		return nil
	}
}
