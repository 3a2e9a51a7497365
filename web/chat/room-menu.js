// The menu of a room: what it may notify of, where it stands in the list, its settings, leaving it.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { dress } from "/dress.js";

await dress("more-style");

/** @typedef {import("./room.js").ChatRoom} Head */

/** @param {Head} head */
export function renderMenu(head) {
  const { settings, info, id } = head.room;
  const item = (/** @type {string} */ label, /** @type {boolean} */ on, /** @type {any} */ change) => html`<button role="menuitemradio" aria-checked=${on} @click=${() => head.change(change)}>${label}</button>`;
  return html`<div class="menu" role="menu" aria-label="Room options" @keydown=${(/** @type {KeyboardEvent} */ event) => keys(head, event)}>
    <small>Notify me about</small>
    ${item("All messages", settings.notify === "all", { notify: "all" })}
    ${item("Mentions", settings.notify === "mentions", { notify: "mentions" })}
    ${item("Nothing (mute)", settings.notify === "none", { notify: "none" })}
    <hr><button role="menuitem" @click=${() => { head.closeMenu(); head.dispatchEvent(new CustomEvent("open-sections", { bubbles: true, detail: id })); }}>Move to a section…</button>
    <button role="menuitem" @click=${() => go(`/r/${id}/settings`)}>Room settings…</button>
    <button role="menuitem" @click=${() => { head.closeMenu(); head.dispatchEvent(new CustomEvent("open-help", { bubbles: true })); }}>Keyboard shortcuts</button>
    ${info.is_dm ? nothing : html`<button role="menuitem" class="danger" @click=${() => leave(head)}>Leave room</button>`}
  </div>`;
}

/** @param {Head} head @param {KeyboardEvent} event */
function keys(head, event) {
  const items = /** @type {HTMLElement[]} */ ([...head.querySelectorAll(".menu [role^=menuitem]")]);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Tab") return head.closeMenu();
  if (step) items[(at + step + items.length) % items.length].focus();
  else if (event.key === "Escape") head.closeMenu();
  else return;
  event.preventDefault();
}

/** @param {Head} head */
async function leave(head) {
  head.menu = false;
  await board.request("POST", `/rooms/${head.room.id}/leave/`).catch(() => {});
  go("/");
}
