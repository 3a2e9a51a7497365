// The messages of a room, as a window that moves over the history.
//
// Only rows that are near what is seen are in the page, in ordinary flow, with no guessed heights;
// a few are added and taken away in a frame, so that no frame is late. When rows come or go, what the
// reader looks at is kept in its place: the first visible row is measured before and after. At the
// end, the view follows.

import { LitElement, html, nothing } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Follow, board } from "/state.js";
import { icon } from "./icons.js";
import { ask, peopleOf, warm } from "./message.js";
import { counted, gist, namesOf } from "./people.js";
import { rowsOf } from "./rows.js";

/** Rows are added while fewer pixels than this are there beyond what is seen, */
const NEAR = 900;
/** and taken away where there are more than this, */
const FAR = 2000;
/** down to this. */
const KEPT = 1300;
/** Rows that are added in one frame. */
const STEP = 12;
/** Rows that a room opens with: more than a screen. */
const FIRST = 40;
/** Rows that may be there at all, whatever their height. */
const MOST = 260;
const AT_END = 48;
/** Pixels of read messages that stay in view above the first unread one. */
const ABOVE_UNREAD = 80;
/** With more unread messages than these, a bar says how many, and marks them as read. */
export const FEW = 45;
/** Rooms whose newest messages stay in memory, so that coming back needs no network. */
const KEPT_ROOMS = 8;
/** Rooms that were looked at, the last first. @type {import("/chatboard/room.js").Room[]} */
let kept = [];
/** The rooms that were looked at, the last first. */
export const lookedAt = () => kept;
/** Rows that are hinted at while there is nothing to draw. */
const HINTED = 6;
/** What leads to the first unread message, once it is loaded. @type {typeof import("./unread.js")|undefined} */
let unread;
const UNREAD_BAR_MS = 1000;
/** The timer that loads it. @type {any} */
let unreadSoon;
const withUnread = async () => (unread ??= await import("./unread.js"));
/** Events a second above which the rows of a room are drawn in batches, */
const BUSY_PER_SECOND = 30;
/** a batch in so many milliseconds, */
const BATCH_MS = 100;
/** and how long a rate is measured. */
const RATE_MS = 250;
/** What is seen is reported as read this often. */
const READ_EVERY_MS = 400;
/** When messages are asked for again that could not be had. */
const SHOW_AGAIN_MS = 5000;

