package pipeline

// This file finds out what it means that new code is to be compiled for several targets. The Julia says what its names of processors stand for;
// the base says which of its code serves on them.

import (
	"context"

	"chainbuild/internal/usage"
	"chainbuild/llvmdriver"
	"chainbuild/sysimage"
)

// chooseVariants completes the targets where there are several. Compile workers have one process for all of them; it is made for the first.
func (p *plan) chooseVariants(ctx context.Context) error {
	if len(p.targets) == 1 {
		return nil
	}
	if !p.series.CompilesForProcess {
		return refuse("--cpu-target %s is several targets, and on Julia %s new code is compiled for one: give that", p.options.CPU, p.series.Name)
	}
	if len(p.targets) == 0 {
		p.variants = p.base.OwnVariants()
	} else {
		data, err := p.julia.Targets(ctx, llvmdriver.TargetsOption(p.targets))
		if err != nil {
			return err
		}
		targets, err := p.base.ParseTargets(data)
		if err != nil {
			return err
		}
		for i, t := range targets {
			if t.Flags&sysimage.TargetUnknownName != 0 {
				return refuse("--cpu-target %s: Julia does not know a processor %s; `julia -C help` lists those that it knows", p.options.CPU, p.targets[i].CPU)
			}
		}
		if p.variants, err = p.base.VariantsFor(targets); err != nil {
			return usage.Wrap(err)
		}
	}
	option := p.variants.Targets[0].Option()
	p.targets = nil
	for _, t := range p.variants.Targets {
		cpu, features := t.LLVM()
		p.targets = append(p.targets, llvmdriver.Target{CPU: cpu, Features: features, Option: option, OptLevel: int(p.options.OptLevel), OneOfSeveral: true})
	}
	return nil
}
