package statements

// This file is the grammar of statements: a recursive descent that writes the normalised source as it goes.
//
//	statement = ["@assert"] ["Base."] "precompile" "(" signature ")" [";"]
//	          | ["@assert"] ["Base."] "precompile" "(" expr "," "(" [expr {"," expr}] [","] ")" ")" [";"]
//	          | signature [";"]
//	signature = expr                                      which starts with "Tuple{"
//	expr      = operand {"where" (variable | "{" variable {"," variable} "}")}
//	variable  = name | name ("<:" | ">:") operand | operand "<:" name "<:" operand
//	operand   = primary {"{" [param {"," param}] "}" | call}
//	param     = expr | ("<:" | ">:") operand
//	primary   = path | symbol | character | number | operator | "(" expr ")"
//	          | "@NamedTuple" "{" [name ["::" expr] {"," name ["::" expr]}] "}"
//	          | "(" [expr {"," expr}] ")"                 a tuple as a value, as is the next
//	          | "(" name "=" expr {"," name "=" expr} ")"
//	          | "typeof" "(" expr ")"                     also Core.Typeof, Core.kwftype
//	          | "getfield" "(" path "," symbol ")"
//	path      = name {"." (name | ":" operator | ":(" (operator | name) ")")}
//	name      = letter {letter | digit | "!"} | `var"` … `"` | "#s" digit {digit | "#"}
//	symbol    = ":" (name | operator | "(" … ")") | "Symbol" "(" string ["," string] ")"
//	call      = "(" ")" | "(" name "=" expr {"," name "=" expr} ")" | "(" number ")"
//
// The calls are values as the tracer writes them (jl_static_show_x_ in src/rtutils.c): an instance of an empty type, one
// with all fields by name, a primitive value by its bits in hexadecimal digits (a number of one of Core's types also
// otherwise, as people write it). The resolver builds them without calling anything.
// Inside brackets a statement may go on over several lines, and `#` and `#= =#` comments may stand between tokens. Escape
// sequences that give a terminal colours, which the tracer writes to one, are blanks.
//
// Up to Julia 1.11 the tracer writes the names of symbols and what is in var"…" as they are, whatever their characters. So where
// such a name ends is not always clear. The first end is taken with which the whole statement can be read (choices.go). A
// backslash in the name of a symbol is a character of it for these Julias, and begins an escape sequence for later ones and for
// people: both readings are kept, as Symbol("…", "…"), and the resolver takes the one that its Julia writes.

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxDepth bounds how deep expressions nest, and with it the stack, here and where the resolver reads them. Types of real
// packages have been seen to nest 230 deep.
const maxDepth = 500

// A parser reads one statement after the other. Its methods for parts of the grammar append to out what they read, and
// return false when they set reason.
type parser struct {
	src []byte
	pos int

	out      []byte            // the normalised source of the statement
	modules  []string          // the heads of its dotted paths
	packages []string          // that comments list
	paths    *[]Path           // what is named is added to; nil: nothing is
	names    map[string]string // module names met in the file, so that each is allocated once
	start    int               // where the statement starts
	nest     int               // the number of open brackets
	depth    int               // the number of expressions that are being read
	reason   string            // why the statement is refused
	fatal    bool              // whether nothing after it can be read
	choices  choices           // where the names of the statement end
}

func (p *parser) fail(reason string) bool {
	p.reason = reason
	return false
}

// unexpected fails with what stands at the current position.
func (p *parser) unexpected(where string) bool {
	if p.pos >= len(p.src) {
		return p.fail("the file ends " + where)
	}
	r, size := utf8.DecodeRune(p.src[p.pos:])
	switch {
	case r == '\n':
		return p.fail("the line ends " + where)
	case r == 0:
		return p.fail("there is a NUL byte " + where)
	case r == utf8.RuneError && size == 1:
		return p.fail("there is a byte that is not UTF-8 " + where)
	}
	return p.fail("there is " + strconv.QuoteRune(r) + " " + where)
}

