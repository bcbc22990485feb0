package project

// This file starts the project's Julia.
//
// Julia gets the image and the recording as further arguments, before those that were given, which so have the last word.

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"chainbuild/julia"
)

// A Launch is a Julia that is ready to be started.
type Launch struct {
	// Executable, Arguments (with the program's name) and Environment are for exec.
	Executable  string
	Arguments   []string
	Environment []string
	// Image is the image that it starts with, "" for Julia's own. Session is the file that is recorded to, "" for none.
	Image, Session string
	// Notice is one line that the user should see, "" for nothing.
	Notice string
	// MayCrash says that the recording can crash Julia.
	MayCrash bool
	// Crowded says that so many sessions wait to be merged that somebody should.
	Crowded bool
}

// crowd is the number of sessions from which they should be merged.
const crowd = 32

// Launch prepares a Julia with the given arguments, which records if record says so. Whatever is wrong with the image or the
// recording is a notice and not an error: the Julia starts all the same. self is the chainbuild program, which Julia code
// finds as CHAINBUILD.
func (p *Project) Launch(args []string, record bool, self string) *Launch {
	given := juliaArguments(args)
	l := &Launch{Executable: p.Julia.Executable, Environment: environmentFor(p, self)}
	var first []string
	if _, ok := given["project"]; !ok && !p.implicit {
		first = append(first, "--project="+p.Dir)
	}
	_, ownImage := given["sysimage"]
	_, ownTrace := given["trace-compile"]
	brief := isBrief(given)
	record = record && !ownTrace && !brief

	var id string
	var notices []string
	stateErr := p.checkState()
	trusted := stateErr == nil || errors.Is(stateErr, errNoState)
	if !trusted && (!ownImage || record) {
		notices = append(notices, "starting without an image, and nothing is recorded: "+stateErr.Error())
	}
	if trusted && !ownImage {
		im, notice := p.usable(given)
		if im != nil {
			l.Image, id = im.File, im.ID
		}
		if notice != "" && !brief {
			notices = append(notices, notice)
		}
	}
	if trusted && record {
		session, err := p.newSession(os.Getpid(), id)
		if err != nil {
			notices = append(notices, "nothing is recorded: "+err.Error())
		} else {
			l.Session = session
			l.MayCrash = p.series.TracerCrashes
			first = append(first, "--trace-compile="+session)
			entries, _ := os.ReadDir(filepath.Dir(session))
			l.Crowded = len(entries) > crowd
		}
	}
	// The session protects the image from now on; it may have gone just before.
	if l.Image != "" {
		if _, err := os.Stat(l.Image); err == nil {
			first = append([]string{"--sysimage=" + l.Image}, first...)
		} else {
			l.Image = ""
		}
	}
	l.Notice = strings.Join(notices, "; ")
	l.Arguments = append(append([]string{"julia"}, first...), args...)
	return l
}

// usable returns the newest image that can be used with the given options, or nil, and what the user should know. The
// state must be trusted, or not there.
func (p *Project) usable(given map[string]string) (im *Image, notice string) {
	if counting := countingOption(given); counting != "" {
		return nil, "code of an image does not count for --" + counting + ": starting without one"
	}
	const without = ": starting without one; `chainbuild build` makes one"
	all, err := p.images()
	if err != nil {
		return nil, err.Error()
	}
	im, why := p.valid(all)
	switch {
	case im != nil:
		return im, ""
	case why != nil:
		return nil, why.Error()
	case len(all) == 0:
		return nil, "there is no image for " + p.Name() + " yet" + p.orBuilding(without)
	}
	return nil, "the image for " + p.Name() + " is stale (" + shortReasons(differences(all[0], p)) + ")" + p.orBuilding(without)
}

// orBuilding returns text, or says that an image is being built.
func (p *Project) orBuilding(text string) string {
	if b := p.building(); b != nil {
		return ": starting without one; " + b.String()
	}
	return text
}

