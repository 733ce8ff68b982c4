/** The page: what the server offers into the form, what is asked for onto the board. */

import { json } from "./api.js";
import { byId, notice } from "./dom.js";
import { setUpDrop } from "./drop.js";
import { body, chosenPreset, setUp } from "./form.js";
import { setUpHistory } from "./history.js";
import { ask, forgotten, goOn, showAll } from "./jobs.js";
import { watch } from "./readiness.js";
import { setUpTheme } from "./theme.js";

async function start() {
  setUpTheme();
  const offer = await json("/v1/bundles");
  setUp(offer);
  for (const what of offer.notes) notice({ what, calm: true });
  setUpDrop();
  listen();
  await setUpHistory(forgotten);
  goOn();
  byId("render").disabled = false;
  await watch(offer, showAll);
}

function listen() {
  byId("form").onsubmit = (event) => {
    event.preventDefault();
    render();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (!document.querySelector("dialog[open]")) byId("form").requestSubmit(byId("render"));
  });
  byId("example").onclick = () => {
    byId("prompt").value = chosenPreset().example;
    byId("prompt").dispatchEvent(new Event("input", { bubbles: true }));
    byId("prompt").focus();
  };
}

async function render() {
  if (byId("render").disabled) return;
  byId("render").disabled = true; // one click, one job
  try {
    await ask(body());
    if (matchMedia("(max-width: 899px)").matches) byId("board").scrollIntoView();
  } catch (error) {
    notice(error);
  } finally {
    byId("render").disabled = false;
  }
}

start().catch(notice);
