"use strict";
// The search: the index is a script beside the page, read when somebody looks for something.

const box = document.querySelector("input[type=search]");
const content = document.querySelector("#page");
const found = document.querySelector("#found");
let asked;

const loaded = () => (asked ??= new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = "search.js";
  script.onload = () => resolve(window.pdocSearch);
  script.onerror = reject;
  document.head.append(script);
}));

function item({fullname, shown, brief}) {
  const link = document.createElement("a");
  link.href = fullname;
  link.textContent = shown;
  const text = document.createElement("p");
  text.textContent = brief.replaceAll("`", "");
  const entry = document.createElement("li");
  entry.append(link, text);
  return entry;
}

// A name that is, begins with, or has what was typed stands before those that only speak of it.
function nearness({shown}, words) {
  const name = shown.slice(shown.lastIndexOf(".") + 1).toLowerCase();
  const typed = words.toLowerCase();
  return [shown.toLowerCase(), name].includes(typed) ? 3 : name.startsWith(typed) ? 2 : Number(name.includes(typed));
}

async function look() {
  const words = box.value.trim();
  content.hidden = Boolean(words);
  found.hidden = !words;
  if (!words) return;
  const search = await loaded();
  if (box.value.trim() !== words) return; // typed on meanwhile
  const results = search(words).map(({doc}) => doc).sort((a, b) => nearness(b, words) - nearness(a, words));
  const count = document.createElement("h1");
  count.textContent = results.length ? `${results.length} found for “${words}”` : `Nothing found for “${words}”`;
  const list = document.createElement("ol");
  list.append(...results.slice(0, 30).map(item));
  found.replaceChildren(count, list);
}

box.addEventListener("input", look);
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter") found.querySelector("a")?.click();
  if (event.key === "Escape") { box.value = ""; look(); }
  if (event.key === "ArrowDown") { event.preventDefault(); found.querySelector("a")?.focus(); }
});
found.addEventListener("keydown", (event) => {
  const way = {ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling"}[event.key];
  if (!way) return;
  event.preventDefault();
  (event.target.closest("li")?.[way]?.querySelector("a") ?? (way.startsWith("p") ? box : event.target)).focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
});
document.addEventListener("click", (event) => {
  if (event.target.closest("a[href]")) { box.value = ""; look(); }
});
if (box.value) look(); // the browser remembers it when one comes back
