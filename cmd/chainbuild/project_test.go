package main

// What scripts about projects need besides the commands: packages that were added, as Julia's package manager would leave
// them, without a network.

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	commands["pkgadd"] = pkgAdd
	commands["killrecorded"] = killRecorded
	commands["waitfile"] = waitFile
	commands["settools"] = setTools
}

// setTools sets $TOOLS to the checkout's folder of scripts: settools
func setTools(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: settools")
	}
	tools, err := filepath.Abs(filepath.Join("..", "..", "tools"))
	ts.Check(err)
	ts.Setenv("TOOLS", tools)
}

// waitFile waits until there is a file: waitfile file
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfile file")
	}
	for range 600 {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("there is no %s", args[0])
}

// pkgAdd makes the project in a folder have the given packages, and no others:
//
//	pkgadd folder NAME@VERSION=SOURCES … NAME@=SOURCES …
//
// Sources is the folder with the package's src. One with a version is copied to where Julia's package manager has it
// in $JULIA_DEPOT_PATH, one without is under development. Each package needs those that follow it, as far as its source
// has `using NAME`; all are direct dependencies but those that begin with a dash.
func pkgAdd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pkgadd folder NAME@VERSION=SOURCES…")
	}
	dir := ts.MkAbs(args[0])
	var direct, manifest strings.Builder
	manifest.WriteString("[[Printf]]\nuuid = \"de0858da-6303-5e67-8744-51eddeeeb8d7\"\n")
	direct.WriteString("[deps]\n")
	for i, arg := range args[1:] {
		name, rest, _ := strings.Cut(arg, "@")
		version, sources, ok := strings.Cut(rest, "=")
		if !ok {
			ts.Fatalf("%s is not NAME@VERSION=SOURCES", arg)
		}
		indirect := strings.HasPrefix(name, "-")
		name = strings.TrimPrefix(name, "-")
		uuid := testUUID(name)
		if !indirect {
			fmt.Fprintf(&direct, "%s = %q\n", name, uuid)
		}
		code := ts.ReadFile(filepath.Join(sources, "src", name+".jl"))
		var needs []string
		for _, later := range args[i+2:] {
			other, _, _ := strings.Cut(strings.TrimPrefix(later, "-"), "@")
			if strings.Contains(code, "using "+other+"\n") {
				needs = append(needs, fmt.Sprintf("%q", other))
			}
		}
		fmt.Fprintf(&manifest, "\n[[%s]]\n", name)
		if len(needs) > 0 {
			fmt.Fprintf(&manifest, "deps = [%s]\n", strings.Join(needs, ", "))
		}
		fmt.Fprintf(&manifest, "uuid = %q\n", uuid)
		if version == "" {
			relative, err := filepath.Rel(dir, ts.MkAbs(sources))
			ts.Check(err)
			fmt.Fprintf(&manifest, "path = %q\n", relative)
			continue
		}
		tree := sha1.Sum([]byte(name + version))
		fmt.Fprintf(&manifest, "git-tree-sha1 = \"%x\"\nversion = %q\n", tree, version)
		target := filepath.Join(ts.Getenv("JULIA_DEPOT_PATH"), "packages", name, slug(uuid, tree[:]))
		ts.Check(os.MkdirAll(filepath.Dir(target), 0o755))
		if _, err := os.Stat(target); err != nil {
			ts.Check(os.CopyFS(target, os.DirFS(ts.MkAbs(sources))))
		}
	}
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "Project.toml"), []byte(direct.String()), 0o644))
	ts.Check(os.WriteFile(filepath.Join(dir, "Manifest.toml"), []byte(manifest.String()), 0o644))
}

// testUUID makes a UUID of a name.
func testUUID(name string) string {
	h := sha1.Sum([]byte(name))
	d := hex.EncodeToString(h[:16])
	return d[:8] + "-" + d[8:12] + "-4" + d[13:16] + "-8" + d[17:20] + "-" + d[20:]
}

// slug is Base.version_slug (base/loading.jl): 5 digits to base 62, lowest first, of the CRC-32C of the UUID, as a
// little-endian number of 128 bits, and the tree's hash.
func slug(uuid string, tree []byte) string {
	digits, ok := new(big.Int).SetString(strings.ReplaceAll(uuid, "-", ""), 16)
	if !ok {
		panic(uuid + " is no UUID")
	}
	bytes := digits.FillBytes(make([]byte, 16))
	slices.Reverse(bytes)
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(bytes, table), table, tree)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	var text strings.Builder
	for range 5 {
		text.WriteByte(alphabet[sum%62])
		sum /= 62
	}
	return text.String()
}

// killRecorded kills the Julia whose session in a project's state has a statement, when it has it, and tears the last
// line: killrecorded state-root text
func killRecorded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: killrecorded folder text")
	}
	for range 600 {
		sessions, _ := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*", "sessions", "*.jl"))
		for _, path := range sessions {
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), args[1]) {
				continue
			}
			var pid int
			var start, boot string
			_, err = fmt.Sscanf(strings.ReplaceAll(filepath.Base(path), "-", " "), "%s %d %s", &boot, &pid, &start)
			ts.Check(err)
			process, err := os.FindProcess(pid)
			ts.Check(err)
			ts.Check(process.Kill())
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			ts.Check(err)
			_, err = file.WriteString("precompile(Tuple{typeof(Base.torn), Int")
			ts.Check(err)
			ts.Check(file.Close())
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no session in %s has %s", args[0], args[1])
}
