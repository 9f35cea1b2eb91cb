// The walk: the operations in order of execution, then the chain rule in reverse through those that it reaches.

const operations = data.operations.map((operation) => nodes.get(operation.key));
const values = data.values.map((value) => nodes.get(value.key));
const backwards = operations.filter((operation) => operation.flows.some(Boolean)).reverse();
const LAST = operations.length + backwards.length;
let position = 0; // 0: nothing is walked; 1 … n forward; from n + 1 backward

/** The operation of a step, and its direction. */
function stepAt(p) {
  const backward = p > operations.length;
  return { operation: backward ? backwards[p - operations.length - 1] : operations[p - 1], backward };
}

// When each value is made, and at which steps the parts of its gradient arrive.
for (const value of values) Object.assign(value, { made: 0, arrivals: [], received: [] });
operations.forEach((operation, i) => {
  operation.forth = i + 1;
  operation.back = Infinity;
  for (const key of operation.outputs) nodes.get(key).made = i + 1;
});
for (let p = operations.length + 1; p <= LAST; p++) {
  const { operation } = stepAt(p);
  operation.back = p;
  operation.inputs.forEach((key, k) => {
    if (!operation.flows[k]) return;
    nodes.get(key).arrivals.push(p);
    nodes.get(key).received.push({ step: p, part: operation.parts[k] });
  });
}

/** How many parts of the value's gradient have arrived after step p. */
const arrivedAt = (value, p) => value.arrivals.filter((arrival) => arrival <= p).length;

/** The gradient of the output is there from the beginning: it is what the walk back starts with. */
const isComplete = (value, p) =>
  p > operations.length && (value.key === data.output || (value.arrivals.length > 0 && arrivedAt(value, p) === value.arrivals.length));

/** What a node is in step p: read, written, current, ahead (not reached yet), or nothing of that. */
function roleOf(node, p) {
  if (p === 0) return "";
  const { operation, backward } = stepAt(p);
  if (node === operation) return "current";
  if (node.operation) return (backward ? node.back : node.forth) > p ? "ahead" : "";
  if (operation.outputs.includes(node.key)) return backward ? "read" : "written";
  const argument = operation.inputs.findIndex((key, k) => key === node.key && (!backward || operation.flows[k]));
  if (argument >= 0) return backward ? "written" : "read";
  if (backward) return isComplete(node, p) || arrivedAt(node, p) ? "" : "ahead";
  return node.made > p ? "ahead" : "";
}

/** The last line of a value: its number where no other line has it, or, on the way back, how much of its gradient is there. */
function noteOf(value, p) {
  if (p <= operations.length) {
    const known = value.shape.length && value.shape.every((n) => n === 1) && value.data && (p === 0 || value.made <= p);
    return known ? `= ${digits(value.data.values[0], 3)}` : "";
  }
  if (isComplete(value, p)) return value.whole;
  const arrived = arrivedAt(value, p);
  if (!arrived) return "";
  const sum = value.shape.length ? null : value.received[arrived - 1].part?.sum;
  return sum ? `∂ = ${digits(sum.values[0], 3)} + …` : `∂ ${arrived} of ${value.arrivals.length}`;
}

function setRole(node, role) {
  if (node.role !== role) {
    if (node.role) node.element.classList.remove(node.role);
    if (role) node.element.classList.add(role);
    node.role = role;
  }
}

function setEdge(edge, role, backward) {
  const shown = role + backward;
  if (edge.shown === shown) return;
  edge.element.setAttribute("class", `edge ${role}`);
  edge.element.setAttribute("d", backward ? edge.paths.backward : edge.paths.ahead);
  edge.shown = shown;
}

function edgeRole(edge, p) {
  if (p === 0) return "";
  const { operation, backward } = stepAt(p);
  if (edge.from === operation.key || edge.to === operation.key) {
    const writes = (edge.from === operation.key) !== backward;
    const flows = !backward || edge.from === operation.key || nodes.get(edge.from).role !== "ahead";
    return flows ? (writes ? "written" : "read") : "ahead";
  }
  return nodes.get(edge.from).role === "ahead" || nodes.get(edge.to).role === "ahead" ? "ahead" : "";
}

/** Shows step p; only what differs from what is shown is touched. */
function paint(p) {
  for (const node of nodes.values()) setRole(node, roleOf(node, p));
  for (const value of values.filter((value) => value.note)) {
    const note = noteOf(value, p);
    if (value.shown !== note) retext(value, value.note, (value.shown = note));
  }
  const backward = p > operations.length;
  for (const edge of edges) setEdge(edge, edgeRole(edge, p), backward);
}

