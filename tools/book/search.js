// Search in the book: parts of pages that have all words, those with a word in a heading first. The index is loaded when somebody searches; as a
// script, since a page that was opened from a file may not read another one.

const field = document.getElementById("search"), found = document.getElementById("found");
let parts = null;
field.hidden = false;

function searchIn(list) {
  parts = list.map(p => ({...p, heading: (p.title + " " + (p.part || "")).toLowerCase(), text: p.words.toLowerCase()}));
  show();
}

function load() {
  if (document.querySelector("script[data-index]")) return;
  const script = document.createElement("script");
  script.src = "search-index.js";
  script.dataset.index = "";
  document.head.append(script);
}

function matches(words) {
  const list = [];
  for (const p of parts) {
    let weight = 0;
    for (const word of words) {
      if (p.heading.includes(word)) weight += 10;
      else if (p.text.includes(word)) weight += 1;
      else { weight = 0; break; }
    }
    if (weight) list.push([weight, p]);
  }
  return list.sort((a, b) => b[0] - a[0]).slice(0, 12).map(x => x[1]);
}

function entry(p, word) {
  const item = document.createElement("li"), link = document.createElement("a"), about = document.createElement("small");
  link.href = p.link;
  link.textContent = p.part ? p.title + " › " + p.part : p.title;
  const at = Math.max(0, p.text.indexOf(word) - 30);
  about.textContent = (at ? "…" : "") + p.words.slice(at, at + 120);
  link.append(about);
  item.append(link);
  return item;
}

function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(w => w);
  found.hidden = !parts || !words.length;
  if (found.hidden) return;
  const list = matches(words).map(p => entry(p, words[0]));
  if (!list.length) {
    const none = document.createElement("li");
    none.className = "none";
    none.textContent = "nothing found";
    list.push(none);
  }
  found.replaceChildren(...list);
}

field.addEventListener("focus", load);
field.addEventListener("input", () => { load(); show(); });
document.addEventListener("keydown", event => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) { event.preventDefault(); field.focus(); }
  if (event.key === "Escape") { found.hidden = true; field.blur(); }
  const links = [...found.querySelectorAll("a")], at = links.indexOf(document.activeElement);
  if (!found.hidden && links.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const to = at + (event.key === "ArrowDown" ? 1 : -1);
    (to < 0 ? field : links[Math.min(to, links.length - 1)]).focus();
  }
  if (event.key === "Enter" && event.target === field && links.length) links[0].click();
});
document.addEventListener("click", event => {
  if (!event.target.closest("search") || event.target.closest("#found a")) found.hidden = true;
});
