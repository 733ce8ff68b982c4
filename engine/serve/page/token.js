/** The server's token: asked for when it is wanted, forgotten with the tab. */

import { byId } from "./dom.js";

const KEY = "sakuga.token";
let asking = null;

/** The token there is, null without one. */
export const currentToken = () => sessionStorage.getItem(KEY);

/** Until there is another token than the `refused` one. */
export function askToken(refused) {
  if (currentToken() !== refused) return Promise.resolve();
  asking ??= ask(refused !== null).finally(() => { asking = null; });
  return asking;
}

function ask(wrong) {
  const dialog = byId("token-dialog");
  byId("token-wrong").hidden = !wrong;
  byId("token").value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => dialog.showModal(); // nothing works without it
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, byId("token").value.trim());
      dialog.onclose = null;
      dialog.close();
      resolve();
    };
  });
}