// The same in words.

const listed = (things) => (things.length < 2 ? things.join("") : `${things.slice(0, -1).join(", ")} and ${things[things.length - 1]}`);

const titleAt = (key) => titleOf(nodes.get(key));

function forwardWords(operation) {
  const read = listed([...new Set(operation.inputs)].map(titleAt));
  return `${operation.name} reads ${read} and writes ${listed(operation.outputs.map(titleAt))}.`;
}

/** What happens to each argument's gradient: one part in full, or which of how many. */
function contributions(operation, p) {
  const before = new Map();
  return operation.inputs.flatMap((key, k) => {
    if (!operation.flows[k]) return [];
    const value = nodes.get(key), total = value.arrivals.length;
    const nth = (before.get(key) ?? arrivedAt(value, p - 1)) + 1;
    before.set(key, nth);
    return [{ value, argument: k, nth, total, part: operation.parts[k] }];
  });
}

function contributionWords({ value, nth, total }) {
  if (total === 1) return `${titleAt(value.key)} gets its gradient`;
  return `${titleAt(value.key)} gets part ${nth} of ${total}${nth === total ? ", the last" : ""}`;
}

function backwardWords(operation, p) {
  const gradient = `The gradient of ${listed(operation.outputs.map(titleAt))} goes back through ${operation.name}`;
  return `${gradient}: ${listed(contributions(operation, p).map(contributionWords))}.`;
}

function wordsAt(p) {
  if (p === 0) return `${count(LAST, "step")}: ${count(operations.length, "operation")} forward, then the chain rule back through ${count(backwards.length, "operation")}.`;
  const { operation, backward } = stepAt(p);
  const where = `Step ${p} of ${LAST}, ${backward ? "backward" : "forward"}. `;
  return where + (backward ? backwardWords(operation, p) : forwardWords(operation));
}

/** Goes to step p (0 ends the walk). */
function walkTo(p) {
  position = Math.min(Math.max(p, 0), LAST);
  paint(position);
  byId("words").textContent = wordsAt(position);
  byId("progress").value = position;
  for (const id of ["first", "back"]) byId(id).setAttribute("aria-disabled", position <= 1);
  for (const id of ["next", "last"]) byId(id).setAttribute("aria-disabled", position === LAST);
  byId("step").replaceChildren(...(position ? stepCard(position) : []));
  const { operation } = position ? stepAt(position) : {};
  if (operation) follow(operation, [...operation.outputs, ...operation.inputs].map((key) => nodes.get(key)));
  markOverview(operation);
  remember();
}

/** The step of another drawing of the same graph that comes to what this one shows, or begins with it. */
function stepIn(others) {
  if (!position) return 0;
  const { operation, backward } = stepAt(position);
  const last = operation.step + (backward ? Math.max(operation.folded - 1, 0) : 0), isThere = (other) => other.step <= last;
  if (!backward) return others.findLastIndex(isThere) + 1;
  const back = others.filter((other) => other.flows.some(Boolean)).reverse();
  return others.length + back.findIndex(isThere) + 1;
}

// The address says which folds are open and which step is shown, so that it can be passed on: #open=all&step=14.

const addressOf = (open, step) => [open && `open=${open}`, step && `step=${step}`].filter(Boolean).join("&");

function remember() {
  const parts = addressOf(opened, position), address = parts && `#${parts}`;
  if (location.hash === address) return;
  try {
    history.replaceState(null, "", address || location.href.split("#")[0]);
  } catch {
    // A frame without an address of its own, as in a notebook, has none to keep it in.
  }
}

const stepAsked = () => Math.trunc(Number(asked().get("step"))) || 0;

// Play: a step after each moment, until the end or until something else is pressed.

const MOMENT = 1500; // milliseconds
let playing = null;

function play() {
  if (playing) return pause();
  if (position === LAST) walkTo(0);
  const next = () => {
    walkTo(position + 1);
    if (position === LAST) pause();
  };
  playing = setInterval(next, MOMENT);
  showPlaying();
  next();
}

function pause() {
  clearInterval(playing);
  playing = null;
  showPlaying();
}

function showPlaying() {
  byId("play").textContent = playing ? "❚❚ Pause" : "▶ Play";
  byId("words").setAttribute("aria-live", playing ? "off" : "polite");
}
