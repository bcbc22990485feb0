package project

// This file is the record: what was compiled in the project's sessions, merged.
//
// statements.tsv is a line `chainbuild statements 1`, then one line for each statement, in alphabetical order of the last
// column:
//
//	count <TAB> first seen <TAB> last seen <TAB> type expression
//
// Count is the number of sessions that compiled it, the dates are of the first and the last of them (YYYY-MM-DD, UTC). A
// session that finds a statement's code in its image does not compile it, so a statement that is not seen any more may
// be one that the image is good for.
//
// The file is replaced in one step, under a lock. A session goes into it once, when its process is over; the sessions
// that still run are added only to what is shown and built from.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"chainbuild/statements"

	"github.com/google/renameio/v2"
	"github.com/rogpeppe/go-internal/lockedfile"
)

const recordHead = "chainbuild statements 1\n"

// A Recorded is a statement that was recorded.
type Recorded struct {
	// Source is the type expression, as statements.Statement has it.
	Source string `json:"statement"`
	// Modules are the packages that it names.
	Modules []string `json:"packages"`
	// Count is the number of sessions that compiled it.
	Count int `json:"count"`
	// First and Last are the days of the first and the last of them, YYYY-MM-DD.
	First string `json:"first_seen"`
	Last  string `json:"last_seen"`
}

// A Record is what was recorded, by Source.
type Record map[string]*Recorded

// Sorted returns the statements in alphabetical order.
func (r Record) Sorted() []*Recorded {
	sorted := make([]*Recorded, 0, len(r))
	for _, source := range slices.Sorted(maps.Keys(r)) {
		sorted = append(sorted, r[source])
	}
	return sorted
}

// add adds what one session compiled, and returns how many of them can never be used.
func (r Record) add(found []statements.Statement, when time.Time) (hopeless int) {
	day := when.UTC().Format(time.DateOnly)
	for _, s := range found {
		if isHopeless(s.Source) {
			hopeless++
			continue
		}
		known := r[s.Source]
		if known == nil {
			known = &Recorded{Source: s.Source, Modules: s.Modules, First: day, Last: day}
			r[s.Source] = known
		}
		known.Count++
		known.First = min(known.First, day)
		known.Last = max(known.Last, day)
	}
	return hopeless
}

