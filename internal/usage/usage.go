// Package usage tells requests that cannot be met from work that failed.
//
// Whoever finds out that a request cannot be met makes the error, at the place where it is found out. The command asks for it
// once, at the end, for its exit code.
package usage

import "fmt"

// An Error is a request that cannot be met whatever is done, found before any work: a file that is not there, a base of
// another Julia, a value that a flag does not take.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error as fmt.Errorf makes an error.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// Wrap makes an Error of an error; nil stays nil.
func Wrap(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}