func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) at(token string) bool {
	return len(p.src)-p.pos >= len(token) && string(p.src[p.pos:p.pos+len(token)]) == token
}

// accept skips token if it stands at the current position.
func (p *parser) accept(token string) bool {
	if !p.at(token) {
		return false
	}
	p.pos += len(token)
	return true
}

func (p *parser) emit(s string) { p.out = append(p.out, s...) }

// word reports whether the name at the current position is w.
func (p *parser) word(w string) bool {
	if !p.at(w) {
		return false
	}
	r, _ := utf8.DecodeRune(p.src[p.pos+len(w):])
	return !nameRune(r)
}

// takeLine skips to the next line and returns what it skipped, without the line end.
func (p *parser) takeLine() []byte {
	rest := p.src[p.pos:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		p.pos += i + 1
		return rest[:i]
	}
	p.pos = len(p.src)
	return rest
}

// blank skips lines that hold no statement, adding their number to ignored. It returns false at the end of the file.
func (p *parser) blank(ignored *int) bool {
	for p.pos < len(p.src) {
		switch {
		case p.at("#="):
			begin := p.pos
			if !p.blockComment() {
				p.pos = begin // refused as a statement
				return true
			}
			*ignored += bytes.Count(p.src[begin:p.pos], []byte{'\n'})
			rest := bytes.TrimLeft(p.src[p.pos:], " \t\r")
			if len(rest) == 0 {
				*ignored++
			}
		case p.peek() == '#':
			p.comment(p.takeLine())
			*ignored++
		case p.peek() == '\n':
			p.pos++
			*ignored++
		case p.peek() == ' ' || p.peek() == '\t' || p.peek() == '\r':
			p.pos++
		case p.colour():
		default:
			return true
		}
	}
	return false
}

// colour skips an escape sequence that sets the colours of a terminal: ESC [ numbers m.
func (p *parser) colour() bool {
	if !p.at("\x1b[") {
		return false
	}
	end := p.pos + 2
	for end < len(p.src) && (asciiDigit(p.src[end]) || p.src[end] == ';') {
		end++
	}
	if end >= len(p.src) || p.src[end] != 'm' {
		return false
	}
	p.pos = end + 1
	return true
}

// blockComment skips a comment `#= … =#`; they nest.
func (p *parser) blockComment() bool {
	open := 0
	for p.pos < len(p.src) {
		switch {
		case p.accept("#="):
			open++
		case p.accept("=#"):
			if open--; open == 0 {
				return true
			}
		default:
			p.pos++
		}
	}
	p.fatal = true
	return p.fail("a comment #= is not closed")
}

// space skips blanks and comments; line ends and `#` comments only inside brackets.
func (p *parser) space() bool {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
			p.pos++
		case c == '\n' && p.nest > 0:
			p.pos++
			if p.pos-p.start > maxStatement {
				return p.fail("it is too long")
			}
		case c == '#' && p.at("#="):
			if !p.blockComment() {
				return false
			}
		case c == '#' && p.nest > 0 && !p.at("#<") && !p.atHashName():
			p.takeLine()
		case c == 0x1b && p.colour():
		default:
			return true
		}
	}
	return true
}

// spaced skips blanks, then token.
func (p *parser) spaced(token, where string) bool {
	if !p.space() {
		return false
	}
	if !p.accept(token) {
		return p.unexpected(where)
	}
	return true
}

// statement reads a statement and the rest of its last line. Afterwards out and modules are the statement's.
func (p *parser) statement() bool {
	start, reason, fatal := p.pos, "", false
	for p.choices.reset(); ; {
		p.pos = start
		if p.oneReading() {
			return true
		}
		if reason == "" {
			reason, fatal = p.reason, p.fatal
		}
		if p.fatal = false; !p.choices.next() {
			// The first reading is what the line looks like.
			p.reason, p.fatal = reason, fatal
			return false
		}
	}
}

