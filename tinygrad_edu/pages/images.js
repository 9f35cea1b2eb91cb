// Convolution and pooling, of images (m, c, h, w).

/** Goes through all that a convolution multiplies, in runs along a row of the output: `visit(x, w, y, count, step)` gets
 * the place of a number of a kernel, where the run begins in the images and in the output, and its step in the images. */
function meetings(ofX, ofW, ofY, [[down, across], [above, left], [downBy, acrossBy], parts], visit) {
  const [m, c, h, w] = ofX, [o, cw, kh, kw] = ofW, [, , oh, ow] = ofY, perPart = o / parts;
  for (let image = 0; image < m; image++) for (let kernel = 0; kernel < o; kernel++) {
    const firstChannel = Math.floor(kernel / perPart) * cw;
    for (let channel = 0; channel < cw; channel++) for (let p = 0; p < kh; p++) for (let q = 0; q < kw; q++) {
      const number = ((kernel * cw + channel) * kh + p) * kw + q, shift = q * acrossBy - left;
      const first = Math.max(0, Math.ceil(-shift / across)), end = Math.min(ow, Math.floor((w - 1 - shift) / across) + 1);
      for (let i = 0; i < oh; i++) {
        const row = i * down + p * downBy - above;
        if (row < 0 || row >= h) continue;
        const from = ((image * c + firstChannel + channel) * h + row) * w + first * across + shift;
        visit(from, number, ((image * o + kernel) * oh + i) * ow + first, end - first, across);
      }
    }
  }
}

function conv([x, w], { how }, shape) {
  const y = new Float64Array(sizeOf(shape));
  meetings(x.shape, w.shape, shape, how, (from, number, to, count, step) => {
    for (let k = 0; k < count; k++) y[to + k] += x.data[from + k * step] * w.data[number];
  });
  return y;
}

function convX([dy, w], { how }, shape) {
  const dx = new Float64Array(sizeOf(shape));
  meetings(shape, w.shape, dy.shape, how, (from, number, to, count, step) => {
    for (let k = 0; k < count; k++) dx[from + k * step] += dy.data[to + k] * w.data[number];
  });
  return dx;
}

function convW([x, dy], { how }, shape) {
  const dw = new Float64Array(sizeOf(shape));
  meetings(x.shape, shape, dy.shape, how, (from, number, to, count, step) => {
    for (let k = 0; k < count; k++) dw[number] += x.data[from + k * step] * dy.data[to + k];
  });
  return dw;
}

/** For each window the places in the images that it has, in their order; what reaches over an edge has none. */
function windowsOf([m, c, h, w], [, , oh, ow], [[kh, kw], [down, across], [above, left]]) {
  const found = [];
  for (let plane = 0; plane < m * c; plane++) for (let i = 0; i < oh; i++) for (let j = 0; j < ow; j++) {
    const places = [];
    for (let p = 0; p < kh; p++) for (let q = 0; q < kw; q++) {
      const row = i * down + p - above, column = j * across + q - left;
      if (row >= 0 && row < h && column >= 0 && column < w) places.push((plane * h + row) * w + column);
    }
    found.push(places);
  }
  return found;
}

/** The place of each window's largest number, the first of equal ones, or of the first NaN. */
const winners = (x, top, windows) => windowsOf(x.shape, top.shape, windows).map((places, k) =>
  places.find((at) => x.data[at] === top.data[k]) ?? places.find((at) => Number.isNaN(x.data[at])));

const POOLING = {
  max_pool: ([x], { windows }, shape) => windowsOf(x.shape, shape, windows).map((places) => Math.max(...places.map((at) => x.data[at]))),
  unpool: ([dy, top, x], { windows }, shape) => addedAt(winners(x, top, windows), dy.data, sizeOf(shape)),
  pick: ([v, top, x], { windows }) => taken(v.data, winners(x, top, windows)),
  sum_pool: ([x], { windows }, shape) =>
    windowsOf(x.shape, shape, windows).map((places) => places.reduce((sum, at) => sum + x.data[at], 0)),
  spread([dy], { windows }, shape) {
    const dx = new Float64Array(sizeOf(shape));
    windowsOf(shape, dy.shape, windows).forEach((places, k) => {
      for (const at of places) dx[at] += dy.data[k];
    });
    return dx;
  },
};
