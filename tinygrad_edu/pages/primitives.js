// The functions of programs, by the names that Python gives them. Each takes its arguments (arrays, or null), its
// options, the shape and the dtype of the result, and gives the numbers of the result.

const isNaN_ = (x) => x !== x;
const rint = (x) => {
  const whole = Math.round(x);
  return Math.abs(x % 1) === 0.5 && whole % 2 ? whole - 1 : whole; // halves go to the even number
};
function remainder(a, b) {
  const rest = a % b;
  return rest && rest < 0 !== b < 0 ? rest + b : rest;
}

/** log(eᵃ + eᵇ) */
function logaddexp(a, b) {
  if (a === b) return a + Math.LN2;
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}
const sigmoid = (x) => (x < -700 ? Math.exp(x) : 1 / (1 + Math.exp(-x)));

/** Φ(x): by the power series of the error function, of which all terms are positive, and far out by a continued fraction. */
function normalCdf(x) {
  const t = Math.abs(x) * Math.SQRT1_2, density = Math.exp(-t * t) / Math.sqrt(Math.PI);
  let rest; // erfc(t)
  if (t < 3) {
    let term = 2 * t, sum = term;
    for (let n = 1; term > 1e-17 * sum; n++) sum += term *= (2 * t * t) / (2 * n + 1);
    rest = 1 - density * sum;
  } else {
    let fraction = t;
    for (let n = 60; n > 0; n--) fraction = t + n / 2 / fraction;
    rest = density / fraction;
  }
  if (isNaN_(x)) return NaN;
  return x < 0 ? rest / 2 : 1 - rest / 2;
}

const UNARY = {
  absolute: Math.abs, arccos: Math.acos, arccosh: Math.acosh, arcsin: Math.asin, arcsinh: Math.asinh, arctan: Math.atan,
  arctanh: Math.atanh, cbrt: Math.cbrt, ceil: Math.ceil, checked: (x) => x, copy: (x) => x, cos: Math.cos, cosh: Math.cosh,
  deg2rad: (x) => (x * Math.PI) / 180, degrees: (x) => (x * 180) / Math.PI, exp: Math.exp, exp2: (x) => 2 ** x,
  expm1: Math.expm1, fabs: Math.abs, fix: Math.trunc, floor: Math.floor, isfinite: Number.isFinite, isinf: (x) => Math.abs(x) === Infinity, isnan: isNaN_,
  log: Math.log, log10: Math.log10, log1p: Math.log1p, log2: Math.log2, log_sigmoid: (x) => -logaddexp(-x, 0),
  logical_not: (x) => !x, negative: (x) => -x, normal_cdf: normalCdf, positive: (x) => x, rad2deg: (x) => (x * 180) / Math.PI,
  radians: (x) => (x * Math.PI) / 180, reciprocal: (x) => 1 / x, relu: (x) => Math.max(x, 0), rint, sigmoid, sign: Math.sign,
  sin: Math.sin, sinh: Math.sinh, slope_of_abs: Math.sign, softplus: (x) => logaddexp(x, 0), sqrt: Math.sqrt,
  square: (x) => x * x, tan: Math.tan, tanh: Math.tanh, trunc: Math.trunc,
};

const BINARY = {
  add: (a, b) => a + b, arctan2: Math.atan2, bitwise_and: (a, b) => a & b, bitwise_or: (a, b) => a | b,
  copysign: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)), divide: (a, b) => a / b,
  equal: (a, b) => a === b, float_power: Math.pow, floor_divide: (a, b) => Math.round((a - remainder(a, b)) / b),
  fmax: (a, b) => (isNaN_(a) || b > a ? b : a), fmin: (a, b) => (isNaN_(a) || b < a ? b : a), fmod: (a, b) => a % b,
  greater: (a, b) => a > b, greater_equal: (a, b) => a >= b, heaviside: (a, b) => (a > 0 ? 1 : a < 0 ? 0 : a === 0 ? b : NaN),
  hypot: Math.hypot, less: (a, b) => a < b, less_equal: (a, b) => a <= b, logaddexp,
  logaddexp2: (a, b) => logaddexp(a * Math.LN2, b * Math.LN2) / Math.LN2,
  logical_and: (a, b) => a && b, logical_or: (a, b) => a || b,
  maximum: Math.max, minimum: Math.min, multiply: (a, b) => a * b, not_equal: (a, b) => a !== b, power: Math.pow,
  ratio: (part, whole) => (whole === 0 ? 0 : part / whole), remainder, subtract: (a, b) => a - b,
  where_chosen: (x, chosen) => (chosen ? x : 0), where_positive: (h, x) => (h > 0 ? x : 0),
};

