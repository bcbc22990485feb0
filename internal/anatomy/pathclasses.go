package anatomy

// This file says what a path in an image means where the image is used.

import (
	"regexp"
	"slices"
	"strings"
)

// A Class is what a path is to those who use an image on another machine.
type Class string

// The classes. The first ones may do harm.
const (
	ClassArtifact      Class = "artifact"
	ClassDepot         Class = "depot"
	ClassEnvironment   Class = "environment"
	ClassLibrary       Class = "library"
	ClassPath          Class = "path"
	ClassBase          Class = "base"
	ClassDebug         Class = "debug information"
	ClassDocumentation Class = "documentation"
	ClassInitialised   Class = "initialised"
	ClassJulia         Class = "julia"
	ClassOrigin        Class = "origin"
	ClassSource        Class = "source"
	ClassSystem        Class = "system"
)

// An explanation says what a class means.
type explanation struct {
	class    Class
	harmless bool
	why      string
}

// classes explain each class, in the order in which they are shown.
var classes = []explanation{
	{ClassArtifact, false, "an artifact of this machine's depot, which code takes for a place that is there"},
	{ClassDepot, false, "a file of a package or a depot of this machine, which code takes for a place that is there"},
	{ClassEnvironment, false, "a copy of this machine's environment: code sees it instead of the one that it runs in, and it may have secrets"},
	{ClassLibrary, false, "a shared library at a place of this machine"},
	{ClassPath, false, "a file or folder of this machine"},
	{ClassBase, true, "the base that a thin image needs at that place; --layout=standalone makes one that needs none"},
	{ClassDebug, true, "names of source files in debug information, which only debuggers and profilers read"},
	{ClassDocumentation, true, "text of documentation"},
	{ClassInitialised, true, "Julia, or the package's __init__, sets it anew in each process"},
	{ClassJulia, true, "Julia's own: its image has the same as it comes, or it lies in Julia's share/julia, which Julia finds again by itself"},
	{ClassOrigin, true, "where a package was loaded from: what pathof and pkgdir answer. Nothing is opened there unless code asks for them"},
	{ClassSource, true, "names of source files of methods and of lines, which only backtraces and editors show"},
	{ClassSystem, true, "each Linux has it"},
}

// Classes are all classes, those that may do harm first.
func Classes() []Class {
	var list []Class
	for _, c := range classes {
		list = append(list, c.class)
	}
	return list
}

// Harmless says that what is of a class does no harm on another machine.
func (c Class) Harmless() bool { return c.explained().harmless }

// Why says what a class means.
func (c Class) Why() string { return c.explained().why }

func (c Class) explained() explanation {
	return classes[slices.IndexFunc(classes, func(e explanation) bool { return e.class == c })]
}

var (
	juliaFolder    = regexp.MustCompile(`/share/julia/(base|stdlib|Compiler|test|cert\.pem|compiled|base\.cache)`)
	systemPath     = regexp.MustCompile(`^/(dev|proc|sys|etc)/|^/(usr/)?bin/(sh|bash|env)$`)
	artifactFolder = regexp.MustCompile(`/artifacts/[0-9a-f]{40}(/|$)`)
	depotFolder    = regexp.MustCompile(`/\.julia/|/(packages/[^/]+/[0-9A-Za-z]{4,6}|scratchspaces/[0-9a-f-]{36}|compiled/v1\.[0-9]+|environments/v1\.[0-9]+)(/|$)`)
	libraryFile    = regexp.MustCompile(`\.so(\.[0-9]+)*$`)
)

// initialised are variables that are set when a process starts, by their modules: base/initdefs.jl, base/sysinfo.jl.
var initialised = map[string][]string{
	"Base":     {"DEPOT_PATH", "LOAD_PATH", "ACTIVE_PROJECT", "HOME_PROJECT", "PROGRAM_FILE"},
	"Base.Sys": {"BINDIR", "STDLIB"},
}

// initialisedByJLL are variables that a package of a library sets in its __init__.
var initialisedByJLL = regexp.MustCompile(`^(artifact_dir|PATH|LIBPATH|PATH_list|LIBPATH_list|.*_path|.*_handle|lib.*)$`)

// classify says what a path is. Known says that Julia's own image has the same.
func classify(path string, p place, known bool) Class {
	switch {
	case known, juliaFolder.MatchString(path):
		return ClassJulia
	case systemPath.MatchString(path):
		return ClassSystem
	case p.thing.isDocumentation(), strings.Contains(p.label, "documentation"):
		return ClassDocumentation
	case isSource(p):
		return ClassSource
	case p.thing.Kind == ThingGlobal && p.module == "Base" && p.thing.Name == "pkgorigins":
		return ClassOrigin
	case p.thing.Kind == ThingGlobal && slices.Contains(initialised[p.module], p.thing.Name),
		p.thing.Kind == ThingGlobal && strings.HasSuffix(p.pkg, "_jll") && initialisedByJLL.MatchString(p.thing.Name):
		return ClassInitialised
	case artifactFolder.MatchString(path):
		return ClassArtifact
	case libraryFile.MatchString(path):
		return ClassLibrary
	case depotFolder.MatchString(path):
		return ClassDepot
	}
	return ClassPath
}

// isSource says that a path is where source is: a symbol in a method, a line or a module, or inside of code as it is kept.
func isSource(p place) bool {
	return p.holder == "Symbol" || strings.Contains(p.label, " code)") || strings.Contains(p.label, "(line numbers)")
}
