/** The jobs of this page: asked for, followed, cancelled, and found again after a reload. */

import { ApiError, json, request } from "./api.js";
import { showCards } from "./cards.js";
import { notice, say } from "./dom.js";
import { follow, isOver, newJob, take } from "./follow.js";
import { addPicture } from "./history.js";
import { withoutPicture } from "./init.js";
import { recall, remember } from "./store.js";

const jobs = [];

/** Ask for a job. Throws ApiError. */
export async function ask(body) {
  const view = await json("/v1/jobs", { method: "POST", body });
  const job = newJob(view.id, withoutPicture(body), Date.now()); // which may be of many megabytes
  take(job, view);
  jobs.push(job);
  keep();
  say("Asked for.");
  attend(job).catch(notice);
}

/** Go on with what was under way before a reload. */
export function goOn() {
  for (const { id, body, asked } of recall("jobs", [])) {
    jobs.push(newJob(id, body, asked));
  }
  for (const job of jobs) attend(job).catch(notice);
}

/** Show all of them anew. */
export const showAll = () => showCards(jobs, { cancel, dismiss });

/** Take what is left of a job off the device. */
async function cancel(job) {
  try {
    take(job, await json(`/v1/jobs/${job.id}`, { method: "DELETE" }));
    changed(job);
    say("Cancelled.");
  } catch (error) {
    notice(error);
  }
}

/** Take a job that is over off the page. */
function dismiss(job) {
  jobs.splice(jobs.indexOf(job), 1);
  showAll();
}

/** A picture of the history is gone; so is the card that shows it. */
export function forgotten(record) {
  jobs.filter((job) => isOver(job) && job.records.includes(record)).forEach(dismiss);
}

async function attend(job) {
  changed(job);
  await follow(job, changed);
  await Promise.allSettled(job.fetching);
  job.previews = [];
  keep();
  if (job.state === "done") say("Done.");
}

function changed(job) {
  for (const { index, url } of job.pictures) {
    if (url) job.fetching[index] ??= fetchPicture(job, index).catch((error) => fail(job, error));
  }
  showAll();
}

/** A finished picture, into the history and onto its card. */
async function fetchPicture(job, index) {
  const { url, parameters, notes } = job.pictures[index];
  const blob = await (await request(url)).blob();
  job.records[index] = await addPicture({
    key: `${job.id}/${index}`,
    made: Date.now(),
    body: bodyOf(job.body, index),
    text: parameters,
    blob,
    notes,
  });
  showAll();
}

function fail(job, error) {
  const lost = { what: "A picture was lost.", note: String(error) };
  job.error = error instanceof ApiError ? error : lost;
  showAll();
}

/** The job of one picture alone: in a job of several the seed counts up, or the variation's. */
function bodyOf(body, index) {
  const counted = body.variation_strength ? "variation_seed" : "seed";
  const seed = String(BigInt(body[counted]) + BigInt(index));
  return { ...body, [counted]: seed, count: 1 };
}

/** Remember what is not over, or not fetched. */
function keep() {
  const fetched = (job) => job.pictures.every((each) => !each.url || job.records[each.index]);
  const open = jobs.filter((job) => !isOver(job) || !(fetched(job) || job.error));
  const mine = new Set(jobs.map((job) => job.id));
  const others = recall("jobs", []).filter(({ id }) => !mine.has(id)); // of other tabs
  remember("jobs", [...others, ...open.map(({ id, body, asked }) => ({ id, body, asked }))]);
}
