package main

// This file is the flags that choose a remote cache, and what is told of one.
//
// Each of them is also a setting of a project and an environment variable: --remote-cache is remote_cache and CHAINBUILD_REMOTE_CACHE. The flag comes
// first, then the variable, then the project.

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"chainbuild/internal/project"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
	"chainbuild/objcache/remote"

	"github.com/spf13/cobra"
)

const remoteCacheFlag = "remote-cache"

var remoteFlags = []settingFlag[settings.Remote]{
	{
		remoteCacheFlag, "", "`URL` of a server of the Remote Execution API: grpc://, grpcs://, http:// or https://HOST:PORT/INSTANCE, or off",
		[]string{"grpc://", "grpcs://", "http://", "https://", "off\tnone"},
		func(r *settings.Remote) setting { return &r.Cache },
	},
	{
		"remote-upload", "", "`WHETHER` what is compiled is stored there: yes, no, or auto: if the server lets us",
		[]string{"auto\tif the server lets us", "yes\twarn if it does not", "no\tonly read"},
		func(r *settings.Remote) setting { return &r.Upload },
	},
	{
		"remote-token-file", "", "`FILE` with a token for the server (default: CHAINBUILD_REMOTE_TOKEN, the token itself)",
		nil, func(r *settings.Remote) setting { return &r.TokenFile },
	},
	{
		"remote-header-file", "", "`FILE` with headers for the server, NAME: VALUE (default: CHAINBUILD_REMOTE_HEADERS, the headers themselves)",
		nil, func(r *settings.Remote) setting { return &r.HeaderFile },
	},
	{
		"remote-ca-file", "", "`FILE` with the certificate that has signed the server's (default: the system's)",
		nil, func(r *settings.Remote) setting { return &r.CAFile },
	},
	{
		"remote-cert-file", "", "`FILE` with a certificate that the server knows us by",
		nil, func(r *settings.Remote) setting { return &r.CertFile },
	},
	{
		"remote-key-file", "", "`FILE` with the key of that certificate",
		nil, func(r *settings.Remote) setting { return &r.KeyFile },
	},
	{
		"remote-sign", "", "`FILE` with a private key: sign what is stored",
		nil, func(r *settings.Remote) setting { return &r.Sign },
	},
	{
		"remote-trust", "", "`FILE` with public keys: use only what one of them has signed",
		nil, func(r *settings.Remote) setting { return &r.Trust },
	},
	{
		"remote-wait", "", "`TIME` that the end of a build waits for what is not stored yet (default: 1s, or a twentieth of the build)",
		[]string{"1s", "30s"}, func(r *settings.Remote) setting { return &r.Wait },
	},
	{
		"remote-exec", "", "`WHETHER` the server compiles what no cache has, beside this machine: yes or no",
		[]string{"yes\tbeside this machine", "no\tonly this machine"},
		func(r *settings.Remote) setting { return &r.Exec },
	},
	{
		"remote-julia", "", "`HOW` its workers get Julia: property: they have it, as a property of theirs says, or tree: it is sent",
		[]string{"property\tworkers have it", "tree\tit is sent"},
		func(r *settings.Remote) setting { return &r.Julia },
	},
	{
		"remote-properties", "", "`NAME=VALUE,…`: properties of its workers besides those that are asked for anyway; NAME= asks for none",
		[]string{"container-image=", "Pool="},
		func(r *settings.Remote) setting { return &r.Properties },
	},
}

// addRemoteFlags adds the flags.
func addRemoteFlags(cmd *cobra.Command, title string, r *settings.Remote) {
	for _, f := range remoteFlags {
		f.add(cmd, title, r)
	}
	for flag, value := range map[string]string{
		"remote-upload": string(remote.UploadAuto), "remote-exec": string(settings.ExecNo), "remote-julia": string(settings.JuliaProperty),
	} {
		cmd.Flags().Lookup(flag).DefValue = value
	}
}

// variable is the environment variable that does what a flag does.
func variable(flag string) string {
	return "CHAINBUILD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// overrideRemote changes the settings as the command's flags say, as far as they were given, and else as the environment does.
func overrideRemote(cmd *cobra.Command, r *settings.Remote) error {
	for _, f := range remoteFlags {
		if f.override(cmd, r) {
			continue
		}
		name := variable(f.name)
		if text := os.Getenv(name); text != "" {
			if err := f.of(r).UnmarshalText([]byte(text)); err != nil {
				return usage.Errorf("%s does not fit: %w", name, err)
			}
		}
	}
	return nil
}

// printRemote tells what the server of a remote cache is.
func printRemote(ctx context.Context, cmd *cobra.Command, w io.Writer, asJSON bool) error {
	r, err := project.RemoteSettings()
	if err != nil {
		return usage.Wrap(err)
	}
	if err := overrideRemote(cmd, &r); err != nil {
		return err
	}
	if r.Cache == "" {
		return usage.Errorf("there is no remote cache: give its address with --remote-cache or %s", variable(remoteCacheFlag))
	}
	cache, err := remote.Open(r.Options())
	if err != nil {
		return usage.Wrap(err)
	}
	defer cache.Close(ctx)
	server, err := cache.Server(ctx)
	if err != nil {
		return fmt.Errorf("the remote cache %s cannot be used, as %w: see to the server or to what it is given", cache.URL(), err)
	}
	if asJSON {
		return printJSON(w, server)
	}
	table := newRowTable(w)
	table.row("server", "%s", server.URL)
	table.row("protocol", "%s", server.Protocol)
	table.row("one question", "%s", words.Seconds(server.Trip.Round(time.Millisecond/10)))
	table.row("compression", "%s", map[bool]string{true: "zstd", false: "as the server says with each answer, or none"}[server.Zstd])
	if server.BatchBytes > 0 {
		table.row("largest batch", "%s", words.Bytes(server.BatchBytes))
	}
	switch {
	case server.Upload && server.Signs:
		table.row("uploads", "yes, signed")
	case server.Upload:
		table.row("uploads", "yes")
	case server.ReadOnly:
		table.row("uploads", "no: the server takes none from us")
	default:
		table.row("uploads", "no")
	}
	table.row("executes", "%s", map[bool]string{true: "yes", false: "no"}[server.Executes])
	if server.Trusted > 0 {
		table.row("trust", "results that one of %s has signed", words.Count(server.Trusted, "key"))
	} else {
		table.row("trust", "all results")
	}
	return table.Flush()
}
