// The camera: what part of the drawing is in view. It pans and zooms by one transform, follows the walk at a size that
// can be read, and shows in a corner where it is.

// A point (x, y) of the graph stands at (left + scale·x, top + scale·y) of the window.
const room = { width: 0, height: 0 }; // the window's size, measured when it changes: to ask the page costs it a layout
const view = { scale: 1, left: 0, top: 0, whole: false };
const SMALLEST = 0.02, LARGEST = 4, READABLE = 1, MARGIN = 24;

function applyView() {
  view.whole = false;
  scene.setAttribute("transform", `translate(${view.left.toFixed(2)} ${view.top.toFixed(2)}) scale(${view.scale.toFixed(4)})`);
  frameOverview();
}

function zoomAt(factor, x = room.width / 2, y = room.height / 2) {
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

const fitting = () => Math.max(SMALLEST, Math.min(1.5, (room.width - 2 * MARGIN) / data.width,
  (room.height - 2 * MARGIN) / data.height));

function centreAt(x, y) {
  view.left = room.width / 2 - view.scale * x;
  view.top = room.height / 2 - view.scale * y;
  applyView();
}

function fit() {
  view.scale = fitting();
  centreAt(data.width / 2, data.height / 2);
  view.whole = true;
}

function centre(node) {
  view.scale = Math.max(view.scale, READABLE);
  centreAt(node.x, node.y);
}

/** At the beginning: all of it, or of a graph too large to be read then, where it begins. */
function firstView() {
  if (fitting() >= READABLE) return fit();
  view.scale = READABLE;
  const first = nodes.get(data.operations[0]?.key ?? data.output);
  centreAt(Math.min(data.width, room.width / view.scale - 2 * MARGIN) / 2, data.height * view.scale < room.height ? data.height / 2 : first.y);
}

const inside = (left, top, right, bottom) => left >= 0 && top >= 0 && right <= room.width && bottom <= room.height;

/** The box around some nodes, in the window. */
function boxOf(shown) {
  const { scale, left, top } = view, all = (of) => shown.map(of);
  return [left + scale * Math.min(...all((n) => n.x - n.width / 2)), top + scale * Math.min(...all((n) => n.y - n.height / 2)),
    left + scale * Math.max(...all((n) => n.x + n.width / 2)), top + scale * Math.max(...all((n) => n.y + n.height / 2))];
}

/** Moves the drawing, and only if it must, so that the first of the nodes is in view and can be read, with the others
 * around it where there is room for them. */
function follow(first, others = []) {
  if (view.scale >= READABLE && inside(...boxOf([first, ...others]))) return;
  view.scale = Math.max(view.scale, READABLE);
  const near = [first];
  for (const other of others) {
    const [left, top, right, bottom] = boxOf([...near, other]);
    if (right - left < room.width - 2 * MARGIN && bottom - top < room.height - 2 * MARGIN) near.push(other);
  }
  const [left, top, right, bottom] = boxOf(near);
  centreAt(((left + right) / 2 - view.left) / view.scale, ((top + bottom) / 2 - view.top) / view.scale);
}

// The overview in the corner: a small map of all nodes, with a frame around what is in view.

const overview = byId("overview");
const small = Math.min(180 / data.width, 120 / data.height);
const [frame, here] = [svg("rect", { class: "frame" }), svg("circle", { class: "here", r: 4 / small })];

function drawOverview() {
  const size = { width: Math.max(12, Math.round(small * data.width)), height: Math.max(12, Math.round(small * data.height)) };
  const map = html("canvas", { width: 2 * size.width, height: 2 * size.height });
  map.style.width = `${size.width}px`;
  const paint = map.getContext("2d"), colours = getComputedStyle(document.documentElement);
  paint.scale(map.width / data.width, map.height / data.height);
  for (const node of nodes.values()) {
    const name = { parameter: "--blue", input: "--green", output: "--orange" }[node.operation ? "" : node.kind] ?? "--line";
    paint.fillStyle = colours.getPropertyValue(name);
    paint.fillRect(node.x - node.width / 2, node.y - node.height / 2, node.width, node.height);
  }
  overview.append(map, svg("svg", { viewBox: `0 0 ${data.width} ${data.height}`, preserveAspectRatio: "none", ...size }, here, frame));
  const go = (event) => {
    if (!event.buttons) return;
    const box = map.getBoundingClientRect();
    centreAt(((event.clientX - box.left) / box.width) * data.width, ((event.clientY - box.top) / box.height) * data.height);
  };
  overview.addEventListener("pointerdown", go);
  overview.addEventListener("pointermove", go);
}

function frameOverview() {
  const { scale, left, top } = view, { width, height } = room;
  overview.hidden = inside(left, top, left + scale * data.width, top + scale * data.height);
  const edge = 1 / small, within = (value, size) => Math.min(Math.max(value, edge), size - edge);
  const [x, right] = [-left, width - left].map((value) => within(value / scale, data.width));
  const [y, bottom] = [-top, height - top].map((value) => within(value / scale, data.height));
  const place = { x, y, width: right - x, height: bottom - y };
  for (const [name, value] of Object.entries(place)) frame.setAttribute(name, Math.max(0, value).toFixed(1));
}

/** Marks in the overview where the walk is. */
function markOverview(node) {
  here.setAttribute("visibility", node ? "visible" : "hidden");
  if (node) for (const [name, value] of [["cx", node.x], ["cy", node.y]]) here.setAttribute(name, value);
}

// Pointers: one moves the drawing, two pinch it. On a narrow screen one finger that goes up or down scrolls the page.

const pointers = new Map();

function startPanning() {
  canvas.addEventListener("pointerdown", (event) => pointers.set(event.pointerId, [event.clientX, event.clientY]));
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId), now = [event.clientX, event.clientY];
    if (!last || !event.buttons) return;
    if (!canvas.hasPointerCapture(event.pointerId) && Math.hypot(now[0] - last[0], now[1] - last[1]) < 4) return;
    canvas.setPointerCapture(event.pointerId); // from here on it is no click
    pointers.set(event.pointerId, now);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(other, last, now);
    else pan(now[0] - last[0], now[1] - last[1]);
  });
  canvas.addEventListener("wheel", (event) => {
    const scrolls = document.documentElement.scrollHeight > innerHeight; // then the wheel is the page's
    if (scrolls && !event.ctrlKey) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
}

/** One finger stays, the other moves: what is between them grows with their distance and goes with their middle. */
function pinch(fixed, before, after) {
  const box = canvas.getBoundingClientRect(), apart = (p) => Math.max(1, Math.hypot(p[0] - fixed[0], p[1] - fixed[1]));
  zoomAt(apart(after) / apart(before), (fixed[0] + before[0]) / 2 - box.left, (fixed[1] + before[1]) / 2 - box.top);
  pan((after[0] - before[0]) / 2, (after[1] - before[1]) / 2);
}

// The window's size, paper, and the picture as a file.

function measure() {
  const { width, height } = canvas.getBoundingClientRect();
  Object.assign(room, { width, height });
}

function resized() {
  if (matchMedia("print").matches) return; // the size of a sheet of paper
  const before = { ...room };
  measure();
  if (view.whole) fit();
  else pan((room.width - before.width) / 2, (room.height - before.height) / 2);
}

/** Shows the whole graph, whatever is in view, as long as paper or a file wants it. */
function showWhole(shown) {
  if (shown) {
    canvas.setAttribute("viewBox", `-8 -8 ${data.width + 16} ${data.height + 16}`);
    scene.removeAttribute("transform");
  } else {
    canvas.removeAttribute("viewBox");
    const { whole } = view;
    applyView();
    view.whole = whole;
  }
}

/** The picture as it is now, the whole graph, with its colours, as a file of its own. */
function pictureFile() {
  showWhole(true);
  const copy = canvas.cloneNode(true);
  showWhole(false);
  const drawn = [canvas, ...canvas.querySelectorAll("*")], copied = [copy, ...copy.querySelectorAll("*")];
  drawn.forEach((element, k) => {
    const style = getComputedStyle(element);
    for (const name of ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight",
      "text-anchor", "dominant-baseline"]) copied[k].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["role", "tabindex", "aria-label", "data-key"]) copied[k].removeAttribute(name);
  });
  const paper = svg("rect", { x: -8, y: -8, width: data.width + 16, height: data.height + 16, fill: getComputedStyle(document.body).backgroundColor });
  copy.prepend(svg("title", {}, data.title), paper);
  fill(copy, { xmlns: "http://www.w3.org/2000/svg", width: data.width + 16, height: data.height + 16 }, []);
  return new XMLSerializer().serializeToString(copy);
}

function savePicture() {
  const address = URL.createObjectURL(new Blob([pictureFile()], { type: "image/svg+xml" }));
  html("a", { href: address, download: "computation.svg" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function startCamera() {
  measure();
  drawOverview();
  startPanning();
  new ResizeObserver(resized).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    overview.replaceChildren();
    drawOverview();
  });
  addEventListener("beforeprint", () => showWhole(true));
  addEventListener("afterprint", () => showWhole(false));
}
