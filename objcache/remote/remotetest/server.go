// Package remotetest has a server of the Remote Execution API for tests: in memory, strict, and with faults on request.
package remotetest

// This file is the server with gRPC. It holds its clients to what strict servers demand: blobs have their digests, the result of an action refers to
// what is there, and carries nothing inline.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/bazelbuild/remote-apis/build/bazel/semver"
	"github.com/klauspost/compress/zstd"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A Server is a cache. Its fields are set before Start.
type Server struct {
	// Instance is the name that calls must give.
	Instance string
	// Headers must come with each call, by name.
	Headers map[string]string
	// ReadOnly announces that no results are taken, and takes none.
	ReadOnly bool
	// BatchBytes is announced as the largest batch; 0: nothing is announced. More is refused in either case, with 4 MiB at the most.
	BatchBytes int64
	// Zstd announces compression, and with it demands that what is stored comes compressed.
	Zstd bool
	// Fault is asked before each call, by the last part of its name ("GetActionResult", "Read"); an error is the answer. Nil: none.
	Fault func(ctx context.Context, call string) error
	// Spoil changes blobs that are read; nil: none is changed.
	Spoil func(data []byte) []byte
	// Executor runs commands; nil: the server says that it does not execute.
	Executor *Executor

	mu      sync.Mutex
	blobs   map[string][]byte // by hash
	results map[string]*repb.ActionResult
	calls   map[string]int

	repb.UnimplementedActionCacheServer
	repb.UnimplementedContentAddressableStorageServer
	repb.UnimplementedCapabilitiesServer
	bspb.UnimplementedByteStreamServer
}

// most is the largest message, in bytes.
const most = 4 << 20

// Start starts the server on a port of this machine and returns its host and port. It ends with the test.
func (s *Server) Start(t testing.TB, o ...grpc.ServerOption) (address string) {
	t.Helper()
	address, stop, err := s.Serve(o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address
}

// Serve is Start where there is no test to end with: stop must be called.
func (s *Server) Serve(o ...grpc.ServerOption) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s.init()
	g := grpc.NewServer(append(o, grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream), grpc.MaxRecvMsgSize(most))...)
	repb.RegisterActionCacheServer(g, s)
	repb.RegisterContentAddressableStorageServer(g, s)
	repb.RegisterCapabilitiesServer(g, s)
	if s.Executor != nil {
		repb.RegisterExecutionServer(g, s.Executor.on(s))
	}
	bspb.RegisterByteStreamServer(g, s)
	go g.Serve(listener)
	return listener.Addr().String(), g.Stop, nil
}

func (s *Server) init() {
	s.blobs, s.results, s.calls = map[string][]byte{}, map[string]*repb.ActionResult{}, map[string]int{}
}

// Calls is how often a call was made, by the last part of its name.
func (s *Server) Calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

// Results is the number of results.
func (s *Server) Results() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.results)
}

// Forget removes all blobs.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.blobs)
}

// Change calls do with each result, which it may change, and with the blobs by their hashes.
func (s *Server) Change(do func(result *repb.ActionResult, blobs map[string][]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, result := range s.results {
		do(result, s.blobs)
	}
}

// admit counts a call and says whether it may be made.
func (s *Server) admit(ctx context.Context, method string) error {
	name := method[strings.LastIndexByte(method, '/')+1:]
	s.mu.Lock()
	s.calls[name]++
	s.mu.Unlock()
	given, _ := metadata.FromIncomingContext(ctx)
	for header, value := range s.Headers {
		if !slices.Contains(given.Get(header), value) {
			return status.Errorf(codes.Unauthenticated, "the header %s is another", header)
		}
	}
	if s.Fault != nil {
		return s.Fault(ctx, name)
	}
	return nil
}

func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	if named, ok := request.(interface{ GetInstanceName() string }); ok && named.GetInstanceName() != s.Instance {
		return nil, status.Errorf(codes.InvalidArgument, "there is no instance %q", named.GetInstanceName())
	}
	return handle(ctx, request)
}

func (s *Server) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := s.admit(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handle(server, stream)
}

// GetCapabilities says what the server takes.
func (s *Server) GetCapabilities(context.Context, *repb.GetCapabilitiesRequest) (*repb.ServerCapabilities, error) {
	cache := &repb.CacheCapabilities{
		DigestFunctions:               []repb.DigestFunction_Value{repb.DigestFunction_SHA256},
		ActionCacheUpdateCapabilities: &repb.ActionCacheUpdateCapabilities{UpdateEnabled: !s.ReadOnly},
		MaxBatchTotalSizeBytes:        s.BatchBytes,
	}
	if s.Zstd {
		cache.SupportedCompressors = []repb.Compressor_Value{repb.Compressor_ZSTD}
		cache.SupportedBatchUpdateCompressors = []repb.Compressor_Value{repb.Compressor_ZSTD}
	}
	return &repb.ServerCapabilities{CacheCapabilities: cache, ExecutionCapabilities: s.Executor.capabilities(), LowApiVersion: &semver.SemVer{Major: 2}, HighApiVersion: &semver.SemVer{Major: 2, Minor: 3}}, nil
}

