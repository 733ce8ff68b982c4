/** The picture to begin from: chosen, dropped or made here, and how strongly it is made anew. */

import { byId, notice, say } from "./dom.js";

let picture = null; // { data, size }: the file as a data: URL, and how large it is
let changed = null;
let sizeTaken = null;

/** Listen. `show` is told of changes, `takeSize` of the picture's size. */
export function setUpInit(show, takeSize) {
  changed = show;
  sizeTaken = takeSize;
  byId("init-choose").onclick = () => byId("init-file").click();
  byId("init-file").onchange = async () => {
    const [file] = byId("init-file").files;
    byId("init-file").value = ""; // so that the same one can be chosen again
    if (file) await beginFrom(file);
  };
  byId("init-drop").onclick = () => { leaveOut(); changed(); };
  byId("init-strength-range").oninput = () => {
    byId("init-strength").value = byId("init-strength-range").value;
  };
}

/** Begin from a picture file. What is none is for the server to say. */
export async function beginFrom(file) {
  const url = URL.createObjectURL(file);
  byId("init-image").src = url;
  const size = await byId("init-image").decode().then(sizeShown, () => null);
  const data = await dataUrl(file);
  leaveOut();
  picture = { data, url };
  byId("init-image").src = url;
  if (size) sizeTaken(size);
  byId("init").hidden = false;
  byId("init-part").open = true;
  byId("init-part").scrollIntoView({ block: "nearest" });
  changed();
  say("The picture to begin from is in the form.");
}

/** Fields of a job. */
export function initBody() {
  if (!picture) return {};
  const strength = Number(byId("init-strength").value);
  return { init: { picture: picture.data, strength, resize: "crop" } };
}

/** What of a job that began from a picture is remembered: all but the picture. */
export function withoutPicture(job) {
  if (!job.init) return job;
  const { picture: _, ...rest } = job.init;
  return { ...job, init: rest };
}

/** Put a job's strength into the form. One that began from no picture leaves out the one here. */
export function fillInit(job) {
  if (!job.init) return leaveOut();
  byId("init-strength").value = job.init.strength;
  if (!picture) notice({ what: "The picture it began from is not kept: choose it again.", calm: true });
}

/** Bring the slider up to date. */
export function showInit() {
  byId("init-strength-range").value = byId("init-strength").value;
}

function leaveOut() {
  if (picture) URL.revokeObjectURL(picture.url);
  picture = null;
  byId("init-image").removeAttribute("src");
  byId("init").hidden = true;
}

function sizeShown() {
  const { naturalWidth: width, naturalHeight: height } = byId("init-image");
  return { width, height };
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
