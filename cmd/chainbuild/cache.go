package main

// This file is the commands for the object cache.

import (
	"context"
	"fmt"
	"io"
	"os"

	"chainbuild/internal/depot"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
	"chainbuild/objcache"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newCacheCommand(stdout *os.File) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look after the object cache",
		Long: `Look after the object cache: compiled objects, kept so that a build compiles only
what has changed. It is chainbuild/cache in the first depot, or the folder that
CHAINBUILD_CACHE names.

Builds keep the cache within its limit by themselves, and drop damaged entries when
they meet them. Everything in it can be removed at any time, also while builds run.`,
		Example: `  chainbuild cache stats
  chainbuild cache gc --limit 2GB
  CHAINBUILD_CACHE=off chainbuild --statements trace.jl -o chained.so`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&dir, "cache-dir", "", "`FOLDER` of the cache (default: the one that builds use)")
	cmd.MarkPersistentFlagDirname("cache-dir")

	// on makes a command that does something to the cache, which is not made if it is not there.
	on := func(use, short, long string, do func(context.Context, *objcache.Cache) error, limit *settings.Size) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Long: long, Args: noArguments, RunE: func(cmd *cobra.Command, args []string) error {
			cache, err := openCache(dir, limit)
			if err != nil {
				return err
			}
			return do(cmd.Context(), cache)
		}}
	}

	var asJSON, ofRemote bool
	stats := on("stats", "Tell what is in the cache", `Tell where the cache is, how many entries it has, how large they are, and when they were
used. With --remote, ask the remote cache instead who it is, and tell what builds do
with it: the one of the flags, of the environment, or of the project of the current
folder.`,
		func(ctx context.Context, cache *objcache.Cache) error { return printStats(ctx, cache, stdout, asJSON) }, nil)
	ofCache := stats.RunE
	stats.RunE = func(cmd *cobra.Command, args []string) error {
		if ofRemote {
			return printRemote(cmd.Context(), cmd, stdout, asJSON)
		}
		return ofCache(cmd, args)
	}
	section(stats, remoteSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&ofRemote, "remote", false, "tell of the remote cache")
	})
	addRemoteFlags(stats, remoteSection, &settings.Remote{})
	section(stats, saidSection, func(flags *pflag.FlagSet) { addJSONFlag(flags, &asJSON, "one JSON object") })

	limit := settings.Size(objcache.DefaultLimit)
	gc := on("gc", "Remove what was not used for the longest time", `Remove what killed builds have left behind and, if the entries are larger than the
limit, those that were not used for the longest time, until a tenth of the limit is
free. Builds do the same now and then.`,
		func(ctx context.Context, cache *objcache.Cache) error {
			removed, err := cache.Trim(ctx)
			if err != nil {
				return err
			}
			printRemoved(stdout, removed)
			fmt.Fprintf(stdout, "left %s, %s of %s\n", words.Count(removed.EntriesLeft, "entry"), words.Bytes(removed.BytesLeft), words.Bytes(int64(limit)))
			return nil
		}, &limit)
	gc.Flags().TextVar(&limit, "limit", limit, "`SIZE` that the entries may have together, as in 500MB or 10GiB")

	verify := on("verify", "Read every entry and remove the damaged ones",
		"Read every entry and remove the damaged ones. Builds do that for each entry that\nthey use. The command fails if there were any.",
		func(ctx context.Context, cache *objcache.Cache) error { return verifyCache(ctx, cache, stdout) }, nil)

	empty := on("clear", "Remove every entry", "Remove every entry. Builds that run go on, and compile what they no longer find.",
		func(ctx context.Context, cache *objcache.Cache) error {
			removed, err := cache.Clear(ctx)
			if err != nil {
				return err
			}
			printRemoved(stdout, removed)
			return nil
		}, nil)

	cmd.AddCommand(stats, gc, verify, empty)
	return cmd
}

// openCache opens the cache in the folder, or the one that builds use. A nil limit means the default.
func openCache(dir string, limit *settings.Size) (*objcache.Cache, error) {
	if dir == "" {
		dir = objcache.DefaultDir(depot.Known())
	}
	if dir == "" || dir == objcache.Off {
		return nil, usage.Errorf("there is no object cache: give its folder with --cache-dir or %s", objcache.Environment)
	}
	var o objcache.Options
	if limit != nil {
		o.Limit = int64(*limit)
	}
	cache, err := objcache.Open(dir, o)
	return cache, usage.Wrap(err)
}

func printStats(ctx context.Context, cache *objcache.Cache, w io.Writer, asJSON bool) error {
	stats, err := cache.Stats(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, stats)
	}
	table := newRowTable(w)
	table.row("folder", "%s", stats.Dir)
	table.row("entries", "%s, %s of %s", words.Thousands(stats.Entries), words.Bytes(stats.Bytes), words.Bytes(stats.Limit))
	if stats.Temporary > 0 {
		table.row("unfinished", "%s, %s", words.Thousands(stats.Temporary), words.Bytes(stats.TemporaryBytes))
	}
	if stats.Foreign > 0 {
		table.row("not its own", "%s, left alone", words.Thousands(stats.Foreign))
	}
	if stats.Entries > 0 {
		table.row("used", "between %s and %s", words.Minute(stats.Oldest), words.Minute(stats.Newest))
	}
	if !stats.Trimmed.IsZero() {
		table.row("trimmed", "%s", words.Minute(stats.Trimmed))
	}
	return table.Flush()
}

func printRemoved(w io.Writer, r objcache.Removed) {
	fmt.Fprintf(w, "removed %s, %s\n", words.Count(r.Entries, "entry"), words.Bytes(r.Bytes))
	if r.Temporary > 0 {
		fmt.Fprintf(w, "removed unfinished ones: %s\n", words.Thousands(r.Temporary))
	}
}

func verifyCache(ctx context.Context, cache *objcache.Cache, w io.Writer) error {
	verified, err := cache.Verify(ctx)
	for _, damaged := range verified.Damaged {
		fmt.Fprintln(w, damaged)
	}
	if err != nil {
		return err
	}
	if n := len(verified.Damaged); n > 0 {
		return fmt.Errorf("%s of %s in %s were damaged, see above: builds make them again; if it happens again, check the disk",
			words.Thousands(n), words.Count(verified.Entries, "entry"), cache.Dir())
	}
	_, err = fmt.Fprintf(w, "%s, %s: all are whole\n", words.Count(verified.Entries, "entry"), words.Bytes(verified.Bytes))
	return err
}
