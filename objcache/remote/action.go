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
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

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
	platform := &repb.Platform{}
	for _, name := range slices.Sorted(maps.Keys(c.Platform)) {
		platform.Properties = append(platform.Properties, &repb.Platform_Property{Name: name, Value: c.Platform[name]})
	}
	command := &repb.Command{Arguments: c.Arguments, OutputPaths: []string{c.Output}}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		command.EnvironmentVariables = append(command.EnvironmentVariables, &repb.Command_EnvironmentVariable{Name: name, Value: c.Environment[name]})
	}
	a := &Action{command: messageBlob(command), output: c.Output}
	a.action = messageBlob(&repb.Action{
		CommandDigest:   a.command.digest.message(),
		InputRootDigest: folderDigest(c.Files).message(),
		Salt:            c.Key[:],
		Platform:        platform,
	})
	return a
}

// folderDigest is the digest of the Directory with these files.
func folderDigest(files map[string][]byte) digest {
	directory := &repb.Directory{}
	below := map[string]map[string][]byte{}
	for name, content := range files {
		folder, rest, deeper := strings.Cut(name, "/")
		if !deeper {
			directory.Files = append(directory.Files, &repb.FileNode{Name: name, Digest: digestOf(content).message()})
			continue
		}
		if below[folder] == nil {
			below[folder] = map[string][]byte{}
		}
		below[folder][rest] = content
	}
	for folder, files := range below {
		directory.Directories = append(directory.Directories, &repb.DirectoryNode{Name: folder, Digest: folderDigest(files).message()})
	}
	slices.SortFunc(directory.Files, func(a, b *repb.FileNode) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(directory.Directories, func(a, b *repb.DirectoryNode) int { return cmp.Compare(a.Name, b.Name) })
	return messageBlob(directory).digest
}

// messageBlob is a message as it is stored.
func messageBlob(m proto.Message) blob {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // the texts are paths and names of ours, which are UTF-8
	}
	return newBlob(data)
}
