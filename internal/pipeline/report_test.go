package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// story is a build as its reporters hear of it, with a second between the events.
func story(last Finished) []Event {
	at := time.Now()
	tick := func() time.Time { at = at.Add(time.Second); return at }
	last.At = at.Add(20 * time.Second)
	return []Event{
		Planned{At: at, Statements: 1268, Packages: 1},
		StageStarted{At: tick(), Name: "load"},
		Loading{At: at, Package: "Foo"},
		StageEnded{At: tick(), Name: "load", Took: time.Second},
		UnresolvedStatement{At: tick(), Unresolved: Unresolved{File: "trace.jl", Line: 7, Statement: "Tuple{typeof(Foo.f)}", Reason: "module Foo is not loaded"}},
		UnresolvedStatement{At: tick(), Unresolved: Unresolved{File: "trace.jl", Line: 8, Statement: "Tuple{typeof(g)}", Reason: "g is not defined in Base"}},
		UnresolvedStatement{At: tick(), Unresolved: Unresolved{File: "trace.jl", Line: 9, Statement: "Tuple{typeof(g),Int}", Reason: "g is not defined in Base"}},
		Emitted{At: at, Functions: 1408},
		StageStarted{At: tick(), Name: "heap"},
		StageStarted{At: tick(), Name: "compile"},
		RemoteAnswered{At: tick(), Partition: 1, Hit: true, Took: 500 * time.Millisecond},
		PartitionEnded{At: tick(), Partition: 1, Hit: true, Remote: true, Done: 1, Total: 2},
		PartitionStarted{At: tick(), Partition: 2, Worker: 3, Functions: 1200},
		Note{At: tick(), Text: "files are in /tmp/x"},
		StageEnded{At: tick(), Name: "heap", Took: 5 * time.Second},
		Warning{At: tick(), Text: "the base is old"},
		PartitionEnded{At: tick(), Partition: 2, Done: 2, Total: 2, Passes: 250 * time.Millisecond, Codegen: 500 * time.Millisecond},
		StageEnded{At: tick(), Name: "compile", Took: 6 * time.Second},
		last,
	}
}

func succeeded() Finished {
	return Finished{Result: &Result{
		Image: "/out/chained.so", Seconds: 8.314, Bytes: 14_200_000, PeakRSS: 612_000_000,
		Statements: StatementCounts{Total: 1268, Resolved: 1265, Unresolved: 3},
		Functions:  FunctionCounts{New: 1408, Base: 21316}, Partitions: PartitionCounts{Total: 2, Hits: 1, Misses: 1, RemoteHits: 1},
		Compiling: CompileTimes{Passes: 0.25, Codegen: 0.5},
		loaded:    1,
		Stages:    []Stage{{"load", 1}, {"heap", 5}, {"compile", 6}},
	}}
}

// lines are what a reporter printed, without the times at their beginning.
func lines(printed string) []string {
	var all []string
	for line := range strings.Lines(printed) {
		_, text, _ := strings.Cut(line, " s  ")
		all = append(all, strings.TrimSuffix(text, "\n"))
	}
	return all
}

func compareLines(t *testing.T, got []string, want string) {
	t.Helper()
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("the report is\n%s\ninstead of\n%s", text, want)
	}
}

const (
	summary = "built /out/chained.so in 8.31 s: 14 MB, with 1,408 new functions for 1,265 statements"
	details = "21,316 functions of the base, 2 partitions (1 from the cache, 1 of them from the remote one), peak memory 612 MB"
	gained  = "a session has 1 package loaded and 1,408 functions compiled when it starts\nstart it with: julia -J /out/chained.so"
	unused  = "3 of 1,268 statements not used:\n       2  g is not defined in Base\n       1  module Foo is not loaded\n  Foo: to have their methods in the image, name the project that has them with --project\n"
)

