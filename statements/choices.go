package statements

// This file reads the names that the tracer writes as they are, in Symbol("…") and var"…", and finds where they end.
//
// A quote, or a quote and a bracket, may end such a name or belong to it. The places where a name may end are tried in their order,
// those of the last name first, until the whole statement can be read: a search in depth, with a bound.

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReadings bounds the number of readings of one statement. Names with quotes are rare, and so are several of them.
const maxReadings = 200

// choices say where the names of a statement end: for each name, in their order, how many possible ends belong to it.
type choices struct {
	skips    []int
	at       int // the number of names that were read
	readings int
}

func (c *choices) reset() { *c = choices{skips: c.skips[:0], readings: 1} }

// begin begins a name and returns how many of its possible ends belong to it.
func (c *choices) begin() int {
	if c.at == len(c.skips) {
		c.skips = append(c.skips, 0)
	}
	c.at++
	return c.skips[c.at-1]
}

// exhausted says that no end is left for the name that was begun last, so that an earlier one must end elsewhere.
func (c *choices) exhausted() { c.at-- }

// next chooses the next reading after one that has failed. It returns false if there is none.
func (c *choices) next() bool {
	if c.readings++; c.at == 0 || c.readings > maxReadings {
		return false
	}
	c.skips = c.skips[:c.at]
	c.skips[c.at-1]++
	c.at = 0
	return true
}

