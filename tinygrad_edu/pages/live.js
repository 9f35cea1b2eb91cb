// Numbers that are edited in the page, and what follows from them: the page runs the program that Python wrote down.

const live = data.live ?? {};
const program = live.program ? prepared(live.program) : null;
const original = program ? live.given.map(decoded) : [];
const fresh = () => original.map((leaf) => ({ ...leaf, data: leaf.data.slice() }));
let given = fresh();
let found = null; // the values of the program, once something was edited
const edits = []; // what undo takes back, the newest last

const leafOf = (value) => live.leaves?.indexOf(value.key) ?? -1;
const isEdited = (leaf) => given[leaf].data.some((x, k) => !Object.is(x, original[leaf].data[k]));
const NUDGE = 0.001;
const PAUSE = 100; // milliseconds
let labelling = 0;

/** A number as Python writes it in a picture, to so many digits. */
function general(value, precision = 4) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const [mantissa, exponent] = value.toExponential(precision - 1).split("e"), power = Number(exponent);
  const isLong = value !== 0 && (power < -4 || power >= precision);
  const text = isLong ? `${Number(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}` : String(Number(value.toPrecision(precision)));
  return text.replaceAll("-", "−");
}

const turn = () => found; // what is shown of arrays is made of those that were found last
const at = (number) => (number < 0 ? program.constants[-1 - number] : found[number]);

/** From the first edit on, everything shown is made of what the program gives. */
function connect() {
  for (const value of values) {
    const [own, gradient] = live.values[value.key];
    const makers = { data: () => summary(at(own)) };
    value.slope = value.gradient ? gradient : null; // the number of the gradient that is shown
    if (value.gradient) makers.gradient = () => summary(at(gradient));
    lazily(value, makers, turn);
  }
  operations.forEach((operation, i) => live.parts[i].forEach((numbers, k) => {
    if (!numbers || !operation.parts[k]) return;
    ["local", "product", "part", "sum"].forEach((name, j) => {
      if (numbers[j] !== null) lazily(operation.parts[k], { [name]: () => sketch(at(numbers[j])) }, turn);
    });
  }));
  for (const operation of operations) operation.told = { formula: operation.formula, rules: operation.rules };
}

/** Computes everything anew, and shows it. */
function recompute() {
  if (!found) connect();
  found = evaluated(program, given);
  values.forEach(relabel);
  operations.forEach(retell);
  clearTimeout(labelling);
  labelling = setTimeout(label, PAUSE); // not at each step of a slider
  paint(position);
  byId("step").replaceChildren(...(position ? stepCard(position) : []));
  showEdits();
}

/** What a node of the drawing says. */
function relabel(value) {
  if (!value.shape.length) {
    const line = value.kind === "constant" && value.name ? 1 : 0;
    const name = value.kind === "constant" ? "" : `${value.symbol} = `;
    retext(value, value.texts[line], name + general(at(live.values[value.key][0]).data[0]));
  }
  if (value.slope === null) return;
  const words = value.whole.slice(0, value.whole.lastIndexOf(" ") + 1), numbers = at(value.slope).data;
  value.whole = words + (value.shape.length ? general(norm(numbers), 3) : general(numbers[0]));
}

// Formulas of single numbers are worked out with the new ones; in them stand places for g, the output and the arguments.

const FIRST_PLACE = 0xe000;
const filledWith = (text, words) => text.replace(/[\ue000-\uf8ff]/g, (c) => words[c.charCodeAt(0) - FIRST_PLACE] ?? c);

function worked(text, words, numbers, result) {
  const put = filledWith(text, numbers.map(bracketed)).replace(/\((\(−[^()]*\))\)/g, "$1");
  const parts = put.replace(/^[()]+|[()]+$/g, "") === result ? [result] : [put, result];
  return [filledWith(text, words), ...parts].join(" = ");
}

