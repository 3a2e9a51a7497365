// All icons: those of the first screen, and those that come later.

import { svg } from "lit";
import { PATHS as FIRST, draw } from "./icons.js";

const PATHS = {
  ...FIRST,
  trash: svg`<path d="M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12"/>`,
  link: svg`<path d="M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1"/>`,
  download: svg`<path d="M12 4v11M7 11l5 5 5-5M5 20h14"/>`,
  left: svg`<path d="m15 6-6 6 6 6"/>`,
  right: svg`<path d="m9 6 6 6-6 6"/>`,
  minus: svg`<path d="M5 12h14"/>`,
  file: svg`<path d="M7 3h7l4 4v14H7zM14 3v4h4"/>`,
  copy: svg`<rect x="8" y="8" width="11" height="11" rx="2"/><path d="M5 15V6a1 1 0 0 1 1-1h9"/>`,
  check: svg`<path d="m5 12.500 4.500 4.500L19 7.500"/>`,
};

/** @param {keyof typeof PATHS} name */
export const icon = (name) => draw(PATHS[name]);
