/** Pictures that were made: a grid of them, one of them large, and what can be done with it. */

import { byId, button, copy, make, notice, say } from "./dom.js";
import { chosenBundle, fill, putSeed } from "./form.js";
import { beginFrom } from "./init.js";
import { forgetPicture, forgetPictures, keepPicture, keptPictures } from "./store.js";

const MOST = 200;
const records = []; // newest first
let kept = true;
let shown = null;
let gone = null;

/** Show what is kept from earlier, and listen. `forgotten` is told of pictures that are. */
export async function setUpHistory(forgotten) {
  gone = forgotten;
  byId("forget").onclick = forgetAll;
  byId("viewer-close").onclick = () => byId("viewer").close();
  byId("newer").onclick = () => step(-1);
  byId("older").onclick = () => step(1);
  byId("again").onclick = () => putSeed(records[0].body.seed);
  byId("viewer").onkeydown = ({ key }) => {
    if (key === "ArrowLeft") step(-1);
    if (key === "ArrowRight") step(1);
  };
  byId("viewer-image").onclick = () => { byId("viewer").classList.toggle("whole"); };
  byId("viewer").onclose = () => byId("viewer").classList.remove("whole");
  const found = await keptPictures().catch(notKept);
  found.forEach(dress);
  records.push(...found.sort((a, b) => b.made - a.made || a.key.localeCompare(b.key)));
  byId("grid").replaceChildren(...records.map((each) => each.item));
  showCount();
}

/** A picture that was just made; gives it with the URL it is shown by. */
export async function addPicture(record) {
  const known = records.find((each) => each.key === record.key);
  if (known) return known;
  if (kept) await keepPicture(record).catch(notKept);
  dress(record);
  records.unshift(record);
  byId("grid").prepend(record.item);
  while (records.length > MOST) await forget(records.at(-1));
  showCount();
  return record;
}

/** What can be done with a picture. */
export function actionsOf(record) {
  return [
    button("Use these settings", () => use(record)),
    button("Begin from it", async () => { byId("viewer").close(); await beginFrom(record.blob); }),
    button("Copy settings", async (event) => {
      await copy(record.text).then(() => flash(event.target, "Copied"), notice);
    }),
    make("a", { className: "quiet", href: record.url, download: fileName(record) }, "Download"),
  ];
}

/** Show a picture large. */
export function openPicture(record) {
  shown = record;
  const place = records.indexOf(record);
  byId("viewer-image").src = record.url;
  byId("viewer-image").alt = record.body.prompt;
  byId("viewer-image").style.setProperty("--width", record.body.width);
  byId("viewer-image").style.setProperty("--height", record.body.height);
  byId("viewer-text").textContent = record.text;
  byId("viewer-notes").replaceChildren(...record.notes.map((note) => make("li", {}, note)));
  const drop = button("Forget", () => { byId("viewer").close(); forget(record); });
  byId("viewer-actions").replaceChildren(...actionsOf(record), drop);
  byId("newer").disabled = place <= 0;
  byId("older").disabled = place < 0 || place === records.length - 1;
  if (!byId("viewer").open) byId("viewer").showModal();
}

/** Give a picture the URL it is shown by and its place in the grid. */
function dress(record) {
  record.url = URL.createObjectURL(record.blob);
  const words = record.body.prompt || "(no prompt)";
  const image = make("img", { src: record.url, alt: words, loading: "lazy" });
  const open = make("button", { type: "button", className: "thumb", title: words }, image);
  open.onclick = () => openPicture(record);
  record.item = make("li", {}, open);
}

function undress(record) {
  record.item.remove();
  URL.revokeObjectURL(record.url);
  gone(record);
  showCount();
}

function step(by) {
  const next = records[records.indexOf(shown) + by];
  if (next) openPicture(next);
}

function use(record) {
  fill(record.body);
  byId("viewer").close();
  byId("prompt").focus();
  if (record.body.bundle !== chosenBundle().name) {
    notice({ what: `The bundle ${record.body.bundle} is not served here any more.`, calm: true });
  }
  say("The settings are in the form.");
}

async function forget(record) {
  if (kept) await forgetPicture(record.key).catch(notice);
  records.splice(records.indexOf(record), 1);
  undress(record);
}

async function forgetAll() {
  const lost = "Those you have not downloaded are gone.";
  if (!confirm(`Forget all pictures of the history? ${lost}`)) return;
  if (kept) await forgetPictures().catch(notice);
  records.splice(0).forEach(undress);
}

function showCount() {
  byId("history").hidden = records.length === 0;
  byId("again").disabled = records.length === 0;
  byId("kept").textContent = `${records.length}, kept in this browser; at most ${MOST}`;
}

/** Some browsers keep nothing, in private windows for one; then this tab does while it is open. */
function notKept(error) {
  if (kept) {
    const what = "This browser keeps no pictures: a reload forgets them.";
    notice({ what, note: `${error?.message ?? error}.`, calm: true });
  }
  kept = false;
  return [];
}

function fileName({ body, made, blob }) {
  const time = new Date(made).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  return `sakuga-${time}-${body.seed}.${blob.type.replace("image/", "").replace("jpeg", "jpg")}`;
}

function flash(element, words) {
  const usual = element.textContent;
  element.textContent = words;
  say(words);
  setTimeout(() => { element.textContent = usual; }, 1500);
}
