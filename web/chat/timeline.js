// The messages of a room, as a window that moves over the history.
//
// Only the window's messages are in the page (at most 300 while the reader is at the end), in
// ordinary flow, with no guessed heights. When the window moves, what the reader looks at is kept in
// its place: the first visible row is measured before and after. At the end, the view follows.

import { LitElement, html, nothing } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Follow, board } from "/state.js";
import { plain } from "/markdown.js";
import { icon } from "./icons.js";
import { dayOf, namesOf } from "./people.js";
import "./message.js";

/** Load more when fewer pixels than this are left. */
const NEAR = 900;
const AT_END = 48;
const GROUP_MS = 5 * 60_000;

class ChatTimeline extends LitElement {
  static properties = { room: { attribute: false }, target: { type: Number }, moderator: { type: Boolean }, loading: { state: true }, offline: { state: true } };

  constructor() {
    super();
    /** @type {import("/chatboard/room.js").Room} */ this.room = /** @type {any} */ (null);
    /** The message to show, of a permalink. */ this.target = 0;
    this.moderator = false;
    this.loading = this.offline = false;
    /** The last message that was read when the room was opened. @type {number|null} */ this.divider = null;
    this.unreadAtOpen = 0;
    /** Where the view was last scrolled to. */ this.lastTop = 0;
    /** @type {{id: number, mark: boolean}|undefined} what to scroll to when it is there */ this.wanted = undefined;
    this.busy = this.jumped = false;
    /** @type {number|undefined} */ this.readTo = undefined;
    /** @type {any} */ this.readSoon = undefined;
    /** Answered messages that are outside the window. @type {Map<number, any>} */ this.quotes = new Map();
    /** @type {{row: Element, top: number}|null} */ this.anchor = null;
    this.follow = new Follow(this, ["room"], (id) => id === this.room?.id);
    this.resized = new ResizeObserver(() => this.room?.timeline.following && this.toEnd());
    this.onFocus = () => this.markRead();
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("focus", this.onFocus);
    document.addEventListener("visibilitychange", this.onFocus);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("focus", this.onFocus);
    document.removeEventListener("visibilitychange", this.onFocus);
    this.resized.disconnect();
    this.leave(this.room);
  }

  /** @returns {HTMLElement} */
  get scroller() {
    return /** @type {HTMLElement} */ (this.querySelector(".scroller"));
  }

  get timeline() {
    return this.room.timeline;
  }

  firstUpdated() {
    this.resized.observe(/** @type {Element} */ (this.querySelector(".rows")));
    this.resized.observe(this.scroller);
  }

  /** A room that nobody looks at keeps nothing in memory. @param {import("/chatboard/room.js").Room|undefined} room */
  leave(room) {
    room?.timeline.clear();
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (changed.has("room")) {
      this.leave(changed.get("room"));
      this.divider = this.room.unread > 0 ? this.room.lastRead : null;
      this.unreadAtOpen = this.room.unread;
      this.quotes = new Map();
      this.anchor = null;
      this.readTo = undefined;
      this.jumped = false;
      this.show();
    } else {
      if (changed.has("target") && this.target) this.show();
      this.keepAnchor();
    }
  }

