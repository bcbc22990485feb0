package llvmdriver

import "testing"

func TestPlainName(t *testing.T) {
	for emitted, want := range map[string]string{
		"julia_sum_1234":                    "sum",
		"japi1_setindexNOT._77":             "setindex!",
		"julia_YY.repeatYY.64YY.YY.kw_2062": "#repeat#64##kw",
		"julia_authenticate_ssh_17u18":      "authenticate_ssh",
		"jlplt_git_merge_35239_got":         "jlplt_git_merge",
		"ccall_dgeqrt_64_12":                "ccall_dgeqrt_64",
		"julia_LPR.SUM.RPR._5":              "(+)",
		"julia_a3B.b_5":                     "a;b",
		"tojlinvoke12":                      "tojlinvoke",
		"plain":                             "plain",
	} {
		if got := plainName(emitted); got != want {
			t.Errorf("%s is %q, and should be %q", emitted, got, want)
		}
	}
}
