// The page: it reads the data, draws the map, fills the lists, and zooms and searches in them.
//
// Data are arrays to keep the file small. A package: [name, sizes, new, modules]; a module: [name, sizes, new, things, types]; a thing:
// [kind, name, file, line, functions, sizes, new]; a type: [name, count, bytes]. Sizes are bytes by kind; new is null where no base is known.

const data = JSON.parse(document.getElementById("data").textContent);
const kindColors = ["#6aa5e8", "#b7a3e0", "#7cc79b", "#f0c36a", "#e79fb5", "#c3ccd6", "#9fb0c0"];
const element = id => document.getElementById(id);
const total = sizes => sizes.reduce((sum, n) => sum + n, 0);
const heapOf = sizes => total(sizes.slice(2, 6));

function bytes(n) {
  const size = Math.abs(n), sign = n < 0 ? "−" : "";
  if (size >= 99950) return sign + (size / 1e6).toFixed(size >= 1e7 ? 0 : 1) + " MB";
  if (size >= 1000) return sign + (size / 1e3).toFixed(size >= 1e4 ? 0 : 1) + " kB";
  return sign + size + " B";
}

const state = {view: "things", onlyNew: false, search: "", list: "packages", sort: null, node: null, places: []};

// A Part is one of the map. Its children are made when they are asked for.
class Part {
  constructor(parent, level, name, sizes, grown, more) {
    Object.assign(this, {parent, level, name, sizes, grown}, more);
    this.total = total(sizes);
    this.text = ((parent ? parent.text + " " : "") + name + " " + (this.file || "")).toLowerCase();
  }
  size() {
    return state.onlyNew ? Math.max(0, this.grown ? total(this.grown) : this.total) : this.total;
  }
  children() {
    const made = this.level === "module" && state.view === "types" ? "byType" : "byThing";
    this[made] ??= this.make(made);
    if (state.onlyNew) return this[made].filter(n => n.size() > 0).sort((a, b) => b.size() - a.size());
    return this[made];
  }
  make(made) {
    const largestFirst = nodes => nodes.filter(n => n.total > 0).sort((a, b) => b.total - a.total);
    switch (this.level) {
      case "image":
        return data.packages.map(p => new Part(this, "package", p[0], p[1], p[2], {modules: p[3]}));
      case "package":
        return this.modules.map(m => new Part(this, "module", m[0] || this.name, m[1], m[2], {things: m[3], types: m[4]}));
      case "module":
        return largestFirst(made === "byType" ? this.typeNodes() : this.things.map(t => this.thingNode(t)));
      case "thing":
        return largestFirst(this.sizes.map((n, k) => new Part(this, "kind", data.kinds[k],
          this.sizes.map((_, i) => i === k ? n : 0), this.grown && this.grown.map((g, i) => i === k ? g : 0), {kind: k})));
    }
    return [];
  }
  thingNode([kind, name, file, line, functions, sizes, grown]) {
    return new Part(this, "thing", name, sizes, grown, {what: kind, file: file < 0 ? "" : data.files[file], line, functions});
  }
  typeNodes() {
    const part = (k, name) => new Part(this, "kind", name, this.sizes.map((n, i) => i === k ? n : 0), null, {kind: k});
    const sized = n => this.sizes.map((_, i) => i === 2 ? n : 0);
    return [part(0, "code"), part(1, "debug information"), part(6, "tables"),
      ...this.types.map(([name, count, size]) => new Part(this, "type", name, sized(size), null, {count}))];
  }
  path() { return this.parent ? [...this.parent.path(), this] : [this]; }
}

const root = new Part(null, "image", data.image.name, data.sizes, data.new, {});
state.node = root;

const matches = node => !state.search || state.search.split(/\s+/).every(word => node.text.includes(word));

// mainKind is the kind that most of a node is.
function mainKind(node) {
  const sizes = state.onlyNew && node.grown ? node.grown : node.sizes;
  return sizes.indexOf(Math.max(...sizes));
}

function drawMap() {
  const canvas = element("canvas"), box = canvas.getBoundingClientRect();
  const ink = getComputedStyle(document.body), panel = getComputedStyle(element("search"));
  state.places = layOut(state.node, n => n.size(), box.width, box.height);
  const found = new Map();
  // What is searched for is a thing, or holds one.
  const shown = node => {
    if (!found.has(node)) {
      found.set(node, matches(node) || node.level !== "thing" && node.level !== "type" && node.children().some(shown));
    }
    return found.get(node);
  };
  draw(canvas, state.places, {
    color: node => node.level === "package" || node.level === "module" ? panel.backgroundColor : kindColors[node.kind ?? mainKind(node)],
    faded: node => state.search && !shown(node.level === "kind" ? node.parent : node),
    ink: ink.color, line: ink.backgroundColor,
  });
}

