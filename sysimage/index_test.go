package sysimage

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseIndex(t *testing.T) {
	text := "fvar\tjfptr_f_1\nfvar\t@12\nfvar\tjulia_f_2\ngvar\tcell\twith tab\nused\t7\nused\t0\ncode\t0\t2\ncode\t-1\t2\ncode\t-2\t2\ncode\t-4\t2\ncode\t0\t-1\nentry\tf=jlcapi_f_3\n"
	got, err := ParseIndex("index.txt", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &Index{
		Name:      "index.txt",
		Functions: []IndexFunction{{Symbol: "jfptr_f_1"}, {Base: 12}, {Symbol: "julia_f_2"}},
		Code:      []IndexCode{{0, 2}, {InvokeBoxed, 2}, {InvokeParameters, 2}, {InvokeOpaque, 2}, {0, -1}},
		Globals:   []string{"cell\twith tab"},
		Entries:   map[string]string{"f": "jlcapi_f_3"},
		Used:      []int{7, 0},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseIndexRefuses(t *testing.T) {
	for _, line := range []string{"fvar", "fvar\t", "fvar\t@", "fvar\t@-1", "used\tx", "entry\tf", "entry\t=f", "entry\tf=", "used\t4294967296", "other\tx", "",
		"code\t1", "code\t1\t", "code\tx\t1", "code\t-3\t1", "code\t0\t-2", "code\t-1\t-1", "code\t1\t2\t3", "code\t4294967296\t0"} {
		_, err := ParseIndex("index.txt", []byte("gvar\tc\n"+line+"\n"))
		if !errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), "index.txt:2: ") {
			t.Errorf("line %q: error %v", line, err)
		}
	}
}

// The base index is written down in numbers, as the front worker reads it.
func TestIndexBytes(t *testing.T) {
	b := &Base{
		Code:    []CodeInstance{{Offset: 16, Invoke: -1, Spec: 3}, {Offset: 32, Invoke: 1, Spec: 2}},
		Modules: []Module{{Offset: 96}},
		data:    []uint32{48, 64},
	}
	want := []byte("CBIX0001" + "\x02\x00\x00\x00" + "\x02\x00\x00\x00" + "\x01\x00\x00\x00" +
		"\x10\x00\x00\x00" + "\xff\xff\xff\xff" + "\x03\x00\x00\x00" + "\x20\x00\x00\x00" + "\x01\x00\x00\x00" + "\x02\x00\x00\x00" +
		"\x30\x00\x00\x00" + "\x40\x00\x00\x00" + "\x60\x00\x00\x00")
	if got := b.Index(); string(got) != string(want) {
		t.Errorf("got % x, want % x", got, want)
	}
}