function retell(operation, i) {
  const keys = [operation.outputs[0], ...operation.inputs];
  const symbols = keys.map((key) => nodes.get(key).symbol);
  Object.assign(operation, operation.told);
  if (operation.inputs.some((key) => isPlain(nodes.get(key)) && isEdited(leafOf(nodes.get(key))))) {
    // The recorded number stands in the formula itself.
    operation.formula = `${symbols[0]} = ${operation.name}(${symbols.slice(1).join(", ")})`;
    operation.rules = operation.rules.map(() => null);
  } else if (live.formulas[i] && edits.length) {
    const [forward, rules] = live.formulas[i];
    const number = (key, which) => general(at(live.values[key][which])?.data[0]);
    const numbers = ["", ...keys.map((key) => number(key, 0))], words = ["g", ...symbols];
    operation.formula = `${symbols[0]} = ${worked(forward, words, numbers, numbers[1])}`;
    if (live.values[keys[0]][1] !== null) numbers[0] = number(keys[0], 1);
    operation.rules = operation.rules.map((rule, k) => {
      if (!rule || !live.parts[i][k]) return rule;
      const value = nodes.get(operation.inputs[k]), becomes = value.arrivals.length > 1 ? "+=" : "=";
      const part = general(at(live.parts[i][k][2]).data[0]);
      return `∂${nodes.get(data.output).symbol}/∂${value.symbol} ${becomes} ${worked(rules[k], words, numbers, part)}`;
    });
  }
}

const isPlain = (value) => value.kind === "constant" && !value.shape.length && !value.name; // it stands in formulas

// Edits

/** A number of a leaf becomes another one; those that are typed or pulled on the way are one edit. */
function edit(leaf, place, number) {
  if (!Number.isFinite(number)) return;
  const last = edits[edits.length - 1];
  if (!last?.open || last.leaf !== leaf || last.place !== place) edits.push({ leaf, place, before: given[leaf].data[place], open: true });
  given[leaf].data[place] = number;
  recompute();
}

function settle() {
  const last = edits[edits.length - 1];
  if (last) last.open = false;
}

function undo() {
  const last = edits.pop();
  if (!last) return;
  given[last.leaf].data[last.place] = last.before;
  recompute();
  showCard();
}

function startAgain() {
  given = fresh();
  edits.length = 0;
  recompute();
  showCard();
}

function showEdits() {
  const names = original.map((_, leaf) => leaf).filter(isEdited).map((leaf) => nameOf(nodes.get(live.leaves[leaf])));
  byId("edits").hidden = !edits.length;
  byId("edited").textContent = names.length ? `Edited: ${listed(names)}` : "As it was computed";
  refreshCard();
}

/** How the result moves if a number is a little larger, beside what its gradient says. Computed in float64. */
function nudged(value, place) {
  const wide = { ...program, inputs: widened(program.inputs, 1), lines: widened(program.lines, 4) };
  const [output, gradient] = [live.values[data.output][0], live.values[value.key][1]];
  const computed = (by) => evaluated(wide, given.map((leaf, k) => {
    const numbers = Float64Array.from(leaf.data);
    if (k === leafOf(value)) numbers[place] += by;
    return { ...leaf, data: numbers };
  }));
  const before = computed(0), total = (all) => all[output].data.reduce((a, b) => a + b, 0);
  const slope = gradient === null ? null : (before[gradient] ?? program.constants[-1 - gradient]).data[place];
  return { moved: total(computed(NUDGE)) - total(before), slope };
}

const widened = (rows, k) => rows.map((row) => (row[k] === "float32" ? row.with(k, "float64") : row));

// The fields

const elementName = (value, place) => {
  const at = value.shape.map((n, k) => Math.floor(place / value.shape.slice(k + 1).reduce((a, b) => a * b, 1)) % n);
  return nameOf(value) + (at.length ? `[${at.join(", ")}]` : "");
};
const shortest = (number) => String(Number(number.toPrecision(4)));

function field(value, leaf, place, more) {
  const number = given[leaf].data[place];
  const input = html("input", { value: Number.isFinite(number) ? shortest(number) : "", "aria-label": elementName(value, place), step: "any", ...more });
  input.addEventListener("input", () => edit(leaf, place, input.valueAsNumber));
  input.addEventListener("change", settle);
  return input;
}

