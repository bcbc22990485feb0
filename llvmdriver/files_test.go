package llvmdriver

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func writeFolders(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "files.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFolders(t *testing.T) {
	folders, err := ReadFolders(writeFolders(t, "@package/A-1\t/home/a/A\n@package/B\t/opt/b\tc\n"))
	if want := (Folders{"@package/A-1": "/home/a/A", "@package/B": "/opt/b\tc"}); err != nil || !maps.Equal(folders, want) {
		t.Errorf("the folders are %v (%v), not %v", folders, err, want)
	}
	if folders, err := ReadFolders(writeFolders(t, "")); err != nil || len(folders) != 0 {
		t.Errorf("of an empty list the folders are %v (%v)", folders, err)
	}
	for _, line := range []string{"@package/A-1\n", "\t/home/a/A\n", "@package/A-1\t\n"} {
		path := writeFolders(t, "@package/B\t/opt/b\n"+line)
		if _, err := ReadFolders(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.HasSuffix(err.Error(), " is no line of a list of folders") {
			t.Errorf("of %q it is said: %v", line, err)
		}
	}
	if _, err := ReadFolders(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a list that is not there was read")
	}
}

func TestFoldersPath(t *testing.T) {
	folders := Folders{"@package/A-1": "/home/a/A", "@package/A": "/opt/A"}
	for name, want := range map[string]string{
		"@package/A-1":             "/home/a/A",
		"@package/A-1/src/A.jl":    "/home/a/A/src/A.jl",
		"@package/A/src/A.jl":      "/opt/A/src/A.jl",
		"@package/A-12/src/A.jl":   "@package/A-12/src/A.jl",
		"@package":                 "@package",
		"@package/":                "@package/",
		"@chainbuild/pieces.jl":    "@chainbuild/pieces.jl",
		"/x/@package/A-1/src/A.jl": "/x/@package/A-1/src/A.jl",
		"array.jl":                 "array.jl",
		"":                         "",
	} {
		if got := folders.path(name); got != want {
			t.Errorf("%q is %q here, and should be %q", name, got, want)
		}
	}
}

// The object of a partition has the paths of this machine.
func TestObjectFiles(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no gcc")
	}
	path := filepath.Join(t.TempDir(), "part-1.o")
	cmd := exec.Command(gcc, "-c", "-gdwarf-4", "-gstrict-dwarf", "-o", path, "-x", "c", "-")
	cmd.Stdin = strings.NewReader("#line 7 \"@package/A-1/src/A.jl\"\nint d1(void) { return 1; }\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	object, err := writeNames(t, "").Object(data, Folders{"@package/A-1": "/home/somebody/else/A"})
	if err != nil {
		t.Fatal(err)
	}
	section := func(name string) []byte {
		for i := range object.Sections {
			if object.Sections[i].Name == name {
				return object.Sections[i].Data
			}
		}
		return nil
	}
	if lines := string(section(".debug_line")); !strings.Contains(lines, "/home/somebody/else/A/src\x00") || strings.Contains(lines, "@package") {
		t.Errorf("the files are %q", lines)
	}
}
