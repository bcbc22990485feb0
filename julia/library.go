package julia

// This file tells builds of a library apart.

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"chainbuild/internal/buildid"
)

// ContentID is what ids of libraries begin with that have no build id.
const ContentID = "sha256:"

// LibraryID is the same for copies of a library wherever they lie, and another for another build of it: the build id in hexadecimal digits, or
// ContentID and the hash of the content where the library has none. The hash is remembered until the file has another size or time.
func LibraryID(path string) (string, error) {
	if id, err := buildid.Of(path); err != nil || id != nil {
		return hex.EncodeToString(id), err
	}
	stamps, err := stampsOf(path)
	if err != nil {
		return "", err
	}
	dirs, name := memoryDirs(), "library-"+memoryKey(path)
	if id, ok := recall[string](dirs, name, stamps); ok {
		return *id, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	id := ContentID + hex.EncodeToString(sum.Sum(nil))
	memorize(dirs, name, stamps, id)
	return id, nil
}
