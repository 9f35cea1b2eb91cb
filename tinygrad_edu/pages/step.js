// The card of a step: the chain rule in numbers for single ones, in small maps for arrays.

const brief = (summary) => {
  if (!summary) return "";
  if (summary.size === 1) return ` = ${digits(summary.values[0])}`;
  return summary.norm === undefined ? "" : `, norm ${digits(summary.norm)}`;
};

const numberOf = (shown) => digits(shown.values[0]);
const bracketed = (text) => (text.startsWith("−") ? `(${text})` : text);

function valueLine(value, summary, missing) {
  return html("li", {}, link(value), summary ? brief(summary) : html("span", { class: "missing" }, ` ${missing}`));
}

/** A small map with its name under it, on a scale that it shares with others. */
function tile(shown, name, limit) {
  const under = html("figcaption", {}, name);
  if (shown.size === 1) return html("figure", {}, html("p", { class: "scalar" }, numberOf(shown)), under);
  if (!shown.pixels) return html("figure", {}, html("p", { class: "scalar" }, shown.size ? "not finite" : "empty"), under);
  return html("figure", {}, heatMap(shown, `${name}, from −${digits(limit)} (blue) to ${digits(limit)} (orange)`, 84, 84, limit), under);
}

/** The scale of several maps: the largest magnitude in them. */
const scaleOf = (...shown) => Math.max(0, ...shown.map((s) => (typeof s?.limit === "number" ? s.limit : 0)));

const sign = (text) => html("span", { class: "operator" }, text);

/** "g ⊙ local derivative = part", as numbers or as maps. */
function product(operation, { local, product: made, part }) {
  const output = nodes.get(operation.outputs[0]), g = output.gradient;
  const result = made ?? part;
  if (!g) return [];
  if (local && g.size === 1 && local.size === 1) {
    const row = (name, value) => html("div", {}, html("dt", {}, name), html("dd", {}, value));
    return [html("dl", { class: "chain" }, row("local derivative", numberOf(local)), row("× gradient that arrives", numberOf(g)),
      row("= what it adds", numberOf(part)))];
  }
  // What is multiplied element by element shares its scale with the result; a sum over rows is of another magnitude.
  const limit = local ? scaleOf(g, result, part) : scaleOf(result, part);
  const own = local ? limit : scaleOf(g);
  const parts = [tile(g, "g, arrives", own)];
  if (local) parts.push(sign(g.size === 1 ? "·" : "⊙"), tile(local, "local derivative", scaleOf(local)), sign("="));
  else parts.push(sign("→"));
  parts.push(tile(result, made ? "product" : "what it adds", limit));
  if (made) parts.push(sign("Σ"), tile(part, "what it adds", limit));
  const scales = [own === limit ? limit && `g and what it adds: ±${digits(limit)}` : `g: ±${digits(own)}, what it adds: ±${digits(limit)}`, local && local.size > 1 && `local derivative: ±${digits(scaleOf(local))}`];
  return [html("div", { class: "maps" }, ...parts), html("p", { class: "note" }, scales.filter(Boolean).join(", "))];
}

/** What has arrived at a value up to this part: "3 + 3 = 6", or a map. */
function sumSoFar(value, part, nth, total) {
  const before = value.received[nth - 2]?.part?.sum;
  const title = nth === total ? "its gradient" : "sum so far";
  if (part.sum.size === 1) {
    const sum = before ? `${numberOf(before)} + ${bracketed(numberOf(part.part))} = ${numberOf(part.sum)}` : numberOf(part.sum);
    return html("p", { class: "sum" }, `${title}: `, html("b", {}, sum));
  }
  if (total === 1) return "";
  const limit = scaleOf(before, part.part, part.sum);
  const maps = before ? [tile(before, "before", limit), sign("+"), tile(part.part, "what it adds", limit), sign("=")] : [];
  return html("div", { class: "maps" }, ...maps, tile(part.sum, title, limit));
}

function contributionLine(operation, { value, argument, nth, total, part }) {
  const line = html("li", {}, link(value));
  if (operation.rules[argument]) line.append(code(operation.rules[argument]));
  if (part) line.append(...product(operation, part));
  const dots = html("span", { class: "dots", "aria-hidden": "true" }, "●".repeat(Math.min(nth, 12)) + "○".repeat(Math.max(0, Math.min(total, 12) - nth)));
  const words = total === 1 ? "its only part" : `part ${nth} of ${total}`;
  const known = nth === total && (!part || part.sum.size > 1) ? brief(value.gradient) : "";
  if (part) line.append(sumSoFar(value, part, nth, total));
  line.append(html("p", { class: "part" }, dots, ` ${words}`, nth === total ? "; complete" : "; the sum is not complete yet", known));
  return line;
}

function stepCard(p) {
  const { operation, backward } = stepAt(p);
  const outputs = operation.outputs.map((key) => nodes.get(key));
  const where = [place(operation), operation.position].filter(Boolean).join(", ");
  const head = [html("h3", {}, operation.name), html("p", { class: "facts" }, where), ...unfold(operation)];
  if (backward) {
    return [...head,
      titled("Gradient that arrives, g", html("ul", {}, ...outputs.map((value) => valueLine(value, value.gradient, missingGradient(value))))),
      titled("Gradients it adds to",
        html("ul", {}, ...contributions(operation, p).map((part) => contributionLine(operation, part))))];
  }
  const read = [...new Set(operation.inputs)].map((key) => nodes.get(key));
  const by = operation.passed_by ? [html("p", { class: "note" }, `On the way back it is ${operation.passed_by}.`)] : [];
  return [...head, code(operation.formula), ...by,
    titled("Reads", html("ul", {}, ...read.map((value) => valueLine(value, value.data, "")))),
    titled("Writes", html("ul", {}, ...outputs.map((value) => valueLine(value, value.data, ""))))];
}
