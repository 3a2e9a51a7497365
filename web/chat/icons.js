// The icons of the first screen: strokes that take the text's colour. Others are in icons-more.js.

import { svg, html } from "lit";

export const PATHS = {
  hash: svg`<path d="M5 9h14M5 15h14M10 4 8 20M16 4l-2 16"/>`,
  lock: svg`<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>`,
  shield: svg`<path d="M12 4 5.500 6.500V12c0 4 3 6.500 6.500 8 3.500-1.500 6.500-4 6.500-8V6.500z"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  search: svg`<circle cx="11" cy="11" r="6"/><path d="m20 20-4.5-4.5"/>`,
  star: svg`<path d="m12 4 2.5 5 5.5.8-4 3.9.9 5.5-4.9-2.6-4.9 2.6.9-5.5-4-3.9 5.5-.8z"/>`,
  bell: svg`<path d="M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4"/>`,
  mute: svg`<path d="M6 16V11a6 6 0 0 1 9-5.2M18 11v5l1.5 2h-15M4 4l16 16"/>`,
  reply: svg`<path d="M10 7 5 12l5 5M5 12h9a5 5 0 0 1 5 5v1"/>`,
  edit: svg`<path d="m14 6 4 4L9 19H5v-4z"/>`,
  smile: svg`<circle cx="12" cy="12" r="8"/><path d="M9 10h.01M15 10h.01M8.5 14a4 4 0 0 0 7 0"/>`,
  clip: svg`<path d="m19 11-7.5 7.5a4.5 4.5 0 0 1-6.4-6.4L13 4.3a3 3 0 0 1 4.3 4.3l-7.7 7.6a1.5 1.5 0 0 1-2.1-2.1l7-7"/>`,
  send: svg`<path d="M5 12h13M13 6l6 6-6 6"/>`,
  down: svg`<path d="m6 9 6 6 6-6"/>`,
  up: svg`<path d="m6 15 6-6 6 6"/>`,
  close: svg`<path d="M6 6l12 12M18 6 6 18"/>`,
  people: svg`<circle cx="9" cy="9" r="3.2"/><path d="M3.5 19a5.5 5.5 0 0 1 11 0M16 6a3 3 0 0 1 0 6M17.5 14.500a5 5 0 0 1 3 4.500"/>`,
  menu: svg`<path d="M4 7h16M4 12h16M4 17h16"/>`,
  compass: svg`<circle cx="12" cy="12" r="8"/><path d="m15 9-2 4-4 2 2-4z"/>`,
  settings: svg`<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/><circle cx="9" cy="17" r="2"/>`,
  more: svg`<path stroke-width="3" d="M6 12h.01M12 12h.01M18 12h.01"/>`,
};

/** @param {any} path */
export const draw = (path) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${path}</svg>`;

/** @param {keyof typeof PATHS} name */
export const icon = (name) => draw(PATHS[name]);

/** What stands for a room: who may be in it. @param {{is_dm?: boolean, access_level: string}} info */
export const iconOf = (info) => icon(info.is_dm ? "people" : info.access_level === "PUBLIC" ? "hash" : info.access_level === "PRIVATE" ? "lock" : "shield");