// Record merges the sessions that are over into the record, and returns it together with what the running ones have
// compiled so far. Where the folder cannot be written, nothing is merged and the same is returned. Live is the number of
// running sessions.
func (p *Project) Record() (record Record, live int, err error) {
	if err := p.checkState(); errors.Is(err, errNoState) {
		return Record{}, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	unlock, err := p.lockRecord()
	if err == nil {
		defer unlock()
		if err := p.merge(); err != nil {
			return nil, 0, err
		}
	}
	if record, err = p.readRecord(); err != nil {
		return nil, 0, err
	}
	sessions, err := p.sessions()
	if err != nil {
		return nil, 0, err
	}
	for _, s := range sessions {
		found, _, err := readTraceFile(s.path)
		if err == nil {
			record.add(found, s.wrote)
		}
		if !s.over {
			live++
		}
	}
	return record, live, nil
}

// merge adds the sessions that are over to the file, then removes them. The lock must be held.
func (p *Project) merge() error {
	sessions, err := p.sessions()
	if err != nil {
		return err
	}
	sessions = slices.DeleteFunc(sessions, func(s session) bool { return !s.over })
	if len(sessions) == 0 {
		return nil
	}
	record, err := p.readRecord()
	if err != nil {
		return err
	}
	changed := false
	for _, s := range sessions {
		found, refused, err := readTraceFile(s.path)
		if err != nil {
			return err
		}
		if err := p.keepUnread(refused, s.wrote); err != nil {
			return err
		}
		record.add(found, s.wrote)
		changed = changed || len(found) > 0
	}
	if changed {
		if err := p.writeRecord(record); err != nil {
			return err
		}
	}
	for _, s := range sessions {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// keepUnread keeps what sessions recorded and is no statement, for people to look at: a day, the reason and the beginning of the
// line each.
func (p *Project) keepUnread(refused []statements.Refusal, when time.Time) error {
	if len(refused) == 0 {
		return nil
	}
	file, err := os.OpenFile(p.path(unreadName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, r := range refused {
		fmt.Fprintf(&text, "%s\t%s\t%q\n", when.UTC().Format(time.DateOnly), r.Reason, r.Excerpt)
	}
	_, err = file.WriteString(text.String())
	return errors.Join(err, file.Close())
}

// unread counts the lines of what keepUnread keeps.
func (p *Project) unread() int {
	text, _ := os.ReadFile(p.path(unreadName)) // mostly there is none
	return bytes.Count(text, []byte("\n"))
}

// Change has the record changed by a function, under its lock, after what is over was merged.
func (p *Project) Change(change func(Record) error) error {
	if err := p.makeState(); err != nil {
		return err
	}
	unlock, err := p.lockRecord()
	if err != nil {
		return fmt.Errorf("the record in %s cannot be changed: %w", p.state, err)
	}
	defer unlock()
	if err := p.merge(); err != nil {
		return err
	}
	record, err := p.readRecord()
	if err != nil {
		return err
	}
	if err := change(record); err != nil {
		return err
	}
	return p.writeRecord(record)
}

// An Import says what became of the statements of a file.
type Import struct {
	// New were not recorded yet, Known were. Hopeless can never be used, and Refused lines are no statements.
	New, Known, Hopeless, Refused int
}

// ImportFile adds the statements of a file, as one session of today. Lines that are no statements are left out: files
// that SnoopCompile writes are programs with statements in them.
func (p *Project) ImportFile(path string) (Import, error) {
	var done Import
	text, err := os.ReadFile(path)
	if err != nil {
		return done, err
	}
	found, refused, err := readTrace(path, bytes.NewReader(append(text, '\n')))
	if err != nil {
		return done, err
	}
	done.Refused = len(refused)
	if len(found) == 0 {
		return done, fmt.Errorf("%s has no precompile statement: record some with julia --trace-compile=FILE", path)
	}
	err = p.Change(func(record Record) error {
		before := len(record)
		done.Hopeless = record.add(found, time.Now())
		done.New = len(record) - before
		done.Known = len(found) - done.Hopeless - done.New
		return nil
	})
	return done, err
}

func (p *Project) lockRecord() (unlock func(), err error) {
	file, err := lockedfile.OpenFile(p.path(recordLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { file.Close() }, nil
}

func (p *Project) readRecord() (Record, error) {
	path := p.path(recordName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return nil, err
	}
	body, ok := strings.CutPrefix(string(text), recordHead)
	if !ok {
		return nil, fmt.Errorf("%s is not a record of this chainbuild: remove it, or use the chainbuild that wrote it", path)
	}
	record := Record{}
	number := 1
	for line := range strings.Lines(body) {
		number++
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 4 {
			return nil, damagedRecord(path, number)
		}
		count, err := strconv.Atoi(columns[0])
		if err != nil || count < 1 {
			return nil, damagedRecord(path, number)
		}
		source := columns[3]
		record[source] = &Recorded{Source: source, Modules: modulesOf(source), Count: count, First: columns[1], Last: columns[2]}
	}
	return record, nil
}

func damagedRecord(path string, line int) error {
	return fmt.Errorf("%s:%d is damaged: remove the line, or the file to begin anew", path, line)
}

// modulesOf returns the packages that a statement names.
func modulesOf(source string) []string {
	file, err := statements.Parse(recordName, strings.NewReader(source))
	if err != nil || len(file.Statements) != 1 {
		return nil
	}
	return file.Statements[0].Modules
}

func (p *Project) writeRecord(record Record) error {
	var b bytes.Buffer
	b.WriteString(recordHead)
	for _, s := range record.Sorted() {
		fmt.Fprintf(&b, "%d\t%s\t%s\t%s\n", s.Count, s.First, s.Last, s.Source)
	}
	return renameio.WriteFile(p.path(recordName), b.Bytes(), 0o600)
}

// unreadable are marks of values that Julia's tracer has no words for (jl_static_show_x in src/rtutils.c).
var unreadable = []string{"#<intrinsic #", "#<null>", "<circular reference @-", "<?#0x"}

// homeless are modules that exist in one session only: what was typed at the prompt or run as a script, and what
// packages evaluate in modules without a name.
var homeless = []string{"Main", "anonymous", "__anon__"}

// isHopeless says whether a statement can never be used in another session.
func isHopeless(source string) bool {
	for _, mark := range unreadable {
		if strings.Contains(source, mark) {
			return true
		}
	}
	for _, module := range homeless {
		for rest := source; ; {
			at := strings.Index(rest, module)
			if at < 0 {
				break
			}
			before, after := rest[:at], rest[at+len(module):]
			if !continuesName(before) && (strings.HasPrefix(after, ".") || strings.HasPrefix(after, ",") && strings.HasSuffix(before, "getfield(")) {
				return true
			}
			rest = after
		}
	}
	return false
}

// continuesName says whether a name that follows text is the end of a longer one, or inside of a module.
func continuesName(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return r == '_' || r == '.' || r == '!' || r >= utf8.RuneSelf && r != utf8.RuneError ||
		'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
