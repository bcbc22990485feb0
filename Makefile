# Targets of the checkout. `make build` needs Go alone; the targets that run
# Julia take CHAINBUILD_JULIA, else a Julia 1.5 on the path, else the toolchain's.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PREFIX   := /usr/local
INPUTS   := 20000
BENCH    := Added stdlib

# The program asks for no C library, so that one file runs on each Linux. Tests are of the same kind. `make race` alone needs C.
export CGO_ENABLED = 0

.PHONY: build install uninstall dist deb book toolchain bazel-remote demo check check-workflows test test-go test-jl test-install test-book race fuzz test-julia bench-build clean

build:
	go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/chainbuild ./cmd/chainbuild

# Installs below PREFIX: the program, its manual pages, its completions for three shells, the package for Julia, and the licence.
# DESTDIR is put before all paths, for packages.
install: build
	install -D -m 755 bin/chainbuild '$(DESTDIR)$(PREFIX)/bin/chainbuild'
	install -D -m 644 LICENSE '$(DESTDIR)$(PREFIX)/share/doc/chainbuild/LICENSE'
	rm -rf bin/man
	bin/chainbuild man bin/man
	install -d -m 755 '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -m 644 bin/man/*.1 '$(DESTDIR)$(PREFIX)/share/man/man1'
	mkdir -p bin/completions
	bin/chainbuild completion bash >bin/completions/chainbuild
	bin/chainbuild completion zsh >bin/completions/_chainbuild
	bin/chainbuild completion fish >bin/completions/chainbuild.fish
	install -D -m 644 bin/completions/chainbuild '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/chainbuild'
	install -D -m 644 bin/completions/_chainbuild '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_chainbuild'
	install -D -m 644 bin/completions/chainbuild.fish '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/chainbuild.fish'
	cd lib/ChainBuild && for file in Project.toml src/*.jl; do \
		install -D -m 644 $$file '$(DESTDIR)$(PREFIX)/share/chainbuild/ChainBuild/'$$file || exit 1; \
	done

uninstall:
	rm -rf '$(DESTDIR)$(PREFIX)/share/doc/chainbuild' '$(DESTDIR)$(PREFIX)/share/chainbuild'
	rm -f '$(DESTDIR)$(PREFIX)/bin/chainbuild' \
		'$(DESTDIR)$(PREFIX)/share/man/man1/chainbuild.1' '$(DESTDIR)$(PREFIX)/share/man/man1/chainbuild-'*.1 \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/chainbuild' \
		'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_chainbuild' \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/chainbuild.fish'

# What a release has, in dist: an archive, its bill of materials, an installer, sums.
dist:
	tools/dist.sh '$(VERSION)'

# A Debian package of it, in dist too.
deb: dist
	tools/deb.sh '$(VERSION)'

# Pages of the documents and of the commands, in bin/book: open bin/book/index.html. A link that leads nowhere is an error.
book: build
	rm -rf bin/reference
	bin/chainbuild man --markdown bin/reference
	go -C tools/book run . '$(CURDIR)' '$(CURDIR)/bin/reference' '$(CURDIR)/bin/book'

# The last line of output is the path of the julia executable.
toolchain:
	@tools/toolchain.sh

# A server of the Remote Execution API, for the tests of remote caches: a minute and a half, once. Without it they are skipped.
bazel-remote:
	mkdir -p .toolchain
	cd tools/bazel-remote && go build -o ../../.toolchain/bazel-remote github.com/buchgr/bazel-remote/v2

# Builds images for the examples and shows what they gain.
demo: build
	@examples/demo.sh

# What can be said of the Go code without running it.
check:
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "not formatted, run gofmt -w:" && echo "$$files" && exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	cd tools/release && go vet ./sbom
	cd tools/book && go vet .

# The workflows of GitHub, which run there alone.
check-workflows:
	actionlint=$$(go -C tools/release tool -n actionlint) && "$$actionlint"

test: test-go test-jl test-install test-book

test-go:
	@julia=$$(tools/find-julia.sh | tail -n 1) && [ -n "$$julia" ] && \
	set -x && CHAINBUILD_JULIA="$$julia" go test -timeout 30m ./...

# The tests written in Julia: the worker's and the example packages' own, under
# the first Julia of the list.
test-jl:
	@julia=$$(tools/find-julia.sh | tail -n 1) && [ -n "$$julia" ] && \
	for tests in $(wildcard julia/*/test/runtests.jl lib/*/test/runtests.jl examples/*/test/runtests.jl); do \
		(set -x && "$${julia%%:*}" --startup-file=no --project="$${tests%/test/*}" "$$tests") || exit 1; \
	done

test-install:
	tools/test-install.sh
	tools/test-dist.sh

# The program that makes the book, and the book.
test-book: book
	cd tools/book && go test .

# What needs no Julia, under the race detector, which needs a C compiler. The commands and the benchmark harness are left out: what they
# are linked with takes a minute to compile, and their goroutines are those of the packages.
race:
	CGO_ENABLED=1 go test -race -short $$(go list ./... | grep -v -e /bench -e /cmd/ -e /tools/)

# Each fuzz test on so many inputs.
fuzz:
	tools/fuzz.sh $(INPUTS)

# Julia's own tests under its own image and under IMAGE, by default one of the standard libraries' example; takes long
# (see examples/julia-tests).
test-julia: build
	@julia=$$(tools/find-julia.sh | tail -n 1) && [ -n "$$julia" ] && image="$(IMAGE)" && \
	if [ -z "$$image" ]; then \
		image=bin/julia-tests.so && CHAINBUILD_JULIA="$$julia" bin/chainbuild --statements examples/stdlib/trace.jl -o "$$image" || exit 1; \
	fi && \
	CHAINBUILD_JULIA="$$julia" examples/julia-tests/compare.sh "$$image"

# Measures what images gain and cost, against Julia's own way to build an image: 5 to 10 minutes for each workload of BENCH.
# BENCH takes the options of `chainbuild bench` too, such as --comparators none, which leaves out what takes minutes.
bench-build: build
	@julia=$$(tools/find-julia.sh | tail -n 1) && [ -n "$$julia" ] && \
	CHAINBUILD_JULIA="$$julia" bin/chainbuild bench -o bin/bench $(BENCH)

# The toolchain stays: it is not made from the sources.
clean:
	rm -rf bin dist
