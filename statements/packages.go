package statements

// This file is the comment that lists packages. A trace has the methods that were compiled, and no word of a package of which
// none was: its code may all have come from caches.

import (
	"bytes"
	"slices"
)

// packagesMark begins a comment line that lists packages, with blanks or commas between them:
//
//	# chainbuild: packages DataFrames, OffsetArrays
const packagesMark = "# chainbuild: packages "

// comment takes up what a comment line, without its end, says to us.
func (p *parser) comment(line []byte) {
	list, found := bytes.CutPrefix(line, []byte(packagesMark))
	if !found {
		return
	}
	for name := range bytes.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' }) {
		if !slices.Contains(p.packages, string(name)) {
			p.packages = append(p.packages, string(name))
		}
	}
}
