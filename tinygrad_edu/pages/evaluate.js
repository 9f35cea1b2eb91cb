// A program that Python wrote down as data (compiler/exported.py), evaluated on arrays. An array has a shape, a dtype and
// its numbers in the order of C; `PRIMITIVES` has a function for each name that a line may have.

const ARRAYS = { float64: Float64Array, float32: Float32Array, int64: Float64Array, bool: Uint8Array };

const sizeOf = (shape) => shape.reduce((size, n) => size * n, 1);

function array(shape, data, dtype = "float64") {
  const kind = ARRAYS[dtype];
  return { shape, dtype, data: data instanceof kind ? data : new kind(data) };
}

/** An array as a program holds it: a number, or [shape, dtype, numbers], where many are the base64 of their bytes. */
function decoded(held) {
  if (typeof held === "number") return array([], [held]);
  const [shape, dtype, numbers] = held;
  if (typeof numbers !== "string") return array(shape, numbers, dtype);
  const bytes = Uint8Array.from(atob(numbers), (c) => c.charCodeAt(0));
  return array(shape, new ARRAYS[dtype](bytes.buffer), dtype);
}

/** The program with its constants as arrays, ready to be evaluated. */
const prepared = (program) => ({ ...program, constants: program.constants.map(decoded) });

/** The values of all inputs and lines, by their numbers. */
function evaluated({ inputs, constants, lines }, given) {
  const values = inputs.map(([shape, dtype], k) => array(shape, given[k].data, dtype));
  const valueOf = (a) => (typeof a === "number" ? (a < 0 ? constants[-1 - a] : values[a]) : a);
  const setting = (option) => {
    if (Array.isArray(option)) return option.map(setting);
    return option?.value === undefined ? option : valueOf(option.value);
  };
  for (const [name, args, shape, options, dtype = "float64"] of lines) {
    const settings = {};
    for (const key in options) settings[key] = setting(options[key]);
    values.push(array(shape, PRIMITIVES[name](args.map(valueOf), settings, shape, dtype), dtype));
  }
  return values;
}

/** The outputs of a prepared program; `given` are its inputs, arrays with the numbers as `data`. */
function evaluate(program, given) {
  const values = evaluated(program, given);
  return program.outputs.map((k) => (k < 0 ? program.constants[-1 - k] : values[k]));
}

// Where elements lie. An axis is the list of the offsets that its places have; a view is a list of axes.

function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let k = shape.length - 1, stride = 1; k >= 0; stride *= shape[k--]) strides[k] = stride;
  return strides;
}

function axis(count, stride, first = 0) {
  const offsets = new Int32Array(count);
  for (let i = 0; i < count; i++) offsets[i] = first + i * stride;
  return offsets;
}

const axesOf = (shape, strides = stridesOf(shape)) => shape.map((n, k) => axis(n, strides[k]));

/** The offset of each element of a view, in the order of C. */
function offsets(axes) {
  return axes.reduce((before, places) => {
    const all = new Int32Array(before.length * places.length);
    let k = 0;
    for (const start of before) for (const place of places) all[k++] = start + place;
    return all;
  }, Int32Array.of(0));
}

function taken(data, places) {
  const made = new Float64Array(places.length);
  for (let i = 0; i < made.length; i++) made[i] = data[places[i]];
  return made;
}

function addedAt(places, data, size) {
  const made = new Float64Array(size);
  for (let i = 0; i < places.length; i++) made[places[i]] += data[i];
  return made;
}

/** The axes of an array as one of `shape` that it is broadcast to: it stands still along those of size 1. */
function broadcastAxes(own, shape) {
  const strides = stridesOf(own), added = shape.length - own.length;
  return shape.map((n, k) => axis(n, k < added || own[k - added] === 1 ? 0 : strides[k - added]));
}

const broadcast = (a, shape) => (a.data.length === sizeOf(shape) ? a.data : taken(a.data, offsets(broadcastAxes(a.shape, shape))));

/** f of each element of arrays that are broadcast against each other. */
function mapped(f, args, shape) {
  const made = new Float64Array(sizeOf(shape));
  const data = args.map((a) => (a.data.length === 1 ? a.data : broadcast(a, shape)));
  const [s, t, u] = data.map((numbers) => (numbers.length === 1 ? 0 : 1));
  const [x, y, z] = data;
  if (args.length === 1) for (let i = 0; i < made.length; i++) made[i] = f(x[i * s]);
  else if (args.length === 2) for (let i = 0; i < made.length; i++) made[i] = f(x[i * s], y[i * t]);
  else for (let i = 0; i < made.length; i++) made[i] = f(x[i * s], y[i * t], z[i * u]);
  return made;
}

// Axes may be counted from the end, by negative numbers; without any, all are meant.

