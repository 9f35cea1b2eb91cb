"use strict";
// What the pages share: elements made of text (never of markup), numbers in words, pictures of arrays.

const data = JSON.parse(document.getElementById("data").textContent);

const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** An HTML element; children are elements or strings, which become text. */
const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same in SVG. */
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** A number to so many digits; what JSON cannot hold (NaN, ∞) comes as a word already. */
function digits(value, precision = 4) {
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return String(Number(value.toPrecision(3)).toExponential()).replaceAll("-", "−").replace("+", "");
  return String(Number(value.toPrecision(precision))).replace("-", "−");
}

/** A shape as Python writes it. */
const shapeText = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

const percent = (share) => `${digits(100 * share)} %`;

/** "1 operation", "2 operations". */
const count = (number, one, several = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : several}`;

// Pictures of arrays. A summary is what summary.py writes.

const MIDDLE = 127, NOT_FINITE = 255; // pixels: 0 and 254 are the limits

function pixelColour(level) {
  if (level === NOT_FINITE) return [204, 121, 167];
  const share = (level - MIDDLE) / MIDDLE;
  const end = share < 0 ? [0, 90, 181] : [213, 94, 0];
  return end.map((channel) => Math.round(247 + (channel - 247) * Math.abs(share)));
}

/** Blue below zero, white at zero, orange above, violet where something is not finite; within a width and a height. A
 * `limit` above the array's own is that of a scale which it shares with others. */
function heatMap(summary, label, width = 288, height = 176, limit = summary.limit) {
  const { rows, columns } = summary;
  const canvas = html("canvas", { width: columns, height: rows, role: "img", "aria-label": label, class: "heat" });
  const bytes = atob(summary.pixels);
  const image = new ImageData(columns, rows);
  const share = limit > summary.limit ? summary.limit / limit : 1;
  const level = (byte) => (byte === NOT_FINITE ? byte : MIDDLE + (byte - MIDDLE) * share);
  for (let i = 0; i < bytes.length; i++) image.data.set([...pixelColour(level(bytes.charCodeAt(i))), 255], 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
  const scale = Math.max(1, Math.min(Math.floor(width / columns), Math.floor(height / rows), 24));
  canvas.style.width = `${columns * scale}px`;
  canvas.style.height = `${rows * scale}px`;
  return canvas;
}

function histogram(summary, label) {
  const counts = summary.histogram, highest = Math.max(...counts);
  const bars = counts.map((n, i) => {
    const height = n ? Math.max(1, 44 * (n / highest)) : 0;
    return svg("rect", { x: i * 9 + 0.5, y: 46 - height, width: 8, height });
  });
  const picture = svg("svg", { viewBox: `0 0 ${9 * counts.length} 46`, role: "img", "aria-label": label }, ...bars);
  return html("div", { class: "histogram" }, picture,
    html("div", { class: "ends" }, html("span", {}, digits(summary.min)), html("span", {}, digits(summary.max))));
}

/** The values themselves: a row for each of the axes before the last. */
function valueTable(summary, shape) {
  const columns = shape.length ? shape[shape.length - 1] : 1;
  const table = html("table", { class: "values" });
  for (let i = 0; i < summary.values.length; i += columns) {
    table.append(html("tr", {}, ...summary.values.slice(i, i + columns).map((v) => html("td", {}, digits(v)))));
  }
  return html("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "values" }, table);
}

function statistics(summary) {
  const facts = ["min", "mean", "max", "std", "norm"].map((name) => [name, digits(summary[name])]);
  facts.push(["zeros", percent(summary.zeros)]);
  if (summary.nan) facts.push(["NaN", summary.nan.toLocaleString("en")]);
  if (summary.infinite) facts.push(["±∞", summary.infinite.toLocaleString("en")]);
  return html("dl", { class: "statistics" },
    ...facts.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))));
}

/** All that is known of an array: statistics, histogram, image, and the values of a small one. */
function arrayPicture(summary, shape, of) {
  const parts = [];
  if (summary.size === 0) return [html("p", {}, "no elements")];
  if (summary.size === 1) return [html("p", { class: "scalar" }, digits(summary.values[0]))];
  if (summary.histogram) {
    parts.push(statistics(summary), histogram(summary, `Histogram of ${of}`));
    const scale = `from −${digits(summary.limit)} (blue) to ${digits(summary.limit)} (orange)`;
    parts.push(heatMap(summary, `Image of ${of}, ${scale}`));
    const reduced = summary.rows * summary.columns < summary.size ? "means over blocks, " : "";
    parts.push(html("p", { class: "note" }, reduced + scale + (summary.nan || summary.infinite ? ", violet: not finite" : "")));
  } else {
    parts.push(html("p", {}, `nothing is finite: ${summary.nan} NaN, ${summary.infinite} ±∞`));
  }
  if (summary.values) parts.push(valueTable(summary, shape));
  return parts;
}