function describe(node) {
  const rows = node.sizes.map((n, k) => [n, k]).filter(([n]) => n !== 0).sort((a, b) => b[0] - a[0])
    .map(([n, k]) => `<tr><td>${data.kinds[k]}</td><td>${bytes(n)}</td></tr>`).join("");
  const where = node.path().slice(1, -1).map(n => escaped(n.name)).join(" › ");
  const facts = [bytes(node.total), (100 * node.total / root.total).toPrecision(2) + " % of the file"];
  if (node.grown) facts.push(bytes(total(node.grown)) + " new");
  if (node.functions) facts.push(node.functions.toLocaleString("en") + " functions");
  if (node.count) facts.push(node.count.toLocaleString("en") + " objects");
  const file = node.file ? `<br>${escaped(node.file)}:${node.line}` : "";
  return `${where}<b>${node.what ? node.what + " " : ""}${escaped(node.name)}</b>${facts.join(", ")}${file}${node.level === "type" ? "" : `<table>${rows}</table>`}`;
}

const escaped = text => text.replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[c]);

function zoom(node) {
  state.node = node.children().length ? node : node.parent ?? node;
  update();
}

function fillCrumbs() {
  const path = state.node.path();
  element("crumbs").replaceChildren(...path.map(node => {
    const button = document.createElement("button");
    button.textContent = node.name;
    button.disabled = node === state.node;
    button.onclick = () => zoom(node);
    return button;
  }));
}

// all yields a node's parts of a level.
function* all(node, level) {
  if (node.level === level) yield node;
  else for (const child of node.children()) yield* all(child, level);
}

const column = (title, value, text = bytes) => ({title, value, text});
const named = (title, text) => ({title, value: n => n.name, text: (_, n) => text(n), html: true});
const sizeColumns = () => [
  column("total", n => n.total), column("code", n => n.sizes[0]), column("heap", n => heapOf(n.sizes)), column("debug", n => n.sizes[1]),
  ...(data.new ? [column("new", n => n.grown ? total(n.grown) : 0)] : []),
];

// Lists: what their rows are, and what they show of them.
const lists = {
  packages: {
    rows: () => [...root.children()].filter(p => !state.search || matches(p) || p.children().some(matches)),
    columns: () => [...sizeColumns(), named("package", n => escaped(n.name))],
    open: zoom,
  },
  things: {
    rows: () => withView("things", () => [...all(state.node.level === "thing" ? state.node.parent : state.node, "thing")]
      .filter(n => n.what !== "rest" && matches(n))),
    columns: () => [...sizeColumns(), named("method, type or variable", n =>
      `${escaped(n.name)}<small>${n.what} in ${escaped(n.parent.name)}${n.parent.name.startsWith(n.parent.parent.name) ? "" : " for " + escaped(n.parent.parent.name)}` +
      `${n.file ? ", " + escaped(n.file.split("/").slice(-2).join("/")) + ":" + n.line : ""}</small>`)],
    open: node => { setView("things"); zoom(node); },
  },
  types: {
    rows: () => {
      const sums = new Map();
      withView("things", () => {
        for (const m of all(state.node.level === "thing" ? state.node.parent : state.node, "module")) {
          for (const [type, count, size] of m.types) {
            const sum = sums.get(type) ?? {name: type, count: 0, bytes: 0};
            sum.count += count;
            sum.bytes += size;
            sums.set(type, sum);
          }
        }
      });
      return [...sums.values()].filter(t => !state.search || t.name.toLowerCase().includes(state.search));
    },
    columns: () => [column("bytes", t => t.bytes), column("objects", t => t.count, n => n.toLocaleString("en")), named("type", t => escaped(t.name))],
    open: () => {},
  },
};

// withView asks the map for its parts as another view has them.
function withView(view, ask) {
  const before = state.view;
  state.view = view;
  try { return ask(); } finally { state.view = before; }
}

const maxRows = 300;

