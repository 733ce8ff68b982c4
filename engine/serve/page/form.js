/** The form: from the server's offer to a job, and back from a job. */

import { byId, button, make, option } from "./dom.js";
import { showCard, showTags } from "./card.js";
import { fillInit, initBody, setUpInit, showInit } from "./init.js";
import { drawShapes, markShape, swapSides } from "./shapes.js";
import {
  fillStages, keptStages, offerTools, restoreStages, setUpStages, showStages, stagesBody,
} from "./stages.js";
import { recall, remember } from "./store.js";
import { withWords } from "./words.js";

// Fields of a job and the elements they are typed into. A preset says something of the first few.
const USUAL = {
  negative_prompt: "negative", width: "width", height: "height", steps: "steps",
  guidance: "guidance", sampler: "sampler", schedule: "schedule", clip_skip: "clip-skip",
};
const OWN = {
  prompt: "prompt", seed: "seed", variation_strength: "variation-strength",
  variation_seed: "variation-seed", format: "format",
};
const FIELDS = Object.values({ ...USUAL, ...OWN });
const NUMBERS = ["width", "height", "steps", "guidance", "clip_skip", "variation_strength"];
const SLIDERS = ["steps", "guidance"];
// Fields that pictures bring along and that have no element: they are shown, and can be dropped.
const CARRIED = {
  compat: "Compat", rng: "Noise", eta: "Eta", s_noise: "Sigma noise", seed_resize: "Seed of size",
  ensd: "ENSD", emphasis: "Emphasis", pad_conds: "Padded prompts",
  guidance_interval: "Guidance interval", negative_prompt: "Negative prompt", upscale: "Upscaler",
};
const NO_PRESET = "none";

let offer = null;
let carried = {};
let followed = null; // the preset whose settings stand in the form, where nobody changed them

/** Fill the form for what the server offers, and with what was in it before a reload. */
export function setUp(found) {
  offer = found;
  byId("bundle").replaceChildren(...offer.bundles.map((each) => option(each.name)));
  byId("sampler").replaceChildren(...offer.samplers.map((name) => option(name)));
  byId("schedule").replaceChildren(...offer.schedules.map((name) => option(name)));
  listen();
  const kept = recall("form", null);
  if (kept && offer.bundles.some((each) => each.name === kept.bundle)) restore(kept);
  else chooseBundle(offer.bundles[0].name);
}

/** The bundle that is chosen, as the server tells of it. */
export const chosenBundle = () => offer.bundles.find((each) => each.name === byId("bundle").value);

/** The preset that is chosen. */
export const chosenPreset = () =>
  chosenBundle().presets.find((each) => each.name === byId("preset").value);

/** The job that the form describes, complete: a seed that is left open is chosen here. */
export function body() {
  const job = { bundle: byId("bundle").value, prefix: wordsAdded() ? "preset" : "none" };
  for (const [name, id] of Object.entries({ ...USUAL, ...OWN })) {
    const value = byId(id).value;
    if (value !== "" || name === "prompt" || name === "negative_prompt") {
      job[name] = NUMBERS.includes(name) ? Number(value) : value;
    }
  }
  job.seed = seedOf(job.seed);
  if (job.variation_strength) job.variation_seed = seedOf(job.variation_seed);
  else for (const name of ["variation_strength", "variation_seed"]) delete job[name];
  job.count = Number(byId("form").elements.count.value);
  job.preview_every = Math.max(1, Math.round(job.steps / 30));
  return { ...job, ...carried, ...initBody(), ...stagesBody() };
}

/** Put a job into the form. */
export function fill(job) {
  const known = offer.bundles.some((each) => each.name === job.bundle);
  if (known && job.bundle !== chosenBundle().name) chooseBundle(job.bundle);
  const words = (job.prefix ?? "preset") === "preset";
  if (words && !isOwn()) choosePreset(chosenBundle().preset);
  byId("prefix").checked = words;
  const empty = { clip_skip: "", schedule: "Automatic", negative_prompt: "" };
  const unsaid = { ...chosenPreset().defaults, ...empty };
  for (const [name, id] of Object.entries(USUAL)) put(id, job[name] ?? unsaid[name]);
  for (const [name, id] of Object.entries(OWN)) {
    if (name !== "format" || job.format) put(id, job[name] ?? "");
  }
  fillInit(job);
  fillStages(job);
  byId("form").elements.count.value = "1";
  carried = Object.fromEntries(Object.keys(CARRIED).filter((name) => isCarried(name, job))
    .map((name) => [name, job[name] ?? null]));
  show();
}

/** The seed of the next picture; "" for another one each time. */
export function putSeed(seed) {
  put("seed", seed);
  save();
}

function isCarried(name, job) {
  return name === "negative_prompt" ? (job[name] ?? null) === null : job[name] !== undefined;
}

