/** Jobs on the server, followed until they are over. */

import { ApiError, events, json } from "./api.js";

const OVER = new Set(["done", "failed", "cancelled"]);
// A browser opens six connections to a server; streams keep theirs, so few jobs get one.
const MOST_STREAMS = 2;
const POLL_MS = 400; // for each job that is polled
const LONGEST_MS = 5000;
const SILENCE_MS = 1500; // before a server that did not answer is asked again

let streams = 0;
let polled = 0;

/** A job as this page knows it: `body` is what was asked for; `fetching` and `records` are the
    finished pictures, by index, on their way here and in the history. */
export function newJob(id, body, asked) {
  return {
    id, body, asked, state: "waiting", pictures: [], previews: [], eta: null, ahead: 0,
    error: null, silent: false, fetching: [], records: [],
  };
}

export const isOver = (job) => OVER.has(job.state);

/** Take over what the server tells of a job. */
export function take(job, view) {
  job.state = view.state;
  job.pictures = view.pictures;
  job.eta = view.eta_s;
  job.error = view.error;
  job.seconds = view.finished ? view.finished - view.created : null;
  job.ahead = view.ahead ?? job.ahead;
}

/** Until a job is over. `changed` is called whenever something is new of it. */
export async function follow(job, changed) {
  while (!isOver(job)) {
    try {
      await (canStream(job) ? stream(job, changed) : poll(job));
      job.silent = false;
    } catch (error) {
      await bear(job, error, changed);
    }
    changed(job);
  }
}

const canStream = (job) => job.state === "running" && streams < MOST_STREAMS && !document.hidden;

async function poll(job) {
  polled += 1;
  try {
    take(job, await json(`/v1/jobs/${job.id}`));
    if (!isOver(job) && !canStream(job)) {
      await pause(Math.min(POLL_MS * polled * (document.hidden ? 5 : 1), LONGEST_MS));
    }
  } finally {
    polled -= 1;
  }
}

async function stream(job, changed) {
  const stop = new AbortController();
  const hide = () => document.hidden && stop.abort(); // others of this page's need the connection
  document.addEventListener("visibilitychange", hide);
  streams += 1;
  try {
    for await (const { name, data } of events(`/v1/jobs/${job.id}/events`, stop.signal)) {
      HEARD[name]?.(job, data);
      job.silent = false;
      changed(job);
    }
  } finally {
    streams -= 1;
    document.removeEventListener("visibilitychange", hide);
  }
}

const HEARD = {
  job: take,
  step(job, data) {
    Object.assign(job.pictures[data.index], { step: data.step, state: "running" });
    job.eta = data.eta_s;
  },
  preview(job, data) {
    job.previews[data.index] = `data:image/jpeg;base64,${data.jpeg}`;
  },
};

/** What can pass is waited for; what cannot is the end of the job. */
async function bear(job, error, changed) {
  if (error.name === "AbortError") return;
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 404) {
    job.state = "failed";
    job.error = {
      what: "The server knows this job no longer.",
      note: "It was started anew since, or the job is long over.",
      hint: "Render it again.",
    };
    return;
  }
  job.silent = true;
  changed(job);
  await pause(SILENCE_MS);
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
