/** A card's words around a prompt, each once: what the server does with those of a bundle's own. */

const OPEN = /(?<!\\)[([]/g;
const CLOSE = /(?<!\\)[)\]]/g;
const AROUND = /^[()[\]{}\s]+|[()[\]{}\s]+$/g;
const WEIGHT = /:\s*[-+]?[\d.]+$/;
// A1111 takes a number at the end for the weight of the whole prompt, which it must stay.
const END = /:\s*[-+]?(?:\d+\.?|\d*\.\d+)(?:\s|<\w+:[^>]+>)*$/;

/** The prompt with the words of a card that it does not hold; `rule`: whose grammar it follows. */
export function withWords(prompt, { prefix, suffix }, rule) {
  const before = missing(prompt, prefix);
  const behind = missing([prompt, ...before].join(), suffix);
  const end = behind.length && rule === "a1111" ? (END.exec(prompt)?.[0] ?? "") : "";
  const text = prompt.slice(0, prompt.length - end.length);
  const middle = behind.length ? text.replace(/[,\s]+$/, "") : text;
  return [...before, ...(middle.trim() ? [middle] : []), ...behind].join(", ") + end;
}

function missing(prompt, words) {
  const held = namesIn(prompt);
  return piecesOf(words ?? "").filter((piece) => !namesIn(piece).isSubsetOf(held));
}

/** The tags of a text; those inside one pair of brackets stay together. */
function piecesOf(text) {
  const pieces = [];
  for (const tag of text.split(",")) {
    const last = pieces.at(-1) ?? "";
    if (count(OPEN, last) > count(CLOSE, last)) pieces.push(`${pieces.pop()},${tag}`);
    else pieces.push(tag);
  }
  return pieces.map((piece) => piece.trim()).filter((piece) => namesIn(piece).size);
}

/** Its tags without brackets, weight, case and the difference between blank and underscore. */
function namesIn(text) {
  const bare = (tag) => tag.replace(AROUND, "").replace(WEIGHT, "").replace(AROUND, "");
  const name = (tag) => bare(tag).replaceAll("_", " ").toLowerCase().split(/\s+/).join(" ").trim();
  return new Set(text.split(/[,\n]/).map(name).filter(Boolean));
}

const count = (pattern, text) => text.match(pattern)?.length ?? 0;
