# Targets of the checkout. `make build` needs Go alone; the targets that run
# Julia take CHAINBUILD_JULIA, else a Julia 1.5 on the path, else the toolchain's.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME := 20s
BENCH    := Added stdlib

.PHONY: build toolchain demo test test-go test-jl test-julia bench-build fuzz clean

build:
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/chainbuild ./cmd/chainbuild

# The last line of output is the path of the julia executable.
toolchain:
	@tools/toolchain.sh

# Builds images for the examples and shows what they gain.
demo: build
	@examples/demo.sh

test: test-go test-jl

test-go:
	@julia=$$(tools/find-julia.sh | tail -n 1) && [ -n "$$julia" ] && \
	set -x && go vet ./... && CHAINBUILD_JULIA="$$julia" go test -timeout 30m ./...

# The tests written in Julia: the worker's and the example packages' own, under
# the first Julia of the list.
test-jl:
	@julia=$$(tools/find-julia.sh | tail -n 1) && [ -n "$$julia" ] && \
	for tests in $(wildcard julia/*/test/runtests.jl lib/*/test/runtests.jl examples/*/test/runtests.jl); do \
		(set -x && "$${julia%%:*}" --startup-file=no --project="$${tests%/test/*}" "$$tests") || exit 1; \
	done

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

fuzz:
	tools/fuzz.sh $(FUZZTIME)

# The toolchain stays: it is not made from the sources.
clean:
	rm -rf bin
