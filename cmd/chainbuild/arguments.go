package main

// This file refuses arguments that a command does not take.

import (
	"fmt"

	"chainbuild/internal/usage"

	"github.com/spf13/cobra"
)

// noArguments refuses words that are no flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := "an argument " + fmt.Sprintf("%q", args[0]) + " of " + cmd.CommandPath()
	if cmd.Parent() == nil {
		what = fmt.Sprintf("a command %q", args[0])
	}
	return usage.Errorf("there is no such thing as %s: see `%s --help`", what, cmd.CommandPath())
}

// fileArguments accepts at least one file.
func fileArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage.Errorf("no file was named: see `%s --help`", cmd.CommandPath())
	}
	return nil
}

// arguments has arguments that are too few or too many refused as other requests that cannot be met are.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
		}
		return nil
	}
}
