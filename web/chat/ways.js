// Where keys lead: from part to part of the page, from room to room, and from message to message.

import { go } from "/state.js";

/** @typedef {import("./chat.js").Chat} Chat */

/** Leads from the list of rooms to the messages, to the field and back. @param {Chat} chat @param {number} by */
export function nextPart(chat, by) {
  const rows = chat.querySelectorAll("article.message");
  const parts = /** @type {HTMLElement[]} */ ([chat.querySelector(".room-link[aria-current]") ?? chat.querySelector(".room-link"),
    chat.querySelector(".screen h1") ?? rows[rows.length - 1], chat.querySelector(".composer textarea")].filter(Boolean));
  const holders = parts.map((part) => part.closest("nav, .scroller, .composer, .screen"));
  const at = holders.findIndex((holder) => holder?.contains(document.activeElement));
  parts[at < 0 ? parts.length - 1 : (at + by + parts.length) % parts.length]?.focus();
}

/** To the next room in the list, or the next with something new. @param {Chat} chat @param {number} by @param {boolean} unread */
export function nextRoom(chat, by, unread) {
  const links = /** @type {HTMLAnchorElement[]} */ ([...chat.querySelectorAll(".room-link")]);
  const at = links.findIndex((link) => link.ariaCurrent === "page");
  for (let n = 1; n <= links.length; n++) {
    const link = links[(at + by * n + links.length * 2) % links.length];
    if (link && (!unread || link.classList.contains("loud"))) return go(new URL(link.href).pathname);
  }
}

/** Moves the focus from message to message; below the last one is the field. @param {import("./timeline.js").ChatTimeline} view @param {string} key */
export function nextMessage(view, key) {
  const rows = [...view.querySelectorAll("article.message")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const to = { ArrowUp: at - 1, ArrowDown: at + 1, End: rows.length - 1, Home: 0 }[key] ?? at;
  if (key === "ArrowDown" && to >= rows.length) return view.dispatchEvent(new CustomEvent("leave-timeline", { bubbles: true }));
  const row = /** @type {HTMLElement|undefined} */ (at < 0 ? rows.at(-1) : rows[Math.max(0, to)]);
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

/** Moves the focus along the rooms. @param {HTMLElement} list @param {number} step */
export function nextLink(list, step) {
  const links = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("a.room-link")]);
  links[(links.indexOf(/** @type {HTMLElement} */ (document.activeElement)) + step + links.length) % links.length]?.focus();
}
