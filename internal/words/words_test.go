package words

import (
	"testing"
	"time"
)

func TestCount(t *testing.T) {
	for _, test := range []struct {
		n           int
		thing, want string
	}{
		{0, "file", "0 files"}, {1, "file", "1 file"}, {2037, "new function", "2,037 new functions"},
		{1, "entry", "1 entry"}, {1000000, "entry", "1,000,000 entries"}, {2, "day", "2 days"},
	} {
		if got := Count(test.n, test.thing); got != test.want {
			t.Errorf("%d of %q is %q, not %q", test.n, test.thing, got, test.want)
		}
	}
}

func TestOr(t *testing.T) {
	for want, things := range map[string][]string{"": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := Or(things); got != want {
			t.Errorf("%q are %q, want %q", things, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 kB", 512_400: "0.5 MB", 99_499: "99 kB", 7_940_000: "7.9 MB", 9_990_000: "10.0 MB", 131_300_000: "131 MB", 10 << 30: "10,737 MB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is %q, not %q", n, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.00 s", 254 * time.Millisecond: "0.25 s", 12340 * time.Millisecond: "12.3 s", 2 * time.Minute: "120.0 s"} {
		if got := Seconds(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
}

func TestMinute(t *testing.T) {
	if got := Minute(time.Date(2026, 1, 31, 14, 5, 59, 0, time.UTC)); got != "2026-01-31 14:05" {
		t.Errorf("it is %q", got)
	}
}
