package anatomy

// Tests of the page: as text, and in a browser.

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	a := pieces()
	a.Packages[0].Modules[0].Things[0].Name = "</script><b>"
	var page bytes.Buffer
	if err := a.WritePage(&page, PageImage{Name: "x & y.so", Bases: []string{}, Targets: []string{}}); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if strings.Contains(text, "</script><b>") || !strings.Contains(text, "<title>x &amp; y.so</title>") || !strings.Contains(text, "function squarify") {
		t.Error("the page is not whole, or a name got into its HTML")
	}
	if strings.Contains(strings.ReplaceAll(text, "http-equiv", ""), "http") {
		t.Error("the page names an address on the network")
	}
}

// browser returns a Chromium, or skips the test.
func browser(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("this test starts a browser, and -short leaves that out")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED, NOT TESTED: no chromium on the path; the package chromium of Debian has one")
	return ""
}

// inBrowser says what is on the page after a script has run in it, which fills the element with id "said".
func inBrowser(t *testing.T, page, script string) string {
	t.Helper()
	program := browser(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "page.html")
	page = strings.Replace(page, "</body>", `<pre id="said"></pre><script>const say = x => { element("said").textContent += x + "\n"; };`+script+"</script></body>", 1)
	if err := os.WriteFile(path, []byte(page), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--window-size=1400,900", "--virtual-time-budget=2000", "--dump-dom", "file://"+path)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, &log)
	}
	said := regexp.MustCompile(`(?s)<pre id="said">(.*?)</pre>`).FindSubmatch(out)
	if said == nil {
		t.Fatalf("the page is\n%s\n%s", out, &log)
	}
	return string(said[1])
}

// The map has what the image has, where a mouse finds it; search, zoom and the lists work.
func TestPageInBrowser(t *testing.T) {
	a := pieces()
	a.Beyond(pieces(), false)
	var page bytes.Buffer
	if err := a.WritePage(&page, PageImage{Name: "x.so", Bases: []string{"base.so"}, Targets: []string{"generic"}}); err != nil {
		t.Fatal(err)
	}
	got := inBrowser(t, page.String(), `
		const rows = () => [...document.querySelectorAll("#list tbody tr")].map(tr => tr.innerText.replace(/\s+/g, " ").trim()).join(" | ");
		const find = name => state.places.find(p => p.node.name === name);
		say(document.title);
		say(rows());
		document.querySelector("[data-list=things]").click();
		say(rows());
		const f = find("f(::Int64)");
		say("found " + (hit(state.places, f.x + f.w / 2, f.y + f.h - 3).node.path().some(n => n === f.node)));
		const box = element("canvas").getBoundingClientRect(), at = (x, y) => element("canvas").getContext("2d").getImageData(x, y, 1, 1).data.join();
		say("drawn " + new Set([...Array(40).keys()].map(i => at(i * box.width / 40, box.height * 0.7))).size);
		say("share " + Math.round(100 * f.w * f.h / state.places.filter(p => p.node.level === "thing").reduce((n, p) => n + p.w * p.h, 0)));
		zoom(f.node);
		say([...document.querySelectorAll("#crumbs button")].map(b => b.textContent).join(" > "));
		document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}));
		say(state.node.name + " " + state.node.level);
		element("only-new").click();
		say("new " + state.node.size());
		element("only-new").click();
		document.querySelector("[value=types]").click();
		say(state.node.children().map(n => n.name).join());
		element("search").value = "small";
		element("search").dispatchEvent(new Event("input"));
		setTimeout(() => say(element("found").textContent + ": " + rows()), 400);
	`)
	const want = `x.so: 188 B
188 B 150 B 28 B 10 B 160 B P
115 B 100 B 5 B 10 B 110 B f(::Int64) method in P | 50 B 50 B 0 B 0 B 50 B #f#12(::Any) method in P | 20 B 0 B 20 B 0 B 0 B T type in P | 3 B 0 B 3 B 0 B 0 B small global in P
found true
drawn 3
share 61
x.so &gt; P &gt; P &gt; f(::Int64)
P module
new 160
code,DataType,debug information
1 found, 3 B: 3 B 0 B 3 B 0 B 0 B small global in P
`
	if lines := regexp.MustCompile(`(?m)^drawn [3-9]$|^drawn [1-9][0-9]$`).ReplaceAllString(got, "drawn 3"); lines != want {
		t.Errorf("in a browser it says\n%s\nwant\n%s", got, want)
	}
}
