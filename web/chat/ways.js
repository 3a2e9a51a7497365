// Where keys lead: from part to part of the page, and from room to room.

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
