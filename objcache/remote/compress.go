package remote

// This file is the compression of what travels, zstd in both directions. The digest is that of the data as it is.

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is how far back, in bytes, a frame may refer: what its decoder has to keep. Servers compress with zstd's usual levels, whose windows have
// up to 8 MiB.
const maxWindow = 8 << 20

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		return orPanic(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2)))
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		return orPanic(zstd.NewReader(nil, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2), zstd.WithDecodeAllCapLimit(true)))
	})
)

// orPanic returns what was made; there is an error if an option is wrong.
func orPanic[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

// compress returns the data as one frame.
func compress(data []byte) []byte { return encoder().EncodeAll(data, nil) }

// decompress returns the data of a frame that should have size bytes.
func decompress(frame []byte, size int64) ([]byte, error) {
	const slack = 16 // the decoder wants it free behind the data
	data, err := decoder().DecodeAll(frame, make([]byte, 0, size+slack))
	if err != nil {
		return nil, &serverError{errWrong, err.Error()}
	}
	if int64(len(data)) != size {
		return nil, &serverError{errWrong, fmt.Sprintf("%d bytes instead of %d", len(data), size)}
	}
	return data, nil
}

// readCompressed reads size bytes of data from a stream of frames.
func readCompressed(r io.Reader, size int64) ([]byte, error) {
	stream, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, &serverError{errWrong, err.Error()}
	}
	defer stream.Close()
	return readSize(stream, size)
}

// readSize reads exactly size bytes up to the end of r. Errors are about the data, also where r has one: who made r knows of that.
func readSize(r io.Reader, size int64) ([]byte, error) {
	// Nothing is allocated for what does not come.
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, &serverError{errWrong, err.Error()}
	}
	if int64(len(data)) != size {
		return nil, &serverError{errWrong, fmt.Sprintf("not %d bytes", size)}
	}
	return data, nil
}
