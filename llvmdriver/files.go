package llvmdriver

// This file gives files in an object's debug information the paths that they have here.
//
// In bitcode, files of packages have names that are the same wherever a package lies (julia/worker/files.jl), so that an object can be used
// again elsewhere. The front worker lists the folders: one line each, its name in bitcode, a tab, and its path.

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Folders are the paths of folders by their names in bitcode. No name is followed by a slash.
type Folders map[string]string

// ReadFolders reads the list at path.
func ReadFolders(path string) (Folders, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	folders := Folders{}
	for line := range bytes.Lines(text) {
		name, folder, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("\t"))
		if !ok || len(name) == 0 || len(folder) == 0 {
			return nil, fmt.Errorf("%s: %q is no line of a list of folders", path, line)
		}
		folders[string(name)] = string(folder)
	}
	return folders, nil
}

// packageFolder is what names of packages' folders begin with. The folder itself has one element more: @package/NAME-UUID.
const packageFolder = "@package/"

// path is the path here of a file or folder that has the given name in bitcode. Names that stand for nothing stay.
func (f Folders) path(name string) string {
	rest, ok := strings.CutPrefix(name, packageFolder)
	if !ok {
		return name
	}
	end := len(name)
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		end = len(packageFolder) + slash
	}
	if folder, ok := f[name[:end]]; ok {
		return folder + name[end:]
	}
	return name
}
