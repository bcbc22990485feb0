package main

// What scripts about remote caches need besides the command.

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"chainbuild/objcache/remote/remotetest"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	commands["remoteserver"] = remoteServer
	commands["appendurl"] = appendURL
}

// remoteServer starts a server, sets $REMOTE to its URL, and writes a pair of keys.
func remoteServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: remoteserver")
	}
	server := &remotetest.Server{Instance: "team", Zstd: true}
	address, stop, err := server.Serve()
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("REMOTE", "grpc://"+address+"/team")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	ts.Check(err)
	open, err := x509.MarshalPKIXPublicKey(public)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: secret}, "public.pem": {Type: "PUBLIC KEY", Bytes: open}} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}

// appendURL adds the setting remote_cache to a file: appendurl file
func appendURL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: appendurl file")
	}
	text := ts.ReadFile(args[0]) + fmt.Sprintf("remote_cache = %q\n", ts.Getenv("REMOTE"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
