// Command book makes plain pages for a browser of the documents of the checkout and of the commands' reference:
//
//	book CHECKOUT REFERENCE OUTPUT
//
// CHECKOUT is the folder of the sources, REFERENCE one with the pages that `chainbuild man --markdown` writes, and OUTPUT the folder of the book, which is
// made anew. The chapters are those that docs/README.md lists, and what they link to; the first page is README.md. The pages need no
// server and no network. A link that leads nowhere is an error, and then there is no book.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: book CHECKOUT REFERENCE OUTPUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "book:", err)
		os.Exit(1)
	}
}

// run makes a book beside the output, and gives it its name when it is whole.
func run(checkout, reference, output string) error {
	b, err := load(checkout, reference)
	if err != nil {
		return err
	}
	if err := b.render(); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	unfinished := output + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := b.write(unfinished); err != nil {
		return err
	}
	if err := os.RemoveAll(output); err != nil {
		return err
	}
	return os.Rename(unfinished, output)
}