// oneReading is statement for names that end where choices says.
func (p *parser) oneReading() bool {
	p.out, p.modules = p.out[:0], p.modules[:0]
	p.forgetPaths(0)
	p.start, p.nest, p.depth, p.reason = p.pos, 0, 0, ""
	line := p.src[p.pos:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	if len(line) > maxStatement {
		return p.fail("it is too long")
	}
	if p.at("#=") {
		return p.blockComment() // fails again
	}
	asserted := false
	if p.word("@assert") {
		p.pos += len("@assert")
		if asserted = true; !p.space() {
			return false
		}
	}
	call := p.pos
	if p.accept("Base.") && !p.word("precompile") {
		p.pos = call
	}
	switch {
	case p.accept("precompile("):
		if !p.arguments() {
			return false
		}
	case asserted:
		return p.fail("@assert is not followed by precompile(")
	default:
		if !p.signature() {
			return false
		}
	}
	return p.end()
}

// arguments reads the arguments of precompile and the closing bracket.
func (p *parser) arguments() bool {
	p.nest++
	if !p.space() || !p.expr() || !p.space() {
		return false
	}
	if p.accept(",") {
		function := string(p.out)
		p.out = p.out[:0]
		if !p.spaced("(", "where the tuple of argument types should be") {
			return false
		}
		p.emit("Tuple{Core.Typeof(" + function + ")")
		p.nest++
		for {
			if !p.space() {
				return false
			}
			if p.accept(")") {
				break
			}
			p.emit(", ")
			if !p.expr() || !p.space() {
				return false
			}
			if !p.accept(",") && !p.at(")") {
				return p.unexpected("among the argument types")
			}
		}
		p.nest--
		p.emit("}")
	} else if !p.isSignature() {
		return false
	}
	if !p.spaced(")", "where the statement should be closed") {
		return false
	}
	p.nest--
	return true
}

func (p *parser) signature() bool {
	return p.expr() && p.isSignature()
}

func (p *parser) isSignature() bool {
	head := bytes.TrimLeft(p.out, "(")
	if bytes.HasPrefix(head, []byte("Tuple{")) || bytes.HasPrefix(head, []byte("Core.Tuple{")) {
		return true
	}
	return p.fail("it is neither precompile(Tuple{…}) nor Tuple{…}")
}

// end reads what may follow a statement on its line.
func (p *parser) end() bool {
	p.space()
	if p.accept(";") {
		p.space()
	}
	if p.fatal {
		return false
	}
	if c := p.peek(); p.pos < len(p.src) && c != '\n' && c != '#' {
		return p.unexpected("after the statement")
	}
	if p.pos-p.start > maxStatement {
		return p.fail("it is too long")
	}
	p.takeLine()
	return true
}

// untraceable takes a line with a value that the tracer has no words for: it was written by Julia and is no mistake of
// the user's, so it becomes a statement that cannot be resolved.
func (p *parser) untraceable(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r")
	if p.fatal || len(line) > maxStatement || !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 ||
		!bytes.HasPrefix(line, []byte("precompile(Tuple{")) || !bytes.HasSuffix(line, []byte(")")) {
		return false
	}
	for _, mark := range []string{"#<intrinsic #", "#<null>", "<circular reference @-", "<?#0x"} {
		if bytes.Contains(line, []byte(mark)) {
			p.out = append(p.out[:0], bytes.ReplaceAll(line[len("precompile("):len(line)-1], []byte{'\t'}, []byte{' '})...)
			p.modules = p.modules[:0]
			return true
		}
	}
	return false
}

func (p *parser) expr() bool {
	if _, ok := p.operand(); !ok {
		return false
	}
	// Each `where` wraps what stands before it, so a long row of them nests as brackets do.
	wheres := 0
	for {
		if !p.space() {
			return false
		}
		if !p.word("where") {
			break
		}
		p.pos += len("where")
		if wheres++; p.depth+wheres > maxDepth {
			return p.fail("it nests too deep")
		}
		p.emit(" where ")
		if !p.space() || !p.variables() {
			return false
		}
	}
	return true
}

func (p *parser) variables() bool {
	if !p.accept("{") {
		return p.variable()
	}
	p.nest++
	p.emit("{")
	for {
		if !p.space() || !p.variable() || !p.space() {
			return false
		}
		if p.accept("}") {
			break
		}
		if !p.accept(",") {
			return p.unexpected("among the variables of where")
		}
		p.emit(", ")
	}
	p.nest--
	p.emit("}")
	return true
}

// variable reads a variable and its bounds. One of the operands must be a plain name: the first of one or two, the middle
// one of three.
func (p *parser) variable() bool {
	named, ok := p.operand()
	if !ok || !p.space() {
		return false
	}
	if p.at("<:") || p.at(">:") {
		upper := p.at("<:")
		bounded, ok := p.bound()
		if !ok {
			return false
		}
		if upper && p.at("<:") {
			if _, ok := p.bound(); !ok {
				return false
			}
			named = bounded
		}
	}
	if !named {
		return p.fail("there is no name where a variable of where should be")
	}
	return true
}

// bound reads the relation at the current position and the operand that follows, and reports whether that is a plain name.
func (p *parser) bound() (plain, ok bool) {
	p.emit(string(p.src[p.pos : p.pos+2]))
	p.pos += 2
	if !p.space() {
		return false, false
	}
	if plain, ok = p.operand(); !ok {
		return false, false
	}
	return plain, p.space()
}

// operand reads an operand and reports whether it is a plain name.
func (p *parser) operand() (plain, ok bool) {
	if p.depth++; p.depth > maxDepth {
		return false, p.fail("it nests too deep")
	}
	begin := len(p.out)
	c := p.peek()
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	postfix := true // whether { or ( may follow
	switch {
	case nameStart(r) || p.atHashName():
		if plain, ok = p.path(); !ok {
			return false, false
		}
	case c == '(':
		postfix = false
		ok = p.parenthesis()
	case c == '@' && p.word("@NamedTuple"):
		postfix = false
		ok = p.namedTuple()
	case c == ':' && !p.loneColon():
		postfix = false
		ok = p.colonSymbol()
	case c == '\'':
		postfix = false
		ok = p.character()
	case asciiDigit(c) || c == '-' && p.pos+1 < len(p.src) && (asciiDigit(p.src[p.pos+1]) || p.floatWord(p.pos+1) != ""):
		postfix = false
		ok = p.number()
	case operatorRune(r):
		postfix = false
		ok = p.operatorName()
	default:
		ok = p.unexpected("where a type or a value should be")
	}
	if !ok {
		return false, false
	}
	for wraps := 1; postfix; wraps++ {
		if p.depth+wraps > maxDepth {
			return false, p.fail("it nests too deep")
		}
		switch p.peek() {
		case '{':
			ok = p.parameters()
		case '(':
			ok = p.call(string(p.out[begin:]))
		default:
			postfix = false
			continue
		}
		if plain = false; !ok {
			return false, false
		}
	}
	p.depth--
	return plain, true
}

func (p *parser) parameters() bool {
	p.pos++
	p.nest++
	p.emit("{")
	for first := true; ; first = false {
		if !p.space() {
			return false
		}
		if p.accept("}") {
			break
		}
		if !first {
			p.emit(", ")
		}
		if !p.parameter() || !p.space() {
			return false
		}
		if !p.accept(",") && !p.at("}") {
			return p.unexpected("among the parameters of a type")
		}
	}
	p.nest--
	p.emit("}")
	return true
}

// parameter reads a parameter of a type; `<:T` stands for a nameless variable, but `<:` alone for the function.
func (p *parser) parameter() bool {
	if !p.at("<:") && !p.at(">:") {
		return p.expr()
	}
	relation := string(p.src[p.pos : p.pos+2])
	p.pos += 2
	if !p.space() {
		return false
	}
	p.emit(relation)
	if c := p.peek(); c == ',' || c == '}' {
		return true
	}
	_, ok := p.operand()
	return ok
}

// namedTuple reads `@NamedTuple{a::A, b}` and writes what the macro makes of it.
func (p *parser) namedTuple() bool {
	p.pos += len("@NamedTuple")
	if !p.accept("{") {
		return p.unexpected("where @NamedTuple should have its fields")
	}
	p.nest++
	var names, types strings.Builder
	begin := len(p.out)
	taken := func() string {
		text := string(p.out[begin:])
		p.out = p.out[:begin]
		return text
	}
	for {
		if !p.space() {
			return false
		}
		if p.accept("}") {
			break
		}
		if r, _ := utf8.DecodeRune(p.src[p.pos:]); !nameStart(r) {
			return p.unexpected("among the fields of @NamedTuple")
		}
		if !p.name() {
			return false
		}
		fmt.Fprintf(&names, "%s, ", symbolSource(taken()))
		if !p.space() {
			return false
		}
		if p.accept("::") {
			if !p.space() || !p.expr() || !p.space() {
				return false
			}
		} else {
			p.emit("Any")
		}
		if types.Len() > 0 {
			types.WriteString(", ")
		}
		types.WriteString(taken())
		if !p.accept(",") && !p.at("}") {
			return p.unexpected("among the fields of @NamedTuple")
		}
	}
	p.nest--
	list := names.String()
	if strings.Count(list, ", ") > 1 {
		list = strings.TrimSuffix(list, ", ")
	} else {
		list = strings.TrimSuffix(list, " ")
	}
	p.emit("NamedTuple{(" + list + "), Tuple{" + types.String() + "}}")
	return true
}

// parenthesis reads a bracketed expression, a tuple or a named tuple.
func (p *parser) parenthesis() bool {
	p.pos++
	p.nest++
	p.emit("(")
	named := false
	for n := 0; ; n++ {
		if !p.space() {
			return false
		}
		if p.accept(")") {
			break
		}
		if n > 0 {
			p.emit(" ")
		}
		found, ok := p.fieldName()
		if !ok {
			return false
		}
		if n > 0 && found != named {
			return p.fail("only some values of a tuple have names")
		}
		named = found
		if !p.expr() || !p.space() {
			return false
		}
		if p.accept(",") {
			p.emit(",")
		} else if !p.at(")") {
			return p.unexpected("in a bracket")
		} else if named && n == 0 {
			return p.fail("it assigns")
		}
	}
	p.nest--
	p.emit(")")
	return true
}

// fieldName reads `name =` if that is what follows.
func (p *parser) fieldName() (found, ok bool) {
	begin, written, names := p.pos, len(p.out), p.choices.at
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	if nameStart(r) && p.name() {
		if !p.space() {
			return false, false
		}
		if p.peek() == '=' && !p.at("==") && !p.at("=>") {
			p.pos++
			p.emit("=")
			return true, p.space()
		}
	}
	p.pos, p.out, p.choices.at = begin, p.out[:written], names
	return false, true
}

// call reads the arguments of callee, which was written already.
func (p *parser) call(callee string) bool {
	switch callee {
	case "typeof", "Core.typeof", "Core.Typeof", "Core.kwftype":
		return p.typeOf()
	case "Symbol", "Core.Symbol":
		return p.symbolCall()
	case "getfield", "Core.getfield", "Base.getfield":
		return p.getField()
	}
	p.pos++
	p.nest++
	p.emit("(")
	if !p.space() {
		return false
	}
	for n := 0; !p.accept(")"); n++ {
		if n > 0 {
			p.emit(", ")
		}
		c := p.peek()
		if n == 0 && (p.at("0x") || numeric[strings.TrimPrefix(callee, "Core.")] && (asciiDigit(c) || c == '-')) {
			if !p.number() || !p.space() {
				return false
			}
			if !p.at(")") {
				return p.fail("it calls " + callee)
			}
			continue
		}
		found, ok := p.fieldName()
		if !ok {
			return false
		}
		if !found {
			return p.fail("it calls " + callee)
		}
		if !p.expr() || !p.space() {
			return false
		}
		if !p.accept(",") && !p.at(")") {
			return p.unexpected("among the fields of a value")
		}
		if !p.space() {
			return false
		}
	}
	p.nest--
	p.emit(")")
	return true
}

// numeric are the types of Core of which a value may be written with any literal.
var numeric = map[string]bool{
	"Int8": true, "Int16": true, "Int32": true, "Int64": true, "Int128": true, "Int": true, "Float16": true, "Float32": true,
	"UInt8": true, "UInt16": true, "UInt32": true, "UInt64": true, "UInt128": true, "UInt": true, "Float64": true, "Char": true,
}

func (p *parser) typeOf() bool {
	p.pos++
	p.nest++
	p.emit("(")
	if !p.space() || !p.expr() || !p.spaced(")", "where typeof( should be closed") {
		return false
	}
	p.nest--
	p.emit(")")
	return true
}

func (p *parser) getField() bool {
	p.pos++
	p.nest++
	p.emit("(")
	if !p.space() {
		return false
	}
	begin, noted := len(p.out), p.notedPaths()
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	if !nameStart(r) {
		return p.unexpected("where the module of getfield should be")
	}
	plain, ok := p.path()
	if !ok {
		return false
	}
	p.forgetPaths(noted)
	if plain {
		p.module(p.out[begin:])
	}
	module := len(p.out)
	if !p.spaced(",", "where getfield should name a symbol") || !p.space() {
		return false
	}
	p.emit(", ")
	switch {
	case p.accept("Symbol"):
		p.emit("Symbol")
		ok = p.peek() == '(' && p.symbolCall()
		if !ok && p.reason == "" {
			ok = p.unexpected("where getfield should name a symbol")
		}
	case p.peek() == ':':
		ok = p.colonSymbol()
	default:
		ok = p.unexpected("where getfield should name a symbol")
	}
	if !ok || !p.spaced(")", "where getfield( should be closed") {
		return false
	}
	p.notePath(p.out[begin:module], p.out[module+len(", "):])
	p.nest--
	p.emit(")")
	return true
}

// path reads a dotted path and reports whether it is one name.
func (p *parser) path() (plain, ok bool) {
	begin := len(p.out)
	if !p.name() {
		return false, false
	}
	head, last := len(p.out), begin
	if word := string(p.out[begin:head]); reserved[word] {
		return false, p.fail("there is " + word + " where a type or a value should be")
	} else if julian := tracedFloats[word]; julian != "" {
		p.out = append(p.out[:begin], julian...)
		return false, true
	}
	for p.peek() == '.' && !p.at("...") {
		if len(p.out) == head {
			p.module(p.out[begin:head])
		}
		p.pos++
		p.emit(".")
		last = len(p.out)
		r, _ := utf8.DecodeRune(p.src[p.pos:])
		switch {
		case nameStart(r):
			if !p.name() {
				return false, false
			}
		case p.peek() == ':':
			p.pos++
			p.emit(":(")
			if p.accept("(") {
				if !p.quoted() {
					return false, false
				}
			} else if !p.operatorName() {
				return false, false
			}
			p.emit(")")
		default:
			p.emit(":(")
			if !p.operatorName() {
				return false, false
			}
			p.emit(")")
		}
	}
	p.notePath(p.out[begin:max(begin, last-1)], p.out[last:])
	return len(p.out) == head, true
}

// module notes name as the head of a path.
func (p *parser) module(name []byte) {
	switch string(name) {
	case "Core", "Base", "Main":
		return
	}
	for _, m := range p.modules {
		if m == string(name) {
			return
		}
	}
	m, ok := p.names[string(name)]
	if !ok {
		m = string(name)
		p.names[m] = m
	}
	p.modules = append(p.modules, m)
}

// atHashName reports whether a variable's name as `#s12` follows, which Julia 1.5 wrote without var"…" once.
func (p *parser) atHashName() bool {
	return len(p.src)-p.pos > 2 && p.src[p.pos] == '#' && p.src[p.pos+1] == 's' && asciiDigit(p.src[p.pos+2])
}

// name reads a name, which begins at the current position.
func (p *parser) name() bool {
	begin := p.pos
	if p.atHashName() {
		p.pos += 2
		for asciiDigit(p.peek()) || p.peek() == '#' {
			p.pos++
		}
		p.emit(`var"` + string(p.src[begin:p.pos]) + `"`)
		return true
	}
	if p.at(`var"`) {
		p.pos += len(`var"`)
		return p.rawName()
	}
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if c < utf8.RuneSelf {
			if !asciiLetter(c) && !asciiDigit(c) && c != '!' || c == '!' && p.at("!=") {
				break
			}
			p.pos++
			continue
		}
		r, size := utf8.DecodeRune(p.src[p.pos:])
		if !nameRune(r) {
			break
		}
		p.pos += size
	}
	name := p.src[begin:p.pos]
	if !norm.NFC.IsNormal(name) {
		// Julia's parser would normalise it, and the tracer has written the name as it is.
		p.emit(`var"` + string(name) + `"`)
		return true
	}
	p.out = append(p.out, name...)
	return true
}

