package pipeline

import (
	"errors"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
)

func TestCheckRoom(t *testing.T) {
	base, _ := fakeBase(t)
	realSpace, realMemory := freeSpace, freeMemory
	defer func() { freeSpace, freeMemory = realSpace, realMemory }()
	disks := map[string][2]uint64{}
	freeSpace = func(dir string) (free, device uint64, err error) {
		disk, ok := disks[dir]
		if !ok {
			return 0, 0, errors.New("no such disk")
		}
		return disk[0], disk[1], nil
	}
	var memory uint64
	freeMemory = func() (uint64, error) {
		if memory == 0 {
			return 0, errors.New("the kernel does not tell")
		}
		return memory, nil
	}
	thin, standalone, keep := Options{}, Options{Target: settings.Target{Layout: elfpatch.Standalone}}, Options{KeepScratch: true}
	tests := []struct {
		name         string
		options      Options
		out, scratch [2]uint64 // free bytes, device
		memory       uint64    // free bytes; 0: unknown
		says         string
	}{
		{"enough on two disks", thin, [2]uint64{160e6, 1}, [2]uint64{40e6, 2}, 130e6, ""},
		{"enough on one disk", thin, [2]uint64{190e6, 1}, [2]uint64{190e6, 1}, 130e6, ""},
		{"enough in memory, as far as is known", thin, [2]uint64{160e6, 1}, [2]uint64{40e6, 2}, 0, ""},
		{"standalone", standalone, [2]uint64{220e6, 1}, [2]uint64{40e6, 2}, 130e6, ""},
		{"keep", keep, [2]uint64{160e6, 1}, [2]uint64{160e6, 2}, 130e6, ""},
		{"output full", thin, [2]uint64{100e6, 1}, [2]uint64{160e6, 2}, 130e6, "not enough room for the image in /out: about 154 MB are needed and 100 MB are free: make room, or name another place with -o"},
		{"output full for standalone", standalone, [2]uint64{160e6, 1}, [2]uint64{160e6, 2}, 130e6, "about 214 MB are needed"},
		{"scratch full", thin, [2]uint64{160e6, 1}, [2]uint64{30e6, 2}, 130e6, "not enough room for intermediate files in /scratch: about 34 MB are needed and 30 MB are free: make room, or set TMPDIR"},
		{"scratch full for keep", keep, [2]uint64{160e6, 1}, [2]uint64{100e6, 2}, 130e6, "not enough room for intermediate files in /scratch: about 154 MB are needed"},
		{"one disk full", thin, [2]uint64{180e6, 1}, [2]uint64{180e6, 1}, 130e6, "about 187 MB are needed and 180 MB are free"},
		{"memory full", thin, [2]uint64{160e6, 1}, [2]uint64{40e6, 2}, 110e6, "not enough memory for the new heap: about 120 MB are needed and 110 MB are free"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			disks["/out"], disks["/scratch"], memory = test.out, test.scratch, test.memory
			err := checkRoom(base, &test.options, "/out", "/scratch")
			var refused *usage.Error
			switch {
			case test.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.says != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), test.says)):
				t.Errorf("%v is no refusal that says %q", err, test.says)
			}
		})
	}
	if free, _, err := realSpace(t.TempDir()); err != nil || free == 0 {
		t.Errorf("the room in the temporary folder is %d bytes: %v", free, err)
	}
	if free, err := realMemory(); err != nil || free < 1<<20 {
		t.Errorf("the room in memory is %d bytes: %v", free, err)
	}
}

func TestParseMemory(t *testing.T) {
	const text = "MemTotal:       24675232 kB\nMemFree:        10000000 kB\nMemAvailable:   20000000 kB\nHugePages_Total:       0\nSwapTotal:       2000000 kB\nSwapFree:        1000000 kB\n"
	if free, err := parseMemory([]byte(text)); err != nil || free != 21_000_000<<10 {
		t.Errorf("free are %d bytes (%v)", free, err)
	}
	for _, text := range []string{"", "MemAvailable: 12 kB\n", "MemAvailable\nSwapFree"} {
		if free, err := parseMemory([]byte(text)); err == nil {
			t.Errorf("free are %d bytes by %q", free, text)
		}
	}
}