func TestTextReport(t *testing.T) {
	tests := []struct {
		name  string
		style TextStyle
		last  Finished
		want  string
	}{
		{"normal", Normal, succeeded(), "Loaded 1 package in 1.00 s\nfiles are in /tmp/x\nwarning: the base is old\n" +
			"Compiled 1,408 functions, 1 of 2 partitions from the cache, 1 from the remote cache, in 6.00 s\n" + unused + summary + "\n" + gained},
		{"failed", Normal, Finished{Err: errors.New("no")}, "Loaded 1 package in 1.00 s\nfiles are in /tmp/x\nwarning: the base is old\n" +
			"Compiled 1,408 functions, 1 of 2 partitions from the cache, 1 from the remote cache, in 6.00 s"},
		{"quiet", Quiet, succeeded(), "warning: the base is old"},
		{"verbose", Verbose, succeeded(), "load begins\nload: 1.00 s\n" +
			"trace.jl:7: module Foo is not loaded: Tuple{typeof(Foo.f)}\ntrace.jl:8: g is not defined in Base: Tuple{typeof(g)}\ntrace.jl:9: g is not defined in Base: Tuple{typeof(g),Int}\n" +
			"heap begins\ncompile begins\npartition 1: from the remote cache (1 of 2)\npartition 2: 1,200 functions, on worker 3\nfiles are in /tmp/x\nheap: 5.00 s\nwarning: the base is old\n" +
			"partition 2: compiled (2 of 2)\ncompile: 6.00 s\n" + unused + summary + "\n" + details + "\n" + gained},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var printed bytes.Buffer
			reporter := NewTextReporter(&printed, test.style)
			for _, e := range story(test.last) {
				reporter.Report(e)
			}
			reporter.Close()
			compareLines(t, lines(printed.String()), test.want)
		})
	}
}

// What a server compiles is told of by each report.
func TestExecutionReported(t *testing.T) {
	at := time.Now()
	result := succeeded().Result
	result.Partitions = PartitionCounts{Total: 3, Misses: 3, Executed: 2}
	result.Remote = &RemoteCounts{URL: "grpc://a:1", Execution: &ExecutionCounts{Batches: 1, Failed: 1, Partitions: 3, Executed: 2}}
	events := []Event{
		PartitionEnded{At: at, Partition: 1, Executed: true, Done: 1, Total: 3},
		PartitionEnded{At: at, Partition: 2, Executed: true, Done: 2, Total: 3},
		BatchEnded{At: at.Add(5 * time.Second), Partitions: 3, Executed: 2, Took: 4 * time.Second, Err: errors.New("there is no object")},
		PartitionStarted{At: at, Partition: 3, Functions: 7},
		PartitionEnded{At: at, Partition: 3, Done: 3, Total: 3},
		Finished{At: at, Result: result},
	}
	var text, objects bytes.Buffer
	lively := NewTextReporter(&text, Verbose)
	path := filepath.Join(t.TempDir(), "trace.json")
	timings := newTimings()
	for _, e := range events {
		Reporters(lively, NewJSONReporter(&objects), timings).Report(e)
	}
	lively.Close()
	compareLines(t, lines(text.String()), "partition 1: compiled remotely (1 of 3)\npartition 2: compiled remotely (2 of 3)\n"+
		"2 of a batch of 3 partitions compiled remotely in 4.00 s: there is no object\npartition 3: 7 functions, on worker 0\npartition 3: compiled (3 of 3)\n"+
		strings.ReplaceAll("3 of 1,268 statements not used:\n"+summary+"\n"+details+"\n"+gained, "2 partitions (1 from the cache, 1 of them from the remote one)", "3 partitions (2 compiled remotely)"))
	for _, want := range []string{
		`"event":"partition_ended","executed":true`, `"error":"there is no object","event":"batch_ended","executed":2,"partitions":3,"seconds":4}`,
		`"partitions":{"total":3,"hits":0,"misses":3,"executed":2,`, `"execution":{"batches":1,"failed":1,"partitions":3,"executed":2,"late":0}`,
	} {
		if !strings.Contains(objects.String(), want) {
			t.Errorf("%s is not in\n%s", want, objects.String())
		}
	}
	if err := timings.write(path, &Result{Base: "/base.so", Statements: StatementCounts{Total: 3, Resolved: 3, InBase: 2}}); err != nil {
		t.Fatal(err)
	}
	if trace, err := os.ReadFile(path); err != nil || !bytes.Contains(trace, []byte(`"name":"3 partitions","cat":"remote execution","ph":"X"`)) ||
		!bytes.Contains(trace, []byte(`"in_base":2`)) {
		t.Errorf("the trace is %s (%v)", trace, err)
	}
}

// A report of many partitions does not print a line for each.
func TestTextReportManyPartitions(t *testing.T) {
	var printed bytes.Buffer
	reporter := NewTextReporter(&printed, Normal)
	for i := range 400 {
		reporter.Report(PartitionEnded{Partition: i + 1, Done: i + 1, Total: 400})
	}
	reporter.Close()
	if printed.Len() > 0 {
		t.Errorf("the report is %q", printed.String())
	}
}

