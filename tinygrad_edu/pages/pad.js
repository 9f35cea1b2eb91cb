// The pad: what is drawn with mouse, finger, pen or keys, as strokes of points in a square of 100 × 100.

const strokes = []; // lists of points [x, y]
const PAD = 100, STEP = 4; // how far a key moves the pen
const pen = { x: PAD / 2, y: PAD / 2, down: false }; // of the keyboard
let drawing = null; // the pointer that draws: others do not disturb it

/** Where on the pad an event was. */
function placeOf(event) {
  const { left, top, width, height } = byId("pad").getBoundingClientRect();
  const within = (share) => Math.max(0, Math.min(PAD, share * PAD));
  return [within((event.clientX - left) / width), within((event.clientY - top) / height)];
}

function showInk() {
  const path = strokes.map((stroke) => `M${stroke.join("L")}${stroke.length === 1 ? "h0" : ""}`).join("");
  byId("ink").setAttribute("d", path);
  byId("hint").hidden = strokes.length > 0;
  for (const id of ["undo", "clear"]) byId(id).setAttribute("aria-disabled", String(!strokes.length));
}

/** Shows the strokes and reads them: `finished` when no pointer is drawing any more. */
function inkChanged(finished) {
  showInk();
  strokesChanged(finished);
}

function begin(event) {
  if (drawing !== null || event.button !== 0) return;
  drawing = event.pointerId;
  byId("pad").setPointerCapture(drawing);
  pen.down = false;
  showPen(false);
  strokes.push([placeOf(event)]);
  inkChanged(false);
}

function go(event) {
  if (event.pointerId !== drawing) return;
  const events = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1).push(...(events.length ? events : [event]).map(placeOf));
  inkChanged(false);
}

function end(event) {
  if (event.pointerId !== drawing) return;
  drawing = null;
  inkChanged(true);
}

function undo() {
  pen.down = false;
  strokes.pop();
  inkChanged(true);
}

function clearPad() {
  pen.down = false;
  strokes.length = 0;
  inkChanged(true);
}

// Keys: the arrows move a pen, which the space bar puts down and lifts.

function showPen(visible) {
  const mark = byId("pen");
  mark.setAttribute("transform", `translate(${pen.x} ${pen.y})`);
  mark.classList.toggle("down", pen.down);
  mark.toggleAttribute("hidden", !visible);
}

function movePen(x, y) {
  pen.x = Math.max(0, Math.min(PAD, pen.x + x * STEP));
  pen.y = Math.max(0, Math.min(PAD, pen.y + y * STEP));
  if (pen.down) {
    strokes.at(-1).push([pen.x, pen.y]);
    inkChanged(true);
  }
}

function putDownOrLift() {
  pen.down = !pen.down;
  if (pen.down) strokes.push([[pen.x, pen.y]]);
  byId("told").textContent = pen.down ? "pen down" : "pen up";
  inkChanged(true);
}

const PAD_KEYS = {
  ArrowLeft: () => movePen(-1, 0), ArrowRight: () => movePen(1, 0), ArrowUp: () => movePen(0, -1), ArrowDown: () => movePen(0, 1),
  " ": putDownOrLift, z: undo, Backspace: undo, c: clearPad, Delete: clearPad,
};

function padKey(event) {
  const action = PAD_KEYS[event.key];
  if (!action || event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z") || drawing !== null) return;
  event.preventDefault();
  action();
  showPen(true);
}

function startPad() {
  const pad = byId("pad");
  const handlers = { pointerdown: begin, pointermove: go, pointerup: end, pointercancel: end, keydown: padKey };
  for (const [name, handler] of Object.entries(handlers)) pad.addEventListener(name, handler);
  pad.addEventListener("focus", () => showPen(pad.matches(":focus-visible")));
  pad.addEventListener("blur", () => showPen(false));
  byId("undo").addEventListener("click", undo);
  byId("clear").addEventListener("click", clearPad);
  showInk();
}
