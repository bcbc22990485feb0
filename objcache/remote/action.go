package remote

// This file turns a computation into what the protocol calls an action.
//
//	Action     digest of the Command, digest of the input root, platform properties, salt
//	Command    arguments, environment variables, path of the output
//	Directory  one for the input root and one for each folder below it: names and digests of what is in it
//
// All three are messages whose bytes are hashed, so these must be the same for the same computation: what has no order of its own is sorted
// by name, as the protocol demands. The salt is the key of the object cache. So two keys never share an action, whatever the rest of the
// description leaves out.

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"chainbuild/objcache"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"
)

// An Action is a computation as the protocol knows it. It is read-only and may be used by several goroutines at once.
type Action struct {
	action, command blob
	output          string
}

// A digest names a blob by what is in it: its SHA-256 and its size in bytes.
type digest struct {
	hash string // 64 lower-case hexadecimal digits
	size int64
}

func digestOf(data []byte) digest {
	sum := sha256.Sum256(data)
	return digest{hex.EncodeToString(sum[:]), int64(len(data))}
}

func (d digest) message() *repb.Digest { return &repb.Digest{Hash: d.hash, SizeBytes: d.size} }

// digestFrom reads a digest of a message. It is not ok if it is none of a SHA-256, or that of more than maxBlob bytes.
func digestFrom(m *repb.Digest) (d digest, ok bool) {
	d = digest{m.GetHash(), m.GetSizeBytes()}
	sum, err := hex.DecodeString(d.hash)
	ok = err == nil && len(sum) == sha256.Size && hex.EncodeToString(sum) == d.hash && d.size >= 0 && d.size <= maxBlob
	return d, ok
}

// A blob is data with its digest.
type blob struct {
	digest digest
	data   []byte
}

func newBlob(data []byte) blob { return blob{digestOf(data), data} }

// NewAction describes a computation.
func NewAction(c *objcache.Computation) *Action {
	a := &Action{output: c.Output, command: messageBlob(&repb.Command{
		Arguments: c.Arguments, EnvironmentVariables: environment(c.Environment), OutputPaths: []string{c.Output},
	})}
	root := NewFolder(plainFiles(c.Files), nil)
	a.action = messageBlob(&repb.Action{
		CommandDigest:   a.command.digest.message(),
		InputRootDigest: root.root.message(),
		Salt:            c.Key[:],
		Platform:        platform(c.Platform),
	})
	return a
}

func platform(properties map[string]string) *repb.Platform {
	p := &repb.Platform{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p.Properties = append(p.Properties, &repb.Platform_Property{Name: name, Value: properties[name]})
	}
	return p
}

func environment(variables map[string]string) (all []*repb.Command_EnvironmentVariable) {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		all = append(all, &repb.Command_EnvironmentVariable{Name: name, Value: variables[name]})
	}
	return all
}

// messageBlob is a message as it is stored.
func messageBlob(m proto.Message) blob {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // the texts are paths and names of ours, which are UTF-8
	}
	return newBlob(data)
}
