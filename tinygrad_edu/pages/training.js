// The page of a training: its charts, and the weights after the epoch that the slider stands at.

/** Of each weight, the largest magnitude in all frames: what the strongest colour stands for. */
const limits = {};
for (const frame of data.frames) {
  for (const image of frame.images) limits[image.name] = Math.max(limits[image.name] ?? 0, image.limit);
}

/** An image in the scale of all epochs. */
function inOneScale(image) {
  const share = limits[image.name] ? image.limit / limits[image.name] : 0;
  const levels = [...atob(image.pixels)].map((pixel) => pixel.charCodeAt(0));
  const scaled = levels.map((level) => (level === NOT_FINITE ? level : MIDDLE + Math.round((level - MIDDLE) * share)));
  return { ...image, pixels: btoa(String.fromCharCode(...scaled)) };
}

function showFrame(k) {
  const { epoch, images } = data.frames[k];
  byId("chosen").textContent = `${epoch} of ${data.epoch}`;
  byId("epoch").setAttribute("aria-valuetext", `epoch ${epoch}`);
  byId("images").replaceChildren(...images.map((image) => {
    const what = image.units ? `${image.units} units, each with its inputs as an image` : "inputs down, units across";
    const words = `${image.name} ${shapeText(data.shapes[image.name])}, magnitudes up to ${digits(image.limit)}; ${what}`;
    const picture = heatMap(inOneScale(image), `${words}, after epoch ${epoch}`, 340, 340);
    return html("figure", {}, picture, html("figcaption", {}, words));
  }));
}

byId("title").textContent = `Training after ${count(data.epoch, "epoch")}`;
byId("facts").textContent = `${count(data.parameters, "number")} learned in ${digits(data.seconds)} s`;
byId("charts").append(...data.charts.map(chart));
byId("weights").hidden = !data.frames.some((frame) => frame.images.length);
byId("epoch").max = data.frames.length - 1;
byId("epoch").value = data.frames.length - 1;
byId("epoch").addEventListener("input", () => showFrame(Number(byId("epoch").value)));
showFrame(data.frames.length - 1);