// GetActionResult returns what was stored.
func (s *Server) GetActionResult(_ context.Context, r *repb.GetActionResultRequest) (*repb.ActionResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, ok := s.results[r.GetActionDigest().GetHash()]
	if !ok {
		return nil, status.Error(codes.NotFound, "no such result")
	}
	return proto.Clone(result).(*repb.ActionResult), nil
}

// UpdateActionResult stores a result that a strict server takes.
func (s *Server) UpdateActionResult(_ context.Context, r *repb.UpdateActionResultRequest) (*repb.ActionResult, error) {
	return r.GetActionResult(), s.setResult(r.GetActionDigest().GetHash(), r.GetActionResult())
}

func (s *Server) setResult(hash string, result *repb.ActionResult) error {
	if s.ReadOnly {
		return status.Error(codes.PermissionDenied, "no results are taken from you")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(format string, args ...any) error {
		return status.Errorf(codes.FailedPrecondition, format, args...)
	}
	var action repb.Action
	text, ok := s.blobs[hash]
	if !ok || proto.Unmarshal(text, &action) != nil {
		return refuse("the action %s is not stored", hash)
	}
	var command repb.Command
	text, ok = s.blobs[action.GetCommandDigest().GetHash()]
	if !ok || proto.Unmarshal(text, &command) != nil || len(command.GetArguments()) == 0 {
		return refuse("the command of the action %s is not stored", hash)
	}
	if len(result.GetStdoutRaw())+len(result.GetStderrRaw()) > 0 || len(result.GetOutputFiles()) == 0 {
		return refuse("the result has something inline, or no outputs")
	}
	for _, file := range result.GetOutputFiles() {
		if data, ok := s.blobs[file.GetDigest().GetHash()]; !ok || int64(len(data)) != file.GetDigest().GetSizeBytes() || len(file.GetContents()) > 0 {
			return refuse("the output %s is not stored, or inline", file.GetPath())
		}
	}
	s.results[hash] = proto.Clone(result).(*repb.ActionResult)
	return nil
}

// FindMissingBlobs says what is not stored.
func (s *Server) FindMissingBlobs(_ context.Context, r *repb.FindMissingBlobsRequest) (*repb.FindMissingBlobsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &repb.FindMissingBlobsResponse{}
	for _, d := range r.GetBlobDigests() {
		if _, ok := s.blobs[d.GetHash()]; !ok {
			answer.MissingBlobDigests = append(answer.MissingBlobDigests, d)
		}
	}
	return answer, nil
}

func digestOf(data []byte) *repb.Digest {
	sum := sha256.Sum256(data)
	return &repb.Digest{Hash: hex.EncodeToString(sum[:]), SizeBytes: int64(len(data))}
}

// store stores a blob that has its digest.
func (s *Server) store(hash string, size int64, data []byte) error {
	if d := digestOf(data); d.GetHash() != hash || d.GetSizeBytes() != size {
		return status.Errorf(codes.InvalidArgument, "a blob has not the digest %s/%d", hash, size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[hash] = bytes.Clone(data)
	return nil
}

// blob returns a blob as it is read.
func (s *Server) blob(hash string) ([]byte, error) {
	s.mu.Lock()
	data, ok := s.blobs[hash]
	s.mu.Unlock()
	if !ok {
		return nil, status.Error(codes.NotFound, "no such blob")
	}
	if s.Spoil != nil {
		data = s.Spoil(bytes.Clone(data))
	}
	return data, nil
}

func (s *Server) tooMuch(bytes int64) error {
	if bytes > most || s.BatchBytes > 0 && bytes > s.BatchBytes {
		return status.Errorf(codes.InvalidArgument, "%d bytes are more than a batch has", bytes)
	}
	return nil
}

// BatchUpdateBlobs stores blobs.
func (s *Server) BatchUpdateBlobs(_ context.Context, r *repb.BatchUpdateBlobsRequest) (*repb.BatchUpdateBlobsResponse, error) {
	answer := &repb.BatchUpdateBlobsResponse{}
	total := int64(0)
	for _, one := range r.GetRequests() {
		total += one.GetDigest().GetSizeBytes()
		if err := s.tooMuch(total); err != nil {
			return nil, err
		}
		data, err := s.unpack(one.GetData(), one.GetCompressor())
		if err == nil {
			err = s.store(one.GetDigest().GetHash(), one.GetDigest().GetSizeBytes(), data)
		}
		answer.Responses = append(answer.Responses, &repb.BatchUpdateBlobsResponse_Response{Digest: one.GetDigest(), Status: status.Convert(err).Proto()})
	}
	return answer, nil
}

func (s *Server) unpack(data []byte, compressor repb.Compressor_Value) ([]byte, error) {
	if s.Zstd != (compressor == repb.Compressor_ZSTD) {
		return nil, status.Errorf(codes.InvalidArgument, "the compressor %v was not agreed on", compressor)
	}
	if !s.Zstd {
		return data, nil
	}
	return unzstd(data)
}

func unzstd(data []byte) ([]byte, error) {
	reader, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

func pack(data []byte) []byte {
	var frame bytes.Buffer
	writer, err := zstd.NewWriter(&frame)
	if err != nil {
		panic(err)
	}
	writer.Write(data)
	writer.Close()
	return frame.Bytes()
}

// BatchReadBlobs returns blobs.
func (s *Server) BatchReadBlobs(_ context.Context, r *repb.BatchReadBlobsRequest) (*repb.BatchReadBlobsResponse, error) {
	answer := &repb.BatchReadBlobsResponse{}
	total := int64(0)
	for _, d := range r.GetDigests() {
		if total += d.GetSizeBytes(); s.tooMuch(total) != nil {
			return nil, s.tooMuch(total)
		}
		data, err := s.blob(d.GetHash())
		one := &repb.BatchReadBlobsResponse_Response{Digest: d, Data: data, Status: status.Convert(err).Proto()}
		if s.Zstd && slices.Contains(r.GetAcceptableCompressors(), repb.Compressor_ZSTD) && err == nil {
			one.Data, one.Compressor = pack(data), repb.Compressor_ZSTD
		}
		answer.Responses = append(answer.Responses, one)
	}
	return answer, nil
}

// resource reads the name of a blob of a stream.
func (s *Server) resource(name string) (hash string, size int64, compressed bool, err error) {
	rest := name
	if s.Instance != "" {
		rest = strings.TrimPrefix(name, s.Instance+"/")
	}
	parts := strings.Split(rest, "/")
	if parts[0] == "uploads" && len(parts) > 2 {
		parts = parts[2:]
	}
	switch {
	case len(parts) == 3 && parts[0] == "blobs":
		hash = parts[1]
	case len(parts) == 4 && parts[0] == "compressed-blobs" && parts[1] == "zstd":
		hash, compressed = parts[2], true
	default:
		return "", 0, false, status.Errorf(codes.InvalidArgument, "%q is no name of a blob", name)
	}
	size, err = strconv.ParseInt(parts[len(parts)-1], 10, 64)
	return hash, size, compressed, err
}

// Read sends a blob.
func (s *Server) Read(r *bspb.ReadRequest, stream bspb.ByteStream_ReadServer) error {
	hash, _, compressed, err := s.resource(r.GetResourceName())
	if err != nil {
		return err
	}
	data, err := s.blob(hash)
	if err != nil {
		return err
	}
	out := sender{stream}
	if !compressed {
		_, err := out.Write(data)
		return err
	}
	// As real servers do, it sends what is compressed while it compresses the rest.
	writer, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	_, err = writer.Write(data)
	return errors.Join(err, writer.Close())
}

// A sender sends what is written to it.
type sender struct{ stream bspb.ByteStream_ReadServer }

func (s sender) Write(data []byte) (int, error) {
	for part := range slices.Chunk(data, 64<<10) {
		if err := s.stream.Send(&bspb.ReadResponse{Data: part}); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

// Write takes a blob.
func (s *Server) Write(stream bspb.ByteStream_WriteServer) error {
	var data bytes.Buffer
	name := ""
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		if name == "" {
			name = r.GetResourceName()
		}
		if r.GetWriteOffset() != int64(data.Len()) {
			return status.Errorf(codes.InvalidArgument, "an offset of %d after %d bytes", r.GetWriteOffset(), data.Len())
		}
		data.Write(r.GetData())
		if r.GetFinishWrite() {
			break
		}
	}
	hash, size, compressed, err := s.resource(name)
	if err != nil {
		return err
	}
	content := data.Bytes()
	if compressed {
		if content, err = unzstd(content); err != nil {
			return status.Error(codes.InvalidArgument, fmt.Sprint(err))
		}
	}
	if err := s.store(hash, size, content); err != nil {
		return err
	}
	return stream.SendAndClose(&bspb.WriteResponse{CommittedSize: int64(data.Len())})
}
