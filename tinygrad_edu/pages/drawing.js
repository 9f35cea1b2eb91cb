// The drawing: one SVG, laid out by Graphviz, and the view of it, which pans and zooms by one transform.

const nodes = new Map(); // by key: what the data say of the node, and `element`, `parts`, `edges`
for (const value of data.values) nodes.set(value.key, { ...value, operation: false, edges: [] });
for (const operation of data.operations) nodes.set(operation.key, { ...operation, operation: true, edges: [] });

const nameOf = (node) => node.name ?? (node.operation ? "operation" : node.maker ? `result of ${node.maker.name}` : node.kind);
const titleOf = (node) => (node.operation ? node.name : `${nameOf(node)} ${shapeText(node.shape)}`);

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

function texts(node) {
  const first = node.y - ((node.lines.length - 1) * LINE) / 2;
  return node.lines.map((line, i) => {
    const kind = node.operation || (i === 0 && node.name) ? "name" : "shape";
    return svg("text", { x: node.x, y: (first + i * LINE).toFixed(1), class: kind }, line);
  });
}

function draw(node) {
  const lines = texts(node);
  if (node.operation) {
    const y = node.y - node.height / 2 - 3;
    lines.push(svg("text", { x: node.x, y, class: "number" }, String(node.step)));
  }
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

// The view: a point (x, y) of the graph stands at (left + scale·x, top + scale·y) of the window.

const view = { scale: 1, left: 0, top: 0 };
const SMALLEST = 0.02, LARGEST = 4, READABLE = 0.7;

function applyView() {
  scene.setAttribute("transform", `translate(${view.left.toFixed(2)} ${view.top.toFixed(2)}) scale(${view.scale.toFixed(4)})`);
}

function zoomAt(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  view.left = x - (x - view.left) * (scale / view.scale);
  view.top = y - (y - view.top) * (scale / view.scale);
  view.scale = scale;
  applyView();
}

function pan(x, y) {
  view.left += x;
  view.top += y;
  applyView();
}

function fit() {
  const margin = 24;
  view.scale = Math.max(SMALLEST, Math.min(1.5, (canvas.clientWidth - 2 * margin) / data.width,
    (canvas.clientHeight - 2 * margin) / data.height));
  view.left = (canvas.clientWidth - view.scale * data.width) / 2;
  view.top = (canvas.clientHeight - view.scale * data.height) / 2;
  applyView();
}

function centre(node) {
  view.scale = Math.max(view.scale, READABLE);
  view.left = canvas.clientWidth / 2 - view.scale * node.x;
  view.top = canvas.clientHeight / 2 - view.scale * node.y;
  applyView();
}

/** At the beginning: all of it, or of a graph too large to be read then, where it begins. */
function firstView() {
  fit();
  if (view.scale >= READABLE / 2) return;
  centre(nodes.get(data.operations[0].key));
  pan(-canvas.clientWidth / 3, 0);
}

/** Moves the drawing only if the node is not well inside the window, or too small to be read. */
function bringIntoView(node) {
  const x = view.left + view.scale * node.x, y = view.top + view.scale * node.y, margin = 60;
  const inside = x > margin && x < canvas.clientWidth - margin && y > margin && y < canvas.clientHeight - margin;
  if (!inside || view.scale < READABLE / 2) centre(node);
}

function startPanning() {
  let last = null;
  canvas.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; });
  canvas.addEventListener("pointermove", (event) => {
    if (!last || !event.buttons) return;
    if (!canvas.hasPointerCapture(event.pointerId) && Math.hypot(event.clientX - last[0], event.clientY - last[1]) < 4) return;
    canvas.setPointerCapture(event.pointerId); // from here on it is no click
    pan(event.clientX - last[0], event.clientY - last[1]);
    last = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointerup", () => { last = null; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
}
