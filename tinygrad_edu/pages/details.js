// What is said of a value, an operation or a step, beside the drawing.

const RETAIN = "not kept: pass retain_graph=True to backward()";
const place = (operation) => groupsAround(operation).map((group) => group.label).reverse().join(" › ");

const groups = new Map(data.groups.map((group) => [group.key, group]));

/** The groups that an operation stands in, the innermost first. */
function groupsAround(operation) {
  const found = [];
  for (let key = operation.group; key; key = groups.get(key).parent) found.push(groups.get(key));
  return found;
}

function missingData() {
  return data.released ? RETAIN : "not kept: no rule reads it";
}

function missingGradient(value) {
  if (!value.arrivals.length && value.key !== data.output) return "none: nothing flows back to it";
  return data.released ? RETAIN : "not computed";
}

function titled(title, ...parts) {
  return html("section", {}, html("h4", {}, title), ...parts);
}

function valueCard(value) {
  const picture = (summary, of, missing) =>
    summary ? arrayPicture(summary, value.shape, of) : [html("p", { class: "missing" }, missing)];
  return [
    html("h3", {}, nameOf(value)),
    html("p", { class: "facts" }, `${value.kind} of shape `, html("b", {}, shapeText(value.shape)), value.dtype ? `, ${value.dtype}` : ""),
    titled("Values", ...picture(value.data, "the values", missingData())),
    titled("Gradient", ...picture(value.gradient, "the gradient", missingGradient(value))),
  ];
}

/** A button that shows the value's details and where it stands. */
function link(value, text = titleOf(value)) {
  const button = html("button", { type: "button", class: `link ${value.kind}` }, text);
  button.addEventListener("click", () => {
    select(value);
    bringIntoView(value);
  });
  return button;
}

const code = (text) => html("code", {}, text);

/** A rule with the shapes that it was used on. */
function ruleOf(operation, k) {
  const value = nodes.get(operation.inputs[k]);
  if (!operation.flows[k]) return [link(value), html("p", { class: "missing" }, "needs no gradient")];
  const arriving = operation.outputs.map((key) => shapeText(nodes.get(key).shape)).join(", ");
  const rule = operation.rules[k] ? [code(operation.rules[k])] : [];
  return [link(value), ...rule, html("p", { class: "note" }, `g has shape ${arriving}, the result ${shapeText(value.shape)}`)];
}

function operationCard(operation) {
  const facts = [`step ${operation.step}`, place(operation), operation.position, operation.folded && `stands for ${count(operation.folded, "operation")}`];
  return [
    html("h3", {}, operation.name),
    html("p", { class: "facts" }, facts.filter(Boolean).join(", ")),
    titled("Forward", code(operation.formula), html("p", {}, "makes ", ...operation.outputs.map((key) => link(nodes.get(key))))),
    titled("Backward, for each argument",
      html("ol", {}, ...operation.inputs.map((_, k) => html("li", {}, ...ruleOf(operation, k))))),
  ];
}

const card = (node) => (node.operation ? operationCard(node) : valueCard(node));

// The step of the walk

const brief = (summary) => {
  if (!summary) return "";
  if (summary.size === 1) return ` = ${digits(summary.values[0])}`;
  return summary.norm === undefined ? "" : `, norm ${digits(summary.norm)}`;
};

function valueLine(value, summary, missing) {
  return html("li", {}, link(value), summary ? brief(summary) : html("span", { class: "missing" }, ` ${missing}`));
}

function contributionLine(operation, contribution, p) {
  const { value, argument, nth, total } = contribution;
  const line = html("li", {}, link(value));
  if (operation.rules[argument]) line.append(code(operation.rules[argument]));
  const dots = html("span", { class: "dots", "aria-hidden": "true" }, "●".repeat(Math.min(nth, 12)) + "○".repeat(Math.max(0, Math.min(total, 12) - nth)));
  const words = total === 1 ? "its only part" : `part ${nth} of ${total}`;
  line.append(html("p", { class: "part" }, dots, ` ${words}`, nth === total ? "; complete" : "; the sum is not complete yet",
    nth === total ? brief(value.gradient) : ""));
  return line;
}

function stepCard(p) {
  const { operation, backward } = stepAt(p);
  const outputs = operation.outputs.map((key) => nodes.get(key));
  const where = [place(operation), operation.position].filter(Boolean).join(", ");
  const head = [html("h3", {}, operation.name), html("p", { class: "facts" }, where)];
  if (backward) {
    return [...head,
      titled("Gradient that comes in, g", html("ul", {}, ...outputs.map((value) => valueLine(value, value.gradient, missingGradient(value))))),
      titled("Gradients it adds to",
        html("ul", {}, ...contributions(operation, p).map((part) => contributionLine(operation, part, p))))];
  }
  const read = [...new Set(operation.inputs)].map((key) => nodes.get(key));
  return [...head, code(operation.formula),
    titled("Reads", html("ul", {}, ...read.map((value) => valueLine(value, value.data, "")))),
    titled("Writes", html("ul", {}, ...outputs.map((value) => valueLine(value, value.data, ""))))];
}
