package project

// This file says what compiling costs, from the descriptions of the project's images.

import (
	"fmt"
	"time"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/usage"
)

// A Compiling is what a build knows of the work that code of its image is. The times are those of processes that other work may have
// held up.
type Compiling struct {
	// Seconds is how long compile workers worked at the objects that had to be compiled, Bytes how large those are.
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
	// Infer is how long the inference of all statements took, in seconds.
	Infer float64 `json:"infer_seconds"`
}

func compilingOf(r *pipeline.Result) Compiling {
	c := Compiling{Seconds: r.Compiling.Passes + r.Compiling.Codegen, Bytes: r.Compiling.Bytes}
	for _, s := range r.Stages {
		if s.Name == "infer" {
			c.Infer = s.Seconds
		}
	}
	return c
}

// A Cost is what is known of the cost of the newest image. Of a layer it is that of the image in one piece below, if that has the same packages: that holds
// nearly all.
type Cost struct {
	Image *Image
	// PerByte is how many seconds a byte of an object took in the last build that compiled enough to tell, which was at TimedAt; 0 if no
	// build did.
	PerByte float64
	TimedAt time.Time
	// Sources are the statements that the image was built from.
	Sources map[string]bool
}

// Seconds estimates how long a worker needs for the code of the whole image, 0 if that is not known.
func (c *Cost) Seconds() float64 { return c.PerByte * float64(c.Image.ObjectBytes) }

// Cost describes the newest image.
func (p *Project) Cost() (*Cost, error) {
	all, err := p.images()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, usage.Errorf("the project in %s has no image yet: build one with chainbuild build", p.Dir)
	}
	c := &Cost{Image: all[0]}
	if lower := c.Image.lower(all); lower != nil && lower.Key == c.Image.Key {
		c.Image = lower
	}
	if c.Sources, err = c.Image.sources(); err != nil {
		return nil, fmt.Errorf("what the newest image was built from is not known: %w", err)
	}
	for _, im := range all {
		if im.Compiling.Bytes >= pipeline.MinTimed && im.Compiling.Seconds > 0 {
			c.PerByte, c.TimedAt = im.Compiling.Seconds/float64(im.Compiling.Bytes), im.Built
			break
		}
	}
	return c, nil
}
