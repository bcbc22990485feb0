package objcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// read reads an entry that is as long as its file.
func read(key Key, entry []byte) ([]byte, error) {
	return readEntry(bytes.NewReader(entry), key, int64(len(entry)))
}

func TestEntryRoundTrip(t *testing.T) {
	key := testKey(1)
	for _, size := range []int{0, 1, 1000, 50_000, windowSize - 1, windowSize, 3*windowSize + 5} {
		data := testData(key, size)
		entry := encodeEntry(key, data)
		got, err := read(key, entry)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes come back as %d: %v", size, len(got), err)
		}
		if size >= 1000 && len(entry) > size*3/4 {
			t.Errorf("%d bytes take %d", size, len(entry))
		}
	}
}

// Every byte of the header, and a sample of the payload's; each bit of some.
func TestEntryFlipped(t *testing.T) {
	key := testKey(1)
	entry := encodeEntry(key, testData(key, 50_000))
	for at := 0; at < len(entry); at++ {
		if at > 200 && at < len(entry)-20 && at%97 != 0 {
			continue
		}
		for bit := range 8 {
			damaged := bytes.Clone(entry)
			damaged[at] ^= 1 << bit
			// Whatever a decoder would say, it is the check that says what is wrong.
			if _, err := read(key, damaged); !isDamage(err) || at >= headerSize && !errors.Is(err, errCheck) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, at, err)
			}
		}
	}
}

func TestEntryWrongLength(t *testing.T) {
	key := testKey(1)
	entry := encodeEntry(key, testData(key, 5_000))
	for length := 0; length < len(entry); length++ {
		if _, err := read(key, entry[:length]); !errors.Is(err, errTruncated) {
			t.Fatalf("cut to %d bytes: %v", length, err)
		}
	}
	for _, more := range [][]byte{{0}, entry, make([]byte, 1000)} {
		if _, err := read(key, append(bytes.Clone(entry), more...)); !errors.Is(err, errSize) {
			t.Errorf("with %d bytes more: %v", len(more), err)
		}
	}
	// It gets shorter between the look at its size and the read.
	if _, err := readEntry(bytes.NewReader(entry[:1000]), key, int64(len(entry))); !errors.Is(err, errTruncated) {
		t.Errorf("cut while it is read: %v", err)
	}
}

func TestEntryOfOthers(t *testing.T) {
	key := testKey(1)
	entry := encodeEntry(key, testData(key, 5_000))
	if _, err := read(testKey(2), entry); !errors.Is(err, errKey) {
		t.Errorf("under another key: %v", err)
	}
	other := bytes.Clone(entry)
	binary.LittleEndian.PutUint32(other[4:], formatVersion+1)
	if _, err := read(key, reseal(other)); !errors.Is(err, errVersion) {
		t.Errorf("of another version: %v", err)
	}
	if _, err := read(key, bytes.Repeat([]byte("text "), 100)); !errors.Is(err, errForeign) {
		t.Errorf("of another program: %v", err)
	}
}

// What passes the check can still be nonsense: it must neither be taken for data nor take memory or time without bound.
func TestEntrySealedNonsense(t *testing.T) {
	key := testKey(1)
	good := encodeEntry(key, testData(key, 5_000))
	resized := func(size uint64) []byte {
		entry := bytes.Clone(good)
		binary.LittleEndian.PutUint64(entry[40:], size)
		return reseal(entry)
	}
	withPayload := func(size uint64, payload string) []byte {
		entry := append(bytes.Clone(good[:headerSize]), payload...)
		binary.LittleEndian.PutUint64(entry[40:], size)
		binary.LittleEndian.PutUint64(entry[48:], uint64(len(payload)))
		return reseal(entry)
	}
	const frame = "\x28\xb5\x2f\xfd"
	for name, entry := range map[string][]byte{
		"shorter data":    resized(4_999),
		"longer data":     resized(5_001),
		"no data":         resized(0),
		"negative size":   resized(1 << 63),
		"immense size":    resized(1<<63 - 1),
		"no frame":        withPayload(10, "0123456789"),
		"empty payload":   withPayload(1, ""),
		"half a header":   withPayload(1, frame),
		"immense window":  withPayload(1<<18, frame+"\x00\xff\x02\x00\x10a\x01\x00\x00"),
		"two frames":      withPayload(5_000, string(good[headerSize:])+string(good[headerSize:])),
		"run beyond size": withPayload(10, frame+"\x00\x50\x03\x00\x10a"),
	} {
		if _, err := read(key, entry); !isDamage(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reseal makes the check of a changed entry right.
func reseal(entry []byte) []byte {
	h := header{key: Key(entry[8:40]), size: int64(binary.LittleEndian.Uint64(entry[40:])), stored: int64(binary.LittleEndian.Uint64(entry[48:]))}
	binary.LittleEndian.PutUint64(entry[56:], h.seal(sum(entry[headerSize:])))
	return entry
}

// A disk that fails says nothing about the entry.
func TestEntryReadFails(t *testing.T) {
	key := testKey(1)
	entry := encodeEntry(key, testData(key, 50_000))
	broken := errors.New("broken")
	for _, good := range []int{0, 10, headerSize, headerSize + 100, len(entry) - 1} {
		source := io.MultiReader(bytes.NewReader(entry[:good]), iotest.ErrReader(broken))
		if _, err := readEntry(source, key, int64(len(entry))); !errors.Is(err, broken) || isDamage(err) {
			t.Errorf("broken after %d bytes: %v", good, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	key := testKey(1)
	for _, size := range []int{0, 10, 1000} {
		f.Add(encodeEntry(key, testData(key, size)))
	}
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, entry []byte) {
		read(key, entry)
		// With a right header behind which anything is, the decoder sees it too.
		if len(entry) < headerSize {
			return
		}
		entry = bytes.Clone(entry)
		copy(entry, magic)
		binary.LittleEndian.PutUint32(entry[4:], formatVersion)
		copy(entry[8:], key[:])
		binary.LittleEndian.PutUint64(entry[40:], binary.LittleEndian.Uint64(entry[40:])%(1<<20))
		binary.LittleEndian.PutUint64(entry[48:], uint64(len(entry)-headerSize))
		data, err := read(key, reseal(entry))
		if err != nil {
			if !isDamage(err) {
				t.Fatalf("bytes in memory cannot be read: %v", err)
			}
			return
		}
		if again, err := read(key, encodeEntry(key, data)); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%d bytes do not come back: %v", len(data), err)
		}
	})
}
