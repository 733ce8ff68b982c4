/** Whether the bundles' engines are open; asked for until they are. */

import { json } from "./api.js";

const EVERY_MS = 2000;
let known = [];

/** `ready`, and `trouble`, the error of an engine that does not open. */
export const readiness = (name) => known.find((each) => each.name === name) ?? { ready: true };

/** Until all are open. `changed` is called when something is new. */
export async function watch(offer, changed) {
  known = offer.bundles;
  while (known.some((each) => !each.ready)) {
    await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
    known = await json("/v1/bundles").then((found) => found.bundles, () => known);
    changed();
  }
}
