package settings

// This file is sizes as people write them.

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"chainbuild/internal/words"
)

// A Size is a number of bytes that is chosen; 0: no choice, the default is taken.
type Size int64

// UnmarshalText takes a number of bytes above 0, or of kB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024), as in
// 500MB, 1.5GiB.
func (s *Size) UnmarshalText(text []byte) error {
	bytes, err := parseSize(string(text))
	if err != nil {
		return err
	}
	if bytes == 0 {
		return fmt.Errorf("give a size above 0, or use `chainbuild cache clear`")
	}
	*s = Size(bytes)
	return nil
}

func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	if s == 0 {
		return ""
	}
	return words.Bytes(int64(s))
}

func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "kKMGiB")
	unit := strings.TrimSpace(text[len(number):])
	scale, ok := map[string]float64{"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(value >= 0 && value*scale < math.MaxInt64) {
		return 0, fmt.Errorf("%q is no size: write it as 500MB or 10GiB", text)
	}
	return int64(value * scale), nil
}
