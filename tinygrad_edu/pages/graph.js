// The page: what pointer, keys, buttons and the search box do.

let selected = null;

/** Shows a node's details; null shows those of the selected one, or none. */
function showDetails(node) {
  const shown = node ?? selected;
  byId("card").replaceChildren(...(shown ? card(shown) : [html("p", { class: "note" }, "Point at a tensor or an operation, or click it to keep it here.")]));
}

function select(node) {
  selected?.element.classList.remove("selected");
  selected = node;
  node?.element.classList.add("selected");
  showDetails(null);
}

const nodeAt = (target) => nodes.get(target.closest?.(".node")?.dataset.key);

// From node to node: in order of execution, each operation after what it reads.

const order = [...new Set([...operations.flatMap((o) => [...o.inputs.map((key) => nodes.get(key)), o, ...o.outputs.map((key) => nodes.get(key))]), ...values])];
let focused = -1;

function focusNode(index) {
  if (index < 0 || index >= order.length) return;
  focused = index;
  bringIntoView(order[index]);
  order[index].element.focus({ preventScroll: true });
}

function startPointing() {
  canvas.addEventListener("pointerover", (event) => { if (!event.buttons) showDetails(nodeAt(event.target)); });
  canvas.addEventListener("pointerleave", () => showDetails(null));
  canvas.addEventListener("click", (event) => select(nodeAt(event.target) ?? null));
  canvas.addEventListener("focusin", (event) => {
    const node = nodeAt(event.target);
    if (!node) return;
    focused = order.indexOf(node);
    showDetails(node);
  });
}

// Search

let matches = [], current = -1;

function textOf(node) {
  const operation = node.operation ? node : node.maker;
  const around = operation ? groupsAround(operation).flatMap((group) => [group.label, group.path]) : [];
  return [node.name, node.operation ? "" : shapeText(node.shape), ...around].join("\n").toLowerCase();
}

function search(text) {
  for (const node of matches) node.element.classList.remove("match", "found");
  const wanted = text.trim().toLowerCase();
  matches = wanted ? order.filter((node) => textOf(node).includes(wanted)) : [];
  for (const node of matches) node.element.classList.add("match");
  current = -1;
  byId("found").textContent = wanted ? count(matches.length, "match", "matches") : "";
}

function goToMatch(direction) {
  if (!matches.length) return;
  matches[current]?.element.classList.remove("found");
  current = (current + direction + matches.length + (current < 0 && direction < 0)) % matches.length;
  const node = matches[current];
  node.element.classList.add("found");
  centre(node);
  select(node);
  byId("found").textContent = `${current + 1} of ${matches.length}: ${titleOf(node)}`;
}

function startSearching() {
  const query = byId("query");
  query.addEventListener("input", () => search(query.value));
  byId("search").addEventListener("submit", (event) => event.preventDefault());
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter") goToMatch(event.shiftKey ? -1 : 1);
  });
}

// Keys

/** Ends the first of these that is under way: the search, the details, the walk. */
function close() {
  if (byId("query").value) {
    byId("query").value = "";
    search("");
    canvas.focus();
  } else if (selected) select(null);
  else walkTo(0);
}

const STEP = 80; // pixels that a key moves the drawing by
const KEYS = {
  ArrowRight: () => walkTo(position + 1),
  ArrowLeft: () => walkTo(Math.max(position - 1, 1)),
  Home: () => walkTo(1),
  End: () => walkTo(LAST),
  ArrowDown: () => focusNode(focused + 1),
  ArrowUp: () => focusNode(focused - 1),
  "+": () => zoomAt(1.25),
  "-": () => zoomAt(0.8),
  0: fit,
  "/": () => byId("query").focus(),
};
const SHIFTED = {
  ArrowRight: () => pan(-STEP, 0),
  ArrowLeft: () => pan(STEP, 0),
  ArrowDown: () => pan(0, -STEP),
  ArrowUp: () => pan(0, STEP),
  "+": KEYS["+"],
  "/": KEYS["/"], // Shift is held for it on some keyboards
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return close();
  if (event.target.closest("input, .wide")) return;
  const inAside = event.target.closest("aside") && ["ArrowUp", "ArrowDown"].includes(event.key); // it scrolls
  if (event.key === "Enter" || event.key === " ") {
    const node = nodeAt(event.target);
    if (!node) return;
    select(node);
    event.preventDefault();
  } else {
    const action = inAside ? null : (event.shiftKey ? SHIFTED : KEYS)[event.key];
    if (!action) return;
    action();
    event.preventDefault();
  }
}

function startButtons() {
  const actions = { first: KEYS.Home, back: KEYS.ArrowLeft, next: KEYS.ArrowRight, last: KEYS.End,
    closer: KEYS["+"], further: KEYS["-"], fit };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
}

// The beginning

const SIGNS = [["parameter", "is learned"], ["input", "wants a gradient too"], ["constant", "is given"],
  ["result", "of an operation"], ["output", "what was drawn"], ["operation", "in order of execution"],
  ["read", "what the step reads"], ["written", "what it writes, or adds a gradient to"]];

function describe() {
  byId("title").textContent = data.title;
  const parameters = data.values.filter((value) => value.kind === "parameter").length;
  byId("contents").textContent = [count(operations.length, "operation"), count(values.length, "tensor"),
    `${count(parameters, "parameter")}`, ...data.notes].join(" · ");
  byId("legend").append(...SIGNS.map(([kind, words]) =>
    html("li", {}, html("span", { class: `sign ${kind}`, "aria-hidden": "true" }), html("b", {}, kind), ` ${words}`)));
  byId("progress").max = LAST;
  for (const node of nodes.values()) node.element.setAttribute("aria-label", spoken(node));
}

/** A node as a screen reader says it. */
function spoken(node) {
  if (node.operation) return `operation ${node.step}, ${node.name}: ${node.formula}`;
  const facts = [`${node.kind} ${node.name ?? ""} of shape ${shapeText(node.shape)}`];
  if (node.data?.mean !== undefined) facts.push(`values from ${digits(node.data.min)} to ${digits(node.data.max)}, mean ${digits(node.data.mean)}`);
  if (node.gradient?.norm !== undefined) facts.push(`gradient of norm ${digits(node.gradient.norm)}`);
  return facts.join(", ");
}

describe();
startPanning();
startPointing();
startSearching();
startButtons();
document.addEventListener("keydown", pressed);
firstView();
select(null);
walkTo(0);
