// What a page shows of an array that it has computed itself: the same as arrays.py writes of others.

const BINS = 32, SIDE = 32, SMALL_SIDE = 16, FEW = 16, IN_FULL = 100;

/** Properties that are computed when they are first read, and again when `turn` gives something else. */
function lazily(target, makers, turn = () => 0) {
  for (const [name, make] of Object.entries(makers)) {
    let made, when;
    const get = () => {
      if (when !== turn()) [made, when] = [make(), turn()];
      return made;
    };
    Object.defineProperty(target, name, { get, configurable: true, enumerable: true });
  }
}

/** A number to five digits; NaN and infinities are words. */
function rounded(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const short = Number(value.toPrecision(5));
  return Number.isFinite(short) ? short : value;
}

// Loops, where a page with a thousand arrays would feel closures.

function largestOf(numbers) {
  let most = 0;
  for (let i = 0; i < numbers.length; i++) most = Math.max(most, Math.abs(numbers[i]));
  return most;
}

/** The sum of squares of numbers in a unit, less a middle. */
function squares(numbers, unit = 1, middle = 0) {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += (numbers[i] / unit - middle) ** 2;
  return sum;
}

/** The root of the sum of squares, also of numbers whose squares are too large. */
function norm(numbers) {
  const limit = largestOf(numbers), unit = limit > 0 && limit < Infinity ? limit : 1;
  return Math.sqrt(squares(numbers, unit)) * unit;
}

/** Means over blocks of neighbouring rows or columns, at most SIDE of them. */
function blockMeans(rows, side) {
  const count = Math.min(rows.length, side);
  const start = (i) => Math.floor((i * rows.length) / count);
  return Array.from({ length: count }, (_, i) => {
    const block = rows.slice(start(i), start(i + 1));
    return block[0].map((_, j) => block.reduce((sum, row) => sum + row[j], 0) / block.length);
  });
}

const turned = (rows) => rows[0].map((_, j) => rows.map((row) => row[j]));

/** 127 is 0, 0 and 254 are the limits, 255 is not finite. */
function pixelsOf(numbers, shape, limit, side) {
  const columns = shape[shape.length - 1];
  const matrix = Array.from({ length: numbers.length / columns }, (_, i) =>
    Array.from(numbers.slice(i * columns, (i + 1) * columns), (x) => x / (limit || 1)));
  const means = turned(blockMeans(turned(blockMeans(matrix, side)), side));
  const level = (x) => (Number.isFinite(x) ? MIDDLE + Math.round(MIDDLE * Math.min(1, Math.max(-1, x))) : NOT_FINITE);
  return { rows: means.length, columns: means[0].length, pixels: btoa(String.fromCharCode(...means.flat().map(level))) };
}

function pictured(...of) {
  let made;
  const image = () => (made ??= pixelsOf(...of));
  return Object.fromEntries(["rows", "columns", "pixels"].map((name) => [name, () => image()[name]]));
}

/** How many numbers there are in equal parts from the smallest to the largest. */
function histogramOf(numbers) {
  const min = numbers.reduce((a, b) => Math.min(a, b)), bins = new Array(BINS).fill(0);
  const above = numbers.map((x) => x - min), length = above.reduce((a, b) => Math.max(a, b));
  for (const x of above) bins[length ? Math.min(BINS - 1, Math.floor((x / length) * BINS)) : BINS / 2]++;
  return bins;
}

const finiteOf = (numbers) => (numbers.every(Number.isFinite) ? numbers : numbers.filter(Number.isFinite));

/** Statistics of the finite elements, how many are not finite, and pictures. */
function summary({ shape, data }) {
  const numbers = Float64Array.from(data);
  const finite = finiteOf(numbers);
  const nan = finite === numbers ? 0 : numbers.filter(Number.isNaN).length;
  const shown = { size: numbers.length, nan, infinite: numbers.length - finite.length - nan };
  if (numbers.length <= IN_FULL) shown.values = Array.from(numbers, rounded);
  if (!finite.length) return shown;
  const limit = largestOf(finite), unit = limit || 1, n = finite.length;
  let min = Infinity, max = -Infinity, mean = 0, zeros = 0;
  for (let i = 0; i < n; i++) {
    const x = finite[i];
    if (x < min) min = x;
    if (x > max) max = x;
    mean += x / unit / n;
    if (x === 0) zeros++;
  }
  const std = Math.sqrt(squares(finite, unit, mean) / n) * unit;
  const facts = { min, max, mean: mean * unit, std, norm: norm(finite) };
  for (const name in facts) shown[name] = rounded(facts[name]);
  shown.zeros = rounded(zeros / n);
  if (numbers.length > 1) {
    shown.limit = rounded(limit);
    lazily(shown, { histogram: () => histogramOf(finite.map((x) => x / unit)) });
    lazily(shown, pictured(numbers, shape, limit, SIDE));
  }
  return shown;
}

/** Of an array that is only glanced at: its size, its norm, its values if they are few, and a small image. */
function sketch({ shape, data }) {
  const numbers = Float64Array.from(data), finite = finiteOf(numbers), shown = { size: numbers.length };
  if (numbers.length <= FEW) shown.values = Array.from(numbers, rounded);
  if (numbers.length > 1 && finite.length) {
    const limit = largestOf(finite);
    Object.assign(shown, { norm: rounded(norm(finite)), limit: rounded(limit) });
    lazily(shown, pictured(numbers, shape, limit, SMALL_SIDE));
  }
  return shown;
}
