package objcache

// This file is the format of an entry.
//
//	offset  size
//	     0     4   "CBoc"
//	     4     4   version of the format: 1
//	     8    32   key, so that an entry that was renamed or copied is noticed
//	    40     8   size of the data in bytes
//	    48     8   size of the payload in bytes
//	    56     8   XXH64 of the payload followed by bytes 0 to 55
//	    64     …   payload: the data as one zstd frame
//
// Numbers are little endian. The check is over what is stored, not over the data: so it finds each changed byte, also one
// that zstd would not use, and it comes before the decoder sees anything. The frame has no checksum of its own.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

const (
	magic         = "CBoc"
	formatVersion = 1
	headerSize    = 64
	checkedHeader = 56 // bytes in front of the check

	// windowSize is how far back, in bytes, a frame refers at most: what a decoder has to keep. On system images 4 MiB, the
	// fast level's own choice, saves another 0.04 % and takes longer to decompress.
	windowSize = 1 << 20
	// maxRatio bounds what a foreign header can make readEntry allocate: zstd's densest block, 3 bytes of header and one
	// of content, stands for at most 128 KiB.
	maxRatio = 128 << 10 / 4
	// outputSlack is what the decoder wants free behind the data, in bytes, to copy without looking at each end.
	outputSlack = 16
)

// Why an entry cannot be used.
var (
	errTruncated = errors.New("it is truncated")
	errForeign   = errors.New("it is not an entry of a cache")
	errVersion   = errors.New("it has another version of the format")
	errKey       = errors.New("it belongs to another key")
	errSize      = errors.New("its size is not what its header says")
	errCheck     = errors.New("its checksum is wrong")
	errOwner     = errors.New("another user could have written it")
)

type header struct {
	key    Key
	size   int64 // of the data
	stored int64 // of the payload
	check  uint64
}

func (h *header) bytes() [headerSize]byte {
	var b [headerSize]byte
	copy(b[:], magic)
	binary.LittleEndian.PutUint32(b[4:], formatVersion)
	copy(b[8:], h.key[:])
	binary.LittleEndian.PutUint64(b[40:], uint64(h.size))
	binary.LittleEndian.PutUint64(b[48:], uint64(h.stored))
	binary.LittleEndian.PutUint64(b[56:], h.check)
	return b
}

// readHeader reads the header of an entry of fileSize bytes that should have the key. The error is one of those above, or
// what r returned.
func readHeader(r io.Reader, key Key, fileSize int64) (*header, error) {
	if fileSize < headerSize {
		return nil, errTruncated
	}
	var b [headerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, shortRead(err)
	}
	h := &header{
		key:    Key(b[8:40]),
		size:   int64(binary.LittleEndian.Uint64(b[40:])),
		stored: int64(binary.LittleEndian.Uint64(b[48:])),
		check:  binary.LittleEndian.Uint64(b[56:]),
	}
	switch {
	case string(b[:4]) != magic:
		return nil, errForeign
	case binary.LittleEndian.Uint32(b[4:]) != formatVersion:
		return nil, errVersion
	case h.key != key:
		return nil, errKey
	case h.stored > fileSize-headerSize:
		return nil, errTruncated
	case h.stored != fileSize-headerSize, h.size < 0, h.size/maxRatio > h.stored:
		return nil, errSize
	}
	return h, nil
}

// shortRead tells the end of a file, which is damage, from a failure to read it, which is not.
func shortRead(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTruncated
	}
	return err
}

// seal returns the check of an entry with this header, given the hash of the payload.
func (h *header) seal(payload *xxhash.Digest) uint64 {
	b := h.bytes()
	payload.Write(b[:checkedHeader])
	return payload.Sum64()
}

func sum(payload []byte) *xxhash.Digest {
	digest := xxhash.New()
	digest.Write(payload)
	return digest
}

// The encoder and the decoder are shared: their EncodeAll and DecodeAll may be called by any number of goroutines, and keep
// their tables from one call to the next.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		return orPanic(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithWindowSize(windowSize)))
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		return orPanic(zstd.NewReader(nil, zstd.WithDecoderMaxWindow(windowSize), zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true)))
	})
)

// orPanic returns what was made; there is an error if an option is wrong.
func orPanic[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

// encodeEntry returns the entry for the data.
func encodeEntry(key Key, data []byte) []byte {
	entry := make([]byte, headerSize, headerSize+len(data)/2)
	entry = encoder().EncodeAll(data, entry)
	h := header{key: key, size: int64(len(data)), stored: int64(len(entry) - headerSize)}
	h.check = h.seal(sum(entry[headerSize:]))
	b := h.bytes()
	copy(entry, b[:])
	return entry
}

// payloads are buffers for compressed data, of up to maxPooled bytes each: more than objects take.
var payloads = sync.Pool{New: func() any { return new([]byte) }}

const maxPooled = 2 << 20

// readEntry returns the data of an entry of fileSize bytes.
func readEntry(r io.Reader, key Key, fileSize int64) ([]byte, error) {
	h, err := readHeader(r, key, fileSize)
	if err != nil {
		return nil, err
	}
	buffer := payloads.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= maxPooled {
			payloads.Put(buffer)
		}
	}()
	if int64(cap(*buffer)) < h.stored {
		*buffer = make([]byte, h.stored)
	}
	payload := (*buffer)[:h.stored]
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, shortRead(err)
	}
	if h.seal(sum(payload)) != h.check {
		return nil, errCheck
	}
	data, err := decoder().DecodeAll(payload, make([]byte, 0, h.size+outputSlack))
	if err != nil {
		return nil, &formatError{err}
	}
	if int64(len(data)) != h.size {
		return nil, errSize
	}
	return data, nil
}

// A formatError is what the decoder says about a payload that passed the check.
type formatError struct{ err error }

func (e *formatError) Error() string { return fmt.Sprintf("it cannot be decompressed: %v", e.err) }
func (e *formatError) Unwrap() error { return e.err }

// isDamage tells an entry that is of no use from one that could not be read.
func isDamage(err error) bool {
	var format *formatError
	switch err {
	case errTruncated, errForeign, errVersion, errKey, errSize, errCheck, errOwner:
		return true
	}
	return errors.As(err, &format)
}
