package bench

// This file builds the stock whole image: Julia compiles everything, the base included, and the system's compiler links.

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed stock.jl
var stockScript []byte

// stock builds the image at path from the same packages and statements.
func (b *bencher) stock(ctx context.Context, w Workload, path string) (*StockBuild, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, fmt.Errorf("the stock image cannot be linked without a C compiler: install gcc, or leave the stock build out")
	}
	script, object := filepath.Join(b.scratch, "stock.jl"), filepath.Join(b.scratch, w.Name+"-stock.o")
	if err := os.WriteFile(script, stockScript, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(object)
	args := []string{"--output-o", object, "-C", "native", script, w.Trace}
	compiled, err := b.run(ctx, b.julia(w, image{"base", b.Julia.Image}, append(args, w.Packages...)...))
	if err != nil {
		return nil, err
	}
	link := exec.CommandContext(ctx, compiler, "-shared", "-o", path, object, b.Julia.LibJulia)
	link.Env = b.environment()
	linked, err := b.run(ctx, link)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &StockBuild{
		Seconds: compiled.seconds + linked.seconds, LinkSeconds: linked.seconds,
		PeakRSS: max(compiled.peak, linked.peak), Bytes: info.Size(),
	}, nil
}
