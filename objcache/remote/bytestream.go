package remote

// This file moves blobs that are too large for a message, by the service ByteStream.
//
//	read    INSTANCE/blobs/HASH/SIZE
//	write   INSTANCE/uploads/ID/blobs/HASH/SIZE            ID is chosen anew for each attempt
//
// With zstd, "blobs" is "compressed-blobs/zstd". Hash and size are those of the data as it is. A server that has a blob already may end a write early;
// it then says that it has all of the size, or -1 where the data is compressed.

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"

	bspb "google.golang.org/genproto/googleapis/bytestream"
)

// chunk is how many bytes of a blob a message of a write has.
const chunk = 1 << 20

// resource is the name of a blob.
func (t *grpcTransport) resource(prefix string, d digest) string {
	name := prefix + "blobs"
	if t.zstdStreams {
		name = prefix + "compressed-blobs/zstd"
	}
	if t.instance != "" {
		name = t.instance + "/" + name
	}
	return fmt.Sprintf("%s/%s/%d", name, d.hash, d.size)
}

func (t *grpcTransport) readStream(ctx context.Context, d digest) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.streams.Read(t.with(ctx), &bspb.ReadRequest{ResourceName: t.resource("", d)})
	if err != nil {
		return nil, grpcError(err)
	}
	r := &streamReader{stream: stream}
	read := readSize
	if t.zstdStreams {
		read = readCompressed
	}
	data, err := read(r, d.size)
	if err != nil && r.err != nil && r.err != io.EOF {
		return nil, grpcError(r.err)
	}
	return data, err
}

// A streamReader has the bytes of a stream.
type streamReader struct {
	stream bspb.ByteStream_ReadClient
	left   []byte
	err    error // why there are no more messages
}

func (r *streamReader) Read(b []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		message, err := r.stream.Recv()
		if err != nil {
			r.err = err
			continue
		}
		r.left = message.GetData()
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (t *grpcTransport) writeStream(ctx context.Context, b blob) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.streams.Write(t.with(ctx))
	if err != nil {
		return grpcError(err)
	}
	data := b.data
	if t.zstdStreams {
		data = compress(data)
	}
	name := t.resource("uploads/"+uploadID()+"/", b.digest)
	for offset := 0; ; {
		end := min(offset+chunk, len(data))
		err := stream.Send(&bspb.WriteRequest{ResourceName: name, WriteOffset: int64(offset), Data: data[offset:end], FinishWrite: end == len(data)})
		if err != nil && err != io.EOF {
			return grpcError(err)
		}
		if err == io.EOF || end == len(data) {
			break // the server has said something, or has all
		}
		offset, name = end, ""
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return grpcError(err)
	}
	if n := answer.GetCommittedSize(); n != int64(len(data)) && n != b.digest.size && n != -1 {
		return &serverError{errWrong, fmt.Sprintf("%d bytes stored of %d", n, len(data))}
	}
	return nil
}

// uploadID makes a UUID, version 4.
func uploadID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
