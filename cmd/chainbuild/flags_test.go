package main

import (
	"fmt"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/settings"

	"github.com/spf13/cobra"
)

// A target is what it was where no flag says something else.
func TestOverrideTarget(t *testing.T) {
	own := settings.Target{CPU: "haswell", OptLevel: 1, Layout: elfpatch.Standalone, Emit: settings.EmitTraced, PackageImages: settings.PackageImagesIgnore}
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{nil, "{haswell 1 standalone traced ignore}"},
		{[]string{"--layout=thin"}, "{haswell 1 thin traced ignore}"},
		{[]string{"--emit", "all", "-O0"}, "{haswell 0 standalone all ignore}"},
		{[]string{"-C", "generic,+fma", "-O3"}, "{generic,+fma 3 standalone traced ignore}"},
	} {
		cmd := &cobra.Command{}
		given := settings.DefaultTarget()
		addTargetFlags(cmd, outSection, &given)
		if err := cmd.ParseFlags(test.arguments); err != nil {
			t.Fatal(err)
		}
		target := own
		overrideTarget(cmd, &target)
		if got := fmt.Sprint(target); got != test.want {
			t.Errorf("with %v it is %s, not %s", test.arguments, got, test.want)
		}
	}
}

func TestTargetFlagsOfSomeNames(t *testing.T) {
	cmd := &cobra.Command{}
	var target settings.Target
	addTargetFlags(cmd, howSection, &target, emitFlag)
	if cmd.Flags().Lookup("emit") == nil || cmd.Flags().Lookup("layout") != nil {
		t.Error("not only the flag that was asked for is there")
	}
}
