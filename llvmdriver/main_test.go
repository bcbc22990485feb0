package llvmdriver

// What the tests share. Their Julias are this test binary, started again with a variable in the environment that makes it a
// compile worker: one that compiles nothing, and does what the text that stands for bitcode says.

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chainbuild/julia"
)

const workerVariable = "LLVMDRIVER_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		fakeWorker()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeWorker answers requests as julia/worker/compile/emit.jl does. The object that it makes is the request itself.
func fakeWorker() {
	replies := os.NewFile(3, "replies")
	fmt.Println("arguments", os.Args[1:])
	requests := bufio.NewScanner(os.Stdin)
	for requests.Scan() {
		request := strings.Split(requests.Text(), "\t")
		if len(request) != 6 || request[0] != "emit" {
			fmt.Fprintf(replies, "{\"error\":\"the request has %d parts\"}\n", len(request))
			continue
		}
		bitcode, object := request[1], request[2]
		text, err := os.ReadFile(bitcode)
		if err != nil {
			fmt.Fprintln(replies, `{"error":"there is no bitcode"}`)
			continue
		}
		verb, argument, _ := strings.Cut(string(text), " ")
		switch verb {
		case "refuse":
			fmt.Fprintf(replies, "{\"error\":%q}\n", argument)
			continue
		case "die":
			fall()
		case "once": // dies the first time
			if os.Mkdir(bitcode+".died", 0o700) == nil {
				fall()
			}
		case "babble":
			fmt.Fprintln(replies, `{"passes_ns":"many"}`)
			continue
		case "forget":
			fmt.Fprintln(replies, `{"passes_ns":1,"codegen_ns":2}`)
			continue
		case "hang":
			os.WriteFile(bitcode+".hangs", nil, 0o600)
			time.Sleep(time.Hour)
		}
		if err := os.WriteFile(object, []byte(strings.Join(request[3:], " ")), 0o600); err != nil {
			fmt.Fprintf(replies, "{\"error\":%q}\n", err)
			continue
		}
		fmt.Fprintln(replies, `{"passes_ns":3000000,"codegen_ns":4000000}`)
	}
}

func fall() {
	fmt.Println("about to fall")
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	time.Sleep(time.Hour)
}

// log is what workers print. They may do so at the same time.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startWorkers starts fake workers for a target.
func startWorkers(t *testing.T, jobs, ready int) (*Compiler, *log) {
	t.Helper()
	t.Setenv(workerVariable, "yes")
	out := &log{}
	c, err := Start(t.Context(), Options{Julia: &julia.Installation{Executable: os.Args[0]}, Worker: []string{"emit.jl"}, Jobs: jobs, Ready: ready, Log: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, out
}

// partition is one whose bitcode is a text.
func partition(t *testing.T, number int, bitcode string) Partition {
	t.Helper()
	path := filepath.Join(t.TempDir(), fmt.Sprintf("part-%d.bc", number))
	if err := os.WriteFile(path, []byte(bitcode), 0o600); err != nil {
		t.Fatal(err)
	}
	return Partition{Number: number, Bitcode: path, Target: Target{CPU: "native"}}
}

// starts notes on which workers a partition is begun, and why again.
type starts struct {
	workers []int
	lost    []error
}

func (s *starts) note(worker int, lost error) {
	s.workers = append(s.workers, worker)
	s.lost = append(s.lost, lost)
}

func (s *starts) expect(t *testing.T, workers ...int) {
	t.Helper()
	if !slices.Equal(s.workers, workers) {
		t.Errorf("it was begun on the workers %v, not %v", s.workers, workers)
	}
}