function listen() {
  byId("bundle").oninput = () => chooseBundle(byId("bundle").value);
  byId("preset").oninput = () => followPreset();
  byId("sampler").oninput = () => put("schedule", "Automatic"); // which not every sampler follows
  byId("negative").addEventListener("input", () => { delete carried.negative_prompt; });
  byId("swap").onclick = () => { swapSides(); show(); };
  byId("dice").onclick = () => putSeed("");
  byId("reset").onclick = () => { carried = {}; followPreset(null); };
  byId("insert").onclick = insertWords;
  for (const name of SLIDERS) {
    byId(`${name}-range`).oninput = () => { byId(name).value = byId(`${name}-range`).value; };
  }
  setUpInit(show, takeSize);
  setUpStages();
  const form = byId("form");
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("invalid", (event) => {
    event.target.closest("details")?.setAttribute("open", "");
  }, true);
}

function chooseBundle(name) {
  byId("bundle").value = name;
  const { preset, presets, sides } = chosenBundle();
  byId("preset").replaceChildren(...presets.map((each) => {
    const own = each.name === preset && preset !== NO_PRESET;
    const chosen = option(each.name, own ? `${each.title} (its own)` : each.title);
    return Object.assign(chosen, { disabled: Boolean(each.fault), title: each.fault ?? "" });
  }));
  for (const id of ["width", "height"]) {
    Object.assign(byId(id), { min: sides.minimum, max: sides.maximum, step: sides.step });
  }
  offerTools(chosenBundle());
  choosePreset(preset);
}

/** The shape of a picture, at about the preset's size. */
function takeSize(picture) {
  const { minimum, maximum, step } = chosenBundle().sides;
  const { width, height } = chosenPreset().defaults ?? picture;
  const shrink = Math.min(1, Math.sqrt((width * height) / (picture.width * picture.height)));
  for (const side of ["width", "height"]) {
    const wanted = Math.round((picture[side] * shrink) / step) * step;
    put(side, Math.min(maximum, Math.max(minimum, wanted)));
  }
}

function choosePreset(name) {
  byId("preset").value = name;
  followPreset();
}

/** Take over what the preset says, where what one `before` it said still stands; else all of it. */
function followPreset(before = followed) {
  const { defaults } = chosenPreset();
  for (const [name, id] of Object.entries(USUAL)) {
    const changed = before?.defaults && String(before.defaults[name]) !== byId(id).value;
    if (!changed) put(id, defaults?.[name] ?? "");
  }
  followed = chosenPreset();
  show();
}

function restore(kept) {
  chooseBundle(kept.bundle);
  if (chosenBundle().presets.some((each) => each.name === kept.preset)) choosePreset(kept.preset);
  for (const id of FIELDS) if (id in kept.values) put(id, kept.values[id]);
  byId("prefix").checked = kept.prefix;
  byId("form").elements.count.value = kept.count;
  carried = kept.carried;
  restoreStages(kept.stages);
  show();
}

function save() {
  remember("form", {
    bundle: byId("bundle").value,
    preset: byId("preset").value,
    values: Object.fromEntries(FIELDS.map((id) => [id, byId(id).value])),
    prefix: byId("prefix").checked,
    count: byId("form").elements.count.value,
    carried,
    stages: keptStages(),
  });
}

/** Bring everything that follows from the fields up to date, and keep them. */
function show() {
  for (const name of SLIDERS) byId(`${name}-range`).value = byId(name).value;
  const preset = chosenPreset();
  drawShapes(preset.sizes ?? [], show);
  markShape();
  showInit();
  showStages();
  showCard(chosenBundle(), preset);
  showTags(preset, show);
  byId("prefix").parentElement.hidden = !isOwn();
  byId("insert").hidden = isOwn();
  showCarried();
  save();
}

function showCarried() {
  const chips = Object.entries(carried).map(([name, value]) => {
    const words = `${CARRIED[name]}: ${valueInWords(value)}`;
    const drop = () => { delete carried[name]; show(); };
    return button(words, drop, { className: "chip", title: "Leave it out" });
  });
  byId("carried").replaceChildren(make("small", {}, "Taken over from the picture:"), ...chips);
  byId("carried").hidden = chips.length === 0;
}

function valueInWords(value) {
  if (value === null) return "not given";
  return Object.getPrototypeOf(value) === Object.prototype ? Object.values(value).join(", ") : value;
}

const isOwn = () => byId("preset").value === chosenBundle().preset;
const wordsAdded = () => isOwn() && byId("prefix").checked;

function insertWords() {
  const rule = carried.compat ?? "a1111";
  put("prompt", withWords(byId("prompt").value, chosenPreset(), rule));
  show();
}

function put(id, value) {
  const element = byId(id);
  element.value = value;
  if (element.tagName === "SELECT" && element.value !== String(value)) {
    element.append(option(value)); // another spelling of a name, which the server understands
    element.value = value;
  }
}

const seedOf = (text) => text?.trim() || String(crypto.getRandomValues(new Uint32Array(1))[0]);
