// Why: the gradient of one output with respect to the image, laid over the drawing, and the chain rule that leads to it.

const LARGEST = 10_000; // numbers of a step that are shown as a picture
const WIDE = 25; // numbers of a row that are shown in one line
let asked = null; // the output that is explained; null for the winner

/** Values as an image in the colours of all pages: planes of rows and columns, beside and below each other. */
function pictureOf(values, height, width, label) {
  const planes = Math.ceil(values.length / (height * width)), across = Math.ceil(Math.sqrt(planes));
  const columns = across * (width + 1) - 1, lines = Math.ceil(planes / across) * (height + 1) - 1;
  const levels = new Uint8Array(columns * lines).fill(MIDDLE);
  const limit = values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);
  values.forEach((value, k) => {
    const plane = Math.floor(k / (height * width)), place = k % (height * width);
    const row = Math.floor(plane / across) * (height + 1) + Math.floor(place / width);
    const column = (plane % across) * (width + 1) + (place % width);
    levels[row * columns + column] = Number.isFinite(value) ? MIDDLE + Math.round(MIDDLE * (value / (limit || 1))) : NOT_FINITE;
  });
  const pixels = btoa(String.fromCharCode(...levels));
  return heatMap({ rows: lines, columns, limit, pixels }, `${label}, magnitudes up to ${digits(limit)}`, 250, 120);
}

/** The height and the width of the pictures that so many numbers of a shape are shown as. */
function formOf(shape, size) {
  if (size === data.side ** 2) return [data.side, data.side];
  if (shape.length > 2) return shape.slice(-2);
  return size > WIDE ? [Math.ceil(size / WIDE), WIDE] : [1, size];
}

/** One line of the derivation with what it gave for this drawing. */
function showStep({ text, shape }, { data: values }) {
  const title = html("code", {}, text);
  if (!shape.length) return html("figure", {}, title, html("p", { class: "scalar" }, digits(values[0])));
  const caption = html("figcaption", {}, shapeText(shape));
  if (values.length > LARGEST) return html("figure", {}, title, caption);
  const picture = pictureOf(values.length === data.side ** 2 ? unrolled(values) : values, ...formOf(shape, values.length), text);
  return html("figure", {}, title, picture, caption);
}

/** The gradient as a map over the drawing: see-through where it is zero. */
function showMap(gradient, { left, top, pixel }) {
  const canvas = byId("reasons");
  const limit = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  const image = new ImageData(data.side, data.side);
  gradient.forEach((g, k) => image.data.set([...pixelColour(g < 0 ? 0 : 2 * MIDDLE), Math.round(255 * Math.abs(g / (limit || 1)))], 4 * k));
  [canvas.width, canvas.height] = [data.side, data.side];
  canvas.getContext("2d").putImageData(image, 0, 0);
  Object.assign(canvas.style, { left: `${left}%`, top: `${top}%`, width: `${pixel * data.side}%`, height: `${pixel * data.side}%` });
  return limit;
}

const wantsReasons = () => byId("why").getAttribute("aria-pressed") === "true";

/** Explains the winner, or the output that was asked for; while a stroke is drawn, there is no map over it. */
function showReasons(image, outputs, finished = true) {
  const isShown = image !== null && wantsReasons();
  byId("reasons").hidden = !isShown || !finished;
  byId("pad").classList.toggle("explained", isShown && finished);
  if (!finished) return; // the last reasons stay below, so that the page does not jump
  byId("chain").hidden = !isShown;
  byId("reasons-told").textContent = "";
  rows.forEach(({ button }, k) => button.setAttribute("aria-pressed", String(isShown && k === asked)));
  if (!isShown) return;
  const chosen = asked ?? best(outputs), name = data.classes[chosen];
  if (chosen < 0) return;
  const values = evaluated(program, given(image.pixels, chosen));
  const limit = showMap(unrolled(values[data.gradient].data), image);
  byId("reasons-told").textContent =
    `Ink on orange raises the output for ${name}, ink on blue lowers it: ∂score/∂pixel, up to ${digits(limit, 3)}.`;
  const figures = data.steps.map((step) => showStep(step, values[step.value]));
  byId("ahead").replaceChildren(...figures.slice(0, data.backward));
  byId("back").replaceChildren(...figures.slice(data.backward));
  byId("chain-told").textContent = `The score is the output for ${name}: chosen is 1 there, and 0 elsewhere. ` +
    "Backward, dz is ∂score/∂z: each line is the rule of a line forward, times the gradient that arrived.";
}
