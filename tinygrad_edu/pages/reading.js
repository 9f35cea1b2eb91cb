// What the network makes of a drawing: its outputs as bars, and its hidden units, lit up.

const program = prepared(data.program);
const forward = { ...program, lines: program.lines.slice(0, data.forward) };

/** An image row by row as the network takes it, and back: column by column, if it was told so. */
function unrolled(pixels) {
  if (data.order !== "F") return pixels;
  return pixels.map((_, k) => pixels[(k % data.side) * data.side + Math.floor(k / data.side)]);
}

/** What the program gets: an image, and a row with a 1 for the output that is to be explained. */
function given(pixels, chosen = -1) {
  return [unrolled(pixels), Float64Array.from(data.classes, (_, k) => Number(k === chosen))].map((numbers) => ({ data: numbers }));
}

/** The outputs for an image, and the activations of the hidden units. */
function read(pixels) {
  const values = evaluated(forward, given(pixels));
  return { outputs: values[data.outputs].data, hidden: data.hidden === null ? [] : values[data.hidden].data };
}

/** Outputs as parts of one: as they are, or, if they may be any numbers, their softmax. */
function shares(outputs) {
  if (data.shares) return outputs;
  const largest = Math.max(...outputs);
  const powers = outputs.map((z) => Math.exp(z - largest));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
}

/** The place of the largest number, −1 if there is none or one is NaN. */
const best = (numbers) => numbers.indexOf(Math.max(...numbers));

// Outputs

const rows = data.classes.map((name, k) => {
  const bar = html("span", { class: "bar" }), number = html("span", { class: "number" });
  const button = html("button", { type: "button", "aria-pressed": "false", title: `Which pixels raise ${name}?` }, name);
  button.addEventListener("click", () => explainInstead(k));
  return { bar, number, button, element: html("li", {}, button, html("span", { class: "track" }, bar), number) };
});

function showOutputs(outputs) {
  const parts = shares(outputs), winner = best(outputs);
  rows.forEach(({ bar, number, element }, k) => {
    bar.style.width = `${outputs.length ? 100 * Math.max(0, Math.min(1, parts[k])) : 0}%`;
    number.textContent = outputs.length ? parts[k].toFixed(3) : "";
    element.classList.toggle("best", k === winner);
  });
  const words = winner < 0 ? "not a number" : `${data.classes[winner]}, ${percent(Number(parts[winner].toPrecision(3)))}`;
  byId("winner").textContent = outputs.length ? words : "nothing drawn yet";
}

// Hidden units

const units = (data.units ?? []).map((unit, k) => {
  const number = html("span", {});
  return { number, element: html("li", {}, heatMap(unit, `what unit ${k + 1} sees`, 64, 64), number) };
});

/** Frames as strong as the units answer: orange above zero, blue below. */
function showHidden(hidden) {
  const strongest = hidden.reduce((most, a) => Math.max(most, Math.abs(a)), 0) || 1;
  units.forEach(({ number, element }, k) => {
    const strength = hidden.length ? Math.round((100 * Math.abs(hidden[k])) / strongest) : 0;
    element.style.borderColor = `color-mix(in srgb, var(--${hidden[k] < 0 ? "blue" : "orange"}) ${strength}%, transparent)`;
    number.textContent = hidden.length ? digits(Number(hidden[k].toFixed(2))) : "·";
  });
}

function startReading() {
  byId("outputs").append(...rows.map((row) => row.element));
  byId("hidden").hidden = !units.length;
  const list = byId("units");
  list.append(...units.map((unit) => unit.element));
  if (list.scrollHeight > list.clientHeight) list.tabIndex = 0; // keys scroll it
  const some = units.length < data.hidden_units ? `The first ${units.length} of ` : "";
  byId("hidden-told").textContent = `${some}${count(data.hidden_units, "unit")}. A picture is what a unit sees, its weight for ` +
    "each pixel: ink on orange raises it, ink on blue lowers it. Its frame and its number are what it answers to the drawing.";
}
