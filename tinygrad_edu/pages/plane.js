// Which class is predicted where: a plane of pixels, with lines between the classes and the samples as marks.

const SIDE = 64; // pixels, as plane.py has them
const CLASS_COLOURS = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [0, 0, 0], [138, 127, 0]];

const className = (k) => (k === NOT_FINITE ? "not finite" : `class ${k}`);

/** The lines between pixels of different classes. */
function borders(regions) {
  let path = "";
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const own = regions[y * SIDE + x];
      if (x + 1 < SIDE && regions[y * SIDE + x + 1] !== own) path += `M${x + 1},${y}v1`;
      if (y + 1 < SIDE && regions[(y + 1) * SIDE + x] !== own) path += `M${x},${y + 1}h1`;
    }
  }
  return path;
}

function samplesOf(k) {
  const { points, labels, low, high } = data.plane;
  const at = (point, axis) => ((point[axis] - low[axis]) / (high[axis] - low[axis])) * SIDE;
  const marks = points.filter((_, i) => labels[i] === k).map((point) => markAt(k, at(point, 0), SIDE - at(point, 1), 0.55));
  return svg("path", { d: marks.join(""), fill: `rgb(${CLASS_COLOURS[k]})`, class: "samples" });
}

/** The plane after an epoch, with its legend. */
function planePicture(pixels, epoch) {
  const regions = [...atob(pixels)].map((pixel) => pixel.charCodeAt(0));
  const classes = [...new Set([...data.plane.labels, ...regions])].sort((a, b) => a - b);
  const canvas = html("canvas", { width: SIDE, height: SIDE });
  const image = new ImageData(SIDE, SIDE);
  regions.forEach((k, i) => {
    const colour = CLASS_COLOURS[k] ?? [255, 255, 255];
    image.data.set([...colour.map((channel) => 0.7 * 255 + 0.3 * channel), 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  const overlay = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}` }, svg("path", { d: borders(regions), class: "border" }),
    ...classes.filter((k) => k < NOT_FINITE).map(samplesOf));
  const shares = classes.map((k) => `${className(k)} in ${percent(regions.filter((l) => l === k).length / regions.length)}`);
  const words = `Predicted after epoch ${epoch}: ${shares.join(", ")} of the plane`;
  const legend = classes.map((k) => html("li", {},
    svg("svg", { viewBox: "0 0 24 10", class: "sample", "aria-hidden": "true" },
      svg("path", { d: markAt(k, 12, 5, 4), fill: `rgb(${CLASS_COLOURS[k] ?? [255, 255, 255]})`, class: "samples" })),
    html("span", {}, className(k))));
  const { low, high } = data.plane;
  const ends = (axis) => `from ${digits(low[axis])} to ${digits(high[axis])}`;
  return html("figure", {}, html("div", { class: "plane", role: "img", "aria-label": words }, canvas, overlay),
    html("ul", {}, ...legend), html("figcaption", {}, `${words}; across ${ends(0)}, upwards ${ends(1)}`));
}