// operator returns the operator at the current position, empty if there is none.
func (p *parser) operator() string {
	begin := p.pos
	for p.pos < len(p.src) {
		r, size := utf8.DecodeRune(p.src[p.pos:])
		// An operator may have sub- and superscripts and primes as a suffix.
		if !operatorRune(r) && !(p.pos > begin && r >= utf8.RuneSelf && nameRune(r)) {
			break
		}
		p.pos += size
	}
	return string(p.src[begin:p.pos])
}

func (p *parser) operatorName() bool {
	begin := p.pos
	op := p.operator()
	if op == "" {
		return p.unexpected("where a name should be")
	}
	if syntax[op] {
		p.pos = begin
		return p.fail("there is " + op + " where a name should be")
	}
	p.emit(op)
	return true
}

// quoted reads an operator or a name and the bracket that closes it.
func (p *parser) quoted() bool {
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	if nameStart(r) {
		if !p.name() {
			return false
		}
	} else if !p.operatorName() {
		return false
	}
	if !p.accept(")") {
		return p.unexpected("in a quoted name")
	}
	return true
}

// loneColon reports whether the colon that follows is the function `:`.
func (p *parser) loneColon() bool {
	if p.pos+1 >= len(p.src) {
		return true
	}
	c := p.src[p.pos+1]
	return c == ')' || c == '}' || c == ','
}

