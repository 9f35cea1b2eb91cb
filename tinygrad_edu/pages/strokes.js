// From strokes to an image of the kind that the network has learned from. MNIST's makers fitted each digit into a box of
// 20 × 20 pixels keeping its proportions, with greys at its edges, and moved it, by whole pixels, so that its centre of
// mass is the middle of an image of 28 × 28 (LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
//
// Their digits were pictures. Here the strokes are known, so it is these that are fitted, and then drawn with a pen as
// wide as theirs: a small drawing does not become a bold one.

const BOX = 20, FIELD = 28;
const PEN = 2.5; // pixels: MNIST's median; nine of ten images have strokes from 1.6 to 3.6 (twice the ink over its outline)
const CENTRE = 14; // the pixel, counted from 0, that is the middle: there every image of MNIST has its centre, ± ½

/** Where a point of the drawing is in the box: x and y are scaled by the same factor, and moved. */
function fitting(strokes) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of strokes.flat()) {
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  const extent = Math.max(right - left, bottom - top);
  const scale = extent ? (BOX - PEN) / extent : 1;
  return { scale, x: PEN / 2 - left * scale, y: PEN / 2 - top * scale };
}

/** The distance of a point from a line's piece. */
function distance(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const share = length ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}

/** The strokes in the box, each pixel as grey as the pen covers of it. */
function inked(strokes, { scale, x: moveX, y: moveY }) {
  const reach = PEN / 2 + 0.5;
  const nearest = new Float64Array(BOX * BOX).fill(reach);
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [x * scale + moveX, y * scale + moveY]);
    points.forEach((b, i) => {
      const a = points[Math.max(0, i - 1)];
      const first = (k) => Math.max(0, Math.floor(Math.min(a[k], b[k]) - reach));
      const last = (k) => Math.min(BOX - 1, Math.floor(Math.max(a[k], b[k]) + reach));
      for (let row = first(1); row <= last(1); row++) {
        for (let column = first(0); column <= last(0); column++) {
          const place = row * BOX + column;
          nearest[place] = Math.min(nearest[place], distance(column + 0.5, row + 0.5, a, b));
        }
      }
    });
  }
  return nearest.map((d) => Math.min(1, reach - d));
}

/** How far the box is moved, in whole pixels, so that its ink has its centre of mass in the middle of the field. */
function centring(box) {
  let [mass, x, y] = [0, 0, 0];
  box.forEach((ink, place) => {
    mass += ink;
    x += ink * (place % BOX);
    y += ink * Math.floor(place / BOX);
  });
  return [Math.round(CENTRE - x / mass), Math.round(CENTRE - y / mass)];
}

function placed(box, [right, down]) {
  const field = new Float64Array(FIELD * FIELD);
  box.forEach((ink, place) => {
    const [column, row] = [(place % BOX) + right, Math.floor(place / BOX) + down];
    if (column >= 0 && column < FIELD && row >= 0 && row < FIELD) field[row * FIELD + column] = ink;
  });
  return field;
}

/** matrix · field · matrixᵀ: the field in as many pixels as the matrix has rows. */
function resized(field, matrix) {
  const side = matrix.length;
  const across = matrix.map((taps) => Float64Array.from({ length: FIELD }, (_, row) =>
    taps.reduce((sum, tap, column) => sum + tap * field[row * FIELD + column], 0)));
  const image = new Float64Array(side * side);
  matrix.forEach((taps, row) => across.forEach((column, k) => {
    image[row * side + k] = taps.reduce((sum, tap, i) => sum + tap * column[i], 0);
  }));
  return image;
}

/** The image of a drawing, row by row, and where in the drawing its pixels are: the left upper corner of the image and
 * the size of a pixel, in the drawing's unit. */
function imageOf(strokes, matrix) {
  const fit = fitting(strokes);
  const box = inked(strokes, fit);
  const [right, down] = centring(box);
  const field = placed(box, [right, down]);
  return {
    pixels: matrix ? resized(field, matrix) : field,
    left: (-right - fit.x) / fit.scale,
    top: (-down - fit.y) / fit.scale,
    pixel: FIELD / (matrix?.length ?? FIELD) / fit.scale,
  };
}