const elementwise = (f) => (args, options, shape) => mapped(f, args, shape);
/** An elementwise function with options; `make` gives the function for them. */
const shaped = (make) => (args, options, shape) => mapped(make(options), args, shape);
const bound = (a, otherwise) => a ?? array([], [otherwise]);
/** A loss: f summed over all elements, divided by the count. */
const loss = (f) => (args, { count }) => {
  const each = mapped(f, args, args[0].shape);
  return [each.reduce((sum, x) => sum + x, 0) / count];
};

const TINY = { float64: 2.2250738585072014e-308, float32: 1.1754943508222875e-38 };
const crossEntropy = (tiny) => (p, t) => -(t * Math.log(Math.max(p, tiny)) + (1 - t) * Math.log(Math.max(1 - p, tiny)));

const sum = (a, axes, chosen) => reduced((x, y) => x + y, 0, a, axes, chosen);
const total = (numbers) => sum(array([numbers.length], numbers)).data[0];
const chosenBy = (where, a) => (where === false ? [] : where?.data && broadcast(where, a.shape));

/** A function that reduces axes: `first` is what it begins with, unless the option `initial` says otherwise. */
const reducing = (f, first) => ([x], { axis, initial = first, where }) =>
  reduced(f, initial.data?.[0] ?? initial, x, listOf(axis), chosenBy(where, x)).data;

/** How many elements there are in each group. */
const counts = (a, axes, chosen) => sum(array(a.shape, new Float64Array(a.data.length).fill(1)), axes, chosen);
const quotient = (a, b) => array(a.shape, mapped((x, y) => x / y, [a, b], a.shape));
const mean = (a, axes, chosen) => quotient(sum(a, axes, chosen), counts(a, axes, chosen));

function variance([x], { axis, ddof = 0, correction, where }) {
  const axes = listOf(axis), chosen = chosenBy(where, x), centre = mean(x, axes, chosen);
  const squares = array(x.shape, mapped((a, m) => (a - m) * (a - m), [x, centre], x.shape));
  const free = counts(x, axes, chosen);
  return mapped((s, n) => s / Math.max(n - (correction ?? ddof), 0), [sum(squares, axes, chosen), free], free.shape);
}

/** Of each group: the largest number, each number less that, and log Σ eˣ less it. Its own term, 1, stays out of the sum,
 * so that a small rest keeps its digits. */
function logSum(x, axes) {
  const all = reduced(Math.max, -Infinity, x, axes);
  const largest = array(all.shape, all.data.map((v) => (Number.isFinite(v) ? v : 0)));
  const below = array(x.shape, mapped((a, top) => a - top, [x, largest], x.shape));
  const rest = sum(array(x.shape, below.data.map((v) => (v === 0 ? 0 : Math.exp(v)))), axes).data;
  const ties = sum(array(x.shape, below.data.map((v) => v === 0)), axes).data;
  return { largest, below, excess: array(all.shape, rest.map((v, k) => Math.log1p(v + ties[k] - 1))) };
}

function softmax([x], { axis }) {
  const axes = listOf(axis), e = array(x.shape, logSum(x, axes).below.data.map(Math.exp));
  return mapped((a, b) => a / b, [e, sum(e, axes)], x.shape);
}

/** Labels as rows of probabilities. */
function rowsOfLabels([labels], options, [m, k]) {
  if (k > 1 && labels.data.length === m * k) return labels.data;
  return Float64Array.from({ length: m * k }, (_, i) => labels.data[Math.floor(i / k)] === i % k);
}

