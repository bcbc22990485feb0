// A treemap: rectangles as large as what they stand for, inside of one another, as near to squares as they get
// (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).

// squarify gives each item, the largest first, a place in a rectangle of x, y, w, h. It returns [{item, x, y, w, h}].
function squarify(items, size, x, y, w, h) {
  const places = [];
  const total = items.reduce((sum, item) => sum + size(item), 0);
  if (total <= 0 || w <= 0 || h <= 0) return places;
  const scale = w * h / total;
  let start = 0;
  while (start < items.length && w > 0 && h > 0) {
    const side = Math.min(w, h);
    // A row grows as long as that makes its worst rectangle better.
    let end = start, area = 0, worst = Infinity;
    const largest = size(items[start]) * scale;
    while (end < items.length) {
      const next = size(items[end]) * scale, sum = area + next;
      if (next <= 0) break;
      const shape = Math.max(side * side * largest / (sum * sum), sum * sum / (side * side * next));
      if (shape > worst) break;
      worst = shape, area = sum, end++;
    }
    if (end === start) break;
    const depth = area / side;
    let along = 0;
    for (let i = start; i < end; i++) {
      const length = size(items[i]) * scale / depth;
      places.push(w >= h ? {item: items[i], x, y: y + along, w: depth, h: length} : {item: items[i], x: x + along, y, w: length, h: depth});
      along += length;
    }
    if (w >= h) { x += depth; w -= depth; } else { y += depth; h -= depth; }
    start = end;
  }
  return places;
}

const titleHeight = 17;

// layOut places a node and all that is inside of it and large enough to be seen. It returns the list of places, outer ones first.
function layOut(root, size, width, height) {
  const places = [];
  const place = (node, x, y, w, h, depth) => {
    // What is small is not divided by kinds: its color says what most of it is.
    const children = node.level === "thing" && depth > 1 && (w < 90 || h < 60) ? [] : node.children();
    const titled = depth > 0 && children.length > 0 && w > 46 && h > 34;
    places.push({node, x, y, w, h, depth, titled, leaf: children.length === 0});
    if (children.length === 0 || w < 4 || h < 4) return;
    const gap = depth > 0 && w > 14 && h > 14 ? 1 : 0, top = titled ? titleHeight : gap;
    const inside = squarify(children, size, x + gap, y + top, w - 2 * gap, h - top - gap);
    for (const p of inside) if (p.w >= 1.5 && p.h >= 1.5) place(p.item, p.x, p.y, p.w, p.h, depth + 1);
  };
  place(root, 0, 0, width, height, 0);
  return places;
}

// draw paints places. Color says a node's color, faded which are not what is searched for.
function draw(canvas, places, {color, faded, ink, line}) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  canvas.width = box.width * ratio;
  canvas.height = box.height * ratio;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.textBaseline = "middle";
  for (const p of places) {
    if (p.depth === 0 && !p.leaf) continue;
    g.globalAlpha = faded(p.node) ? 0.22 : 1;
    g.fillStyle = color(p.node);
    g.fillRect(p.x, p.y, p.w, p.h);
    if (p.w > 3 && p.h > 3) {
      g.globalAlpha = 1;
      g.strokeStyle = line;
      g.lineWidth = p.depth === 1 ? 1.5 : 0.5;
      g.strokeRect(p.x, p.y, p.w, p.h);
    }
  }
  g.globalAlpha = 1;
  for (const p of places) {
    if (!(p.titled || p.leaf && p.w > 42 && p.h > 13)) continue;
    g.save();
    g.beginPath();
    g.rect(p.x + 3, p.y, p.w - 6, p.h);
    g.clip();
    g.fillStyle = p.leaf || p.node.level === "thing" ? "#10151c" : ink;
    g.font = (p.titled && p.depth === 1 ? "600 " : "") + "11.5px system-ui, sans-serif";
    g.fillText(p.node.name, p.x + 4, p.y + (p.titled ? titleHeight / 2 + 1 : Math.min(p.h / 2, 9)));
    g.restore();
  }
}

// hit finds the innermost place at a point.
function hit(places, x, y) {
  let found = null;
  for (const p of places) if (x >= p.x && x < p.x + p.w && y >= p.y && y < p.y + p.h) found = p;
  return found;
}