// colonSymbol reads `:name`, `:operator` or `:(…)`. Whatever is not a plain name is written as Symbol("…"): the tracer
// writes an operator after a colon as it is, and Julia does not read all of them.
func (p *parser) colonSymbol() bool {
	p.pos++
	begin := len(p.out)
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	switch {
	case p.accept("("):
		if !p.quoted() {
			return false
		}
	case p.accept(`var"`):
		return p.rawSymbol()
	case nameStart(r):
		if !p.name() {
			return false
		}
	default:
		// The tracer writes any name that has an operator's precedence, not only those that functions can have.
		op := p.operator()
		if op == "" {
			return p.unexpected("where a symbol should be")
		}
		p.emit(op)
	}
	text := string(p.out[begin:])
	p.out = p.out[:begin]
	p.emit(symbolSource(text))
	return true
}

// symbolSource is the expression for a symbol that has a name or an operator for its name, which is given as in the source.
func symbolSource(name string) string {
	first, _ := utf8.DecodeRuneInString(name)
	if nameStart(first) && !reserved[name] {
		return ":" + name
	}
	return `Symbol("` + escapeAll(name) + `")`
}

// character reads a character literal, which the tracer never writes.
func (p *parser) character() bool {
	const place = "in a character"
	begin := p.pos
	p.pos++
	r, size := utf8.DecodeRune(p.src[p.pos:])
	if r < ' ' || r == '\'' || r == utf8.RuneError && size <= 1 {
		return p.unexpected(place)
	}
	p.pos += size
	if r == '\\' {
		if p.peek() <= ' ' || p.peek() >= utf8.RuneSelf {
			return p.unexpected(place)
		}
		p.pos++
		for asciiDigit(p.peek()) || asciiLetter(p.peek()) {
			p.pos++
		}
	}
	if !p.accept("'") {
		return p.unexpected(place)
	}
	p.out = append(p.out, p.src[begin:p.pos]...)
	return true
}

