// Package terminal says what there is to know of a terminal that is drawn on.
package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// Is says whether the file is a terminal on which a line can be drawn over.
func Is(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil && os.Getenv("TERM") != "dumb"
}

// Width returns how many columns the terminal has now, 80 where that is unknown.
func Width(file *os.File) int {
	if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		return int(size.Col)
	}
	return 80
}
