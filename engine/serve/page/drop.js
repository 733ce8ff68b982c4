/** Pictures that are dropped, pasted or chosen, for the settings in them or to begin from. */

import { request } from "./api.js";
import { button, byId, notice, say } from "./dom.js";
import { chosenBundle, fill } from "./form.js";
import { beginFrom } from "./init.js";

/** Take pictures from everywhere on the page. */
export function setUpDrop() {
  let depth = 0; // of the elements a drag is over
  const show = (change) => {
    depth = Math.max(0, depth + change);
    byId("drop").hidden = depth === 0;
  };
  const listen = (name, act) => window.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    act(event);
  });
  listen("dragenter", () => show(1));
  listen("dragleave", () => show(-1));
  listen("dragover", (event) => { event.dataTransfer.dropEffect = "copy"; });
  listen("drop", (event) => { show(-depth); readFirst(event.dataTransfer.files); });
  window.addEventListener("paste", ({ clipboardData }) => readFirst(clipboardData.files));
  byId("read").onclick = () => byId("file").click();
  byId("file").onchange = async () => {
    await readFirst(byId("file").files);
    byId("file").value = ""; // so that the same one can be chosen again
  };
}

async function readFirst([file]) {
  if (!file) return;
  const action = button("Begin from this picture", () => beginFrom(file).catch(notice));
  try {
    const path = `/v1/settings?bundle=${encodeURIComponent(chosenBundle().name)}`;
    const headers = { "content-type": "application/octet-stream" };
    const answer = await request(path, { method: "POST", body: file, headers });
    const { job, notes } = await answer.json();
    fill(job);
    say("The settings are in the form.");
    const what = `The settings of ${file.name} are in the form.`;
    notice({ what, note: notes.join(" "), calm: true, action });
    byId("prompt").focus();
  } catch (error) {
    notice(file.type.startsWith("image/") ? Object.assign(error, { action }) : error);
  }
}