  keepAnchor() {
    this.anchor = null;
    const scroller = this.scroller;
    if (!scroller || this.timeline.following) return;
    const top = scroller.getBoundingClientRect().top;
    for (const row of scroller.querySelectorAll("cb-message")) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top) {
        this.anchor = { row, top: box.top };
        return;
      }
    }
  }

  updated() {
    if (this.timeline.following) this.toEnd();
    else if (this.anchor?.row.isConnected) {
      this.scroller.scrollTop += this.anchor.row.getBoundingClientRect().top - this.anchor.top;
    }
    if (this.wanted && this.timeline.loaded) this.scrollToWanted();
    this.markRead();
    // The new rows may not fill the view.
    if (this.timeline.loaded) requestAnimationFrame(() => this.isConnected && this.loadMore());
  }

  toEnd() {
    const scroller = this.scroller;
    if (!scroller) return;
    scroller.scrollTop = scroller.scrollHeight;
    this.lastTop = scroller.scrollTop;
  }

  /** Loads what the reader came for. */
  async show() {
    const { timeline, room } = this;
    this.loading = true;
    this.offline = false;
    try {
      if (this.target) {
        timeline.following = false;
        if (!timeline.get(this.target)) await timeline.loadAround(this.target);
        this.wanted = { id: this.target, mark: true };
      } else if (this.divider && this.unreadAtOpen <= 45) {
        timeline.following = false;
        await timeline.loadAround(this.divider);
        this.wanted = { id: this.divider, mark: false };
      } else {
        timeline.following = true;
        await timeline.loadLatest();
      }
    } catch {
      this.offline = true;
    }
    if (room !== this.room) return;
    this.loading = false;
    this.requestUpdate();
  }

  scrollToWanted() {
    if (!this.wanted) return;
    const { id, mark } = this.wanted;
    this.wanted = undefined;
    const row = /** @type {HTMLElement|null} */ (this.querySelector(mark ? `#m-${id}` : ".divider") ?? this.querySelector(`#m-${id}`));
    if (!row) return this.toEnd();
    row.scrollIntoView({ block: mark ? "center" : "start" });
    if (!mark) this.scroller.scrollTop -= 80;
    this.scrolled();
    if (!mark) return;
    row.classList.add("wanted");
    setTimeout(() => row.classList.remove("wanted"), 2500);
    /** @type {HTMLElement|null} */ (row.querySelector("article"))?.focus({ preventScroll: true });
  }

  async jumpToUnread() {
    if (!this.divider) return;
    this.timeline.following = false;
    if (!this.querySelector(".divider")) await this.timeline.loadAround(this.divider).catch(() => {});
    this.wanted = { id: this.divider, mark: false };
    this.requestUpdate();
  }

  async jumpToEnd() {
    this.timeline.following = true;
    if (!this.timeline.atEnd) await this.timeline.loadLatest().catch(() => {});
    this.requestUpdate();
    this.toEnd();
  }

  scrolled() {
    const { scroller, timeline } = this;
    const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    // Content that grows below the reader does not mean that they left the end: only scrolling up does.
    const up = scroller.scrollTop < this.lastTop - 1;
    this.lastTop = scroller.scrollTop;
    const following = timeline.loaded && timeline.atEnd && (left < AT_END || (timeline.following && !up));
    if (following !== timeline.following) {
      timeline.following = following;
      this.requestUpdate();
    }
    this.loadMore();
    if (following) this.markRead();
  }

  async loadMore() {
    const { scroller, timeline } = this;
    if (!timeline.loaded || this.busy) return;
    // The rows have drawn themselves since: only now is the end where it is.
    if (timeline.following) this.toEnd();
    const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    const load = scroller.scrollTop < NEAR && !timeline.atStart ? timeline.loadOlder()
      : left < NEAR && !timeline.atEnd ? timeline.loadNewer() : null;
    if (!load) return;
    this.busy = true;
    const came = await load.catch(() => false);
    this.busy = false;
    if (came && this.isConnected) this.requestUpdate();
  }

  /** What is on the screen of a reader who is here counts as read. */
  markRead() {
    const { timeline } = this;
    const last = timeline.last;
    if (!last || !timeline.atEnd || !timeline.following || document.hidden || !document.hasFocus()) return;
    if (last.id === this.readTo && this.room.unread === 0) return;
    clearTimeout(this.readSoon);
    this.readSoon = setTimeout(() => {
      this.readTo = last.id;
      this.room.read(last.id);
    }, this.readTo === undefined ? 0 : 400);
  }

  /** Moves the focus from message to message. @param {KeyboardEvent} event */
  keys(event) {
    const rows = [...this.querySelectorAll("article.message")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, End: rows.length - 1, Home: 0 }[event.key];
    const inRow = document.activeElement?.matches("article.message, .scroller");
    if (to === undefined || !inRow) return;
    event.preventDefault();
    if (event.key === "ArrowDown" && to >= rows.length) return this.dispatchEvent(new CustomEvent("leave-timeline", { bubbles: true }));
    const row = /** @type {HTMLElement|undefined} */ (at < 0 ? rows.at(-1) : rows[Math.max(0, to)]);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }

  /** @param {number} id */
  quoteOf(id) {
    const here = this.timeline.get(id);
    if (here) return here;
    if (!this.quotes.has(id)) {
      this.quotes.set(id, undefined);
      board.request("GET", `/messages/${id}/`).catch(() => null).then((message) => {
        this.quotes.set(id, message);
        this.requestUpdate();
      });
    }
    return this.quotes.get(id);
  }

  *rows() {
    const { messages } = this.timeline;
    const there = new Set(messages.slice(-60).map((message) => message.nonce));
    const pending = this.timeline.atEnd ? this.room.pending.filter((send) => !there.has(send.nonce)).map(viewOf) : [];
    /** @type {any} */ let before = null;
    for (const message of [...messages, ...pending]) {
      const at = message.created_at ?? message.at;
      const day = dayOf(at);
      if (!before || dayOf(before.created_at ?? before.at) !== day) yield { key: `day-${day}-${message.id ?? message.nonce}`, day };
      const divider = this.divider && before?.id === this.divider && message.sender !== board.user?.id;
      if (divider) yield { key: "divider", divider };
      const grouped = before && !divider && before.sender === message.sender && !message.reply_to && !before.is_deleted
        && dayOf(before.created_at ?? before.at) === day && new Date(at).valueOf() - new Date(before.created_at ?? before.at).valueOf() < GROUP_MS;
      yield { key: message.nonce && message.sender === board.user?.id ? message.nonce : message.id, message, grouped: Boolean(grouped) };
      before = message;
    }
  }

  render() {
    const { timeline, room } = this;
    const rows = timeline.loaded ? [...this.rows()] : [];
    return html`
      ${this.renderUnreadBar()}
      <div class="scroller" role="log" aria-live="off" aria-label=${`Messages in ${room.name}`} aria-busy=${this.loading} tabindex="0"
          @scroll=${this.scrolled} @keydown=${this.keys}>
        <div class="rows">
          ${timeline.loaded && timeline.atStart ? html`<div class="room-start"><h2 dir="auto">${room.name}</h2>
            <p>${room.info.is_dm ? "The beginning of your conversation." : "The beginning of this room."}</p></div>` : nothing}
          ${repeat(rows, (row) => row.key, (row) => this.renderRow(row))}
          ${timeline.loaded && timeline.atEnd ? this.renderSeen() : nothing}
        </div>
        ${this.offline ? html`<div class="empty" role="status"><p>The messages cannot be loaded now.</p><button @click=${() => this.show()}>Try again</button></div>` : nothing}
      </div>
      ${timeline.loaded && (!timeline.following) ? html`<button class="jump" @click=${this.jumpToEnd}>
        ${icon("down")} ${timeline.missed ? `${timeline.missed} new ${timeline.missed === 1 ? "message" : "messages"}` : "Latest"}</button>` : nothing}`;
  }

  /** @param {any} row */
  renderRow(row) {
    if (row.day) return html`<div class="day" role="separator"><span>${row.day}</span></div>`;
    if (row.divider) return html`<div class="divider" role="separator"><span>New</span></div>`;
    const { message } = row;
    return html`<cb-message id=${message.id ? `m-${message.id}` : `n-${message.nonce}`} class=${message.pending ? "pending" : ""} data-message=${message.id ?? nothing}
      .message=${message} .author=${board.nameOf(message.sender)} .grouped=${row.grouped} .moderator=${this.moderator}
      .quote=${message.reply_to ? this.quoteOf(message.reply_to) : undefined}></cb-message>`;
  }

  renderUnreadBar() {
    if (!this.divider || this.unreadAtOpen <= 45 || this.jumped || !this.timeline.loaded || this.querySelector(".divider")) return nothing;
    return html`<button class="unread-bar" @click=${() => { this.jumped = true; this.jumpToUnread(); }}>${icon("up")} ${this.unreadAtOpen >= 1000 ? "1,000+" : this.unreadAtOpen} unread messages</button>`;
  }

  renderSeen() {
    const last = this.timeline.last;
    if (!last) return nothing;
    const seen = [...this.room.readers].filter(([user, upTo]) => upTo >= last.id && user !== last.sender).map(([user]) => user);
    return html`<p class="seen">${seen.length ? `Seen by ${namesOf(seen)}` : nothing}</p>`;
  }
}

/** A send as the message it will be; the same object each time, so that it is not drawn again. @type {WeakMap<object, any>} */
const views = new WeakMap();

/** @param {import("/chatboard/outbox.js").Send} send */
function viewOf(send) {
  if (!views.has(send)) views.set(send, { ...send, sender: send.user, pending: true, reactions: [] });
  return views.get(send);
}

/** What a screen reader says of a new message. @param {any} message */
export const spoken = (message) => `${board.nameOf(message.sender)}: ${plain(message.body).slice(0, 200) || message.upload?.filename || "a file"}`;

customElements.define("cb-timeline", ChatTimeline);
