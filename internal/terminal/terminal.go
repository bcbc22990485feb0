// Package terminal says what there is to know of a terminal that is drawn on.
package terminal

import (
	"cmp"
	"os"
	"strings"

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

// Colour says whether whoever sits at a terminal wants colours: see https://no-color.org.
func Colour() bool { return os.Getenv("NO_COLOR") == "" }

// ASCII says whether the environment tells of a terminal that shows nothing else. Where it tells nothing, as in containers, terminals show all of Unicode.
func ASCII() bool {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return locale != "" && !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8")
}
