package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"chainbuild/build"
	"chainbuild/elfpatch"
)

type rep struct{}

func (rep) Report(e build.Event) {
	switch e := e.(type) {
	case build.StageEnded:
		fmt.Printf("%-10s %.3f %v\n", e.Name, e.Took.Seconds(), e.Err)
	case build.UnresolvedStatement:
		if os.Getenv("V") != "" {
			fmt.Println(e.Line, e.Reason, e.Statement)
		}
	case build.Warning:
		fmt.Println("warn", e.Text)
	case build.Note:
		fmt.Println("note", e.Text)
	}
}
func main() {
	st := flag.String("s", "", "")
	base := flag.String("base", "", "")
	out := flag.String("o", "", "")
	sa := flag.Bool("standalone", false, "")
	keep := flag.Bool("keep", false, "")
	emit := flag.String("emit", "all", "")
	flag.Parse()
	l := elfpatch.Thin
	if *sa {
		l = elfpatch.Standalone
	}
	r, err := build.Run(context.Background(), build.Options{Julia: "/tmp/tc/julia", Base: *base, Statements: []string{*st}, Output: *out, OptLevel: 2, Layout: l, KeepScratch: *keep, Report: rep{}, Emit: *emit})
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
	fmt.Printf("%+v\n", r)
}