// tracedFloats are the floats that C's printf has words for (`%g` for Float64, `%gf` for Float32), in Julia's words.
var tracedFloats = map[string]string{"inf": "Inf", "nan": "NaN", "inff": "Inf32", "nanf": "NaN32"}

// floatWord returns the word of tracedFloats, or of Julia's own for these values, that stands at offset pos.
func (p *parser) floatWord(pos int) string {
	end := pos
	for end < len(p.src) && nameRune(rune(p.src[end])) {
		end++
	}
	switch word := string(p.src[pos:end]); word {
	case "inf", "nan", "inff", "nanf", "Inf", "NaN", "Inf32", "NaN32", "Inf16", "NaN16":
		return word
	}
	return ""
}

// number reads an integer or a float, as Julia writes it or as C's %gf does.
func (p *parser) number() bool {
	negative := p.accept("-")
	if negative {
		p.emit("-")
	}
	if word := p.floatWord(p.pos); word != "" {
		p.pos += len(word)
		if julian := tracedFloats[word]; julian != "" {
			word = julian
		}
		p.emit(word)
		return true
	}
	begin := p.pos
	if negative && p.negativeZero() {
		return true
	}
	if p.peek() == '0' && p.pos+1 < len(p.src) {
		digits := ""
		switch p.src[p.pos+1] {
		case 'x':
			digits = "0123456789abcdefABCDEF"
		case 'b':
			digits = "01"
		case 'o':
			digits = "01234567"
		}
		if digits != "" {
			p.pos += 2
			first := p.pos
			for p.pos < len(p.src) && strings.IndexByte(digits, p.src[p.pos]) >= 0 {
				p.pos++
			}
			if p.pos == first {
				return p.unexpected("in a number")
			}
			p.out = append(p.out, p.src[begin:p.pos]...)
			return p.numberEnds()
		}
	}
	if !p.digits() {
		return false
	}
	if p.peek() == '.' {
		p.pos++
		if asciiDigit(p.peek()) {
			p.digits()
		}
	}
	p.out = append(p.out, p.src[begin:p.pos]...)
	exponent := p.pos
	if c := p.peek(); c == 'e' || c == 'E' || c == 'f' && p.pos+1 < len(p.src) && (asciiDigit(p.src[p.pos+1]) || p.src[p.pos+1] == '-' || p.src[p.pos+1] == '+') {
		p.pos++
		if p.peek() == '+' || p.peek() == '-' {
			p.pos++
		}
		if !p.digits() {
			return false
		}
	}
	text := string(p.src[exponent:p.pos])
	if !strings.HasPrefix(text, "f") && p.accept("f") { // as %gf writes a Float32
		if text == "" {
			text = "f0"
		} else {
			text = "f" + strings.TrimPrefix(text[1:], "+")
		}
	}
	p.emit(text)
	return p.numberEnds()
}

// negativeZero reads the 0 of `-0`, which is how C's %g writes -0.0: no integer is written like that.
func (p *parser) negativeZero() bool {
	if next := p.pos + 1; p.peek() != '0' || next < len(p.src) && (nameRune(rune(p.src[next])) || p.src[next] == '.') {
		return false
	}
	p.pos++
	p.emit("0.0")
	return true
}

func (p *parser) digits() bool {
	if !asciiDigit(p.peek()) {
		return p.unexpected("in a number")
	}
	for asciiDigit(p.peek()) || p.peek() == '_' && p.pos+1 < len(p.src) && asciiDigit(p.src[p.pos+1]) {
		p.pos++
	}
	return true
}

// numberEnds fails where Julia would multiply the number with what follows.
func (p *parser) numberEnds() bool {
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	if p.pos < len(p.src) && (nameRune(r) || r == '(' || r == '.') {
		return p.unexpected("after a number")
	}
	return true
}
