/** What a model's card says: licence, advice, the words it wants, its special tags. */

import { byId, make } from "./dom.js";

let shownCard = "";
let shownTags = "";

/** Licence, source and advice. */
export function showCard(bundle, preset) {
  const key = `${bundle.name}/${preset.name}`;
  if (key !== shownCard) {
    shownCard = key;
    const licence = preset.licence ?? { name: bundle.licence || "not known", meaning: "" };
    byId("licence").textContent = `Licence: ${licence.name}`;
    byId("card").replaceChildren(...cardLines(bundle, preset, licence));
    showWords(preset);
    showHints(preset);
    byId("example").hidden = !preset.example;
  }
}

/** Tags to put into the prompt or take out of it; those it holds are marked. */
export function showTags(preset, changed) {
  if (preset.name !== shownTags) {
    shownTags = preset.name;
    const groups = preset.tags ?? [];
    byId("tags").hidden = groups.length === 0;
    byId("tag-groups").replaceChildren(...groups.map((group) => tagGroup(group, changed)));
  }
  const held = new Set(tagsOf(byId("prompt").value).map(plain));
  for (const chip of byId("tag-groups").querySelectorAll(".chip")) {
    chip.ariaPressed = String(tagsOf(chip.textContent).every((tag) => held.has(plain(tag))));
  }
}

function cardLines(bundle, preset, licence) {
  const line = (...parts) => make("p", {}, ...parts);
  const order = (preset.order ?? []).map((slot) => slot.slot).join(", ");
  const merged = bundle.loras.length ? `LoRAs merged into it: ${bundle.loras.join(", ")}.` : "";
  const embeddings = bundle.embeddings.length ? `Embeddings: ${bundle.embeddings.join(", ")}.` : "";
  const avoid = (preset.avoid ?? [])
    .map(({ what, where, reason }) => `No ${what} (${where}): ${reason}.`);
  const hash = bundle.model_hash ? `, ${bundle.model_hash}` : "";
  return [
    line(licence.meaning, " ", linked(licence.url, "Its text")),
    preset.source && line("Card: ", linked(preset.source, preset.source)),
    order && line(`Order of a prompt: ${order}.`),
    ...[...(preset.advice ?? []), ...avoid, merged, embeddings].map((text) => text && line(text)),
    line(`Model: ${bundle.model}, ${bundle.family}${hash}.`),
  ].filter(Boolean);
}

function linked(url, words) {
  if (!/^https?:/.test(url ?? "")) return url ? words : "";
  return make("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, words);
}

function showWords({ prefix, suffix }) {
  const words = [prefix && `before: ${prefix}`, suffix && `behind: ${suffix}`].filter(Boolean);
  byId("words").hidden = words.length === 0;
  byId("words-text").textContent = words.join("; ");
}

function showHints({ steps_range: steps, guidance_range: guidance }) {
  const hint = (range) => (range ? `the card: ${range[0]} to ${range[1]}` : "");
  byId("steps-hint").textContent = hint(steps);
  byId("guidance-hint").textContent = hint(guidance);
}

function tagGroup({ group, meaning, tags }, changed) {
  const chips = tags.map((tag) => make("button", {
    type: "button", className: "chip", title: tag.meaning, ariaPressed: "false",
    onclick: () => { toggle(tag.tag); changed(); },
  }, tag.tag));
  const title = make("p", {}, make("strong", {}, group), " ", make("small", {}, meaning));
  return make("div", { className: "group" }, title, make("div", { className: "chips" }, ...chips));
}

function toggle(text) {
  const prompt = byId("prompt");
  const wanted = tagsOf(text);
  const isWanted = (tag) => wanted.some((each) => plain(each) === plain(tag));
  const held = tagsOf(prompt.value).filter(isWanted);
  if (held.length === wanted.length) {
    const others = prompt.value.split(",").filter((tag) => !isWanted(tag));
    prompt.value = others.join(",").trimStart();
  } else {
    const before = prompt.value.replace(/[,\s]*$/, "");
    const missing = wanted.filter((tag) => !held.map(plain).includes(plain(tag)));
    prompt.value = [before, ...missing].filter(Boolean).join(", ");
  }
}

const tagsOf = (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean);
const plain = (tag) => tag.toLowerCase().replaceAll("_", " ").trim();