/** A number field, with a slider beside it where it is finite. */
function numberAndSlider(value, leaf) {
  const start = original[leaf].data[0], reach = Math.max(1, 2 * Math.abs(start)), now = given[leaf].data[0];
  const [min, max] = [Math.min(start - reach, now), Math.max(start + reach, now)];
  const number = field(value, leaf, 0, { type: "number" });
  if (![start, now].every(Number.isFinite)) return number;
  const slider = field(value, leaf, 0, { type: "range", min, max, step: (max - min) / 200, "aria-label": `${nameOf(value)}, slider` });
  slider.value = now;
  slider.addEventListener("input", () => (number.value = shortest(slider.valueAsNumber)));
  number.addEventListener("input", () => (slider.value = number.value));
  return html("div", { class: "pull" }, number, slider);
}

function grid(value, leaf, choose) {
  const columns = value.shape[value.shape.length - 1] ?? 1, size = given[leaf].data.length;
  const cell = (place) => {
    const input = field(value, leaf, place, { type: "number" });
    input.addEventListener("focus", () => choose(place));
    return html("td", {}, input);
  };
  const places = (row) => Array.from({ length: columns }, (_, j) => row * columns + j);
  const rows = Array.from({ length: size / columns }, (_, i) => html("tr", {}, ...places(i).map(cell)));
  return html("div", { class: "wide" }, html("table", { class: "fields" }, ...rows));
}

function nudging(value) {
  let place = 0;
  const button = html("button", { type: "button" }), words = html("p", { role: "status", class: "nudged" });
  const choose = (chosen) => {
    place = chosen;
    button.textContent = `Nudge ${elementName(value, place)} by ${NUDGE}`;
  };
  choose(0);
  button.addEventListener("click", () => {
    const { moved, slope } = nudged(value, place), output = nodes.get(data.output);
    const what = output.shape.length ? `the sum of ${output.symbol}` : output.symbol;
    const says = slope === null ? `${nameOf(value)} is a constant, which gets no gradient` : `the gradient says ${digits(slope)} · ${NUDGE} = ${digits(slope * NUDGE)}`;
    words.textContent = `${what} moves by ${digits(moved)}; ${says}.`;
  });
  return { choose, parts: [button, words] };
}

/** What does not follow the edit of a value: whatever came from outside of the graph. */
function staying(value) {
  const others = values.filter((other) => other.kind === "constant" && other !== value);
  const isSmall = (other) => isNumber(other) && !other.name, names = others.filter((other) => !isSmall(other)).map(titleOf);
  const told = [...(names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names),
    ...(others.some(isSmall) ? ["single numbers"] : []), ...live.told];
  const words = `What came from outside stays as it was recorded, even if it was found from these numbers or drawn at random: ${listed(told)}.`;
  return told.length ? [html("p", { class: "note" }, words)] : [];
}

/** What the card of a leaf has for editing it, or why it cannot be edited. */
function editor(value) {
  if (value.maker) return [];
  const leaf = leafOf(value), isLong = leaf >= 0 && given[leaf].data.length > IN_FULL;
  const why = live.why ? live.why + (data.opened.all?.live?.program ? ": open them to edit (o)" : "")
    : isLong ? `more than ${IN_FULL} numbers` : live.editable?.includes(value.key) ? "" : "its numbers are not decimal ones";
  if (why) return [html("p", { class: "note" }, `Not to be edited here: ${why}.`)];
  const { choose, parts } = nudging(value);
  const fields = given[leaf].data.length === 1 ? numberAndSlider(value, leaf) : grid(value, leaf, choose);
  return [html("div", { role: "group", "aria-label": `Edit ${nameOf(value)}`, class: "editor" }, fields, ...parts, ...staying(value))];
}

/** Of a leaf that no record kept. */
const summaryOf = (value) => (leafOf(value) >= 0 ? summary(given[leafOf(value)]) : null);

const isTyping = () => byId("card").contains(document.activeElement) && document.activeElement.matches("input");
