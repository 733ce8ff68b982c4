/** Dark or light: the system's, or the one that is chosen here. */

import { byId } from "./dom.js";
import { recall, remember } from "./store.js";

const THEMES = {
  auto: ["◐", "Colours: as the system"],
  light: ["☀", "Colours: light"],
  dark: ["☾", "Colours: dark"],
};

/** Apply what was chosen, and change it when asked. */
export function setUpTheme() {
  let theme = recall("theme", "auto");
  const show = () => {
    document.documentElement.dataset.theme = theme;
    const [sign, words] = THEMES[theme];
    Object.assign(byId("theme"), { textContent: sign, title: words, ariaLabel: words });
  };
  byId("theme").onclick = () => {
    const names = Object.keys(THEMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    remember("theme", theme);
    show();
  };
  show();
}
