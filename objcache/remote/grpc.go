package remote

// This file speaks gRPC: the services ActionCache, ContentAddressableStorage, Capabilities and ByteStream. The service Execution is in execution.go.
//
// What is small goes in batches, what is larger than one goes alone, as a stream (bytestream.go). Blobs are compressed with zstd where the server says
// that it takes it.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type grpcTransport struct {
	instance   string
	connection *grpc.ClientConn
	headers    metadata.MD
	results    repb.ActionCacheClient
	storage    repb.ContentAddressableStorageClient
	identity   repb.CapabilitiesClient
	streams    bspb.ByteStreamClient
	execution  repb.ExecutionClient

	// What the server takes: set when it has first said so.
	said          sync.Once
	batchBytes    int64
	zstdStreams   bool // compressed streams, and compressed blobs in batches that are read
	zstdBatches   bool // compressed blobs in batches that are written
	largestStored int64
}

// requestMetadata is the header that tells servers which program asks.
const requestMetadata = "build.bazel.remote.execution.v2.requestmetadata-bin"

func newGRPCTransport(a *Address, s *secrets, p *patience) (*grpcTransport, error) {
	var wire credentials.TransportCredentials = insecure.NewCredentials()
	if s.tls != nil {
		wire = credentials.NewTLS(s.tls)
	}
	connection, err := grpc.NewClient("dns:///"+a.host,
		grpc.WithTransportCredentials(listeningCredentials{wire, p}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // call does that, and knows when it is enough
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connecting}),
		// What is on its way on a line of 100 MB/s with trips of 100 ms. gRPC begins with 64 kB, and finds out what is right too slowly for so few answers.
		grpc.WithInitialWindowSize(maxMessage), grpc.WithInitialConnWindowSize(2*maxMessage),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("the remote cache %s cannot be used: %w", a, err)
	}
	t := &grpcTransport{
		instance: a.path, connection: connection, headers: metadata.MD{}, batchBytes: maxBatch, largestStored: maxBlob,
		results: repb.NewActionCacheClient(connection), storage: repb.NewContentAddressableStorageClient(connection),
		identity: repb.NewCapabilitiesClient(connection), streams: bspb.NewByteStreamClient(connection),
		execution: repb.NewExecutionClient(connection),
	}
	for _, h := range s.headers {
		t.headers.Append(h.name, h.value)
	}
	tool, err := proto.Marshal(&repb.RequestMetadata{ToolDetails: &repb.ToolDetails{ToolName: "chainbuild"}})
	if err != nil {
		return nil, err
	}
	t.headers.Set(requestMetadata, string(tool))
	return t, nil
}

// listeningCredentials have the patience hear what comes, below the encryption. A dialer of our own could too, but with one gRPC uses no proxy.
type listeningCredentials struct {
	credentials.TransportCredentials
	patience *patience
}

func (l listeningCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return l.TransportCredentials.ClientHandshake(ctx, authority, listening{conn, l.patience})
}

func (l listeningCredentials) Clone() credentials.TransportCredentials {
	return listeningCredentials{l.TransportCredentials.Clone(), l.patience}
}

func (t *grpcTransport) limits() limits {
	return limits{batchBytes: t.batchBytes, batchCount: 500, calls: 64}
}

func (t *grpcTransport) close() { t.connection.Close() }

// with adds the headers to a call.
func (t *grpcTransport) with(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, t.headers)
}

func (t *grpcTransport) hello(ctx context.Context) (*Server, error) {
	answer, err := t.identity.GetCapabilities(t.with(ctx), &repb.GetCapabilitiesRequest{InstanceName: t.instance})
	if err != nil {
		return nil, grpcError(err)
	}
	cache := answer.GetCacheCapabilities()
	s := &Server{
		Protocol:   "REAPI " + versions(answer),
		SHA256:     slices.Contains(cache.GetDigestFunctions(), repb.DigestFunction_SHA256) || len(cache.GetDigestFunctions()) == 0,
		ReadOnly:   !cache.GetActionCacheUpdateCapabilities().GetUpdateEnabled(),
		BatchBytes: cache.GetMaxBatchTotalSizeBytes(),
		Executes:   answer.GetExecutionCapabilities().GetExecEnabled(),
	}
	t.said.Do(func() {
		if s.BatchBytes > 0 {
			t.batchBytes = min(maxBatch, s.BatchBytes)
		}
		if most := cache.GetMaxCasBlobSizeBytes(); most > 0 {
			t.largestStored = min(maxBlob, most)
		}
		t.zstdStreams = slices.Contains(cache.GetSupportedCompressors(), repb.Compressor_ZSTD)
		t.zstdBatches = slices.Contains(cache.GetSupportedBatchUpdateCompressors(), repb.Compressor_ZSTD)
	})
	s.Zstd = t.zstdStreams || t.zstdBatches
	return s, nil
}

// versions are the oldest and the newest version of the protocol that the server speaks.
func versions(answer *repb.ServerCapabilities) string {
	low, high := answer.GetLowApiVersion(), answer.GetHighApiVersion()
	if high == nil {
		return "2"
	}
	text := fmt.Sprintf("%d.%d", high.GetMajor(), high.GetMinor())
	if low != nil && (low.GetMajor() != high.GetMajor() || low.GetMinor() != high.GetMinor()) {
		text = fmt.Sprintf("%d.%d to %s", low.GetMajor(), low.GetMinor(), text)
	}
	return text
}

