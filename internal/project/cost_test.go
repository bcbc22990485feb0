package project

import (
	"strings"
	"testing"

	"chainbuild/internal/pipeline"
)

// Times are those of the last build that compiled enough, sizes those of the newest image.
func TestCost(t *testing.T) {
	p := open(t, isolate(t), nil)
	recorded(t, p, aStatement)
	if _, err := p.Cost(); err == nil || !strings.Contains(err.Error(), "has no image yet") {
		t.Errorf("without an image the error is %v", err)
	}
	results := []*pipeline.Result{
		{Partitions: pipeline.PartitionCounts{MissBytes: 4_000_000}, Compiling: pipeline.CompileTimes{Passes: 1, Codegen: 3, Bytes: 2_000_000},
			Stages: []pipeline.Stage{{Name: "load", Seconds: 9}, {Name: "infer", Seconds: 1.5}}},
		{Partitions: pipeline.PartitionCounts{HitBytes: 4_900_000, MissBytes: 100_000}, Compiling: pipeline.CompileTimes{Codegen: 7, Bytes: 100_000},
			Stages: []pipeline.Stage{{Name: "infer", Seconds: 2.5}}},
	}
	fakePipeline(t, func(pipeline.Options, []string) (*pipeline.Result, error) {
		r := results[0]
		results = results[1:]
		return r, nil
	})
	for _, want := range []struct{ seconds, infer float64 }{{8, 1.5}, {10, 2.5}} {
		if _, err := p.Build(t.Context(), BuildOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		c, err := p.Cost()
		if err != nil || c.Seconds() != want.seconds || c.Image.Compiling.Infer != want.infer || len(c.Sources) == 0 {
			t.Errorf("the cost is %+v, %v s (%v), want %v s and %v s for inference", c, c.Seconds(), err, want.seconds, want.infer)
		}
		// The next image is another one.
		recorded(t, p, "Tuple{typeof(Base.sum), Array{Float32, 7}}")
	}
}