func TestTextReportManyReasons(t *testing.T) {
	var printed bytes.Buffer
	reporter := NewTextReporter(&printed, Normal)
	for i := range 14 {
		reporter.Report(UnresolvedStatement{Unresolved: Unresolved{Reason: "reason " + string(rune('a'+i))}})
	}
	reporter.Report(Finished{Result: &Result{Statements: StatementCounts{Total: 14, Unresolved: 14}}})
	reporter.Close()
	if got := lines(printed.String()); len(got) != 16 || got[11] != "  and 4 reasons more; -v lists all" {
		t.Errorf("the report is %q", got)
	}
}

func TestTextReportHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var printed bytes.Buffer
		reporter := NewTextReporter(&printed, Normal)
		time.Sleep(time.Minute)
		reporter.Report(Note{Text: "hello"})
		reporter.Report(StageStarted{At: time.Now(), Name: "compile"})
		reporter.Report(PartitionEnded{Done: 1, Total: 2})
		time.Sleep(25 * time.Second)
		reporter.Report(StageEnded{At: time.Now(), Name: "compile", Took: 25 * time.Second})
		time.Sleep(time.Minute)
		reporter.Close()
		got := lines(printed.String())
		if len(got) != 4 || got[0] != "hello" || !strings.HasPrefix(got[1], "Compiling: 1 of 2 partitions (") || !strings.HasPrefix(got[2], "Compiling: 1 of 2 partitions (") || got[3] != "Compiled 0 functions in 25.0 s" {
			t.Errorf("the report is %q", got)
		}
	})
}

// What is said to go on is what one waits for, in words of a user.
func TestWhatGoesOn(t *testing.T) {
	b := &buildState{}
	b.reset()
	at := time.Now()
	for _, step := range []struct {
		event Event
		want  string
	}{
		{StageStarted{Name: "inspect", At: at}, "Reading the base image"},
		{StageEnded{Name: "inspect", At: at}, ""},
		{Planned{At: at, Statements: 1200, Packages: 2, Expected: guess(1200, 2, 2, false)}, ""},
		{StageStarted{Name: "load", At: at}, "Loading packages"},
		{Loading{At: at, Package: "DataFrames"}, "Loading DataFrames"},
		{StageEnded{Name: "load", At: at}, ""},
		{StageStarted{Name: "infer", At: at}, "Inferring statements: 0 of 1,200"},
		{Inferred{At: at, Done: 1008}, "Inferring statements: 1,008 of 1,200"},
		{StageEnded{Name: "infer", At: at}, ""},
		{StageStarted{Name: "split", At: at}, "Generating code"},
		{StageStarted{Name: "compile", At: at}, "Generating code"},
		{PartitionEnded{Done: 1, Total: 141, At: at}, "Compiling: 1 of 141 partitions"},
		{StageEnded{Name: "split", At: at}, "Compiling: 1 of 141 partitions"},
		{StageStarted{Name: "heap", At: at}, "Compiling: 1 of 141 partitions"},
		{PartitionEnded{Done: 141, Total: 141, At: at}, "Writing Julia's state"},
		{StageEnded{Name: "heap", At: at}, "Compiling: 141 of 141 partitions"},
		{StageEnded{Name: "compile", At: at}, ""},
		{StageStarted{Name: "link", At: at}, "Linking"},
		{Linked{Bytes: 87_000_000, At: at}, "Linking: 87 MB"},
		{StageEnded{Name: "link", At: at}, ""},
		{StageStarted{Name: "verify", At: at}, "Checking the image"},
	} {
		b.take(step.event)
		position, working := b.now()
		if working != (step.want != "") || position.What != step.want {
			t.Errorf("after %T %+v it is said: %q, %v", step.event, step.event, position.What, working)
		}
	}
}

