/** What is done to a picture after its first pass: a hires pass, and a pass over what is found. */

import { byId, option } from "./dom.js";

const HIRES = { scale: "hires-scale", upscaler: "hires-upscaler", strength: "hires-strength" };
const DETAIL = { model: "detail-model", strength: "detail-strength" };
const FIELDS = Object.values({ ...HIRES, ...DETAIL });
const SWITCHES = ["hires", "detail"];
const SLIDERS = ["hires-strength", "detail-strength"];
const TEXTS = ["upscaler", "model"];

// What a picture says of its stages and the form has no element for.
let more = { hires: {}, detail: {}, others: [] };

/** Listen. */
export function setUpStages() {
  for (const id of SLIDERS) {
    byId(`${id}-range`).oninput = () => { byId(id).value = byId(`${id}-range`).value; };
  }
  for (const id of SWITCHES) {
    byId(id).addEventListener("input", () => { if (!byId(id).checked) forgetMore(id); });
  }
}

/** Offer what a bundle has. */
export function offerTools({ upscalers, detectors }) {
  refill("hires-upscaler", upscalers);
  refill("detail-model", detectors);
  byId("detail-part").hidden = detectors.length === 0;
  if (detectors.length === 0) byId("detail").checked = false;
}

/** Fields of a job. */
export function stagesBody() {
  const job = {};
  if (byId("hires").checked) job.hires = { ...more.hires, ...read(HIRES, more.hires) };
  if (byId("detail").checked) {
    job.detail = [{ ...more.detail, ...read(DETAIL, more.detail) }, ...more.others];
  }
  return job;
}

/** Put a job's stages into the form. */
export function fillStages({ hires, detail = [] }) {
  const [first, ...others] = detail;
  byId("hires").checked = Boolean(hires);
  byId("detail").checked = Boolean(first);
  more = { hires: rest(hires, HIRES), detail: rest(first, DETAIL), others };
  if (hires) write(HIRES, { scale: 2, upscaler: "latent", strength: 0.7, ...hires });
  if (first) write(DETAIL, { model: "face", strength: 0.4, ...first });
  if (hires || first) byId("stages").open = true;
}

/** What outlives a reload. */
export function keptStages() {
  const values = Object.fromEntries(FIELDS.map((id) => [id, byId(id).value]));
  return { values, on: SWITCHES.filter((id) => byId(id).checked), more };
}

/** Put it back. */
export function restoreStages(kept) {
  if (!kept) return;
  for (const id of FIELDS) if (id in kept.values) put(id, kept.values[id]);
  for (const id of SWITCHES) byId(id).checked = kept.on.includes(id) && !partOf(id).hidden;
  more = kept.more;
}

/** Bring everything that follows from the fields up to date. */
export function showStages() {
  for (const id of SLIDERS) byId(`${id}-range`).value = byId(id).value;
  for (const id of SWITCHES) {
    const off = !byId(id).checked;
    byId(`${id}-fields`).hidden = off;
    for (const field of byId(`${id}-fields`).querySelectorAll("input, select")) {
      field.disabled = off; // so that what it holds is not checked
    }
  }
  const count = more.others.length;
  const words = [
    ...Object.entries({ ...more.hires, ...more.detail }).map(([name, value]) =>
      `${name.replaceAll("_", " ")} ${value}`),
    ...(count ? [`${count} more of the detailer`] : []),
  ];
  byId("stages-more").textContent = words.length ? `Also as in the picture: ${words.join(", ")}` : "";
}

const partOf = (id) => byId(`${id}-part`);

function read(fields, { size }) {
  const names = Object.keys(fields).filter((name) => name !== "scale" || !size);
  return Object.fromEntries(names.map((name) => {
    const { value } = byId(fields[name]);
    return [name, TEXTS.includes(name) ? value : Number(value)];
  }));
}

function write(fields, values) {
  for (const [name, id] of Object.entries(fields)) put(id, values[name]);
}

function rest(stage, fields) {
  return Object.fromEntries(Object.entries(stage ?? {}).filter(([name]) => !(name in fields)));
}

function forgetMore(id) {
  if (id === "hires") more = { ...more, hires: {} };
  else more = { ...more, detail: {}, others: [] };
}

function refill(id, names) {
  const before = byId(id).value;
  byId(id).replaceChildren(...names.map((name) => option(name)));
  if (names.includes(before)) byId(id).value = before;
}

function put(id, value) {
  const element = byId(id);
  element.value = value;
  if (element.tagName === "SELECT" && element.value !== String(value)) {
    element.append(option(value)); // another spelling of a name, which the server understands
    element.value = value;
  }
}
