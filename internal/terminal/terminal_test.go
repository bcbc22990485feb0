package terminal

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// open opens a new terminal and returns both of its ends.
func open(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: there are no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(number)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: the terminal cannot be opened: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

func TestTerminal(t *testing.T) {
	master, terminal := open(t)
	t.Setenv("TERM", "xterm")
	if !Is(terminal) {
		t.Error("a terminal is none")
	}
	if got := Width(terminal); got != 80 {
		t.Errorf("a terminal without a size is %d columns wide", got)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 132}); err != nil {
		t.Fatal(err)
	}
	if got := Width(terminal); got != 132 {
		t.Errorf("a terminal of 132 columns is %d wide", got)
	}
	t.Setenv("TERM", "dumb")
	if Is(terminal) {
		t.Error("a dumb terminal can be drawn on")
	}
}

func TestFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Is(file) || Width(file) != 80 {
		t.Errorf("a file is a terminal (%v), %d columns wide", Is(file), Width(file))
	}
}