// symbolCall reads `("…")` of Symbol("…"), or `("…", "…")`, which is what this package writes where there are two readings.
//
// What is exactly `("`, the name, `")` may be the tracer's. Anything else is a string of Julia.
func (p *parser) symbolCall() bool {
	const where = "in the string of a symbol"
	traced := p.at(`("`)
	p.pos++
	p.nest++
	if !p.space() {
		return false
	}
	if !p.accept(`"`) {
		return p.unexpected("where the string of a symbol should be")
	}
	text, ok := p.quotedName(where, true, func(string) bool {
		rest := bytes.TrimLeft(p.src[p.pos+1:], " \t")
		return bytes.HasPrefix(rest, []byte(")")) || bytes.HasPrefix(rest, []byte(`, "`))
	})
	if !ok {
		return false
	}
	traced = traced && p.at(")")
	if !p.space() {
		return false
	}
	readings := []string{text}
	if p.accept(`, "`) {
		second, ok := p.quotedName(where, true, func(string) bool { return p.at(`")`) })
		if !ok {
			return false
		}
		readings = append(readings, second)
	}
	if !p.accept(")") {
		return p.unexpected("where the string of a symbol should be closed")
	}
	p.nest--
	if raw := strings.ReplaceAll(text, `\`, `\\`); len(readings) == 1 && traced && hasEscapes(text) {
		if !juliaString.MatchString(text) {
			text = raw
		}
		readings = []string{raw, text}
	}
	for i, reading := range readings {
		if !juliaString.MatchString(reading) {
			return p.fail("there is an escape sequence that Julia does not have " + where)
		}
		readings[i] = `"` + escapeRest(reading) + `"`
	}
	if len(readings) == 1 && hasEscapes(readings[0]) {
		readings = append(readings, readings[0])
	}
	p.emit("(" + strings.Join(readings, ", ") + ")")
	return true
}

// hasEscapes says that the text of a string has escape sequences other than those of a quote and a dollar.
func hasEscapes(text string) bool {
	return strings.ContainsRune(strings.NewReplacer(`\$`, "", `\"`, "").Replace(text), '\\')
}

// juliaString is what may be between the quotes of a string of Julia, but for what escapeRest escapes.
var juliaString = regexp.MustCompile(`(?s)^(?:[^\\]|\\[abtnvfre\\"'$]|\\x[0-9a-fA-F]{1,2}|\\u[0-9a-fA-F]{1,4}|\\U[0-9a-fA-F]{1,8}|\\[0-7]{1,3})*$`)

// escapeRest escapes quotes, dollars and control characters that have no backslash before them.
func escapeRest(text string) string {
	var b strings.Builder
	escaped := false
	for _, r := range text {
		switch {
		case escaped || r >= ' ' && r != '"' && r != '$' && r != 0x7f:
			b.WriteRune(r)
		case r == '"' || r == '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x%02x`, r)
		}
		escaped = r == '\\' && !escaped
	}
	return b.String()
}

// rawName reads the rest of var"…" after its first quote.
func (p *parser) rawName() bool {
	text, ok := p.rawText(false)
	if ok {
		p.emit(`var"` + text + `"`)
	}
	return ok
}

// rawSymbol reads the rest of :var"…" after its first quote. What has control characters is written as Symbol("…"): source is one line.
func (p *parser) rawSymbol() bool {
	text, ok := p.rawText(true)
	switch {
	case !ok:
	case strings.IndexFunc(text, unicode.IsControl) < 0:
		p.emit(`:var"` + text + `"`)
	default:
		// Twice, as symbolCall has it where there is no other reading.
		text = `"` + escapeAll(rawValue(text)) + `"`
		p.emit("Symbol(" + text + ", " + text + ")")
	}
	return ok
}

// rawValue is the text that a raw string stands for: of backslashes before a quote, or at the end, two are one, and one more escapes the quote.
func rawValue(text string) string {
	var b strings.Builder
	for text != "" {
		rest := strings.TrimLeft(text, `\`)
		n := len(text) - len(rest)
		if rest == "" || rest[0] == '"' {
			n /= 2
		}
		b.WriteString(strings.Repeat(`\`, n))
		_, size := utf8.DecodeRuneInString(rest)
		b.WriteString(rest[:size])
		text = rest[size:]
	}
	return b.String()
}

// escapeAll writes a text as it stands between the quotes of a string of Julia.
func escapeAll(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case strings.ContainsRune(`\"$`, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// rawText reads what is in var"…" after its first quote, and returns it as Julia reads it between the quotes. A backslash before a quote is
// special where the name ends at the first quote at which it can end, as Julia reads it, and else a character of the name.
func (p *parser) rawText(control bool) (string, bool) {
	skips := len(p.choices.skips) > p.choices.at && p.choices.skips[p.choices.at] > 0
	text, ok := p.quotedName(`in var"…"`, control, func(before string) bool {
		return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0
	})
	if ok && skips {
		text = rawEscapes.ReplaceAllString(text+`"`, `$1$1\"`)
		text = strings.TrimSuffix(text, `\"`)
	}
	return text, ok
}

// rawEscapes finds what raw strings have to escape: quotes with the backslashes before them.
var rawEscapes = regexp.MustCompile(`(\\*)"`)

// quotedName reads characters up to a quote that ends the name, and that quote. Ends says whether the quote at the current
// position, with what is before it, may. Control says that any characters but NUL are taken.
func (p *parser) quotedName(where string, control bool, ends func(before string) bool) (string, bool) {
	begin, skip := p.pos, p.choices.begin()
	for {
		r, size := utf8.DecodeRune(p.src[p.pos:])
		switch {
		case r == 0 || r == utf8.RuneError && size <= 1 || r < ' ' && !control || r == '\n' && p.beginsStatement(p.pos+1):
			p.choices.exhausted()
			return "", p.unexpected(where)
		case r == '"' && ends(string(p.src[begin:p.pos])):
			if skip == 0 {
				text := string(p.src[begin:p.pos])
				p.pos++
				return text, true
			}
			skip--
		}
		p.pos += size
	}
}

// beginsStatement says that what stands at an offset is the start of another statement, or that there is nothing.
func (p *parser) beginsStatement(pos int) bool {
	rest := p.src[pos:]
	return len(rest) == 0 || bytes.HasPrefix(rest, []byte("precompile(")) || bytes.HasPrefix(rest, []byte("Tuple{")) || bytes.HasPrefix(rest, []byte("#="))
}
