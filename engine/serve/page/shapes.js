/** Sizes as little pictures of their shape, and the two numbers beside them. */

import { byId, make } from "./dom.js";

const SIDE = 23; // of a square, in CSS pixels; all shapes have its area
let drawn = "";

/** Draw the sizes to choose from, once for each list. `changed` is called when one is chosen. */
export function drawShapes(sizes, changed) {
  const key = JSON.stringify(sizes);
  if (key === drawn) return;
  drawn = key;
  byId("shapes").replaceChildren(...sizes.map((size) => shape(size, changed)));
}

/** Mark the shape the two numbers make, and show it where no picture is yet. */
export function markShape() {
  const [width, height] = sides();
  for (const radio of byId("shapes").querySelectorAll("input")) {
    radio.checked = radio.value === `${width}x${height}`;
  }
  byId("frame").style.aspectRatio = `${width} / ${height}`;
}

/** Turn the shape by a quarter. */
export function swapSides() {
  const [width, height] = sides();
  Object.assign(byId("width"), { value: height });
  Object.assign(byId("height"), { value: width });
}

const sides = () => [Number(byId("width").value) || 1, Number(byId("height").value) || 1];

function shape({ width, height, recommended }, changed) {
  const words = `${width} × ${height}${recommended ? "" : ", not among the card’s sizes"}`;
  const rectangle = make("span", { className: "rectangle" });
  const scale = SIDE / Math.sqrt(width * height);
  rectangle.style.width = `${width * scale}px`;
  rectangle.style.height = `${height * scale}px`;
  const choose = () => {
    byId("width").value = width;
    byId("height").value = height;
    changed();
  };
  const radio = make("input", {
    type: "radio", name: "shape", value: `${width}x${height}`, onchange: choose, ariaLabel: words,
  });
  const className = recommended ? "shape" : "shape unusual";
  return make("label", { className, title: words }, radio, rectangle);
}
