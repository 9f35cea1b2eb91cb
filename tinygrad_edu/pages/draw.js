// The page: strokes are read, explained and, if they were read wrongly, kept.

let shown = null; // the image of what is drawn, and where its pixels are; null if nothing is
let outputs = [];
let frame = 0; // the frame in which strokes will be read that are still being drawn

/** Reads what is drawn and shows how it is read; the reasons, when the stroke is finished. */
function readStrokes(finished) {
  frame = 0;
  const begin = performance.now();
  shown = strokes.length ? imageOf(strokes, data.resize) : null;
  const found = shown ? read(shown.pixels) : { outputs: [], hidden: [] };
  outputs = found.outputs;
  showOutputs(outputs);
  showHidden(found.hidden);
  byId("time").textContent = shown ? `read in ${digits(performance.now() - begin, 2)} ms` : "";
  asked = shown ? asked : null;
  showReasons(shown, outputs, finished);
  showSeen();
  allowKeeping();
  if (finished) byId("told").textContent = `reads ${byId("winner").textContent}`;
}

/** What the pad calls: at most one reading for each frame while a stroke is drawn. */
function strokesChanged(finished) {
  if (finished) {
    cancelAnimationFrame(frame);
    readStrokes(true);
  } else frame ||= requestAnimationFrame(() => readStrokes(false));
}

/** The image as the network gets it, ink dark. */
function showSeen() {
  byId("seen").hidden = !shown;
  if (!shown) return;
  const canvas = byId("seen").querySelector("canvas");
  [canvas.width, canvas.height] = [data.side, data.side];
  const image = new ImageData(data.side, data.side);
  shown.pixels.forEach((ink, k) => image.data.set([0, 0, 0].fill(Math.round(255 * (1 - Math.max(0, Math.min(1, ink))))).concat(255), 4 * k));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function explainInstead(k) {
  asked = asked === k ? null : k;
  byId("why").setAttribute("aria-pressed", "true");
  showReasons(shown, outputs);
}

// Drawings that are kept

const kept = []; // { pixels, label }

function allowKeeping() {
  byId("keep").disabled = !shown || byId("right").value === "";
  byId("save").disabled = !kept.length;
}

function keep(event) {
  event.preventDefault();
  if (byId("keep").disabled) return;
  kept.push({ pixels: Array.from(shown.pixels, (v) => Math.round(1e4 * v) / 1e4), label: Number(byId("right").value) });
  byId("kept").textContent = `kept, not yet saved: ${kept.map(({ label }) => data.classes[label]).join(", ")}`;
  byId("right").value = "";
  clearPad();
}

/** The file that `load_drawings` reads. */
const keptFile = () => JSON.stringify({
  kind: data.kind, side: data.side, classes: data.classes.length, images: kept.map((k) => k.pixels), labels: kept.map((k) => k.label),
});

function save() {
  const address = URL.createObjectURL(new Blob([keptFile()], { type: "application/json" }));
  html("a", { href: address, download: "drawings.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  byId("kept").textContent = `${count(kept.length, "drawing")} saved in drawings.json`;
}

byId("title").textContent = data.title;
byId("facts").textContent = `A network with ${count(data.parameters, "parameter")} reads images of ${data.side} × ${data.side} pixels, in this page.`;
byId("right").append(...data.classes.map((name, k) => html("option", { value: k }, name)));
byId("right").addEventListener("change", allowKeeping);
byId("wrong").addEventListener("submit", keep);
byId("save").addEventListener("click", save);
byId("why").addEventListener("click", () => {
  byId("why").setAttribute("aria-pressed", String(!wantsReasons()));
  showReasons(shown, outputs);
});
startReading();
startPad();
readStrokes(true);
