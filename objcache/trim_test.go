package objcache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// entriesOf returns which of the first n keys have an entry.
func entriesOf(c *Cache, n int) []int {
	var there []int
	for i := range n {
		if _, err := os.Stat(c.entryFile(testKey(i))); err == nil {
			there = append(there, i)
		}
	}
	return there
}

// noise is data that does not compress, so that entries have a known size: headerSize and a little more.
func noise(size int) []byte {
	var data []byte
	for n := 0; len(data) < size; n++ {
		key := testKey(n)
		data = append(data, key[:]...)
	}
	return data[:size]
}

func TestTrimRemovesLeastRecentlyUsed(t *testing.T) {
	c, w := newCache(t, Options{Limit: 100_000})
	now := time.Now()
	// Used in the order 3 7 1 0 4 9 2 5 6 8, the first the longest ago.
	order := []int{3, 7, 1, 0, 4, 9, 2, 5, 6, 8}
	for i, n := range order {
		c.Put(testKey(n), noise(9_000))
		setUsed(t, c, testKey(n), now.Add(time.Duration(i-100)*time.Hour))
	}
	if removed, err := c.Trim(t.Context()); err != nil || removed.Entries != 0 || removed.EntriesLeft != 10 {
		t.Fatalf("below the limit: %+v, %v", removed, err)
	}
	// A hit makes 3 the last one; two more entries are too much. 90,000 bytes shall remain: 9 entries.
	if _, err := c.Get(testKey(3)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{10, 11} {
		c.Put(testKey(n), noise(9_000))
		setUsed(t, c, testKey(n), now)
	}
	removed, err := c.Trim(t.Context())
	if err != nil || removed.Entries != 3 || removed.EntriesLeft != 9 || removed.BytesLeft > 90_000 || removed.Bytes < 27_000 {
		t.Errorf("%+v, %v", removed, err)
	}
	if got, want := entriesOf(c, 12), []int{2, 3, 4, 5, 6, 8, 9, 10, 11}; !reflect.DeepEqual(got, want) {
		t.Errorf("the entries left are %v, not %v", got, want)
	}
	w.expect(t, 0)
}

func TestTrimAndClearLeaveForeignFiles(t *testing.T) {
	c, _ := newCache(t, Options{Limit: 2000})
	c.Put(testKey(1), noise(1000))
	foreign := []string{filepath.Join(c.dir, "notes"), filepath.Join(filepath.Dir(c.entryFile(testKey(1))), "notes.entry"), filepath.Join(c.dir, "folder", "file")}
	for _, path := range foreign {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if c.readLedger().bytes < 1000 {
		t.Errorf("the ledger does not know of the entry: %+v", c.readLedger())
	}
	if s, err := c.Stats(t.Context()); err != nil || s.Foreign != 3 || s.Entries != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	c.limit = 1
	if removed, err := c.Trim(t.Context()); err != nil || removed.Entries != 1 || removed.EntriesLeft != 0 {
		t.Errorf("%+v, %v", removed, err)
	}
	c.limit = 2000
	c.Put(testKey(1), noise(1000))
	c.Close()
	if removed, err := c.Clear(t.Context()); err != nil || removed.Entries != 1 || c.readLedger().bytes != 0 {
		t.Errorf("%+v, %v; %+v", removed, err, c.readLedger())
	}
	for _, path := range foreign {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// Closing trims when the builds have together stored too much, though none has alone, and else once a day.
func TestCloseTrimsWhenDue(t *testing.T) {
	first, w := newCache(t, Options{Limit: 50_000})
	now := time.Now()
	clock := func() time.Time { return now }
	store := func(n int) {
		t.Helper()
		c, err := Open(first.Dir(), Options{Limit: 50_000, Warn: w.add})
		if err != nil {
			t.Fatal(err)
		}
		c.now = clock
		c.Put(testKey(n), noise(10_000))
		setUsed(t, c, testKey(n), now.Add(time.Duration(n)*time.Second))
		c.Close()
	}
	expect := func(want ...int) {
		t.Helper()
		if got := entriesOf(first, 20); !reflect.DeepEqual(got, want) {
			t.Errorf("the entries are %v, not %v", got, want)
		}
	}
	trimmed := func() int64 { return first.readLedger().trimmed.Unix() }

	store(0)
	began := trimmed()
	if began != now.Unix() {
		t.Errorf("the first build has trimmed at %d, not %d", began, now.Unix())
	}
	now = now.Add(time.Hour)
	for n := 1; n < 4; n++ {
		store(n)
	}
	expect(0, 1, 2, 3)
	if trimmed() != began {
		t.Error("there was a trim below the limit")
	}
	store(4) // the fifth is above the limit of 50,000: entries are 64 bytes longer than their data
	expect(1, 2, 3, 4)
	if trimmed() != now.Unix() {
		t.Error("there was no trim above the limit")
	}

	// Below the limit, after a day.
	if _, err := first.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(trimInterval)
	store(5)
	if trimmed() != now.Unix() {
		t.Error("there was no trim after a day")
	}
	// A clock that was wrong does not keep it from being trimmed for years.
	now = now.Add(-1000 * time.Hour)
	store(6)
	if trimmed() != now.Unix() {
		t.Error("there was no trim after one in the future")
	}
	w.expect(t, 0)
}

// What another process stores while this one trims is not forgotten.
func TestTrimWhileOthersStore(t *testing.T) {
	c, _ := newCache(t, Options{})
	c.Put(testKey(1), noise(1000))
	temporary, err := c.createTemporary(filepath.Dir(c.entryFile(testKey(1))))
	if err != nil {
		t.Fatal(err)
	}
	temporary.Close()
	// It looks at the clock when it begins, and again for the temporary file.
	calls := 0
	c.now = func() time.Time {
		if calls++; calls == 2 {
			if err := c.updateLedger(func(l *ledger) { l.bytes += 777 }); err != nil {
				t.Error(err)
			}
		}
		return time.Now()
	}
	removed, err := c.Trim(t.Context())
	if err != nil || c.readLedger().bytes != removed.BytesLeft+777 {
		t.Errorf("%+v, %v; %+v", removed, err, c.readLedger())
	}
}

// A build that has stored nothing does not write.
func TestCloseWithoutStore(t *testing.T) {
	c, _ := newCache(t, Options{})
	c.Put(testKey(1), []byte("x"))
	again, err := Open(c.Dir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	expectData(t, again, testKey(1), []byte("x"))
	again.Close()
	if _, err := os.Stat(filepath.Join(c.Dir(), ledgerName)); err == nil {
		t.Error("there is a ledger")
	}
}

func TestLedger(t *testing.T) {
	c, _ := newCache(t, Options{})
	c.Put(testKey(1), noise(1000))
	path := filepath.Join(c.dir, ledgerName)
	for _, text := range []string{"", "trimmed 5", "trimmed x\nbytes y\n", "trimmed -5\nbytes 5\n", "trimmed 5\nbytes -5\n", string(noise(5000))} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if l := c.readLedger(); l != (ledger{}) {
			t.Errorf("%.30q is read as %v", text, l)
		}
		if err := c.updateLedger(func(l *ledger) { l.bytes += 7 }); err != nil {
			t.Fatal(err)
		}
		if err := c.updateLedger(func(l *ledger) { l.trimmed = time.Unix(1_600_000_000, 5); l.bytes += 8 }); err != nil {
			t.Fatal(err)
		}
		if l := c.readLedger(); l.bytes != 15 || l.trimmed.Unix() != 1_600_000_000 {
			t.Errorf("after %.30q it is %v", text, l)
		}
	}
}

func TestStatsVerifyClear(t *testing.T) {
	c, w := newCache(t, Options{})
	ctx := t.Context()
	if s, err := c.Stats(ctx); err != nil || s != (Stats{Dir: c.dir, Limit: DefaultLimit}) {
		t.Errorf("a cache that is not there: %+v, %v", s, err)
	}
	if v, err := c.Verify(ctx); err != nil || v.Entries != 0 {
		t.Errorf("a cache that is not there: %+v, %v", v, err)
	}
	if r, err := c.Clear(ctx); err != nil || r != (Removed{}) {
		t.Errorf("a cache that is not there: %+v, %v", r, err)
	}
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("looking makes the folder")
	}

	now := time.Now().Truncate(time.Second)
	for n := range 5 {
		c.Put(testKey(n), noise(100_000))
		setUsed(t, c, testKey(n), now.Add(-time.Duration(n)*time.Hour))
	}
	s, err := c.Stats(ctx)
	if err != nil || s.Entries != 5 || s.Bytes < 500_000 || s.Bytes > 502_000 || !s.Newest.Equal(now) || !s.Oldest.Equal(now.Add(-4*time.Hour)) {
		t.Errorf("%+v, %v", s, err)
	}
	flip(t, c.entryFile(testKey(2)), 50_000)
	if err := os.Truncate(c.entryFile(testKey(4)), 1000); err != nil {
		t.Fatal(err)
	}
	v, err := c.Verify(ctx)
	if err != nil || v.Entries != 5 || len(v.Damaged) != 2 || !reflect.DeepEqual(entriesOf(c, 5), []int{0, 1, 3}) {
		t.Errorf("%+v, %v", v, err)
	}
	// A check is no use.
	if info, err := os.Stat(c.entryFile(testKey(3))); err != nil || !info.ModTime().Equal(now.Add(-3*time.Hour)) {
		t.Errorf("checked entries count as used: %v, %v", info.ModTime(), err)
	}
	w.expect(t, 0)

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, statsErr := c.Stats(canceled)
	_, verifyErr := c.Verify(canceled)
	_, trimErr := c.Trim(canceled)
	_, clearErr := c.Clear(canceled)
	for _, err := range []error{statsErr, verifyErr, trimErr, clearErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
	}
	r, err := c.Clear(ctx)
	if err != nil || r.Entries != 3 || len(entriesOf(c, 5)) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	list, err := os.ReadDir(c.dir)
	if err != nil || len(list) != 2 { // the tag and the ledger
		t.Errorf("after Clear there is %v: %v", list, err)
	}
	c.Put(testKey(1), []byte("x"))
	expectData(t, c, testKey(1), []byte("x"))
}
