/** The server: requests with the token, errors with their three parts, and its events. */

import { askToken, currentToken } from "./token.js";

/** What went wrong: what, note, hint. `status` 0: there was no answer. */
export class ApiError extends Error {
  constructor({ what, note = "", hint = "" }, status) {
    super([what, note, hint].filter(Boolean).join(" "));
    Object.assign(this, { what, note, hint, status });
  }
}

/** An answer that is fine; asks for the token where one is wanted. Throws ApiError. */
export async function request(path, options = {}) {
  const token = currentToken();
  const headers = new Headers(options.headers);
  if (token) headers.set("authorization", `Bearer ${token}`);
  const answer = await reach(path, { ...options, headers });
  if (answer.status === 401) {
    await askToken(token);
    return request(path, options);
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

/** The JSON of an answer. `body`: an object to send as JSON. */
export async function json(path, { body, ...options } = {}) {
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  return (await request(path, options)).json();
}

/** Server-sent events as { name, data }, until the server ends them. */
export async function* events(path, signal) {
  const answer = await request(path, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => { throw unreachable(error); });
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    yield* blocks.map(eventOf);
  }
}

function eventOf(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => {
    const at = line.indexOf(": ");
    return [line.slice(0, at), line.slice(at + 2)];
  }));
  return { name: fields.event, data: JSON.parse(fields.data) };
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw unreachable(error);
  }
}

function unreachable(error) {
  if (error.name === "AbortError") return error;
  const hint = "See whether it is still running, and try again.";
  return new ApiError({ what: "The server does not answer.", note: `${error.message}.`, hint }, 0);
}

async function errorOf(answer) {
  const usual = { what: `The server answers ${answer.status} ${answer.statusText}.` };
  const told = await answer.json().then((body) => body.error ?? usual, () => usual);
  const wait = answer.headers.get("retry-after");
  if (wait && !told.hint) told.hint = `Try again in ${wait} s.`;
  return new ApiError(told, answer.status);
}
