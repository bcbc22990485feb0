package statements

// This file says which characters make a name and which an operator.
//
// The classes are those of Julia's reader: is_wc_cat_id_start, jl_id_start_char and jl_id_char in
// src/flisp/julia_extensions.c. Operators are not listed one by one: a run of symbols is taken for one, unless it is syntax
// in Julia, since the resolver looks it up or fails.

import (
	"unicode"
	"unicode/utf8"
)

// mathNames are the mathematical symbols (category Sm) and others outside the letter categories that may start a name.
var mathNames = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x207a, Hi: 0x207e, Stride: 1}, // superscript + - = ( )
		{Lo: 0x208a, Hi: 0x208e, Stride: 1}, // subscript + - = ( )
		{Lo: 0x2118, Hi: 0x2118, Stride: 1}, // ℘
		{Lo: 0x212e, Hi: 0x212e, Stride: 1}, // ℮
		{Lo: 0x2140, Hi: 0x2144, Stride: 1}, // ⅀ ⅁ ⅂ ⅃ ⅄
		{Lo: 0x2202, Hi: 0x2202, Stride: 1}, // ∂
		{Lo: 0x2205, Hi: 0x2207, Stride: 1}, // ∅ ∆ ∇
		{Lo: 0x220e, Hi: 0x2211, Stride: 1}, // ∎ ∏ ∐ ∑
		{Lo: 0x221e, Hi: 0x2222, Stride: 1}, // ∞ ∟ ∠ ∡ ∢
		{Lo: 0x222b, Hi: 0x2233, Stride: 1}, // integrals
		{Lo: 0x223f, Hi: 0x223f, Stride: 1}, // ∿
		{Lo: 0x22a4, Hi: 0x22a5, Stride: 1}, // ⊤ ⊥
		{Lo: 0x22be, Hi: 0x22c3, Stride: 1}, // ⊾ ⊿ ⋀ ⋁ ⋂ ⋃
		{Lo: 0x25f8, Hi: 0x25ff, Stride: 1}, // triangles and squares
		{Lo: 0x266f, Hi: 0x266f, Stride: 1}, // ♯
		{Lo: 0x27c0, Hi: 0x27c1, Stride: 1}, // ⟀ ⟁
		{Lo: 0x27d8, Hi: 0x27d9, Stride: 1}, // ⟘ ⟙
		{Lo: 0x299b, Hi: 0x29b4, Stride: 1}, // angles, empty sets
		{Lo: 0x2a00, Hi: 0x2a06, Stride: 1}, // n-ary operators
		{Lo: 0x2a09, Hi: 0x2a16, Stride: 1},
		{Lo: 0x2a1b, Hi: 0x2a1c, Stride: 1},
		{Lo: 0x309b, Hi: 0x309c, Stride: 1}, // katakana-hiragana sound marks
	},
	R32: []unicode.Range32{
		{Lo: 0x1d6c1, Hi: 0x1d7c3, Stride: 1}, // styled ∇ and ∂, among letters
		{Lo: 0x1d7ce, Hi: 0x1d7e1, Stride: 1}, // bold and double-struck digits
	},
}

// nameMarks are the characters outside the categories of nameRune that may continue a name.
var nameMarks = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x2032, Hi: 0x2037, Stride: 1}, // primes
		{Lo: 0x2057, Hi: 0x2057, Stride: 1},
	},
}

func asciiLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }
func asciiDigit(c byte) bool  { return '0' <= c && c <= '9' }

func nameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return asciiLetter(byte(r))
	}
	if r < 0xa1 || r == utf8.RuneError {
		return false
	}
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Sc, mathNames) ||
		unicode.Is(unicode.So, r) && !(0x2190 <= r && r <= 0x21ff)
}

func nameRune(r rune) bool {
	if r < utf8.RuneSelf {
		return asciiLetter(byte(r)) || asciiDigit(byte(r)) || r == '!'
	}
	return nameStart(r) || r >= 0xa1 && r != utf8.RuneError &&
		unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Sk, unicode.Me, unicode.No, nameMarks)
}

// operatorRune reports whether r may be part of an operator.
func operatorRune(r rune) bool {
	if r < utf8.RuneSelf {
		switch r {
		case '+', '-', '*', '/', '\\', '%', '^', '&', '|', '!', '~', '<', '>', '=', ':', '?', '$', '.', '\'':
			return true
		}
		return false
	}
	switch r {
	case '·', '…', '⁝': // punctuation among symbols
		return true
	}
	return r >= 0xa1 && r != utf8.RuneError && unicode.Is(unicode.S, r)
}

// syntax are runs of operator characters that cannot name a function.
var syntax = map[string]bool{
	"=": true, ".": true, "...": true, "->": true, "?": true, "&&": true, "||": true, "::": true, ":=": true, "$": true,
	"'": true, "+=": true, "-=": true, "*=": true, "/=": true, "\\=": true, "^=": true, "%=": true, "|=": true, "&=": true,
}

// reserved are the words that are no names (src/julia-parser.scm, reserved-words) and `where`, which is an operator in
// this grammar.
var reserved = map[string]bool{
	"baremodule": true, "begin": true, "break": true, "catch": true, "const": true, "continue": true, "do": true,
	"else": true, "elseif": true, "end": true, "export": true, "finally": true, "for": true, "function": true,
	"global": true, "if": true, "import": true, "let": true, "local": true, "macro": true, "module": true,
	"quote": true, "return": true, "struct": true, "try": true, "using": true, "where": true, "while": true,
}