function fillList() {
  const list = lists[state.list], columns = list.columns();
  const by = columns.find(c => c.title === (state.sort ?? (state.onlyNew ? "new" : ""))) ?? columns[0];
  const rows = list.rows();
  rows.sort((a, b) => typeof by.value(a) === "string" ? by.value(a).localeCompare(by.value(b)) : by.value(b) - by.value(a));
  const sum = rows.reduce((n, row) => n + (row.total ?? row.bytes), 0);
  element("found").textContent = `${rows.length.toLocaleString("en")} ${state.search ? "found" : "in " + state.node.name}, ${bytes(sum)}` +
    (rows.length > maxRows ? `; the first ${maxRows} are shown` : "");
  const table = element("list");
  table.innerHTML = "<thead><tr>" + columns.map(c => `<th class="${c === by ? "sorted" : ""}">${c.title}</th>`).join("") + "</tr></thead><tbody>" +
    rows.slice(0, maxRows).map((row, i) => `<tr data-row="${i}">` + columns.map(c => `<td>${c.text(c.value(row), row)}</td>`).join("") + "</tr>").join("") + "</tbody>";
  table.querySelectorAll("th").forEach((th, i) => th.onclick = () => { state.sort = columns[i].title; fillList(); });
  table.querySelectorAll("tr[data-row]").forEach(tr => tr.onclick = () => list.open(rows[tr.dataset.row]));
  for (const tab of document.querySelectorAll(".tabs button")) tab.setAttribute("aria-selected", tab.dataset.list === state.list);
}

function fillHeader() {
  const image = data.image;
  document.title = element("title").textContent = `${image.name}: ${bytes(root.total)}`;
  element("facts").textContent = [image.path, `${image.layout}, of Julia ${image.format}'s format`,
    ...image.bases.map(b => `base ${b}`), `for ${image.targets.join(", ")}`].join(" · ");
  element("kinds").replaceChildren(...data.kinds.map((kind, k) => {
    const bar = document.createElement("span");
    bar.style.background = kindColors[k];
    bar.style.flexGrow = data.sizes[k];
    bar.style.flexBasis = 0;
    bar.textContent = bar.title = `${kind} ${bytes(data.sizes[k])}`;
    return bar;
  }));
  element("new-choice").hidden = element("base-rule").hidden = !data.new;
}

// setView shows things or types. How many objects of a type are new is not known.
function setView(view) {
  state.view = view;
  document.querySelector(`input[value=${view}]`).checked = true;
  element("only-new").disabled = view === "types";
  if (view === "types") state.onlyNew = element("only-new").checked = false;
}

function update() {
  fillCrumbs();
  drawMap();
  fillList();
}

function listen() {
  const canvas = element("canvas"), tip = element("tip");
  const at = e => hit(state.places, e.offsetX, e.offsetY);
  canvas.onmousemove = e => {
    const place = at(e);
    tip.hidden = !place;
    if (!place) return;
    tip.innerHTML = describe(place.node);
    tip.style.left = Math.max(0, Math.min(e.offsetX + 14, canvas.clientWidth - tip.offsetWidth)) + "px";
    tip.style.top = Math.max(0, Math.min(e.offsetY + 14, canvas.clientHeight - tip.offsetHeight)) + "px";
  };
  canvas.onmouseleave = () => { tip.hidden = true; };
  // A click goes one level down, towards what was clicked.
  canvas.onclick = e => {
    const place = at(e);
    if (!place) return;
    const path = place.node.path(), next = path[path.indexOf(state.node) + 1];
    if (next) zoom(next);
  };
  document.onkeydown = e => { if (e.key === "Escape" && state.node.parent) zoom(state.node.parent); };
  for (const input of document.querySelectorAll("input[name=view]")) {
    input.onchange = () => { setView(input.value); if (state.node.level === "thing") state.node = state.node.parent; update(); };
  }
  element("only-new").onchange = e => { state.onlyNew = e.target.checked; update(); };
  let waiting;
  element("search").oninput = e => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      state.search = e.target.value.trim().toLowerCase();
      if (state.search && state.list === "packages") state.list = "things";
      update();
    }, 150);
  };
  for (const tab of document.querySelectorAll(".tabs button")) tab.onclick = () => { state.list = tab.dataset.list; state.sort = null; fillList(); };
  window.onresize = drawMap;
  matchMedia("(prefers-color-scheme: dark)").onchange = drawMap;
}

fillHeader();
listen();
update();
