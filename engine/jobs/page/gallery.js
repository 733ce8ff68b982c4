"use strict";
// A picture is a list: its file, the text of its settings, how long the prompt is in front of that
// text, its id, its seed, and the values of COLUMNS.
const COLUMNS = ["Size", "Sampler", "Schedule", "Steps", "Guidance"];
const FIRST_COLUMN = 5;
const AT_ONCE = 120; // pictures put on the page as it is scrolled to its end

const byId = (id) => document.getElementById(id);
const pictures = JSON.parse(byId("data").textContent).map((row) => ({
  row,
  file: row[0],
  settings: row[1],
  prompt: row[1].slice(0, row[2]).toLowerCase(),
  id: row[3],
  seed: row[4],
}));
const choices = COLUMNS.map((name, at) => addChoice(name, FIRST_COLUMN + at));
let shown = [];
let placed = 0;

/** A menu of the values of a column; none where all pictures have the same. */
function addChoice(name, at) {
  const counts = new Map();
  for (const { row } of pictures) counts.set(row[at], (counts.get(row[at]) ?? 0) + 1);
  if (counts.size < 2) return () => true;
  const label = document.createElement("label");
  const menu = document.createElement("select");
  const order = (a, b) => String(a).localeCompare(String(b), undefined, { numeric: true });
  menu.append(new Option("all", ""));
  const values = [...counts.keys()].sort(order);
  values.forEach((value, i) => menu.append(new Option(`${value} (${counts.get(value)})`, i)));
  label.append(`${name} `, menu);
  byId("filters").append(label);
  return (row) => menu.value === "" || row[at] === values[Number(menu.value)];
}

function filter() {
  const words = byId("words").value.toLowerCase().split(/[\s,]+/).filter((word) => word && word !== "-");
  const seed = byId("seed").value.trim();
  const fits = (picture) =>
    (seed === "" || picture.seed === seed) &&
    words.every((word) =>
      word.startsWith("-") ? !picture.prompt.includes(word.slice(1)) : picture.prompt.includes(word),
    ) &&
    choices.every((choice) => choice(picture.row));
  shown = pictures.filter(fits);
  placed = 0;
  byId("pictures").replaceChildren();
  byId("count").textContent = `${shown.length} of ${pictures.length} pictures. Click one to copy its settings.`;
  more();
}

/** Put some more pictures on the page, until its end is out of sight. */
function more() {
  const next = shown.slice(placed, placed + AT_ONCE);
  placed += next.length;
  byId("pictures").append(...next.map(figure));
  if (next.length && byId("end").getBoundingClientRect().top < 2 * innerHeight) requestAnimationFrame(more);
}

/** Everything a picture says becomes text or an attribute's value, never markup. */
function figure(picture) {
  const address = picture.file.split("/").map(encodeURIComponent).join("/");
  const [width, height] = picture.row[FIRST_COLUMN].split("x");
  const image = Object.assign(document.createElement("img"), {
    loading: "lazy", decoding: "async", src: address, alt: picture.id, width, height,
  });
  const button = Object.assign(document.createElement("button"), { type: "button", title: picture.settings });
  button.append(image);
  button.addEventListener("click", () => copy(picture));
  const name = Object.assign(document.createElement("span"), { title: picture.id });
  name.textContent = `${picture.id} · ${picture.seed}`;
  const link = Object.assign(document.createElement("a"), { href: address, target: "_blank", rel: "noopener" });
  link.textContent = "open";
  const caption = document.createElement("figcaption");
  caption.append(name, link);
  const whole = document.createElement("figure");
  whole.append(button, caption);
  return whole;
}

async function copy(picture) {
  try {
    await navigator.clipboard.writeText(picture.settings);
    tell(`Copied the settings of ${picture.id}.`);
  } catch {
    tell(copyOldWay(picture.settings) ? `Copied the settings of ${picture.id}.` : "The browser does not let this page copy.");
  }
}

/** For pages a browser does not trust with its clipboard. */
function copyOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

let silence;
function tell(text) {
  const told = byId("told");
  told.textContent = text;
  told.hidden = false;
  clearTimeout(silence);
  silence = setTimeout(() => { told.hidden = true; }, 2000);
}

byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && more(), {
  rootMargin: "100%",
}).observe(byId("end"));
filter();