/** Sums over pairs of axes, one of a and one of b. */
function tensordot(a, b, overA, overB) {
  const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const ofA = a.shape.map(() => letters.pop()), ofB = b.shape.map(() => letters.pop());
  overA.forEach((k, i) => (ofB[counted(overB[i], ofB.length)] = ofA.at(k)));
  const left = [...ofA.filter((l) => !ofB.includes(l)), ...ofB.filter((l) => !ofA.includes(l))];
  return contracted([a, b], [ofA.join(""), ofB.join("")], left.join(""));
}

/** Sums over the last axis of a and the axis k of b; of single numbers the products. */
const dot = (a, b, k) => (a.shape.length && b.shape.length ? tensordot(a, b, [-1], [k]) : tensordot(a, b, [], []));

/** Each element put together by f with those before it along an axis. */
const running = (f) => ([x], { axis: along = -1 }, shape) => {
  const made = Float64Array.from(x.data), strides = stridesOf(shape), k = counted(along, shape.length);
  if (!made.length) return made;
  const before = offsets(shape.map((n, j) => axis(j === k ? n - 1 : n, strides[j]))); // all but the last ones
  for (const at of before) made[at + strides[k]] = f(made[at + strides[k]], made[at]);
  return made;
};

/** The pairs of neighbours along an axis of an array of a shape: the first of each, and how far the second is from it. */
function neighbours(shape, along) {
  const strides = stridesOf(shape), k = counted(along, shape.length);
  return [offsets(shape.map((n, j) => axis(j === k ? Math.max(n - 1, 0) : n, strides[j]))), strides[k]];
}

/** Where the elements are that indices along an axis take from an array of a shape. */
function placesAlong(shape, indices, along) {
  const k = counted(along, shape.length), strides = stridesOf(shape);
  const whole = shape.map((n, j) => (j === k ? indices.shape[j] : Math.max(n, indices.shape[j])));
  const rows = offsets(shape.map((n, j) => axis(whole[j], j === k || n === 1 ? 0 : strides[j]))), at = broadcast(indices, whole);
  return rows.map((first, i) => first + (at[i] < 0 ? at[i] + shape[k] : at[i]) * strides[k]);
}

/** The order in which the elements along an axis are sorted, NaNs last; of equal ones the first comes first. */
function orderAlong(x, along) {
  const k = counted(along, x.shape.length), strides = stridesOf(x.shape), n = x.shape[k], made = new Float64Array(x.data.length);
  const compared = (a, b) => (isNaN_(a) || isNaN_(b) ? isNaN_(a) - isNaN_(b) : a - b);
  for (const row of offsets(x.shape.map((size, j) => axis(j === k ? Math.min(size, 1) : size, strides[j])))) {
    const at = (i) => x.data[row + i * strides[k]];
    Array.from({ length: n }, (_, i) => i).sort((i, j) => compared(at(i), at(j))).forEach((i, rank) => (made[row + rank * strides[k]] = i));
  }
  return made;
}

/** The sum of a diagonal. */
function trace([x], { offset = 0, axis1 = 0, axis2 = 1 }, shape) {
  const [a, b] = [counted(axis1, x.shape.length), counted(axis2, x.shape.length)], axes = axesOf(x.shape);
  const down = axes[a].slice(Math.max(0, -offset)), across = axes[b].slice(Math.max(0, offset));
  const diagonal = down.slice(0, across.length).map((place, i) => place + across[i]);
  const all = offsets([...axes.filter((_, k) => k !== a && k !== b), diagonal]), made = new Float64Array(sizeOf(shape));
  all.forEach((place, i) => (made[Math.floor(i / diagonal.length)] += x.data[place]));
  return made;
}

