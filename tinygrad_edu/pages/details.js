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
  return [
    html("h3", {}, nameOf(value)),
    html("p", { class: "facts" }, `${value.kind} of shape `, html("b", {}, shapeText(value.shape)), value.dtype ? `, ${value.dtype}` : ""),
    ...editor(value),
    html("div", { class: "follows" }, ...pictures(value)),
  ];
}

/** What follows from the numbers of leaves, and changes when they are edited. */
function pictures(value) {
  const picture = (summary, of, missing) =>
    summary ? arrayPicture(summary, value.shape, of) : [html("p", { class: "missing" }, missing)];
  return [
    titled("Values", ...picture(value.data ?? summaryOf(value), "the values", missingData())),
    titled("Gradient", ...picture(value.gradient, "the gradient", missingGradient(value))),
  ];
}

/** A button that shows the value's details and where it stands. */
function link(value, text = titleOf(value)) {
  const button = html("button", { type: "button", class: `link ${value.kind}` }, text);
  button.addEventListener("click", () => {
    select(value);
    follow(value);
  });
  return button;
}

const code = (text) => html("code", {}, text);

/** A rule with the shapes that it was used on. */
function ruleOf(operation, k) {
  const value = nodes.get(operation.inputs[k]);
  if (!operation.flows[k]) return [link(value), html("p", { class: "missing" }, operation.passed_by ?? "needs no gradient")];
  const arriving = operation.outputs.map((key) => shapeText(nodes.get(key).shape)).join(", ");
  const rule = operation.rules[k] ? [code(operation.rules[k])] : [];
  return [link(value), ...rule, html("p", { class: "note" }, `g has shape ${arriving}, the result ${shapeText(value.shape)}`)];
}

function operationCard(operation) {
  const facts = [`step ${operation.step}`, place(operation), operation.position, operation.folded && `stands for ${count(operation.folded, "operation")}`,
    operation.hidden && `holds ${count(operation.hidden, "parameter")}`];
  return [
    html("h3", {}, operation.name),
    html("p", { class: "facts" }, facts.filter(Boolean).join(", ")),
    ...unfold(operation),
    titled("Forward", code(operation.formula), html("p", {}, "makes ", ...operation.outputs.map((key) => link(nodes.get(key))))),
    titled("Backward, for each argument",
      html("ol", {}, ...operation.inputs.map((_, k) => html("li", {}, ...ruleOf(operation, k))))),
  ];
}

/** What opens a fold, or, inside of one that is open, what closes all of them. */
function unfold(operation) {
  const button = (words, name) => {
    const made = html("button", { type: "button" }, words);
    made.addEventListener("click", () => openFold(name));
    return [made];
  };
  if (operation.folded) {
    const name = wayTo(operation);
    return name ? button("Open it", name) : [html("p", { class: "note" }, "Too much to be opened in this page: draw it with a larger depth or max_nodes.")];
  }
  return opened ? button("Fold again", "") : [];
}

const card = (node) => (node.operation ? operationCard(node) : valueCard(node));