func TestJSONReport(t *testing.T) {
	report := func(last Finished) []map[string]any {
		var printed bytes.Buffer
		reporter := NewJSONReporter(&printed)
		for _, e := range story(last) {
			reporter.Report(e)
		}
		var all []map[string]any
		for line := range strings.Lines(printed.String()) {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Fatalf("the line %q is no JSON object: %v", line, err)
			}
			all = append(all, object)
		}
		return all
	}
	all := report(succeeded())
	// Programs do not get what only a bar is drawn from.
	if want := len(story(Finished{})) - 3; len(all) != want {
		t.Errorf("there are %d lines and not %d", len(all), want)
	}
	if e := all[2]; e["event"] != "unresolved" || e["file"] != "trace.jl" || e["line"] != 7.0 || e["reason"] != "module Foo is not loaded" || e["statement"] != "Tuple{typeof(Foo.f)}" {
		t.Errorf("the third event is %v", e)
	}
	if e := all[7]; e["event"] != "remote_answered" || e["partition"] != 1.0 || e["hit"] != true || e["seconds"] != 0.5 {
		t.Errorf("the eighth event is %v", e)
	}
	if e := all[8]; e["event"] != "partition_ended" || e["remote"] != true {
		t.Errorf("the ninth event is %v", e)
	}
	last, err := json.Marshal(all[len(all)-1])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"base":"","bytes":14200000,"compiling":{"codegen_seconds":0.5,"passes_seconds":0.25},"event":"result","functions":{"base":21316,"new":1408},"heap":{"overlay":false},"image":"/out/chained.so",` +
		`"partitions":{"hit_bytes":0,"hits":1,"miss_bytes":0,"misses":1,"remote_hits":1,"total":2},"peak_rss_bytes":612000000,"seconds":8.314,` +
		`"stages":[{"name":"load","seconds":1},{"name":"heap","seconds":5},{"name":"compile","seconds":6}],` +
		`"statements":{"resolved":1265,"total":1268,"unresolved":3},"worker_image":false}`
	if string(last) != want {
		t.Errorf("the last line is\n%s\ninstead of\n%s", last, want)
	}
	all = report(Finished{Err: errors.New("no <room>")})
	if e := all[len(all)-1]; e["event"] != "error" || e["message"] != "no <room>" {
		t.Errorf("the last event of a failed build is %v", e)
	}
}

func TestReportersLeaveOutNil(t *testing.T) {
	var printed bytes.Buffer
	Reporters(nil, NewJSONReporter(&printed), nil).Report(Note{Text: "hello"})
	if !strings.Contains(printed.String(), "hello") {
		t.Error("the event was not passed on")
	}
}

func TestTimings(t *testing.T) {
	for _, last := range []Finished{succeeded(), {Err: errors.New("the disk is full")}} {
		path := filepath.Join(t.TempDir(), "trace.json")
		o := Options{Timings: path}
		write := recordTimings(&o)
		events := story(last)
		if last.Err != nil {
			events = events[:len(events)-4] // the end of the partition, of its stage and of the build are missing
			events = append(events, StageEnded{At: time.Now().Add(40 * time.Second), Name: "compile", Err: last.Err})
		}
		for _, e := range events {
			o.Report.Report(e)
		}
		if err := write(nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var trace struct {
			TraceEvents []struct {
				Name, Ph string
				Ts, Dur  int64
				Tid      int
				Args     map[string]any
			}
		}
		if err := json.Unmarshal(text, &trace); err != nil {
			t.Fatal(err)
		}
		rows, names := map[string]int{}, map[int]any{}
		for _, e := range trace.TraceEvents {
			if e.Ph == "M" {
				names[e.Tid] = e.Args["name"]
				continue
			}
			rows[e.Name] = e.Tid
			switch e.Name {
			case "heap":
				if s := e.Dur; s != 6_000_000 {
					t.Errorf("the heap took %d µs in the trace, not 6 s", s)
				}
			case "compile":
				if e.Args["error"] != nil != (last.Err != nil) {
					t.Errorf("compile has the arguments %v in the trace", e.Args)
				}
			case "partition 1":
				if s := e.Dur; s != 500_000 || e.Args["hit"] != true {
					t.Errorf("the look-up took %d µs in the trace, with the arguments %v", s, e.Args)
				}
			case "partition 2":
				if e.Args["functions"] != 1200.0 {
					t.Errorf("partition 2 has the arguments %v in the trace", e.Args)
				}
				// It has them once it has ended.
				if passes, codegen := e.Args["passes_seconds"], e.Args["codegen_seconds"]; last.Err == nil && (passes != 0.25 || codegen != 0.5) {
					t.Errorf("partition 2 was %v s in passes and %v s in code generation in the trace, and not 0.25 s and 0.5 s", passes, codegen)
				}
			}
		}
		if rows["load"] != 0 || rows["heap"] != 0 || rows["compile"] != 1 {
			t.Errorf("the stages are in the rows %v: overlapping ones need two", rows)
		}
		if row := rows["partition 1"]; names[row] != "remote cache" {
			t.Errorf("the look-up is in the row %v", names[row])
		}
		if row, ok := rows["partition 2"]; !ok || names[row] != "worker 3" {
			t.Errorf("partition 2 is in the row %v", names[row])
		}
	}
}

func TestTimingsUnwritable(t *testing.T) {
	if err := newTimings().write(filepath.Join(t.TempDir(), "nowhere", "trace.json"), nil); err == nil {
		t.Error("a file in a folder that does not exist was written")
	}
}