const listOf = (axes) => (axes === undefined || axes === null ? undefined : [axes].flat());
const counted = (k, ndim) => (k < 0 ? k + ndim : k);
const axesAmong = (axes, shape) => new Set((axes ?? [...shape.keys()]).map((k) => counted(k, shape.length)));

/** For each element the place of the result that it goes into, if these axes are reduced. */
function grouped(shape, axes) {
  const reduced = axesAmong(axes, shape);
  const kept = shape.map((n, k) => (reduced.has(k) ? 1 : n));
  const strides = stridesOf(kept);
  return { kept, of: offsets(shape.map((n, k) => axis(n, reduced.has(k) ? 0 : strides[k]))) };
}

/** The elements of each group put together by f, beginning with `first`; `chosen` tells which of them count. */
function reduced(f, first, a, axes, chosen = undefined) {
  const { kept, of } = grouped(a.shape, axes);
  const made = new Float64Array(sizeOf(kept)).fill(first);
  for (let i = 0; i < of.length; i++) if (!chosen || chosen[i]) made[of[i]] = f(made[of[i]], a.data[i]);
  return array(kept, made);
}

/** Sums of products of elements: Einstein's summation, with a letter for each axis of the operands and of the result. */
function contracted(operands, terms, output) {
  const sizes = {};
  operands.forEach(({ shape }, k) => [...terms[k]].forEach((letter, j) => {
    if (shape[j] !== 1 || !(letter in sizes)) sizes[letter] = shape[j];
  }));
  const letters = [...new Set([...output, ...terms.join("")])];
  const along = (term, shape) => {
    const strides = stridesOf(shape);
    const step = (letter) => [...term].reduce((sum, own, k) => sum + (own === letter && shape[k] > 1 ? strides[k] : 0), 0);
    return offsets(letters.map((letter) => axis(sizes[letter], step(letter))));
  };
  const places = operands.map((a, k) => along(terms[k], a.shape));
  const result = [...output].map((letter) => sizes[letter]);
  const products = taken(operands[0].data, places[0]);
  operands.slice(1).forEach((a, k) => {
    for (let i = 0; i < products.length; i++) products[i] *= a.data[places[k + 1][i]];
  });
  return addedAt(along(output, result), products, sizeOf(result));
}

/** Products of matrices, or of stacks of them. */
function matrixProduct(a, b, shape) {
  const [m, n] = a.shape.slice(-2), p = b.shape.at(-1), stack = shape.slice(0, -2);
  const starts = (x) => offsets(broadcastAxes(x.shape.slice(0, -2), stack));
  const ofA = starts(a), ofB = starts(b), made = new Float64Array(sizeOf(shape));
  for (let s = 0; s < ofA.length; s++) {
    const left = ofA[s] * m * n, right = ofB[s] * n * p, to = s * m * p;
    for (let i = 0; i < m; i++) for (let k = 0; k < n; k++) {
      const factor = a.data[left + i * n + k], row = right + k * p, end = to + i * p;
      for (let j = 0; j < p; j++) made[end + j] += factor * b.data[row + j];
    }
  }
  return made;
}

/** Where what an index takes of an array lies: its axes, and its shape. An item of the index is a whole number,
 * [first, step, count], an array, or null for an axis more. */
function selection(shape, index) {
  const strides = stridesOf(shape), arrays = index.filter((item) => item?.data);
  const joint = arrays.reduce((joined, { shape: own }) => {
    const n = Math.max(joined.length, own.length), at = (s, k) => s[k - n + s.length] ?? 1;
    return Array.from({ length: n }, (_, k) => (at(joined, k) === 1 ? at(own, k) : at(joined, k)));
  }, []);
  const places = new Int32Array(sizeOf(joint));
  const axes = [];
  let from = 0, begins = -1, apart = false, wasArray = false;
  for (const item of index) {
    if (item === null) {
      axes.push(axis(1, 0));
      wasArray = false;
      continue;
    }
    const stride = strides[from], n = shape[from++];
    if (Array.isArray(item)) axes.push(axis(item[2], item[1] * stride, item[0] * stride));
    else if (typeof item === "number" && !arrays.length) for (let i = 0; i < places.length; i++) places[i] += item * stride;
    else {
      const rows = typeof item === "number" ? new Float64Array(places.length).fill(item) : broadcast(item, joint);
      for (let i = 0; i < places.length; i++) places[i] += (rows[i] < 0 ? rows[i] + n : rows[i]) * stride;
      apart ||= begins >= 0 && !wasArray;
      if (begins < 0) begins = axes.length;
    }
    wasArray = !Array.isArray(item);
  }
  const at = begins < 0 || apart ? 0 : begins; // arrays that others stand between give the first axes
  const lengths = axes.map((found) => found.length);
  axes.splice(at, 0, places);
  return { places: offsets(axes), shape: lengths.toSpliced(at, 0, ...joint) };
}
