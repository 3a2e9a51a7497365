// What stands where a room would: no organization, no room, none that one may see, no such page.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { excerpt } from "/chatboard/text.js";
import { icon } from "./icons.js";

/** @typedef {import("./chat.js").Chat} Chat */

/** @param {Chat} chat @param {(tag: string, properties: Record<string, any>) => void} show opens a dialog */
export function renderEmpty(chat, show) {
  const org = board.orgs.find(({ id }) => id === chat.org);
  if (!org) {
    return place(chat, "ChatBoard", html`<p>You aren't in an organization yet.</p>
      <p><a href="/orgs/new">Create an organization</a>, or ask a teammate to invite you (<bdi>${board.user?.email}</bdi>).</p>`);
  }
  if (chat.lost) return place(chat, "Page not found", html`<p>There is no page at this address.</p><p><a href="/">Back to rooms</a></p>`);
  if (chat.room) return place(chat, board.lostRooms.get(chat.room)?.name ?? "Room not found", gone(chat.room));
  if (chat.hasRooms) return place(chat, org.name, html`<p>Choose a room, or press Ctrl K.</p>`);
  return place(chat, org.name, html`<p>No rooms yet.</p>
    <p>${org.role === "MEMBER" ? nothing : html`<button class="link" @click=${() => show("cb-new-room", { org: org.id })}>Create the first room</button> · `}<button class="link" @click=${() => show("cb-browse", { org: org.id })}>Browse rooms</button></p>`);
}

/** @param {Event} event of the button, which a status follows @param {string} draft */
async function copyDraft({ currentTarget }, draft) {
  const said = /** @type {Element} */ (currentTarget).nextElementSibling;
  const { copied, copyText } = await import("./clipboard.js");
  const text = copied("Draft", await copyText(draft));
  if (said) said.textContent = text;
}

/** Of a room that one cannot see, or no more: what one was writing there can still be had. @param {number} room */
function gone(room) {
  const draft = localStorage.getItem(`chatboard.draft.${board.user?.id}.${room}`);
  const lost = board.lostRooms.get(room);
  const why = !lost ? "This room doesn't exist, or you're not a member." : lost.isDeleted ? html`<bdi>${lost.name}</bdi> was deleted.`
    : html`You were removed from <bdi>${lost.name}</bdi>, or left it on another device.`;
  return html`<p role=${lost ? "alert" : nothing}>${why}</p>
    ${draft ? html`<p>You were writing: <q dir="auto">${excerpt(draft, 80)}</q> <button class="link" @click=${(/** @type {Event} */ event) => copyDraft(event, draft)}>Copy your draft</button> <span role="status"></span></p>` : nothing}<p><a href="/">Back to rooms</a></p>`;
}

/** @param {Chat} chat @param {string} title @param {any} text */
const place = (chat, title, text) => html`<section class="room"><header class="room-head"><button class="icon-button back" aria-label="Rooms" @click=${() => (chat.drawer = true)}>${icon("menu")}</button>
  <div class="room-title"><h1><bdi>${title}</bdi></h1></div></header><div class="empty">${text}</div></section>`;
