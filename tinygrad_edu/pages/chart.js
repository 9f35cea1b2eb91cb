// Curves over the epochs. A line has a name and a value for each epoch; what is no number is a gap.

const WIDTH = 520, HEIGHT = 220, LEFT = 58, BOTTOM = 26, TOP = 8, RIGHT = 10;
const DOTS = 7; // marks along a line, about

const isNumber = (value) => typeof value === "number";

/** The scale of values: to heights in the picture, with the marks at its side. */
function heights(values, logarithmic) {
  const usable = values.filter((value) => isNumber(value) && (!logarithmic || value > 0));
  const measure = logarithmic ? Math.log10 : (value) => value;
  let low = Math.min(...usable.map(measure)), high = Math.max(...usable.map(measure));
  if (!usable.length) [low, high] = [0, 1];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const at = (value) => TOP + ((high - measure(value)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const marks = logarithmic ? powers(low, high) : evenMarks(low, high);
  const known = new Set(usable);
  return { marks, at, has: (value) => known.has(value) };
}

/** At least three round numbers from low to high, but not many: 1, 2 or 5 times a power of ten apart. */
function evenMarks(low, high, whole = false) {
  const power = 10 ** Math.floor(Math.log10(high - low));
  const distances = [5, 2, 1, 0.5, 0.2, 0.1].map((n) => n * power).filter((n) => !whole || Number.isInteger(n));
  for (const distance of distances) {
    const first = Math.ceil(low / distance), last = Math.floor(high / distance);
    if (last - first >= 2) return Array.from({ length: last - first + 1 }, (_, k) => (first + k) * distance);
  }
  return [low, high];
}

/** Powers of ten, at most six; where there are less than three, 1, 2 and 5 times them, or even marks. */
function powers(low, high) {
  const distance = Math.max(1, Math.ceil((high - low) / 6));
  const found = (factors) => {
    const marks = [];
    for (let k = Math.floor(low); k <= high; k += factors.length > 1 ? 1 : distance) marks.push(...factors.map((n) => n * 10 ** k));
    return marks.filter((mark) => Math.log10(mark) >= low && Math.log10(mark) <= high);
  };
  return [found([1]), found([1, 2, 5])].find((marks) => marks.length > 2) ?? evenMarks(10 ** low, 10 ** high);
}

/** Numbers to as many digits as tell them apart. */
function apart(marks) {
  const precision = [3, 4, 5, 6, 7, 8].find((n) => new Set(marks.map((mark) => digits(mark, n))).size === marks.length);
  return marks.map((mark) => digits(mark, precision ?? 8));
}

function pathOf(values, x, scale) {
  let path = "", pen = "M";
  values.forEach((value, i) => {
    if (!scale.has(value)) pen = "M";
    else {
      path += `${pen}${x(i).toFixed(1)},${scale.at(value).toFixed(1)}`;
      pen = "L";
    }
  });
  return path.replace(/M([^ML]*)(?=M|$)/g, "M$1h0.01"); // a single point is drawn as a dot
}

const lastOf = (line) => line.values[line.values.length - 1];

/** "val_loss" looks as "loss" does, in dashes; of other lines each has its own colour and mark. */
function stylesOf(lines) {
  const names = [...new Set(lines.map((line) => line.name.replace(/^val_/, "")))];
  return lines.map((line) => {
    const k = names.indexOf(line.name.replace(/^val_/, ""));
    return { mark: k, colour: `colour${k % COLOURS}`, dashed: line.name.startsWith("val_") ? " dashed" : "" };
  });
}

/** A line with marks; those of several lines are not above each other. */
function lineOf({ mark, colour, dashed }, values, x, scale, k, lines) {
  const step = Math.max(1, Math.ceil(values.length / DOTS)), offset = Math.floor((k * step) / lines);
  const dots = values.map((value, i) => (i % step === offset && scale.has(value) ? markAt(mark, x(i), scale.at(value), 3.2) : ""));
  return [
    svg("path", { class: `line ${colour}${dashed}`, d: pathOf(values, x, scale) }),
    svg("path", { class: `dot ${colour}`, d: dots.join("") }),
  ];
}

function axes(scale, x, epochs) {
  const words = apart(scale.marks);
  const parts = scale.marks.flatMap((mark, k) => [
    svg("path", { class: "grid", d: `M${LEFT},${scale.at(mark).toFixed(1)}H${WIDTH - RIGHT}` }),
    svg("text", { x: LEFT - 6, y: scale.at(mark).toFixed(1), class: "mark" }, words[k]),
  ]);
  const marks = epochs > 2 ? evenMarks(1, epochs, true) : Array.from({ length: epochs }, (_, k) => k + 1);
  return [...parts, ...marks.map((mark) => svg("text", { x: x(mark - 1), y: HEIGHT - 8, class: "epoch" }, String(mark)))];
}

/** One chart with its legend, which tells the values of the epoch under the pointer, or of the last. */
function chart({ title, logarithmic, lines }) {
  const epochs = Math.max(...lines.map((line) => line.values.length));
  const x = (i) => LEFT + (epochs > 1 ? i / (epochs - 1) : 0.5) * (WIDTH - LEFT - RIGHT);
  const scale = heights(lines.flatMap((line) => line.values), logarithmic), styles = stylesOf(lines);
  const cursor = svg("path", { class: "cursor" });
  const words = `${title} over ${count(epochs, "epoch")}. At the end: ${lines.map((line) => `${line.name} ${digits(lastOf(line))}`).join(", ")}`;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words },
    ...axes(scale, x, epochs), ...lines.flatMap((line, k) => lineOf(styles[k], line.values, x, scale, k, lines.length)), cursor);
  const values = lines.map(() => html("b"));
  const entries = lines.map((line, k) => html("li", {},
    svg("svg", { viewBox: "0 0 24 10", class: "sample", "aria-hidden": "true" },
      svg("path", { class: `line ${styles[k].colour}${styles[k].dashed}`, d: "M1,5H23" }),
      svg("path", { class: `dot ${styles[k].colour}`, d: markAt(styles[k].mark, 12, 5, 3) })),
    html("span", {}, line.name), values[k]));
  const where = html("p", { class: "note" });
  const show = (i) => {
    lines.forEach((line, k) => { values[k].textContent = digits(line.values[i] ?? "–"); });
    where.textContent = `epoch ${i + 1}${logarithmic ? ", logarithmic scale" : ""}`;
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * WIDTH;
    const i = Math.min(epochs - 1, Math.max(0, Math.round(((at - LEFT) / (WIDTH - LEFT - RIGHT)) * (epochs - 1))));
    cursor.setAttribute("d", `M${x(i)},${TOP}V${HEIGHT - BOTTOM}`);
    show(i);
  });
  picture.addEventListener("pointerleave", () => {
    cursor.removeAttribute("d");
    show(epochs - 1);
  });
  show(epochs - 1);
  return html("section", { class: "chart" }, html("h2", {}, title), picture, where, html("ul", {}, ...entries));
}
