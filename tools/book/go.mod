// This module has the program that makes the book: see `make book`. It is a module of its own, so that what it needs is no dependency of chainbuild.
module chainbuild/tools/book

go 1.26.0

require github.com/yuin/goldmark v1.8.7