const PRIMITIVES = {
  ...Object.fromEntries(Object.entries({ ...UNARY, ...BINARY }).map(([name, f]) => [name, elementwise(f)])),
  ...POOLING,
  conv, conv_x: convX, conv_w: convW,

  // Each element by itself
  astype: ([x], options, shape, dtype) => ({ int64: x.data.map(Math.trunc), bool: x.data.map(Boolean) })[dtype] ?? x.data,
  where: elementwise((c, a, b) => (c ? a : b)),
  clip: ([x, low, high], options, shape) =>
    mapped((v, a, b) => Math.min(Math.max(v, a), b), [x, bound(low, -Infinity), bound(high, Infinity)], shape),
  leaky_relu: shaped(({ negative_slope: slope }) => (x) => (x > 0 ? x : slope * x)),
  elu: shaped(({ alpha }) => (x) => (x > 0 ? x : alpha * Math.expm1(x))),
  elu_slope: shaped(({ alpha }) => (x) => (x > 0 ? 1 : alpha * Math.exp(x))),
  hardtanh: shaped(({ low, high }) => (x) => Math.min(Math.max(x, low), high)),
  round: shaped(({ decimals: d = 0 }) => (x) => (d < 0 ? rint(x / 10 ** -d) * 10 ** -d : rint(x * 10 ** d) / 10 ** d)),
  zeros_like: (args, options, shape) => new Float64Array(sizeOf(shape)),
  ones_like: (args, options, shape) => new Float64Array(sizeOf(shape)).fill(1),

  // Reductions
  sum: reducing((a, b) => a + b, 0),
  prod: reducing((a, b) => a * b, 1),
  max: reducing(Math.max, -Infinity),
  min: reducing(Math.min, Infinity),
  any: reducing((a, b) => a || b, 0),
  all: reducing((a, b) => a && b, 1),
  mean: ([x], { axis, where }) => mean(x, listOf(axis), chosenBy(where, x)).data,
  var: variance,
  std: (args, options) => variance(args, options).map(Math.sqrt),
  sum_rows: ([x]) => sum(x, [0]).data,
  cumsum: running((a, b) => a + b),
  cumprod: running((a, b) => a * b),
  two_norm: (args, { axis }) => reduced((s, x) => s + x * x, 0, args[0], listOf(axis)).data.map(Math.sqrt),
  p_norm: ([x], { ord, axis }) => reduced((s, v) => s + Math.abs(v) ** ord, 0, x, listOf(axis)).data.map((s) => s ** (1 / ord)),
  trace,
  chosen: elementwise((x, y, where) => where && (x === y || (isNaN_(x) && isNaN_(y)))),
  even_share([chosen, y], { axis, initial }) {
    const tied = sum(chosen, listOf(axis)).data, more = initial?.data?.[0] ?? initial;
    return tied.map((n, k) => 1 / (n + (more !== undefined && (y.data[k] === more || isNaN_(more)))));
  },
  softmax,
  log_softmax([x], { axis }) {
    const { below, excess } = logSum(x, listOf(axis));
    return mapped((a, b) => a - b, [below, excess], x.shape);
  },
  logsumexp([x], { axis }) {
    const { largest, excess } = logSum(x, listOf(axis));
    return largest.data.map((v, k) => v + excess.data[k]);
  },

  // Losses
  mse_loss: loss((p, t) => (p - t) * (p - t)),
  binary_cross_entropy: ([z, , t], options) => loss((v, y) => Math.log1p(Math.exp(-Math.abs(v))) + v * ((v > 0) - y))([z, t], options),
  cross_entropy: ([, q, t], options) => loss((v, y) => (y === 0 ? 0 : -y * v))([q, t], options),
  of_each_probability: ([p, t], options, shape, dtype) => mapped(crossEntropy(TINY[dtype]), [p, t], shape),
  cross_entropy_of_probabilities: ([p, t], options, shape, dtype) => loss(crossEntropy(TINY[dtype]))([p, t], options),
  rows_of_labels: rowsOfLabels,

  // Normalisation: what is computed of each group, given its mean
  variance: ([x, m], { axes }) => mean(array(x.shape, mapped((a, b) => (a - b) * (a - b), [x, m], x.shape)), axes).data,
  standardised: ([x, m, scale], options, shape) => mapped((a, b, c) => (a - b) * c, [x, m, scale], shape),
  slope([dy, normal, scale], { axes }, shape) {
    const level = mean(dy, axes), along = mean(array(shape, mapped((a, b) => a * b, [dy, normal], shape)), axes);
    const centred = mapped((a, b, c) => a - b * c, [array(shape, mapped((a, b) => a - b, [dy, level], shape)), normal, along], shape);
    return mapped((a, b) => a * b, [array(shape, centred), scale], shape);
  },

  // Products
  product: ([a, b], options, shape) => matrixProduct(a, b, shape),
  linear([x, weight, bias], options, shape) {
    const rows = array([x.data.length / x.shape.at(-1), x.shape.at(-1)], x.data, x.dtype);
    const product = matrixProduct(rows, weight, [rows.shape[0], shape.at(-1)]);
    return mapped((a, b) => a + b, [array(shape, product), bias], shape);
  },
  einsum: (operands, { subscripts, output }) => contracted(operands, subscripts, output),
  tensordot: ([a, b], { axes }) => tensordot(a, b, ...(typeof axes === "number" ? [[...axis(axes, 1, -axes)], [...axis(axes, 1)]] : axes)),
  dot: ([a, b]) => dot(a, b, Math.max(b.shape.length - 2, 0)),
  inner: ([a, b]) => dot(a, b, -1),
  vdot: ([a, b]) => [total(a.data.map((x, k) => x * b.data[k]))],
  vecdot([a, b], options, shape) {
    const all = [...shape, a.shape.at(-1)];
    return sum(array(all, mapped((x, y) => x * y, [a, b], all)), [shape.length]).data;
  },

  matvec: ([a, b], options, shape) => matrixProduct(a, array([...b.shape, 1], b.data), [...shape, 1]),
  vecmat: ([a, b], options, shape) => matrixProduct(array(a.shape.toSpliced(-1, 0, 1), a.data), b, shape.toSpliced(-1, 0, 1)),
  convolve([a, v], options, shape) {
    const made = new Float64Array(sizeOf(shape));
    a.data.forEach((x, i) => v.data.forEach((y, j) => (made[i + j] += x * y)));
    return made;
  },

  // The same elements elsewhere
  moved: ([x, places, others], options, shape) =>
    others ? mapped((at, other) => (at < 0 ? other : x.data[at]), [places, others], shape) : mapped((at) => (at < 0 ? 0 : x.data[at]), [places], shape),
  added_back: ([x, places], options, shape) => addedAt(places.data, x.data, sizeOf(shape)),
  take_along_axis: ([x], { indices, axis: along }) => taken(x.data, placesAlong(x.shape, indices, along)),
  put_back: ([x], { indices, axis: along }, shape) => addedAt(placesAlong(shape, indices, along), x.data, sizeOf(shape)),
  order: ([x], { axis: along }) => orderAlong(x, along),
  sort: ([x], { axis: along }) => taken(x.data, placesAlong(x.shape, array(x.shape, orderAlong(x, along)), along)),
  reordered: ([x], { order, axis: along }, shape) => addedAt(placesAlong(shape, order, along), x.data, sizeOf(shape)),
  differences([x], { axis: along }) {
    const [first, step] = neighbours(x.shape, along);
    return Float64Array.from(first, (at) => x.data[at + step] - x.data[at]);
  },
  differences_back([x], { axis: along }, shape) {
    const [first, step] = neighbours(shape, along), made = new Float64Array(sizeOf(shape));
    first.forEach((at, i) => {
      made[at] -= x.data[i];
      made[at + step] += x.data[i];
    });
    return made;
  },
  reshape: ([x]) => x.data,
  transpose: ([x], { axes }) => taken(x.data, offsets(axes.map((k) => axesOf(x.shape)[k]))),
  broadcast_to: ([x], options, shape) => broadcast(x, shape),
  flip([x], { axis: along }, shape) {
    const turned = axesAmong(listOf(along), shape);
    return taken(x.data, offsets(axesOf(shape).map((places, k) => (turned.has(k) ? places.reverse() : places))));
  },
  getitem: ([x], { index }) => taken(x.data, selection(x.shape, index).places),
  scatter: ([x], { index }, shape) => addedAt(selection(shape, index).places, x.data, sizeOf(shape)),
  setitem([x, value], { index }, shape) {
    const made = Float64Array.from(x.data), taken = selection(shape, index), numbers = broadcast(value, taken.shape);
    taken.places.forEach((at, k) => (made[at] = numbers[k]));
    return made;
  },
  concatenate(arrays, { axis: along, starts }, shape) {
    const made = new Float64Array(sizeOf(shape)), strides = stridesOf(shape);
    arrays.forEach((a, n) => {
      const places = offsets(a.shape.map((size, k) => axis(size, strides[k], k === along ? starts[n] * strides[k] : 0)));
      places.forEach((at, k) => (made[at] = a.data[k]));
    });
    return made;
  },
};