export class ChatTimeline extends LitElement {
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
    /** The first and the last message that are drawn, of the window. */ this.from = this.to = 0;
    /** The newest message when the reader left the end, or opened the room elsewhere; 0 while it is not there. */ this.leftAt = 0;
    this.busy = this.jumped = this.growing = false;
    /** @type {number|undefined} */ this.readTo = undefined;
    /** @type {any} */ this.readSoon = undefined;
    /** @type {{room: import("/chatboard/room.js").Room, id: number}|undefined} */ this.seen = undefined;
    /** Counts what the reader asked to see: an answer to what came before is late. */ this.turn = 0;
    /** @type {{row: Element, top: number}|null} */ this.anchor = null;
    this.follow = new Follow(this, ["room"], (id) => id === this.room?.id, () => (this.comesFast() ? BATCH_MS : 0));
    /** Events of a room up to a moment. @type {{room: any, seq: number, at: number, isMany: boolean}} */ this.rate = { room: null, seq: 0, at: 0, isMany: false };
    this.resized = new ResizeObserver(() => {
      if (this.room?.timeline.following) this.toEnd();
      // What something else covered is seen again.
      if (this.room) this.markRead();
    });
    this.onFocus = () => this.markRead();
    this.onStatus = () => this.offline && board.status === "online" && this.show();
    // The same link once more is no other target.
    this.onGo = () => this.target && location.pathname.endsWith(`/m/${this.target}`) && this.show();
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("focus", this.onFocus);
    addEventListener("popstate", this.onGo);
    board.addEventListener("status", this.onStatus);
    document.addEventListener("visibilitychange", this.onFocus);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.sayRead();
    removeEventListener("focus", this.onFocus);
    removeEventListener("popstate", this.onGo);
    board.removeEventListener("status", this.onStatus);
    document.removeEventListener("visibilitychange", this.onFocus);
    this.resized.disconnect();
    this.leave(this.room, null);
  }

  /** @returns {HTMLElement} */
  get scroller() {
    return /** @type {HTMLElement} */ (this.querySelector(".scroller"));
  }

  get timeline() {
    return this.room.timeline;
  }

  /** Whether events come faster than anyone reads. */
  comesFast() {
    const { rate, room } = this;
    const [at, { seq }] = [performance.now(), room];
    if (rate.room !== room) this.rate = { room, seq, at, isMany: false };
    else if (at - rate.at > RATE_MS) this.rate = { room, seq, at, isMany: ((seq - rate.seq) * 1000) / (at - rate.at) > BUSY_PER_SECOND };
    return this.rate.isMany;
  }

  firstUpdated() {
    this.resized.observe(/** @type {Element} */ (this.querySelector(".rows")));
    this.resized.observe(this.scroller);
  }

  /** The room that was left is kept in memory, with a few others. @param {import("/chatboard/room.js").Room|undefined} room @param {import("/chatboard/room.js").Room|null} next that is looked at now */
  leave(room, next) {
    if (!room) return;
    const all = [room, ...kept.filter((one) => one !== room)];
    kept = all.filter((one, n) => one !== next && n < KEPT_ROOMS && board.rooms.get(one.id) === one && one.timeline.settle());
    for (const one of all) if (one !== next && !kept.includes(one)) one.timeline.clear();
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (changed.has("room")) {
      this.sayRead();
      this.leave(changed.get("room"), this.room);
      this.timeline.isKept = false;
      this.divider = this.room.unread > 0 ? this.room.lastRead : null;
      this.unreadAtOpen = this.room.unread;
      this.leftAt = 0;
      this.anchor = null;
      this.readTo = undefined;
      this.jumped = false;
      this.show();
    } else {
      if (changed.has("target")) this.target ? this.show() : this.jumpToEnd();
      // The server said that what we have is too old, and what is newer could not be had.
      else if (!this.loading && !this.offline && !this.timeline.loaded) this.show(true);
      this.keepAnchor();
    }
    const { messages } = this.timeline;
    const [from, to] = this.range;
    // Of many rows that come at once, those that nobody will see are not made.
    const isFast = this.timeline.following && this.rate.isMany;
    if (to - from > (isFast ? FIRST : MOST)) this.from = messages[to - (isFast ? FIRST : MOST / 2)].id;
  }

  /** Where the drawn rows begin and end among the messages of the window. @returns {[number, number]} */
  get range() {
    const { timeline } = this;
    const to = timeline.following ? timeline.messages.length : timeline.place(this.to + 1);
    return [Math.min(timeline.place(this.from), to), to];
  }

  /** Whether this is a long room that the reader never read: it opens at its end. */
  get isUnbegun() {
    return this.divider === null && this.unreadAtOpen > FEW;
  }

  /** Draws what is around a place in the window, as much as a screen needs. @param {number} at */
  drawAround(at) {
    const { messages } = this.timeline;
    this.from = messages[Math.max(0, at - FIRST)]?.id ?? 0;
    this.to = messages[Math.min(messages.length - 1, at + FIRST)]?.id ?? 0;
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
    // Rows draw themselves now, so that what is measured is what will be seen.
    for (const row of this.querySelectorAll("cb-message")) /** @type {any} */ (row).flush();
    if (this.timeline.following) this.toEnd();
    else if (this.anchor?.row.isConnected) {
      const moved = this.anchor.row.getBoundingClientRect().top - this.anchor.top;
      if (moved) this.scroller.scrollTop += moved;
    }
    if (this.wanted && this.timeline.loaded) this.scrollToWanted();
    this.markRead();
    this.growSoon();
  }

  toEnd() {
    const scroller = this.scroller;
    if (!scroller) return;
    scroller.scrollTop = scroller.scrollHeight;
    this.lastTop = scroller.scrollTop;
  }

  /** Begins something that the reader asked to see. Returns whether that is still so. */
  begin() {
    const [turn, room] = [++this.turn, this.room];
    return () => turn === this.turn && room === this.room && this.isConnected;
  }

  /** Loads what the reader came for, or the newest messages. */
  async show(latest = false) {
    const isWanted = this.begin();
    this.loading = true;
    this.offline = false;
    try {
      await (latest ? this.showEnd(isWanted) : this.showPlace(isWanted));
    } catch {
      if (isWanted()) this.offline = true;
      // A server that is there and was busy is asked again.
      setTimeout(() => this.offline && board.status === "online" && isWanted() && this.show(), SHOW_AGAIN_MS);
    }
    if (!isWanted()) return;
    // The server said meanwhile that what we have is too old.
    if (!this.offline && !this.timeline.loaded) return void this.show(true);
    this.loading = false;
    this.requestUpdate();
  }

  /** @param {() => boolean} isWanted */
  async showPlace(isWanted) {
    const { timeline, target } = this;
    if (target) {
      timeline.following = false;
      if (!timeline.get(target)) await timeline.loadAround(target);
      return isWanted() && this.goTo({ id: target, mark: true });
    }
    if (this.unreadAtOpen === 0 || this.isUnbegun) return this.showEnd(isWanted);
    timeline.following = false;
    const divider = this.divider ?? await (await withUnread()).findUnread(this);
    if (!isWanted()) return;
    this.divider = divider;
    if (!timeline.reachesFrom(divider)) await timeline.loadAround(divider);
    if (!isWanted()) return;
    this.leftAt = timeline.atEnd ? (timeline.last?.id ?? 0) : 0;
    this.goTo({ id: divider, mark: false });
  }

  /** @param {() => boolean} isWanted */
  async showEnd(isWanted) {
    const { timeline } = this;
    timeline.following = true;
    const isThere = timeline.reachesFrom();
    // From memory at once; events kept it true.
    if (isThere) this.drawAround(timeline.messages.length);
    if (isThere && !timeline.isStale) return;
    await timeline.loadLatest().catch((error) => {
      if (!isThere) throw error;
    });
    if (!isWanted()) return;
    // Events of the rows that were on the screen before must not decide where this room opens.
    timeline.following = true;
    this.drawAround(timeline.messages.length);
  }

  /** Draws what is around a message, and scrolls to it when it is there. @param {{id: number, mark: boolean}} wanted */
  goTo(wanted) {
    this.drawAround(this.timeline.place(wanted.id));
    this.wanted = wanted;
  }

  scrollToWanted() {
    if (!this.wanted) return;
    const { id, mark } = this.wanted;
    this.wanted = undefined;
    const row = /** @type {HTMLElement|null} */ (this.querySelector(mark ? `#m-${id}` : ".divider") ?? this.querySelector(`#m-${id}`));
    if (!row && mark) {
      this.toEnd();
      return void ask(this, "error", { error: { message: "This message was deleted, or isn't in this room." } });
    }
    if (!row) return;
    const { scroller } = this;
    if (mark) row.scrollIntoView({ block: "center" });
    // The browser clamps this: where less than a view is unread, the view stands at its end and follows it.
    else scroller.scrollTop += row.getBoundingClientRect().top - scroller.getBoundingClientRect().top - ABOVE_UNREAD;
    this.lastTop = scroller.scrollTop;
    this.scrolled();
    if (!mark) return;
    row.classList.add("wanted");
    setTimeout(() => row.classList.remove("wanted"), 2500);
    /** @type {HTMLElement|null} */ (row.querySelector("article"))?.focus({ preventScroll: true });
  }

  /** What one answers to is not new any more. */
  answered() {
    this.divider = null;
    this.jumped = true;
    return this.jumpToEnd();
  }

  async jumpToEnd() {
    const { timeline } = this;
    const isWanted = this.begin();
    this.loading = true;
    this.offline = false;
    if (!timeline.atEnd) await timeline.loadLatest().catch(() => isWanted() && (this.offline = true));
    if (!isWanted()) return;
    timeline.following = timeline.atEnd;
    this.jumped ||= !this.isUnbegun;
    this.drawAround(timeline.messages.length);
    this.loading = false;
    this.requestUpdate();
    await this.updateComplete;
    if (isWanted()) this.toEnd();
  }

  scrolled() {
    const { scroller, timeline } = this;
    // Emptying the last room's rows scrolls too, and says nothing about this one.
    if (!timeline.loaded) return;
    const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    // Content that grows below the reader does not mean that they left the end: only scrolling up does.
    const up = scroller.scrollTop < this.lastTop - 1;
    this.lastTop = scroller.scrollTop;
    const isEnd = timeline.atEnd && this.range[1] === timeline.messages.length;
    const following = isEnd && (left < AT_END || (timeline.following && !up));
    if (following !== timeline.following) {
      this.leftAt = this.to = timeline.last?.id ?? 0;
      timeline.following = following;
      // At the end, the number of unread messages is no longer of use.
      this.jumped ||= following && !this.isUnbegun;
      this.requestUpdate();
    }
    this.growSoon();
    if (following) this.markRead();
  }

  growSoon() {
    if (this.growing || !this.timeline.loaded) return;
    this.growing = true;
    if (this.timeline.following && this.comesFast()) {
      return void setTimeout(() => {
        this.growing = false;
        if (this.isConnected) this.growSoon();
      }, RATE_MS * 2);
    }
    requestAnimationFrame(() => {
      this.growing = false;
      if (this.isConnected && this.timeline.loaded) this.grow();
    });
  }

  /** Adds rows where the reader comes near the last one, takes away what is far, and loads ahead. */
  grow() {
    const { scroller, timeline } = this;
    const { messages, following } = timeline;
    const [from, to] = this.range;
    const above = scroller.scrollTop;
    const below = scroller.scrollHeight - above - scroller.clientHeight;
    const was = [this.from, this.to];
    if (above < NEAR && from > 0) this.from = messages[Math.max(0, from - STEP)].id;
    else if (above > FAR) this.from = this.edge(1) || this.from;
    if (!following && below < NEAR && to < messages.length) this.to = messages[Math.min(messages.length, to + STEP) - 1].id;
    else if (!following && below > FAR) this.to = this.edge(-1) || this.to;
    if (was[0] !== this.from || was[1] !== this.to) this.requestUpdate();
    if (from < STEP * 4 && !timeline.atStart) this.load(() => timeline.loadOlder());
    else if (!following && messages.length - to < STEP * 4 && !timeline.atEnd) this.load(() => timeline.loadNewer());
    warm([...messages.slice(Math.max(0, from - STEP * 4), from).reverse(), ...messages.slice(to, to + STEP * 4)]);
  }

  /** The first message that is not too far from what is seen: downwards (1) or upwards (-1). @param {1|-1} step */
  edge(step) {
    const view = this.scroller.getBoundingClientRect();
    const rows = this.querySelectorAll("cb-message[data-message]");
    for (let at = step > 0 ? 0 : rows.length - 1; rows[at]; at += step) {
      const box = rows[at].getBoundingClientRect();
      if (step > 0 ? box.bottom > view.top - KEPT : box.top < view.bottom + KEPT) return Number(rows[at].getAttribute("data-message"));
    }
    return 0;
  }

  /** @param {() => Promise<boolean>} load */
  async load(load) {
    if (this.busy) return;
    this.busy = true;
    const came = await load().catch(() => false);
    this.busy = false;
    if (came && this.isConnected) this.requestUpdate();
  }

  /** What is on the screen of a reader who is here counts as read; said once for many messages, and when they leave. */
  markRead() {
    const { timeline, room } = this;
    const id = timeline.atEnd && timeline.following && timeline.last?.id;
    if (!id || !this.isConnected || document.hidden || !document.hasFocus() || !this.scroller?.clientHeight || (id === this.readTo && room.unread === 0)) return;
    this.seen = { room, id };
    this.readSoon ??= setTimeout(() => this.sayRead(), this.readTo === undefined ? 0 : READ_EVERY_MS);
  }

  /** Says how far the reader saw, and nothing of what came since. */
  sayRead() {
    clearTimeout(this.readSoon);
    this.readSoon = undefined;
    this.seen?.room.read((this.readTo = this.seen.id));
    this.seen = undefined;
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (!/^(Arrow(Up|Down)|Home|End)$/.test(event.key) || !document.activeElement?.matches("article.message, .scroller")) return;
    event.preventDefault();
    import("./ways.js").then((part) => part.nextMessage(this, event.key), () => {});
  }

  /** @param {number} id */
  quoteOf(id) {
    const { timeline } = this;
    const here = timeline.get(id);
    if (here) return here;
    if (!timeline.quoted.has(id)) {
      timeline.quoted.set(id, undefined);
      withUnread().then((part) => part.loadQuoted(this, timeline, id), () => timeline.quoted.delete(id));
    }
    return timeline.quoted.get(id);
  }

  render() {
    const { timeline, room } = this;
    const [from, to] = this.range;
    const isEnd = timeline.loaded && timeline.atEnd && to === timeline.messages.length;
    const pending = isEnd || this.offline ? room.pending : [];
    const rows = timeline.loaded || this.offline ? rowsOf(timeline, from, to, { pending, divider: this.divider, me: board.user?.id }) : [];
    const missed = timeline.following ? 0 : timeline.missed + (this.leftAt ? timeline.messages.length - timeline.place(this.leftAt + 1) : 0);
    return html`
      ${this.renderUnreadBar()}
      <div class="scroller" role="log" aria-live="off" aria-label=${`Messages in ${room.name}`} aria-busy=${this.loading} tabindex="0"
          @scroll=${this.scrolled} @keydown=${this.keys}>
        <div class="rows">
          ${this.offline ? html`<div class="empty" role="status"><p>Messages can't be loaded right now. They appear when the connection is back.</p><button @click=${() => this.show()}>Try again</button></div>` : nothing}
          ${timeline.loaded && timeline.atStart && from === 0 ? html`<div class="room-start"><h2 dir="auto">${room.name}</h2>
            <p>${room.info.first_seq > 1 ? "Older messages were removed." : room.info.is_dm ? "The beginning of your conversation." : "The beginning of this room."}</p></div>` : nothing}
          ${timeline.loaded || this.offline ? nothing : html`<div class="hints" aria-hidden="true">${Array.from({ length: HINTED }, () => html`<i></i>`)}</div>`}
          ${repeat(rows, (row) => row.key, (row) => this.renderRow(row))}
          ${isEnd ? this.renderSeen() : nothing}
        </div>
      </div>
      ${timeline.loaded && (!timeline.following) ? html`<button class="jump" @click=${this.jumpToEnd}>
        ${icon("down")} ${missed ? counted(missed, "new message") : "Latest"}</button>` : nothing}`;
  }

  /** @param {any} row */
  renderRow(row) {
    if (row.day) return html`<div class="day" role="separator"><span>${row.day}</span></div>`;
    if (row.divider) return html`<div class="divider" role="separator"><span>New</span></div>`;
    const { message } = row;
    const quote = message.reply_to ? this.quoteOf(message.reply_to) : undefined;
    return html`<cb-message id=${message.id ? `m-${message.id}` : `n-${message.nonce}`} class=${message.pending ? "pending" : ""} data-message=${message.id ?? nothing}
      .message=${message} .people=${Math.max(peopleOf(message), quote ? peopleOf(quote) : 0)} .author=${board.nameOf(message.sender)} .grouped=${row.grouped} .moderator=${this.moderator}
      .quote=${quote}></cb-message>`;
  }

  renderUnreadBar() {
    if (this.unreadAtOpen <= FEW || this.jumped || !this.timeline.loaded) return nothing;
    // The messages come first.
    if (!unread) unreadSoon ??= setTimeout(() => {
      unreadSoon = undefined;
      withUnread().then(() => this.requestUpdate(), () => {});
    }, UNREAD_BAR_MS);
    return unread?.renderBar(this);
  }

  renderSeen() {
    const last = this.timeline.last;
    if (!last) return nothing;
    const seen = [...this.room.readers].filter(([user, upTo]) => upTo >= last.id && user !== last.sender).map(([user]) => user);
    return html`<p class="seen">${seen.length ? `Seen by ${namesOf(seen)}` : nothing}</p>`;
  }
}

/** What a screen reader says of a new message. @param {any} message */
export const spoken = (message) => `${board.nameOf(message.sender)}: ${gist(message, 200)}`;

customElements.define("cb-timeline", ChatTimeline);
