package bench

// This file says where two images differ that should be the same: two builds of the same content, in each of which everything was compiled.

import (
	"bytes"
	"slices"

	"chainbuild/elfpatch"
)

// A SameBuild is what came of building an image twice.
type SameBuild struct {
	Julia    string `json:"julia"` // old or new
	Workload string `json:"workload"`
	// Bytes are the sizes of the two files.
	Bytes [2]int64 `json:"bytes"`
	// Different is how many bytes differ, of those that both files have and of those that only one has.
	Different int64 `json:"different"`
	// Sections are where they are; empty if none differ.
	Sections []SectionDifference `json:"sections"`
}

// A SectionDifference is a section that differs. Name is the section's; "(headers)" is what belongs to no section.
type SectionDifference struct {
	Name string `json:"name"`
	// Bytes are the sizes in the two files, 0 where there is no such section.
	Bytes [2]int64 `json:"bytes"`
	// Different is how many bytes differ, First the offset of the first one in the section.
	Different int64 `json:"different"`
	First     int64 `json:"first"`
}

const outOfSections = "(headers)"

// compareBuilds compares two images.
func compareBuilds(first, second string) (SameBuild, error) {
	same := SameBuild{Sections: []SectionDifference{}}
	var images [2]*elfpatch.Image
	var parts [2]map[string][]byte
	for i, path := range []string{first, second} {
		image, err := elfpatch.Open(path)
		if err != nil {
			return same, err
		}
		defer image.Close()
		images[i], parts[i], same.Bytes[i] = image, sectionsOf(image), int64(len(image.Data))
	}
	if bytes.Equal(images[0].Data, images[1].Data) {
		return same, nil
	}
	for name := range parts[1] {
		if _, both := parts[0][name]; !both {
			parts[0][name] = nil
		}
	}
	for name, a := range parts[0] {
		b := parts[1][name]
		if n, at := countDifferent(a, b); n > 0 {
			same.Different += n
			same.Sections = append(same.Sections, SectionDifference{name, [2]int64{int64(len(a)), int64(len(b))}, n, at})
		}
	}
	slices.SortFunc(same.Sections, func(a, b SectionDifference) int {
		return bytes.Compare([]byte(a.Name), []byte(b.Name))
	})
	return same, nil
}

// sectionsOf are the bytes of each section by name, and those of none. Of several sections of one name the bytes are put together.
func sectionsOf(image *elfpatch.Image) map[string][]byte {
	type stretch struct{ from, to uint64 }
	var taken []stretch
	parts := map[string][]byte{}
	for i := range image.Sections {
		s := &image.Sections[i]
		if data := image.SectionData(s); len(data) > 0 {
			parts[s.Name] = slices.Concat(parts[s.Name], data)
			taken = append(taken, stretch{s.Offset, s.Offset + s.Size})
		}
	}
	slices.SortFunc(taken, func(a, b stretch) int { return int(int64(a.from) - int64(b.from)) })
	var rest []byte
	at := uint64(0)
	for _, t := range append(taken, stretch{uint64(len(image.Data)), uint64(len(image.Data))}) {
		if t.from > at {
			rest = append(rest, image.Data[at:t.from]...)
		}
		at = max(at, t.to)
	}
	parts[outOfSections] = rest
	return parts
}

// countDifferent counts the bytes that differ, with those that only the longer one has, and finds the first.
func countDifferent(a, b []byte) (n, first int64) {
	first = -1
	common := min(len(a), len(b))
	for i := range common {
		if a[i] != b[i] {
			if first < 0 {
				first = int64(i)
			}
			n++
		}
	}
	if longer := max(len(a), len(b)) - common; longer > 0 {
		if first < 0 {
			first = int64(common)
		}
		n += int64(longer)
	}
	return n, first
}
