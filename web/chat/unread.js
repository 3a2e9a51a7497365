// What a timeline asks for besides its messages: the first unread one, where more is unread than a room
// opens with, and messages that others answer.

import { html } from "lit";
import { board } from "/state.js";
import { icon } from "./icons-more.js";
import { FEW } from "./timeline.js";

/** @typedef {import("./timeline.js").ChatTimeline} ChatTimeline */

/** Pages of messages that are counted through at most. */
const COUNTED_PAGES = 5;

/** Who has read nothing yet since they joined has no marker: counts back. @param {ChatTimeline} view @returns {Promise<number>} below the first unread message, or below the first that was counted */
export async function findUnread({ room, unreadAtOpen }) {
  let left = unreadAtOpen;
  let next = /** @type {string|null} */ (`/messages/rooms/${room.id}/?limit=${left <= FEW ? FEW * 2 : 200}`);
  let last = 1;
  for (let n = 0; next && n < COUNTED_PAGES; n++) {
    const page = /** @type {any} */ (await board.request("GET", next));
    for (const { id, sender, is_deleted } of page.results) {
      if (sender !== board.user?.id && !is_deleted && --left === 0) return id - 1;
      last = id;
    }
    next = page.next;
  }
  return last - 1;
}

/** @param {ChatTimeline} view */
async function jump(view) {
  const { timeline } = view;
  const isWanted = view.begin();
  try {
    const divider = view.divider ?? await findUnread(view);
    if (!isWanted()) return;
    view.divider = divider;
    timeline.following = false;
    if (!timeline.get(divider)) await timeline.loadAround(divider);
    if (isWanted()) view.goTo({ id: divider, mark: false });
  } catch {
    if (isWanted()) view.offline = true;
  }
  if (!isWanted()) return;
  view.loading = false;
  view.requestUpdate();
}

/** How many messages are unread: leads to the first of them, or to the end of them. @param {ChatTimeline} view */
export function renderBar(view) {
  return html`<div class="unread-bar"><button @click=${() => jump(view)}>${icon("up")} ${view.unreadAtOpen >= 1000 ? "1,000+" : view.unreadAtOpen} unread messages</button>
    <button class="icon-button" aria-label="Mark as read" title="Mark as read" @click=${() => view.answered()}>${icon("check")}</button></div>`;
}

/** When an answered message is asked for again that could not be had. */
const QUOTE_AGAIN_MS = 10_000;

/** @param {ChatTimeline} view @param {import("/chatboard/timeline.js").Timeline} timeline @param {number} id */
export async function loadQuoted(view, { quoted }, id) {
  try {
    const message = await board.request("GET", `/messages/${id}/`);
    // What events said meanwhile is newer.
    if (quoted.has(id) && !quoted.get(id)) quoted.set(id, message);
  } catch (error) {
    if (/** @type {any} */ (error).status === 404) quoted.set(id, null);
    else setTimeout(() => !quoted.get(id) && quoted.delete(id) && view.requestUpdate(), QUOTE_AGAIN_MS);
  }
  view.requestUpdate();
}
