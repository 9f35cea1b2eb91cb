// Curves over the epochs. A line has a name and a value for each epoch; what is no number is a gap.

const WIDTH = 520, HEIGHT = 220, LEFT = 58, BOTTOM = 26, TOP = 8, RIGHT = 10;
const COLOURS = 8; // of styles in training.css, then again in dashes

const isNumber = (value) => typeof value === "number";

/** The scale of values: to heights in the picture, with the marks at its side. */
function heights(values, logarithmic) {
  const usable = values.filter((value) => isNumber(value) && (!logarithmic || value > 0));
  const measure = logarithmic ? Math.log10 : (value) => value;
  let low = Math.min(...usable.map(measure)), high = Math.max(...usable.map(measure));
  if (!usable.length) [low, high] = [0, 1];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const at = (value) => TOP + ((high - measure(value)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  return { marks: logarithmic ? decades(low, high) : evenMarks(low, high), at, has: (value) => usable.includes(value) };
}

/** Round numbers from low to high: 1, 2 or 5 times a power of ten apart. */
function evenMarks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const distance = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const marks = [];
  for (let k = Math.ceil(low / distance); k * distance <= high; k++) marks.push(k * distance);
  return marks;
}

/** Powers of ten, at most six; where there are less than two, 1, 2 and 5 times them. */
function decades(low, high) {
  const marks = [], distance = Math.max(1, Math.ceil((high - low) / 6));
  for (let k = Math.ceil(low); k <= high; k += distance) marks.push(10 ** k);
  if (marks.length > 1) return marks;
  const fine = [];
  for (let k = Math.floor(low); k <= high; k++) fine.push(...[1, 2, 5].map((n) => n * 10 ** k));
  const inside = fine.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return inside.length ? inside : [10 ** ((low + high) / 2)];
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

/** "val_loss" looks as "loss" does, in dashes; of other lines each has its own colour, then again in dashes. */
function stylesOf(lines) {
  const names = [...new Set(lines.map((line) => line.name.replace(/^val_/, "")))];
  return lines.map((line) => {
    const k = names.indexOf(line.name.replace(/^val_/, ""));
    return `line colour${k % COLOURS}${line.name.startsWith("val_") || k % (2 * COLOURS) >= COLOURS ? " dashed" : ""}`;
  });
}

function axes(scale, x, epochs) {
  const parts = scale.marks.flatMap((mark) => [
    svg("path", { class: "grid", d: `M${LEFT},${scale.at(mark).toFixed(1)}H${WIDTH - RIGHT}` }),
    svg("text", { x: LEFT - 6, y: scale.at(mark).toFixed(1), class: "mark" }, digits(mark)),
  ]);
  const marks = epochs > 1 ? evenMarks(1, epochs).filter((mark) => Number.isInteger(mark) && mark > 0) : [1];
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
    ...axes(scale, x, epochs), ...lines.map((line, k) => svg("path", { class: styles[k], d: pathOf(line.values, x, scale) })), cursor);
  const values = lines.map(() => html("b"));
  const entries = lines.map((line, k) => html("li", {},
    svg("svg", { viewBox: "0 0 24 10", class: "sample", "aria-hidden": "true" }, svg("path", { class: styles[k], d: "M1,5H23" })),
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