// environmentFor returns the environment of a Julia: what there is, and where chainbuild and this Julia are, for those
// that ask from inside of it.
func environmentFor(p *Project, self string) []string {
	environment := os.Environ()
	for name, value := range map[string]string{programVariable: self, julia.Environment: p.Julia.Executable} {
		if os.Getenv(name) == "" {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

// programVariable is the environment variable with the path of chainbuild.
const programVariable = "CHAINBUILD"

// shortOptions are Julia's options of one letter: those with ":" need a value, those with "?" may be followed by one
// directly (jl_parse_opts in src/jloptions.c).
var shortOptions = map[byte]struct {
	long  string
	value byte
}{
	'v': {"version", 0}, 'h': {"help", 0}, 'q': {"quiet", 0}, 'i': {"interactive", 0}, 'H': {"home", ':'}, 'e': {"eval", ':'},
	'E': {"print", ':'}, 'L': {"load", ':'}, 'J': {"sysimage", ':'}, 'C': {"cpu-target", ':'}, 't': {"threads", ':'},
	'p': {"procs", ':'}, 'O': {"optimize", '?'}, 'g': {"debug-level", '?'}, 'm': {"module", ':'},
}

// longValues are Julia's long options that take the next argument for their value where there is no "=". The others have
// none, or need the "=".
var longValues = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`banner home eval print load bug-report sysimage sysimage-native-code
		compiled-modules pkgimages cpu-target procs threads gcthreads machine-file color history-file startup-file compile
		check-bounds output-bc output-unopt-bc output-o output-asm output-ji output-incremental depwarn warn-overwrite
		warn-scope inline polly trace-compile trace-compile-timing trace-dispatch math-mode handle-signals bind-to
		heap-size-hint permalloc-pkgimg module`) {
		longValues[name] = true
	}
}

// juliaArguments returns the options among julia's arguments by their long names, with their last values. What follows
// the program's file, or "--", is for the program.
func juliaArguments(args []string) map[string]string {
	given := map[string]string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		next := func() string {
			if i++; i < len(args) {
				return args[i]
			}
			return ""
		}
		long, isLong := strings.CutPrefix(arg, "--")
		switch {
		case arg == "--" || arg == "-" || !strings.HasPrefix(arg, "-"):
			return given
		case isLong:
			name, value, hasValue := strings.Cut(long, "=")
			if !hasValue && longValues[name] {
				value = next()
			}
			given[name] = value
		default:
			// As in -iq or -Ofast: letters up to the first that has a value.
			for letters, more := arg[1:], true; more && letters != ""; letters = letters[1:] {
				option, known := shortOptions[letters[0]]
				value := letters[1:]
				if more = known && option.value == 0; more {
					value = ""
				} else if option.value == ':' && value == "" {
					value = next()
				}
				if known {
					given[option.long] = value
				}
			}
		}
	}
	return given
}

// ProjectArgument returns the project that julia's arguments name, as Options.Project takes it; "" if they name none.
func ProjectArgument(args []string) string {
	name, ok := juliaArguments(args)["project"]
	if ok && name == "" {
		return "@."
	}
	return name
}

// countingOption returns the name of the option among the given ones with which Julia counts what lines do, "" for none. It
// compiles the counters into the code (emit_function in src/codegen.cpp), and the code of an image, also one that Julia has
// built, was compiled without.
func countingOption(given map[string]string) string {
	for _, name := range []string{"code-coverage", "track-allocation"} {
		if value, ok := given[name]; ok && value != "none" {
			return name
		}
	}
	return ""
}

// isBrief says whether the arguments only ask for text, or have Julia write a file: nothing of that is worth recording.
func isBrief(given map[string]string) bool {
	for _, name := range []string{"version", "help", "help-hidden", "output-o", "output-ji", "output-bc", "output-unopt-bc", "output-asm", "worker"} {
		if _, ok := given[name]; ok {
			return true
		}
	}
	return false
}
