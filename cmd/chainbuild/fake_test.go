package main

// What scripts about projects need where there is no Julia: one that is a shell script, and images that are texts.

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/project"
	"chainbuild/julia"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	commands["fakejulia"] = fakeJulia
	commands["fakeimage"] = fakeImage
}

// fakeJulia makes the Julia that chainbuild finds a script that describes itself as one and does else what another script
// says: fakejulia script
func fakeJulia(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fakejulia script")
	}
	dir := ts.MkAbs("julia.d")
	ts.Check(os.MkdirAll(dir, 0o755))
	fake, err := juliatest.NewFake(dir)
	ts.Check(err)
	fake.Body = ts.ReadFile(args[0])
	path, err := fake.Write(dir)
	ts.Check(err)
	ts.Setenv(julia.Environment, path)
}

// fakeImage records the statements of a file in the project of the current folder, puts a text into its state as an image that
// was built from them, and sets $FAKE to its path: fakeimage statements
func fakeImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fakeimage statements")
	}
	ts.Check(ts.Exec("chainbuild", "statements", "import", args[0])) // which makes the state, too
	ts.Check(ts.Exec("chainbuild", "status", "--json"))
	var status struct {
		Key     string           `json:"key"`
		Folder  string           `json:"state_folder"`
		Content *project.Content `json:"content"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &status))
	const image = "an image"
	id := status.Key[:16] + "-fake"
	var list strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		list.WriteString(strings.TrimSuffix(strings.TrimPrefix(line, "precompile("), ")\n") + "\n")
	}
	description, err := json.Marshal(struct {
		ID  string `json:"id"`
		Key string `json:"key"`
		*project.Content
		Built      string   `json:"built"`
		Seconds    float64  `json:"seconds"`
		Bytes      int      `json:"bytes"`
		Statements int      `json:"statements"`
		Unresolved []string `json:"unresolved"`
	}{id, status.Key, status.Content, "2026-01-31T14:05:00Z", 1.5, len(image), strings.Count(list.String(), "\n"), []string{"Tuple{typeof(Base.gone)}"}})
	ts.Check(err)
	for suffix, content := range map[string]string{".so": image, ".jl": list.String(), ".json": string(description)} {
		path := filepath.Join(status.Folder, "images", id+suffix)
		ts.Check(os.WriteFile(path, []byte(content), 0o600))
		ts.Setenv("FAKE", strings.TrimSuffix(path, suffix)+".so")
	}
}
