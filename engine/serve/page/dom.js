/** Elements: found, made, and words put where screen readers hear them. */

const CALM_MS = 6000;

export const byId = (id) => document.getElementById(id);

/** An element with properties, or attributes where it has no such property, and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that does something. */
export function button(words, onclick, properties = {}) {
  return make("button", { type: "button", className: "quiet", onclick, ...properties }, words);
}

/** An option of a select, or of several. */
export const option = (value, words = value) => make("option", { value }, words);

/** Tell screen readers; nothing is shown. */
export function say(words) {
  byId("said").textContent = words;
}

/** Show what, note and hint, and an `action`'s button, until they are dismissed or it is taken. What
 * is `calm` and short goes by itself. */
export function notice(error) {
  const lines = [error.what ?? String(error), error.note, error.hint].filter(Boolean);
  const box = make("div", { className: "notice", role: error.calm ? "status" : "alert" });
  box.classList.toggle("wrong", !error.calm);
  box.append(
    make("div", {}, ...lines.map((line) => make("p", {}, line)), error.action),
    button("×", () => box.remove(), { className: "icon", ariaLabel: "Dismiss" }),
  );
  error.action?.addEventListener("click", () => box.remove());
  byId("notices").prepend(box);
  if (error.calm && lines.length === 1 && !error.action) setTimeout(() => box.remove(), CALM_MS);
}

/** Copy text; also where the page is not on HTTPS and the clipboard's own interface is missing. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make("textarea", { value: text, className: "hidden" });
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not let this page copy.");
}