func (t *grpcTransport) actionResult(ctx context.Context, action digest) (*repb.ActionResult, error) {
	result, err := t.results.GetActionResult(t.with(ctx), &repb.GetActionResultRequest{InstanceName: t.instance, ActionDigest: action.message()})
	return result, grpcError(err)
}

func (t *grpcTransport) setActionResult(ctx context.Context, action digest, result *repb.ActionResult) error {
	_, err := t.results.UpdateActionResult(t.with(ctx), &repb.UpdateActionResultRequest{InstanceName: t.instance, ActionDigest: action.message(), ActionResult: result})
	return grpcError(err)
}

func (t *grpcTransport) read(ctx context.Context, digests []digest) ([][]byte, error) {
	if len(digests) == 1 && digests[0].size > t.batchBytes {
		data, err := t.readStream(ctx, digests[0])
		if errors.Is(err, errMissing) {
			return make([][]byte, 1), nil
		}
		return [][]byte{data}, err
	}
	request := &repb.BatchReadBlobsRequest{InstanceName: t.instance}
	if t.zstdStreams {
		request.AcceptableCompressors = []repb.Compressor_Value{repb.Compressor_ZSTD}
	}
	places := map[string][]int{}
	for i, d := range digests {
		if places[d.hash] == nil {
			request.Digests = append(request.Digests, d.message())
		}
		places[d.hash] = append(places[d.hash], i)
	}
	answer, err := t.storage.BatchReadBlobs(t.with(ctx), request)
	if err != nil {
		return nil, grpcError(err)
	}
	blobs := make([][]byte, len(digests))
	for _, r := range answer.GetResponses() {
		at := places[r.GetDigest().GetHash()]
		if len(at) == 0 {
			return nil, &serverError{errWrong, "a blob that was not asked for"}
		}
		if err := grpcError(status.ErrorProto(r.GetStatus())); errors.Is(err, errMissing) {
			continue
		} else if err != nil {
			return nil, err
		}
		data := r.GetData()
		if r.GetCompressor() == repb.Compressor_ZSTD {
			if data, err = decompress(data, digests[at[0]].size); err != nil {
				return nil, err
			}
		}
		if data == nil {
			data = []byte{}
		}
		for _, i := range at {
			blobs[i] = data
		}
	}
	return blobs, nil
}

func (t *grpcTransport) missing(ctx context.Context, blobs []blob) ([]blob, error) {
	request := &repb.FindMissingBlobsRequest{InstanceName: t.instance}
	for _, b := range blobs {
		request.BlobDigests = append(request.BlobDigests, b.digest.message())
	}
	answer, err := t.storage.FindMissingBlobs(t.with(ctx), request)
	if err != nil {
		return nil, grpcError(err)
	}
	absent := map[string]bool{}
	for _, d := range answer.GetMissingBlobDigests() {
		absent[d.GetHash()] = true
	}
	return slices.DeleteFunc(slices.Clone(blobs), func(b blob) bool { return !absent[b.digest.hash] }), nil
}

func (t *grpcTransport) write(ctx context.Context, blobs []blob) error {
	if len(blobs) == 1 && blobs[0].digest.size > t.batchBytes {
		if blobs[0].digest.size > t.largestStored {
			return &serverError{errFull, fmt.Sprintf("it takes no more than %d bytes at a time", t.largestStored)}
		}
		return t.writeStream(ctx, blobs[0])
	}
	request := &repb.BatchUpdateBlobsRequest{InstanceName: t.instance}
	for _, b := range blobs {
		one := &repb.BatchUpdateBlobsRequest_Request{Digest: b.digest.message(), Data: b.data}
		if t.zstdBatches {
			one.Data, one.Compressor = compress(b.data), repb.Compressor_ZSTD
		}
		request.Requests = append(request.Requests, one)
	}
	answer, err := t.storage.BatchUpdateBlobs(t.with(ctx), request)
	if err != nil {
		return grpcError(err)
	}
	stored := map[string]bool{}
	for _, r := range answer.GetResponses() {
		if err := grpcError(status.ErrorProto(r.GetStatus())); err != nil {
			return err
		}
		stored[r.GetDigest().GetHash()] = true
	}
	for _, b := range blobs {
		if !stored[b.digest.hash] {
			return &serverError{errWrong, "no word about a blob that it was sent"}
		}
	}
	return nil
}

// grpcError says what an error of gRPC means; nil stays nil.
func grpcError(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	says := firstLine(s.Message())
	switch s.Code() {
	case codes.OK:
		return nil
	case codes.NotFound:
		return errMissing
	case codes.Unauthenticated, codes.PermissionDenied:
		return &serverError{errRefused, says}
	case codes.ResourceExhausted:
		// It stands for a full disk, a quota, and too many requests; the last is worth another try, and the others are told from it by that.
		return &serverError{errBusy, says}
	case codes.Aborted:
		return &serverError{errBusy, says}
	case codes.Unavailable:
		return &serverError{errGone, says}
	case codes.DeadlineExceeded:
		return &serverError{errSlow, says}
	case codes.DataLoss:
		return &serverError{errWrong, says}
	}
	return fmt.Errorf("it answers %v: %s", s.Code(), says)
}

// firstLine is the beginning of what a server says, as it can stand in an error of one line.
func firstLine(text string) string {
	const most = 200
	text, _, _ = strings.Cut(text, "\n")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}
