// The page: what pointer, keys, buttons and the search box do.

let selected = null;

let shown = null; // whose details are shown

/** Shows a node's details; null shows those of the selected one, or none. */
function showDetails(node) {
  shown = node ?? selected;
  showCard();
}

function showCard() {
  byId("card").replaceChildren(...(shown ? card(shown) : [html("p", { class: "note" }, "Point at a tensor or an operation, or click it to keep it here.")]));
}

/** What has changed in the details, with the fields that somebody may be typing in left as they are. */
function refreshCard() {
  const follows = byId("card").querySelector(".follows");
  if (!follows) return showCard();
  follows.replaceChildren(...pictures(shown));
  byId("card").querySelector(".nudged")?.replaceChildren(); // it spoke of other numbers
}

function select(node) {
  if (selected) mark(selected, "selected", false);
  selected = node;
  if (node) mark(node, "selected");
  showDetails(null);
}

const nodeAt = (target) => nodes.get(target.closest?.(".node")?.dataset.key);

// From node to node: in order of execution, each operation after what it reads.

const order = [...new Set([...operations.flatMap((o) => [...o.inputs.map((key) => nodes.get(key)), o, ...o.outputs.map((key) => nodes.get(key))]), ...values])];
let focused = -1;

function focusNode(index) {
  if (index < 0 || index >= order.length) return;
  focused = index;
  follow(order[index]);
  order[index].element.focus({ preventScroll: true });
}

function startPointing() {
  canvas.addEventListener("pointerover", (event) => { if (!event.buttons && !isTyping()) showDetails(nodeAt(event.target)); });
  canvas.addEventListener("pointerleave", () => { if (!isTyping()) showDetails(null); });
  canvas.addEventListener("click", (event) => {
    const node = nodeAt(event.target) ?? null;
    if (node?.folded && wayTo(node)) openFold(wayTo(node));
    else select(node);
  });
  canvas.addEventListener("focusin", (event) => {
    const node = nodeAt(event.target);
    if (!node) return;
    focused = order.indexOf(node);
    mark(node, "focused");
    showDetails(node);
  });
  canvas.addEventListener("focusout", (event) => {
    const node = nodeAt(event.target);
    if (node) mark(node, "focused", false);
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
  for (const node of matches) for (const name of ["match", "found"]) mark(node, name, false);
  const wanted = text.trim().toLowerCase();
  matches = wanted ? order.filter((node) => textOf(node).includes(wanted)) : [];
  for (const node of matches) mark(node, "match");
  current = -1;
  byId("found").textContent = wanted ? count(matches.length, "match", "matches") : "";
}

function goToMatch(direction) {
  if (!matches.length) return;
  if (matches[current]) mark(matches[current], "found", false);
  current = (current + direction + matches.length + (current < 0 && direction < 0)) % matches.length;
  const node = matches[current];
  mark(node, "found");
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
  else walk(0);
}

const STEP = 80; // pixels that a key moves the drawing by
const walk = (p) => {
  pause();
  walkTo(p);
};
const KEYS = {
  ArrowRight: () => walk(position + 1),
  ArrowLeft: () => walk(Math.max(position - 1, 1)),
  Home: () => walk(1),
  End: () => walk(LAST),
  ArrowDown: () => focusNode(focused + 1),
  ArrowUp: () => focusNode(focused - 1),
  "+": () => zoomAt(1.25),
  "-": () => zoomAt(0.8),
  0: fit,
  p: play,
  o: () => openFold(opened ? "" : "all"),
  u: undo,
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
    closer: KEYS["+"], further: KEYS["-"], fit, play, folds: KEYS.o, save: savePicture, undo, original: startAgain };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
}

// The beginning

const SIGNS = [["parameter", "is learned"], ["input", "wants a gradient too"], ["constant", "is given"],
  ["result", "of an operation"], ["output", "what was drawn"], ["operation", "in order of execution"],
  ["read", "what the step reads"], ["written", "what it writes, or adds a gradient to"],
  ["selected", "its details stay"], ["focused", "where the keys are"]];

function describe() {
  byId("title").textContent = data.title;
  const parameters = data.values.filter((value) => value.kind === "parameter").length + data.operations.reduce((n, o) => n + o.hidden, 0);
  byId("contents").textContent = [count(operations.length, "operation"), count(values.length, "tensor"),
    `${count(parameters, "parameter")}`, ...data.notes].join(" · ");
  byId("legend").append(...SIGNS.map(([kind, words]) =>
    html("li", {}, html("span", { class: `sign ${kind}`, "aria-hidden": "true" }), html("b", {}, kind), ` ${words}`)));
  byId("progress").max = LAST;
  byId("folds").hidden = !opened && !data.opened.all;
  byId("folds").textContent = opened ? "Fold" : "Open folds";
  label();
}

function label() {
  for (const node of nodes.values()) node.element.setAttribute("aria-label", spoken(node));
}

/** A node as a screen reader says it. */
function spoken(node) {
  if (node.operation) return `operation ${node.step}, ${node.name}: ${node.formula}`;
  const scalar = !node.shape.length && node.data ? ` = ${digits(node.data.values[0])}` : ` of shape ${shapeText(node.shape)}`;
  const facts = [`${node.kind} ${nameOf(node)}${scalar}`];
  if (node.data?.std !== undefined && node.data.size > 1) facts.push(`values from ${digits(node.data.min)} to ${digits(node.data.max)}, mean ${digits(node.data.mean)}`);
  if (node.gradient?.size === 1) facts.push(`gradient ${digits(node.gradient.values[0])}`);
  else if (node.gradient?.norm !== undefined) facts.push(`gradient of norm ${digits(node.gradient.norm)}`);
  return facts.join(", ");
}

// Folds. What is open is in the address; the page is drawn anew for it.

/** The name under which the page holds the graph with this fold open: by itself, or else with all the others. */
const wayTo = (operation) => [String(operation.step), "all"].find((name) => name in data.opened) ?? "";

function openFold(name) {
  if (name === opened || (name && !(name in data.opened))) return;
  if (edits.length) {
    byId("found").textContent = "Take the edits back first (Original): the page is drawn anew for folds.";
    return;
  }
  location.hash = addressOf(name, stepIn(drawings[name].operations));
}

describe();
startCamera();
startPointing();
startSearching();
startButtons();
document.addEventListener("keydown", pressed);
addEventListener("hashchange", () => (asked().get("open") ?? "") === opened ? walkTo(stepAsked()) : location.reload());
firstView();
select(null);
if (Number(opened)) follow(operations.find((operation) => operation.step === Number(opened)));
walkTo(stepAsked());
