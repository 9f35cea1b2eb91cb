// The page of a training: its charts, and what there was after the epoch that the slider stands at.

/** Of each weight, the largest magnitude in all frames: what the strongest colour stands for. */
const limits = {};
for (const frame of data.frames) {
  for (const image of frame.images) limits[image.name] = Math.max(limits[image.name] ?? 0, image.limit);
}

function weightPicture(image, epoch) {
  const what = image.units ? `${image.units} units, each with its inputs as an image` : "inputs down, units across";
  const words = `${image.name} ${shapeText(data.shapes[image.name])}, magnitudes up to ${digits(image.limit)}; ${what}`;
  const picture = heatMap(image, `${words}, after epoch ${epoch}`, 340, 340, limits[image.name]);
  return html("figure", {}, picture, html("figcaption", {}, words));
}

function showFrame(k) {
  const { epoch, images, regions } = data.frames[k];
  byId("chosen").textContent = `${epoch} of ${data.epoch}`;
  byId("epoch").setAttribute("aria-valuetext", `epoch ${epoch}`);
  byId("regions").replaceChildren(...(regions ? [planePicture(regions, epoch)] : []));
  byId("images").replaceChildren(...images.map((image) => weightPicture(image, epoch)));
}

/** Reads the page again when there may be a newer one, unless somebody looks at an earlier epoch or said not to. */
function follow() {
  const seconds = Math.min(60, Math.max(2, data.seconds / data.epoch));
  setTimeout(() => {
    if (byId("live").checked && Number(byId("epoch").value) === data.frames.length - 1) location.reload();
    else follow();
  }, 1000 * seconds);
}

byId("title").textContent = `Training after ${count(data.epoch, "epoch")}`;
const state = data.goes_on ? "goes on" : data.stopped || "ended by an error";
byId("facts").textContent = `${count(data.parameters, "number")} learned in ${digits(data.seconds)} s by ${data.optimizer}; ${state}`;
byId("kind").textContent = data.model.split("(", 1)[0];
byId("model").textContent = data.model;
byId("about").open = data.model.split("\n").length <= 12;
byId("following").hidden = !data.goes_on;
byId("charts").append(...data.charts.map(chart));
byId("plane").hidden = !data.frames.some((frame) => frame.regions);
byId("weights").hidden = !data.frames.some((frame) => frame.images.length);
byId("over").hidden = byId("plane").hidden && byId("weights").hidden;
byId("epoch").max = data.frames.length - 1;
byId("epoch").value = data.frames.length - 1;
byId("epoch").addEventListener("input", () => showFrame(Number(byId("epoch").value)));
showFrame(data.frames.length - 1);
if (data.goes_on) follow();
