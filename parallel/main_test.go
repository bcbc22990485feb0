package parallel

// The tests' workers are this test binary, started again with a mode in the environment.

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const modeVariable = "PARALLEL_TEST_WORKER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		worker(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// workerCommand starts the test binary as a worker.
func workerCommand(mode string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	// The race detector would have each worker sleep for a second before it exits.
	cmd.Env = append(os.Environ(), modeVariable+"="+mode, "GORACE=atexit_sleep_ms=0")
	return cmd
}

func workerPool(t *testing.T, ctx context.Context, workers int, mode string) *Pool {
	t.Helper()
	pool, err := NewPool(ctx, PoolOptions{Workers: workers, Ready: workers, Command: func() *exec.Cmd { return workerCommand(mode) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// worker does as the lines say: a verb, a tab, an argument.
func worker(mode string) {
	reply := os.NewFile(3, "replies")
	switch mode {
	case "slow start":
		time.Sleep(300 * time.Millisecond)
	case "never starts":
		fmt.Println("no such library")
		os.Exit(127)
	case "ends when idle":
		os.Exit(0)
	case "chatty":
		fmt.Fprintln(reply, `{"ready":true}`)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(reply, `{"deaf":true}`)
		time.Sleep(time.Hour)
	case "parent":
		parent(reply)
	case "children":
		children(reply)
	case "print":
		for i := range 5000 {
			fmt.Printf("line %d\n", i)
		}
		os.Exit(3)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verb, argument, _ := strings.Cut(lines.Text(), "\t")
		fmt.Println("asked to", verb)
		switch verb {
		case "echo":
			fmt.Fprintf(reply, "{\"echo\":%q,\"pid\":%d}\n", argument, os.Getpid())
		case "sleep":
			length, _ := time.ParseDuration(argument)
			time.Sleep(length)
			fmt.Fprintln(reply, "{}")
		case "wait": // argument: a file
			for _, err := os.Stat(argument); err != nil; _, err = os.Stat(argument) {
				time.Sleep(time.Millisecond)
			}
			fmt.Fprintln(reply, "{}")
		case "meet": // arguments: a number and a folder; that many tasks are done at a time
			count, folder, _ := strings.Cut(argument, "\t")
			fmt.Fprintln(reply, meet(count, folder))
		case "crash":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Hour)
		case "crash once": // argument: a file that the first attempt makes
			if _, err := os.Stat(argument); err != nil {
				os.WriteFile(argument, nil, 0o644)
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				time.Sleep(time.Hour)
			}
			fmt.Fprintln(reply, "{}")
		case "exit":
			os.Exit(7)
		case "leave":
			os.Exit(0)
		case "garbage":
			fmt.Fprintln(reply, "not what was agreed")
		case "twice":
			fmt.Fprintln(reply, "{}\n{}")
		case "fail":
			fmt.Fprintln(reply, `{"error":"there is no such file"}`)
		case "allocate":
			block := bytes.Repeat([]byte{1}, 200<<20)
			fmt.Fprintf(reply, "{\"sum\":%d}\n", block[len(block)-1])
		}
	}
}

// meet waits until as many tasks as count says wait in the folder, and returns the answer.
func meet(count, folder string) string {
	number, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Sprintf(`{"error":%q}`, err)
	}
	file := func(i int) string { return filepath.Join(folder, strconv.Itoa(i)) }
	place := 0
	for ; ; place++ {
		if f, err := os.OpenFile(file(place), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			break
		}
	}
	last := file(place/number*number + number - 1)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(last); err == nil {
			return "{}"
		}
	}
	return fmt.Sprintf(`{"error":"no %d tasks were done at a time"}`, number)
}

// children starts a process of the group that does not end by itself, and tells its id.
func children(reply *os.File) {
	child := exec.Command("sleep", "3600")
	if err := child.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintf(reply, "{\"child\":%d}\n", child.Process.Pid)
}

// parent runs a pool of its own, tells the id of its worker, and waits to be killed.
func parent(reply *os.File) {
	pool, err := NewPool(context.Background(), PoolOptions{Workers: 1, Ready: 1, Command: func() *exec.Cmd { return workerCommand("plain") }})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	pool.Run(context.Background(), []Task{{Name: "echo", Line: "echo\tx"}}, func(u Update) {
		if u.Reply != nil {
			fmt.Fprintln(reply, string(u.Reply))
		}
	})
	time.Sleep(time.Hour)
}

// isGone waits a little for a process to be gone, or to be a zombie that nobody has reaped.
func isGone(pid int) bool {
	for range 100 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
