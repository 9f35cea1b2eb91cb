// The drawing: one SVG, laid out by Graphviz.

// What is drawn: the graph as it was folded, or, if the address says so, with folds opened.
const asked = () => new URLSearchParams(location.hash.slice(1));
const opened = Object.hasOwn(data.opened, asked().get("open") ?? "") ? asked().get("open") : "";
const drawings = { ...data.opened, "": { operations: data.operations } }; // by what is open in them
Object.assign(data, data.opened[opened]);

const nodes = new Map(); // by key: what the data say of the node, and `element`, `parts`, `edges`
for (const value of data.values) nodes.set(value.key, { ...value, operation: false, edges: [] });
for (const operation of data.operations) nodes.set(operation.key, { ...operation, operation: true, edges: [] });

const isNumber = (node) => !node.operation && node.kind === "constant" && node.data?.size === 1;
const nameOf = (node) => node.name ?? (isNumber(node) ? digits(node.data.values[0]) : node.symbol);
const titleOf = (node) => (node.operation || !node.shape.length ? nameOf(node) : `${nameOf(node)} ${shapeText(node.shape)}`);

for (const operation of data.operations) for (const key of operation.outputs) nodes.get(key).maker = operation;

// Edges. Each is drawn with its tip at the end of the computation, or, where a gradient flows, at its beginning.

const pair = ([x, y]) => `${x},${y}`;

function arrow([fromX, fromY], [x, y]) {
  const angle = Math.atan2(y - fromY, x - fromX);
  const wing = (turn) => [x - 6 * Math.cos(angle + turn), y - 6 * Math.sin(angle + turn)].map((v) => v.toFixed(1));
  return `M${wing(0.45)}L${x},${y}L${wing(-0.45)}`;
}

function edgePaths(points) {
  const [start, ...controls] = points;
  const line = `M${pair(start)}C${controls.map(pair).join(" ")}`;
  return { ahead: line + arrow(...points.slice(-2)), backward: line + arrow(controls[0], start) };
}

const edges = data.edges.map((edge) => {
  const paths = edgePaths(edge.points);
  const drawn = { ...edge, paths, element: svg("path", { d: paths.ahead, class: "edge" }) };
  nodes.get(edge.from).edges.push(drawn);
  nodes.get(edge.to).edges.push(drawn);
  return drawn;
});

// Nodes. Shapes tell the kinds apart where colours do not.

const LINE = 14;

function outline(node) {
  const { x, y, width, height } = node;
  const left = x - width / 2, top = y - height / 2;
  const box = (inset, corner) =>
    svg("rect", { x: left + inset, y: top + inset, width: width - 2 * inset, height: height - 2 * inset, rx: corner });
  if (node.operation) return [svg("ellipse", { cx: x, cy: y, rx: width / 2, ry: height / 2 })];
  if (node.kind === "parameter") return [box(0, 9)];
  if (node.kind === "output") return [box(0, 0), box(3, 0)];
  if (node.kind !== "input") return [box(0, 0)];
  const right = left + width, bottom = top + height, cut = 8;
  const corners = [[left + cut, top], [right - cut, top], [right, y], [right - cut, bottom], [left + cut, bottom], [left, y]];
  return [svg("polygon", { points: corners.map(pair).join(" ") })];
}

/** Gives the node a class, or takes it away, that is seen as a frame around it: selected, found, focused. */
function mark(node, name, wanted = true) {
  if (wanted && !node.ring) {
    const { x, y, width, height } = node;
    node.ring = svg("rect", { class: "ring", x: x - width / 2 - 5, y: y - height / 2 - 5, width: width + 10, height: height + 10, rx: 9 });
    node.element.prepend(node.ring);
  }
  node.element.classList.toggle(name, wanted);
}

function texts(node) {
  const first = node.y - ((node.lines.length - 1) * LINE) / 2;
  return node.lines.map((line, i) => {
    const kind = node.operation || (i === 0 && node.name) ? "name" : "shape";
    return svg("text", { x: node.x, y: (first + i * LINE).toFixed(1), class: kind }, line);
  });
}

const CHARACTER = 6.4; // about how wide one is

/** New words for a line in a node; if there are too many for it, they are pressed together. */
function retext(node, text, words) {
  text.textContent = words;
  const room = node.width - 8;
  if (words.length * CHARACTER > room) fill(text, { textLength: room, lengthAdjust: "spacingAndGlyphs" }, []);
  else for (const name of ["textLength", "lengthAdjust"]) text.removeAttribute(name);
}

function draw(node) {
  const lines = (node.texts = texts(node));
  node.whole = node.note; // what the last line says when the gradient is complete
  node.note = node.operation || node.kind === "constant" ? null : lines[lines.length - 1]; // for the walk
  node.note?.setAttribute("class", "note");
  node.element = svg("g", { class: `node ${node.operation ? "operation" : node.kind}`, role: "button", tabindex: -1 },
    ...outline(node), ...lines);
  node.element.dataset.key = node.key;
  node.shown = "";
  return node.element;
}

function drawGroup(group) {
  const [x, y, width, height] = group.box;
  return svg("g", { class: "group" }, svg("rect", { x, y, width, height, rx: 6 }),
    svg("text", { x: x + width / 2, y: y + 13 }, group.label));
}

const scene = svg("g", { id: "scene" }, ...data.groups.filter((group) => group.box).map(drawGroup), ...edges.map((edge) => edge.element),
  ...[...nodes.values()].map(draw));
const canvas = svg("svg", { id: "canvas", role: "application", tabindex: 0,
  "aria-label": `${data.title}: right and left arrow walk through it, down and up go from node to node` }, scene);
byId("drawing").append(canvas);
