/** Cards of jobs: what is at work is large and first, what waits stands in line behind it. */

import { byId, button, make } from "./dom.js";
import { isOver } from "./follow.js";
import { actionsOf, openPicture } from "./history.js";
import { readiness } from "./readiness.js";

const cards = new Map(); // job: its elements

/** Bring the cards up to date. `acts`: what their buttons do, `cancel` and `dismiss`. */
export function showCards(jobs, acts) {
  const open = jobs.filter((job) => !isOver(job));
  const failed = jobs.filter((job) => isOver(job) && job.error);
  const done = jobs.filter((job) => isOver(job) && !job.error && job.state === "done").slice(-1);
  const shown = [...(open.length ? open : done), ...failed];
  for (const [job, card] of cards) {
    if (!shown.includes(job)) {
      card.root.remove();
      cards.delete(job);
    }
  }
  shown.forEach((job, place) => {
    if (!cards.has(job)) cards.set(job, newCard(job, acts));
    const card = cards.get(job);
    card.root.classList.toggle("large", place === 0);
    if (byId("jobs").children[place] !== card.root) {
      byId("jobs").insertBefore(card.root, byId("jobs").children[place] ?? null);
    }
    update(job, card);
  });
  byId("empty").hidden = shown.length > 0 || !byId("history").hidden;
  document.title = open.length ? `${percent(open[0])} % · Sakuga` : "Sakuga";
}

function newCard(job, acts) {
  const tiles = Array.from({ length: job.body.count }, () => newTile(job.body));
  const bar = make("progress", { max: 1, value: 0, ariaLabel: "Progress" });
  const line = make("span", { className: "line" });
  const stop = button("Cancel", () => acts.cancel(job));
  const status = make("div", { className: "status" }, bar, line, stop);
  const prompt = make("p", { className: "prompt faint" }, job.body.prompt || "(no prompt)");
  const actions = make("div", { className: "actions" });
  const error = make("div", { className: "notice wrong", role: "alert", hidden: true },
    make("div"), button("Dismiss", () => acts.dismiss(job)));
  const board = make("div", { className: "tiles" }, ...tiles.map((tile) => tile.root));
  board.dataset.count = tiles.length;
  const told = make("div", { className: "beside" }, prompt, status, error, actions);
  const properties = { className: "job", ariaLabel: `Job: ${job.body.prompt}` };
  const root = make("article", properties, board, told);
  return { root, tiles, bar, line, stop, status, actions, error };
}

function newTile({ width, height }) {
  const preview = make("img", { className: "preview", alt: "", hidden: true });
  const final = make("img", { className: "final", alt: "", hidden: true });
  const properties = { type: "button", className: "tile", disabled: true };
  const root = make("button", properties, preview, final);
  root.style.setProperty("--width", width);
  root.style.setProperty("--height", height);
  return { root, preview, final, shown: null };
}

function update(job, card) {
  card.tiles.forEach((tile, index) => updateTile(job, index, tile));
  card.bar.value = percent(job) / 100;
  if (card.line.textContent !== lineOf(job)) card.line.textContent = lineOf(job);
  card.stop.hidden = isOver(job);
  card.bar.hidden = isOver(job);
  card.root.classList.toggle("waiting", job.state === "waiting");
  if (job.error && card.error.hidden) showError(job.error, card.error);
  const [record] = job.records;
  if (record && job.body.count === 1 && !card.actions.childElementCount) {
    card.actions.append(...actionsOf(record));
  }
}

function updateTile(job, index, tile) {
  const jpeg = job.previews[index];
  if (jpeg && tile.shown !== jpeg) {
    tile.shown = jpeg;
    tile.preview.src = jpeg;
    tile.preview.hidden = false;
    tile.root.style.backgroundImage = `url(${jpeg})`; // shines through where blur fades the edges
    soften(tile.preview);
  }
  const record = job.records[index];
  if (record && tile.final.hidden) {
    tile.final.src = record.url;
    tile.final.alt = record.body.prompt;
    tile.final.hidden = false;
    tile.root.disabled = false;
    tile.root.ariaLabel = `Enlarge picture ${index + 1}`;
    tile.root.onclick = () => openPicture(record);
  }
}

/** A preview is an eighth of the picture's size: blur hides how it was scaled up. */
function soften(image) {
  image.decode().then(() => {
    image.style.filter = `blur(${0.4 * image.clientWidth / image.naturalWidth}px)`;
  }, () => {});
}

function showError({ what, note, hint }, box) {
  box.firstChild.append(...[what, note, hint].filter(Boolean).map((text) => make("p", {}, text)));
  box.hidden = false;
}

function percent(job) {
  const total = job.pictures.reduce((sum, each) => sum + each.steps, 0);
  const done = job.pictures.reduce((sum, each) => sum + each.step, 0);
  return total ? Math.floor((100 * done) / total) : 0;
}

function lineOf(job) {
  if (job.silent) return "The server does not answer; trying again …";
  return LINES[job.state](job);
}

const LINES = {
  waiting(job) {
    const { ready, trouble } = readiness(job.body.bundle);
    if (trouble) return `${trouble.what} Trying again …`;
    if (!ready) return "The engine is opening …";
    if (!job.ahead) return "Next in line";
    return `In line, ${job.ahead} ${job.ahead === 1 ? "picture" : "pictures"} ahead`;
  },
  running(job) {
    const running = job.pictures.find((each) => each.state === "running");
    const { step, steps } = running ?? job.pictures[0];
    const ready = job.pictures.filter((each) => each.state === "done").length;
    const pictures = job.pictures.length > 1 ? `${ready} of ${job.pictures.length} done, ` : "";
    const eta = job.eta === null ? "" : ` · ${seconds(job.eta)} to go`;
    return `${pictures}${pictures ? "step" : "Step"} ${step} of ${steps}${eta}`;
  },
  done: (job) => (job.seconds ? `Done in ${seconds(job.seconds)}` : "Done"),
  failed: () => "Failed",
  cancelled: () => "Cancelled",
};

function seconds(number) {
  if (number < 10) return `${number.toFixed(1)} s`;
  return number < 90 ? `${Math.round(number)} s` : `${Math.round(number / 60)} min`;
}
